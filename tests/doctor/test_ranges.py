"""The bounds of the interval walk: every value lies in them, whatever the graph; and they are as close as they claim."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import backlit as bl
from backlit.core.node import Leaf, input_leaf
from backlit.core.shapes import M
from backlit.core.walk import topological
from backlit.doctor.linear import Linearity
from backlit.doctor.ranges import bounds_of
from backlit.doctor.reading import loss_graph, reading
from backlit.engines.reference import values
from backlit.rewrite import stable
from backlit.rewrite.rule import apply
from backlit.train.losses import Loss, LossFunctionWrapper
from tests.conformance.graphs import Drawn, graphs

o, nn, inf = bl.ops, bl.nn, np.inf
patient = settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def in_bounds(found, known):
    for node, bounds in found.items():
        if node.several or np.size(known[node]) == 0:
            continue
        value = known[node].astype(np.float64)
        value = value[np.isfinite(value)]
        slack = 1e-6 * max(1.0, np.abs(value).max(initial=0))
        assert (value >= bounds.low - slack).all() and (value <= bounds.high + slack).all(), (node, bounds, value)
        if bounds.total is not None:
            axis, total = bounds.total
            sums = known[node].sum(axis=axis)
            assert np.allclose(sums[np.isfinite(sums)], total, atol=1e-6), node


@patient
@given(drawn=graphs())
def test_every_value_of_any_graph_lies_in_its_bounds(drawn: Drawn) -> None:
    found = bounds_of(drawn.outputs)
    for rows in (1, 4):
        for seed in range(2):
            feed = {leaf: 30 * value * seed - value for leaf, value in drawn.feed(rows, seed).items()}
            in_bounds(found, values(list(found), feed))


@patient
@given(drawn=graphs(most=10))
def test_bounds_of_given_inputs_hold_for_them(drawn: Drawn) -> None:
    outputs = apply(drawn.outputs, stable.RULES)
    known = dict.fromkeys(drawn.inputs, (-2.0, 2.0))
    known |= {leaf: (float(leaf.array.min()), float(leaf.array.max())) for leaf in drawn.variables}
    found = bounds_of(outputs, known)
    in_bounds(found, values(list(found), drawn.feed(3)))


# ---------------------------------------------------------------------- how close they are
X = input_leaf((M, 4), "x", "float32")
W, ONE, B = (bl.variable(np.ones(shape, "float32")) for shape in ((4, 3), (4, 1), (3,)))
Z, Z1 = X @ W + B, X @ ONE
E3 = float(np.e)
CLOSE = {
    "product": (Z, -inf, inf),
    "relu": (nn.relu(Z), 0, inf),
    "relu by where": (o.where(Z > 0, Z, 0.0), 0, inf),
    "relu by where, turned": (o.where(o.less(Z, 0), 0.0, Z), 0, inf),
    "cut from above": (o.where(o.less(2.0, Z), 2.0, Z), -inf, 2),
    "leaky relu": (nn.leaky_relu(Z), -inf, inf),
    "tanh": (nn.tanh(Z), -1, 1),
    "sigmoid": (nn.sigmoid(Z), 0, 1),
    "sigmoid by hand": (1 / (1 + o.exp(-Z)), 0, 1),
    "sigmoid the other way": (o.exp(Z) / (o.exp(Z) + 1), 0, 1),
    "sigmoid by tanh": (0.5 * (nn.tanh(Z) + 1), 0, 1),
    "scaled sigmoid": (3 * nn.sigmoid(Z) - 1, -1, 2),
    "softmax": (nn.softmax(Z), 0, 1),
    "softmax of one": (nn.softmax(Z1), 1, 1),
    "share of one": (nn.relu(Z1) / o.sum(nn.relu(Z1), axis=1, keepdims=True), 1, 1),
    "softmax of a softmax": (nn.softmax(nn.softmax(Z)), 1 / (1 + 2 * E3), E3 / (E3 + 2)),
    "softmax of tanh": (nn.softmax(nn.tanh(Z)), 1 / (1 + 2 * E3**2), 1 / (1 + 2 / E3**2)),
    "by logsumexp": (o.exp(Z - o.logsumexp(Z, axis=-1, keepdims=True)), 0, 1),
    "log of softmax": (nn.log_softmax(nn.sigmoid(Z)), -np.log(1 + 2 * E3), -np.log(1 + 2 / E3)),
    "sum of sigmoids": (o.sum(nn.sigmoid(Z), axis=1), 0, 3),
    "sum of a softmax": (o.sum(nn.softmax(Z), axis=1), 1, 1),
    "clipped": (o.clip(Z, -2, 5), -2, 5),
    "square over one plus itself": (o.square(Z) / (1 + o.square(Z)), 0, 1),
    "square": (Z**2, 0, inf),
    "product with itself": (Z * Z, 0, inf),
    "cube": (nn.tanh(Z) ** 3, -1, 1),
    "fourth power": ((2 * nn.tanh(Z) - 1) ** 4, 0, 81),
    "root of a probability": (nn.sigmoid(Z) ** 0.5, 0, 1),
    "normalised": ((Z - o.mean(Z, axis=0)) * B + bl.variable(np.ones(3, "float32")), -inf, inf),
}


@pytest.mark.parametrize("what", CLOSE)
def test_bounds_are_close(what):
    node, low, high = CLOSE[what]
    (node,) = apply([node], stable.RULES)
    found = bounds_of([node])[node]
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high)) and found.tight


@pytest.mark.parametrize("test", [o.less, o.less_equal, o.greater, o.greater_equal], ids=lambda op: op.name)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("first", [False, True])
def test_what_a_comparison_lets_through(test, turned, first):
    x = input_leaf((M,), "x", "float64")
    condition = test(1.0, x) if turned else test(x, 1.0)
    node = o.where(condition, x, 0.5) if first else o.where(condition, 0.5, x)
    given = np.linspace(-9, 9, 500)
    value = values([node], {x: given})[node]
    found = bounds_of([node], {x: (-9.0, 9.0)})[node]
    assert found.low <= value.min() <= found.low + 0.05 and found.high - 0.05 <= value.max() <= found.high


@pytest.mark.parametrize("node", [Z - Z, Z - o.mean(Z, axis=0), nn.relu(Z) - 0.5 * nn.relu(-Z), o.exp(Z - Z)])
def test_what_depends_on_one_thing_twice_is_not_called_tight(node):
    assert not bounds_of([node])[node].tight


def test_weights_that_are_not_trained_have_the_bounds_of_their_values():
    fixed = bl.variable(np.array([0.5, 2.0], "float32"), trainable=False)
    found = bounds_of([node := fixed * nn.sigmoid(input_leaf((M, 2), dtype="float32"))])[node]
    assert (found.low, found.high) == (0, 2)
    moving = bounds_of([fixed], moving=frozenset([fixed]))[fixed]
    assert (moving.low, moving.high, moving.tight) == (-inf, inf, False)


# ---------------------------------------------------------------------- what is linear
@patient
@given(drawn=graphs(most=12))
def test_what_is_called_linear_is_affine_in_the_data(drawn: Drawn) -> None:
    """f(a) + f(b) = f(a + b) + f(0) for every node that only linear operations lead to."""
    walk = Linearity(drawn.outputs)
    affine = [
        node
        for node in walk.linear
        if all(
            part in walk.linear or part not in walk.data or isinstance(part, Leaf)
            for part in topological([node], lambda part: part.inputs if part in walk.linear else ())
        )
    ]
    a, b = drawn.feed(3, 1), drawn.feed(3, 2)
    feeds = a, b, {leaf: a[leaf] + b[leaf] for leaf in a}, {leaf: 0 * a[leaf] for leaf in a}
    known = [values(affine, feed) for feed in feeds]
    for node in affine:
        if not node.several:
            one, two, both, none = (each[node].astype(np.float64) for each in known)
            scale = max(1.0, *(np.abs(each).max(initial=0) for each in (one, two, both)))
            assert np.allclose(one + two, both + none, atol=1e-6 * scale), node


# ---------------------------------------------------------------------- how losses read an output
@pytest.mark.parametrize("name", Loss.names())
def test_a_loss_is_read_as_what_it_says_it_is(name):
    loss = Loss.named(name)()
    shape = (M, 1) if loss.link == "sigmoid" else (M, 4)
    kinds = {True: "probability", False: "number other rate"}
    assert reading(*loss_graph(loss, shape, "float32")).kind in kinds[loss.probabilities].split()
    if loss.link:
        found = reading(*loss_graph(type(loss)(from_logits=True), shape, "float32"))
        assert (found.kind, found.exclusive) == ("logits", loss.link == "softmax")


OWN = {
    "squares": (lambda y, p: o.mean((y - p) ** 2, axis=-1), "number", False),
    "a sum with the sign turned": (lambda y, p: o.mean(abs(p + (-y)), axis=-1), "number", False),
    "logarithms of both": (lambda y, p: o.mean((o.log1p(p) - o.log1p(y)) ** 2, axis=-1), "number", False),
    "cross-entropy": (lambda y, p: -o.sum(y * o.log(p + 1e-7), axis=-1), "probability", True),
    "of a quotient": (
        lambda y, p: -o.sum(y * o.log(p / o.sum(p, axis=-1, keepdims=True)), axis=-1),
        "probability",
        True,
    ),
    "both sides": (lambda y, p: -o.mean(y * o.log(p) + (1 - y) * o.log(1 - p), axis=-1), "probability", False),
    "margins": (lambda y, p: o.mean(o.log(1 + o.exp(-(2 * y - 1) * p)), axis=-1), "logits", False),
    "a softmax inside": (lambda y, p: -o.sum(y * o.log(nn.softmax(p / 2)), axis=-1), "logits", True),
    "ours called": (lambda y, p: bl.losses.binary_crossentropy(y, p, from_logits=True), "logits", False),
    "counts": (lambda y, p: o.mean(p - y * o.log(p), axis=-1), "rate", False),
    "counts by their logarithm": (lambda y, p: o.mean(o.exp(p) - y * p, axis=-1), "other", False),
    "a product": (lambda y, p: -o.mean(y * p, axis=-1), "other", False),
}


@pytest.mark.parametrize("what", OWN)
def test_a_loss_of_ones_own_is_read_by_its_arithmetic(what):
    function, kind, exclusive = OWN[what]
    found = reading(*loss_graph(LossFunctionWrapper(function), (M, 3), "float32"))
    assert (found.kind, found.exclusive) == (kind, exclusive)
