"""Randomness by counter: the same bits everywhere, and bits that look random."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl

ops = bl.ops
COUNT = 100_000
WORD = 0xFFFFFFFF


def draw(record, seed=1, step=0, shape=(COUNT,), **attrs):
    return record(seed, step, shape=shape, **attrs)


# ---------------------------------------------------------------------- the definition, in plain whole numbers
def scramble(word):
    word ^= word >> 16
    word = word * 0x7FEB352D & WORD
    word ^= word >> 15
    word = word * 0x846CA68B & WORD
    return word ^ word >> 16


def bits_of(seed, stream, step, place):
    key = scramble((seed + 0x9E3779B9 * (stream + 1)) & WORD)
    key = scramble(key ^ step)
    return scramble((scramble(place ^ key) + key) & WORD)


@given(st.integers(0, WORD), st.integers(0, 2**20), st.integers(0, WORD))
def test_bits_are_the_published_hash(seed, stream, step):
    expected = [[bits_of(seed, stream, step, 3 * row + column) for column in range(3)] for row in range(2)]
    assert draw(ops.bits, seed, step, (2, 3), stream=stream).tolist() == expected
    uniform = draw(ops.random_uniform, seed, step, (2, 3), stream=stream)
    assert uniform.tolist() == [[(each >> 8) * 2.0**-24 for each in row] for row in expected]


def test_bits_never_change():
    """Written down once: models saved with a seed rely on them."""
    assert draw(ops.bits, 0, 0, (3,)).tolist() == [1716039760, 3788342329, 404341872]
    assert draw(ops.bits, 1, 2, (4,), stream=3).tolist() == [962548250, 4115648100, 1390920412, 820571588]


# ---------------------------------------------------------------------- reproducible
@pytest.mark.parametrize("record", ["bits", "random_uniform", "random_normal", "random_bernoulli"])
def test_the_same_on_every_engine_and_call(record):
    record = getattr(ops, record)
    seed, step = bl.input((), "seed", "uint32"), bl.input((), "step", "int64")
    node = record(seed, step, shape=(5, 7), stream=2)
    array = draw(record, 9, 4, (5, 7), stream=2)
    assert isinstance(array, np.ndarray) and array.shape == (5, 7) and array.dtype == node.dtype
    for engine in ("reference", "planned"):
        f = bl.compile(node, inputs=[seed, step], engine=engine)
        assert f(9, 4).tolist() == f(9, 4).tolist() == array.tolist()
        assert f(9, 5).tolist() != array.tolist()


@pytest.mark.parametrize(
    "other", [{"seed": 2}, {"step": 1}, {"stream": 1}, {"seed": 2, "stream": 1}, {"seed": 2, "step": 1}]
)
def test_neighbouring_draws_differ_and_do_not_correlate(other):
    first, second = draw(ops.random_uniform), draw(ops.random_uniform, **other)
    assert (first == second).mean() < 1e-3
    for lag in (0, 1, 2, 16):
        correlation = np.corrcoef(first[lag:], second[: COUNT - lag])[0, 1]
        assert abs(correlation) < 4 / math.sqrt(COUNT)


@pytest.mark.parametrize("lag", [1, 2, 3, 8, 64, 1024])
def test_neighbouring_places_do_not_correlate(lag):
    values = draw(ops.random_uniform, seed=7)
    assert abs(np.corrcoef(values[lag:], values[:-lag])[0, 1]) < 4 / math.sqrt(COUNT)


def test_a_larger_shape_begins_with_the_smaller_one():
    assert draw(ops.bits, shape=(2, 3)).reshape(-1).tolist() == draw(ops.bits, shape=(6,)).tolist()
    assert draw(ops.bits, shape=(100,))[:6].tolist() == draw(ops.bits, shape=(6,)).tolist()


def test_seeds_beyond_a_word_and_below_zero_count_modulo_the_word():
    for seed, same in ((-1, WORD), (2**32 + 5, 5), (2**40, 0)):
        assert draw(ops.bits, seed, 0, (4,)).tolist() == draw(ops.bits, same, 0, (4,)).tolist()


# ---------------------------------------------------------------------- distributed as they say
def distance(values, cumulative):
    """The largest distance between the empirical and the true distribution function (Kolmogorov and Smirnov)."""
    ordered = np.sort(np.asarray(values, "float64"))
    steps = np.arange(len(ordered) + 1) / len(ordered)
    expected = cumulative(ordered)
    return max(np.abs(steps[1:] - expected).max(), np.abs(steps[:-1] - expected).max())


CRITICAL = 1.95 / math.sqrt(COUNT)  # exceeded once in a thousand


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_uniform(seed):
    values = draw(ops.random_uniform, seed)
    assert values.dtype == "float32" and values.min() >= 0 and values.max() < 1
    assert values.mean(dtype="float64") == pytest.approx(0.5, abs=4 * math.sqrt(1 / 12 / COUNT))
    assert values.var(dtype="float64") == pytest.approx(1 / 12, abs=4 * math.sqrt(1 / 180 / COUNT))
    assert distance(values, lambda u: u) < CRITICAL
    assert len(np.unique(values)) > 0.99 * COUNT
    wider = draw(ops.random_uniform, seed, low=-2.0, high=3.0, dtype="float64")
    assert wider.dtype == "float64" and wider.min() >= -2 and wider.max() < 3
    assert np.allclose(wider, values * 5.0 - 2.0, rtol=0, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2**31])
def test_normal(seed):
    values = draw(ops.random_normal, seed, dtype="float64")
    assert np.isfinite(values).all()
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert (values**power).mean() == pytest.approx(moment, abs=4 * math.sqrt(spread / COUNT))
    assert distance(values, lambda z: 0.5 * (1 + ops.erf(z / math.sqrt(2)))) < CRITICAL
    shifted = draw(ops.random_normal, seed, mean=3.0, std=0.5, dtype="float64")
    assert np.allclose(shifted, values * 0.5 + 3.0, rtol=1e-12, atol=0)
    assert draw(ops.random_normal, seed).dtype == "float32"


@pytest.mark.parametrize("p", [0.0, 0.2, 0.9, 1.0])
def test_bernoulli(p):
    values = draw(ops.random_bernoulli, p=p)
    assert values.dtype == "bool"
    assert values.mean() == pytest.approx(p, abs=4 * math.sqrt(p * (1 - p) / COUNT))


def test_every_bit_is_set_half_of_the_time():
    words = draw(ops.bits)
    assert words.dtype == "uint32"
    for bit in range(32):
        assert ((words >> np.uint32(bit)) & 1).mean() == pytest.approx(0.5, abs=4 * math.sqrt(0.25 / COUNT))


def test_one_changed_bit_of_the_counter_changes_half_of_the_bits():
    def flips(a, b):
        return np.mean([bin(int(each)).count("1") for each in np.bitwise_xor(a, b)]) / 32

    base = draw(ops.bits, 12345, 678, (2000,))
    for changed in (draw(ops.bits, 12345 ^ 1, 678, (2000,)), draw(ops.bits, 12345, 678 ^ 1 << 10, (2000,))):
        assert flips(base, changed) == pytest.approx(0.5, abs=0.01)


# ---------------------------------------------------------------------- in a graph
def test_along_the_batch_axis():
    x, step = bl.input((bl.M, 3), "x"), bl.input((), "step", "int64")
    keep = ops.random_bernoulli(5, step, shape=(bl.M, 3), p=0.5)
    f = bl.compile(ops.where(keep, x, 0.0), inputs=[x, step])
    first, again, later = f(np.ones((64, 3)), 0), f(np.ones((64, 3)), 0), f(np.ones((64, 3)), 1)
    assert first.tolist() == again.tolist() != later.tolist()
    assert 0.3 < first.mean() < 0.7
    assert f(np.ones((7, 3)), 0).tolist() == first[:7].tolist()


def test_no_derivative_leads_through_a_draw():
    w = bl.variable(2.0)
    noise = ops.random_normal(1, 0, shape=(4,), dtype="float64")
    J = ops.sum(w * noise)
    assert bl.grad(J, w).value == pytest.approx(noise.sum(), rel=1e-14)
    assert bl.check_grad(J).ok


def test_draws_outside_a_model_follow_the_seed():
    bl.random.set_seed(3)
    first = [bl.random.normal((2, 2)), bl.random.uniform(3, -1.0, 1.0), bl.random.bernoulli((4,), 0.5)]
    bl.random.set_seed(3)
    again = [bl.random.normal((2, 2)), bl.random.uniform(3, -1.0, 1.0), bl.random.bernoulli((4,), 0.5)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(bl.random.normal((2, 2)), bl.random.normal((2, 2)))
    bl.random.set_seed(4)
    assert not np.array_equal(bl.random.normal((2, 2)), first[0])
