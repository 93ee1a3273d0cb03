"""Whether the steps of a training are of a length that suits the problem, and whether there are enough of them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..core.errors import counted
from ..layers.dense import Dense
from ..layers.regularizers import L1
from ..train.optimizers import Optimizer
from . import repairs
from .programs import classes, network, points, sparse, values
from .subject import Subject
from .watch import Course

_EXPLODES = 100.0  # times the loss, after one step
_OVERSHOOTS = 2.0
_LONG, _SHORT = 0.1, 1e-4  # the published bounds of update over weight
_TRIAL = 10  # steps: of fewer nobody expects anything
_NO_DATA = 1e6  # times the data's pull: then there is none, and that is the fault
_LEFT = 0.75  # of what a constant prediction costs: with less than that left, speed is a matter of taste


def _named_rate(rate: float) -> str:
    return f"learning_rate={float(f'{rate:.1g}'):g}"


def _fitting_rate(course: Course) -> float:
    """A tenth of the longest first step that was tried and lowers the loss, since slopes get steeper on the way; for
    plain gradient descent at most 1 / curvature."""
    look, optimizer = course.looks[0], course.model.optimizer
    fitting = [length for length, after in look.tried.items() if length < 1 and after < look.loss]
    rate = course.rate * max(fitting, default=0.1) / 10
    plain = type(optimizer).__name__ == "SGD" and not optimizer.momentum
    return min(rate, 1 / look.curvature) if plain and look.curvature else rate


class FirstStepExplodes(Check):
    """A first step after which the loss of its own rows is a hundred times what it was, or not finite."""

    rules, phase, needs = (32, 40), "first step", ("course",)
    place = "compile"
    argument = "learning_rate"
    why = "a step down the slope that ends far up the other side is too long, and the next one overshoots further"
    explains = ("steps_too_long", "loss_grows")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The loss of a sample before and after the first step, and the longest step that lowers it."""
        course: Course = subject.course
        look = course.looks[0]
        if math.isfinite(look.overshoot) or look.loss > 0:
            yield {
                "layer": None,
                "loss": look.loss,
                "after_one_step": look.tried[1.0],
                "constant": course.constant,
                "learning_rate": course.rate,
                "curvature": look.curvature,
                "fitting": _fitting_rate(course),
            }

    def wrong(self, v: Values) -> bool:
        """A hundredfold, and far above what a constant prediction costs."""
        return not v["after_one_step"] <= _EXPLODES * max(v["loss"], v["constant"] or 0.0)

    def message(self, v: Values) -> str:
        """From where to where."""
        return f"the first step takes the loss of its own rows from {v['loss']:.3g} to {v['after_one_step']:.3g}."

    def fix(self, v: Values) -> str:
        """A rate that fits."""
        return f"optimizer with {_named_rate(v['fitting'])}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A rate that fits."""
        return repairs.rate(subject, v["fitting"])

    def bad(self) -> tuple[Any, ...]:
        """Steps that are too long by far."""
        model = network(Dense(16, "relu"), Dense(1), loss="mse", optimizer=Optimizer.named("sgd")(30.0))
        return model, points(), values(), {"epochs": 1, "batch_size": 96}

    def good(self) -> tuple[Any, ...]:
        """Steps that fit."""
        model = network(Dense(16, "relu"), Dense(1), loss="mse", optimizer=Optimizer.named("sgd")(0.03))
        return model, points(), values(), {"epochs": 40}


