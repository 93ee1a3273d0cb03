"""The cells of one column of a table, whatever library made the table, and how text in them is read."""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..core.errors import DataError

# Text that stands for a missing value, in any case of letters.
MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})

_EPOCH = datetime.date(1970, 1, 1).toordinal()
_SECONDS = 86400.0
_SAMPLE = 100

_POINT = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_COMMA = re.compile(r"[+-]?(?:[0-9]+,?[0-9]*|,[0-9]+)(?:[eE][+-]?[0-9]+)?")
_CODES = re.compile(r"^[+-]?0[0-9]+$", re.MULTILINE)
_OTHER = {".": re.compile(r"[^0-9eE+.\n-]"), ",": re.compile(r"[^0-9eE+,\n-]")}  # what numbers are not written with
_GROUPS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?P<mark>[., '’])[0-9]{3}(?:(?P=mark)[0-9]{3})*(?:[.,][0-9]+)?")

_TIME = r"(?:[T ]\s*(?P<h>\d\d?):(?P<min>\d\d)(?::(?P<s>\d\d(?:[.,]\d{1,9})?))?\s*(?P<zone>[Zz]|[+-]\d\d:?\d\d)?)?"
_DATES = tuple(
    re.compile(pattern + _TIME, re.ASCII)
    for pattern in (
        r"(?P<y>\d{4})(?P<mark>[-/])(?P<m>\d\d?)(?:(?P=mark)(?P<d>\d\d?))?",
        r"(?P<d>\d\d?)\.(?P<m>\d\d?)\.(?P<y>\d{4})",
        r"(?P<d>\d\d?)[ -](?P<name>[A-Za-z]{3,9})\.?[ -](?P<y>\d{4})",
        r"(?P<name>[A-Za-z]{3,9})\.? (?P<d>\d\d?),? (?P<y>\d{4})",
    )
)
_USUAL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[ T][0-9]{2}:[0-9]{2}:[0-9]{2})?")
_SLASHES = re.compile(r"(?P<first>\d\d?)(?P<mark>[-/])(?P<second>\d\d?)(?P=mark)(?P<y>\d{4})" + _TIME, re.ASCII)
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_ENDS = ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember")


@dataclass(frozen=True, eq=False)
class Cells:
    """One column: `values` with one entry a row, and `missing`, True where the entry means nothing.

    `kind` is "number" or "date" (values float64; a date in days since 1970-01-01, in UTC where it has a zone), "text",
    "name" (text that its table declares to be categories; booleans are the names False and True), or "other", which
    cannot be encoded; `dtype` is then what the table calls it.
    """

    name: str
    kind: str
    values: np.ndarray
    missing: np.ndarray
    dtype: str
    _known: dict[str, np.ndarray] = field(default_factory=dict, init=False, repr=False)  # what has been read

    def take(self, rows: Any) -> Cells:
        """The cells of some rows."""
        return replace(self, values=self.values[rows], missing=self.missing[rows])

    @property
    def present(self) -> np.ndarray:
        """The values that are not missing."""
        return self.values[~self.missing]

    def words(self) -> np.ndarray:
        """The values as text: 3.0 is "3"."""
        if self.kind == "number":
            return _objects([word(value) for value in self.values.tolist()])
        if self.kind == "date":
            return _objects(["" if value != value else when(value) for value in self.values.tolist()])
        return self.values

    def distinct(self) -> list[Any]:
        """The different values that are not missing, in the order in which they come."""
        return list(dict.fromkeys(self.present.tolist()))

    def mapped(self, read: Callable[[str], float]) -> np.ndarray:
        """Text as float64, each different text being read once; NaN where it is missing."""
        known = {text: read(text) for text in self.distinct()}
        return np.array([known.get(text, np.nan) for text in self.values.tolist()], dtype=np.float64)

    def numbers(self, decimal: str = ".") -> np.ndarray:
        """Text as float64, NaN where it is missing or no finite number."""
        if decimal not in self._known:
            self._known[decimal] = _at_once(self, decimal)
        return self._known[decimal]

    def dates(self, order: str = "") -> np.ndarray:
        """Text as days since 1970-01-01, NaN where it is missing or no date."""
        if order not in self._known:
            self._known[order] = self.mapped(partial(date_of, order=order))
        return self._known[order]


