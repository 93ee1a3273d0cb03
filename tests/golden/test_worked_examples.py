"""The course's worked examples with their exact numbers, and the misprints of its documents, which must not come out.

W… and E… are the row numbers of the project's list of worked examples and errata.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.core.walk import substitute, topological

ops, nn = bl.ops, bl.nn


def near(value, rel=1e-12):
    return pytest.approx(value, rel=rel, abs=0)


@contextmanager
def at(leaf, value) -> Iterator[None]:
    """`leaf` with another value for a while."""
    before = leaf.value
    leaf.assign(value)
    yield
    leaf.assign(before)


def nudged(J, node, value):
    """J where `node`, a leaf or an inner node, has another value."""
    return substitute([J], {node: bl.variable(value)})[0].value


def slopes(J, *nodes):
    return [float(g.value) for g in bl.grad(J, nodes)]


# ---------------------------------------------------------------------- graphs by hand
def test_w001_graph_three_times_a_plus_bc():
    a, b, c = bl.variable(5.0, "a"), bl.variable(3.0, "b"), bl.variable(2.0, "c")
    u = bl.name(b * c, "u")
    v = bl.name(a + u, "v")
    J = bl.name(3 * v, "J")

    assert (u.value, v.value, J.value) == (6.0, 11.0, 33.0)
    assert slopes(J, v, a, u, b, c) == [3.0, 3.0, 3.0, 6.0, 9.0]
    assert slopes(v, a, u) == [1.0, 1.0]
    assert slopes(u, b, c) == [2.0, 3.0]

    assert nudged(J, v, 11.001) == near(33.003)
    assert nudged(J, u, 6.001) == near(33.003)
    with at(a, 5.001):
        assert (v.value, J.value) == (near(11.001), near(33.003))
    with at(b, 3.001):
        assert (u.value, J.value) == (near(6.002), near(33.006))
    with at(c, 2.001):
        assert J.value == near(33.009)
    assert J.value == 33.0
    # E057: dJ/da is not dJ/du · du/da, for a does not enter u
    assert bl.grad(u, a).name == "no path" and bl.grad(u, a).value == 0.0


def squared_error(w, x, b, y):
    w, x = bl.variable(w, "w"), bl.constant(x, "x")
    b, y = bl.variable(b, "b"), bl.constant(y, "y")
    c = bl.name(w * x, "c")
    a = bl.name(c + b, "a")
    d = bl.name(a - y, "d")
    return w, b, c, a, d, bl.name(d**2 / 2, "J")


def test_w002_half_squared_error():
    w, b, c, a, d, J = squared_error(2.0, -2.0, 8.0, 2.0)

    assert [node.value for node in (c, a, d, J)] == [-4.0, 4.0, 2.0, 2.0]
    assert slopes(J, d, a, c, b, w) == [2.0, 2.0, 2.0, 2.0, -4.0]
    assert slopes(d, a) + slopes(a, c) + slopes(c, w) == [1.0, 1.0, -2.0]

    with at(w, 2.001):
        assert [node.value for node in (c, a, d, J)] == [near(-4.002), near(3.998), near(1.998), near(1.996002)]
        assert J.value - 2 == near(-0.003998, rel=1e-10)  # E005: not 0.000002
        assert c.value != near(4.002, rel=1e-3)  # E003: 2 × 2.001, the sign lost
        assert c.value < -4.0  # E004: c falls
    assert nudged(J, b, 8.001) == near(2.0020005)
    assert nudged(J, d, 2.001) == near(2.0020005)
    assert nudged(J, d, 2.01) == near(2.02005)  # E006: 2.01 does not belong to ε = 0.001
    assert nudged(J, c, -3.999) == near(2.0020005)


def test_w002_one_step_of_gradient_descent():
    w, b, *_, J = squared_error(2.0, -2.0, 8.0, 2.0)
    dw, db = bl.grad(J, [w, b])
    step = bl.compile(J, updates={w: w - 0.1 * dw, b: b - 0.1 * db})

    assert step() == 2.0
    assert (w.value, b.value) == (2.4, 7.8)
    assert J.value == near(0.5)


def test_e008_the_misprinted_closed_form_agrees_only_at_one_point():
    w, *_, J = squared_error(2.0, -2.0, 8.0, 2.0)
    misprinted = w * -2 / 2 + 8 - 2**2
    assert misprinted.value == J.value == 2.0
    with at(w, 2.001):
        assert misprinted.value == near(1.999)
        assert J.value == near(1.996002)


def test_e007_and_e009_d_is_a_minus_y_and_the_chain_goes_over_a():
    _, _, c, a, d, J = squared_error(2.0, -2.0, 8.0, 2.0)
    assert str(d).splitlines()[-2:] == ["d = a - y", "d"]
    assert slopes(a, c)[0] * slopes(J, a)[0] == slopes(J, c)[0] == 2.0


def test_w003_network_of_one_unit_a_layer():
    x, y = bl.constant(1.0, "x"), bl.constant(5.0, "y")
    w1, b1, w2, b2 = (bl.variable(v, n) for v, n in [(2.0, "w1"), (0.0, "b1"), (3.0, "w2"), (1.0, "b2")])
    t1 = bl.name(w1 * x, "t1")
    z1 = bl.name(t1 + b1, "z1")
    a1 = bl.name(nn.relu(z1), "a1")
    t2 = bl.name(w2 * a1, "t2")
    z2 = bl.name(t2 + b2, "z2")
    a2 = bl.name(nn.relu(z2), "a2")
    J = (a2 - y) ** 2 / 2

    assert [node.value for node in (t1, z1, a1, t2, z2, a2, J)] == [2.0, 2.0, 2.0, 6.0, 7.0, 7.0, 2.0]
    assert slopes(J, a2, z2, b2, t2, w2) == [2.0, 2.0, 2.0, 2.0, 4.0]
    assert slopes(J, a1, z1, b1, t1, w1) == [6.0, 6.0, 6.0, 6.0, 6.0]
    for leaf, value, cost in [(w1, 2.001, 2.0060045), (b1, 0.001, 2.0060045), (w2, 3.001, 2.004002)]:
        assert nudged(J, leaf, value) == near(cost)
    assert nudged(J, b2, 1.001) == near(2.0020005)


def test_w004_square():
    w = bl.variable(3.0, "w")
    J = w**2
    f = bl.compile(J, inputs=[w])
    slope = bl.grad(J, w)

    assert (J.value, slope.value) == (9.0, 6.0)
    assert (f(3.001), f(3.002)) == (near(9.006001), near(9.012004))  # E170: these two are right as printed
    assert (f(3.001) - 9) / 0.001 == near(6.001, rel=1e-9)
    assert f(3 + 1e-6) == near(9.000006000001)
    assert f(3.01) == near(9.0601)
    assert f(3.01) != near(9.006001, rel=1e-4)  # E001
    for value in (2.0, -3.0):
        with at(w, value):
            assert slope.value == 2 * value


@pytest.mark.parametrize(
    ("J", "w", "slope"),
    [
        (lambda w: w**2, 2.0, 4.0),
        (lambda w: w**2, 3.0, 6.0),
        (lambda w: w**2, -3.0, -6.0),
        (lambda w: 2 * w, 5.0, 2.0),
        (lambda w: w**3, 2.0, 12.0),
        (lambda w: 1 / w, 2.0, -0.25),
        (lambda w: 1 / w**2, 4.0, -1 / 32),
    ],
)
def test_w005_derivatives_of_the_lab(J, w, slope):
    leaf = bl.variable(w, "w")
    assert bl.grad(J(leaf), leaf).value == slope


def test_w005_small_changes():
    w = bl.variable(2.001, "w")
    assert ((w**3).value - 8) / 0.001 == near(12.006001, rel=1e-9)
    assert ((1 / w).value - 0.5) / 0.001 == near(-0.249875, rel=1e-6)


def test_w006_square_of_two_plus_three_w():
    w = bl.variable(3.0, "w")
    a = bl.name(2 + 3 * w, "a")
    J = a**2
    assert (a.value, J.value) == (11.0, 121.0)
    assert slopes(J, a, w) == [22.0, 66.0]
    assert slopes(a, w) == [3.0]
    assert (nudged(J, w, 3.001) - 121) / 0.001 == near(66.009, rel=1e-9)


def test_w007_the_lab_has_the_same_c_and_a_but_the_opposite_slope():
    w, b, c, a, d, J = squared_error(-2.0, 2.0, 8.0, 1.0)
    assert [node.value for node in (c, a, d, J)] == [-4.0, 4.0, 3.0, 4.5]
    assert slopes(J, d, a, c, b, w) == [3.0, 3.0, 3.0, 3.0, 6.0]
    assert (nudged(J, w, -1.999) - 4.5) / 0.001 == near(6.002, rel=1e-9)


def test_w008_backward_costs_nodes_plus_parameters():
    *_, J = squared_error(2.0, -2.0, 8.0, 2.0)
    marked = [node for node in topological([J]) if node.op.name == "mark"]
    variables = [node for node in topological([J]) if node.op.name == "variable"]
    assert (len(marked), len(variables)) == (4, 2)
    assert 10_000 + 100_000 == 110_000 != 20_000  # E002

    def both(n):
        """Nodes of all derivatives together of a chain with n nodes and n parameters."""
        parameters = [bl.variable(1.0) for _ in range(n)]
        J = bl.variable(0.5)
        for p in parameters:
            J = J * p
        return len(topological(bl.grad(J, parameters)))

    assert both(400) < 2.2 * both(200)  # n + p; with n · p steps it would be four times as many


# ---------------------------------------------------------------------- softmax and logistic
def test_w009_softmax_of_four_classes():
    p = np.array([0.30, 0.20, 0.15, 0.35])
    a = nn.softmax(bl.variable(np.log(p)))
    assert a.value == pytest.approx(p, rel=1e-12)
    assert a.value.sum() == pytest.approx(1, abs=1e-15)
    assert 1 - a.value[:3].sum() == near(0.35)
    assert (-ops.log(a)).value == pytest.approx([1.204, 1.609, 1.897, 1.050], abs=5e-4)


def test_w010_logistic_probabilities():
    z = bl.variable(math.log(0.71 / 0.29))
    a = nn.sigmoid(z)
    assert z.value == pytest.approx(0.895, abs=5e-4)
    assert a.value == near(0.71)
    assert (1 - a).value == near(0.29)
    assert (-ops.log(a)).value == pytest.approx(0.342, abs=5e-4)
    # E010 prints -y log(a1 - 1) - y log a2: the first logarithm has no value
    y = 1.0
    assert np.isnan((-y * ops.log(a - 1) - y * ops.log(1 - a)).value)
    assert (-y * ops.log(a) - (1 - y) * ops.log(1 - a)).value == near(-math.log(0.71))


@pytest.mark.parametrize(("a", "loss"), [(1.0, 0.0), (0.99, 0.01005), (0.5, 0.6931), (0.1, 2.3026), (0.25, 1.3863)])
def test_w011_minus_log_of_the_true_class(a, loss):
    assert (-ops.log(bl.variable(a))).value == pytest.approx(loss, abs=5e-5)


def test_w012_softmax_of_two_is_the_sigmoid_of_the_difference():
    z = bl.variable([0.7, -0.4])
    a = nn.softmax(z)
    assert a.value == pytest.approx([0.75026, 0.24974], abs=5e-6)
    assert a.value == pytest.approx([nn.sigmoid(z[0] - z[1]).value, nn.sigmoid(z[1] - z[0]).value], rel=1e-14)
    swapped = (1 / (ops.exp(z[0] - z[1]) + 1)).value  # E050: printed for a1, it is a2
    assert swapped == near(a.value[1]) and swapped != near(a.value[0])


def test_w013_round_off():
    def x1_x2(one):
        part = one / 10000
        return (2 * part).value, ((one + part) - (one - part)).value, ((one + part) + (one - part)).value

    x1, x2, added = x1_x2(bl.variable(1.0))
    assert (f"{x1:.18f}", f"{x2:.18f}") == ("0.000200000000000000", "0.000199999999999978")
    assert abs(x2 - x1) / x1 == pytest.approx(1.1e-13, rel=0.01)
    assert added == 2.0  # E021: the two are subtracted
    x1, x2, _ = x1_x2(bl.variable(1.0, dtype="float32"))
    assert (f"{x1:.18f}", f"{x2:.18f}") == ("0.000199999994947575", "0.000200033187866211")


# ---------------------------------------------------------------------- arrays
def test_w014_calories():
    A = bl.variable([[56.0, 0.0, 4.4, 68.0], [1.2, 104.0, 52.0, 8.0], [1.8, 135.0, 99.0, 0.9]])
    cal = A.sum(axis=0)
    assert cal.shape == (4,)  # E074: not (1, 4)
    assert cal.value == pytest.approx([59, 239, 155.4, 76.9], rel=1e-14)
    percentage = 100 * A / cal.reshape(1, 4)
    printed = [
        [94.915, 0.000, 2.831, 88.427],
        [2.034, 43.515, 33.462, 10.403],
        [3.051, 56.485, 63.707, 1.170],
    ]
    assert percentage.value == pytest.approx(np.array(printed), abs=5e-4)
    assert percentage.value.sum(axis=0) == pytest.approx(np.full(4, 100.0), rel=1e-14)
    assert (A / cal.reshape(1, 4)).value.max() < 1  # E075: without 100 these are fractions


def test_w015_and_w016_broadcasting():
    A = bl.variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    row = [100.0, 200.0, 300.0]
    assert (A + row).value.tolist() == [[101, 202, 303], [104, 205, 306]]
    column = bl.variable([[1.0], [2.0], [3.0], [4.0]])
    assert (column + 100).value.tolist() == [[101], [102], [103], [104]]
    with pytest.raises(bl.BacklitError):  # E043: lengths must be equal or 1
        bl.variable(np.ones((3, 4))) / bl.variable(np.ones(3))


def test_w018_learning_rates():
    def path(rate, steps):
        w = bl.variable(3.0)
        J = w**2
        step = bl.compile(w, updates={w: w - rate * bl.grad(J, w)})
        return [float(step()) for _ in range(steps)][1:]

    assert path(0.1, 3) == pytest.approx([2.4, 1.92])
    assert path(0.9, 3) == pytest.approx([-2.4, 1.92])
    assert path(1.0, 5) == [-3.0, 3.0, -3.0, 3.0]
    assert path(1.1, 4) == pytest.approx([-3.6, 4.32, -5.184])


# ---------------------------------------------------------------------- Adam
def adam(shape, alpha=0.01, beta1=0.9, beta2=0.999):
    """The parameter and a function of the gradient that makes one step of Adam."""
    w, m, v = (bl.variable(np.zeros(shape), name) for name in ("w", "m", "v"))
    t = bl.variable(0.0, "t")
    g = bl.input(shape, "g")
    now = t + 1
    m_new = beta1 * m + (1 - beta1) * g
    v_new = beta2 * v + (1 - beta2) * g**2
    step = alpha * (m_new / (1 - beta1**now)) / ops.sqrt(v_new / (1 - beta2**now))
    return w, bl.compile(step, inputs=[g], updates={w: w - step, m: m_new, v: v_new, t: now})


def test_w019_adam_has_one_rate_for_each_of_eleven_parameters():
    _, step = adam((11,))
    gradient = np.random.default_rng(0).normal(size=11)
    step(gradient)
    rates = np.abs(step(2 * gradient[::-1].copy()) / gradient)
    assert len(np.unique(rates.round(12))) == 11


@pytest.mark.parametrize("g", [1e-3, 1.0, 250.0])
def test_w019_a_constant_gradient_moves_by_alpha(g):
    w, step = adam(())
    for count in range(1, 101):
        assert step(g) == near(0.01, rel=1e-10)
        assert w.value == near(-0.01 * count, rel=1e-10)


def test_w019_an_alternating_gradient_moves_by_a_nineteenth_of_alpha():
    _, step = adam(())
    for count in range(400):
        moved = abs(step((-1.0) ** count))
    assert moved / 0.01 == pytest.approx(0.1 / 1.9, rel=1e-9)
    assert moved / 0.01 == pytest.approx(0.0526, abs=5e-5)


# ---------------------------------------------------------------------- initial weights
def network(W1, hidden, seed=0):
    """2-2-1 on 40 points of a ring, columns as examples: its parameters and one step of gradient descent."""
    X = np.random.default_rng(seed).uniform(-2, 2, (2, 40))
    Y = (np.sum(X**2, axis=0, keepdims=True) < 2).astype(float)
    names = ["W1", "b1", "W2", "b2"]
    start = [W1, np.zeros((2, 1)), W1[:1], np.zeros((1, 1))]  # E096: W2 is (1, 2), there is one output unit
    W1, b1, W2, b2 = parameters = [bl.variable(v, n) for v, n in zip(start, names, strict=True)]
    A2 = nn.sigmoid(W2 @ hidden(W1 @ X + b1) + b2)
    J = -ops.mean(Y * ops.log(A2) + (1 - Y) * ops.log(1 - A2))
    updates = {p: p - 0.5 * g for p, g in zip(parameters, bl.grad(J, parameters), strict=True)}
    return parameters, bl.compile(J, updates=updates)


@pytest.mark.parametrize("hidden", [nn.tanh, nn.relu])
def test_w027_zero_weights_stay_zero(hidden):
    (W1, b1, W2, b2), step = network(np.zeros((2, 2)), hidden)
    for _ in range(1000):
        step()
    for frozen in (W1, b1, W2):
        assert not frozen.value.any()
    assert abs(b2.value.item()) > 0.1


def test_w027_constant_weights_keep_equal_rows():
    (W1, b1, W2, _), step = network(np.full((2, 2), 0.1), nn.tanh)
    for _ in range(1000):
        step()
    assert (W1.value[0] == W1.value[1]).all() and b1.value[0] == b1.value[1] and W2.value[0, 0] == W2.value[0, 1]
    assert (W1.value != 0.1).all()


def test_e160_zero_weights_under_a_sigmoid_move_in_lock_step():
    (W1, _, W2, _), step = network(np.zeros((2, 2)), nn.sigmoid)
    for _ in range(1000):
        step()
    assert W1.value.any() and W2.value.any()
    assert (W1.value[0] == W1.value[1]).all()


def test_w027_random_weights_separate():
    (W1, *_), step = network(0.01 * np.random.default_rng(1).normal(size=(2, 2)), nn.tanh)
    costs = [step() for _ in range(1000)]
    assert abs(W1.value[0] - W1.value[1]).max() > 0.5
    assert costs[-1] < costs[0] - 0.05


@pytest.mark.parametrize(
    ("scale", "sigmoid_slope", "tanh_slope"),
    [(0.01, 0.249, 0.990), (0.1, 0.207, 0.607), (1, 0.039, 0.079), (100, 0.0003, 0.0007)],
)
def test_w028_large_weights_saturate(scale, sigmoid_slope, tanh_slope):
    rng = np.random.default_rng(28)
    z = bl.variable(rng.normal(size=(500, 100)) @ (scale * rng.normal(size=(100, 500))))
    for function, expected in ((nn.sigmoid, sigmoid_slope), (nn.tanh, tanh_slope)):
        mean = bl.grad(ops.mean(function(z)), z).value.sum()
        assert mean == pytest.approx(expected, rel=0.05, abs=2e-4)
        assert mean > 0


# ---------------------------------------------------------------------- sigmoid, thresholds, losses
def test_w029_sigmoid_at_its_middle_and_its_ends():
    def slope(f, z):
        leaf = bl.variable(z)
        return bl.grad(f(leaf), leaf).value

    assert nn.sigmoid(bl.variable(0.0)).value == 0.5
    assert slope(nn.sigmoid, 0.0) == 0.25
    assert max(slope(nn.sigmoid, z) for z in np.linspace(-3, 3, 61)) == 0.25
    assert slope(nn.sigmoid, 10.0) == pytest.approx(4.5e-5, rel=0.02)
    assert slope(nn.tanh, 10.0) == pytest.approx(8.2e-9, rel=0.01)
    # E059: the values lie strictly inside (0, 1), as far as float64 can show it
    assert 0 < nn.sigmoid(bl.variable(-700.0)).value < nn.sigmoid(bl.variable(36.0)).value < 1
    # E085: tanh is no tangent
    assert nn.tanh(bl.variable(2.0)).value == pytest.approx(0.964, abs=5e-4)
    assert ops.tan(bl.variable(2.0)).value == pytest.approx(-2.185, abs=5e-4)


@given(st.floats(-30, 30).filter(lambda z: abs(z) > 1e-9))
def test_w030_more_than_one_half_means_z_above_zero(z):
    assert (nn.sigmoid(bl.variable(z)) > 0.5).value == (z > 0)


def test_w030_one_half_of_z_is_not_one_half_of_y():
    assert nn.sigmoid(bl.variable(0.5)).value == pytest.approx(0.6225, abs=5e-5)  # E035


def test_w031_multi_label_loss():
    y, a = np.array([1.0, 0.0, 1.0]), bl.variable([0.9, 0.2, 0.6])
    losses = -y * ops.log(a) - (1 - y) * ops.log(1 - a)
    assert losses.value == pytest.approx([0.1054, 0.2231, 0.5108], abs=5e-5)
    assert ops.mean(losses).value == pytest.approx(0.2798, abs=5e-5)
    assert ops.sum(bl.variable([0.1, 0.2, 0.7])).value == pytest.approx(1, abs=1e-15)
    # E052: (0, 1, 0) is the decision, not the output
    assert (bl.variable([0.3, 0.8, 0.1]) > 0.5).value.tolist() == [False, True, False]


def logistic_cost():
    X = np.array([[1.0, -0.5], [2.0, 0.3]])  # two features, two examples in columns
    Y = np.array([[1.0, 0.0]])
    w, b = bl.variable([[0.2], [-0.4]], "w"), bl.variable(0.1, "b")
    z = w.T @ X + b
    a = nn.sigmoid(z)
    return X, Y, w, b, z, a, ops.mean(-Y * ops.log(a) - (1 - Y) * ops.log(1 - a))


def test_w032_logistic_gradient():
    X, Y, w, b, z, a, J = logistic_cost()
    dz = (a.value - Y) / 2
    assert bl.grad(J, z).value == pytest.approx(dz, rel=1e-12)
    assert bl.grad(J, a).value == pytest.approx((-Y / a.value + (1 - Y) / (1 - a.value)) / 2, rel=1e-12)
    assert bl.grad(J, w).value == pytest.approx(X @ dz.T, rel=1e-12)
    assert bl.grad(J, b).value == pytest.approx(dz.sum(), rel=1e-12)
    assert bl.check_grad(J, tolerance=1e-9).ok


def test_e056_and_e063_the_sign_and_the_bracket_of_the_logistic_loss():
    y, a = 0.0, bl.variable(0.9)
    assert (-y * ops.log(a) - (1 - y) * ops.log(1 - a)).value == pytest.approx(2.303, abs=5e-4)
    assert (-y * ops.log(a) + (1 - y) * ops.log(1 - a)).value == pytest.approx(-2.303, abs=5e-4)
    _, Y, *_, A, J = logistic_cost()
    without_bracket = -ops.mean(Y * ops.log(A)) + ops.sum((1 - Y) * ops.log(1 - A))
    assert J.value > 0 > without_bracket.value


def test_w033_likelihood_and_why_logarithms():
    for y in (0.0, 1.0):
        p = bl.variable(0.3)
        assert (p**y * (1 - p) ** (1 - y)).value == near(0.3 if y else 0.7)  # E077: the exponent is 1 - y
    p = bl.variable(np.full(2000, 0.3))
    assert ops.prod(p).value == 0.0  # E040: products underflow
    assert ops.sum(ops.log(p)).value == pytest.approx(-2407.95, abs=5e-3)


def test_w034_three_straight_pieces_from_two_bends():
    x = bl.variable(np.linspace(0, 3, 301))
    w1, b1, w2, b2 = (bl.variable(v) for v in (1.0, -1.0, 2.0, -4.0))
    y = nn.relu(-2 * x + 2) + nn.relu(w1 * x + b1) + nn.relu(w2 * x + b2)
    target = np.select([x.value <= 1, x.value <= 2], [2 - 2 * x.value, x.value - 1], 3 * x.value - 5)
    assert abs(y.value - target).max() < 1e-14
    assert y.value[::100].tolist() == [2, 0, 1, 4]
    slope = bl.grad(ops.sum(y), x).value
    assert sorted(set(np.delete(slope, [100, 200]))) == [-2.0, 1.0, 3.0]  # E030: three pieces, two bends


def test_e087_relu_and_leaky_relu_at_zero():
    z = bl.variable(0.0)
    assert bl.grad(nn.relu(z), z).value == 0.0
    assert bl.grad(nn.leaky_relu(z, negative_slope=0.01), z).value == near(0.01)


def test_w037_softmax_of_the_sliders():
    z = bl.variable([1.0, 2.0, 3.0, 4.0])
    assert nn.softmax(z).value == pytest.approx([0.0321, 0.0871, 0.2369, 0.6439], abs=5e-5)
    assert nn.softmax(z + 7).value.tolist() == nn.softmax(z).value.tolist()


# ---------------------------------------------------------------------- vectorisation
def test_w038_the_matrix_product_is_meant():
    X, dZ = bl.variable(np.arange(15.0).reshape(3, 5)), bl.variable(np.arange(5.0).reshape(1, 5))
    dw = X @ dZ.T
    assert dw.shape == (3, 1)
    assert dw.value.tolist() == (X.value @ dZ.value.T).tolist()
    assert (X * dZ).shape == (3, 5)  # E072: what NumPy silently makes of X*dZ
    with pytest.raises(bl.BacklitError) as caught:
        X * dZ.T
    assert isinstance(caught.value, ValueError) and "(3, 5)" in str(caught.value) and "(5, 1)" in str(caught.value)


def test_w038_with_the_batch_axis_no_accident_of_sizes_lets_it_pass():
    X, dZ = bl.input((3, bl.M), "X"), bl.input((1, bl.M), "dZ")
    assert (X @ dZ.T).shape == (3, 1)
    for wrong in (lambda: X * dZ.T, lambda: dZ * dZ.T):
        with pytest.raises(bl.BacklitError):
            wrong()


@pytest.mark.parametrize(("w", "curvature"), [(-4.0, -0.0164), (0.0, 0.0625), (4.0, 0.0006)])
def test_w039_squared_error_is_not_convex(w, curvature):
    w = bl.variable(w)
    J = (nn.sigmoid(w) - 1) ** 2 / 2
    assert bl.grad(bl.grad(J, w), w).value == pytest.approx(curvature, abs=5e-5)


@pytest.mark.parametrize(("w", "curvature"), [(-4.0, 0.0177), (0.0, 0.25), (4.0, 0.0177)])
def test_w039_cross_entropy_is(w, curvature):
    w = bl.variable(w)
    J = -ops.log(nn.sigmoid(w))
    assert bl.grad(bl.grad(J, w), w).value == pytest.approx(curvature, abs=5e-5)


def test_w039_and_it_does_not_go_flat_where_it_is_wrong():
    w = bl.variable(-6.0)
    assert bl.grad((nn.sigmoid(w) - 1) ** 2 / 2, w).value == pytest.approx(-0.0025, abs=5e-5)
    assert bl.grad(-ops.log(nn.sigmoid(w)), w).value == pytest.approx(-0.9975, abs=5e-5)


# ---------------------------------------------------------------------- other misprints
def test_e019_the_mean_squared_error_has_no_half():
    y, f = np.array([1.0, 1.0]), bl.variable([2.0, 5.0])
    assert ops.mean((f - y) ** 2).value == 8.5
    assert ops.mean((f - y) ** 2 / 2).value == 4.25


def test_e044_rows_of_the_weights_are_the_units():
    W, x = bl.variable(np.ones((4, 3))), np.ones(3)
    assert (W @ x).shape == (4,)
    with pytest.raises(bl.BacklitError):
        W.T @ x


def test_e095_a_shape_is_no_decimal_number():
    with pytest.raises(TypeError) as caught:
        ops.zeros(shape=2.1)
    assert isinstance(caught.value, bl.BacklitError)
    assert ops.zeros(shape=(2, 1)).shape == (2, 1)
