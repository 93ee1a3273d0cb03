"""Every metric against Keras on JAX, batch by batch and weighted; counts exactly against scikit-learn; and where Keras
is wrong, the proof."""

from __future__ import annotations

import sys
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras.src.backend.common import dtypes
from sklearn import metrics as truth

import backlit as bl
from backlit.core.record import snake
from backlit.metrics import Metric

KERAS_RULE = dtypes.result_type
RNG = np.random.default_rng(21)
ROWS = 24


@pytest.fixture(autouse=True)
def _float64_of_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    """float64 joined with anything stays float64 (see test_losses_parity.py)."""
    wide = lambda *given: "float64" if "float64" in map(str, given) else KERAS_RULE(*given)  # noqa: E731
    monkeypatch.setattr(dtypes, "result_type", wide)


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


Z = RNG.normal(0, 2, (ROWS, 4))
NUMBERS = Z + RNG.normal(0, 1, (ROWS, 4))
P, SOFT = 1 / (1 + np.exp(-Z)), softmax(Z)
BITS = RNG.integers(0, 2, (ROWS, 4)).astype(float)
IDS = RNG.integers(0, 4, ROWS)
HOT = np.eye(4)[IDS]
COARSE = np.round(P * 4) / 4  # with ties, and on thresholds
POSITIVE = RNG.uniform(0.1, 3, (ROWS, 4))
STEPS, STEP_IDS = softmax(RNG.normal(0, 2, (ROWS, 3, 4))), RNG.integers(0, 4, (ROWS, 3))

