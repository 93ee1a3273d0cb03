"""From nodes to the recipes and words of kernels: what runs as machine code, and how its operands lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.scalar import Call
from ..core.shapes import Rows
from .base import Array
from .kernels import DTYPES, Reduced, Term
from .places import Extreme, Taken
from .table import Row
from .vectors import known, whole


def terms_of(node: Node, inputs: Sequence[int], first: int, terms: list[Term], dtype_of: Callable[[int], str]) -> int:
    """Append what `node` computes; returns the place of its result. `first` is the number of inputs of the group."""

    def add(function: str, operands: tuple[int | float, ...], dtype: str) -> int:
        terms.append(Term(function, operands, dtype))
        return first + len(terms) - 1

    if node.op.name == "cast":
        return add("cast", (inputs[0],), node.dtype)

    def make(place: int, call: Call, given: list[Any]) -> int:
        dtype = result_dtype(
            call.function, [each.value if isinstance(each, Number) else dtype_of(each) for each in given]
        )
        of_numbers = result_dtype("add", [e.value if isinstance(e, Number) else dtype_of(e) for e in given[-2:]])
        places = [add("number", (float(e.value),), of_numbers) if isinstance(e, Number) else e for e in given]
        return add(call.function, tuple(places), dtype)

    assert node.op.formula is not None
    result: int = node.op.formula.read(make, inputs, node.attrs, Number)
    return result if dtype_of(result) == node.dtype else add("cast", (result,), node.dtype)


class Number:
    """A Python number among the operands of a call: it takes the dtype of the others."""

    def __init__(self, value: float):
        self.value = value


def result_dtype(function: str, operands: Sequence[Any]) -> str:
    """The dtype that NumPy gives: "bool" for questions, the common one of the operands otherwise."""
    if function in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal", "isfinite"):
        return "bool"
    if function.startswith("logical_"):
        return "bool"
    values = operands[1:] if function == "where" else operands
    common = str(np.result_type(*(np.dtype(each) if isinstance(each, str) else each for each in values)))
    return common if whole(function) or common.startswith("float") else "float64"


def fusible(node: Node) -> bool:
    """Whether there is machine code for an elementwise node."""
    if isinstance(node, Leaf) or not node.inputs or type(node.dtype) is not str:
        return False
    dtypes = [node.dtype, *(i.dtype for i in node.inputs)]
    if any(type(each) is not str or each not in DTYPES for each in dtypes):
        return False
    if node.op.name == "cast":
        return True
    if node.op.formula is None or any(isinstance(value, Rows) for value in node.attrs.values()):
        return False
    return all(known(call.function, dtypes) for call in node.op.formula.calls)


def total(node: Node) -> bool:
    """Whether a node is the sum of floating numbers over all axes."""
    if isinstance(node, Leaf) or node.op.name != "sum" or type(node.inputs[0].shape) is not tuple:
        return False
    axes, shape = node.attrs["axis"], node.inputs[0].shape
    everything = axes is None or len(axes) == len(shape)
    return (
        everything and len(shape) > 0 and all(d in ("float32", "float64") for d in (node.dtype, node.inputs[0].dtype))
    )


def collapsed(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """Neighbouring axes put together wherever every operand lies so that one loop does."""
    sizes: list[int] = []
    steps: list[list[int]] = [[] for _ in strides]
    for axis, size in enumerate(shape):
        if size == 1:
            continue
        here = [each[axis] for each in strides]
        if sizes and all(each[-1] == step * size for each, step in zip(steps, here, strict=True)):
            sizes[-1] *= size
            for each, step in zip(steps, here, strict=True):
                each[-1] = step
        else:
            sizes.append(size)
            for each, step in zip(steps, here, strict=True):
                each.append(step)
    return (sizes, steps) if sizes else ([1], [[0] for _ in strides])


REDUCTIONS = {"sum": "add", "max": "maximum", "min": "minimum", "prod": "multiply", "all": "minimum", "any": "maximum"}


def reduction(node: Node, source: Array, attrs: Mapping[str, Any], out: Array) -> Row | None:
    """The row of a reduction."""
    function = REDUCTIONS[node.op.name]
    asked = node.op.name in ("all", "any")
    if str(source.dtype) not in DTYPES or str(out.dtype) not in DTYPES or source.size == 0:
        return None
    if source.dtype != out.dtype and function != "add" and not asked:
        return None
    axes = range(source.ndim) if attrs["axis"] is None else [axis % source.ndim for axis in attrs["axis"]]
    kept = [axis for axis in range(source.ndim) if axis not in axes]
    lies = [
        collapsed([source.shape[a] for a in part], [[source.strides[a] for a in part]]) for part in (kept, list(axes))
    ]
    sizes = [size for each, _ in lies for size in each]
    steps = [step for _, each in lies for step in each[0]]
    last_kept = len(lies[0][0]) - 1
    along = sizes[last_kept] > 1 and not (steps[-1] == source.itemsize and sizes[-1] > 8)
    unit = steps[last_kept if along else -1] == source.itemsize
    behind = [int(np.prod(sizes[k + 1 : last_kept + 1])) * out.itemsize for k in range(last_kept + 1)]
    words = [*sizes, source.ctypes.data, *steps, out.ctypes.data, *behind]
    return Row(Reduced(function, str(source.dtype), str(out.dtype), along, unit, last_kept + 1, len(lies[1][0])), words)


def extreme(node: Node, source: Array, attrs: Mapping[str, Any], out: Array) -> Row | None:
    """The row of an argmax or argmin over one axis, or over everything."""
    axis = attrs["axis"]
    axis = axis[0] if isinstance(axis, tuple) and len(axis) == 1 else axis
    if source.size == 0 or str(source.dtype) not in DTYPES or out.dtype != np.int64 or not source.flags.c_contiguous:
        return None
    if axis is None:
        sizes = [1, source.size, 1]
    elif isinstance(axis, int):
        place = axis % source.ndim
        sizes = [int(np.prod(part)) for part in (source.shape[:place], source.shape[place], source.shape[place + 1 :])]
    else:
        return None
    steps = [sizes[1] * sizes[2] * source.itemsize, sizes[2] * source.itemsize, source.itemsize]
    return Row(Extreme(str(source.dtype), node.op.name), [*sizes, source.ctypes.data, *steps, out.ctypes.data])


def taken(whole: Array, ids: Array, part: Array, axis: int, adds: bool) -> Row | None:
    """The row that takes the parts `ids` out of `whole` along `axis`, or adds them to it."""
    if not (whole.flags.c_contiguous and part.flags.c_contiguous and ids.flags.c_contiguous):
        return None
    if str(whole.dtype) not in DTYPES or whole.dtype == bool or str(ids.dtype) not in DTYPES:
        return None
    outer, numbers = int(np.prod(whole.shape[:axis])), int(np.prod(whole.shape[axis + 1 :]))
    one = numbers * whole.itemsize
    words = [outer, ids.size, numbers, whole.ctypes.data, whole.shape[axis] * one, one, ids.ctypes.data]
    words += [part.ctypes.data, ids.size * one, one, whole.shape[axis]]
    return Row(Taken(str(whole.dtype), str(ids.dtype), adds), words)
