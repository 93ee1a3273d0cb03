"""A small batch of plain numbers passes the door at a glance: with the same answers and the same refusals."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Dense
from backlit.train.batches import plain


def network():
    bl.random.set_seed(3)
    return bl.Sequential([bl.Input((3,)), Dense(4, "tanh"), Dense(2)])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [1, 7, 1024])
def test_the_answer_is_the_same(rows, dtype):
    model, x = network(), np.random.default_rng(0).normal(size=(rows, 3)).astype(dtype)
    assert plain(model, x) and not plain(model, x.tolist()) and not plain(model, np.asfortranarray(x)[:, ::-1])
    np.testing.assert_array_equal(model.predict(x), model.predict(x.tolist()))
    np.testing.assert_array_equal(model(x), model.predict(x, batch_size=rows))
    assert model.predict(x).base is None or not np.shares_memory(model.predict(x), model.predict(x))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e39])
def test_what_the_door_refuses_is_refused(value):
    model, x = network(), np.zeros((1, 3))
    model.predict(x)
    x[0, 1] = value
    with pytest.raises(bl.BacklitError, match=r"X (contains NaN or infinity|holds numbers that float32 does not)"):
        model.predict(x)


@pytest.mark.parametrize("shape", [(), (3,), (1, 4), (0, 3), (1, 1, 3)])
def test_another_shape_is_refused(shape):
    model = network()
    with pytest.raises(bl.BacklitError):
        model.predict(np.zeros(shape))


def test_large_numbers_go_the_long_way():
    model, x = network(), np.full((1, 3), 1e20, np.float32)
    assert not plain(model, x) and np.isfinite(model.predict(x)).all()
