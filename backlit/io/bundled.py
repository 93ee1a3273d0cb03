"""The five real data sets that come with scikit-learn; nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from backlit.core.errors import ArgumentError, FileMissingError, did_you_mean

NAMES = ("digits", "breast_cancer", "wine", "iris", "diabetes")

_UNITS = {"digits": "pixel grey level 0..16", "iris": "cm"}
_TARGETS = {
    "digits": "digit",
    "breast_cancer": "diagnosis",
    "wine": "cultivar",
    "iris": "species",
    "diabetes": "disease progression after one year",
}


@dataclass(frozen=True, eq=False)
class Dataset:
    """Numbers with what is known about them.

    `X` has shape (m, n) and stays in raw units; `y` has shape (m,) or (m, k); `columns` names the n columns of X and
    `target` names y. `classes[label]` is the name of a class, None when unknown or for a regression. `unit` is set when
    all columns share one unit, `image` is the shape of one row as a picture ((8, 8) for digits). `notes` says in plain
    sentences what the reader of the file decided.

    The features stand in one place. Where `frame` is None they are `X`. Data from a table (CSV, parquet, …) have them
    in `frame`, a pandas DataFrame of the raw feature columns, row for row with y, and X has shape (m, 0) until a
    `Columns` encodes it:

        columns = Columns.infer(data.frame, rows=train)
        data = replace(data, X=columns.encode(data.frame), columns=columns.encoded, frame=None)

    `rows` says which row of the file each one is, from 0, where some of them were skipped or left out; None: all, in order.
    `y` has no rows where the data were read without labels (`read(..., labelled=False)`).
    """

    name: str
    X: np.ndarray
    y: np.ndarray
    columns: tuple[str, ...]
    target: str
    classes: tuple[str, ...] | None
    unit: str | None
    image: tuple[int, ...] | None
    notes: tuple[str, ...] = ()
    frame: Any = None
    rows: np.ndarray | None = None

    def numbers(self, rows: np.ndarray) -> np.ndarray:
        """Rows of this data as the numbers that they have in the file."""
        return rows if self.rows is None else self.rows[rows]


def load(name: str) -> Dataset:
    """The bundled data set called `name`, one of `NAMES`, in its raw units.

    X is float64 of shape (m, n); y is int64 of shape (m,), float64 for diabetes. Raises FileMissingError for any other
    name and ArgumentError where `name` is no string.

    >>> data = load("digits")
    >>> data.X.shape, data.y.shape, data.image, data.unit
    ((1797, 64), (1797,), (8, 8), 'pixel grey level 0..16')
    >>> load("wine").classes
    ('class_0', 'class_1', 'class_2')
    """
    if not isinstance(name, str):
        raise ArgumentError("the name of a data set must be a string.", found=f"{name!r} ({type(name).__name__})")
    if name not in NAMES:
        raise FileMissingError(
            f"no bundled data set is called {name!r}.",
            expected=f"one of {', '.join(NAMES)}",
            fix=did_you_mean(name, NAMES),
        )
    bunch = _loaders()[name]()
    whole = name != "diabetes"
    return Dataset(
        name=name,
        X=np.ascontiguousarray(bunch.data, dtype=np.float64),
        y=np.asarray(bunch.target, dtype=np.int64 if whole else np.float64),
        columns=tuple(str(column) for column in bunch.feature_names),
        target=_TARGETS[name],
        classes=tuple(str(label) for label in bunch.target_names) if whole else None,
        unit=_UNITS.get(name),
        image=(8, 8) if name == "digits" else None,
    )


def _loaders() -> dict[str, Callable[[], Any]]:
    from sklearn import datasets

    return {
        "digits": datasets.load_digits,
        "breast_cancer": datasets.load_breast_cancer,
        "wine": datasets.load_wine,
        "iris": datasets.load_iris,
        "diabetes": lambda: datasets.load_diabetes(scaled=False),
    }