CASES: list[tuple[str, dict[str, Any], Any, Any]] = [
    ("Accuracy", {}, BITS, np.round(P)),
    ("Accuracy", {}, IDS, np.roll(IDS, 1)),
    ("BinaryAccuracy", {}, BITS, P),
    ("BinaryAccuracy", {}, BITS[:, 0], P[:, 0]),
    ("BinaryAccuracy", {"threshold": 0.25}, BITS, COARSE),
    ("BinaryAccuracy", {"threshold": 0.0}, BITS, Z),
    ("CategoricalAccuracy", {}, HOT, SOFT),
    ("CategoricalAccuracy", {}, HOT, COARSE),
    ("SparseCategoricalAccuracy", {}, IDS, SOFT),
    ("SparseCategoricalAccuracy", {}, IDS.reshape(-1, 1), COARSE),
    ("SparseCategoricalAccuracy", {}, STEP_IDS, STEPS),
    ("TopKCategoricalAccuracy", {"k": 2}, HOT, SOFT),
    ("TopKCategoricalAccuracy", {"k": 3}, HOT, COARSE),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, IDS, COARSE),
    ("SparseTopKCategoricalAccuracy", {"k": 1}, STEP_IDS, STEPS),
    ("Precision", {}, BITS, P),
    ("Precision", {}, BITS[:, 0], COARSE[:, 0]),
    ("Precision", {"thresholds": 0.0}, BITS, Z),
    ("Precision", {"thresholds": [0.1, 0.5, 0.75]}, BITS, COARSE),
    ("Precision", {"thresholds": [0.0, 0.5, 1.0]}, BITS, COARSE),  # evenly spread: Keras counts in buckets
    ("Precision", {"top_k": 2}, BITS, P),
    ("Precision", {"top_k": 2}, BITS, COARSE),
    ("Precision", {"class_id": 2}, BITS, P),
    ("Precision", {"class_id": 1, "top_k": 3, "thresholds": 0.5}, BITS, P),
    ("Recall", {}, BITS, P),
    ("Recall", {"thresholds": [0.25, 0.5]}, BITS, COARSE),
    ("Recall", {"top_k": 1}, BITS, SOFT),
    ("Recall", {"class_id": 0}, BITS, P),
    ("Recall", {}, np.zeros((ROWS, 4)), P),  # nothing to find
    ("TruePositives", {"thresholds": 0.3}, BITS, P),
    ("FalsePositives", {}, BITS, P),
    ("TrueNegatives", {"thresholds": [0.3, 0.7]}, BITS, P),
    ("FalseNegatives", {}, BITS, P),
    ("AUC", {}, BITS[:, 0], P[:, 0]),
    ("AUC", {}, BITS, COARSE),
    ("AUC", {"from_logits": True}, BITS, Z),
    ("AUC", {"num_thresholds": 7, "curve": "PR"}, BITS, P),
    ("AUC", {"curve": "PR", "summation_method": "minoring"}, BITS, P),
    ("AUC", {"curve": "ROC", "summation_method": "majoring", "num_thresholds": 12}, BITS, P),
    ("AUC", {"curve": "PR", "summation_method": "majoring", "thresholds": [0.2, 0.35, 0.9]}, BITS, P),
    ("AUC", {"multi_label": True, "num_labels": 4}, BITS, P),
    ("AUC", {"multi_label": True, "curve": "PR", "label_weights": [1.0, 2.0, 0.0, 0.5]}, BITS, P),
    ("AUC", {"label_weights": [1.0, 2.0, 0.0, 0.5]}, BITS, P),
    ("FBetaScore", {"beta": 2.0, "threshold": 0.4}, BITS, P),
    ("FBetaScore", {"beta": 0.5, "average": "micro"}, HOT, SOFT),
    ("F1Score", {}, HOT, SOFT),
    ("F1Score", {"average": "macro"}, HOT, COARSE),
    ("F1Score", {"average": "micro", "threshold": 0.5}, BITS, P),
    ("F1Score", {"average": "weighted", "threshold": 0.5}, BITS, P),
    ("MeanSquaredError", {}, NUMBERS, Z),
    ("RootMeanSquaredError", {}, NUMBERS, Z),
    ("MeanAbsoluteError", {}, NUMBERS, Z),
    ("MeanAbsolutePercentageError", {}, NUMBERS, Z),
    ("MeanSquaredLogarithmicError", {}, POSITIVE, np.abs(Z)),
    ("LogCoshError", {}, NUMBERS, Z),
    ("CosineSimilarity", {}, NUMBERS, Z),
    ("Hinge", {}, BITS, Z),
    ("SquaredHinge", {}, 2 * BITS - 1, Z),
    ("CategoricalHinge", {}, HOT, Z),
    ("KLDivergence", {}, softmax(NUMBERS), SOFT),
    ("Poisson", {}, np.round(POSITIVE), POSITIVE[::-1]),
    ("BinaryCrossentropy", {}, BITS, P),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BITS, Z),
    ("CategoricalCrossentropy", {}, HOT, SOFT),
    ("CategoricalCrossentropy", {"from_logits": True}, HOT, Z),
    ("SparseCategoricalCrossentropy", {}, IDS, SOFT),
    ("SparseCategoricalCrossentropy", {"ignore_class": 1, "from_logits": True}, IDS, Z),
    ("SparseCategoricalCrossentropy", {}, STEP_IDS, STEPS),
    ("R2Score", {}, NUMBERS, Z),
    ("R2Score", {"class_aggregation": None}, NUMBERS, Z),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, NUMBERS, Z),
    ("R2Score", {"num_regressors": 3}, NUMBERS[:, :1], Z[:, :1]),
]
ids = [f"{place}-{case[0]}" for place, case in enumerate(CASES)]
every_case = pytest.mark.parametrize(("name", "config", "y", "p"), CASES, ids=ids)
OURS_ONLY = {"ConfusionMatrix"}  # not in Keras
FLOAT32_INSIDE = {"F1Score", "FBetaScore"}  # Keras adds 1e-7 to denominators: its scores are wrong in the 7th digit


def tolerance(name: str) -> float:
    return 1e-6 if name in FLOAT32_INSIDE else 1e-10


def is_of_the_library(cls: type) -> bool:
    """Not one that a test or an example in a docstring has defined meanwhile."""
    return getattr(sys.modules[cls.__module__], cls.__name__, None) is cls and cls.__module__.startswith("backlit.")


def test_every_metric_of_both_is_compared() -> None:
    ours = {cls.__name__ for cls in map(Metric.named, Metric.names()) if is_of_the_library(cls)}
    assert ours - OURS_ONLY - {"Mean"} == {case[0] for case in CASES}


def run(metric: Any, batches: Any, y: Any, p: Any, w: Any) -> np.ndarray:
    for rows in batches:
        metric.update_state(y[rows], p[rows], None if w is None else w[rows])
    return np.asarray(metric.result(), np.float64)


