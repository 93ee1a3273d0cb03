"""Logistic regression three times: in loops over examples and inputs, without them, and by the library."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import backlit as bl

from ..pictures.canvas import BLUE, ORANGE, label, legend, open_frame, sheet
from .lab import Found, Golden, Lab, Slider

EXAMPLES, INPUTS, STEPS = 200, 6, 60


def data() -> tuple[np.ndarray, np.ndarray]:
    """X (m, n) and y (m,): which side of a plane, for some examples told wrong."""
    rng = np.random.default_rng(7)
    X = rng.standard_normal((EXAMPLES, INPUTS))
    y = (X @ rng.standard_normal(INPUTS) + 0.5 * rng.standard_normal(EXAMPLES) > 0).astype(float)
    return X, y


def in_loops(X: np.ndarray, y: np.ndarray, w: np.ndarray, b: float, rate: float) -> tuple[np.ndarray, float, float]:
    """One step of gradient descent as one writes it first: a loop over examples, inside of it one over inputs."""
    m, n = X.shape
    J, dw, db = 0.0, np.zeros(n), 0.0
    for i in range(m):
        z = b
        for j in range(n):
            z += w[j] * X[i, j]
        a = 1 / (1 + np.exp(-z))
        J += -(y[i] * np.log(a) + (1 - y[i]) * np.log(1 - a))
        dz = a - y[i]
        for j in range(n):
            dw[j] += X[i, j] * dz
        db += dz
    return w - rate * dw / m, b - rate * db / m, J / m


def at_once(X: np.ndarray, y: np.ndarray, w: np.ndarray, b: float, rate: float) -> tuple[np.ndarray, float, float]:
    """The same step in five lines without a loop."""
    A = 1 / (1 + np.exp(-(X @ w + b)))
    J = -np.mean(y * np.log(A) + (1 - y) * np.log(1 - A))
    dZ = A - y
    dw, db = X.T @ dZ / len(X), dZ.mean()
    return w - rate * dw, b - rate * db, float(J)


def train(step: Callable[..., Any], rate: float, steps: int) -> tuple[np.ndarray, float, list[float], float]:
    """w, b, J before each step, and the seconds that it took."""
    (X, y), w, b, costs = data(), np.zeros(INPUTS), 0.0, []
    began = time.perf_counter()
    for _ in range(steps):
        w, b, J = step(X, y, w, b, rate)
        costs.append(J)
    return w, b, costs, time.perf_counter() - began


def by_library(rate: float, steps: int) -> tuple[np.ndarray, float, list[float]]:
    """The same with a layer of one unit."""
    X, y = data()
    layer = bl.layers.Dense(1, kernel_initializer="zeros", dtype="float64")
    model = bl.Sequential([bl.Input((INPUTS,), dtype="float64"), layer])
    loss = bl.losses.BinaryCrossentropy(from_logits=True)
    model.compile(bl.optimizers.SGD(rate), loss)
    history = model.fit(X, y, batch_size=EXAMPLES, epochs=steps, shuffle=False, verbose=0, doctor="off")
    w, b = layer.get_weights()
    return w[:, 0], float(b[0]), list(history.history["loss"])


def compute(rate: float) -> Found:
    """All three from zeros, with this learning rate."""
    (X, y), few = data(), STEPS
    w1, b1, costs1, slow = train(in_loops, rate, few)
    w2, b2, costs2, quick = train(at_once, rate, few)
    w3, b3, costs3 = by_library(rate, few)
    right = ((X @ w2 + b2 > 0) == (y == 1)).mean()
    zero = np.zeros(INPUTS)
    column = np.zeros((INPUTS, EXAMPLES)), np.zeros((1, EXAMPLES))
    return {
        "costs": costs2,
        "w": w2,
        "b": float(b2),
        "cost before the first step": costs2[0],
        "cost before the last step": costs2[-1],
        "right at the threshold 0.5": float(right),
        "loops and vectors, largest difference of w": float(np.abs(w1 - w2).max() + abs(b1 - b2)),
        "library and vectors, largest difference of w": float(np.abs(w3 - w2).max() + abs(b3 - b2)),
        "costs, largest difference of all three": float(
            max(np.abs(np.subtract(costs1, costs2)).max(), np.abs(np.subtract(costs3, costs2)).max())
        ),
        "the loops took, ms": 1e3 * slow,
        "vectors took, ms": 1e3 * quick,
        "shape of dw = X dZᵀ / m, examples as columns": str((column[0] @ column[1].T).shape),
        "first step of w": at_once(X, y, zero, 0.0, 1.0)[0],
        "rate": rate,
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """The cost, step by step."""
    figure, panels = sheet(
        f"Loops, vectors and library walk the same way down: from {found['cost before the first step']:.3f} to"
        f" {found['cost before the last step']:.3f} in {STEPS} steps",
        (7.4, 3.8),
    )
    axes = panels[0, 0]
    open_frame(axes)
    axes.plot(found["costs"], color=BLUE, linewidth=2.4, label=f"cost J, learning rate {found['rate']:g}")
    axes.axhline(np.log(2), color=ORANGE, linestyle="--", linewidth=1.2, label="ln 2: all predictions one half")
    label(axes, "step", "J")
    legend(axes)
    return {"cost": figure}


LAB = Lab(
    name="logistic",
    title="Logistic regression from loops to vectors",
    about="What does a step of gradient descent on the logistic cost look like in loops, and what is left without them?",
    says="Five lines without a loop do the same step to the last digits: Z = Xw + b, A = σ(Z), dZ = A − y, dw = XᵀdZ/m,"
    " db = mean of dZ.",
    compute=compute,
    pictures=pictures,
    sliders=(Slider("rate", 0.01, 5, 0.5, 0.01, "learning rate"),),
    golden=(
        Golden("from zeros the cost is ln 2", "cost before the first step", np.log(2), 1e-12),
        Golden("loops and vectors give one w", "loops and vectors, largest difference of w", 0.0, 1e-12),
        Golden("the library gives it too", "library and vectors, largest difference of w", 0.0, 1e-9),
        Golden("and the same costs", "costs, largest difference of all three", 0.0, 1e-9),
        Golden("dw has w's shape", "shape of dw = X dZᵀ / m, examples as columns", "(6, 1)"),
        Golden("most examples come out right", "right at the threshold 0.5", lambda share: share > 0.85),
    ),
    rows=("C375", "W032", "W038", "C365", "Q022"),
    shown=(
        "w", "b", "cost before the first step", "cost before the last step", "right at the threshold 0.5",
        "loops and vectors, largest difference of w", "library and vectors, largest difference of w",
        "the loops took, ms", "vectors took, ms", "shape of dw = X dZᵀ / m, examples as columns",
    ),
)  # fmt: skip
