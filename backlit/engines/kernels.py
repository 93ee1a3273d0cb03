"""Kernels with run-time shapes: each is one function `void kernel(words, context)` of a row of whole numbers.

A row of the table says everything: the kernel's address, sizes, and for each operand its address and strides in bytes.
Nothing of a shape is compiled in, so a kernel is compiled once per machine and serves every network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

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

    An input is read "along" the innermost axis, is the "same" all along it, or is "strided"; so is what is written.
    """

    inputs: tuple[tuple[str, str], ...]
    terms: tuple[Term, ...]
    outputs: tuple[tuple[int, str, str], ...]
    sums: tuple[tuple[int, str], ...] = ()
    rank: int = 1  # how many loops; none where every operand is a single number


@dataclass(frozen=True)
class Reduced:
    """Sums, products, largest or smallest numbers over some axes; the others are kept."""

    function: str
    source: str
    result: str
    along: bool  # whether the last kept axis is the vector, or the last reduced one
    unit: bool  # whether the vector's numbers lie next to one another
    kept: int = 1  # how many axes
    reduced: int = 1


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


def kind_of(dtype: str) -> str:
    """The kind in registers: truth values are one bit there and a byte in memory."""
    return "i1" if dtype == "bool" else KINDS[dtype]


def word(f: Function, place: int, kind: str = "i64") -> Value:
    """A word of the row."""
    return f.load(f.at(WORDS, place, "i64"), kind)


class Operand:
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


def kernel(name: str, recipe: Any, make: Make) -> Function:
    """The function of a recipe."""
    single = isinstance(recipe, Fused) and recipe.rank == 0
    f = Function(name, [WORDS, CONTEXT], replace(make, lanes=1) if single else make)
    match recipe:
        case Fused(rank=0):
            _single(f, recipe)
        case Fused():
            _fused(f, recipe)
        case Reduced():
            _reduced(f, recipe)
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
    inputs = [Operand(f, first + wide * k, dtype, rank) for k, (dtype, _) in enumerate(recipe.inputs)]
    first += wide * len(inputs)
    outputs = [Operand(f, first + wide * k, dtype, rank) for k, (_, dtype, _) in enumerate(recipe.outputs)]
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
                fixed[k] or read(f, inputs[k], reads[k], j, mode, mask) for k, (_, mode) in enumerate(recipe.inputs)
            ]
            values = [in_register(f, v, dtype) for v, (dtype, _) in zip(values, recipe.inputs, strict=True)]
            values = computed(f, values, recipe.terms)
            for operand, write, (place, dtype, mode) in zip(outputs, writes, recipe.outputs, strict=True):
                stored = converted(f, converted(f, values[place], kind_of(dtype)), KINDS[dtype])
                if mode == "along":
                    f.store_some(stored, f.at(write, j, KINDS[dtype]), mask)
                else:
                    stride = operand.strides[-1]
                    f.store_strided(stored, f.at(write, f.apply("mul", j, stride)), stride, mask)
            new = []
            for total, (place, _) in zip(held, recipe.sums, strict=True):
                part = converted(f, values[place], total.kind)
                new.append(emit(f, "add", [total, f.select(mask, part, number(0, total.kind, f.lanes))]))
            return new

        return f.loop(sizes[-1], block, held, step=f.lanes)

    for k, total in enumerate(nest(f, sizes[:-1], row, totals)):
        f.store(reduced(f, "add", total), word(f, last + k, "ptr"))


def _single(f: Function, recipe: Fused) -> None:
    """words: the addresses of the operands, of what is written, of the sums of one number each."""
    places = [word(f, 1 + k, "ptr") for k in range(len(recipe.inputs) + len(recipe.outputs) + len(recipe.sums))]
    given = [f.load(place, KINDS[dtype]) for place, (dtype, _) in zip(places, recipe.inputs, strict=False)]
    values = [in_register(f, v, dtype) for v, (dtype, _) in zip(given, recipe.inputs, strict=True)]
    values = computed(f, values, recipe.terms)
    written = [(place, dtype) for place, dtype, _ in recipe.outputs] + list(recipe.sums)
    for (which, dtype), place in zip(written, places[len(given) :], strict=True):
        f.store(converted(f, converted(f, values[which], kind_of(dtype)), KINDS[dtype]), place)


def read(f: Function, operand: Operand, row: Value, j: Value, mode: str, mask: Value) -> Value:
    """The numbers from the j-th on of an innermost axis."""
    kind = KINDS[operand.dtype]
    if mode == "along":
        return f.load_some(f.at(row, j, kind), kind, mask)
    return f.load_strided(f.at(row, f.apply("mul", j, operand.strides[-1])), operand.strides[-1], kind, mask)


def in_register(f: Function, value: Value, dtype: str) -> Value:
    """What was read, as numbers are held in registers."""
    return converted(f, value, "i1") if dtype == "bool" else value


def computed(f: Function, values: list[Value], terms: Sequence[Term]) -> list[Value]:
    """The values of the inputs, then those of the terms."""
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


def _start(function: str, dtype: str, lanes: int) -> Value:
    """What joins with any number to that number."""
    if function in ("add", "multiply"):
        return number(float(function == "multiply"), KINDS[dtype], lanes)
    if dtype.startswith("float"):
        return number(float("-inf" if function == "maximum" else "inf"), KINDS[dtype], lanes)
    about = np.iinfo("int8" if dtype == "bool" else dtype)
    return number(about.min if function == "maximum" else about.max, KINDS[dtype], lanes)


