"""Identity, names, origins, and what Python and NumPy may do with a node."""

from __future__ import annotations

import gc
import inspect
import operator
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import ArgumentError, DTypeError, GraphError, NotReadyError, ShapeError
from backlit.core.node import state
from backlit.core.op import literal


def line():
    """The line of the caller."""
    return inspect.currentframe().f_back.f_lineno


@pytest.fixture
def w():
    return bl.variable(2.0, "w")


@pytest.fixture
def v():
    return bl.variable([1.0, 2.0, 3.0], "v")


# ---------------------------------------------------------------------- identity
def test_the_same_expression_is_the_same_node(w):
    x = bl.variable(3.0)
    assert w * x is w * x
    assert w * x is not x * w
    assert bl.ops.softmax(w.reshape(1)) is bl.ops.softmax(w.reshape(1), axis=-1)  # defaults are filled in first


def test_five_numbers_are_five_keys():
    assert len({literal(value) for value in (1, 1.0, True, 0.0, -0.0)}) == 5
    assert literal(0.0) is literal(0.0) and literal(float("nan")) is literal(float("nan"))
    assert np.copysign(1, (literal(-0.0) * 1.0).value) == -1


def test_attributes_are_told_apart_by_type_and_bits(v):
    clip = bl.ops.clip
    assert clip(v, 0.0, 1.0) is clip(v, 0.0, 1.0)
    assert len({clip(v, 0.0, 1.0), clip(v, -0.0, 1.0), clip(v, 0, 1.0), clip(v, False, 1.0), clip(v, 0, 1)}) == 5


def test_leaves_are_never_merged():
    """With b and c taken for one another dJ/db would be 17."""
    a, b, c = bl.variable(5.0), bl.variable(3.0), bl.variable(3.0)
    J = 3 * (a + b * c)
    assert [g.value for g in bl.grad(J, [b, c])] == [9.0, 9.0]
    b.assign(2.0)
    assert [g.value for g in bl.grad(J, [b, c])] == [9.0, 6.0]
    assert bl.constant(3.0) is not bl.constant(3.0)
    assert bl.input(()) is not bl.input(())
    array = np.ones(2)
    assert a + array is not a + array


def test_equality_is_identity(w):
    other = bl.variable(2.0)
    assert w == w and w != other and w != 2.0
    assert {w: "w", other: "other"}[w] == "w"
    assert w in [other, w] and other not in [w]
    assert bl.ops.equal(w, other).value


def test_threads_meet_in_one_node(w):
    def build(_):
        x = w
        for k in range(50):
            x = bl.ops.tanh(x * float(k))
        return x

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(build, range(32)))) == 1


def test_a_node_is_freed_with_its_last_user(w):
    gc.disable()
    try:
        J = bl.ops.sum(bl.ops.softmax((w * 123.25).reshape(1)))
        refs = [weakref.ref(J), weakref.ref(J.inputs[0]), weakref.ref(bl.grad(J, w))]
        del J
        assert [ref() for ref in refs] == [None] * 3
    finally:
        gc.enable()


# ---------------------------------------------------------------------- leaves
@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (2, "float64"),
        (2.5, "float64"),
        ([1, 2], "float64"),
        (True, "bool"),
        (np.float32(2), "float32"),
        (np.arange(3), "int64"),
        (np.ones(2, np.float16), "float32"),
        (np.uint8([1, 2]), "uint8"),
    ],
)
def test_numbers_and_lists_are_float64_and_arrays_keep_their_dtype(value, dtype):
    for made in (bl.variable(value), bl.constant(value)):
        assert made.dtype == dtype
        assert made.value.dtype == dtype
        assert np.array_equal(made.value, value)


def test_a_variable_holds_a_copy():
    array = np.ones(3)
    leaf = bl.variable(array)
    array[:] = 7
    assert leaf.value.tolist() == [1, 1, 1]
    read = leaf.value
    read[:] = 8
    assert leaf.value.tolist() == [1, 1, 1]


