"""Callbacks as a user sees them: who is told what and when, who decides what, what is printed and written."""

from __future__ import annotations

import math
import struct
from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit import callbacks as cb
from backlit.core.errors import (
    ArgumentError,
    FileError,
    FileMissingError,
    NonFiniteError,
    NotReadyError,
    UnknownNameError,
    ValueRangeError,
)
from backlit.layers import BatchNormalization, Dense, Dropout

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
    with pytest.raises(ValueRangeError, match="0 < factor < 1"):
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


# ---------------------------------------------------------------------- files
def test_model_checkpoint_after_each_epoch(tmp_path, capsys):
    path = tmp_path / "new" / "{epoch:02d}-{val_loss:.3f}.backlit"
    made = model(metrics=["mae"])
    history = fit(made, cb.ModelCheckpoint(path, verbose=1), validation_data=VAL)
    names = sorted(p.name for p in path.parent.iterdir())
    assert names == [f"{k + 1:02d}-{v:.3f}.backlit" for k, v in enumerate(history.history["val_loss"])]
    last = bl.load_model(path.parent / names[-1])
    assert np.array_equal(last.predict(X), made.predict(X)) and last.iterations == made.iterations
    assert last.history.history == history.history, "the file tells of its own epoch, too"
    assert bl.load_model(path.parent / names[0]).history.epoch == [0]
    first = f"\nEpoch 1: saving model to {path.parent / names[0]}\n"
    assert capsys.readouterr().out.startswith(first + f"\nEpoch 1: finished saving model to {path.parent / names[0]}\n")


def test_model_checkpoint_keeps_the_best(tmp_path, capsys):
    path = tmp_path / "x.backlit"
    keep, saved = cb.ModelCheckpoint(path, save_best_only=True, verbose=1), []
    made = Stub()
    made.save = lambda where, overwrite: saved.append(where)
    keep.set_model(made)
    for epoch, value in enumerate([0.5, 0.75, 0.25]):
        keep.on_epoch_begin(epoch)
        keep.on_epoch_end(epoch, {"val_loss": value})
    assert saved == [str(path)] * 2
    assert capsys.readouterr().out == (
        f"\nEpoch 1: val_loss improved from None to 0.50000, saving model to {path}\n"
        f"\nEpoch 1: finished saving model to {path}\n"
        "\nEpoch 2: val_loss did not improve from 0.50000\n"
        f"\nEpoch 3: val_loss improved from 0.50000 to 0.25000, saving model to {path}\n"
        f"\nEpoch 3: finished saving model to {path}\n"
    )
    keep = cb.ModelCheckpoint(path, "val_accuracy", save_best_only=True, initial_value_threshold=0.9)
    keep.set_model(made)
    for epoch, value in enumerate([0.8, 0.95, 0.92]):
        keep.on_epoch_end(epoch, {"val_accuracy": value})
    assert len(saved) == 3 and keep.best == 0.95


def test_model_checkpoint_every_so_many_batches(tmp_path):
    path = tmp_path / "{epoch}-{batch}.safetensors"
    made = model()
    fit(made, cb.ModelCheckpoint(path, save_weights_only=True, save_freq=4))  # 3 batches an epoch
    assert sorted(p.name for p in tmp_path.iterdir()) == ["2-1.safetensors", "3-2.safetensors"]
    best = tmp_path / "best.backlit"
    fit(made, cb.ModelCheckpoint(best, "loss", save_best_only=True, save_freq=1))
    assert bl.load_model(best).built


def test_model_checkpoint_refuses_what_it_cannot_do(tmp_path):
    with pytest.raises(ValueRangeError, match=r"'model.backlit'"):
        cb.ModelCheckpoint("model.keras")
    with pytest.raises(ValueRangeError, match=r"'best.safetensors'"):
        cb.ModelCheckpoint("best.weights.h5", save_weights_only=True)
    for freq in ("epochs", 0, True, 1.5):
        with pytest.raises(ValueRangeError, match="save_freq"):
            cb.ModelCheckpoint("x.backlit", save_freq=freq)
    with pytest.raises(ValueRangeError, match="known only at the end of an epoch"):
        cb.ModelCheckpoint("x.backlit", save_best_only=True, save_freq=5)
    with pytest.raises(UnknownNameError, match=r"'val_loss'(.|\n)*epoch, loss(.|\n)*give fit validation_data"):
        fit(model(), cb.ModelCheckpoint(tmp_path / "{val_loss}.backlit"))
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot make the folder"):
        fit(model(), cb.ModelCheckpoint(tmp_path / "file" / "x.backlit"))


