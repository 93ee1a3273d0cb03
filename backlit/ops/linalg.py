"""The matrix product and what is written with it."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.op import Op, Probe, case, composite, structural, uniform
from ..core.shapes import M, show
from .elementwise import maximum, multiply, sqrt, square
from .index import expand_dims, reshape, swapaxes
from .reduce import sum as sum_

_ANY = (uniform(-2, 2),)
matmul: Op = structural(
    "matmul",
    ref=lambda a, b: np.matmul(a, b),
    shape="... n k, ... k p -> ... n p",
    vjp=lambda g, y, a, b: [matmul(g, swapaxes(b)), matmul(swapaxes(a), g)],
    text="{a+} @ {b}",
    tex="{a+} {b}",
    level=20,
    probe=Probe(
        _ANY,
        (
            case((2, 3), (3, 4)),
            case((M, 3), (3, 2)),
            case((5, 2, 3), (3, 4)),
            case((2, 1, 2, 3), (3, 3, 1)),
            case((1, 1), (1, 1)),
            case((M, 3), (3, M)),
        ),
    ),
    doc="The matrix product of the last two axes; axes before them broadcast.",
)


def _dot(a: Any, b: Any) -> Any:
    """NumPy's meaning for numbers, vectors and matrices; more axes are left to matmul."""
    if not a.shape or not b.shape:
        return multiply(a, b)
    if len(a.shape) > 1 and len(b.shape) > 1:
        return matmul(a, b)
    if len(a.shape) == 1 == len(b.shape):
        if a.shape != b.shape:
            raise ShapeError(f"dot cannot take {show(a.shape)} and {show(b.shape)}.", expected="vectors of one length")
        return sum_(multiply(a, b))
    out = matmul(expand_dims(a, 0) if len(a.shape) == 1 else a, expand_dims(b, 1) if len(b.shape) == 1 else b)
    axis = -2 if len(a.shape) == 1 else -1
    return reshape(out, [dim for place, dim in enumerate(out.shape) if place != len(out.shape) + axis])


dot: Op = composite(
    "dot",
    define=_dot,
    text="{a+} @ {b}",
    tex=r"{a+} \cdot {b}",
    level=20,
    probe=Probe(
        _ANY,
        (
            case((3,), (3,)),
            case((2, 3), (3,)),
            case((3,), (3, 2)),
            case((), (2, 3)),
            case((2, 3), (3, 4)),
            case((M, 3), (3,)),
        ),
    ),
    doc="The product of numbers, vectors and matrices, as `@` and np.dot mean it.",
)
norm: Op = composite(
    "norm",
    define=lambda x, axis=None, keepdims=False: sqrt(sum_(square(x), axis=axis, keepdims=keepdims)),
    range=(0, np.inf),
    probe=Probe(_ANY, (case((2, 3)), case((2, 3), axis=1), case((M, 3), axis=-1, keepdims=True))),
    doc="The Euclidean length over `axis`.",
)
normalize: Op = composite(
    "normalize",
    define=lambda x, axis=-1: x / sqrt(maximum(sum_(square(x), axis=axis, keepdims=True), 1e-14)),
    probe=Probe(_ANY, (case((2, 3)), case((2, 3), axis=0), case((M, 3)), case((2, 1, 3), axis=(0, 2)))),
    doc="x over its Euclidean length along `axis`, a length that counts as at least 1e-7.",
)
