"""The forward pass of a model as named lines: Z1 = X @ W1 + b1, A1 = relu(Z1), … read off the graph that it trains."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.errors import NotReadyError, ValueRangeError
from ..core.node import Leaf, Node, input_leaf
from ..core.op import literal
from ..core.walk import Graph, cast, rebuild, substitute, topological
from ..layers.layer import Pass
from ..train.frozen import Frozen
from .rules import parted, short, turned

_ROLES = {"kernel": "W", "bias": "b", "embeddings": "E"}


@dataclass(frozen=True)
class Line:
    """One equation: `symbol` = `formula`, which is in terms of other symbols; `said` is to be printed in its place."""

    symbol: Leaf
    formula: Node
    layer: str = ""
    note: str = ""
    said: str = ""


@dataclass
class Pages:
    """The forward pass of a model in lines, and what its symbols stand for."""

    lines: list[Line]
    inputs: list[Leaf]
    outputs: list[Leaf]
    weights: dict[Leaf, Leaf]  # symbol -> the model's own
    penalty: Node | None  # what is added to the loss, in symbols
    draws: dict[Leaf, Node]  # random numbers of the training, and how they are drawn
    number: dict[Leaf, int]  # which layer with weights a symbol belongs to
    names: set[str]
    columns: bool = False
    trained: set[Leaf] = field(default_factory=set)
    writes: dict[Leaf, Node] = field(default_factory=dict)  # what layers keep for predicting, and its new value
    m: Leaf = field(default_factory=lambda: input_leaf((), "m", "float64"))  # how many examples there are

    def symbol(self, name: str, like: Any, number: int = 0, dtype: str | None = None) -> Leaf:
        """A new symbol for a value of the shape of `like`, with as many primes as make its name the only one."""
        while name in self.names:
            name += "'"
        self.names.add(name)
        made = input_leaf(like.shape, name, dtype or like.dtype)
        self.number[made] = number
        return made

    def split(self, symbol: Leaf, formula: Node, layer: str) -> list[Line]:
        """`symbol` = `formula` in lines; parts that the formula uses twice come first, in lines of their own."""
        lines: list[Line] = []

        def part(inner: Node) -> Leaf:
            count = next(count for count in itertools.count(1) if f"t{count}" not in self.names)
            lines.append(Line(self.symbol(f"t{count}", inner, self.number[symbol]), inner, layer))
            return lines[-1].symbol

        whole = parted(formula, part)
        return [*lines, Line(symbol, whole, layer)]


def pages(model: Any, columns: bool = False, training: bool = True, writes: bool = False) -> Pages:
    """The forward pass of a built model in float64, examples as rows or as columns: as it trains, if it can.

    `training=False`: as it predicts. `writes`: with what a training step writes into the layers' state.
    """
    if not model.built:
        raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
    with Pass(training and trains(model), literal(0, "uint32"), literal(1.0)) as running:
        outputs = model.forward(model.inputs)
        penalties = [*model.penalties(), *running.penalties]
    written = list(running.writes) if writes else []
    empty = {leaf: input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in model.weights}  # so that none is copied
    roots = substitute([*outputs, *penalties, *(running.writes[leaf] for leaf in written)], empty)
    graph, became = cast(Graph([*model.inputs, *empty.values()], roots), "float64")
    reader = Reader(model, graph, {became[stand_in]: leaf for leaf, stand_in in empty.items()})
    found = reader.read(len(outputs), len(penalties))
    for leaf, new in zip(written, graph.outputs[len(outputs) + len(penalties) :], strict=True):
        found.writes[leaf] = reader.written(new)
    return _by_columns(found) if columns else found


def trains(model: Any) -> bool:
    """Whether all code that the model is made of is here."""
    return not isinstance(model, Frozen)


class Reader:
    """Walks a graph from layer to layer and gives each output, weight and draw a symbol."""

    def __init__(self, model: Any, graph: Graph, own: dict[Node, Leaf]):
        self.graph, self.own, self.layers = graph, own, 0
        self.places: dict[str, int] = {}  # the number of each layer whose weights were met
        self.trained = set(model.trainable_weights)
        self.pages = Pages([], [], [], {}, None, {}, {}, set())
        self.known: dict[Node, Leaf] = {}
        inputs = [leaf for leaf in graph.inputs if leaf not in own]
        names = ["X"] if len(inputs) == 1 else [as_symbol(leaf.name) for leaf in inputs]
        for leaf, name in zip(inputs, names, strict=True):
            self.known[leaf] = self.pages.symbol(name, leaf)
            self.pages.inputs.append(self.known[leaf])

    def read(self, outputs: int, penalties: int = 0) -> Pages:
        """All lines; the first `outputs` roots are the model's outputs, the next ones penalties."""
        roots = self.graph.outputs[: outputs + penalties]
        for node in topological(roots[:outputs]):
            if node.op.name == "mark" and node.attrs.get("layer"):
                inner = node.inputs[0]
                if inner not in self.known:
                    self.known[inner] = self.output(inner, node.attrs["layer"])
                self.known[node] = self.known[inner]
        for root in roots[:outputs]:
            if root not in self.known:
                self.known[root] = self.output(root, "")
            self.pages.outputs.append(self.known[root])
        if roots[outputs:]:
            total = sum(roots[outputs + 1 :], roots[outputs])
            self.pages.penalty = self.written(total)
        return self.pages

    def written(self, node: Node) -> Node:
        """`node` in terms of symbols, new ones for the weights and draws that are met for the first time."""
        below = topological([node], lambda node: () if node in self.known or node.op.random else node.inputs)
        met = [each for each in below if each not in self.known]
        weights = sorted((each for each in met if each in self.own), key=lambda leaf: self.own[leaf].kind != "variable")
        self.layers += any(self.own[each].kind == "variable" for each in weights)
        used = [self.known[each] for each in below if each in self.known]
        number = max([self.pages.number[each] for each in used], default=0)
        for leaf in weights:
            layer, _, last = str(leaf.name).rpartition("/")
            place = self.layers if self.own[leaf].kind == "variable" else self.places.get(layer, number)
            self.places[layer] = place
            self.known[leaf] = symbol = self.pages.symbol(f"{_ROLES.get(last, last)}{place or ''}", leaf, place)
            self.pages.weights[symbol] = self.own[leaf]
            if self.own[leaf] in self.trained:
                self.pages.trained.add(symbol)
        for draw in (each for each in met if each.op.random):
            self.known[draw] = symbol = self.pages.symbol(f"D{number or ''}", draw, number)
            self.pages.draws[symbol] = draw
        return short(rebuild([node], start=self.known)[0], self.pages.m)

    def output(self, node: Node, layer: str) -> Leaf:
        """The symbol for an output of a layer, with its lines: Z for what an activation is applied to, A after it."""
        formula = self.written(node)
        leaves = [each for each in topological([formula]) if isinstance(each, Leaf)]
        number = max([self.pages.number.get(each, 0) for each in leaves], default=0)
        weighted = any(each in self.pages.weights and self.pages.weights[each].kind == "variable" for each in leaves)
        if isinstance(formula, Leaf) and formula in self.pages.number:
            return formula
        inner = formula.inputs[0] if formula.op.role == "activation" else None
        if inner is not None and not isinstance(inner, Leaf):
            z = self.pages.symbol(f"Z{number}", inner, number)
            self.pages.lines += self.pages.split(z, inner, layer)
            formula, weighted = formula.op.node(z, **formula.attrs), False
        symbol = self.pages.symbol(f"{'Z' if weighted else 'A'}{number}", formula, number)
        self.pages.lines += self.pages.split(symbol, formula, layer)
        return symbol


