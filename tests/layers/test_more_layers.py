"""What single layers promise beyond the battery: merges, ids, noise, first values, constraints."""

import json

import numpy as np
import pytest

import backlit as bl
from backlit import layers as L
from backlit.core.errors import ArgumentError, BacklitError, FileWarning, NotReadyError, ShapeError, ValueRangeError
from backlit.core.node import input_leaf
from backlit.core.shapes import M, bind
from backlit.layers.layer import Pass

RNG = np.random.default_rng(5)
A, B, C = (RNG.normal(size=(5, 3)) for _ in range(3))


# ---------------------------------------------------------------------- several inputs
MERGES = [
    (L.Add(), [A, B, C], A + B + C),
    (L.Subtract(), [A, B], A - B),
    (L.Multiply(), [A, B, C], A * B * C),
    (L.Average(), [A, B, C], (A + B + C) / 3),
    (L.Maximum(), [A, B, C], np.maximum(np.maximum(A, B), C)),
    (L.Minimum(), [A, B], np.minimum(A, B)),
    (L.Concatenate(), [A, B[:, :1]], np.concatenate([A, B[:, :1]], axis=1)),
    (L.Concatenate(axis=1), [A, B, C], np.concatenate([A, B, C], axis=1)),
    (L.Dot(axes=1), [A, B], (A * B).sum(axis=1, keepdims=True)),
    (L.Dot(axes=-1, normalize=True), [A, A], np.ones((5, 1))),
]
merges = pytest.mark.parametrize(("layer", "inputs", "wanted"), MERGES, ids=lambda v: getattr(v, "name", None))


@merges
def test_a_merge_is_its_formula_on_arrays_and_in_a_model(layer, inputs, wanted):
    again = type(layer).from_config(json.loads(json.dumps(layer.get_config())))
    for each in (layer, again):
        np.testing.assert_allclose(each(inputs), wanted, rtol=1e-5, atol=1e-6)
    starts = [bl.Input(x.shape[1:], name=f"x{k}") for k, x in enumerate(inputs)]
    model = bl.Model(starts, again(starts))
    assert bind(model.output_shape, 5) == wanted.shape
    np.testing.assert_allclose(model.predict(inputs), wanted, rtol=1e-5, atol=1e-6)


@merges
def test_a_merge_is_differentiated(layer, inputs, wanted):
    leaves = [bl.variable(x, name=f"x{k}") for k, x in enumerate(inputs)]
    if layer.name == "dot" and layer.normalize:
        leaves[1].assign(B)
    fresh = type(layer)(**{**layer.arguments, "dtype": "float64"})
    assert bl.check_grad(bl.ops.sum(bl.ops.sin(fresh(leaves)))).ok


def test_merges_in_one_call():
    wanted = {
        L.add: A + B,
        L.subtract: A - B,
        L.multiply: A * B,
        L.average: (A + B) / 2,
        L.maximum: np.maximum(A, B),
        L.minimum: np.minimum(A, B),
    }
    for function, values in wanted.items():
        np.testing.assert_allclose(function([A, B]), values, rtol=1e-6, atol=1e-6)
    assert L.concatenate([A, B], name="joined").shape == (5, 6)
    assert L.dot([A, B], axes=1).shape == (5, 1)


