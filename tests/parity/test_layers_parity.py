"""Every layer, penalty, constraint and initializer against Keras on JAX: with the same weights the same numbers and the
same gradients."""

import json

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import backlit as bl
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.layers.layer import Pass

ROWS = 6
pytestmark = pytest.mark.filterwarnings("ignore:__array__ impl:DeprecationWarning:keras")  # of Keras itself


def near(found, wanted, what, relative=1e-5):
    """1e-5 relative, with a floor of 1e-6 of the tensor's largest value; both of float32."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape, what
    floor = relative / 10 * np.abs(wanted).max(initial=0)
    worst = np.abs(found - wanted) - relative * np.abs(wanted)
    assert worst.max(initial=-1) <= floor, f"{what}: off by {np.abs(found - wanted).max():g}\n{found}\n{wanted}"


# name, arguments, shapes of the inputs (one example); "ids": whole numbers below that
CASES = [
    ("Dense", {"units": 3}, [(4,)]),
    ("Dense", {"units": 3, "activation": "gelu", "use_bias": False}, [(2, 4)]),
    ("Activation", {"activation": "softplus"}, [(4,)]),
    ("Activation", {"activation": "selu"}, [(4,)]),
    ("ReLU", {}, [(4,)]),
    ("ReLU", {"max_value": 0.8}, [(4,)]),
    ("ReLU", {"max_value": 0.8, "negative_slope": 0.3, "threshold": 0.2}, [(4,)]),
    ("LeakyReLU", {}, [(4,)]),
    ("LeakyReLU", {"negative_slope": 0.01}, [(4,)]),
    ("PReLU", {}, [(3, 4)]),
    ("PReLU", {"shared_axes": [1]}, [(3, 4)]),
    ("ELU", {"alpha": 0.7}, [(4,)]),
    ("Softmax", {}, [(4,)]),
    ("Softmax", {"axis": 1}, [(3, 2)]),
    ("Flatten", {}, [(2, 3)]),
    ("Reshape", {"target_shape": (3, -1)}, [(2, 6)]),
    ("Permute", {"dims": (2, 3, 1)}, [(2, 3, 4)]),
    ("RepeatVector", {"n": 3}, [(4,)]),
    ("Dropout", {"rate": 0.3}, [(4,)]),
    ("GaussianNoise", {"stddev": 0.3}, [(4,)]),
    ("GaussianDropout", {"rate": 0.3}, [(4,)]),
    ("BatchNormalization", {}, [(4,)]),
    ("BatchNormalization", {"axis": 1, "epsilon": 0.01}, [(3, 4)]),
    ("BatchNormalization", {"center": False}, [(3, 4)]),
    ("BatchNormalization", {"scale": False}, [(4,)]),
    ("LayerNormalization", {}, [(4,)]),
    ("LayerNormalization", {"axis": 1, "epsilon": 0.01}, [(3, 4)]),
    ("LayerNormalization", {"axis": [1, 2], "center": False}, [(3, 4)]),
    ("Embedding", {"input_dim": 7, "output_dim": 3}, [(4, "ids")]),
    ("Conv1D", {"filters": 3, "kernel_size": 2}, [(7, 2)]),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "strides": 2, "activation": "tanh"}, [(8, 3)]),
    ("Conv1D", {"filters": 2, "kernel_size": 3, "dilation_rate": 2, "use_bias": False}, [(9, 1)]),
    ("Add", {}, [(3,), (3,), (3,)]),
    ("Add", {}, [(2, 3), (1, 3)]),
    ("Subtract", {}, [(3,), (3,)]),
    ("Multiply", {}, [(3,), (3,), (3,)]),
    ("Average", {}, [(3,), (3,), (3,)]),
    ("Maximum", {}, [(3,), (3,), (3,)]),
    ("Minimum", {}, [(3,), (3,)]),
    ("Concatenate", {}, [(3,), (2,)]),
    ("Concatenate", {"axis": 1}, [(3, 2), (1, 2)]),
    ("Dot", {"axes": 1}, [(3,), (3,)]),
    ("Dot", {"axes": -1, "normalize": True}, [(3,), (3,)]),
    ("Dot", {"axes": (2, 1)}, [(2, 3), (3, 4)]),
    ("Dot", {"axes": (1, 3)}, [(3, 2), (2, 4, 3)]),
    ("Rescaling", {"scale": 0.5, "offset": -1.0}, [(4,)]),
    ("Normalization", {"mean": [1.0, 2.0, 3.0], "variance": [4.0, 1.0, 0.25]}, [(3,)]),
    ("Normalization", {"axis": 1, "mean": [1.0, 2.0], "variance": [4.0, 0.5]}, [(2, 3)]),
    ("Normalization", {"axis": None, "mean": 1.0, "variance": 4.0}, [(2, 3)]),
    ("Normalization", {"mean": 1.0, "variance": 4.0, "invert": True}, [(3,)]),
]
cases = pytest.mark.parametrize(
    ("kind", "arguments", "shapes"), CASES, ids=[f"{name}-{json.dumps(args)}" for name, args, _ in CASES]
)
QUIET = {"Dropout", "GaussianNoise", "GaussianDropout"}  # while training they draw, each library its own


def drawn(shapes):
    rng = np.random.default_rng(11)
    parts = [
        rng.integers(0, 7, size=(ROWS, *shape[:-1])) if "ids" in shape else rng.normal(1, 1.5, size=(ROWS, *shape))
        for shape in shapes
    ]
    return [part if part.dtype.kind == "i" else part.astype("float32") for part in parts]


def pair(kind, arguments, inputs):
    """Our layer and Keras's, built on these inputs, with the same weights."""
    ours, theirs = getattr(bl.layers, kind)(**arguments), getattr(keras.layers, kind)(**arguments)
    given = inputs if len(inputs) > 1 else inputs[0]
    ours(given), theirs(given)
    if kind != "Normalization":
        rng = np.random.default_rng(12)
        values = [rng.uniform(0.3, 1.5, size=w.shape).astype("float32") for w in theirs.get_weights()]
        assert [w.shape for w in ours.get_weights()] == [w.shape for w in values]
        names = [leaf.name.split("/")[-1] for leaf in ours.weights]
        assert names == [v.name for v in theirs.weights]
        ours.set_weights(values), theirs.set_weights(values)
    return ours, theirs


