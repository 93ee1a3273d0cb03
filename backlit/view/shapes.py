"""The shapes of everything in a model, with m for the number of examples."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

from ..core import registry
from ..core.errors import BacklitError, NotReadyError, ShapeError
from ..core.node import Leaf, Node, input_leaf
from ..core.shapes import Rows, bind, show
from ..core.show import text
from ..core.walk import rebuild, topological
from ..layers.network import flat
from ..train.door import array_of
from .forward import Pages, as_symbol, pages, printed, turned_shape
from .words import printable

_HEAD = ("layer", "quantity", "shape", "gradient", "one example", "from")
_CROSS = "✗"  # before what does not fit
_RED = "color:#c00;font-weight:bold;"


@dataclass(frozen=True)
class Row:
    """One quantity: its shape for m examples and, where it has one for each, for one; the gradient has its shape."""

    layer: str
    quantity: str
    shape: str
    gradient: str
    one: str
    how: str
    given: str = ""  # the shape that the given data bring, with a cross where it does not fit


class Shapes:
    """The shapes of inputs, weights, layers' values and targets; `str` is the table, `rows` one `Row` each. With data,
    the shapes that they bring stand beside, up to where something does not fit."""

    def __init__(self, model: Any, convention: str = "rows", x: Any = None, y: Any = None):
        self.name, self.convention = model.name, convention
        found = pages(model, convention == "columns")
        self.rows = [*_rows(found), *_targets(model, found.columns)]
        self.beside = x is not None or y is not None
        if self.beside:
            brought = {
                **({} if x is None else _brought(found, x)),
                **({} if y is None else _brought_targets(model, y, found)),
            }
            self.rows = [replace(row, given=brought.get(row.quantity, "")) for row in self.rows]

    @property
    def fits(self) -> bool:
        """Whether nothing of the given data is marked."""
        return not any(row.given.startswith(_CROSS) for row in self.rows)

    def _table(self) -> list[tuple[str, ...]]:
        cells = len(_HEAD) + self.beside
        return [(*_HEAD, "given")[:cells], *(astuple(row)[:cells] for row in self.rows)]

    def __str__(self) -> str:
        table = self._table()
        wide = [max(len(row[place]) for row in table) for place in range(len(table[0]))]
        lines, layer = [], ""
        for row in table:
            cells = ["" if row[0] == layer else row[0], *row[1:]]
            layer = row[0]
            lines.append("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, wide, strict=True)).rstrip())
        title = f"Shapes of {self.name!r}: the examples are {self.convention}, m of them; a gradient has the shape of"
        mark = [f"{_CROSS} marks where what is given does not fit."] if self.beside else []
        return "\n".join(map(printable, [f"{title} its quantity.", *mark, "", *lines]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [("td" if k else "th", row) for k, row in enumerate(self._table())]
        lines = [
            "".join(
                f"<{tag} style='{_RED * c.startswith(_CROSS)}text-align:left'>{html.escape(c)}</{tag}>" for c in row
            )
            for tag, row in rows
        ]
        return f"<table><tr>{'</tr><tr>'.join(lines)}</tr></table>"


def _rows(found: Pages) -> Iterator[Row]:
    shapes = {str(leaf.name): show(leaf.shape) for leaf in (*found.inputs, *found.weights, *found.draws)}
    trained, met = set(found.trained), set()
    for leaf in found.inputs:
        yield Row("input", str(leaf.name), show(leaf.shape), "", _one(leaf), "")
    for line in found.lines:
        leaves = [node for node in topological([line.formula]) if isinstance(node, Leaf)]
        for leaf in (*found.weights, *found.draws):
            if leaf in leaves and leaf not in met:
                met.add(leaf)
                yield Row(
                    line.layer, str(leaf.name), show(leaf.shape), f"d{leaf.name}" if leaf in trained else "", "", ""
                )
        if trained & set(leaves):
            trained.add(line.symbol)
        name, shape = str(line.symbol.name), show(line.symbol.shape)
        how = re.sub(r"[A-Za-z_][\w']*", lambda word: shapes.get(word[0], word[0]), printed(text(line.formula)))
        how = re.sub(r"\((\([^()]*\))\)", r"\1", how)
        yield Row(line.layer, name, shape, f"d{name}" if line.symbol in trained else "", _one(line.symbol), how)
        shapes[name] = shape
    for leaf in (each for each in found.weights if each not in met):  # nothing reads it, or a penalty alone
        layer = str(found.weights[leaf].name).rpartition("/")[0]
        yield Row(layer, str(leaf.name), show(leaf.shape), f"d{leaf.name}" if leaf in trained else "", "", "")


def _brought(found: Pages, x: Any) -> dict[str, str]:
    """For each quantity the shape that these inputs make of it; the last one is where they do not fit."""
    told: dict[str, str] = {}
    known: dict[Node, Node] = {}
    for leaf, shape in _shapes_of(found.inputs, x, "inputs"):
        shape = turned_shape(shape) if found.columns else shape
        rows = next((place for place, dim in enumerate(leaf.shape) if dim == Rows()), 0)
        vector = len(shape) == 1 and leaf.shape == (Rows(), 1)
        open_ = tuple(Rows() if place == rows else dim for place, dim in enumerate(shape))
        fits = open_ == leaf.shape or vector
        told[str(leaf.name)] = show(shape) if fits else f"{_CROSS} {show(shape)}"
        known[leaf] = leaf if fits else input_leaf(open_, leaf.name, leaf.dtype)
    return told if all(old is new for old, new in known.items()) else {**told, **_followed(found, known)}


def _followed(found: Pages, known: dict[Node, Node]) -> dict[str, str]:
    """The shapes of the layers' values, as far as there are any."""
    told: dict[str, str] = {}
    for line in found.lines:
        try:
            (made,) = rebuild([line.formula], _asked, known)
        except BacklitError as error:
            return {**told, str(line.symbol.name): f"{_CROSS} {error.message.rstrip('.')}"}
        fits = made.shape == line.symbol.shape
        known[line.symbol] = line.symbol if fits else input_leaf(made.shape, line.symbol.name, made.dtype)
        told[str(line.symbol.name)] = show(made.shape) if fits else f"{_CROSS} {show(made.shape)}"
    return told


