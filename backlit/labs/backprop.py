"""Back-propagation on the course's graphs: each derivative from the next one, right to left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab, Slider


def square(w: float) -> Any:
    """J = (2 + 3w)²."""
    at = bl.variable(w, name="w")
    a = bl.name(2 + 3 * at, "a")
    return bl.trace(bl.name(a**2, "J"))


def unit(w: float, x: float, b: float, y: float) -> Any:
    """The network of one unit: c = w x, a = c + b, d = a − y, J = ½ d²."""
    weight, bias = bl.variable(w, name="w"), bl.variable(b, name="b")
    c = bl.name(weight * x, "c")
    a = bl.name(c + bias, "a")
    d = bl.name(a - y, "d")
    return bl.trace(bl.name(d**2 / 2, "J"))


def compute(w: float, x: float, b: float, y: float) -> Found:
    """Values forward and derivatives back, of the graph with these numbers and of the course's own."""
    yours, lab, lecture, first = unit(w, x, b, y), unit(-2.0, 2.0, 8.0, 1.0), unit(2.0, -2.0, 8.0, 2.0), square(3.0)
    names = ("c", "a", "d", "J")
    back = ("d", "a", "c", "b", "w")
    return {
        "the graph, forward and back": str(yours),
        "trace": yours,
        "(2 + 3w)² at 3: a, J": _values(first, ("a", "J")),
        "(2 + 3w)²: dJ/da, dJ/dw": _slopes(first, ("a", "w")),
        "(2 + 3w)²: ratio at w for 0.001": float(first.nudge("w", 0.001).ratio),
        "lab, c a d J": _values(lab, names),
        "lab, dJ/d of d a c b w": _slopes(lab, back),
        "lab, ratio at w for 0.001": float(lab.nudge("w", 0.001).ratio),
        "lecture, c a d J": _values(lecture, names),
        "lecture, dJ/d of d a c b w": _slopes(lecture, back),
        "lecture, J after w + 0.001": float(lecture.nudge("w", 0.001).after),
        "steps back, by nudging": np.array([lecture.counts.sum, lecture.counts.product]),
    }


def _values(trace: Any, names: tuple[str, ...]) -> np.ndarray:
    return np.array([float(trace[name].value) for name in names])


def _slopes(trace: Any, names: tuple[str, ...]) -> np.ndarray:
    return np.array([float(trace.slope(trace.node(name))) for name in names])


def pictures(found: Found) -> Mapping[str, Any]:
    """The graph with its numbers is drawn by the trace itself: `found["trace"].to_html("graph.html")`."""
    w = bl.variable(3.0, name="w")
    return {"slope": bl.plot.slope((2 + 3 * w) ** 2, w)}


LAB = Lab(
    name="backprop",
    title="Back-propagation: every derivative re-uses the one to its right",
    about="How does J move with w and b, and why does one walk from right to left answer for all of them?",
    says="Going back, each derivative is the one to its right times one local derivative, so all of them cost n + p steps"
    " where nudging every parameter costs n · p.",
    compute=compute,
    pictures=pictures,
    sliders=(
        Slider("w", -5, 5, 2.0, says="weight"),
        Slider("x", -5, 5, -2.0, says="input"),
        Slider("b", -10, 10, 8.0, says="bias"),
        Slider("y", -10, 10, 2.0, says="target"),
    ),
    golden=(
        Golden("(2 + 3w)², w = 3: a = 11, J = 121", "(2 + 3w)² at 3: a, J", np.array([11.0, 121.0])),
        Golden("its derivatives", "(2 + 3w)²: dJ/da, dJ/dw", np.array([22.0, 66.0])),
        Golden("by a step of 0.001", "(2 + 3w)²: ratio at w for 0.001", 66.009, 1e-8),
        Golden("the lab's unit, forward", "lab, c a d J", np.array([-4.0, 4.0, 3.0, 4.5])),
        Golden("the lab's unit, back", "lab, dJ/d of d a c b w", np.array([3.0, 3.0, 3.0, 3.0, 6.0])),
        Golden("by a step of 0.001", "lab, ratio at w for 0.001", 6.002, 1e-8),
        Golden("the lecture's unit, forward", "lecture, c a d J", np.array([-4.0, 4.0, 2.0, 2.0])),
        Golden("the lecture's unit, back", "lecture, dJ/d of d a c b w", np.array([2.0, 2.0, 2.0, 2.0, -4.0])),
        Golden("w = 2.001 gives J = 1.996002", "lecture, J after w + 0.001", 1.996002, 1e-9),
        Golden("n + p = 6 steps, n · p = 8", "steps back, by nudging", np.array([6, 8])),
    ),
    rows=("C370", "W002", "W006", "W007", "W008", "F008", "Q018", "Q032", "Q035", "Q036"),
    shown=("the graph, forward and back", "(2 + 3w)² at 3: a, J", "(2 + 3w)²: dJ/da, dJ/dw", "lab, c a d J",
           "lab, dJ/d of d a c b w", "steps back, by nudging"),
)  # fmt: skip
