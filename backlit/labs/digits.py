"""Handwritten digits: build the course's network, train it, look at its logits, its probabilities and its mistakes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab

EPOCHS, SEED = 60, 1


def data() -> tuple[np.ndarray, np.ndarray]:
    """The 1,797 bundled digits, 8 × 8 pixels, 0 to 1 (the course's lab has 20 × 20: its first layer is larger)."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    return X / 16, y


def network(inputs: int) -> bl.Sequential:
    """25-15-10 as in the course, logits at its end."""
    return bl.Sequential(
        [
            bl.Input((inputs,)),
            bl.layers.Dense(25, activation="relu", name="L1"),
            bl.layers.Dense(15, activation="relu", name="L2"),
            bl.layers.Dense(10, name="L3"),
        ],
        name="my_model",
    )


def compute() -> Found:
    """Train on 1,437 digits, look at the 360 others."""
    X, y = data()
    order = np.random.default_rng(SEED).permutation(len(X))
    train, test = order[:1437], order[1437:]
    bl.random.set_seed(SEED)
    model = network(X.shape[1])
    model.compile(
        bl.optimizers.Adam(0.003), bl.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"]
    )
    model.fit(X[train], y[train], epochs=EPOCHS, verbose=0, doctor="off")
    one = X[test[:1]]
    logits = model.predict(one, verbose=0)
    chances = np.asarray(bl.nn.softmax(logits))
    guessed = model.predict(X[test], verbose=0).argmax(1)
    return {
        "model": model,
        "X": X[test],
        "y": y[test],
        "shape of X": str(X.shape),
        "parameters on 8 × 8": int(model.count_params()),
        "parameters on the course's 20 × 20": int(network(400).count_params()),
        "logits of one digit": logits[0],
        "softmax of them": chances[0],
        "their sum": float(chances.sum()),
        "class by logits, by softmax, and the label": np.array([logits.argmax(), chances.argmax(), y[test[0]]]),
        "right on 360 digits": float((guessed == y[test]).mean()),
        "mistakes": int((guessed != y[test]).sum()),
        "weights": ", ".join(str(each.shape) for each in model.get_weights()),
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """Errors first, the first layer's weights, the confusion."""
    model, X, y = found["model"], found["X"], found["y"]
    return {
        "digits": bl.plot.images(X, y, model, shape=(8, 8)),
        "first layer": bl.plot.weights(model, shape=(8, 8)),
        "confusion": bl.plot.confusion(model, X, y),
        "loss": bl.plot.history(model),
    }


LAB = Lab(
    name="digits",
    title="Handwritten digits with 25, 15 and 10 units",
    about="What comes out of the course's network for one digit, and which digits does it get wrong?",
    says="The network gives ten logits; softmax makes probabilities of them without changing which is the largest, and a"
    " look at its mistakes shows digits that people doubt, too.",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("10,575 parameters on 400 inputs", "parameters on the course's 20 × 20", 10_575),
        Golden("the probabilities add up to 1", "their sum", 1.0, 1e-6),
        Golden("argmax is the same before and after softmax", "class by logits, by softmax, and the label",
               lambda three: three[0] == three[1]),
        Golden("at least 94 % of new digits are right", "right on 360 digits", lambda share: share >= 0.94),
    ),
    rows=("C371", "C348", "C131", "W020", "W036", "F009", "Q006", "Q057"),
    shown=(
        "shape of X", "weights", "parameters on 8 × 8", "parameters on the course's 20 × 20", "logits of one digit",
        "softmax of them", "class by logits, by softmax, and the label", "right on 360 digits", "mistakes",
    ),
)  # fmt: skip
