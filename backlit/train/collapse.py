"""Linear layers in a row are one linear layer: the smaller model that a chain is equal to."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, NotReadyError
from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..ops import nn
from .model import Model
from .sequential import Sequential
from .structure import Own, describe, describe_inputs, restore, restore_inputs


def collapse(model: Model) -> Sequential:
    """The equal chain in which every Dense layer without an activation has been multiplied into the Dense behind it.

    x·W₁ + b₁ followed by ·W₂ + b₂ is x·(W₁W₂) + (b₁W₂ + b₂). See `Model.collapse`.
    """
    if not isinstance(model, Sequential) or not model.built:
        raise (ArgumentError if model.built else NotReadyError)(
            "collapse works on a built chain of layers.",
            found=repr(model),
            fix="Sequential([Input(...), Dense(...), …])",
        )
    layers = [layer for layer in model.layers if not (isinstance(layer, Activation) and layer.function is nn.linear)]
    joined: list[tuple[Layer, list[Any] | None]] = []
    for layer in layers:
        weights = layer.get_weights()
        before = joined[-1][0] if joined else None
        if isinstance(layer, Dense) and isinstance(before, Dense) and before.activation is nn.linear:
            joined[-1] = (layer, _product(before, joined[-1][1], layer))
        else:
            joined.append((layer, weights))
    smaller = Sequential([_copy(layer) for layer, _ in joined], name=f"{model.name}_collapsed")
    smaller.build_on(restore_inputs(describe_inputs(model.input_leaves)))
    smaller.set_weights([np.asarray(w) for _, weights in joined for w in weights or []])
    return smaller


def _copy(layer: Layer) -> Layer:
    own = Own()
    said = describe(layer, own)
    if isinstance(layer, Dense):
        said["config"]["use_bias"] = True
    with own.lent():
        return restore(said)


def _product(first: Dense, weights: Any, second: Dense) -> list[Any]:
    """Kernel and bias of both layers as one; computed in float64."""
    kernel, bias = (np.asarray(w, np.float64) for w in (*weights, np.zeros(first.units))[:2])
    then, more = (np.asarray(w, np.float64) for w in (*second.get_weights(), np.zeros(second.units))[:2])
    return [kernel @ then, bias @ then + more]


registry.register("model.collapse", collapse)
