"""Walks over the graph. None recurses: a chain of 10,000 nodes is walked like one of ten."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping, MutableMapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from . import registry
from .arguments import checked
from .errors import ArgumentError, GraphError, ShapeError
from .node import FLOATS, Leaf, Node, flatten, inherit, intern, unflatten
from .op import Op, as_node
from .shapes import show


def _inputs(node: Node) -> Sequence[Node]:
    return node.inputs


def topological(outputs: Iterable[Node], below: Callable[[Node], Sequence[Node]] = _inputs) -> list[Node]:
    """Every node under `outputs` once, each after all that it needs (`below`: by default its inputs)."""
    order: list[Node] = []
    entered: set[Node] = set()
    for output in outputs:
        stack: list[tuple[Node, bool]] = [(output, False)]
        while stack:
            node, ready = stack.pop()
            if ready:
                order.append(node)
            elif node not in entered:
                entered.add(node)
                stack.append((node, True))
                stack.extend((below_it, False) for below_it in reversed(below(node)) if below_it not in entered)
    return order


class Graph:
    """Outputs as a function of inputs; with `updates`, also what a step writes, and with `gate`, whether it may.

    A graph is a value: it compares by identity, pickles, and may be an attribute of a node.
    """

    @checked
    def __init__(
        self,
        inputs: Sequence[Leaf],
        outputs: Sequence[Any],
        updates: Mapping[Leaf, Any] | None = None,
        gate: Node | None = None,
    ):
        self.inputs = tuple(inputs)
        self.outputs = tuple(map(as_node, outputs))
        self.updates = {leaf: as_node(new) for leaf, new in (updates or {}).items()}
        self.gate = gate
        for leaf, new in self.updates.items():
            _check_update(leaf, new)

    @property
    def roots(self) -> tuple[Node, ...]:
        """Everything that must be computed: outputs, then updates, then the gate."""
        gate = () if self.gate is None else (self.gate,)
        return (*self.outputs, *self.updates.values(), *gate)

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes in topological order."""
        return topological(self.roots)

    @property
    def leaves(self) -> list[Leaf]:
        """The leaves that are read or written, in order of first use."""
        read = [node for node in self.nodes if isinstance(node, Leaf)]
        return read + [leaf for leaf in self.updates if leaf not in set(read)]

    def with_roots(self, roots: Sequence[Node], leaves: Mapping[Leaf, Leaf] | None = None) -> Graph:
        """The same graph over other nodes (and, where given, other leaves)."""
        leaves = leaves or {}
        outputs, rest = roots[: len(self.outputs)], roots[len(self.outputs) :]
        updates = dict(zip((leaves.get(leaf, leaf) for leaf in self.updates), rest, strict=False))
        inputs = [leaves.get(leaf, leaf) for leaf in self.inputs]
        return Graph(inputs, outputs, updates, None if self.gate is None else roots[-1])

    def __str__(self) -> str:
        return registry.lookup("show.graph")(self)  # type: ignore[no-any-return]

    def __repr__(self) -> str:
        return f"<Graph {len(self.inputs)} inputs, {len(self.nodes)} nodes, {len(self.outputs)} outputs>"

    def to_json(self) -> dict[str, Any]:
        """The graph as plain lists and dicts."""
        return registry.lookup("show.json")(self.roots)  # type: ignore[no-any-return]

    def __reduce__(self) -> Any:
        rows = flatten([*self.inputs, *self.roots])
        return _rebuilt, (rows, len(self.inputs), len(self.outputs), tuple(self.updates), self.gate is not None)


def _rebuilt(rows: list[Any], inputs: int, outputs: int, written: tuple[Leaf, ...], gated: bool) -> Graph:
    nodes: list[Any] = unflatten(rows)
    roots = nodes[inputs:]
    updates = dict(zip(written, roots[outputs:], strict=False))
    return Graph(nodes[:inputs], roots[:outputs], updates, roots[-1] if gated else None)


def _check_update(leaf: Leaf, new: Node) -> None:
    if not isinstance(leaf, Leaf) or leaf.kind not in ("variable", "state"):
        raise ArgumentError("only variables can be updated.", found=repr(leaf), fix="updates={variable: new value}")
    if new.shape != leaf.shape or new.dtype != leaf.dtype:
        raise GraphError(
            f"the update of {leaf.name or 'a variable'} does not fit.",
            expected=f"shape {show(leaf.shape)} {leaf.dtype}",
            found=f"shape {show(new.shape)} {new.dtype}",
            fix="reshape, reduce or cast the new value",
        )


