"""What other models make of the same rows: the best linear one, and a nonlinear one that is cheap to fit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_MOST_FEATURES, _UNITS, _NEAREST = 200, 300, 5
_PENALTIES = (1e-3, 1e-1, 10.0)  # on the squares of the weights, of standardised columns
_ROUNDS = 100  # of gradient descent of a logistic fit


@dataclass(frozen=True)
class Yardsticks:
    """Shares of right answers, or R². `linear`: of the best linear model on the rows that it was fitted to.
    `linear_held`, `curved_held`: of a linear and of a nonlinear one on the half that they were not fitted to."""

    linear: float
    linear_held: float
    curved_held: float

    @property
    def gain(self) -> float:
        """What is there beyond a linear model: no more than that leaves."""
        return min(self.curved_held - self.linear_held, 1 - self.linear)


def yardsticks(x: Any, y: Any, of_classes: bool) -> Yardsticks:
    """The scores for x (rows, features) and y (rows, targets), which for classes are one-hot rows."""
    x = _standard(x)
    apart = np.random.Generator(np.random.PCG64(6)).permutation(len(x)) % 2 == 1
    held = x[apart], y[apart]
    wide = _bent(x)
    curved = [
        _score(_ridge(wide[~apart], y[~apart], penalty), wide[apart], y[apart], of_classes) for penalty in _PENALTIES
    ]
    linear = _logistic if of_classes else _least
    return Yardsticks(
        linear=_score(linear(x, y), x, y, of_classes),
        linear_held=_score(linear(x[~apart], y[~apart]), *held, of_classes),
        curved_held=max(*curved, _of_answers(_nearest(x[~apart], y[~apart], x[apart]), y[apart], of_classes)),
    )


def _standard(x: Any) -> Any:
    x = np.asarray(x, dtype=np.float64).reshape(len(x), -1)
    x = x[:, np.ptp(x, axis=0) > 0]
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    if x.shape[1] > _MOST_FEATURES:  # the directions in which they vary most
        x = x @ np.linalg.svd(x, full_matrices=False)[2][:_MOST_FEATURES].T
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


def _bent(x: Any) -> Any:
    """The features and as many units of a random hidden layer as there are."""
    rng = np.random.Generator(np.random.PCG64(5))
    units = np.tanh(x @ rng.normal(scale=1.5 / np.sqrt(x.shape[1]), size=(x.shape[1], _UNITS)))
    return np.concatenate([x, units], axis=1)


def _least(x: Any, y: Any) -> Any:
    return _ridge(x, y, 1e-6)


def _ridge(x: Any, y: Any, penalty: float) -> Any:
    return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)


def _logistic(x: Any, y: Any) -> Any:
    """Multinomial logistic regression from the least squares on, by Böhning and Lindsay's bound of the curvature: every
    step lowers the loss."""
    w = _least(x, y)
    inverse = np.linalg.inv(0.5 * x.T @ x + 1e-3 * np.eye(x.shape[1]))
    for _ in range(_ROUNDS):
        z = x @ w
        p = np.exp(z - z.max(axis=1, keepdims=True))
        w = w + inverse @ (x.T @ (y - p / p.sum(axis=1, keepdims=True)))
    return w


def _nearest(x: Any, y: Any, asked: Any) -> Any:
    """The mean y of the nearest rows."""
    far = np.einsum("ij,ij->i", x, x) - 2 * asked @ x.T
    return y[np.argpartition(far, _NEAREST, axis=1)[:, :_NEAREST]].mean(axis=1)


def _score(w: Any, x: Any, y: Any, of_classes: bool) -> float:
    return _of_answers(x @ w, y, of_classes)


def _of_answers(answers: Any, y: Any, of_classes: bool) -> float:
    if of_classes:
        return float((answers.argmax(axis=1) == y.argmax(axis=1)).mean())
    return float(1 - np.mean((y - answers) ** 2) / max(float(np.mean((y - y.mean(axis=0)) ** 2)), 1e-30))
