"""Losses between probabilities: cross-entropies, plain and focal, divergence, counts. Each is written as Keras computes
it; the `stable` rules put the logits form where the output is a softmax or a sigmoid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.arguments import NotNegative, Share
from ..core.node import DType
from ..ops.elementwise import clip, log, not_equal, where
from ..ops.index import one_hot, transpose
from ..ops.nn import log_softmax, sigmoid, softmax, softplus
from ..ops.reduce import mean
from ..ops.reduce import sum as sum_
from .losses_base import EPSILON, MEAN, Loss, Reduction


def _inside(p: Any) -> Any:
    """Probabilities kept from 0 and 1, so that their logarithms are finite."""
    return clip(p, EPSILON, 1 - EPSILON)


class _Smoothed(Loss):
    """What the cross-entropies share: logits or probabilities, smoothed labels, the axis of the outputs."""

    probabilities, targets = True, (0.0, 1.0)

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: Share = 0.0,
        axis: int = -1,
        reduction: Reduction = MEAN,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(reduction, name, dtype)
        self.from_logits, self.label_smoothing, self.axis = from_logits, label_smoothing, axis

    def smoothed(self, y: Any, classes: Any) -> Any:
        """y (1 - s) + s/k: a little of every one of the k classes."""
        if not self.label_smoothing:
            return y
        return y * (1.0 - self.label_smoothing) + self.label_smoothing / classes


# ---------------------------------------------------------------------- yes or no
class BinaryCrossentropy(_Smoothed):
    """-y log p - (1 - y) log(1 - p), the mean over the outputs; y is 0 or 1 (or between), p a probability.

    `from_logits=True`: p is a logit z, and the loss y log(1 + e⁻ᶻ) + (1 - y) log(1 + eᶻ) is accurate for every z.
    `label_smoothing` s: y becomes y (1 - s) + s/2.

    >>> import backlit as bl
    >>> round(float(bl.losses.BinaryCrossentropy()([[1.0, 0.0, 1.0]], [[0.9, 0.2, 0.6]])), 4)
    0.2798
    """

    aliases = ("bce",)
    link = "sigmoid"

    def formula(self, y: Any, p: Any) -> Any:
        """The cross-entropy of each example."""
        y = self.smoothed(y, 2)
        return mean(_binary_logits(y, p) if self.from_logits else _binary(y, _inside(p)), axis=self._axis(p.shape))


def _binary(y: Any, p: Any) -> Any:
    return -(y * log(p) + (1 - y) * log(1 - p))


def _binary_logits(y: Any, z: Any) -> Any:
    return y * softplus(-z) + (1 - y) * softplus(z)


class BinaryFocalCrossentropy(_Smoothed):
    """The binary cross-entropy times (1 - q)^gamma, q = y p + (1 - y)(1 - p) being the probability of what is true: what
    is already right counts little (Lin et al. 2017). `apply_class_balancing` weighs y = 1 with alpha, y = 0 with
    1 - alpha. `from_logits=True`: p is a logit, accurate for every one.

    >>> import backlit as bl
    >>> round(float(bl.losses.BinaryFocalCrossentropy()([[1.0, 0.0]], [[0.9, 0.6]])), 4)
    0.1655
    """

    link = "sigmoid"

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: NotNegative = 0.25,
        gamma: NotNegative = 2.0,
        from_logits: bool = False,
        label_smoothing: Share = 0.0,
        axis: int = -1,
        reduction: Reduction = MEAN,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.apply_class_balancing, self.alpha, self.gamma = apply_class_balancing, alpha, gamma

    def formula(self, y: Any, p: Any) -> Any:
        """The focal loss of each example."""
        y = self.smoothed(y, 2)
        p = _inside(sigmoid(p) if self.from_logits else p)
        each = (1.0 - (y * p + (1 - y) * (1 - p))) ** self.gamma * _binary(y, p)
        if self.apply_class_balancing:
            each = (y * self.alpha + (1 - y) * (1 - self.alpha)) * each
        return mean(each, axis=self._axis(p.shape))


# ---------------------------------------------------------------------- one of several
def _share(p: Any, axis: int) -> Any:
    """Probabilities brought to sum 1."""
    return p / sum_(p, axis=axis, keepdims=True)


def _log_probabilities(p: Any, from_logits: bool, axis: int) -> Any:
    return log_softmax(p, axis=axis) if from_logits else log(_inside(_share(p, axis)))


class CategoricalCrossentropy(_Smoothed):
    """-Σ y log p for one-hot y (m, k) and probabilities p (m, k), which are brought to sum 1.

    `from_logits=True`: p are logits; the softmax is folded into the loss, which is then accurate for every z.
    `label_smoothing` s: y becomes y (1 - s) + s/k. `axis`: where the k classes lie.

    >>> import backlit as bl
    >>> round(float(bl.losses.CategoricalCrossentropy()([[0, 0, 1]], [[0.3, 0.2, 0.5]])), 4)
    0.6931
    """

    link = "softmax"

    def formula(self, y: Any, p: Any) -> Any:
        """The cross-entropy of each example."""
        axis = self._axis(p.shape)
        y = self.smoothed(y, p.shape[axis])
        return -sum_(y * _log_probabilities(p, self.from_logits, axis), axis=axis)


class CategoricalFocalCrossentropy(_Smoothed):
    """-Σ alpha (1 - p)^gamma y log p for one-hot y: what is already right counts little (Lin et al. 2017). `alpha` is one
    number or one a class. `from_logits=True`: p are logits, accurate for every one.

    >>> import backlit as bl
    >>> round(float(bl.losses.CategoricalFocalCrossentropy()([[0, 0, 1]], [[0.3, 0.2, 0.5]])), 4)
    0.0433
    """

    link = "softmax"

    def __init__(
        self,
        alpha: NotNegative | Sequence[NotNegative] = 0.25,
        gamma: NotNegative = 2.0,
        from_logits: bool = False,
        label_smoothing: Share = 0.0,
        axis: int = -1,
        reduction: Reduction = MEAN,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(from_logits, label_smoothing, axis, reduction, name, dtype)
        self.alpha, self.gamma = alpha, gamma

    def formula(self, y: Any, p: Any) -> Any:
        """The focal loss of each example."""
        axis = self._axis(p.shape)
        y = self.smoothed(y, p.shape[axis])
        p = _inside(_share(softmax(p, axis=axis) if self.from_logits else p, axis))
        return sum_((1.0 - p) ** self.gamma * self.alpha * (-y * log(p)), axis=axis)


class SparseCategoricalCrossentropy(Loss):
    """-log p[y] for labels y (m,) or (m, 1), whole numbers 0 … k-1, and outputs p (m, k).

    `from_logits=True`: p are logits z; the softmax is folded into the loss, which is then accurate for every z.
    `ignore_class`: examples (or time steps) with this label count nothing, also not in the mean.

    >>> import backlit as bl
    >>> round(float(bl.losses.SparseCategoricalCrossentropy()([2], [[0.3, 0.2, 0.5]])), 4)
    0.6931
    """

    aliases = ("sparse_ce",)
    labels, probabilities, link = True, True, "softmax"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Reduction = MEAN,
        axis: int = -1,
        name: str | None = None,
        dtype: DType | None = None,
    ):
        super().__init__(reduction, name, dtype)
        self.from_logits, self.ignore_class, self.axis = from_logits, ignore_class, axis

    def valid(self, y: Any) -> Any:
        """Whether the label is not the one to ignore."""
        return None if self.ignore_class is None else not_equal(y, self.ignore_class)

    def formula(self, y: Any, p: Any) -> Any:
        """The cross-entropy of each example."""
        axis = self._axis(p.shape)
        if axis != len(p.shape) - 1:
            p = transpose(p, [place for place in range(len(p.shape)) if place != axis] + [axis])
        hits = one_hot(y, p.shape[-1], p.dtype)
        each = -sum_(hits * _log_probabilities(p, self.from_logits, len(p.shape) - 1), axis=-1)
        return each if self.ignore_class is None else where(self.valid(y), each, 0.0)


# ---------------------------------------------------------------------- distributions and counts
class KLDivergence(Loss):
    """Σ y log(y / p): how far the distribution p lies from y; both are kept from 0 (Kullback and Leibler 1951).

    >>> import backlit as bl
    >>> round(float(bl.losses.KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    aliases = ("kld", "kullback_leibler_divergence")
    probabilities, targets = True, (0.0, 1.0)

    def formula(self, y: Any, p: Any) -> Any:
        """Σ y log(y / p)."""
        y, p = clip(y, EPSILON, 1.0), clip(p, EPSILON, 1.0)
        return sum_(y * log(y / p), axis=-1)


class Poisson(Loss):
    """mean of p - y log(p + 1e-7) for counts y from 0 and expected counts p above 0.

    >>> import backlit as bl
    >>> round(float(bl.losses.Poisson()([[2.0]], [[3.0]])), 4)
    0.8028
    """

    targets = (0.0, np.inf)

    def formula(self, y: Any, p: Any) -> Any:
        """mean (p - y log(p + 1e-7))."""
        return mean(p - y * log(p + EPSILON), axis=-1)


__all__: Sequence[str] = [
    name for name, value in dict(globals()).items() if name[0] != "_" and getattr(value, "__module__", "") == __name__
]
