"""Questions about a graph or a network that a trace cannot answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

import backlit as bl
from backlit.layers import Conv1D, Dense, Flatten


def cost() -> Any:
    """(w x + b)² with a name on the way."""
    w, x, b = bl.variable(2.0, "w"), bl.constant(3.0, "x"), bl.variable([1.0, 2.0], "b")
    return bl.ops.sum(bl.name(w * x + b, "z") ** 2)


def trained(*layers: Any, shape: Any = (3,)) -> bl.Model:
    """A compiled chain."""
    model = bl.Sequential([bl.Input(shape), *layers])
    model.compile(optimizer="sgd", loss="mse")
    return model


def cases() -> dict[str, Callable[[], object]]:
    """Traces that are asked for what they do not have."""
    X, y = np.ones((2, 3)), np.ones((2, 1))
    model = trained(Dense(2, "relu", name="hidden"), Dense(1, name="out"))
    windows = trained(Conv1D(2, 2, name="conv"), Flatten(), Dense(1), shape=(4, 2))
    t, net = bl.trace(cost()), model.trace(X, y)
    x = bl.input((), "x")
    return {
        "a trace of several numbers": lambda: bl.trace(bl.variable([1.0, 2.0], "w") * 2),
        "a trace of an input that is not fed": lambda: bl.trace(x * 2),
        "a trace that is fed a variable": lambda: bl.trace(x * 2, {bl.variable(1.0, "w"): 1.0}),
        "a step that is misspelt": lambda: t.nudge("zz", 0.1),
        "a node of another graph": lambda: t.why(bl.variable(1.0, "other")),
        "a nudge by nothing": lambda: t.nudge("w", 0),
        "a nudge of an array": lambda: t.nudge("b", 0.1),
        "a nudge outside of an array": lambda: t.nudge("b", 0.1, index=5),
        "a nudge of labels": lambda: bl.trace(bl.ops.sum(bl.name(bl.variable([1, 2], "n", "int64"), "k") * 2.0)).nudge(
            "n", 0.1, 0
        ),
        "a nudge of what only predicts": lambda: model.trace(X).nudge("W1", 0.1, (0, 0)),
        "a layer of a plain graph": lambda: t.open("hidden"),
        "a layer that is misspelt": lambda: net.open("hiden"),
        "a unit of a batch": lambda: net.unit("hidden", 0),
        "a unit that is not there": lambda: net.unit("hidden", 7, example=0),
        "an example that is not there": lambda: net.unit("hidden", 0, example=2),
        "a unit of windows": lambda: windows.trace(np.ones((1, 4, 2)), [[1.0]]).unit("conv"),
        "a symbolic derivative by an array": lambda: t.symbolic("b"),
        "a trace before there are weights": lambda: bl.Sequential([Dense(1)]).trace(X, y),
        "a trace with targets before compile": lambda: bl.Sequential([bl.Input((3,)), Dense(1)]).trace(X, y),
        "a trace of nan": lambda: model.trace(np.full((1, 3), np.nan), y[:1]),
        "a trace of another width": lambda: model.trace(X[:, :2], y),
        "eps as a word": lambda: t.nudge("w", cast(Any, "small")),
    }
