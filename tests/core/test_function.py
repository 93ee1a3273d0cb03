"""`bl.compile`: a graph as a function of arrays, whose updates are committed together or not at all."""

from __future__ import annotations

import inspect
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import (
    ArgumentError,
    DTypeError,
    GraphError,
    NonFiniteError,
    NotReadyError,
    ShapeError,
    UnknownNameError,
)

ops = bl.ops
ENGINES = ["reference", "planned"]


@pytest.fixture(params=ENGINES)
def compiled(request):
    return lambda *args, **kwargs: bl.compile(*args, **kwargs, engine=request.param)


def line():
    return inspect.currentframe().f_back.f_lineno


# ---------------------------------------------------------------------- what it gives
def test_a_function_of_arrays(compiled):
    x, y = bl.input((bl.M, 2), "x"), bl.input((bl.M,), "y")
    w = bl.variable([1.0, 2.0])
    f = compiled(ops.mean((x @ w - y) ** 2), inputs=[x, y])
    for rows in (3, 1, 3, 7):
        X, Y = np.arange(rows * 2.0).reshape(rows, 2), np.ones(rows)
        assert f(X, Y) == pytest.approx(np.mean((X @ [1, 2] - Y) ** 2))
    assert isinstance(f(X, Y), np.float64)
    assert f(X.tolist(), Y.tolist()) == f(X, Y) == f(X.astype("float32"), Y.astype(int))
    w.assign([0.0, 0.0])
    assert f(X, Y) == 1.0


def test_one_output_several_or_none(compiled):
    x = bl.input((2,), "x")
    assert compiled(x * 2, inputs=[x])([1, 2]).tolist() == [2, 4]
    assert compiled(x * 2, inputs=x)([1, 2]).tolist() == [2, 4]
    assert [each.tolist() for each in compiled([x * 2, ops.sum(x), x], [x])([1, 2])] == [[2, 4], 3, [1, 2]]
    assert compiled([x * 2], [x])([1, 2])[0].tolist() == [2, 4]
    assert compiled()() == []
    assert [each.tolist() for each in compiled(ops.split(x * 2, sections=2), [x])([1, 2])] == [[2], [4]]
    assert compiled([3.0, x], [x])([1, 2])[0] == 3.0 == compiled(3.0)()
    assert str(compiled(x * 2, [x])) == "input   x  (2,) float64\noutput  x * 2"


def test_outputs_are_the_callers(compiled):
    w = bl.variable([1.0, 2.0])
    x = bl.input((2,))
    f = compiled([w, x, x + w, w.reshape(2, 1), (w * 2)[::-1]], inputs=[x])
    fed = np.array([5.0, 6.0])
    first = f(fed)
    kept = [each.copy() for each in first]
    for each in first:
        each[...] = -1
    again = f(fed)
    assert all(np.array_equal(a, b) for a, b in zip(again, kept, strict=True))
    assert w.value.tolist() == [1, 2] and fed.tolist() == [5, 6]
    f([7.0, 8.0])
    assert all(np.array_equal(a, b) for a, b in zip(again, kept, strict=True))


def test_a_variable_may_be_fed(compiled):
    w = bl.variable(3.0)
    f = compiled(w**2, inputs=[w])
    assert f(5.0) == 25.0 and w.value == 3.0


def test_many_threads_may_call_one_function(compiled):
    x = bl.input((bl.M, 8))
    w = bl.variable(np.random.default_rng(0).normal(size=(8, 8)))
    f = compiled(ops.sum(ops.tanh(ops.tanh(x @ w) @ w)), inputs=[x])
    feeds = [np.full((1 + k % 5, 8), k / 50) for k in range(60)]
    expected = [f(feed) for feed in feeds]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(f, feeds)) == expected


# ---------------------------------------------------------------------- updates
def test_updates_see_the_old_values(compiled):
    a, b = bl.variable([1.0, 2.0]), bl.variable([3.0, 4.0])
    swap = compiled([a, b], updates={a: b, b: a})
    assert [each.tolist() for each in swap()] == [[1, 2], [3, 4]]  # the outputs too
    assert (a.value.tolist(), b.value.tolist()) == ([3, 4], [1, 2])
    swap()
    assert (a.value.tolist(), b.value.tolist()) == ([1, 2], [3, 4])