def slope_of(shape):
    return np.cos(np.arange(np.prod(shape))).reshape(shape).astype("float32")


def of_keras(layer, inputs, training):
    """(output, gradients for inputs and trained weights) of sum(output * slope)."""
    state = [v.value for v in layer.non_trainable_variables]

    def output(weights, floats):
        places = iter(floats)
        x = [next(places) if part.dtype.kind == "f" else part for part in inputs]
        given = x if len(x) > 1 else x[0]
        takes_it = layer._call_has_training_arg
        return layer.stateless_call(weights, state, given, **({"training": training} if takes_it else {}))[0]

    weights = [v.value for v in layer.trainable_variables]
    floats = [jnp.asarray(part) for part in inputs if part.dtype.kind == "f"]
    out = output(weights, floats)
    slope = slope_of(out.shape)
    by_weights, by_inputs = jax.grad(lambda w, x: jnp.sum(output(w, x) * slope), argnums=(0, 1))(weights, floats)
    return out, [*by_inputs, *by_weights]


def of_backlit(layer, inputs, training):
    leaves = [input_leaf((M, *part.shape[1:]), "x", str(part.dtype)) for part in inputs]
    with Pass(training, *(map(bl.constant, (7, 1)) if training else ())):
        out = layer(leaves if len(leaves) > 1 else leaves[0])
    weight = input_leaf(out.shape, "slope", "float32")
    cost = bl.ops.sum(out * weight)
    floats = [leaf for leaf in leaves if leaf.dtype == "float32"]
    wanted = [*floats, *layer.trainable_weights]
    gradients = bl.grad(cost, wanted) if wanted else []
    shape = (ROWS, *out.shape[1:])
    values = bl.compile([out, *gradients], [*leaves, weight])(*inputs, slope_of(shape))
    return values[0], values[1:]


@cases
@pytest.mark.parametrize("training", [False, True])
def test_values_and_gradients(kind, arguments, shapes, training):
    if training and kind in QUIET:
        arguments = {next(iter(arguments)): 0.0}
    inputs = drawn(shapes)
    ours, theirs = pair(kind, arguments, inputs)
    found, wanted = of_backlit(ours, inputs, training), of_keras(theirs, inputs, training)
    assert str(found[0].dtype) == "float32"
    near(found[0], wanted[0], "output")
    assert len(found[1]) == len(wanted[1])
    for place, (a, b) in enumerate(zip(found[1], wanted[1], strict=True)):
        near(a, b, f"gradient {place}")


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_category_encoding(mode):
    ids = np.random.default_rng(0).integers(0, 5, size=(6, 1 if mode == "one_hot" else 4))
    ours, theirs = bl.layers.CategoryEncoding(5, mode)(ids), keras.layers.CategoryEncoding(5, mode)(ids)
    np.testing.assert_array_equal(ours, np.asarray(theirs))


