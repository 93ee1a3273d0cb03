"""Development cases C14 to C25."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.layers import BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from backlit.losses import SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam, RMSprop

from .data import Rng, clouds, hot, pictures, standard, table
from .program import Fault, Run, case

Cured = frozenset[str]


@case(
    "multi-class",
    truths=[("rate", "epochs"), ("rate",), ("epochs",)],
    rate=Fault((33, 35), None, "learning_rate"),
    epochs=Fault((36,), None, "epochs"),
)
def c14_five_epochs(rng: Rng, cured: Cured) -> Run:
    """Two squares that are easy to tell apart, given time."""
    y = np.arange(200) % 2
    x = np.where(y[:, np.newaxis] == 1, rng.uniform(0.5, 0.7, (200, 2)), rng.uniform(0.2, 0.4, (200, 2)))
    rate = Adam(0.1 if "rate" in cured else 0.001)
    epochs = 100 if "epochs" in cured else 5
    layers = [Dense(2, "sigmoid"), Dense(2, "softmax")]
    return Run(layers, "categorical_crossentropy", rate, x, hot(y), {"epochs": epochs})


@case(
    "multi-label",
    truths=[("optimizer", "rate"), ("output",), ("width",)],
    optimizer=Fault((35,), None, "optimizer"),
    rate=Fault((33, 36, 35), None, "learning_rate"),
    output=Fault((2, 7, 8), -1, "activation"),
    width=Fault((50,), 0, "units"),
)
def c15_remainders_of_seven(rng: Rng, cured: Cured) -> Run:
    """Bits of a number; up to three bits of its remainder, as if they were one class."""
    x = (rng.permutation(1024)[:, np.newaxis] >> np.arange(10) & 1).astype(float)
    remainder = (x @ 2.0 ** np.arange(10)).astype(np.int64) % 7
    y = np.zeros((1024, 10))
    for bit in range(3):
        y[:, 7 + bit] = remainder >> bit & 1
    out, loss = ("sigmoid", "binary_crossentropy") if "output" in cured else ("softmax", "categorical_crossentropy")
    rate: Any = Adam(0.005) if "optimizer" in cured else SGD(0.3 if "rate" in cured else 0.01)
    wide = 128 if "width" in cured else 20
    layers = [Dense(wide, "relu"), Dense(wide, "relu"), Dense(10, out)]
    return Run(layers, loss, rate, x, y, {"epochs": 40, "batch_size": 50}, judge=(x, y[:, -3:]))


@case(
    "binary",
    truths=[("hidden", "batch"), ("hidden",)],
    hidden=Fault((15, 39, 17), 0, "activation"),
    batch=Fault((31, 36), None, "batch_size"),
    extra=(33, 35, 7),
)
def c16_a_random_bit_of_eight(rng: Rng, cured: Cured) -> Run:
    """All bytes, each with a drawn answer; three sigmoid layers with first weights near 0."""
    x = (np.arange(256)[:, np.newaxis] >> np.arange(8) & 1).astype(float)
    y = rng.integers(0, 2, 256)
    kind, start = ("relu", "he_normal") if "hidden" in cured else ("sigmoid", "random_normal")
    layers = [Dense(64, kind, kernel_initializer=start) for _ in range(2)]
    size = 4 if "batch" in cured else 50
    return Run([*layers, Dense(1, "sigmoid")], "mse", SGD(0.05), x, y, {"epochs": 150, "batch_size": size})


@case(
    "binary",
    truths=[("loss", "optimizer", "epochs"), ("optimizer",), ("epochs",)],
    loss=Fault((7,), None, "loss"),
    optimizer=Fault((35, 33), None, "optimizer"),
    epochs=Fault((36,), None, "epochs"),
    extra=(15, 39),
)
def c17_xor_by_distance(rng: Rng, cured: Cured) -> Run:
    """Four rows, sigmoids, absolute distance."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    rate: Any = Adam(0.05) if "optimizer" in cured else SGD(0.05, momentum=0.11, nesterov=True)
    epochs = 1000 if "epochs" in cured else 300
    layers = [Dense(4, "sigmoid"), Dense(1, "sigmoid")]
    y = np.array([0, 1, 1, 0])
    return Run(layers, "mse" if "loss" in cured else "mae", rate, x, y, {"epochs": epochs, "batch_size": 4})


@case("binary", output=Fault((3, 41), -1, "activation", silent=True))
def c18_relu_for_yes_and_no(rng: Rng, cured: Cured) -> Run:
    """Zeros into a logarithm."""
    x, y = clouds(rng, 1000, 34)
    hidden = [Dense(width, "relu") for width in (128, 64, 64, 32)]
    layers = [*hidden, Dense(1, "sigmoid" if "output" in cured else "relu")]
    return Run(layers, "binary_crossentropy", RMSprop(), x, y, {"epochs": 4, "batch_size": 50})


