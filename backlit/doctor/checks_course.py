"""The course's rules of thumb that no other check looks at. Who breaks one may have a reason, and so each is a note."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Values
from ..core.node import Node
from ..core.walk import topological
from ..layers.dense import Dense
from . import repairs
from .checks_labels import DistanceOnYesAndNo, losses
from .linear import Linearity
from .programs import classes, network, points, values
from .subject import Subject

_SURE = 0.01  # the probability that a sure mistake gives to the truth
_STEP = 1e-3  # of a central difference
_THROUGH = frozenset(["mark", "cast", "linear", "reshape", "where", "divide", "windows"])  # new shapes, dropout


class NegativePredictions(Check):
    """Numbers that are never negative, and come near 0, from an output that can be: prices, counts of time, distances.
    Of targets that lie far from 0, as years do, nothing is said, nor of whole numbers."""

    rules, phase, needs, severity, grounds = (6,), "data", ("x", "y"), "note", "rule of thumb"
    argument = "activation"
    why = "an output that cannot be negative need not learn from examples that it must not be"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The smallest target and the spread of the targets, where the output goes below 0."""
        for head in subject.heads:
            if head.reading.kind == "number" and head.bounds.low < 0:
                t = subject.targets(head)
                if t.values is None or not t.whole:
                    yield {
                        "layer": head.layer,
                        "units": head.classes,
                        "smallest_y": t.low,
                        "largest_y": t.high,
                        "spread_of_y": t.std,
                    }

    def wrong(self, v: Values) -> bool:
        """None is negative, and the smallest lies within one standard deviation of 0."""
        return bool(0 <= v["smallest_y"] < v["spread_of_y"])

    def message(self, v: Values) -> str:
        """The range of y."""
        return f"y is never negative ({v['smallest_y']:.4g} … {v['largest_y']:.4g}), but the output can be."

    def fix(self, v: Values) -> str:
        """An activation that ends at 0."""
        last = f"Dense({v['units']}, activation='sigmoid'), or " if v["largest_y"] <= 1 else ""
        return f"{last}Activation('softplus') or Activation('relu') as the last layer"

    def bad(self) -> tuple[Any, ...]:
        """A linear output for sizes."""
        return network(Dense(8, "relu"), Dense(1), loss="mse"), points(), np.abs(values())

    def good(self) -> tuple[Any, ...]:
        """A softplus."""
        return network(Dense(8, "relu"), Dense(1, "softplus"), loss="mse"), points(), np.abs(values())


class SigmoidInside(Check):
    """A sigmoid between two layers with weights. Of gates, where it is a factor of something else, nothing is said."""

    rules, severity, grounds = (15,), "note", "rule of thumb"
    argument = "activation"
    why = "a sigmoid is flat at both ends and never negative: tanh, the same curve around 0, or ReLU learns faster"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many layers with weights read a sigmoid of other ones; the first such sigmoid."""
        graph = Linearity(subject.facts.outputs)
        found = dict.fromkeys(_sigmoid(product.data) for product in graph.products)
        hidden = [
            node for node in found if node is not None and any(part in graph.product_of for part in topological([node]))
        ]
        if hidden:
            least = 0.25 ** len(hidden)
            first = hidden[0]
            layer = subject.facts.layer_names.get(first)
            yield {"layer": layer, "units": first.shape[-1], "sigmoids": len(hidden), "largest_derivative": least}

    def wrong(self, v: Values) -> bool:
        """There is one."""
        return bool(v["sigmoids"] > 0)

    def message(self, v: Values) -> str:
        """What it makes of a gradient."""
        what = "a sigmoid" if v["sigmoids"] == 1 else f"the first of {v['sigmoids']} sigmoids"
        return f"{what} between layers, through which at most {v['largest_derivative']:.2g} of a gradient gets."

    def fix(self, v: Values) -> str:
        """Another activation."""
        return f"Dense({v['units']}, activation='relu'), or 'tanh'"

    def bad(self) -> tuple[Any, ...]:
        """A sigmoid in the middle."""
        return network(Dense(8, "sigmoid"), Dense(1), loss="mse"), points(), values()

    def good(self) -> tuple[Any, ...]:
        """A tanh."""
        return network(Dense(8, "tanh"), Dense(1), loss="mse"), points(), values()


def _sigmoid(node: Node) -> Node | None:
    """The sigmoid that this is, with nothing but dropout and new shapes behind it."""
    while node.op.name != "sigmoid":
        parts = node.inputs[1:2] if node.op.name == "where" else node.inputs[:1]
        if node.op.name not in _THROUGH or not parts:
            return None
        node = parts[0]
    return node


class SquaredErrorOnYesAndNo(Check):
    """A squared error where y is 0 or 1. It leads to the probability as well, but slowly where the network is sure of the
    wrong answer, and over the weights it is not convex, even of a single sigmoid unit."""

    rules, phase, needs, severity, grounds = (7,), "data", ("x", "y"), "note", "rule of thumb"
    argument = "loss"
    why = "the slope of the cross-entropy of a sigmoid is p - y, the largest where the mistake is"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The slope of the loss by z where p = 0.01 and y = 1, beside that of the cross-entropy."""
        for v in _DISTANCE.measure(subject):
            head = repairs.head_of(v, subject)
            if not _DISTANCE.wrong(v):
                below, above = losses(head, np.array([1.0]), np.array([_SURE - _STEP, _SURE + _STEP]))[0]
                slope = abs(float(above - below)) / (2 * _STEP) * _SURE * (1 - _SURE)
                yield {"layer": head.layer, "loss": head.loss, "free": v["free"], "slope": slope, "other": 1 - _SURE}

    def wrong(self, v: Values) -> bool:
        """A tenth of it, or the output is no probability."""
        return bool(v["free"] or v["slope"] < 0.1 * v["other"])

    def message(self, v: Values) -> str:
        """What becomes of a sure mistake."""
        if v["free"]:
            return f"y is yes or no (0 and 1), but {v['loss']} compares it with an output that is no probability."
        slope = f"where p is {_SURE} and y is 1 its slope is {v['slope']:.2g}, the cross-entropy's {v['other']:.2g}"
        return f"y is yes or no (0 and 1), and {v['loss']} learns little from a sure mistake: {slope}."

    def fix(self, v: Values) -> str:
        """The cross-entropy."""
        unit = "Dense(1, activation='sigmoid') with " if v["free"] else ""
        return f"{unit}loss='binary_crossentropy'"

    def bad(self) -> tuple[Any, ...]:
        """Squared error of a probability."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="mse"), points(), classes(2)

    def good(self) -> tuple[Any, ...]:
        """The cross-entropy."""
        return network(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), points(), classes(2)


_DISTANCE = DistanceOnYesAndNo()
