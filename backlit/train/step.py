"""A training step as one graph: forward pass, loss, gradients, update, sums of the metrics, state of the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.grad import grad, name
from ..core.node import STRONG, Leaf, Node, input_leaf, state
from ..core.op import cast, literal
from ..core.shapes import M
from ..core.walk import Graph
from ..layers.layer import Pass, current_pass
from ..ops.elementwise import isfinite, logical_and, sqrt, square
from ..ops.reduce import all as all_
from ..ops.reduce import size
from ..ops.reduce import sum as sum_
from ..rewrite import stable
from ..rewrite.rule import apply
from .heads import Head
from .metrics_base import Metric, average
from .optimizers import Optimizer


@dataclass(frozen=True)
class Sums:
    """The running sums behind one logged number: state of the step, reset at the start of an epoch."""

    leaves: Mapping[str, Leaf]
    metric: Metric | None  # None: total over count

    def reset(self) -> None:
        """Forget what was summed."""
        for leaf in self.leaves.values():
            leaf.array[...] = 0.0

    @property
    def mean(self) -> Any:
        """The number that the sums stand for."""
        totals = {key: leaf.array for key, leaf in self.leaves.items()}
        if self.metric is None:
            return average(totals)
        return self.metric.result(totals)


@dataclass(frozen=True)
class Step:
    """A step's graph and its leaves. `outputs` of the graph: the loss and, when training, the norm of the gradient and
    what the sums of the other logged numbers grow by, as far as they are single numbers."""

    graph: Graph
    columns: tuple[Leaf, ...]  # inputs, targets and, where given, the weights
    rate: Leaf | None
    number: Leaf | None
    sums: Mapping[str, Sums]
    grown: Mapping[Leaf, int] = field(default_factory=dict)  # which output a sum grows by; those of the loss need none
    gradients: Mapping[Leaf, Node] = field(
        default_factory=dict
    )  # of the loss by each trained parameter, nodes of the graph


@dataclass(frozen=True)
class Task:
    """What a model is trained for."""

    forward: Callable[[Sequence[Node]], Sequence[Node]]  # input nodes to output nodes, those of the heads
    penalties: Callable[[], list[Node]]
    heads: Sequence[Head]
    inputs: Sequence[Leaf]  # one leaf an input: shape, dtype and name
    dtype: str
    weights: tuple[Any, ...]  # for each head the shape of one example's weights, or None


@dataclass(frozen=True)
class _Columns:
    x: list[Leaf]
    y: list[Leaf]
    w: list[Leaf | None]

    @property
    def all(self) -> tuple[Leaf, ...]:
        return (*self.x, *self.y, *(leaf for leaf in self.w if leaf is not None))


def _columns(task: Task) -> _Columns:
    alone = len(task.heads) == 1
    x = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in task.inputs]
    y = []
    for head in task.heads:
        y.append(
            input_leaf(
                head.loss.target_shape(head.shape), head.named("y", alone), "int64" if head.loss.labels else task.dtype
            )
        )
    w = [
        None if shape is None else input_leaf((M, *shape), head.named("sample_weight", alone), task.dtype)
        for head, shape in zip(task.heads, task.weights, strict=True)
    ]
    return _Columns(x, y, w)


def _measured(task: Task, columns: _Columns) -> tuple[Node, dict[str, tuple[Metric | None, dict[str, Node]]]]:
    """The total loss with penalties, and for every logged number what each of its sums grows by."""
    outputs = task.forward(columns.x)
    alone = len(task.heads) == 1
    rows = cast(size(columns.x[0], axis=0), "float64")
    total: Any = None
    added: dict[str, tuple[Metric | None, dict[str, Node]]] = {"loss": (None, {})}
    for head, y, w, p in zip(task.heads, columns.y, columns.w, outputs, strict=True):
        loss = head.loss.cost(y, p, w)
        if not alone:
            loss = name(loss, f"{head.name} loss")
            added[f"{head.name}_loss"] = (None, {"total": cast(loss, "float64") * rows, "count": rows})
        share = loss if head.share == 1 else loss * head.share
        total = share if total is None else total + share
        for key, metric in head.metrics.items():  # not weighted, as in Keras: the weights are the loss's
            added[head.named(key, alone)] = (metric, metric.states(y, p, None))
        for key, metric in head.weighted.items():
            added[head.named(key, alone)] = (metric, metric.states(y, p, w))
    running = current_pass()
    assert running is not None
    for penalty in [*task.penalties(), *running.penalties]:
        total = total + penalty
    total = name(total, "loss")
    added["loss"] = (None, {"total": cast(total, "float64") * rows, "count": rows})
    return total, added


def _sum_updates(
    added: Mapping[str, tuple[Metric | None, Mapping[str, Node]]],
) -> tuple[dict[str, Sums], dict[Leaf, Node]]:
    sums: dict[str, Sums] = {}
    updates: dict[Leaf, Node] = {}
    for key, (metric, parts) in added.items():
        leaves = {part: state(np.zeros(node.shape), f"{key}_{part}") for part, node in parts.items()}
        sums[key] = Sums(leaves, metric)
        updates.update({leaves[part]: leaves[part] + node for part, node in parts.items()})
    return sums, updates


def _grown(added: Mapping[str, tuple[Metric | None, Mapping[str, Node]]], sums: Mapping[str, Sums]) -> dict[Leaf, Node]:
    """What each sum grows by that is a single number; those of the loss follow from the loss and the number of rows."""
    return {
        sums[key].leaves[part]: node
        for key, (_, parts) in added.items()
        if key != "loss"
        for part, node in parts.items()
        if not node.shape
    }


def training_step(
    task: Task,
    optimizer: Optimizer,
    slots: Mapping[Leaf, Mapping[str, Leaf]],
    seed: int,
    constraints: Mapping[Leaf, Any],
) -> Step:
    """The whole step. `slots` holds, for every parameter that is trained, its slots by name; `constraints` what brings
    a parameter back after its update."""
    columns = _columns(task)
    rate = input_leaf((), "learning_rate", "float64", weak=STRONG + 1)
    number = input_leaf((), "step", "float64", weak=STRONG + 1)
    with Pass(True, literal(seed, "uint32"), number) as running:
        loss, added = _measured(task, columns)
    sums, updates = _sum_updates(added)
    grown = _grown(added, sums)
    updates.update(running.writes)
    outputs = [loss, *grown.values()]
    written = apply([*outputs, *updates.values()], stable.RULES)  # before the derivative: see rewrite/stable.py
    (loss, *growth), updates = written[: len(outputs)], dict(zip(updates, written[len(outputs) :], strict=True))
    gradients = grad(loss, list(slots))
    squares: Any = literal(0.0, "float64")
    updates.update(optimizer.updates(dict(zip(slots, gradients, strict=True)), slots, rate, number))
    for parameter, g in zip(slots, gradients, strict=True):
        if parameter in constraints:
            updates[parameter] = cast(constraints[parameter](updates[parameter]), parameter.dtype)
        updates[parameter] = name(updates[parameter], f"{parameter.name} next")
        squares = squares + cast(sum_(square(g)), "float64")  # of the gradients as they are, before any clipping
    gate = logical_and(isfinite(loss), isfinite(squares))
    after: Any = literal(0.0, "float64")
    for parameter in slots:  # a gradient can be finite though the step that it makes is not
        after = after + cast(sum_(updates[parameter]), "float64")
    gate = logical_and(gate, isfinite(after))
    for leaf in running.writes:  # a loss can be finite though a layer's state is not
        gate = logical_and(gate, all_(isfinite(updates[leaf])))
    outputs = [loss, name(sqrt(squares), "gradient norm")]
    places = {leaf: place for place, leaf in enumerate(grown, len(outputs))}
    graph = Graph([*columns.all, rate, number], [*outputs, *growth], updates, gate)
    return Step(graph, columns.all, rate, number, sums, places, dict(zip(slots, gradients, strict=True)))


def evaluation_step(task: Task) -> Step:
    """The same numbers in inference mode, nothing written but their sums."""
    columns = _columns(task)
    with Pass(False):
        loss, added = _measured(task, columns)
    sums, updates = _sum_updates(added)
    written = apply([loss, *updates.values()], stable.RULES)
    graph = Graph(columns.all, written[:1], dict(zip(updates, written[1:], strict=True)))
    return Step(graph, columns.all, None, None, sums)


def make_slots(optimizer: Optimizer, parameters: Sequence[Leaf]) -> dict[Leaf, dict[str, Leaf]]:
    """New slots for every parameter."""
    return {p: optimizer.make_slots(p) for p in parameters}
