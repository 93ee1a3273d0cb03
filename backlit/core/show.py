"""Any graph as text, LaTeX or JSON. A value that is named or used twice gets a line of its own."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from . import registry
from .node import Leaf, Node
from .shapes import Rows, show
from .walk import Graph, topological

_LONGEST = 72  # characters of a formula before its parts get lines of their own


def text(node: Node) -> str:
    """The formula of `node`: lines ``name = formula`` for named and shared parts, then the formula itself."""
    lines = _Lines([node], _text_of)
    return "\n".join([f"{left} = {right}" for left, right in lines.rows] + [lines.of(node)])


def latex(node: Node) -> str:
    """The formula of `node` in LaTeX; several lines are an ``aligned`` block."""
    lines = _Lines([node], _latex_of, break_long=False)
    rows = [f"{left} &= {right}" for left, right in lines.rows]
    if not rows:
        return lines.of(node)
    return "\\begin{aligned}\n" + " \\\\\n".join([*rows, "& " + lines.of(node)]) + "\n\\end{aligned}"


def graph_text(graph: Graph) -> str:
    """A whole graph: inputs, one line a shared or named value with its shape, outputs, updates and the gate."""
    lines = _Lines(graph.roots, _text_of, annotate=True)
    for leaf in (*graph.inputs, *graph.updates):
        if leaf not in lines.made:  # nothing reads it
            lines.add(leaf)
    out = [f"input   {lines.of(node)}  {show(node.shape)} {node.dtype}" for node in graph.inputs]
    out += [f"        {left} = {right}" for left, right in lines.rows]
    out += [f"output  {lines.of(node)}" for node in graph.outputs]
    out += [f"update  {lines.of(leaf)} <- {lines.of(new)}" for leaf, new in graph.updates.items()]
    return "\n".join(out if graph.gate is None else [*out, f"gate    {lines.of(graph.gate)}"])


def as_json(roots: Sequence[Node]) -> dict[str, Any]:
    """Nodes in order as dicts (op, inputs by place, attributes, shape, dtype, where), and the places of the roots."""
    order = topological(roots)
    place = {node: index for index, node in enumerate(order)}
    rows = []
    for node in order:
        row: dict[str, Any] = {"op": node.op.name, "inputs": [place[i] for i in node.inputs]}
        if node.attrs:
            row["attrs"] = {key: _json_value(value) for key, value in node.attrs.items()}
        row["shape"], row["dtype"] = _json_value(node.shape), _json_value(node.dtype)
        if node.name:
            row["name"] = node.name
        if node.where:
            row["where"] = [f"{file}:{line}" for file, line in node.where]
        rows.append(row)
    return {"nodes": rows, "roots": [place[node] for node in roots]}


def _json_value(value: Any) -> Any:
    if isinstance(value, Graph):
        return {"inputs": len(value.inputs), **value.to_json()}
    if isinstance(value, tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, Rows) or (isinstance(value, float) and not math.isfinite(value)):
        return str(value)
    return value


# ---------------------------------------------------------------------- one walk for text and LaTeX
class _Lines:
    """Formulas by bottom-up walk. `rows` are the (name, formula) lines, `of(node)` the formula in terms of them."""

    def __init__(
        self,
        roots: Sequence[Node],
        write: Callable[..., tuple[str, int]],
        annotate: bool = False,
        break_long: bool = True,
    ):
        self.rows: list[tuple[str, str]] = []
        self.made: dict[Node, tuple[str, int]] = {}
        self.write, self.annotate, self.longest = write, annotate, _LONGEST if break_long else 10 * _LONGEST
        order = topological(roots)
        self.names = {_label(node.name, write) for node in order if node.name}
        self.uses = Counter(i for node in order for i in node.inputs)
        self.uses.update(roots if len(roots) > 1 else ())
        self.taken: Counter[str] = Counter()
        self.roots = set(roots) if len(roots) == 1 else set()
        self.fresh = 0
        for node in order:
            self.add(node)

    def of(self, node: Node) -> str:
        return self.made[node][0]

    def add(self, node: Node) -> None:
        formula, level = self.write(node, [self.made[i] for i in node.inputs])
        if isinstance(node, Leaf) and not _is_number(node):
            self.made[node] = self.unique(formula), 100
        elif not node.inputs:
            self.made[node] = formula, level
        elif node.op.name == "mark" or self.uses[node] > 1 or (len(formula) > self.longest and node not in self.roots):
            self.line(node, formula)
        else:
            self.made[node] = formula, level

    def line(self, node: Node, formula: str) -> None:
        if node.op.name == "mark":
            left = self.unique(_label(node.attrs["name"], self.write))
        else:
            self.fresh += 1
            while (left := _label(f"t{self.fresh}", self.write)) in self.names:
                self.fresh += 1
        note = f"  {show(node.shape)} {node.dtype}" if self.annotate and not node.several else ""
        self.rows.append((left, formula + note))
        self.made[node] = left, 100

    def unique(self, name: str) -> str:
        self.taken[name] += 1
        return name if self.taken[name] == 1 else f"{name}'{self.taken[name]}"


def number(value: Any) -> str:
    """A number as short as it is exact: 2, 0.1, 1e-07."""
    if isinstance(value, bool) or not isinstance(value, float):
        return str(value)
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _is_number(node: Node) -> bool:
    """Whether `node` prints as its value: a literal, or a single number without a name."""
    unnamed = isinstance(node, Leaf) and not node.name and node.array is not None and node.shape == ()
    return unnamed or bool(node.op.name == "literal")


def _number_of(node: Any) -> tuple[str, int]:
    written = number(node.array.item() if isinstance(node, Leaf) else node.attrs["value"])
    return written, 30 if written.startswith("-") else 100


def _label(name: str, write: Callable[..., Any]) -> str:
    return _symbol(name) if write is _latex_of else name


def _symbol(name: str) -> str:
    """A name as a LaTeX symbol: w1 is w_{1}, dZ1 is dZ_{1}, dense/kernel is text."""
    if found := re.fullmatch(r"(d?[A-Za-z])_?(\d+)('*)", name):
        low = f"{found[1]}_{{{found[2]}}}"
        return f"{{{low}{found[3]}}}" if found[3] else low
    escaped = re.sub(r"([_%#&${}])", r"\\\1", name)
    return escaped if len(name) == 1 else rf"\text{{{escaped}}}"


def _text_of(node: Node, inputs: Sequence[tuple[str, int]]) -> tuple[str, int]:
    if _is_number(node):
        return _number_of(node)
    if isinstance(node, Leaf):
        return node.name or f"{node.kind}{show(node.shape)}", 100
    if node.op.name == "mark":
        return inputs[0][0], 0
    if callable(node.op.text):
        return node.op.text(node, [formula for formula, _ in inputs]), 100
    if node.op.text is not None:
        return _fill(node.op.text, node, inputs, "()")
    attrs = [f"{key}={_attribute(value)}" for key, value in node.attrs.items() if value != node.op.attrs.get(key)]
    given = [formula for formula, _ in inputs]
    return f"{node.op.name}({', '.join([*given, *attrs])})", 100


def _latex_of(node: Node, inputs: Sequence[tuple[str, int]]) -> tuple[str, int]:
    if _is_number(node):
        written, level = _number_of(node)
        found = re.fullmatch(r"(.*)e([+-]?)0*(\d+)", written)
        return (rf"{found[1]} \cdot 10^{{{found[2].strip('+')}{found[3]}}}", 20) if found else (written, level)
    if isinstance(node, Leaf):
        return (_symbol(node.name) if node.name else rf"\text{{{node.kind}{show(node.shape)}}}"), 100
    if node.op.name == "mark":
        return inputs[0][0], 0
    if node.op.tex is not None:
        return _fill(node.op.tex, node, inputs, (r"\left(", r"\right)"))
    if callable(node.op.text):
        return rf"\text{{{node.op.text(node, [formula for formula, _ in inputs])}}}", 100
    given = ", ".join(formula for formula, _ in inputs)
    escaped = node.op.name.replace("_", r"\_")
    return rf"\operatorname{{{escaped}}}\left({given}\right)", 100


def _attribute(value: Any) -> str:
    return repr(value) if isinstance(value, Graph) else number(value) if isinstance(value, float) else str(value)


def _fill(template: str, node: Node, inputs: Sequence[tuple[str, int]], brackets: Sequence[str]) -> tuple[str, int]:
    """`{x}` is the input, in brackets where it does not bind more tightly than the op, `{x+}` where it binds less
    tightly, `{x:}` never; what names no input or attribute stands for itself. A minus sign only begins a formula. A
    record that only passes its input on (a cast) binds as tightly as that."""
    places: Mapping[str, int] = {name: place for place, name in enumerate(node.op.inputs)}

    def put(found: re.Match[str]) -> str:
        name, mode = found[1], found[2]
        if name not in places:
            return _attribute(node.attrs[name]) if name in node.attrs else found[0]
        formula, level = inputs[places[name]]
        inside = formula.startswith("-") and found.start() > 0
        if mode == ":" or (not inside and (level > node.op.level or (level == node.op.level and mode == "+"))):
            return formula
        return f"{brackets[0]}{formula}{brackets[1]}"

    passed_on = re.fullmatch(r"\{\w+:\}", template) is not None
    return re.sub(r"\{(\w+)([:+]?)\}", put, template), inputs[0][1] if passed_on else node.op.level


registry.register("show.text", text)
registry.register("show.latex", latex)
registry.register("show.graph", graph_text)
registry.register("show.json", as_json)
