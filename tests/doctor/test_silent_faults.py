"""What other libraries do in silence, each as a test of what happens here (docs: the table of verified silent faults)."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest

import backlit as bl
from backlit.callbacks import EarlyStopping, ModelCheckpoint, ReduceLROnPlateau
from backlit.core.errors import BacklitError, ColumnWarning, DataError, LabelError, NonFiniteError, ShapeError
from backlit.layers import Dense
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD

RNG = np.random.default_rng(11)
X = RNG.normal(size=(48, 3))
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X @ [1.0, -1.0, 2.0]
LOGITS = SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def seeded():
    bl.random.set_seed(1)


def network(units=3, loss=LOGITS, optimizer="adam", **keywords):
    model = bl.Sequential([Dense(5, "relu"), Dense(units)])
    model.compile(optimizer, loss, **keywords)
    return model


def untouched(model):
    return not model.built and model.iterations == 0 and model.history is None and model.optimizer.iterations == 0


# ---------------------------------------------------------------------- targets that do not fit
@pytest.mark.parametrize("loss", ["mse", "mae", "huber", BinaryCrossentropy(from_logits=True)], ids=str)
def test_one_column_of_targets_against_three_outputs_is_refused(loss):
    model = network(loss=loss)
    with pytest.raises(ShapeError, match=r"\(48, 3\)"):
        model.fit(X, np.zeros((48, 1)), verbose=0)
    assert untouched(model)


@pytest.mark.parametrize("label", [3, -1])
def test_a_label_out_of_range_is_refused(label):
    model, y = network(), LABELS.copy()
    y[5] = label
    with pytest.raises(LabelError, match=r"0\.\.2"):
        model.fit(X, y, verbose=0)
    assert untouched(model)


def test_a_label_that_is_not_whole_is_refused():
    model, y = network(), LABELS.astype(float)
    y[5] = 0.5
    with pytest.raises(LabelError, match="not all whole"):
        model.fit(X, y, verbose=0)
    assert untouched(model)


def test_labels_divided_by_255_are_refused():
    with pytest.raises(LabelError, match="divided"):
        network().fit(X, LABELS / 255, verbose=0)


# ---------------------------------------------------------------------- a loss that means something else
def test_logits_for_a_loss_on_probabilities_are_told(capsys):
    model = network(loss=SparseCategoricalCrossentropy())
    model.fit(X, LABELS, verbose=0)
    told = capsys.readouterr().err
    assert told.startswith("doctor warning: dense_1: SparseCategoricalCrossentropy takes this output for probabilities")
    assert "from_logits=True" in told
    fresh = network(loss=SparseCategoricalCrossentropy())
    with pytest.raises(ValueError, match="takes this output for probabilities") as caught:
        fresh.fit(X, LABELS, verbose=0, doctor="raise")
    assert caught.value.finding.check == "output_is_no_probability" and untouched(fresh)


# ---------------------------------------------------------------------- numbers that are none
@pytest.mark.parametrize("hole", [np.nan, np.inf, -np.inf])
def test_a_hole_in_x_is_refused_where_it_is(hole):
    model, x = network(), X.copy()
    x[7, 2] = hole
    with pytest.raises(DataError, match="row 7, column 2"):
        model.fit(x, LABELS, verbose=0)
    assert untouched(model)


def test_a_run_that_leaves_the_numbers_ends_in_an_error(capsys):
    model = bl.Sequential([Dense(8, "relu"), Dense(1)])
    model.compile(SGD(0.01), "mse")
    with pytest.raises(NonFiniteError) as caught:
        model.fit(X * 1e6, NUMBERS, epochs=40, verbose=0)
    assert isinstance(caught.value, ValueError) and caught.value.finding is not None
    assert all(np.isfinite(weights).all() for weights in model.get_weights())
    assert "features of X are not scaled" in capsys.readouterr().err


def test_a_loss_that_is_absurd_but_finite_is_told_at_the_end(capsys):
    model = bl.Sequential([Dense(1)])
    model.compile(SGD(0.9), "mse")
    history = model.fit(X * 1.3, NUMBERS, epochs=6, verbose=0, batch_size=8)
    told = capsys.readouterr().err
    assert np.isfinite(history.history["loss"]).all() and history.history["loss"][-1] > 1e10
    assert told.startswith("doctor warning: steps too long for learning_rate=0.9") and "learning_rate=0.009" in told


def test_one_absurd_epoch_is_told_too(capsys):
    model = bl.Sequential([Dense(1)])
    model.compile(SGD(2.0), "mse")
    model.fit(np.tile(X, (2, 1)), np.tile(NUMBERS, 2), verbose=0, batch_size=4)
    assert "doctor warning: steps too long for learning_rate=2: " in capsys.readouterr().err


def test_a_growth_that_is_none_is_not_told(capsys):
    model = bl.Sequential([Dense(1)])
    model.compile(SGD(0.1), "mse")
    model.fit(X, 1e6 * NUMBERS, epochs=20, verbose=0, doctor="warn")  # a loss of 1e12 that falls
    told = capsys.readouterr().err
    assert "loss grew" not in told and "loss of the epoch" not in told
    assert "y has mean" not in told  # at a rate of 0.1 it can be reached


# ---------------------------------------------------------------------- tables
def table(kind, order="abc"):
    columns = {"a": X[:, 0], "b": 10 * X[:, 1], "c": X[:, 2] - 5}
    return kind({name: columns[name] for name in order})


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_columns_in_another_order_are_put_in_order_with_a_warning(kind):
    model = network(1, "mse")
    model.fit(table(kind), NUMBERS, verbose=0)
    right = model.predict(table(kind))
    with pytest.warns(ColumnWarning):
        swapped = model.predict(table(kind, "cab"))
    np.testing.assert_array_equal(swapped, right)


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_missing_column_is_refused(kind):
    model = network(1, "mse")
    model.fit(table(kind), NUMBERS, verbose=0)
    with pytest.raises(ValueError, match="c"):
        model.predict(table(kind, "ab"))


@pytest.mark.parametrize("kind", [pd.DataFrame, pl.DataFrame, np.array, lambda x: np.asarray(x).tolist()])
def test_tables_and_lists_of_lists_are_taken_for_what_they_hold(kind):
    results = []
    for x in (X, kind(X.tolist()) if kind is not pl.DataFrame else pl.DataFrame(X)):
        bl.random.set_seed(2)
        model = network(1, "mse")
        model.fit(x, NUMBERS, epochs=2, verbose=0)
        results.append(model.get_weights())
    for plain, other in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, other)


# ---------------------------------------------------------------------- callbacks, failures, summaries, imports
@pytest.mark.parametrize(
    "callback",
    [
        EarlyStopping(),
        EarlyStopping("val_acc"),
        ModelCheckpoint("best.backlit", save_best_only=True),
        ReduceLROnPlateau(),
    ],
    ids=["val_loss", "val_acc", "checkpoint", "plateau"],
)
def test_a_callback_that_waits_for_what_is_never_logged_is_refused(callback, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BacklitError, match="val_"):
        network().fit(X, LABELS, verbose=0, callbacks=[callback])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fault", ["y", "x", "doctor"])
def test_the_fit_after_a_refused_one_equals_a_fresh_one_bit_for_bit(fault):
    kept = []
    for refused in (True, False):
        bl.random.set_seed(4)
        model = network(3, SparseCategoricalCrossentropy(from_logits=fault != "doctor"))
        if refused:
            x = np.where(X > 1, np.nan, X) if fault == "x" else X
            y = LABELS + 7 if fault == "y" else LABELS
            with pytest.raises(BacklitError):
                model.fit(x, y, verbose=0, doctor="raise")
        model.compile("adam", LOGITS)
        kept.append((model.fit(X, LABELS, epochs=3, verbose=0).history, model.get_weights()))
    assert kept[0][0] == kept[1][0]
    for one, other in zip(kept[0][1], kept[1][1], strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_summary_after_an_evaluation_counts_parameters_alone():
    model = network(5, "mse", metrics=["mae"])
    model.fit(X, np.zeros((48, 5)), verbose=0)
    model.evaluate(X, np.zeros((48, 5)), verbose=0)
    printed = []
    model.summary(print_fn=printed.append)
    assert " Total params: 50 " in "\n".join(printed)


@pytest.mark.parametrize("wrong", [lambda: SGD(0.0), lambda: SGD(-1.0), lambda: SGD(0.1, momentum=1.0)])
def test_an_optimizer_that_cannot_work_is_refused(wrong):
    with pytest.raises(ValueError, match=r"learning_rate|momentum"):
        wrong()


def test_importing_training_and_examining_need_numpy_alone():
    code = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"sklearn", "scipy", "pandas", "polars", "jax", "rich", "click", "narwhals"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import numpy as np, backlit as bl
model = bl.Sequential([bl.layers.Dense(1)])
model.compile("sgd", "mse")
x = np.linspace(-1, 1, 80).reshape(40, 2)
model.fit(x, x[:, 0], verbose=0)
print(len(model.diagnose(x, x[:, 0]).ran) > 5)
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == ("True\n", "")
