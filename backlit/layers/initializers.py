"""First values of weights. They depend on (seed, stream) alone and always come from the reference engine."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..core.errors import ShapeError
from ..core.record import Record
from ..core.shapes import Shape
from ..ops.random import normal, uniform


def fans(shape: Shape) -> tuple[int, int]:
    """(inputs, outputs) that one number of a weight of `shape` joins: (n, k) -> n, k; kernels count their field."""
    if len(shape) < 2:
        length = int(shape[0]) if shape else 1  # type: ignore[arg-type]
        return length, length
    field = int(np.prod(shape[:-2]))  # type: ignore[arg-type]
    return int(shape[-2]) * field, int(shape[-1]) * field  # type: ignore[arg-type]


class Initializer(Record):
    """The base: an initializer of your own has `sample(shape, seed, stream)`, which returns an array."""

    family = "initializer"

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """The first values."""
        raise NotImplementedError(f"{type(self).__name__}.sample")

    def __call__(self, shape: Shape, seed: int = 0) -> Any:
        return self.sample(shape, seed, 0)


class Zeros(Initializer):
    """All 0. Right for biases; a hidden layer's kernel of zeros never breaks the symmetry of its units."""

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Ones."""
        return np.ones(shape)


class Constant(Initializer):
    """All the same value, or the given array."""

    def __init__(self, value: Any = 0.0):
        self.value = value

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """The value, spread over the shape."""
        value = np.asarray(self.value, dtype=np.float64)
        if value.shape not in ((), shape):
            raise ShapeError("the constant does not fit the weight.", expected=f"shape {shape}", found=f"{value.shape}")
        return np.broadcast_to(value, shape)  # type: ignore[arg-type]


class RandomNormal(Initializer):
    """Numbers from a normal distribution; the course's 0.01·randn is RandomNormal(stddev=0.01)."""

    aliases = ("normal",)

    def __init__(self, mean: float = 0.0, stddev: float = 0.05):
        self.mean, self.stddev = mean, stddev

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Draws."""
        return normal(seed, 0, shape=shape, stream=stream, mean=self.mean, std=self.stddev, dtype="float64")


class RandomUniform(Initializer):
    """Numbers evenly from [minval, maxval)."""

    aliases = ("uniform",)

    def __init__(self, minval: float = -0.05, maxval: float = 0.05):
        self.minval, self.maxval = minval, maxval

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Draws."""
        return uniform(seed, 0, shape=shape, stream=stream, low=self.minval, high=self.maxval, dtype="float64")


class _VarianceScaling(Initializer):
    """Variance scale / n, where n counts the inputs ("in") or the mean of inputs and outputs ("average")."""

    scale: ClassVar[float] = 1.0
    mode: ClassVar[str] = "average"
    spread: ClassVar[str] = "uniform"

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Draws: uniform in ±sqrt(3 variance), or normal."""
        into, out = fans(shape)
        variance = self.scale / max(1.0, into if self.mode == "in" else (into + out) / 2)
        if self.spread == "normal":
            return normal(seed, 0, shape=shape, stream=stream, std=variance**0.5, dtype="float64")
        limit = (3 * variance) ** 0.5
        return uniform(seed, 0, shape=shape, stream=stream, low=-limit, high=limit, dtype="float64")


class GlorotUniform(_VarianceScaling):
    """Uniform in ±sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010): the default of Dense."""

    aliases = ("xavier_uniform",)


class GlorotNormal(_VarianceScaling):
    """Normal with variance 2 / (inputs + outputs) (Glorot and Bengio 2010)."""

    aliases = ("xavier_normal",)
    spread = "normal"


class HeUniform(_VarianceScaling):
    """Uniform in ±sqrt(6 / inputs) (He et al. 2015): for ReLU layers."""

    scale, mode = 2.0, "in"


class HeNormal(_VarianceScaling):
    """Normal with variance 2 / inputs (He et al. 2015): for ReLU layers."""

    scale, mode, spread = 2.0, "in", "normal"


class LecunNormal(_VarianceScaling):
    """Normal with variance 1 / inputs (LeCun et al. 1998): for tanh and SELU layers."""

    mode, spread = "in", "normal"
