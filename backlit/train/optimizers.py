"""Optimizers: what one parameter becomes, from its value, its gradient and its slots. Written in ops, part of the
step's graph.

To add one, write the class: `slots` and `step`; names follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar

from ..core.errors import ValueRangeError
from ..core.record import Record
from ..ops.elementwise import sign, sqrt


class Optimizer(Record):
    """The base of all optimizers.

    `learning_rate` is an input of the step's graph: assigning it takes effect at the next step and plans nothing anew.
    """

    family = "optimizer"
    slots: ClassVar[tuple[str, ...]] = ()

    def __init__(self, learning_rate: float = 0.001, name: str | None = None):
        self.learning_rate, self.name = learning_rate, name

    @property
    def learning_rate(self) -> float:
        """How far a step goes."""
        return self._rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        if not isinstance(value, Real) or not 0 < value < float("inf"):
            raise ValueRangeError("the learning rate must be a number above 0.", found=f"learning_rate={value!r}")
        self._rate = float(value)

    def used_slots(self) -> tuple[str, ...]:
        """The slots that this configuration needs."""
        return self.slots

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        """(new p, new slots) for one parameter: its value, gradient and slots, the rate, and t = 1, 2, …"""
        raise NotImplementedError(f"{type(self).__name__}.step")


class SGD(Optimizer):
    """Gradient descent: p - lr g; with momentum: v = momentum v - lr g, p + v (Nesterov: p + momentum v - lr g)."""

    slots = ("velocity",)

    def __init__(
        self, learning_rate: float = 0.01, momentum: float = 0.0, nesterov: bool = False, name: str | None = None
    ):
        super().__init__(learning_rate, name)
        if not 0 <= momentum < 1:
            raise ValueRangeError(
                "momentum is a share of the last step.", expected="0 <= momentum < 1", found=str(momentum)
            )
        self.momentum, self.nesterov = momentum, nesterov

    def used_slots(self) -> tuple[str, ...]:
        """A velocity where there is momentum."""
        return self.slots if self.momentum else ()

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        """p - lr g, or the step with momentum."""
        if not self.momentum:
            return p - lr * g, {}
        v = self.momentum * slots["velocity"] - lr * g
        return (p + self.momentum * v - lr * g if self.nesterov else p + v), {"velocity": v}


class Adam(Optimizer):
    """Adaptive moment estimation (Kingma and Ba 2015): a step of its own size for every parameter.

    m = β₁m + (1-β₁)g, v = β₂v + (1-β₂)g², p - lr √(1-β₂ᵗ)/(1-β₁ᵗ) · m / (√v + ε), as Keras computes it.
    """

    slots = ("m", "v")

    def __init__(
        self,
        learning_rate: float = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = None,
    ):
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        """The step of the docstring."""
        m = slots["m"] + (g - slots["m"]) * (1 - self.beta_1)
        v = slots["v"] + (g * g - slots["v"]) * (1 - self.beta_2)
        rate = lr * sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t)
        return p - rate * m / (sqrt(v) + self.epsilon), {"m": m, "v": v}


class Lion(Optimizer):
    """The sign of a momentum (Chen et al. 2023): p - lr sign(β₁m + (1-β₁)g), then m = β₂m + (1-β₂)g."""

    slots = ("m",)

    def __init__(
        self, learning_rate: float = 0.001, beta_1: float = 0.9, beta_2: float = 0.99, name: str | None = None
    ):
        super().__init__(learning_rate, name)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> tuple[Any, dict[str, Any]]:
        """The step of the docstring."""
        m = slots["m"]
        step = p - lr * sign(self.beta_1 * m + (1 - self.beta_1) * g)
        return step, {"m": self.beta_2 * m + (1 - self.beta_2) * g}
