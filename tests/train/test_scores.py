"""Scores against scikit-learn and against known numbers; the text tables and pictures as they are printed."""

import json
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from backlit.core.errors import ArgumentError, DataError, ValueRangeError
from backlit.io.bundled import load
from backlit.io.split import split
from backlit.train import scores


@pytest.mark.parametrize(
    ("correct", "n", "low", "high"),
    [  # the first from the brief of this module, the others from Newcombe (1998), tables I and II, method 3
        (8, 10, 0.490, 0.943),
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (29, 29, 0.8830, 1.0),
    ],
)
def test_wilson_against_known_values(correct: int, n: int, low: float, high: float) -> None:
    assert scores.wilson(correct, n) == pytest.approx((low, high), abs=6e-4 if n == 10 else 6e-5)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.999))
def test_wilson_holds_the_share_and_widens_with_confidence(share: tuple[int, int], confidence: float) -> None:
    correct, n = share
    low, high = scores.wilson(correct, n, confidence)
    wider_low, wider_high = scores.wilson(correct, n, 0.9999)
    assert 0 <= wider_low <= low <= correct / n <= high <= wider_high <= 1
    mirrored = scores.wilson(n - correct, n, confidence)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@pytest.mark.parametrize("arguments", [(1, 0), (-1, 5), (6, 5), (1, 5, 1.0), (1, 5, 0.0), (float("nan"), 5)])
def test_wilson_refuses(arguments: Any) -> None:
    with pytest.raises(ValueRangeError, match="no interval"):
        scores.wilson(*arguments)


def test_wilson_covers_as_often_as_it_says() -> None:
    """Exact coverage, summed over the binomial distribution and averaged over shares, is near 0.95."""
    n, shares = 50, np.linspace(0.02, 0.98, 193)
    bounds = np.array([scores.wilson(k, n) for k in range(n + 1)])
    coverage = []
    for p in shares:
        binomial = np.array([1.0])
        for _ in range(n):
            binomial = np.convolve(binomial, [1 - p, p])
        coverage.append(binomial[(bounds[:, 0] <= p) & (p <= bounds[:, 1])].sum())
    assert abs(np.mean(coverage) - 0.95) < 0.01


def test_classification() -> None:
    y, guess = np.array([0, 1, 1, 2, 2]), np.array([0, 1, 2, 2, 2])
    found = scores.classification(y, guess)
    assert found == {"accuracy": 0.8, "interval": list(scores.wilson(4, 5)), "n": 5, "correct": 4}
    named = scores.classification(y[:, None], guess, ["a", "b", "c", "d"])
    assert named["by_class"] == {"a": 1.0, "b": 0.5, "c": 1.0}
    json.dumps(named)


def test_classification_of_several_labels_counts_rows_in_its_interval() -> None:
    y, guess = np.array([[0, 1], [1, 1], [0, 0]]), np.array([[0, 1], [1, 0], [0, 0]])
    found = scores.classification(y, guess)
    assert found["accuracy"] == pytest.approx(5 / 6)
    assert (found["n"], found["correct"], found["labels"]) == (3, 5, 2)
    assert found["interval"] == pytest.approx(list(scores.wilson(2.5, 3)))


@pytest.mark.parametrize(
    ("y", "guess", "classes"), [([0, 1], [0], None), ([], [], None), ([0, 3], [0, 1], ["a", "b"]), ([0.5], [0], ["a"])]
)
def test_classification_refuses(y: Any, guess: Any, classes: Any) -> None:
    with pytest.raises(DataError):
        scores.classification(y, guess, classes)


@given(st.integers(2, 60), st.integers(1, 3), st.integers(0, 1000), st.sampled_from([0.0, 1e6]))
def test_regression_against_sklearn(m: int, k: int, seed: int, offset: float) -> None:
    rng = np.random.default_rng(seed)
    y = rng.normal(size=(m, k)) + offset
    guess = y + rng.normal(size=(m, k))
    found = scores.regression(y, guess)
    assert found["r2"] == pytest.approx(metrics.r2_score(y, guess), rel=1e-9)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(y, guess))
    assert found["rmse"] == pytest.approx(metrics.mean_squared_error(y, guess) ** 0.5)
    assert found["n"] == m and np.isfinite(found["interval"]).all()


def test_the_bootstrap_interval_is_that_of_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=60) * 3 + 100
    guess = y + rng.normal(size=60)
    rows = np.random.Generator(np.random.PCG64(7)).integers(0, 60, (1000, 60))
    expected = np.quantile([metrics.r2_score(y[row], guess[row]) for row in rows], [0.025, 0.975])
    found = scores.regression(y, guess, seed=7)
    assert found["interval"] == pytest.approx(expected.tolist(), rel=1e-9)
    assert found == scores.regression(y[:, None], guess, seed=7)
    assert found["interval"] != scores.regression(y, guess, seed=8)["interval"]
    assert found["interval"][0] < found["r2"] < found["interval"][1]


