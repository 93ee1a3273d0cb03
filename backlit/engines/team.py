"""The threads that help with the large rows of a table. There is one team a process, of as many threads as it may use of the
processors; whoever asks while it is at work for another model goes on alone, and computes the same bits.

A helper is a thread of Python's that waits for a semaphore while nothing runs. For a run of steps it goes into machine code
and leaves the interpreter to others. After a fork the child has no helpers, and makes its own when it first needs them.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import numpy as np

from .objects import machine
from .parts import ALL, CLOCK, HOME, SLEEP, TOOK, WHICH, WORDS_OF_PLACE, YIELD, Serve
from .threads import threads

_LINE = 64  # bytes of a line of the cache
_GAIN = 1.1  # times as fast as alone: what helpers have to bring
_LONGEST = 63  # runs without them: about three seconds


class Team:
    """Helpers, and the place where they meet the thread that has work."""

    def __init__(self) -> None:
        words = np.zeros(WORDS_OF_PLACE + _LINE // 8, np.int64)
        begin = -words.ctypes.data % _LINE // 8
        self.place = words[begin : begin + WORDS_OF_PLACE]
        self.place[YIELD], self.place[SLEEP] = _function("sched_yield"), _function("usleep")
        if hasattr(time, "CLOCK_MONOTONIC"):
            self.place[CLOCK], self.place[WHICH] = _function("clock_gettime"), time.CLOCK_MONOTONIC
        self.place[HOME] = 1
        self.busy = threading.Lock()
        self.calls: list[threading.Semaphore] = []
        self.serve = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(machine().addresses([Serve()])[Serve()])
        self.alone = self.pause = 0  # runs to do without helpers, and how many it were the last time

    def _hire(self, helpers: int) -> None:
        while len(self.calls) < helpers:
            call = threading.Semaphore(0)
            self.calls.append(call)
            threading.Thread(target=self._help, args=(call,), name="backlit-helper", daemon=True).start()

    def _help(self, call: threading.Semaphore) -> None:
        while True:
            call.acquire()
            self.serve(self.place.ctypes.data)

    @contextmanager
    def at_work(self) -> Iterator[int]:
        """The address of the place where the helpers are now, or 0: there are none, or they are with another thread.

        They are not waited for in the end: a helper that comes late finds itself sent home, or the next one's work.
        """
        helpers = threads() - 1
        if helpers < 1 or not self.busy.acquire(blocking=False):
            yield 0
            return
        try:
            if self.alone:
                self.alone -= 1
                yield 0
                return
            self._hire(helpers)
            self.place[TOOK : ALL + 1] = self.place[HOME] = 0
            for call in self.calls[:helpers]:
                call.release()
            yield self.place.ctypes.data
            self._judge()
        finally:
            self.place[HOME] = 1
            self.busy.release()

    def _judge(self) -> None:
        """Where other programs want the processors, a helper that is interrupted keeps all waiting: go on without for some
        runs, then try again. All parts at the pace of one's own tell how long it would have taken alone."""
        took, waited, own, every = map(int, self.place[TOOK : ALL + 1])
        if took == 0:
            return
        gain = every / max(1, own) * (took - waited) / took
        self.pause = 0 if gain >= _GAIN else min(_LONGEST, 2 * self.pause + 1)
        self.alone = self.pause


@cache
def team() -> Team:
    """The team of this process."""
    return Team()


def _function(name: str) -> int:
    """Where the C library has that function; 0 where it has not."""
    try:
        return ctypes.cast(getattr(ctypes.CDLL(None), name), ctypes.c_void_p).value or 0
    except (OSError, TypeError, AttributeError):
        return 0


def _forget() -> Any:
    """In the child of a fork: the helpers stayed with the parent."""
    team.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
