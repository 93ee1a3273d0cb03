"""From pooling to rows of kernels: convolution to largest numbers by blocks of examples, and the products of the winners.

What a convolution makes of a block of examples stays in the cache until bias, activation and pooling have read it; it is
never written as a whole. The derivative of a largest number is zero but at its winner, and products with it read the
winners alone where these are few and what they have seen lies in long pieces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..core.node import Node
from ..core.shapes import bind
from ..ops.window import windows_of
from . import matrices
from .base import Array
from .convolved import Windowed
from .kernels import Term
from .lowering import collapsed, terms_of
from .matrices import packed
from .objects import machine
from .pooled import Largest, Spread, Won, most
from .sharing import cut_into, shared, spans
from .table import Row, Shared
from .windowed import Seen, distances, windowed

_BLOCK = 1 << 18  # bytes that a convolution writes before pooling reads them: they stay in the cache
_BITS = 32  # places of a window that winners can be told of
_SPARSE = 2  # times as many places as winners, from which on products of the winners alone are quicker
_SUMS = 4  # at most so many sums of parts of a product: from the sizes alone, so that the threads change no bit
_LEAST = 1 << 21  # multiply-adds that a sum of its own is worth
_FLOATS = ("float32", "float64")


# ---------------------------------------------------------------------- which nodes run as one
def pooled(order: Sequence[Node], roots: Sequence[Node], fusible: Callable[[Node], bool]) -> dict[Node, list[Node]]:
    """By its last node, what runs as one with every largest number of windows: the product whose numbers they are, what is
    computed number by number in between, and who won."""
    readers: dict[Node, list[Node]] = {root: [root] for root in roots}
    for node in order:
        for i in node.inputs:
            readers.setdefault(i, []).append(node)
    found = {}
    for node in order:
        if node.op.name == "max" and (windows := _pooling(node, readers)) is not None:
            inside = _before(windows, readers, fusible)
            chain = {*inside, windows, node, *readers[windows]}
            chain |= set(_product(inside or [windows], chain, readers))
            members = [each for each in order if each in chain]
            found[members[-1]] = members
    return found


def _pooling(node: Node, readers: Mapping[Node, list[Node]]) -> Node | None:
    """The windows of pooling, if nothing else wants to see them."""
    windows = node.inputs[0]
    if windows.op.name != "windows" or node.dtype not in _FLOATS or node.attrs["keepdims"]:
        return None
    others = [each for each in readers[windows] if each is not node]
    plain = node.attrs["axis"] == tuple(range(windows.ndim // 2, windows.ndim - 1))
    few = math.prod(windows.attrs["window"]) <= _BITS
    return windows if plain and few and all(each.op.name == "winners" for each in others) else None


def _before(windows: Node, readers: Mapping[Node, list[Node]], fusible: Callable[[Node], bool]) -> list[Node]:
    """What is computed number by number for the windows alone; not where they overlap, and it would be computed twice."""
    if any(s < k for s, k in zip(windows.attrs["strides"], windows.attrs["window"], strict=True)):
        return []
    inside, waiting = {windows}, [windows]
    while waiting:
        for i in waiting.pop().inputs:
            if i not in inside and fusible(i) and i.shape == windows.inputs[0].shape and set(readers[i]) <= inside:
                inside.add(i)
                waiting.append(i)
    return [each for each in inside if each is not windows]


def _product(first: Sequence[Node], chain: set[Node], readers: Mapping[Node, list[Node]]) -> list[Node]:
    """The product of what a convolution sees, and the reshape that gives it its places, if only the chain reads them."""
    inputs = dict.fromkeys(i for node in first for i in node.inputs)
    for shaped in inputs:
        if shaped.op.name == "reshape" and set(readers[shaped]) <= chain and shaped.ndim > 2:
            product = shaped.inputs[0]
            if product.op.name == "matmul" and readers[product] == [shaped] and _sees(product.inputs[0]):
                return [product, shaped]
    return []


def _sees(rows: Node) -> bool:
    """Whether these are what windows see, one window a row, of examples and places that the result has as well."""
    return rows.op.name == "reshape" and rows.ndim == 2 and rows.inputs[0].op.name == "windows"


# ---------------------------------------------------------------------- the largest numbers
def rows(plan: Any, nodes: Sequence[Node]) -> list[Any]:
    """The rows of a chain of `pooled`, block of examples by block."""
    product = next((node for node in nodes if node.op.name == "matmul"), None)
    if product is None:
        whole = _Pooling(plan, nodes)
        return [whole.block(whole.examples, {})[0]]
    return _Convolved(plan, nodes, product).rows()


class _Pooling:
    """The values that a chain reads and writes."""

    def __init__(self, plan: Any, nodes: Sequence[Node], *before: Node):
        self.plan = plan
        self.windows = next(node for node in reversed(nodes) if node.op.name == "windows")
        self.inside = [node for node in nodes[: nodes.index(self.windows)] if node not in before]
        self.result, self.bits = self._take("max", nodes), self._take("winners", nodes)
        assert self.result is not None
        self.examples, self.channels = self.result.shape[0], self.result.shape[-1]

    def _take(self, name: str, nodes: Sequence[Node]) -> Any:
        """Where the value of the record of that name goes; None where there is none."""
        for node in nodes:
            if node.op.name == name:
                self.plan.value[node] = self.plan.pool.take(node, bind(node.shape, self.plan.rows))
                return self.plan.value[node]
        return None

    def block(self, many: int, made: Mapping[Node, Array]) -> tuple[Row, dict[int, int]]:
        """The row for the largest numbers of the first examples, and how far apart those of two examples lie, by the words
        that say where; `made`: values that are there for these examples alone."""
        shape = bind(self.windows.inputs[0].shape, self.plan.rows)
        reads: dict[Node, Array] = {}
        for i in (i for node in (*self.inside, self.windows) for i in node.inputs):
            if i not in self.inside and i not in reads:
                reads[i] = made[i] if i in made else np.broadcast_to(self.plan.value[i], shape)[:many]
        terms: list[Term] = []
        places = {node: place for place, node in enumerate(reads)}
        given = [str(value.dtype) for value in reads.values()]
        for node in self.inside:
            inputs = [places[i] for i in node.inputs]
            places[node] = terms_of(node, inputs, len(reads), terms, lambda k: (*given, *(t.dtype for t in terms))[k])
        attrs, modes, apart = self.windows.attrs, [], {}
        words = _cells(self.result[:many].shape)
        for node, value in reads.items():
            apart[len(words)] = 0 if node in made else value.strides[0]
            lie = windows_of(value, attrs["window"], attrs["strides"], attrs["dilation"])
            steps, table = _lie(lie, self.plan.kept)
            words += [value.ctypes.data, *steps, lie.strides[-1], table.ctypes.data]
            modes.append({0: "same", value.itemsize: "along"}.get(lie.strides[-1], "strided"))
        for out in (self.result, self.bits):
            apart[len(words)] = 0 if out is None else out.strides[0]
            words += [0] * 4 if out is None else [out.ctypes.data, *_steps(out)]
        inputs_ = tuple(zip(given, modes, strict=True))
        bits = "" if self.bits is None else str(self.bits.dtype)
        recipe = Largest(inputs_, tuple(terms), str(self.result.dtype), bits, math.prod(attrs["window"]))
        return Row(recipe, words), apart


class _Convolved(_Pooling):
    """With the product whose numbers are pooled, computed block by block and only at those places that pooling reads."""

    def __init__(self, plan: Any, nodes: Sequence[Node], product: Node):
        self.shaped = next(node for node in nodes if node.inputs[0] is product)
        super().__init__(plan, nodes, product, self.shaped)
        self.seen, self.kernel = (plan.value[i] for i in product.inputs)
        attrs, counts = self.windows.attrs, self.result.shape[1:-1]
        sizes = zip(counts, attrs["strides"], attrs["dilation"], attrs["window"], strict=True)
        self.needed = [(n - 1) * s + d * (k - 1) + 1 for n, s, d, k in sizes]

    def rows(self) -> list[Any]:
        """Parts of the batch, in them blocks of examples: the product, then the largest numbers of what it made."""
        if not isinstance(self.seen, Seen):
            return self.at_once()
        calls: list[Any] = []
        kernel, item = self.kernel, self.result.itemsize
        if kernel.shape[1] > 1 and kernel.strides[1] != item:
            self.kernel = packed(kernel, calls, self.plan.copy, self.plan.kept)
        most = max(1, _BLOCK // (math.prod(self.needed) * self.channels * item))
        parts = cut_into(self.examples * math.prod(self.needed) * kernel.size)
        series = []
        for first, last in spans(self.examples, 1, parts):
            many = min(last - first, most)
            room = self.plan.pool.spare(self.result.dtype, (many, *self.needed, self.channels))
            made: dict[int, list[tuple[Row, Mapping[int, int]]]] = {}
            whole = []
            for begin in range(first, last, many):
                size = min(many, last - begin)
                if size not in made:
                    made[size] = self.both(room[:size])
                whole += [_moved(row, apart, begin) for row, apart in made[size]]
            series.append(Shared.series(whole))
        return [*calls, shared(series)]

    def both(self, room: Array) -> list[tuple[Row, Mapping[int, int]]]:
        """The rows for as many of the first examples as there is room for: the product and the largest numbers."""
        plan, many = self.plan, len(room)
        seen = Seen(self.seen.array[(slice(0, many), *map(slice, self.needed))], self.seen.split)
        product = windowed(seen, self.kernel, room.reshape(-1, self.channels), plan.copy, plan.zeros, plan.kept)
        far = {3: self.seen.array.strides[0]}
        pairs = [(row, far if isinstance(row.recipe, Windowed) else {}) for row in product]
        return [*pairs, self.block(many, {self.shaped: room})]

    def at_once(self) -> list[Any]:
        """All examples, where what the windows see is laid out for others all the same."""
        plan, shape = self.plan, bind(self.shaped.shape, self.plan.rows)
        room = plan.pool.spare(self.result.dtype, shape)
        a, b, out = self.seen, self.kernel, room.reshape(-1, self.channels)
        calls = matrices.product(a, b, out, plan.copy, plan.kept, plan.scratch)
        return [*(calls or [partial(np.matmul, a, b, out)]), self.block(self.examples, {self.shaped: room})[0]]


def _moved(row: Row, apart: Mapping[int, int], begin: int) -> Row:
    """A row of the first examples for those from `begin` on."""
    words = [*row.words]
    for place, step in apart.items():
        words[place] += begin * step
    return Row(row.recipe, words)


def _cells(shape: Sequence[int]) -> list[int]:
    """Examples, two axes of places and channels."""
    return [shape[0], *shape[1:-1], *[1] * (4 - len(shape)), shape[-1]]


def _steps(value: Array) -> list[int]:
    """Strides of examples and two axes of places."""
    return [*value.strides[:-1], *[0] * (4 - value.ndim)]


def _lie(lie: Array, kept: list[Array]) -> tuple[list[int], Array]:
    """Strides of windows, and how far the places of one lie apart; `lie` is (m, windows…, places…, c)."""
    axes = lie.ndim // 2
    table = distances(lie.shape[axes:-1], lie.strides[axes:-1])
    kept.append(table)
    return [*lie.strides[:axes], *[0] * (3 - axes)], table


# ---------------------------------------------------------------------- what the winners say
@dataclass(frozen=True)
class Winners:
    """Numbers that are not laid out: each stands at those places of its window that have a bit, with zeros elsewhere."""

    numbers: Array
    bits: Array
    places: tuple[int, ...]
    window: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Laid out."""
        return (self.numbers.shape[0], *self.places, self.numbers.shape[-1])

    def laid(self, plan: Any, out: Array, begin: int = 0) -> list[Any]:
        """The rows that lay out as many examples as `out` has, from `begin` on."""
        many = out.shape[0]
        overlap = any(s < k for s, k in zip(self.strides, self.window, strict=True))
        full = [n * s for n, s in zip(self.numbers.shape[1:-1], self.strides, strict=True)]
        adds = overlap or tuple(full) != self.places or self.strides != self.window
        steps, table = _lie(windows_of(out, self.window, self.strides, (1,) * len(self.window)), plan.kept)
        words = _cells(self.numbers[:many].shape)
        for value in (self.numbers, self.bits):
            words += [value[begin:].ctypes.data, *_steps(value)]
        words += [out.ctypes.data, *steps, table.ctypes.data]
        recipe = Spread(str(out.dtype), str(self.bits.dtype), math.prod(self.window), overlap)
        return [*([plan.zeros(out)] if adds else []), Row(recipe, words)]


