"""Noise while training. Which numbers it hits depends on the model's seed, the step, the layer's position and the place
in the batch: the same on every engine, and the same again in a run of the same seed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.arguments import Decay, Natural, Share
from ..core.errors import ShapeError
from ..core.node import Node
from ..core.op import literal
from ..core.shapes import Shape, show
from ..ops.elementwise import where
from ..ops.random import bernoulli, normal
from .checks import channels_last, floating
from .layer import Layer
from .places import _Places


class _Noise(Layer):
    """The base of layers that draw; their own `seed` replaces the model's, step and place stay."""

    def __init__(self, seed: int | None, name: str | None, dtype: str | None):
        super().__init__(name=name, dtype=dtype)
        self.own_seed = seed

    def place(self) -> tuple[Node, Node, int]:
        """(seed, step, stream) of this call's draw."""
        drawn = self.keep_mask((), 0.5)  # the layer's next draw, looked at for where it comes from
        seed, step = drawn.inputs
        return seed if self.own_seed is None else literal(self.own_seed, "uint32"), step, drawn.attrs["stream"]

    def normal(self, x: Any, mean: float, std: float) -> Any:
        """Numbers from a normal distribution, of x's shape and dtype."""
        seed, step, stream = self.place()
        return normal.node(seed, step, shape=x.shape, stream=stream, mean=mean, std=std, dtype=x.dtype)


class Dropout(_Noise):
    """While training, each number is set to 0 with probability `rate` and the others are divided by 1 - rate;
    otherwise x (Srivastava et al. 2014).

    `noise_shape` is the shape of what is drawn, None or m for the examples: (None, 1, 8) drops whole rows of 8 over the
    axis of length 1. `seed` makes the draw independent of the model's seed. Raises ValueRangeError for a rate outside
    [0, 1).

    >>> import backlit as bl
    >>> bl.random.set_seed(1)
    >>> sorted(set(bl.layers.Dropout(0.5)([[1.0] * 50], training=True)[0].tolist()))
    [0.0, 2.0]
    >>> bl.layers.Dropout(0.5)([[1.0, 2.0]]).tolist()
    [[1.0, 2.0]]
    """

    def __init__(
        self,
        rate: Decay,
        noise_shape: Sequence[Any] | None = None,
        seed: Natural | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(seed, name, dtype)
        self.rate = rate
        self.noise_shape = None if noise_shape is None else tuple(noise_shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """x, with some numbers dropped while training."""
        x = floating(x, self.dtype)
        if not training or self.rate == 0:
            return x
        seed, step, stream = self.place()
        kept = bernoulli.node(seed, step, shape=self._drawn(x.shape), stream=stream, p=1 - self.rate)
        return where(kept, x / (1 - self.rate), 0.0)

    def _drawn(self, shape: Shape) -> Shape:
        if self.noise_shape is None:
            return shape
        drawn = tuple(
            full if part is None else part
            for part, full in zip(self.noise_shape, (*shape, *self.noise_shape[len(shape) :]), strict=False)
        )
        if len(drawn) != len(shape) or any(part not in (1, full) for part, full in zip(drawn, shape, strict=True)):
            raise ShapeError(
                "Dropout's noise_shape does not fit its input.",
                expected=f"1, None or the input's length on each axis of {show(shape)}",
                found=f"noise_shape={self.noise_shape}",
            )
        return drawn


class _SpatialDropout(_Places, Dropout):
    """The base: whole channels are dropped."""

    def _drawn(self, shape: Shape) -> Shape:
        return (shape[0], *(1,) * self.axes, shape[-1])


class SpatialDropout1D(_SpatialDropout):
    """While training, each channel of a signal (m, n, c) is set to 0 as a whole with probability `rate` and the others
    are divided by 1 - rate; otherwise x. Neighbouring places hold much the same, so that Dropout would take little away
    (Tompson et al. 2015).

    >>> import backlit as bl, numpy as np
    >>> bl.random.set_seed(1)
    >>> sorted(set(bl.layers.SpatialDropout1D(0.5)(np.ones((1, 4, 50)), training=True).sum(axis=1)[0].tolist()))
    [0.0, 8.0]
    """

    def __init__(self, rate: Decay, seed: Natural | None = None, *, name: str | None = None, dtype: str | None = None):
        super().__init__(rate, None, seed, name=name, dtype=dtype)


class SpatialDropout2D(_SpatialDropout):
    """While training, each channel of an image (m, height, width, c) is set to 0 as a whole with probability `rate` and
    the others are divided by 1 - rate; otherwise x: SpatialDropout1D for images.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.SpatialDropout2D(0.5)(np.ones((1, 2, 2, 1))).ravel().tolist()
    [1.0, 1.0, 1.0, 1.0]
    """

    axes = 2

    def __init__(
        self,
        rate: Decay,
        data_format: str | None = None,
        seed: Natural | None = None,
        *,
        name: str | None = None,
        dtype: str | None = None,
    ):
        super().__init__(rate, None, seed, name=name, dtype=dtype)
        channels_last("SpatialDropout2D", data_format)


class GaussianNoise(_Noise):
    """While training, x plus numbers from a normal distribution of mean 0 and standard deviation `stddev`; otherwise
    x. Raises ValueRangeError for a stddev that is not from 0 to 1.

    >>> import backlit as bl
    >>> bl.layers.GaussianNoise(0.1)([[1.0]]).tolist(), bl.layers.GaussianNoise(0.1)([[1.0]], training=True).shape
    ([[1.0]], (1, 1))
    """

    def __init__(
        self, stddev: Share, seed: Natural | None = None, *, name: str | None = None, dtype: str | None = None
    ):
        super().__init__(seed, name, dtype)
        self.stddev = stddev

    def call(self, x: Any, training: bool = False) -> Any:
        """x + noise while training."""
        x = floating(x, self.dtype)
        return x + self.normal(x, 0.0, self.stddev) if training and self.stddev else x


class GaussianDropout(_Noise):
    """While training, x times numbers from a normal distribution of mean 1 and standard deviation
    sqrt(rate / (1 - rate)), the spread of Dropout(rate); otherwise x (Srivastava et al. 2014).

    >>> import backlit as bl
    >>> bl.layers.GaussianDropout(0.5)([[1.0]]).tolist()
    [[1.0]]
    """

    def __init__(self, rate: Decay, seed: Natural | None = None, *, name: str | None = None, dtype: str | None = None):
        super().__init__(seed, name, dtype)
        self.rate = rate

    def call(self, x: Any, training: bool = False) -> Any:
        """x · noise while training."""
        x = floating(x, self.dtype)
        return x * self.normal(x, 1.0, (self.rate / (1 - self.rate)) ** 0.5) if training and self.rate else x
