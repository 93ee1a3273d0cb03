"""Several epochs in one run: the numbers, the weights and the stops are those of epoch by epoch."""

import os
import signal
import sys
import threading
import time

import numpy as np
import pytest

import backlit as bl
from backlit.callbacks import History, LambdaCallback
from backlit.layers import Dense, Dropout
from backlit.train.orders import orders

RNG = np.random.default_rng(1)
X, Y = RNG.normal(size=(13, 3)), RNG.integers(0, 2, 13)
SPARSE = bl.losses.SparseCategoricalCrossentropy(from_logits=True)
ALONE = LambdaCallback(on_epoch_end=lambda epoch, logs: None)  # somebody acts between epochs


def network(engine="planned", metrics=(), optimizer="adam"):
    bl.random.set_seed(5)
    model = bl.Sequential([bl.Input((3,)), Dense(4, "tanh"), Dropout(0.2), Dense(2)])
    model.compile(optimizer, SPARSE, metrics=list(metrics), engine=engine)
    return model


def same(a, b):
    assert a.history.history == b.history.history
    assert (a.history.epoch, a.history.rows) == (b.history.epoch, b.history.rows)
    assert (a.iterations, a.epochs_done) == (b.iterations, b.epochs_done)
    for one, other in zip(a.get_weights(), b.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def runs_of(model, monkeypatch):
    """How many steps each run of the model's training program had."""
    counts = []
    _, program = model.step("train", (None,))
    run = program.run
    monkeypatch.setattr(program, "run", lambda *given: (counts.append(given[2]), run(*given))[1], raising=False)
    return counts


@pytest.mark.parametrize("engine", ["reference", "planned", "compiled", pytest.param("xla", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "options",
    [
        {"batch_size": 13},
        {"batch_size": 4},
        {"batch_size": 4, "shuffle": False, "initial_epoch": 3},
        {"batch_size": 4, "validation_split": 0.3, "validation_freq": 7},
        {"batch_size": 5, "sample_weight": np.linspace(0, 1, 13)},
    ],
    ids=["one step", "a rest", "in order", "now and then validated", "weighted"],
)
def test_the_numbers_are_those_of_epoch_by_epoch(engine, options):
    together, apart = (network(engine, ["accuracy", "sparse_top_k_categorical_accuracy"]) for _ in range(2))
    together.fit(X, Y, epochs=30, verbose=0, **options)
    apart.fit(X, Y, epochs=30, verbose=0, callbacks=[ALONE], **options)
    same(together, apart)
    assert all(type(value) is float for values in together.history.history.values() for value in values)


def test_in_float64_too(float64):
    together, apart = network(), network()
    together.fit(X, Y, batch_size=4, epochs=30, verbose=0)
    apart.fit(X, Y, batch_size=4, epochs=30, verbose=0, callbacks=[ALONE])
    same(together, apart)


def test_short_epochs_share_a_run(monkeypatch):
    model = network()
    counts = runs_of(model, monkeypatch)
    model.fit(X, Y, batch_size=13, epochs=200, verbose=0)
    assert sum(counts) == 200 and len(counts) < 40 and len(model.history.history["loss"]) == 200


def test_whoever_acts_between_epochs_gets_each_of_them(monkeypatch):
    class Mine(History):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            seen.append(epoch)

    seen = []
    callbacks = [
        LambdaCallback(on_epoch_begin=lambda epoch, logs: seen.append(epoch)),
        LambdaCallback(on_batch_end=lambda batch, logs: seen.append(batch)),
        Mine(),
    ]
    for callback in callbacks:
        seen.clear()
        network().fit(X, Y, batch_size=13, epochs=20, verbose=0, callbacks=[callback])
        assert len(seen) == 20


def test_a_metric_of_arrays_is_kept_epoch_by_epoch():
    metrics = [bl.metrics.AUC(), "accuracy"]
    labels = Y.astype(float)
    fits = []
    for callbacks in ([], [ALONE]):
        bl.random.set_seed(5)
        model = bl.Sequential([bl.Input((3,)), Dense(1, "sigmoid")])
        model.compile("adam", "binary_crossentropy", metrics=metrics)
        fits.append(model.fit(X, labels, epochs=10, verbose=0, callbacks=callbacks).history)
    assert fits[0] == fits[1] and len(fits[0]["loss"]) == 10


@pytest.mark.parametrize("doctor", ["warn", "off"])
def test_a_step_that_is_not_finite_is_met_where_it_was_met_before(doctor):
    """A target whose square is too large for float32: what was before is committed and logged."""
    large, models = X[:, 0].copy(), []
    for callbacks in ([], [ALONE]):
        bl.random.set_seed(5)
        models.append(model := bl.Sequential([bl.Input((3,)), Dense(1)]))
        model.compile("sgd", "mse", metrics=["mae"])
        given = {"batch_size": 4, "verbose": 0, "callbacks": callbacks, "doctor": doctor}
        large[7] = X[7, 0]
        model.fit(X, large, epochs=30, **given)
        large[7] = 1e25
        if doctor == "off":
            model.fit(X, large, epochs=20, **given)
        else:
            with pytest.raises(bl.BacklitError, match="the loss is inf"):
                model.fit(X, large, epochs=20, **given)
    same(*models)
    skipped = [model.history.skipped_steps for model in models]
    assert skipped == ([20, 20] if doctor == "off" else [0, 0])


@pytest.fixture
def listening():
    """A process in the background is born deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_stops_between_two_steps(listening):
    """The weights and the History are those of the epochs that were run, and it takes less than a second."""
    model = network("auto")
    model.fit(X, Y, batch_size=13, epochs=1, verbose=0)
    pressed = []

    def press():
        while not getattr(model.running, "pace", 0) > 50:
            time.sleep(0.01)
        pressed.append(time.perf_counter())
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, batch_size=13, epochs=10**7, verbose=0)
    assert time.perf_counter() - pressed[0] < 1
    thread.join()
    done = model.epochs_done
    assert done == len(model.history.epoch) == len(model.history.history["loss"]) > 50 and model.iterations == done + 1
    again = network("auto")
    again.fit(X, Y, batch_size=13, epochs=1, verbose=0)
    again.fit(X, Y, batch_size=13, epochs=done, verbose=0)
    same(model, again)


def test_stopping_from_another_thread_ends_the_run():
    model = network("auto")

    def stop():
        while not getattr(model.running, "pace", 0) > 50:
            time.sleep(0.01)
        model.stop_training = True

    thread = threading.Thread(target=stop)
    thread.start()
    model.fit(X, Y, batch_size=13, epochs=10**7, verbose=0)
    thread.join()
    assert 0 < model.epochs_done < 10**7


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, 2**32, 2**40 + 5, 2**100 + 3, 2**200])
def test_the_order_of_a_pass_is_that_of_numpys_seeds(seed):
    for first in (0, 5, 2**32 - 30):
        wanted = [np.random.Generator(np.random.PCG64([seed, first + k])).permutation(6) for k in range(40)]
        np.testing.assert_array_equal(orders(seed, first, 40, 6), np.concatenate(wanted))
        np.testing.assert_array_equal(orders(seed, first, 1, 6), wanted[0])
