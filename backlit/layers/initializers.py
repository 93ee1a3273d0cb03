"""First values of weights. They depend on (seed, stream) alone and always come from NumPy, whatever the engine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np

from ..core.arguments import Finite, NotNegative, Positive, checked
from ..core.errors import ShapeError, ValueRangeError, did_you_mean, not_written
from ..core.node import DType, as_array, checked_dtype
from ..core.record import Record, spellings
from ..core.seed import next_draw
from ..core.shapes import Shape, show
from ..core.shapes import checked as checked_shape
from ..ops.random import normal as normal_
from ..ops.random import uniform as uniform_

_CUT = 0.02275013194817921  # how much of a normal distribution lies below -2
_KEPT_STD = 0.87962566103423978  # the standard deviation of a normal that is cut at -2 and 2


Axes: TypeAlias = Sequence[int] | None  # which axes of a weight count


def fans(shape: Shape, input_axes: Axes = None, output_axes: Axes = None) -> tuple[int, int]:
    """(inputs, outputs) that one number of a weight of `shape` joins: (n, k) -> n, k; kernels count their field."""
    lengths: Any = shape
    if input_axes is not None and output_axes is not None:
        return tuple(int(np.prod([lengths[axis] for axis in axes])) for axes in (input_axes, output_axes))  # type: ignore[return-value]
    if len(shape) < 2:
        length = int(lengths[0]) if shape else 1
        return length, length
    field = int(np.prod(lengths[:-2]))
    return int(lengths[-2]) * field, int(lengths[-1]) * field


class Initializer(Record):
    """The base: an initializer of your own has `sample(shape, seed, stream)`, which returns an array.

    Called by itself, an initializer draws anew each time: ``HeNormal()((3, 2))``.

    >>> import backlit as bl
    >>> class Diagonal(bl.initializers.Initializer):
    ...     def sample(self, shape, seed, stream):
    ...         import numpy as np
    ...         return 0.5 * np.eye(*shape)
    >>> bl.layers.Dense(2, kernel_initializer=Diagonal())([[4.0, 6.0]]).tolist()
    [[2.0, 3.0]]
    """

    family = "initializer"

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """The first values."""
        raise not_written(self, "sample(self, shape, seed, stream)")

    def cut(self, shape: Shape) -> float | None:
        """The standard deviation of the normal distribution that is cut at two of it, for weights that are drawn so."""
        return None

    @checked
    def __call__(self, shape: Any, dtype: DType = "float32") -> Any:
        lengths, dtype = checked_shape(shape), checked_dtype(dtype)
        seed, stream = next_draw()
        return np.asarray(self.sample(lengths, seed, stream), dtype=dtype)


InitializerLike: TypeAlias = Annotated[Any, Initializer.get]  # an object, a class, a name or a configuration


class Zeros(Initializer):
    """All 0. Right for biases; a hidden layer's kernel of zeros never breaks the symmetry of its units."""

    aliases = ("zero",)

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Zeros."""
        return np.zeros(shape)


class Ones(Initializer):
    """All 1."""

    aliases = ("one",)

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Ones."""
        return np.ones(shape)


class Constant(Initializer):
    """All the same value, or the given array."""

    def __init__(self, value: Annotated[Any, as_array] = 0.0):
        self.value = value

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """The value, spread over the shape."""
        value = as_array(self.value).astype(np.float64)
        if value.shape not in ((), shape):
            raise ShapeError("the constant does not fit the weight.", expected=f"shape {shape}", found=f"{value.shape}")
        return np.broadcast_to(value, shape)  # type: ignore[arg-type]


class Identity(Initializer):
    """gain on the diagonal of a matrix, 0 elsewhere."""

    aliases = ("identity_initializer",)

    def __init__(self, gain: Finite = 1.0):
        self.gain = gain

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """The diagonal."""
        if len(shape) != 2:
            raise ShapeError("Identity is a matrix.", expected="shape (n, k)", found=show(shape))
        return self.gain * np.eye(*shape)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- draws
class _Random(Initializer):
    """The base of those that draw. Their own `seed` replaces the model's: the same values at every place."""

    seed: int | None = None

    def sample(self, shape: Shape, seed: int, stream: int) -> Any:
        """Draws."""
        if self.seed is not None:
            seed, stream = int(self.seed) & 0xFFFFFFFF, 0
        return self.draw(shape, {"shape": shape, "stream": stream, "dtype": "float64"}, seed)

    def draw(self, shape: Shape, place: dict[str, Any], seed: int) -> Any:
        """Values for `shape`; `place` says which draw of `seed` they are."""
        raise not_written(self, "draw(self, shape, place, seed)")


def _truncated(seed: int, place: dict[str, Any], mean: float, std: float) -> Any:
    """A normal distribution without what lies more than 2 std from the mean: the inverse of its distribution function
    at uniform draws, so that one number is drawn a place."""
    from scipy.special import ndtri

    return mean + std * ndtri(uniform_(seed, 0, low=_CUT, high=1 - _CUT, **place))


