"""What a program runs, line by line, for people: and how long each line takes alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.node import Leaf, Node
from ..core.shapes import bind, show

_ENOUGH = 2e-3  # seconds that a line is repeated for


@dataclass(frozen=True)
class Line:
    """One thing that runs: what it computes, in words, what it writes, how it is done, and the call that does it."""

    nodes: tuple[Node, ...]
    words: str
    bytes: int
    how: str  # "machine code", "NumPy", "NumPy, called back"
    work: float  # multiply-adds of a product
    run: Callable[[], Any]
    times: int = 1  # how often `run` does it


def described(nodes: Sequence[Node], rows: int | None, how: str, run: Callable[[], Any], times: int = 1) -> Line:
    """The line of a node, or of several that run as one."""
    work = sum(_work(node, rows) for node in nodes)
    shapes = [bind(node.shape, rows) for node in nodes if not node.several]
    written = max(
        (math.prod(shape) * np.dtype(node.dtype).itemsize for node, shape in zip(nodes, shapes, strict=False)),
        default=0,
    )
    return Line(tuple(nodes), _words(nodes, rows), written, how, work, run, times)


def _work(node: Node, rows: int | None) -> float:
    if isinstance(node, Leaf) or node.op.name != "matmul":
        return 0.0
    return float(math.prod(bind(node.shape, rows)) * bind(node.inputs[0].shape, rows)[-1])


def _words(nodes: Sequence[Node], rows: int | None) -> str:
    last = nodes[-1]
    if len(nodes) == 1:
        given = ", ".join(show(bind(i.shape, rows)) for i in last.inputs if not i.several)
        result = "" if last.several else f" -> {show(bind(last.shape, rows))}"
        return f"{last.op.name} {given}{result}"
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.op.name] = counts.get(node.op.name, 0) + 1
    parts = ", ".join(name if count == 1 else f"{count} {name}" for name, count in counts.items())
    return f"{show(bind(nodes[0].shape, rows))} in one pass: {parts}"


def timed(lines: Sequence[Line]) -> list[tuple[Line, float]]:
    """Each line with its shortest time in seconds, run by itself again and again."""
    told = []
    with np.errstate(all="ignore"):
        for line in lines:
            shortest, began = math.inf, time.perf_counter()
            while shortest == math.inf or time.perf_counter() - began < _ENOUGH:
                start = time.perf_counter()
                line.run()
                shortest = min(shortest, time.perf_counter() - start)
            told.append((line, shortest / line.times))
    return told


def measured(plan: Any, lines: Sequence[Line], feed: Mapping[Leaf, Any]) -> list[tuple[Line, float]]:
    """The lines of a plan timed on these inputs; what they write into leaves is put back."""
    leaves = list(plan.graph.updates)
    before = [leaf.array.copy() for leaf in leaves]
    try:
        for leaf, value in feed.items():
            plan.inputs[leaf][...] = value
        with np.errstate(all="ignore"):
            plan.step()
        return timed(lines)
    finally:
        for leaf, array in zip(leaves, before, strict=True):
            leaf.array[...] = array
