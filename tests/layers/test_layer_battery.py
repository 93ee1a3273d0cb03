"""What every layer promises, asked of every layer in the registry; a new layer needs at most a row in SAMPLES."""

import inspect
import json

import numpy as np
import pytest

import backlit as bl
from backlit.core import registry
from backlit.core.errors import BacklitError, ShapeError
from backlit.core.node import input_leaf
from backlit.core.shapes import M, bind
from backlit.layers import BatchNormalization, Dense, Layer
from backlit.layers.layer import Pass
from backlit.layers.network import Network

ROWS = 5
MARGINS = {"ReLU", "LeakyReLU", "PReLU", "ELU", "Activation"}  # inputs are kept away from the kink at 0
# They differ from themselves while training.
RANDOM = {"Dropout", "GaussianDropout", "GaussianNoise", "SpatialDropout1D", "SpatialDropout2D"}
ELSEWHERE = {  # layers that take ids or several inputs: test_more_layers.py
    *("Add", "Average", "Concatenate", "Dot", "Maximum", "Minimum", "Multiply", "Subtract"),
    *("CategoryEncoding", "Embedding"),
}

# Constructor arguments and the shape of one example, for layers that cannot be made without arguments or on (4,).
SAMPLES = {
    "Activation": [({"activation": "tanh"}, (4,)), ({"activation": "softmax"}, (3, 4))],
    "AveragePooling1D": [({}, (5, 2)), ({"pool_size": 3, "strides": 1, "padding": "same"}, (4, 2))],
    "AveragePooling2D": [({}, (5, 4, 2)), ({"pool_size": [3, 2], "strides": 2, "padding": "same"}, (5, 3, 1))],
    "BatchNormalization": [
        ({}, (4,)),
        ({}, (2, 3, 2)),
        ({"momentum": 0.5, "epsilon": 0.1}, (3, 2)),
        ({"axis": 1, "center": False, "gamma_initializer": "he_normal"}, (3, 2)),
    ],
    "Conv1D": [
        ({"filters": 3, "kernel_size": 2}, (5, 2)),
        ({"filters": 1, "kernel_size": 3, "strides": 2, "activation": "tanh", "use_bias": False}, (7, 2)),
        ({"filters": 2, "kernel_size": [2], "dilation_rate": 3, "kernel_constraint": "max_norm"}, (6, 1)),
        ({"filters": 4, "kernel_size": 3, "strides": 2, "padding": "same", "groups": 2}, (4, 2)),
        ({"filters": 1, "kernel_size": 3, "padding": "causal", "bias_regularizer": "l2"}, (4, 2)),
    ],
    "Conv1DTranspose": [
        ({"filters": 3, "kernel_size": 2}, (4, 2)),
        ({"filters": 1, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "tanh"}, (4, 2)),
        ({"filters": 2, "kernel_size": 2, "dilation_rate": 2, "strides": 3, "output_padding": 1}, (3, 1)),
    ],
    "Conv2D": [
        ({"filters": 3, "kernel_size": 2}, (4, 3, 2)),
        ({"filters": 1, "kernel_size": [3, 2], "strides": 2, "padding": "same", "activation": "tanh"}, (5, 4, 2)),
        ({"filters": 2, "kernel_size": 2, "dilation_rate": [1, 2], "use_bias": False}, (3, 4, 1)),
    ],
    "Conv2DTranspose": [
        ({"filters": 2, "kernel_size": 2}, (2, 3, 2)),
        ({"filters": 1, "kernel_size": 3, "strides": [2, 1], "padding": "same"}, (2, 3, 1)),
        ({"filters": 1, "kernel_size": 2, "strides": 3, "output_padding": [2, 0], "use_bias": False}, (2, 2, 1)),
    ],
    "Cropping1D": [({}, (4, 2)), ({"cropping": [0, 2]}, (4, 2))],
    "Cropping2D": [({}, (3, 2, 2)), ({"cropping": [[1, 0], [0, 2]]}, (3, 4, 2)), ({"cropping": 1}, (3, 4, 1))],
    "Dense": [
        ({"units": 3}, (4,)),
        ({"units": 3, "activation": "sigmoid", "kernel_initializer": "he_normal", "name": "h"}, (2, 4)),
        ({"units": 1, "use_bias": False, "kernel_regularizer": "l2"}, (4,)),
        ({"units": 2, "bias_initializer": bl.initializers.Constant(0.5), "trainable": False}, (4,)),
    ],
    "Dropout": [({"rate": 0.4}, (4,)), ({"rate": 0.0}, (2, 3)), ({"rate": 0.5, "noise_shape": [None, 1, 3]}, (2, 3))],
    "ELU": [({"alpha": 0.5}, (4,))],
    "Flatten": [({}, (4,)), ({}, (2, 3, 2))],
    "GaussianDropout": [({"rate": 0.4, "seed": 3}, (4,))],
    "GaussianNoise": [({"stddev": 0.4}, (2, 3))],
    "GlobalAveragePooling1D": [({}, (4, 2)), ({"keepdims": True}, (4, 2))],
    "GlobalAveragePooling2D": [({}, (4, 3, 2)), ({"keepdims": True}, (4, 3, 2))],
    "GlobalMaxPooling1D": [({}, (4, 2)), ({"keepdims": True}, (4, 2))],
    "GlobalMaxPooling2D": [({}, (4, 3, 2)), ({"keepdims": True}, (4, 3, 2))],
    "Lambda": [({"function": "square"}, (4,)), ({"function": bl.ops.clip, "arguments": {"low": -0.5}}, (2, 3))],
    "LayerNormalization": [({}, (4,)), ({"axis": [1, 2], "scale": False}, (3, 2)), ({"axis": 1}, (3, 2))],
    "LeakyReLU": [({}, (4,)), ({"negative_slope": 0.01}, (2, 3))],
    "LocallyConnected1D": [
        ({"filters": 3, "kernel_size": 2}, (5, 2)),
        ({"filters": 1, "kernel_size": [3], "strides": 2, "activation": "tanh", "use_bias": False}, (6, 2)),
    ],
    "MaxPooling1D": [({}, (5, 2)), ({"pool_size": 3, "strides": 1, "padding": "same"}, (4, 2))],
    "MaxPooling2D": [({}, (5, 4, 2)), ({"pool_size": [3, 2], "strides": 2, "padding": "same"}, (5, 3, 1))],
    "Normalization": [
        ({"axis": 1, "mean": [1.0, 2.0, 3.0], "variance": 4.0, "invert": True}, (3, 2)),
        ({"axis": None, "mean": 1.0, "variance": 4.0}, (3, 2)),
        ({"mean": 0.5, "variance": 4.0}, (4,)),
        ({"mean": [1.0, 2.0, 0.0, 0.0], "variance": [1.0, 4.0, 9.0, 0.0]}, (4,)),
    ],
    "PReLU": [({"alpha_initializer": "uniform"}, (4,)), ({"shared_axes": [1]}, (3, 2))],
    "Permute": [({"dims": [2, 1]}, (3, 2))],
    "ReLU": [({}, (4,)), ({"max_value": 1.0, "negative_slope": 0.5}, (4,))],
    "RepeatVector": [({"n": 3}, (4,))],
    "Reshape": [({"target_shape": [2, -1]}, (4,))],
    "Rescaling": [
        ({"scale": [1.0, 2.0], "offset": [0.5, 0.0]}, (3, 2)),
        ({"scale": 2.0}, (4,)),
        ({"scale": 1 / 255, "offset": 1.0}, (2,)),
    ],
    "Softmax": [({}, (4,)), ({"axis": 1}, (3, 2))],
    "SpatialDropout1D": [({"rate": 0.4}, (3, 2)), ({"rate": 0.5, "seed": 3}, (3, 2))],
    "SpatialDropout2D": [({"rate": 0.4}, (3, 2, 2)), ({"rate": 0.0}, (3, 2, 2))],
    "UpSampling1D": [({}, (3, 2)), ({"size": [3]}, (3, 2))],
    "UpSampling2D": [({}, (3, 2, 2)), ({"size": [1, 3]}, (3, 2, 2))],
    "ZeroPadding1D": [({}, (3, 2)), ({"padding": [0, 2]}, (3, 2))],
    "ZeroPadding2D": [({}, (3, 2, 2)), ({"padding": [1, 2]}, (3, 2, 2)), ({"padding": [[1, 0], [0, 2]]}, (3, 2, 1))],
}


