"""Labels that are names: numbered in natural order when a model is trained on them, looked up ever after."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import LabelError, ValueRangeError, did_you_mean
from ..core.shapes import show
from ..io.kinds import shortened, sorted_names
from . import door
from .heads import Head

_TAKES_NAMES = "loss='sparse_categorical_crossentropy', or for two classes one unit and loss='binary_crossentropy'"


def numbered(array: Any, head: Head, layer: Any, classes: Sequence[str] | None, learn: bool) -> tuple[Any, Any]:
    """(the number of each name in the array, the classes).

    `classes` are those that the model knows; where it knows none and `learn` is set, they are the names in the array
    in natural order. Raises LabelError where the loss takes no names, their count is not that of the outputs, or one
    is not among the classes.
    """
    count = _count(head, layer)
    names, places = np.unique(_names(array), return_inverse=True)
    found = [str(name) for name in names]
    if classes is None and not learn:
        raise _error(
            "y holds names, and this model knows no classes yet.",
            found=shortened(found),
            fix="fit it on arrays of names first, or set model.classes = (...), in the order of its outputs",
        )
    known = sorted_names(found) if classes is None else tuple(map(str, classes))
    if unseen := [name for name in found if name not in known]:
        raise _error(
            "y holds a label that is not among the model's classes.",
            expected=shortened(known, 20),
            found=repr(unseen[0]),
            fix=did_you_mean(unseen[0], known) or "model.classes = None before fit numbers the classes anew",
        )
    if len(known) != count:
        raise _error(
            f"layer {layer.name!r} ({type(layer).__name__}, {head.shape[-1]} units) is made for {count} classes.",
            expected=f"{count} different names in y",
            found=f"{len(known)}: {shortened(known, 20)}",
            fix=f"use {_layer_for(head, len(known))}",
        )
    number = {name: place for place, name in enumerate(known)}
    return np.array([number[name] for name in found], dtype=np.int64)[places].reshape(array.shape), known


def _error(message: str, **fields: str) -> Any:
    return door.refuse(LabelError(message, **fields), "labels", rules=(8, 10))


def _count(head: Head, layer: Any) -> int:
    """How many classes the outputs of a head tell apart; LabelError where its loss is not about names."""
    loss, output = head.loss, head.shape
    if loss.labels:
        return int(output[loss.axis])
    if loss.link == "sigmoid" and output[-1] == 1:
        return 2
    regression = not loss.probabilities and not loss.signs
    fix = f"y.astype(float) if these are numbers; for classes {_TAKES_NAMES}" if regression else _TAKES_NAMES
    raise _error(
        f"layer {layer.name!r} ({type(layer).__name__}, {output[-1]} units) and {type(loss).__name__} cannot use this y.",
        expected="numbers" if regression else f"numbers of shape {show(loss.target_shape(output))}",
        found="text",
        why="names are numbered for a loss that takes the number of a class",
        fix=fix,
    )


def _layer_for(head: Head, count: int) -> str:
    if head.loss.labels:
        return f"Dense({count})"
    return f"Dense({count}) and the loss sparse_categorical_crossentropy" if count > 2 else "names of two classes"


def _names(array: Any) -> Any:
    """An array of text as NumPy's own strings; LabelError where not all of it is text."""
    if array.dtype.kind == "U":
        return array
    array = array.astype(object)
    odd = next((place for place, value in enumerate(array.flat) if not isinstance(value, str)), None)
    if odd is None:
        return array.astype(str)
    value, place = array.flat[odd], f"y[{', '.join(map(str, np.unravel_index(odd, array.shape)))}]"
    if door.is_missing(value):
        raise _error(f"{place} has no label.", found=repr(value), fix="keep the rows that have one")
    raise _error(
        "y mixes text with other things.", found=f"{place} is {value!r} ({type(value).__name__})", fix="y.astype(str)"
    )


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Class numbers (m,) or (m, 1) as one-hot rows (m, num_classes) of 0.0 and 1.0; any (…, m) gives (…, m, num_classes).

    `num_classes` (None: the largest number + 1). Raises LabelError for what is no whole number from 0, or too large.

    >>> to_categorical([0, 2, 1]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    numbers = door.array_of(x, "x")
    door.fits(numbers, "x", "int64")
    numbers = numbers[..., 0] if numbers.ndim > 1 and numbers.shape[-1] == 1 else numbers
    classes = int(numbers.max()) + 1 if num_classes is None else num_classes
    if isinstance(classes, bool) or not isinstance(classes, (int, np.integer)) or classes < 1:
        raise ValueRangeError("num_classes must be a whole number from 1.", found=repr(num_classes))
    if numbers.min() < 0 or numbers.max() >= classes:
        raise _error(
            "to_categorical cannot use these labels.",
            expected=f"whole numbers 0..{classes - 1}",
            found=f"{numbers.min()} … {numbers.max()}",
            fix="number the classes from 0",
        )
    rows = np.zeros((*numbers.shape, int(classes)))
    np.put_along_axis(rows, numbers.astype(np.int64)[..., np.newaxis], 1.0, axis=-1)
    return rows


registry.register("labels.numbered", numbered)
