"""Programs written last, by somebody who has not read the checks: what people ask about most, on data of their own."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit.initializers import Constant, RandomNormal
from backlit.layers import (
    Activation,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalMaxPooling1D,
    LayerNormalization,
    MaxPooling2D,
    Normalization,
)
from backlit.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam, AdamW, Nadam, RMSprop
from backlit.regularizers import L2

from .data import Rng, hot, pictures, scaled, standard, table
from .program import Fault, Run, healthy, mutant

Cured = frozenset[str]
o = bl.ops


# ---------------------------------------------------------------------- what they learn from
def _kiln(rng: Rng, rows: int = 480) -> tuple[Any, Any]:
    """Five readings in their own units (degrees, hours, per cent, Pa, grams) and the shrinkage in millimetres."""
    z = rng.normal(size=(rows, 5))
    y = 60 + 9 * np.tanh(1.5 * z[:, 0]) + 6 * z[:, 1] * z[:, 2] + 4 * z[:, 3] + 3 * np.abs(z[:, 4])
    return z * [80, 2, 0.05, 9000, 30] + [1050, 9, 0.3, 101_000, 400], y + 0.5 * rng.normal(size=rows)


def _crescents(rng: Rng, rows: int = 500) -> tuple[Any, Any]:
    """Two crescents that lie in each other, and which of them a point is on."""
    y = rng.integers(0, 2, rows)
    t = np.pi * rng.random(rows)
    x = np.stack([np.cos(t), np.sin(t)], axis=1) * (1 - 2 * y)[:, np.newaxis] + y[:, np.newaxis] * [1.0, 0.4]
    return 1.6 * (x - [0.5, 0.2]) + 0.15 * rng.normal(size=x.shape), y


def _pulses(rng: Rng, rows: int = 400, kinds: int = 3, steps: int = 32) -> tuple[Any, Any]:
    """Series (m, steps, 1) that swing slowly, faster or fastest, from any moment on."""
    y = rng.integers(0, kinds, rows)
    t = np.arange(steps) / steps * 2 * np.pi
    x = np.sin((2 + 3 * y)[:, np.newaxis] * t + 6.3 * rng.random((rows, 1))) + 0.3 * rng.normal(size=(rows, steps))
    return x[:, :, np.newaxis], y


def _soils(rng: Rng, rows: int = 600, kinds: int = 6) -> tuple[Any, Any]:
    """Eight scaled measurements and the kind of soil, whose number means nothing."""
    y = rng.integers(0, kinds, rows)
    return rng.normal(size=(kinds, 8))[y] * 1.5 + rng.normal(size=(rows, 8)), y


def _complaints(rng: Rng, rows: int = 500, words: int = 120, count: int = 5) -> tuple[Any, Any]:
    """Bags of words and which of five complaints a letter makes: none, one, or several."""
    y = rng.random((rows, count)) < 0.35
    often = 0.03 + 0.35 * (rng.random((count, words)) < 0.12)
    quiet = np.prod(np.where(y[:, :, np.newaxis], 1 - often, 1.0), axis=1) * 0.97
    return (rng.random((rows, words)) > quiet).astype(np.float64), y.astype(np.float64)


def _letters(rng: Rng, rows: int = 450, length: int = 14) -> tuple[Any, Any]:
    """Words by their numbers; each of four subjects has words of its own."""
    y = rng.integers(0, 4, rows)
    own = 20 * (y[:, np.newaxis] + 1) + rng.integers(0, 20, (rows, length))
    return np.where(rng.random((rows, length)) < 0.35, own, rng.integers(0, 100, (rows, length))), y


def _tide(rng: Rng, rows: int = 420, steps: int = 12) -> tuple[Any, Any]:
    """The last twelve levels of a swinging curve, scaled, and the next one."""
    t = np.arange(rows + steps) * 0.5
    level = np.sin(t) + 0.6 * np.sin(0.37 * t + rng.random()) + 0.05 * rng.normal(size=len(t))
    level = standard(level)
    return np.stack([level[k : k + rows] for k in range(steps)], axis=1), level[steps:]


def _kiln_scaled(rng: Rng, rows: int = 480) -> tuple[Any, Any]:
    x, y = _kiln(rng, rows)
    return standard(x), standard(y)


# ---------------------------------------------------------------------- output, loss, labels
@mutant("multi-label", output=Fault((3, 41, 37), -1, "activation"), extra=(42,))
def z_complaints_behind_a_ramp(rng: Rng, cured: Cured) -> Run:
    """ReLUs as probabilities."""
    x, y = _complaints(rng)
    layers = [Dense(32, "relu"), Dense(5, "sigmoid" if "output" in cured else "relu")]
    return Run(layers, "binary_crossentropy", SGD(0.1, momentum=0.9), x, y, {"epochs": 30})


@mutant("multi-class", output=Fault((4, 19), -1, "activation"))
def z_handwriting_twice_to_shares(rng: Rng, cured: Cured) -> Run:
    """Shares that the loss takes for logits."""
    x, y = pictures(rng, 700)
    layers = [Flatten(), Dense(48, "relu"), Dense(10, None if "output" in cured else "softmax")]
    return Run(layers, SparseCategoricalCrossentropy(from_logits=True), SGD(0.1), x, y, {"epochs": 8})


@mutant("regression", output=Fault((6,), -1, "activation"), extra=(22, 38))
def z_millimetres_by_tanh(rng: Rng, cured: Cured) -> Run:
    """Shrinkage from 35 to 90 from an output that ends at 1."""
    x, y = _kiln(rng)
    out = Dense(1) if "output" in cured else Dense(1, activation="tanh")
    return Run([Dense(32, "relu"), Dense(16, "relu"), out], "mse", Adam(0.02), standard(x), y, {"epochs": 60})


@mutant("regression", output=Fault((6,), -1, "activation"))
def z_tide_without_ebb(rng: Rng, cured: Cured) -> Run:
    """Levels below 0 from a sigmoid, as a layer of its own."""
    x, y = _tide(rng)
    last = Activation("linear" if "output" in cured else "sigmoid")
    layers = [Conv1D(8, 3, activation="relu"), Flatten(), Dense(1), last]
    return Run(layers, "mae", Adam(0.01), x[:, :, np.newaxis], y, {"epochs": 30})


@mutant("binary", loss=Fault((8, 7, 1, 2), None, "loss"))
def z_tumours_as_one_category(rng: Rng, cured: Cured) -> Run:
    """One unit under a loss for several."""
    x, y = scaled("breast_cancer", rng)
    loss = "binary_crossentropy" if "loss" in cured else "categorical_crossentropy"
    layers = [Dense(12, "tanh"), Dense(1, "sigmoid")]
    return Run(layers, loss, RMSprop(0.005), x, y[:, np.newaxis], {"epochs": 12})


@mutant("multi-label", output=Fault((2, 6, 7), -1, "activation"))
def z_complaints_that_share(rng: Rng, cured: Cured) -> Run:
    """Several labels at once from outputs that sum to 1."""
    x, y = _complaints(rng)
    layers = [Dense(40, "relu"), Dense(5, activation="sigmoid" if "output" in cured else "softmax")]
    return Run(layers, BinaryCrossentropy(), Adam(0.005), x, y, {"epochs": 20})


@mutant("multi-label", loss=Fault((2, 7), None, "loss"))
def z_complaints_by_category(rng: Rng, cured: Cured) -> Run:
    """Several labels at once under the loss for exactly one, in a functional model."""
    x, y = _complaints(rng)
    words = bl.Input(shape=(120,))
    inner = Dropout(0.2)(Dense(32, activation="relu")(words))
    model = bl.Model(words, Dense(5, activation="sigmoid")(inner))
    loss = "binary_crossentropy" if "loss" in cured else "categorical_crossentropy"
    return Run(model, loss, Adam(0.004), x, y, {"epochs": 18})


@mutant("multi-class", loss=Fault((11, 7, 8), None, "loss"))
def z_subjects_by_number(rng: Rng, cured: Cured) -> Run:
    """Numbers of classes for the loss of one-hot rows."""
    x, y = _letters(rng)
    layers = [Embedding(100, 12), GlobalAveragePooling1D(), Dense(24, "relu"), Dense(4, "softmax")]
    loss = SparseCategoricalCrossentropy() if "loss" in cured else CategoricalCrossentropy()
    return Run(layers, loss, Adam(0.01), x, y, {"epochs": 25})


@mutant("multi-class", labels=Fault((10, 8), -1, "y"))
def z_soils_counted_from_one(rng: Rng, cured: Cured) -> Run:
    """Six kinds, 1 to 6, and six units."""
    x, y = _soils(rng)
    layers = [Dense(24, "elu"), Dense(6, "softmax")]
    given = y if "labels" in cured else y + 1
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, given, {"epochs": 15}, judge=(x, y))


@mutant("multi-class", kind=Fault((7, 8), None, "loss"))
def z_soils_as_a_number(rng: Rng, cured: Cured) -> Run:
    """The number of the kind, learned as an amount."""
    x, y = _soils(rng)
    last = Dense(6, "softmax") if "kind" in cured else Dense(1)
    loss = "sparse_categorical_crossentropy" if "kind" in cured else "mean_squared_error"
    return Run([Dense(32, "relu"), last], loss, Adam(0.005), x, y, {"epochs": 20})


@mutant("binary", output=Fault((3, 5, 41), -1, "activation"))
def z_pulses_without_a_squash(rng: Rng, cured: Cured) -> Run:
    """A linear unit under the cross-entropy of probabilities."""
    x, y = _pulses(rng, kinds=2)
    last = Dense(1, activation="sigmoid") if "output" in cured else Dense(1)
    layers = [Conv1D(12, 5, activation="relu"), GlobalMaxPooling1D(), Dense(12, "relu"), last]
    return Run(layers, "binary_crossentropy", SGD(0.1), x, y, {"epochs": 20})


@mutant("multi-class", output=Fault((3, 41), -1, "activation"), extra=(40, 38))
def z_soils_by_tanh(rng: Rng, cured: Cured) -> Run:
    """Values from -1 to 1 before the logarithm."""
    x, y = _soils(rng)
    layers = [Dense(24, "relu"), Dense(6, "softmax" if "output" in cured else "tanh")]
    return Run(layers, CategoricalCrossentropy(), SGD(0.1), x, hot(y, 6), {"epochs": 20})


@mutant("binary", output=Fault((1,), -1, "activation"))
def z_forms_always_one(rng: Rng, cured: Cured) -> Run:
    """Softmax over one unit, in a functional model of two inputs that are joined within."""
    x, y = _crescents(rng)
    place = bl.Input(shape=(2,))
    joined = Concatenate()([Dense(16, "relu")(place), Dense(8, "tanh")(place)])
    answer = Dense(1, activation="sigmoid" if "output" in cured else "softmax")(Dense(16, "relu")(joined))
    return Run(bl.Model(place, answer), "binary_crossentropy", Adam(0.01), x, y, {"epochs": 20})


def _squares_of_all(y: Any, p: Any) -> Any:
    return o.mean((y - o.reshape(p, (-1,))) ** 2)


def _squares(y: Any, p: Any) -> Any:
    return o.mean((o.reshape(y, (-1,)) - o.reshape(p, (-1,))) ** 2)


@mutant("regression", loss=Fault((9, 46), None, "pairing"), extra=(45, 50, 47))
def z_kiln_own_squares(rng: Rng, cured: Cured) -> Run:
    """A loss by hand that flattens one of its two."""
    x, y = _kiln_scaled(rng)
    loss = _squares if "loss" in cured else _squares_of_all
    return Run([Dense(24, "relu"), Dense(1)], loss, Adam(0.01), x, y[:, np.newaxis], {"epochs": 30})


# ---------------------------------------------------------------------- steps
@mutant("regression", rate=Fault((32, 37, 40), None, "learning_rate"), extra=(47, 48))
def z_tide_in_leaps(rng: Rng, cured: Cured) -> Run:
    """Adam with steps of 1."""
    x, y = _tide(rng)
    layers = [Dense(32, "relu"), Dense(32, "relu"), Dense(1)]
    return Run(layers, "mse", Adam(learning_rate=0.003 if "rate" in cured else 1.0), x, y, {"epochs": 15})


@mutant("multi-class", rate=Fault((33, 35, 36), None, "learning_rate"), extra=(47,))
def z_handwriting_at_a_crawl(rng: Rng, cured: Cured) -> Run:
    """Plain steps of 0.0001."""
    x, y = pictures(rng, 500)
    layers = [Conv2D(6, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(10, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", SGD(0.2 if "rate" in cured else 1e-4), x, y, {"epochs": 8})


@mutant("regression", rate=Fault((32, 40, 41, 55), None, "reduction"), extra=(37, 47, 48))
def z_kiln_summed_errors(rng: Rng, cured: Cured) -> Run:
    """Squares summed over the batch, with steps for their mean."""
    x, y = _kiln_scaled(rng)
    loss = bl.losses.MeanSquaredError(reduction="sum_over_batch_size" if "rate" in cured else "sum")
    return Run([Dense(32, "tanh"), Dense(1)], loss, SGD(0.1), x, y, {"epochs": 40})


@mutant("binary", momentum=Fault((34, 32, 40, 48), None, "optimizer"), extra=(37, 38, 47))
def z_crescents_on_ice(rng: Rng, cured: Cured) -> Run:
    """Momentum that forgets nothing."""
    x, y = _crescents(rng)
    steps = SGD(0.1, momentum=0.9 if "momentum" in cured else 0.9995)
    return Run([Dense(24, "relu"), Dense(24, "relu"), Dense(1, "sigmoid")], "bce", steps, x, y, {"epochs": 20})


# ---------------------------------------------------------------------- the start
@mutant("multi-class", start=Fault((16,), 0, "initializer"), extra=(42, 39))
def z_soils_from_nothing(rng: Rng, cured: Cured) -> Run:
    """All weights 0, behind a ReLU."""
    x, y = _soils(rng)
    start = "he_normal" if "start" in cured else "zeros"
    layers = [Dense(32, "relu", kernel_initializer=start), Dense(6, "softmax", kernel_initializer=start)]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 15})


@mutant("binary", start=Fault((17, 38, 39), 0, "initializer"), extra=(19,))
def z_tumours_from_far_off(rng: Rng, cured: Cured) -> Run:
    """Weights of 6 where there should be 0.2, behind squashing functions."""
    x, y = scaled("breast_cancer", rng)
    layers = [
        Dense(20, "tanh", kernel_initializer="glorot_normal" if "start" in cured else RandomNormal(stddev=6.0)),
        Dense(20, "tanh", kernel_initializer="glorot_normal" if "start" in cured else RandomNormal(stddev=6.0)),
        Dense(1, "sigmoid"),
    ]
    held = slice(None, None, 2)
    return Run(layers, "bce", SGD(0.01), x[held], y[held], {"epochs": 25}, judge=(x[1::2], y[1::2]))


@mutant("regression", bias=Fault((37, 42, 17, 39), 0, "bias"), extra=(45,))
def z_kiln_deep_below(rng: Rng, cured: Cured) -> Run:
    """ReLUs that start at -12."""
    x, y = _kiln_scaled(rng)
    first = Dense(24, "relu", bias_initializer=Constant(0.0 if "bias" in cured else -12.0))
    return Run([first, Dense(12, "tanh"), Dense(1)], "mse", Adam(0.01), x, y, {"epochs": 30})


# ---------------------------------------------------------------------- scales
@mutant("regression", scale=Fault((20, 38), None, "x"), extra=(35, 37, 39, 45, 47))
def z_kiln_in_raw_units(rng: Rng, cured: Cured) -> Run:
    """Pascals beside shares."""
    x, y = _kiln(rng)
    x = standard(x) if "scale" in cured else x
    return Run([Dense(32, "tanh"), Dense(1)], "mse", Adam(0.01), x, standard(y), {"epochs": 40})


@mutant("multi-class", scale=Fault((21, 20), None, "x"), extra=(33, 35, 36, 39))
def z_handwriting_nearly_black(rng: Rng, cured: Cured) -> Run:
    """Pictures from 0 to 1, divided by 255 once more."""
    x, y = pictures(rng, 600)
    x = x if "scale" in cured else x / 255
    layers = [Flatten(), Dense(40, "relu"), Dense(10, "softmax")]
    return Run(layers, "categorical_crossentropy", SGD(0.1, momentum=0.5), x, hot(y), {"epochs": 12})


@mutant("regression", scale=Fault((22,), None, "y"), extra=(33, 36, 18, 19))
def z_rents_of_a_year(rng: Rng, cured: Cured) -> Run:
    """Targets about 250,000."""
    x, y = _kiln_scaled(rng)
    y = y if "scale" in cured else 250_000 + 60_000 * y
    return Run([Dense(24, "relu"), Dense(24, "relu"), Dense(1)], "mae", Adam(), x, y, {"epochs": 30})


@mutant("multi-class", scale=Fault((20, 27), None, "x"), extra=(35, 36, 33))
def z_wines_scaled_as_a_whole(rng: Rng, cured: Cured) -> Run:
    """One mean and one standard deviation for thirteen units: the axis is missing."""
    x, y = table("wine", rng)
    x = standard(x) if "scale" in cured else (x - x.mean()) / x.std()
    layers = [Dense(16, "relu"), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 20, "batch_size": 16})


# ---------------------------------------------------------------------- between the layers
@mutant("binary", hidden=Fault((13,), 0, "activation"), extra=(50,))
def z_quarters_by_a_ruler(rng: Rng, cured: Cured) -> Run:
    """Three layers that are one."""
    rows = rng.choice([-1.0, 1.0], (480, 2)) + 0.3 * rng.normal(size=(480, 2))
    y = (rows[:, 0] * rows[:, 1] > 0).astype(int)
    bend = "tanh" if "hidden" in cured else None
    layers = [Dense(16, activation=bend), Dense(16, activation=bend), Dense(1, activation="sigmoid")]
    return Run(layers, "binary_crossentropy", "adam", rows, y, {"epochs": 30})


@mutant("multi-class", hidden=Fault((15, 39), 0, "activation"), extra=(35, 47, 36, 33))
def z_soils_through_seven_sigmoids(rng: Rng, cured: Cured) -> Run:
    """Seven sigmoids, one behind the other."""
    x, y = _soils(rng)
    layers = [Dense(24, "relu" if "hidden" in cured else "sigmoid") for _ in range(7)]
    return Run([*layers, Dense(6, "softmax")], "sparse_categorical_crossentropy", SGD(0.1), x, y, {"epochs": 20})


@mutant("multi-class", frozen=Fault((42,), 0, "trainable"), extra=(50,))
def z_soils_through_a_frozen_gate(rng: Rng, cured: Cured) -> Run:
    """Two hidden units that never learn."""
    x, y = _soils(rng)
    gate = Dense(2, "tanh", trainable="frozen" in cured)
    layers = [gate, Dense(32, "relu"), Dense(6, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 30})


# ---------------------------------------------------------------------- how it is trained
@mutant("multi-label", epochs=Fault((36, 33), None, "epochs"))
def z_complaints_in_a_hurry(rng: Rng, cured: Cured) -> Run:
    """Two passes."""
    x, y = _complaints(rng)
    layers = [Dense(32, "relu"), Dense(5, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(), x, y, {"epochs": 40 if "epochs" in cured else 2})


@mutant("regression", weights=Fault((51,), 0, "regularizer"))
def z_tide_on_a_leash(rng: Rng, cured: Cured) -> Run:
    """A penalty that outweighs the error."""
    x, y = _tide(rng)
    strong = L2(1e-5 if "weights" in cured else 0.5)
    layers = [Dense(24, "relu", kernel_regularizer=strong), Dense(1, kernel_regularizer=strong)]
    return Run(layers, "mse", Adam(0.01), x, y, {"epochs": 20})


@mutant("multi-class", dropped=Fault((52,), 1, "dropout"), extra=(36, 50))
def z_subjects_mostly_forgotten(rng: Rng, cured: Cured) -> Run:
    """Of twelve units one is kept, on average, twice."""
    x, y = _letters(rng)
    share = 0.1 if "dropped" in cured else 0.95
    layers = [Embedding(100, 16), Dropout(share), GlobalAveragePooling1D(), Dense(16, "relu"), Dropout(share)]
    layers.append(Dense(4, "softmax"))
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 15})


@mutant("multi-label", order=Fault((28, 29), None, "y"), extra=(50, 49, 47))
def z_complaints_of_others(rng: Rng, cured: Cured) -> Run:
    """Letters shuffled, their labels not."""
    x, y = _complaints(rng)
    given = y if "order" in cured else y[rng.permutation(len(y))]
    layers = [Dense(24, "relu"), Dense(5, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.005), x, given, {"epochs": 15}, judge=(x, y))


@mutant("regression", order=Fault((28,), None, "y"), extra=(50, 47))
def z_two_readings_reshaped(rng: Rng, cured: Cured) -> Run:
    """Two rows of targets made two columns by reshape, where a transpose was meant."""
    x, y = _kiln_scaled(rng)
    both = np.stack([y, standard(x[:, 0] * x[:, 3] + x[:, 1])])
    given = both.T if "order" in cured else both.reshape(-1, 2)
    return Run([Dense(32, "relu"), Dense(2)], "mse", Adam(0.01), x, given, {"epochs": 30}, judge=(x, both.T))


@mutant("binary", rare=Fault((25,), None, "y"), extra=(18, 36))
def z_faults_in_a_hundred(rng: Rng, cured: Cured) -> Run:
    """Three of a hundred parts are faulty, and none is told."""
    x = rng.normal(size=(900, 6))
    y = np.zeros(900, dtype=int)
    y[np.argsort(x @ [1.0, 0.8, -0.6, 0.0, 0.0, 0.0] + 0.8 * rng.normal(size=900))[-30:]] = 1
    more: dict[str, Any] = {"epochs": 12}
    if "rare" in cured:
        more["class_weight"] = {0: 1.0, 1: 30.0}
    return Run([Dense(8, "relu"), Dense(1, "sigmoid")], "binary_crossentropy", Adam(0.003), x, y, more)


@mutant("multi-class", held=Fault((26,), None, "validation", silent=True))
def z_wines_tested_on_their_own(rng: Rng, cured: Cured) -> Run:
    """Held-out rows that are rows of the training."""
    x, y = scaled("wine", rng)
    part = slice(120, None) if "held" in cured else slice(60, 118)
    more = {"epochs": 25, "batch_size": 16, "validation_data": (x[part], y[part])}
    layers = [Dense(16, "relu"), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x[:120], y[:120], more)


# ---------------------------------------------------------------------- nothing is wrong
@healthy("regression")
def z_counts_of_visitors(rng: Rng) -> Run:
    """Counts from an exponential under Poisson's loss."""
    x = rng.normal(size=(500, 4))
    y = rng.poisson(np.exp(1.2 + 0.5 * x[:, 0] - 0.4 * x[:, 1] + 0.3 * np.sin(2 * x[:, 2]))).astype(float)
    return Run([Dense(24, "relu"), Dense(1, "exponential")], "poisson", Adam(0.01), x, y, {"epochs": 30})


