"""Disguised faults: the same mistake under other names, in lambdas, layers and losses of one's own. What counts is the
arithmetic, so the same check finds it, at the layer that does it."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Activation, Dense, Flatten, Lambda, Layer
from backlit.losses import BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy

RNG = np.random.default_rng(5)
X = RNG.normal(size=(96, 5))
LABELS = np.digitize(X[:, 0] + X[:, 1], [-1, 1])
HOT = np.eye(3)[LABELS]
YES = (X[:, 0] > 0).astype(int)
NUMBERS = 5 * (X @ [1.0, -2.0, 0.5, 0.0, 0.3])
o = bl.ops


@pytest.fixture(autouse=True)
def seeded():
    """Where no bound is sharp, as for (z + |z|) / 2, a check goes by the outputs that it saw, and so by the weights."""
    bl.random.set_seed(1)


class Own(Layer):
    """An activation as somebody's own layer."""

    def __init__(self, function, name=None):
        super().__init__(name=name)
        self.function = function

    def call(self, x, training=False):
        return self.function(x)


def shifted(z):
    e = o.exp(z - o.max(z, axis=-1, keepdims=True))
    return e / o.sum(e, axis=-1, keepdims=True)


def reshaped(z):
    e = o.exp(z)
    return e / o.reshape(o.sum(e, axis=1), (z.shape[0], 1))


SOFTMAX = {
    "record": bl.nn.softmax,
    "by hand": lambda z: o.exp(z) / o.sum(o.exp(z), axis=-1, keepdims=True),
    "shifted": shifted,
    "reshaped": reshaped,
    "guarded": lambda z: o.exp(z) / (o.sum(o.exp(z), axis=-1, keepdims=True) + 1e-9),
    "by logarithm": lambda z: o.exp(bl.nn.log_softmax(z)),
    "by logsumexp": lambda z: o.exp(z - o.logsumexp(z, axis=-1, keepdims=True)),
}
SIGMOID = {
    "record": bl.nn.sigmoid,
    "by hand": lambda z: 1 / (1 + o.exp(-z)),
    "the other way": lambda z: o.exp(z) / (1 + o.exp(z)),
    "by tanh": lambda z: 0.5 * (bl.nn.tanh(z / 2) + 1),
    "of two": lambda z: bl.nn.softmax(o.stack([z, 0 * z], axis=-1), axis=-1)[..., 0],
}
RELU = {
    "record": bl.nn.relu,
    "maximum": lambda z: o.maximum(z, 0.0),
    "where": lambda z: o.where(z > 0, z, 0.0),
    "half": lambda z: (z + abs(z)) / 2,
}
WRAPPED = {"lambda": Lambda, "activation": Activation, "layer": Own}


def found(*layers, loss, x=X, y=NUMBERS, metrics=None):
    model = bl.Sequential(list(layers))
    model.compile("adam", loss, metrics=metrics)
    told = model.diagnose(x, y)
    assert [one.problem for one in told.checked if one.state == "failed"] == []
    assert told.findings, told
    return told.findings[0]


def categorical(y, p):
    return -o.sum(y * o.log(o.clip(p, 1e-7, 1.0)), axis=-1)


def soft_in_the_loss(y, z):
    return -o.sum(y * o.log(bl.nn.softmax(z)), axis=-1)


def margins(y, z):
    return o.mean(o.log(1 + o.exp(-(2 * y - 1) * z)), axis=-1)


def square(y, p):
    return o.mean((y - p) ** 2, axis=-1)


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize(
    "form", [form for form in SOFTMAX if form != "guarded"]
)  # e / (e + 1e-9) is not quite constant
def test_a_softmax_over_one_unit(form, kind):
    first = found(Dense(8, "relu"), Dense(1, name="yes"), WRAPPED[kind](SOFTMAX[form], name="last"), loss="mse")
    assert (first.check, first.layer) == ("constant_output", "last")


