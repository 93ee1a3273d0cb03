"""Misspelt and misplaced arguments: refused where they stand, with the nearest right name."""

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import ArgumentError, BacklitError, UnknownNameError
from backlit.layers import Activation, Dense, Dropout, Flatten
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam


@pytest.mark.parametrize(
    ("make", "kind", "hint"),
    [
        (lambda: Dense(25, activaton="relu"), ArgumentError, "'activation'"),
        (lambda: Dense(unit=25), ArgumentError, "'units'"),
        (lambda: Dense(25, kernel_initialiser="zeros"), ArgumentError, "'kernel_initializer'"),
        (lambda: BinaryCrossentropy(from_logists=True), ArgumentError, "'from_logits'"),
        (lambda: SparseCategoricalCrossentropy(from_logit=True), ArgumentError, "'from_logits'"),
        (lambda: Adam(lr=0.1, learnig_rate=0.1), ArgumentError, ""),
        (lambda: Adam(learnig_rate=0.1), ArgumentError, "'learning_rate'"),
        (lambda: Dense(25, "rleu"), UnknownNameError, "'relu'"),
        (lambda: Dense(25, "tan h"), UnknownNameError, "'tanh'"),
        (lambda: Activation("sofmax"), UnknownNameError, "'softmax'"),
        (lambda: Dense(2, kernel_regularizer="l3")(np.zeros((1, 2))), UnknownNameError, "l[12]"),
    ],
)
def test_the_nearest_name_is_offered(make, kind, hint):
    with pytest.raises(kind, match=f"(?s).*{hint}"):
        make()


@pytest.mark.parametrize("name", ["mena_squared_error", "SparseCategoricalCrossEntropy", "", 3, None, object()])
def test_losses_that_are_none(name):
    model = bl.Sequential([Dense(2)])
    with pytest.raises(BacklitError) as caught:
        model.compile("sgd", name)
    if isinstance(name, str) and name:
        near = bl.losses.Loss.names()
        assert any(f"did you mean {each!r}?" in str(caught.value) for each in near)


@pytest.mark.parametrize("name", ["mse", "MSE", "MeanSquaredError", "mean_squared_error", bl.losses.MeanSquaredError])
def test_a_loss_by_any_of_its_names(name):
    model = bl.Sequential([bl.Input((2,)), Dense(1)])
    model.compile("sgd", name)
    assert model.evaluate(np.zeros((2, 2)), [3.0, 1.0]) == pytest.approx(5.0)


@pytest.mark.parametrize(
    ("optimizer", "loss", "metrics", "near"),
    [("adm", "mse", [], "adam"), ("sgd", "mse", ["accuracy", "meen_squared_error"], "mean_squared_error")],
)
def test_a_compile_that_is_refused_keeps_the_earlier_one(optimizer, loss, metrics, near):
    model = bl.Sequential([bl.Input((3,)), Dense(1)])
    model.compile("sgd", "mae")
    before = model.loss, model.optimizer
    with pytest.raises(UnknownNameError, match=near):
        model.compile(optimizer, loss, metrics=metrics)
    assert (model.loss, model.optimizer) == before
    model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0)


@pytest.mark.parametrize("units", [0, -3, 2.5, "a", None, True])
def test_units_that_are_no_number_of_units(units):
    kind = ValueError if type(units) is int else TypeError
    with pytest.raises(kind, match="units must be a whole number from 1") as caught:
        Dense(units)
    assert isinstance(caught.value, BacklitError)


def test_numbers_of_numpy_are_numbers():
    assert Dense(np.int64(3)).units == 3
    assert SGD(learning_rate=np.float32(0.5)).learning_rate == 0.5
    assert Dropout(np.float64(0.5))(np.zeros((1, 2))).shape == (1, 2)


def test_missing_and_surplus_arguments():
    with pytest.raises(TypeError, match="units") as caught:
        Dense()
    assert isinstance(caught.value, BacklitError)
    with pytest.raises(ArgumentError, match="Flatten"):
        Flatten("a", "b", "c", "d", "e")


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "fast", None])
def test_learning_rates_that_cannot_be(rate):
    with pytest.raises(BacklitError, match="learning rate"):
        SGD(learning_rate=rate)
    optimizer = Adam()
    with pytest.raises(BacklitError, match="learning rate"):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.001


def test_layers_that_are_not_layers():
    with pytest.raises(ArgumentError, match="Dense"):
        bl.Sequential([Dense])
    model = bl.Sequential([Dense(2, name="a")])
    with pytest.raises(BacklitError, match="'a'"):
        model.add(Dense(2, name="a"))
    with pytest.raises(BacklitError, match="already"):
        model.add(model.layers[0])
    assert len(model.layers) == 1
    with pytest.raises(AttributeError, match="summary"):
        model.sumary  # noqa: B018
    with pytest.raises(BacklitError, match="'a'"):
        model.get_layer("aa")


def test_automatic_names_count_up():
    model = bl.Sequential([Dense(2), Dense(2), Dense(2, name="dense_2"), Dense(2)])
    model.build((3,))
    assert [layer.name for layer in model.layers] == ["dense", "dense_1", "dense_2", "dense_3"]
