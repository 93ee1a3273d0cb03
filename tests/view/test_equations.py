"""The equations of a model: that they are those of the textbook, and that they are true."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.core.errors import ArgumentError, BacklitError, NotReadyError, ShapeError, ValueRangeError
from backlit.layers import BatchNormalization, Conv1D, Dense, Dropout, Flatten, Normalization
from backlit.losses import BinaryCrossentropy, BinaryFocalCrossentropy, CategoricalCrossentropy, MeanSquaredError
from tests.view.networks import LOGITS, NETWORKS, batch, chain, sum_and_mean, trained_gradients, two_ways


def written(model, part=None, convention="rows"):
    rows = model.equations(convention=convention).rows
    return [str(row) for row in rows if part in (None, row.part)]


# ---------------------------------------------------------------------- they are those of the textbook
def test_two_layers_have_four_equations_forward_and_six_backward():
    model = chain(Dense(5, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy")
    assert written(model, "forward") == ["Z1 = X W1 + b1", "A1 = tanh(Z1)", "Z2 = A1 W2 + b2", "A2 = sigmoid(Z2)"]
    assert written(model, "backward") == [
        "dZ2 = A2 - Y",
        "dW2 = A1ᵀ dZ2 / m",
        "db2 = sum(dZ2, axis=0) / m",
        "dZ1 = dZ2 W2ᵀ * (1 - A1 * A1)",
        "dW1 = Xᵀ dZ1 / m",
        "db1 = sum(dZ1, axis=0) / m",
    ]


def test_examples_as_columns_give_the_equations_of_the_course():
    model = chain(Dense(5, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy")
    assert written(model, "forward", "columns") == [
        "Z1 = W1 X + b1", "A1 = tanh(Z1)", "Z2 = W2 A1 + b2", "A2 = sigmoid(Z2)",
    ]  # fmt: skip
    assert written(model, "backward", "columns") == [
        "dZ2 = A2 - Y",
        "dW2 = dZ2 A1ᵀ / m",
        "db2 = sum(dZ2, axis=1, keepdims=True) / m",
        "dZ1 = W2ᵀ dZ2 * (1 - A1 * A1)",
        "dW1 = dZ1 Xᵀ / m",
        "db1 = sum(dZ1, axis=1, keepdims=True) / m",
    ]
    shapes = {row.left: row.shape for row in model.equations(convention="columns").rows}
    assert (shapes["Z1"], shapes["dW2"], shapes["db1"]) == ("(5, m)", "(1, 5)", "(5, 1)")


def test_softmax_inside_the_loss_is_an_equation_of_its_own():
    model = chain(Dense(3, "relu"), Dense(4), loss=LOGITS)
    rows = {row.left: row for row in model.equations().rows}
    assert str(rows["A2"]) == "A2 = softmax(Z2)" and "from_logits" in rows["A2"].note
    assert str(rows["Y"]) == "Y = one_hot(y, depth=4)"
    assert str(rows["dZ2"]) == "dZ2 = A2 - Y"
    assert str(rows["J"]) == "J = mean(L(y, Z2))"
    assert "L is SparseCategoricalCrossentropy(from_logits=True): -log p[y]" in str(model.equations())


@pytest.mark.parametrize(
    ("last", "units", "loss", "expected"),
    [
        ("softmax", 3, "categorical_crossentropy", "A1 - Y"),
        ("softmax", 3, "sparse_categorical_crossentropy", "A1 - Y"),
        (None, 3, CategoricalCrossentropy(from_logits=True), "A1 - Y"),
        (None, 1, BinaryCrossentropy(from_logits=True), "A1 - Y"),
        ("sigmoid", 4, "binary_crossentropy", "(A1 - Y) / 4"),
        (None, 1, "mse", "2 * (A1 - Y)"),
        (None, 3, "mse", "2 * (A1 - Y) / 3"),
        (None, 3, "half_squared_error", "(A1 - Y) / 3"),
        (None, 1, "mae", "sign(A1 - Y)"),
    ],
)
def test_a_plain_difference_is_recognised(last, units, loss, expected):
    model = chain(Dense(units, last), loss=loss)
    assert written(model, "backward")[0] == f"dZ1 = {expected}"


@pytest.mark.parametrize(
    ("last", "loss"),
    [
        (None, "huber"),
        (None, "log_cosh"),
        ("sigmoid", BinaryFocalCrossentropy()),
        ("sigmoid", BinaryCrossentropy(label_smoothing=0.2)),
        ("sigmoid", "mse"),
    ],
)
def test_what_is_no_plain_difference_is_not_taken_for_one(last, loss):
    assert not re.fullmatch(
        r"dZ1 = [\d.* ]*\(?A1 - Y\)?[\d/ ]*", written(chain(Dense(3, last), loss=loss), "backward")[0]
    )


def test_a_penalty_stands_in_the_cost_and_in_the_gradient():
    model = chain(Dense(2, kernel_regularizer=bl.regularizers.L2(0.01)))
    assert "R = 0.01 * sum(W1 ** 2)" in written(model) and "J = mean(L(Y, Z1)) + R" in written(model)
    assert "dW1 = Xᵀ dZ1 / m + 0.02 * W1" in written(model)


def test_a_sum_as_reduction_has_no_m():
    model = chain(Dense(1), loss=MeanSquaredError(reduction="sum"))
    assert "dW1 = Xᵀ dZ1" in written(model) and "J = sum(L(Y, Z1))" in written(model)


def test_what_is_before_the_first_weight_needs_no_gradient():
    model = chain(Normalization(mean=1.0, variance=4.0), Dense(3, "relu"), Dense(1))
    assert written(model, "forward")[0] == "A0 = (X - mean) / scale"
    assert "dW1 = A0ᵀ dZ1 / m" in written(model)
    assert not [row for row in written(model) if row.startswith(("dA0", "dX"))]


def test_frozen_layers_have_no_gradient():
    model = chain(Dense(3, "relu", trainable=False), Dense(1))
    left = [row.left for row in model.equations().rows if row.part == "backward"]
    assert left == ["dZ2", "dW2", "db2"]


def test_the_general_form_follows_deep_chains_of_dense_layers_only():
    deep = str(chain(Dense(3, "relu"), Dense(3, "relu"), Dense(1)).equations())
    assert "dW[l] = A[l-1]ᵀ dZ[l] / m" in deep
    assert "A[l-1]" not in str(chain(Dense(1)).equations())
    assert "A[l-1]" not in str(chain(Dense(3), BatchNormalization(), Dense(1)).equations())
    assert "A[l-1]" not in str(sum_and_mean().equations())
    assert "A[l-1]" in str(chain(Normalization(mean=1.0, variance=2.0), Dense(3), Dense(3), loss=LOGITS).equations())


def test_without_a_loss_there_is_only_the_way_forward():
    model = bl.Sequential([bl.Input((3,)), Dense(2, "relu"), Dense(1)])
    assert {row.part for row in model.equations().rows} == {"forward"}
    assert "not compiled" in str(model.equations()) and "dZ[l]" not in str(model.equations())


def test_numbers_are_those_of_the_weights():
    model = chain(Dense(1), shape=(2,))
    model.set_weights([[[2.0], [-0.5]], [3.0]])
    assert "Z1[0] = 2 * X[0] - 0.5 * X[1] + 3" in str(model.equations(numbers=True))
    assert "Z1[0] = 2 * X[0] - 0.5 * X[1] + 3" in str(model.equations(numbers=True, convention="columns"))
    model.about = {"columns": ["size", "age"]}
    assert "Z1[0] = 2 * size - 0.5 * age + 3" in str(model.equations(numbers=True))
    assert "Z1[0]" not in str(model.equations())


# ---------------------------------------------------------------------- they are true
def test_a_network_by_hand(float64):
    """relu, softmax and cross-entropy with L2, once more in NumPy."""
    penalty = bl.regularizers.L2(0.01)
    model = chain(Dense(5, "relu", kernel_regularizer=penalty), Dense(3), loss=LOGITS)
    x, y = batch(model)
    w1, b1, w2, b2 = model.get_weights()
    z1 = x @ w1 + b1
    a1 = np.maximum(z1, 0)
    z2 = a1 @ w2 + b2
    a2 = np.exp(z2) / np.exp(z2).sum(axis=1, keepdims=True)
    hot = np.eye(3)[y]
    expected = {
        "Z1": z1, "A1": a1, "Z2": z2, "A2": a2, "Y": hot,
        "J": -np.log((a2 * hot).sum(axis=1)).mean() + 0.01 * (w1**2).sum(),
        "dZ2": a2 - hot, "dW2": a1.T @ (a2 - hot) / len(x), "db2": (a2 - hot).mean(axis=0),
    }  # fmt: skip
    expected["dZ1"] = (a2 - hot) @ w2.T * (z1 > 0)
    expected["dW1"] = x.T @ expected["dZ1"] / len(x) + 0.02 * w1
    expected["db1"] = expected["dZ1"].mean(axis=0)
    rows, columns = (model.equations(convention=each).values(x, y) for each in ("rows", "columns"))
    for name, value in expected.items():
        np.testing.assert_allclose(rows[name], value, rtol=1e-12, atol=1e-14, err_msg=name)
        turned = value.reshape(-1, 1) if value.ndim == 1 else value.T
        np.testing.assert_allclose(columns[name], turned, rtol=1e-12, atol=1e-14, err_msg=name)


NUMPY = {
    "sum": np.sum, "where": np.where, "exp": np.exp, "sqrt": np.sqrt, "sign": np.sign, "minimum": np.minimum,
    "tanh": np.tanh, "relu": lambda z: np.maximum(z, 0), "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "elu": lambda z: np.where(z > 0, z, np.expm1(np.minimum(z, 0))), "linear": lambda z: z,
    "softmax": lambda z, axis=-1: np.exp(z) / np.exp(z).sum(axis=axis, keepdims=True),
    "one_hot": lambda y, depth: np.eye(depth)[y], "__builtins__": {},
}  # fmt: skip


@pytest.mark.parametrize("convention", ["rows", "columns"])
def test_the_text_is_numpy_that_computes_the_values(float64, convention):
    layers = [Normalization(mean=0.5, variance=2.0), Dense(5, "relu", kernel_regularizer="l2"), Dense(4, "tanh")]
    model = chain(*layers, Dense(3, "elu"), Dense(3, "softmax"), loss="sparse_categorical_crossentropy")
    x, y = batch(model)
    equations = model.equations(convention=convention)
    values = equations.values(x, y)
    seen = 0
    for row in equations.rows:
        if row.left != "J" and "'" not in row.left + row.right:
            found = eval(row.right, dict(NUMPY), values)
            np.testing.assert_allclose(found, values[row.left], rtol=1e-10, err_msg=str(row))
            seen += 1
    assert seen > 20


def agree(model, convention="rows", far=1.0):
    """The equations' gradients are those of the training step, for every weight."""
    x, y = batch(model, far=far)
    equations = model.equations(convention=convention)
    values = equations.values(x, y)
    gradients = trained_gradients(model, x, y)
    names = {own: name for name, own in equations.weights.items()}
    for own, expected in gradients.items():
        if convention == "columns":
            expected = expected.T if expected.ndim == 2 else expected.reshape(-1, 1)
        found = values.get(f"d{names[own]}", np.zeros_like(expected))  # a weight that nothing reads has no equation
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-11, err_msg=f"{names[own]} of {model.name}")


