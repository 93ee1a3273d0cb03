"""Models into files and back. A file that cannot be used gives an error and no partial model."""

from __future__ import annotations

import csv
import importlib.metadata
import io
import os
import platform
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import (
    BacklitError,
    FileError,
    FileWarning,
    GraphError,
    NotReadyError,
    UnknownNameError,
    warn,
)
from ..core.node import Leaf
from ..core.record import given_back
from ..engines.base import installed
from ..io import file
from ..io.columns import Columns
from ..layers.layer import values_follow
from . import frozen, keras_import, stored
from .model import Model
from .progress import History
from .step import make_slots
from .structure import FUNCTIONS, Own, describe, describe_inputs, known_as, restore, restore_inputs, unknown

FORMAT = 1
_FILES = (
    "model.json", "weights.safetensors", "optimizer.safetensors", "preprocess.json", "history.csv", "graph.json",
)  # fmt: skip
_UNREADABLE = (
    BacklitError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, RecursionError,
    csv.Error,
)  # fmt: skip


# ---------------------------------------------------------------------- writing
def save_model(model: Any, path: Any, overwrite: bool = True) -> None:
    """Write `model` to `path`, which must end in .backlit; see `Model.save`."""
    target = Path(path)
    if target.suffix != ".backlit":
        raise FileError(
            f"a model file ends in .backlit, not {target.suffix!r}.", fix=f"use {target.with_suffix('.backlit')}"
        )
    if os.path.exists(target) and not overwrite:
        raise FileError(f"{target} exists already.", fix="choose another name, or overwrite=True")
    if not model.built:
        raise FileError("only a built model can be saved.", found=repr(model), fix="build or fit it first")
    notes: list[str] = []
    file.write(target, _entries(model, Own(), notes))
    _tell(target, notes)


def _entries(model: Any, own: Own, notes: list[str]) -> dict[str, bytes]:
    """The entries of the model's file. `own` collects what is no code of the library, `notes` what that means."""
    said = _described(model, own, notes)
    weights = {key: leaf.array for key, leaf in model.named_weights().items()}
    if broken := [key for key, array in weights.items() if not np.isfinite(array).all()]:
        raise FileError(
            f"{broken[0]!r} holds NaN or infinity, which no file of a model may.", fix="load an earlier one"
        )
    slots = {key: slot.array for key, slot in _slots(model).items()}
    if model.asked is None and "left" in vars(model):  # it could not be compiled when it was loaded
        training, slots = model.left
        said.update(training)
    graph, arrays = _graph(model, notes)
    table = None if model.columns is None else model.columns.to_json()
    return {
        "model.json": file.to_json(said),
        "weights.safetensors": file.pack({**weights, **arrays}),
        "optimizer.safetensors": file.pack(slots),
        "preprocess.json": file.to_json({**model.about, "table": table}),
        "history.csv": _history_csv(model.history),
        "graph.json": file.to_json(graph),
    }


def _graph(model: Any, notes: list[str]) -> tuple[dict[str, Any] | None, Mapping[str, Any]]:
    """What the model computes, in the library's own records, and the arrays in it; None where that cannot be said."""
    if not model.built:
        return None, {}
    try:
        said, found = frozen.predict_graph(model, *frozen.traced(model))
    except GraphError as error:
        notes.append(f"{error.message} The file can be loaded only where all its classes are defined.")
        return None, {}
    if found.foreign:
        notes.append(
            f"the NumPy functions of {', '.join(found.foreign)} cannot be kept in a file. It can be loaded only where "
            f"{'this op is' if len(found.foreign) == 1 else 'these ops are'} defined."
        )
    return said, found.arrays


def pickled(model: Any) -> Any:
    """What pickle and deepcopy keep of a model: the entries of its file, and the code that is somebody's own."""
    own = Own()
    entries = _entries(model, own, [])
    told = isinstance(model, frozen.Frozen) or "left" in vars(model)  # when it was loaded
    return _unpickled, (entries, Path(f"the pickled {model.name}"), own.things, told)


