"""Products of larger matrices: A and B are first laid out in the order in which the tiles of registers read them.

C (M, N) = A (M, K) · B (K, N), for blocks of k in turn. `Laid` writes A block by block, in each block tile by tile, in each
tile the numbers of one k next to one another; it is written once and read by every part of the product. `Panels` copies a
strip of B, as many columns as a tile has and one block of k, into a few lines that stay in the innermost cache, and runs
over it all tiles of its rows. Either kernel does some rows, or rows and columns, of the whole: the parts of a row of the
table. Each number of C is summed over k in one order, whatever the parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .ir import BITS, KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, word


@dataclass(frozen=True)
class Laid:
    """A laid out; `layout`: which of its numbers lie next to one another, those of "rows" or of "columns"."""

    dtype: str
    layout: str


@dataclass(frozen=True)
class Panels:
    """The product; `layout`: which numbers of B lie next to one another."""

    dtype: str
    layout: str


def shape(make: Make, dtype: str) -> tuple[int, int]:
    """(rows, vectors) of a tile; rows are a power of two, so that `interleaved` can lay them out."""
    many = make.registers >= 32
    if dtype == "float64":  # whose vectors take two registers each
        return (8 if many else 4), 1
    return (8, 2) if many else (4, 3)


def heights(make: Make, dtype: str) -> list[int]:
    """Of whole tiles, then of the lower ones for the rows that are left."""
    high = shape(make, dtype)[0]
    return [high >> n for n in range(high.bit_length())]


def kernel(name: str, recipe: Laid | Panels, make: Make) -> Function:
    """The function of a recipe."""
    f = Function(name, [WORDS, CONTEXT], make)
    if isinstance(recipe, Laid):
        _laid(f, recipe)
    else:
        _Panels(f, recipe).run()
    f.do("ret void")
    return f


def interleaved(f: Function, vectors: Sequence[Value], turns: int) -> list[Value]:
    """Two to the `turns` rows of numbers, in `vectors`, the first number of every row first, then the second ones, …"""
    here, half, lanes = list(vectors), len(vectors) // 2, f.lanes
    for _ in range(turns):
        new = []
        for a, b in zip(here[:half], here[half:], strict=True):
            for begin in (0, lanes // 2):
                places = ", ".join(f"i32 {begin + i // 2 + lanes * (i % 2)}" for i in range(lanes))
                new.append(f.value(f"shufflevector {a}, {b}, <{lanes} x i32> <{places}>", a.kind, lanes))
        here = new
    return here


def _tiles(f: Function, make_tile: Callable[[Value, int], None], first: Value, last: Value, dtype: str) -> None:
    """Whole tiles of the rows `first` … `last` - 1, then lower ones."""
    begin = first
    for high in heights(f.make, dtype):
        rest = f.apply("sub", last, begin)
        end = f.apply("add", begin, f.apply("mul", f.apply("sdiv", rest, count(high)), count(high)))
        f.loop(end, lambda i, _, high=high: make_tile(i, high), start=begin, step=high)  # type: ignore[misc]
        begin = end


def _blocks(f: Function, K: Value, most: Value, body: Callable[[Value, Value], None]) -> None:
    """Blocks of at most `most` k: `body(first, how many)`."""
    blocks = f.apply("sdiv", f.apply("add", K, f.apply("sub", most, count(1))), most)

    def block(n: Value, _: list[Value]) -> None:
        first = f.apply("mul", n, most)
        body(first, f.intrinsic("smin", most, f.apply("sub", K, first)))

    f.loop(blocks, block)


def _laid(f: Function, recipe: Laid) -> None:
    """words: first row, behind the last one, M, K, numbers of a block, A, its row stride, its column stride, where to."""
    kind, lanes = KINDS[recipe.dtype], f.lanes
    first, last, M, K, most = (word(f, 1 + k) for k in range(5))
    A, down, along, out = word(f, 6, "ptr"), word(f, 7), word(f, 8), word(f, 9, "ptr")

    def block(k0: Value, depth: Value) -> None:
        def tile(i: Value, high: int) -> None:
            to = f.at(out, f.apply("add", f.apply("mul", k0, M), f.apply("mul", i, depth)), kind)
            start = f.at(f.at(A, f.apply("mul", i, down)), f.apply("mul", k0, along))
            rows = [f.at(start, f.apply("mul", count(r), down)) for r in range(high)]

            def some(k: Value, _: list[Value]) -> None:
                """As many k as a vector has lanes, of rows whose numbers lie next to one another."""
                rest = f.apply("sub", depth, k)
                mask = f.first_lanes(rest)
                read = [f.load_some(f.at(row, k, kind), kind, mask) for row in rows]
                begin, valid = f.at(to, f.apply("mul", k, count(high)), kind), f.apply("mul", rest, count(high))
                for n, vector in enumerate(interleaved(f, read, high.bit_length() - 1)):
                    left = f.first_lanes(f.apply("sub", valid, count(n * lanes)))
                    f.store_some(vector, f.at(begin, n * lanes, kind), left)

            def one(k: Value, _: list[Value]) -> None:
                """One k of columns whose numbers lie next to one another."""
                mask = f.first_lanes(count(high))
                value = f.load_some(f.at(start, f.apply("mul", k, along)), kind, mask)
                f.store_some(value, f.at(to, f.apply("mul", k, count(high)), kind), mask)

            if recipe.layout == "rows":
                f.loop(depth, some, step=lanes)
            else:
                f.loop(depth, one)

        _tiles(f, tile, first, last, recipe.dtype)

    _blocks(f, K, most, block)


class _Panels:
    """words: first row, behind the last one, first column, behind the last one, M, K, numbers of a block, A laid out, B,
    its row stride, its column stride, C, its row stride, room for a strip."""

    def __init__(self, f: Function, recipe: Panels):
        self.f, self.recipe, self.kind = f, recipe, KINDS[recipe.dtype]
        self.vectors = shape(f.make, recipe.dtype)[1]
        self.wide = self.vectors * f.lanes
        self.rows, self.columns = (word(f, 1), word(f, 2)), (word(f, 3), word(f, 4))
        self.M, self.K, self.most = (word(f, 5 + k) for k in range(3))
        self.A, self.B, self.b_down, self.b_along = word(f, 8, "ptr"), word(f, 9, "ptr"), word(f, 10), word(f, 11)
        self.C, self.c_down, self.strip = word(f, 12, "ptr"), word(f, 13), word(f, 14, "ptr")

    def run(self) -> None:
        """Blocks of k, in them strips of columns, in them tiles."""
        f = self.f

        def block(k0: Value, depth: Value) -> None:
            def strip(j: Value, _: list[Value]) -> None:
                rest = f.apply("sub", self.columns[1], j)
                masks = [f.first_lanes(f.apply("sub", rest, count(v * f.lanes))) for v in range(self.vectors)]
                start = f.at(f.at(self.B, f.apply("mul", k0, self.b_down)), f.apply("mul", j, self.b_along))
                if self.recipe.layout == "rows":
                    f.loop(depth, lambda k, _: self.copy(k, start, masks))
                else:
                    f.loop(depth, lambda k, _: self.turn(k, start, depth, rest), step=f.lanes)
                # the sums so far; nothing in the first block, where C holds anything
                held = f.every(f.compare("ne", k0, count(0)))
                old = [f.apply("and", mask, held) for mask in masks]
                _tiles(f, lambda i, high: self.tile(i, high, j, k0, depth, masks, old), *self.rows, self.recipe.dtype)

            f.loop(self.columns[1], strip, start=self.columns[0], step=self.wide)

        _blocks(f, self.K, self.most, block)

    def copy(self, k: Value, start: Value, masks: Sequence[Value]) -> None:
        """Row k of a strip whose rows lie in one piece."""
        f = self.f
        read, write = f.at(start, f.apply("mul", k, self.b_down)), f.apply("mul", k, count(self.wide))
        for v, mask in enumerate(masks):
            value = f.load_some(f.at(read, v * f.lanes, self.kind), self.kind, mask)
            f.store(value, f.at(f.at(self.strip, write, self.kind), v * f.lanes, self.kind))

    def turn(self, k: Value, start: Value, depth: Value, rest: Value) -> None:
        """As many k as a vector has lanes, of a strip whose columns lie in one piece. What is behind the last column or the
        last k is not read; what is written there is read by nothing that is stored."""
        f, lanes = self.f, self.f.lanes
        mask = f.first_lanes(f.apply("sub", depth, k))
        for v in range(self.vectors):
            read = []
            for lane in range(lanes):
                column = count(v * lanes + lane)
                inside = f.every(f.compare("slt", column, rest))
                place = f.at(f.at(start, f.apply("mul", column, self.b_along)), k, self.kind)
                read.append(f.load_some(place, self.kind, f.apply("and", mask, inside)))
            for n, vector in enumerate(interleaved(f, read, lanes.bit_length() - 1)):
                row = f.apply("mul", f.apply("add", k, count(n)), count(self.wide))
                f.store(vector, f.at(f.at(self.strip, row, self.kind), v * lanes, self.kind))

    def tile(
        self, i: Value, high: int, j: Value, k0: Value, depth: Value, masks: Sequence[Value], old: Sequence[Value]
    ) -> None:
        """The sums over a block of k, added to those of the blocks before."""
        f, kind, lanes = self.f, self.kind, self.f.lanes
        a = f.at(self.A, f.apply("add", f.apply("mul", k0, self.M), f.apply("mul", i, depth)), kind)
        corner = f.at(f.at(self.C, f.apply("mul", i, self.c_down)), j, kind)
        results = [f.at(corner, f.apply("mul", count(r), self.c_down)) for r in range(high)]
        places = [f.at(row, v * lanes, kind) for row in results for v in range(self.vectors)]

        def add(k: Value, sums: list[Value]) -> list[Value]:
            left = f.at(a, f.apply("mul", k, count(high)), kind)
            right = f.at(self.strip, f.apply("mul", k, count(self.wide)), kind)
            row = [f.load(f.at(right, v * lanes, kind), kind, lanes) for v in range(self.vectors)]
            new = []
            for r in range(high):
                each = f.every(f.load(f.at(left, r, kind), kind))
                new += [f.fma(each, b, sums[r * self.vectors + v]) for v, b in enumerate(row)]
            return new

        zero = [number(0, kind, lanes)] * len(places)
        sums = f.loop(depth, add, zero)
        for n, (total, place) in enumerate(zip(sums, places, strict=True)):
            v = n % self.vectors
            f.store_some(f.apply("fadd", f.load_some(place, kind, old[v]), total), place, masks[v])


def block(K: int, dtype: str, make: Make) -> int:
    """How many k go into one block: equal blocks, a strip of which and a tile's rows fit into a cache of 32 KB."""
    wide = shape(make, dtype)[1] * make.lanes * BITS[KINDS[dtype]] // 8
    most = (1 << 15) // wide
    return -(-K // -(-K // most))
