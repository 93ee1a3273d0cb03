"""Updates of many parameters: behind the gate, over the values that they replace.

The gate asks whether the new values are finite, so they are computed before anything may be written. A few are kept beside
the old ones, in the cache. Of many, the first pass keeps nothing but their sums, and a second one behind the gate computes
them again, over the slots: as many bytes move, and with Adam three copies of all parameters less are held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence, Set
from typing import Any

from ..core import registry
from ..core.node import Leaf, Node
from ..core.op import Op
from ..core.walk import Graph, again, rebuild, topological
from ..rewrite.fuse import Group
from .base import Array
from .lowering import fusible

# Bytes of new values from which on they are computed twice: measured equal at 1.3 MB, 2 % faster at 22 MB.
_MANY = 1 << 23


def split(graph: Graph) -> tuple[Graph, Set[Node]]:
    """The graph, and what of it waits for the gate: nothing, if the new values are few."""
    if graph.gate is None or sum(leaf.array.nbytes for leaf in graph.updates) < _MANY:
        return graph, frozenset()
    early = topological((graph.gate, *graph.outputs))
    multiply: Op = registry.lookup("op.multiply")
    twins: dict[Node, Node] = {leaf: _twin(leaf) for leaf in graph.updates if leaf.shape}

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        """Elementwise work on slots once more, and squares (of gradients) with it; all else is there."""
        if node in twins:
            return twins[node]
        if node.op.name == "square" and inputs == node.inputs and node.shape:
            return multiply.node(inputs[0], inputs[0])
        return again(node, inputs) if fusible(node) else node

    news = rebuild(list(graph.updates.values()), visit)
    graph = graph.with_roots([*graph.outputs, *news, graph.gate])
    return graph, frozenset(topological(news)).difference(early)


def _twin(leaf: Leaf) -> Leaf:
    """Another leaf with the same numbers, so that what is computed from it is another node."""
    twin = Leaf(leaf.kind, leaf.array, name=leaf.name, shape=leaf.shape, dtype=leaf.dtype, weak=leaf.weak)
    twin.array = leaf.array
    return twin


def over_their_slots(
    graph: Graph, units: Sequence[Any], late: Set[Node], holder: Callable[[Node], Node]
) -> dict[Node, Array]:
    """The late new values that one pass writes over the values which it reads, number by number, and where they lie: those
    whose slots nothing reads from there on. `holder` tells what holds the numbers that a view shows."""
    until: dict[Node, int] = {}  # from which unit on the numbers of a node are read no more
    place: dict[Node, int] = {}
    for k, unit in enumerate(sorted(units, key=lambda unit: not late.isdisjoint(_members(unit)))):
        for node in unit.nodes if isinstance(unit, Group) else ():
            place[node] = k
        for node in _members(unit):
            for i in node.inputs:
                along = isinstance(unit, Group) and i is holder(i) and i.shape == unit.shape
                until[holder(i)] = max(until.get(holder(i), 0), k if along else k + 1)
    until.update({holder(root): len(units) for root in graph.roots})
    read = [(_span(leaf), end) for leaf, end in until.items() if isinstance(leaf, Leaf) and leaf.array is not None]
    often = Counter(graph.roots)
    slots = {}
    for leaf, node in graph.updates.items():
        if node in late and node in place and often[node] == 1:
            begin, end = _span(leaf)
            if all(known <= place[node] or stop <= begin or end <= start for (start, stop), known in read):
                slots[node] = leaf.array
    return slots


def _members(unit: Any) -> Sequence[Node]:
    return (unit,) if isinstance(unit, Node) else unit.members


def _span(leaf: Leaf) -> tuple[int, int]:
    """From where to where the array of a leaf lies in memory."""
    begin = leaf.array.ctypes.data
    return begin, begin + leaf.array.nbytes
