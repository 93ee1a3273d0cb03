"""Tables and series in place of arrays: the columns are known by their names from then on."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import backlit as bl
from backlit.core.errors import BacklitError, ColumnWarning, DataError, ShapeError
from backlit.layers import Dense, Embedding, Flatten
from backlit.losses import SparseCategoricalCrossentropy

X = np.random.default_rng(0).normal(size=(60, 3)).astype("float32")
Y = np.argmax(X, axis=1)
LIBRARIES = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "lazy": pl.LazyFrame, "pyarrow": pa.table}
library = pytest.mark.parametrize("make", LIBRARIES.values(), ids=LIBRARIES)


def network(units=3, loss=None):
    model = bl.Sequential([Dense(4, "tanh"), Dense(units)])
    model.given_seed = 1
    model.compile("adam", loss or SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def columns(*names, data=X):
    return {name: data[:, "abc".index(name)] for name in names}


def bits(model):
    return [weight.tobytes() for weight in model.get_weights()]


@library
def test_a_table_is_the_array_of_its_columns(make):
    by_table, by_array = network(), network()
    table = make(columns(*"abc"))
    half = make(columns(*"abc", data=X[:20]))
    options = {"epochs": 2, "verbose": 0}
    by_table.fit(table, Y, validation_data=(half, Y[:20]), **options)
    by_array.fit(X, Y, validation_data=(X[:20], Y[:20]), **options)
    assert bits(by_table) == bits(by_array) and by_table.history.history == by_array.history.history
    assert by_table.columns.names == ("a", "b", "c") and by_array.columns is None
    np.testing.assert_array_equal(by_table.predict(table), by_array.predict(X))
    np.testing.assert_array_equal(by_table.predict(X), by_array.predict(X))  # an array of as many columns works, too
    np.testing.assert_array_equal(by_array.predict(table), by_array.predict(X))  # by place: no names are known
    np.testing.assert_array_equal(by_table(table), by_array(X))
    assert by_table.evaluate(table, Y) == by_array.evaluate(X, Y)
    assert by_table.test_on_batch(half, Y[:20]) == by_array.test_on_batch(X[:20], Y[:20])
    assert by_table.train_on_batch(half, Y[:20]) == by_array.train_on_batch(X[:20], Y[:20])


@library
def test_columns_in_another_order_are_found_by_name(make):
    model = network()
    model.fit(make(columns(*"abc")), Y, verbose=0)
    swapped = make(columns(*"cab"))
    for call in (lambda: model.predict(swapped), lambda: model.evaluate(swapped, Y)):
        with pytest.warns(ColumnWarning, match="another order"):
            given = call()
        straight = model.predict(X) if isinstance(given, np.ndarray) else model.evaluate(X, Y)
        np.testing.assert_array_equal(given, straight)


@pytest.mark.parametrize("call", ["predict", "evaluate", "validate"])
@pytest.mark.parametrize(("names", "word"), [("ab", "missing"), ("abz", "unknown"), ("abcz", "unknown")])
def test_missing_and_unknown_columns_are_refused(call, names, word):
    model = network()
    model.fit(pd.DataFrame(X, columns=list("abc")), Y, verbose=0)
    before = bits(model), model.columns
    table = pd.DataFrame(np.ones((60, len(names))), columns=list(names))
    with pytest.raises(DataError, match=f"(?s)training data.*{word}") as caught:
        if call == "predict":
            model.predict(table)
        elif call == "evaluate":
            model.evaluate(table, Y)
        else:
            model.fit(X, Y, validation_data=(table, Y), verbose=0)
    assert isinstance(caught.value, ValueError) and "test_door_tables.py" in caught.value.fields["where"]
    assert (bits(model), model.columns) == before


def test_text_is_refused_with_a_fix_that_works():
    table = pd.DataFrame({"size": X[:, 0], "colour": np.where(X[:, 1] > 0, "red", "blue")})
    model = network()
    with pytest.raises(DataError, match=r"(?s)'colour'.*Columns\.infer") as caught:
        model.fit(table, Y, verbose=0)
    assert not model.built and model.columns is None and caught.value.finding.check == "columns"
    model.columns = bl.utils.Columns.infer(table)
    model.fit(table, Y, epochs=2, verbose=0)
    encoded = model.columns.encode(table)
    np.testing.assert_array_equal(model.predict(table), model.predict(encoded))
    model.fit(table, Y, verbose=0)  # goes on with the same columns
    assert "colour=red" in model.columns.encoded
    with pytest.warns(ColumnWarning, match="green"):
        model.predict(table.assign(colour="green"))


def test_single_steps_on_tables_are_remembered_too():
    model, table = network(), pd.DataFrame(X, columns=list("abc"))
    model.train_on_batch(table, Y)
    with pytest.warns(ColumnWarning, match="another order"):
        np.testing.assert_array_equal(model.predict(table[["b", "c", "a"]]), model.predict(X))


def test_a_refused_fit_keeps_the_columns_and_another_table_replaces_them():
    model = network()
    model.fit(pd.DataFrame(X, columns=list("abc")), Y, verbose=0)
    before = model.columns
    other = pd.DataFrame(X, columns=list("xyz"))
    with pytest.raises(ShapeError):
        model.fit(other, Y[:-1], verbose=0)
    with pytest.raises(ShapeError):
        model.fit(pd.DataFrame(X[:, :2], columns=list("ab")), Y, verbose=0)
    assert model.columns is before
    model.fit(other, Y, verbose=0)
    assert model.columns.names == ("x", "y", "z")
    model.fit(X, Y, verbose=0)
    assert model.columns.names == ("x", "y", "z")


def test_truths_and_whole_numbers_are_numbers():
    table = pd.DataFrame({"n": np.arange(60), "yes": X[:, 0] > 0, "maybe": pd.array([1] * 60, dtype="Int64")})
    model = network()
    model.fit(table, Y, verbose=0)
    np.testing.assert_array_equal(model.predict(table), model.predict(table.to_numpy(dtype="float64")))


def test_large_ids_in_a_table_are_not_rounded():
    ids = np.array([2**24, 2**24 + 1])
    model = bl.Sequential([bl.layers.Lambda(lambda x: bl.ops.cast(x, "float64") - 2.0**24), Dense(1)])
    model.compile("sgd", "mse")
    model.build_on(bl.Input((1,), dtype="int64"))
    model.set_weights([[[1.0]], [0.0]])
    np.testing.assert_array_equal(model.predict(pd.DataFrame({"id": ids}))[:, 0], [0, 1])
    few = bl.Sequential([Embedding(5, 2), Flatten(), Dense(1)])
    few.compile("sgd", "mse")
    few.fit(pd.DataFrame({"id": [0, 4]}), [0.0, 1.0], verbose=0)
    with pytest.raises(BacklitError, match=r"whole numbers|id"):
        few.predict(pd.DataFrame({"id": [0.5]}))


# ---------------------------------------------------------------------- y and weights
SERIES = {
    "pandas": pd.Series, "polars": pl.Series, "pyarrow": pa.array, "chunked": lambda y: pa.chunked_array([y]),
    "index": pd.Index, "frame": lambda y: pd.DataFrame({"y": y}), "polars frame": lambda y: pl.DataFrame({"y": y}),
    "pyarrow table": lambda y: pa.table({"y": y}), "Int64": lambda y: pd.Series(y, dtype="Int64"),
    "objects": lambda y: pd.Series(y, dtype=object), "category": lambda y: pd.Series(y, dtype="category"),
}  # fmt: skip


@pytest.mark.parametrize("make", SERIES.values(), ids=SERIES)
def test_y_and_weights_may_be_series(make):
    by_series, by_array = network(), network()
    weight = np.arange(60)
    by_series.fit(X, make(Y), sample_weight=make(weight), verbose=0)
    by_array.fit(X, Y, sample_weight=weight, verbose=0)
    assert bits(by_series) == bits(by_array) and by_series.classes is None
    table = pd.DataFrame(X, columns=list("abc"))
    assert by_series.evaluate(table, make(Y)) == by_array.evaluate(X, Y)


def test_a_table_of_several_targets():
    by_table, by_array = network(2, "mse"), network(2, "mse")
    by_table.fit(X, pl.DataFrame({"u": X[:, 0], "v": X[:, 1]}), verbose=0)
    by_array.fit(X, X[:, :2], verbose=0)
    assert bits(by_table) == bits(by_array)
    with pytest.raises(DataError, match="y: column 'v' holds no numbers"):
        by_table.fit(X, pl.DataFrame({"u": X[:, 0], "v": ["a"] * 60}), verbose=0)


@pytest.mark.parametrize("series", [pd.Series([1.0, None] * 30), pl.Series([1.0, None] * 30), pa.array([1, None] * 30)])
def test_missing_targets_are_refused(series):
    with pytest.raises(DataError, match="row 1; row 3; row 5"):
        network(1, "mse").fit(X, series, verbose=0)


@pytest.mark.parametrize("what", ["y", "sample_weight", "validation"])
def test_rows_in_another_order_are_refused(what):
    table = pd.DataFrame(X, columns=list("abc"), index=[f"r{row}" for row in range(60)])
    y, weight = pd.Series(Y, index=table.index), pd.Series(np.ones(60), index=table.index)
    mixed = np.random.default_rng(1).permutation(60)
    model = network()
    with pytest.raises(DataError, match=r"(?s)rows in another order.*loc\[X\.index\]; or .*to_numpy\(\)") as caught:
        if what == "y":
            model.fit(table, y.iloc[mixed], verbose=0)
        elif what == "sample_weight":
            model.fit(table, y, sample_weight=weight.iloc[mixed], verbose=0)
        else:
            model.fit(table, y, validation_data=(table.iloc[mixed], y), verbose=0)
    assert not model.built and model.columns is None and "row 0 is" in caught.value.fields["found"]
    straight = network()
    straight.fit(X, Y, verbose=0)
    model.fit(table, y.iloc[mixed].loc[table.index], verbose=0)  # the fix
    assert bits(model) == bits(straight)


def test_other_row_labels_are_worth_a_warning():
    table = pd.DataFrame(X, columns=list("abc"), index=range(5, 65))
    with pytest.warns(ColumnWarning, match=r"row 0 is 5 in X and 0 in y.*y\.to_numpy\(\)"):
        network().fit(table, pd.Series(Y), verbose=0)
    network().fit(table, pd.Series(Y, index=table.index), verbose=0)
    network().fit(table, Y, verbose=0)


def test_a_table_for_one_of_several_inputs_is_refused():
    a, b = bl.Input((3,), name="a"), bl.Input((3,), name="b")
    model = bl.Model([a, b], Dense(1)(a + b))
    model.compile("sgd", "mse")
    for x in ([pd.DataFrame(X), X], {"a": X, "b": pd.DataFrame(X)}):
        with pytest.raises(DataError, match="one of several inputs"):
            model.fit(x, Y, verbose=0)


def test_arrays_load_no_table_library(monkeypatch):
    for name in ("narwhals", "backlit.train.frames", "backlit.io.columns"):
        monkeypatch.setitem(sys.modules, name, None)
    network().fit(X, Y.tolist(), sample_weight=np.ones(60), verbose=0)
