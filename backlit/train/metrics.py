"""Metrics: one number an example, averaged, or counts and the number they stand for. Their sums are state of the
training step.

To add one, write the class in metrics_values.py or metrics_counts.py; its names follow from it.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ..core import registry
from ..core.shapes import Shape
from .losses_base import Loss, room
from .metrics_base import MeanMetricWrapper as MeanMetricWrapper
from .metrics_base import Metric
from .metrics_base import average as average
from .metrics_counts import *  # noqa: F403
from .metrics_values import *  # noqa: F403
from .metrics_values import (
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
)

BY_SHAPE = ("accuracy", "acc", "crossentropy", "ce")  # words whose metric follows from the loss and the output


def resolve(identifier: Any, loss: Loss, output: Shape = ()) -> tuple[str, Metric]:
    """(name in the logs, metric) for an output of that shape that is trained with `loss`.

    "accuracy" and "crossentropy" become the one that fits: for labels the sparse one; for a loss on yes and no, or a
    single output, the binary one; else the categorical one. Where the loss is told that it gets logits, binary accuracy
    decides at 0, and a metric that wants probabilities gets them.
    """
    if identifier in BY_SHAPE:
        make = _accuracy if identifier in BY_SHAPE[:2] else _crossentropy
        return identifier, make(loss, output, identifier)
    metric = Metric.get(identifier)
    if loss.from_logits and loss.link and metric.reads_probabilities():
        metric = copy.copy(metric)
        metric.link = loss.link
    return (identifier if isinstance(identifier, str) else metric.name or type(metric).__name__), metric


def resolve_all(identifiers: Sequence[Any], loss: Loss, output: Shape = ()) -> dict[str, Metric]:
    """Every metric by its name in the logs; a second one of a name becomes name_1, as in Keras."""
    found: dict[str, Metric] = {}
    for identifier in identifiers:
        name, metric = resolve(identifier, loss, output)
        again = sum(key == name or key.rpartition("_")[0] == name for key in found) if name in found else 0
        found[f"{name}_{again}" if again else name] = metric
    return found


def _kind(loss: Loss, output: Shape) -> str:
    if loss.labels:
        return "sparse"
    if loss.link == "sigmoid" or loss.signs or (loss.link is None and output[-1:] == (1,)):
        return "binary"
    return "categorical" if output or loss.link else "binary"


def _accuracy(loss: Loss, output: Shape, name: str) -> Metric:
    kind = _kind(loss, output)
    if kind == "binary":
        return BinaryAccuracy(name, threshold=0.0 if loss.from_logits or loss.signs else 0.5)
    return SparseCategoricalAccuracy(name) if kind == "sparse" else CategoricalAccuracy(name)


def _crossentropy(loss: Loss, output: Shape, name: str) -> Metric:
    kinds = {
        "sparse": SparseCategoricalCrossentropy,
        "binary": BinaryCrossentropy,
        "categorical": CategoricalCrossentropy,
    }
    return kinds[_kind(loss, output)](name, from_logits=loss.from_logits)


__all__: Sequence[str] = [
    name for name, value in dict(globals()).items() if isinstance(value, type) and issubclass(value, Metric)
]
__getattr__, __dir__ = room("metrics", [Metric, Loss])
registry.register("metrics.resolve_all", resolve_all)
registry.register("metrics.by_shape", BY_SHAPE)
