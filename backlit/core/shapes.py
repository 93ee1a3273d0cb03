"""Shapes: integers, and the batch axis m, which stays a symbol until an engine binds it.

One text, such as ``"... n k, ... k p -> ... n p"``, is the rule, its documentation and its error message. Letters are
axes, ``...`` is any number of leading axes that broadcast, and an output axis may be an integer expression of letters
and attributes: ``"m n c, k c f -> m (n-k)//s+1 f"``.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, total_ordering
from typing import Any, TypeAlias

from .errors import ArgumentError, ShapeError, ValueRangeError


@total_ordering
@dataclass(frozen=True)
class Rows:
    """A multiple of the number of examples: ``Rows(2)`` is 2m. Only whole multiples can be said.

    >>> M, 2 * M, (6 * M) // 2
    (m, 2m, 3m)
    """

    count: int = 1

    def __mul__(self, other: object) -> Rows:
        if isinstance(other, int) and other >= 1:
            return Rows(self.count * other)
        raise _unsayable(f"({self}) * {other}")

    __rmul__ = __mul__

    def __floordiv__(self, other: object) -> Any:
        if isinstance(other, Rows) and self.count % other.count == 0:
            return self.count // other.count
        if isinstance(other, int) and other >= 1 and self.count % other == 0:
            return Rows(self.count // other)
        raise _unsayable(f"({self}) / {other}")

    def __add__(self, other: object) -> Rows:
        if isinstance(other, Rows):
            return Rows(self.count + other.count)
        if other == 0:
            return self
        raise _unsayable(f"{self} + {other}")

    __radd__ = __add__

    def __sub__(self, other: object) -> Any:
        if isinstance(other, Rows) and self.count >= other.count:
            return Rows(self.count - other.count) if self.count > other.count else 0
        if other == 0:
            return self
        raise _unsayable(f"{self} - {other}")

    def __lt__(self, other: Rows) -> bool:
        return self.count < other.count

    def bind(self, rows: int) -> int:
        """The number this is for `rows` examples."""
        return self.count * rows

    def __repr__(self) -> str:
        return "m" if self.count == 1 else f"{self.count}m"


M = Rows()
_LONGEST = 1 << 62
Dim: TypeAlias = int | Rows
Shape: TypeAlias = tuple[Dim, ...]


def _unsayable(what: str) -> ShapeError:
    return ShapeError(
        f"an axis of length {what} would depend on how many examples there are.",
        expected="a whole multiple of m along the batch axis, a fixed number along every other",
        why="slices, windows and padding along m would mix examples of a batch",
        fix="do this along another axis, or outside the graph on the array",
    )


def show(shape: Any) -> str:
    """A shape as text: ``(m, 3)``."""
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def bind(value: Any, rows: int | None) -> Any:
    """`value` (a dimension, shape or attribute) with every multiple of m replaced by its number."""
    if isinstance(value, Rows):
        if rows is None:
            raise ShapeError("the number of examples m is not known here.", fix="feed an input that has the axis m")
        return value.bind(rows)
    return tuple(bind(item, rows) for item in value) if type(value) is tuple else value


def size(shape: Shape) -> Any:
    """The product of all dimensions; an axis m enters as a multiple of m, m twice is refused."""
    total: Any = 1
    for dim in shape:
        if isinstance(dim, Rows) and isinstance(total, Rows):
            raise _unsayable(f"{total} * {dim}")
        total = dim * total
    return total


def checked(shape: Any) -> Shape:
    """`shape` as a tuple of dimensions, from a number, a list or a tuple; None is refused with the fix."""
    dims = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    out = []
    for dim in dims:
        if dim is None:
            raise ShapeError(
                "only the first axis, the examples, may be left open.",
                expected="whole numbers, and m for the examples",
                found=f"shape {dims}",
                fix="give the length; pad sequences to one length",
            )
        length = dim if isinstance(dim, Rows) else _whole(dim, f"shape {dims!r}")
        if isinstance(length, int) and not 0 <= length < _LONGEST:
            what = "a negative" if length < 0 else "such a"
            raise ShapeError(f"an axis cannot have {what} length.", found=f"shape {dims!r}")
        out.append(length)
    return tuple(out)


def _whole(value: Any, found: str) -> int:
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentError(f"{value!r} is no whole number.", expected="whole numbers", found=found) from None


def broadcast(shapes: Sequence[Shape], what: str = "these values") -> Shape:
    """The common shape by NumPy's rule: from the right, axes are equal, or 1, or missing.

    A result that would hold m twice without any operand holding it twice is refused: it would compare every
    example with every other.
    """
    rank = max(map(len, shapes), default=0)
    out: list[Dim] = []
    for axis in range(-rank, 0):
        dims = {shape[axis] for shape in shapes if len(shape) >= -axis} - {1}
        if len(dims) > 1:
            raise ShapeError(
                f"{what} cannot broadcast {' and '.join(map(show, shapes))}.",
                expected="from the right: axes equal, or 1, or missing",
                found=f"lengths {' and '.join(sorted(map(str, dims)))} on axis {axis}",
                fix="reshape one of them; sum(..., keepdims=True) keeps an axis of length 1",
            )
        out.append(dims.pop() if dims else 1)
    if _batch_axes(out) > 1 and all(_batch_axes(shape) < 2 for shape in shapes):
        raise ShapeError(
            f"{what} would combine every example with every other.",
            expected="one batch axis m in the result",
            found=f"{' and '.join(map(show, shapes))} -> {show(out)}",
            why="a vector (m,) against a column (m, 1) is almost always meant element by element",
            fix="reshape both to (m, 1), or both to (m,)",
        )
    return tuple(out)


def _batch_axes(shape: Sequence[Dim]) -> int:
    return sum(isinstance(dim, Rows) for dim in shape)


def normal_axes(axis: Any, rank: int, what: str) -> tuple[int, ...]:
    """`axis` (None, a number or several) as sorted numbers 0 … rank-1 without repeats."""
    if axis is None:
        return tuple(range(rank))
    axes = [_whole(item, f"axis {axis!r}") for item in (axis if isinstance(axis, Iterable) else [axis])]
    for item in axes:
        if not -rank <= item < rank:
            raise ShapeError(
                f"{what}: there is no axis {item}.",
                expected=f"an axis from {-rank} to {rank - 1}" if rank else "no axis: the value is a single number",
                found=f"axis {item}",
            )
    positive = tuple(sorted(item % rank for item in axes))
    if len(set(positive)) < len(positive):
        raise ShapeError(f"{what}: axis {axis} names one axis twice.", fix="name each axis once")
    return positive


_OPERATIONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.FloorDiv: operator.floordiv,
}


class Rule:
    """A shape rule parsed from its text; calling it with shapes and attributes gives the output shape.

    >>> Rule("... n k, ... k p -> ... n p")("matmul", [(M, 3), (3, 4)], {})
    (m, 4)
    """

    def __init__(self, text: str):
        self.text = text
        left, arrow, right = text.partition("->")
        if not arrow:
            raise ValueRangeError("a shape rule says what becomes of shapes.", expected="n k, k p -> n p", found=text)
        self.inputs = [_words(part) for part in left.split(",")]
        self.output = _words(right)

    def __call__(self, name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
        known: dict[str, Any] = {key: value for key, value in attrs.items() if isinstance(value, int)}
        leading: list[Shape] = []
        for place, (words, shape) in enumerate(zip(self.inputs, shapes, strict=True)):
            open_ended = "..." in words
            letters = [word for word in words if word != "..."]
            if len(shape) < len(letters) or (len(shape) > len(letters) and not open_ended):
                raise self._error(name, shapes, f"operand {place + 1} has {len(shape)} axes, {len(letters)} named")
            cut = len(shape) - len(letters)
            leading.append(shape[:cut])
            for letter, dim in zip(letters, shape[cut:], strict=True):
                if known.setdefault(letter, dim) != dim:
                    raise self._error(name, shapes, f"{letter} is {known[letter]} and then {dim}")
        out: list[Dim] = []
        for word in self.output:
            out += broadcast(leading, name) if word == "..." else [_evaluate(word, known)]
        return tuple(out)

    def _error(self, name: str, shapes: Sequence[Shape], found: str) -> ShapeError:
        return ShapeError(
            f"{name} cannot take the shapes {' and '.join(map(show, shapes))}.",
            expected=self.text,
            found=found,
            fix="reshape or transpose one of the operands" if len(shapes) > 1 else "reshape the operand",
        )


def _words(text: str) -> list[str]:
    """Split at spaces that stand outside brackets."""
    return re.findall(r"\.\.\.|[^\s()]*(?:\([^()]*(?:\([^()]*\)[^()]*)*\)[^\s()]*)+|[^\s]+", text.strip())


@cache
def _parsed(word: str) -> ast.expr:
    return ast.parse(word, mode="eval").body


def _evaluate(word: str, known: Mapping[str, Any]) -> Dim:
    def value(node: ast.expr) -> Any:
        match node:
            case ast.Name(id=letter) if letter in known:
                return known[letter]
            case ast.Constant(value=number):
                return number
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATIONS:
                return _OPERATIONS[type(op)](value(left), value(right))
        raise ArgumentError(f"the shape rule cannot contain {word!r}.")

    return value(_parsed(word))  # type: ignore[no-any-return]
