"""What a deep network computes if no layer bends: one line."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from ..pictures.canvas import BLUE, INK, ORANGE, entitle, label, legend, open_frame, sheet
from .lab import Found, Golden, Lab

STEPS = 400


def data() -> tuple[np.ndarray, np.ndarray]:
    """x (m, 1) and y (m, 1): a parabola with noise."""
    rng = np.random.default_rng(3)
    x = np.linspace(-1, 1, 81)[:, None]
    return x, x**2 + 0.05 * rng.standard_normal(x.shape)


def network(hidden: str, output: str = "linear", units: int = 8) -> bl.Sequential:
    """Two hidden layers with that activation."""

    def dense(n: int, g: str) -> Any:
        return bl.layers.Dense(n, activation=g, dtype="float64")

    bl.random.set_seed(4)
    return bl.Sequential(
        [bl.Input((1,), dtype="float64"), dense(units, hidden), dense(units, hidden), dense(1, output)]
    )


def trained(model: bl.Sequential, x: np.ndarray, y: np.ndarray, loss: str = "mse") -> bl.Sequential:
    """After so many steps of Adam on all rows."""
    model.compile(bl.optimizers.Adam(0.02), loss)
    model.fit(x, y, batch_size=len(x), epochs=STEPS, verbose=0, doctor="off")
    return model


def compute() -> Found:
    """The linear network beside its single layer, least squares and a network with ReLU."""
    x, y = data()
    deep, bent = trained(network("linear"), x, y), trained(network("relu"), x, y)
    single = bl.Sequential([bl.Input((1,), dtype="float64"), bl.layers.Dense(1, dtype="float64")])
    weights = deep.get_weights()
    W = weights[0] @ weights[2] @ weights[4]
    b = (weights[1] @ weights[2] + weights[3]) @ weights[4] + weights[5]
    single.set_weights([W, b])
    line = np.polyfit(x[:, 0], y[:, 0], 1)
    chance = trained(network("linear", "sigmoid"), x, (y > 0.3).astype(float), "binary_crossentropy")
    logits = np.log(1 / np.clip(chance.predict(x, verbose=0), 1e-12, 1 - 1e-12) - 1)
    steps = np.diff(logits[:, 0])
    return {
        "x": x[:, 0],
        "y": y[:, 0],
        "deep": np.asarray(deep.predict(x, verbose=0))[:, 0],
        "bent": np.asarray(bent.predict(x, verbose=0))[:, 0],
        "parameters of the deep linear network": int(sum(each.size for each in weights)),
        "W' = W1 W2 W3": float(W[0, 0]),
        "b'": float(b[0]),
        "largest difference to the single layer": float(
            np.abs(single.predict(x, verbose=0) - deep.predict(x, verbose=0)).max()
        ),
        "least squares: slope, intercept": line,
        "mean squared error, deep and linear": float(np.mean((deep.predict(x, verbose=0) - y) ** 2)),
        "mean squared error, least squares": float(np.mean((np.polyval(line, x) - y) ** 2)),
        "deep and linear above least squares": float(
            np.mean((deep.predict(x, verbose=0) - y) ** 2) - np.mean((np.polyval(line, x) - y) ** 2)
        ),
        "mean squared error, ReLU": float(np.mean((bent.predict(x, verbose=0) - y) ** 2)),
        "linear hidden and sigmoid: is the logit a line": bool(np.allclose(steps, steps[0], atol=1e-6)),
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """Both fits."""
    figure, panels = sheet(
        "Eight units, two hidden layers, and without a bend between them it is one line", (9, 3.8), 1, 2, sharey=True
    )
    for axes, key, colour, told in zip(
        panels[0], ("deep", "bent"), (ORANGE, BLUE),
        (f"linear: error {found['mean squared error, deep and linear']:.4f}, least squares"
         f" {found['mean squared error, least squares']:.4f}",
         f"ReLU: error {found['mean squared error, ReLU']:.4f}"), strict=True,
    ):  # fmt: skip
        open_frame(axes)
        axes.plot(found["x"], found["y"], ".", color=INK, markersize=4, label="examples")
        axes.plot(found["x"], found[key], color=colour, linewidth=2.4, label="network")
        entitle(axes, told)
        label(axes, "x", "y")
        legend(axes, "upper center")
    return {"fits": figure}


LAB = Lab(
    name="collapse",
    title="A deep network without a bend is one line",
    about="What is gained by layers whose activation is linear?",
    says="Nothing: W' = W1 W2 W3 and b' give the same predictions with one layer, least squares finds them at once, and"
    " with a sigmoid at the end it is logistic regression.",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("the single layer predicts the same", "largest difference to the single layer", 0.0, 1e-12),
        Golden("the linear network ends at least squares", "deep and linear above least squares", 0.0, 1e-3),
        Golden("ReLU bends: its error is far below", "mean squared error, ReLU", lambda error: error < 0.01),
        Golden("with a sigmoid behind it is logistic regression", "linear hidden and sigmoid: is the logit a line", True),
    ),
    rows=("C379", "C362", "Q026", "Q050"),
    shown=(
        "parameters of the deep linear network", "W' = W1 W2 W3", "b'", "largest difference to the single layer",
        "least squares: slope, intercept", "mean squared error, deep and linear", "mean squared error, least squares",
        "mean squared error, ReLU", "linear hidden and sigmoid: is the logit a line",
    ),
)  # fmt: skip
