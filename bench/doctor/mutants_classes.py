"""Mutants of three classifiers: one change each. Bags of words, pictures, wines."""

from __future__ import annotations

from typing import Any

import numpy as np

from backlit.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, MaxPooling2D
from backlit.losses import SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adadelta, Adam
from backlit.regularizers import L1

from .data import Rng, bags, hot, pictures, scaled, table
from .program import Fault, Run, mutant

Cured = frozenset[str]

_SPARSE = "sparse_categorical_crossentropy"


# ---------------------------------------------------------------------- bags of words
def bag(rng: Rng, last: str | None = "softmax", loss: Any = _SPARSE, rate: Any = None, **hidden: Any) -> Run:
    """The sound program: 300 words, 8 topics."""
    x, y = bags(rng)
    layers = [Dense(64, "relu", **hidden), Dropout(0.5), Dense(8, last)]
    return Run(layers, loss, rate or Adam(0.002), x, y, {"epochs": 6})


@mutant("multi-class", weights=Fault((51,), 0, "regularizer"))
def bag_heavy_l1(rng: Rng, cured: Cured) -> Run:
    """A penalty that outweighs the data."""
    return bag(rng, kernel_regularizer=L1(1e-5 if cured else 0.05))


@mutant("multi-class", output=Fault((3, 41), -1, "activation"))
def bag_softsign_output(rng: Rng, cured: Cured) -> Run:
    """Numbers from -1 to 1 as probabilities."""
    return bag(rng, last="softmax" if cured else "softsign")


@mutant("multi-class", rate=Fault((32, 40, 41, 37, 47), None, "learning_rate"))
def bag_rate_of_one(rng: Rng, cured: Cured) -> Run:
    """Steps that throw every weight away."""
    return bag(rng, rate=Adam(0.002 if cured else 1.0))


@mutant("multi-class", loss=Fault((7, 11), None, "loss", silent=True), extra=(33, 36, 35))
def bag_plain_hinge(rng: Rng, cured: Cured) -> Run:
    """The hinge for two classes, on rows of -1 and 1, behind a softmax."""
    run = bag(rng, loss="categorical_crossentropy" if cured else "hinge")
    y = hot(run.y)
    judge = run.x, run.y
    return Run(run.layers, run.loss, run.optimizer, run.x, y if cured else 2 * y - 1, run.fit, judge=judge)


@mutant("multi-class", optimizer=Fault((35, 33, 36), None, "optimizer"))
def bag_plain_sgd(rng: Rng, cured: Cured) -> Run:
    """Plain steps of 0.01, where few are taken."""
    return bag(rng, rate=Adam(0.002) if cured else SGD())


@mutant("multi-class", start=Fault((17, 16), 0, "initializer"))
def bag_ones_start(rng: Rng, cured: Cured) -> Run:
    """All first weights 1."""
    return bag(rng, kernel_initializer="glorot_uniform" if cured else "ones")


@mutant("multi-class", output=Fault((5, 3, 41), -1, "activation"))
def bag_linear_output(rng: Rng, cured: Cured) -> Run:
    """Logits for a loss that takes probabilities."""
    return bag(rng, last="softmax" if cured else None)


# ---------------------------------------------------------------------- pictures
def picture(rng: Rng, last: str | None = "softmax", loss: Any = _SPARSE, rate: Any = None, **more: Any) -> Run:
    """The sound program: two convolutions on digits; `more`: "hidden", the activation of the dense layer, and what else
    the first convolution takes."""
    x, y = pictures(rng)
    hidden = more.pop("hidden", "relu")
    layers = [Conv2D(8, 3, activation="relu", **more), Conv2D(16, 3, activation="relu"), MaxPooling2D()]
    layers += [Dropout(0.25), Flatten(), Dense(32, hidden), Dropout(0.25), Dense(10, last)]
    return Run(layers, loss, rate or Adadelta(1.0), x, y, {"epochs": 8})


@mutant("multi-class", start=Fault((16, 42), 0, "initializer"))
def picture_zero_kernel(rng: Rng, cured: Cured) -> Run:
    """The first filters are 0, and their ReLU passes nothing back."""
    return picture(rng, kernel_initializer="glorot_uniform" if cured else "zeros")


@mutant("multi-class", output=Fault((5, 3, 41), -1, "activation"))
def picture_linear_output(rng: Rng, cured: Cured) -> Run:
    """Logits for a loss that takes probabilities."""
    return picture(rng, last="softmax" if cured else None)


