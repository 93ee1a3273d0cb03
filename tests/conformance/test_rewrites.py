"""Every rewrite rule on its own example: it fires, keeps the value, and where the left side fails the right holds."""

from __future__ import annotations

import decimal
import itertools
import operator
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from backlit.core.grad import grad
from backlit.core.node import Leaf, Node, constant, input_leaf
from backlit.core.scalar import FUNCTIONS
from backlit.core.walk import again, expand, rebuild, topological
from backlit.engines.reference import values
from backlit.rewrite import stable, tidy
from backlit.rewrite.rule import Rule, apply, fired
from tests.conformance.cases import largest, ops, run
from tests.conformance.graphs import Drawn, graphs, near

RULES = [*stable.RULES, *tidy.RULES]
every_rule = pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)


def _sides(rule: Rule, shape: Any, dtype: str = "float64") -> tuple[Leaf, list[Node], list[Node]]:
    """x, and the example as it is written and as the rule alone rewrites it: both as value and gradient."""
    x = input_leaf(shape, "x", dtype)
    written = rule.example(x)
    return x, _with_slope(written, x), _with_slope(apply([written], [rule])[0], x)


def _with_slope(node: Node, x: Leaf) -> list[Node]:
    weights = np.linspace(0.5, 1.5, int(np.prod(node.shape))).reshape(node.shape)
    return [node, grad(ops.sum(node * constant(weights)), x)]


@every_rule
def test_rule_fires_on_its_example_and_keeps_value_and_gradient(rule: Rule) -> None:
    assert rule.reason
    x, written, rewritten = _sides(rule, (2,))
    assert rule in [each for each, _ in fired(written[:1], [rule])]
    assert written[0] is not rewritten[0]
    assert fired(rewritten[:1], [rule]) == []
    for seed in range(5):
        feed = {x: np.random.default_rng(seed).uniform(-3, 3, 2)}
        left, right = (run("reference", side, feed).outputs for side in (written, rewritten))
        for before, after in zip(left, right, strict=True):
            finite = np.isfinite(before)
            assert before.dtype == after.dtype and before.shape == after.shape
            assert np.allclose(after[finite], before[finite], rtol=1e-10, atol=1e-10), feed


def test_rules_have_names_of_their_own() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)


# ---------------------------------------------------------------------- where the left side fails
@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.fails is not None], ids=lambda rule: rule.name)
def test_left_side_fails_where_the_rule_says_and_the_right_side_does_not(rule: Rule) -> None:
    shape = (len(rule.fails),)
    for dtype in ("float32", "float64"):
        x, written, rewritten = _sides(rule, shape, dtype)
        feed = {x: np.asarray(rule.fails, dtype)}
        truth = [_exactly(node, feed) for node in _with_slope(_unclipped(written[0]), x)]
        left, right = (run("reference", side, feed).outputs for side in (written, rewritten))
        assert all(_accurate(got, wanted) for got, wanted in zip(right, truth, strict=True)), (right, truth)
        if dtype == "float32":
            assert not all(_accurate(got, wanted) for got, wanted in zip(left, truth, strict=True)), left


def _accurate(got: Any, wanted: np.ndarray) -> bool:
    tolerance = 1e-6 * np.abs(wanted) + np.finfo(np.float32).tiny
    return bool(np.all(np.isfinite(got)) and np.all(np.abs(got - wanted) <= tolerance))


def _unclipped(node: Node) -> Node:
    """A formula without the clips that stand there to protect the logarithm: what its writer meant."""
    return rebuild([node], lambda node, inputs: inputs[0] if node.op.name == "clip" else again(node, inputs))[0]


def _exactly(node: Node, feed: dict[Leaf, Any]) -> np.ndarray:
    """The value of a formula in 1,000 digits."""
    (root,) = expand([node])
    known: dict[Node, Any] = {leaf: _exact(array) for leaf, array in feed.items()}
    with decimal.localcontext(prec=1000):
        for each in topological([root]):
            if each not in known:
                known[each] = _exact_value(each, [known[i] for i in each.inputs])
    return np.array(known[root], dtype=float)


def _exact_value(node: Node, inputs: list[Any]) -> Any:
    if isinstance(node, Leaf):
        return _exact(node.read())
    if node.op.formula is not None:
        return np.asarray(node.op.formula.run(_EXACT, inputs, node.attrs), object)
    attrs = {key: object if key == "dtype" else value for key, value in node.attrs.items()}
    return _exact(node.op.ref(*inputs, **attrs))


