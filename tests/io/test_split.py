"""The split: disjoint, complete, the same for the same seed, and never fooled by the order of the rows."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlit.core.errors import ArgumentError, DataError
from backlit.io.bundled import load
from backlit.io.split import MIN_PER_CLASS, Split, split

SEEDS = st.integers(0, 2**40)


def parts_of(parts: Split) -> list[np.ndarray]:
    return [parts.train, parts.dev, parts.test]


@st.composite
def labels(draw: st.DrawFn) -> np.ndarray:
    """Sorted class labels that count as classes: 2..m/10 of them, at least 3 rows of each."""
    counts = draw(st.lists(st.integers(MIN_PER_CLASS, 60), min_size=2, max_size=8))
    counts[0] += max(0, 10 * len(counts) - sum(counts))
    return np.repeat(np.arange(len(counts)), counts)


@st.composite
def fractions(draw: st.DrawFn) -> tuple[float, float, float]:
    weights = [draw(st.integers(low, 100)) for low in (1, 0, 0)]
    return weights[0] / sum(weights), weights[1] / sum(weights), weights[2] / sum(weights)


@given(st.integers(10, 500), SEEDS, fractions())
def test_numbers_are_dealt_out_completely_and_in_the_rounded_sizes(m: int, seed: int, shares: Any) -> None:
    parts = split(np.linspace(0, 1, m), seed, shares)
    assert not parts.stratified
    assert np.array_equal(np.sort(np.concatenate(parts_of(parts))), np.arange(m))
    for part, share in zip(parts_of(parts), shares, strict=True):
        assert (len(part) > 0) == (share > 0)
        assert abs(len(part) - share * m) < 1 + 1e-6 or min(len(other) for other in parts_of(parts) if len(other)) == 1


@given(labels(), SEEDS, fractions())
def test_every_class_is_in_every_part(y: np.ndarray, seed: int, shares: Any) -> None:
    parts = split(y, seed, shares)
    assert parts.stratified
    assert np.array_equal(np.sort(np.concatenate(parts_of(parts))), np.arange(len(y)))
    for part, share in zip(parts_of(parts), shares, strict=True):
        assert set(y[part]) == (set(y) if share > 0 else set())


@given(labels(), SEEDS)
def test_classes_keep_their_proportion_and_parts_their_size(y: np.ndarray, seed: int) -> None:
    parts = split(y, seed)
    counts = np.bincount(y)
    for part, share in zip(parts_of(parts), (0.70, 0.15, 0.15), strict=True):
        assert np.all(np.abs(np.bincount(y[part]) - share * counts) < 2 + 1e-9)
        if counts.min() >= 7:  # so large that its one row in every part is its share anyway
            assert abs(len(part) - share * len(y)) < 1


@given(labels(), SEEDS, st.randoms(use_true_random=False))
def test_sorted_labels_do_not_fool_it(y: np.ndarray, seed: int, random: Any) -> None:
    """Sorted or mixed, each part gets the same number of rows of each class."""
    order = list(range(len(y)))
    random.shuffle(order)
    mixed = y[order]
    for plain, other in zip(parts_of(split(y, seed)), parts_of(split(mixed, seed)), strict=True):
        assert np.array_equal(np.bincount(y[plain]), np.bincount(mixed[other]))


@given(labels(), SEEDS)
def test_deterministic(y: np.ndarray, seed: int) -> None:
    for one, two in zip(parts_of(split(y, seed)), parts_of(split(y, seed)), strict=True):
        assert np.array_equal(one, two) and one.dtype == np.int64


def test_another_seed_is_another_split() -> None:
    y = load("digits").y
    tests = [frozenset(split(y, seed).test.tolist()) for seed in range(5)]
    assert len(set(tests)) == 5


def test_digits_by_number() -> None:
    y = load("digits").y
    parts = split(y)
    assert parts.stratified and [len(part) for part in parts_of(parts)] == [1258, 270, 269]
    assert parts.note == "stratified: each of the 10 classes is spread over the parts in proportion"
    for part in parts_of(parts):
        assert len(set(y[part[:60]])) == 10, "rows are shuffled within the part, not sorted by class"


def test_iris_which_is_sorted_by_class() -> None:
    y = load("iris").y
    parts = split(y)
    assert [len(part) for part in parts_of(parts)] == [105, 23, 22]
    assert np.array_equal(np.bincount(y[parts.train]), [35, 35, 35])
    for part in (parts.dev, parts.test):
        assert set(np.bincount(y[part])) <= {7, 8}


def test_rows_are_not_left_in_their_order() -> None:
    parts = split(np.linspace(0, 1, 1000))
    for part in parts_of(parts):
        assert abs(np.corrcoef(part, np.arange(len(part)))[0, 1]) < 0.3
        assert abs(part.mean() - 499.5) < 80


@pytest.mark.parametrize(
    ("y", "stratified", "why"),
    [
        (["a"] * 15 + ["b"] * 15, True, "2 classes"),
        (np.array(["a", "b"] * 10, dtype=object), True, "2 classes"),
        (np.array([True, False] * 10), True, "2 classes"),
        (np.array([[0], [1]] * 10), True, "2 classes"),
        (np.array([0.0, 1.0] * 10), False, "not whole"),
        (np.array([[0, 1]] * 20), False, "shape (20, 2)"),
        (np.zeros(20, dtype=int), False, "one value only"),
        (np.repeat([0, 1], [18, 2]), False, "class 1 has 2 of the 3 rows needed"),
        (np.repeat(np.arange(6), 9), False, "6 different values in 54 rows"),
        (np.array([None, 1] * 10), False, "dtype object"),
    ],
)
def test_what_counts_as_classes(y: Any, stratified: bool, why: str) -> None:
    parts = split(y)
    assert parts.stratified is stratified and why in parts.note


def test_the_caller_decides() -> None:
    y = np.repeat([0, 1], [15, 15])
    assert not split(y, stratify=False).stratified
    assert split(np.repeat(np.arange(6.0), 9), stratify=True).stratified
    with pytest.raises(DataError, match="class 1 has 2 of the 3"):
        split(np.repeat([0, 1], [18, 2]), stratify=True)
    with pytest.raises(DataError, match=r"shape \(20, 2\)"):
        split(np.zeros((20, 2)), stratify=True)


def test_many_small_classes_keep_the_sizes_of_the_parts() -> None:
    y = np.repeat(np.arange(500), 10)
    parts = split(y)
    assert parts.stratified and [len(part) for part in parts_of(parts)] == [3500, 750, 750]


def test_a_part_without_rows() -> None:
    y = np.repeat([0, 1], 20)
    parts = split(y, fractions=(0.8, 0.0, 0.2))
    assert [len(part) for part in parts_of(parts)] == [32, 0, 8]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"y": range(9)}, DataError, "at least 10 rows"),
        ({"y": [[1], [1, 2]] * 5}, DataError, "not equally long"),
        ({"y": 5}, ArgumentError, "one y for each row"),
        ({"fractions": (0.5, 0.2, 0.2)}, DataError, "together 0.9"),
        ({"fractions": (1.2, -0.1, -0.1)}, DataError, "none negative"),
        ({"fractions": (0.0, 0.5, 0.5)}, DataError, "first above 0"),
        ({"fractions": (float("nan"), 0.5, 0.5)}, DataError, "together nan"),
        ({"fractions": (0.8, 0.2)}, ArgumentError, "three numbers"),
        ({"fractions": ("a", "b", "c")}, ArgumentError, "three numbers"),
        ({"fractions": 0.7}, ArgumentError, "three numbers"),
        ({"seed": -1}, DataError, "negative"),
        ({"seed": 1.5}, ArgumentError, "whole number"),
        ({"seed": True}, ArgumentError, "whole number"),
    ],
)
def test_refusals(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        split(**{"y": range(100), **arguments})
