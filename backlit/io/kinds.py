"""What a column of a table may be: a number, a date or a category; each a record that turns cells into numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ..core.errors import DataError, FileError, counted
from .cells import Cells, natural, when, word

MISSING = "(missing)"
_SHOWN = 3


@dataclass(frozen=True)
class Kind(ABC):
    """One column of a table and the numbers that it becomes."""

    name: str
    kind: ClassVar[str]

    @property
    @abstractmethod
    def encoded(self) -> tuple[str, ...]:
        """The names of the numbers."""

    @property
    @abstractmethod
    def detail(self) -> str:
        """What else there is to say of the column, in words."""

    @abstractmethod
    def encode(self, cells: Cells, out: np.ndarray) -> list[str]:
        """Write the numbers of some cells into `out`, (m, len(encoded)), and say what is odd about them."""

    def to_json(self) -> dict[str, Any]:
        """The record as a plain dict."""
        described = {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}
        return {"kind": self.kind, **described}


@dataclass(frozen=True)
class Quantity(Kind):
    """A column that is one number a row, less `zero`.

    Missing values become `fill`, and `flag` adds a column that is 1 where they were; None refuses them.
    """

    fill: float | None = None
    flag: bool = False
    zero: float = 0.0

    @abstractmethod
    def read(self, cells: Cells) -> np.ndarray:
        """The values as float64, NaN where they are missing or cannot be read."""

    def encode(self, cells: Cells, out: np.ndarray) -> list[str]:
        values = self.read(cells)
        unread = np.isnan(values) & ~cells.missing
        if unread.any():
            raise DataError(
                f"column {self.name!r} must hold {self.wanted}.",
                found=rows_of(cells, unread),
                fix="correct these rows, or leave them out",
            )
        remarks = []
        if cells.missing.any():
            if self.fill is None:
                raise DataError(
                    f"column {self.name!r} has missing values.",
                    found=rows_of(cells, cells.missing),
                    why="nothing says what to put in their place",
                    fix="fill them in or leave the rows out, or let Columns.infer(frame) choose fills",
                )
            values = np.where(cells.missing, self.fill, values)
            if not self.flag:
                filled = f"missing, filled with {self.shown(self.fill)}; none were missing in the training data"
                remarks = [f"{rows_of(cells, cells.missing)} {filled}"]
        out[:, 0] = in_range(self.name, values - self.zero, out.dtype)
        if self.flag:
            out[:, 1] = cells.missing
        return remarks

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What the column must hold, in words."""

    @abstractmethod
    def shown(self, value: float) -> str:
        """A value as people write it."""

    def _flagged(self, name: str) -> tuple[str, ...]:
        return (name, f"{self.name} is missing") if self.flag else (name,)


@dataclass(frozen=True)
class Number(Quantity):
    """Numbers, or text that holds numbers with `decimal` as the decimal mark."""

    decimal: str = "."
    kind = "number"

    @property
    def encoded(self) -> tuple[str, ...]:
        return self._flagged(f"{self.name} - {word(self.zero)}" if self.zero else self.name)

    @property
    def detail(self) -> str:
        said = [f"{self.fill:g} where missing"] if self.flag else []
        said += ["decimal comma"] if self.decimal == "," else []
        return ", ".join(said + ([f"counted from {word(self.zero)}"] if self.zero else []))

    @property
    def wanted(self) -> str:
        return "numbers" + (" with a decimal comma" if self.decimal == "," else "")

    def shown(self, value: float) -> str:
        return f"{value:g}"

    def read(self, cells: Cells) -> np.ndarray:
        if cells.kind == "number":
            return cells.values
        if cells.kind == "name" and cells.dtype == "Boolean":
            return cells.mapped(lambda text: float(text == "True"))
        if cells.kind in ("text", "name"):
            return cells.numbers(self.decimal)
        return np.full(len(cells.values), np.nan)


@dataclass(frozen=True)
class Date(Quantity):
    """Dates as days since `zero`; `order` says whether 1/2/2020 has the "day" or the "month" first, "" refuses it."""

    order: str = ""
    kind = "date"

    @property
    def encoded(self) -> tuple[str, ...]:
        return self._flagged(f"{self.name} ({self._unit})")

    @property
    def _unit(self) -> str:
        return f"days since {when(self.zero)}"

    @property
    def detail(self) -> str:
        said = [self._unit, *([f"{self.order} first"] if self.order else [])]
        return ", ".join(
            said + ([f"{self.shown(self.fill)} where missing"] if self.flag and self.fill is not None else [])
        )

    @property
    def wanted(self) -> str:
        return f"dates such as 2020-01-31{f', or with the {self.order} first' if self.order else ''}"

    def shown(self, value: float) -> str:
        return when(value)

    def read(self, cells: Cells) -> np.ndarray:
        if cells.kind == "date":
            return cells.values
        if cells.kind in ("text", "name"):
            return cells.dates(self.order)
        return np.full(len(cells.values), np.nan)


