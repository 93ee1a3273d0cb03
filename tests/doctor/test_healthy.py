"""Programs that are in order, however unusual: the doctor says nothing of them, and no check stumbles."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import (
    Activation,
    BatchNormalization,
    Concatenate,
    Conv1D,
    Dense,
    Dropout,
    Embedding,
    Flatten,
    GaussianNoise,
    Lambda,
    LayerNormalization,
    LeakyReLU,
    Normalization,
    PReLU,
    Rescaling,
)
from backlit.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Poisson,
    SparseCategoricalCrossentropy,
)

RNG = np.random.default_rng(3)
X = RNG.normal(size=(120, 6))
LABELS = np.digitize(X[:, 0] + X[:, 1], [-1, 1])
HOT = np.eye(3)[LABELS]
YES = (X[:, 0] > 0).astype(int)
SEVERAL = (X[:, :3] > 0).astype(float)
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0, 0.3, 1.0]
COUNTS = RNG.poisson(np.exp(0.5 * X[:, 0]))
SPARSE = SparseCategoricalCrossentropy(from_logits=True)
IMAGES = RNG.uniform(size=(120, 16, 1))
IDS = RNG.integers(0, 20, (120, 5))

PROGRAMS = {}


def healthy(function):
    PROGRAMS[function.__name__] = function
    return function


def chain(*layers, loss, optimizer="adam", metrics=None):
    model = bl.Sequential(list(layers))
    model.compile(optimizer, loss, metrics=metrics)
    return model


@healthy
def tanh_for_targets_in_its_range():
    return chain(Dense(8, "relu"), Dense(1, "tanh"), loss="mse"), X, np.tanh(NUMBERS)


@healthy
def sigmoid_for_numbers_from_0_to_1():
    return chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="mse"), X, 1 / (1 + np.exp(-NUMBERS))


@healthy
def sigmoid_and_squared_error_for_yes_and_no():
    return chain(Dense(8, "tanh"), Dense(1, "sigmoid"), loss="mse", metrics=["accuracy"]), X, YES


@healthy
def relu_for_targets_from_0():
    return chain(Dense(8, "relu"), Dense(1, "relu"), loss="mse"), X, np.abs(NUMBERS)


@healthy
def one_outlier_beyond_the_relu():
    y = np.abs(NUMBERS)
    y[7] = -0.01
    return chain(Dense(8, "relu"), Dense(1, "relu"), loss="mae"), X, y


@healthy
def a_linear_autoencoder_of_few_dimensions():
    return chain(Dense(2), Dense(6), loss="mse"), X, X


@healthy
def a_deep_autoencoder():
    return chain(Dense(4, "relu"), Dense(2), Dense(4, "relu"), Dense(6), loss="mse"), X, X


@healthy
def several_labels_at_once():
    return chain(Dense(8, "relu"), Dense(3, "sigmoid"), loss="binary_crossentropy", metrics=["accuracy"]), X, SEVERAL


@healthy
def several_labels_from_logits():
    return chain(Dense(8, "relu"), Dense(3), loss=BinaryCrossentropy(from_logits=True)), X, SEVERAL


@healthy
def a_softmax_in_a_lambda():
    soft = Lambda(lambda z: bl.ops.exp(z) / bl.ops.sum(bl.ops.exp(z), axis=-1, keepdims=True))
    return chain(Dense(8, "relu"), Dense(3), soft, loss="sparse_categorical_crossentropy"), X, LABELS


@healthy
def a_softmax_that_no_rule_knows():
    soft = Lambda(lambda z: bl.ops.exp(z - bl.ops.logsumexp(z, axis=-1, keepdims=True)))
    return chain(Dense(8, "relu"), Dense(3), soft, loss="categorical_crossentropy"), X, HOT


@healthy
def exponentials_that_the_loss_brings_to_sum_1():
    return chain(Dense(8, "relu"), Dense(3, "exponential"), loss="categorical_crossentropy"), X, HOT


@healthy
def two_sigmoids_that_sum_to_1():
    def both(z):
        p = bl.nn.sigmoid(z)
        return bl.ops.concatenate([1 - p, p], axis=-1)

    return chain(Dense(1), Lambda(both), loss="sparse_categorical_crossentropy"), X, YES


@healthy
def logits():
    return chain(Dense(25, "relu"), Dense(15, "relu"), Dense(3), loss=SPARSE, metrics=["accuracy"]), X, LABELS


@healthy
def a_single_linear_layer():
    return chain(Dense(1), loss="mse", optimizer="sgd", metrics=["mae"]), X, NUMBERS


@healthy
def softmax_regression():
    return chain(Dense(3, "softmax"), loss="categorical_crossentropy", metrics=["accuracy"]), X, HOT


@healthy
def smoothed_labels():
    loss = CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    return chain(Dense(8, "relu"), Dense(3), loss=loss), X, HOT


@healthy
def soft_labels():
    y = 0.9 * HOT + 0.1 / 3
    return chain(Dense(8, "relu"), Dense(3, "softmax"), loss="kl_divergence"), X, y


@healthy
def one_in_twenty():
    y = (X[:, 0] > np.quantile(X[:, 0], 0.95)).astype(int)
    return chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), X, y, {"validation_split": 0.1}


@healthy
def a_class_of_two_rows_and_a_split():
    y = LABELS.copy()
    y[y == 2] = 1
    y[[3, 50]] = 2
    return chain(Dense(8, "relu"), Dense(3), loss=SPARSE), X, y, {"validation_split": 0.2}


@healthy
def batch_normalization_in_front_of_raw_numbers():
    return chain(BatchNormalization(), Dense(8, "relu"), Dense(1), loss="mse"), X * 1e4, NUMBERS


@healthy
def batch_normalization_without_scale_in_front_of_raw_numbers():
    layer = BatchNormalization(center=False, scale=False)
    return chain(layer, Dense(8, "relu"), Dense(1), loss="mse"), X * 1e4 + 1e4, NUMBERS


@healthy
def normalization_in_front_of_raw_numbers():
    layer = Normalization()
    layer.adapt(X * 1e4)
    return chain(layer, Dense(8, "relu"), Dense(1), loss="mse"), X * 1e4, NUMBERS


@healthy
def rescaling_of_pixels():
    return chain(Rescaling(1 / 255), Flatten(), Dense(8, "relu"), Dense(3), loss=SPARSE), IMAGES * 255, LABELS


@healthy
def a_lambda_that_scales():
    return chain(Lambda(lambda x: x / 1e4), Dense(8, "relu"), Dense(1), loss="mse"), X * 1e4, NUMBERS


@healthy
def targets_scaled_inside_the_model():
    return chain(Dense(8, "relu"), Dense(1), Rescaling(900.0, 5000.0), loss="mse"), X, 5000 + 300 * NUMBERS


@healthy
def mild_numbers_without_scaling():
    return chain(Dense(8, "relu"), Dense(3), loss=SPARSE), X * [1, 2, 5, 0.1, 0.5, 1] + [5, 0, 3, 1, 0, 9], LABELS


@healthy
def pixels_at_the_margin():
    x = np.zeros((120, 30))
    x[:, 10:20] = RNG.uniform(size=(120, 10))
    x[5, 0], x[9, 1] = 1e-5, 0.003
    return chain(Dense(8, "relu"), Dense(3), loss=SPARSE), x, LABELS


@healthy
def grey_values_0_to_16():
    return chain(Dense(8, "relu"), Dense(3), loss=SPARSE), RNG.integers(0, 17, (120, 64)), LABELS


@healthy
def rare_columns_of_ones():
    x = (RNG.random((120, 40)) < 0.02).astype(float)
    return chain(Dense(8, "relu"), Dense(3), loss=SPARSE), x, LABELS


@healthy
def embedded_ids():
    return chain(Embedding(20, 4), Flatten(), Dense(3), loss=SPARSE), IDS, LABELS


@healthy
def ids_with_large_numbers():
    return chain(Embedding(5000, 4), Flatten(), Dense(3), loss=SPARSE), IDS + 4000, LABELS


@healthy
def two_inputs():
    a, b = bl.Input((6,), name="a"), bl.Input((2,), name="b")
    joined = Concatenate()([Dense(8, "relu")(a), Dense(4, "relu")(b)])
    model = bl.Model([a, b], Dense(1)(joined))
    model.compile("adam", "mse")
    return model, [X, X[:, :2]], NUMBERS


@healthy
def two_outputs():
    x = bl.Input((6,))
    hidden = Dense(8, "relu")(x)
    model = bl.Model(x, {"number": Dense(1)(hidden), "kind": Dense(3, "softmax")(hidden)})
    model.compile("adam", {"number": "mse", "kind": "sparse_categorical_crossentropy"})
    return model, X, {"number": NUMBERS, "kind": LABELS}


@healthy
def a_shortcut_around_a_layer():
    x = bl.Input((6,))
    model = bl.Model(x, Dense(1)(Dense(6, "relu")(x) + Dense(6)(x)))
    model.compile("adam", "mse")
    return model, X, NUMBERS


@healthy
def a_code_that_is_an_output_too():
    x = bl.Input((6,))
    code = Dense(8)(x)
    model = bl.Model(x, [code, Dense(1)(code)])
    model.compile("adam", ["mse", "mse"])
    return model, X, [np.c_[X, X[:, :2]], NUMBERS]


@healthy
def a_loss_of_ones_own():
    def quantile(y, p):
        return bl.ops.mean(bl.ops.maximum(0.9 * (y - p), -0.1 * (y - p)), axis=-1)

    return chain(Dense(8, "relu"), Dense(1), loss=quantile), X, NUMBERS


@healthy
def a_cross_entropy_of_ones_own():
    def entropy(y, p):
        return -bl.ops.sum(y * bl.ops.log(p + 1e-7), axis=-1)

    return chain(Dense(8, "relu"), Dense(3, "softmax"), loss=entropy), X, HOT


@healthy
def a_margin():
    return chain(Dense(8, "relu"), Dense(1, "tanh"), loss="hinge"), X, 2 * YES - 1


@healthy
def an_angle():
    return chain(Dense(8, "relu"), Dense(3, "tanh"), loss="cosine_similarity"), X, 100 * X[:, :3]


@healthy
def counts():
    return chain(Dense(8, "relu"), Dense(1, "exponential"), loss=Poisson()), X, COUNTS


@healthy
def counts_with_softplus():
    return chain(Dense(8, "relu"), Dense(1, "softplus"), loss="poisson"), X, COUNTS


@healthy
def whole_numbers_and_no_classes():
    return chain(Dense(8, "relu"), Dense(1), loss="mse", metrics=["mae"]), X, COUNTS


@healthy
def zeros_in_the_last_layer():
    return chain(Dense(8, "relu"), Dense(3, kernel_initializer="zeros"), loss=SPARSE), X, LABELS


@healthy
def slopes_below_zero():
    return chain(Dense(8), LeakyReLU(), Dense(8), PReLU(), Dense(1), loss="huber"), X, NUMBERS


@healthy
def every_kind_of_normalization_and_noise():
    layers = Dense(8), LayerNormalization(), Activation("gelu"), GaussianNoise(0.1), Dropout(0.2)
    return chain(*layers, Dense(1), loss="mse"), X, NUMBERS


@healthy
def convolutions():
    layers = Conv1D(4, 3, activation="relu"), Conv1D(4, 3, activation="relu"), Flatten(), Dense(3)
    return chain(*layers, loss=SPARSE), IMAGES, LABELS


@healthy
def a_tail_like_the_rest():
    return chain(Dense(8, "relu"), Dense(3), loss=SPARSE), X, LABELS, {"validation_split": 0.2}


@healthy
def rows_that_repeat_themselves_anyway():
    x = RNG.integers(0, 2, (120, 3)).astype(float)
    return chain(Dense(8, "relu"), Dense(1), loss="mse"), x[:90], x[:90, 0], {"validation_data": (x[90:], x[90:, 0])}


@healthy
def float32_data():
    return chain(Dense(8, "relu"), Dense(1), loss="mse"), X.astype("float32"), NUMBERS.astype("float32")


@healthy
def a_perfect_fit_whose_loss_flickers():
    return chain(Dense(1), loss="mse", optimizer=bl.optimizers.SGD(0.2)), X[:, :1], 2 * X[:, 0], {"epochs": 40}


@healthy
def masked_targets_hold_anything():
    y, w = np.abs(NUMBERS), np.ones(120)
    y[::5], w[::5] = -1e6, 0
    return chain(Dense(8, "relu"), Dense(1, "relu"), loss="mse"), X, y, {"sample_weight": w}


@healthy
def a_frozen_linear_layer():
    projection = Dense(8, trainable=False)
    return chain(projection, Dense(1), loss="mse"), X, NUMBERS


@healthy
def logarithms_of_probabilities_for_a_softmax():
    return chain(Dense(8, "relu"), Dense(3, "log_softmax"), loss=SPARSE), X, LABELS


@healthy
def a_subclass():
    class Own(bl.Model):
        def __init__(self):
            super().__init__()
            self.first, self.second = Dense(8, "relu"), Dense(3)

        def call(self, x, training=False):
            return self.second(self.first(x))

    model = Own()
    model.compile("adam", SPARSE)
    return model, X, LABELS


@healthy
def a_model_in_a_model():
    inner = bl.Sequential([Dense(8, "relu"), Dense(4, "relu")])
    return chain(inner, Dense(3), loss=SPARSE), X, LABELS


@pytest.mark.parametrize("name", PROGRAMS)
def test_nothing_is_said_of_a_healthy_program(name, capsys):
    model, x, y, *rest = PROGRAMS[name]()
    keywords = {"epochs": 2, **(rest[0] if rest else {})}
    model.fit(x, y, verbose=0, doctor="raise", **keywords)
    assert capsys.readouterr().err == ""
    told = model.diagnose(x, y, **{key: value for key, value in keywords.items() if key != "epochs"})
    assert [one.problem for one in told.checked if one.state == "failed"] == []
    assert [one.said for one in told.findings if one.severity != "note"] == []
    assert len(told.ran) >= 3
