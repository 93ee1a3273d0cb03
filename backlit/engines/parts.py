"""A row of the table that is done in parts, by this thread alone or by all threads of a team at once.

Which parts there are is decided when the plan is made, from the sizes alone, and no two parts write the same number: so
who does which part, and how many threads there are, makes no difference to a single bit.

The place where threads meet (`Team.place` in `team`) is a few words, each group on lines of the cache of its own:

    0   ticket: how many parts there are (upper half) and how many have been taken (lower half)
    16  how many parts are done
    24  nanoseconds that rows took, nanoseconds of these without a part to do, parts done here, parts in all: for `Team`
    32  address of the row whose parts these are
    33  the context of the one who asks
    34  not 0: go home
    40  address of a function that lets another thread run, or 0
    41  address of a function that sleeps for some microseconds, or 0
    42  address of a function that tells the time, or 0, and which clock it is to read
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .ir import Function, Make, Value, count
from .kernels import CONTEXT, WORDS, word

WORDS_OF_PLACE = 48
TICKET, DONE, ROW, CONTEXT_OF, HOME, YIELD, SLEEP, CLOCK, WHICH = 0, 16, 32, 33, 34, 40, 41, 42, 43
TOOK, WAITED, OWN, ALL = 24, 25, 26, 27
TEAM, INSIDE = (
    7,
    6,
)  # words of the context: the address of the place, or 0; not 0 within a part, whose own parts are not shared
_SPINS = 4000  # looks at the ticket before the processor is offered to others: about 50 µs
_YIELDS = 400  # offers before a thread without work sleeps between two looks
_NAP = 50  # microseconds
_PAUSES = {"x86": ("llvm.x86.sse2.pause", "", ""), "arm": ("llvm.aarch64.hint", "i32", "i32 1")}


@dataclass(frozen=True)
class Parts:
    """words: how many parts, how many bytes behind this row the row begins that is done when all parts are (0: there is
    none), then the same for each part. So the rows may be moved as a whole."""


@dataclass(frozen=True)
class Series:
    """Rows done one after the other, as one part. words: those of `Parts`."""


@dataclass(frozen=True)
class Serve:
    """``void serve(place)``: what a thread of the team does from when it is called until it is sent home."""


def kernel(name: str, recipe: Parts | Series | Serve, make: Make) -> Function:
    """The function of a recipe."""
    if isinstance(recipe, Serve):
        f = Function(name, [Value("%place", "ptr")], make)
        _serve(f, Value("%place", "ptr"))
    else:
        f = Function(name, [WORDS, CONTEXT], make)
        if isinstance(recipe, Series):
            _series(f, word(f, 1))
        else:
            _parts(f)
    f.do("ret void")
    return f


def _word(f: Function, place: Value, which: int) -> Value:
    return f.at(place, which, "i64")


def _atomic(f: Function, where: Value) -> Value:
    return f.value(f"load atomic i64, {where} acquire, align 8", "i64")


def _add(f: Function, where: Value) -> Value:
    return f.value(f"atomicrmw add {where}, i64 1 acq_rel", "i64")


def _call(f: Function, row: Value, context: Value) -> None:
    f.do(f"call void {f.load(row, 'ptr').text}({row}, {context})")


def _more(f: Function, where: Value, by: Value) -> None:
    f.store(f.apply("add", f.load(where, "i64"), by), where)


def _now(f: Function, place: Value, time: Value) -> Value:
    """The time in nanoseconds; `time` is room for seconds and nanoseconds."""
    f.store(count(0), time)
    f.store(count(0), f.at(time, 1, "i64"))
    clock, which = f.load(_word(f, place, CLOCK), "ptr"), f.load(_word(f, place, WHICH), "i32")
    exists = f.compare("ne", clock, Value("null", "ptr"))
    f.when(exists, lambda: f.do(f"call i32 {clock.text}({which}, {time})"))
    seconds = f.apply("mul", f.load(time, "i64"), count(10**9))
    return f.apply("add", seconds, f.load(f.at(time, 1, "i64"), "i64"))


def _forever(f: Function, body: Callable[[str], None]) -> None:
    """Again and again, until `body` jumps to the label that it is given."""
    again, after = f.label(), f.label()
    f.do(f"br label %{again}")
    f.begin(again)
    body(after)
    f.do(f"br label %{again}")
    f.begin(after)


def _leave_if(f: Function, condition: Value, label: str) -> None:
    stay = f.label()
    f.do(f"br {condition}, label %{label}, label %{stay}")
    f.begin(stay)


def _wait(f: Function, looked: Value, place: Value, sleeps: bool) -> None:
    """A pause; after many of them an offer to other threads; after many of these, a nap."""
    turn = f.apply("add", f.load(looked, "i64"), count(1))
    f.store(turn, looked)
    if f.make.family:
        name, kinds, given = _PAUSES[f.make.family]
        f.declared.add(f"declare void @{name}({kinds})")
        f.do(f"call void @{name}({given})")

    def offer() -> None:
        function = f.load(_word(f, place, YIELD), "ptr")
        f.when(f.compare("ne", function, Value("null", "ptr")), lambda: f.do(f"call i32 {function.text}()"))

    def nap() -> None:
        function = f.load(_word(f, place, SLEEP), "ptr")
        exists = f.compare("ne", function, Value("null", "ptr"))
        f.when(exists, lambda: f.do(f"call i32 {function.text}(i32 {_NAP})"))

    f.when(f.compare("sgt", turn, count(_SPINS)), offer)
    if sleeps:
        f.when(f.compare("sgt", turn, count(_SPINS + _YIELDS)), nap)


def _take(f: Function, place: Value, none: str) -> None:
    """Do one part that nobody has taken, or go to the label `none`."""

    def left(ticket: Value) -> tuple[Value, Value]:
        taken = f.apply("and", ticket, count((1 << 32) - 1))
        return taken, f.compare("sge", taken, f.apply("lshr", ticket, count(32)))

    ticket = _word(f, place, TICKET)
    _leave_if(f, left(_atomic(f, ticket))[1], none)
    mine, late = left(_add(f, ticket))
    _leave_if(f, late, none)
    row = f.load(_word(f, place, ROW), "ptr")
    _call(f, _part(f, row, mine), f.load(_word(f, place, CONTEXT_OF), "ptr"))
    _add(f, _word(f, place, DONE))


def _part(f: Function, row: Value, which: Value) -> Value:
    return f.at(row, f.load(f.at(f.at(row, 3, "i64"), which, "i64"), "i64"))


def _series(f: Function, how_many: Value) -> None:
    f.loop(how_many, lambda k, _: _call(f, _part(f, WORDS, k), CONTEXT))


def _parts(f: Function) -> None:
    how_many = word(f, 1)
    looked, time = f.value("alloca i64", "ptr"), f.value("alloca [2 x i64]", "ptr")
    place = f.load(f.at(CONTEXT, TEAM, "i64"), "ptr")
    alone, together, after = f.label(), f.label(), f.label()
    inside = f.at(CONTEXT, INSIDE, "i64")
    nobody = f.compare("eq", place, Value("null", "ptr"))
    by_itself = f.apply("or", nobody, f.compare("ne", f.load(inside, "i64"), count(0)))
    f.do(f"br {by_itself}, label %{alone}, label %{together}")
    f.begin(alone)
    _series(f, how_many)
    f.do(f"br label %{after}")
    f.begin(together)
    began = _now(f, place, time)
    f.store(count(1), inside)
    f.store(WORDS, _word(f, place, ROW))
    f.store(CONTEXT, _word(f, place, CONTEXT_OF))
    f.store(count(0), _word(f, place, DONE))
    f.store(count(0), looked)
    new = f.apply("shl", how_many, count(32))
    f.do(f"store atomic {new}, {_word(f, place, TICKET)} release, align 8")

    def own(none: str) -> None:
        _take(f, place, none)
        _more(f, _word(f, place, OWN), count(1))

    def others(done: str) -> None:
        _leave_if(f, f.compare("eq", _atomic(f, _word(f, place, DONE)), how_many), done)
        _wait(f, looked, place, sleeps=False)

    _forever(f, own)
    no_more = _now(f, place, time)
    _forever(f, others)
    f.store(count(0), inside)
    ended = _now(f, place, time)
    _more(f, _word(f, place, TOOK), f.apply("sub", ended, began))
    _more(f, _word(f, place, WAITED), f.apply("sub", ended, no_more))
    _more(f, _word(f, place, ALL), how_many)
    f.do(f"br label %{after}")
    f.begin(after)
    last = word(f, 2)
    f.when(f.compare("ne", last, count(0)), lambda: _call(f, f.at(WORDS, last), CONTEXT))


def _serve(f: Function, place: Value) -> None:
    looked = f.value("alloca i64", "ptr")
    f.store(count(0), looked)

    def look(home: str) -> None:
        _leave_if(f, f.compare("ne", _atomic(f, _word(f, place, HOME)), count(0)), home)

        def work(none: str) -> None:
            _take(f, place, none)
            f.store(count(0), looked)

        _forever(f, work)
        _wait(f, looked, place, sleeps=True)

    _forever(f, look)
