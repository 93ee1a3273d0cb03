"""The network behind the scikit-learn estimators: what their arguments mean, and how a training goes and ends.

What scikit-learn's own MLP estimators compute is computed here in the same way; tests/parity holds one against the
other, step by step.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, NamedTuple

from ..core.arguments import arguments_of
from ..core.errors import ValueRangeError
from ..layers.activation import resolve
from ..layers.dense import Dense
from ..layers.preprocessing import Normalization, Rescaling
from ..layers.regularizers import L2
from .events import Callback, Logs
from .losses import Loss
from .optimizers import Optimizer
from .sequential import Sequential

_ACTIVATIONS = {"identity": "linear", "logistic": "sigmoid"}  # scikit-learn's names of ours
_AUTO_BATCH = 200
_SMALLEST_RATE = 1e-6  # where an adaptive rate has nothing left to give


class Scaling(NamedTuple):
    """(x - mean) / scale, column by column."""

    mean: Any
    scale: Any


@dataclass(frozen=True)
class Goal:
    """What the last layer makes and what it is compared with. `share`: the factor of the loss in the total."""

    units: int
    activation: str
    loss: Loss
    share: float = 1.0


@dataclass(frozen=True)
class Plan:
    """What the data decides about a network: its ends, the scaling of its inputs, how hard its weights are held."""

    width: int
    goal: Goal
    scaling: Scaling | None
    penalty: float
    dtype: str
    seed: int


# ---------------------------------------------------------------------- arguments
def read(estimator: Any, constructor: Callable[..., None]) -> SimpleNamespace:
    """The estimator's arguments, refused where they are not what the constructor's annotations say.

    scikit-learn wants a constructor to keep whatever it is given, and `fit` to look at it.
    """
    known = arguments_of(constructor, skip=1)
    named = {name: getattr(estimator, name) for name in known.names}
    given = SimpleNamespace(**known.read(type(estimator).__name__, (), named)[1])
    if given.solver == "lbfgs":
        raise ValueRangeError(
            "there is no solver 'lbfgs'.",
            expected=", ".join(Optimizer.names()),
            why="it searches along a line with all rows at once; here a step is one graph on one batch",
            fix="solver='adam'",
        )
    Optimizer.named(given.solver)
    resolve(_ours(given.activation))
    if given.n_iter_no_change < 1:
        found = f"n_iter_no_change={given.n_iter_no_change}"
        raise ValueRangeError("n_iter_no_change is a number of epochs.", expected="from 1", found=found)
    return given


def _ours(activation: str) -> str:
    return _ACTIVATIONS.get(activation, activation)


def hidden_sizes(given: Any) -> list[int]:
    """The units of each hidden layer."""
    sizes = given.hidden_layer_sizes
    return [sizes] if isinstance(sizes, int) else list(sizes)


def optimizer(given: Any) -> Optimizer:
    """A new optimizer, with those of the arguments that it and scikit-learn's of that name share."""
    kind = Optimizer.named(given.solver)
    known, settings = set(inspect.signature(kind).parameters), {}
    if {"momentum", "nesterov"} <= known:
        settings = {"momentum": given.momentum, "nesterov": given.nesterovs_momentum}
    elif {"beta_1", "beta_2", "epsilon"} <= known:
        settings = {"beta_1": given.beta_1, "beta_2": given.beta_2, "epsilon": given.epsilon}
    return kind(given.learning_rate_init, **settings)


def batch_rows(given: Any, rows: int) -> int:
    """How many rows a batch has: min(200, rows) unless asked otherwise."""
    return min(_AUTO_BATCH if given.batch_size == "auto" else given.batch_size, rows)


# ---------------------------------------------------------------------- the network
def network(given: Any, plan: Plan, units: Scaling | None = None) -> Sequential:
    """The compiled network that the arguments ask for; its last layer brings the targets' `units` back."""
    penalty, dtype = plan.penalty, plan.dtype
    shrink = L2(penalty) if penalty else None
    layers: list[Any] = []
    if plan.scaling is not None:
        mean, scale = plan.scaling
        layers.append(Normalization(mean=mean, variance=scale**2, dtype=dtype))
    function = _ours(given.activation)
    for size, bent in (*((size, function) for size in hidden_sizes(given)), (plan.goal.units, plan.goal.activation)):
        layers.append(Dense(size, bent, kernel_regularizer=shrink, dtype=dtype))
    if units is not None:
        layers.append(Rescaling(units.scale, units.mean, dtype=dtype))
    model = Sequential(layers)
    model.dtype, model.given_seed = dtype, plan.seed  # given, so that the process's own seed is left alone
    model.build((plan.width,))
    share = plan.goal.share
    model.compile(optimizer(given), plan.goal.loss, None if share == 1 else [share], engine=given.engine)
    return model


# ---------------------------------------------------------------------- the training
class Watch(Callback):
    """Follows an estimator's training as scikit-learn does: the curve, the learning rate, and whether it has converged.

    An epoch is no progress if its loss is not below the best one by `tol`, or, with `held` rows (X, y, weights), if its
    score is not above the best one by `tol`. More than `n_iter_no_change` such epochs in a
    row end the training, or divide an adaptive rate by 5. With `held` rows the best weights are put back at the end.
    """

    def __init__(self, estimator: Any, given: Any, rows: int, held: Any = None):
        self.estimator, self.given, self.rows, self.held = estimator, given, rows, held
        self.converged = False
        self.best_weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the numbers; lower the rate or stop where it is time."""
        e, given, logs = self.estimator, self.given, {} if logs is None else logs
        e.n_iter_, e.t_, e.loss_ = e.n_iter_ + 1, e.t_ + self.rows, logs["loss"]
        e.loss_curve_.append(e.loss_)
        progress = self._scored(logs) if self.held is not None else self._fallen()
        e._waited = 0 if progress else e._waited + 1
        rule = self.model.optimizer
        if given.learning_rate == "invscaling":
            rule.learning_rate = given.learning_rate_init / (e.t_ + 1) ** given.power_t
        if e._waited <= given.n_iter_no_change:
            return
        if given.learning_rate == "adaptive" and rule.learning_rate > _SMALLEST_RATE:
            rule.learning_rate, e._waited = rule.learning_rate / 5, 0
        else:
            self.converged = self.model.stop_training = True

    def _fallen(self) -> bool:
        e = self.estimator
        best = math.inf if e.best_loss_ is None else e.best_loss_
        progress = e.loss_ <= best - self.given.tol
        e.best_loss_ = min(best, e.loss_)
        return bool(progress)

    def _scored(self, logs: Logs) -> bool:
        e, (X, y, w) = self.estimator, self.held
        score = logs["val_score"] = float(e._score_of(self.model.predict(X), y, w))
        e.validation_scores_.append(score)
        progress = score >= e.best_validation_score_ + self.given.tol
        if score > e.best_validation_score_:
            e.best_validation_score_, self.best_weights = score, self.model.get_weights()
        return bool(progress)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put the weights of the best score back."""
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)