def test_weights_alone_go_to_a_file_and_back(tmp_path):
    made, other = model(), model(seed=5)
    fit(made)
    before = other.get_weights()
    path = tmp_path / "line.safetensors"
    made.save_weights(path)
    other.load_weights(path)
    assert all(np.array_equal(a, b) for a, b in zip(made.get_weights(), other.get_weights(), strict=True))
    with pytest.raises(FileError, match="exists already"):
        made.save_weights(path, overwrite=False)
    with pytest.raises(FileError, match=r"use .*m\.safetensors"):
        made.save_weights(tmp_path / "m.weights.h5")
    with pytest.raises(FileMissingError, match="no file"):
        made.load_weights(tmp_path / "none.safetensors")
    with pytest.raises(NotReadyError, match="has weights"):
        bl.Sequential([Dense(1)]).load_weights(path)
    wide = bl.Sequential([bl.Input((3,)), Dense(2, name="line")])
    kept = wide.get_weights()
    with pytest.raises(FileError, match=r"'line/(kernel|bias)' does not fit"):
        wide.load_weights(path)
    renamed = bl.Sequential([bl.Input((3,)), Dense(1, name="plane")])
    with pytest.raises(FileError, match="other tensors"):
        renamed.load_weights(path)
    with pytest.warns(UserWarning, match="line/kernel"):
        wide.load_weights(path, skip_mismatch=True)
    assert all(np.array_equal(a, b) for a, b in zip(kept, wide.get_weights(), strict=True))
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(FileError):
        other.load_weights(path)
    assert not np.array_equal(before[0], other.get_weights()[0])


def test_csv_logger(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(model(metrics=["mae"]), cb.CSVLogger(path), epochs=2)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert rows[0] == ["epoch", "loss", "mae"] and [row[0] for row in rows[1:]] == ["0", "1"]
    assert [float(row[1]) for row in rows[1:]] == history.history["loss"]
    fit(model(metrics=["mae"]), cb.CSVLogger(path, append=True), epochs=1)
    assert len(path.read_text().splitlines()) == 4 and path.read_text().count("epoch") == 1
    with pytest.raises(FileError, match="no column for learning_rate"):
        fit(model(metrics=["mae"]), cb.LearningRateScheduler(lambda e: 0.1), cb.CSVLogger(path, append=True))
    fit(model(), cb.CSVLogger(path, separator=";"), epochs=1)
    assert path.read_text().splitlines()[0] == "epoch;loss"


def test_csv_logger_writes_na_where_validation_is_not_due(tmp_path):
    path = tmp_path / "log.csv"
    fit(model(), cb.CSVLogger(path), epochs=2, validation_data=VAL, validation_freq=2)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    assert rows[0] == ["epoch", "loss", "val_loss"] and rows[1][2] == "NA" and float(rows[2][2]) > 0


def test_csv_logger_refuses_files_it_cannot_write(tmp_path):
    with pytest.raises(FileError, match="cannot write"):
        fit(model(), cb.CSVLogger(tmp_path / "none" / "log.csv"))
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match="no log to go on with"):
        fit(model(), cb.CSVLogger(tmp_path / "other.csv", append=True))
    with pytest.raises(ValueRangeError, match="one character"):
        cb.CSVLogger("x.csv", separator="::")


def _records(path):
    """The records of an event file, checked, by a reader of its own."""
    data = path.read_bytes()
    place = 0
    while place < len(data):
        (length,), (crc,) = struct.unpack_from("<Q", data, place), struct.unpack_from("<I", data, place + 8)
        assert crc == _masked(data[place : place + 8])
        body = data[place + 12 : place + 12 + length]
        assert struct.unpack_from("<I", data, place + 12 + length)[0] == _masked(body)
        yield body
        place += 16 + length


