"""Files of arrays (.npz, pairs of .npy), and the one way from arrays X and y to a `Dataset`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ..core.errors import DataError, FileError, did_you_mean
from .bundled import Dataset
from .cells import natural

_PAIRS = (("X", "y"), ("x", "y"), ("x_train", "y_train"), ("X_train", "y_train"))
_NAMES = ("columns", "feature_names")
NPZ_FIX = "write it with np.savez(path, X=X, y=y), where X and y are arrays of numbers or of strings"
_UNREADABLE = (OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error)


class _Inputs(NamedTuple):
    X: np.ndarray
    unit: str | None
    image: tuple[int, ...] | None
    notes: tuple[str, ...]


class _Targets(NamedTuple):
    y: np.ndarray
    classes: tuple[str, ...] | None


def read_npz(path: Path, labelled: bool = True) -> Dataset:
    """The data of an `.npz` file; y may be absent where `labelled` is False."""
    return dataset(path.stem, str(path), _arrays(path, labelled))


def read_npy(paths: Sequence[Path]) -> Dataset:
    """The data of one `.npy` file of X, or of two of X and y."""
    arrays = {}
    for key, path in zip(("X", "y"), paths, strict=False):
        try:
            value = np.load(path, allow_pickle=False)
        except _UNREADABLE as problem:
            raise _unreadable(key, path, problem) from problem
        arrays[key] = _native(value)
    return dataset(paths[0].stem, str(paths[0]), arrays)


def _arrays(path: Path, labelled: bool) -> dict[str, np.ndarray]:
    """The arrays of the file that are used, by key, and an empty array for each of x_test and y_test that is there."""
    try:
        if not zipfile.is_zipfile(path):
            raise FileError(
                f"{path.name!r} is not an .npz file, or only the beginning of one.",
                expected="a zip archive of arrays, as np.savez writes it",
                found=f"{path.stat().st_size} bytes that do not end as a zip archive does",
                fix=NPZ_FIX,
                where=str(path),
            )
        with np.load(path, allow_pickle=False) as file:
            keys = list(file.files)
            pair = _pair(keys, path, labelled)
            found = {key: np.empty(0) for key in keys if key.lower() in ("x_test", "y_test")}
            names = next((name for name in _NAMES if name in keys), _NAMES[0])
            for name, key in zip(("X", "y", "classes", "columns"), (*pair, "classes", names), strict=True):
                if key in keys:
                    found[name] = _array(file, key, path)
            return found
    except FileError:
        raise
    except _UNREADABLE as problem:
        raise FileError(
            f"{path.name!r} cannot be read.", found=_first_line(problem), fix=NPZ_FIX, where=str(path)
        ) from problem


def _pair(keys: Sequence[str], path: Path, labelled: bool) -> tuple[str, str]:
    for pair in _PAIRS:
        if set(pair) <= set(keys) or (pair[0] in keys and not labelled):
            return pair
    raise FileError(
        f"{path.name!r} does not hold a pair of X and y.",
        expected="the keys " + ", or ".join(f"{x} and {y}" for x, y in _PAIRS[:3]),
        found=", ".join(keys) if keys else "no arrays at all",
        fix="name the arrays when saving: np.savez(path, X=X, y=y)",
        where=str(path),
    )


def _array(file: np.lib.npyio.NpzFile, key: str, path: Path) -> np.ndarray:
    try:
        value = file[key]
    except _UNREADABLE as problem:
        raise _unreadable(key, path, problem) from problem
    if not isinstance(value, np.ndarray):
        raise FileError(f"the entry {key!r} of {path.name!r} is not an array.", fix=NPZ_FIX, where=str(path))
    return _native(value)


def _unreadable(key: str, path: Path, problem: BaseException) -> FileError:
    python_objects = "allow_pickle" in str(problem)
    return FileError(
        f"the array {key!r} of {path.name!r} cannot be read.",
        expected="an array of numbers or of strings",
        found="an array of Python objects" if python_objects else _first_line(problem),
        why="such an array is stored as a pickle, which can run any code when read" if python_objects else "",
        fix=f"save {key}.astype(float) or {key}.astype(str)" if python_objects else NPZ_FIX,
        where=str(path),
    )


def _native(value: np.ndarray) -> np.ndarray:
    return value.astype(value.dtype.newbyteorder("="), copy=False)


def _first_line(problem: BaseException) -> str:
    return (str(problem).splitlines() or [""])[0] or type(problem).__name__


def dataset(name: str, where: str, arrays: Mapping[str, np.ndarray], notes: tuple[str, ...] = ()) -> Dataset:
    """The arrays X and y, and `classes` and `columns` where there are such, as a Dataset; without y it has no labels.

    Raises DataError for content that cannot be used; `where` is named in it.
    """
    inputs = _inputs(arrays["X"], where)
    targets = _Targets(np.empty(0), _texts(arrays, "classes", where))
    if "y" in arrays:
        targets = _targets(arrays["y"], targets.classes, where)
        if len(inputs.X) != len(targets.y):
            raise DataError(
                "X and y are not equally long.",
                expected="one y for each row of X",
                found=f"{len(inputs.X)} rows in X, {len(targets.y)} in y",
                where=where,
            )
    return Dataset(
        name=name,
        X=inputs.X,
        y=targets.y,
        columns=_columns(_texts(arrays, "columns", where), inputs, where),
        target="y",
        classes=targets.classes,
        unit=inputs.unit,
        image=inputs.image,
        notes=(*inputs.notes, *_left_aside(arrays), *notes),
    )


def _left_aside(arrays: Mapping[str, np.ndarray]) -> list[str]:
    keys = [key for key in arrays if key.lower() in ("x_test", "y_test")]
    return [f"{' and '.join(keys)} of the file are left aside; the rows read are split anew"] if keys else []


def _inputs(X: np.ndarray, where: str) -> _Inputs:
    _must_be_numbers(X, where)
    _must_be_full("X", X, where)
    _must_be_finite("X", X, where)
    if X.dtype == np.bool_:
        X = X.astype(np.float32)
    pixels = "pixel" if X.dtype == np.uint8 or X.ndim > 2 else None
    if X.ndim == 1:
        return _Inputs(X[:, None], pixels, None, (f"X of shape {X.shape} is read as one column",))
    if X.ndim == 2:
        return _Inputs(np.ascontiguousarray(X), pixels, None, ())
    image = X.shape[1:3] if X.ndim == 3 or X.shape[-1] == 1 else X.shape[1:]
    flat = np.ascontiguousarray(X).reshape(len(X), -1)
    return _Inputs(flat, pixels, image, (f"pictures of shape {image} are laid out as {flat.shape[1]} columns",))


def _must_be_numbers(X: np.ndarray, where: str) -> None:
    if X.dtype.kind not in "biuf":
        raise DataError("X must hold numbers.", found=f"an array of dtype {X.dtype}", where=where)
    if X.ndim in (1, 2, 3) or (X.ndim == 4 and X.shape[-1] in (1, 3)):
        return
    raise DataError(
        "X has a shape that is neither a table nor pictures.",
        expected="(m, n), or pictures (m, h, w), (m, h, w, 1) or (m, h, w, 3)",
        found=f"{X.shape}",
        where=where,
    )


def _must_be_full(name: str, array: np.ndarray, where: str) -> None:
    if array.size == 0:
        raise DataError(
            f"{name} is empty.", expected="at least one row and one column", found=f"{array.shape}", where=where
        )


def _must_be_finite(name: str, array: np.ndarray, where: str) -> None:
    """Refuse numbers that are NaN, infinite, or too large for float32, in which networks are trained."""
    if array.dtype.kind != "f":
        return
    bad = ~(np.abs(array) <= np.finfo(np.float32).max)
    count = int(bad.sum())
    if not count:
        return
    place = tuple(int(axis) for axis in np.unravel_index(int(bad.argmax()), array.shape))
    at, first = place[0] if len(place) == 1 else place, array[place]
    large = np.isfinite(first)
    raise DataError(
        f"{name} holds values that are {'too large for float32' if large else 'not finite numbers'}.",
        found=f"{count} of {array.size} values are NaN, infinite or above 3.4e38, the first is {name}[{at}] = {first}",
        why="one NaN makes every parameter NaN in the first training step",
        fix="remove those rows or columns, or fill them in, before saving the file",
        where=where,
    )


def _targets(y: np.ndarray, classes: tuple[str, ...] | None, where: str) -> _Targets:
    _must_be_full("y", y, where)
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim not in (1, 2):
        raise DataError("y has a shape that is not read.", expected="(m,) or (m, k)", found=f"{y.shape}", where=where)
    if y.dtype.kind in "US" and y.ndim == 1:
        return _named_targets(np.asarray(_strings(y)), classes, where)
    if y.dtype.kind not in "biuf":
        raise DataError(
            "y must hold numbers, or in one dimension strings.",
            found=f"an array of dtype {y.dtype} and shape {y.shape}",
            where=where,
        )
    _must_be_finite("y", y, where)
    if y.dtype == np.bool_ and y.ndim == 1 and classes is None:
        classes = ("False", "True")
    if y.dtype.kind in "biu":
        y = y.astype(np.int64)
    if classes is not None:
        _must_fit(y, classes, where)
    return _Targets(y, classes)


def _named_targets(y: np.ndarray, classes: tuple[str, ...] | None, where: str) -> _Targets:
    names, codes = np.unique(y, return_inverse=True)
    found = [str(name) for name in names]
    order = sorted(found, key=natural) if classes is None else list(classes)
    missing = [name for name in found if name not in order]
    if missing:
        raise DataError(
            "y holds a label that is not among the classes of the file.",
            expected=f"one of {', '.join(order)}",
            found=repr(missing[0]),
            fix=did_you_mean(missing[0], order),
            where=where,
        )
    place = {name: index for index, name in enumerate(order)}
    return _Targets(np.array([place[name] for name in found], dtype=np.int64)[codes], tuple(order))


def _must_fit(y: np.ndarray, classes: tuple[str, ...], where: str) -> None:
    if y.ndim == 2:
        fits = y.shape[1] == len(classes)
        expected, found = f"one column of y for each of the {len(classes)} classes", f"{y.shape[1]} columns"
    else:
        fits = bool(np.all((y >= 0) & (y < len(classes)) & (y == np.floor(y))))
        expected = f"whole numbers 0..{len(classes) - 1} in y, one for each of the {len(classes)} classes"
        found = f"values from {y.min()} to {y.max()}"
    if not fits:
        raise DataError("y and classes do not fit together.", expected=expected, found=found, where=where)


def _strings(array: np.ndarray) -> list[str]:
    if array.dtype.kind == "S":
        return [value.decode("utf-8", "replace") for value in array.tolist()]
    return [str(value) for value in array.tolist()]


def _texts(arrays: Mapping[str, np.ndarray], key: str, where: str) -> tuple[str, ...] | None:
    if key not in arrays:
        return None
    array = arrays[key]
    if array.ndim != 1 or array.dtype.kind not in "USiu":
        raise DataError(
            f"{key} must be a list of names.",
            expected="an array of strings with one dimension",
            found=f"an array of dtype {array.dtype} and shape {array.shape}",
            where=where,
        )
    names = _strings(array)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{key} holds a name twice.", found=repr(twice), where=where)
    return tuple(names)


def _columns(given: tuple[str, ...] | None, inputs: _Inputs, where: str) -> tuple[str, ...]:
    n = inputs.X.shape[1]
    if given is None:
        places = np.ndindex(*inputs.image) if inputs.image else [(index,) for index in range(n)]
        prefix = "pixel_" if inputs.image else "x"
        return tuple(prefix + "_".join(str(axis) for axis in place) for place in places)
    if len(given) != n:
        raise DataError(
            "columns does not name each column of X.", expected=f"{n} names", found=f"{len(given)} names", where=where
        )
    return given
