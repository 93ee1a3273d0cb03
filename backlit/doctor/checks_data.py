"""Whether the numbers in X and y are of a size to learn from, and whether the held-out rows can judge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from ..train.feed import class_numbers
from . import repairs
from .programs import classes, network, points, sparse, values
from .subject import HeadFacts, Subject, evenly, keys

_LARGE = 10.0  # a feature of this standard deviation, or with a mean that many deviations from 0, is badly scaled
_SMALL = 0.01
_FAR = 100.0  # targets of this mean or deviation are far from what a fresh network gives
_USUAL_RATE = 0.01
_LISTED = 5
_LOOKED_AT = 500  # held-out rows that are looked for in X


class UnscaledInputs(Check):
    """Features whose size makes the first layer's sums huge, measured where they enter it: a `Normalization` or
    `Rescaling` before it counts, and so does any other arithmetic.

    Published criterion: |mean|/std above 10 or std outside of [0.01, 10]; never "outside of ±1". Two limits of it are
    drawn closer, since they would condemn data that train well: a mean counts only if it is itself above 10, and single
    features of small deviation do not count (pixels at the margin), only all of them together (`TinyInputs`).
    """

    rules, phase, needs, severity = (20,), "data", ("x",), "warning"
    place = "fit"
    argument = "X"
    why = "steps that suit the large features do nothing for the small ones, and units saturate or die"
    explains = ("loss_grows", "loss_at_start")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The features of largest deviation and mean before each first layer."""
        for one in subject.features:
            mean, std = one.mean, one.std
            far = np.where(np.abs(mean) > _LARGE, np.abs(mean) / np.maximum(std, 1e-12), 0.0)
            bad = np.flatnonzero((std > 0) & ((std > _LARGE) | (far > _LARGE)))
            bad = bad[one.varies(bad)] if len(bad) else bad
            worst = int(bad[np.argmax(np.maximum(std, np.abs(mean))[bad])]) if len(bad) else int(np.argmax(std))
            yield {
                "layer": one.product.layer,
                "features": len(mean),
                "unscaled": len(bad),
                "worst": worst,
                "mean": float(mean[worst]),
                "std": float(std[worst]),
            }

    def wrong(self, v: Values) -> bool:
        """There is one."""
        return bool(v["unscaled"])

    def message(self, v: Values) -> str:
        """The worst feature."""
        worst = f"feature {v['worst']} has mean {v['mean']:.3g} and standard deviation {v['std']:.3g}"
        return f"{v['unscaled']} of {v['features']} features of X are not scaled: {worst}."

    def fix(self, v: Values) -> str:
        """A layer that scales."""
        return "norm = bl.layers.Normalization(); norm.adapt(X); and norm as the first layer"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A Normalization of X."""
        return Repair(front=repairs.NORMALIZATION)

    def bad(self) -> tuple[Any, ...]:
        """One feature in thousands."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points() * [1, 4000, 1, 1], values()

    def good(self) -> tuple[Any, ...]:
        """The same, standardised."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values()


class TinyInputs(Check):
    """Features so small that the first layer sees next to nothing: pixels divided by 255 twice."""

    rules, phase, needs, severity = (20, 21), "data", ("x",), "warning"
    place = "fit"
    argument = "X"
    why = "the first layer's sums, and its gradients, shrink with its inputs"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The largest deviation and the largest number before each first layer."""
        for one in subject.features:
            yield {"layer": one.product.layer, "largest_std": float(one.std.max()), "largest": one.largest}

    def wrong(self, v: Values) -> bool:
        """All deviations are below 0.01, and all numbers below 0.02."""
        return bool(0 < v["largest_std"] < _SMALL and v["largest"] < 2 * _SMALL)

    def message(self, v: Values) -> str:
        """How small."""
        return f"all numbers of X are below {v['largest']:.2g}, as if they had been scaled twice."

    def fix(self, v: Values) -> str:
        """Scale once."""
        return "scale X once, as in X = pixels / 255, or put bl.layers.Normalization() in front"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A Normalization of X."""
        return Repair(front=repairs.NORMALIZATION)

    def bad(self) -> tuple[Any, ...]:
        """Pixels divided by 255 twice."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), np.abs(points()) / 255, values()

    def good(self) -> tuple[Any, ...]:
        """Divided once."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), np.abs(points()), values()


class UnscaledTargets(Check):
    """Targets in hundreds or more from a linear output, at one of the usual learning rates."""

    rules, phase, needs, severity = (22,), "data", ("x", "y"), "warning"
    place = "fit"
    argument = "y"
    why = "a fresh network gives numbers about 1: it takes thousands of steps to come near"
    explains = ("loss_grows", "loss_at_start")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Mean and deviation of y, for outputs that end with a layer's own weights."""
        for head in subject.heads:
            if head.reading.kind == "number" and head.bare:
                t = subject.targets(head)
                rate = float(subject.facts.model.optimizer.learning_rate)
                yield {"layer": head.layer, "mean": t.mean, "std": t.std, "learning_rate": rate}

    def wrong(self, v: Values) -> bool:
        """One of them is beyond 100, and the rate is not made for it."""
        return bool(max(abs(v["mean"]), v["std"]) > _FAR and v["learning_rate"] <= _USUAL_RATE)

    def message(self, v: Values) -> str:
        """How large they are."""
        return f"y has mean {v['mean']:.3g} and standard deviation {v['std']:.3g}; the output starts near 0."

    def fix(self, v: Values) -> str:
        """Scale inside the model, or outside."""
        scale, offset = f"{v['std'] or 1.0:.4g}", f"{v['mean']:.4g}"
        return f"bl.layers.Rescaling({scale}, {offset}) as the last layer, or fit (y - {offset}) / {scale}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A last layer that gives y its size; plain descent would make steps of that size, so y is scaled for it."""
        return repairs.scaled_targets(v, subject)

    def bad(self) -> tuple[Any, ...]:
        """Targets in thousands."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), 5000 + 900 * values()

    def good(self) -> tuple[Any, ...]:
        """The same, standardised."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values()


