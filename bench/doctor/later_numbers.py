"""Later programs, of numbers: prices, counts, series, curves and several targets, some wrong and some only unusual."""

from __future__ import annotations

from typing import Any

import numpy as np
from backlit.optimizers.schedules import CosineDecay, ExponentialDecay

import backlit as bl
from backlit import Input, Model
from backlit.callbacks import EarlyStopping, ReduceLROnPlateau
from backlit.initializers import RandomNormal, RandomUniform
from backlit.layers import (
    Activation,
    Add,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    Lambda,
    LayerNormalization,
    Normalization,
    ReLU,
    Rescaling,
    Subtract,
)
from backlit.losses import Huber, LogCosh, MeanSquaredError, Poisson
from backlit.optimizers import SGD, Adam, AdamW, Nadam, RMSprop

from .data import Rng, scaled, standard, table
from .program import Fault, Run, healthy, mutant

Cured = frozenset[str]
o = bl.ops


# ---------------------------------------------------------------------- data
def houses(rng: Rng, rows: int = 480) -> tuple[Any, Any]:
    """Area in m², rooms, year of construction and distance to the centre in km, raw; prices around 300,000."""
    area = np.exp(rng.normal(4.5, 0.35, rows))
    rooms = np.clip(np.round(area / 25 + rng.normal(0, 0.7, rows)), 1, 9)
    year = rng.integers(1900, 2021, rows).astype(float)
    far = rng.gamma(2.0, 4.0, rows)
    log = 12.4 + 0.8 * (np.log(area) - 4.5) + 0.004 * (year - 1960) - 0.05 * far + 0.08 * rng.normal(size=rows)
    return np.column_stack([area, rooms, year, far]), np.exp(log)


def rentals(rng: Rng, rows: int = 600) -> tuple[Any, Any]:
    """The hour as a point on a circle, temperature, rain and working day; how many bicycles were lent."""
    hour = rng.uniform(0, 2 * np.pi, rows)
    warm, rain, work = rng.normal(size=rows), rng.random(rows) < 0.3, rng.random(rows) < 0.7
    log = 1.0 + 1.1 * np.sin(hour) + 0.5 * warm - 0.9 * rain + 0.4 * work * np.cos(2 * hour)
    return np.column_stack([np.sin(hour), np.cos(hour), warm, rain, work]), rng.poisson(np.exp(log)).astype(float)


def tide(rng: Rng, count: int = 620) -> Any:
    """A level by the hour: two periods, a wandering mean, and noise."""
    t = np.arange(count)
    drift = np.cumsum(0.02 * rng.normal(size=count))
    phase = rng.uniform(0, 2 * np.pi, 2)
    waves = np.sin(2 * np.pi * t / 12.4 + phase[0]) + 0.5 * np.sin(2 * np.pi * t / 24 + phase[1])
    return waves + drift + 0.05 * rng.normal(size=count)


def windows(series: Any, length: int) -> tuple[Any, Any]:
    """Every stretch of the series (m, length) and the value after it (m,)."""
    return np.lib.stride_tricks.sliding_window_view(series[:-1], length).copy(), series[length:].copy()


def concrete(rng: Rng, rows: int = 512) -> tuple[Any, Any]:
    """Seven standardised shares of a mixture and its strength, which is bent in three of them; standardised."""
    x = rng.normal(size=(rows, 7))
    y = 1.2 * np.tanh(x[:, 0] + x[:, 1]) + 0.7 * x[:, 2] * x[:, 3] - 0.6 * x[:, 4] + 0.3 * x[:, 5] ** 2
    return x, standard(y + 0.1 * rng.normal(size=rows))


# ---------------------------------------------------------------------- losses of one's own
def r_squared(y: Any, p: Any) -> Any:
    """The coefficient of determination, as a loss."""
    return 1 - o.sum((y - p) ** 2) / (o.sum((y - o.mean(y)) ** 2) + 1e-7)


def unexplained(y: Any, p: Any) -> Any:
    """What it leaves, as a loss."""
    return o.sum((y - p) ** 2) / (o.sum((y - o.mean(y)) ** 2) + 1e-7)


