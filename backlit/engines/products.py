"""Matrix products in registers: tiles of rows times vectors of columns, for sizes that a BLAS is too slow to begin with.

C (M, N) = A (M, K) · B (K, N). B and C have their columns next to one another. A is read by rows ("rows": its columns lie
next to one another) or by columns ("columns": a transposed matrix, the X of Xᵀ · dZ). The last columns are done under a
mask, so nothing is padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ir import KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, word


@dataclass(frozen=True)
class Product:
    """One kind of product: the dtype, and how A lies."""

    dtype: str
    layout: str  # "rows" or "columns"


def tile(make: Make, dtype: str) -> tuple[int, int]:
    """(rows, vectors) of a tile: as many sums as the registers hold beside one row of B and one number of A."""
    registers = 2 if dtype == "float64" else 1  # that a vector takes
    vectors = 2 if make.registers // registers >= 16 else 1
    return min(8, (make.registers - 1) // (registers * vectors) - 1), vectors


def product(name: str, recipe: Product, make: Make) -> Function:
    """The function of a recipe. words: M, N, K, A, its stride in bytes, B, its row stride, C, its row stride."""
    f = Function(name, [WORDS, CONTEXT], make)
    _Tiles(f, recipe).all()
    f.do("ret void")
    return f


class _Tiles:
    def __init__(self, f: Function, recipe: Product):
        self.f, self.kind, self.layout = f, KINDS[recipe.dtype], recipe.layout
        self.rows, self.vectors = tile(f.make, recipe.dtype)
        self.M, self.N, self.K = (word(f, 1 + k) for k in range(3))
        self.A, self.a_stride = word(f, 4, "ptr"), word(f, 5)
        self.B, self.b_stride = word(f, 6, "ptr"), word(f, 7)
        self.C, self.c_stride = word(f, 8, "ptr"), word(f, 9)

    def all(self) -> None:
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
        """All rows of some columns: tiles of full height, then single rows."""
        f = self.f
        high = self.rows * self.vectors // len(masks)
        full = f.apply("mul", f.apply("sdiv", self.M, count(high)), count(high))
        f.loop(full, lambda i, _: self.tile(i, j, high, masks), step=high)
        f.loop(self.M, lambda i, _: self.tile(i, j, 1, masks), start=full)

    def tile(self, i: Value, j: Value, high: int, masks: Sequence[Value | None]) -> None:
        """The sums over k of one tile, all in registers."""
        f, zero = self.f, number(0, self.kind, self.f.lanes)
        columns = f.at(self.B, j, self.kind)
        if self.layout == "rows":
            starts = [f.at(self.A, f.apply("mul", f.apply("add", i, count(r)), self.a_stride)) for r in range(high)]
        else:
            starts = [f.at(self.A, i, self.kind)]

        def add(k: Value, sums: list[Value]) -> list[Value]:
            row = f.at(columns, f.apply("mul", k, self.b_stride))
            loaded = [self.read(f.at(row, v * f.lanes, self.kind), mask) for v, mask in enumerate(masks)]
            if self.layout == "rows":
                places = [f.at(start, k, self.kind) for start in starts]
            else:
                here = f.at(starts[0], f.apply("mul", k, self.a_stride))
                places = [f.at(here, r, self.kind) for r in range(high)]
            new = []
            for r, place in enumerate(places):
                a = f.every(f.load(place, self.kind))
                new += [f.fma(a, b, sums[r * len(masks) + v]) for v, b in enumerate(loaded)]
            return new

        sums = f.loop(self.K, add, [zero] * (high * len(masks)))
        for r in range(high):
            row = f.at(f.at(self.C, f.apply("mul", f.apply("add", i, count(r)), self.c_stride)), j, self.kind)
            for v, mask in enumerate(masks):
                place, value = f.at(row, v * f.lanes, self.kind), sums[r * len(masks) + v]
                if mask is None:
                    f.store(value, place)
                else:
                    f.store_some(value, place, mask)

    def read(self, place: Value, mask: Value | None) -> Value:
        f = self.f
        return f.load(place, self.kind, f.lanes) if mask is None else f.load_some(place, self.kind, mask)
