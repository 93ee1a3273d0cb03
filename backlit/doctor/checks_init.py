"""Whether the first weights and biases have a size that lets every layer see the data and be taught."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..core.check import Check, Repair, Values
from ..layers.dense import Dense
from ..layers.initializers import Constant, RandomNormal
from .programs import classes, network, points, sparse
from .start import First, loss_at_start
from .subject import Subject
from .watch import constant_loss

_FACTOR = 2.0  # published: outside of half to twice the deviation that fits the layer,
_DRIFT = 10.0  # and activations that grow or shrink tenfold across the layers
_MOST_UNITS = 0.5


class FirstWeightsOfWrongSize(Check):
    """First weights that are too large or too small for their layer, with what that does: sums that grow tenfold, units
    that are saturated or off in all rows, or signals that fade over several layers.

    The size alone is no fault: behind a normalization, or in a last layer, it need not matter.
    """

    rules, phase, needs = (17, 38), "data", ("x",)
    argument = "kernel_initializer"
    why = "the deviation of a unit's sum is that of its inputs times √(inputs) times that of the weights"
    explains = ("saturated_units", "vanishing_gradient", "dead_units", "loss_at_start")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Size, growth and idle units of the layer with the worst weights."""
        layers = subject.start
        faults = [(one, fault) for one in layers if (fault := _fault(one, layers))]
        for one, fault in faults[:1] or [(one, "") for one in layers[:1]]:
            yield {
                "layer": one.product.layer,
                "fault": fault,
                "weights": one.size,
                "usual": one.usual[0] if fault == "small" else one.usual[1],
                "inputs": one.product.fan_in,
                "growth": one.sums / one.entering if one.entering else 1.0,
                "left": layers[-1].entering / layers[0].entering if layers[0].entering else 1.0,
                "saturated": one.saturated,
                "off": one.off,
                **(_losses(subject) if fault else {}),
            }

    def wrong(self, v: Values) -> bool:
        """There is one whose weights have the wrong size and an effect."""
        return bool(v["fault"])

    def message(self, v: Values) -> str:
        """The sizes and the effect."""
        times = v["weights"] / v["usual"] if v["fault"] == "large" else v["usual"] / v["weights"]
        what = f"the first weights have size {v['weights']:.2g}, {times:.2g} times too {v['fault']} for {v['inputs']} inputs"
        if v["fault"] == "small":
            return f"{what}: {v['left']:.1g} of the inputs' variation is left before the last layer."
        idle = max(v["saturated"], v["off"])
        if idle > _MOST_UNITS:
            return f"{what}: {idle:.0%} of the units are {'saturated' if v['saturated'] >= v['off'] else 'off'} from the start."
        return f"{what}: its sums vary {v['growth']:.3g} times as much as its inputs."

    def fix(self, v: Values) -> str:
        """A start of the right size."""
        return "kernel_initializer='glorot_uniform', the default ('he_normal' before a ReLU)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The default."""
        return Repair(layers={v["layer"]: {"kernel_initializer": "glorot_uniform"}})

    def bad(self) -> tuple[Any, ...]:
        """Weights of size 60."""
        hidden = Dense(16, "tanh", kernel_initializer=RandomNormal(stddev=60.0))
        return network(hidden, Dense(3), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """The default."""
        return network(Dense(16, "tanh"), Dense(3), loss=sparse()), points(), classes(3)


def _losses(subject: Subject) -> dict[str, float]:
    """The loss of the sample with these weights, and that of the best constant answer."""
    guess = constant_loss(subject) if subject.has("y") else None
    return {} if guess is None else {"loss_at_start": loss_at_start(subject), "loss_of_a_constant": guess}


def _fault(one: First, layers: Sequence[First]) -> str:
    """What is wrong with the first weights of this layer: "large", "small" or nothing."""
    if not one.size or not one.entering:
        return ""
    if one.size > _FACTOR * one.usual[1]:
        grown = one.sums if one.last else one.leaving
        if grown > _DRIFT * one.entering or max(one.saturated, one.off) > _MOST_UNITS:
            return "large"
    faded = layers[-1].entering * _DRIFT < layers[0].entering
    deep = layers[-1].depth >= 2 and not one.last  # one small layer does not keep others from learning
    return "small" if one.size * _FACTOR < one.usual[0] and faded and deep else ""


class BiasesOutweighInputs(Check):
    """First biases larger than anything the weights make of the rows, with the effect that half of the units or more are
    off or saturated in every row."""

    rules, phase, needs = (17, 37, 42), "data", ("x",)
    argument = "bias_initializer"
    why = "a unit that is off in every row gets no gradient, so that nothing can turn it on"
    explains = ("dead_units", "saturated_units", "vanishing_gradient", "first_weights_of_wrong_size")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of such units in each layer."""
        for one in subject.start:
            idle = max(one.off, one.saturated)
            yield {
                "layer": one.product.layer,
                "bias": one.bias,
                "idle": min(idle, one.outweighed),
                "sums": one.sums,
                "units": one.product.width,
            }

    def wrong(self, v: Values) -> bool:
        """Half of the units."""
        return bool(v["idle"] >= _MOST_UNITS)

    def message(self, v: Values) -> str:
        """Which biases."""
        what = f"{v['idle']:.0%} of {v['units']} units are off or saturated in every row from the start, dead by their bias"
        return f"{what}: {v['bias']:.3g}, where the inputs make sums of about {v['sums']:.2g}."

    def fix(self, v: Values) -> str:
        """Zeros."""
        return "bias_initializer='zeros', the default"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Zeros."""
        return Repair(layers={v["layer"]: {"bias_initializer": "zeros"}})

    def bad(self) -> tuple[Any, ...]:
        """A bias of -20."""
        hidden = Dense(16, "relu", bias_initializer=Constant(-20.0))
        return network(Dense(16, "relu"), hidden, Dense(3), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Zeros."""
        return network(Dense(16, "relu"), Dense(16, "relu"), Dense(3), loss=sparse()), points(), classes(3)
