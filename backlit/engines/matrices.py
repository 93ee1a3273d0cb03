"""From products of arrays to rows of kernels: plain ones, ones of windows that are never laid out, folded ones."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Array
from .lowering import collapsed
from .products import Product, Windowed
from .table import Row

LARGE = 2.0e8  # multiply-adds from which on a product of plain matrices is the BLAS's
_GROUP = 512  # rows, or numbers to sum up, that one table of distances has: what they touch stays in the cache
_MOST = 2048  # numbers to sum up at once

Copy = Callable[[Array, Array], Any]


@dataclass(frozen=True)
class Seen:
    """A matrix that is not laid out: the first `split` axes of an array are its rows, the others its columns."""

    array: Array
    split: int

    @property
    def turned(self) -> Seen:
        """The transposed matrix."""
        axes = [*range(self.split, self.array.ndim), *range(self.split)]
        return Seen(self.array.transpose(axes), self.array.ndim - self.split)


def seen(array: Array, shape: tuple[int, ...]) -> Seen | None:
    """`array` as a matrix of that shape, if its axes fall into rows and columns."""
    for split in range(1, array.ndim):
        if (math.prod(array.shape[:split]), math.prod(array.shape[split:])) == shape:
            return Seen(array, split)
    return None


def multipliable(a: Any, b: Any) -> bool:
    """Whether kernels multiply numbers of these dtypes."""
    return a.dtype == b.dtype and str(a.dtype) in ("float32", "float64") and a.size > 0 and b.size > 0


# ---------------------------------------------------------------------- plain matrices
def product(a: Array, b: Array, out: Array, copy: Copy, kept: list[Array]) -> list[Any]:
    """Rows for products of matrices; empty where NumPy does it better."""
    if not multipliable(a, b) or a.ndim < 2 or b.ndim < 2:
        return []
    if a.ndim > 2 and b.ndim == 2 and a.flags.c_contiguous:
        a, out = a.reshape(-1, a.shape[-1]), out.reshape(-1, out.shape[-1])
    if math.prod(out.shape[-2:]) * a.shape[-1] > LARGE:
        return []
    calls: list[Any] = []
    item = a.itemsize
    if b.shape[-1] > 1 and b.strides[-1] != item:
        b = _packed(b, calls, copy, kept)
    if a.shape[-1] == 1 or a.strides[-1] == item:
        layout, stride = "rows", a.strides[-2]
    elif a.shape[-2] == 1 or a.strides[-2] == item:
        layout, stride = "columns", a.strides[-1]
    else:
        a = _packed(a, calls, copy, kept)
        layout, stride = "rows", a.strides[-2]
    outer = out.shape[:-2]
    wide = [np.broadcast_to(each, (*outer, *each.shape[-2:])) for each in (a, b)] + [out]
    sizes, steps = collapsed(outer, [each.strides[:-2] for each in wide])
    recipe = Product(str(a.dtype), layout)
    for place in np.ndindex(*sizes[:-1]):
        begins = [
            each.ctypes.data + sum(p * s for p, s in zip(place, step, strict=False))
            for each, step in zip(wide, steps, strict=True)
        ]
        words = [*out.shape[-2:], a.shape[-1], begins[0], stride, begins[1], b.strides[-2], begins[2], out.strides[-2]]
        calls.append(Row(recipe, [*words, sizes[-1], *(step[-1] for step in steps)]))
    return calls


def _packed(value: Array, calls: list[Any], copy: Copy, kept: list[Array]) -> Array:
    """A copy whose columns lie next to one another."""
    packed = np.empty(value.shape, value.dtype)
    kept.append(packed)
    calls.append(copy(packed, value))
    return packed


# ---------------------------------------------------------------------- windows
def _distances(shape: Sequence[int], strides: Sequence[int]) -> Array:
    """How far each of the numbers of some axes lies from the first one, in bytes."""
    places = np.zeros((1,) * len(shape), np.int64)
    for axis, (size, step) in enumerate(zip(shape, strides, strict=True)):
        lie = [1] * len(shape)
        lie[axis] = size
        places = places + (np.arange(size, dtype=np.int64) * step).reshape(lie)
    return places.reshape(-1)


def _group(first: int, rest: int) -> int:
    """How many of the first axis go together: a divisor of it."""
    return max((n for n in range(1, first + 1) if first % n == 0 and n * rest <= _GROUP), default=1)


def windowed(a: Seen, b: Array, out: Array, copy: Copy, zero: Callable[[Array], Any], kept: list[Array]) -> list[Any]:
    """Rows for the product of a matrix that is not laid out."""
    calls: list[Any] = []
    if b.shape[1] > 1 and b.strides[1] != b.itemsize:
        b = _packed(b, calls, copy, kept)
    shape, strides = a.array.shape, a.array.strides
    rows, inner = (shape[: a.split], strides[: a.split]), (shape[a.split :], strides[a.split :])
    adds = math.prod(inner[0]) > _MOST and inner[0][0] > 1
    axes, steps = inner if adds else rows
    rest = math.prod(axes[1:])
    together = _group(axes[0], rest)
    part = _distances((together, *axes[1:]), steps)
    along = part if adds else _distances(*inner)
    down = _distances(*rows) if adds else part
    results = np.arange(len(down), dtype=np.int64) * out.strides[0]
    far = together * steps[0]
    jumps = (far, together * rest * b.strides[0], 0) if adds else (far, 0, together * rest * out.strides[0])
    tables = [down, along, results, np.zeros(1, np.int64)]
    kept += tables
    if adds:
        calls.append(zero(out))
    words = [len(down), out.shape[1], len(along), a.array.ctypes.data, tables[0].ctypes.data, tables[1].ctypes.data]
    words += [b.ctypes.data, b.strides[0], out.ctypes.data, tables[2].ctypes.data, axes[0] // together, *jumps]
    words += [1, 0, tables[3].ctypes.data]
    return [*calls, Row(Windowed(str(b.dtype), adds), words)]


def folded(a: Array, b: Array, lie: Array, places: int, copy: Copy, kept: list[Array]) -> list[Any]:
    """Rows that add each row of a · b to the window where it was seen; `lie` (m, places…, window…, c) shows the windows
    of the result. For one place of the window after the other: two of them may overlap, two numbers of one cannot."""
    calls: list[Any] = []
    if b.strides[1] != b.itemsize:
        b = _packed(b, calls, copy, kept)
    window, channels = lie.shape[1 + places : -1], lie.shape[-1]
    rest = math.prod(lie.shape[1 : 1 + places])
    together = _group(lie.shape[0], rest)
    down = np.arange(together * rest, dtype=np.int64) * a.strides[0]
    along = np.arange(a.shape[1], dtype=np.int64) * a.strides[1]
    results = _distances((together, *lie.shape[1 : 1 + places]), lie.strides[: 1 + places])
    shifts = _distances(window, lie.strides[1 + places : -1])
    kept += [down, along, results, shifts]
    words = [len(down), channels, len(along), a.ctypes.data, down.ctypes.data, along.ctypes.data, b.ctypes.data]
    words += [b.strides[0], lie.ctypes.data, results.ctypes.data, lie.shape[0] // together]
    words += [together * rest * a.strides[0], 0, together * lie.strides[0]]
    words += [len(shifts), channels * b.itemsize, shifts.ctypes.data]
    return [*calls, Row(Windowed(str(b.dtype), True), words)]
