"""Healthy programs that look odd: classes, one or several. Whoever warns of one of these is wrong."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

import backlit as bl
from backlit.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Lambda,
)
from backlit.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
)
from backlit.optimizers import SGD, Adam

from .data import Rng, bags, clouds, hot, pictures, scaled, table, tags
from .program import Run, healthy

_SPARSE = "sparse_categorical_crossentropy"


def _logits() -> Any:
    return SparseCategoricalCrossentropy(from_logits=True)


# ---------------------------------------------------------------------- yes and no
@healthy("binary")
def logits_without_activation(rng: Rng) -> Run:
    """A linear output, whose loss takes logits."""
    x, y = clouds(rng)
    return Run([Dense(32, "relu"), Dense(1)], BinaryCrossentropy(from_logits=True), Adam(0.005), x, y, {"epochs": 10})


@healthy("binary")
def hinge_with_signs(rng: Rng) -> Run:
    """A margin between -1 and 1."""
    x, y = scaled("breast_cancer", rng)
    return Run([Dense(1)], "hinge", SGD(0.01), x, 2 * y - 1, {"epochs": 20})


@healthy("binary")
def one_in_thirty_weighted(rng: Rng) -> Run:
    """A rare class that counts thirtyfold."""
    y = (rng.random(900) < 1 / 30).astype(int)
    x = rng.normal(size=(900, 6)) + 2.0 * y[:, np.newaxis]
    more = {"epochs": 10, "class_weight": {0: 1.0, 1: 30.0}}
    return Run([Dense(16, "relu"), Dense(1, "sigmoid")], "binary_crossentropy", Adam(0.005), x, y, more)


@healthy("binary")
def squared_error_of_a_sigmoid(rng: Rng) -> Run:
    """Brier's score."""
    x, y = clouds(rng)
    return Run([Dense(32, "tanh"), Dense(1, "sigmoid")], "mse", Adam(0.01), x, y, {"epochs": 15}, metrics=["accuracy"])


@healthy("binary")
def raw_tumours_behind_batch_norm(rng: Rng) -> Run:
    """Raw units; batch normalization stands in front."""
    x, y = table("breast_cancer", rng)
    layers = [BatchNormalization(), Dense(16, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.01), x, y, {"epochs": 15})


@healthy("binary")
def even_or_odd(rng: Rng) -> Run:
    """Answers as a column of truths."""
    x, y = table("digits", rng, 800)
    layers = [Dense(48, "relu"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.005), x / 16, (y % 2 == 0)[:, np.newaxis], {"epochs": 12})


@healthy("binary")
def two_units_for_yes_and_no(rng: Rng) -> Run:
    """A softmax over two units."""
    x, y = scaled("breast_cancer", rng)
    return Run([Dense(12, "relu"), Dense(2, "softmax")], _SPARSE, Adam(0.005), x, y, {"epochs": 10})


@healthy("binary")
def sparse_words(rng: Rng) -> Run:
    """A sparse matrix, nearly all of it 0."""
    x, y = bags(rng, 600, 400, 4)
    given = sparse.csr_matrix(x)
    return Run(
        [Dense(16, "relu"), Dense(1, "sigmoid")], "binary_crossentropy", Adam(0.005), given, y % 2, {"epochs": 12}
    )


@healthy("binary")
def focal_loss_of_rare_cases(rng: Rng) -> Run:
    """One in ten, by a loss made for them."""
    y = (rng.random(900) < 0.1).astype(int)
    x = rng.normal(size=(900, 6)) + 1.8 * y[:, np.newaxis]
    loss = BinaryFocalCrossentropy(apply_class_balancing=True, alpha=0.8)
    return Run([Dense(16, "relu"), Dense(1, "sigmoid")], loss, Adam(0.01), x, y, {"epochs": 12})


@healthy("binary")
def xor_of_four_rows(rng: Rng) -> Run:
    """Four rows are all there are."""
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], dtype=float)
    layers = [Dense(8, "tanh"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.05), x, np.array([0, 1, 1, 0]), {"epochs": 200})


@healthy("binary")
def random_features_stay_frozen(rng: Rng) -> Run:
    """A first layer that is never trained, as it is meant."""
    x, y = clouds(rng)
    layers = [Dense(200, "relu", trainable=False), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.005), x, y, {"epochs": 12})


@healthy("binary")
def shallow_small_start(rng: Rng) -> Run:
    """First weights of 0.05 in a shallow network."""
    x, y = scaled("breast_cancer", rng)
    layers = [Dense(16, "sigmoid", kernel_initializer="random_normal"), Dense(1, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.01), x, y, {"epochs": 15})


