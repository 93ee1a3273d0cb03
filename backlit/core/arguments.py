"""What the arguments of a public call must be: the annotations say it, and this one mechanism asks for it.

Constructors of records are checked by their metaclass (`core/record.py`), functions and methods by `@checked`. An
argument of the wrong kind is an ArgumentError, one of the right kind that cannot be used a ValueRangeError, both before
anything is done. Annotations are read once a function, when it is first called; those of a user's own classes are the
user's business, only the names of their arguments are checked.

- `int`: Python's and NumPy's whole numbers, which arrive as Python's. No bool, and no 3.0: where Keras takes a whole
  number it refuses a float, too; the message says what to write.
- `float`: any real number but NaN. No bool.
- `bool`: True, False, NumPy's, and the numbers 0 and 1, which arrive as bools.
- `str`, `Literal[…]` (with a did-you-mean), `Callable`, `Sequence[…]` (list, tuple or array), `Mapping[…, …]`, classes,
  and unions of them. `Any` and what is not listed here is not checked.
- `Annotated[int, Interval(…)]` also asks for the range. Of `Annotated[…, function]` the function alone decides: it
  raises for what it refuses.
"""

from __future__ import annotations

import inspect
import math
import os
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from numbers import Integral, Real
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, Union

import numpy as np

from .errors import ArgumentError, BacklitError, ValueRangeError, did_you_mean

Function = TypeVar("Function", bound=Callable[..., Any])
_OURS = __name__.partition(".")[0]
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")
_SHOWN = 60  # characters of a refused value
_LARGEST = 1 << 63  # beyond it NumPy takes no whole number


@dataclass(frozen=True)
class Interval:
    """The finite numbers from `low` to `high`, without the ends that are open."""

    low: float = -math.inf
    high: float = math.inf
    above: bool = False  # without `low`
    below: bool = False  # without `high`

    def __contains__(self, value: Any) -> bool:
        if not (-_LARGEST < value < _LARGEST if isinstance(value, int) else -math.inf < value < math.inf):
            return False
        over = self.low < value if self.above else self.low <= value
        return bool(over and (value < self.high if self.below else value <= self.high))

    def __str__(self) -> str:
        low = f"{'above' if self.above else 'from'} {self.low:.9g}" if self.low > -math.inf else ""
        high = f"{'below' if self.below else 'to' if low else 'up to'} {self.high:.9g}" if self.high < math.inf else ""
        joint = " and " if self.above or self.below else " "
        return joint.join(part for part in (low, high) if part)


Count: TypeAlias = Annotated[int, Interval(1)]
Natural: TypeAlias = Annotated[int, Interval(0)]
Finite: TypeAlias = Annotated[float, Interval()]
NotNegative: TypeAlias = Annotated[float, Interval(0)]
Positive: TypeAlias = Annotated[float, Interval(0, above=True)]
Share: TypeAlias = Annotated[float, Interval(0, 1)]
Decay: TypeAlias = Annotated[float, Interval(0, 1, below=True)]
PathLike: TypeAlias = str | os.PathLike[str]


# ---------------------------------------------------------------------- kinds of values
class _Refused:
    """What a kind answers to a value that it is not: of another kind, or (`near`) of this kind but not usable; `part`
    is what is wrong in a list."""

    def __init__(self, near: bool, *part: Any):
        self.near, self.part = near, part


_FAR, _NEAR = _Refused(False), _Refused(True)


@dataclass(frozen=True)
class Kind:
    """One kind of value: `read` gives the value as the function shall get it, or a refusal; `words` are what it may
    be."""

    words: tuple[str, ...]
    read: Callable[[Any], Any]
    choices: tuple[str, ...] = ()  # for the did-you-mean
    checks: bool = True  # whether anything is ever refused
    raises: bool = False  # whether it raises instead: asked last

    def __str__(self) -> str:
        return " or ".join(filter(None, (", ".join(self.words[:-1]), self.words[-1])))


def _is_number(value: Any, kinds: str) -> bool:
    """Whether it is an array of a single number, which stands for that number."""
    return isinstance(value, np.ndarray) and value.ndim == 0 and value.dtype.kind in kinds


def _whole(value: Any) -> Any:
    if type(value) is int:
        return value
    if isinstance(value, bool) or not (isinstance(value, Integral) or _is_number(value, "iu")):
        return _FAR
    return int(value)


def _real(value: Any) -> Any:
    if type(value) is not float and type(value) is not int:
        if isinstance(value, bool) or not (isinstance(value, Real) or _is_number(value, "iuf")):
            return _FAR
        value = int(value) if isinstance(value, Integral) else float(value)
    if type(value) is int and abs(value) > _LARGEST:
        return float(value) if abs(value) < 10**300 else _NEAR
    return _NEAR if value != value else value


def _truth(value: Any) -> Any:
    if value is True or value is False:
        return value
    if isinstance(value, np.bool_) or _is_number(value, "b"):
        return bool(value)
    return bool(value) if _whole(value) in (0, 1) else _FAR


def _text(value: Any) -> Any:
    return value if isinstance(value, str) else _FAR


