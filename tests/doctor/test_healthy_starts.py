"""Programs that come near to what the checks of rows, layers and first weights look for, and are healthy."""

import numpy as np
import pytest

import backlit as bl
from backlit.initializers import Constant, RandomNormal
from backlit.layers import (
    Activation,
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    Lambda,
    LayerNormalization,
    Reshape,
)

o = bl.ops
PROGRAMS = {}


def healthy(function):
    PROGRAMS[function.__name__] = function
    return function


def chain(*layers, loss="mse", optimizer=None, metrics=None):
    model = bl.Sequential(list(layers))
    model.compile(optimizer or bl.optimizers.Adam(0.01), loss, metrics=metrics)
    return model


def drawn(rows, features, seed=0):
    return np.random.default_rng(seed).normal(size=(rows, features))


SPARSE = "sparse_categorical_crossentropy"


# ---------------------------------------------------------------------- what y has to do with X
@healthy
def a_weak_relation():
    x = drawn(600, 8)
    return chain(Dense(1)), x, 0.45 * x[:, 0] + drawn(600, 1, 1)[:, 0]


@healthy
def a_product_of_two_of_twenty_features():
    x = drawn(500, 20)
    y = (x[:, 3] * x[:, 11] > 0).astype(int)
    return chain(Dense(64, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, y


@healthy
def rings():
    x = drawn(400, 2)
    return chain(Dense(16, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, (x**2).sum(axis=1) > 1.4


@healthy
def a_chess_board():
    x = np.random.default_rng(0).uniform(0, 4, (900, 2))
    y = np.floor(x).sum(axis=1).astype(int) % 2
    return chain(Dense(64, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, y


@healthy
def spirals():
    t = np.random.default_rng(0).uniform(0.5, 3, 600) * 3
    side = np.arange(600) % 2
    x = np.c_[np.cos(t + np.pi * side), np.sin(t + np.pi * side)] * t[:, np.newaxis] / 5
    return chain(Dense(32, "tanh"), Dense(2, "softmax"), loss=SPARSE), x, side


@healthy
def a_fast_wave():
    x = np.random.default_rng(0).uniform(-1, 1, (500, 1))
    return chain(Dense(64, "tanh"), Dense(1)), x, np.sin(15 * x[:, 0])


@healthy
def every_byte_and_a_drawn_bit():
    x = (np.arange(256)[:, np.newaxis] >> np.arange(8) & 1).astype(float)
    y = np.random.default_rng(0).integers(0, 2, 256)
    return chain(Dense(64, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, y


@healthy
def the_parity_of_eight_bits():
    x = (np.arange(256)[:, np.newaxis] >> np.arange(8) & 1).astype(float)
    return chain(Dense(64, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, x.sum(axis=1) % 2


@healthy
def fifty_rows_of_noise():
    return chain(Dense(8, "relu"), Dense(1)), drawn(50, 4), drawn(50, 1, 1)[:, 0]


@healthy
def words_in_any_place():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 300, (400, 10))
    y = rng.integers(0, 2, 400)
    words[np.arange(400), rng.integers(0, 10, 400)] = 300 + y
    return chain(Embedding(302, 8), GlobalAveragePooling1D(), Dense(2, "softmax"), loss=SPARSE), words, y


@healthy
def bars_in_any_place():
    rng = np.random.default_rng(0)
    x, y = 0.1 * rng.normal(size=(300, 8, 8, 1)), rng.integers(0, 2, 300)
    for row, kind in enumerate(y):
        a, b = rng.integers(0, 8, 2)
        x[row, a, :, 0] += kind
        x[row, :, b, 0] += 1 - kind
    layers = Conv2D(8, 3, activation="relu"), GlobalAveragePooling2D(), Dense(2, "softmax")
    return chain(*layers, loss=SPARSE), x, y


# ---------------------------------------------------------------------- rows that meet
@healthy
def few_columns_and_unsure_answers():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 3, (500, 4)).astype(float)
    y = rng.random(500) < 1 / (1 + np.exp(-(x.sum(axis=1) - 4)))
    return chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, y.astype(int)


@healthy
def several_measurements_of_a_point():
    x = np.repeat(drawn(100, 3), 3, axis=0)
    return chain(Dense(8, "relu"), Dense(1)), x, x @ [1.0, 2.0, 0.5] + 0.2 * drawn(300, 1, 1)[:, 0]


@healthy
def held_out_rows_of_a_later_time():
    x = drawn(400, 6) + np.linspace(0, 0.8, 400)[:, np.newaxis]
    return chain(Dense(8, "relu"), Dense(1)), x, x @ np.ones(6), {"validation_split": 0.25}


@healthy
def a_day_number_among_the_features():
    x = np.c_[np.linspace(-1.7, 1.7, 400), drawn(400, 4)]
    return chain(Dense(8, "relu"), Dense(1)), x, x @ np.ones(5), {"validation_split": 0.2}


# ---------------------------------------------------------------------- losses
def entropy_with_a_reward(y, p):
    p = o.clip(p, 1e-6, 1 - 1e-6)
    spread = p * o.log(p) + (1 - p) * o.log(1 - p)
    return -o.mean(y * o.log(p) + (1 - y) * o.log(1 - p) - 0.1 * spread, axis=-1)


@healthy
def a_reward_for_unsure_answers():
    x = drawn(200, 4)
    return chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss=entropy_with_a_reward), x, (x[:, 0] > 0).astype(float)


def logistic_of_signs(y, z):
    return o.mean(o.softplus(-y * z), axis=-1)


@healthy
def signs_and_logits():
    x = drawn(200, 4)
    return chain(Dense(8, "relu"), Dense(1), loss=logistic_of_signs), x, np.sign(x[:, 0])


def counts_of_classes(y, p):
    return -o.sum(y * o.log(o.clip(p, 1e-7, 1.0)), axis=-1)


@healthy
def how_often_each_class_was_chosen():
    x = drawn(200, 4)
    y = np.random.default_rng(1).poisson(np.exp(x[:, :3]))
    return chain(Dense(8, "relu"), Dense(3, "softmax"), loss=counts_of_classes), x, y.astype(float)


@healthy
def one_row_with_two_labels():
    x = drawn(400, 4)
    y = np.eye(3)[x[:, :3].argmax(axis=1)]
    y[0] = [1, 1, 0]
    return chain(Dense(8, "relu"), Dense(3, "softmax"), loss="categorical_crossentropy"), x, y


@healthy
def one_hot_rows_given_back():
    x = np.eye(6)[np.random.default_rng(0).integers(0, 6, 200)]
    return chain(Dense(4, "tanh"), Dense(6)), x, x


@healthy
def a_small_rate_for_a_sum():
    x, loss = drawn(200, 4), bl.losses.MeanSquaredError(reduction="sum")
    return chain(Dense(1), loss=loss, optimizer=bl.optimizers.SGD(0.003)), x, x @ np.ones(4)


@healthy
def a_sum_under_adam():
    x, loss = drawn(200, 4), bl.losses.MeanSquaredError(reduction="sum")
    return chain(Dense(1), loss=loss, optimizer=bl.optimizers.Adam(0.1)), x, x @ np.ones(4)


# ---------------------------------------------------------------------- layers
class Attention(bl.layers.Layer):
    """Three products and a softmax over the places."""

    def __init__(self, name=None):
        super().__init__(name=name)
        self.q, self.k, self.v, self.out = Dense(8), Dense(8), Dense(8), Dense(8)

    def call(self, x, training=False):
        scores = o.softmax(self.q(x) @ o.transpose(self.k(x), (0, 2, 1)) / 8**0.5, axis=-1)
        return x + self.out(scores @ self.v(x))


@healthy
def attention():
    rng = np.random.default_rng(0)
    words = rng.integers(0, 50, (300, 6))
    layers = Embedding(50, 8), Attention(), LayerNormalization(), GlobalAveragePooling1D(), Dense(2, "softmax")
    return chain(*layers, loss=SPARSE), words, (words < 25).sum(axis=1) > 3


@healthy
def gates_of_experts():
    x = drawn(300, 6)
    given = bl.Input((6,))
    gate = Dense(4, "softmax")(given)
    experts = Reshape((4, 1))(Dense(4)(Dense(16, "relu")(given)))
    mixed = o.sum(Reshape((4, 1))(gate) * experts, axis=1)
    model = bl.Model(given, mixed)
    model.compile(bl.optimizers.Adam(0.01), "mse")
    return model, x, x[:, 0] * (x[:, 1] > 0)


@healthy
def shares_as_a_code():
    x = np.abs(drawn(300, 12))
    return chain(Dense(3, "softmax"), Dense(12, "softplus")), x, x


@healthy
def half_of_the_units_twice():
    x = drawn(300, 10)
    layers = Dropout(0.5), Dense(64, "relu"), Dropout(0.5), Dense(1)
    return chain(*layers), x, x @ np.ones(10)


@healthy
def batches_of_two_pictures():
    x = np.random.default_rng(0).normal(size=(60, 6, 6, 1))
    y = (x.mean(axis=(1, 2, 3)) > 0).astype(int)
    layers = Conv2D(4, 3, use_bias=False), BatchNormalization(), Activation("relu"), Flatten(), Dense(2, "softmax")
    return chain(*layers, loss=SPARSE), x, y, {"batch_size": 2}


@healthy
def the_rest_of_the_last_batch_is_one_row():
    x = drawn(65, 4)
    layers = Dense(8), BatchNormalization(), Activation("relu"), Dense(1)
    return chain(*layers), x, x @ np.ones(4), {"batch_size": 32}


@healthy
def rows_of_four_with_as_many_channels():
    x = np.random.default_rng(0).normal(size=(100, 4, 6, 2))
    y = (x[..., 0].mean(axis=(1, 2)) > 0).astype(int)
    return chain(Conv2D(4, 3, activation="relu"), Flatten(), Dense(2, "softmax"), loss=SPARSE), x, y


# ---------------------------------------------------------------------- first weights
@healthy
def wide_first_weights_behind_a_normalization():
    x = drawn(300, 6)
    layers = Dense(16, kernel_initializer=RandomNormal(stddev=5.0)), BatchNormalization(), Activation("tanh"), Dense(1)
    return chain(*layers), x, x @ np.ones(6)


@healthy
def small_first_weights_in_one_layer():
    x = drawn(300, 6)
    return chain(Dense(32, "relu", kernel_initializer=RandomNormal(stddev=0.01)), Dense(1)), x, x @ np.ones(6)


@healthy
def hardly_anything_in_the_last_layer():
    x = drawn(300, 6)
    layers = Dense(32, "tanh"), Dense(32, "tanh"), Dense(1, kernel_initializer=RandomNormal(stddev=1e-4))
    return chain(*layers), x, x @ np.ones(6)


@healthy
def a_positive_bias_for_relus():
    x = drawn(300, 6)
    return chain(Dense(32, "relu", bias_initializer=Constant(0.1)), Dense(1)), x, x @ np.ones(6)


@healthy
def the_share_of_a_rare_class_as_bias():
    x = drawn(600, 4)
    y = (x[:, 0] > 1.7).astype(int)
    last = Dense(1, "sigmoid", bias_initializer=Constant(-3.0))
    return chain(Dense(16, "relu"), last, loss="binary_crossentropy"), x, y


@healthy
def orthogonal_first_weights():
    x = drawn(300, 6)
    layers = [Dense(64, "tanh", kernel_initializer="orthogonal") for _ in range(4)]
    return chain(*layers, Dense(1)), x, x @ np.ones(6)


@healthy
def twelve_relu_layers():
    x = drawn(300, 16)
    layers = [Dense(32, "relu", kernel_initializer="he_normal") for _ in range(12)]
    return chain(*layers, Dense(1), optimizer=bl.optimizers.Adam(0.001)), x, x @ np.ones(16)


@healthy
def four_sigmoid_layers_of_the_usual_start():
    x = drawn(300, 16)
    layers = [Dense(32, "sigmoid") for _ in range(3)]
    return chain(*layers, Dense(1), optimizer=bl.optimizers.Adam(0.01)), x, np.tanh(x @ np.ones(16))


@healthy
def blocks_that_start_as_nothing():
    x = drawn(300, 8)
    given = bl.Input((8,))
    state = Dense(16)(given)
    for _ in range(3):
        state = state + Dense(16, kernel_initializer="zeros")(Dense(16, "relu")(state))
    model = bl.Model(given, Dense(1)(state))
    model.compile(bl.optimizers.Adam(0.01), "mse")
    return model, x, x @ np.ones(8)


@healthy
def positive_features():
    x = np.abs(drawn(300, 30)) + 2
    return chain(Dense(32, "relu"), Dense(1)), x, x @ np.ones(30) / 30


@healthy
def a_sum_over_the_features():
    x = drawn(300, 6)
    return (
        chain(Dense(16, "relu"), Lambda(lambda h: h / (1e-6 + o.sum(h, axis=-1, keepdims=True))), Dense(1)),
        x,
        x[:, 0],
    )


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_said_of_it_before_the_first_step(name, capsys):
    model, x, y, *rest = PROGRAMS[name]()
    told = model.diagnose(x, y, **(rest[0] if rest else {}))
    assert [one.problem for one in told.checked if one.state == "failed"] == []
    assert [one.said for one in told.findings if one.severity != "note"] == []
    assert capsys.readouterr().err == ""
