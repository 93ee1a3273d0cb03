"""The trace of a graph: the course's worked numbers, and what holds for any graph."""

import math
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.core.node import FLOATS
from backlit.core.shapes import bind
from backlit.core.walk import topological
from backlit.engines.reference import values
from backlit.engines.scalars import TABLE
from backlit.view.layout import layout
from backlit.view.program import program
from tests.conformance.graphs import graphs

nn, ops = bl.nn, bl.ops


def near(value, rel=1e-12):
    return pytest.approx(value, rel=rel, abs=1e-15)


def run(code, place=None, value=None):
    """A program as a page runs it: row after row."""
    out = []
    for k, (name, *args) in enumerate(code["code"]):
        if k == place:
            out.append(value)
        elif name in ("in", "same"):
            out.append(args[0] if name == "in" else out[args[0]])
        else:
            out.append(TABLE[name](*(out[i] for i in args)))
    return out


# ---------------------------------------------------------------------- W001 … W007
def three_times():
    a, b, c = bl.variable(5.0, "a"), bl.variable(3.0, "b"), bl.variable(2.0, "c")
    u = bl.name(b * c, "u")
    v = bl.name(a + u, "v")
    return bl.name(3 * v, "J")


def squared_error(w=2.0, x=-2.0, b=8.0, y=2.0):
    w, x = bl.variable(w, "w"), bl.constant(x, "x")
    b, y = bl.variable(b, "b"), bl.constant(y, "y")
    c = bl.name(w * x, "c")
    a = bl.name(c + b, "a")
    d = bl.name(a - y, "d")
    return bl.name(d**2 / 2, "J")


def one_unit_a_layer():
    x, y = bl.constant(1.0, "x"), bl.constant(5.0, "y")
    w1, b1, w2, b2 = (bl.variable(v, n) for v, n in [(2.0, "w1"), (0.0, "b1"), (3.0, "w2"), (1.0, "b2")])
    z1 = bl.name(bl.name(w1 * x, "t1") + b1, "z1")
    a1 = bl.name(nn.relu(z1), "a1")
    z2 = bl.name(bl.name(w2 * a1, "t2") + b2, "z2")
    return bl.name((bl.name(nn.relu(z2), "a2") - y) ** 2 / 2, "J")


def values_and_slopes(t):
    return {s.name: s.value for s in t.forward}, {s.name: s.derivative for s in t.backward}


def test_w001():
    t = bl.trace(three_times())
    ahead, back = values_and_slopes(t)
    assert ahead == {"u": 6.0, "v": 11.0, "J": 33.0}
    assert back == {"J": 1.0, "v": 3.0, "u": 3.0, "a": 3.0, "b": 6.0, "c": 9.0}
    assert t["u"].local == {"b": 2.0, "c": 3.0} and t["v"].local == {"a": 1.0, "u": 1.0}
    for name, after, v in [("v", 33.003, 11.001), ("a", 33.003, 11.001), ("u", 33.003, 11.001), ("b", 33.006, 11.002)]:
        nudge = t.nudge(name, 0.001)
        assert nudge.after == near(after)
        assert name == "v" or nudge.moved["v"] == (11.0, near(v))
    assert t.nudge("b", 0.001).moved["u"] == (6.0, near(6.002))
    assert "b" not in t.nudge("u", 0.001).moved  # what makes u is left as it is


def test_w002():
    t = bl.trace(squared_error())
    ahead, back = values_and_slopes(t)
    assert ahead == {"c": -4.0, "a": 4.0, "d": 2.0, "J": 2.0}
    assert back == {"J": 1.0, "d": 2.0, "a": 2.0, "b": 2.0, "c": 2.0, "w": -4.0}
    assert [s.name for s in t.forward] == ["c", "a", "d", "J"]
    assert [(s.formula, s.numbers) for s in t.forward[:2]] == [("w * x", "2 * (-2)"), ("c + b", "-4 + 8")]
    assert (t.backward[-1].formula, t.backward[-1].numbers) == ("dJ/dc · dc/dw", "2 · (-2)")
    assert [(s.name, s.reuses) for s in t.backward] == [
        ("J", ()), ("d", ("J",)), ("a", ("d",)), ("b", ("a",)), ("c", ("a",)), ("w", ("c",))
    ]  # fmt: skip
    counts = t.counts
    assert (counts.nodes, counts.parameters, counts.sum, counts.product) == (4, 2, 6, 8)
    assert (counts.scalars.nodes, counts.scalars.parameters) == (4, 2)
    nudge = t.nudge("w", 0.001)
    assert (nudge.after, nudge.change) == (near(1.996002), near(-0.003998, 1e-10))
    assert [t.nudge(name, 0.001).after for name in "bd"] == [near(2.0020005)] * 2
    assert t.nudge("c", 0.001).moved["a"] == (4.0, near(4.001))