_NOTHING = Kind(("None",), lambda value: None if value is None else _FAR)
_SCALARS = {
    int: Kind(("a whole number",), _whole),
    float: Kind(("a number",), _real),
    bool: Kind(("True", "False"), _truth),
    str: Kind(("text",), _text),
    type(None): _NOTHING,
    None: _NOTHING,
}
_ANYTHING = Kind(("anything",), lambda value: value, checks=False)


def _kind(hint: Any) -> Kind:
    """The kind that an annotation means."""
    try:
        if hint in _SCALARS:
            return _SCALARS[hint]
    except TypeError:  # an annotation that cannot be hashed
        return _ANYTHING
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        return _narrowed(_kind(inner[0]), inner[1])
    if origin in (Union, types.UnionType):
        return _union([_kind(each) for each in inner])
    if origin is Literal:
        return _literal(inner)
    if hint is Callable or origin is Callable:
        return Kind(("a function",), lambda value: value if callable(value) else _FAR)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(_kind(inner[1]) if inner else _ANYTHING)
    if isinstance(origin, type) and issubclass(origin, Iterable):
        return _sequence(_kind(inner[0]) if inner else _ANYTHING)
    return _of_class(origin or hint)


def _of_class(cls: Any) -> Kind:
    if cls is Any or not isinstance(cls, type) or cls is object or getattr(cls, "_is_protocol", False):
        return _ANYTHING
    words = "a path" if cls is os.PathLike else f"{'an' if cls.__name__[0] in 'AEIO' else 'a'} {cls.__name__}"
    return Kind((words,), lambda value: value if isinstance(value, cls) else _FAR)


def _literal(known: tuple[Any, ...]) -> Kind:
    said = {type(each): None for each in known}

    def read(value: Any) -> Any:
        for each in known:
            if type(each) is not bool and isinstance(value, str if isinstance(each, str) else Integral):
                if value == each and not isinstance(value, bool):
                    return each
            elif value is each:
                return each
        return _NEAR if type(value) in said else _FAR

    return Kind(tuple(map(repr, known)), read, tuple(each for each in known if isinstance(each, str)))


def _union(parts: Sequence[Kind]) -> Kind:
    if not all(part.checks for part in parts):
        return _ANYTHING
    parts = sorted(parts, key=lambda part: part.raises)

    def read(value: Any) -> Any:
        refused = _FAR
        for part in parts:
            answer = part.read(value)
            if not isinstance(answer, _Refused):
                return answer
            refused = answer if answer.near or answer.part else refused
        return refused

    words = dict.fromkeys(word for part in parts for word in part.words)
    return Kind(tuple(words), read, tuple(each for part in parts for each in part.choices))


def _sequence(element: Kind) -> Kind:
    def read(value: Any) -> Any:
        if not (isinstance(value, (list, tuple, range)) or (isinstance(value, np.ndarray) and value.ndim)):
            return _FAR
        if not element.checks:
            return value
        answers = [element.read(each) for each in value]
        for answer, each in zip(answers, value, strict=True):
            if isinstance(answer, _Refused):
                return _Refused(answer.near, each)
        same = all(answer is each for answer, each in zip(answers, value, strict=True))
        return value if same else tuple(answers) if isinstance(value, tuple) else answers

    return Kind((f"a list (each {element})" if element.checks else "a list",), read)


def _mapping(element: Kind) -> Kind:
    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return _FAR
        for each in value.values() if element.checks else ():
            answer = element.read(each)
            if isinstance(answer, _Refused):
                return _Refused(answer.near, each)
        return value

    return Kind((f"a dict (each {element})" if element.checks else "a dict",), read)


def _narrowed(kind: Kind, condition: Any) -> Kind:
    """`kind` within an interval; or what a function takes."""
    if not isinstance(condition, Interval):

        def ask(value: Any) -> Any:
            condition(value)
            return value

        return Kind(kind.words, ask, raises=True)

    def read(value: Any) -> Any:
        answer = kind.read(value)
        return answer if isinstance(answer, _Refused) or answer in condition else _NEAR

    return Kind((f"{kind} {condition}".strip(),), read)