# ---------------------------------------------------------------------- one of several
@healthy("multi-class")
def softmax_regression_of_pictures(rng: Rng) -> Run:
    """No hidden layer."""
    x, y = table("digits", rng, 900)
    return Run([Dense(10, "softmax")], _SPARSE, SGD(0.3), x / 16, y, {"epochs": 15})


@healthy("multi-class")
def smoothed_labels(rng: Rng) -> Run:
    """Smoothing puts a floor under the loss, on purpose."""
    x, y = scaled("wine", rng)
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=0.15)
    return Run([Dense(16, "relu"), Dense(3)], loss, Adam(0.01), x, hot(y), {"epochs": 15}, metrics=["accuracy"])


@healthy("multi-class")
def soft_targets(rng: Rng) -> Run:
    """What another model believed, as targets."""
    x, y = clouds(rng, 600, 10, 3)
    belief = 0.85 * hot(y, 3) + 0.05
    layers = [Dense(32, "relu"), Dense(3, "softmax")]
    return Run(layers, "kl_divergence", Adam(0.005), x, belief, {"epochs": 20}, judge=(x, y))


@healthy("multi-class")
def embedded_words(rng: Rng) -> Run:
    """Numbers up to 800 that are words, not amounts."""
    y = rng.integers(0, 4, 500)
    words = rng.integers(0, 800, (500, 12))
    words[:, ::3] = 200 * y[:, np.newaxis] + rng.integers(0, 40, (500, 4))
    layers = [Embedding(800, 16), GlobalAveragePooling1D(), Dense(4, "softmax")]
    return Run(layers, _SPARSE, Adam(0.02), words, y, {"epochs": 10})


@healthy("multi-class")
def convolved_pictures(rng: Rng) -> Run:
    """Convolutions without a dense hidden layer."""
    x, y = pictures(rng)
    layers = [Conv2D(16, 3, activation="relu"), Conv2D(32, 3, activation="relu"), GlobalAveragePooling2D(), Dense(10)]
    return Run(layers, _logits(), Adam(0.01), x, y, {"epochs": 12})


@healthy("multi-class")
def wide_with_dropout(rng: Rng) -> Run:
    """Half of many units off, at the inputs a fifth."""
    x, y = table("digits", rng, 800)
    layers = [Dropout(0.2), Dense(256, "relu"), Dropout(0.5), Dense(10)]
    return Run(layers, _logits(), Adam(0.002), x / 16, y, {"epochs": 8})


@healthy("multi-class")
def wine_with_held_out_rows(rng: Rng) -> Run:
    """A fifth held out in every class."""
    x, y = scaled("wine", rng)
    more = {"epochs": 15, "validation_split": 0.2, "validation_stratify": True}
    return Run([Dense(16, "relu"), Dense(3, "softmax")], _SPARSE, Adam(0.01), x, y, more)


@healthy("multi-class")
def tanh_network(rng: Rng) -> Run:
    """Two layers of tanh."""
    x, y = scaled("wine", rng)
    return Run([Dense(16, "tanh"), Dense(16, "tanh"), Dense(3)], _logits(), Adam(0.01), x, y, {"epochs": 12})


def _soft(z: Any) -> Any:
    e = bl.ops.exp(z - bl.ops.max(z, axis=-1, keepdims=True))
    return e / bl.ops.sum(e, axis=-1, keepdims=True)


def _entropy(y: Any, p: Any) -> Any:
    return -bl.ops.sum(y * bl.ops.log(p + 1e-8), axis=-1)


@healthy("multi-class")
def softmax_by_hand(rng: Rng) -> Run:
    """Softmax and cross-entropy in one's own words."""
    x, y = clouds(rng, 600, 12, 4)
    return Run([Dense(48, "relu"), Dense(4), Lambda(_soft)], _entropy, Adam(0.005), x, hot(y, 4), {"epochs": 15})


@healthy("multi-class")
def room_for_more_classes(rng: Rng) -> Run:
    """Twelve units, ten of which are used so far."""
    x, y = table("digits", rng, 800)
    return Run([Dense(32, "relu"), Dense(12)], _logits(), Adam(0.005), x / 16, y, {"epochs": 12})


@healthy("multi-class")
def sorted_rows_shuffled(rng: Rng) -> Run:
    """Rows in order of their class: every epoch shuffles them."""
    x, y = table("digits", rng, 800)
    order = np.argsort(y, kind="stable")
    return Run([Dense(32, "relu"), Dense(10)], _logits(), Adam(0.005), x[order] / 16, y[order], {"epochs": 12})


