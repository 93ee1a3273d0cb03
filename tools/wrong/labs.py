"""Labs that are asked wrongly."""

from __future__ import annotations

from collections.abc import Callable

from backlit import labs


def cases() -> dict[str, Callable[[], object]]:
    """Labs that are asked wrongly."""
    return {
        "a misspelt lab": lambda: labs.find("sofmax"),
        "a slider that is not there": lambda: labs.find("relu").run(w9=1.0),
        "a slider beyond its end": lambda: labs.find("relu").run(w1=5.0),
    }
