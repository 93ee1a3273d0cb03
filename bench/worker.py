"""One side of one work in a process of its own: reads commands from standard input, answers with lines of JSON."""

from __future__ import annotations

import importlib.metadata
import json
import re
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from bench.sides import SIDES, times
from bench.works import find

CHECKED = 5  # steps that must give the same losses on all sides
_PACKAGES = {"numpy": "numpy", "torch": "torch", "jax": "jax", "keras": "keras", "sklearn": "scikit-learn",
             "tensorflow": "tensorflow_cpu", "llvmlite": "llvmlite"}  # fmt: skip


def _versions() -> dict[str, str]:
    """What is loaded, by its distribution."""
    found = {}
    for module, name in _PACKAGES.items():
        if module in sys.modules:
            try:
                found[module] = importlib.metadata.version(name)
            except importlib.metadata.PackageNotFoundError:
                found[module] = str(sys.modules[module].__version__)
    return found


def _megabytes(what: str) -> float:
    """`VmRSS`, the memory in use now, or `VmHWM`, the most there was. NaN where the system does not tell."""
    status = Path("/proc/self/status")
    found = re.search(rf"{what}:\s+(\d+) kB", status.read_text()) if status.exists() else None
    return int(found[1]) / 1024 if found else float("nan")


def _answer(value: Any) -> None:
    print(json.dumps(value), flush=True)


def _one_row(run: Any) -> float:
    """The median of 2,000 calls, in microseconds."""
    for _ in range(50):
        run()
    seconds = []
    for _ in range(2_000):
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return 1e6 * statistics.median(seconds)


def main(name: str, which: str) -> None:
    """Answer until the input ends."""
    began = time.perf_counter()
    work = find(which)
    try:
        side = SIDES[name](work)
        side.load(work.weights())
    except (ImportError, NotImplementedError) as error:
        _answer({"missing": f"{type(error).__name__}: {error}"})
        return
    _answer({"ready": time.perf_counter() - began, "megabytes": _megabytes("VmRSS")})
    for line in sys.stdin:
        command = line.strip()
        if command == "losses":
            _answer(side.losses(min(CHECKED, work.steps)) if hasattr(side, "losses") else None)
            side.load(work.weights())
        elif command == "epoch":
            began = time.perf_counter()
            side.epoch()
            _answer(1e3 * (time.perf_counter() - began) / times(work))
        elif command == "row":
            _answer(_one_row(side.one_row()) if hasattr(side, "one_row") else None)
        elif command == "peak":
            _answer(_megabytes("VmHWM"))
        elif command == "versions":
            _answer(_versions())


if __name__ == "__main__":
    main(*sys.argv[1:])
