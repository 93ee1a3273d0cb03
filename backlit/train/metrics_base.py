"""What a metric is: one number an example, or sums over the examples and the number that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Self

import numpy as np

from ..core import registry
from ..core.arguments import checked
from ..core.errors import ArgumentError, not_written
from ..core.node import FLOATS, INTEGERS, DType, Node, as_array, checked_dtype
from ..core.op import as_node, cast
from ..core.record import Record, snake
from ..core.shapes import Shape
from ..ops import nn
from ..ops.index import one_hot, reshape
from ..ops.reduce import argmax, mean, size
from ..ops.reduce import sum as sum_
from .losses_base import Loss, LossFunctionWrapper, check_labels, function_name, known_function, misfit, spread

Totals = Mapping[str, Any]


class Metric(Record):
    """The base of all metrics.

    A metric of your own has `formula(y, p)`, one number an example, which is averaged. Or it has `sums(y, p, w)`, a dict
    of nodes that are sums over the examples (w: their weights, or None), and `value(totals)`, the number (in NumPy)
    that these sums, added over all batches, stand for.

    In `compile` it is logged under its name. By itself it is used as in Keras: `m.update_state(y_true, y_pred)`,
    `m.result()`, `m.reset_state()`, or `m(y_true, y_pred)` for both of the first.

    >>> import backlit as bl
    >>> class Spread(bl.metrics.Metric):
    ...     def sums(self, y, p, w):
    ...         return {"n": bl.ops.sum(bl.ops.ones_like(p)), "p": bl.ops.sum(p), "pp": bl.ops.sum(p * p)}
    ...     def value(self, totals):
    ...         return (totals["pp"] / totals["n"] - (totals["p"] / totals["n"]) ** 2) ** 0.5
    >>> float(Spread()([[0.0], [0.0]], [[1.0], [3.0]]))
    1.0
    """

    family = "metric"
    labels: bool = False  # y holds whole numbers that name a class (a one-hot y is turned into them)
    classes: ClassVar[bool] = False  # outputs stand for classes: whole-number labels are turned into a one-hot y
    one_example: bool = False  # a vector p alone is one example's outputs, not one output of many examples
    better: ClassVar[str] = ""  # "max", "min", or "" where nobody can say
    name: str = ""
    dtype: str | None = None
    link: str | None = None  # the activation that makes probabilities of the outputs, for a loss on logits
    totals: Totals | None = None

    @checked
    def __init__(self, name: str | None = None, dtype: DType | None = None):
        self.name = name or type(self).name or snake(type(self).__name__)
        self.dtype = None if dtype is None else checked_dtype(dtype)

    # ------------------------------------------------------------------ to be written by a metric
    def formula(self, y: Any, p: Any) -> Any:
        """One number an example."""
        raise not_written(self, "formula(self, y, p)")

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """What the sums of this metric grow by; by default the weighted sum of the formula and the sum of weights."""
        each = self.formula(y, p)
        each = each if each.dtype == p.dtype else cast(each, p.dtype)
        if not each.shape:
            rows = size(p, axis=0)
            each, count = each * rows if w is None else each * spread(w, each.shape), rows
            return {"total": each, "count": count}
        w = None if w is None else spread(cast(w, p.dtype), each.shape)
        count = size(each, axis=0) if w is None else sum_(_rest(w))
        return {"total": sum_(_rest(each if w is None else each * w)), "count": count}

    def value(self, totals: Totals) -> Any:
        """The metric from its sums; where nothing was counted, NaN."""
        return average(totals)

    def reads_probabilities(self) -> bool:
        """Whether the metric wants probabilities where the loss has logits."""
        return False

    # ------------------------------------------------------------------ what every metric has
    @classmethod
    @checked
    def get(cls, identifier: Any) -> Self:
        """The metric that `identifier` means; a function of (y_true, y_pred), a loss or its name is averaged."""
        record = getattr(identifier, "record", None)
        if isinstance(record, type) and issubclass(record, Metric):
            return record()  # type: ignore[return-value]
        if isinstance(identifier, Loss) or (callable(identifier) and not isinstance(identifier, (type, Metric))):
            return MeanMetricWrapper(identifier if record is None else record())  # type: ignore[return-value]
        return super().get(identifier)

    @classmethod
    @checked
    def named(cls, name: str) -> Any:
        """The class of that name; a loss that is no metric of its own, or a function compiled with before, is averaged."""
        if registry.find(f"metric.{name}") is None and registry.find(f"metric.{name.lower()}") is None:
            if registry.find(f"metric function.{name}") is not None:
                return partial(MeanMetricWrapper, name)
            loss = registry.find(f"loss.{name}") or registry.find(f"loss.{name.lower()}")
            if loss is not None:
                return partial(MeanMetricWrapper, loss())
        return super().named(name)

    @classmethod
    def alone(cls, y_true: Any, y_pred: Any, **configuration: Any) -> Any:
        """The metric as a function: one number an example."""
        if cls.formula is Metric.formula:
            fix = f"bl.metrics.{cls.__name__}()(y_true, y_pred)"
            raise ArgumentError(f"{cls.__name__} is one number of all examples, not one an example.", fix=fix)
        y, p = _nodes(y_true, y_pred)
        each = cls(**configuration).per_example(y, p)
        return each if isinstance(y_true, Node) or isinstance(y_pred, Node) else each.value

    def fitted(self, y: Any, p: Any) -> tuple[Any, Any]:
        """y and p as the formula or the sums expect them, never broadcast."""
        p = p if p.dtype in FLOATS else cast(p, "float64")
        p = p if self.dtype is None else cast(p, self.dtype)
        if len(p.shape) < 2:
            full = (1, *(p.shape or (1,))) if self.one_example else (*(p.shape or (1,)), 1)
            y = reshape(y, full) if y.shape == p.shape else reshape(y, (1,)) if not y.shape else y
            p = reshape(p, full)
        p = p if self.link is None else getattr(nn, self.link)(p)
        if self.labels:
            return _labels(y, p, type(self).__name__), p
        return cast(_values(y, p, self.classes, type(self).__name__), p.dtype), p

    def per_example(self, y: Any, p: Any) -> Any:
        """The formula on a y of the output's shape (of the labels' shape for class labels)."""
        y, p = self.fitted(y, p)
        return cast(self.formula(y, p), p.dtype)

    def states(self, y: Any, p: Any, w: Any = None) -> dict[str, Any]:
        """What the sums grow by for these targets, outputs and weights: nodes of a fixed shape in float64."""
        return {key: cast(as_node(part), "float64") for key, part in self.sums(*self.fitted(y, p), w).items()}

    @checked
    def result(self, totals: Totals | None = None) -> Any:
        """The metric from these sums, or from what `update_state` has summed: a number, or an array of several."""
        totals = self.totals if totals is None else totals
        value = self.value(totals) if totals else 0.0
        return float(value) if np.ndim(value) == 0 else np.asarray(value)

    @checked
    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Add a batch of arrays to the sums. A refused batch changes nothing."""
        y, p, *w = _nodes(y_true, y_pred, *([] if sample_weight is None else [sample_weight]))
        if any(isinstance(value, Node) for value in (y_true, y_pred, sample_weight)):
            raise ArgumentError("a metric by itself counts arrays.", fix="metric.states(y, p) gives nodes")
        self._check_labels(as_array(y_true), p.shape)
        self._add(self.states(y, p, w[0] if w else None))

    def _check_labels(self, y: Any, output: Shape) -> None:
        if self.labels and len(output) > 1 and output[-1:] != (1,) and y.shape in (output[:-1], (*output[:-1], 1)):
            check_labels(y, output[-1], type(self).__name__, getattr(self, "ignore_class", None))

    def _add(self, parts: Mapping[str, Any]) -> None:
        known = registry.lookup("values.reference")(list(parts.values()))
        before = self.totals or {}
        self.totals = {key: before.get(key, 0.0) + known[node] for key, node in parts.items()}

    def reset_state(self) -> None:
        """Forget what was summed."""
        self.totals = None

    @checked
    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The metric of all batches so far, this one among them."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()


