"""Epochs of training: one work on all sides, in alternation."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any

from rich.table import Table

from bench.process import Worker
from bench.works import find

_SAME = 2e-3  # relative difference of losses after a few steps in float32


def measure(work: str, sides: Sequence[str], rounds: int) -> dict[str, Any]:
    """Milliseconds an epoch on each side, the first and the others apart; the peak of memory; who is missing and why.

    Before anything is timed all sides must give the same losses for the same steps from the same weights.
    """
    workers = [Worker(side, work) for side in sides]
    _compare(work, [worker for worker in workers if not worker.missing])
    first = {worker.side: worker.ask("epoch") for worker in workers if not worker.missing}
    taken: dict[str, list[float]] = {side: [] for side in first}
    for _ in range(rounds):
        for worker in workers:
            if not worker.missing:
                taken[worker.side].append(worker.ask("epoch"))
    peaks, before, versions = {}, {}, {}
    for worker in workers:
        if not worker.missing:
            peaks[worker.side], before[worker.side] = worker.ask("peak"), worker.told["megabytes"]
            versions |= worker.ask("versions")
    missing = {worker.side: worker.missing for worker in workers if worker.missing}
    for worker in workers:
        worker.end()
    found = {"first": first, "epochs": taken, "peak": peaks, "built": before}
    kept = {name: {side: value for side, value in each.items() if side in peaks} for name, each in found.items()}
    return {**kept, "missing": missing, "versions": versions}


def rows(work: str, sides: Sequence[str]) -> dict[str, float]:
    """Microseconds of one prediction of one row, in steady state."""
    taken = {}
    for side in sides:
        worker = Worker(side, work)
        worker.ask("epoch")  # some predict only what has been trained
        if not worker.missing and (value := worker.ask("row")) is not None:
            taken[side] = value
        worker.end()
    return taken


def _compare(work: str, workers: Sequence[Worker]) -> None:
    """Whether all sides do the same work: the losses of the first steps."""
    told = {worker.side: losses for worker in workers if (losses := worker.ask("losses")) is not None}
    truth_of = next(iter(told), None)
    for side, losses in told.items():
        for mine, truth in zip(losses, told[truth_of], strict=True):
            if not abs(mine - truth) <= _SAME * max(1.0, abs(truth)):
                raise SystemExit(
                    f"{work}: {side} computes something else than {truth_of}: {losses} and {told[truth_of]}"
                )


def table(work: str, found: dict[str, Any]) -> Table:
    """One work as a table: median, spread, and how many times as fast as each the best of ours is."""
    medians = {side: statistics.median(each) for side, each in found["epochs"].items()}
    ours = min((value for side, value in medians.items() if side.startswith("backlit")), default=None)
    drawn = Table(title=f"{work}: {find(work).title}, ms an epoch", box=None, title_justify="left", pad_edge=False)
    for title in ("", "median", "lowest", "highest", "first", "to the best of ours", "peak MB"):
        drawn.add_column(title, justify="right" if title else "left")
    for side, median in sorted(medians.items(), key=lambda each: each[1]):
        each = found["epochs"][side]
        ratio = f"{median / ours:.2f}" if ours else ""
        numbers = (median, min(each), max(each), found["first"][side])
        drawn.add_row(side, *(short(value) for value in numbers), ratio, short(found["peak"][side]))
    return drawn


def short(value: float) -> str:
    """Three figures."""
    return f"{value:,.3g}" if value < 100 else f"{value:,.0f}"