def product(plan: Any, seen: Seen, winners: Winners, out: Array) -> list[Any]:
    """Rows for (what windows have seen)ᵀ · winners, the gradient of a kernel."""
    lie = seen.turned.array
    sparse = _won(plan, lie, winners, "kernel")
    if sparse is not None:
        filters = plan.pool.spare(out.dtype, out.shape[::-1])
        rows = [row for _, row in sparse(filters)]
        return [plan.zeros(filters), shared(rows), plan.copy(out, filters.T)]
    examples, numbers = lie.shape[0], math.prod(winners.shape[1:])
    many = max(1, _BLOCK // (numbers * out.itemsize))
    cuts = spans(examples, many, min(_SUMS, int(examples * numbers * out.shape[0] // _LEAST)))
    sums = plan.pool.spare(out.dtype, (len(cuts), *out.shape))
    series = []
    for (first, last), own in zip(cuts, sums, strict=True):
        room = plan.pool.spare(out.dtype, (min(many, last - first), *winners.shape[1:]))
        rows = [plan.zeros(own)]
        for begin in range(first, last, many):
            part = lie[begin : min(begin + many, last)]
            here = room[: len(part)]
            rows += winners.laid(plan, here, begin)
            turned = Seen(part, seen.turned.split).turned
            rows += windowed(turned, here.reshape(-1, here.shape[-1]), own, plan.copy, None, plan.kept)
        series.append(Shared.series(rows))
    return [shared(series), plan.added(list(sums), out)]


def folded(plan: Any, winners: Winners, b: Array, lie: Array, out: Array) -> list[Any]:
    """Rows that give `out`, whose windows `lie` shows, what the winners make of the rows of b, added up where windows
    overlap; none where that is not worth it."""
    sparse = _won(plan, lie, winners, "input")
    if sparse is None:
        return []
    calls: list[Any] = []
    if not b.flags.c_contiguous:
        b = packed(b, calls, plan.copy, plan.kept)
    return [*calls, shared([Shared.series([plan.zeros(out[i:j]), row]) for (i, j), row in sparse(b)])]


def _won(plan: Any, lie: Array, winners: Winners, into: str) -> Callable[[Array], list[Any]] | None:
    """A function that gives the rows for filters (f, window) by the winners alone; None where all places are better."""
    axes = lie.ndim // 2
    cells, dtype = winners.numbers.shape[1:-1], str(lie.dtype)
    if math.prod(cells) * _SPARSE > math.prod(winners.places) or dtype != str(winners.numbers.dtype):
        return None
    sizes, (steps,) = collapsed(lie.shape[axes:], [lie.strides[axes:]])
    make = machine().target.make
    vectors = -(-sizes[-1] // make.lanes)
    room, segments = most(make, dtype) // vectors, math.prod(sizes[:-1])
    if steps[-1] != lie.itemsize or room < 1 or sizes[-1] * 4 < 3 * vectors * make.lanes:
        return None
    together = max(n for n in range(1, min(room, segments) + 1) if segments % n == 0)
    places = distances(winners.window, lie.strides[1:axes])
    parts = distances(sizes[:-1], steps[:-1])
    plan.kept.extend((places, parts))
    recipe = Won(dtype, str(winners.bits.dtype), into, together, vectors, sizes[-1] % make.lanes > 0)
    words = _cells(winners.numbers.shape)
    for value in (winners.numbers, winners.bits):
        words += [value.ctypes.data, *_steps(value)]
    strides = [step * stride for step, stride in zip(lie.strides[1:axes], winners.strides, strict=True)]
    words += [lie.ctypes.data, lie.strides[0], *strides, *[0] * (3 - axes)]
    words += [places.ctypes.data, parts.ctypes.data, segments // together]

    def divided(filters: Array) -> list[tuple[tuple[int, int], Row]]:
        """In parts: by filters for the kernel, by examples for the input."""
        work = winners.numbers.size * math.prod(sizes)
        most_winners = math.prod(cells) * math.prod(winners.window)
        far = {4: winners.numbers, 8: winners.bits, 12: lie}
        which, size, unit = (3, winners.numbers.shape[-1], 16) if into == "kernel" else (0, lie.shape[0], 1)
        made = []
        for begin, end in spans(size, unit, cut_into(work)):
            room = [plan.pool.spare(np.dtype(kind), (most_winners,)).ctypes.data for kind in ("int64", dtype)]
            here = [*words, filters.ctypes.data, filters.strides[0], sizes[-1], *room]
            here[which] = end - begin
            for place, value in far.items():
                if into == "input" or place != 12:
                    here[place] += begin * value.strides[-1 if into == "kernel" else 0]
            if into == "kernel":
                here[19] += begin * filters.strides[0]
            made.append(((begin, end), Row(recipe, here)))
        return made

    return divided
