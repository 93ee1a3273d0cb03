"""A model's file holds what it computes in the library's own records: without the code that made it, it still predicts."""

from __future__ import annotations

import copy
import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import layers as L
from backlit.core.errors import ArgumentError, BacklitError, FileWarning, UnknownNameError
from backlit.train.frozen import Frozen
from tests.layers.test_layer_battery import every, sample
from tests.layers.test_more_layers import MERGES

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(40, 3)).astype("float32"), np.arange(40) % 3


def rewrite(path, change):
    """Change model.json in a file, with correct checksums."""
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    said = json.loads(entries["model.json"])
    change(said)
    entries["model.json"] = json.dumps(said, indent=1, ensure_ascii=False).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


def without_code(model, path):
    """The model as a process gets it in which nothing of its code is there: graph.json alone says what it computes."""
    model.save(path)
    rewrite(path, lambda said: said.update(network={"class": "Gone", "config": {}}))
    with pytest.warns(FileWarning, match="Gone"):
        again = bl.load_model(path)
    assert type(again) is Frozen
    return again


def same(model, again, x, engines=("planned", "reference", "auto")):
    """Bit by bit, on each engine."""
    for engine in engines:
        for each in (model, again):
            each.engine_name = engine
            each._forget_training()
        one, other = model.predict(x), again.predict(x)
        for a, b in zip(*(v if isinstance(v, list) else [v] for v in (one, other)), strict=True):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype


# ---------------------------------------------------------------------- every layer
@every
def test_every_layer_predicts_from_the_graph_alone(tmp_path, cls, arguments, shape):
    model = bl.Sequential([bl.Input(shape), cls(**arguments)])
    model.set_weights([RNG.uniform(0.5, 1.5, w.shape) for w in model.get_weights()])
    again = without_code(model, tmp_path / "m.backlit")
    same(model, again, sample(cls, shape))
    assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
    assert list(again.named_weights()) == list(model.named_weights())
    assert again.count_params() == model.count_params()


@pytest.mark.parametrize(("layer", "inputs", "wanted"), MERGES, ids=lambda v: getattr(v, "name", None))
def test_every_merge_does(tmp_path, layer, inputs, wanted):
    starts = [bl.Input(x.shape[1:], name=f"x{k}") for k, x in enumerate(inputs)]
    model = bl.Model(starts, type(layer).from_config(layer.get_config())(starts))
    same(model, without_code(model, tmp_path / "m.backlit"), inputs)


def test_layers_that_take_ids(tmp_path):
    ids = bl.Input((2,), dtype="int64")
    both = L.Concatenate()([L.Flatten()(L.Embedding(5, 3)(ids)), L.CategoryEncoding(5)(ids)])
    model = bl.Model(ids, both)
    again = without_code(model, tmp_path / "m.backlit")
    same(model, again, RNG.integers(0, 5, size=(9, 2)))
    with pytest.raises(BacklitError, match="5"):
        again.predict(np.array([[0, 5]]))