@healthy("multi-class")
def grey_levels_0_to_16(rng: Rng) -> Run:
    """Small whole numbers as they are."""
    x, y = table("digits", rng, 900)
    return Run([Dense(48, "relu"), Dense(10, "softmax")], _SPARSE, Adam(), x, y, {"epochs": 12})


@healthy("multi-class")
def last_layer_starts_at_zero(rng: Rng) -> Run:
    """Every class equally likely at first."""
    x, y = scaled("wine", rng)
    layers = [Dense(24, "relu"), Dense(3, "softmax", kernel_initializer="zeros")]
    return Run(layers, _SPARSE, Adam(0.01), x, y, {"epochs": 15})


@healthy("multi-class")
def decaying_large_steps(rng: Rng) -> Run:
    """Steps of 0.5 with momentum, smaller from step to step."""
    x, y = table("digits", rng, 900)
    rate = SGD(bl.optimizers.schedules.ExponentialDecay(0.5, decay_steps=100, decay_rate=0.5), momentum=0.5)
    return Run([Dense(32, "relu"), Dense(10)], _logits(), rate, x / 16, y, {"epochs": 10})


@healthy("multi-class")
def few_flowers(rng: Rng) -> Run:
    """Thirty rows in centimetres."""
    x, y = table("iris", rng)
    rows = np.concatenate([np.flatnonzero(y == label)[:10] for label in range(3)])
    layers = [Dense(8, "relu"), Dense(3, "softmax")]
    return Run(layers, _SPARSE, Adam(0.02), x[rows], y[rows], {"epochs": 100, "batch_size": 10})


# ---------------------------------------------------------------------- several labels
@healthy("multi-label")
def tags_from_logits(rng: Rng) -> Run:
    """Five logits."""
    x, y = tags(rng)
    return Run([Dense(32, "relu"), Dense(5)], BinaryCrossentropy(from_logits=True), Adam(0.01), x, y, {"epochs": 15})


@healthy("multi-label")
def tags_from_sigmoids(rng: Rng) -> Run:
    """Sigmoids and the binary loss, with accuracy."""
    x, y = tags(rng)
    layers = [Dense(32, "tanh"), Dense(5, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.01), x, y, {"epochs": 15}, metrics=["accuracy"])


@healthy("multi-label")
def rare_tags(rng: Rng) -> Run:
    """Most rows have no label at all; rows of the rare ones count more."""
    x, _ = tags(rng, 800)
    y = (x[:, :4] > 1.5).astype(float)
    weights = np.where(y.any(axis=1), 3.0, 1.0)
    layers = [Dense(32, "relu"), Dense(4, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.01), x, y, {"epochs": 20, "sample_weight": weights})


@healthy("multi-label")
def tags_of_pictures(rng: Rng) -> Run:
    """Is it even, does it have a loop, is it above 4?"""
    x, y = pictures(rng)
    several = np.stack([y % 2 == 0, np.isin(y, (0, 6, 8, 9)), y > 4], axis=1)
    layers = [Conv2D(8, 3, activation="relu"), Flatten(), Dense(32, "relu"), Dense(3, "sigmoid")]
    return Run(layers, "binary_crossentropy", Adam(0.003), x, several, {"epochs": 8})


@healthy("multi-label")
def tags_by_squared_error(rng: Rng) -> Run:
    """Squared error between sigmoids and answers."""
    x, y = tags(rng)
    return Run([Dense(32, "relu"), Dense(5, "sigmoid")], "mse", Adam(0.01), x, y, {"epochs": 15})


@healthy("multi-label")
def tags_with_weights(rng: Rng) -> Run:
    """Rows that count for little, and wrong labels in them."""
    x, y = tags(rng)
    weights = np.where(np.arange(500) < 100, 0.02, 1.0)
    given = np.where(weights[:, np.newaxis] < 1, 1 - y, y)
    layers = [Dense(32, "relu"), Dense(5, "sigmoid")]
    more = {"epochs": 15, "sample_weight": weights}
    return Run(layers, "binary_crossentropy", Adam(0.01), x, given, more, judge=(x[100:], y[100:]))


@healthy("multi-label")
def tags_as_signs(rng: Rng) -> Run:
    """Answers -1 and 1, tanh, squared hinge."""
    x, y = tags(rng)
    return Run([Dense(32, "relu"), Dense(5, "tanh")], "squared_hinge", Adam(0.01), x, 2 * y - 1, {"epochs": 15})
