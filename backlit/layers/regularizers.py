"""Penalties on weights, added to the loss."""

from __future__ import annotations

from typing import Any

from ..core.record import Record
from ..ops.elementwise import absolute, square
from ..ops.reduce import sum as sum_


class Regularizer(Record):
    """The base: a regularizer of your own is `__call__(w)`, which returns a node of shape ()."""

    family = "regularizer"

    def __call__(self, w: Any) -> Any:
        """The penalty for the weight `w`."""
        raise NotImplementedError(f"{type(self).__name__}.__call__")


class L1(Regularizer):
    """l1 · Σ|w|: drives weights to exactly 0."""

    def __init__(self, l1: float = 0.01):
        self.l1 = l1

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        return self.l1 * sum_(absolute(w))


class L2(Regularizer):
    """l2 · Σw²: keeps weights small."""

    def __init__(self, l2: float = 0.01):
        self.l2 = l2

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        return self.l2 * sum_(square(w))


class L1L2(Regularizer):
    """l1 · Σ|w| + l2 · Σw²."""

    aliases = ("l1_l2",)

    def __init__(self, l1: float = 0.0, l2: float = 0.0):
        self.l1, self.l2 = l1, l2

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        return self.l1 * sum_(absolute(w)) + self.l2 * sum_(square(w))
