"""Shapes, parts and places: reshape, transpose, broadcast, join, slice, pad, gather. Closed under derivatives."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, ShapeError, ValueRangeError
from ..core.node import INTEGERS, Node
from ..core.op import Op, Probe, as_node, case, composite, integers, literal, structural, uniform
from ..core.shapes import M, Rows, Shape, broadcast, checked, normal_axes, show, size
from .elementwise import cast, equal, item

_ANY = (uniform(-3, 3),)
_SAME_RANGE = lambda x, *_, **__: x  # noqa: E731


# ---------------------------------------------------------------------- reshape, transpose, broadcast
def _settle_reshape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    total = size(shapes[0])
    wanted = tuple(attrs["shape"]) if isinstance(attrs["shape"], (tuple, list)) else (attrs["shape"],)
    free = [place for place, dim in enumerate(wanted) if dim == -1]
    shape = checked([1 if dim == -1 else dim for dim in wanted])
    known = size(shape)
    if len(free) == 1 and known != 0:
        filled = (
            total // known if isinstance(total, Rows) or (not isinstance(known, Rows) and total % known == 0) else 0
        )
        shape = (*shape[: free[0]], filled, *shape[free[0] + 1 :])
    if len(free) > 1 or size(shape) != total:
        raise ShapeError(
            f"cannot reshape {show(shapes[0])} to {wanted}.",
            expected=f"as many numbers: {total}",
            found=f"{known}" + (" times one free axis" if free else ""),
            fix="one axis may be -1, to be worked out",
        )
    return {"shape": shape}


def _reshape_ref(x: Any, *, shape: Any) -> Any:
    return np.reshape(x, shape)


reshape: Op = structural(
    "reshape",
    ref=_reshape_ref,
    settle=_settle_reshape,
    shape=lambda name, shapes, attrs: attrs["shape"],
    range=_SAME_RANGE,
    vjp=lambda g, y, x, shape: [reshape(g, x.shape)],
    tex="{x:}",
    probe=Probe(
        _ANY,
        (case((2, 3), shape=(3, -1)), case((6,), shape=(1, 2, 3)), case((M, 4), shape=(M, 2, 2)), case((), shape=(1,))),
    ),
    doc="The same numbers in row-major order under another shape; one axis may be -1.",
)


def _settle_axes(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    rank = len(shapes[0])
    axes = tuple(range(rank))[::-1] if attrs["axes"] is None else tuple(a % rank for a in attrs["axes"])
    if sorted(axes) != list(range(rank)):
        raise ShapeError(
            f"{attrs['axes']} does not order the {rank} axes of {show(shapes[0])}.", fix="name each axis once"
        )
    return {"axes": axes}


transpose: Op = structural(
    "transpose",
    ref=lambda x, *, axes=None: np.transpose(x, axes),
    settle=_settle_axes,
    range=_SAME_RANGE,
    shape=lambda name, shapes, attrs: tuple(shapes[0][a] for a in attrs["axes"]),
    text="{x}.T",
    tex="{x}^T",
    level=40,
    vjp=lambda g, y, x, axes: [transpose(g, tuple(int(a) for a in np.argsort(axes)))],
    probe=Probe(_ANY, (case((2, 3)), case((2, 3, 4), axes=(1, -1, 0)), case((M, 3)), case((3,)))),
    doc="The axes in another order, by default reversed.",
)


def _broadcast_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    shape = checked(attrs["shape"])
    if broadcast([shapes[0], shape], name) != shape:
        raise ShapeError(f"{show(shapes[0])} does not broadcast to {show(shape)}.", fix="reshape it first")
    return shape


broadcast_to: Op = structural(
    "broadcast_to",
    ref=lambda x, *, shape: np.broadcast_to(x, shape),
    shape=_broadcast_shape,
    range=_SAME_RANGE,
    tex="{x:}",
    vjp=lambda g, y, x, shape: [g],
    probe=Probe(
        _ANY, (case((3,), shape=(2, 3)), case((2, 1), shape=(2, 4)), case((), shape=(M, 2)), case((1, 3), shape=(M, 3)))
    ),
    doc="The value repeated along axes that it lacks or has of length 1.",
)
expand_dims: Op = composite(
    "expand_dims",
    define=lambda x, axis=-1: reshape(x, _with_axis(x.shape, axis)),
    range=_SAME_RANGE,
    probe=Probe(_ANY, (case((2, 3)), case((M, 3), axis=0), case((3,), axis=1))),
    doc="The value with a new axis of length 1.",
)


def _with_axis(shape: Shape, axis: int) -> Shape:
    (place,) = normal_axes(axis, len(shape) + 1, "expand_dims")
    return (*shape[:place], 1, *shape[place:])


def _squeezed(shape: Shape, axis: Any) -> Shape:
    axes = [i for i, dim in enumerate(shape) if dim == 1] if axis is None else normal_axes(axis, len(shape), "squeeze")
    if any(shape[i] != 1 for i in axes):
        raise ShapeError(f"squeeze: axis {axis} of {show(shape)} is not of length 1.", fix="reduce it instead")
    return tuple(dim for i, dim in enumerate(shape) if i not in axes)


squeeze: Op = composite(
    "squeeze",
    define=lambda x, axis=None: reshape(x, _squeezed(x.shape, axis)),
    range=_SAME_RANGE,
    probe=Probe(_ANY, (case((2, 1, 3)), case((M, 1), axis=-1))),
    doc="The value without axes of length 1.",
)


def _swapped(rank: int, a: int, b: int) -> list[int]:
    order = list(range(rank))
    order[a], order[b] = order[b], order[a]
    return order


swapaxes: Op = composite(
    "swapaxes",
    define=lambda x, axis1=-1, axis2=-2: transpose(x, _swapped(len(x.shape), axis1, axis2)),
    range=_SAME_RANGE,
    probe=Probe(_ANY, (case((2, 3)), case((M, 2, 3)), case((2, 3, 4), axis1=0, axis2=2))),
    doc="Two axes exchanged.",
)


# ---------------------------------------------------------------------- joining and splitting
def _joined_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    axis = attrs["axis"]
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    if len(rest) != 1:
        raise ShapeError(
            f"concatenate cannot join {' and '.join(map(show, shapes))}.",
            expected=f"equal lengths on every axis but axis {axis}",
        )
    total: Any = 0
    for shape in shapes:
        total = shape[axis] + total
    return (*shapes[0][:axis], total, *shapes[0][axis + 1 :])


def _settle_one_axis(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    if not shapes:
        raise ArgumentError("concatenate needs at least one value.")
    return {**attrs, "axis": normal_axes(attrs["axis"], len(shapes[0]), "this op")[0]}


def _concatenate_vjp(g: Any, y: Any, values: Sequence[Node], axis: int) -> list[Any]:
    parts, begin = [], 0
    for value in values:
        end = value.shape[axis] + begin
        start, stop = [0] * len(g.shape), list(g.shape)
        start[axis], stop[axis] = begin, end
        parts.append(strided(g, start, stop))
        begin = end
    return parts


concatenate: Op = structural(
    "concatenate",
    ref=lambda values, *, axis=0: np.concatenate(values, axis=axis),
    shape=_joined_shape,
    settle=_settle_one_axis,
    vjp=_concatenate_vjp,
    aliases=("concat",),
    range=lambda *x, axis: (min(low for low, _ in x), max(high for _, high in x)),
    probe=Probe(
        _ANY, (case((2, 3), (2, 1), axis=-1), case((2, 3), (1, 3)), case((M, 2), (M, 3), axis=1), case((M, 2), (M, 2)))
    ),
    doc="Values one after another along `axis`.",
)
stack: Op = composite(
    "stack",
    define=lambda values, axis=0: concatenate([expand_dims(value, axis) for value in values], axis),
    probe=Probe(_ANY, (case((2, 3), (2, 3)), case((M,), (M,), axis=1))),
    doc="Values of one shape along a new axis.",
)


def _split_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> tuple[Shape, ...]:
    axis, dim = attrs["axis"], shapes[0][attrs["axis"]]
    if isinstance(dim, Rows) or dim % attrs["sections"]:
        raise ShapeError(f"split: axis {axis} of length {dim} has no {attrs['sections']} equal parts.")
    part: Shape = (*shapes[0][:axis], dim // attrs["sections"], *shapes[0][axis + 1 :])
    return (part,) * int(attrs["sections"])


split: Op = structural(
    "split",
    ref=lambda x, *, sections, axis=0: tuple(np.split(x, sections, axis)),
    shape=_split_shape,
    several=True,
    settle=_settle_one_axis,
    vjp=lambda g, y, x, sections, axis: [concatenate(g, axis)],
    range=_SAME_RANGE,
    probe=Probe(_ANY, (case((4, 3), sections=2), case((M, 6), sections=3, axis=-1))),
    doc="Equal parts along `axis`, each an output of its own.",
)


# ---------------------------------------------------------------------- slicing and padding
def _settle_strided(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> dict[str, Any]:
    step = attrs["step"] or (1,) * len(shapes[0])
    if not len(attrs["start"]) == len(attrs["stop"]) == len(step) == len(shapes[0]):
        raise ShapeError("slice needs a start and a stop for each axis.", found=f"{attrs} for {show(shapes[0])}")
    for dim, begin, end in zip(shapes[0], attrs["start"], attrs["stop"], strict=True):
        if isinstance(dim, int) and not 0 <= begin <= end <= dim:
            raise ShapeError("slice lies outside of its value.", expected=f"0 … {dim}", found=f"{begin} … {end}")
    return {"start": tuple(attrs["start"]), "stop": tuple(attrs["stop"]), "step": tuple(step)}


def _strided_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    out: list[Any] = []
    for begin, end, step in zip(attrs["start"], attrs["stop"], attrs["step"], strict=True):
        out.append((end - begin + step - 1) // step if step != 1 else end - begin)
    return tuple(out)


def _strided_vjp(g: Any, y: Any, x: Any, start: Any, stop: Any, step: Any) -> list[Any]:
    high = []
    for dim, begin, end, jump in zip(x.shape, start, stop, step, strict=True):
        high.append(dim - end if jump == 1 else dim - begin - (-(-(end - begin) // jump) - 1) * jump - 1)
    return [dilate(g, start, high, [jump - 1 for jump in step])]


strided: Op = structural(
    "slice",
    ref=lambda x, *, start, stop, step=None: x[tuple(map(slice, start, stop, step))],
    shape=_strided_shape,
    settle=_settle_strided,
    vjp=_strided_vjp,
    range=_SAME_RANGE,
    probe=Probe(
        _ANY,
        (
            case((4, 5), start=(1, 0), stop=(3, 5)),
            case((4, 7), start=(0, 1), stop=(4, 6), step=(2, 3)),
            case((M, 4), start=(0, 1), stop=(M, 3)),
        ),
    ),
    doc="Every `step`-th part from `start` to before `stop`, one number an axis. `x[1:3]` writes it.",
)


def _dilated_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    out: list[Any] = []
    for dim, low, high, gap in zip(shapes[0], attrs["low"], attrs["high"], attrs["interior"], strict=True):
        spread = dim + (dim - 1) * gap if gap else dim
        out.append(high + (low + spread) if isinstance(spread, Rows) else spread + low + high)
    return tuple(out)


def _dilate_ref(x: Any, *, low: Any, high: Any, interior: Any) -> Any:
    shape = [n + (n - 1) * gap + a + b for n, a, b, gap in zip(x.shape, low, high, interior, strict=True)]
    out = np.zeros(shape, x.dtype)
    out[
        tuple(slice(a, a + (n - 1) * (gap + 1) + 1, gap + 1) for n, a, gap in zip(x.shape, low, interior, strict=True))
    ] = x
    return out


def _dilate_vjp(g: Any, y: Any, x: Any, low: Any, high: Any, interior: Any) -> list[Any]:
    stop = [
        dim + a if gap == 0 else a + (dim - 1) * (gap + 1) + 1
        for dim, a, gap in zip(x.shape, low, interior, strict=True)
    ]
    return [strided(g, low, stop, [gap + 1 for gap in interior])]


dilate: Op = structural(
    "dilate",
    ref=_dilate_ref,
    shape=_dilated_shape,
    vjp=_dilate_vjp,
    range=lambda x, **_: (min(x[0], 0.0), max(x[1], 0.0)),
    probe=Probe(
        _ANY,
        (
            case((2, 3), low=(1, 0), high=(0, 2), interior=(0, 1)),
            case((M, 2), low=(0, 1), high=(0, 0), interior=(0, 0)),
        ),
    ),
    doc="Zeros before (`low`), behind (`high`) and between (`interior`) the parts along each axis.",
)


def _pad(x: Any, pad_width: Any = ()) -> Any:
    for dim, (low, high) in zip(x.shape, pad_width, strict=True):
        if isinstance(dim, Rows) and (low or high):
            raise ShapeError(
                "pad would add examples along the batch axis m.", fix="pad the array before it enters the graph"
            )
    return dilate(x, [low for low, _ in pad_width], [high for _, high in pad_width], [0] * len(x.shape))


pad: Op = composite(
    "pad",
    define=_pad,
    range=lambda x, **_: (min(x[0], 0.0), max(x[1], 0.0)),
    probe=Probe(_ANY, (case((2, 3), pad_width=((1, 0), (0, 2))), case((M, 2), pad_width=((0, 0), (1, 1))))),
    doc="Zeros around the value: one pair (before, behind) an axis.",
)
flip: Op = structural(
    "flip",
    ref=lambda x, *, axis=None: np.flip(x, axis),
    shape=lambda name, shapes, attrs: shapes[0],
    settle=lambda shapes, attrs: {"axis": normal_axes(attrs["axis"], len(shapes[0]), "flip")},
    vjp=lambda g, y, x, axis: [flip(g, axis)],
    range=_SAME_RANGE,
    probe=Probe(_ANY, (case((2, 3)), case((M, 3), axis=-1), case((3, 2), axis=0), case((2, 3, 2), axis=(0, 2)))),
    doc="The value backwards along `axis` (None: all axes).",
)


def getitem(x: Node, key: Any) -> Node:
    """`x[key]` with NumPy's meaning for numbers, slices, None, … and one array of whole numbers."""
    if x.several:
        return item.node(x, place=key)
    keys = list(key) if isinstance(key, tuple) else [key]
    filled = sum(k is not None and k is not Ellipsis for k in keys)
    if all(k is not Ellipsis for k in keys):
        keys.append(Ellipsis)
    place = next(i for i, k in enumerate(keys) if k is Ellipsis)
    keys[place : place + 1] = [slice(None)] * (len(x.shape) - filled)
    axis, shape, out = 0, [], x
    start, stop, step = [0] * len(x.shape), list(x.shape), [1] * len(x.shape)
    for k in keys:
        if k is None:
            shape.append(1)
            continue
        if isinstance(k, (Node, list, np.ndarray)):
            if any(other is not k and not (isinstance(other, slice) and other == slice(None)) for other in keys):
                raise ArgumentError("one array of places at a time.", fix="use bl.ops.gather(x, ids, axis)")
            return gather.node(x, _places(k), axis=axis)
        out, length = _cut(out, k, axis, start, stop, step)
        shape += [] if length is None else [length]
        axis += 1
    if any(start) or stop != list(x.shape) or any(jump != 1 for jump in step):
        out = strided.node(out, start, stop, step)
    return out if out.shape == tuple(shape) else reshape.node(out, shape=tuple(shape))


