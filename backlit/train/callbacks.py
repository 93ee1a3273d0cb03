"""Callbacks that watch a training and act on it, with Keras's names, arguments, decisions and words."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np

from ..core.arguments import Interval, Natural, NotNegative, checked, shown, takes
from ..core.errors import ArgumentError, NonFiniteError, UnknownNameError, ValueRangeError, did_you_mean
from ..core.record import Record, snake
from .events import HOOKS, Callback, Logs

__all__ = [
    "EarlyStopping", "LambdaCallback", "LearningRateScheduler", "ReduceLROnPlateau", "SwapEMAWeights",
    "TerminateOnNaN",
]  # fmt: skip
Mode: TypeAlias = Literal["auto", "min", "max"]
Verbose: TypeAlias = int | bool
# Words of the names of metrics that say which way is better.
_FALLS = r"loss|error|mae|mse|rmse|mape|msle|.*entropy|ce|hinge|divergence|kl|poisson|logcosh|cosh|rate|false"
_GROWS = r"acc.*|auc|precision|recall|sensitivity|specificity|f1|fbeta|f|r2|iou|similarity|kappa|mcc|top|topk|true"


class BuiltIn(Callback, Record):
    """The base of the callbacks that come with the library: their arguments are checked and shown."""

    family = "callback"
    kept: ClassVar[tuple[str, ...]] = ()  # the attributes that a resumed training must know

    def get_state(self) -> dict[str, Any]:
        """The attributes named in `kept`."""
        return {name: getattr(self, name) for name in self.kept}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Take the attributes named in `kept`."""
        for name in self.kept:
            setattr(self, name, state[name])


class Monitor(BuiltIn):
    """The base of callbacks that compare one logged number with the best so far.

    `mode`: "min", "max", or "auto", which knows by the name whether the number is to fall (losses, errors) or to grow
    (accuracy, AUC, …), and refuses a name that it cannot know. Better means better by more than `min_delta`; NaN is
    never better.
    """

    @checked
    def __init__(self, monitor: str, mode: Mode, min_delta: float = 0):
        self.monitor, self.mode, self.min_delta = monitor, mode, abs(min_delta)

    def current(self, logs: Mapping[str, Any]) -> float | None:
        """The monitored number; None where validation is not due after this epoch.

        Raises UnknownNameError, naming what is logged, where nothing of that name is; ValueRangeError where `mode` is
        "auto" and nobody knows which way is better.
        """
        if self.monitor in logs:
            _ = self.grows
            return float(logs[self.monitor])
        running = getattr(self.model, "running", None)
        if running is not None and running.validate is not None and self.monitor.removeprefix("val_") in logs:
            return None
        raise not_logged(f"{type(self).__name__} monitors {self.monitor!r}", self.monitor, logs)

    def better(self, value: float, reference: float | None) -> bool:
        """Whether `value` is an improvement over `reference`; anything is one over None."""
        if reference is None or math.isnan(reference):
            return not math.isnan(value)
        return value - self.min_delta > reference if self.grows else value + self.min_delta < reference

    @property
    def grows(self) -> bool:
        """Whether the monitored number is to grow."""
        return self.mode == "max" or (self.mode == "auto" and usually_grows(type(self).__name__, self.monitor, self.model))


def not_logged(what: str, name: str, logs: Mapping[str, Any]) -> UnknownNameError:
    """The error for a name that is not logged: what is, and how to have it logged."""
    if name.startswith("val_") and not any(key.startswith("val_") for key in logs):
        fix = "give fit validation_data or validation_split, or take 'loss'"
    else:
        fix = did_you_mean(name, logs) or "take one of these"
    return UnknownNameError(f"{what}, which is not logged.", expected=", ".join(sorted(logs)), fix=fix)


def usually_grows(who: str, monitor: str, model: Any) -> bool:
    """Whether the number of that name is to grow: by its metric, if that says so, else by the words of its name. Raises
    ValueRangeError where neither tells."""
    plain = monitor.removeprefix("val_")
    if plain == "loss" or plain.endswith("_loss"):
        return False
    metric = _metric(model, plain)
    said = getattr(metric, "direction", None)
    if said in ("up", "down"):
        return bool(said == "up")
    names = [plain] if metric is None else [plain, snake(type(metric).__name__)]
    words = [word for name in names for word in name.lower().split("_")]
    for pattern, grows in ((_FALLS, False), (_GROWS, True)):
        if any(re.fullmatch(pattern, word) for word in words):
            return grows
    raise ValueRangeError(
        f"{who} cannot know whether {monitor!r} is to fall or to grow.", fix="mode='min' if less is better, else 'max'"
    )


