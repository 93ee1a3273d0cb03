"""What `fit` shows and returns: the progress bar, the History, and the list that tells all callbacks."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TextIO, TypeAlias

import numpy as np

from ..core import registry
from ..core.arguments import checked, shown
from ..core.errors import ArgumentError, MissingAttributeError, did_you_mean
from ..engines.base import told
from .events import HOOKS, Callback, Listeners, Logs, Progress, overrides

__all__ = ["Callback", "CallbackList", "History", "ProgbarLogger", "Progress", "ProgressBar"]
_CELLS = 20
_REFRESH = 0.05
Verbose: TypeAlias = Literal["auto", 0, 1, 2] | bool


class History(Progress):
    """What `fit` returns: `history` has a list of numbers for each logged name, `epoch` the epochs (from 0), `params`
    the run, `engine` what ran it."""

    @checked
    def __init__(self) -> None:
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []
        self.rows: list[dict[str, Any]] = []  # what was logged, epoch by epoch
        self.params = {}
        self.engine = ""  # that ran the last training
        self.skipped_steps = 0  # steps that were not finite and therefore not written

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count the epochs of this training; numbers of an earlier one are kept, as in Keras."""
        self.engine = getattr(self.model, "engine", "")
        self.epoch, self.rows = [], []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Keep the epoch's numbers."""
        self.keep(epoch, logs or {})

    def keep(self, epoch: int, logs: Mapping[str, Any]) -> None:
        """Take the numbers of an epoch; where it is the last one already, what is new about it."""
        if self.epoch[-1:] != [epoch]:
            self.epoch.append(epoch)
            self.rows.append({})
        for key, value in logs.items():
            values = self.history.setdefault(key, [])
            if key in self.rows[-1]:
                values[-1] = value
            else:
                values.append(value)
            self.rows[-1][key] = value

    def each_epoch(self) -> bool:
        """Only where a class derived from it acts there."""
        return overrides(self, History, ("on_epoch_begin", "on_epoch_end", "keep")) or self.each_batch("train")

    def on_epochs(self, first: int, count: int, logs: Mapping[str, Sequence[Any]]) -> None:
        """Keep the numbers of these epochs."""
        self.epoch.extend(range(first, first + count))
        for key, values in logs.items():
            self.history.setdefault(key, []).extend(values)
        self.rows.extend(dict(zip(logs, each, strict=True)) for each in zip(*logs.values(), strict=True))

    def get_state(self) -> dict[str, Any]:
        """All that was logged."""
        return {"epoch": self.epoch, "rows": self.rows, "skipped_steps": self.skipped_steps}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """What was logged before the interruption."""
        self.history.clear()
        self.epoch, self.rows, self.skipped_steps = [], [], int(state["skipped_steps"])
        for epoch, row in zip(state["epoch"], state["rows"], strict=True):
            self.keep(epoch, row)

    def plot(self) -> Any:
        """Loss and metrics by epoch as a matplotlib Figure: `bl.plot.history(self)`."""
        return registry.lookup("picture.history")(self)

    def __repr__(self) -> str:
        if not self.epoch:
            return "<History: no epoch yet>"
        parts = [f"{key} {number(values[0])} -> {number(values[-1])}" for key, values in sorted(self.history.items())]
        return f"<History: {_epochs(len(self.epoch))}, {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        import html

        scalars = {key: values for key, values in sorted(self.history.items()) if np.ndim(values[0]) == 0}
        rows = "".join(
            f"<tr><th style='text-align:left'>{html.escape(key)}</th>"
            + "".join(f"<td>{number(value)}</td>" for value in (values[0], min(values), max(values), values[-1]))
            + "</tr>"
            for key, values in scalars.items()
        )
        head = "".join(f"<th>{title}</th>" for title in ("", "first", "lowest", "highest", "last"))
        return f"<table><caption>{_epochs(len(self.epoch))}</caption><tr>{head}</tr>{rows}</table>"


def _epochs(count: int) -> str:
    return f"{count} epoch{'' if count == 1 else 's'}"


def number(value: Any) -> str:
    """A logged number as Keras prints it: four decimals, or e-notation where these would show nothing."""
    if np.ndim(value):
        return "[" + " ".join(map(number, np.ravel(value).tolist())) + "]"
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


def _writable(stream: Any) -> None:
    if not all(callable(getattr(stream, each, None)) for each in ("write", "flush")):
        raise ArgumentError("the bar is written into a stream.", expected="such as sys.stderr", found=shown(stream))