@mutant("multi-class", rate=Fault((33, 36, 35), None, "learning_rate"))
def picture_tiny_rate(rng: Rng, cured: Cured) -> Run:
    """Adadelta at the rate of other optimizers."""
    return picture(rng, rate=Adadelta(1.0 if cured else 0.001))


@mutant("multi-class", output=Fault((4,), -1, "activation"))
def picture_double_softmax(rng: Rng, cured: Cured) -> Run:
    """A softmax in the layer and another one in the loss."""
    return picture(rng, loss=SparseCategoricalCrossentropy(from_logits=not cured))


@mutant("multi-class", hidden=Fault((14, 15, 38, 39, 4), 5, "activation"), extra=(33, 36))
def picture_softmax_hidden(rng: Rng, cured: Cured) -> Run:
    """A softmax within the network: its 32 units share 1."""
    return picture(rng, hidden="relu" if cured else "softmax", rate=Adadelta(1.0))


@mutant("multi-class", rows=Fault((25,), None, "y"), extra=(36,))
def picture_rare_classes(rng: Rng, cured: Cured) -> Run:
    """Two frequent digits and two rare ones."""
    run = picture(rng, rate=Adam(0.001))
    few = np.zeros(10, int)
    few[:2], few[2:4] = 60, 5
    order = np.concatenate([np.flatnonzero(run.y == label)[:count] for label, count in enumerate(few)])
    run.judge = (run.x[run.y < 4], run.y[run.y < 4])
    run.x, run.y = run.x[order], run.y[order]
    run.fit = {"epochs": 20, **({"class_weight": "balanced"} if cured else {})}
    return run


@mutant("multi-class", held=Fault((27, 56), None, "validation", silent=True))
def picture_inverted_validation(rng: Rng, cured: Cured) -> Run:
    """Held-out pictures are black on white, those to train on white on black."""
    run = picture(rng)
    x, y = run.x, run.y
    run.fit["validation_data"] = (x[500:] if cured else 1 - x[500:], y[500:])
    run.x, run.y = x[:500], y[:500]
    return run


@mutant("multi-class", axes=Fault((57,), 0, "x"))
def picture_channels_first(rng: Rng, cured: Cured) -> Run:
    """Pictures (m, 1, 8, 8) for windows that slide over axes 1 and 2."""
    x, y = pictures(rng)
    layers = [Conv2D(8, 3, padding="same", activation="relu"), Conv2D(8, 3, padding="same", activation="relu")]
    layers += [Flatten(), Dense(10, "softmax")]
    given = x if cured else np.moveaxis(x, 3, 1)
    return Run(layers, _SPARSE, Adam(), given, y, {"epochs": 3})


@mutant("multi-class", batch=Fault((53, 31, 54), None, "batch_size"))
def picture_batch_of_one(rng: Rng, cured: Cured) -> Run:
    """Batch normalization of single rows: every feature is its own mean."""
    x, y = pictures(rng, 300)
    layers = [Flatten(), Dense(32), BatchNormalization(), Activation("relu"), Dense(10, "softmax")]
    return Run(layers, _SPARSE, Adam(0.003), x, y, {"epochs": 5, "batch_size": 32 if cured else 1})


# ---------------------------------------------------------------------- wines
def wine(rng: Rng, last: str = "softmax", raw: bool = False) -> Run:
    """The sound program: 13 standardised features, 3 cultivars."""
    x, y = (table if raw else scaled)("wine", rng)
    return Run([Dense(16, "relu"), Dense(3, last)], _SPARSE, Adam(0.005), x, y, {"epochs": 20})


@mutant("multi-class", scale=Fault((20,), 0, "x"))
def wine_raw(rng: Rng, cured: Cured) -> Run:
    """Features of very different size."""
    return wine(rng, raw=not cured)


@mutant("multi-class", output=Fault((2,), -1, "activation", silent=True))
def wine_sigmoid_output(rng: Rng, cured: Cured) -> Run:
    """Probabilities that do not compete."""
    return wine(rng, last="softmax" if cured else "sigmoid")


@mutant("multi-class", order=Fault((28, 45), None, "y"), extra=(50, 47))
def wine_shuffled_labels(rng: Rng, cured: Cured) -> Run:
    """Rows were shuffled, their labels were not."""
    run = wine(rng)
    if not cured:
        run.y = rng.permutation(run.y)
    return run
