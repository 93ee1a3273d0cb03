"""Metrics made of counts: precision, recall, F scores, the area under a curve, the confusion matrix.

A target above 0.5 is a yes. What would be 0 divided by 0 is 0, as in Keras and scikit-learn. Whole-number labels against
several outputs count as one-hot targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np

from ..core.arguments import Count, Interval, Natural, NotNegative, Positive, Share
from ..core.errors import ShapeError, ValueRangeError
from ..core.node import DType
from ..core.op import as_node, cast
from ..core.shapes import show
from ..ops.elementwise import absolute, clip, equal, greater, greater_equal, less, logical_and, logical_or, where
from ..ops.index import expand_dims, iota, one_hot, ones_like, reshape, swapaxes
from ..ops.linalg import matmul
from ..ops.nn import sigmoid
from ..ops.reduce import argmax
from ..ops.reduce import max as max_
from ..ops.reduce import sum as sum_
from .losses_base import EPSILON, spread
from .metrics_base import Metric, Totals

_NEVER = -1e10  # below every output: Keras's mark for what is not among the top k


def _columns(y: Any, p: Any, w: Any, count: int) -> tuple[Any, Any, Any]:
    """Targets as 0 and 1, outputs and weights, each of shape (n, count)."""
    w = ones_like(p) if w is None else spread(cast(w, p.dtype), p.shape)
    return tuple(reshape(part, (-1, count)) for part in (cast(greater(y, 0.5), p.dtype), p, w))


def _above(p: Any, thresholds: Sequence[float]) -> Any:
    """1 where p (n, k) is above a threshold: (n, T, k)."""
    return cast(greater(expand_dims(p, 1), cast(as_node(np.reshape(thresholds, (-1, 1))), p.dtype)), p.dtype)


def _summed(above: Any, weights: Any) -> Any:
    """Weights (n, k) of what is above each threshold, summed: (T, k)."""
    return sum_(above * expand_dims(weights, 1), axis=0)


def _among_top(p: Any, k: int) -> Any:
    """Whether each output is among the k largest of its example; of equal ones the first count."""
    classes = p.shape[-1]
    this, other = expand_dims(p, -1), expand_dims(p, -2)
    before = less(iota.node(shape=(1, classes)), iota.node(shape=(classes, 1)))
    larger = logical_or(greater(other, this), logical_and(equal(other, this), before))
    return less(sum_(cast(larger, p.dtype), axis=-1), float(k))


def _ratio(part: Any, whole: Any) -> Any:
    """part / whole, 0 where whole is 0."""
    whole = np.asarray(whole, np.float64)
    return np.where(whole > 0, part / np.where(whole > 0, whole, 1.0), 0.0)


# ---------------------------------------------------------------------- at thresholds
class _Thresholded(Metric):
    """What counts at thresholds share: which outputs are looked at, and the four counts (T,) of right and wrong."""

    classes: ClassVar[bool] = True
    counted: ClassVar[tuple[str, ...]] = ()
    thresholds: Any = None
    top_k: int | None = None
    class_id: int | None = None

    def _settle(self, thresholds: Any, top_k: int | None = None, class_id: int | None = None) -> None:
        default = 0.5 if top_k is None else _NEVER
        self.levels = [default] if thresholds is None else np.atleast_1d(thresholds).astype(float).tolist()
        self.thresholds, self.top_k, self.class_id = thresholds, top_k, class_id

    def reads_probabilities(self) -> bool:
        """Whether a threshold lies between 0 and 1; one of 0 is for the logits themselves, as Keras advises."""
        return any(0 < level < 1 for level in self.levels)

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """The counts that this metric needs, at every threshold."""
        if self.top_k is not None:
            p = where(_among_top(p, self.top_k), p, _NEVER)
        if self.class_id is not None:
            y, p = (part[..., self.class_id : self.class_id + 1] for part in (y, p))
        yes, p, w = _columns(y, p, w, 1)
        above = _above(p, self.levels)
        parts = {
            "true_positives": (above, w * yes),
            "false_positives": (above, w * (1 - yes)),
            "false_negatives": (1 - above, w * yes),
            "true_negatives": (1 - above, w * (1 - yes)),
        }
        return {key: _summed(*parts[key])[:, 0] for key in self.counted}

    def value(self, totals: Totals) -> Any:
        """A number, or one a threshold where there are several."""
        values = self.at_thresholds(*(np.asarray(totals[key]) for key in self.counted))
        return values[0] if len(self.levels) == 1 else values

    def at_thresholds(self, *counts: Any) -> Any:
        """One number a threshold from the counts."""
        return counts[0]


class Precision(_Thresholded):
    """Of what is called a yes, the share that is one: tp / (tp + fp).

    `thresholds`: one or several from 0 to 1 (0.5); `top_k`: a yes must be among the k largest outputs; `class_id`: this
    output alone. A threshold between 0 and 1 is a probability: under a loss with from_logits=True the outputs become
    probabilities first; a threshold of 0 is compared with the logits themselves, as Keras advises.

    >>> import backlit as bl
    >>> round(bl.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    better = "max"
    counted = ("true_positives", "false_positives")

    def __init__(
        self,
        thresholds: Share | Sequence[Share] | None = None,
        top_k: Count | None = None,
        class_id: Natural | None = None,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(name, dtype)
        self._settle(thresholds, top_k, class_id)

    def at_thresholds(self, *counts: Any) -> Any:
        """The first count's share of both."""
        return _ratio(counts[0], counts[0] + counts[1])


class Recall(Precision):
    """Of what is a yes, the share that is called one: tp / (tp + fn). The arguments are those of `Precision`.

    >>> import backlit as bl
    >>> round(bl.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1]), 4)
    0.6667
    """

    counted = ("true_positives", "false_negatives")


class _Count(_Thresholded):
    """A weighted count of one kind of answer, at one or several thresholds."""

    def __init__(
        self, thresholds: Share | Sequence[Share] | None = None, name: str | None = None, dtype: DType | None = None
    ):
        super().__init__(name, dtype)
        self._settle(thresholds)


class TruePositives(_Count):
    """How many a yes are called one."""

    counted = ("true_positives",)


class FalsePositives(_Count):
    """How many a no are called a yes."""

    counted = ("false_positives",)


class TrueNegatives(_Count):
    """How many a no are called one."""

    counted = ("true_negatives",)


class FalseNegatives(_Count):
    """How many a yes are called a no."""

    counted = ("false_negatives",)


# ---------------------------------------------------------------------- F scores
_Average: TypeAlias = Literal["micro", "macro", "weighted"] | None
_Threshold: TypeAlias = Annotated[float, Interval(0, 1, above=True)] | None


class FBetaScore(Metric):
    """(1 + β²) tp / ((1 + β²) tp + β² fn + fp): precision and recall in one, recall counting β times as much.

    `average`: None gives one number an output (an array, which is not logged), "macro" their mean, "weighted" their mean
    by how often each is a yes, "micro" the score of all counts together. `threshold`: above it is a yes; None: the
    largest output of each example is. Exact, where Keras adds 1e-7 to its denominators.
    """

    name = "fbeta_score"
    aliases = ("fbeta_score",)
    better, classes = "max", True
    beta: float = 1.0

    def __init__(
        self,
        average: _Average = None,
        beta: Positive = 1.0,
        threshold: _Threshold = None,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(name, dtype)
        self.average, self.beta, self.threshold = average, beta, threshold

    def reads_probabilities(self) -> bool:
        """Always."""
        return True

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """tp, fp, fn of each output."""
        yes, p, w = _columns(y, p, w, p.shape[-1])
        if self.threshold is None:
            called = logical_and(greater_equal(p, max_(p, axis=-1, keepdims=True)), greater(absolute(p), 1e-9))
        else:
            called = greater(p, self.threshold)
        said = cast(called, p.dtype)
        parts = {
            "true_positives": said * yes,
            "false_positives": said * (1 - yes),
            "false_negatives": (1 - said) * yes,
        }
        return {key: sum_(part * w, axis=0) for key, part in parts.items()}

    def value(self, totals: Totals) -> Any:
        """The score, averaged as asked for."""
        tp, fp, fn = (np.asarray(totals[f"{key}s"]) for key in ("true_positive", "false_positive", "false_negative"))
        if self.average == "micro":
            tp, fp, fn = tp.sum(), fp.sum(), fn.sum()
        square = self.beta**2
        each = _ratio((1 + square) * tp, (1 + square) * tp + square * fn + fp)
        if self.average == "weighted":
            return _ratio((each * (tp + fn)).sum(), (tp + fn).sum())
        return each.mean() if self.average == "macro" else each


class F1Score(FBetaScore):
    """2 tp / (2 tp + fp + fn), the harmonic mean of precision and recall. The arguments are those of `FBetaScore`.

    >>> import backlit as bl
    >>> y, p = [[1, 1, 1], [1, 0, 0], [1, 1, 0]], [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]
    >>> bl.metrics.F1Score(threshold=0.5)(y, p).round(4).tolist()
    [0.5, 0.8, 0.6667]
    """

    name = "f1_score"

    def __init__(
        self,
        average: _Average = None,
        threshold: _Threshold = None,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(average, 1.0, threshold, name, dtype)


# ---------------------------------------------------------------------- the area under a curve
class AUC(Metric):
    """The area under the ROC curve (recall against false positive rate) or the PR curve (precision against recall), from
    the counts at `num_thresholds` evenly spread thresholds (or at `thresholds` of your own).

    The more thresholds, the nearer to the exact area. `from_logits=True`: a sigmoid makes the outputs probabilities;
    under a loss with from_logits=True this happens by itself. Outputs outside [0, 1] are refused.
    `summation_method`: "interpolation", "minoring" or "majoring". `multi_label=True`: the area of each label, averaged
    with `label_weights`; otherwise all outputs are pooled.

    >>> import backlit as bl
    >>> bl.metrics.AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.75
    """

    better, classes = "max", True

    def __init__(
        self,
        num_thresholds: Annotated[int, Interval(2, 1e6)] = 200,
        curve: Literal["ROC", "PR"] = "ROC",
        summation_method: Literal["interpolation", "minoring", "majoring"] = "interpolation",
        name: str | None = None,
        dtype: DType | None = None,
        thresholds: Sequence[Share] | None = None,
        multi_label: bool = False,
        num_labels: Count | None = None,
        label_weights: Sequence[NotNegative] | None = None,
        from_logits: bool = False,
    ):
        super().__init__(name, dtype)
        inner = np.arange(1, num_thresholds - 1) / (num_thresholds - 1) if thresholds is None else thresholds
        self.levels = [-EPSILON, *sorted(map(float, inner)), 1 + EPSILON]
        self.curve, self.summation_method, self.from_logits = curve, summation_method, from_logits
        self.multi_label, self.num_labels, self.label_weights = multi_label, num_labels, label_weights

    def reads_probabilities(self) -> bool:
        """Whether the metric is not told that it gets logits."""
        return not self.from_logits

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """True and false positives at every threshold, how many are a yes and a no, and what lies outside [0, 1]."""
        p = sigmoid(p) if self.from_logits else p
        labels = p.shape[-1]
        if self.num_labels not in (None, labels) or len(self.label_weights or range(labels)) != labels:
            raise ShapeError(
                "AUC was told of another number of labels.", expected=f"{labels} labels", found=repr(self.num_labels)
            )
        yes, flat, w = _columns(y, p, w, labels)
        if self.label_weights is not None and not self.multi_label:
            w = w * list(self.label_weights)
        if not self.multi_label:
            yes, flat, w = (reshape(part, (-1, 1)) for part in (yes, flat, w))
        above = _above(clip(flat, 0.0, 1.0), self.levels)
        outside = cast(logical_or(less(flat, -1e-6), greater(flat, 1 + 1e-6)), flat.dtype)
        return {
            "true_positives": _summed(above, w * yes),
            "false_positives": _summed(above, w * (1 - yes)),
            "yes": sum_(w * yes, axis=0),
            "no": sum_(w * (1 - yes), axis=0),
            "outside": sum_(outside),
        }

    def value(self, totals: Totals) -> Any:
        """The area from the counts."""
        if totals["outside"] > 0:
            raise ValueRangeError(
                "AUC needs probabilities.",
                expected="outputs from 0 to 1",
                found=f"{totals['outside']:g} outside",
                why="its thresholds lie between 0 and 1",
                fix="AUC(from_logits=True), or a last layer with a sigmoid or softmax",
            )
        tp, fp = np.asarray(totals["true_positives"]), np.asarray(totals["false_positives"])
        areas = self._areas(tp, fp, np.asarray(totals["yes"]), np.asarray(totals["no"]))
        if self.label_weights is None or not self.multi_label:
            return areas.mean()
        return _ratio(np.dot(areas, self.label_weights), np.sum(self.label_weights))

    def _areas(self, tp: Any, fp: Any, yes: Any, no: Any) -> Any:
        if self.curve == "PR" and self.summation_method == "interpolation":
            return _area_under_pr(tp, fp, yes)
        recall = _ratio(tp, yes)
        x, y = (_ratio(fp, no), recall) if self.curve == "ROC" else (recall, _ratio(tp, tp + fp))
        pairs = np.stack([y[:-1], y[1:]])
        joined: Any = {"interpolation": np.mean, "minoring": np.min, "majoring": np.max}[self.summation_method]
        return ((x[:-1] - x[1:]) * joined(pairs, axis=0)).sum(axis=0)


def _area_under_pr(tp: Any, fp: Any, yes: Any) -> Any:
    """The area between thresholds with precision interpolated as counts move, not in a straight line (Davis and
    Goadrich 2006)."""
    called = tp + fp
    gained, more = tp[:-1] - tp[1:], called[:-1] - called[1:]
    slope = _ratio(gained, more)
    start = tp[1:] - slope * called[1:]
    both = (called[:-1] > 0) & (called[1:] > 0)
    growth = np.where(both, called[:-1] / np.where(both, called[1:], 1.0), 1.0)
    return _ratio(slope * (gained + start * np.log(growth)), yes).sum(axis=0)


# ---------------------------------------------------------------------- who is taken for whom
class ConfusionMatrix(Metric):
    """How often class i (row) is taken for class j (column): an array (k, k), which `evaluate` returns and logs leave out.

    The largest output is the answer; of a single output, what is above 0.5. Labels or one-hot targets. Not in Keras.

    >>> import backlit as bl
    >>> bl.metrics.ConfusionMatrix()([0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]).tolist()
    [[1, 0], [1, 1]]
    """

    labels, one_example = True, True

    def __init__(self, num_classes: Count | None = None, name: str | None = None, dtype: DType | None = None):
        super().__init__(name, dtype)
        self.num_classes = num_classes

    def reads_probabilities(self) -> bool:
        """Always: a single output is compared with 0.5."""
        return True

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """The weighted count of every pair."""
        alone = p.shape[-1] == 1
        classes = self.num_classes or (2 if alone else p.shape[-1])
        if classes < (2 if alone else p.shape[-1]):
            raise ShapeError(
                "the outputs have more classes than the matrix.",
                expected=f"at most {classes} outputs",
                found=f"output {show(p.shape)}",
            )
        w = ones_like(p[..., 0]) if w is None else spread(cast(w, p.dtype), p.shape[:-1])
        true = greater(y, 0.5) if alone else y
        guess = greater(p[..., 0], 0.5) if alone else argmax(p, axis=-1)
        rows, columns = (one_hot(reshape(cast(ids, "int64"), (-1,)), classes, p.dtype) for ids in (true, guess))
        return {"matrix": matmul(swapaxes(rows * reshape(w, (-1, 1))), columns)}

    def value(self, totals: Totals) -> Any:
        """The matrix, of whole numbers where there are no weights."""
        matrix = np.asarray(totals["matrix"])
        whole = np.rint(matrix)
        return whole.astype(np.int64) if (whole == matrix).all() else matrix


__all__: Sequence[str] = [
    name for name, value in dict(globals()).items() if name[0] != "_" and getattr(value, "__module__", "") == __name__
]