# ---------------------------------------------------------------------- networks
def trained():
    bl.random.set_seed(3)
    model = bl.Sequential([L.Dense(8, "relu"), L.BatchNormalization(), L.Dropout(0.4), L.Dense(3)])
    model.compile("adam", bl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.fit(X, Y, epochs=2, verbose=0)
    model.classes = ("low", "mid", "high")
    return model


def branched(form):
    a, b = bl.Input((3,), name="a"), bl.Input((2,), name="b")
    shared = L.Dense(2, name="shared")
    inner = bl.Sequential([L.Dense(4, "tanh"), L.Dense(2)], name="inner")
    sums = bl.nn.softmax(shared(a) * b + inner(a))
    ends = [L.Dense(1, name="p")(sums), shared(a) - 1]
    if form == "dict":
        return bl.Model({"a": a, "b": b}, {"p": ends[0], "q": ends[1]})
    return bl.Model([a, b], ends if form == "list" else ends[0])


class Block(bl.Model):
    """A network of somebody's own, layers in a list, weights of its own."""

    def __init__(self, width=4):
        super().__init__()
        self.steps = [L.Dense(width, "tanh"), L.BatchNormalization(), L.Dense(2)]

    def build(self, input_shape=None):
        super().build(input_shape)

    def call(self, x, training=False):
        for step in self.steps:
            x = step(x)
        return {"both": x, "sum": bl.ops.sum(x, axis=-1, keepdims=True)}


@pytest.mark.parametrize("form", ["one", "list"])
def test_functional_networks(tmp_path, form):
    model = branched(form)
    same(model, without_code(model, tmp_path / "m.backlit"), [X, X[:, :2]])


def test_dicts_of_inputs_and_outputs_keep_their_names(tmp_path):
    model, x = branched("dict"), {"b": X[:, :2], "a": X}
    again = without_code(model, tmp_path / "m.backlit")
    found, wanted = again.predict(x), model.predict(x)
    assert list(found) == list(wanted) == ["p", "q"] and again.output_names == ["p", "q"]
    for key in wanted:
        np.testing.assert_array_equal(found[key], wanted[key])


def test_a_model_of_ones_own(tmp_path):
    model = Block(width=5)
    model.build((3,))
    again = without_code(model, tmp_path / "m.backlit")
    found, wanted = again.predict(X), model.predict(X)
    assert list(found) == ["both", "sum"]
    np.testing.assert_array_equal(found["both"], wanted["both"])
    assert list(again.named_weights()) == list(model.named_weights())


def test_a_trained_model_is_read_in_inference_mode_and_evaluates_alike(tmp_path):
    model = trained()
    again = without_code(model, tmp_path / "m.backlit")
    assert again.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    assert again.predict_classes(X).tolist() == model.predict_classes(X).tolist()
    assert again.history.history == model.history.history and again.seed == model.seed
    same(model, again, X)


def test_penalties_count_in_evaluate(tmp_path):
    hidden = L.Dense(4, "relu", kernel_regularizer=bl.regularizers.L2(0.1), activity_regularizer="l1")
    model = bl.Sequential([bl.Input((3,)), hidden, L.Dense(1)])
    model.compile("sgd", "mse")
    again = without_code(model, tmp_path / "m.backlit")
    assert again.evaluate(X, X[:, 0], verbose=0) == model.evaluate(X, X[:, 0], verbose=0)


@pytest.mark.parametrize("call", ["fit", "train_on_batch", "step_graph"])
def test_training_is_refused_and_says_how_to_get_the_code_back(tmp_path, call):
    again = without_code(trained(), tmp_path / "m.backlit")
    before = again.get_weights()
    with pytest.raises(UnknownNameError, match=r"Gone(?s:.*)import(?s:.*)custom_objects=\{'Gone': Gone\}"):
        getattr(again, call)(*([] if call == "step_graph" else [X, Y]))
    with pytest.raises(UnknownNameError, match="Gone"):
        again(X, training=True)
    with pytest.raises(BacklitError, match="Gone"):
        bl.clone_model(again)
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), before, strict=True))


def test_what_is_known_of_its_layers(tmp_path):
    model, lines = trained(), []
    again = without_code(model, tmp_path / "m.backlit")
    model.summary(print_fn=lines.append)
    again.summary(print_fn=lines.append)
    assert lines[0] == lines[1] and "dense (Dense)" in lines[0] and "batch_normalization" in lines[0]
    assert [leaf.name for leaf in again.trainable_variables] == [leaf.name for leaf in model.trainable_variables]
    with pytest.raises(BacklitError, match="Dense"):
        again.layers[0](X)