def average(totals: Totals) -> float:
    """Total over count; NaN where nothing was counted."""
    return float(totals["total"] / totals["count"]) if totals["count"] > 0 else float("nan")


def _nodes(*values: Any) -> list[Any]:
    return [as_node(value if isinstance(value, Node) else as_array(value)) for value in values]


def _rest(each: Any) -> Any:
    """The mean over all axes but that of the examples."""
    return mean(each, axis=tuple(range(1, each.ndim))) if each.ndim > 1 else each


def _labels(y: Any, p: Any, who: str) -> Any:
    """Class numbers (m, …) from labels, from a column of them, or from one-hot rows."""
    wanted = p.shape[:-1]
    if y.shape == p.shape and p.shape[-1] != 1:
        return argmax(y, axis=-1)
    if y.shape not in (wanted, (*wanted, 1)):
        raise misfit(who, wanted, y.shape, p.shape)
    return reshape(y, wanted) if y.shape != wanted else y


def _values(y: Any, p: Any, classes: bool, who: str) -> Any:
    """y in the shape of p, from a vector for one output, or one-hot rows from class numbers where that is meant."""
    if y.shape == p.shape:
        return y
    if p.shape[-1] == 1 and y.shape == p.shape[:-1]:
        return reshape(y, p.shape)
    if classes and y.dtype in INTEGERS and y.shape in (p.shape[:-1], (*p.shape[:-1], 1)):
        return one_hot(y if y.shape == p.shape[:-1] else reshape(y, p.shape[:-1]), p.shape[-1], p.dtype)
    raise misfit(who, p.shape, y.shape, p.shape)


