"""`make bench`: ours and every installed peer on the same works, in alternation; medians, spread and ratios.

    python -m bench.run [W1 W4 P1 S1 … curves sizes] [--rounds 5] [--sides "backlit compiled,PyTorch eager"] [--force]
                        [--out results.json]

Without names all of it is run, about half an hour. `--out` adds what was measured to a file, from which `python -m
bench.page` writes the tables and the figure of docs/benchmarks.md.

Before anything is timed all sides must give the same losses for the same steps from the same weights. The load of the
machine is printed; above 0.3 a core the run is refused without --force.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import cold, sizes, training
from bench.process import load
from bench.sides import FLOOR, SIDES
from bench.works import GROWN, WORKS

TRAINED = ("W1", "W2", "W3", "W4", "W5", "W6")
WHOLE = (*TRAINED, "P1", "S1", "auto", "curves", "sizes")
CURVES = ("backlit compiled", "backlit planned", "PyTorch eager", "JAX by hand")
# `torch.compile` finishes there in the time that an answer may take; the floor is told where products are most of it;
# 10,000 epochs of one step take minutes with the overhead of an epoch in Keras on two of its backends.
ONLY = {"PyTorch compile": ("W1", "W3", "W4"), FLOOR: ("W2", "W3")}
ONLY |= dict.fromkeys(("Keras on TensorFlow", "Keras on PyTorch"), ("W1", "W2", "W3", "W4", "W5"))

ALONE = ("PyTorch compile", FLOOR)  # what has no row and no cold start of its own


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=WHOLE)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sides", default=",".join(side for side in SIDES if side != "backlit auto"))
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(WHOLE):
        raise SystemExit(f"no part is called {', '.join(sorted(unknown))}; the parts: {', '.join(WHOLE)}")
    busy, console = load(), Console(highlight=False)
    console.print(f"{machine()}; load {busy:.2f} a core")
    if busy > 0.3 and not asked.force:
        raise SystemExit("the machine is busy: timings would mean little. Wait, or --force.")
    for part in asked.parts:
        began, before = time.perf_counter(), load()
        found = measure(part, asked.sides.split(","), asked.rounds)
        show(console, part, found)
        console.print(f"  {time.perf_counter() - began:.0f} s; load {before:.2f} a core before, {load():.2f} after\n")
        if asked.out:
            _add(asked.out, part, {"load": before, "rounds": asked.rounds, "found": found})


def machine() -> str:
    """What it ran on, without a name."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    info = Path("/proc/cpuinfo")
    wide = ", AVX-512" if info.exists() and "avx512f" in info.read_text() else ""
    return f"{platform.system()} {platform.machine()}{wide}, {cores} cores, Python {platform.python_version()}"


def measure(part: str, sides: Sequence[str], rounds: int) -> Any:
    """One part of the benchmark, as what JSON can hold."""
    if part in TRAINED:
        chosen = [side for side in sides if part in ONLY.get(side, TRAINED)]
        return training.measure(part, chosen, rounds)
    if part == "P1":
        return training.rows(part, [side for side in sides if side not in ALONE])
    if part == "S1":
        return cold.start([side for side in sides if side not in ALONE], min(rounds, 3))
    if part == "auto":
        return cold.choice(min(rounds, 3))
    if part == "sizes":
        return {"import": sizes.imports(rounds), "installed": sizes.installed()}
    return {
        what: {str(size): training.measure(f"{what}={size}", _curves(sides), min(rounds, 2)) for size in values}
        for what, values in GROWN.items()
    }


def _curves(sides: Sequence[str]) -> list[str]:
    return [side for side in CURVES if side in sides]


def show(console: Console, part: str, found: Any) -> None:
    """The tables of one part."""
    if part in TRAINED:
        console.print(training.table(part, found))
        for side, why in found["missing"].items():
            console.print(f"  without {side}: {why}", style="dim", markup=False)
    elif part in ("P1", "S1"):
        unit = "µs, one row" if part == "P1" else "s, from start to the first epoch of W1"
        console.print(column(f"{part}: {WORKS[part].title if part in WORKS else 'cold start'}, {unit}", found))
    elif part == "auto":
        for title, taken in found.items():
            console.print(column(f"{title}, s", taken))
    elif part == "sizes":
        console.print(column("import, s", found["import"]))
        console.print(column("installed with all it needs, MB", found["installed"]))
    else:
        for what, sizes_of in found.items():
            for size, each in sizes_of.items():
                console.print(column(f"{what} {int(size):,}, ms an epoch", each["epochs"]))


def column(title: str, found: Mapping[str, float | Sequence[float]]) -> Table:
    """Names and medians, the smallest first."""
    drawn = Table(title=title, box=None, title_justify="left", pad_edge=False, show_header=False)
    drawn.add_column(justify="left")
    drawn.add_column(justify="right")
    values = {name: each if isinstance(each, float | int) else statistics.median(each) for name, each in found.items()}
    for name, value in sorted(values.items(), key=lambda each: each[1]):
        drawn.add_row(name, training.short(value))
    return drawn


def _add(file: Path, part: str, found: dict[str, Any]) -> None:
    """Keep what was measured before, replace this part."""
    held = json.loads(file.read_text()) if file.exists() else {"parts": {}}
    held |= {"machine": machine(), "day": datetime.date.today().isoformat()}
    held["parts"][part] = found
    temporary = file.with_suffix(".part")
    temporary.write_text(json.dumps(held, indent=1))
    temporary.replace(file)


if __name__ == "__main__":
    main()
