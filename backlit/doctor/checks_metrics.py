"""Whether a metric reads the output as the loss does, and goes where the loss goes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..core.errors import BacklitError
from ..core.node import input_leaf
from ..core.shapes import M, bind
from ..layers.dense import Dense
from ..rewrite import stable
from ..rewrite.rule import apply
from ..train.metrics import BinaryAccuracy, Metric
from ..train.optimizers import Optimizer
from .programs import classes, network, points, values
from .reading import reading
from .subject import HeadFacts, Subject

_NEAR = 1e-3  # on both sides of a threshold
_HIT = 0.05  # a share of hits that an answer has which is wrong in every way
_EPOCHS, _AGREES = 10, 0.5  # published: the least correlation of loss and metric


class MetricReadsOtherwise(Check):
    """A metric that takes the output for something else than the loss does: it is the same number whatever the output is,
    decides at 0.5 where the loss has logits, reads logits where there are probabilities or the other way round, or counts
    each output for itself where they are one answer."""

    rules, sure = (58, 12), 1.0
    rank = "judging"
    place, argument = "compile", "metrics"
    why = "the training is the same, but the number that it is judged by says something else"
    explains = ("loss_and_metric_part",)

    def measure(self, subject: Subject) -> Iterator[Values]:
        """What the metrics of an output make of answers that are right and wrong: the first fault, and who has it."""
        for head in subject.heads:
            metrics = {**head.head.metrics, **head.head.weighted}
            last = head.head.loss.axis in (-1, len(head.node.shape) - 1)
            if metrics and last and head.reading.kind in ("logits", "probability"):
                found = {name: _fault(head, metric) for name, metric in metrics.items()}
                fault, scored = next((each for each in found.values() if each[0]), ("", None))
                yield {
                    "layer": head.layer,
                    "metric": ", ".join(name for name, each in found.items() if each[0] == fault),
                    "fault": fault,
                    "wrong_scores": scored,
                    "loss": head.loss,
                    "units": head.classes,
                    "one_answer": _one_answer(head),
                    "takes_logits": head.reading.kind == "logits",
                }

    def wrong(self, v: Values) -> bool:
        """There is such a fault."""
        return bool(v["fault"])

    def message(self, v: Values) -> str:
        """How it reads the output."""
        said = {
            "constant": f"{v['metric']} is the same number whatever the output is",
            "half": f"{v['metric']} decides at 0.5, but {v['loss']} takes the output for logits, whose middle is 0",
            "logits": f"{v['metric']} takes the output for logits, but {v['loss']} for probabilities",
            "probability": f"{v['metric']} takes the output for probabilities, but {v['loss']} for logits",
            "each": f"{v['metric']} counts each of {v['units']} outputs for itself, though they are one answer",
        }
        more = f": an answer that is wrong scores {v['wrong_scores']:.0%}" if v["fault"] == "each" else ""
        return f"{said[v['fault']]}{more}."

    def fix(self, v: Values) -> str:
        """The metric that reads it so."""
        if v["fault"] == "logits":
            return "the metric with from_logits=False, as the output is"
        if v["fault"] == "probability":
            return "the metric with from_logits=True, as the loss has it"
        if v["one_answer"]:
            return "metrics=[bl.metrics.CategoricalAccuracy()] (Sparse… for labels)"
        return f"metrics=[bl.metrics.BinaryAccuracy(threshold={0.0 if v['takes_logits'] else 0.5})]"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The accuracy that fits, where it stands alone."""
        head = next(head for head in subject.heads if head.layer == v["layer"])
        alone = len(subject.heads) == 1 and ", ".join([*head.head.metrics, *head.head.weighted]) == v["metric"]
        if not alone or v["fault"] in ("logits", "probability"):
            return None
        if v["one_answer"]:
            kind = "sparse_categorical_accuracy" if head.head.loss.labels else "categorical_accuracy"
            return Repair(metrics=[Metric.named(kind)()])
        return Repair(metrics=[BinaryAccuracy(threshold=0.0 if v["takes_logits"] else 0.5)])

    def bad(self) -> tuple[Any, ...]:
        """A threshold for logits on probabilities."""
        layers = Dense(8, "relu"), Dense(1, "sigmoid")
        model = network(*layers, loss="binary_crossentropy", metrics=[BinaryAccuracy(threshold=0.0)])
        return model, points(), classes(2)

    def good(self) -> tuple[Any, ...]:
        """One for probabilities."""
        layers = Dense(8, "relu"), Dense(1, "sigmoid")
        model = network(*layers, loss="binary_crossentropy", metrics=[BinaryAccuracy(threshold=0.5)])
        return model, points(), classes(2)


