"""Runs of many steps in machine code: new values beside their slots, batches read in place, and that nobody can tell."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.core.walk import Graph
from backlit.engines.base import Arrays, engine
from backlit.engines.products import Product
from backlit.engines.table import Places, Row, Shared, in_place
from backlit.engines.thin import Thin

ROWS, STEPS = 8, 5


def _program(name: str, gated: bool = False) -> tuple[Any, Any, dict[str, Any]]:
    """Two slots that change places, one that grows by what the other was, one that the step's mean moves."""
    x = input_leaf((M, 3), "x", "float32")
    start = {"a": np.full(3, 1.0), "b": np.full(3, 2.0), "total": np.zeros(3), "mean": np.zeros(3)}
    slots: dict[str, Any] = {key: bl.variable(value.astype("float32"), name=key) for key, value in start.items()}
    mean = bl.ops.mean(x, axis=0)
    updates = {
        slots["a"]: slots["b"],
        slots["b"]: slots["a"],
        slots["total"]: slots["total"] + slots["a"] * 1.0,
        slots["mean"]: 0.5 * slots["mean"] + mean,
    }
    gate = bl.ops.all(bl.ops.isfinite(mean)) if gated else None
    graph = Graph([x], [bl.ops.sum(slots["total"]), slots["a"][0]], updates=updates, gate=gate)
    return engine(name).compile(graph), x, slots


def _values(slots: dict[str, Any]) -> dict[str, list[float]]:
    return {key: np.asarray(slot.value).tolist() for key, slot in slots.items()}


@pytest.mark.parametrize("count", [1, 2, 3, STEPS])
def test_run_of_steps_leaves_what_single_steps_leave(count: int) -> None:
    data = np.random.default_rng(0).normal(size=(ROWS * STEPS, 3)).astype("float32")
    program, _, slots = _program("compiled")
    run = program.run(Arrays([data], ROWS), 0, count, {})
    alone, fed, others = _program("compiled")
    told = [alone.evaluate({fed: data[k * ROWS : (k + 1) * ROWS]}).outputs for k in range(count)]
    assert run.committed == count
    assert np.array_equal(run.table, np.array(told, dtype=float))
    assert _values(slots) == _values(others)


def test_runs_of_odd_and_even_length_follow_one_another() -> None:
    data = np.random.default_rng(0).normal(size=(ROWS * 12, 3)).astype("float32")
    told = []
    for lengths in ((12,), (3, 4, 1, 4), (1,) * 12):
        program, _, slots = _program("compiled")
        begin, tables = 0, []
        for length in lengths:
            tables.append(program.run(Arrays([data], ROWS), begin, length, {}).table)
            begin += length
        told.append((np.concatenate(tables).tolist(), _values(slots)))
    assert told[0] == told[1] == told[2]


@pytest.mark.parametrize("bad", range(4))
def test_shut_gate_leaves_the_last_good_step(bad: int) -> None:
    data = np.ones((ROWS * STEPS, 3), "float32")
    data[bad * ROWS] = np.nan
    program, _, slots = _program("compiled", gated=True)
    wanted, _, others = _program("reference", gated=True)
    source = Arrays([data], ROWS)
    assert program.run(source, 0, STEPS, {}).committed == wanted.run(source, 0, STEPS, {}).committed == bad
    for key, values in _values(others).items():
        assert np.allclose(_values(slots)[key], values), key


def test_words_that_are_no_addresses_stay() -> None:
    one, other = np.zeros(16, np.float32), np.zeros(16, np.float32)
    places = Places([(one, other)])
    begin, there = one.ctypes.data, other.ctypes.data
    words = np.array([0, 16, -4, begin, begin + 60, begin + 64 * 4096, there, 2**33], np.int64)
    wanted = np.array([0, 16, -4, there, there + 60, begin + 64 * 4096, begin, 2**33])
    assert places.known
    assert places.exchanged(words).tolist() == wanted.tolist()
    assert not Places([(one, one[:8])]).known  # which overlap
    assert not Places([]).known


# ---------------------------------------------------------------------- batches read where they lie
def _fitted(model: Any, X: Any, y: Any, name: str, batch: int) -> list[Any]:
    bl.random.set_seed(5)
    made = model()
    made.compile(engine=name, optimizer="adam", loss="mse")
    made.fit(X, y, batch_size=batch, epochs=2, verbose=0, doctor="off")
    return list(made.get_weights())


def _twice_read() -> Any:
    """The input goes into two products and, as it is, into a sum."""
    x = bl.Input((40,))
    first, second = layers.Dense(25, "tanh")(x), layers.Dense(9)(x)
    return bl.Model(x, layers.Dense(1)(layers.Concatenate()([first, second, x])))


def _plain() -> Any:
    return bl.Sequential([bl.Input((40,)), layers.Dense(25, "relu"), layers.Dense(1)])


