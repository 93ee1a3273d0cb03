"""Random graphs on every engine: values, gradients, updates, and nothing left over from the run before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from backlit.core.grad import grad
from backlit.core.node import Leaf, Node, array_leaf
from backlit.core.walk import Graph, expand
from backlit.engines.base import Arrays, engine
from backlit.engines.reference import values
from tests.conformance.cases import ENGINES, largest, on_kink, ops
from tests.conformance.graphs import Drawn, fitted, graphs, near

every_engine = pytest.mark.parametrize("name", ENGINES)
patient = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TOLERANCE = 1e-9  # of the largest value on the way


def _compare(what: str, got: list[Any], drawn: Drawn, nodes: Any, feed: dict[Leaf, Any]) -> None:
    known = values(nodes, feed)
    for place, (value, node) in enumerate(zip(got, nodes, strict=True)):
        if not near(value, known[node], TOLERANCE * largest(known.values())) and not _unsteady(nodes, feed, drawn):
            note(str(Graph(list(feed), nodes)))
            raise AssertionError(f"{what}, output {place}: {value} is not {known[node]}")


def _unsteady(nodes: Any, feed: dict[Leaf, Any], drawn: Drawn) -> bool:
    """Whether the values jump when the inputs change in their last digits: at a step, both sides are right."""
    before = values(nodes, feed)
    kept = [leaf.array.copy() for leaf in drawn.variables]
    jumps = False
    for factor in (1 - 1e-13, 1 + 1e-13):
        for leaf, array in zip(drawn.variables, kept, strict=True):
            leaf.array[...] = array * factor
        after = values(nodes, {leaf: np.asarray(value) * factor for leaf, value in feed.items()})
        scale = 1e-10 * largest(before.values())
        jumps = jumps or not all(near(after[node], before[node], scale) for node in nodes)
    for leaf, array in zip(drawn.variables, kept, strict=True):
        leaf.array[...] = array
    return jumps


@every_engine
@patient
@given(drawn=graphs())
def test_engine_equals_reference_for_any_rows_again_and_again(name: str, drawn: Drawn) -> None:
    program = engine(name).compile(Graph(drawn.inputs, drawn.outputs))
    rng = np.random.default_rng(0)
    for run, rows in enumerate((1, 3, 7, 3, 3)):
        feed = drawn.feed(rows, seed=run)
        got = program.evaluate(feed).outputs
        _compare(f"run {run} with m = {rows}", got, drawn, drawn.outputs, feed)
        for leaf in drawn.variables:
            leaf.assign(rng.uniform(-2, 2, leaf.shape))
        again = values(drawn.outputs, feed)
        del again


@every_engine
@patient
@given(drawn=graphs())
def test_gradient_on_every_engine_is_that_of_reference(name: str, drawn: Drawn) -> None:
    cost = drawn.cost
    nodes = [cost, *grad(cost, drawn.leaves)]
    program = engine(name).compile(Graph(drawn.inputs, nodes))
    for rows in (3, 1):
        feed = drawn.feed(rows)
        _compare(f"gradient with m = {rows}", program.evaluate(feed).outputs, drawn, nodes, feed)


@patient
@given(drawn=graphs(), seed=st.integers(0, 2**32 - 1))
def test_gradient_is_the_difference(drawn: Drawn, seed: int) -> None:
    cost, feed = drawn.cost, drawn.feed(3)
    slopes = grad(cost, drawn.leaves)
    known = values(slopes, feed)
    rng = np.random.default_rng(seed)
    for leaf, slope in zip(drawn.leaves, slopes, strict=True):
        if not np.isfinite(known[slope]).all():
            assert on_kink(values(expand([cost]), feed)), f"no derivative by {leaf!r} of {Graph([], [cost])}"
            continue
        array = feed.get(leaf, leaf.array)
        for place in rng.permutation(list(np.ndindex(array.shape)))[:4]:
            coarse, fine = (_difference(cost, feed, leaf, tuple(place), eps) for eps in (2e-5, 1e-5))
            scale = max(1.0, abs(fine), largest([known[slope]]))
            if abs(coarse - fine) <= 1e-6 * scale:  # else a kink lies between
                assert abs(known[slope][tuple(place)] - fine) <= 1e-5 * scale, f"{leaf!r} of {Graph([], [cost])}"


def _difference(cost: Node, feed: dict[Leaf, Any], leaf: Leaf, place: tuple[int, ...], eps: float) -> float:
    array = np.array(feed.get(leaf, leaf.array))
    ends = []
    for sign in (1, -1):
        changed = array.copy()
        changed[place] += sign * eps
        ends.append(float(values([cost], {**feed, leaf: changed})[cost]))
    return (ends[0] - ends[1]) / (2 * eps)