def poisson_of_logs(y: Any, z: Any) -> Any:
    """The Poisson loss where the network gives the logarithm of the rate."""
    return o.mean(o.exp(z) - y * z, axis=-1)


def three_quantiles(y: Any, p: Any) -> Any:
    """The pinball losses of 10, 50 and 90 %, one output each, for one target."""
    share = np.array([[0.1, 0.5, 0.9]], dtype=np.float32)
    e = y - p
    return o.mean(o.maximum(share * e, (share - 1) * e), axis=-1)


def gaussian(y: Any, p: Any) -> Any:
    """Minus the log-likelihood of y under a normal distribution of that mean and log of the standard deviation."""
    mean, log = p[:, 0:1], p[:, 1:2]
    return o.mean(0.5 * ((y[:, 0:1] - mean) * o.exp(-log)) ** 2 + log, axis=-1)


def root_of_squares(y: Any, p: Any) -> Any:
    """The root of the mean square of a batch."""
    return o.sqrt(o.mean((y - p) ** 2) + 1e-9)


def sine(z: Any) -> Any:
    """A layer that oscillates."""
    return o.sin(z)


# ---------------------------------------------------------------------- output, loss and target
@mutant("regression", target=Fault((22, 19, 33), None, "y"))
def houses_in_euros(rng: Rng, cured: Cured) -> Run:
    """Prices in the hundred thousands, and an output that starts at 0."""
    x, y = houses(rng)
    y = (y - 300_000) / 100_000 if "target" in cured else y
    layers = [Dense(64, activation="relu"), Dense(32, activation="relu"), Dense(1)]
    more = {"epochs": 60, "batch_size": 16, "validation_split": 0.1}
    return Run(layers, "mean_absolute_error", Adam(), standard(x), y, more, metrics=["mae"])


@mutant("regression", output=Fault((6, 37), -1, "activation"))
def nights_below_zero(rng: Rng, cured: Cured) -> Run:
    """Degrees Celsius of a winter, and a last layer that knows no frost."""
    x = rng.normal(size=(450, 6))
    y = -4 + 5 * x[:, 0] - 3 * np.abs(x[:, 1]) + 2 * x[:, 2] * x[:, 3] + 0.5 * rng.normal(size=450)
    last = [Dense(1)] if "output" in cured else [Dense(1), ReLU()]
    layers = [Dense(32), ReLU(), Dense(32), ReLU(), *last]
    return Run(layers, Huber(), Adam(0.003), x, y, {"epochs": 60})


@mutant("regression", output=Fault((4, 6, 40, 41), -1, "activation"))
def goals_twice_exponential(rng: Rng, cured: Cured) -> Run:
    """A loss that takes the logarithm of the rate, and an output that is a rate already."""
    x = rng.normal(size=(640, 5))
    y = rng.poisson(np.exp(-0.6 + 0.9 * x[:, 0] - 0.8 * x[:, 1] + 0.7 * np.sin(2 * x[:, 2]))).astype(float)
    rate = np.exp(-0.6 + 0.9 * x[:, 0] - 0.8 * x[:, 1] + 0.7 * np.sin(2 * x[:, 2]))
    last = Dense(1, None if "output" in cured else "exponential")
    layers = [Dense(24, "tanh"), Dense(12, "tanh"), last]
    return Run(layers, poisson_of_logs, Adam(0.003), x, y, {"epochs": 60}, judge=(x, rate), answer=np.exp)


@mutant("regression", loss=Fault((58, 7, 40, 47), None, "loss"))
def determination_as_a_loss(rng: Rng, cured: Cured) -> Run:
    """The score that should become large is made small."""
    x, y = concrete(rng)
    layers = [Dense(40, "elu"), Dense(20, "elu"), Dense(1)]
    loss = unexplained if "loss" in cured else r_squared
    return Run(layers, loss, Adam(0.002, clipnorm=1.0), x, y, {"epochs": 40, "batch_size": 64})


