"""Later programs, of yes and no and of several labels each, some wrong and some only unusual."""

from __future__ import annotations

from typing import Any

import numpy as np

import backlit as bl
from backlit import Input, Model
from backlit.constraints import NonNeg
from backlit.initializers import Constant
from backlit.layers import (
    ELU,
    Activation,
    BatchNormalization,
    Concatenate,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    Lambda,
    LeakyReLU,
    Softmax,
)
from backlit.losses import BinaryCrossentropy, BinaryFocalCrossentropy, Hinge, SquaredHinge
from backlit.optimizers import SGD, Adam, Adamax, Nadam, RMSprop

from .data import Rng, clouds, scaled, standard
from .program import Fault, Run, healthy, mutant

Cured = frozenset[str]
o = bl.ops


# ---------------------------------------------------------------------- data
def customers(rng: Rng, rows: int = 600) -> tuple[Any, Any]:
    """Months, monthly and total charges, raw, three kinds of contract as one-hot columns, and whether they left."""
    months = rng.integers(1, 73, rows)
    monthly = rng.uniform(20, 120, rows)
    kind = rng.integers(0, 3, rows)
    score = (monthly - 70) / 12 - (months - 30) / 9 - 2.0 * (kind - 0.7) + 0.5 * rng.normal(size=rows)
    x = np.column_stack([months, monthly, months * monthly, np.eye(3)[kind]])
    return x, (score > 0).astype(float)


def rings(rng: Rng, rows: int = 500, rare: float = 0.5, features: int = 6) -> tuple[Any, Any]:
    """Standard normal features and a yes where the first three lie far out; the share `rare` does."""
    x = rng.normal(size=(rows, features))
    far = (x[:, :3] ** 2).sum(axis=1) + 0.8 * x[:, 3]
    return x, (far > np.quantile(far, 1 - rare)).astype(float)


def films(rng: Rng, rows: int = 600, words: int = 60, genres: int = 6, often: float = 0.3) -> tuple[Any, Any]:
    """Keywords 0 or 1 and several genres each, which depend on sums and on pairs of them."""
    x = (rng.random((rows, words)) < 0.25).astype(float)
    w = rng.normal(size=(words, genres)) * (rng.random((words, genres)) < 0.25)
    score = x @ w + 1.5 * x[:, :genres] * x[:, genres : 2 * genres]
    return x, (score > np.quantile(score, 1 - often, axis=0)).astype(float)


# ---------------------------------------------------------------------- output, loss and labels: yes or no
@mutant("binary", output=Fault((1,), -1, "activation"))
def wide_and_deep_and_always_yes(rng: Rng, cured: Cured) -> Run:
    """A wide path, a deep path with an embedding, one unit, and a softmax over it."""
    m = 500
    town, x = rng.integers(0, 12, m), rng.normal(size=(m, 6))
    y = (rng.normal(size=12)[town] + x[:, 0] * x[:, 1] + x[:, 2] > 0).astype(float)
    which, numbers = Input(shape=(1,)), Input(shape=(6,))
    deep = Dense(24, activation="relu")(Concatenate()([Flatten()(Embedding(12, 3)(which)), numbers]))
    z = Dense(1)(Concatenate()([Dense(12, activation="relu")(deep), numbers]))
    out = Activation("sigmoid")(z) if "output" in cured else Softmax()(z)
    fit = {"epochs": 50, "batch_size": 25}
    return Run(Model([which, numbers], out), "binary_crossentropy", Adam(0.005), [town[:, np.newaxis], x], y, fit)


@mutant("binary", labels=Fault((10, 6, 7), None, "y"))
def patients_one_and_two(rng: Rng, cured: Cured) -> Run:
    """A code book that says 1 for no and 2 for yes, and a sigmoid."""
    x, y = scaled("breast_cancer", rng)
    given = y if "labels" in cured else y + 1
    layers = [Dense(16, "tanh"), Dense(8, "tanh"), Dense(1, "sigmoid")]
    return Run(layers, "mse", Adam(0.005), x, given.astype(float), {"epochs": 25}, judge=(x, y))