def _unpickled(entries: Mapping[str, bytes], source: Path, things: Mapping[str, Any], told: bool) -> Any:
    notes: list[str] = []
    model = _from_entries(entries, source, things, True, notes)
    _tell(source, [] if told else notes)
    return model


def _tell(path: Path, notes: Sequence[str]) -> None:
    for note in notes:
        warn(f"{path}: {note}", FileWarning)


def _slots(model: Any) -> dict[str, Leaf]:
    """The optimizer's slots, also those of layers that are frozen by now: layer/weight/slot."""
    return {
        f"{key}/{name}": slot
        for key, leaf in model.named_weights().items()
        for name, slot in model._slots.get(leaf, {}).items()
    }


def _described(model: Any, own: Own, notes: list[str]) -> dict[str, Any]:
    network = describe(model, own)
    if lacking := [name for name, thing in own.things.items() if not isinstance(thing, type)]:
        given = ", ".join(f"{name!r}: …" for name in lacking)
        notes.append(
            f"a file holds no code, and so not that of {', '.join(lacking)}. Loaded, the model predicts; to train it, "
            f"give it back: bl.load_model(path, custom_objects={{{given}}})."
        )
    compiled = None
    if model.asked is not None:
        compiled = {
            **{key: own.plain(value) for key, value in vars(model.asked).items()},
            "optimizer": own.plain(model.optimizer),
            "learning_rate": model.optimizer.learning_rate,
            "engine": model.engine_name,
        }
    return {
        "format": FORMAT,
        "versions": _versions(),
        "network": network,
        "inputs": describe_inputs(model.input_leaves),
        "seed": model.seed,
        "compiled": compiled,
        "iterations": model.iterations,
        "epochs_done": model.epochs_done,
        "classes": list(model.classes) if model.classes else None,
    }


@cache
def _versions() -> dict[str, str]:
    """What wrote the file, for people who look into it."""
    try:
        ours = importlib.metadata.version("backlit")
    except importlib.metadata.PackageNotFoundError:
        ours = "not installed"
    return {"backlit": ours, "numpy": np.__version__, "python": platform.python_version()}


# ---------------------------------------------------------------------- reading
def load_model(path: Any, custom_objects: Any = None, compile: bool = True) -> Any:
    """The model in the file `path`; see `backlit.load_model`."""
    source = Path(path)
    notes: list[str] = []
    if source.suffix in (".h5", ".hdf5"):
        fix = f"in Keras: keras.models.load_model({source.name!r}).save({source.with_suffix('.keras').name!r})"
        raise FileError(f"{source} is of an old format of Keras, in which models may hold code.", fix=fix)
    if source.suffix == ".keras":
        model = keras_import.load(source, custom_objects, compile, notes)
    else:
        model = _from_entries(file.read(source), source, custom_objects, compile, notes)
    _tell(source, notes)
    return model


def _from_entries(
    entries: Mapping[str, bytes], source: Path, custom: Mapping[str, Any] | None, compile: bool, notes: list[str]
) -> Any:
    said = _opened(entries, source)
    tensors = file.unpack(entries["weights.safetensors"], source)
    slots = file.unpack(entries["optimizer.safetensors"], source)
    graph = file.from_json(entries["graph.json"], source)
    about = file.from_json(entries["preprocess.json"], source)
    things = known_as(custom or {})
    try:
        with registry.lent(things), np.errstate(all="ignore"):
            model = _rebuilt(said, graph, tensors, notes)
            captured = set() if graph is None else stored.captured(graph["nodes"], model.named_weights())
            _fill(model.named_weights(), {key: tensors[key] for key in tensors if key not in captured}, source)
            if compile:
                _restore_training(model, said, slots, source, notes)
            _compare(model, graph, tensors, notes)
        table = about.pop("table")
        model.about, model.columns = about, None if table is None else Columns.from_json(table)
        model.history = _history_from(entries["history.csv"])
    except FileError:
        raise
    except _UNREADABLE as error:
        raise FileError(f"{source} does not describe a model.", found=str(error).split("\n")[0]) from error
    return model


