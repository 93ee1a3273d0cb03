"""Faulty programs that tell classes apart, by somebody who had not read the checks, and the data that they are drawn from."""

from __future__ import annotations

from typing import Any

import numpy as np
from backlit.optimizers.schedules import ExponentialDecay

import backlit as bl
from backlit.callbacks import EarlyStopping
from backlit.initializers import Constant
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
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    Lambda,
    MaxPooling1D,
    MaxPooling2D,
    Softmax,
)
from backlit.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam, RMSprop
from backlit.regularizers import L2

from .data import Rng, bags, hot, pictures, scaled, standard, table
from .program import Fault, Run, mutant

o = bl.ops
Cured = frozenset[str]


# ---------------------------------------------------------------------- data
def waves(rng: Rng, rows: int = 480, length: int = 48) -> tuple[Any, Any]:
    """Sines, squares, saw teeth and pairs of tones (m, length, 1) with noise, of any phase and about the same pitch."""
    y = rng.integers(0, 4, rows)
    turns = rng.uniform(3, 5, (rows, 1)) * np.linspace(0, 1, length) + rng.random((rows, 1))
    sine, saw = np.sin(2 * np.pi * turns), 2 * (turns % 1) - 1
    kinds = np.stack([sine, np.sign(sine), saw, 0.6 * sine + 0.6 * np.sin(6.3 * np.pi * turns)])
    return (kinds[y, np.arange(rows)] + 0.15 * rng.normal(size=(rows, length)))[..., np.newaxis], y


def stripes(rng: Rng, rows: int = 400, size: int = 10) -> tuple[Any, Any]:
    """Grey pictures (m, size, size, 1) from 0 to 1 of stripes in four directions, and the direction."""
    y = rng.integers(0, 4, rows)
    across, down = np.array([[1, 0], [0, 1], [0.7, 0.7], [0.7, -0.7]])[y].T[..., np.newaxis, np.newaxis]
    line, column = np.mgrid[:size, :size]
    phase = 2 * np.pi * rng.random((rows, 1, 1))
    grey = 0.5 + 0.3 * np.sin(1.5 * (across * column + down * line) + phase) + 0.1 * rng.normal(size=(rows, size, size))
    return np.clip(grey, 0, 1)[..., np.newaxis], y


def sentences(rng: Rng, rows: int = 500, words: int = 60, length: int = 14, topics: int = 4) -> tuple[Any, Any]:
    """Numbers of words (m, length); three of each sentence are from the ten that belong to its topic."""
    y = rng.integers(0, topics, rows)
    x = rng.integers(10 * topics, words, (rows, length))
    places = rng.permuted(np.tile(np.arange(length), (rows, 1)), axis=1)[:, :3]
    np.put_along_axis(x, places, 10 * y[:, np.newaxis] + rng.integers(0, 10, (rows, 3)), axis=1)
    return x, y


def strands(rng: Rng, rows: int = 480, length: int = 36) -> tuple[Any, Any]:
    """One-hot letters (m, length, 4) with one of four drawn words of six letters somewhere in them."""
    y = rng.integers(0, 4, rows)
    word = rng.integers(0, 4, (4, 6))
    letters = rng.integers(0, 4, (rows, length))
    place = rng.integers(0, length - 6, (rows, 1)) + np.arange(6)
    np.put_along_axis(letters, place, word[y], axis=1)
    return np.eye(4)[letters], y


def spirals(rng: Rng, rows: int = 600, arms: int = 3) -> tuple[Any, Any]:
    """Points in the plane on so many arms of a spiral."""
    y = rng.integers(0, arms, rows)
    far = rng.uniform(0.15, 1, rows)
    angle = 2 * np.pi * y / arms + 4 * far + 0.12 * rng.normal(size=rows)
    return 1.5 * np.stack([far * np.cos(angle), far * np.sin(angle)], axis=1), y


def rings(rng: Rng, rows: int = 500) -> tuple[Any, Any]:
    """Points in a square, and whether each lies on a broad ring."""
    x = rng.uniform(-1.5, 1.5, (rows, 2))
    return x, (np.abs(np.hypot(*x.T) - 1) < 0.3).astype(float)


