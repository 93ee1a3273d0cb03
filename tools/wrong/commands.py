"""Data that `backlit fit` and `backlit evaluate` refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from backlit.io.bundled import Dataset, load
from backlit.train import recipe


def data(y: object, classes: tuple[str, ...] | None = None) -> Dataset:
    """20 rows of a table called "small" with this y."""
    target = np.asarray(y)
    return Dataset("small", np.eye(len(target)), target, tuple("abcdefghijklmnopqrst"), "price", classes, None, None)


def names_for_a_regression() -> None:
    """A model of amounts, measured on names."""
    outcome = recipe.run(data(np.arange(20) + 0.5), recipe.Options(epochs=1))
    recipe.measured(data(np.arange(20) % 2, ("cheap", "dear")), outcome.model)


def cases() -> dict[str, Callable[[], object]]:
    """Data that cannot be learnt, and tasks that do not fit."""
    iris = load("iris")
    return {
        "a target that never changes": lambda: recipe.prepare(data([2.5] * 20)),
        "a quantity in far too small a unit": lambda: recipe.prepare(data(1e20 * np.arange(20) + 0.5)),
        "a class of one name only": lambda: recipe.prepare(data([0] * 20, ("cheap",))),
        "names that hardly come twice": lambda: recipe.prepare(data(np.arange(20), tuple("abcdefghijklmnopqrst"))),
        "a task that is none": lambda: recipe.prepare(iris, task="clustering"),
        "amounts from names": lambda: recipe.prepare(iris, task="regression"),
        "two classes from three": lambda: recipe.prepare(iris, task="binary"),
        "labels from numbers": lambda: recipe.prepare(replace(iris, y=iris.X, classes=None), task="multilabel"),
        "names for a model of amounts": names_for_a_regression,
    }
