"""How long `import backlit` takes beyond NumPy's own import: medians of fresh processes, in alternation.

With byte code on the disk, as after any first import; what that first one takes is told beside it.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 15
PROGRAMS = {"python": "pass", "numpy": "import numpy", "backlit": "import backlit"}
CLOCK = "import time; t = time.perf_counter(); {}; print(time.perf_counter() - t)"


def seconds(program: str, folder: str) -> float:
    """One import in a new process, its byte code in `folder`."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", CLOCK.format(program)]
    run = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**own, "PYTHONPYCACHEPREFIX": folder}
    )
    return float(run.stdout)


def main() -> None:
    """Print the table."""
    taken: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as folder:
        first = {name: seconds(program, folder) for name, program in PROGRAMS.items()}
        for _ in range(ROUNDS):
            for name, program in PROGRAMS.items():
                taken[name].append(seconds(program, folder))
    print(
        f"{platform.python_implementation()} {platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}"
    )
    print(f"{'import':<10} {'median s':>9} {'min s':>9} {'max s':>9}   of {ROUNDS} rounds")
    for name, times in taken.items():
        print(f"{name:<10} {statistics.median(times):>9.3f} {min(times):>9.3f} {max(times):>9.3f}")
    beyond = statistics.median(b - n for b, n in zip(taken["backlit"], taken["numpy"], strict=True))
    print(
        f"backlit beyond numpy: {beyond:.3f} s (promised: at most 0.15 s); without byte code {first['backlit']:.3f} s"
    )


if __name__ == "__main__":
    main()
