"""What is known of a model that advice can rest on: from its graph, its file, its history, and data if there are any."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import BacklitError
from ..core.grad import reverse
from ..core.node import Node, input_leaf
from ..core.op import cast, literal
from ..core.walk import topological
from ..layers.layer import Pass
from ..train.door import array_of
from .kinds import bends, parts, size_of
from .outputs import Output

_ROWS = 256  # of the data that hidden layers are looked at with
_FLAT = 0.02  # a derivative below which a value is saturated
_SAME = frozenset(["mark", "cast", "linear"])  # the value itself


@dataclass(frozen=True)
class Hidden:
    """An activation inside of a network: the layer that it ends, "" where that is not known, and its node."""

    layer: str
    node: Node

    @property
    def name(self) -> str:
        """The name of the activation."""
        return str(self.node.op.name)


@dataclass(frozen=True)
class Passing:
    """What some rows make of a hidden activation: the mean of its derivative, its units, how many of them pass nothing on
    for any of these rows, and the share of values at the flat ends of an activation that has two."""

    layer: str
    activation: str
    slope: float
    units: int
    dead: int
    flat: float


class Known:
    """The facts of one model. `x` and `y` are looked at and not kept by the model."""

    def __init__(self, model: Any, outputs: Sequence[Output], nodes: Sequence[Node], x: Any = None, y: Any = None):
        self.model, self.outputs, self.nodes = model, outputs, nodes
        self.about: Mapping[str, Any] = model.about if isinstance(model.about, Mapping) else {}
        self.out = outputs[0] if len(outputs) == 1 else None
        self.layers = parts(model)
        self._x = x
        self.y = None if y is None or self.out is None or self.out.kind != "values" else array_of(y, "y")

    # ------------------------------------------------------------------ the network
    @cached_property
    def hidden(self) -> list[Hidden]:
        """The activations inside of the network, in order."""
        if not self.model.built:
            return []
        with Pass(training=False):
            ends = self.model.forward(self.model.inputs)
        order, last = topological(ends), {_under(node) for node in ends}
        layers: dict[Node, str] = {}
        for node in order:
            if node.op.name == "mark" and node.attrs["layer"]:
                layers.setdefault(_under(node), node.attrs["layer"])
        return [
            Hidden(layers.get(node, ""), node)
            for node in order
            if node.op.role == "activation" and node.op.name not in (*_SAME, "softmax") and node not in last
        ]

    @property
    def sized(self) -> list[Any]:
        """The layers with units or filters."""
        return [layer for layer in self.layers if size_of(layer)]

    @property
    def widths(self) -> list[int]:
        """The units of the hidden layers, where all layers with weights are dense, else none."""
        dense = all(size_of(layer) == "units" for layer in self.sized)
        return [layer.units for layer in self.sized[:-1]] if dense else []

    @property
    def collapsed(self) -> bool:
        """Whether the hidden layers are dense and nothing between them bends."""
        return bool(self.widths) and bool(self.nodes) and not bends(self.nodes)

    @property
    def filters(self) -> bool:
        """Whether there is a convolution."""
        return any(size_of(layer) == "filters" for layer in self.sized)

    @property
    def form(self) -> tuple[int, ...]:
        """The lengths of one example's axes, where there is one input of numbers and they are known."""
        shape = self.model.input_shape if self.model.built else None
        if not isinstance(shape, (list, tuple)) or len(self.model.inputs) != 1:
            return ()
        floating = self.model.inputs[0].dtype.startswith("float")
        inner = tuple(shape)[1:]
        return inner if floating and all(isinstance(size, int) for size in inner) else ()

    @property
    def picture(self) -> tuple[int, ...]:
        """Height and width, and the channels if there are any, where the examples are pictures."""
        image = self.about.get("image")
        if isinstance(image, (list, tuple)) and len(image) > 1 and all(isinstance(size, int) for size in image):
            return tuple(image)
        return self.form if len(self.form) == 3 else ()

    @property
    def equal_start(self) -> Any:
        """The first hidden layer whose units all have the same weights, if there is one."""
        for layer in self.sized[:-1]:
            for leaf in layer.trainable_weights:
                if len(leaf.shape) > 1 and leaf.shape[-1] > 1 and not np.ptp(leaf.array, axis=-1).any():
                    return layer
        return None

    # ------------------------------------------------------------------ training
    @property
    def trained(self) -> bool:
        """Whether a step was made."""
        return bool(self.model.iterations)

    @property
    def optimizer(self) -> Any:
        """The optimizer, or None."""
        return None if self.model.asked is None else self.model.optimizer

    @property
    def rate(self) -> float:
        """The learning rate."""
        return float(self.model.optimizer.learning_rate)

    @cached_property
    def losses(self) -> list[float]:
        """The loss of every epoch of the last training."""
        return self._logged("loss")

    @property
    def dev_improves(self) -> bool:
        """Whether the smallest loss of the held-out rows is that of the last epoch, if any are known."""
        held = self._logged("val_loss")
        return not held or held[-1] == min(held)

    def _logged(self, name: str) -> list[float]:
        rows = [] if self.model.history is None else self.model.history.rows
        return [float(row[name]) for row in rows if isinstance(row.get(name), (int, float))]

    def score(self, *path: str) -> Mapping[str, Any]:
        """The stored scores of a part of the data or of a simple model, empty where there are none."""
        found: Any = self.about.get("scores")
        for key in path:
            found = found.get(key) if isinstance(found, Mapping) else None
        return found if isinstance(found, Mapping) else {}

    @property
    def rows(self) -> int:
        """How many rows it was trained on, 0 where that is not known."""
        count = self.score("train").get("n")
        return count if isinstance(count, int) else 0

    # ------------------------------------------------------------------ data
    @cached_property
    def target(self) -> tuple[float, float, float] | None:
        """The smallest and largest number of y and their standard deviation, of the given y or as the file has them."""
        if self.y is None:
            kept = self.about.get("target_numbers")
            found = [kept.get(key) for key in ("low", "high", "std")] if isinstance(kept, Mapping) else []
            numbers = [each for each in found if isinstance(each, float)]
            return (numbers[0], numbers[1], numbers[2]) if len(numbers) == 3 else None
        if not np.isfinite(self.y).all():
            return None
        return float(self.y.min()), float(self.y.max()), float(self.y.std())

    @cached_property
    def passing(self) -> list[Passing]:
        """What the given x makes of every hidden activation."""
        if self._x is None or not self.hidden:
            return []
        columns = [np.asarray(part[_evenly(len(part))]) for part in self.model.ready(self._x)]
        feed = dict(zip(self.model.inputs, columns, strict=True))
        try:
            known = registry.lookup("values.reference")([each.node for each in self.hidden], feed)
        except BacklitError:  # such as ids that an embedding does not have: `fit` says so
            return []
        return [_passing(each, known[each.node.inputs[0]]) for each in self.hidden if len(each.node.inputs) == 1]


