"""Model files: what is saved comes back bit for bit, a failed write leaves the old file, a damaged file no model."""

import contextlib
import errno
import io
import json
import os
import random
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError, FileError, FileMissingError
from backlit.io import file
from backlit.layers import Activation, BatchNormalization, Dense, Dropout, Layer, Normalization
from backlit.losses import SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(3, 2, size=(40, 3)), np.arange(40) % 3


def network(optimizer=None, engine="auto", **options):
    scaling = Normalization()
    scaling.adapt(X)
    hidden = Dense(5, "relu", kernel_regularizer=bl.regularizers.L2(0.01))
    model = bl.Sequential([bl.Input((3,)), scaling, hidden, BatchNormalization(), Dropout(0.3), Dense(3)])
    loss = SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or Adam(0.01), loss, metrics=["accuracy"], engine=engine)
    return model


def weights(model):
    return [w.tobytes() for w in model.get_weights()]


@pytest.fixture
def saved(tmp_path):
    """(path, trained model)."""
    bl.random.set_seed(1)
    model = network()
    model.fit(X, Y, epochs=2, verbose=0, validation_split=0.25)
    model.classes = ("low", "mid", "high")
    model.about = {"source": "nowhere", "task": "multiclass", "columns": ["a", "b", "ü"]}
    path = tmp_path / "model.backlit"
    model.save(path)
    return path, model


# ---------------------------------------------------------------------- there and back
def test_everything_comes_back(saved):
    path, model = saved
    again = bl.load_model(path)
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert weights(again) == weights(model)
    assert again.evaluate(X, Y) == model.evaluate(X, Y)
    assert again.classes == model.classes and again.about == model.about and again.seed == model.seed
    assert (again.iterations, again.epochs_done) == (model.iterations, model.epochs_done)
    assert again.history.history == model.history.history and again.history.epoch == [0, 1]
    assert repr(again.optimizer) == repr(model.optimizer) and repr(again.loss) == repr(model.loss)
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert again.predict_classes(X).tolist() == model.predict_classes(X).tolist()
    assert again.name == model.name and again.summary(print_fn=str) is None


