"""Metrics in the logs against NumPy, over uneven batches, weights and every kind of output."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError
from backlit.layers import Activation, Dense, Flatten
from backlit.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from backlit.metrics import BinaryAccuracy, Metric

RNG = np.random.default_rng(3)
X = RNG.normal(size=(23, 4))


def model(units, loss, metrics, activation=None):
    layers = [bl.Input((4,)), Dense(units)] + ([Activation(activation)] if activation else [])
    made = bl.Sequential(layers)
    made.compile("sgd", loss, metrics=metrics)
    return made


def test_the_accuracy_fits_the_loss_and_its_output(seeded):
    labels, bits = RNG.integers(0, 3, 23), RNG.integers(0, 2, 23)
    many = RNG.integers(0, 2, (23, 3))
    cases = [
        (3, SparseCategoricalCrossentropy(from_logits=True), None, labels, lambda p: p.argmax(1) == labels),
        (3, SparseCategoricalCrossentropy(), "softmax", labels, lambda p: p.argmax(1) == labels),
        (3, CategoricalCrossentropy(), "softmax", np.eye(3)[labels], lambda p: p.argmax(1) == labels),
        (1, BinaryCrossentropy(), "sigmoid", bits, lambda p: (p[:, 0] > 0.5) == bits),
        (1, BinaryCrossentropy(from_logits=True), None, bits, lambda p: (p[:, 0] > 0) == bits),
        (3, BinaryCrossentropy(from_logits=True), None, many, lambda p: ((p > 0) == many).mean(1)),
    ]
    for units, loss, activation, y, right in cases:
        net = model(units, loss, ["accuracy"], activation)
        wanted = np.mean(right(net.predict(X)))
        assert 0 < wanted < 1, "an accuracy that could not be wrong tests nothing"
        for batch in (1, 5, 32):
            logs = net.evaluate(X, y, batch_size=batch, return_dict=True)
            assert logs["accuracy"] == pytest.approx(wanted, abs=1e-7)


def test_errors_of_a_regression(seeded):
    y = RNG.normal(size=(23, 2))
    net = model(2, "mse", ["mae", "mse"])
    error = net.predict(X) - y
    values = net.evaluate(X, y, batch_size=7)
    assert values == pytest.approx([np.mean(error**2), np.abs(error).mean(), np.mean(error**2)], rel=1e-5)
    assert net.evaluate(X, y, return_dict=True).keys() == {"loss", "mae", "mse"}
    alone = model(2, "mse", None)
    assert isinstance(alone.evaluate(X, y), float)


def test_sample_weights_weigh_the_loss_and_the_weighted_metrics(seeded):
    y, w = RNG.normal(size=23), RNG.uniform(0, 2, 23)
    net = bl.Sequential([bl.Input((4,)), Dense(1)])
    net.compile("sgd", "mse", metrics=["mae"], weighted_metrics=["mse"])
    error = net.predict(X)[:, 0] - y
    loss, mae, mse = net.evaluate(X, y, sample_weight=w, batch_size=4)
    assert loss == pytest.approx(np.mean(w * error**2), rel=1e-5)
    assert mae == pytest.approx(np.mean(np.abs(error)), rel=1e-5)  # as in Keras
    assert mse == pytest.approx(np.average(error**2, weights=w), rel=1e-5)


def test_a_threshold_of_ones_own(seeded):
    y = RNG.integers(0, 2, 23)
    net = model(1, BinaryCrossentropy(), [BinaryAccuracy(threshold=0.7), "accuracy"], "sigmoid")
    p = net.predict(X)[:, 0]
    logs = net.evaluate(X, y, return_dict=True)
    assert logs["binary_accuracy"] == pytest.approx(np.mean((p > 0.7) == y), abs=1e-7)
    assert logs["accuracy"] == pytest.approx(np.mean((p > 0.5) == y), abs=1e-7)


def test_a_sequence_of_outputs_is_averaged_over_all_of_them(seeded):
    x, y = RNG.normal(size=(6, 5, 4)), RNG.integers(0, 3, (6, 5))
    net = bl.Sequential([bl.Input((5, 4)), Dense(3)])
    net.compile("sgd", SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    z = net.predict(x)
    loss, accuracy = net.evaluate(x, y, batch_size=4)
    assert accuracy == pytest.approx(np.mean(z.argmax(-1) == y), abs=1e-6)
    log_p = z - np.log(np.exp(z).sum(-1, keepdims=True))
    assert loss == pytest.approx(-np.mean(np.take_along_axis(log_p, y[..., None], -1)), rel=1e-5)


class _Largest(Metric):
    """A metric of somebody's own."""

    name = "largest"

    def formula(self, y, p):
        return bl.ops.max(p, axis=-1)


def test_a_metric_of_ones_own(seeded):
    net = model(2, "mse", [_Largest(), "mae"])
    y = np.zeros((23, 2))
    wanted = net.predict(X).max(axis=1).mean()
    assert net.evaluate(X, y, batch_size=5, return_dict=True)["largest"] == pytest.approx(wanted, rel=1e-5)
    logged = net.fit(X, y, verbose=0, validation_data=(X, y)).history
    assert set(logged) == {"loss", "largest", "mae", "val_loss", "val_largest", "val_mae"}


@pytest.mark.parametrize("metrics", [["acuracy"], [3], ["mse", None], "accuracy", 5])
def test_what_is_no_metric_is_refused(metrics):
    with pytest.raises(BacklitError):
        model(2, "mse", metrics)


def test_flattened_pictures_count_rows_and_not_pixels(seeded):
    x = RNG.normal(size=(9, 2, 2))
    net = bl.Sequential([bl.Input((2, 2)), Flatten(), Dense(1)])
    net.compile("sgd", "mse", metrics=["mae"])
    error = net.predict(x)[:, 0]
    assert net.evaluate(x, np.zeros(9), batch_size=4) == pytest.approx(
        [np.mean(error**2), np.abs(error).mean()], rel=1e-5
    )
