"""How a network starts: one forward pass of a sample of the rows through the graph that is trained, with its first weights.

What enters each product with weights and what leaves it, the units that are off or saturated in every row, the loss.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import registry
from ..core.grad import reverse
from ..core.node import FLOATS, Leaf, Node
from ..core.shapes import bind
from .linear import Product

ROWS = 128
_FLAT = 0.02  # a bounded activation with a smaller derivative is saturated
_NEARLY_ALL = 0.9  # of the rows
_SHIFTING = frozenset(["add", "mark", "reshape", "linear", "cast"])


@dataclass(frozen=True, eq=False)
class First:
    """A product with trained weights as it starts: the root of the mean square of its weights, how far the numbers that
    enter it and its sums lie from their means over the rows, and how far those that leave its activation do; `off` and
    `saturated` are shares of its units, `outweighed` that of the units whose bias is larger than every sum."""

    product: Product
    size: float
    entering: float
    sums: float
    leaving: float
    off: float
    saturated: float
    outweighed: float
    bias: float
    window: int  # how many places a convolution's weights are for; else 1
    depth: int  # how many such products lead to it
    last: bool

    @property
    def usual(self) -> tuple[float, float]:
        """The smallest and the largest of the usual deviations of first weights: Glorot's, LeCun's and He's."""
        into, out = self.product.fan_in, self.product.width * self.window
        return math.sqrt(min(2 / (into + out), 1 / into)), math.sqrt(2 / into)


class Wiring:
    """What lies between the products of a graph: of the model alone, whatever the numbers are."""

    def __init__(self, linear: Any, trained: set[Leaf]):
        self.products: list[Product] = [one for one in linear.products if _kernel(one, trained) is not None]
        self.kernels = {one: _kernel(one, trained) for one in self.products}
        self.order = linear.order
        self.users: dict[Node, list[Node]] = {node: [] for node in self.order}
        for node in self.order:
            for i in dict.fromkeys(node.inputs):
                self.users[i].append(node)
        self.ends = {one.node: one for one in self.products}
        self.between = {one: self._between(one) for one in self.products}
        self.bends = {one: self._bends(one) for one in self.products}
        self.depth = self._depth()

    def _between(self, product: Product) -> list[Node]:
        """The nodes of the sums' shape from the product on to the next ones."""
        place: dict[Node, int] = {}
        waiting = [product.node]
        while waiting:
            node = waiting.pop(0)
            for user in self.users[node]:
                if user not in place and user not in self.ends:
                    place[user] = len(place)
                    waiting.append(user)
        return [node for node in place if not node.several and _layout(node) == _layout(product.node)]

    def _bends(self, product: Product) -> list[Node]:
        """The derivatives of the bounded activations among them."""
        made = (_slope_of(node) for node in self.between[product] if _bounded(node))
        return [slope for slope in made if slope is not None]

    def _depth(self) -> dict[Product, int]:
        """How many of the products lead to each."""
        deep: dict[Node, int] = {}
        for node in self.order:
            deep[node] = max((deep[i] for i in node.inputs), default=0) + (node in self.ends)
        return {one: deep[one.node] - 1 for one in self.products}

    def last(self, product: Product) -> bool:
        """Whether no other product follows."""
        waiting, seen = [product.node], {product.node}
        while waiting:
            for user in self.users[waiting.pop()]:
                if user in self.ends:
                    return False
                if user not in seen:
                    seen.add(user)
                    waiting.append(user)
        return True

    def biases(self, product: Product) -> list[Leaf]:
        """The vectors that are added to the sums before anything else happens."""
        return [
            i
            for node in self._shifts(product)
            if node.op.name == "add"
            for i in node.inputs
            if isinstance(i, Leaf) and len(i.shape) == 1
        ]

    def shifted(self, product: Product) -> Node:
        """The sums with what is added to them."""
        return [product.node, *self._shifts(product)][-1]

    def _shifts(self, product: Product) -> Iterator[Node]:
        """The nodes behind the product that at most add to it, as long as there is one way."""
        node = product.node
        while len(self.users[node]) == 1 and (node := self.users[node][0]).op.name in _SHIFTING:
            yield node


