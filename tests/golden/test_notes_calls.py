"""The calls that readers of the course notes type (K1-K25), with only import lines and prefixes changed."""

from __future__ import annotations

import numpy as np
import pytest

import backlit
import backlit as bl
from backlit import Sequential
from backlit.layers import Conv1D, Dense, Flatten
from backlit.losses import BinaryCrossentropy, MeanAbsoluteError, MeanSquaredError, SparseCategoricalCrossentropy


@pytest.fixture(autouse=True)
def seed() -> None:
    backlit.random.set_seed(1234)


RNG = np.random.default_rng(5)
X = RNG.normal(size=(60, 20))
ONE = (X[:, :1] > 0).astype(float)
TEN = RNG.integers(0, 10, 60)


def test_k1_no_optimizer_is_adam_and_says_so(capfd: pytest.CaptureFixture[str]) -> None:
    model = Sequential([
        Dense(units=25, activation='sigmoid'),
        Dense(units=15, activation='sigmoid'),
        Dense(units=1,  activation='sigmoid')])
    model.compile(loss=BinaryCrossentropy())
    assert "Adam" in capfd.readouterr().err
    history = model.fit(X, ONE, epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


@pytest.mark.parametrize("output", ["sigmoid", "relu", "linear"])
def test_k2_choices_of_the_output(output: str) -> None:
    model = Sequential([
        Dense(units=25, activation='relu'),
        Dense(units=15, activation='relu'),
        Dense(units=1,  activation=output)])
    model.compile(loss=MeanSquaredError() if output != "sigmoid" else BinaryCrossentropy())
    model.fit(X, ONE, epochs=2, verbose=0)
    assert model.predict(X).shape == (60, 1)


def test_k3_softmax_of_ten() -> None:
    model = Sequential([
        Dense(units=25, activation='relu'),
        Dense(units=15, activation='relu'),
        Dense(units=10, activation='softmax')])
    model.compile(loss=SparseCategoricalCrossentropy())
    model.fit(X, TEN, epochs=3, verbose=0)
    assert model.predict(X).sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)


def test_k4_k6_k7_logits_and_conversion() -> None:
    model = Sequential([
        Dense(units=25, activation='relu'),
        Dense(units=15, activation='relu'),
        Dense(units=10, activation='linear')])
    model.compile(optimizer=backlit.optimizers.Adam(learning_rate=1e-3),
                  loss=SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, TEN, epochs=3, verbose=0)
    logits = model(X)
    f_x = backlit.nn.softmax(logits)
    assert isinstance(f_x, np.ndarray) and f_x.sum(axis=1) == pytest.approx(np.ones(60), abs=1e-5)
    output = model.predict(X)
    probs = backlit.nn.softmax(output)
    assert np.array_equal(probs.argmax(axis=1), model.predict_classes(X))
    assert np.array_equal(output, logits)


def test_k5_binary_plain_and_preferred_are_the_same_training() -> None:
    kernels = []
    for activation, loss in (("sigmoid", BinaryCrossentropy()), ("linear", BinaryCrossentropy(from_logits=True))):
        backlit.random.set_seed(3)
        model = Sequential([Dense(25, activation='relu'), Dense(15, activation='relu'), Dense(1, activation=activation)])
        model.compile(loss=loss)
        model.fit(X, ONE, epochs=5, verbose=0)
        kernels.append(model.layers[0].get_weights()[0])
    assert kernels[0] == pytest.approx(kernels[1], abs=1e-6)
    assert backlit.nn.sigmoid(model(X)).max() <= 1


def test_k8_regression_and_multi_label() -> None:
    for loss in (MeanSquaredError(), MeanAbsoluteError()):
        model = Sequential([Dense(25, activation='relu'), Dense(1)])
        model.compile(loss=loss)
        model.fit(X, X[:, :1], epochs=2, verbose=0)
    labels = (X[:, :3] > 0).astype(int)
    model = Sequential([Dense(25, activation='relu'), Dense(15, activation='relu'), Dense(3, activation='sigmoid')])
    model.compile(optimizer=bl.optimizers.Adam(0.01), loss=BinaryCrossentropy())
    model.fit(X, labels, epochs=60, verbose=0)
    assert (model.predict_classes(X) == labels).mean() > 0.95
    strict = model.predict_classes(X, threshold=[0.5, 0.5, 1.0])
    assert strict[:, 2].sum() == 0 and np.array_equal(strict[:, :2], model.predict_classes(X)[:, :2])


def test_k8_three_separate_networks_are_the_alternative() -> None:
    labels = (X[:, :3] > 0).astype(int)
    decisions = []
    for k in range(3):
        model = Sequential([Dense(25, activation='relu'), Dense(1, activation='sigmoid')])
        model.compile(optimizer=bl.optimizers.Adam(0.01), loss=BinaryCrossentropy())
        model.fit(X, labels[:, k], epochs=60, verbose=0)
        decisions.append(model.predict_classes(X))
    assert (np.stack(decisions, axis=1) == labels).mean() > 0.95