def test_it_opens_in_another_process(saved):
    path, model = saved
    code = "import sys, numpy as np, backlit as bl; print(bl.load_model(sys.argv[1]).predict(np.ones((1, 3))).tolist())"
    done = subprocess.run(
        [sys.executable, "-c", code, path], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    assert json.loads(done.stdout) == model.predict(np.ones((1, 3))).tolist()


@pytest.mark.parametrize("engine", ["planned", "reference"])
@pytest.mark.parametrize("optimizer", [Adam(0.01), SGD(0.05, momentum=0.9), SGD(0.05)], ids=repr)
def test_training_goes_on_as_if_it_had_never_stopped(tmp_path, optimizer, engine):
    def fresh():
        bl.random.set_seed(2)
        return network(optimizer, engine)

    whole, part = fresh(), fresh()
    history = whole.fit(X, Y, epochs=5, verbose=0, batch_size=7).history
    part.fit(X, Y, epochs=2, verbose=0, batch_size=7)
    part.save(tmp_path / "part.backlit")
    bl.random.set_seed(99)  # the file knows its seed
    again = bl.load_model(tmp_path / "part.backlit")
    rest = again.fit(X, Y, epochs=5, initial_epoch=again.epochs_done, verbose=0, batch_size=7).history
    assert weights(again) == weights(whole)
    assert rest["loss"] == history["loss"][2:]
    slots = [[s.array.tobytes() for each in m._slots.values() for s in each.values()] for m in (again, whole)]
    assert slots[0] == slots[1]


def test_the_learning_rate_is_that_of_the_moment_of_saving(tmp_path):
    model = network(Adam(0.01))
    model.optimizer.learning_rate = 0.003
    model.save(tmp_path / "m.backlit")
    assert bl.load_model(tmp_path / "m.backlit").optimizer.learning_rate == 0.003


def test_layers_that_were_frozen_after_training_keep_their_slots(tmp_path):
    path = tmp_path / "m.backlit"
    bl.random.set_seed(3)
    model = network()
    model.fit(X, Y, verbose=0)
    model.layers[1].trainable = False
    model.fit(X, Y, verbose=0)
    model.save(path)
    again = bl.load_model(path)
    assert not again.layers[1].trainable
    for each in (model, again):
        each.layers[1].trainable = True
        each.fit(X, Y, initial_epoch=2, epochs=3, verbose=0)
    assert weights(again) == weights(model)


def test_layers_that_were_used_before_they_were_put_together(tmp_path):
    layers = [Dense(3), Dense(3)]
    for k, layer in enumerate(layers):
        layer(X)
        layer.set_weights([np.full((3, 3), k + 1.0), np.full(3, float(k))])
    model = bl.Sequential(layers)
    model.build((3,))
    model.save(tmp_path / "m.backlit")
    np.testing.assert_array_equal(bl.load_model(tmp_path / "m.backlit").predict(X), model.predict(X))
    assert np.array_equal(model.layers[1].get_weights()[0], np.full((3, 3), 2.0))


def test_an_uncompiled_model_and_one_in_float64(tmp_path):
    bl.set_floatx("float64")
    try:
        model = bl.Sequential([bl.Input((3,)), Dense(2, "tanh"), Activation("softmax")])
    finally:
        bl.set_floatx("float32")
    model.save(tmp_path / "m.backlit")
    again = bl.load_model(tmp_path / "m.backlit")
    assert again.predict(X).dtype == np.float64
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    with pytest.raises(BacklitError, match="compile"):
        again.fit(X, Y)


class TwoTimes(Layer):
    """A layer of somebody's own, that the loading process knows."""

    def __init__(self, times: float = 2.0, name=None):
        super().__init__(name=name)
        self.times = times

    def call(self, x, training=False):
        return x * self.times


def test_layers_of_ones_own_come_back_where_their_class_is_defined(tmp_path):
    path = tmp_path / "m.backlit"
    model = bl.Sequential([bl.Input((3,)), TwoTimes(3.0)])
    model.save(path)
    np.testing.assert_allclose(bl.load_model(path).predict(X), 3 * X, rtol=1e-6)
    rewrite(
        path, lambda entries: entries.update({"model.json": entries["model.json"].replace(b"TwoTimes", b"ThreeTimes")})
    )
    with pytest.raises(FileError, match="ThreeTimes"):
        bl.load_model(path)


def relu(x):
    """Not the relu of the library, though it has its name."""
    return x * 7


@pytest.mark.parametrize("function", [lambda x: x + 1, relu], ids=["lambda", "a name of the library"])
def test_a_function_that_the_file_cannot_bring_back_is_refused_at_once(tmp_path, function):
    model = bl.Sequential([bl.Input((3,)), Dense(2, activation=function, name="odd")])
    with pytest.raises(FileError, match="'odd'"):
        model.save(tmp_path / "m.backlit")
    assert list(tmp_path.iterdir()) == []


def test_the_same_model_gives_the_same_bytes(saved, tmp_path):
    path, model = saved
    model.save(tmp_path / "again.backlit")
    assert path.read_bytes() == (tmp_path / "again.backlit").read_bytes()
    bl.load_model(path).save(tmp_path / "third.backlit")
    assert path.read_bytes() == (tmp_path / "third.backlit").read_bytes()


def test_what_is_inside(saved):
    path, _ = saved
    with zipfile.ZipFile(path) as archive:
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        names = set(archive.namelist())
        said = json.loads(archive.read("model.json"))
        tensors = file.unpack(archive.read("weights.safetensors"), path)
        assert archive.read("history.csv").decode().splitlines()[0] == "epoch,accuracy,loss,val_accuracy,val_loss"
    assert {"model.json", "weights.safetensors", "optimizer.safetensors", "preprocess.json", "history.csv"} <= names
    assert said["format"] == 1 and said["classes"] == ["low", "mid", "high"]
    assert tensors["dense/kernel"].shape == (3, 5)
    assert b"pickle" not in path.read_bytes()


# ---------------------------------------------------------------------- writing
@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model", "model.backlit.zip", "model.BACKLIT"])
def test_the_suffix_says_what_it_is(tmp_path, name):
    with pytest.raises(FileError, match=r"\.backlit"):
        network().save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_overwriting_only_where_it_is_meant(saved):
    path, _ = saved
    before = path.read_bytes()
    with pytest.raises(FileError, match="exists"):
        network().save(path, overwrite=False)
    assert path.read_bytes() == before
    network().save(path)
    assert path.read_bytes() != before


def test_an_unbuilt_model_has_nothing_to_save(tmp_path):
    with pytest.raises(FileError, match="built"):
        bl.Sequential([Dense(2)]).save(tmp_path / "m.backlit")


@pytest.mark.parametrize("place", ["no/such/folder/m.backlit", "folder.backlit"])
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "folder.backlit").mkdir()
    with pytest.raises(FileError, match="cannot write"):
        network().save(tmp_path / place)
    assert [entry.name for entry in tmp_path.iterdir()] == ["folder.backlit"]


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()], ids=["full", "Ctrl-C"]
)
@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch, call, error):
    path, model = saved
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(FileError if isinstance(error, OSError) else KeyboardInterrupt):
        network().save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]
    assert weights(bl.load_model(path)) == weights(model)


