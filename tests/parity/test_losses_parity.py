"""Every loss against Keras on JAX: values, reductions, weights, gradients; and where Keras is wrong, the proof.

Within 1e-5 (float32) or 1e-10 (float64) of Keras's value, with a floor of 1e-6 or 1e-12 of the largest value. For that
Keras's float64 is repaired: its rule for joined dtypes makes float32 of it, see the test of that.
"""

from __future__ import annotations

import sys
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras.src.backend.common import dtypes

import backlit as bl
from backlit.losses import Loss

jax.config.update("jax_enable_x64", True)
KERAS_RULE = dtypes.result_type
RNG = np.random.default_rng(20)
RTOL = {"float32": 1e-5, "float64": 1e-10}
FLOOR = {"float32": 1e-6, "float64": 1e-12}
REDUCTIONS = ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", None, "none")


@pytest.fixture(autouse=True)
def _float64_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """float64 joined with anything stays float64."""
    wide = lambda *given: "float64" if "float64" in map(str, given) else KERAS_RULE(*given)  # noqa: E731
    monkeypatch.setattr(dtypes, "result_type", wide)


def near(ours: Any, theirs: Any, dtype: str) -> None:
    theirs = np.asarray(theirs, np.float64)
    assert np.isfinite(theirs).all(), "a comparison with NaN compares nothing"
    floor = FLOOR[dtype] * float(np.abs(theirs).max(initial=0.0))
    ours = np.asarray(ours, np.float64)
    assert ours.size == theirs.size
    np.testing.assert_allclose(ours.reshape(theirs.shape), theirs, rtol=RTOL[dtype], atol=floor)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


Z = RNG.normal(0, 2, (9, 4))
NUMBERS = RNG.normal(0, 3, (9, 4))
COUNTS = RNG.integers(0, 6, (9, 4)).astype(float)
POSITIVE = RNG.uniform(0.05, 4, (9, 4))
BITS = RNG.integers(0, 2, (9, 4)).astype(float)
HOT = np.eye(4)[RNG.integers(0, 4, 9)]
SOFT = softmax(RNG.normal(size=(9, 4)))
P = 1 / (1 + np.exp(-Z))
IDS = RNG.integers(0, 4, 9)
STEPS = RNG.normal(0, 2, (5, 3, 4))
EDGES = np.array([[0.0, 1.0, 0.5, 2e-7], [1 - 2e-7, 1e-8, 1.0, 0.0], [0.25, 0.75, 1e-3, 0.999]])  # of probabilities
EDGE_HOT = np.eye(4)[[0, 1, 3]]
EDGE_BITS = np.array([[0.0, 1.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0], [1.0, 0.0, 0.0, 1.0]])

