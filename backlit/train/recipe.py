"""From a table to a trained network, each choice with its reason: what `backlit fit` does."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..core.errors import ColumnWarning, DataError, LabelError, ValueRangeError, counted, did_you_mean
from ..core.seed import set_seed
from ..io.bundled import Dataset
from ..io.columns import Columns
from ..io.kinds import Number, shortened
from ..io.split import MIN_PER_CLASS, Split, split
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

TASKS = scores.TASKS
PATIENCE = 15
# Whole-number targets with more different values than these, or than a tenth of the rows, are amounts and not names.
_MOST_CLASSES, _MOST_IN_FLOATS = 100, 20
_FINEST = 1e-12  # the least range of a quantity; the greatest is 1 / _FINEST


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
    """A data set with its task decided: y are labels 0 … k-1, 0/1 rows, or numbers.

    `columns` says how the rows of a table became X; it is None for data that were numbers from the start.
    """

    data: Dataset
    task: str
    X: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...] | None
    parts: Split
    choices: tuple[Choice, ...]
    columns: Columns | None = None


@dataclass
class Outcome:
    """A trained model and what it is worth."""

    model: Sequential
    problem: Problem
    choices: list[Choice]
    seconds: float
    epochs: int
    most_epochs: int
    best_epoch: int
    scores: dict[str, Any] = field(default_factory=dict)
    baseline: dict[str, Any] = field(default_factory=dict)


# ---------------------------------------------------------------------- the task, from y
def prepare(data: Dataset, seed: int = 0, task: str | None = None) -> Problem:
    """Decide the task from y, number the classes from 0, split 70/15/15 by `seed`, and make numbers of a table.

    What the columns of a table become is decided by its training rows. Raises DataError for y that cannot be learnt
    (constant, or a name of its own in most rows), ValueRangeError where `task` is unknown or does not fit y.
    """
    if task is None:
        decided, why = decide(data)
    else:
        decided, why = _asked(data, task), "asked for"
    y, classes = targets(data, decided)
    _must_differ(data, y, classes)
    if decided == "regression":
        must_have_squares(data.target, y)
    parts, choice = _parted(y, classes, seed)
    if classes is not None and y.ndim == 1 and (different := len(np.unique(y))) > len(y) // 2:
        raise DataError(
            f"{data.target!r} has a value of its own in most rows.",
            found=f"{different} different values in {len(y)} rows",
            why="a class is learnt from several examples of it",
            fix="name another column as the target",
        )
    columns = None
    if data.frame is not None:
        columns = Columns.infer(data.frame, rows=parts.train)
        data = _encoded(data, columns)
    count = f", {len(classes)} classes" if classes and decided == "multiclass" else ""
    return Problem(data, decided, data.X, y, classes, parts, (Choice("task", decided + count, why), choice), columns)


def _encoded(data: Dataset, columns: Columns, ignore: Sequence[str] = ()) -> Dataset:
    return replace(data, X=columns.encode(data.frame, ignore), columns=columns.encoded, frame=None)


def _must_differ(data: Dataset, y: np.ndarray, classes: tuple[str, ...] | None) -> None:
    """Refuse a target that is always the same."""
    if (y == y[:1]).all():
        raise DataError(
            f"{data.target!r} has a single value.",
            found=repr(classes[int(y[0])]) if classes is not None and y.ndim == 1 else str(data.y[0]),
            why="there is nothing to learn from it",
            fix="name another column as the target",
        )


def must_have_squares(target: str, y: np.ndarray) -> None:
    """Refuse with DataError quantities (m, k) so small or large that float32 does not hold the squares of their errors."""
    for name, spread in zip(target_names(target, y.shape[1]), np.ptp(y, axis=0).tolist(), strict=True):
        if spread and not _FINEST <= spread <= 1 / _FINEST:
            raise DataError(
                f"{name!r} is counted in a unit that is too {'small' if spread > 1 else 'large'}.",
                expected=f"a greatest less a least value from {_FINEST:g} to {1 / _FINEST:g}",
                found=f"{spread:.4g}",
                why="float32 does not hold the squares of such errors",
                fix="multiply or divide the column by a power of ten",
            )


def _parted(y: np.ndarray, classes: tuple[str, ...] | None, seed: int) -> tuple[Split, Choice]:
    """The rows of the three parts, and in words how they were dealt."""
    if classes is None or y.ndim == 2:
        parts, how = split(y, seed=seed, stratify=False), "at random"
    else:
        counts = np.bincount(y, minlength=len(classes))
        rare = int(np.where(counts > 0, counts, len(y)).argmin())
        spread = counts[rare] >= MIN_PER_CLASS
        parts, how = split(y, seed=seed, stratify=bool(spread)), "every class in the same shares"
        if not spread:
            name = scores.one_line(classes[rare], 20)
            how = f"at random, as class {name!r} has {counts[rare]} of the {MIN_PER_CLASS} rows it needs"
    return parts, Choice("split", f"70 / 15 / 15 %, {how}", f"train, dev, test; shuffled by seed {seed}")


def measured(data: Dataset, model: Any, task: str | None = None) -> Problem:
    """All rows of some data as a problem of a trained model: its task, and labels by the names of its classes.

    The rows of a table are encoded as they were in the training. Raises LabelError for a label that is no class, and
    for names where the model gives numbers.
    """
    decided = task or task_of(model)
    data = numbers_for(data, model)
    y, names = targets(data, decided)
    if decided == "regression" and data.classes is not None and data.y.ndim == 1:
        raise LabelError("y does not hold numbers.", found=shortened(data.classes), why="the model gives a quantity")
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


def target_names(target: str, columns: int, prefix: str = "") -> list[str]:
    """The names of the columns of y, from the name of the target that stands for all of them, else numbered.

    >>> target_names("a, b", 2), target_names("y", 2)
    (['a', 'b'], ['0', '1'])
    """
    names = target.split(", ") if columns > 1 else [target]
    return names if len(names) == columns else [f"{prefix}{k}" for k in range(columns)]


def described(columns: Columns) -> list[tuple[str, str, str]]:
    """Each column of a table with its kind and the rest in words, those that are left out with the reason."""
    return [*columns.kinds, *((name, "left out", why) for name, why in columns.left_out)]


def numbers_for(data: Dataset, model: Any) -> Dataset:
    """`data` with its rows as the numbers that `model` takes: tables encoded as in its training, pictures in its shape.

    Columns are found by name, also by the names that `model.about` tells; others are left aside with a ColumnWarning.
    Where the model knows of no names, a table of numbers is taken as it stands. Raises DataError where columns are
    missing or hold what cannot be encoded.
    """
    if data.frame is None:
        wanted = model.input_shape[1:]
        fits = data.image is not None and math.prod(wanted) == data.X.shape[1]
        return replace(data, X=data.X.reshape(-1, *wanted)) if fits else data
    names = [str(name) for name in data.frame.columns]
    columns = model.columns
    if columns is None:
        known = [str(name) for name in model.about.get("columns") or ()]
        by_name = known and (set(known) <= set(names) or len(known) != len(names))
        columns = Columns(tuple(map(Number, known if by_name else names)))
    passed_over = dict(columns.left_out)
    others = [name for name in names if name not in columns.names and name not in passed_over]
    if others and set(columns.names) <= set(names):
        told = f"columns that the model does not know are left aside: {shortened(others)}."
        warnings.warn(told, ColumnWarning, stacklevel=2)
        return _encoded(data, columns, others)
    return _encoded(data, columns)


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


def decide(data: Dataset) -> tuple[str, str]:
    """The task that y asks for, and why."""
    y = data.y
    if y.ndim == 2 and y.shape[1] > 1:
        return _decide_columns(y)
    values = np.unique(y)
    if data.classes is not None:
        return _kind(len(data.classes)), f"y names one of {len(data.classes)} classes"
    whole = y.dtype.kind in "iub" or bool((y == np.floor(y)).all())
    most = _MOST_CLASSES if y.dtype.kind in "iub" else _MOST_IN_FLOATS
    if len(values) <= 2 or (whole and len(values) <= min(most, len(y) // 10)):
        return _kind(len(values)), f"y has only {counted(len(values), 'value')}; or --task regression"
    if whole and len(values) <= len(y) // 2:
        return "regression", f"y has {len(values)} whole numbers; or --task multiclass"
    return "regression", f"y has {len(values)} different numbers: a quantity"


def _kind(classes: int) -> str:
    return "binary" if classes <= 2 else "multiclass"


def _decide_columns(y: np.ndarray) -> tuple[str, str]:
    if not np.isin(y, (0, 1)).all():
        return "regression", f"y has {y.shape[1]} columns of numbers"
    if (y.sum(axis=1) == 1).all():
        return "multiclass", "each row of y has a single 1"
    return "multilabel", "a row of y may have several 1s"


def _asked(data: Dataset, task: str) -> str:
    """`task`, where it is one and y can be so; ValueRangeError otherwise."""
    if task not in TASKS:
        raise ValueRangeError(f"there is no task {task!r}.", expected=", ".join(TASKS))
    y = data.y.reshape(len(data.y), -1)
    several, marks = y.shape[1] > 1, bool(np.isin(y, (0, 1)).all())
    values = len(np.unique(y)) if not several else y.shape[1]
    found = ""
    if task == "regression" and data.classes is not None and not several:
        found = f"names: {shortened(data.classes)}"
    elif task == "multilabel" and not marks:
        found = "other numbers than 0 and 1"
    elif task in ("binary", "multiclass") and several and not (marks and (y.sum(axis=1) == 1).all()):
        found = "rows that are not one-hot"
    elif task == "binary" and values > 2:
        found = f"{values} classes"
    if found:
        decided = decide(data)[0]
        raise ValueRangeError(f"y cannot be used for the task {task!r}.", found=found, fix=f"--task {decided}")
    return task


def targets(data: Dataset, task: str) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """y as a model of `task` takes it, and the names of the classes or labels."""
    y = data.y.reshape(len(data.y), -1)
    if task == "regression":
        return y.astype(np.float64), None
    if task == "multilabel":
        return y.astype(np.float64), data.classes or tuple(target_names(data.target, y.shape[1], "label "))
    if y.shape[1] > 1:
        return y.argmax(axis=1), data.classes or tuple(target_names(data.target, y.shape[1]))
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
    model.compile(optimizer, loss, metrics=metrics, engine=options.engine)
    choices.append(
        Choice(
            "epochs",
            f"at most {options.epochs}, keeps the best dev loss",
            f"stops {PATIENCE} epochs after it",
        )
    )
    return model, choices


def _plain(name: str) -> str:
    return "".join(letter if letter.isalnum() else "_" for letter in name) or "model"


def _scaling(data: Dataset, X: np.ndarray) -> tuple[Layer, Choice]:
    if data.unit is not None:
        middle, square = float(X.mean()), float(X.var())
        which = f"all (x - {middle:.4g}) / {square**0.5:.4g}, by the training rows"
        return Normalization(mean=middle, variance=square), Choice("scaling", which, f"all columns are in {data.unit}")
    marks = np.isin(X, (0, 1)).all(axis=0)  # 0/1 columns stay: a rare 1 would become a huge number
    mean = np.where(marks, 0.0, X.mean(axis=0, dtype=np.float64))
    variance = np.where(marks, 1.0, X.var(axis=0, dtype=np.float64))
    which, why = "each column (x - mean) / standard deviation", "units of their own; by the training rows"
    if marks.all():
        which, why = "none", "all columns are 0 or 1"
    elif marks.any():
        why = "but 0/1 columns stay; by the training rows"
    return Normalization(mean=mean.tolist(), variance=variance.tolist()), Choice("scaling", which, why)


def _hidden_choice(options: Options) -> Choice:
    which = "-".join(map(str, options.hidden)) + f" {options.activation}" if options.hidden else "none"
    why = {
        "relu": "quick to compute, flat on one side only",
        "linear": "careful: linear layers collapse into one",
        "sigmoid": "flat at both ends; relu usually learns faster",
        "tanh": "zero-centred; flat at both ends",
    }.get(options.activation, "asked for")
    return Choice("hidden layers", which, why if options.hidden else "a linear model")


def _output(problem: Problem, regularizer: Any) -> tuple[list[Layer], dict[str, Any], list[str], list[Choice]]:
    stable = "inside the loss it is accurate for any logit"
    if problem.task == "regression":
        return _regression_output(problem, regularizer)
    units = 1 if problem.task == "binary" else len(problem.classes or ())
    dense = Dense(units, "linear", kernel_regularizer=regularizer)
    if problem.task == "multiclass":
        name, why = "SparseCategoricalCrossentropy", "one class of several, y is its number"
        activation = "softmax"
    else:
        name, activation = "BinaryCrossentropy", "sigmoid"
        why = "y is one of two" if problem.task == "binary" else "each label is a yes or no"
    told = [
        Choice("output", f"{units} linear unit{'s' if units > 1 else ''} ({activation} in the loss)", stable),
        Choice("loss", f"{name}(from_logits=True)", why),
    ]
    return [dense], {"class": name, "config": {"from_logits": True}}, ["accuracy"], told


def _regression_output(
    problem: Problem, regularizer: Any
) -> tuple[list[Layer], dict[str, Any], list[str], list[Choice]]:
    y = problem.y[problem.parts.train]
    mean, std, units = y.mean(axis=0), y.std(axis=0), y.shape[1]
    std[std == 0] = 1.0
    dense = Dense(units, "linear", kernel_regularizer=regularizer)
    if units == 1:
        layers: list[Layer] = [dense, Rescaling(float(std[0]), float(mean[0]))]
        which = f"1 linear, times {scores.number(std[0])} plus {scores.number(mean[0])}"
    else:
        layers = [dense, Normalization(mean=mean.tolist(), variance=(std**2).tolist(), invert=True)]
        which = f"{units} linear, each in the unit of its target"
    why = "by mean and deviation of the training rows"
    if y.min() >= 0:
        layers.append(Activation("relu"))
        which, why = which + ", relu", "targets are never negative"
    told = [
        Choice("output", which, why),
        Choice("loss", "ScaledSquaredError: in deviations of y", "L2 and the steps act alike on metres and millimetres"),
    ]
    return layers, {"class": "ScaledSquaredError", "config": {"scale": std.tolist()}}, ["mae"], told


def _optimizer(options: Options) -> tuple[Optimizer, Choice]:
    kind = Optimizer.named(options.optimizer)
    rate = options.learning_rate or (0.002 if options.optimizer.lower() == "adam" else kind().learning_rate)
    why = "a step of its own size for every parameter" if kind.__name__ == "Adam" else "asked for"
    return kind(learning_rate=rate), Choice(
        "optimizer", f"{kind.__name__}, learning rate {rate:g}, batches of {options.batch_size}", why
    )


# ---------------------------------------------------------------------- training and judging
def run(data: Dataset, options: Options, callbacks: Sequence[Any] = (), tell: Any = None) -> Outcome:
    """Prepare, build, train and judge. `tell(problem, model, choices)` is called before the training."""
    problem = prepare(data, options.seed, options.task)
    set_seed(options.seed)
    model, choices = build(problem, options)
    model.classes, model.columns = problem.classes, problem.columns
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
    seconds, epochs = time.perf_counter() - began, len(history.epoch)
    outcome = Outcome(model, problem, choices, seconds, epochs, options.epochs, stop.best_epoch + 1)
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
