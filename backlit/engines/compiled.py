"""Machine code on a CPU: a table of kernels with their addresses, run for many steps by a loop in machine code.

The plan is that of `planned` (buffers by lifetime, views for nothing); what it would call NumPy for becomes a row of the
table wherever there is a kernel. The rest (large products, which a BLAS does best; a structural record of the user's own)
stays a call between two parts of the table.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.node import Leaf, Node
from ..core.scalar import Operand
from ..core.shapes import Rows, bind
from ..core.walk import Graph, topological
from ..ops.window import windows_of
from ..rewrite.fuse import Group, Unit, groups
from .base import Array, Arrays, Program, Run, Source
from .kernels import DTYPES, Fed, Fused, Gathered, Largest, Reduced, Steps, Term, Told
from .objects import machine
from .planned import Plan, PlannedProgram
from .products import Product
from .vectors import known, whole

_LARGE = 2.0e8  # multiply-adds from which on a product is the BLAS's
_REDUCTIONS = {"sum": "add", "max": "maximum", "min": "minimum", "prod": "multiply"}


class Row:
    """One row of the table: which kernel, and its words."""

    def __init__(self, recipe: Any, words: Sequence[int]):
        self.recipe, self.words = recipe, words


class CompiledPlan(Plan):
    """A plan whose calls are rows of the table where there is a kernel."""

    def __init__(self, graph: Graph, units: list[Unit], rows: int | None):
        self.units = units
        self.kept: list[Array] = []  # what only the table points at
        super().__init__(graph, rows)
        self.tabled = Tabled(self)

    # ------------------------------------------------------------------ what `planned` asks for
    def order(self, roots: Sequence[Node]) -> Sequence[Any]:
        """Groups are placed as one; whatever the gate does not need may run before it all the same."""
        return self.units

    def step(self) -> bool:
        """Run once on what is in `inputs`; returns whether the updates were committed."""
        return self.tabled.step()

    def members(self, unit: Any) -> Sequence[Node]:
        """The nodes of a group, or the node."""
        return unit.members if isinstance(unit, Group) else (unit,)

    def place(self, unit: Any) -> list[Any]:
        """The calls for a group, or for a node as in `planned`."""
        return self._group(unit) if isinstance(unit, Group) else super().place(unit)

    def copy(self, target: Array, value: Array) -> Any:
        """A row that copies, casting to the dtype of the target."""
        row = self._fused_row([value], [Term("cast", (0,), str(target.dtype))], [(1, target)], [])
        self.kept += [target, value]
        return row or super().copy(target, value)

    def compute(self, node: Node, inputs: list[Any], attrs: dict[str, Any], out: Array) -> list[Any]:
        """The row of a reduction, product, …, or what `planned` does."""
        row = None
        if node.op.name in _REDUCTIONS:
            row = _reduction(node, inputs[0], attrs, out)
        elif node.op.name == "matmul":
            return self._product(inputs[0], inputs[1], out) or super().compute(node, inputs, attrs, out)
        elif node.op.name == "argmax" and out.dtype == np.int64:
            row = _largest(inputs[0], attrs["axis"], out)
        elif node.op.name == "fold":
            return self._folded(node, inputs[0], attrs, out) or super().compute(node, inputs, attrs, out)
        return [row] if row is not None else super().compute(node, inputs, attrs, out)

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
            place[node] = _terms(node, [place[i] for i in node.inputs], len(reads), terms, self._dtypes(reads, terms))
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
        sizes, strides = _collapsed(shape, [each.strides for each in operands])
        if any(
            steps[-1] != each.itemsize and sizes[-1] > 1
            for (_, each), steps in zip(writes, strides[len(reads) :], strict=True)
        ):
            return None
        words = [*sizes]
        for each, steps in zip(operands, strides, strict=True):
            words += [each.ctypes.data, *steps]
        words += [each.ctypes.data for _, each in totals]
        modes = tuple(
            (str(each.dtype), "same" if steps[-1] == 0 else "along" if steps[-1] == each.itemsize else "strided")
            for each, steps in zip(reads, strides, strict=False)
        )
        stored = tuple((place, str(each.dtype)) for place, each in writes)
        summed = tuple((place, str(each.dtype)) for place, each in totals)
        return Row(Fused(modes, tuple(terms), stored, summed, len(sizes)), words)

    # ------------------------------------------------------------------ products
    def _product(self, a: Array, b: Array, out: Array) -> list[Any]:
        """Rows for a product of two matrices, the first one perhaps with more axes; empty where NumPy does it better."""
        if b.ndim != 2 or a.ndim < 2 or a.dtype != b.dtype or str(a.dtype) not in ("float32", "float64"):
            return []
        if a.ndim > 2:
            if not a.flags.c_contiguous:
                return []
            a, out = a.reshape(-1, a.shape[-1]), out.reshape(-1, out.shape[-1])
        if a.size * b.shape[1] > _LARGE or not out.size or not a.size:
            return []
        calls: list[Any] = []
        item = a.itemsize
        if b.shape[1] > 1 and b.strides[1] != item:
            b = self._packed(b, calls)
        if a.shape[1] == 1 or a.strides[1] == item:
            layout, stride = "rows", a.strides[0]
        elif a.shape[0] == 1 or a.strides[0] == item:
            layout, stride = "columns", a.strides[1]
        else:
            a = self._packed(a, calls)
            layout, stride = "rows", a.strides[0]
        words = [*out.shape, a.shape[1], a.ctypes.data, stride, b.ctypes.data, b.strides[0], out.ctypes.data]
        return [*calls, Row(Product(str(a.dtype), layout), [*words, out.strides[0]])]

    def _folded(self, node: Node, parts: Array, attrs: Mapping[str, Any], out: Array) -> list[Any]:
        """Zeros, then every window added where it was seen: one after the other, so that those which overlap add up."""
        lie = windows_of(out, parts.shape[1 + len(attrs["places"]) : -1], attrs["strides"], attrs["dilation"])
        added = self._fused_row([lie, parts], [Term("add", (0, 1), str(out.dtype))], [(2, lie)], [])
        zeros = self._fused_row([], [Term("number", (0.0,), str(out.dtype))], [(0, out)], [])
        return [zeros, added] if added is not None and zeros is not None else []

    def _packed(self, value: Array, calls: list[Any]) -> Array:
        """A copy whose columns lie next to one another."""
        packed = np.empty(value.shape, value.dtype)
        calls.append(self.copy(packed, value))
        return packed


# ---------------------------------------------------------------------- from nodes to recipes
def _terms(node: Node, inputs: Sequence[int], first: int, terms: list[Term], dtype_of: Callable[[int], str]) -> int:
    """Append what `node` computes; returns the place of its result. `first` is the number of inputs of the group."""

    def add(function: str, operands: tuple[int | float, ...], dtype: str) -> int:
        terms.append(Term(function, operands, dtype))
        return first + len(terms) - 1

    if node.op.name == "cast":
        return add("cast", (inputs[0],), node.dtype)
    made: list[int] = []

    def read(operand: Operand) -> Any:
        match operand.kind:
            case "input":
                return inputs[operand.which]
            case "call":
                return made[operand.which]
        return _Number(node.attrs[operand.which] if operand.kind == "attr" else operand.which)

    formula = node.op.formula
    assert formula is not None
    for call in formula.calls:
        given = [read(each) for each in call.operands]
        dtype = _result(call.function, [each.value if isinstance(each, _Number) else dtype_of(each) for each in given])
        of_numbers = _result("add", [e.value if isinstance(e, _Number) else dtype_of(e) for e in given[-2:]])
        places = [add("number", (float(e.value),), of_numbers) if isinstance(e, _Number) else e for e in given]
        made.append(add(call.function, tuple(places), dtype))
    result = read(formula.result)
    return result if dtype_of(result) == node.dtype else add("cast", (result,), node.dtype)


class _Number:
    """A Python number among the operands of a call: it takes the dtype of the others."""

    def __init__(self, value: float):
        self.value = value


def _result(function: str, operands: Sequence[Any]) -> str:
    """The dtype that NumPy gives: "bool" for questions, the common one of the operands otherwise."""
    if function in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "isfinite"):
        return "bool"
    if function.startswith("logical_"):
        return "bool"
    values = operands[1:] if function == "where" else operands
    common = str(np.result_type(*(np.dtype(each) if isinstance(each, str) else each for each in values)))
    return common if whole(function) or common.startswith("float") else "float64"


def _fusible(node: Node) -> bool:
    """Whether there is machine code for an elementwise node."""
    if isinstance(node, Leaf) or not node.inputs or type(node.dtype) is not str:
        return False
    dtypes = [node.dtype, *(i.dtype for i in node.inputs)]
    if any(type(each) is not str or each not in DTYPES for each in dtypes):
        return False
    if node.op.name == "cast":
        return True
    if node.op.formula is None or any(isinstance(value, Rows) for value in node.attrs.values()):
        return False
    return all(known(call.function, dtypes) for call in node.op.formula.calls)


def _total(node: Node) -> bool:
    """Whether a node is the sum of floating numbers over all axes."""
    if isinstance(node, Leaf) or node.op.name != "sum" or type(node.inputs[0].shape) is not tuple:
        return False
    axes, shape = node.attrs["axis"], node.inputs[0].shape
    everything = axes is None or len(axes) == len(shape)
    return (
        everything and len(shape) > 0 and all(d in ("float32", "float64") for d in (node.dtype, node.inputs[0].dtype))
    )


def _collapsed(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Neighbouring axes put together wherever every operand lies so that one loop does."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        here = [each[axis] for each in strides]
        if sizes and all(each[-1] == step * size for each, step in zip(steps, here, strict=True)):
            sizes[-1] *= size
            for each, step in zip(steps, here, strict=True):
                each[-1] = step
        else:
            sizes.append(size)
            for each, step in zip(steps, here, strict=True):
                each.append(step)
    return (sizes, steps) if sizes else ([1], [[0] for _ in strides])


def _reduction(node: Node, source: Array, attrs: Mapping[str, Any], out: Array) -> Row | None:
    function = _REDUCTIONS[node.op.name]
    if str(source.dtype) not in DTYPES or out.dtype not in (np.float32, np.float64) or source.size == 0:
        return None
    if function != "add" and source.dtype != out.dtype:
        return None
    axes = range(source.ndim) if attrs["axis"] is None else [axis % source.ndim for axis in attrs["axis"]]
    parts: list[list[int]] = [[], [], []]  # outer axes, reduced ones, inner ones
    for axis, size in enumerate(source.shape):
        if size > 1:
            part = 1 if axis in axes else 2 if parts[1] else 0
            if part == 1 and parts[2]:
                return None
            parts[part].append(axis)
    lies = [_collapsed([source.shape[a] for a in part], [[source.strides[a] for a in part]]) for part in parts]
    if len(lies[2][0]) > 1:
        return None
    sizes = [size for each, _ in lies for size in each]
    steps = [step for _, each in lies for step in each[0]]
    along, outer = sizes[-1] > 1, len(lies[0][0])
    unit = steps[-1 if along else -2] == source.itemsize
    behind = [int(np.prod(sizes[k + 1 : outer])) * sizes[-1] * out.itemsize for k in range(outer)]
    words = [*sizes, source.ctypes.data, *steps, out.ctypes.data, *behind]
    return Row(Reduced(function, str(source.dtype), str(out.dtype), along, unit, outer, len(lies[1][0])), words)


def _largest(source: Array, axis: Any, out: Array) -> Row | None:
    last = axis if isinstance(axis, int) else axis[0] if axis and len(axis) == 1 else None
    if (
        last not in (-1, source.ndim - 1)
        or not source.flags.c_contiguous
        or str(source.dtype) not in ("float32", "float64")
    ):
        return None
    if source.shape[-1] == 0:
        return None
    row = source.shape[-1] * source.itemsize
    words = [source.size // source.shape[-1], source.shape[-1], source.ctypes.data, row, source.itemsize]
    return Row(Largest(str(source.dtype)), [*words, out.ctypes.data])


# ---------------------------------------------------------------------- the table
class Table:
    """Calls in order: stretches of rows with their addresses, and the Python calls between them."""

    def __init__(self, calls: Sequence[Any], addresses: Mapping[Any, int]):
        self.parts: list[Any] = []
        self.words: list[Array] = []
        stretch: list[int] = []
        for call in calls:
            if isinstance(call, Row):
                words = np.array([addresses[call.recipe], *call.words], dtype=np.int64)
                self.words.append(words)
                stretch.append(words.ctypes.data)
                continue
            self._end(stretch)
            self.parts.append(call)
            stretch = []
        self._end(stretch)

    def _end(self, stretch: list[int]) -> None:
        if stretch:
            self.parts.append(np.array(stretch, dtype=np.int64))

    @property
    def machine_code(self) -> bool:
        """Whether nothing of it is a Python call."""
        return all(isinstance(part, np.ndarray) for part in self.parts)

    @property
    def rows(self) -> tuple[int, int]:
        """Address and length of the only stretch."""
        return (self.parts[0].ctypes.data, len(self.parts[0])) if self.parts else (0, 0)


_STEPS = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64,
    ctypes.c_void_p, ctypes.c_int64,
)  # fmt: skip


class Tabled:
    """A plan with its tables, ready to be run."""

    def __init__(self, plan: CompiledPlan):
        self.plan = plan
        self.rows = [each for each in (*plan.before, *plan.after) if isinstance(each, Row)]
        addresses = machine().addresses([Steps(), *(each.recipe for each in self.rows)])
        self.before, self.after = Table(plan.before, addresses), Table(plan.after, addresses)
        self.loop = _STEPS(addresses[Steps()])
        self.context = np.zeros(8, dtype=np.int64)
        self.gate = 0 if plan.gate is None else plan.gate.ctypes.data
        self.key: Any = None  # where the columns lay for which `all_rows` was made
        self.all_rows: Array = np.empty(0, np.int64)
        self.told: Array = np.empty((0, 0))

    @property
    def machine_code(self) -> bool:
        """Whether a whole step is machine code."""
        return self.before.machine_code and self.after.machine_code

    def step(self) -> bool:
        """Run once on what is in the plan's inputs; returns whether the updates were committed."""
        self._through(self.before)
        if self.plan.gate is not None and not self.plan.gate[()]:
            return False
        self._through(self.after)
        return True

    def _through(self, table: Table) -> None:
        for part in table.parts:
            if isinstance(part, np.ndarray):
                self.loop(part.ctypes.data, len(part), 0, 0, self.context.ctypes.data, 1, 0, 0)
            else:
                part()

    def steps(self, source: Arrays, start: int, table: Array, scalars: Mapping[Leaf, Array]) -> int:
        """As many steps as `table` has rows, from step `start` on; returns how many were committed."""
        count = len(table)
        rows = self._rows_for(source, count, scalars)
        for vector, given in zip(self.vectors, scalars.values(), strict=True):
            vector[:count] = given
        first, order = start * source.batch, source.order
        if order is None:
            first, order = 0, np.arange(first, min(source.length, first + count * source.batch))
        commits = self.after.parts[0] if self.after.parts else np.empty(0, np.int64)
        self.context[:4] = first, self.plan.rows or 0, order.ctypes.data, 0
        tables = rows.ctypes.data, len(rows), commits.ctypes.data, len(commits)
        committed = int(self.loop(*tables, self.context.ctypes.data, count, self.gate, source.batch))
        table[...] = self.told[:count]
        return committed

    def _rows_for(self, source: Arrays, count: int, scalars: Mapping[Leaf, Array]) -> Array:
        """The rows of one step: the batch, its scalars, the plan, its outputs; made anew where these lie elsewhere."""
        key = tuple((each.ctypes.data, each.strides[0], each.dtype.str) for each in source.columns)
        if key == self.key and count <= len(self.told):
            return self.all_rows
        plan, room = self.plan, max(count, 64)
        columns = [leaf for leaf in plan.inputs if leaf not in scalars]
        self.told = np.zeros((room, len(plan.outputs)))
        self.vectors = [np.zeros(room) for _ in scalars]
        gathers = [_gather(column, plan.inputs[leaf]) for column, leaf in zip(source.columns, columns, strict=True)]
        fed = [
            Row(Fed(leaf.dtype), [vector.ctypes.data, plan.inputs[leaf].ctypes.data])
            for leaf, vector in zip(scalars, self.vectors, strict=True)
        ]
        told = [
            Row(Told(str(value.dtype)), [value.ctypes.data, self.told[:, k:].ctypes.data, self.told.strides[0]])
            for k, value in enumerate(plan.outputs)
        ]
        addresses = machine().addresses([each.recipe for each in (*gathers, *fed, *told)])
        self.around = Table([*gathers, *fed], addresses), Table(told, addresses)
        first, last = self.around
        self.all_rows = np.concatenate([each.parts[0] for each in (first, self.before, last) if each.parts])
        self.key = key
        return self.all_rows


