"""Losses whose derivative is a plain difference: A - Y behind softmax and cross-entropy, 2 (A - Y) for a squared error.

Whether a loss is of this kind is not looked up but tried: its own graph is differentiated at a few numbers.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

from ..core import registry
from ..core.grad import grad
from ..core.node import Node, input_leaf
from ..core.shapes import bind
from ..ops.reduce import sum as sum_

_ROWS = 4


def residual(loss: Any, applied: Any, shape: Any) -> tuple[Fraction, bool] | None:
    """(c, False) where the derivative of the loss by z is c (a - y), (c, True) where it is c sign(a - y), else None.

    a is `applied(z)`, z is of `shape`; the loss sees a, or z where it takes logits. What is differentiated is the sum
    of the numbers that the loss gives.
    """
    rows, rng = bind(tuple(shape), _ROWS), np.random.default_rng(0)
    if loss.labels and loss.target_shape(shape) != tuple(shape[:-1]):
        return None
    z = input_leaf(shape, "z", "float64")
    y = input_leaf(loss.target_shape(shape), "y", "int64" if loss.labels else "float64")
    a: Node = applied(z)
    each = loss.per_example(y, z if loss.from_logits else a)
    slope = grad(sum_(each), z)
    target = _target(loss, rows, rng)
    spread = np.array([0.01, 1.0, 30.0, 1e4]) if a is z else np.ones(_ROWS)  # a loss may bend far away
    points = rng.normal(size=rows) * spread.reshape(-1, *[1] * (len(rows) - 1))
    given = {z: points, y: target.argmax(axis=-1) if loss.labels else target}
    known = registry.lookup("values.reference")([a, slope], given)
    found = known[slope]
    for signed, base in ((False, known[a] - target), (True, np.sign(known[a] - target))):
        if not (base.all() and np.isfinite(found).all()):
            continue
        factor = Fraction(float(np.median(found / base))).limit_denominator(10_000)
        if factor and np.allclose(found, float(factor) * base, rtol=1e-6, atol=1e-9):
            return factor, signed
    return None


def _target(loss: Any, shape: Any, rng: np.random.Generator) -> Any:
    """Targets such as the loss takes, one-hot rows where it compares classes."""
    if loss.labels or loss.link == "softmax":
        return np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])]
    if loss.signs or loss.targets == (0.0, 1.0):
        return rng.integers(0, 2, shape).astype(float)
    return rng.normal(size=shape) if loss.targets is None else rng.uniform(0.5, 3, shape)
