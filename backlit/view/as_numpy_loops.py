"""Formulas as loops over examples, units and terms: every sum is written out, every number is reached by its places.

A place along an axis is a tuple of digits (variable, length): an axis that was made of several, such as a picture made
flat, is looped over as what it was made of.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.node import FLOATS, Leaf, Node
from ..core.shapes import Rows, size
from ..core.walk import rebuild, topological
from .as_numpy_arrays import Arrays, by_itself, noted
from .as_numpy_words import Written, bracketed, infix, is_cast_truth, length, literal, part_of

Digits = tuple[tuple[str, Any], ...]
Index = tuple[Digits, ...]
_ROWS, _OTHERS = "in", "jkpqrsuvabdefgh"  # names of variables: i for the examples
_VIEWS = {"reshape", "transpose", "windows", "slice", "broadcast_to", "flip", "gather"}  # other places, same numbers
_SAME_COUNT = {"reshape", "transpose", "flip", "cast", "mark", "slice", "item", "split"}  # each number is read once
_GATHERING: dict[str, tuple[str, str]] = {  # first value, and what each term does
    "sum": ("0.0", "{name} += {term}"),
    "prod": ("1.0", "{name} *= {term}"),
    "max": ("-np.inf", "{name} = max({name}, {term})"),
    "min": ("np.inf", "{name} = min({name}, {term})"),
    "all": ("True", "{name} = {name} and bool({term})"),
    "any": ("False", "{name} = {name} or bool({term})"),
}
_NAMES = {"sum": "total", "prod": "product", "max": "largest", "min": "smallest", "all": "holds", "any": "holds"}
_MOST = 8  # records in one line
_SCATTERING = ("fold", "scatter_add", "dilate")


class Loops(Arrays):
    """Writes formulas as loops. The lines are those of `Arrays` otherwise."""

    def keeps(self, node: Node) -> bool:
        """Only what is a function of each number stays a call."""
        return node.op.role == "activation" and by_itself(node)

    def fits(self, formula: Node) -> bool:
        """Whether a formula may stand in one line: places make it longer, axes do not."""
        named = [node for node in topological([formula]) if node.op.name not in _VIEWS and not isinstance(node, Leaf)]
        return len(named) <= _MOST

    def of_activation(self, shape: Any) -> Any:
        """A single number."""
        return ()

    def lines(self, name: str, formula: Node, comment: str = "") -> list[str]:
        """Loops that compute `name`, behind those for the parts that would be computed again and again."""
        whole, parts = self.parts(formula)
        rows: list[str] = []
        for symbol, part in parts:
            rows += self._loops(self.words.name(symbol), part)
        rows += self._loops(name, whole)
        return [noted(rows[0], comment), *rows[1:]]

    def parts(self, formula: Node) -> tuple[Node, list[tuple[Leaf, Node]]]:
        """As in `Arrays`; parts that only look at other places stay in their formulas."""
        whole, parts = super().parts(formula)
        seen: dict[Node, Node] = {}
        kept = []
        for symbol, part in parts:
            (part,) = rebuild([part], start=seen)
            if _is_view(part):
                seen[symbol] = part
            else:
                kept.append((symbol, part))
        return rebuild([whole], start=seen)[0], kept

    def _loops(self, name: str, formula: Node) -> list[str]:
        whole, parts = self._apart(formula)
        rows = [line for symbol, part in parts for line in Nest(self).assign(self.words.name(symbol), part)]
        return [*rows, *Nest(self).assign(name, whole)]

    def _apart(self, formula: Node) -> tuple[Node, list[tuple[Leaf, Node]]]:
        """The formula, and before it the sums that it would repeat for each of its numbers."""
        parts: list[tuple[Leaf, Node]] = []
        once = {formula}
        for node in reversed(topological([formula])):
            for inner in node.inputs if node in once else ():
                if _reads_once(node, inner):
                    once.add(inner)
        named: dict[Node, Node] = {}
        for node in topological([formula]):
            scattering = node.op.name in _SCATTERING and node is not formula
            if scattering or (_is_sum(node) and node not in once):
                (part,) = rebuild([node], start=named)
                named[node] = part_of(node)
                parts.append((named[node], part))  # type: ignore[arg-type]
        return rebuild([formula], start=named)[0], parts


def numbers_in(dims: Iterable[Any]) -> Any:
    """How many numbers there are in a value of these lengths."""
    return size(tuple(dims))


def _is_sum(node: Node) -> bool:
    return node.op.name in _GATHERING or node.op.name == "matmul"


def _is_view(formula: Node) -> bool:
    return all(isinstance(node, Leaf) or node.op.name in _VIEWS for node in topological([formula]))


def _reads_once(node: Node, inner: Node) -> bool:
    """Whether the loops over a node's numbers come to each number of that input no more than once."""
    if node.op.name in _SAME_COUNT or node.op.name in _GATHERING or node.op.name in _SCATTERING:
        return True
    by_element = node.op.kind == "elementwise" or node.op.role == "activation" or node.op.name == "broadcast_to"
    return by_element and numbers_in(node.shape) == numbers_in(inner.shape)


