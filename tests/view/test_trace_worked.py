"""The worked examples about weights, windows, activations and losses, as a trace and its nudges show them."""

import numpy as np
import pytest

import backlit as bl
from backlit import nn, ops
from backlit.layers import Conv1D, Dense, Flatten, LocallyConnected1D
from backlit.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy
from tests.view.networks import chain


def test_w019_each_of_eleven_parameters_has_its_own_derivative_and_so_its_own_rate():
    model = chain(Dense(1), shape=(10,))
    model.compile(bl.optimizers.Adam(0.01), "mse")
    x = np.arange(1.0, 11.0)[None] / 10
    t = model.trace(x, [[3.0]])
    assert t.counts.scalars.parameters == 11
    slopes = np.concatenate([t["W1"].derivative[:, 0], t["b1"].derivative])
    assert len(np.unique(slopes.round(9))) == 10  # that of x10 = 1 is the bias's
    before = [w.copy() for w in model.get_weights()]
    model.train_on_batch(x, [[3.0]])
    moved = np.concatenate([(b - a).ravel() for b, a in zip(before, model.get_weights(), strict=True)])
    assert moved == pytest.approx(0.01 * np.sign(slopes), rel=1e-4)  # the first step of each is the rate


def windows(unit, t, name, entering):
    """The first and the last place, from 1 on, that a nudge moves this unit from."""
    moved = []
    for place in range(np.shape(t[entering].value)[1]):
        after = t.nudge(entering, 1.0, (0, place, 0)).moved.get(name)
        if after is not None and not np.isclose(after[0][0, unit, 0], after[1][0, unit, 0]):
            moved.append(place + 1)
    return moved[0], moved[-1]


@pytest.mark.parametrize("layer", [Conv1D, LocallyConnected1D])
def test_w026_a_nudge_reaches_the_units_whose_window_it_is_in(layer):
    model = chain(
        layer(1, 20, strides=10, kernel_initializer="ones"), layer(1, 5, strides=2, kernel_initializer="ones"),
        Flatten(), Dense(1, "sigmoid", kernel_initializer="ones"), loss="binary_crossentropy", shape=(100, 1),
    )  # fmt: skip
    t = model.trace(0.001 * np.ones((1, 100, 1)), [[1.0]])
    assert [np.shape(t[name].value) for name in ("Z1", "Z2", "Z3")] == [(1, 9, 1), (1, 3, 1), (1, 1)]
    assert [windows(unit, t, "Z1", "X") for unit in range(9)] == [(1 + 10 * k, 20 + 10 * k) for k in range(9)]
    assert [windows(unit, t, "Z2", "Z1") for unit in range(3)] == [(1, 5), (3, 7), (5, 9)]
    assert t.counts.scalars.parameters == (31 if layer is Conv1D else 211)


RING = np.random.default_rng(0).uniform(-2, 2, (40, 2))
INSIDE = (np.sum(RING**2, axis=1, keepdims=True) < 2).astype(float)


def ring(kernel, hidden="tanh"):
    """2-2-1 with this first kernel; the second one is its first column."""
    model = chain(Dense(2, hidden), Dense(1, "sigmoid"), loss="binary_crossentropy", shape=(2,))
    kernel = np.asarray(kernel, float)
    model.set_weights([kernel, np.zeros(2), kernel[:, :1], np.zeros(1)])
    return model


@pytest.mark.parametrize("hidden", ["tanh", "relu"])
def test_w027_with_zero_weights_only_the_last_bias_has_a_derivative(hidden):
    t = ring(np.zeros((2, 2)), hidden).trace(RING, INSIDE)
    for name in ("W1", "b1", "W2"):
        assert not t[name].derivative.any() and t.why(name).verdict == "zero"
    assert t["b2"].derivative[0] == pytest.approx(0.5 - INSIDE.mean())
    assert (t["A1"].value[:, 0] == t["A1"].value[:, 1]).all() and (
        t["Z1"].derivative[:, 0] == t["Z1"].derivative[:, 1]
    ).all()


def test_w027_equal_units_have_equal_derivatives_and_random_ones_have_not():
    t = ring(np.full((2, 2), 0.1)).trace(RING, INSIDE)
    assert (t["W1"].derivative[:, 0] == t["W1"].derivative[:, 1]).all() and t["W1"].derivative.any()
    t = ring(0.01 * np.random.default_rng(1).normal(size=(2, 2))).trace(RING, INSIDE)
    assert (t["W1"].derivative[:, 0] != t["W1"].derivative[:, 1]).all()