@pytest.mark.parametrize("kind", WRAPPED)
@pytest.mark.parametrize("form", SOFTMAX)
@pytest.mark.parametrize(
    "loss", [SparseCategoricalCrossentropy(from_logits=True), soft_in_the_loss], ids=["ours", "own"]
)
def test_a_softmax_before_a_loss_on_logits(form, kind, loss):
    y = HOT if loss is soft_in_the_loss else LABELS
    first = found(Dense(8, "relu"), Dense(3), WRAPPED[kind](SOFTMAX[form], name="last"), loss=loss, y=y)
    assert (first.check, first.layer) == ("bounded_logits", "last")
    assert first.evidence["smallest_loss"] == pytest.approx(np.log(1 + 2 / np.e))


@pytest.mark.parametrize("form", SIGMOID)
@pytest.mark.parametrize("loss", [BinaryCrossentropy(from_logits=True), margins], ids=["ours", "own"])
def test_a_sigmoid_before_a_loss_on_logits(form, loss):
    first = found(Dense(8, "relu"), Dense(1), Lambda(SIGMOID[form], name="last"), loss=loss, y=YES)
    assert (first.check, first.layer) == ("bounded_logits", "last")
    assert first.evidence["smallest_loss"] == pytest.approx(np.log(2))


def test_a_softmax_after_a_softmax():
    first = found(Dense(3, "softmax"), Activation("softmax", name="last"), loss=soft_in_the_loss, y=HOT)
    assert first.check == "bounded_logits" and first.evidence["highest"] == pytest.approx(np.e / (np.e + 2))


@pytest.mark.parametrize("form", SIGMOID)
@pytest.mark.parametrize("loss", [CategoricalCrossentropy(), categorical], ids=["ours", "own"])
def test_sigmoids_for_exclusive_classes(form, loss):
    first = found(Dense(8, "relu"), Dense(3), Own(SIGMOID[form], name="last"), loss=loss, y=HOT)
    assert (first.check, first.layer) == ("shares_that_do_not_compete", "last")


@pytest.mark.parametrize("last", [None, "tanh", "elu", "gelu", "leaky_relu", "softsign", lambda z: 2 * z + 1])
@pytest.mark.parametrize("loss", [CategoricalCrossentropy(), categorical, "kl_divergence"], ids=["ours", "own", "kl"])
def test_no_probabilities_for_a_cross_entropy(last, loss):
    layers = [Dense(3, name="last")] if last is None else [Dense(3), Lambda(last, name="last")]
    first = found(Dense(8, "relu"), *layers, loss=loss, y=HOT)
    assert (first.check, first.layer) == ("output_is_no_probability", "last")
    assert ("from_logits=True" in first.fix) == isinstance(loss, CategoricalCrossentropy)


@pytest.mark.parametrize("form", RELU)
@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy"])
def test_a_relu_for_a_cross_entropy(form, loss):
    width, y = (1, YES) if loss.startswith("binary") else (3, HOT)
    first = found(Dense(8, "tanh"), Dense(width), Own(RELU[form], name="last"), loss=loss, y=y)
    assert (first.check, first.layer) == ("output_is_no_probability", "last")


@pytest.mark.parametrize("form", SIGMOID)
@pytest.mark.parametrize(
    "loss", ["mse", "mae", "huber", "log_cosh", square], ids=lambda loss: getattr(loss, "__name__", loss)
)
def test_a_sigmoid_for_large_targets(form, loss):
    first = found(Dense(8, "relu"), Dense(1), Lambda(SIGMOID[form], name="last"), loss=loss)
    assert (first.check, first.layer) == ("target_out_of_reach", "last")


@pytest.mark.parametrize("form", [form for form in RELU if form != "half"])  # of z + |z| the intervals see two summands
def test_a_relu_for_negative_targets(form):
    first = found(Dense(8, "tanh"), Dense(1), Lambda(RELU[form], name="last"), loss="mse", y=-abs(NUMBERS))
    assert (first.check, first.layer) == ("target_out_of_reach", "last")


@pytest.mark.parametrize("between", [[], [Activation("linear")], [Lambda(lambda x: 3 * x - 1)], [Own(lambda x: x / 2)]])
def test_layers_that_collapse(between):
    first = found(Dense(8, name="a"), *between, Dense(1, name="b"), loss="mse")
    assert (first.check, first.layer, first.evidence["layers"]) == ("linear_layers_collapse", "a", ["a", "b"])


