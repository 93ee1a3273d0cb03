"""What layers on (m, places…, channels) share: signals have one axis of places, images two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..core import registry
from ..core.errors import ShapeError, ValueRangeError, did_you_mean
from ..core.shapes import Rows, Shape, show
from ..ops.index import pad, strided
from .layer import Layer

_PLACES = {1: "n", 2: "height, width"}


class _Places(Layer):
    """The base: `axes` is how many axes of places there are."""

    axes = 1

    def each(self, what: str, value: int | Sequence[int]) -> tuple[int, ...]:
        """One number an axis of places, from one for all or a list."""
        numbers = (value,) * self.axes if isinstance(value, int) else tuple(value)
        if len(numbers) != self.axes:
            raise ValueRangeError(
                f"{type(self).__name__} has {self.axes} {'axis' if self.axes == 1 else 'axes'} of places.",
                expected="one number" if self.axes == 1 else f"one number, or {self.axes}",
                found=f"{what}={value!r}",
            )
        return numbers

    def look(self, shape: Any) -> None:
        """Refuse an input that has not these axes."""
        fits = isinstance(shape, tuple) and len(shape) == self.axes + 2
        if not fits or any(isinstance(dim, Rows) for dim in shape[1:]):
            places = "places" if self.axes == 1 else f"{self.axes} axes of places"
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) needs {places} and an axis of channels.",
                expected=f"an input of shape (m, {_PLACES[self.axes]}, channels)",
                found=f"shape {show(shape)}" if isinstance(shape, tuple) else "several inputs",
                fix=self._fitting(shape) if isinstance(shape, tuple) else "",
            )

    def _fitting(self, shape: Shape) -> str:
        """What to write for an input of other axes."""
        places = shape[1:]
        if len(places) == self.axes + 2:
            other = type(self).__name__.replace(f"{self.axes}D", f"{self.axes + 1}D")
            return other if registry.find(f"layer.{other}") else ""
        if len(places) == 1 and isinstance(places[0], int) and self.axes == 2:
            side = math.isqrt(places[0])
            places = (side, side) if side * side == places[0] else ("height", "width")  # type: ignore[assignment]
        if len(places) != self.axes:
            return ""
        return f"Reshape({show((*places, 1))}) before it" + (", or x[..., np.newaxis]" if places == shape[1:] else "")

    def ensure_built(self, shape: Any) -> None:
        """Build once; a later input may have other numbers of places, but not other channels."""
        self.look(shape)
        super().ensure_built((*self.input_shape[:-1], shape[-1]) if self.built else shape)


class _Window(_Places):
    """The base of layers with a window, which `slide` sets up."""

    paddings: tuple[str, ...] = ("valid", "same")
    window_name = "pool_size"

    def slide(self, window: Any, strides: Any, padding: str, dilation: Any = 1) -> None:
        """Keep what says where the window stands."""
        self.window = self.each(self.window_name, window)
        self.strides, self.dilation = self.each("strides", strides), self.each("dilation_rate", dilation)
        self.reach = tuple(gap * (width - 1) + 1 for width, gap in zip(self.window, self.dilation, strict=True))
        self.padding = padding.lower()
        if self.padding not in self.paddings:
            raise ValueRangeError(
                f"{type(self).__name__} has no padding {padding!r}.",
                expected=" or ".join(map(repr, self.paddings)),
                fix=did_you_mean(self.padding, self.paddings),
            )

    def look(self, shape: Any) -> None:
        """Refuse an input that has not these axes, or no place for the window."""
        super().look(shape)
        sizes, needed = shape[1:-1], self.reach if self.padding == "valid" else (1,) * self.axes
        if any(size < least for size, least in zip(sizes, needed, strict=True)):
            wider = "padding='same', " if "same" in self.paddings else ""
            fields = {
                "why": "every window, stride and pooling before it left fewer places",
                "fix": f"{wider}a smaller {self.window_name}, or less pooling before it",
            }
            if self.axes == 2 and shape[1] in (1, 3, 4) and shape[1] < min(shape[2:]):
                fields = {"why": "the channels seem to stand first", "fix": "np.moveaxis(x, 1, -1) puts them last"}
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) has a window longer than its input.",
                expected=f"at least {by(needed)} places",
                found=f"{by(sizes)} places, shape {show(shape)}",
                **fields,
            )

    def margins(self, shape: Shape) -> list[tuple[int, int]]:
        """How many places to add before and behind along each axis, so that the window can stand over the edge."""
        return [
            _margin(self.padding, size, reach, stride)
            for size, reach, stride in zip(shape[1:-1], self.reach, self.strides, strict=True)
        ]


def by(sizes: Sequence[Any]) -> str:
    """Numbers of places as text: 28 × 28."""
    return " × ".join(map(str, sizes))


def _margin(padding: str, size: Any, reach: int, stride: int) -> tuple[int, int]:
    if padding == "valid":
        return 0, 0
    if padding == "causal":  # no place sees what comes after it
        return reach - 1, 0
    lack = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return lack // 2, lack - lack // 2


def framed(x: Any, margins: Sequence[tuple[int, int]]) -> Any:
    """x with so many places of zeros added before and behind along each axis of places, or, below 0, taken away."""
    pairs = [(0, 0), *margins, (0, 0)]
    if any(number < 0 for pair in pairs for number in pair):
        start = [max(-low, 0) for low, _ in pairs]
        stop = [dim if high >= 0 else dim + high for dim, (_, high) in zip(x.shape, pairs, strict=True)]
        x = strided(x, start=start, stop=stop)
    wider = [(max(low, 0), max(high, 0)) for low, high in pairs]
    return pad(x, pad_width=wider) if any(map(any, wider)) else x