def _places(key: Any) -> Node:
    ids = as_node(key)
    if ids.dtype not in INTEGERS:
        raise ArgumentError(
            f"{ids.dtype} values are no places.",
            expected="whole numbers",
            why="how many places a mask keeps would not be known before the graph runs" if ids.dtype == "bool" else "",
            fix="bl.ops.where(mask, x, 0.0)" if ids.dtype == "bool" else "bl.ops.cast(ids, 'int64')",
        )
    return ids


def _cut(x: Node, key: Any, axis: int, start: list[Any], stop: list[Any], step: list[int]) -> tuple[Node, Any]:
    """Note one key in start, stop and step; returns x (flipped for a negative step) and the axis length or None."""
    if axis >= len(x.shape):
        raise ShapeError(f"too many indices for {show(x.shape)}.", fix=f"give at most {len(x.shape)}")
    dim = x.shape[axis]
    if isinstance(key, slice) and key == slice(None):
        return x, dim
    if isinstance(dim, Rows):
        raise ShapeError(
            "a graph cannot pick examples along the batch axis m.",
            found=f"index {key} on axis {axis} of {show(x.shape)}",
            why="it would not be the same function for every batch size",
            fix="index the array before it enters the graph, or reduce over m",
        )
    if isinstance(key, slice):
        begin, end, jump = key.indices(dim)
        count = len(range(begin, end, jump))
        if jump < 0:
            x, begin, jump = flip.node(x, axis=axis), dim - 1 - begin, -jump
        start[axis], step[axis] = begin, jump
        stop[axis] = begin + (count - 1) * jump + 1 if count else begin
        return x, count
    try:
        number = operator.index(key)
    except TypeError:
        raise ArgumentError(f"{key!r} is no index.", expected="a whole number, a slice, None or ...") from None
    if not -dim <= number < dim:
        raise ShapeError(f"index {number} is outside axis {axis} of {show(x.shape)}.", expected=f"{-dim} … {dim - 1}")
    start[axis], stop[axis] = number % dim, number % dim + 1
    return x, None