def all_layers():
    """Every layer class of the library itself; networks are held by the tests of models."""
    found = {registry.find(name) for name in registry.names("layer.")}
    own = [cls for cls in found if cls.__module__.startswith("backlit.") and not issubclass(cls, Network)]
    assert {cls.__name__ for cls in own} >= ELSEWHERE
    own = [cls for cls in own if cls.__name__ not in ELSEWHERE]
    return sorted(own, key=lambda cls: cls.__name__)


def cases():
    for cls in all_layers():
        for place, (arguments, shape) in enumerate(SAMPLES.get(cls.__name__, [({}, (4,))])):
            yield pytest.param(cls, arguments, shape, id=f"{cls.__name__}-{place}")


every = pytest.mark.parametrize(("cls", "arguments", "shape"), list(cases()))


def sample(cls, shape, rows=ROWS, dtype="float32"):
    x = np.random.default_rng(len(shape) + rows).normal(size=(rows, *shape))
    if cls.__name__ in MARGINS:
        x += np.copysign(0.1, x)
    return x.astype(dtype)


def test_the_battery_can_make_every_layer():
    for cls in all_layers():
        required = [
            p.name
            for p in list(inspect.signature(cls.__init__).parameters.values())[1:]
            if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD
        ]
        assert not required or cls.__name__ in SAMPLES, f"give {cls.__name__} ({required}) a row in SAMPLES"
    assert len(all_layers()) >= 9


