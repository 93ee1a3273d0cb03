"""Rows into train, dev and test: the same for the same seed, and not fooled by rows that are sorted by class."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, DataError

PARTS = ("train", "dev", "test")
MIN_ROWS = 10
MIN_PER_CLASS = 3

_STREAM = 0x5B117  # keeps these draws apart from other uses of the same seed


@dataclass(frozen=True, eq=False)
class Split:
    """Row numbers of the three parts (int64, shuffled), whether classes were kept in proportion, and why."""

    train: np.ndarray
    dev: np.ndarray
    test: np.ndarray
    stratified: bool
    note: str


class _Classes(NamedTuple):
    codes: np.ndarray  # (m,) the class of each row, 0..k-1
    counts: np.ndarray  # (k,) rows of each class


_Parts = tuple[np.ndarray, np.ndarray, np.ndarray]


def split(
    y: Any,
    seed: int = 0,
    fractions: Sequence[float] = (0.70, 0.15, 0.15),
    stratify: bool | None = None,
) -> Split:
    """Row numbers for training, development and test, disjoint and together all rows of `y`, shape (m,) or (m, k).

    `stratify=None` decides from y: whole numbers, booleans or strings with 2 to m/10 different values and at least 3
    rows of each are classes, and each class is then spread over the parts in proportion; anything else is shuffled.
    True demands it, False forbids it. Sizes are the rounded fractions of m, except that a part with a fraction above 0
    gets at least one row (when stratified: of each class, so that very small classes can shift the sizes).

    Raises DataError for fewer than 10 rows, fractions that are negative or do not add up to 1, a negative seed, or
    `stratify=True` where it is impossible; ArgumentError for arguments of the wrong kind.

    >>> parts = split([0] * 50 + [1] * 50)
    >>> len(parts.train), len(parts.dev), len(parts.test), parts.note
    (70, 15, 15, 'stratified: each of the 2 classes is spread over the parts in proportion')
    """
    values = _flat(y)
    shares = _fractions(fractions)
    rng = np.random.Generator(np.random.PCG64([_seed(seed), _STREAM]))
    classes, obstacle = (None, "stratify is False") if stratify is False else _classes(values, asked=stratify is True)
    if classes is not None:
        note = f"stratified: each of the {len(classes.counts)} classes is spread over the parts in proportion"
        return Split(*_deal(classes, shares, rng), True, note)
    if stratify:
        raise DataError("y cannot be split class by class.", found=obstacle, fix="use stratify=None or False")
    one = _Classes(np.zeros(len(values), dtype=np.int64), np.array([len(values)]))
    return Split(*_deal(one, shares, rng), False, f"shuffled, not stratified: {obstacle}")


def _flat(y: Any) -> np.ndarray:
    try:
        values = np.asarray(y)
    except ValueError as problem:
        raise DataError("the rows of y are not equally long.", expected="y of shape (m,) or (m, k)") from problem
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 0:
        raise ArgumentError(
            "split needs one y for each row.", expected="an array of shape (m,) or (m, k)", found=repr(y)
        )
    if len(values) < MIN_ROWS:
        raise DataError(
            "there are too few rows to split.",
            expected=f"at least {MIN_ROWS} rows",
            found=f"{len(values)} rows",
            why="a part would be empty or say nothing",
        )
    if values.dtype == object and all(isinstance(value, str) for value in values.flat):
        return values.astype(str)
    return values


def _seed(seed: Any) -> int:
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise ArgumentError("seed must be a whole number.", found=f"{seed!r} ({type(seed).__name__})")
    if seed < 0:
        raise DataError("seed must not be negative.", found=f"{seed}")
    return int(seed)


def _fractions(fractions: Any) -> np.ndarray:
    expected = "three numbers for train, dev and test, such as (0.70, 0.15, 0.15)"
    given = list(fractions) if isinstance(fractions, (Sequence, np.ndarray)) else []
    if len(given) != len(PARTS) or not all(isinstance(f, Real) and not isinstance(f, bool) for f in given):
        raise ArgumentError("fractions cannot be read.", expected=expected, found=repr(fractions))
    negative = any(not f >= 0 for f in given) or not given[0] > 0
    if negative or not math.isclose(sum(given), 1.0, abs_tol=1e-6):
        raise DataError(
            "fractions must be shares of the rows.",
            expected="none negative, the first above 0, together 1",
            found=f"{tuple(given)}, together {sum(given):g}",
        )
    shares = np.array(given, dtype=np.float64)
    shares /= shares.sum()
    return shares


def _classes(y: np.ndarray, asked: bool) -> tuple[_Classes | None, str]:
    """The classes in y, or None and what stands against taking y for class labels."""
    if y.ndim != 1:
        return None, f"y has shape {y.shape}"
    if y.dtype.kind not in ("biufUS" if asked else "biuUS"):
        return None, "y holds numbers that are not whole" if y.dtype.kind == "f" else f"y has dtype {y.dtype}"
    names, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return None, f"y has one value only, {names[0]}"
    if counts.min() < MIN_PER_CLASS:
        rare = int(counts.argmin())
        obstacle = f"class {names[rare]} has {counts[rare]} of the {MIN_PER_CLASS} rows needed"
    else:
        obstacle = ""
    if len(names) > len(y) / 10 and not asked:
        obstacle = f"y has {len(names)} different values in {len(y)} rows"
    return (None, obstacle) if obstacle else (_Classes(codes, counts), "")


def _deal(classes: _Classes, fractions: np.ndarray, rng: np.random.Generator) -> _Parts:
    codes, counts = classes
    shares = _shares(counts, fractions)
    _level(shares, counts[:, None] * fractions, _shares(np.array([len(codes)]), fractions)[0])
    shuffled = rng.permutation(len(codes))
    by_class = shuffled[np.argsort(codes[shuffled], kind="stable")]
    of = codes[by_class]
    rank = np.arange(len(codes)) - (np.cumsum(counts) - counts)[of]
    ends = np.cumsum(shares, axis=1)
    part = (rank >= ends[of, 0]).astype(np.int64) + (rank >= ends[of, 1])
    train, dev, test = (rng.permutation(by_class[part == index]) for index in range(len(PARTS)))
    return train, dev, test


def _shares(counts: np.ndarray, fractions: np.ndarray) -> np.ndarray:
    """Whole numbers (k, 3), rows adding up to `counts`: largest remainders, at least 1 where a fraction is > 0."""
    quota = counts[:, None] * fractions
    shares: np.ndarray = np.floor(quota + 1e-9).astype(np.int64)
    left = counts - shares.sum(axis=1)
    rank = np.argsort(np.argsort(-(quota - shares).round(9), axis=1, kind="stable"), axis=1, kind="stable")
    shares += rank < left[:, None]
    for part in np.flatnonzero(fractions > 0):
        empty = np.flatnonzero(shares[:, part] == 0)
        shares[empty, shares[empty].argmax(axis=1)] -= 1
        shares[empty, part] = 1
    return shares


def _level(shares: np.ndarray, quota: np.ndarray, target: np.ndarray) -> None:
    """Moves single rows of classes between parts until the parts have their `target` sizes, or no class can move more.

    A class can where it keeps a row in the part that gives and stays less than two rows from its exact share; of those
    that can, the ones move that end nearest to it.
    """
    while True:
        surplus = shares.sum(axis=0) - target
        excess = shares - quota
        for a, b in ((a, b) for a in np.argsort(-surplus) for b in np.argsort(surplus)):
            able = np.flatnonzero((shares[:, a] > 1) & (excess[:, a] > -1) & (excess[:, b] < 1))
            if surplus[a] > 0 > surplus[b] and len(able):
                break
        else:
            return
        nearest = able[np.argsort((excess[:, b] - excess[:, a])[able], kind="stable")]
        chosen = nearest[: min(surplus[a], -surplus[b])]
        shares[chosen, a] -= 1
        shares[chosen, b] += 1


registry.register("split.split", split)
