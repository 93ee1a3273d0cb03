"""Three ReLU units are added up to follow a line with two bends. Unit 0 is set; the other two are yours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from ..pictures.canvas import BLUE, COLOURS, FAINT, INK, SOFT, entitle, label, legend, open_frame, sheet
from .lab import Found, Golden, Lab, Slider

TARGET = {"x": (0.0, 1.0, 2.0, 3.0), "y": (2.0, 0.0, 1.0, 4.0)}  # 2 − 2x, then x − 1, then 3x − 5
FIXED = (-2.0, 2.0)  # w and b of unit 0
SOLUTION = {"w1": 1.0, "b1": -1.0, "w2": 2.0, "b2": -4.0}


def network(w1: float, b1: float, w2: float, b2: float) -> bl.Sequential:
    """One input, three ReLU units, and their plain sum."""
    hidden = bl.layers.Dense(3, activation="relu", name="units", dtype="float64")
    total = bl.layers.Dense(1, use_bias=False, name="sum", dtype="float64")
    model = bl.Sequential([bl.Input((1,), dtype="float64"), hidden, total])
    hidden.set_weights([np.array([[FIXED[0], w1, w2]]), np.array([FIXED[1], b1, b2])])
    total.set_weights([np.ones((3, 1))])
    return model


def compute(w1: float, b1: float, w2: float, b2: float) -> Found:
    """The units, their sum and the target on a grid; slopes and where each unit switches on."""
    x = np.linspace(0, 3, 301)
    target = np.interp(x, TARGET["x"], TARGET["y"])
    model = network(w1, b1, w2, b2)
    units = bl.Model(model.inputs, model.get_layer("units").output)(x[:, None])
    found = model(x[:, None])[:, 0]
    weights = ((FIXED[0], FIXED[1]), (w1, b1), (w2, b2))
    return {
        "x": x,
        "target": target,
        "units": np.asarray(units),
        "sum": np.asarray(found),
        "weights": weights,
        "where each unit bends": ", ".join(f"unit {k}: {bend(w, b)}" for k, (w, b) in enumerate(weights)),
        "slopes of the target": slopes(x, target),
        "slopes of the sum": slopes(x, np.asarray(found)),
        "mean squared error": float(np.mean((found - target) ** 2)),
        "largest error": float(np.abs(found - target).max()),
        "largest error of the solution": float(
            np.abs(np.asarray(network(**SOLUTION)(x[:, None]))[:, 0] - target).max()
        ),
    }


def bend(w: float, b: float) -> str:
    """Where w x + b crosses 0: the unit is off on one side of it."""
    if w == 0:
        return "nowhere (w = 0)"
    return f"x = {-b / w:g}, on {'right' if w > 0 else 'left'} of it"


def slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The slope in the middle of each of the three segments."""
    return np.array([(y[k + 10] - y[k - 10]) / (x[k + 10] - x[k - 10]) for k in (50, 150, 250)])


def pictures(found: Found) -> Mapping[str, Any]:
    """Target and sum, and every unit: its line, and what is left of it where it is on."""
    exact = found["largest error"] < 1e-9
    told = "it fits" if exact else f"mean squared error {found['mean squared error']:.3g}"
    figure, panels = sheet(
        f"Each unit may bend the sum once, where w x + b = 0: {told}", (9, 4.6), 3, 2, width_ratios=(1.7, 1)
    )
    whole = panels[0, 0].get_gridspec()
    for axes in panels[:, 0]:
        axes.remove()
    axes = figure.add_subplot(whole[:, 0])
    open_frame(axes)
    axes.plot(found["x"], found["target"], color=INK, linewidth=1.5, linestyle="--", label="target")
    axes.plot(found["x"], found["sum"], color=BLUE, linewidth=2.2, label="sum of the units")
    for place in (1, 2):
        axes.axvline(place, color=FAINT, linewidth=1, zorder=0)
    axes.set_ylim(-2, 6)
    label(axes, "x", "a")
    legend(axes, "upper left")
    for unit, (w, b) in enumerate(found["weights"]):
        small = panels[unit, 1]
        open_frame(small)
        small.plot(found["x"], w * found["x"] + b, color=SOFT, linewidth=1, linestyle=":")
        small.plot(found["x"], found["units"][:, unit], color=COLOURS[unit + 1], linewidth=2)
        small.set_ylim(-4, 4)
        entitle(
            small, f"unit {unit}{' (set)' if unit == 0 else ''}: max(0, {w:g} x {'−' if b < 0 else '+'} {abs(b):g})"
        )
    return {"units": figure}


LAB = Lab(
    name="relu",
    title="Three ReLU units make three segments",
    about="Which w and b of units 1 and 2 make the sum of three ReLU units follow a line with bends at x = 1 and x = 2?",
    says="A ReLU unit that is off adds nothing, so each unit can bend the sum at one place and leave the rest alone.",
    compute=compute,
    pictures=pictures,
    sliders=tuple(Slider(name, -4, 4, 0.0, says=says) for name, says in (
        ("w1", "slope of unit 1"), ("b1", "unit 1 bends at −b1 / w1"),
        ("w2", "slope of unit 2"), ("b2", "unit 2 bends at −b2 / w2"),
    )),
    golden=(
        Golden("with w1 = 1, b1 = −1, w2 = 2, b2 = −4 the sum is the target", "largest error of the solution", 0.0, 1e-12),
        Golden("the target's slopes", "slopes of the target", np.array([-2.0, 1.0, 3.0]), 1e-9),
        Golden("with unit 0 alone the sum is flat from x = 1 on", "slopes of the sum", np.array([-2.0, 0.0, 0.0]), 1e-9),
    ),
    rows=("C366", "C347", "W034", "F001", "F002", "Q003", "Q005"),
    shown=("where each unit bends", "slopes of the target", "slopes of the sum", "mean squared error", "largest error"),
)  # fmt: skip
