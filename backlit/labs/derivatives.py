"""A derivative three ways: by a small step, by symbols, and by the graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab, Slider

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "w**2": lambda w: w**2,
    "2*w": lambda w: 2 * w,
    "w**3": lambda w: w**3,
    "1/w": lambda w: 1 / w,
    "1/w**2": lambda w: 1 / w**2,
}
STEPS = (0.01, 0.002, 0.001, 1e-6)


def compute(w: float) -> Found:
    """Every function at w: the graph's derivative, and the ratio for a step of 0.001."""
    exact, ratio, symbols = [], [], []
    for name, function in FUNCTIONS.items():
        at = bl.variable(w, name="w")
        J = function(at)
        exact.append(float(bl.grad(J, at).value))
        ratio.append(float(bl.trace(J).nudge("w", 0.001).ratio))
        symbols.append(f"{name}: {_symbolic(bl.trace(J))}")
    square = bl.trace(bl.variable(3.0, name="w") ** 2)
    return {
        "function": list(FUNCTIONS),
        "derivative": np.array(exact),
        "ratio for eps = 0.001": np.array(ratio),
        "by symbols": "\n".join(symbols),
        "w**2 at 3 for eps = 0.01, 0.002, 0.001, 1e-6": np.array([square.nudge("w", eps).ratio for eps in STEPS]),
        "J(3.001) of w**2": float(square.nudge("w", 0.001).after),
        "J(3.002) of w**2": float(square.nudge("w", 0.002).after),
        "at": w,
        "derivatives of the course": np.array(
            [
                _slope("w**2", 2),
                _slope("w**2", 3),
                _slope("w**2", -3),
                _slope("2*w", 2),
                _slope("w**3", 2),
                _slope("1/w", 2),
                _slope("1/w**2", 4),
            ]
        ),
    }


def _slope(name: str, at: float) -> float:
    w = bl.variable(float(at), name="w")
    return float(bl.grad(FUNCTIONS[name](w), w).value)


def _symbolic(trace: Any) -> str:
    """What sympy makes of it, where it is installed; else what the graph's rules print."""
    return str(trace.symbolic("w") or trace["w"].formula)


def pictures(found: Found) -> Mapping[str, Any]:
    """The slope of w² with its triangle."""
    w = bl.variable(found["at"], name="w")
    return {"slope": bl.plot.slope(w**2, w)}


LAB = Lab(
    name="derivatives",
    title="A derivative is how many times as much the result moves",
    about="If w grows by 0.001, by how much does J grow; and what do symbols, and the graph, say to that?",
    says="The ratio of a small step's effect to the step comes as near to the derivative as the step is small; symbols and"
    " the graph give its limit at once.",
    compute=compute,
    pictures=pictures,
    sliders=(Slider("w", 0.5, 4, 3.0, says="where the derivatives are taken"),),
    golden=(
        Golden("J = w², w = 3, ε = 0.001: J grows to 9.006001", "J(3.001) of w**2", 9.006001, 1e-9),
        Golden("ε = 0.002: J grows to 9.012004", "J(3.002) of w**2", 9.012004, 1e-9),
        Golden(
            "the ratio goes to 6", "w**2 at 3 for eps = 0.01, 0.002, 0.001, 1e-6",
            np.array([6.01, 6.002, 6.001, 6.000001]), 1e-7,
        ),
        Golden(
            "the lab's exercises: w² at 2, 3, −3; 2w at 2; w³ at 2; 1/w at 2; 1/w² at 4", "derivatives of the course",
            np.array([4.0, 6.0, -6.0, 2.0, 12.0, -0.25, -0.03125]), 1e-12,
        ),
    ),
    rows=("C369", "W004", "W005", "F007", "Q020", "Q033", "Q055"),
    shown=("function", "derivative", "ratio for eps = 0.001", "by symbols", "w**2 at 3 for eps = 0.01, 0.002, 0.001, 1e-6"),
)  # fmt: skip