def test_its_weights_are_those_that_it_computes_with(tmp_path):
    model = trained()
    again = without_code(model, tmp_path / "m.backlit")
    for each in (model, again):
        each.set_weights([w * 1.5 for w in each.get_weights()])
    same(model, again, X, ["planned"])
    again.save_weights(tmp_path / "w.npz")
    model.load_weights(tmp_path / "w.npz")
    same(model, again, X, ["planned"])


def test_it_is_a_layer_in_another_model_that_cannot_be_trained_either(tmp_path):
    inner = without_code(trained(), tmp_path / "m.backlit")
    x = bl.Input((3,))
    outer = bl.Model(x, L.Dense(1)(inner(x)))
    outer.compile("sgd", "mse")
    wanted = outer.predict(X)
    with pytest.raises(UnknownNameError, match="Gone"):
        outer.fit(X, X[:, 0], verbose=0)
    outer.save(tmp_path / "outer.backlit")
    with pytest.warns(FileWarning, match="Gone"):
        again = bl.load_model(tmp_path / "outer.backlit")
    np.testing.assert_array_equal(again.predict(X), wanted)


# ---------------------------------------------------------------------- somebody's own code
OWN = """
import sys, warnings
import numpy as np
import backlit as bl
from backlit.layers import Dense, Dropout, Lambda, Layer, Activation

class Scale(Layer):
    def __init__(self, power=1.0, name=None):
        super().__init__(name=name)
        self.power, self.offset = power, bl.constant([0.5, -0.5, 0.25, 2.0], name="offset")

    def build(self, shape):
        self.factor = self.add_weight("factor", (shape[-1],), "uniform", regularizer=Loud())

    def call(self, x, training=False):
        return x * self.factor**self.power + self.offset * np.linspace(0, 1, 4, dtype="float32")

class Loud(bl.regularizers.Regularizer):
    def __call__(self, x):
        return bl.ops.sum(abs(x)) * 0.01

saw = bl.elementwise("saw_tooth", "where(x > 0.3, x ** 2 * slope - 1.1, exp(x) / 3) + rint(x) ** 3", attrs={"slope": 1.7},
                     role="activation", doc="A formula.")
calm = bl.composite("calm_down", define=lambda x: bl.nn.softmax(saw(x) * 0.7) + bl.ops.tanh(x), role="activation",
                    doc="A definition.")

def squash(x):
    return x / (1 + bl.ops.abs(x))
"""


def model_of_own():
    namespace = {}
    exec(compile(OWN, "own.py", "exec"), namespace)  # the code of this file itself, as a module that may be missing
    bl.random.set_seed(1)
    model = bl.Sequential(
        [
            bl.Input((3,)),
            L.Dense(4, activation="saw_tooth"),
            namespace["Scale"](2.0),
            L.Lambda(namespace["squash"]),
            L.Dropout(0.3),
            L.Dense(4, activation="calm_down"),
        ]
    )
    model.compile("adam", "mse")
    model.fit(X, X[:, [0, 1, 2, 0]], verbose=0)
    return model, namespace


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """(path, model, namespace of its code, a function that runs code in a process without that code)."""
    model, namespace = model_of_own()
    path = tmp_path_factory.mktemp("own") / "own.backlit"
    with pytest.warns(FileWarning, match="squash") as caught:
        model.save(path)
    assert caught[0].filename == __file__ and len(caught) == 1
    np.save(path.with_suffix(".npy"), X)

    def elsewhere(code):
        """What `code` prints in another process, where `path` and `X` are known."""
        begin = f"import sys, numpy as np, backlit as bl\npath = sys.argv[1]\nX = np.load({str(path.with_suffix('.npy'))!r})\n"
        done = subprocess.run(
            [sys.executable, "-c", begin + code, path], capture_output=True, text=True, check=True, env=ENVIRONMENT
        )
        return done.stdout, done.stderr

    return path, model, namespace, elsewhere


