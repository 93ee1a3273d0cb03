"""Preprocessing as part of the model, so that the saved model takes raw units and explains itself in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from ..core.arguments import Count, checked
from ..core.errors import ArgumentError, DataError, NotReadyError, ShapeError
from ..core.node import as_array
from ..core.shapes import Shape, show
from ..ops.index import gather, iota, one_hot, reshape
from ..ops.reduce import max as max_
from ..ops.reduce import sum as sum_
from .checks import feature_axes, floating, not_yet, spread_over
from .embedding import whole_ids
from .initializers import Constant
from .layer import Layer


class Normalization(Layer):
    """(x - mean) / sqrt(variance), for each place along `axis` (default: the last); a place of variance 0 is only
    shifted.

    Give `mean` and `variance` (numbers, or one for each place), or call `adapt(X)`. `axis` may be several axes, or None
    for one mean and variance over all numbers. `invert` computes x · sqrt(variance) + mean instead. Raises DataError
    for statistics that are not finite, ShapeError where they are of another width than the input.

    >>> import backlit as bl
    >>> layer = bl.layers.Normalization()
    >>> layer.adapt([[0.0, 10.0], [4.0, 10.0]])
    >>> layer.mean.tolist(), layer.variance.tolist()
    ([2.0, 10.0], [4.0, 0.0])
    >>> layer([[6.0, 11.0]]).tolist()
    [[2.0, 1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: Any = None,
        variance: Any = None,
        invert: bool = False,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        if (mean is None) != (variance is None):
            raise ArgumentError("Normalization needs mean and variance, or neither.", fix="layer.adapt(X_train)")
        self.axis = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.invert = invert
        self.given = None if mean is None else _statistics(mean, variance)

    @property
    def mean(self) -> Any:
        """The mean at each place along the axis, as an array."""
        return self._told()[0].copy()

    @property
    def variance(self) -> Any:
        """The variance at each place along the axis, as an array."""
        return self._told()[1].copy()

    @checked
    def adapt(self, data: Any) -> None:
        """Take mean and variance from `data`, an array or a list of examples."""
        array = as_array(data).astype(np.float64)
        if array.size == 0 or array.ndim == 0:
            raise DataError("there is nothing to adapt to.", expected="at least one row", found=f"shape {array.shape}")
        if array.ndim == 1:
            array = array.reshape(-1, 1)
        kept = {place % array.ndim for place in self.axis}
        others = tuple(place for place in range(array.ndim) if place not in kept)
        given = _statistics(array.mean(axis=others), array.var(axis=others))
        if self.built:
            for leaf, values in zip((self._mean, self._scale), self._fitted(given, self.input_shape), strict=True):
                leaf.assign(values)
        self.given = given
        self.arguments.update(mean=given[0].tolist(), variance=given[1].tolist())

    def build(self, shape: Shape) -> None:
        """Keep mean and scale as state: one number for each place along the axis."""
        mean, scale = self._fitted(self._told(), shape)
        self._mean = self.add_weight("mean", mean.shape, Constant(mean), trainable=False)
        self._scale = self.add_weight("scale", scale.shape, Constant(scale), trainable=False)

    def _told(self) -> Any:
        if self.given is None:
            raise NotReadyError(
                f"layer {self.name!r} (Normalization) has no statistics.", fix="layer.adapt(X_train) before fit"
            )
        return self.given

    def _fitted(self, given: Any, shape: Shape) -> tuple[Any, Any]:
        """Mean and scale for every place along the axes of an input of `shape`."""
        places: Any = tuple(shape[place] for place in feature_axes("Normalization", self.axis, shape))
        mean, variance = given
        try:
            scale = np.broadcast_to(np.where(variance > 0, np.sqrt(variance), 1.0), places)
            return np.broadcast_to(mean, places), scale
        except ValueError:
            raise ShapeError(
                f"layer {self.name!r} (Normalization) was adapted to another width.",
                expected=f"shape {show(places)}",
                found=f"shape {show(mean.shape)}",
            ) from None

    def call(self, x: Any, training: bool = False) -> Any:
        """(x - mean) / scale, or x · scale + mean."""
        axes = feature_axes("Normalization", self.axis, x.shape)
        mean: Any = self._mean
        scale: Any = self._scale
        if axes and axes != tuple(range(len(x.shape) - len(axes), len(x.shape))):
            along = spread_over(axes, x.shape)
            mean, scale = reshape(mean, along), reshape(scale, along)
        return x * scale + mean if self.invert else (x - mean) / scale


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
    """x · scale + offset; both are numbers, or lists with one number for each place along the last axis.

    >>> import backlit as bl
    >>> bl.layers.Rescaling(1 / 255)([[0.0, 255.0]]).tolist()
    [[0.0, 1.0]]
    """

    def __init__(self, scale: Any, offset: Any = 0.0, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.factor, self.offset = _numbers(scale, self.dtype), _numbers(offset, self.dtype)

    def call(self, x: Any, training: bool = False) -> Any:
        """x · scale + offset."""
        return floating(x, self.dtype) * self.factor + self.offset


def _numbers(value: Any, dtype: str) -> Any:
    array = as_array(value).astype(np.float64)
    if not np.isfinite(array).all():
        raise DataError("Rescaling needs finite numbers.", found=repr(value))
    return float(array) if array.ndim == 0 else array.astype(dtype)


class CategoryEncoding(Layer):
    """Whole numbers 0 … num_tokens-1 as columns of zeros and ones.

    `output_mode` "one_hot": each number becomes a row with a single 1, (m,) or (m, 1) to (m, num_tokens); "multi_hot"
    (Keras's default): the numbers of an example together become one row with a 1 for each that occurs, (m, n) to
    (m, num_tokens); "count": how often each occurs. Numbers out of range are refused (ValueRangeError).

    >>> import backlit as bl, numpy as np
    >>> bl.layers.CategoryEncoding(3, "one_hot")(np.array([2, 0])).tolist()
    [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    >>> bl.layers.CategoryEncoding(3)(np.array([[2, 0], [1, 1]])).tolist()
    [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """

    def __init__(
        self,
        num_tokens: Count | None = None,
        output_mode: Literal["one_hot", "multi_hot", "count"] = "multi_hot",
        sparse: bool = False,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        not_yet("CategoryEncoding", sparse=sparse)
        if num_tokens is None:
            raise ArgumentError("CategoryEncoding needs num_tokens.", fix="num_tokens=int(X.max()) + 1")
        self.num_tokens, self.output_mode = num_tokens, output_mode

    def call(self, x: Any, training: bool = False) -> Any:
        """The columns."""
        rank, single = len(x.shape), x.shape[-1] == 1
        ids = gather(iota.node(shape=(self.num_tokens,)), whole_ids(x), axis=0)  # the ids themselves, if in range
        if self.output_mode == "one_hot" and rank > 1 and single:
            ids = reshape(ids, x.shape[:-1])
        hot = one_hot(ids, depth=self.num_tokens, dtype=self.dtype)
        if self.output_mode == "one_hot" or rank == 1:
            return hot
        return (max_ if self.output_mode == "multi_hot" else sum_)(hot, axis=1)