def _masked(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def _fields(body):
    """{field: value} of a protobuf message: bytes of blocks, numbers."""
    found, place = {}, 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = body[place]
            place += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while place < len(body):
        key = varint()
        if key & 7 == 0:
            value = varint()
        elif key & 7 == 1:
            value = struct.unpack_from("<d", body, place)[0]
            place += 8
        elif key & 7 == 5:
            value = struct.unpack_from("<f", body, place)[0]
            place += 4
        else:
            length = varint()
            value = body[place : place + length]
            place += length
        found[key >> 3] = value
    return found


def scalars(folder):
    """{(tag, step): value} of the one event file in a folder."""
    (path,) = folder.iterdir()
    assert ".tfevents." in path.name
    first, *events = map(_fields, _records(path))
    assert first[3] == b"brain.Event:2"
    found = {}
    for event in events:
        value = _fields(_fields(event[5])[1])
        assert event[1] > 1.6e9
        found[value[1].decode(), event[2]] = value[2]
    return found


def test_tensorboard_writes_scalars_that_can_be_read(tmp_path):
    board = cb.TensorBoard(tmp_path / "logs", write_steps_per_second=True)
    history = fit(model(metrics=["mae"], rate=0.1), board, epochs=200, validation_data=VAL)
    train, held = scalars(tmp_path / "logs" / "train"), scalars(tmp_path / "logs" / "validation")
    assert {tag for tag, _ in train} == {"epoch_loss", "epoch_mae", "epoch_learning_rate", "epoch_steps_per_second"}
    for epoch in (0, 1, 127, 128, 199):
        assert train["epoch_loss", epoch] == np.float32(history.history["loss"][epoch])
        assert held["epoch_mae", epoch] == np.float32(history.history["val_mae"][epoch])
    assert held["evaluation_loss_vs_iterations", 3] == held["epoch_loss", 0]
    assert train["epoch_learning_rate", 0] == np.float32(0.1)


def test_tensorboard_by_batches_and_what_it_refuses(tmp_path):
    fit(model(), cb.TensorBoard(tmp_path, update_freq=2), epochs=2)
    assert {step for tag, step in scalars(tmp_path / "train") if tag == "batch_loss"} == {2, 4, 6}
    assert not (tmp_path / "validation").exists()
    for asked in ({"histogram_freq": 1}, {"write_images": True}, {"embeddings_freq": 1}, {"profile_batch": 2}):
        with pytest.raises(ValueRangeError, match=f"scalars only, so {next(iter(asked))} must stay 0"):
            cb.TensorBoard(**asked)
    with pytest.raises(ValueRangeError, match="update_freq"):
        cb.TensorBoard(update_freq="step")


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
    with pytest.raises(ValueRangeError, match="there is no mode 'mim'"):
        cb.ReduceLROnPlateau(mode="mim")
    with pytest.raises(ArgumentError, match=r"EarlyStopping\(\.\.\.\)"):
        fit(model(), cb.EarlyStopping)
    assert repr(cb.EarlyStopping("loss", patience=2)) == "EarlyStopping(monitor='loss', patience=2)"


def test_the_bar_of_keras(capsys):
    fit(model(), cb.ProgbarLogger(), epochs=2, verbose=2)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" - ")[0] for line in lines] == ["Epoch 1/2", "3/3", "Epoch 2/2", "3/3"]


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


# ---------------------------------------------------------------------- resuming
class Interrupted(Exception):
    """The machine went away."""


def network(seed):
    """Everything that has state: batch statistics, dropout, slots, metrics."""
    bl.random.set_seed(seed)
    made = bl.Sequential([Dense(8, "relu"), BatchNormalization(), Dropout(0.4), Dense(1)])
    made.compile(bl.optimizers.Adam(0.01), "mse", metrics=["mae"])
    made.build((3,))
    return made


def others():
    return [
        cb.ReduceLROnPlateau("val_loss", patience=1, factor=0.5),
        cb.EarlyStopping("val_loss", patience=30, restore_best_weights=True),
    ]


def learn(made, *callbacks, epochs=6, **more):
    more = {"batch_size": 5, "validation_data": VAL, **more}
    return made.fit(X, Y, epochs=epochs, verbose=0, callbacks=[*others(), *callbacks], **more)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


def breaking(hook, at):
    """Ends the training at the `at`-th time that the hook is told."""
    count = iter(range(1000))

    def told(*args):
        if next(count) == at:
            raise Interrupted

    return cb.LambdaCallback(**{hook: told})


@pytest.mark.parametrize(
    ("hook", "at", "save_freq"),
    [
        ("on_epoch_begin", 3, "epoch"),
        ("on_epoch_end", 3, "epoch"),
        ("on_train_batch_end", 12, "epoch"),
        ("on_test_begin", 2, 2),
        ("on_train_batch_end", 12, 3),
        ("on_train_batch_begin", 15, 1),
        ("on_test_begin", 3, 5),
        ("on_epoch_end", 3, 4),
    ],
)
def test_a_resumed_training_is_the_uninterrupted_one_bit_by_bit(tmp_path, hook, at, save_freq):
    whole, straight = network(0), None
    straight = learn(whole, cb.LearningRateScheduler(lambda epoch, rate: rate * 0.9))
    backup = tmp_path / "backup"

    def parts():
        return cb.LearningRateScheduler(lambda epoch, rate: rate * 0.9), cb.BackupAndRestore(backup, save_freq)

    with pytest.raises(Interrupted):
        learn(network(0), *parts(), breaking(hook, at))
    assert backup.exists()
    again, each = network(99), Coarse()  # another process: another seed, other first weights
    history = learn(again, *parts(), each)
    assert same(again, whole) and again.iterations == whole.iterations and again.seed == whole.seed
    assert history.history == straight.history and history.epoch == straight.epoch
    assert all(
        np.array_equal(a.array, b.array)
        for x, y in zip(again.slots().values(), whole.slots().values(), strict=True)
        for a, b in zip(x.values(), y.values(), strict=True)
    )
    assert again.optimizer.learning_rate == whole.optimizer.learning_rate
    assert each.told[1] != ("epoch_begin", 0)
    assert not backup.exists(), "removed when the training has ended"


