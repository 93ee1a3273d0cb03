"""Whether the whole numbers in y name classes: then neighbouring numbers are no nearer to one another in X than any two."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .subject import MOST_ROWS, HeadFacts, Subject, evenly

FEWEST, MOST = 4, 20  # of three numbers, one order in three is that of amounts
_COLUMNS = 64
_ROWS_EACH = 8  # of a class that is looked at
_NEARLY_ALL = 0.9  # of the rows
_CLEAR = 10.0  # F statistic of a feature in which classes differ: by chance in one of 10⁵, for 4 classes of 20 rows
_MOST_CHANCE = 0.05  # of the squared distances between classes
_MARGIN = 0.15
_RIGHT = 0.5  # what is nearer to a whole number than this is rounded to it


@dataclass(frozen=True)
class Named:
    """How far neighbouring numbers of y lie apart in X, as a share of what any two do, and the most that it is for amounts:
    squares of the distances between the means of their rows, less what chance makes of them."""

    apart: float
    of_amounts: float


def named(subject: Subject, head: HeadFacts) -> Named | None:
    """What a sample of the rows says of a y of whole numbers, one a row; None where too little is seen of them in X, and
    where a line through X gives y to within a half anyway."""
    rows = subject.some_rows(MOST_ROWS)
    if (w := subject.w[head.place]) is not None:
        rows = rows[np.reshape(w[rows], (len(rows), -1)).any(axis=1)]
    dense = [part for part in subject.x if isinstance(part, np.ndarray)]
    return of_columns(_columns(dense, rows), np.asarray(subject.y[head.place])[rows].reshape(-1)) if dense else None


def of_columns(x: Any, y: Any) -> Named | None:
    """The same of x (rows, columns) and y (rows,)."""
    numbers, places, counts = np.unique(y, return_inverse=True, return_counts=True)
    often = counts >= _ROWS_EACH
    kept = often[places]
    if often.sum() < FEWEST or kept.mean() < _NEARLY_ALL:
        return None
    x, y, counts = _standard(x[kept]), y[kept], counts[often]
    classes = len(counts)
    means = (y == numbers[often][:, np.newaxis]).astype(np.float64) @ x / counts[:, np.newaxis]
    between = counts @ means**2  # of all squares, of which each column has as many as there are rows
    within = np.maximum(len(x) - between, 1e-9 * len(x)) / (len(x) - classes)
    clear = between / (classes - 1) > _CLEAR * within
    if not clear.any() or _rounded(x, y):
        return None
    means, chance = means[:, clear], within[clear].sum() / counts
    lie = 2 * means.var(axis=0).sum() * classes / (classes - 1)  # mean squared distance of any two
    if 2 * chance.mean() > _MOST_CHANCE * lie:
        return None
    return Named(_ratio(means, chance), _of_amounts(classes))


def _columns(parts: Sequence[Any], rows: Any) -> Any:
    """Some columns of every input (rows, columns)."""
    flat = [part.reshape(len(part), -1) for part in parts]
    some = [each[rows[:, np.newaxis], evenly(each.shape[1], _COLUMNS)] for each in flat]
    return np.concatenate(some, axis=1).astype(np.float64)


def _standard(x: Any) -> Any:
    """The columns that change, with mean 0 and deviation 1."""
    moved = x - x[0]
    moved = moved[:, moved.any(axis=0) & np.isfinite(moved).all(axis=0)]
    moved -= moved.mean(axis=0)
    return moved / moved.std(axis=0)


def _rounded(x: Any, y: Any) -> bool:
    """Whether the best linear answer is less than a half away from y, in the root of the mean of squares."""
    centred = y - y.mean()
    left = centred - x @ np.linalg.lstsq(x, centred, rcond=None)[0]
    return bool(left @ left < _RIGHT**2 * len(y))


def _ratio(means: Any, noise: Any) -> float:
    """Mean squared distance of neighbouring means (classes, features) by that of any two; `noise`: what chance adds to the
    square of each mean."""
    squares = np.square(means[:, np.newaxis] - means).sum(axis=-1) - noise[:, np.newaxis] - noise
    all_pairs = squares[np.triu_indices(len(means), 1)].mean()
    return float(squares.diagonal(1).mean() / all_pairs) if all_pairs > 0 else 0.0


def _of_amounts(classes: int) -> float:
    """The largest ratio of amounts: no feature that only grows with them exceeds that of a single step, and one that
    falls and grows again has that of a parabola; with a margin."""
    step = np.arange(classes) > 0
    parabola = (np.arange(classes) - (classes - 1) / 2) ** 2
    courses = np.array([step, parabola])[:, :, np.newaxis]
    return _MARGIN + max(_ratio(course, np.zeros(classes)) for course in courses)
