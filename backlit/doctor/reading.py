"""What a loss takes an output for: logits, probabilities, rates, or numbers to be compared with the target.

Read off the loss's own graph, so that a loss of the user's own is judged as one of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..core.node import Leaf, Node, input_leaf
from ..core.walk import topological
from ..rewrite import stable
from ..rewrite.rule import apply

_SOFT = frozenset(["softmax", "log_softmax", "logsumexp"])
_LOGISTIC = frozenset(["sigmoid", "log_sigmoid", "softplus"])
_AFFINE = frozenset(
    ["mark", "cast", "linear", "negative", "reshape", "transpose", "expand_dims", "squeeze", "broadcast_to"]
)
_Y, _P = 1, 2


@dataclass(frozen=True)
class Reading:
    """`kind`: "logits", "probability", "rate" (its logarithm is taken, without an upper bound), "number" (the
    difference to the target counts) or "other". `exclusive`: the outputs of an example share one probability 1.
    `normalised`: the loss itself brings their sum to 1."""

    kind: str
    exclusive: bool = False
    normalised: bool = False


def loss_graph(loss: Any, output: Any, dtype: str) -> tuple[Node, Leaf, Leaf]:
    """(cost, y, p): what `loss` computes of targets y and an output p of that shape, as training computes it."""
    y = input_leaf(loss.target_shape(output), "y", "int64" if loss.labels else dtype)
    p = input_leaf(output, "p", dtype)
    (cost,) = apply([loss.cost(y, p, None)], stable.RULES)
    return cost, y, p


def reading(cost: Node, y: Leaf, p: Leaf) -> Reading:
    """How the loss with this graph reads the output p."""
    order = topological([cost])
    on: dict[Node, int] = {y: _Y, p: _P}
    for node in order:
        if node not in on:
            on[node] = _joined(on[i] for i in node.inputs)
    if found := [node for node in order if node.op.name in _SOFT | _LOGISTIC and _affine(node.inputs[0], on)]:
        return Reading("logits", any(node.op.name in _SOFT for node in found))
    logs = [node for node in order if node.op.name == "log" and on[node] & _P]
    under = set(topological(logs))
    if logs and (_only_under(cost, set(logs), on) or any(_held(node, on) for node in under)):
        return Reading("probability", not any(_turned(n, on) for n in under), any(_normalised(n, on) for n in under))
    if any(_difference(node, on) for node in order):
        return Reading("number")
    return Reading("rate" if logs else "other")


def _joined(parts: Iterable[int]) -> int:
    joined = 0
    for part in parts:
        joined |= part
    return joined


def _affine(node: Node, on: Mapping[Node, int]) -> bool:
    """Whether the node is the output, at most shifted by constants and scaled (also by something of the target)."""
    while node.inputs:
        kept = [part for part in node.inputs if on[part] & _P]
        rest = [part for part in node.inputs if not on[part] & _P]
        shifted = node.op.name in ("add", "subtract") and not any(on[part] for part in rest)
        scaled = node.op.name == "multiply" or (node.op.name == "divide" and kept[:1] == [node.inputs[0]])
        if len(kept) != 1 or not (node.op.name in _AFFINE or shifted or scaled):
            return False
        node = kept[0]
    return on[node] == _P


def _held(node: Node, on: Mapping[Node, int]) -> bool:
    """Whether the output is held below 1 here, or brought to sum 1, or taken from 1."""
    if on[node] != _P:
        return False
    if node.op.name == "clip":
        return 0.99 <= float(node.attrs["high"]) <= 1.001
    return _normalised(node, on) or _turned(node, on)


def _normalised(node: Node, on: Mapping[Node, int]) -> bool:
    """Whether the output is divided by a sum over it."""
    if node.op.name != "divide" or on[node] != _P or on[node.inputs[1]] != _P:
        return False
    return any(part.op.name == "sum" for part in topological([node.inputs[1]]))


def _turned(node: Node, on: Mapping[Node, int]) -> bool:
    """Whether it is something minus the output."""
    return node.op.name == "subtract" and on[node] == _P and not on[node.inputs[0]]


def _only_under(cost: Node, logs: set[Node], on: Mapping[Node, int]) -> bool:
    """Whether every way from the output to the cost leads through one of the logarithms."""
    above = topological([cost], lambda node: () if node in logs else node.inputs)
    return not any(node in above for node, what in on.items() if what == _P and not node.inputs)


def _difference(node: Node, on: Mapping[Node, int]) -> bool:
    """Whether something of the output alone is compared with something of the target alone."""
    return node.op.name in ("add", "subtract") and sorted(on[part] for part in node.inputs) == [_Y, _P]