# ---------------------------------------------------------------------- reading what is damaged
def rewrite(path, change, **options):
    """Change the entries of a file, with correct checksums."""
    with zipfile.ZipFile(path) as archive:
        entries = {info.filename: archive.read(info) for info in archive.infolist()}
    change(entries)
    with zipfile.ZipFile(path, "w", options.pop("compression", zipfile.ZIP_STORED)) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def harmless_or_refused(path, model):
    """A damaged file gives FileError, or where the damage hit nothing that matters, the same model."""
    try:
        again = bl.load_model(path)
    except FileError:
        return True
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    return False


def test_no_file():
    with pytest.raises(FileMissingError, match="no file") as caught:
        bl.load_model("no/such/file.backlit")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 99, b"PK\x05\x06" + bytes(18), bytes(4096)])
def test_files_that_are_something_else(tmp_path, content):
    path = tmp_path / "m.backlit"
    path.write_bytes(content)
    with pytest.raises(FileError):
        bl.load_model(path)
    with pytest.raises(FileError):
        bl.load_model(tmp_path)


def test_a_file_that_was_cut_short(saved):
    path, _ = saved
    whole = path.read_bytes()
    for length in {*range(0, len(whole), 97), *range(len(whole) - 60, len(whole))}:
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            bl.load_model(path)


def test_a_file_with_flipped_bits(saved):
    path, model = saved
    whole, rng = path.read_bytes(), random.Random(5)
    refused = 0
    for _ in range(200):
        spoilt = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3, 30])):
            spoilt[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(spoilt))
        refused += harmless_or_refused(path, model)
    assert refused > 150


JUNK = [
    None,
    -1,
    0,
    2.5,
    "x",
    "",
    [],
    {},
    [[]],
    True,
    float("nan"),
    1e308,
    "🙂",
    "relu",
    {"class": "L2", "config": {}},
    [1, 2],
]