def test_assign_keeps_shape_and_dtype(w):
    leaf = bl.variable(np.float32([1, 2]), "kernel")
    assert leaf.assign([3, 4]) is leaf
    assert leaf.value.dtype == "float32" and leaf.value.tolist() == [3, 4]
    leaf.assign(np.float64([0.1, 0.2]))
    assert leaf.value.tolist() == np.float32([0.1, 0.2]).tolist()
    doubled = w * 2
    assert doubled.value == 4.0
    w.assign(5)
    assert doubled.value == 10.0  # nothing is cached


def test_assign_refuses(w):
    leaf = bl.variable([1.0, 2.0], "kernel")
    for value in (3.0, [1.0], [[1.0, 2.0]], [1.0, 2.0, 3.0]):
        with pytest.raises(ShapeError, match="kernel keeps its shape"):
            leaf.assign(value)
    with pytest.raises(ArgumentError):
        leaf.assign(["a", "b"])
    with pytest.raises(DTypeError, match="int64"):
        bl.variable(np.array([1, 2])).assign([1.5, 2.5])
    for fixed in (bl.constant(3.0), bl.input(()), w * 2):
        with pytest.raises((GraphError, AttributeError)):
            fixed.assign(4.0)
    assert leaf.value.tolist() == [1.0, 2.0]


def test_a_state_can_be_assigned_and_is_no_parameter():
    total = state(0.0, "total")
    total.assign(3.0)
    assert total.value == 3.0 and not total.trainable


@pytest.mark.parametrize("value", ["abc", None, [[1, 2], [3]], 1j, object(), {"a": 1}])
def test_what_is_no_number_is_refused(value, w):
    for use in (bl.variable, bl.constant, lambda it: w + it):
        with pytest.raises(ArgumentError) as caught:
            use(value)
        assert isinstance(caught.value, TypeError)


def test_whole_numbers_too_large_are_refused():
    with pytest.raises(DTypeError, match="does not fit into int64"):
        bl.variable(np.array([2**64 - 1], np.uint64))
    assert bl.variable(np.array([7], np.uint64)).dtype == "int64"


def test_names():
    for wrong in (lambda: bl.variable(1.0, 3), lambda: bl.name(bl.variable(1.0), 3), lambda: bl.input((), ("x",))):
        with pytest.raises(ArgumentError, match=r"(name|text) must be text"):
            wrong()
    assert bl.variable(1.0, "w").name == "w" and bl.variable(1.0).name is None
    w = bl.variable(1.0, "w")
    assert (w * 2).name is None and bl.name(w * 2, "c").name == "c"
    assert repr(bl.name(w * 2, "c")) == "<mark 'c' shape=() float64>"
    assert repr(bl.input((bl.M, 3), "x")) == "<input 'x' shape=(m, 3) float64>"


# ---------------------------------------------------------------------- what Python must not do
def test_a_node_has_no_truth_value(w):
    for use in (bool, lambda n: not n, lambda n: n and 1, lambda n: max(n, n * 2), lambda n: 1 if n > 0 else 2):
        with pytest.raises(GraphError, match=r"bl\.ops\.where\(condition, a, b\)"):
            use(w)
    with pytest.raises(GraphError):
        assert 0 < w < 3


def test_iteration_and_length(v):
    assert len(v) == 3
    assert [part.value for part in v] == [1.0, 2.0, 3.0]
    first, _, last = v
    assert (first * last).value == 3.0
    parts = bl.ops.split(bl.variable(np.arange(6.0).reshape(2, 3)), sections=3, axis=1)
    assert len(parts) == 3 and [part.shape for part in parts] == [(2, 1)] * 3
    assert parts[-1] is parts[2]


@pytest.mark.parametrize("make", [lambda: bl.variable(1.0), lambda: bl.input((bl.M, 2))])
def test_no_iteration_where_there_is_no_fixed_length(make):
    for use in (list, len):
        with pytest.raises(GraphError, match="no fixed length"):
            use(make())


def test_several_outputs_are_not_one_value():
    parts = bl.ops.split(bl.variable(np.ones(4)), sections=2)
    for use in (lambda: parts + 1, lambda: bl.ops.sum(parts), lambda: bl.name(parts, "both")):
        with pytest.raises(GraphError, match="pick one"):
            use()
    for place in (2, -3):
        with pytest.raises(ShapeError, match=f"no output {place}"):
            parts[place]
    with pytest.raises(ShapeError):
        bl.ops.item(bl.variable([1.0, 2.0]), place=0)


