"""Layers frozen as they were drawn, and outputs that nothing changes."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import BatchNormalization, Conv1D, Dense, Dropout, Flatten, GlobalAveragePooling1D, Softmax

RNG = np.random.default_rng(4)
X = RNG.normal(size=(200, 12)).astype("float32")
Y = (X[:, 0] * X[:, 1] > 0).astype("float32")
TIMES = RNG.normal(size=(120, 10, 2)).astype("float32")
KINDS = (TIMES[:, :, 0].mean(axis=1) > 0).astype(int)


@pytest.fixture(autouse=True)
def same_first_weights():
    bl.random.set_seed(5)


def said(model, x, y, name):
    return [one for one in model.diagnose(x, y).findings if one.check == name]


def compiled(*layers, loss="binary_crossentropy"):
    model = bl.Sequential(list(layers))
    model.compile(bl.optimizers.Adam(0.01), loss)
    return model


def frozen(*widths):
    return [Dense(width, "relu", trainable=False) for width in widths]


# ---------------------------------------------------------------------- frozen as drawn
def test_a_narrow_body_as_drawn_is_named_and_put_right():
    model = compiled(*frozen(16, 3), Dense(1, "sigmoid"))
    (one,) = said(model, X, Y, "frozen_as_drawn")
    assert one.evidence["leaving"] == 3 and one.evidence["entering"] == 12
    assert one.evidence["layers"] == [layer.name for layer in model.layers[:2]] and one.layer == model.layers[0].name
    assert 0.5 < one.evidence["lost"] < 1
    assert dict(one.repair().layers) == {layer.name: {"trainable": True} for layer in model.layers[:2]}


def test_a_strided_convolution_is_measured_by_the_numbers_that_leave_it():
    body = [Conv1D(1, 3, strides=3, activation="relu", trainable=False), Flatten()]
    (one,) = said(compiled(*body, Dense(1, "sigmoid")), TIMES, KINDS, "frozen_as_drawn")
    assert (one.evidence["entering"], one.evidence["leaving"]) == (20, 3)


def test_what_is_lost_is_what_no_line_finds_again():
    x = (X[:, :3] @ RNG.normal(size=(3, 12))).astype("float32")  # three numbers, written in twelve columns
    body = [Dense(4, trainable=False)]
    assert said(compiled(*body, Dense(1, "sigmoid")), x, Y, "frozen_as_drawn") == []
    assert said(compiled(Dense(4, trainable=False), Dense(1, "sigmoid")), X, Y, "frozen_as_drawn") != []


def _set(model):
    model.layers[0].set_weights([np.ones((12, 3), "float32"), np.zeros(3, "float32")])


def _trained(model):
    model.layers[0].trainable = True
    model.compile("adam", "binary_crossentropy")
    model.fit(X, Y, epochs=1, verbose=0, doctor="off")
    model.layers[0].trainable = False
    model.compile("adam", "binary_crossentropy")


@pytest.mark.parametrize("learn", [_set, _trained])
def test_weights_that_were_set_or_trained_may_stay(learn):
    model = compiled(*frozen(3), Dense(1, "sigmoid"))
    model.build((12,))
    assert said(model, X, Y, "frozen_as_drawn") != []
    learn(model)
    assert said(model, X, Y, "frozen_as_drawn") == []


def test_layers_of_a_trained_or_loaded_model_may_stay(tmp_path):
    base = compiled(Dense(3, "relu"), Dense(1, "sigmoid"))
    base.fit(X, Y, epochs=1, verbose=0, doctor="off")
    base.save(tmp_path / "base.backlit")
    for known in (base, bl.load_model(tmp_path / "base.backlit")):
        body = known.layers[0]
        body.trainable = False
        assert said(compiled(body, Dense(1, "sigmoid")), X, Y, "frozen_as_drawn") == []


def test_an_untrained_base_is_as_drawn_in_another_model():
    base = bl.Sequential(frozen(3))
    base.build((12,))
    assert said(compiled(base, Dense(1, "sigmoid")), X, Y, "frozen_as_drawn") != []


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [*frozen(64), Dense(1, "sigmoid")],
        lambda: [*frozen(12), Dense(1, "sigmoid")],
        lambda: [Dense(12, "relu"), *frozen(3), Dense(1, "sigmoid")],
        lambda: [BatchNormalization(trainable=False), Dense(8, "relu"), Dense(1, "sigmoid")],
        lambda: [Dense(3, kernel_initializer=bl.initializers.Constant(np.eye(12, 3)), trainable=False), Dense(1)],
        lambda: [Dense(8, "relu"), Dropout(0.1), Dense(1, "sigmoid", trainable=False)],
    ],
    ids=["wide", "as_wide", "behind_what_learns", "normalization", "given", "last"],
)
def test_what_loses_nothing_is_left_alone(layers):
    assert said(compiled(*layers()), X, Y, "frozen_as_drawn") == []


def test_a_bridge_around_the_body_loses_nothing():
    inputs = bl.Input((12,))
    joined = bl.layers.Concatenate()([Dense(2, "relu", trainable=False)(inputs), inputs])
    model = bl.Model(inputs, Dense(1, "sigmoid")(joined))
    model.compile("adam", "binary_crossentropy")
    assert said(model, X, Y, "frozen_as_drawn") == []


# ---------------------------------------------------------------------- one answer
def along_time(axis, **more):
    return [Conv1D(3, 3, **more), Softmax(axis=axis), GlobalAveragePooling1D()]


@pytest.mark.parametrize("more", [{}, {"kernel_regularizer": bl.regularizers.L2(0.01)}], ids=["plain", "penalty"])
def test_a_softmax_along_time_is_named_and_put_right(more):
    model = compiled(*along_time(1, **more), loss="sparse_categorical_crossentropy")
    (one,) = said(model, TIMES, KINDS, "says_one_thing")
    assert one.layer == model.layers[1].name and one.evidence["axis"] == 1
    assert one.evidence["answer"] == pytest.approx(1 / 8)
    assert dict(one.repair().layers) == {model.layers[1].name: {"axis": -1}}


@pytest.mark.parametrize(
    "layers",
    [
        lambda: [Flatten(), Dense(8, "relu"), Dense(3, "softmax", kernel_initializer="zeros")],
        lambda: [Flatten(), Dense(8, "relu", bias_initializer=bl.initializers.Constant(-99.0)), Dense(3, "softmax")],
        lambda: along_time(-1),
        lambda: [Conv1D(4, 3), Softmax(axis=1), Flatten(), Dense(3, "softmax")],
    ],
    ids=["zeros", "dead", "along_units", "attention"],
)
def test_an_output_that_may_change_is_left_alone(layers):
    model = compiled(*layers(), loss="sparse_categorical_crossentropy")
    assert said(model, TIMES, KINDS, "says_one_thing") == []


def test_units_that_are_off_in_every_row_are_another_fault():
    dead = Dense(1, "relu", bias_initializer=bl.initializers.Constant(-99.0))
    model = compiled(dead, loss="mse")
    assert said(model, X, Y, "says_one_thing") == []
