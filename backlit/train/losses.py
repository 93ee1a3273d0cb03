"""Losses, written as Keras computes them. What overflows as written is put right by the `stable` rules, whoever wrote
it.

A loss is one class: `formula(y, p)` gives one number an example. To add one, write the class; names follow from it.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..core.errors import ShapeError, ValueRangeError
from ..core.node import FLOATS, Node, as_array
from ..core.op import as_node, cast
from ..core.record import Record
from ..core.shapes import show
from ..core.walk import strip_marks
from ..ops.elementwise import absolute, clip, log, square
from ..ops.index import one_hot, reshape
from ..ops.nn import log_softmax, softplus
from ..ops.reduce import mean
from ..ops.reduce import sum as sum_
from ..rewrite import stable
from ..rewrite.rule import apply

EPSILON = 1e-7  # Keras's fuzz factor: how far probabilities are kept from 0 and 1
REDUCTIONS = ("sum_over_batch_size", "sum", None, "none")


class Loss(Record):
    """The base of all losses. Called with arrays or lists it returns a NumPy number, with nodes a node.

    `reduction`: "sum_over_batch_size" (the mean over the examples, the default), "sum", or None for one number an
    example.
    y_true and y_pred have one shape (or y_true lacks a last axis of 1); nothing is broadcast. Raises ShapeError
    otherwise.
    """

    family = "loss"
    labels: ClassVar[bool] = False  # y holds whole numbers that name a class
    probabilities: ClassVar[bool] = False  # the output is a probability unless from_logits
    link: ClassVar[str | None] = None  # the activation that makes probabilities of logits

    def __init__(self, reduction: str | None = "sum_over_batch_size", name: str | None = None):
        if reduction not in REDUCTIONS:
            raise ValueRangeError("there is no such reduction.", expected=str(REDUCTIONS), found=repr(reduction))
        self.reduction, self.name = reduction, name
        self.from_logits = False

    def formula(self, y: Any, p: Any) -> Any:
        """One number an example, from target y and output p."""
        raise NotImplementedError(f"{type(self).__name__}.formula")

    def per_example(self, y: Any, p: Any) -> Any:
        """Nodes for one number an example; y is brought to the shape that the formula expects, never broadcast."""
        if not p.shape:
            raise ShapeError(
                f"{type(self).__name__} needs an axis of outputs.",
                expected="an output of shape (m, k)",
                found="a single number",
                fix="loss([y], [p])",
            )
        wanted = p.shape[:-1] if self.labels else p.shape
        if y.shape != wanted:
            column = (*wanted, 1) if self.labels else wanted[:-1] if wanted[-1:] == (1,) else None
            if y.shape != column:
                raise ShapeError(
                    f"{type(self).__name__} cannot compare y with the output.",
                    expected=f"y of shape {show(wanted)}",
                    found=f"y {show(y.shape)}, output {show(p.shape)}",
                    why="nothing is broadcast: that would compare every example with every other",
                    fix="reshape y, or give the last layer as many units as y has columns",
                )
            y = reshape(y, wanted)
        return self.formula(y if self.labels else cast(y, p.dtype), p)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        concrete = not isinstance(y_true, Node) and not isinstance(y_pred, Node)
        y, p = (as_node(value if isinstance(value, Node) else as_array(value)) for value in (y_true, y_pred))
        each = self.per_example(y, p if p.dtype in FLOATS else cast(p, "float64"))
        total = reduced(each, None if sample_weight is None else as_node(sample_weight), self.reduction)
        if not concrete:
            return total
        (safe,) = apply(strip_marks([total]), stable.RULES)
        return safe.value


def reduced(each: Any, weight: Any, reduction: str | None) -> Any:
    """Keras's reduction: the weighted sum over the number of examples."""
    if weight is not None:
        each = each * cast(reshape(weight, each.shape) if weight.shape != each.shape else weight, each.dtype)
    if reduction in (None, "none"):
        return each
    return sum_(each) if reduction == "sum" else mean(each)


class MeanSquaredError(Loss):
    """mean over the outputs of (p - y)². No factor ½ (the course's graphs have one: then the gradient is half as
    large).

    >>> import backlit as bl
    >>> float(bl.losses.MeanSquaredError()([[1.0], [3.0]], [[2.0], [5.0]]))
    2.5
    """

    aliases = ("mse",)

    def formula(self, y: Any, p: Any) -> Any:
        """mean (p - y)²."""
        return mean(square(p - y), axis=-1)