CASES: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("MeanSquaredError", {}, NUMBERS, Z),
    ("MeanSquaredError", {}, STEPS + 1, STEPS),
    ("MeanAbsoluteError", {}, NUMBERS, Z),
    ("MeanAbsoluteError", {}, np.zeros((3, 2)), np.array([[1e-30, 1.0], [-2.0, -1e-30], [1e30, -1e30]])),
    ("MeanAbsolutePercentageError", {}, POSITIVE, Z),
    ("MeanAbsolutePercentageError", {}, -POSITIVE, Z),
    ("MeanAbsolutePercentageError", {}, np.array([[0.0, 2.0]]), np.array([[1.0, 3.0]])),
    ("MeanSquaredLogarithmicError", {}, COUNTS, POSITIVE),
    ("MeanSquaredLogarithmicError", {}, POSITIVE, Z),
    ("Huber", {}, NUMBERS, Z),
    ("Huber", {"delta": 0.3}, NUMBERS, Z),
    ("Huber", {"delta": 2.0}, np.zeros((2, 3)), np.array([[2.0, -2.0, 0.0], [1.9, 2.1, 100.0]])),
    ("LogCosh", {}, NUMBERS, Z),
    ("LogCosh", {}, np.zeros((2, 2)), np.array([[700.0, -700.0], [30.0, -88.0]])),
    ("CosineSimilarity", {}, NUMBERS, Z),
    ("CosineSimilarity", {"axis": 1}, STEPS + 1, STEPS),
    ("Hinge", {}, BITS, Z),
    ("Hinge", {}, 2 * BITS - 1, Z),
    ("Hinge", {}, np.array([[1.0, -1.0, 1.0]]), np.array([[1.0, -1.0, 3.0]])),  # on the margin
    ("SquaredHinge", {}, BITS, Z),
    ("SquaredHinge", {}, 2 * BITS - 1, Z),
    ("CategoricalHinge", {}, HOT, Z),
    ("BinaryCrossentropy", {}, BITS, P),
    ("BinaryCrossentropy", {}, SOFT, P),
    ("BinaryCrossentropy", {}, EDGE_BITS, EDGES),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, BITS, P),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, Z),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, 30 * Z),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BITS, Z),
    ("BinaryCrossentropy", {"axis": 1, "from_logits": True}, (STEPS > 0) * 1.0, STEPS[::-1]),
    ("BinaryFocalCrossentropy", {}, BITS, P),
    ("BinaryFocalCrossentropy", {"gamma": 0.5, "apply_class_balancing": True, "alpha": 0.4}, BITS, P),
    ("BinaryFocalCrossentropy", {"gamma": 0.0}, BITS, P),
    ("BinaryFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BITS, Z),
    ("CategoricalCrossentropy", {}, HOT, SOFT),
    ("CategoricalCrossentropy", {}, HOT, 3 * POSITIVE),
    ("CategoricalCrossentropy", {}, EDGE_HOT, EDGES),
    ("CategoricalCrossentropy", {"label_smoothing": 0.3}, HOT, SOFT),
    ("CategoricalCrossentropy", {"from_logits": True}, HOT, Z),
    ("CategoricalCrossentropy", {"from_logits": True}, HOT, 100 * Z),
    ("CategoricalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, SOFT, Z),
    ("CategoricalCrossentropy", {"from_logits": True, "axis": 1}, softmax(STEPS), STEPS),
    ("CategoricalFocalCrossentropy", {}, HOT, SOFT),
    ("CategoricalFocalCrossentropy", {"gamma": 3.5, "alpha": [0.1, 0.2, 0.3, 0.4]}, HOT, SOFT),
    ("CategoricalFocalCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, HOT, Z),
    ("SparseCategoricalCrossentropy", {}, IDS, SOFT),
    ("SparseCategoricalCrossentropy", {}, IDS.reshape(-1, 1), SOFT),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, IDS, Z),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, IDS, 100 * Z),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, np.argmax(STEPS[::-1], -1), STEPS),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, IDS, SOFT),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, np.where(IDS == 2, -1, IDS), SOFT),
    ("SparseCategoricalCrossentropy", {"ignore_class": 0, "from_logits": True}, np.argmax(STEPS[::-1], -1), STEPS),
    ("KLDivergence", {}, SOFT, softmax(Z)),
    ("KLDivergence", {}, HOT, softmax(Z)),
    ("KLDivergence", {}, EDGE_HOT, np.minimum(EDGES, 0.9)),
    ("Poisson", {}, COUNTS, POSITIVE),
]
every_case = pytest.mark.parametrize(
    ("name", "config", "y", "p"), CASES, ids=[f"{place}-{case[0]}" for place, case in enumerate(CASES)]
)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def both(name: str, config: dict[str, Any], dtype: str, reduction: Any = "sum_over_batch_size") -> tuple[Any, Any]:
    return (
        getattr(bl.losses, name)(**config, reduction=reduction),
        getattr(keras.losses, name)(**config, reduction=reduction, dtype=dtype),
    )


def is_of_the_library(cls: type) -> bool:
    """Not one that a test or an example in a docstring has defined meanwhile."""
    return getattr(sys.modules[cls.__module__], cls.__name__, None) is cls and cls.__module__.startswith("backlit.")


