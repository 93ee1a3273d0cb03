"""Between which numbers the values of a graph lie: an interval walk over the records' own ranges.

The bounds hold for every value of the trained variables and of the inputs, unless others are given. They are those of the
arithmetic that is there, not of the layers' names: a softmax written by hand has the bounds of a softmax.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.shapes import normal_axes
from ..core.walk import topological

INF = math.inf
Interval = tuple[float, float]
_ARITHMETIC = frozenset(
    ["add", "subtract", "multiply", "divide", "maximum", "minimum", "negative", "absolute", "square"]
)
_ORDER = frozenset(["greater", "greater_equal", "less", "less_equal"])
_SAME = frozenset(["mark", "cast", "linear"])  # the value itself, in the same places


@dataclass(frozen=True)
class Bounds:
    """The smallest and largest value. `tight`: both are reached, or come near, for some inputs and variables; otherwise
    the truth may be narrower. `total`: (axis, sum) where the values along an axis have a known sum. `leaves`: the free
    leaves below, a bit each."""

    low: float
    high: float
    tight: bool = False
    leaves: int = 0
    total: tuple[int, float] | None = None

    @property
    def gap(self) -> float:
        """high - low."""
        return self.high - self.low

    @property
    def constant(self) -> bool:
        """Whether only one value is possible."""
        return self.low == self.high

    def inside(self, low: float, high: float) -> bool:
        """Whether all values lie in [low, high], as float32 has it."""
        return self.low >= low - 1e-6 and self.high <= high + 1e-6

    @property
    def unbounded(self) -> bool:
        """Whether there is no bound on either side."""
        return self.low == -INF and self.high == INF


def plain(node: Node) -> Node:
    """The node under markers and casts."""
    while node.op.name in _SAME:
        node = node.inputs[0]
    return node


def bounds_of(
    roots: Sequence[Node], known: Mapping[Node, Interval] | None = None, moving: frozenset[Leaf] = frozenset()
) -> dict[Node, Bounds]:
    """The bounds of every node under `roots`. `known` gives those of leaves; `moving` are states that training writes."""
    found: dict[Node, Bounds] = {}
    bits: dict[Node, int] = {}

    def below(node: Node) -> Sequence[Node]:
        """The definition of a composite that has no range of its own, besides the inputs."""
        parts = () if node.body is None or _judged(node) else node.body if node.several else (node.body,)
        return (*node.inputs, *parts)

    with np.errstate(all="ignore"):
        for node in topological(roots, below):
            if isinstance(node, Leaf):
                bits[node] = 1 << len(bits)
                found[node] = _leaf(node, bits[node], known or {}, moving)
            else:
                found[node] = _node(node, found)
    return found


def _judged(node: Node) -> bool:
    return node.op.range is not None or node.op.name in _SHARP


def _leaf(leaf: Leaf, bit: int, known: Mapping[Node, Interval], moving: frozenset[Leaf]) -> Bounds:
    if leaf in known:
        return Bounds(*known[leaf], tight=True, leaves=bit)
    trained = leaf.kind == "variable" and leaf.trainable
    if trained or leaf.array is None or leaf in moving or leaf.array.size == 0:
        return Bounds(-INF, INF, tight=leaf not in moving, leaves=bit)
    return Bounds(float(leaf.array.min()), float(leaf.array.max()), tight=True)


def _node(node: Node, found: Mapping[Node, Bounds]) -> Bounds:
    if node.op.name == "literal":
        value = float(node.attrs["value"])
        return Bounds(value, value, tight=True)
    inputs = [found[i] for i in node.inputs]
    leaves, apart = 0, True
    for one in inputs:
        apart, leaves = apart and not leaves & one.leaves, leaves | one.leaves
    sharp = _SHARP.get(node.op.name)
    if sharp is not None and (result := sharp(node, inputs, found)) is not None:
        return replace(result, leaves=leaves)
    if node.op.range is None:
        if node.body is not None and not node.several:
            return replace(found[node.body], leaves=leaves)
        return Bounds(-INF, INF, leaves=leaves)
    free = [one for one in inputs if one.tight and one.unbounded]
    if node.op.name in ("add", "subtract") and free and apart:
        return Bounds(-INF, INF, tight=True, leaves=leaves)  # whatever the other summand is
    low, high = _by_record(node, inputs)
    tight = apart and all(one.tight for one in inputs) and (_exact(node) or all(one.unbounded for one in inputs))
    total = inputs[0].total if node.op.name in _SAME else None
    return Bounds(low, high, tight, leaves, total)


def _exact(node: Node) -> bool:
    """Whether the record's range is reached for every range of its inputs, not only for unbounded ones."""
    return callable(node.op.range) and (node.op.monotone or node.op.name in _ARITHMETIC or node.op.name in _SAME)


