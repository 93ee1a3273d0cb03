"""NumPy with everything decided beforehand: one plan for each number of rows, buffers by lifetime, `out=` everywhere.

A plan is a list of calls with their arguments bound. Views (reshape, transpose, slice, broadcast) cost nothing when
it runs:
they are made once, on the buffers.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import NotReadyError, room_for
from ..core.node import Leaf, Node
from ..core.scalar import Call, Formula, Operand
from ..core.shapes import bind
from ..core.walk import Graph, expand, strip_marks, topological
from ..rewrite import tidy
from ..rewrite.pack import Team, packed, teams
from ..rewrite.rule import apply
from . import arena
from .base import Array, Program, Result, Run, Source, rows_of
from .calls import KERNELS, Step, by_ref, copied
from .listing import Line, described, measured
from .pool import Pool, is_view
from .scalars import TABLE
from .threads import blas_threads

_KEPT_PLANS = 4  # numbers of rows for which idle plans are kept
_BUFFER = 128  # numbers: NumPy allots this many for an operand that it spreads, however few it needs
_FEW = 1024  # numbers of a value that is computed once, where nothing in it changes


def prepare(graph: Graph) -> Graph:
    """The graph that is planned: without markers and composites, tidied."""
    return graph.with_roots(apply(expand(strip_marks(graph.roots)), tidy.RULES))


class Plan:
    """The calls and buffers of a graph for one number of rows. One thread at a time uses it."""

    def __init__(self, graph: Graph, rows: int | None):
        self.graph, self.rows = graph, rows
        self.pool = Pool(graph, rows)
        self.value: dict[Node, Any] = {}
        self.inputs = {leaf: np.zeros(bind(leaf.shape, rows), leaf.dtype) for leaf in graph.inputs}
        self.moves = 0  # of the arrays of leaves, that it knows of
        self.fixed: set[Node] = set()  # what has its value once for all
        self.targets: dict[Node, tuple[Node, int, int]] = {}  # parts of a whole: of which, from where to where
        self.wholes: dict[Node, Array] = {}  # where the parts of a whole are brought together
        self.slots: dict[Node, Array] = {}  # new values that are written where they belong
        for node in graph.nodes:
            if node.op.name == "concatenate":
                self._aim(node)
        gate = () if graph.gate is None else (graph.gate,)
        self.work = 0.0  # multiply-adds of the largest product
        self.calls_numpy = True
        self.lines: list[tuple[Any, list[Any]]] = []  # the units in order, each with its calls
        self.before = self._plan(self.order((*gate, *graph.outputs)))
        later = self.order(tuple(graph.updates.values()))
        self.slots = self._straight(later)
        self.after = self._plan(later)
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
        return copied(target, value)

    def compute(self, node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> list[Any]:
        """The calls that compute the value of `node` into `out`."""
        if node.op.formula is not None:
            return self._elementwise(node, inputs, out)
        kernel: Callable[..., Step] = KERNELS.get(node.op.name, by_ref)
        return [kernel(node, inputs, attrs, out)]

    def put(self, node: Node, over: Sequence[Node] = ()) -> Array:
        """Where the value of `node` goes: into its slot or its part of a whole, over an input that ends here, or a new place.

        `over`: inputs that may be written over while they are read.
        """
        shape = bind(node.shape, self.rows)
        if node in self.slots:
            place = self.slots[node]
        elif node in self.targets:
            whole, begin, end = self.targets[node]
            if whole not in self.wholes:
                self.wholes[whole] = self.pool.take(whole, bind(whole.shape, self.rows))
            self.pool.share(node, whole)
            place = self.wholes[whole].reshape(-1)[begin:end].reshape(shape)
        elif node in self.wholes:
            place = self.wholes[node]
        else:
            place = self._over(node, shape, over)
        self.value[node] = place
        return place

    def _over(self, node: Node, shape: tuple[int, ...], over: Sequence[Node]) -> Array:
        """The place of an input that ends here; a new one for a single number, which NumPy is slow to write over."""
        for each in over:
            value = self.value[each]
            whole = value.size > 1 and value.flags.c_contiguous and value.flags.writeable
            if whole and value.shape == shape and value.dtype == node.dtype:
                holder = self.pool.dying(each, node)
                if holder is not None and self.value[holder].size == value.size:
                    self.pool.hand_on(holder, node)
                    return value  # type: ignore[no-any-return]
        return self.pool.take(node, shape)  # type: ignore[no-any-return]

    def place(self, node: Node) -> list[Any]:
        """Decide where the value of `node` lives; returns the calls that compute it."""
        if isinstance(node, Leaf):
            self.value[node] = self.inputs[node] if node in self.inputs else node.read()
            if node.kind in ("constant", "array"):
                self.fixed.add(node)
            return []
        attrs = {key: bind(value, self.rows) for key, value in node.attrs.items()}
        inputs = [self.value[i] for i in node.inputs]
        if node.op.name == "size" or self._is_fixed(node):
            self.value[node] = _constant(_known(node, inputs, attrs))
            self.fixed.add(node)
            return []
        if is_view(node):
            return self._view(node, inputs, attrs)
        if node.several:
            return self._parts(node, inputs, attrs)
        if node.op.name == "concatenate":
            return self._together(node, inputs, attrs["axis"])
        if node.op.name == "matmul":
            self.work = max(self.work, float(np.prod(np.shape(inputs[0]))) * np.shape(inputs[1])[-1])
        return self.compute(node, inputs, attrs, self.put(node, _overwritable(node)))

    def _is_fixed(self, node: Node) -> bool:
        """Whether a value follows from what never changes, and is small."""
        known = all(i in self.fixed for i in node.inputs) and not node.several
        return known and (not node.inputs or int(np.prod(bind(node.shape, self.rows))) <= _FEW)

    # ------------------------------------------------------------------ what is computed where it belongs
    def _aim(self, whole: Node) -> None:
        """Let the parts of a value that is brought together be computed in their place, where nothing has to be copied."""
        shape = bind(whole.shape, self.rows)
        if int(np.prod(shape[: whole.attrs["axis"]])) != 1:
            return
        begin = 0
        for part in whole.inputs:
            end = begin + int(np.prod(bind(part.shape, self.rows)))
            while part.op.name == "reshape":
                part = part.inputs[0]
            computed = not (isinstance(part, Leaf) or is_view(part) or part.several or not part.inputs)
            if computed and part.op.name != "concatenate" and part not in self.targets and part.dtype == whole.dtype:
                self.targets[part] = whole, begin, end
            begin = end

    def _together(self, node: Node, inputs: Sequence[Array], axis: int) -> list[Any]:
        """Copy the parts that are not in their place yet."""
        out, calls, begin = self.put(node), [], 0
        for part in inputs:
            end = begin + part.shape[axis]
            target = out[(slice(None),) * axis + (slice(begin, end),)]
            begin = end
            if part.size and not (part.ctypes.data == target.ctypes.data and part.strides == target.strides):
                calls.append(self.copy(target, part))
        return calls

    def _straight(self, later: Sequence[Any]) -> dict[Node, Array]:
        """The new values that can be written into their slots at once: nothing that follows reads what was there."""
        new = [node for unit in later for node in self.members(unit) if node not in self.value]
        place = {node: k for k, node in enumerate(new)}
        until: dict[Node, int] = {}  # from where on a slot is not read any more
        for k, node in enumerate(new):
            for i in node.inputs:
                over = self.graph.updates.get(i) is node and i in _overwritable(node)  # type: ignore[call-overload]
                until[_holder(i)] = max(until.get(_holder(i), 0), k if over else k + 1)
        until.update({_holder(root): len(new) for root in self.graph.updates.values()})
        read = [(_span(leaf), end) for leaf, end in until.items() if isinstance(leaf, Leaf) and leaf.array is not None]
        often = Counter(self.graph.updates.values())
        slots = {}
        for leaf, node in self.graph.updates.items():
            if node in place and often[node] == 1 and node not in self.targets and node.op.name != "concatenate":
                (begin, end), k = _span(leaf), place[node]
                if all(known <= k or stop <= begin or end <= start for (start, stop), known in read):
                    slots[node] = leaf.array
        return slots

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
        formula: Formula = node.op.formula
        if not formula.calls:
            return [] if out is inputs[0] else [self.copy(out, inputs[0])]
        steps: list[Step] = []
        made: list[Any] = []
        ends = {each: place for place, call in enumerate(formula.calls) for each in call.operands}

        def make(place: int, call: Call, given: list[Any]) -> Any:
            operands = _typed(given)
            target = out
            if place < len(formula.calls) - 1:
                names = [
                    *(("input", k, value) for k, value in enumerate(inputs)),
                    *(("call", *e) for e in enumerate(made)),
                ]
                read = [(ends.get(Operand(kind, k), -1), value) for kind, k, value in names]
                stay = [value for end, value in read if end > place]
                free = [*(value for end, value in read[len(inputs) :] if end == place), out]
                able = [each for each in free if not any(each is value for value in stay)]
                target = self._temporary(TABLE[call.function], operands, able)
            made.append(target)
            steps.extend(self._called(call.function, operands, target))
            return target

        with np.errstate(all="ignore"):
            formula.read(make, inputs, node.attrs)
        return steps

    def _called(self, function: str, operands: Sequence[Any], out: Array) -> list[Step]:
        """The calls of a scalar function on arrays."""
        if function == "where":
            condition, x, y = operands
            return self._chosen(condition, x, y, out)
        if function in ("maximum", "minimum"):  # NumPy wants their third argument by name
            return [partial(TABLE[function], *operands, out=out)]
        return [partial(TABLE[function], *operands, out)]

    def _chosen(self, condition: Any, x: Any, y: Any, out: Array) -> list[Step]:
        """x where the condition is true, else y, into `out`, which may lie over any of them.

        As whole numbers, x - y times 0 or 1 plus y has exactly the bits of one of them. A copy under a mask takes twenty times
        as long where the mask is irregular, and must not be written over what it reads.
        """
        kinds = {getattr(each, "dtype", None) for each in (x, y, out)}
        whole = isinstance(condition, np.ndarray) and condition.shape == out.shape and condition.dtype == bool
        if not (whole and out.size > 1 and kinds in ({np.dtype("float32")}, {np.dtype("float64")})):
            made = self.pool.spare(out.dtype, out.shape)
            return [partial(TABLE["where"], condition, x, y, made), copied(out, made)]
        bits = np.dtype(f"int{8 * out.itemsize}")
        mask = self.pool.spare(bits, out.shape)
        chosen = copied(mask, condition.view(np.int8))
        always_zero = y.base is None and not y.flags.writeable and not np.any(y.view(bits))  # and no view
        x, y, out = (each.view(bits) for each in (x, y, out))
        if always_zero:
            return [chosen, partial(np.multiply, x, mask, out)]
        difference = self.pool.spare(bits, out.shape)
        steps = [partial(np.subtract, x, y, difference), partial(np.multiply, difference, mask, difference)]
        return [chosen, *steps, partial(np.add, difference, y, out)]

    def _temporary(self, function: Any, operands: list[Any], free: Sequence[Array]) -> Array:
        """A buffer for an inner call of a formula: a free one of the shape and dtype that NumPy gives, or a new one."""
        shape = np.broadcast_shapes(*map(np.shape, operands))
        made = np.asarray(function(*(np.zeros(0, o.dtype) if isinstance(o, np.ndarray) else o for o in operands)))
        fitting = [each for each in free if each.shape == shape and each.dtype == made.dtype and each.size > 1]
        return fitting[0] if fitting else self.pool.spare(made.dtype, shape)

    def _commits(self) -> list[Any]:
        """The calls that write the new values. One that is itself a leaf being written is saved first."""
        saves: list[Any] = []
        writes: list[Any] = []
        for leaf, new in self.graph.updates.items():
            value = self.value[new]
            if value is leaf.array:
                continue
            if isinstance(_holder(new), Leaf):
                copy = np.empty_like(value)
                saves.append(self.copy(copy, value))
                value = copy
            writes.append(self.copy(leaf.array, value))
        return saves + writes


def _known(node: Node, inputs: list[Any], attrs: dict[str, Any]) -> Array:
    """The value of a node whose inputs have theirs."""
    if node.op.formula is not None:
        return np.array(node.op.formula.run(TABLE, inputs, node.attrs), dtype=node.dtype)
    return np.array(node.op.ref(*([inputs] if node.op.variadic else inputs), **attrs), dtype=node.dtype)


def _overwritable(node: Node) -> Sequence[Node]:
    """The inputs that a node can be written over while it reads them."""
    return node.inputs if node.op.formula is not None else ()


def _holder(node: Node) -> Node:
    """What holds the numbers that a node shows: itself, if it is no view."""
    while is_view(node):
        node = node.inputs[0]
    return node


def _span(leaf: Leaf) -> tuple[int, int]:
    """From where to where the array of a leaf lies in memory."""
    begin = leaf.array.ctypes.data
    return begin, begin + leaf.array.nbytes


def _typed(operands: Sequence[Any]) -> list[Any]:
    """Numbers among floating operands as arrays of their dtype: NumPy would make one of them at every call."""
    floats = {each.dtype for each in operands if isinstance(each, np.ndarray) and each.dtype.kind == "f"}
    if len(floats) != 1:
        return list(operands)
    (dtype,) = floats
    return [each if isinstance(each, np.ndarray) else _constant(np.asarray(each, dtype)) for each in operands]


def _constant(value: Array) -> Array:
    value.flags.writeable = False
    return value


@contextmanager
def _calmly(work: float) -> Iterator[None]:
    """No warnings of NumPy's, small buffers, and as many BLAS threads as the largest product is worth."""
    with np.errstate(all="ignore"), blas_threads(work):
        before = np.setbufsize(_BUFFER)
        try:
            yield
        finally:
            np.setbufsize(before)


