"""Whether the rows of X and y belong together, and whether the held-out rows are of the same kind."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..core.node import FLOATS, Leaf
from ..layers.dense import Dense
from .checks_data import counts
from .programs import classes, network, points, sparse
from .ranges import plain
from .relation import Relation, enough, plain_relation, relation
from .subject import HeadFacts, Subject, evenly

_COLUMNS, _LAST_DIGITS = 8, 2e-5
_MOST_SCALED = 50_000  # rows: a mean of 0 is that of all of them
_FIRST_ROWS, _ROWS = 200, 1000  # most relations show in a few
_TARGETS = 8
_MANY = 0.05
_FEWEST, _MOST, _LEAST_ROWS = 3, 100, 5  # columns of X, and rows for each of them, where lines are looked for
_NUMBERS = 8_000  # of X that are ranked, or more of many columns
_ALIKE, _MOSTLY = 0.5, 0.6  # shares of variance: within rows, between lines
_BY_CHANCE = 4.0  # an F that is no sign of a difference


class TargetsDoNotFollow(Check):
    """Targets that go neither with a feature, nor with a product of two, nor with the targets of the nearest rows: as if X
    or y had been shuffled alone.

    It is said only where so many rows would have shown a relation that explains a tenth of y, and where there are other
    rows than these: a table of all combinations can only be learnt by heart.
    """

    rules, phase, needs, sure = (28, 45), "data", ("x", "y"), 0.9
    place, argument = "fit", "y"
    why = "what is not in X cannot be learnt from it: the training rows are learnt by heart, others are guessed"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The three tests, for networks whose first layer sees the whole row."""
        if not _whole_row(subject):
            return
        for head in subject.heads:
            found = _tested(plain_relation, subject, head, _FIRST_ROWS) or _tested(relation, subject, head, _ROWS)
            if found is not None:
                yield {
                    "layer": None,
                    "target": head.head.name,
                    "rows": found.rows,
                    "single": found.single,
                    "pairs": found.pairs,
                    "nearest": found.nearest,
                    "alike": found.alike,
                    "related": found.seen or _every_combination(subject.x[0]),
                }

    def wrong(self, v: Values) -> bool:
        """No test sees a relation."""
        return not v["related"]

    def message(self, v: Values) -> str:
        """What was looked at."""
        return (
            f"y does not follow from X in {v['rows']} rows: the y of the nearest rows go with a row's own by {v['alike']:.2f}"
            " (chance: 0), and no feature does."
        )

    def fix(self, v: Values) -> str:
        """Shuffle both together."""
        return "one order for both: order = rng.permutation(len(X)); X, y = X[order], y[order]"

    def bad(self) -> tuple[Any, ...]:
        """Rows in another order than their targets."""
        x = np.random.Generator(np.random.PCG64(5)).normal(size=(400, 4))
        y = (x @ [1.0, -2.0, 0.5, 1.0])[np.random.Generator(np.random.PCG64(6)).permutation(400)]
        return network(Dense(8, "relu"), Dense(1), loss="mse"), x, y

    def good(self) -> tuple[Any, ...]:
        """In the same order."""
        x = np.random.Generator(np.random.PCG64(5)).normal(size=(400, 4))
        return network(Dense(8, "relu"), Dense(1), loss="mse"), x, x @ [1.0, -2.0, 0.5, 1.0], {"epochs": 10}


def _tested(
    test: Callable[[Any, Any], Relation | None], subject: Subject, head: HeadFacts, most: int
) -> Relation | None:
    """What the test says of so many rows, if these are enough."""
    rows = subject.some_rows(most)
    if not enough(len(rows)):
        return None
    return test(np.asarray(subject.x[0][rows]), _targets(head, np.asarray(subject.y[head.place][rows])))


def _whole_row(subject: Subject) -> bool:
    """Whether there is one input, of numbers, and the first product sees all of a row."""
    leaves, first = subject.facts.inputs, subject.facts.trained.first
    wide = math.prod(dim for dim in leaves[0].shape[1:] if isinstance(dim, int))
    return len(leaves) == 1 and leaves[0].dtype in FLOATS and any(one.fan_in == wide for one in first)


def _targets(head: HeadFacts, y: Any) -> Any:
    """The targets as columns of numbers: labels as one column a class."""
    if head.head.loss.labels:
        y = y.reshape(-1, 1) == np.unique(y)[:_TARGETS]
    y = y.reshape(len(y), -1)
    return y[:, evenly(y.shape[1], _TARGETS)].astype(np.float64)


