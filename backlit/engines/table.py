"""Rows of kernels and Python calls in order, and the plan of a step ready to be run many times in machine code."""

from __future__ import annotations

import ctypes
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from copy import copy
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from ..core.errors import ValueRangeError
from ..core.node import Leaf
from .base import Array, Arrays, Source
from .kernels import DTYPES, Fed, Steps, Told
from .objects import machine
from .parts import TEAM, Parts, Series
from .places import Gathered
from .products import Product
from .team import team
from .thin import Thin


class Row:
    """One row of the table: which kernel, and its words. Addresses of arrays stand nowhere else than in the words."""

    def __init__(self, recipe: Any, words: Sequence[int]):
        self.recipe, self.words = recipe, words

    @property
    def recipes(self) -> list[Any]:
        """What machine code has to be there for it."""
        return [self.recipe]

    def placed(self, addresses: Mapping[Any, int]) -> list[int]:
        """The row as it stands in a table."""
        return [addresses[self.recipe], *self.words]


class Shared(Row):
    """Rows that may run at the same time, as one, and a row for when they are done. They stand right behind it."""

    def __init__(self, parts: Sequence[Row], last: Row | None = None):
        super().__init__(Parts(), [])
        self.parts, self.last = parts, last

    @classmethod
    def series(cls, parts: Sequence[Row]) -> Shared:
        """Rows that are done one after the other, as one part of another."""
        made = cls(parts)
        made.recipe = Series()
        return made

    def of(self, parts: Sequence[Row]) -> Shared:
        """The same of other parts."""
        made = copy(self)
        made.parts = parts
        return made

    @property
    def rows(self) -> list[Row]:
        """What stands behind it."""
        return [*([] if self.last is None else [self.last]), *self.parts]

    @property
    def recipes(self) -> list[Any]:
        """Those of its rows, and what calls them."""
        return [self.recipe, *_recipes(self.rows)]

    def placed(self, addresses: Mapping[Any, int]) -> list[int]:
        """How many parts, where the rows begin, then the rows."""
        rows = [each.placed(addresses) for each in self.rows]
        head = 3 + len(self.parts)
        begins = [8 * begin for begin in itertools.accumulate((len(each) for each in rows[:-1]), initial=head)]
        last = [0] if self.last is None else []
        return [addresses[self.recipe], len(self.parts), *last, *begins, *itertools.chain.from_iterable(rows)]


def _recipes(rows: Iterable[Row]) -> list[Any]:
    return [recipe for each in rows for recipe in each.recipes]


class Table:
    """Calls in order: stretches of rows, their words one behind the other in one array, and Python calls between them."""

    def __init__(self, calls: Sequence[Any], addresses: Mapping[Any, int]):
        words: list[int] = []
        begins: list[int] = []
        self.stretches: list[Any] = []  # of rows, from which on and to which; or a call
        for call in calls:
            if not isinstance(call, Row):
                self.stretches.append(call)
                continue
            place = len(begins)
            if self.stretches and isinstance(self.stretches[-1], slice):
                place = self.stretches.pop().start
            begins.append(len(words))
            words += call.placed(addresses)
            self.stretches.append(slice(place, len(begins)))
        self.words = np.array(words, dtype=np.int64)
        self.begins = np.array(begins, dtype=np.int64)

    def rows(self, words: Array | None = None) -> Array:
        """Where the rows begin, with these words instead of its own."""
        return (self.words if words is None else words).ctypes.data + self.begins * self.words.itemsize

    @cached_property
    def sides(self) -> list[Any]:
        """For every stretch where it stands that it is one step's, or the call."""
        self.held = self.rows()
        first = self.held.ctypes.data
        about = [
            [first + 8 * each.start, each.stop - each.start, 0, 0] for each in self.stretches if isinstance(each, slice)
        ]
        self.about = np.array(about, dtype=np.int64).reshape(-1, 4)
        places = itertools.count(self.about.ctypes.data, self.about.strides[0])
        return [next(places) if isinstance(each, slice) else each for each in self.stretches]

    @property
    def machine_code(self) -> bool:
        """Whether nothing of it is a Python call."""
        return all(isinstance(each, slice) for each in self.stretches)