@pytest.mark.parametrize(
    ("scale", "sigmoid", "tanh"), [(0.01, 0.249, 0.990), (0.1, 0.207, 0.607), (1, 0.039, 0.079), (100, 0.0003, 0.0007)]
)
def test_w028_large_weights_leave_no_slope(scale, sigmoid, tanh):
    rng = np.random.default_rng(28)
    z = bl.variable(rng.normal(size=(500, 100)) @ (scale * rng.normal(size=(100, 500))), "z")
    for function, expected in ((nn.sigmoid, sigmoid), (nn.tanh, tanh)):
        t = bl.trace(bl.name(ops.mean(bl.name(function(z), "a")), "J"))
        assert t["z"].derivative.sum() == pytest.approx(
            expected, rel=0.05, abs=2e-4
        )  # the mean slope, and all of them positive
        assert (t["z"].derivative >= 0).all()
        assert t.nudge("z", 1e-5, (3, 4)).ratio == pytest.approx(t["z"].derivative[3, 4], rel=1e-3, abs=1e-9)


@pytest.mark.parametrize(
    ("x", "y", "slope"), [(0.0, 2.0, -2), (0.5, 1.0, -2), (1.5, 0.5, 1), (2.0, 1.0, None), (2.5, 2.5, 3), (3.0, 4.0, 3)]
)
def test_w034_three_straight_pieces(x, y, slope):
    x = bl.variable(x, "x")
    w1, b1, w2, b2 = (bl.variable(v, n) for v, n in zip((1.0, -1.0, 2.0, -4.0), ("w1", "b1", "w2", "b2"), strict=True))
    a0 = bl.name(nn.relu(bl.name(-2 * x + 2, "z0")), "a0")
    a1, a2 = (bl.name(nn.relu(bl.name(w * x + b, f"z{k}")), f"a{k}") for k, (w, b) in ((1, (w1, b1)), (2, (w2, b2))))
    t = bl.trace(bl.name(a0 + a1 + a2, "y"))
    assert t["y"].value == pytest.approx(y, abs=1e-15)
    if slope is not None:
        assert t["x"].derivative == slope
        assert t.nudge("x", 0.001).ratio == pytest.approx(slope if x.value else -2, abs=1e-9)


def test_w035_two_units_tell_four_classes_apart():
    """Unit 0 separates {0, 1} from {2, 3}, unit 1 {0, 2} from {1, 3}: each class has its own corner of (a0, a1)."""
    model = chain(
        Dense(2, "relu", name="L1"), Dense(4), loss=SparseCategoricalCrossentropy(from_logits=True), shape=(2,)
    )
    corners = np.array([[0, 0], [0, 4], [4, 0], [4, 4]], float)
    last = np.array([[-2.0, -2, 2, 2], [-2, 2, -2, 2]])
    model.set_weights([[[1.0, 0.0], [0.0, -1.0]], [0.0, 0.0], last, [8.0, 0.0, 0.0, -8.0]])
    centres = np.array([[-5, 2], [-2, -4], [4, 2], [5, -4]], float)
    t = model.trace(centres, [0, 1, 2, 3])
    assert ((t["A1"].value > 0) == (corners > 0)).all()
    assert t["Z2"].value.argmax(axis=1).tolist() == [0, 1, 2, 3]
    assert [t.unit("L1", 0, example=k)["a"].derivative == 0 for k in range(4)] == [False] * 4
    assert t.unit("L1", 0, example=0).why("w0").cause == "off"  # the unit is off for class 0


def test_w036_and_w037_softmax_of_the_sliders_and_its_largest():
    logits = np.array([[1.0, 2.0, 3.0, 4.0]])
    model = chain(Dense(4, "softmax", kernel_initializer="identity"), loss=CategoricalCrossentropy(), shape=(4,))
    hot = np.array([[0.0, 0.0, 0.0, 1.0]])
    t = model.trace(logits, hot)
    assert t["A1"].value[0] == pytest.approx([0.0321, 0.0871, 0.2369, 0.6439], abs=5e-5)
    assert t["A1"].value.argmax() == t["Z1"].value.argmax() == 3
    assert t["Z1"].derivative[0] == pytest.approx(t["A1"].value[0] - hot[0], abs=1e-6)
    shifted = model.trace(logits + 7, hot)
    assert shifted["A1"].value == pytest.approx(t["A1"].value, abs=1e-12)
    for place in range(4):
        assert t.nudge("Z1", 1e-6, (0, place)).ratio == pytest.approx(t["Z1"].derivative[0, place], abs=1e-5)


