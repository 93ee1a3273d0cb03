"""Activations by name or as layers. Every op of one input is an activation; functions of nodes are, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..core import registry
from ..core.errors import ArgumentError, UnknownNameError, did_you_mean
from ..core.op import Op
from ..ops import nn
from .layer import Layer


def resolve(identifier: Any) -> Callable[[Any], Any]:
    """The function that `identifier` means: None and "linear" are no activation; a name; a record; your own
    function."""
    if identifier is None:
        return nn.linear
    if callable(identifier):
        return identifier
    if not isinstance(identifier, str):
        raise ArgumentError(
            f"{identifier!r} is no activation.", expected="a name such as 'relu', or a function of a node"
        )
    found = registry.find(f"op.{identifier}")
    if isinstance(found, Op) and found.role == "activation":
        return found
    raise UnknownNameError(
        f"there is no activation {identifier!r}.", expected=", ".join(names()), fix=did_you_mean(identifier, names())
    )


def names() -> list[str]:
    """The activations that can be named."""
    return [name[3:] for name in registry.names("op.") if getattr(registry.find(name), "role", "") == "activation"]


class Activation(Layer):
    """An activation as a layer of its own.

    >>> import backlit as bl
    >>> bl.layers.Activation("relu")([[-1.0, 2.0]]).tolist()
    [[0.0, 2.0]]
    """

    def __init__(self, activation: Any, name: str | None = None):
        super().__init__(name=name)
        self.function = resolve(activation)

    def call(self, x: Any, training: bool = False) -> Any:
        """g(x)."""
        return self.function(x)


class ReLU(Layer):
    """max(0, x)."""

    def call(self, x: Any, training: bool = False) -> Any:
        """max(0, x)."""
        return nn.relu(x)


class Softmax(Layer):
    """exp(x) over its sum along `axis`."""

    def __init__(self, axis: int = -1, name: str | None = None):
        super().__init__(name=name)
        self.axis = axis

    def call(self, x: Any, training: bool = False) -> Any:
        """softmax(x)."""
        return nn.softmax(x, axis=self.axis)