class Places:
    """Pairs of arrays, each of which may stand for the other: the slots, and where the next values are written."""

    def __init__(self, pairs: Sequence[tuple[Array, Array]]):
        two = [(one, other) for pair in pairs for one, other in (pair, pair[::-1]) if one.size]
        ordered = sorted((one.ctypes.data, one.nbytes, other.ctypes.data) for one, other in two)
        about = np.array(ordered, dtype=np.int64).reshape(-1, 3)
        self.begins, self.lengths, self.targets = about[:, 0], about[:, 1], about[:, 2]
        whole = all(each.flags.c_contiguous for pair in pairs for each in pair)
        apart = bool(np.all(self.begins[:-1] + self.lengths[:-1] <= self.begins[1:]))
        self.known = bool(pairs) and whole and apart and len(about) > 0 and int(self.begins[0]) >= _NO_SIZE

    def exchanged(self, words: Array) -> Array:
        """The words with every address in one array of a pair turned into that in the other one."""
        at = np.maximum(np.searchsorted(self.begins, words, side="right") - 1, 0)
        inside = (words >= self.begins[at]) & (words < self.begins[at] + self.lengths[at])
        return np.where(inside, words - self.begins[at] + self.targets[at], words)


_NO_SIZE = 2**36  # from here on a word can only be an address
_ROOM = 64  # steps of a run for which there is room at first
_STEPS = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64
)


class Tabled:
    """A plan with its tables, ready to be run.

    A step of a longer run does not copy what it commits: two tables take turns, of which one reads the slots and writes the
    new values beside them, the other one reads there and writes into the slots.
    """

    def __init__(self, plan: Any):
        self.plan = plan
        rows = [each for each in (*plan.before, *plan.after) if isinstance(each, Row)]
        addresses = machine().addresses([Steps(), *_recipes(rows)])
        self.before, self.after = Table(plan.before, addresses), Table(plan.after, addresses)
        self.late = Table(plan.after[: len(plan.after) - len(plan.commits)], addresses)  # what copies nothing
        self.loop = _STEPS(addresses[Steps()])
        self.context = np.zeros(8, dtype=np.int64)
        self.context_at = self.context.ctypes.data
        self.shares = any(isinstance(each, Shared) for each in rows)
        self.gate = 0 if plan.gate is None else plan.gate.ctypes.data
        self.source: Any = lambda: None  # for which the tables were made, as long as it is there
        self.key: Any = None  # where its columns lay
        self.told: Array = np.zeros((0, 0))
        self.pairs = [(leaf.array, beside) for leaf, beside in plan.beside.items()]
        self.places = Places(self.pairs)
        self.held: list[Array] = []  # what `sides` points at

    @property
    def machine_code(self) -> bool:
        """Whether a whole step is machine code."""
        return self.before.machine_code and self.after.machine_code

    def step(self) -> bool:
        """Run once on what is in the plan's inputs; returns whether the updates were committed."""
        self.context[4] = 0
        with self._helped():
            self._through(self.before)
            if self.plan.gate is not None and not self.plan.gate[()]:
                return False
            self._through(self.after)
            return True

    def _helped(self) -> AbstractContextManager[None]:
        """With the helpers of the team, where a row is done in parts."""
        return self._with_helpers() if self.shares else nullcontext()

    @contextmanager
    def _with_helpers(self) -> Iterator[None]:
        with team().at_work() as place:
            self.context[TEAM] = place
            try:
                yield
            finally:
                self.context[TEAM] = 0

    def _through(self, table: Table) -> None:
        for part in table.sides:
            if isinstance(part, int):
                self.loop(part, self.context_at, 1, 0, 0, 0)
                self._refuse()
            else:
                part()

    def alone(self, calls: Sequence[Any]) -> tuple[Callable[[], None], int]:
        """A function that performs these calls of the plan by themselves, and how often: a call costs some microseconds."""
        rows = [each for each in calls if isinstance(each, Row)]
        times = 16 if len(rows) == len(calls) else 1
        table = Table([*calls] * times, machine().addresses(_recipes(rows)))

        def run() -> None:
            with self._helped():
                self._through(table)

        return run, times

    def _refuse(self) -> None:
        """A row met an id that is none: the step was not committed."""
        if self.context[4]:
            raise ValueRangeError("gather: an id is out of range.", found=str(self.context[5]))

    def steps(self, source: Arrays, start: int, table: Array, scalars: Mapping[Leaf, Array]) -> int:
        """As many steps as `table` has rows, from step `start` on; returns how many were committed."""
        count = len(table)
        if self.source() is not source or count > len(self.told):
            self._for(source, count, scalars)
        for vector, given in zip(self.vectors, scalars.values(), strict=True):
            vector[:count] = given
        order = np.arange(source.length) if source.order is None else source.order
        self.context[:5] = source.begin(start), self.plan.rows or 0, order.ctypes.data, 0, 0
        turns = count > 1 and self.places.known
        sides = self.sides_at[turns]
        with self._helped():
            committed = int(self.loop(sides, self.context_at, count, self.gate, source.rows(start), turns))
        if turns and committed % 2:
            for slot, beside in self.pairs:
                slot[...] = beside
        self._refuse()
        table[...] = self.told[:count]
        return committed

    def _for(self, source: Arrays, count: int, scalars: Mapping[Leaf, Array]) -> None:
        """The rows of a step (the batch, its scalars, the plan, its outputs), made anew where these lie elsewhere."""
        self.source = weakref.ref(source)
        key = tuple((each.ctypes.data, each.strides[0], each.dtype.str) for each in source.columns)
        if key == self.key and count <= len(self.told):
            return
        plan = self.plan
        columns = list(zip(source.columns, [leaf for leaf in plan.inputs if leaf not in scalars], strict=True))
        self.told = np.zeros((max(count, _ROOM), len(plan.outputs)))
        self.vectors = [np.zeros(len(self.told)) for _ in scalars]
        calls, gathers = plan.before, []
        for column, leaf in columns:
            there = None if self._reads_late(plan.inputs[leaf]) else in_place(calls, column, plan.inputs[leaf])
            calls = there or calls
            gathers += [] if there else [_gather(column, plan.inputs[leaf])]
        fed = [
            Row(Fed(leaf.dtype), [vector.ctypes.data, plan.inputs[leaf].ctypes.data])
            for leaf, vector in zip(scalars, self.vectors, strict=True)
        ]
        told = [
            Row(Told(str(value.dtype)), [value.ctypes.data, self.told[:, k:].ctypes.data, self.told.strides[0]])
            for k, value in enumerate(plan.outputs)
        ]
        addresses = machine().addresses(_recipes((*gathers, *fed, *calls, *told)))
        self.whole = Table([*gathers, *fed, *calls, *told], addresses)
        self.held = []
        self.sides = self._one_side(), self._two_sides()
        self.sides_at = [each.ctypes.data for each in self.sides]
        self.key = key

    def _reads_late(self, buffer: Array) -> bool:
        """Whether a row that runs once the gate is open reads a batch."""
        far = self.after.words - buffer.ctypes.data
        return bool(np.any((far >= 0) & (far < buffer.nbytes)))

    def _one_side(self) -> Array:
        """Every step on the same rows, committed by copies."""
        return self._sides([(self.whole.rows(), self.after.rows())])

    def _two_sides(self) -> Array:
        """The rows as they stand, and those with the slots and the places beside them exchanged; nothing is copied."""
        if not self.places.known:
            return self._one_side()
        other = self.places.exchanged(self.whole.words)
        self.held.append(other)
        late = self.places.exchanged(self.late.words)
        self.held.append(late)
        one, two = (self.whole.rows(), self.late.rows()), (self.whole.rows(other), self.late.rows(late))
        return self._sides([one, two])

    def _sides(self, sides: Sequence[tuple[Array, Array]]) -> Array:
        self.held += [each for side in sides for each in side]
        return np.array([word for side in sides for each in side for word in (each.ctypes.data, len(each))], np.int64)


