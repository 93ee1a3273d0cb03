"""Whether y depends on x at all, as far as the rows show it: three tests, of which each sees what the others may miss."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from .subject import evenly

_FEATURES = 64  # of which products are made, and in whose space rows are near
_ROWS = 500  # whose nearest ones are looked for
_NEAREST = 5
LEVEL = 0.05  # the chance that any of the tests sees a relation where there is none
_SHARE = 0.1  # of the variance of y: a relation that explains so much
_ROOM = 1e15  # numbers up to this size, and down to its inverse, are squared in float32
_POWER = 0.99  # must be found with this probability, or else nothing is said


@dataclass(frozen=True)
class Relation:
    """What the tests saw, in standard deviations of chance: of single features, of products of two, of the nearest rows.
    Tests after the one that sees a relation are not made (NaN). `alike`: how the y of the nearest rows goes with the
    row's own, from -1 to 1. `seen`: whether any sees a relation."""

    rows: int
    single: float
    pairs: float
    nearest: float
    alike: float
    seen: bool


def quantile(chance: float) -> float:
    """The number of standard deviations that a normal variable exceeds, on either side, with this probability."""
    low, high = 0.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if math.erfc(middle / math.sqrt(2)) > chance else (low, middle)
    return high


def enough(rows: int) -> bool:
    """Whether a relation that explains a tenth of y is found in so many rows nearly always (Fisher's transform of a
    correlation has the deviation 1 / √(rows - 3))."""
    wanted = (quantile(LEVEL) + quantile(2 * (1 - _POWER))) / math.atanh(math.sqrt(_SHARE))
    return rows >= wanted**2 + 3


def relation(x: Any, y: Any) -> Relation | None:
    """What the tests say of x (rows, features) and y (rows, targets); None where one of them never changes.

    Each gets a third of the level, shared out among all that it looks at (Bonferroni).
    """
    x, y = _both(x, y)
    if not x.size or not y.size:
        return None
    level = LEVEL / 3 / y.shape[1]
    single = _single(x, y)
    if single > quantile(level / x.shape[1]):
        return Relation(len(x), single, math.nan, math.nan, math.nan, True)
    some = np.ascontiguousarray(x[:, evenly(x.shape[1], _FEATURES)])
    pairs = _pairs(some, y)
    if pairs > quantile(level / (some.shape[1] * (some.shape[1] + 1) / 2)):
        return Relation(len(x), single, pairs, math.nan, math.nan, True)
    some = evenly(len(x), _ROWS)
    near = x[some] if x.shape[1] <= _FEATURES else _projected(x[some])
    nearest, alike = _nearest(near, _standard(y[some]))
    return Relation(len(x), single, pairs, nearest, alike, nearest > quantile(level))


def plain_relation(x: Any, y: Any) -> Relation | None:
    """What single features show in few rows, where hardly any chance is left; None where they show nothing."""
    x, y = _both(x, y)
    single = _single(x, y) if x.size and y.size else 0.0
    sure = single > quantile(LEVEL / 100 / max(1, x.shape[1] * y.shape[1]))
    return Relation(len(x), single, math.nan, math.nan, math.nan, True) if sure else None


def _both(x: Any, y: Any) -> tuple[Any, Any]:
    x = _standard(x)
    return x, _standard(y).astype(x.dtype, copy=False)


def _standard(values: Any) -> Any:
    """The columns that change, with mean 0 and deviation 1: float32 stays so, where its squares have room in it."""
    values = np.asarray(values).reshape(len(values), -1)
    if values.dtype != np.float32:
        values = values.astype(np.float64)
    moved = values - values[0]  # exactly 0 where nothing changes, and near the mean: no digits are lost
    size = np.maximum(moved.max(axis=0), -moved.min(axis=0))
    moving = size > 0
    if values.dtype == np.float32 and not (np.isfinite(size) & (size < _ROOM) & (~moving | (size > 1 / _ROOM))).all():
        return _standard(values.astype(np.float64))
    if not moving.all():
        moved = moved[:, moving]
    moved -= moved.mean(axis=0)
    moved /= np.sqrt(np.einsum("ij,ij->j", moved, moved) / len(moved))
    return moved


def _single(x: Any, y: Any) -> float:
    """The largest correlation of a feature with a target."""
    return float(np.abs(x.T @ y).max()) / math.sqrt(len(x))


def _pairs(x: Any, y: Any) -> float:
    """The largest correlation of a product of two features, or of a square, with a target."""
    exact = x.astype(np.float64)  # what is left of two sums that are nearly equal
    around = (exact**2).T @ (exact**2) - (exact.T @ exact) ** 2 / len(x)
    spread = np.where(around > 1e-9 * len(x), np.sqrt(np.maximum(around, 1e-30)), np.inf)
    return float(max(np.abs((x.T @ (x * column[:, np.newaxis])) / spread).max() for column in y.T))


def _projected(x: Any) -> Any:
    """Fewer columns that keep the distances, about (Johnson and Lindenstrauss)."""
    rng = np.random.Generator(np.random.PCG64(3))
    return x @ rng.standard_normal((x.shape[1], _FEATURES), dtype=np.float32)


def _smallest(far: Any, near: int) -> Any:
    """The places of so many smallest numbers in each row; where equal ones leave a choice, of any of these."""
    limit = np.partition(far, near - 1, axis=1)[:, near - 1 : near]
    places = np.nonzero(far <= limit)[1]
    if len(places) != near * len(far):
        return np.argpartition(far, near - 1, axis=1)[:, :near]
    return places.reshape(len(far), near)


def _nearest(x: Any, y: Any) -> tuple[float, float]:
    """Moran's I of the nearest rows, in its standard deviations and as it is; the largest of all targets."""
    rows, near = len(x), min(_NEAREST, len(x) - 1)
    squares = np.einsum("ij,ij->i", x, x)
    far = squares[:, np.newaxis] + squares - 2 * (x @ x.T)
    np.fill_diagonal(far, np.inf)
    linked = _smallest(far, near)
    both = int((linked[linked] == np.arange(rows)[:, np.newaxis, np.newaxis]).sum())  # of which each is near the other
    deviation = math.sqrt((rows * near + both) / near**2)  # of the sum of y y' / near over linked rows
    alike = np.einsum("ij,ij->j", y, y[linked].sum(axis=1)) / near
    best = int(np.argmax(np.abs(alike + rows / (rows - 1))))
    return float(abs(alike[best] + rows / (rows - 1)) / deviation), float(alike[best] / rows)