class _OfLoss(Metric):
    """The mean of a loss over the examples; `measured` is the loss."""

    better: ClassVar[str] = "min"
    measured: Loss

    def fitted(self, y: Any, p: Any) -> tuple[Any, Any]:
        """As the loss wants them."""
        inner = self.measured.axis not in (-1, len(p.shape) - 1)
        return self.measured.fitted(y, p) if inner else super().fitted(y, p)

    def formula(self, y: Any, p: Any) -> Any:
        """The loss of each example."""
        return self.measured.formula(y, p)

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        """The mean over the examples that count."""
        valid = self.measured.valid(y)
        if valid is not None:
            valid = cast(valid, p.dtype)
            w = valid if w is None else valid * spread(cast(w, p.dtype), valid.shape)
        return super().sums(y, p, w)


class MeanMetricWrapper(_OfLoss, spoken=False):
    """The mean of a function `fn(y_true, y_pred)` of nodes, which gives one number an example, or of a loss.

    A function that gives one number for the whole batch is weighed by the number of examples. `labels=True`: y holds
    class numbers and lacks the outputs' axis.

    >>> import backlit as bl
    >>> within = bl.metrics.MeanMetricWrapper(lambda y, p: bl.ops.mean(abs(y - p) < 0.5, axis=-1), name="within")
    >>> float(within([[1.0], [2.0]], [[1.1], [3.0]]))
    0.5
    """

    better: ClassVar[str] = ""

    def __init__(self, fn: Any, name: str | None = None, dtype: DType | None = None, labels: bool = False):
        if isinstance(fn, (Loss, Mapping)):
            self.measured: Any = Loss.get(fn)
        else:
            self.measured = LossFunctionWrapper(known_function(fn, "metric"), labels=labels)
        super().__init__(name or self.measured.name, dtype)
        self.labels, self.one_example = self.measured.labels, self.measured.link == "softmax"

    def get_config(self) -> dict[str, Any]:
        """The arguments; a function by its name, by which it is found where it is defined."""
        config, fn = super().get_config(), self.arguments["fn"]
        return config if isinstance(fn, (Loss, Mapping)) else {**config, "fn": function_name(self.measured.fn)}
