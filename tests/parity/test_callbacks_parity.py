"""The callbacks decide, and say, what Keras's own decide and say when both are driven by the same numbers."""

import csv
import os
from contextlib import redirect_stdout
from io import StringIO
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras with NumPy 2
KEY = {"auto": "val_loss", "min": "val_loss", "max": "val_accuracy"}
values = st.lists(st.integers(0, 12).map(lambda k: k / 4), min_size=1, max_size=14)  # with ties
modes = st.sampled_from(sorted(KEY))


class Stub:
    """As much of a model as these callbacks touch."""

    def __init__(self):
        self.stop_training, self.weights, self.set, self.saved = False, -1, None, []
        self.optimizer, self.metrics, self.history = SimpleNamespace(learning_rate=1.0), [], None

    def get_weights(self):
        return [self.weights]

    def set_weights(self, weights):
        self.set = weights

    def save(self, path, overwrite=True):
        self.saved.append(os.path.splitext(path)[0])


def drive(make, arguments, numbers):
    """Everything that a callback of `make` does and prints in a run that logs these numbers."""
    with redirect_stdout(StringIO()) as said:
        outcome = run(make(**arguments), arguments, numbers)
    return *outcome, said.getvalue()


def run(callback, arguments, numbers):
    """The callback, its model, and the learning rates."""
    model, told = Stub(), []
    callback.set_model(model)
    callback.on_train_begin({})
    for epoch, number in enumerate(numbers):
        model.weights = epoch
        callback.on_epoch_begin(epoch, {})
        logs = {KEY[arguments["mode"]]: number}
        callback.on_epoch_end(epoch, logs)
        told.append((epoch, model.optimizer.learning_rate, logs.get("learning_rate")))
        if model.stop_training:
            break
    callback.on_train_end({})
    return callback, model, told


@given(
    values,
    modes,
    st.fixed_dictionaries(
        {
            "min_delta": st.sampled_from([0, 0.25, 0.3, -0.25]),
            "patience": st.integers(0, 4),
            "baseline": st.sampled_from([None, 0.5, 1.5]),
            "restore_best_weights": st.booleans(),
            "start_from_epoch": st.sampled_from([0, 0, 2]),
        }
    ),
)
def test_early_stopping_decides_as_keras_does(numbers, mode, arguments):
    arguments = {**arguments, "mode": mode, "monitor": KEY[mode], "verbose": 1}
    theirs, model, told, said = drive(keras.callbacks.EarlyStopping, arguments, numbers)
    ours, mine, wrote, printed = drive(bl.callbacks.EarlyStopping, arguments, numbers)
    assert (wrote, mine.stop_training, mine.set) == (told, model.stop_training, model.set)
    for name in ("wait", "best", "stopped_epoch", "best_weights", "best_epoch"):
        assert getattr(ours, name) == getattr(theirs, name), name
    assert printed == said


@given(
    values,
    modes,
    st.fixed_dictionaries(
        {
            "factor": st.sampled_from([0.5, 0.25]),
            "patience": st.integers(0, 3),
            "min_delta": st.sampled_from([0, 1e-4, 0.25]),
            "cooldown": st.integers(0, 3),
            "min_lr": st.sampled_from([0.0, 0.125]),
        }
    ),
)
def test_reduce_lr_on_plateau_decides_as_keras_does(numbers, mode, arguments):
    arguments = {**arguments, "mode": mode, "monitor": KEY[mode], "verbose": 1}
    theirs, _, told, said = drive(keras.callbacks.ReduceLROnPlateau, arguments, numbers)
    ours, _, wrote, printed = drive(bl.callbacks.ReduceLROnPlateau, arguments, numbers)
    assert wrote == told
    assert (ours.wait, ours.best, ours.cooldown_counter) == (theirs.wait, theirs.best, theirs.cooldown_counter)
    assert printed == said