def test_w002_without_names_every_operation_is_a_step():
    w, x, b, y = bl.variable(2.0, "w"), bl.constant(-2.0, "x"), bl.variable(8.0, "b"), bl.constant(2.0, "y")
    t = bl.trace((w * x + b - y) ** 2 / 2)
    assert [s.name for s in t.forward] == ["t1", "t2", "t3", "t4", "J"]
    assert [s.operation for s in t.forward] == ["multiply", "add", "subtract", "power", "divide"]
    assert t.counts.nodes == 5


def test_w003():
    t = bl.trace(one_unit_a_layer())
    ahead, back = values_and_slopes(t)
    assert ahead == {"t1": 2.0, "z1": 2.0, "a1": 2.0, "t2": 6.0, "z2": 7.0, "a2": 7.0, "J": 2.0}
    assert [back[n] for n in ("a2", "z2", "b2", "t2", "w2")] == [2.0, 2.0, 2.0, 2.0, 4.0]
    assert [back[n] for n in ("a1", "z1", "b1", "t1", "w1")] == [6.0] * 5
    for name, after in [("w1", 2.0060045), ("b1", 2.0060045), ("w2", 2.004002), ("b2", 2.0020005)]:
        assert t.nudge(name, 0.001).after == near(after)


def test_w004_the_ratio_comes_nearer_to_the_derivative():
    t = bl.trace(bl.variable(3.0, "w") ** 2)
    table = t.nudge("w", [0.002, 0.001, 1e-6])
    assert [n.after for n in table] == [near(9.012004), near(9.006001), near(9.000006000001)]
    assert [n.ratio for n in table] == [near(6.002, 1e-9), near(6.001, 1e-9), near(6.000001, 1e-8)]
    assert t.nudge("w", 0.01).after == near(9.0601)  # not 9.006001, as was once printed
    assert table[0].derivative == 6.0 and "change/eps" in str(table)


@pytest.mark.parametrize(
    "formula, at, slope, nudged",
    [
        (lambda w: w**2, 2.0, 4.0, None),
        (lambda w: w**2, -3.0, -6.0, None),
        (lambda w: 2 * w, 2.0, 2.0, None),
        (lambda w: w**3, 2.0, 12.0, 12.006001),
        (lambda w: 1 / w, 2.0, -0.25, -0.249875),
        (lambda w: 1 / w**2, 4.0, -0.03125, None),
    ],
)
def test_w005(formula, at, slope, nudged):
    t = bl.trace(formula(bl.variable(at, "w")))
    assert t["w"].derivative == near(slope)
    assert nudged is None or t.nudge("w", 0.001).ratio == near(nudged, 1e-6)
    sympy = pytest.importorskip("sympy")
    found = t.symbolic("w")
    w = sympy.Symbol("w", real=True)
    assert sympy.simplify(found.expression - sympy.diff(formula(w), w)) == 0 and found.value == near(slope)


def test_w006():
    w = bl.variable(3.0, "w")
    t = bl.trace(bl.name(bl.name(2 + 3 * w, "a") ** 2, "J"))
    assert (t["a"].value, t.J) == (11.0, 121.0)
    assert (t["a"].derivative, t["a"].local, t["w"].derivative) == (22.0, {"w": 3.0}, 66.0)
    assert t.nudge("w", 0.001).ratio == near(66.009, 1e-9)


