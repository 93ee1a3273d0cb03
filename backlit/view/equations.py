"""The equations of a model: forward, cost and backward, each with its shape, as text, LaTeX and HTML."""

from __future__ import annotations

import html
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, ShapeError
from ..core.node import Leaf
from ..core.shapes import bind, show
from ..core.show import latex, text
from ..core.walk import topological
from ..layers.network import flat
from ..rewrite.rule import match, p
from .backward import Backward
from .forward import Line, Pages, pages, printed, trains
from .words import gist, printable

_WIDEST = 70  # characters of a right side behind which its shape still lines up
_FEW = 8  # weights of a unit that are written out with numbers=True
_WHOLE = re.compile(r"(sum\((?:[^()]|\([^()]*\))*), axis=\([\d, ]+\)\)")  # a sum over all axes says so by itself
_SLICE = re.compile(r"slice\(([\w']+), start=\(([^)]+)\), stop=\(([^)]+)\), step=\(([^)]+)\)\)")
_GENERAL = {
    "rows": (
        "Z[l] = A[l-1] W[l] + b[l]",
        "A[l] = g[l](Z[l])",
        "dZ[l] = dA[l] * g[l]'(Z[l])",
        "dW[l] = A[l-1]ᵀ dZ[l] / m",
        "db[l] = sum(dZ[l], axis=0) / m",
        "dA[l-1] = dZ[l] W[l]ᵀ",
    ),
    "columns": (
        "Z[l] = W[l] A[l-1] + b[l]",
        "A[l] = g[l](Z[l])",
        "dZ[l] = dA[l] * g[l]'(Z[l])",
        "dW[l] = dZ[l] A[l-1]ᵀ / m",
        "db[l] = sum(dZ[l], axis=1, keepdims=True) / m",
        "dA[l-1] = W[l]ᵀ dZ[l]",
    ),
}


@dataclass(frozen=True)
class Equation:
    """One equation. `left` and `right` read as NumPy code; `shape` has m for the examples."""

    part: str  # "forward", "target", "cost" or "backward"
    left: str
    right: str
    shape: str
    latex: str
    layer: str
    note: str

    def __str__(self) -> str:
        return f"{self.left} = {printed(self.right)}"