class RandomNormal(_Random):
    """Numbers from a normal distribution; the course's 0.01·randn is RandomNormal(stddev=0.01)."""

    aliases = ("normal",)

    def __init__(self, mean: Finite = 0.0, stddev: NotNegative = 0.05, seed: int | None = None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def draw(self, shape: Shape, place: dict[str, Any], seed: int) -> Any:
        """Draws."""
        return normal_(seed, 0, mean=self.mean, std=self.stddev, **place)


class RandomUniform(_Random):
    """Numbers evenly from [minval, maxval)."""

    aliases = ("uniform",)

    def __init__(self, minval: Finite = -0.05, maxval: Finite = 0.05, seed: int | None = None):
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def draw(self, shape: Shape, place: dict[str, Any], seed: int) -> Any:
        """Draws."""
        return uniform_(seed, 0, low=self.minval, high=self.maxval, **place)


class TruncatedNormal(_Random):
    """Numbers from a normal distribution, without those more than two standard deviations from the mean."""

    def __init__(self, mean: Finite = 0.0, stddev: NotNegative = 0.05, seed: int | None = None):
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def cut(self, shape: Shape) -> float:
        """stddev."""
        return self.stddev

    def draw(self, shape: Shape, place: dict[str, Any], seed: int) -> Any:
        """Draws."""
        return _truncated(seed, place, self.mean, self.stddev)


class Orthogonal(_Random):
    """gain times a random matrix whose columns (or rows, where there are fewer) stand at right angles and have length
    1 (Saxe et al. 2014). A kernel of more axes counts as a matrix (all but the last, last)."""

    aliases = ("orthogonal_initializer",)

    def __init__(self, gain: Finite = 1.0, seed: int | None = None):
        self.gain, self.seed = gain, seed

    def draw(self, shape: Shape, place: dict[str, Any], seed: int) -> Any:
        """Draws: the Q of a random matrix, its signs settled so that every such Q is equally likely."""
        if len(shape) < 2:
            raise ShapeError("Orthogonal is a matrix.", expected="at least two axes", found=show(shape))
        rows, columns = int(np.prod(shape[:-1])), int(shape[-1])  # type: ignore[arg-type]
        flat = (max(rows, columns), min(rows, columns))
        q, r = np.linalg.qr(normal_(seed, 0, **{**place, "shape": flat}))
        q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
        return self.gain * (q if rows >= columns else q.T).reshape(shape)  # type: ignore[arg-type]


# ---------------------------------------------------------------------- as wide as the layer asks for
_MODES = {"fan_in": lambda i, o: i, "fan_out": lambda i, o: o, "fan_avg": lambda i, o: (i + o) / 2}
_DISTRIBUTIONS = ("truncated_normal", "untruncated_normal", "uniform")


class _Scaled(_Random):
    """Variance scale / n, where n counts the inputs, the outputs or their mean (`mode`).

    `seed`: draws of its own. `input_axes`, `output_axes`: which axes of the weight count as inputs and outputs.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "uniform"

    def __init__(self, seed: int | None = None, input_axes: Axes = None, output_axes: Axes = None):
        self.seed, self.input_axes, self.output_axes = seed, input_axes, output_axes

    def _std(self, shape: Shape) -> float:
        count = _MODES[self.mode](*fans(shape, self.input_axes, self.output_axes))
        return (self.scale / max(1.0, count)) ** 0.5

    def cut(self, shape: Shape) -> float | None:
        """Wider than the standard deviation asked for, which is what is left after the cut."""
        return self._std(shape) / _KEPT_STD if self.distribution == "truncated_normal" else None

    def draw(self, shape: Shape, place: dict[str, Any], seed: int) -> Any:
        """Draws: uniform in ±sqrt(3 variance), or normal, by default cut at two standard deviations."""
        std = self._std(shape)
        if self.distribution == "uniform":
            return uniform_(seed, 0, low=-(3**0.5) * std, high=3**0.5 * std, **place)
        if self.distribution == "untruncated_normal":
            return normal_(seed, 0, std=std, **place)
        return _truncated(seed, place, 0.0, std / _KEPT_STD)


class VarianceScaling(_Scaled):
    """Variance scale / n: n is the number of inputs ("fan_in"), of outputs ("fan_out") or their mean ("fan_avg").

    `distribution` is "truncated_normal" (also called "normal": cut at two standard deviations and widened so that the
    variance is the one asked for), "untruncated_normal" or "uniform".
    """

    def __init__(
        self,
        scale: Positive = 1.0,
        mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        input_axes: Axes = None,
        output_axes: Axes = None,
    ):
        super().__init__(seed, input_axes, output_axes)
        name = distribution.lower()
        self.scale, self.mode = scale, mode
        self.distribution = "truncated_normal" if name == "normal" else name
        if self.distribution not in _DISTRIBUTIONS:
            raise ValueRangeError(
                "VarianceScaling has no such distribution.",
                expected=", ".join(_DISTRIBUTIONS),
                found=repr(distribution),
                fix=did_you_mean(name, _DISTRIBUTIONS),
            )


class GlorotUniform(_Scaled):
    """Uniform in ±sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010): the default of Dense."""

    aliases = ("xavier_uniform",)
    mode = "fan_avg"


class GlorotNormal(_Scaled):
    """Truncated normal with variance 2 / (inputs + outputs) (Glorot and Bengio 2010)."""

    aliases = ("xavier_normal",)
    mode, distribution = "fan_avg", "truncated_normal"


class HeUniform(_Scaled):
    """Uniform in ±sqrt(6 / inputs) (He et al. 2015): for ReLU layers."""

    scale = 2.0


class HeNormal(_Scaled):
    """Truncated normal with variance 2 / inputs (He et al. 2015): for ReLU layers."""

    scale, distribution = 2.0, "truncated_normal"


class LecunUniform(_Scaled):
    """Uniform in ±sqrt(3 / inputs) (LeCun et al. 1998): for tanh and SELU layers."""


class LecunNormal(_Scaled):
    """Truncated normal with variance 1 / inputs (LeCun et al. 1998): for tanh and SELU layers."""

    distribution = "truncated_normal"


__all__ = spellings(globals(), Initializer)
