"""The events of a training and who listens: callbacks with Keras's names and order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..core.errors import ArgumentError

Logs = Mapping[str, float]
_BATCH_HOOKS = ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end")


class Callback:
    """The base of all callbacks: override the hooks you want. `self.model` and `self.params` are set before training.

    Stop a training by ``self.model.stop_training = True``.
    """

    model: Any = None
    params: Mapping[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called once with the model."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called once with {"verbose", "epochs", "steps"}."""
        self.params = params

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also when training was stopped early."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch (0, 1, …)."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; `logs` has the epoch's means."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; `logs` has the means since the epoch began."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation."""


class Progress(Callback):
    """A callback that may be told of several steps at once: `on_steps(done, total, logs)`."""

    def on_steps(self, done: int, total: int, logs: Logs) -> None:
        """`done` of `total` steps of the epoch are committed."""


class Listeners:
    """All callbacks of a training, told in order."""

    def __init__(self, callbacks: Iterable[Any], model: Any, params: Mapping[str, Any]):
        self.all = list(callbacks)
        for callback in self.all:
            if not isinstance(callback, Callback):
                raise ArgumentError(f"{callback!r} is no callback.", expected="objects of backlit.callbacks.Callback")
            callback.set_params(params)
            callback.set_model(model)

    def tell(self, event: str, *args: Any) -> None:
        """Call the hook `event` of every callback."""
        for callback in self.all:
            getattr(callback, event)(*args)

    @property
    def each_batch(self) -> bool:
        """Whether somebody may act between two steps, so that a run is one step long."""
        return any(
            getattr(type(callback), hook) is not getattr(Callback, hook)
            for callback in self.all
            for hook in _BATCH_HOOKS
        )

    def steps(self, done: int, total: int, logs: Logs) -> None:
        """Tell those who show progress."""
        for callback in self.all:
            if isinstance(callback, Progress):
                callback.on_steps(done, total, logs)
