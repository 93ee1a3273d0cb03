"""Every exception of the library: what happened, expected, found, why, fix, where.

Each class is a `BacklitError` and also the built-in exception that a user of Keras or scikit-learn would catch.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from opcode import opname
from typing import Any

from .elsewhere import named_elsewhere

_PACKAGE = __name__.partition(".")[0]
FIELDS = ("expected", "found", "why", "fix", "where")


class BacklitError(Exception):
    """One line that says what happened, then only those of the five fields that help.

    >>> print(DataError("X has no rows.", expected="at least one row", fix="load the data before fit"))
    X has no rows.
      expected  at least one row
      fix       load the data before fit
    """

    def __init__(self, message: str, **fields: str):
        unknown = set(fields) - set(FIELDS)
        if unknown:
            raise TypeError(f"an error has the fields {FIELDS}, not {sorted(unknown)}")
        self.message = message
        self.fields = {name: fields[name] for name in FIELDS if fields.get(name)}
        self.finding: Any = None  # the door attaches the Finding that this error is
        super().__init__(message)

    def __str__(self) -> str:
        indent = "\n" + " " * 12
        rows = [f"  {name:<9} {text.replace(chr(10), indent)}" for name, text in self.fields.items()]
        return "\n".join([self.message, *rows])

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.fields), self.__dict__  # the finding, too


def _rebuild(cls: type[BacklitError], message: str, fields: dict[str, str]) -> BacklitError:
    return cls(message, **fields)


class ShapeError(BacklitError, ValueError):
    """Shapes that do not fit together."""


class DTypeError(BacklitError, ValueError):
    """Number types that must not be mixed silently."""


class DataError(BacklitError, ValueError):
    """X or y whose content cannot be used: empty, not finite, not numbers."""


class LabelError(DataError):
    """Labels that the loss cannot use."""


class GraphError(BacklitError, ValueError):
    """A graph that cannot mean what was written."""


class OutOfMemoryError(BacklitError, MemoryError):
    """Something that the memory of this machine has no room for; nothing of it was done."""


class NonFiniteError(BacklitError, ValueError, RuntimeError):
    """A training step whose loss or gradient is NaN or infinite; nothing of it was written."""


class ArgumentError(BacklitError, TypeError):
    """An argument of the wrong Python kind."""


class ValueRangeError(BacklitError, ValueError):
    """An argument of the right kind whose value cannot be used."""


class UnknownNameError(BacklitError, ValueError):
    """A name (of a layer, loss, optimizer, …) that nothing answers to; `name` is that name alone, where it is told."""

    def __init__(self, message: str, *, name: str = "", **fields: str):
        super().__init__(message, **fields)
        self.name = name


class MissingAttributeError(BacklitError, AttributeError):
    """A misspelt attribute."""


class MissingImportError(BacklitError, ImportError):
    """A misspelt name in `from backlit… import …`."""


class NotReadyError(BacklitError, ValueError):
    """A call that needs another call first, such as `fit` before `compile`."""


class NotWrittenError(BacklitError, NotImplementedError):
    """A method that a class of one's own must have."""


class FileError(BacklitError, ValueError):
    """A file that is damaged, foreign, or of another version."""


class FileMissingError(BacklitError, FileNotFoundError):
    """A path that is not there."""

    def __str__(self) -> str:
        return BacklitError.__str__(self)


class BacklitWarning(UserWarning):
    """Something that goes on, but perhaps not as it was meant."""


class ColumnWarning(BacklitWarning):
    """Something about the rows or columns of the data that may not be what was meant."""


class FileWarning(BacklitWarning):
    """A file that can be used only in part."""


def warn(message: str, category: type[Warning]) -> None:
    """Warn, at the nearest line outside this package."""
    frame: Any = sys._getframe(1)
    level = 2
    while frame.f_back is not None and str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def room_for(what: str, fix: str) -> Iterator[None]:
    """Say of memory that is refused in this block what it was for, and what would need less."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except MemoryError as error:
        raise OutOfMemoryError(f"there is not enough memory for {what}.", found=str(error), fix=fix) from error


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """What to type instead: what a word of another library is called here, or the nearest of `choices` as a question, or an
    empty string where none is near.

    >>> did_you_mean("Squential", ["Sequential", "Model"])
    "did you mean 'Sequential'?"
    """
    import difflib

    choices = list(choices)
    elsewhere = named_elsewhere(str(word), choices)
    if elsewhere:
        return elsewhere
    names: dict[str, list[str]] = {}
    for choice in choices:
        names.setdefault(choice.lower(), []).append(choice)
    near = difflib.get_close_matches(str(word).lower(), names, n=1, cutoff=0.6)
    spelt = difflib.get_close_matches(str(word), names[near[0]], n=1, cutoff=0) if near else []  # L2 or l2
    return f"did you mean {spelt[0]!r}?" if spelt else ""


def counted(number: int, noun: str) -> str:
    """A number of things: "1 row", "2,000 rows"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def names_of(room: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of the module `room`: a misspelt name is answered with the nearest one that is there, and
    what stands there for the module's own use is not listed."""

    def getattr_(name: str) -> Any:
        raise missing(room, name, dir_())

    def dir_() -> list[str]:
        module = vars(sys.modules[room])
        own = [name for name, value in module.items() if name[0] != "_" and value not in (names_of, sys)]
        return sorted(module.get("__all__") or own)

    return getattr_, dir_


def missing(room: str, name: str, choices: Iterable[str]) -> Exception:
    """The error for a name that the module `room` does not have, for its `__getattr__` to raise.

    Python itself answers an AttributeError during `from room import name` with an ImportError of its own, without the
    hint: there the error is an ImportError already.
    """
    if name.startswith("_"):
        return AttributeError(name)
    asker = sys._getframe(2)  # who asked `__getattr__`
    imports = opname[asker.f_code.co_code[asker.f_lasti]] == "IMPORT_FROM"
    kind = MissingImportError if imports else MissingAttributeError
    return kind(f"{room} has no {name!r}.", fix=did_you_mean(name, choices))


def not_written(thing: Any, method: str) -> NotWrittenError:
    """The error for a method, written as its head, that the class of `thing` lacks."""
    name = type(thing).__name__
    return NotWrittenError(f"{name} has no {method.partition('(')[0]}.", fix=f"class {name}: def {method}: ...")