@pytest.mark.parametrize("model", [_plain, _twice_read])
@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8"])
@pytest.mark.parametrize("batch", [16, 50, 120])
def test_batches_read_in_place_train_as_on_reference(model: Any, dtype: str, batch: int) -> None:
    rng = np.random.default_rng(0)
    X = (
        (rng.uniform(0, 3, size=(120, 80)).astype(dtype))[:, ::2]
        if dtype == "float64"
        else rng.uniform(0, 3, (120, 40))
    )
    X, y = X.astype(dtype, copy=False), rng.normal(size=(120, 1))
    for got, wanted in zip(
        _fitted(model, X, y, "compiled", batch), _fitted(model, X, y, "reference", batch), strict=True
    ):
        assert np.abs(got - wanted).max() <= 2e-5 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize("shape", [(1,), (1, 1), (2,)])
@pytest.mark.parametrize("batch", [1, 7, 81])
def test_examples_of_few_numbers_train_as_on_reference(shape: tuple[int, ...], batch: int) -> None:
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(81, *shape)).astype("float32"), rng.normal(size=(81, 1))

    def model() -> Any:
        return bl.Sequential([bl.Input(shape), layers.Flatten(), layers.Dense(8, "tanh"), layers.Dense(1)])

    pairs = zip(_fitted(model, X, y, "compiled", batch), _fitted(model, X, y, "reference", batch), strict=True)
    assert all(np.abs(got - wanted).max() <= 2e-5 for got, wanted in pairs)


@pytest.mark.parametrize(("length", "batch"), [(10, 3), (10, 5), (10, 10), (10, 32), (1, 1), (7, 6)])
def test_steps_alike_stand_one_behind_the_other(length: int, batch: int) -> None:
    data = np.arange(length * 3, dtype="float32").reshape(length, 3)
    order = np.concatenate([np.random.default_rng(k).permutation(length) for k in range(3)])
    source = Arrays([data], batch, order)
    for step in range(source.steps):
        for k in range(source.alike(step)):
            assert source.rows(step + k) == source.rows(step)
            assert source.begin(step + k) == source.begin(step) + k * source.rows(step)
        assert 1 <= source.alike(step) <= source.steps - step
    program, _, slots = _program("compiled")
    wanted, _, others = _program("reference")
    assert program.run(source, 0, source.steps, {}).committed == wanted.run(source, 0, source.steps, {}).committed
    for key, values in _values(others).items():
        assert np.allclose(_values(slots)[key], values, rtol=1e-5), key


def test_only_products_read_in_place() -> None:
    data, buffer = np.zeros((100, 4), np.float32), np.zeros((10, 4), np.float32)
    out = np.zeros((10, 3), np.float32)
    b = np.zeros((4, 3), np.float32).ctypes.data

    def product(at: int, stride: int = 16) -> Row:
        words = [2, 3, 4, at, stride, b, 12, out.ctypes.data, 12, 1, 0, 0, 0]
        return Row(Product("float32", "rows"), words)

    begin = buffer.ctypes.data
    other, part = Row(Thin("float32", "rows"), [1, 1, 1, begin + 10**6]), product(begin + 5 * 16)
    made: Any = in_place([other, Shared([product(begin), part])], data, buffer)
    assert made[0] is other
    assert [each.recipe.batch for each in made[1].parts] == [True, True]
    assert [each.words[3] for each in made[1].parts] == [data.ctypes.data] * 2
    assert [each.words[-1] for each in made[1].parts] == [0, 5]
    second_factor = Row(Thin("float32", "rows"), [1, 1, 1, 0, 0, begin + 4, 0, 0, 0, 1, 0, 0, 0])
    assert in_place([product(begin), second_factor], data, buffer) is None
    assert in_place([product(begin, 8)], data, buffer) is None  # which sees other rows in it
    assert in_place([product(begin)], data.astype("float64"), buffer) is None
    assert in_place([other], data, buffer) is None


# ---------------------------------------------------------------------- products whose last vectors are not full
@pytest.mark.parametrize("N", [1, 2, 3, 7, 8, 9, 10, 15, 16, 17, 18, 24, 25, 26, 31, 32, 33, 41, 64, 66])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_any_width(N: int, dtype: str) -> None:
    rng = np.random.default_rng(N)
    for m, k in ((1, 1), (3, 70), (32, 200), (21, 33), (150, 5)):
        x = input_leaf((M, k), "x", dtype)
        w, g = input_leaf((k, N), "w", dtype), input_leaf((M, N), "g", dtype)
        nodes = [x @ w, bl.ops.transpose(x) @ g, g @ bl.ops.transpose(w)]
        feed: Any = {leaf: rng.normal(size=shape).astype(dtype) for leaf, shape in
                     ((x, (m, k)), (w, (k, N)), (g, (m, N)))}  # fmt: skip
        a, b, c = feed.values()
        got = engine("compiled").compile(Graph([x, w, g], nodes)).evaluate(feed).outputs
        for value, wanted in zip(got, (a @ b, a.T @ c, c @ b.T), strict=True):
            assert np.abs(value - wanted).max() <= (2e-5 if dtype == "float32" else 1e-12) * max(
                1.0, np.abs(wanted).max()
            )
