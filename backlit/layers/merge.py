"""Layers that join several inputs: ``Add()([a, b])``, or in one call ``add([a, b])``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

from ..core.arguments import checked
from ..core.errors import ShapeError, ValueRangeError
from ..core.shapes import Shape, normal_axes, show, size
from ..ops.elementwise import add as add_
from ..ops.elementwise import maximum as maximum_
from ..ops.elementwise import minimum as minimum_
from ..ops.elementwise import multiply as multiply_
from ..ops.elementwise import subtract as subtract_
from ..ops.index import concatenate as concatenate_
from ..ops.index import reshape, swapaxes, transpose
from ..ops.linalg import matmul, normalize
from .checks import floating
from .layer import Layer


class _Merge(Layer):
    """The base: at least one input, or exactly `count`, in a list."""

    joins = True
    count: int | None = None

    def build(self, shape: Any) -> None:
        """No weights; the number of inputs is checked."""
        kind, found = type(self).__name__, len(shape) if isinstance(shape, list) else None
        if found is None or found == 0 or (self.count is not None and found != self.count):
            wanted = "a list of inputs" if self.count is None else f"a list of {self.count} inputs"
            raise ShapeError(
                f"{kind} joins several inputs.",
                expected=wanted,
                found="a single input" if found is None else f"{found} inputs",
                fix=f"{kind}(...)([a, b])",
            )


class Add(_Merge):
    """The sum of all inputs, place by place; axes of length 1 are spread.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Add()([np.array([[1.0, 2.0]]), np.array([[10.0, 20.0]])]).tolist()
    [[11.0, 22.0]]
    """

    def call(self, x: Any, training: bool = False) -> Any:
        """a + b + …"""
        return reduce(add_, x)


class Subtract(_Merge):
    """The first of two inputs minus the second, place by place."""

    count = 2

    def call(self, x: Any, training: bool = False) -> Any:
        """a - b."""
        return subtract_(*x)


class Multiply(_Merge):
    """The product of all inputs, place by place."""

    def call(self, x: Any, training: bool = False) -> Any:
        """a · b · …"""
        return reduce(multiply_, x)


class Average(_Merge):
    """The mean of all inputs, place by place.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Average()([np.array([[1.0, 2.0]]), np.array([[3.0, 6.0]])]).tolist()
    [[2.0, 4.0]]
    """

    def call(self, x: Any, training: bool = False) -> Any:
        """(a + b + …) / how many there are."""
        return floating(reduce(add_, x), self.dtype) / len(x)


class Maximum(_Merge):
    """The largest of all inputs, place by place."""

    def call(self, x: Any, training: bool = False) -> Any:
        """max(a, b, …)."""
        return reduce(maximum_, x)


class Minimum(_Merge):
    """The smallest of all inputs, place by place."""

    def call(self, x: Any, training: bool = False) -> Any:
        """min(a, b, …)."""
        return reduce(minimum_, x)


class Concatenate(_Merge):
    """The inputs one after another along `axis` (default: the last, which joins features).

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Concatenate()([np.zeros((5, 2)), np.ones((5, 1))]).shape
    (5, 3)
    """

    def __init__(self, axis: int = -1, *, name: str | None = None, dtype: str | None = None):
        super().__init__(name=name, dtype=dtype)
        self.axis = axis

    def call(self, x: Any, training: bool = False) -> Any:
        """a, b, … in a row."""
        (place,) = normal_axes(self.axis, len(x[0].shape), "Concatenate")
        if place == 0:
            raise ShapeError("Concatenate keeps the examples apart.", expected="axis from 1", found=f"axis={self.axis}")
        return concatenate_(x, axis=place)


class Dot(_Merge):
    """For each example the sum of products along one axis of each of two inputs: `axes` is that axis, or one for each.

    The remaining axes of both follow one another; two vectors an example give (m, 1). With `normalize` the inputs are
    first divided by their lengths along these axes: the cosine between them.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Dot(axes=1)([np.array([[1.0, 2.0]]), np.array([[10.0, 1.0]])]).tolist()
    [[12.0]]
    """

    count = 2

    def __init__(
        self, axes: int | Sequence[int], normalize: bool = False, *, name: str | None = None, dtype: str | None = None
    ):
        super().__init__(name=name, dtype=dtype)
        pair = (axes, axes) if isinstance(axes, int) else tuple(axes)
        if len(pair) != 2 or 0 in pair:
            raise ValueRangeError(
                "Dot needs the axes to sum over.", expected="a number other than 0, or two", found=f"axes={axes!r}"
            )
        self.axes, self.normalize = pair, normalize

    def call(self, x: Any, training: bool = False) -> Any:
        """The products, summed."""
        (place_a,), (place_b,) = (
            normal_axes(axis, len(part.shape), "Dot") for axis, part in zip(self.axes, x, strict=True)
        )
        a, b = x if not self.normalize else (normalize(x[0], axis=place_a), normalize(x[1], axis=place_b))
        if not place_a or not place_b or a.shape[place_a] != b.shape[place_b]:
            raise ShapeError(
                "Dot sums over axes of one length.",
                expected="the same number of places, and not the examples",
                found=f"{show(a.shape)} along axis {place_a} and {show(b.shape)} along axis {place_b}",
            )
        lengths = [dim for part, p in ((a, place_a), (b, place_b)) for dim in _others(part.shape, p)]
        out = matmul(_rows_of(a, place_a), swapaxes(_rows_of(b, place_b)))
        return reshape(out, (a.shape[0], *(lengths or [1])))


def _others(shape: Shape, place: int) -> list[Any]:
    """The lengths of an example's axes without the one at `place`."""
    return [dim for axis, dim in enumerate(shape) if axis not in (0, place)]


def _rows_of(x: Any, place: int) -> Any:
    """x as (m, everything else, the axis at `place`)."""
    order = (0, *(axis for axis in range(1, len(x.shape)) if axis != place), place)
    return reshape(transpose(x, order), (x.shape[0], size(tuple(_others(x.shape, place))), x.shape[place]))


# ---------------------------------------------------------------------- as functions, in one call
@checked
def add(inputs: Any, *, name: str | None = None) -> Any:
    """``Add()(inputs)``."""
    return Add(name=name)(inputs)


@checked
def subtract(inputs: Any, *, name: str | None = None) -> Any:
    """``Subtract()(inputs)``."""
    return Subtract(name=name)(inputs)


@checked
def multiply(inputs: Any, *, name: str | None = None) -> Any:
    """``Multiply()(inputs)``."""
    return Multiply(name=name)(inputs)


@checked
def average(inputs: Any, *, name: str | None = None) -> Any:
    """``Average()(inputs)``."""
    return Average(name=name)(inputs)


@checked
def maximum(inputs: Any, *, name: str | None = None) -> Any:
    """``Maximum()(inputs)``."""
    return Maximum(name=name)(inputs)


@checked
def minimum(inputs: Any, *, name: str | None = None) -> Any:
    """``Minimum()(inputs)``."""
    return Minimum(name=name)(inputs)


@checked
def concatenate(inputs: Any, axis: int = -1, *, name: str | None = None) -> Any:
    """``Concatenate(axis)(inputs)``."""
    return Concatenate(axis, name=name)(inputs)


@checked
def dot(inputs: Any, axes: Any = -1, *, name: str | None = None) -> Any:
    """``Dot(axes)(inputs)``."""
    return Dot(axes, name=name)(inputs)
