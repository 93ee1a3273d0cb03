"""The repairs that several checks share: which layer has the width, which loss fits which targets."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.check import Finding, Repair, Values
from ..layers.preprocessing import Rescaling
from ..layers.regularizers import Regularizer
from ..train.losses import Loss
from .subject import HeadFacts, Subject

NORMALIZATION = "normalization"  # a Normalization that is adapted to the training rows
_MOST_CLASSES = 1000


def head_of(v: Values, subject: Subject) -> HeadFacts:
    """The output that these values are about."""
    return next(head for head in subject.heads if head.layer == v["layer"])


def _width(subject: Subject, head: HeadFacts, units: int) -> dict[str, dict[str, Any]]:
    """The layer that decides how wide the output is, with other units; none where it is so wide already."""
    if units == head.classes:
        return {}
    products = subject.facts.linear.products if len(subject.heads) == 1 else []
    made_by = products[-1].layer if products else None
    return {made_by or head.layer: {"units": units}}


def _loss(name: str, **arguments: Any) -> Any:
    return Loss.named(name)(**arguments)


def output(subject: Subject, head: HeadFacts, activation: str, units: int, loss: Any) -> Repair:
    """An output of this activation and width with this loss, unless it has that one already."""
    given = head.head.loss
    if loss is not None and type(given) is type(loss) and given.arguments == loss.arguments:
        loss = None
    layers = _width(subject, head, units)
    if activation or head.layer not in layers:
        layers.setdefault(head.layer, {})["activation"] = activation or "linear"
    return Repair(layers=layers, loss={} if loss is None else {head.head.name: loss})


def for_targets(subject: Subject, head: HeadFacts) -> Repair | None:
    """The output and loss that fit the targets, by their values: 0 and 1, labels 0 … k-1, one-hot rows, or numbers."""
    if not subject.has("y"):
        return None
    t = subject.targets(head)
    count = len(t.values) if t.values is not None else 0
    if head.classes > 1 and t.one_hot:
        return output(subject, head, "softmax", head.classes, _loss("categorical_crossentropy"))
    if head.classes > 1 and not head.head.loss.labels:
        binary = t.values is not None and set(t.values) <= {0.0, 1.0}
        kind, loss = ("sigmoid", "binary_crossentropy") if binary else ("linear", "mean_squared_error")
        return output(subject, head, kind, head.classes, _loss(loss))
    if t.values == (0.0, 1.0) and head.classes == 1:
        return output(subject, head, "sigmoid", 1, _loss("binary_crossentropy"))
    if t.whole and count > 1 and t.values == tuple(range(count)) and (head.of_classes or head.counting):
        return for_labels(subject, head)
    return output(subject, head, "linear", head.classes, _loss("mean_squared_error"))


def for_labels(subject: Subject, head: HeadFacts) -> Repair:
    """A probability for each label up to the largest one."""
    units = max(int(subject.targets(head).high) + 1, head.classes)
    return output(subject, head, "softmax", units, _loss("sparse_categorical_crossentropy"))


def shares(subject: Subject, head: HeadFacts) -> Repair:
    """Softmax, or the binary loss where an example has several labels."""
    several = subject.has("y") and not head.head.loss.labels and not subject.targets(head).one_hot
    return (
        Repair(loss={head.head.name: _loss("binary_crossentropy")})
        if several
        else output(subject, head, "softmax", head.classes, None)
    )


def activation(v: Values, kind: str) -> Repair:
    """Another activation of the layer."""
    return Repair(layers={v["layer"]: {"activation": kind}})


def scaled_targets(v: Values, subject: Subject) -> Repair:
    """A last layer that gives outputs the size of y. Plain gradient descent would take steps of that size, too: for it y
    is brought to mean 0 and deviation 1."""
    mean, std = float(v["mean"]), float(v["std"]) or 1.0
    if type(subject.facts.model.optimizer).__name__ == "SGD":
        return Repair(y=lambda y: (np.asarray(y, dtype=np.float64) - mean) / std)
    return Repair(back=Rescaling(std, mean))


def rate(subject: Subject, value: float, **more: Any) -> Repair | None:
    """Another learning rate, to two digits; a schedule is somebody's plan."""
    if subject.facts.model.optimizer.schedule is not None:
        return None
    return Repair(optimizer={"learning_rate": float(f"{value:.2g}"), **more})


