"""Zeros, small, fitting and large first weights, and what each does to training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from ..pictures.canvas import COLOURS, label, legend, open_frame, sheet
from .lab import Found, Golden, Lab

SCALES = (0.01, 0.1, 1.0, 100.0)
STEPS = 1_000


def separated() -> tuple[np.ndarray, np.ndarray]:
    """X (m, 2) and y (m, 1): which quadrants."""
    X = np.random.default_rng(0).standard_normal((100, 2))
    return X, (X[:, :1] * X[:, 1:] > 0).astype(float)


def network(first: Any, hidden: str = "tanh") -> bl.Sequential:
    """2-2-1 with these first weights."""

    def dense(n: int, g: str | None) -> Any:
        return bl.layers.Dense(n, activation=g, kernel_initializer=first, dtype="float64")

    model = bl.Sequential([bl.Input((2,), dtype="float64"), dense(2, hidden), dense(1, None)])
    model.compile(bl.optimizers.SGD(0.5), bl.losses.BinaryCrossentropy(from_logits=True))
    return model


def after(first: Any, hidden: str = "tanh") -> tuple[list[np.ndarray], list[float]]:
    """Weights and costs after so many steps on all rows."""
    model, (X, y) = network(first, hidden), separated()
    history = model.fit(X, y, batch_size=len(X), epochs=STEPS, shuffle=False, verbose=0, doctor="off")
    return model.get_weights(), list(history.history["loss"])


def slopes(activation: str) -> np.ndarray:
    """The mean slope of units with 100 inputs from N(0, 1), for each scale of the weights."""
    rng, found = np.random.default_rng(1), []
    X, W = rng.standard_normal((500, 100)), rng.standard_normal((100, 200))
    for scale in SCALES:
        z = bl.variable(X @ (scale * W), name="z")
        a = getattr(bl.ops, activation)(z)
        found.append(float(np.mean(bl.grad(bl.ops.sum(a), z).value)))
    return np.array(found)


def compute() -> Found:
    """2-2-1 networks from zeros, one constant and small random numbers; slopes by scale."""
    bl.random.set_seed(0)
    zero, zero_costs = after("zeros")
    same, same_costs = after(bl.initializers.Constant(0.1))
    small, small_costs = after(bl.initializers.RandomNormal(stddev=0.01, seed=1))
    return {
        "costs": {"zeros": zero_costs, "all 0.1": same_costs, "0.01 · N(0, 1)": small_costs},
        "zeros, tanh: largest |W| after 1,000 steps": float(max(np.abs(zero[0]).max(), np.abs(zero[2]).max())),
        "all 0.1: largest difference of the two units": float(np.abs(same[0][:, 0] - same[0][:, 1]).max()),
        "0.01 · N(0, 1): largest difference of the two units": float(np.abs(small[0][:, 0] - small[0][:, 1]).max()),
        "scales": SCALES,
        "mean slope of sigmoid": slopes("sigmoid"),
        "mean slope of tanh": slopes("tanh"),
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """Costs from the three beginnings, slopes by scale."""
    figure, panels = sheet("Equal units stay equal, and large weights leave no slope to learn by", (9.4, 3.8), 1, 2)
    left, right = panels[0]
    for (name, costs), colour in zip(found["costs"].items(), COLOURS, strict=False):
        left.plot(costs, color=colour, linewidth=2.2, label=name)
    label(left, "step", "cost")
    for key, colour in zip(("mean slope of sigmoid", "mean slope of tanh"), COLOURS, strict=False):
        right.plot(found["scales"], found[key], "o-", color=colour, linewidth=2, label=key)
    right.set(xscale="log", yscale="log")
    label(right, "scale of the weights (100 inputs)", "mean g'(z)")
    for axes in (left, right):
        open_frame(axes)
        legend(axes)
    return {"beginnings": figure}


LAB = Lab(
    name="initialisation",
    title="First weights: different, and of the right size",
    about="Why not all zeros, why not all the same, and why 0.01 rather than 100?",
    says="Units that begin equal get equal gradients and stay one unit; weights that are large saturate sigmoid and tanh,"
    " whose slope, and with it every gradient, is then near 0.",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("from zeros W stays exactly 0", "zeros, tanh: largest |W| after 1,000 steps", 0.0),
        Golden("two equal units stay equal", "all 0.1: largest difference of the two units", 0.0, 1e-12),
        Golden("small random ones part", "0.01 · N(0, 1): largest difference of the two units", lambda apart: apart > 0.1),
        Golden("sigmoid's slope by scale", "mean slope of sigmoid", np.array([0.249, 0.207, 0.039, 0.0003]), 4e-3),
        Golden("tanh's slope by scale", "mean slope of tanh", np.array([0.990, 0.607, 0.079, 0.0007]), 8e-3),
    ),
    rows=("C378", "W027", "W028", "W029", "Q044", "Q045"),
    shown=(
        "zeros, tanh: largest |W| after 1,000 steps", "all 0.1: largest difference of the two units",
        "0.01 · N(0, 1): largest difference of the two units", "scales", "mean slope of sigmoid", "mean slope of tanh",
    ),
)  # fmt: skip