def test_dot_joins_what_is_left_of_both():
    a, b = RNG.normal(size=(4, 2, 3, 5)), RNG.normal(size=(4, 5, 6))
    np.testing.assert_allclose(L.Dot((3, 1))([a, b]), np.einsum("mabk,mkc->mabc", a, b), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(L.Dot((1, 2))([b, a[:, 0]]), np.einsum("mkc,mdk->mcd", b, a[:, 0]), rtol=1e-4, atol=1e-5)


def test_residual_connection_and_shared_layer_train():
    x = bl.Input((3,))
    dense = L.Dense(3, "tanh")
    model = bl.Model(x, L.Dense(1)(L.Add()([x, dense(dense(x))])))
    assert model.count_params() == 12 + 4
    model.compile(bl.optimizers.Adam(0.05), "mse")
    y = A.sum(axis=1, keepdims=True)
    history = model.fit(A, y, epochs=60, verbose=0)
    assert history.history["loss"][-1] < 0.1 * history.history["loss"][0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Add()(A), "joins several"),
        (lambda: L.Subtract()([A, B, C]), "2 inputs"),
        (lambda: L.Add()([A, np.zeros((5, 4))]), "broadcast"),
        (lambda: L.Concatenate(axis=0)([A, B]), "examples apart"),
        (lambda: L.Concatenate()([A, np.zeros((5, 2, 3))]), "concatenate"),
        (lambda: L.Dot(axes=1)([A, np.zeros((5, 4))]), "one length"),
        (lambda: L.Dot(axes=0), "axes"),
        (lambda: L.Dot(axes=(1, 2, 3)), "axes"),
    ],
)
def test_merges_that_cannot_be(make, message):
    with pytest.raises(BacklitError, match=message):
        make()


def test_the_error_of_a_merge_names_the_layer():
    with pytest.raises(ShapeError, match=r"'skip' \(Add\)"):
        L.Add(name="skip")([bl.Input((3,)), bl.Input((4,))])


# ---------------------------------------------------------------------- ids
def test_embedding_looks_up_rows_of_its_table():
    layer = L.Embedding(4, 3)
    ids = np.array([[1, 3], [0, 1]])
    out = layer(ids)
    table = layer.get_weights()[0]
    np.testing.assert_array_equal(out, table[ids])
    np.testing.assert_array_equal(layer(ids.astype("float32")), out)  # ids that came as floats
    assert layer(ids[:, 0]).shape == (2, 3)
    assert layer(input_leaf((M, 7), "ids", "int64")).shape == (M, 7, 3)
    assert [leaf.name for leaf in layer.weights] == ["embedding/embeddings"]
    assert np.abs(table).max() <= 0.05  # "uniform"


@pytest.mark.parametrize("ids", [[[4]], [[-1]], [[0.5]], [[np.nan]], [[np.inf]]])
def test_ids_that_are_none_are_refused(ids):
    for layer in (L.Embedding(4, 3), L.CategoryEncoding(4)):
        with np.errstate(all="ignore"), pytest.raises(ValueRangeError, match="out of range"):
            layer(np.array(ids))


@pytest.mark.parametrize("with_input", [True, False])
def test_embedding_learns_one_vector_an_id(with_input):
    bl.random.set_seed(3)
    ids = RNG.integers(0, 6, size=(200, 1))
    y = np.array([3.0, -1.0, 0.5, 2.0, -4.0, 1.0])[ids]
    head = [bl.Input((1,), dtype="int64")] if with_input else []
    model = bl.Sequential([*head, L.Embedding(6, 1), L.Flatten()])
    model.compile(bl.optimizers.Adam(0.1), "mse")
    model.fit(ids, y, epochs=60, verbose=0)
    np.testing.assert_allclose(model.predict(ids), y, atol=0.05)


def test_embedding_starts_from_given_weights_and_keeps_them_out_of_its_configuration():
    table = np.arange(8.0).reshape(4, 2)
    for given in (table, [table]):
        layer = L.Embedding(4, 2, weights=given)
        np.testing.assert_array_equal(layer(np.array([3])), [[6, 7]])
        assert layer.get_config()["weights"] is None
    with pytest.raises(ShapeError, match="table"):
        L.Embedding(4, 3, weights=table)
    with pytest.raises(ValueRangeError, match="mask_zero"):
        L.Embedding(4, 3, mask_zero=True)
    with pytest.raises(ValueRangeError, match="input_dim"):
        L.Embedding(0, 3)


def test_the_table_is_differentiated_twice():
    table = bl.variable(RNG.normal(size=(4, 2)), name="table")
    layer = L.Embedding(4, 2, dtype="float64")
    layer(np.array([[0]]))
    layer.set_weights([table.array])
    with Pass(False):
        cost = bl.ops.sum(layer(bl.constant(np.array([[1, 1], [3, 0]]))) ** 3)
    assert bl.check_grad(cost, layer.weights).ok
    assert bl.check_grad(bl.ops.sum(bl.grad(cost, layer.weights[0]) ** 2), layer.weights).ok


