"""`bl.compile`: a graph as a function of arrays, with updates that commit together or not at all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.arguments import checked
from ..core.errors import ArgumentError, BacklitError, NonFiniteError, NotReadyError, ValueRangeError
from ..core.node import FLOATS, Leaf, Node, spoken
from ..core.op import UNUSABLE, as_node, cast
from ..core.walk import Graph, topological
from .base import engine as engine_named
from .reference import first_nonfinite


class Function:
    """A compiled graph: call it with one array for each input."""

    def __init__(self, graph: Graph, engine: str, single: bool):
        self.graph, self.single = graph, single
        self.program = engine_named(engine).compile(graph)

    def __call__(self, *values: Any) -> Any:
        if len(values) != len(self.graph.inputs):
            raise ArgumentError(
                "the function got another number of values than it has inputs.",
                expected=f"{len(self.graph.inputs)}: {', '.join(str(leaf.name) for leaf in self.graph.inputs)}",
                found=str(len(values)),
            )
        feed: Any = {leaf: leaf.fitting(value) for leaf, value in zip(self.graph.inputs, values, strict=True)}
        try:
            result = self.program.evaluate(feed)
        except BacklitError:
            raise
        except UNUSABLE as error:
            registry.lookup("values.reference")(self.graph.roots, feed)  # raises the error that names the operation
            raise ValueRangeError(f"the graph cannot be computed for these values: {error}.") from error
        if not result.committed:
            raise nonfinite_error(self.graph, feed, "the updates of this call are not finite; nothing was written.")
        outputs = [value[()] if value.ndim == 0 else value for value in result.outputs]
        return outputs[0] if self.single else outputs

    def __str__(self) -> str:
        return str(self.graph)


@checked
def compile(
    outputs: Any = (),
    inputs: Leaf | Sequence[Leaf] = (),
    updates: Mapping[Leaf, Any] | None = None,
    engine: str = "auto",
) -> Function:
    """A function of arrays that computes `outputs` for values of `inputs` and then writes `updates` into variables.

    All updates see the old values and are committed together; if one would become NaN or infinite, none is written and
    NonFiniteError names the first node that went wrong.

    >>> import backlit as bl
    >>> w = bl.variable(3.0, name="w")
    >>> J = w ** 2
    >>> step = bl.compile(J, updates={w: w - 0.1 * bl.grad(J, w)})
    >>> float(step()), float(w.value)
    (9.0, 2.4)
    """
    listed = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
    wanted = [part for each in listed for part in _parts(as_node(each))]
    single = not isinstance(outputs, (list, tuple)) and len(wanted) == 1
    written = {leaf: _fitted(leaf, as_node(new)) for leaf, new in (updates or {}).items()}
    graph = Graph(
        [inputs] if isinstance(inputs, Node) else inputs, wanted, written, _all_finite(list(written.values()))
    )
    stray = [leaf for leaf in topological(graph.roots) if isinstance(leaf, Leaf) and leaf.kind == "input"]
    if missing := [str(leaf.name) for leaf in stray if leaf not in graph.inputs]:
        raise NotReadyError(
            f"the outputs need the inputs {missing}.", fix="name them: bl.compile(outputs, inputs=[...])"
        )
    return Function(graph, engine, single)


def _parts(node: Node) -> Sequence[Node]:
    return list(node) if node.several else [node]


def _fitted(leaf: Any, new: Node) -> Node:
    """A new value in the dtype of its leaf; the graph refuses what would lose fractions."""
    fits = isinstance(leaf, Leaf) and not new.several and np.can_cast(new.dtype, leaf.dtype, "same_kind")
    return cast(new, leaf.dtype) if fits else new


def _all_finite(values: Sequence[Node]) -> Node | None:
    finite = [
        registry.lookup("op.all").node(registry.lookup("op.isfinite").node(value))
        for value in values
        if value.dtype in FLOATS
    ]
    gate = None
    for each in finite:
        gate = each if gate is None else registry.lookup("op.logical_and").node(gate, each)
    return gate


def nonfinite_error(graph: Graph, feed: Mapping[Leaf, Any], message: str) -> NonFiniteError:
    """The error for a step whose gate was shut: the reference engine replays it and names the first bad node."""
    found = first_nonfinite(graph.roots, feed)
    if found is None:
        return NonFiniteError(message)
    node, value, inputs = found
    given = ", ".join(_summary(each) for each in inputs)
    error = NonFiniteError(
        message,
        found=f"{_summary(value)} from {node.op.name}({given})",
        why=f"{node.op.name} is the first operation whose result is not finite",
        fix="lower the learning rate, scale the inputs, or clip the gradient",
        where="".join(map(spoken, node.where[:1])),
    )
    return error


def _summary(value: Any) -> str:
    """A value in a few characters: itself, or its shape and extremes."""
    if value.ndim == 0:
        return f"{value[()]:.6g}"
    finite = value[abs(value) < float("inf")]
    spread = f"{finite.min():.4g} … {finite.max():.4g}" if finite.size else "nothing finite"
    return f"array{value.shape} [{spread}]"


registry.register("function.nonfinite_error", nonfinite_error)
