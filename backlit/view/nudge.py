"""One number of a graph changed a little, everything downstream computed anew, and what all that costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core.errors import DTypeError
from ..core.node import FLOATS, Node
from .steps import Reading, plain, single

EPS = (0.1, 0.01, 0.001, 0.0001)
_MOST = 200  # numbers that the timed brute force really perturbs


@dataclass(frozen=True)
class Nudge:
    """What a small change of one number does to J: `ratio` = change / eps, to be compared with `derivative`. In the
    trace of a single unit J is the unit's own output.

    `moved` has (before, after) of every step downstream whose value changed.
    """

    name: str
    eps: float
    before: float
    after: float
    derivative: float | None
    moved: Mapping[str, tuple[Any, Any]] = field(default_factory=dict, repr=False)
    of: str = "J"

    @property
    def change(self) -> float:
        """By how much J changed."""
        return self.after - self.before

    @property
    def ratio(self) -> float:
        """How many times as much as the number itself J changed: change / eps."""
        return self.change / self.eps

    def __str__(self) -> str:
        return str(Nudges([self]))


class Nudges(Sequence[Nudge]):
    """The same number changed by several eps: the smaller eps, the nearer the ratio to the derivative."""

    def __init__(self, rows: Sequence[Nudge]):
        self.rows = tuple(rows)

    def __getitem__(self, place: Any) -> Any:
        return self.rows[place]

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        first = self.rows[0]
        said = "no derivative" if first.derivative is None else f"the derivative is {plain(first.derivative)}"
        table: list[tuple[str, ...]] = [("eps", f"{first.of} before", f"{first.of} after", "change", "change/eps")]
        table += [tuple(f"{each:.10g}" for each in (r.eps, r.before, r.after, r.change, r.ratio)) for r in self.rows]
        wide = [max(len(row[place]) for row in table) for place in range(5)]
        lines = ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, wide, strict=True)) for row in table]
        return "\n".join([f"{first.name} changed by eps, everything downstream computed anew; {said}", *lines])

    __repr__ = __str__


def nudged(reading: Reading, node: Node, eps: float, index: Any, of: str) -> Nudge:
    """J, called `of`, with one number of a step or leaf changed by `eps`."""
    name = reading.names.get(node, "the value")
    worked = reading.worked
    if node.dtype not in FLOATS:
        raise DTypeError(
            f"{name} holds {'truth values' if node.dtype == 'bool' else 'whole numbers'}: no small change is possible.",
            found=f"{node.dtype}",
            fix="nudge something that is floating",
        )
    value = np.array(worked.known[node])
    place = single(node, value, index, name)
    slope = worked.slopes([node])[node]
    before = float(worked.known[worked.root])
    value[place] += eps
    after = worked.moved(node, value)
    moved = {
        reading.names[head]: (reading.value(head), after[head])
        for head in reading.heads
        if head in after and head is not node and not np.array_equal(reading.value(head), after[head], equal_nan=True)
    }
    shown = name if value.ndim == 0 else f"{name}[{', '.join(map(str, place))}]"
    seed = float(worked.seed)  # dJ/d(root), where the root is a part of a larger graph
    derivative = 0.0 if slope is None else float(slope[place]) / seed if seed else None
    return Nudge(shown, float(eps), before, float(after[worked.root]), derivative, moved, of)


# ---------------------------------------------------------------------- n + p against n · p
@dataclass(frozen=True)
class Counts:
    """How much work derivatives are: `nodes` n steps and `parameters` p, n + p by going back once, n · p by changing
    one parameter after the other. `scalars` counts single numbers instead of steps and variables."""

    nodes: int
    parameters: int
    scalars: Counts | None = None
    stopwatch: Callable[[], Timing] | None = field(default=None, repr=False, compare=False)

    @property
    def sum(self) -> int:
        """n + p: every step and every parameter once."""
        return self.nodes + self.parameters

    @property
    def product(self) -> int:
        """n · p: all steps again for each parameter."""
        return self.nodes * self.parameters

    def timed(self) -> Timing:
        """Both ways measured, now, with the plain engine."""
        assert self.stopwatch is not None
        return self.stopwatch()

    def __str__(self) -> str:
        rows = [("steps and variables", self)] + ([("single numbers", self.scalars)] if self.scalars else [])
        lines = [
            f"{what:<20} n = {c.nodes:,}, p = {c.parameters:,}: n + p = {c.sum:,} going back once, "
            f"n · p = {c.product:,} perturbing each parameter"
            for what, c in rows
        ]
        return "\n".join([*lines, str(self.timed())] if self.stopwatch else lines)


@dataclass(frozen=True)
class Timing:
    """Seconds for all derivatives: back once, and by perturbing every parameter number (`tried` of `numbers`)."""

    back: float
    perturbing: float
    numbers: int
    tried: int

    def __str__(self) -> str:
        how = "" if self.tried == self.numbers else f" (reckoned from {self.tried} of them)"
        return (
            f"{'measured here':<20} {self.back * 1e3:.3g} ms going back once, {self.perturbing * 1e3:.3g} ms perturbing "
            f"{self.numbers:,} numbers one by one{how}"
        )


def timing(reading: Reading, parameters: Sequence[Node]) -> Timing:
    """Measure the derivative of J by the parameters both ways."""
    worked = reading.worked
    gradients = [g for g in worked.gradients(parameters) if g is not None]
    start = time.perf_counter()
    worked.run([worked.root, *gradients])
    back = time.perf_counter() - start
    places = [(leaf, at) for leaf in parameters for at in np.ndindex(np.shape(worked.known[leaf]))]
    tried = places[:: max(1, -(-len(places) // _MOST))]
    start = time.perf_counter()
    for leaf, at in tried:
        value = np.array(worked.known[leaf])
        value[at] += 1e-6
        worked.moved(leaf, value)
    spent = time.perf_counter() - start
    return Timing(back, spent * len(places) / max(1, len(tried)), len(places), len(tried))