@every_case
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.filterwarnings("ignore")
def test_values_over_batches(name: str, config: Any, y: Any, p: Any, weighted: bool) -> None:
    if name.startswith("Sparse") and config.get("ignore_class") and not weighted:
        return  # Keras counts what it ignores: see test_keras_counts_what_it_ignores
    w = RNG.uniform(0, 2, (len(p), *[1] * (name == "Accuracy" and p.ndim == 1))) if weighted else None
    ours, theirs = getattr(bl.metrics, name)(**config), getattr(keras.metrics, name)(**config, dtype="float64")
    theirs.update_state(y, p)
    theirs.reset_state()
    for variable in theirs.variables:  # counts that Keras keeps in float32 whatever dtype it is told
        variable._value, variable._dtype = variable._value.astype("float64"), "float64"
    halves = (slice(0, 12), slice(12, 24))
    wanted, got = run(theirs, halves, y, p, w), run(ours, halves, y, p, w)
    assert got.shape == wanted.shape
    np.testing.assert_allclose(got, wanted, rtol=tolerance(name), atol=1e-12)
    ours.reset_state()
    assert float(np.max(ours.result())) == 0.0


@every_case
@pytest.mark.filterwarnings("ignore")
def test_values_in_float32(name: str, config: Any, y: Any, p: Any) -> None:
    if name.startswith("Sparse") and config.get("ignore_class"):
        return
    p = p.astype(np.float32)
    wanted = np.asarray(getattr(keras.metrics, name)(**config)(y, p))
    got = np.asarray(getattr(bl.metrics, name)(**config)(y, p))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-6)


def test_mean() -> None:
    for given_values in (([1.0, 3.0, 5.0], None), ([1.0, 3.0], [0.5, 2.0]), (POSITIVE, POSITIVE[:, 0]), (POSITIVE, None)):
        assert bl.metrics.Mean()(*given_values) == pytest.approx(float(keras.metrics.Mean()(*given_values)), rel=1e-6)


# ---------------------------------------------------------------------- in training, under the same words
@pytest.mark.parametrize(
    ("loss", "activation", "units", "y"),
    [
        ("BinaryCrossentropy", "sigmoid", 1, BITS[:, 0]),
        ("CategoricalCrossentropy", "softmax", 4, HOT),
        ("SparseCategoricalCrossentropy", "softmax", 4, IDS),
        ("MeanSquaredError", "linear", 4, HOT),
        ("MeanSquaredError", "linear", 1, BITS[:, :1]),
    ],
)
@pytest.mark.parametrize("word", ["accuracy", "acc", "mse_or_auc"])
@pytest.mark.filterwarnings("ignore")
def test_words_in_compile_mean_what_they_mean_in_keras(loss: str, activation: str, units: int, y: Any, word: str) -> None:
    if word == "mse_or_auc":
        word = "mse" if y.ndim > 1 or units == 1 else "sparse_categorical_crossentropy"
    x = RNG.normal(size=(ROWS, 3)).astype(np.float32)
    theirs = keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation)])
    theirs.compile("sgd", getattr(keras.losses, loss)(), metrics=[word])
    ours = bl.Sequential([bl.Input((3,)), bl.layers.Dense(units, activation)])
    ours.layers[0].set_weights([np.asarray(w) for w in theirs.get_weights()])
    ours.compile("sgd", getattr(bl.losses, loss)(), metrics=[word])
    wanted = theirs.evaluate(x, y, verbose=0, return_dict=True, batch_size=5)
    got = ours.evaluate(x, y, return_dict=True, batch_size=5)
    assert got == pytest.approx(wanted, rel=1e-5, abs=1e-6)