@every
def test_configuration_brings_the_layer_back(cls, arguments, shape):
    layer, x = cls(**arguments), sample(cls, shape)
    before = layer(x)
    config = json.loads(json.dumps(layer.get_config()))  # as a file keeps it
    again = cls.from_config(config)
    assert type(again) is cls and again.get_config() == layer.get_config()
    assert again.trainable == layer.trainable
    again(x)
    again.set_weights(layer.get_weights())
    np.testing.assert_array_equal(again(x), before)


@every
def test_the_symbolic_shape_is_the_shape_of_the_result(cls, arguments, shape):
    layer = cls(**arguments)
    out = layer(input_leaf((M, *shape), "x", layer.dtype))
    assert out.shape[0] == M or len(out.shape) == 0, "the batch axis must stay a symbol"
    for rows in (1, 2, ROWS):
        assert layer(sample(cls, shape, rows)).shape == bind(out.shape, rows)
    assert bind(layer.output_shape, 7) == bind(out.shape, 7)


@every
def test_computes_in_the_dtype_that_is_set(cls, arguments, shape):
    assert cls(**arguments)(sample(cls, shape, dtype="float64")).dtype == np.float32
    bl.set_floatx("float64")
    try:
        layer = cls(**arguments)
        assert layer(sample(cls, shape)).dtype == np.float64
        assert {leaf.dtype for leaf in layer.weights} <= {"float64"}
    finally:
        bl.set_floatx("float32")
    assert cls(**arguments)(sample(cls, shape)).dtype == np.float32


@every
def test_one_row_alone_gives_what_it_gives_among_others(cls, arguments, shape):
    layer, x = cls(**arguments), sample(cls, shape)
    together = layer(x)
    alone = np.concatenate([layer(row[np.newaxis]) for row in x])
    np.testing.assert_allclose(alone, together, rtol=1e-6, atol=1e-6)


