"""Misuse: whatever wrong value stands in the place of any argument of a public call, it works or is a BacklitError.

The calls are found, not listed: every public name of every room, every method that people call, each with its
signature. What the arguments get that are not wrong stands in GOOD, by their names; the call with these works. What a
wrong value made is used once, so that it cannot hide.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.core import registry, seed
from backlit.core.errors import NotWrittenError, ShapeError
from backlit.core.node import DTYPES as DTYPES_WE_HAVE
from backlit.core.op import Op
from backlit.core.record import Record
from backlit.core.shapes import bind
from backlit.train.metrics_base import Metric

ROOMS = (
    "layers", "losses", "optimizers", "optimizers.schedules", "callbacks", "metrics", "initializers", "regularizers",
    "constraints", "activations", "nn", "random", "ops",
)  # fmt: skip
X, Y = np.linspace(-1, 1, 12).reshape(4, 3), np.array([0, 1, 2, 1])
P, HOT = np.full((4, 3), 1 / 3), np.eye(3)[Y]
W = bl.variable(np.linspace(-1, 1, 6).reshape(2, 3), name="w")
J = bl.ops.sum(W * W)


class _Nothing:
    """A class that has to do with nothing."""


class _Stop(bl.callbacks.Callback):
    """So that 10**30 epochs or steps end."""

    def on_train_batch_end(self, batch, logs=None):
        self.model.stop_training = True


WRONG: dict[str, Any] = {
    "None": None,
    "text": "a",
    "a fraction": 3.5,
    "minus one": -1,
    "an object": object(),
    "an empty list": [],
    "an empty dict": {},
    "a function": lambda: 0,
    "NaN": float("nan"),
    "a class": _Nothing,
    "a list of text": ["a"],
    "bytes": b"a",
    "complex": 1j,
    "huge": 10**30,
}
GOOD: dict[str, Any] = {
    # layers
    "units": 2, "filters": 2, "kernel_size": 1, "rate": 0.5, "stddev": 0.1, "input_dim": 3, "output_dim": 2,
    "activation": "relu", "function": "square", "target_shape": (3, 1), "dims": (1,), "n": 2, "scale": 2.0,
    "num_tokens": 3, "axes": 1, "inputs": [X, X], "input_shape": (3,),
    # schedules
    "initial_learning_rate": 0.1, "decay_steps": 10, "decay_rate": 0.5, "first_decay_steps": 10, "boundaries": [5],
    "values": [0.1, 0.01],
    # losses, metrics, callbacks
    "schedule": lambda epoch, rate: rate, "filepath": "m.backlit", "backup_dir": "backup", "filename": "log.csv",
    "fn": lambda y, p: bl.ops.mean(abs(y - p), axis=-1), "num_classes": 3, "y_true": HOT, "y_pred": P,
    # graphs
    "J": J, "wrt": W, "node": W, "text": "w", "value": 1.0, "shape": (2, 3), "outputs": J, "seed": 1, "x": X,
    "py": "x * 2", "define": lambda x: x * 1.0, "ref": np.negative, "dtype": "float32", "w": np.ones((3, 2)),
    "other": 2.0, "low": 0.0, "high": 1.0, "step": 3, "first": 0, "count": 2,
    # models
    "y": Y, "data": X, "identifier": "mse", "name": "mse", "config": {}, "path": "m.backlit",
}  # fmt: skip
# Where the same name means something else: by the name of a class, a function or a method.
OTHERWISE: dict[str, dict[str, Any]] = {
    "Normalization": {"mean": 0.0, "variance": 1.0},
    "CategoryEncoding": {"num_tokens": 3},
    "EarlyStopping": {"monitor": "loss"},
    "ReduceLROnPlateau": {"monitor": "loss"},
    "Input": {"shape": (3,)},
    "composite": {"name": "mine"},
    "elementwise": {"name": "mine"},
    "structural": {"name": "mine", "shape": "n -> n"},
    "name": {"text": "c"},
    "add_weight": {"name": "more", "shape": (2,)},
    "compile": {"optimizer": "sgd", "loss": "mse"},
    "fit": {"x": X, "y": Y, "verbose": 0, "callbacks": [_Stop()]},
    "evaluate": {"x": X, "y": Y, "verbose": 0},
    "train_on_batch": {"y": Y},
    "test_on_batch": {"y": Y},
    "diagnose": {"y": Y},
    "get_layer": {"name": "mse"},
    "save_weights": {"filepath": "m.safetensors"},
    "load_weights": {"filepath": "m.safetensors"},
    "append": {"callback": bl.callbacks.History()},
}


# ---------------------------------------------------------------------- the rule
def outcome(call: Callable[[], Any]) -> str:
    """'' where the call works or is refused by one of our errors, else what came out of it."""
    try:
        call()
    except bl.BacklitError as error:
        return "" if str(error) else "an error without a message"
    except Exception as error:
        return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
    return ""


def named(call: Any) -> list[inspect.Parameter]:
    """The parameters that a caller can name."""
    parameters = inspect.signature(call).parameters.values()
    return [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and p.name != "self"]


def right(call: Any, name: str) -> dict[str, Any]:
    """Arguments with which the call works."""
    good = {p.name: GOOD[p.name] for p in named(call) if p.default is p.empty and p.name in GOOD}
    return {**good, **OTHERWISE.get(name, {})}


def complaints(call: Callable[..., Any], base: dict[str, Any], names: Sequence[str]) -> list[str]:
    """Every wrong value in every place that is neither used nor refused, and a misspelt argument likewise."""
    cases = [(f"{name}={what}", {**base, name: value}) for name in names for what, value in WRONG.items()]
    cases += [("a misspelt argument", {**base, "not_there": 1})] if names else []
    return [f"{where}: {told}" for where, given in cases if (told := outcome(lambda given=given: call(**given)))]


@pytest.fixture(autouse=True)
def alone(monkeypatch, tmp_path):
    """Names, seeds and files of a test stay in the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(seed, "_state", dict(seed._state))
    before = bl.floatx()
    yield
    bl.set_floatx(before)
    for name in ("op.a", "op.mine"):
        registry._table.pop(name, None)


