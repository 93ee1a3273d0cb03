"""Where a weight is brought back to after every update: the last thing that happens to it in a training step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from ..core.arguments import NotNegative
from ..core.errors import ValueRangeError, not_written
from ..core.record import Record, spellings
from ..ops.elementwise import clip, maximum, sqrt, square
from ..ops.reduce import sum as sum_

_EPSILON = 1e-7  # as in Keras: no division by 0 where a unit's weights are all 0


class Constraint(Record):
    """The base: a constraint of your own is `__call__(w)`, which returns what the weight becomes.

    >>> import backlit as bl
    >>> class Halved(bl.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return w / 2
    >>> layer = bl.layers.Dense(1, kernel_constraint=Halved())
    >>> bl.constraints.NonNeg()([-1.0, 2.0]).tolist()
    [0.0, 2.0]
    """

    family = "constraint"

    def __call__(self, w: Any) -> Any:
        """What `w` becomes."""
        raise not_written(self, "__call__(self, w)")


ConstraintLike: TypeAlias = Annotated[Any, Constraint.get]  # an object, a class, a name or a configuration
_Axes: TypeAlias = int | Sequence[int] | None


def _norm(w: Any, axis: Any) -> Any:
    return sqrt(sum_(square(w), axis=axis, keepdims=True))


class NonNeg(Constraint):
    """max(w, 0), number by number."""

    aliases = ("nonneg",)

    def __call__(self, w: Any) -> Any:
        """max(w, 0)."""
        return maximum(w, 0.0)


class MaxNorm(Constraint):
    """Weights whose length over `axis` exceeds `max_value` are shortened to it (Srivastava et al. 2014).

    The kernel of Dense is (inputs, units): `axis=0`, the default, holds each unit's weights.
    """

    def __init__(self, max_value: NotNegative = 2, axis: _Axes = 0):
        self.max_value, self.axis = max_value, axis

    def __call__(self, w: Any) -> Any:
        """w · min(|w|, max_value) / |w|."""
        norm = _norm(w, self.axis)
        return w * (clip(norm, 0.0, self.max_value) / (norm + _EPSILON))


class UnitNorm(Constraint):
    """w / |w|, where |w| is the length over `axis`: each unit's weights get length 1."""

    def __init__(self, axis: _Axes = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """w / |w|."""
        return w / (_norm(w, self.axis) + _EPSILON)


class MinMaxNorm(Constraint):
    """The length over `axis` is brought between `min_value` and `max_value`; with `rate` below 1 only that part of
    the way at each step."""

    def __init__(
        self, min_value: NotNegative = 0.0, max_value: NotNegative = 1.0, rate: NotNegative = 1.0, axis: _Axes = 0
    ):
        if max_value < min_value:
            found = f"min_value={min_value}, max_value={max_value}"
            raise ValueRangeError("MinMaxNorm: max_value is below min_value.", found=found)
        self.min_value, self.max_value, self.rate, self.axis = min_value, max_value, rate, axis

    def __call__(self, w: Any) -> Any:
        """w · (rate · clipped length + (1 - rate) · length) / length."""
        norm = _norm(w, self.axis)
        wanted = self.rate * clip(norm, self.min_value, self.max_value) + (1 - self.rate) * norm
        return w * (wanted / (norm + _EPSILON))


__all__ = spellings(globals(), Constraint)
