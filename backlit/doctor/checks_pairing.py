"""Whether the last activation, the loss, the targets and the metrics belong together."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from ..train.losses import Loss
from . import repairs
from .naming import FEWEST, MOST, Named, named
from .programs import classes, hot, network, points, sparse, values
from .ranges import bounds_of, plain
from .subject import HeadFacts, Subject

_INF = math.inf
_NAMED = {"softmax": "a softmax", "sigmoid": "a sigmoid", "relu": "a ReLU", "tanh": "a tanh"}


def _output(head: HeadFacts, **more: Any) -> dict[str, Any]:
    """What the checks of this file say of an output."""
    return {
        "layer": head.layer,
        "maker": _NAMED.get(plain(head.node).op.name, "this layer"),
        "units": head.classes,
        "lowest": head.bounds.low,
        "highest": head.bounds.high,
        "loss": head.loss,
        "takes_logits": "from_logits" in head.head.loss.arguments,
        **more,
    }


def _span(v: Values) -> str:
    """The bounds in words."""
    low, high = v["lowest"], v["highest"]
    if math.isinf(low) and math.isinf(high):
        return "any number"
    if math.isinf(low) or math.isinf(high):
        return f"any number up to {high:.4g}" if math.isinf(low) else f"any number from {low:.4g}"
    return f"{low:.4g} … {high:.4g}"


def _seen(head: HeadFacts, asked: bool) -> dict[str, Any]:
    """The smallest and largest output of the trial rows, where they are asked for."""
    out = head.facts.trial[head.place] if asked else None
    return {} if out is None else {"seen_lowest": float(out.min()), "seen_highest": float(out.max())}


def _trial(v: Values) -> str:
    """What was seen, where it shows the fault."""
    shows = v["seen_lowest"] < 0 or v["seen_highest"] > 1
    return f" ({v['seen_lowest']:.3g} … {v['seen_highest']:.3g} for random inputs)" if shows else ""


def _squashed(v: Values) -> str:
    """The activation that makes probabilities for this loss."""
    return "softmax" if v["exclusive"] and v["units"] > 1 else "sigmoid"


class ConstantOutput(Check):
    """An output that is one number whatever the weights are: a softmax over one unit is always 1."""

    rules, severity = (1,), "error"
    argument = "activation"
    why = "a constant has no derivative, so nothing can be learnt"
    explains = (
        "bounded_logits",
        "constant_loss",
        "loss_at_start",
        "output_is_no_probability",
        "regression_on_labels",
        "target_out_of_reach",
    )

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The bounds of every output."""
        return (_output(head) for head in subject.heads)

    def wrong(self, v: Values) -> bool:
        """Lowest and highest are one number."""
        return bool(v["lowest"] == v["highest"])

    def message(self, v: Values) -> str:
        """Which number it is."""
        what = f"a softmax over {v['units']} unit" if v["maker"] == "a softmax" else "the output"
        return f"{what} is always {v['lowest']:g}, whatever the weights are."

    def fix(self, v: Values) -> str:
        """A sigmoid for yes and no, nothing for numbers."""
        unit = f"Dense({v['units']}, activation='sigmoid') with BinaryCrossentropy() for labels 0 and 1"
        return f"{unit}; Dense({v['units']}) with MeanSquaredError() for numbers"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """What fits the targets."""
        return repairs.for_targets(subject, repairs.head_of(v, subject))

    def bad(self) -> tuple[Any, ...]:
        """A softmax over one unit."""
        return network(Dense(8, "relu"), Dense(1, "softmax"), loss="binary_crossentropy"), points(), classes(2)

    def good(self) -> tuple[Any, ...]:
        """A sigmoid."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)


class ConstantLoss(Check):
    """A loss over classes that share one probability is constant where there is only one of them."""

    rules, severity = (8,), "error"
    rank = "pairing"
    argument = "loss"
    why = "a constant loss has no derivative, so nothing can be learnt"
    explains = ("metric_reads_otherwise",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The bounds of a cross-entropy over one output, for targets from 0 to 1."""
        for head in subject.heads:
            if head.reading.kind in ("logits", "probability") and head.classes == 1:
                cost, y, p = head.loss_graph
                found = bounds_of([cost], {y: (0.0, 1.0), p: (head.bounds.low, head.bounds.high)})[cost]
                yield _output(head, lowest_loss=found.low, highest_loss=found.high)

    def wrong(self, v: Values) -> bool:
        """The loss hardly moves."""
        return bool(v["highest_loss"] - v["lowest_loss"] < 1e-4)

    def message(self, v: Values) -> str:
        """Which number it is."""
        return f"{v['loss']} over one unit is always {abs(v['highest_loss']):.3g}, whatever the output."

    def fix(self, v: Values) -> str:
        """The binary loss, or as many units as classes."""
        return "loss='binary_crossentropy' in compile for yes and no; for k classes Dense(k, activation='softmax')"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """What fits the targets."""
        return repairs.for_targets(subject, repairs.head_of(v, subject))

    def bad(self) -> tuple[Any, ...]:
        """A categorical loss on a single sigmoid."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="categorical_crossentropy"), points(), classes(2)

    def good(self) -> tuple[Any, ...]:
        """The binary loss."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)


