"""A new process: import, build, train some epochs, end. Wall time as somebody at the terminal sees it.

`python -m bench.cold SIDE WORK EPOCHS` is the process that is timed.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from bench.process import LIMIT, ROOT
from bench.sides import SIDES
from bench.works import find

FIRST = " (first on the machine)"  # behind the name of a side: with an empty cache of machine code
KINDS = ("backlit planned", "backlit auto", f"backlit auto{FIRST}")


def seconds(side: str, work: str, epochs: int = 1) -> float | None:
    """One process from start to end; None where the side is not installed, or takes too long."""
    with tempfile.TemporaryDirectory() as folder:
        empty = {"BACKLIT_CACHE": folder} if side.endswith(FIRST) else {}
        command = [sys.executable, "-m", "bench.cold", side.removesuffix(FIRST), work, str(epochs)]
        began = time.perf_counter()
        try:
            run = subprocess.run(command, cwd=ROOT, env=os.environ | empty, capture_output=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            return None
        return None if run.returncode else time.perf_counter() - began


def start(sides: Sequence[str], rounds: int) -> dict[str, list[float]]:
    """S1: the first epoch of W1 done, for every side."""
    taken: dict[str, list[float]] = {side: [] for side in (*sides, f"backlit auto{FIRST}")}
    for _ in range(rounds):
        for side, each in taken.items():
            if (value := seconds(side, "W1")) is not None:
                each.append(value)
    return {side: each for side, each in taken.items() if each}


def choice(rounds: int) -> dict[str, dict[str, list[float]]]:
    """What `auto` costs against `planned`, in whole: 1, 10 and 1,000 epochs of W1 and W4."""
    found = {}
    for work in ("W1", "W4"):
        for epochs in (1, 10, 1_000):
            taken: dict[str, list[float]] = {side: [] for side in KINDS}
            for _ in range(rounds if epochs < 1_000 else 1):
                for side, each in taken.items():
                    each += [value for value in [seconds(side, work, epochs)] if value is not None]
            found[f"{work}, {epochs:,} epoch{'s' if epochs > 1 else ''}"] = taken
    return found


def main(side: str, work: str, epochs: str) -> None:
    """Build, train, end."""
    made = SIDES[side](find(work))
    made.load(find(work).weights())
    if side.startswith("backlit"):
        made.epoch(int(epochs))
    else:
        for _ in range(int(epochs)):
            made.epoch()


if __name__ == "__main__":
    main(*sys.argv[1:])
