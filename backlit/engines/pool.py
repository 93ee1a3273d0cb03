"""Where values lie: places in one block of memory, handed on by lifetime."""

from __future__ import annotations

import math
from bisect import bisect, insort
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.shapes import bind
from ..core.walk import Graph
from .base import Array

_LINE = 64  # bytes of a line of the cache
VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "slice", "flip", "split", "item", "windows", "spread"})


def is_view(node: Node) -> bool:
    """Whether a node shows what its input holds."""
    return node.op.name in VIEWS


class Pool:
    """Places in one block of memory, handed on when the last reader of a value (or of a view of it) has run.

    The block is as long as all values together, but memory is only where something has been written.
    """

    def __init__(self, graph: Graph, rows: int | None):
        self.left = Counter(i for node in graph.nodes for i in node.inputs)
        self.left.update(graph.roots)  # outputs and new values stay until the step has ended
        whole = [node for node in graph.nodes if not isinstance(node, Leaf) and not node.several]
        most = sum(_most(node, bind(node.shape, rows)) for node in whole)
        self.memory = np.zeros(most + _LINE, np.uint8)
        self.memory = self.memory[-self.memory.ctypes.data % _LINE :]
        self.blocks: dict[Node, tuple[int, int]] = {}  # where and how long
        self.within: dict[Node, Node] = {}  # values that are computed in the place of another one
        self.holes: list[tuple[int, int]] = []  # the same as `blocks`, by place; none touches another
        self.spares: list[tuple[int, int]] = []
        self.bytes = 0  # up to where the memory is used

    def take(self, node: Node, shape: tuple[int, ...]) -> Any:
        """A place for `node`."""
        value, self.blocks[node] = self._place(np.dtype(node.dtype), shape)
        return value

    def spare(self, dtype: Any, shape: tuple[int, ...]) -> Array:
        """A place that is free again when the node that is being placed has been computed."""
        value, block = self._place(dtype, shape)
        self.spares.append(block)
        return value

    def share(self, part: Node, whole: Node) -> None:
        """`part` is computed in the place of `whole`, which stays as long as `part` does."""
        self.within[part] = whole
        self.left[whole] += 1

    def dying(self, node: Node, reader: Node) -> Node | None:
        """The node that holds the value of `node`, if nothing but `reader` will ever read it."""
        if self.left[node] != reader.inputs.count(node):
            return None
        while node not in self.blocks and is_view(node):
            node = node.inputs[0]
            if self.left[node] != 1:
                return None
        return node if node in self.blocks and not is_view(node) else None  # a view in a block is a copy

    def hand_on(self, node: Node, to: Node) -> None:
        """The place of `node` becomes that of `to`."""
        self.blocks[to] = self.blocks.pop(node)

    def _place(self, dtype: Any, shape: tuple[int, ...]) -> tuple[Array, tuple[int, int]]:
        """The smallest hole that is large enough, or the end."""
        size = _room(dtype, shape)
        fitting = [hole for hole in self.holes if hole[1] >= size]
        if fitting:
            begin, length = hole = min(fitting, key=lambda each: each[1])
            self.holes.remove(hole)
            if length > size:
                insort(self.holes, (begin + size, length - size))
        else:
            begin = self.bytes
            if self.holes and sum(self.holes[-1]) == self.bytes:
                begin = self.holes.pop()[0]
            self.bytes = begin + size
        end = begin + math.prod(shape) * dtype.itemsize
        return self.memory[begin:end].view(dtype).reshape(shape), (begin, size)

    def _free(self, begin: int, size: int) -> None:
        place = bisect(self.holes, (begin, 0))
        if place < len(self.holes) and self.holes[place][0] == begin + size:
            size += self.holes.pop(place)[1]
        if place and sum(self.holes[place - 1]) == begin:
            before, length = self.holes.pop(place - 1)
            begin, size = before, size + length
        insort(self.holes, (begin, size))

    def used(self, node: Node) -> None:
        """`node` has been computed: what only it still read may be handed on. A view goes on holding what it shows."""
        while self.spares:
            self._free(*self.spares.pop())
        if node in self.blocks or not is_view(node):
            for i in node.inputs:
                self._release(i)

    def _release(self, node: Node) -> None:
        waiting = [node]
        while waiting:
            node = waiting.pop()
            self.left[node] -= 1
            if self.left[node] == 0 and node in self.blocks:
                self._free(*self.blocks.pop(node))
            elif self.left[node] == 0 and node in self.within:
                waiting.append(self.within.pop(node))
            elif self.left[node] == 0 and is_view(node):
                waiting += node.inputs


def _room(dtype: Any, shape: Sequence[int]) -> int:
    """Bytes for a value: whole lines of the cache."""
    return -(-math.prod(shape) * int(dtype.itemsize) // _LINE) * _LINE


def _most(node: Node, shape: Sequence[int]) -> int:
    """The most that a node can ask for: its value, and 8 bytes a number for each inner call of a formula, or two for a choice."""
    calls = () if node.op.formula is None else node.op.formula.calls
    inner = sum(3 if call.function == "where" else 1 for call in calls)
    return _room(np.dtype(node.dtype), shape) + inner * _room(np.dtype("float64"), shape)
