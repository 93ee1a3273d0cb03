"""Whether everything that is to be learnt gets through: rates that fade, weights of rows, layers of one unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..core.node import Leaf, Node
from ..core.walk import topological
from ..layers.dense import Dense
from ..train.feed import class_numbers
from ..train.optimizers import Adam
from ..train.schedules import ExponentialDecay
from .checks_data import counts
from .programs import classes, network, points, sparse
from .subject import GraphFacts, Subject, evenly
from .watch import Course

_LOOKED_AT = 200  # steps whose rate is asked for
_FADED = 1e-3  # of the largest rate
_LONG_ENOUGH = 100  # steps


class RateFades(Check):
    """A schedule that has come to its end long before the training has: it counts steps, and was written for epochs."""

    rules, phase, needs = (33, 36), "first step", ("course",)
    place, argument = "compile", "learning_rate"
    why = "a schedule is read at every step, not at every epoch: what comes after its end changes nothing any more"
    explains = ("learning_rate_too_low", "stopped_while_improving", "plain_steps_too_slow")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The rate at some steps of the whole training, and the first one at which it has all but gone."""
        course: Course = subject.course
        optimizer, steps = subject.facts.model.optimizer, course.total
        if optimizer.schedule is None or steps is None:
            return
        places = evenly(steps, _LOOKED_AT)
        rates = np.array([optimizer.learning_rates(course.first + int(place), 1)[0] for place in places])
        gone = rates < _FADED * rates.max()
        yield {
            "layer": None,
            "first": float(rates[0]),
            "last": float(rates[-1]),
            "gone_after": int(places[gone.argmax()]) if gone.any() else steps,
            "steps": steps,
            "steps_an_epoch": course.per_epoch,
            "decay_steps": float(getattr(optimizer.schedule, "decay_steps", 0) or 0),
            "share": float(gone.mean()),
        }

    def wrong(self, v: Values) -> bool:
        """For more than half of the steps less than a thousandth of the largest rate."""
        return bool(v["share"] > 0.5)

    def message(self, v: Values) -> str:
        """When it was over."""
        fell = f"the learning rate falls from {v['first']:.3g} to {v['last']:.3g}"
        return f"{fell}; from step {v['gone_after']} of {v['steps']} on it is less than a thousandth of what it was."

    def fix(self, v: Values) -> str:
        """Steps for epochs."""
        each, now = v["steps_an_epoch"], v["decay_steps"]
        if now:
            return f"decay_steps={now * each:g} if {now:g} was meant in epochs: an epoch has {each} steps, and it counts steps"
        return f"a schedule that counts in steps: an epoch has {each} of them, so n epochs are n * {each}"

    def bad(self) -> tuple[Any, ...]:
        """Halved every step, and meant every epoch."""
        rate = ExponentialDecay(0.05, decay_steps=1, decay_rate=0.5)
        return (
            network(Dense(8, "relu"), Dense(3), loss=sparse(), optimizer=Adam(rate)),
            points(),
            classes(3),
            {"epochs": 20},
        )

    def good(self) -> tuple[Any, ...]:
        """Halved every five epochs of three steps."""
        rate = ExponentialDecay(0.05, decay_steps=15, decay_rate=0.5)
        return (
            network(Dense(8, "relu"), Dense(3), loss=sparse(), optimizer=Adam(rate)),
            points(),
            classes(3),
            {"epochs": 20},
        )


