"""Penalties: their values by hand, and that they reach the loss and the gradient of a model."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Dense
from backlit.regularizers import L1, L1L2, L2, Regularizer

W = np.array([[1.0, -2.0], [3.0, 0.0]])


@pytest.mark.parametrize(
    ("regularizer", "value"),
    [(L1(0.1), 0.6), (L2(0.1), 1.4), (L1L2(l1=0.1, l2=0.1), 2.0), (L1(), 0.06), (L2(), 0.14), (L1L2(), 0.0)],
    ids=repr,
)
def test_penalty_by_hand(regularizer, value):
    w = bl.variable(W)
    assert float(regularizer(w).value) == pytest.approx(value, abs=1e-12)
    again = Regularizer.get({"class": type(regularizer).__name__, "config": regularizer.get_config()})
    assert float(again(w).value) == pytest.approx(value, abs=1e-12)


def test_the_gradient_of_a_penalty():
    w = bl.variable(W)
    np.testing.assert_allclose(bl.grad(L2(0.5)(w), w).value, W)  # 2 · 0.5 · w
    np.testing.assert_allclose(bl.grad(L1(0.5)(w), w).value, [[0.5, -0.5], [0.5, 0.0]])  # 0 at the kink


def test_a_penalty_is_part_of_the_loss_that_is_logged_and_trained():
    x, y = np.zeros((4, 2)), np.zeros((4, 1))  # the data ask for nothing: only the penalty pulls
    model = bl.Sequential([bl.Input((2,)), Dense(1, use_bias=False, kernel_regularizer=L2(0.25))])
    model.set_weights([[[2.0], [-4.0]]])
    model.compile(bl.optimizers.SGD(learning_rate=0.5), "mse")
    assert model.evaluate(x, y) == pytest.approx(0.25 * 20)
    history = model.fit(x, y, verbose=0)
    assert history.history["loss"] == pytest.approx([5.0])
    np.testing.assert_allclose(model.get_weights()[0], [[1.5], [-3.0]])  # w - 0.5 · 2 · 0.25 · w
