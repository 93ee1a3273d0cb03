"""Derivatives compared with what they mean: how much J changes when a number changes a little."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .arguments import NotNegative, Positive, checked
from .errors import ArgumentError
from .grad import grad, variables
from .node import Leaf, Node
from .walk import Graph, cast

_MOST = 200  # numbers of one variable that are tried


@dataclass(frozen=True)
class Row:
    """One variable: its analytic and its central-difference derivative at the number where they differ most."""

    name: str
    count: int
    analytic: float
    difference: float
    error: float  # the largest |analytic - difference| that rounding of J does not explain, over the largest of both


@dataclass(frozen=True)
class GradCheck:
    """What `check_grad` found; `ok` where every error is at most `tolerance`."""

    rows: tuple[Row, ...]
    tolerance: float

    @property
    def ok(self) -> bool:
        """Whether every variable agrees."""
        return all(row.error <= self.tolerance for row in self.rows)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        width = max([8, *(len(row.name) for row in self.rows)])
        head = f"{'variable':<{width}}  {'numbers':>7}  {'analytic':>14}  {'difference':>14}  {'error':>8}"
        lines = [
            f"{row.name:<{width}}  {row.count:>7}  {row.analytic:>14.8g}  {row.difference:>14.8g}  {row.error:>8.1e}"
            for row in self.rows
        ]
        return "\n".join([head, *lines, f"{'agree' if self.ok else 'DISAGREE'} to {self.tolerance:g}"])

    __repr__ = __str__


@checked
def check_grad(
    J: Node,
    wrt: Leaf | Sequence[Leaf] | None = None,
    eps: Positive = 1e-5,
    tolerance: NotNegative = 1e-6,
) -> GradCheck:
    """Compare dJ/dw with (J(w + eps) - J(w - eps)) / (2 eps) for every variable under J, in float64.

    `wrt` limits it to some variables. Of a large variable 200 numbers are tried, evenly spread. The variables keep
    their values.

    >>> import backlit as bl
    >>> w = bl.variable(3.0, name="w")
    >>> bl.check_grad(w ** 2).ok
    True
    """
    wanted = variables(J) if wrt is None else [wrt] if isinstance(wrt, Node) else list(wrt)
    for leaf in wanted:
        if not isinstance(leaf, Leaf) or leaf.array is None:
            raise ArgumentError("check_grad nudges variables.", found=repr(leaf), fix="pass variables under J, or none")
    exact, became = cast(Graph([], [J]), "float64")
    cost = exact.outputs[0]
    copies = [became.get(leaf, leaf) for leaf in wanted if leaf.array.size]
    slopes = grad(cost, copies)
    rows = [_row(cost, leaf, slope, eps, place) for place, (leaf, slope) in enumerate(zip(copies, slopes, strict=True))]
    return GradCheck(tuple(rows), tolerance)


def _row(cost: Node, leaf: Leaf, slope: Node, eps: float, place: int) -> Row:
    rounding = 4 * np.finfo("float64").eps * abs(cost.value) / eps
    analytic = np.asarray(slope.value).reshape(-1)
    flat = leaf.array.reshape(-1)
    tried = np.unique(np.linspace(0, flat.size - 1, min(flat.size, _MOST)).astype(int))
    measured = np.array([_difference(cost, flat, index, eps * max(1.0, abs(flat[index]))) for index in tried])
    analytic = analytic[tried]
    scale = max(np.abs(analytic).max(), np.abs(measured).max(), 1e-8)
    apart = np.abs(analytic - measured)
    worst = int(apart.argmax())
    error = float(np.maximum(apart[worst] - rounding, 0) / scale)
    return Row(leaf.name or f"variable {place}", flat.size, float(analytic[worst]), float(measured[worst]), error)


def _difference(cost: Node, flat: Any, index: int, eps: float) -> float:
    kept = flat[index]
    flat[index] = kept + eps
    above = cost.value
    flat[index] = kept - eps
    below = cost.value
    flat[index] = kept
    return float((above - below) / (2 * eps))
