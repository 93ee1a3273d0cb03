"""The events of a training and who listens: callbacks with Keras's names and order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from ..core.arguments import checked
from ..core.errors import ArgumentError

Logs = dict[str, Any]
_BATCH_HOOKS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
    "predict": ("on_predict_batch_begin", "on_predict_batch_end"),
}
_EPOCH_HOOKS = ("on_epoch_begin", "on_epoch_end")


class Callback:
    """The base of all callbacks: override the hooks you want. `self.model` and `self.params` are set before training.

    Order: train_begin, then for each epoch epoch_begin, (train_batch_begin, train_batch_end)*, with validation
    test_begin, (test_batch_begin, test_batch_end)*, test_end, then epoch_end; at last train_end. Whoever overrides a
    hook for single batches makes the engine stop after every step. Stop a training by
    ``self.model.stop_training = True`` (read after each epoch, and after each batch where a batch hook is overridden).
    All callbacks get one `logs`: what is added to it in `on_epoch_end` stands in the History.

    >>> import backlit as bl
    >>> class Tell(bl.callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> model = bl.Sequential([bl.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit([[0.0], [1.0]], [0.0, 1.0], epochs=2, verbose=0, callbacks=[Tell()])
    0 ['loss']
    1 ['loss']
    """

    model: Any = None
    params: Mapping[str, Any] = {}
    late: ClassVar[bool] = False  # told after all the others
    at_nan: str = ""  # "end" or "raise": what a step that is not finite means to this callback

    @checked
    def __init__(self) -> None:
        """Nothing to configure, unless a subclass says so."""

    def set_model(self, model: Any) -> None:
        """Called once with the model."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called once with {"verbose", "epochs", "steps"}."""
        self.params = params

    def get_state(self) -> dict[str, Any]:
        """What a resumed training must know of this callback: numbers, text, arrays, and lists and dicts of them."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from what `get_state` said; called after `on_train_begin`."""

    def each_batch(self, kind: str) -> bool:
        """Whether a hook for single batches of `kind` ("train", "test", "predict") is overridden."""
        return overrides(self, Callback, _BATCH_HOOKS[kind])

    def each_epoch(self) -> bool:
        """Whether a hook for single epochs or training batches is overridden."""
        return overrides(self, Callback, _EPOCH_HOOKS) or self.each_batch("train")

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch, also when training was stopped early; not after an exception."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch (0, 1, …)."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; `logs` has the epoch's numbers."""

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step; an older name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; an older name of `on_train_batch_end`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a training step."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a training step; `logs` has the numbers since the epoch began."""
        self.on_batch_end(batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, also the validation inside `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation; `logs` has its numbers, without "val_"."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation; `logs` has the numbers so far."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of a prediction; `logs["outputs"]` is its output."""


def overrides(callback: Callback, base: type[Callback], hooks: Sequence[str]) -> bool:
    """Whether one of these hooks is another one than that of the class `base`."""
    return any(getattr(getattr(callback, hook), "__func__", None) is not getattr(base, hook) for hook in hooks)


HOOKS = tuple(name for name in vars(Callback) if name.startswith("on_") and callable(getattr(Callback, name)))


class Progress(Callback):
    """A callback that may be told of several steps or epochs at once: `on_steps`, `on_epochs`."""

    def on_steps(self, done: int, total: int | None, logs: Logs) -> None:
        """`done` of `total` steps of the epoch are committed; None: only its end will tell how many there are."""

    def on_epochs(self, first: int, count: int, logs: Mapping[str, Sequence[Any]]) -> None:
        """`count` epochs from `first` on have been run, where `each_epoch` says no; `logs` has the numbers of each by name."""


class Listeners:
    """All callbacks of a run, told in order: as they were given, those that are `late` last."""

    def __init__(self, callbacks: Any = None, model: Any = None, params: Mapping[str, Any] | None = None):
        self.callbacks = sorted(each_of(callbacks), key=lambda callback: callback.late)
        if params:
            self.set_params(params)
        if model is not None:
            self.set_model(model)

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Pass {"verbose", "epochs", "steps"} on."""
        self.params = params
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model: Any) -> None:
        """Pass the model on."""
        self.model = model
        for callback in self.callbacks:
            callback.set_model(model)

    def tell(self, event: str, *args: Any) -> None:
        """Call the hook `event` of every callback."""
        for callback in self.callbacks:
            getattr(callback, event)(*args)

    def each_batch(self, kind: str = "train") -> bool:
        """Whether somebody may act between two batches, so that a run is one step long."""
        return any(callback.each_batch(kind) for callback in self.callbacks)

    def steps(self, done: int, total: int | None, logs: Logs) -> None:
        """Tell those who show progress."""
        for callback in self.callbacks:
            if isinstance(callback, Progress):
                callback.on_steps(done, total, logs)

    def each_epoch(self) -> bool:
        """Whether somebody may act between two epochs, so that a run ends with the epoch."""
        return any(callback.each_epoch() for callback in self.callbacks)

    def epochs(self, first: int, count: int, logs: Mapping[str, Sequence[Any]]) -> None:
        """Tell those who take several epochs at once."""
        for callback in self.callbacks:
            if isinstance(callback, Progress):
                callback.on_epochs(first, count, logs)

    def who_at_nan(self, answer: str) -> list[Callback]:
        """The callbacks to whom a step that is not finite means `answer`: "end" or "raise"."""
        return [callback for callback in self.callbacks if callback.at_nan == answer]


def each_of(callbacks: Any) -> list[Callback]:
    """The callbacks in one callback, a list (of lists), another `Listeners`, or None."""
    if callbacks is None:
        return []
    if isinstance(callbacks, Callback):
        return [callbacks]
    if isinstance(callbacks, Listeners):
        return list(callbacks.callbacks)
    if isinstance(callbacks, (list, tuple)):
        return [callback for item in callbacks for callback in each_of(item)]
    fix = f"make one: {callbacks.__name__}(...)" if isinstance(callbacks, type) else ""
    raise ArgumentError(f"{callbacks!r} is no callback.", expected="objects of backlit.callbacks.Callback", fix=fix)
