"""From products of what windows see to rows of kernels: no window is laid out as a matrix first."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .base import Array
from .convolved import Windowed
from .matrices import Copy, packed
from .sharing import cut_into, shared, spans
from .table import Row

_GROUP = 512  # rows, or numbers to sum up, that one table of distances has: what they touch stays in the cache
_MOST = 2048  # numbers to sum up at once


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


def distances(shape: Sequence[int], strides: Sequence[int]) -> Array:
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


def windowed(
    a: Seen, b: Array, out: Array, copy: Copy, zero: Callable[[Array], Any] | None, kept: list[Array]
) -> list[Any]:
    """Rows for the product of a matrix that is not laid out; added to what `out` holds where nothing clears it."""
    calls: list[Any] = []
    if b.shape[1] > 1 and b.strides[1] != b.itemsize:
        b = packed(b, calls, copy, kept)
    shape, strides = a.array.shape, a.array.strides
    rows, inner = (shape[: a.split], strides[: a.split]), (shape[a.split :], strides[a.split :])
    adds = zero is None or (math.prod(inner[0]) > _MOST and inner[0][0] > 1)
    axes, steps = inner if adds else rows
    rest = math.prod(axes[1:])
    together = _group(axes[0], rest)
    part = distances((together, *axes[1:]), steps)
    along = part if adds else distances(*inner)
    down = distances(*rows) if adds else part
    results = np.arange(len(down), dtype=np.int64) * out.strides[0]
    far = together * steps[0]
    jumps = (far, together * rest * b.strides[0], 0) if adds else (far, 0, together * rest * out.strides[0])
    tables = [down, along, results, np.zeros(1, np.int64)]
    kept += tables
    if adds and zero is not None:
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
        b = packed(b, calls, copy, kept)
    window, channels = lie.shape[1 + places : -1], lie.shape[-1]
    rest = math.prod(lie.shape[1 : 1 + places])
    together = _group(lie.shape[0], rest)
    down = np.arange(together * rest, dtype=np.int64) * a.strides[0]
    along = np.arange(a.shape[1], dtype=np.int64) * a.strides[1]
    results = distances((together, *lie.shape[1 : 1 + places]), lie.strides[: 1 + places])
    shifts = distances(window, lie.strides[1 + places : -1])
    kept += [down, along, results, shifts]
    words = [len(down), channels, len(along), a.ctypes.data, down.ctypes.data, along.ctypes.data, b.ctypes.data]
    words += [b.strides[0], lie.ctypes.data, results.ctypes.data, lie.shape[0] // together]
    words += [together * rest * a.strides[0], 0, together * lie.strides[0]]
    words += [len(shifts), channels * b.itemsize, shifts.ctypes.data]
    return [*calls, Row(Windowed(str(b.dtype), True), words)]


def divided(call: Any) -> Any:
    """A row of a product of windows in parts: by groups of examples, or by columns where all of these add to the same."""
    if not isinstance(call, Row) or not isinstance(call.recipe, Windowed):
        return call
    words, item = call.words, 4 if call.recipe.dtype == "float32" else 8
    M, N, K, groups, far, often = *words[:3], words[10], words[11:14], words[14]
    parts = cut_into(M * N * K * groups * often)
    rows = []
    if far[2]:
        for begin, end in spans(groups, 1, parts):
            A, B, C = (words[place] + begin * step for place, step in zip((3, 6, 8), far, strict=True))
            rows.append(
                Row(call.recipe, [*words[:3], A, *words[4:6], B, words[7], C, words[9], end - begin, *words[11:]])
            )
    else:
        for begin, end in spans(N, 32, parts):
            B, C = words[6] + begin * item, words[8] + begin * item
            rows.append(Row(call.recipe, [M, end - begin, *words[2:6], B, words[7], C, *words[9:]]))
    return shared(rows)