@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_are_those_of_the_training_step(float64, name):
    agree(NETWORKS[name](), far=30.0 if name == "far" else 1.0)


@pytest.mark.parametrize(
    "name",
    ["digits", "batch normalization", "focal", "softmax twice", "sums", "sum and mean", "labels that do not count"],
)
def test_gradients_with_examples_as_columns_are_those_of_the_training_step(float64, name):
    agree(NETWORKS[name](), "columns")


ENDS = [
    ("softmax", 3, "sparse_categorical_crossentropy"), (None, 3, LOGITS), ("sigmoid", 2, "binary_crossentropy"),
    (None, 1, BinaryCrossentropy(from_logits=True)), (None, 2, "mse"), ("relu", 1, "mse"), (None, 2, "hinge"),
    ("softplus", 1, "poisson"), ("tanh", 2, "mae"),
]  # fmt: skip


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(st.integers(1, 4), st.sampled_from(["relu", "tanh", "sigmoid", None, "gelu", "elu"])), max_size=3
    ),
    st.sampled_from(ENDS),
    st.sampled_from(["rows", "columns"]),
)
def test_gradients_of_random_chains(hidden, end, convention):
    bl.set_floatx("float64")
    try:
        last, units, loss = end
        agree(chain(*(Dense(n, g) for n, g in hidden), Dense(units, last), loss=loss), convention)
    finally:
        bl.set_floatx("float32")


