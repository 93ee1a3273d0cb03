"""Several epochs in one run of steps, where nothing has to happen between them: what is logged of each is worked out
afterwards from what the steps have told, with the numbers that epoch by epoch would have given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..engines.base import Run
from .batches import RowBatches
from .metrics_base import Metric
from .step import Step, Sums

Totals = dict[str, Any]  # of a logged number: by the name of each sum its value after every epoch


def at_once(job: Any, epoch: int) -> int:
    """How many epochs from `epoch` on may be one run; 1 where something is to happen after the first."""
    steps = job.batches.steps
    if not job.may_join or job.free < 2 * steps:
        return 1
    most = min(job.free // steps, job.plan.epochs.stop - epoch)
    if job.validate is None:
        return most
    return next((max(1, count) for count in range(most) if job.plan.checks(epoch + count)), most)


def joinable(job: Any) -> bool:
    """Whether epochs are passes over arrays, all that is logged is told by the steps, and nobody acts between epochs."""
    rows = isinstance(job.batches, RowBatches) and job.batches.asked is None
    return rows and _told(job.step) and not job.listeners.each_epoch()


def _told(step: Step) -> bool:
    return all(key == "loss" or set(sums.leaves.values()) <= set(step.grown) for key, sums in step.sums.items())


def keep(job: Any, first: int, run: Run) -> int:
    """Write down a run of epochs from `first` on as far as it came: the History, and in the sums what its last epoch has.
    Returns how many epochs are complete."""
    steps: int = job.batches.steps
    complete, begun = divmod(run.committed, steps)
    if complete:
        totals = _totals(job, run.table[: complete * steps].reshape(complete, steps, -1))
        logs = {}
        for key in sorted(totals):
            values = _results(job.step.sums[key], totals[key])
            if values is not None:
                logs[key] = values
        job.listeners.epochs(first, complete, logs)
        job.model.epochs_done = first + complete
    if begun or complete:
        part = run.table[run.committed - (begun or steps) : run.committed]
        for key, each in _totals(job, part[np.newaxis]).items():
            for name, leaf in job.step.sums[key].leaves.items():
                leaf.array[...] = each[name][0]
    return complete


def _totals(job: Any, table: Any) -> dict[str, Totals]:
    """The sums behind each logged number after every epoch, from a table (epochs, steps, outputs): added one after the
    other, as the steps do."""
    batches = job.batches
    rows = np.full(table.shape[1], float(batches.batch))
    if table.shape[1] == batches.steps:
        rows[-1] = batches.rows - (batches.steps - 1) * batches.batch
    found = {}
    for key, sums in job.step.sums.items():
        if key == "loss":
            parts = {"total": table[:, :, 0] * rows, "count": np.broadcast_to(rows, table.shape[:2])}
        else:
            parts = {name: table[:, :, job.step.grown[leaf]] for name, leaf in sums.leaves.items()}
        found[key] = {name: np.cumsum(part, axis=1)[:, -1] + 0.0 for name, part in parts.items()}
    return found


def _results(sums: Sums, totals: Totals) -> list[float] | None:
    """The number of each epoch; None where it is not a single one."""
    if sums.metric is None or type(sums.metric).value is Metric.value:
        counted = totals["count"] > 0
        means = totals["total"] / np.where(counted, totals["count"], 1.0)
        return np.where(counted, means, np.nan).tolist()
    values = [sums.metric.result(dict(zip(totals, each, strict=True))) for each in _rows(totals.values())]
    return [float(np.asarray(value).item()) for value in values] if np.size(values[0]) == 1 else None


def _rows(columns: Iterable[Any]) -> Any:
    return zip(*map(list, columns), strict=True)
