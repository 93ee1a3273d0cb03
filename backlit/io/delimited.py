"""Tables in text: CSV and its relatives, and JSON lines. Every field stays the text it is; `infer` decides what it means."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..core.errors import FileError, counted
from .cells import MISSING, number_of
from .infer import unique
from .kinds import shortened
from .sources import tolerable

_Record = tuple[int, list[str] | None]  # the line in which it begins, and its fields

_SEPARATORS = ("\t", ";", "|", ",")
_SPOKEN = {"\t": "tab", ";": "';'", "|": "'|'", ",": "','"}
_SNIFFED = 200  # records that the separator is decided from


def read(path: Path) -> tuple[Any, list[str]]:
    """A text table as a pandas DataFrame of strings, and notes that say how it was read.

    UTF-8 and UTF-16 are told by their marks, other bytes are read as Windows-1252. The separator is the one of tab ; | ,
    that gives the most rows the same number of fields. The first row holds the names unless all of its fields are
    numbers, or more than half of them with a fraction among them. Rows with another number of fields are skipped and
    counted, up to 1 % of them.

    Raises FileError for a file that is empty, has no rows below its names, is no text, or has more than 1 % bad rows.
    """
    content, notes = decoded(path)
    separator = _separator(content)
    records = _records(content, separator)
    first = next(((line, fields) for line, fields in records if fields), None)
    if first is None:
        raise _refused(path, "is empty", "a row of names and rows of values")
    names = _names(first[1], notes)
    rows: list[_Record] = [] if names is not None else [first]
    names = names or tuple(f"x{k}" for k in range(len(first[1])))
    rows += [record for record in records if record[1] != []]
    places, whole = _whole(path, names, rows, notes)
    if not whole:
        raise _refused(path, "has names but no rows", "rows of values below the names", ", ".join(names[:20]))
    said = f"{counted(len(whole), 'row')}, {counted(len(names), 'column')}"
    notes.insert(0, f"{said} separated by {_SPOKEN[separator]}" if len(names) > 1 else said)
    return frame(names, zip(*whole, strict=True), places), notes


def frame(names: Sequence[str], columns: Any, places: Sequence[int]) -> Any:
    """A DataFrame of Python objects, as they are; its index says which row of the file each one is, from 0."""
    import pandas

    made = pandas.DataFrame(
        {name: pandas.Series(column, dtype=object) for name, column in zip(names, columns, strict=True)}
    )
    return made.set_axis(places, axis="index")


def decoded(path: Path) -> tuple[str, list[str]]:
    """The text of a file, unpacked where it is gzip, and a note where its encoding had to be guessed."""
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as problem:
            raise _refused(path, "cannot be unpacked", "a whole gzip file", str(problem)) from problem
    try:
        if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return content.decode("utf-16"), []
        text, notes = content.decode("utf-8-sig"), []
    except UnicodeDecodeError as problem:
        text = content.decode("cp1252", "replace")
        at = problem.start
        shown = text[max(0, at - 10) : at + 10].strip()
        notes = [f"the file is not UTF-8 and is read as Windows-1252; check the letters, such as {shown!r}"]
    if "\0" in text:
        raise _refused(path, "is no text", "a table in text", "zero bytes")
    return text, notes


def _refused(path: Path, what: str, expected: str, found: str = "", fix: str = "") -> FileError:
    return FileError(f"{path.name!r} {what}.", expected=expected, found=found, fix=fix, where=str(path))


# ---------------------------------------------------------------------- rows
def _records(text: str, separator: str) -> Iterator[_Record]:
    """The records of a text with the line each begins in: [] for a blank line, None where its quotes are broken."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            fields: list[str] | None = next(reader)
        except StopIteration:
            return
        except csv.Error:
            fields = None
        if fields is not None and len(fields) == 1 and not fields[0].strip():
            fields = []
        yield line, fields
        if fields is None:
            for lost in range(line + 1, reader.line_num + 1):  # an open quote swallows the lines up to the next one
                yield lost, None


