"""What may enter a model: shapes, labels, numbers. A refusal is an error that is a Finding; nothing has been changed
by then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np

from ..core.check import Finding
from ..core.errors import ArgumentError, BacklitError, ColumnWarning, DataError, LabelError, ShapeError
from ..core.node import FLOATS, here, spoken, warn
from ..core.shapes import Shape, bind, show
from .heads import Head
from .losses_base import Loss, LossFunctionWrapper
from .sparse import SparseRows, is_sparse

_CHUNK = 1 << 20  # numbers looked at together, so that checking never copies the data
_LOST = 1e-4  # of the spread of a column: what is rounded more coarsely deserves a word

_TEXT = "text", "encode it: bl.utils.Columns.infer(table).encode(table)"
_OTHERS = {  # what is no array of numbers, by the kind of its dtype: how it is called, and what to type
    "c": ("complex numbers", "make two columns: np.stack([{x}.real, {x}.imag], axis=-1)"),
    "M": ("dates", "count the days: ({x} - {x}.min()) / np.timedelta64(1, 'D')"),
    "m": ("time spans", "count the seconds: {x} / np.timedelta64(1, 's')"),
    "V": ("records with fields", "np.lib.recfunctions.structured_to_unstructured({x})"),
    "S": ("bytes", "np.frombuffer for numbers, or {x}.astype(str) for text"),
    "U": _TEXT,
    "T": _TEXT,
}


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


# ---------------------------------------------------------------------- arrays of numbers
def array_of(data: Any, what: str) -> Any:
    """`data` as an array of numbers with at least one row, not copied where it is an array already.

    Lists, series and whatever NumPy reads become arrays, sparse matrices `SparseRows`. What the numbers are is not
    looked at: that is `fits`.
    """
    if isinstance(data, SparseRows):
        array: Any = data
    elif not is_sparse(data):
        array = raw(data, what)
    elif data.ndim > 2:
        error = ShapeError(f"{what} is a sparse array of {data.ndim} axes.", expected="a sparse matrix (m, n)")
        raise refuse(error, "shape")
    else:
        array = SparseRows.of(data)
    kind = array.dtype.kind
    if kind == "O":
        raise _no_numbers(what, *_objects(array, data, what))
    if kind in _OTHERS:
        name, fix = _OTHERS[kind]
        raise _no_numbers(what, f"{name}: {_shown(array)}", fix.format(x=what))
    if array.ndim == 0:
        raise refuse(DataError(f"{what} is a single number.", expected="one row an example"), "empty")
    if 0 in array.shape:
        expected = "at least one row" + (" and one column" if array.ndim > 1 else "")
        found = f"shape {show(array.shape)}"
        raise refuse(DataError(f"{what} is empty.", expected=expected, found=found, fix="load the data first"), "empty")
    return array


def raw(data: Any, what: str) -> Any:
    """`data` as an array of whatever it holds; numbers that stand in an array of objects are taken out of it."""
    if hasattr(data, "__next__"):
        message = f"{what} is a generator, where one batch is meant."
        raise refuse(ArgumentError(message, fix="fit, evaluate and predict read generators"), "generator")
    if isinstance(data, np.ma.MaskedArray):
        data = _unmasked(data, what)
    try:
        array = np.asarray(data)
    except (ValueError, OverflowError):
        found = "rows of different lengths" if isinstance(data, (list, tuple)) else type(data).__name__
        raise _no_numbers(what, found, "give every row the same length, or pass one array for each input") from None
    if array.dtype.kind == "O" and array.size and all(map(_is_number, array.flat)):
        return np.asarray(array.tolist())
    return array


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating, np.bool_))


def is_missing(value: Any) -> bool:
    """Whether an object stands for a value that is not there: None, NaN, and what pandas has for them."""
    nan = isinstance(value, (float, np.floating)) and value != value
    return value is None or nan or type(value).__name__ in ("NAType", "NaTType")


def _unmasked(data: Any, what: str) -> Any:
    hidden = np.ma.getmaskarray(data)
    if not hidden.any():
        return data.data
    first = ", ".join(map(str, np.argwhere(hidden)[0].tolist()))
    error = DataError(f"{what} has masked values.", found=f"{hidden.sum()} of {hidden.size}, first at {what}[{first}]")
    error.fields["fix"] = f"fill them: {what}.filled(number), or keep the rows without: np.ma.compress_rows({what})"
    raise refuse(error, "masked")


def _objects(array: Any, data: Any, what: str) -> tuple[str, str]:
    """What an array of objects holds, and what to do about it."""
    if array.ndim == 0:
        return type(data).__name__ if data is not None else "None", "pass an array, a table or a list of rows"
    odd = next((place for place in np.ndindex(array.shape) if not _is_number(array[place])), None)
    if odd is None:
        return "numbers beyond 64 bits", f"np.array({what}, dtype=float)"
    value, fix = array[odd], f"remove it, or {what} = np.array({what}, dtype=float) if it can be read as a number"
    if is_missing(value):
        fix = "fill missing values, or keep the rows without"
    elif isinstance(value, str):
        fix = _TEXT[1]
    return f"{type(value).__name__} {str(value)[:40]!r} at {what}[{', '.join(map(str, odd))}]", fix


def _no_numbers(what: str, found: str, fix: str) -> BacklitError:
    return refuse(DataError(f"{what} is no array of numbers.", found=found, fix=fix), "numbers")


def _shown(array: Any) -> str:
    text = repr(str(array.flat[0])) if isinstance(array, np.ndarray) and array.size else str(array.dtype)
    return text if len(text) < 60 else f"{text[:57]}…"


# ---------------------------------------------------------------------- what the numbers are
def fits(array: Any, what: str, dtype: str = "float64", whole: bool = False) -> None:
    """Refuse NaN, infinity and what `dtype` cannot hold; `whole`: these are all rows there are, so that a column whose
    differences `dtype` would round away is worth a warning.

    One pass over the numbers, in pieces, so that nothing is copied.
    """
    values = array.values if isinstance(array, SparseRows) else array
    kind, floating = values.dtype.kind, dtype in FLOATS
    if np.can_cast(values.dtype, dtype) and kind != "f":
        return
    low, high = _limits(dtype, kind)
    by_column = whole and dtype == "float32" and values.dtype.itemsize > 2 and values.dtype != dtype and values is array
    span: list[Any] = []
    with np.errstate(all="ignore"):
        for part in _pieces(values):
            least, most = part.min(axis=0 if by_column else None), part.max(axis=0 if by_column else None)
            if not ((least >= low).all() and (most <= high).all()):
                raise _beyond(array, values, what, dtype, (low, high))
            if not floating and kind == "f" and (part != np.floor(part)).any():
                raise refuse(DataError(f"{what} takes whole numbers.", found="fractions"), "whole numbers")
            if by_column:
                span = [np.minimum(span[0], least), np.maximum(span[1], most)] if span else [least, most]
        if by_column:
            _warn_of_rounding(values, np.float64(span[0]), np.float64(span[1]), what)


def _pieces(values: Any) -> Iterator[Any]:
    rows = max(1, _CHUNK * len(values) // max(1, values.size))
    for begin in range(0, len(values), rows):
        yield values[begin : begin + rows]


@cache
def _limits(dtype: str, kind: str) -> tuple[Any, Any]:
    if dtype in FLOATS:
        return -np.finfo(dtype).max, np.finfo(dtype).max
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return (low, high) if kind != "f" else (float(low), np.nextafter(np.float64(high), 0))


def _beyond(array: Any, values: Any, what: str, dtype: str, limits: tuple[Any, Any]) -> BacklitError:
    """The refusal of what is not finite or, where everything is, of what `dtype` cannot hold."""
    count, first = _where(array, values, lambda part: ~np.isfinite(part))
    if count:
        error = DataError(f"{what} contains NaN or infinity.", expected="finite numbers")
        why = "one of them spreads through every sum it enters"
        fix = "keep the whole rows: np.isfinite(array).reshape(len(array), -1).all(axis=1)"
    else:
        low, high = limits
        count, first = _where(array, values, lambda part: ~((part >= low) & (part <= high)))
        error = DataError(f"{what} holds numbers that {dtype} does not.", expected=f"numbers from {low:g} to {high:g}")
        why = f"the model reads {what} as {dtype}"
        fix = 'scale the column; or compute in float64: bl.set_floatx("float64") before the layers are made'
    size = int(np.prod(array.shape))
    error.fields.update(found=f"{count} of {size} numbers, first at {'; '.join(first)}", why=why, fix=fix)
    return refuse(error, "finite", rules=(23,))


def _where(array: Any, values: Any, test: Callable[[Any], Any]) -> tuple[int, list[str]]:
    """How many numbers answer to `test`, and where the first three of them stand."""
    count, begin, first = 0, 0, list[str]()
    for part in _pieces(values):
        hits = np.argwhere(test(part))
        count += len(hits)
        for hit in hits[: 3 - len(first)].tolist():
            place = array.place(begin + hit[0]) if values is not array else (begin + hit[0], *hit[1:])
            first.append(f"row {place[0]}" + (f", column {place[1]}" if len(place) > 1 else ""))
        begin += len(part)
    return count, first


def _warn_of_rounding(values: Any, least: Any, most: Any, what: str) -> None:
    """Say which column has numbers that lie closer together than float32 can tell apart."""
    step = np.spacing(np.maximum(abs(least), abs(most)).astype(np.float32)).astype(np.float64)
    coarse = np.flatnonzero((most > least) & (step / 2 > _LOST * (most - least)))
    for flat in coarse.tolist():
        place = np.unravel_index(flat, np.shape(step))
        if any((part.astype(np.float32) != part).any() for part in _pieces(values[(slice(None), *place)])):
            column = f" column {place[0]}" if place else ""
            warn(
                f"{what}:{column} holds numbers from {least[place]:.10g} to {most[place]:.10g}; in float32 they are "
                f"multiples of {step[place]:g}. Subtract {least[place]:.10g} first to keep their differences.",
                ColumnWarning,
            )
            return


# ---------------------------------------------------------------------- X, y and weights
def shaped(data: Any, expected: Shape | None, what: str = "X") -> Any:
    """X as an array (m, …); a vector counts as one column. `expected` is the input shape of a built model."""
    array = array_of(data, what)
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
                else f"the columns the model was built for; print(model.shapes(x={what})) marks where it breaks",
            ),
            "shape",
        )
    return array


def features(data: Any, expected: Shape | None, what: str = "X", dtype: str = "float64", whole: bool = False) -> Any:
    """X as an array (m, …) of finite numbers that `dtype` can hold; `whole` as in `fits`."""
    array = shaped(data, expected, what)
    fits(array, what, dtype, whole)
    return array


def targets(data: Any, head: Head, rows: int, layer: Any, dtype: str) -> Any:
    """y as the loss of an output wants it; `dtype` is the model's. LabelError or ShapeError where it cannot be used."""
    loss, output = head.loss, head.shape
    array = _dense(data, "y")
    fits(array, "y", "float64" if loss.labels else dtype)
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


