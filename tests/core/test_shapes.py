"""The batch axis m, the rule language, and what shapes may meet."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import backlit as bl
from backlit.core.errors import ArgumentError, BacklitError, ShapeError
from backlit.core.shapes import Rows, Rule, bind, broadcast, checked, normal_axes, show, size

M = bl.M
counts = st.integers(1, 12)


# ---------------------------------------------------------------------- arithmetic with m
def test_multiples_of_m():
    sums = [2 * M, M * 3, M + M, 3 * M - M, M + 0, 0 + M, M - 0]
    assert [each.count for each in sums] == [2, 3, 2, 2, 1, 1, 1]
    assert (6 * M // 3, 6 * M // (2 * M), M - M) == (2 * M, 3, 0)
    assert sum([M, M]) == 2 * M
    assert (repr(M), repr(2 * M), show((M, 3)), show((M,)), show(())) == ("m", "2m", "(m, 3)", "(m,)", "()")
    assert sorted([3 * M, M, 2 * M]) == [M, 2 * M, 3 * M]
    assert {M: 1}[Rows(1)] == 1 and M != 1


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: M + 1,
        lambda: 1 + M,
        lambda: M - 1,
        lambda: M - 2 * M,
        lambda: M * 0,
        lambda: M * -1,
        lambda: M * M,
        lambda: M // 2,
        lambda: 3 * M // 2,
        lambda: M // (2 * M),
        lambda: size((M, M)),
    ],
)
def test_what_cannot_be_said_of_m(wrong):
    with pytest.raises(ShapeError, match="depend on how many examples"):
        wrong()


@given(counts, counts, counts)
def test_arithmetic_with_m_means_arithmetic_with_numbers(a, b, rows):
    for result, number in [
        (a * M + b * M, a + b),
        (a * M * b, a * b),
        ((a + b) * M - a * M, b),
        (a * b * M // b, a),
    ]:
        assert result.bind(rows) == number * rows
    assert a * b * M // (a * M) == b
    assert (a * M < b * M) == (a < b)


def test_binding():
    assert bind((M, 3, (2 * M, ((1, 0), (0, 1)))), 5) == (5, 3, (10, ((1, 0), (0, 1))))
    assert bind(3, None) == 3
    with pytest.raises(ShapeError, match="m is not known"):
        bind((M,), None)


# ---------------------------------------------------------------------- what is a shape
def test_shapes_from_numbers_lists_and_arrays():
    for given_, expected in [(3, (3,)), (np.int64(3), (3,)), ([2, 3], (2, 3)), (np.array([2, 3]), (2, 3)), (M, (M,))]:
        assert checked(given_) == expected
        assert bl.input(given_).shape == expected
    assert checked(()) == () and checked([M, np.int32(4)]) == (M, 4)


def test_what_is_no_shape():
    with pytest.raises(ShapeError, match="only the first axis, the examples, may be left open") as caught:
        bl.input((M, None, 3))
    assert "pad sequences to one length" in str(caught.value)
    for wrong in (3.0, "ab", [2.5], (2, "3"), [[1, 2]]):
        with pytest.raises(ArgumentError, match="whole number"):
            bl.input(wrong)
    with pytest.raises(ShapeError, match="negative"):
        bl.input((2, -1))


def test_axes():
    assert normal_axes(None, 3, "sum") == (0, 1, 2)
    assert normal_axes(-1, 3, "sum") == normal_axes([2], 3, "sum") == normal_axes(np.int64(2), 3, "sum") == (2,)
    assert normal_axes((-1, 0), 3, "sum") == (0, 2)
    for wrong in (3, -4, (0, 3)):
        with pytest.raises(ShapeError, match="there is no axis"):
            normal_axes(wrong, 3, "sum")
    with pytest.raises(ShapeError, match="names one axis twice"):
        normal_axes((0, -3), 3, "sum")
    for wrong in (1.5, "x", (0, None)):
        with pytest.raises(ArgumentError):
            bl.ops.sum(bl.variable(np.ones((2, 3))), axis=wrong)


# ---------------------------------------------------------------------- broadcasting
SHAPES = st.lists(st.lists(st.integers(1, 3), max_size=4).map(tuple), min_size=1, max_size=4)


@given(SHAPES)
def test_broadcasting_is_numpys(shapes):
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="cannot broadcast"):
            broadcast(shapes)
    else:
        assert broadcast(shapes) == expected


@given(mutually_broadcastable_shapes(num_shapes=3, max_dims=4), st.integers(1, 5))
def test_broadcasting_with_m_is_broadcasting_of_every_number_of_rows(shapes, rows):
    """Put m before every shape: the result is m and the shape without it, for whatever m."""
    full = [(M,) + (1,) * (len(shapes.result_shape) - len(shape)) + shape for shape in shapes.input_shapes]
    assert bind(broadcast(full), rows) == (rows, *shapes.result_shape)


@pytest.mark.parametrize(
    ("shapes", "result"),
    [
        ([(M, 3), (3,)], (M, 3)),
        ([(M, 1), (M, 3)], (M, 3)),
        ([(M, 1), (1, 3)], (M, 3)),
        ([(M,), ()], (M,)),
        ([(M, M), (M, 1)], (M, M)),  # m twice was there already
        ([(0,), (1,)], (0,)),
        ([], ()),
    ],
)
def test_broadcasting_along_m(shapes, result):
    assert broadcast(shapes) == result


@pytest.mark.parametrize("shapes", [[(M,), (M, 1)], [(M, 1), (1, M)], [(M, 1), (M,), (1,)]])
def test_every_example_against_every_other_is_refused(shapes):
    inputs = [bl.input(shape) for shape in shapes]
    with pytest.raises(ShapeError, match="every example with every other") as caught:
        bl.ops.add(inputs[0], inputs[1]) + inputs[-1]
    assert caught.value.fields["fix"] == "reshape both to (m, 1), or both to (m,)"


@pytest.mark.parametrize("shapes", [[(M, 3), (5, 3)], [(M,), (2 * M,)], [(M, 2), (M, 3)]])
def test_m_is_no_number(shapes):
    with pytest.raises(ShapeError, match="cannot broadcast"):
        bl.input(shapes[0]) * bl.input(shapes[1])


# ---------------------------------------------------------------------- the rule language
CONV = Rule("m n c, k c f -> m (n-d*(k-1)-1)//s+1 f")


@pytest.mark.parametrize(
    ("rule", "shapes", "attrs", "result"),
    [
        ("... n k, ... k p -> ... n p", [(2, 3), (3, 4)], {}, (2, 4)),
        ("... n k, ... k p -> ... n p", [(M, 3), (3, 4)], {}, (M, 4)),
        ("... n k, ... k p -> ... n p", [(M, 3), (3, M)], {}, (M, M)),
        ("... n k, ... k p -> ... n p", [(5, 1, 2, 3), (4, 3, 2)], {}, (5, 4, 2, 2)),
        ("n -> n 1", [(M,)], {}, (M, 1)),
        ("a b c -> c (a*b)", [(2, 3, 4)], {}, (4, 6)),
        ("n, k -> n+k", [(2,), (3,)], {}, (5,)),
        ("n -> 2*n", [(M,)], {}, (2 * M,)),
        (" -> k", [()], {"k": 7}, (7,)),
    ],
)
def test_rules(rule, shapes, attrs, result):
    assert Rule(rule)("this", shapes, attrs) == result


def test_the_rule_of_a_convolution_counts_the_windows_of_the_ekg():
    """100 samples under a window of 20 by steps of 10, then a window of 5 by steps of 2."""
    assert CONV("conv", [(M, 100, 1), (20, 1, 1)], {"d": 1, "s": 10}) == (M, 9, 1)
    assert CONV("conv", [(M, 9, 1), (5, 1, 1)], {"d": 1, "s": 2}) == (M, 3, 1)


@given(st.integers(1, 30), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4))
def test_the_rule_of_a_convolution_is_the_number_of_windows(n, k, d, s):
    starts = [start for start in range(0, n, s) if start + d * (k - 1) < n]
    if starts:
        assert CONV("conv", [(M, n, 2), (k, 2, 3)], {"d": d, "s": s}) == (M, len(starts), 3)


def test_a_window_along_m_is_refused():
    with pytest.raises(ShapeError, match="would mix examples"):
        CONV("conv", [(1, M, 2), (3, 2, 4)], {"d": 1, "s": 1})


@pytest.mark.parametrize(
    ("shapes", "found"),
    [
        ([(2, 3), (4, 5)], "k is 3 and then 4"),
        ([(M, 3), (4, 5)], "k is 3 and then 4"),
        ([(3, M), (3, 5)], "k is m and then 3"),
        ([(3,), (3, 4)], "operand 1 has 1 axes, 2 named"),
    ],
)
def test_the_rule_is_the_error_message(shapes, found):
    with pytest.raises(ShapeError) as caught:
        bl.ops.matmul(bl.input(shapes[0]), bl.input(shapes[1]))
    assert caught.value.fields["expected"] == "... n k, ... k p -> ... n p"
    assert caught.value.fields["found"] == found
    assert " and ".join(map(show, shapes)) in str(caught.value)
    assert "Shapes: ... n k, ... k p -> ... n p" in bl.ops.matmul.__doc__


def test_a_rule_cannot_contain_anything_else():
    for text in ("n -> n**2", "n -> k", "n -> n.imag", "n -> -n"):
        with pytest.raises(ArgumentError, match="the shape rule cannot contain"):
            Rule(text)("this", [(3,)], {})


# ---------------------------------------------------------------------- ops along m
@pytest.fixture
def x():
    return bl.input((M, 4), "x")


def evaluate(node, x, rows):
    array = np.arange(rows * 4.0).reshape(rows, 4)
    return bl.compile(node, inputs=[x])(array), array


@pytest.mark.parametrize("rows", [1, 3])
def test_one_graph_for_all_numbers_of_rows(x, rows):
    for node, expected in [
        (x + 1, lambda a: a + 1),
        (bl.ops.mean(x, axis=0), lambda a: a.mean(axis=0)),
        (x - bl.ops.mean(x), lambda a: a - a.mean()),
        (x @ x.T, lambda a: a @ a.T),
        (x.reshape(-1), lambda a: a.reshape(-1)),
        (x.reshape((-1, 2)), lambda a: a.reshape(-1, 2)),
        (x.reshape((M, 2, 2)), lambda a: a.reshape(-1, 2, 2)),
        (x[:, 1:3], lambda a: a[:, 1:3]),
        (x[:, None, -1], lambda a: a[:, None, -1]),
        (x[..., ::-1], lambda a: a[..., ::-1]),
        (bl.ops.concatenate([x, x]), lambda a: np.concatenate([a, a])),
        (bl.ops.pad(x, ((0, 0), (1, 2))), lambda a: np.pad(a, ((0, 0), (1, 2)))),
        (bl.ops.size(x, axis=0), len),
        (bl.ops.argmax(x, axis=0), lambda a: a.argmax(axis=0)),
        (bl.ops.broadcast_to(bl.variable(2.0), (M, 1)) * x, lambda a: 2 * a),
        (bl.ops.softmax(x, axis=0), lambda a: np.exp(a - a.max(0)) / np.exp(a - a.max(0)).sum(0)),
    ]:
        got, array = evaluate(node, x, rows)
        assert got.shape == np.shape(expected(array)) == bind(node.shape, rows)
        assert got == pytest.approx(expected(array), rel=1e-14)


def test_shapes_along_m(x):
    assert x.reshape(-1).shape == (4 * M,)
    assert x.reshape((-1, 8)[:1]).shape == (4 * M,)
    assert x.reshape((2 * M, 2)).shape == x.reshape((-1, 2)).shape == (2 * M, 2)
    assert x.reshape((-1, 1, 4)).shape == (M, 1, 4)
    assert (x @ bl.input((4, 7))).shape == (M, 7)
    assert (x @ x.T).shape == (M, M)
    assert ((x @ x.T) * bl.ops.sum(x, axis=1, keepdims=True)).shape == (M, M)
    assert x[:, 0].shape == (M,) and x[:, 0:1].shape == (M, 1)
    assert bl.ops.concatenate([x, x]).shape == (2 * M, 4)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda x: x[0], "cannot pick examples"),
        (lambda x: x[1:], "cannot pick examples"),
        (lambda x: x[::2], "cannot pick examples"),
        (lambda x: x[..., 0][-1], "cannot pick examples"),
        (lambda x: bl.ops.pad(x, ((1, 0), (0, 0))), "would add examples along the batch axis"),
        (lambda x: bl.ops.split(x, sections=2), "no 2 equal parts"),
        (lambda x: x.reshape((-1, 3)), "depend on how many examples"),
        (lambda x: x.reshape((5, 4)), "cannot reshape"),
        (lambda x: x.reshape((M, 3)), "cannot reshape"),
        (lambda x: x.reshape((-1, -1)), "cannot reshape"),
        (lambda x: x[:, 0] - x[:, 0:1], "every example with every other"),
        (lambda x: x + x.T, "cannot broadcast"),
        (lambda x: bl.ops.sum(x, axis=2), "there is no axis 2"),
        (lambda x: bl.ops.transpose(x, (0, 0)), "does not order"),
        (lambda x: bl.ops.squeeze(x, axis=0), "not of length 1"),
        (lambda x: bl.ops.broadcast_to(x, (4,)), "does not broadcast"),
        (lambda x: bl.ops.concatenate([x, x.T]), "cannot join"),
    ],
)
def test_refusals_along_m(x, use, message):
    with pytest.raises(ShapeError, match=message) as caught:
        use(x)
    assert isinstance(caught.value, BacklitError) and isinstance(caught.value, ValueError)


@given(st.lists(st.sampled_from([1, 2, 3, 4, 6]), min_size=1, max_size=3), st.data())
def test_reshape_works_out_the_free_axis_as_numpy_does(shape, data):
    array = np.arange(float(np.prod(shape))).reshape(shape)
    wanted = data.draw(st.lists(st.sampled_from([-1, 1, 2, 3, 4, 12]), min_size=1, max_size=3))
    node = bl.variable(array)
    try:
        expected = array.reshape(wanted)
    except ValueError:
        with pytest.raises(ShapeError):
            node.reshape(wanted)
    else:
        assert np.array_equal(node.reshape(wanted).value, expected)


def test_the_rows_of_all_inputs_are_the_same_m(x):
    y = bl.input((M,), "y")
    f = bl.compile(bl.ops.sum(x) + bl.ops.sum(y), inputs=[x, y])
    assert f(np.ones((3, 4)), np.ones(3)) == 15
    with pytest.raises(ShapeError) as caught:
        f(np.ones((3, 4)), np.ones(4))
    assert caught.value.fields["expected"] == "shape (m,), m = 3 by the inputs before it"
