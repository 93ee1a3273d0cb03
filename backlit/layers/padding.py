"""Layers that add, take away or repeat places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from ..core.arguments import Count, Natural
from ..core.errors import ShapeError, ValueRangeError
from ..core.shapes import show
from ..ops.index import broadcast_to, reshape
from .checks import channels_last
from .places import _Places, by, framed


class _Edges(_Places):
    """The base of what is done at the edges of each axis."""

    def __init__(self, what: str, numbers: Any, data_format: str | None, name: str | None, dtype: str | None):
        super().__init__(name=name, dtype=dtype)
        channels_last(type(self).__name__, data_format, self.axes)
        self.edges = self._pairs(what, numbers)

    def _pairs(self, what: str, said: Any) -> list[tuple[int, int]]:
        """(before, behind) an axis, of one number for all, one an axis, or one pair an axis; in one axis two numbers are
        a pair."""
        each = [said] * self.axes if isinstance(said, int) else [said] if self.axes == 1 else list(said)
        pairs = [(one, one) if isinstance(one, int) else tuple(one) for one in each]
        if len(pairs) != self.axes or any(len(pair) != 2 for pair in pairs):
            raise ValueRangeError(
                f"{type(self).__name__} needs to know each edge.",
                expected="a number, or two: before and behind"
                if self.axes == 1
                else "a number, (rows, columns), or ((above, below), (left, right))",
                found=f"{what}={said!r}",
            )
        return pairs


class _ZeroPadding(_Edges):
    def call(self, x: Any, training: bool = False) -> Any:
        """x with zeros around it."""
        return framed(x, self.edges)


class ZeroPadding1D(_ZeroPadding):
    """Zeros before and behind a signal: (m, n, c) to (m, n + …, c).

    `padding` is how many on each side, or (before, behind).

    >>> import backlit as bl
    >>> bl.layers.ZeroPadding1D((1, 2))([[[5.0], [6.0]]]).tolist()
    [[[0.0], [5.0], [6.0], [0.0], [0.0]]]
    """

    def __init__(
        self,
        padding: Natural | Sequence[Natural] = 1,
        data_format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__("padding", padding, data_format, name, dtype)


class ZeroPadding2D(_ZeroPadding):
    """Zeros around images: (m, height, width, c) to (m, height + …, width + …, c).

    `padding` is how many on each side, (rows, columns), or ((above, below), (left, right)).

    >>> import backlit as bl, numpy as np
    >>> bl.layers.ZeroPadding2D(((1, 2), (0, 3)))(np.ones((5, 4, 4, 1))).shape
    (5, 7, 7, 1)
    """

    axes = 2

    def __init__(
        self,
        padding: Natural | Sequence[Natural | Sequence[Natural]] = 1,
        data_format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__("padding", padding, data_format, name, dtype)


class _Cropping(_Edges):
    def look(self, shape: Any) -> None:
        """Refuse an input that has not these axes, or from which nothing would be left."""
        super().look(shape)
        if any(size <= sum(pair) for size, pair in zip(shape[1:-1], self.edges, strict=True)):
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) leaves no places.",
                expected=f"more than {by([sum(pair) for pair in self.edges])} places",
                found=f"{by(shape[1:-1])} places, shape {show(shape)}",
                fix="a smaller cropping, or a larger input",
            )

    def call(self, x: Any, training: bool = False) -> Any:
        """x without its edges."""
        return framed(x, [(-before, -behind) for before, behind in self.edges])


class Cropping1D(_Cropping):
    """A signal without its ends: (m, n, c) to (m, n - …, c).

    `cropping` is how many places go on each side, or (before, behind). Raises ShapeError where none would be left.

    >>> import backlit as bl
    >>> bl.layers.Cropping1D((1, 0))([[[5.0], [6.0]]]).tolist()
    [[[6.0]]]
    """

    def __init__(
        self,
        cropping: Natural | Sequence[Natural] = 1,
        data_format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__("cropping", cropping, data_format, name, dtype)


class Cropping2D(_Cropping):
    """Images without their edges: (m, height, width, c) to (m, height - …, width - …, c).

    `cropping` is how many pixels go on each side (default: none), (rows, columns), or ((above, below), (left, right)).
    Raises ShapeError where no pixel would be left.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Cropping2D((1, 2))(np.ones((5, 7, 7, 1))).shape
    (5, 5, 3, 1)
    """

    axes = 2

    def __init__(
        self,
        cropping: Natural | Sequence[Natural | Sequence[Natural]] = 0,
        data_format: str | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__("cropping", cropping, data_format, name, dtype)


class _UpSampling(_Places):
    """The base of what repeats places."""

    def __init__(
        self,
        size: Count | Sequence[Count] = 2,
        data_format: str | None = None,
        interpolation: Literal["nearest"] = "nearest",
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(name=name, dtype=dtype)
        channels_last(type(self).__name__, data_format, self.axes)
        self.size, self.interpolation = self.each("size", size), interpolation

    def call(self, x: Any, training: bool = False) -> Any:
        """Every place `size` times."""
        m, *places, channels = x.shape
        apart = [part for count in places for part in (count, 1)]
        spread = [part for pair in zip(places, self.size, strict=True) for part in pair]
        longer = [count * times for count, times in zip(places, self.size, strict=True)]
        parts = broadcast_to(reshape(x, (m, *apart, channels)), (m, *spread, channels))
        return reshape(parts, (m, *longer, channels))


class UpSampling1D(_UpSampling):
    """Every place of a signal `size` times: (m, n, c) to (m, n · size, c).

    >>> import backlit as bl
    >>> bl.layers.UpSampling1D(2)([[[5.0], [6.0]]]).tolist()
    [[[5.0], [5.0], [6.0], [6.0]]]
    """


class UpSampling2D(_UpSampling):
    """Every pixel repeated: (m, height, width, c) to (m, height · rows, width · columns, c), where `size` is one number
    or (rows, columns). `interpolation` is "nearest".

    >>> import backlit as bl, numpy as np
    >>> bl.layers.UpSampling2D((2, 3))(np.zeros((5, 4, 4, 1))).shape
    (5, 8, 12, 1)
    """

    axes = 2