def test_it_predicts_where_the_code_is_missing(own):
    path, model, _, elsewhere = own
    out, told = elsewhere(
        "model = bl.load_model(path)\n"
        "print(model.predict(X).tobytes().hex())\n"
        "print(model.evaluate(X, X[:, [0, 1, 2, 0]], verbose=0))\n"
        "model.summary()\n"
        "try:\n    model.fit(X, X)\nexcept bl.BacklitError as error:\n    print(type(error).__name__, error)\n"
        "model.save(path + '.2.backlit')\n"
    )
    predicted, loss, *rest = out.splitlines()
    assert predicted == model.predict(X).tobytes().hex(), "bit by bit"
    assert float(loss) == model.evaluate(X, X[:, [0, 1, 2, 0]], verbose=0)
    assert "scale (Scale)" in out and "UnknownNameError" in out
    for name in ("Scale", "squash"):
        assert name in rest[-1] and name in told, "the error and the warning name everything that is missing"
    assert path.read_bytes() == Path(f"{path}.2.backlit").read_bytes(), "saved again, nothing is lost"


def test_it_prints_its_formula_where_the_code_is_missing(own):
    _, _, _, elsewhere = own
    out, _ = elsewhere(
        "model = bl.load_model(path)\nfrom backlit.layers.layer import Pass\n"
        "with Pass(False):\n    print(model.forward(model.inputs)[0])\n"
    )
    assert "softmax" in out and "dense/kernel" in out and "scale" in out and "saw" not in out


def test_it_is_trained_where_the_code_is_given_back(own):
    path, model, namespace, _ = own
    again = bl.load_model(path, custom_objects={"squash": namespace["squash"]})
    assert type(again) is bl.Sequential
    twin = bl.load_model(path, custom_objects={"squash": namespace["squash"], "Scale": namespace["Scale"]})
    for each in (again, twin):
        each.fit(X, X[:, [0, 1, 2, 0]], verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(again.get_weights(), twin.get_weights(), strict=True))
    assert not np.array_equal(again.predict(X), model.predict(X))
    for wrong in (3, ["squash"]):
        with pytest.raises(ArgumentError, match="custom_objects"):
            bl.load_model(path, custom_objects=wrong)


def test_the_import_of_the_module_is_enough_for_classes(own, tmp_path):
    _, _, _, elsewhere = own
    (tmp_path / "their_layers.py").write_text(OWN)
    out, _ = elsewhere(
        f"sys.path.insert(0, {str(tmp_path)!r})\nimport their_layers\n"
        "model = bl.load_model(path, custom_objects={'squash': their_layers.squash})\n"
        "model.fit(X, X[:, [0, 1, 2, 0]], verbose=0)\nprint(type(model).__name__)\n"
    )
    assert out.strip() == "Sequential"


def test_nothing_of_the_machine_is_in_the_file(own):
    path, _, _, _ = own
    content = path.read_bytes()
    for private in (__file__, os.getcwd(), str(path.parent)):
        assert private.encode() not in content
    with zipfile.ZipFile(path) as archive:
        graph = json.loads(archive.read("graph.json"))
    ops = {row["op"] for row in graph["nodes"]}
    assert ops <= {name[3:] for name in bl.core.registry.names("op.")} - {"saw_tooth", "calm_down", "layer_call"}


def test_copies_keep_the_code(own):
    _, model, _, _ = own
    twin = copy.deepcopy(model)
    assert type(twin) is bl.Sequential and twin.layers[2].function is model.layers[2].function
    same(model, twin, X, ["planned"])
    two = bl.Sequential([bl.Input((3,)), L.Lambda(lambda x: x + 1), L.Dense(3, activation=lambda x: x * 2)])
    for made in (copy.deepcopy(two), bl.clone_model(two)):
        assert made.layers[0].function is two.layers[0].function
        assert made.layers[1].activation is two.layers[1].activation


