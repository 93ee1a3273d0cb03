"""From a table to a trained network, each choice with its reason: what `backlit fit` does."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import DataError, LabelError, ValueRangeError, did_you_mean
from ..core.seed import set_seed
from ..io.bundled import Dataset
from ..io.split import Split, split
from ..layers.activation import Activation
from ..layers.dense import Dense
from ..layers.layer import Layer
from ..layers.network import Input
from ..layers.preprocessing import Normalization, Rescaling
from ..layers.regularizers import L2
from . import scores
from .callbacks import EarlyStopping
from .optimizers import Optimizer
from .sequential import Sequential

TASKS = ("binary", "multiclass", "multilabel", "regression")
PATIENCE = 15
_MOST_CLASSES = 100  # whole-number targets with more distinct values are a quantity, not a name


@dataclass(frozen=True)
class Options:
    """What the user asked for; the defaults are the course's network and what was measured best with it."""

    hidden: tuple[int, ...] = (25, 15)
    activation: str = "relu"
    optimizer: str = "adam"
    learning_rate: float | None = None
    l2: float = 0.001
    epochs: int = 120
    batch_size: int = 32
    seed: int = 0
    task: str | None = None
    engine: str = "auto"


@dataclass(frozen=True)
class Choice:
    """One decision: what, which, why."""

    what: str
    which: str
    why: str


@dataclass(frozen=True)
class Problem:
    """A data set with its task decided: y are labels 0 … k-1, 0/1 rows, or numbers."""

    data: Dataset
    task: str
    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] | None
    parts: Split
    choices: tuple[Choice, ...]


@dataclass
class Outcome:
    """A trained model and what it is worth."""

    model: Sequential
    problem: Problem
    choices: list[Choice]
    seconds: float
    epochs: int
    best_epoch: int
    scores: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------------- the task, from y
def prepare(data: Dataset, seed: int = 0, task: str | None = None) -> Problem:
    """Decide the task from y, number the classes from 0, and split 70/15/15 by `seed`."""
    decided, why = _decide(data) if task is None else (task, "asked for")
    if decided not in TASKS:
        raise ValueRangeError(f"there is no task {decided!r}.", expected=", ".join(TASKS))
    y, classes = _targets(data, decided)
    if classes is not None and len(np.unique(y)) < 2:
        raise DataError("y has a single value.", found=repr(data.y.flat[0]), why="there is nothing to learn from it")
    parts = split(y, seed=seed, stratify=None if decided != "regression" else False)
    shares = "70 / 15 / 15 %, " + ("every class in the same shares" if parts.stratified else "at random")
    choices = (
        Choice("task", decided + (f", {len(classes)} classes" if classes and decided == "multiclass" else ""), why),
        Choice("split", shares, f"train, dev, test; shuffled by seed {seed}, so that sorted rows cannot fool it"),
    )
    return Problem(data, decided, data.X, y, classes, parts, choices)


def measured(data: Dataset, model: Any, task: str | None = None) -> Problem:
    """All rows of some data as a problem of a trained model: its task, and labels by the names of its classes.

    Raises LabelError for a label that is none of these.
    """
    decided = task or task_of(model)
    y, names = _targets(data, decided)
    if names is None:
        return _all_rows(data, decided, y, None)
    units = max(2, int(model.output_shape[-1])) if decided == "binary" else int(model.output_shape[-1])
    classes = tuple(model.classes or (names if len(names) == units else map(str, range(units))))
    if decided == "multilabel":
        known = y if y.shape[1] == units else None
    else:
        place = {name: k for k, name in enumerate(classes)}
        codes = np.array([place.get(name, -1) for name in names])
        known = codes[y] if (codes[y] >= 0).all() else None
    if known is None:
        found = [name for name in names if name not in classes] or names
        raise LabelError(
            "y does not hold what the model was trained to tell apart.",
            expected=", ".join(classes),
            found=", ".join(found),
            fix=did_you_mean(found[0], classes),
        )
    return _all_rows(data, decided, known, classes)


def _all_rows(data: Dataset, task: str, y: np.ndarray, classes: tuple[str, ...] | None) -> Problem:
    rows = np.arange(len(y))
    return Problem(data, task, data.X, y, classes, Split(rows[:0], rows[:0], rows, False, "all rows"), ())


def task_of(model: Any) -> str:
    """The task of a compiled model, from its loss."""
    model.need_compiled("this")
    link, several = model.loss.link, model.output_shape[-1] > 1
    if link == "sigmoid":
        return "multilabel" if several else "binary"
    return "multiclass" if link == "softmax" else "regression"


