"""Whether right answers are rewarded, and can be given: the sign of a loss, and the side of 0 on which an output lies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..core.shapes import bind
from ..layers.dense import Dense
from ..train.losses import Loss
from . import repairs
from .checks_labels import losses
from .programs import classes, network, points, sparse, values
from .ranges import plain
from .subject import HeadFacts, Subject, evenly

_ROWS, _NUMBERS = 256, 20_000
_FEWEST = 8  # rows that can be put in another order
_ORDERS = 8
_FAR = 100.0  # deviations: answers that are wrong beyond all measure
_MOST = 17  # values of y that a loss is tried with
_TRIED = np.linspace(-30.0, 30.0, 241)


class LossRewardsMistakes(Check):
    """A loss that is larger for answers that follow y than for the same answers in another order, and falls further the
    more wrong they are: its sign is missing. What is smallest at an opposite of y, as a distance is, is no such loss."""

    rules, phase, needs, severity, sure = (7, 19, 58), "data", ("x", "y"), "error", 0.95
    place, argument = "compile", "loss"
    why = "training makes the loss small: it leads away from y as far as the output can go"
    explains = ("loss_at_start", "loss_and_metric_part")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The loss of answers that follow y, of the same ones in other orders, and of worse ones."""
        for head in subject.heads:
            y = _sample(subject, head)
            answers = None if y is None else _answers(head, y)
            if answers is not None:
                aligned, further, worse = answers
                rng = np.random.Generator(np.random.PCG64(5))
                orders = [rng.permutation(len(y)) for _ in range(_ORDERS)]
                shuffled = _costs(head, y, [aligned[order] for order in orders])
                (right,) = _costs(head, y, [aligned])
                wrong = _costs(head, y, [*further, *(part[orders[0]] for part in worse)])
                if all(np.isfinite(part).all() for part in (right, shuffled, wrong)):
                    yield {
                        "layer": None,
                        "loss": head.loss,
                        "following_y": float(right),
                        "in_another_order": float(np.mean(shuffled)),
                        "spread": float(np.std(shuffled)),
                        "far_from_y": float(max(wrong)),
                        "shares": head.reading.kind in ("probability", "logits"),
                    }

    def wrong(self, v: Values) -> bool:
        """Right answers cost more by far, and worse ones less; of shares the worse ones even less than those by chance."""
        right, other = v["following_y"], v["in_another_order"]
        slack = 1e-3 * max(abs(right), abs(other))
        limit = other if v["shares"] else right
        return bool(right - other > 6 * v["spread"] + slack and v["far_from_y"] <= limit + 1e-3 * abs(limit))

    def message(self, v: Values) -> str:
        """Both numbers."""
        given = (
            f"{v['following_y']:.3g} for answers that follow y, {v['in_another_order']:.3g} for the same in any order"
        )
        return f"{v['loss']} is smaller for wrong answers: {given}."

    def fix(self, v: Values) -> str:
        """The sign."""
        return "the sign: return -loss from it, so that the best answers have the smallest loss"

    def bad(self) -> tuple[Any, ...]:
        """The coefficient of determination as a loss."""
        return network(Dense(8, "relu"), Dense(1), loss=_r_squared), points(), values()

    def good(self) -> tuple[Any, ...]:
        """What it leaves unexplained."""
        return network(Dense(8, "relu"), Dense(1), loss=_unexplained), points(), values()


def _unexplained(y: Any, p: Any) -> Any:
    total, mean = registry.lookup("op.sum"), registry.lookup("op.mean")
    return total((y - p) ** 2) / (total((y - mean(y)) ** 2) + 1e-7)


def _r_squared(y: Any, p: Any) -> Any:
    return 1 - _unexplained(y, p)