def customers(rng: Rng, rows: int = 600) -> tuple[Any, Any]:
    """Age, income, balance, visits, share of returns and membership in their own units, and three kinds of customers."""
    age, income = rng.uniform(18, 80, rows), rng.lognormal(10.4, 0.5, rows)
    balance, visits = 4000 * rng.normal(size=rows), rng.poisson(6, rows)
    returns, member = rng.beta(2, 6, rows), rng.integers(0, 2, rows)
    worth = (np.log(income) - 10.4) * 2 + (visits - 6) / 3 + member * balance / 4000 - 3 * (returns - 0.25)
    worth -= ((age - 50) / 20) ** 2 / 2
    x = np.stack([age, income, balance, visits, returns, member], axis=1)
    return x, np.searchsorted(np.quantile(worth, [1 / 3, 2 / 3]), worth)


def parts(rng: Rng, rows: int = 900, shares: tuple[float, ...] = (0.86, 0.09, 0.05)) -> tuple[Any, Any]:
    """Eight measurements of good parts and of rare kinds of bad ones; the kinds overlap somewhat."""
    y = rng.choice(len(shares), rows, p=shares)
    centres = 1.9 * np.eye(8)[: len(shares)]
    return centres[y] + 0.8 * rng.normal(size=(rows, 8)), y


# ---------------------------------------------------------------------- output, loss, labels
@mutant("multi-class", output=Fault((1, 45, 42, 57), 3, "activation"), extra=(47,))
def waves_softmax_along_time(rng: Rng, cured: Cured) -> Run:
    """The softmax goes along the time axis, and its mean over time is then the same for every signal."""
    x, y = waves(rng)
    last = Softmax() if "output" in cured else Softmax(axis=1)
    layers = [Conv1D(16, 7, activation="relu"), MaxPooling1D(2), Conv1D(4, 5), last, GlobalAveragePooling1D()]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.02), x, y, {"epochs": 25})


@mutant("multi-class", labels=Fault((10, 8), -1, "y"))
def customers_graded_from_three(rng: Rng, cured: Cured) -> Run:
    """Grades 3, 4 and 5 for three outputs."""
    x, y = customers(rng)
    x = standard(x)
    layers = [Dense(32, "elu"), Dense(16, "elu"), Dense(3, "softmax")]
    given = y if "labels" in cured else y + 3
    return Run(layers, "sparse_categorical_crossentropy", "nadam", x, given, {"epochs": 80}, judge=(x, y))


@mutant("multi-class", loss=Fault((11, 8), -1, "loss"))
def strands_hot_rows_for_the_sparse_loss(rng: Rng, cured: Cured) -> Run:
    """Labels were made one-hot, the loss looks labels up."""
    x, y = strands(rng)
    layers = [Conv1D(24, 6, activation="relu"), GlobalMaxPooling1D(), Dropout(0.1), Dense(4), Activation("softmax")]
    loss = "categorical_crossentropy" if "loss" in cured else "sparse_categorical_crossentropy"
    return Run(layers, loss, Adam(0.01), x, hot(y), {"epochs": 15, "batch_size": 24}, metrics=["accuracy"])


@mutant("binary", output=Fault((3, 41), -1, "activation"))
def shops_by_two_branches_tanh(rng: Rng, cured: Cured) -> Run:
    """Numbers and the number of a shop, joined; a tanh where the loss wants a probability."""
    x, shop = rng.normal(size=(600, 6)), rng.integers(0, 12, (600, 1))
    taste = rng.normal(size=(12, 6))
    y = ((x * taste[shop[:, 0]]).sum(axis=1) > 0.3).astype(int)
    numbers, place = bl.Input((6,)), bl.Input((1,), dtype="int32")
    known = Flatten()(Embedding(12, 6)(place))
    joined = Concatenate()([Dense(24, "relu")(numbers), known])
    hidden = Dense(32, "relu")(Dense(32, "relu")(joined))
    out = Dense(1, "sigmoid" if "output" in cured else "tanh")(hidden)
    return Run(bl.Model([numbers, place], out), "binary_crossentropy", Adam(0.01), [x, shop], y, {"epochs": 20})