def test_w007():
    ahead, back = values_and_slopes(t := bl.trace(squared_error(-2.0, 2.0, 8.0, 1.0)))
    assert ahead == {"c": -4.0, "a": 4.0, "d": 3.0, "J": 4.5}
    assert back == {"J": 1.0, "d": 3.0, "a": 3.0, "c": 3.0, "b": 3.0, "w": 6.0}
    assert t.nudge("w", 0.001).ratio == near(6.002, 1e-9)


def test_the_text_lines_up():
    lines = str(bl.trace(squared_error())).splitlines()
    assert lines[2:9] == [
        "forward",
        "  with w = 2, x = -2 (kept), b = 8, y = 2",
        "  step  formula     with numbers  value",
        "  c     w * x       2 * (-2)         -4",
        "  a     c + b       -4 + 8            4",
        "  d     a - y       4 - 2             2  kept",
        "  J     d ** 2 / 2  2 ** 2 / 2        2",
    ]
    assert "  dJ/dw       dJ/dc · dc/dw  2 · (-2)         -4  dc/dw = x" in lines


# ---------------------------------------------------------------------- why
def test_why_a_relu_that_is_off():
    w, x = bl.variable(2.0, "w"), bl.constant(-3.0, "x")
    a = bl.name(nn.relu(bl.name(w * x, "z")), "a")
    why = bl.trace((a - 1) ** 2).why("w")
    assert (why.verdict, why.where, why.cause) == ("zero", "a", "off")
    assert why.ends[0].path == ("w", "z", "a") and "relu(-6)" in str(why)


@pytest.mark.parametrize(
    "make, verdict, where, cause",
    [
        (lambda w: (bl.name(w * 0.0, "t") - 1) ** 2, "zero", "t", "times zero"),
        (lambda w: (bl.name(w * bl.variable(0.0, "v"), "t") - 1) ** 2, "zero", "t", "times zero"),
        (lambda w: (bl.name(nn.sigmoid(w * 1000), "a") - 0.5) ** 2, "zero", "a", "saturated"),
        (lambda w: (bl.name(nn.tanh(w * 5), "a") - 0.5) ** 2, "tiny", "a", "saturated"),
        (lambda w: bl.name(ops.maximum(w, 5.0), "t") * 2, "zero", "t", "not chosen"),
        (lambda w: bl.name(ops.clip(w, 0.0, 1.0), "t") * 2, "zero", "t", "flat"),
        (lambda w: bl.name(ops.floor(w), "t") * 2, "no path", "t", "no derivative"),
        (lambda w: bl.name(w - w, "t") * 2, "zero", "t", "cancels"),
        (lambda w: bl.name(1 / (w - 2 + 1e-5), "t") * 2, "huge", "t", "large factor"),
        (lambda w: bl.name(ops.log(w - 2), "t"), "not finite", "t", "overflow"),
        (lambda w: (w - 1) ** 2, "ordinary", "t2", "ordinary"),
    ],
)
def test_why(make, verdict, where, cause):
    why = bl.trace(bl.name(make(bl.variable(2.0, "w")), "J") if where != "t2" else make(bl.variable(2.0, "w")))
    found = why.why("w")
    assert (found.verdict, found.cause) == (verdict, cause)
    assert where == "t2" or found.where == where


def test_the_factors_on_the_way_multiply_to_the_derivative():
    w, b = bl.variable(2.0, "w"), bl.variable(8.0, "b")
    t = bl.trace(bl.name((bl.name(bl.name(w * (-2.0), "c") + b, "a") - 2.0) ** 2 / 2, "J"))
    factors = [float(number) for number in re.findall(r"× (-?[\d.]+)", str(t.why("w")))]
    assert np.prod(factors) == pytest.approx(-4) and "dc/dw = -2" in str(t.why("w"))


def test_why_of_one_number_of_an_array():
    W, X = bl.variable([[1.0, -2.0], [3.0, -4.0]], "W"), bl.constant([[1.0, 2.0]], "X")
    A = bl.name(nn.relu(bl.name(X @ W, "Z")), "A")
    t = bl.trace(ops.sum(A * 2))
    why = t.why("W", index=(0, 1))
    assert (why.verdict, why.where, why.cause) == ("zero", "A", "off")
    assert t.why("W").verdict == "partly zero" and t.why("W", index=(0, 0)).verdict == "ordinary"


