"""Questions about a model that it cannot answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import numpy as np

import backlit as bl
from backlit.layers import Conv1D, Dense, Dropout


def dropping() -> bl.Model:
    """A compiled model that draws while it trains."""
    model = bl.Sequential([bl.Input((3,)), Dense(2, "relu"), Dropout(0.5), Dense(1)])
    model.compile(optimizer="sgd", loss="mse")
    return model


running_total = bl.structural(
    "running_total", ref=lambda x: np.cumsum(x, 1), shape="m n -> m n", vjp=lambda g, y, x: [g]
)


def cases() -> dict[str, Callable[[], object]]:
    """Equations, shapes and words of the wrong model."""
    X, row = np.ones((4, 3)), cast(Any, "row")
    windows = bl.Sequential([bl.Input((9, 2)), Conv1D(4, 3)])
    plain = bl.Sequential([bl.Input((3,)), Dense(1)])
    return {
        "equations before there are weights": lambda: bl.Sequential([Dense(3)]).equations(),
        "shapes before there are weights": lambda: bl.Sequential([Dense(3)]).shapes(),
        "a misspelt convention": lambda: plain.equations(convention=row),
        "columns of a signal": lambda: windows.equations(convention="columns"),
        "columns of a layer that looks up": lambda: bl.Sequential(
            [bl.Input((3,)), bl.layers.Reshape((1, 3)), bl.layers.Flatten(), Dense(1)]
        ).shapes(convention="columns"),
        "values of equations that draw": lambda: dropping().equations().values(X, X[:, :1]),
        "targets where there is no loss": lambda: plain.equations().values(X, X[:, :1]),
        "inputs of another width": lambda: plain.equations().values(X[:, :2]),
        "shapes beside too few inputs": lambda: bl.Model(
            [a := bl.Input((3,)), b := bl.Input((2,))], Dense(1)(a) + Dense(1)(b)
        ).shapes(x=[X]),
        "shapes beside targets where there is no loss": lambda: plain.shapes(y=X),
        "a NumPy program before there are weights": lambda: bl.Sequential([Dense(3)]).as_numpy(),
        "a NumPy program in a form that there is not": lambda: plain.as_numpy(form=cast(Any, "loop")),
        "a NumPy program of a signal in columns": lambda: windows.as_numpy(columns=True),
        "a NumPy program of a record of one's own": lambda: bl.Sequential(
            [bl.Input((3,)), bl.layers.Lambda(running_total, name="odd"), Dense(1)]
        ).as_numpy(),
        "a NumPy program with a large array in it": lambda: bl.Sequential(
            [bl.Input((200,)), bl.layers.Lambda(lambda x: x * np.arange(200.0), name="scaled")]
        ).as_numpy(),
        "loops of a record that has none": lambda: bl.Sequential(
            [bl.Input((3,)), bl.layers.Lambda(lambda x: bl.ops.argmax(x, -1) * 1.0, name="place")]
        ).as_numpy("loops"),
        "too many inputs": lambda: (
            bl.Model([a := bl.Input((3,)), b := bl.Input((2,))], Dense(1)(a) + Dense(1)(b)).equations().values([X])
        ),
    }