def _separator(text: str) -> str:
    """The separator that gives the first records most evenly the same number of fields, at least two."""
    scores = {}
    for place, separator in enumerate(_SEPARATORS):
        records = [fields for _, fields in islice(_records(text, separator), _SNIFFED) if fields]
        counts = Counter(len(fields) for fields in records if len(fields) > 1)
        if counts:
            width, often = counts.most_common(1)[0]
            scores[separator] = (len(records[0]) == width, often / len(records), -place)
    return max(scores, key=scores.__getitem__) if scores else ","


def _names(first: list[str], notes: list[str]) -> tuple[str, ...] | None:
    """The names in the first row, or None where it holds values."""
    fields = [field.strip() for field in first]
    numbers = [field for field in fields if any(number_of(field, mark) == number_of(field, mark) for mark in ".,")]
    counted = fields in ([str(k + begin) for k in range(len(fields))] for begin in (0, 1))
    broken = [field for field in numbers if not field.lstrip("+-").isdigit()]
    values = len(numbers) + sum(field.lower() in MISSING for field in fields) == len(fields) and not counted
    if numbers and (values or (broken and 2 * len(numbers) > len(fields))):
        notes.append(f"the first row holds values, not names; the columns are called x0 … x{len(fields) - 1}")
        return None
    if numbers:
        notes.append(f"the first row is read as names, although it holds numbers ({shortened(numbers, 4)})")
    names = unique(field or f"column {place}" for place, field in enumerate(fields, 1))
    if any(not field for field in fields):
        notes.append("columns without a name are called by their place: 'column 1', …")
    twice = shortened([name for name, count in Counter(field for field in fields if field).items() if count > 1])
    if twice:
        notes.append(f"names that stand twice are numbered: {twice}")
    return names


def _whole(
    path: Path, names: Sequence[str], rows: list[_Record], notes: list[str]
) -> tuple[list[int], list[list[str]]]:
    """The rows with one field for each name, and their numbers among all; the others are told, or too many."""
    kept = [(place, fields) for place, (_, fields) in enumerate(rows) if fields and len(fields) == len(names)]
    bad = [(line, fields) for line, fields in rows if fields is None or len(fields) != len(names)]
    told = [
        f"line {line}: {'broken quotes' if fields is None else counted(len(fields), 'field')}" for line, fields in bad
    ]
    if not tolerable(len(bad), len(rows)):
        raise _refused(
            path,
            f"has {counted(len(bad), 'bad row')} of {len(rows)}",
            f"{counted(len(names), 'field')} in every row, as in the first; up to 1 % others are skipped",
            "\n".join(told[:5]),
            _mended(names, bad, len(rows)),
        )
    if bad:
        notes.append(f"{counted(len(bad), 'bad row')} of {len(rows)} skipped: {shortened(told, 6)}")
    return [place for place, _ in kept], [fields for _, fields in kept]


def _mended(names: Sequence[str], bad: list[_Record], rows: int) -> str:
    if len(bad) == rows and all(fields is not None and len(fields) == len(names) + 1 for _, fields in bad):
        return "give every column a name: the rows have one field more than there are names"
    return "correct these lines; quote a text that holds the separator"


# ---------------------------------------------------------------------- JSON lines
def read_json_lines(path: Path) -> tuple[Any, list[str]]:
    """A file with one JSON object a line as a pandas DataFrame; keys that a line lacks are missing there.

    Raises FileError for a file without objects, or where more than 1 % of its lines are none.
    """
    text, notes = decoded(path)
    found: list[dict[str, Any]] = []
    places: list[int] = []
    bad: list[str] = []
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            places.append(len(found) + len(bad))
            found.append(value)
        else:
            bad.append(f"line {number}")
    total = len(found) + len(bad)
    if not found or not tolerable(len(bad), total):
        what = f"has {counted(len(bad), 'line')} of {total} that are no JSON objects" if total else "is empty"
        raise _refused(path, what, 'a line such as {"size": 3.5, "label": "a"} for each row', shortened(bad))
    if bad:
        notes.append(f"{counted(len(bad), 'line')} of {total} skipped, no JSON objects: {shortened(bad)}")
    names = list(dict.fromkeys(key for row in found for key in row))
    return frame(names, ([row.get(name) for row in found] for name in names), places), notes
