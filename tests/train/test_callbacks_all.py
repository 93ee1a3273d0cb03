"""Callbacks as a user sees them: who is told what and when, who decides what, what is printed and written."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit import callbacks as cb
from backlit.core.errors import (
    ArgumentError,
    NonFiniteError,
    UnknownNameError,
    ValueRangeError,
)
from backlit.layers import Dense

X = np.random.default_rng(0).normal(size=(24, 3))
Y = (X @ [1.0, -2.0, 0.5] + 0.1).astype(np.float32)
VAL = (X[:10] + 0.1, Y[:10])


def model(optimizer="sgd", metrics=(), seed=0, rate=None):
    """A line through the data, compiled."""
    bl.random.set_seed(seed)
    made = bl.Sequential([Dense(1, name="line")])
    made.compile(bl.optimizers.SGD(rate) if rate else optimizer, "mse", metrics=list(metrics))
    made.build((3,))
    return made


def fit(made, *callbacks, **more):
    return made.fit(X, Y, **{"epochs": 3, "batch_size": 8, "verbose": 0, **more}, callbacks=list(callbacks))


class Writes(cb.Callback):
    """Writes down what it is told."""

    def __init__(self):
        self.told = []


def _writing(hook):
    def write(self, *args):
        self.told.append((hook.removeprefix("on_"), *[a for a in args if not isinstance(a, dict)]))

    return write


EVENTS = [f"on_{kind}_{when}" for kind in ("train", "test", "predict", "epoch") for when in ("begin", "end")]
BATCHES = [f"on_{kind}_batch_{when}" for kind in ("train", "test", "predict") for when in ("begin", "end")]
All = type("All", (Writes,), {hook: _writing(hook) for hook in EVENTS + BATCHES})
Coarse = type("Coarse", (Writes,), {hook: _writing(hook) for hook in EVENTS})


# ---------------------------------------------------------------------- order
def test_fit_tells_every_event_in_kerass_order():
    each = All()
    fit(model(), each, epochs=2, batch_size=12, validation_data=VAL, validation_batch_size=5)
    validation = [
        ("test_begin",), ("test_batch_begin", 0), ("test_batch_end", 0), ("test_batch_begin", 1), ("test_batch_end", 1),
        ("test_end",),
    ]  # fmt: skip
    steps = [("train_batch_begin", 0), ("train_batch_end", 0), ("train_batch_begin", 1), ("train_batch_end", 1)]
    assert each.told == [
        ("train_begin",),
        ("epoch_begin", 0), *steps, *validation, ("epoch_end", 0),
        ("epoch_begin", 1), *steps, *validation, ("epoch_end", 1),
        ("train_end",),
    ]  # fmt: skip


def test_without_batch_hooks_the_engine_runs_on():
    coarse = Coarse()
    fit(model(), coarse, epochs=1, validation_data=VAL)
    assert coarse.told == [
        ("train_begin",), ("epoch_begin", 0), ("test_begin",), ("test_end",), ("epoch_end", 0), ("train_end",)
    ]  # fmt: skip
    assert not any(coarse.each_batch(kind) for kind in ("train", "test", "predict"))
    assert cb.LambdaCallback(on_train_batch_end=print).each_batch("train")
    assert cb.LambdaCallback(on_batch_begin=print).each_batch("train")
    assert not cb.LambdaCallback(on_epoch_end=print).each_batch("train")


def test_evaluate_and_predict_tell_their_callbacks():
    made, each, seen = model(metrics=["mae"]), All(), {}
    fit(made)
    logs = made.evaluate(X, Y, batch_size=16, callbacks=[each], return_dict=True)
    assert each.told == [
        ("test_begin",), ("test_batch_begin", 0), ("test_batch_end", 0), ("test_batch_begin", 1), ("test_batch_end", 1),
        ("test_end",),
    ]  # fmt: skip
    ends = cb.LambdaCallback(on_test_end=lambda logs: seen.update(logs))
    assert made.evaluate(X, Y, batch_size=16, callbacks=ends, return_dict=True) == seen == logs
    each, parts = All(), []
    keep = cb.LambdaCallback(on_predict_batch_end=lambda batch, logs: parts.append(logs["outputs"]))
    out = made.predict(X, batch_size=10, callbacks=[each, [keep]])
    numbers = [(f"predict_batch_{when}", batch) for batch in range(3) for when in ("begin", "end")]
    assert each.told == [("predict_begin",), *numbers, ("predict_end",)]
    assert np.array_equal(np.concatenate(parts), out)
    each = All()
    made.predict(np.zeros((70, 3)), callbacks=each)
    assert len(each.told) == 2 + 2 * 3, "with batch hooks a batch has 32 rows, as in Keras"


def test_stopping_an_evaluation_or_a_prediction():
    made = model()
    fit(made)
    stop = cb.LambdaCallback(
        on_test_batch_end=lambda batch, logs: setattr(made, "stop_evaluating", True),
        on_predict_batch_end=lambda batch, logs: setattr(made, "stop_predicting", True),
    )
    assert made.evaluate(X, Y, batch_size=8, callbacks=stop) == made.evaluate(X[:8], Y[:8])
    assert len(made.predict(X, batch_size=8, callbacks=stop)) == 8
    assert len(made.predict(X, batch_size=8)) == 24


def test_params_and_logs():
    seen = []
    each = cb.LambdaCallback(
        on_train_batch_end=lambda batch, logs: seen.append(("batch", sorted(logs))),
        on_test_end=lambda logs: seen.append(("test", sorted(logs))),
        on_epoch_end=lambda epoch, logs: seen.append(("epoch", sorted(logs))),
    )
    history = fit(model(metrics=["mae"]), each, epochs=1, batch_size=24, validation_data=VAL)
    assert seen == [
        ("batch", ["loss", "mae"]), ("test", ["loss", "mae"]), ("epoch", ["loss", "mae", "val_loss", "val_mae"])
    ]  # fmt: skip
    assert each.params == history.params == {"verbose": 0, "epochs": 1, "steps": 1}


def test_the_older_names_of_batch_hooks():
    class Old(cb.Callback):
        batches = ()

        def on_batch_begin(self, batch, logs=None):
            self.batches = (*self.batches, ("begin", batch))

        def on_batch_end(self, batch, logs=None):
            self.batches = (*self.batches, ("end", batch))

    old = Old()
    fit(model(), old, epochs=1, batch_size=12)
    assert old.batches == (("begin", 0), ("end", 0), ("begin", 1), ("end", 1))


def test_what_a_callback_adds_to_the_logs_is_in_the_history():
    add = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(twice=2.0 * epoch))
    assert fit(model(), add).history["twice"] == [0.0, 2.0, 4.0]


def test_several_trainings_with_one_history():
    kept, made = cb.History(), model()
    assert fit(made, kept) is kept and made.history is kept
    fit(made, kept, epochs=2)
    assert kept.epoch == [0, 1] and len(kept.history["loss"]) == 5  # as in Keras


# ---------------------------------------------------------------------- stopping
def test_stop_training_is_read_after_a_batch_only_where_batch_hooks_are():
    stop = type("Stop", (cb.Callback,), {"on_train_batch_end": lambda self, batch, logs=None: _stop(self.model)})
    made = model()
    history = fit(made, stop())
    assert made.iterations == 1 and history.epoch == [0]
    made = model()
    history = fit(made, cb.LambdaCallback(on_epoch_begin=lambda epoch, logs: epoch == 1 and _stop(made)))
    assert made.iterations == 6 and history.epoch == [0, 1]


def _stop(made):
    made.stop_training = True


def test_an_exception_in_a_callback_leaves_the_last_committed_step():
    class Fails(cb.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.iterations == 4:
                raise RuntimeError("no more")

    made, twin = model("adam"), model("adam")
    with pytest.raises(RuntimeError, match="no more"):
        fit(made, Fails())
    assert made.iterations == 4 and made.running is None
    stop = cb.LambdaCallback(on_train_batch_end=lambda batch, logs: twin.iterations == 4 and _stop(twin))
    fit(twin, stop)
    assert twin.iterations == 4 and np.array_equal(made.get_weights()[0], twin.get_weights()[0])
    ended = cb.LambdaCallback(on_epoch_end=lambda e, logs: 1 / 0, on_train_end=lambda logs: pytest.fail("told"))
    with pytest.raises(ZeroDivisionError):
        fit(made, ended)


# ---------------------------------------------------------------------- monitors, driven by numbers
class Stub:
    """A model that counts how often it is saved or set."""

    def __init__(self, rate=0.1):
        self.stop_training, self.weights = False, 0
        self.optimizer, self.history, self.set = SimpleNamespace(learning_rate=rate), None, None

    def get_weights(self):
        return [self.weights]

    def set_weights(self, weights):
        self.set = weights


def drive(callback, values, name="val_loss"):
    """(the epoch that stopped, the model) after a run of epochs that logged these numbers."""
    made = Stub()
    callback.set_model(made)
    callback.on_train_begin({})
    for epoch, value in enumerate(values):
        made.weights = epoch
        callback.on_epoch_end(epoch, {name: value})
        if made.stop_training:
            break
    callback.on_train_end({})
    return epoch, made


@pytest.mark.parametrize(
    ("arguments", "values", "stopped", "best"),
    [
        ({}, [3, 2, 2], 2, 1),
        ({}, [3, 4], 1, 0),
        ({"patience": 2}, [3, 2, 2.5, 2.4, 1], 3, 1),
        ({"min_delta": 0.5}, [3, 2.6, 2.6], 1, 0),
        ({"min_delta": -0.5}, [3, 2.4, 2.2, 1], 2, 1),
        ({"mode": "max", "min_delta": 0.5}, [1, 1.6, 2.0], 2, 1),
        ({"mode": "max"}, [1, 2, 2], 2, 1),
        ({"start_from_epoch": 2}, [0.1, 0.2, 3, 2, 4], 4, 3),
        ({"patience": 1}, [math.nan, 2, 1, 1], 3, 2),
    ],
)
def test_early_stopping_decides(arguments, values, stopped, best):
    stop = cb.EarlyStopping(**arguments)
    epoch, made = drive(stop, values)
    assert made.stop_training and (epoch, stop.stopped_epoch, stop.best_epoch) == (stopped, stopped, best)


def test_early_stopping_with_a_baseline_waits_for_it():
    stop = cb.EarlyStopping(baseline=1.0, patience=3, restore_best_weights=True)
    epoch, made = drive(stop, [3, 2, 0.9, 1.1, 1.2, 1.3, 1.4])
    assert (epoch, stop.best, made.set) == (5, 0.9, [2])
    epoch, made = drive(stop, [3, 2, 1.5, 1.6, 0.1])
    assert (epoch, stop.best, made.set) == (3, 1.5, [2]), "better epochs that miss the baseline do not reset the count"


def test_early_stopping_puts_the_best_weights_back_on_both_endings(capsys):
    stop = cb.EarlyStopping(patience=3, restore_best_weights=True, verbose=1)
    _, made = drive(stop, [3, 1, 2, 2, 2, 9])
    assert made.set == [1]
    assert capsys.readouterr().out == (
        "Epoch 5: early stopping\nRestoring model weights from the end of the best epoch: 2.\n"
    )
    epoch, made = drive(stop, [3, 1, 2])
    assert epoch == 2 and not made.stop_training and made.set == [1]
    assert capsys.readouterr().out == "Restoring model weights from the end of the best epoch: 2.\n"


def test_early_stopping_in_a_training():
    made, kept = model(rate=0.3), []
    keep = cb.LambdaCallback(on_epoch_end=lambda epoch, logs: kept.append(made.get_weights()[0].copy()))
    stop = cb.EarlyStopping("loss", mode="max", patience=2, restore_best_weights=True)  # max: the first epoch is best
    history = fit(made, keep, stop, epochs=10)
    assert history.epoch == [0, 1, 2] and np.array_equal(made.get_weights()[0], kept[0])


def _best_only(monitor):
    return cb.ModelCheckpoint("x.backlit", monitor, save_best_only=True)


@pytest.mark.parametrize("make", [cb.EarlyStopping, cb.ReduceLROnPlateau, _best_only])
def test_a_monitored_name_that_is_not_logged(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = model(metrics=["mae"])
    with pytest.raises(UnknownNameError, match=r"'val_mea'(.|\n)*loss, mae, val_loss, val_mae(.|\n)*'val_mae'"):
        fit(made, make("val_mea"), validation_data=VAL)
    assert made.iterations == 3, "known after the first epoch"
    with pytest.raises(UnknownNameError, match="give fit validation_data"):
        fit(model(), make("val_loss"))


def test_validation_every_second_epoch_is_no_missing_name():
    stop = cb.EarlyStopping("val_loss", patience=1, mode="max")
    history = fit(model(rate=0.1), stop, cb.ReduceLROnPlateau(), epochs=9, validation_data=VAL, validation_freq=2)
    assert history.epoch == [0, 1, 2, 3] and len(history.history["val_loss"]) == 2


@pytest.mark.parametrize(
    ("name", "grows"),
    [
        ("loss", False), ("val_loss", False), ("out_loss", False), ("val_accuracy", True), ("acc_head_loss", False),
        ("val_sparse_categorical_accuracy", True), ("mae", False), ("root_mean_squared_error", False), ("auc_1", True),
        ("recall", True), ("f1_score", True), ("r2_score", True), ("head_mae", False), ("cosine_similarity", True),
        ("binary_crossentropy", False), ("false_negatives", False), ("true_negatives", True),
        ("top_k_categorical_accuracy", True),
    ],
)  # fmt: skip
def test_auto_knows_which_way_is_better(name, grows):
    assert cb.EarlyStopping(name).grows is grows


def test_auto_refuses_what_it_cannot_know():
    with pytest.raises(ValueRangeError, match="EarlyStopping cannot know whether 'val_wobble' is to fall or to grow"):
        drive(cb.EarlyStopping("val_wobble"), [1], "val_wobble")
    assert drive(cb.EarlyStopping("val_wobble", mode="min"), [1, 2], "val_wobble")[0] == 1


def test_reduce_lr_on_plateau_decides(capsys):
    plateau = cb.ReduceLROnPlateau(factor=0.5, patience=2, cooldown=1, min_lr=0.02, verbose=1)
    made, rates = Stub(0.1), []
    plateau.set_model(made)
    plateau.on_train_begin({})
    for epoch, value in enumerate([3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]):
        logs = {"val_loss": value}
        plateau.on_epoch_end(epoch, logs)
        rates.append((logs["learning_rate"], made.optimizer.learning_rate))
    assert [after for _, after in rates] == [0.1] * 3 + [0.05] * 2 + [0.025] * 2 + [0.02] * 4
    assert rates[3] == (0.1, 0.05), "the epoch's own rate is logged"
    assert capsys.readouterr().out == (
        "\nEpoch 4: ReduceLROnPlateau reducing learning rate to 0.05.\n"
        "\nEpoch 6: ReduceLROnPlateau reducing learning rate to 0.025.\n"
        "\nEpoch 8: ReduceLROnPlateau reducing learning rate to 0.02.\n"
    )


def test_reduce_lr_on_plateau_in_a_training():
    made = model(rate=0.1)
    history = fit(made, cb.ReduceLROnPlateau("loss", mode="max", patience=1), epochs=3)
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.1, 0.01])
    assert made.optimizer.learning_rate == pytest.approx(0.001)


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.0, -0.5])
def test_reduce_lr_on_plateau_refuses_a_factor_that_does_not_reduce(factor):
    with pytest.raises(ValueRangeError, match="factor must be a number above 0 and below 1"):
        cb.ReduceLROnPlateau(factor=factor)


def test_a_rate_that_follows_a_schedule_is_not_set():
    made = model(bl.optimizers.SGD(bl.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)))
    for callback in (cb.ReduceLROnPlateau("loss"), cb.LearningRateScheduler(lambda epoch: 0.1)):
        with pytest.raises(ArgumentError, match="cannot set the learning rate"):
            fit(made, callback)
    assert made.iterations == 0


def test_learning_rate_scheduler(capsys):
    history = fit(model(rate=0.1), cb.LearningRateScheduler(lambda epoch, rate: rate / (1 + epoch), verbose=1))
    assert history.history["learning_rate"] == pytest.approx([0.1, 0.05, 0.05 / 3])
    assert capsys.readouterr().out.startswith(
        "\nEpoch 1: LearningRateScheduler setting learning rate to 0.1.\n"
        "\nEpoch 2: LearningRateScheduler setting learning rate to 0.05.\n"
    )
    history = fit(model(), cb.LearningRateScheduler(lambda epoch: np.float32(0.25)))
    assert history.history["learning_rate"] == [0.25] * 3
    with pytest.raises(ValueRangeError, match="must return the learning rate"):
        fit(model(), cb.LearningRateScheduler(lambda epoch: None))
    with pytest.raises(TypeError, match="inside"):  # an error inside the schedule is not taken for its signature
        fit(model(), cb.LearningRateScheduler(_fails))
    with pytest.raises(ArgumentError, match="must be a function"):
        cb.LearningRateScheduler(0.1)


def _fails(epoch, rate):
    raise TypeError("inside")


# ---------------------------------------------------------------------- NaN
def _diverging():
    return model(bl.optimizers.SGD(1e15))


def test_terminate_on_nan_ends_quietly(capsys):
    made = _diverging()
    history = fit(made, cb.TerminateOnNaN(), epochs=50)
    assert len(history.epoch) < 50 and not math.isfinite(history.history["loss"][-1])
    assert history.skipped_steps == 1
    assert np.isfinite(made.get_weights()[0]).all(), "the step was not written"
    batch = made.iterations % 3
    assert capsys.readouterr().out == f"Batch {batch}: Invalid loss, terminating training\n"
    twin = _diverging()
    fit(twin, cb.TerminateOnNaN(), All(), epochs=50, doctor="off")
    assert twin.iterations == made.iterations and np.array_equal(twin.get_weights()[0], made.get_weights()[0])
    assert capsys.readouterr().out == f"Batch {batch}: Invalid loss, terminating training\n"


@pytest.mark.parametrize("doctor", ["warn", "off"])
def test_terminate_on_nan_may_raise(doctor):
    with pytest.raises(RuntimeError) as caught:
        fit(_diverging(), cb.TerminateOnNaN(raise_error=True), epochs=50, doctor=doctor)
    assert isinstance(caught.value, NonFiniteError) and "first operation" in str(caught.value)
    with pytest.raises(NonFiniteError, match="NaN or Inf loss encountered at batch 3"):
        cb.TerminateOnNaN(raise_error=True).on_batch_end(3, {"loss": math.inf})
    with pytest.raises(NonFiniteError):
        fit(_diverging(), epochs=50)


# ---------------------------------------------------------------------- lambda, lists, spelling
def test_lambda_callback_takes_every_hook():
    seen = []
    hooks = {hook: (lambda *args, hook=hook: seen.append(hook)) for hook in EVENTS + BATCHES}
    made = model()
    fit(made, cb.LambdaCallback(**hooks), epochs=1, validation_data=VAL)
    made.predict(X, callbacks=cb.LambdaCallback(**hooks))
    assert set(seen) == set(EVENTS + BATCHES)
    with pytest.raises(ArgumentError, match="did you mean 'on_epoch_end'"):
        cb.LambdaCallback(on_epoch_ends=print)
    with pytest.raises(ArgumentError, match="must be a function"):
        cb.LambdaCallback(on_epoch_end=3)
    assert repr(cb.LambdaCallback(on_epoch_end=print)) == "LambdaCallback(on_epoch_end=...)"


def test_callback_list_drives_a_loop_of_ones_own():
    each = All()
    told = cb.CallbackList([each, [cb.History()]], add_history=True, add_progbar=False, verbose=0, epochs=1, steps=1)
    assert len(told.callbacks) == 2 and each.params == {"verbose": 0, "epochs": 1, "steps": 1}
    told.append(cb.LambdaCallback())
    told.on_train_begin()
    told.on_train_batch_end(0, logs={"loss": 1.0})
    told.on_epoch_end(0, {"loss": 1.0})
    assert each.told == [("train_begin",), ("train_batch_end", 0), ("epoch_end", 0)]
    assert told.history.history == {"loss": [1.0]}
    with pytest.raises(AttributeError, match="did you mean 'on_epoch_end'"):
        told.on_epoch_ends(0)
    fit(model(), told, epochs=1)
    assert ("epoch_begin", 0) in each.told


def test_misspelt_callbacks_and_arguments():
    with pytest.raises(AttributeError, match="did you mean 'EarlyStopping'"):
        _ = bl.callbacks.EarlyStoping
    with pytest.raises(ArgumentError, match="did you mean 'patience'"):
        cb.EarlyStopping(patiance=3)
    with pytest.raises(ArgumentError, match="did you mean 'save_best_only'"):
        cb.ModelCheckpoint("x.backlit", save_best=True)
    with pytest.raises(ArgumentError, match="ModelCheckpoint"):
        cb.ModelCheckpoint()
    with pytest.raises(ValueRangeError, match="found 'mim'"):
        cb.ReduceLROnPlateau(mode="mim")
    with pytest.raises(ArgumentError, match=r"EarlyStopping\(\.\.\.\)"):
        fit(model(), cb.EarlyStopping)
    assert repr(cb.EarlyStopping("loss", patience=2)) == "EarlyStopping(monitor='loss', patience=2)"


def test_the_bar_of_keras(capsys):
    fit(model(), cb.ProgbarLogger(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("engine: ")
    assert [line.split(" - ")[0] for line in lines[1:]] == ["Epoch 1/2", "3/3", "Epoch 2/2", "3/3"]


# ---------------------------------------------------------------------- history
def test_history_says_what_happened():
    history = fit(model(metrics=["mae"]), epochs=1)
    assert repr(history).startswith("<History: 1 epoch, loss ")
    assert "<th style='text-align:left'>mae</th>" in history._repr_html_()
    assert repr(cb.History()) == "<History: no epoch yet>"


def test_a_history_with_gaps_is_saved_and_loaded(tmp_path):
    made = model()
    history = fit(made, epochs=4, validation_data=VAL, validation_freq=2)
    made.save(tmp_path / "m.backlit")
    loaded = bl.load_model(tmp_path / "m.backlit").history
    assert loaded.history == history.history and loaded.epoch == [0, 1, 2, 3] and len(loaded.history["val_loss"]) == 2


# ---------------------------------------------------------------------- moving averages
def test_swap_ema_weights_evaluates_the_averages():
    made = model(bl.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9))
    seen = []
    look = cb.LambdaCallback(
        on_test_begin=lambda logs: seen.append(("test", made.get_weights()[0].copy(), _averages(made))),
        on_epoch_end=lambda epoch, logs: seen.append(("epoch", made.get_weights()[0].copy(), _averages(made))),
    )
    fit(made, cb.SwapEMAWeights(), look, validation_data=VAL, epochs=2)
    for when, weights, averages in seen:
        assert np.array_equal(weights, averages) == (when == "test")
    seen.clear()
    fit(made, cb.SwapEMAWeights(swap_on_epoch=True), look, validation_data=VAL, epochs=2)
    assert [np.array_equal(weights, averages) for _, weights, averages in seen] == [True] * 4
    assert np.array_equal(made.get_weights()[0], _averages(made))


def test_swap_ema_weights_does_not_change_the_training():
    made, twin = (model(bl.optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)) for _ in range(2))
    swapped = fit(made, cb.SwapEMAWeights(swap_on_epoch=True))
    assert swapped.history == fit(twin).history
    assert np.array_equal(made.get_weights()[0], twin.get_weights()[0])
    with pytest.raises(ValueRangeError, match="use_ema=True"):
        fit(model(), cb.SwapEMAWeights(), validation_data=VAL)


def _averages(made):
    return next(iter(made.slots().values()))["average"].array.copy()
