"""Whether the loss can mean anything for the targets that are given: read off its own graph, for numbers like these."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..core.grad import reverse
from ..core.shapes import bind
from ..core.walk import topological
from ..layers.dense import Dense
from ..train.losses import Loss
from . import repairs
from .checks_pairing import given_back
from .programs import classes, hot, network, points, values
from .subject import MOST_ROWS, HeadFacts, Subject, evenly

_MOST = 17  # values of y, and of the output, that a loss is tried with
_SAME = 1e-6
_NEAREST = 0.05  # of the targets: those nearest to 0
_STRAY = 0.01  # of them, that are on the other side of 0


def losses(head: HeadFacts, y: Any, p: Any) -> Any:
    """The loss of an example whose targets all are one of `y`, for each of the outputs `p`: (targets, outputs)."""
    assert head.each is not None
    cost, target, output = head.each
    rows = len(y) * len(p)
    shapes = bind(target.shape, rows), bind(output.shape, rows)
    given = np.repeat(y, len(p)), np.tile(p, len(y))
    feed = {
        leaf: np.broadcast_to(value.reshape(rows, *[1] * (len(shape) - 1)), shape)
        for leaf, value, shape in zip((target, output), given, shapes, strict=True)
    }
    found = registry.lookup("values.reference")([cost], feed)[cost]
    return found.reshape(len(y), len(p), -1).mean(axis=-1)


def _tried(head: HeadFacts) -> Any:
    """Outputs that the loss takes, over all that the layer can give."""
    ends = (0.0, 1.0) if head.reading.kind == "probability" else (-30.0, 30.0)
    return np.linspace(max(ends[0], head.bounds.low), min(ends[1], head.bounds.high), _MOST)


class TargetsBeyondTheLoss(Check):
    """Targets for which a cross-entropy has no meaning, whoever wrote it: it falls below 0 for them, and without end; or
    one and the same output is the best answer to all of them."""

    rules, phase, needs, severity = (8, 7, 10), "data", ("x", "y"), "error"
    argument = "loss"
    why = "a cross-entropy compares probabilities: for y outside of 0 … 1 it rewards being wrong"
    explains = ("loss_grows", "constant_loss", "target_out_of_reach")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The smallest loss of each target, and whether one output has it for all."""
        for head in subject.heads:
            if head.reading.kind in ("probability", "logits") and not head.head.loss.labels and head.each is not None:
                t, tried = subject.targets(head), _tried(head)
                y = np.array(t.values or (t.low, t.high))
                y = y[evenly(len(y), _MOST)]
                if not tried[0] < tried[-1] or not np.isfinite(tried).all():
                    continue
                found = losses(head, y, tried)
                least = found.min(axis=1)
                above = (found - least[:, np.newaxis]).max(axis=0).min()
                alone = head.classes == 1 and len(y) > 1
                yield {
                    "layer": head.layer,
                    "loss": head.loss,
                    "smallest_y": t.low,
                    "largest_y": t.high,
                    "labels": t.whole and t.low >= 0,
                    "smallest_loss": float(least.min()),
                    "one_for_all": bool(alone and above <= _SAME * max(1.0, float(np.ptp(found)))),
                }

    def wrong(self, v: Values) -> bool:
        """Targets outside of 0 … 1 bring it below 0, or all are served by one output."""
        outside = v["smallest_y"] < 0 or v["largest_y"] > 1
        return bool(outside and (v["smallest_loss"] < -1e-3 or v["one_for_all"]))

    def message(self, v: Values) -> str:
        """What the loss makes of them."""
        what = (
            f"falls to {v['smallest_loss']:.3g} for them"
            if v["smallest_loss"] < 0
            else "is smallest at one output for all"
        )
        return (
            f"y is {v['smallest_y']:.4g} … {v['largest_y']:.4g}, but {v['loss']} takes it for probabilities and {what}."
        )

    def fix(self, v: Values) -> str:
        """The loss for numbers, or that for labels."""
        if v["labels"]:
            units = int(v["largest_y"]) + 1
            return (
                f"Dense({units}, activation='softmax') with SparseCategoricalCrossentropy() for labels 0 … {units - 1}"
            )
        return "a layer without an activation and loss='mse' for numbers"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """What fits the targets."""
        return repairs.for_targets(subject, repairs.head_of(v, subject))

    def bad(self) -> tuple[Any, ...]:
        """Numbers in a cross-entropy of one's own."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss=_entropy), points(), values()

    def good(self) -> tuple[Any, ...]:
        """Yes and no."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss=_entropy), points(), classes(2)


