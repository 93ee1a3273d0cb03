"""The convolution family against Keras on JAX, both in float64: the same numbers and the same gradients to 1e-10."""

import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from keras.src.initializers.random_initializers import compute_fans

import backlit as bl
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.layers.initializers import fans
from backlit.layers.layer import Pass

ROWS = 3
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning:keras")  # of Keras itself

# name, arguments, the shapes of one example
CASES = [
    ("Conv1D", {"filters": 3, "kernel_size": 2}, [(7, 2), (2, 1)]),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same", "activation": "softplus"}, [(7, 3), (8, 3)]),
    ("Conv1D", {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same"}, [(9, 1), (2, 1)]),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same", "use_bias": False}, [(9, 1), (4, 2)]),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "causal"}, [(9, 2), (3, 2)]),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "causal"}, [(8, 2), (7, 2)]),
    ("Conv1D", {"filters": 4, "kernel_size": 3, "groups": 2}, [(6, 4)]),
    ("Conv2D", {"filters": 3, "kernel_size": 3}, [(7, 5, 2), (3, 3, 1)]),
    ("Conv2D", {"filters": 2, "kernel_size": (3, 2), "strides": (2, 1), "activation": "softplus"}, [(6, 5, 2), (7, 4, 1)]),
    ("Conv2D", {"filters": 2, "kernel_size": (2, 3), "strides": 2, "padding": "same"}, [(5, 7, 2), (6, 4, 1), (1, 1, 2)]),
    ("Conv2D", {"filters": 2, "kernel_size": 3, "dilation_rate": (1, 2), "padding": "same"}, [(5, 6, 2)]),
    ("Conv2D", {"filters": 2, "kernel_size": 2, "dilation_rate": 2, "use_bias": False}, [(5, 4, 1)]),
    ("Conv2D", {"filters": 6, "kernel_size": 2, "groups": 3, "padding": "same"}, [(3, 4, 3)]),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3}, [(4, 2)]),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3}, [(4, 2)]),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "padding": "same"}, [(4, 2), (1, 1)]),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 4, "strides": 3, "padding": "same"}, [(4, 2)]),
    ("Conv1DTranspose", {"filters": 1, "kernel_size": 2, "strides": 3, "padding": "same", "output_padding": 1}, [(4, 1)]),
    ("Conv1DTranspose", {"filters": 1, "kernel_size": 5, "strides": 3, "padding": "same", "output_padding": 2}, [(4, 1)]),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2, "output_padding": 1}, [(4, 2)]),
    ("Conv1DTranspose", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "padding": "same"}, [(5, 2)]),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 3, "strides": 2}, [(3, 4, 2)]),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": (4, 3), "strides": (2, 1), "padding": "same"}, [(3, 4, 2)]),
    ("Conv2DTranspose", {"filters": 2, "kernel_size": 2, "strides": 3, "output_padding": 2, "use_bias": False}, [(3, 2, 1)]),
    ("MaxPooling1D", {}, [(7, 2)]),
    ("MaxPooling1D", {"pool_size": 3, "strides": 2, "padding": "same"}, [(7, 2), (8, 1), (2, 1)]),
    ("MaxPooling2D", {}, [(5, 4, 2)]),
    ("MaxPooling2D", {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}, [(5, 7, 2), (1, 1, 1)]),
    ("AveragePooling1D", {"pool_size": 2}, [(7, 2)]),
    ("AveragePooling1D", {"pool_size": 4, "strides": 3, "padding": "same"}, [(8, 2), (9, 1)]),
    ("AveragePooling2D", {"pool_size": (2, 3)}, [(5, 7, 2)]),
    ("AveragePooling2D", {"pool_size": 3, "strides": 2, "padding": "same"}, [(5, 6, 2), (1, 2, 1)]),
    ("GlobalMaxPooling1D", {}, [(5, 2)]),
    ("GlobalMaxPooling2D", {"keepdims": True}, [(3, 4, 2)]),
    ("GlobalAveragePooling1D", {"keepdims": True}, [(5, 2)]),
    ("GlobalAveragePooling2D", {}, [(3, 4, 2)]),
    ("ZeroPadding1D", {}, [(4, 2)]),
    ("ZeroPadding1D", {"padding": (0, 2)}, [(4, 2)]),
    ("ZeroPadding2D", {"padding": 2}, [(3, 4, 2)]),
    ("ZeroPadding2D", {"padding": (1, 2)}, [(3, 4, 2)]),
    ("ZeroPadding2D", {"padding": ((1, 0), (2, 3))}, [(3, 4, 2)]),
    ("Cropping1D", {}, [(4, 2)]),
    ("Cropping1D", {"cropping": (0, 3)}, [(4, 2)]),
    ("Cropping2D", {}, [(4, 5, 2)]),
    ("Cropping2D", {"cropping": (1, 2)}, [(4, 5, 2)]),
    ("Cropping2D", {"cropping": ((1, 0), (0, 3))}, [(4, 5, 2)]),
    ("UpSampling1D", {"size": 3}, [(4, 2)]),
    ("UpSampling2D", {}, [(3, 4, 2)]),
    ("UpSampling2D", {"size": (1, 3)}, [(3, 4, 2)]),
    ("SpatialDropout1D", {"rate": 0.3}, [(4, 2)]),
    ("SpatialDropout2D", {"rate": 0.3}, [(3, 4, 2)]),
    ("BatchNormalization", {}, [(3, 4, 2)]),
]  # fmt: skip
cases = pytest.mark.parametrize(
    ("kind", "arguments", "shape"),
    [pytest.param(name, args, shape, id=f"{name}-{json.dumps(args)}-{shape}") for name, args, shapes in CASES for shape in shapes],
)  # fmt: skip