@dataclass(frozen=True)
class Category(Kind):
    """One of the texts in `values`, or missing where `missing`: a column each, a single one where there are two."""

    values: tuple[str, ...] = ()
    missing: bool = False
    kind = "category"

    @property
    def slots(self) -> tuple[str, ...]:
        """The values, and "(missing)" after them where that is a category of its own."""
        return (*self.values, MISSING) if self.missing else self.values

    @property
    def encoded(self) -> tuple[str, ...]:
        return tuple(f"{self.name}={slot}" for slot in (self.slots[1:] if len(self.slots) == 2 else self.slots))

    @property
    def detail(self) -> str:
        return shortened(self.slots)

    def encode(self, cells: Cells, out: np.ndarray) -> list[str]:
        place = {value: k for k, value in enumerate(self.values)}
        codes = np.array([place.get(word, -1) for word in cells.words().tolist()], dtype=np.int64)
        codes[cells.missing] = len(self.values) if self.missing else -1
        single = len(self.slots) == 2
        out[:] = codes[:, None] == (1 if single else np.arange(len(self.slots)))
        other = codes < 0
        if not other.any():
            return []
        like = f"as 0, like {self.slots[0]!r}" if single else "as zeros in all of its columns"
        counts = Counter(word or "empty" for word in cells.words()[other].tolist())
        found = ", ".join(f"{word!r} {counted(count, 'time')}" for word, count in counts.most_common(_SHOWN))
        more = ", …" if len(counts) > _SHOWN else ""
        what = f"{int(other.sum())} of {len(codes)} values ({found}{more})"
        return [f"{what} not seen in training (only {self.detail}); encoded {like}"]


KINDS: dict[str, type[Any]] = {each.kind: each for each in (Number, Date, Category)}


def rows_of(cells: Cells, chosen: np.ndarray) -> str:
    """The chosen rows in words: how many, and the first ones with their values."""
    rows = np.flatnonzero(chosen)
    shown = cells.take(rows[:_SHOWN])
    words = [repr(text) if cells.kind in ("text", "name") and text else str(text) for text in shown.words()]
    first = ", ".join(f"row {row}: {text or 'empty'}" for row, text in zip(rows, words, strict=False))
    more = ", …" if len(rows) > _SHOWN else ""
    return f"{len(rows)} of {len(chosen)} values ({first}{more})"


def shortened(names: Sequence[str], most: int = 6) -> str:
    """Names in one line, the first ones where there are many."""
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[: most - 1])}, … ({len(names)} in all)"


def in_range(name: str, values: np.ndarray, dtype: Any) -> np.ndarray:
    """The values; DataError where one is infinite or too large for `dtype`."""
    most = float(np.finfo(dtype).max)
    bad = ~(np.abs(values) <= most)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(
            f"column {name!r} holds numbers that are not finite in {np.dtype(dtype).name}.",
            expected=f"numbers of at most {most:.3g} in size",
            found=f"{int(bad.sum())} of {len(values)} values, the first in row {row}: {values[row]:g}",
            fix="correct them, or count the column in a larger unit",
        )
    return values


# ---------------------------------------------------------------------- from files
def _finite(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < np.inf


def _texts(value: Any) -> bool:
    texts = isinstance(value, list) and all(isinstance(text, str) for text in value)
    return texts and len(set(value)) == len(value)


_ENTRIES: dict[str, Callable[[Any], bool]] = {
    "name": lambda value: isinstance(value, str),
    "fill": lambda value: value is None or _finite(value),
    "flag": lambda value: isinstance(value, bool),
    "zero": _finite,
    "decimal": lambda value: value in (".", ","),
    "order": lambda value: value in ("", "day", "month"),
    "values": _texts,
    "missing": lambda value: isinstance(value, bool),
}


def from_json(described: Any) -> Kind:
    """The record that `to_json` described; FileError for anything else."""
    kind = described.get("kind") if isinstance(described, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise foreign("a kind of column is unknown", described)
    given = {key: value for key, value in described.items() if key != "kind"}
    if set(given) != {field.name for field in fields(KINDS[kind])}:
        raise foreign("a column has other entries", described)
    wrong = next((key for key, value in given.items() if not _ENTRIES[key](value)), None)
    if wrong is not None:
        raise foreign(f"the entry {wrong!r} of a column holds what it cannot", described)
    if "values" in given:
        given["values"] = tuple(given["values"])
    record: Kind = KINDS[kind](**given)
    if isinstance(record, Quantity) and record.flag and record.fill is None:
        raise foreign("a column has no fill for its missing values", described)
    if isinstance(record, Category) and len(record.slots) < 2:
        raise foreign("a category has fewer than two values", described)
    return record


def foreign(what: str, found: Any) -> FileError:
    """The error for a description that `Columns.to_json` has not written."""
    return FileError(
        f"the description of a table's columns cannot be used: {what}.",
        expected="what Columns.to_json() gives",
        found=repr(found)[:80],
        fix="copy the file again, or train anew",
    )


def sorted_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names in natural order: "a2" before "a10"."""
    return tuple(sorted(names, key=natural))