def _decide(data: Dataset) -> tuple[str, str]:
    y = data.y
    if y.ndim == 2 and y.shape[1] > 1:
        if np.isin(y, (0, 1)).all():
            one = (y.sum(axis=1) == 1).all()
            return (
                ("multiclass", "each row of y has a single 1")
                if one
                else ("multilabel", "a row of y may have several 1s")
            )
        return "regression", f"y has {y.shape[1]} columns of numbers"
    values = np.unique(y)
    if data.classes is not None or (y.dtype.kind in "iub" and len(values) <= min(_MOST_CLASSES, max(2, len(y) // 10))):
        count = len(data.classes or values)
        kind = "binary" if count == 2 else "multiclass"
        return kind, f"y names one of {count} classes"
    return "regression", f"y has {len(values)} different numbers: a quantity, not names"


def _targets(data: Dataset, task: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    y = data.y.reshape(len(data.y), -1)
    if task == "regression":
        return y.astype(np.float64), None
    if task == "multilabel":
        return y.astype(np.float64), data.classes or tuple(f"label {k}" for k in range(y.shape[1]))
    if y.shape[1] > 1:
        return y.argmax(axis=1), data.classes or tuple(str(k) for k in range(y.shape[1]))
    if data.classes is not None:
        return y.reshape(-1).astype(np.int64), data.classes
    if y.dtype.kind == "f" and (y == np.floor(y)).all():
        y = y.astype(np.int64)  # 1.0 and 1 are one class, in whatever file
    values, labels = np.unique(y, return_inverse=True)
    return labels.reshape(-1), tuple(map(str, values.tolist()))


# ---------------------------------------------------------------------- the network, from the task
def build(problem: Problem, options: Options) -> tuple[Sequential, list[Choice]]:
    """The compiled network for a problem, and why it is so."""
    choices = list(problem.choices)
    X = problem.X[problem.parts.train]
    scaling, choice = _scaling(problem.data, X)
    choices.append(choice)
    regularizer = L2(options.l2) if options.l2 else None
    hidden = [Dense(units, options.activation, kernel_regularizer=regularizer) for units in options.hidden]
    choices.append(_hidden_choice(options))
    output, loss, metrics, told = _output(problem, regularizer)
    choices += told
    model = Sequential([Input((problem.X.shape[1],)), scaling, *hidden, *output], name=_plain(problem.data.name))
    optimizer, choice = _optimizer(options)
    choices.append(choice)
    model.compile(optimizer=optimizer, loss=loss, metrics=metrics, engine=options.engine)
    choices.append(
        Choice(
            "epochs",
            f"at most {options.epochs}",
            f"keeps the best dev loss; stops {PATIENCE} epochs after it",
        )
    )
    return model, choices


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name) or "model"


def _scaling(data: Dataset, X: np.ndarray) -> tuple[Layer, Choice]:
    if data.unit is not None:
        mean, variance = float(X.mean()), float(X.var())
        why = f"one unit for all columns ({data.unit}); by the training rows"
        return Normalization(mean=mean, variance=variance), Choice(
            "scaling", f"one for all: (x - {mean:.4g}) / {variance**0.5:.4g}", why
        )
    columns = Normalization()
    columns.adapt(X)
    return columns, Choice(
        "scaling",
        "each column: (x - mean) / standard deviation",
        "columns have units of their own; by the training rows",
    )


def _hidden_choice(options: Options) -> Choice:
    which = "-".join(map(str, options.hidden)) + f" {options.activation}" if options.hidden else "none"
    why = {
        "relu": "the default: quick to compute, flat on one side only",
        "linear": "careful: linear hidden layers collapse into one linear layer",
        "sigmoid": "flat at both ends; tanh or relu usually learn faster in hidden layers",
        "tanh": "zero-centred; flat at both ends",
    }.get(options.activation, "asked for")
    return Choice("hidden layers", which, why if options.hidden else "a linear model")


def _output(problem: Problem, regularizer: Any) -> tuple[list[Layer], dict[str, Any], list[str], list[Choice]]:
    stable = "the squashing is inside the loss: accurate for every logit"
    if problem.task == "regression":
        return _regression_output(problem, regularizer)
    units = 1 if problem.task == "binary" else len(problem.classes or ())
    dense = Dense(units, "linear", kernel_regularizer=regularizer)
    if problem.task == "multiclass":
        name, why = "SparseCategoricalCrossentropy", "one class of several, y is its number"
        activation = "softmax"
    else:
        name, activation = "BinaryCrossentropy", "sigmoid"
        why = "y is one of two" if problem.task == "binary" else "each label is a yes or no of its own"
    told = [
        Choice("output", f"{units} linear unit{'s' if units > 1 else ''} ({activation} in the loss)", stable),
        Choice("loss", f"{name}(from_logits=True)", why),
    ]
    return [dense], {"class": name, "config": {"from_logits": True}}, ["accuracy"], told


def _regression_output(
    problem: Problem, regularizer: Any
) -> tuple[list[Layer], dict[str, Any], list[str], list[Choice]]:
    y = problem.y[problem.parts.train]
    mean, std, units = float(y.mean()), float(y.std()) or 1.0, y.shape[1]
    layers: list[Layer] = [Dense(units, "linear", kernel_regularizer=regularizer), Rescaling(std, mean)]
    which, why = (
        f"{units} linear, times {std:.4g} plus {mean:.4g}",
        "targets of either sign, scaled by the training rows",
    )
    if y.min() >= 0:
        layers.append(Activation("relu"))
        which, why = (
            which + ", relu",
            "targets are never negative; un-scaled first, so that it starts open",
        )
    told = [Choice("output", which, why), Choice("loss", "MeanSquaredError", "a quantity: the mean squared distance")]
    return layers, {"class": "MeanSquaredError", "config": {}}, ["mae"], told


def _optimizer(options: Options) -> tuple[Optimizer, Choice]:
    kind = Optimizer.named(options.optimizer)
    rate = options.learning_rate or (0.002 if options.optimizer.lower() == "adam" else kind().learning_rate)
    why = (
        "a step of its own size for every parameter; forgiving in its rate" if kind.__name__ == "Adam" else "asked for"
    )
    return kind(learning_rate=rate), Choice(
        "optimizer", f"{kind.__name__}, learning rate {rate:g}, batches of {options.batch_size}", why
    )


# ---------------------------------------------------------------------- training and judging
def run(data: Dataset, options: Options, callbacks: Sequence[Any] = (), tell: Any = None) -> Outcome:
    """Prepare, build, train and judge. `tell(problem, model, choices)` is called before the training."""
    problem = prepare(data, options.seed, options.task)
    set_seed(options.seed)
    model, choices = build(problem, options)
    model.classes = problem.classes
    if tell is not None:
        tell(problem, model, choices)
    parts, began = problem.parts, time.perf_counter()
    stop = EarlyStopping("val_loss", patience=PATIENCE, restore_best_weights=True)
    history = model.fit(
        problem.X[parts.train],
        problem.y[parts.train],
        epochs=options.epochs,
        batch_size=options.batch_size,
        validation_data=(problem.X[parts.dev], problem.y[parts.dev]),
        verbose=0,
        callbacks=[stop, *callbacks],
    )
    outcome = Outcome(model, problem, choices, time.perf_counter() - began, len(history.epoch), stop.best_epoch + 1)
    outcome.scores = {part: score(model, problem, getattr(parts, part)) for part in ("train", "dev", "test")}
    outcome.baseline = scores.baselines(
        problem.task,
        problem.X[parts.train],
        _flat(problem.y[parts.train]),
        problem.X[parts.test],
        _flat(problem.y[parts.test]),
    )
    return outcome


def _flat(y: np.ndarray) -> np.ndarray:
    return y.reshape(-1) if y.ndim == 2 and y.shape[1] == 1 else y


def score(model: Any, problem: Problem, rows: np.ndarray) -> Mapping[str, Any]:
    """The scores of a model on some rows of its problem."""
    X, y = problem.X[rows], problem.y[rows]
    if problem.task == "regression":
        return scores.regression(_flat(y), _flat(model.predict(X)))
    return scores.classification(y, decisions(probabilities(model, X), problem.task), problem.classes)


def probabilities(model: Any, X: Any) -> np.ndarray:
    """Probabilities from the model's output: (m, k), for two classes from one output (m, 2)."""
    p = np.asarray(model.predict_probabilities(X), dtype=np.float64)
    return np.hstack([1 - p, p]) if p.shape[1] == 1 else p


def decisions(p: np.ndarray, task: str) -> np.ndarray:
    """The most probable class, or each label that is more probable than not."""
    return (p > 0.5).astype(np.float64) if task == "multilabel" else p.argmax(axis=1)
