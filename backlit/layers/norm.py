"""Layers that bring their inputs to mean 0 and variance 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..core.arguments import NotNegative, Share
from ..core.node import Leaf
from ..core.shapes import Shape, normal_axes
from ..ops.elementwise import sqrt, square
from ..ops.index import reshape
from ..ops.reduce import mean
from .checks import feature_axes, optional, spread_over
from .constraints import Constraint, ConstraintLike
from .initializers import InitializerLike
from .layer import Layer, current_pass
from .regularizers import RegularizerLike


class _Normalized(Layer):
    """The base: gamma and beta along the layer's axes."""

    axis: Any
    epsilon: float
    center: bool
    scale: bool
    beta_initializer: InitializerLike
    gamma_initializer: InitializerLike
    beta_regularizer: RegularizerLike | None
    gamma_regularizer: RegularizerLike | None
    beta_constraint: ConstraintLike | None
    gamma_constraint: ConstraintLike | None

    def build(self, shape: Shape) -> None:
        """gamma and beta: one number for each place along the axes."""
        axes = feature_axes(type(self).__name__, self.axis, shape)
        lengths = [shape[place] for place in axes]
        for name, wanted in (("gamma", self.scale), ("beta", self.center)):
            if wanted:
                leaf = self.add_weight(
                    name,
                    lengths,
                    getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=optional(Constraint, getattr(self, f"{name}_constraint")),
                )
                setattr(self, name, leaf)

    def scaled(self, x: Any, center: Any, variance: Any) -> Any:
        """(x - center) / sqrt(variance + epsilon) · gamma + beta."""
        out = (x - center) / sqrt(variance + self.epsilon)
        if self.scale:
            out = out * self.along(self.gamma, x.shape)
        return out + self.along(self.beta, x.shape) if self.center else out

    def along(self, values: Any, shape: Shape) -> Any:
        """`values`, which stand along the layer's axes, so that they broadcast against `shape`."""
        axes = feature_axes(type(self).__name__, self.axis, shape)
        last = axes == tuple(range(len(shape) - len(axes), len(shape)))
        return values if last else reshape(values, spread_over(axes, shape))


class BatchNormalization(_Normalized):
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, for each place along `axis` (default: the last).

    While training, mean and variance are those of the batch over all other axes, and moving averages of them are kept:
    moving · momentum + batch · (1 - momentum). Otherwise, and where trainable is False, the moving averages are used
    (Ioffe and Szegedy 2015). `center` and `scale` say whether there are beta and gamma.

    >>> import backlit as bl
    >>> out = bl.layers.BatchNormalization(epsilon=0)([[1.0, 5.0], [3.0, 5.5]], training=True)
    >>> out.tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: Share = 0.99,
        epsilon: NotNegative = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        beta_constraint: ConstraintLike | None = None,
        gamma_constraint: ConstraintLike | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.axis, self.momentum, self.epsilon, self.center, self.scale = axis, momentum, epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint = optional(Constraint, beta_constraint)
        self.gamma_constraint = optional(Constraint, gamma_constraint)

    def build(self, shape: Shape) -> None:
        """gamma, beta and the moving mean and variance: one number for each place along the axis."""
        super().build(shape)
        (place,) = feature_axes("BatchNormalization", self.axis, shape)
        width = (shape[place],)
        self.moving_mean = self.add_weight("moving_mean", width, self.moving_mean_initializer, trainable=False)
        self.moving_variance = self.add_weight(
            "moving_variance", width, self.moving_variance_initializer, trainable=False
        )

    def call(self, x: Any, training: bool = False) -> Any:
        """The normalised x."""
        center: Any = self.moving_mean
        variance: Any = self.moving_variance
        if training and self.trainable:
            (place,) = normal_axes(self.axis, len(x.shape), "BatchNormalization")
            others = tuple(axis for axis in range(len(x.shape)) if axis != place)
            center = mean(x, axis=others)
            variance = mean(square(x - self.along(center, x.shape)), axis=others)
            self._move(self.moving_mean, center)
            self._move(self.moving_variance, variance)
        return self.scaled(x, self.along(center, x.shape), self.along(variance, x.shape))

    def _move(self, leaf: Leaf, new: Any) -> None:
        running = current_pass()
        assert running is not None
        running.write(leaf, running.read(leaf) * self.momentum + new * (1 - self.momentum))


class LayerNormalization(_Normalized):
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, where mean and variance are those of each example along
    `axis` (default: the last; or several), the same in training and afterwards (Ba et al. 2016).

    >>> import backlit as bl
    >>> bl.layers.LayerNormalization(epsilon=0)([[1.0, 3.0], [50.0, 10.0]]).tolist()
    [[-1.0, 1.0], [1.0, -1.0]]
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: NotNegative = 0.001,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: RegularizerLike | None = None,
        gamma_regularizer: RegularizerLike | None = None,
        beta_constraint: ConstraintLike | None = None,
        gamma_constraint: ConstraintLike | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.axis, self.epsilon, self.center, self.scale = axis, epsilon, center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.beta_regularizer, self.gamma_regularizer = beta_regularizer, gamma_regularizer
        self.beta_constraint = optional(Constraint, beta_constraint)
        self.gamma_constraint = optional(Constraint, gamma_constraint)

    def call(self, x: Any, training: bool = False) -> Any:
        """The normalised x."""
        axes = feature_axes("LayerNormalization", self.axis, x.shape)
        center = mean(x, axis=axes, keepdims=True)
        return self.scaled(x, center, mean(square(x - center), axis=axes, keepdims=True))
