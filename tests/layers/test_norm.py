"""BatchNormalization: what it does to a batch, what it remembers, and what it does with that."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.layers import BatchNormalization, Dense
from backlit.layers.layer import Pass

RNG = np.random.default_rng(0)
X = RNG.normal(5, 3, size=(64, 4)).astype(np.float32)


def trained(model, x, y=None, epochs=1):
    model.compile(bl.optimizers.SGD(learning_rate=1e-12), "mse")
    model.fit(x, np.zeros(len(x)) if y is None else y, batch_size=len(x), epochs=epochs, verbose=0, shuffle=False)
    return model


def test_a_training_batch_has_mean_0_and_variance_1():
    for x in (X, X.reshape(16, 4, 4)):
        out = BatchNormalization(epsilon=1e-6)(x, training=True)
        axes = tuple(range(x.ndim - 1))
        np.testing.assert_allclose(out.mean(axis=axes), 0, atol=1e-5)
        np.testing.assert_allclose(out.var(axis=axes), 1, atol=1e-4)


def test_gamma_and_beta_scale_and_shift():
    layer = BatchNormalization()
    plain = layer(X, training=True)
    layer.set_weights([[1.0, 2.0, 0.0, -1.0], [0.0, 1.0, 5.0, 0.0], *layer.get_weights()[2:]])
    np.testing.assert_allclose(layer(X, training=True), plain * [1, 2, 0, -1] + [0, 1, 5, 0], rtol=1e-5, atol=1e-6)


def test_inference_uses_the_moving_statistics():
    layer = BatchNormalization(epsilon=0.5)
    layer(X)
    layer.set_weights([np.ones(4), np.zeros(4), np.arange(4.0), np.full(4, 1.5)])
    np.testing.assert_allclose(layer(X), (X - np.arange(4)) / 2**0.5, rtol=1e-5)


def test_the_moving_statistics_move_by_momentum():
    layer = BatchNormalization(momentum=0.75)
    trained(bl.Sequential([bl.Input((4,)), layer, Dense(1)]), X, epochs=2)
    mean, var = layer.get_weights()[2:]
    weight = 1 - 0.75**2
    np.testing.assert_allclose(mean, weight * X.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(var, 0.75**2 + weight * X.var(axis=0), rtol=1e-5)


def test_a_frozen_layer_neither_moves_nor_looks_at_the_batch():
    layer = BatchNormalization(momentum=0.5)
    model = bl.Sequential([bl.Input((4,)), layer, Dense(1)])
    layer.trainable = False
    before = layer.get_weights()
    trained(model, X)
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), before, strict=True))
    np.testing.assert_array_equal(layer(X, training=True), layer(X))


def test_used_twice_it_goes_on_from_its_own_earlier_write():
    layer = BatchNormalization(momentum=0.5)
    x = bl.Input((2,))
    model = bl.Model(x, layer(layer(x) * 3 + 1))
    data = RNG.normal(4, 2, size=(50, 2))
    trained(model, data, np.zeros((50, 2)))
    first, second = data.mean(axis=0), np.ones(2)  # the second call sees 3 · (mean 0, variance 1) + 1
    np.testing.assert_allclose(layer.moving_mean.value, 0.5 * (0.5 * first) + 0.5 * second, rtol=1e-4)
    spread = 0.5 * (0.5 * 1 + 0.5 * data.var(axis=0)) + 0.5 * 9
    np.testing.assert_allclose(layer.moving_variance.value, spread, rtol=1e-2)


def test_the_statistics_are_of_the_batch_as_it_stands_also_when_it_is_small():
    layer = BatchNormalization(momentum=0.0)
    model = bl.Sequential([bl.Input((1,)), layer, Dense(1)])
    model.compile(bl.optimizers.SGD(learning_rate=1e-12), "mse")
    x = np.array([[0.0], [0.0], [0.0], [0.0], [10.0], [20.0]])
    model.fit(x, np.zeros(6), batch_size=4, shuffle=False, verbose=0)
    assert layer.moving_mean.value[0] == pytest.approx(15.0)  # of the last batch, which has two rows
    assert layer.moving_variance.value[0] == pytest.approx(25.0)


def test_the_gradient_flows_through_the_statistics_of_the_batch():
    bl.set_floatx("float64")
    try:
        layer = BatchNormalization()
        layer(X)
    finally:
        bl.set_floatx("float32")
    x = input_leaf((M, 4), "x", "float64")
    with Pass(True, bl.constant(0), bl.constant(1)):
        total = bl.ops.sum(layer(x))
    slope = bl.compile(bl.grad(total, x), x)(X)
    np.testing.assert_allclose(slope, 0, atol=1e-9)  # shifting or scaling a batch changes nothing
