"""The densely connected layer."""

from __future__ import annotations

from typing import Any

from ..core.arguments import Count
from ..core.errors import ShapeError
from ..core.shapes import Shape, show
from ..ops.linalg import matmul
from ..ops.reduce import size
from .activation import resolve
from .checks import optional
from .constraints import Constraint, ConstraintLike
from .initializers import InitializerLike
from .layer import Layer
from .regularizers import Regularizer, RegularizerLike


class Dense(Layer):
    """Every unit sees every input: z = x·W + b, a = g(z).

    x is (m, …, n), `kernel` W is (n, units), `bias` b is (units,), the output (m, …, units). `activation` is a name, a
    function or a layer; regularizers add to the loss, constraints bring the weights back after each update. Raises
    ShapeError for an input that has no axis of features.

    >>> import backlit as bl
    >>> layer = bl.layers.Dense(2, activation="relu", kernel_initializer="ones")
    >>> layer([[1.0, 2.0, -4.0]]).tolist()
    [[0.0, 0.0]]
    """

    def __init__(
        self,
        units: Count,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: RegularizerLike | None = None,
        bias_regularizer: RegularizerLike | None = None,
        activity_regularizer: RegularizerLike | None = None,
        kernel_constraint: ConstraintLike | None = None,
        bias_constraint: ConstraintLike | None = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.units, self.use_bias = units, use_bias
        self.activation = resolve(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.activity_regularizer = optional(Regularizer, activity_regularizer)
        self.kernel_constraint = optional(Constraint, kernel_constraint)
        self.bias_constraint = optional(Constraint, bias_constraint)

    def build(self, shape: Shape) -> None:
        """Make kernel (n, units) and bias (units,)."""
        if len(shape) < 2 or not isinstance(shape[-1], int):
            raise ShapeError(
                f"layer {self.name!r} (Dense) needs an axis of features.",
                expected="an input of shape (m, n)",
                found=f"shape {show(shape)}",
                fix="x.reshape(-1, 1) makes one feature of a vector",
            )
        self.kernel = self.add_weight(
            "kernel",
            (shape[-1], self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, x: Any, training: bool = False) -> Any:
        """g(x·W + b)."""
        z = matmul(x, self.kernel)
        out = self.activation(z + self.bias if self.use_bias else z)
        if self.activity_regularizer is not None:
            self.add_loss(self.activity_regularizer(out) / size(out, axis=0))  # a mean over the batch, as in Keras
        return out
