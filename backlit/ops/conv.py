"""Convolutions by their definition: windows of the input, each as one row, times the kernel as a matrix."""

from __future__ import annotations

from typing import Any

from ..core.errors import ShapeError, ValueRangeError
from ..core.op import Op, Probe, case, composite, uniform
from ..core.shapes import M, Rows, Rule, show
from .index import concatenate, reshape, strided
from .linalg import matmul

_RULE = Rule("m n c, k c f -> m (n-d*(k-1)-1)//s+1 f")


def _conv1d(x: Any, kernel: Any, stride: int = 1, dilation: int = 1) -> Any:
    if min(stride, dilation) < 1:
        raise ValueRangeError("conv1d moves forward.", expected="stride and dilation from 1")
    if len(x.shape) == 3 and isinstance(x.shape[1], Rows):
        raise ShapeError("conv1d cannot slide along the examples.", expected=_RULE.text, found=show(x.shape))
    _m, count, filters = _RULE("conv1d", [x.shape, kernel.shape], {"s": stride, "d": dilation})
    width, channels = kernel.shape[:2]
    reach = dilation * (width - 1) + 1
    if not isinstance(count, int) or count < 1:
        raise ShapeError(
            "the window of conv1d is longer than its input.",
            expected=f"at least {reach} places",
            found=f"{x.shape[1]} places",
            fix="a smaller kernel or dilation, or a longer input",
        )
    taps = []
    for begin in range(0, reach, dilation):
        start, stop = (0, begin, 0), (x.shape[0], begin + (count - 1) * stride + 1, channels)
        taps.append(strided.node(x, start=start, stop=stop, step=(1, stride, 1)))
    windows = concatenate(taps, axis=2)
    return matmul(windows, reshape(kernel, (width * channels, filters)))


conv1d: Op = composite(
    "conv1d",
    define=_conv1d,
    tex=r"{x} \star {kernel}",
    level=20,
    probe=Probe(
        (uniform(-2, 2),),
        (
            case((2, 7, 2), (3, 2, 4)),
            case((M, 7, 1), (3, 1, 2), stride=2),
            case((M, 8, 2), (3, 2, 1), stride=2, dilation=2),
            case((2, 3, 2), (3, 2, 1)),
            case((1, 4, 1), (1, 1, 1), stride=3),
        ),
    ),
    doc="The kernel (k, c, f) at every `stride`-th place of x (m, n, c): sums of products over a window of k places, "
    "`dilation` apart. As everywhere in machine learning the kernel is not turned around.",
)
