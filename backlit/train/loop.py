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

from ..core.node import Leaf
from ..core.shapes import bind
from ..engines.base import Arrays, Program, Run
from ..engines.function import nonfinite_error
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
    columns: list[Any]
    plan: FitPlan
    listeners: Listeners
    validate: Callable[[], Logs] | None = None
    weights: tuple[Any, ...] = ()  # as `Model.step` takes them
    resume: tuple[int, int] | None = None  # the epoch and the steps of it that an interrupted training had behind it

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        all_rows = -(-len(self.columns[0]) // self.plan.batch)
        return all_rows if self.plan.steps is None else min(self.plan.steps, all_rows)

    def reseed(self, seed: int) -> None:
        """Go on with the seed of an interrupted training."""
        if seed != self.model.seed:
            self.model.seed = seed
            self.step, self.program = self.model.step("train", self.weights)


def permutation(seed: int, epoch: int, rows: int) -> Any:
    """The order of the examples in an epoch: of (seed, epoch) alone."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(rows)


def train(job: Job) -> None:
    """Run all epochs. Whatever stops it, the parameters are those of the last committed step."""
    model, listeners = job.model, job.listeners
    model.stop_training, model.running = False, job
    try:
        listeners.tell("on_train_begin", {})
        logs: Logs = {}
        first, done = job.resume or (job.plan.epochs.start, 0)
        for epoch in range(first, job.plan.epochs.stop):
            listeners.tell("on_epoch_begin", epoch, {})
            if not done:
                reset(job.step)
            broken, done = _run_epoch(job, epoch, done), 0
            logs = {**means(job.step), **broken}
            if job.validate is not None and job.plan.checks(epoch):
                logs.update({f"val_{key}": value for key, value in _numbers(job.validate()).items()})
            model.epochs_done = epoch + 1
            listeners.tell("on_epoch_end", epoch, logs)
            if model.stop_training:
                break
        model.optimizer.finalize()
        listeners.tell("on_train_end", logs)
    finally:
        model.running = None


def one_batch(job: Job) -> Logs:
    """The job's columns as one step; returns its numbers. Nothing is counted as an epoch."""
    reset(job.step)
    _run_epoch(job, 0, 0)
    return results(job.step)


def evaluate(job: Job) -> Logs:
    """The logged numbers of the job's columns in inference mode, told to its listeners."""
    model, listeners, each, steps = job.model, job.listeners, job.listeners.each_batch("test"), job.steps
    model.stop_evaluating = False
    listeners.tell("on_test_begin", {})
    reset(job.step)
    source = Arrays(job.columns, job.plan.batch)
    for batch in range(steps if each else 0):
        listeners.tell("on_test_batch_begin", batch, {})
        job.program.run(source, batch, 1, {})
        listeners.tell("on_test_batch_end", batch, means(job.step))
        if model.stop_evaluating:
            break
    if not each:
        job.program.run(source, 0, steps, {})
    listeners.tell("on_test_end", means(job.step))
    return results(job.step)


def predict(model: Any, run: Callable[[slice], list[Any]], parts: Iterable[slice], listeners: Listeners) -> list[Any]:
    """The outputs of `run` for each part of the rows, told to the listeners."""
    model.stop_predicting = False
    listeners.tell("on_predict_begin", {})
    chunks = []
    for batch, rows in enumerate(parts):
        listeners.tell("on_predict_batch_begin", batch, {})
        chunks.append(run(rows))
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


def _run_epoch(job: Job, epoch: int, done: int) -> Logs:
    """The steps of an epoch from `done` on; returns what is to be logged of a step that ended the training."""
    rows = len(job.columns[0])
    order = permutation(job.model.seed, epoch, rows) if job.plan.shuffle else None
    source, steps = Arrays(job.columns, job.plan.batch, order), job.steps
    each, count = job.listeners.each_batch("train"), 1
    while done < steps:
        count = 1 if each else min(count, steps - done)
        if each:
            job.listeners.tell("on_train_batch_begin", done, {})
        began = time.perf_counter()
        with _whole_steps():
            run = job.program.run(source, done, count, _scalars(job, count))
            job.model.iterations += run.committed
        seconds = time.perf_counter() - began
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
        count = max(1, min(2 * count, int(count * _RUN_SECONDS / max(seconds, 1e-6))))
    return {}


def _scalars(job: Job, count: int) -> Mapping[Leaf, Any]:
    """The learning rate and the step number t = 1, 2, … of the next `count` steps."""
    assert job.step.rate is not None and job.step.number is not None
    first = job.model.iterations + 1
    return {
        job.step.rate: job.model.optimizer.learning_rates(job.model.iterations, count),
        job.step.number: np.arange(first, first + count, dtype=np.float64),
    }


def _nonfinite(job: Job, source: Arrays, step: int, run: Run) -> Logs:
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
    error = nonfinite_error(
        job.step.graph,
        feed,
        f"step {job.model.iterations + 1}: the loss is {loss:g} and the gradient norm {norm:g}; "
        "nothing of it was written.",
    )
    raise refuse(error, "finite step")