def test_every_loss_of_both_is_compared() -> None:
    ours = {cls.__name__ for cls in map(Loss.named, Loss.names()) if is_of_the_library(cls)}
    assert ours - {"HalfSquaredError", "ScaledSquaredError"} == {case[0] for case in CASES}


def weightings(name: str, config: dict[str, Any], y: Any, p: Any) -> list[Any]:
    shape = getattr(bl.losses, name)(**config, reduction=None)(y, p).shape
    whole = RNG.uniform(0, 2, shape)
    whole[0] = 0.0
    return [None, whole, *([whole[:, None]] if len(shape) == 1 else [])]


@every_case
@every_dtype
@pytest.mark.filterwarnings("ignore")
def test_values_reductions_and_weights(name: str, config: Any, y: Any, p: Any, dtype: str) -> None:
    p = p.astype(dtype)
    for weight in weightings(name, config, y, p):
        for reduction in REDUCTIONS:
            ours, theirs = both(name, config, dtype, reduction)
            near(ours(y, p, weight), theirs(y, p, weight), dtype)


@every_case
@every_dtype
@pytest.mark.filterwarnings("ignore")
def test_gradients(name: str, config: Any, y: Any, p: Any, dtype: str) -> None:
    p = p.astype(dtype)
    for weight in weightings(name, config, y, p):
        for reduction in ("sum_over_batch_size", "sum"):
            ours, theirs = both(name, config, dtype, reduction)
            output = bl.variable(p)
            slope = bl.grad(ours(y, output, weight), output)
            assert slope.dtype == dtype
            wanted = jax.grad(lambda p, theirs=theirs, w=weight: theirs(y, p, w))(jnp.asarray(p))
            near(slope.value, wanted, dtype)


@every_case
@pytest.mark.filterwarnings("ignore")
def test_the_function_of_that_name(name: str, config: Any, y: Any, p: Any) -> None:
    word = bl.core.record.snake(name)
    function, keras_function = getattr(bl.losses, word), getattr(keras.losses, word)
    given = y if name == "SparseCategoricalCrossentropy" else np.asarray(y, np.float64)
    near(function(y, p, **config), keras_function(given, p, **config), "float64")
    assert Loss.get(function).name == word


@pytest.mark.parametrize("place", range(len(CASES)))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1))
def test_random_inputs(place: int, seed: int) -> None:
    name, config, y, p = CASES[place]
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(p), len(p))
    y, p = y[rows], p[rows] * rng.choice([1e-3, 1.0, 1.5] if p.min() < 0 or p.max() > 1 else [1.0], p.shape)
    ours, theirs = both(name, config, "float64")
    near(ours(y, p), theirs(y, p), "float64")


@pytest.mark.parametrize("name", ["CategoricalCrossentropy", "CategoricalFocalCrossentropy", "KLDivergence"])
@every_dtype
def test_through_a_softmax_the_logits_get_the_same_gradient(name: str, dtype: str) -> None:
    """Probabilities that are not saturated: what training rewrites is what Keras computes."""
    ours, theirs = both(name, {}, dtype)
    z = bl.variable(Z.astype(dtype))
    (safe,) = bl.rewrite.rule.apply([ours(HOT, bl.nn.softmax(z))], bl.rewrite.stable.RULES)
    near(safe.value, theirs(HOT, jax.nn.softmax(Z.astype(dtype))), dtype)
    wanted = jax.grad(lambda z: theirs(HOT, jax.nn.softmax(z)))(jnp.asarray(Z, dtype))
    near(bl.grad(safe, z).value, wanted, dtype)


def test_weights_of_steps_are_a_mask() -> None:
    """Weight 0 takes a time step out: the same as Keras's sum over how many numbers there are."""
    y, mask = np.argmax(STEPS[::-1], -1), RNG.integers(0, 2, (5, 3))
    ours, theirs = both("SparseCategoricalCrossentropy", {"from_logits": True}, "float64")
    near(ours(y, STEPS, mask), theirs(y, STEPS, mask), "float64")
    padded = np.where(mask[..., None] == 1, STEPS, 99.0)
    assert float(ours(y, padded, mask)) == pytest.approx(float(ours(y, STEPS, mask)))