registry.register("op.getitem", getitem)


# ---------------------------------------------------------------------- places
def _within(name: str, ids: Any, length: int) -> None:
    if ids.size and (ids.min() < 0 or ids.max() >= length):
        raise ValueRangeError(
            f"{name}: an id is out of range.", expected=f"0 … {length - 1}", found=f"{ids.min()} … {ids.max()}"
        )


def _gather_ref(x: Any, ids: Any, *, axis: int = 0) -> Any:
    _within("gather", ids, x.shape[axis])
    return np.take(x, ids, axis=axis)


gather: Op = structural(
    "gather",
    ref=_gather_ref,
    joined=(0,),
    places=(1,),
    settle=_settle_one_axis,
    range=lambda x, ids, **_: x,
    shape=lambda name, shapes, attrs: shapes[0][: attrs["axis"]] + shapes[1] + shapes[0][attrs["axis"] + 1 :],
    vjp=lambda g, y, x, ids, axis: [scatter_add(g, ids, axis, x.shape[axis]), None],
    probe=Probe(
        (uniform(-3, 3), integers(0, 4)), (case((4, 3), (2, 5)), case((2, 4), (3,), axis=1), case((4, 2), (M,)))
    ),
    doc="The parts of x at the places `ids` along `axis`. Ids out of range are refused.",
)
take: Op = composite(
    "take",
    define=lambda x, ids, axis=None: gather(reshape(x, (-1,)) if axis is None else x, ids, 0 if axis is None else axis),
    joined=(0,),
    range=lambda x, ids, **_: x,
    probe=Probe((uniform(-3, 3), integers(0, 2)), (case((2, 3), (4,)), case((2, 3), (M,), axis=-1))),
    doc="The parts of x at the places `ids` along `axis` (None: among all numbers in row-major order), as np.take.",
)


