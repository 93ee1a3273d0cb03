"""Models pickle and deepcopy by the entries of their files."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import backlit as bl
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