def _one_answer(head: HeadFacts) -> bool:
    """Whether the outputs share one probability."""
    return head.classes > 1 and (head.reading.exclusive or head.bounds.total is not None)


def _fault(head: HeadFacts, metric: Any) -> tuple[str, float | None]:
    """What is wrong with the metric, or nothing, and what a wrong answer scores."""
    summed = type(metric).formula is Metric.formula
    if summed and metric.reads_probabilities() and (metric.link or head.reading.kind == "probability"):
        return "", None  # it counts above thresholds between 0 and 1, and gets probabilities
    try:
        if not (summed or head.counts(metric)):
            return _other_scale(head, metric), None
        return _of_one_answer(head, metric) if _one_answer(head) else (_of_each(head, metric), None)
    except BacklitError:  # a y of this shape is nothing for it: `fit` refuses that
        return "", None


def _other_scale(head: HeadFacts, metric: Any) -> str:
    """As what a metric that has a derivative reads the output ("logits", "probability"), where the loss does not."""
    y, p = _leaves(head)
    (cost,) = apply([metric.per_example(y, p)], stable.RULES)
    kind = reading(cost, y, p).kind
    return kind if kind in ("logits", "probability") and kind != head.reading.kind else ""


def _leaves(head: HeadFacts) -> tuple[Any, Any]:
    y = input_leaf(head.head.loss.target_shape(head.head.shape), "y", "int64" if head.head.loss.labels else head.dtype)
    return y, input_leaf(head.head.shape, "p", head.dtype)


def _counted(head: HeadFacts, metric: Any, rows: Sequence[tuple[Any, Any]]) -> list[dict[str, Any]]:
    """What the metric counts of each (y, p): one example that has these targets and outputs in every place."""
    y, p = _leaves(head)
    each = None if type(metric).formula is Metric.formula else metric.per_example(y, p)
    at_once = each is not None and each.shape[:1] == (M,)
    parts = {"total": each} if at_once else metric.states(y, p, None)
    found: list[dict[str, Any]] = []
    for some in [rows] if at_once else [[row] for row in rows]:
        shapes = [(len(some), *bind(leaf.shape, 1)[1:]) for leaf in (y, p)]
        feed = {
            leaf: np.stack([np.broadcast_to(row[place], shape[1:]) for row in some]).astype(leaf.dtype)
            for place, (leaf, shape) in enumerate(zip((y, p), shapes, strict=True))
        }
        known = registry.lookup("values.reference")(list(parts.values()), feed)
        if at_once:
            found += [{"total": float(np.mean(value)), "count": 1.0} for value in known[each]]
        else:
            found.append({key: known[node] for key, node in parts.items()})
    return found


def _ranked(head: HeadFacts) -> list[tuple[Any, Any]]:
    """(y, p) where the first class is the right one, and p says so, or puts it last."""
    logits = 4 * np.arange(head.classes, 0, -1.0) - 2 * head.classes
    p = logits if head.reading.kind == "logits" else np.exp(logits) / np.exp(logits).sum()
    y = 0 if head.head.loss.labels else np.eye(head.classes)[0]
    return [(y, p), (y, p[::-1])]


def _of_one_answer(head: HeadFacts, metric: Any) -> tuple[str, float | None]:
    """The fault "constant" where right and wrong score the same, "each" where an answer that is wrong scores."""
    right, wrong = (metric.value(totals) for totals in _counted(head, metric, _ranked(head)))
    if np.ndim(wrong) or metric.better != "max":
        return "", None
    return "constant" if right == wrong else "each" if wrong > _HIT else "", float(wrong)


