"""Wrong settings of how many threads compute."""

from __future__ import annotations

import os
from collections.abc import Callable

from backlit.engines.threads import threads


def asked_for(text: str) -> None:
    """What is computed with that many threads."""
    before = os.environ.get("BACKLIT_THREADS")
    os.environ["BACKLIT_THREADS"] = text
    try:
        threads()
    finally:
        del os.environ["BACKLIT_THREADS"]
        if before is not None:
            os.environ["BACKLIT_THREADS"] = before


def cases() -> dict[str, Callable[[], object]]:
    """Wrong settings of how many threads compute."""
    return {
        "threads that are no number": lambda: asked_for("many"),
        "no thread at all": lambda: asked_for("0"),
    }
