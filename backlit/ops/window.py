"""What a window sees: its places laid side by side, and the sums that put them back. Behind convolution and pooling.

`windows` and `fold` are each other's derivative. A value is (m, places…, channels): one axis of examples, one or two of
places, and the channels last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import ShapeError, ValueRangeError
from ..core.op import Op, Probe, case, composite, distinct, structural, uniform
from ..core.shapes import M, Rows, Shape, show
from .elementwise import divide
from .index import reshape
from .linalg import matmul
from .reduce import max as largest
from .reduce import sum as total

_ANY = (uniform(-2, 2),)


def _settle(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    """One number an axis of places for window, strides and dilation; 1 where nothing is said."""
    places = len(attrs["window"])
    said = {key: tuple(attrs[key] or (1,) * places) for key in ("window", "strides", "dilation")}
    if any(len(each) != places or min(each) < 1 for each in said.values()):
        raise ValueRangeError(
            "a window has one width, stride and dilation for each axis of places.",
            expected="whole numbers from 1",
            found=", ".join(f"{key} {value}" for key, value in said.items()),
        )
    return {**attrs, **said}


def _counts(name: str, sizes: Sequence[Any], attrs: Mapping[str, Any]) -> tuple[int, ...]:
    """How many places the window has along each axis: (n - d·(k - 1) - 1) // s + 1."""
    counts = []
    for size, width, stride, gap in zip(sizes, attrs["window"], attrs["strides"], attrs["dilation"], strict=True):
        reach = gap * (width - 1) + 1
        if isinstance(size, Rows):
            raise ShapeError(f"{name} cannot slide along the examples.", expected="whole numbers of places")
        if size < reach:
            raise ShapeError(
                f"the window of {name} is longer than its input.",
                expected=f"at least {reach} places",
                found=f"{size} places",
                fix="a smaller window or dilation, or padding='same'",
            )
        counts.append((size - reach) // stride + 1)
    return tuple(counts)


def _seen(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    places = len(attrs["window"])
    if len(shapes[0]) != places + 2:
        expected = f"(m, {', '.join(['places'] * places)}, channels)"
        raise ShapeError(f"{name} needs examples, places and channels.", expected=expected, found=show(shapes[0]))
    first, *sizes, channels = shapes[0]
    return (first, *_counts(name, sizes, attrs), *attrs["window"], channels)


def windows_of(x: Any, window: Sequence[int], strides: Sequence[int], dilation: Sequence[int]) -> Any:
    """A view (m, places…, window…, c) of the array x (m, n…, c)."""
    counts = _counts("windows", x.shape[1:-1], {"window": window, "strides": strides, "dilation": dilation})
    steps = x.strides[1:-1]
    outer = tuple(step * stride for step, stride in zip(steps, strides, strict=True))
    inner = tuple(step * gap for step, gap in zip(steps, dilation, strict=True))
    shape = (x.shape[0], *counts, *window, x.shape[-1])
    lie = (x.strides[0], *outer, *inner, x.strides[-1])
    return np.lib.stride_tricks.as_strided(x, shape, lie)


windows: Op = structural(
    "windows",
    ref=lambda x, *, window, strides=None, dilation=None: windows_of(x, window, strides, dilation),
    settle=_settle,
    shape=_seen,
    vjp=lambda g, y, x, window, strides, dilation: [
        fold(g, places=tuple(x.shape[1:-1]), strides=strides, dilation=dilation)
    ],
    range=lambda x, **_: x,
    probe=Probe(
        _ANY,
        (
            case((2, 7, 2), window=(3,)),
            case((M, 8, 1), window=(2,), strides=(2,), dilation=(3,)),
            case((M, 5, 4, 2), window=(2, 3), strides=(2, 1)),
            case((1, 4, 5, 1), window=(2, 2), dilation=(1, 2)),
        ),
    ),
    doc="What a window of `window` places sees at every `strides`-th place, its own places `dilation` apart: "
    "(m, n…, c) becomes (m, places…, window…, c). A view; nothing is copied.",
)


def _settle_fold(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    places = tuple(attrs["places"])
    window = tuple(shapes[0][1 + len(places) : -1])
    settled = _settle(shapes, {**attrs, "window": window})
    counts = _counts("fold", places, settled)
    if tuple(shapes[0][1 : 1 + len(places)]) != counts:
        raise ShapeError(
            "fold needs one window for each place.", expected=f"{counts} windows", found=f"shape {show(shapes[0])}"
        )
    return {key: settled[key] for key in ("places", "strides", "dilation")}


def overlaps(out: Any, parts: Any, strides: Sequence[int], dilation: Sequence[int]) -> list[tuple[Any, Any]]:
    """For each place in a window: where in `out` (m, n…, c) it was seen, and what of `parts` (m, places…, window…, c)
    belongs there."""
    places = out.ndim - 1
    lie = windows_of(out, parts.shape[places:-1], strides, dilation)
    offsets = [(slice(None),) * places + offset for offset in np.ndindex(lie.shape[places:-1])]
    return [(lie[offset], parts[offset]) for offset in offsets]


def _folded(g: Any, *, places: Any, strides: Any = None, dilation: Any = None) -> Any:
    out = np.zeros((g.shape[0], *places, g.shape[-1]), g.dtype)
    for seen, part in overlaps(out, g, strides, dilation):
        seen += part
    return out


fold: Op = structural(
    "fold",
    ref=_folded,
    settle=_settle_fold,
    shape=lambda name, shapes, attrs: (shapes[0][0], *attrs["places"], shapes[0][-1]),
    vjp=lambda h, y, g, places, strides, dilation: [
        windows(h, window=tuple(g.shape[1 + len(places) : -1]), strides=strides, dilation=dilation)
    ],
    probe=Probe(
        _ANY,
        (
            case((2, 5, 3, 2), places=(7,)),
            case((M, 3, 2, 1), places=(9,), strides=(2,), dilation=(3,)),
            case((M, 2, 2, 2, 3, 2), places=(5, 4), strides=(2, 1)),
        ),
    ),
    doc="Windows put back where they were seen, what overlaps added up: (m, places…, window…, c) becomes (m, n…, c).",
)


# ---------------------------------------------------------------------- convolution
def _product(values: Sequence[int]) -> int:
    return int(np.prod(values))


def _conv(x: Any, kernel: Any, strides: Any = None, dilation: Any = None) -> Any:
    *window, channels, filters = kernel.shape
    if len(x.shape) != len(window) + 2 or x.shape[-1] != channels:
        raise ShapeError(
            "conv: x and kernel do not fit together.",
            expected=f"x of shape (m, {'n, ' * len(window)}{channels}) for a kernel of shape {show(kernel.shape)}",
            found=f"shape {show(x.shape)}",
        )
    seen = windows(x, window=tuple(window), strides=strides, dilation=dilation)
    places, width = seen.shape[1 : 1 + len(window)], _product(window) * channels
    rows = reshape(seen, (x.shape[0] * _product(places), width))  # one product for all windows of all examples
    return reshape(matmul(rows, reshape(kernel, (width, filters))), (x.shape[0], *places, filters))


conv: Op = composite(
    "conv",
    define=_conv,
    tex=r"{x} \star {kernel}",
    level=20,
    probe=Probe(
        _ANY,
        (
            case((2, 7, 2), (3, 2, 4)),
            case((M, 8, 2), (3, 2, 1), strides=(2,), dilation=(2,)),
            case((1, 4, 1), (1, 1, 1), strides=(3,)),
            case((M, 5, 4, 2), (2, 3, 2, 3)),
            case((2, 6, 5, 1), (3, 2, 1, 2), strides=(2, 1), dilation=(1, 2)),
        ),
    ),
    doc="The kernel (k…, c, f) at every `strides`-th place of x (m, n…, c): sums of products over a window of k places, "
    "`dilation` apart. As everywhere in machine learning the kernel is not turned around.",
)


def _conv_transpose(x: Any, kernel: Any, places: Any = (), strides: Any = None, dilation: Any = None) -> Any:
    *window, filters, channels = kernel.shape
    flat = reshape(kernel, (_product(window) * filters, channels))
    spread = matmul(reshape(x, (x.shape[0] * _product(x.shape[1:-1]), channels)), flat.T)
    parts = reshape(spread, (*x.shape[:-1], *window, filters))
    return fold(parts, places=tuple(places), strides=strides, dilation=dilation)


conv_transpose: Op = composite(
    "conv_transpose",
    define=_conv_transpose,
    tex=r"{x} \star^{{T}} {kernel}",
    level=20,
    probe=Probe(
        _ANY,
        (
            case((2, 3, 4), (3, 2, 4), places=(5,)),
            case((M, 3, 1), (2, 2, 1), places=(6,), strides=(2,)),
            case((M, 2, 3, 2), (2, 2, 3, 2), places=(4, 4), strides=(2, 1)),
        ),
    ),
    doc="The convolution turned round: every place of x (m, n…, c) adds its multiple of the kernel (k…, f, c) to the "
    "window of an output (m, places…, f) that a convolution would have seen there.",
)


# ---------------------------------------------------------------------- pooling
def _inside(window: Sequence[int]) -> tuple[int, ...]:
    return tuple(range(1 + len(window), 1 + 2 * len(window)))


def _max_pool(x: Any, window: Any = (), strides: Any = None) -> Any:
    return largest(windows(x, window=tuple(window), strides=strides or tuple(window)), axis=_inside(window))


max_pool: Op = composite(
    "max_pool",
    define=_max_pool,
    probe=Probe(
        (distinct(-3, 3),),
        (case((2, 6, 2), window=(2,)), case((M, 5, 4, 1), window=(2, 2)), case((1, 5, 1), window=(3,), strides=(2,))),
    ),
    doc="The largest number in every window of x (m, n…, c); windows lie side by side unless `strides` says otherwise. "
    "Where several are equal the derivative is shared among them.",
)


def _average_pool(x: Any, window: Any = (), strides: Any = None) -> Any:
    seen = windows(x, window=tuple(window), strides=strides or tuple(window))
    return divide(total(seen, axis=_inside(window)), float(_product(window)))


average_pool: Op = composite(
    "average_pool",
    define=_average_pool,
    probe=Probe(_ANY, (case((2, 6, 2), window=(2,)), case((M, 5, 4, 1), window=(2, 2), strides=(1, 2)))),
    doc="The mean of every window of x (m, n…, c); windows lie side by side unless `strides` says otherwise.",
)