# ---------------------------------------------------------------------- one nest of loops
@dataclass
class Nest:
    """The lines of one value; `depth` loops are open."""

    loops: Loops
    rows: list[str] = field(default_factory=list)
    depth: int = 0
    used: set[str] = field(default_factory=set)

    def assign(self, name: str, formula: Node) -> list[str]:
        """`name` = `formula`."""
        if isinstance(formula, Leaf) and not (formula.array is not None and formula.shape == ()):
            self.say(f"{name} = {self.loops.words.name(formula)}")
        elif formula.shape == () and formula.op.name not in _SCATTERING:
            self.say(f"{name} = {self.value(formula, ())[0]}")
        elif formula.op.name in _SCATTERING:
            self.say(f"{name} = np.zeros({self.loops.words.shape(formula.shape)})")
            _SCATTERS[formula.op.name](self, name, formula)
        else:
            kinds = {"bool": ", dtype=bool", **dict.fromkeys(FLOATS, "")}
            self.say(
                f"{name} = np.zeros({self.loops.words.shape(formula.shape)}{kinds.get(formula.dtype, ', dtype=int')})"
            )
            index = self.open(formula, range(len(formula.shape)))
            value = self.value(formula, index)[0]
            self.say(f"{name}[{places(index)}] = {value}")
        return self.rows

    def say(self, line: str) -> None:
        self.rows.append("    " * self.depth + line)

    def open(self, node: Node, axes: Sequence[int]) -> Index:
        """Loops over these axes of a node."""
        opened = []
        for axis in axes:
            digits = []
            for long in factors(node, axis):
                if long != 1:
                    digits.append((self.variable(long), long))
                    self.say(f"for {digits[-1][0]} in range({length(long)}):")
                    self.depth += 1
            opened.append(tuple(digits))
        return tuple(opened)

    def variable(self, long: Any) -> str:
        """A name for the number that counts to `long`: i for the examples."""
        fitting = (_ROWS if isinstance(long, Rows) else "") + _OTHERS
        names = (name for name in fitting if name not in self.used and name not in self.loops.words.names.values())
        name = next(names, None) or self.loops.words.fresh("n")
        self.used.add(name)
        return name

    # ------------------------------------------------------------------ one number
    def value(self, node: Node, index: Index) -> Written:
        """The number of `node` at a place; sums that it needs are written before."""
        index = tuple(() if dim == 1 else digits for dim, digits in zip(node.shape, index, strict=True))
        words, name = self.loops.words, node.op.name
        if isinstance(node, Leaf):
            return self._read(node, index)
        if node.dtype == "uint32":
            raise words.refusal("it draws random numbers in a way of its own", "a Dropout or noise layer")
        if name == "multiply":
            return self._product(node, index)
        if node.op.kind == "elementwise":
            return words.elementwise(node, [self._at(i, index) for i in node.inputs])
        if node.op.kind == "composite" and self.loops.keeps(node):
            return f"{self.loops.activation(node)}({self.value(node.inputs[0], index)[0]})", 100
        if name in _GATHERING:
            return self._gathered(node, index)
        if name == "matmul":
            return self._matmul(node, index)
        if name in _PLACES:
            return _PLACES[name](self, node, index)
        raise words.refusal(f"there are no loops for the record {name}", 'form="vectorised"')

    def _read(self, leaf: Leaf, index: Index) -> Written:
        if leaf.array is not None and leaf.shape == () and not leaf.name:
            return literal(leaf.array.item())
        name = self.loops.words.name(leaf)
        return (f"{name}[{places(index)}]" if index else name), 100

    def _at(self, node: Node, index: Index) -> Written:
        """A number of what broadcasts against a place."""
        return self.value(node, index[len(index) - len(node.shape) :])

    def _product(self, node: Node, index: Index) -> Written:
        bare = [is_cast_truth(each) for each in node.inputs]
        inner = [i.inputs[0] if cast and not all(bare) else i for i, cast in zip(node.inputs, bare, strict=True)]
        return self.loops.words.call("multiply", *(self._at(i, index) for i in inner))

    # ------------------------------------------------------------------ sums
    def _gathered(self, node: Node, index: Index) -> Written:
        x, rest = node.inputs[0], list(index)
        axes = node.attrs["axis"]
        kept = node.attrs["keepdims"]
        full: list[Any] = [None] * len(x.shape)
        for axis in range(len(x.shape)):
            if axis not in axes or kept:
                full[axis] = rest.pop(0)
        first, each = _GATHERING[node.op.name]
        if all(x.shape[axis] == 1 for axis in axes) and node.op.name not in ("all", "any"):
            return self.value(x, tuple(digits or () for digits in full))
        name = self._start(_NAMES[node.op.name], first)
        depth = self.depth
        for axis, digits in zip(axes, self.open(x, axes), strict=True):
            full[axis] = digits
        self.say(each.format(name=name, term=self.value(x, tuple(full))[0]))
        self.depth = depth
        return name, 100

    def _start(self, wish: str, first: str) -> str:
        taken = self.used.union(self.loops.words.names.values())
        name = next(name for k in itertools.count(1) if (name := wish if k == 1 else f"{wish}_{k}") not in taken)
        self.used.add(name)
        self.say(f"{name} = {first}")
        return name

    def _matmul(self, node: Node, index: Index) -> Written:
        a, b = node.inputs
        single = a.shape[-1] == 1
        name = "" if single else self._start("total", "0.0")
        depth = self.depth
        finer = len(factors(b, len(b.shape) - 2)) > len(factors(a, len(a.shape) - 1))
        (k,) = self.open(b, [len(b.shape) - 2]) if finer else self.open(a, [len(a.shape) - 1])
        batch = index[:-2]
        left = self.value(a, (*batch[len(batch) - len(a.shape) + 2 :], index[-2], k))
        right = self.value(b, (*batch[len(batch) - len(b.shape) + 2 :], k, index[-1]))
        if single:
            return infix(("*", 20), left, right)
        self.say(f"{name} += {infix(('*', 20), left, right)[0]}")
        self.depth = depth
        return name, 100