@case(
    "binary",
    output=Fault((5, 3, 41), -1, "activation"),
    hidden=Fault((15, 39, 17), 0, "activation"),
    extra=(52,),
)
def c19_five_sigmoid_layers(rng: Rng, cured: Cured) -> Run:
    """Sigmoids with first weights near 0, and no probability at the end."""
    x, y = clouds(rng, 800, 28)
    kind, start = ("relu", "he_normal") if "hidden" in cured else ("sigmoid", "random_normal")
    layers: list[Any] = []
    for width in (28, 64, 64, 64, 32):
        layers += [Dense(width, kind, kernel_initializer=start), Dropout(0.1)]
    last = Dense(1, "sigmoid" if "output" in cured else None)
    return Run([*layers[:-1], last], "binary_crossentropy", Adam(), x, y, {"epochs": 12})


@case("regression", hidden=Fault((13,), 0, "activation"))
def c20_three_linear_layers(rng: Rng, cured: Cured) -> Run:
    """A polynomial of degree 5 by what can only be a straight line."""
    x = np.arange(0, 10, 0.05)[:, np.newaxis]
    y = 0.05 * (15.728 * x - 7.274 * x**2 + 1.491 * x**3 - 0.1385 * x**4 + 0.00474 * x**5)[:, 0]
    kind = "tanh" if "hidden" in cured else None
    layers = [Dense(8, kind), Dense(8, kind), Dense(1)]
    return Run(layers, "mae", Adam(0.01), x, y, {"epochs": 100, "batch_size": 10})


@case("multi-class", output=Fault((8, 10, 7, 11), -1, "units"), scale=Fault((20,), None, "x"))
def c21_one_unit_for_ten_classes(rng: Rng, cured: Cured) -> Run:
    """Labels 0 to 9 for one probability; raw pixels."""
    x, y = table("digits", rng, 700)
    x = x / 16 if "scale" in cured else np.round(x * 255 / 16)
    right = "output" in cured
    out = Dense(10, "softmax") if right else Dense(1, "sigmoid")
    loss = "sparse_categorical_crossentropy" if right else "binary_crossentropy"
    layers = [Conv2D(8, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(32, "relu"), out]
    return Run(layers, loss, RMSprop(0.003), x.reshape(-1, 8, 8, 1), y, {"epochs": 8})


@case("binary", output=Fault((8, 9, 11, 2), -1, "loss"))
def c22_two_units_and_the_binary_loss(rng: Rng, cured: Cured) -> Run:
    """Labels (m,), two units, the loss for one."""
    x, y = clouds(rng, 1000, 5)
    loss = "sparse_categorical_crossentropy" if "output" in cured else "binary_crossentropy"
    return Run([Dense(50, "relu"), Dense(2, "softmax")], loss, Adam(0.003), x, y, {"epochs": 10})


@case(
    "multi-class",
    scale=Fault((20,), None, "x"),
    output=Fault((5, 3, 41), -1, "activation"),
    dropout=Fault((52,), 5, "dropout"),
)
def c23_raw_pixels_linear_output_much_dropout(rng: Rng, cured: Cured) -> Run:
    """Three mistakes planted in a convolutional network."""
    x, y = table("digits", rng, 600)
    pixels = np.round(x * 255 / 16).astype(np.uint8).reshape(-1, 8, 8, 1)
    share = 0.2 if "dropout" in cured else 0.8
    layers = [Conv2D(16, 3, activation="relu"), Dropout(share), MaxPooling2D(), Flatten()]
    layers += [Dense(64, "relu"), Dropout(share), Dense(64, "relu"), Dropout(share), Dense(10)]
    given = pixels / 255 if "scale" in cured else pixels
    loss = SparseCategoricalCrossentropy(from_logits="output" in cured)
    return Run(layers, loss, Adam(0.003), given, y, {"epochs": 12})


@case(
    "multi-class",
    hidden=Fault((13,), 0, "activation"),
    rate=Fault((34, 32), None, "learning_rate"),
    held=Fault((26,), None, "validation", silent=True),
)
def c24_negative_steps(rng: Rng, cured: Cured) -> Run:
    """No activations, a negative learning rate, training rows for validation; logits, which are right."""
    x, y = pictures(rng, 700)
    kind = "relu" if "hidden" in cured else None
    layers = [Conv2D(16, 3, activation=kind), Flatten(), Dense(64, kind), Dense(64, kind), Dense(10)]
    held = (x[600:], y[600:]) if "held" in cured else (x[:100], y[:100])
    rate = Adam(1e-3 if "rate" in cured else -1e3)
    more = {"epochs": 8, "validation_data": held}
    return Run(layers, SparseCategoricalCrossentropy(from_logits=True), rate, x[:600], y[:600], more)


@case(
    "multi-class",
    truths=[("output", "scale"), ("output",)],
    output=Fault((8, 7, 10, 11, 1), -1, "units"),
    scale=Fault((20, 27), None, "x"),
)
def c25_one_unit_for_three_flowers(rng: Rng, cured: Cured) -> Run:
    """The scaler's result thrown away, one sigmoid for three classes."""
    x, y = table("iris", rng)
    x = standard(x) if "scale" in cured else x
    right = "output" in cured
    out = Dense(3, "softmax") if right else Dense(1, "sigmoid")
    layers = [Dense(8, "relu"), BatchNormalization(), Dropout(0.1), Dense(8, "relu"), BatchNormalization(), out]
    loss = "sparse_categorical_crossentropy" if right else "categorical_crossentropy"
    return Run(layers, loss, SGD(0.05), x, y, {"epochs": 60, "batch_size": 16})
