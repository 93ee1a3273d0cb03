"""The same program as somebody else would have written it: every activation by hand, in a Lambda or a layer of one's
own, other names, and the loss as one's own function. Its arithmetic is the same, so what is wrong with it is, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import backlit as bl
from backlit.layers import Activation, Conv1D, Conv2D, Dense, Lambda, Layer
from backlit.losses import Loss, LossFunctionWrapper

from .program import Run

o = bl.ops


class Own(Layer):
    """An activation as a class of one's own."""

    def __init__(self, function: Callable[[Any], Any], name: str | None = None):
        super().__init__(name=name)
        self.function = function

    def call(self, x: Any, training: bool = False) -> Any:
        """What the function makes of x."""
        return self.function(x)


def _softmax(z: Any) -> Any:
    e = o.exp(z - o.max(z, axis=-1, keepdims=True))
    return e / o.sum(e, axis=-1, keepdims=True)


BY_HAND: dict[str, Callable[[Any], Any]] = {
    "relu": lambda z: o.where(z > 0, z, 0.0),
    "sigmoid": lambda z: 0.5 * (o.tanh(z / 2) + 1),
    "softmax": _softmax,
    "tanh": lambda z: 2 * o.sigmoid(2 * z) - 1,
    "elu": lambda z: o.where(z > 0, z, o.exp(o.minimum(z, 0.0)) - 1),
    "softsign": lambda z: z / (1 + abs(z)),
    "exponential": lambda z: o.exp(z),
    "softplus": lambda z: o.logsumexp(o.stack([z, 0 * z], axis=-1), axis=-1),
}


def _squared(y: Any, p: Any) -> Any:
    return o.mean((p - y) * (p - y), axis=-1)


def _distance(y: Any, p: Any) -> Any:
    return o.mean(abs(p - y), axis=-1)


def _yes_or_no(y: Any, p: Any) -> Any:
    p = o.clip(p, 1e-7, 1 - 1e-7)
    return -o.mean(y * o.log(p) + (1 - y) * o.log(1 - p), axis=-1)


def _yes_or_no_of_logits(y: Any, z: Any) -> Any:
    return o.mean(o.softplus(z) - y * z, axis=-1)


def _one_of_several(y: Any, p: Any) -> Any:
    return -o.sum(y * o.log(o.clip(p, 1e-7, 1.0)), axis=-1)


def _one_of_several_by_logits(y: Any, z: Any) -> Any:
    return -o.sum(y * o.log_softmax(z, axis=-1), axis=-1)


def _of_labels(loss: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def labelled(y: Any, p: Any) -> Any:
        return loss(o.cast(o.one_hot(y, p.shape[-1]), p.dtype), p)

    return labelled


OWN_LOSS: dict[tuple[str, bool], Callable[[Any, Any], Any]] = {
    ("MeanSquaredError", False): _squared,
    ("MeanAbsoluteError", False): _distance,
    ("BinaryCrossentropy", False): _yes_or_no,
    ("BinaryCrossentropy", True): _yes_or_no_of_logits,
    ("CategoricalCrossentropy", False): _one_of_several,
    ("CategoricalCrossentropy", True): _one_of_several_by_logits,
    ("SparseCategoricalCrossentropy", False): _of_labels(_one_of_several),
    ("SparseCategoricalCrossentropy", True): _of_labels(_one_of_several_by_logits),
}


def disguised(run: Run) -> tuple[Run, list[set[str]]]:
    """The run in disguise, and under which names each of its layers goes now."""
    if not isinstance(run.layers, list):
        return run, []
    layers: list[Layer] = []
    names: list[set[str]] = []
    for place, layer in enumerate(run.layers):
        parts = _parts(layer, place)
        layers += parts
        names.append({part.name for part in parts})
    return replace(run, layers=layers, loss=own_loss(run.loss)), names


def _parts(layer: Layer, place: int) -> list[Layer]:
    kind = (Lambda, Own)[place % 2]
    if isinstance(layer, Activation) and layer.function.name in BY_HAND:
        return [kind(BY_HAND[layer.function.name], name=f"bend_{place}")]
    if not isinstance(layer, (Dense, Conv1D, Conv2D)):
        return [layer]
    config = layer.get_config()
    activation = config["activation"]
    if not isinstance(activation, (str, type(None))) or (activation or "linear") not in {"linear", *BY_HAND}:
        return [layer]
    plain = type(layer).from_config({**config, "activation": None, "name": f"part_{place}"})
    if activation in (None, "linear"):
        return [plain]
    return [plain, kind(BY_HAND[activation], name=f"bend_{place}")]


def own_loss(given: Any) -> Any:
    """The loss as a function of one's own, where it is one of those that people write."""
    loss = Loss.get(given)
    if isinstance(loss, LossFunctionWrapper) or loss.reduction != "sum_over_batch_size":
        return given
    function = OWN_LOSS.get((type(loss).__name__, bool(getattr(loss, "from_logits", False))))
    return given if function is None else LossFunctionWrapper(function, labels=loss.labels, name="own_loss")
