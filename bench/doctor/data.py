"""The data of the programs: bundled sets, and numbers that are drawn so that there is something to learn."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from backlit.io.bundled import load

Rng = np.random.Generator


@cache
def _bundled(name: str) -> tuple[Any, Any]:
    data = load(name)
    return data.X, data.y


def table(name: str, rng: Rng, rows: int | None = None) -> tuple[Any, Any]:
    """Rows of a bundled set in random order, in raw units; all, or so many."""
    x, y = _bundled(name)
    order = rng.permutation(len(x))[:rows]
    return x[order], y[order]


def standard(x: Any) -> Any:
    """Each column with mean 0 and standard deviation 1; constant ones with 0."""
    return (x - x.mean(axis=0)) / np.maximum(x.std(axis=0), 1e-9)


def scaled(name: str, rng: Rng, rows: int | None = None) -> tuple[Any, Any]:
    """A bundled set, standardised."""
    x, y = table(name, rng, rows)
    return standard(x), y


def pictures(rng: Rng, rows: int = 600) -> tuple[Any, Any]:
    """Handwritten digits (m, 8, 8, 1) from 0 to 1 and their labels."""
    x, y = table("digits", rng, rows)
    return x.reshape(-1, 8, 8, 1) / 16, y


def hot(y: Any, classes: int | None = None) -> Any:
    """Labels as one-hot rows."""
    return np.eye(int(y.max()) + 1 if classes is None else classes)[y]


def clouds(rng: Rng, rows: int = 800, features: int = 20, classes: int = 2) -> tuple[Any, Any]:
    """Points around two centres a class: no straight line tells them apart."""
    centres = 1.6 * rng.normal(size=(2 * classes, features)) / features**0.25
    kind = rng.integers(0, 2 * classes, rows)
    return centres[kind] + rng.normal(size=(rows, features)), kind % classes


def bags(rng: Rng, rows: int = 640, words: int = 300, topics: int = 8) -> tuple[Any, Any]:
    """Binary bags of words and the topics that they are about."""
    y = rng.integers(0, topics, rows)
    often = 0.02 + 0.2 * (rng.random((topics, words)) < 0.12)
    return (rng.random((rows, words)) < often[y]).astype(np.float64), y


def mileage(rng: Rng, rows: int = 400) -> tuple[Any, Any]:
    """Nine standardised features and a smooth, bent function of them (m,), standardised."""
    x = rng.normal(size=(rows, 9))
    y = x[:, 0] - 0.8 * x[:, 1] * x[:, 2] + np.sin(2 * x[:, 3]) + 0.5 * x[:, 4] ** 2 + 0.1 * rng.normal(size=rows)
    return x, (y - y.mean()) / y.std()


def tags(rng: Rng, rows: int = 500, count: int = 5) -> tuple[Any, Any]:
    """Twelve features and several labels each, 0 or 1."""
    x = rng.normal(size=(rows, 12))
    w = rng.normal(size=(12, count))
    return x, (x @ w + x[:, :count] * x[:, count : 2 * count] > 0.5).astype(np.float64)