@given(values, modes, st.booleans(), st.sampled_from([None, 1.0]))
def test_model_checkpoint_saves_what_keras_saves(numbers, mode, best_only, threshold):
    arguments = {"mode": mode, "monitor": KEY[mode], "verbose": 1, "save_best_only": best_only}
    arguments["initial_value_threshold"] = threshold
    name = f"run-{{epoch:02d}}-{{{KEY[mode]}:.2f}}"
    _, model, _, said = drive(keras.callbacks.ModelCheckpoint, {**arguments, "filepath": name + ".keras"}, numbers)
    _, mine, _, printed = drive(bl.callbacks.ModelCheckpoint, {**arguments, "filepath": name + ".backlit"}, numbers)
    assert mine.saved == model.saved
    assert printed.replace(".backlit", ".keras") == said


def test_learning_rate_scheduler_says_what_keras_says(capfd):
    arguments = {"schedule": lambda epoch, rate: rate * 0.5, "verbose": 1}
    outcomes = []
    for room in (keras.callbacks, bl.callbacks):
        capfd.readouterr()
        callback, model, logs = room.LearningRateScheduler(**arguments), Stub(), {"loss": 1.0}
        callback.set_model(model)
        for epoch in range(3):
            callback.on_epoch_begin(epoch, {})
            callback.on_epoch_end(epoch, logs)
        outcomes.append((model.optimizer.learning_rate, logs, capfd.readouterr().out))
    assert outcomes[0] == outcomes[1]


HOOKS = [
    *(f"on_{kind}_{when}" for kind in ("train", "test", "predict", "epoch") for when in ("begin", "end")),
    *(f"on_{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")),
]
X = np.random.default_rng(3).normal(size=(20, 3)).astype("float32")
Y = X[:, :1] - X[:, 1:2]


def recorder(base, told, stop_at=None):
    """A callback of either library that writes down every event with the names that were logged."""

    def writing(hook):
        def write(self, *args, logs=None):
            logs = args[-1] if args and isinstance(args[-1], dict) else logs or {}
            told.append((hook, *(arg for arg in args if isinstance(arg, int)), sorted(logs)))
            if len(told) == stop_at:
                self.model.stop_training = True

        return write

    return type("Recorder", (base,), {hook: writing(hook) for hook in HOOKS})()


def models():
    """One small network in both libraries."""
    for library in (keras, bl):
        model = library.Sequential([library.layers.Dense(1)])
        model.compile(optimizer="sgd", loss="mse", metrics=["mae"])
        yield library, model


@pytest.mark.parametrize("stop_at", [None, 3, 6, 13])
def test_events_come_in_kerass_order(stop_at):
    events = []
    for library, model in models():
        told = []
        each = recorder(library.callbacks.Callback, told, stop_at)
        run = {"epochs": 2, "batch_size": 8, "verbose": 0, "validation_data": (X[:9], Y[:9])}
        history = model.fit(X, Y, **run, validation_batch_size=4, callbacks=[each])
        told.append(("params", each.params, history.params, history.epoch, sorted(history.history)))
        model.evaluate(X, Y, batch_size=16, verbose=0, callbacks=[each])
        model.predict(X, batch_size=16, verbose=0, callbacks=[each])
        events.append(told)
    assert events[0] == events[1]


def test_the_csv_log_is_read_as_kerass_is(tmp_path):
    rows = []
    for library, model in models():
        path = tmp_path / f"{library.__name__}.csv"
        log = [library.callbacks.LearningRateScheduler(lambda epoch: 0.1), library.callbacks.CSVLogger(str(path))]
        model.fit(X, Y, epochs=2, verbose=0, validation_data=(X, Y), callbacks=log)
        with path.open(newline="") as stream:
            rows.append(list(csv.reader(stream)))
    assert rows[0][0] == rows[1][0] and [row[0] for row in rows[0]] == [row[0] for row in rows[1]]


def test_a_loss_that_is_not_finite_ends_both_quietly(capfd):
    ends = []
    for library, model in models():
        model.compile(optimizer=library.optimizers.SGD(1e15), loss="mse")
        capfd.readouterr()
        history = model.fit(X, Y, epochs=9, batch_size=4, verbose=0, callbacks=[library.callbacks.TerminateOnNaN()])
        assert not np.isfinite(history.history["loss"][-1]) and len(history.epoch) == 1
        ends.append(capfd.readouterr().out)
    assert ends[1] == ends[0]
