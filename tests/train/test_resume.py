"""An interrupted training goes on as if nothing had happened, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit import callbacks as cb
from backlit.core.errors import (
    ArgumentError,
    FileError,
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


class Coarse(cb.Callback):
    """Writes down which epochs it sees, and the begin and end of the training."""

    def __init__(self):
        self.told = []

    def on_train_begin(self, logs=None):
        self.told.append("begin")

    def on_epoch_begin(self, epoch, logs=None):
        self.told.append(epoch)

    def on_train_end(self, logs=None):
        self.told.append("end")


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
    assert each.told[1] > 0
    assert not backup.exists(), "removed when the training has ended"


def test_a_training_may_be_interrupted_often(tmp_path):
    whole = network(0)
    straight = learn(whole)
    for seed in range(5):  # each time another process, and 3 batches further than the last backup
        with pytest.raises(Interrupted):
            learn(network(seed), cb.BackupAndRestore(tmp_path / "b", 2), breaking("on_train_batch_end", 3))
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
    assert each.told == ["begin", "end"] and same(made, whole)
    each = Coarse()
    learn(made, keep, each, epochs=7)
    assert each.told == ["begin", 6, "end"]


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
