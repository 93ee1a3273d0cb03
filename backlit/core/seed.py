"""The one seed of a process. Models and draws take their own seeds from it by counting."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from .arguments import checked

_lock = threading.Lock()
_state = {"seed": int.from_bytes(os.urandom(4)), "models": 0, "draws": 0}


@checked
def set_seed(seed: int) -> None:
    """Make everything random that follows reproducible: weights, dropout, shuffling, draws.

    The k-th model built and the k-th draw made after this call depend on `seed` and k alone.
    """
    with _lock:
        _state.update(seed=seed & 0xFFFFFFFF, models=0, draws=0)


@contextmanager
def kept() -> Iterator[None]:
    """Whatever seeds are set and draws made inside: afterwards the process goes on as if there had been none."""
    with _lock:
        before = dict(_state)
    try:
        yield
    finally:
        with _lock:
            _state.update(before)


@checked
def set_random_seed(seed: int) -> None:
    """`set_seed`, and the seeds of Python's `random` and of NumPy's `np.random`, which this library does not use."""
    import random

    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)
    set_seed(seed)


def next_model_seed() -> int:
    """The seed of the next model that is built: a hash of the process seed and its number."""
    with _lock:
        _state["models"] += 1
        return _mixed(_state["seed"], _state["models"])


def next_draw() -> tuple[int, int]:
    """(seed, stream) of the next draw outside a model."""
    with _lock:
        _state["draws"] += 1
        return _state["seed"], _state["draws"]


def _mixed(seed: int, number: int) -> int:
    """A 32-bit hash of both (the finaliser of MurmurHash3)."""
    word = (seed + 0x9E3779B9 * number) & 0xFFFFFFFF
    for multiplier, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        word = ((word ^ (word >> shift)) * multiplier) & 0xFFFFFFFF
    return word ^ (word >> 16)