def test_layers_of_ones_own_that_collapse():
    class Affine(Layer):
        def __init__(self, units, name=None):
            super().__init__(name=name)
            self.units = units

        def build(self, shape):
            self.w = self.add_weight("w", (shape[-1], self.units))

        def call(self, x, training=False):
            return x @ self.w

    first = found(Affine(8, name="a"), bl.layers.Dropout(0.1), Affine(7, name="b"), Affine(1, name="c"), loss="mse")
    assert (first.check, first.evidence["layers"]) == ("linear_layers_collapse", ["a", "b", "c"])


def test_a_functional_model_written_with_ops():
    x = bl.Input((5,))
    z = Dense(3, name="z")(Dense(8, "relu")(x))
    model = bl.Model(x, o.exp(z) / o.sum(o.exp(z), axis=-1, keepdims=True))
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    assert [one.check for one in model.diagnose(X, LABELS).findings] == ["bounded_logits"]


def test_a_subclassed_model():
    class Net(bl.Model):
        def __init__(self):
            super().__init__()
            self.hidden, self.last = Dense(8, "relu"), Dense(1)

        def call(self, x, training=False):
            return bl.nn.softmax(self.last(self.hidden(x)))

    model = Net()
    model.compile("adam", "binary_crossentropy")
    assert model.diagnose(X, YES).findings[0].check == "constant_output"


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_equal_units_by_any_initializer(value):
    start = bl.initializers.Constant(value)
    layers = Dense(6, "tanh", kernel_initializer=start, name="a"), Dense(3, kernel_initializer=start)
    first = found(*layers, loss=SparseCategoricalCrossentropy(from_logits=True), y=LABELS)
    assert (first.check, first.layer) == ("equal_units", "a")


def test_unscaled_inputs_behind_other_layers():
    first = found(Flatten(), Lambda(lambda x: x * 1000), Dense(8, "relu", name="a"), Dense(1), loss="mse")
    assert (first.check, first.layer) == ("unscaled_inputs", "a")


def test_a_counting_metric_of_ones_own():
    def hits(y, p):
        return o.mean(o.cast(o.equal(o.round(p), y), "float32"), axis=-1)

    first = found(Dense(8, "relu"), Dense(1), loss="mse", metrics=[hits])
    assert first.check == "accuracy_of_numbers"


def test_convolutions_that_collapse_are_not_told_of_a_width_that_is_none():
    maps = [bl.layers.Conv2DTranspose(2, 3, name="up"), bl.layers.AveragePooling2D(), Flatten(), Dense(3, name="b")]
    model = bl.Sequential([bl.Input((4, 4, 1)), *maps])
    model.compile("adam", "mse")
    (first,) = model.diagnose(RNG.normal(size=(32, 4, 4, 1)), RNG.normal(size=(32, 3))).findings
    assert (first.check, first.evidence["layers"], first.fix) == (
        "linear_layers_collapse",
        ["up", "b"],
        "an activation in up (b, the last of them, stays as it is)",
    )


@pytest.mark.parametrize("ordered", [False, True])
def test_many_classes_are_missing_from_a_tail_by_chance_or_because_the_rows_are_sorted(ordered, capsys):
    x, y = RNG.normal(size=(1000, 4)), RNG.integers(0, 100, 1000)
    y = np.sort(y) if ordered else y
    model = bl.Sequential([Dense(8, "relu"), Dense(100)])
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, validation_split=0.1, verbose=0)
    assert ("whose classes differ" in capsys.readouterr().err) is ordered


def test_a_layer_that_serves_twice_is_named_once():
    a, b = bl.Input((5,)), bl.Input((5,))
    shared = bl.Sequential([Dense(8, "relu"), Dense(3, name="f")])
    model = bl.Model([a, b], Dense(1, name="g")(bl.layers.Subtract()([shared(a), shared(b)])))
    model.compile("adam", "mse")
    (first,) = model.diagnose([X, X[::-1]], NUMBERS - NUMBERS[::-1]).findings
    assert first.evidence["layers"] == ["f", "g"]