# ---------------------------------------------------------------------- records: constructors, and one use
def _public(room: str) -> dict[str, Any]:
    """What a room offers: its `__dir__` of its own, or `__all__`, or every name."""
    module = importlib.import_module(f"backlit.{room}")
    own = "__dir__" in vars(module) or not hasattr(module, "__all__")
    names = dir(module) if own else module.__all__
    return {name: getattr(module, name) for name in names if not name.startswith("_") and name != "names_of"}


RECORDS = {
    f"{room}.{value.__name__}": value
    for room in ROOMS
    for value in _public(room).values()
    if isinstance(value, type) and issubclass(value, (Record, bl.callbacks.Callback))
}


def _used(made: Any) -> None:
    """Use a record in the plainest way."""
    repr(made)
    if isinstance(made, bl.layers.Layer):
        made.get_config()
        _fed(made)
    elif isinstance(made, bl.metrics.Mean):
        made(X)
    elif isinstance(made, (bl.losses.Loss, bl.metrics.Metric)):
        made(Y if made.labels else HOT, P)
    elif isinstance(made, bl.optimizers.Optimizer):
        made.get_config()
        model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(1)])
        model.compile(made, "mse")
        model.train_on_batch(X, X[:, 0])
    elif isinstance(made, bl.optimizers.schedules.LearningRateSchedule):
        made.rates(0, 3)
    elif isinstance(made, bl.initializers.Initializer):
        made((3, 2))
    elif isinstance(made, (bl.regularizers.Regularizer, bl.constraints.Constraint)):
        made(np.ones((3, 2)))
    elif isinstance(made, bl.callbacks.Callback):
        model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(1)])
        model.compile(bl.optimizers.SGD(use_ema=True), "mse")
        model.fit(X, X[:, 0], verbose=0, callbacks=made, epochs=2)


def _fed(layer: Any) -> None:
    """Call a layer on the first kind of input that it takes: rows, signals, images, several inputs, ids."""
    ids = isinstance(layer, (bl.layers.Embedding, bl.layers.CategoryEncoding))
    inputs = [Y] if ids else [X, X[..., None], np.ones((2, 4, 4, 1)), [X, X]]
    for place, each in enumerate(inputs, 1):
        try:
            layer(each)
        except ShapeError:
            if place == len(inputs):
                raise
        else:
            return


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_records(name):
    cls = RECORDS[name]

    def made(**given: Any) -> None:
        _used(cls(**given))

    base = right(cls, cls.__name__)
    try:
        made(**base)
    except NotWrittenError:
        assert cls.__subclasses__(), "only a class that others are made of lacks something"
    problems = complaints(made, base, [p.name for p in named(cls)])
    assert not problems, "\n".join(problems)


