"""Every message a user can meet, in one file that is reviewed in the diff: `make messages` writes tests/golden/messages.txt.

The cases are the small wrong programs of tools/wrong/; the message of each is what the library says. A new error gets a
case there.
"""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import backlit as bl

HERE = Path(__file__).resolve().parent
GOLDEN = HERE.parent / "tests" / "golden" / "messages.txt"
ROOMS = (
    "engines", "graphs", "models", "callbacks", "tables", "commands", "estimators", "view", "checks", "door", "files", "arguments",
    "convolutions", "trace", "labs", "plot", "threads", "doctor",
)  # fmt: skip


def text() -> str:
    """All cases with their messages."""
    sys.path.insert(0, str(HERE.parent))
    parts = []
    for room in ROOMS:
        for title, program in runpy.run_path(str(HERE / "wrong" / f"{room}.py"))["cases"]().items():
            try:
                program()
            except bl.BacklitError as error:
                name, message = type(error).__name__, str(error)
            else:
                raise SystemExit(f"{title}: no error was raised")
            message = re.sub(r"(?:tools/wrong/)?(\w+\.py):\d+", r"\1:N", message)
            message = re.sub(r"/\S*?/(\w+\.\w+)", r"/…/\1", message)
            parts.append(f"# {title}\n{name}: {message}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(text())
    sys.stdout.write(f"{GOLDEN.relative_to(GOLDEN.parent.parent.parent)} written\n")
