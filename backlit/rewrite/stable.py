"""Formulas that overflow, divide 0 by 0 or lose digits, put into the form that does not. Runs before the derivative:
the gradient of log(softmax(x)) at (1000, 0) is otherwise (nan, nan)."""

from __future__ import annotations

from typing import Any

from ..core.node import Node
from ..core.shapes import normal_axes
from ..ops import elementwise as e
from ..ops import nn, reduce
from .rule import Rule, p

_SMALL = 1e-6  # a clip this near to 0 and 1 was meant to protect the logarithm


def _protects(clipped: Node, **_: Any) -> bool:
    return bool(clipped.attrs["low"] <= _SMALL and clipped.attrs["high"] >= 1 - _SMALL)


def _same_axis(sums: Node, x: Node, soft: Node | None = None, **_: Any) -> bool:
    """Whether the sum runs over the softmax's own axis and keeps it."""
    if soft is not None and sums.attrs["axis"] != normal_axes(soft.attrs["axis"], len(x.shape), "softmax"):
        return False
    return bool(sums.attrs["keepdims"])


def _same_max(sums: Node, top: Node, **_: Any) -> bool:
    return bool(sums.attrs["keepdims"] and top.attrs["keepdims"] and top.attrs["axis"] == sums.attrs["axis"])


_soft = p.softmax("x").named("soft")
_exp = p.exp("x")
_shifted = p.exp(p.subtract("x", p.max("x").named("top")))
_clipped_soft = p.clip(_soft).named("clipped")
_clipped_sigmoid = p.clip(p.sigmoid("x")).named("clipped")

RULES = (
    Rule(
        name="softmax by hand",
        left=p.divide(_exp, p.sum(_exp).named("sums")),
        when=_same_axis,
        right=lambda x, sums: nn.softmax(x, axis=sums.attrs["axis"]),
        reason="exp overflows above 88 (float32) or 709 (float64)",
        example=lambda x: e.exp(x) / reduce.sum(e.exp(x), axis=-1, keepdims=True),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="shifted softmax by hand",
        left=p.divide(_shifted, p.sum(_shifted).named("sums")),
        when=_same_max,
        right=lambda x, sums, top: nn.softmax(x, axis=sums.attrs["axis"]),
        reason="so that a logarithm of it is recognised",
        example=lambda x: (
            e.exp(x - reduce.max(x, axis=-1, keepdims=True))
            / reduce.sum(e.exp(x - reduce.max(x, axis=-1, keepdims=True)), axis=-1, keepdims=True)
        ),
    ),
    Rule(
        name="sigmoid by hand",
        left=p.divide(1, p.add(1, p.exp(p.negative("x")))),
        right=lambda x: nn.sigmoid(x),
        reason="exp(-x) overflows for x < -88 and the derivative becomes inf/inf",
        example=lambda x: 1 / (1 + e.exp(-x)),
        fails=(-1000.0, 0.0),
    ),
    Rule(
        name="renormalised softmax",
        left=p.divide(_soft, p.sum(_soft).named("sums")),
        when=_same_axis,
        right=lambda x, soft, sums: soft,
        reason="a softmax already sums to 1",
        example=lambda x: nn.softmax(x) / reduce.sum(nn.softmax(x), axis=-1, keepdims=True),
    ),
    Rule(
        name="log of softmax",
        left=p.log(_soft),
        right=lambda x, soft: nn.log_softmax(x, axis=soft.attrs["axis"]),
        reason="a probability below 1e-45 rounds to 0, its logarithm to -inf, the gradient to nan",
        example=lambda x: e.log(nn.softmax(x)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="log of clipped softmax",
        left=p.log(_clipped_soft),
        when=_protects,
        right=lambda x, soft, clipped: nn.log_softmax(x, axis=soft.attrs["axis"]),
        reason="where the clip holds, the gradient is 0 and the example is never learnt",
        example=lambda x: e.log(e.clip(nn.softmax(x), 1e-7, 1 - 1e-7)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="log of quotient by clipped softmax",
        left=p.log(p.divide("a", _clipped_soft)),
        when=_protects,
        right=lambda a, x, soft, clipped: e.log(a) - nn.log_softmax(x, axis=soft.attrs["axis"]),
        reason="where the clip holds, the gradient is 0 and a divergence never learns the example",
        example=lambda x: e.log(0.5 / e.clip(nn.softmax(x), 1e-7, 1.0)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="log of sigmoid",
        left=p.log(p.sigmoid("x")),
        right=lambda x: nn.log_sigmoid(x),
        reason="a sigmoid below 1e-45 rounds to 0",
        example=lambda x: e.log(nn.sigmoid(x)),
        fails=(-1000.0, 0.0),
    ),
    Rule(
        name="log of one minus sigmoid",
        left=p.log(p.subtract(1, p.sigmoid("x"))),
        right=lambda x: nn.log_sigmoid(-x),
        reason="1 - sigmoid(x) is 0 for x > 17 (float32)",
        example=lambda x: e.log(1 - nn.sigmoid(x)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="log of clipped sigmoid",
        left=p.log(_clipped_sigmoid),
        when=_protects,
        right=lambda x, clipped: nn.log_sigmoid(x),
        reason="where the clip holds, the gradient is 0",
        example=lambda x: e.log(e.clip(nn.sigmoid(x), 1e-7, 1 - 1e-7)),
        fails=(-1000.0, 0.0),
    ),
    Rule(
        name="log of one minus clipped sigmoid",
        left=p.log(p.subtract(1, _clipped_sigmoid)),
        when=_protects,
        right=lambda x, clipped: nn.log_sigmoid(-x),
        reason="where the clip holds, the gradient is 0",
        example=lambda x: e.log(1 - e.clip(nn.sigmoid(x), 1e-7, 1 - 1e-7)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="softplus by hand",
        left=p.log(p.add(1, _exp)),
        right=lambda x: nn.softplus(x),
        reason="exp overflows",
        example=lambda x: e.log(1 + e.exp(x)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="softplus by log1p",
        left=p.log1p(_exp),
        right=lambda x: nn.softplus(x),
        reason="exp overflows",
        example=lambda x: e.log1p(e.exp(x)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="logsumexp by hand",
        left=p.log(p.sum(_exp).named("sums")),
        right=lambda x, sums: reduce.logsumexp(x, axis=sums.attrs["axis"], keepdims=sums.attrs["keepdims"]),
        reason="exp overflows",
        example=lambda x: e.log(reduce.sum(e.exp(x), axis=-1)),
        fails=(1000.0, 0.0),
    ),
    Rule(
        name="log of one plus",
        left=p.log(p.add(1, "x")),
        right=lambda x: e.log1p(x),
        reason="1 + x drops the digits of a small x",
        example=lambda x: e.log(1 + e.square(x)),
        fails=(1e-9, 1e-9),
    ),
    Rule(
        name="exp minus one",
        left=p.subtract(_exp, 1),
        right=lambda x: e.expm1(x),
        reason="exp(x) - 1 drops the digits of a small x",
        example=lambda x: e.exp(x) - 1,
        fails=(1e-17, 1e-17),
    ),
)
