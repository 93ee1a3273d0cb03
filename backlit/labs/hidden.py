"""One hidden layer by hand: four equations forward, six back, examples as columns as in the course."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab, Slider

UNITS, STEPS, RATE = 4, 2_000, 1.2


def flower(count: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """X (2, m) and Y (1, m): petals of two colours."""
    rng = np.random.default_rng(1)
    half, X, Y = count // 2, [], []
    for label in range(2):
        t = np.linspace(label * 3.12, (label + 1) * 3.12, half) + rng.standard_normal(half) * 0.2
        r = 4 * np.sin(4 * t) + rng.standard_normal(half) * 0.2
        X.append(np.stack([r * np.sin(t), r * np.cos(t)]))
        Y.append(np.full((1, half), float(label)))
    return np.concatenate(X, axis=1), np.concatenate(Y, axis=1)


def first(inputs: int, units: int) -> dict[str, np.ndarray]:
    """Small random weights, zero biases; W (units, inputs), b (units, 1)."""
    rng = np.random.default_rng(2)
    return {
        "W1": 0.01 * rng.standard_normal((units, inputs)), "b1": np.zeros((units, 1)),
        "W2": 0.01 * rng.standard_normal((1, units)), "b2": np.zeros((1, 1)),
    }  # fmt: skip


def forward(p: Mapping[str, np.ndarray], X: np.ndarray) -> dict[str, np.ndarray]:
    """The four equations."""
    Z1 = p["W1"] @ X + p["b1"]
    A1 = np.tanh(Z1)
    Z2 = p["W2"] @ A1 + p["b2"]
    A2 = 1 / (1 + np.exp(-Z2))
    return {"Z1": Z1, "A1": A1, "Z2": Z2, "A2": A2}


def cost(A2: np.ndarray, Y: np.ndarray) -> float:
    """The mean of −y log a − (1 − y) log(1 − a)."""
    return float(-np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2)))


def backward(
    p: Mapping[str, np.ndarray], cache: Mapping[str, np.ndarray], X: np.ndarray, Y: np.ndarray
) -> dict[str, np.ndarray]:
    """The six equations."""
    m = X.shape[1]
    dZ2 = cache["A2"] - Y
    dW2 = dZ2 @ cache["A1"].T / m
    db2 = dZ2.sum(axis=1, keepdims=True) / m
    dZ1 = (p["W2"].T @ dZ2) * (1 - cache["A1"] ** 2)
    dW1 = dZ1 @ X.T / m
    db1 = dZ1.sum(axis=1, keepdims=True) / m
    return {"W1": dW1, "b1": db1, "W2": dW2, "b2": db2}


def network(p: Mapping[str, np.ndarray]) -> bl.Sequential:
    """The same network of the library: examples as rows, so W is turned."""
    units = p["W1"].shape[0]
    hidden = bl.layers.Dense(units, activation="tanh", dtype="float64")
    out = bl.layers.Dense(1, dtype="float64")
    model = bl.Sequential([bl.Input((2,), dtype="float64"), hidden, out])
    hidden.set_weights([p["W1"].T, p["b1"][:, 0]])
    out.set_weights([p["W2"].T, p["b2"][:, 0]])
    model.compile(bl.optimizers.SGD(RATE), bl.losses.BinaryCrossentropy(from_logits=True))
    return model


def compute(units: float) -> Found:
    """By hand and by the library from the same weights; the gradient against differences."""
    X, Y = flower()
    p = first(2, int(units))
    model, shapes = network(p), {name: each.shape for name, each in p.items()}
    gradients = backward(p, forward(p, X), X, Y)
    checked = abs(gradients["W1"][0, 0] - _difference(p, X, Y, "W1", (0, 0)))
    costs = []
    for _ in range(STEPS):
        cache = forward(p, X)
        costs.append(cost(cache["A2"], Y))
        change = backward(p, cache, X, Y)
        p = {name: p[name] - RATE * change[name] for name in p}
    history = model.fit(X.T, Y.T, batch_size=X.shape[1], epochs=STEPS, shuffle=False, verbose=0, doctor="off")
    apart = np.abs(np.subtract(history.history["loss"], costs))
    chosen = forward(p, X)["A2"] > 0.5
    return {
        "model": model,
        "X": X.T,
        "y": Y[0],
        "shapes": ", ".join(f"{name} {shape}" for name, shape in shapes.items()),
        "gradient of W1[0, 0] less its difference quotient": float(checked),
        "cost before the first step": costs[0],
        "cost at the end": costs[-1],
        "first 100 costs: largest difference to the library": float(apart[:100].max()),
        "right at the threshold 0.5": float(np.mean(chosen == Y)),
        "a straight line gets right": _line(X, Y),
    }


def _difference(p: Mapping[str, np.ndarray], X: np.ndarray, Y: np.ndarray, name: str, place: tuple[int, int]) -> float:
    ends = []
    for eps in (1e-6, -1e-6):
        moved = {**p, name: p[name].copy()}
        moved[name][place] += eps
        ends.append(cost(forward(moved, X)["A2"], Y))
    return (ends[0] - ends[1]) / 2e-6


def _line(X: np.ndarray, Y: np.ndarray) -> float:
    """Logistic regression on the same points."""
    w, b = np.zeros((2, 1)), 0.0
    for _ in range(STEPS):
        dZ = 1 / (1 + np.exp(-(w.T @ X + b))) - Y
        w, b = w - 0.1 * X @ dZ.T / X.shape[1], b - 0.1 * float(dZ.mean())
    return float(np.mean((w.T @ X + b > 0) == Y))


def pictures(found: Found) -> Mapping[str, Any]:
    """What it takes for which colour, and how the cost fell."""
    return {
        "regions": bl.plot.regions(found["model"], found["X"], found["y"]),
        "cost": bl.plot.history(found["model"]),
    }


LAB = Lab(
    name="hidden",
    title="One hidden layer by hand: four equations forward, six back",
    about="What has to be written down to train a network with one hidden layer, and does the library do anything else?",
    says="Ten equations are the whole of it; with them, and from the same weights, the cost falls exactly as the library's,"
    " to where no straight line comes.",
    compute=compute,
    pictures=pictures,
    sliders=(Slider("units", 1, 20, float(UNITS), 1, "units of the hidden layer"),),
    golden=(
        Golden("W [1] is (units, inputs), b [1] (units, 1)", "shapes", "W1 (4, 2), b1 (4, 1), W2 (1, 4), b2 (1, 1)"),
        Golden("the gradient agrees with differences", "gradient of W1[0, 0] less its difference quotient", 0.0, 1e-9),
        Golden("from small weights the cost is near ln 2", "cost before the first step", np.log(2), 1e-4),
        Golden("library and hand agree", "first 100 costs: largest difference to the library", 0.0, 1e-9),
        Golden("the hidden layer gets most right", "right at the threshold 0.5", lambda share: share > 0.85),
        Golden("a line does not", "a straight line gets right", lambda share: share < 0.6),
    ),
    rows=("C376", "C192", "W023", "W032"),
    shown=(
        "shapes", "gradient of W1[0, 0] less its difference quotient", "cost before the first step", "cost at the end",
        "first 100 costs: largest difference to the library", "right at the threshold 0.5", "a straight line gets right",
    ),
)  # fmt: skip
