"""Pooling in machine code: largest numbers by blocks of examples, and derivatives by who won, against `reference`."""

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.core.walk import Graph, topological
from backlit.engines import objects
from backlit.engines.compiled import CompiledProgram
from backlit.engines.planned import prepare
from backlit.engines.pooled import Won, most
from backlit.rewrite import winners
from backlit.rewrite.rule import apply

PROCESSORS = {
    "AVX-512": ("x86_64-unknown-linux-gnu", "skylake-avx512", {"avx512f": True, "avx2": True, "fma": True}),
    "AVX2": ("x86_64-unknown-linux-gnu", "haswell", {"avx2": True, "fma": True}),
    "NEON": ("aarch64-unknown-linux-gnu", "generic", {}),
}
TOLERANCE = {"float64": 1e-10, "float32": 1e-5}
ACTIVATIONS = {
    "none": lambda z: z,
    "relu": bl.ops.relu,
    "leaky": bl.ops.leaky_relu,
    "tanh": bl.ops.tanh,
    "elu": bl.ops.elu,  # whose derivative is no function of what pooling sees
    "size": bl.ops.absolute,  # where equal numbers have different derivatives
    "double": lambda z: z * 2.0 / 3.0,
}


def network(kernel, bias, activation, window, strides, inputs):
    """x, the loss's parts and its gradients."""
    x = bl.input(inputs, name="x", dtype=kernel.dtype)
    z = bl.ops.conv(x, kernel) + bias
    y = bl.ops.max_pool(ACTIVATIONS[activation](z), window=window, strides=strides)
    weights = np.cos(np.arange(np.prod(y.shape[1:]))).reshape(y.shape[1:]).astype(kernel.dtype)
    loss = bl.ops.sum(bl.ops.square(y) * weights)
    return x, [y, *bl.grad(loss, [kernel, bias, x])]


def drawn(rng, shape, dtype, ties):
    values = rng.normal(size=shape)
    return (np.round(values) if ties else values).astype(dtype)


@st.composite
def cases(draw):
    axes = draw(st.integers(1, 2))
    kernel = draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    window = draw(st.lists(st.integers(1, 3), min_size=axes, max_size=axes))
    strides = draw(st.none() | st.lists(st.integers(1, 4), min_size=axes, max_size=axes))
    places = [k + w + draw(st.integers(0, 5)) for k, w in zip(kernel, window, strict=True)]
    channels, filters = draw(st.sampled_from([1, 2, 5, 16])), draw(st.sampled_from([1, 3, 8, 17, 32]))
    return {
        "rows": draw(st.integers(0, 5)), "places": places, "kernel": kernel, "window": window, "strides": strides,
        "channels": channels, "filters": filters, "activation": draw(st.sampled_from(sorted(ACTIVATIONS))),
        "dtype": draw(st.sampled_from(["float32", "float64"])), "ties": draw(st.booleans()),
        "seed": draw(st.integers(0, 99)),
    }  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(cases())
def test_values_and_derivatives_of_pooled_convolutions_are_those_of_reference(case):
    rng, dtype = np.random.default_rng(case["seed"]), case["dtype"]
    kernel = bl.variable(drawn(rng, (*case["kernel"], case["channels"], case["filters"]), dtype, case["ties"]))
    bias = bl.variable(drawn(rng, (case["filters"],), dtype, case["ties"]))
    shape = (*case["places"], case["channels"])
    x, wanted = network(kernel, bias, case["activation"], case["window"], case["strides"], (bl.M, *shape))
    data = drawn(rng, (case["rows"], *shape), dtype, case["ties"])
    known = bl.compile(wanted, [x], engine="reference")(data)
    made = bl.compile(wanted, [x], engine="compiled")(data)
    for a, b in zip(made, known, strict=True):
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * scale)


def wide(dtype="float32"):
    """A convolution whose windows fill vectors, pooled: products of the winners alone pay."""
    rng = np.random.default_rng(1)
    kernel = bl.variable(rng.normal(size=(3, 3, 16, 32)).astype(dtype))
    return network(kernel, bl.variable(np.zeros(32, dtype)), "relu", (2, 2), None, (bl.M, 11, 11, 16))


def recipes(plan):
    """The kinds of kernels of a plan."""

    def of(row):
        return [type(row.recipe).__name__, *(name for part in getattr(row, "parts", ()) for name in of(part))]

    return {name for _, calls in plan.lines for call in calls for name in of(call)}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_of_winners_alone_where_they_are_few_and_see_long_pieces(dtype):
    x, wanted = wide(dtype)
    program = CompiledProgram(Graph([x], wanted))
    plan = program.make(8)
    assert "Won" in recipes(plan)
    assert "Spread" not in recipes(plan)
    data = np.round(np.random.default_rng(2).normal(size=(8, 11, 11, 16)), 1).astype(dtype)
    data[:, 3:9] = 0  # equal numbers in many windows
    known = bl.compile(wanted, [x], engine="reference")(data)
    for a, b in zip(program.evaluate({x: data}).outputs, known, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=TOLERANCE[dtype] * np.abs(b).max())


