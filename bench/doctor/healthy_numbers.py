"""Healthy programs that look odd: regressions. Whoever warns of one of these is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit.layers import Conv1D, Dense, Flatten, Normalization, Rescaling
from backlit.optimizers import SGD, Adam, RMSprop

from .data import Rng, mileage, scaled, table
from .program import Run, healthy


@healthy("regression")
def autoencoder_of_pictures(rng: Rng) -> Run:
    """Sigmoids and squared error: pixels lie between 0 and 1."""
    x = table("digits", rng, 700)[0] / 16
    layers = [Dense(32, "relu"), Dense(12, "relu"), Dense(32, "relu"), Dense(64, "sigmoid")]
    return Run(layers, "mse", Adam(0.005), x, x, {"epochs": 40})


@healthy("regression")
def tanh_for_waves(rng: Rng) -> Run:
    """A bounded output for bounded targets."""
    x = rng.uniform(-1, 1, (500, 1))
    return Run([Dense(32, "tanh"), Dense(1, "tanh")], "mse", Adam(0.02), x, np.sin(4 * x[:, 0]), {"epochs": 30})


@healthy("regression")
def one_feature_line(rng: Rng) -> Run:
    """A single linear unit by plain steps."""
    x = rng.normal(size=200)
    return Run([Dense(1)], "mse", SGD(0.1), x, 3 * x - 2 + 0.1 * rng.normal(size=200), {"epochs": 10})


@healthy("regression")
def huge_rate_on_a_flat_bowl(rng: Rng) -> Run:
    """Steps of 15, on inputs so small that the loss curves little: the largest stable rate is about 25."""
    x = 0.2 * rng.choice([-1.0, 1.0], (400, 6))
    y = x @ rng.normal(size=6) * 5
    return Run([Dense(1, use_bias=False)], "mse", SGD(15.0), x, y, {"epochs": 10, "batch_size": 400})


@healthy("regression")
def counts_by_poisson(rng: Rng) -> Run:
    """Counts, whose rate is an exponential."""
    x = rng.normal(size=(600, 4))
    y = rng.poisson(np.exp(1 + x @ [0.6, -0.4, 0.3, 0.0]))
    return Run([Dense(1, "exponential")], "poisson", Adam(0.03), x, y, {"epochs": 15})


@healthy("regression")
def twelve_rows(rng: Rng) -> Run:
    """Twelve rows in one batch."""
    x = rng.normal(size=(12, 2))
    return Run([Dense(4, "tanh"), Dense(1)], "mse", Adam(0.03), x, x @ [1.0, -2.0], {"epochs": 200, "batch_size": 12})


@healthy("regression")
def raw_columns_scaled_inside(rng: Rng) -> Run:
    """Raw units; the first layer standardises, the last one goes back to units."""
    x, y = table("diabetes", rng)
    scale = Normalization()
    scale.adapt(x)
    layers = [scale, Dense(32, "relu"), Dense(1), Rescaling(float(y.std()), float(y.mean()))]
    return Run(layers, "mse", Adam(0.005), x, y, {"epochs": 20})


@healthy("regression")
def three_numbers_at_once(rng: Rng) -> Run:
    """Outputs of different size."""
    x, y = mileage(rng)
    several = np.c_[y, 0.3 * x[:, 0] - x[:, 5], 4 * x[:, 1] + 2]
    return Run([Dense(48, "relu"), Dense(3)], "mse", Adam(0.005), x, several, {"epochs": 25})


@healthy("regression")
def number_and_kind(rng: Rng) -> Run:
    """Two outputs: a number and a class."""
    x, y = mileage(rng)
    given = bl.Input((9,))
    hidden = Dense(48, "relu")(given)
    outputs = {"number": Dense(1, name="number")(hidden), "kind": Dense(3, "softmax", name="kind")(hidden)}
    losses = {"number": "mse", "kind": "sparse_categorical_crossentropy"}
    kind = np.digitize(x[:, 0], [-0.5, 0.5])
    model, targets = bl.Model(given, outputs), {"number": y, "kind": kind}
    return Run(model, losses, Adam(0.005), x, targets, {"epochs": 20}, judge=(x, y), answer=lambda p: p["number"])


@healthy("regression")
def small_targets(rng: Rng) -> Run:
    """Targets in hundredths."""
    x, y = mileage(rng)
    return Run([Dense(48, "tanh"), Dense(1)], "mse", Adam(0.005), x, 0.05 * y, {"epochs": 60})


@healthy("regression")
def targets_scaled_by_the_model(rng: Rng) -> Run:
    """Targets in thousands, which the last layer makes of numbers about 1."""
    x, y = mileage(rng)
    layers = [Dense(64, "relu"), Dense(1), Rescaling(300.0, 20_000.0)]
    return Run(layers, "mae", Adam(0.005), x, 20_000 + 300 * y, {"epochs": 25})


def _pinball(y: Any, p: Any) -> Any:
    return bl.ops.mean(bl.ops.maximum(0.6 * (y - p), -0.4 * (y - p)), axis=-1)


@healthy("regression")
def pinball_loss(rng: Rng) -> Run:
    """A quantile, by a loss of one's own."""
    x, y = mileage(rng)
    return Run([Dense(48, "relu"), Dense(1)], _pinball, Adam(0.01), x, y, {"epochs": 25})


