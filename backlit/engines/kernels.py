"""Kernels with run-time shapes: each is one function `void kernel(words, context)` of a row of whole numbers.

A row of the table says everything: the kernel's address, sizes, and for each operand its address and strides in bytes.
Nothing of a shape is compiled in, so a kernel is compiled once per machine and serves every network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from .ir import KINDS, Function, Make, Value, count, number
from .vectors import converted, emit, reduced

WORDS = Value("%words", "ptr")
CONTEXT = Value("%context", "ptr")
DTYPES = frozenset(KINDS)


@dataclass(frozen=True)
class Term:
    """One scalar function of earlier values: inputs come first, then terms. A number stands for itself."""

    function: str
    operands: tuple[int | float, ...]
    dtype: str


@dataclass(frozen=True)
class Fused:
    """Elementwise work done in one pass: what is read and how, the terms, what is stored, what is summed.

    An input is read "along" the innermost axis, is the "same" all along it, or is "strided".
    """

    inputs: tuple[tuple[str, str], ...]
    terms: tuple[Term, ...]
    outputs: tuple[tuple[int, str], ...]
    sums: tuple[tuple[int, str], ...] = ()
    rank: int = 1  # how many loops


@dataclass(frozen=True)
class Reduced:
    """Sums, products, largest or smallest numbers over some axes: outer ones, reduced ones, one inner one."""

    function: str
    source: str
    result: str
    along: bool  # whether the inner axis is the vector, or the last reduced one
    unit: bool  # whether the vector's numbers lie next to one another
    outer: int = 1  # how many axes
    reduced: int = 1


@dataclass(frozen=True)
class Gathered:
    """The rows of a batch out of a column, by the permutation."""

    source: str
    result: str


@dataclass(frozen=True)
class Largest:
    """The place of the largest number of each row."""

    source: str


@dataclass(frozen=True)
class Fed:
    """A number of this step, such as the learning rate, out of the vector of a run."""

    result: str


@dataclass(frozen=True)
class Told:
    """A number of this step into the table of a run."""

    source: str


@dataclass(frozen=True)
class Steps:
    """The loop over the steps of a run and the rows of the table; stops where the gate is shut."""


Recipe = Fused | Reduced | Gathered | Largest | Fed | Told


def kind_of(dtype: str) -> str:
    """The kind in registers: truth values are one bit there and a byte in memory."""
    return "i1" if dtype == "bool" else KINDS[dtype]


def word(f: Function, place: int, kind: str = "i64") -> Value:
    """A word of the row."""
    return f.load(f.at(WORDS, place, "i64"), kind)


class _Operand:
    """An address with the strides of some axes in bytes, from as many words of the row and one."""

    def __init__(self, f: Function, place: int, dtype: str, rank: int):
        self.f, self.dtype = f, dtype
        self.base = word(f, place, "ptr")
        self.strides = [word(f, place + 1 + axis) for axis in range(rank)]

    def row(self, index: Sequence[Value], base: Value | None = None, axis: int = 0) -> Value:
        """The address that `index` reaches along the axes from `axis` on."""
        address = base or self.base
        for place, stride in zip(index, self.strides[axis:], strict=False):
            address = self.f.at(address, self.f.apply("mul", place, stride))
        return address


def nest(
    f: Function,
    sizes: Sequence[Value],
    body: Callable[[list[Value], list[Value]], Sequence[Value] | None],
    carried: Sequence[Value] = (),
) -> list[Value]:
    """Loops in one another: `body(index, carried)` gives the carried values of the next turn."""

    def level(index: list[Value], held: list[Value]) -> list[Value]:
        if len(index) == len(sizes):
            return list(body(index, held) or ())
        return f.loop(sizes[len(index)], lambda i, each: level([*index, i], each), held)

    return level([], list(carried))


def kernel(name: str, recipe: Recipe, make: Make) -> Function:
    """The function of a recipe."""
    f = Function(name, [WORDS, CONTEXT], make)
    match recipe:
        case Fused():
            _fused(f, recipe)
        case Reduced():
            _reduced(f, recipe)
        case Gathered():
            _gathered(f, recipe)
        case Largest():
            _largest(f, recipe)
        case Fed():
            value = f.load(f.at(word(f, 1, "ptr"), f.load(f.at(CONTEXT, 3, "i64"), "i64"), "double"), "double")
            f.store(converted(f, value, KINDS[recipe.result]), word(f, 2, "ptr"))
        case Told():
            place = f.apply("mul", f.load(f.at(CONTEXT, 3, "i64"), "i64"), word(f, 3))
            value = converted(f, f.load(word(f, 1, "ptr"), KINDS[recipe.source]), "double")
            f.store(value, f.at(word(f, 2, "ptr"), place))
    f.do("ret void")
    return f


# ---------------------------------------------------------------------- elementwise
def _fused(f: Function, recipe: Fused) -> None:
    rank = recipe.rank
    sizes, wide = [word(f, 1 + axis) for axis in range(rank)], 1 + rank
    first = 1 + rank
    inputs = [_Operand(f, first + wide * k, dtype, rank) for k, (dtype, _) in enumerate(recipe.inputs)]
    first += wide * len(inputs)
    outputs = [_Operand(f, first + wide * k, dtype, rank) for k, (_, dtype) in enumerate(recipe.outputs)]
    last = first + wide * len(outputs)
    totals = [number(0, KINDS[dtype], f.lanes) for _, dtype in recipe.sums]

    def row(index: list[Value], held: list[Value]) -> list[Value]:
        reads = [each.row(index) for each in inputs]
        writes = [each.row(index) for each in outputs]
        fixed = [
            f.every(f.load(read, KINDS[dtype])) if mode == "same" else None
            for read, (dtype, mode) in zip(reads, recipe.inputs, strict=True)
        ]

        def block(j: Value, held: list[Value]) -> list[Value]:
            mask = f.first_lanes(f.apply("sub", sizes[-1], j))
            values = [
                fixed[k] or _read(f, inputs[k], reads[k], j, mode, mask) for k, (_, mode) in enumerate(recipe.inputs)
            ]
            values = [_in_register(f, v, dtype) for v, (dtype, _) in zip(values, recipe.inputs, strict=True)]
            values = _computed(f, values, recipe.terms)
            for write, (place, dtype) in zip(writes, recipe.outputs, strict=True):
                stored = converted(f, converted(f, values[place], kind_of(dtype)), KINDS[dtype])
                f.store_some(stored, f.at(write, j, KINDS[dtype]), mask)
            new = []
            for total, (place, _) in zip(held, recipe.sums, strict=True):
                part = converted(f, values[place], total.kind)
                new.append(emit(f, "add", [total, f.select(mask, part, number(0, total.kind, f.lanes))]))
            return new

        return f.loop(sizes[-1], block, held, step=f.lanes)

    for k, total in enumerate(nest(f, sizes[:-1], row, totals)):
        f.store(reduced(f, "add", total), word(f, last + k, "ptr"))


def _read(f: Function, operand: _Operand, row: Value, j: Value, mode: str, mask: Value) -> Value:
    kind = KINDS[operand.dtype]
    if mode == "along":
        return f.load_some(f.at(row, j, kind), kind, mask)
    return f.load_strided(f.at(row, f.apply("mul", j, operand.strides[-1])), operand.strides[-1], kind, mask)


def _in_register(f: Function, value: Value, dtype: str) -> Value:
    return converted(f, value, "i1") if dtype == "bool" else value


def _computed(f: Function, values: list[Value], terms: Sequence[Term]) -> list[Value]:
    for term in terms:
        kind = kind_of(term.dtype)
        if term.function == "number":
            values = [*values, number(term.operands[0], kind, f.lanes)]
            continue
        given = [values[int(place)] for place in term.operands]
        values = [*values, converted(f, given[0], kind) if term.function == "cast" else _applied(f, term, given)]
    return values


_DTYPE = {kind: dtype for dtype, kind in KINDS.items() if dtype != "bool"} | {"i1": "bool"}


def _common(*kinds: str) -> str:
    """The kind that NumPy computes in."""
    return kind_of(str(np.result_type(*(_DTYPE[kind] for kind in kinds))))


def _applied(f: Function, term: Term, given: list[Value]) -> Value:
    """The operands of a function brought to one kind, as NumPy promotes them; a condition keeps its own."""
    head = [converted(f, given[0], "i1")] if term.function == "where" else []
    rest = given[len(head) :]
    common = _common(*(each.kind for each in rest))
    if term.function.startswith("logical_"):
        common = "i1"
    elif term.dtype != "bool":
        common = _common(common, kind_of(term.dtype))
    elif common == "i1" and not term.function.startswith("bitwise_"):
        common = "i8"
    return emit(f, term.function, [*head, *(converted(f, each, common) for each in rest)])


# ---------------------------------------------------------------------- reductions
_START = {"add": 0.0, "multiply": 1.0, "maximum": float("-inf"), "minimum": float("inf")}


def _reduced(f: Function, recipe: Reduced) -> None:
    """words: sizes of all axes, source with its strides, result with those of the outer axes (the inner one is 1)."""
    outer, rank = recipe.outer, recipe.outer + recipe.reduced + 1
    sizes = [word(f, 1 + axis) for axis in range(rank)]
    source = _Operand(f, 1 + rank, recipe.source, rank)
    result = _Operand(f, 2 + 2 * rank, recipe.result, outer)
    kind, wanted = KINDS[recipe.source], KINDS[recipe.result]
    start = number(_START[recipe.function], wanted, f.lanes)
    vector = source.strides[-1 if recipe.along else -2]

    def read(row: Value, place: Value, mask: Value) -> Value:
        if recipe.unit:
            value = f.load_some(f.at(row, place, kind), kind, mask)
        else:
            value = f.load_strided(f.at(row, f.apply("mul", place, vector)), vector, kind, mask)
        return f.select(mask, converted(f, value, wanted), start)

    def across(index: list[Value], _: list[Value]) -> None:
        """The inner axis is the vector: one number of the result a lane."""

        def block(j: Value, _: list[Value]) -> None:
            mask = f.first_lanes(f.apply("sub", sizes[-1], j))

            def add(inside: list[Value], held: list[Value]) -> list[Value]:
                row = source.row(inside, source.row(index), outer)
                return [emit(f, recipe.function, [held[0], read(row, j, mask)])]

            total = nest(f, sizes[outer:-1], add, [start])
            f.store_some(total[0], f.at(result.row(index), j, wanted), mask)

        f.loop(sizes[-1], block, step=f.lanes)

    def along(index: list[Value], _: list[Value]) -> None:
        """The last reduced axis is the vector, for each number of the inner axis."""

        def one(j: Value, _: list[Value]) -> None:
            begin = f.at(source.row(index), f.apply("mul", j, source.strides[-1]))

            def rows(inside: list[Value], held: list[Value]) -> list[Value]:
                row = source.row(inside, begin, outer)

                def block(r: Value, held: list[Value]) -> list[Value]:
                    mask = f.first_lanes(f.apply("sub", sizes[-2], r))
                    return [emit(f, recipe.function, [held[0], read(row, r, mask)])]

                return f.loop(sizes[-2], block, held, step=f.lanes)

            total = nest(f, sizes[outer:-2], rows, [start])
            f.store(reduced(f, recipe.function, total[0]), f.at(result.row(index), j, wanted))

        f.loop(sizes[-1], one)

    nest(f, sizes[:outer], across if recipe.along else along)


def _largest(f: Function, recipe: Largest) -> None:
    """words: rows, columns, source with two strides, result; the first of equals, or of NaNs."""
    rows, columns = word(f, 1), word(f, 2)
    source, result, kind = _Operand(f, 3, recipe.source, 2), word(f, 6, "ptr"), KINDS[recipe.source]

    def row(i: Value, _: list[Value]) -> None:
        begin = source.row([i])

        def one(j: Value, held: list[Value]) -> list[Value]:
            best, place = held
            here = f.load(f.at(begin, f.apply("mul", j, source.strides[1])), kind)
            better = f.compare("ugt" if here.floats else "sgt", here, best)
            if here.floats:
                better = f.apply("and", better, f.compare("ord", best, best))
            return [f.select(better, here, best), f.select(better, j, place)]

        found = f.loop(columns, one, [f.load(begin, kind), count(0)], start=count(1))
        f.store(found[1], f.at(result, i, "i64"))

    f.loop(rows, row)


# ---------------------------------------------------------------------- batches
def _gathered(f: Function, recipe: Gathered) -> None:
    """words: numbers a row, source, its row stride, result, its row stride. context: first row, rows, permutation."""
    numbers, source, stride = word(f, 1), word(f, 2, "ptr"), word(f, 3)
    result, stride_out = word(f, 4, "ptr"), word(f, 5)
    first, rows = (f.load(f.at(CONTEXT, place, "i64"), "i64") for place in range(2))
    order = f.load(f.at(CONTEXT, 2, "i64"), "ptr")
    kind, wanted = KINDS[recipe.source], KINDS[recipe.result]

    def row(i: Value, _: list[Value]) -> None:
        which = f.load(f.at(order, f.apply("add", first, i), "i64"), "i64")
        read, write = f.at(source, f.apply("mul", which, stride)), f.at(result, f.apply("mul", i, stride_out))

        def block(j: Value, _: list[Value]) -> None:
            mask = f.first_lanes(f.apply("sub", numbers, j))
            value = f.load_some(f.at(read, j, kind), kind, mask)
            f.store_some(converted(f, value, wanted), f.at(write, j, wanted), mask)

        f.loop(numbers, block, step=f.lanes)

    f.loop(rows, row)


# ---------------------------------------------------------------------- the loop over steps
def steps(name: str, make: Make) -> Function:
    """``i64 steps(rows, how many, commits, how many, context, count, gate, batch)``: how many steps were committed.

    `rows` and `commits` are addresses of rows of the table; a gate of address 0 is always open.
    """
    names = ("before", "how_many", "commits", "how_many_commits", "context", "count", "gate", "batch")
    kinds = ("ptr", "i64", "ptr", "i64", "ptr", "i64", "ptr", "i64")
    given = [Value(f"%{each}", kind) for each, kind in zip(names, kinds, strict=True)]
    f = Function(name, given, make, "i64")
    before, how_many, commits, how_many_commits, context, total, gate, batch = given
    gated = f.compare("ne", gate, Value("null", "ptr"))

    def run(table: Value, rows: Value) -> None:
        def one(k: Value, _: list[Value]) -> None:
            row = f.load(f.at(table, k, "i64"), "ptr")
            f.do(f"call void {f.load(row, 'ptr').text}({row}, {context})")

        f.loop(rows, one)

    def step(s: Value, held: list[Value]) -> list[Value]:
        committed, alive = held
        here = f.label()
        done, checked, after = f.label(), f.label(), f.label()
        f.do(f"br {alive}, label %{here}, label %{after}")
        before_step = f.block
        f.begin(here)
        f.store(s, f.at(context, 3, "i64"))
        run(before, how_many)
        f.do(f"br {gated}, label %{checked}, label %{done}")
        f.begin(checked)
        is_open = f.compare("ne", f.load(gate, "i8"), number(0, "i8"))
        f.do(f"br {is_open}, label %{done}, label %{after}")
        shut = f.block
        f.begin(done)
        run(commits, how_many_commits)
        f.store(f.apply("add", f.load(context, "i64"), batch), context)
        more = f.apply("add", committed, count(1))
        f.do(f"br label %{after}")
        committed_block = f.block
        f.begin(after)
        edges = [
            (committed.text, "false", before_step),
            (committed.text, "false", shut),
            (more.text, "true", committed_block),
        ]
        counts = ", ".join(f"[{each}, %{block}]" for each, _, block in edges)
        flags = ", ".join(f"[{flag}, %{block}]" for _, flag, block in edges)
        return [f.value(f"phi i64 {counts}", "i64"), f.value(f"phi i1 {flags}", "i1")]

    committed = f.loop(total, step, [count(0), number(1, "i1")])[0]
    f.do(f"ret {committed}")
    return f
