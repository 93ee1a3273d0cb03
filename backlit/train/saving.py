"""Models into files and back. A file that cannot be used gives an error and no partial model."""

from __future__ import annotations

import csv
import io
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import BacklitError, FileError, FileMissingError, FileWarning, NotReadyError, UnknownNameError
from ..core.node import Leaf
from ..core.record import serialize
from ..io import file
from .model import Model
from .progress import History
from .step import make_slots
from .structure import describe, describe_inputs, restore, restore_inputs

FORMAT = 1


_UNREADABLE = (
    BacklitError, LookupError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError, csv.Error,
)  # fmt: skip
_FILES = ("model.json", "weights.safetensors", "optimizer.safetensors", "preprocess.json", "history.csv")


def save_model(model: Any, path: Any, overwrite: bool = True) -> None:
    """Write `model` to `path`, which must end in .backlit; see `Model.save`."""
    target = Path(path)
    if target.suffix != ".backlit":
        raise FileError(
            f"a model file ends in .backlit, not {target.suffix!r}.", fix=f"use {target.with_suffix('.backlit')}"
        )
    if target.exists() and not overwrite:
        raise FileError(f"{target} exists already.", fix="choose another name, or overwrite=True")
    if not model.built:
        raise FileError("only a built model can be saved.", found=repr(model), fix="build or fit it first")
    file.write(target, _entries(model))


def _entries(model: Any) -> dict[str, bytes]:
    """The entries of the model's file."""
    return {
        "model.json": file.to_json(_described(model)),
        "weights.safetensors": file.pack({key: leaf.array for key, leaf in model.named_weights().items()}),
        "optimizer.safetensors": file.pack({key: slot.array for key, slot in _slots(model).items()}),
        "preprocess.json": file.to_json(model.about),
        "history.csv": _history_csv(model.history),
    }


def pickled(model: Any) -> Any:
    """What pickle and deepcopy keep of a model: the entries of its file."""
    return _from_entries, (_entries(model), Path(f"the pickled {model.name}"))


def _slots(model: Any) -> dict[str, Leaf]:
    """The optimizer's slots, also those of layers that are frozen by now: layer/weight/slot."""
    return {
        f"{key}/{name}": slot
        for key, leaf in model.named_weights().items()
        for name, slot in model._slots.get(leaf, {}).items()
    }


def _described(model: Any) -> dict[str, Any]:
    compiled = None
    if model.asked is not None:
        compiled = {
            **{key: serialize(value) for key, value in vars(model.asked).items()},
            "optimizer": serialize(model.optimizer),
            "learning_rate": model.optimizer.learning_rate,
            "engine": model.engine_name,
        }
    return {
        "format": FORMAT,
        "network": describe(model),
        "inputs": describe_inputs(model.input_leaves),
        "seed": model.seed,
        "compiled": compiled,
        "iterations": model.iterations,
        "epochs_done": model.epochs_done,
        "classes": list(model.classes) if model.classes else None,
    }


def load_model(path: Any) -> Any:
    """The model in the file `path`, compiled as it was, its optimizer where it stopped.

    Raises FileMissingError, or FileError for a file that is damaged, foreign, of a newer format, or names a layer
    class that is not defined here.
    """
    source = Path(path)
    return _from_entries(file.read(source), source)


def _from_entries(entries: Mapping[str, bytes], source: Path) -> Any:
    if missing := [name for name in _FILES if name not in entries]:
        raise FileError(f"{source} is no model file.", found=f"without {', '.join(missing)}")
    said = file.from_json(entries["model.json"], source)
    if not isinstance(said, dict) or not isinstance(said.get("format"), int) or said["format"] > FORMAT:
        raise FileError(f"{source} was written by a newer version.", expected=f"format {FORMAT}", fix="upgrade backlit")
    try:
        with np.errstate(all="ignore"):
            model = _rebuilt(said)
        _fill(model.named_weights(), file.unpack(entries["weights.safetensors"], source), source)
        _restore_training(model, said, file.unpack(entries["optimizer.safetensors"], source), source)
        model.about = {**file.from_json(entries["preprocess.json"], source)}
        model.history = _history_from(entries["history.csv"])
    except FileError:
        raise
    except _UNREADABLE as error:
        raise FileError(f"{source} does not describe a model.", found=str(error).split("\n")[0]) from error
    return model


def _rebuilt(said: Mapping[str, Any]) -> Any:
    model = restore(said["network"])
    if not isinstance(model, Model):
        raise FileError("the file does not hold a model.", found=repr(model))
    if not model.built and said["inputs"] is not None:
        model.build_on(restore_inputs(said["inputs"]))
    model.seed = None if said["seed"] is None else int(said["seed"])
    model.classes = None if said["classes"] is None else tuple(map(str, said["classes"]))
    return model


def _restore_training(model: Any, said: Mapping[str, Any], slots: Mapping[str, Any], path: Path) -> None:
    compiled = said["compiled"]
    if compiled is None:
        return
    given = {key: compiled[key] for key in ("loss", "loss_weights", "metrics", "weighted_metrics")}
    try:
        model.compile(compiled["optimizer"], engine=compiled["engine"], **given)
    except UnknownNameError as error:  # somebody's own loss or metric, whose code is not here
        told = error.message
        warnings.warn(f"{path}: {told} The model predicts; compile it again to train.", FileWarning, stacklevel=5)
        return
    model.restore(float(compiled["learning_rate"]), int(said["iterations"]), int(said["epochs_done"]))
    kept = [leaf for key, leaf in model.named_weights().items() if any(name.startswith(f"{key}/") for name in slots)]
    model._slots.update(make_slots(model.optimizer, kept))
    _fill(_slots(model), slots, path)


def save_weights(model: Any, path: Any, overwrite: bool = True) -> None:
    """Write the weights of `model` to `path`, which must end in .safetensors; see `Model.save_weights`."""
    target = _weights_path(path)
    if target.exists() and not overwrite:
        raise FileError(f"{target} exists already.", fix="choose another name, or overwrite=True")
    _need_weights(model, "save_weights")
    file.write_bytes(target, file.pack({key: leaf.array for key, leaf in model.named_weights().items()}))


def load_weights(model: Any, path: Any, skip_mismatch: bool = False) -> None:
    """Give the weights of `model` the values in the file `path`; see `Model.load_weights`."""
    source = _weights_path(path)
    _need_weights(model, "load_weights")
    if not source.exists():
        raise FileMissingError(f"there is no file {source}.", fix="give the path of a .safetensors file")
    leaves, tensors = model.named_weights(), file.unpack(source.read_bytes(), source)
    if skip_mismatch:
        fit = [key for key, leaf in leaves.items() if key in tensors and tensors[key].shape == leaf.shape]
        if skipped := sorted(set(leaves) ^ set(fit)):
            warnings.warn(f"{source} has no weights that fit for {', '.join(skipped)}", UserWarning, stacklevel=3)
        leaves, tensors = ({key: each[key] for key in fit} for each in (leaves, tensors))
    _fill(leaves, tensors, source)


def _weights_path(path: Any) -> Path:
    target = Path(path)
    if target.suffix != ".safetensors":
        name = target.name.removesuffix(".weights.h5").removesuffix(target.suffix)
        fix = f"use {target.with_name(name + '.safetensors')}"
        raise FileError(f"a file of weights ends in .safetensors, not {target.suffix!r}.", fix=fix)
    return target


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
