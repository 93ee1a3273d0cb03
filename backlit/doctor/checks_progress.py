"""How the loss went, step by step: whether it was thrown away by a gradient that exploded, or stands still."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from ..train.optimizers import Optimizer
from ..train.schedules import PiecewiseConstantDecay
from .checks_training import _clipped
from .programs import classes, network, points, sparse, values
from .subject import Subject
from .watch import Course

_TRIAL = 10  # steps: of fewer nobody expects anything
_BLOCKS = 20  # of steps, at most
_TIMES, _GROWTH, _IN_A_ROW = 1e3, 2.0, 5  # published: times the median, or so many times as long, so often
_THROWN = 0.1  # of a constant's loss: less is a tremble of something that is learnt
_LEFT = 0.5  # of a constant's loss: with less left, a loss that stands still has arrived
_SURE = 3.0  # standard errors


class ExplodingGradient(Check):
    """A gradient that grew to a thousand times its size, or at least doubled five times in a row, and a loss that went up
    with it and stayed there. A spike after which the loss comes back is none."""

    rules, phase, needs = (40,), "after", ("course",)
    place, argument = "compile", "global_clipnorm"
    why = "one step along such a gradient throws the weights far away; clipped, it goes the same way and no farther than usual"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The gradient where the loss was lowest, and the largest and the longest growth after that."""
        course: Course = subject.course
        losses, norms = course.losses, course.norms
        if len(losses) < _TRIAL or _clipped(course.model.optimizer):
            return
        size = max(_IN_A_ROW, len(losses) // _BLOCKS)
        starts = np.arange(len(losses) % size, len(losses), size)
        levels = np.median(losses[starts[0] :].reshape(-1, size), axis=1)
        low, last = int(levels.argmin()), float(levels[-1])
        risen = last - float(levels[low])
        found: Values = {"times": 1.0, "doubled": 0}
        if risen > max(float(levels[low]), _THROWN * _yardstick(course)):
            found = _growth(norms, int(starts[low]), size)
        yield {"layer": None, "lowest": float(levels[low]), "loss": last, "risen": risen, "steps": len(losses), **found}

    def wrong(self, v: Values) -> bool:
        """More than a thousand times the norm, or five doublings in a row."""
        return bool(v["times"] > _TIMES or v["doubled"] >= _IN_A_ROW)

    def message(self, v: Values) -> str:
        """How far it grew, and what came of it."""
        grew = f"the norm of the gradient grew from {v['calm']:.2g} to {v['largest']:.2g} (step {v['step']})"
        return f"{grew}, and the loss from {v['lowest']:.3g} to {v['loss']:.3g}."

    def fix(self, v: Values) -> str:
        """What the norm was before, as a limit."""
        return f"optimizer with global_clipnorm={v['usual']:.1g}, what nine steps in ten had before, or a smaller learning_rate"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The limit."""
        return Repair(optimizer={"global_clipnorm": float(f"{v['usual']:.1g}")})

    def bad(self) -> tuple[Any, ...]:
        """A rate that is raised beyond what the curvature allows, when the loss is low; it is a loss of one's own, for which
        a constant is no yardstick."""
        return self._trained(3.0), points(), values(), {"epochs": 120, "batch_size": 96}

    def good(self) -> tuple[Any, ...]:
        """One that is not."""
        return self._trained(0.3), points(), values(), {"epochs": 60, "batch_size": 48}

    def _trained(self, then: float) -> Any:
        schedule = PiecewiseConstantDecay([100], [0.3, then])
        return network(Dense(1), loss=_held, optimizer=Optimizer.named("sgd")(schedule))


def _held(y: Any, p: Any) -> Any:
    squares = (y - p) * (y - p)
    return squares / (1.0 + squares) - 2.0


def _yardstick(course: Course) -> float:
    """What a constant prediction costs, or what the loss was at first."""
    return course.constant if course.constant is not None else abs(float(course.losses[0]))


def _growth(norms: Any, low: int, size: int) -> Values:
    """How far the gradient grew from step `low` on, where the loss was lowest."""
    calm, after = float(np.median(norms[low : low + size])), norms[low:]
    peak = int(np.nanargmax(after))
    shorter = np.flatnonzero(np.concatenate([[True], after[1:] < _GROWTH * after[:-1], [True]]))
    most = int(np.diff(shorter).max()) - 1
    return {
        "times": float(after[peak]) / max(calm, 1e-30),
        "doubled": most if after[peak] > _GROWTH**_IN_A_ROW * calm else 0,
        "step": low + peak + 1,
        "calm": calm,
        "largest": float(after[peak]),
        "usual": float(np.quantile(norms[: low + size], 0.9)) or float(after[peak]) / _TIMES,
    }


class LossStandsStill(Check):
    """A loss that has not fallen, rises, or no longer falls far above what could be hoped for, beyond what the steps
    scatter. That is a symptom: it is told below its cause, and by itself only says that none was found."""

    rules, phase, needs, severity = (47,), "after", ("course",), "note"
    place, argument = "compile", "loss"
    why = "this is a symptom, not a cause; a network that cannot learn a few rows by heart has a fault, one that can has hard data"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The trend of the second half of the steps, its standard error, and what is left of a constant's loss."""
        course: Course = subject.course
        losses = course.losses
        if len(losses) < 4 * _TRIAL or not np.isfinite(losses).all():
            return
        second = losses[len(losses) // 2 :]
        trend, error = _trend(second)
        yield {
            "layer": None,
            "loss": course.recent,
            "first": float(losses[: max(1, len(losses) // 20)].mean()) - course.looks[-1].penalty,
            "constant": course.constant,
            "trend": trend,
            "standard_error": error,
            "steps": len(second),
            "rules": _that_apply(subject),
        }

    def wrong(self, v: Values) -> bool:
        """It rises for certain, or moves by less than a hundredth or by chance, with half of a constant's loss left."""
        return bool(_kind(v))

    def message(self, v: Values) -> str:
        """Where it stands."""
        scale = (
            f"that of a constant is {v['constant']:.3g}" if v["constant"] is not None else f"it was {v['first']:.3g}"
        )
        went = {
            "rises": "rises by",
            "flat": "stands still: it changed by",
            "plateau": "has stopped falling: it changed by",
        }
        moved = f"{v['trend']:+.1g} ± {v['standard_error']:.1g} over the last {v['steps']} steps"
        return f"the loss ({v['loss']:.3g}; {scale}) {went[_kind(v)]} {moved}."

    def fix(self, v: Values) -> str:
        """What to try."""
        tried = "model.diagnose(X, y, overfit=True), since a few rows must be learnt by heart, then more units or other features"
        return f"{v['rules']} rules were checked and found no cause; {tried}"

    def bad(self) -> tuple[Any, ...]:
        """Numbers of which X tells nothing, after all that could be learnt is."""
        y = np.random.Generator(np.random.PCG64(4)).normal(size=len(points()))
        return network(Dense(1), loss="mse", optimizer=Optimizer.named("adam")(0.03)), points(), y, {"epochs": 60}

    def good(self) -> tuple[Any, ...]:
        """Labels that follow from X."""
        return network(Dense(16, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}


def _trend(losses: Any) -> tuple[float, float]:
    """By how much the loss changed in these steps, by a line through the means of eight blocks; and its standard error."""
    means = np.array([part.mean() for part in np.array_split(losses, 8)])
    way = np.linspace(-0.5, 0.5, 8)
    slope = float(means @ way / (way @ way))
    rest = means - means.mean() - slope * way
    return slope, math.sqrt(float(rest @ rest) / 6 / float(way @ way))


def _kind(v: Values) -> str:
    """Whether it "rises", is "flat" or on a "plateau", or nothing of that; where a constant is no yardstick, not the last."""
    base = v["constant"] if v["constant"] is not None else abs(v["first"])
    least = 0.01 * max(base, 1e-30)
    certain = v["trend"] > _SURE * v["standard_error"] or v["loss"] > 2 * base
    if certain and v["trend"] > 5 * least and v["loss"] > _THROWN * base:
        return "rises"
    still = abs(v["trend"]) < max(least, 2 * v["standard_error"])
    if not still or v["loss"] < _LEFT * base:
        return ""
    if v["loss"] > 0.95 * base:
        return "flat"
    return "plateau" if v["constant"] is not None else ""


def _that_apply(subject: Subject) -> int:
    """How many checks had what they need."""
    kinds = [Check.named(name) for name in Check.names()]
    return sum(all(map(subject.has, kind.needs)) for kind in kinds)