@mutant("multi-class", output=Fault((3, 5, 41), -1, "activation"))
def stripes_by_log_probabilities(rng: Rng, cured: Cured) -> Run:
    """Logarithms of probabilities, as another library's loss wants them."""
    x, y = stripes(rng)
    last = "softmax" if "output" in cured else "log_softmax"
    layers = [
        Conv2D(8, 3, activation="relu"),
        MaxPooling2D(),
        Conv2D(12, 3, activation="relu"),
        GlobalAveragePooling2D(),
    ]
    return Run([*layers, Dense(4, last)], CategoricalCrossentropy(), Adam(0.02), x, hot(y), {"epochs": 20})


def _shares(z: Any) -> Any:
    e = o.exp(z - o.max(z, axis=1, keepdims=True))
    return e / o.sum(e, axis=1, keepdims=True)


@mutant("multi-class", output=Fault((4,), -1, "activation"), extra=(36, 33, 35))
def digits_shares_taken_for_logits(rng: Rng, cured: Cured) -> Run:
    """A softmax by hand, and a loss that makes another one."""
    x, y = pictures(rng, 900)
    layers = [Flatten(), Dense(48, "relu"), Dense(10), Lambda(_shares)]
    loss = SparseCategoricalCrossentropy(from_logits="output" not in cured)
    return Run(layers, loss, SGD(0.1, momentum=0.5), x, y, {"epochs": 12})


@mutant("binary", output=Fault((42, 47), -1, "activation"), extra=(7,))
def parts_rounded_before_the_loss(rng: Rng, cured: Cured) -> Run:
    """Answers are rounded to 0 and 1 in the model, so no derivative comes back."""
    x, y = parts(rng, 600, (0.5, 0.5))
    layers: list[Any] = [Dense(16, "relu"), Dense(1, "sigmoid")]
    if "output" not in cured:
        layers.append(Lambda(o.round))
    return Run(layers, "mean_squared_error", Adam(0.01), x, y[:, np.newaxis], {"epochs": 15})


@mutant("multi-class", labels=Fault((7, 8), -1, "loss"))
def bags_topics_as_amounts(rng: Rng, cured: Cured) -> Run:
    """One unit is to give the number of the topic, as if the third lay between the second and the fourth."""
    x, y = bags(rng, 900)
    right = "labels" in cured
    last, loss = (Dense(8, "softmax"), "sparse_categorical_crossentropy") if right else (Dense(1, "softplus"), "mse")
    layers = [Dense(32, "relu"), Dropout(0.3), Dense(16, "relu"), last]
    return Run(layers, loss, Adam(0.005), x[:600], y[:600], {"epochs": 15}, judge=(x[600:], y[600:]))


def _without_minus(y: Any, p: Any) -> Any:
    return o.sum(y * o.log(p + 1e-6), axis=-1)


def _with_minus(y: Any, p: Any) -> Any:
    return -o.sum(y * o.log(p + 1e-6), axis=-1)


@mutant("multi-class", loss=Fault((7, 19, 58), None, "loss"), extra=(38, 47))
def wine_cross_entropy_without_its_minus(rng: Rng, cured: Cured) -> Run:
    """A loss by hand that is smallest where every answer is wrong."""
    x, y = scaled("wine", rng)
    layers = [Dense(20, "tanh"), Dense(3, "softmax")]
    loss = _with_minus if "loss" in cured else _without_minus
    return Run(layers, loss, RMSprop(0.005), x, hot(y), {"epochs": 30})


@mutant("multi-class", output=Fault((46, 4, 1), -1, "activation"), extra=(47, 58))
def spirals_softmax_down_the_batch(rng: Rng, cured: Cured) -> Run:
    """Each column of the output sums to 1 over the examples of a batch; asked about one arm alone, it fails."""
    x, y = spirals(rng)
    last = Lambda(o.softmax, arguments={"axis": -1 if "output" in cured else 0})
    layers = [Dense(40, "relu"), Dense(40, "relu"), Dense(3), last]
    alone = x[y == 1], y[y == 1]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 40}, judge=alone)


@mutant("multi-class", output=Fault((57, 8, 9), -1, "units"))
def sentences_without_pooling(rng: Rng, cured: Cured) -> Run:
    """Every word gets an answer, every sentence has one label."""
    x, y = sentences(rng)
    pool = [GlobalAveragePooling1D()] if "output" in cured else []
    layers = [Embedding(60, 12), *pool, Dense(24, "relu"), Dense(4, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 15})