def test_what_convolutions_make_is_never_written_as_a_whole():
    x, wanted = wide()
    rows = 512
    before_pooling = rows * 9 * 9 * 32 * 4
    one_each = rows * (4 * 4 * 32 * 4 * 4 + 11 * 11 * 16 * 4 * 2)  # pooled values and what belongs to them; the input
    plan = CompiledProgram(Graph([x], wanted)).make(rows)
    assert plan.bytes < min(3 * before_pooling, before_pooling + one_each)


def test_number_of_threads_changes_no_bit(monkeypatch):
    data = np.random.default_rng(3).normal(size=(200, 11, 11, 16)).astype("float32")
    x, wanted = wide()
    told = []
    for threads in ("1", "2"):
        monkeypatch.setenv("BACKLIT_THREADS", threads)
        told.append(CompiledProgram(Graph([x], wanted)).evaluate({x: data}).outputs)
    for one, two in zip(*told, strict=True):
        assert one.tobytes() == two.tobytes()


def test_nan_in_a_window_is_nan_after_it():
    x = bl.input((bl.M, 4, 3), name="x", dtype="float64")
    y = bl.ops.max_pool(x, window=(2,))
    (g,) = bl.grad(bl.ops.sum(y * np.arange(1.0, 4.0)), [x])
    data = np.arange(24.0).reshape(2, 4, 3)
    data[0, 1, 1] = np.nan
    made, known = (bl.compile([y, g], [x], engine=engine)(data) for engine in ("compiled", "reference"))
    for a, b in zip(made, known, strict=True):
        np.testing.assert_array_equal(a, b)


# ---------------------------------------------------------------------- the rewrite
def rewritten(activation, window=(2, 2), strides=None):
    """The gradient by the input, before and after."""
    x = bl.variable(np.round(np.random.default_rng(5).normal(size=(2, 7, 7, 3)), 1))
    y = bl.ops.max_pool(ACTIVATIONS[activation](x * 1.5), window=window, strides=strides)
    gradient = bl.grad(bl.ops.sum(y * np.arange(3.0)), [x])
    before = prepare(Graph([], gradient)).roots
    return before[0], apply(before, winners.RULES)[0]


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
@pytest.mark.parametrize(("window", "strides"), [((2, 2), None), ((3, 2), (2, 3)), ((3, 3), (1, 1))])
def test_rewritten_derivative_is_the_same(activation, window, strides):
    before, after = rewritten(activation, window, strides)
    assert {"winners", "spread"} <= {node.op.name for node in topological([after])}
    np.testing.assert_allclose(after.value, before.value, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("activation", ["relu", "leaky", "tanh", "double"])
def test_what_follows_is_computed_at_the_winners_where_the_largest_number_says_it(activation):
    _, after = rewritten(activation)
    order = [node.op.name for node in topological([after])]
    behind = order[order.index("spread") + 1 :]
    assert set(behind) <= {"multiply"}  # by the 1.5 before the activation


@pytest.mark.parametrize("activation", ["elu", "size"])
def test_a_derivative_that_equal_numbers_do_not_share_stays_where_it_was(activation):
    _, after = rewritten(activation)
    order = [node.op.name for node in topological([after])]
    assert len(order[order.index("spread") + 1 :]) >= 2


def test_windows_of_more_places_than_bits_are_left_alone():
    before, after = rewritten("relu", window=(6, 6))
    assert after is before
    np.testing.assert_array_equal(winners.width(9), 16)


# ---------------------------------------------------------------------- the code
@pytest.mark.parametrize("processor", ["AVX-512", "AVX2", "NEON"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("into", ["kernel", "input"])
def test_sums_of_winners_stay_in_the_registers(processor, dtype, into):
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = objects.Target(*PROCESSORS[processor])
    recipe = Won(dtype, "uint8", into, 1, most(target.make, dtype), False)
    code = target.machine.emit_assembly(target.module(recipe, "kernel"))
    stack = [line for line in code.splitlines() if "sp" in line.split(",")[-1] or "(%rsp)" in line]
    assert not [
        line for line in stack if any(name in line for name in ("ymm", "zmm", "\tq", ", q", "stp\td", "ldp\td"))
    ]
