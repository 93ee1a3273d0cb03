"""Arithmetic that does nothing, removed; what derivatives and definitions leave behind. Values stay the same bits or
better."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.op import literal
from ..core.shapes import broadcast
from ..ops import elementwise as e
from ..ops import index, nn, reduce
from .rule import Pattern, Rule, p


def _nothing(name: str, left: Any, example: Any, reason: str) -> Rule:
    return Rule(name=name, left=left, right=lambda x, **_: x, example=example, reason=reason)


def _same_shape(x: Node, node: Node, **_: Any) -> bool:
    return bool(x.shape == node.shape)


RULES: tuple[Rule, ...] = (
    _nothing("plus zero", p.add("x", 0), lambda x: x + 0, "x + 0 is x"),
    _nothing("minus zero", p.subtract("x", 0), lambda x: x - 0, "x - 0 is x"),
    _nothing("times one", p.multiply("x", 1), lambda x: x * 1, "x * 1 is x"),
    _nothing("over one", p.divide("x", 1), lambda x: x / 1, "x / 1 is x"),
    _nothing("twice negated", p.negative(p.negative("x")), lambda x: e.negative(-x), "the sign of the sign"),
    _nothing("power one", p.power("x", 1), lambda x: x**1, "x ** 1 is x"),
    _nothing("linear", p.linear("x"), lambda x: nn.linear.node(x), "no activation"),
    Rule(
        name="power two",
        left=p.power("x", 2),
        right=lambda x: e.square(x),
        example=lambda x: x**2,
        reason="one product instead of a general power",
    ),
    Rule(
        name="power half",
        left=p.power("x", 0.5),
        right=lambda x: e.sqrt(x),
        example=lambda x: e.square(x) ** 0.5,
        reason="one square root instead of a general power",
    ),
    Rule(
        name="times minus one",
        left=p.multiply("x", -1),
        right=lambda x: -x,
        example=lambda x: x * -1,
        reason="one sign",
    ),
    Rule(
        name="same reshape",
        left=p.reshape("x").named("node"),
        when=_same_shape,
        right=lambda x, node: x,
        example=lambda x: index.reshape(x, x.shape),
        reason="the shape it has",
    ),
    Rule(
        name="same broadcast",
        left=p.broadcast_to("x").named("node"),
        when=_same_shape,
        right=lambda x, node: x,
        example=lambda x: index.broadcast_to(x, x.shape),
        reason="the shape it has",
    ),
    Rule(
        name="sum over no axis",
        left=p.sum("x").named("node"),
        when=_same_shape,
        right=lambda x, node: x,
        example=lambda x: reduce.sum(x, axis=()),
        reason="nothing to add",
    ),
    Rule(
        name="reshape of reshape",
        left=p.reshape(p.reshape("x")).named("node"),
        right=lambda x, node: index.reshape(x, node.shape),
        example=lambda x: index.reshape(index.reshape(x, (2, 1)), (1, 2)),
        reason="the last shape alone counts",
    ),
    Rule(
        name="transpose of transpose",
        left=p.transpose(p.transpose("x").named("inner")).named("node"),
        right=lambda x, inner, node: index.transpose(x, [inner.attrs["axes"][a] for a in node.attrs["axes"]]),
        example=lambda x: x.T.T,
        reason="one order of the axes",
    ),
    Rule(
        name="transpose in place",
        left=p.transpose("x").named("node"),
        right=lambda x, node: x,
        when=lambda x, node: node.attrs["axes"] == tuple(range(len(x.shape))),
        example=lambda x: index.transpose(x, (0,)),
        reason="the order it has",
    ),
)


def _number(x: Node, **_: Any) -> bool:
    return bool(x.shape == ())


def _sums_all(inner: Node, node: Node, **_: Any) -> bool:
    """Whether both sums together are over everything."""
    alone = node.shape == () and not inner.attrs["keepdims"]
    return alone and len(node.attrs["axis"]) == inner.ndim


RULES += (
    Rule(
        name="sum of negative",
        left=p.sum(p.negative("x")).named("node"),
        right=lambda x, node: -reduce.sum(x, axis=node.attrs["axis"], keepdims=node.attrs["keepdims"]),
        when=lambda x, node: x.dtype == node.dtype,
        example=lambda x: reduce.sum(-x),
        reason="one sign of the sum instead of one each",
    ),
    Rule(
        name="size of a value",
        left=p.size("x").named("node"),
        when=lambda x, node: not isinstance(x, Leaf) and x.op.name != "broadcast_to" and x.shape != (),
        right=lambda x, node: reduce.size(index.broadcast_to(literal(0, x.dtype), x.shape), axis=node.attrs["axis"]),
        example=lambda x: x / reduce.size(x + 1.0),
        reason="its shape alone counts: it need not be computed",
    ),
    Rule(
        name="finite in more digits",
        left=p.isfinite(p.cast("x")).named("node"),
        when=lambda x, node: (x.dtype, node.inputs[0].dtype) == ("float32", "float64"),
        right=lambda x, node: e.isfinite(x),
        example=lambda x: e.isfinite(e.cast(e.cast(x, "float32"), "float64")),
        reason="a number stays finite in more digits",
    ),
    Rule(
        name="sum of sums",
        left=p.sum(p.sum("x").named("inner")).named("node"),
        when=_sums_all,
        right=lambda x, inner, node: reduce.sum(x),
        example=lambda x: reduce.sum(reduce.sum(index.reshape(x, (2, 1)), axis=1)),
        reason="one pass",
    ),
    Rule(
        name="reshape of a spread number",
        left=p.reshape(p.broadcast_to("x")).named("node"),
        when=_number,
        right=lambda x, node: index.broadcast_to(x, node.shape),
        example=lambda x: x * index.reshape(index.broadcast_to(reduce.sum(x), (1, 2)), (2,)),
        reason="the same number everywhere",
    ),
    Rule(
        name="spread of a reshaped number",
        left=p.broadcast_to(p.reshape("x")).named("node"),
        when=_number,
        right=lambda x, node: index.broadcast_to(x, node.shape),
        example=lambda x: x * index.broadcast_to(index.reshape(reduce.sum(x), (1,)), (2,)),
        reason="the same number everywhere",
    ),
)


def _all_literal(node: Node) -> bool:
    return node.op.kind == "elementwise" and bool(node.inputs) and all(i.op.name == "literal" for i in node.inputs)


def _evaluated(node: Node) -> Node:
    value = node.value
    return literal(value.item(), node.dtype) if np.isfinite(value) else node


def _thin(node: Node) -> list[Node]:
    return [i.inputs[0] if i.op.name == "broadcast_to" and i.inputs[0].shape == () else i for i in node.inputs]


def _spreads_anyway(node: Node) -> bool:
    thin = _thin(node) if node.op.kind == "elementwise" else list(node.inputs)
    return thin != list(node.inputs) and broadcast([i.shape for i in thin]) in (node.shape, ())


def _of_thin(node: Node) -> Node:
    made: Node = node.op.node(*_thin(node), **node.attrs)
    return made if made.shape == node.shape else index.broadcast_to(made, node.shape)


RULES += (
    Rule(
        name="number of numbers",
        left=Pattern("any", (), "node"),
        when=_all_literal,
        right=_evaluated,
        example=lambda x: x * (literal(2.0) * 3.0),
        reason="known before the first step",
    ),
    Rule(
        name="number spread twice",
        left=Pattern("any", (), "node"),
        when=_spreads_anyway,
        right=_of_thin,
        example=lambda x: x * index.broadcast_to(literal(2.0), x.shape),
        reason="an elementwise record spreads a single number by itself",
    ),
)