def test_why_follows_a_number_through_layers_to_a_weight_that_is_zero():
    W, X, U = bl.variable([[1.0, 2.0]], "W"), bl.constant([[1.0]], "X"), bl.constant([[0.0], [1.0]], "U")
    out = bl.name(bl.name(nn.relu(bl.name(X @ W, "Z")), "A") @ U, "out")
    t = bl.trace(ops.sum(out))
    why = t.why("W", index=(0, 0))
    assert (why.where, why.cause) == ("out", "times zero") and t.why("W", index=(0, 1)).verdict == "ordinary"


def test_a_parameter_that_nothing_reads_has_no_path():
    w, k = bl.variable(2.0, "w"), bl.variable(3.0, "k")
    t = bl.trace(w * 2 + ops.cast(k > 1, "float64"))
    assert t.why("k").verdict == "no path" and "truth values" in str(t.why("k"))
    assert t["k"].derivative == 0.0


# ---------------------------------------------------------------------- any graph
@settings(max_examples=25)
@given(graphs(most=12))
def test_every_step_of_a_random_graph(drawn):
    J, feed = drawn.cost, drawn.feed(3)
    before = {leaf: np.array(leaf.array) for leaf in drawn.variables}
    t = bl.trace(J, feed)
    asked = [node for node in topological([J]) if not node.several and node.dtype in FLOATS and node.inputs]
    close = {"rtol": 1e-9, "atol": 1e-9, "equal_nan": True}
    if any(node.dtype == "float32" for node in asked):  # what a record makes in float32 is traced in float64
        close |= {"rtol": 1e-4, "atol": 1e-4}
    known = values(asked, feed)
    found = bl.grad(J, asked)
    slopes = values(found, feed)
    places = Counter(t.reading.worked.place[node] for node in asked)
    for node, g in zip(asked, found, strict=True):
        place = t.reading.worked.place[node]
        if places[place] > 1:
            continue  # a node and its cast are one step in float64, whose derivative is the sum of theirs
        if place in t.reading.names and place in t.reading.reads:
            step = t[t.reading.names[place]]
            assert np.allclose(step.value, known[node], **close)
            assert np.allclose(step.derivative, slopes[g], **close)
            assert np.shape(step.derivative) == bind(node.shape, 3)
    counts = t.counts
    assert counts.sum == counts.nodes + counts.parameters
    assert counts.scalars.nodes == sum(np.size(step.value) for step in t.forward)
    for leaf, array in before.items():
        assert np.array_equal(leaf.array, array)


@settings(max_examples=25)
@given(st.integers(0, 2**16))
def test_nudges_tend_to_the_derivative(seed):
    rng = np.random.default_rng(seed)
    W, X = bl.variable(rng.normal(size=(2, 3)), "W"), bl.constant(rng.normal(size=(4, 2)), "X")
    H = bl.name(nn.tanh(bl.name(X @ W, "Z")), "H")
    t = bl.trace(bl.name(ops.mean(nn.softplus(H * 2)), "J"))
    for name in ("W", "Z", "H", "X"):
        index = tuple(int(rng.integers(n)) for n in np.shape(t[name].value))
        slope = t[name].derivative[index]
        for nudge in t.nudge(name, [1e-2, 1e-3, 1e-5], index=index):  # the error shrinks with eps
            assert nudge.derivative == slope and abs(nudge.ratio - slope) <= 30 * nudge.eps + 1e-8


SCALARS = (nn.tanh, nn.sigmoid, nn.relu, nn.softplus, nn.gelu, ops.square, ops.exp, nn.leaky_relu, lambda z: z + 1)