@every
def test_training_mode_only_changes_what_is_meant_to_change(cls, arguments, shape):
    layer, x = cls(**arguments), sample(cls, shape, rows=64)
    inference = layer(x, training=False)
    weights = layer.get_weights()
    training = layer(x, training=True)
    random = cls.__name__ in RANDOM and arguments.get("rate", 1) > 0
    if random or cls is BatchNormalization:
        assert not np.array_equal(training, inference)
    else:
        np.testing.assert_array_equal(training, inference)
    for now, then in zip(layer.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(now, then)  # a call outside of fit writes no state
    np.testing.assert_array_equal(layer(x), inference)


@every
def test_two_calls_share_the_weights(cls, arguments, shape):
    layer, x = cls(**arguments), sample(cls, shape)
    first = layer(x)
    weights = layer.weights
    np.testing.assert_array_equal(layer(x), first)
    assert all(a is b for a, b in zip(layer.weights, weights, strict=True))
    leaf = input_leaf((M, *shape), "x", layer.dtype)
    with Pass(False):
        a, b = layer(leaf), layer(leaf)
    assert layer.weights == weights
    known = registry.lookup("values.reference")([a, b], {leaf: x})
    np.testing.assert_array_equal(known[a], known[b])


@every
def test_the_gradient_is_the_finite_difference(cls, arguments, shape):
    bl.set_floatx("float64")
    try:
        layer = cls(**arguments)
        layer(sample(cls, shape))
    finally:
        bl.set_floatx("float32")
    x = bl.variable(sample(cls, shape, rows=3, dtype="float64"), name="x")
    for training in (False, True):
        with Pass(training, *map(bl.constant, (7, 1)) if training else ()):
            out = layer(x)
        slope = np.linspace(0.5, 1.5, int(np.prod(out.shape))).reshape(out.shape)
        report = bl.check_grad(bl.ops.sum(bl.ops.square(out) * slope), [x, *layer.trainable_weights])
        assert report.ok, f"training={training}\n{report}"


@every
def test_a_wrong_shape_is_refused_by_name_and_changes_nothing(cls, arguments, shape):
    layer = cls(**{**arguments, "name": "culprit"})
    layer(sample(cls, shape))
    if not layer.weights:
        return  # a layer without weights takes any width
    weights, before = layer.get_weights(), layer(sample(cls, shape))
    with pytest.raises(ShapeError, match="culprit") as caught:
        layer(np.zeros((ROWS, *shape[:-1], shape[-1] + 1)))
    assert isinstance(caught.value, ValueError)
    np.testing.assert_array_equal(layer(sample(cls, shape)), before)
    assert [w.tolist() for w in weights] == [w.tolist() for w in layer.get_weights()]


@every
def test_a_batch_of_bare_numbers_is_taken_or_refused_but_never_crashes(cls, arguments, shape):
    layer = cls(**arguments)
    try:
        layer(np.arange(ROWS, dtype=np.float32))
    except BacklitError:
        assert not layer.built and layer.weights == []
        layer(sample(cls, shape))  # as good as new


@every
def test_empty_batches_and_lists_go_through(cls, arguments, shape):
    layer, x = cls(**arguments), sample(cls, shape)
    full = layer(x)
    np.testing.assert_array_equal(layer(x.tolist()), full)
    assert layer(x[:0]).shape == (0, *full.shape[1:])


@every
def test_parameters_are_counted(cls, arguments, shape):
    layer = cls(**arguments)
    with pytest.raises(BacklitError, match="no weights yet"):
        layer.count_params()
    layer(sample(cls, shape))
    assert layer.count_params() == sum(w.size for w in layer.get_weights())
    trained = sum(leaf.array.size for leaf in layer.trainable_weights)
    layer.trainable = not layer.trainable
    assert layer.trainable_weights == [] or trained == 0


def test_dense_is_the_formula():
    x, layer = sample(Dense, (4,)), Dense(3, "relu")
    out, (w, b) = layer(x), layer.get_weights()
    np.testing.assert_allclose(out, np.maximum(0, x @ w + b), rtol=1e-6)
    assert (w.shape, b.shape) == ((4, 3), (3,))
    assert [leaf.name for leaf in layer.weights] == ["dense/kernel", "dense/bias"]


def test_normalization_adapts_before_and_after_it_is_built():
    x = np.random.default_rng(0).normal(3, [1, 5, 0.1], size=(500, 3))
    x[:, 1] = 7.0  # a column that never varies is only shifted
    layer = bl.layers.Normalization()
    layer.adapt(x)
    out = layer(x)
    np.testing.assert_allclose(out.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(out.std(axis=0), [1, 0, 1], atol=1e-3)
    layer.adapt(x * 2 + 1)
    np.testing.assert_allclose(layer(x * 2 + 1), out, atol=1e-3)
    with pytest.raises(ShapeError, match="normalization"):
        layer.adapt(x[:, :2])
    np.testing.assert_allclose(layer(x * 2 + 1), out, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: bl.layers.Normalization(mean=0.5), "mean and variance"),
        (lambda: bl.layers.Normalization(mean=0.0, variance=-1.0), "statistics"),
        (lambda: bl.layers.Normalization(mean=0.0, variance=np.nan), "statistics"),
        (lambda: bl.layers.Normalization().adapt([[np.nan], [1.0]]), "statistics"),
        (lambda: bl.layers.Normalization().adapt(np.zeros((0, 3))), "nothing to adapt to"),
        (lambda: bl.layers.Normalization()(np.zeros((2, 3))), "no statistics"),
        (lambda: bl.layers.Normalization(-1, [0.0, 1.0], [1.0, 1.0])(np.zeros((2, 3))), "another width"),
    ],
)
def test_normalization_refuses_statistics_that_would_spoil_the_model(make, message):
    with pytest.raises(BacklitError, match=message):
        make()


