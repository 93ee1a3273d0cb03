"""The estimators of `backlit.sklearn`: scikit-learn's contract, its tools around them, and the backlit model inside."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.datasets import load_diabetes, load_iris, load_wine
from sklearn.ensemble import VotingClassifier
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import estimator_checks_generator

import backlit as bl
from backlit.core import seed as process_seed
from backlit.sklearn import Classifier, Regressor

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
FLOWERS = load_iris(return_X_y=True)
PATIENTS = load_diabetes(return_X_y=True)
WINES = load_wine(as_frame=True)
BOTH = pytest.mark.parametrize(("kind", "data"), [(Classifier, FLOWERS), (Regressor, PATIENTS)])


def quick(kind=Classifier, **arguments):
    """An estimator that is trained in a moment."""
    return kind(**{"hidden_layer_sizes": (8,), "max_iter": 5, "random_state": 0, **arguments})


def good(kind=Classifier, **arguments):
    """An estimator that learns what can be learnt, also in a moment."""
    return quick(kind, **{"max_iter": 60, "learning_rate_init": 0.05, **arguments})


def same(a, b) -> bool:
    return all(np.array_equal(x, y) for x, y in zip(a.coefs_ + a.intercepts_, b.coefs_ + b.intercepts_, strict=True))


# ---------------------------------------------------------------------- the contract
CHECKS = [
    pytest.param(estimator, check, id=f"{type(estimator).__name__}-{number}-{check.func.__name__}")
    for kind in (Classifier, Regressor)
    for number, (estimator, check) in enumerate(estimator_checks_generator(kind()))
    if check.func.__name__ != "check_array_api_input"  # runs in a process of its own, below
]


@pytest.mark.parametrize(("estimator", "check"), CHECKS)
def test_every_check_of_scikit_learn_passes(estimator, check) -> None:
    check(estimator)


@pytest.mark.slow
def test_the_check_that_wants_scipy_set_for_it_passes_too() -> None:
    program = """
import warnings
warnings.simplefilter("ignore")
from backlit.sklearn import Classifier, Regressor
from sklearn.utils.estimator_checks import estimator_checks_generator
for kind in (Classifier, Regressor):
    for estimator, check in estimator_checks_generator(kind()):
        if check.func.__name__ == "check_array_api_input":
            check(estimator)
            print("passed")