def _by_columns(rows: Pages) -> Pages:
    """The same pages with every matrix turned: examples are columns, a bias is a column."""
    made = Pages([], [], [], {}, None, {}, {}, set(), columns=True)
    known: dict[Node, Node] = {rows.m: made.m}
    for leaf in (*rows.inputs, *rows.weights, *rows.draws):
        known[leaf] = _column(leaf, made, rows.number[leaf])
    for line in rows.lines:
        formula = turned(line.formula, known)
        if formula is None or len(line.symbol.shape) not in (0, 2):
            raise _no_columns(line.layer)
        known[line.symbol] = symbol = _column(line.symbol, made, rows.number[line.symbol])
        made.lines.append(Line(symbol, short(formula, made.m), line.layer, line.note))
    turn: Any = known.__getitem__
    made.inputs, made.outputs = ([turn(leaf) for leaf in each] for each in (rows.inputs, rows.outputs))
    made.draws = {turn(leaf): draw for leaf, draw in rows.draws.items()}
    for own, new in rows.writes.items():
        turn_round = turned(new, known)
        if turn_round is None:
            raise _no_columns(str(own.name).rpartition("/")[0])
        made.writes[own] = turn_round
    made.weights = {turn(symbol): own for symbol, own in rows.weights.items()}
    made.trained = set(map(turn, rows.trained))
    made.penalty = None if rows.penalty is None else turned(rows.penalty, known)
    return made


def _no_columns(layer: str) -> ValueRangeError:
    return ValueRangeError(
        f"layer {layer!r} has no equations with examples as columns.",
        expected="matrix products, and functions of each number by itself",
        fix='convention="rows" (as_numpy: columns=False)',
    )


def _column(leaf: Leaf, made: Pages, number: int) -> Leaf:
    if len(leaf.shape) > 2:
        raise ValueRangeError(
            f"{leaf.name} has {len(leaf.shape)} axes and no form with examples as columns.",
            fix='convention="rows" (as_numpy: columns=False)',
        )
    return made.symbol(str(leaf.name), _Like(turned_shape(leaf.shape), leaf.dtype), number)


@dataclass(frozen=True)
class _Like:
    shape: Any
    dtype: str


def turned_shape(shape: Sequence[Any]) -> tuple[Any, ...]:
    """The shape of a matrix turned, of a vector as a column."""
    return tuple(shape[::-1]) if len(shape) == 2 else (*shape, 1) if len(shape) == 1 else ()


def as_symbol(name: Any) -> str:
    """A name of somebody's own as one that can stand in a formula.

    >>> as_symbol("year built")
    'year_built'
    """
    return re.sub(r"\W+", "_", str(name))


def printed(right: str) -> str:
    """NumPy code as it is written on paper.

    >>> printed("A1.T @ dZ2 / m"), printed("Z1 * 77.04683258947613")
    ('A1ᵀ dZ2 / m', 'Z1 * 77.0468')
    """
    right = re.sub(r"\d+\.\d{6,}", lambda number: f"{float(number[0]):.6g}", right)
    return right.replace(" @ ", " ").replace(".T", "ᵀ")
