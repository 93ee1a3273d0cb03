"""Formulas made short for the eye: what derivatives leave behind is rewritten by rules, as the step's graph is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ..core.node import Leaf, Node
from ..core.op import cast, literal
from ..core.shapes import Rows, broadcast
from ..core.shapes import size as numbers_in
from ..core.show import text
from ..core.walk import again, rebuild, topological
from ..ops import elementwise as e
from ..ops import index, reduce
from ..rewrite import tidy
from ..rewrite.rule import Pattern, Rule, apply, p


def _without(shape: Any, axes: Any) -> Any:
    return tuple(dim for place, dim in enumerate(shape) if place not in axes)


def _sums_away(x: Node, total: Node, node: Node) -> bool:
    return bool(total.attrs["keepdims"] and node.shape == _without(x.shape, total.attrs["axis"]))


def _counted(node: Node) -> Any:
    """How many numbers are counted: a number, a multiple of m, or None for m · m, which has no word."""
    axis = node.attrs["axis"]
    dims = tuple(dim for place, dim in enumerate(node.inputs[0].shape) if axis is None or place in axis)
    return None if sum(isinstance(dim, Rows) for dim in dims) > 1 else numbers_in(dims)


def _thin(node: Node) -> list[Node]:
    return [i.inputs[0] if i.op.name == "broadcast_to" else i for i in node.inputs]


def _is_spread_number(node: Node) -> bool:
    spread = node.op.kind == "elementwise" and any(i.op.name == "broadcast_to" for i in node.inputs)
    return (
        spread
        and sum(i.shape != () for i in _thin(node)) <= 1
        and broadcast([i.shape for i in _thin(node)]) != node.shape
    )


def _led(node: Node) -> list[Node]:
    """The inputs, without leading axes of length 1 that a reshape gave them."""
    return [i.inputs[0] if _is_led(i) else i for i in node.inputs]


def _is_led(node: Node) -> bool:
    if node.op.name != "reshape":
        return False
    inner = node.inputs[0].shape
    return node.shape == (1,) * (len(node.shape) - len(inner)) + inner != inner


def _leads_anyway(node: Node) -> bool:
    if node.op.kind != "elementwise" or not any(map(_is_led, node.inputs)):
        return False
    return broadcast([i.shape for i in _led(node)]) == node.shape


def _spreads_anyway(node: Node) -> bool:
    if node.op.kind != "elementwise" or not any(i.op.name == "broadcast_to" for i in node.inputs):
        return False
    return broadcast([i.shape for i in _thin(node)]) == node.shape


OWN: tuple[Rule, ...] = (
    Rule(
        name="a matrix turned",
        left=p.swapaxes("x").named("node"),
        when=lambda x, node: len(x.shape) == 2,
        right=lambda x, node: index.transpose.node(x),
        example=lambda x: index.swapaxes(index.expand_dims(x)),
        reason="a matrix has one other order of its axes",
    ),
    Rule(
        name="summed axes dropped",
        left=p.reshape(p.sum("x").named("total")).named("node"),
        when=_sums_away,
        right=lambda x, total, node: reduce.sum(x, axis=total.attrs["axis"]),
        example=lambda x: index.reshape(reduce.sum(index.expand_dims(x), axis=1, keepdims=True), x.shape),
        reason="a sum drops its axes by itself",
    ),
    Rule(
        name="a single number reshaped",
        left=p.reshape("x").named("node"),
        when=lambda x, node: x.shape == () and node.shape != (),
        right=lambda x, node: index.broadcast_to(x, node.shape),
        example=lambda x: index.reshape(reduce.sum(x), (1,)),
        reason="one number stands everywhere",
    ),
    Rule(
        name="a spread number reshaped",
        left=p.reshape(p.broadcast_to("x")).named("node"),
        when=lambda x, node: x.shape == (),
        right=lambda x, node: index.broadcast_to(x, node.shape),
        example=lambda x: index.reshape(index.broadcast_to(reduce.sum(x), (2, 3)), (3, 2)),
        reason="one number stands everywhere",
    ),
    Rule(
        name="spread twice",
        left=p.broadcast_to(p.broadcast_to("x")).named("node"),
        right=lambda x, node: index.broadcast_to(x, node.shape),
        example=lambda x: index.broadcast_to(index.broadcast_to(reduce.sum(x), (2,)), (3, 2)),
        reason="the last shape alone counts",
    ),
    Rule(
        name="a count that is known",
        left=p.size("x").named("node"),
        when=lambda x, node: isinstance(_counted(node), int),
        right=lambda x, node: literal(float(_counted(node)), node.dtype),
        example=lambda x: x * reduce.size(x, axis=0),
        reason="only the number of examples is open",
    ),
    Rule(
        name="one where it is true",
        left=p.where("c", 1, 0).named("node"),
        when=lambda c, node: c.dtype == "bool" and c.shape == node.shape,
        right=lambda c, node: cast(c, node.dtype),
        example=lambda x: e.where(x > 0, 1.0, 0.0),
        reason="True counts as 1, False as 0",
    ),
    Rule(
        name="arithmetic of spread numbers",
        left=Pattern("any", (), "node"),
        when=_is_spread_number,
        right=lambda node: index.broadcast_to(node.op.node(*_thin(node), **node.attrs), node.shape),
        example=lambda x: x * e.negative(index.broadcast_to(literal(2.0), x.shape)),
        reason="known before the first step",
    ),
    Rule(
        name="spread anyway",
        left=Pattern("any", (), "node"),
        when=_spreads_anyway,
        right=lambda node: node.op.node(*_thin(node), **node.attrs),
        example=lambda x: x * index.broadcast_to(reduce.sum(x, axis=0, keepdims=True), x.shape),
        reason="an elementwise record spreads its inputs by itself",
    ),
    Rule(
        name="a sign reshaped",
        left=p.reshape(p.negative("x")).named("node"),
        right=lambda x, node: -index.reshape(x, node.shape),
        example=lambda x: index.reshape(-index.expand_dims(x), x.shape),
        reason="the sign of each number",
    ),
    Rule(
        name="a sign divided",
        left=p.divide(p.negative("x"), "y"),
        right=lambda x, y: -(x / y),
        example=lambda x: -x / e.exp(x),
        reason="the sign stands before all of it",
    ),
    Rule(
        name="plus a minus",
        left=p.add("x", p.negative("y")),
        right=lambda x, y: x - y,
        example=lambda x: x + (-e.exp(x)),
        reason="a difference",
    ),
    Rule(
        name="led anyway",
        left=Pattern("any", (), "node"),
        when=_leads_anyway,
        right=lambda node: node.op.node(*_led(node), **node.attrs),
        example=lambda x: index.reshape(reduce.sum(x, axis=0, keepdims=True), (1, 1)) * index.expand_dims(x),
        reason="NumPy puts axes of length 1 in front by itself",
    ),
    Rule(
        name="mean of means",
        left=p.mean(p.mean("x")).named("node"),
        when=lambda x, node: node.shape == (),
        right=lambda x, node: reduce.mean(x),
        example=lambda x: reduce.mean(reduce.mean(index.expand_dims(x), axis=1)),
        reason="groups of one size count alike",
    ),
)
RULES = (*OWN, *tidy.RULES)


_LONGEST = 60  # characters of a part that still stands in its line


def short(formula: Node, m: Leaf) -> Node:
    """The formula, rewritten until no rule fits; the number of examples is written as `m`."""

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        if node.op.name == "size" and node.dtype == m.dtype and isinstance(_counted(node), Rows):
            return m if _counted(node).count == 1 else literal(float(_counted(node).count), m.dtype) * m
        return again(node, inputs)

    return rebuild(apply([formula], RULES), visit)[0]


def parted(formula: Node, part: Callable[[Node], Leaf]) -> Node:
    """`formula` in one line: each part that is long or used twice is replaced by the leaf that `part` gives for it."""
    order = topological([formula])
    uses = Counter(i for node in order for i in node.inputs)
    leaves: dict[Node, Leaf] = {}

    def visit(node: Node, inputs: tuple[Node, ...]) -> Node:
        new = again(node, inputs)
        if node is formula or not node.inputs or node.several:
            return new
        if uses[node] > 1 or len(text(new)) > _LONGEST:
            leaves[node] = part(new)
            return leaves[node]
        return new

    return rebuild([formula], visit)[0]


def turned(formula: Node, known: dict[Node, Node]) -> Node | None:
    """`formula` of matrices whose rows are examples as one whose columns are; None where it has no such form.

    `known` gives what takes the place of leaves; a vector is a column there.
    """
    made: dict[Node, Any] = dict(known)
    for node in topological([formula], lambda node: () if node in made else node.inputs):
        if node not in made:
            inputs = [made[i] for i in node.inputs]
            made[node] = None if None in inputs else _turned(node, inputs)
    return made[formula]


def _turned(node: Node, inputs: Sequence[Any]) -> Node | None:
    rank = len(node.shape) if not node.several else 3
    if not node.inputs or rank > 2:
        return node if rank == 0 else None
    by_itself = node.op.role == "activation" and "axis" not in node.op.attrs
    if node.op.kind == "elementwise" or node.op.name == "cast" or by_itself:
        return node.op.node(*inputs, **node.attrs)
    if node.op.name in ("matmul", "dot") and all(len(i.shape) == 2 for i in node.inputs):
        return node.op.node(*inputs[::-1])
    if "axis" not in node.attrs or len(node.inputs) != 1:
        return None
    if rank == 0:
        return node.op.node(*inputs, **{**node.attrs, "axis": tuple(range(len(inputs[0].shape)))})
    axis = node.attrs["axis"]
    places = {each % 2 for each in (axis if isinstance(axis, tuple) else (axis,))}
    if len(node.inputs[0].shape) != 2 or len(places) != 1 or (rank == 1 and places != {0}):
        return None
    kept = {"keepdims": True} if rank == 1 else {}
    return node.op.node(*inputs, **{**node.attrs, **kept, "axis": 1 - places.pop()})
