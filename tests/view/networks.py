"""Small networks of every kind, and what training makes of them."""

import numpy as np

import backlit as bl
from backlit.layers import (
    Activation,
    BatchNormalization,
    Conv1D,
    Dense,
    Embedding,
    Flatten,
    Layer,
    LayerNormalization,
    Normalization,
    Rescaling,
    add,
    concatenate,
)
from backlit.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)

ROWS = 7
LOGITS = SparseCategoricalCrossentropy(from_logits=True)


def chain(*layers, loss="mse", shape=(4,), dtype=None):
    model = bl.Sequential([bl.Input(shape, dtype=dtype), *layers])
    model.compile(optimizer="sgd", loss=loss)
    return model


def batch(model, seed=0, far=1.0):
    """One batch that a compiled model can train on: its inputs and its targets, lists where there are several."""
    rng = np.random.default_rng(seed)
    xs = [
        rng.normal(size=(ROWS, *leaf.shape[1:]))
        if leaf.dtype.startswith("float")
        else rng.integers(0, 3, (ROWS, *leaf.shape[1:]))
        for leaf in model.inputs
    ]
    ys = []
    for head in model.heads:
        shape, loss = (ROWS, *head.shape[1:]), head.loss
        if loss.labels:
            ys.append(rng.integers(0, shape[-1], shape[:-1]))
        elif loss.link == "softmax":
            ys.append(np.eye(shape[-1])[rng.integers(0, shape[-1], shape[:-1])])
        elif loss.targets or loss.signs:
            ys.append(rng.integers(0, 2, shape).astype(float))
        else:
            ys.append(rng.normal(size=shape) * far)
    return [part[0] if len(part) == 1 else part for part in (xs, ys)]


def trained_gradients(model, x, y):
    """dJ/dW of every trained weight, from the outside: how far one step of plain gradient descent at rate 1 goes."""
    asked = model.asked
    model.compile("sgd", asked.loss, asked.loss_weights)
    model.optimizer.learning_rate = 1.0
    before = {leaf: np.array(leaf.array) for leaf in model.trainable_weights}
    kept = {leaf: np.array(leaf.array) for leaf in model.weights}
    model.train_on_batch(x, y)
    moved = {leaf: before[leaf] - leaf.array for leaf in before}
    for leaf, value in kept.items():
        leaf.assign(value)
    return moved


def two_ways():
    left, right = bl.Input((3,), name="left"), bl.Input((2,), name="right")
    joined = concatenate([Dense(4, "relu")(left), Dense(4, "elu")(right)])
    twice = Dense(4, "tanh")
    both = add([twice(joined[:, :4]), twice(joined[:, 4:])])
    model = bl.Model([left, right], [Dense(1, name="price")(both), Dense(3, "softmax", name="kind")(both * 2 + 1)])
    model.compile("sgd", loss=["mse", "categorical_crossentropy"], loss_weights=[1.0, 0.2])
    return model


def sum_and_mean():
    x = bl.Input((3,))
    h = Dense(4, "relu")(x)
    model = bl.Model(x, [Dense(2, name="a")(h), Dense(2, name="b")(h)])
    model.compile("sgd", loss=[MeanSquaredError(reduction="sum"), "mae"], loss_weights=[0.5, 2.0])
    return model


def ignoring():
    """A loss for which rows of class 1 do not count, nor in the mean."""
    return SparseCategoricalCrossentropy(from_logits=True, ignore_class=1)


def over_the_batch(y_true, y_pred):
    return bl.ops.mean((y_pred - y_true) ** 2)


class Idle(Layer):
    """A layer with a weight that only a penalty reads."""

    def build(self, shape):
        self.idle = self.add_weight("idle", (2,), "ones", regularizer="l2")

    def call(self, x, training=False):
        return x * 1


NETWORKS = {
    "digits": lambda: chain(
        Normalization(mean=1.0, variance=2.0), Dense(5, "relu", bias_regularizer="l1"), Dense(3), loss=LOGITS
    ),
    "batch normalization": lambda: chain(
        Dense(5), BatchNormalization(), Activation("tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy"
    ),
    "ids": lambda: chain(Embedding(10, 3), Flatten(), Dense(1), loss="huber", dtype="int64"),
    "signal": lambda: chain(
        Conv1D(4, 3, activation="relu"), LayerNormalization(), Flatten(), Dense(2, "gelu", activity_regularizer="l1"),
        loss="mae", shape=(7, 2),
    ),
    "functional": two_ways,
    "model in a model": lambda: chain(
        bl.Sequential([Dense(3, "relu"), Dense(3)]), Dense(1), Rescaling(3.0, 2.0), Activation("relu")
    ),
    "focal": lambda: chain(Dense(5, "selu"), Dense(3, "sigmoid"), loss=BinaryFocalCrossentropy()),
    "smoothed": lambda: chain(Dense(5, "mish"), Dense(3, "sigmoid"), loss=BinaryCrossentropy(label_smoothing=0.1)),
    "softmax twice": lambda: chain(Dense(5, "softmax"), Dense(3, "softmax"), loss=LOGITS),
    "sums": lambda: chain(Dense(5, "silu", use_bias=False), Dense(2), loss=MeanSquaredError(reduction="sum")),
    "steps": lambda: chain(Dense(5, "relu"), Dense(2), loss=LOGITS, shape=(4, 3)),
    "sums of steps": lambda: chain(
        Dense(3, "relu"), Dense(2), loss=SparseCategoricalCrossentropy(True, reduction="sum"), shape=(4, 3)
    ),
    "labels that do not count": lambda: chain(Dense(3, "relu"), Dense(3), loss=ignoring()),
    "a loss for the whole batch": lambda: chain(Dense(3, "tanh"), Dense(2), loss=over_the_batch),
    "sum and mean": sum_and_mean,
    "penalty alone": lambda: chain(Idle(), Dense(2, kernel_regularizer="l2")),
    "far": lambda: chain(Dense(3, "relu"), Dense(2), loss="huber"),
}  # fmt: skip
