"""What each column of a table is, decided from its cells.

A column that its table declares to be numbers, dates, categories or booleans is what it is declared to be. Text is
decided by these rules, the first that holds:

- Missing are the texts "", NA, N/A, NaN, null, None, ? and - in any case of letters.
- A column without any value is left out.
- A **number**: every value is a finite number. A decimal comma is read where the whole column agrees on it and some
  value proves it. Marks between thousands are never guessed: where 1,234 may be 1.234 or 1234 the column is left out,
  and so is a column of 1.234 in a table that writes decimal commas elsewhere. Whole numbers with leading zeros ("007")
  are codes, not numbers.
- A **date**: every value is one of 2020-01-31 (2020/1/31, 2020-01; with 12:30:05.5 and a zone), 31.1.2020, 31 Jan 2020,
  Jan 31, 2020. 1/2/2020 is read only where some value of the column proves which of the two is the day; otherwise
  the column is left out. A date becomes the days since the first one of the training rows.
- An **ID**: ten or more texts, all different; whole numbers that count from 0 or 1 without a gap; whole numbers, all
  different, in a column called id or …_id. It is left out, counting numbers only while another column remains.
- A **category**: at most 50 different texts, of which there are at most 10 or at most half as many as values. Two
  categories become one column of 0 and 1, more of them one column each, in natural order.
- Anything else is free text and is left out.

Fills, categories and references come from the training rows alone. Missing numbers and dates become their median, with
a column "… is missing"; missing categories are a category of their own. A column with a single value in the training
rows is left out. A number whose differences float32 would round away is counted from its median.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..core.errors import DataError, counted
from .cells import Cells, cells, date_of, decimal_of, grouped, number_of, order_of
from .kinds import Category, Date, Kind, Number, Quantity, in_range, rows_of, shortened, sorted_names

MOST_CATEGORIES = 50
FEW_CATEGORIES = 10
FEWEST_IDS = 10
_SAMPLE = 1000
_LOSS = 1e-4  # of the spread of a column, that float32 may round away

Decided = tuple[tuple[Kind, ...], tuple[tuple[str, str], ...], tuple[str, ...]]


def decide(found: Mapping[str, Any], rows: Any) -> Decided:
    """The records of the columns that are used, the names of the others with reasons, and notes."""
    columns = [cells(name, series) for name, series in found.items()]
    if not len(columns[0].values) or (rows is not None and not len(columns[0].values[rows])):
        raise DataError("the table has no rows.", expected="at least one row", fix="load the data first")
    marks = {column.name: decimal_of(column) for column in columns if column.kind == "text" and len(column.present)}
    for column in columns:
        if "," in marks.values() and marks.get(column.name) == "." and grouped(column):
            marks[column.name] = "groups"
    results = [_decided(column, rows, marks.get(column.name, ""), False) for column in columns]
    if all(isinstance(result, str) for result in results):
        results = [_decided(column, rows, marks.get(column.name, ""), True) for column in columns]
    used = tuple(result for result in results if isinstance(result, Kind))
    pairs = zip(columns, results, strict=True)
    left_out = tuple((column.name, result) for column, result in pairs if isinstance(result, str))
    if not used:
        raise DataError(
            "no column of the table can be used.",
            found="\n".join(f"{name!r}: {why}" for name, why in left_out[:10]),
            fix="give the table at least one column of numbers, dates or categories that differ from row to row",
        )
    return used, left_out, tuple(_notes(columns, results))


def _decided(whole: Cells, rows: Any, mark: str, counting: bool) -> Kind | str:
    """What a column is, or why it is left out."""
    seen = whole if rows is None else whole.take(rows)
    if seen.missing.all():
        return "it is empty" + ("" if whole.missing.all() else " in the training rows")
    if whole.kind == "other":
        return f"it holds {whole.dtype}, which is not read"
    if whole.kind == "number" or mark in (".", ","):
        return _number(whole, rows, mark or ".", counting)
    if mark == "groups":
        return "its numbers may have marks between thousands (1,234 may be 1234 or 1.234); write 1234 or 1.234"
    order = order_of(whole) if whole.kind == "text" else ""
    if order == "?":
        return "1/2/2020 may have the day or the month first; write 2020-02-01"
    if whole.kind == "date" or (whole.kind == "text" and order is not None):
        return _date(whole, rows, order or "")
    return _category(whole, seen)


def _number(whole: Cells, rows: Any, decimal: str, counting: bool) -> Kind | str:
    values = Number(whole.name, decimal=decimal).read(whole)
    in_range(whole.name, np.where(whole.missing, 0, values), np.float32)
    if not counting and (why := _identifies(whole, values)):
        return why
    present = _seen(whole, values, rows)
    far, spread = float(np.abs(present).max()), float(present.std())
    zero = float(np.median(present)) if far * 2.0**-24 > _LOSS * spread > 0 else 0.0
    return _quantity(Number(whole.name, zero=zero, decimal=decimal), whole, present, rows)


def _date(whole: Cells, rows: Any, order: str) -> Kind | str:
    present = _seen(whole, Date(whole.name, order=order).read(whole), rows)
    return _quantity(Date(whole.name, zero=float(np.floor(present.min())), order=order), whole, present, rows)


def _seen(whole: Cells, values: np.ndarray, rows: Any) -> np.ndarray:
    return values[~whole.missing] if rows is None else values[rows][~whole.missing[rows]]


def _quantity(kind: Quantity, whole: Cells, present: np.ndarray, rows: Any) -> Kind | str:
    missing = bool((whole.missing if rows is None else whole.missing[rows]).any())
    counted = (present - kind.zero).astype(np.float32)
    if counted.min() == counted.max() and not missing:
        same = "a single value" if present.min() == present.max() else "values that are all the same in float32"
        return f"it has {same}{_of_training(rows)}, {kind.shown(float(present[0]))}"
    return replace(kind, fill=float(np.median(present)), flag=missing)


def _of_training(rows: Any) -> str:
    return "" if rows is None else " in the training rows"


def _identifies(whole: Cells, values: np.ndarray) -> str:
    """Why a column of numbers tells rows apart and nothing else, or an empty text."""
    count = len(values)
    if count < FEWEST_IDS or whole.missing.any() or (values != np.floor(values)).any():
        return ""
    ordered = np.sort(values)
    if ordered[0] in (0, 1) and (np.diff(ordered) == 1).all():
        return "it counts the rows"
    name = whole.name.lower()
    named = name == "id" or name.endswith(("_id", " id", "-id"))
    return "it is an ID: all of its numbers are different" if named and (np.diff(ordered) > 0).all() else ""


def _category(whole: Cells, seen: Cells) -> Kind | str:
    distinct, count = whole.distinct(), len(whole.present)
    if whole.kind == "text" and len(distinct) == count >= FEWEST_IDS:
        return f"its {count} texts are all different, as in an ID or a name" + _nearly(whole)
    if len(distinct) > MOST_CATEGORIES or (whole.kind == "text" and len(distinct) > max(FEW_CATEGORIES, count / 2)):
        return f"it is free text, {len(distinct)} different ones in {count} rows" + _nearly(whole)
    found = Category(whole.name, sorted_names(seen.distinct()), bool(seen.missing.any()))
    if len(found.slots) < 2:
        return f"it has a single value{'' if seen is whole else ' in the training rows'}, {found.values[0]!r}"
    return found


def _nearly(column: Cells) -> str:
    """A hint where most of the text is numbers or dates."""
    if column.kind != "text":
        return ""
    readers: dict[str, Callable[[str], float]] = {
        "numbers": number_of,
        "numbers with a decimal comma": partial(number_of, decimal=","),
        "dates": date_of,
    }
    sample = column.distinct()[:_SAMPLE]
    for name, read in readers.items():
        if 2 * sum(map(np.isnan, map(read, sample))) < len(sample):
            other = np.isnan(column.mapped(read)) & ~column.missing
            return f"; most of it is {name}, except {rows_of(column, other)}" if other.any() else ""
    return ""


# ---------------------------------------------------------------------- in words
def _notes(columns: list[Cells], results: list[Kind | str]) -> Iterable[str]:
    numbers = [each.name for each in results if isinstance(each, Number)]
    if numbers:
        yield f"{len(numbers)} column{'s are numbers' if len(numbers) > 1 else ' is a number'}: {shortened(numbers)}"
    for column, result in zip(columns, results, strict=True):
        if isinstance(result, str):
            yield f"{column.name!r} is left out: {result}"
            continue
        if isinstance(result, Category):
            yield f"{column.name!r} is a category: {result.detail}{_nearly(column)}"
        elif isinstance(result, Date):
            yield f"{column.name!r} is a date: {result.detail}"
        elif isinstance(result, Number) and (result.zero or result.decimal == ","):
            yield (
                f"{column.name!r} has a decimal comma"
                if result.decimal == ","
                else f"{column.name!r} is {result.detail}"
            )
        if column.missing.any():
            yield f"{column.name!r}: {_missing(column)}; {_filled(result)}"


def _missing(column: Cells) -> str:
    """How many values are missing, and in which words."""
    gone = column.missing
    words = Counter(column.values[gone].tolist()) if column.kind in ("text", "name") else Counter()
    said = ", ".join(f"{word!r} {counted(count, 'time')}" for word, count in words.most_common(3) if word)
    return f"{int(gone.sum())} of {len(gone)} values are missing" + (f" ({said})" if said else "")


def _filled(kind: Kind) -> str:
    if isinstance(kind, Category):
        return "they are a category of their own" if kind.missing else "none of them in the training rows"
    if not isinstance(kind, Quantity) or kind.fill is None:
        return ""
    filled = f"filled with the median of the training rows, {kind.shown(kind.fill)}"
    return filled + (f", and {kind.encoded[1]!r} says where" if kind.flag else "")


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """The names, a number added to each that has come before: a, a (2).

    >>> unique(["a", "b", "a"])
    ('a', 'b', 'a (2)')
    """
    given = list(names)
    found: dict[str, None] = {}
    for name in given:
        number, free = 1, name
        while free in found or (number > 1 and free in given):
            number += 1
            free = f"{name} ({number})"
        found[free] = None
    return tuple(found)
