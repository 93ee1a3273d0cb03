"""The one training loop. It runs steps through an engine, tells events, and holds no arithmetic on parameters."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ColumnWarning, DataError
from ..core.node import Leaf, warn
from ..core.shapes import bind
from ..engines.base import Program, Run, Source
from . import epochs
from .batches import Batches
from .door import refuse
from .events import Listeners, Logs
from .fitting import FitPlan
from .step import Step

_RUN_SECONDS = 0.05  # how long one run of steps may last, for Ctrl-C and the bar


@dataclass
class Job:
    """One `fit`: what to run, on what, how long."""

    model: Any
    step: Step
    program: Program
    batches: Batches
    plan: FitPlan
    listeners: Listeners
    validate: Callable[[], Logs] | None = None
    pace: int = 1  # how many steps a run has: as many as take `_RUN_SECONDS`
    may_join: bool = False  # whether several epochs may be one run
    resume: tuple[int, int] | None = None  # the epoch and the steps of it that an interrupted training had behind it
    watch: Any = None  # who follows the training: `note(run)` is told of every run, and none goes past step `due`

    @property
    def free(self) -> int:
        """How many steps the next run may have."""
        return self.pace if self.watch is None else max(1, min(self.pace, self.watch.due - self.model.iterations))

    def set_pace(self, steps: int, seconds: float) -> None:
        """Choose the length of the next runs by how long one took, unless it was cut short by the end of an epoch."""
        if 2 * steps > self.pace or seconds > _RUN_SECONDS:
            self.pace = max(1, min(2 * steps, int(steps * _RUN_SECONDS / max(seconds, 1e-6))))

    def reseed(self, seed: int) -> None:
        """Go on with the seed of an interrupted training."""
        if seed != self.model.seed:
            self.model.seed = seed
            self.step, self.program = self.model.step("train", self.batches.weights)


def train(job: Job) -> None:
    """Run all epochs. Whatever stops it, the parameters are those of the last committed step."""
    model, listeners = job.model, job.listeners
    model.stop_training, model.running = False, job
    try:
        listeners.tell("on_train_begin", {})
        epoch, done = job.resume or (job.plan.epochs.start, 0)
        if job.resume:
            job.batches.skip(epoch - job.plan.epochs.start)
        job.may_join = epochs.joinable(job)
        job.pace = max(1, model.rows_at_once // max(1, job.batches.size["batch_size"]))
        logs: Logs = {}
        while epoch < job.plan.epochs.stop:
            count = 1 if done else epochs.at_once(job, epoch)
            complete = 0
            if count > 1:
                complete, done = _run_epochs(job, epoch, count)
                epoch, logs = epoch + complete, means(job.step)
            if complete < count:  # one by itself, or the rest of one from a step on that is not finite
                told = _one_epoch(job, epoch, done)
                if told is None:
                    break
                epoch, done, logs = epoch + 1, 0, told
            if model.stop_training:
                break
        model.optimizer.finalize()
        listeners.tell("on_train_end", logs)
        model.rows_at_once = job.pace * job.batches.size["batch_size"]
    except BaseException:
        if job.watch is not None:
            job.watch.let_go()
        raise
    finally:
        model.running = None


def _one_epoch(job: Job, epoch: int, done: int) -> Logs | None:
    """An epoch from its step `done` on, with all its events; its numbers, or None where there is no batch left."""
    model, listeners, source = job.model, job.listeners, job.batches.epoch(epoch)
    if not done and not source.ready(0, 1):
        _warn_of_the_end(job, epoch, done)
        return None
    listeners.tell("on_epoch_begin", epoch, {})
    if not done:
        reset(job.step)
    broken = _run_epoch(job, epoch, source, done)
    logs = {**means(job.step), **broken}
    if job.validate is not None and job.plan.checks(epoch):
        logs.update({f"val_{key}": value for key, value in _numbers(job.validate()).items()})
    model.epochs_done = epoch + 1
    listeners.tell("on_epoch_end", epoch, logs)
    return logs


def _run_epochs(job: Job, first: int, count: int) -> tuple[int, int]:
    """So many epochs in one run: (how many are complete, how many steps of the next one are committed)."""
    batches: Any = job.batches
    steps, source = batches.steps * count, batches.passes(first, count)
    began = time.perf_counter()
    with _whole_steps():
        run = job.program.run(source, 0, steps, _scalars(job, steps))
        job.model.iterations += run.committed
        complete = epochs.keep(job, first, run)
    seconds = time.perf_counter() - began
    if job.watch is not None:
        job.watch.note(run)
    if run.committed == steps:
        job.set_pace(steps, seconds)
    else:
        job.pace = max(1, run.committed)  # the next step that is not finite may be as near
    return complete, run.committed - complete * batches.steps


def _warn_of_the_end(job: Job, epoch: int, steps: int) -> None:
    warn(
        f"the stream ended after {steps} steps of epoch {epoch + 1}, and the training with it. For {job.plan.epochs.stop} "
        "epochs let it go on longer, or pass something that can be read again, such as the function that makes it.",
        ColumnWarning,
    )


def one_batch(job: Job) -> Logs:
    """The first batch of the job as one step; returns its numbers. Nothing is counted as an epoch."""
    reset(job.step)
    _run_epoch(job, 0, job.batches.epoch(0), 0)
    return results(job.step)


def evaluate(job: Job) -> Logs:
    """The logged numbers of the job's batches in inference mode, told to its listeners."""
    model, listeners, each = job.model, job.listeners, job.listeners.each_batch("test")
    model.stop_evaluating = False
    listeners.tell("on_test_begin", {})
    reset(job.step)
    source, done = job.batches.epoch(0), 0
    size = 1 if each else job.batches.at_once
    while steps := source.ready(done, size):
        if each:
            listeners.tell("on_test_batch_begin", done, {})
        job.program.run(source, done, steps, {})
        done += steps
        if each:
            listeners.tell("on_test_batch_end", done - 1, means(job.step))
        if each and model.stop_evaluating:
            break
    if not done:
        raise refuse(DataError("the stream gave no batch to evaluate.", expected="(x, y) again and again"), "empty")
    if job.batches.asked is not None and done < job.batches.asked and not model.stop_evaluating:
        warn(f"the stream ended after {done} of {job.batches.asked} batches to evaluate.", ColumnWarning)
    listeners.tell("on_test_end", means(job.step))
    return results(job.step)


