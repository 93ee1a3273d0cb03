"""What layers with a kernel, a bias and an activation share."""

from __future__ import annotations

from typing import Any

from ..core.shapes import Shape
from ..ops.reduce import size
from .activation import resolve
from .checks import optional
from .constraints import Constraint
from .layer import Layer
from .regularizers import Regularizer


class _Affine(Layer):
    """The base: `_weigh` makes kernel and bias, `_finish` makes g(z + b) of z, the products with the kernel."""

    def __init__(
        self,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any,
        bias_regularizer: Any,
        activity_regularizer: Any,
        kernel_constraint: Any,
        bias_constraint: Any,
        name: str | None,
        trainable: bool,
        dtype: str | None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.activation, self.use_bias = resolve(activation), use_bias
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.activity_regularizer = optional(Regularizer, activity_regularizer)
        self.kernel_constraint = optional(Constraint, kernel_constraint)
        self.bias_constraint = optional(Constraint, bias_constraint)

    def _weigh(self, kernel: Shape, bias: Shape) -> None:
        """Make the weights of these shapes."""
        for name, shape in (("kernel", kernel), ("bias", bias)):
            if name == "kernel" or self.use_bias:
                made = self.add_weight(
                    name,
                    shape,
                    getattr(self, f"{name}_initializer"),
                    regularizer=getattr(self, f"{name}_regularizer"),
                    constraint=getattr(self, f"{name}_constraint"),
                )
                setattr(self, name, made)

    def _finish(self, z: Any) -> Any:
        """g(z + b)."""
        out = self.activation(z + self.bias if self.use_bias else z)
        if self.activity_regularizer is not None:
            self.add_loss(self.activity_regularizer(out) / size(out, axis=0))  # a mean over the batch, as in Keras
        return out