# ---------------------------------------------------------------------- saturated: the documented difference
def test_saturated_probabilities_are_the_documented_difference() -> None:
    """W040: behind a softmax, z = (1000, 0) and y = 1 costs 1000 here; Keras clips to 16.118 and learns nothing."""
    z = bl.variable(np.array([[1000.0, 0.0]]))
    for name, y in [("CategoricalCrossentropy", [[0.0, 1.0]]), ("CategoricalFocalCrossentropy", [[0.0, 1.0]])]:
        ours, theirs = both(name, {}, "float64")
        (safe,) = bl.rewrite.rule.apply([ours(y, bl.nn.softmax(z))], bl.rewrite.stable.RULES)
        factor = 1.0 if name == "CategoricalCrossentropy" else 0.25
        assert float(safe.value) == pytest.approx(1000 * factor, rel=1e-6)
        assert np.abs(bl.grad(safe, z).value).max() == pytest.approx(factor, rel=1e-6)
        saturated = lambda z, theirs=theirs, y=y: theirs(np.array(y), jax.nn.softmax(z))  # noqa: E731
        assert float(saturated(jnp.array([[1000.0, 0.0]]))) == pytest.approx(16.118 * factor, abs=1e-3)
        assert np.abs(jax.grad(saturated)(jnp.array([[1000.0, 0.0]]))).max() == 0.0


# ---------------------------------------------------------------------- what Keras itself gets wrong, with the proof
def test_keras_computes_means_of_float64_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its rule for joined dtypes says that float64 and float32 make float32; `mean` asks it, whatever `floatx` is."""
    monkeypatch.undo()
    assert dtypes.result_type("float64", "float32") == "float32"
    y, p = np.zeros((1, 2)), np.array([[1.0, 1e-5]])
    ours, theirs = both("MeanSquaredError", {}, "float64")
    assert float(ours(y, p)) == pytest.approx(0.5 + 0.5e-10, rel=1e-14)
    assert float(theirs(y, p)) == 0.5


def test_keras_divides_the_smoothing_by_another_axis() -> None:
    """label_smoothing spreads over the k classes; Keras divides by the length of the last axis, whatever `axis` is."""
    y = np.zeros((1, 2, 5))
    y[:, 0] = 1.0  # two classes along axis 1, five places
    p = np.full((1, 2, 5), 0.5)
    ours, theirs = both("CategoricalCrossentropy", {"label_smoothing": 0.5, "axis": 1}, "float64")
    assert float(ours(y, p)) == pytest.approx(np.log(2))  # y stays a distribution: its cross-entropy with ½ is log 2
    assert float(theirs(y, p)) == pytest.approx(np.log(2) * (0.5 + 2 * 0.5 / 5))  # its "distribution" sums to 0.7


def test_keras_refuses_sparse_classes_on_another_axis() -> None:
    """`axis` is an argument of the sparse loss that its JAX backend cannot follow."""
    y, p = np.array([[0, 1, 1]]), softmax(np.ones((1, 3, 2))).transpose(0, 2, 1)
    ours, theirs = both("SparseCategoricalCrossentropy", {"axis": 1}, "float64")
    assert float(ours(y, p)) == pytest.approx(np.log(2))
    with pytest.raises(ValueError, match="same shape"):
        theirs(y, p)


def test_keras_broadcasts_y_against_the_output() -> None:
    """(8, 1) against (8, 3) is no pair of target and output."""
    y, p = np.zeros((8, 1)), np.ones((8, 3))
    ours, theirs = both("MeanSquaredError", {}, "float64")
    assert float(theirs(y, p)) == 1.0
    with pytest.raises(ValueError, match="nothing is broadcast"):
        ours(y, p)


def test_keras_takes_labels_that_do_not_exist() -> None:
    """A label out of range costs 0 in Keras: the worst example looks perfect."""
    ours, theirs = both("SparseCategoricalCrossentropy", {}, "float64")
    assert float(theirs(np.array([7, -1]), np.full((2, 3), 1 / 3))) == 0.0
    with pytest.raises(ValueError, match=r"whole numbers 0\.\.2"):
        ours([7, -1], np.full((2, 3), 1 / 3))


def test_keras_weighs_steps_with_the_weights_of_examples() -> None:
    """One weight an example, a loss of (m, t) with t = m: Keras weighs the time steps instead, without a word."""
    y, p = np.zeros((2, 2, 1)), np.array([[[1.0], [1.0]], [[0.0], [0.0]]])  # only the first example is wrong
    weight = np.array([1.0, 0.0])
    ours, theirs = both("MeanSquaredError", {}, "float64", "sum")
    assert float(ours(y, p, weight)) == 2.0  # both steps of the first example
    assert float(theirs(y, p, weight)) == 1.0  # the first step of both


def test_keras_moves_a_perfect_prediction() -> None:
    """|p - y| at p = y: Keras on JAX takes the derivative as 1 on one side; 0 is what leaves the minimum alone."""
    ours, theirs = both("MeanAbsoluteError", {}, "float64")
    assert jax.grad(lambda p: theirs(np.zeros((1, 1)), p))(jnp.zeros((1, 1))).tolist() == [[-1.0]]
    p = bl.variable(np.zeros((1, 1)))
    assert bl.grad(ours(np.zeros((1, 1)), p), p).value.tolist() == [[0.0]]


def test_keras_halves_the_derivative_at_the_end_of_a_clip() -> None:
    """p = 1 exactly lies inside [1e-7, 1]: the divergence's derivative there is -1, from the only side there is."""
    ours, theirs = both("KLDivergence", {}, "float64")
    assert jax.grad(lambda p: theirs(np.ones((1, 1)), p))(jnp.ones((1, 1))).tolist() == [[-0.5]]
    p = bl.variable(np.ones((1, 1)))
    assert bl.grad(ours(np.ones((1, 1)), p), p).value.tolist() == [[-1.0]]