def test_k9_to_k12_formulas_run_on_nodes_as_on_arrays() -> None:
    m, inputs = 7, RNG.normal(size=(3, 7))
    Y = (RNG.random((1, m)) > 0.5).astype(float)
    start = [RNG.normal(size=(4, 3)), np.zeros((4, 1)), RNG.normal(size=(1, 4)), np.zeros((1, 1))]

    def by_hand(W1, b1, W2, b2, np_like):  # type: ignore[no-untyped-def]
        Z1 = np.dot(W1, inputs) + b1
        A1 = np.tanh(Z1)
        Z2 = np.dot(W2, A1) + b2
        A2 = 1 / (1 + np.exp(-Z2))
        dZ2 = A2 - Y
        dW2 = (1 / m) * np.dot(dZ2, A1.T)
        db2 = (1 / m) * np.sum(dZ2, axis=1, keepdims=True)
        dZ1 = np.dot(W2.T, dZ2) * (1 - A1**2)
        dW1 = (1 / m) * np.dot(dZ1, inputs.T)
        db1 = (1 / m) * np.sum(dZ1, axis=1, keepdims=True)
        J = (1 / m) * np.sum(-Y * np.log(A2) - (1 - Y) * np.log(1 - A2))
        return J, [dW1, db1, dW2, db2]

    J_array, by_formula = by_hand(*start, np)
    leaves = [bl.variable(value) for value in start]
    J, on_nodes = by_hand(*leaves, bl.ops)
    assert J.value == pytest.approx(J_array, rel=1e-14)
    for array, node, gradient in zip(by_formula, on_nodes, bl.grad(J, leaves), strict=True):
        assert np.asarray(node.value) == pytest.approx(array, rel=1e-12)
        assert np.asarray(gradient.value) == pytest.approx(array, rel=1e-9, abs=1e-14)


def test_k13_the_course_initialisation_is_an_initializer() -> None:
    layer = Dense(2, kernel_initializer=bl.initializers.RandomNormal(stddev=0.01))
    layer(np.zeros((1, 500)))
    assert 0.008 < layer.get_weights()[0].std() < 0.012 and not layer.get_weights()[1].any()


def test_k22_named_layers() -> None:
    model = Sequential([Dense(units=2, activation='relu', name='L1'),
                        Dense(units=4, activation='linear', name='L2')])
    model.compile(optimizer=backlit.optimizers.Adam(learning_rate=0.01),
                  loss=SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X[:, :2], TEN % 4, epochs=2, verbose=0)
    W1, b1 = model.get_layer('L1').get_weights()
    assert W1.shape == (2, 2) and b1.shape == (2,)


def test_k24_the_ekg_network() -> None:
    model = Sequential([backlit.Input((100, 1)),
        Conv1D(1, 20, strides=10, activation='relu'),
        Conv1D(1, 5,  strides=2,  activation='relu'),
        Flatten(), Dense(1, activation='sigmoid')])
    model.compile(loss=BinaryCrossentropy())
    assert [layer.output_shape[1] for layer in model.layers] == [9, 3, 3, 1]
    assert model.count_params() == 31
    signals = RNG.normal(size=(40, 100, 1))
    history = model.fit(signals, (signals[:, :20, 0].mean(axis=1) > 0).astype(float), epochs=20, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]


def test_k25_the_practice_lab(capsys: pytest.CaptureFixture[str]) -> None:
    model = Sequential([
        backlit.Input(shape=(400,)),
        Dense(25, activation='relu', name="L1"),
        Dense(15, activation='relu', name="L2"),
        Dense(10, activation='linear', name="L3")], name="my_model")
    model.summary()
    printed = capsys.readouterr().out
    for number in ("10,025", "390", "160", "10,575", "my_model"):
        assert number in printed
    layer1, layer2, layer3 = model.layers
    assert [w.shape for layer in (layer1, layer2, layer3) for w in layer.get_weights()] == [
        (400, 25), (25,), (25, 15), (15,), (15, 10), (10,)]
    model.compile(loss=SparseCategoricalCrossentropy(from_logits=True),
                  optimizer=backlit.optimizers.Adam(learning_rate=0.001))
    images = RNG.random((50, 400))
    history = model.fit(images, TEN[:50], epochs=40, verbose=0)
    assert len(history.history["loss"]) == 40
    prediction = model.predict(images[15].reshape(1, 400))
    assert np.argmax(backlit.nn.softmax(prediction)) == np.argmax(prediction)


@pytest.mark.parametrize(("activation", "equal"), [("linear", True), ("relu", False)])
def test_linear_hidden_layers_collapse(activation: str, equal: bool) -> None:
    """C112: W' = W1·W2·W3, and the predictions do not differ. With a relu nothing collapses."""
    model = Sequential([backlit.Input((20,)), Dense(25, activation), Dense(15, activation), Dense(1, "sigmoid")])
    smaller = model.collapse()
    assert smaller.predict(X) == pytest.approx(model.predict(X), abs=1e-6)
    assert (len(smaller.layers) == 1) is equal
    if equal:
        W = [layer.get_weights()[0] for layer in model.layers]
        assert smaller.layers[0].get_weights()[0] == pytest.approx(W[0] @ W[1] @ W[2], abs=1e-6)


@pytest.mark.parametrize(("wrong", "right"), [
    ("Squential", "Sequential"), ("layouts", "layers"), ("loss", "losses"),
])
def test_misspelt_names_of_the_notes(wrong: str, right: str) -> None:
    with pytest.raises(AttributeError, match=f"did you mean '{right}'"):
        getattr(backlit, wrong)


@pytest.mark.parametrize("wrong", ["BinaryCrossEntropy", "SparseCategoricalCrossEntropy", "BiaryCrossentropy"])
def test_misspelt_losses_of_the_notes(wrong: str) -> None:
    with pytest.raises(AttributeError, match=r"did you mean '(Binary|SparseCategorical)Crossentropy'"):
        getattr(backlit.losses, wrong)


def test_misspelt_keyword_and_activation_of_the_notes() -> None:
    with pytest.raises(bl.BacklitError, match="did you mean 'from_logits'"):
        SparseCategoricalCrossentropy(from_logists=True)
    with pytest.raises(bl.BacklitError, match="did you mean 'tanh'"):
        Dense(3, activation="tan h")