def _every_combination(x: Any) -> bool:
    """Whether the rows are all combinations of the values of their columns."""
    every = len(x)
    for rows in (evenly(every, _ROWS), slice(None)):  # a few rows have more combinations than there are rows, mostly
        some, total = np.reshape(x[rows], (-1, math.prod(x.shape[1:]))), 1
        for column in some.T:
            total *= len(np.unique(column))
            if total > every:
                return False
    return len(np.unique(some, axis=0)) == total


class ReshapedForTransposed(Check):
    """X made by reshape of an array that has a line for each quantity and a place in it for each example: the rows are
    pieces of lines, so that they come in as many blocks as X has columns, each of the level of one quantity.

    The blocks must end where lines end: cut elsewhere, they explain much less. So measured, a series that drifts, or rows
    that come group by group, are none; nor is an X whose blocks y goes with.
    """

    rules, phase, needs, sure = (28, 57), "data", ("x", "y", "whole"), 0.9
    place, argument = "fit", "X"
    explains = ("targets_do_not_follow", "too_small", "loss_stands_still", "learning_rate_too_low", "overfitting")
    why = "reshape keeps the order of the numbers: a row then has one quantity of many examples, and y belongs to none"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How much of the differences between the numbers of X lies between lines, cut rightly and cut elsewhere; and
        whether y differs between blocks."""
        x, y, share = subject.x[0], subject.y, self._held(subject)
        if len(subject.x) > 1 or x.ndim != 2 or subject.facts.inputs[0].dtype not in FLOATS:
            return
        rows, columns = len(x) + share, x.shape[1]
        if not _FEWEST <= columns <= _MOST or rows < _LEAST_ROWS * columns:
            return
        if _within(np.asarray(x[evenly(len(x), 200)])) > _ALIKE:
            return
        right, *others = _between_lines(x, rows)
        blocks = np.arange(len(x)) * columns // rows
        heads = (_targets(head, np.asarray(y[head.place])) for head in subject.heads)
        yield {
            "layer": None,
            "rows": rows,
            "columns": columns,
            "between": right,
            "cut_elsewhere": max(others),
            "y_by_block": max(_variance_ratio(each, blocks) for each in heads),
        }

    def _held(self, subject: Subject) -> int:
        """How many rows behind these `validation_split` took."""
        split = subject.has("settings") and subject.settings.get("validation_split") and subject.has("validation")
        return len(subject.validation.x[0]) if split else 0

    def wrong(self, v: Values) -> bool:
        """Most lies between the lines, less than half as much is left within them as with any other cut, and y is no
        different from block to block."""
        left, elsewhere = 1 - v["between"], 1 - v["cut_elsewhere"]
        return bool(v["between"] > _MOSTLY and left < elsewhere / 2 and v["y_by_block"] < _BY_CHANCE)

    def message(self, v: Values) -> str:
        """The blocks."""
        blocks = f"{v['columns']} blocks of {v['rows'] / v['columns']:.4g} rows"
        return (
            f"X ({v['rows']}, {v['columns']}) has as many levels as columns, in {blocks}, and y does not go with them: an "
            f"array of {v['columns']} lines was reshaped, where it had to be transposed."
        )

    def fix(self, v: Values) -> str:
        """The transpose."""
        return f"X = lines.T, not lines.reshape(-1, {v['columns']}); of this X: X.reshape({v['columns']}, -1).T"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The transpose, standardised."""
        in_front = any(not isinstance(plain(one.product.data), Leaf) for one in subject.features)
        if in_front or len(subject.x[0]) < v["rows"]:
            return None
        lines = np.reshape(np.asarray(subject.x[0][:]), (v["columns"], -1))
        mean, std = lines.mean(axis=1), np.maximum(lines.std(axis=1), 1e-12)
        return Repair(x=lambda x: (np.reshape(np.asarray(x), (v["columns"], -1)).T - mean) / std)

    def bad(self) -> tuple[Any, ...]:
        """Four quantities, a line for each."""
        x = points() * [0.4, 0.3, 0.5, 0.4] + [3.0, -1.0, 1.0, 5.0]
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), x.T.reshape(-1, 4), classes(3)

    def good(self) -> tuple[Any, ...]:
        """A column for each, of one size."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)


def _within(rows: Any) -> float:
    """Which share of the variance of all numbers is that within rows."""
    rows = rows.astype(np.float64)
    return float(rows.var(axis=1).mean() / max(float(rows.var()), 1e-30))


def _between_lines(x: Any, every: int) -> list[float]:
    """Which share of the variance of the ranks of the numbers of X lies between lines of so many numbers, as they are, and
    cut a quarter, a half and three quarters of a line later."""
    columns = x.shape[1]
    rows = evenly(len(x), max(_NUMBERS // columns, _LEAST_ROWS * columns))
    values = np.asarray(x[rows]).reshape(-1)
    places = (rows[:, np.newaxis] * columns + np.arange(columns)).reshape(-1)
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    cuts = (0, every // 4, every // 2, 3 * every // 4)
    return [_explained(ranks[:, np.newaxis], (places + cut) // every) for cut in cuts]


def _explained(values: Any, group: Any) -> float:
    """Which share of the variance of these columns lies between groups, at most."""
    count = np.bincount(group)
    means = np.stack([np.bincount(group, column) for column in values.T], axis=1) / np.maximum(count, 1)[:, np.newaxis]
    between = (count[:, np.newaxis] * (means - values.mean(axis=0)) ** 2).sum(axis=0) / len(values)
    return float((between / np.maximum(values.var(axis=0), 1e-30)).max())


def _variance_ratio(values: Any, group: Any) -> float:
    """The F of an analysis of variance, about 1 where the groups do not differ; the largest of all columns."""
    share, groups = _explained(values, group), int(group[-1]) + 1
    return share / max(1 - share, 1e-12) * (len(values) - groups) / max(groups - 1, 1)


class ConflictingLabels(Check):
    """Rows of X that stand there several times with different labels. Coincidences do not count: rows of a few discrete
    columns meet by chance, and then both answers may be right."""

    rules, phase, needs = (29, 28), "data", ("x", "y", "whole")
    place, argument = "fit", "y"
    why = "of two answers to the same question a network can give one: the other one is always wrong"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of such rows and the best accuracy that they leave."""
        if subject.rows > _MOST_COMPARED:
            return
        for head in subject.heads:
            labels = _labels(subject, head)
            if labels is not None and len(labels) > 1:
                places, group = _equal(subject.keys)
                mixed, right = _mixed(group, labels[places])
                yield {
                    "layer": None,
                    "conflicting": float(mixed[group].sum() / len(labels)),
                    "best_accuracy": float((len(labels) - len(places) + right) / len(labels)),
                    "rows": [int(each) for each in places[group == mixed.argmax()][:2]] if mixed.any() else [],
                    "by_chance": _coincidences(subject.x) if mixed.any() else 0.0,
                }

    def wrong(self, v: Values) -> bool:
        """More than one row in twenty, where hardly one pair would meet by chance."""
        return bool(v["conflicting"] > _MANY and v["by_chance"] < 1)

    def message(self, v: Values) -> str:
        """How many, and what that means."""
        such = f"such as rows {' and '.join(map(str, v['rows']))}"
        return (
            f"{v['conflicting']:.0%} of the rows have an equal row with another y ({such}): no accuracy above "
            f"{v['best_accuracy']:.1%} is possible."
        )

    def fix(self, v: Values) -> str:
        """Look at them."""
        return f"look at X[{v['rows'][0]}], X[{v['rows'][1]}] and their y: correct the label, or leave one of them out"

    def bad(self) -> tuple[Any, ...]:
        """A third of the rows again, with the other label."""
        x, y = points(), classes(2)
        both = np.concatenate([x, x[:32]]), np.concatenate([y, 1 - y[:32]])
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), *both

    def good(self) -> tuple[Any, ...]:
        """Every row once."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)


_MOST_COMPARED = 20_000  # rows


def _equal(keys: Any) -> tuple[Any, Any]:
    """The places of rows that are there more than once, and for each the number of the group of equal ones."""
    table = np.sort(keys)
    again = np.unique(table[1:][table[1:] == table[:-1]])
    if not len(again):
        return (np.zeros(0, dtype=np.int64),) * 2
    group = np.searchsorted(again, keys).clip(max=len(again) - 1)
    places = np.flatnonzero(again[group] == keys)
    return places, group[places]


def _mixed(group: Any, labels: Any) -> tuple[Any, int]:
    """Of each group whether its labels differ, and how many rows have the commonest label of their group."""
    classes = int(labels.max(initial=0)) + 1
    pairs, count = np.unique(group * classes + labels, return_counts=True)
    mixed = np.bincount(pairs // classes) > 1
    most = np.zeros(len(mixed), dtype=np.int64)
    np.maximum.at(most, pairs // classes, count)
    return mixed, int(most.sum())


def _labels(subject: Subject, head: HeadFacts) -> Any:
    """One class number for each example, or None."""
    y = np.asarray(subject.y[head.place])
    if not head.of_classes or y.ndim > 2:
        return None
    if head.head.loss.labels and y.ndim == 1:
        return y.astype(np.int64) - min(0, int(y.min()))
    t = subject.targets(head)
    if y.ndim == 2 and y.shape[1] > 1:
        return y.argmax(axis=1) if t.one_hot else None
    return y.reshape(-1).astype(np.int64) if t.values == (0.0, 1.0) else None


def _coincidences(parts: list[Any]) -> float:
    """How many pairs of rows would be equal if the columns had nothing to do with one another."""
    chance = 1.0
    for part in parts:
        flat = np.reshape(part, (len(part), -1))
        for column in evenly(flat.shape[1], 16):
            shares = np.unique(flat[:, column], return_counts=True)[1] / len(flat)
            chance *= float((shares**2).sum()) - 1 / len(flat)
    return chance * len(parts[0]) ** 2 / 2


class ValidationScaledAlone(Check):
    """Held-out rows that were standardised, or brought between 0 and 1, by their own numbers: the scaler was fitted anew.
    Rows scaled by the training's numbers have means near 0, but never 0 itself."""

    rules, phase, needs = (27, 20), "data", ("x", "whole", "validation")
    place, argument = "fit", "validation_data"
    rank = "judging"
    why = "the same measurement becomes another number: what the network learnt of one scale is asked on another"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many columns have mean 0 and deviation 1, or the ends 0 and 1, to the last digits, on both sides."""
        for leaf, here, there in zip(subject.facts.inputs, subject.x, subject.validation.x, strict=True):
            table = leaf.dtype in FLOATS and len(leaf.shape) == 2 and isinstance(here, np.ndarray)
            if table and len(there) >= 20 and max(len(here), len(there)) <= _MOST_SCALED:
                columns = evenly(here.shape[1], _COLUMNS)
                own, held = (_scaled(np.asarray(part[:, columns], dtype=np.float64)) for part in (here, there))
                both = np.logical_and(own, held).sum(axis=1)
                yield {
                    "layer": None,
                    "input": leaf.name,
                    "columns": len(columns),
                    "standardised": int(both[0]),
                    "between_0_and_1": int(both[1]),
                    "mean": float(np.mean(there[:, columns[0]], dtype=np.float64)),
                }

    def wrong(self, v: Values) -> bool:
        """All of at least two columns."""
        return bool(v["columns"] > 1 and v["columns"] in (v["standardised"], v["between_0_and_1"]))

    def message(self, v: Values) -> str:
        """What they were brought to."""
        what = "mean 0 and deviation 1" if v["standardised"] == v["columns"] else "the ends 0 and 1"
        return f"the validation rows have {what} in every column, as the training rows have: they were scaled by their own numbers."

    def fix(self, v: Values) -> str:
        """One scaling for both."""
        return "scaler.transform(X_val) with the training rows' scaler, not fit_transform; or bl.layers.Normalization() in front"

    def bad(self) -> tuple[Any, ...]:
        """Other rows, standardised by themselves."""
        return self._held(_standard(points()[60:]))

    def good(self) -> tuple[Any, ...]:
        """The same rows by the numbers of the first ones."""
        x = points()
        return self._held((x[60:] - x[:60].mean(axis=0)) / x[:60].std(axis=0))

    def _held(self, there: Any) -> tuple[Any, ...]:
        model = network(Dense(8, "relu"), Dense(3), loss=sparse())
        return model, _standard(points()[:60]), classes(3)[:60], {"validation_data": (there, classes(3)[60:])}


def _standard(x: Any) -> Any:
    return (x - x.mean(axis=0)) / x.std(axis=0)


def _scaled(x: Any) -> Any:
    """Of each column whether its mean is 0 and its deviation 1 (by n or n - 1 rows), and whether its ends are 0 and 1; with
    the slack of float32."""
    mean, std, other = x.mean(axis=0), x.std(axis=0), x.std(axis=0, ddof=1)
    one = np.minimum(np.abs(std - 1), np.abs(other - 1)) < _LAST_DIGITS
    # Pixels, and yes and no, end at 0 and 1 by nature.
    distinct = np.array([len(np.unique(column)) for column in x[:50].T]) > 0.9 * min(50, len(x))
    ends = (np.abs(x.min(axis=0)) < _LAST_DIGITS) & (np.abs(x.max(axis=0) - 1) < _LAST_DIGITS) & distinct
    standard = (np.abs(mean) < _LAST_DIGITS) & one
    return np.array([standard, ends])


class ShiftedValidation(Check):
    """Held-out rows whose numbers have another mean or another spread than those that are trained on: a scaler that was
    forgotten or fitted anew, pictures that were inverted."""

    rules, phase, needs = (27, 56), "data", ("x", "validation")
    place, argument = "fit", "validation_data"
    rank = "judging"
    why = "the network is judged on numbers that it never met: what it shows there says nothing of its training"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The median shift of the features' means, in training deviations, and the median ratio of the deviations."""
        for leaf, here, there in zip(subject.facts.inputs, subject.x, subject.validation.x, strict=True):
            if leaf.dtype in FLOATS and min(len(here), len(there)) >= 20:
                own, held = (_sample(part) for part in (here, there))
                std = own.std(axis=0)
                use = std > 1e-6 * max(1e-30, float(np.abs(own).max()))
                if use.any():
                    moved = np.abs(held.mean(axis=0) - own.mean(axis=0))[use] / std[use]
                    yield {
                        "layer": None,
                        "input": leaf.name,
                        "shift": float(np.median(moved)),
                        "spread": float(np.median(held.std(axis=0)[use] / std[use])),
                        "mean": float(own.mean()),
                        "validation_mean": float(held.mean()),
                    }

    def wrong(self, v: Values) -> bool:
        """Half of the features are shifted by more than a deviation, or spread twice or half as much."""
        return bool(v["shift"] > 1 or not 0.5 <= v["spread"] <= 2)

    def message(self, v: Values) -> str:
        """Both."""
        means = f"mean {v['validation_mean']:.3g}, in training {v['mean']:.3g}"
        how = f"shifted by {v['shift']:.2g} standard deviations and spread {v['spread']:.2g} times as much ({means})"
        return f"the validation rows are not like those that are trained on: features of {v['input']} are {how}."

    def fix(self, v: Values) -> str:
        """One scaling for both."""
        return (
            "the same preparation of X for both: scale the validation rows with the training rows' mean and deviation"
        )

    def bad(self) -> tuple[Any, ...]:
        """Held-out rows that were not scaled."""
        held = {"validation_data": (50 * points()[:30] + 200, classes(3)[:30])}
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points()[30:], classes(3)[30:], held

    def good(self) -> tuple[Any, ...]:
        """Scaled in the same way."""
        held = {"validation_data": (points()[:30], classes(3)[:30])}
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points()[30:], classes(3)[30:], held


