"""`make bench`: ours and every installed peer on the same works, in alternation; medians, spread and ratios.

    python -m bench.run [W1 W4 …] [--rounds 5] [--sides "backlit compiled,PyTorch eager"] [--force] [--out docs/bench.json]

Before anything is timed all sides must give the same losses for the same steps from the same weights. The load of the
machine is printed; above 0.3 a core the run is refused without --force.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.sides import SIDES
from bench.works import WORKS

_ROOT = Path(__file__).resolve().parent.parent
_SAME = 2e-3  # relative difference of losses after a few steps in float32


class Worker:
    """A process that runs one side of one work."""

    def __init__(self, side: str, work: str):
        self.side = side
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", side, work], cwd=_ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.told = self.read()

    def read(self) -> Any:
        """The next answer; None where the process has died."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line[:1] in '{[0123456789n"-':
                return json.loads(line)
        return None

    def ask(self, command: str) -> Any:
        """One command, one answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        return self.read()

    def end(self) -> None:
        """Let the process end."""
        self.process.kill()
        self.process.wait()


def load() -> float:
    """How busy each core is, by the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def measure(work: str, sides: list[str], rounds: int) -> dict[str, Any]:
    """The epochs of one work on all sides: the first one and the median and spread of the others."""
    workers, missing = [], {}
    for side in sides:
        worker = Worker(side, work)
        if worker.told is None or "missing" in worker.told:
            missing[side] = (worker.told or {}).get("missing", "it died")
            worker.end()
        else:
            workers.append(worker)
    _compare(work, workers)
    first = {worker.side: worker.ask("epoch") for worker in workers}
    taken: dict[str, list[float]] = {worker.side: [] for worker in workers}
    for _ in range(rounds):
        for worker in workers:
            taken[worker.side].append(worker.ask("epoch"))
    rows = {worker.side: worker.ask("row") for worker in workers} if work == "W1" else {}
    versions: dict[str, str] = {}
    for worker in workers:
        versions |= worker.ask("versions") or {}
        worker.end()
    return {"first": first, "epochs": taken, "row": rows, "missing": missing, "versions": versions}


def _compare(work: str, workers: list[Worker]) -> None:
    """Whether all sides do the same work: the losses of the first steps."""
    told = {worker.side: losses for worker in workers if (losses := worker.ask("losses")) is not None}
    truth_of = next(iter(told))
    for side, losses in told.items():
        for mine, truth in zip(losses, told[truth_of], strict=True):
            if abs(mine - truth) > _SAME * max(1.0, abs(truth)):
                raise SystemExit(
                    f"{work}: {side} computes something else than {truth_of}: {losses} and {told[truth_of]}"
                )


def table(work: str, found: dict[str, Any]) -> Table:
    """One work as a table: median, spread, and how many times as fast as each the best of ours is."""
    medians = {side: statistics.median(each) for side, each in found["epochs"].items()}
    ours = min((value for side, value in medians.items() if side.startswith("backlit")), default=None)
    drawn = Table(title=f"{work}: {WORKS[work].title}, ms an epoch", box=None, title_justify="left", pad_edge=False)
    for title in ("", "median", "lowest", "highest", "first", "to the best of ours"):
        drawn.add_column(title, justify="right" if title else "left")
    for side, median in sorted(medians.items(), key=lambda each: each[1]):
        each = found["epochs"][side]
        ratio = f"{median / ours:.2f}" if ours else ""
        numbers = (median, min(each), max(each), found["first"][side])
        drawn.add_row(side, *(f"{value:,.3g}" if value < 100 else f"{value:,.0f}" for value in numbers), ratio)
    return drawn


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", default=["W1", "W2", "W4", "W6"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", default=",".join(side for side in SIDES if side != "PyTorch compile"))
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    busy = load()
    console = Console(highlight=False)
    console.print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, load {busy:.2f} a core"
    )
    if busy > 0.3 and not asked.force:
        raise SystemExit("the machine is busy: timings would mean little. Wait, or --force.")
    found = {}
    for work in asked.works:
        began = time.perf_counter()
        found[work] = measure(work, asked.sides.split(","), asked.rounds)
        console.print(table(work, found[work]))
        for side, why in found[work]["missing"].items():
            console.print(f"  without {side}: {why}", style="dim", markup=False)
        if found[work]["row"]:
            told = {side: value for side, value in found[work]["row"].items() if value is not None}
            console.print("  one row, µs: " + ", ".join(f"{side} {value:.0f}" for side, value in told.items()))
        console.print(f"  {time.perf_counter() - began:.0f} s; load {load():.2f} a core\n", style="dim")
    if asked.out:
        asked.out.write_text(json.dumps({"busy": busy, "cores": os.cpu_count(), "works": found}, indent=1))


if __name__ == "__main__":
    main()