class BoundedLogits(Check):
    """A loss that takes its input for logits squashes it itself; after a sigmoid or softmax it is squashed twice."""

    rules, severity = (4,), "error"
    argument = "activation"
    explains = ("loss_at_start",)
    why = "the loss applies softmax or sigmoid itself; squashed twice, no probability comes near 0 and 1"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The smallest loss that the bounds of the logits allow, and the loss of guessing."""
        for head in subject.heads:
            if head.reading.kind == "logits" and head.classes > head.reading.exclusive:
                floor, guess = _floor(head)
                yield _output(head, smallest_loss=floor, loss_of_guessing=guess)

    def wrong(self, v: Values) -> bool:
        """More than a tenth of guessing remains, however well it is trained."""
        return bool(v["smallest_loss"] > 0.1 * v["loss_of_guessing"])

    def message(self, v: Values) -> str:
        """The floor under the loss."""
        what = f"{v['maker']} gives {_span(v)}, which {v['loss']} takes for logits and squashes again"
        return f"{what}: no loss below {v['smallest_loss']:.3g} (guessing: {v['loss_of_guessing']:.3g})."

    def fix(self, v: Values) -> str:
        """One of the two squashings."""
        other = f", or {v['loss']}(from_logits=False)" if v["takes_logits"] else ""
        return f"Dense({v['units']}) without an activation{other}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """No activation."""
        return repairs.activation(v, "linear")

    def bad(self) -> tuple[Any, ...]:
        """Softmax in the layer and in the loss."""
        return network(Dense(8, "relu"), Dense(3, "softmax"), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Logits."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)


def _floor(head: HeadFacts) -> tuple[float, float]:
    """(the smallest loss of the examples that are hardest to get right, the loss of guessing)."""
    low, high, count = head.bounds.low, head.bounds.high, head.classes
    if head.reading.exclusive:
        return math.log1p((count - 1) * math.exp(max(low - high, -700))), math.log(count)
    return max(math.log1p(math.exp(max(-high, -700))), math.log1p(math.exp(max(low, -700)))), math.log(2)


class OutputIsNoProbability(Check):
    """A cross-entropy of probabilities on an output that is none: linear, tanh, ReLU."""

    rules, severity = (3, 5), "error"
    argument = "activation"
    why = "the loss takes the logarithm of the output; outside of 0 … 1 it is cut off there and learns nothing"
    explains = ("loss_grows",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """On which sides the output leaves [0, 1], and how often it is exactly 0."""
        for head in subject.heads:
            if head.reading.kind == "probability":
                below, above = head.leaves(0, _INF), head.leaves(-_INF, 1)
                zeros = float((head.facts.trial[head.place] == 0).mean()) if above and not below else 0.0
                shared = head.reading.normalised and not below  # e^z over its sum is a softmax
                outside = below or (above and not shared) or (above and zeros > 0.01)
                found = {"outside": outside, "zeros": zeros, **_seen(head, outside)}
                yield _output(head, exclusive=head.reading.exclusive, **found)

    def wrong(self, v: Values) -> bool:
        """It leaves [0, 1] in a way that the loss does not put right."""
        return bool(v["outside"])

    def message(self, v: Values) -> str:
        """What the output can be."""
        return f"{v['loss']} takes this output for probabilities, but it can be {_span(v)}{_trial(v)}."

    def fix(self, v: Values) -> str:
        """The activation, or logits."""
        other = f", or Dense({v['units']}) and {v['loss']}(from_logits=True)" if v["takes_logits"] else ""
        return f"Dense({v['units']}, activation='{_squashed(v)}'){other}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The activation that the loss expects."""
        return repairs.activation(v, _squashed(v))

    def bad(self) -> tuple[Any, ...]:
        """Logits for a loss that expects probabilities."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse(False)), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """A softmax."""
        return network(Dense(8, "relu"), Dense(3, "softmax"), loss=sparse(False)), points(), classes(3)


class SharesThatDoNotCompete(Check):
    """A categorical cross-entropy on outputs that are probabilities each for itself, as sigmoids are."""

    rules, severity = (2,), "warning"
    argument = "activation"
    why = "the loss looks at the right class alone: nothing pushes the other outputs down as softmax does"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Whether the outputs, being inside [0, 1], are known or seen to have the sum 1."""
        for head in subject.heads:
            if head.reading.kind == "probability" and head.reading.exclusive and head.classes > 1:
                inside = head.bounds.inside(0, 1)
                yield _output(head, competing=not inside or head.bounds.total is not None or head.sums_to_one)

    def wrong(self, v: Values) -> bool:
        """They do not share the probability 1."""
        return not v["competing"]

    def message(self, v: Values) -> str:
        """Who does not fit whom."""
        return f"{v['loss']} is for one class of {v['units']}; {v['maker']} gives each unit a probability of its own."

    def fix(self, v: Values) -> str:
        """Softmax, or the binary loss."""
        return f"Dense({v['units']}, activation='softmax'); for several labels at once BinaryCrossentropy()"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Softmax, or the binary loss where rows of y have several labels."""
        return repairs.shares(subject, repairs.head_of(v, subject))

    def bad(self) -> tuple[Any, ...]:
        """Sigmoids for exclusive classes."""
        return network(Dense(8, "relu"), Dense(3, "sigmoid"), loss="categorical_crossentropy"), points(), hot(3)

    def good(self) -> tuple[Any, ...]:
        """A softmax."""
        return network(Dense(8, "relu"), Dense(3, "softmax"), loss="categorical_crossentropy"), points(), hot(3)


class LogOfNegative(Check):
    """A loss that takes the logarithm of the output, such as Poisson, on an output that can be negative."""

    rules, severity = (3,), "error"
    argument = "activation"
    why = "the logarithm of a negative number is NaN"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Whether the output can be negative."""
        for head in subject.heads:
            if head.reading.kind == "rate":
                negative = head.leaves(0, _INF)
                yield _output(head, negative=negative, **_seen(head, negative))

    def wrong(self, v: Values) -> bool:
        """It can."""
        return bool(v["negative"])

    def message(self, v: Values) -> str:
        """What the output can be."""
        return f"{v['loss']} takes the logarithm of this output, which can be {_span(v)}{_trial(v)}."

    def fix(self, v: Values) -> str:
        """An activation that is positive."""
        return f"Dense({v['units']}, activation='exponential')"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """An exponential."""
        return repairs.activation(v, "exponential")

    def bad(self) -> tuple[Any, ...]:
        """Counts from a linear layer."""
        return network(Dense(8, "relu"), Dense(1), loss="poisson"), points(), classes(4)

    def good(self) -> tuple[Any, ...]:
        """An exponential."""
        return network(Dense(8, "relu"), Dense(1, "exponential"), loss="poisson"), points(), classes(4)


