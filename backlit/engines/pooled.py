"""Kernels of pooling: the largest number of every window and who won it, and what the winners alone say of derivatives.

Cells are the places of a pooling window; `rank` loops run over examples and cells, then a vector over the channels. The
places inside of a window lie as a table of distances says, so windows may overlap and places stand apart.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .ir import BITS, KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, Operand, Term, computed, in_register, nest, read, word
from .vectors import converted

RANK = 3  # examples and two axes of places
_UNROLLED = 4  # places of a window that are written out


@dataclass(frozen=True)
class Largest:
    """The largest number, in every window of `places`, of what `terms` make of the inputs; `bits` (a dtype, or nothing):
    one for each place that is as large."""

    inputs: tuple[tuple[str, str], ...]
    terms: tuple[Term, ...]
    result: str
    bits: str
    places: int


@dataclass(frozen=True)
class Spread:
    """Numbers put at those places of their windows that have a bit, zeros at the others; `adds`: to what is there."""

    dtype: str
    bits: str
    places: int
    adds: bool


@dataclass(frozen=True)
class Won:
    """A product of winners: each has seen a window of a convolution, `segments` of as many numbers as fill `vectors`, the
    last one under a mask where it is `masked`. Into the "kernel": what it saw, times its number, is added to the row of its
    filter. Into the "input": the row of its filter, times its number, is added to what it saw."""

    dtype: str
    bits: str
    into: str
    segments: int
    vectors: int
    masked: bool


def kernel(name: str, recipe: Largest | Spread | Won, make: Make) -> Function:
    """The function of a recipe."""
    f = Function(name, [WORDS, CONTEXT], make)
    if isinstance(recipe, Won):
        _Won(f, recipe).run()
    elif isinstance(recipe, Spread):
        _spread(f, recipe)
    else:
        _largest(f, recipe)
    f.do("ret void")
    return f


def most(make: Make, dtype: str) -> int:
    """How many vectors of sums the registers hold for a product of winners."""
    return make.registers * 3 // 4 // (2 if dtype == "float64" else 1)


class _Table:
    """Distances of the places of a window, held in registers where there are few."""

    def __init__(self, f: Function, place: int, places: int):
        self.f, self.base = f, word(f, place, "ptr")
        few = places <= _UNROLLED
        self.held = [f.load(f.at(self.base, k, "i64"), "i64") for k in range(places)] if few else []

    def __getitem__(self, place: Value | int) -> Value:
        if isinstance(place, int):
            return self.held[place]
        return self.f.load(self.f.at(self.base, place, "i64"), "i64")


def _largest(f: Function, recipe: Largest) -> None:
    """words: sizes of three loops, channels; each input with four strides and the distances of a window's places; the
    result and the bits with three strides."""
    sizes, channels = [word(f, 1 + k) for k in range(RANK)], word(f, 1 + RANK)
    first, wide = 2 + RANK, 3 + RANK
    inputs = [Operand(f, first + wide * k, dtype, RANK + 1) for k, (dtype, _) in enumerate(recipe.inputs)]
    tables = [_Table(f, first + wide * k + RANK + 2, recipe.places) for k in range(len(inputs))]
    first += wide * len(inputs)
    result, bits = Operand(f, first, recipe.result, RANK), Operand(f, first + 1 + RANK, recipe.bits or "uint8", RANK)
    kind = KINDS[recipe.result]

    def cell(index: list[Value], _: list[Value]) -> None:
        rows, out, won = [each.row(index) for each in inputs], result.row(index), bits.row(index)

        def block(j: Value, _: list[Value]) -> None:
            mask = f.first_lanes(f.apply("sub", channels, j))

            def at(place: Value | int) -> Value:
                values = []
                for each, row, table, (dtype, mode) in zip(inputs, rows, tables, recipe.inputs, strict=True):
                    begin = f.at(row, table[place])
                    same = mode == "same"
                    value = f.every(f.load(begin, KINDS[dtype])) if same else read(f, each, begin, j, mode, mask)
                    values.append(in_register(f, value, dtype))
                return converted(f, computed(f, values, recipe.terms)[-1], kind)

            best, which = _contest(f, recipe, at)
            f.store_some(best, f.at(out, j, kind), mask)
            if recipe.bits:
                f.store_some(converted(f, which, KINDS[recipe.bits]), f.at(won, j, KINDS[recipe.bits]), mask)

        f.loop(channels, block, step=f.lanes)

    nest(f, sizes, cell)


def _contest(f: Function, recipe: Largest, at: Callable[[Value | int], Value]) -> tuple[Value, Value]:
    """The largest number over the places and its bits; NaN is larger than all, and then all have a bit."""

    def joined(value: Value, bit: Value, held: list[Value]) -> list[Value]:
        best, bits = held
        better = f.apply("or", f.compare("ogt", value, best), f.compare("uno", value, value))
        both = f.select(f.compare("oeq", value, best), f.apply("or", bits, bit), bits)
        return [f.select(better, value, best), f.select(better, bit, both)]

    start = [at(0 if recipe.places <= _UNROLLED else count(0)), number(1, "u32", f.lanes)]
    if recipe.places <= _UNROLLED:
        for place in range(1, recipe.places):
            start = joined(at(place), number(1 << place, "u32", f.lanes), start)
    else:

        def turn(place: Value, held: list[Value]) -> list[Value]:
            bit = f.apply("shl", number(1, "u32"), f.convert("trunc", place, "u32"))
            return joined(at(place), f.every(bit), held)

        start = f.loop(count(recipe.places), turn, start, count(1))
    best, bits = start
    everyone = number((1 << recipe.places) - 1, "u32", f.lanes)
    return best, f.select(f.compare("uno", best, best), everyone, bits)


def _spread(f: Function, recipe: Spread) -> None:
    """words: sizes of three loops, channels; numbers, bits and the result with three strides; distances of the places."""
    sizes, channels = [word(f, 1 + k) for k in range(RANK)], word(f, 1 + RANK)
    v, bits, out = (
        Operand(f, 2 + RANK + k * (1 + RANK), dtype, RANK)
        for k, dtype in enumerate((recipe.dtype, recipe.bits, recipe.dtype))
    )
    table = _Table(f, 5 + 4 * RANK, recipe.places)
    kind, small = KINDS[recipe.dtype], KINDS[recipe.bits]
    zero, none = number(0, kind, f.lanes), number(0, "u32", f.lanes)

    def cell(index: list[Value], _: list[Value]) -> None:
        numbers, won, to = (each.row(index) for each in (v, bits, out))

        def block(j: Value, _: list[Value]) -> None:
            mask = f.first_lanes(f.apply("sub", channels, j))
            value = f.load_some(f.at(numbers, j, kind), kind, mask)
            which = converted(f, f.load_some(f.at(won, j, small), small, mask), "u32")

            def put(place: Value | int, bit: Value) -> None:
                here = f.select(f.compare("ne", f.apply("and", which, bit), none), value, zero)
                address = f.at(f.at(to, table[place]), j, kind)
                if recipe.adds:
                    here = f.apply("fadd", f.load_some(address, kind, mask), here)
                f.store_some(here, address, mask)

            if recipe.places <= _UNROLLED:
                for place in range(recipe.places):
                    put(place, number(1 << place, "u32", f.lanes))
            else:
                one = number(1, "u32")
                f.loop(
                    count(recipe.places),
                    lambda k, _: put(k, f.every(f.apply("shl", one, f.convert("trunc", k, "u32")))),
                )

        f.loop(channels, block, step=f.lanes)

    nest(f, sizes, cell)


class _Won:
    """words: examples, cells along two axes, filters; numbers and bits with three strides each; what was seen with three
    strides, distances of the places of the pooling window, distances of segments, how many groups of segments; the rows
    of filters, their stride; numbers of a segment; room for as many addresses as one filter can have winners, and for as
    many numbers."""

    def __init__(self, f: Function, recipe: Won):
        self.f, self.recipe, self.kind = f, recipe, KINDS[recipe.dtype]
        self.examples, self.high, self.wide, self.filters = (word(f, 1 + k) for k in range(4))
        dtypes = recipe.dtype, recipe.bits, recipe.dtype
        self.operands = [Operand(f, 5 + 4 * k, dtype, 3) for k, dtype in enumerate(dtypes)]
        self.places, self.segments, self.groups = word(f, 17, "ptr"), word(f, 18, "ptr"), word(f, 19)
        self.rows, self.stride, self.length = word(f, 20, "ptr"), word(f, 21), word(f, 22)
        self.windows, self.numbers = word(f, 23, "ptr"), word(f, 24, "ptr")
        last = f.first_lanes(f.apply("sub", self.length, count((recipe.vectors - 1) * f.lanes)))
        self.masks = ([None] * (recipe.vectors - 1) + [last if recipe.masked else None]) * recipe.segments

    def run(self) -> None:
        """Example by example, filter by filter: its winners listed, then each group of segments."""

        def one(index: list[Value], _: list[Value]) -> None:
            how_many = self.listed(*index)
            self.f.loop(self.groups, lambda group, _: self.product(index[1], group, how_many))

        nest(self.f, [self.examples, self.filters], one)

    def listed(self, example: Value, filter_: Value) -> Value:
        """Where the winners of one example and filter are and their numbers, those that are 0 left out; how many."""
        f, small = self.f, KINDS[self.recipe.bits]
        v, bits, seen = (each.row([example]) for each in self.operands)
        starts = f.at(v, filter_, self.kind), f.at(bits, filter_, small), seen

        def cell(index: list[Value], held: list[Value]) -> list[Value]:
            at = [each.row(index, start, 1) for each, start in zip(self.operands, starts, strict=True)]
            value, which = f.load(at[0], self.kind), f.convert("zext", f.load(at[1], small), "i64")
            counts = f.convert("zext", f.compare("une", value, number(0, self.kind)), "i64")

            def note(_: Value, held: list[Value]) -> list[Value]:
                rest, so_far = held
                place = f.apply("and", f.call("llvm.cttz.i64", rest, number(0, "i1")), count(31))
                f.store(f.at(at[2], f.load(f.at(self.places, place, "i64"), "i64")), f.at(self.windows, so_far, "i64"))
                f.store(value, f.at(self.numbers, so_far, self.kind))
                return [f.apply("and", rest, f.apply("sub", rest, count(1))), f.apply("add", so_far, counts)]

            rest, so_far = note(count(0), [which, *held])
            others = f.apply(
                "mul", f.intrinsic("ctpop", rest), counts
            )  # as large: rare, so that the branch is foreseen
            return f.loop(others, note, [rest, so_far])[1:]

        return nest(f, [self.high, self.wide], cell, [count(0)])[0]

    def product(self, filter_: Value, group: Value, how_many: Value) -> None:
        """One filter and group of segments: the row of the filter stays in registers."""
        f, kind, segments, kernel = self.f, self.kind, range(self.recipe.segments), self.recipe.into == "kernel"
        size = f.apply("mul", self.length, count(BITS[kind] // 8))
        first = f.apply("mul", group, count(self.recipe.segments))
        row = f.at(f.at(self.rows, f.apply("mul", filter_, self.stride)), f.apply("mul", first, size))
        own = self.vectors([f.at(row, f.apply("mul", count(s), size)) for s in segments])
        table = f.at(self.segments, first, "i64")
        shifts = [f.load(f.at(table, s, "i64"), "i64") for s in segments]
        held = [self.load(place, mask) for place, mask in zip(own, self.masks, strict=True)]

        def winner(k: Value, sums: list[Value]) -> list[Value]:
            window, value = f.load(f.at(self.windows, k, "i64"), "ptr"), f.load(f.at(self.numbers, k, kind), kind)
            parts, every = self.vectors([f.at(window, shift) for shift in shifts]), f.every(value)
            pairs = list(zip(parts, self.masks, strict=True))
            if kernel:
                return [f.fma(every, self.load(*pair), total) for pair, total in zip(pairs, sums, strict=True)]
            for pair, weight in zip(pairs, held, strict=True):
                self.store(f.fma(every, weight, self.load(*pair)), *pair)
            return []

        totals = f.loop(how_many, winner, held if kernel else [])
        for total, place, mask in zip(totals, own, self.masks, strict=False):
            self.store(total, place, mask)

    def vectors(self, begins: list[Value]) -> list[Value]:
        """Where the vectors of some segments begin."""
        return [self.f.at(each, u * self.f.lanes, self.kind) for each in begins for u in range(self.recipe.vectors)]

    def load(self, place: Value, mask: Value | None) -> Value:
        """A vector, under a mask where it is the last one."""
        return self.f.load(place, self.kind, self.f.lanes) if mask is None else self.f.load_some(place, self.kind, mask)

    def store(self, value: Value, place: Value, mask: Value | None) -> None:
        """Write one."""
        if mask is None:
            self.f.store(value, place)
        else:
            self.f.store_some(value, place, mask)
