"""Machine code on a CPU: a table of kernels with their addresses, run for many steps by a loop in machine code.

The plan is that of `planned` (buffers by lifetime, views for nothing); what it would call NumPy for becomes a row of the
table wherever there is a kernel. The rest (a structural record of the user's own; large products, where the processor has
short vectors only) stays a call between two parts of the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from ..core import registry
from ..core.node import Leaf, Node
from ..core.shapes import bind
from ..core.walk import Graph, topological
from ..ops.window import overlaps, windows_of
from ..rewrite import tidy, winners
from ..rewrite.fuse import Chain, Group, Unit, groups
from ..rewrite.rule import apply
from . import late, matrices, pooling, windowed
from .base import Array, Arrays, Program, Run, Source
from .calls import spread
from .kernels import DTYPES, Fused, Term
from .lowering import REDUCTIONS, collapsed, extreme, fusible, reduction, taken, terms_of, total
from .planned import Plan, PlannedProgram, _holder
from .pooling import Winners
from .sharing import passed
from .table import Row, Tabled, gatherable
from .windowed import Seen

_RULES = (*tidy.RULES, *winners.RULES)
_LINE = 64  # bytes of a line of the cache
_NARROW = 4  # fewer channels than this are folded from a matrix: a vector would be nearly empty


class CompiledPlan(Plan):
    """A plan whose calls are rows of the table where there is a kernel."""

    def __init__(self, graph: Graph, units: list[Unit], rows: int | None, waiting: Set[Node]):
        self.units, self.late = units, waiting
        self.kept: list[Array] = []  # what only the table points at
        self.scratch = matrices.Scratch()
        # new values that are computed where they belong, or beside
        self.next = late.over_their_slots(graph, units, waiting, _holder)
        slots = [leaf for leaf, node in graph.updates.items() if node not in self.next]
        self.beside = _laid_out(slots)  # for the next values
        for leaf in slots:
            node = graph.updates[leaf]
            if (node.shape, node.dtype) == (leaf.shape, leaf.dtype):
                self.next.setdefault(node, self.beside[leaf])
        chains = [unit.nodes for unit in units if isinstance(unit, Chain)]
        self.folding = {node for nodes in chains if nodes[-1].op.name == "fold" for node in nodes}
        self.readers: dict[Node, list[Node]] = {}
        for node in graph.nodes:
            for i in node.inputs:
                self.readers.setdefault(i, []).append(node)
        super().__init__(graph, rows)
        self.tabled = Tabled(self)
        self.calls_numpy = not self.tabled.machine_code

    @property
    def called_back(self) -> list[Node]:
        """The nodes that no kernel computes: NumPy is called for them, between two stretches of machine code."""
        return [unit for unit, calls in self.lines if not all(isinstance(call, Row) for call in calls)]

    def how(self, calls: Sequence[Any]) -> str:
        """Machine code, unless something calls back."""
        return "machine code" if all(isinstance(call, Row) for call in calls) else "NumPy, called back"

    def alone(self, calls: Sequence[Any]) -> tuple[Callable[[], None], int]:
        """A function that performs these calls, and how often."""
        return self.tabled.alone(calls)

    # ------------------------------------------------------------------ what `planned` asks for
    def order(self, roots: Sequence[Node]) -> Sequence[Any]:
        """Groups are placed as one; whatever the gate does not need may run before it all the same, but for what is late."""
        if self.late.isdisjoint(roots):
            return [unit for unit in self.units if self.late.isdisjoint(self.members(unit))]
        return self.units

    def step(self) -> bool:
        """Run once on what is in `inputs`; returns whether the updates were committed."""
        return self.tabled.step()

    def members(self, unit: Any) -> Sequence[Node]:
        """The nodes of a group, or the node."""
        return unit.members if isinstance(unit, Group | Chain) else (unit,)

    def place(self, unit: Any) -> list[Any]:
        """The calls for a group, for a chain, or for a node as in `planned`."""
        if isinstance(unit, Group):
            return self._group(unit)
        if isinstance(unit, Chain):
            return self._chain(unit)
        given = self.value.get(unit.inputs[0]) if unit.inputs else None
        if isinstance(given, Seen):
            return self._of_seen(unit, given)
        if unit.op is winners.spread:
            return self._spread(unit)
        if isinstance(given, Winners):
            self.value[unit] = given
            return []
        if unit.op.name == "reshape" and self._matrix_only(unit):
            windows = windowed.seen(given, bind(unit.shape, self.rows)) if isinstance(given, np.ndarray) else None
            if windows is not None and windows.array.size:
                self.value[unit] = windows
                return []
        return super().place(unit)

    def _matrix_only(self, node: Node) -> bool:
        """Whether a reshaped window is read by nothing but products, as their first factor."""
        if node.inputs[0].op.name != "windows" or len(node.shape) != 2 or node.dtype not in ("float32", "float64"):
            return False
        return node not in self.graph.roots and all(self._multiplies(each, node) for each in self.readers[node])

    def _multiplies(self, reader: Node, node: Node) -> bool:
        if reader.op.name == "transpose" and reader not in self.graph.roots:
            return all(self._multiplies(each, reader) for each in self.readers[reader])
        if reader.op.name != "matmul" or reader in self.folding:
            return False
        return reader.inputs[0] is node and reader.inputs[1] is not node and reader.inputs[1].ndim == 2

    def _of_seen(self, node: Node, given: Seen) -> list[Any]:
        """A product of windows, or these turned."""
        if node.op.name == "transpose":
            self.value[node] = given.turned
            return []
        out = self.put(node)
        by = self.value[node.inputs[1]]
        if isinstance(by, Winners):
            return pooling.product(self, given, by, out)
        calls = windowed.windowed(given, by, out, self.copy, self.zeros, self.kept)
        return [windowed.divided(call) for call in calls]

    def _spread(self, node: Node) -> list[Any]:
        """Winners, laid out where anything but products reads them."""
        calls: list[Any] = []
        numbers, bits = (self._in_line(self.value[i], calls) for i in node.inputs)
        attrs = node.attrs
        won = Winners(numbers, bits, attrs["places"], attrs["window"], attrs["strides"])
        rows = [] if node in self.graph.roots else self.readers[node]
        if rows and numbers.size and all(self._of_winners(each) for each in rows):
            self.value[node] = won
            return calls
        self.value[node] = self.pool.take(node, won.shape)
        return [*calls, *won.laid(self, self.value[node])] if numbers.size else []

    def _of_winners(self, node: Node) -> bool:
        """Whether a reshape makes a matrix of winners, one row a place, that only products of windows or with them read."""
        if node.op.name != "reshape" or node.ndim != 2 or node.shape[1] != node.inputs[0].shape[-1]:
            return False
        if node in self.graph.roots:
            return False
        for reader in self.readers[node]:
            turned = reader.inputs[0]
            if not (reader in self.folding and turned is node) and not (
                reader.op.name == "matmul"
                and reader.inputs[1] is node
                and turned.op.name == "transpose"
                and turned.inputs[0].op.name == "reshape"
                and self._matrix_only(turned.inputs[0])
            ):
                return False
        return True

    def _chain(self, chain: Chain) -> list[Any]:
        """A pooling, or a product whose rows are added to the windows where they were seen."""
        if chain.nodes[-1].op.name != "fold":
            return pooling.rows(self, chain.nodes)
        product, fold = chain.nodes[0], chain.nodes[-1]
        a, b = (self.value[i] for i in product.inputs)
        out = self.put(fold)
        places, window = len(fold.attrs["places"]), fold.inputs[0].shape[1 + len(fold.attrs["places"]) : -1]
        lie = windows_of(out, window, fold.attrs["strides"], fold.attrs["dilation"])
        calls = [self.zeros(out)]
        if isinstance(a, Winners):
            if rows := pooling.folded(self, a, b, lie, out):
                return rows
            laid = self.pool.spare(out.dtype, a.shape)
            calls += a.laid(self, laid)
            a = laid.reshape(-1, laid.shape[-1])
        rows = windowed.folded(a, b, lie, places, self.copy, self.kept)
        return [*calls, *(windowed.divided(call) for call in rows)]

    def _commits(self) -> list[Any]:
        """The rows that write the new values into the slots, where `Tabled` does not make them take turns."""
        for leaf, beside in self.beside.items():
            node = self.graph.updates[leaf]
            if self.value[node] is not beside:
                (self.after if node in self.late else self.before).append(self.copy(beside, self.value[node]))
        return [self.copy(leaf.array, beside) for leaf, beside in self.beside.items()]

    def _straight(self, later: Sequence[Any]) -> dict[Node, Array]:
        return {}  # `over_their_slots` has said it, of whole passes

    def put(self, node: Node, over: Sequence[Node] = ()) -> Array:
        """Where the value of a node goes: new values beside their slots."""
        if node not in self.next:
            return super().put(node, over)
        self.value[node] = self.next[node]
        return self.next[node]

    def zeros(self, out: Array) -> Any:
        """A row that clears an array."""
        row = self._fused_row([], [Term("number", (0.0,), str(out.dtype))], [(0, out)], [])
        assert row is not None
        return row

    def added(self, parts: list[Array], out: Array) -> Any:
        """A row that adds arrays up."""
        many, dtype = len(parts), str(out.dtype)
        terms = [Term("add", (many + k - 1 if k else 0, k + 1), dtype) for k in range(many - 1)]
        return self._fused_row(parts, terms, [(2 * many - 2, out)], [])

    def copy(self, target: Array, value: Array) -> Any:
        """A row that copies, casting to the dtype of the target."""
        row = self._fused_row([value], [Term("cast", (0,), str(target.dtype))], [(1, target)], [])
        self.kept += [target, value]
        return row or super().copy(target, value)

    def compute(self, node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> list[Any]:
        """The rows of a reduction, product, …, or what `planned` does."""
        rows = self._rows(node, inputs, attrs, out) if out.size else []
        return rows if rows and None not in rows else super().compute(node, inputs, attrs, out)

    def _rows(self, node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> list[Any]:
        """The rows for a record that is not elementwise; none, or None among them, where there is no kernel."""
        match node.op.name:
            case name if name in REDUCTIONS:
                return [reduction(node, inputs[0], attrs, out)]
            case "matmul":
                return matrices.product(inputs[0], inputs[1], out, self.copy, self.kept, self.scratch)
            case "argmax" | "argmin":
                return [extreme(node, inputs[0], attrs, out)]
            case "fold":
                return self._folded(inputs[0], attrs, out)
            case "dilate":
                return [self.zeros(out), self._copied(spread(out, inputs[0].shape, attrs), inputs[0])]
            case "gather":
                return self._taken(inputs[0], inputs[1], out, attrs["axis"], adds=False)
            case "scatter_add":
                return [self.zeros(out), *self._taken(out, inputs[1], inputs[0], attrs["axis"], adds=True)]
        return []

    def _copied(self, target: Array, value: Array) -> Row | None:
        return self._fused_row([value], [Term("cast", (0,), str(target.dtype))], [(1, target)], [])

    def _taken(self, whole: Array, ids: Array, part: Array, axis: int, adds: bool) -> list[Any]:
        """What is read by id, or the ids, laid out where they are not, then the row that goes by them."""
        calls: list[Any] = []
        ids = self._in_line(ids, calls)
        if adds:
            part = self._in_line(part, calls)
        else:
            whole = self._in_line(whole, calls)
        return [*calls, taken(whole, ids, part, axis, adds)]

    def _in_line(self, value: Array, calls: list[Any]) -> Array:
        if value.flags.c_contiguous:
            return value
        copy = np.empty(value.shape, value.dtype)
        calls.append(self.copy(copy, value))
        return copy

    def _folded(self, parts: Array, attrs: Mapping[str, Any], out: Array) -> list[Any]:
        """Zeros, then every window added where it was seen: one after the other, so that those which overlap add up."""
        rows: list[Any] = [self.zeros(out)]
        for into, part in overlaps(out, parts, attrs["strides"], attrs["dilation"]):
            rows.append(self._fused_row([into, part], [Term("add", (0, 1), str(out.dtype))], [(2, into)], []))
        return rows

    # ------------------------------------------------------------------ elementwise
    def _group(self, group: Group) -> list[Any]:
        place: dict[Node, int] = {}
        reads: list[Array] = []
        for node in group.nodes:
            for i in node.inputs:
                if i not in place and i not in group.nodes:
                    place[i] = len(reads)
                    reads.append(self.value[i])
        terms: list[Term] = []
        for node in group.nodes:
            place[node] = terms_of(node, [place[i] for i in node.inputs], len(reads), terms, self._dtypes(reads, terms))
        inside = {i for node in group.nodes for i in node.inputs}
        writes, totals = [], []
        for node in group.nodes:
            readers = self.pool.left[node] - sum(list(each.inputs).count(node) for each in group.members)
            if readers or (node not in inside and not any(node in each.inputs for each in group.sums)):
                writes.append((place[node], self.put(node)))
        for node in group.sums:
            totals.append((place[node.inputs[0]], self.put(node)))
        row = self._fused_row(reads, terms, writes, totals, bind(group.shape, self.rows))
        assert row is not None
        return [row]

    def _dtypes(self, reads: Sequence[Array], terms: list[Term]) -> Callable[[int], str]:
        return lambda which: str(reads[which].dtype) if which < len(reads) else terms[which - len(reads)].dtype

    def _fused_row(
        self,
        reads: list[Array],
        terms: list[Term],
        writes: list[tuple[int, Array]],
        totals: list[tuple[int, Array]],
        shape: tuple[int, ...] | None = None,
    ) -> Row | None:
        """One pass; None where an operand has no kind of its own here, or the result is not written in one piece."""
        shape = writes[0][1].shape if shape is None else shape
        operands = [np.broadcast_to(each, shape) for each in reads] + [each for _, each in writes]
        if any(str(each.dtype) not in DTYPES for each in operands):
            return None
        sizes, strides = collapsed(shape, [each.strides for each in operands])
        if sizes == [1]:
            sizes, strides = [], [[] for _ in operands]
        modes = [
            "same" if not steps or steps[-1] == 0 else "along" if steps[-1] == each.itemsize else "strided"
            for each, steps in zip(operands, strides, strict=True)
        ]
        read = tuple((str(each.dtype), mode) for each, mode in zip(reads, modes, strict=False))
        stored = tuple(
            (place, str(each.dtype), mode) for (place, each), mode in zip(writes, modes[len(reads) :], strict=True)
        )
        summed = tuple((place, str(each.dtype)) for place, each in totals)
        recipe, begins = Fused(read, tuple(terms), stored, summed, len(sizes)), [each.ctypes.data for each in operands]
        row, sums = passed(recipe, sizes, begins, strides, [each for _, each in totals])
        self.kept += sums
        return row


def _laid_out(leaves: Iterable[Leaf]) -> dict[Leaf, Array]:
    """Room for the values of leaves, each on lines of the cache of its own."""
    sizes = {leaf: -(-leaf.array.nbytes // _LINE) * _LINE for leaf in leaves}
    memory = np.empty(sum(sizes.values()) + _LINE, np.uint8)
    begin, places = -memory.ctypes.data % _LINE, {}
    for leaf, size in sizes.items():
        places[leaf] = memory[begin : begin + leaf.array.nbytes].view(leaf.dtype).reshape(leaf.shape)
        begin += size
    return places


def chained(node: Node, readers: Mapping[Node, int]) -> list[Node]:
    """The product, and what shapes it, that a fold alone reads: they run as one."""
    if node.op.name != "fold" or node.shape[-1] < _NARROW:
        return []
    chain = [node.inputs[0]]
    while chain[0].op.name == "reshape" and readers[chain[0]] == 1:
        chain.insert(0, chain[0].inputs[0])
    a, b = chain[0].inputs if chain[0].op.name == "matmul" else (node, node)
    plain = readers[chain[0]] == 1 and a.ndim == b.ndim == 2 and a.dtype == b.dtype in ("float32", "float64")
    return chain if plain else []


class CompiledProgram(PlannedProgram):
    """A graph with its units and, for the numbers of rows it met, idle plans."""

    def pack(self) -> None:
        """Put together what lies together in memory now, and that in groups."""
        super().pack()
        graph = self.graph.with_roots(apply(self.graph.roots, _RULES))
        self.graph, self.late = late.split(graph)
        gate = () if self.graph.gate is None else (self.graph.gate,)
        order = topological((*gate, *self.graph.outputs, *self.graph.updates.values()))
        readers = Counter(i for node in order for i in node.inputs)
        readers.update(self.graph.roots)
        pools = pooling.pooled(order, self.graph.roots, fusible)
        inside = {node for nodes in pools.values() for node in nodes}
        self.units = groups(
            order,
            lambda node: node not in inside and fusible(node),
            total,
            lambda node: pools[node][:-1] if node in pools else chained(node, readers),
            self.late,
        )

    def prepared(self, nodes: Sequence[Node]) -> list[Node]:
        """What became of nodes of the graph that was given."""
        before = super().prepared(nodes)
        return apply([*self.graph.roots, *before], _RULES)[len(self.graph.roots) :]

    def make(self, rows: int | None) -> CompiledPlan:
        """A plan for that number of rows."""
        return CompiledPlan(self.graph, self.units, rows, self.late)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut; in machine code as a whole where all of it can be."""
        table, done, gathered = np.zeros((count, len(self.graph.outputs))), 0, gatherable(source)
        while done < count:
            rows, stop = source.rows(start + done), done + 1
            if isinstance(source, Arrays):
                stop = min(count, done + source.alike(start + done))
            while stop < count and not gathered and source.rows(start + stop) == rows:
                stop += 1
            plan: Any = self._borrow(rows)
            try:
                part = {leaf: vector[done:stop] for leaf, vector in scalars.items()}
                if gathered and plan.tabled.machine_code:
                    committed = plan.tabled.steps(source, start + done, table[done:stop], part)
                else:
                    run = super().run(source, start + done, stop - done, part)
                    committed, table[done : done + len(run.table)] = run.committed, run.table
            finally:
                self._return(plan)
            if committed < stop - done:
                return Run(table[: done + committed + 1], done + committed)
            done = stop
        return Run(table, count)


class Compiled:
    """Machine code from the records' formulas, by llvmlite."""

    name = "compiled"

    def compile(self, graph: Graph) -> Program:
        """Expand and tidy the graph, and put its elementwise nodes into groups."""
        return CompiledProgram(graph)


registry.register("engine.compiled", Compiled())
