"""Right programs that tell classes apart in ways that look wrong at first sight, by somebody who had not read the checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from backlit.optimizers.schedules import CosineDecay

import backlit as bl
from backlit.constraints import NonNeg
from backlit.layers import (
    Activation,
    Add,
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
    Lambda,
    Layer,
    LayerNormalization,
    MaxPooling2D,
    Multiply,
    Permute,
    Rescaling,
    Reshape,
    Softmax,
)
from backlit.losses import (
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from backlit.optimizers import SGD, Adam
from backlit.regularizers import L1

from .data import Rng, bags, hot, pictures, scaled, standard, table
from .later_classes import coloured, customers, parts, rings, sentences, spirals, strands, stripes, waves
from .program import Run, healthy

o = bl.ops


@healthy("multi-class")
def sentences_by_attention(rng: Rng) -> Run:
    """One score a word, and a softmax over the words of the sentence; logits at the end."""
    x, y = sentences(rng)
    words = bl.Input((14,), dtype="int32")
    known = Embedding(60, 12)(words)
    weights = Softmax(axis=1)(Dense(1)(Dense(12, "tanh")(known)))
    mixed = Lambda(lambda z: o.sum(z, axis=1))(Multiply()([known, weights]))
    model = bl.Model(words, Dense(4)(mixed))
    return Run(model, SparseCategoricalCrossentropy(from_logits=True), Adam(0.02), x, y, {"epochs": 15})


@healthy("binary")
def rings_by_two_logits(rng: Rng) -> Run:
    """Yes and no as two exclusive classes, whole labels, no activation at the end."""
    x, y = rings(rng)
    layers = [Dense(32, "softsign"), Dense(32, "softsign"), Dense(2)]
    loss = SparseCategoricalCrossentropy(from_logits=True)
    return Run(layers, loss, Adam(0.02), x, y.astype(np.int64), {"epochs": 80})


@healthy("multi-class")
def digits_with_smoothed_labels(rng: Rng) -> Run:
    """Labels smoothed by a fifth: the loss stays high however good the answers are."""
    x, y = pictures(rng, 700)
    layers = [Conv2D(8, 3, activation="elu"), Flatten(), Dense(10)]
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
    return Run(layers, loss, Adam(0.005, clipnorm=1.0), x, hot(y), {"epochs": 10})


@healthy("binary")
def tumour_by_margins(rng: Rng) -> Run:
    """Labels -1 and 1, a tanh at the end and the squared hinge."""
    x, y = scaled("breast_cancer", rng)
    layers = [Dense(12, "tanh"), Dense(1, "tanh")]
    return Run(layers, "squared_hinge", SGD(0.1), x, 2.0 * y - 1, {"epochs": 20})


@healthy("multi-class")
def wine_by_squared_shares(rng: Rng) -> Run:
    """The Brier score: squared error of probabilities."""
    x, y = scaled("wine", rng)
    return Run([Dense(16, "relu"), Dense(3, "softmax")], "mse", Adam(0.01), x, hot(y), {"epochs": 30})


@healthy("binary")
def parts_rare_and_focal(rng: Rng) -> Run:
    """One part in twelve is bad: a focal loss and a last bias at the logarithm of the odds."""
    x, y = parts(rng, 900, (0.92, 0.08))
    start = bl.initializers.Constant(float(np.log(0.08 / 0.92)))
    layers = [Dense(16, "relu"), Dense(1, "sigmoid", bias_initializer=start)]
    loss = BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.85)
    return Run(layers, loss, Adam(0.01), x, y, {"epochs": 25})


@healthy("multi-class")
def digits_by_random_features(rng: Rng) -> Run:
    """Six hundred drawn features that are never trained, and one layer that is."""
    x, y = pictures(rng, 900)
    layers = [Flatten(), Dense(600, "relu", trainable=False), Dense(10, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 12})


@healthy("multi-class")
def iris_with_all_rows_a_step(rng: Rng) -> Run:
    """Softmax regression by plain gradient descent: no hidden layer, one batch, steps of 1, all weights from zero."""
    x, y = scaled("iris", rng)
    layers = [Dense(3, "softmax", kernel_initializer="zeros")]
    return Run(layers, "categorical_crossentropy", SGD(1.0), x, hot(y), {"epochs": 150, "batch_size": 150})


@healthy("multi-class")
def bags_with_much_dropout(rng: Rng) -> Run:
    """Seven of ten units left out of a layer that is wide enough for it."""
    x, y = bags(rng)
    layers = [Dropout(0.3), Dense(256, "relu"), Dropout(0.7), Dense(8, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 12})


@healthy("multi-class")
def bags_through_a_linear_neck(rng: Rng) -> Run:
    """A layer without an activation before the last one: a factor of low rank for many words."""
    x, y = bags(rng)
    layers = [Dense(6, use_bias=False), Dense(8), Activation("softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 20})


@healthy("multi-class")
def stripes_after_soft_answers(rng: Rng) -> Run:
    """A student: its targets are the probabilities of another model, no row is certain."""
    x, y = stripes(rng)
    soft = 0.6 * hot(y) + 0.4 * rng.dirichlet(np.ones(4), len(y))
    layers = [Conv2D(10, 3, activation="relu"), MaxPooling2D(), Flatten(), Dense(4, "softmax")]
    return Run(layers, "kl_divergence", Adam(0.01), x, soft, {"epochs": 15}, judge=(x, y))


@healthy("multi-class")
def waves_numbered_from_one(rng: Rng) -> Run:
    """Labels 1 to 4 with a fifth output that is never right."""
    x, y = waves(rng)
    layers = [Conv1D(16, 9, strides=2, activation="relu"), Conv1D(16, 3, activation="relu"), GlobalMaxPooling1D()]
    layers += [Dense(5, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y + 1, {"epochs": 20})


@healthy("multi-class")
def stripes_of_bytes_scaled_inside(rng: Rng) -> Run:
    """Bytes go in, and the first layer maps them from 0 … 255 to -1 … 1."""
    x, y = stripes(rng)
    layers = [Rescaling(1 / 127.5, offset=-1), Conv2D(8, 3, activation="relu"), MaxPooling2D(), Flatten()]
    pixels = np.round(255 * x).astype(np.uint8)
    layers += [Dense(4, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), pixels, y, {"epochs": 12})


@healthy("multi-class")
def stripes_with_a_small_second_head(rng: Rng) -> Run:
    """Direction by shares, colour by logits, and weights of their own for the two losses; channels turned to the front
    and back again."""
    x, colour, direction = coloured(rng)
    given = bl.Input((3, 10, 10))
    seen = Conv2D(12, 3, activation="relu")(Permute((2, 3, 1))(given))
    seen = Dense(24, "relu")(Flatten()(MaxPooling2D()(seen)))
    first, second = Dense(4, "softmax")(seen), Dense(3)(Dropout(0.2)(seen))
    losses = ["sparse_categorical_crossentropy", SparseCategoricalCrossentropy(from_logits=True)]
    turned, more = np.moveaxis(x, 3, 1), {"epochs": 12}
    pair, judge = [direction, colour], (turned, direction)
    return Run(bl.Model(given, [first, second]), losses, Adam(0.005), turned, pair, more, None, judge, lambda p: p[0])


@healthy("multi-class")
def digits_one_against_all_others(rng: Rng) -> Run:
    """Ten sigmoids and the binary loss for exclusive classes: each against the rest."""
    x, y = pictures(rng, 800)
    layers = [Flatten(), Dense(48, "relu"), Dense(10, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.01), x, hot(y), {"epochs": 15})


@healthy("multi-class")
def spirals_of_a_dozen_points(rng: Rng) -> Run:
    """Twelve points, four a class, all at once, a network with many more weights than points."""
    x, y = spirals(rng, 300)
    rows = np.concatenate([np.flatnonzero(y == k)[:4] for k in range(3)])
    layers = [Dense(60, "relu"), Dense(60, "relu"), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x[rows], y[rows], {"epochs": 150})


@healthy("multi-class")
def customers_raw_into_batch_norm(rng: Rng) -> Run:
    """Incomes and shares in their own units: a batch normalisation comes first."""
    x, y = customers(rng)
    layers = [BatchNormalization(momentum=0.9), Dense(32, "relu"), Dense(16, "relu"), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 30})


@healthy("multi-class")
def strands_through_many_short_cuts(rng: Rng) -> Run:
    """Five residual blocks whose last weights start at zero, so that each is the identity at first."""
    x, y = strands(rng)
    given = bl.Input((36, 4))
    z = Conv1D(16, 6)(given)
    for _ in range(5):
        bent = Activation("relu")(LayerNormalization()(z))
        bent = Conv1D(16, 3, padding="same", activation="relu")(bent)
        z = Add()([z, Conv1D(16, 1, kernel_initializer="zeros")(bent)])
    out = Dense(4, "softmax")(GlobalMaxPooling1D()(z))
    return Run(bl.Model(given, out), "sparse_categorical_crossentropy", Adam(0.005), x, y, {"epochs": 15})


@healthy("multi-class")
def digits_warmed_up_from_rate_zero(rng: Rng) -> Run:
    """The first step has the length 0, the longest ones come after two epochs."""
    x, y = pictures(rng, 800)
    rate = CosineDecay(0.0, decay_steps=250, warmup_target=0.2, warmup_steps=50)
    layers = [Flatten(), Dense(64, "relu"), Dense(64, "relu"), Dense(10, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", SGD(rate, momentum=0.9), x, y, {"epochs": 12})


@healthy("binary")
def rings_one_row_a_step(rng: Rng) -> Run:
    """Online learning: each row is seen once, alone, in the order in which it comes."""
    x, y = rings(rng, 10000)
    more = {"epochs": 1, "batch_size": 1, "shuffle": False}
    layers = [Dense(32, "relu"), Dense(16, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", SGD(0.03, momentum=0.5), x, y, more)


@healthy("binary")
def shops_by_a_bent_tanh(rng: Rng) -> Run:
    """A probability made of a tanh by hand, from a product of two branches."""
    x, shop = rng.normal(size=(600, 6)), rng.integers(0, 12, (600, 1))
    taste = rng.normal(size=(12, 6))
    y = ((x * taste[shop[:, 0]]).sum(axis=1) > 0).astype(int)
    numbers, place = bl.Input((6,)), bl.Input((1,), dtype="int32")
    product = Multiply()([Dense(12)(numbers), Flatten()(Embedding(12, 12)(place))])
    half = Lambda(lambda z: 0.4999 * o.tanh(z) + 0.5)(Dense(1)(product))
    return Run(bl.Model([numbers, place], half), "binary_crossentropy", Adam(0.02), [x, shop], y, {"epochs": 25})


@healthy("multi-class")
def strands_a_label_for_every_letter(rng: Rng) -> Run:
    """An answer at each of the places: is it before, in or after the word?"""
    letters, word = rng.integers(0, 4, (400, 36)), rng.integers(0, 4, 8)
    start = rng.integers(4, 24, (400, 1))
    np.put_along_axis(letters, start + np.arange(8), np.tile(word, (400, 1)), axis=1)
    label = (np.arange(36) >= start).astype(int) + (np.arange(36) >= start + 8)
    layers = [Conv1D(24, 9, padding="same", activation="relu"), Conv1D(24, 15, padding="same", activation="relu")]
    layers += [Dense(3, "softmax")]
    more, x = {"epochs": 15}, np.eye(4)[letters]
    loss = "sparse_categorical_crossentropy"
    return Run(layers, loss, Adam(0.01), x, label, more, answer=lambda p: p.reshape(-1, 3))


@healthy("binary")
def bags_by_few_words(rng: Rng) -> Run:
    """Most weights are driven to zero on purpose: one topic against another by a handful of words."""
    x, y = bags(rng, 500, topics=2)
    layers = [Dense(1, "sigmoid", kernel_regularizer=L1(0.004))]
    return Run(layers, "binary_crossentropy", Adam(0.02), x, y, {"epochs": 30})


class Bumps(Layer):
    """Radial units: exp(-|x - centre|² / width)."""

    def __init__(self, units: int, width: float = 0.2, name: str | None = None):
        super().__init__(name=name)
        self.units, self.width = units, width

    def build(self, shape: Any) -> None:
        """Centres are drawn from -1.5 to 1.5."""
        start = bl.initializers.RandomUniform(-1.5, 1.5)
        self.centres = self.add_weight("centres", (self.units, shape[-1]), start)

    def call(self, x: Any, training: bool = False) -> Any:
        """One number a unit."""
        apart = o.expand_dims(x, 1) - self.centres
        return o.exp(-o.sum(apart * apart, axis=-1) / self.width)


@healthy("multi-class")
def spirals_by_bumps(rng: Rng) -> Run:
    """A layer of one's own whose units are almost 0 nearly everywhere."""
    x, y = spirals(rng)
    return Run([Bumps(60), Dense(3, "softmax")], "sparse_categorical_crossentropy", Adam(0.05), x, y, {"epochs": 30})