def test_functions_without_a_name_are_told_apart(tmp_path):
    first, second = lambda x: x + 1, lambda x: x * 2
    model = bl.Sequential([bl.Input((3,)), L.Lambda(first), L.Lambda(second), L.Lambda(first)])
    with pytest.warns(FileWarning, match=r"<lambda>(?s:.*)<lambda>#2"):
        model.save(tmp_path / "m.backlit")
    again = bl.load_model(tmp_path / "m.backlit", custom_objects={"<lambda>": first, "<lambda>#2": second})
    np.testing.assert_array_equal(again.predict(X), (X + 1) * 2 + 1)
    with pytest.warns(FileWarning, match="something else"):
        wrong = bl.load_model(tmp_path / "m.backlit", custom_objects={"<lambda>": second, "<lambda>#2": first})
    np.testing.assert_array_equal(wrong.predict(X), (X * 2 + 1) * 2)


def relu(x):
    """Not the relu of the library, though it has its name."""
    return x * 7


def test_a_function_is_not_mistaken_for_one_of_the_library(tmp_path):
    model = bl.Sequential([bl.Input((3,)), L.Activation(relu)])
    with pytest.warns(FileWarning, match="relu"):
        model.save(tmp_path / "m.backlit")
    with pytest.warns(FileWarning, match="relu"):
        again = bl.load_model(tmp_path / "m.backlit")
    np.testing.assert_array_equal(again.predict(X), X * 7)
    with pytest.raises(UnknownNameError, match="relu"):
        bl.Sequential.from_config(model.get_config())
    given = bl.Sequential.from_config(model.get_config(), custom_objects={"relu": relu})
    np.testing.assert_array_equal(given.predict(X), X * 7)


class Twice(L.Layer):
    """A layer that will change."""

    def __init__(self, times=2.0, name=None):
        super().__init__(name=name)
        self.times = times

    def call(self, x, training=False):
        return x * self.times


def test_code_that_has_changed_since_is_told(tmp_path, monkeypatch):
    path = tmp_path / "m.backlit"
    bl.Sequential([bl.Input((3,)), Twice(2.0)]).save(path)
    monkeypatch.setattr(Twice, "call", lambda self, x: x + self.times)
    with pytest.warns(FileWarning, match="something else"):
        again = bl.load_model(path)
    np.testing.assert_array_equal(again.predict(X), X + 2)

    class Other(L.Layer):
        def __init__(self, factor, name=None):
            super().__init__(name=name)

    with pytest.warns(FileWarning, match="Twice"):
        again = bl.load_model(path, custom_objects={"Twice": Other})
    np.testing.assert_array_equal(again.predict(X), X * 2)
    again.compile("sgd", "mse")
    with pytest.raises(UnknownNameError, match="times"):
        again.fit(X, X)


class Framed(L.Layer):
    """A layer that is given another one, and an object that no file can hold."""

    def __init__(self, inner, rng=None, name=None):
        super().__init__(name=name)
        self.inner, self.rng = inner, rng

    def call(self, x, training=False):
        return self.inner(x) + 1


def test_layers_among_the_arguments_of_ones_own_layer(tmp_path):
    model = bl.Sequential([bl.Input((3,)), Framed(L.Dense(2, "tanh", kernel_regularizer=bl.regularizers.L1(0.5)))])
    model.save(tmp_path / "m.backlit")
    again = bl.load_model(tmp_path / "m.backlit")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    assert [float(p.value) for p in again.penalties()] == [float(p.value) for p in model.penalties()] != []
    model = bl.Sequential([bl.Input((3,)), Framed(L.Dense(2), np.random.default_rng(0))])
    with pytest.warns(FileWarning, match="Generator"):
        model.save(tmp_path / "m.backlit")
    with pytest.warns(FileWarning, match="Generator"):
        again = bl.load_model(tmp_path / "m.backlit")
    np.testing.assert_array_equal(again.predict(X), model.predict(X))