"""
    root = str(Path(bl.__file__).parent.parent)
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": root}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["passed", "passed"], done.stderr


@BOTH
def test_parameters_are_kept_as_given_and_clones_are_unfitted(kind, data) -> None:
    sizes = [7, 5]
    made = quick(kind, hidden_layer_sizes=sizes, alpha=0.5)
    assert made.get_params()["hidden_layer_sizes"] is sizes
    made.fit(*data)
    copy = clone(made)
    assert copy.get_params() == made.get_params() and not hasattr(copy, "model_")
    with pytest.raises(NotFittedError):
        copy.predict(data[0])
    assert "alpha=0.5" in repr(made) and made._repr_html_().startswith("<style")


def test_the_room_is_loaded_when_it_is_asked_for() -> None:
    program = "import sys, backlit; a = 'sklearn' in sys.modules; backlit.sklearn.Classifier; print(a, 'sklearn' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=Path(bl.__file__).parent.parent
    )
    assert done.stdout.split() == ["False", "True"]


# ---------------------------------------------------------------------- classes
@pytest.mark.parametrize(
    "names", [["no", "yes"], [False, True], [-1, 1], [3, 7, 11], ["a", "b", "c"], [0, 1], [0, 1, 2]], ids=str
)
def test_labels_of_any_kind_come_back_as_they_are(names) -> None:
    X, places = FLOWERS
    y = np.array(names)[np.minimum(places, len(names) - 1)]
    made = good().fit(X, y)
    assert made.classes_.tolist() == names and made.predict(X).dtype == y.dtype
    assert made.score(X, y) > 0.9
    p = made.predict_proba(X)
    assert p.shape == (150, len(names))
    np.testing.assert_allclose(p.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(made.predict_log_proba(X)), p)
    z = made.decision_function(X)
    assert z.shape == ((150,) if len(names) == 2 else (150, len(names)))
    assert np.array_equal(made.classes_[(z > 0).astype(int) if z.ndim == 1 else z.argmax(axis=1)], made.predict(X))


def test_several_labels_a_row_are_each_a_yes_or_no() -> None:
    X, places = FLOWERS
    Y = np.stack([places == 0, places > 0, X[:, 0] > 5.8], axis=1).astype(int)
    made = good().fit(X, Y)
    assert made.predict(X).shape == Y.shape and set(np.unique(made.predict(X))) == {0, 1}
    assert (made.predict(X) == Y).mean() > 0.93 and made.score(X, Y) > 0.8
    assert np.array_equal(made.predict_proba(X) > 0.5, made.decision_function(X) > 0)
    assert roc_auc_score(Y, made.predict_proba(X)) > 0.9
    rows = sparse.csr_array(Y)
    assert same(quick().fit(X, rows), quick().fit(X, Y))


def test_logarithms_of_probabilities_that_are_too_small_for_a_number() -> None:
    made = quick(hidden_layer_sizes=(), scale=False).fit([[0.0], [1.0]], [0, 1])
    made.model_.set_weights([np.array([[1.0]]), np.array([0.0])])
    assert made.predict_proba([[-800.0]]).tolist() == [[1.0, 0.0]]
    assert made.predict_log_proba([[-800.0]]).tolist() == [[0.0, -800.0]]


# ---------------------------------------------------------------------- numbers
def test_numbers_come_back_in_their_own_units() -> None:
    X, y = PATIENTS
    made = good(Regressor).fit(X, y * 1e6 + 1e9)
    assert made.score(X, y * 1e6 + 1e9) > 0.4
    assert made.predict(X).mean() == pytest.approx(1e9 + 1e6 * y.mean(), rel=1e-2)


def test_two_numbers_of_very_different_size_are_both_learnt() -> None:
    X, y = PATIENTS
    Y = np.stack([1e6 * y, 1e-6 * X[:, 2]], axis=1)
    made = good(Regressor).fit(X, Y)
    scores = [
        1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum() for p, t in zip(made.predict(X).T, Y.T, strict=True)
    ]
    assert scores[0] > 0.4 and scores[1] > 0.8


@pytest.mark.parametrize("loss", ["squared_error", "absolute_error", "huber", "log_cosh"])
def test_a_robust_loss_is_not_pulled_by_outliers(loss) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2))
    y = 3 * X[:, 0] + 1
    y[::10] += 60
    made = Regressor((), loss=loss, learning_rate_init=0.02, max_iter=300, random_state=0).fit(X, y)
    off = abs(made.predict([[0.0, 0.0]])[0] - 1)
    assert off == pytest.approx(6, abs=1) if loss == "squared_error" else off < 3


def test_counts() -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 2))
    y = rng.poisson(np.exp(1 + X[:, 0]))
    made = Regressor((), loss="poisson", learning_rate_init=0.02, max_iter=300, random_state=0).fit(X, y)
    p = made.predict([[0.0, 0.0], [1.0, 0.0], [-9.0, 0.0]])
    np.testing.assert_allclose(p[:2], np.exp([1, 2]), rtol=0.1)
    assert p[2] > 0
    assert made.model_.predict(X).mean() == pytest.approx(y.mean(), rel=0.05)


def test_a_column_of_y_is_a_vector_with_a_warning() -> None:
    X, y = PATIENTS
    with pytest.warns(DataConversionWarning):
        made = quick(Regressor).fit(X, y[:, None])
    assert made.predict(X).shape == (442,)
    assert same(made, quick(Regressor).fit(X, y))


# ---------------------------------------------------------------------- seeds
@BOTH
def test_the_same_random_state_gives_the_same_bits_and_another_one_others(kind, data) -> None:
    first = quick(kind, early_stopping=True).fit(*data)
    assert same(first, quick(kind, early_stopping=True).fit(*data))
    assert np.array_equal(first.predict(data[0]), clone(first).fit(*data).predict(data[0]))
    assert not same(first, quick(kind, early_stopping=True, random_state=1).fit(*data))
    assert not same(quick(kind, random_state=None).fit(*data), quick(kind, random_state=None).fit(*data))
    drawn = np.random.RandomState(0)
    assert not same(quick(kind, random_state=drawn).fit(*data), quick(kind, random_state=drawn).fit(*data))


@pytest.mark.parametrize("random_state", [None, 3])
@BOTH
def test_no_other_randomness_is_touched(kind, data, random_state) -> None:
    bl.random.set_seed(5)
    ours, numpys = dict(process_seed._state), np.random.get_state()
    made = quick(kind, random_state=random_state, early_stopping=True).fit(*data)
    made.predict(data[0])
    if kind is Classifier:
        made.predict_proba(data[0])
    assert process_seed._state == ours
    assert all(np.array_equal(a, b) for a, b in zip(np.random.get_state(), numpys, strict=True))


# ---------------------------------------------------------------------- weights and scaling
@given(seed=st.integers(0, 2**16), rows=st.integers(6, 40))
@settings(max_examples=10)
@pytest.mark.parametrize("kind", [Classifier, Regressor])
def test_a_whole_weight_is_so_many_rows(kind, seed, rows) -> None:
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(rows, 3)), np.arange(rows) % 2
    w = rng.integers(0, 4, size=rows)
    w[:2] = 1  # both classes stay
    arguments = {"max_iter": 20, "alpha": 1.0, "activation": "tanh"}
    weighted = quick(kind, **arguments).fit(X, y, sample_weight=w)
    repeated = quick(kind, **arguments).fit(np.repeat(X, w, axis=0), np.repeat(y, w))
    for a, b in zip(weighted.coefs_, repeated.coefs_, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-8)
    np.testing.assert_allclose(weighted.loss_curve_, repeated.loss_curve_, rtol=1e-8)


def test_a_class_whose_rows_all_have_weight_0_is_not_there() -> None:
    X, y = FLOWERS
    assert quick().fit(X, y, sample_weight=y != 1).classes_.tolist() == [0, 2]


@BOTH
def test_the_units_of_the_columns_do_not_matter_unless_asked_for(kind, data) -> None:
    X, y = data
    stretched = X * 10.0 ** np.arange(X.shape[1]) + 5
    made = [quick(kind, max_iter=20).fit(each, y) for each in (X, stretched)]
    np.testing.assert_allclose(made[0].loss_curve_, made[1].loss_curve_, rtol=1e-6)
    raw = [quick(kind, max_iter=20, scale=False).fit(each, y) for each in (X, stretched)]
    assert not np.allclose(raw[0].loss_curve_, raw[1].loss_curve_, rtol=0.1)


def test_a_constant_column_is_only_shifted() -> None:
    X = np.hstack([FLOWERS[0], np.full((150, 1), 0.1)])
    made = good().fit(X, FLOWERS[1])
    assert made.score(X, FLOWERS[1]) > 0.9
    assert abs(made.decision_function(X + np.array([0, 0, 0, 0, 1e-9])) - made.decision_function(X)).max() < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_arithmetic_is_that_of_x(dtype) -> None:
    X, y = FLOWERS
    made = quick().fit(X.astype(dtype), y)
    assert made.coefs_[0].dtype == made.model_.predict(X).dtype == made.predict_proba(X).dtype == dtype
    assert pickle.loads(pickle.dumps(made)).coefs_[0].dtype == dtype


# ---------------------------------------------------------------------- how a training goes
def test_early_stopping_keeps_the_best_weights() -> None:
    X, y = FLOWERS
    made = Classifier((16,), early_stopping=True, learning_rate_init=0.05, random_state=0).fit(X, y)
    assert len(made.validation_scores_) == made.n_iter_ < 200 and made.best_loss_ is None
    assert made.best_validation_score_ == max(made.validation_scores_) > 0.9
    assert made.n_iter_ - 1 - np.argmax(made.validation_scores_) >= 10  # it went on beyond the best epoch
    again = clone(made).set_params(max_iter=int(np.argmax(made.validation_scores_)) + 1).fit(X, y)
    assert same(made, again)
    quiet = Regressor((16,), early_stopping=True, learning_rate_init=0.05, random_state=0).fit(*PATIENTS)
    assert 0.2 < quiet.best_validation_score_ == max(quiet.validation_scores_)


def test_a_training_that_does_not_converge_says_so() -> None:
    with pytest.warns(ConvergenceWarning, match="max_iter=5") as told:
        quick().fit(*FLOWERS)
    assert told[0].filename == __file__


@BOTH
def test_warm_start_goes_on_and_fit_starts_anew(kind, data) -> None:
    made = quick(kind, warm_start=True).fit(*data)
    before, losses = made.model_, list(made.loss_curve_)
    kept = before.get_weights()
    made.fit(*data)
    assert made.n_iter_ == 5 and made.loss_curve_[:5] == losses and len(made.loss_curve_) == 10
    assert made.loss_curve_[5] < losses[0]
    assert all(np.array_equal(a, b) for a, b in zip(before.get_weights(), kept, strict=True))  # is left alone
    assert same(quick(kind).fit(*data), made.set_params(warm_start=False).fit(*data))
    made.set_params(warm_start=True, hidden_layer_sizes=(9,))
    for go_on in (made.fit, made.partial_fit):
        with pytest.raises(bl.BacklitError, match="goes on with the network that there is"):
            go_on(*data)
    assert made.set_params(hidden_layer_sizes=8).fit(*data).n_iter_ == 5


@BOTH
def test_partial_fit_is_one_epoch_from_where_the_training_stands(kind, data) -> None:
    X, y = data
    classes = {"classes": np.unique(y)} if kind is Classifier else {}
    made = quick(kind, max_iter=1, learning_rate_init=0.01)
    for _ in range(3):
        made.partial_fit(X, y, **classes)
    assert len(made.loss_curve_) == 3 and made.n_iter_ == 1 and made.t_ == 3 * len(y)
    assert same(made, quick(kind, max_iter=3, learning_rate_init=0.01).fit(X, y))
    twin = pickle.loads(pickle.dumps(made))
    assert same(made.partial_fit(X[:30], y[:30]), twin.partial_fit(X[:30], y[:30]))
    other = quick(kind, max_iter=3, learning_rate_init=0.01).fit(X, y)
    assert same(other.partial_fit(X[:30], y[:30]), made)  # after fit, too


@BOTH
def test_training_goes_on_from_the_weights_that_the_model_inside_has(kind, data) -> None:
    for go_on in ("partial_fit", "fit"):
        made = quick(kind, warm_start=True).fit(*data)
        for weight in made.model_.trainable_variables:
            weight.assign(np.zeros(weight.shape))
        getattr(made, go_on)(*data)
        assert max(abs(w).max() for w in made.coefs_) < 0.03


def test_partial_fit_meets_the_classes_one_by_one() -> None:
    X, y = FLOWERS
    made = Classifier((16,), learning_rate_init=0.02, random_state=0)
    for _ in range(40):
        for label in np.unique(y):
            made.partial_fit(X[y == label], y[y == label], classes=[0, 1, 2])
    assert made.classes_.tolist() == [0, 1, 2] and set(made.predict(X)) == {0, 1, 2}


@pytest.mark.parametrize("solver", ["adam", "sgd", "adamw", "nadam", "adamax", "rmsprop", "lion", "adagrad"])
def test_solvers_by_name_learn(solver) -> None:
    made = good(solver=solver, learning_rate_init={"adagrad": 0.3, "lion": 0.01}.get(solver, 0.05)).fit(*FLOWERS)
    assert made.score(*FLOWERS) > 0.9
    assert type(made.model_.optimizer).__name__.lower() == solver


@pytest.mark.parametrize("activation", ["logistic", "identity", "gelu", "leaky_relu"])
def test_activations_of_both_libraries(activation) -> None:
    made = good(activation=activation).fit(*FLOWERS)
    assert made.score(*FLOWERS) > 0.9


def test_verbose_prints_a_line_for_each_epoch(capsys) -> None:
    quick(verbose=True, early_stopping=True).fit(*FLOWERS)
    shown = capsys.readouterr().out
    assert "Epoch 5/5" in shown and shown.count("val_score") == 5
    quick().fit(*FLOWERS)
    assert capsys.readouterr() == ("", "")


def test_more_regularization_makes_smaller_weights() -> None:
    norms = [sum((w**2).sum() for w in quick(alpha=alpha, max_iter=100).fit(*FLOWERS).coefs_) for alpha in (0, 1, 100)]
    assert norms[0] > norms[1] > norms[2]


# ---------------------------------------------------------------------- the model inside
@BOTH
def test_the_model_inside_predicts_saves_and_explains(kind, data, tmp_path) -> None:
    X, y = data
    made = quick(kind).fit(X, y)
    made.model_.save(tmp_path / "inside.backlit")
    loaded = bl.load_model(tmp_path / "inside.backlit")
    assert np.array_equal(loaded.predict(X), made.model_.predict(X))
    if kind is Regressor:
        assert np.array_equal(loaded.predict(X)[:, 0], made.predict(X))
    else:
        np.testing.assert_allclose(loaded.predict_probabilities(X), made.predict_proba(X), rtol=1e-12)
        assert np.array_equal(loaded.predict_classes(X), made.predict(X))
    assert len(loaded.history.history["loss"]) == 5


def test_the_model_inside_knows_the_names_of_classes() -> None:
    y = np.array(["setosa", "versicolor", "virginica"])[FLOWERS[1]]
    made = quick().fit(FLOWERS[0], y)
    assert made.model_.classes == ("setosa", "versicolor", "virginica")
    assert np.array_equal(made.model_.predict_classes(FLOWERS[0]), made.predict(FLOWERS[0]))


def test_coefficients_are_copies() -> None:
    made = quick().fit(*FLOWERS)
    before = made.predict_proba(FLOWERS[0])
    made.coefs_[0][:] = 0
    assert np.array_equal(made.predict_proba(FLOWERS[0]), before)
    assert [w.shape for w in made.coefs_] == [(4, 8), (8, 3)] and [b.shape for b in made.intercepts_] == [(8,), (3,)]


@BOTH
@pytest.mark.parametrize("way", ["pickle", "joblib"])
def test_a_stored_estimator_predicts_the_same(kind, data, way, tmp_path) -> None:
    made = quick(kind).fit(*data)
    if way == "pickle":
        twin = pickle.loads(pickle.dumps(made))
    else:
        joblib.dump(made, tmp_path / "made.joblib")
        twin = joblib.load(tmp_path / "made.joblib")
    assert np.array_equal(twin.predict(data[0]), made.predict(data[0]))
    assert twin.loss_curve_ == made.loss_curve_ and twin.get_params() == made.get_params()


# ---------------------------------------------------------------------- tables, sparse matrices
def test_tables_of_pandas_and_polars_and_their_columns() -> None:
    frame, y = WINES.data, WINES.target
    made = quick().fit(frame, y)
    assert made.feature_names_in_.tolist() == list(frame) and made.n_features_in_ == 13
    assert np.array_equal(made.predict(frame), quick().fit(frame.to_numpy(), y.to_numpy()).predict(frame.to_numpy()))
    with pytest.raises(ValueError, match="feature names should match"):
        made.predict(frame[frame.columns[::-1]])
    with pytest.raises(ValueError, match="feature names should match"):
        made.predict(frame.drop(columns="ash"))
    table = pl.from_pandas(frame)
    other = quick().fit(table, pl.Series(y.to_numpy()))
    assert other.feature_names_in_.tolist() == list(frame)
    assert np.array_equal(other.predict(table), made.predict(frame))


def test_the_model_inside_knows_the_names_of_columns(tmp_path) -> None:
    frame, y = WINES.data, WINES.target
    made = quick().fit(frame, y)
    assert made.model_.columns.names == tuple(frame)
    assert np.array_equal(made.model_.predict(frame), made.decision_function(frame))
    made.model_.save(tmp_path / "wines.backlit")
    loaded = bl.load_model(tmp_path / "wines.backlit")
    with pytest.warns(bl.core.errors.ColumnWarning, match="another order"):
        assert np.array_equal(loaded.predict(frame[frame.columns[::-1]]), made.decision_function(frame))


def test_labels_of_a_table() -> None:
    named = pd.Series(WINES.target_names[WINES.target], dtype="category")
    made = quick().fit(WINES.data, named)
    assert made.classes_.tolist() == ["class_0", "class_1", "class_2"]


@BOTH
def test_a_sparse_matrix_is_what_its_dense_form_is(kind, data) -> None:
    X = np.where(abs(data[0]) > np.median(abs(data[0])), data[0], 0.0)
    dense = quick(kind, early_stopping=True).fit(X, data[1])
    for form in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        made = quick(kind, early_stopping=True).fit(form(X), data[1])
        np.testing.assert_allclose(made.predict(form(X)), dense.predict(X), rtol=1e-9)
    assert np.array_equal(made.predict(form(X)), made.predict(X))


# ---------------------------------------------------------------------- scikit-learn's tools
def test_in_a_pipeline_with_columns_of_several_kinds() -> None:
    frame = WINES.data[["alcohol", "ash"]].assign(colour=np.where(WINES.data["color_intensity"] > 5, "dark", "light"))
    columns = ColumnTransformer([("n", StandardScaler(), ["alcohol", "ash"]), ("c", OneHotEncoder(), ["colour"])])
    made = make_pipeline(columns, good()).fit(frame, WINES.target)
    assert made.score(frame, WINES.target) > 0.75
    assert cross_val_score(made, frame, WINES.target, cv=3).mean() > 0.7
    assert cross_val_score(good(Regressor, alpha=10.0), *PATIENTS, cv=3).mean() > 0.4


@pytest.mark.slow
def test_in_a_grid_search_of_two_processes() -> None:
    grid = {"backlit__hidden_layer_sizes": [(4,), (8,)], "backlit__alpha": [0.0, 10.0]}
    line = Pipeline([("scaler", StandardScaler()), ("backlit", good())])
    found = GridSearchCV(line, grid, cv=3, n_jobs=2).fit(*FLOWERS)
    alone = GridSearchCV(line, grid, cv=3).fit(*FLOWERS)
    assert found.best_score_ > 0.9
    assert np.array_equal(found.cv_results_["mean_test_score"], alone.cv_results_["mean_test_score"])


def test_calibrated_and_voting() -> None:
    X, y = FLOWERS
    network = good()
    assert CalibratedClassifierCV(network, cv=3).fit(X, y).score(X, y) > 0.9
    votes = VotingClassifier([("network", network), ("line", LogisticRegression())], voting="soft").fit(X, y)
    assert votes.score(X, y) > 0.9


# ---------------------------------------------------------------------- what is refused
WRONG = {
    "there is no solver 'lbfgs'": {"solver": "lbfgs"},
    "there is no optimizer 'addam'": {"solver": "addam"},
    "there is no activation 'rellu'": {"activation": "rellu"},
    "hidden_layer_sizes must be": {"hidden_layer_sizes": (8, 0)},
    "hidden_layer_sizes must be a whole number from 1 or a list": {"hidden_layer_sizes": "8"},
    "alpha must be": {"alpha": -1.0},
    "learning_rate must be": {"learning_rate": "adaptiv"},
    "learning_rate_init must be": {"learning_rate_init": 0},
    "batch_size must be": {"batch_size": 0},
    "max_iter must be": {"max_iter": 0},
    "tol must be": {"tol": float("nan")},
    "n_iter_no_change is a number": {"n_iter_no_change": 0.5},
    "validation_fraction must be": {"validation_fraction": 1.0},
    "momentum must be": {"momentum": 1.0},
    "doctor must be": {"doctor": "on"},
    "there is no engine 'fast'": {"engine": "fast"},
    "solver must be text": {"solver": bl.optimizers.Adam()},
}


@pytest.mark.parametrize("message", WRONG)
def test_wrong_arguments_are_refused_by_fit_and_leave_the_estimator_as_it_was(message) -> None:
    X, y = FLOWERS
    made = quick().fit(X, y)
    before, found = dict(vars(made)), made.predict_proba(X)
    good = made.get_params()
    made.set_params(**WRONG[message])
    with pytest.raises(bl.BacklitError, match=message):
        made.fit(X[:, :2], y)
    made.set_params(**good)
    assert vars(made) == before and np.array_equal(made.predict_proba(X), found)


def test_data_that_cannot_be_used() -> None:
    X, y = FLOWERS
    for weights, message in [(np.zeros(150), "every sample_weight is zero"), (-np.ones(150), "cannot be used")]:
        with pytest.raises(bl.BacklitError, match=message):
            quick().fit(X, y, sample_weight=weights)
    with pytest.raises(bl.BacklitError, match="one class only"):
        quick().fit(X[:50], y[:50])
    with pytest.raises(bl.BacklitError, match="for counts"):
        quick(Regressor, loss="poisson").fit(X, X[:, 0] - 6)
    with pytest.raises(bl.BacklitError, match="too large for float32"):
        quick(Regressor).fit(X.astype("float32"), 1e60 * X[:, 0])
    with pytest.raises(bl.BacklitError, match="loss must be"):
        quick(Regressor, loss="squared").fit(X, y)
    with pytest.raises(bl.BacklitError, match="needs all classes"):
        quick().partial_fit(X, y)
    with pytest.raises(bl.BacklitError, match="cannot stop early"):
        quick(early_stopping=True).partial_fit(X, y, classes=[0, 1, 2])
    with pytest.raises(bl.BacklitError, match="too few rows"):
        quick(Regressor, early_stopping=True).fit(X[:8], X[:8, 0])
    made = quick().fit(X, y)
    with pytest.raises(ValueError, match="previously unseen labels"):
        made.partial_fit(X, y + 1)
    with pytest.raises(bl.BacklitError, match="another kind"):
        made.partial_fit(X, np.eye(3, dtype=int)[y])
    with pytest.raises(bl.BacklitError, match="another width"):
        quick(Regressor).fit(X, X[:, :2]).partial_fit(X, X[:, :3])


@pytest.mark.parametrize("doctor", ["off", "warn"])
def test_a_training_that_is_not_finite_raises_and_the_old_fit_stands(doctor) -> None:
    X, y = PATIENTS
    made = quick(Regressor).fit(X, y)
    found = made.predict(X)
    wild = {"scale": False, "solver": "sgd", "learning_rate_init": 1e9, "doctor": doctor}
    with pytest.raises(bl.BacklitError, match="nothing of it was written") as raised:
        made.set_params(**wild).fit(X * 1e30, y)
    assert isinstance(raised.value, ValueError)
    assert np.array_equal(made.predict(X), found)