class Equations:
    """The equations of a model. `str` is their text, `latex` an aligned block, `rows` one `Equation` each.

    dQ of a value Q that every example has is m ∂J/∂Q, dW of a weight is ∂J/∂W. `values(x, y)` computes every quantity
    in float64 by these equations, not by the training step.
    """

    def __init__(self, model: Any, convention: str = "rows", numbers: bool = False):
        self.name, self.convention, self._trains = model.name, convention, trains(model)
        self._pages = pages(model, convention == "columns")
        self._backward = backward(model, self._pages)
        self._parts: dict[str, Sequence[Line]] = {"forward": self._pages.lines}
        if self._backward is not None:
            down = self._backward
            self._parts |= {"target": down.given, "cost": down.cost, "backward": down.lines}
        self.rows = [_equation(part, line) for part, lines in self._parts.items() for line in lines]
        self.weights = {str(symbol.name): own for symbol, own in self._pages.weights.items()}
        self.losses = {} if self._backward is None else self._backward.losses
        self.written = _written_out(model, self._pages) if numbers else []

    # ------------------------------------------------------------------ as text, LaTeX, HTML
    def __str__(self) -> str:
        turned = "columns" if self.convention == "columns" else "rows"
        doing = "while it trains" if self._trains else "as it predicts"
        lines = [f"Equations of {self.name!r} {doing}. The examples are {turned}, m of them; A B is the matrix"]
        lines.append("product, * and / work number by number.")
        for part in self._parts:
            lines += self._section(part)
        if self._is_deep():
            lines += ["", "in general, for layer l (A[0] is what enters layer 1)"]
            lines += [f"  {each}" for each in _GENERAL[self.convention][: 2 if self._backward is None else None]]
        if self._backward is None:
            why = (
                "No loss is known: the model is not compiled" if self._trains else "Code that it is made of is not here"
            )
            lines += ["", f"{why}. So there are no equations of the way back."]
        lines += ["", "numbers", *(f"  {each}" for each in self.written)] if self.written else []
        return "\n".join(map(printable, lines))

    __repr__ = __str__

    def _section(self, part: str) -> Iterator[str]:
        rows = [row for row in self.rows if row.part == part]
        if not rows:
            return
        by = "m " if self._backward is not None and self._backward.mean else ""
        heading = {"backward": f"backward (dZ, dA, …: {by}∂J/∂Z, {by}∂J/∂A; dW, db, …: ∂J/∂W, ∂J/∂b)"}
        yield ""
        yield heading.get(part, part)
        left = max(len(row.left) for row in rows)
        right = min(_WIDEST, max(len(printed(row.right)) for row in rows))
        shape = max(len(row.shape) for row in rows)
        layer = ""
        for row in rows:
            told = "  ".join(filter(None, ("" if row.layer == layer else row.layer, row.note)))
            layer = row.layer
            yield f"  {row.left:<{left}} = {printed(row.right):<{right}}  {row.shape:<{shape}}  {told}".rstrip()
        if part == "cost":
            for name, loss in self.losses.items():
                yield from textwrap.wrap(
                    f"{name} is {loss!r}: {gist(loss)}", 98, initial_indent="  ", subsequent_indent="    "
                )

    def _is_deep(self) -> bool:
        """Whether this is a chain of dense layers and activations, each on the one before."""
        lines = [line for line in self._pages.lines if self._pages.number[line.symbol]]
        before = [line.symbol for line in self._pages.lines]
        for line in lines:
            reads = [leaf for leaf in topological([line.formula]) if leaf in before or leaf in self._pages.inputs]
            last = before[before.index(line.symbol) - 1] if line.symbol is not before[0] else self._pages.inputs[0]
            plain = line.formula in before or line.formula.op.role == "activation" or _affine(line)
            if reads != [last] or not plain:
                return False
        return sum(_affine(line) is not None for line in lines) > 1

    @property
    def latex(self) -> str:
        r"""The equations as one aligned block: Z_{1} &= X W_{1} + b_{1} \\ …"""
        return "\\begin{aligned}\n" + " \\\\\n".join(row.latex for row in self.rows) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$${self.latex}$$"

    def _repr_html_(self) -> str:
        rows = []
        for row in self.rows:
            cells = (
                row.part,
                _symbols(row.left),
                "=",
                _symbols(printed(row.right)),
                row.shape,
                *map(html.escape, (row.layer, row.note)),
            )
            rows.append("<tr>" + "".join(f"<td style='text-align:left'>{cell}</td>" for cell in cells) + "</tr>")
        return f"<table>{''.join(rows)}</table>"

    # ------------------------------------------------------------------ as numbers
    def values(self, x: Any, y: Any = None, draws: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Every quantity by its name, for a batch x (m, …) and, for cost and gradients, its targets y.

        Several inputs or outputs are lists in the model's order. `draws` has the masks of the dropout layers by name
        (D1, …). Arrays come and go in the equations' own convention, except x and y, whose rows are examples.
        """
        known = self._given(x, y, draws or {})
        lines = [line for part, each in self._parts.items() if part == "forward" or y is not None for line in each]
        compute = registry.lookup("values.reference")
        for line in lines:
            known[line.symbol] = compute([line.formula], known)[line.formula]
        return {str(leaf.name): np.array(value) for leaf, value in known.items()}

    def _given(self, x: Any, y: Any, draws: Mapping[str, Any]) -> dict[Leaf, Any]:
        page = self._pages
        fed = _paired(page.inputs, x, "inputs")
        if y is not None and self._backward is None:
            raise ArgumentError("there is nothing to compare y with: no loss is known.", fix="model.compile(loss=...)")
        if y is not None and self._backward is not None:
            fed += _paired(self._backward.y, y, "targets")
        rows = len(np.asarray(fed[0][1]))
        known = {leaf: self._placed(leaf, np.asarray(value), rows) for leaf, value in fed}
        known |= {leaf: self._placed(leaf, own.array, rows) for leaf, own in page.weights.items()}
        for leaf in page.draws:
            if leaf.name not in draws:
                raise ArgumentError(
                    f"these equations have a draw, {leaf.name}, whose numbers are not given.",
                    expected=f"an array of shape {show(leaf.shape)}",
                    why="a layer that draws, such as Dropout, draws anew at every step of the training",
                    fix=f"values(x, y, draws={{{str(leaf.name)!r}: ...}})",
                )
            known[leaf] = np.asarray(draws[str(leaf.name)], leaf.dtype)
        return {**known, page.m: float(rows)}

    def _placed(self, leaf: Leaf, value: Any, rows: int) -> Any:
        """An array as its symbol holds it."""
        wanted = bind(leaf.shape, rows)
        turned = value.T if self._pages.columns and value.ndim == 2 else value
        if turned.size != int(np.prod(wanted)):
            raise ShapeError(
                f"{leaf.name} does not fit these equations.",
                expected=f"shape {show(leaf.shape[::-1] if self._pages.columns else leaf.shape)}",
                found=f"shape {show(value.shape)}",
            )
        return turned.reshape(wanted).astype(leaf.dtype)


def backward(model: Any, found: Pages) -> Backward | None:
    """What the losses of a compiled model make of its pages."""
    if model.asked is None or not trains(model):
        return None
    names = model.output_names
    return Backward(found, model.heads, [names.index(head.name) for head in model.heads])


def _paired(leaves: Sequence[Leaf], given: Any, what: str) -> list[tuple[Leaf, Any]]:
    """Each leaf with its array: the one that is given, or the parts of a list or dict."""
    values = [given] if len(leaves) == 1 and not isinstance(given, Mapping) else flat(given)
    if len(values) != len(leaves):
        raise ShapeError(f"these equations have other {what}.", expected=str(len(leaves)), found=str(len(values)))
    return list(zip(leaves, values, strict=True))


def _affine(line: Line) -> dict[str, Any] | None:
    """x, w and b of a line Z = x @ w + b, w @ x + b in columns; None for any other line."""
    found: dict[str, Any] = {}
    return found if match(p.add(p.matmul("x", "w"), "b"), line.formula, found) else None


# ---------------------------------------------------------------------- how an equation is written
def _equation(part: str, line: Line) -> Equation:
    right = re.sub(r"axis=\((\d+),\)", r"axis=\1", line.said or text(line.formula)).replace(", dtype=float64", "")
    if line.symbol.shape == ():
        right = _WHOLE.sub(r"\1)", right)
    right = _SLICE.sub(_indexed, right)
    left = latex(line.symbol)
    typeset = rf"{left} &= " + (rf"\text{{{line.said}}}" if line.said else latex(line.formula))
    return Equation(part, str(line.symbol.name), right, show(line.symbol.shape), typeset, line.layer, line.note)


def _indexed(found: re.Match[str]) -> str:
    starts, stops, steps = (found[k].split(", ") for k in (2, 3, 4))
    parts = [f"{a}:{b}" + (f":{c}" if c != "1" else "") for a, b, c in zip(starts, stops, steps, strict=True)]
    return f"{found[1]}[{', '.join(':' if part == '0:m' else part for part in parts)}]"


def _symbols(words: str) -> str:
    """HTML with the numbers of symbols set low."""
    return re.sub(r"\b(d?[A-Za-z])(\d+)\b", r"<i>\1</i><sub>\2</sub>", html.escape(words, quote=False))


# ---------------------------------------------------------------------- numbers=True
def _written_out(model: Any, found: Pages) -> list[str]:
    """The values of the weights; small units written out."""
    said = []
    with np.printoptions(precision=4, suppress=True, threshold=40, edgeitems=2, linewidth=100):
        for symbol, own in found.weights.items():
            array = own.array.reshape(bind(symbol.shape, None)) if own.array.ndim < 2 else own.array
            array = own.array.T if found.columns and own.array.ndim == 2 else array
            pad = "\n" + " " * (len(str(symbol.name)) + 5)
            said.append(f"{symbol.name} = " + str(array).replace("\n", pad))
    for line in found.lines:
        said += _units(model, line, found)
    return said


def _units(model: Any, line: Line, found: Pages) -> Iterator[str]:
    """z of each unit of a small layer in numbers: Z1[0] = 0.5 * X[0] - 1.5 * X[1] + 2."""
    parts = _affine(line)
    if parts is None or not {parts["w"], parts["x"]} & set(found.weights) or parts["b"] not in found.weights:
        return
    w, x = (parts["w"], parts["x"]) if parts["w"] in found.weights else (parts["x"], parts["w"])
    kernel, bias = found.weights[w].array, found.weights[parts["b"]].array
    if max(kernel.shape) > _FEW or kernel.ndim != 2:
        return
    columns = model.about.get("columns") if x in found.inputs else None
    names = columns if columns and len(columns) == len(kernel) else [f"{x.name}[{k}]" for k in range(len(kernel))]
    for unit, (weights, b) in enumerate(zip(kernel.T, bias, strict=True)):
        terms = [f"{w:.4g} * {name}" for w, name in zip(weights, names, strict=True)] + [f"{b:.4g}"]
        yield f"{line.symbol.name}[{unit}] = " + " + ".join(terms).replace("+ -", "- ")


registry.register("view.equations", Equations)