# ---------------------------------------------------------------------- scikit-learn as the truth
@pytest.mark.parametrize("seed", range(4))
def test_counts_are_those_of_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, k = int(rng.integers(10, 80)), int(rng.integers(2, 6))
    y, p, w = rng.integers(0, k, m), softmax(rng.normal(size=(m, k))), rng.uniform(0.1, 2, m)
    hot, guess = np.eye(k)[y], p.argmax(1)
    for weight in (None, w):
        for average in (None, "micro", "macro", "weighted"):
            wanted = truth.f1_score(y, guess, labels=range(k), average=average, sample_weight=weight, zero_division=0)
            got = bl.metrics.F1Score(average=average)(hot, p, weight)
            np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-15)
            assert np.array_equal(got, bl.metrics.F1Score(average=average)(y, p, weight))  # labels are as good
        matrix = truth.confusion_matrix(y, guess, labels=range(k), sample_weight=weight)
        np.testing.assert_allclose(bl.metrics.ConfusionMatrix()(y, p, weight), matrix, rtol=1e-13)
        bits, chance = (y > 0).astype(int), p[:, 0]
        for kind, function in (("Precision", truth.precision_score), ("Recall", truth.recall_score)):
            wanted = function(bits, chance > 0.5, sample_weight=weight, zero_division=0)
            assert getattr(bl.metrics, kind)()(bits, chance, weight) == pytest.approx(wanted, rel=1e-13)
        assert bl.metrics.BinaryAccuracy()(bits, chance, weight) == pytest.approx(
            truth.accuracy_score(bits, chance > 0.5, sample_weight=weight), rel=1e-13
        )
        t, e = rng.normal(size=(m, 2)), rng.normal(size=(m, 2))
        for ours, theirs in (("uniform_average",) * 2, ("variance_weighted_average", "variance_weighted"), (None, "raw_values")):
            wanted = truth.r2_score(t, t + e, sample_weight=weight, multioutput=theirs)
            np.testing.assert_allclose(bl.metrics.R2Score(ours)(t, t + e, weight), wanted, rtol=1e-12)
        wanted = truth.root_mean_squared_error(t[:, 0], e[:, 0], sample_weight=weight)
        assert bl.metrics.RootMeanSquaredError()(t[:, :1], e[:, :1], weight) == pytest.approx(wanted, rel=1e-13)
        for top in (1, 2):
            wanted = truth.top_k_accuracy_score(y, p[:, : k], k=top, labels=range(k), sample_weight=weight) if k > 2 else None
            if wanted is not None:
                got = bl.metrics.SparseTopKCategoricalAccuracy(k=top)(y, p, weight)
                assert got == pytest.approx(wanted, rel=1e-13)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 2**32 - 1), levels=st.integers(2, 40), rows=st.integers(4, 60), weighted=st.booleans())
def test_the_area_is_exact_where_thresholds_part_all_scores(seed: int, levels: int, rows: int, weighted: bool) -> None:
    rng = np.random.default_rng(seed)
    p = (rng.integers(0, levels, rows) + 0.5) / levels  # between the thresholds i / levels
    y = rng.integers(0, 2, rows)
    y[:2] = 0, 1
    w = rng.uniform(0.1, 2, rows) if weighted else None
    got = bl.metrics.AUC(num_thresholds=levels + 1)(y, p, w)
    assert got == pytest.approx(truth.roc_auc_score(y, p, sample_weight=w), rel=1e-12)


# ---------------------------------------------------------------------- what Keras itself gets wrong, with the proof
def test_keras_adds_an_epsilon_to_exact_counts() -> None:
    """A perfect prediction has F1 = 1."""
    y = np.eye(2)
    assert float(bl.metrics.F1Score("macro")(y, y)) == 1.0
    assert 1e-8 < 1 - float(keras.metrics.F1Score("macro", dtype="float64")(y, y)) < 1e-6


def test_keras_counts_only_to_16777216() -> None:
    """Counts are float32: after 2^24 examples one more is not counted any more."""
    y = p = np.ones(1)
    for metric, grows in ((keras.metrics.TruePositives(), False), (bl.metrics.TruePositives(), True)):
        metric.update_state(y, p, np.array([2.0**24]))
        before = float(metric.result())
        metric.update_state(y, p)
        assert (float(metric.result()) > before) is grows


def test_keras_counts_in_float32_when_told_float64() -> None:
    """`dtype="float64"` does not reach the counts of precision, recall, AUC and R²."""
    assert {str(v.dtype) for v in keras.metrics.AUC(dtype="float64").variables} == {"float32"}


def test_keras_loses_r2_of_large_numbers() -> None:
    """Sums of squares in float32: 100,000 ± 1 has no variance left."""
    y = 100_000 + RNG.normal(size=(500, 1))
    p = y + 0.1 * RNG.normal(size=(500, 1))
    exact = truth.r2_score(y, p)
    assert bl.metrics.R2Score()(y, p) == pytest.approx(exact, rel=1e-6)
    assert abs(float(keras.metrics.R2Score()(y, p)) - exact) > 0.01