# ---------------------------------------------------------------------- rebuilding
def again(node: Node, inputs: tuple[Node, ...]) -> Node:
    """`node` on other inputs: itself where nothing changed."""
    if inputs == node.inputs:
        return node
    with inherit(node):
        return intern(node.op, inputs, node.attrs)


def rebuild(
    outputs: Sequence[Node],
    visit: Callable[[Node, tuple[Node, ...]], Node] = again,
    start: Mapping[Any, Node] | None = None,
) -> list[Node]:
    """`outputs` rebuilt bottom-up: `visit(node, new inputs)` gives the node that takes its place; `start` is fixed."""
    made: MutableMapping[Node, Node] = ChainMap({}, start) if start else {}  # type: ignore[arg-type]
    for node in topological(outputs, lambda node: () if node in made else node.inputs):
        if node not in made:
            made[node] = visit(node, tuple(made[i] for i in node.inputs))
    return [made[output] for output in outputs]


def substitute(outputs: Sequence[Node], replacements: Mapping[Node, Node]) -> list[Node]:
    """`outputs` with the nodes that are keys of `replacements` replaced by nodes of the same shape and dtype."""
    for old, new in replacements.items():
        if (old.shape, old.dtype) != (new.shape, new.dtype):
            raise ShapeError(
                f"{new!r} cannot take the place of {old!r}.",
                expected=f"shape {show(old.shape)} {old.dtype}",
                found=f"shape {show(new.shape)} {new.dtype}",
                fix="reshape or cast it first",
            )
    inside = any(isinstance(old, Leaf) and old.kind in ("variable", "state") for old in replacements)
    return rebuild(expand(outputs, _holds_leaves) if inside else outputs, again, replacements)


def strip_marks(outputs: Sequence[Node]) -> list[Node]:
    """`outputs` without the markers that `bl.name` and layer calls put there."""
    return rebuild(outputs, lambda node, inputs: inputs[0] if node.op.name == "mark" else again(node, inputs))


def _has_body(node: Node) -> bool:
    return node.body is not None


def _holds_leaves(node: Node) -> bool:
    return node.body is not None and node.op.holds_leaves


def expand(outputs: Sequence[Node], which: Callable[[Node], bool] = _has_body) -> list[Node]:
    """`outputs` with every composite record (of those that `which` picks) replaced by its definition, however deep."""

    def below(node: Node) -> Sequence[Node]:
        if not which(node):
            return node.inputs
        return node.body if node.several else (node.body,)

    made: dict[Node, Any] = {}
    for node in topological(outputs, below):
        if which(node):
            made[node] = tuple(made[part] for part in node.body) if node.several else made[node.body]
        elif node.op.name == "item" and which(node.inputs[0]):
            made[node] = made[node.inputs[0]][node.attrs["place"]]
        else:
            made[node] = again(node, tuple(made[i] for i in node.inputs))
    return [made[output] for output in outputs]


def cast(graph: Graph, dtype: str) -> tuple[Graph, dict[Leaf, Leaf]]:
    """`graph` in another float dtype, over new leaves with copies of the values; and which leaf became which."""
    leaves: dict[Leaf, Leaf] = {}

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        if isinstance(node, Leaf):
            leaves[node] = _cast_leaf(node, dtype)
            return leaves[node]
        attrs = {key: _cast_attribute(key, value, dtype) for key, value in node.attrs.items()}
        with inherit(node):
            return intern(node.op, inputs, attrs)

    leaves.update({leaf: _cast_leaf(leaf, dtype) for leaf in (*graph.inputs, *graph.updates)})
    roots = rebuild(expand(graph.roots, _holds_leaves), visit, leaves)
    return graph.with_roots(roots, leaves), leaves


def _cast_attribute(name: str, value: Any, dtype: str) -> Any:
    if isinstance(value, Graph):
        return cast(value, dtype)[0]
    return dtype if name == "dtype" and value in FLOATS else value


def _cast_leaf(leaf: Any, dtype: str) -> Leaf:
    new = dtype if leaf.dtype in FLOATS else leaf.dtype
    array = None if leaf.array is None else np.array(leaf.array, dtype=new, order="C")
    copy = Leaf(leaf.kind, array, name=leaf.name, shape=leaf.shape, dtype=new, weak=leaf.weak)
    copy.trainable = leaf.trainable
    return copy


def items(node: Node) -> list[Node]:
    """The outputs of a node that has several, each as a node."""
    pick: Op = registry.lookup("op.item")
    return [pick.node(node, place=place) for place in range(len(node.shape))]


registry.register("walk.topological", topological)
registry.register("walk.substitute", substitute)