def _sample(part: Any) -> Any:
    """Some rows and columns as numbers."""
    some = np.asarray(part[evenly(len(part), 500)])
    flat = some.reshape(len(some), -1)
    return flat[:, evenly(flat.shape[1], 256)].astype(np.float64)


class RareClass(Check):
    """A class with less than a tenth of the commonest one's rows, where no weights make up for it."""

    rules, phase, needs, severity = (25,), "data", ("x", "y", "whole"), "note"
    place, argument = "fit", "class_weight"
    explains = ("loss_at_start",)
    why = "accuracy is high without a single right answer for the rare class: look at its recall"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many rows the rarest and the commonest class have."""
        for head in subject.heads:
            found = counts(subject.y[head.place], head) if head.of_classes else None
            if found and len(found) > 1:
                rare, common = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
                weighted = subject.w[head.place] is not None
                yield {"layer": None, "class": rare, "rows": found[rare], "common": found[common], "weighted": weighted}

    def wrong(self, v: Values) -> bool:
        """Less than a tenth, and no weights."""
        return bool(v["rows"] < 0.1 * v["common"] and not v["weighted"])

    def message(self, v: Values) -> str:
        """The numbers."""
        return f"class {v['class']} has {v['rows']} rows, the commonest one {v['common']}."

    def fix(self, v: Values) -> str:
        """Weights."""
        return "model.fit(X, y, class_weight='balanced')"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Weights by class."""
        return Repair(fit={"class_weight": "balanced"})

    def bad(self) -> tuple[Any, ...]:
        """Four of 96."""
        y = (points()[:, 0] > np.sort(points()[:, 0])[-5]).astype(int)
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), y

    def good(self) -> tuple[Any, ...]:
        """Half of them."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)
