"""The largest number of every window and its derivative, by who won: which places of its window are as large as the largest.

Reverse walks leave the derivative of a maximum over windows as arrays as large as all windows together. Here it becomes
one number a window, with one bit for each place of it (`winners`), put back where they were won (`spread`). What follows
number by number, such as the derivative of the activation below, is computed on the winners instead of everywhere. Where
several places are equal the derivative is shared among them, as the record of the maximum says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..core.grad import grad
from ..core.node import Node
from ..core.op import REQUIRED, Op, literal
from ..core.shapes import Shape
from ..ops import elementwise as e
from ..ops import index, nn, reduce
from ..ops.window import max_pool, windows_of
from .rule import Pattern, Rule, p

_MOST = 32  # places of a window, one bit each
_BITS = ((1, 0x55555555), (2, 0x33333333), (4, 0x0F0F0F0F), (8, 0x00FF00FF), (16, 0x0000FFFF))


def width(places: int) -> int:
    """Bits that hold one for each place."""
    return next(bits for bits in (8, 16, 32) if places <= bits)


def _won(x: Any, *, dtype: str) -> Any:
    axes = tuple(range(x.ndim // 2, x.ndim - 1))
    best = x.max(axis=axes, keepdims=True)
    equal = ((x == best) | np.isnan(best)).reshape(*x.shape[: x.ndim // 2], -1, x.shape[-1])
    powers = (1 << np.arange(equal.shape[-2], dtype=np.uint32)).astype(dtype)[:, np.newaxis]
    return (equal * powers).sum(axis=-2, dtype=dtype)


def _won_shape(name: str, shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> Shape:
    shape = shapes[0]
    return (*shape[: len(shape) // 2], shape[-1])


winners = Op(
    name="winners",
    kind="structural",
    inputs=("x",),
    attrs={"dtype": REQUIRED},
    ref=_won,
    shape=_won_shape,
    dtype="attr",
    doc="Which places of every window (m, places…, window…, c) are as large as its largest: one bit each, the first place "
    "the lowest. All, where a NaN is among them.",
)


def _spread(v: Any, bits: Any, *, places: Any, window: Any, strides: Any) -> Any:
    out = np.zeros((v.shape[0], *places, v.shape[-1]), v.dtype)
    lie = windows_of(out, window, strides, (1,) * len(window))
    for which, offset in enumerate(np.ndindex(*window)):
        lie[(slice(None),) * (1 + len(window)) + offset] += np.where(bits >> which & 1, v, 0)
    return out


spread = Op(
    name="spread",
    kind="structural",
    inputs=("v", "bits"),
    attrs={"places": REQUIRED, "window": REQUIRED, "strides": REQUIRED},
    ref=_spread,
    shape=lambda name, shapes, attrs: (shapes[0][0], *attrs["places"], shapes[0][-1]),
    joined=(0,),
    doc="Each number of v (m, windows…, c) at every place of its window that has a bit; what overlaps is added up.",
)


def largest(windows: Node) -> Node:
    """The largest number of every window."""
    return reduce.max.node(windows, axis=tuple(range(windows.ndim // 2, windows.ndim - 1)))


def how_many(bits: Node) -> Node:
    """The number of bits that are set."""
    word: Node = e.cast.node(bits, dtype="uint32")
    for shift, mask in _BITS:
        if shift < math.prod(bits.inputs[0].attrs["window"]):
            half = e.bitwise_and(e.right_shift(word, literal(shift, "uint32")), literal(mask, "uint32"))
            word = e.bitwise_and(word, literal(mask, "uint32")) + half
    return word


# ---------------------------------------------------------------------- the derivative of the largest
def _is_derivative(g: Node, windows: Node, y: Node, hits: Node, total: Node, node: Node) -> bool:
    """Whether this is what a reverse walk makes of the largest number of every window, folded back."""
    if windows.op.name != "windows" or any(d != 1 for d in windows.attrs["dilation"]):
        return False
    if math.prod(windows.attrs["window"]) > _MOST or node.dtype not in ("float32", "float64"):
        return False
    inside = tuple(range(windows.ndim // 2, windows.ndim - 1))
    x = windows.inputs[0]
    if total.attrs["axis"] != inside or not total.attrs["keepdims"] or hits.dtype != x.dtype or y.dtype != x.dtype:
        return False
    top = y.inputs[0] if y.op.name == "reshape" else y
    lies = {"places": x.shape[1:-1], "strides": windows.attrs["strides"], "dilation": windows.attrs["dilation"]}
    same = all(node.attrs[key] == tuple(value) for key, value in lies.items())
    return (
        same
        and top.op.name == "max"
        and top.inputs == (windows,)
        and top.attrs["axis"] == inside
        and g.shape == y.shape
    )


def _by_winners(g: Node, windows: Node, node: Node, **_: Node) -> Node:
    best = largest(windows)
    bits = winners.node(windows, dtype=f"uint{width(math.prod(windows.attrs['window']))}")
    share = index.reshape(g, best.shape) / e.cast.node(how_many(bits), dtype=node.dtype)
    share = e.where(e.equal(best, best), share, math.nan)
    attrs = {"places": node.attrs["places"], "window": windows.attrs["window"], "strides": windows.attrs["strides"]}
    return spread.node(share, bits, **attrs)


# ---------------------------------------------------------------------- what follows number by number
def _at_winners(node: Node, x: Node, best: Node) -> Node | None:
    """What an expression of x is at the winners, by the largest number alone; None where that does not say."""
    if node is x:
        return best
    if node.op.name == "literal" or node.shape == ():
        return node
    if node.op.name == "greater" and _sign_of(x, node.inputs[0]) and _is_zero(node.inputs[1]):
        return e.greater.node(best, node.inputs[1])
    if node.op.kind != "elementwise" or not any(i.shape for i in node.inputs):
        return None
    inputs = [_at_winners(i, x, best) for i in node.inputs]
    if None in inputs:
        return None
    made: Node = node.op.node(*inputs, **node.attrs)
    return made


def _sign_of(x: Node, z: Node) -> bool:
    """Whether x is above 0 where z is, and nowhere else."""
    if x.op.name == "leaky_relu":
        return x.inputs[0] is z and x.attrs["negative_slope"] > 0
    return x.op.name == "relu" and x.inputs[0] is z


def _is_zero(node: Node) -> bool:
    return bool(node.op.name == "literal" and node.attrs["value"] == 0)


def _values(node: Node, like: Node) -> Node | None:
    """The numbers of `node` at the winners, if it is 0 elsewhere and won by the same ones."""
    if _is_zero(node):
        return node
    same = node.op is spread and node.inputs[1] is like.inputs[1] and node.attrs == like.attrs
    return node.inputs[0] if same else None


_LINEAR: Mapping[str, Callable[..., tuple[list[Node], list[Node]]]] = {  # (what must be 0 elsewhere, what need not)
    "where": lambda c, a, b: ([a, b], [c]),
    "multiply": lambda a, b: ([a], [b]) if a.op is spread else ([b], [a]),
    "divide": lambda a, b: ([a], [b]),
}


def _pulled(node: Node, **_: Node) -> Node:
    """A record that is linear in what is spread, on the winners alone; the node itself where it is not so."""
    parts, others = _LINEAR[node.op.name](*node.inputs)
    like = next((each for each in parts if each.op is spread), None)
    if like is None or like.shape != node.shape:
        return node
    windows = like.inputs[1].inputs[0]
    x, best = windows.inputs[0], largest(windows)
    at = {part: _values(part, like) for part in parts} | {other: _at_winners(other, x, best) for other in others}
    if None in at.values():
        return node
    new = node.op.node(*(at[i] for i in node.inputs), **node.attrs)
    return spread.node(new, like.inputs[1], **like.attrs) if new.shape == like.inputs[0].shape else node


def _sums(v: Node, bits: Node, node: Node, **_: Node) -> Node:
    """The sum over all places: each number as often as it was put somewhere."""
    return reduce.sum.node(v * e.cast.node(how_many(bits), dtype=v.dtype), **node.attrs)


def _over_places(node: Node, **_: Node) -> bool:
    places = set(range(1, node.inputs[0].ndim - 1))
    return places <= set(node.attrs["axis"] or range(node.inputs[0].ndim)) and node.dtype in ("float32", "float64")


def _example(x: Any) -> Node:
    """The derivative of the sum of the activated and pooled numbers."""
    row = index.reshape(nn.relu.node(x), (1, -1, 1))
    return grad(reduce.sum(e.square(max_pool.node(row, window=(2,)))), [x])[0]  # type: ignore[no-any-return]


_HITS = p.cast(p.equal("windows", "y")).named("hits")
RULES: tuple[Rule, ...] = (
    Rule(
        name="derivative of the largest",
        left=p.fold(p.divide(p.multiply("g", _HITS), p.sum(_HITS).named("total"))).named("node"),
        when=_is_derivative,
        right=_by_winners,
        example=_example,
        reason="one number a window instead of one a place",
    ),
    *(
        Rule(
            name=f"{name} at the winners",
            left=Pattern(name, parts, "node"),
            right=_pulled,
            example=_example,
            reason="where nothing was won there is 0",
        )
        for name, parts in {"where": ("c", "a", "b"), "multiply": ("a", "b"), "divide": ("a", "b")}.items()
    ),
    Rule(
        name="sum of the winners",
        left=p.sum(p.spread("v", "bits")).named("node"),
        when=_over_places,
        right=_sums,
        example=_example,
        reason="where nothing was won there is 0",
    ),
)