def _of_each(head: HeadFacts, metric: Any) -> str:
    """The fault "constant" where every output counts the same, "half" where logits are decided about at 0.5."""
    shares = head.bounds.inside(0, 1)
    if not shares and not head.bounds.unbounded:
        return ""
    low, high = (_NEAR, 1 - _NEAR) if shares else (-30.0, 30.0)
    if metric.better == "max" and not any(_differ(head, metric, y, low, high) for y in (0.0, 1.0)):
        ranked = _counted(head, metric, _ranked(head)) if head.classes > 1 else []
        if all(map(_same, ranked[1:], ranked)):
            return "constant"
    if head.reading.kind != "logits" or metric.link is not None:
        return ""
    at_half = _differ(head, metric, 1.0, 0.5 - _NEAR, 0.5 + _NEAR) and not _differ(head, metric, 1.0, -_NEAR, _NEAR)
    return "half" if at_half else ""


def _differ(head: HeadFacts, metric: Any, y: float, *outputs: float) -> bool:
    """Whether the metric counts these two outputs differently."""
    one, other = _counted(head, metric, [(y, p) for p in outputs])
    return not _same(one, other)


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(np.array_equal(one[key], other[key]) for key in one)


# ---------------------------------------------------------------------- while it trains
class LossAndMetricPart(Check):
    """A metric that does not go with the loss over ten epochs or more, though both move by more than they scatter."""

    rules, phase, needs, severity = (58,), "after", ("history",), "note"
    rank = "judging"
    grounds, sure = "rule of thumb", 0.7
    place, argument = "compile", "metrics"
    why = "a loss that falls while the metric gets worse is not the measure of what is wanted"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The correlation of the loss and of each metric that says which way is better."""
        rows = [row for row in subject.history if "loss" in row]
        head = subject.heads[0]
        weighed = (
            subject.w is not None and subject.w[head.place] is not None
        )  # then the loss is, and a metric may not be
        if len(rows) < _EPOCHS or len(subject.heads) > 1 or weighed:
            return
        loss = np.array([row["loss"] for row in rows], dtype=float)
        for name, metric in {**head.head.metrics, **head.head.weighted}.items():
            series = [row.get(name) for row in rows]
            if metric.better and all(np.ndim(each) == 0 and each is not None for each in series):
                moves = np.array(series, dtype=float) * (-1 if metric.better == "max" else 1)
                if np.isfinite([loss, moves]).all() and np.ptp(loss) and np.ptp(moves):
                    yield {
                        "layer": None,
                        "metric": name,
                        "agreement": float(np.corrcoef(loss, moves)[0, 1]),
                        "loss_moved": _moved(loss),
                        "metric_moved": _moved(moves),
                        "epochs": len(rows),
                    }

    def wrong(self, v: Values) -> bool:
        """Less than the published one half, of two that move."""
        return bool(v["agreement"] < _AGREES and min(v["loss_moved"], v["metric_moved"]) > 3)

    def message(self, v: Values) -> str:
        """How far apart they are."""
        return f"over {v['epochs']} epochs {v['metric']} and the loss get better together by {v['agreement']:.2f} (1: always)."

    def fix(self, v: Values) -> str:
        """What to look at."""
        return f"a loss that is nearer to {v['metric']}, or a metric that reads the output as the loss does"

    def bad(self) -> tuple[Any, ...]:
        """A loss with the wrong sign in it."""
        model = network(Dense(1), loss=_turned, metrics=["mae"], optimizer=Optimizer.named("adam")(0.03))
        return model, points(), values(), {"epochs": 40}

    def good(self) -> tuple[Any, ...]:
        """With the right one."""
        model = network(Dense(1), loss="mse", metrics=["mae"], optimizer=Optimizer.named("adam")(0.03))
        return model, points(), values(), {"epochs": 40}


def _turned(y: Any, p: Any) -> Any:
    return (y + p) * (y + p)


def _moved(series: Any) -> float:
    """How far the last third is from the first one, in deviations of what it scatters from epoch to epoch."""
    third = len(series) // 3
    scatter = float(np.median(np.abs(np.diff(series, 2)))) / math.sqrt(6) * 1.48
    return float(abs(series[-third:].mean() - series[:third].mean()) / max(scatter, 1e-12))