@settings(max_examples=25)
@given(st.lists(st.integers(0, len(SCALARS) - 1), min_size=1, max_size=5), st.floats(-1, 1), st.floats(-1, 1))
def test_the_program_of_a_page_computes_the_same_numbers(picks, w, b):
    w, b = bl.variable(w, "w"), bl.variable(b, "b")
    z = w
    for k, pick in enumerate(picks):
        z = bl.name(nn.tanh(SCALARS[pick](z * 0.5 + b)), f"a{k}")
    t = bl.trace(bl.name(z * w, "J"))
    code = program(t.reading)
    out = run(code)
    for step in t.forward:
        assert out[code["at"][step.name]] == near(step.value, 1e-9)
    moved = run(code, code["at"]["w"], w.value + 0.1)
    assert moved[code["root"]] == near(t.nudge("w", 0.1).after, 1e-9)
    assert program(bl.trace(ops.sum(bl.variable([1.0, 2.0], "v") * w)).reading) is None  # arrays: no program


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_a_formula_with_numbers_in_it_gives_the_value(a, b):
    t = bl.trace(bl.name(bl.variable(a, "a") * bl.variable(b, "b") - bl.constant(2.0, "c"), "J"))
    left, right = t["J"].numbers.split(" * ")
    first, last = right.rsplit(" - ", 1)
    number = [float(each.strip("()")) for each in (left, first, last)]
    assert number[0] * number[1] - number[2] == pytest.approx(t.J, abs=2e-5 * (abs(a * b) + 2))


def test_a_trace_keeps_the_numbers_of_its_moment():
    w = bl.variable(3.0, "w")
    t = bl.trace(w**2)
    w.assign(5.0)
    assert t.J == 9.0 and t.nudge("w", 0.001).after == near(9.006001) and w.value == 5.0


def test_float32_is_traced_in_float64():
    w = bl.variable(np.float32(0.1), "w", "float32")
    t = bl.trace(w * 3)
    assert t.nudge("w", 1e-6).ratio == near(3.0, 1e-8)


def test_two_values_of_one_name_and_a_value_that_is_used_twice():
    w = bl.variable(2.0, "w")
    first, second = bl.name(w * 2, "a"), bl.name(w * 3, "a")
    t = bl.trace(bl.name(first * second + first, "J"))
    assert t.names == ["w", "a", "a'2", "J"]
    shared = w + 1
    t = bl.trace(bl.name(bl.name(shared * 2, "b") * shared, "J"))
    assert [s.name for s in t.forward] == ["t1", "b", "J"]  # leads to two steps, so it is one of its own
    assert t["t1"].derivative == 12.0 and set(t.backward[2].reuses) == {"b", "J"}


def test_timing_beside_the_counts():
    spent = bl.trace(squared_error()).counts.timed()
    assert spent.numbers == spent.tried == 2 and spent.back > 0 and spent.perturbing > 0
    assert "n + p = 6" in str(bl.trace(squared_error()).counts)


# ---------------------------------------------------------------------- symbolic
def test_symbolic_of_activations_and_of_inner_steps():
    pytest.importorskip("sympy")
    w = bl.variable(0.3, "w")
    a = bl.name(nn.sigmoid(w * 2), "a")
    t = bl.trace(bl.name((a - 1) ** 2, "J"))
    assert str(t.symbolic("a").formula) == "2*a - 2"
    assert t.symbolic("w").value == near(t["w"].derivative, 1e-9)
    assert "dJ/dw = " in str(t.symbolic("w"))


# ---------------------------------------------------------------------- the layout
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 31)), max_size=60), st.integers(1, 30))
def test_boxes_never_overlap_and_arrows_lead_to_the_right(pairs, seed):
    edges = list(dict.fromkeys((a, b) for a, b in pairs if a < b))
    rng = np.random.default_rng(seed)
    sizes = [(float(w), float(h)) for w, h in rng.integers(10, 90, (32, 2))]
    found = layout(sizes, edges, (20, 10))
    for a, b in edges:
        assert found.centres[a][0] + sizes[a][0] / 2 <= found.centres[b][0] - sizes[b][0] / 2
    for i in range(32):
        for j in range(i):
            apart = [abs(found.centres[i][k] - found.centres[j][k]) - (sizes[i][k] + sizes[j][k]) / 2 for k in (0, 1)]
            assert max(apart) > -1e-6
        assert math.isfinite(found.centres[i][1]) and 0 <= found.centres[i][0] <= found.width


@pytest.mark.slow
def test_ten_thousand_steps_stay_usable():
    n = bl.variable(0.5, "w")
    for _ in range(5000):
        n = ops.tanh(n) + 0.1
    t = bl.trace(n)
    assert t.counts.nodes == 10000
    assert len(str(t).splitlines()) < 200
    assert len(t.to_svg()) < 200_000
    assert t.why("w").verdict == "tiny"