def _scatter_ref(g: Any, ids: Any, *, axis: int, length: int) -> Any:
    _within("scatter_add", ids, length)
    after = g.ndim - axis - ids.ndim
    out = np.zeros((*g.shape[:axis], length, *g.shape[g.ndim - after :]), g.dtype)
    np.add.at(out, (slice(None),) * axis + (ids,), g)
    return out


def _scatter_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    if shapes[0][attrs["axis"] : attrs["axis"] + len(shapes[1])] != shapes[1]:
        raise ShapeError(
            "scatter_add needs a part for each id.",
            expected=f"the axes {show(shapes[1])} of ids from axis {attrs['axis']} of g on",
            found=f"g {show(shapes[0])}",
        )
    return (*shapes[0][: attrs["axis"]], attrs["length"], *shapes[0][attrs["axis"] + len(shapes[1]) :])


scatter_add: Op = structural(
    "scatter_add",
    ref=_scatter_ref,
    joined=(0,),
    places=(1,),
    settle=_settle_one_axis,
    shape=_scatter_shape,
    vjp=lambda g, y, x, ids, axis, length: [gather(g, ids, axis), None],
    probe=Probe(
        (uniform(-3, 3), integers(0, 4)),
        (case((2, 5, 3), (2, 5), axis=0, length=4), case((2, 3), (3,), axis=1, length=4)),
    ),
    doc="Zeros of length `length` along `axis`, to which parts of g are added at the places `ids`: gather backwards.",
)
iota: Op = structural(
    "iota",
    ref=lambda *, shape, dtype="int64": np.arange(int(np.prod(shape, dtype=np.int64)), dtype=dtype).reshape(shape),
    shape=lambda name, shapes, attrs: checked(attrs["shape"]),
    dtype="attr",
    range=(0, np.inf),
    probe=Probe(_ANY, (case(shape=(4,)), case(shape=(2, 3), dtype="float32"), case(shape=(3, 1), dtype="uint32"))),
    doc="0, 1, 2, … in row-major order.",
)
one_hot: Op = composite(
    "one_hot",
    define=lambda ids, *, depth, dtype="float32": cast(equal(expand_dims(ids, -1), iota.node(shape=(depth,))), dtype),
    probe=Probe((integers(0, 4),), (case((5,), depth=4), case((M,), depth=4), case((2, 3), depth=5, dtype="float64"))),
    range=(0, 1),
    doc="Rows with a single 1 at the place `ids`, `depth` long; an id out of range gives a row of zeros.",
)


