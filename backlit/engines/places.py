"""Kernels that read or write at places which are numbers themselves: rows of a table by id, the largest of a row, batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .ir import KINDS, Function, Make, Value, count, number
from .kernels import CONTEXT, WORDS, Operand, word
from .vectors import converted, emit


@dataclass(frozen=True)
class Gathered:
    """The rows of a batch out of a column, by the permutation."""

    source: str
    result: str


@dataclass(frozen=True)
class Extreme:
    """The place of the largest or smallest number along one axis."""

    source: str
    function: str  # "argmax" or "argmin"


@dataclass(frozen=True)
class Taken:
    """Parts of an array by ids ("gather"), or parts added up by ids ("scatter_add")."""

    dtype: str
    ids: str
    adds: bool


def kernel(name: str, recipe: Any, make: Make) -> Function:
    """The function of a recipe."""
    f = Function(name, [WORDS, CONTEXT], make)
    emitters: dict[type, Callable[[Function, Any], None]] = {Extreme: _extreme, Taken: _taken, Gathered: _gathered}
    emitters[type(recipe)](f, recipe)
    f.do("ret void")
    return f


def _extreme(f: Function, recipe: Extreme) -> None:
    """words: outer, numbers, inner, source with three strides, result; the first of equals, or of NaNs."""
    sizes = [word(f, 1 + axis) for axis in range(3)]
    source, result, kind = Operand(f, 4, recipe.source, 3), word(f, 8, "ptr"), KINDS[recipe.source]
    beyond = "gt" if recipe.function == "argmax" else "lt"

    def one(outer: Value, inner: Value) -> None:
        begin = source.row([outer, count(0), inner])

        def number_by_number(j: Value, held: list[Value]) -> list[Value]:
            best, place = held
            here = f.load(f.at(begin, f.apply("mul", j, source.strides[1])), kind)
            if not here.floats:
                better = f.compare(("u" if here.unsigned else "s") + beyond, here, best)
            else:  # NaN is beyond all numbers, and nothing beyond it
                better = f.apply("and", f.compare("u" + beyond, here, best), f.compare("ord", best, best))
            return [f.select(better, here, best), f.select(better, j, place)]

        found = f.loop(sizes[1], number_by_number, [f.load(begin, kind), count(0)], start=count(1))
        at = f.apply("add", f.apply("mul", outer, sizes[2]), inner)
        f.store(found[1], f.at(result, at, "i64"))

    f.loop(sizes[0], lambda outer, _: f.loop(sizes[2], lambda inner, _: one(outer, inner)) and None)


def _taken(f: Function, recipe: Taken) -> None:
    """words: outer parts, ids, numbers a part, whole with strides of outer part and id, ids, parts with the same two
    strides, how many ids there are. The first id that is none of them is left in the context (4: 1 + its row's number is
    not known here, so 1; 5: the id), and the step is not committed."""
    outer, total, numbers = (word(f, 1 + place) for place in range(3))
    whole, ids, part = Operand(f, 4, recipe.dtype, 2), word(f, 7, "ptr"), Operand(f, 8, recipe.dtype, 2)
    limit, kind = word(f, 11), KINDS[recipe.dtype]

    def one(o: Value, i: Value) -> None:
        place = converted(f, f.load(f.at(ids, i, KINDS[recipe.ids]), KINDS[recipe.ids]), "i64")
        inside = f.compare("ult", place, limit)
        f.when(f.apply("xor", inside, number(1, "i1")), lambda: wrong(place))
        f.when(inside, lambda: copy(whole.row([o, place]), part.row([o, i])))

    def wrong(place: Value) -> None:
        f.store(count(1), f.at(CONTEXT, 4, "i64"))
        f.store(place, f.at(CONTEXT, 5, "i64"))

    def copy(whole: Value, part: Value) -> None:
        def block(j: Value, _: list[Value]) -> None:
            mask = f.first_lanes(f.apply("sub", numbers, j))
            read, write = (part, whole) if recipe.adds else (whole, part)
            value, to = f.load_some(f.at(read, j, kind), kind, mask), f.at(write, j, kind)
            if recipe.adds:
                value = emit(f, "add", [f.load_some(to, kind, mask), value])
            f.store_some(value, to, mask)

        f.loop(numbers, block, step=f.lanes)

    f.loop(outer, lambda o, _: f.loop(total, lambda i, _: one(o, i)) and None)


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