class TargetOutOfReach(Check):
    """Targets outside of what the last activation can give: a sigmoid for numbers up to 103, a ReLU for negative ones."""

    rules, phase, needs, severity = (6,), "data", ("x", "y"), "error"
    argument = "activation"
    why = "no weights bring the output beyond the range of its activation"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of the targets that lie outside of the output's bounds."""
        for head in subject.heads:
            if head.reading.kind in ("number", "rate"):
                t, bounds, y = subject.targets(head), head.bounds, subject.counted(head)
                slack, missed = 0.01 * (t.high - t.low), 0.0
                if t.low < bounds.low - slack or t.high > bounds.high + slack:
                    missed = float(((y < bounds.low - slack) | (y > bounds.high + slack)).mean())
                two = t.values is not None and len(t.values) == 2 and head.bounds.inside(0, 1) and head.classes == 1
                yield _output(head, smallest_y=t.low, largest_y=t.high, out_of_reach=missed, two=two)

    def wrong(self, v: Values) -> bool:
        """More than one in a hundred."""
        return bool(v["out_of_reach"] > 0.01)

    def message(self, v: Values) -> str:
        """Both ranges."""
        y = f"y is {v['smallest_y']:.4g} … {v['largest_y']:.4g}"
        return f"{y}, but {v['maker']} gives {_span(v)}: {v['out_of_reach']:.0%} of the targets are out of reach."

    def fix(self, v: Values) -> str:
        """Yes and no, where y has two values; else no activation, or scaled targets."""
        if v["two"]:
            return f"fit (y == {v['largest_y']:g}) * 1, which is 0 and 1, with loss='binary_crossentropy'"
        return f"Dense({v['units']}) without an activation, or scale y into {_span(v)}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The same."""
        if v["two"]:
            name, yes = repairs.head_of(v, subject).head.name, v["largest_y"]
            loss = Loss.named("binary_crossentropy")()
            return Repair(loss={name: loss}, y=lambda y: np.equal(y, yes).astype(np.float32))
        return repairs.activation(v, "linear")

    def bad(self) -> tuple[Any, ...]:
        """A sigmoid for numbers beyond 0 … 1."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="mse"), points(), values()

    def good(self) -> tuple[Any, ...]:
        """A linear output."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values()