def _filled(value: float) -> Any:
    return lambda *, shape, dtype="float64": broadcast_to.node(literal(value, dtype), shape=checked(shape))


_FULL = Probe(_ANY, (case(shape=(2, 3)), case(shape=(), dtype="float32")))
zeros: Op = composite("zeros", define=_filled(0.0), probe=_FULL, range=(0, 0), doc="Zeros.")
ones: Op = composite("ones", define=_filled(1.0), probe=_FULL, range=(1, 1), doc="Ones.")
_LIKE = Probe(_ANY, (case((2, 3)), case((M, 3))))
zeros_like: Op = composite(
    "zeros_like",
    define=lambda x: broadcast_to.node(literal(0.0, x.dtype), shape=x.shape),
    probe=_LIKE,
    range=(0, 0),
    doc="Zeros of the shape and dtype of x.",
)
ones_like: Op = composite(
    "ones_like",
    define=lambda x: broadcast_to.node(literal(1.0, x.dtype), shape=x.shape),
    probe=_LIKE,
    range=(1, 1),
    doc="Ones of the shape and dtype of x.",
)
call: Op = composite(
    "call",
    define=lambda values, *, graph: _inlined(values, graph),
    joined=(),
    doc="The outputs of a Graph on other inputs.",
)


def _inlined(values: Sequence[Node], graph: Any) -> list[Node]:
    wanted, given = ([f"{show(node.shape)} {node.dtype}" for node in nodes] for nodes in (graph.inputs, values))
    if wanted != given:
        raise ShapeError(
            "call: the values do not fit the graph's inputs.",
            expected=" and ".join(wanted),
            found=" and ".join(given),
            fix="reshape or cast the values",
        )
    substitute = registry.lookup("walk.substitute")
    return substitute(graph.outputs, dict(zip(graph.inputs, values, strict=True)))  # type: ignore[no-any-return]
