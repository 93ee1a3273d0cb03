"""What a network is usually called: linear, logistic or softmax regression, a network with so many hidden layers, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.errors import counted
from ..core.node import Node
from ..core.walk import topological
from ..layers.network import Network
from ..train.frozen import kind_name
from .outputs import Output
from .words import activation_of, listed

_LINEAR = frozenset(["linear", "add", "subtract", "multiply", "divide", "negative"])


def kind(model: Any, ends: Sequence[Output], nodes: Sequence[Node]) -> str:
    """The usual name of a network with these outputs, which are these nodes (none where it is not built)."""
    layers = parts(model)
    sized = [layer for layer in layers if size_of(layer)]
    others = [layer for layer in layers if layer.trainable_weights and layer not in sized]
    several = len(ends) > 1 or isinstance(model.input_shape, (list, dict))
    if sized and all(map(_is_dense, sized)) and not several:
        if len(sized) > 1:
            return _deep(model, sized, nodes) + _beside(others)
        if not others:
            return _single(sized[0], ends[0] if ends else None)
    if not sized and not others:
        return "network without anything to learn"
    filters = any(size_of(layer) == "filters" for layer in sized)
    name = f"{'convolutional ' if filters else ''}network of {counted(len(sized + others), 'layer')} with weights"
    if sized and size_of(sized[0]) == "output_dim":
        name += ", the first of them vectors learnt for ids (an embedding)"
    if several:
        name += f", with {counted(len(model.inputs), 'input')} and {counted(len(ends), 'output')}"
    return name


def _beside(others: Sequence[Any]) -> str:
    names = list(dict.fromkeys(kind_name(layer) for layer in others))
    return f", with {listed(names)} between" if names else ""


def parts(model: Any) -> list[Any]:
    """The layers of a network, those of networks inside it in their place."""
    found: list[Any] = []
    for layer in model.layers:
        found += parts(layer) if isinstance(layer, Network) else [layer]
    return list(dict.fromkeys(found))


def size_of(layer: Any) -> str:
    """What says how large a layer that learns is."""
    return next((name for name in ("units", "filters", "output_dim") if getattr(layer, name, None)), "")


def _is_dense(layer: Any) -> bool:
    return size_of(layer) == "units" and {len(leaf.shape) for leaf in layer.weights} <= {1, 2}


def _single(layer: Any, end: Output | None) -> str:
    """One dense layer alone."""
    units, loss = layer.units, None if end is None else end.loss
    last, link = (activation_of(layer),) * 2 if end is None else (end.last, end.link)
    if link == "softmax":
        return "softmax regression (multinomial logistic regression)"
    if link == "sigmoid":
        return "logistic regression" if units == 1 else f"{units} logistic regressions side by side"
    if loss is not None and loss.signs and not last:
        return "linear classifier with a margin"
    if loss is not None and last in ("", "relu"):
        name = "linear regression" if units == 1 else f"linear regression with {units} outputs"
        return f"{name}, cut off at 0" if last else name
    return f"single layer of {counted(units, 'unit')}, {last or 'linear'}"


def _deep(model: Any, dense: Sequence[Any], nodes: Sequence[Node]) -> str:
    """Dense layers one after the other."""
    hidden = [layer.units for layer in dense[:-1]]
    units = "units" if sum(hidden) > 1 else "unit"
    name = f"fully connected network with {counted(len(hidden), 'hidden layer')} ({listed(list(map(str, hidden)))} {units})"
    if not nodes:
        return name
    wide = model.input_shape[-1]
    if model.output_shape == model.input_shape and min(hidden) < wide:
        name = f"autoencoder ({wide} → {min(hidden)} → {wide}), a {name}"
    return name if bends(nodes) else f"{name}, all linear and so no more than one linear layer"


def bends(nodes: Sequence[Node]) -> bool:
    """Whether anything between the inputs and these outputs is not linear."""
    return any(_bends(node) for node in topological(nodes) if node not in nodes)


def _bends(node: Node) -> bool:
    return (node.op.kind == "elementwise" or node.op.role == "activation") and node.op.name not in _LINEAR
