"""The living definition: node by node with NumPy, every value kept. Slow and plain; all other engines are compared
with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import BacklitError, GraphError
from ..core.node import Leaf, Node
from ..core.op import UNUSABLE
from ..core.shapes import bind, show
from ..core.walk import Graph, topological
from .base import Array, Program, Result, Run, Source, rows_of
from .listing import Line, described, timed
from .scalars import TABLE


def _below(node: Node) -> Sequence[Node]:
    if node.body is None:
        return node.inputs
    return node.body if node.several else (node.body,)


def values(roots: Sequence[Node], feed: Mapping[Leaf, Any] | None = None) -> dict[Node, Any]:
    """The value of every node under `roots`, composites and their definitions included."""
    given = {leaf: np.asarray(value, dtype=leaf.dtype) for leaf, value in (feed or {}).items()}
    rows = rows_of(given)
    known: dict[Node, Any] = dict(given.items())
    with np.errstate(all="ignore"):
        for node in topological(roots, lambda node: () if node in given else _below(node)):
            if node not in known:
                try:
                    known[node] = _value_of(node, known, rows)
                except BacklitError:
                    raise
                except UNUSABLE as error:
                    found = [show(np.shape(known[i])) for i in node.inputs if not i.several]
                    raise node.op.refusal(error, found, node.attrs) from error
    return known


def _value_of(node: Node, known: Mapping[Node, Any], rows: int | None) -> Any:
    if isinstance(node, Leaf):
        return node.read()
    if node.body is not None:
        return tuple(known[part] for part in node.body) if node.several else known[node.body]
    inputs = [known[i] for i in node.inputs]
    if node.op.formula is not None:
        out = np.asarray(node.op.formula.run(TABLE, inputs, node.attrs))
        shape = bind(node.shape, rows)
        return (
            out.astype(node.dtype, copy=False) if out.shape == shape else np.broadcast_to(out, shape).astype(node.dtype)
        )
    attrs = {key: bind(value, rows) for key, value in node.attrs.items()}
    out = node.op.ref(inputs, **attrs) if node.op.variadic else node.op.ref(*inputs, **attrs)
    if node.several:
        return tuple(map(_checked, out, [node] * len(out), node.shape, node.dtype, [rows] * len(out)))
    return _checked(out, node, node.shape, node.dtype, rows)


def _checked(out: Any, node: Node, shape: Any, dtype: str, rows: int | None) -> Array:
    array = np.asarray(out)
    if array.shape != bind(shape, rows):
        raise GraphError(
            f"the record {node.op.name!r} does not keep its own shape rule.",
            expected=f"shape {show(bind(shape, rows))}",
            found=f"shape {show(array.shape)}",
            fix="correct its ref or its shape",
        )
    return array if array.dtype == dtype else array.astype(dtype)


def first_nonfinite(roots: Sequence[Node], feed: Mapping[Leaf, Any]) -> tuple[Node, Array, list[Any]] | None:
    """The first node whose value is not finite though its inputs are: the node, its value, its inputs' values.

    A number or array written so on purpose, such as -inf under a mask, comes last.
    """
    known = values(roots, feed)
    written = None
    for node in topological(roots, _below):
        value = known[node]
        if node.several or np.asarray(value).dtype.kind != "f" or np.isfinite(value).all():
            continue
        if all(np.isfinite(known[i]).all() for i in node.inputs if not i.several) and node.body is None:
            found = node, value, [known[i] for i in node.inputs]
            if node.inputs or (isinstance(node, Leaf) and node.kind in ("variable", "state", "input")):
                return found
            written = written or found
    return written


class ReferenceProgram:
    """A graph, evaluated anew each time."""

    def __init__(self, graph: Graph):
        self.graph = graph

    def evaluate(self, feed: Mapping[Leaf, Any]) -> Result:
        """Outputs for the fed inputs, copied out; the updates are committed if the gate is open."""
        known = values(self.graph.roots, feed)
        gate = self.graph.gate
        committed = gate is None or bool(known[gate])
        outputs = [_copied(known[node]) for node in self.graph.outputs]
        if committed:
            new = [np.array(known[node]) for node in self.graph.updates.values()]
            for leaf, value in zip(self.graph.updates, new, strict=True):
                leaf.array[...] = value
        return Result(outputs, committed)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut."""
        columns = [leaf for leaf in self.graph.inputs if leaf not in scalars]
        table = np.zeros((count, len(self.graph.outputs)))
        for place in range(count):
            rows = source.rows(start + place)
            buffers = [np.empty(bind(leaf.shape, rows), leaf.dtype) for leaf in columns]
            source.fill(start + place, buffers)
            feed: dict[Any, Any] = dict(zip(columns, buffers, strict=True))
            feed.update({leaf: vector[place] for leaf, vector in scalars.items()})
            result = self.evaluate(feed)
            table[place] = result.outputs
            if not result.committed:
                return Run(table[: place + 1], place)
        return Run(table, count)

    def prepared(self, nodes: Sequence[Node]) -> list[Node]:
        """The nodes themselves: nothing is rewritten."""
        return list(nodes)

    def listing(self, rows: int | None, known: Mapping[Node, Any] | None = None) -> list[Line]:
        """Every node; with the values of all of them, ready to be timed."""
        order = [
            node for node in topological(self.graph.roots, _below) if not isinstance(node, Leaf) and node.body is None
        ]
        return [described([node], rows, "NumPy", partial(_value_of, node, known or {}, rows)) for node in order]

    def profile(self, feed: Mapping[Leaf, Any]) -> list[tuple[Line, float]]:
        """Every node with the seconds that it takes alone; nothing is changed."""
        return timed(self.listing(rows_of(feed), values(self.graph.roots, feed)))


def _copied(value: Any) -> Any:
    return tuple(map(_copied, value)) if isinstance(value, tuple) else np.array(value)


class Reference:
    """The engine that defines what a graph means."""

    name = "reference"

    def compile(self, graph: Graph) -> Program:
        """The graph itself is the program."""
        return ReferenceProgram(graph)

    def value(self, node: Node) -> Any:
        """The value of `node` for the leaves' current values: a NumPy scalar for a single number, else a new array."""
        return _concrete(values([node])[node])


def _concrete(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_concrete, value))
    return value[()] if value.ndim == 0 else np.array(value)


registry.register("engine.reference", Reference())
registry.register("values.reference", values)