def test_category_encoding_by_hand():
    ids = np.array([[0, 2, 2], [1, 1, 1]])
    assert L.CategoryEncoding(4, "count")(ids).tolist() == [[1, 0, 2, 0], [0, 3, 0, 0]]
    assert L.CategoryEncoding(4, "multi_hot")(ids).tolist() == [[1, 0, 1, 0], [0, 1, 0, 0]]
    assert L.CategoryEncoding(4, "one_hot")(ids).shape == (2, 3, 4)
    assert L.CategoryEncoding(3, "one_hot")(ids[:, :1]).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert L.CategoryEncoding(3)(ids[:, 0]).tolist() == [[1, 0, 0], [0, 1, 0]]
    layer = L.CategoryEncoding.from_config(json.loads(json.dumps(L.CategoryEncoding(3, "count").get_config())))
    assert layer.output_mode == "count" and layer(ids).dtype == np.float32
    for wrong in ({"num_tokens": None}, {"num_tokens": 3, "output_mode": "int"}, {"num_tokens": 3, "sparse": True}):
        with pytest.raises(BacklitError):
            L.CategoryEncoding(**wrong)


# ---------------------------------------------------------------------- activations with parameters
X = np.array([[-4.0, -0.5, 0.5, 1.5, 9.0]])


@pytest.mark.parametrize(
    ("layer", "wanted"),
    [
        (L.LeakyReLU(), [-1.2, -0.15, 0.5, 1.5, 9.0]),
        (L.LeakyReLU(0.01), [-0.04, -0.005, 0.5, 1.5, 9.0]),
        (L.ReLU(6.0), [0, 0, 0.5, 1.5, 6.0]),
        (L.ReLU(6.0, 0.5, 1.0), [-2.5, -0.75, -0.25, 1.5, 6.0]),
        (L.ELU(), [np.expm1(-4), np.expm1(-0.5), 0.5, 1.5, 9.0]),
        (L.PReLU("ones"), X[0]),
    ],
)
def test_activation_layers_by_hand(layer, wanted):
    np.testing.assert_allclose(layer(X)[0], wanted, rtol=1e-6)


def test_leaky_relu_has_keras_two_slopes_and_the_course_its_own():
    assert L.LeakyReLU().negative_slope == 0.3
    assert bl.activations.leaky_relu(-1.0) == -0.2
    assert "0.01" in L.LeakyReLU.__doc__


def test_a_layer_may_be_the_activation_of_another(tmp_path):
    model = bl.Sequential([bl.Input((3,)), L.Dense(2, activation=L.LeakyReLU(0.1)), L.Dense(2, L.PReLU("ones"))])
    assert model.count_params() == 8 + 6 + 2
    model.save(tmp_path / "m.backlit")
    again = bl.load_model(tmp_path / "m.backlit")
    assert again.layers[0].activation.negative_slope == 0.1
    np.testing.assert_array_equal(again.predict(A), model.predict(A))


def test_prelu_shares_alpha_along_axes():
    layer = L.PReLU(shared_axes=[1, 2])
    layer(np.zeros((2, 4, 5, 3)))
    assert layer.alpha.shape == (1, 1, 3)


@pytest.mark.parametrize("make", [lambda: L.ReLU(-1.0), lambda: L.LeakyReLU(None), lambda: L.ReLU(threshold=-1)])
def test_slopes_that_cannot_be(make):
    with pytest.raises(BacklitError, match="number from 0"):
        make()


