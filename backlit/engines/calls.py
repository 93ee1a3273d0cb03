"""The NumPy calls of records other than formulas: how each is called with everything bound and nothing allotted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from ..core.node import FLOATS, Node
from ..ops.window import overlaps
from .base import Array

Step = Callable[[], Any]
# Without looking for arrays of other packages first: ours are NumPy's, and the look takes as long as a small product.
_dot: Any = getattr(np.dot, "_implementation", np.dot)
_copyto: Any = getattr(np.copyto, "_implementation", np.copyto)
_FEW = 1 << 14  # numbers up to which a sum is a product with ones: the call costs more than the sum


def copied(target: Array, value: Array) -> Step:
    """Write `value` into `target`, cast to its dtype."""
    if np.can_cast(value.dtype, target.dtype, "same_kind"):
        return partial(_copyto, target, value)
    return partial(_copyto, target, value, casting="unsafe")


def by_ref(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    """The record's own function, copied from."""
    given = [inputs] if node.op.variadic else inputs
    return lambda: np.copyto(out, node.op.ref(*given, **attrs), casting="unsafe")


def _reduction(ufunc: Any) -> Callable[..., Step]:
    def kernel(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
        dtype = out.dtype if out.dtype != bool else None
        return partial(ufunc.reduce, inputs[0], attrs["axis"], dtype, out, attrs["keepdims"])

    return kernel


@cache
def _ones(dtype: str) -> Array:
    return np.ones(_FEW, dtype)


def _sum(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    """A small sum over the first or the last axes is a product with ones, which BLAS has begun before NumPy's sum has."""
    x, axes = inputs[0], sorted(attrs["axis"])
    behind = x.ndim - len(axes)  # the axes that stay, where the first ones are summed
    whole = x.flags.c_contiguous and out.flags.c_contiguous and x.dtype == out.dtype and str(x.dtype) in FLOATS
    if whole and axes and 0 < x.size <= _FEW:
        count = math.prod(x.shape[axis] for axis in axes)
        ones, rest = _ones(str(x.dtype))[:count], x.size // count
        if rest == 1:
            return partial(_dot, x.reshape(-1), ones, out.reshape(()))
        if axes == list(range(len(axes))):
            return partial(_dot, ones, x.reshape(count, rest), out.reshape(-1))
        if axes == list(range(behind, x.ndim)):
            return partial(_dot, x.reshape(rest, count), ones, out.reshape(-1))
    return _reduction(np.add)(node, inputs, attrs, out)


def _matmul(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    a, b = inputs
    laid_out = all(each.ndim == 2 and (each.flags.c_contiguous or each.flags.f_contiguous) for each in inputs)
    if laid_out and a.dtype == b.dtype == out.dtype and out.flags.c_contiguous and a.size and b.size:
        return partial(_dot, a, b, out)  # the same product of BLAS, sooner begun
    return partial(np.matmul, a, b, out)


def _cast(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    return copied(out, inputs[0])


def _extreme(find: Any) -> Callable[..., Step]:
    def kernel(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
        axis = attrs["axis"]
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        if out.dtype != np.intp or isinstance(axis, tuple):
            return by_ref(node, inputs, attrs, out)
        return partial(find, inputs[0], axis, out)

    return kernel


def _gather(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    x, ids = inputs
    if not x.flags.c_contiguous or x.shape[attrs["axis"]] == 0:
        return by_ref(node, inputs, attrs, out)
    most = x.shape[attrs["axis"]] - 1

    def call() -> None:
        if ids.size and (ids.min() < 0 or ids.max() > most):
            node.op.ref(x, ids, **attrs)  # which says so
        x.take(ids, attrs["axis"], out, "clip")

    return call


def _scatter_add(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    parts, ids = inputs
    length = attrs["length"]
    if ids.size == 0 or out.size == 0 or not out.flags.c_contiguous:
        return by_ref(node, inputs, attrs, out)
    outer = math.prod(parts.shape[: attrs["axis"]])
    laid = np.ascontiguousarray(parts)  # a copy where the parts are spread over equal ones, say
    adds = _Scattered(ids, laid.reshape(outer, ids.size, -1), out.reshape(outer, -1))

    def call() -> None:
        if ids.min() < 0 or ids.max() >= length:
            node.op.ref(parts, ids, **attrs)  # which says so
        if laid is not parts:
            np.copyto(laid, parts)
        adds()

    return call


class _Scattered:
    """Parts added up by id: sorted, those of one id summed, put where they belong. `np.add.at` allots 5 KB a call."""

    def __init__(self, ids: Array, parts: Array, out: Array):
        self.ids, self.parts, self.out = ids, parts, out
        count, width = parts.shape[1:]
        self.places, self.lanes = np.arange(count), np.arange(width)
        self.key, self.order, self.sorted, self.begins, self.ends = (np.zeros(count, np.int64) for _ in range(5))
        self.first = np.ones(count, bool)  # whether the id is another one than that before it
        self.flat = np.zeros((count, width), np.intp)
        self.moved, self.sums = np.zeros((2, count, width), parts.dtype)

    def __call__(self) -> None:
        count, width = self.flat.shape
        np.copyto(self.key, self.ids.reshape(-1))  # first: a product of few bits would begin anew at 0
        np.multiply(self.key, count, self.key)
        np.add(self.key, self.places, self.key)
        self.key.sort()
        np.remainder(self.key, count, self.order)
        np.floor_divide(self.key, count, self.sorted)
        np.not_equal(self.sorted[1:], self.sorted[:-1], self.first[1:])
        self.begins.fill(count)
        np.copyto(self.begins, self.places, where=self.first)
        self.begins.sort()
        found = int(np.count_nonzero(self.first))
        begins, flat, sums = self.begins[:found], self.flat[:found], self.sums[:found]
        self.sorted.take(begins, 0, self.ends[:found], "clip")
        np.multiply(self.ends[:found, np.newaxis], width, flat)
        np.add(flat, self.lanes, flat)
        self.out.fill(0)
        for part, out in zip(self.parts, self.out, strict=True):
            part.take(self.order, 0, self.moved, "clip")
            np.add.reduceat(self.moved, begins, 0, None, sums)
            out.put(flat, sums, "clip")


def _fold(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    pairs = overlaps(out, inputs[0], attrs["strides"], attrs["dilation"])

    def call() -> None:
        out.fill(0)
        for seen, part in pairs:
            np.add(seen, part, seen)

    return call


def _dilate(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    lie = spread(out, inputs[0].shape, attrs)

    def call() -> None:
        out.fill(0)
        np.copyto(lie, inputs[0])

    return call


def spread(out: Array, shape: Sequence[int], attrs: dict[str, Any]) -> Array:
    """Where the numbers of a value of that shape lie among the zeros before, between and behind them."""
    cuts = zip(shape, attrs["low"], attrs["interior"], strict=True)
    return out[tuple(slice(a, a + (n - 1) * (gap + 1) + 1, gap + 1) for n, a, gap in cuts)]


KERNELS: dict[str, Callable[..., Step]] = {
    "argmax": _extreme(np.argmax),
    "argmin": _extreme(np.argmin),
    "gather": _gather,
    "scatter_add": _scatter_add,
    "fold": _fold,
    "dilate": _dilate,
    "sum": _sum,
    "max": _reduction(np.maximum),
    "min": _reduction(np.minimum),
    "prod": _reduction(np.multiply),
    "matmul": _matmul,
    "cast": _cast,
}
