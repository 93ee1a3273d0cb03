"""Networks as scikit-learn estimators: the conventions of scikit-learn on the outside, a backlit model inside."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Literal

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from ..core.arguments import Count, Decay, NotNegative, Positive
from ..core.errors import DataError, LabelError, ShapeError, ValueRangeError
from ..io.columns import Columns
from ..io.kinds import Number
from ..layers.activation import resolve
from ..layers.dense import Dense
from . import door, mlp
from .callbacks import TerminateOnNaN
from .losses_classes import BinaryCrossentropy, Poisson, SparseCategoricalCrossentropy
from .losses_numbers import HalfSquaredError, Huber, LogCosh, MeanAbsoluteError
from .mlp import Goal, Plan, Scaling, Watch
from .sparse import is_sparse

_FLOATS = (np.float64, np.float32)
_WEIGHTED: Final = "mean_with_sample_weight"  # so that a weight of 2 is what two rows are


@contextmanager
def _as_before_if_refused(estimator: Any) -> Iterator[None]:
    """An estimator whose `fit` fails has the attributes that it had before."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


class _Estimator(BaseEstimator):
    """What classifier and regressor have in common."""

    model_: Any
    _dtype: str
    loss_curve_: list[float]
    validation_scores_: list[float] | None
    best_validation_score_: float | None

    def __init__(
        self,
        hidden_layer_sizes: Count | Sequence[Count] = (100,),
        activation: str = "relu",
        *,
        solver: str = "adam",
        alpha: NotNegative = 0.0001,
        batch_size: Count | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: Positive = 0.001,
        power_t: NotNegative = 0.5,
        max_iter: Count = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: NotNegative = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: Decay = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: Decay = 0.1,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NotNegative = 1e-8,
        n_iter_no_change: float = 10,
        scale: bool = True,
        doctor: Literal["warn", "raise", "off"] = "off",
        engine: str = "auto",
    ):
        _keep(locals())

    def _read(self) -> Any:
        """The arguments, checked."""
        return mlp.read(self, Regressor.__init__ if self._numeric else _Estimator.__init__)

    # ------------------------------------------------------------------ fit
    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train on X (m, n) and y from the start, or with `warm_start` from the weights of the last fit.

        `sample_weight` (m,): numbers from 0. The loss is the weighted mean, so that a weight of 2 is what two equal
        rows are; rows of weight 0 are left out. Returns the estimator. A fit that fails leaves it as it was.
        """
        with _as_before_if_refused(self):
            given = self._read()
            fresh = not (given.warm_start and hasattr(self, "model_"))
            X, y, w = self._rows(X, y, sample_weight, fresh)
            seed = _seed(given.random_state)
            (X, y, w), held = self._held_out(given, X, y, w, seed)
            self._begin(given, X, y, w, fresh, seed)
            watch = self._train(given, X, y, w, given.max_iter, held)
        if not watch.converged:
            warnings.warn(
                f"the training had not converged after max_iter={self.max_iter} epochs; raise max_iter or "
                "learning_rate_init",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _more(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
        """One epoch on these rows, from where the training stands."""
        with _as_before_if_refused(self):
            given = self._read()
            if given.early_stopping:
                raise ValueRangeError(
                    "partial_fit cannot stop early.", found="early_stopping=True", why="it is one epoch at a time"
                )
            fresh = not hasattr(self, "model_")
            X, y, w = self._rows(X, y, sample_weight, fresh, classes)
            if fresh:
                self._begin(given, X, y, w, fresh, _seed(given.random_state))
            else:
                self._check_layers(given)
                self._trainer.set_weights(self.model_.get_weights())
            self._train(given, X, y, w, 1)
        return self

    def _rows(self, X: Any, y: Any, sample_weight: Any, fresh: bool, classes: Any = None) -> tuple[Any, Any, Any]:
        """Validated rows, targets and weights, without the rows of weight 0."""
        X, y = validate_data(
            self, X, y, accept_sparse="csr", dtype=_FLOATS, multi_output=True, y_numeric=self._numeric, reset=fresh
        )
        w = None
        if sample_weight is not None:
            w = door.weights(sample_weight, X.shape[0])
            if not w.any():
                raise DataError("every sample_weight is zero: no row is left to learn from.")
            if not w.all():
                X, y, w = X[w > 0], y[w > 0], w[w > 0]
        y = y.toarray() if is_sparse(y) else y
        self._dtype = X.dtype.name if fresh else self._dtype
        return X, self._targets(y, fresh, classes), w

    def _held_out(self, given: Any, X: Any, y: Any, w: Any, seed: int) -> tuple[Any, Any]:
        """((X, y, w) to train on, the same to judge by, or None)."""
        if not given.early_stopping:
            return (X, y, w), None
        rows = [X, y] if w is None else [X, y, w]
        classes = y if not self._numeric and y.ndim == 1 else None
        parts = train_test_split(*rows, test_size=given.validation_fraction, random_state=seed, stratify=classes)
        if parts[1].shape[0] < 2:
            raise ValueRangeError(
                "there are too few rows to stop early by.",
                found=f"validation_fraction={given.validation_fraction} of {X.shape[0]} rows",
                fix="a larger validation_fraction, or early_stopping=False",
            )
        training, held = parts[::2], parts[1::2]
        return (training, held) if w is not None else ((*training, None), (*held, None))

    def _begin(self, given: Any, X: Any, y: Any, w: Any, fresh: bool, seed: int) -> None:
        """A new network with a new optimizer; with the old weights and scaling unless `fresh`."""
        if fresh:
            self._scaling = _scaling(X, w) if given.scale else None
            self._units = self._units_of(y, w) if given.scale else None
            self.loss_curve_, self.t_ = [], 0
        stops, self._waited = given.early_stopping, 0
        self.best_loss_ = None if stops else np.inf
        self.validation_scores_, self.best_validation_score_ = ([], -np.inf) if stops else (None, None)
        share = mlp.batch_rows(given, X.shape[0]) * (1.0 if w is None else float(w.mean()))
        plan = Plan(X.shape[1], self._goal(), self._scaling, 0.5 * given.alpha / share, self._dtype, seed)
        trainer = mlp.network(given, plan)
        if not fresh:
            self._check_layers(given)
            trainer.set_weights(self.model_.get_weights())
        self._trainer = trainer
        self.model_ = trainer if self._units is None else mlp.network(given, plan, self._units)
        self.model_.classes = self._class_names()
        if hasattr(self, "feature_names_in_"):
            self.model_.columns = Columns(tuple(map(Number, self.feature_names_in_.tolist())))

    def _class_names(self) -> tuple[str, ...] | None:
        """What the model calls its classes; None for their numbers."""
        return None

    def _check_layers(self, given: Any) -> None:
        """Refuse to go on with a network of other layers than are asked for."""
        sizes = [bias.size for bias in self.intercepts_[:-1]]
        if mlp.hidden_sizes(given) != sizes:
            raise ValueRangeError(
                "the training goes on with the network that there is.",
                expected=f"hidden_layer_sizes={tuple(sizes)}",
                found=repr(given.hidden_layer_sizes),
                fix="fit with warm_start=False starts a new one",
            )

    def _train(self, given: Any, X: Any, y: Any, w: Any, epochs: int, held: Any = None) -> Watch:
        """So many more epochs."""
        self.n_iter_, self.loss_curve_ = 0, list(self.loss_curve_)
        done, watch = len(self.loss_curve_), Watch(self, given, X.shape[0], held)
        self._trainer.fit(
            X,
            self._scaled(y),
            sample_weight=w,
            batch_size=mlp.batch_rows(given, X.shape[0]),
            initial_epoch=done,  # so that no two epochs have the same order
            epochs=done + epochs,
            shuffle=given.shuffle,
            verbose=2 if given.verbose else 0,
            callbacks=[watch, TerminateOnNaN(raise_error=True)],
            doctor=given.doctor,
        )
        if self.model_ is not self._trainer:
            self.model_.set_weights(self._trainer.get_weights())
            self.model_.history = self._trainer.history
        return watch

    def _scaled(self, y: Any) -> Any:
        """The targets as the network is trained on them."""
        return y if self._units is None else (y - self._units.mean) / self._units.scale

    # ------------------------------------------------------------------ what was learnt
    def _output(self, X: Any) -> Any:
        """The raw output (m, k) of the fitted model."""
        check_is_fitted(self, "model_")
        return self.model_.predict(validate_data(self, X, accept_sparse="csr", dtype=_FLOATS, reset=False))

    def _dense(self) -> list[Dense]:
        return [layer for layer in self.model_.layers if isinstance(layer, Dense)]

    @property
    def coefs_(self) -> list[Any]:
        """The weights of each layer (n, units), as copies. With `scale` they belong to the standardised columns."""
        return [np.array(layer.kernel.array) for layer in self._dense()]

    @property
    def intercepts_(self) -> list[Any]:
        """The biases of each layer (units,), as copies."""
        return [np.array(layer.bias.array) for layer in self._dense()]

    @property
    def n_layers_(self) -> int:
        """How many layers there are, the input counted as one."""
        return len(self._dense()) + 1

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


class Classifier(ClassifierMixin, _Estimator):
    """A network of dense layers that tells classes apart, with the conventions of scikit-learn.

    y (m,) names one of two or more classes, by numbers or text; y (m, k) of 0 and 1 has k labels, each a yes or no.
    The arguments are those of scikit-learn's MLPClassifier and mean the same:

    - `hidden_layer_sizes` ((100,)): the units of each hidden layer; () is a linear model. `activation` ("relu"):
      "identity", "logistic", "tanh", or any activation of backlit by name.
    - `solver` ("adam"): "sgd" or any optimizer of backlit by name. `momentum` (0.9) and `nesterovs_momentum` (True)
      are for "sgd"; `beta_1` (0.9), `beta_2` (0.999) and `epsilon` (1e-8) for "adam" and its relatives. There is no
      "lbfgs".
    - `learning_rate_init` (0.001); `learning_rate` ("constant"): "invscaling" divides it after each epoch by
      (rows seen + 1)^`power_t` (0.5), "adaptive" by 5 where a training would end; with every solver.
    - `alpha` (0.0001): the loss has alpha / 2 · Σw² / (weight of a full batch) added, over the weights of all layers
      without their biases; the weight of a batch is its number of rows, unless there are sample weights.
    - `batch_size` ("auto": min(200, m)), `shuffle` (True), `max_iter` (200 epochs).
    - `tol` (0.0001), `n_iter_no_change` (10): the training ends after more than so many epochs in a row whose loss is
      not below the best one by `tol`. With `early_stopping` (False) it is the accuracy on
      `validation_fraction` (0.1) of the rows that is to grow, and the weights of the best epoch are kept.
    - `random_state` (None: another seed each time, drawn neither from NumPy nor from `backlit.random`): an integer
      decides weights, order and split; a RandomState is drawn from. `verbose` (False): a line for each epoch.
      `warm_start` (False): `fit` goes on with the weights and the scaling of the last fit.

    Three are backlit's own. `scale` (True): the columns of X are standardised inside, by the training rows, so that
    X comes in its own units and no StandardScaler is needed; False: X goes in as it is, as in scikit-learn. `doctor`
    ("off") and `engine` ("auto") are those of `Model.fit` and `Model.compile`.

    After `fit` there are `classes_`, `n_features_in_`, `feature_names_in_` (from a table), `model_` (the backlit
    model: its outputs are logits; save it, trace it), `coefs_`, `intercepts_`, `n_iter_`, `n_layers_`, `n_outputs_`,
    `out_activation_`, `t_` (rows seen), `loss_`, `loss_curve_` (all epochs, also those before a warm start),
    `best_loss_` or, with early stopping, `validation_scores_` and `best_validation_score_`. The arithmetic is that of
    the dtype of X, float32 or float64. Raises NonFiniteError, a ValueError, at a training step that is not finite.

    >>> from backlit.sklearn import Classifier
    >>> from sklearn.datasets import load_wine
    >>> X, y = load_wine(return_X_y=True)
    >>> network = Classifier((16,), learning_rate_init=0.02, random_state=0).fit(X[::2], y[::2])
    >>> network.score(X[1::2], y[1::2]) > 0.9
    True
    >>> network.predict(X[:2]).tolist(), network.predict_proba(X[:2]).shape
    ([0, 0], (2, 3))
    """

    _numeric = False

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None, classes: Any = None) -> Any:
        """One epoch on X and y from where the training stands; the first call starts it.

        `classes`: all labels that will come; the first call needs them, unless y (m, k) has several labels a row. The
        network, the solver, the scaling of X and the share of `alpha` are those of the first call, or of `fit`.
        """
        return self._more(X, y, sample_weight, classes)

    def _targets(self, y: Any, fresh: bool, classes: Any) -> Any:
        """Places of the labels in `classes_`, or rows of 0 and 1 for several labels a row."""
        check_classification_targets(y)
        several = type_of_target(y) == "multilabel-indicator"
        y = y if several else column_or_1d(y, warn=True)
        if fresh:
            known = np.arange(y.shape[1]) if several else np.unique(y if classes is None else classes)
            if len(known) < 2:
                raise LabelError("y has one class only.", expected="two or more", found=repr(known.tolist()))
            self.classes_, self._several = known, several
            self.n_outputs_ = 1 if len(known) == 2 and not several else len(known)
            self.out_activation_ = "softmax" if self.n_outputs_ > 1 and not several else "logistic"
        elif several != self._several or (several and y.shape[1] != self.n_outputs_):
            raise LabelError("y is of another kind than in the first fit.", found=f"y of shape {y.shape}")
        return y if several else LabelEncoder().fit(self.classes_).transform(y)

    def _more(self, X: Any, y: Any, sample_weight: Any, classes: Any = None) -> Any:
        if not hasattr(self, "model_") and classes is None and type_of_target(y) != "multilabel-indicator":
            raise ValueRangeError(
                "the first call of partial_fit needs all classes.",
                why="the rows of later calls may have labels that these rows do not have",
                fix="partial_fit(X, y, classes=np.unique(all_labels))",
            )
        return super()._more(X, y, sample_weight, classes)

    def _goal(self) -> Goal:
        if self.out_activation_ == "softmax":
            return Goal(self.n_outputs_, "linear", SparseCategoricalCrossentropy(from_logits=True, reduction=_WEIGHTED))
        loss = BinaryCrossentropy(from_logits=True, reduction=_WEIGHTED)  # a mean over the labels; wanted is their sum
        return Goal(self.n_outputs_, "linear", loss, float(self.n_outputs_))

    def _class_names(self) -> tuple[str, ...] | None:
        places = np.arange(len(self.classes_))
        return None if np.array_equal(self.classes_, places) else tuple(map(str, self.classes_.tolist()))

    def _units_of(self, y: Any, w: Any) -> None:
        """Labels have no units."""

    def _score_of(self, output: Any, y: Any, w: Any) -> Any:
        return accuracy_score(y, self._decided(output), sample_weight=w)

    def _decided(self, output: Any) -> Any:
        """The place of the class, or yes and no for each label."""
        if self._several:
            return (output > 0).astype(np.int64)
        return (output[:, 0] > 0).astype(np.int64) if self.n_outputs_ == 1 else output.argmax(axis=1)

    # ------------------------------------------------------------------ predictions
    def predict(self, X: Any) -> Any:
        """The class of each row (m,), or 0 and 1 for each label (m, k)."""
        found = self._decided(self._output(X))
        return found if self._several else self.classes_[found]

    def decision_function(self, X: Any) -> Any:
        """The logits: (m,) for two classes, above 0 for the second one; else (m, k)."""
        output = self._output(X)
        return output[:, 0] if self.n_outputs_ == 1 else output

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class (m, k), in the order of `classes_`; of each label where there are several."""
        return self._with_activation("softmax", "sigmoid", self._output(X))

    def predict_log_proba(self, X: Any) -> Any:
        """The logarithms of `predict_proba`, accurate also where a probability is too small for a number."""
        return self._with_activation("log_softmax", "log_sigmoid", self._output(X))

    def _with_activation(self, of_one: str, of_each: str, output: Any) -> Any:
        if self.out_activation_ == "softmax":
            return resolve(of_one)(output)
        both = output if self._several else np.hstack([-output, output])
        return resolve(of_each)(both)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


