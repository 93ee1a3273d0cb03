"""The backward pass as named lines: dZ2 = A2 - Y, dW2 = A1.T @ dZ2 / m, … one rule of a record after the other.

dQ of a value Q that every example has is m ∂J/∂Q, so that the 1/m of the mean stands where a weight's gradient sums
over the examples; dW of a weight W is ∂J/∂W itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from ..core.grad import grad, reverse
from ..core.node import Leaf, Node, input_leaf
from ..core.op import literal
from ..core.shapes import M, Rows
from ..core.shapes import size as numbers_in
from ..core.show import text
from ..core.walk import substitute, topological
from ..layers.activation import resolve
from ..ops.elementwise import sign
from ..ops.index import one_hot, transpose
from ..ops.reduce import sum as sum_
from ..rewrite import stable
from ..rewrite.rule import apply
from .forward import Line, Pages, as_symbol
from .residual import residual
from .rules import short

_INLINE = 24  # characters of a slope that stands in its formula; a longer one gets a line of its own


@dataclass(frozen=True)
class _Top:
    """Where a loss begins: `end` = `formula` is the last A if an activation makes it; `out` is what the model gives."""

    loss: Any
    out: Leaf
    end: Leaf
    formula: Any
    y: Leaf
    each: Any  # what the loss gives, in symbols
    cost: Any


class Backward:
    """What the losses make of the pages of a model: the cost, and the gradients from the outputs down."""

    def __init__(self, pages: Pages, heads: Sequence[Any], places: Sequence[int]):
        self.pages = pages
        self.y: list[Leaf] = []  # the targets, one a head
        self.given: list[Line] = []  # what is made of them
        self.cost: list[Line] = []
        self.lines: list[Line] = []
        self.mean = all(head.loss.reduction != "sum" for head in heads)
        self.arrived: dict[Leaf, list[Node]] = defaultdict(list)
        below = [f"_{as_symbol(head.name)}" if len(heads) > 1 else "" for head in heads]
        costs = [self._head(head, pages.outputs[at], name) for head, at, name in zip(heads, places, below, strict=True)]
        self.losses = {f"L{name}": head.loss for head, name in zip(heads, below, strict=True)}
        self._total(costs)
        self._down()

    # ------------------------------------------------------------------ the cost, and where the way down begins
    def _head(self, head: Any, out: Leaf, below: str) -> tuple[Any, str]:
        """The cost of one output as a node and in words; its first derivative has arrived then."""
        loss, shape = head.loss, self._turn(out.shape)
        dtype = "int64" if loss.labels else "float64"
        wanted = input_leaf(self._turn(loss.target_shape(shape)), "", dtype)
        y = self.pages.symbol(f"{'y' if loss.labels else 'Y'}{below}", wanted)
        self.y.append(y)
        end, formula = self._end(loss, out)
        apart = formula.op.role == "activation" and isinstance(formula.inputs[0], Leaf)
        target = y if loss.labels else self._rows(y)
        seen = self._rows(formula if apart and not loss.from_logits else out)
        each, cost = apply([loss.per_example(target, seen), loss.cost(target, seen, None)], stable.RULES)
        z, first = self._first(_Top(loss, out, end, formula if apart else None, y, each, cost), below)
        share = literal(float(head.share))
        self.arrived[z].append(share * first)
        said = f"{'sum' if loss.reduction == 'sum' else 'mean'}(L{below}({y.name}, {out.name}))"
        return share * cost, said if head.share == 1 else f"{head.share:g} * {said}"

    def _first(self, top: _Top, below: str) -> tuple[Any, Any]:
        """The symbol that a loss is differentiated by, and its derivative: m times it where a mean is taken."""
        loss, each = top.loss, top.each
        summed = loss.reduction == "sum"
        inner = 1 if summed else numbers_in(tuple(dim for dim in each.shape if not isinstance(dim, Rows)))
        whole = loss.valid(top.y) is not None or each.shape[:1] != (M,)  # no plain mean over the examples
        z, found = self._begins(top, not whole)
        if found is not None:
            factor = found[0] / inner
            difference: Any = top.end - (self._hot(top, below) if loss.labels else top.y)
            difference = sign(difference) if found[1] else difference
            first = float(factor.numerator) * difference / float(factor.denominator)
        else:
            once: Any = grad(top.cost if whole else sum_(each), z)
            once = once / inner if not whole else once * self.pages.m if self.mean else once
            (slope,) = substitute([once], {} if top.formula is None else {top.formula: top.end})
            first = self._slope(f"L{below}'({z.name})", slope, z, "loss")
        return z, first if self.mean or whole or summed else first / self.pages.m

    def _begins(self, top: _Top, plain: bool) -> tuple[Any, tuple[Fraction, bool] | None]:
        """The symbol that a loss is differentiated by, and its derivative if that is a `plain` difference: before the
        last activation if possible, which is where that of a cross-entropy is."""
        tries = [] if top.formula is None else [(top.formula.inputs[0], self._applied(top.formula))]
        tries += [] if tries and top.loss.from_logits else [(top.out, _itself)]
        for z, applied in tries if plain else ():
            if found := residual(top.loss, applied, self._turn(z.shape)):
                return z, found
        return tries[0][0], None

    def _end(self, loss: Any, out: Leaf) -> tuple[Leaf, Node]:
        """The last A and its formula: the output, or what the loss makes of a Z before it compares."""
        formula, layer = next(
            ((line.formula, line.layer) for line in self.pages.lines if line.symbol is out), (out, "")
        )
        if loss.from_logits and loss.link:
            link: Any = resolve(loss.link)
            attrs = {"axis": 0} if self.pages.columns and "axis" in link.attrs else {}
            formula, note = link.node(out, **attrs), "inside the loss (from_logits=True)"
        elif str(out.name).startswith("Z"):
            formula, note = out, ""
        else:
            return out, formula
        number = self.pages.number[out]
        end = self.pages.symbol(f"A{number or ''}", out, number)
        self.pages.lines.append(Line(end, formula, layer, note))
        return end, formula

    def _applied(self, formula: Node) -> Callable[[Any], Any]:
        """The activation as a function of rows."""
        attrs = {**formula.attrs, "axis": -1} if "axis" in formula.attrs and self.pages.columns else formula.attrs
        return lambda z: formula.op.node(z, **attrs)

    def _hot(self, top: _Top, below: str) -> Leaf:
        """The labels as one-hot rows or columns."""
        hot = self._rows(one_hot(top.y, depth=self._turn(top.out.shape)[-1], dtype="float64"))
        symbol = self.pages.symbol(f"Y{below}", hot)
        self.given.append(Line(symbol, hot, note="the labels, one-hot"))
        return symbol

    def _turn(self, shape: Any) -> Any:
        return tuple(shape[::-1]) if self.pages.columns and len(shape) == 2 else tuple(shape)

    def _rows(self, node: Any) -> Any:
        """`node` with its examples as rows where they are columns, and the other way round."""
        return transpose(node) if self.pages.columns and len(node.shape) == 2 else node

    def _total(self, costs: Sequence[tuple[Any, str]]) -> None:
        """J: the costs of all outputs and the penalties."""
        total, said = _sum([cost for cost, _ in costs]), [words for _, words in costs]
        penalty = self.pages.penalty
        if penalty is not None:
            r = self.pages.symbol("R", penalty)
            self.cost.append(Line(r, penalty, note="penalties"))
            total, said = total + r, [*said, "R"]
            for leaf in _leaves(penalty):
                if leaf in self.pages.number and leaf not in self.pages.weights:
                    g: Any = grad(penalty, leaf)
                    self.arrived[leaf].append(g * self.pages.m if self.mean else g)
        j = self.pages.symbol("J", total)
        self.cost.append(Line(j, total, said=" + ".join(said)))

    # ------------------------------------------------------------------ down
    def _down(self) -> None:
        uses = [(line, _leaves(line.formula)) for line in self.pages.lines]
        needed = set(self.pages.trained)
        for line, leaves in uses:
            if needed & leaves:
                needed.add(line.symbol)
        waiting = {weight: sum(weight in leaves for _, leaves in uses) for weight in self.pages.trained}
        for line, leaves in reversed(uses):
            if self.arrived[line.symbol] and line.symbol in needed:
                self._through(line, [leaf for leaf in leaves if leaf in needed])
            for weight in (weight for weight in self.pages.weights if weight in leaves & self.pages.trained):
                waiting[weight] -= 1
                if not waiting[weight]:
                    self._finish(weight, line.layer)
        for weight in (weight for weight in waiting if not any(weight in leaves for _, leaves in uses)):
            self._finish(weight, "")  # nothing reads it but a penalty

    def _through(self, line: Line, targets: Sequence[Leaf]) -> None:
        """What arrived at a line's symbol, passed on to the symbols in its formula."""
        symbol, formula = line.symbol, line.formula
        total: Any = _sum(self.arrived[symbol])
        if isinstance(formula, Leaf):
            self.arrived[formula].append(total)
        elif formula.op.role == "activation" and formula.op.kind == "elementwise" and formula.inputs[0] in targets:
            z: Any = formula.inputs[0]
            slope = formula.op.vjp(literal(1.0), symbol, z, **formula.attrs)[0]
            self.arrived[z].append(total * self._slope(f"{formula.op.name}'({z.name})", slope, z, line.layer))
        else:
            d = self._emit(symbol, total, line.layer)
            for leaf, part in zip(targets, reverse([formula], [d], targets, stop=True), strict=True):
                if part is not None:
                    (passed,) = substitute([part], {formula: symbol})
                    self.arrived[leaf].append(short(passed, self.pages.m))

    def _finish(self, weight: Leaf, layer: str) -> None:
        """The gradient of a weight: the sum over the examples by m, and what the penalty adds."""
        parts = [_sum(self.arrived[weight])] if self.arrived[weight] else []
        parts = [part / self.pages.m if self.mean else part for part in parts]
        penalty = self.pages.penalty
        if penalty is not None and weight in _leaves(penalty):
            parts.append(grad(penalty, weight))
        if parts:
            self._emit(weight, _sum(parts), layer)

    def _emit(self, symbol: Leaf, formula: Node, layer: str) -> Leaf:
        d = self.pages.symbol(f"d{symbol.name}", symbol, self.pages.number.get(symbol, 0))
        self.lines += self.pages.split(d, short(formula, self.pages.m), layer)
        return d

    def _slope(self, name: str, formula: Node, like: Leaf, layer: str) -> Node:
        """A derivative that stands in other formulas: itself where it is short, else the symbol of its own line."""
        formula = short(formula, self.pages.m)
        if len(text(formula)) <= _INLINE:
            return formula
        symbol = self.pages.symbol(name, like, self.pages.number[like])
        self.lines += self.pages.split(symbol, formula, layer)
        return symbol


def _leaves(formula: Node) -> set[Any]:
    return {node for node in topological([formula]) if isinstance(node, Leaf)}


def _itself(z: Any) -> Any:
    return z


def _sum(parts: Sequence[Any]) -> Any:
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total
