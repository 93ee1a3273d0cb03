"""What callbacks write while a model trains: checkpoints, weights, CSV logs, event files."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest

import backlit as bl
from backlit import callbacks as cb
from backlit.core.errors import (
    FileError,
    FileMissingError,
    NotReadyError,
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


class Stub:
    """A model that counts how often it is saved or set."""

    def __init__(self, rate=0.1):
        self.stop_training, self.weights = False, 0
        self.optimizer, self.history, self.set = SimpleNamespace(learning_rate=rate), None, None

    def get_weights(self):
        return [self.weights]

    def set_weights(self, weights):
        self.set = weights


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
        with pytest.raises(bl.BacklitError, match="save_freq"):
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
