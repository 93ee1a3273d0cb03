"""Numbers of every kind on their way in: what fits is taken as it is, what does not is refused in words."""

from __future__ import annotations

import sys
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse

import backlit as bl
from backlit.core.errors import ArgumentError, BacklitError, ColumnWarning, DataError, ShapeError
from backlit.engines.base import Arrays
from backlit.layers import Dense
from backlit.losses import SparseCategoricalCrossentropy
from backlit.train import door
from backlit.train.sparse import SparseRows

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 3)).astype("float32")
Y = np.argmax(X, axis=1)


def network(units=3, loss=None):
    model = bl.Sequential([Dense(4, "tanh"), Dense(units)])
    model.given_seed = 1
    model.compile("adam", loss or SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def bits(model):
    return [weight.tobytes() for weight in model.get_weights()]


def fitted(x, y=Y, **options):
    model = network()
    model.fit(x, y, verbose=0, **options)
    return model


# ---------------------------------------------------------------------- kinds of arrays
WHOLE = RNG.integers(0, 100, (60, 3))
SAME = {
    "list": WHOLE.tolist(), "tuple": tuple(map(tuple, WHOLE.tolist())), "float64": WHOLE.astype("float64"),
    "float16": WHOLE.astype("float16"), "longdouble": WHOLE.astype("longdouble"), "int8": WHOLE.astype("int8"),
    "uint8": WHOLE.astype("uint8"), "uint16": WHOLE.astype("uint16"), "uint64": WHOLE.astype("uint64"),
    "big-endian": WHOLE.astype(">f4"), "columns": np.asfortranarray(WHOLE, dtype="float32"),
    "backwards": WHOLE[::-1].copy()[::-1], "objects": WHOLE.astype(object), "matrix": np.asmatrix(WHOLE),
    "unmasked": np.ma.array(WHOLE), "frame of objects": pd.DataFrame(WHOLE, dtype=object).to_numpy(),
    "a list of series": [pd.Series(row) for row in WHOLE],
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("x", SAME.values(), ids=SAME)
def test_every_kind_of_array_trains_as_its_numbers(x):
    model, plain = fitted(x, epochs=2), fitted(WHOLE.astype("float32"), epochs=2)
    assert bits(model) == bits(plain)
    np.testing.assert_array_equal(model.predict(x), plain.predict(WHOLE))
    assert model.evaluate(x, Y) == plain.evaluate(WHOLE, Y)


def test_read_only_arrays_and_memory_maps_are_only_read(tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    frozen = X.copy()
    frozen.flags.writeable = False
    trained = {tuple(bits(fitted(x, validation_split=0.2, epochs=2))) for x in (X, frozen, mapped)}
    assert len(trained) == 1


def test_the_batches_of_columns_in_memory_order_are_not_copied_as_a_whole():
    wide = np.asfortranarray(RNG.normal(size=(2000, 40)).astype("float32"))
    order = RNG.permutation(2000)
    source, buffer = Arrays([wide], 10, order), np.empty((10, 40), "float32")
    source.fill(3, [buffer])
    np.testing.assert_array_equal(buffer, wide[order[30:40]])
    import tracemalloc

    tracemalloc.start()
    source.fill(4, [buffer])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < wide.nbytes / 20


def masked():
    return np.ma.masked_greater(X, 1.0)


NO_NUMBERS = {
    "complex": (X * 1j, "complex numbers.*np.stack"),
    "dates": (X.astype("M8[s]"), "dates.*timedelta64"),
    "spans": (X.astype("m8[s]"), "time spans.*timedelta64"),
    "text": (X.astype(str), "text.*Columns.infer"),
    "numbers and text": ([[1, "a", 2]] * 60, "text"),
    "StringDType": (X.astype(str).astype(np.dtypes.StringDType()), "text"),
    "bytes": (X.astype("S"), "bytes"),
    "records": (np.zeros(60, [("a", "f4"), ("b", "i4")]), "records with fields.*structured_to_unstructured"),
    "masked": (masked(), r"masked values.*first at X\[2, 0\].*filled"),
    "all masked": (np.ma.masked_all((60, 3)), "masked values.*180 of 180"),
    "ragged": ([[1, 2, 3], [4, 5]] * 30, "different lengths.*same length"),
    "ragged deeper": ([[[1], [2, 3]], [[4], [5]]] * 30, "different lengths"),
    "None": ([[1, 2, None]] * 60, r"None.*X\[0, 2\].*fill missing"),
    "pd.NA": (np.array([[1, 2, pd.NA]] * 60, dtype=object), r"X\[0, 2\].*fill missing"),
    "a text among numbers": (np.array([[1.0, 2.0, "x"]] * 60, dtype=object), r"'x'.*X\[0, 2\].*Columns.infer"),
    "decimals": ([[Decimal(1)] * 3] * 60, "Decimal"),
    "fractions": ([[Fraction(1, 2)] * 3] * 60, "Fraction"),
    "functions": ([[print] * 3] * 60, "builtin_function"),
    "beyond 64 bits": ([[2**70, 1, 1]] * 60, "beyond 64 bits.*dtype=float"),
    "a number": (3.0, "a single number"),
    "0-d": (np.array(3.0), "a single number"),
    "nothing": (None, "None"),
    "a string": ("X", "text"),
    "a set": ({1, 2}, "set"),
    "a model": (bl.Sequential([Dense(1)]), "Sequential|no array"),
    "no rows": (X[:0], r"empty.*\(0, 3\)"),
    "no columns": (X[:, :0], r"empty.*one column.*\(60, 0\)"),
    "an empty list": ([], "empty"),
    "a list of empty lists": ([[], []], "empty"),
    "a generator inside": ([(value for value in [1])] * 60, "generator"),
    "a dict": ({"a": X, "b": X}, "does not name|one part"),
}


@pytest.mark.parametrize("call", ["fit", "evaluate", "predict", "fit built", "predict built"])
@pytest.mark.parametrize(("x", "words"), NO_NUMBERS.values(), ids=NO_NUMBERS)
def test_what_is_no_array_of_numbers_is_refused(x, words, call):
    model = network()
    if call.endswith("built") or words == "does not name|one part":
        model.build((3,))
    before = model.built, bits(model)
    with pytest.raises(BacklitError, match=f"(?s){words}") as caught:
        if call.startswith("predict"):
            model.predict(x)
        else:
            getattr(model, call.partition(" ")[0])(x, Y, verbose=0)
    assert isinstance(caught.value, (ValueError, TypeError)) and (model.built, bits(model)) == before
    assert caught.value.finding is None or caught.value.finding.where.startswith("test_door_numbers.py")


@pytest.mark.parametrize(("y", "words"), [NO_NUMBERS[key] for key in (
    "complex", "dates", "records", "bytes", "ragged", "None", "decimals", "beyond 64 bits", "a number", "nothing", "no rows",
    "a set", "a generator inside",
)])  # fmt: skip
def test_the_same_of_y_and_weights(y, words):
    words = words.replace("X", "y")
    model = network(3, "mse")
    with pytest.raises(BacklitError, match=f"(?s)({words}|y is missing)"):
        model.fit(X, y, verbose=0)
    with pytest.raises(BacklitError, match=r"sample_weight|no weights|different"):
        model.fit(X, X, sample_weight=y if y is not None else "all", verbose=0)
    assert not model.built


# ---------------------------------------------------------------------- sparse matrices
FORMATS = ["csr_matrix", "csc_matrix", "coo_matrix", "csr_array", "coo_array", "lil_matrix", "dok_matrix", "bsr_array"]


@pytest.mark.parametrize("form", FORMATS)
def test_a_sparse_matrix_is_its_dense_rows(form, monkeypatch):
    dense = np.where(RNG.random((60, 5)) < 0.3, RNG.normal(size=(60, 5)), 0.0)
    sparse = getattr(scipy.sparse, form)(dense)
    largest = []
    get = SparseRows.__getitem__

    def counting(rows, index):
        part = get(rows, index)
        largest.append(len(part))
        return part

    monkeypatch.setattr(SparseRows, "__getitem__", counting)
    options = {"epochs": 2, "batch_size": 7, "validation_split": 0.2, "doctor": "off"}  # it looks at a sample of rows
    model, other = fitted(sparse, **options), fitted(dense, **options)
    assert bits(model) == bits(other) and model.history.history == other.history.history
    assert model.evaluate(sparse, Y, batch_size=7) == other.evaluate(dense, Y, batch_size=7)
    np.testing.assert_array_equal(model.predict(sparse, batch_size=7), other.predict(dense, batch_size=7))
    assert max(largest) == 7
    np.testing.assert_array_equal(model(sparse, training=True), other(dense, training=True))
    assert model.train_on_batch(sparse, Y) == other.train_on_batch(dense, Y)
    pair = [(sparse.tocsr()[:30], Y[:30]), (sparse.tocsr()[30:], Y[30:])]
    assert model.evaluate(iter(pair)) == other.evaluate(dense, Y, batch_size=30)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e39])
def test_what_a_sparse_matrix_stores_must_be_finite(value):
    dense = np.zeros((60, 5))
    dense[41, 3], dense[7, 2] = value, 1.0
    with pytest.raises(DataError, match=r"1 of 300 numbers, first at row 41, column 3"):
        fitted(scipy.sparse.coo_matrix(dense))


def test_other_sparse_arrays():
    vector = scipy.sparse.coo_array(np.eye(60)[0])
    np.testing.assert_array_equal(bits(fitted(vector)), bits(fitted(np.eye(60)[0])))
    fitted(scipy.sparse.csr_matrix((60, 4)))  # nothing stored
    cube = scipy.sparse.coo_array(np.eye(60).reshape(60, 6, 10))
    for x, word in ((cube, "3 axes"), (scipy.sparse.eye_array(60, dtype=complex), "complex"), (vector[:0], "empty")):
        with pytest.raises((DataError, ShapeError), match=word):
            fitted(x)
    for options in ({"y": scipy.sparse.eye(60).tocsr()}, {"y": Y, "sample_weight": scipy.sparse.eye(60).tocsr()}):
        with pytest.raises(DataError, match=r"toarray\(\)"):
            network().fit(X, **options, verbose=0)


# ---------------------------------------------------------------------- casts
@pytest.mark.parametrize("part", ["X", "y", "sample_weight"])
@pytest.mark.parametrize("value", [1e39, -3.5e38, np.longdouble("1e400")])
def test_numbers_that_float32_cannot_hold_are_refused(part, value):
    given = {"X": X.astype("longdouble"), "y": X[:, 0].astype("longdouble"), "sample_weight": np.ones(60, "longdouble")}
    given[part][5 if part != "X" else (5, 1)] = value
    place = "row 5, column 1" if part == "X" else "row 5"
    model = network(1, "mse")
    with pytest.raises(DataError, match=f"(?s){part} holds numbers that float32 does not.*1 of .*{place}"):
        model.fit(given["X"], given["y"], sample_weight=given["sample_weight"], verbose=0)
    assert not model.built
    if part == "X":
        model.build((3,))
        with pytest.raises(DataError, match="float32"):
            model.predict(given["X"])


def test_in_float64_they_are_welcome(float64):
    model, huge = network(1, "mse"), X.astype("float64") * 1e300
    with pytest.raises(BacklitError, match="step 1"):  # their squares are not
        model.fit(huge, huge[:, 0], verbose=0)
    assert np.isfinite(model.predict(huge)).all()


@pytest.mark.parametrize("kind", ["int64", "uint64", "float64", "int32"])
def test_a_column_whose_differences_float32_rounds_away_is_named(kind):
    x = np.zeros((60, 3), kind)
    x[:, 1] = 1_700_000_000 + np.arange(60) * 60  # an hour in Unix time
    with pytest.warns(ColumnWarning, match=r"column 1 holds numbers from 1700000000 to 1700003540.*multiples of 128"):
        fitted(x)
    x[:, 1] -= x[0, 1]  # the fix
    fitted(x)


@pytest.mark.parametrize(
    "column",
    [np.arange(60) + 2**30 * (np.arange(60) % 2), np.full(60, 123456789), np.arange(60) * 2**20 + 2**24,
     290 + RNG.normal(size=60), 1990 + np.arange(60)],
)  # fmt: skip
def test_rounding_that_loses_nothing_is_not_worth_a_word(column):
    fitted(np.stack([column, column], axis=1))


@pytest.mark.parametrize("loss", ["mse", SparseCategoricalCrossentropy(from_logits=True)])
def test_whole_numbers_beyond_int64(loss):
    ids = bl.Sequential([bl.layers.Embedding(5, 2), bl.layers.Flatten(), Dense(1)])
    ids.compile("sgd", "mse")
    for x in (np.array([[2**63]], "uint64"), np.array([[1e300]]), np.array([[-1e300]])):
        with pytest.raises(BacklitError):
            ids.fit(x, [0.0], verbose=0)
    y = np.full(60, 2**63 + 5, "uint64")
    if loss == "mse":
        network(1, loss).fit(X, y / 2**63, verbose=0)
    else:
        with pytest.raises(DataError, match=r"0\.\.2"):
            network(3, loss).fit(X, y, verbose=0)


def test_no_warning_comes_from_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for x in (X.astype("float64") * 1e200, np.where(X > 0, np.nan, X), X.astype("longdouble") ** 999):
            with pytest.raises(DataError):
                fitted(x)


def test_the_check_looks_at_pieces(monkeypatch):
    sizes = []
    monkeypatch.setattr(door, "_CHUNK", 30)
    pieces = door._pieces

    def counting(values):
        for part in pieces(values):
            sizes.append(part.size)
            yield part

    monkeypatch.setattr(door, "_pieces", counting)
    for x in (X, np.asfortranarray(X), X.astype("float64"), X[:, :1].reshape(60)):
        door.fits(x, "X", "float32", whole=True)
    assert max(sizes) <= 30 and sum(sizes) == 3 * 180 + 60
    bad = X.copy()
    bad[[11, 40, 41, 59], [0, 1, 2, 2]] = np.nan
    with pytest.raises(DataError, match=r"4 of 180 numbers, first at row 11, column 0; row 40, column 1; row 41"):
        door.fits(bad, "X", "float32")


def test_scipy_is_not_loaded_to_know_that_an_array_is_not_sparse(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.sparse", None)
    fitted(X)


def test_lists_of_rows_on_single_batches():
    model = fitted(X)
    assert model.predict_on_batch(X[:4].tolist()).shape == (4, 3)
    assert model.test_on_batch(X[:4].tolist(), Y[:4].tolist()) == model.evaluate(X[:4], Y[:4])
    with pytest.raises(ArgumentError):
        model.predict_on_batch(iter([X]))
