"""Matrix products in registers: tiles of rows times vectors of columns, for sizes that a BLAS is too slow to begin with.

C (M, N) = A (M, K) · B (K, N). B and C have their columns next to one another, and the last ones are done under a mask, so
nothing is padded. A number of A is loaded into every lane, so A may lie in any way: here rows and columns at equal
distances, in `convolved` wherever the windows of a convolution lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ir import KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, word


@dataclass(frozen=True)
class Product:
    """Products of matrices one after another: their dtype, and which numbers of A lie next to one another.

    With `batch` the examples are read where they lie in the data: each row (or column, in a transposed matrix) of A is the
    one that the permutation says.
    """

    dtype: str
    layout: str  # "rows" or "columns": a transposed matrix, the X of Xᵀ · dZ
    batch: bool = False


def tile(make: Make, dtype: str) -> tuple[int, int]:
    """(rows, vectors) of a tile: as many sums as the registers hold beside one row of B and one number of A."""
    registers = 2 if dtype == "float64" else 1  # that a vector takes
    vectors = 2 if make.registers // registers >= 16 else 1
    return min(8, (make.registers - 1) // (registers * vectors) - 1), vectors


def product(name: str, recipe: Product, make: Make) -> Function:
    """The function of a recipe.

    words: M, N, K, A, its stride in bytes, B, its row stride, C, its row stride, how many products, and how far apart
    their A, B and C lie; of a batch, also its first example.
    """
    f = Function(name, [WORDS, CONTEXT], make)
    _Strided(f, recipe).run()
    f.do("ret void")
    return f


class Examples:
    """How far the examples of A lie from its first one: at equal distances, or as the permutation says."""

    def __init__(self, f: Function, stride: Value, batch: bool):
        self.f, self.stride = f, stride
        self.order: Value | None = None
        if batch:
            order, first = f.load(f.at(CONTEXT, 2, "i64"), "ptr"), f.load(CONTEXT, "i64")
            self.order = f.at(order, f.apply("add", first, word(f, 14)), "i64")

    def place(self, which: Value) -> Value:
        """How far an example lies from A."""
        if self.order is not None:
            which = self.f.load(self.f.at(self.order, which, "i64"), "i64")
        return self.f.apply("mul", which, self.stride)


@dataclass(frozen=True)
class Columns:
    """Columns that are done in one vector: the first one, how many, and which of them there are."""

    begin: int
    lanes: int
    mask: Value | None


class Tiles:
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
        """Blocks of columns: whole ones, then what is left, of which the last vector is under a mask."""
        f, wide = self.f, self.f.lanes * self.vectors
        whole = f.apply("mul", f.apply("sdiv", self.N, count(wide)), count(wide))
        f.loop(whole, lambda j, _: self.block(j, self.vectors_of(wide)), step=wide)
        rest, least = f.apply("sub", self.N, whole), f.make.least
        for end in range(least, wide + 1, least):
            fits = f.apply("and", f.compare("sgt", rest, count(end - least)), f.compare("sle", rest, count(end)))
            f.when(fits, lambda end=end: self.block(whole, self.vectors_of(end, rest)))  # type: ignore[misc]

    def vectors_of(self, end: int, there: Value | None = None) -> list[Columns]:
        """Vectors of as many columns as `end`, of which not more than `there` are."""
        f = self.f
        lanes = f.lanes if end % f.lanes == 0 else f.make.least
        last = end - lanes
        mask = None if there is None else f.first_lanes(f.apply("sub", there, count(last)), lanes)
        return [Columns(begin, lanes, None if begin < last else mask) for begin in range(0, end, lanes)]

    def block(self, j: Value, columns: Sequence[Columns]) -> None:
        """All rows of some columns: tiles of full height, then lower ones, then single rows."""
        f, begin = self.f, count(0)
        for high in (self.high, self.high // 2, 1):
            rest = f.apply("sub", self.M, begin)
            end = f.apply("add", begin, f.apply("mul", f.apply("sdiv", rest, count(high)), count(high)))
            f.loop(end, lambda i, _, high=high: self.tile(i, j, high, columns), start=begin, step=high)  # type: ignore[misc]
            begin = end

    def tile(self, i: Value, j: Value, high: int, columns: Sequence[Columns]) -> None:
        """The sums over k of one tile, all in registers."""
        f, first = self.f, self.f.at(self.B, j, self.kind)
        starts = self.rows_of_a(i, high)
        results = [f.at(self.row_of_c(f.apply("add", i, count(r))), j, self.kind) for r in range(high)]
        places = [(f.at(row, each.begin, self.kind), each) for row in results for each in columns]

        def add(k: Value, sums: list[Value]) -> list[Value]:
            row, there = f.at(first, f.apply("mul", k, self.b_stride)), self.along(k)
            loaded = [self.read(f.at(row, each.begin, self.kind), each) for each in columns]
            new = []
            for r, start in enumerate(starts):
                a = f.load(f.at(start, there), self.kind)
                new += [f.fma(f.every(a, b.lanes), b, sums[r * len(columns) + v]) for v, b in enumerate(loaded)]
            return new

        begin = [self.read(place, each) if self.adds else number(0, self.kind, each.lanes) for place, each in places]
        for value, (place, each) in zip(f.loop(self.K, add, begin), places, strict=True):
            if each.mask is None:
                f.store(value, place)
            else:
                f.store_some(value, place, each.mask)

    def read(self, place: Value, columns: Columns) -> Value:
        """Some neighbouring numbers."""
        if columns.mask is None:
            return self.f.load(place, self.kind, columns.lanes)
        return self.f.load_some(place, self.kind, columns.mask)


class _Strided(Tiles):
    def __init__(self, f: Function, recipe: Product):
        super().__init__(f, recipe.dtype)
        self.layout, self.item = recipe.layout, count(4 if recipe.dtype == "float32" else 8)
        self.a_stride, self.b_stride, self.c_stride = word(f, 5), word(f, 7), word(f, 9)
        self.examples = Examples(f, self.a_stride, recipe.batch)

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
        return [f.at(self.A, self.examples.place(f.apply("add", i, count(r)))) for r in range(high)]

    def along(self, k: Value) -> Value:
        return self.f.apply("mul", k, self.item) if self.layout == "rows" else self.examples.place(k)

    def row_of_c(self, i: Value) -> Value:
        return self.f.at(self.C, self.f.apply("mul", i, self.c_stride))
