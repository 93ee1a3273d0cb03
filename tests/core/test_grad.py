"""Reverse mode: what the derivative of a graph is, of what, and that it is a graph again."""

from __future__ import annotations

import copy
import gc
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.polynomial import Polynomial

import backlit as bl
from backlit.core.errors import ArgumentError, GraphError, ShapeError
from backlit.core.node import state
from backlit.core.walk import Graph

ops = bl.ops


def derivative(J, w, order=1):
    for _ in range(order):
        J = bl.grad(J, w)
    return J


# ---------------------------------------------------------------------- what comes back
def test_one_node_for_one_and_a_list_for_several():
    a, b = bl.variable(2.0), bl.variable([1.0, 3.0])
    J = ops.sum(a * b**2)
    da, db = bl.grad(J, [a, b])
    assert (da.value, db.value.tolist()) == (10.0, [4.0, 12.0])
    assert bl.grad(J, a) is da and bl.grad(J, (b, a))[0] is db
    assert bl.grad(J, []) == []
    assert bl.grad(J, J).value == 1.0


def test_no_path():
    w, other, column = bl.variable(2.0, "w"), bl.variable(1.0, "other"), bl.variable(np.ones((3, 1)))
    J = w**2
    for unrelated, shape in ((other, ()), (column, (3, 1)), (other * w, ())):
        zero = bl.grad(J, unrelated)
        assert zero.name == "no path" and zero.shape == shape and zero.dtype == unrelated.dtype
        assert not zero.value.any()
    mixed = bl.grad(J, [other, w])
    assert [g.name for g in mixed] == ["no path", None]
    for flat in (ops.sign(w), ops.floor(w), ops.cast(w > 1, "float64"), ops.where(w > 0, 1.0, 2.0)):
        assert bl.grad(flat * other, w).value == 0.0
        assert bl.grad(flat * w, w).value == flat.value


@pytest.mark.parametrize(
    "J",
    [
        lambda: bl.variable([1.0, 2.0]) * 2,
        lambda: bl.variable([[1.0]]),
        lambda: bl.variable(1.0) > 0,
        lambda: bl.variable(np.array(3)),
    ],
)
def test_only_a_floating_number_has_a_gradient(J):
    J = J()
    with pytest.raises(GraphError, match="one floating-point number") as caught:
        bl.grad(J, bl.variable(1.0))
    assert isinstance(caught.value, ValueError) and "bl.ops.sum" in caught.value.fields["fix"]


def test_what_cannot_be_differentiated_by():
    w, i = bl.variable(2.0), bl.variable(np.array([1, 2]), "i")
    for wrong in ((w, 3.0), (3.0, w), (w, [w, "w"])):
        with pytest.raises(ArgumentError, match=r"nodes by nodes|J must be a Node"):
            bl.grad(*wrong)
    with pytest.raises(GraphError, match="whole numbers"):
        bl.grad(ops.sum(i * 1.5), i)


def test_no_path_leads_through_whole_numbers():
    w = bl.variable(2.7)
    rounded = ops.cast(ops.cast(w, "int64"), "float64")
    assert bl.grad(rounded * w, w).value == 2.0
    assert bl.grad(rounded * 1.5, w).name == "no path"


def test_states_and_inner_nodes_can_be_differentiated_by():
    s, x = state([1.0, 2.0], "s"), bl.input((2,), "x")
    inner = s * x
    J = ops.sum(inner**2)
    f = bl.compile(bl.grad(J, [s, x, inner]), inputs=[x])
    assert [g.tolist() for g in f([3.0, 1.0])] == [[18.0, 4.0], [6.0, 8.0], [6.0, 4.0]]


def test_a_target_may_depend_on_another():
    w = bl.variable(3.0)
    a = w**2
    J = a * w
    for order in ([a, w], [w, a]):
        found = dict(zip(order, bl.grad(J, order), strict=True))
        assert (found[a].value, found[w].value) == (3.0, 27.0)  # dJ/da with w held; dJ/dw in all


def test_contributions_of_all_uses_are_added():
    w = bl.variable(2.0)
    assert bl.grad(w + w, w).value == 2.0
    assert bl.grad(w * w, w).value == 4.0
    assert bl.grad(w**w, w).value == pytest.approx(4 * (1 + np.log(2)))
    assert bl.grad(ops.sum(ops.stack([w, w * 2, w])), w).value == 4.0
    assert bl.grad(ops.dot(ops.stack([w, 3.0]), ops.stack([w, 3.0])), w).value == 4.0


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (2, 1), (2, 3), (1, 1, 3), (4, 1, 1), (4, 2, 1)])
def test_broadcasting_is_undone(shape):
    rng = np.random.default_rng(0)
    w, x = bl.variable(rng.normal(size=shape)), rng.normal(size=(4, 2, 3))
    slope = bl.grad(ops.sum(w * x), w)
    assert slope.shape == shape
    axes = tuple(range(3 - len(shape)))
    summed = x.sum(axis=axes)
    summed = summed.sum(axis=tuple(i for i, n in enumerate(shape) if n == 1), keepdims=True) if shape else summed
    assert slope.value == pytest.approx(summed, rel=1e-13)


