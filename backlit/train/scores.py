"""How good predictions are, how sure that is, where they are wrong, and what two simple models would have reached.

Everything returned is made of plain Python numbers, strings, lists and dicts, ready for JSON, except `confusion`.
"""

from __future__ import annotations

import math
import unicodedata
import warnings
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

import numpy as np

from backlit.core.errors import ArgumentError, DataError, ValueRangeError, did_you_mean

TASKS = ("binary", "multiclass", "regression", "multilabel")
RAMP = " .:-=+*#%@"

_RESAMPLES = 1000
_BLOCK = 4_000_000  # row numbers drawn at a time by the bootstrap
_LARGE = 20_000_000  # inputs times classes above which the linear model gets few steps
_STEPS, _FEW_STEPS = 1000, 100
_NAME_WIDTH = 12

Scores = dict[str, Any]


def wilson(correct: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval for a share: `correct` of `n` were right; the true share lies in it with `confidence`.

    Unlike the share plus and minus two standard errors it stays inside 0..1 and is right for small n and for shares of
    0 or 1. Raises ValueRangeError unless 0 <= correct <= n, n >= 1 and 0 < confidence < 1.

    >>> low, high = wilson(8, 10)
    >>> print(f"{low:.3f} {high:.3f}")
    0.490 0.943
    """
    if not (n >= 1 and 0 <= correct <= n and 0 < confidence < 1):
        raise ValueRangeError(
            "this share has no interval.",
            expected="0 <= correct <= n, n at least 1, confidence between 0 and 1",
            found=f"correct={correct}, n={n}, confidence={confidence}",
        )
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = correct / n
    centre = share + z * z / (2 * n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    scale = 1 + z * z / n
    low = 0.0 if correct == 0 else (centre - half) / scale
    high = 1.0 if correct == n else (centre + half) / scale
    return low, high


def classification(y: Any, predicted: Any, classes: Sequence[str] | None = None) -> Scores:
    """Share of right answers and its 95 % interval: `accuracy`, `interval` [low, high], `n`, `correct`.

    `y` and `predicted` have shape (m,) or (m, 1). With `classes` (names by label) `by_class` gives the share of right
    answers among the rows of each class that occurs. For several labels a row, shape (m, k), `accuracy` is the share of
    right labels, `correct` counts labels and `labels` is k; as the labels of a row may go wrong together, the interval
    counts rows. Raises DataError where the shapes differ or there are no rows.

    >>> classification([0, 1, 1, 2], [0, 1, 1, 1])["accuracy"]
    0.75
    """
    true, guess = _pair(y, predicted)
    right = true == guess
    accuracy, n = float(right.mean()), len(true)
    scores: Scores = {
        "accuracy": accuracy,
        "interval": list(wilson(accuracy * n, n)),
        "n": n,
        "correct": int(right.sum()),
    }
    if true.ndim == 2:
        scores["labels"] = true.shape[1]
    elif classes is not None:
        labels = _labels(true)
        _must_be_below(labels, len(classes), "y")
        present = np.unique(labels)
        scores["by_class"] = {str(classes[label]): float(right[labels == label].mean()) for label in present}
    return scores


def regression(y: Any, predicted: Any, seed: int = 0) -> Scores:
    """`r2`, `mae`, `rmse`, `n`, and `interval`: the 95 % bootstrap interval of r2, from 1000 resamples drawn by `seed`.

    Shapes (m,), (m, 1) or (m, k); with several columns r2 is the mean of theirs. Where y is constant r2 is 1 if every
    value is met, else 0. Raises DataError where the shapes differ, there are no rows, or a value is not finite.

    >>> scores = regression([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 5.0])
    >>> print(scores["r2"], scores["mae"], scores["rmse"])
    0.8 0.25 0.5
    """
    true, guess = _finite_pair(y, predicted)
    errors = guess - true
    squares = errors.reshape(len(true), -1) ** 2
    centred = (true - true.mean(axis=0)).reshape(len(true), -1)
    r2 = _r2(squares.sum(axis=0), (centred**2).sum(axis=0))
    low, high = np.quantile(_resampled_r2(squares, centred, seed), (0.025, 0.975))
    return {
        "r2": float(r2),
        "mae": float(np.abs(errors).mean()),
        "rmse": float(np.sqrt(squares.mean())),
        "interval": [float(low), float(high)],
        "n": len(true),
    }


def _resampled_r2(squares: np.ndarray, centred: np.ndarray, seed: int) -> np.ndarray:
    rng = np.random.Generator(np.random.PCG64(seed))
    n = len(squares)
    per_block = max(1, _BLOCK // n)
    parts = []
    for start in range(0, _RESAMPLES, per_block):
        rows = rng.integers(0, n, (min(per_block, _RESAMPLES - start), n))
        drawn = np.stack([_sums(squares, rows), _sums(centred**2, rows), _sums(centred, rows)])
        spread = drawn[1] - drawn[2] ** 2 / n
        spread[spread <= 1e-12 * drawn[1]] = 0.0  # a resample of one value only, up to rounding
        parts.append(_r2(drawn[0], spread))
    return np.concatenate(parts)


def _sums(columns: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return np.stack([column[rows].sum(axis=1) for column in columns.T], axis=-1)


def _r2(residual: np.ndarray, spread: np.ndarray) -> Any:
    ratio = np.divide(residual, spread, out=(residual > 0).astype(np.float64), where=spread > 0)
    return (1.0 - ratio).mean(axis=-1)


def confusion(y: Any, predicted: Any, k: int) -> np.ndarray:
    """How often each class was taken for each: int64 of shape (k, k), rows the true class, columns the predicted one.

    Raises DataError where the shapes differ or a label is not a whole number 0..k-1.

    >>> confusion([0, 0, 1], [0, 1, 1], 2)
    array([[1, 1],
           [0, 1]])
    """
    true, guess = (_labels(values) for values in _pair(y, predicted))
    _must_be_below(true, k, "y")
    _must_be_below(guess, k, "predicted")
    return np.bincount(true * k + guess, minlength=k * k).reshape(k, k)


def confusion_text(matrix: np.ndarray, classes: Sequence[str] | None = None, width: int | None = None) -> str:
    """The confusion matrix, shape (k, k), as an aligned table; a zero is a dot, long names are shortened.

    `classes` defaults to the labels 0..k-1. Where the lines would be longer than `width`, the columns are headed by
    the numbers of the classes, which then stand before their names. Raises DataError where there are not k names.

    >>> print(confusion_text(confusion([0, 0, 1], [0, 1, 1], 2), ["cat", "dog"]))
    true \\ predicted  cat  dog
    cat                 1    1
    dog                 ·    1
    """
    k = len(matrix)
    if np.shape(matrix) != (k, k) or (classes is not None and len(classes) != k):
        raise DataError(
            "the confusion matrix and the classes do not fit together.",
            expected="a matrix of shape (k, k) and k names",
            found=f"shape {np.shape(matrix)} and {k if classes is None else len(classes)} names",
        )
    names = _short([str(label) for label in (range(k) if classes is None else classes)])
    cells = [[str(int(count)) if count else "·" for count in row] for row in matrix]
    text = _aligned(names, names, cells)
    if classes is None or width is None or cells_of(text.partition("\n")[0]) <= width:
        return text
    numbers = [str(label) for label in range(k)]
    numbered = [f"{number:>{len(numbers[-1])}} {name}" for number, name in zip(numbers, names, strict=True)]
    return _aligned(numbered, numbers, cells)


def _aligned(lines: Sequence[str], heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    corner = "true \\ predicted"
    first = max(map(cells_of, (corner, *lines)))
    widths = [max(map(cells_of, column)) for column in zip(heads, *cells, strict=True)]
    return "\n".join(
        line
        + " " * (first - cells_of(line))
        + "".join("  " + " " * (width - cells_of(text)) + text for text, width in zip(row, widths, strict=True))
        for line, row in zip((corner, *lines), (heads, *cells), strict=True)
    )


def one_line(text: str, width: int | None = None) -> str:
    """`text` as it can stand in a line: line breaks become spaces, other control characters signs, cut to `width`.

    >>> one_line("a\\nlong name", 7)
    'a long…'
    """
    plain = "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in " ".join(text.split()))
    return plain if width is None or len(plain) <= width else plain[: width - 1] + "…"


def number(value: float) -> str:
    """A number of any size in a few signs.

    >>> number(1234567.8), number(0.0123456)
    ('1,234,568', '0.01235')
    """
    return f"{value:,.0f}" if 1e4 <= abs(value) < 1e12 else f"{value:.4g}"


def cells_of(text: str) -> int:
    """How many columns of a terminal `text` takes: two for a wide sign, none for an accent of its own.

    >>> cells_of("ab"), cells_of("猫")
    (2, 2)
    """
    return sum(0 if unicodedata.combining(sign) else 1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)


def _short(names: Sequence[str]) -> list[str]:
    cut = [one_line(name, _NAME_WIDTH) for name in names]
    return [
        f"{name[: _NAME_WIDTH - 1 - len(str(index))]}…{index}" if cut.count(name) > 1 else name
        for index, name in enumerate(cut)
    ]


def most_confused(matrix: np.ndarray, count: int = 10) -> list[Scores]:
    """The pairs of classes that are mistaken for one another most often, at most `count` of them.

    `matrix` is a confusion matrix, shape (k, k). Each entry holds `true`, `predicted`, `rows` (how often the one was
    taken for the other) and `of` (how many rows the true class has).

    >>> most_confused(confusion([0, 0, 1], [0, 1, 1], 2))
    [{'true': 0, 'predicted': 1, 'rows': 1, 'of': 2}]
    """
    wrong = matrix - np.diag(np.diag(matrix))
    order = np.argsort(-wrong, axis=None, kind="stable")[:count]
    places = [divmod(int(flat), len(matrix)) for flat in order]
    return [
        {"true": true, "predicted": guess, "rows": int(wrong[true, guess]), "of": int(matrix[true].sum())}
        for true, guess in places
        if wrong[true, guess]
    ]


def verdict(test: Scores, baseline: Mapping[str, Scores]) -> str:
    """What scores on test rows say beside those of the two simple models, in a sentence.

    >>> verdict({"r2": 0.35, "interval": [0.05, 0.56]}, {"constant": {"r2": 0.0}, "linear": {"r2": 0.42}})
    'The linear model is as good on the test rows (R² 0.4200 against 0.3500): prefer it.'
    """
    key, name = ("r2", "R²") if "r2" in test else ("accuracy", "accuracy")
    own, linear, constant = test[key], baseline["linear"][key], baseline["constant"][key]
    if max(own, linear) <= constant:
        return "No better than the constant answer on the test rows: these columns may not tell y."
    if linear >= own:
        how = "better" if linear > test["interval"][1] else "as good"
        return f"The linear model is {how} on the test rows ({name} {linear:.4f} against {own:.4f}): prefer it."
    if linear >= test["interval"][0]:
        return "Better than the linear model, but within the interval: more test rows could tell them apart."
    return "Clearly better than the linear model on the test rows."


def worst_mistakes(y: Any, probabilities: Any, count: int = 5) -> list[Scores]:
    """The wrong answers that gave the true class the least probability, worst first, at most `count` of them.

    `y` has shape (m,), or (m, k) one-hot; `probabilities` has shape (m, k), or (m,) or (m, 1) for the probability of
    class 1. Each entry holds `row`, `true`, `predicted`, `p_predicted` and `p_true`. Raises DataError where the shapes
    or labels do not fit.

    >>> worst_mistakes([0, 1], [[0.9, 0.1], [0.75, 0.25]])
    [{'row': 1, 'true': 1, 'predicted': 0, 'p_predicted': 0.75, 'p_true': 0.25}]
    """
    true = _labels(_column(y))
    p = _column(probabilities).astype(np.float64)
    if p.ndim == 1:
        p = np.stack([1 - p, p], axis=1)
    if p.ndim != 2 or len(p) != len(true):
        raise DataError(
            "y and the probabilities do not fit together.",
            expected=f"probabilities of shape ({len(true)}, k)",
            found=f"{np.shape(probabilities)}",
        )
    _must_be_below(true, p.shape[1], "y")
    predicted = p.argmax(axis=1)
    wrong = np.flatnonzero(predicted != true)
    order = wrong[np.argsort(p[wrong, true[wrong]], kind="stable")][:count]
    return [
        {
            "row": int(row),
            "true": int(true[row]),
            "predicted": int(predicted[row]),
            "p_predicted": float(p[row, predicted[row]]),
            "p_true": float(p[row, true[row]]),
        }
        for row in order
    ]


def worst_errors(y: Any, predicted: Any, count: int = 5) -> list[Scores]:
    """The predictions of a regression that are furthest off, worst first, at most `count` of them.

    Shapes (m,), (m, 1) or (m, k). Each entry holds `row`, `true`, `predicted`, `error` (predicted minus true), and for
    several columns `output`. Raises DataError where the shapes differ or a value is not finite.

    >>> worst_errors([1.0, 2.0], [1.5, 5.0], count=1)
    [{'row': 1, 'true': 2.0, 'predicted': 5.0, 'error': 3.0}]
    """
    true, guess = _finite_pair(y, predicted)
    errors = guess - true
    found = []
    for flat in np.argsort(-np.abs(errors), axis=None, kind="stable")[:count]:
        place = np.unravel_index(int(flat), errors.shape)
        entry: Scores = {"row": int(place[0])}
        if errors.ndim == 2:
            entry["output"] = int(place[1])
        entry.update(true=float(true[place]), predicted=float(guess[place]), error=float(errors[place]))
        found.append(entry)
    return found


def baselines(task: str, X_train: Any, y_train: Any, X_test: Any, y_test: Any) -> dict[str, Scores]:
    """What two simple models reach on the same rows: `constant` and `linear`, each its scores and a `model` text.

    `task` is one of `TASKS`. X has shape (m, n); y has shape (m,) or (m, 1), or (m, k) for several labels, several
    numbers or one-hot classes. The constant answer is the most frequent class (of each label) or the mean of y; the
    linear model is logistic or ridge regression on standardised columns, trained on the training rows only. Raises
    ValueRangeError for another task.

    >>> X = [[0.0], [1.0], [2.0], [3.0]]
    >>> both = baselines("regression", X, [0.0, 2.0, 4.0, 6.0], X, [0.0, 2.0, 4.0, 6.0])
    >>> both["constant"]["model"], both["constant"]["mae"]
    ('always 3, the mean of y', 2.0)
    """
    if task not in TASKS:
        raise ValueRangeError(
            f"there is no task {task!r}.", expected=f"one of {', '.join(TASKS)}", fix=did_you_mean(str(task), TASKS)
        )
    inputs = np.asarray(X_train, dtype=np.float64), np.asarray(X_test, dtype=np.float64)
    train, test = _column(y_train), _column(y_test)
    if task == "regression":
        train, test = train.astype(np.float64), test.astype(np.float64)
        answers = {"constant": _mean(train, len(test)), "linear": _ridge(inputs, train)}
        return {name: {"model": text, **regression(test, guess)} for name, (guess, text) in answers.items()}
    if task == "multilabel":
        train, test = (values.astype(np.int64).reshape(len(values), -1) for values in (train, test))
        answers = {"constant": _majorities(train, len(test)), "linear": _logistic_per_label(inputs, train)}
    else:
        train, test = _labels(train), _labels(test)
        answers = {"constant": _majority(train, len(test)), "linear": _logistic(inputs, train)}
    return {name: {"model": text, **classification(test, guess)} for name, (guess, text) in answers.items()}


_Answer = tuple[np.ndarray, str]
_TwoInputs = tuple[np.ndarray, np.ndarray]


def _mean(y: np.ndarray, n: int) -> _Answer:
    mean = y.mean(axis=0)
    text = f"always {mean:.4g}, the mean of y" if y.ndim == 1 else "always the mean of each column of y"
    return np.broadcast_to(mean, (n, *y.shape[1:])), text


def _majority(y: np.ndarray, n: int) -> _Answer:
    labels, counts = np.unique(y, return_counts=True)
    label = labels[counts.argmax()]
    return np.full(n, label), f"always class {label}, the most frequent one"


def _majorities(y: np.ndarray, n: int) -> _Answer:
    common = (2 * y.sum(axis=0) > len(y)).astype(np.int64)
    return np.broadcast_to(common, (n, len(common))), "always the more frequent value of each label"


def _standardised(inputs: _TwoInputs) -> _TwoInputs:
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler().fit(inputs[0])
    return scaler.transform(inputs[0]), scaler.transform(inputs[1])


def _ridge(inputs: _TwoInputs, y: np.ndarray) -> _Answer:
    from sklearn.linear_model import Ridge

    train, test = _standardised(inputs)
    guess = Ridge(alpha=1.0).fit(train, y).predict(test)
    return guess.reshape(len(test), *y.shape[1:]), "ridge regression (alpha 1) on standardised columns"


def _logistic(inputs: _TwoInputs, y: np.ndarray) -> _Answer:
    guess, finished = _fit_logistic(_standardised(inputs), y)
    return guess, "logistic regression on standardised columns" + _unless(finished)


def _logistic_per_label(inputs: _TwoInputs, y: np.ndarray) -> _Answer:
    scaled = _standardised(inputs)
    guesses, finished = zip(*(_fit_logistic(scaled, label) for label in y.T), strict=True)
    text = "logistic regression for each label on standardised columns" + _unless(all(finished))
    return np.stack(guesses, axis=1), text


def _unless(finished: bool) -> str:
    return "" if finished else ", stopped before it had converged"


def _fit_logistic(inputs: _TwoInputs, y: np.ndarray) -> tuple[np.ndarray, bool]:
    """Labels predicted for the second inputs, and whether the fit came to its end."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    train, test = inputs
    labels = np.unique(y)
    if len(labels) == 1:  # nothing to tell apart, which LogisticRegression refuses
        return np.full(len(test), labels[0]), True
    steps = _STEPS if train.size * len(labels) <= _LARGE else _FEW_STEPS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(max_iter=steps).fit(train, y)
    return model.predict(test), bool(model.n_iter_.max() < steps)


def picture(row: Any, image: tuple[int, ...]) -> str:
    """One row of X, shape (n,), as a text picture of shape `image`: (h, w), or (h, w, c) averaged over its c colours.

    The row's largest value is the darkest of ten signs, 0 and less is blank; every pixel is two signs wide. Raises
    DataError where the row has not h*w*c values.

    >>> print(picture([0, 9, 16, 4], (2, 2)).replace(" ", "_"))
    __++
    @@::
    """
    values = np.asarray(row, dtype=np.float64)
    if len(image) not in (2, 3) or values.size != math.prod(image):
        raise DataError(
            "the row does not fill the picture.",
            expected="a picture of shape (h, w) or (h, w, c), and a value for each pixel",
            found=f"{values.size} values and a picture of shape {image}",
        )
    pixels = values.reshape(image)
    if pixels.ndim == 3:
        pixels = pixels.mean(axis=2)
    top = float(pixels.max())
    level = np.rint(np.clip(pixels / top, 0, 1) * (len(RAMP) - 1)) if top > 0 else np.zeros(pixels.shape)
    return "\n".join("".join(RAMP[int(index)] * 2 for index in line) for line in level)


def _column(values: Any) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    return array


def _pair(y: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    true, guess = _column(y), _column(predicted)
    if true.shape != guess.shape or true.ndim not in (1, 2):
        raise DataError(
            "y and the predictions do not fit together.",
            expected="the same shape, (m,) or (m, k)",
            found=f"{np.shape(y)} and {np.shape(predicted)}",
        )
    if true.size == 0:
        raise DataError("there is nothing to score.", found=f"y of shape {np.shape(y)}")
    return true, guess


def _finite_pair(y: Any, predicted: Any) -> tuple[np.ndarray, np.ndarray]:
    true, guess = (values.astype(np.float64) for values in _pair(y, predicted))
    for name, values in (("y", true), ("the predictions", guess)):
        if not np.isfinite(values).all():
            raise DataError(f"{name} cannot be scored.", expected="finite numbers", found="NaN or infinity")
    return true, guess


def _labels(values: np.ndarray) -> np.ndarray:
    """Labels of shape (m,) as int64, from labels or from one-hot rows of shape (m, k)."""
    if values.dtype.kind not in "biuf":
        raise ArgumentError("labels must be whole numbers.", found=f"an array of dtype {values.dtype}")
    if values.ndim == 2 and bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all()):
        return np.asarray(values.argmax(axis=1))
    if values.ndim != 1 or not bool((values == np.floor(values)).all()):
        raise DataError(
            "y does not hold one label for each row.",
            expected="whole numbers of shape (m,), or one-hot rows of shape (m, k)",
            found=f"an array of dtype {values.dtype} and shape {values.shape}",
        )
    return values.astype(np.int64)


def _must_be_below(labels: np.ndarray, k: int, name: str) -> None:
    if labels.size and not (labels.min() >= 0 and labels.max() < k):
        raise DataError(
            f"{name} holds labels that are no class.",
            expected=f"whole numbers 0..{k - 1}",
            found=f"from {labels.min()} to {labels.max()}",
        )
