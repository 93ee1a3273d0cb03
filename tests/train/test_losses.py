"""Losses against the formulas by hand, far from where they are easy, and refusing what is no pair of y and output."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.core import registry
from backlit.core.errors import BacklitError, ShapeError, ValueRangeError
from backlit.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)

RNG = np.random.default_rng(1)
Z = RNG.normal(0, 1.5, size=(7, 4))
LABELS = np.array([0, 1, 2, 3, 0, 0, 3])
ONE_HOT = np.eye(4)[LABELS]
BITS = RNG.integers(0, 2, size=(7, 4)).astype(float)
W = np.array([0.0, 1.0, 2.0, 0.5, 3.0, 1.0, 0.0])


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def cross_entropy(y, p):
    return -(y * np.log(p)).sum(axis=-1)


def bits_entropy(y, p):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(axis=-1)


BY_HAND = [
    (MeanSquaredError, {}, BITS, Z, ((Z - BITS) ** 2).mean(axis=-1)),
    (MeanAbsoluteError, {}, BITS, Z, np.abs(Z - BITS).mean(axis=-1)),
    (BinaryCrossentropy, {}, BITS, sigmoid(Z), bits_entropy(BITS, sigmoid(Z))),
    (BinaryCrossentropy, {"from_logits": True}, BITS, Z, bits_entropy(BITS, sigmoid(Z))),
    (BinaryCrossentropy, {"from_logits": True}, sigmoid(-Z), Z, bits_entropy(sigmoid(-Z), sigmoid(Z))),
    (CategoricalCrossentropy, {}, ONE_HOT, softmax(Z), cross_entropy(ONE_HOT, softmax(Z))),
    (CategoricalCrossentropy, {}, ONE_HOT, 5 * softmax(Z), cross_entropy(ONE_HOT, softmax(Z))),  # brought to sum 1
    (CategoricalCrossentropy, {"from_logits": True}, softmax(-Z), Z, cross_entropy(softmax(-Z), softmax(Z))),
    (SparseCategoricalCrossentropy, {}, LABELS, softmax(Z), cross_entropy(ONE_HOT, softmax(Z))),
    (SparseCategoricalCrossentropy, {"from_logits": True}, LABELS, Z, cross_entropy(ONE_HOT, softmax(Z))),
]
by_hand = pytest.mark.parametrize(
    ("cls", "arguments", "y", "p", "each"), BY_HAND, ids=[f"{b[0].__name__}-{i}" for i, b in enumerate(BY_HAND)]
)


@by_hand
def test_value_weights_and_reductions(cls, arguments, y, p, each):
    def loss(reduction, weight=None):
        return cls(**arguments, reduction=reduction)(y, p, weight)

    np.testing.assert_allclose(loss(None), each, rtol=1e-12)
    np.testing.assert_allclose(loss("none"), each, rtol=1e-12)
    assert float(cls(**arguments)(y, p)) == pytest.approx(each.mean(), rel=1e-12)
    assert float(loss("sum")) == pytest.approx(each.sum(), rel=1e-12)
    np.testing.assert_allclose(loss(None, W), each * W, rtol=1e-12)
    assert float(loss("sum", W)) == pytest.approx((each * W).sum(), rel=1e-12)
    weighted = (each * W).sum() / len(W)  # as Keras: over the number of examples, not over the sum of the weights
    assert float(loss("sum_over_batch_size", W)) == pytest.approx(weighted, rel=1e-12)
    assert float(loss("sum_over_batch_size", W.reshape(-1, 1).tolist())) == pytest.approx(weighted, rel=1e-12)


@by_hand
def test_on_nodes_it_is_a_node_with_the_right_gradient(cls, arguments, y, p, each):
    output = bl.variable(p)
    J = cls(**arguments)(y, output)
    assert isinstance(J, bl.Node) and J.shape == ()
    assert float(J.value) == pytest.approx(each.mean(), rel=1e-12)
    assert bl.check_grad(J).ok, bl.check_grad(J)


@by_hand
def test_a_configuration_brings_it_back(cls, arguments, y, p, each):
    again = Loss.get({"class": cls.__name__, "config": cls(**arguments).get_config()})
    assert float(again(y, p)) == pytest.approx(each.mean(), rel=1e-12)


def test_worked_examples():
    y, p = [[1.0, 0.0, 1.0]], [[0.9, 0.2, 0.6]]
    assert round(float(BinaryCrossentropy()(y, p)), 4) == 0.2798  # W031
    parts = [float(BinaryCrossentropy()([[a]], [[b]])) for a, b in zip(y[0], p[0], strict=True)]
    assert [round(part, 4) for part in parts] == [0.1054, 0.2231, 0.5108]
    four = [[0.30, 0.20, 0.15, 0.35]]
    each = [float(SparseCategoricalCrossentropy()([k], four)) for k in range(4)]
    assert [round(e, 3) for e in each] == [1.204, 1.609, 1.897, 1.050]  # W009
    assert float(SparseCategoricalCrossentropy()([0], [[0.1] * 10])) == pytest.approx(np.log(10))  # W011


def test_saturated_probabilities_are_what_keras_says_and_logits_are_exact():
    exact = SparseCategoricalCrossentropy(from_logits=True)
    assert float(exact([0], [[1000.0, 0.0]])) == 0.0  # W040
    assert float(exact([1], [[1000.0, 0.0]])) == 1000.0
    assert round(float(SparseCategoricalCrossentropy()([1], [[1.0, 0.0]])), 3) == 16.118
    assert float(BinaryCrossentropy(from_logits=True)([[0.0]], [[40.0]])) == pytest.approx(40.0)
    clipped = BinaryCrossentropy()(np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32))
    assert round(float(clipped), 2) == 15.94


PAIRS = [
    (BinaryCrossentropy, bl.nn.sigmoid, lambda k: np.arange(2 * k).reshape(2, k) % 2),
    (CategoricalCrossentropy, bl.nn.softmax, lambda k: np.eye(k)[[0, k - 1]]),
    (SparseCategoricalCrossentropy, bl.nn.softmax, lambda k: np.array([0, k - 1])),
]


@pytest.mark.parametrize(("cls", "squash", "targets"), PAIRS, ids=[pair[0].__name__ for pair in PAIRS])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_huge_logits_give_finite_losses_and_gradients_either_way(cls, squash, targets, dtype):
    """Whatever is written, softmax or sigmoid under the loss is as accurate as from_logits=True, and its gradient too."""
    for scale in (1.0, 40.0, 1000.0, -1000.0):
        z = np.array([[scale, 0.0, -scale], [0.0, scale, scale / 2]], dtype=dtype)
        y = targets(3)
        results = []
        for from_logits in (True, False):
            layer = bl.layers.Dense(3, use_bias=False, dtype=dtype)
            net = bl.Sequential([layer] if from_logits else [layer, bl.layers.Activation(squash)])
            net.dtype = dtype
            net.build((3,))
            layer.set_weights([np.eye(3)])
            net.compile(bl.optimizers.SGD(learning_rate=1.0), cls(from_logits=from_logits))
            loss = net.evaluate(z, y)
            net.fit(z, y, verbose=0)
            results.append((loss, layer.get_weights()[0] - np.eye(3)))
        (loss, step), (written, written_step) = results
        assert np.isfinite(loss) and np.isfinite(step).all()
        assert written == pytest.approx(loss, rel=1e-5)
        np.testing.assert_allclose(written_step, step, rtol=1e-4, atol=1e-5 * abs(scale))
        if abs(scale) > 100:
            assert np.abs(step).max() > 1, "an example that is all wrong must teach something"


@given(st.floats(-1000, 1000), st.sampled_from([0.0, 1.0]))
def test_binary_logits_never_overflow(z, y):
    value = float(BinaryCrossentropy(from_logits=True)([[y]], [[z]]))
    wanted = np.logaddexp(0, z) - y * z
    assert value == pytest.approx(float(wanted), rel=1e-12, abs=1e-12)


OUTPUT = np.full((8, 3), 0.25)
WRONG = [  # y against an output of shape (8, 3) and, for the last two, (8,) and (8, 1)
    (MeanSquaredError(), np.zeros((8, 1)), OUTPUT),
    (MeanSquaredError(), np.zeros(8), OUTPUT),
    (MeanSquaredError(), np.zeros((3,)), OUTPUT),
    (MeanSquaredError(), np.zeros((1, 3)), OUTPUT),
    (MeanSquaredError(), np.zeros((8, 3, 1)), OUTPUT),
    (MeanSquaredError(), np.zeros(()), OUTPUT),
    (MeanAbsoluteError(), np.zeros((8, 1)), OUTPUT),
    (BinaryCrossentropy(), np.zeros((8, 1)), OUTPUT),
    (CategoricalCrossentropy(), np.zeros((8, 1)), OUTPUT),
    (CategoricalCrossentropy(), np.zeros(8), OUTPUT),
    (SparseCategoricalCrossentropy(), np.zeros((8, 3), int), OUTPUT),
    (SparseCategoricalCrossentropy(), np.zeros((1, 8), int), OUTPUT),
    (MeanSquaredError(), np.zeros((8, 8)), np.zeros((8, 1))),
    (MeanSquaredError(), np.zeros(4), np.zeros((8, 1))),
    (MeanSquaredError(), 1.0, 2.0),
]


@pytest.mark.parametrize(
    ("loss", "y", "p"), WRONG, ids=lambda value: str(np.shape(value)) if not hasattr(value, "name") else ""
)
def test_nothing_is_ever_broadcast(loss, y, p):
    with pytest.raises(ShapeError):
        loss(y, p)
    with pytest.raises(ShapeError):
        loss(bl.constant(y), bl.variable(p))


def test_a_column_and_a_vector_are_taken_for_one_another():
    p = np.arange(5.0).reshape(5, 1)
    for loss in (MeanSquaredError(), MeanAbsoluteError(), BinaryCrossentropy(from_logits=True)):
        assert float(loss(np.ones(5), p)) == float(loss(np.ones((5, 1)), p))
    sparse = SparseCategoricalCrossentropy(from_logits=True)
    assert float(sparse(LABELS, Z)) == float(sparse(LABELS.reshape(-1, 1), Z))


@pytest.mark.parametrize("labels", [[3], [-1], [2.5], [np.nan], [np.inf], [1e30]])
def test_labels_that_name_no_output_are_refused(labels):
    with pytest.raises(ValueRangeError, match=r"whole numbers 0\.\.2"):
        SparseCategoricalCrossentropy()(labels, [[0.2, 0.3, 0.5]])


@pytest.mark.parametrize("weight", [[1, 2], np.ones((8, 3)), np.ones((1, 8, 1))])
def test_weights_of_another_length_are_refused(weight):
    with pytest.raises(ShapeError, match="weights"):
        MeanSquaredError()(np.zeros((8, 3)), OUTPUT, weight)


@pytest.mark.parametrize(("y", "p"), [(["a"], [1.0]), ([None], [1.0]), ([[1], [2, 3]], [1.0])])
def test_what_is_no_number_is_refused(y, p):
    with pytest.raises(BacklitError):
        MeanSquaredError()(y, p)
    with pytest.raises(ValueRangeError, match="reduction"):
        MeanSquaredError(reduction="average")


def test_whole_numbers_and_lists_are_numbers():
    assert float(MeanSquaredError()([[1], [3]], [[2], [5]])) == 2.5
    assert float(MeanSquaredError()(np.uint8([[1], [3]]), np.float32([[2], [5]]))) == 2.5
    assert float(MeanSquaredError()(np.uint8([[0]]), [[-1]])) == 1.0  # no wrap-around


def test_every_loss_of_the_library_can_be_made_by_its_names():
    for name in Loss.names():
        cls = Loss.named(name)
        if cls.__module__.startswith("backlit."):
            made = Loss.get(name)
            assert isinstance(made, cls)
            assert registry.find(f"loss.{cls.__name__}") is cls
            assert getattr(bl.losses, cls.__name__) is cls
