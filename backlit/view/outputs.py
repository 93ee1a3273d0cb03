"""What the numbers of an output mean: logits or probabilities, of one label or of one class of several, or values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..core.errors import counted
from ..core.node import Node
from ..core.walk import strip_marks
from ..layers.layer import Pass
from ..train.scores import one_line

_APPLIES = "The loss applies it (from_logits=True), predict does not; predict_probabilities(X) does."


@dataclass(frozen=True)
class Output:
    """One output. `kind` is "logits", "probabilities", "scores", "values" or "unknown", `link` what makes
    probabilities ("softmax", "sigmoid" or ""), `says` how to read it, `doubt` what cannot be meant."""

    name: str
    shape: Any
    last: str  # the activation that makes it, "" for none
    kind: str
    link: str
    loss: Any
    says: str
    doubt: str


def ends(model: Any) -> list[Node]:
    """The nodes that a built model's outputs are, in inference mode, without layers' marks."""
    with Pass(training=False):
        nodes = strip_marks(model.forward(model.inputs))
    for place, node in enumerate(nodes):
        while node.op.name in ("linear", "cast"):
            node = node.inputs[0]
        nodes[place] = node
    return nodes


def outputs(model: Any, nodes: Sequence[Node], target: str) -> list[Output]:
    """What the outputs of a built model are; `target` is the name of y, "" where it is not known."""
    heads = {} if model.asked is None else {head.name: head.loss for head in model.heads}
    names = model.output_names
    classes = model.classes if len(names) == 1 else None
    return [_output(name, node, heads.get(name), classes, target) for name, node in zip(names, nodes, strict=True)]


def _output(name: str, node: Node, loss: Any, classes: Any, target: str) -> Output:
    last = node.op.name if node.op.role == "activation" else ""
    link = getattr(loss, "link", None) or (last if last in ("softmax", "sigmoid") and loss is None else "")
    units = node.shape[-1] if len(node.shape) > 1 else 1
    if link:
        kind = "logits" if loss is not None and loss.from_logits else "probabilities"
        says = _probable(kind, link, units, classes)
    elif loss is None:
        kind = "unknown"
        says = (
            f"{counted(units, 'number')} an example. Without a loss it is not known whether these are logits or values."
        )
    elif loss.probabilities:
        kind, says = "probabilities", f"{counted(units, 'number')} an example, taken for a probability distribution."
    elif loss.signs:
        kind, says = (
            "scores",
            f"{counted(units, 'score')} an example: above 0 for the class 1, below 0 for the class -1.",
        )
    else:
        kind, says = "values", _values(units, last, target)
    return Output(name, node.shape, last, kind, link, loss, says, _doubt(kind, link, last, loss))


def _doubt(kind: str, link: str, last: str, loss: Any) -> str:
    if loss is None or not link or (kind == "logits") != (last == link):
        return ""
    if kind == "logits":
        return f"{link} is applied twice, by the last layer and by the loss (from_logits=True): drop one of them."
    return (
        f"The loss expects probabilities, but the last layer has no {link}, so that its numbers may lie anywhere: give "
        "the loss from_logits=True."
    )


def _probable(kind: str, link: str, units: int, classes: Sequence[str] | None) -> str:
    first = f"the last layer gives {counted(units, 'logit')} an example, any numbers"
    if link == "softmax" and kind == "logits":
        return (
            f"{first}, the larger the likelier; softmax turns them into probabilities that sum to 1. {_APPLIES} "
            "The largest logit is the most probable class, with softmax or without."
        )
    if link == "softmax":
        return (
            f"{units} probabilities an example, which sum to 1: the last layer applies softmax, so do not apply it "
            "again. The largest is the predicted class."
        )
    one = f"class 1 ({one_line(classes[1])})" if classes and len(classes) == 2 else "class 1"
    if units == 1 and kind == "logits":
        return (
            f"{first.removesuffix(', any numbers')}, any number z; sigmoid, 1 / (1 + e⁻ᶻ), turns it into the probability of "
            f"{one}. {_APPLIES} A z above 0 is a probability above 0.5."
        )
    if units == 1:
        return f"1 probability an example, that of {one}: the last layer applies sigmoid. Above 0.5 it is predicted."
    if kind == "logits":
        return (
            f"{first}, one a label; sigmoid turns each by itself into the probability of its label, and these need not "
            f"sum to 1. {_APPLIES} A label is predicted where its logit is above 0."
        )
    return (
        f"{units} probabilities an example, each of a label by itself (sigmoid), so that they need not sum to 1. A "
        "label is predicted where its probability is above 0.5."
    )


def _values(units: int, last: str, target: str) -> str:
    of = f" of {one_line(target)}" if target else ""
    limits = {"relu": ", never below 0", "sigmoid": ", between 0 and 1", "tanh": ", between -1 and 1"}
    what = "the predicted value" if units == 1 else "predicted values"
    return f"{counted(units, 'number')} an example: {what}{of}{limits.get(last, '')}. No activation has to be applied."