def test_along_the_batch_axis():
    x, w = bl.input((bl.M, 2), "x"), bl.variable([1.0, -1.0])
    f = bl.compile(bl.grad(ops.mean((x @ w) ** 2), w), inputs=[x])
    for rows in (1, 4):
        X = np.arange(rows * 2.0).reshape(rows, 2) ** 2
        assert f(X) == pytest.approx(2 * X.T @ (X @ [1, -1]) / rows)


# ---------------------------------------------------------------------- the kinks people know
@pytest.mark.parametrize(
    ("f", "at", "slope"),
    [
        (lambda w: w**0, 0.0, 0.0),
        (lambda w: w**1, 0.0, 1.0),
        (lambda w: w**2, 0.0, 0.0),
        (lambda w: w**3, 0.0, 0.0),
        (lambda w: w**2, -3.0, -6.0),
        (lambda w: w**-1, 2.0, -0.25),
        (lambda w: w**0.5, 4.0, 0.25),
        (lambda w: 2.0**w, 3.0, 8 * np.log(2)),
        (bl.nn.relu, 0.0, 0.0),
        (abs, 0.0, 0.0),
        (lambda w: ops.maximum(w, 0.0), 0.0, 0.5),
        (lambda w: ops.clip(w, -1.0, 1.0), 2.0, 0.0),
        (lambda w: ops.where(w > 0, w * 3, w * 5), -1.0, 5.0),
    ],
)
def test_slopes_at_special_places(f, at, slope):
    w = bl.variable(at)
    assert bl.grad(f(w), w).value == pytest.approx(slope, rel=1e-15, abs=0)


# ---------------------------------------------------------------------- several outputs, composites, graphs as values
def test_through_the_outputs_of_one_node():
    x = bl.variable(np.arange(6.0).reshape(2, 3) + 1)
    a, b, c = ops.split(x, sections=3, axis=1)
    assert bl.grad(ops.sum(a * b * b), x).value.tolist() == [[4, 4, 0], [25, 40, 0]]
    assert bl.grad(ops.sum(c), x).value.tolist() == [[0, 0, 1], [0, 0, 1]]
    assert bl.grad(ops.sum(a) + ops.sum(a * 2), x).value.tolist() == [[3, 0, 0], [3, 0, 0]]
    second = bl.grad(ops.sum(bl.grad(ops.sum(a * b * b), x) * 2.0), x)
    assert second.value.tolist() == [[4 * 2, 2 * (2 + 1) * 2, 0], [4 * 5, 2 * (5 + 4) * 2, 0]]


def test_a_record_given_twice_the_same_input(own_records):
    product = bl.composite("test_product", define=lambda a, b: a * b * b, doc="a b²")
    x, y = bl.variable(3.0), bl.variable(5.0)
    assert [g.value for g in bl.grad(product(x, y), [x, y])] == [25.0, 30.0]
    assert bl.grad(product(x, x), x).value == 27.0
    assert derivative(product(x, x), x, 3).value == 6.0


def test_a_composite_of_several_outputs(own_records):
    both = bl.composite("test_both", define=lambda a, b: (a * b, a + b), several=True, doc="Product and sum.")
    x, y = bl.variable(3.0), bl.variable(5.0)
    product, total = both(x, y)
    assert (product.value, total.value) == (15.0, 8.0)
    assert [g.value for g in bl.grad(product, [x, y])] == [5.0, 3.0]
    assert [g.value for g in bl.grad(product * total, [x, y])] == [5 * 8 + 15, 3 * 8 + 15]
    assert bl.grad(both(x, x)[0] + both(x, x)[1], x).value == 8.0


def test_a_derivative_of_the_wrong_length_is_named(own_records):
    lost = bl.elementwise("test_short", "a * b", vjp=lambda g, y, a, b: [g * b], doc="Forgets b.")
    w = bl.variable(2.0)
    with pytest.raises(GraphError, match="the derivative of test_short is of 1 inputs"):
        bl.grad(lost(w, w * 2), w)


def test_a_definition_may_read_its_inputs_only(own_records):
    w = bl.variable(2.0, "w")
    with pytest.raises(GraphError, match=r"'w'.*not among its inputs"):
        bl.composite("test_captures", define=lambda a: a * w, doc="Reads w.")(bl.variable(1.0))
    assert bl.composite("test_constant", define=lambda a: a * bl.constant(2.0), doc="Twice.")(w).value == 4.0


