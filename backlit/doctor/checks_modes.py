"""Whether a model predicts as it was trained: what batch normalization remembers of its batches."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.norm import BatchNormalization
from .programs import classes, network, points, sparse
from .subject import HeadFacts, Subject
from .watch import Course, costs

_ROWS = 256
_GONE = 0.01  # of its start may be left in a moving average
_HARM = 0.2  # of a constant's loss, and of the right answers
_MOMENTA = (0.99, 0.95, 0.9, 0.8, 0.7, 0.5)


class MovingStatisticsNearStart(Check):
    """A training that ended before the moving averages of mean and variance, which predictions use, had left their start.

    Measured as what it costs: the same rows are predicted with the averages as they are, and with those that they move
    to, which a step in training mode tells. Dropout is off in both.
    """

    rules, phase, needs = (54, 53), "after", ("x", "y", "course")
    argument = "momentum"
    explains = ("overfitting",)
    why = "in training each batch is normalized by its own mean and variance, in predict by their moving averages"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The loss of predictions with both, and how much of the start is left."""
        course: Course = subject.course
        owned = {leaf: layer for layer in subject.facts.model.everything() for leaf in layer._weights.values()}
        slow = {
            leaf: owned[leaf]
            for leaf in subject.facts.moving
            if leaf in owned and isinstance(getattr(owned[leaf], "momentum", None), float)
        }
        steps, constant = int(course.model.iterations), course.constant
        if not slow or not course.steps or constant is None:
            return
        slowest = max(slow.values(), key=lambda layer: layer.momentum)
        left = slowest.momentum**steps
        if left > _GONE:
            rows = subject.some_rows(subject.facts.rows_that_fit(_ROWS))
            loss, hits = _predicted(subject, rows, {})
            settled, right = _predicted(subject, rows, _settled(subject, slow, rows))
            yield {
                "layer": slowest.name,
                "momentum": slowest.momentum,
                "steps": steps,
                "left": left,
                "loss": loss,
                "settled": settled,
                "constant": constant,
                "hits": hits,
                "hits_settled": right,
                "layers": len({id(layer) for layer in slow.values()}),
                "better": next((each for each in _MOMENTA if each**steps <= _GONE), _MOMENTA[-1]),
                "needed": math.ceil(math.log(_GONE) / math.log(slowest.momentum) / course.per_epoch),
            }

    def wrong(self, v: Values) -> bool:
        """It costs more than a fifth of what a constant answer does, of a network that has learnt more than that; and, of
        classes, a fifth of the right answers: a loss may be that of answers that are right, but less sure."""
        harm = v["loss"] - v["settled"] > _HARM * v["constant"] and v["settled"] < (1 - _HARM) * v["constant"]
        return bool(harm and (v["hits"] is None or v["hits"] < (1 - _HARM) * v["hits_settled"]))

    def message(self, v: Values) -> str:
        """How much of the start is left, and what it costs."""
        average = (
            f"after {v['steps']} steps with momentum={v['momentum']:g} moving averages are still {v['left']:.0%} start"
        )
        return f"{average}: predict has the loss {v['loss']:.3g}, with what they move to {v['settled']:.3g}."

    def fix(self, v: Values) -> str:
        """Averages that are quick enough, or more steps."""
        return f"BatchNormalization(momentum={v['better']:g}), or epochs={v['needed']} and more"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Quick averages in every such layer."""
        moving = subject.facts.moving
        found = [each for each in subject.facts.model.everything() if moving & set(each._weights.values())]
        slow = [each.name for each in found if isinstance(each.arguments.get("momentum"), float)]
        return Repair(layers={name: {"momentum": v["better"]} for name in slow}) if slow else None

    def bad(self) -> tuple[Any, ...]:
        """A momentum for thousands of steps, and forty."""
        return self._trained(0.999), points() * 0.02, classes(3), {"epochs": 20, "batch_size": 48}

    def good(self) -> tuple[Any, ...]:
        """One for so few."""
        return self._trained(0.8), points() * 0.02, classes(3), {"epochs": 20, "batch_size": 48}

    def _trained(self, momentum: float) -> Any:
        return network(
            Dense(8, use_bias=False), BatchNormalization(momentum=momentum), Activation("relu"), Dense(3), loss=sparse()
        )


def _settled(subject: Subject, slow: Any, rows: Any) -> dict[Any, Any]:
    """Where the moving averages go: an average that is 0 is (1 - momentum) of that after one step."""
    step = subject.course.step
    feed = {leaf: np.asarray(part[rows]) for leaf, part in zip(step.columns, subject.x, strict=False)}
    feed |= {step.rate: 0.0, step.number: 1.0}
    nodes = {leaf: step.graph.updates[leaf] for leaf in slow}
    known = registry.lookup("values.reference")(
        list(nodes.values()), {**feed, **{leaf: np.zeros_like(leaf.array) for leaf in slow}}
    )
    return {leaf: known[node] / (1 - slow[leaf].momentum) for leaf, node in nodes.items()}


def _predicted(subject: Subject, rows: Any, instead: Any) -> tuple[float, float | None]:
    """The loss of these rows as they are predicted, with other values of some variables; and the share of right answers,
    where all outputs name classes."""
    facts = subject.facts
    feed = {leaf: np.asarray(part[rows]) for leaf, part in zip(facts.inputs, subject.x, strict=True)}
    outputs = facts.linear.given
    known = registry.lookup("values.reference")(outputs, {**feed, **instead})
    total, hits = 0.0, []
    for head, output in zip(subject.heads, outputs, strict=True):
        y, w = np.asarray(subject.y[head.place][rows]), subject.w[head.place]
        w = None if w is None else np.asarray(w[rows])
        total += head.head.share * costs(head, y, w, [known[output]])[0]
        hits += [_right(head, y, known[output])] if head.of_classes else []
    return total, float(np.mean(hits)) if len(hits) == len(outputs) else None


def _right(head: HeadFacts, y: Any, p: Any) -> float:
    """The share of rows whose class is named."""
    if head.classes == 1:
        return float(np.mean((p > (0.5 if head.reading.kind == "probability" else 0.0)) == (y.reshape(p.shape) > 0.5)))
    axis = head.head.loss.axis
    return float(
        np.mean(p.argmax(axis) == (y.reshape(p.argmax(axis).shape) if head.head.loss.labels else y.argmax(axis)))
    )
