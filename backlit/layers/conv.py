"""Layers that look through a window: convolutions, the same turned round, and windows with weights of their own."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

from ..core.arguments import Count, Natural
from ..core.errors import ShapeError, ValueRangeError
from ..ops.index import concatenate, reshape, swapaxes
from ..ops.linalg import matmul
from ..ops.window import conv, conv_transpose, windows
from .affine import _Affine
from .checks import channels_last
from .constraints import ConstraintLike
from .initializers import Initializer, InitializerLike
from .places import _Places, _Window, framed
from .regularizers import RegularizerLike


class _Filters(_Window, _Affine):
    """The base of layers whose filters have one kernel for all places."""

    window_name = "kernel_size"

    def settle_filters(
        self, filters: int, kernel_size: Any, strides: Any, padding: str, dilation_rate: Any, data_format: Any
    ) -> None:
        """Keep what all of them ask for."""
        channels_last(type(self).__name__, data_format, self.axes)
        self.filters = filters
        self.slide(kernel_size, strides, padding, dilation_rate)
        self.kernel_size, self.dilation_rate = self.window, self.dilation


class _Conv(_Filters):
    """The base of the convolutions over any number of axes."""

    def __init__(
        self,
        filters: Count,
        kernel_size: Count | Sequence[Count],
        strides: Count | Sequence[Count] = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Count | Sequence[Count] = 1,
        groups: Count = 1,
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
        self.settle_filters(filters, kernel_size, strides, padding, dilation_rate, data_format)
        self.groups = self._dividing(groups, "filters", filters)

    def _dividing(self, groups: int, what: str, count: int) -> int:
        if count % groups:
            raise ValueRangeError(
                f"{type(self).__name__} divides {what} among the groups.",
                expected=f"groups that divide {count} {what}",
                found=f"groups={groups}",
            )
        return groups

    def build(self, shape: Any) -> None:
        """Make kernel (kernel_size…, c / groups, filters) and bias (filters,)."""
        self._dividing(self.groups, "channels", shape[-1])
        self._weigh((*self.kernel_size, shape[-1] // self.groups, self.filters), (self.filters,))

    def call(self, x: Any, training: bool = False) -> Any:
        """g(Σ x·W + b) at every place of the window."""
        x = framed(x, self.margins(x.shape))
        taken, made = x.shape[-1] // self.groups, self.filters // self.groups
        parts = [
            conv(
                x if self.groups == 1 else x[..., k * taken : (k + 1) * taken],
                self.kernel if self.groups == 1 else self.kernel[..., k * made : (k + 1) * made],
                strides=self.strides,
                dilation=self.dilation_rate,
            )
            for k in range(self.groups)
        ]
        return self._finish(parts[0] if self.groups == 1 else concatenate(parts, axis=-1))


class Conv1D(_Conv):
    """Every filter looks through a window of `kernel_size` places, with the same weights at every place, and moves by
    `strides`: z = Σ x·W + b, a = g(z).

    x is (m, n, c), `kernel` W is (kernel_size, c, filters), `bias` (filters,), the output (m, places, filters). All
    places share the filter's weights, which are therefore counted once: 9 windows of 20 places have 20 weights and 1
    bias, not 9 of each (LeCun et al. 1989); LocallyConnected1D has 9 of each.

    `padding`: "valid" lets the window stand inside the signal only, which makes
    (n - dilation_rate·(kernel_size - 1) - 1) // strides + 1 places; "same" adds zeros on both sides for ⌈n / strides⌉;
    "causal" adds them before the signal, so that no place sees what comes after it. `groups` divides channels and
    filters: each part of the filters sees its part of the channels.

    Raises ShapeError for an input of other axes and where the window is longer than the input, ValueRangeError for
    data_format="channels_first": np.moveaxis(x, 1, -1) puts the channels last.

    >>> import backlit as bl, numpy as np
    >>> layer = bl.layers.Conv1D(1, 20, strides=10, activation="relu")
    >>> layer(np.zeros((1, 100, 1))).shape, layer.count_params()
    ((1, 9, 1), 21)
    """

    paddings = ("valid", "same", "causal")


class Conv2D(_Conv):
    """Every filter looks at a rectangle of `kernel_size` pixels, with the same weights at every place, and moves by
    `strides`: z = Σ x·W + b, a = g(z).

    x is (m, height, width, c), `kernel` W is (rows, columns, c, filters), `bias` (filters,), the output
    (m, …, …, filters). `kernel_size`, `strides` and `dilation_rate` are one number, or one for rows and one for
    columns. Padding ("valid" or "same"), groups and errors are those of Conv1D.

    >>> import backlit as bl, numpy as np
    >>> layer = bl.layers.Conv2D(8, 3, padding="same", activation="relu")
    >>> layer(np.zeros((5, 28, 28, 1))).shape, layer.count_params()
    ((5, 28, 28, 8), 80)
    """

    axes = 2


# ---------------------------------------------------------------------- turned round
class _ConvTranspose(_Filters):
    """The base of the convolutions turned round."""

    def __init__(
        self,
        filters: Count,
        kernel_size: Count | Sequence[Count],
        strides: Count | Sequence[Count] = 1,
        padding: str = "valid",
        output_padding: Natural | Sequence[Natural] | None = None,
        data_format: str | None = None,
        dilation_rate: Count | Sequence[Count] = 1,
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
        self.settle_filters(filters, kernel_size, strides, padding, dilation_rate, data_format)
        self.output_padding = None if output_padding is None else self.each("output_padding", output_padding)
        if self.output_padding and any(a >= b for a, b in zip(self.output_padding, self.strides, strict=True)):
            raise ValueRangeError(
                f"{type(self).__name__}: output_padding adds fewer places than a stride.",
                expected=f"numbers below {self.strides}",
                found=f"output_padding={output_padding!r}",
            )

    def look(self, shape: Any) -> None:
        """Any number of places will do: the window stands in the output."""
        super(_Window, self).look(shape)

    def build(self, shape: Any) -> None:
        """Make kernel (kernel_size…, filters, c) and bias (filters,)."""
        self._weigh((*self.kernel_size, self.filters, shape[-1]), (self.filters,))

    def call(self, x: Any, training: bool = False) -> Any:
        """g(Σ x·W + b): every place of x adds its multiple of the kernel."""
        places = [
            (count - 1) * stride + reach
            for count, stride, reach in zip(x.shape[1:-1], self.strides, self.reach, strict=True)
        ]
        beyond = [self._beyond(axis) for axis in range(self.axes)]
        if any(count + sum(pair) < 1 for count, pair in zip(places, beyond, strict=True)):
            raise ShapeError(
                f"layer {self.name!r} ({type(self).__name__}) leaves no places.", fix="output_padding=None"
            )
        z = conv_transpose(x, self.kernel, places=places, strides=self.strides, dilation=self.dilation_rate)
        return self._finish(framed(z, beyond))

    def _beyond(self, axis: int) -> tuple[int, int]:
        """How many places the output has before and behind those that the kernel reaches; below 0 where it has fewer.

        The kernel reaches (n - 1)·stride + reach. Where output_padding says nothing, "valid" leaves no stride without
        places and "same" makes n·stride; otherwise "same" makes (n - 1)·stride + reach % 2 + output_padding.
        """
        reach, stride = self.reach[axis], self.strides[axis]
        extra = None if self.output_padding is None else self.output_padding[axis]
        if self.padding == "valid":
            return 0, max(stride - reach, 0) if extra is None else extra
        more = stride - reach if extra is None else reach % 2 - reach + extra
        low = min(-(-more // 2), 0)
        return low, more - low


class Conv1DTranspose(_ConvTranspose):
    """A convolution turned round: every place of x adds its multiple of the kernel to a window of the output, which so
    becomes longer.

    x is (m, n, c), `kernel` W is (kernel_size, filters, c), the output (m, places, filters): with padding "same"
    n·strides places, with "valid" (n - 1)·strides + max(kernel_size, strides). `output_padding`, a number below
    `strides`, makes (n - 1)·strides + output_padding + kernel_size with "valid", or kernel_size % 2 in its place with
    "same". Raises ShapeError for an input of other axes, ValueRangeError for data_format="channels_first".

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Conv1DTranspose(1, 3, strides=2, padding="same")(np.zeros((1, 5, 4))).shape
    (1, 10, 1)
    """


class Conv2DTranspose(_ConvTranspose):
    """A convolution of images turned round, as Conv1DTranspose of signals: x is (m, height, width, c), `kernel` W is
    (rows, columns, filters, c), and with padding "same" the output is `strides` times as high and wide.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Conv2DTranspose(3, 4, strides=2, padding="same")(np.zeros((1, 7, 7, 8))).shape
    (1, 14, 14, 3)
    """

    axes = 2


# ---------------------------------------------------------------------- weights of their own
class LocallyConnected1D(_Window, _Affine):
    """Like Conv1D, but every place of the window has weights of its own: z = Σ x·W[place] + b[place], a = g(z).

    x is (m, n, c), `kernel` W is (places, kernel_size · c, filters), `bias` (places, filters), the output
    (m, places, filters). A window of 20 places at 9 places has 9 · (20 + 1) = 189 parameters where Conv1D has 21. The
    length of the input is fixed once the layer is built. Padding is "valid".

    >>> import backlit as bl, numpy as np
    >>> layer = bl.layers.LocallyConnected1D(1, 20, strides=10, activation="relu")
    >>> layer(np.zeros((1, 100, 1))).shape, layer.count_params()
    ((1, 9, 1), 189)
    """

    paddings = ("valid",)
    window_name = "kernel_size"

    def __init__(
        self,
        filters: Count,
        kernel_size: Count | Sequence[Count],
        strides: Count | Sequence[Count] = 1,
        padding: str = "valid",
        data_format: str | None = None,
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
        channels_last(type(self).__name__, data_format, self.axes)
        self.filters, self.kernel_initializer = filters, _of_one_place(kernel_initializer)
        self.slide(kernel_size, strides, padding)
        self.kernel_size = self.window

    def build(self, shape: Any) -> None:
        """Make kernel (places, kernel_size · c, filters) and bias (places, filters)."""
        count = (shape[1] - self.kernel_size[0]) // self.strides[0] + 1
        width = self.kernel_size[0] * shape[-1]
        self._weigh((count, width, self.filters), (count, self.filters))

    def ensure_built(self, shape: Any) -> None:
        """Build once; a later input of another length has other places, which have no weights."""
        self.look(shape)
        super(_Places, self).ensure_built(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """g(Σ x·W[place] + b[place])."""
        seen = windows(x, window=self.kernel_size, strides=self.strides)
        rows = reshape(seen, (x.shape[0], *self.kernel.shape[:2]))
        return self._finish(swapaxes(matmul(swapaxes(rows, 0, 1), self.kernel), 0, 1))


def _of_one_place(identifier: InitializerLike) -> Initializer:
    """The initializer, which counts the inputs and outputs of one place alone: no unit sees more than its window."""
    initializer = copy.copy(Initializer.get(identifier))
    if getattr(initializer, "input_axes", ()) is None:
        vars(initializer).update(input_axes=(1,), output_axes=(2,))
    return initializer