@mutant(
    "multi-class",
    truths=[("output", "scale"), ("output",)],
    output=Fault((2,), -1, "activation"),
    scale=Fault((20,), None, "x"),
)
def stripes_of_bytes_and_four_yes_or_no(rng: Rng, cured: Cured) -> Run:
    """Grey values up to 255, and four independent probabilities for exclusive directions."""
    x, y = stripes(rng)
    x = x if "scale" in cured else np.round(255 * x)
    last = Activation("softmax" if "output" in cured else "sigmoid")
    layers = [Conv2D(8, 3), Activation("relu"), MaxPooling2D(), Flatten(), Dense(32, "relu"), Dense(4), last]
    return Run(layers, "categorical_crossentropy", SGD(0.05, momentum=0.9), x, hot(y), {"epochs": 15})


def coloured(rng: Rng, rows: int = 420) -> tuple[Any, Any, Any]:
    """Stripes (m, 10, 10, 3) in one of three colours, their colour and their direction."""
    x, direction = stripes(rng, rows)
    colour = rng.integers(0, 3, rows)
    return x * (0.25 + 0.75 * np.eye(3)[colour])[:, np.newaxis, np.newaxis], colour, direction


@mutant("multi-class", output=Fault((3, 41), -1, "activation"))
def stripes_with_two_heads_one_of_relu(rng: Rng, cured: Cured) -> Run:
    """The head for the colour is right, the one for the direction ends in ReLUs."""
    x, colour, direction = coloured(rng)
    given = bl.Input((10, 10, 3))
    seen = Flatten()(MaxPooling2D()(Conv2D(12, 3, activation="relu")(given)))
    seen = Dense(32, "relu")(seen)
    first = Dense(3, "softmax", name="colour")(seen)
    second = Dense(4, "softmax" if "output" in cured else "relu", name="direction")(seen)
    losses = ["sparse_categorical_crossentropy", "categorical_crossentropy"]
    return Run(
        bl.Model(given, [first, second]),
        losses,
        Adam(0.005),
        x,
        [colour, hot(direction)],
        {"epochs": 12},
        judge=(x, direction),
        answer=lambda p: p[1],
    )


@mutant("binary", output=Fault((1,), -1, "activation"))
def tumour_wide_and_deep_softmax(rng: Rng, cured: Cured) -> Run:
    """The inputs go around the hidden layers as well, and both come together in one unit with a softmax."""
    x, y = scaled("breast_cancer", rng, 400)
    given = bl.Input((x.shape[1],))
    deep = Dense(10, "selu")(Dense(20, "selu")(given))
    both = Dense(1)(Concatenate()([given, deep]))
    out = Activation("sigmoid" if "output" in cured else "softmax")(both)
    return Run(bl.Model(given, out), "binary_crossentropy", Adam(0.003), x, y, {"epochs": 15, "batch_size": 25})


@mutant("multi-class", output=Fault((5, 3, 41), -1, "activation"))
def bags_without_a_softmax(rng: Rng, cured: Cured) -> Run:
    """Eight plain sums, and a loss that takes their logarithm."""
    x, y = bags(rng)
    last = [Softmax()] if "output" in cured else []
    layers = [Dropout(0.2), Dense(32, "gelu"), Dense(8), *last]
    return Run(layers, "categorical_crossentropy", "adam", x, hot(y), {"epochs": 15})


@mutant("multi-class", labels=Fault((29, 28, 10), None, "y"))
def sentences_of_two_files_with_two_codes(rng: Rng, cured: Cured) -> Run:
    """The second export of the same sentences numbered the topics in another order."""
    x, y = sentences(rng, 320)
    again = y if "labels" in cured else (y + 1) % 4
    layers = [Embedding(60, 10), Conv1D(16, 1, activation="relu"), GlobalMaxPooling1D(), Dense(4)]
    loss = SparseCategoricalCrossentropy(from_logits=True)
    both = np.concatenate([x, x]), np.concatenate([y, again])
    return Run(layers, loss, Adam(0.01), *both, {"epochs": 12}, judge=(x, y))


