"""Where rows of the table are cut into parts that several threads may do at once.

Elementwise work is cut by its size alone: its sums are those of the parts, and must not depend on how many threads there
are. Products may be cut as suits the threads: each number of a result is computed whole by one of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from .base import Array
from .kernels import Fused
from .table import Row, Shared
from .threads import threads

_PRODUCT = 1 << 21  # multiply-adds of a part: some 40 µs, against one or two for giving it to another thread
_PASS = 1 << 15  # numbers of a part of elementwise work


def spans(size: int, unit: int, parts: int) -> list[tuple[int, int]]:
    """At most so many stretches of about the same length, in whole units but for the last one."""
    units = -(-size // unit)
    parts = max(1, min(parts, units))
    return list(pairwise(min(size, units * k // parts * unit) for k in range(parts + 1)))


def cut_into(work: float) -> int:
    """Into how many parts to cut a product: two for each thread, so that one that comes late does not keep all waiting."""
    return 1 if threads() == 1 else max(1, min(2 * threads(), int(work // _PRODUCT)))


def shared(parts: Sequence[Row], last: Row | None = None) -> Row:
    """Rows that may run at the same time, as one."""
    return parts[0] if len(parts) == 1 else Shared(parts, last)


def passed(
    recipe: Fused,
    sizes: Sequence[int],
    begins: Sequence[int],
    strides: Sequence[Sequence[int]],
    totals: Sequence[Array],
) -> tuple[Row, list[Array]]:
    """One pass, where it is long in parts along its first axis; and what the parts add up, to be kept.

    `begins` and `strides` say where the operands lie. The sums of the parts are added by a last row.
    """
    cut = spans(sizes[0], 16, math.prod(sizes) // _PASS) if sizes else [(0, 1)]
    sums = list(totals) if len(cut) == 1 else [np.empty(len(cut), each.dtype) for each in totals]
    rows = []
    for k, (begin, end) in enumerate(cut):
        words = [end - begin, *sizes[1:]] if sizes else []
        for address, steps in zip(begins, strides, strict=True):
            words += [address + (begin * steps[0] if sizes else 0), *steps]
        rows.append(Row(recipe, [*words, *(each.ctypes.data + k * each.itemsize for each in sums)]))
    if len(cut) == 1:
        return rows[0], []
    return shared(rows, _added(sums, totals) if totals else None), sums


def _added(sums: Sequence[Array], totals: Sequence[Array]) -> Row:
    """A row that adds up the sums of parts."""
    dtypes = [str(each.dtype) for each in totals]
    recipe = Fused(tuple((each, "along") for each in dtypes), (), (), tuple(enumerate(dtypes)))
    words = [len(sums[0])]
    for each in sums:
        words += [each.ctypes.data, each.itemsize]
    return Row(recipe, [*words, *(each.ctypes.data for each in totals)])