def test_updates_through_views_of_what_is_written(compiled):
    a, b = bl.variable([[1.0, 2.0], [3.0, 4.0]]), bl.variable([9.0, 9.0])
    turn = compiled([a.T, b], updates={a: a.T[::-1], b: a[0]})
    outputs = turn()
    assert outputs[0].tolist() == [[1, 3], [2, 4]] and outputs[1].tolist() == [9, 9]
    assert a.value.tolist() == [[2, 4], [1, 3]] and b.value.tolist() == [1, 2]


def test_gradient_descent(compiled):
    w = bl.variable(3.0)
    J = w**2
    step = compiled(J, updates={w: w - 0.1 * bl.grad(J, w)})
    assert [float(step()) for _ in range(3)] == pytest.approx([9.0, 5.76, 3.6864])
    assert w.value == pytest.approx(3 * 0.8**3)


def test_counters_and_float32(compiled):
    count, w = bl.variable(np.array(0)), bl.variable(np.float32([1, 2]))
    step = compiled(updates={count: count + 1, w: w * 0.5 + np.float64([0.1, 0.2])})
    step()
    assert count.value == 1 and count.value.dtype == "int64" and w.value.dtype == "float32"
    assert w.value.tolist() == (np.float32([1, 2]) * np.float32(0.5) + np.float32([0.1, 0.2])).tolist()
    fixed = compiled(updates={count: 7, w: np.array([8.0, 9.0])})
    fixed()
    assert count.value == 7 and w.value.tolist() == [8, 9]


@pytest.mark.parametrize("at", [0.0, -1.0])
def test_a_step_that_is_not_finite_writes_nothing(compiled, at):
    a, b, count = bl.variable(at, "a"), bl.variable([1.0, 2.0], "b"), bl.variable(np.array(0), "count")
    bad = ops.log(a)
    made = line() - 1
    step = compiled(bad, updates={b: b + 1, a: bad * 2.0, count: count + 1})
    with pytest.raises(NonFiniteError) as caught:
        step()
    assert (a.value, b.value.tolist(), count.value) == (at, [1, 2], 0)
    error = caught.value
    assert isinstance(error, ValueError)
    assert error.message == "the updates of this call are not finite; nothing was written."
    assert error.fields["found"] == ("-inf from log(0)" if at == 0 else "nan from log(-1)")
    assert error.fields["where"] == f"test_function.py:{made}  bad = ops.log(a)"
    assert error.fields["why"] == "log is the first operation whose result is not finite"
    assert pickle.loads(pickle.dumps(error)).fields == error.fields
    a.assign(1.0)
    step()
    assert (a.value, b.value.tolist(), count.value) == (0.0, [2, 3], 1)


def test_only_what_is_written_must_be_finite(compiled):
    a, b = bl.variable(0.0), bl.variable(1.0)
    f = compiled([ops.log(a), 1 / a], updates={b: b + 1})
    assert [float(each) for each in f()] == [-np.inf, np.inf]
    assert b.value == 2.0
    count = bl.variable(np.array(0))
    assert compiled(ops.log(a), updates={count: count + 1})() == -np.inf and count.value == 1


def test_the_first_bad_node_inside_a_definition_is_named(compiled):
    v = bl.variable([1.0, -2.0], "v")
    std = ops.sqrt(ops.mean(v * ops.sqrt(v)))
    made = line() - 1
    with pytest.raises(NonFiniteError) as caught:
        compiled(updates={v: v - std})()
    assert caught.value.fields["found"] == "array(2,) [1 … 1] from sqrt(array(2,) [-2 … 1])"
    assert caught.value.fields["where"].startswith(f"test_function.py:{made}  std = ")


def test_infinity_written_on_purpose_is_not_to_blame(compiled):
    v = bl.variable([1.0, 2.0, 3.0], "v")
    masked = ops.softmax(ops.where(v > 1.5, v, -np.inf))
    step = compiled(updates={v: masked + ops.log(v - 1.5)})
    with pytest.raises(NonFiniteError) as caught:
        step()
    assert caught.value.fields["why"].startswith("log is the first")
    with pytest.raises(NonFiniteError) as caught:
        compiled(updates={v: v * np.inf})()
    assert "inf" in caught.value.fields["found"]