def slope_of(shape):
    return np.cos(np.arange(np.prod(shape))).reshape(shape)


IN_FLOAT32 = {
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "BatchNormalization",
}  # Keras's mean, whatever the dtype


def near(found, wanted, margin):
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.dtype == wanted.dtype == np.float64
    np.testing.assert_allclose(found, wanted, rtol=margin, atol=margin)


def of_keras(layer, x):
    def output(weights, x):
        return layer.stateless_call(weights, [v.value for v in layer.non_trainable_variables], x)[0]

    weights = [v.value for v in layer.trainable_variables]
    out = output(weights, x)
    slope = slope_of(out.shape)
    by_weights, by_x = jax.grad(lambda w, x: jnp.sum(output(w, x) * slope), argnums=(0, 1))(weights, jnp.asarray(x))
    return [out, by_x, *by_weights]


def of_backlit(layer, x):
    leaf = input_leaf((M, *x.shape[1:]), "x", "float64")
    with Pass(False):
        out = layer(leaf)
    slope = input_leaf(out.shape, "slope", "float64")
    gradients = bl.grad(bl.ops.sum(out * slope), [leaf, *layer.trainable_weights])
    return bl.compile([out, *gradients], [leaf, slope])(x, slope_of((ROWS, *out.shape[1:])))


def pair(kind, arguments, shape):
    """Our layer and Keras's on such inputs, with the same weights."""
    ours, theirs = (getattr(room.layers, kind)(**arguments, dtype="float64") for room in (bl, keras))
    x = np.random.default_rng(4).normal(size=(ROWS, *shape))
    ours(x), theirs(x)
    rng = np.random.default_rng(5)
    values = [rng.uniform(0.3, 1.5, size=w.shape) for w in theirs.get_weights()]
    assert [w.shape for w in ours.get_weights()] == [w.shape for w in values]
    assert [leaf.name.split("/")[-1] for leaf in ours.weights] == [v.name for v in theirs.weights]
    ours.set_weights(values), theirs.set_weights(values)
    return ours, theirs, x


@cases
def test_values_and_gradients(kind, arguments, shape):
    ours, theirs, x = pair(kind, arguments, shape)
    for found, wanted in zip(of_backlit(ours, x), of_keras(theirs, x), strict=True):
        near(found, wanted, 1e-5 if kind in IN_FLOAT32 else 1e-10)
    assert ours.output_shape[1:] == tuple(theirs.compute_output_shape((None, *shape))[1:])


@pytest.mark.parametrize("shape", [(5,), (4, 6), (5, 3, 4), (3, 2, 4, 6), (2, 3, 4, 5, 6)])
def test_kernels_count_their_field_among_inputs_and_outputs_as_in_keras(shape):
    assert fans(shape) == compute_fans(shape)


@pytest.mark.parametrize("opposite", [False, True])
def test_a_convnet_trains_step_for_step_as_in_keras(opposite):
    def model(room):
        L = room.layers
        inside = (
            [L.Conv2DTranspose(3, 2, strides=2, activation="relu")] if opposite else [L.MaxPooling2D(padding="same")]
        )
        layers = [L.Conv2D(4, 3, padding="same", activation="relu"), *inside, L.Flatten(), L.Dense(3)]
        return room.Sequential([room.Input((5, 6, 1)), *layers])

    ours, theirs = model(bl), model(keras)
    ours.set_weights(theirs.get_weights())
    assert ours.count_params() == theirs.count_params()
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(24, 5, 6, 1)).astype("float32"), rng.normal(size=(24, 3)).astype("float32")
    for each, room in ((ours, bl), (theirs, keras)):
        each.compile(optimizer=room.optimizers.SGD(0.05), loss="mse")
        each.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
