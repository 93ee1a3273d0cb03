"""NumPy with everything decided beforehand: one plan for each number of rows, buffers by lifetime, `out=` everywhere.

A plan is a list of calls with their arguments bound. Views (reshape, transpose, slice, broadcast) cost nothing when
it runs:
they are made once, on the buffers.
"""

from __future__ import annotations

import math
import threading
from bisect import bisect, insort
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import NotReadyError
from ..core.node import Leaf, Node
from ..core.scalar import Operand
from ..core.shapes import bind
from ..core.walk import Graph, expand, strip_marks, topological
from ..ops.window import windows_of
from ..rewrite import tidy
from ..rewrite.rule import apply
from .base import Array, Program, Result, Run, Source, rows_of
from .listing import Line, described, measured
from .scalars import TABLE
from .threads import blas_threads

Step = Callable[[], Any]
_KEPT_PLANS = 4  # numbers of rows for which idle plans are kept
_LINE = 64  # bytes of a line of the cache
_BUFFER = 128  # numbers: NumPy allots this many for an operand that it spreads, however few it needs
_VIEWS = frozenset({"reshape", "transpose", "broadcast_to", "slice", "flip", "split", "item", "windows"})


def prepare(graph: Graph) -> Graph:
    """The graph that is planned: without markers and composites, tidied."""
    return graph.with_roots(apply(expand(strip_marks(graph.roots)), tidy.RULES))