@mutant("regression", output=Fault((6,), -1, "activation"))
def bottles_through_six_numbers(rng: Rng, cured: Cured) -> Run:
    """An autoencoder as one writes it for pixels, for measurements with mean 0."""
    x, _ = scaled("wine", rng)
    inputs = Input(shape=(13,))
    code = Dense(6)(Dense(24, activation="tanh")(inputs))
    out = Dense(13, activation=None if "output" in cured else "sigmoid")(Dense(24, activation="tanh")(code))
    return Run(Model(inputs, out), "mse", "adam", x, x, {"epochs": 250, "batch_size": 16})


@mutant("regression", target=Fault((22, 19), None, "y"))
def weather_in_three_units(rng: Rng, cured: Cured) -> Run:
    """Pressure in pascal, moisture as a share and temperature, from one layer by one squared error."""
    x = rng.normal(size=(500, 8))
    w = rng.normal(size=(8, 3)) / 3
    y = np.tanh(x @ w) @ rng.normal(size=(3, 3)) + 0.5 * (x @ w)
    y = standard(y) * [800.0, 0.12, 7.0] + [101_325.0, 0.6, 12.0]
    y = standard(y) if "target" in cured else y
    layers = [Dense(48, "relu"), Dense(24, "relu"), Dense(3, "linear")]
    return Run(layers, "mse", Adam(0.01), x, y, {"epochs": 40, "validation_split": 0.2})


@mutant("regression", output=Fault((6, 38), -1, "activation"))
def swing_between_minus_one_and_one(rng: Rng, cured: Cured) -> Run:
    """The way of a pendulum in centimetres, and a last layer that gives at most 1."""
    t = np.sort(rng.uniform(0, 6, 300))
    y = 9 * np.exp(-0.15 * t) * np.cos(2.2 * t + rng.uniform(0, 0.5)) + 0.2 * rng.normal(size=300)
    x = (t[:, np.newaxis] - 3) / 1.7
    body = [Dense(32, kernel_initializer=RandomUniform(-2, 2)), Activation("tanh"), Dense(32), Activation("tanh")]
    last = [Dense(1)] if "output" in cured else [Dense(1), Activation("tanh")]
    return Run([*body, *last], LogCosh(), Nadam(0.005), x, y, {"epochs": 200})


@mutant("regression", loss=Fault((58, 7, 40), None, "loss"))
def percentages_of_nearly_nothing(rng: Rng, cured: Cured) -> Run:
    """Returns around 0, and errors in per cent of them."""
    x = rng.normal(size=(700, 6))
    y = 0.02 * np.tanh(x[:, 0] - x[:, 1]) + 0.01 * x[:, 2] + 0.008 * rng.normal(size=700)
    x, y = standard(x), y / 0.02
    loss = "mse" if "loss" in cured else "mean_absolute_percentage_error"
    layers = [Dense(32, "relu"), Dense(16, "relu"), Dense(1)]
    return Run(layers, loss, Adam(0.003), x, y, {"epochs": 40, "batch_size": 64})


