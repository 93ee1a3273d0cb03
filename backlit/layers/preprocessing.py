"""Preprocessing as part of the model, so that the saved model takes raw units and explains itself in them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.errors import ArgumentError, DataError, NotReadyError, ShapeError
from ..core.node import as_array
from ..core.shapes import Shape, show
from .initializers import Constant
from .layer import Layer


class Normalization(Layer):
    """(x - mean) / sqrt(variance), column by column; a column of variance 0 is only shifted.

    Give `mean` and `variance` (numbers, or one a column), or call `adapt(X)`. Raises DataError for statistics that are
    not finite, ShapeError where they are of another width than the input.
    """

    def __init__(self, mean: Any = None, variance: Any = None, name: str | None = None):
        super().__init__(name=name)
        if (mean is None) != (variance is None):
            raise ArgumentError("Normalization needs mean and variance, or neither.", fix="layer.adapt(X_train)")
        self.given = None if mean is None else _statistics(mean, variance)

    def adapt(self, data: Any) -> None:
        """Take mean and variance of each column from `data` (m, n)."""
        array = as_array(data).astype(np.float64)
        if array.size == 0 or array.ndim == 0:
            raise DataError("there is nothing to adapt to.", expected="at least one row", found=f"shape {array.shape}")
        given = _statistics(array.mean(axis=0), array.var(axis=0))
        if self.built:
            mean, scale = self._columns(given, self.input_shape)
            self.mean.assign(mean)
            self.scale.assign(scale)
        self.given = given
        self.arguments.update(mean=given[0].tolist(), variance=given[1].tolist())

    def build(self, shape: Shape) -> None:
        """Keep mean and scale as state: (n,) each."""
        if self.given is None:
            raise NotReadyError(
                f"layer {self.name!r} (Normalization) has no statistics.", fix="layer.adapt(X_train) before fit"
            )
        mean, scale = self._columns(self.given, shape)
        self.mean = self.add_weight("mean", mean.shape, Constant(mean), trainable=False)
        self.scale = self.add_weight("scale", scale.shape, Constant(scale), trainable=False)

    def _columns(self, given: Any, shape: Shape) -> tuple[Any, Any]:
        """Mean and scale for every column of an input of `shape`."""
        columns: Any = tuple(shape[1:])
        mean, variance = given
        if not {mean.shape, variance.shape} <= {(), columns}:
            raise ShapeError(
                f"layer {self.name!r} (Normalization) was adapted to another width.",
                expected=f"shape {show(columns)}",
                found=f"shape {show(mean.shape)}",
            )
        scale = np.where(variance > 0, np.sqrt(variance), 1.0)
        return np.broadcast_to(mean, columns), np.broadcast_to(scale, columns)

    def call(self, x: Any, training: bool = False) -> Any:
        """(x - mean) / scale."""
        return (x - self.mean) / self.scale


def _statistics(mean: Any, variance: Any) -> tuple[Any, Any]:
    arrays = as_array(mean).astype(np.float64), as_array(variance).astype(np.float64)
    if not all(np.isfinite(array).all() for array in arrays) or (arrays[1] < 0).any():
        raise DataError(
            "these statistics cannot be used.",
            expected="finite means, and variances from 0",
            fix="drop the rows with NaN or infinity before layer.adapt(X)",
        )
    return arrays


class Rescaling(Layer):
    """x · scale + offset."""

    def __init__(self, scale: float, offset: float = 0.0, name: str | None = None):
        super().__init__(name=name)
        self.factor, self.offset = float(scale), float(offset)

    def call(self, x: Any, training: bool = False) -> Any:
        """x · scale + offset."""
        return x * self.factor + self.offset