def test_the_bootstrap_works_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    y = rng.normal(size=50)
    guess = y + rng.normal(size=50)
    whole = scores.regression(y, guess)["interval"]
    monkeypatch.setattr(scores, "_BLOCK", 50 * 300)
    assert scores.regression(y, guess)["interval"] == whole


def test_a_constant_y_gives_numbers() -> None:
    assert scores.regression([2.0, 2.0], [2.0, 2.0])["r2"] == 1.0
    assert scores.regression([2.0, 2.0], [2.0, 3.0])["r2"] == 0.0
    one = scores.regression([5.0], [4.0])
    assert one["r2"] == 0.0 and one["interval"] == [0.0, 0.0]


@pytest.mark.parametrize(
    ("y", "guess"), [([1.0], [1.0, 2.0]), ([], []), ([np.nan], [1.0]), ([1.0], [np.inf]), (1.0, 1.0)]
)
def test_regression_refuses(y: Any, guess: Any) -> None:
    with pytest.raises(DataError):
        scores.regression(y, guess)


@given(st.integers(2, 6).flatmap(lambda k: st.tuples(st.just(k), st.integers(0, 100))))
def test_confusion_against_sklearn(case: tuple[int, int]) -> None:
    k, seed = case
    rng = np.random.default_rng(seed)
    y, guess = rng.integers(0, k, 40), rng.integers(0, k, 40)
    matrix = scores.confusion(y, guess, k)
    assert np.array_equal(matrix, metrics.confusion_matrix(y, guess, labels=range(k)))


def test_confusion_refuses_what_is_no_class() -> None:
    for y, guess in (([0, 2], [0, 1]), ([0, 1], [0, 2]), ([-1, 0], [0, 0])):
        with pytest.raises(DataError, match="no class"):
            scores.confusion(y, guess, 2)
    with pytest.raises(ArgumentError, match="whole numbers"):
        scores.confusion(["a"], ["a"], 2)


def test_confusion_text() -> None:
    matrix = np.array([[120, 0, 1], [0, 7, 0], [3, 0, 0]])
    text = scores.confusion_text(matrix, ["setosa", "a long class name", "c"])
    assert text.splitlines() == [
        "true \\ predicted  setosa  a long clas…  c",
        "setosa               120             ·  1",
        "a long clas…           ·             7  ·",
        "c                      3             ·  ·",
    ]
    assert scores.confusion_text(np.eye(2, dtype=int)).splitlines()[0] == "true \\ predicted  0  1"


def test_shortened_names_stay_apart() -> None:
    lines = scores.confusion_text(np.eye(2, dtype=int), ["Iris versicolor", "Iris versicolour"]).splitlines()
    assert lines[1].split()[0:2] != lines[2].split()[0:2]
    assert "Iris versi…0" in lines[1] and "Iris versi…1" in lines[2]


def test_a_matrix_that_is_too_wide_is_headed_by_numbers() -> None:
    matrix, names = np.diag([5, 60, 7]), ["first of all", "second", "third"]
    wide = scores.confusion_text(matrix, names)
    assert scores.confusion_text(matrix, names, len(wide.splitlines()[0])) == wide
    assert scores.confusion_text(matrix, names, len(wide.splitlines()[0]) - 1).splitlines() == [
        "true \\ predicted  0   1  2",
        "0 first of all    5   ·  ·",
        "1 second          ·  60  ·",
        "2 third           ·   ·  7",
    ]


def test_names_of_classes_keep_the_table_straight() -> None:
    text = scores.confusion_text(np.eye(4, dtype=int), ["a\nb", "\033[31mred", "猫猫猫猫猫", "e\u0301"])
    lines = text.splitlines()
    assert len(lines) == 5 and "\033" not in text and lines[1].startswith("a b ")
    assert len({scores.cells_of(line) for line in lines}) == 1


def test_one_line() -> None:
    assert scores.one_line("  two\n\twords ") == "two words" and scores.one_line("x" * 9, 4) == "xxx…"
    assert scores.one_line("a\x07\x1b[0m") == "a\ufffd\ufffd[0m" and scores.one_line("four", 4) == "four"


