"""Products with one or two columns, or what is left of so few beside whole vectors: vectors lie along the other axes.

Where the numbers of a row of A lie next to one another a vector lies along k, and its lanes are added up at the end; where
those of a column do (Xᵀ · dz) it lies along the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .ir import KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, word
from .products import Examples
from .vectors import reduced

MOST = 2  # columns
_HIGH = 8  # sums at a time: enough for the processor to begin one while others are under way


@dataclass(frozen=True)
class Thin:
    """A product with few columns: what `Product` says of A holds here."""

    dtype: str
    layout: str
    batch: bool = False


def kernel(name: str, recipe: Thin, make: Make) -> Function:
    """The function of a recipe.

    words: M, N, K, A, its stride in bytes, B, how far its rows lie apart, C, how far its rows lie apart, 1, how far the
    columns of B and of C lie apart, 0; of a batch, also its first example. The rows of B lie next to one another for a
    layout of "rows".
    """
    f = Function(name, [WORDS, CONTEXT], make)
    thin = _Thin(f, recipe)
    f.loop(word(f, 2), lambda c, _: thin.column(c))
    f.do("ret void")
    return f


class _Thin:
    def __init__(self, f: Function, recipe: Thin):
        self.f, self.kind, self.rows = f, KINDS[recipe.dtype], recipe.layout == "rows"
        self.M, self.K, self.A = word(f, 1), word(f, 3), word(f, 4, "ptr")
        self.examples = Examples(f, word(f, 5), recipe.batch)
        self.bases = word(f, 6, "ptr"), word(f, 8, "ptr")
        self.b_stride, self.c_stride = word(f, 7), word(f, 9)
        self.steps = word(f, 11), word(f, 12)

    def column(self, c: Value) -> None:
        """Tiles of full height, then what is left one by one."""
        f, begin = self.f, count(0)
        B, C = (f.at(base, f.apply("mul", c, step)) for base, step in zip(self.bases, self.steps, strict=True))
        one = 1 if self.rows else f.lanes  # the numbers that a sum is of
        for high in (_HIGH, 1):
            size, tile = count(high * one), self.dots if self.rows else self.vectors
            end = self.M
            if high > 1 or self.rows:
                end = f.apply("mul", f.apply("sdiv", self.M, size), size)
            f.loop(end, lambda i, _, high=high: tile(i, high, B, C), start=begin, step=high * one)  # type: ignore[misc]  # noqa: B023
            begin = end

    def dots(self, i: Value, high: int, B: Value, C: Value) -> None:
        """Rows of A times the column, along k."""
        f = self.f
        places = [f.apply("add", i, count(r)) for r in range(high)]
        starts = [f.at(self.A, self.examples.place(each)) for each in places]

        def add(k: Value, sums: list[Value]) -> list[Value]:
            mask = f.first_lanes(f.apply("sub", self.K, k))
            b = f.load_some(f.at(B, k, self.kind), self.kind, mask)
            return [
                f.fma(f.load_some(f.at(start, k, self.kind), self.kind, mask), b, held)
                for start, held in zip(starts, sums, strict=True)
            ]

        sums = f.loop(self.K, add, [number(0, self.kind, f.lanes)] * high, step=f.lanes)
        for place, held in zip(places, sums, strict=True):
            f.store(reduced(f, "add", held), f.at(C, f.apply("mul", place, self.c_stride)))

    def vectors(self, i: Value, high: int, B: Value, C: Value) -> None:
        """Vectors of rows, example by example; a single one is under a mask."""
        f, first = self.f, self.f.at(self.A, i, self.kind)
        whole = number(1, "i1", f.lanes)
        mask = whole if high > 1 else f.first_lanes(f.apply("sub", self.M, i))

        def add(k: Value, sums: list[Value]) -> Sequence[Value]:
            row = f.at(first, self.examples.place(k))
            b = f.every(f.load(f.at(B, f.apply("mul", k, self.b_stride)), self.kind))
            places = [f.at(row, v * f.lanes, self.kind) for v in range(high)]
            read = [
                f.load(each, self.kind, f.lanes) if high > 1 else f.load_some(each, self.kind, mask) for each in places
            ]
            return [f.fma(a, b, held) for a, held in zip(read, sums, strict=True)]

        sums = f.loop(self.K, add, [number(0, self.kind, f.lanes)] * high)
        for v, held in enumerate(sums):
            place = f.apply("mul", f.apply("add", i, count(v * f.lanes)), self.c_stride)
            f.store_strided(held, f.at(C, place), self.c_stride, mask)