@healthy("multi-class")
def digits_of_growing_weights(rng: Rng) -> Run:
    """Weights that may not be negative, counts from 0 to 16, and a square root of them first."""
    x, y = table("digits", rng, 800)
    layers = [Lambda(lambda z: o.sqrt(z) / 4), Dense(60, "relu", kernel_constraint=NonNeg()), Dense(10, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), x, y, {"epochs": 20})


@healthy("multi-class")
def sentences_of_two_lengths(rng: Rng) -> Run:
    """Two readings of a sentence side by side: single words and pairs; row weights that differ by a factor of 100."""
    x, y = sentences(rng)
    words = bl.Input((14,), dtype="int32")
    known = Embedding(60, 10)(words)
    single = GlobalAveragePooling1D()(known)
    pairs = GlobalMaxPooling1D()(Conv1D(10, 2, activation="relu")(known))
    out = Dense(4, "softmax")(Concatenate()([single, pairs]))
    more = {"epochs": 15, "sample_weight": 10 ** rng.uniform(-1, 1, len(y))}
    return Run(bl.Model(words, out), "sparse_categorical_crossentropy", Adam(0.02), x, y, more)


@healthy("multi-class")
def waves_as_rows_of_a_picture(rng: Rng) -> Run:
    """A signal folded into six rows of eight, with validation rows of their own."""
    x, y = waves(rng, 600)
    layers = [Reshape((6, 8, 1)), Conv2D(16, 3, activation="relu"), Flatten(), Dense(32, "relu"), Dense(4, "softmax")]
    more = {"epochs": 20, "validation_data": (x[450:], y[450:])}
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.005), x[:450], y[:450], more)


@healthy("multi-class")
def customers_mostly_ordinary(rng: Rng) -> Run:
    """Weights by class for rare kinds, and a validation split that keeps their shares."""
    x, y = parts(rng, 1000, (0.8, 0.15, 0.05))
    often = np.bincount(y) / len(y)
    weights = {k: float(1 / (3 * share)) for k, share in enumerate(often)}
    more = {"epochs": 25, "class_weight": weights, "validation_split": 0.2, "validation_stratify": True}
    layers = [Dense(20, "relu"), Dense(3, "softmax")]
    return Run(layers, "sparse_categorical_crossentropy", Adam(0.01), standard(x), y, more)
