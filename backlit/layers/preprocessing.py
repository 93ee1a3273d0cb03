"""Preprocessing as part of the model, so that the saved model takes raw units and explains itself in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import NotReadyError, ShapeError
from ..core.node import as_array
from ..core.shapes import Shape
from .initializers import Constant
from .layer import Layer


class Normalization(Layer):
    """(x - mean) / sqrt(variance), column by column; a column of variance 0 is only shifted.

    Give `mean` and `variance` (numbers, or one a column), or call `adapt(X)` before the model is built.
    """

    def __init__(self, mean: Any = None, variance: Any = None, name: str | None = None):
        super().__init__(name=name)
        self.given = None if mean is None else (np.asarray(mean, np.float64), np.asarray(variance, np.float64))

    def adapt(self, data: Any) -> None:
        """Take mean and variance of each column from `data` (m, n)."""
        array = as_array(data).astype(np.float64)
        self.given = (array.mean(axis=0), array.var(axis=0))
        self.arguments.update(mean=self.given[0].tolist(), variance=self.given[1].tolist())

    def build(self, shape: Shape) -> None:
        """Keep mean and scale as state: (n,) each."""
        if self.given is None:
            raise NotReadyError(
                f"layer {self.name!r} (Normalization) has no statistics.", fix="layer.adapt(X_train) before fit"
            )
        columns: Any = tuple(shape[1:])
        mean, variance = self.given
        if mean.shape not in ((), columns):
            raise ShapeError(
                f"layer {self.name!r} (Normalization) was adapted to another width.",
                expected=f"{columns} columns",
                found=f"{mean.shape}",
            )
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
        self.mean = self.add_weight("mean", columns, Constant(np.broadcast_to(mean, columns)), trainable=False)
        self.scale = self.add_weight("scale", columns, Constant(np.broadcast_to(scale, columns)), trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        """(x - mean) / scale."""
        return (x - self.mean) / self.scale


class Rescaling(Layer):
    """x · scale + offset."""

    def __init__(self, scale: float, offset: float = 0.0, name: str | None = None):
        super().__init__(name=name)
        self.factor, self.offset = float(scale), float(offset)

    def call(self, x: Any, training: bool = False) -> Any:
        """x · scale + offset."""
        return x * self.factor + self.offset
