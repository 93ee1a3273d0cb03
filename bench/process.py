"""The processes of the benchmark: one for each side of a work, with a limit of time for every answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 60.0  # seconds that one answer may take


class Worker:
    """A process that runs one side of one work. `missing` says why there is none."""

    def __init__(self, side: str, work: str):
        self.side, self.late = side, False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.worker", side, work], cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self.told = self._read() or {"missing": self.why}

    @property
    def missing(self) -> str | None:
        """Why it cannot be measured."""
        return self.told.get("missing") or (self.why if self.process.poll() is not None else None)

    @property
    def why(self) -> str:
        """What ended the process."""
        return f"no answer within {LIMIT:.0f} s" if self.late else "it died"

    def _read(self) -> Any:
        """The next answer; None where the process has died, or was stopped at the limit."""
        assert self.process.stdout is not None
        timer = threading.Timer(LIMIT, self._stop)
        timer.start()
        try:
            for line in self.process.stdout:
                if line[:1] in '{[0123456789n"-N':
                    return json.loads(line)
        finally:
            timer.cancel()
        self.end()
        return None

    def _stop(self) -> None:
        self.late = True
        self.process.kill()

    def ask(self, command: str) -> Any:
        """One command, one answer; None from a process that is no more."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            return None
        return self._read()

    def end(self) -> None:
        """Let the process end."""
        self.process.kill()
        self.process.wait()


def load() -> float:
    """How busy each core is, by the last minute."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)