def _gather(column: Array, buffer: Array) -> Row:
    numbers = int(np.prod(buffer.shape[1:]))
    words = [numbers, column.ctypes.data, column.strides[0], buffer.ctypes.data, numbers * buffer.itemsize]
    return Row(Gathered(str(column.dtype), str(buffer.dtype)), words)


def _gatherable(source: Source) -> bool:
    """Whether machine code can take the batches of a source: arrays whose rows are each in one piece."""
    return isinstance(source, Arrays) and all(
        isinstance(column, np.ndarray)
        and str(column.dtype) in DTYPES
        and column.dtype.isnative
        and (column.ndim == 1 or column[:1].flags.c_contiguous)
        for column in source.columns
    )


class CompiledProgram(PlannedProgram):
    """A graph with its units and, for the numbers of rows it met, idle plans."""

    def __init__(self, graph: Graph):
        super().__init__(graph)
        gate = () if self.graph.gate is None else (self.graph.gate,)
        order = topological((*gate, *self.graph.outputs, *self.graph.updates.values()))
        self.units = groups(order, _fusible, _total)

    def make(self, rows: int | None) -> CompiledPlan:
        """A plan for that number of rows."""
        return CompiledPlan(self.graph, self.units, rows)

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """`count` steps, stopped at the first whose gate is shut; in machine code as a whole where all of it can be."""
        table, done, gathered = np.zeros((count, len(self.graph.outputs))), 0, _gatherable(source)
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