def test_dropout_is_the_mask_that_is_given(float64):
    model = chain(Dense(5, "relu"), Dropout(0.2), Dense(1))
    x, y = batch(model)
    mask = np.random.default_rng(1).random((len(x), 5)) < 0.8
    values = model.equations().values(x, y, draws={"D1": mask})
    w1, b1, w2, b2 = model.get_weights()
    dropped = np.where(mask, np.maximum(x @ w1 + b1, 0) / 0.8, 0)
    slope = 2 * (dropped @ w2 + b2 - y)
    np.testing.assert_allclose(values["A1'"], dropped, rtol=1e-12)
    np.testing.assert_allclose(values["dW1"], x.T @ (slope @ w2.T * mask / 0.8 * (x @ w1 + b1 > 0)) / len(x), rtol=1e-9)


def test_looking_changes_nothing():
    def run(looking):
        bl.random.set_seed(3)
        model = chain(Dense(5), BatchNormalization(), Dropout(0.3), Dense(1))
        x, y = batch(model)
        for _ in range(3):
            if looking:
                str(model.equations()), str(model.shapes()), str(model.explain())
            model.train_on_batch(x, y)
        return model.get_weights()

    for seen, unseen in zip(run(True), run(False), strict=True):
        np.testing.assert_array_equal(seen, unseen)


