"""Graphs as values: rebuilt, cast, substituted, expanded, pickled, written as JSON."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import ArgumentError, GraphError, ShapeError
from backlit.core.node import STRONG, state
from backlit.core.walk import Graph, cast, expand, items, rebuild, strip_marks, substitute, topological
from backlit.engines.base import engine

ops = bl.ops


@pytest.fixture
def step():
    """One step of learning: inputs, an output, updates of a variable and a counter, and a gate."""
    x, y = bl.input((bl.M, 2), "x"), bl.input((bl.M,), "y")
    w, count = bl.variable([0.5, -0.5], "w"), state(np.int64(0), "count")
    J = bl.name(ops.mean((x @ w - y) ** 2), "J")
    new = w - 0.1 * bl.grad(J, w)
    return Graph([x, y], [J], {w: new, count: count + 1}, ops.all(ops.isfinite(new)))


FEED = [np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]), np.array([1.0, 0.0, 2.0])]


def run(graph, name="planned"):
    result = engine(name).compile(graph).evaluate(dict(zip(graph.inputs, FEED, strict=True)))
    return result.outputs, [leaf.value for leaf in graph.updates]


# ---------------------------------------------------------------------- order
def test_every_node_once_and_after_what_it_needs(step):
    order = step.nodes
    assert len(set(order)) == len(order)
    seen = set()
    for node in order:
        assert seen.issuperset(node.inputs)
        seen.add(node)
    assert step.roots == (*step.outputs, *step.updates.values(), step.gate)
    assert [leaf.name for leaf in step.leaves if leaf.name] == ["x", "w", "y", "count"]
    assert topological([]) == [] and topological([order[0], order[0]]) == [order[0]]


# ---------------------------------------------------------------------- what a graph refuses
def test_a_graph_checks_its_inputs_and_updates():
    w, x = bl.variable([1.0, 2.0], "w"), bl.input((2,))
    with pytest.raises(ArgumentError, match="inputs must be a list"):
        Graph([w * 2], [w])
    for leaf in (x, bl.constant([1.0, 2.0]), w * 2, "w"):
        with pytest.raises(ArgumentError, match="only variables can be updated"):
            Graph([], [], {leaf: w})
    for new in (ops.sum(w), w.reshape(2, 1), w > 0, ops.cast(w, "float32")):
        with pytest.raises(GraphError, match="the update of w does not fit") as caught:
            Graph([], [], {w: new})
        assert caught.value.fields["expected"] == "shape (2,) float64"


# ---------------------------------------------------------------------- pickle and deepcopy
@pytest.mark.parametrize("again", [lambda g: pickle.loads(pickle.dumps(g)), copy.deepcopy], ids=["pickle", "deepcopy"])
def test_a_graph_survives_with_updates_and_gate(step, again):
    made = again(step)
    assert not set(made.leaves) & set(step.leaves) and len(made.nodes) == len(step.nodes)
    assert [leaf.name for leaf in made.inputs] == ["x", "y"] and [leaf.name for leaf in made.updates] == ["w", "count"]
    assert [leaf.kind for leaf in made.updates] == ["variable", "state"]
    assert made.outputs[0].name == "J" and str(made) == str(step)
    outputs, (w, count) = run(made)
    assert [leaf.value.tolist() for leaf in step.updates] == [[0.5, -0.5], 0]  # the copy has slots of its own
    expected_outputs, (expected_w, _) = run(step)
    assert np.array_equal(outputs, expected_outputs) and w.tolist() == expected_w.tolist() and count == 1


def test_a_graph_without_gate_and_updates_survives():
    w = bl.variable([1.0, 2.0], "w", trainable=False)
    made = pickle.loads(pickle.dumps(Graph([], [w, w * 2])))
    assert made.gate is None and not made.updates and made.outputs[0].trainable is False
    assert made.outputs[1].inputs[0] is made.outputs[0]


def test_nodes_survive_with_what_they_share():
    w = bl.variable(3.0, "w")
    pair = ops.split(bl.variable([1.0, 2.0]) * w, sections=2)
    J = bl.name(pair[0][0] * ops.softmax(w.reshape(1))[0] + pair[1][0], "J")
    for again in (copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))):
        w2, J2, slope = again([w, J, bl.grad(J, w)])
        w2.assign(5.0)
        assert (J2.value, J.value) == (15.0, 9.0)
        assert slope.value == bl.grad(J, w).value and bl.grad(J2, w2) is slope
    assert pickle.loads(pickle.dumps(ops.exp)) is ops.exp and copy.deepcopy(ops.exp) is ops.exp


def test_a_graph_inside_a_node_survives():
    x0 = bl.input((), "x0")
    x = bl.variable(3.0, "x")
    (out,) = ops.call([x], graph=Graph([x0], [x0 * x0]))
    made = pickle.loads(pickle.dumps(out))
    assert made.value == 9.0
    assert bl.grad(made, [node for node in topological([made]) if node.name == "x"][0]).value == 6.0  # noqa: RUF015


# ---------------------------------------------------------------------- rebuilding
def test_substitute():
    x, y, z = bl.variable(2.0, "x"), bl.variable(5.0, "y"), bl.variable(7.0, "z")
    inner = x * y
    J = inner + ops.exp(inner) * 0.0 + z
    assert substitute([J], {x: z})[0] is (z * y) + ops.exp(z * y) * 0.0 + z
    assert substitute([J], {inner: z})[0].value == 14.0
    assert substitute([J, x], {x: y}) == [(y * y) + ops.exp(y * y) * 0.0 + z, y]
    assert substitute([J], {}) == [J]
    assert substitute([J], {bl.variable(1.0): z}) == [J]
    swapped = substitute([x - y], {x: y, y: x})[0]
    assert swapped is y - x


def test_substitute_keeps_shape_and_dtype():
    v = bl.variable([1.0, 2.0], "v")
    J = v.reshape(2, 1) * 2
    for other in (bl.variable([1.0, 2.0, 3.0]), bl.variable(np.float32([1, 2])), bl.variable([[1.0, 2.0]])):
        with pytest.raises(ShapeError, match="cannot take the place of"):
            substitute([J], {v: other})


def test_rebuild_without_change_is_the_same_object(step):
    assert rebuild(step.roots) == list(step.roots)
    assert step.with_roots(rebuild(step.roots)).roots == step.roots


def test_strip_marks():
    w = bl.variable(2.0, "w")
    J = bl.name(bl.name(w * 3, "c") + bl.name(bl.name(w, "a"), "b"), "J")
    assert strip_marks([J]) == [w * 3 + w]
    assert strip_marks([w * 3]) == [w * 3]


def test_expand_leaves_no_composite(own_records):
    inner = bl.composite("test_inner", define=lambda a: ops.softmax(a) * 2.0, doc="Inner.")
    several = bl.composite("test_outer", define=lambda a: (inner(a), ops.mean(a)), several=True, doc="Outer.")
    v = bl.variable([1.0, 2.0, 4.0])
    big, mean = several(v)
    J = ops.sum(big * mean) + ops.std(v)
    (flat,) = expand([J])
    assert all(node.op.kind != "composite" for node in topological([flat]))
    assert flat.value == pytest.approx(J.value, rel=1e-15)
    assert bl.grad(flat, v).value == pytest.approx(bl.grad(J, v).value, rel=1e-13)
    assert expand([flat]) == [flat]


def test_items():
    parts = ops.split(bl.variable(np.arange(6.0)), sections=3)
    assert [part.value.tolist() for part in items(parts)] == [[0, 1], [2, 3], [4, 5]]
    assert items(parts) == list(parts)


# ---------------------------------------------------------------------- another dtype
def test_a_cast_graph_computes_the_same_in_float32(step):
    narrow, became = cast(step, "float32")
    assert [leaf.dtype for leaf in narrow.updates] == ["float32", "int64"]
    assert narrow.gate is not None and narrow.inputs[0].dtype == "float32"
    w = next(iter(step.updates))
    outputs, updated = run(narrow)
    assert became[w] is next(iter(narrow.updates)) and w.value.tolist() == [0.5, -0.5]
    exact, expected = run(step)
    assert outputs[0] == pytest.approx(exact[0], rel=1e-6)
    assert updated[0].dtype == "float32" and updated[0] == pytest.approx(expected[0], rel=1e-6)


def test_a_cast_enters_a_graph_inside_a_node():
    x0 = bl.input((2,), "x0", "float32")
    x = bl.variable(np.float32([1, 2]))
    (out,) = ops.call([x], graph=Graph([x0], [x0 * 0.1]))
    wide, _ = cast(Graph([], [out]), "float64")
    assert {node.dtype for node in topological(expand(wide.outputs))} == {"float64"}
    assert wide.outputs[0].value.tolist() == [0.1, 0.2]


def test_cast_leaves_keep_what_they_are():
    x = bl.input((bl.M, 2), "x", "float32", weak=1)
    graph, became = cast(Graph([x], [x * 2]), "float64")
    assert graph.inputs[0] is became[x]
    assert (became[x].weak, became[x].kind, became[x].shape) == (x.weak, "input", (bl.M, 2)) and x.weak != STRONG


# ---------------------------------------------------------------------- JSON
def test_json_holds_the_graph(step):
    text = json.dumps(step.to_json(), allow_nan=False)
    data = json.loads(text)
    nodes = data["nodes"]
    assert len(nodes) == len(step.nodes) and len(data["roots"]) == 4
    for place, (row, node) in enumerate(zip(nodes, step.nodes, strict=True)):
        assert row["op"] == node.op.name and all(i < place for i in row["inputs"])
        assert row["shape"] == [str(dim) if dim == bl.M else dim for dim in node.shape] and row["dtype"] == node.dtype
    assert nodes[data["roots"][0]]["name"] == "J"
    assert nodes[0] == {
        "op": "input",
        "inputs": [],
        "shape": ["m", 2],
        "dtype": "float64",
        "name": "x",
        "where": nodes[0]["where"],
    }
    assert all(":" in where for row in nodes for where in row.get("where", []))


def test_json_of_every_kind_of_attribute():
    x0 = bl.input((2,), "x0")
    x = bl.input((bl.M, 2), "x")
    for node in (
        x * float("inf") - float("nan"),
        x.reshape((bl.M, 1, 2)),
        ops.clip(x, -np.inf, 0.0),
        ops.pad(x, ((0, 0), (1, 1))),
        ops.split(x, sections=2, axis=1)[0],
        ops.call([bl.variable([1.0, 2.0])], graph=Graph([x0], [x0 * 2]))[0],
        ops.bits(bl.variable(np.uint32(1)), 0, shape=(3,)),
        bl.grad(ops.sum(ops.softmax(x)), x),
    ):
        data = json.loads(json.dumps(node.to_json(), allow_nan=False))
        assert data["nodes"][data["roots"][0]]["op"] == node.op.name
