"""Model files: what is saved comes back bit for bit."""

import copy
import json
import subprocess
import sys
import tracemalloc
import zipfile

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError, FileError, FileWarning
from backlit.io import file
from backlit.io.columns import Columns
from backlit.layers import Activation, Dense
from backlit.optimizers import SGD, Adam
from tests.io.small_models import ENVIRONMENT, X, Y, network, rewrite, saved, weights

__all__ = ["saved"]  # a fixture


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
    assert {"model.json", "weights.safetensors", "optimizer.safetensors", "preprocess.json", "history.csv"} < names
    assert said["format"] == 1 and said["classes"] == ["low", "mid", "high"]
    assert said["versions"]["numpy"] == np.__version__ and set(said["versions"]) == {"backlit", "numpy", "python"}
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


def test_the_columns_of_the_table_that_it_was_trained_on(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": [1.5, 2.0, None], "colour": ["red", "blue", "red"]})
    columns = Columns.infer(frame)
    model = bl.Sequential([bl.Input((len(columns.encoded),)), Dense(1)])
    model.columns, model.about = columns, {"source": "flats.csv"}
    model.save(tmp_path / "m.backlit")
    for again in (bl.load_model(tmp_path / "m.backlit"), copy.deepcopy(model)):
        assert again.columns == columns and again.about == {"source": "flats.csv"}
        np.testing.assert_array_equal(again.columns.encode(frame), columns.encode(frame))
    rewrite(
        tmp_path / "m.backlit",
        lambda entries: entries.update({"preprocess.json": entries["preprocess.json"].replace(b"colour", b"size")}),
    )
    with pytest.raises(FileError):
        bl.load_model(tmp_path / "m.backlit")


def test_what_json_cannot_hold_is_refused_before_anything_is_written(tmp_path):
    model = network()
    model.about = {"rows": np.arange(3)}
    with pytest.raises(FileError, match="cannot hold"):
        model.save(tmp_path / "m.backlit")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_finite_are_refused_when_they_are_saved(saved):
    """And not when they are loaded, when it is too late."""
    path, model = saved
    before = path.read_bytes()
    model.layers[1].kernel.array[0, 0] = np.nan
    for call in (lambda: model.save(path), lambda: copy.deepcopy(model)):
        with pytest.raises(FileError, match="dense/kernel"):
            call()
    assert path.read_bytes() == before


def test_reading_a_model_draws_no_first_values(saved, monkeypatch):
    path, model = saved

    def refused(*args):
        raise AssertionError("the values come from the file")

    monkeypatch.setattr(bl.initializers.GlorotUniform, "sample", refused)
    monkeypatch.setattr(bl.initializers.Ones, "sample", refused)
    assert weights(bl.load_model(path)) == weights(model)


def test_configurations_of_models(saved):
    _, model = saved
    config = json.loads(json.dumps(model.get_config()))
    again = bl.Sequential.from_config(config)
    assert again.count_params() == model.count_params() and again.optimizer is None
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert not np.array_equal(again.layers[1].kernel.array, model.layers[1].kernel.array), "weights are drawn anew"
    assert again.get_config() == model.get_config()
    x = bl.Input((3,))
    functional = bl.Model(x, Dense(2, name="out")(x) * 2)
    twin = bl.Model.from_config(functional.get_config())
    twin.set_weights(functional.get_weights())
    np.testing.assert_array_equal(twin.predict(X), functional.predict(X))
    with pytest.raises(BacklitError, match="Sequential"):
        bl.Sequential.from_config(functional.get_config())


# ---------------------------------------------------------------------- weights alone
@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
def test_weights_alone(saved, tmp_path, suffix):
    _, model = saved
    path = tmp_path / f"w.{suffix}"
    model.save_weights(path)
    other = network()
    other.load_weights(path)
    assert weights(other) == weights(model)
    with pytest.raises(FileError, match="exists"):
        other.save_weights(path, overwrite=False)


def test_weights_that_numpy_wrote(tmp_path):
    model = network()
    values = {
        name: np.random.default_rng(1).normal(size=leaf.shape).astype("f")
        for name, leaf in model.named_weights().items()
    }
    np.savez_compressed(tmp_path / "w.npz", **values)
    model.load_weights(tmp_path / "w.npz")
    assert all(np.array_equal(leaf.array, values[name]) for name, leaf in model.named_weights().items())
    with np.load(tmp_path / "w.npz", allow_pickle=False) as read:
        assert set(read) == set(values)


@pytest.mark.parametrize("suffix", ["safetensors", "npz"])
@pytest.mark.parametrize("spoil", ["shape", "dtype", "missing", "surplus", "nan", "object"])
def test_weights_that_do_not_fit_change_nothing(tmp_path, suffix, spoil):
    model, path = network(), tmp_path / f"w.{suffix}"
    values = {name: leaf.array.copy() for name, leaf in model.named_weights().items()}
    first = next(iter(values))
    values |= {
        "shape": {first: values[first].reshape(-1)[:-1]},
        "dtype": {first: values[first].astype("f8")},
        "surplus": {"other/kernel": np.zeros(3, "f")},
        "nan": {first: np.full_like(values[first], np.nan)},
        "object": {first: np.array([{}] * 3)},
    }.get(spoil, {})
    if spoil == "missing":
        del values[first]
    if suffix == "npz":
        np.savez(path, allow_pickle=True, **values)
    elif spoil == "object":
        path.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    else:
        path.write_bytes(file.pack(values))
    before = weights(model)
    with pytest.raises(FileError):
        model.load_weights(path)
    assert weights(model) == before
    if spoil in ("shape", "dtype", "missing"):
        with pytest.warns(FileWarning, match=first):
            model.load_weights(path, skip_mismatch=True)


def test_arrays_that_are_larger_than_the_weights_are_not_even_read(tmp_path):
    model = network()
    values = {name: np.zeros(10**7, np.int8) for name in model.named_weights()}
    np.savez_compressed(tmp_path / "w.npz", **values)
    tracemalloc.start()
    with pytest.raises(FileError, match="10000000"):
        model.load_weights(tmp_path / "w.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10**6


@pytest.mark.parametrize("name", ["w.weights.h5", "w.h5", "w.keras", "w.pkl", "w"])
def test_other_files_of_weights_are_told_what_to_do(tmp_path, name):
    model = network()
    for call in (model.save_weights, model.load_weights):
        with pytest.raises(FileError, match=r"\.safetensors") as caught:
            call(tmp_path / name)
        assert "bl.load_model('w.keras')" in str(caught.value) or name in ("w.pkl", "w")
    for name in ("folder.npz", "folder.safetensors"):
        (tmp_path / name).mkdir()
        with pytest.raises(FileError):
            model.load_weights(tmp_path / name)


def test_an_engine_that_is_not_installed_here_gives_way_to_auto(tmp_path, monkeypatch):
    model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2)])
    model.compile("adam", "mse", engine="xla")
    model.save(tmp_path / "model.backlit")
    monkeypatch.setattr("backlit.train.saving.installed", lambda name: name != "xla")
    with pytest.warns(FileWarning, match="'xla' of its training is not installed"):
        again = bl.load_model(tmp_path / "model.backlit")
    assert again.engine_name == "auto" and again.predict(np.ones((2, 3))).shape == (2, 2)
