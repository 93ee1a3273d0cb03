"""Metrics that are a mean over the examples: shares of right answers, and the losses as metrics; and R²."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np

from ..core.arguments import Count, Finite, Natural, Share, checked
from ..core.errors import ArgumentError, ShapeError
from ..core.node import DType, as_array
from ..core.op import cast
from ..core.shapes import show
from ..ops.elementwise import equal, greater, less, square, where
from ..ops.index import one_hot
from ..ops.reduce import argmax, mean, size
from ..ops.reduce import sum as sum_
from . import losses_classes, losses_numbers
from .losses_base import Loss, spread
from .metrics_base import Metric, Totals, _OfLoss, average


# ---------------------------------------------------------------------- shares of right answers
class Accuracy(Metric):
    """The share of outputs that equal y exactly. `metrics=["accuracy"]` is not this but the accuracy that fits the loss.

    >>> import backlit as bl
    >>> float(bl.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    better = "max"

    def formula(self, y: Any, p: Any) -> Any:
        """1 where p = y."""
        return mean(cast(equal(y, p), p.dtype), axis=-1)


class BinaryAccuracy(Metric):
    """The share of outputs on the right side of `threshold`; y above 0.5 is a yes.

    A threshold between 0 and 1 is a probability: under a loss with from_logits=True the outputs become probabilities
    first. A threshold of 0 is compared with the logits themselves, as Keras advises.

    >>> import backlit as bl
    >>> float(bl.metrics.BinaryAccuracy()([1, 1, 0, 0], [0.98, 1, 0, 0.6]))
    0.75
    """

    better = "max"

    def __init__(self, name: str | None = None, dtype: DType | None = None, threshold: Finite = 0.5):
        super().__init__(name, dtype)
        self.threshold = threshold

    def reads_probabilities(self) -> bool:
        """Whether the threshold is a probability."""
        return 0 < self.threshold < 1

    def formula(self, y: Any, p: Any) -> Any:
        """1 where (p > threshold) is y."""
        return mean(cast(equal(greater(p, self.threshold), greater(y, 0.5)), p.dtype), axis=-1)


class CategoricalAccuracy(Metric):
    """The share of examples whose largest output is at the 1 of the one-hot y.

    >>> import backlit as bl
    >>> float(bl.metrics.CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
    0.5
    """

    better, classes, one_example = "max", True, True

    def formula(self, y: Any, p: Any) -> Any:
        """1 where both largest are at one place."""
        return equal(argmax(y, axis=-1), argmax(p, axis=-1))


class SparseCategoricalAccuracy(Metric):
    """The share of examples whose largest output is at the label.

    >>> import backlit as bl
    >>> float(bl.metrics.SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]]))
    0.5
    """

    better, labels, one_example = "max", True, True

    def formula(self, y: Any, p: Any) -> Any:
        """1 where the largest output is at y."""
        return equal(cast(y, "int64"), argmax(p, axis=-1))


class SparseTopKCategoricalAccuracy(Metric):
    """The share of examples for which fewer than k outputs are larger than that of the label.

    >>> import backlit as bl
    >>> float(bl.metrics.SparseTopKCategoricalAccuracy(k=2)([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.0, 0.95]]))
    0.5
    """

    better, labels, one_example = "max", True, True

    def __init__(self, k: Count = 5, name: str | None = None, dtype: DType | None = None):
        super().__init__(name, dtype)
        self.k = k

    def formula(self, y: Any, p: Any) -> Any:
        """1 where the label is among the k largest."""
        hits = equal(one_hot(cast(y, "int64"), p.shape[-1], "float32"), 1.0)
        score = sum_(where(hits, p, 0.0), axis=-1, keepdims=True)
        return less(sum_(cast(greater(p, score), p.dtype), axis=-1), float(self.k))


class TopKCategoricalAccuracy(SparseTopKCategoricalAccuracy):
    """The share of examples for which fewer than k outputs are larger than that at the 1 of the one-hot y.

    >>> import backlit as bl
    >>> float(bl.metrics.TopKCategoricalAccuracy(k=2)([[0, 0, 1], [0, 1, 0]], [[0.1, 0.6, 0.3], [0.05, 0, 0.95]]))
    0.5
    """


# ---------------------------------------------------------------------- losses as metrics
class MeanSquaredError(_OfLoss):
    """mean (p - y)².

    >>> import backlit as bl
    >>> float(bl.metrics.MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]))
    0.25
    """

    aliases = ("mse",)
    measured: Loss = losses_numbers.MeanSquaredError()


class RootMeanSquaredError(MeanSquaredError):
    """The square root of mean (p - y)², in the unit of y.

    >>> import backlit as bl
    >>> float(bl.metrics.RootMeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]))
    0.5
    """

    aliases = ("rmse",)

    def value(self, totals: Totals) -> Any:
        """The root of the mean."""
        return np.sqrt(average(totals))


class MeanAbsoluteError(_OfLoss):
    """mean |p - y|."""

    aliases = ("mae",)
    measured: Loss = losses_numbers.MeanAbsoluteError()


class MeanAbsolutePercentageError(_OfLoss):
    """100 mean |p - y| / max(|y|, 1e-7)."""

    aliases = ("mape",)
    measured: Loss = losses_numbers.MeanAbsolutePercentageError()


class MeanSquaredLogarithmicError(_OfLoss):
    """mean (log(1 + p) - log(1 + y))²."""

    aliases = ("msle",)
    measured: Loss = losses_numbers.MeanSquaredLogarithmicError()


class LogCoshError(_OfLoss):
    """mean log cosh(p - y)."""

    name = "logcosh"
    aliases = ("logcosh",)
    measured: Loss = losses_numbers.LogCosh()


class CosineSimilarity(_OfLoss):
    """The mean cosine of the angle between y and p: 1 for one direction (the loss of that name has the sign turned).

    >>> import backlit as bl
    >>> round(float(bl.metrics.CosineSimilarity()([[3.0, 4.0]], [[3.0, 0.0]])), 6)
    0.6
    """

    better, one_example = "max", True

    def __init__(self, name: str | None = None, dtype: DType | None = None, axis: int = -1):
        super().__init__(name, dtype)
        self.measured = losses_numbers.CosineSimilarity(axis)

    def formula(self, y: Any, p: Any) -> Any:
        """Σ y/|y| p/|p|."""
        return -super().formula(y, p)


class Hinge(_OfLoss):
    """mean max(1 - y p, 0) for y of -1 and 1 (or 0 and 1)."""

    measured: Loss = losses_numbers.Hinge()


class SquaredHinge(_OfLoss):
    """mean max(1 - y p, 0)² for y of -1 and 1 (or 0 and 1)."""

    measured: Loss = losses_numbers.SquaredHinge()


class CategoricalHinge(_OfLoss):
    """max(max((1 - y) p) - Σ y p + 1, 0) for one-hot y."""

    classes, one_example = True, True
    measured: Loss = losses_numbers.CategoricalHinge()


class KLDivergence(_OfLoss):
    """Σ y log(y / p)."""

    aliases = ("kld",)
    one_example = True
    measured: Loss = losses_classes.KLDivergence()

    def reads_probabilities(self) -> bool:
        """Always."""
        return True


class Poisson(_OfLoss):
    """mean p - y log(p + 1e-7)."""

    measured: Loss = losses_classes.Poisson()


class _Crossentropy(_OfLoss):
    """What the cross-entropies share: under a loss with from_logits=True the outputs become probabilities first, unless
    the metric is itself told that they are logits."""

    def reads_probabilities(self) -> bool:
        """Whether the metric is not told that it gets logits."""
        return not self.measured.from_logits


class BinaryCrossentropy(_Crossentropy):
    """The binary cross-entropy, the mean over the outputs.

    >>> import backlit as bl
    >>> round(float(bl.metrics.BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

    aliases = ("bce",)

    def __init__(
        self,
        name: str | None = None,
        dtype: DType | None = None,
        from_logits: bool = False,
        label_smoothing: Share = 0.0,
    ):
        super().__init__(name, dtype)
        self.measured = losses_classes.BinaryCrossentropy(from_logits, label_smoothing)


class CategoricalCrossentropy(_Crossentropy):
    """-Σ y log p for one-hot y.

    >>> import backlit as bl
    >>> round(float(bl.metrics.CategoricalCrossentropy()([[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])), 4)
    1.1769
    """

    classes, one_example = True, True

    def __init__(
        self,
        name: str | None = None,
        dtype: DType | None = None,
        from_logits: bool = False,
        label_smoothing: Share = 0.0,
        axis: int = -1,
    ):
        super().__init__(name, dtype)
        self.measured = losses_classes.CategoricalCrossentropy(from_logits, label_smoothing, axis)


class SparseCategoricalCrossentropy(_Crossentropy):
    """-log p[y] for labels y; those of `ignore_class` do not count.

    >>> import backlit as bl
    >>> round(float(bl.metrics.SparseCategoricalCrossentropy()([1, 2], [[0.05, 0.95, 0], [0.1, 0.8, 0.1]])), 4)
    1.1769
    """

    labels, one_example = True, True

    def __init__(
        self,
        name: str | None = None,
        dtype: DType | None = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ):
        super().__init__(name, dtype)
        self.ignore_class = ignore_class
        self.measured = losses_classes.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)


# ---------------------------------------------------------------------- others
class R2Score(Metric):
    """1 - Σ(y - p)² / Σ(y - mean y)²: 1 is perfect, 0 is as good as the mean, below 0 worse.

    Of several outputs the mean ("uniform_average"), the mean weighted by their variances ("variance_weighted_average")
    or one each (None). A y that never changes gives 1 where p is perfect, else 0, as in scikit-learn.
    `num_regressors` p: adjusted for as many inputs, 1 - (1 - R²)(n - 1)/(n - p - 1), where there are examples enough.

    >>> import backlit as bl
    >>> round(float(bl.metrics.R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    better: ClassVar[str] = "max"

    def __init__(
        self,
        class_aggregation: Literal["uniform_average", "variance_weighted_average"] | None = "uniform_average",
        num_regressors: Natural = 0,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(name, dtype)
        self.class_aggregation, self.num_regressors = class_aggregation, num_regressors

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """Weights, y, y² and squared errors, summed output by output."""
        rows = size(y, axis=tuple(range(y.ndim - 1)))
        y, p = cast(y, "float64"), cast(p, "float64")
        w = y * 0.0 + 1.0 if w is None else spread(cast(w, "float64"), y.shape)
        over = tuple(range(y.ndim - 1))
        parts = {"weights": w, "y": w * y, "squares": w * square(y), "errors": w * square(y - p)}
        return {"rows": rows, **{key: sum_(part, axis=over) for key, part in parts.items()}}

    def value(self, totals: Totals) -> Any:
        """R² from the sums."""
        errors = np.asarray(totals["errors"])
        with np.errstate(all="ignore"):
            spreads = totals["squares"] - totals["y"] ** 2 / totals["weights"]
            spreads = np.where(spreads > 1e-14 * totals["squares"], spreads, 0.0)  # less is rounding
            each = np.where(spreads > 0, 1 - errors / spreads, np.where(errors > 0, 0.0, 1.0))
        score = each
        if self.class_aggregation == "uniform_average":
            score = each.mean()
        elif self.class_aggregation is not None:
            score = np.average(each, weights=spreads) if spreads.sum() > 0 else each.mean()
        spare = totals["rows"] - self.num_regressors - 1
        if self.num_regressors and spare > 0:
            score = 1 - (1 - score) * (totals["rows"] - 1) / spare
        return score


class Mean(Metric):
    """The weighted mean of values: `m.update_state(values, sample_weight)`. Not for `compile`, which has y and p.

    >>> import backlit as bl
    >>> float(bl.metrics.Mean()([1, 3, 5, 7], [1, 1, 0, 0]))
    2.0
    """

    def formula(self, y: Any, p: Any) -> Any:
        """Refused: a mean of what?"""
        raise ArgumentError(
            "Mean takes values, not y and p.", fix="a function of (y_true, y_pred) is averaged by itself"
        )

    @checked
    def update_state(self, values: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        """Add values, one weight each (or one an example), to the sums."""
        values = as_array(values).astype(np.float64)
        weights = np.ones(values.shape) if sample_weight is None else as_array(sample_weight).astype(np.float64)
        if weights.shape != values.shape[: weights.ndim]:
            expected = f"weights of shape {show(values.shape)} or {show(values.shape[:1])}"
            raise ShapeError("these weights fit no value.", expected=expected, found=show(weights.shape))
        weights = np.broadcast_to(weights.reshape(weights.shape + (1,) * (values.ndim - weights.ndim)), values.shape)
        before = self.totals or {"total": 0.0, "count": 0.0}
        self.totals = {
            "total": before["total"] + (values * weights).sum(),
            "count": before["count"] + weights.sum(),
        }

    @checked
    def __call__(self, values: Any, sample_weight: Any = None) -> Any:  # type: ignore[override]
        """The mean of all values so far, these among them."""
        self.update_state(values, sample_weight)
        return self.result()


__all__: Sequence[str] = [
    name for name, value in dict(globals()).items() if name[0] != "_" and getattr(value, "__module__", "") == __name__
]