def penalty_on(subject: Subject, layer: str | None, weights: str | None) -> tuple[str, Regularizer | None]:
    """The argument of the layer that penalises these weights, and what it was given."""
    key = f"{(weights or '').rpartition('/')[2]}_regularizer"
    found = next((each for each in subject.facts.model.everything() if each.name == layer), None)
    rule = None if found is None else found.arguments.get(key)
    numbers = isinstance(rule, Regularizer) and all(isinstance(each, float) for each in rule.arguments.values())
    return key, rule if numbers else None


def weaker(rule: Regularizer, factor: float) -> Regularizer:
    """The same penalty with its strength times a factor, to one digit."""
    return type(rule)(**{name: float(f"{value * factor:.1g}") for name, value in rule.arguments.items()})


def for_refused(finding: Finding, subject: Subject, given: Any) -> Repair | None:
    """Width and loss for a y that the door refuses, where y says what it is: labels, one-hot rows, or numbers."""
    y = np.asarray(given)
    if len(subject.heads) != 1 or y.dtype.kind not in "iufb" or not {7, 8, 9, 10, 11} & set(finding.rules):
        return None
    (head,) = subject.heads
    values = np.unique(y)
    count = len(values)
    if y.ndim == 1 or y.shape[1:] == (1,):
        if head.head.loss.labels and np.array_equal(values, np.arange(1, head.classes + 1)):
            return Repair(y=lambda y: np.asarray(y) - 1)
        if 2 <= count <= _MOST_CLASSES and np.array_equal(values, np.arange(count)) and head.head.loss.probabilities:
            return output(subject, head, "softmax", max(count, head.classes), _loss("sparse_categorical_crossentropy"))
        if head.classes == 1 and (values != np.floor(values)).any() and (values.min() < 0 or values.max() > 1):
            return output(subject, head, "linear", 1, _loss("mean_squared_error"))
        return None
    rows_of_one = y.ndim == 2 and np.array_equal(values, (0, 1)) and bool((y.sum(axis=1) == 1).all())
    return output(subject, head, "softmax", y.shape[1], _loss("categorical_crossentropy")) if rows_of_one else None


def relus(subject: Subject) -> Repair | None:
    """ReLUs with their start in the hidden layers that have a sigmoid or tanh."""
    last = {head.layer for head in subject.heads}
    found = {
        layer.name: {"activation": "relu", "kernel_initializer": "he_normal"}
        for layer in subject.facts.model.everything()
        if layer.name not in last and layer.arguments.get("activation") in ("sigmoid", "tanh")
    }
    return Repair(layers=found) if found else None


def alive(v: Values, subject: Subject) -> Repair | None:
    """The usual start of a layer whose units were off from the first weights on, else a tenth of the rate."""
    if v["alive_at_step"] is not None:
        return rate(subject, v["learning_rate"] / 10)
    return Repair(layers={v["layer"]: {"bias_initializer": "zeros", "kernel_initializer": "he_normal"}})


def unsaturated(v: Values, subject: Subject) -> Repair:
    """The usual first weights, of scaled inputs where there is one input."""
    front = NORMALIZATION if len(subject.facts.inputs) == len(subject.heads) == 1 else None
    return Repair(front=front, layers={v["layer"]: {"kernel_initializer": "glorot_uniform"}})


def mean_losses(subject: Subject) -> Repair:
    """The losses that are summed over the batch, as means."""
    summed = [head.head for head in subject.heads if head.head.loss.reduction == "sum"]
    given = {head.name: {**head.loss.arguments, "reduction": "sum_over_batch_size"} for head in summed}
    return Repair(loss={head.name: type(head.loss)(**given[head.name]) for head in summed})