def test_a_training_may_be_interrupted_often(tmp_path):
    whole = network(0)
    straight = learn(whole)
    for _ in range(5):
        with pytest.raises(Interrupted):
            learn(network(7), cb.BackupAndRestore(tmp_path / "b", 2), breaking("on_train_batch_end", 3)) if (
                tmp_path / "b"
            ).exists() else learn(network(0), cb.BackupAndRestore(tmp_path / "b", 2), breaking("on_train_batch_end", 3))
    again = network(8)
    assert learn(again, cb.BackupAndRestore(tmp_path / "b", 2)).history == straight.history and same(again, whole)


def test_the_same_model_and_callback_go_on(tmp_path):
    made, keep = network(0), cb.BackupAndRestore(tmp_path / "b", delete_checkpoint=False)
    with pytest.raises(Interrupted):
        learn(made, keep, breaking("on_epoch_begin", 2))
    history = learn(made, keep)
    whole = network(0)
    assert learn(whole).history == history.history and same(made, whole)
    each = Coarse()
    learn(made, keep, each)  # all epochs are done
    assert each.told == [("train_begin",), ("train_end",)] and same(made, whole)
    each = Coarse()
    learn(made, keep, each, epochs=7)
    assert ("epoch_begin", 6) in each.told and ("epoch_begin", 5) not in each.told


def test_what_was_stopped_early_stays_stopped(tmp_path):
    def parts(*more):
        stop = cb.EarlyStopping("loss", mode="max", patience=1, restore_best_weights=True)
        return [stop, cb.BackupAndRestore(tmp_path / "b"), *more]

    whole = model()
    straight = whole.fit(X, Y, epochs=9, verbose=0, callbacks=parts())
    with pytest.raises(Interrupted):
        model().fit(X, Y, epochs=9, verbose=0, callbacks=parts(breaking("on_train_end", 0)))
    again = model(seed=3)
    history = again.fit(X, Y, epochs=9, verbose=0, callbacks=parts())
    assert history.history == straight.history and same(again, whole)


def test_a_backup_of_another_model_changes_nothing(tmp_path):
    def parts():
        return cb.BackupAndRestore(tmp_path / "b", 2)

    with pytest.raises(Interrupted):
        learn(network(0), parts(), breaking("on_train_batch_end", 6))
    other = model()
    before = other.get_weights()
    with pytest.raises(FileError, match="another model"):
        fit(other, parts())
    assert np.array_equal(before[0], other.get_weights()[0]) and other.iterations == 0
    with pytest.raises(FileError, match=r"another training(.|\n)*batch_size 6"):
        learn(network(0), parts(), batch_size=6)


def test_a_damaged_backup(tmp_path):
    def parts(**more):
        return cb.BackupAndRestore(tmp_path, **more)

    with pytest.raises(Interrupted):
        learn(network(0), parts(double_checkpoint=True), breaking("on_epoch_begin", 4))
    path = tmp_path / "training.backup"
    path.write_bytes(path.read_bytes()[:100])
    whole, again = network(0), network(1)
    straight = learn(whole)
    (tmp_path / "mine.txt").write_text("kept")
    assert learn(again, parts(double_checkpoint=True)).history == straight.history and same(again, whole)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"], "nothing but its own files is removed"
    path.write_bytes(b"no backup")
    with pytest.raises(FileError):
        learn(network(0), parts())
    with pytest.raises(ValueRangeError, match="empty"):
        cb.BackupAndRestore("")


def test_callbacks_of_ones_own_keep_their_state(tmp_path):
    class Counts(cb.Callback):
        def __init__(self):
            self.told, self.norms = 0, []

        def get_state(self):
            return {"told": self.told, "norms": self.norms, "last": np.float32(0.1), "none": None}

        def set_state(self, state):
            self.told, self.norms, self.last = state["told"], state["norms"], state["last"]

        def on_epoch_end(self, epoch, logs=None):
            self.told += 1
            self.norms.append(np.array([np.linalg.norm(w) for w in self.model.get_weights()]))

    straight, first, again = Counts(), Counts(), Counts()
    learn(network(0), straight)
    with pytest.raises(Interrupted):
        learn(network(0), first, cb.BackupAndRestore(tmp_path / "b"), breaking("on_epoch_begin", 3))
    learn(network(1), again, cb.BackupAndRestore(tmp_path / "b"))
    assert again.told == straight.told == 6 and again.last == float(np.float32(0.1))
    assert np.array_equal(again.norms, straight.norms)

    class Strange(cb.Callback):
        def get_state(self):
            return {"it": object()}

    with pytest.raises(ArgumentError, match="state of a callback"):
        learn(network(0), Strange(), cb.BackupAndRestore(tmp_path / "b"))