class RegressionOnLabels(Check):
    """A loss between numbers where y names classes: one-hot rows with a softmax or with an output that can be any number;
    labels 0, 1, 2 … with accuracy, or whose neighbours are no nearer to one another in X than any two."""

    rules, phase, needs, severity, sure = (7, 8), "data", ("x", "y"), "warning", 0.9
    argument = "loss"
    why = "a distance between numbers makes class 2 lie between 1 and 3, and hardly punishes a sure mistake"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many labels there are, and what says that they are labels."""
        for head in subject.heads:
            if head.reading.kind == "number":
                t = subject.targets(head)
                count = len(t.values) if t.values is not None else 0
                row = head.classes == 1 and t.whole and count > 2 and t.values == tuple(range(count))
                free = head.classes > 2 and not head.bounds.inside(0, 1) and not given_back(subject, head)
                shares = head.classes > 1 and t.one_hot and (head.bounds.total is not None or free)
                found = _named(subject, head) if not shares and not (row and head.counting) else None
                if shares:
                    names = head.classes
                elif (row and head.counting) or (found is not None and found.apart > found.of_amounts):
                    names = count
                else:
                    names = 0
                more = {} if found is None else {"apart": found.apart, "of_amounts": found.of_amounts}
                soft = head.bounds.total is not None
                said = {"largest": t.high, "metrics": head.counting, "one_hot": shares, "softmax": soft}
                yield _output(head, classes=names, smallest=t.low, **said, **more)

    def wrong(self, v: Values) -> bool:
        """There are labels."""
        return bool(v["classes"])

    def message(self, v: Values) -> str:
        """What y looks like."""
        labels = f"labels {v['smallest']:.0f} … {v['largest']:.0f}"
        if v["one_hot"]:
            what = f"one-hot rows{' and a softmax' if v['softmax'] else ''}"
        elif "apart" in v:
            what = f"{labels}; in X, neighbouring numbers lie {v['apart']:.2f} times as far apart as any two"
        else:
            what = f"{labels} and {', '.join(v['metrics'])}"
        return f"y names {v['classes']} classes ({what}), but {v['loss']} is a distance between numbers."

    def fix(self, v: Values) -> str:
        """The cross-entropy."""
        if v["one_hot"]:
            return f"loss=CategoricalCrossentropy({'' if v['softmax'] else 'from_logits=True'})"
        return f"Dense({v['largest'] + 1:.0f}) with SparseCategoricalCrossentropy(from_logits=True)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Output and loss for classes."""
        head = repairs.head_of(v, subject)
        return repairs.for_targets(subject, head) if v["one_hot"] else repairs.for_labels(subject, head)

    def bad(self) -> tuple[Any, ...]:
        """Squared error between class numbers."""
        return network(Dense(8, "relu"), Dense(1), loss="mse", metrics=["accuracy"]), points(), classes(5)

    def good(self) -> tuple[Any, ...]:
        """The cross-entropy for labels."""
        return network(Dense(8, "relu"), Dense(5), loss=sparse(), metrics=["accuracy"]), points(), classes(5)