def _runs(team: Team) -> Iterator[Team]:
    """The members of a team whose leaves lie one after another."""
    begin = 0
    for end in range(1, len(team.families) + 1):
        near = end < len(team.families) and all(arena.adjacent(leaves[end - 1 : end + 1]) for leaves in team.leaves)
        if not near:
            yield team.part(begin, end)
            begin = end


class PlannedProgram:
    """A graph with idle plans for the numbers of rows it met; every running call has a plan of its own."""

    def __init__(self, graph: Graph):
        self.given, self.tidied = graph, prepare(graph)
        self.teams = teams(self.tidied)
        for team in self.teams:
            for leaves in team.leaves:
                arena.settle(leaves)
        self.idle: dict[int | None, list[Plan]] = {}
        self.lock = threading.Lock()
        self.pack()

    def pack(self) -> None:
        """Put together what lies together in memory now; plans for where it lay before are dropped."""
        self.moves = arena.moves()
        runs = [part for team in self.teams for part in _runs(team) if part.pays]
        self.graph = packed(self.tidied, runs, arena.joined)
        self.idle.clear()

    def _borrow(self, rows: int | None) -> Plan:
        with self.lock:
            if self.moves != arena.moves():
                self.pack()
            plans = self.idle.get(rows)
            if plans:
                return plans.pop()
            moves = self.moves
        many = "this graph" if rows is None else f"{rows:,} rows at once"
        with np.errstate(all="ignore"), room_for(f"the values of {many}", fix="a smaller batch_size, or fewer units"):
            plan = self.make(rows)
        plan.moves = moves
        return plan

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
            if plan.moves == self.moves:
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
            with _calmly(plan.work) if plan.calls_numpy else nullcontext():
                committed = plan.step()
            return Result([np.array(value) for value in plan.outputs], committed)
        finally:
            self._return(plan)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut."""
        table = np.zeros((count, len(self.graph.outputs)))
        borrowed: dict[int, Any] = {}
        try:
            with ExitStack() as calmly:
                for place in range(count):
                    rows = source.rows(start + place)
                    if rows not in borrowed:
                        borrowed[rows] = self._ready(rows, scalars)
                    if not place:
                        calmly.enter_context(_calmly(borrowed[rows][0].work))
                    plan, columns, numbers = borrowed[rows]
                    source.fill(start + place, columns)
                    for number, vector in numbers:
                        number[()] = vector[place]
                    committed = plan.step()
                    for k, value in enumerate(plan.outputs):
                        table[place, k] = value
                    if not committed:
                        return Run(table[: place + 1], place)
            return Run(table, count)
        finally:
            for plan, *_ in borrowed.values():
                self._return(plan)

    def _ready(self, rows: int, scalars: Mapping[Leaf, Array]) -> tuple[Plan, list[Array], list[tuple[Array, Array]]]:
        """A plan, where its columns go, and where its scalars go with their values."""
        plan = self._borrow(rows)
        columns = [plan.inputs[leaf] for leaf in self.graph.inputs if leaf not in scalars]
        return plan, columns, [(plan.inputs[leaf], vector) for leaf, vector in scalars.items()]


class Planned:
    """Always there, needs nothing but NumPy."""

    name = "planned"

    def compile(self, graph: Graph) -> Program:
        """Expand and tidy the graph; plans are made when the number of rows is known."""
        return PlannedProgram(graph)


registry.register("engine.planned", Planned())