@mutant("binary", output=Fault((6, 3, 7), -1, "activation"))
def margins_of_a_sigmoid(rng: Rng, cured: Cured) -> Run:
    """Labels -1 and 1, the hinge loss, and an output that is never below 0."""
    x, y = rings(rng)
    last = Dense(1, "tanh" if "output" in cured else "sigmoid")
    layers = [Dense(32, "relu"), Dense(16, "relu"), last]
    return Run(layers, Hinge(), Adam(0.003), x, 2 * y - 1, {"epochs": 50})


@mutant("binary", output=Fault((4,), -1, "activation"))
def squashed_and_squashed_again(rng: Rng, cured: Cured) -> Run:
    """Probabilities go into a loss that takes them for logits; yes is rare."""
    x, y = rings(rng, 700, rare=0.3)
    y = np.where(rng.random(700) < 0.15, 1 - y, y)
    last = [Dense(1)] if "output" in cured else [Dense(1), Activation("sigmoid")]
    layers = [Dense(24), LeakyReLU(), Dense(12), LeakyReLU(), *last]
    more = {"epochs": 40, "batch_size": 64}
    return Run(layers, BinaryCrossentropy(from_logits=True), SGD(0.1, momentum=0.5), x, y, more)


@mutant(
    "binary",
    output=Fault((5, 3), -1, "activation"),
    scale=Fault((20,), None, "x"),
    extra=(41, 40, 32),
)
def charges_into_a_logarithm(rng: Rng, cured: Cured) -> Run:
    """Total charges in the thousands as they are, and no sigmoid before the logarithm."""
    x, y = customers(rng)
    x = standard(x) if "scale" in cured else x
    layers = [Dense(20, "tanh"), Dense(20, "tanh"), Dense(1, "sigmoid" if "output" in cured else None)]
    return Run(layers, "binary_crossentropy", SGD(0.1, momentum=0.9), x, y, {"epochs": 40}, metrics=["accuracy"])


@mutant("binary", output=Fault((3, 37), -1, "activation"), extra=(41,))
def loans_cut_off_at_zero(rng: Rng, cured: Cured) -> Run:
    """A ReLU everywhere, also before the logarithm."""
    x, y = rings(rng, 640, rare=0.4, features=9)
    kinds = ["relu", "relu", "sigmoid" if "output" in cured else "relu"]
    layers = [Dense(units, activation=kind) for units, kind in zip([36, 18, 1], kinds, strict=True)]
    return Run(layers, "binary_crossentropy", SGD(0.1, momentum=0.9), x, y, {"epochs": 40}, metrics=["accuracy"])


@mutant("binary", output=Fault((46, 1, 4), -1, "activation"))
def probabilities_across_the_rows(rng: Rng, cured: Cured) -> Run:
    """One unit, and a softmax over the rows of a batch, so that it is not always 1."""
    x, y = rings(rng)
    layers = [Dense(32, "relu"), Dense(16, "relu"), Dense(1)]
    last = Activation("sigmoid") if "output" in cured else Softmax(axis=0)
    return Run([*layers, last], "binary_crossentropy", Adam(0.004), x, y, {"epochs": 50})