def test_float_and_asarray(w, v):
    assert float(w * 2) == 4.0
    assert np.asarray(v).tolist() == [1.0, 2.0, 3.0]
    assert np.asarray(v * 2, dtype="float32").dtype == "float32"
    with pytest.raises(TypeError):
        float(v)


def test_an_input_alone_has_no_value():
    x = bl.input((2,), "x")
    for use in (lambda: x.value, lambda: (x * 2).value, lambda: np.asarray(x)):
        with pytest.raises(NotReadyError, match="'x'"):
            use()


def test_lists_of_nodes_and_nodes_as_attributes_are_refused(w, v):
    with pytest.raises(ArgumentError, match=r"bl\.ops\.stack"):
        bl.ops.sum([w, w])
    with pytest.raises(ArgumentError, match=r"bl\.ops\.stack"):
        v + [w, w, w]  # noqa: RUF005
    assert bl.ops.stack([w, w * 2]).value.tolist() == [2.0, 4.0]
    with pytest.raises(ArgumentError, match="known when the graph is built"):
        bl.ops.clip(v, 0.0, w)


# ---------------------------------------------------------------------- operators
@pytest.mark.parametrize(
    "operation",
    [
        lambda a, b: a + b,
        lambda a, b: a - b,
        lambda a, b: a * b,
        lambda a, b: a / b,
        lambda a, b: a**b,
        lambda a, b: a < b,
        lambda a, b: a <= b,
        lambda a, b: a > b,
        lambda a, b: a >= b,
    ],
)
def test_operators_on_both_sides(operation):
    x, y = np.array([[1.0, 2.0, 3.0]]), np.array([[2.0], [1.5]])
    for left, right in ((x, y), (x, 2), (2.5, y), (np.float64(1.5), y)):
        expected = operation(left, right)
        a, b = bl.variable(left), bl.variable(right)
        for node in (operation(a, b), operation(a, right), operation(left, b)):
            assert isinstance(node, bl.Node)
            assert np.array_equal(node.value, expected)


def test_signs(v):
    assert (-v).value.tolist() == [-1, -2, -3] and abs(-v).value.tolist() == [1, 2, 3] and +v is v


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 3), (3, 2)), ((5, 2, 3), (3, 4))]
)
def test_matrix_products_are_numpys(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=a), rng.normal(size=b)
    for node in (bl.variable(x) @ y, x @ bl.variable(y), np.matmul(bl.variable(x), y)):
        assert isinstance(node, bl.Node)
        assert node.value == pytest.approx(x @ y, rel=1e-14)
    if len(a) < 3:
        assert np.dot(x, bl.variable(y)).value == pytest.approx(np.dot(x, y), rel=1e-14)


def test_assigning_operators_make_a_new_node(w):
    before = w
    J = 0
    J += w * 3
    J /= 2
    w -= 1
    assert J.value == 3.0 and w.value == 1.0 and before.value == 2.0


def test_methods(v):
    A = np.arange(6.0).reshape(2, 3)
    a = bl.variable(A)
    for got, expected in [
        (a.reshape(3, 2), A.reshape(3, 2)),
        (a.reshape((3, -1)), A.reshape(3, 2)),
        (a.reshape(-1), A.reshape(-1)),
        (a.T, A.T),
        (a.transpose(), A.T),
        (a.transpose(1, 0), A.T),
        (a.transpose([0, 1]), A),
        (a.sum(axis=0, keepdims=True), A.sum(axis=0, keepdims=True)),
        (a.mean(), A.mean()),
        (a.max(axis=1), A.max(axis=1)),
        (a.min(), A.min()),
        (a.dot(A.T), A.dot(A.T)),
        (a.argmax(axis=1), A.argmax(axis=1)),
        (a.argmax(), A.argmax()),
        (np.argmin(a), np.argmin(A)),
        (a.clip(1.0, 4.0), A.clip(1, 4)),
        (a.astype("float32"), A.astype("float32")),
    ]:
        assert got.dtype == expected.dtype and got.shape == expected.shape
        assert np.array_equal(got.value, expected)


