"""Whether layers and first weights can do what they are there for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from .programs import classes, network, points, sparse
from .subject import Subject


class LinearLayersCollapse(Check):
    """Two or more layers with weights and nothing nonlinear between them: together they are one layer.

    A run that passes a layer narrower than its input and its output is no fault: it is a product of low rank, such as a
    linear autoencoder.
    """

    rules, severity = (13,), "warning"
    argument = "activation"
    why = "a linear function of a linear function is a linear function, however many units lie between"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The runs of products between which all operations are linear."""
        model = subject.facts.model
        trained = set(model.trainable_variables)
        kinds = {layer.name: layer for layer in model.everything()}
        for run in subject.facts.linear.chains:
            if any(leaf not in trained for one in run for leaf in one.weights):
                continue  # a frozen layer is there for what it has learnt elsewhere
            run = list({one.layer: one for one in run}.values())  # a shared layer is called twice and named once
            last, inner = run[-1], run[:-1]
            narrow = any(one.width < min(one.fan_in, last.width) for one in inner)
            yield {
                "layer": inner[0].layer,
                "layers": [one.layer for one in run],
                "widths": [run[0].fan_in, *(one.width for one in run)],
                "dense": isinstance(kinds.get(inner[0].layer), Dense),
                "narrow": narrow,
                "weights": sum(leaf.array.size for one in run for leaf in one.weights),
            }

    def wrong(self, v: Values) -> bool:
        """No layer between is a bottleneck."""
        return not v["narrow"]

    def message(self, v: Values) -> str:
        """Which layers, and what they amount to."""
        names = v["layers"]
        listed = f"{', '.join(map(str, names[:-1]))} and {names[-1]}"
        return f"{listed} have no activation between them: together they are one linear layer."

    def fix(self, v: Values) -> str:
        """An activation; only a dense layer is as wide as its product, a convolution's has a factor for the window."""
        first = f"Dense({v['widths'][1]}, activation='relu')" if v["dense"] else f"an activation for {v['layer']}"
        return first + (" and so on" if len(v["layers"]) > 2 else "")

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A ReLU between them."""
        return Repair(layers={name: {"activation": "relu"} for name in v["layers"][:-1]})

    def bad(self) -> tuple[Any, ...]:
        """A hidden layer without an activation."""
        return network(Dense(8), Dense(3), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """With one."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)


class EqualUnits(Check):
    """A layer whose units start with equal weights and get equal gradients: they stay equal for ever."""

    rules, phase, needs, severity = (16,), "data", ("x", "y"), "error"
    argument = "kernel_initializer"
    explains = ("first_weights_of_wrong_size",)
    why = "equal units get equal gradients, so that the layer is worth one unit, or none where the gradient is 0"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """For every matrix of weights whose columns are equal: whether the columns of its gradient are, too."""
        products = [(one, leaf) for one in subject.facts.trained.products for leaf in one.weights]
        equal = [(one, leaf) for one, leaf in products if leaf.array.ndim > 1 and _columns_equal(leaf.array)]
        slopes = subject.facts.gradient([leaf for _, leaf in equal], subject) if equal else []
        stuck = [one for (one, _), slope in zip(equal, slopes, strict=True) if _columns_equal(slope)]
        first = stuck[0] if stuck else products[0][0] if products else None
        if first is not None:
            kernel = next(leaf for one, leaf in products if one is first)
            yield {
                "layer": first.layer,
                "stuck": [one.layer for one in stuck],
                "units": first.width,
                "weights": float(kernel.array.flat[0]),
            }

    def wrong(self, v: Values) -> bool:
        """There is such a layer."""
        return bool(v["stuck"])

    def message(self, v: Values) -> str:
        """Which layers."""
        more = f", and so do those of {', '.join(v['stuck'][1:])}" if len(v["stuck"]) > 1 else ""
        return f"all {v['units']} units start with equal weights and equal gradients, and stay equal{more}."

    def fix(self, v: Values) -> str:
        """A random start."""
        return "kernel_initializer='glorot_uniform', the default ('he_normal' before a ReLU)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The usual start."""
        return Repair(layers={name: {"kernel_initializer": "glorot_uniform"} for name in v["stuck"]})

    def bad(self) -> tuple[Any, ...]:
        """A network of zeros."""
        layers = Dense(8, "relu", kernel_initializer="zeros"), Dense(3, kernel_initializer="zeros")
        return network(*layers, loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Zeros in the last layer alone, which are no fault."""
        return network(Dense(8, "relu"), Dense(3, kernel_initializer="zeros"), loss=sparse()), points(), classes(3)


def _columns_equal(array: Any) -> bool:
    """Whether all columns are equal, of at least two."""
    flat = np.asarray(array).reshape(-1, array.shape[-1])
    if flat.shape[1] < 2 or not np.isfinite(flat).all():
        return False
    return bool(np.abs(flat - flat[:, :1]).max() <= 1e-6 * np.abs(flat).max())
