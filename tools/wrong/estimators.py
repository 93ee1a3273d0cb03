"""Wrong programs with the scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from backlit.sklearn import Classifier, Regressor
from tools.wrong.small import LABELS, X


def fitted(**arguments: Any) -> Classifier:
    """A classifier after one epoch."""
    return Classifier((4,), max_iter=1, random_state=0, **arguments).partial_fit(X, LABELS, classes=[0, 1, 2])


def cases() -> dict[str, Callable[[], Any]]:
    """Title: program."""
    return {
        "a solver that needs all rows at once": lambda: Classifier(solver="lbfgs").fit(X, LABELS),
        "an object as an estimator's activation": lambda: Classifier(activation=len).fit(X, LABELS),  # type: ignore[arg-type]
        "a misspelt schedule": lambda: Classifier(learning_rate="adaptiv").fit(X, LABELS),  # type: ignore[arg-type]
        "a patience that is no number of epochs": lambda: Classifier(n_iter_no_change=0.5).fit(X, LABELS),
        "an estimator's layer without units": lambda: Classifier((25, 0)).fit(X, LABELS),
        "weights that are all zero": lambda: Classifier().fit(X, LABELS, sample_weight=np.zeros(8)),
        "labels of one class": lambda: Classifier().fit(X, np.full(8, "cat")),
        "negative counts": lambda: Regressor(loss="poisson").fit(X, -LABELS),
        "numbers beyond the dtype of X": lambda: Regressor().fit(X.astype("float32"), X[:, 0] * 1e60),
        "early stopping with too few rows": lambda: Regressor(early_stopping=True).fit(X, LABELS),
        "partial_fit with early stopping": lambda: fitted(early_stopping=True),
        "partial_fit that does not know the classes": lambda: Classifier().partial_fit(X, LABELS),
        "partial_fit with several labels a row after one": lambda: fitted().partial_fit(
            X, np.eye(3, dtype=int)[LABELS]
        ),
        "partial_fit with more numbers a row": lambda: Regressor().partial_fit(X, X).partial_fit(X, X[:, :2]),
        "partial_fit with other layers": lambda: fitted().set_params(hidden_layer_sizes=(5,)).partial_fit(X, LABELS),
    }
