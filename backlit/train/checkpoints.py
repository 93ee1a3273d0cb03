"""Callbacks that write files while a model trains, and one that goes on where an interrupted training stopped."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from ..core.arguments import Count, PathLike
from ..core.errors import ArgumentError, FileError, ValueRangeError
from ..core.node import Leaf
from ..io import file
from .callbacks import BuiltIn, Mode, Monitor, Verbose, not_logged
from .events import Callback, Logs

__all__ = ["BackupAndRestore", "ModelCheckpoint"]
FORMAT = 1
_TENSOR = "$tensor"
_SAID = ("epoch", "batch", "rows", "batch_size", "seed", "iterations", "learning_rate", "stopped", "callbacks")
Frequency: TypeAlias = Literal["epoch"] | Count


class ModelCheckpoint(Monitor):
    """Save the model as it trains.

    `filepath`: ends in .backlit, with `save_weights_only` in .safetensors; ``{epoch:02d}`` (from 1), ``{batch}`` and
    the logged names in it are filled in, and folders are made. `monitor` ("val_loss") and `mode` ("auto") as in
    `EarlyStopping`; they matter with `save_best_only` (False: save each time). `verbose` (0): 1 says what is done.
    `save_freq`: "epoch", or a number of batches. `initial_value_threshold` (None): with `save_best_only`, save only
    what is better than this.
    """

    kept = ("best", "batches")

    def __init__(
        self,
        filepath: PathLike,
        monitor: str = "val_loss",
        verbose: Verbose = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: Mode = "auto",
        save_freq: Frequency = "epoch",
        initial_value_threshold: float | None = None,
    ):
        super().__init__(monitor, mode)
        self.filepath, self.verbose, self.best = os.fspath(filepath), verbose, initial_value_threshold
        self.save_best_only, self.save_weights_only = save_best_only, save_weights_only
        self.save_freq, self.batches, self.epoch = save_freq, 0, 0
        suffix = ".safetensors" if save_weights_only else ".backlit"
        if not self.filepath.endswith(suffix):
            raise ValueRangeError(
                f"ModelCheckpoint writes {suffix} files{' of weights' if save_weights_only else ''}.",
                found=f"filepath={self.filepath!r}",
                fix=f"filepath={self.filepath.removesuffix('.weights.h5').removesuffix('.keras') + suffix!r}",
            )
        if save_best_only and save_freq != "epoch" and monitor.startswith("val_"):
            raise ValueRangeError(
                f"{monitor!r} is known only at the end of an epoch.",
                found=f"save_freq={save_freq}",
                fix=f"monitor={monitor.removeprefix('val_')!r}, or save_freq='epoch'",
            )

    def each_batch(self, kind: str) -> bool:
        """Where it saves every so many batches."""
        return kind == "train" and self.save_freq != "epoch"

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Remember which epoch it is."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if enough batches have gone by."""
        self.batches += 1
        if self.save_freq != "epoch" and self.batches >= int(self.save_freq):
            self.batches = 0
            self._save_if_due(self.epoch, {"batch": batch + 1, **(logs or {})}, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save."""
        if self.save_freq == "epoch":
            if getattr(self.model, "running", None) is not None:
                self.model.history.keep(epoch, logs or {})  # the file tells of this epoch, too
            self._save_if_due(epoch, logs or {}, logs or {})

    def _save_if_due(self, epoch: int, names: Mapping[str, Any], logs: Mapping[str, Any]) -> None:
        path = self._path(epoch, names)
        if not self._due(epoch, logs, path):
            return
        _make_folder(Path(path).parent)
        (self.model.save_weights if self.save_weights_only else self.model.save)(path, overwrite=True)
        self._say(epoch, f"finished saving model to {path}")

    def _due(self, epoch: int, logs: Mapping[str, Any], path: str) -> bool:
        if not self.save_best_only:
            self._say(epoch, f"saving model to {path}")
            return True
        value = self.current(logs)
        if value is None:
            return False
        before = "None" if self.best is None else f"{self.best:.5f}"
        if not self.better(value, self.best):
            self._say(epoch, f"{self.monitor} did not improve from {before}")
            return False
        self._say(epoch, f"{self.monitor} improved from {before} to {value:.5f}, saving model to {path}")
        self.best = value
        return True

    def _say(self, epoch: int, words: str) -> None:
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: {words}")

    def _path(self, epoch: int, names: Mapping[str, Any]) -> str:
        known = {**names, "epoch": epoch + 1}
        try:
            return self.filepath.format(**known)
        except (KeyError, IndexError) as error:
            name = str(error.args[0])
            raise not_logged(f"filepath={self.filepath!r} names {name!r}", name, known) from None


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"cannot make the folder {folder}.", found=str(error), fix="choose another one") from None


class BackupAndRestore(BuiltIn):
    """Go on where an interrupted `fit` stopped: write the script once, and run it again after a crash.

    `backup_dir`: a folder of its own for the backup. `save_freq`: "epoch" (at the end of each), or a number of batches.
    `double_checkpoint` (False): keep the backup before the last one, too, and use it where the last one is damaged.
    `delete_checkpoint` (True): remove the backup when `fit` has ended.

    The next `fit` with the same model, data and callbacks finds the backup and starts behind it. Parameters, layers'
    state, optimizer, sums of the metrics, step, seed, History (all epochs, also those before the interruption) and the
    other callbacks' state (`get_state`) are restored; on the same engine the resumed training is the uninterrupted one
    bit by bit.
    """

    late = True

    def __init__(
        self,
        backup_dir: PathLike,
        save_freq: Frequency = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ):
        if not os.fspath(backup_dir):
            raise ValueRangeError("backup_dir is empty.", fix="BackupAndRestore('backup')")
        self.path = Path(backup_dir) / "training.backup"
        self.before = self.path.with_suffix(".backup.before")
        self.save_freq = save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self.epoch, self.batches = 0, 0
        self._again: Snapshot | None = None

    def each_batch(self, kind: str) -> bool:
        """Where it saves every so many batches."""
        return kind == "train" and self.save_freq != "epoch"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Take up the backup, if there is one."""
        self.batches, self._again = 0, None
        file.sweep(self.path.parent)
        for path in (self.path, self.before):
            if not path.exists():
                continue
            try:
                found = Snapshot.read(path)
            except FileError:
                if path == self.path and self.before.exists():
                    continue
                raise
            found.restore(self.model.running)
            self._again = found if found.said["batch"] else None
            return

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """In the middle of an epoch: undo what the others did at its begin, which they have done before."""
        self.epoch = epoch
        if self._again is not None:
            self._again.restore_others(self.model.running)
            self._again = None

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Save if enough batches have gone by."""
        self.batches += 1
        if self.save_freq != "epoch" and self.batches >= int(self.save_freq):
            self.batches = 0
            self._save(self.epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Save."""
        if self.save_freq == "epoch":
            self._save(epoch + 1, 0)

    def _save(self, epoch: int, batch: int) -> None:
        _make_folder(self.path.parent)
        if self.double_checkpoint and self.path.exists():
            os.replace(self.path, self.before)
        Snapshot.take(self.model.running, epoch, batch).write(self.path)

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Remove the backup."""
        if self.delete_checkpoint and self.path.parent.exists():
            for path in (self.path, self.before):
                path.unlink(missing_ok=True)
            if not any(self.path.parent.iterdir()):
                self.path.parent.rmdir()


class Snapshot:
    """Everything a training needs to go on: `said` as JSON, `tensors` by name."""

    def __init__(self, said: dict[str, Any], tensors: dict[str, Any], where: Path | None = None):
        self.said, self.tensors, self.where = said, tensors, where or Path("this training")

    @classmethod
    def take(cls, job: Any, epoch: int, batch: int) -> Snapshot:
        """The training `job`, which shall go on at `batch` of `epoch`."""
        model = job.model
        tensors = {name: leaf.array for name, leaf in _leaves(job).items()}
        scheduled = getattr(model.optimizer, "schedule", None) is not None
        said = {
            "format": FORMAT,
            "epoch": epoch,
            "batch": batch,
            **job.batches.size,
            "seed": model.seed,
            "engine": model.engine_name,
            "iterations": model.iterations,
            "learning_rate": None if scheduled else float(model.optimizer.learning_rate),
            "stopped": bool(model.stop_training),
        }
        callbacks = []
        for name, callback in _named(job.listeners.callbacks):
            state = callback.get_state()
            if state:
                callbacks.append([name, _apart(state, f"callback/{name}", tensors)])
        return cls({**said, "callbacks": callbacks}, tensors)

    def write(self, path: Path) -> None:
        """Write one file, whole or not at all."""
        try:
            said = file.to_json(self.said)
        except (TypeError, ValueError) as error:
            raise ArgumentError(
                "the state of a callback cannot be written.", expected="numbers, text, arrays", found=str(error)
            ) from None
        file.write(path, {"state.json": said, "tensors.safetensors": file.pack(self.tensors)})

    @classmethod
    def read(cls, path: Path) -> Snapshot:
        """The snapshot in a file; FileError where it cannot be used."""
        entries = file.read(path)
        if set(entries) != {"state.json", "tensors.safetensors"}:
            raise FileError(f"{path} is no backup of a training.", found=", ".join(entries))
        said = file.from_json(entries["state.json"], path)
        if not isinstance(said, dict) or said.get("format") != FORMAT:
            raise FileError(f"{path} was written by another version.", expected=f"format {FORMAT}")
        if missing := [key for key in _SAID if key not in said]:
            raise FileError(f"{path} is no backup of a training.", found=f"without {', '.join(missing)}")
        return cls(said, file.unpack(entries["tensors.safetensors"], path), path)

    def restore(self, job: Any) -> None:
        """Make `job` go on where the snapshot was taken; FileError, and nothing changed, where it is another one."""
        self._check(job)
        said, model = self.said, job.model
        job.reseed(int(said["seed"]))
        for name, leaf in _leaves(job).items():
            leaf.array[...] = self.tensors[name]
        model.iterations = int(said["iterations"])
        model.epochs_done = int(said["epoch"])
        job.resume = (job.plan.epochs.stop, 0) if said["stopped"] else (int(said["epoch"]), int(said["batch"]))
        self.restore_others(job)

    def restore_others(self, job: Any) -> None:
        """Give the learning rate and the callbacks their state."""
        if self.said["learning_rate"] is not None:
            job.model.optimizer.learning_rate = float(self.said["learning_rate"])
        states = dict(self.said["callbacks"])
        for name, callback in _named(job.listeners.callbacks):
            if name in states:
                callback.set_state(_together(states[name], self.tensors))

    def _check(self, job: Any) -> None:
        fix = "give each training its own backup_dir, or remove this backup"
        leaves = _leaves(job)
        found = {name: each for name, each in self.tensors.items() if not name.startswith("callback/")}
        wrong = set(leaves) ^ set(found) or {
            name for name, leaf in leaves.items() if (leaf.shape, leaf.dtype) != (found[name].shape, found[name].dtype)
        }
        if wrong:
            raise FileError(f"{self.where} is of another model.", found=", ".join(sorted(wrong)[:5]), fix=fix)
        rows = job.batches.size
        if self.said["batch"] and any(self.said[key] != value for key, value in rows.items()):
            told = [", ".join(f"{key} {each[key]}" for key in rows) for each in (rows, self.said)]
            raise FileError(f"{self.where} is of another training.", expected=told[0], found=told[1], fix=fix)


def _leaves(job: Any) -> dict[str, Leaf]:
    """Weights, optimizer slots and sums of a training, each by its own name."""
    weights = job.model.named_weights()
    slots = job.model.slots()
    found = {f"weight/{name}": leaf for name, leaf in weights.items()}
    for name, leaf in weights.items():
        found.update({f"slot/{name}/{key}": slot for key, slot in slots.get(leaf, {}).items()})
    for name, sums in job.step.sums.items():
        found.update({f"sum/{name}/{key}": leaf for key, leaf in sums.leaves.items()})
    return found


def _named(callbacks: list[Callback]) -> list[tuple[str, Callback]]:
    """The callbacks by their class and their number among those of that class."""
    seen: Counter[str] = Counter()
    named = []
    for callback in callbacks:
        kind = type(callback).__name__
        named.append((f"{kind}/{seen[kind]}", callback))
        seen[kind] += 1
    return named


def _apart(value: Any, name: str, tensors: dict[str, Any]) -> Any:
    """A state as JSON can hold it; its arrays go into `tensors`."""
    if isinstance(value, np.ndarray):
        tensors[name] = value
        return {_TENSOR: name}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {str(key): _apart(each, f"{name}/{key}", tensors) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_apart(each, f"{name}/{place}", tensors) for place, each in enumerate(value)]
    return value


def _together(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, dict):
        if set(value) == {_TENSOR}:
            return np.array(tensors[value[_TENSOR]])
        return {key: _together(each, tensors) for key, each in value.items()}
    return [_together(each, tensors) for each in value] if isinstance(value, list) else value