class ProgressBar(Progress):
    """Keras's bar in a terminal, one line an epoch in a file or pipe, one updating line in a notebook.

    `verbose`: 0 nothing, 1 the bar, 2 one line an epoch, "auto" what fits `stream` (default: standard output).
    """

    @checked
    def __init__(self, verbose: Verbose = "auto", stream: Annotated[TextIO, _writable] | None = None):
        self.stream, self.notebook = stream or sys.stdout, stream is None and in_notebook()
        self.shown, self.handle = 0.0, None
        self.show_as(verbose)

    def show_as(self, verbose: Any) -> None:
        """Take `verbose` as the constructor does."""
        tty = getattr(self.stream, "isatty", lambda: False)()
        self.verbose = int(verbose) if verbose in (0, 1, 2) else 1 if tty or self.notebook else 2
        self.live = self.verbose == 1 and (tty or self.notebook)
        self.color = tty and not os.environ.get("NO_COLOR")

    def each_epoch(self) -> bool:
        """Where something is shown, or a class derived from it acts there."""
        return (
            self.verbose != 0
            or overrides(self, ProgressBar, ("on_epoch_begin", "on_epoch_end"))
            or self.each_batch("train")
        )

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Say what "auto" stands for."""
        if self.verbose and getattr(self.model, "engine_name", "") == "auto":
            self._write(told("auto"), end="\n")

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Write ``Epoch 3/10``."""
        self.began, self.done, self.total = time.perf_counter(), 0, self.params["steps"]
        if self.verbose and self.params["epochs"] > 1:
            self._write(f"Epoch {epoch + 1}/{self.params['epochs']}", end="\n")

    def on_steps(self, done: int, total: int | None, logs: Logs) -> None:
        """Redraw, at most twenty times a second."""
        self.done = done
        if self.live and time.perf_counter() - self.shown >= _REFRESH:
            self.shown = time.perf_counter()
            elapsed = self.shown - self.began
            left = elapsed if total is None else elapsed / done * (total - done)
            self._redraw(self._line(f"{left:.0f}s", elapsed, logs))

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """The epoch's last line, with its time and its validation."""
        elapsed = time.perf_counter() - self.began
        self.done = self.total = self.done or self.total or 0  # a stream may end early, or not say when it ends
        if self.verbose == 2:
            numbers = "".join(f" - {key}: {number(value)}" for key, value in (logs or {}).items())
            self._write(
                f"{self.total}/{self.total} - {elapsed:.0f}s - {_per_step(elapsed, self.total)}{numbers}", end="\n"
            )
        elif self.verbose:
            self._redraw(self._line(f"{elapsed:.0f}s", elapsed, logs or {}), last=True)

    def _line(self, clock: str, elapsed: float, logs: Mapping[str, Any]) -> str:
        numbers = "".join(f" - {key}: {number(value)}" for key, value in logs.items())
        if self.total is None:
            return f"{self.done:7d}/Unknown {clock} {_per_step(elapsed, self.done)}{numbers}"
        full = _CELLS * self.done // max(self.total, 1)
        done, rest = "━" * full, "━" * (_CELLS - full)
        bar = f"\033[32m{done}\033[0m\033[37m{rest}\033[0m" if self.color else done.ljust(_CELLS)
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


class ProgbarLogger(ProgressBar):
    """Keras's name for the bar; it shows what `verbose` of `fit` asks for."""

    @checked
    def __init__(self) -> None:
        super().__init__()

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Take `verbose` from the run."""
        super().set_params(params)
        self.show_as(params["verbose"])


class CallbackList(Listeners):
    """Several callbacks told as one, for a training loop of your own: ``each.on_epoch_end(epoch, logs)`` tells all.

    `callbacks`: one, or a list (of lists). `add_history`, `add_progbar` (False): put a History or a progress bar at
    the end where none is given. `model`, and as `params` verbose, epochs and steps: what the callbacks are told.

    >>> import backlit as bl
    >>> each = bl.callbacks.CallbackList([bl.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: print(logs))])
    >>> each.on_epoch_end(0, {"loss": 0.5})
    {'loss': 0.5}
    """

    @checked
    def __init__(
        self,
        callbacks: Any = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ):
        super().__init__(callbacks)
        if add_history and not any(isinstance(callback, History) for callback in self.callbacks):
            self.append(History())
        if add_progbar and not any(isinstance(callback, ProgressBar) for callback in self.callbacks):
            self.append(ProgressBar(params.get("verbose", "auto")))
        if params:
            self.set_params(params)
        if model is not None:
            self.set_model(model)

    @checked
    def append(self, callback: Callback) -> None:
        """Put a callback behind the others, before those that come late."""
        self.callbacks = sorted([*self.callbacks, callback], key=lambda each: each.late)

    @property
    def history(self) -> Any:
        """The first History among the callbacks, or None."""
        return next((callback for callback in self.callbacks if isinstance(callback, History)), None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        if name not in HOOKS:
            raise MissingAttributeError(f"a CallbackList has no {name!r}.", fix=did_you_mean(name, HOOKS))
        return lambda *args, **named: self.tell(name, *args, *named.values())
