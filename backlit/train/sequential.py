"""Chains of layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.arguments import checked
from ..core.errors import ArgumentError, NotReadyError
from ..core.node import Leaf
from ..layers.layer import Layer, current_pass
from ..layers.network import chain, name_apart
from .model import Model


class Sequential(Model):
    """Layers one after another.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((400,)), bl.layers.Dense(25, "relu"), bl.layers.Dense(10)])
    >>> model.count_params()
    10285
    """

    @checked
    def __init__(self, layers: Sequence[Any] | None = None, trainable: bool = True, name: str | None = None):
        super().__init__(name=name, trainable=trainable)
        self._chain: list[Layer] = []
        self._start: Leaf | None = None
        given = list(layers or [])
        start = given.pop(0) if given and _is_input(given[0]) else None
        for layer in given:
            self.add(layer)
        if start is not None:
            self.expect(start)  # built once, not again with every layer

    def call(self, x: Any, training: bool = False) -> Any:
        """Every layer on the output of the one before."""
        return chain(self._chain, x)

    def _dtype_for(self, array: Any) -> str | None:
        """The first layer says what it takes."""
        return None

    @checked
    def add(self, layer: Any) -> None:
        """Put a layer at the end; an `Input` may come first, and builds the model as it grows."""
        if _is_input(layer):
            if self._chain:
                raise ArgumentError("Input comes first.", found=f"behind {self._chain[-1].name!r}")
            self._start = layer
            return
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f"{layer!r} is no layer.",
                expected="objects such as Dense(25)",
                fix="a class needs its arguments: Dense(25)",
            )
        if layer in self._chain:
            raise ArgumentError(f"layer {layer.name!r} is already in this model.", fix="make a second layer")
        self._grow([*self._chain, layer])

    def pop(self) -> Layer:
        """Take the last layer away and return it."""
        if not self._chain:
            raise NotReadyError("the model has no layers.", fix="add one first")
        last = self._chain[-1]
        self._grow(self._chain[:-1])
        return last

    def expect(self, leaf: Leaf) -> None:
        """Build for inputs like `leaf`."""
        self._start = leaf
        self._grow(self._chain)

    def build_on(self, leaves: Any) -> None:
        """Make all weights for this input leaf, or none; then the calls, so that each layer has an `output`."""
        super().build_on(leaves)
        if current_pass() is None:
            chain(self._chain, leaves)

    def _grow(self, layers: list[Layer]) -> None:
        before = (self._chain, self.built, self.input_leaves, self.output_shape)
        self._chain, self.built, self.output_shape = layers, False, None
        try:
            name_apart(layers)
            if self._start is not None and layers:
                self.build_on(self._start)
        except BaseException:
            self._chain, self.built, self.input_leaves, self.output_shape = before
            raise
        self._forget_training()


def _is_input(given: Any) -> bool:
    return isinstance(given, Leaf) and given.kind == "input"