def places(value, path=()):
    """All places in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def put(value, path, new):
    """`value` with `new` at `path`; the place is left out where `new` is `put` itself."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if new is put and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.filterwarnings("ignore::backlit.core.errors.FileWarning")  # an unknown loss: it loads, and predicts
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")  # 1e308 in a float32 network
@pytest.mark.parametrize("entry", ["model.json", "preprocess.json"])
def test_a_description_that_says_something_else(saved, entry):
    """Every place in turn holds something wrong: never another exception, never half a model."""
    path, _ = saved
    whole, rng = path.read_bytes(), random.Random(5)
    with zipfile.ZipFile(path) as archive:
        said = json.loads(archive.read(entry))
    outcomes = []
    for place in places(said):
        for junk in [put, *rng.sample(JUNK, 2)] if place else JUNK:
            path.write_bytes(whole)
            spoilt = json.dumps(put(said, place, junk)).encode()
            rewrite(path, lambda entries, spoilt=spoilt: entries.update({entry: spoilt}))
            try:
                again = bl.load_model(path)
            except FileError:
                outcomes.append(False)
                continue
            outcomes.append(True)
            with contextlib.suppress(BacklitError):  # what loads can be used, or says in our words why not
                again.predict(X)
    assert outcomes.count(False) > (len(outcomes) // 3 if entry == "model.json" else 0)


@pytest.mark.parametrize(
    "spoil",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 99}',
        b'{"format": "1"}',
    ],
)
def test_descriptions_that_are_none(saved, spoil):
    path, _ = saved
    rewrite(path, lambda entries: entries.update({"model.json": spoil}))
    with pytest.raises(FileError):
        bl.load_model(path)


def test_a_newer_format_says_so(saved):
    path, _ = saved
    newer = {"format": 2, "anything": "else"}
    rewrite(path, lambda entries: entries.update({"model.json": json.dumps(newer).encode()}))
    with pytest.raises(FileError, match="newer version") as caught:
        bl.load_model(path)
    assert "upgrade" in str(caught.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("what", ["shape", "dtype", "missing", "surplus", "nan", "garbage", "empty", "header"])
def test_tensors_that_do_not_fit(saved, name, what):
    path, _ = saved

    def change(entries):
        tensors = file.unpack(entries[name], path)
        first = next(iter(tensors))
        values = {
            "shape": tensors[first].reshape(-1)[:-1],
            "dtype": tensors[first].astype(np.float64),
            "nan": np.full_like(tensors[first], np.nan),
        }
        if what in values:
            tensors[first] = values[what]
        elif what == "missing":
            del tensors[first]
        elif what == "surplus":
            tensors["other/kernel"] = np.zeros(3, np.float32)
        entries[name] = file.pack(tensors)
        if what == "garbage":
            entries[name] = b"\x00" * 100
        elif what == "empty":
            entries[name] = b""
        elif what == "header":
            entries[name] = struct.pack("<Q", 1 << 60) + entries[name][8:]

    rewrite(path, change)
    with pytest.raises(FileError):
        bl.load_model(path)


@pytest.mark.parametrize(
    "name", ["model.json", "weights.safetensors", "optimizer.safetensors", "preprocess.json", "history.csv"]
)
def test_an_entry_that_is_missing(saved, name):
    path, _ = saved
    rewrite(path, lambda entries: entries.pop(name))
    with pytest.raises(FileError, match=name):
        bl.load_model(path)


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,loss\n0",
        b"epoch,loss\nx,1.0\n",
        b"epoch,loss\n0,one\n",
        b"epoch\n\n",
        b'"',
        b"\xff",
        b"a\rb\n",
        b"\x00,1\n0,1\n",
    ],
)
def test_histories_that_are_none(saved, content):
    path, model = saved
    rewrite(path, lambda entries: entries.update({"history.csv": content}))
    harmless_or_refused(path, model)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_entries_are_refused_unread(saved, compression):
    path, _ = saved
    rewrite(path, lambda entries: entries.update({"bomb": bytes(1 << 20)}), compression=compression)
    with pytest.raises(FileError, match="compressed"):
        bl.load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_entries_are_refused(saved):
    path, _ = saved
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.json", b"{}")
    with pytest.raises(FileError, match="doubled"):
        bl.load_model(path)


def test_entries_that_lie_in_one_another_are_refused(saved):
    """A directory that points twice at the same bytes claims more than the file holds."""
    path, _ = saved
    buffer = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("big", bytes(5000))
        first = archive.infolist()[0]
        archive.infolist()[-1].header_offset = first.header_offset
        archive.infolist()[-1].file_size = archive.infolist()[-1].compress_size = 1 << 30
    path.write_bytes(buffer.getvalue())
    with pytest.raises(FileError):
        bl.load_model(path)