def test_a_loss_and_a_metric_of_ones_own(tmp_path):
    def quartic(y, p):
        return bl.ops.mean((y - p) ** 4, axis=-1)

    model = bl.Sequential([bl.Input((3,)), L.Dense(1)])
    model.compile("adam", loss=quartic, metrics=[lambda y, p: bl.ops.mean(abs(y - p), axis=-1)])
    model.fit(X, X[:, 0], verbose=0)
    model.save(tmp_path / "m.backlit")  # a model is compiled with it again at any time
    with pytest.warns(FileWarning, match="<lambda>"):
        again = bl.load_model(tmp_path / "m.backlit")
    assert again.optimizer is None
    again.save(tmp_path / "again.backlit")
    assert (tmp_path / "again.backlit").read_bytes() == (tmp_path / "m.backlit").read_bytes(), "nothing is lost"
    given = {"quartic": quartic, "<lambda>": model.asked.metrics[0]}
    again = bl.load_model(tmp_path / "m.backlit", custom_objects=given)
    assert again.evaluate(X, X[:, 0], verbose=0) == model.evaluate(X, X[:, 0], verbose=0)
    assert bl.load_model(tmp_path / "m.backlit", compile=False).optimizer is None


# ---------------------------------------------------------------------- what no graph can stand for
def test_a_numpy_function_of_ones_own_needs_its_definition(tmp_path):
    path = tmp_path / "m.backlit"
    code = (
        "def sort(x):\n    return np.sort(x, axis=-1)\n"
        "op = bl.structural('their_sort', ref=sort, shape='... n -> ... n', doc='Sorted.')\n"
        "class Sorted(bl.layers.Layer):\n    def call(self, x, training=False):\n        return op(x)\n"
    )
    namespace = {"np": np, "bl": bl, "__name__": "theirs"}
    exec(compile(code, "theirs.py", "exec"), namespace)
    model = bl.Sequential([bl.Input((3,)), namespace["Sorted"]()])
    with pytest.warns(FileWarning, match="their_sort"):
        model.save(path)
    np.testing.assert_array_equal(bl.load_model(path).predict(X), np.sort(X, axis=-1))
    look = (
        "import sys, numpy as np, backlit as bl\n{}try:\n    print(bl.load_model(sys.argv[1]).predict([[3.0, 1.0, 2.0]]))\n"
        "except bl.BacklitError as e:\n    print(type(e).__name__, e)"
    )
    for known, said in ((code, "[[1. 2. 3.]]"), ("", "their_sort")):
        done = subprocess.run(
            [sys.executable, "-c", look.format(known), path],
            capture_output=True,
            text=True,
            check=True,
            env=ENVIRONMENT,
        )
        assert said in done.stdout
    assert "FileError" in done.stdout


def test_a_scalar_function_that_has_no_record(tmp_path):
    odd = bl.elementwise("odd_rest", "remainder(x, 2) - floor_divide(x, 3)", doc="No records stand for these.")
    model = bl.Sequential([bl.Input((3,)), L.Lambda(odd)])
    with pytest.warns(FileWarning, match="remainder"):
        model.save(tmp_path / "m.backlit")
    np.testing.assert_array_equal(bl.load_model(tmp_path / "m.backlit").predict(X), model.predict(X))


# ---------------------------------------------------------------------- nothing twice
def test_weights_stand_once_in_the_file(tmp_path):
    model = bl.Sequential([bl.Input((200,)), L.Dense(300), L.Lambda(lambda x: x * np.ones(300, "float32"))])
    with pytest.warns(FileWarning):
        model.save(tmp_path / "m.backlit")
    assert (tmp_path / "m.backlit").stat().st_size < model.count_params() * 4 * 1.1


def test_pickles_of_models_without_code(tmp_path):
    again = without_code(trained(), tmp_path / "m.backlit")
    for twin in (copy.deepcopy(again), pickle.loads(pickle.dumps(again))):
        assert type(twin) is Frozen
        same(again, twin, X, ["planned"])
        assert twin.history.history == again.history.history and twin.iterations == again.iterations
