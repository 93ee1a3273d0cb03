"""What may enter a model: shapes, labels, numbers. A refusal is an error that is a Finding; nothing has been changed
by then."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.check import Finding
from ..core.errors import ArgumentError, BacklitError, DataError, LabelError, ShapeError
from ..core.node import as_array, here, spoken
from ..core.shapes import Shape, bind, show
from .losses import Loss, LossFunctionWrapper

_CHUNK = 1 << 16  # rows looked at together, so that checking never copies the data


def where() -> str:
    """The user's own line that led here: ``digits.py:14  model.fit(X, y, epochs=40)``."""
    return "".join(map(spoken, here()[:1]))


def refuse(error: BacklitError, check: str, rules: tuple[int, ...] = (), layer: str | None = None) -> BacklitError:
    """`error` with the user's line and with the Finding that it is."""
    fields = error.fields
    fields.setdefault("where", where())
    error.finding = Finding(
        check=check,
        severity="error",
        message=error.message,
        fix=fields.get("fix", ""),
        why=fields.get("why", ""),
        evidence={key: fields[key] for key in ("expected", "found") if key in fields},
        where=fields["where"],
        rules=rules,
        layer=layer,
    )
    return error


def numbers(data: Any, what: str) -> Any:
    """`data` as an array of finite numbers with at least one row, not copied where it is an array already."""
    if hasattr(data, "__next__"):
        raise refuse(
            ArgumentError(
                f"{what} is a generator, which is not read yet.", fix="collect its batches: np.concatenate([...])"
            ),
            "generator",
        )
    try:
        array = as_array(data)
    except ArgumentError as error:
        raise refuse(
            DataError(
                f"{what} is no array of numbers.",
                found=error.fields.get("found", error.message),
                fix="encode text first",
            ),
            "numbers",
        ) from None
    if array.ndim == 0 or array.size == 0:
        raise refuse(
            DataError(
                f"{what} is empty.",
                expected="at least one row",
                found=f"shape {show(array.shape)}",
                fix="load the data first",
            ),
            "empty",
        )
    if array.dtype.kind == "f":
        _finite(array, what)
    return array


def _finite(array: Any, what: str) -> None:
    bad = 0
    first: list[str] = []
    for begin in range(0, len(array), _CHUNK):
        part = np.isfinite(array[begin : begin + _CHUNK])
        if not part.all():
            places = np.argwhere(~part)
            bad += len(places)
            first += [
                f"row {begin + p[0]}" + (f", column {p[1]}" if len(p) > 1 else "") for p in places[: 3 - len(first)]
            ]
    if bad:
        raise refuse(
            DataError(
                f"{what} contains NaN or infinity.",
                expected="finite numbers",
                found=f"{bad} of {array.size} numbers, first at {'; '.join(first)}",
                why="one of them spreads through every sum it enters",
                fix="keep the whole rows: np.isfinite(array).reshape(len(array), -1).all(axis=1)",
            ),
            "finite",
            rules=(23,),
        )


def features(data: Any, expected: Shape | None, what: str = "X") -> Any:
    """X as an array (m, …); a vector counts as one column. `expected` is the input shape of a built model."""
    array = numbers(data, what)
    one = expected is not None and array.shape == expected[1:] != (1,)
    if array.ndim == 1 and not one and (expected is None or len(expected) == 2):
        array = array.reshape(-1, 1)
    if expected is not None and array.shape[1:] != bind(tuple(expected[1:]), None):
        raise refuse(
            ShapeError(
                f"{what} does not fit this model.",
                expected=f"shape {show(expected)}",
                found=f"shape {show(array.shape)}",
                fix=f"{what}[np.newaxis] makes a batch of one example"
                if one
                else "the columns the model was built for",
            ),
            "shape",
        )
    return array


def targets(data: Any, loss: Loss, output: Shape, rows: int, layer: Any) -> Any:
    """y as the loss wants it for an output of shape `output`; LabelError or ShapeError where it cannot be used."""
    array = numbers(data, "y")
    if len(array) != rows:
        raise refuse(
            ShapeError(
                "X and y have different numbers of examples.", expected=f"{rows} rows, as X", found=f"{len(array)} rows"
            ),
            "rows",
        )
    place = f"layer {layer.name!r} ({type(layer).__name__}, {output[-1]} units)"
    who = f"{place} and {type(loss).__name__} cannot use this y."
    wanted = bind(loss.target_shape(output), rows)
    column = (*wanted, 1) if loss.labels else wanted[:-1] if wanted[-1:] == (1,) else None
    if array.shape not in (wanted, column):
        raise refuse(_misfit(who, array, wanted, loss, output), "target shape", rules=(8, 9, 11), layer=layer.name)
    array = array.reshape(wanted)
    if loss.labels:
        return _labels(array, who, output, layer, loss)
    if expected := loss.wanted(array):
        raise refuse(_out_of_range(who, array, wanted, loss, expected), "target range", rules=(7, 10), layer=layer.name)
    return array