def _under(node: Node) -> Node:
    while node.op.name in _SAME:
        node = node.inputs[0]
    return node


def _evenly(count: int) -> Any:
    return np.unique(np.linspace(0, count - 1, min(count, _ROWS)).astype(np.int64))


def _passing(hidden: Hidden, given: Any) -> Passing:
    z = input_leaf(hidden.node.inputs[0].shape, "z", hidden.node.inputs[0].dtype)
    a = hidden.node.op.node(z, **hidden.node.attrs)
    (slope,) = reverse([a], [cast(literal(1.0, "float64"), a.dtype) + 0 * a], [z])
    assert slope is not None  # an activation has a derivative
    passed = np.abs(registry.lookup("values.reference")([slope], {z: given})[slope])
    by_unit = passed.reshape(math.prod(passed.shape[:-1]), passed.shape[-1])
    dead = int((by_unit.max(axis=0) == 0).sum())
    flat = float((passed < _FLAT).mean()) if _bounded(hidden.node) else 0.0
    return Passing(hidden.layer, hidden.name, float(passed.mean()), by_unit.shape[1], dead, flat)


def _bounded(node: Node) -> bool:
    """Whether the activation is flat at both ends; a ReLU is flat for half of all numbers, as it should be."""
    rule = node.op.range
    ends = rule((-math.inf, math.inf), **node.attrs) if callable(rule) else rule
    return ends is not None and all(math.isfinite(end) for end in ends)