@mutant("regression", target=Fault((10, 7, 6, 22), None, "y"))
def votes_in_per_cent(rng: Rng, cured: Cured) -> Run:
    """Shares from 0 to 100 into a cross-entropy that wants them from 0 to 1."""
    x = rng.normal(size=(400, 6))
    y = 1 / (1 + np.exp(-(x[:, 0] + np.sin(2 * x[:, 1]) - 0.5 * x[:, 2] ** 2)))
    y = y if "target" in cured else 100 * y
    layers = [Dense(32, "tanh"), Dense(16, "tanh"), Dense(1), Activation("sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.005), x, y, {"epochs": 60})


@mutant("regression", width=Fault((8, 9), -1, "units"))
def three_wells_and_one_unit(rng: Rng, cured: Cured) -> Run:
    """Three depths to predict, and one output."""
    x = rng.normal(size=(300, 5))
    y = standard(np.tanh(x[:, :3] + x[:, 2:5]) + 0.05 * rng.normal(size=(300, 3)))
    layers = [Dense(32, "gelu"), Dense(16, "gelu"), Dense(3 if "width" in cured else 1)]
    return Run(layers, "mae", Adam(0.005), x, y, {"epochs": 60})


# ---------------------------------------------------------------------- data
@mutant("regression", shape=Fault((28, 46, 57), None, "x"))
def sensors_cut_by_reshape(rng: Rng, cured: Cured) -> Run:
    """Windows of three sensors, one sensor after the other, brought into form by a reshape where the axes must move."""
    m = 400
    loud = rng.uniform(0.2, 2.0, (3, m, 1))
    x = loud * rng.normal(size=(3, m, 20))
    y = standard(loud[0, :, 0] - loud[1, :, 0] + 0.5 * loud[2, :, 0])
    x = x.transpose(1, 2, 0) if "shape" in cured else x.reshape(m, 20, 3)
    layers = [Conv1D(24, 1, activation="relu"), Conv1D(16, 1, activation="relu"), GlobalAveragePooling1D(), Dense(1)]
    return Run(layers, "mse", Adam(0.005), x, y, {"epochs": 60})


@mutant("regression", order=Fault((28,), None, "y"))
def strengths_of_other_rows(rng: Rng, cured: Cured) -> Run:
    """One table by day, the other by number: their rows do not belong together."""
    x, y = concrete(rng)
    number = rng.permutation(len(y))
    given = y if "order" in cured else y[np.argsort(number)]
    layers = [Dense(32, "relu"), Dropout(0.1), Dense(16, "relu"), Dense(1)]
    return Run(layers, "mae", Adam(0.003), x, given, {"epochs": 40, "validation_split": 0.25}, judge=(x, y))


@mutant("regression", scale=Fault((20, 38, 37), None, "x"))
def seconds_since_1970(rng: Rng, cured: Cured) -> Run:
    """A time stamp beside small features."""
    m = 500
    stamp = 1.6e9 + 60.0 * rng.integers(0, 525_600, m)
    x = np.column_stack([stamp, rng.normal(size=m), rng.integers(0, 7, m), rng.random(m)])
    y = 1.5 * (stamp - 1.6e9) / 3.15e7 + x[:, 1] + 0.3 * (x[:, 2] > 4) + np.sin(5 * x[:, 3]) + 0.1 * rng.normal(size=m)
    x = standard(x) if "scale" in cured else x
    layers = [Dense(32, "selu", kernel_initializer="lecun_normal"), Dense(16, "selu"), Dense(1)]
    return Run(layers, "mse", Adam(0.005), x, y, {"epochs": 50})


@mutant("regression", scale=Fault((27, 20), None, "validation"))
def summer_scaled_by_summer(rng: Rng, cured: Cured) -> Run:
    """The rows to predict are standardised by their own mean, which is another one."""
    weights = rng.uniform(0.5, 1.5, 5)
    cold, hot = rng.normal(8, 6, (350, 5)), rng.normal(14, 5, (120, 5))
    y, later = ((x - 8) / 6 @ weights + 0.3 * rng.normal(size=len(x)) for x in (cold, hot))
    held = (hot - cold.mean(axis=0)) / cold.std(axis=0) if "scale" in cured else standard(hot)
    layers = [Dense(16, "elu"), Dense(1)]
    more = {"epochs": 60, "validation_data": (held, later)}
    return Run(layers, "mse", Adam(0.005), standard(cold), y, more, judge=(held, later))


@mutant("regression", twice=Fault((21, 20, 27), None, "x"))
def scaled_once_and_then_again(rng: Rng, cured: Cured) -> Run:
    """Standardised columns into a layer that subtracts the raw means and divides by the raw deviations."""
    x, price = houses(rng)
    first = Normalization(mean=x.mean(axis=0), variance=x.var(axis=0))
    given = x if "twice" in cured else standard(x)
    layers = [first, Dense(32, "tanh"), Dense(16, "tanh"), Dense(1)]
    return Run(layers, "mse", Adam(0.003), given, standard(np.log(price)), {"epochs": 40})


@mutant(
    "regression",
    scale=Fault((20, 38), None, "x"),
    rate=Fault((33, 36), None, "learning_rate"),
)
def salaries_by_postcode(rng: Rng, cured: Cured) -> Run:
    """Ages, years of work and postcodes as they are, and steps of a hundred thousandth."""
    m = 400
    age = rng.integers(18, 66, m)
    work = np.minimum(age - 17, rng.integers(0, 45, m))
    code = rng.integers(10_000, 99_999, m)
    y = standard(1.0 * work + 0.4 * age + 12 * (code > 60_000) + 3 * rng.normal(size=m))
    x = np.column_stack([age, work, code]).astype(float)
    x = standard(x) if "scale" in cured else x
    layers = [Dense(48, "tanh"), Dense(24, "tanh"), Dense(1)]
    return Run(layers, "mse", Adam(3e-3 if "rate" in cured else 1e-5), x, y, {"epochs": 50})


# ---------------------------------------------------------------------- training
@mutant("regression", truths=[("rate",)], rate=Fault((33, 36), None, "learning_rate"), extra=(35,))
def halved_every_ten_batches(rng: Rng, cured: Cured) -> Run:
    """A schedule whose steps were thought to be epochs."""
    x, y = concrete(rng)
    steps = 10 * 16 if "rate" in cured else 10
    layers = [Dense(50, "relu"), Dense(50, "relu"), Dense(1)]
    rate = Adam(learning_rate=ExponentialDecay(2e-3, decay_steps=steps, decay_rate=0.5))
    return Run(layers, "mse", rate, x, y, {"epochs": 60, "batch_size": 32})


@mutant("regression", dropout=Fault((52,), -1, "dropout"))
def tide_with_dropped_answers(rng: Rng, cured: Cured) -> Run:
    """A dropout after the last layer: half of the answers are 0, the others double."""
    x, y = windows(tide(rng), 24)
    layers = [Dense(48, "relu"), Dense(24, "relu"), Dense(1)]
    layers = layers if "dropout" in cured else [*layers, Dropout(0.6)]
    return Run(layers, "mse", Adam(0.002), x, y, {"epochs": 40})


@mutant("regression", hidden=Fault((15, 39, 38), None, "activation"), extra=(47, 33))
def eight_sigmoids_and_a_curve(rng: Rng, cured: Cured) -> Run:
    """The characteristic curve of a diode, through eight layers of sigmoids."""
    x = np.sort(rng.uniform(-2, 2, (256, 1)), axis=0)
    y = np.sin(3 * x[:, 0]) + 0.4 * x[:, 0] ** 2 + 0.05 * rng.normal(size=256)
    kind = "tanh" if "hidden" in cured else "sigmoid"
    layers = [part for _ in range(8) for part in (Dense(16), Activation(kind))]
    return Run([*layers, Dense(1)], "mse", Adam(0.003), x, y, {"epochs": 60, "batch_size": 16})


@mutant("regression", reduction=Fault((55, 32, 40, 41), None, "reduction"))
def squares_added_up(rng: Rng, cured: Cured) -> Run:
    """The squared errors of all 256 rows are added, and the step is one for their mean."""
    x, y = concrete(rng)
    loss = "mse" if "reduction" in cured else MeanSquaredError(reduction="sum")
    layers = [Dense(32, "tanh"), Dense(32, "tanh"), Dense(1)]
    return Run(layers, loss, SGD(0.05, momentum=0.9), x, y, {"epochs": 120, "batch_size": 256})


@mutant("regression", decay=Fault((51,), None, "optimizer"))
def weights_that_fade(rng: Rng, cured: Cured) -> Run:
    """A decay of 40 where 0.04 was meant."""
    x, y = concrete(rng)
    layers = [Dense(64, "relu"), Dense(32, "relu"), Dense(1)]
    rate = AdamW(0.003, weight_decay=0.04 if "decay" in cured else 40.0)
    return Run(layers, "mse", rate, x, y, {"epochs": 40})


# ---------------------------------------------------------------------- unusual and right
@healthy("regression")
def prices_from_a_last_rescaling(rng: Rng) -> Run:
    """Raw prices: the network answers in deviations, and its last layer makes euros of them."""
    x, y = houses(rng)
    first = Normalization(mean=x.mean(axis=0), variance=x.var(axis=0))
    layers = [first, Dense(64, "relu"), Dense(32, "relu"), Dense(1), Rescaling(float(y.std()), float(y.mean()))]
    return Run(layers, "mae", Adam(0.003), x, y, {"epochs": 50, "batch_size": 16})


@healthy("regression")
def bicycles_by_poisson(rng: Rng) -> Run:
    """Counts: an exponential gives the rate."""
    x, y = rentals(rng)
    layers = [Dense(32, "elu"), Dense(16, "elu"), Dense(1, activation="exponential")]
    return Run(layers, Poisson(), Adam(0.003), x, y, {"epochs": 40})


@healthy("regression")
def three_quantiles_for_one_price(rng: Rng) -> Run:
    """Three outputs, one target three times: the middle one is the median."""
    x, price = houses(rng)
    y = standard(np.log(price))
    layers = [Dense(40, "relu"), Dense(40, "relu"), Dense(3)]
    x, three = standard(x), np.repeat(y[:, np.newaxis], 3, axis=1)
    return Run(layers, three_quantiles, Adam(0.004), x, three, {"epochs": 60}, judge=(x, y), answer=_second)


def _second(p: Any) -> Any:
    return np.asarray(p)[:, 1:2]


def _first(p: Any) -> Any:
    return np.asarray(p)[:, 0:1]


@healthy("regression")
def mean_and_log_of_the_deviation(rng: Rng) -> Run:
    """Two outputs for one target, judged by a likelihood that may fall below 0."""
    x = rng.uniform(-2, 2, (500, 2))
    y = np.sin(2 * x[:, 0]) + x[:, 1] + 0.05 * (1 + np.abs(x[:, 1])) * rng.normal(size=500)
    layers = [Dense(32, "tanh"), Dense(32, "tanh"), Dense(2)]
    return Run(layers, gaussian, Adam(0.005), x, np.column_stack([y, y]), {"epochs": 80}, judge=(x, y), answer=_first)


@healthy("regression")
def bottles_through_a_line(rng: Rng) -> Run:
    """A linear autoencoder, which is the analysis of principal components."""
    x, _ = scaled("wine", rng)
    layers = [Dense(5, use_bias=False), Dense(13)]
    return Run(layers, "mse", Adam(0.01), x, x, {"epochs": 120})


@healthy("regression")
def shares_of_clicks(rng: Rng) -> Run:
    """Probabilities from 0 to 1 as targets of a cross-entropy, which never gets near 0."""
    x = rng.normal(size=(600, 6))
    y = 1 / (1 + np.exp(-(1.5 * x[:, 0] - x[:, 1] * x[:, 2] - 1)))
    layers = [Dense(32, "relu"), Dense(16, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), x, y, {"epochs": 40}, metrics=["mae"])


@healthy("regression")
def sines_of_large_weights(rng: Rng) -> Run:
    """A fast wave: a first layer with wide weights and a sine."""
    x = np.sort(rng.uniform(-1, 1, (400, 1)), axis=0)
    y = np.sin(18 * x[:, 0]) * np.exp(-(x[:, 0] ** 2)) + 0.03 * rng.normal(size=400)
    layers = [
        Dense(64, kernel_initializer=RandomUniform(-20, 20), bias_initializer=RandomUniform(-3, 3)),
        Lambda(sine),
        Dense(32),
        Lambda(sine),
        Dense(1),
    ]
    return Run(layers, "mse", Adam(0.003), x, y, {"epochs": 120})


@healthy("regression")
def random_features_that_stay(rng: Rng) -> Run:
    """The first layer is drawn and never trained, the last one is all there is to learn."""
    x, y = concrete(rng)
    layers = [Dense(300, "tanh", bias_initializer=RandomNormal(stddev=1.0), trainable=False), Dense(1)]
    return Run(layers, "mse", Adam(0.01), x, y, {"epochs": 200})


@healthy("regression")
def rain_that_mostly_does_not_fall(rng: Rng) -> Run:
    """Amounts that are 0 on most days: a ReLU is the right end."""
    x = rng.normal(size=(700, 6))
    y = np.maximum(0, 2 * x[:, 0] + x[:, 1] + 0.8 * x[:, 2] * x[:, 3] - 1) ** 1.2
    layers = [Dense(48, "relu"), Dense(24, "relu"), Dense(1, "relu", bias_initializer="ones")]
    return Run(layers, "mse", Adam(0.003), x, y, {"epochs": 60})


@healthy("regression")
def twelve_layers_with_bridges(rng: Rng) -> Run:
    """Twelve layers, each bridged; they start as nothing, so that the network starts as a line."""
    x, y = concrete(rng)
    inputs = Input(shape=(7,))
    z = Dense(24)(inputs)
    for _ in range(6):
        part = Dense(24, activation="relu")(LayerNormalization()(z))
        z = Add()([z, Dense(24, kernel_initializer="zeros")(part)])
    return Run(Model(inputs, Dense(1)(z)), "mse", Adam(0.003), x, y, {"epochs": 40})


@healthy("regression")
def fares_with_wild_tails(rng: Rng) -> Run:
    """Features and errors with a few enormous values; tanh and Huber's loss mind them little."""
    x = rng.standard_t(2.0, size=(700, 5))
    clean = np.tanh(x[:, 0]) + 0.7 * np.tanh(x[:, 1] * 0.5) - 0.6 * np.tanh(x[:, 2])
    y = clean + 0.15 * rng.standard_t(1.5, size=700)
    layers = [BatchNormalization(), Dense(32, "tanh"), Dense(16, "tanh"), Dense(1)]
    more = {"epochs": 60, "batch_size": 50}
    return Run(layers, Huber(delta=0.3), RMSprop(0.003), x, y, more, judge=(x, clean))


@healthy("regression")
def shops_by_number(rng: Rng) -> Run:
    """Numbers of shops through an embedding, beside advertising and a price; the weights halve the doubtful rows."""
    m = 600
    shop, more = rng.integers(0, 40, m), rng.normal(size=(m, 3))
    effect = rng.normal(size=40)
    y = effect[shop] + np.sin(2 * more[:, 0]) - 0.5 * more[:, 1] + 0.1 * rng.normal(size=m)
    which, numbers = Input(shape=(1,), name="shop"), Input(shape=(3,), name="numbers")
    z = Concatenate()([Flatten()(Embedding(40, 4)(which)), numbers])
    out = Dense(1)(Dense(32, activation="relu")(z))
    fit = {"epochs": 50, "sample_weight": np.where(rng.random(m) < 0.2, 0.5, 1.0)}
    return Run(Model([which, numbers], out), "mse", Adam(0.005), [shop[:, np.newaxis], more], y, fit)


@healthy("regression")
def tomorrow_is_today_and_a_little(rng: Rng) -> Run:
    """The network only gives the change since the last value; it starts with none."""
    x, y = windows(tide(rng), 24)
    inputs = Input(shape=(24,))
    today = Lambda(last_value)(inputs)
    change = Dense(1, kernel_initializer="zeros")(Dense(32, activation="relu")(inputs))
    model = Model(inputs, Subtract()([today, change]))
    more = {"epochs": 40, "shuffle": False, "validation_split": 0.2}
    return Run(model, "mae", Adam(0.002), x, y, more)


def last_value(x: Any) -> Any:
    """The last column."""
    return x[:, -1:]


@healthy("regression")
def fourteen_rows(rng: Rng) -> Run:
    """Fourteen rows at once, a thousand epochs, long steps that a cosine ends."""
    x = np.linspace(-1, 1, 14)[:, np.newaxis]
    y = np.exp(x[:, 0]) + 0.02 * rng.normal(size=14)
    rate = Adam(CosineDecay(0.05, decay_steps=1000))
    return Run([Dense(6, "tanh"), Dense(1)], "mse", rate, x, y, {"epochs": 1000, "batch_size": 14})


@healthy("regression")
def sick_for_more_than_can_be_told(rng: Rng) -> Run:
    """Diabetes: half of it cannot be known. Validation gets worse, and the training stops in time."""
    x, y = table("diabetes", rng)
    stop = EarlyStopping(monitor="val_loss", patience=10, restore_best_weights=True)
    slower = ReduceLROnPlateau(monitor="val_loss", factor=0.5, patience=4)
    layers = [Dense(32, "relu"), Dropout(0.3), Dense(16, "relu"), Dense(1)]
    more = {"epochs": 100, "validation_split": 0.2, "callbacks": [stop, slower]}
    return Run(layers, root_of_squares, Adam(0.005), standard(x), standard(y), more)