# ---------------------------------------------------------------------- functions
def _functions() -> dict[str, Callable[..., Any]]:
    found = {f"backlit.{name}": getattr(bl, name) for name in bl.__all__}
    for room in ROOMS:
        found |= {f"{room}.{name}": value for name, value in _public(room).items()}
    return {name: value for name, value in found.items() if callable(value) and not isinstance(value, (type, Op))}


FUNCTIONS = _functions()


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions(name):
    call, record = FUNCTIONS[name], getattr(FUNCTIONS[name], "record", None)
    _chain().save("m.backlit")
    base = right(call, name.rpartition(".")[2])
    if record is not None and record.labels:
        base["y_true"] = Y
    if name == "backlit.compile":
        base = {"outputs": J}
    if name == "backlit.clone_model":
        base["model"] = _chain()
    of_all = record is bl.metrics.Mean or (record is not None and record.formula is Metric.formula)
    if not of_all:
        call(**base)
    problems = complaints(call, base, [p.name for p in named(call)])
    assert not problems, "\n".join(problems)


OPS = {op.name: op for op in _public("ops").values() if isinstance(op, Op)}


@pytest.mark.parametrize("name", sorted(OPS))
def test_ops(name):
    op = OPS[name]
    case = op.probe.cases[0] if op.probe else None
    shapes = [bind(shape, 2) for shape in case.shapes] if case else []
    rng = np.random.default_rng(0)
    arrays = [op.probe.sampler(place).draw(rng, shape) for place, shape in enumerate(shapes)]
    for given in (arrays, [bl.variable(array) for array in arrays]):
        values = {op.inputs[0]: given} if op.variadic else dict(zip(op.inputs, given, strict=bool(case)))
        base = {**values, **({key: bind(value, 2) for key, value in case.attrs.items()} if case else {})}
        if case:
            op(**base)
        problems = complaints(op, base, [*op.inputs, *op.attrs])
        assert not problems, "\n".join(problems)


DTYPES = ("float16", "float32", "float64", "longdouble", "int8", "uint8", "int32", "int64", "uint64", "bool",
          "complex64", "object", "U1", "S1", "datetime64[s]")  # fmt: skip
SHAPES = ((), (0,), (1,), (3,), (2, 3), (0, 3), (3, 0), (3, 2), (1, 3), (2, 3, 4), (1, 2, 3, 1))
NUMBERS = (0.0, 1.0, -2.5, 3.0, np.nan, np.inf, -1e300)


def _any_array(rng: np.random.Generator) -> Any:
    shape, dtype = SHAPES[rng.integers(len(SHAPES))], DTYPES[rng.integers(len(DTYPES))]
    with np.errstate(all="ignore"):
        return rng.choice(NUMBERS, shape).astype("int64" if dtype[0] == "d" else "float64").astype(dtype)


@pytest.mark.parametrize("name", sorted(OPS))
def test_ops_on_any_arrays(name):
    """Arrays of every dtype, shape and content: NumPy neither raises nor warns, and what comes out is of our dtypes."""
    op, rng = OPS[name], np.random.default_rng(0)
    cases = (
        [{key: bind(value, 2) for key, value in case.attrs.items()} for case in op.probe.cases] if op.probe else [{}]
    )

    def tried(arrays: list[Any], attrs: dict[str, Any]) -> None:
        out = op(arrays, **attrs) if op.variadic else op(*arrays, **attrs)
        for each in out if isinstance(out, tuple) else (out,):
            assert each.dtype.name in DTYPES_WE_HAVE

    problems = []
    for number in range(60):
        arrays = [_any_array(rng) for _ in (range(number % 4) if op.variadic else op.inputs)]
        if number % 3:  # often of one shape, which gets further
            arrays = [np.resize(array, arrays[0].shape) for array in arrays]
        told = outcome(lambda arrays=arrays, number=number: tried(arrays, cases[number % len(cases)]))
        problems += [f"{[(a.dtype.name, a.shape) for a in arrays]}: {told}"] if told else []
    assert not problems, "\n".join(problems)


# ---------------------------------------------------------------------- methods
def _chain() -> Any:
    model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(3, activation="softmax", name="mse")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def _functional() -> Any:
    x = bl.Input((3,))
    model = bl.Model(x, bl.layers.Dense(3, activation="softmax", name="mse")(x))
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def _built(layer: Any) -> Any:
    layer(X)
    return layer


def _stepped() -> Any:
    model = _chain()
    model.train_on_batch(X, Y)
    return model.optimizer