def _metric(model: Any, name: str) -> Any:
    """The metric that is logged under that name, if there is one."""
    heads = getattr(model, "heads", None) or []
    alone = len(heads) == 1
    logged = {head.named(key, alone): m for head in heads for key, m in {**head.metrics, **head.weighted}.items()}
    return logged.get(name)


class EarlyStopping(Monitor):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs.

    `monitor` ("val_loss"), `min_delta` (0), `patience` (0: stop at the first epoch without improvement), `verbose` (0;
    1 says so), `mode` ("auto"): see `Monitor`. `baseline` (None): only a number better than that is progress at all.
    `restore_best_weights` (False): put the weights of the best epoch back, whichever way the training ends.
    `start_from_epoch` (0): epochs before that one are not looked at.

    After the training `best`, `best_epoch` and `stopped_epoch` (0: not stopped early) count epochs from 0.
    """

    kept = ("wait", "best", "best_epoch", "stopped_epoch", "best_weights")

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: Natural = 0,
        verbose: Verbose = 0,
        mode: Mode = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: Natural = 0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self._forget()

    def _forget(self) -> None:
        self.wait, self.best_epoch, self.stopped_epoch = 0, 0, 0
        self.best: float | None = None
        self.best_weights: list[Any] | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training."""
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one."""
        value = self.current(logs or {})
        if value is None or epoch < self.start_from_epoch:
            return
        better = self.better(value, self.best)
        if self.restore_best_weights and (better or self.best_weights is None):
            self.best_weights, self.best_epoch = self.model.get_weights(), epoch
        self.wait += 1
        if better:
            self.best, self.best_epoch = value, epoch
            if self.baseline is None or self.better(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Put the best weights back."""
        if self.verbose and self.stopped_epoch:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self.best_weights is not None:
            if self.verbose:
                print(f"Restoring model weights from the end of the best epoch: {self.best_epoch + 1}.")
            self.model.set_weights(self.best_weights)


class ReduceLROnPlateau(Monitor):
    """Multiply the learning rate by `factor` when `monitor` has not improved for `patience` epochs.

    `monitor` ("val_loss"), `factor` (0.1, between 0 and 1), `patience` (10), `verbose` (0; 1 says so), `mode` ("auto"),
    `min_delta` (0.0001): see `Monitor`. `cooldown` (0): so many epochs after a reduction nothing is counted. `min_lr`
    (0.0): the rate never falls below. The rate is logged as "learning_rate".
    """

    kept = ("wait", "best", "cooldown_counter")

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: Annotated[float, Interval(0, 1, above=True, below=True)] = 0.1,
        patience: Natural = 10,
        verbose: Verbose = 0,
        mode: Mode = "auto",
        min_delta: float = 1e-4,
        cooldown: Natural = 0,
        min_lr: NotNegative = 0.0,
    ):
        super().__init__(monitor, mode, min_delta)
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self._forget()

    def _forget(self) -> None:
        self.wait, self.cooldown_counter = 0, 0
        self.best: float | None = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training. Refuse an optimizer whose rate follows a schedule of its own."""
        _settable_rate(self)
        self._forget()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.current(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
            self.wait = 0
        if self.better(value, self.best):
            self.best, self.wait = value, 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        rate = float(self.model.optimizer.learning_rate)
        if rate > self.min_lr:
            self.model.optimizer.learning_rate = new = max(rate * self.factor, self.min_lr)
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {new}.")

    def in_cooldown(self) -> bool:
        """Whether the last reduction is too recent."""
        return self.cooldown_counter > 0


def _settable_rate(callback: Callback) -> None:
    """ArgumentError where a schedule sets the rate already."""
    if getattr(getattr(callback.model, "optimizer", None), "schedule", None) is not None:
        raise ArgumentError(
            f"{type(callback).__name__} cannot set the learning rate.",
            found=f"a schedule: {callback.model.optimizer.schedule!r}",
            fix="give the optimizer a number as its learning_rate, or leave the callback out",
        )


class LearningRateScheduler(BuiltIn):
    """Before each epoch set the learning rate to ``schedule(epoch, rate)``, or ``schedule(epoch)``; epochs from 0.

    `verbose` (0): 1 says so each time. The rate is logged as "learning_rate".
    """

    def __init__(self, schedule: Callable[..., float], verbose: Verbose = 0):
        self.schedule, self.verbose = schedule, verbose
        self._old = not takes(schedule, 2)
        if self._old and not takes(schedule, 1):
            raise ArgumentError("the schedule must be a function of (epoch, rate).", found=shown(schedule))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuse an optimizer whose rate follows a schedule of its own."""
        _settable_rate(self)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate."""
        optimizer = self.model.optimizer
        rate = self.schedule(epoch) if self._old else self.schedule(epoch, float(optimizer.learning_rate))
        rate = rate.item() if isinstance(rate, (np.ndarray, np.generic)) and np.ndim(rate) == 0 else rate
        if not isinstance(rate, Real) or isinstance(rate, bool):
            raise ValueRangeError(
                "the schedule must return the learning rate.", expected="a number above 0", found=repr(rate)
            )
        optimizer.learning_rate = float(rate)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Log the rate."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class TerminateOnNaN(BuiltIn):
    """End the training quietly at the first step whose loss or gradient is NaN or infinite; the step is not written.

    Without this callback such a step raises NonFiniteError, which names the first operation that went wrong; so does
    `raise_error=True` (default False), whatever `doctor` says.
    """

    def __init__(self, raise_error: bool = False):
        self.raise_error = raise_error
        self.at_nan = "raise" if raise_error else "end"

    def each_batch(self, kind: str) -> bool:
        """No: the loop itself tells of a step that is not finite."""
        return False

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Stop where the loss is not finite."""
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise NonFiniteError(f"NaN or Inf loss encountered at batch {batch}. Loss value: {loss}.")
        print(f"Batch {batch}: Invalid loss, terminating training")
        self.model.stop_training = True