# ---------------------------------------------------------------------- places
def places(index: Index) -> str:
    """An index as code."""
    return ", ".join(map(place, index))


def place(digits: Digits) -> str:
    """One place along an axis: its digits, the last of which counts by one."""
    if not digits:
        return "0"
    written = digits[0][0]
    for name, long in digits[1:]:
        written = f"{_whole(written)} * {_whole(length(long))} + {name}"
    return written


def _whole(code: str) -> str:
    return code if re.fullmatch(r"\w+", code) else f"({code})"


def moved(digits: Digits, times: int, by: Any, long: Any) -> Digits:
    """The place `times` as far and `by` further, on an axis of another length."""
    written = place(digits)
    if times != 1:
        written = "0" if written == "0" else f"{_whole(written)} * {times}"
    if by:
        written = (
            str(by)
            if written == "0"
            else f"{written} + {by}"
            if not str(by).startswith("-")
            else f"{written} - {str(by)[1:]}"
        )
    return ((written, long),)


def together(digits: Digits, other: Digits, long: Any) -> Digits:
    """The sum of two places."""
    terms = [place(each) for each in (digits, other) if place(each) != "0"]
    return ((" + ".join(terms) or "0", long),)


def factors(node: Node, axis: int) -> list[Any]:
    """The lengths that an axis is made of: those of the axes that were made into one."""
    dim = node.shape[axis]
    if node.op.name == "reshape":
        for old, new in groups(node.inputs[0].shape, node.shape):
            if new == [axis]:
                return [each for place in old for each in factors(node.inputs[0], place)]
    elif node.op.name == "transpose":
        return factors(node.inputs[0], node.attrs["axes"][axis])
    elif node.op.name == "matmul":
        side = node.inputs[axis == len(node.shape) - 1]
        if axis >= len(node.shape) - 2:
            return factors(side, len(side.shape) - (len(node.shape) - axis))
    elif node.op.kind == "elementwise" or node.op.name in ("cast", "mark"):
        found = []
        for inner in node.inputs:
            at = axis - len(node.shape) + len(inner.shape)
            if at >= 0 and inner.shape[at] == dim:
                found.append(factors(inner, at))
        return max(found, key=len, default=[dim])
    return [dim]


