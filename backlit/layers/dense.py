"""The densely connected layer."""

from __future__ import annotations

from typing import Any

from ..core.arguments import Count
from ..core.errors import ShapeError
from ..core.shapes import Shape, show
from ..ops.linalg import matmul
from .affine import _Affine
from .constraints import ConstraintLike
from .initializers import InitializerLike
from .regularizers import RegularizerLike


class Dense(_Affine):
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
        super().__init__(
            activation, use_bias, kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
            activity_regularizer, kernel_constraint, bias_constraint, name, trainable, dtype,
        )  # fmt: skip
        self.units = units

    def build(self, shape: Shape) -> None:
        """Make kernel (n, units) and bias (units,)."""
        if len(shape) < 2 or not isinstance(shape[-1], int):
            raise ShapeError(
                f"layer {self.name!r} (Dense) needs an axis of features.",
                expected="an input of shape (m, n)",
                found=f"shape {show(shape)}",
                fix="x.reshape(-1, 1) makes one feature of a vector",
            )
        self._weigh((shape[-1], self.units), (self.units,))

    def call(self, x: Any, training: bool = False) -> Any:
        """g(x·W + b)."""
        return self._finish(matmul(x, self.kernel))