@pytest.mark.parametrize(
    "layer",
    [
        *(L.Activation("tanh"), L.ReLU(3.0), L.LeakyReLU(), L.PReLU(), L.ELU(), L.Softmax(), L.Dense(2)),
        *(L.Dropout(0.5), L.GaussianNoise(0.1), L.GaussianDropout(0.3), L.BatchNormalization(), L.LayerNormalization()),
        *(L.Rescaling(1 / 255), L.Rescaling([1.0, 2.0, 0.5, 0.1]), L.Normalization(mean=0.0, variance=2.0)),
    ],
    ids=lambda layer: layer.name,
)
def test_whole_numbers_become_floats(layer):
    x = np.arange(-6, 6).reshape(3, 4)
    assert layer(x).dtype == layer(x, training=True).dtype == np.float32
    np.testing.assert_allclose(layer(x), layer(x.astype("float32")), rtol=1e-6)


# ---------------------------------------------------------------------- moving numbers
def test_moving_layers():
    x = RNG.normal(size=(2, 3, 4)).astype("float32")
    np.testing.assert_array_equal(L.Permute((2, 1))(x), x.transpose(0, 2, 1))
    np.testing.assert_array_equal(L.Reshape((2, -1))(x), x.reshape(2, 2, 6))
    np.testing.assert_array_equal(L.Reshape(12)(x), L.Flatten()(x))
    np.testing.assert_array_equal(L.RepeatVector(3)(x[:, 0]), np.repeat(x[:, :1], 3, axis=1))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: L.Permute((1, 3)), "each axis"),
        (lambda: L.Permute((1, 2))(A), "other axes"),
        (lambda: L.Reshape((2, 2))(A), "cannot reshape"),
        (lambda: L.Reshape((None, 2)), "a whole number from -1"),
        (lambda: L.RepeatVector(0), "n must be a whole number from 1"),
        (lambda: L.RepeatVector(2)(np.zeros((2, 3, 4))), "vectors"),
        (lambda: L.Flatten("channels_first"), "last axis"),
    ],
)
def test_moves_that_cannot_be(make, message):
    with pytest.raises(BacklitError, match=message):
        make()


# ---------------------------------------------------------------------- noise
def test_gaussian_noise_and_dropout_have_the_spread_they_say():
    ones = np.ones((400, 50))
    noisy = L.GaussianNoise(0.2)(ones, training=True)
    assert noisy.mean() == pytest.approx(1, abs=0.01) and noisy.std() == pytest.approx(0.2, rel=0.03)
    scaled = L.GaussianDropout(0.2)(3 * ones, training=True)
    assert scaled.mean() == pytest.approx(3, abs=0.03) and scaled.std() == pytest.approx(1.5, rel=0.03)
    np.testing.assert_array_equal(L.GaussianNoise(0.2)(ones), ones)


def test_noise_shape_is_the_shape_of_what_is_drawn():
    x = np.ones((50, 8, 6))
    out = L.Dropout(0.5, noise_shape=(None, 1, 6))(x, training=True)
    assert (out == out[:, :1]).all() and 0.3 < (out == 0).mean() < 0.7
    out = L.Dropout(0.5, noise_shape=(1, 8, 1))(x, training=True)
    assert (out == out[:1, :, :1]).all() and set(np.unique(out)) <= {0.0, 2.0}
    for wrong in ((None, 2, 6), (None, 1), (None, 1, 1, 1)):
        with pytest.raises(ShapeError, match="noise_shape"):
            L.Dropout(0.5, noise_shape=wrong)(x, training=True)


def test_an_own_seed_makes_the_noise_independent_of_the_models():
    def losses(model_seed, layer_seed):
        bl.random.set_seed(model_seed)
        model = bl.Sequential([bl.Input((3,)), L.Dropout(0.25, seed=layer_seed), L.Dense(1, kernel_initializer="ones")])
        model.compile(bl.optimizers.SGD(1e-12), "mse")
        return model.fit(A, A[:, 0], epochs=3, batch_size=5, shuffle=False, verbose=0).history["loss"]

    assert losses(1, 7) == losses(2, 7)
    assert losses(1, 7) != losses(1, 8) and losses(1, None) != losses(2, None)
    assert len(set(losses(1, 7))) > 1  # a new mask at each step


