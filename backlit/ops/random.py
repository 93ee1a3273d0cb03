"""Randomness by counter: the bits of a draw are a hash of (seed, stream, step, place), the same on every engine.

There is no hidden state: `seed` and `step` are values, `stream` says which draw it is, the place counts the elements.
"""

from __future__ import annotations

from typing import Any

from ..core.op import Op, Probe, as_node, case, composite, integers
from ..core.shapes import checked
from .elementwise import add as add_
from .elementwise import bitwise_xor, cast, cos, log1p, multiply, right_shift, sqrt
from .index import iota


def _scramble(word: Any) -> Any:
    """A bijection of 32-bit words in which every input bit reaches every output bit: two rounds of xor-shift and
    multiply,
    with the constants that Wellons' search found (lowbias32)."""
    word = bitwise_xor(word, right_shift(word, 16))
    word = multiply(word, 0x7FEB352D)
    word = bitwise_xor(word, right_shift(word, 15))
    word = multiply(word, 0x846CA68B)
    return bitwise_xor(word, right_shift(word, 16))


def _bits(seed: Any, step: Any, *, shape: Any, stream: int = 0) -> Any:
    shape = checked(shape)
    key = _scramble(add_(cast(as_node(seed), "uint32"), (0x9E3779B9 * (stream + 1)) & 0xFFFFFFFF))
    key = _scramble(bitwise_xor(key, cast(as_node(step), "uint32")))
    place = iota.node(shape=shape, dtype="uint32")
    return _scramble(add_(_scramble(bitwise_xor(place, key)), key))


_SEEDS = (integers(0, 2**31, "uint32"),)
_CASES = (case((), (), shape=(3,)), case((), (), shape=(2, 5), stream=3))
bits: Op = composite(
    "bits",
    define=_bits,
    probe=Probe(_SEEDS, _CASES),
    random=True,
    doc="32 random bits a place: a hash of seed, step, stream and the place's number.",
)


def _uniform(
    seed: Any, step: Any, *, shape: Any, stream: int = 0, low: float = 0.0, high: float = 1.0, dtype: str = "float32"
) -> Any:
    unit = multiply(cast(right_shift(bits.node(seed, step, shape=shape, stream=stream), 8), dtype), 2.0**-24)
    return unit if (low, high) == (0.0, 1.0) else unit * (high - low) + low


uniform: Op = composite(
    "random_uniform",
    define=_uniform,
    probe=Probe(_SEEDS, (*_CASES, case((), (), shape=(4,), low=-1.0, high=2.0))),
    random=True,
    range=lambda seed, step, low=0.0, high=1.0, **_: (low, high),
    doc="Numbers evenly from [low, high): the upper 24 of the bits times 2^-24.",
)


def _normal(
    seed: Any, step: Any, *, shape: Any, stream: int = 0, mean: float = 0.0, std: float = 1.0, dtype: str = "float32"
) -> Any:
    shape = checked(shape)
    pair = uniform.node(seed, step, shape=(2, *shape), stream=stream, dtype=dtype)
    radius = sqrt(-2.0 * log1p(-pair[0]))
    return radius * cos(6.283185307179586 * pair[1]) * std + mean


normal: Op = composite(
    "random_normal",
    define=_normal,
    probe=Probe(_SEEDS, (*_CASES, case((), (), shape=(4,), mean=1.0, std=0.5))),
    random=True,
    doc="Numbers from a normal distribution (Box and Muller 1958).",
)
bernoulli: Op = composite(
    "random_bernoulli",
    define=lambda seed, step, *, shape, stream=0, p=0.5: uniform.node(seed, step, shape=shape, stream=stream) < p,
    probe=Probe(_SEEDS, (*_CASES, case((), (), shape=(4,), p=0.9))),
    random=True,
    range=(0, 1),
    doc="True with probability p.",
)