KEYS = [
    0,
    -1,
    (1, 2),
    slice(1, None),
    (slice(None), 0),
    (slice(None), slice(0, 1)),
    (Ellipsis, -1),
    None,
    (slice(None), None),
    slice(None, None, -1),
    (0, slice(None, None, 2)),
    (slice(1, 1), slice(None)),
    [1, 0, 1],
    np.array([1, 1]),
    (slice(None), [2, 0]),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_numpys(key):
    A = np.arange(6.0).reshape(2, 3)
    assert np.array_equal(bl.variable(A)[key].value, A[key])


def test_indexing_refuses(v):
    for key in (3, -4, (0, 0)):
        with pytest.raises(ShapeError):
            v[key]
    for key in (1.5, "a", np.array([True, False, True]), [0.0, 1.0]):
        with pytest.raises(ArgumentError):
            v[key]
    with pytest.raises(ArgumentError, match="one array of places"):
        bl.variable(np.ones((2, 3)))[[0, 1], 0]


# ---------------------------------------------------------------------- NumPy functions find the record
UNARY = [
    *(np.exp, np.log, np.tanh, np.sqrt, np.abs, np.sign, np.sin, np.cos, np.tan, np.arctan, np.square, np.negative),
    *(np.expm1, np.log1p, np.floor, np.ceil, np.rint, np.isfinite, np.sum, np.mean, np.max, np.min, np.prod, np.var),
    *(np.std, np.transpose, np.squeeze, np.zeros_like, np.ones_like, np.all, np.any, operator.neg, abs),
]


@pytest.mark.parametrize("function", UNARY, ids=lambda f: f.__name__)
def test_numpy_functions_of_one_node(function):
    x = np.array([[0.5, 1.5, 2.5]])
    node = function(bl.variable(x))
    assert isinstance(node, bl.Node)
    expected = function(x)
    assert node.shape == np.shape(expected) and node.dtype == np.asarray(expected).dtype.name
    assert node.value == pytest.approx(expected, rel=1e-15)


def test_numpy_functions_with_arguments():
    rng = np.random.default_rng(0)
    w, X, dZ = rng.normal(size=(3, 1)), rng.normal(size=(3, 5)), rng.normal(size=(2, 5))
    a, b, c = bl.variable(w), bl.variable(X), bl.variable(dZ)
    for got, expected in [
        (np.dot(a.T, b), np.dot(w.T, X)),
        (np.dot(a.T, X), np.dot(w.T, X)),
        (np.dot(w.T, b), np.dot(w.T, X)),
        (np.sum(c, axis=1, keepdims=True), np.sum(dZ, axis=1, keepdims=True)),
        (np.mean(c, axis=0), np.mean(dZ, axis=0)),
        (np.maximum(0, b), np.maximum(0, X)),
        (np.minimum(b, a), np.minimum(X, w)),
        (np.where(b > 0, b, 0.01 * b), np.where(X > 0, X, 0.01 * X)),
        (np.clip(b, -1, 1), np.clip(X, -1, 1)),
        (np.power(b, 2), np.power(X, 2)),
        (np.concatenate([b, c], axis=0), np.concatenate([X, dZ], axis=0)),
        (np.stack([b, b * 2]), np.stack([X, X * 2])),
        (np.reshape(b, (5, 3)), np.reshape(X, (5, 3))),
        (np.transpose(b, (1, 0)), np.transpose(X, (1, 0))),
        (np.expand_dims(b, 0), np.expand_dims(X, 0)),
        (np.take(b, [0, 2], axis=1), np.take(X, [0, 2], axis=1)),
        (np.linalg.norm(b), np.linalg.norm(X)),
        (np.logical_and(b > 0, b < 1), np.logical_and(X > 0, X < 1)),
    ]:
        assert isinstance(got, bl.Node)
        assert got.value == pytest.approx(expected, rel=1e-14)


def test_a_numpy_function_without_a_record_says_so(w):
    for use, name in ((lambda: np.arcsin(w), "arcsin"), (lambda: np.linalg.inv(w), "inv")):
        with pytest.raises(bl.BacklitError, match=rf"there is no record for np\.{name}"):
            use()
    with pytest.raises(TypeError):
        np.exp(w, out=np.zeros(()))


def test_concrete_in_concrete_out():
    for value in (bl.ops.exp(1.0), bl.ops.add([1.0, 2.0], 1), bl.nn.softmax(np.ones((2, 3)))):
        assert isinstance(value, (np.ndarray, np.generic))
    assert bl.ops.sum(np.arange(4)) == 6
    assert isinstance(bl.ops.exp(bl.constant(1.0)), bl.Node)


# ---------------------------------------------------------------------- the course's own code, arrays or nodes
def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def k9(w, x, b, y, alpha):
    z = np.dot(w, x) + b
    f_x = 1 / (1 + np.exp(-z))
    loss = -y * np.log(f_x) - (1 - y) * np.log(1 - f_x)
    dj_dw = (f_x - y) * x
    dj_db = f_x - y
    w = w - alpha * dj_dw
    b = b - alpha * dj_db
    z = 0
    for i in range(3):
        z += w[i] * x[i]
    z += b
    return loss, w, b, z


def k10(X, Y, w1, w2, b, alpha=0.1, m=5):
    J = 0
    dw1 = 0
    dw2 = 0
    db = 0
    for i in range(m):
        z = w1 * X[0, i] + w2 * X[1, i] + b
        a = sigmoid(z)
        J += -(Y[0, i] * np.log(a) + (1 - Y[0, i]) * np.log(1 - a))
        dz = a - Y[0, i]
        dw1 += X[0, i] * dz
        dw2 += X[1, i] * dz
        db += dz
    J /= m
    dw1 /= m
    dw2 /= m
    db /= m
    w1 -= alpha * dw1
    w2 -= alpha * dw2
    b -= alpha * db
    return J, dw1, dw2, db, w1, w2, b


def k11(X, Y, w, b, alpha=0.1, m=5):
    Z = np.dot(w.T, X) + b
    A = sigmoid(Z)
    dZ = A - Y
    dw = (1 / m) * np.dot(X, dZ.T)
    db = (1 / m) * np.sum(dZ)
    w = w - alpha * dw
    b = b - alpha * db
    return dw, db, w, b


def k12(X, Y, W1, b1, W2, b2, m=5):
    Z1 = np.dot(W1, X) + b1
    A1 = np.tanh(Z1)
    Z2 = np.dot(W2, A1) + b2
    A2 = sigmoid(Z2)
    dZ2 = A2 - Y
    dW2 = (1 / m) * np.dot(dZ2, A1.T)
    db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
    dZ1 = np.dot(W2.T, dZ2) * (1 - A1**2)
    dW1 = (1 / m) * np.dot(dZ1, X.T)
    db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
    y_prediction = A2 > 0.5
    return dW2, db2, dW1, db1, y_prediction


def k14(X, dA, W1, b1, W2, b2, m=5):
    def linear_activation_forward(A_prev, W, b, g):
        Z = np.dot(W, A_prev) + b
        return g(Z), (A_prev, W, b, Z)

    def layer_backward(dA, cache, g_prime, m):
        A_prev, W, _, Z = cache
        dZ = dA * g_prime(Z)
        dW = (1 / m) * np.dot(dZ, A_prev.T)
        db = (1 / m) * np.sum(dZ, axis=1, keepdims=True)
        return np.dot(W.T, dZ), dW, db

    A1, cache1 = linear_activation_forward(X, W1, b1, np.tanh)
    A2, cache2 = linear_activation_forward(A1, W2, b2, sigmoid)
    dA1, dW2, db2 = layer_backward(dA, cache2, lambda z: sigmoid(z) * (1 - sigmoid(z)), m)
    dA0, dW1, db1 = layer_backward(dA1, cache1, lambda z: 1 - np.tanh(z) ** 2, m)
    return A2, dA0, dW1, db1, dW2, db2


def k16(A):
    cal = A.sum(axis=0)
    return cal, 100 * A / cal.reshape(1, 4)


RNG = np.random.default_rng(13)
X, Y = RNG.normal(size=(2, 5)), (RNG.random((1, 5)) < 0.5).astype(float)
W1, b1 = RNG.standard_normal((2, 2)) * 0.01, np.zeros((2, 1))  # K13
W2, b2 = RNG.standard_normal((1, 2)) * 0.01, 0.0
SNIPPETS = [
    (k9, [RNG.normal(size=3), RNG.normal(size=3), 0.3, 1.0, 0.1]),
    (k10, [X, Y, 0.2, -0.3, 0.1]),
    (k11, [X, Y, RNG.normal(size=(2, 1)), 0.1]),
    (k12, [X, Y, W1, b1, W2, b2]),
    (k14, [X, RNG.normal(size=(1, 5)), W1, b1, W2, b2]),
    (k16, [np.abs(RNG.normal(size=(3, 4)))]),
]


@pytest.mark.parametrize(("snippet", "arguments"), SNIPPETS, ids=lambda it: getattr(it, "__name__", ""))
def test_the_courses_code_runs_on_nodes(snippet, arguments):
    expected = snippet(*arguments)
    everything = snippet(*map(bl.variable, arguments))
    parameters_only = snippet(*arguments[:-1], bl.variable(arguments[-1]))
    assert all(isinstance(got, bl.Node) for got in everything)
    assert any(isinstance(got, bl.Node) for got in parameters_only)
    for got, partly, value in zip(everything, parameters_only, expected, strict=True):
        assert np.shape(got.value) == np.shape(value)
        assert got.value == pytest.approx(np.asarray(value), rel=1e-13, abs=1e-16)
        assert np.asarray(partly) == pytest.approx(np.asarray(value), rel=1e-13, abs=1e-16)


def test_the_courses_gradients_are_ours():
    w1, w2, b = parameters = [bl.variable(v) for v in (0.2, -0.3, 0.1)]
    J, *by_hand = k10(X, Y, w1, w2, b)[:4]
    for ours, theirs in zip(bl.grad(J, parameters), by_hand, strict=True):
        assert ours.value == pytest.approx(theirs.value, rel=1e-12)

    parameters = [bl.variable(v) for v in (W1, b1, W2, b2)]
    A2 = sigmoid(np.dot(parameters[2], np.tanh(np.dot(parameters[0], X) + parameters[1])) + parameters[3])
    J = -np.mean(Y * np.log(A2) + (1 - Y) * np.log(1 - A2))
    dW2, db2, dW1, db1, _ = k12(X, Y, W1, b1, W2, b2)
    for ours, theirs in zip(bl.grad(J, parameters), (dW1, db1, dW2, db2.item()), strict=True):
        assert ours.value == pytest.approx(theirs, rel=1e-12, abs=1e-17)


# ---------------------------------------------------------------------- where a node was made
def test_where_is_the_line_of_the_users_code(w):
    x = w * 17.25
    assert x.where == ((__file__, line() - 1),)
    y = np.sum(bl.ops.softmax(x.reshape(1)))
    assert y.where == ((__file__, line() - 1),)
    assert y.inputs[0].body.where == ((__file__, line() - 2),)  # inside a definition: still the user's line
    assert w.where[0][0] == __file__


def test_where_keeps_at_most_four_lines():
    v = bl.variable(1.0)
    first = line() + 1
    kept = v * 3.5
    _ = v * 3.5
    _ = v * 3.5
    _ = v * 3.5
    _ = v * 3.5
    assert kept.where == tuple((__file__, first + k) for k in range(4))
    for _ in range(3):
        again = v * 4.5
    assert len(again.where) == 1


def test_derivatives_inherit_where(w):
    x = bl.variable(0.5)
    y = bl.ops.tanh(x)
    made = line() - 1
    J = y * 8.125
    slope = bl.grad(J, x)
    assert slope.where == ((__file__, made),)
    lines = {where for node in (slope, *slope.inputs) for where in node.where}
    assert lines <= {(__file__, made), (__file__, made + 2)}
