"""The data and networks that the small programs of the checks are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..layers.layer import Layer
from ..train.losses import Loss
from ..train.optimizers import Optimizer
from ..train.sequential import Sequential

ROWS = 96


def network(*layers: Layer, loss: Any, optimizer: Any = None, metrics: Any = None) -> Sequential:
    """A compiled chain."""
    model = Sequential(list(layers))
    model.compile(optimizer or Optimizer.named("adam")(0.01), loss, metrics=metrics)
    return model


def sparse(from_logits: bool = True) -> Any:
    """The cross-entropy for labels."""
    return Loss.named("sparse_categorical_crossentropy")(from_logits=from_logits)


def points(features: int = 4) -> Any:
    """Standard normal numbers (96, features)."""
    return np.random.Generator(np.random.PCG64(1)).normal(size=(ROWS, features))


def classes(count: int) -> Any:
    """Labels 0 … count-1 that follow from `points()`."""
    return np.digitize(points()[:, 0], np.linspace(-1, 1, count + 1)[1:-1])


def hot(count: int) -> Any:
    """The same labels as one-hot rows."""
    return np.eye(count)[classes(count)]


def values() -> Any:
    """Numbers that follow from `points()`, about -5 … 5."""
    return points() @ np.array([1.0, -2.0, 0.5, 1.0])
