"""Machine code on a CPU: a table of kernels with their addresses, run for many steps by a loop in machine code.

The plan is that of `planned` (buffers by lifetime, views for nothing); what it would call NumPy for becomes a row of the
table wherever there is a kernel. The rest (large products, which a BLAS does best; a structural record of the user's own)
stays a call between two parts of the table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.node import Leaf, Node
from ..core.shapes import bind
from ..core.walk import Graph, topological
from ..ops.window import windows_of
from ..rewrite.fuse import Chain, Group, Unit, groups
from . import matrices
from .base import Array, Program, Run, Source
from .kernels import DTYPES, Fused, Term
from .lowering import REDUCTIONS, collapsed, extreme, fusible, reduction, taken, terms_of, total
from .matrices import Seen
from .planned import Plan, PlannedProgram
from .table import Row, Tabled, gatherable

_NARROW = 4  # fewer channels than this are folded from a matrix: a vector would be nearly empty


class CompiledPlan(Plan):
    """A plan whose calls are rows of the table where there is a kernel."""

    def __init__(self, graph: Graph, units: list[Unit], rows: int | None):
        self.units = units
        self.kept: list[Array] = []  # what only the table points at
        self.chains = {node for unit in units if isinstance(unit, Chain) for node in unit.nodes}
        self.readers: dict[Node, list[Node]] = {}
        for node in graph.nodes:
            for i in node.inputs:
                self.readers.setdefault(i, []).append(node)
        super().__init__(graph, rows)
        self.tabled = Tabled(self)

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
        """Groups are placed as one; whatever the gate does not need may run before it all the same."""
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
        if unit.op.name == "reshape" and self._matrix_only(unit):
            windows = matrices.seen(given, bind(unit.shape, self.rows)) if isinstance(given, np.ndarray) else None
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
        if reader.op.name != "matmul" or reader in self.chains:
            return False
        return reader.inputs[0] is node and reader.inputs[1] is not node and reader.inputs[1].ndim == 2

    def _of_seen(self, node: Node, given: Seen) -> list[Any]:
        """A product of windows, or these turned."""
        if node.op.name == "transpose":
            self.value[node] = given.turned
            return []
        out = self.pool.take(node, bind(node.shape, self.rows))
        self.value[node] = out
        return matrices.windowed(given, self.value[node.inputs[1]], out, self.copy, self.zeros, self.kept)

    def _chain(self, chain: Chain) -> list[Any]:
        """A product whose rows are added to the windows where they were seen."""
        product, fold = chain.nodes[0], chain.nodes[-1]
        a, b = (self.value[i] for i in product.inputs)
        out = self.pool.take(fold, bind(fold.shape, self.rows))
        self.value[fold] = out
        places, window = len(fold.attrs["places"]), fold.inputs[0].shape[1 + len(fold.attrs["places"]) : -1]
        lie = windows_of(out, window, fold.attrs["strides"], fold.attrs["dilation"])
        return [self.zeros(out), *matrices.folded(a, b, lie, places, self.copy, self.kept)]

    def zeros(self, out: Array) -> Any:
        """A row that clears an array."""
        row = self._fused_row([], [Term("number", (0.0,), str(out.dtype))], [(0, out)], [])
        assert row is not None
        return row

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
                return matrices.product(inputs[0], inputs[1], out, self.copy, self.kept)
            case "argmax" | "argmin":
                return [extreme(node, inputs[0], attrs, out)]
            case "fold":
                return self._folded(inputs[0], attrs, out)
            case "concatenate":
                return self._concatenated(inputs, attrs["axis"], out)
            case "dilate":
                return [self.zeros(out), self._copied(_spread(out, inputs[0].shape, attrs), inputs[0])]
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

    def _concatenated(self, parts: Sequence[Array], axis: int, out: Array) -> list[Any]:
        rows, begin = [], 0
        for part in parts:
            end = begin + part.shape[axis]
            if part.size:
                rows.append(self._copied(out[(slice(None),) * axis + (slice(begin, end),)], part))
            begin = end
        return rows

    def _folded(self, parts: Array, attrs: Mapping[str, Any], out: Array) -> list[Any]:
        """Zeros, then every window added where it was seen: one after the other, so that those which overlap add up."""
        lie = windows_of(out, parts.shape[1 + len(attrs["places"]) : -1], attrs["strides"], attrs["dilation"])
        places = 1 + len(attrs["places"])
        rows: list[Any] = [self.zeros(out)]
        for offset in np.ndindex(lie.shape[places:-1]):
            where = (slice(None),) * places + offset
            into, part = lie[where], parts[where]
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
                self.value[node] = self.pool.take(node, bind(node.shape, self.rows))
                writes.append((place[node], self.value[node]))
        for node in group.sums:
            self.value[node] = self.pool.take(node, bind(node.shape, self.rows))
            totals.append((place[node.inputs[0]], self.value[node]))
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
        words = [*sizes]
        for each, steps in zip(operands, strides, strict=True):
            words += [each.ctypes.data, *steps]
        words += [each.ctypes.data for _, each in totals]
        modes = [
            "same" if steps[-1] == 0 else "along" if steps[-1] == each.itemsize else "strided"
            for each, steps in zip(operands, strides, strict=True)
        ]
        if sizes[-1] == 1:
            modes[len(reads) :] = ["along"] * len(writes)
        read = tuple((str(each.dtype), mode) for each, mode in zip(reads, modes, strict=False))
        stored = tuple(
            (place, str(each.dtype), mode) for (place, each), mode in zip(writes, modes[len(reads) :], strict=True)
        )
        summed = tuple((place, str(each.dtype)) for place, each in totals)
        return Row(Fused(read, tuple(terms), stored, summed, len(sizes)), words)


def _spread(out: Array, shape: Sequence[int], attrs: Mapping[str, Any]) -> Array:
    """Where the numbers of a value of that shape lie among the zeros before, between and behind them."""
    cuts = zip(shape, attrs["low"], attrs["interior"], strict=True)
    return out[tuple(slice(a, a + (n - 1) * (gap + 1) + 1, gap + 1) for n, a, gap in cuts)]


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

    def __init__(self, graph: Graph):
        super().__init__(graph)
        gate = () if self.graph.gate is None else (self.graph.gate,)
        order = topological((*gate, *self.graph.outputs, *self.graph.updates.values()))
        readers = Counter(i for node in order for i in node.inputs)
        readers.update(self.graph.roots)
        self.units = groups(order, fusible, total, lambda node: chained(node, readers))

    def make(self, rows: int | None) -> CompiledPlan:
        """A plan for that number of rows."""
        return CompiledPlan(self.graph, self.units, rows)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut; in machine code as a whole where all of it can be."""
        table, done, gathered = np.zeros((count, len(self.graph.outputs))), 0, gatherable(source)
        while done < count:
            rows, stop = source.rows(start + done), done + 1
            while stop < count and source.rows(start + stop) == rows:
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
