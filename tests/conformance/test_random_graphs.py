"""Random graphs on every engine: values, gradients, updates, and nothing left over from the run before."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from backlit.core.grad import grad
from backlit.core.node import Leaf, Node, input_leaf, variable
from backlit.core.shapes import M
from backlit.core.walk import Graph, cast, expand, topological
from backlit.engines.base import Arrays, engine, rows_of
from backlit.engines.planned import Plan, prepare
from backlit.engines.reference import _below, _value_of, values
from tests.conformance.cases import ENGINES, largest, on_kink, ops
from tests.conformance.graphs import Drawn, fitted, graphs, near

every_engine = pytest.mark.parametrize("name", ENGINES)
QUICK = [name for name in ENGINES if name != "xla"]  # JAX takes a second to compile a graph: it gets fewer of them
quick_engines = pytest.mark.parametrize("name", QUICK)
patient = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
TOLERANCE = 1e-9  # of the largest value on the way


def _compare(what: str, got: list[Any], nodes: Any, feed: dict[Leaf, Any]) -> None:
    known = values(nodes, feed)
    for place, (value, node) in enumerate(zip(got, nodes, strict=True)):
        if not near(value, known[node], TOLERANCE * largest(known.values())) and not _unsteady(nodes, feed):
            note(str(Graph(list(feed), nodes)))
            raise AssertionError(f"{what}, output {place}: {value} is not {known[node]}")


def _unsteady(nodes: Any, feed: dict[Leaf, Any], noise: float = 1e-13) -> bool:
    """Whether the values jump when every value on the way changes in its last digits: at a step, both sides are right.

    So it is where something is 0 in one order of adding and what rounding left of 0 in another.
    """
    before = values(nodes, feed)
    scale = 1e3 * noise * largest(before.values())
    for seed in range(12):
        after = _shaken(nodes, feed, noise, np.random.default_rng(seed))
        if not all(near(after[node], before[node], scale) for node in nodes):
            return True
    return False


def _shaken(nodes: Any, feed: dict[Leaf, Any], noise: float, rng: np.random.Generator) -> dict[Node, Any]:
    """The values of `reference`, each of them changed before it is read; in half of the runs what is next to 0 becomes 0."""
    known: dict[Node, Any] = {}
    rows, least = rows_of(feed), noise * rng.integers(2)
    with np.errstate(all="ignore"):
        for node in topological(nodes, _below):
            value = np.asarray(feed[node], node.dtype) if node in feed else _value_of(node, known, rows)
            known[node] = (
                tuple(_shake(part, least, noise, rng) for part in value)
                if node.several
                else _shake(value, least, noise, rng)
            )
    return known


def _shake(value: Any, least: float, noise: float, rng: np.random.Generator) -> Any:
    value = np.asarray(value)
    if value.dtype.kind != "f":
        return value
    shaken = value * (1 + noise * rng.uniform(-1, 1, value.shape))
    return np.where(np.abs(shaken) < least, 0, shaken).astype(value.dtype)


@quick_engines
@patient
@given(drawn=graphs())
def test_engine_equals_reference_for_any_rows_again_and_again(name: str, drawn: Drawn) -> None:
    program = engine(name).compile(Graph(drawn.inputs, drawn.outputs))
    rng = np.random.default_rng(0)
    kept = []
    for run, rows in enumerate((1, 3, 7, 3, 3)):
        feed = drawn.feed(rows, seed=run)
        got = program.evaluate(feed).outputs
        _compare(f"run {run} with m = {rows}", got, drawn.outputs, feed)
        for leaf in drawn.variables:
            leaf.assign(rng.uniform(-2, 2, leaf.shape))
        kept += [(value, value.copy()) for value in got]
    assert all(near(value, before, 0) for value, before in kept), "a later run wrote into an earlier result"


@quick_engines
@patient
@given(drawn=graphs())
def test_gradient_on_every_engine_is_that_of_reference(name: str, drawn: Drawn) -> None:
    cost = drawn.cost
    nodes = [cost, *grad(cost, drawn.leaves)]
    program = engine(name).compile(Graph(drawn.inputs, nodes))
    for rows in (3, 1):
        feed = drawn.feed(rows)
        _compare(f"gradient with m = {rows}", program.evaluate(feed).outputs, nodes, feed)


@quick_engines
@patient
@given(drawn=graphs())
def test_graph_cast_to_float32_is_float32_throughout(name: str, drawn: Drawn) -> None:
    nodes = [drawn.cost, *grad(drawn.cost, drawn.leaves), *drawn.outputs]
    graph, became = cast(Graph(drawn.inputs, nodes), "float32")
    assert not [node for node in graph.nodes if node.dtype == "float64"]
    feed = {became[leaf]: np.asarray(value, np.float32) for leaf, value in drawn.feed(3).items()}
    known = values(graph.roots, feed)
    scale = largest(known.values())
    assume(np.isfinite(scale))  # where float32 overflows, or divides by what cancels to 0, a last bit decides
    for value, node in zip(engine(name).compile(graph).evaluate(feed).outputs, graph.outputs, strict=True):
        steady = near(value, known[node], 1e-4 * scale) or _unsteady(graph.roots, feed, 1e-6)
        assert steady, f"{value} is not {known[node]}"


@patient
@given(drawn=graphs(), seed=st.integers(0, 2**32 - 1))
def test_gradient_is_the_difference(drawn: Drawn, seed: int) -> None:
    cost, feed = drawn.cost, drawn.feed(3)
    assume(not _rounds(cost))
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
                near_enough = abs(known[slope][tuple(place)] - fine) <= 1e-5 * scale
                assert near_enough or _unsteady(slopes, feed), f"{leaf!r} of {Graph([], [cost])}"


def _rounds(cost: Node) -> bool:
    """Whether a float32 lies on the way: its steps are larger than the differences that are looked at here."""
    nodes = topological(expand([cost]))
    return any(node.dtype == "float32" and "float64" in {i.dtype for i in node.inputs} for node in nodes)


def _difference(cost: Node, feed: dict[Leaf, Any], leaf: Leaf, place: tuple[int, ...], eps: float) -> float:
    array = np.array(feed.get(leaf, leaf.array))
    ends = []
    for sign in (1, -1):
        changed = array.copy()
        changed[place] += sign * eps
        ends.append(float(values([cost], {**feed, leaf: changed})[cost]))
    return (ends[0] - ends[1]) / (2 * eps)


def test_buffers_are_handed_on_also_through_views() -> None:
    x = input_leaf((8, 16), "x")
    end: Node = x
    for _ in range(20):
        end = ops.reshape(ops.tanh(ops.reshape(end, (16, 8))).T, (8, 16)) + x  # a view, then numbers that must move
    plan = Plan(prepare(Graph([x], [end])), None)
    assert plan.pool.bytes <= 5 * 8 * 16 * 8
    plan.inputs[x][...] = np.linspace(-1, 1, 128).reshape(8, 16)
    assert plan.step() and np.array_equal(plan.outputs[0], values([end], plan.inputs)[end])


# ---------------------------------------------------------------------- updates
@st.composite
def steps(draw: Any) -> tuple[Drawn, Graph]:
    """A random graph that writes its variables: steps down the gradient, swaps, views of one another, any value."""
    drawn = draw(graphs())
    rng = np.random.default_rng(draw(st.integers(0, 2**16 - 1)))
    slopes = dict(zip(drawn.variables, grad(drawn.cost, drawn.variables), strict=True))
    updates = {leaf: _new_value(leaf, drawn, slopes, rng) for leaf in drawn.variables if rng.random() < 0.8}
    gate = [None, ops.less(drawn.cost, 1e9), ops.less(drawn.cost, 0.0)][rng.integers(3)]
    return drawn, Graph(drawn.inputs, [drawn.cost, *drawn.outputs], updates, gate)


def _new_value(leaf: Leaf, drawn: Drawn, slopes: dict[Leaf, Node], rng: np.random.Generator) -> Node:
    alike = [other for other in drawn.variables if other.shape == leaf.shape]
    other = alike[rng.integers(len(alike))]
    kinds = [lambda: other, lambda: leaf - 0.1 * slopes[leaf]]
    kinds += [lambda: ops.tanh(fitted(drawn.pool[rng.integers(len(drawn.pool))], leaf.shape))]
    kinds += [lambda: fitted(other[::-1] if other.ndim else other, leaf.shape)]
    if leaf.shape == (2, 2):
        kinds += [lambda: other.T, lambda: ops.broadcast_to(other[0], (2, 2)), lambda: ops.reshape(other.T, (2, 2))]
    return kinds[rng.integers(len(kinds))]()


@pytest.mark.parametrize("name", [name for name in QUICK if name != "reference"])
@patient
@given(step=steps())
def test_a_step_leaves_what_reference_leaves(name: str, step: tuple[Drawn, Graph]) -> None:
    _leaves_what_reference_leaves(name, *step)


@pytest.mark.slow
@settings(max_examples=10)
@given(step=steps())
def test_a_step_under_jax_leaves_what_reference_leaves(step: tuple[Drawn, Graph]) -> None:
    _leaves_what_reference_leaves("xla", *step)


def _leaves_what_reference_leaves(name: str, drawn: Drawn, graph: Graph) -> None:
    programs = [engine(each).compile(graph) for each in ("reference", name)]
    for turn in range(3):
        feed, start = drawn.feed(3, seed=turn), [leaf.array.copy() for leaf in drawn.variables]
        scale = largest(values(graph.roots, feed).values())
        ends = []
        for program in programs:
            _set(drawn, start)
            result = program.evaluate(feed)
            ends.append((result, [leaf.array.copy() for leaf in drawn.variables]))
        (truth, left), (result, got) = ends
        pairs = zip([*result.outputs, *got], [*truth.outputs, *left], strict=True)
        wrong = [f"{mine} is not {wanted}" for mine, wanted in pairs if not near(mine, wanted, TOLERANCE * scale)]
        if wrong or result.committed != truth.committed:
            _set(drawn, start)
            assert _unsteady(graph.roots, feed), f"turn {turn}: {wrong}, committed {result.committed} in\n{graph}"
            return
        assert truth.committed or all(near(mine, before, 0) for mine, before in zip(got, start, strict=True))


def _set(drawn: Drawn, arrays: list[Any]) -> None:
    for leaf, array in zip(drawn.variables, arrays, strict=True):
        leaf.assign(array)


@every_engine
def test_swapped_variables_are_swapped(name: str) -> None:
    a, b, c = (variable(np.arange(4.0).reshape(2, 2) * scale) for scale in (1, 10, 100))
    program = engine(name).compile(Graph([], [a + b], {a: b, b: a, c: c.T}))
    assert np.array_equal(program.evaluate({}).outputs[0], [[0, 11], [22, 33]])
    assert a.array.tolist() == [[0, 10], [20, 30]] and b.array.tolist() == [[0, 1], [2, 3]]
    assert c.array.tolist() == [[0, 200], [100, 300]]
    program.evaluate({})
    assert a.array.tolist() == [[0, 1], [2, 3]] and c.array.tolist() == [[0, 100], [200, 300]]


@every_engine
@pytest.mark.parametrize("counts", [(7,), (1, 2, 4), (3, 4)])
def test_a_run_is_its_steps_however_they_are_counted(name: str, counts: tuple[int, ...]) -> None:
    """20 examples in batches of 3, the last one of 2: one run of 7 steps, or several of fewer."""
    rng = np.random.default_rng(3)
    data = rng.normal(size=(20, 2)), rng.normal(size=20), rng.permutation(20)
    left = []
    for each, parts in (("reference", [1] * 7), (name, counts)):
        x, y, rate = input_leaf((M, 2), "x"), input_leaf((M,), "y"), input_leaf((), "rate")
        w, seen = variable([0.3, -0.2]), variable(0.0)
        loss = ops.mean(ops.square(x @ w - y))
        new = w - rate * grad(loss, w)
        graph = Graph([x, y, rate], [loss], {w: new, seen: seen + ops.size(y)}, ops.isfinite(loss))
        program, source, rows, done = engine(each).compile(graph), Arrays(data[:2], 3, data[2]), [], 0
        for count in parts:
            run = program.run(source, done, count, {rate: 0.1 / (1 + np.arange(done, done + count))})
            assert run.committed == count == len(run.table)
            rows += run.table.tolist()
            done += count
        left.append((rows, w.array.tolist(), seen.array.item()))
    assert np.allclose(left[0][0], left[1][0], rtol=1e-12) and np.allclose(left[0][1], left[1][1], rtol=1e-12)
    assert left[0][2] == left[1][2] == 20


@every_engine
def test_a_shut_gate_ends_the_run_and_writes_nothing(name: str) -> None:
    x, w = input_leaf((M,), "x"), variable(1.0)
    total = ops.sum(x) * w
    program = engine(name).compile(Graph([x], [total], {w: w + 1.0}, ops.isfinite(total)))
    run = program.run(Arrays([np.array([1.0, 2.0, np.inf, 4.0])], 1), 0, 4, {})
    assert run.committed == 2 and run.table[:, 0].tolist() == [1.0, 4.0, np.inf] and w.array == 3.0
