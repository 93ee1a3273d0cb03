"""The order of the rows of each pass: a permutation that follows from the model's seed and the number of the pass alone.

It is that of ``Generator(PCG64([seed, number]))``. Where an epoch takes microseconds, mixing seed and number is most of the
work, so it is done for many passes together, by the arithmetic of NumPy's `SeedSequence`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice
from typing import Any

import numpy as np

_WORD = 0xFFFFFFFF
_POOL = 4  # words of the pool that seeds are mixed into
_STATE = 8  # words that PCG64 asks for
_FEW = 12  # passes; mixing more of them together is faster


def orders(seed: int, first: int, passes: int, length: int) -> Any:
    """The orders of so many passes over `length` rows, one behind the other."""
    if passes < _FEW or first + passes > _WORD:  # such a number has more words than one
        return np.concatenate([_permutation([seed, first + k], length) for k in range(passes)])
    words = np.array(_states(seed, np.arange(first, first + passes, dtype=np.uint32)), dtype="<u4").T
    states = np.ascontiguousarray(words).view("<u8").astype(np.uint64)
    return np.concatenate([_permutation(_seeds()(state), length) for state in states])


def _permutation(seed: Any, length: int) -> Any:
    return np.random.Generator(np.random.PCG64(seed)).permutation(length)


@cache
def _seeds() -> type:
    """Seeds that are mixed already, as PCG64 takes them. A class made here, since `numpy.random` is slow to load."""

    class Mixed(np.random.bit_generator.ISeedSequence):
        def __init__(self, state: Any):
            self.state = state

        def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Any:
            return self.state

    return Mixed


def _states(seed: int, numbers: Any) -> list[Any]:
    """The words of the state of [seed, number], for each number."""
    pool = _mixed_in([*(np.full_like(numbers, word) for word in _words(seed)), numbers])
    made, constants = [], _constants(0x8B51F9DD, 0x58F38DED)
    for word in islice(cycle(pool), _STATE):
        made.append(_hashed(word, constants))
    return made


def _words(number: int) -> list[int]:
    """A whole number in words of 32 bits, the lowest first."""
    return [number >> shift & _WORD for shift in range(0, max(1, number.bit_length()), 32)]


def _mixed_in(entropy: list[Any]) -> list[Any]:
    """The pool, after all words of the entropy have been mixed into it."""
    constants = _constants(0x43B0D7E5, 0x931E8875)
    given = [*entropy, *[np.zeros_like(entropy[0])] * (_POOL - len(entropy))]
    pool = [_hashed(word, constants) for word in given[:_POOL]]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _joined(pool[target], _hashed(pool[source], constants))
    for word in given[_POOL:]:
        for target in range(_POOL):
            pool[target] = _joined(pool[target], _hashed(word, constants))
    return pool


def _constants(first: int, multiplier: int) -> Iterator[tuple[Any, Any]]:
    """For one hash after another: what it begins with, what it multiplies by."""
    while True:
        following = first * multiplier & _WORD
        yield np.uint32(first), np.uint32(following)
        first = following


def _hashed(word: Any, constants: Iterator[tuple[Any, Any]]) -> Any:
    begin, factor = next(constants)
    word = (word ^ begin) * factor
    return word ^ word >> 16


def _joined(word: Any, other: Any) -> Any:
    word = word * np.uint32(0xCA01F9DD) - other * np.uint32(0x4973F715)
    return word ^ word >> 16
