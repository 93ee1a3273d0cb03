"""Formulas as NumPy code of whole arrays: Z1 = X @ W1 + b1."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..core.node import FLOATS, Leaf, Node, input_leaf
from ..core.shapes import M, Rows
from ..core.show import text
from ..core.walk import expand, rebuild, strip_marks, topological
from . import as_numpy_helpers
from .as_numpy_words import (
    Words,
    Written,
    along,
    bracketed,
    by_element,
    infix,
    is_cast_truth,
    length,
    literal,
    part_of,
)
from .rules import parted, short

_LONGEST = 72  # characters of a formula in one line
_KEPT = {"mean", "var", "std", "dot", "expand_dims", "squeeze", "swapaxes"}  # composites that NumPy has, too


class Arrays:
    """Writes formulas: `lines(name, formula)` gives the lines of code that compute one value."""

    def __init__(self, words: Words, m: Leaf, last: bool = False):
        self.words, self.m, self.last = words, m, last
        words.names.setdefault(m, "m")

    # ------------------------------------------------------------------ lines
    def lines(self, name: str, formula: Node, comment: str = "") -> list[str]:
        """`name = formula`, behind lines for the parts that are long or used twice."""
        whole, parts = self.parts(formula)
        written = [f"{self.words.name(symbol)} = {self.code(part)}" for symbol, part in parts]
        return [*written, noted(f"{name} = {self.code(whole)}", comment)]

    def parts(self, formula: Node) -> tuple[Node, list[tuple[Leaf, Node]]]:
        """The formula in records that have a form here, and (symbol, formula) of the parts that come before it."""
        parts: list[tuple[Leaf, Node]] = []

        def part(inner: Node) -> Leaf:
            parts.append((part_of(inner), inner))
            return parts[-1][0]

        whole = parted(self.plain(formula), part)
        rows = [*parts, (part_of(whole), whole)]
        merged = self.merged(rows, {symbol for symbol, _ in parts})
        return merged[-1][1], merged[:-1]

    def merged(self, rows: Sequence[tuple[Leaf, Node]], free: set[Leaf]) -> list[tuple[Leaf, Node]]:
        """The rows (symbol, formula) without those of `free` symbols that one other row alone reads, once, and that
        fit into it."""
        left = list(rows)
        for symbol, formula in [row for row in rows if row[0] in free]:
            formula = next(f for s, f in left if s is symbol)
            readers = [k for k, (_, other) in enumerate(left) if symbol in topological([other])]
            if len(readers) != 1 or _uses(symbol, left[readers[0]][1]) != 1:
                continue
            reader = left[readers[0]]
            (both,) = rebuild([reader[1]], start={symbol: formula})
            if self.fits(both):
                left[readers[0]] = (reader[0], both)
                left = [row for row in left if row[0] is not symbol]
        return left

    def fits(self, formula: Node) -> bool:
        """Whether a formula may stand in one line."""
        return len(text(formula)) <= _LONGEST

    def plain(self, formula: Node) -> Node:
        """Without marks, definitions in the place of records that have no form here, and short."""
        node = expand(strip_marks([formula]), lambda n: n.body is not None and not self.keeps(n))[0]
        return short(node, self.m)

    def keeps(self, node: Node) -> bool:
        """Whether a composite is written as a call."""
        return node.op.name in _KEPT or node.op.role == "activation"

    # ------------------------------------------------------------------ one formula
    def code(self, formula: Node) -> str:
        """One formula, each part of which is used once."""
        return self.written(formula)[0]

    def written(self, formula: Node) -> Written:
        made: dict[Node, Written] = {}

        def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
            made[node] = self._node(node, [made[i] for i in node.inputs])
            return node

        rebuild([formula], visit)
        return made[formula]

    def _node(self, node: Node, inputs: Sequence[Written]) -> Written:
        if isinstance(node, Leaf):
            single = node.array is not None and node.shape == () and not node.name
            return literal(node.array.item()) if single else (self.words.name(node), 100)
        if node.dtype == "uint32":
            raise self.words.refusal("it draws random numbers in a way of its own", "a Dropout or noise layer")
        if node.op.name == "multiply":
            return self._product(node, inputs)
        if node.op.kind == "elementwise":
            return self.words.elementwise(node, inputs)
        if node.op.kind == "composite" and node.op.role == "activation":
            return f"{self.activation(node)}({inputs[0][0]})", 100
        if node.op.name in _FORMS:
            return _FORMS[node.op.name](self, node, inputs)
        fix = "define it of other records: bl.composite or bl.elementwise"
        raise self.words.refusal(f"nothing in NumPy stands for the record {node.op.name}", fix)

    def _product(self, node: Node, inputs: Sequence[Written]) -> Written:
        """A product with truths needs no cast."""
        bare = [is_cast_truth(each) for each in node.inputs]
        if any(bare) and not all(bare):
            made = [
                self.written(i.inputs[0]) if cast else w for i, cast, w in zip(node.inputs, bare, inputs, strict=True)
            ]
            return self.words.call("multiply", *made)
        return self.words.elementwise(node, inputs)

    def activation(self, node: Node) -> str:
        """The name of the function of an activation that is made of several records."""
        x = input_leaf(self.of_activation(node.inputs[0].shape), "x", node.inputs[0].dtype)
        body = node.op.node(x, **node.attrs).body
        assert body is not None
        inner = Words(self.words.form)
        inner.names[x], inner.helpers, inner.layer = "x", self.words.helpers, self.words.layer
        *before, last = type(self)(inner, self.m, last=True).lines("return", body)
        self.words.needs_math |= inner.needs_math
        return self.words.helper(node.op.name, ["x"], node.op.doc, [*before, last.replace("return = ", "return ", 1)])

    def of_activation(self, shape: Any) -> Any:
        """The shape of what an activation's function takes."""
        return shape

    def helper(self, name: str) -> str:
        """A function that every program may bring along."""
        return self.words.brought(getattr(as_numpy_helpers, name))


