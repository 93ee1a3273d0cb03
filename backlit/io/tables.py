"""One way in for data: a bundled name, a file or a folder becomes a `Dataset`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ArgumentError, BacklitError, DataError, FileError, FileMissingError, counted, did_you_mean
from . import arrays, bundled, delimited, idx, images
from .bundled import Dataset
from .cells import Cells, cells, columns_of, decimal_of
from .infer import FEW_CATEGORIES
from .kinds import Number, in_range, rows_of, shortened, sorted_names
from .sources import need

TARGETS = ("target", "label", "class", "y")
_TEXT = (".csv", ".tsv", ".txt")
_STORED = (".parquet", ".feather", ".arrow")
_LINES = (".jsonl", ".ndjson")
_TABLES = (*_TEXT, *_STORED, *_LINES)
_KNOWN = (*_TABLES, ".npz", ".npy")
_EXPECTED = f"a path to a table ({', '.join(_TABLES)}), .npz, an IDX file or a folder of pictures"
_MOST_UNLABELLED = 0.1
_TRUTH = ("False", "True")
_EXACT = 2.0**53  # whole numbers that float64 holds exactly


def read(
    source: str | os.PathLike[str],
    target: str | Sequence[str] | None = None,
    *,
    labelled: bool = True,
    image: Sequence[int] | None = None,
) -> Dataset:
    """The data called `source`: a bundled name, a file, two files, or a folder of pictures.

    - **Tables**: `.csv`, `.tsv`, `.txt` (also `.gz`), `.parquet`, `.feather`, `.arrow`, `.jsonl`. `target` names the
      column of y, or several ("a,b" or a list, all numbers); without it a column called target, label, class or y is
      taken. The other columns are `frame`, for a `Columns` to encode. Rows without a target are left out, up to 10 %.
    - **Arrays**: `.npz` with X and y under the keys X/y, x/y or x_train/y_train, and optionally `classes` and `columns`
      or `feature_names` (arrays of strings); two `.npy` files as "X.npy,y.npy". X of shape (m, n) is taken as it is;
      pictures (m, h, w), (m, h, w, 1) or (m, h, w, 3) become (m, h*w*c) with `image` set. Strings and booleans in y
      become whole numbers, `classes` in natural order ("a2" before "a10"). x_test/y_test are left aside.
    - **IDX**, the format of MNIST: the file of images; that of labels is found by its name (or "IMAGES,LABELS").
    - **Folders** `root/<class>/*.png` (.jpg, .bmp); `image` sets the size (h, w), or (h, w, 3) for colours.

    `labelled=False` reads rows to predict for: y may be absent and is empty, and `target` columns are passed over.
    `notes` of the result says what was decided. A bundled name goes before a file of the same name.

    Raises ArgumentError for arguments of the wrong kind, FileMissingError where nothing answers to `source`, FileError
    for a file that cannot be read, DataError for content that cannot be used, a misspelt target among it.

    >>> read("iris").classes
    ('setosa', 'versicolor', 'virginica')
    >>> read("digit")
    Traceback (most recent call last):
        ...
    backlit.core.errors.FileMissingError: there is no file 'digit' and no bundled data set of that name.
      expected  a path to a table (...), .npz, an IDX file or a folder of pictures, or one of digits, ...
      fix       did you mean 'digits'?
    """
    if not isinstance(source, (str, os.PathLike)):
        raise ArgumentError(
            "data are read from a name or a path.",
            expected="a string, such as 'digits' or 'data.csv'",
            found=f"{type(source).__name__}",
            fix="pass arrays and DataFrames to fit directly; they need no reading",
        )
    wanted = _wanted(target)
    paths = _paths(source)
    if len(paths) == 1 and _suffix(paths[0]) in _TABLES and paths[0].is_file():
        try:
            return _table(paths[0], wanted, labelled)
        except BacklitError as error:
            error.fields.setdefault("where", str(paths[0]))
            raise
    data = bundled.load(str(source)) if source in bundled.NAMES else _arrays(paths, labelled, image)
    if labelled and wanted not in (None, (data.target,)):
        raise DataError(
            f"the y of {data.name!r} cannot be chosen.",
            expected=f"no target, or {data.target!r}",
            found=f"target={target!r}",
            why="only tables have a column for each name",
        )
    return data


def is_table_file(source: str | os.PathLike[str]) -> bool:
    """Whether `read` takes `source` for a table, in which a target can be named."""
    return source not in bundled.NAMES and _suffix(Path(source)) in _TABLES


def _wanted(target: Any) -> tuple[str, ...] | None:
    names = (target,) if isinstance(target, str) else target
    if names is None:
        return None
    if not isinstance(names, Sequence) or not names or not all(isinstance(name, str) for name in names):
        raise ArgumentError("target must name columns.", expected="a name, or a list of names", found=repr(target)[:60])
    return tuple(names)


# ---------------------------------------------------------------------- which file
def _paths(source: str | os.PathLike[str]) -> list[Path]:
    """The file or folder that is meant, or the two files of "X.npy,y.npy"."""
    if source in bundled.NAMES:
        return []
    path = Path(source)
    if _exists(path):
        return [path]
    pair = [Path(part.strip()) for part in os.fspath(source).split(",")]
    if len(pair) == 2 and all(_exists(part) for part in pair):
        return pair
    raise FileMissingError(
        f"there is no file {str(path)!r} and no bundled data set of that name.",
        expected=f"{_EXPECTED}, or one of {', '.join(bundled.NAMES)}",
        fix=did_you_mean(path.name, [*bundled.NAMES, *_neighbours(path)]),
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name too long for the system, or with a zero byte
        return False


def _neighbours(path: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in path.parent.iterdir() if _suffix(entry) in _KNOWN or idx.is_idx(entry))
    except (OSError, ValueError):
        return []


def _suffix(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def _arrays(paths: list[Path], labelled: bool, image: Sequence[int] | None) -> Dataset:
    """Data that are numbers in their file."""
    path = paths[0]
    if path.is_dir() and len(paths) == 1:
        return images.read(path, labelled, image)
    if all(idx.is_idx(each) for each in paths):
        if len(paths) == 1 and labelled:
            paths = [path, idx.labels_of(path)]
        found = {key: idx.read(each) for key, each in zip(("X", "y"), paths, strict=False)}
        return arrays.dataset(path.name.split("-idx")[0].split(".")[0], str(path), found)
    if all(_suffix(each) == ".npy" for each in paths) and (len(paths) == 2 or not labelled):
        return arrays.read_npy(paths)
    if len(paths) == 1 and _suffix(path) == ".npz":
        return arrays.read_npz(path, labelled)
    if len(paths) == 1 and _suffix(path) == ".npy":
        raise FileError(
            f"{path.name!r} holds one array.", expected="X and y", fix="name both: X.npy,y.npy", where=str(path)
        )
    raise FileError(
        f"{path.name!r} is of a kind that is not read.",
        expected=f"{_EXPECTED}, or one of the bundled names {', '.join(bundled.NAMES)}",
        found=f"the suffix {path.suffix!r}" if path.suffix else "no suffix",
        fix="save a table as .csv; save arrays with np.savez(path, X=X, y=y)",
        where=str(path),
    )


# ---------------------------------------------------------------------- tables
def _table(path: Path, wanted: tuple[str, ...] | None, labelled: bool) -> Dataset:
    """A table as frame, y and what is known about them."""
    suffix = _suffix(path)
    notes: list[str]
    if suffix in _STORED:
        frame, notes = _stored(path, suffix), []
    else:
        frame, notes = delimited.read_json_lines(path) if suffix in _LINES else delimited.read(path)
    found = columns_of(frame)
    if not len(frame):
        raise FileError(f"{path.name!r} has no rows.", expected="at least one row")
    names = _targets(tuple(found), wanted, labelled, notes)
    features = [name for name in found if name not in names]
    if not features:
        raise DataError("the table has no column besides the target.", found=shortened(names))
    y, classes = np.empty(0), None
    if labelled:
        columns = [_relevant(cells(name, found[name])) for name in names]
        rows = _labelled_rows(columns, notes)
        y, classes = _y([column.take(rows) for column in columns])
        frame = frame.iloc[rows]
    return Dataset(
        name=Path(path.name.removesuffix(".gz")).stem,
        X=np.empty((len(frame), 0), np.float32),
        y=y,
        columns=tuple(features),
        target=", ".join(names) or "y",
        classes=classes,
        unit=None,
        image=None,
        notes=tuple(notes),
        frame=frame[features].reset_index(drop=True),
        rows=frame.index.to_numpy(),
    )


def _stored(path: Path, suffix: str) -> Any:
    """The table of a parquet or Arrow file, its column types as they are stored."""
    need("pyarrow", "pyarrow", "tables", path)
    from pyarrow import ArrowException, feather, ipc, parquet

    try:
        with path.open("rb") as stream:
            begin = stream.read(4)
            stream.seek(0)
            if suffix == ".parquet" and begin != b"PAR1":
                raise ValueError("it does not begin as a parquet file does")
            if suffix == ".parquet" or begin in (b"ARRO", b"FEA1"):
                table = parquet.read_table(path) if suffix == ".parquet" else feather.read_table(path)
            else:
                table = ipc.open_stream(stream).read_all()
        frame = table.to_pandas()
    except (ArrowException, OSError, ValueError, KeyError, TypeError, NotImplementedError) as problem:
        raise FileError(
            f"{path.name!r} cannot be read as a {suffix[1:]} file.",
            found=(str(problem).splitlines() or [""])[0],
            fix="write it again, or copy it whole",
            where=str(path),
        ) from problem
    named = frame.index.names != [None]
    frame = frame.reset_index(drop=not named)
    frame.columns = [str(name) for name in frame.columns]
    return frame


def _targets(
    names: tuple[str, ...], wanted: tuple[str, ...] | None, labelled: bool, notes: list[str]
) -> tuple[str, ...]:
    """The columns of y."""
    if wanted is not None and len(wanted) == 1 and wanted[0] not in names:
        parts = tuple(part.strip() for part in wanted[0].split(","))
        wanted = parts if set(parts) <= set(names) else wanted
    if not labelled:
        return tuple(name for name in wanted or () if name in names)
    if wanted is None:
        usual = [name for name in names if name.lower() in TARGETS]
        if len(usual) != 1:
            raise DataError(
                "the table does not say which column is to be learnt.",
                expected=f"a column called {', '.join(TARGETS[:-1])} or {TARGETS[-1]}, or a target",
                found=("several of these: " if usual else "") + shortened(usual or names, 40),
                fix=f"name it: --target {names[-1]}, or target={names[-1]!r}",
            )
        notes.append(f"the target is the column {usual[0]!r}, by its name")
        return (usual[0],)
    absent = [name for name in wanted if name not in names]
    if absent:
        raise DataError(
            f"the table has no column {absent[0]!r}.",
            expected=f"one of {shortened(names, 40)}",
            fix=did_you_mean(absent[0], names) or f"name one of them: --target {names[-1]}",
        )
    return tuple(dict.fromkeys(wanted))


def _relevant(column: Cells) -> Cells:
    """A target with "-" and "none" as names of classes, where it is not numbers: + and - are such names."""
    if column.kind in ("text", "name") and decimal_of(column) not in (".", ","):
        names = np.array([str(value).lower() in ("-", "none") for value in column.values], dtype=bool)
        return Cells(column.name, column.kind, column.values, column.missing & ~names, column.dtype)
    return column


def _labelled_rows(columns: Sequence[Cells], notes: list[str]) -> np.ndarray:
    """The rows that have a target."""
    missing = np.any([column.missing for column in columns], axis=0)
    count, name = int(missing.sum()), shortened([column.name for column in columns])
    if count > _MOST_UNLABELLED * len(missing):
        raise DataError(
            f"the target {name!r} is missing in {count} of {len(missing)} rows.",
            expected="at most 10 % of the rows without a target; those are left out",
            found=rows_of(columns[0], missing),
            fix="fill it in, remove these rows, or name another target",
        )
    if count:
        notes.append(f"{counted(count, 'row')} of {len(missing)} left out, without a target")
    return np.flatnonzero(~missing)


def _y(columns: Sequence[Cells]) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """y and the names of its classes, from columns without missing values."""
    if len(columns) == 1:
        return _labels(columns[0])
    values = [_labels(column) for column in columns]
    for column, (_, names) in zip(columns, values, strict=True):
        if names not in (None, _TRUTH):
            raise DataError(
                f"the target {column.name!r} holds no numbers.",
                expected="numbers in all columns, where there are several targets",
                found=shortened(names or ()),
            )
    return np.stack([y for y, _ in values], axis=1), None


def _labels(column: Cells) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Numbers as they are, whole ones as int64; text as numbers of its classes, in natural order."""
    decimal = decimal_of(column) if column.kind == "text" else "."
    if column.kind in ("other", "date") or decimal == "groups":
        raise DataError(
            f"the target {column.name!r} cannot be learnt.",
            expected="numbers or the names of classes",
            found=f"{column.dtype}, such as {column.words()[0]!r}",
            fix="write numbers without marks between thousands" if decimal == "groups" else "name another column",
        )
    if column.kind == "number" or (column.kind == "text" and decimal in (".", ",")):
        y = in_range(column.name, Number(column.name, decimal=decimal).read(column), np.float32)
        integers = column.dtype.startswith(("Int", "UInt")) or (
            column.kind == "text" and not any(set(".,eE") & set(text) for text in column.distinct())
        )
        return (y.astype(np.int64) if integers and np.abs(y).max() < _EXACT else y), None
    names = sorted_names(column.distinct())
    if column.kind == "text" and len(names) > max(FEW_CATEGORIES, len(column.values) / 2):
        raise DataError(
            f"the target {column.name!r} has a text of its own in most rows.",
            expected="the names of a few classes, or numbers",
            found=f"{len(names)} different texts in {len(column.values)} rows, such as {shortened(names, 3)}",
            fix="name another column",
        )
    if set(names) <= set(_TRUTH):
        names = _TRUTH
    place = {name: code for code, name in enumerate(names)}
    return np.array([place[text] for text in column.values], dtype=np.int64), names
