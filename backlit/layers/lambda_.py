"""A function of nodes as a layer."""

from __future__ import annotations

from typing import Any

from ..core import registry
from ..core.errors import ArgumentError, FileError, ShapeError, UnknownNameError, did_you_mean
from ..core.op import Op
from ..core.shapes import show
from .layer import Layer


class Lambda(Layer):
    """A function of the input as a layer: an op, an op's name, or your own function written with operators and ops.

    `arguments` are passed on by keyword. `output_shape`, if given, is checked. A model with a function of your own
    cannot be saved, because a file holds no code: make it an op (``bl.composite("name", define=...)``), whose name the
    file keeps, or write a layer class, which takes ten lines.

    >>> import backlit as bl
    >>> bl.layers.Lambda(lambda x: x ** 2 + 1)([[3.0]]).tolist()
    [[10.0]]
    >>> bl.layers.Lambda("clip", arguments={"low": 0.0, "high": 2.0})([[-1.0, 5.0]]).tolist()
    [[0.0, 2.0]]
    """

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: Any = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.function = _function(function)
        self.wanted = None if output_shape is None else tuple(output_shape)
        self.keywords = dict(arguments or {})

    def call(self, x: Any, training: bool = False) -> Any:
        """f(x)."""
        out = self.function(x, **self.keywords)
        if self.wanted is not None and tuple(out.shape[1:]) != self.wanted:
            raise ShapeError(
                "the function of this Lambda gives another shape.",
                expected=f"shape (m, {', '.join(map(str, self.wanted))})",
                found=f"shape {show(out.shape)}",
            )
        return out

    def get_config(self) -> dict[str, Any]:
        """The arguments; FileError where the function is your own, and no op that has a name."""
        if not isinstance(self.function, Op):
            raise FileError(
                f"layer {self.name!r} (Lambda) cannot be saved: it holds a Python function.",
                expected="an op, such as Lambda(bl.ops.square)",
                found=getattr(self.function, "__name__", repr(self.function)),
                why="a file holds no code, and loading one must never run any",
                fix="write it as a layer class of your own, or as an op: bl.composite('name', define=...)",
            )
        return {**super().get_config(), "function": self.function.name}


def _function(given: Any) -> Any:
    if callable(given):
        return given
    if not isinstance(given, str):
        raise ArgumentError("Lambda needs a function.", expected="a function of a node, or an op", found=repr(given))
    found = registry.find(f"op.{given}")
    if not isinstance(found, Op):
        near = did_you_mean(given, (name[3:] for name in registry.names("op.")))
        raise UnknownNameError(f"there is no op {given!r}.", expected="a name in bl.ops", fix=near)
    return found
