"""A rewrite rule: a pattern, what takes its place, why, and where the left side fails."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.node import Node, inherit
from ..core.walk import again, rebuild, topological

COMMUTATIVE = frozenset({"add", "multiply", "maximum", "minimum"})
_MOST = 100  # rewrites of one node before a cycle of rules is suspected


@dataclass(frozen=True)
class Pattern:
    """A record's name over patterns; a string stands for any node, the same string for the same node; a number for
    itself.

    `label` makes the matched node itself available to the rule.
    """

    op: str
    parts: tuple[Any, ...]
    label: str = ""

    def named(self, label: str) -> Pattern:
        """The same pattern whose node the rule gets under `label`."""
        return Pattern(self.op, self.parts, label)


class _Patterns:
    """`p.log(p.softmax("x"))` reads like the code it matches."""

    def __getattr__(self, op: str) -> Callable[..., Pattern]:
        return lambda *parts: Pattern(op, parts)


p = _Patterns()


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rewrite. `right` and `when` get the matched nodes by name; `example` is code as a user would write it.

    `fails` is an input for which the example, run as written, overflows, divides 0 by 0 or loses its digits (None: it
    is as
    accurate, only longer).
    """

    name: str
    left: Pattern
    right: Callable[..., Node]
    reason: str
    example: Callable[[Any], Node]
    when: Callable[..., bool] = lambda **nodes: True
    fails: Sequence[float] | None = None

    def apply(self, node: Node) -> Node | None:
        """What takes the place of `node`, or None where the rule does not fit."""
        found: dict[str, Node] = {}
        if not match(self.left, node, found) or not self.when(**found):
            return None
        with inherit(node):
            new = self.right(**found)
        return new if new.shape == node.shape and new.dtype == node.dtype else None


def match(pattern: Any, node: Node, found: dict[str, Node]) -> bool:
    """Whether `node` has the form of `pattern`; fills `found` with the nodes that its names stand for."""
    if isinstance(pattern, str):
        return found.setdefault(pattern, node) is node
    while node.op.name == "mark":  # rules see through the names of values and layers
        node = node.inputs[0]
    if isinstance(pattern, (int, float)):
        return bool(node.op.name == "literal" and node.attrs["value"] == pattern)
    if pattern.op == "any":
        found[pattern.label] = node
        return True
    if node.op.name != pattern.op or len(node.inputs) != len(pattern.parts):
        return False
    orders = [node.inputs, node.inputs[::-1]] if pattern.op in COMMUTATIVE else [node.inputs]
    for inputs in orders:
        trial = dict(found)
        fits = all(match(part, i, trial) for part, i in zip(pattern.parts, inputs, strict=True))
        if fits and (not pattern.label or trial.setdefault(pattern.label, node) is node):
            found.update(trial)
            return True
    return False


def apply(outputs: Sequence[Node], rules: Iterable[Rule]) -> list[Node]:
    """`outputs` rewritten bottom-up until no rule fits."""
    by_op: Mapping[str, list[Rule]] = defaultdict(list)
    for rule in rules:
        by_op[rule.left.op].append(rule)
    final: dict[Node, Node] = {}

    def normal(node: Node) -> Node:
        if node in final:
            return final[node]
        start = node
        for _ in range(_MOST):
            fired = next(
                (
                    new
                    for rule in (*by_op[node.op.name], *by_op["any"])
                    if (new := rule.apply(node)) is not None and new is not node
                ),
                None,
            )
            if fired is None:
                break
            node = rebuild([fired], lambda part, inputs: normal(again(part, inputs)), final)[0]
        final[start] = final[node] = node
        return node

    return rebuild(outputs, lambda node, inputs: normal(again(node, inputs)))


def fired(outputs: Sequence[Node], rules: Sequence[Rule]) -> list[tuple[Rule, Node]]:
    """Which rules fit which nodes of the graph as it stands: what training rewrites, and why."""
    return [
        (rule, node)
        for node in topological(outputs)
        for rule in rules
        if rule.left.op in (node.op.name, "any") and rule.apply(node) not in (None, node)
    ]
