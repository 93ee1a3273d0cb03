"""Layers that put one number in the place of many: the largest or the mean of every window, or of all places."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from ..core.arguments import Count
from ..ops.elementwise import where
from ..ops.reduce import max as largest
from ..ops.reduce import mean
from ..ops.window import average_pool, max_pool, windows_of
from .checks import channels_last, floating
from .places import _Places, _Window, framed


class _Pooling(_Window):
    """The base of pooling by windows."""

    def __init__(
        self,
        pool_size: Count | Sequence[Count] = 2,
        strides: Count | Sequence[Count] | None = None,
        padding: str = "valid",
        data_format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        channels_last(type(self).__name__, data_format, self.axes)
        self.slide(pool_size, pool_size if strides is None else strides, padding)
        self.pool_size = self.window

    def widened(self, x: Any) -> tuple[Any, Any]:
        """(x with the places that its edges need, an array that is 1 where a place is real and 0 where it was added);
        None for the array where all are real."""
        x, margins = floating(x, self.dtype), self.margins(x.shape)
        if not any(map(any, margins)):
            return x, None
        lines = [np.pad(np.ones(count), margin) for count, margin in zip(x.shape[1:-1], margins, strict=True)]
        return framed(x, margins), reduce(np.multiply.outer, lines)[np.newaxis, ..., np.newaxis]


class _MaxPooling(_Pooling):
    def call(self, x: Any, training: bool = False) -> Any:
        """The largest real number of every window."""
        x, real = self.widened(x)
        return max_pool(x if real is None else where(real > 0, x, -np.inf), window=self.pool_size, strides=self.strides)


class _AveragePooling(_Pooling):
    def call(self, x: Any, training: bool = False) -> Any:
        """The mean of every window's real numbers."""
        x, real = self.widened(x)
        out = average_pool(x, window=self.pool_size, strides=self.strides)
        if real is None:
            return out
        seen = windows_of(real, self.pool_size, self.strides, self.dilation)
        return out / seen.mean(axis=tuple(range(1 + self.axes, 1 + 2 * self.axes)))


class MaxPooling1D(_MaxPooling):
    """The largest number in every window of `pool_size` places, for each channel: (m, n, c) to (m, places, c).

    Windows lie side by side unless `strides` says otherwise. `padding`: "valid" leaves out what does not fill a window,
    "same" makes ⌈n / strides⌉ places, where a window that stands over the edge counts its real places only. Raises
    ShapeError for an input of other axes and where the window is longer than the input.

    >>> import backlit as bl
    >>> bl.layers.MaxPooling1D()([[[1.0], [5.0], [2.0], [3.0], [9.0]]]).tolist()
    [[[5.0], [3.0]]]
    """


class MaxPooling2D(_MaxPooling):
    """The largest number in every rectangle of `pool_size` pixels, for each channel. Otherwise as MaxPooling1D.

    `pool_size` and `strides` are one number, or one for rows and one for columns.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.MaxPooling2D()(np.zeros((5, 28, 28, 8))).shape
    (5, 14, 14, 8)
    """

    axes = 2


class AveragePooling1D(_AveragePooling):
    """The mean of every window of `pool_size` places, for each channel: (m, n, c) to (m, places, c); windows, padding
    and errors are those of MaxPooling1D.

    >>> import backlit as bl
    >>> bl.layers.AveragePooling1D(padding="same")([[[1.0], [5.0], [2.0]]]).tolist()
    [[[3.0], [2.0]]]
    """


class AveragePooling2D(_AveragePooling):
    """The mean of every rectangle of `pool_size` pixels, for each channel. Otherwise as AveragePooling1D.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.AveragePooling2D((1, 2))(np.ones((5, 3, 4, 8))).shape
    (5, 3, 2, 8)
    """

    axes = 2


# ---------------------------------------------------------------------- all places at once
class _GlobalPooling(_Places):
    """The base of pooling over all places."""

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        channels_last(type(self).__name__, data_format, self.axes)
        self.keepdims = keepdims

    def over(self) -> dict[str, Any]:
        """Over what is reduced."""
        return {"axis": tuple(range(1, self.axes + 1)), "keepdims": self.keepdims}


class _GlobalMaxPooling(_GlobalPooling):
    def call(self, x: Any, training: bool = False) -> Any:
        """The largest number of every channel."""
        return largest(x, **self.over())


class _GlobalAveragePooling(_GlobalPooling):
    def call(self, x: Any, training: bool = False) -> Any:
        """The mean of every channel."""
        return mean(floating(x, self.dtype), **self.over())


class GlobalMaxPooling1D(_GlobalMaxPooling):
    """The largest number of every channel: (m, n, c) to (m, c), or (m, 1, c) with `keepdims`.

    >>> import backlit as bl
    >>> bl.layers.GlobalMaxPooling1D()([[[1.0, 4.0], [3.0, 2.0]]]).tolist()
    [[3.0, 4.0]]
    """


class GlobalMaxPooling2D(_GlobalMaxPooling):
    """The largest number of every channel: (m, height, width, c) to (m, c), or (m, 1, 1, c) with `keepdims`.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.GlobalMaxPooling2D()(np.zeros((5, 7, 7, 8))).shape
    (5, 8)
    """

    axes = 2


class GlobalAveragePooling1D(_GlobalAveragePooling):
    """The mean of every channel: (m, n, c) to (m, c), or (m, 1, c) with `keepdims`.

    >>> import backlit as bl
    >>> bl.layers.GlobalAveragePooling1D()([[[1.0, 4.0], [3.0, 2.0]]]).tolist()
    [[2.0, 3.0]]
    """


class GlobalAveragePooling2D(_GlobalAveragePooling):
    """The mean of every channel: (m, height, width, c) to (m, c), or (m, 1, 1, c) with `keepdims`.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.GlobalAveragePooling2D(keepdims=True)(np.zeros((5, 7, 7, 8))).shape
    (5, 1, 1, 8)
    """

    axes = 2


MaxPool1D, MaxPool2D, AvgPool1D, AvgPool2D = MaxPooling1D, MaxPooling2D, AveragePooling1D, AveragePooling2D
GlobalMaxPool1D, GlobalMaxPool2D = GlobalMaxPooling1D, GlobalMaxPooling2D
GlobalAvgPool1D, GlobalAvgPool2D = GlobalAveragePooling1D, GlobalAveragePooling2D