@given(st.integers(2, 6), st.integers(0, 1000))
def test_the_most_confused_pairs_are_those_of_the_matrix(k: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, guess = rng.integers(0, k, 30), rng.integers(0, k, 30)
    pairs = scores.most_confused(scores.confusion(y, guess, k), count=k * k)
    assert sum(pair["rows"] for pair in pairs) == int((y != guess).sum())
    for pair in pairs:
        assert pair["rows"] == int(((y == pair["true"]) & (guess == pair["predicted"])).sum()) > 0
        assert pair["of"] == int((y == pair["true"]).sum()) and pair["true"] != pair["predicted"]
    assert [pair["rows"] for pair in pairs] == sorted((pair["rows"] for pair in pairs), reverse=True)
    assert scores.most_confused(scores.confusion(y, guess, k), count=1) == pairs[:1]


@pytest.mark.parametrize(
    ("own", "linear", "constant", "words"),
    [
        (0.9, 0.8, 0.3, "Clearly better than the linear model"),
        (0.9, 0.86, 0.3, "within the interval"),
        (0.9, 0.9, 0.3, "The linear model is as good"),
        (0.9, 0.94, 0.3, "The linear model is as good"),
        (0.9, 0.96, 0.3, "The linear model is better"),
        (0.9, 0.8, 0.9, "No better than the constant answer"),
        (0.2, 0.9, 0.3, "The linear model is better"),
    ],
)
def test_the_verdict(own: float, linear: float, constant: float, words: str) -> None:
    test = {"accuracy": own, "interval": [own - 0.05, own + 0.05]}
    assert words in scores.verdict(test, {"constant": {"accuracy": constant}, "linear": {"accuracy": linear}})


def test_confusion_text_refuses() -> None:
    with pytest.raises(DataError, match="3 names"):
        scores.confusion_text(np.eye(2, dtype=int), ["a", "b", "c"])
    with pytest.raises(DataError, match="fit together"):
        scores.confusion_text(np.ones((2, 3), dtype=int))


def test_worst_mistakes_are_sorted_by_what_the_truth_was_given() -> None:
    p = np.array([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.5, 0.49, 0.01], [0.0, 0.0, 1.0]])
    found = scores.worst_mistakes([1, 1, 2, 0], p)
    assert [entry["row"] for entry in found] == [3, 2, 0]
    assert found[1] == {"row": 2, "true": 2, "predicted": 0, "p_predicted": 0.5, "p_true": 0.01}
    assert [entry["row"] for entry in scores.worst_mistakes([1, 1, 2, 0], p, count=1)] == [3]
    assert scores.worst_mistakes(np.eye(3)[[1, 1, 2, 0]], p) == found
    json.dumps(found)


@pytest.mark.parametrize("shape", [(3,), (3, 1)])
def test_worst_mistakes_of_two_classes(shape: tuple[int, ...]) -> None:
    found = scores.worst_mistakes([1, 0, 1], np.array([0.25, 0.25, 0.75]).reshape(shape))
    assert found == [{"row": 0, "true": 1, "predicted": 0, "p_predicted": 0.75, "p_true": 0.25}]


def test_worst_mistakes_refuse() -> None:
    with pytest.raises(DataError, match="fit together"):
        scores.worst_mistakes([0, 1], np.ones((3, 2)))
    with pytest.raises(DataError, match="no class"):
        scores.worst_mistakes([0, 5], np.ones((2, 2)))
    with pytest.raises(DataError, match="one label for each row"):
        scores.worst_mistakes([[1, 1], [0, 1]], np.ones((2, 2)))


def test_worst_errors() -> None:
    found = scores.worst_errors([1.0, 2.0, 3.0], np.array([[1.0], [-2.0], [4.0]]), count=2)
    assert found == [
        {"row": 1, "true": 2.0, "predicted": -2.0, "error": -4.0},
        {"row": 2, "true": 3.0, "predicted": 4.0, "error": 1.0},
    ]
    several = scores.worst_errors([[1.0, 2.0]], [[1.5, 4.0]], count=1)
    assert several == [{"row": 0, "output": 1, "true": 2.0, "predicted": 4.0, "error": 2.0}]


@pytest.mark.parametrize(
    ("name", "task", "constant", "linear"),
    [
        ("digits", "multiclass", (0.08, 0.13), (0.92, 1.0)),
        ("breast_cancer", "binary", (0.55, 0.70), (0.93, 1.0)),
        ("wine", "multiclass", (0.30, 0.50), (0.88, 1.0)),
        ("iris", "multiclass", (0.30, 0.40), (0.80, 1.0)),
    ],
)
def test_baselines_of_the_bundled_classes(name: str, task: str, constant: Any, linear: Any) -> None:
    data = load(name)
    parts = split(data.y)
    found = scores.baselines(
        task, data.X[parts.train], data.y[parts.train], data.X[parts.test], data.y[parts.test][:, None]
    )
    assert constant[0] <= found["constant"]["accuracy"] <= constant[1]
    assert linear[0] <= found["linear"]["accuracy"] <= linear[1]
    assert found["linear"]["n"] == len(parts.test)
    assert found["linear"]["model"] == "logistic regression on standardised columns"
    json.dumps(found)