def _named(subject: Subject, head: HeadFacts) -> Named | None:
    """What X says of whole numbers 0 … k - 1 or 1 … k, one a row."""
    t = subject.targets(head)
    if t.values is None or not FEWEST <= len(t.values) <= MOST or subject.y[head.place].size != subject.rows:
        return None
    whole = t.whole and t.low in (0, 1) and t.values == tuple(t.low + number for number in range(len(t.values)))
    return named(subject, head) if whole and t.values[-1] == t.high else None


def given_back(subject: Subject, head: HeadFacts) -> bool:
    """Whether y is X: what an autoencoder gives back may be one-hot."""
    rows = subject.some_rows(20)
    y = subject.y[head.place][rows]
    return any(np.shape(x[rows]) == y.shape and np.array_equal(x[rows], y) for x in subject.x)


class AccuracyOfNumbers(Check):
    """Accuracy beside a regression: it counts hits, and a predicted 3.02 is no hit for 3."""

    rules, phase, needs, severity = (12,), "data", ("x", "y"), "warning"
    place = "compile"
    argument = "metrics"
    why = "the metric counts outputs on the right side of a threshold; between numbers it says nothing"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Which metrics count, and whether y holds numbers."""
        for head in subject.heads:
            if head.reading.kind == "number" and head.counting:
                t = subject.targets(head)
                many = t.values is None or (len(t.values) > 2 and not t.whole)
                numbers = many and not (t.low >= 0 and t.high <= 1)
                yield _output(head, metrics=head.counting, numbers=numbers, smallest_y=t.low, largest_y=t.high)

    def wrong(self, v: Values) -> bool:
        """y holds numbers."""
        return bool(v["numbers"])

    def message(self, v: Values) -> str:
        """Which metric it is."""
        y = f"{v['smallest_y']:.4g} … {v['largest_y']:.4g}"
        return f"the metric {', '.join(v['metrics'])} counts hits, but y holds numbers ({y})."

    def fix(self, v: Values) -> str:
        """A distance."""
        return "metrics=['mae'], or bl.metrics.R2Score()"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The mean distance."""
        return Repair(metrics=["mae"]) if len(subject.heads) == 1 else None

    def bad(self) -> tuple[Any, ...]:
        """Accuracy of a regression."""
        return network(Dense(8, "relu"), Dense(1), loss="mse", metrics=["accuracy"]), points(), values()

    def good(self) -> tuple[Any, ...]:
        """The mean distance."""
        return network(Dense(8, "relu"), Dense(1), loss="mse", metrics=["mae"]), points(), values()


class UnusedOutputs(Check):
    """More outputs than classes that occur."""

    rules, phase, needs, severity = (8,), "data", ("y", "whole"), "note"
    argument = "units"
    why = "outputs without examples only learn to be small"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Which labels occur."""
        for head in subject.heads:
            if head.head.loss.labels and head.classes > 1:
                counts = np.bincount(subject.y[head.place].ravel().clip(min=0).astype(np.int64))
                yield _output(head, present=int((counts > 0).sum()), largest=len(counts) - 1)

    def wrong(self, v: Values) -> bool:
        """The last outputs stand for no class."""
        return bool(v["largest"] < v["units"] - 1)

    def message(self, v: Values) -> str:
        """How many occur."""
        return f"{v['units']} outputs, but the labels end at {v['largest']}."

    def fix(self, v: Values) -> str:
        """The width that is needed."""
        return f"Dense({v['largest'] + 1}), if no other classes are to come"

    def bad(self) -> tuple[Any, ...]:
        """Ten outputs for three classes."""
        return network(Dense(8, "relu"), Dense(10), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Three."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)