@pytest.mark.parametrize("axis", [-1, 1, (1, 2), None])
def test_normalization_adapts_alike(axis):
    data = np.random.default_rng(0).normal(3, 2, size=(50, 3, 4)).astype("float32")
    ours, theirs = bl.layers.Normalization(axis), keras.layers.Normalization(axis)
    ours.adapt(data), theirs.adapt(data)
    near(ours(data), theirs(data), "normalized")
    near(ours.mean.reshape(-1), np.asarray(theirs.mean).reshape(-1), "mean")
    near(ours.variance.reshape(-1), np.asarray(theirs.variance).reshape(-1), "variance")


@pytest.mark.parametrize("axis", [-1, 1])
def test_moving_statistics_over_five_steps(axis):
    """Five steps of training: parameters and moving statistics stay together, step by step."""
    rng = np.random.default_rng(3)
    x, y = rng.normal(2, 3, size=(40, 3, 4)).astype("float32"), rng.normal(size=(40, 1)).astype("float32")

    def model(room):
        layers = [room.layers.Conv1D(4, 1, activation="tanh"), room.layers.BatchNormalization(axis=axis, momentum=0.8)]
        return room.Sequential([room.Input((3, 4)), *layers, room.layers.Flatten(), room.layers.Dense(1)])

    ours, theirs = model(bl), model(keras)
    ours.set_weights(theirs.get_weights())
    for each, room in ((ours, bl), (theirs, keras)):
        each.compile(optimizer=room.optimizers.SGD(0.05), loss="mean_squared_error")
    for step in range(5):
        part = slice(8 * step, 8 * step + 8)
        for each in (ours, theirs):
            each.fit(x[part], y[part], batch_size=8, epochs=1, shuffle=False, verbose=0)
        for name, a, b in zip(
            (leaf.name for leaf in ours.weights), ours.get_weights(), theirs.get_weights(), strict=True
        ):
            near(a, b, f"{name} after step {step + 1}", relative=1e-5 * (step + 1))
    near(ours.predict(x), theirs.predict(x, verbose=0), "predict", relative=1e-4)


# ---------------------------------------------------------------------- penalties, constraints, first values
MATRIX = np.random.default_rng(4).normal(size=(5, 3)).astype("float32")


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("L1", {"l1": 0.3}),
        ("L2", {"l2": 0.3}),
        ("L1L2", {"l1": 0.1, "l2": 0.2}),
        ("OrthogonalRegularizer", {"factor": 0.3}),
        ("OrthogonalRegularizer", {"factor": 0.3, "mode": "columns"}),
    ],
)
def test_regularizers(kind, arguments):
    ours, theirs = getattr(bl.regularizers, kind)(**arguments), getattr(keras.regularizers, kind)(**arguments)
    w = bl.variable(MATRIX)
    near(ours(w).value, theirs(jnp.asarray(MATRIX)), "penalty")  # on a NumPy array Keras normalizes along `axis or -1`
    near(bl.grad(ours(w), w).value, jax.grad(lambda m: theirs(m))(jnp.asarray(MATRIX)), "gradient")
    assert ours.get_config() == pytest.approx(theirs.get_config())


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("NonNeg", {}),
        ("MaxNorm", {"max_value": 1.5}),
        ("MaxNorm", {"max_value": 1.5, "axis": 1}),
        ("MaxNorm", {"max_value": 1.5, "axis": [0, 1]}),
        ("UnitNorm", {}),
        ("MinMaxNorm", {"min_value": 0.5, "max_value": 1.5}),
        ("MinMaxNorm", {"min_value": 2.0, "max_value": 3.0, "rate": 0.3, "axis": 1}),
    ],
)
def test_constraints(kind, arguments):
    ours, theirs = getattr(bl.constraints, kind)(**arguments), getattr(keras.constraints, kind)(**arguments)
    near(ours(MATRIX), theirs(MATRIX), "constrained")
    near(ours(np.zeros((2, 2), "float32")), theirs(np.zeros((2, 2), "float32")), "constrained zeros")


