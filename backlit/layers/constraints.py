"""Where a weight is brought back to after every update: the last thing that happens to it in a training step."""

from __future__ import annotations

from numbers import Real
from typing import Any

from ..core.errors import ValueRangeError
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
        raise NotImplementedError(f"{type(self).__name__}.__call__")


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

    def __init__(self, max_value: float = 2, axis: Any = 0):
        self.max_value, self.axis = _bound("MaxNorm", "max_value", max_value), axis

    def __call__(self, w: Any) -> Any:
        """w · min(|w|, max_value) / |w|."""
        norm = _norm(w, self.axis)
        return w * (clip(norm, 0.0, self.max_value) / (norm + _EPSILON))


class UnitNorm(Constraint):
    """w / |w|, where |w| is the length over `axis`: each unit's weights get length 1."""

    def __init__(self, axis: Any = 0):
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        """w / |w|."""
        return w / (_norm(w, self.axis) + _EPSILON)


class MinMaxNorm(Constraint):
    """The length over `axis` is brought between `min_value` and `max_value`; with `rate` below 1 only that part of
    the way at each step."""

    def __init__(self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0):
        self.min_value = _bound("MinMaxNorm", "min_value", min_value)
        self.max_value = _bound("MinMaxNorm", "max_value", max_value, self.min_value)
        self.rate, self.axis = _bound("MinMaxNorm", "rate", rate), axis

    def __call__(self, w: Any) -> Any:
        """w · (rate · clipped length + (1 - rate) · length) / length."""
        norm = _norm(w, self.axis)
        wanted = self.rate * clip(norm, self.min_value, self.max_value) + (1 - self.rate) * norm
        return w * (wanted / (norm + _EPSILON))


def _bound(kind: str, what: str, value: Any, least: float = 0.0) -> float:
    if not isinstance(value, Real) or not float(value) >= least:
        raise ValueRangeError(f"{kind} cannot use this {what}.", expected=f"a number from {least:g}", found=repr(value))
    return float(value)


__all__ = spellings(globals(), Constraint)
