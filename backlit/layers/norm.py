"""Layers that bring their inputs to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from ..core.shapes import Shape
from ..ops.elementwise import sqrt, square
from ..ops.reduce import mean
from .layer import Layer, current_pass


class BatchNormalization(Layer):
    """(x - mean) / sqrt(variance + epsilon) · gamma + beta, for each feature of the last axis.

    While training, mean and variance are those of the batch, and moving averages of them are kept; otherwise the moving
    averages are used (Ioffe and Szegedy 2015).
    """

    def __init__(self, momentum: float = 0.99, epsilon: float = 0.001, name: str | None = None, trainable: bool = True):
        super().__init__(name=name, trainable=trainable)
        self.momentum, self.epsilon = momentum, epsilon

    def build(self, shape: Shape) -> None:
        """gamma, beta and the moving mean and variance: (n,) each."""
        width = (shape[-1],)
        self.gamma = self.add_weight("gamma", width, "ones")
        self.beta = self.add_weight("beta", width, "zeros")
        self.moving_mean = self.add_weight("moving_mean", width, "zeros", trainable=False)
        self.moving_variance = self.add_weight("moving_variance", width, "ones", trainable=False)

    def call(self, x: Any, training: bool = False) -> Any:
        """The normalised x."""
        if training and self.trainable:
            axes = tuple(range(len(x.shape) - 1))
            center = mean(x, axis=axes)
            variance = mean(square(x - center), axis=axes)
            self._move(self.moving_mean, center)
            self._move(self.moving_variance, variance)
        else:
            center, variance = self.moving_mean, self.moving_variance
        return (x - center) / sqrt(variance + self.epsilon) * self.gamma + self.beta

    def _move(self, leaf: Any, new: Any) -> None:
        running = current_pass()
        assert running is not None
        running.write(leaf, running.read(leaf) * self.momentum + new * (1 - self.momentum))