def _out_of_range(who: str, array: Any, wanted: tuple[int, ...], loss: Loss, expected: str) -> BacklitError:
    why, fix = "the loss is defined there only", "use MeanSquaredError for other numbers"
    if loss.signs:
        why, fix = "the sign of y says which side of the margin is right", "code the classes -1 and 1"
    elif loss.targets == (0.0, 1.0):
        why = f"a {'cross-entropy compares probabilities' if loss.probabilities else 'hinge compares one-hot classes'}"
        fix = f"code the classes 0 and 1; {fix}"
    return LabelError(
        who,
        expected=f"{expected}, of shape {show(wanted)}",
        found=f"y from {array.min():g} to {array.max():g}",
        why=why,
        fix=fix,
    )


def _misfit(who: str, array: Any, wanted: tuple[int, ...], loss: Loss, output: Shape) -> BacklitError:
    fix = "give the last layer as many units as y has columns, or choose the loss that fits y"
    if loss.labels and array.ndim == 2 and array.shape[1] == output[-1]:
        fix = "y looks one-hot: use CategoricalCrossentropy, or pass y.argmax(axis=1)"
    elif not loss.labels and array.ndim == 1 and output[-1] != 1:
        fix = (
            "y looks like labels: use SparseCategoricalCrossentropy"
            if loss.probabilities
            else "use a last layer of 1 unit"
        )
    return ShapeError(
        who,
        expected=f"y of shape {show(wanted)}" + (f" or {show((*wanted, 1))}" if loss.labels else ""),
        found=f"y of shape {show(array.shape)}",
        why="nothing is broadcast: a column against a row would compare every example with every other",
        fix=fix,
    )


def _labels(array: Any, who: str, output: Shape, layer: Any, loss: Any) -> Any:
    classes: Any = output[loss.axis]
    if isinstance(loss, LossFunctionWrapper):
        return array  # what a function of the user's own makes of its labels is its own affair
    ignored = getattr(loss, "ignore_class", None)
    counted = array if ignored is None else array[array != ignored]
    if counted.size == 0:
        return array
    low, high = counted.min(), counted.max()
    whole = array.dtype.kind in "iub" or bool((array == np.floor(array)).all())
    if whole and low >= 0 and high < classes:
        return array
    kind = "whole numbers" if whole else "numbers that are not all whole,"
    fix = f"use Dense({int(high) + 1})" if low >= 0 else "number the classes from 0"
    if low == 1 and high == classes:
        fix = f"pass y - 1, or use Dense({int(high) + 1})"
    if not whole:
        fix = "pass whole labels (were they divided with X?), or use MeanSquaredError for a regression"
    raise refuse(
        LabelError(
            who,
            expected=f"y of shape (m,) or (m, 1), whole numbers 0..{classes - 1}",
            found=f"y of shape {show(array.shape)}, {kind} {low:g}..{high:g}",
            why=f"a sparse loss looks y up as an index into the {classes} outputs",
            fix=fix,
        ),
        "labels",
        rules=(8, 10),
        layer=layer.name,
    )


def weights(data: Any, rows: int, output: Any = (), what: str = "sample_weight") -> Any:
    """Sample weights as finite numbers not below 0: (m,), or one for each number that the loss gives, (m, t, …)."""
    array = numbers(data, what)
    steps = tuple(output[1:-1])  # of an output (m, t, k)
    shapes = {(rows,): (rows,), (rows, 1): (rows,), (rows, *steps): (rows, *steps)}
    if array.shape not in shapes or array.min() < 0:
        raise refuse(
            DataError(
                f"{what} cannot be used.",
                expected=f"{rows} numbers, none below 0",
                found=f"shape {show(array.shape)}, from {array.min():g}",
            ),
            "weights",
        )
    return array.reshape(shapes[array.shape])
