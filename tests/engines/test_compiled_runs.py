"""Whole trainings in machine code: what runs by call-back, several threads, several models, Ctrl-C."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.errors import BacklitError
from backlit.core.node import input_leaf
from backlit.core.op import structural
from backlit.core.shapes import M
from backlit.core.walk import Graph
from backlit.engines.base import engine
from tests.conformance.cases import instances, largest, probed, run
from tests.layers.test_layer_battery import SAMPLES, all_layers

ROWS = 40


def _plans(program: Any) -> list[Any]:
    return [plan for plans in program.idle.values() for plan in plans]


def _called_back(model: Any) -> list[str]:
    _, program = model.step("train", (None,) * len(model.outputs))
    return [node.op.name for plan in _plans(program) for node in plan.called_back]


# ---------------------------------------------------------------------- what runs by call-back
@pytest.mark.slow
@pytest.mark.parametrize("cls", all_layers(), ids=lambda cls: cls.__name__)
def test_training_through_any_layer_is_machine_code(cls: Any) -> None:
    for arguments, shape in SAMPLES.get(cls.__name__, [({}, (4,))]):
        model = bl.Sequential([bl.Input(shape), cls(**arguments), layers.Flatten(), layers.Dense(1)])
        model.compile(engine="compiled", optimizer="adam", loss="mse")
        X = np.random.default_rng(0).normal(size=(10, *shape)).astype("float32")
        model.fit(X, np.zeros((10, 1)), batch_size=5, verbose=0, doctor="off")
        assert not _called_back(model), arguments


@pytest.mark.parametrize("op", probed(), ids=lambda op: op.name)
def test_every_record_of_the_library_has_a_kernel(op: Any) -> None:
    for instance in instances(op):
        built = instance.build("float32")
        feed = built.feed(instance.draw())
        program: Any = engine("compiled").compile(Graph(list(feed), built.outputs))
        program.evaluate(feed)
        assert not [node for plan in _plans(program) for node in plan.called_back], instance


def test_structural_record_of_the_users_own_runs_by_call_back_and_is_named() -> None:
    sort = structural(
        "sort_rows",
        ref=lambda x: np.sort(x, axis=-1),
        shape=lambda name, shapes, attrs: shapes[0],
        probe=None,
        doc="Sorted.",
    )
    x = input_leaf((M, 4), "x")
    program: Any = engine("compiled").compile(Graph([x], [bl.ops.tanh(sort.node(x * 2)) + 1]))
    value = np.random.default_rng(0).normal(size=(3, 4))
    assert np.allclose(program.evaluate({x: value}).outputs[0], np.tanh(np.sort(2 * value)) + 1)
    (plan,) = _plans(program)
    assert [node.op.name for node in plan.called_back] == ["sort_rows"]


# ---------------------------------------------------------------------- networks that no kernel was written for
def _two_inputs() -> tuple[Any, dict[str, Any], Any, Any]:
    rng = np.random.default_rng(0)
    a, b = bl.Input((20,)), bl.Input((12,))
    joined = layers.Concatenate()([layers.Dense(32, "gelu")(a), layers.Dense(16, "gelu")(b)])
    model = bl.Model([a, b], layers.Dense(5, "softmax")(joined))
    X = [rng.normal(size=(ROWS, size)).astype("float32") for size in (20, 12)]
    return model, {"optimizer": "adam", "loss": "sparse_categorical_crossentropy"}, X, rng.integers(0, 5, ROWS)


def _normalized() -> tuple[Any, dict[str, Any], Any, Any]:
    rng = np.random.default_rng(0)
    made = [bl.Input((30,)), layers.Dense(48, "relu"), layers.LayerNormalization(), layers.Dense(1)]
    said = {"optimizer": bl.optimizers.AdamW(1e-3), "loss": bl.losses.Huber()}
    return bl.Sequential(made), said, rng.normal(size=(ROWS, 30)).astype("float32"), rng.normal(size=(ROWS, 1))


def _embedded() -> tuple[Any, dict[str, Any], Any, Any]:
    def log_cosh(y: Any, p: Any) -> Any:
        return bl.ops.mean(bl.ops.log(bl.ops.exp(p - y) + bl.ops.exp(y - p)))

    rng = np.random.default_rng(0)
    made = [bl.Input((16,)), layers.Embedding(500, 16), layers.GlobalAveragePooling1D(), layers.Dense(1)]
    said = {"optimizer": "adam", "loss": log_cosh}
    return bl.Sequential(made), said, rng.integers(0, 500, (ROWS, 16)), rng.normal(size=(ROWS, 1))


def _convolved() -> tuple[Any, dict[str, Any], Any, Any]:
    rng = np.random.default_rng(0)
    made = [bl.Input((9, 8, 3)), layers.Conv2D(20, 3, activation="relu"), layers.MaxPooling2D(2),
            layers.Conv2D(5, 2, padding="same", activation="tanh"), layers.Flatten(), layers.Dense(3)]  # fmt: skip
    said = {"optimizer": "adam", "loss": bl.losses.SparseCategoricalCrossentropy(from_logits=True)}
    return bl.Sequential(made), said, rng.normal(size=(ROWS, 9, 8, 3)).astype("float32"), rng.integers(0, 3, ROWS)


@pytest.mark.parametrize("make", [_two_inputs, _normalized, _embedded, _convolved])
def test_network_trains_as_on_reference_and_without_call_backs(make: Callable[[], Any]) -> None:
    told = {}
    for name in ("reference", "compiled"):
        bl.random.set_seed(3)
        model, said, X, y = make()
        model.compile(engine=name, **said)
        model.fit(X, y, epochs=2, batch_size=16, verbose=0, doctor="off")
        told[name] = model.get_weights()
    assert not _called_back(model)
    for got, wanted in zip(told["compiled"], told["reference"], strict=True):
        assert np.abs(got - wanted).max() <= 1e-5 * max(1.0, np.abs(wanted).max())


@pytest.mark.parametrize(
    ("shape", "kernel", "strides", "dilation"),
    [((64, 11, 11, 16), (3, 3, 16, 33), (1, 1), (1, 1)), ((7, 60, 5), (9, 5, 17), (2,), (3,)),
     ((31, 40, 40, 4), (2, 3, 4, 40), (2, 1), (1, 2)), ((5, 6, 30), (5, 30, 8), (1,), (1,))],
)  # fmt: skip
def test_convolution_and_its_gradients_without_laying_out_windows(
    shape: Any, kernel: Any, strides: Any, dilation: Any
) -> None:
    rng = np.random.default_rng(0)
    x, k = input_leaf((M, *shape[1:]), "x", "float32"), input_leaf(kernel, "kernel", "float32")
    out = bl.ops.conv(x, k, strides=strides, dilation=dilation)
    cost = bl.ops.sum(bl.ops.tanh(out * 0.1))
    feed: Any = {x: rng.normal(size=shape).astype("float32"), k: rng.normal(size=kernel).astype("float32")}
    nodes = [out, *bl.grad(cost, [x, k])]
    for got, wanted in zip(run("compiled", nodes, feed).outputs, run("reference", nodes, feed).outputs, strict=True):
        assert np.abs(got - wanted).max() <= 2e-5 * largest([wanted])


def test_id_that_there_is_not_is_refused_and_nothing_is_written() -> None:
    model, said, X, y = _embedded()
    model.compile(engine="compiled", **said)
    model.fit(X, y, verbose=0, doctor="off")
    before = [weight.copy() for weight in model.get_weights()]
    X[7, 3] = 500
    with pytest.raises(BacklitError, match="500"):
        model.fit(X, y, batch_size=ROWS, verbose=0, doctor="off")
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


# ---------------------------------------------------------------------- at the same time
def _digits(engine_name: str = "compiled", units: int = 16) -> Any:
    model = bl.Sequential([bl.Input((12,)), layers.Dense(units, "relu"), layers.Dense(3)])
    model.compile(engine=engine_name, optimizer="adam", loss=bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _data(rows: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 12)).astype("float32"), rng.integers(0, 3, rows)


def test_eight_threads_predict_with_one_model() -> None:
    model, (X, _) = _digits(), _data()
    wanted = {rows: model.predict(X[:rows], verbose=0) for rows in range(1, 40)}

    def ask(rows: int) -> bool:
        return np.array_equal(model.predict(X[:rows], verbose=0), wanted[rows])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(ask, [*range(1, 40)] * 5))


def test_two_models_train_at_once_as_one_after_the_other() -> None:
    X, y = _data()

    def train(units: int) -> list[np.ndarray]:
        with lock:  # a model takes its seed when it is made
            bl.random.set_seed(units)
            model = _digits(units=units)
            model.build((12,))
        model.fit(X, y, epochs=5, verbose=0, doctor="off")
        return list(model.get_weights())

    lock = threading.Lock()
    alone = [train(units) for units in (16, 17)]
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(train, (16, 17)))
    for a, b in zip(alone, together, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.fixture
def usual_ctrl_c() -> Iterator[None]:
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, usual)


@pytest.mark.slow
def test_ctrl_c_stops_within_a_second_with_whole_steps(usual_ctrl_c: None) -> None:
    model, (X, y) = _digits(units=64), _data(20_000)
    model.fit(X[:64], y[:64], verbose=0, doctor="off")
    pressed: list[float] = []

    def press() -> None:
        pressed.append(time.perf_counter())
        signal.raise_signal(signal.SIGINT)

    timer = threading.Timer(0.4, press)
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, y, epochs=10_000, verbose=0, doctor="off")
    assert time.perf_counter() - pressed[0] < 1.0
    steps, weights = model.iterations, model.get_weights()
    assert steps > 2 and all(np.isfinite(weight).all() for weight in weights)