_LOSSES = {
    "squared_error": HalfSquaredError,
    "absolute_error": MeanAbsoluteError,
    "huber": Huber,
    "log_cosh": LogCosh,
    "poisson": Poisson,
}


class Regressor(RegressorMixin, _Estimator):
    """A network of dense layers that predicts numbers, with the conventions of scikit-learn.

    y is (m,), or (m, k) for k numbers a row. The arguments and attributes are those of `Classifier`, without `classes_`
    and the like; early stopping goes by R². `loss` ("squared_error") is

    - "squared_error": ½ (p - y)², "absolute_error": |p - y|, "huber": the first up to a distance of 1, the second from
      there on, "log_cosh": log cosh(p - y), each summed over the k numbers;
    - "poisson": p - y log p for counts y from 0, where p is the exponential of the last layer.

    `scale` (True) standardises y as well as X, each of its columns for itself: the loss is in these units, and the last
    layer of `model_` brings y's own units back. Counts ("poisson") are divided by their mean instead.

    >>> from backlit.sklearn import Regressor
    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> network = Regressor((16,), alpha=10.0, learning_rate_init=0.01, random_state=0).fit(X[::2], y[::2])
    >>> network.score(X[1::2], y[1::2]) > 0.4
    True
    >>> network.predict(X[:2]).shape
    (2,)
    """

    _numeric = True

    def __init__(
        self,
        hidden_layer_sizes: Count | Sequence[Count] = (100,),
        activation: str = "relu",
        *,
        loss: Literal["squared_error", "absolute_error", "huber", "log_cosh", "poisson"] = "squared_error",
        solver: str = "adam",
        alpha: NotNegative = 0.0001,
        batch_size: Count | Literal["auto"] = "auto",
        learning_rate: Literal["constant", "invscaling", "adaptive"] = "constant",
        learning_rate_init: Positive = 0.001,
        power_t: NotNegative = 0.5,
        max_iter: Count = 200,
        shuffle: bool = True,
        random_state: Any = None,
        tol: NotNegative = 1e-4,
        verbose: Any = False,
        warm_start: bool = False,
        momentum: Decay = 0.9,
        nesterovs_momentum: bool = True,
        early_stopping: bool = False,
        validation_fraction: Decay = 0.1,
        beta_1: Decay = 0.9,
        beta_2: Decay = 0.999,
        epsilon: NotNegative = 1e-8,
        n_iter_no_change: float = 10,
        scale: bool = True,
        doctor: Literal["warn", "raise", "off"] = "off",
        engine: str = "auto",
    ):
        _keep(locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One epoch on X and y from where the training stands; the first call starts it.

        The network, the solver, the scaling of X and y and the share of `alpha` are those of the first call, or of `fit`.
        """
        return self._more(X, y, sample_weight)

    def predict(self, X: Any) -> Any:
        """The number for each row (m,), or the numbers (m, k)."""
        output = self._output(X)
        return output[:, 0] if self.n_outputs_ == 1 else output

    def _targets(self, y: Any, fresh: bool, classes: Any) -> Any:
        y = column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y
        outputs = 1 if y.ndim == 1 else y.shape[1]
        if fresh:
            self.n_outputs_ = outputs
            self.out_activation_ = "exp" if self.loss == "poisson" else "identity"
        elif outputs != self.n_outputs_:
            raise ShapeError("y has another width than in the first fit.", found=f"y of shape {y.shape}")
        if np.abs(y).max() > np.finfo(self._dtype).max:
            raise DataError(f"y is too large for {self._dtype}, the dtype of X.", fix="X.astype('float64')")
        if self.loss == "poisson" and y.min() < 0:
            raise LabelError("the loss 'poisson' is for counts.", expected="y from 0", found=f"y from {y.min():g}")
        return y

    def _goal(self) -> Goal:
        loss = _LOSSES[self.loss](reduction=_WEIGHTED)  # a mean over the outputs; wanted is their sum
        return Goal(self.n_outputs_, "exp" if self.loss == "poisson" else "linear", loss, float(self.n_outputs_))

    def _units_of(self, y: Any, w: Any) -> Scaling:
        if self.loss == "poisson":
            mean = np.average(y, axis=0, weights=w)
            return Scaling(np.zeros_like(mean), np.where(mean > 0, mean, 1.0))
        mean, scale = _scaling(y.reshape(len(y), -1), w)
        return Scaling(mean, scale) if y.ndim == 2 else Scaling(mean[0], scale[0])

    def _score_of(self, output: Any, y: Any, w: Any) -> Any:
        return r2_score(self._scaled(y), output.reshape(y.shape), sample_weight=w)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


def _keep(given: dict[str, Any]) -> None:
    """scikit-learn wants every argument of the constructor kept as it came, under its own name."""
    estimator = given.pop("self")
    vars(estimator).update(given)


def _seed(random_state: Any) -> int:
    """The seed of a fit. No seed of the process, NumPy's or ours, is read or moved on without being given."""
    if random_state is None:
        return int.from_bytes(os.urandom(4))
    return int(check_random_state(random_state).randint(2**31 - 1))


def _scaling(columns: Any, w: Any) -> Scaling:
    """Mean and standard deviation of each column; a constant one is only shifted."""
    found = StandardScaler(with_mean=not is_sparse(columns)).fit(columns, sample_weight=w)
    return Scaling(found.mean_, found.scale_)