def test_baselines_of_digits_are_fast() -> None:
    data = load("digits")
    parts = split(data.y)
    rows = data.X[parts.train], data.y[parts.train], data.X[parts.test], data.y[parts.test]
    seconds = []
    for _ in range(3):  # the first call imports scikit-learn; the best of three leaves other programs out
        start = time.perf_counter()
        scores.baselines("multiclass", *rows)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.5


def test_baselines_of_a_regression() -> None:
    data = load("diabetes")
    parts = split(data.y)
    y_train, y_test = data.y[parts.train], data.y[parts.test]
    found = scores.baselines("regression", data.X[parts.train], y_train, data.X[parts.test], y_test)
    assert found["constant"]["model"] == f"always {y_train.mean():.4g}, the mean of y"
    assert found["constant"]["mae"] == pytest.approx(np.abs(y_test - y_train.mean()).mean())
    assert 0.3 < found["linear"]["r2"] < 0.7
    both = np.stack([data.y, -data.y], axis=1)
    two = scores.baselines("regression", data.X[parts.train], both[parts.train], data.X[parts.test], both[parts.test])
    assert two["linear"]["r2"] == pytest.approx(found["linear"]["r2"])
    assert two["constant"]["model"] == "always the mean of each column of y"


def test_baselines_of_several_labels() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 3))
    y = np.stack([X[:, 0] > 0, X[:, 1] > -1, np.zeros(300), np.ones(300)], axis=1)
    found = scores.baselines("multilabel", X[:200], y[:200], X[200:], y[200:])
    constant = (y[200:] == [np.median(X[:200, 0]) > 0, True, False, True]).mean()
    assert found["constant"]["accuracy"] == pytest.approx(constant)
    assert found["linear"]["accuracy"] > 0.97 and found["linear"]["labels"] == 4


def test_one_hot_classes_count_as_classes() -> None:
    data = load("iris")
    parts = split(data.y)
    rows = [data.X[parts.train], data.y[parts.train], data.X[parts.test], data.y[parts.test]]
    plain = scores.baselines("multiclass", *rows)
    rows[1], rows[3] = np.eye(3)[rows[1]], np.eye(3)[rows[3]]
    assert scores.baselines("multiclass", *rows) == plain


def test_awkward_data_raise_no_warnings() -> None:
    """Warnings are errors in these tests, so a warning would fail here."""
    X = np.ones((40, 3), dtype=np.float32)
    X[:, 1] = np.arange(40)
    X[:, 2] = 1e-30
    y = np.arange(40) % 2
    for task, target in (("binary", y), ("regression", y * 1.0), ("multilabel", np.stack([y, y * 0], axis=1))):
        assert set(scores.baselines(task, X, target, X, target)) == {"constant", "linear"}
    single = scores.baselines("multiclass", X, y * 0, X, y)
    assert single["linear"]["accuracy"] == single["constant"]["accuracy"] == 0.5


def test_a_fit_that_does_not_converge_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    data = load("digits")
    monkeypatch.setattr(scores, "_FEW_STEPS", 2)
    found = scores.baselines("multiclass", data.X, data.y, data.X, data.y)
    assert "converged" not in found["linear"]["model"]
    monkeypatch.setattr(scores, "_LARGE", data.X.size * 10 - 1)
    found = scores.baselines("multiclass", data.X, data.y, data.X, data.y)
    assert found["linear"]["model"].endswith("stopped before it had converged")


def test_an_unknown_task() -> None:
    with pytest.raises(ValueRangeError, match="did you mean 'multiclass'"):
        scores.baselines("multi-class", [[1.0]], [0], [[1.0]], [0])


def test_picture_of_a_digit() -> None:
    data = load("digits")
    assert data.image is not None
    lines = scores.picture(data.X[0], data.image).splitlines()
    assert data.y[0] == 0 and data.X[0].max() == 15
    assert data.X[0].reshape(8, 8)[:2].tolist() == [[0, 0, 5, 13, 9, 1, 0, 0], [0, 0, 13, 15, 10, 15, 5, 0]]
    assert lines[:2] == ["    --%%++..    ", "    %%@@**@@--  "]
    assert [len(line) for line in lines] == [16] * 8


def test_picture_of_colours_and_of_nothing() -> None:
    assert scores.picture([0, 0, 0, 9, 9, 9], (1, 2, 3)) == "  @@"
    assert scores.picture(np.zeros(4), (2, 2)) == "    \n    "
    assert scores.picture([-1.0, -2.0], (1, 2)) == "    "
    with pytest.raises(DataError, match="does not fill"):
        scores.picture([1.0, 2.0, 3.0], (2, 2))
