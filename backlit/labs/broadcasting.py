"""Calories in per cent, in two lines; and what broadcasting does in silence when a shape is not what one thinks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import backlit as bl

from .lab import Found, Golden, Lab

FOODS = ("apples", "beef", "eggs", "potatoes")
KINDS = ("carbohydrate", "protein", "fat")
CALORIES = np.array([[56.0, 0.0, 4.4, 68.0], [1.2, 104.0, 52.0, 8.0], [1.8, 135.0, 99.0, 0.9]])


def compute() -> Found:
    """The two lines; the pictures' sums; a target of shape (m,) against an output of shape (m, 1)."""
    total = CALORIES.sum(axis=0)
    share = 100 * CALORIES / total
    flat, column = np.arange(3.0), np.arange(3.0)[:, None]
    model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(1)])
    model.compile("sgd", "mse")
    try:
        model.fit(np.zeros((3, 2)), np.zeros((3, 3)), verbose=0)
        refused = "no"
    except bl.BacklitError as error:
        refused = error.message
    return {
        "calories": CALORIES,
        "calories.sum(axis=0)": total,
        "per cent": share,
        "each column's sum": share.sum(axis=0),
        "(2, 3) + (1, 3)": np.array([[1, 2, 3], [4, 5, 6]]) + np.array([[100, 200, 300]]),
        "(4, 1) + 100": np.array([[1], [2], [3], [4]]) + 100,
        "shape of y − ŷ with y (3,) and ŷ (3, 1)": str((flat - column).shape),
        "what backlit says to such a target": refused,
    }


def pictures(found: Found) -> Mapping[str, Any]:
    """What is copied where."""
    return {
        "calories": bl.plot.broadcast(found["calories"], found["calories.sum(axis=0)"][None], "/"),
        "row": bl.plot.broadcast(np.array([[1, 2, 3], [4, 5, 6]]), np.array([[100, 200, 300]]), "+"),
    }


LAB = Lab(
    name="broadcasting",
    title="Broadcasting: a row is copied down, a column across",
    about="What per cent of the calories of each food comes from carbohydrate, protein and fat, without a loop?",
    says="NumPy copies a size of 1 to fit, which saves a loop where it is meant and makes an (m, m) table in silence where"
    " it is not: backlit refuses a target that would be copied.",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("column sums", "calories.sum(axis=0)", np.array([59.0, 239.0, 155.4, 76.9]), 1e-9),
        Golden(
            "per cent", "per cent",
            np.array([[94.915, 0, 2.831, 88.427], [2.034, 43.515, 33.462, 10.403], [3.051, 56.485, 63.707, 1.170]]), 5e-4,
        ),
        Golden("each column adds up to 100", "each column's sum", np.full(4, 100.0), 1e-9),
        Golden("a row under every row", "(2, 3) + (1, 3)", np.array([[101, 202, 303], [104, 205, 306]])),
        Golden("a number on every row", "(4, 1) + 100", np.array([[101], [102], [103], [104]])),
        Golden("a silent (3, 3)", "shape of y − ŷ with y (3,) and ŷ (3, 1)", "(3, 3)"),
        Golden("which backlit refuses", "what backlit says to such a target", lambda said: said != "no"),
    ),
    rows=("C373", "W014", "W015", "W016", "C353", "Q040", "Q041", "Q042"),
)  # fmt: skip
