"""The one training loop. It runs steps through an engine, tells events, and holds no arithmetic on parameters."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.node import Leaf
from ..core.shapes import bind
from ..engines.base import Arrays, Program, Run
from ..engines.function import nonfinite_error
from .door import refuse
from .events import Listeners
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
    validate: Callable[[], dict[str, float]] | None

    @property
    def steps(self) -> int:
        """Steps of an epoch."""
        all_rows = -(-len(self.columns[0]) // self.plan.batch)
        return all_rows if self.plan.steps is None else min(self.plan.steps, all_rows)


def permutation(seed: int, epoch: int, rows: int) -> Any:
    """The order of the examples in an epoch: of (seed, epoch) alone."""
    return np.random.Generator(np.random.PCG64([seed, epoch])).permutation(rows)


def train(job: Job) -> None:
    """Run all epochs. Whatever stops it, the parameters are those of the last committed step."""
    model, listeners = job.model, job.listeners
    model.stop_training = False
    listeners.tell("on_train_begin", {})
    logs: dict[str, float] = {}
    for epoch in job.plan.epochs:
        listeners.tell("on_epoch_begin", epoch, {})
        for sums in job.step.sums.values():
            sums.reset()
        _run_epoch(job, epoch)
        logs = means(job.step)
        if job.validate is not None and job.plan.checks(epoch):
            listeners.tell("on_test_begin", {})
            logs.update({f"val_{key}": value for key, value in job.validate().items()})
            listeners.tell("on_test_end", logs)
        model.epochs_done = epoch + 1
        listeners.tell("on_epoch_end", epoch, logs)
        if model.stop_training:
            break
    listeners.tell("on_train_end", logs)


def means(step: Step) -> dict[str, float]:
    """The logged numbers of the epoch so far, sorted by name."""
    return {key: step.sums[key].mean for key in sorted(step.sums)}


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


def _run_epoch(job: Job, epoch: int) -> None:
    rows = len(job.columns[0])
    order = permutation(job.model.seed, epoch, rows) if job.plan.shuffle else None
    source, steps = Arrays(job.columns, job.plan.batch, order), job.steps
    each, count, done = job.listeners.each_batch, 1, 0
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
        if run.committed < count:
            _nonfinite(job, source, done, run)
            done += 1
        logs = means(job.step)
        if each:
            job.listeners.tell("on_train_batch_end", done - 1, logs)
        job.listeners.steps(done, steps, logs)
        if each and job.model.stop_training:
            return
        count = max(1, min(2 * count, int(count * _RUN_SECONDS / max(seconds, 1e-6))))


def _scalars(job: Job, count: int) -> Mapping[Leaf, Any]:
    """The learning rate and the step number t = 1, 2, … of the next `count` steps."""
    assert job.step.rate is not None and job.step.number is not None
    first = job.model.iterations + 1
    return {
        job.step.rate: np.full(count, job.model.optimizer.learning_rate),
        job.step.number: np.arange(first, first + count, dtype=np.float64),
    }


def _nonfinite(job: Job, source: Arrays, step: int, run: Run) -> None:
    """A step that was not committed: raise, naming the first bad node, or count it and go on."""
    if job.plan.skip_nonfinite:
        job.model.history.skipped_steps += 1
        return
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