def _layout(node: Node) -> tuple[int, int]:
    """(sums of a row, units): a convolution's sums are brought into another shape behind the product."""
    shape = bind(node.shape, 1)
    return math.prod(shape[:-1]), shape[-1] if shape else 1


def _kernel(product: Product, trained: set[Leaf]) -> Leaf | None:
    own = [leaf for leaf in product.weights if leaf in trained and len(leaf.shape) > 1 and leaf.array.size]
    return max(own, key=lambda leaf: leaf.array.size, default=None)


def _bounded(node: Node) -> bool:
    if node.op.formula is None or len(node.inputs) != 1 or node.dtype not in FLOATS or node.op.vjp is None:
        return False
    ends = node.op.range((-math.inf, math.inf), **node.attrs) if callable(node.op.range) else node.op.range
    return ends is not None and all(map(math.isfinite, ends)) and ends[0] < ends[1]


def _slope_of(node: Node) -> Node | None:
    return reverse([node], [registry.lookup("op.ones_like").node(node)], [node.inputs[0]], stop=True)[0]


class Start:
    """The numbers of that pass for one subject."""

    def __init__(self, subject: Any):
        self.facts = subject.facts
        self.wiring: Wiring = self.facts.wiring
        rows = subject.some_rows(self.facts.rows_that_fit(ROWS))
        self.feed = {leaf: np.asarray(part[rows]) for leaf, part in zip(self.facts.inputs, subject.x, strict=True)}

    @cached_property
    def known(self) -> Mapping[Node, Any]:
        """The value of every node."""
        w = self.wiring
        wanted = [*w.ends, *(node for one in w.products for node in (*w.between[one], *w.bends[one]))]
        return registry.lookup("values.reference")(wanted, self.feed)

    @property
    def layers(self) -> tuple[First, ...]:
        """Every product with trained weights, in order."""
        return tuple(self._first(one) for one in self.wiring.products)

    def _first(self, one: Product) -> First:
        w, sums, kernel = self.wiring, _columns(self.known[one.node]), self.wiring.kernels[one]
        after = [node for node in w.between[one] if node.dtype in FLOATS]
        out = _columns(self.known[after[-1]]) if after else sums
        flat = [np.abs(_columns(self.known[slope])) < _FLAT for slope in w.bends[one]]
        biases = [leaf.array for leaf in w.biases(one)]
        most, bias = np.abs(sums).max(axis=0), sum(biases[1:], biases[0]) if biases else np.zeros(1)
        return First(
            one,
            size=_root(kernel.array) if kernel is not None else 0.0,
            entering=_deviation(_columns(self.known[one.data])),
            sums=_deviation(sums),
            leaving=_deviation(out),
            off=float(((np.ptp(out, axis=0) == 0) & (np.ptp(sums, axis=0) > 0)).mean()),
            saturated=max((float((each.mean(axis=0) > _NEARLY_ALL).mean()) for each in flat), default=0.0),
            outweighed=float((np.abs(bias) > most).mean()) if bias.shape == most.shape else 0.0,
            bias=float(np.abs(bias).max()),
            window=math.prod(kernel.shape[:-2]) if kernel is not None else 1,
            depth=w.depth[one],
            last=w.last(one),
        )


def loss_at_start(subject: Any) -> float:
    """The loss of a sample of the rows, without penalties and sample weights."""
    facts, compute, total = subject.facts, registry.lookup("values.reference"), 0.0
    rows = subject.some_rows(facts.rows_that_fit(ROWS))
    known = compute(facts.outputs, {leaf: part[rows] for leaf, part in zip(facts.inputs, subject.x, strict=True)})
    for head in facts.heads:
        cost, y, p = head.loss_graph
        feed = {y: np.asarray(subject.y[head.place][rows]), p: known[facts.outputs[head.place]]}
        total += head.head.share * float(compute([cost], feed)[cost])
    return total


def _columns(values: Any) -> Any:
    return values.reshape(-1, values.shape[-1])


def _root(values: Any) -> float:
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _deviation(values: Any) -> float:
    return float(np.sqrt(np.mean(np.var(values, axis=0, dtype=np.float64))))
