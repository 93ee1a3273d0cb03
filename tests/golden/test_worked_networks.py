"""The worked examples about whole networks: W017, W020-W026, W035, W036."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.datasets import load_digits, make_blobs

import backlit as bl
from backlit.layers import Conv1D, Dense, Flatten, LocallyConnected1D
from backlit.losses import SparseCategoricalCrossentropy


def dense(inputs: int, *units: int) -> bl.Sequential:
    return bl.Sequential([bl.Input((inputs,)), *(Dense(each, "relu") for each in units)])


def test_w017_a_vectorised_product_beats_the_loop() -> None:
    a, b = np.random.default_rng(0).random((2, 200_000))

    def loop() -> float:
        total = 0.0
        for i in range(len(a)):
            total += a[i] * b[i]
        return total

    seconds = []
    for product in (loop, lambda: bl.ops.dot(a, b)):
        began = time.perf_counter()
        result = product()
        seconds.append(time.perf_counter() - began)
        assert result == pytest.approx(float(np.dot(a, b)), rel=1e-12)
    assert seconds[0] > seconds[1]  # some hundred times on a quiet machine: `backlit lab vectorise` tells


@pytest.mark.parametrize(
    ("inputs", "units", "counts"),
    [
        (400, (25, 15, 1), (10_025, 390, 16)),  # W020
        (400, (25, 15, 10), (10_025, 390, 160)),
        (784, (25, 15, 10), (19_625, 390, 160)),  # W022
        (64 * 64 * 3, (1,), (12_289,)),  # W021: logistic regression on pictures
        (3, (4, 1), (16, 5)),  # W023
        (3, (5, 5, 3, 1), (20, 30, 18, 4)),  # W024
    ],
)
def test_parameter_counts(inputs: int, units: tuple[int, ...], counts: tuple[int, ...]) -> None:
    model = dense(inputs, *units)
    assert tuple(layer.count_params() for layer in model.layers) == counts
    assert model.count_params() == sum(counts)
    for layer, (n, k) in zip(model.layers, zip((inputs, *units), units, strict=False), strict=True):
        assert [w.shape for w in layer.get_weights()] == [(n, k), (k,)]


@pytest.mark.parametrize(("rows", "batch", "steps"), [(1000, 100, 10), (5000, 32, 157)])
def test_w025_steps_of_an_epoch(rows: int, batch: int, steps: int) -> None:
    model = dense(2, 1)
    model.compile("sgd", "mse")
    history = model.fit(np.zeros((rows, 2)), np.zeros(rows), batch_size=batch, verbose=0)
    assert history.params["steps"] == steps == model.iterations


def test_w026_each_unit_of_the_ekg_network_sees_its_window() -> None:
    """x1-20, x11-30, …, x81-100, then a1-5, a3-7, a5-9. The picture does not say whether the units share their weights: a
    convolution does, 31 parameters; units with weights of their own have 211; units that see everything 943."""
    bl.random.set_seed(2)
    for layer, counts in ((Conv1D, [21, 6, 0, 4]), (LocallyConnected1D, [189, 18, 0, 4])):
        first = layer(1, 20, strides=10, kernel_initializer="ones")
        second = layer(1, 5, strides=2, kernel_initializer="ones")
        model = bl.Sequential([bl.Input((100, 1)), first, second, Flatten(), Dense(1)])
        assert [layer.count_params() for layer in model.layers] == counts
        assert model.count_params() == sum(counts) in (31, 211)
        assert [layer.output_shape[1] for layer in model.layers] == [9, 3, 3, 1]
        seen = [np.flatnonzero(first(np.eye(100)[:, :, None])[:, unit, 0]) for unit in range(9)]
        assert [(window[0] + 1, window[-1] + 1) for window in seen] == [(1 + 10 * k, 20 + 10 * k) for k in range(9)]
        seen = [np.flatnonzero(second(np.eye(9)[:, :, None])[:, unit, 0]) for unit in range(3)]
        assert [(window[0] + 1, window[-1] + 1) for window in seen] == [(1, 5), (3, 7), (5, 9)]
    assert dense(100, 9, 3, 1).count_params() == 943


@pytest.mark.slow
def test_w035_two_relu_units_separate_four_blobs_for_most_seeds() -> None:
    X, y = make_blobs(100, centers=[(-5, 2), (-2, -2), (1, 2), (5, -2)], cluster_std=1.0, random_state=30)
    separated = 0
    for seed in range(10):
        bl.random.set_seed(seed)
        model = bl.Sequential([Dense(2, "relu", name="L1"), Dense(4, "linear", name="L2")])
        model.compile(bl.optimizers.Adam(0.01), SparseCategoricalCrossentropy(from_logits=True))
        model.fit(X, y, epochs=200, verbose=0)
        right = model.predict_classes(X) == y
        separated += all(right[y == k].mean() >= 0.9 for k in range(4))
    assert separated >= 6


def test_w036_one_picture_logits_softmax_argmax() -> None:
    """The procedure: predict one picture as a batch of one, softmax, the place of the largest."""
    X, y = load_digits(return_X_y=True)
    bl.random.set_seed(1)
    model = bl.Sequential([Dense(25, "relu"), Dense(15, "relu"), Dense(10, "linear")])
    model.compile(bl.optimizers.Adam(0.002), SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X / 16, y, epochs=30, verbose=0)
    prediction = model.predict((X[1015] / 16).reshape(1, 64))
    assert prediction.shape == (1, 10) and prediction.min() < 0
    prediction_p = bl.nn.softmax(prediction)
    assert prediction_p.sum() == pytest.approx(1, abs=1e-6)
    assert np.argmax(prediction_p) == np.argmax(prediction) == y[1015]