def in_place(calls: Sequence[Any], column: Array, buffer: Array) -> list[Any] | None:
    """The calls with a batch read where its examples lie in `column`, not in `buffer`; None where some need them side by side.

    A product takes its first factor from anywhere.
    """
    if column.ndim < 2 or column.dtype != buffer.dtype:
        return None
    begin, length, stride = buffer.ctypes.data, buffer.nbytes, buffer.strides[0]

    def moved(row: Row) -> Row | None:
        reads = [place for place, each in enumerate(row.words) if 0 <= each - begin < length]
        if isinstance(row, Shared):
            parts = [moved(each) for each in row.parts]
            return None if None in parts else row.of([each for each in parts if each is not None])
        if not reads:
            return row
        words = list(row.words)
        if not isinstance(row.recipe, Product | Thin) or reads != [3] or words[4] != stride or words[9] != 1:
            return None
        first, inside = divmod(words[3] - begin, stride)
        if inside + words[2 if row.recipe.layout == "rows" else 0] * buffer.itemsize > stride:
            return None  # examples of one number, side by side: they lie along the other axis
        words[3:5] = column.ctypes.data + inside, column.strides[0]
        return Row(replace(row.recipe, batch=True), [*words, first])

    made = [moved(call) if isinstance(call, Row) else call for call in calls]
    return None if None in made or made == list(calls) else made


def _gather(column: Array, buffer: Array) -> Row:
    numbers = int(np.prod(buffer.shape[1:]))
    words = [numbers, column.ctypes.data, column.strides[0], buffer.ctypes.data, numbers * buffer.itemsize]
    return Row(Gathered(str(column.dtype), str(buffer.dtype)), words)


def gatherable(source: Source) -> bool:
    """Whether machine code can take the batches of a source: arrays whose rows are each in one piece."""
    return isinstance(source, Arrays) and all(
        isinstance(column, np.ndarray)
        and str(column.dtype) in DTYPES
        and column.dtype.isnative
        and (column.ndim == 1 or column[:1].flags.c_contiguous)
        for column in source.columns
    )