def _by_record(node: Node, inputs: Sequence[Bounds]) -> Interval:
    rule = node.op.range
    if not callable(rule):
        return float(rule[0]), float(rule[1])
    low, high = map(float, rule(*((one.low, one.high) for one in inputs), **node.attrs))
    return (-INF if math.isnan(low) else low), (INF if math.isnan(high) else high)


# ---------------------------------------------------------------------- where shapes and neighbours say more
def _length(node: Node, axis: Any) -> int | None:
    """How many numbers lie along `axis` (None: all axes); None where the batch axis is among them."""
    dims = [node.shape[place] for place in normal_axes(axis, len(node.shape), node.op.name)]
    return math.prod(dims) if all(isinstance(dim, int) for dim in dims) else None


def _times(count: int, bound: float) -> float:
    return 0.0 if bound == 0 else count * bound


def _sum(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    x, axis, count = inputs[0], node.attrs["axis"], _length(node.inputs[0], node.attrs["axis"])
    if x.total is not None and tuple(axis) == (x.total[0],):
        return Bounds(x.total[1], x.total[1], tight=True)
    if count is None:
        return Bounds(x.low if x.low >= 0 else -INF, x.high if x.high <= 0 else INF)
    return Bounds(_times(count, x.low), _times(count, x.high), x.tight)


def _share(gap: float, count: int) -> float:
    """The largest softmax of `count` numbers, the others lying `gap` below; for a negative gap the smallest."""
    return 1 / (1 + (count - 1) * math.exp(min(-gap, 700)))


def _softmax(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds:
    x, count, axes = inputs[0], _length(node.inputs[0], node.attrs["axis"]), _axes(node, node.attrs["axis"])
    total = (axes[0], 1.0) if len(axes) == 1 else None
    if count is None:
        return Bounds(0.0, 1.0, x.tight, total=total)
    if count == 1:
        return Bounds(1.0, 1.0, True, total=total)
    return Bounds(0.0 if x.gap > 80 else _share(-x.gap, count), _share(x.gap, count), x.tight, total=total)


def _log_softmax(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds:
    x, count = inputs[0], _length(node.inputs[0], node.attrs["axis"])
    if count is None or not math.isfinite(x.gap):
        return Bounds(0.0 if count == 1 else -INF, 0.0, x.tight)
    return Bounds(-math.log1p((count - 1) * math.exp(min(x.gap, 700))), math.log(_share(x.gap, count)), x.tight)


def _logarithm_of_shares(node: Node) -> Node | None:
    """The node with the numbers and the axis of a log_softmax: the record itself, or the logsumexp of x - logsumexp(x)."""
    node = plain(node)
    if node.op.name == "log_softmax":
        return node
    total = _unshaped(node.inputs[1]) if node.op.name == "subtract" else node
    return total if total.op.name == "logsumexp" and plain(node.inputs[0]) is plain(total.inputs[0]) else None


def _power(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    """a to a constant positive power: rising where a is from 0 or the power odd, and from 0 where it is even."""
    a, b = inputs
    if not b.constant or b.low <= 0 or (a.low < 0 and b.low != math.floor(b.low)):
        return None
    odd = b.low % 2 == 1
    ends = [float(np.power(abs(end), b.low)) * (-1 if end < 0 and odd else 1) for end in (a.low, a.high)]
    low = 0.0 if b.low % 2 == 0 and a.low < 0 < a.high else min(ends)
    return Bounds(low, max(ends), a.tight)


def _multiply(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    """x times x is a square."""
    if plain(node.inputs[0]) is not plain(node.inputs[1]):
        return None
    return _power(node, [inputs[0], Bounds(2.0, 2.0)], found)


def _subtract(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    soft = _logarithm_of_shares(node)
    return None if soft is None else _log_softmax(soft, [found[soft.inputs[0]]], found)


def _exp(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    soft = _logarithm_of_shares(node.inputs[0])
    return None if soft is None else _softmax(soft, [found[soft.inputs[0]]], found)


def _axes(node: Node, axis: Any) -> tuple[int, ...]:
    return normal_axes(axis, len(node.inputs[0].shape), node.op.name)


def _matmul(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    """A product with free weights can be anything, unless the other factor is always 0."""
    a, b = inputs
    for one, other in ((a, b), (b, a)):
        if one.tight and one.unbounded and not one.leaves & other.leaves and not (other.low == 0 == other.high):
            return Bounds(-INF, INF, tight=True)
    count = node.inputs[0].shape[-1]
    if not isinstance(count, int):
        return None
    ends = [0.0 if 0 in (x, y) else x * y for x in (a.low, a.high) for y in (b.low, b.high)]
    return Bounds(_times(count, min(ends)), _times(count, max(ends)))


def _divide(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    """a / (a + b) and a / sum(a) of numbers from 0 are shares: from 0 to 1, and the second kind sums to 1."""
    top, bottom = plain(node.inputs[0]), _unshaped(node.inputs[1])
    axis = _summed(bottom, top)
    if axis and _length(top, axis) == 1:
        return Bounds(1.0, 1.0, True, total=(axis[0], 1.0))
    if inputs[0].low < 0:
        return None
    if axis:
        return Bounds(0.0, 1.0, inputs[0].high == INF, total=(axis[0], 1.0) if len(axis) == 1 else None)
    if bottom.op.name not in ("add", "maximum"):
        return None
    parts = [_unshaped(part) for part in bottom.inputs]
    for part, other in (parts, parts[::-1]):
        if found[other].low >= 0 and (part is top or _summed(part, top)):
            return Bounds(0.0, 1.0, inputs[0].high == INF)
    return None


def _where(node: Node, inputs: Sequence[Bounds], found: Mapping[Node, Bounds]) -> Bounds | None:
    """where(x > c, x, ...): of x only what is above c gets through."""
    test, chosen = plain(node.inputs[0]), [plain(part) for part in node.inputs[1:]]
    if test.op.name not in _ORDER:
        return None
    sides = [plain(part) for part in test.inputs]
    for x, limit, above in ((sides[0], sides[1], True), (sides[1], sides[0], False)):
        bound = found[limit]
        if x in chosen and bound.constant:
            first = chosen[0] is x  # x where the test holds, or where it fails
            upper = (test.op.name.startswith("greater") == above) == first  # only what lies above gets through
            one, other = found[x], inputs[2 if first else 1]
            low, high = (max(one.low, bound.low), one.high) if upper else (one.low, min(one.high, bound.high))
            return Bounds(min(low, other.low), max(high, other.high), one.tight and other.tight and not other.leaves)
    return None


def _summed(node: Node, top: Node) -> Any:
    """The axes over which `node` sums `top`, or None."""
    return node.attrs["axis"] if node.op.name == "sum" and plain(node.inputs[0]) is top else None


def _unshaped(node: Node) -> Node:
    """The node under markers, casts and new axes."""
    while node.op.name in _SAME or node.op.name in ("reshape", "expand_dims", "broadcast_to"):
        node = node.inputs[0]
    return node


_Sharp = Callable[[Node, Sequence[Bounds], Mapping[Node, Bounds]], Bounds | None]
_SHARP: dict[str, _Sharp] = {
    "sum": _sum,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "multiply": _multiply,
    "power": _power,
    "subtract": _subtract,
    "exp": _exp,
    "matmul": _matmul,
    "divide": _divide,
    "where": _where,
}