def test_w038_shapes_of_the_vectorised_gradient():
    rng = np.random.default_rng(3)
    model = chain(Dense(1, "sigmoid"), loss="binary_crossentropy", shape=(3,))
    x, y = rng.normal(size=(5, 3)), rng.integers(0, 2, (5, 1)).astype(float)
    t = model.trace(x, y)
    assert np.shape(t["Z1"].derivative) == (5, 1) and np.shape(t["W1"].derivative) == (3, 1)
    a = t["A1"].value
    assert t["Z1"].derivative == pytest.approx((a - y) / 5, abs=1e-6)
    assert t["W1"].derivative == pytest.approx(x.T @ (a - y) / 5, abs=1e-6)


@pytest.mark.parametrize(
    ("w", "curved", "convex"), [(-4.0, -0.0164, 0.0177), (0.0, 0.0625, 0.25), (4.0, 0.0006, 0.0177)]
)
def test_w039_the_derivative_of_the_derivative_by_a_trace_of_it(w, curved, convex):
    w = bl.variable(w, "w")
    a = nn.sigmoid(w)
    for J, curvature in (((a - 1) ** 2 / 2, curved), (-ops.log(a), convex)):
        t = bl.trace(bl.name(bl.grad(J, w), "dJ"))
        assert t["w"].derivative == pytest.approx(curvature, abs=5e-5)
        assert t.nudge("w", 1e-5).ratio == pytest.approx(curvature, abs=1e-4)


def test_w039_the_squared_error_is_flat_where_it_is_most_wrong():
    w = bl.variable(-6.0, "w")
    a = bl.name(nn.sigmoid(w), "a")
    assert bl.trace((a - 1) ** 2 / 2)["w"].derivative == pytest.approx(-0.0025, abs=5e-5)
    assert bl.trace(-ops.log(a))["w"].derivative == pytest.approx(-0.9975, abs=5e-5)


@pytest.mark.parametrize(("y", "cost", "slope"), [(0, 0.0, [0.0, 0.0]), (1, 1000.0, [1.0, -1.0])])
def test_w040_a_loss_of_logits_is_exact_where_the_naive_one_is_nan_or_infinite(y, cost, slope):
    model = chain(
        Dense(2, kernel_initializer="identity"), loss=SparseCategoricalCrossentropy(from_logits=True), shape=(2,)
    )
    t = model.trace([[1000.0, 0.0]], [y])
    assert cost == t.J and t["Z1"].derivative[0].tolist() == slope
    z = bl.variable([1000.0, 0.0], "z")
    naive = -ops.log(bl.name(ops.exp(z) / ops.sum(ops.exp(z)), "a"))[y]
    written = bl.trace(naive)
    assert np.isnan(written.J) if y == 0 else np.inf == written.J
    assert written.why("z").verdict == "not finite"


@pytest.mark.parametrize("from_logits", [True, False])
def test_w040_a_saturated_sigmoid_still_learns_and_the_trace_says_how(from_logits):
    last = Dense(1, None if from_logits else "sigmoid", kernel_initializer="ones")
    model = chain(last, loss=BinaryCrossentropy(from_logits=from_logits), shape=(1,))
    t = model.trace([[40.0]], [[0.0]])
    assert t["Z1"].derivative[0, 0] == pytest.approx(1.0)
    assert model.evaluate([[40.0]], [[0.0]], verbose=0) == pytest.approx(40.0)
    assert pytest.approx(40.0 if from_logits else 16.118, abs=1e-3) == t.J  # as written: the probability is clipped
    assert any("exact" in step.note for step in t.forward) is not from_logits


def test_tracing_draws_nothing_from_the_random_stream():
    model = chain(Dense(4, "relu"), bl.layers.Dropout(0.5), Dense(1))
    bl.random.set_seed(11)
    wanted = bl.random.normal((4,)).tolist()
    bl.random.set_seed(11)
    t = model.trace(np.ones((6, 4)), np.ones((6, 1)))
    str(t), t.to_html(), t.open("dense"), t.nudge("W1", 0.1, (0, 0)), t.why("W1")
    assert bl.random.normal((4,)).tolist() == wanted


def test_operations_fold_below_their_layer():
    model = chain(Dense(4, "relu", name="L1"), Dense(1, name="<out>"))
    t = model.trace(np.ones((1, 4)), np.ones((1, 1)))
    page = t.to_html()
    first = page.index("<summary>inside L1: Z1 = X W1 + b1, A1 = relu(Z1)</summary>")
    second = page.index("<summary>inside &lt;out&gt;: Z2 = A1 W2 + b2</summary>")
    inside = page[first:second]
    assert "<svg" in inside and "t1 + b1" in inside and "<details open" not in page
    assert "inside L1" in t._repr_html_() and "<script" not in t._repr_html_()
