"""Optimizers: what one parameter becomes, from its value, its gradient and its slots. Written in ops, part of the
step's graph, as Keras computes them.

To add one, write the class: `slots` and `step`. The rate and its schedule, weight decay, clipping and averaging are
done around it, once, in `Optimizer`; names, configuration and the common keywords follow from the class.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Unpack

import numpy as np

from ..core.arguments import Decay, Interval, NotNegative, Share
from ..core.node import Leaf
from ..core.op import as_node, cast
from ..ops.elementwise import absolute, maximum, sign, sqrt, square
from .optimizer import Common, New, Optimizer, Rates, Shared
from .schedules import LearningRate


class SGD(Optimizer):
    """Gradient descent: p - lr g; with momentum: v = momentum v - lr g, p + v (Nesterov: p + momentum v - lr g).

    Polyak 1964; Nesterov 1983 as Sutskever et al. 2013 write it.

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.SGD().step(bl.variable(3.0), 6.0, {}, 0.1, 1.0)
    >>> float(p.value)
    2.4
    """

    slots = ("velocity",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.01,
        momentum: Decay = 0.0,
        nesterov: bool = False,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.momentum, self.nesterov = momentum, nesterov

    def used_slots(self) -> tuple[str, ...]:
        """A velocity where there is momentum."""
        return self.slots if self.momentum else ()

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """p - lr g, or the step with momentum."""
        if not self.momentum:
            return p - lr * g, {}
        v = self.momentum * slots["velocity"] - lr * g
        return (p + (self.momentum * v - lr * g) if self.nesterov else p + v), {"velocity": v}


class RMSprop(Optimizer):
    """Steps divided by the size of the last gradients (Hinton 2012): v = ρv + (1-ρ)g², p - lr g / √(v + ε).

    `centered`: v less the square of the mean gradient, their variance (Graves 2013). With momentum the quotient is
    added up: b = momentum b + lr g / √(v + ε), p - b.

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.RMSprop(rho=0.75).step(bl.variable(3.0), 6.0, {"v": 0.0}, 0.1, 1.0)
    >>> round(float(p.value), 6)
    2.8
    """

    slots = ("v", "momentum", "mean")
    aliases = ("rmsprop",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: Decay = 0.9,
        momentum: Decay = 0.0,
        epsilon: NotNegative = 1e-7,
        centered: bool = False,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.rho, self.momentum = rho, momentum
        self.epsilon, self.centered = epsilon, centered

    def used_slots(self) -> tuple[str, ...]:
        """What momentum and centring need beside v."""
        return ("v", *(("momentum",) if self.momentum else ()), *(("mean",) if self.centered else ()))

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """lr / √(v + ε)."""
        v = slots["v"]
        if self.centered:
            v = maximum(v - square(slots["mean"]), 0.0)  # rounding makes the difference negative where g is constant
        return lr / sqrt(v + self.epsilon)

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        new = {"v": self.rho * slots["v"] + (1 - self.rho) * square(g)}
        if self.centered:
            new["mean"] = self.rho * slots["mean"] + (1 - self.rho) * g
        change = self.effective(new, lr, t) * g
        if self.momentum:
            new["momentum"] = change = self.momentum * slots["momentum"] + change
        return p - change, new


class Adam(Optimizer):
    """Adaptive moment estimation (Kingma and Ba 2015): a step of its own size for every parameter.

    m = β₁m + (1-β₁)g, v = β₂v + (1-β₂)g², p - lr √(1-β₂ᵗ)/(1-β₁ᵗ) · m / (√v + ε). With `amsgrad` (Reddi et al. 2018)
    the largest v so far takes the place of v. ε stands as in Keras: it is the paper's ε̂.

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.Adam().step(bl.variable(3.0), 6.0, {"m": 0.0, "v": 0.0}, 0.1, 1.0)
    >>> round(float(p.value), 6)
    2.9
    """

    slots = ("m", "v", "v_max")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NotNegative = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon, self.amsgrad = epsilon, amsgrad

    def used_slots(self) -> tuple[str, ...]:
        """The largest v so far with `amsgrad` only."""
        return self.slots if self.amsgrad else self.slots[:2]

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """lr √(1-β₂ᵗ)/(1-β₁ᵗ) / (√v + ε)."""
        v = slots["v_max" if self.amsgrad else "v"]
        return lr * sqrt(1 - self.beta_2**t) / (1 - self.beta_1**t) / (sqrt(v) + self.epsilon)

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        new = _moments(g, slots, self.beta_1, self.beta_2)
        if self.amsgrad:
            new["v_max"] = maximum(slots["v_max"], new["v"])
        return p - self.effective(new, lr, t) * new["m"], new


def _moments(g: Any, slots: Mapping[str, Any], beta_1: Decay, beta_2: Decay) -> dict[str, Any]:
    """The moving means of the gradient and of its square."""
    m = slots["m"] + (g - slots["m"]) * (1 - beta_1)
    return {"m": m, "v": slots["v"] + (square(g) - slots["v"]) * (1 - beta_2)}


class AdamW(Adam):
    """Adam with weight decay that is no part of the gradient (Loshchilov and Hutter 2019): p (1 - lr w), then Adam.

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.AdamW(weight_decay=0.5).update(bl.variable(3.0), 6.0, {"m": 0.0, "v": 0.0}, 0.1, 1.0)
    >>> round(float(p.value), 6)
    2.75
    """

    aliases = ("adamw",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        weight_decay: NotNegative = 0.004,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NotNegative = 1e-7,
        amsgrad: bool = False,
        **common: Unpack[Shared],
    ):
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, weight_decay=weight_decay, **common)


class Nadam(Optimizer):
    """Adam with Nesterov's look ahead (Dozat 2016).

    uₜ = β₁ (1 - 0.96ᵗ / 2), Uₜ = u₁ … uₜ; m and v as in Adam;
    m̂ = uₜ₊₁ m / (1 - Uₜ₊₁) + (1 - uₜ) g / (1 - Uₜ), p - lr m̂ / (√(v / (1-β₂ᵗ)) + ε).

    Uₜ has no formula in t. It is a slot of a single float64 number, one for each parameter, so that a step still
    knows its own parameter only.

    >>> import backlit as bl
    >>> slots = {"m": 0.0, "v": 0.0, "product": 1.0}
    >>> p, _ = bl.optimizers.Nadam().step(bl.variable(3.0), bl.variable(6.0), slots, 0.1, 1.0)
    >>> round(float(p.value), 6)
    2.893721
    """

    slots = ("m", "v", "product")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NotNegative = 1e-7,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon

    def first(self, slot: str, p: Leaf) -> Any:
        """The product is a float64 number that starts from 1."""
        return np.ones((), np.float64) if slot == "product" else super().first(slot, p)

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """lr / (√(v / (1-β₂ᵗ)) + ε)."""
        return lr / (sqrt(slots["v"] / (1 - self.beta_2**t)) + self.epsilon)

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        new = _moments(g, slots, self.beta_1, self.beta_2)
        u, ahead = (self.beta_1 * (1 - 0.5 * 0.96**k) for k in (t, t + 1))
        new["product"] = slots["product"] * u
        of_m, of_g = (
            cast(as_node(part), p.dtype)  # from the product, which is firmly float64
            for part in (ahead / (1 - new["product"] * ahead), (1 - u) / (1 - new["product"]))
        )
        return p - self.effective(new, lr, t) * (of_m * new["m"] + of_g * g), new


class Adagrad(Optimizer):
    """Steps divided by the size of all gradients so far (Duchi et al. 2011): s = s + g², p - lr g / √(s + ε).

    s starts from `initial_accumulator_value`.

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.Adagrad().step(bl.variable(3.0), 6.0, {"sum": 64.0}, 0.1, 1.0)
    >>> round(float(p.value), 6)
    2.94
    """

    slots = ("sum",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        initial_accumulator_value: NotNegative = 0.1,
        epsilon: NotNegative = 1e-7,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def first(self, slot: str, p: Leaf) -> Any:
        """The initial value everywhere."""
        return np.full(p.shape, self.initial_accumulator_value, p.dtype)

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """lr / √(s + ε)."""
        return lr / sqrt(slots["sum"] + self.epsilon)

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        new = {"sum": slots["sum"] + square(g)}
        return p - self.effective(new, lr, t) * g, new


class Adadelta(Optimizer):
    """Steps in the units of the last steps (Zeiler 2012): s = ρs + (1-ρ)g², d = g √(D + ε) / √(s + ε), p - lr d.

    Then D = ρD + (1-ρ)d². The paper's rate is 1; Keras's default of 0.001 is kept.

    >>> import backlit as bl
    >>> start = {"gradients": 0.0, "steps": 0.0}
    >>> p, _ = bl.optimizers.Adadelta(rho=0.75, epsilon=0.25).step(bl.variable(3.0), 6.0, start, 1.0, 1.0)
    >>> round(float(p.value), 6)
    2.013606
    """

    slots = ("gradients", "steps")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        rho: Decay = 0.95,
        epsilon: NotNegative = 1e-7,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.rho, self.epsilon = rho, epsilon

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """lr √(D + ε) / √(s + ε)."""
        return lr * (sqrt(slots["steps"] + self.epsilon) / sqrt(slots["gradients"] + self.epsilon))

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        s = self.rho * slots["gradients"] + (1 - self.rho) * square(g)
        d = self.effective({**slots, "gradients": s}, 1.0, t) * g
        return p - lr * d, {"gradients": s, "steps": self.rho * slots["steps"] + (1 - self.rho) * square(d)}


class Adamax(Optimizer):
    """Adam with the largest gradient in the place of the root of their squares (Kingma and Ba 2015).

    m as in Adam, u = max(β₂u, |g|), p - lr / (1-β₁ᵗ) · m / (u + ε).

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.Adamax().step(bl.variable(3.0), 6.0, {"m": 0.0, "u": 0.0}, 0.1, 1.0)
    >>> round(float(p.value), 6)
    2.9
    """

    slots = ("m", "u")

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NotNegative = 1e-7,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2 = beta_1, beta_2
        self.epsilon = epsilon

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """lr / (1-β₁ᵗ) / (u + ε)."""
        return lr / (1 - self.beta_1**t) / (slots["u"] + self.epsilon)

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        m = slots["m"] + (g - slots["m"]) * (1 - self.beta_1)
        new = {"m": m, "u": maximum(self.beta_2 * slots["u"], absolute(g))}
        return p - self.effective(new, lr, t) * m, new


class Lion(Optimizer):
    """The sign of a momentum (Chen et al. 2023): p - lr sign(β₁m + (1-β₁)g), then m = β₂m + (1-β₂)g.

    Every number takes a step of lr, so rates are three to ten times smaller than Adam's.

    >>> import backlit as bl
    >>> p, _ = bl.optimizers.Lion().step(bl.variable(3.0), 6.0, {"m": 0.0}, 0.1, 1.0)
    >>> float(p.value)
    2.9
    """

    slots = ("m",)

    def __init__(
        self,
        learning_rate: LearningRate = 0.001,
        beta_1: Annotated[float, Interval(0, 1, above=True)] = 0.9,
        beta_2: Share = 0.99,
        **common: Unpack[Common],
    ):
        super().__init__(learning_rate, **common)
        self.beta_1, self.beta_2 = beta_1, beta_2

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """The step of the docstring."""
        m = slots["m"]
        new = {"m": self.beta_2 * m + (1 - self.beta_2) * g}
        return p - lr * sign(self.beta_1 * m + (1 - self.beta_1) * g), new


__all__ = [
    "Rates",
    *(name for name, value in dict(globals()).items() if isinstance(value, type) and issubclass(value, Optimizer)),
]  # fmt: skip