class StepsTooLong(Check):
    """A training that is no better than a constant prediction, and whose steps are too long: the first one at least
    doubles the loss of its own rows, or the loss has risen to twice what it was, or every step moves the weights by more
    than a tenth of their size."""

    rules, phase, needs = (32, 40), "during", ("course",)
    place = "compile"
    argument = "learning_rate"
    why = "steps longer than 2 / curvature climb; weights that are thrown far away do not come back"
    explains = ("loss_grows", "dead_units", "saturated_units", "oscillation", "never_updated")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How good it is so far, and how far its steps reach."""
        course: Course = subject.course
        first, kernels = course.looks[0], course.probe.kernels
        if course.constant is not None and course.steps:
            yield {
                "layer": None,
                "loss": course.recent,
                "constant": course.constant,
                "lowest": course.lowest,
                "after_one_step": first.tried[1.0],
                "times": first.overshoot,
                "update_over_weight": min(look.ratio(kernels) for look in course.looks),
                "curvature": first.curvature,
                "learning_rate": course.rate,
                "fitting": _fitting_rate(course),
                "steps": course.steps,
                "looks": len(course.looks),
            }

    def wrong(self, v: Values) -> bool:
        """No better than a constant, with one of the three signs."""
        useless = v["loss"] > 0.95 * v["constant"]
        risen = v["loss"] > 2 * v["lowest"] > 0 and v["steps"] >= 3 * _TRIAL
        sustained = v["update_over_weight"] > _LONG and v["looks"] > 2
        return bool(useless and (v["times"] > _OVERSHOOTS or risen or sustained))

    def message(self, v: Values) -> str:
        """What a step does, and what has come of it."""
        if v["times"] > _OVERSHOOTS:
            sign = f"the first one took the loss of its own rows to {v['after_one_step']:.3g}"
        elif v["update_over_weight"] > _LONG:
            sign = f"each moves the weights by {v['update_over_weight']:.0%} of their size"
        else:
            sign = f"the loss had been {v['lowest']:.3g} before it rose"
        found = f"after {v['steps']} steps the loss is {v['loss']:.3g}, that of a constant {v['constant']:.3g}"
        return f"steps too long for learning_rate={v['learning_rate']:.3g}: {sign}; {found}."

    def fix(self, v: Values) -> str:
        """A rate that fits."""
        return f"optimizer with {_named_rate(v['fitting'])}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A rate that fits."""
        return repairs.rate(subject, v["fitting"])

    def bad(self) -> tuple[Any, ...]:
        """Adam with steps of 3."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("adam")(3.0))
        return model, points(), classes(3), {"epochs": 4}

    def good(self) -> tuple[Any, ...]:
        """With steps of 0.03."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("adam")(0.03))
        return model, points(), classes(3), {"epochs": 12}


# ---------------------------------------------------------------------- too slow, too few
def _pace(course: Course) -> dict[str, Any] | None:
    """How fast the loss of the sample falls, in the first and in the second half; None where that is not known."""
    end, steps = course.looks[-1], course.steps
    if course.constant is None or len(course.looks) < 2 or steps < _TRIAL:
        return None
    inner = [look for look in course.looks[1:-1] if 0.25 * steps <= look.step <= 0.75 * steps]
    if end.step < steps or not inner:
        before, fell, noise = _falls(course.losses)
    else:
        first, middle = course.looks[0], min(inner, key=lambda look: abs(look.step - steps / 2))
        levels = [look.steady - look.penalty for look in (first, middle, end)]
        before, fell = (levels[0] - levels[1]) / middle.step, (levels[1] - levels[2]) / (end.step - middle.step)
        noise = 0.0
    kernels, optimizer = course.probe.kernels, course.model.optimizer
    return {
        "layer": None,
        "loss": end.steady - end.penalty if end.step == steps else course.recent,
        "constant": course.constant,
        "fall_per_epoch": fell * course.per_epoch,
        "share_of_the_first_half": fell / before if before > 0 else math.inf,
        "certain": fell > max(noise, 0.01 * course.constant / steps),
        "update_over_weight": float(np.median([look.ratio(kernels) for look in course.looks])),
        "longer_is_better": end.tried.get(10.0, math.inf) < end.tried[1.0],
        "plain": type(optimizer).__name__ == "SGD" and optimizer.momentum < 0.5,
        "learning_rate": course.rate,
        "epochs": course.epochs,
        "per_epoch": course.per_epoch,
    }


def _falls(losses: Any) -> tuple[float, float, float]:
    """The fall of the loss a step in both halves of a training, from the means of its quarters, where there are too few
    looks; and twice its standard error."""
    means = [float(np.mean(part)) for part in np.array_split(losses, 4)]
    spread = float(np.std(np.diff(losses))) / math.sqrt(2)
    apart = len(losses) / 4
    return (means[0] - means[1]) / apart, (means[2] - means[3]) / apart, 2 * spread * math.sqrt(2 / apart) / apart