def predict(model: Any, run: Callable[[Any], list[Any]], batches: Iterable[Any], listeners: Listeners) -> list[Any]:
    """The outputs of `run` for each batch, told to the listeners."""
    model.stop_predicting = False
    listeners.tell("on_predict_begin", {})
    chunks = []
    for batch, arrays in enumerate(batches):
        listeners.tell("on_predict_batch_begin", batch, {})
        chunks.append(run(arrays))
        outputs = chunks[-1][0] if len(chunks[-1]) == 1 else chunks[-1]
        listeners.tell("on_predict_batch_end", batch, {"outputs": outputs})
        if model.stop_predicting:
            break
    listeners.tell("on_predict_end", {})
    return chunks


def reset(step: Step) -> None:
    """Forget what was summed."""
    for sums in step.sums.values():
        sums.reset()


def means(step: Step) -> Logs:
    """The logged numbers of the epoch so far, sorted by name."""
    return _numbers(results(step))


def results(step: Step) -> Logs:
    """The same, and metrics that are arrays, such as a confusion matrix."""
    return {key: step.sums[key].mean for key in sorted(step.sums)}


def _numbers(logs: Logs) -> Logs:
    return {key: float(np.asarray(value).item()) for key, value in logs.items() if np.size(value) == 1}


@contextmanager
def _whole_steps() -> Iterator[None]:
    """Ctrl-C waits until the end of the block, so that it never cuts a step in two; a second one does not wait."""
    usual = signal.getsignal(signal.SIGINT)
    if not callable(usual) or threading.current_thread() is not threading.main_thread():
        yield
        return
    pressed: list[Any] = []

    def wait(number: int, frame: Any) -> None:
        if pressed:
            usual(number, frame)
        pressed.append(frame)

    signal.signal(signal.SIGINT, wait)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if pressed:
        usual(signal.SIGINT, pressed[0])


def _run_epoch(job: Job, epoch: int, source: Source, done: int) -> Logs:
    """The steps of an epoch from `done` on; returns what is to be logged of a step that ended the training."""
    each, steps = job.listeners.each_batch("train"), job.batches.steps
    while True:
        began = time.perf_counter()
        count = source.ready(done, 1 if each else job.free)
        if not count:
            break
        if each:
            job.listeners.tell("on_train_batch_begin", done, {})
        with _whole_steps():
            run = job.program.run(source, done, count, _scalars(job, count))
            job.model.iterations += run.committed
        seconds = time.perf_counter() - began
        if job.watch is not None:
            job.watch.note(run)
        done += run.committed
        broken: Logs = {}
        if run.committed < count:
            broken = _nonfinite(job, source, done, run)
            done += 1
        logs = {**means(job.step), **broken}
        for callback in job.listeners.callbacks if each else job.listeners.who_at_nan("end") if broken else ():
            callback.on_train_batch_end(done - 1, logs)
        job.listeners.steps(done, steps, logs)
        if (each or broken) and job.model.stop_training:
            return broken
        job.set_pace(count, seconds)
    if job.batches.asked is not None and done < job.batches.asked:
        _warn_of_the_end(job, epoch, done)
        job.model.stop_training = True
    return {}


def _scalars(job: Job, count: int) -> Mapping[Leaf, Any]:
    """The learning rate and the step number t = 1, 2, … of the next `count` steps."""
    assert job.step.rate is not None and job.step.number is not None
    first = job.model.iterations + 1
    return {
        job.step.rate: job.model.optimizer.learning_rates(job.model.iterations, count),
        job.step.number: np.arange(first, first + count, dtype=np.float64),
    }


def _nonfinite(job: Job, source: Source, step: int, run: Run) -> Logs:
    """A step that was not committed: raise, naming the first bad node, or count it; returns its loss where it is to end
    the training, NaN for a gradient that is not finite."""
    quiet, loud = (job.listeners.who_at_nan(answer) for answer in ("end", "raise"))
    if (quiet or job.plan.skip_nonfinite) and not loud:
        job.model.history.skipped_steps += 1
        loss = float(run.table[-1][0])
        return {"loss": loss if not math.isfinite(loss) else math.nan} if quiet else {}
    buffers = [np.empty(bind(leaf.shape, source.rows(step)), leaf.dtype) for leaf in job.step.columns]
    source.fill(step, buffers)
    feed: dict[Leaf, Any] = dict(zip(job.step.columns, buffers, strict=True))
    feed.update({leaf: vector[0] for leaf, vector in _scalars(job, 1).items()})
    loss, norm = run.table[-1][:2]
    error = registry.lookup("function.nonfinite_error")(
        job.step.graph,
        feed,
        f"step {job.model.iterations + 1}: the loss is {loss:g} and the gradient norm {norm:g}; "
        "nothing of it was written.",
    )
    raise refuse(error, "finite step")