def _opened(entries: Mapping[str, bytes], source: Path) -> Mapping[str, Any]:
    """What model.json says; FileError for another kind of file, and for one of a newer format."""
    if "model.json" not in entries:
        raise FileError(f"{source} is no model file.", found="without model.json")
    said = file.from_json(entries["model.json"], source)
    if not isinstance(said, dict) or type(said.get("format")) is not int:
        raise FileError(f"{source} is no model file.", found="a description without a format")
    if said["format"] > FORMAT:
        formats = {"expected": f"format {FORMAT}", "found": f"format {said['format']}"}
        raise FileError(f"{source} was written by a newer version.", **formats, fix="upgrade backlit")
    if wrong := sorted(set(_FILES) ^ set(entries)):
        found = ", ".join(f"{'without' if name in _FILES else 'with'} {name}" for name in wrong)
        raise FileError(f"{source} is no model file.", expected=", ".join(_FILES), found=found)
    return said


def _rebuilt(said: Mapping[str, Any], graph: Any, tensors: Mapping[str, Any], notes: list[str]) -> Any:
    """The model of the description, or of its graph where code that the description speaks of is not here."""
    with values_follow(sum(tensor.nbytes for tensor in tensors.values())):
        try:
            model: Any = restore(said["network"])
            if not isinstance(model, Model):
                raise FileError("the file does not hold a model.", found=repr(model))
            if not model.built and said["inputs"] is not None:
                model.build_on(restore_inputs(said["inputs"]))
        except UnknownNameError as error:
            if graph is None:
                raise
            model = frozen.Frozen(said["network"], error, unknown(said["network"]) or [error.name])
            model.fill(graph, tensors, restore_inputs(said["inputs"]))
            notes.append(model.note())
    model.seed = None if said["seed"] is None else _count(said, "seed")
    classes = said["classes"]
    if classes is not None and not (isinstance(classes, list) and all(isinstance(each, str) for each in classes)):
        raise ValueError(f"classes {classes!r:.60}")
    model.classes = None if classes is None else tuple(classes)
    return model


def _count(said: Mapping[str, Any], key: str) -> int:
    """A number of seed, steps or epochs."""
    if type(said[key]) is not int or not 0 <= said[key] < 1 << 53:
        raise ValueError(f"{key} {said[key]!r:.60}")
    return int(said[key])


def _compare(model: Any, graph: Any, tensors: Mapping[str, Any], notes: list[str]) -> None:
    """Refuse a model that cannot be run; note where its code computes something else than when it was saved."""
    if not model.built:
        return
    inputs, outputs, penalties = frozen.traced(model)
    stored.affordable([*outputs, *penalties])
    same = False
    if graph is not None:
        said, found = frozen.predict_graph(model, inputs, outputs, penalties)
        same = said == graph and all(np.array_equal(tensors[key], array) for key, array in found.arrays.items())
        if not same:
            notes.append("its layers compute something else here than where it was saved: the code of one has changed.")
    if not same or isinstance(model, frozen.Frozen):
        stored.try_out(inputs, [*outputs, *penalties])


def _restore_training(
    model: Any, said: Mapping[str, Any], slots: Mapping[str, Any], path: Path, notes: list[str]
) -> None:
    compiled = said["compiled"]
    if compiled is None:
        return
    engine = str(compiled["engine"])
    if not installed(engine):
        notes.append(f"The engine {engine!r} of its training is not installed here: 'auto' is used.")
        engine = "auto"
    try:
        given = {key: given_back(value, FUNCTIONS) for key, value in compiled.items()}
        asked = {key: given[key] for key in ("loss", "loss_weights", "metrics", "weighted_metrics")}
        model.compile(given["optimizer"], engine=engine, **asked)
    except UnknownNameError as error:  # somebody's own loss or metric, whose code is not here
        notes.append(f"{error.message} The model predicts; compile it again to train.")
        model.left = {key: said[key] for key in ("compiled", "iterations", "epochs_done")}, slots
        return
    model.restore(float(compiled["learning_rate"]), _count(said, "iterations"), _count(said, "epochs_done"))
    kept = [leaf for key, leaf in model.named_weights().items() if any(name.startswith(f"{key}/") for name in slots)]
    model._slots.update(make_slots(model.optimizer, kept))
    _fill(_slots(model), slots, path)