class WeightsAgainstTheRare(Check):
    """Weights that make a rare class rarer still: its rows weigh less than those of the commonest one."""

    rules, phase, needs = (25,), "data", ("x", "y", "whole")
    place, argument = "fit", "class_weight"
    why = "what counts next to nothing in the loss is not learnt: weights that grow with the rows of a class do the opposite"
    explains = ("minority_not_recognised",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many rows the rarest and the commonest class have, and the mean weight of each."""
        for head in subject.heads:
            w, y = subject.w[head.place], np.asarray(subject.y[head.place])
            found = counts(y, head) if head.of_classes and w is not None and w.ndim == 1 else None
            if found and len(found) > 1:
                rare, common = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
                labels = class_numbers(y)
                means = [float(np.mean(w[labels == label])) for label in (rare, common)]
                yield {
                    "layer": None,
                    "class": rare,
                    "rows": found[rare],
                    "weight": means[0],
                    "common": common,
                    "common_rows": found[common],
                    "common_weight": means[1],
                }

    def wrong(self, v: Values) -> bool:
        """Less than half of the weight for a class with less than a third of the rows."""
        return bool(v["rows"] < v["common_rows"] / 3 and 0 < v["weight"] < v["common_weight"] / 2)

    def message(self, v: Values) -> str:
        """Both classes."""
        rare = f"class {v['class']} has {v['rows']} rows of weight {v['weight']:.3g}"
        share = v["rows"] * v["weight"] / (v["common_rows"] * v["common_weight"])
        return (
            f"{rare}, class {v['common']} {v['common_rows']} of weight {v['common_weight']:.3g}: the first counts "
            f"{share:.1%} of the second."
        )

    def fix(self, v: Values) -> str:
        """The other way round."""
        return "class_weight='balanced' in fit: the weights that make up for the numbers of rows"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Weights by the numbers of rows."""
        return Repair(fit={"class_weight": "balanced"})

    def bad(self) -> tuple[Any, ...]:
        """One row in five, with a fifth of the weight."""
        model = network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
        return model, points(), self._rare(), {"sample_weight": np.where(self._rare(), 0.2, 1.0)}

    def good(self) -> tuple[Any, ...]:
        """The same row, with five times the weight."""
        model = network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
        return model, points(), self._rare(), {"sample_weight": np.where(self._rare(), 5.0, 1.0)}

    def _rare(self) -> Any:
        return (points()[:, 0] > np.sort(points()[:, 0])[-20]).astype(int)


class OneUnitForAll(Check):
    """A layer of one unit that everything has to pass, where several outputs follow: they are functions of one number.
    Outputs that reach X itself, as an autoencoder's, may be meant so."""

    rules, phase, needs = (50,), "after", ("x", "y", "course")
    argument = "units"
    grounds, sure = "rule of thumb", 0.9
    why = "one number has an order and nothing else: three or more independent answers cannot be read from it"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The width of the narrowest layer on every way to an output, and what is left of the loss."""
        course: Course = subject.course
        facts, constant = subject.facts, course.constant
        if constant is None or course.steps < _LONG_ENOUGH or len(subject.heads) > 1:
            return
        (head,) = subject.heads
        narrow = [one for one in facts.trained.products if one.width == 1 and _is_passage(one.node, facts)]
        y = np.asarray(subject.y[0])
        if head.classes > 2 and narrow and y.shape != np.shape(subject.x[0]):
            yield {
                "layer": narrow[0].layer,
                "units": 1,
                "outputs": head.classes,
                "left": course.recent / constant,
            }

    def wrong(self, v: Values) -> bool:
        """A third of what a constant answer costs is left."""
        return bool(v["left"] > 1 / 3)

    def message(self, v: Values) -> str:
        """What passes it."""
        return (
            f"all {v['outputs']} outputs are functions of the one number that this layer gives; the loss is still "
            f"{v['left']:.0%} of a constant answer's."
        )

    def fix(self, v: Values) -> str:
        """More of them."""
        return f"units={max(8, 2 * v['outputs'])}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """More units."""
        return Repair(layers={v["layer"]: {"units": max(8, 2 * v["outputs"])}})

    def bad(self) -> tuple[Any, ...]:
        """Six independent labels, through one unit."""
        return self._labels(Dense(1, "tanh", name="narrow"))

    def good(self) -> tuple[Any, ...]:
        """Through sixteen."""
        return self._labels(Dense(16, "tanh"))

    def _labels(self, layer: Dense) -> tuple[Any, ...]:
        x = points(8)
        model = network(Dense(16, "relu"), layer, Dense(16, "relu"), Dense(6, "sigmoid"), loss="binary_crossentropy")
        return model, x, (x[:, :6] > 0).astype(float), {"epochs": 60}


def _is_passage(node: Node, facts: GraphFacts) -> bool:
    """Whether no way from the data to the outputs goes round this node."""
    reached = topological(facts.trained.roots, lambda each: () if each is node else each.inputs)
    return node in reached and not any(isinstance(each, Leaf) and each.kind == "input" for each in reached)
