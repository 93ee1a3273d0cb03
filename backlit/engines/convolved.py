"""Products of what the windows of a convolution see, without laying them out as a matrix first."""

from __future__ import annotations

from dataclasses import dataclass

from .ir import Function, Make, Value, count
from .kernels import CONTEXT, WORDS, word
from .products import Tiles


@dataclass(frozen=True)
class Windowed:
    """Products whose A and C lie as tables of distances say; `adds`: to what C holds."""

    dtype: str
    adds: bool


def kernel(name: str, recipe: Windowed, make: Make) -> Function:
    """The function of a recipe.

    words: M, N, K, A, distances of its rows, of its columns, B, its row stride, C, distances of its rows, how many groups
    of examples, how far apart their A, B and C lie; how often the same A, how far apart the B for it, distances of the C
    for it.
    """
    f = Function(name, [WORDS, CONTEXT], make)
    _Windowed(f, recipe).run()
    f.do("ret void")
    return f


class _Windowed(Tiles):
    def __init__(self, f: Function, recipe: Windowed):
        super().__init__(f, recipe.dtype)
        self.adds = recipe.adds
        self.row_table, self.column_table, self.result_table = (word(f, place, "ptr") for place in (5, 6, 10))
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
        return [f.at(self.A, self.entry(self.row_table, f.apply("add", i, count(r)))) for r in range(high)]

    def along(self, k: Value) -> Value:
        return self.entry(self.column_table, k)

    def row_of_c(self, i: Value) -> Value:
        return self.f.at(self.C, self.entry(self.result_table, i))