class _Slow(Check):
    """What the three checks of speed have in common."""

    phase, needs, place = "after", ("course",), "compile"
    rank = "symptom"
    explains = ("cannot_overfit",)
    kind = ""

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How fast the loss fell, how far the steps went."""
        found = _pace(subject.course)
        if found is not None:
            yield {**found, "needed": _needed(found)}

    def wrong(self, v: Values) -> bool:
        """Less than a quarter of a constant's loss is gone, and the speed is the reason: steps of a ten-thousandth, or a
        loss that falls in the second half at least half as fast as in the first."""
        falling = v["certain"] and v["share_of_the_first_half"] > 0.5
        tiny = 0 < v["update_over_weight"] < _SHORT
        return bool(v["loss"] > _LEFT * v["constant"] and (falling or tiny) and _kind(v) == self.kind)

    def message(self, v: Values) -> str:
        """Where it stands, how far a step goes, and what it would take."""
        so_far = (
            f"the loss is {v['loss']:.3g} after {counted(v['epochs'], 'epoch')}, that of a constant {v['constant']:.3g}"
        )
        more = f"; at this speed it takes about {counted(v['needed'], 'epoch')}" if v["needed"] else ""
        return f"{self.said}: {so_far}{more} (update/weight {v['update_over_weight']:.1g})."

    said = ""


def _kind(v: Values) -> str:
    if v["plain"] and (v["longer_is_better"] or v["update_over_weight"] < _SHORT):
        return "plain"
    return "rate" if v["update_over_weight"] < _SHORT else "epochs"


def _needed(v: Values) -> int | None:
    """The epochs until a quarter of a constant's loss is left, if it goes on falling like this; None for more than a million."""
    fall = v["fall_per_epoch"]
    if not fall > 0:
        return None
    needed = v["epochs"] + (v["loss"] - 0.25 * v["constant"]) / fall
    return int(float(f"{needed:.2g}")) if needed < 1e6 else None


class LearningRateTooLow(_Slow):
    """A training whose steps move the weights by less than a ten-thousandth of their size, and which has learnt little."""

    rules, kind = (33, 36), "rate"
    argument = "learning_rate"
    why = "the weights cannot get where they have to be in so many steps of that length"
    said = "the steps are too short"

    def fix(self, v: Values) -> str:
        """A rate with which a step is a thousandth of the weights."""
        return f"optimizer with {_named_rate(v['learning_rate'] * 1e-3 / max(v['update_over_weight'], 1e-9))}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Steps of a thousandth of the weights."""
        return repairs.rate(subject, v["learning_rate"] * 1e-3 / max(v["update_over_weight"], 1e-9))

    def bad(self) -> tuple[Any, ...]:
        """Adam with steps of a millionth."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("adam")(1e-6))
        return model, points(), classes(3), {"epochs": 5}

    def good(self) -> tuple[Any, ...]:
        """With steps of a hundredth."""
        return network(Dense(16, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}


class PlainStepsTooSlow(_Slow):
    """Gradient descent without momentum, with a rate that is too small for this problem."""

    rules, kind = (35, 33, 36), "plain"
    argument = "optimizer"
    why = "plain gradient descent goes as far as the gradient is long; where that is small it hardly moves"
    said = "plain SGD is too slow here"

    def fix(self, v: Values) -> str:
        """An optimizer that scales its steps."""
        return f"optimizer='adam', or SGD({_named_rate(10 * v['learning_rate'])}, momentum=0.9)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Tenfold steps with momentum."""
        return repairs.rate(subject, 10 * v["learning_rate"], momentum=0.9)

    def bad(self) -> tuple[Any, ...]:
        """A rate of three thousandths."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("sgd")(3e-3))
        return model, points(), classes(3), {"epochs": 8}

    def good(self) -> tuple[Any, ...]:
        """A rate of a fifth."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("sgd")(0.2))
        return model, points(), classes(3), {"epochs": 40}