def _dense(data: Any, what: str) -> Any:
    """An array of numbers; truths count as 0 and 1."""
    array = array_of(data, what)
    if isinstance(array, SparseRows):
        raise refuse(DataError(f"{what} is a sparse matrix.", expected="an array", fix=f"{what}.toarray()"), "numbers")
    return array.view(np.uint8) if array.dtype.kind == "b" else array


def _out_of_range(who: str, array: Any, wanted: tuple[int, ...], loss: Loss, expected: str) -> BacklitError:
    why, fix = "the loss is defined there only", "use MeanSquaredError for other numbers"
    if loss.signs:
        why, fix = "the sign of y says which side of the margin is right", "code the classes -1 and 1"
    elif loss.targets == (0.0, 1.0):
        why = f"a {'cross-entropy compares probabilities' if loss.probabilities else 'hinge compares one-hot classes'}"
        last = int(array.max())
        labels = loss.probabilities and 1 < last < 1000 and np.array_equal(np.unique(array), np.arange(last + 1))
        several = f"Dense({last + 1}, activation='softmax') with SparseCategoricalCrossentropy() for labels 0..{last}"
        fix = several if labels else f"code the classes 0 and 1; {fix}"
    return LabelError(
        who,
        expected=f"{expected}, of shape {show(wanted)}",
        found=f"y from {array.min():g} to {array.max():g}",
        why=why,
        fix=fix,
    )


def _misfit(who: str, array: Any, wanted: tuple[int, ...], loss: Loss, output: Shape) -> BacklitError:
    fix = "give the last layer as many units as y has columns, or choose the loss that fits y"
    if len(wanted) > 1 + (not loss.labels) and array.ndim < len(wanted):
        fix = "Flatten() or a global pooling before the last layers: the output has an answer per place, y per example"
    elif loss.labels and array.ndim == 2 and array.shape[1] == output[-1]:
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
        fits(array, "y", "int64")
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
    array = _dense(data, what)
    fits(array, what, "float32")
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