def test_a_constraint_acts_after_the_update_as_in_keras():
    x, y = MATRIX, 5 * MATRIX[:, :1]

    def model(room):
        held = room.layers.Dense(3, "tanh", kernel_constraint="max_norm", bias_constraint=room.constraints.NonNeg())
        return room.Sequential([room.Input((3,)), held, room.layers.Dense(1, kernel_constraint="unit_norm")])

    ours, theirs = model(bl), model(keras)
    ours.set_weights(theirs.get_weights())
    for each, room in ((ours, bl), (theirs, keras)):
        each.compile(optimizer=room.optimizers.SGD(0.1), loss="mse")
        each.fit(x, y, batch_size=5, epochs=4, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        near(a, b, "weights", relative=4e-5)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("RandomNormal", {"mean": 1.0, "stddev": 0.2}),
        ("RandomUniform", {"minval": -1.0, "maxval": 3.0}),
        ("TruncatedNormal", {"stddev": 0.3}),
        ("VarianceScaling", {"scale": 2.0, "mode": "fan_out", "distribution": "uniform"}),
        ("VarianceScaling", {"mode": "fan_avg", "distribution": "untruncated_normal"}),
        ("GlorotUniform", {}),
        ("GlorotNormal", {}),
        ("HeUniform", {}),
        ("HeNormal", {}),
        ("LecunUniform", {}),
        ("LecunNormal", {}),
    ],
)
@pytest.mark.parametrize("shape", [(300, 200), (5, 60, 100)])
def test_initializers_draw_from_the_same_distribution(kind, arguments, shape):
    ours = getattr(bl.initializers, kind)(**arguments, seed=1)(shape)
    theirs = np.asarray(getattr(keras.initializers, kind)(**arguments, seed=1)(shape))
    assert ours.dtype == theirs.dtype and ours.shape == theirs.shape
    std = theirs.std()
    assert abs(ours.mean() - theirs.mean()) < 5 * std * (2 / theirs.size) ** 0.5
    assert ours.std() == pytest.approx(std, rel=0.02)
    share = np.linspace(0.02, 0.98, 13)
    np.testing.assert_allclose(np.quantile(ours, share), np.quantile(theirs, share), atol=0.05 * std)
    if kind not in ("RandomNormal",) and arguments.get("distribution") != "untruncated_normal":
        assert np.abs(ours).max() == pytest.approx(np.abs(theirs).max(), rel=0.01)


def test_orthogonal_and_identity():
    for shape in ((5, 3), (3, 5), (2, 3, 4)):
        for room in (bl, keras):
            q = np.asarray(room.initializers.Orthogonal(gain=2.0)(shape)).reshape(-1, shape[-1]) / 2
            gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
            np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-5)
    np.testing.assert_array_equal(
        bl.initializers.Identity(3.0)((2, 3)), np.asarray(keras.initializers.Identity(3.0)((2, 3)))
    )


def test_configurations_have_keras_words():
    """Every argument of ours that Keras has too has Keras's name, place and default."""
    import inspect

    def one(default):
        """1 and (1, 1) say the same: a number for each axis."""
        alike = isinstance(default, tuple) and len(set(default)) == 1
        return one(default[0]) if alike else default

    differs = []
    for room in ("layers", "initializers", "regularizers", "constraints"):
        for name in sorted(set(dir(getattr(bl, room))) & set(dir(getattr(keras, room)))):
            ours, theirs = getattr(getattr(bl, room), name), getattr(getattr(keras, room), name)
            if not (inspect.isclass(ours) and inspect.isclass(theirs)) or name in ("Layer", "Input"):
                continue
            wanted = [p for p in list(inspect.signature(theirs.__init__).parameters.values())[1:] if p.kind == 1]
            found = [p for p in list(inspect.signature(ours.__init__).parameters.values())[1:] if p.kind == 1]
            for a, b in zip(found, wanted, strict=False):
                same = str(one(a.default)).lower() == str(one(b.default)).lower() or b.default is b.empty
                if a.name != b.name or not same:
                    differs.append((room, name, str(a), str(b)))
    assert differs == []


def test_an_activity_regularizer_trains_as_in_keras():
    x, y = MATRIX, 5 * MATRIX[:, :2]

    def model(room):
        quiet = room.layers.Dense(4, "tanh", activity_regularizer=room.regularizers.L2(0.3))
        return room.Sequential([room.Input((3,)), quiet, room.layers.Dense(2, activity_regularizer="l1")])

    ours, theirs = model(bl), model(keras)
    ours.set_weights(theirs.get_weights())
    for each, room in ((ours, bl), (theirs, keras)):
        each.compile(optimizer=room.optimizers.SGD(0.05), loss="mse")
    near(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), "loss")
    for each in (ours, theirs):
        each.fit(x, y, batch_size=5, epochs=4, shuffle=False, verbose=0)
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        near(a, b, "weights", relative=4e-5)


def test_the_ekg_network_has_keras_shapes_and_numbers():
    def model(room):
        one = room.layers.Conv1D(1, 20, strides=10, activation="relu")
        two = room.layers.Conv1D(1, 5, strides=2, activation="relu")
        last = [room.layers.Flatten(), room.layers.Dense(1, activation="sigmoid")]
        return room.Sequential([room.Input((100, 1)), one, two, *last])

    ours, theirs = model(bl), model(keras)
    assert ours.count_params() == theirs.count_params() == 31
    weights = [np.abs(w) + 0.01 for w in theirs.get_weights()]
    ours.set_weights(weights), theirs.set_weights(weights)
    x = np.random.default_rng(2).normal(size=(7, 100, 1)).astype("float32")
    near(ours.predict(x), theirs.predict(x, verbose=0), "predict")