def test_a_fed_value_that_is_not_finite_is_named(compiled):
    w, x = bl.variable(1.0), bl.input((), "x")
    with pytest.raises(NonFiniteError) as caught:
        compiled(updates={w: w * x}, inputs=[x])(np.nan)
    assert "input" in caught.value.fields["found"]
    assert w.value == 1.0


# ---------------------------------------------------------------------- refusals
@pytest.fixture
def f(compiled):
    x, ids = bl.input((bl.M, 2), "x"), bl.input((bl.M,), "ids", "int64")
    return compiled(ops.sum(x[:, 0] * ids), inputs=[x, ids])


@pytest.mark.parametrize("values", [[], [np.ones((3, 2))], [np.ones((3, 2)), [1, 2, 3], 4]])
def test_another_number_of_values(f, values):
    with pytest.raises(ArgumentError) as caught:
        f(*values)
    assert str(caught.value).splitlines() == [
        "the function got another number of values than it has inputs.",
        "  expected  2: x, ids",
        f"  found     {len(values)}",
    ]


@pytest.mark.parametrize(
    ("x", "ids", "expected", "found"),
    [
        (np.ones(2), [1], "shape (m, 2)", "shape (2,)"),
        (np.ones((3, 4)), [1, 1, 1], "shape (m, 2), m = 3 by the inputs before it", "shape (3, 4)"),
        (np.ones((3, 2)), [1, 1], "shape (m,), m = 3 by the inputs before it", "shape (2,)"),
        (np.ones((3, 2)), 1, "shape (m,), m = 3 by the inputs before it", "shape ()"),
    ],
)
def test_another_shape(f, x, ids, expected, found):
    with pytest.raises(ShapeError) as caught:
        f(x, ids)
    assert (caught.value.fields["expected"], caught.value.fields["found"]) == (expected, found)


def test_whole_numbers_of_any_width_that_fit(compiled):
    i = bl.input((), "i", "uint8")
    f = compiled(i, inputs=[i])
    assert f(255) == f(np.int32(255)) == 255 and f(True) == 1
    for wrong in (256, -1, 0.5, np.float32(2)):
        with pytest.raises(DTypeError, match="i holds uint8"):
            f(wrong)


def test_another_kind_of_values(f):
    with pytest.raises(DTypeError, match="ids holds int64"):
        f(np.ones((2, 2)), [0.5, 1.5])
    for wrong in ("ab", None, [["a", "b"]], [[1, 2], [3]]):
        with pytest.raises(ArgumentError):
            f(wrong, [1])


def test_an_input_that_is_not_named(compiled):
    x, y = bl.input((), "x"), bl.input((), "y")
    for use in (lambda: compiled(x * y, inputs=[x]), lambda: compiled(updates={bl.variable(1.0): y})):
        with pytest.raises(NotReadyError, match="'y'") as caught:
            use()
        assert caught.value.fields["fix"] == "name them: bl.compile(outputs, inputs=[...])"


def test_updates_that_do_not_fit(compiled):
    w, i = bl.variable([1.0, 2.0], "w"), bl.variable(np.array(1), "i")
    for wrong in ({w: ops.sum(w)}, {w: [1.0, 2.0, 3.0]}, {i: 0.5}, {i: i * 0.5}):
        with pytest.raises(GraphError, match="does not fit"):
            compiled(updates=wrong)
    for leaf in ("w", bl.constant(1.0), bl.input(()), w * 2):
        with pytest.raises(ArgumentError, match="only variables can be updated"):
            compiled(updates={leaf: 1.0})
    with pytest.raises(ArgumentError, match="inputs must be a Leaf"):
        compiled(w, inputs=[w * 2])


def test_an_unknown_engine():
    with pytest.raises(UnknownNameError, match="plannd") as caught:
        bl.compile(bl.variable(1.0), engine="plannd")
    assert "planned" in caught.value.fields["fix"]