# ---------------------------------------------------------------------- the arguments of a function
class Arguments:
    """The parameters of a function and what each must be. `skip`: so many at the front (self) are not looked at."""

    def __init__(self, function: Callable[..., Any], skip: int = 0):
        self.signature = inspect.signature(function)
        each = list(self.signature.parameters.values())[skip:]
        kinds = _kinds(function, each)
        named = [p for p in each if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        self.names = [p.name for p in named if p.name != "self"]
        self.places = [p.name for p in named if p.kind is not p.KEYWORD_ONLY]
        self.needed = [p.name for p in named if p.default is p.empty]
        self.defaults = {p.name: p.default for p in named}
        self.kinds = {name: kind for name, kind in kinds.items() if kind.checks}
        self.rest = next((p.name for p in each if p.kind is p.VAR_POSITIONAL), None)
        self.open_ended = False
        for p in each:
            if p.kind is p.VAR_KEYWORD:
                self.open_ended, self.others = True, self.kinds.pop(p.name, None)

    def read(self, who: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Sequence[Any], dict[str, Any]]:
        """The arguments of a call as the function shall get them; refused where it cannot use them."""
        places, kinds = self.places, self.kinds
        if len(args) > len(places) and self.rest is None:
            most = sum(name in self.names for name in places)
            arguments = "argument without its name" if most == 1 else "arguments without their names"
            raise self._misused(who, f"{who} takes at most {most} {arguments}.")
        out = list(args)
        for place, (name, value) in enumerate(zip(places, args, strict=False)):
            kind = kinds.get(name)
            if kind is not None:
                out[place] = self._value(who, name, kind, value)
        named = {}
        for name, value in kwargs.items():
            if name in self.defaults:
                if name in places[: len(args)]:
                    raise self._misused(who, f"{who} got {name} twice.")
            elif not self.open_ended:
                raise self._misused(who, f"{who} has no argument {name!r}.", did_you_mean(name, self.names))
            kind = kinds.get(name) if name in self.defaults else self.others
            named[name] = value if kind is None else self._value(who, name, kind, value)
        for name in self.needed:
            if name not in named and name not in places[: len(args)]:
                raise self._misused(who, f"{who} needs {name}.")
        return out, named

    def complete(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Every argument of a call that `read` has passed, by its name, the defaults among them."""
        found = {**self.defaults, **dict(zip(self.places, args, strict=False)), **kwargs}
        if self.rest is not None:
            found[self.rest] = tuple(args[len(self.places) :])
        return found

    def _value(self, who: str, name: str, kind: Kind, value: Any) -> Any:
        try:
            answer = kind.read(value)
        except BacklitError as error:
            error.fields.setdefault("where", f"{who}({name}=…)")
            raise
        if isinstance(answer, _Refused):
            raise _refusal(who, name, kind, value, answer)
        return answer

    def _misused(self, who: str, message: str, fix: str = "") -> ArgumentError:
        return ArgumentError(message, expected=", ".join(self.names) or "no arguments", fix=fix)


def _kinds(function: Callable[..., Any], parameters: Sequence[inspect.Parameter]) -> dict[str, Kind]:
    inner = inspect.unwrap(function)
    if str(getattr(inner, "__module__", "")).partition(".")[0] != _OURS:
        return {}
    hints = typing.get_type_hints(inner, include_extras=True)
    own = {p.name: p.annotation for p in parameters if p.annotation is not p.empty}  # those of a `__signature__`
    return {p.name: _kind(hints.get(p.name, own.get(p.name, Any))) for p in parameters}


def _refusal(who: str, name: str, kind: Kind, value: Any, refused: _Refused) -> BacklitError:
    (wrong,) = refused.part or (value,)
    found = shown(wrong)
    if not refused.near and wrong is not None and not isinstance(wrong, type):
        found += f" ({type(wrong).__name__})"
    if refused.part:
        found += f" in {shown(value)}"
    fix = ""
    if isinstance(wrong, str):
        fix = did_you_mean(wrong, kind.choices)
    elif isinstance(wrong, (float, np.floating)) and "whole number" in str(kind) and float(wrong).is_integer():
        fix = f"write {int(wrong)}"
    error = ValueRangeError if refused.near else ArgumentError
    return error(f"{who}: {name} must be {kind}, found {found}.", fix=fix)


def shown(value: Any) -> str:
    """A value that was refused, on one short line."""
    try:
        text = _ADDRESS.sub("", " ".join(repr(value).split()))
    except Exception:  # what cannot even be shown must not hide the refusal
        text = f"<{type(value).__name__}>"
    return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"


def arguments_of(function: Any, skip: int = 0) -> Arguments:
    """The `Arguments` of a function, read when first asked for and kept with it."""
    kept = function.__dict__.setdefault("_arguments", {})
    if skip not in kept:
        kept[skip] = Arguments(function, skip)
    return kept[skip]  # type: ignore[no-any-return]


def takes(function: Any, count: int) -> bool:
    """Whether a function can be called with so many arguments in order; where nobody can tell, it is believed."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return True
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def taking(count: int) -> Callable[[Any], None]:
    """For `Annotated`: a function of so many arguments."""

    def ask(function: Any) -> None:
        if not callable(function) or not takes(function, count):
            wanted = f"a function of {count} argument{'s' if count > 1 else ''}"
            raise ArgumentError(f"{shown(function)} cannot be called here.", expected=wanted)

    return ask


def checked(function: Function) -> Function:
    """The function, whose arguments are checked at each call against its annotations.

    Name, docstring and signature stay those of the function.

    >>> @checked
    ... def draw(count: Count, kind: Literal["uniform", "normal"] = "uniform") -> str:
    ...     return f"{count} {kind}"
    >>> draw(count=3)
    '3 uniform'
    """
    constructor = function.__name__ == "__init__"

    @wraps(function)
    def asked(*args: Any, **kwargs: Any) -> Any:
        who = type(args[0]).__name__ if constructor else function.__name__
        given, named = arguments_of(function).read(who, args, kwargs)
        return function(*given, **named)

    return asked  # type: ignore[return-value]
