"""Layers that look through a window."""

from __future__ import annotations

from typing import Any

from ..core.errors import ShapeError, ValueRangeError
from ..core.shapes import Rows, Shape, show
from ..ops.conv import conv1d
from ..ops.reduce import size
from .activation import resolve
from .checks import channels_last, not_yet, optional, single, whole
from .constraints import Constraint
from .layer import Layer
from .regularizers import Regularizer


class Conv1D(Layer):
    """Every filter looks through a window of `kernel_size` places and moves by `strides`: z = Σ x·W + b, a = g(z).

    x is (m, n, c), `kernel` W is (kernel_size, c, filters), `bias` (filters,), the output
    (m, (n - dilation_rate·(kernel_size - 1) - 1) // strides + 1, filters). All places share the filter's weights, which
    are therefore counted once: 9 windows of 20 places have 20 weights and 1 bias, not 9 of each (LeCun et al. 1989).
    Padding is "valid": a window never stands over the edge. Raises ShapeError where the window is longer than the
    input.

    >>> import backlit as bl, numpy as np
    >>> layer = bl.layers.Conv1D(1, 20, strides=10, activation="relu")
    >>> layer(np.zeros((1, 100, 1))).shape, layer.count_params()
    ((1, 9, 1), 21)
    """

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.filters = whole("Conv1D", "a number of filters", filters)
        self.kernel_size = whole("Conv1D", "a kernel_size", single(kernel_size))
        self.strides = whole("Conv1D", "strides", single(strides))
        self.dilation_rate = whole("Conv1D", "a dilation_rate", single(dilation_rate))
        self.padding, self.use_bias, self.activation = _valid(padding), use_bias, resolve(activation)
        channels_last("Conv1D", data_format)
        not_yet("Conv1D", groups=groups)
        self.activity_regularizer = optional(Regularizer, activity_regularizer)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer
        self.kernel_regularizer, self.bias_regularizer = kernel_regularizer, bias_regularizer
        self.kernel_constraint = optional(Constraint, kernel_constraint)
        self.bias_constraint = optional(Constraint, bias_constraint)

    def build(self, shape: Shape) -> None:
        """Make kernel (kernel_size, c, filters) and bias (filters,)."""
        if len(shape) != 3 or any(isinstance(dim, Rows) for dim in shape[1:]):
            raise ShapeError(
                f"layer {self.name!r} (Conv1D) needs places and channels.",
                expected="an input of shape (m, n, c)",
                found=f"shape {show(shape)}",
                fix="x.reshape(-1, n, 1), or Reshape((n, 1)) before it, makes one channel",
            )
        self.kernel = self.add_weight(
            "kernel",
            (self.kernel_size, shape[-1], self.filters),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                "bias",
                (self.filters,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def ensure_built(self, shape: Any) -> None:
        """Build once; a later input may have another length, but not other channels."""
        same = self.built and isinstance(shape, tuple) and len(shape) == 3
        super().ensure_built((*self.input_shape[:2], shape[2]) if same else shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """g(Σ x·W + b) at every place of the window."""
        z = conv1d(x, self.kernel, stride=self.strides, dilation=self.dilation_rate)
        out = self.activation(z + self.bias if self.use_bias else z)
        if self.activity_regularizer is not None:
            self.add_loss(self.activity_regularizer(out) / size(out, axis=0))  # a mean over the batch, as in Keras
        return out


def _valid(padding: str) -> str:
    if str(padding).lower() != "valid":
        raise ValueRangeError(
            "Conv1D knows no other padding yet.",
            expected="padding='valid'",
            found=f"padding={padding!r}",
            fix="pad the signal with np.pad before it enters the model",
        )
    return "valid"
