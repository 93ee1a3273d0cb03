"""Callbacks that write what is logged into files: CSVLogger and TensorBoard."""

from __future__ import annotations

import csv
import os
import time
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..core.arguments import Count, Natural, PathLike
from ..core.errors import FileError, ValueRangeError
from ..io.tfevents import Writer
from .callbacks import BuiltIn
from .events import Logs

__all__ = ["CSVLogger", "TensorBoard"]


class CSVLogger(BuiltIn):
    """Write a line after each epoch: the column `epoch` (from 0), then the logged names sorted; `NA` for a missing one.

    `filename`, `separator` (","), `append` (False: begin the file anew; True: go on below what is there, in its
    columns). The columns are those of the first epoch; where validation is not due after each epoch, those of the
    validation, too.
    """

    def __init__(self, filename: PathLike, separator: str = ",", append: bool = False):
        if len(separator) != 1:
            raise ValueRangeError("the separator must be one character.", found=repr(separator))
        self.filename, self.sep, self.append = os.fspath(filename), separator, append
        self.keys: list[str] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin the file, or read which columns it has."""
        self.keys = None
        try:
            with open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8"):
                pass
            with open(self.filename, newline="", encoding="utf-8") as stream:
                head = next(csv.reader(stream, delimiter=self.sep), None)
        except OSError as error:
            raise FileError(f"cannot write {self.filename}.", found=str(error), fix="choose another file") from None
        if head is not None:
            if head[0] != "epoch":
                found = self.sep.join(head)[:60]
                raise FileError(f"{self.filename} is no log to go on with.", expected="epoch, …", found=found)
            self.keys = head[1:]

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the line."""
        logs = logs or {}
        begins = self.keys is None
        if self.keys is None:
            self.keys = self._columns(logs)
        if lost := sorted(set(logs) - set(self.keys)) if self.append and not begins else []:
            raise FileError(
                f"{self.filename} has no column for {', '.join(lost)}.",
                expected=", ".join(self.keys),
                fix="choose another file, or append=False",
            )
        with open(self.filename, "a", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream, delimiter=self.sep, lineterminator="\n")
            if begins:
                rows.writerow(["epoch", *self.keys])
            rows.writerow([epoch, *(_cell(logs.get(key, "NA")) for key in self.keys)])

    def _columns(self, logs: Logs) -> list[str]:
        keys = sorted(logs)
        running = getattr(self.model, "running", None)
        comes = running is not None and running.validate is not None
        soon = [f"val_{key}" for key in keys] if comes and not any(key.startswith("val_") for key in keys) else []
        return keys + soon


def _cell(value: Any) -> Any:
    """A number so that it is read back exactly; an array as a list."""
    if np.ndim(value):
        return np.asarray(value).tolist()
    return value if isinstance(value, str) else repr(float(value))


class TensorBoard(BuiltIn):
    """Write scalars for TensorBoard into `log_dir`/train and `log_dir`/validation.

    `log_dir` ("logs"). `update_freq`: "epoch", or "batch" or a number of batches for ``batch_loss`` and its like, too.
    `write_steps_per_second` (False). Per epoch: ``epoch_loss``, each metric, ``epoch_learning_rate``. What is not
    written here is refused: `histogram_freq`, `write_images`, `embeddings_freq` and `profile_batch` must stay 0;
    `write_graph` writes nothing.
    """

    def __init__(
        self,
        log_dir: PathLike = "logs",
        histogram_freq: Natural = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: Literal["epoch", "batch"] | Count = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: Natural = 0,
        embeddings_metadata: Any = None,
    ):
        asked = {
            "histogram_freq": histogram_freq, "write_images": write_images, "profile_batch": profile_batch,
            "embeddings_freq": embeddings_freq,
        }  # fmt: skip
        for name, value in asked.items():
            if value:
                raise ValueRangeError(
                    f"TensorBoard writes scalars only, so {name} must stay 0.",
                    found=f"{name}={value!r}",
                    fix=f"leave {name} out",
                )
        self.log_dir, self.write_steps_per_second = os.fspath(log_dir), write_steps_per_second
        self.update_freq = 1 if update_freq == "batch" else update_freq
        self._open()

    def _open(self) -> None:
        self.train, self.validation = (Writer(Path(self.log_dir) / part) for part in ("train", "validation"))

    def each_batch(self, kind: str) -> bool:
        """Where batches are written."""
        return kind == "train" and self.update_freq != "epoch"

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Begin new files."""
        self._open()

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        self.began, self.steps = time.perf_counter(), self.model.iterations

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The numbers since the epoch began, at the number of steps committed."""
        if self.update_freq != "epoch" and self.model.iterations % int(self.update_freq) == 0:
            self._write(self.train, {f"batch_{name}": value for name, value in (logs or {}).items()}, None)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """The numbers of the epoch."""
        logs = logs or {}
        train = {name: value for name, value in logs.items() if not name.startswith("val_")}
        train["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            train["steps_per_second"] = (self.model.iterations - self.steps) / (time.perf_counter() - self.began)
        self._write(self.train, {f"epoch_{name}": value for name, value in train.items()}, epoch)
        held = {f"epoch_{name[4:]}": value for name, value in logs.items() if name.startswith("val_")}
        self._write(self.validation, held, epoch)

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Inside `fit`: the validation at the number of steps committed."""
        if getattr(self.model, "running", None) is not None:
            named = {f"evaluation_{name}_vs_iterations": value for name, value in (logs or {}).items()}
            self._write(self.validation, named, None)

    def _write(self, writer: Writer, values: dict[str, Any], step: int | None) -> None:
        scalars = {tag: float(value) for tag, value in values.items() if np.ndim(value) == 0}
        if scalars:
            writer.scalars(scalars, self.model.iterations if step is None else step)
