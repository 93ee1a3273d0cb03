"""`train_on_batch`: one step, no epoch."""

from __future__ import annotations

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Dense

X = np.random.default_rng(0).normal(size=(32, 3))
Y = X[:, :1] * 2


def made(build: bool = True, **options: object) -> bl.Sequential:
    bl.random.set_seed(4)
    model = bl.Sequential([Dense(4, "tanh"), Dense(1)])
    model.compile(bl.optimizers.Adam(0.01, **options), "mse", metrics=["mae"])
    if build:
        model.build((3,))
    return model


def test_steps_by_hand_are_the_steps_of_fit() -> None:
    by_hand, fitted = made(), made()
    losses = [by_hand.train_on_batch(X, Y)[0] for _ in range(5)]
    history = fitted.fit(X, Y, batch_size=32, epochs=5, shuffle=False, verbose=0)
    assert losses == history.history["loss"]
    assert all(np.array_equal(a, b) for a, b in zip(by_hand.get_weights(), fitted.get_weights(), strict=True))
    assert by_hand.iterations == 5 and by_hand.epochs_done == 0


def test_averages_stay_aside_between_batches() -> None:
    averaged, plain = made(use_ema=True), made()
    for _ in range(4):
        averaged.train_on_batch(X, Y)
        plain.train_on_batch(X, Y)
    assert all(np.array_equal(a, b) for a, b in zip(averaged.get_weights(), plain.get_weights(), strict=True))


def test_a_batch_that_does_not_fit_is_refused_and_builds_nothing() -> None:
    model = made(build=False)
    with pytest.raises(bl.BacklitError, match="cannot use this y"):
        model.train_on_batch(X, np.zeros((32, 2)))
    assert not model.built
    assert model.test_on_batch(X, Y, return_dict=True)["loss"] == pytest.approx(np.mean((model.predict(X) - Y) ** 2))