class ConstantFeatures(Check):
    """Features that have the same value in every row."""

    rules, phase, needs, severity = (24,), "data", ("x", "whole"), "note"
    place = "fit"
    argument = "X"
    why = "what never changes explains nothing"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Which columns of two-dimensional inputs never change."""
        for leaf, x in zip(subject.facts.inputs, subject.x, strict=True):
            if x.ndim == 2 and len(x) > 1:
                still = np.flatnonzero(np.ptp(np.asarray(x[subject.some_rows(200)]), axis=0) == 0)
                found = [int(column) for column in still if np.ptp(np.asarray(x[:, column])) == 0]
                counts = {"features": x.shape[1], "constant": len(found), "first": found[:_LISTED]}
                yield {"layer": None, "input": leaf.name, **counts}

    def wrong(self, v: Values) -> bool:
        """There are some."""
        return bool(v["constant"])

    def message(self, v: Values) -> str:
        """Which ones."""
        listed = ", ".join(map(str, v["first"])) + (" …" if v["constant"] > len(v["first"]) else "")
        return f"{v['constant']} of {v['features']} features of {v['input']} never change: {listed}."

    def fix(self, v: Values) -> str:
        """Leave them out."""
        return "X = X[:, X.std(axis=0) > 0]"

    def bad(self) -> tuple[Any, ...]:
        """A column of ones."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), np.c_[points(), np.ones(len(points()))], values()

    def good(self) -> tuple[Any, ...]:
        """Without it."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), values()


# ---------------------------------------------------------------------- the held-out rows
class TailOfOtherClasses(Check):
    """`validation_split` takes the last rows before shuffling: of sorted rows it takes whole classes away."""

    rules, phase, needs, severity = (30,), "data", ("y", "whole", "validation", "settings"), "warning"
    place = "fit"
    argument = "validation_split"
    why = "what is trained and what is judged are not the same task"
    explains = ("shifted_validation",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The classes of both sides, where a share of the rows was held out."""
        share = subject.settings.get("validation_split", 0.0)
        for head in subject.heads:
            if share and head.of_classes:
                here, there = (counts(side[head.place], head) for side in (subject.y, subject.validation.y))
                if here is not None and there is not None:
                    lost = [c for c in here if c not in there]
                    values = {
                        "never_trained": [c for c in there if c not in here],
                        "never_judged": lost,
                        "chance": _chance(lost, here, there),
                    }
                    yield {"layer": None, "share": share, **values}

    def wrong(self, v: Values) -> bool:
        """A class is never trained, or one is never judged that chance would not have left out."""
        return bool(v["never_trained"] or v["chance"] < 0.01)

    def message(self, v: Values) -> str:
        """Which classes."""
        never = f"never trained: {v['never_trained']}" if v["never_trained"] else f"never judged: {v['never_judged']}"
        return f"validation_split={v['share']:g} takes the last rows, whose classes differ ({never})."

    def fix(self, v: Values) -> str:
        """A split of every class."""
        return f"model.fit(X, y, validation_split={v['share']:g}, validation_stratify=True), or shuffle X and y first"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A split of every class."""
        return Repair(fit={"validation_stratify": True})

    def bad(self) -> tuple[Any, ...]:
        """Sorted rows."""
        order = np.argsort(classes(3), kind="stable")
        model = network(Dense(8, "relu"), Dense(3), loss=sparse())
        return model, points()[order], classes(3)[order], {"validation_split": 0.25}

    def good(self) -> tuple[Any, ...]:
        """Rows as they come."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"validation_split": 0.25}


