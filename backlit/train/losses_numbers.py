"""Losses between numbers: squared, absolute, relative and robust distances, angles and margins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from ..core.arguments import Positive
from ..core.node import DType
from ..ops.elementwise import absolute, equal, log, maximum, sqrt, square, where
from ..ops.nn import softplus
from ..ops.reduce import max as max_
from ..ops.reduce import mean
from ..ops.reduce import sum as sum_
from .losses_base import EPSILON, MEAN, Loss, Reduction


class MeanSquaredError(Loss):
    """mean over the outputs of (p - y)². No factor ½: `HalfSquaredError` has it, as the course's formulas do.

    >>> import backlit as bl
    >>> float(bl.losses.MeanSquaredError()([[1.0], [3.0]], [[2.0], [5.0]]))
    2.5
    """

    aliases = ("mse",)

    def formula(self, y: Any, p: Any) -> Any:
        """mean (p - y)²."""
        return mean(square(p - y), axis=-1)


class ScaledSquaredError(Loss):
    """mean over the outputs of ((p - y) / scale)²: with the deviation of each target as its scale, metres and
    millimetres count alike, and the loss has no unit.

    `scale`: one number above 0, or one for each output.

    >>> import backlit as bl
    >>> float(bl.losses.ScaledSquaredError([10.0, 0.1])([[0.0, 0.0]], [[10.0, 0.1]]))
    1.0
    """

    def __init__(
        self,
        scale: Positive | Sequence[Positive] = 1.0,
        reduction: Reduction = MEAN,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(reduction, name, dtype)
        self.scale = scale if isinstance(scale, (int, float)) else tuple(map(float, scale))

    def formula(self, y: Any, p: Any) -> Any:
        """mean ((p - y) / scale)²."""
        return mean(square((p - y) / (self.scale if isinstance(self.scale, (int, float)) else list(self.scale))), axis=-1)


class HalfSquaredError(Loss):
    """mean over the outputs of ½(p - y)²: the course's squared error. Half of MeanSquaredError, and so is its gradient:
    p - y for one output, without the factor 2. Not in Keras.

    >>> import backlit as bl
    >>> float(bl.losses.HalfSquaredError()([[1.0], [3.0]], [[2.0], [5.0]]))
    1.25
    """

    aliases = ("half_mse",)

    def formula(self, y: Any, p: Any) -> Any:
        """mean ½(p - y)²."""
        return mean(0.5 * square(p - y), axis=-1)


class MeanAbsoluteError(Loss):
    """mean over the outputs of |p - y|; its derivative at p = y is taken as 0.

    >>> import backlit as bl
    >>> float(bl.losses.MeanAbsoluteError()([[1.0], [3.0]], [[2.0], [5.0]]))
    1.5
    """

    aliases = ("mae",)

    def formula(self, y: Any, p: Any) -> Any:
        """mean |p - y|."""
        return mean(absolute(p - y), axis=-1)


class MeanAbsolutePercentageError(Loss):
    """100 times the mean of |p - y| / max(|y|, 1e-7): a percentage of y. A y near 0 makes it huge.

    >>> import backlit as bl
    >>> float(bl.losses.MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]]))
    37.5
    """

    aliases = ("mape",)

    def formula(self, y: Any, p: Any) -> Any:
        """100 mean |y - p| / max(|y|, 1e-7)."""
        return 100.0 * mean(absolute((y - p) / maximum(absolute(y), EPSILON)), axis=-1)


class MeanSquaredLogarithmicError(Loss):
    """mean of (log(1 + p) - log(1 + y))², for y from 0; a p below 1e-7 counts as 1e-7, and its derivative is 0.

    >>> import backlit as bl
    >>> round(float(bl.losses.MeanSquaredLogarithmicError()([[1.0]], [[3.0]])), 4)
    0.4805
    """

    aliases = ("msle",)
    targets = (0.0, np.inf)

    def formula(self, y: Any, p: Any) -> Any:
        """mean (log(max(p, 1e-7) + 1) - log(max(y, 1e-7) + 1))²."""
        return mean(square(log(maximum(p, EPSILON) + 1.0) - log(maximum(y, EPSILON) + 1.0)), axis=-1)


class Huber(Loss):
    """mean of ½e² where |e| = |p - y| is at most `delta`, else of delta |e| - ½ delta²: outliers pull with a force of
    at most delta (Huber 1964).

    >>> import backlit as bl
    >>> float(bl.losses.Huber()([[0.0, 0.0]], [[1.0, 5.0]]))
    2.5
    """

    aliases = ("huber_loss",)

    def __init__(
        self, delta: Positive = 1.0, reduction: Reduction = MEAN, name: str | None = None, dtype: DType | None = None
    ):
        super().__init__(reduction, name, dtype)
        self.delta = delta

    def formula(self, y: Any, p: Any) -> Any:
        """mean of the two pieces."""
        error = p - y
        far = self.delta * absolute(error) - 0.5 * self.delta**2
        return mean(where(absolute(error) <= self.delta, 0.5 * square(error), far), axis=-1)


class LogCosh(Loss):
    """mean over the outputs of log cosh(p - y): ½(p - y)² near 0, |p - y| - log 2 far away.

    Written with softplus, so that it does not overflow. Cosh itself does beyond 89 (float32).

    >>> import backlit as bl
    >>> round(float(bl.losses.LogCosh()([[0.0]], [[1000.0]])), 4)
    999.3069
    """

    aliases = ("logcosh",)

    def formula(self, y: Any, p: Any) -> Any:
        """mean (d + softplus(-2d) - log 2), d = p - y."""
        distance = p - y
        return mean(distance + softplus(-2 * distance) - 0.6931471805599453, axis=-1)


class CosineSimilarity(Loss):
    """The cosine of the angle between y and p along `axis`, with the sign turned: -1 for one direction, 0 for a right
    angle, 1 for opposite directions. A vector shorter than 1e-7 is divided by 1e-7.

    >>> import backlit as bl
    >>> round(float(bl.losses.CosineSimilarity()([[3.0, 4.0]], [[3.0, 0.0]])), 6)
    -0.6
    """

    def __init__(
        self, axis: int = -1, reduction: Reduction = MEAN, name: str | None = None, dtype: DType | None = None
    ):
        super().__init__(reduction, name, dtype)
        self.axis = axis

    def formula(self, y: Any, p: Any) -> Any:
        """-Σ y/|y| p/|p|."""
        axis = self._axis(p.shape)

        def unit(x: Any) -> Any:
            return x / sqrt(maximum(sum_(square(x), axis=axis, keepdims=True), EPSILON**2))

        return -sum_(unit(y) * unit(p), axis=axis)


# ---------------------------------------------------------------------- margins
class Hinge(Loss):
    """mean of max(1 - y p, 0) for y of -1 and 1 and scores p; y of 0 and 1 is taken for -1 and 1.

    >>> import backlit as bl
    >>> float(bl.losses.Hinge()([[1.0, -1.0]], [[0.5, -2.0]])), float(bl.losses.Hinge()([[1, 0]], [[0.5, -2.0]]))
    (0.25, 0.25)
    """

    signs: ClassVar[bool] = True

    def formula(self, y: Any, p: Any) -> Any:
        """mean max(1 - y p, 0)."""
        return mean(self.distance(y, p), axis=-1)

    def distance(self, y: Any, p: Any) -> Any:
        """How far each score lies on the wrong side of its margin. 0 means -1 for each y by itself, so that no example
        depends on its batch."""
        return maximum(1.0 - where(equal(y, 0.0), -1.0, y) * p, 0.0)


class SquaredHinge(Hinge):
    """mean of max(1 - y p, 0)² for y of -1 and 1 and scores p; y of 0 and 1 is taken for -1 and 1.

    >>> import backlit as bl
    >>> float(bl.losses.SquaredHinge()([[1.0, -1.0]], [[0.5, 0.0]]))
    0.625
    """

    def formula(self, y: Any, p: Any) -> Any:
        """mean max(1 - y p, 0)²."""
        return mean(square(self.distance(y, p)), axis=-1)


class CategoricalHinge(Loss):
    """max(1 + the largest score of a wrong class - the score of the right one, 0), for one-hot y and scores p.

    >>> import backlit as bl
    >>> float(bl.losses.CategoricalHinge()([[0, 1, 0]], [[0.5, 2.0, 1.5]]))
    0.5
    """

    targets = (0.0, 1.0)

    def formula(self, y: Any, p: Any) -> Any:
        """max(max((1 - y) p) - Σ y p + 1, 0)."""
        return maximum(max_((1.0 - y) * p, axis=-1) - sum_(y * p, axis=-1) + 1.0, 0.0)


__all__: Sequence[str] = [
    name for name, value in dict(globals()).items() if name[0] != "_" and getattr(value, "__module__", "") == __name__
]
