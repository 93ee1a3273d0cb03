"""Four numbers become four shares that add up to 1; and the same inside of a loss, where nothing overflows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab, Slider


def by_hand(z: np.ndarray) -> np.ndarray:
    """e^z over the sum of all e^z, as one writes it first."""
    e = np.exp(z)
    return np.asarray(e / e.sum())


def compute(z0: float, z1: float, z2: float, z3: float) -> Found:
    """Shares, what moving all of z or one of them does, and the loss by two ways."""
    z = np.array([z0, z1, z2, z3])
    a = by_hand(z)
    more = by_hand(z + np.array([0, 0, 0, 1.0]))
    hot = np.eye(4)[2]
    sparse = bl.losses.SparseCategoricalCrossentropy(from_logits=True)
    dense = bl.losses.CategoricalCrossentropy(from_logits=True)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        large = by_hand(np.array([1000.0, 0.0]))
        naive = -np.log(large)
    stable = [float(sparse([k], np.array([[1000.0, 0.0]]))) for k in (0, 1)]
    return {
        "z": z,
        "softmax(z)": a,
        "their sum": float(a.sum()),
        "bl.nn.softmax(z), largest difference": float(np.abs(np.asarray(bl.nn.softmax(z)) - a).max()),
        "softmax(z + 5), largest difference": float(np.abs(by_hand(z + 5) - a).max()),
        "shares that change if z3 grows by 1": int(np.sum(~np.isclose(more, a))),
        "argmax": int(a.argmax()),
        "loss for y = 2 (sparse)": float(sparse([2], z[None])),
        "loss for y = [0 0 1 0] (one-hot)": float(dense(hot[None], z[None])),
        "naive loss at z = (1000, 0), y = 0 and 1": naive,
        "loss from logits there": np.array(stable),
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """z and its shares as bars."""
    return {"bars": bl.plot.softmax(found["z"])}


LAB = Lab(
    name="softmax",
    title="Softmax: every share depends on every z",
    about="What does softmax do that a sigmoid for each unit does not, and why is it better left to the loss?",
    says="Softmax shares out 1 among all classes, so moving one z moves every share; computed inside the loss, from the"
    " logits, it neither overflows nor loses digits.",
    compute=compute,
    pictures=pictures,
    sliders=tuple(Slider(f"z{k}", -10, 10, k + 1.0, says=f"logit of class {k}") for k in range(4)),
    golden=(
        Golden("softmax(1, 2, 3, 4)", "softmax(z)", np.array([0.0321, 0.0871, 0.2369, 0.6439]), 5e-5),
        Golden("the shares add up to 1", "their sum", 1.0, 1e-15),
        Golden("the library's own softmax gives the same", "bl.nn.softmax(z), largest difference", 0.0, 1e-15),
        Golden("adding a number to all z changes nothing", "softmax(z + 5), largest difference", 0.0, 1e-15),
        Golden("all four shares move with z3", "shares that change if z3 grows by 1", 4),
        Golden("a class's number and its one-hot row give one loss", "loss for y = [0 0 1 0] (one-hot)", 1.4402, 5e-5),
        Golden("log of softmax by hand breaks", "naive loss at z = (1000, 0), y = 0 and 1", np.array([np.nan, np.inf])),
        Golden("from logits it does not", "loss from logits there", np.array([0.0, 1000.0]), 1e-12),
    ),
    rows=("C367", "C346", "W037", "W040", "F003", "Q008", "Q051"),
    shown=(
        "softmax(z)", "their sum", "argmax", "shares that change if z3 grows by 1", "loss for y = 2 (sparse)",
        "loss for y = [0 0 1 0] (one-hot)", "naive loss at z = (1000, 0), y = 0 and 1", "loss from logits there",
    ),
)  # fmt: skip
