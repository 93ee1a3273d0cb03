"""Which parts of a graph are linear in the data, and which products with trained weights follow one another so.

Nothing is known of layers here: an operation is linear in an input where its derivative, as a graph, does not contain that
input.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..core.node import FLOATS, Leaf, Node, input_leaf
from ..core.walk import expand, topological

_SHAPE_ONLY = frozenset(["size", "zeros_like", "ones_like"])  # read shapes, no values


@dataclass(frozen=True, eq=False)
class Product:
    """A matrix product of data with trained weights: `node` = `data` times what the `weights` make."""

    node: Node
    data: Node
    weights: tuple[Leaf, ...]
    layer: str | None

    @property
    def fan_in(self) -> int:
        """How many numbers each output sees."""
        return int(self.data.shape[-1])

    @property
    def width(self) -> int:
        """How many outputs there are."""
        return int(self.node.shape[-1])


@dataclass(eq=False)
class Linearity:
    """The walk over the graph of `roots`: its products, in order, and which nodes are linear in the data."""

    roots: Sequence[Node]
    products: list[Product] = field(default_factory=list)
    linear: set[Node] = field(default_factory=set)
    order: list[Node] = field(default_factory=list)
    data: set[Node] = field(default_factory=set)  # what depends on the values of an input
    judged: dict[Any, bool] = field(default_factory=dict, repr=False)  # which operations, on what, are linear

    def __post_init__(self) -> None:
        self.given = list(self.roots)
        self.roots = expand(
            self.roots, lambda node: node.body is not None and node.op.vjp is None and not node.op.random
        )
        self.order = topological(self.roots)
        self.layers = layers_of(self.order)
        self.product_of: dict[Node, Product] = {}
        for node in self.order:
            if isinstance(node, Leaf) and node.kind == "input":
                self.data.add(node)
            elif node.op.name not in _SHAPE_ONLY and any(i in self.data for i in node.inputs):
                self.data.add(node)
                if self._is_linear(node):
                    self.linear.add(node)
                    self._note_product(node)

    def _is_linear(self, node: Node) -> bool:
        """Whether it is linear in the data: asked once for all nodes of one operation on inputs of the same kind, since
        the answer takes a derivative."""
        if node.op.name == "mark":
            return node.dtype in FLOATS
        given = tuple((node.inputs.index(i), i in self.data, str(i.dtype), i.shape) for i in node.inputs)
        kind = node.op, repr(node.attrs) if node.attrs else "", given
        if kind not in self.judged:
            self.judged[kind] = _is_linear(node, self.data)
        return self.judged[kind]

    def _note_product(self, node: Node) -> None:
        if node.op.kind != "structural" or len(node.inputs) != 2 or node.op.variadic or node.several:
            return
        data = [i for i in node.inputs if i in self.data]
        if len(data) != 1 or not all(isinstance(part.shape[-1], int) for part in (data[0], node)):
            return
        other = node.inputs[0] if data[0] is node.inputs[1] else node.inputs[1]
        weights = tuple(leaf for leaf in topological([other]) if isinstance(leaf, Leaf) and leaf.kind == "variable")
        if weights:
            self.product_of[node] = product = Product(node, data[0], weights, self.layers.get(node))
            self.products.append(product)

    # ------------------------------------------------------------------ products on products
    @cached_property
    def chains(self) -> list[list[Product]]:
        """Runs of two or more products with nothing but linear operations between them, on every way."""
        last: dict[Node, set[Node]] = {}  # the products that lead to a node on linear ways
        pure: dict[Node, bool] = {}  # whether every way from the data to the node ends with such a product
        below: dict[Node, set[Node]] = defaultdict(set)
        for node in self.order:
            parts = [i for i in node.inputs if i in self.data]
            last[node], pure[node] = set(), False
            if node in self.product_of:
                (part,) = parts
                if pure[part]:
                    below[node] |= last[part]
                last[node], pure[node] = {node}, True
            elif node in self.linear:
                last[node] = set().union(*(last[part] for part in parts))
                pure[node] = all(pure[part] for part in parts)
        ends, place = self._ends(), {node: number for number, node in enumerate(self.order)}
        mixed = {node for found in below.values() if len(found) > 1 for node in found}
        shared = {node for node in mixed if sum(node in found for found in below.values()) > 1}
        runs: dict[Node, list[Product]] = {}
        for product in self.products:
            before = [self.product_of[node] for node in sorted(below[product.node], key=place.__getitem__)]
            runs[product.node] = [product]
            if not shared & below[product.node] and self._apart(before, product, ends):
                runs[product.node] = [*(one for first in before for one in runs.pop(first.node, [first])), product]
        return [run for run in runs.values() if len(run) > 1]

    @staticmethod
    def _apart(before: Sequence[Product], product: Product, ends: Mapping[Node, bool]) -> bool:
        """Whether the products before serve nothing else, and are not parts of the same layer."""
        return all(ends[one.node] and one.layer != product.layer for one in before)

    def _ends(self) -> dict[Node, bool]:
        """For every node whether all its uses lead on, on linear ways, into products of their own."""
        uses: dict[Node, list[Node]] = defaultdict(list)
        for node in self.order:
            for i in node.inputs:
                uses[i].append(node)
        good: dict[Node, bool] = {}
        for node in reversed(self.order):
            followers = [use for use in uses[node] if use in self.data]
            good[node] = node not in self.roots and all(
                use in self.product_of or (use in self.linear and good[use]) for use in followers
            )
        return good

    @cached_property
    def first(self) -> list[Product]:
        """The products that no other product leads to."""
        behind: set[Node] = set()
        for node in self.order:
            if any(i in behind or i in self.product_of for i in node.inputs):
                behind.add(node)
        return [one for one in self.products if one.data not in behind and one.data not in self.product_of]

    def bare(self, root: Node) -> bool:
        """Whether the output is a product that is only shifted afterwards, by trained numbers."""
        node = root
        while node in self.linear and node not in self.product_of:
            parts = [i for i in node.inputs if i in self.data]
            others = [i for i in node.inputs if i not in self.data]
            if len(parts) != 1 or not all(map(_trained, others)):
                return False
            node = parts[0]
        return node in self.product_of


def _trained(node: Node) -> bool:
    return any(isinstance(leaf, Leaf) and leaf.kind == "variable" for leaf in topological([node]))


def _is_linear(node: Node, data: set[Node]) -> bool:
    """Whether the derivatives by all inputs that depend on the data are there and contain none of these inputs."""
    if node.op.name == "item":
        return node.inputs[0] in data
    dtypes = node.dtype if node.several else (node.dtype,)
    if node.op.vjp is None or any(dtype not in FLOATS for dtype in dtypes):
        return False
    shapes = node.shape if node.several else (node.shape,)
    seeds = [input_leaf(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    given = [node.inputs] if node.op.variadic else node.inputs
    slopes = node.op.vjp(seeds if node.several else seeds[0], node, *given, **node.attrs)
    stops = {node, *node.inputs}
    for i, slope in zip(node.inputs, slopes, strict=True):
        if i not in data:
            continue
        if slope is None:
            return False
        read = topological([slope], lambda part: () if part in stops else part.inputs)
        if any(part is node or (part in stops and part in data) for part in read):
            return False
    return True


def layers_of(order: Sequence[Node]) -> dict[Node, str]:
    """The name of the innermost layer that each node belongs to, for nodes in topological order."""
    found: dict[Node, str] = {}
    for node in reversed(order):
        inner = node.op.name == "mark" and node.attrs["layer"]
        for i in node.inputs:
            if inner:
                found[i] = inner
            elif node in found and i not in found:
                found[i] = found[node]
    return found
