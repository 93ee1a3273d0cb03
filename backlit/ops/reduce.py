"""Sums, means, extremes over any axes; the batch axis m among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError
from ..core.op import Op, Probe, case, composite, distinct, structural, uniform
from ..core.shapes import M, Shape, normal_axes, show
from .elementwise import cast, equal, exp, greater, log, sqrt, square, where
from .index import broadcast_to, reshape

_CASES = (
    case((2, 3)),
    case((2, 3), axis=1),
    case((2, 3, 4), axis=(0, -1), keepdims=True),
    case((2, 1), axis=-1),
    case((M, 3), axis=0),
    case((M, 3), axis=1, keepdims=True),
    case((M, 2)),
)


def _settle(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    return {**attrs, "axis": normal_axes(attrs["axis"], len(shapes[0]), "a reduction")}


def _reduced(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    axes, keep = attrs["axis"], attrs["keepdims"]
    return tuple(1 if i in axes else dim for i, dim in enumerate(shapes[0]) if keep or i not in axes)


def _of_some(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    """The shape rule of a reduction that has no value for no numbers."""
    axes = normal_axes(attrs["axis"], len(shapes[0]), name)
    if 0 in [shapes[0][axis] for axis in axes]:
        raise ShapeError(f"{name} needs at least one number.", found=f"axis={attrs['axis']} of {show(shapes[0])}")
    return _arg_shape(name, shapes, attrs) if "keepdims" not in attrs else _reduced(name, shapes, attrs)


def _kept(x: Any, axis: tuple[int, ...]) -> Shape:
    return tuple(1 if i in axis else dim for i, dim in enumerate(x.shape))


def _spread(g: Any, x: Any, axis: tuple[int, ...]) -> Any:
    """g, the derivative by a reduced value, over the whole of x again."""
    return broadcast_to(reshape(g, _kept(x, axis)), x.shape)


def _extreme_vjp(g: Any, y: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> list[Any]:
    best = equal(x, reshape(y, _kept(x, axis)))
    hits = cast(best, x.dtype)
    return [reshape(g, _kept(x, axis)) * hits / sum(hits, axis=axis, keepdims=True)]


def _reduction(name: str, function: Any, **known: Any) -> Any:
    return structural(
        name,
        ref=lambda x, *, axis=None, keepdims=False: function(x, axis=axis, keepdims=keepdims),
        settle=_settle,
        **{"shape": _reduced, **known},
    )


sum: Op = _reduction(
    "sum",
    np.sum,
    dtype="wide",
    vjp=lambda g, y, x, axis, keepdims: [_spread(g, x, axis)],
    probe=Probe((uniform(-3, 3),), _CASES),
    tex=r"\sum {x}",
    level=15,
    doc="The sum over `axis` (None: all axes).",
)
max: Op = _reduction(
    "max",
    np.max,
    shape=_of_some,
    vjp=_extreme_vjp,
    probe=Probe((distinct(-3, 3),), _CASES),
    range=lambda x, **_: x,
    aliases=("amax",),
    tex=r"\max {x}",
    level=25,
    doc="The largest over `axis`; the derivative is shared among equal ones.",
)
min: Op = _reduction(
    "min",
    np.min,
    shape=_of_some,
    vjp=_extreme_vjp,
    probe=Probe((distinct(-3, 3),), _CASES),
    range=lambda x, **_: x,
    aliases=("amin",),
    tex=r"\min {x}",
    level=25,
    doc="The smallest over `axis`; the derivative is shared among equal ones.",
)
all: Op = _reduction(
    "all",
    np.all,
    dtype="bool",
    range=(0, 1),
    probe=Probe((uniform(-3, 3),), _CASES),
    doc="Whether none over `axis` is 0.",
)
any: Op = _reduction(
    "any",
    np.any,
    dtype="bool",
    range=(0, 1),
    probe=Probe((uniform(-3, 3),), _CASES),
    doc="Whether one over `axis` is not 0.",
)


def _arg_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    if attrs["axis"] is None:
        return ()
    (axis,) = normal_axes(attrs["axis"], len(shapes[0]), name)
    return shapes[0][:axis] + shapes[0][axis + 1 :]


_ARG_CASES = (case((2, 3)), case((2, 3), axis=-1), case((2, 3), axis=0), case((M, 4), axis=-1))
argmax: Op = structural(
    "argmax",
    ref=lambda x, *, axis=None: np.argmax(x, axis=axis),
    shape=_of_some,
    dtype="int64",
    probe=Probe((distinct(-3, 3),), _ARG_CASES),
    range=(0, np.inf),
    doc="The place of the largest along `axis` (None: among all in row-major order), the first of equal ones.",
)
argmin: Op = structural(
    "argmin",
    ref=lambda x, *, axis=None: np.argmin(x, axis=axis),
    shape=_of_some,
    dtype="int64",
    probe=Probe((distinct(-3, 3),), _ARG_CASES),
    range=(0, np.inf),
    doc="The place of the smallest along `axis` (None: among all in row-major order), the first of equal ones.",
)


def _count(x: Any, axis: tuple[int, ...]) -> Any:
    return np.asarray(
        np.prod([x.shape[i] for i in axis], dtype=np.float64), dtype=x.dtype if x.dtype.kind == "f" else None
    )


size: Op = structural(
    "size",
    ref=lambda x, *, axis=None: _count(x, axis),
    shape=lambda name, shapes, attrs: (),
    settle=_settle,
    dtype="float",
    vjp=lambda g, y, x, axis: [None],
    probe=Probe((uniform(-3, 3),), (case((2, 3)), case((M, 3), axis=0), case((M, 3), axis=(0, 1)))),
    range=(0, np.inf),
    doc="How many numbers lie along `axis` (None: all axes), as a number; along the batch axis it is m.",
)
mean: Op = composite(
    "mean",
    define=lambda x, axis=None, keepdims=False: sum(x, axis=axis, keepdims=keepdims) / size(x, axis=axis),
    probe=Probe((uniform(-3, 3),), _CASES),
    range=lambda x, **_: x,
    tex=r"\operatorname{mean} {x}",
    level=25,
    doc="The mean over `axis` (None: all axes).",
)


def _variance(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    return mean(square(x - mean(x, axis=axis, keepdims=True)), axis=axis, keepdims=keepdims)


var: Op = composite(
    "var",
    define=_variance,
    probe=Probe((uniform(-3, 3),), _CASES),
    range=(0, np.inf),
    doc="The mean squared distance from the mean over `axis`.",
)


def _std_vjp(g: Any, y: Any, x: Any, axis: Any = None, keepdims: bool = False) -> list[Any]:
    kept = _kept(x, normal_axes(axis, len(x.shape), "std"))
    away, spread = x - mean(x, axis=axis, keepdims=True), reshape(y, kept)
    slope = where(greater(spread, 0), away / (where(greater(spread, 0), spread, 1.0) * size(x, axis=axis)), 0.0)
    return [reshape(g, kept) * slope]


std: Op = composite(
    "std",
    define=lambda x, axis=None, keepdims=False: sqrt(var(x, axis=axis, keepdims=keepdims)),
    vjp=_std_vjp,
    range=(0, np.inf),
    probe=Probe((distinct(-3, 3),), (case((2, 3)), case((2, 3), axis=1), case((4, M, 3), axis=(0, 2), keepdims=True))),
    doc="The square root of the variance over `axis`. Its derivative where all numbers are equal is taken as 0.",
)


def _logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    top = max(x, axis=axis, keepdims=True)
    total = log(sum(exp(x - top), axis=axis, keepdims=keepdims))
    return total + (top if keepdims else reshape(top, total.shape))


logsumexp: Op = composite(
    "logsumexp",
    define=_logsumexp,
    probe=Probe((uniform(-3, 3),), _CASES),
    vjp=lambda g, y, x, axis=None, keepdims=False: [_softmax_vjp(g, y, x, axis)],
    doc="log of the sum of exp over `axis`, without overflow.",
)


def _softmax_vjp(g: Any, y: Any, x: Any, axis: Any) -> Any:
    kept = _kept(x, normal_axes(axis, len(x.shape), "logsumexp"))
    return reshape(g, kept) * exp(x - reshape(y, kept))


prod: Op = structural(
    "prod",
    ref=lambda x, *, axis=None, keepdims=False: np.prod(x, axis=axis, keepdims=keepdims),
    shape=_reduced,
    settle=_settle,
    dtype="wide",
    probe=Probe((uniform(0.5, 2),), _CASES),
    vjp=lambda g, y, x, axis, keepdims: [reshape(g, _kept(x, axis)) * reshape(y, _kept(x, axis)) / x],
    domain="x != 0",
    doc="The product over `axis`; its derivative needs values other than 0.",
)