def _entropy(y: Any, p: Any) -> Any:
    log, mean = registry.lookup("op.log"), registry.lookup("op.mean")
    p = registry.lookup("op.clip")(p, 1e-7, 1 - 1e-7)
    return -mean(y * log(p) + (1 - y) * log(1 - p), axis=-1)


class SeveralLabelsOfOne(Check):
    """Rows of y with several ones, where softmax and categorical cross-entropy give all outputs one probability to share."""

    rules, phase, needs = (7, 2), "data", ("x", "y")
    argument = "activation"
    why = "softmax makes the classes compete: two labels of a row can get one half each, and never both be likely"
    explains = ("shares_that_do_not_compete",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many ones a row has."""
        for head in subject.heads:
            shared = head.reading.exclusive or head.bounds.total is not None
            if head.reading.kind in ("probability", "logits") and shared and head.classes > 1:
                t = subject.targets(head)
                if not head.head.loss.labels and t.values is not None and set(t.values) <= {0.0, 1.0}:
                    y = subject.counted(head)
                    y = y[evenly(len(y), MOST_ROWS)]
                    ones = y.reshape(-1, y.shape[-1]).sum(axis=1)
                    yield {
                        "layer": head.layer,
                        "loss": head.loss,
                        "units": head.classes,
                        "most": int(ones.max()),
                        "several": float((ones > 1).mean()),
                        "exclusive": head.reading.exclusive,
                        "logits": head.reading.kind == "logits",
                    }

    def wrong(self, v: Values) -> bool:
        """More than one row in a hundred has several."""
        return bool(v["several"] > 0.01)

    def message(self, v: Values) -> str:
        """How many rows."""
        what = f"{v['several']:.0%} of the rows of y have several labels (up to {v['most']})"
        if v["exclusive"]:
            return f"{what}, but {v['loss']} is for one class of {v['units']}, by softmax."
        return f"{what}, but the {v['units']} outputs share one probability, as softmax makes them do."

    def fix(self, v: Values) -> str:
        """A probability for each label."""
        if v["logits"]:
            return "loss=BinaryCrossentropy(from_logits=True): a probability for each label"
        return f"Dense({v['units']}, activation='sigmoid') with loss='binary_crossentropy'"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Sigmoids and the binary loss."""
        head = repairs.head_of(v, subject)
        return repairs.output(subject, head, "sigmoid", head.classes, Loss.named("binary_crossentropy")())

    def bad(self) -> tuple[Any, ...]:
        """Several labels a row and a softmax."""
        model = network(Dense(8, "relu"), Dense(3, "softmax"), loss="categorical_crossentropy")
        return model, points(), (points()[:, :3] > 0).astype(float)

    def good(self) -> tuple[Any, ...]:
        """One label a row."""
        return network(Dense(8, "relu"), Dense(3, "softmax"), loss="categorical_crossentropy"), points(), hot(3)


class DistanceOnYesAndNo(Check):
    """A loss between numbers where y is 0 or 1: an absolute distance, whose best answer to 30 % yes is 0; or an output
    without bounds whose hits are counted. The squared error of a sigmoid is a proper score and no fault."""

    rules, phase, needs, sure = (7,), "data", ("x", "y"), 0.8
    argument = "loss"
    why = "the loss is not smallest at the probability of a yes, so that it does not lead there where the answer is unsure"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The best output for three yes in ten."""
        for head in subject.heads:
            alone = head.reading.kind == "number" and head.classes == 1 and head.each is not None
            if alone and subject.targets(head).values == (0.0, 1.0):
                tried = np.linspace(0, 1, 21)
                no, yes = losses(head, np.array([0.0, 1.0]), tried)
                yield {
                    "layer": head.layer,
                    "loss": head.loss,
                    "best_for_three_in_ten": float(tried[np.argmin(0.7 * no + 0.3 * yes)]),
                    "free": not head.bounds.inside(0, 1),
                    "metrics": head.counting,
                }

    def wrong(self, v: Values) -> bool:
        """It is far from 0.3, or the output is no probability and hits are counted."""
        improper = abs(v["best_for_three_in_ten"] - 0.3) > 0.1
        return bool(improper or (v["free"] and v["metrics"]))

    def message(self, v: Values) -> str:
        """What the loss makes of an unsure answer."""
        if abs(v["best_for_three_in_ten"] - 0.3) > 0.1:
            best = f"its best answer to 30 % yes is {v['best_for_three_in_ten']:.2g}"
            return f"y is yes or no (0 and 1), but {v['loss']} is a distance between numbers: {best}."
        return f"y is yes or no (0 and 1), but {v['loss']} compares it with any number."

    def fix(self, v: Values) -> str:
        """The cross-entropy."""
        return (
            "Dense(1, activation='sigmoid') with loss='binary_crossentropy'"
            if v["free"]
            else "loss='binary_crossentropy'"
        )

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """What fits the targets."""
        return repairs.for_targets(subject, repairs.head_of(v, subject))

    def bad(self) -> tuple[Any, ...]:
        """An absolute distance."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="mae"), points(), classes(2)

    def good(self) -> tuple[Any, ...]:
        """The cross-entropy."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)


class NobodyIsAYes(Check):
    """Targets of a cross-entropy with two values, 0 and one below a half, such as 0 and 0.0625: labels that were divided
    together with the pixels. Probabilities have many values, smoothed labels one above a half, and shares the sum 1."""

    rules, phase, needs, sure = (10, 8), "data", ("x", "y"), 0.9
    place, argument = "fit", "y"
    why = "the loss takes y for the probability of a yes: the best answer to every row is no"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The two values, and the sums of the rows."""
        for head in subject.heads:
            probable = head.reading.kind in ("probability", "logits") and not head.head.loss.labels
            if probable and not given_back(subject, head):
                t, y = subject.targets(head), subject.counted(head)
                y = y[evenly(len(y), MOST_ROWS)]
                sums = y.sum(axis=-1) if head.classes > 1 else np.zeros(1)
                yield {
                    "layer": head.layer,
                    "loss": head.loss,
                    "smallest_y": t.low,
                    "largest_y": t.high,
                    "two": t.values is not None and len(t.values) == 2 and t.values == (t.low, t.high),
                    "shares": bool(np.allclose(sums, 1, atol=1e-3)),
                }

    def wrong(self, v: Values) -> bool:
        """0 and one value below a half."""
        return bool(v["two"] and v["smallest_y"] == 0 and v["largest_y"] < 0.5 and not v["shares"])

    def message(self, v: Values) -> str:
        """Which values there are."""
        return f"y is 0 or {v['largest_y']:.4g}, which {v['loss']} takes for probabilities: no row is a yes."

    def fix(self, v: Values) -> str:
        """Labels 0 and 1."""
        times = 1 / v["largest_y"]
        back = f"y * {times:.0f}" if abs(times - round(times)) < 1e-4 * times else f"y / {v['largest_y']:.6g}"
        return f"labels 0 and 1, that is {back}; divide X alone"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Labels 0 and 1."""
        return Repair(y=lambda y: (np.asarray(y) > 0).astype(np.float32)) if len(subject.heads) == 1 else None

    def bad(self) -> tuple[Any, ...]:
        """Labels divided as pixels are."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2) / 16

    def good(self) -> tuple[Any, ...]:
        """Yes and no."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)


class RelativeErrorNearZero(Check):
    """A loss that divides by targets on both sides of 0, or by some that are 0: for errors of equal size the few that are
    near 0 make most of the gradient. Where all are above 0, relative errors mean something, however far they spread."""

    rules, phase, needs, sure = (7,), "data", ("x", "y"), 0.9
    argument = "loss"
    why = "the smallest relative errors come from answers near 0: the rows where y is not small hardly count"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """What share of the gradient the targets nearest to 0 make, where p is off by one deviation."""
        for head in subject.heads:
            y = subject.counted(head)
            single = head.each is not None and y.ndim == len(head.each[1].shape)  # not steps of a sequence
            if head.reading.kind == "number" and single:
                some = y[evenly(len(y), max(8, MOST_ROWS // max(1, y[0].size)))].astype(head.dtype)
                size, both = np.abs(some), min((some < 0).mean(), (some > 0).mean()) > _STRAY
                near = size <= (np.quantile(size, _NEAREST) if both else 0)
                slopes = _slopes(head, some) if near.any() and not near.all() else None
                if slopes is not None and slopes.sum() > 0:
                    yield {
                        "layer": head.layer,
                        "loss": head.loss,
                        "near": float(near.mean()),
                        "smallest_y": float(some[near].min()),
                        "largest_y": float(some[near].max()),
                        "share_of_gradient": float(slopes[near].sum() / slopes.sum()),
                        "times": float(slopes[near].mean() / max(slopes[~near].mean(), 1e-30)),
                    }

    def wrong(self, v: Values) -> bool:
        """They make more than all others, and each much more: a tenfold weight around 0, or a hundredfold one of 0 itself,
        which somebody may want to count."""
        return bool(v["share_of_gradient"] > 0.5 and v["times"] > (10 if v["smallest_y"] < v["largest_y"] else 100))

    def message(self, v: Values) -> str:
        """Who makes the gradient."""
        share = f"{100 * v['near']:.2g} % of the targets make {100 * v['share_of_gradient']:.0f} % of the gradient"
        span = f"near 0 ({v['smallest_y']:.2g} … {v['largest_y']:.2g})" if v["smallest_y"] < v["largest_y"] else "0"
        return f"at errors of equal size {share} of {v['loss']}: those where y is {span}."

    def fix(self, v: Values) -> str:
        """A distance."""
        return "loss='mae' or loss='mse': distances, which count alike everywhere"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The squared distance."""
        head = repairs.head_of(v, subject)
        return Repair(loss={head.head.name: Loss.named("mean_squared_error")()})

    def bad(self) -> tuple[Any, ...]:
        """Percentages of numbers around 0."""
        return network(Dense(8, "relu"), Dense(1), loss="mape"), points(), values().round()

    def good(self) -> tuple[Any, ...]:
        """A distance."""
        return network(Dense(8, "relu"), Dense(1), loss="mae"), points(), values().round()


def _slopes(head: HeadFacts, y: Any) -> Any:
    """The size of the loss's derivative by each output, summed over outputs one deviation above and below y; None where
    the loss has none, and where it is the same for all y."""
    assert head.each is not None
    cost, target, output = head.each
    used = [node for node in topological([cost]) if target in node.inputs]
    if all(node.op.name == "subtract" and set(node.inputs) == {target, output} for node in used):
        return None  # errors of equal size count alike: nothing but p - y counts
    (slope,) = reverse([cost], [registry.lookup("op.ones_like").node(cost)], [output], stop=True)
    if slope is None:
        return None
    off = np.broadcast_to(y.std(), y.shape)
    shape = bind(output.shape, 2 * len(y))
    feed = {target: np.concatenate([y, y]), output: np.concatenate([y + off, y - off]).reshape(shape)}
    found = np.abs(registry.lookup("values.reference")([slope], feed)[slope]).reshape(2, *y.shape)
    return np.where(np.isfinite(found), found, 0).sum(axis=0)
