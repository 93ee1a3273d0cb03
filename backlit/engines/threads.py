"""How many threads there are to use, and how many of them BLAS may have.

By the size of the largest product: small ones lose more by waking threads than they gain. Measured on a busy machine of 2
cores: 4 to 20 ms a step with two threads of BLAS, 0.7 ms with one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from ..core import registry
from ..core.errors import ValueRangeError

SMALL, LARGE = 1e5, 5e7  # multiply-adds: below SMALL BLAS keeps to one thread by itself, from LARGE on threads pay

_limited = threading.Lock()  # held by the thread that has set the limit, which holds for the whole process


def threads() -> int:
    """How many threads may compute at once: the processors that this process may run on, or fewer by BACKLIT_THREADS."""
    every = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    asked = os.environ.get("BACKLIT_THREADS", "").strip()
    if not asked:
        return every
    if not asked.isdecimal() or int(asked) < 1:
        raise ValueRangeError(
            "BACKLIT_THREADS is no number of threads.",
            expected="a whole number, 1 or more",
            found=repr(asked),
            fix="BACKLIT_THREADS=1, or leave it unset for all processors",
        )
    return min(every, int(asked))


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def blas_threads(work: float) -> Iterator[None]:
    """One BLAS thread inside, where the largest product has `work` multiply-adds between SMALL and LARGE, or no more are
    allowed.

    Of several threads that are inside at once, the first sets the limit and takes it back.
    """
    alone = work >= SMALL and (work < LARGE or threads() == 1)
    if not alone or not _limited.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limited.release()


registry.register("threads.blas", blas_threads)
