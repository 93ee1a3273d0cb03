"""Development cases C01 to C13: questions that people asked about networks that did not learn, on data of our own."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.layers import Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from backlit.optimizers import SGD, Adam, RMSprop

from .data import Rng, hot, pictures, standard, table
from .program import Fault, Run, case

Cured = frozenset[str]

_ALWAYS_ONE = Fault((1,), -1, "activation")
_XOR = np.array([[1, 1], [0, 0], [1, 0], [0, 1], [1, 1], [0, 0]], dtype=float)


@case("binary", output=_ALWAYS_ONE)
def c01_softmax_on_one_unit(rng: Rng, cured: Cured) -> Run:
    """Rows of ones and of zeros."""
    y = rng.permutation(np.arange(1000) % 2)
    last = "sigmoid" if "output" in cured else "softmax"
    layers = [Dense(50, "relu"), Dropout(0.2), Dense(50, "relu"), Dropout(0.2), Dense(1, last)]
    x = np.repeat(y[:, np.newaxis], 128, axis=1).astype(float)
    return Run(layers, "binary_crossentropy", RMSprop(1e-3), x, y, {"epochs": 3})


@case(
    "binary",
    output=_ALWAYS_ONE,
    rate=Fault((33, 32, 35), None, "learning_rate"),
    epochs=Fault((36, 33), None, "epochs"),
    extra=(7, 17, 15, 39),
)
def c02_xor_by_softmax(rng: Rng, cured: Cured) -> Run:
    """Six rows, twenty steps of hardly any length, and an output that is 1."""
    last = "sigmoid" if "output" in cured else "softmax"
    layers = [Dense(8, "sigmoid"), Dense(8, "sigmoid"), Dense(1, last)]
    rate = SGD(1.0, momentum=0.9, nesterov=True) if "rate" in cured else SGD(0.001, momentum=0.9, nesterov=True)
    epochs = 2000 if "epochs" in cured else 20
    return Run(layers, "mse", rate, _XOR, np.array([0, 0, 1, 1, 0, 0.0]), {"epochs": epochs})


@case("regression", output=Fault((1, 6), -1, "activation"), scale=Fault((20, 22, 38), None, "x"), extra=(52,))
def c03_softmax_for_numbers(rng: Rng, cured: Cured) -> Run:
    """A plane over numbers up to 10,000."""
    x = rng.uniform(0, 10_000, (3000, 3))
    y = x @ [2.0, 1.0, 0.5] + 2.2
    if "scale" in cured:
        x, y = standard(x), standard(y)
    out = Dense(1) if "output" in cured else Dense(1, "softmax")
    layers = [Dense(3, "tanh"), Dropout(0.1), Dense(2, "tanh"), Dropout(0.1), out]
    return Run(layers, "mse", SGD(0.05, momentum=0.9), x, y, {"epochs": 10})


@case(
    "multi-class",
    truths=[("hidden", "loss", "rate"), ("hidden",), ("rate",)],
    hidden=Fault((13,), 0, "activation"),
    loss=Fault((7,), None, "loss"),
    rate=Fault((32, 40, 41, 47), None, "learning_rate"),
    extra=(17,),
)
def c04_linear_digits(rng: Rng, cured: Cured) -> Run:
    """No activation anywhere, squared error, steps of 3, wide first weights."""
    x, y = pictures(rng, 800)
    hidden = Dense(30, "sigmoid" if "hidden" in cured else None, kernel_initializer="random_normal")
    last = Dense(10, "softmax" if "loss" in cured else None)
    loss = "categorical_crossentropy" if "loss" in cured else "mse"
    return Run([Flatten(), hidden, last], loss, SGD(0.3 if "rate" in cured else 3.0), x, hot(y), {"epochs": 15})


@case("multi-class", output=Fault((3, 41), -1, "activation"), extra=(40,))
def c05_relu_for_classes(rng: Rng, cured: Cured) -> Run:
    """A ReLU before the logarithm."""
    x, y = pictures(rng)
    last = "softmax" if "output" in cured else "relu"
    layers = [
        Conv2D(8, 5, padding="same", activation="relu"),
        MaxPooling2D(),
        Flatten(),
        Dense(64, "relu"),
        Dropout(0.5),
    ]
    return Run([*layers, Dense(10, last)], "categorical_crossentropy", Adam(), x, hot(y), {"epochs": 8})


@case("binary", output=_ALWAYS_ONE, loss=Fault((7,), None, "loss"), extra=(35, 36, 33))
def c06_softmax_and_distance(rng: Rng, cured: Cured) -> Run:
    """One feature, one unit, one distance."""
    y = np.arange(2000) % 2
    x = (2.0 * y + rng.normal(size=2000) * 0.8)[:, np.newaxis]
    last = "sigmoid" if "output" in cured else "softmax"
    loss = "binary_crossentropy" if "loss" in cured else "mae"
    rate = {"batch_size": 50, "epochs": 25}
    return Run([Dense(4, "sigmoid"), Dense(1, last)], loss, RMSprop(0.01), x, y, rate, metrics=["accuracy"])


@case(
    "multi-class",
    truths=[("output",), ("output", "scale")],
    output=Fault((2,), -1, "activation"),
    scale=Fault((20,), None, "x"),
    extra=(50, 17),
)
def c07_sigmoids_for_flowers(rng: Rng, cured: Cured) -> Run:
    """Three exclusive classes as three probabilities."""
    x, y = table("iris", rng)
    x = standard(x) if "scale" in cured else x
    hidden = Dense(4, "relu", kernel_initializer="random_normal")
    layers = [hidden, Dense(3, "softmax" if "output" in cured else "sigmoid")]
    return Run(layers, "categorical_crossentropy", Adam(0.005), x, hot(y), {"epochs": 60, "batch_size": 5})


@case(
    "multi-class",
    truths=[("output", "scale"), ("output", "scale", "hidden")],
    output=Fault((2,), -1, "activation"),
    scale=Fault((20,), None, "x"),
    hidden=Fault((13,), 0, "activation"),
    extra=(33, 35, 36),
)
def c08_grey_values_and_sigmoids(rng: Rng, cured: Cured) -> Run:
    """Grey values 0 to 255 into a first layer without an activation."""
    x, y = table("digits", rng, 1000)
    x = x / 16 if "scale" in cured else np.round(x * 255 / 16)
    layers = [Dense(64, "relu" if "hidden" in cured else None), Dense(50, "relu")]
    layers.append(Dense(10, "softmax" if "output" in cured else "sigmoid"))
    return Run(layers, "categorical_crossentropy", SGD(0.1), x, hot(y), {"epochs": 10})


@case("regression", rate=Fault((32, 40, 37, 41), None, "learning_rate"), extra=(22, 20, 47))
def c09_too_long_steps(rng: Rng, cured: Cured) -> Run:
    """A parabola with rough noise, steps of 0.1."""
    x = np.arange(0, 5, 0.1)[:, np.newaxis]
    y = 5 * x[:, 0] ** 2 + rng.normal(size=50) ** 3
    layers = [Dense(50, "relu"), Dense(30, "relu"), Dense(1)]
    return Run(layers, "mse", SGD(0.001 if "rate" in cured else 0.1), x, y, {"epochs": 300})


@case("regression", scale=Fault((22, 20, 38), None, "y"))
def c10_fourth_powers(rng: Rng, cured: Cured) -> Run:
    """Inputs up to 100, targets up to 10⁸."""
    x = np.arange(-100, 100, 0.5)[:, np.newaxis]
    y = x[:, 0] ** 4
    if "scale" in cured:
        x, y = standard(x), standard(y)
    layers = [Dense(50, "sigmoid"), Dense(50, "elu"), Dense(1)]
    return Run(layers, "mse", Adam(0.005), x, y, {"epochs": 400, "batch_size": 400})


@case("regression", output=Fault((6,), -1, "activation"), extra=(20, 22))
def c11_sigmoid_for_a_parabola(rng: Rng, cured: Cured) -> Run:
    """Targets from 3 to 103."""
    x = np.arange(-10, 10.05, 0.1)[:, np.newaxis]
    layers = [Dense(20, "sigmoid"), Dense(1, None if "output" in cured else "sigmoid")]
    return Run(layers, "mse", SGD(0.003), x, x[:, 0] ** 2 + 3, {"epochs": 1000})


@case(
    "multi-class",
    labels=Fault((10, 7), -1, "y"),
    held=Fault((27,), None, "validation", silent=True),
    extra=(13, 56),
)
def c12_divided_labels(rng: Rng, cured: Cured) -> Run:
    """Labels divided with the pixels; held-out pixels that were not."""
    x, y = table("digits", rng, 800)
    pixels = np.round(x * 255 / 16).reshape(-1, 8, 8, 1)
    small = pixels / 255
    held = (small if "held" in cured else pixels)[600:], y[600:]
    given: Any = y[:600] if "labels" in cured else y[:600] / 255
    layers = [Conv2D(16, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(32, "relu"), Dense(10, "softmax")]
    more = {"epochs": 8, "validation_data": held}
    loss = "sparse_categorical_crossentropy"
    return Run(layers, loss, Adam(0.003), small[:600], given, more, judge=(small[:600], y[:600]))


@case(
    "regression",
    truths=[("rate",), ("epochs",), ("optimizer",)],
    rate=Fault((33, 35), None, "learning_rate"),
    epochs=Fault((36,), None, "epochs"),
    optimizer=Fault((35,), None, "optimizer"),
    extra=(22,),
)
def c13_a_line_in_small_steps(rng: Rng, cured: Cured) -> Run:
    """One linear unit, which is no fault, and steps that end long before the line is reached."""
    x = np.linspace(1, 2, 100)[:, np.newaxis]
    rate: Any = SGD(0.05) if "optimizer" in cured else RMSprop(0.1 if "rate" in cured else 1e-3)
    epochs = 2000 if "epochs" in cured else 200
    return Run([Dense(1)], "mse", rate, x, 5 * x[:, 0], {"epochs": epochs})