# ---------------------------------------------------------------------- how they are written
def test_latex_has_symbols_and_whole_brackets():
    latex = NETWORKS["digits"]().equations().latex
    assert latex.startswith("\\begin{aligned}") and latex.count("{") == latex.count("}")
    assert "dZ_{1} &= dZ_{2} W_{2}^T" in latex and "\\frac{A_{1}^T dZ_{2}}{m}" in latex
    assert chain(Dense(1)).equations()._repr_latex_().startswith("$$")


def test_html_escapes_and_sets_numbers_low():
    page = chain(Dense(2, "relu", name="a&b"), Dense(1)).equations()._repr_html_()
    assert "<i>Z</i><sub>1</sub> &gt; 0" in page and "a&amp;b" in page and "a&b" not in page


@pytest.mark.parametrize("name", NETWORKS)
def test_every_equation_is_one_line(name):
    equations = NETWORKS[name]().equations()
    assert all("\n" not in str(row) and row.shape.startswith("(") for row in equations.rows)
    assert len({row.left for row in equations.rows}) == len(equations.rows)


# ---------------------------------------------------------------------- what is refused
def test_refused():
    plain = chain(Dense(1), shape=(3,))
    with pytest.raises(ValueRangeError, match="rows"):
        plain.equations(convention="row")
    with pytest.raises(NotReadyError, match="no weights"):
        bl.Sequential([Dense(2)]).equations()
    with pytest.raises(ValueRangeError, match="columns"):
        chain(Conv1D(2, 2), Flatten(), Dense(1), shape=(5, 2)).equations(convention="columns")
    with pytest.raises(ValueRangeError, match="'embedding'"):
        NETWORKS["ids"]().shapes(convention="columns")
    with pytest.raises(ArgumentError, match="D1"):
        chain(Dense(2), Dropout(0.5), Dense(1)).equations().values(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="X does not fit"):
        plain.equations().values(np.ones((2, 4)))
    with pytest.raises(ShapeError, match="inputs"):
        two_ways().equations().values([np.ones((2, 3))])
    with pytest.raises(ArgumentError, match="no loss"):
        bl.Sequential([bl.Input((3,)), Dense(1)]).equations().values(np.ones((2, 3)), np.ones((2, 1)))
    assert issubclass(ShapeError, BacklitError)
