"""What layers ask of their arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from ..core.errors import ShapeError, ValueRangeError
from ..core.node import FLOATS, Node
from ..core.op import cast
from ..core.record import Record
from ..core.shapes import Rows, Shape, normal_axes, show

Kind = TypeVar("Kind", bound=Record)


def optional(family: type[Kind], identifier: Any) -> Kind | None:
    """The record that `identifier` means, None for None."""
    return None if identifier is None else family.get(identifier)


def channels_last(kind: str, data_format: str | None, axes: int = 2) -> None:
    """Refuse Keras's other order of axes; `axes`: how many there are beside examples and channels."""
    if data_format not in (None, "channels_last"):
        order = tuple(range(2, axes + 2))
        raise ValueRangeError(
            f"{kind} keeps the channels on the last axis.",
            expected="data_format=None or 'channels_last'",
            found=repr(data_format),
            fix=f"np.moveaxis(x, 1, -1) on the array, or Permute({(*order, 1)}) before it, puts them there",
        )


def feature_axes(kind: str, axis: Any, shape: Shape) -> tuple[int, ...]:
    """`axis` (a number or several) as sorted places of fixed axes; the examples' axis is refused."""
    axes = normal_axes(axis if isinstance(axis, Sequence) else (axis,), len(shape), kind)
    if any(isinstance(shape[place], Rows) for place in axes):
        raise ShapeError(
            f"{kind} works along the axes of one example.",
            expected="an axis other than the examples'",
            found=f"axis={axis} of {show(shape)}",
            why="a weight for each example would not fit the next batch",
        )
    return axes


def spread_over(axes: Sequence[int], shape: Shape) -> Shape:
    """The shape in which a weight of the lengths of `axes` broadcasts against `shape`."""
    return tuple(dim if place in axes else 1 for place, dim in enumerate(shape))


def floating(x: Node, dtype: str) -> Any:
    """x, whole numbers among it as floats: what is scaled or bent must not be cut to whole numbers again."""
    return x if x.dtype in FLOATS else cast(x, dtype)


def not_yet(kind: str, **arguments: Any) -> None:
    """Refuse arguments that Keras has and we do not, unless they stand at Keras's defaults: None, False or 1."""
    for name, value in arguments.items():
        if value is True or (value is not None and value is not False and value != 1):
            raise ValueRangeError(f"{kind} has no {name} yet.", found=f"{name}={value!r}", fix=f"leave {name} out")