def _asked(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The node on inputs of other shapes, if its record takes them."""
    if inputs == node.inputs:
        return node
    return node.op.node(inputs, **node.attrs) if node.op.variadic else node.op.node(*inputs, **node.attrs)


def _brought_targets(model: Any, y: Any, found: Pages) -> dict[str, str]:
    told: dict[str, str] = {}
    if model.asked is None:
        raise NotReadyError("there are no targets: no loss is known.", fix="model.compile(loss=...)")
    for head, shape in _shapes_of(model.heads, y, "targets"):
        wanted = bind(head.loss.target_shape(head.shape), shape[0] if shape else 0)
        fits = (
            shape == wanted
            or (wanted[-1:] == (1,) and shape == wanted[:-1])
            or (head.loss.labels and shape == (*wanted, 1))
        )
        seen = show(turned_shape(shape) if found.columns and len(shape) == 2 else shape)
        told[_target(model, head)] = seen if fits else f"{_CROSS} {seen}"
    return told


def _shapes_of(names: Sequence[Any], given: Any, what: str) -> list[tuple[Any, tuple[int, ...]]]:
    """Each input or output with the shape of what is given for it."""
    values = [given] if len(names) == 1 and not isinstance(given, Mapping) else flat(given)
    if len(values) != len(names):
        raise ShapeError(f"the model has another number of {what}.", expected=str(len(names)), found=str(len(values)))
    shapes = [value.shape if hasattr(value, "shape") else array_of(value, "the data").shape for value in values]
    return [(name, tuple(shape)) for name, shape in zip(names, shapes, strict=True)]


def _target(model: Any, head: Any) -> str:
    return ("y" if head.loss.labels else "Y") + (f"_{as_symbol(head.name)}" if len(model.heads) > 1 else "")


def _one(leaf: Leaf) -> str:
    """The shape for a single example: without m where examples are rows, with 1 in its place where they are columns."""
    if not any(isinstance(dim, Rows) for dim in leaf.shape):
        return ""
    if isinstance(leaf.shape[0], Rows) and leaf.shape[0] == Rows():
        return show(leaf.shape[1:])
    return show(tuple(1 if isinstance(dim, Rows) else dim for dim in leaf.shape))


def _targets(model: Any, columns: bool) -> Iterator[Row]:
    if model.asked is None:
        return
    for head in model.heads:
        wanted = head.loss.target_shape(head.shape)
        wanted = turned_shape(wanted) if columns and len(wanted) == 2 else wanted
        one = wanted[1:] if isinstance(wanted[0], Rows) else (*wanted[:-1], 1)
        yield Row("target", _target(model, head), show(wanted), "", show(one), "")


registry.register("view.shapes", Shapes)
