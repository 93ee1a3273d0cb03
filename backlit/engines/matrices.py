"""From products of arrays to rows of kernels."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from . import panels, thin
from .base import Array
from .lowering import collapsed
from .objects import machine
from .panels import Laid, Panels
from .products import Product
from .sharing import cut_into, shared, spans
from .table import Row
from .thin import Thin
from .threads import threads

_LINE = 64  # bytes of a line of the cache

LARGE = 2.0e8  # multiply-adds from which on a product goes in panels, or to the BLAS where vectors are short
_LARGE_FACTOR = (
    1 << 22
)  # bytes of B from which on its rows push one another out of the cache: panels, however few rows A has
_LARGE_TURN = 1 << 16  # the same where rows of B do not lie in one piece: panels turn it while they copy strips
_GRAIN_LAID = 1 << 16  # numbers of a part of what is laid out
_ROWS = 512  # of a part in panels: with 256 k of each in float32, half of a cache of 1 MB

Copy = Callable[[Array, Array], Any]


class Scratch:
    """Room that rows of a table need one after the other, never two at once."""

    def __init__(self) -> None:
        self.blocks: dict[int, Array] = {}
        self.outgrown: list[Array] = []  # which earlier rows go on using

    def take(self, which: int, size: int) -> int:
        """The address of at least so many bytes, of other ones for each `which`."""
        block = self.blocks.get(which)
        if block is None or block.size < size + _LINE:
            if block is not None:
                self.outgrown.append(block)
            block = self.blocks[which] = np.empty(size + _LINE, np.uint8)
        return block.ctypes.data + -block.ctypes.data % _LINE


def multipliable(a: Any, b: Any) -> bool:
    """Whether kernels multiply numbers of these dtypes."""
    return a.dtype == b.dtype and str(a.dtype) in ("float32", "float64") and a.size > 0 and b.size > 0


def product(a: Array, b: Array, out: Array, copy: Copy, kept: list[Array], scratch: Scratch) -> list[Any]:
    """Rows for products of matrices; empty where NumPy does it better."""
    if not multipliable(a, b) or a.ndim < 2 or b.ndim < 2:
        return []
    if a.ndim > 2 and b.ndim == 2 and a.flags.c_contiguous:
        a, out = a.reshape(-1, a.shape[-1]), out.reshape(-1, out.shape[-1])
    work = math.prod(out.shape[-2:]) * a.shape[-1]
    if work > LARGE and machine().target.make.lanes < 8:
        return []
    calls: list[Any] = []
    turned = b.shape[-1] > 1 and b.strides[-1] != b.itemsize
    if a.shape[-1] > 1 and a.strides[-1] != a.itemsize and a.shape[-2] > 1 and a.strides[-2] != a.itemsize:
        a = packed(a, calls, copy, kept)
    if turned and b.shape[-2] > 1 and b.strides[-2] != b.itemsize:
        b, turned = packed(b, calls, copy, kept), False
    if out.ndim == 2 and (work > LARGE or b.nbytes >= (_LARGE_TURN if turned else _LARGE_FACTOR)):
        return [*calls, *_panels(a, b, out, scratch)]
    if turned:
        b = packed(b, calls, copy, kept)
    few = _few(a, out)
    if few:
        wide = out.shape[1] - few
        last = _thin(a, b[:, wide:], out[:, wide:], calls, copy, kept)
        return [*calls, *(_tiles(a, b[:, :wide], out[:, :wide]) if wide else ()), *last]
    return [*calls, *_tiles(a, b, out)]


def _layout(a: Array) -> str:
    """Which numbers of a matrix lie next to one another."""
    return "rows" if a.shape[-1] == 1 or a.strides[-1] == a.itemsize else "columns"


def _tiles(a: Array, b: Array, out: Array) -> list[Row]:
    """Rows of `Product`: one for each place along the outer axes but the last of these."""
    layout, outer = _layout(a), out.shape[:-2]
    stride = a.strides[-2 if layout == "rows" else -1]
    wide = [np.broadcast_to(each, (*outer, *each.shape[-2:])) for each in (a, b)] + [out]
    sizes, steps = collapsed(outer, [each.strides[:-2] for each in wide])
    (M, N), K = out.shape[-2:], a.shape[-1]
    parts = cut_into(sizes[-1] * M * N * K)
    alone, by_rows = sizes[-1] == 1, M >= N
    size, unit = ((M, 8) if by_rows else (N, 64)) if alone else (sizes[-1], 1)
    cut = spans(size, unit, parts)
    # how far A, B and C lie apart from part to part, for each row, column or product
    far = (
        ((a.strides[-2], 0, out.strides[-2]) if by_rows else (0, b.itemsize, out.itemsize))
        if alone
        else [e[-1] for e in steps]
    )
    calls = []
    for place in np.ndindex(*sizes[:-1]):
        here = [each.ctypes.data + sum(map(operator.mul, place, step)) for each, step in zip(wide, steps, strict=True)]
        rows = []
        for begin, end in cut:
            A, B, C = (address + begin * step for address, step in zip(here, far, strict=True))
            long = end - begin
            shape = ((long, N) if by_rows else (M, long)) if alone else (M, N)
            words = [*shape, K, A, stride, B, b.strides[-2], C, out.strides[-2], 1 if alone else long]
            rows.append(Row(Product(str(a.dtype), layout), [*words, *(step[-1] for step in steps)]))
        calls.append(shared(rows))
    return calls


def _few(a: Array, out: Array) -> int:
    """How many last columns would leave their vectors nearly empty, where a product by columns is the faster one."""
    make, K = machine().target.make, a.shape[-1]
    few, lanes = out.shape[-1] % make.least, make.lanes
    enough = 4 * lanes <= K if _layout(a) == "rows" else K >= lanes <= len(out)
    return few if out.ndim == 2 and few <= thin.MOST and enough else 0


def _thin(a: Array, b: Array, out: Array, calls: list[Any], copy: Copy, kept: list[Array]) -> list[Row]:
    """A row of `Thin`, in parts."""
    layout = _layout(a)
    if layout == "rows" and b.strides[0] != b.itemsize:
        b = packed(b.T, calls, copy, kept).T
    (M, N), K = out.shape, a.shape[1]
    stride = a.strides[0 if layout == "rows" else 1]
    rows = []
    for begin, end in spans(M, 8 * machine().target.make.lanes, cut_into(M * N * K)):
        words = [end - begin, N, K, a[begin:].ctypes.data, stride, b.ctypes.data, b.strides[0], out[begin:].ctypes.data]
        rows.append(Row(Thin(str(a.dtype), layout), [*words, out.strides[0], 1, b.strides[1], out.strides[1], 0]))
    return [shared(rows)]


def _panels(a: Array, b: Array, out: Array, scratch: Scratch) -> list[Row]:
    """Rows that lay A out, in parts, and that multiply it with strips of B, in parts."""
    dtype, (M, K), N, make = str(a.dtype), a.shape, b.shape[1], machine().target.make
    high, vectors = panels.shape(make, dtype)
    most, wide = panels.block(K, dtype, make), vectors * make.lanes
    laid = scratch.take(-1, a.nbytes)
    first = [
        Row(Laid(dtype, _layout(a)), [*span, M, K, most, a.ctypes.data, *a.strides, laid])
        for span in spans(M, high, min(threads(), M * K // _GRAIN_LAID))
    ]
    parts = cut_into(M * N * K)
    down = spans(M, high, max(-(-M // _ROWS), parts // -(-N // wide)))
    across = spans(N, wide, -(-parts // len(down)))
    strip = (most + make.lanes) * wide * a.itemsize
    second = []
    for k, (rows, columns) in enumerate(itertools.product(down, across)):
        words = [*rows, *columns, M, K, most, laid, b.ctypes.data, *b.strides, out.ctypes.data, out.strides[0]]
        second.append(Row(Panels(dtype, _layout(b)), [*words, scratch.take(k, strip)]))
    return [shared(first), shared(second)]


def packed(value: Array, calls: list[Any], copy: Copy, kept: list[Array]) -> Array:
    """A copy whose columns lie next to one another."""
    packed = np.empty(value.shape, value.dtype)
    kept.append(packed)
    calls.append(copy(packed, value))
    return packed