@mutant("multi-class", output=Fault((14, 37), -2, "activation"), extra=(47, 4))
def digits_relu_before_softmax(rng: Rng, cured: Cured) -> Run:
    """The last sums cannot be negative, so whole classes may never be said."""
    x, y = pictures(rng, 800)
    layers = [Conv2D(8, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(12, "relu")]
    last = [Dense(10, None if "output" in cured else "relu"), Softmax()]
    rate = SGD(0.1, momentum=0.9, nesterov=True)
    return Run([*layers, *last], "sparse_categorical_crossentropy", rate, x, y, {"epochs": 12})


@mutant("binary", labels=Fault((10, 7), -1, "y"))
def rings_minus_one_for_outside(rng: Rng, cured: Cured) -> Run:
    """Labels of a support vector machine, -1 and 1, for a probability."""
    x, y = rings(rng)
    layers = [Dense(24, "tanh"), Dense(24, "tanh"), Dense(1), Activation("sigmoid")]
    given = y if "labels" in cured else 2 * y - 1
    return Run(layers, "binary_crossentropy", Adam(0.02), x, given, {"epochs": 80}, judge=(x, y))


@mutant("multi-class", output=Fault((3, 5), -1, "activation"), extra=(47,))
def strands_positive_but_no_shares(rng: Rng, cured: Cured) -> Run:
    """Softplus gives positive numbers that may all grow, and the divergence likes that."""
    x, y = strands(rng)
    last = "softmax" if "output" in cured else "softplus"
    layers = [Conv1D(24, 6, activation="relu"), GlobalMaxPooling1D(), Dense(16, "relu"), Dense(4, last)]
    return Run(layers, "kl_divergence", Adam(0.01), x, hot(y), {"epochs": 15})


@mutant("multi-class", output=Fault((3, 53, 52), -1, "activation"), extra=(41, 47))
def wine_normalised_after_the_softmax(rng: Rng, cured: Cured) -> Run:
    """A batch normalisation behind every layer, behind the softmax, too."""
    x, y = scaled("wine", rng)
    layers: list[Any] = [Dense(16, "relu"), BatchNormalization(momentum=0.9), Dense(3, "softmax")]
    if "output" not in cured:
        layers.append(BatchNormalization(momentum=0.9))
    return Run(layers, "categorical_crossentropy", SGD(0.1), x, hot(y), {"epochs": 20})


@mutant("multi-class", hidden=Fault((39, 38, 14, 15), 1, "activation"), extra=(33, 35, 36, 47))
def digits_softmax_in_every_layer(rng: Rng, cured: Cured) -> Run:
    """The activation of the last layer was copied to all others."""
    x, y = pictures(rng, 800)
    kind = "relu" if "hidden" in cured else "softmax"
    layers = [Flatten(), Dense(40, kind), Dense(40, kind), Dense(10, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 15})


# ---------------------------------------------------------------------- data, structure, steps
@mutant("multi-class", weights=Fault((25,), None, "y"))
def parts_weighted_upside_down(rng: Rng, cured: Cured) -> Run:
    """Weights in proportion to how frequent a class is, where the inverse was meant."""
    x, y = parts(rng)
    often = np.bincount(y) / len(y)
    weights = 1 / often if "weights" in cured else often
    more = {"epochs": 25, "class_weight": {k: float(w / weights.mean()) for k, w in enumerate(weights)}}
    return Run([Dense(12, "relu"), Dense(3, "softmax")], "sparse_categorical_crossentropy", Adam(0.005), x, y, more)


@mutant("multi-class", order=Fault((30,), None, "validation"))
def strands_sorted_with_a_tail(rng: Rng, cured: Cured) -> Run:
    """Rows stand class by class, and the last quarter is kept for validation: all of the last class."""
    x, y = strands(rng)
    order = rng.permutation(len(y)) if "order" in cured else np.argsort(y, kind="stable")
    layers = [Conv1D(24, 6, activation="relu"), GlobalMaxPooling1D(), Dense(4, "softmax")]
    more = {"epochs": 20, "validation_split": 0.25}
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x[order], y[order], more, metrics=["accuracy"])


@mutant(
    "multi-class",
    penalty=Fault((51,), 0, "regularizer"),
    dropout=Fault((52,), 1, "dropout"),
    truths=[("penalty", "dropout"), ("penalty",)],
    extra=(47,),
)
def bags_held_down_twice(rng: Rng, cured: Cured) -> Run:
    """A penalty that outweighs the loss, and nine of ten units left out."""
    x, y = bags(rng)
    penalty = L2(1e-4 if "penalty" in cured else 0.5)
    layers = [
        Dense(40, "relu", kernel_regularizer=penalty),
        Dropout(0.2 if "dropout" in cured else 0.9),
        Dense(8, "softmax", kernel_regularizer=penalty),
    ]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 15})


