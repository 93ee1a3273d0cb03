"""From what people pass to `fit` to one array a column: inputs, targets, weights, in the model's own structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import ArgumentError, DataError, ShapeError, ValueRangeError
from . import door
from .heads import Head


@dataclass(frozen=True)
class Feed:
    """Arrays with one row an example; `w` has None for a head without weights."""

    x: list[Any]
    y: list[Any]
    w: list[Any]

    @property
    def rows(self) -> int:
        """How many examples there are."""
        return len(self.x[0])

    @property
    def columns(self) -> list[Any]:
        """The arrays in the order of a step's columns."""
        return [*self.x, *self.y, *(weight for weight in self.w if weight is not None)]

    @property
    def weights(self) -> tuple[Any, ...]:
        """For each head the shape of one example's weights, or None."""
        return tuple(None if weight is None else weight.shape[1:] for weight in self.w)

    def take(self, rows: Any) -> Feed:
        """The rows of a slice or of an index array."""
        return Feed(
            [each[rows] for each in self.x],
            [each[rows] for each in self.y],
            [None if each is None else each[rows] for each in self.w],
        )


def parts(value: Any, names: Sequence[str], what: str) -> list[Any]:
    """One part for each name: a dict by names, a list of as many arrays, or, for a single name, the value itself."""
    if isinstance(value, Mapping):
        missing, unknown = set(names) - set(value), set(value) - set(names)
        if missing or unknown:
            raise ValueRangeError(
                f"{what} does not name what the model has.", expected=", ".join(names), found=", ".join(map(str, value))
            )
        return [value[name] for name in names]
    if len(names) == 1:
        alone = isinstance(value, (list, tuple)) and len(value) == 1 and isinstance(value[0], np.ndarray)
        return [value[0] if alone and value[0].ndim > 1 else value]
    if not isinstance(value, (list, tuple)) or len(value) != len(names):
        found = f"{len(value)} parts" if isinstance(value, (list, tuple)) else type(value).__name__
        raise ArgumentError(f"{what} must have one part for each of {', '.join(names)}.", found=found)
    return list(value)


def inputs(model: Any, x: Any) -> list[Any]:
    """One array for each input of a built model."""
    leaves = model.inputs
    names = [leaf.name or f"input {place}" for place, leaf in enumerate(leaves)]
    arrays = []
    for name, leaf, part in zip(names, leaves, parts(x, names, "X"), strict=True):
        array = door.features(part, leaf.shape, "X" if len(leaves) == 1 else f"X[{name!r}]")
        if leaf.dtype not in ("float32", "float64") and array.dtype.kind == "f" and (array != np.floor(array)).any():
            raise door.refuse(DataError(f"{name} takes whole numbers.", found="fractions"), "whole numbers")
        arrays.append(array)
    _same_length(arrays, names)
    return arrays


def _same_length(arrays: Sequence[Any], names: Sequence[str]) -> None:
    if len({len(array) for array in arrays}) > 1:
        found = ", ".join(f"{name} {len(array)}" for name, array in zip(names, arrays, strict=True))
        raise door.refuse(ShapeError("the inputs have different numbers of examples.", found=found), "rows")


def feed(model: Any, x: Any, y: Any, sample_weight: Any = None) -> Feed:
    """Inputs, targets and weights for a built and compiled model."""
    if y is None:
        raise ArgumentError("y is missing.", fix="model.fit(X, y)")
    arrays = inputs(model, x)
    heads: list[Head] = model.heads
    names = [head.name for head in heads]
    rows = len(arrays[0])
    targets = [
        door.targets(part, head.loss, head.shape, rows, model.layer_of(head.name))
        for head, part in zip(heads, parts(y, names, "y"), strict=True)
    ]
    if sample_weight is None:
        return Feed(arrays, targets, [None] * len(heads))
    shared = not isinstance(sample_weight, Mapping) and (len(heads) == 1 or _is_vector(sample_weight))
    given = [sample_weight] * len(heads) if shared else parts(sample_weight, names, "sample_weight")
    weights = [
        None if part is None else door.weights(part, rows, head.shape) for head, part in zip(heads, given, strict=True)
    ]
    return Feed(arrays, targets, weights)


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) or not any(isinstance(item, (list, tuple, np.ndarray)) for item in value)


def class_numbers(target: Any) -> Any:
    """The class of each row (m,): y itself, its only column, or the place of the 1 in a one-hot row."""
    columns = target.reshape(len(target), -1)
    return columns[:, 0] if columns.shape[1] == 1 else columns.argmax(axis=1)


def by_class(class_weight: Any, target: Any) -> Any:
    """One weight an example from {label: weight} or "balanced" (rows / (classes · rows of the class))."""
    labels = class_numbers(target)
    if isinstance(class_weight, str) and class_weight == "balanced":
        values, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return (len(labels) / (len(values) * counts))[places.reshape(-1)]
    if not isinstance(class_weight, Mapping):
        expected = "{label: weight} or 'balanced'"
        raise ArgumentError("class_weight cannot be read.", expected=expected, found=repr(class_weight)[:60])
    missing = sorted(set(np.unique(labels).tolist()) - set(class_weight))
    if missing:
        raise ValueRangeError("class_weight does not name every class of y.", found=f"missing: {missing}")
    return door.weights([class_weight[label] for label in labels.tolist()], len(labels), (), "class_weight")
