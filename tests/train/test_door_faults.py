"""Whatever interrupts a call, in whatever phase: the model is as its last committed step left it."""

from __future__ import annotations

import signal
import threading

import numpy as np
import pandas as pd
import pytest

import backlit as bl
from backlit.callbacks import Callback, LambdaCallback
from backlit.core.errors import DataError
from backlit.engines.base import Arrays
from backlit.engines.threads import blas_threads
from backlit.layers import BatchNormalization, Dense, Dropout
from backlit.train import door, labels

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = np.argmax(X, axis=1)
NAMES = np.array(["a", "b", "c"])[Y]


def network(*hidden, engine="planned"):
    model = bl.Sequential([Dense(6, "tanh"), *hidden, Dense(3)])
    model.given_seed = 1
    loss = bl.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"], engine=engine)
    return model


def state(model):
    """All that a training changes, and all that a fit remembers of its data."""
    slots = [slot.array.tobytes() for slots in model._slots.values() for slot in slots.values()]
    weights = [weight.tobytes() for weight in model.get_weights()]
    return weights, slots, model.iterations, model.epochs_done, model.built, model.classes, model.columns


@pytest.fixture
def ctrl_c():
    """Ctrl-C, as a terminal sends it."""
    usual = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: signal.raise_signal(signal.SIGINT)
    signal.signal(signal.SIGINT, usual)


def pressed_in(monkeypatch, owner, name, press, at=1):
    """`press` in the `at`-th call of a function."""
    function, calls = getattr(owner, name), []

    def calling(*args, **named):
        calls.append(name)
        if len(calls) == at:
            press()
        return function(*args, **named)

    monkeypatch.setattr(owner, name, calling)


PHASES = {
    "X": (door, "fits", 1),
    "y": (door, "fits", 2),
    "shapes": (door, "array_of", 1),
    "labels": (labels, "_names", 1),
}


@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_while_data_are_checked(phase, built, ctrl_c, monkeypatch):
    model, table = network(BatchNormalization()), pd.DataFrame(X, columns=list("abc"))
    if built:
        model.fit(X, Y, verbose=0)
    before, history = state(model), model.history
    owner, name, at = PHASES[phase]
    pressed_in(monkeypatch, owner, name, ctrl_c, at)
    with pytest.raises(KeyboardInterrupt):
        model.fit(table, NAMES, verbose=0)
    assert state(model) == before and model.history is history and model.running is None
    model.fit(table, NAMES, verbose=0)
    assert model.classes == ("a", "b", "c") and model.columns.names == ("a", "b", "c")


@pytest.mark.parametrize("at", [1, 3])
def test_ctrl_c_in_the_validation(at, ctrl_c, monkeypatch):
    model, until = network(Dropout(0.3)), network(Dropout(0.3))
    options = {"batch_size": 30, "shuffle": False, "verbose": 0}
    pressed_in(monkeypatch, Arrays, "fill", ctrl_c, 2 + at)  # an epoch has two steps
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, epochs=4, validation_data=(X, Y), validation_batch_size=10, **options)
    until.fit(X, Y, **options)
    assert state(model)[:3] == state(until)[:3] and model.epochs_done == 0
    assert model.evaluate(X, Y) == until.evaluate(X, Y)


@pytest.mark.parametrize("call", ["evaluate", "predict"])
@pytest.mark.parametrize("built", [False, True])
def test_ctrl_c_in_evaluate_and_predict(call, built, ctrl_c, monkeypatch):
    model, other = network(), network()
    for each in (model, other) if built else ():
        each.fit(X, Y, verbose=0)
    before = state(model)
    if call == "predict":
        hook = LambdaCallback(on_predict_batch_end=lambda batch, logs: ctrl_c() if batch == 1 else None)
        with pytest.raises(KeyboardInterrupt):
            model.predict(X, batch_size=20, callbacks=[hook])
    else:
        with monkeypatch.context() as patch:
            pressed_in(patch, Arrays, "fill", ctrl_c, 2)
            with pytest.raises(KeyboardInterrupt):
                model.evaluate(X, Y, batch_size=20)
    if built:
        assert state(model) == before
    np.testing.assert_array_equal(model.predict(X), other.predict(X))
    assert model.evaluate(X, Y) == other.evaluate(X, Y)