def _decimal(value: Any) -> Decimal:
    return value if isinstance(value, Decimal) else Decimal(float(value))


def _exact(array: Any) -> Any:
    return np.asarray(np.frompyfunc(_decimal, 1, 1)(array), object)


def _exact_function(name: str, function: Any) -> Any:
    return np.frompyfunc(lambda *values: function(*map(_decimal, values)), FUNCTIONS[name], 1)


_EXACT = {
    name: _exact_function(name, function)
    for name, function in {
        "add": operator.add,
        "subtract": operator.sub,
        "multiply": operator.mul,
        "divide": operator.truediv,
        "power": operator.pow,
        "minimum": min,
        "maximum": max,
        "negative": operator.neg,
        "absolute": abs,
        "exp": Decimal.exp,
        "expm1": lambda x: x.exp() - 1,
        "log": Decimal.ln,
        "log1p": lambda x: (x + 1).ln(),
        "sqrt": Decimal.sqrt,
        "greater": operator.gt,
        "greater_equal": operator.ge,
        "less": operator.lt,
        "less_equal": operator.le,
        "equal": operator.eq,
        "where": lambda condition, x, y: x if condition else y,
    }.items()
}


# ---------------------------------------------------------------------- what only looks like the left side
@every_rule
@pytest.mark.parametrize("shape", [(2,), (2, 2), (2, 3), (2, 2, 2)])
def test_rule_keeps_the_value_of_what_is_nearly_its_example(rule: Rule, shape: Any) -> None:
    x, y = input_leaf(shape, "x"), input_leaf(shape, "y")
    rng = np.random.default_rng(0)
    feed = {leaf: rng.uniform(0.1, 2, shape) for leaf in (x, y)}
    try:
        nodes = [*_variants(rule.example(x), y)]
    except ValueError:
        return  # an example for another shape
    for node in nodes:
        (after,) = apply([node], [rule])
        got, wanted = values([after], feed)[after], values([node], feed)[node]
        finite = np.isfinite(wanted)
        assert np.allclose(got[finite], wanted[finite], rtol=1e-10, atol=1e-10), f"{node} is not {after}"


def _variants(root: Node, other: Leaf) -> Iterator[Node]:
    """The formula with one thing changed in one place: an attribute, a number, or the input."""
    yield from _changed(root, other)
    for place, child in enumerate(root.inputs):
        for new in _variants(child, other):
            try:
                given = (*root.inputs[:place], new, *root.inputs[place + 1 :])
                yield root.op.node(*([given] if root.op.variadic else given), **root.attrs)
            except ValueError:  # the rest does not fit any more
                continue


def _changed(node: Node, other: Leaf) -> Iterator[Node]:
    if isinstance(node, Leaf):
        yield other
    for key, value in node.attrs.items():
        for new in _alternatives(key, value):
            try:
                yield node.op.node(*node.inputs, **{**node.attrs, key: new})
            except ValueError:
                continue


def _alternatives(key: str, value: Any) -> Sequence[Any]:
    if isinstance(value, bool):
        return [not value]
    if key == "axis":
        return [0, -1, (0, 1)]
    if key == "axes":
        return list(itertools.permutations(value))
    return [value + 0.25, value - 1] if isinstance(value, float) else []


# ---------------------------------------------------------------------- whole graphs
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(drawn=graphs())
def test_all_rules_together_keep_the_values_of_random_graphs(drawn: Drawn) -> None:
    written = [*drawn.outputs, drawn.cost, *grad(drawn.cost, drawn.leaves)]
    rewritten = apply(apply(written, stable.RULES), tidy.RULES)
    feed = drawn.feed(3)
    before, after = values(written, feed), values(rewritten, feed)
    scale = largest(before.values())
    for left, right in zip(written, rewritten, strict=True):
        finite = np.isfinite(before[left])
        assert left.shape == right.shape and left.dtype == right.dtype
        assert near(after[right][finite], before[left][finite], 1e-9 * scale), f"{left} is not {right}"


def test_rules_end_on_a_chain_of_10000_nodes() -> None:
    x = input_leaf((2,), "x")
    end, steps = x, 0
    while len(topological([end])) < 10_000:
        for _ in range(50):
            for rule in RULES:
                new = rule.example(ops.tanh(end))
                end = new if new.shape == end.shape else end
                steps += 1
    (after,) = apply(apply([end], stable.RULES), tidy.RULES)
    assert len(topological([after])) < 10_000
    feed = {x: np.array([0.3, -0.2])}
    assert np.allclose(values([after], feed)[after], values([end], feed)[end], rtol=1e-9)
