"""The shapes of everything in a model, with m for the number of examples."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from dataclasses import astuple, dataclass
from typing import Any

from ..core import registry
from ..core.node import Leaf
from ..core.shapes import Rows, show
from ..core.show import text
from ..core.walk import topological
from .forward import Pages, as_symbol, pages, printed, turned_shape
from .words import printable

_HEAD = ("layer", "quantity", "shape", "gradient", "one example", "from")


@dataclass(frozen=True)
class Row:
    """One quantity: its shape for m examples and, where it has one for each, for one; the gradient has its shape."""

    layer: str
    quantity: str
    shape: str
    gradient: str
    one: str
    how: str


class Shapes:
    """The shapes of inputs, weights, layers' values and targets; `str` is the table, `rows` one `Row` each."""

    def __init__(self, model: Any, convention: str = "rows"):
        self.name, self.convention = model.name, convention
        found = pages(model, convention == "columns")
        self.rows = [*_rows(found), *_targets(model, found.columns)]

    def __str__(self) -> str:
        table = [_HEAD, *(astuple(row) for row in self.rows)]
        wide = [max(len(row[place]) for row in table) for place in range(len(_HEAD))]
        lines, layer = [], ""
        for row in table:
            cells = ["" if row[0] == layer else row[0], *row[1:]]
            layer = row[0]
            lines.append("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, wide, strict=True)).rstrip())
        title = f"Shapes of {self.name!r}: the examples are {self.convention}, m of them; a gradient has the shape of"
        return "\n".join(map(printable, [f"{title} its quantity.", "", *lines]))

    __repr__ = __str__

    def _repr_html_(self) -> str:
        rows = [("th", _HEAD), *(("td", astuple(row)) for row in self.rows)]
        lines = ["".join(f"<{tag} style='text-align:left'>{html.escape(c)}</{tag}>" for c in row) for tag, row in rows]
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
        name = ("y" if head.loss.labels else "Y") + (f"_{as_symbol(head.name)}" if len(model.heads) > 1 else "")
        one = wanted[1:] if isinstance(wanted[0], Rows) else (*wanted[:-1], 1)
        yield Row("target", name, show(wanted), "", show(one), "")


registry.register("view.shapes", Shapes)