def test_ctrl_c_while_a_batch_is_awaited(ctrl_c):
    def slow():
        for number in range(6):
            if number == 4:
                ctrl_c()
            yield X[number * 10 : number * 10 + 10], Y[number * 10 : number * 10 + 10]

    class Each(Callback):
        def on_train_batch_end(self, batch, logs=None):
            """So that no batch is held."""

    model, until = network(), network()
    with pytest.raises(KeyboardInterrupt):
        model.fit(slow(), callbacks=[Each()], verbose=0)
    until.fit(X[:40], Y[:40], batch_size=10, shuffle=False, verbose=0)
    assert state(model)[:3] == state(until)[:3] and model.running is None


class Mine(Exception):
    """Of the user's own."""


HOOKS = {  # the hook, and how many steps are behind when it is called for the second time
    "on_train_begin": 0, "on_epoch_begin": 2, "on_train_batch_begin": 1, "on_train_batch_end": 2, "on_test_begin": 4,
    "on_test_batch_begin": 2, "on_test_batch_end": 2, "on_test_end": 4, "on_epoch_end": 4, "on_train_end": 6,
}  # fmt: skip


@pytest.mark.parametrize("error", [Mine("enough"), KeyboardInterrupt()], ids=["exception", "Ctrl-C"])
@pytest.mark.parametrize("hook", HOOKS)
def test_what_a_callback_raises_comes_through_unchanged(hook, error):
    calls = []

    def call(*_):
        calls.append(hook)
        if len(calls) == 2 or hook in ("on_train_begin", "on_train_end"):
            raise error

    model, until = network(Dropout(0.3)), network(Dropout(0.3))
    callback = Callback()
    setattr(callback, hook, call)
    if "batch" in hook:
        callback.each_batch = lambda kind: kind in hook
    options = {"batch_size": 30, "validation_data": (X, Y), "verbose": 0}
    with pytest.raises(type(error)) as caught:
        model.fit(X, NAMES, epochs=3, callbacks=[callback], **options)
    assert caught.value is error and caught.value.__cause__ is None and model.running is None
    steps = HOOKS[hook]
    assert model.iterations == steps and model.classes == ("a", "b", "c")
    until.build((3,))
    if steps:
        until.fit(X, Y, epochs=1, steps_per_epoch=steps, batch_size=30, verbose=0)
    assert state(model)[0] == state(until)[0]
    model.fit(X, NAMES, **options)


def test_a_refused_call_in_a_thread_leaves_a_training_alone():
    model, alone, problems = network(), network(), []
    model.build((3,))

    def wrong():
        for x in (X[:, :2], X * np.nan, "text", None) * 5:
            try:
                model.predict(x)
            except DataError:
                continue
            except bl.BacklitError:
                continue
            problems.append(x)

    threads = [threading.Thread(target=wrong) for _ in range(2)]
    for thread in threads:
        thread.start()
    model.fit(X, NAMES, epochs=10, verbose=0)
    for thread in threads:
        thread.join()
    alone.fit(X, NAMES, epochs=10, verbose=0)
    assert not problems and state(model) == state(alone)


# ---------------------------------------------------------------------- threads
@pytest.mark.slow
@pytest.mark.parametrize("engine", ["planned", "reference", "auto"])
@pytest.mark.parametrize("built", [False, True])
def test_threads_may_predict_at_once(engine, built):
    """Eight threads, fifty calls each, of batches of many sizes, while the model is compiled anew again and again."""
    layers = Dense(200, "relu"), BatchNormalization(), Dense(150, "relu")
    model, single = network(*layers, engine=engine), network(*layers, engine=engine)
    parts = [np.random.default_rng(rows).normal(size=(rows, 3)).astype("float32") for rows in (1, 2, 3, 5, 8, 40, 200)]
    wanted = [single.predict(part) for part in parts]
    if built:
        model.build((3,))
    wrong: list[object] = []

    def work(seed):
        for place in np.random.default_rng(seed).integers(len(parts), size=50):
            try:
                if not np.array_equal(model.predict(parts[place]), wanted[place]):
                    wrong.append(place)
            except BaseException as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if built:
            model.compile("adam", "mse", engine=engine)
        threads[0].join(0.005)
    assert wrong == [] and all(thread.join() is None for thread in threads)


def test_the_limit_of_blas_threads_is_taken_back():
    from threadpoolctl import threadpool_info

    def counts():
        return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]

    before, inside, start = counts(), [], threading.Barrier(4)

    def work():
        start.wait()
        for _ in range(50):
            with blas_threads(1e6):
                inside.append(max(counts()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts() == before and min(inside) == 1