def _chance(lost: Sequence[int], here: Mapping[int, int], there: Mapping[int, int]) -> float:
    """At most how likely it is that rows in random order leave so many classes, as frequent as these, without a row there.

    The smaller of two bounds. For few classes: the chance of these times how many sets of classes there are. For many:
    Chernoff's for the number of lost classes, which is `mean` on average, exp(lost - mean) (mean / lost)^lost.
    """
    if not lost:
        return 1.0
    trained, held, count = sum(here.values()), sum(there.values()), len(lost)
    mean = sum(math.exp(_log_absent(here[c] + there.get(c, 0), trained, held)) for c in here)
    number = count - mean + count * math.log(mean / count) if count > mean > 0 else 0.0
    these = _log_absent(sum(here[c] for c in lost), trained, held) + math.log(len(here) * math.comb(len(here), count))
    return math.exp(min(number, these, 0.0))


def _log_absent(rows: int, trained: int, held: int) -> float:
    """The logarithm of the chance that none of `rows` is among `held` ones, drawn from all."""
    every, others = trained + held, trained + held - rows  # C(others, held) / C(every, held)
    if others < held:
        return -math.inf
    gamma = math.lgamma
    return gamma(others + 1) - gamma(others - held + 1) - gamma(every + 1) + gamma(trained + 1)


def counts(y: Any, head: HeadFacts) -> dict[int, int] | None:
    """How often each class occurs; None where y holds shares, or several labels an example."""
    if y.ndim > 2 or (y.ndim == 2 and y.shape[1] > 1 and head.head.loss.labels):
        return None
    numbers = class_numbers(y)
    if (numbers != np.floor(numbers)).any():
        return None
    counts = np.bincount(numbers.astype(np.int64).clip(min=0))  # below 0 is a class to ignore
    return {label: int(count) for label, count in enumerate(counts) if count}


class ValidationRowsInTraining(Check):
    """Held-out rows that are training rows: what they measure is memory."""

    rules, phase, needs, severity = (26,), "data", ("x", "whole", "validation"), "warning"
    place = "fit"
    argument = "validation_data"
    why = "a model is judged by rows that it has not seen; on these it can only look good"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of held-out rows that stand in X, and that of rows of X that stand there twice. Of very many rows of X
        only some are looked at, and as many more of the others: what is found among them is a share of what there is.
        """
        held, own = subject.validation.x, subject.keys
        share = len(own) / subject.rows
        rows = evenly(len(held[0]), round(_LOOKED_AT / share))
        table = np.sort(own)
        again = _times(keys([part[rows] for part in held]), table) >= 1
        twice = _times(own[evenly(len(own), round(_LOOKED_AT / share))], table) >= 2
        yield {
            "layer": None,
            "looked_at": len(rows),
            "in_training": min(1.0, float(again.mean()) / share),
            "training_twice": min(1.0, float(twice.mean()) / share),
        }

    def wrong(self, v: Values) -> bool:
        """More than one in twenty, and thrice as many as repeat themselves anyway."""
        return bool(v["in_training"] > 0.05 and v["in_training"] > 3 * v["training_twice"])

    def message(self, v: Values) -> str:
        """How many."""
        return f"{v['in_training']:.0%} of the validation rows are training rows ({v['looked_at']} were looked at)."

    def fix(self, v: Values) -> str:
        """Other rows."""
        return "model.fit(X[:n], y[:n], validation_data=(X[n:], y[n:]))"

    def bad(self) -> tuple[Any, ...]:
        """The first training rows."""
        held = {"validation_data": (points()[:30], classes(3)[:30])}
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), held

    def good(self) -> tuple[Any, ...]:
        """Rows kept apart."""
        x, y = points(), classes(3)
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), x[30:], y[30:], {"validation_data": (x[:30], y[:30])}


def _times(keys: Any, table: Any) -> Any:
    """How often each key stands in the sorted table."""
    return np.searchsorted(table, keys, "right") - np.searchsorted(table, keys, "left")
