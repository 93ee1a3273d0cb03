"""Where the batches of a training, an evaluation or a prediction come from: arrays, or a stream of batches.

A stream is a generator or any other iterator, a function that gives one, an object that can be iterated again and
again (such as a DataLoader), or one that has batches by number (`__getitem__`, and `__len__` or `num_batches`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, MappingView, Sequence, Set
from dataclasses import replace
from functools import partial
from itertools import chain, count, islice
from typing import Any, Protocol

import numpy as np

from ..core.errors import ArgumentError, BacklitError, DataError, ShapeError
from ..core.node import FLOATS, Leaf
from ..engines.base import Array, Arrays, Source, Stream
from . import door, feed
from .feed import Feed

_ARRAY = ("__array__", "__array_interface__", "shape", "dtype")  # what has one of these is no stream
_HOLDERS = (Sequence, Mapping, MappingView, Set, type)  # nor is what is one of these
_SMALL, _SMALL_ROWS = 1 << 13, 1 << 10  # numbers and rows of a batch that is looked at quickly
_MODERATE = 1e30
_MOST_NUMBERS = 1 << 24  # of x in one batch of a prediction, where nothing else is asked for
Order = Callable[..., Array]  # (number of the first pass, its length, passes=1): the order of their rows or batches


class Batches(Protocol):
    """The batches of a run, epoch by epoch."""

    weights: tuple[Any, ...]  # for each head the shape of one example's weights, or None
    asked: int | None  # steps of an epoch as they were asked for; None: a pass
    steps: int | None  # of an epoch; None where only its end will tell
    size: dict[str, int]  # by which a resumed training knows them again
    at_once: int  # steps in one run of an evaluation

    def epoch(self, number: int) -> Source:
        """The batches of an epoch, from its step 0."""

    def skip(self, epochs: int) -> None:
        """Go on as if so many epochs had been run."""


class RowBatches:
    """Batches of arrays. An epoch is a pass over all rows, or `steps` batches: then it goes on where the last stopped.

    `batch` None: 32 rows, or so many that `steps` of them are a pass.
    """

    at_once = 1 << 16

    def __init__(self, data: Feed, batch: int | None = None, steps: int | None = None, order: Order | None = None):
        self.columns, self.weights, self.asked = data.columns, data.weights, steps
        self.batch = rows_in(batch, data.rows, steps)
        self.length = -(-data.rows // self.batch)  # of a pass
        self.steps: int | None = self.length if steps is None else steps
        self.rows, self.order = data.rows, order
        self.size = {"rows": data.rows, "batch_size": self.batch}

    def epoch(self, number: int) -> Source:
        """The rows in the order of that pass, or the next so many batches."""
        return self.a_pass(number) if self.asked is None else _Passes(self, number * self.asked, self.asked)

    def a_pass(self, number: int) -> Arrays:
        """All rows in the order of that pass."""
        order = None if self.order is None else self.order(number, self.rows)
        return Arrays(self.columns, self.batch, order)

    def passes(self, first: int, count: int) -> Arrays:
        """So many passes, one behind the other."""
        order = np.tile(np.arange(self.rows), count) if self.order is None else self.order(first, self.rows, count)
        return Arrays(self.columns, self.batch, order)

    def skip(self, epochs: int) -> None:
        """Nothing: an epoch follows from its number."""


def measured(data: Feed, batch: int | None, steps: int | None) -> RowBatches:
    """The batches of an evaluation, which never reads a row twice: all, or the first `steps`."""
    batch = rows_in(batch, data.rows, steps)
    return RowBatches(data if steps is None else data.take(slice(0, steps * batch)), batch)


def rows_in(batch: int | None, rows: int, steps: int | None, most: int = 32) -> int:
    """The rows of a batch: as asked, else `most`, or where the number of steps is given what makes them a pass."""
    return batch or (most if steps is None else -(-rows // steps))


class _Passes:
    """The steps of an epoch that is no whole pass: they begin at step `first` of all, and a new pass follows a full one."""

    def __init__(self, rows: RowBatches, first: int, steps: int):
        self.batches, self.first, self.steps, self.number = rows, first, steps, -1

    def _at(self, step: int) -> tuple[Arrays, int]:
        number, place = divmod(self.first + step, self.batches.length)
        if number != self.number:
            self.number, self.arrays = number, self.batches.a_pass(number)
        return self.arrays, place

    def ready(self, start: int, count: int) -> int:
        """All that are left of the epoch."""
        return min(count, self.steps - start)

    def rows(self, step: int) -> int:
        """The batch size, less at the end of a pass."""
        arrays, place = self._at(step)
        return arrays.rows(place)

    def fill(self, step: int, buffers: Sequence[Array]) -> None:
        """Gather the rows of `step`."""
        arrays, place = self._at(step)
        arrays.fill(place, buffers)


# ---------------------------------------------------------------------- streams
def is_stream(x: Any) -> bool:
    """Whether x gives batches one after another, instead of holding all rows."""
    if isinstance(x, np.ndarray):
        return False
    if hasattr(x, "__next__") or inspect.isroutine(x) or isinstance(x, partial):
        return True
    if isinstance(x, _HOLDERS) or any(hasattr(x, name) for name in _ARRAY):
        return False
    by_number = hasattr(x, "__getitem__") and (hasattr(x, "__len__") or hasattr(x, "num_batches"))
    return hasattr(x, "__iter__") or by_number


def alone(**others: Any) -> None:
    """Refuse what cannot be given beside a stream."""
    for name, value in others.items():
        if value is not None:
            why, fix = "its batches are what they are", f"leave {name} out"
            if name in ("y", "sample_weight"):
                why, fix = "its batches hold everything", "let it give (x, y) or (x, y, sample_weight)"
            raise ArgumentError(f"{name} cannot be given beside a stream of batches.", why=why, fix=fix)


class Opened:
    """A stream and its passes: `again` is whether there can be more than one, `length` their batches if it says so."""

    def __init__(self, stream: Any, order: Order | None = None):
        called = inspect.isroutine(stream) or isinstance(stream, partial)
        self.stream: Any = _Called(stream) if called else stream
        self.order = order
        self.again = not hasattr(stream, "__next__")
        self.by_number = not hasattr(self.stream, "__iter__") and self.again
        self.length = self._length()

    def _length(self) -> int | None:
        found = getattr(self.stream, "num_batches", None)
        found = found() if callable(found) else found
        try:
            found = len(self.stream) if found is None and hasattr(self.stream, "__len__") else found
        except TypeError:  # such as a tf.data.Dataset that does not know
            return None
        return None if found is None else int(found)

    def a_pass(self, number: int) -> Iterator[Any]:
        """The batches of one pass, as the stream gives them."""
        getattr(self.stream, "on_epoch_begin", _nothing)()
        # Not `yield from` alone, which would close a generator that is not read to its end.
        yield from (batch for batch in (self._by_number(number) if self.by_number else self.stream))
        getattr(self.stream, "on_epoch_end", _nothing)()

    def _by_number(self, number: int) -> Iterator[Any]:
        places: Iterable[int] = count() if self.length is None else range(self.length)
        if self.order is not None and self.length is not None:
            places = self.order(number, self.length).tolist()
        return (self.stream[place] for place in places)


def _nothing() -> None:
    """For streams that do not ask to be told of epochs."""


class _Called:
    """A function that makes a generator, as something to iterate over again and again."""

    def __init__(self, function: Callable[[], Any]):
        self.function = function

    def __iter__(self) -> Iterator[Any]:
        made = self.function()
        if not hasattr(made, "__iter__"):
            found = f"{type(made).__name__} from {getattr(self.function, '__name__', 'the function')}()"
            raise ArgumentError("X is a function that gives no batches.", expected="a generator", found=found)
        return iter(made)


class StreamBatches:
    """The batches of a stream, each checked as whole arrays are.

    An epoch is a pass, or `steps` batches: then it goes on where the last one stopped, and what can be read again
    begins anew at its end. `anew`: every epoch begins anew where that is possible, as an evaluation does.
    """

    at_once = 1

    def __init__(
        self,
        model: Any,
        stream: Any,
        steps: int | None = None,
        class_weight: Any = None,
        training: bool = False,
        order: Order | None = None,
        anew: bool = False,
    ):
        self.model, self.class_weight, self.training, self.anew = model, class_weight, training, anew
        if isinstance(class_weight, str):
            raise ArgumentError(
                f"class_weight={class_weight!r} needs all rows at once.", fix="class_weight={label: weight}"
            )
        self.opened = Opened(stream, order)
        self.again, self.asked = self.opened.again, steps
        self.steps = steps if steps is not None else self.opened.length
        self.size = {"rows": 0, "batch_size": 0}
        self.passes, self.numbers = 0, count()
        self.feeds = self._a_pass()
        first = next(self.feeds, None)
        if first is None:
            raise door.refuse(DataError("the stream gave no batch.", expected="(x, y) again and again"), "empty")
        self.weights = first.weights
        self.feeds = chain([first], self.feeds)
        self.fresh = True  # nothing of the pass has been used

    def _a_pass(self) -> Iterator[Feed]:
        items = self.opened.a_pass(self.passes)
        self.passes, self.fresh = self.passes + 1, True
        for item in items:
            yield self._checked(item, next(self.numbers))

    def _checked(self, item: Any, number: int) -> Feed:
        try:
            x, y, *weight = _parts(item)
            learn: feed.Learn = "columns" if self.training and number == 0 else ""
            data = feed.feed(self.model, x, y, weight[0] if weight else None, learn)
            data = data.weighted(self.class_weight, self.model)
            if number and data.weights != self.weights:
                raise door.refuse(ShapeError("it is not weighted as the first batch is."), "weights")
        except BacklitError as error:
            raise _named(error, number) from None
        return data

    def epoch(self, number: int) -> Source:
        """The next batches."""
        if not self.fresh and self.again and (self.asked is None or self.anew):
            self.feeds = self._a_pass()
        return Stream(data.columns for data in islice(self._onward(), self.asked))

    def _onward(self) -> Iterator[Feed]:
        """The rest of the pass and, where an epoch is so many batches, the passes that follow."""
        while True:
            for data in self.feeds:
                self.fresh = False
                yield data
            if self.asked is None or not self.again or self.fresh:
                return
            self.feeds = self._a_pass()

    def skip(self, epochs: int) -> None:
        """Read the batches of so many epochs; of those that are whole passes none is read."""
        if self.again:
            self.passes, self.feeds = epochs if self.asked is None else 0, self._a_pass()
        for _ in islice(self._onward(), epochs * (self.asked or 0)):
            pass


def _parts(item: Any) -> Sequence[Any]:
    if isinstance(item, (tuple, list)) and 2 <= len(item) <= 3:
        return item
    found = f"{len(item)} parts" if isinstance(item, (tuple, list)) else type(item).__name__
    raise door.refuse(DataError("it is no (x, y).", expected="(x, y) or (x, y, sample_weight)", found=found), "batch")


def _named(error: BacklitError, number: int) -> BacklitError:
    """The error, saying which batch it is about."""
    error.message = f"batch {number} of the stream: {error.message}"
    if error.finding is not None:
        error.finding = replace(error.finding, message=error.message)
    return error


# ---------------------------------------------------------------------- what is evaluated and predicted
def plain(model: Any, x: Any) -> bool:
    """Whether x is one small batch of finite numbers in the shape that a built model of one input takes, by a look that
    costs a microsecond; the door would change nothing about it. Where this says no, the door has the word."""
    leaf = model.input_leaves if model.built else None
    if type(x) is not np.ndarray or x.dtype.char not in "fd" or not isinstance(leaf, Leaf) or leaf.dtype not in FLOATS:
        return False
    if x.ndim != len(leaf.shape) or not 0 < x.size <= _SMALL or len(x) > _SMALL_ROWS:
        return False
    if x.shape[1:] != leaf.shape[1:] or not x.flags.c_contiguous:
        return False
    flat = x.reshape(-1)
    with np.errstate(all="ignore"):
        return bool(flat.dot(flat) < _MODERATE)  # so that every number is finite, in float32 too


def to_evaluate(model: Any, x: Any, y: Any, sample_weight: Any, rows: int | None, steps: int | None) -> Batches:
    """The batches of an evaluation of arrays, or of a stream; the model is built for them if it is not built yet."""
    if not is_stream(x):
        return measured(feed.feed(model, x, y, sample_weight), rows, steps)
    alone(y=y, sample_weight=sample_weight, batch_size=rows)
    return StreamBatches(model, x, steps, anew=True)


def to_predict(model: Any, x: Any, rows: int | None, steps: int | None, most: int) -> tuple[Iterator[Any], int | None]:
    """(the arrays of each batch, one for each input; how many batches, if that is known). `most`: rows if not given."""
    if not is_stream(x):
        arrays = model.ready(x)
        stop = len(arrays[0])
        width = max(1, sum(int(np.prod(array.shape[1:])) for array in arrays))
        rows = rows_in(rows, stop, steps, max(32, min(most, _MOST_NUMBERS // width)))
        stop = stop if steps is None else min(stop, steps * rows)
        slices = [slice(begin, min(begin + rows, stop)) for begin in range(0, stop, rows)]
        return ([array[part] for array in arrays] for part in slices), len(slices)
    alone(batch_size=rows)
    opened = Opened(x)
    known = [each for each in (opened.length, steps) if each is not None]
    return islice(_inputs(model, opened), steps), min(known) if known else None


def _inputs(model: Any, opened: Opened) -> Iterator[Any]:
    for number, item in enumerate(opened.a_pass(0)):
        try:
            yield model.ready(_x_of(item))
        except BacklitError as error:
            raise _named(error, number) from None


def _x_of(item: Any) -> Any:
    """x of a batch x, (x,), (x, y) or (x, y, sample_weight)."""
    whole = isinstance(item, tuple) or (isinstance(item, list) and all(hasattr(part, "shape") for part in item))
    return item[0] if whole and 1 <= len(item) <= 3 else item
