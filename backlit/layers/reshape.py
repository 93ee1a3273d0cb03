"""Layers that only move numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeAlias

from ..core.arguments import Count, Interval
from ..core.errors import ShapeError, ValueRangeError
from ..core.shapes import show, size
from ..ops.index import broadcast_to, expand_dims, reshape, transpose
from .checks import channels_last
from .layer import Layer

_Length: TypeAlias = Annotated[int, Interval(-1)]


class Flatten(Layer):
    """(m, …) to (m, n): all numbers of an example in one row.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def __init__(self, data_format: str | None = None, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        channels_last("Flatten", data_format)

    def call(self, x: Any, training: bool = False) -> Any:
        """The same numbers, one row an example."""
        return reshape(x, (x.shape[0], size(x.shape[1:])))


class Reshape(Layer):
    """(m, …) to (m, *target_shape), row by row; one number of target_shape may be -1, to be worked out.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Reshape((-1, 2))(np.zeros((5, 6))).shape
    (5, 3, 2)
    """

    def __init__(self, target_shape: _Length | Sequence[_Length], *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.target_shape = (target_shape,) if isinstance(target_shape, int) else tuple(target_shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """The same numbers under another shape."""
        return reshape(x, (x.shape[0], *self.target_shape))


class Permute(Layer):
    """The axes of an example in another order: `dims` are the old places, counted from 1.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Permute((2, 1))(np.zeros((5, 3, 4))).shape
    (5, 4, 3)
    """

    def __init__(self, dims: Sequence[int], *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ValueRangeError(
                "Permute names each axis of an example once.",
                expected="1, 2, … in another order",
                found=f"dims={self.dims}",
            )

    def call(self, x: Any, training: bool = False) -> Any:
        """The axes moved."""
        if len(x.shape) != len(self.dims) + 1:
            expected = f"{len(self.dims)} axes and the examples'"
            raise ShapeError("Permute orders other axes.", expected=expected, found=show(x.shape))
        return transpose(x, (0, *self.dims))


class RepeatVector(Layer):
    """(m, k) to (m, n, k): each example's vector n times.

    >>> import backlit as bl
    >>> bl.layers.RepeatVector(2)([[1.0, 5.0]]).tolist()
    [[[1.0, 5.0], [1.0, 5.0]]]
    """

    def __init__(self, n: Count, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.n = n

    def call(self, x: Any, training: bool = False) -> Any:
        """The repeated vectors."""
        if len(x.shape) != 2:
            raise ShapeError("RepeatVector repeats vectors.", expected="shape (m, k)", found=show(x.shape))
        return broadcast_to(expand_dims(x, 1), (x.shape[0], self.n, x.shape[1]))