def _reduced(f: Function, recipe: Reduced) -> None:
    """words: sizes of the kept axes, of the reduced ones, source with its strides, result with those of the kept axes."""
    kept, rank = recipe.kept, recipe.kept + recipe.reduced
    sizes = [word(f, 1 + axis) for axis in range(rank)]
    source = Operand(f, 1 + rank, recipe.source, rank)
    result = Operand(f, 2 + 2 * rank, recipe.result, kept)
    kind, wanted = KINDS[recipe.source], KINDS[recipe.result]
    start = _start(recipe.function, recipe.result, f.lanes)
    vector = source.strides[kept - 1 if recipe.along else -1]

    def read(row: Value, place: Value, mask: Value) -> Value:
        if recipe.unit:
            value = f.load_some(f.at(row, place, kind), kind, mask)
        else:
            value = f.load_strided(f.at(row, f.apply("mul", place, vector)), vector, kind, mask)
        if recipe.result == "bool":  # whether it is true, whatever kind of number it is
            value = converted(f, value, "i1")
        return f.select(mask, converted(f, value, wanted), start)

    def across(index: list[Value], _: list[Value]) -> None:
        """The last kept axis is the vector: one number of the result a lane."""

        def block(j: Value, _: list[Value]) -> None:
            mask = f.first_lanes(f.apply("sub", sizes[kept - 1], j))

            def join(inside: list[Value], held: list[Value]) -> list[Value]:
                row = source.row(inside, source.row(index), kept)
                return [emit(f, recipe.function, [held[0], read(row, j, mask)])]

            total = nest(f, sizes[kept:], join, [start])
            f.store_some(total[0], f.at(result.row(index), j, wanted), mask)

        f.loop(sizes[kept - 1], block, step=f.lanes)

    def along(index: list[Value], _: list[Value]) -> None:
        """The last reduced axis is the vector: its lanes are joined at the end."""
        begin = source.row(index)

        def rows(inside: list[Value], held: list[Value]) -> list[Value]:
            row = source.row(inside, begin, kept)

            def block(r: Value, held: list[Value]) -> list[Value]:
                mask = f.first_lanes(f.apply("sub", sizes[-1], r))
                return [emit(f, recipe.function, [held[0], read(row, r, mask)])]

            return f.loop(sizes[-1], block, held, step=f.lanes)

        total = nest(f, sizes[kept:-1], rows, [start])
        f.store(reduced(f, recipe.function, total[0]), result.row(index))

    nest(f, sizes[: kept - 1] if recipe.along else sizes[:kept], across if recipe.along else along)


# ---------------------------------------------------------------------- the loop over steps
SIDE = 4  # words that tell of a side


def _rows(f: Function, side: Value, place: int, context: Value) -> None:
    """Run the rows that words `place` and the next one of a side tell of."""
    table, many = f.load(f.at(side, place, "i64"), "ptr"), f.load(f.at(side, place + 1, "i64"), "i64")

    def one(k: Value, _: list[Value]) -> None:
        row = f.load(f.at(table, k, "i64"), "ptr")
        f.do(f"call void {f.load(row, 'ptr').text}({row}, {context})")

    f.loop(many, one)


def steps(name: str, make: Make) -> Function:
    """``i64 steps(sides, context, count, gate, batch, turns)``: how many steps were committed.

    `sides` tells of two sides: where the rows of a step are, how many, the rows that commit it, how many. The first step runs
    on the first one; with `turns` of 1 a step that was committed hands over to the other one, with 0 it does not. A gate of
    address 0 is always open. Word 4 of the context is not 0 where a row met an id that there is not; the step is then not
    committed.
    """
    kinds = {"sides": "ptr", "context": "ptr", "count": "i64", "gate": "ptr", "batch": "i64", "turns": "i64"}
    given = [Value(f"%{each}", kind) for each, kind in kinds.items()]
    f = Function(name, given, make, "i64")
    sides, context, total, gate, batch, turns = given
    gated = f.compare("ne", gate, Value("null", "ptr"))
    wrong = f.at(context, 4, "i64")

    def step(s: Value, held: list[Value]) -> list[Value]:
        committed, alive = held
        here, free, done, checked, after = (f.label() for _ in range(5))
        f.do(f"br {alive}, label %{here}, label %{after}")
        before_step = f.block
        f.begin(here)
        turned = f.apply("and", f.apply("mul", committed, turns), count(1))
        side = f.at(sides, f.apply("mul", turned, count(SIDE)), "i64")
        f.store(s, f.at(context, 3, "i64"))
        _rows(f, side, 0, context)
        right = f.compare("eq", f.load(wrong, "i64"), count(0))
        f.do(f"br {gated}, label %{checked}, label %{free}")
        f.begin(free)
        f.do(f"br {right}, label %{done}, label %{after}")
        f.begin(checked)
        is_open = f.apply("and", right, f.compare("ne", f.load(gate, "i8"), number(0, "i8")))
        f.do(f"br {is_open}, label %{done}, label %{after}")
        shut = f.block
        f.begin(done)
        _rows(f, side, 2, context)
        f.store(f.apply("add", f.load(context, "i64"), batch), context)
        more = f.apply("add", committed, count(1))
        f.do(f"br label %{after}")
        committed_block = f.block
        f.begin(after)
        edges = [
            (committed.text, "false", before_step),
            (committed.text, "false", free),
            (committed.text, "false", shut),
            (more.text, "true", committed_block),
        ]
        counts = ", ".join(f"[{each}, %{block}]" for each, _, block in edges)
        flags = ", ".join(f"[{flag}, %{block}]" for _, flag, block in edges)
        return [f.value(f"phi i64 {counts}", "i64"), f.value(f"phi i1 {flags}", "i1")]

    committed = f.loop(total, step, [count(0), number(1, "i1")])[0]
    f.do(f"ret {committed}")
    return f
