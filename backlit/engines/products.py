"""Matrix products in registers: tiles of rows times vectors of columns, for sizes that a BLAS is too slow to begin with.

C (M, N) = A (M, K) · B (K, N). B and C have their columns next to one another, and the last ones are done under a mask, so
nothing is padded. A number of A is loaded into every lane, so A may lie in any way: rows and columns at equal distances
(`Product`), or wherever two tables of distances say (`Windowed`), which makes a product of what the windows of a
convolution see without laying them out as a matrix first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ir import KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, word


@dataclass(frozen=True)
class Product:
    """Products of matrices one after another: their dtype, and which numbers of A lie next to one another."""

    dtype: str
    layout: str  # "rows" or "columns": a transposed matrix, the X of Xᵀ · dZ


@dataclass(frozen=True)
class Windowed:
    """Products whose A and C lie as tables of distances say; `adds`: to what C holds."""

    dtype: str
    adds: bool


def tile(make: Make, dtype: str) -> tuple[int, int]:
    """(rows, vectors) of a tile: as many sums as the registers hold beside one row of B and one number of A."""
    registers = 2 if dtype == "float64" else 1  # that a vector takes
    vectors = 2 if make.registers // registers >= 16 else 1
    return min(8, (make.registers - 1) // (registers * vectors) - 1), vectors


def product(name: str, recipe: Product | Windowed, make: Make) -> Function:
    """The function of a recipe.

    words of a Product: M, N, K, A, its stride in bytes, B, its row stride, C, its row stride, how many products, and how
    far apart their A, B and C lie. Of a Windowed: M, N, K, A, distances of its rows, of its columns, B, its row stride, C,
    distances of its rows, how many groups of examples, how far apart their A, B and C lie; how often the same A, how far
    apart the B for it, distances of the C for it.
    """
    f = Function(name, [WORDS, CONTEXT], make)
    if isinstance(recipe, Windowed):
        _Windowed(f, recipe).run()
    else:
        _Strided(f, recipe).run()
    f.do("ret void")
    return f


class _Tiles:
    """Blocks of columns, in them tiles of rows, in them the sums over k."""

    adds = False

    def __init__(self, f: Function, dtype: str):
        self.f, self.kind = f, KINDS[dtype]
        self.high, self.vectors = tile(f.make, dtype)
        self.M, self.N, self.K = (word(f, 1 + k) for k in range(3))
        self.A: Value
        self.B: Value
        self.C: Value
        self.b_stride: Value

    def rows_of_a(self, i: Value, high: int) -> list[Value]:
        """Where the rows i … i + high - 1 of A begin."""
        raise NotImplementedError

    def along(self, k: Value) -> Value:
        """How far column k of A lies from its first one."""
        raise NotImplementedError

    def row_of_c(self, i: Value) -> Value:
        """Where row i of C begins."""
        raise NotImplementedError

    def product(self) -> None:
        """Blocks of columns: whole ones, then one or two vectors under a mask."""
        f, wide = self.f, self.f.lanes * self.vectors
        whole = f.apply("mul", f.apply("sdiv", self.N, count(wide)), count(wide))
        f.loop(whole, lambda j, _: self.block(j, [None] * self.vectors), step=wide)
        rest = f.apply("sub", self.N, whole)
        for vectors in range(1, self.vectors + 1):
            low, high = count((vectors - 1) * f.lanes), count(vectors * f.lanes)
            fits = f.apply("and", f.compare("sgt", rest, low), f.compare("sle", rest, high))
            last = f.first_lanes(f.apply("sub", rest, low))
            f.when(fits, lambda masks=[None] * (vectors - 1) + [last]: self.block(whole, masks))  # type: ignore[misc]

    def block(self, j: Value, masks: Sequence[Value | None]) -> None:
        """All rows of some columns: tiles of full height, then lower ones, then single rows."""
        f, begin = self.f, count(0)
        for high in (self.high, self.high // 2, 1):
            rest = f.apply("sub", self.M, begin)
            end = f.apply("add", begin, f.apply("mul", f.apply("sdiv", rest, count(high)), count(high)))
            f.loop(end, lambda i, _, high=high: self.tile(i, j, high, masks), start=begin, step=high)  # type: ignore[misc]
            begin = end

    def tile(self, i: Value, j: Value, high: int, masks: Sequence[Value | None]) -> None:
        """The sums over k of one tile, all in registers."""
        f, columns = self.f, self.f.at(self.B, j, self.kind)
        starts = self.rows_of_a(i, high)
        results = [f.at(self.row_of_c(f.apply("add", i, count(r))), j, self.kind) for r in range(high)]
        places = [
            (f.at(row, v * f.lanes, self.kind), mask) for row in results for v, mask in enumerate(masks)
        ]  # of the sums, row by row
        zero = number(0, self.kind, f.lanes)

        def add(k: Value, sums: list[Value]) -> list[Value]:
            row, there = f.at(columns, f.apply("mul", k, self.b_stride)), self.along(k)
            loaded = [self.read(f.at(row, v * f.lanes, self.kind), mask) for v, mask in enumerate(masks)]
            new = []
            for r, start in enumerate(starts):
                a = f.every(f.load(f.at(start, there), self.kind))
                new += [f.fma(a, b, sums[r * len(masks) + v]) for v, b in enumerate(loaded)]
            return new

        begin = [self.read(*place) if self.adds else zero for place in places]
        for value, (place, mask) in zip(f.loop(self.K, add, begin), places, strict=True):
            if mask is None:
                f.store(value, place)
            else:
                f.store_some(value, place, mask)

    def read(self, place: Value, mask: Value | None) -> Value:
        f = self.f
        return f.load(place, self.kind, f.lanes) if mask is None else f.load_some(place, self.kind, mask)


class _Strided(_Tiles):
    def __init__(self, f: Function, recipe: Product):
        super().__init__(f, recipe.dtype)
        self.layout, self.item = recipe.layout, count(4 if recipe.dtype == "float32" else 8)
        self.a_stride, self.b_stride, self.c_stride = word(f, 5), word(f, 7), word(f, 9)

    def run(self) -> None:
        """One product after another."""
        f = self.f
        bases = [word(f, place, "ptr") for place in (4, 6, 8)]
        steps = [word(f, 11 + place) for place in range(3)]

        def one(e: Value, _: list[Value]) -> None:
            self.A, self.B, self.C = (
                f.at(base, f.apply("mul", e, step)) for base, step in zip(bases, steps, strict=True)
            )
            self.product()

        f.loop(word(f, 10), one)

    def rows_of_a(self, i: Value, high: int) -> list[Value]:
        f = self.f
        if self.layout == "columns":
            first = f.at(self.A, i, self.kind)
            return [f.at(first, r, self.kind) for r in range(high)]
        return [f.at(self.A, f.apply("mul", f.apply("add", i, count(r)), self.a_stride)) for r in range(high)]

    def along(self, k: Value) -> Value:
        return self.f.apply("mul", k, self.item if self.layout == "rows" else self.a_stride)

    def row_of_c(self, i: Value) -> Value:
        return self.f.at(self.C, self.f.apply("mul", i, self.c_stride))


class _Windowed(_Tiles):
    def __init__(self, f: Function, recipe: Windowed):
        super().__init__(f, recipe.dtype)
        self.adds = recipe.adds
        self.rows, self.columns, self.results = (word(f, place, "ptr") for place in (5, 6, 10))
        self.b_stride = word(f, 8)

    def run(self) -> None:
        """Group of examples by group; the same A with one B after another."""
        f = self.f
        bases = [word(f, place, "ptr") for place in (4, 7, 9)]
        steps = [word(f, 12 + place) for place in range(3)]
        next_b, shifts = word(f, 16), word(f, 17, "ptr")

        def group(e: Value, _: list[Value]) -> None:
            here = [f.at(base, f.apply("mul", e, step)) for base, step in zip(bases, steps, strict=True)]

            def one(o: Value, _: list[Value]) -> None:
                self.A, self.B = here[0], f.at(here[1], f.apply("mul", o, next_b))
                self.C = f.at(here[2], self.entry(shifts, o))
                self.product()

            f.loop(word(f, 15), one)

        f.loop(word(f, 11), group)

    def entry(self, table: Value, place: Value) -> Value:
        return self.f.load(self.f.at(table, place, "i64"), "i64")

    def rows_of_a(self, i: Value, high: int) -> list[Value]:
        f = self.f
        return [f.at(self.A, self.entry(self.rows, f.apply("add", i, count(r)))) for r in range(high)]

    def along(self, k: Value) -> Value:
        return self.entry(self.columns, k)

    def row_of_c(self, i: Value) -> Value:
        return self.f.at(self.C, self.entry(self.results, i))