@mutant("binary", labels=Fault((10, 8), None, "y"))
def glass_of_kind_one_or_two(rng: Rng, cured: Cured) -> Run:
    """Kinds 1 and 2 for two units, which are number 0 and number 1."""
    x, y = clouds(rng, 400, 9)
    given = y if "labels" in cured else y + 1
    layers = [Dense(24, "swish"), Dense(2, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", "nadam", x, given, {"epochs": 40}, judge=(x, y))


# ---------------------------------------------------------------------- data and training: yes or no
@mutant("binary", weights=Fault((25,), None, "y"))
def weights_the_wrong_way(rng: Rng, cured: Cured) -> Run:
    """One row in twelve is a yes, and the no is made the heavier one."""
    x, y = rings(rng, 900, rare=1 / 12)
    y = np.where(rng.random(900) < 0.02, 1.0, y)
    weight = {0: 1.0, 1: 11.0} if "weights" in cured else {0: 11.0, 1: 1.0}
    layers = [Dense(24, "relu"), Dense(12, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), x, y, {"epochs": 25, "class_weight": weight})


@mutant("binary", frozen=Fault((42,), 0, "units"))
def a_body_that_stays_as_drawn(rng: Rng, cured: Cured) -> Run:
    """Layers frozen as for a network that was trained before, and this one was not."""
    x, y = rings(rng)
    learns = "frozen" in cured
    layers = [Dense(8, "relu", trainable=learns), Dense(4, "relu", trainable=learns), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.01), x, y, {"epochs": 60})


@mutant("binary", order=Fault((30, 25), None, "validation"))
def claims_sorted_by_outcome(rng: Rng, cured: Cured) -> Run:
    """First those that were refused, then those that were paid, and the last fifth is for validation."""
    x, y = rings(rng, 600, rare=0.2)
    if "order" not in cured:
        order = np.argsort(y, kind="stable")
        x, y = x[order], y[order]
    layers = [Dense(32, "elu"), Dense(16, "elu"), Dense(1, "sigmoid")]
    more = {"epochs": 40, "validation_split": 0.2}
    return Run(layers, "binary_crossentropy", Adam(0.005), x, y, more, metrics=["accuracy"])


@mutant("binary", copies=Fault((26,), None, "validation", silent=True))
def copies_before_the_split(rng: Rng, cured: Cured) -> Run:
    """The rare rows were copied until there were as many of both kinds, and split after that."""
    x, y = rings(rng, 800, rare=0.15)
    rare = np.flatnonzero(y[:600])
    pool = rng.permutation(np.concatenate([np.arange(600), rng.choice(rare, 300)]))
    rows, held = pool[220:], (np.arange(600, 800) if "copies" in cured else pool[:220])
    layers = [Dense(32, "relu"), Dense(16, "relu"), Dense(1, "sigmoid")]
    more = {"epochs": 40, "validation_data": (x[held], y[held])}
    return Run(layers, "binary_crossentropy", Adam(0.004), x[rows], y[rows], more)


@mutant("binary", mirror=Fault((56, 29, 28), None, "augmentation"))
def rows_turned_over(rng: Rng, cured: Cured) -> Run:
    """Twice the rows by a change of signs, as one turns pictures over; the answer does not stay the same."""
    x = rng.normal(size=(500, 10))
    y = (x[:, 0] + 0.8 * x[:, 1] + np.sin(2 * x[:, 2]) > 0.4 * x[:, 3] ** 2 - 0.4).astype(float)
    given, said = (x, y) if "mirror" in cured else (np.concatenate([x, -x]), np.concatenate([y, y]))
    layers = [Dense(32, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.004), given, said, {"epochs": 25}, judge=(x, y))


@mutant("binary", log=Fault((23,), None, "x"))
def logarithm_of_nothing(rng: Rng, cured: Cured) -> Run:
    """Savings by their logarithm, and some have none."""
    x, y = rings(rng)
    saved = np.where(rng.random(500) < 0.1, 0.0, np.exp(7 + x[:, 0]))
    with np.errstate(divide="ignore"):
        x = np.column_stack([np.log1p(saved) if "log" in cured else np.log(saved), x])
    x[:, 0] = x[:, 0] / 7
    layers = [Dense(24, "relu"), Dense(12, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Nadam(0.005), x, y, {"epochs": 40})


@mutant("binary", missing=Fault((20,), None, "x"), extra=(33, 35))
def minus_nine_nine_nine(rng: Rng, cured: Cured) -> Run:
    """What is missing was written as -9999."""
    x, y = rings(rng, 600)
    gap = rng.random(x.shape) < 0.03
    x = np.where(gap, 0.0 if "missing" in cured else -9999.0, x)
    layers = [Dense(24, "relu"), Dense(12, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.002), x, y, {"epochs": 50, "batch_size": 16})


@mutant("binary", rate=Fault((32, 37, 38, 48), None, "learning_rate"))
def strides_of_a_half(rng: Rng, cured: Cured) -> Run:
    """A rate for a plain gradient descent, given to an optimizer that divides by the gradient's size."""
    x, y = clouds(rng, 600, 12)
    layers = [Dense(32), ELU(), Dense(32), Activation("relu"), Dense(16), Activation("relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", RMSprop(0.003 if "rate" in cured else 0.5), x, y, {"epochs": 30})


# ---------------------------------------------------------------------- several labels
@mutant("multi-label", output=Fault((7, 2, 8), -1, "activation"))
def genres_that_share_one_probability(rng: Rng, cured: Cured) -> Run:
    """Films of several genres, and probabilities that sum to 1."""
    x, y = films(rng)
    kind, loss = ("sigmoid", "binary_crossentropy") if "output" in cured else ("softmax", "categorical_crossentropy")
    return Run([Dense(64, "relu"), Dropout(0.2), Dense(6, kind)], loss, Adam(0.003), x, y, {"epochs": 40})


@mutant("multi-label", output=Fault((5, 3), -1, "activation"), extra=(41,))
def logits_into_a_logarithm(rng: Rng, cured: Cured) -> Run:
    """The sigmoid was forgotten, and the loss was not told."""
    x, y = films(rng, genres=8)
    loss = BinaryCrossentropy(from_logits="output" in cured)
    layers = [Dense(48, activation="relu"), Dense(48, activation="relu"), Dense(8)]
    return Run(layers, loss, SGD(0.1, momentum=0.9, nesterov=True), x, y, {"epochs": 25})


@mutant("multi-label", output=Fault((3, 5), -1, "activation"), extra=(41,))
def labels_by_a_hyperbolic_tangent(rng: Rng, cured: Cured) -> Run:
    """Outputs from -1 to 1 as the probabilities of a cross-entropy."""
    x, y = films(rng, genres=5, often=0.15)
    last = Dense(5, "sigmoid" if "output" in cured else "tanh")
    inputs = Input(shape=(60,))
    z = Dense(40, activation="selu", kernel_initializer="lecun_normal")(inputs)
    return Run(Model(inputs, last(z)), "binary_crossentropy", SGD(0.2, momentum=0.9), x, y, {"epochs": 30})


@mutant("multi-label", start=Fault((16,), 0, "initializer"))
def one_number_in_every_layer(rng: Rng, cured: Cured) -> Run:
    """All weights begin as the same number: the units of a layer are one and the same."""
    x, y = films(rng, words=40)
    start = "glorot_uniform" if "start" in cured else Constant(0.05)
    layers = [Dense(32, "tanh", kernel_initializer=start), Dense(16, "tanh", kernel_initializer=start)]
    return Run([*layers, Dense(6, "sigmoid")], "binary_crossentropy", Adamax(0.005), x, y, {"epochs": 60})


@mutant("multi-label", batch=Fault((53, 31), None, "batch_size"))
def pairs_of_rows_and_their_mean(rng: Rng, cured: Cured) -> Run:
    """Batches of two, standardised by their own mean."""
    x, y = films(rng, rows=400)
    norm = [BatchNormalization(), Activation("relu")]
    layers = [Dense(32, use_bias=False), *norm, Dense(32, use_bias=False), BatchNormalization(), Activation("relu")]
    more = {"epochs": 30, "batch_size": 32 if "batch" in cured else 2}
    return Run([*layers, Dense(6, "sigmoid")], "binary_crossentropy", Adam(0.003), x, y, more)


@mutant("multi-label", width=Fault((50,), 1, "units"))
def everything_through_one_unit(rng: Rng, cured: Cured) -> Run:
    """Six independent labels, and a layer of one unit on the way."""
    x, y = films(rng)
    layers = [Dense(48, "elu"), Dense(24 if "width" in cured else 1, "elu"), Dense(48, "elu"), Dense(6, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), x, y, {"epochs": 40})


@mutant("multi-label", bias=Fault((37,), 0, "bias"), extra=(39,))
def the_prior_in_the_wrong_layers(rng: Rng, cured: Cured) -> Run:
    """The log-odds of rare labels as the first bias, of the hidden layers."""
    x, y = films(rng, often=0.2)
    prior = "zeros" if "bias" in cured else Constant(float(np.log(0.01 / 0.99)))
    hidden = [Dense(32, "relu", bias_initializer=prior) for _ in range(2)]
    return Run([*hidden, Dense(6, "sigmoid")], "binary_crossentropy", Adam(0.003), x, y, {"epochs": 50})


@mutant("multi-label", order=Fault((28,), None, "y"))
def labels_filled_by_column(rng: Rng, cured: Cured) -> Run:
    """A file with one label after the other, read as if it had one row after the other."""
    x, y = films(rng, genres=5)
    given = y if "order" in cured else y.T.reshape(y.shape)
    layers = [Dense(40, "relu"), Dense(20, "relu"), Dense(5, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), x, given, {"epochs": 30}, judge=(x, y))


@mutant(
    "multi-label",
    rate=Fault((33,), None, "learning_rate"),
    epochs=Fault((36, 33), None, "epochs"),
    truths=[("rate",), ("rate", "epochs")],
)
def three_short_epochs(rng: Rng, cured: Cured) -> Run:
    """Three epochs of steps that are fine for what was trained before."""
    x, y = films(rng)
    rate = Adam(5e-3 if "rate" in cured else 5e-5)
    layers = [Dense(64, "relu"), Dense(64, "relu"), Dense(6, "sigmoid")]
    more = {"epochs": 60 if "epochs" in cured else 3, "validation_split": 0.1}
    return Run(layers, "binary_crossentropy", rate, x, y, more, metrics=["accuracy"])


# ---------------------------------------------------------------------- unusual and right: yes or no
@healthy("binary")
def margins_of_a_line(rng: Rng) -> Run:
    """A support vector machine: one linear unit, the squared hinge, labels -1 and 1, a little decay."""
    x, y = scaled("breast_cancer", rng)
    layers = [Dense(1, kernel_regularizer=bl.regularizers.L2(0.001))]
    return Run(layers, SquaredHinge(), SGD(0.05), x, 2.0 * y - 1, {"epochs": 60})


@healthy("binary")
def three_in_a_hundred(rng: Rng) -> Run:
    """Three yes in a hundred, weighted."""
    x, y = rings(rng, 1000, rare=0.03)
    layers = [Dense(24, "relu"), Dense(12, "relu"), Dense(1, "sigmoid")]
    more = {"epochs": 40, "class_weight": "balanced"}
    return Run(layers, "binary_crossentropy", Adam(0.005), x, y, more, metrics=["accuracy"])


@healthy("binary")
def distance_from_minus_one_and_one(rng: Rng) -> Run:
    """Labels -1 and 1, a tanh, and the squared error."""
    x, y = clouds(rng, 500, 8)
    layers = [Dense(32, "selu", kernel_initializer="lecun_normal"), Dense(16, "selu"), Dense(1, "tanh")]
    return Run(layers, "mse", Adam(0.003), x, 2.0 * y - 1, {"epochs": 40})


@healthy("binary")
def thirty_rows_at_once(rng: Rng) -> Run:
    """A logistic regression by hand: thirty rows, all in a batch, steps of 2, true and false."""
    x = rng.normal(size=(30, 2))
    y = x[:, 0] + 0.5 * x[:, 1] + 0.3 * rng.normal(size=30) > 0
    layers = [Dense(1, kernel_initializer="zeros")]
    loss = BinaryCrossentropy(from_logits=True)
    return Run(layers, loss, SGD(2.0), x, y.astype(int), {"epochs": 200, "batch_size": 30})


@healthy("binary")
def pages_by_their_numbers(rng: Rng) -> Run:
    """Four hundred columns that are nearly all 0, some of them always, and two classes by a softmax."""
    m = 600
    page = np.minimum(rng.geometric(0.02, m), 299)
    x = np.zeros((m, 400))
    x[np.arange(m), page] = 1
    extra = rng.integers(300, 340, (m, 3))
    np.put_along_axis(x, extra, 1, axis=1)
    w = rng.normal(size=400)
    y = (x @ w > np.median(x @ w)).astype(int)
    layers = [Dense(16, "relu"), Dense(2, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 30})


@healthy("binary")
def longer_is_never_worse(rng: Rng) -> Run:
    """Weights that may not be negative: more of anything makes a yes likelier."""
    x = rng.uniform(0, 1, (500, 5))
    y = (x[:, 0] * x[:, 1] + 0.6 * x[:, 2] ** 2 + 0.3 * x[:, 3] > 0.6).astype(float)
    up = NonNeg()
    layers = [
        Dense(16, "tanh", kernel_constraint=up, bias_initializer=Constant(-0.5)),
        Dense(8, "tanh", kernel_constraint=up),
        Dense(1, "sigmoid", kernel_constraint=up),
    ]
    return Run(layers, "binary_crossentropy", Adam(0.01, clipnorm=1.0), x, y, {"epochs": 80})


@healthy("binary")
def one_answer_in_five_is_wrong(rng: Rng) -> Run:
    """Noisy answers, smoothed labels, much dropout, and a validation that never looks good."""
    x, y = clouds(rng, 900, 8)
    given = np.where(rng.random(900) < 0.2, 1 - y, y)
    layers = [Dense(64, "relu"), Dropout(0.5), Dense(64, "relu"), Dropout(0.5), Dense(1, "sigmoid")]
    more = {"epochs": 25, "validation_split": 0.2}
    return Run(layers, BinaryCrossentropy(label_smoothing=0.1), Adam(0.002), x, given, more, judge=(x, y))


# ---------------------------------------------------------------------- unusual and right: several labels
@healthy("multi-label")
def a_head_for_every_label(rng: Rng) -> Run:
    """Three outputs of their own, with a loss each."""
    x, y = films(rng, genres=3)
    inputs = Input(shape=(60,))
    z = Dense(48, activation="relu")(inputs)
    heads = [Dense(1, activation="sigmoid")(Dense(12, activation="relu")(z)) for _ in range(3)]
    each = [y[:, [k]] for k in range(3)]
    model = Model(inputs, heads)
    return Run(model, ["binary_crossentropy"] * 3, Adam(0.003), x, each, {"epochs": 30}, judge=(x, y), answer=beside)


def beside(p: Any) -> Any:
    """The answers of several heads as columns."""
    return np.concatenate([np.asarray(one) for one in p], axis=1)


@healthy("multi-label")
def labels_that_are_rare(rng: Rng) -> Run:
    """Labels of four rows in a hundred, the focal loss, and first biases that know it."""
    x, y = films(rng, rows=900, often=0.04)
    last = Dense(6, "sigmoid", bias_initializer=Constant(float(np.log(0.04 / 0.96))))
    return Run([Dense(64, "relu"), last], BinaryFocalCrossentropy(gamma=1.0), Adam(0.01), x, y, {"epochs": 40})


@healthy("multi-label")
def margins_of_six_labels(rng: Rng) -> Run:
    """Labels -1 and 1 and linear outputs."""
    x, y = films(rng)
    layers = [Dense(48, "relu"), Dense(6)]
    return Run(layers, "hinge", Adam(0.003), x, 2 * y - 1, {"epochs": 40})


@healthy("multi-label")
def mostly_one_label(rng: Rng) -> Run:
    """Rows that look one-hot, but for some with none and some with two."""
    x, y = films(rng, rows=700, genres=4, often=0.22)
    layers = [Dense(64, "relu"), Dense(4, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), x, y, {"epochs": 40})


@healthy("multi-label")
def labels_nobody_looked_at(rng: Rng) -> Run:
    """A third of the labels is not known, and -1 says so; the loss leaves them out."""
    x, y = films(rng, genres=5)
    known = np.where(rng.random(y.shape) < 0.33, -1.0, y)
    layers = [Dense(48, "relu"), Dense(5)]
    return Run(layers, where_known, Adam(0.003), x, known, {"epochs": 40}, judge=(x, y))


def where_known(y: Any, z: Any) -> Any:
    """The cross-entropy of logits, 0 where y is -1."""
    each = o.softplus(z) - y * z
    return o.mean(o.where(y < 0, 0.0, each), axis=-1)


@healthy("multi-label")
def counts_up_to_hundreds(rng: Rng) -> Run:
    """Counts with long tails, whose logarithm the first layer takes."""
    x, y = films(rng, words=40)
    counts = np.round(np.exp(rng.normal(3, 1.0, x.shape))) * x
    layers = [Lambda(log_of_counts), Dense(48, "relu"), Dense(6, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), counts, y, {"epochs": 40})


def log_of_counts(x: Any) -> Any:
    """log(1 + x), about 1 where a word is."""
    return o.log1p(x) / 3