def groups(old: Sequence[Any], new: Sequence[Any]) -> Iterator[tuple[list[int], list[int]]]:
    """The axes of two shapes of as many numbers, in the smallest groups that have as many each; not those of length 1."""
    left = [axis for axis, dim in enumerate(old) if dim != 1]
    right = [axis for axis, dim in enumerate(new) if dim != 1]
    while left and right:
        a, b = [left.pop(0)], [right.pop(0)]
        while (many := numbers_in([old[x] for x in a])) != (wanted := numbers_in([new[x] for x in b])):
            if _less(many, wanted):
                a.append(left.pop(0))
            else:
                b.append(right.pop(0))
        yield a, b


def _less(a: Any, b: Any) -> bool:
    if isinstance(a, Rows) == isinstance(b, Rows):
        return bool(a < b)
    return isinstance(b, Rows)


def split(digits: Digits, dims: Sequence[Any]) -> list[Digits]:
    """A place along an axis that is made of `dims` as a place along each of them."""
    left, found = list(digits), []
    for dim in dims[::-1]:
        taken: list[tuple[str, Any]] = []
        while left and numbers_in([long for _, long in taken]) != dim:
            taken.insert(0, left.pop())
        if numbers_in([long for _, long in taken]) != dim:
            return _divided(digits, dims)
        found.append(tuple(taken))
    return found[::-1] if not left else _divided(digits, dims)


def _divided(digits: Digits, dims: Sequence[Any]) -> list[Digits]:
    """The same where the digits are no help: by whole division and its remainder."""
    found: list[Digits] = []
    written = _whole(place(digits))
    for at, dim in enumerate(dims):
        behind = numbers_in(list(dims[at + 1 :]))
        code = written if behind == 1 else f"{written} // {_whole(length(behind))}"
        found.append(((code if at == 0 else f"{_whole(code)} % {_whole(length(dim))}", dim),))
    return found


# ---------------------------------------------------------------------- records that read at other places
def _reshaped(nest: Nest, node: Node, index: Index) -> Written:
    x = node.inputs[0]
    inner: list[Digits] = [()] * len(x.shape)
    for old, new in groups(x.shape, node.shape):
        digits = tuple(digit for axis in new for digit in index[axis])
        for axis, own in zip(old, split(digits, [x.shape[axis] for axis in old]), strict=True):
            inner[axis] = own
    return nest.value(x, tuple(inner))


def _transposed(nest: Nest, node: Node, index: Index) -> Written:
    axes = node.attrs["axes"]
    return nest.value(node.inputs[0], tuple(index[axes.index(axis)] for axis in range(len(axes))))


def _sliced(nest: Nest, node: Node, index: Index) -> Written:
    inner = []
    for digits, old, new, begin, step in zip(
        index, node.inputs[0].shape, node.shape, node.attrs["start"], node.attrs["step"], strict=True
    ):
        inner.append(digits if old == new else moved(digits, step, begin, old))
    return nest.value(node.inputs[0], tuple(inner))


def _seen(nest: Nest, node: Node, index: Index) -> Written:
    count = len(node.attrs["window"])
    inner = [index[0]]
    for axis in range(count):
        stride, gap = node.attrs["strides"][axis], node.attrs["dilation"][axis]
        at, offset = moved(index[1 + axis], stride, 0, 1), moved(index[1 + count + axis], gap, 0, 1)
        inner.append(together(at, offset, node.inputs[0].shape[1 + axis]))
    return nest.value(node.inputs[0], (*inner, index[-1]))


def _gather(nest: Nest, node: Node, index: Index) -> Written:
    x, ids = node.inputs
    axis, many = node.attrs["axis"], len(ids.shape)
    at = nest.value(ids, index[axis : axis + many])[0]
    return nest.value(x, (*index[:axis], ((at, x.shape[axis]),), *index[axis + many :]))