SUBJECTS: dict[str, Callable[[], Any]] = {
    "Sequential": _chain,
    "an uncompiled Sequential": lambda: bl.Sequential([bl.Input((3,)), bl.layers.Dense(3)]),
    "an empty Sequential": bl.Sequential,
    "Model": _functional,
    "Dense": lambda: _built(bl.layers.Dense(2)),
    "an unbuilt Dense": lambda: bl.layers.Dense(2),
    "Normalization": lambda: _built(bl.layers.Normalization(mean=0.0, variance=1.0)),
    "a variable": lambda: bl.variable(2.0, name="w"),
    "a constant": lambda: bl.constant(2.0),
    "an input": lambda: bl.Input((3,)),
    "a node": lambda: bl.variable(np.ones((2, 3))) * 2,
    "a graph": lambda: bl.Graph([], [bl.variable(1.0) * 2]),
    "a function": lambda: bl.compile(bl.variable(1.0) * 2),
    "a loss": bl.losses.MeanSquaredError,
    "a metric": bl.metrics.Accuracy,
    "a mean": bl.metrics.Mean,
    "an optimizer": _stepped,
    "an initializer": bl.initializers.HeNormal,
    "a schedule": lambda: bl.optimizers.schedules.CosineDecay(0.1, 10),
    "a CallbackList": bl.callbacks.CallbackList,
}
ROUGH = ("an uncompiled Sequential", "an empty Sequential", "an unbuilt Dense", "a constant", "an input")  # may refuse
# What the library itself calls, in an order of its own, and what a class of one's own is made of.
MACHINERY = {
    "adopt", "add_loss", "along", "build_for", "build_on", "call", "connect", "constraints", "ensure_built",
    "everything", "expect", "forget", "forward", "keep_mask", "layer_of", "measure", "need_compiled", "penalties",
    "ready", "restore", "run", "scaled", "settle", "slots", "step",
    "alone", "check", "cost", "fitted", "formula", "per_example", "states", "sums", "target_shape", "valid", "value",
    "wanted", "reads_probabilities",
    "across", "bind", "effective", "first", "learning_rates", "make_slots", "update", "updates", "used_slots",
    "draw", "sample", "cut", "at", "fitting", "read", "with_roots",
    "set_model", "set_params", "set_state", "steps", "tell", "who_at_nan", "each_batch", "each_epoch", "epochs", "on_epochs",
}  # fmt: skip
OPERATORS = ("__add__", "__mul__", "__pow__", "__matmul__", "__lt__", "__getitem__")


def _methods(subject: str) -> list[str]:
    thing = SUBJECTS[subject]()
    names = [name for name, value in inspect.getmembers(type(thing), callable) if not name.startswith("_")]
    special = [name for name in (*OPERATORS, "__call__") if any(name in vars(cls) for cls in type(thing).__mro__[:-1])]
    passed = MACHINERY | (set() if subject == "a loss" else {"get", "named", "names", "from_config"})  # those of Record
    if not isinstance(thing, bl.Model):
        passed |= {"build"}  # which the author of a layer writes
    return [name for name in (*names, *special) if name not in passed]


METHODS = [(subject, method) for subject in SUBJECTS for method in _methods(subject)]


@pytest.mark.parametrize(("subject", "method"), METHODS)
def test_methods(subject, method, capsys):
    thing = SUBJECTS[subject]()
    call, open_ended = getattr(thing, method), False
    if method in OPERATORS:
        problems = [
            f"{what}: {told}" for what, value in WRONG.items() if (told := outcome(lambda value=value: call(value)))
        ]
        assert not problems, "\n".join(problems)
        return
    base = right(call, method)
    if method == "add":
        base = {"layer": bl.layers.Dense(1)}
    if method == "set_weights":
        base = {"values": thing.get_weights()}
    if method == "load_weights" and subject not in ROUGH:
        thing.save_weights("m.safetensors")
    if subject not in ROUGH and (subject, method) != ("Model", "collapse"):  # which takes a chain
        _once(SUBJECTS[subject](), method, base)
    problems = complaints(call, base, [p.name for p in named(call)])
    open_ended = any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(call).parameters.values())
    for what, value in WRONG.items() if open_ended else ():
        problems += [f"{what}: {told}" for told in [outcome(lambda value=value: call(value))] if told]
    assert not problems, "\n".join(problems)


def _once(thing: Any, method: str, base: dict[str, Any]) -> None:
    """The right call works."""
    open_ended = {"reshape": [thing.shape]} if isinstance(thing, bl.Node) else {}
    if isinstance(thing, bl.layers.Layer):
        open_ended = {"__call__": [X]}
    getattr(thing, method)(*open_ended.get(method, ()), **base)
