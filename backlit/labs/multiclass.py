"""Four groups of points, two ReLU units, four logits: which unit tells which classes apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab

CENTRES = ((-5, 2), (-2, -2), (1, 2), (5, -2))
EPOCHS, SEED = 200, 1


def blobs() -> tuple[np.ndarray, np.ndarray]:
    """The lab's data: 100 points around four centres, with scikit-learn's own generator."""
    from sklearn.datasets import make_blobs

    X, y = make_blobs(n_samples=100, centers=np.array(CENTRES, float), cluster_std=1.0, random_state=30)
    return X, y


def network(seed: int) -> bl.Sequential:
    """Two ReLU units and four logits, trained as in the lab."""
    bl.random.set_seed(seed)
    model = bl.Sequential(
        [bl.Input((2,)), bl.layers.Dense(2, activation="relu", name="L1"), bl.layers.Dense(4, name="L2")]
    )
    model.compile(bl.optimizers.Adam(0.01), bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    X, y = blobs()
    model.fit(X, y, epochs=EPOCHS, verbose=0, doctor="off")
    return model


def compute() -> Found:
    """A network that tells all four apart, unit by unit; and how many of ten first weights do."""
    X, y = blobs()
    models = [network(seed) for seed in range(10)]
    shares = [float((each.predict(X, verbose=0).argmax(1) == y).mean()) for each in models]
    model = models[int(np.argmax(shares))]
    hidden = np.asarray(bl.Model(model.inputs, model.get_layer("L1").output)(X.astype("float32")))
    logits = model.predict(X, verbose=0)
    chances = np.asarray(bl.nn.softmax(logits))
    on = hidden > 0
    mostly = [["on" if share > 0.5 else "off" for share in on[y == c].mean(axis=0)] for c in range(4)]
    return {
        "model": model,
        "X": X,
        "y": y,
        "classes in y": np.unique(y),
        "first ten labels": y[:10],
        "shapes of X and y": f"{X.shape} {y.shape}",
        "parameters": int(model.count_params()),
        "right, for ten first weights": np.round(shares, 2),
        "how many of ten reach 100 %": int(np.sum(np.equal(shares, 1))),
        "right, best of ten": max(shares),
        "share of each class that unit 0 is on for": np.array([on[y == c, 0].mean() for c in range(4)]),
        "share of each class that unit 1 is on for": np.array([on[y == c, 1].mean() for c in range(4)]),
        "unit 0 and unit 1, by class": ", ".join(f"{c}: {' '.join(code)}" for c, code in enumerate(mostly)),
        "points where both units are off": int((~on).all(1).sum()),
        "logits of the first point": logits[0],
        "their softmax": chances[0],
        "softmax changes the class of": int((chances.argmax(1) != logits.argmax(1)).sum()),
        "lowest and highest logit": np.array([logits.min(), logits.max()]),
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """Regions; the units of layer 1 over the inputs; those of layer 2 over what layer 1 makes of them."""
    model, X, y = found["model"], found["X"], found["y"]
    return {
        "layer 1": bl.plot.units(model, X, y, layer="L1"),
        "layer 2": bl.plot.units(model, X, y, layer="L2", space="previous"),
        "regions": bl.plot.regions(model, X, y),
    }


LAB = Lab(
    name="multiclass",
    title="Four classes with two ReLU units",
    about="How can two units that each draw one line tell four classes apart, and what does the layer behind them see?",
    says="Each unit is off on one side of its line, so two units give four codes; the layer behind them works on those two"
    " numbers alone, and where both are off all points lie at (0, 0).",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("classes 0 to 3", "classes in y", np.arange(4)),
        Golden("2 · 2 + 2 + 2 · 4 + 4 = 18 parameters", "parameters", 18),
        Golden(
            "every class has a code of its own", "unit 0 and unit 1, by class",
            lambda codes: len({code.split(": ")[1] for code in codes.split(", ")}) == 4,
        ),
        Golden("most first weights tell all four apart", "how many of ten reach 100 %", lambda count: count >= 5),
        Golden("the best does", "right, best of ten", 1.0),
        Golden("softmax does not change the class", "softmax changes the class of", 0),
        Golden("logits are of both signs", "lowest and highest logit", lambda ends: ends[0] < 0 < ends[1]),
    ),
    rows=("C368", "C343", "C344", "W035", "F004", "F005", "F006", "Q009", "Q010", "Q012", "Q013", "Q014", "Q016"),
    shown=(
        "classes in y", "first ten labels", "shapes of X and y", "parameters", "right, for ten first weights",
        "share of each class that unit 0 is on for", "share of each class that unit 1 is on for",
        "unit 0 and unit 1, by class", "points where both units are off",
        "logits of the first point", "their softmax", "lowest and highest logit",
    ),
)  # fmt: skip
