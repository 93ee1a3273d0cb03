"""Models pickle and deepcopy by the entries of their files."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import UnknownNameError
from backlit.io.columns import Columns
from backlit.layers import Dense

X = np.random.default_rng(0).normal(size=(40, 3))
Y = X[:, :1] * 2


def chain() -> bl.Model:
    return bl.Sequential([Dense(4, "tanh"), Dense(1)])


def functional() -> bl.Model:
    x = bl.Input((3,))
    shared = Dense(3, "relu")
    return bl.Model(x, Dense(1)(shared(shared(x)) + x))


@pytest.mark.parametrize("make", [chain, functional])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_predicts_the_same_and_goes_on_alike(make, copied) -> None:  # type: ignore[no-untyped-def]
    bl.random.set_seed(4)
    model = make()
    model.compile("adam", "mse")
    model.fit(X, Y, epochs=2, verbose=0)
    twin = copied(model)
    assert np.array_equal(twin.predict(X), model.predict(X))
    for each in (model, twin):
        each.fit(X, Y, epochs=2, verbose=0)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), twin.get_weights(), strict=True))
    twin.weights[0].assign(np.zeros(twin.weights[0].shape))
    assert model.weights[0].array.any()


def test_an_unbuilt_model_stays_unbuilt() -> None:
    twin = copy.deepcopy(chain())
    assert not twin.built and [layer.name for layer in twin.layers] == ["dense", "dense_1"]
    twin.build((3,))
    assert twin.count_params() == 21


def test_columns_classes_and_words_come_along() -> None:
    pandas = pytest.importorskip("pandas")
    model = chain()
    model.build((3,))
    model.columns, model.classes = Columns.plain(pandas.DataFrame(X, columns=list("abc"))), ("no", "yes")
    model.about = {"task": "regression"}
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert (twin.columns, twin.classes, twin.about) == (model.columns, model.classes, model.about)
        assert np.array_equal(twin.predict(X), model.predict(X))


MAIN = """
import sys, joblib, numpy as np, backlit as bl

class Scale(bl.layers.Layer):
    def build(self, shape):
        self.factor = self.add_weight("factor", (shape[-1],), "uniform")
    def call(self, x, training=False):
        return x * self.factor

def train(model, x):
    model.fit(x, x[:, :1], verbose=0)
    return type(model).__name__, model.predict(x)

bl.random.set_seed(1)
x = np.arange(12.0).reshape(4, 3) / 12
model = bl.Sequential([bl.Input((3,)), Scale(), bl.layers.Lambda(lambda x: x + 1), bl.layers.Dense(1)])
model.compile("sgd", "mse")
results = joblib.Parallel(n_jobs=2, backend="loky")(joblib.delayed(train)(model, x) for _ in range(2))
train(model, x)
print([name for name, _ in results], [bool(np.array_equal(p, model.predict(x))) for _, p in results])
"""


@pytest.mark.slow
def test_a_pool_of_processes_gets_the_code_of_a_script_too(tmp_path: Path) -> None:
    """Classes and functions of `__main__`, and lambdas, which cloudpickle sends along."""
    script = tmp_path / "script.py"
    script.write_text(MAIN)
    environment = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "['Sequential', 'Sequential'] [True, True]"


def test_joblib_keeps_models_in_files(tmp_path: Path) -> None:
    model = functional()
    model.compile("adam", "mse")
    model.fit(X, Y, verbose=0)
    joblib.dump(model, tmp_path / "m.joblib")
    twin = joblib.load(tmp_path / "m.joblib")
    assert np.array_equal(twin.predict(X), model.predict(X)) and twin.iterations == model.iterations


def test_errors_keep_their_findings_in_a_pickle() -> None:
    model = chain()
    model.compile("adam", "mse")
    with pytest.raises(bl.BacklitError) as caught:
        model.fit(np.where(X > 2, np.nan, X), Y, verbose=0)
    twin = pickle.loads(pickle.dumps(caught.value))
    assert str(twin) == str(caught.value) and type(twin) is type(caught.value)
    assert caught.value.finding is not None and repr(twin.finding) == repr(caught.value.finding)
    with pytest.raises(UnknownNameError) as unknown:
        Dense(3, activation="rleu")
    assert pickle.loads(pickle.dumps(unknown.value)).name == "rleu"