@healthy("regression")
def z_shares_of_sunshine(rng: Rng) -> Run:
    """Shares from 0 to 1: a sigmoid and squares fit."""
    x = rng.normal(size=(400, 5))
    y = 1 / (1 + np.exp(-x[:, 0] + x[:, 1] * x[:, 2])) * 0.9 + 0.1 * rng.random(400)
    return Run([Dense(24, "tanh"), Dense(1, "sigmoid")], "mse", Adam(0.01), x, y, {"epochs": 40})


@healthy("regression")
def z_digits_through_a_waist(rng: Rng) -> Run:
    """Pictures back to pictures through twelve numbers."""
    x = pictures(rng, 600)[0].reshape(-1, 64)
    layers = [Dense(48, "relu"), Dense(12), Dense(48, "relu"), Dense(64, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.005), x, x, {"epochs": 30})


def _pinball(y: Any, p: Any) -> Any:
    return o.mean(o.maximum(0.5 * (y - p), 0.5 * (p - y)), axis=-1)


@healthy("regression")
def z_kiln_by_the_median(rng: Rng) -> Run:
    """A loss of one's own, and a layer that scales the raw units."""
    x, y = _kiln(rng)
    scale = Normalization()
    scale.adapt(x)
    layers = [scale, Dense(48, "relu"), Dense(24, "relu"), Dense(1)]
    return Run(layers, _pinball, Nadam(0.01), x, standard(y)[:, np.newaxis], {"epochs": 40})


