"""Rows of kernels and Python calls in order, and the plan of a step ready to be run many times in machine code."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import ValueRangeError
from ..core.node import Leaf
from .base import Array, Arrays, Source
from .kernels import DTYPES, Fed, Steps, Told
from .objects import machine
from .places import Gathered


class Row:
    """One row of the table: which kernel, and its words."""

    def __init__(self, recipe: Any, words: Sequence[int]):
        self.recipe, self.words = recipe, words


class Table:
    """Calls in order: stretches of rows with their addresses, and the Python calls between them."""

    def __init__(self, calls: Sequence[Any], addresses: Mapping[Any, int]):
        self.parts: list[Any] = []
        self.words: list[Array] = []
        stretch: list[int] = []
        for call in calls:
            if isinstance(call, Row):
                words = np.array([addresses[call.recipe], *call.words], dtype=np.int64)
                self.words.append(words)
                stretch.append(words.ctypes.data)
                continue
            self._end(stretch)
            self.parts.append(call)
            stretch = []
        self._end(stretch)

    def _end(self, stretch: list[int]) -> None:
        if stretch:
            self.parts.append(np.array(stretch, dtype=np.int64))

    @property
    def machine_code(self) -> bool:
        """Whether nothing of it is a Python call."""
        return all(isinstance(part, np.ndarray) for part in self.parts)


_STEPS = ctypes.CFUNCTYPE(
    ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64,
    ctypes.c_void_p, ctypes.c_int64,
)  # fmt: skip


class Tabled:
    """A plan with its tables, ready to be run."""

    def __init__(self, plan: Any):
        self.plan = plan
        rows = [each for each in (*plan.before, *plan.after) if isinstance(each, Row)]
        addresses = machine().addresses([Steps(), *(each.recipe for each in rows)])
        self.before, self.after = Table(plan.before, addresses), Table(plan.after, addresses)
        self.loop = _STEPS(addresses[Steps()])
        self.context = np.zeros(8, dtype=np.int64)
        self.gate = 0 if plan.gate is None else plan.gate.ctypes.data
        self.key: Any = None  # where the columns lay for which `all_rows` was made
        self.told: Array = np.zeros((0, 0))
        self.all_rows: Array = np.zeros(0, np.int64)

    @property
    def machine_code(self) -> bool:
        """Whether a whole step is machine code."""
        return self.before.machine_code and self.after.machine_code

    def step(self) -> bool:
        """Run once on what is in the plan's inputs; returns whether the updates were committed."""
        self.context[4] = 0
        self._through(self.before)
        if self.plan.gate is not None and not self.plan.gate[()]:
            return False
        self._through(self.after)
        return True

    def _through(self, table: Table) -> None:
        for part in table.parts:
            if isinstance(part, np.ndarray):
                self.loop(part.ctypes.data, len(part), 0, 0, self.context.ctypes.data, 1, 0, 0)
                self._refuse()
            else:
                part()

    def alone(self, calls: Sequence[Any]) -> tuple[Callable[[], None], int]:
        """A function that performs these calls of the plan by themselves, and how often: a call costs some microseconds."""
        rows = [each for each in calls if isinstance(each, Row)]
        times = 16 if len(rows) == len(calls) else 1
        table = Table([*calls] * times, machine().addresses([each.recipe for each in rows]))
        return lambda: self._through(table), times

    def _refuse(self) -> None:
        """A row met an id that is none: the step was not committed."""
        if self.context[4]:
            raise ValueRangeError("gather: an id is out of range.", found=str(self.context[5]))

    def steps(self, source: Arrays, start: int, table: Array, scalars: Mapping[Leaf, Array]) -> int:
        """As many steps as `table` has rows, from step `start` on; returns how many were committed."""
        count = len(table)
        rows = self._rows_for(source, count, scalars)
        for vector, given in zip(self.vectors, scalars.values(), strict=True):
            vector[:count] = given
        order = np.arange(source.length) if source.order is None else source.order
        commits = self.after.parts[0] if self.after.parts else np.empty(0, np.int64)
        self.context[:5] = start * source.batch, self.plan.rows or 0, order.ctypes.data, 0, 0
        tables = rows.ctypes.data, len(rows), commits.ctypes.data, len(commits)
        committed = int(self.loop(*tables, self.context.ctypes.data, count, self.gate, source.batch))
        self._refuse()
        table[...] = self.told[:count]
        return committed

    def _rows_for(self, source: Arrays, count: int, scalars: Mapping[Leaf, Array]) -> Array:
        """The rows of one step: the batch, its scalars, the plan, its outputs; made anew where these lie elsewhere."""
        key = tuple((each.ctypes.data, each.strides[0], each.dtype.str) for each in source.columns)
        if key == self.key and count <= len(self.told):
            return self.all_rows
        plan, room = self.plan, max(count, 64)
        columns = [leaf for leaf in plan.inputs if leaf not in scalars]
        self.told = np.zeros((room, len(plan.outputs)))
        self.vectors = [np.zeros(room) for _ in scalars]
        gathers = [_gather(column, plan.inputs[leaf]) for column, leaf in zip(source.columns, columns, strict=True)]
        fed = [
            Row(Fed(leaf.dtype), [vector.ctypes.data, plan.inputs[leaf].ctypes.data])
            for leaf, vector in zip(scalars, self.vectors, strict=True)
        ]
        told = [
            Row(Told(str(value.dtype)), [value.ctypes.data, self.told[:, k:].ctypes.data, self.told.strides[0]])
            for k, value in enumerate(plan.outputs)
        ]
        addresses = machine().addresses([each.recipe for each in (*gathers, *fed, *told)])
        self.around = Table([*gathers, *fed], addresses), Table(told, addresses)
        first, last = self.around
        self.all_rows = np.concatenate([each.parts[0] for each in (first, self.before, last) if each.parts])
        self.key = key
        return self.all_rows


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