@pytest.mark.parametrize(
    "make",
    [
        lambda: L.GaussianNoise(-0.1),
        lambda: L.GaussianNoise(1.5),
        lambda: L.GaussianDropout(1.0),
        lambda: L.Dropout("half"),
        lambda: L.Dropout(0.5, seed=-1),
    ],
)
def test_noise_that_cannot_be(make):
    with pytest.raises(BacklitError, match="must be a"):
        make()


# ---------------------------------------------------------------------- normalization
def test_layer_normalization_by_hand():
    x = RNG.normal(2, 3, size=(4, 3, 5))
    out = L.LayerNormalization(axis=(1, 2), epsilon=1e-6)(x)
    np.testing.assert_allclose(out.mean(axis=(1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=(1, 2)), 1, atol=1e-4)
    layer = L.LayerNormalization(axis=1)
    layer(x)
    assert layer.gamma.shape == (3,) and layer.count_params() == 6
    assert L.LayerNormalization(center=False, scale=False)(x).shape == x.shape


def test_batch_normalization_along_another_axis_and_without_gamma():
    x = RNG.normal(2, 3, size=(16, 3, 5))
    layer = L.BatchNormalization(axis=1, scale=False, moving_mean_initializer="ones", epsilon=1e-6)
    out = layer(x, training=True)
    np.testing.assert_allclose(out.mean(axis=(0, 2)), 0, atol=1e-5)
    assert [leaf.name.split("/")[1] for leaf in layer.weights] == ["beta", "moving_mean", "moving_variance"]
    np.testing.assert_array_equal(layer.moving_mean.value, [1, 1, 1])


@pytest.mark.parametrize("layer", [L.BatchNormalization(axis=0), L.LayerNormalization(axis=(0, 1))])
def test_no_weight_for_each_example(layer):
    with pytest.raises(ShapeError, match="one example"):
        layer(A)


def test_normalization_follows_its_axis():
    x = RNG.normal(4, 2, size=(50, 3, 6))
    for axis, shape in ((-1, (6,)), (1, (3,)), ((1, 2), (3, 6)), (None, ())):
        layer = L.Normalization(axis=axis)
        with pytest.raises(NotReadyError, match="adapt"):
            layer.mean  # noqa: B018
        layer.adapt(x.tolist())
        assert layer.mean.shape == layer.variance.shape == shape
        out = layer(x)
        others = {-1: (0, 1), 1: (0, 2), (1, 2): 0, None: None}[axis]
        np.testing.assert_allclose(out.mean(axis=others), 0, atol=1e-5)
        np.testing.assert_allclose(out.std(axis=others), 1, atol=1e-5)
        back = L.Normalization(axis, layer.mean, layer.variance, invert=True)
        np.testing.assert_allclose(back(out), x, rtol=1e-4, atol=1e-4)
        again = L.Normalization.from_config(json.loads(json.dumps(layer.get_config())))
        np.testing.assert_array_equal(again(x), out)
    with pytest.raises(ShapeError, match="one example"):
        L.Normalization(axis=0, mean=0.0, variance=1.0)(x)


# ---------------------------------------------------------------------- Lambda, own layers, own activations
def squashed(x):
    return x / (1 + bl.ops.abs(x))


def test_lambda_is_a_function_as_a_layer(tmp_path):
    np.testing.assert_allclose(L.Lambda(squashed)(A), A / (1 + np.abs(A)), rtol=1e-6)
    np.testing.assert_allclose(L.Lambda("clip", arguments={"high": 0.5})(A), np.clip(A, 0, 0.5), rtol=1e-6)
    assert L.Lambda(lambda x: x[:, :2], output_shape=(2,))(A).shape == (5, 2)
    with pytest.raises(ShapeError, match="Lambda"):
        L.Lambda(squashed, output_shape=(2,))(A)
    with pytest.raises(BacklitError, match="square"):
        L.Lambda("sqare")
    with pytest.raises(ArgumentError, match="function"):
        L.Lambda(3)


def test_a_lambda_is_saved_by_its_op_or_as_what_it_computes(tmp_path):
    model = bl.Sequential([bl.Input((3,)), L.Lambda(bl.ops.square), L.Dense(1)])
    model.save(tmp_path / "named.backlit")
    np.testing.assert_array_equal(bl.load_model(tmp_path / "named.backlit").predict(A), model.predict(A))
    model = bl.Sequential([bl.Input((3,)), L.Lambda(squashed, name="squash"), L.Dense(1)])
    with pytest.warns(FileWarning, match="squashed"):
        model.save(tmp_path / "own.backlit")
    again = bl.load_model(tmp_path / "own.backlit", custom_objects={"squashed": squashed})
    np.testing.assert_array_equal(again.predict(A), model.predict(A))


def test_a_layer_and_an_activation_of_ones_own_in_ten_lines():
    class Gate(L.Layer):
        """Half of the features decides what of the other half passes."""

        def __init__(self, units, name=None):
            super().__init__(name=name)
            self.both = L.Dense(2 * units)
            self.units = units

        def call(self, x):
            z = self.both(x)
            return z[:, : self.units] * bl.nn.sigmoid(z[:, self.units :])

    model = bl.Sequential([Gate(4), L.Dense(1, activation=squashed)])
    model.compile(bl.optimizers.Adam(0.05), "mse")
    history = model.fit(A, A[:, :1] / 10, epochs=30, verbose=0)
    assert history.history["loss"][-1] < history.history["loss"][0]
    assert model.count_params() == (3 + 1) * 8 + 5


# ---------------------------------------------------------------------- constraints
W = np.array([[3.0, -0.3], [4.0, 0.4]])


@pytest.mark.parametrize(
    ("constraint", "wanted"),
    [
        (bl.constraints.NonNeg(), [[3.0, 0.0], [4.0, 0.4]]),
        (bl.constraints.MaxNorm(2.0), [[1.2, -0.3], [1.6, 0.4]]),
        (bl.constraints.MaxNorm(4.0, axis=1), [[3.0, -0.3], [3.980149, 0.3980149]]),
        (bl.constraints.UnitNorm(), [[0.6, -0.6], [0.8, 0.8]]),
        (bl.constraints.MinMaxNorm(1.0, 2.0), [[1.2, -0.6], [1.6, 0.8]]),
        (bl.constraints.MinMaxNorm(1.0, 2.0, rate=0.5), [[2.1, -0.45], [2.8, 0.6]]),
    ],
    ids=repr,
)
def test_constraints_by_hand_and_by_name(constraint, wanted):
    np.testing.assert_allclose(constraint(W), wanted, rtol=1e-5)
    np.testing.assert_allclose(constraint(bl.variable(W)).value, wanted, rtol=1e-5)
    again = bl.constraints.Constraint.get({"class": type(constraint).__name__, "config": constraint.get_config()})
    np.testing.assert_array_equal(again(W), constraint(W))


def test_constraints_hold_after_every_step():
    model = bl.Sequential(
        [
            bl.Input((3,)),
            L.Dense(4, kernel_constraint=bl.constraints.max_norm(0.5), bias_constraint="non_neg"),
            L.BatchNormalization(gamma_constraint="unit_norm"),
            L.Dense(1, kernel_constraint="nonneg", use_bias=False),
        ]
    )
    model.compile(bl.optimizers.Adam(0.1), "mse")
    model.fit(A, 10 * A[:, :1], epochs=20, batch_size=2, verbose=0)
    kernel, bias, gamma, _, _, _, last = model.get_weights()
    assert np.linalg.norm(kernel, axis=0).max() <= 0.5 + 1e-5 and np.linalg.norm(kernel, axis=0).max() > 0.4
    assert bias.min() >= 0 and last.min() >= 0
    assert np.linalg.norm(gamma) == pytest.approx(1, abs=1e-4)


def test_constraints_that_cannot_be():
    with pytest.raises(ValueRangeError, match="max_value"):
        bl.constraints.MaxNorm(-1)
    with pytest.raises(ValueRangeError, match="max_value"):
        bl.constraints.MinMaxNorm(2.0, 1.0)
    with pytest.raises(ValueError, match="unit_norm"):
        L.Dense(3, kernel_constraint="unit_nrom")


def test_a_penalty_on_what_a_layer_puts_out_is_part_of_the_loss():
    quiet = L.Dense(2, "tanh", activity_regularizer=bl.regularizers.L2(2.0))
    model = bl.Sequential([bl.Input((3,)), quiet, L.Dense(2)])
    model.compile(bl.optimizers.SGD(0.1), "mse")
    wanted = np.mean((model.predict(A) - B[:, :2]) ** 2) + 2.0 * np.sum(quiet(A) ** 2) / 5
    assert model.evaluate(A, B[:, :2], verbose=0) == pytest.approx(wanted, rel=1e-5)
    before = np.abs(quiet(A)).sum()
    model.fit(A, B[:, :2], epochs=20, verbose=0)
    assert np.abs(quiet(A)).sum() < 0.7 * before


# ---------------------------------------------------------------------- first values and penalties
def test_orthogonal_and_identity():
    for shape in ((5, 3), (3, 5), (2, 2, 3)):
        q = np.asarray(bl.initializers.Orthogonal(2.0).sample(shape, 1, 1)).reshape(-1, shape[-1]) / 2
        gram = q.T @ q if q.shape[0] >= q.shape[1] else q @ q.T
        np.testing.assert_allclose(gram, np.eye(len(gram)), atol=1e-12)
    np.testing.assert_array_equal(bl.initializers.Identity(3.0)((2, 3)), [[3, 0, 0], [0, 3, 0]])
    for wrong in (bl.initializers.Identity(), bl.initializers.Orthogonal()):
        with pytest.raises(ShapeError):
            wrong((3,))


def test_an_initializer_with_a_seed_gives_the_same_values_everywhere():
    first, second = (L.Dense(4, kernel_initializer=bl.initializers.he_normal(seed=3)) for _ in range(2))
    model = bl.Sequential([bl.Input((4,)), first, second])
    np.testing.assert_array_equal(*(model.get_weights()[k] for k in (0, 2)))
    draw = bl.initializers.GlorotUniform()
    assert not np.array_equal(draw((3, 3)), draw((3, 3)))
    assert draw((3, 3)).dtype == np.float32 and draw((3, 3), dtype="float64").dtype == np.float64


@pytest.mark.parametrize("arguments", [{"scale": 0}, {"mode": "in"}, {"distribution": "cauchy"}])
def test_scalings_that_cannot_be(arguments):
    with pytest.raises(ValueRangeError, match="VarianceScaling"):
        bl.initializers.VarianceScaling(**arguments)


def test_orthogonal_regularizer_by_hand():
    w = np.array([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    mean_cosine = (0 + 0.5**0.5 + 0.5**0.5) / 3
    assert float(bl.regularizers.OrthogonalRegularizer(0.1)(w)) == pytest.approx(0.1 * mean_cosine)
    assert float(bl.regularizers.OrthogonalRegularizer(0.1)(w[:1])) == 0.0
    assert bl.check_grad(bl.regularizers.OrthogonalRegularizer(mode="columns")(bl.variable(w + 0.1))).ok
    with pytest.raises(ShapeError, match="matrix"):
        bl.regularizers.OrthogonalRegularizer()(w[0])
    for wrong in (lambda: bl.regularizers.L2(-1), lambda: bl.regularizers.OrthogonalRegularizer(mode="diagonal")):
        with pytest.raises(ValueRangeError):
            wrong()


def test_rooms_hold_keras_lower_case_names_too():
    assert bl.regularizers.l2 is bl.regularizers.L2 and bl.regularizers.l1_l2 is bl.regularizers.L1L2
    assert bl.initializers.glorot_uniform is bl.initializers.GlorotUniform
    assert bl.constraints.max_norm is bl.constraints.MaxNorm
    assert not {"np", "Any", "Record"} & set(dir(bl.initializers))