@healthy("regression")
def deep_relu_with_he(rng: Rng) -> Run:
    """Ten layers that start with He's deviations."""
    x, y = mileage(rng)
    layers = [Dense(32, "relu", kernel_initializer="he_normal") for _ in range(10)]
    return Run([*layers, Dense(1)], "mse", Adam(0.001), x, y, {"epochs": 30})


@healthy("regression")
def ratings_as_numbers(rng: Rng) -> Run:
    """Ratings 1 to 5: whole numbers in an order, so a distance is right."""
    x, y = mileage(rng)
    stars = np.clip(np.round(3 + 1.2 * y), 1, 5)
    return Run([Dense(48, "relu"), Dense(1)], "mse", Adam(0.005), x, stars, {"epochs": 30}, metrics=["mae"])


@healthy("regression")
def huber_with_outliers(rng: Rng) -> Run:
    """One target in fifty is far off, and the loss is made for that; judged on the true ones."""
    x, y = mileage(rng)
    wild = np.where(rng.random(len(y)) < 0.02, 40.0, y)
    return Run([Dense(48, "relu"), Dense(1)], "huber", Adam(0.005), x, wild, {"epochs": 20}, judge=(x, y))


def _likelihood(y: Any, p: Any) -> Any:
    mean, spread = p[:, :1], p[:, 1:]
    return bl.ops.mean(spread + 0.5 * ((y[:, :1] - mean) / bl.ops.exp(spread)) ** 2, axis=-1)


@healthy("regression")
def mean_and_spread(rng: Rng) -> Run:
    """Two units: a mean and the logarithm of a deviation; y stands in both columns."""
    x, y = mileage(rng)
    layers, both = [Dense(48, "tanh"), Dense(2)], np.c_[y, y]
    return Run(layers, _likelihood, Adam(0.005), x, both, {"epochs": 25}, judge=(x, y), answer=lambda p: p[:, :1])


@healthy("regression")
def low_rank_map(rng: Rng) -> Run:
    """Two linear layers through a bottleneck: principal components."""
    x = rng.normal(size=(400, 3)) @ rng.normal(size=(3, 20)) + 0.1 * rng.normal(size=(400, 20))
    return Run([Dense(3, use_bias=False), Dense(20)], "mse", Adam(0.02), x, x, {"epochs": 30})


@healthy("regression")
def batches_of_one(rng: Rng) -> Run:
    """Forty rows, one at a time."""
    x = rng.normal(size=(40, 3))
    return Run([Dense(1)], "mse", SGD(0.02), x, x @ [1.0, 2.0, -1.0], {"epochs": 10, "batch_size": 1})


@healthy("regression")
def windows_of_a_wave(rng: Rng) -> Run:
    """The next value of a noisy wave, by convolutions."""
    wave = np.sin(np.arange(700) / 5) + 0.05 * rng.normal(size=700)
    x = np.lib.stride_tricks.sliding_window_view(wave[:-1], 24)[..., np.newaxis]
    layers = [Conv1D(8, 5, activation="relu"), Conv1D(8, 5, activation="relu"), Flatten(), Dense(1)]
    return Run(layers, "mse", RMSprop(0.003), x, wave[24:], {"epochs": 8})


@healthy("regression")
def logarithmic_error(rng: Rng) -> Run:
    """Prices, judged by their ratio; softplus keeps them above 0."""
    x, y = mileage(rng)
    layers = [Dense(48, "relu"), Dense(1, "softplus")]
    return Run(layers, "mean_squared_logarithmic_error", Adam(0.01), x, np.exp(0.7 * y), {"epochs": 40})


@healthy("regression")
def whole_numbers_as_targets(rng: Rng) -> Run:
    """Whole numbers 0 to 30 that are amounts, no classes."""
    x, y = mileage(rng)
    amount = np.clip(np.round(12 + 5 * y), 0, 30).astype(int)
    return Run([Dense(64, "relu"), Dense(1)], "mse", Adam(0.01), x, amount, {"epochs": 30})


@healthy("regression")
def residual_sums(rng: Rng) -> Run:
    """Blocks that add to what they were given; the last product of each has no activation."""
    x, y = scaled("diabetes", rng)
    given = bl.Input((10,))
    state = Dense(24)(given)
    for _ in range(3):
        state = state + Dense(24)(Dense(24, "relu")(state))
    model = bl.Model(given, Dense(1)(state))
    return Run(model, "mse", Adam(0.003), x, (y - y.mean()) / y.std(), {"epochs": 15})
