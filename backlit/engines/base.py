"""What every engine offers, where batches come from, and which engines there are.

`engine.compile(graph) -> Program`. A program reads and writes the slots of the graph's own leaves; between runs
anybody may
read or assign them. One run is `count` steps: it takes its batches from the source itself and returns one row of
numbers a
step. How many steps a run has never changes the arithmetic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from ..core import registry
from ..core.errors import ShapeError, UnknownNameError, did_you_mean
from ..core.node import Leaf
from ..core.shapes import Rows, show
from ..core.walk import Graph

Array = np.ndarray[Any, Any]
ENGINES = ("planned", "reference", "compiled", "xla")  # a new engine is a module and its name here
_PACKAGES = {"compiled": "llvmlite", "xla": "jax"}  # what an engine needs beyond NumPy


@dataclass(frozen=True)
class Run:
    """What a run gives back: one row of the graph's outputs a step, and how many of these steps were committed.

    Fewer than asked for: the next step's gate was shut; its row is the last one of `table`.
    """

    table: Array
    committed: int


@dataclass(frozen=True)
class Result:
    """One evaluation: the outputs, copied out, and whether the gate let the updates through."""

    outputs: list[Array]
    committed: bool


class Program(Protocol):
    """A compiled graph."""

    def run(self, source: Source, start: int, count: int, scalars: Mapping[Leaf, Array]) -> Run:
        """Perform the steps start … start+count-1; `scalars` has one value a step for each input that is no column."""

    def evaluate(self, feed: Mapping[Leaf, Any]) -> Result:
        """Outputs for the fed inputs; updates are committed together if the gate is open."""


class Engine(Protocol):
    """A way to run graphs."""

    name: str

    def compile(self, graph: Graph) -> Program:
        """Prepare `graph` to be run."""


class Source(Protocol):
    """Where batches come from: one column for each input of the graph that is no scalar, in order.

    A batch may be read any number of times between the calls of `ready`.
    """

    def ready(self, start: int, count: int) -> int:
        """How many of the steps start … start+count-1 can be run; what was before `start` is not asked for again."""

    def rows(self, step: int) -> int:
        """How many examples the batch of `step` has."""

    def fill(self, step: int, buffers: Sequence[Array]) -> None:
        """Write the batch of `step` into the buffers, casting to their dtype."""


class Arrays:
    """Batches of arrays, in the order of a permutation or as they stand. Nothing is copied but the batch.

    `order` may be the permutations of several passes over all rows, one behind the other; each pass has batches of its own.
    """

    def __init__(self, columns: Sequence[Any], batch: int, order: Array | None = None):
        self.columns, self.batch, self.order = list(columns), batch, order
        self.length = len(self.columns[0])
        self.of_pass = -(-self.length // batch)
        self.steps = self.of_pass if order is None else self.of_pass * len(order) // self.length

    def ready(self, start: int, count: int) -> int:
        """All steps that are left."""
        return min(count, self.steps - start)

    def begin(self, step: int) -> int:
        """Where in the order the batch of `step` begins."""
        passes, place = divmod(step, self.of_pass)
        return passes * self.length + place * self.batch

    def rows(self, step: int) -> int:
        """The batch size, less in the last step of a pass."""
        return min(self.batch, self.length - step % self.of_pass * self.batch)

    def alike(self, step: int) -> int:
        """How many steps, from `step` on, have as many rows each, which stand one behind the other in the order."""
        if self.of_pass == 1 or self.length % self.batch == 0:
            return self.steps - step
        return max(1, self.of_pass - 1 - step % self.of_pass)

    def fill(self, step: int, buffers: Sequence[Array]) -> None:
        """Gather the rows of `step`."""
        begin = self.begin(step)
        end = begin + self.rows(step)
        for column, buffer in zip(self.columns, buffers, strict=True):
            if self.order is None:
                buffer[...] = column[begin:end]
            elif _rows_in_line(column) and column.dtype == buffer.dtype:
                column.take(self.order[begin:end], 0, buffer, "clip")
            else:
                buffer[...] = column[self.order[begin:end]]


def _rows_in_line(column: Any) -> bool:
    """Whether `np.take` reads the rows where they are: of any other array it makes a whole copy first."""
    return isinstance(column, np.ndarray) and column.flags.c_contiguous


class Stream:
    """Batches that come one after another; each is a list of columns. Their numbers of rows may differ.

    The batches of a run of steps are held, as copies, until `ready` is asked for a later step. What goes wrong while a batch is
    fetched is raised when all batches before it have been run, so that the length of a run decides nothing.
    """

    def __init__(self, batches: Iterator[Sequence[Any]]):
        self.batches = batches
        self.held: deque[Sequence[Any]] = deque()
        self.first = 0  # the step of the first batch that is held
        self.problem: Exception | None = None

    def ready(self, start: int, count: int) -> int:
        """Fetch what is missing of these steps; fewer than `count` where the batches end."""
        while self.first < start and self._reach(1):
            self.held.popleft()
            self.first += 1
        if not self._reach(count) and self.problem is not None and not self.held:
            raise self.problem
        return min(count, len(self.held))

    def _reach(self, count: int) -> bool:
        """Hold `count` batches, if there are so many."""
        while len(self.held) < count and self.problem is None:
            try:
                self.held.append([np.array(column[:]) for column in next(self.batches)])
            except StopIteration:
                break
            except Exception as problem:
                self.problem = problem
        return len(self.held) >= count

    def rows(self, step: int) -> int:
        """How many examples the batch has."""
        return len(self.held[step - self.first][0])

    def fill(self, step: int, buffers: Sequence[Array]) -> None:
        """Copy the batch."""
        for column, buffer in zip(self.held[step - self.first], buffers, strict=True):
            buffer[...] = column[:]


def rows_of(feed: Mapping[Leaf, Any]) -> int | None:
    """The number of examples m that fed arrays have; ShapeError where a fed array does not fit its input."""
    rows: int | None = None
    for leaf, value in feed.items():
        shape = np.shape(value)
        if len(shape) != len(leaf.shape):
            raise _misfit(leaf, shape, rows)
        for dim, length in zip(leaf.shape, shape, strict=True):
            if isinstance(dim, Rows) and rows is None and length % dim.count == 0:
                rows = length // dim.count
            if length != (dim.count * rows if isinstance(dim, Rows) and rows is not None else dim):
                raise _misfit(leaf, shape, rows)
    return rows


def _misfit(leaf: Leaf, shape: tuple[int, ...], rows: int | None) -> ShapeError:
    known = f", m = {rows} by the inputs before it" if rows is not None else ""
    return ShapeError(
        f"the value for the input {leaf.name or ''!r} has another shape.",
        expected=f"shape {show(leaf.shape)}{known}",
        found=f"shape {show(shape)}",
        fix="reshape the array; one example alone needs a first axis of length 1",
    )


def engine(name: str) -> Engine:
    """The engine of that name; for "auto" see `chosen`."""
    if name not in ("auto", *ENGINES):
        expected = ", ".join(("auto", *ENGINES))
        raise UnknownNameError(f"there is no engine {name!r}.", expected=expected, fix=did_you_mean(str(name), ENGINES))
    return registry.lookup(f"engine.{chosen(name)}")  # type: ignore[no-any-return]


def chosen(name: str) -> str:
    """What "auto" means here: "compiled" where llvmlite is installed, else "planned"; any other name is itself.

    No stopwatch and no cache has a say in it, so that the same program computes the same numbers on the same machine.
    """
    if name != "auto":
        return name
    return "compiled" if installed("compiled") else "planned"


def told(name: str) -> str:
    """In one line what the engine of that name is here, for those who left the choice to us."""
    made = {"compiled": "machine code by llvmlite", "planned": "NumPy; pip install 'backlit[fast]' for machine code"}
    engine = chosen(name)
    return f"engine: {engine} ({made[engine]})" if name == "auto" else f"engine: {engine}"


@cache
def installed(name: str) -> bool:
    """Whether the package that an engine stands on is there."""
    package = _PACKAGES.get(name)
    return package is None or find_spec(package) is not None
