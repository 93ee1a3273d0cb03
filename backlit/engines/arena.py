"""Where the numbers of leaves lie: those that are updated alike one after another, so that one call does for all of them."""

from __future__ import annotations

import itertools
import math
import os
import threading
from collections.abc import Sequence

import numpy as np

from ..core.node import Leaf

_LINE = 64  # bytes of a line of the cache
_moving = threading.Lock()
_moves = itertools.count(1)
_last = 0


def _unlock() -> None:
    """In the child of a fork: the thread that held the lock stayed with the parent."""
    global _moving
    _moving = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)


def moves() -> int:
    """How often arrays have been moved: as long as this stays, every leaf has the array that it had."""
    return _last


def settle(leaves: Sequence[Leaf]) -> None:
    """Let the arrays of these leaves lie one after another; the numbers stay what they are.

    It is for programs that are being made. Whoever holds the arrays of leaves for longer than a call asks for `moves`.
    """
    global _last
    with _moving:
        if adjacent(leaves) or len(set(leaves)) < len(leaves):
            return
        memory = np.empty(sum(leaf.array.nbytes for leaf in leaves) + _LINE, np.uint8)
        begin = -memory.ctypes.data % _LINE
        for leaf in leaves:
            end = begin + leaf.array.nbytes
            part = memory[begin:end].view(leaf.dtype).reshape(leaf.shape)
            part[...] = leaf.array
            leaf.array, begin = part, end
        _last = next(_moves)


def adjacent(leaves: Sequence[Leaf]) -> bool:
    """Whether the arrays of these leaves lie one after another in one piece of memory."""
    return all(map(_follows, leaves, leaves[1:]))


def _follows(one: Leaf, other: Leaf) -> bool:
    a, b = one.array, other.array
    whole = a.base is not None and a.base is b.base and a.flags.c_contiguous and b.flags.c_contiguous
    return bool(whole and a.ctypes.data + a.nbytes == b.ctypes.data)


def joined(leaves: Sequence[Leaf]) -> Leaf:
    """A leaf with all the numbers of leaves that lie one after another; what is written into it is written into them."""
    first, last = leaves[0], leaves[-1]
    memory = first.array.base
    begin = first.array.ctypes.data - memory.ctypes.data
    size = sum(math.prod(leaf.shape) for leaf in leaves)
    vector = memory[begin : begin + size * first.array.itemsize].view(first.dtype)
    name = f"{first.name} … {last.name}"
    return Leaf("state", vector, name=name, shape=vector.shape, dtype=first.dtype, weak=first.weak)
