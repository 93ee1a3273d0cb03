"""Activations. Each is one record: formula, derivative, range, LaTeX."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..core.op import Op, Probe, case, composite, elementwise, normal, uniform
from ..core.shapes import M
from .elementwise import absolute, erf, exp, greater, hull, minimum, tanh, where
from .reduce import logsumexp, max, sum

INF = np.inf
_activation = partial(elementwise, role="activation")
_composite_activation = partial(composite, role="activation")


def _through(function: Any) -> Any:
    """The range of a non-decreasing function: its values at the ends."""
    return lambda x, **attrs: hull(function(x[0], **attrs), function(x[1], **attrs))


def _np_sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-np.clip(x, -700, 700))))


sigmoid: Op = _activation(
    "sigmoid",
    "where(x >= 0, 1, exp(-absolute(x))) / (1 + exp(-absolute(x)))",
    vjp=lambda g, y, x: [g * y * (1 - y)],
    tex=r"\sigma\left({x:}\right)",
    range=lambda x: (0.0 if x[0] < -80 else _np_sigmoid(x[0]), 1.0 if x[1] > 15 else _np_sigmoid(x[1])),
    monotone=True,
    probe=uniform(-6, 6),
    doc="1 / (1 + exp(-x)): any number into (0, 1), 0.5 at 0, flat at both ends.",
)
relu: Op = _activation(
    "relu",
    "maximum(x, 0)",
    vjp=lambda g, y, x: [where(greater(x, 0), g, 0.0)],
    kinks="x",
    range=_through(lambda x: x if x > 0 else 0),
    tex=r"\max\left(0, {x:}\right)",
    monotone=True,
    doc="max(0, x). Its derivative at 0 is taken as 0.",
)
relu6: Op = _activation(
    "relu6",
    "minimum(maximum(x, 0), 6)",
    vjp=lambda g, y, x: [where((x > 0) * (x < 6), g, 0.0)],
    kinks="x * (x - 6)",
    range=_through(lambda x: np.clip(x, 0, 6)),
    monotone=True,
    probe=uniform(-4, 9),
    doc="ReLU cut off at 6.",
)
leaky_relu: Op = _activation(
    "leaky_relu",
    "where(x > 0, x, negative_slope * x)",
    attrs={"negative_slope": 0.2},
    also=[{"negative_slope": 0.01}],
    kinks="x",
    vjp=lambda g, y, x, negative_slope: [where(greater(x, 0), g, g * negative_slope)],
    monotone=True,
    range=_through(lambda x, negative_slope: x if x > 0 else negative_slope * x),
    doc="x where it is positive, else negative_slope x (Keras: 0.2; the course: 0.01).",
)
elu: Op = _activation(
    "elu",
    "where(x > 0, x, alpha * expm1(minimum(x, 0)))",
    attrs={"alpha": 1.0},
    also=[{"alpha": 0.5}],
    vjp=lambda g, y, x, alpha: [where(greater(x, 0), g, g * alpha * exp(minimum(x, 0.0)))],
    monotone=True,
    kinks="x",
    range=_through(lambda x, alpha: x if x > 0 else alpha * np.expm1(x)),
    doc="x where it is positive, else alpha (exp(x) - 1).",
)
_SELU = {"alpha": 1.6732632423543772, "scale": 1.0507009873554805}
selu: Op = _activation(
    "selu",
    "where(x > 0, {scale} * x, {scale} * {alpha} * expm1(minimum(x, 0)))".format(**_SELU),
    kinks="x",
    vjp=lambda g, y, x: [
        g * where(greater(x, 0), _SELU["scale"], _SELU["scale"] * _SELU["alpha"] * exp(minimum(x, 0.0)))
    ],
    range=_through(lambda x: _SELU["scale"] * (x if x > 0 else _SELU["alpha"] * np.expm1(x))),
    monotone=True,
    doc="The scaled ELU whose outputs keep mean 0 and variance 1 (Klambauer et al. 2017).",
)
celu: Op = _activation(
    "celu",
    "where(x > 0, x, alpha * expm1(minimum(x, 0) / alpha))",
    attrs={"alpha": 1.0},
    also=[{"alpha": 2.0}],
    vjp=lambda g, y, x, alpha: [g * where(greater(x, 0), 1.0, exp(minimum(x, 0.0) / alpha))],
    range=_through(lambda x, alpha: x if x > 0 else alpha * np.expm1(x / alpha)),
    monotone=True,
    kinks="x",
    doc="x where it is positive, else alpha (exp(x / alpha) - 1): an ELU whose slope is continuous (Barron 2017).",
)
softplus: Op = _activation(
    "softplus",
    "maximum(x, 0) + log1p(exp(-absolute(x)))",
    vjp=lambda g, y, x: [g * sigmoid(x)],
    monotone=True,
    range=_through(lambda x: np.logaddexp(x, 0.0)),
    tex=r"\log\left(1 + e^{{x:}}\right)",
    level=25,
    probe=uniform(-6, 6),
    doc="log(1 + exp(x)): a smooth ReLU, without overflow.",
)
log_sigmoid: Op = _activation(
    "log_sigmoid",
    "minimum(x, 0) - log1p(exp(-absolute(x)))",
    vjp=lambda g, y, x: [g * sigmoid(-x)],
    monotone=True,
    range=_through(lambda x: -np.logaddexp(-x, 0.0)),
    tex=r"\log \sigma\left({x:}\right)",
    level=25,
    probe=uniform(-6, 6),
    doc="log(sigmoid(x)), without overflow: -1000 gives -1000.",
)
softsign: Op = _activation(
    "softsign",
    "x / (1 + absolute(x))",
    vjp=lambda g, y, x: [g * (1 - absolute(y)) * (1 - absolute(y))],
    range=(-1, 1),
    monotone=True,
    doc="x / (1 + |x|).",
)
silu: Op = _activation(
    "silu",
    "x * (where(x >= 0, 1, exp(-absolute(x))) / (1 + exp(-absolute(x))))",
    aliases=("swish",),
    vjp=lambda g, y, x: [g * (sigmoid(x) + y * (1 - sigmoid(x)))],
    range=lambda x: (-0.2784646, float(np.maximum(x[1], 0))),
    tex=r"{x} \, \sigma\left({x:}\right)",
    level=20,
    doc="x sigmoid(x), also called Swish.",
)
gelu: Op = _composite_activation(
    "gelu",
    define=lambda x, approximate=False: _gelu(x, approximate),
    range=lambda x, **_: (-0.1700, float(np.maximum(x[1], 0))),
    probe=Probe((uniform(-3, 3),), (case((2, 3)), case((M, 3)), case((2, 3), approximate=True))),
    doc="x times the normal distribution function at x; `approximate` uses tanh (Hendrycks and Gimpel 2016).",
)


def _gelu(x: Any, approximate: bool) -> Any:
    if approximate:
        return 0.5 * x * (1 + tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + erf(x * 0.7071067811865476))


mish: Op = _composite_activation(
    "mish",
    define=lambda x: x * tanh(softplus(x)),
    probe=Probe((uniform(-3, 3),), (case((2, 3)), case((M, 3)))),
    range=lambda x: (-0.30885, float(np.maximum(x[1], 0))),
    doc="x tanh(softplus(x)).",
)
hard_sigmoid: Op = _activation(
    "hard_sigmoid",
    "minimum(maximum(x / 6 + 0.5, 0), 1)",
    vjp=lambda g, y, x: [where((x > -3) * (x < 3), g / 6, 0.0)],
    kinks="(x - 3) * (x + 3)",
    range=(0, 1),
    monotone=True,
    probe=uniform(-5, 5),
    doc="Straight pieces near the sigmoid: x/6 + 0.5, cut to [0, 1].",
)
linear: Op = _activation(
    "linear",
    "x",
    vjp=lambda g, y, x: [g],
    range=lambda x: x,
    monotone=True,
    tex="{x:}",
    doc="The value itself: no activation.",
)

# ---------------------------------------------------------------------- over an axis
_AXIS = (case((2, 3)), case((3, 2), axis=0), case((M, 4)), case((2, 1)), case((4,)), case((2, 3, 4), axis=(1, 2)))


def _softmax(x: Any, axis: Any = -1) -> Any:
    e = exp(x - max(x, axis=axis, keepdims=True))
    return e / sum(e, axis=axis, keepdims=True)


softmax: Op = _composite_activation(
    "softmax",
    define=_softmax,
    vjp=lambda g, y, x, axis: [y * (g - sum(g * y, axis=axis, keepdims=True))],
    range=(0, 1),
    probe=Probe((normal(3, 4),), _AXIS),
    tex=r"\operatorname{softmax}\left({x:}\right)",
    doc="exp(x) over its sum along `axis`: positive, sums to 1, each output depends on all inputs.",
)
log_softmax: Op = _composite_activation(
    "log_softmax",
    define=lambda x, axis=-1: x - logsumexp(x, axis=axis, keepdims=True),
    range=(-INF, 0),
    vjp=lambda g, y, x, axis: [g - exp(y) * sum(g, axis=axis, keepdims=True)],
    probe=Probe((normal(3, 4),), _AXIS),
    doc="log(softmax(x)), without overflow or log(0).",
)
swish = silu
__all__ = sorted(name for name, op in dict(globals()).items() if isinstance(op, Op) and op.role == "activation")
