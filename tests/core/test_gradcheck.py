"""`bl.check_grad`: derivatives against what they mean."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.core.errors import ArgumentError, GraphError, NotReadyError

ops = bl.ops


@pytest.mark.parametrize(
    "f",
    [
        lambda w: ops.sum(ops.tanh(w) ** 2),
        lambda w: ops.mean(ops.exp(-w * w)),
        lambda w: ops.logsumexp(w @ w.T),
        lambda w: ops.sum(ops.softmax(w, axis=0) * np.arange(6.0).reshape(2, 3)),
        lambda w: ops.sum(ops.where(w > 0, w**3, ops.sin(w))),
        lambda w: ops.norm(w[:, ::-1] - w[0]),
        lambda w: ops.prod(ops.sum(w, axis=1)),
        lambda w: bl.grad(ops.sum(bl.nn.gelu(w) * w), w)[1, 2],
    ],
)
def test_smooth_functions_agree(f):
    w = bl.variable(np.random.default_rng(1).normal(size=(2, 3)), "w")
    before = w.value
    check = bl.check_grad(f(w))
    assert check and check.ok and check.rows[0].error < 1e-6
    assert (check.rows[0].name, check.rows[0].count) == ("w", 6)
    assert w.value.tolist() == before.tolist()


SMOOTH = st.sampled_from([ops.sin, ops.exp, ops.sigmoid, ops.softplus, ops.arctan])


@given(st.floats(-3, 3), st.floats(0.1, 3), SMOOTH)
def test_products_of_smooth_functions_agree(a, b, f):
    x, y = bl.variable(a, "x"), bl.variable(b, "y")
    assert bl.check_grad(f(x * y) * ops.log(y) + y**x, tolerance=1e-5).ok


def test_a_wrong_derivative_is_found(own_records):
    wrong = bl.elementwise("test_wrong_square", "x * x", vjp=lambda g, y, x: [g * x], doc="Half its derivative.")
    right = bl.elementwise("test_right_square", "x * x", vjp=lambda g, y, x: [g * 2 * x], doc="All of it.")
    a, b = bl.variable(3.0, "a"), bl.variable([1.0, -2.0], "b")
    check = bl.check_grad(right(a) + ops.sum(wrong(b)))
    assert not check and not check.ok
    assert [row.error <= 1e-6 for row in check.rows] == [True, False]
    row = check.rows[1]
    assert (row.name, row.analytic) == ("b", -2.0)  # where they differ most
    assert row.difference == pytest.approx(-4) and row.error == pytest.approx(0.5)
    assert str(check).splitlines()[-1] == "DISAGREE to 1e-06"
    assert bl.check_grad(right(a) + ops.sum(wrong(b)), [a])


def test_a_forgotten_path_is_found(own_records):
    lost = bl.elementwise("test_lost", "a * b", vjp=lambda g, y, a, b: [g * b, None], doc="Forgets b.")
    a, b = bl.variable(3.0, "a"), bl.variable(2.0, "b")
    assert [row.error for row in bl.check_grad(lost(a, b)).rows] == pytest.approx([0, 1], abs=1e-8)


def test_a_small_slope_of_a_large_cost_is_no_disagreement():
    """Rounding of J alone moves the difference by 1e-11 of J: at the end of a training all slopes are that small."""
    w = bl.variable([1e-7, -2e-7], "w")
    assert bl.check_grad(1e3 + ops.sum(w**2))


def test_the_table():
    w, b = bl.variable([2.0, 1.0], "kernel of the first layer"), bl.variable(0.5)
    lines = str(bl.check_grad(ops.sum(w * w) * b)).splitlines()
    assert lines[0].split() == ["variable", "numbers", "analytic", "difference", "error"]
    assert lines[1].startswith("kernel of the first layer        2               ")
    assert lines[2].startswith("variable 1                       1               5 ")
    assert lines[-1] == "agree to 1e-06"
    assert len({len(line) for line in lines[:-1]}) == 1


def test_it_works_in_float64_whatever_the_graph():
    w = bl.variable(np.float32([0.3, -0.7]), "w")
    check = bl.check_grad(ops.sum(ops.tanh(w * 0.1) ** 3), tolerance=1e-8)
    assert check.ok and w.dtype == "float32"


def test_any_layout_of_memory():
    F = bl.variable(np.asfortranarray(np.arange(6.0).reshape(2, 3)), "F")
    assert bl.check_grad(ops.sum(F**3 * np.arange(6.0).reshape(2, 3))).ok
    T = bl.variable(np.arange(6.0).reshape(2, 3).T, "T")
    assert bl.check_grad(ops.sum(T**3)).ok


def test_large_variables_are_sampled():
    w = bl.variable(np.linspace(-1, 1, 100_000), "w")
    check = bl.check_grad(ops.mean(w**2))
    assert check.ok and check.rows[0].count == 100_000


def test_wrt():
    a, b, other = bl.variable(2.0, "a"), bl.variable(3.0, "b"), bl.variable(5.0, "other")
    J = a * b
    assert [row.name for row in bl.check_grad(J).rows] == ["a", "b"]
    assert [row.name for row in bl.check_grad(J, b).rows] == ["b"]
    assert bl.check_grad(J + ops.sum(bl.variable(np.zeros((0, 3)))))
    unrelated = bl.check_grad(J, [other])
    assert unrelated.ok and (unrelated.rows[0].analytic, unrelated.rows[0].difference) == (0, 0)
    assert other.value == 5.0
    frozen = bl.variable(4.0, "frozen", trainable=False)
    assert [row.name for row in bl.check_grad(J * frozen).rows] == ["a", "b"]
    assert bl.check_grad(J * frozen, [frozen]).rows[0].analytic == 6.0


def test_what_is_not_finite_does_not_agree():
    w = bl.variable(-1.0, "w")
    assert not bl.check_grad(ops.log(w))


def test_refusals():
    w = bl.variable([1.0, 2.0], "w")
    with pytest.raises(GraphError, match="one floating-point number"):
        bl.check_grad(w * 2)
    for wrong in ([w * 1.0], ["w"], [bl.input(())]):
        with pytest.raises(ArgumentError, match=r"nudges variables|wrt must be a Leaf"):
            bl.check_grad(ops.sum(w), wrong)
    with pytest.raises(NotReadyError):
        bl.check_grad(ops.sum(w * bl.input((2,), "x")))