class StoppedWhileImproving(_Slow):
    """A training that ended with the loss falling as fast as before and most of it still there."""

    rules, kind = (36, 33), "epochs"
    place, argument = "fit", "epochs"
    why = "the loss had not flattened: more steps of the same kind would have lowered it further"
    said = "training stopped while it was still improving"

    def fix(self, v: Values) -> str:
        """So many epochs."""
        longer = f", or learning_rate={3 * v['learning_rate']:.1g}" if v["longer_is_better"] else ""
        return f"epochs={v['needed'] or 10 * v['epochs']}{longer}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """More epochs."""
        return Repair(fit={"epochs": v["needed"] or 10 * v["epochs"]})

    def bad(self) -> tuple[Any, ...]:
        """A few steps."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("adam")(0.002))
        return model, points(), classes(3), {"epochs": 4}

    def good(self) -> tuple[Any, ...]:
        """Many."""
        model = network(Dense(16, "relu"), Dense(3), loss=sparse(), optimizer=Optimizer.named("adam")(0.01))
        return model, points(), classes(3), {"epochs": 40}


# ---------------------------------------------------------------------- penalties
class PenaltyOutweighsData(Check):
    """Weights on which a penalty pulls harder than the data, from the first step on. At the end of a training both pulls
    are equal by nature; what counts is the beginning."""

    rules, phase, needs = (51,), "during", ("course",)
    rank = "structure"
    argument = "kernel_regularizer"
    why = "the weights follow the penalty towards 0, whatever the data say"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The two pulls before the first step and, where there was one, at the next look: of the layer with the largest
        ratio that has a pull of the data, and the names of all layers whose penalty is the larger one."""
        course: Course = subject.course
        looks = course.looks[:2]
        pulls = {leaf: min(look.outweighed[leaf] for look in looks) for leaf in course.probe.penalised if looks}
        pulls = {leaf: pull for leaf, pull in pulls.items() if pull < _NO_DATA}
        if not pulls:
            return
        worst = max(pulls, key=pulls.__getitem__)
        factor = float(f"{0.1 / max(pulls[worst], 1e-30):.1g}")
        _, rule = repairs.penalty_on(subject, course.probe.layer_of(worst), worst.name)
        yield {
            "layer": course.probe.layer_of(worst),
            "weights": [leaf.name for leaf in pulls if pulls[leaf] > 1],
            "layers": [course.probe.layer_of(leaf) for leaf in pulls if pulls[leaf] > 1],
            "penalty_over_data": pulls[worst],
            "penalty": looks[0].penalty,
            "data_loss": looks[0].data,
            "factor": factor,
            "instead": "" if rule is None else f"{repairs.weaker(rule, factor)!r} instead of {rule!r}",
        }

    def wrong(self, v: Values) -> bool:
        """The penalty's gradient is the larger one, and there is one of the data."""
        return bool(v["penalty_over_data"] > 1)

    def message(self, v: Values) -> str:
        """How much larger, and what it costs."""
        times = f"the penalty pulls {v['penalty_over_data']:.3g} times as hard as the data"
        others = [name for name in v["layers"] if name != v["layer"]]
        too = f" (and harder than the data in {', '.join(others)}, too)" if others else ""
        return f"{times}{too}: it costs {v['penalty']:.3g} at the start, the data {v['data_loss']:.3g}."

    def fix(self, v: Values) -> str:
        """A tenth of the data's pull."""
        where = f" in {', '.join(v['layers'])}" if len(v["layers"]) > 1 else ""
        strength = (
            f"kernel_regularizer={v['instead']}" if v["instead"] else f"a penalty of {v['factor']:g} times its strength"
        )
        return f"{strength}{where}, or none"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A tenth of the data's pull."""
        layers: dict[str, dict[str, Any]] = {}
        for name, weights in zip(v["layers"], v["weights"], strict=True):
            key, rule = repairs.penalty_on(subject, name, weights)
            if rule is not None:
                layers.setdefault(name, {})[key] = repairs.weaker(rule, v["factor"])
        return Repair(layers=layers) if layers else None

    def bad(self) -> tuple[Any, ...]:
        """A penalty of 0.5 for each weight."""
        hidden = Dense(16, "relu", kernel_regularizer=L1(0.5))
        return network(hidden, Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}

    def good(self) -> tuple[Any, ...]:
        """A small one."""
        hidden = Dense(16, "relu", kernel_regularizer=L1(1e-5))
        return network(hidden, Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}