@healthy("binary")
def z_crescents_two_ways(rng: Rng) -> Run:
    """Two units and one-hot rows for yes and no."""
    x, y = _crescents(rng)
    layers = [Dense(24, "relu"), Dense(24, "relu"), Dense(2, "softmax")]
    return Run(layers, "categorical_crossentropy", Adam(0.01), x, hot(y, 2), {"epochs": 30})


@healthy("binary")
def z_tumours_with_a_margin(rng: Rng) -> Run:
    """-1 and 1, a linear unit and the hinge."""
    x, y = scaled("breast_cancer", rng)
    last = Dense(1, kernel_regularizer=L2(1e-3))
    return Run([Dense(12, "tanh"), last], "hinge", SGD(0.05), x, 2.0 * y - 1, {"epochs": 20})


@healthy("binary")
def z_crescents_in_one_batch(rng: Rng) -> Run:
    """All rows at once, with long steps, in a functional model with a way around."""
    x, y = _crescents(rng)
    place = bl.Input(shape=(2,))
    inner = Dense(24, "tanh")(place)
    joined = Concatenate()([Dense(24, "relu")(inner), place])
    model = bl.Model(place, Dense(1, "sigmoid")(joined))
    return Run(model, BinaryCrossentropy(), Adam(0.03), x, y.astype(float), {"epochs": 150, "batch_size": 500})


