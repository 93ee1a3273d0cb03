"""How the rows of a table become the numbers of X: decided once from the training data, then the same for every table."""

from __future__ import annotations

import warnings
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.errors import ArgumentError, ColumnWarning, DataError, did_you_mean
from . import infer, kinds
from .cells import cells, columns_of
from .kinds import Kind, Number

_LIBRARIES = ("pandas", "polars", "pyarrow", "modin", "cudf", "narwhals")
_FRAMES = ("DataFrame", "Table", "LazyFrame")


def is_table(value: Any) -> bool:
    """Whether `value` is a table of pandas, polars, pyarrow, modin, cudf or narwhals; none of them is imported for it.

    >>> is_table([[1, 2]])
    False
    """
    return any(
        kind.__name__ in _FRAMES and kind.__module__.partition(".")[0] in _LIBRARIES for kind in type(value).__mro__
    )


def _series(frame: Any) -> dict[str, Any]:
    if not is_table(frame):
        raise ArgumentError(
            "columns are those of a table.",
            expected="a DataFrame of pandas or polars, or a Table of pyarrow",
            found=type(frame).__name__,
            fix="pandas.DataFrame(...) makes one",
        )
    return columns_of(frame)


@dataclass(frozen=True)
class Columns:
    """The columns of a table, each with the numbers that it becomes.

    `used` has one record for each column that is used, `left_out` the names of the others with the reasons, and
    `notes` says in sentences what was decided. Immutable; equal where everything in it is equal.

    >>> import pandas
    >>> frame = pandas.DataFrame({"size": [1.5, 2.0, None], "colour": ["red", "blue", "red"]})
    >>> columns = Columns.infer(frame)
    >>> columns.encoded
    ('size', 'size is missing', 'colour=red')
    >>> columns.encode(frame).tolist()
    [[1.5, 0.0, 1.0], [2.0, 0.0, 0.0], [1.75, 1.0, 1.0]]
    """

    used: tuple[Kind, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        out = f", {len(self.left_out)} left out" if self.left_out else ""
        return f"<Columns: {len(self.used)} used, {len(self.encoded)} numbers{out}>"

    @classmethod
    def infer(cls, frame: Any, rows: Any = None) -> Columns:
        """Decide what each column is from all rows of a table; take fills and categories from `rows` (indices or a mask).

        Read the rules in `backlit.io.infer`. Raises DataError for a table without rows, with a name that stands twice,
        with infinite numbers or numbers beyond float32, or where no column can be used.
        """
        return cls(*infer.decide(_series(frame), rows))

    @classmethod
    def plain(cls, frame: Any) -> Columns:
        """The columns of a table that holds nothing but numbers and booleans, as they are; DataError for any other."""
        used = []
        for name, series in _series(frame).items():
            column = cells(name, series)
            if column.kind != "number" and column.dtype != "Boolean":
                shown = f", such as {column.words()[0]!r}" if len(column.values) else ""
                raise DataError(
                    f"column {name!r} holds no numbers.",
                    expected="columns of numbers or booleans",
                    found=f"a column of {column.dtype}{shown}",
                    fix="encode it: backlit.utils.Columns.infer(frame).encode(frame)",
                )
            used.append(Number(name))
        return cls(tuple(used))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns that are used, as the table has them."""
        return tuple(each.name for each in self.used)

    @property
    def encoded(self) -> tuple[str, ...]:
        """The names of the numbers that come out, all different."""
        return infer.unique(name for each in self.used for name in each.encoded)

    @property
    def kinds(self) -> list[tuple[str, str, str]]:
        """For each column its name, its kind ("number", "date", "category") and the rest in words."""
        return [(each.name, each.kind, each.detail) for each in self.used]

    def encode(self, frame: Any, ignore: Collection[str] = (), dtype: Any = np.float32) -> np.ndarray:
        """The numbers of a table, (m, len(encoded)), its columns found by name. `ignore` names columns to pass over.

        Warns with ColumnWarning where the columns stand in another order (they are put right), a category was not seen
        in training (0 in all of its columns), or values are missing in a column that had none (filled as stored).
        Raises DataError for columns that are missing or unknown, for text where numbers or dates are wanted, for
        missing values where nothing says how to fill them, and for numbers that are not finite in `dtype`.
        """
        found = _series(frame)
        self._matched(found, ignore)
        rows = len(next(iter(found.values())))
        out = np.empty((rows, sum(len(each.encoded) for each in self.used)), dtype=dtype)
        place = 0
        for each in self.used:
            width = len(each.encoded)
            remarks = each.encode(cells(each.name, found[each.name]), out[:, place : place + width])
            for remark in remarks:
                warnings.warn(f"column {each.name!r}: {remark}.", ColumnWarning, stacklevel=2)
            place += width
        return out

    def _matched(self, found: dict[str, Any], ignore: Collection[str]) -> None:
        """Refuse missing and unknown columns; warn where the order is another."""
        others = {name for name, _ in self.left_out} | set(ignore)
        given = [name for name in found if name in self.names or name not in others]
        missing = [name for name in self.names if name not in found]
        unknown = [name for name in given if name not in self.names]
        if missing or unknown:
            near = did_you_mean(missing[0], unknown).removeprefix("did you mean ").rstrip("?") if missing else ""
            said = [f"missing: {kinds.shortened(missing)}"] if missing else []
            said += [f"unknown: {kinds.shortened(unknown)}"] if unknown else []
            raise DataError(
                "the table does not have the columns of the training data.",
                expected=kinds.shortened(self.names, 20),
                found="\n".join(said),
                fix=f"rename {near} to {missing[0]!r}" if near else "give it the columns of the training data",
            )
        if tuple(given) != self.names:
            first = next(name for name, wanted in zip(given, self.names, strict=True) if name != wanted)
            warnings.warn(
                f"the columns stand in another order than in training (the first is {first!r}); matched by name.",
                ColumnWarning,
                stacklevel=3,
            )

    def to_json(self) -> dict[str, Any]:
        """The columns as a plain dict, for `from_json`."""
        return {
            "columns": [each.to_json() for each in self.used],
            "left_out": [list(pair) for pair in self.left_out],
            "notes": list(self.notes),
        }

    @classmethod
    def from_json(cls, described: Any) -> Columns:
        """The columns that `to_json` described; FileError for anything else."""
        parts = described if isinstance(described, dict) else {}
        used, pairs, notes = (parts.get(key) for key in ("columns", "left_out", "notes"))
        if not (isinstance(used, list) and isinstance(pairs, list) and isinstance(notes, list)):
            raise kinds.foreign("it is no dict with the lists columns, left_out and notes", described)
        records = tuple(map(kinds.from_json, used))
        names = [each.name for each in records]
        texts = all(isinstance(pair, list) and len(pair) == 2 for pair in pairs)
        if not texts or not all(isinstance(text, str) for text in (*notes, *(text for pair in pairs for text in pair))):
            raise kinds.foreign("left_out or notes hold other things than text", pairs)
        if not names or len(set(names)) < len(names) or set(names) & {name for name, _ in pairs}:
            raise kinds.foreign("it names no column, or one of them twice", names)
        return cls(records, tuple((name, why) for name, why in pairs), tuple(notes))
