"""From what people pass to `fit` to one array a column: inputs, targets, weights, in the model's own structure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, LabelError, ShapeError, ValueRangeError
from ..layers.network import flat
from . import door
from .heads import Head
from .sparse import SparseRows

_MOST_PARTS = 64  # a longer list is a list of rows
Learn: TypeAlias = Literal["", "columns", "all"]  # what a model remembers of data: nothing, columns, also classes


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
            [each.take(rows) if isinstance(each, SparseRows) else each[rows] for each in self.x],
            [each[rows] for each in self.y],
            [None if each is None else each[rows] for each in self.w],
        )

    def weighted(self, class_weight: Any, model: Any) -> Feed:
        """With one more factor in the weights of each example: that of its class, {label: weight} or "balanced"."""
        if class_weight is None:
            return self
        if len(self.y) > 1 or (model.heads[0].loss.labels and self.y[0].ndim > 1):
            fix = "use sample_weight, for several outputs {output: weights}"
            raise ArgumentError("class_weight is for models of one output with one label an example.", fix=fix)
        each, given = by_class(class_weight, self.y[0], model.classes), self.w[0]
        if given is not None:
            each = given * each.reshape(-1, *[1] * (given.ndim - 1))
        return Feed(self.x, self.y, [each])


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


def inputs(model: Any, x: Any, whole: bool = False) -> list[Any]:
    """One array for each input of a built model; `whole`: these are all rows of a training."""
    leaves = model.inputs
    names = [leaf.name or f"input {place}" for place, leaf in enumerate(leaves)]
    arrays = []
    for name, leaf, part in zip(names, leaves, parts(x, names, "X"), strict=True):
        what = "X" if len(leaves) == 1 else f"X[{name!r}]"
        arrays.append(door.features(part, leaf.shape, what, leaf.dtype, whole))
    if len({len(array) for array in arrays}) > 1:
        found = ", ".join(f"{name} {len(array)}" for name, array in zip(names, arrays, strict=True))
        raise door.refuse(ShapeError("the inputs have different numbers of examples.", found=found), "rows")
    return arrays


def feed(model: Any, x: Any, y: Any, sample_weight: Any = None, learn: Learn = "") -> Feed:
    """Inputs, targets and weights for a compiled model, which is built for them if it is not built yet.

    A batch of a training tells the names of "columns", all rows of one also those of classes.
    """
    if y is None:
        raise ArgumentError("y is missing.", fix="model.fit(X, y)")
    for other, what in ((y, "y"), (sample_weight, "sample_weight")):
        if foreign(x) and foreign(other):
            registry.lookup("frames.same_rows")(x, other, what)
    arrays = model.ready(x, learn)
    heads: list[Head] = model.heads
    names = [head.name for head in heads]
    rows = len(arrays[0])
    targets = [
        door.targets(_numbered(model, head, part, learn == "all"), head, rows, model.layer_of(head.name), model.dtype)
        for head, part in zip(heads, parts(y, names, "y"), strict=True)
    ]
    if sample_weight is None:
        return Feed(arrays, targets, [None] * len(heads))
    shared = not isinstance(sample_weight, Mapping) and (len(heads) == 1 or _is_vector(sample_weight))
    given = [sample_weight] * len(heads) if shared else parts(sample_weight, names, "sample_weight")
    weights = [
        None if part is None else door.weights(column(part, "sample_weight"), rows, head.shape)
        for head, part in zip(heads, given, strict=True)
    ]
    return Feed(arrays, targets, weights)


def foreign(value: Any) -> bool:
    """Whether a value, or a part of it, may be a table or a series: it is of neither Python's nor NumPy's own kinds."""
    if isinstance(value, np.ndarray):
        return False
    parts = flat(value)
    return len(parts) <= _MOST_PARTS and any(
        type(part).__module__.partition(".")[0] not in ("builtins", "numpy") for part in parts
    )


def column(value: Any, what: str) -> Any:
    """A table as an array; anything else as it is."""
    return registry.lookup("frames.column")(value, what) if foreign(value) else value


def _numbered(model: Any, head: Head, part: Any, learn: bool) -> Any:
    """y with names of classes as their numbers; with `learn` the model remembers the names."""
    part = column(part, "y")
    if isinstance(part, np.ndarray) and part.dtype.kind in "fiub":
        return part
    array = door.raw(part, "y")
    if not _has_text(array):
        return part if array.dtype.kind == "O" else array
    if len(model.heads) > 1:
        message = "y holds names, and the model has several outputs."
        raise door.refuse(LabelError(message, fix="number the classes of each output from 0"), "labels")
    if isinstance(part, (list, tuple)):  # of [1, "a"] NumPy makes text
        array = np.array(part, dtype=object)
    layer = model.layer_of(head.name)
    numbers, classes = registry.lookup("labels.numbered")(array, head, layer, model.classes, learn)
    if learn:
        model.classes = classes
    return numbers


def _has_text(array: Any) -> bool:
    return array.dtype.kind in "UT" or (array.dtype.kind == "O" and any(isinstance(each, str) for each in array.flat))


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) or not any(isinstance(item, (list, tuple, np.ndarray)) for item in value)


def class_numbers(target: Any) -> Any:
    """The class of each row (m,): y itself, its only column, or the place of the 1 in a one-hot row."""
    columns = target.reshape(len(target), -1)
    return columns[:, 0] if columns.shape[1] == 1 else columns.argmax(axis=1)


def by_class(class_weight: Any, target: Any, classes: Sequence[str] | None = None) -> Any:
    """One weight an example from {label: weight} or "balanced" (rows / (classes · rows of the class)).

    Where the classes have names, the labels may be those.
    """
    labels = class_numbers(target)
    if isinstance(class_weight, str) and class_weight == "balanced":
        values, places, counts = np.unique(labels, return_inverse=True, return_counts=True)
        return (len(labels) / (len(values) * counts))[places.reshape(-1)]
    if not isinstance(class_weight, Mapping):
        expected = "{label: weight} or 'balanced'"
        raise ArgumentError("class_weight cannot be read.", expected=expected, found=repr(class_weight)[:60])
    number = {name: place for place, name in enumerate(classes or ())}
    given = {number.get(label, label): weight for label, weight in class_weight.items()}
    missing = sorted(set(np.unique(labels).tolist()) - set(given))
    if missing:
        raise ValueRangeError("class_weight does not name every class of y.", found=f"missing: {missing}")
    return door.weights([given[label] for label in labels.tolist()], len(labels), (), "class_weight")
