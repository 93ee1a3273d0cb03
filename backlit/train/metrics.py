"""Metrics: one number an example, averaged over the examples. Their sums are state of the training step."""

from __future__ import annotations

from typing import Any, ClassVar

from ..core.op import cast
from ..core.record import Record
from ..ops.elementwise import absolute, equal, greater, square
from ..ops.index import reshape
from ..ops.reduce import argmax, mean, size
from ..ops.reduce import sum as sum_
from .losses import Loss


class Metric(Record):
    """The base: a metric of your own has `formula(y, p)`, which gives one number an example (shape (m,))."""

    family = "metric"
    labels: ClassVar[bool] = False
    name: str = ""

    def formula(self, y: Any, p: Any) -> Any:
        """One number an example."""
        raise NotImplementedError(f"{type(self).__name__}.formula")

    def per_example(self, y: Any, p: Any) -> Any:
        """The formula on a y of the output's shape (of the labels' shape for class labels)."""
        wanted = p.shape[:-1] if self.labels else p.shape
        y = reshape(y, wanted) if y.shape != wanted else y
        return cast(self.formula(y if self.labels else cast(y, p.dtype), p), p.dtype)

    def states(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """What the sums of this metric grow by."""
        each = self.per_example(y, p)
        each = mean(each, axis=tuple(range(1, each.ndim))) if each.ndim > 1 else each
        count = size(y, axis=0) if w is None else sum_(w)
        return {
            "total": cast(sum_(each if w is None else each * w), "float64"),
            "count": cast(count, "float64"),
        }

    def result(self, totals: Any) -> float:
        """The metric from its sums."""
        return float(totals["total"] / max(totals["count"], 1e-300))


class MeanSquaredErrorMetric(Metric):
    """mean (p - y)²."""

    aliases = ("mse", "mean_squared_error", "MeanSquaredError")
    name = "mse"

    def formula(self, y: Any, p: Any) -> Any:
        """mean (p - y)²."""
        return mean(square(p - y), axis=-1)


class MeanAbsoluteErrorMetric(Metric):
    """mean |p - y|."""

    aliases = ("mae", "mean_absolute_error", "MeanAbsoluteError")
    name = "mae"

    def formula(self, y: Any, p: Any) -> Any:
        """mean |p - y|."""
        return mean(absolute(p - y), axis=-1)


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of `threshold` (0.5 for probabilities, 0 for logits)."""

    name = "binary_accuracy"

    def __init__(self, threshold: float = 0.5):
        self.threshold = threshold

    def formula(self, y: Any, p: Any) -> Any:
        """1 where (p > threshold) is y."""
        return mean(cast(equal(greater(p, self.threshold), greater(y, 0.5)), p.dtype), axis=-1)


class CategoricalAccuracy(Metric):
    """The share of examples whose largest output is at the 1 of the one-hot y."""

    name = "categorical_accuracy"

    def formula(self, y: Any, p: Any) -> Any:
        """1 where both largest are at one place."""
        return equal(argmax(y, axis=-1), argmax(p, axis=-1))


class SparseCategoricalAccuracy(Metric):
    """The share of examples whose largest output is at the label."""

    labels = True
    name = "sparse_categorical_accuracy"

    def formula(self, y: Any, p: Any) -> Any:
        """1 where the largest output is at y."""
        return equal(y, argmax(p, axis=-1))


def resolve(identifier: Any, loss: Loss) -> tuple[str, Metric]:
    """(name in the logs, metric): "accuracy" becomes the one that fits the loss, at the threshold that fits its
    output."""
    if identifier in ("accuracy", "acc"):
        return str(identifier), _accuracy(loss)
    metric = Metric.get(identifier)
    return (identifier if isinstance(identifier, str) else metric.name or type(metric).__name__), metric


def _accuracy(loss: Loss) -> Metric:
    if loss.labels:
        return SparseCategoricalAccuracy()
    if loss.link == "softmax":
        return CategoricalAccuracy()
    return BinaryAccuracy(threshold=0.0 if loss.from_logits else 0.5)