class LambdaCallback(BuiltIn):
    """A callback from functions, one for each hook by its name: ``LambdaCallback(on_epoch_end=lambda epoch, logs: …)``.

    Any hook of `Callback` may be given. Functions of epochs and batches take (number, logs), the others (logs).
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **kwargs: Callable[..., Any],
    ):
        given = {
            "on_epoch_begin": on_epoch_begin, "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin, "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin, "on_train_batch_end": on_train_batch_end,
        }  # fmt: skip
        for hook, function in {**given, **kwargs}.items():
            if hook not in HOOKS:
                raise ArgumentError(f"a callback has no hook {hook!r}.", fix=did_you_mean(hook, HOOKS))
            if function is not None:
                if not takes(function, 2 if "epoch" in hook or "batch" in hook else 1):
                    expected = "(number, logs)" if "epoch" in hook or "batch" in hook else "(logs)"
                    raise ArgumentError(f"{hook} must be a function of {expected}.", found=shown(function))
                setattr(self, hook, function)

    def __repr__(self) -> str:
        return f"LambdaCallback({', '.join(f'{hook}=...' for hook in HOOKS if hook in vars(self))})"


class SwapEMAWeights(BuiltIn):
    """Evaluate and predict with the optimizer's moving averages (`use_ema=True`) in place of the weights.

    The averages are put in before an evaluation and taken out after it. `swap_on_epoch` (False): they stay in from the
    end of each epoch to the begin of the next, so that a ModelCheckpoint behind this callback saves them.
    """

    kept = ("weights",)

    def __init__(self, swap_on_epoch: bool = False):
        self.swap_on_epoch = swap_on_epoch
        self.weights: list[Any] | None = None  # what training goes on with, while the averages are in the model

    def _averages_in(self) -> None:
        if self.weights is not None:
            return
        slots = self.model.slots()
        if not slots or any("average" not in each for each in slots.values()):
            raise ValueRangeError(
                "SwapEMAWeights needs an optimizer that keeps moving averages.",
                found=repr(self.model.optimizer),
                fix="give the optimizer use_ema=True",
            )
        self.weights = [np.array(parameter.array) for parameter in slots]
        for parameter, each in slots.items():
            parameter.assign(each["average"].array)

    def _averages_out(self) -> None:
        if self.weights is not None:
            for parameter, value in zip(self.model.slots(), self.weights, strict=True):
                parameter.assign(value)
        self.weights = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget an earlier training."""
        self.weights = None

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Go on training with the weights."""
        self._averages_out()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Show the averages to the callbacks that follow."""
        if self.swap_on_epoch:
            self._averages_in()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Leave the averages where they are: the optimizer itself puts them into the model when training ends."""
        self.weights = None

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Put the averages in."""
        self._averages_in()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Take them out."""
        self._averages_out()

    on_predict_begin, on_predict_end = on_test_begin, on_test_end
