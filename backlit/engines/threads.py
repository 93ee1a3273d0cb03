"""How many threads BLAS may use, by the size of the largest product: small ones lose more by waking threads than they
gain. Measured on a busy machine of 2 cores: 4 to 20 ms a step with two threads, 0.7 ms with one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

SMALL, LARGE = 1e5, 5e7  # multiply-adds: below SMALL BLAS keeps to one thread by itself, from LARGE on threads pay

_limited = threading.Lock()  # held by the thread that has set the limit, which holds for the whole process


@lru_cache(maxsize=1)
def _controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


@contextmanager
def blas_threads(work: float) -> Iterator[None]:
    """One BLAS thread inside, where the largest product has `work` multiply-adds between SMALL and LARGE.

    Of several threads that are inside at once, the first sets the limit and takes it back.
    """
    if not SMALL <= work < LARGE or not _limited.acquire(blocking=False):
        yield
        return
    try:
        with _controller().limit(limits=1, user_api="blas"):
            yield
    finally:
        _limited.release()