def word(value: Any) -> str:
    """One number, or other thing, as the text that stands for it: a whole number without a point."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value)


def when(days: float) -> str:
    """The date that lies so many days after 1970-01-01, with the time where it is not midnight."""
    whole, seconds = divmod(round(days * _SECONDS), round(_SECONDS))
    if not 1 <= _EPOCH + whole <= datetime.date.max.toordinal():
        return f"day {days:g}"
    day = datetime.date.fromordinal(_EPOCH + whole).isoformat()
    return day + (f"T{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds else "")


# ---------------------------------------------------------------------- from tables
def columns_of(frame: Any) -> dict[str, Any]:
    """The columns of a table of pandas, polars, pyarrow, … as narwhals series, by name.

    Raises DataError for a table without columns and for a name that stands twice.
    """
    import narwhals as nw

    names = [str(name) for name in _labels(frame)]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise DataError(
            "two columns of the table have the same name.",
            found=f"{twice!r} stands {names.count(twice)} times",
            fix="rename them, so that a column can be told by its name",
        )
    if not names:
        raise DataError("the table has no columns.", expected="at least one column")
    table = nw.from_native(frame)
    if isinstance(table, nw.LazyFrame):
        table = table.collect()
    return dict(zip(names, table.iter_columns(), strict=True))


def _labels(frame: Any) -> list[Any]:
    if hasattr(type(frame), "collect_schema"):  # a lazy frame does not know its columns before
        return list(frame.collect_schema().names())
    return list(frame.column_names if hasattr(type(frame), "column_names") else frame.columns)


def cells(name: str, series: Any) -> Cells:
    """The cells of a narwhals series."""
    import narwhals as nw

    dtype, missing = series.dtype, np.array(series.is_null().to_numpy(), dtype=bool)
    if dtype.is_numeric():
        return _numbers(name, series.cast(nw.Float64).to_numpy(), missing, str(dtype))
    if dtype in (nw.Date, nw.Datetime):
        stamps = series.dt.timestamp("us").cast(nw.Float64).to_numpy()
        return Cells(name, "date", np.where(missing, np.nan, stamps / (_SECONDS * 1e6)), missing, str(dtype))
    if dtype == nw.String:
        return text(name, ["" if gone else value for value, gone in zip(series.to_list(), missing, strict=True)])
    values = [None if gone else value for value, gone in zip(series.to_list(), missing, strict=True)]
    if dtype in (nw.Boolean, nw.Categorical, nw.Enum):
        return _named(name, values, str(dtype))
    if dtype == nw.Object:
        return _objects_of(name, values, missing)
    return Cells(name, "other", _objects(values), missing, str(dtype))


def _objects_of(name: str, values: list[Any], missing: np.ndarray) -> Cells:
    """A column of Python objects, by what they are."""
    kinds = {type(value) for value in values if value is not None}
    if kinds and all(issubclass(kind, (bool, np.bool_)) for kind in kinds):
        return _named(name, values, "Boolean")
    if kinds and all(issubclass(kind, datetime.date) for kind in kinds):
        return text(name, ["" if value is None else value.isoformat() for value in values])
    if all(issubclass(kind, (str, int, float, np.integer, np.floating, np.bool_)) or kind.__name__ == "Decimal" for kind in kinds):
        if kinds and not any(issubclass(kind, (str, bool, np.bool_)) for kind in kinds):
            return _numbers(name, [np.nan if value is None else _float(value) for value in values], missing, "objects")
        return text(name, ["" if value is None else word(value) for value in values])
    return Cells(name, "other", _objects(values), missing, " and ".join(sorted(kind.__name__ for kind in kinds)))


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # a whole number beyond float64
        return np.inf


def _numbers(name: str, values: Any, missing: np.ndarray, dtype: str) -> Cells:
    numbers = np.array(values, dtype=np.float64)
    return Cells(name, "number", numbers, missing | np.isnan(numbers), dtype)


def _named(name: str, values: list[Any], dtype: str) -> Cells:
    found = text(name, ["" if value is None else word(value) for value in values])
    return replace(found, kind="name", dtype=dtype)


def text(name: str, values: list[str]) -> Cells:
    """Cells of text: blanks around it do not count, and the markers of MISSING are missing."""
    stripped = [value.strip() for value in values]
    missing = np.array([value.lower() in MISSING for value in stripped], dtype=bool)
    return Cells(name, "text", _objects(stripped), missing, "text")


def _objects(values: list[Any]) -> np.ndarray:
    return np.fromiter(values, dtype=object, count=len(values))


# ---------------------------------------------------------------------- numbers in text
def decimal_of(column: Cells) -> str:
    """How the text of a column writes numbers: ".", or "," where all of it agrees on a decimal comma.

    "groups" where marks between thousands cannot be told from decimal points ("1,234" may be 1234 or 1.234), "code"
    where whole numbers have leading zeros ("007"), "" where not all of the text is finite numbers.
    """
    if not np.isnan(column.numbers()[~column.missing]).any():
        return "code" if _CODES.search("\n".join(column.present.tolist())) else "."
    words = column.distinct()
    if all(map(_COMMA.fullmatch, words)):
        commas = [each for each in words if "," in each]
        if commas and not all(map(_GROUPS.fullmatch, commas)):
            return "" if np.isnan(column.numbers(",")[~column.missing]).any() else ","
    numbers = all(_POINT.fullmatch(each) or _COMMA.fullmatch(each) or _GROUPS.fullmatch(each) for each in words)
    return "groups" if numbers and any(map(_GROUPS.fullmatch, words)) else ""


def _at_once(column: Cells, decimal: str) -> np.ndarray:
    """What `number_of` says of each text, in one go where all of them are numbers."""
    texts = column.present.tolist()
    joined = "\n".join(texts)
    if not _OTHER[decimal].search(joined):
        with suppress(ValueError):
            out = np.full(len(column.values), np.nan)
            out[~column.missing] = list(map(float, joined.replace(",", ".").split("\n") if texts else []))
            out[np.isinf(out)] = np.nan
            return out
    return column.mapped(partial(number_of, decimal=decimal))


def grouped(column: Cells) -> bool:
    """Whether every point in a column of numbers may be a mark between thousands."""
    points = [each for each in column.distinct() if "." in each]
    return bool(points) and all(map(_GROUPS.fullmatch, points))


def number_of(text: str, decimal: str = ".") -> float:
    """The finite number that a text is, or NaN."""
    if not (_COMMA if decimal == "," else _POINT).fullmatch(text):
        return np.nan
    value = float(text.replace(",", "."))
    return value if np.isfinite(value) else np.nan


# ---------------------------------------------------------------------- dates in text
def order_of(column: Cells) -> str | None:
    """The order of day and month in the dates of a column of text, None where not all of it is dates.

    "" where every date says so itself (2020-01-31, 31.1.2020, 31 Jan 2020), "day" or "month" (first) where 1/2/2020
    occurs and some other date proves it, "?" where none does.
    """
    sample = column.distinct()[:_SAMPLE]

    def fits(order: str) -> bool:
        if any(np.isnan(date_of(each, order)) for each in sample):
            return False
        return not np.isnan(column.dates(order)[~column.missing]).any()

    if not sample or fits(""):
        return "" if sample else None
    proven = [order for order in ("day", "month") if fits(order)]
    return None if not proven else proven[0] if len(proven) == 1 else "?"


def date_of(text: str, order: str = "") -> float:
    """The days from 1970-01-01 to a date, in UTC where it has a zone; NaN where the text is no date."""
    if _USUAL.fullmatch(text):
        with suppress(ValueError):
            day = datetime.datetime.fromisoformat(text)  # several times quicker than the patterns
            return day.toordinal() - _EPOCH + ((day.hour * 60 + day.minute) * 60 + day.second) / _SECONDS
    found = next(filter(None, (pattern.fullmatch(text) for pattern in _DATES)), None)
    if found is None and order:
        found = _SLASHES.fullmatch(text)
    if found is None:
        return np.nan
    part = found.groupdict()
    if "first" in part:
        part["d"], part["m"] = (part["first"], part["second"])[:: 1 if order == "day" else -1]
    month = part.get("m") or _month(part["name"])
    try:
        date = datetime.date(int(part["y"]), int(month), int(part["d"] or 1))
    except ValueError:
        return np.nan
    return date.toordinal() - _EPOCH + _time(part)


def _month(name: str) -> int:
    place = _MONTHS.index(name[:3].lower()) if name[:3].lower() in _MONTHS else -1
    return place + 1 if _ENDS[place].startswith(name[3:].lower()) else 0


def _time(part: dict[str, str | None]) -> float:
    """The part of a day that has passed."""
    hours, minutes = int(part["h"] or 0), int(part["min"] or 0)
    seconds = float((part["s"] or "0").replace(",", "."))
    if hours > 23 or minutes > 59 or seconds >= 60:
        return np.nan
    zone = part["zone"] or "Z"
    shift = 0 if zone in "Zz" else int(zone[0] + "1") * (int(zone[1:3]) * 60 + int(zone[-2:]))
    return (hours * 3600 + (minutes - shift) * 60 + seconds) / _SECONDS


def natural(text: str) -> tuple[tuple[tuple[int, int, str], ...], str]:
    """A sorting key under which "a2" stands before "a10"; the text itself decides between "1" and "01"."""
    parts = [(part[0] in "0123456789", part.lstrip("0"), part) for part in re.findall(r"[0-9]+|[^0-9]+", text)]
    return tuple((0, len(digits), digits) if number else (1, 0, part) for number, digits, part in parts), text
