"""Which dtype a result has: who gives way to whom, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import backlit as bl
from backlit.core.errors import DTypeError
from backlit.core.node import state
from backlit.core.walk import Graph, cast, topological

M = bl.M
WEAK = {
    "literal": lambda: 0.5,
    "whole literal": lambda: 3,
    "bool": lambda: True,
    "NumPy number": lambda: np.float64(0.5),
    "list": lambda: [0.5, 1.5],
    "list of whole numbers": lambda: [1, 2],
    "array": lambda: np.array([0.5, 1.5]),
    "array of whole numbers": lambda: np.array([1, 2]),
    "array of bools": lambda: np.array([True, False]),
    "constant": lambda: bl.constant([0.5, 1.5]),
    "constant of whole numbers": lambda: bl.constant(np.array([1, 2])),
}


def float32(value=(1.0, 2.0), name=None):
    return bl.variable(np.float32(value), name)


@pytest.mark.parametrize("weak", WEAK.values(), ids=WEAK)
@pytest.mark.parametrize(
    "firm", [float32, lambda: bl.input((2,), "x", "float32"), lambda: state(np.float32([1, 2]), "s")]
)
def test_a_float32_variable_input_or_state_stays_float32(weak, firm):
    firm, weak = firm(), weak()
    for node in (firm + weak, weak * firm, bl.ops.maximum(firm, weak), bl.ops.where(firm > 0, firm, weak)):
        assert node.dtype == "float32"
        assert (node * 2.0).dtype == "float32"
        assert all(i.dtype in ("float32", "bool") for i in node.inputs)


def test_the_value_has_the_dtype_too():
    v = float32()
    for node in (v * 0.1, v + np.array([0.1, 0.2]), bl.ops.mean(v), bl.ops.exp(v), bl.nn.gelu(v), bl.ops.std(v)):
        assert node.dtype == node.value.dtype == "float32"
    assert (v * 0.1).value.tolist() == (np.float32([1, 2]) * np.float32(0.1)).tolist()


@pytest.mark.parametrize("first", ["float32", "float64"])
def test_two_firm_values_of_different_float_dtype_are_refused(first):
    second = "float64" if first == "float32" else "float32"
    firm = [
        lambda dtype: bl.variable([1.0, 2.0], "v", dtype),
        lambda dtype: bl.input((2,), "x", dtype),
        lambda dtype: bl.ops.exp(bl.variable([1.0, 2.0], None, dtype)) * 0.5,
    ]
    for left in firm:
        for right in firm:
            a, b = left(first), right(second)
            for use in (
                lambda a=a, b=b: a + b,
                lambda a=a, b=b: bl.ops.maximum(a, b),
                lambda a=a, b=b: bl.ops.concatenate([a, b]),
                lambda a=a, b=b: a @ b,
                lambda a=a, b=b: bl.ops.where(True, a, b),
            ):
                with pytest.raises(DTypeError, match="joins float32 and float64") as caught:
                    use()
                assert isinstance(caught.value, ValueError)
            assert (a + bl.ops.cast(b, first)).dtype == first


def test_only_weak_values_follow_numpy():
    assert (bl.constant(np.float32(1)) * np.float64([1, 2])).dtype == "float64"
    assert (bl.constant(np.float32(1)) * 0.1).dtype == "float32"
    assert (bl.constant(3) * 2).dtype == "float64"


# ---------------------------------------------------------------------- whole numbers and bools
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_whole_numbers_stay_whole_until_they_meet_a_fraction(dtype):
    i = bl.variable(np.array([1, 2], dtype))
    for node in (i + 1, 3 * i, -i, abs(i), bl.ops.maximum(i, 2), i[0], i.reshape(2, 1)):
        assert node.dtype == dtype
    for node in (i + 0.5, i * 2.0, bl.ops.exp(i), bl.ops.sqrt(i), i / 2, bl.ops.mean(i), bl.ops.softmax(i)):
        assert node.dtype == "float64"
    assert (i / 2).value.tolist() == [0.5, 1.0]
    assert (i * float32()).dtype == "float32"
    assert (i > 1).dtype == bl.ops.isfinite(i).dtype == "bool"
    assert bl.ops.argmax(i).dtype == "int64"


def test_whole_numbers_of_different_width_meet_in_one_that_holds_both():
    i = bl.variable(np.int32(3))
    assert (i + np.array(2**40)).value == 2**40 + 3
    assert (i + bl.variable(np.uint32(5))).dtype == "int64"
    assert (i + 1).dtype == "int32"


def test_a_literal_must_fit():
    with pytest.raises(DTypeError, match="300 does not fit into uint8"):
        bl.variable(np.uint8(3)) + 300
    assert (bl.variable(np.uint8(3)) + 200).value == 203


def test_masks_count():
    """A bool joined with a number is 0 or 1, as in NumPy."""
    v = np.array([1.0, 2.0, 3.0])
    mask, array = bl.variable(v) > 1.5, v > 1.5
    for got, expected in [
        (mask * 3, array * 3),
        (1 - mask, 1 - array),
        (mask + 1, array + 1),
        (mask * 0.5, array * 0.5),
        (mask * np.arange(3), array * np.arange(3)),
        (bl.ops.sum(mask), np.sum(array)),
        (bl.ops.mean(mask), np.mean(array)),
        (bl.ops.sum(mask, axis=0, keepdims=True), np.sum(array, axis=0, keepdims=True)),
        (bl.ops.mean(bl.ops.equal(mask, True)), np.mean(array)),
        (bl.ops.logical_not(mask), ~array),
    ]:
        assert got.dtype == expected.dtype.name
        assert np.array_equal(got.value, expected)
        assert np.array_equal(bl.compile(got)(), expected)
    assert (mask * bl.variable(np.float32(v))).dtype == "float32"


def test_sums_of_small_whole_numbers_do_not_wrap():
    pixels = bl.variable(np.full((2, 3), 200, np.uint8))
    assert bl.ops.sum(pixels).value == 1200 and bl.ops.mean(pixels).value == 200.0
    assert bl.ops.prod(pixels, axis=1).value.tolist() == [8_000_000, 8_000_000]
    assert bl.compile(bl.ops.sum(pixels, axis=0))().tolist() == [400] * 3


def test_ids_and_masks_pass_beside_floats():
    v, ids = float32((1.0, 2.0)), bl.input((M,), "ids", "int64")
    assert bl.ops.gather(v, ids).dtype == "float32"
    assert bl.ops.one_hot(ids, depth=3).dtype == "float32"
    assert (bl.ops.one_hot(ids, depth=2) * bl.variable([1.0, 2.0])).dtype == "float64"  # made from ids: not firm
    assert ids.dtype == "int64"


# ---------------------------------------------------------------------- which dtypes there are
@pytest.mark.parametrize("dtype", ["float16", "complex128", "float", "foo", "<U3"])
def test_other_dtypes_are_refused(dtype):
    v = bl.variable(1.0)
    for use in (
        lambda: bl.variable(1.0, dtype=dtype),
        lambda: bl.input((), dtype=dtype),
        lambda: bl.ops.cast(v, dtype),
        lambda: bl.ops.zeros(shape=(2,), dtype=dtype),
    ):
        with pytest.raises(DTypeError, match="there is no dtype"):
            use()


@pytest.mark.parametrize("dtype", [np.float32, np.dtype("float32"), "float32"])
def test_dtypes_may_be_named_as_numpy_does(dtype):
    v = bl.variable([1.0, 2.0])
    for node in (bl.variable(1.0, dtype=dtype), bl.input((), dtype=dtype), bl.ops.cast(v, dtype), v.astype(dtype)):
        assert node.dtype == "float32"
    assert v.astype(int).dtype == "int64" and bl.ops.cast(v, dtype) is v.astype("float32")
    assert bl.ops.ones(shape=(2,), dtype=dtype).dtype == np.float32


# ---------------------------------------------------------------------- a whole graph in another dtype
def test_a_graph_cast_to_float64():
    v = float32((0.1, 0.2), "v")
    ids = bl.input((M,), "ids", "int32")
    J = bl.ops.sum(bl.ops.gather(v * 0.1 + np.float32([1, 2]), ids) * bl.constant(np.float32(3)))
    count = bl.variable(np.int64(0), "count")
    graph = Graph([ids], [J, bl.ops.cast(v, "float32"), v > 0], {v: v * 2, count: count + 1})
    wide, became = cast(graph, "float64")

    assert {node.dtype for node in topological(wide.roots)} == {"float64", "int64", "int32", "bool"}
    assert became[v].name == "v" and became[v] is not v and became[ids] is wide.inputs[0]
    assert became[v].value.tolist() == np.float64(np.float32([0.1, 0.2])).tolist()
    assert became[count].dtype == "int64" and list(wide.updates) == [became[v], became[count]]
    assert v.dtype == "float32" and J.dtype == "float32"
    f = bl.compile(wide.outputs[0], inputs=wide.inputs)
    x = np.float64(v.value)
    assert f([0, 1]) == pytest.approx(3 * np.sum(x * 0.1 + [1, 2]), rel=1e-15)  # 0.1 is float64's own again


def test_a_cast_keeps_names_that_look_like_dtypes():
    wide, _ = cast(Graph([], [bl.name(float32(), "float32")]), "float64")
    assert wide.outputs[0].name == "float32" and wide.outputs[0].dtype == "float64"


@given(st.lists(st.sampled_from(["float32", "float64"]), min_size=1, max_size=4))
def test_casting_there_and_back(path):
    v = float32((0.5, 0.25), "v")
    graph = Graph([], [bl.nn.softmax(v * 3.0)])
    for dtype in path:
        graph, _ = cast(graph, dtype)
        assert graph.outputs[0].dtype == dtype
    back, _ = cast(graph, "float32")
    assert back.outputs[0].value.tolist() == bl.nn.softmax(v * 3.0).value.tolist()