@mutant("multi-class", frozen=Fault((42,), 0, "units"), extra=(50, 47))
def digits_frozen_before_they_learnt(rng: Rng, cured: Cured) -> Run:
    """The body is frozen as for transfer learning, but its weights were never loaded from anywhere."""
    x, y = pictures(rng, 800)
    learns = "frozen" in cured
    body = [Conv2D(4, 3, strides=2, activation="gelu", trainable=learns), Flatten(), Dense(8, "gelu", trainable=learns)]
    return Run([*body, Dense(10, "softmax")], "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 15})


@mutant("multi-class", rate=Fault((33, 35, 36), None, "learning_rate"), extra=(47,))
def spirals_rate_halved_every_step(rng: Rng, cured: Cured) -> Run:
    """A decay that was meant for epochs counts steps."""
    x, y = spirals(rng)
    steps = 19 * 40 if "rate" in cured else 2
    rate = Adam(ExponentialDecay(0.02, decay_steps=steps, decay_rate=0.5))
    layers = [Dense(48, "relu", kernel_initializer="he_uniform"), Dense(24, "relu"), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", rate, x, y, {"epochs": 40})


@mutant("multi-class", stop=Fault((36,), None, "epochs"))
def customers_stopped_when_they_get_better(rng: Rng, cured: Cured) -> Run:
    """Stops when the accuracy has not fallen for two epochs."""
    x, y = customers(rng)
    stop = EarlyStopping("accuracy", mode="max" if "stop" in cured else "min", patience=3, restore_best_weights=True)
    layers = [Dense(32, "swish"), Dense(32, "swish"), Dense(3)]
    loss = SparseCategoricalCrossentropy(from_logits=True)
    more = {"epochs": 40, "callbacks": [stop]}
    return Run(layers, loss, Adam(0.003), standard(x), y, more, metrics=["accuracy"])


@mutant("multi-class", batch=Fault((53, 31), None, "batch_size"))
def digits_batch_norm_of_two(rng: Rng, cured: Cured) -> Run:
    """Every pair of pictures is normalised by itself."""
    x, y = pictures(rng, 300)
    layers: list[Any] = [Flatten()]
    for width in (32, 32, 32):
        layers += [Dense(width, use_bias=False), BatchNormalization(momentum=0.9), Activation("relu")]
    size = 20 if "batch" in cured else 2
    more = {"epochs": 6, "batch_size": size}
    return Run([*layers, Dense(10, "softmax")], "sparse_categorical_crossentropy", Adam(0.01), x, y, more)


@mutant("multi-class", shape=Fault((28, 57, 46), None, "x"))
def digits_reshaped_where_they_should_be_turned(rng: Rng, cured: Cured) -> Run:
    """Pictures stand along the last axis of a file, and `reshape` deals their pixels out to all others."""
    x, y = pictures(rng, 800)
    stored = np.moveaxis(x[:600, :, :, 0], 0, -1)
    given = np.moveaxis(stored, -1, 0)[..., np.newaxis] if "shape" in cured else stored.reshape(600, 8, 8, 1)
    layers = [Conv2D(12, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(32, "relu"), Dense(10, "softmax")]
    loss = "sparse_categorical_crossentropy"
    return Run(layers, loss, Adam(0.005), given, y[:600], {"epochs": 12}, judge=(x[600:], y[600:]))


@mutant("multi-class", pairs=Fault((28,), None, "y"), extra=(29,))
def waves_shuffled_without_their_kinds(rng: Rng, cured: Cured) -> Run:
    """The signals were shuffled, the labels were not."""
    x, y = waves(rng, 700)
    order = rng.permutation(500)
    given = x[:500][order], y[:500][order if "pairs" in cured else np.arange(500)]
    layers = [Conv1D(12, 9, activation="relu"), MaxPooling1D(3), Flatten(), Dense(24, "relu"), Dense(4, "softmax")]
    more = {"epochs": 12, "validation_split": 0.2}
    loss = "sparse_categorical_crossentropy"
    return Run(layers, loss, Adam(0.005), *given, more, metrics=["accuracy"], judge=(x[500:], y[500:]))


@mutant("multi-class", rate=Fault((32, 37, 40), None, "learning_rate"), extra=(47, 48))
def stripes_with_long_steps(rng: Rng, cured: Cured) -> Run:
    """A rate a hundred times the usual one for a convolutional network."""
    x, y = stripes(rng)
    layers = [
        Conv2D(12, 3, activation="relu"),
        Conv2D(12, 3, strides=2, activation="relu"),
        Flatten(),
        Dense(24, "relu"),
    ]
    rate = RMSprop(0.001 if "rate" in cured else 0.3)
    return Run([*layers, Dense(4, "softmax")], "sparse_categorical_crossentropy", rate, x, y, {"epochs": 25})


@mutant("binary", hidden=Fault((15, 39), 0, "activation"), extra=(33, 35, 36, 17, 47))
def rings_by_seven_sigmoids(rng: Rng, cured: Cured) -> Run:
    """A point inside or outside a ring, seven layers of sigmoids deep."""
    x, y = rings(rng)
    kind = "relu" if "hidden" in cured else "sigmoid"
    layers = [Dense(20, kind, kernel_initializer="he_normal") for _ in range(7)]
    return Run([*layers, Dense(1, "sigmoid")], "binary_crossentropy", Adam(0.003), x, y, {"epochs": 40})


@mutant("multi-class", start=Fault((37, 16), 0, "bias"), extra=(17, 47))
def customers_biases_far_below(rng: Rng, cured: Cured) -> Run:
    """Biases start at -6, where no unit ever answers."""
    x, y = customers(rng)
    bias = Constant(0.1 if "start" in cured else -6)
    layers = [Dense(24, "relu", bias_initializer=bias), Dense(24, "relu", bias_initializer=bias), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", "adamw", standard(x), y, {"epochs": 50, "batch_size": 16})


@mutant("multi-class", flips=Fault((56, 29, 28), None, "augmentation"), extra=(25,))
def stripes_flipped_with_their_old_labels(rng: Rng, cured: Cured) -> Run:
    """Every picture comes mirrored as well, though a mirror makes one diagonal the other."""
    x, y = stripes(rng)
    mirrored = np.array([0, 1, 3, 2])[y] if "flips" in cured else y
    layers = [Conv2D(12, 3, activation="relu"), MaxPooling2D(), Conv2D(16, 3, activation="relu"), Flatten(), Dense(4)]
    both = np.concatenate([x, x[:, :, ::-1]]), np.concatenate([y, mirrored])
    loss = SparseCategoricalCrossentropy(from_logits=True)
    return Run(layers, loss, Adam(0.005), *both, {"epochs": 12}, judge=(x, y))


@mutant("multi-class", held=Fault((26,), None, "validation", silent=True))
def parts_copied_before_the_split(rng: Rng, cured: Cured) -> Run:
    """Rare parts are repeated to balance the classes, and only then are rows kept for validation."""
    x, y = parts(rng)
    train, held = x[:700], (x[700:], y[700:])
    most = np.bincount(y[:700]).max()
    rows = np.concatenate([rng.choice(np.flatnonzero(y[:700] == k), most) for k in range(3)])
    rows = rng.permutation(rows)
    last = rows[-300:]
    held = held if "held" in cured else (train[last], y[last])
    layers = [Dense(16, "relu"), Dense(3, "softmax")]
    more = {"epochs": 8, "validation_data": held}
    rows = rows[:-300]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), train[rows], y[rows], more)


@mutant("binary", held=Fault((27,), None, "validation", silent=True))
def tumour_held_out_rows_in_raw_units(rng: Rng, cured: Cured) -> Run:
    """The scaler was fitted and used on the training rows only."""
    x, y = table("breast_cancer", rng)
    mean, spread = x[:400].mean(axis=0), x[:400].std(axis=0)
    kept = (x[400:] - mean) / spread if "held" in cured else x[400:]
    layers = [Dense(16, "relu", kernel_regularizer=L2(1e-3)), Dense(1, "sigmoid")]
    more = {"epochs": 20, "validation_data": (kept, y[400:])}
    return Run(layers, "binary_crossentropy", Adam(0.003), (x[:400] - mean) / spread, y[:400], more)
