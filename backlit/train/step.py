"""A training step as one graph: forward pass, loss, gradients, update, sums of the metrics, state of the layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.grad import grad, name
from ..core.node import STRONG, Leaf, Node, input_leaf, state
from ..core.op import cast, literal
from ..core.shapes import M, Shape
from ..core.walk import Graph
from ..layers.layer import Pass
from ..ops.elementwise import isfinite, logical_and, sqrt, square
from ..ops.reduce import mean, size
from ..ops.reduce import sum as sum_
from ..rewrite import stable
from ..rewrite.rule import apply
from .losses import Loss, reduced
from .metrics import Metric
from .optimizers import Optimizer


@dataclass(frozen=True)
class Sums:
    """The running sum and count of one logged number: state of the step, reset at the start of an epoch."""

    total: Leaf
    count: Leaf

    def reset(self) -> None:
        """Forget what was summed."""
        self.total.assign(0.0)
        self.count.assign(0.0)

    @property
    def mean(self) -> float:
        """The mean of what was summed."""
        return float(self.total.array / self.count.array) if self.count.array > 0 else float("nan")


@dataclass(frozen=True)
class Step:
    """A step's graph and its leaves. `outputs` of the graph: the loss and, when training, the norm of the gradient."""

    graph: Graph
    columns: tuple[Leaf, ...]  # x, y and, where given, the weights
    rate: Leaf | None
    number: Leaf | None
    sums: Mapping[str, Sums]


@dataclass(frozen=True)
class Task:
    """What a model is trained for."""

    forward: Callable[[Node], Node]
    penalties: Callable[[], list[Node]]
    loss: Loss
    metrics: Mapping[str, Metric]
    shape: Shape  # of the input
    output: Shape
    dtype: str
    weighted: bool


def _columns(task: Task) -> tuple[Leaf, ...]:
    x = input_leaf(task.shape, "x", task.dtype)
    y_shape = task.output[:-1] if task.loss.labels else task.output
    y = input_leaf(y_shape, "y", "int64" if task.loss.labels else task.dtype)
    return (x, y, input_leaf((M,), "sample_weight", task.dtype)) if task.weighted else (x, y)


def _measured(task: Task, columns: Sequence[Leaf], p: Node) -> tuple[Node, dict[str, tuple[Node, Node]]]:
    """The loss with penalties, and for every logged number what is added to its sum and its count."""
    y, weight = columns[1], columns[2] if task.weighted else None
    rows = size(columns[0], axis=0)
    total = reduced(task.loss.per_example(y, p), weight, task.loss.reduction or "sum_over_batch_size")
    for penalty in task.penalties():
        total = total + penalty
    loss = name(total, "loss")
    added = {"loss": (cast(loss, "float64") * cast(rows, "float64"), cast(rows, "float64"))}
    for key, metric in task.metrics.items():
        each = metric.per_example(y, p)  # not weighted, as in Keras: the weights are the loss's
        each = mean(each, axis=tuple(range(1, each.ndim))) if each.ndim > 1 else each
        added[key] = (cast(sum_(each), "float64"), cast(rows, "float64"))
    return loss, added


def _sum_updates(added: Mapping[str, tuple[Node, Node]]) -> tuple[dict[str, Sums], dict[Leaf, Node]]:
    sums = {key: Sums(state(0.0, f"{key}_sum"), state(0.0, f"{key}_count")) for key in added}
    updates: dict[Leaf, Node] = {}
    for key, (total, count) in added.items():
        updates[sums[key].total] = sums[key].total + total
        updates[sums[key].count] = sums[key].count + count
    return sums, updates


def training_step(task: Task, optimizer: Optimizer, slots: Mapping[Leaf, Mapping[str, Leaf]], seed: int) -> Step:
    """The whole step. `slots` holds, for every parameter that is trained, its slots by name."""
    columns = _columns(task)
    rate = input_leaf((), "learning_rate", "float64", weak=STRONG + 1)
    number = input_leaf((), "step", "float64", weak=STRONG + 1)
    with Pass(True, literal(seed, "uint32"), number) as running:
        loss, added = _measured(task, columns, task.forward(columns[0]))
    sums, updates = _sum_updates(added)
    updates.update(running.writes)
    written = apply([loss, *updates.values()], stable.RULES)  # before the derivative: see rewrite/stable.py
    loss, updates = written[0], dict(zip(updates, written[1:], strict=True))
    gradients = grad(loss, list(slots))
    squares: Any = literal(0.0, "float64")
    for parameter, g in zip(slots, gradients, strict=True):
        new, new_slots = optimizer.step(parameter, g, slots[parameter], rate, number)
        updates[parameter] = name(cast(new, parameter.dtype), f"{parameter.name} next")
        updates.update({slots[parameter][key]: cast(value, parameter.dtype) for key, value in new_slots.items()})
        squares = squares + cast(sum_(square(g)), "float64")
    gate = logical_and(isfinite(loss), isfinite(squares))
    graph = Graph([*columns, rate, number], [loss, name(sqrt(squares), "gradient norm")], updates, gate)
    return Step(graph, columns, rate, number, sums)


def evaluation_step(task: Task) -> Step:
    """The same numbers in inference mode, nothing written but their sums."""
    columns = _columns(task)
    with Pass(False):
        loss, added = _measured(task, columns, task.forward(columns[0]))
    sums, updates = _sum_updates(added)
    written = apply([loss, *updates.values()], stable.RULES)
    return Step(Graph(columns, written[:1], dict(zip(updates, written[1:], strict=True))), columns, None, None, sums)


def prediction(forward: Callable[[Node], Node], shape: Shape, dtype: str) -> Graph:
    """The graph from input to output in inference mode."""
    x = input_leaf(shape, "x", dtype)
    with Pass(False):
        return Graph([x], [forward(x)])


def make_slots(optimizer: Optimizer, parameters: Sequence[Leaf]) -> dict[Leaf, dict[str, Leaf]]:
    """Slots of zeros for every parameter."""
    return {
        p: {key: state(np.zeros(p.shape, p.dtype), f"{p.name}/{key}") for key in optimizer.used_slots()}
        for p in parameters
    }
