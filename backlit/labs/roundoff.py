"""The same number computed two ways; then the same loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from ..pictures.canvas import BLUE, ORANGE, label, legend, open_frame, sheet
from .lab import Found, Golden, Lab, Slider


def compute(n: float) -> Found:
    """2/n directly and as a difference of nearly equal numbers, in both sizes of floating point; then two losses."""
    found: dict[str, Any] = {"n": n}
    for size in (np.float64, np.float32):
        one, many = size(1), size(n)
        direct, around = size(2) / many, (one + one / many) - (one - one / many)
        name = np.dtype(size).name
        found[f"{name}: 2/n"] = f"{direct:.18f}"
        found[f"{name}: (1 + 1/n) − (1 − 1/n)"] = f"{around:.18f}"
        found[f"{name}: relative error"] = float(abs(around - direct) / direct)
    z = np.array([[40.0]])
    with np.errstate(divide="ignore", over="ignore"):
        p = 1 / (1 + np.exp(-z))
        found["loss of z = 40, y = 0, through p = σ(z)"] = float(-np.log(1 - p)[0, 0])
    loss = bl.losses.BinaryCrossentropy(from_logits=True)
    found["loss of z = 40, y = 0, from logits"] = float(loss([[0]], z))
    found["product of 2,000 times 0.3"] = float(np.prod(np.full(2_000, 0.3)))
    found["sum of their logarithms"] = float(np.sum(np.log(np.full(2_000, 0.3))))
    curve = np.linspace(-60, 60, 241)
    with np.errstate(divide="ignore", over="ignore"):
        found["naive"] = -np.log(1 - 1 / (1 + np.exp(-curve)))
    found["stable"] = np.array([float(loss([[0]], [[each]])) for each in curve])
    return found | {"curve": curve}


def pictures(found: Found) -> Mapping[str, Any]:
    """Where the loss through a probability breaks off."""
    curve = {"from_logits=True": found["stable"], "through σ(z)": found["naive"]}
    return {"losses": lines_of(found["curve"], curve)}


def lines_of(z: np.ndarray, curves: Mapping[str, np.ndarray]) -> Any:
    """Both losses over z."""
    figure, panels = sheet("Through a probability the loss ends near z = 37: 1 − σ(z) is 0 from there on", (7.4, 4.2))
    axes = panels[0, 0]
    open_frame(axes)
    for (name, values), colour, style in zip(curves.items(), (BLUE, ORANGE), ("-", "--"), strict=True):
        axes.plot(z, np.where(np.isfinite(values), values, np.nan), style, color=colour, linewidth=2.4, label=name)
    label(axes, "z", "loss for y = 0")
    legend(axes)
    return figure


LAB = Lab(
    name="roundoff",
    title="Round-off: two ways to one number are not one result",
    about="Why do 2/10000 and (1 + 1/10000) − (1 − 1/10000) differ, and what has a loss to do with it?",
    says="A difference of nearly equal numbers keeps few digits; a loss computed from logits never forms one, which is why"
    " from_logits=True is there.",
    compute=compute,
    pictures=pictures,
    sliders=(Slider("n", 10, 100_000, 10_000.0, 10, "the number that 2 is divided by"),),
    golden=(
        Golden("float64: 2/10000", "float64: 2/n", "0.000200000000000000"),
        Golden("float64: the other way", "float64: (1 + 1/n) − (1 − 1/n)", "0.000199999999999978"),
        Golden("float32: 2/10000", "float32: 2/n", "0.000199999994947575"),
        Golden("float32: the other way", "float32: (1 + 1/n) − (1 − 1/n)", "0.000200033187866211"),
        Golden("z = 40, y = 0: infinite through σ", "loss of z = 40, y = 0, through p = σ(z)", np.inf),
        Golden("z = 40, y = 0: 40 from logits", "loss of z = 40, y = 0, from logits", 40.0, 1e-12),
        Golden("a product of probabilities underflows", "product of 2,000 times 0.3", 0.0),
        Golden("the sum of logarithms does not", "sum of their logarithms", -2407.95, 5e-3),
    ),
    rows=("C374", "W013", "W033", "W040", "Q052"),
    shown=(
        "float64: 2/n", "float64: (1 + 1/n) − (1 − 1/n)", "float64: relative error", "float32: 2/n",
        "float32: (1 + 1/n) − (1 − 1/n)", "float32: relative error", "loss of z = 40, y = 0, through p = σ(z)",
        "loss of z = 40, y = 0, from logits", "product of 2,000 times 0.3", "sum of their logarithms",
    ),
)  # fmt: skip
