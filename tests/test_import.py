"""What `import backlit` costs and brings, and how a misspelt name is answered."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import backlit as bl
from backlit.core.errors import BacklitError

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
HEAVY = (
    "sklearn",
    "scipy",
    "pandas",
    "matplotlib",
    "jax",
    "llvmlite",
    "rich",
    "click",
    "safetensors",
    "IPython",
    "keras",
)
ROOMS = (
    "activations", "callbacks", "constraints", "initializers", "labs", "layers", "losses", "metrics", "nn", "ops",
    "optimizers", "plot", "random", "regularizers", "utils",
)  # fmt: skip


def python(code):
    """Run code in a Python of its own."""
    command = [sys.executable, "-W", "error", "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)


def test_importing_loads_nothing_heavy():
    code = f"import sys, backlit; print(sorted(name for name in {HEAVY} if name in sys.modules))"
    done = python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_model_can_be_trained_with_numpy_alone():
    code = (
        "import sys, numpy as np, backlit as bl\n"
        "from backlit.layers import Dense, Normalization\n"
        "bl.random.set_seed(0)\n"
        "x = np.random.default_rng(0).normal(size=(6, 2))  # of equal rows `fit` would say that some units are never on\n"
        "m = bl.Sequential([Dense(4, 'relu'), Dense(3)])\n"
        "m.compile('adam', bl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=['accuracy'],\n"
        "          engine='planned')\n"
        "m.fit(x, [0, 1, 2, 0, 1, 2], verbose=0, validation_split=0.5)\n"
        "m.predict(x); m.summary(print_fn=str)\n"
        f"print(sorted(name for name in {HEAVY} if name in sys.modules))"
    )
    done = python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("bl.layers.Conv1D", "backlit.layers.conv"),
        ("from backlit.layers import *; Conv1D", "backlit.layers.conv"),
        ("bl.Sequential([bl.layers.Dense(1)]).compile('sgd', 'mae')", "backlit.train.losses_numbers"),
        ("bl.metrics.F1Score", "backlit.train.metrics_counts"),
        ("bl.layers.Layer.named('Conv1D')", "backlit.layers.conv"),
    ],
)
def test_what_a_dense_network_does_not_need_is_loaded_when_it_is_named(line, name):
    code = (
        f"import sys, backlit as bl; before = {name!r} in sys.modules; {line}; print(before, {name!r} in sys.modules)"
    )
    assert python(code).stdout == "False True\n"


def test_a_layer_of_ones_own_comes_before_one_of_that_name_that_is_loaded_later():
    code = (
        "import backlit as bl\n"
        "class Conv1D(bl.layers.Layer):\n    pass\n"
        "bl.layers.MaxPool1D\n"
        "print(bl.layers.Layer.named('Conv1D') is Conv1D, bl.layers.Layer.named('conv1d') is Conv1D)"
    )
    assert python(code).stdout == "True True\n"


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_while_the_command_is_loaded_ends_in_one_line():
    code = (
        "import os, signal, sys\n"
        "from importlib.abc import MetaPathFinder\n"
        "class Pressed(MetaPathFinder):\n"
        "    def find_spec(self, name, path, target=None):\n"
        "        if name == 'backlit.train':\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Pressed())\n"
        "from backlit_command import main\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "backlit: interrupted.\n")


def test_all_public_names_resolve():
    assert set(ROOMS) <= set(dir(bl)) and set(bl.__all__) <= set(dir(bl))
    for name in dir(bl):
        assert getattr(bl, name) is not None
    for room in ROOMS:
        module = importlib.import_module(f"backlit.{room}")
        assert getattr(bl, room) is module and module.__doc__
        public = [name for name in dir(module) if not name.startswith("_")]
        assert public
        for name in public:
            assert getattr(module, name) is not None


@pytest.mark.parametrize(
    "line",
    [
        "from backlit import Sequential, Model, Input",
        "from backlit.layers import Dense, BatchNormalization, Dropout",
        "from backlit.losses import SparseCategoricalCrossentropy, BinaryCrossentropy, MeanSquaredError",
        "from backlit.optimizers import Adam, SGD",
        "from backlit.callbacks import EarlyStopping, Callback, History",
        "from backlit.metrics import BinaryAccuracy",
        "from backlit.initializers import HeNormal, GlorotUniform",
        "from backlit.regularizers import L2, l2",
        "from backlit.activations import relu, sigmoid, softmax, tanh, linear",
        "from backlit.nn import softmax, relu",
        "from backlit.random import set_seed",
        "from backlit.ops import exp, matmul, where",
        "import backlit.layers, backlit.losses as losses; losses.MeanSquaredError",
        "import backlit; backlit.losses.MeanSquaredError; backlit.ops.exp; backlit.random.set_seed(1)",
        "import backlit.layers; backlit.layers.Dense(1)",
        "from backlit.losses import *\nSparseCategoricalCrossentropy",
    ],
)
def test_the_usual_lines(line):
    exec(compile(line, "<usual>", "exec"), {})


MISSPELT = [
    ("backlit", "Squential", "Sequential"),
    ("backlit", "load_modle", "load_model"),
    ("backlit.layers", "Dnese", "Dense"),
    ("backlit.losses", "SparseCategoricalCrossEntropy", "SparseCategoricalCrossentropy"),
    ("backlit.optimizers", "Adm", "Adam"),
    ("backlit.callbacks", "EarlyStoping", "EarlyStopping"),
    ("backlit.metrics", "BinaryAcuracy", "BinaryAccuracy"),
    ("backlit.initializers", "HeNormall", "HeNormal"),
    ("backlit.regularizers", "L22", "L2"),
    ("backlit.activations", "rleu", "relu"),
    ("backlit.nn", "sofmax", "softmax"),
    ("backlit.random", "set_sed", "set_seed"),
    ("backlit.ops", "matmull", "matmul"),
]
misspelt = pytest.mark.parametrize(("room", "name", "near"), MISSPELT)


@misspelt
def test_a_misspelt_attribute_is_answered_with_the_nearest_one(room, name, near):
    module = importlib.import_module(room)
    with pytest.raises(AttributeError, match=f"(?s){room} has no '{name}'.*did you mean '{near}'") as caught:
        getattr(module, name)
    assert isinstance(caught.value, BacklitError)
    assert not hasattr(module, name) and getattr(module, name, None) is None


@misspelt
def test_a_misspelt_import_too(room, name, near):
    with pytest.raises(ImportError, match=f"(?s){room} has no '{name}'.*did you mean '{near}'") as caught:
        exec(f"from {room} import {name}", {})
    assert isinstance(caught.value, BacklitError)


def test_names_that_nothing_resembles_and_private_ones():
    with pytest.raises(AttributeError, match="has no 'xyzzy'") as caught:
        bl.xyzzy  # noqa: B018
    assert "did you mean" not in str(caught.value)
    for room in ("backlit", *(f"backlit.{room}" for room in ROOMS)):
        assert not hasattr(importlib.import_module(room), "__wrapped__")  # what inspect, doctest and copy ask for
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("backlit.layrs")


def test_python_m_backlit(tmp_path):
    def run(*arguments):
        command = [sys.executable, "-m", "backlit", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path, env=ENVIRONMENT)
        return done.stdout

    assert run("--version").strip().endswith(bl.__version__) and "backlit" in run("--version")
    assert all(verb in run("--help") for verb in ("fit", "predict", "evaluate"))
    assert "numpy" in run("versions")


def test_versions_can_be_shown(capsys):
    bl.show_versions()
    out = capsys.readouterr().out
    assert all(word in out for word in ("backlit", "Python", "numpy", "scikit-learn"))
