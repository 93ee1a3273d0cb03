"""Callbacks that come with the library: History, the progress bar, early stopping."""

from __future__ import annotations

import html
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, TextIO

import numpy as np

from ..core.errors import UnknownNameError, ValueRangeError, did_you_mean
from .events import Callback, Logs, Progress

__all__ = ["Callback", "EarlyStopping", "History", "Progress", "ProgressBar"]
_CELLS = 20
_REFRESH = 0.05
_MODES = ("auto", "min", "max")


class History(Callback):
    """What `fit` returns: `history` has a list of numbers for each logged name, `epoch` the epochs (from 0), `params`
    the run."""

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []
        self.params = {}
        self.skipped_steps = 0  # steps that were not finite and therefore not written, with `doctor="off"`

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the epoch's numbers."""
        self.epoch.append(epoch)
        for key, value in (logs or {}).items():
            self.history.setdefault(key, []).append(value)

    def __repr__(self) -> str:
        if not self.epoch:
            return "<History: no epoch yet>"
        parts = [f"{key} {number(values[0])} -> {number(values[-1])}" for key, values in sorted(self.history.items())]
        return f"<History: {len(self.epoch)} epochs, {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            + "".join(f"<td>{number(value)}</td>" for value in (values[0], min(values), max(values), values[-1]))
            + "</tr>"
            for key, values in sorted(self.history.items())
        )
        head = "".join(f"<th>{title}</th>" for title in ("", "first", "lowest", "highest", "last"))
        return f"<table><caption>{len(self.epoch)} epochs</caption><tr>{head}</tr>{rows}</table>"


def number(value: float) -> str:
    """A logged number as Keras prints it: four decimals, or e-notation where these would show nothing."""
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


def _per_step(seconds: float, steps: int) -> str:
    each = seconds / max(steps, 1)
    return (
        f"{each:.0f}s/step" if each >= 1 else f"{each * 1e3:.0f}ms/step" if each >= 1e-3 else f"{each * 1e6:.0f}us/step"
    )


def in_notebook() -> bool:
    """Whether this runs in a notebook that can update what it shows."""
    shell = sys.modules.get("IPython")
    return shell is not None and type(shell.get_ipython()).__name__ == "ZMQInteractiveShell"


class ProgressBar(Progress):
    """Keras's bar in a terminal, one line an epoch in a file or pipe, one updating line in a notebook.

    `verbose`: 0 nothing, 1 the bar, 2 one line an epoch, "auto" what fits `stream` (default: standard output).
    """

    def __init__(self, verbose: Any = "auto", stream: TextIO | None = None):
        self.stream = stream or sys.stdout
        tty = getattr(self.stream, "isatty", lambda: False)()
        self.notebook = stream is None and in_notebook()
        self.verbose = (
            verbose if verbose in (0, 1, 2) and not isinstance(verbose, bool) else (1 if tty or self.notebook else 2)
        )
        self.live = self.verbose == 1 and (tty or self.notebook)
        self.color = tty and not os.environ.get("NO_COLOR")
        self.shown, self.handle = 0.0, None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Write ``Epoch 3/10``."""
        self.began, self.done, self.total = time.perf_counter(), 0, self.params["steps"]
        if self.verbose and self.params["epochs"] > 1:
            self._write(f"Epoch {epoch + 1}/{self.params['epochs']}", end="\n")

    def on_steps(self, done: int, total: int, logs: Logs) -> None:
        """Redraw, at most twenty times a second."""
        self.done = done
        if self.live and time.perf_counter() - self.shown >= _REFRESH:
            self.shown = time.perf_counter()
            elapsed = self.shown - self.began
            self._redraw(self._line(f"{elapsed / done * (total - done):.0f}s", elapsed, logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """The epoch's last line, with its time and its validation."""
        elapsed = time.perf_counter() - self.began
        self.done = self.total
        if self.verbose == 2:
            numbers = "".join(f" - {key}: {number(value)}" for key, value in (logs or {}).items())
            self._write(
                f"{self.total}/{self.total} - {elapsed:.0f}s - {_per_step(elapsed, self.total)}{numbers}", end="\n"
            )
        elif self.verbose:
            self._redraw(self._line(f"{elapsed:.0f}s", elapsed, logs or {}), last=True)

    def _line(self, clock: str, elapsed: float, logs: Mapping[str, float]) -> str:
        full = _CELLS * self.done // max(self.total, 1)
        bar = "━" * full
        if self.color:
            bar = f"\033[32m{bar}\033[0m\033[37m{'━' * (_CELLS - full)}\033[0m"
        else:
            bar = bar + " " * (_CELLS - full)
        numbers = "".join(f" - {key}: {number(value)}" for key, value in logs.items())
        return f"{self.done}/{self.total} {bar} {clock} {_per_step(elapsed, self.done)}{numbers}"

    def _redraw(self, line: str, last: bool = False) -> None:
        if self.notebook:
            self._show(line)
        elif self.live:
            self._write("\r\033[K" + line, end="\n" if last else "")
        elif last:
            self._write(line, end="\n")

    def _show(self, line: str) -> None:
        from IPython.display import display

        text = {"text/plain": f"Epoch {line}"}
        if self.handle is None:
            self.handle = display(text, raw=True, display_id=True)
        else:
            self.handle.update(text, raw=True)

    def _write(self, text: str, end: str) -> None:
        if not self.notebook:
            self.stream.write(text + end)
            self.stream.flush()


class EarlyStopping(Callback):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    `mode`: "min", "max", or "auto" (by the name: accuracy, auc, precision, recall and r2 are to grow). With
    `restore_best_weights` the weights of the best epoch are put back, whichever way the training ends.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ):
        self.monitor, self.min_delta, self.patience, self.verbose = monitor, abs(min_delta), patience, verbose
        if mode not in _MODES:
            raise ValueRangeError(
                f"there is no mode {mode!r}.", expected=", ".join(_MODES), fix=did_you_mean(mode, _MODES)
            )
        grows = any(word in monitor for word in ("acc", "auc", "precision", "recall", "r2", "f1"))
        self.sign = -1.0 if mode == "max" or (mode == "auto" and grows) else 1.0
        self.baseline, self.restore, self.start = baseline, restore_best_weights, start_from_epoch

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training."""
        self.wait, self.best_epoch, self.stopped_epoch = 0, 0, 0
        self.best = np.inf if self.baseline is None else self.sign * self.baseline
        self.best_weights: list[Any] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one."""
        if self.monitor not in (logs or {}):
            raise UnknownNameError(
                f"EarlyStopping watches {self.monitor!r}, which is not logged.",
                expected=", ".join(logs or {}),
                fix=did_you_mean(self.monitor, logs or {}) or "give fit validation data, or monitor='loss'",
            )
        if epoch < self.start:
            return
        value = (logs or {})[self.monitor]
        self.wait += 1
        if self.sign * value < self.best - self.min_delta:
            self.best, self.best_epoch, self.wait = self.sign * value, epoch, 0
            self.best_weights = self.model.get_weights() if self.restore else None
        if self.wait >= max(self.patience, 1) and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put the best weights back."""
        if self.verbose and self.stopped_epoch:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)