def test_a_graph_as_a_value():
    x0, w0 = bl.input((), "x0"), bl.input((), "w0")
    body = Graph([x0, w0], [x0 * w0**2, x0 + 1.0])
    x, w = bl.variable(3.0), bl.variable(5.0)
    a, b = ops.call([x, w], graph=body)
    assert (a.value, b.value) == (75.0, 4.0)
    assert ops.call([x, w], graph=body) is ops.call([x, w], graph=body)
    assert [g.value for g in bl.grad(a * b, [x, w])] == [25 * 4 + 75, 30 * 4]
    assert bl.grad(bl.grad(a * b, w), x).value == 10 * 4 + 30
    nested = Graph([x0, w0], [ops.call([x0 * 2.0, w0], graph=body)[0]])
    assert bl.grad(ops.call([x, w], graph=nested)[0], w).value == 60.0
    assert bl.compile(bl.grad(a, w))() == 30.0


def test_a_graph_takes_values_of_its_inputs_kind():
    v, ids = bl.input((3,), "v"), bl.input((2,), "ids", "int64")
    body = Graph([v, ids], [ops.gather(v, ids) * 0.5])
    x = bl.variable([1.0, 2.0, 4.0])
    (picked,) = ops.call([x, np.array([2, 0])], graph=body)
    assert picked.value.tolist() == [2.0, 0.5]
    assert bl.grad(ops.sum(picked), x).value.tolist() == [0.5, 0.0, 0.5]
    for wrong in ([x], [x, np.array([1.0, 0.0])], [np.float32([1, 2, 3]), np.array([1, 2])], [x, np.array([1])]):
        with pytest.raises(ShapeError, match="do not fit"):
            ops.call(wrong, graph=body)
    w = bl.variable(2.0, "w")
    with pytest.raises(GraphError, match=r"'w'.*not among its inputs"):
        ops.call([x], graph=Graph([v], [v * w]))


# ---------------------------------------------------------------------- derivatives of derivatives
@pytest.mark.parametrize(
    ("f", "third"),
    [
        (lambda x: x**4, lambda x: 24 * x),
        (lambda x: 1 / x, lambda x: -6 / x**4),
        (ops.exp, np.exp),
        (ops.sin, lambda x: -np.cos(x)),
        (ops.log, lambda x: 2 / x**3),
        (ops.tanh, lambda x: -2 * (1 - np.tanh(x) ** 2) * (1 - 3 * np.tanh(x) ** 2)),
        (lambda x: ops.exp(2 * x) * x, lambda x: np.exp(2 * x) * (8 * x + 12)),
    ],
)
def test_third_derivatives(f, third):
    for at in (0.3, 1.7):
        x = bl.variable(at)
        assert derivative(f(x), x, 3).value == pytest.approx(third(at), rel=1e-10)


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=6), st.integers(0, 4), st.sampled_from([-2.0, 0.5, 3.0]))
def test_derivatives_of_polynomials(coefficients, order, at):
    x = bl.variable(at)
    J = bl.constant(0.0) + sum((c * x**k for k, c in enumerate(coefficients)), start=x * 0)
    expected = Polynomial([*map(float, coefficients), 0.0]).deriv(order)(at) if order else J.value
    assert derivative(J, x, order).value == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_the_hessian_is_symmetric_and_right():
    w = bl.variable([0.5, -1.0, 2.0])
    J = ops.logsumexp(w * w[::-1])
    slope = bl.grad(J, w)
    hessian = np.array([bl.grad(slope[k], w).value for k in range(3)])
    assert hessian == pytest.approx(hessian.T, abs=1e-14)
    for k in range(3):
        assert bl.check_grad(slope[k], [w], tolerance=1e-8).ok


# ---------------------------------------------------------------------- 10,000 nodes
def test_a_long_chain():
    """Built, differentiated, evaluated, printed, pickled, copied and freed without recursion."""
    w = bl.variable(0.0, "w")
    x = w
    for _ in range(5_000):
        x = x * 1.0001 + 0.0001
    slope = bl.grad(x, w)
    expected = 1.0001**5_000
    assert x.value == pytest.approx(expected - 1, rel=1e-9)
    assert slope.value == pytest.approx(expected, rel=1e-9)
    assert bl.compile(slope)() == pytest.approx(expected, rel=1e-9)
    assert str(x).count("\n") > 100 and x.to_latex().startswith(r"\begin{aligned}")
    assert len(x.to_json()["nodes"]) == 10_000 + 3
    for again in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert again is not x and again.value == x.value
    del x, slope, again
    gc.collect()


def test_a_long_chain_of_composites():
    w = bl.variable(0.3)
    x = w
    for _ in range(500):
        x = bl.nn.mish(x) + bl.nn.softmax(x.reshape(1))[0]
    assert np.isfinite(bl.grad(x, w).value)
    assert pickle.loads(pickle.dumps(x)).value == x.value