class Scale(Layer):
    """A layer of somebody's own, in the few lines that the documentation promises."""

    def __init__(self, power: float = 1.0, name=None):
        super().__init__(name=name)
        self.power = power

    def build(self, shape):
        self.factor = self.add_weight("factor", (shape[-1],), "ones", regularizer="l1")

    def call(self, x, training=False):
        return x * self.factor**self.power


def test_a_layer_of_ones_own_works_like_the_others():
    layer, x = Scale(power=2.0), sample(Scale, (4,))
    np.testing.assert_array_equal(layer(x), x)
    layer.set_weights([[2.0, 1.0, 0.0, -1.0]])
    np.testing.assert_allclose(layer(x), x * [4, 1, 0, 1], rtol=1e-6)
    assert Scale.from_config(layer.get_config()).power == 2.0
    assert [float(p.value) for p in layer.penalties()] == pytest.approx([0.04])
    with pytest.raises(AttributeError, match="factor"):
        layer.facotr  # noqa: B018


class Clumsy(Layer):
    def build(self, shape):
        self.add_weight("kernel", (shape[-1], 2))
        self.kernle + 1


def test_a_mistake_in_a_layer_of_ones_own_is_told_and_not_swallowed():
    with pytest.raises(AttributeError, match="kernle") as caught:
        bl.Sequential([bl.Input((3,)), Clumsy()])
    assert isinstance(caught.value, BacklitError)
    layer = Clumsy()
    with pytest.raises(AttributeError):
        layer(np.zeros((2, 3)))
    assert not layer.built and layer.weights == []


def test_set_weights_sets_all_or_none():
    layer = Dense(2)
    layer(np.zeros((1, 3)))
    before = layer.get_weights()
    with pytest.raises(ShapeError, match="weights"):
        layer.set_weights([np.ones((3, 2)), np.ones(3)])
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), before, strict=True))
    layer.get_weights()[0][:] = 9  # a copy
    assert all(np.array_equal(a, b) for a, b in zip(layer.get_weights(), before, strict=True))
    for wrong in ("float16", "int32", "float46"):
        with pytest.raises(BacklitError):
            Dense(2, dtype=wrong)
