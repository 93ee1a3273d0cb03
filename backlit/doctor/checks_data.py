"""Whether the numbers in X and y are of a size to learn from, and whether the held-out rows can judge."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..core.node import FLOATS, Leaf
from ..layers.dense import Dense
from ..layers.preprocessing import Rescaling
from ..train.feed import class_numbers
from . import repairs
from .programs import classes, network, points, sparse, values
from .ranges import plain
from .subject import MOST_ROWS, HeadFacts, Subject, evenly, keys

_LARGE = 10.0  # a feature of this standard deviation, or with a mean that many deviations from 0, is badly scaled
_SMALL = 0.01
_FAR = 100.0  # targets of this mean or deviation are far from what a fresh network gives
_USUAL_RATE = 0.01
_LISTED = 5
_LOOKED_AT = 500  # held-out rows that are looked for in X
_COPIES = 0.1  # of the held-out rows: fewer may be the odd pairs that every table has
_MOST, _LEAST = 0.9, 100  # nearly all of at least so many different rows
_RARE, _OFTEN, _TWICE = 0.01, 0.5, 3  # a code stands in so large a share of the rows, and in so many at least
_DISTANT, _VALUES = 10.0, 20  # inter-quartile ranges away from so many other values
_ENOUGH, _MOST_LOOKED_AT = 40, 100_000  # rows; numbers


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


class CodeAmongNumbers(Check):
    """A column of many values in which one value stands again and again, far from all others: -9999 for what was not
    measured, or what a scaler made of it.

    Zeros of a column that is 0 or near 0 (rain, counts) lie next to the others, and a column of few values is none of
    numbers: neither is meant. What layers in front replace is not seen by the first product, and does not count.
    """

    rules, phase, needs, sure = (23, 20), "data", ("x",), 0.9
    place, argument = "fit", "X"
    why = "sums, means and deviations take it for a number: the differences between the others become tiny beside it"
    explains = (
        *("unscaled_inputs", "tiny_inputs", "loss_grows", "loss_at_start", "first_step_explodes", "steps_too_long"),
        *("stopped_while_improving", "learning_rate_too_low", "shifted_validation", "dead_units", "saturated_units"),
    )

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The column in which such a value is commonest, of every table among the inputs."""
        for leaf, x in zip(subject.facts.inputs, subject.x, strict=True):
            if x.ndim == 2 and leaf.dtype in FLOATS:
                rows = subject.some_rows(min(MOST_ROWS, max(200, _MOST_LOOKED_AT // max(1, x.shape[1]))))
                found = _codes(np.asarray(x[rows])) if len(rows) >= _ENOUGH else []
                worst = max(found, key=lambda each: each["share"], default=None)
                seen = worst is not None and any(_codes(one.values) for one in subject.features)
                yield {"layer": None, "input": leaf.name, "columns": len(found), **(worst or {}), "seen": seen}

    def wrong(self, v: Values) -> bool:
        """There is one, and the first layer with weights is given it."""
        return bool(v["seen"])

    def message(self, v: Values) -> str:
        """The column and the value."""
        more = f", and {v['columns'] - 1} columns more like it" if v["columns"] > 1 else ""
        return (
            f"column {v['column']} of {v['input']} is {v['value']:.5g} in {v['share']:.0%} of the rows, and otherwise "
            f"between {v['low']:.4g} and {v['high']:.4g}: a code for missing values{more}."
        )

    def fix(self, v: Values) -> str:
        """The mean of the others."""
        column = f"X[:, {v['column']}]"
        known = (
            f"gone = np.isclose({column}, {v['value']:.6g}); X[gone, {v['column']}] = X[~gone, {v['column']}].mean()"
        )
        return f"{known}; scale X after that, and not before (and gone as a column of its own, where it may tell something)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The mean of the others in its place, in every such column, and what is left standardised; None where a layer in
        front knows the old numbers."""
        if len(subject.x) != 1 or any(not isinstance(plain(one.product.data), Leaf) for one in subject.features):
            return None
        codes = _codes(np.asarray(subject.x[0][subject.some_rows(MOST_ROWS)]))

        def replaced(x: Any) -> Any:
            x = np.array(x, dtype=np.float64)
            for each in codes:
                column = x[:, each["column"]]
                known = np.where(np.isclose(column, each["value"]), each["mean"], column)
                x[:, each["column"]] = (known - each["mean"]) / each["std"]
            return x

        return Repair(x=replaced)

    def bad(self) -> tuple[Any, ...]:
        """A tenth of a column is -999, and scaled with the rest."""
        x = points()
        x[::10, 1] = -999.0
        return network(Dense(8, "relu"), Dense(1), loss="mse"), (x - x.mean(axis=0)) / x.std(axis=0), values()

    def good(self) -> tuple[Any, ...]:
        """The mean of the others instead."""
        x = points()
        x[::10, 1] = 0.0
        return network(Dense(8, "relu"), Dense(1), loss="mse"), (x - x.mean(axis=0)) / x.std(axis=0), values()


def _codes(x: Any) -> list[dict[str, Any]]:
    """The columns whose largest or smallest value stands in 1 % to 50 % of the rows, at a distance from the others that is
    more than ten times their inter-quartile range, and more than all of their range; there must be many others."""
    found: list[dict[str, Any]] = []
    for end in (x.min(axis=0), x.max(axis=0)):
        same = x == end
        times = same.sum(axis=0)
        usual = (times >= max(_TWICE, _RARE * len(x))) & (times <= _OFTEN * len(x))
        if not usual.any():
            continue
        columns = np.flatnonzero(usual)
        others = np.where(same[:, columns], np.nan, x[:, columns]).astype(np.float64)
        low, high = np.nanmin(others, axis=0), np.nanmax(others, axis=0)
        gap = np.maximum(low - end[columns], end[columns] - high)
        for place in np.flatnonzero((gap > high - low) & (high > low)):
            rest = others[~same[:, columns[place]], place]
            quarter = float(np.ptp(np.quantile(rest, (0.25, 0.75))))
            if gap[place] > _DISTANT * quarter > 0 and len(np.unique(rest)) >= _VALUES:
                column = int(columns[place])
                others_are = {"low": float(low[place]), "high": float(high[place]), "spread": quarter}
                others_are |= {"mean": float(rest.mean()), "std": float(rest.std())}
                share = float(times[column]) / len(x)
                found.append({"column": column, "value": float(end[column]), "share": share, **others_are})
    return found


class TinyInputs(Check):
    """Features so small that the first layer sees next to nothing: pixels divided by 255 twice."""

    rules, phase, needs, severity = (20, 21), "data", ("x",), "warning"
    place = "fit"
    argument = "X"
    why = "the first layer's sums, and its gradients, shrink with its inputs"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The largest deviation and the largest number before each first layer, that of X, and the layer that rescales it."""
        scaling = [layer.name for layer in subject.facts.model.everything() if isinstance(layer, Rescaling)]
        parts = [part[subject.some_rows(64)] for part in subject.x] if len(scaling) == 1 else []
        given = max((float(np.abs(np.asarray(part, dtype=np.float64)).max()) for part in parts), default=0.0)
        for one in subject.features:
            yield {
                "layer": one.product.layer,
                "largest_std": float(one.std.max()),
                "largest": one.largest,
                "largest_of_X": given,
                "rescaling": scaling[0] if given > 10 * one.largest else None,
            }

    def wrong(self, v: Values) -> bool:
        """All deviations are below 0.01, and all numbers below 0.02."""
        return bool(0 < v["largest_std"] < _SMALL and v["largest"] < 2 * _SMALL)

    def message(self, v: Values) -> str:
        """How small."""
        if v["rescaling"]:
            return f"X is at most {v['largest_of_X']:.3g}, and {v['rescaling']} makes it {v['largest']:.2g}: it is scaled twice."
        return f"all numbers of X are below {v['largest']:.2g}, as if they had been scaled twice."

    def fix(self, v: Values) -> str:
        """Scale once."""
        if v["rescaling"]:
            return f"leave out the layer {v['rescaling']}: X is scaled already"
        return "scale X once, as in X = pixels / 255, or put bl.layers.Normalization() in front"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """One scaling less, or a Normalization of X."""
        if v["rescaling"]:
            return Repair(dropped=(v["rescaling"],))
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
    """Held-out rows that are training rows: what they measure is memory.

    Rows of X that stand there several times are no surprise in a table of a few discrete columns, and then some stand
    among the held-out ones, too. Where a row is told from all others by each of several columns, only a copy is equal.
    """

    rules, phase, needs, severity = (26,), "data", ("x", "y", "whole", "validation"), "warning"
    place = "fit"
    argument = "validation_data"
    why = "a model is judged by rows that it has not seen; on these it can only look good"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of held-out rows that stand in X, and that of rows of X that stand there twice; and whether these are
        copies. Of very many rows of X only some are looked at, and as many more of the others: what is found among them
        is a share of what there is.
        """
        held, own = subject.validation.x, subject.keys
        share = len(own) / subject.rows
        rows = evenly(len(held[0]), round(_LOOKED_AT / share))
        table = np.sort(own)
        again = _times(keys([part[rows] for part in held]), table) >= 1
        twice = _times(own[evenly(len(own), round(_LOOKED_AT / share))], table) >= 2
        found = min(1.0, float(again.mean()) / share)
        yield {
            "layer": None,
            "looked_at": len(rows),
            "in_training": found,
            "training_twice": min(1.0, float(twice.mean()) / share),
            "copied": _copied(subject) if found > _COPIES else False,
        }

    def wrong(self, v: Values) -> bool:
        """More than one in twenty, and thrice as many as repeat themselves anyway; or more than one in ten, where rows of
        X were copied."""
        return bool((v["in_training"] > 0.05 and v["in_training"] > 3 * v["training_twice"]) or v["copied"])

    def message(self, v: Values) -> str:
        """How many."""
        what = f"{v['in_training']:.0%} of the validation rows are training rows ({v['looked_at']} were looked at)"
        return (
            f"{what}: rows were copied before the split, {v['training_twice']:.0%} of X." if v["copied"] else f"{what}."
        )

    def fix(self, v: Values) -> str:
        """Other rows."""
        if v["copied"]:
            return (
                "split first and copy rows of the training part alone; or no copies, and class_weight='balanced' in fit"
            )
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


def _copied(subject: Subject) -> bool:
    """Whether rows of X that are equal are copies: their y are equal, too, and each of several columns tells most rows from
    all others, by numbers that stand in no other column, as those of overlapping windows do."""
    own, y = subject.keys, keys([np.asarray(part) for part in subject.y])
    if len(own) < len(y):
        return False
    _, first, group, times = np.unique(own, return_index=True, return_inverse=True, return_counts=True)
    again = (times[group] > 1) & (group != times.argmax())  # one row that is there again and again may be all zeros
    if len(first) < _LEAST or again.mean() < _COPIES or (y == y[first][group])[again].mean() < _MOST:
        return False
    some = first[evenly(len(first), MOST_ROWS)]
    return sum(_telling(part, some) for part in subject.x) > 1


def _telling(x: Any, rows: Any) -> int:
    """How many columns (of 16 at most) tell nearly all of these rows from one another, by numbers of their own."""
    flat = x if x.ndim == 2 else np.reshape(x, (len(x), -1))
    columns = np.asarray(flat[:, evenly(flat.shape[1], 16)])
    found = [place for place, column in enumerate(columns[rows].T) if len(np.unique(column)) >= _MOST * len(rows)]
    others = (np.isin(columns[rows, place], np.delete(columns, place, axis=1)).mean() for place in found)
    return sum(shared < 1 - _MOST for shared in others)
