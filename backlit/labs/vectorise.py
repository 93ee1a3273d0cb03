"""A million products, one after the other and at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..pictures.canvas import BLUE, ORANGE, label, open_frame, say, sheet
from .lab import Found, Golden, Lab

SIZE = 1_000_000


def loop(a: np.ndarray, b: np.ndarray) -> float:
    """The dot product as one writes it first."""
    total = 0.0
    for i in range(len(a)):
        total += a[i] * b[i]
    return float(total)


def compute() -> Found:
    """Both results and how long they took here."""
    rng = np.random.default_rng(1)
    a, b = rng.random(SIZE), rng.random(SIZE)
    slow, seconds = _timed(lambda: loop(a, b))
    quick, fewer = _timed(lambda: float(np.dot(a, b)))
    return {
        "the loop gives": slow,
        "np.dot gives": quick,
        "difference, relative": abs(slow - quick) / quick,
        "the loop took, ms": 1e3 * seconds,
        "np.dot took, ms": 1e3 * fewer,
        "times as long": seconds / fewer,
    }


def _timed(run: Callable[[], float]) -> tuple[float, float]:
    """The result and the shortest of three times."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - began)
    return result, min(seconds)


def pictures(found: Found) -> Mapping[str, Any]:
    """Two bars, of which one can hardly be seen."""
    figure, panels = sheet(
        f"The loop takes {found['times as long']:,.0f} times as long for the same {SIZE:,} products", (7.4, 2.2)
    )
    axes = panels[0, 0]
    open_frame(axes, grid=False)
    times = [found["np.dot took, ms"], found["the loop took, ms"]]
    axes.barh(["np.dot", "loop"], times, color=[BLUE, ORANGE])
    for place, value in enumerate(times):
        say(axes, value, place, f" {value:,.2f} ms", va="center", back=False)
    axes.set_xlim(0, max(times) * 1.2)
    label(axes, "milliseconds, the shortest of three runs")
    return {"bars": figure}


LAB = Lab(
    name="vectorise",
    title="Vectorisation: the same sum without the loop",
    about="How much longer does a loop take than one call for the dot product of a million numbers?",
    says="The numbers are the same, and the loop takes tens to hundreds of times as long: Python handles every product one by one,"
    " the call hands all of them to the processor at once.",
    compute=compute,
    pictures=pictures,
    golden=(
        Golden("the same result but for the order of adding", "difference, relative", 0.0, 1e-11),
        Golden("near the expected 250,000 ± 220", "np.dot gives", lambda value: abs(value - 250_000) < 1_000),
        Golden("the loop takes much longer", "times as long", lambda times: times > 10),
    ),
    rows=("C372", "W017"),
)