class MeanAbsoluteError(Loss):
    """mean over the outputs of |p - y|."""

    aliases = ("mae",)

    def formula(self, y: Any, p: Any) -> Any:
        """mean |p - y|."""
        return mean(absolute(p - y), axis=-1)


class BinaryCrossentropy(Loss):
    """-y log p - (1 - y) log(1 - p), the mean over the outputs; y is 0 or 1 (or between), p a probability.

    `from_logits=True`: p is a logit z, and the loss is softplus(z) - y z, accurate for every z.

    >>> import backlit as bl
    >>> round(float(bl.losses.BinaryCrossentropy()([[1.0, 0.0, 1.0]], [[0.9, 0.2, 0.6]])), 4)
    0.2798
    """

    aliases = ("bce",)
    probabilities, link = True, "sigmoid"

    def __init__(
        self, from_logits: bool = False, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ):
        super().__init__(reduction, name)
        self.from_logits = from_logits

    def formula(self, y: Any, p: Any) -> Any:
        """The cross-entropy of each example."""
        if self.from_logits:
            return mean(softplus(p) - y * p, axis=-1)
        p = clip(p, EPSILON, 1 - EPSILON)
        return mean(-(y * log(p) + (1 - y) * log(1 - p)), axis=-1)


class _Categorical(Loss):
    """-log of the probability that the output gives to the true class."""

    probabilities, link = True, "softmax"

    def __init__(
        self, from_logits: bool = False, reduction: str | None = "sum_over_batch_size", name: str | None = None
    ):
        super().__init__(reduction, name)
        self.from_logits = from_logits

    def log_probabilities(self, p: Any) -> Any:
        """log softmax of logits, or the logarithm of probabilities that are brought to sum 1 and kept from 0 and 1."""
        if self.from_logits:
            return log_softmax(p)
        return log(clip(p / sum_(p, axis=-1, keepdims=True), EPSILON, 1 - EPSILON))


class CategoricalCrossentropy(_Categorical):
    """-Σ y log p for one-hot y (m, k) and probabilities, or logits with `from_logits=True`, p (m, k)."""

    def formula(self, y: Any, p: Any) -> Any:
        """The cross-entropy of each example."""
        return -sum_(y * self.log_probabilities(p), axis=-1)


class SparseCategoricalCrossentropy(_Categorical):
    """-log p[y] for labels y (m,) or (m, 1), whole numbers 0 … k-1, and outputs p (m, k).

    `from_logits=True`: p are logits z; the softmax is folded into the loss, which is then accurate for every z.

    >>> import backlit as bl
    >>> round(float(bl.losses.SparseCategoricalCrossentropy()([2], [[0.3, 0.2, 0.5]])), 4)
    0.6931
    """

    aliases = ("sparse_ce",)
    labels = True

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        if not isinstance(y_true, Node) and not isinstance(y_pred, Node):
            y_pred = as_array(y_pred)
            if y_pred.ndim:
                y_true = check_labels(as_array(y_true), y_pred.shape[-1], type(self).__name__)
        return super().__call__(y_true, y_pred, sample_weight)

    def formula(self, y: Any, p: Any) -> Any:
        """The cross-entropy of each example."""
        return -sum_(one_hot(y, p.shape[-1], p.dtype) * self.log_probabilities(p), axis=-1)


def check_labels(y: Any, classes: int, what: str) -> Any:
    """Labels as whole numbers 0 … classes-1; ValueRangeError where one is not."""
    with np.errstate(invalid="ignore"):  # NaN becomes some number, and is then not equal to it
        whole = y.astype(np.int64)
    if y.size and ((whole != y).any() or whole.min() < 0 or whole.max() >= classes):
        raise ValueRangeError(
            f"{what} cannot use these labels.",
            expected=f"whole numbers 0..{classes - 1}",
            found=f"{y.min()} … {y.max()}" + (", not all whole" if (whole != y).any() else ""),
            fix="number the classes from 0, or give the last layer more units",
        )
    return whole


class LogCosh(Loss):
    """mean over the outputs of log cosh(p - y): ½(p - y)² near 0, |p - y| - log 2 far away.

    Written with softplus, so that it does not overflow. Cosh itself does beyond 89 (float32).

    >>> import backlit as bl
    >>> round(float(bl.losses.LogCosh()([[0.0]], [[1000.0]])), 4)
    999.3069
    """

    def formula(self, y: Any, p: Any) -> Any:
        """mean (d + softplus(-2d) - log 2), d = p - y."""
        distance = p - y
        return mean(distance + softplus(-2 * distance) - 0.6931471805599453, axis=-1)
