"""What a few rows that were to be learnt by heart tell: `diagnose(X, y, overfit=True)` tries."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from ..layers.dropout import GaussianNoise
from .programs import classes, network, points, sparse
from .proof import score
from .subject import Subject
from .trial import LEARNT, Trial, is_linear, narrowest
from .yardsticks import yardsticks

_ROWS, _FEWEST = 2000, 64  # that the yardsticks are fitted to
_ENOUGH = 100  # steps
_NEAR = 0.25  # of what there is beyond a linear model
_WORTH, _PART = 0.05, 0.25  # that is to be gained, altogether and of what a linear model leaves
_STANDS = 0.02  # of a constant's loss, from the third quarter of a training to the last one


class CannotOverfit(Check):
    """A few rows of which more than a tenth of a constant prediction's loss is left after 300 steps, and would be after
    ten times as many. They have different x, and are no more than the parameters can know, a linear model's no more than
    its features."""

    rules, phase, needs = (44,), "first step", ("x", "y", "trial")
    place, sure = "compile", 0.8
    argument = "optimizer"
    why = (
        "what can learn at all can learn a few rows by heart; where it cannot, more data and more epochs change nothing"
    )

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The losses of the trial, the share that is left, and what is left with something else changed."""
        trial: Trial = subject.trial
        best = trial.changed
        yield {
            "layer": None,
            "rows": trial.rows,
            "steps": trial.steps[-1],
            "loss": trial.loss,
            "constant": trial.constant,
            "lowest": trial.bounded or None,
            "left": trial.left,
            "half_way": trial.known[len(trial.known) // 2],
            "slow": trial.slow,
            "cut": trial.cut,
            "not_finite": trial.refused,
            "tried": [f"{said}: {left:.2g} left" for said, _, left in trial.other],
            "with": best[0] if best else None,
            "left_then": best[2] if best else None,
            "learning_rate": float(subject.facts.model.optimizer.learning_rate),
        }

    def wrong(self, v: Values) -> bool:
        """More than a tenth, and no way there, when all steps were made."""
        return not (v["left"] <= LEARNT or v["slow"] or v["cut"])

    def message(self, v: Values) -> str:
        """From where to where."""
        lowest = f" (the lowest possible is {v['lowest']})" if v["lowest"] else ""
        ends = f"their loss is {v['loss']:.3g} after {v['steps']} steps, that of a constant {v['constant']:.3g}{lowest}"
        return f"{v['rows']} rows alone cannot be learnt by heart: {ends}."

    def fix(self, v: Values) -> str:
        """What worked, or where to look."""
        if v["with"]:
            return f"{v['with']}: with it {v['left_then']:.0%} of the loss is left instead of {v['left']:.0%}"
        return "look at the graph from X to the loss (model.trace(X, y).why), and at the values of the other rules (report.checked)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """What worked."""
        best = subject.trial.changed
        return best[1] if best else None

    def bad(self) -> tuple[Any, ...]:
        """Noise that drowns the numbers."""
        model = network(GaussianNoise(1.0), Dense(16, "relu"), Dense(3), loss=sparse())
        return model, points() / 30, classes(3)

    def good(self) -> tuple[Any, ...]:
        """None."""
        return network(Dense(16, "relu"), Dense(3), loss=sparse()), points(), classes(3)


class TooSmall(Check):
    """A network that has stopped getting better about where the best linear model stands, although it can learn a few rows
    by heart, and although a nonlinear yardstick (random hidden units, or the nearest rows) does better on rows that it has
    not seen. Of a network that is linear in its inputs nothing is said."""

    rules, phase, needs = (50,), "after", ("x", "y", "course", "trial")
    sure = 0.7
    argument = "units"
    why = "what the rows hold beyond a straight line does not go through so few units"
    explains = ("one_unit_for_all",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The scores of the network, of a linear model, and of the yardstick; and whether the loss still falls."""
        course, facts = subject.course, subject.facts
        head = subject.heads[0]
        apt = len(subject.heads) == len(subject.x) == 1 and (head.of_classes or head.reading.kind == "number")
        if not apt or course.steps < _ENOUGH or not facts.linear.products or subject.x[0].dtype.kind != "f":
            return
        if is_linear(facts):
            yield {"layer": None, "network": "is linear in its inputs"}
            return
        rows = subject.some_rows(_ROWS)
        x, y = np.asarray(subject.x[0][rows]), np.asarray(subject.y[0][rows])
        narrow = narrowest(facts)
        if len(rows) < _FEWEST or narrow is None:
            return
        known = yardsticks(x, _answers(head, y), head.of_classes)
        kind, value = score(facts.model, [x], y, head.of_classes)
        means = [float(np.mean(part)) for part in np.array_split(course.losses, 4)]
        yield {
            "layer": narrow[0],
            "units": narrow[1],
            "network": value,
            "linear": known.linear,
            "gain_beyond_linear": known.gain,
            "by_chance": 2 * math.sqrt(1 / len(rows)),
            "kind": kind,
            "still_falls_by": (means[2] - means[3]) / (course.constant or means[0]),
            "by_heart": subject.trial.left,
            "steps": course.steps,
        }

    def wrong(self, v: Values) -> bool:
        """Less than a quarter of what the yardstick gains, either way; a plateau; and the trial went well."""
        if v["layer"] is None:
            return False
        near = abs(v["network"] - v["linear"]) < _NEAR * v["gain_beyond_linear"]
        more = v["gain_beyond_linear"] > max(_WORTH, _PART * (1 - v["linear"]), v["by_chance"])
        return bool(near and more and v["still_falls_by"] < _STANDS and v["by_heart"] <= LEARNT)

    def message(self, v: Values) -> str:
        """Both scores."""
        scores = f"{v['kind']} {v['network']:.2f}, that of a linear model {v['linear']:.2f}"
        more = f"a simple nonlinear one gains {v['gain_beyond_linear']:.2f} on rows it has not seen"
        few = f"{v['units']} units are" if v["units"] > 1 else "1 unit is"
        return f"a linear model does as well ({scores}), {more}: {few} too few."

    def fix(self, v: Values) -> str:
        """More of them."""
        return f"Dense({_more(v['units'])}, activation='relu') here, or one more hidden layer"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """More of them."""
        return Repair(layers={v["layer"]: {"units": _more(v["units"])}})

    def bad(self) -> tuple[Any, ...]:
        """A ring around the middle by one unit."""
        model = network(Dense(1, "tanh"), Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
        return model, points(2), self._ring(), {"epochs": 80}

    def good(self) -> tuple[Any, ...]:
        """By many."""
        model = network(Dense(32, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
        return model, points(2), self._ring(), {"epochs": 80}

    def _ring(self) -> Any:
        return (np.square(points(2)).sum(axis=1) > 1.4).astype(int)


def _more(units: int) -> int:
    return max(32, 4 * units)


def _answers(head: Any, y: Any) -> Any:
    """The targets as columns: of classes one-hot rows."""
    columns = y.reshape(len(y), -1)
    if not head.of_classes or (columns.shape[1] > 1 and not head.head.loss.labels):
        return columns
    return np.eye(max(2, head.classes))[np.round(columns[:, 0]).astype(int)]
