"""Penalties on weights, added to the loss."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from ..core.arguments import NotNegative
from ..core.errors import ShapeError, not_written
from ..core.record import Record, spellings
from ..core.shapes import show
from ..ops.elementwise import absolute, multiply, square
from ..ops.linalg import matmul, normalize
from ..ops.reduce import sum as sum_


class Regularizer(Record):
    """The base: a regularizer of your own is `__call__(w)`, which returns a node of shape ().

    >>> import backlit as bl
    >>> class NearOne(bl.regularizers.Regularizer):
    ...     def __call__(self, w):
    ...         return bl.ops.sum((w - 1) ** 2)
    >>> float(NearOne()(bl.variable([1.0, 3.0])).value)
    4.0
    """

    family = "regularizer"

    def __call__(self, w: Any) -> Any:
        """The penalty for the weight `w`."""
        raise not_written(self, "__call__(self, w)")


RegularizerLike: TypeAlias = Annotated[Any, Regularizer.get]  # an object, a class, a name or a configuration


class L1(Regularizer):
    """l1 · Σ|w|: drives weights to exactly 0."""

    def __init__(self, l1: NotNegative = 0.01):
        self.l1 = l1

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        return self.l1 * sum_(absolute(w))


class L2(Regularizer):
    """l2 · Σw²: keeps weights small."""

    def __init__(self, l2: NotNegative = 0.01):
        self.l2 = l2

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        return self.l2 * sum_(square(w))


class L1L2(Regularizer):
    """l1 · Σ|w| + l2 · Σw²."""

    aliases = ("l1_l2",)

    def __init__(self, l1: NotNegative = 0.0, l2: NotNegative = 0.0):
        self.l1, self.l2 = l1, l2

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        return self.l1 * sum_(absolute(w)) + self.l2 * sum_(square(w))


class OrthogonalRegularizer(Regularizer):
    """factor · the mean |cosine| between every two rows (or columns) of a matrix: drives them to right angles.

    `mode` is "rows" or "columns". A matrix with a single row (or column) has no pair and no penalty.
    """

    aliases = ("orthogonal",)

    def __init__(self, factor: NotNegative = 0.01, mode: Literal["rows", "columns"] = "rows"):
        self.factor, self.mode = factor, mode

    def __call__(self, w: Any) -> Any:
        """The penalty."""
        if len(w.shape) != 2:
            raise ShapeError("OrthogonalRegularizer takes a matrix.", expected="shape (n, k)", found=show(w.shape))
        axis = 1 if self.mode == "rows" else 0
        unit = normalize(w, axis)
        cosines = matmul(unit, unit.T) if axis else matmul(unit.T, unit)
        count = int(cosines.shape[0])
        pairs = max(count * (count - 1) / 2, 1)
        return self.factor * 0.5 / pairs * sum_(absolute(multiply(cosines, 1.0 - np.eye(count))))


__all__ = spellings(globals(), Regularizer)