class Plan:
    """The calls and buffers of a graph for one number of rows. One thread at a time uses it."""

    def __init__(self, graph: Graph, rows: int | None):
        self.graph, self.rows = graph, rows
        self.pool = _Pool(graph, rows)
        self.value: dict[Node, Any] = {}
        self.inputs = {leaf: np.zeros(bind(leaf.shape, rows), leaf.dtype) for leaf in graph.inputs}
        gate = () if graph.gate is None else (graph.gate,)
        self.work = 0.0  # multiply-adds of the largest product
        self.lines: list[tuple[Any, list[Any]]] = []  # the units in order, each with its calls
        self.before = self._plan(self.order((*gate, *graph.outputs)))
        self.after = self._plan(self.order(tuple(graph.updates.values())))
        self.commits = self._commits()
        self.after += self.commits
        self.outputs = [self._before_commit(self.value[node]) for node in graph.outputs]
        self.gate = None if graph.gate is None else self.value[graph.gate]

    @property
    def bytes(self) -> int:
        """The memory of all values on the way."""
        return self.pool.bytes

    def step(self) -> bool:
        """Run once on what is in `inputs`; returns whether the updates were committed."""
        for call in self.before:
            call()
        if self.gate is not None and not self.gate[()]:
            return False
        for call in self.after:
            call()
        return True

    def _before_commit(self, value: Array) -> Array:
        """An output that is a slot to be written, or a view of one, copied before that."""
        if not any(np.may_share_memory(value, leaf.array) for leaf in self.graph.updates):
            return value
        copy = np.empty_like(value)
        self.before.append(self.copy(copy, value))
        return copy

    def _plan(self, order: Sequence[Any]) -> list[Any]:
        calls: list[Any] = []
        for unit in order:
            nodes = self.members(unit)
            if nodes[-1] not in self.value:
                made = self.place(unit)
                self.lines.append((unit, made))
                calls += made
                for node in nodes:
                    self.pool.used(node)
        return calls

    # ------------------------------------------------------------------ what another engine may do in its own way
    def order(self, roots: Sequence[Node]) -> Sequence[Any]:
        """What is placed one after the other for these roots: nodes."""
        return topological(roots)

    def members(self, unit: Any) -> Sequence[Node]:
        """The nodes of a unit of `order`."""
        return (unit,)

    def copy(self, target: Array, value: Array) -> Any:
        """The call that writes `value` into `target`, cast to its dtype."""
        return partial(np.copyto, target, value, casting="unsafe")

    def compute(self, node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> list[Any]:
        """The calls that compute the value of `node` into `out`."""
        if node.op.formula is not None:
            return self._elementwise(node, inputs, out)
        kernel: Callable[..., Step] = _KERNELS.get(node.op.name, _by_ref)
        return [kernel(node, inputs, attrs, out)]

    def place(self, node: Node) -> list[Any]:
        """Decide where the value of `node` lives; returns the calls that compute it."""
        if isinstance(node, Leaf):
            self.value[node] = self.inputs[node] if node in self.inputs else node.read()
            return []
        attrs = {key: bind(value, self.rows) for key, value in node.attrs.items()}
        inputs = [self.value[i] for i in node.inputs]
        if node.op.name == "size" or not node.inputs:
            self.value[node] = np.asarray(node.op.ref(*inputs, **attrs), dtype=node.dtype)
            return []
        if _is_view(node):
            return self._view(node, inputs, attrs)
        if node.several:
            return self._parts(node, inputs, attrs)
        if node.op.name == "matmul":
            self.work = max(self.work, float(np.prod(np.shape(inputs[0]))) * np.shape(inputs[1])[-1])
        out = self.pool.take(node, bind(node.shape, self.rows))
        self.value[node] = out
        return self.compute(node, inputs, attrs, out)

    def listing(self) -> list[Line]:
        """What runs, in order; last what writes the new values."""
        made = [
            described(self.members(unit), self.rows, self.how(calls), *self.alone(calls))
            for unit, calls in self.lines
            if calls
        ]
        if self.commits:
            size = sum(leaf.array.nbytes for leaf in self.graph.updates)
            words, how = f"{len(self.graph.updates)} new values written", self.how(self.commits)
            made.append(Line((), words, size, how, 0.0, *self.alone(self.commits)))
        return made

    def how(self, calls: Sequence[Any]) -> str:
        """Who performs these calls."""
        return "NumPy"

    def alone(self, calls: Sequence[Any]) -> tuple[Callable[[], None], int]:
        """A function that performs these calls, and how often."""

        def run() -> None:
            for call in calls:
                call()

        return run, 1

    def _view(self, node: Node, inputs: list[Any], attrs: dict[str, Any]) -> list[Any]:
        made = node.op.ref(*inputs, **attrs)
        parts = type(made) is tuple or type(inputs[0]) is tuple
        if parts or np.may_share_memory(made, inputs[0]) or made.size == 0:
            self.value[node] = made
            return []
        out = self.pool.take(node, made.shape)  # a reshape of a transpose: the numbers must move
        self.value[node] = out
        return [self.copy(out.reshape(inputs[0].shape), inputs[0])]

    def _parts(self, node: Node, inputs: list[Any], attrs: dict[str, Any]) -> list[Step]:
        """A record with several outputs that are no views: each has an array of its own."""
        shapes = bind(node.shape, self.rows)
        parts = tuple(np.empty(shape, dtype) for shape, dtype in zip(shapes, node.dtype, strict=True))
        self.value[node] = parts
        given = [inputs] if node.op.variadic else inputs

        def call() -> None:
            for part, new in zip(parts, node.op.ref(*given, **attrs), strict=True):
                np.copyto(part, new, casting="unsafe")

        return [call]

    def _elementwise(self, node: Node, inputs: list[Any], out: Array) -> list[Step]:
        formula = node.op.formula
        if not formula.calls:
            return [self.copy(out, inputs[0])]
        made: list[Any] = []

        def read(operand: Operand) -> Any:
            match operand.kind:
                case "input":
                    return inputs[operand.which]
                case "call":
                    return made[operand.which]
                case "attr":
                    return node.attrs[operand.which]
            return operand.which

        steps: list[Step] = []
        read_last = {
            each.which: place
            for place, call in enumerate(formula.calls)
            for each in call.operands
            if each.kind == "call"
        }
        with np.errstate(all="ignore"):
            for place, call in enumerate(formula.calls):
                function, operands = TABLE[call.function], [read(operand) for operand in call.operands]
                live = [value for k, value in enumerate(made) if read_last.get(k, -1) >= place]
                dying = [value for k, value in enumerate(made) if read_last.get(k, -1) == place]
                if place == len(formula.calls) - 1:
                    target = out
                else:
                    over = [] if call.function == "where" else dying
                    free = [] if formula.calls[-1].function == "where" or any(v is out for v in live) else [out]
                    target = self._temporary(function, operands, [*over, *free])
                made.append(target)
                steps.append(partial(function, *operands, out=target))
        return steps

    def _temporary(self, function: Any, operands: list[Any], free: Sequence[Array]) -> Array:
        """A buffer for an inner call of a formula: a free one of the shape and dtype that NumPy gives, or a new one."""
        empty = [np.zeros(np.shape(o), o.dtype) if isinstance(o, np.ndarray) else o for o in operands]
        made = np.asarray(function(*empty))
        fitting = [each for each in free if each.shape == made.shape and each.dtype == made.dtype]
        return fitting[0] if fitting else self.pool.spare(made)

    def _commits(self) -> list[Any]:
        """The calls that write the new values. One that is itself a leaf being written is saved first."""
        saves: list[Any] = []
        writes: list[Any] = []
        slots = [leaf.array for leaf in self.graph.updates]
        for leaf, new in self.graph.updates.items():
            value = self.value[new]
            if any(np.may_share_memory(value, slot) for slot in slots):
                copy = np.empty_like(value)
                saves.append(self.copy(copy, value))
                value = copy
            writes.append(self.copy(leaf.array, value))
        return saves + writes


class _Pool:
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
        self.holes: list[tuple[int, int]] = []  # the same, by place; none touches another
        self.spares: list[tuple[int, int]] = []
        self.bytes = 0  # up to where the memory is used

    def take(self, node: Node, shape: tuple[int, ...]) -> Any:
        """A place for `node`."""
        value, self.blocks[node] = self._place(np.dtype(node.dtype), shape)
        return value

    def spare(self, like: Array) -> Array:
        """A place that is free again when the node that is being placed has been computed."""
        value, block = self._place(like.dtype, like.shape)
        self.spares.append(block)
        return value

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
        if node in self.blocks or not _is_view(node):
            for i in node.inputs:
                self._release(i)

    def _release(self, node: Node) -> None:
        self.left[node] -= 1
        while self.left[node] == 0 and node not in self.blocks and _is_view(node):
            node = node.inputs[0]
            self.left[node] -= 1
        if self.left[node] == 0 and node in self.blocks:
            self._free(*self.blocks.pop(node))


def _room(dtype: Any, shape: Sequence[int]) -> int:
    """Bytes for a value: whole lines of the cache."""
    return -(-math.prod(shape) * int(dtype.itemsize) // _LINE) * _LINE


def _most(node: Node, shape: Sequence[int]) -> int:
    """The most that a node can ask for: its value, and one of 8 bytes a number for each inner call of a formula."""
    inner = 0 if node.op.formula is None else len(node.op.formula.calls)
    return _room(np.dtype(node.dtype), shape) + inner * _room(np.dtype("float64"), shape)


def _is_view(node: Node) -> bool:
    return node.op.name in _VIEWS


# ---------------------------------------------------------------------- kernels: how records other than formulas are
# called
def _by_ref(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    given = [inputs] if node.op.variadic else inputs
    return lambda: np.copyto(out, node.op.ref(*given, **attrs), casting="unsafe")


def _reduction(ufunc: Any) -> Callable[..., Step]:
    def kernel(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
        dtype = out.dtype if out.dtype != bool else None
        return partial(ufunc.reduce, inputs[0], attrs["axis"], dtype, out, attrs["keepdims"])

    return kernel


def _matmul(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    return partial(np.matmul, *inputs, out)


def _cast(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    return partial(np.copyto, out, inputs[0], casting="unsafe")


def _concatenate(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    return partial(np.concatenate, inputs, attrs["axis"], out)


def _extreme(find: Any) -> Callable[..., Step]:
    def kernel(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
        axis = attrs["axis"]
        axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
        if out.dtype != np.intp or isinstance(axis, tuple):
            return _by_ref(node, inputs, attrs, out)
        return partial(find, inputs[0], axis, out)

    return kernel


def _gather(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    x, ids = inputs
    if not x.flags.c_contiguous or x.shape[attrs["axis"]] == 0:
        return _by_ref(node, inputs, attrs, out)
    most = x.shape[attrs["axis"]] - 1

    def call() -> None:
        if ids.size and (ids.min() < 0 or ids.max() > most):
            node.op.ref(x, ids, **attrs)  # which says so
        np.take(x, ids, attrs["axis"], out, "clip")

    return call


def _scatter_add(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    parts, ids = inputs
    where = (slice(None),) * attrs["axis"] + (ids,)

    def call() -> None:
        if ids.size and (ids.min() < 0 or ids.max() >= attrs["length"]):
            node.op.ref(parts, ids, **attrs)  # which says so
        out.fill(0)
        np.add.at(out, where, parts)

    return call


def _fold(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    (parts,), places = inputs, 1 + len(attrs["places"])
    lie = windows_of(out, parts.shape[places:-1], attrs["strides"], attrs["dilation"])
    offsets = [(slice(None),) * places + offset for offset in np.ndindex(lie.shape[places:-1])]
    pairs = [(lie[offset], parts[offset]) for offset in offsets]

    def call() -> None:
        out.fill(0)
        for seen, part in pairs:
            np.add(seen, part, out=seen)

    return call


def _dilate(node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> Step:
    lie = out[
        tuple(
            slice(a, a + (n - 1) * (gap + 1) + 1, gap + 1)
            for n, a, gap in zip(inputs[0].shape, attrs["low"], attrs["interior"], strict=True)
        )
    ]

    def call() -> None:
        out.fill(0)
        np.copyto(lie, inputs[0])

    return call


_KERNELS: dict[str, Callable[..., Step]] = {
    "argmax": _extreme(np.argmax),
    "argmin": _extreme(np.argmin),
    "gather": _gather,
    "scatter_add": _scatter_add,
    "fold": _fold,
    "dilate": _dilate,
    "sum": _reduction(np.add),
    "max": _reduction(np.maximum),
    "min": _reduction(np.minimum),
    "prod": _reduction(np.multiply),
    "matmul": _matmul,
    "cast": _cast,
    "concatenate": _concatenate,
}


@contextmanager
def _calmly(work: float) -> Iterator[None]:
    """No warnings of NumPy's, small buffers, and as many BLAS threads as the largest product is worth."""
    with np.errstate(all="ignore"), blas_threads(work):
        before = np.setbufsize(_BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)


class PlannedProgram:
    """A graph with idle plans for the numbers of rows it met; every running call has a plan of its own."""

    def __init__(self, graph: Graph):
        self.given, self.graph = graph, prepare(graph)
        self.idle: dict[int | None, list[Plan]] = {}
        self.lock = threading.Lock()

    def _borrow(self, rows: int | None) -> Plan:
        with self.lock:
            plans = self.idle.get(rows)
            if plans:
                return plans.pop()
        with np.errstate(all="ignore"):
            return self.make(rows)

    def prepared(self, nodes: Sequence[Node]) -> list[Node]:
        """What became of nodes of the graph that was given."""
        return apply(expand(strip_marks([*self.given.roots, *nodes])), tidy.RULES)[len(self.given.roots) :]

    def listing(self, rows: int | None) -> list[Line]:
        """What runs for that number of rows."""
        plan = self._borrow(rows)
        try:
            return plan.listing()
        finally:
            self._return(plan)

    def profile(self, feed: Mapping[Leaf, Any]) -> list[tuple[Line, float]]:
        """What runs on these inputs, each line with the seconds that it takes alone; nothing is changed."""
        plan = self._borrow(rows_of(feed))
        try:
            with blas_threads(plan.work):
                return measured(plan, plan.listing(), feed)
        finally:
            self._return(plan)

    def make(self, rows: int | None) -> Plan:
        """A plan for that number of rows."""
        return Plan(self.graph, rows)

    def _return(self, plan: Plan) -> None:
        with self.lock:
            self.idle.setdefault(plan.rows, []).append(plan)
            while len(self.idle) > _KEPT_PLANS:
                del self.idle[next(iter(self.idle))]

    def evaluate(self, feed: Mapping[Leaf, Any]) -> Result:
        """Outputs for the fed inputs, copied out; the updates are committed if the gate is open."""
        missing = [leaf.name for leaf in self.graph.inputs if leaf not in feed]
        if missing:
            raise NotReadyError(f"the inputs {missing} are not fed.", fix="give a value for every input")
        plan = self._borrow(rows_of(feed))
        try:
            for leaf, value in feed.items():
                plan.inputs[leaf][...] = value
            with _calmly(plan.work):
                committed = plan.step()
            return Result([np.array(value) for value in plan.outputs], committed)
        finally:
            self._return(plan)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut."""
        columns = [leaf for leaf in self.graph.inputs if leaf not in scalars]
        table = np.zeros((count, len(self.graph.outputs)))
        borrowed = {source.rows(start): self._borrow(source.rows(start))}
        try:
            with _calmly(borrowed[source.rows(start)].work):
                for place in range(count):
                    rows = source.rows(start + place)
                    plan = borrowed.get(rows) or borrowed.setdefault(rows, self._borrow(rows))
                    source.fill(start + place, [plan.inputs[leaf] for leaf in columns])
                    for leaf, vector in scalars.items():
                        plan.inputs[leaf][...] = vector[place]
                    committed = plan.step()
                    table[place] = plan.outputs
                    if not committed:
                        return Run(table[: place + 1], place)
            return Run(table, count)
        finally:
            for plan in borrowed.values():
                self._return(plan)


class Planned:
    """Always there, needs nothing but NumPy."""

    name = "planned"

    def compile(self, graph: Graph) -> Program:
        """Expand and tidy the graph; plans are made when the number of rows is known."""
        return PlannedProgram(graph)


registry.register("engine.planned", Planned())