# ---------------------------------------------------------------------- weights alone
def save_weights(model: Any, path: Any, overwrite: bool = True) -> None:
    """Write the weights of `model` to `path`, which ends in .safetensors or .npz; see `Model.save_weights`."""
    target = _weights_path(path)
    if os.path.exists(target) and not overwrite:
        raise FileError(f"{target} exists already.", fix="choose another name, or overwrite=True")
    _need_weights(model, "save_weights")
    pack = file.pack if target.suffix == ".safetensors" else file.pack_npz
    file.write_bytes(target, pack({key: leaf.array for key, leaf in model.named_weights().items()}))


def load_weights(model: Any, path: Any, skip_mismatch: bool = False) -> None:
    """Give the weights of `model` the values in the file `path`; see `Model.load_weights`."""
    source = _weights_path(path)
    _need_weights(model, "load_weights")
    leaves = model.named_weights()
    wanted = {key: (leaf.shape, leaf.dtype) for key, leaf in leaves.items()}
    tensors = file.unpack_file(source, wanted)
    if skip_mismatch:
        fit = [key for key in leaves if key in tensors and (tensors[key].shape, tensors[key].dtype) == wanted[key]]
        if skipped := sorted(set(leaves) ^ set(fit)):
            warn(f"{source} has no weights that fit for {', '.join(skipped)}", FileWarning)
        leaves, tensors = ({key: each[key] for key in fit} for each in (leaves, tensors))
    _fill(leaves, tensors, source)


def _weights_path(path: Any) -> Path:
    target = Path(path)
    if target.suffix in (".safetensors", ".npz"):
        return target
    name = target.name.removesuffix(".weights.h5").removesuffix(target.suffix)
    fix = f"use {target.with_name(name + '.safetensors')}"
    if target.suffix in (".h5", ".keras"):
        fix += f"; to convert, save the whole model in Keras: bl.load_model('{name}.keras').save_weights(…)"
    raise FileError(f"a file of weights ends in .safetensors or .npz, not {target.suffix!r}.", fix=fix)


def _need_weights(model: Any, call: str) -> None:
    if not model.built:
        raise NotReadyError(
            f"{call} needs a model that has weights.", fix="model.build((n,)) with n columns, or fit it"
        )


def _fill(leaves: Mapping[str, Any], tensors: Mapping[str, Any], path: Path) -> None:
    """Give every leaf its tensor; names, shapes and dtypes must be exactly those expected."""
    if set(leaves) != set(tensors):
        raise FileError(
            f"{path} has other tensors than its model.", found=", ".join(sorted(map(str, set(leaves) ^ set(tensors))))
        )
    for name, leaf in leaves.items():
        tensor = tensors[name]
        if tensor.shape != leaf.shape or tensor.dtype != leaf.dtype or not np.isfinite(tensor).all():
            raise FileError(
                f"{path}: the tensor {name!r} does not fit.",
                expected=f"finite numbers of shape {leaf.shape} {leaf.dtype}",
                found=f"shape {tensor.shape} {tensor.dtype}",
            )
    for name, leaf in leaves.items():
        leaf.array[...] = tensors[name]


def _history_csv(history: History | None) -> bytes:
    stream = io.StringIO()
    if history is not None and history.epoch:
        keys = sorted(key for key, values in history.history.items() if np.ndim(values[0]) == 0)
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["epoch", *keys])
        for epoch, row in zip(history.epoch, history.rows, strict=True):
            rows.writerow([epoch, *(repr(float(row[key])) if key in row else "" for key in keys)])
    return stream.getvalue().encode()


def _history_from(content: bytes) -> History | None:
    rows = list(csv.reader(io.StringIO(content.decode())))
    if not rows:
        return None
    history = History()
    for epoch, *values in rows[1:]:
        logged = zip(rows[0][1:], values, strict=True)
        history.keep(int(epoch), {key: float(value) for key, value in logged if value})
    return history


registry.register("io.save_model", save_model)
registry.register("io.pickled", pickled)
registry.register("io.save_weights", save_weights)
registry.register("io.load_weights", load_weights)