def _joined(nest: Nest, node: Node, index: Index) -> Written:
    axis, begin, rest = node.attrs["axis"], 0, []
    for inner in node.inputs:
        own = index[axis] if begin == 0 else moved(index[axis], 1, f"-{length(begin)}", inner.shape[axis])
        own = ((place(own), inner.shape[axis]),)
        begin = inner.shape[axis] + begin
        value = nest.value(inner, (*index[:axis], own, *index[axis + 1 :]))
        rest.append((bracketed(value, 2), f"{_whole(place(index[axis]))} < {length(begin)}"))
    written = rest.pop()[0]
    for one, here in reversed(rest):
        written = f"{one} if {here} else {written}"
    return written, 1


def _cast(nest: Nest, node: Node, index: Index) -> Written:
    x = nest.value(node.inputs[0], index)
    if node.inputs[0].dtype == "bool" and node.dtype in FLOATS:
        return f"1.0 if {bracketed(x, 2)} else 0.0", 1
    if node.dtype in FLOATS:
        return x
    return (f"bool({x[0]})" if node.dtype == "bool" else f"int({x[0]})"), 100


def _flipped(nest: Nest, node: Node, index: Index) -> Written:
    turned = [
        ((f"{length(dim)} - 1 - {_whole(place(digits))}", dim),) if axis in node.attrs["axis"] and dim != 1 else digits
        for axis, (digits, dim) in enumerate(zip(index, node.shape, strict=True))
    ]
    return nest.value(node.inputs[0], tuple(turned))


def _picked(nest: Nest, node: Node, index: Index) -> Written:
    parts = node.inputs[0]
    axis, whole = parts.attrs["axis"], parts.inputs[0]
    begin = node.attrs["place"] * node.shape[axis]
    at = moved(index[axis], 1, begin, whole.shape[axis])
    return nest.value(whole, (*index[:axis], at, *index[axis + 1 :]))


def _size(nest: Nest, node: Node, index: Index) -> Written:
    shape = node.inputs[0].shape
    count = numbers_in([shape[axis] for axis in node.attrs["axis"]])
    return length(count), 100 if isinstance(count, int) else 20


_PLACES: dict[str, Callable[[Nest, Node, Index], Written]] = {
    "reshape": _reshaped,
    "transpose": _transposed,
    "slice": _sliced,
    "windows": _seen,
    "gather": _gather,
    "concatenate": _joined,
    "cast": _cast,
    "flip": _flipped,
    "item": _picked,
    "size": _size,
    "mark": lambda nest, node, index: nest.value(node.inputs[0], index),
    "broadcast_to": lambda nest, node, index: nest._at(node.inputs[0], index),
    "literal": lambda nest, node, index: literal(node.attrs["value"]),
    "iota": lambda nest, node, index: (place(tuple(d for digits in index for d in digits)), 10),
}


# ---------------------------------------------------------------------- records that write at other places
def _fold(nest: Nest, name: str, node: Node) -> None:
    g = node.inputs[0]
    count = len(node.attrs["places"])
    index = nest.open(g, range(len(g.shape)))
    out = [index[0]]
    for axis in range(count):
        stride, gap = node.attrs["strides"][axis], node.attrs["dilation"][axis]
        at, offset = moved(index[1 + axis], stride, 0, 1), moved(index[1 + count + axis], gap, 0, 1)
        out.append(together(at, offset, node.shape[1 + axis]))
    value = nest.value(g, index)[0]
    nest.say(f"{name}[{places((*out, index[-1]))}] += {value}")


def _scatter(nest: Nest, name: str, node: Node) -> None:
    g, ids = node.inputs
    axis, many = node.attrs["axis"], len(ids.shape)
    index = nest.open(g, range(len(g.shape)))
    at = nest.value(ids, index[axis : axis + many])[0]
    value = nest.value(g, index)[0]
    nest.say(f"{name}[{places((*index[:axis], ((at, 0),), *index[axis + many :]))}] += {value}")


def _dilate(nest: Nest, name: str, node: Node) -> None:
    x = node.inputs[0]
    index = nest.open(x, range(len(x.shape)))
    out = [
        digits if old == new else moved(digits, gap + 1, low, new)
        for digits, old, new, low, gap in zip(
            index, x.shape, node.shape, node.attrs["low"], node.attrs["interior"], strict=True
        )
    ]
    value = nest.value(x, index)[0]
    nest.say(f"{name}[{places(tuple(out))}] = {value}")


_SCATTERS: dict[str, Callable[[Nest, str, Node], None]] = {"fold": _fold, "scatter_add": _scatter, "dilate": _dilate}