def _sample(subject: Subject, head: HeadFacts) -> Any:
    """Some of the targets; None where they are one, or not enough."""
    y = subject.counted(head)
    wide = max(1, y[:1].size, int(np.prod(bind(head.loss_graph[2].shape, 1))))
    y = y[evenly(len(y), max(_FEWEST, min(_ROWS, _NUMBERS // wide)))]
    return y if len(y) >= _FEWEST and (y != y[:1]).any() else None


def _answers(head: HeadFacts, y: Any) -> tuple[Any, list[Any], list[Any]] | None:
    """(answers that follow y, those that follow it too far, those that are to be put in another order), or None where it is
    not known what follows y."""
    shape, kind = bind(head.loss_graph[2].shape, len(y)), head.reading.kind
    if head.head.loss.labels:
        axis = head.head.loss.axis % len(shape)
        y = y.reshape(shape[:axis] + shape[axis + 1 :])
        if y.min() < 0 or y.max() >= shape[axis]:
            return None
        y = np.stack([y == label for label in range(shape[axis])], axis=axis).astype(np.float64)
    try:
        y = np.broadcast_to(y, shape).astype(np.float64)
    except ValueError:  # such as the time and the end of an observation, for one risk
        return None
    if kind in ("probability", "logits"):
        if y.min() < 0 or y.max() > 1:
            return None
        return (
            (y.clip(0.02, 0.98), [], [y.clip(1e-3, 0.999)]) if kind == "probability" else (6 * y - 3, [], [60 * y - 30])
        )
    if kind == "rate":
        rates = np.maximum(y, 1e-3)
        return rates, [_FAR * rates], [_FAR * rates, rates / _FAR]
    mean, off = y.mean(), _FAR * (y - y.mean())
    return y, [mean + off], [mean + off, mean - off]


def _costs(head: HeadFacts, y: Any, answers: list[Any]) -> Any:
    """The loss of each of these answers to y."""
    cost, target, output = head.loss_graph
    y = y.astype(target.dtype).reshape(bind(target.shape, len(y)))
    lookup = registry.lookup("values.reference")
    return np.array([lookup([cost], {target: y, output: p.astype(output.dtype)})[cost] for p in answers], np.float64)


class NeverOnOneSide(Check):
    """Targets of few values, one of which the output cannot answer: margins around 0 from a sigmoid or ReLU, or a sigmoid
    of sums that are never negative, which never says no."""

    rules, phase, needs, severity = (6, 3), "data", ("x", "y"), "error"
    argument = "activation"
    why = "no weights bring the output to the side where the loss of these rows is small"
    explains = ("loss_at_start",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The smallest loss of each value of y for outputs that are possible, for any output, and for one and the same."""
        for head in subject.heads:
            t, bounds, kind = subject.targets(head), head.bounds, head.reading.kind
            probable = kind == "probability" and not head.reading.exclusive and bounds.inside(0, 1)
            y = np.array(t.values or ())
            few = 2 <= len(y) <= _MOST and not head.head.loss.labels
            if few and head.classes == 1 and head.each is not None and (kind == "other" or probable) and bounds.gap > 0:
                tried = np.linspace(1e-3, 0.999, 101) if probable else _TRIED
                reached = np.linspace(max(tried[0], bounds.low), min(tried[-1], bounds.high), 101)
                every = losses(head, y, np.concatenate([reached, tried]))
                possible, best = every[:, : len(reached)].min(axis=1), every.min(axis=1)
                place = int(np.argmax(possible - best))
                if np.isfinite(every).all():
                    yield {
                        "layer": head.layer,
                        "loss": head.loss,
                        "y": float(y[place]),
                        "lowest": bounds.low,
                        "highest": bounds.high,
                        "smallest_loss": float(possible[place]),
                        "smallest_for_any": float(best[place]),
                        "same_for_all": float(every.mean(axis=0).min()),
                    }

    def wrong(self, v: Values) -> bool:
        """For one value it can get half as bad as the best single answer to all, or worse."""
        gained = v["same_for_all"] - v["smallest_for_any"]
        return bool(gained > 1e-6 and v["smallest_loss"] - v["smallest_for_any"] > 0.5 * gained)

    def message(self, v: Values) -> str:
        """Which rows, and the floor under their loss."""
        span = f"between {v['lowest']:.4g} and {v['highest']:.4g}"
        rows = f"where y is {v['y']:.4g}, {v['loss']} cannot fall below {v['smallest_loss']:.3g}"
        return f"the output lies {span}: {rows} (one answer to all: {v['same_for_all']:.3g})."

    def fix(self, v: Values) -> str:
        """An output on both sides."""
        if v["lowest"] >= 0.5 - 1e-6 and v["highest"] <= 1 + 1e-6:
            return "no activation before the sigmoid, so that its sums can be negative"
        return "Dense(1) without an activation, or Dense(1, activation='tanh')"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """No activation, of the layer or of that before the sigmoid."""
        head = repairs.head_of(v, subject)
        node = plain(head.node)
        if node.op.name == "sigmoid" and head.reading.kind == "probability":
            layer = subject.facts.layer_names.get(plain(node.inputs[0]))
            return None if layer in (None, v["layer"]) else Repair(layers={layer: {"activation": "linear"}})
        return repairs.activation(v, "linear")

    def bad(self) -> tuple[Any, ...]:
        """Margins of a sigmoid."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss=Loss.named("hinge")()), points(), 2 * classes(2) - 1

    def good(self) -> tuple[Any, ...]:
        """Both sides."""
        return network(Dense(8, "relu"), Dense(1, "tanh"), loss=Loss.named("hinge")()), points(), 2 * classes(2) - 1


class OneSidedLogits(Check):
    """A softmax over sums that were cut off at 0, as ReLU does: a class whose unit is off cannot be made less likely."""

    rules, sure, grounds = (14, 4), 0.9, "rule of thumb"
    argument = "activation"
    why = "where the sum of a class is cut off it has no derivative, so that rows can lose whole classes for good"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The bounds of what enters the softmax, of the output or of the loss."""
        for head in subject.heads:
            node = plain(head.node)
            if node.op.name == "softmax":
                node = plain(node.inputs[0])
            elif not (head.reading.kind == "logits" and head.reading.exclusive):
                continue
            if head.classes > 1:
                bounds = subject.facts.bounds[node]
                layer = subject.facts.layer_names.get(node, head.layer)
                parts = (subject.facts.bounds[part] for part in node.inputs)
                cut = node.op.name in ("relu", "clip") or any(one.low == one.high == bounds.low for one in parts)
                yield {"layer": layer, "units": head.classes, "lowest": bounds.low, "highest": bounds.high, "cut": cut}

    def wrong(self, v: Values) -> bool:
        """They are cut off at 0 or above, and free upwards."""
        return bool(v["cut"] and 0 <= v["lowest"] < v["highest"] and np.isinf(v["highest"]))

    def message(self, v: Values) -> str:
        """Where they are cut off."""
        return f"the sums of {v['units']} classes are cut off at {v['lowest']:g} before the softmax."

    def fix(self, v: Values) -> str:
        """No activation."""
        return f"Dense({v['units']}) without an activation before the softmax"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The same, where a layer has the activation."""
        made = [layer for layer in subject.facts.model.everything() if layer.name == v["layer"]]
        return repairs.activation(v, "linear") if made and made[0].arguments.get("activation") is not None else None

    def bad(self) -> tuple[Any, ...]:
        """A ReLU before the softmax of the loss."""
        return network(Dense(8, "relu"), Dense(3, "relu"), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """No activation."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)