def test_keras_gives_nan_for_a_perfect_constant() -> None:
    """0 / 0; scikit-learn says 1."""
    y = np.full((4, 1), 2.0)
    assert bl.metrics.R2Score()(y, y) == truth.r2_score(y, y) == 1.0
    assert np.isnan(float(keras.metrics.R2Score()(y, y)))


def test_keras_adjusts_r2_by_outputs_instead_of_examples() -> None:
    """n is the number of examples; Keras takes how many numbers y has."""
    y, p = NUMBERS[:, :2], Z[:, :2]
    plain = bl.metrics.R2Score()(y, p)
    adjusted = 1 - (1 - plain) * (ROWS - 1) / (ROWS - 5 - 1)
    assert bl.metrics.R2Score(num_regressors=5)(y, p) == pytest.approx(adjusted, rel=1e-12)
    wrong = 1 - (1 - plain) * (2 * ROWS - 1) / (2 * ROWS - 5 - 1)
    assert float(keras.metrics.R2Score(num_regressors=5)(y, p)) == pytest.approx(wrong, rel=1e-5)


def test_keras_calls_every_smoothed_or_signed_target_a_yes() -> None:
    """bool(0.05) and bool(-1) are True: with smoothed targets, or -1 and 1, every example counts as a yes."""
    p = np.array([0.9, 0.2, 0.1])
    for y in ([0.95, 0.05, 0.05], [1.0, -1.0, -1.0]):
        assert bl.metrics.Recall()(y, p) == 1.0
        assert float(keras.metrics.Recall()(y, p)) == pytest.approx(1 / 3)


def test_keras_cuts_logits_off_without_a_word() -> None:
    """AUC of logits without from_logits: everything outside [0, 1] is clipped into it."""
    y, z = np.array([0, 0, 1, 1]), np.array([1.5, 2.0, 3.0, 4.0])
    assert float(keras.metrics.AUC()(y, z)) == 0.5 != truth.roc_auc_score(y, z)
    with pytest.raises(ValueError, match="from_logits=True"):
        bl.metrics.AUC()(y, z)


def test_keras_counts_what_it_ignores() -> None:
    """ignore_class as a metric: Keras's loss leaves the ignored out of the mean, its metric only where weights are given."""
    y, p, config = np.array([0, 1, 1, 1]), np.full((4, 2), 0.5), {"ignore_class": 1}
    loss = float(keras.losses.SparseCategoricalCrossentropy(**config)(y, p))
    assert bl.metrics.SparseCategoricalCrossentropy(**config)(y, p) == pytest.approx(loss, rel=1e-6)
    assert float(keras.metrics.SparseCategoricalCrossentropy(**config)(y, p)) == pytest.approx(loss / 4, rel=1e-6)
    assert float(keras.metrics.SparseCategoricalCrossentropy(**config)(y, p, np.ones(4))) == pytest.approx(loss, rel=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_keras_judges_several_labels_by_the_largest_output() -> None:
    """"accuracy" of independent yes-or-no outputs is the share of right ones; Keras compares the two largest."""
    x, y = np.eye(2, dtype=np.float32), np.array([[1.0, 1.0], [0.0, 0.0]])
    kernel = np.array([[9.0, 8.0], [-8.0, -9.0]], np.float32)  # all four right
    theirs = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, "sigmoid", use_bias=False)])
    theirs.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    theirs.set_weights([kernel[:, ::-1]])
    ours = bl.Sequential([bl.Input((2,)), bl.layers.Dense(2, "sigmoid", use_bias=False)])
    ours.compile("sgd", "binary_crossentropy", metrics=["accuracy"])
    ours.layers[0].set_weights([kernel[:, ::-1].copy()])
    assert ours.evaluate(x, y, return_dict=True)["accuracy"] == 1.0
    assert theirs.evaluate(x, y, return_dict=True, verbose=0)["accuracy"] < 1.0


def test_names_are_those_of_keras() -> None:
    for name in {case[0] for case in CASES}:
        assert getattr(bl.metrics, name)().name == getattr(keras.metrics, name)().name.rstrip("_0123456789"), snake(name)
