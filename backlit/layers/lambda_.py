"""A function of nodes as a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..core import registry
from ..core.arguments import takes
from ..core.errors import ArgumentError, ShapeError, UnknownNameError, did_you_mean
from ..core.op import Op
from ..core.shapes import show
from .layer import Layer


class Lambda(Layer):
    """A function of the input as a layer: an op, an op's name, or your own function written with operators and ops.

    `arguments` are passed on by keyword. `output_shape`, if given, is checked. A file holds no code: a saved model with
    a function of your own predicts wherever it is loaded, and trains where the function is given back, with
    ``bl.load_model(path, custom_objects={"bent": bent})``.

    >>> import backlit as bl
    >>> bl.layers.Lambda(lambda x: x ** 2 + 1)([[3.0]]).tolist()
    [[10.0]]
    >>> bl.layers.Lambda("clip", arguments={"low": 0.0, "high": 2.0})([[-1.0, 5.0]]).tolist()
    [[0.0, 2.0]]
    """

    joins = True

    def __init__(
        self,
        function: Any,
        output_shape: int | Sequence[int] | None = None,
        mask: Any = None,
        arguments: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        self.function = _function(function)
        self.wanted = (output_shape,) if isinstance(output_shape, int) else output_shape and tuple(output_shape)
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


def _function(given: Any) -> Any:
    if callable(given) and (isinstance(given, Op) or takes(given, 1)):
        return given
    if not isinstance(given, str):
        raise ArgumentError("Lambda needs a function.", expected="a function of a node, or an op", found=repr(given))
    found = registry.find(f"op.{given}")
    if not isinstance(found, Op):
        near = did_you_mean(given, (name[3:] for name in registry.names("op.")))
        raise UnknownNameError(f"there is no op {given!r}.", name=given, expected="a name in bl.ops", fix=near)
    return found