@healthy("multi-class")
def z_pulses_by_ear(rng: Rng) -> Run:
    """Logits, batch normalisation without biases before it, and AdamW."""
    x, y = _pulses(rng)
    layers = [Conv1D(12, 7, use_bias=False), BatchNormalization(), Activation("relu"), GlobalMaxPooling1D(), Dense(3)]
    loss = SparseCategoricalCrossentropy(from_logits=True)
    return Run(layers, loss, AdamW(0.01, weight_decay=1e-3), x, y, {"epochs": 25, "batch_size": 16})


@healthy("multi-class")
def z_subjects_of_letters(rng: Rng) -> Run:
    """Words that are looked up and averaged."""
    x, y = _letters(rng)
    layers = [Embedding(100, 16), GlobalAveragePooling1D(), Dense(4, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.02), x, y, {"epochs": 30})


@healthy("multi-class")
def z_soils_by_chance_features(rng: Rng) -> Run:
    """Many random features that are left as they are, on purpose, and an output that learns."""
    x, y = _soils(rng)
    layers = [Dense(250, "tanh", trainable=False, kernel_initializer="lecun_normal"), Dense(6, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 20})


@healthy("multi-class")
def z_handwriting_deep_and_normal(rng: Rng) -> Run:
    """Six layers, each normalised, with one-hot rows that are smoothed."""
    x, y = pictures(rng, 500)
    layers: list[Any] = [Flatten()]
    for _ in range(4):
        layers += [Dense(32, "relu", kernel_initializer="he_normal"), LayerNormalization()]
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return Run([*layers, Dense(10)], loss, Adam(0.005), x, hot(y), {"epochs": 15})


@healthy("multi-label")
def z_complaints_by_logits(rng: Rng) -> Run:
    """Five logits, and strong dropout in a wide layer."""
    x, y = _complaints(rng)
    layers = [Dense(128, "relu"), Dropout(0.5), Dense(5)]
    return Run(layers, BinaryCrossentropy(from_logits=True), Adam(0.003), x, y, {"epochs": 25})


@healthy("multi-label")
def z_complaints_straight(rng: Rng) -> Run:
    """No hidden layer: words add up."""
    x, y = _complaints(rng)
    return Run([Dense(5, "sigmoid")], "binary_crossentropy", RMSprop(0.02), x, y, {"epochs": 30})


@healthy("multi-label")
def z_alarms_of_three_gauges(rng: Rng) -> Run:
    """Series and three alarms, of which one is rare."""
    x = rng.normal(size=(500, 16, 3)).cumsum(axis=1) / 4
    y = (x.max(axis=1) > [0.8, 0.6, 1.4]).astype(np.float64)
    layers = [GlobalMaxPooling1D(), Dense(16, "relu"), Dense(3, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.02), x, y, {"epochs": 30})