def test_keras_gives_nan_as_the_gradient_at_a_zero_vector() -> None:
    """Cosine similarity of a zero vector is finite, its gradient in Keras is not."""
    y = np.array([[1.0, 0.0]])
    ours, theirs = both("CosineSimilarity", {}, "float64")
    assert np.isnan(jax.grad(lambda p: theirs(y, p))(jnp.zeros((1, 2)))).any()
    p = bl.variable(np.zeros((1, 2)))
    assert np.isfinite(bl.grad(ours(y, p), p).value).all()


def test_keras_gives_nan_as_the_gradient_of_a_saturated_focal_loss() -> None:
    """gamma below 1 and an output of exactly 1: 0 to a negative power times 0."""
    y = np.array([[1.0]])
    ours, theirs = both("BinaryFocalCrossentropy", {"gamma": 0.5, "from_logits": True}, "float32")
    assert np.isnan(jax.grad(lambda z: theirs(y, z))(jnp.full((1, 1), 40.0, "float32"))).any()
    z = bl.variable(np.full((1, 1), 40.0, np.float32))
    assert np.isfinite(bl.grad(ours(y, z), z).value).all()


def test_keras_lets_the_batch_decide_what_a_hinge_target_means() -> None:
    """With -1 somewhere in the batch, 0 stays 0 and costs 1 whatever the score; without it, 0 means -1."""
    ours, theirs = both("Hinge", {}, "float64", None)
    y, p = np.array([[0.0], [-1.0]]), np.array([[-5.0], [-5.0]])
    assert np.asarray(theirs(y[:1], p[:1])).tolist() == [0.0]
    assert np.asarray(theirs(y, p)).tolist() == [1.0, 0.0]  # the same example, another batch
    with pytest.raises(ValueError, match="-1 and 1"):
        ours(y, p)
    assert ours.formula(bl.constant(y), bl.constant(p)).value.tolist() == [0.0, 0.0]
