"""Anything at all in place of X and y: a finite result of the right shape, or a refusal that has changed nothing."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import backlit as bl
from backlit.core.errors import BacklitError, ColumnWarning, NonFiniteError
from backlit.layers import Dense

ROWS, WIDTH = 6, 3
X = np.linspace(-1, 1, ROWS * WIDTH).reshape(ROWS, WIDTH)
NUMBER = np.array([0, 1, 2, 0, 1, 2])
FAMILIES = {  # loss: (units, a y that it takes)
    "mse": (2, X[:, :2]),
    "mae": (1, X[:, 0]),
    "binary_crossentropy": (1, NUMBER > 0),
    "categorical_crossentropy": (3, np.eye(3)[NUMBER]),
    "sparse_categorical_crossentropy": (3, NUMBER),
    "kl_divergence": (3, np.full((ROWS, 3), 1 / 3)),
    "poisson": (1, NUMBER),
    "hinge": (1, np.where(NUMBER > 0, 1, -1)),
    "categorical_hinge": (3, np.eye(3)[NUMBER]),
    "huber": (1, X[:, 0]),
}
KINDS = [
    "?",
    "i1",
    "u1",
    "<i2",
    "<i4",
    "<i8",
    "<u8",
    "<f2",
    "<f4",
    "<f8",
    ">f4",
    "<c8",
    "<M8[D]",
    "<m8[s]",
    "<U3",
    "S3",
]


def network(loss):
    units, _ = FAMILIES[loss]
    model = bl.Sequential([Dense(3, "tanh"), Dense(units, "sigmoid")])
    model.given_seed = 1
    model.compile("sgd", loss)
    return model


def state(model):
    slots = [slot.array.tobytes() for slots in model._slots.values() for slot in slots.values()]
    return (
        [each.tobytes() for each in model.get_weights()],
        slots,
        model.built,
        model.classes,
        model.columns,
        model.history,
    )


@st.composite
def arrays(draw, rows=ROWS):
    """An array of any kind and shape, most of them with the right number of rows."""
    kind = np.dtype(draw(st.sampled_from(KINDS)))
    shape = draw(
        st.one_of(
            st.sampled_from([(rows, WIDTH), (rows,), (rows, 1), (rows, 2), (1, WIDTH), (0, WIDTH), (rows, 0)]),
            hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=rows),
        )
    )
    if kind.kind == "f":
        bounded = st.floats(-100, 100, width=16)
        odd = st.sampled_from([np.nan, np.inf, -np.inf, *([1e39, -1e300] if kind.itemsize == 8 else [])])
        elements = draw(st.sampled_from([bounded, bounded, st.one_of(bounded, odd)]))
    else:
        elements = hnp.from_dtype(kind, **({"allow_nan": True} if kind.kind in "cMm" else {}))
    return draw(hnp.arrays(kind, shape, elements=elements))


nested = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 2**70),
        st.floats(width=16),
        st.text(max_size=2),
        st.binary(max_size=1),
    ),
    lambda inner: st.lists(inner, max_size=4),
    max_leaves=12,
)
labels = st.lists(st.sampled_from(["a", "b", "c", "a10", "", None, float("nan"), 3]), min_size=ROWS, max_size=ROWS)


def sparse(array):
    takes = (
        array.ndim == 2
        and array.dtype.kind in "fiub"
        and array.dtype.itemsize != 2
        and array.dtype.isnative
        and array.size
    )
    return scipy.sparse.csr_matrix(array) if takes else array


def made_by(library):
    def table(array):
        """As a table or a series, where the library can hold such an array."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return (
                    (library.DataFrame if array.ndim == 2 else library.Series)(array) if array.ndim in (1, 2) else array
                )
        except (TypeError, ValueError, pl.exceptions.PolarsError):
            return array

    return table


FORMS = [
    lambda a: a, lambda a: a, lambda a: a.tolist(), lambda a: a.astype(object), np.asfortranarray, sparse, made_by(pd), made_by(pl),
    lambda a: np.ma.array(a), lambda a: np.ma.array(a, mask=np.arange(a.size).reshape(a.shape) == 1),
    lambda a: [a], lambda a: {"X": a}, lambda a: iter([(a, a)]), lambda a: lambda: iter([(a,)]),
]  # fmt: skip
anything = st.one_of(st.tuples(arrays(), st.sampled_from(FORMS)), nested.map(lambda value: (value, lambda a: a)))


def result_of(model, call, x, y):
    if call == "predict":
        return [model.predict(x)]
    if call == "evaluate":
        return [np.asarray(model.evaluate(x, y))]
    history = model.fit(x, y, epochs=2, verbose=0, doctor="off").history
    return [*map(np.asarray, history.values()), *model.get_weights()]


@pytest.mark.slow
@pytest.mark.parametrize("built", [False, True])
@pytest.mark.parametrize("call", ["fit", "evaluate", "predict"])
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_a_finite_result_or_a_refusal_that_changed_nothing(call, built, data):
    loss = data.draw(st.sampled_from(sorted(FAMILIES)))
    right_x, right_y = X, FAMILIES[loss][1]
    (x, of_x), (y, of_y) = (
        data.draw(anything),
        data.draw(st.one_of(anything, labels.map(lambda value: (value, lambda a: a)))),
    )
    which = data.draw(st.sampled_from(["x", "y", "both"]))
    x, y = of_x(x) if which != "y" else right_x, of_y(y) if which != "x" else right_y
    model = network(loss)
    if built:
        model.fit(right_x, right_y, verbose=0, doctor="off")
    before = state(model)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", ColumnWarning)
        try:
            found = result_of(model, call, x, y)
        except NonFiniteError:
            assert call == "fit" and all(np.isfinite(weight).all() for weight in model.get_weights())
        except BacklitError as error:
            assert isinstance(error, (ValueError, TypeError)) and error.message
            assert state(model) == before
        else:
            assert all(np.isfinite(each).all() for each in found)
            if call == "predict":
                assert found[0].ndim > 1 and found[0].shape[-1] == FAMILIES[loss][0] and len(found[0])
            if call != "fit":
                assert state(model)[1:] == (before[1], True, *before[3:])
    if model.built and model.input_shape[1:] != (WIDTH,):
        return
    assert np.isfinite(model.evaluate(right_x, right_y)) and model.predict(right_x).shape == (ROWS, FAMILIES[loss][0])