def noted(line: str, comment: str) -> str:
    """A line with its comment in the 54th column, or behind it."""
    return f"{line:<52}  # {comment}" if comment else line


def _uses(symbol: Node, formula: Node) -> int:
    return sum(node.inputs.count(symbol) for node in topological([formula])) + (formula is symbol)


def by_itself(node: Node) -> bool:
    """Whether an activation is a function of each number."""
    return by_element(node)


# ---------------------------------------------------------------------- structural records in NumPy's words
def _reduced(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    rank = len(node.inputs[0].shape)
    said = [inputs[0][0], along(node.attrs["axis"], rank, arrays.last)]
    said += ["keepdims=True"] if node.attrs.get("keepdims") and node.shape != () else []
    return f"np.{node.op.name}({', '.join(filter(None, said))})", 100


def _size(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    count: Any = 1
    axis = node.attrs["axis"]
    for place, dim in enumerate(node.inputs[0].shape):
        count = dim * count if axis is None or place in axis else count
    return length(count), 20 if isinstance(count, Rows) and count != M else 100


def _transposed(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    axes = node.attrs["axes"]
    x = bracketed(inputs[0], 100)
    return (f"{x}.T" if axes == tuple(range(len(axes)))[::-1] else f"{x}.transpose({', '.join(map(str, axes))})"), 100


def _swapped(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    return f"{bracketed(inputs[0], 100)}.swapaxes({node.attrs['axis1']}, {node.attrs['axis2']})", 100


def _reshaped(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    old, new, x = node.inputs[0].shape, node.shape, bracketed(inputs[0], 100)
    if [d for d in old if d != 1] == [d for d in new if d != 1] and (key := _key(old, new)):
        return f"{x}[{key}]", 100
    return f"{x}.reshape({', '.join(map(length, new)) or '()'})", 100


def _key(old: Sequence[Any], new: Sequence[Any]) -> str:
    """What picks the new shape out of the old one: axes of length 1 are taken away (0) and put in (None)."""
    keys, at = [], 0
    for dim in new:
        if at < len(old) and old[at] == dim:
            keys.append(":")
            at += 1
        elif dim == 1:
            keys.append("None")
        else:
            while old[at] != dim:
                keys.append("0")
                at += 1
            keys.append(":")
            at += 1
    keys += ["0"] * (len(old) - at)
    return ", ".join(keys) if set(keys) != {":"} else ""


def _sliced(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    keys = []
    attrs = (node.attrs[key] for key in ("start", "stop", "step"))
    for dim, begin, end, step in zip(node.inputs[0].shape, *attrs, strict=True):
        whole = begin == 0 and end == dim
        cut = ":" if whole else f"{begin or ''}:{'' if end == dim else length(end)}"
        keys.append(cut + (f":{step}" if step != 1 else ""))
    while len(keys) > 1 and keys[-1] == ":":
        keys.pop()
    return f"{bracketed(inputs[0], 100)}[{', '.join(keys)}]", 100


def _padded(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    low, high, between = (node.attrs[key] for key in ("low", "high", "interior"))
    if any(between):
        return f"{arrays.helper('dilate')}({inputs[0][0]}, {low}, {high}, {between})", 100
    return f"np.pad({inputs[0][0]}, {tuple(zip(low, high, strict=True))})", 100


def _cast(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    kinds = {"bool": "bool", **dict.fromkeys(FLOATS, "float")}
    before, after = (kinds.get(dtype, "int") for dtype in (node.inputs[0].dtype, node.dtype))
    if before == after:
        return inputs[0]
    if node.shape == ():
        return f"{after}({inputs[0][0]})", 100
    return f"{bracketed(inputs[0], 100)}.astype({after})", 100


def _gathered(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    if node.attrs["axis"] == 0:
        return f"{bracketed(inputs[0], 100)}[{inputs[1][0]}]", 100
    return f"np.take({inputs[0][0]}, {inputs[1][0]}, axis={node.attrs['axis']})", 100


def _scattered(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    axis, long = node.attrs["axis"], node.attrs["length"]
    return f"{arrays.helper('scatter_add')}({inputs[0][0]}, {inputs[1][0]}, axis={axis}, length={length(long)})", 100


def _seen(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    said = [f"{key}={node.attrs[key]}" for key in node.op.attrs]
    return f"{arrays.helper(node.op.name)}({', '.join([inputs[0][0], *said])})", 100


def _counted(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    total: Any = 1
    for dim in node.shape:
        total = dim * total
    made = f"np.arange({length(total)}{', dtype=float' if node.dtype in FLOATS else ''})"
    return (made if len(node.shape) == 1 else f"{made}.reshape{arrays.words.shape(node.shape)}"), 100


def _picked(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    return f"{inputs[0][0]}[{node.attrs['place']}]", 100


def _calls(pattern: str) -> Callable[..., Written]:
    """A call of NumPy's with attributes in their places."""

    def form(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
        codes = ", ".join(code for code, _ in inputs)
        attrs = {key: arrays.words.shape(value) if key == "shape" else value for key, value in node.attrs.items()}
        return pattern.format(x=inputs[0][0] if inputs else "", values=f"[{codes}]", **attrs), 100

    return form


def _times(arrays: Arrays, node: Node, inputs: Sequence[Written]) -> Written:
    return infix(("@", 20), *inputs) if all(i.shape for i in node.inputs) else infix(("*", 20), *inputs)


_FORMS: dict[str, Callable[..., Written]] = {
    **dict.fromkeys(["sum", "max", "min", "prod", "all", "any", "mean", "var", "std"], _reduced),
    **dict.fromkeys(["argmax", "argmin"], _reduced),
    **dict.fromkeys(["matmul", "dot"], _times),
    **dict.fromkeys(["reshape", "expand_dims", "squeeze"], _reshaped),
    **dict.fromkeys(["windows", "fold"], _seen),
    "literal": lambda arrays, node, inputs: literal(node.attrs["value"]),
    "mark": lambda arrays, node, inputs: inputs[0],
    "size": _size,
    "transpose": _transposed,
    "swapaxes": _swapped,
    "slice": _sliced,
    "dilate": _padded,
    "cast": _cast,
    "gather": _gathered,
    "scatter_add": _scattered,
    "iota": _counted,
    "item": _picked,
    "broadcast_to": _calls("np.broadcast_to({x}, {shape})"),
    "concatenate": _calls("np.concatenate({values}, axis={axis})"),
    "split": _calls("np.split({x}, {sections}, axis={axis})"),
    "flip": _calls("np.flip({x}, axis={axis})"),
}
