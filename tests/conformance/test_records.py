"""What must hold of every record, checked on the samples that it carries: nothing here names a record."""

from __future__ import annotations

import copy
import itertools
import json
import pickle
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from backlit.core import registry
from backlit.core.node import FLOATS, Node, constant, variable
from backlit.core.op import Case, Op, Probe, case, composite, elementwise, literal, structural, uniform
from backlit.core.shapes import M, bind
from backlit.core.walk import Graph, topological
from tests.conformance.cases import (
    ENGINES,
    Built,
    Instance,
    difference,
    gradients,
    instances,
    intermediates,
    is_exact,
    largest,
    no_path,
    on_kink,
    ops,
    probed,
    projection,
    records,
    run,
    said,
)

INTERNAL = {"literal", "item", "call", "layer_call"}  # numbers, parts of several outputs, graphs and layers inlined

every_record = pytest.mark.parametrize("op", probed(), ids=lambda op: op.name)
every_engine = pytest.mark.parametrize("engine", ENGINES)


def test_every_record_carries_samples() -> None:
    assert {op.name for op in records() if op.probe is None} == INTERNAL
    assert all(op.probe.cases and op.doc for op in probed())


# ---------------------------------------------------------------------- values
@every_record
@pytest.mark.parametrize("dtype", FLOATS)
def test_value_has_the_shape_and_dtype_it_declares(op: Op, dtype: str) -> None:
    for instance in instances(op):
        built = instance.build(dtype)
        for node, value in zip(built.outputs, built.run("reference", instance.draw()), strict=True):
            assert value.shape == bind(node.shape, instance.rows), instance
            assert value.dtype == node.dtype, instance
            if instance.floats and "dtype" not in op.attrs and node.dtype in FLOATS:
                assert node.dtype == dtype, f"{instance} leaves the dtype of its inputs"
            if node.dtype in FLOATS:
                assert (node * 0.5).dtype == node.dtype, f"{instance} loses its dtype to a number"


@every_record
def test_samples_lie_in_the_domain(op: Op) -> None:
    for instance in instances(op):
        inside = said(instance, "domain", instance.draw())
        assert inside is None or np.all(inside), instance


@every_record
@every_engine
def test_engine_equals_reference_in_float64(op: Op, engine: str) -> None:
    for instance in instances(op):
        built, arrays = instance.build(), instance.draw()
        wanted = built.run("reference", arrays)
        scale = largest([*wanted, *arrays])
        for value, truth in zip(built.run(engine, arrays), wanted, strict=True):
            _assert_near(instance, value, truth, 1e-10 * scale)


@every_record
@every_engine
def test_engine_in_float32_is_near_reference_in_float64(op: Op, engine: str) -> None:
    for instance in instances(op):
        arrays = [a.astype(np.float32) if i in instance.floats else a for i, a in enumerate(instance.draw())]
        exact, built = instance.build("float64"), instance.build("float32")
        known = intermediates(exact.outputs, exact.feed(arrays))
        for node, value in zip(exact.outputs, built.run(engine, arrays), strict=True):
            truth = known[node]
            if op.formula is not None and len(op.formula.calls) == 1 and truth.dtype.kind == "f":
                _assert_near(instance, value, truth, 4 * np.spacing(np.abs(truth).astype(np.float32)))
            else:
                _assert_near(instance, value, truth, 1e-5 * largest(known.values()))


def _assert_near(instance: Instance, value: Any, truth: Any, tolerance: Any) -> None:
    if truth.dtype.kind != "f":
        assert np.array_equal(value, truth), instance
    else:
        if truth.dtype == np.float32:  # a record that makes float32 whatever it is given: normal numbers, to 4 ulp
            tolerance = np.maximum(tolerance, 4 * np.spacing(np.abs(truth).max()))
        assert np.all(np.abs(value.astype(np.float64) - truth) <= tolerance), f"{instance}: {value} is not {truth}"


@pytest.mark.parametrize("op", [op for op in probed() if op.random], ids=lambda op: op.name)
@every_engine
def test_draws_are_the_same_bits_on_every_engine(op: Op, engine: str) -> None:
    for instance in instances(op):
        built = instance.build()
        for seed in range(3):
            arrays = instance.draw(seed)
            for value, truth in zip(built.run(engine, arrays), built.run("reference", arrays), strict=True):
                # XLA multiplies and adds in one rounding: a range that is not [0, 1) may differ in its last bit
                exact = is_exact(built.outputs) and not (engine == "xla" and "low" in instance.case.attrs)
                ulps = 0.0 if exact else 4 * np.spacing(np.abs(truth).max())
                _assert_near(instance, value, truth, ulps)


@every_record
def test_call_on_arrays_gives_arrays(op: Op) -> None:
    for instance in instances(op):
        if instance.rows is None:
            built, arrays = instance.build(), instance.draw()
            got = op(*([arrays] if op.variadic else arrays), **instance.case.attrs)
            for value, truth in zip(got if op.several else [got], built.run("reference", arrays), strict=True):
                assert isinstance(value, np.ndarray | np.generic), instance
                assert value.dtype == truth.dtype and np.array_equal(value, truth), instance


NAMESAKES = [(name, registry.lookup(f"op.{name}")) for name in dir(np) if f"op.{name}" in registry.names("op.")]


@pytest.mark.parametrize(("name", "op"), [(name, op) for name, op in NAMESAKES if op in probed()], ids=str)
def test_record_of_the_name_of_a_numpy_function_does_what_that_does(name: str, op: Op) -> None:
    for instance in instances(op):
        built, arrays = instance.build(), instance.draw()
        attrs = {key: bind(value, instance.rows) for key, value in {**op.attrs, **instance.case.attrs}.items()}
        given = [arrays] if op.variadic else arrays
        try:
            wanted = getattr(np, name)(*given, **attrs)
        except TypeError:  # other names for the arguments
            wanted = getattr(np, name)(*given, *attrs.values())
        for value, truth in zip(built.run("reference", arrays), wanted if op.several else [wanted], strict=True):
            assert value.shape == np.shape(truth) and np.allclose(value, truth, rtol=1e-13), instance


# ---------------------------------------------------------------------- derivatives
@every_record
def test_first_and_second_derivative_are_the_differences(op: Op) -> None:
    for instance in instances(op):
        rng = np.random.default_rng(1)
        built = instance.build()
        leaves = [built.leaves[place] for place in instance.floats]
        cost, weights = projection(built.outputs, instance.rows, rng)
        feed = {**built.feed(instance.draw()), **weights}
        slopes = gradients(cost, leaves)
        coarse = any(node.dtype == "float32" for node in built.outputs)
        _assert_slopes(instance, cost, slopes, leaves, feed, coarse)
        reached = [slope for slope in slopes if not no_path(slope)]
        if reached:
            bend, weights = projection(reached, instance.rows, rng)
            feed.update(weights)
            _assert_slopes(f"the derivative of {instance}", bend, gradients(bend, leaves), leaves, feed, coarse)


def _assert_slopes(what: Any, cost: Node, slopes: list[Node], leaves: list[Any], feed: Any, coarse: bool) -> None:
    known = intermediates(slopes, feed)
    eps, tolerance = (1e-2, 1e-4) if coarse else (1e-5, 1e-6)  # float32 on the way has its own steps
    for leaf, slope in zip(leaves, slopes, strict=True):
        measured = difference(cost, feed, leaf, eps)
        error = np.abs(known[slope] - measured).max(initial=0)
        assert error <= tolerance * max(1.0, float(np.abs(measured).max(initial=0))), (
            f"{what}: {known[slope]} is not {measured}"
        )


@pytest.mark.parametrize("op", [op for op in probed() if op.kinks and op.kind == "elementwise"], ids=lambda op: op.name)
def test_derivative_at_a_kink_lies_between_those_on_both_sides(op: Op) -> None:
    for attrs in {id(each.attrs): each.attrs for each in op.probe.cases}.values():
        numbers = Instance(op, Case(((),) * len(op.inputs), attrs), None)
        built, drawn = numbers.build(), numbers.draw()
        cost = ops.cast(built.outputs[0], "float64")
        for place in numbers.floats:
            slope = gradients(cost, [built.leaves[place]])[0]
            for root in _kinks(numbers, place, drawn):
                here, left, right = (
                    run("reference", [cost, slope], built.feed(_with(drawn, place, root + step))).outputs
                    for step in (0, -1e-6, 1e-6)
                )
                if abs(right[0] - left[0]) > 1e-3:
                    continue  # a jump has no derivative
                sides = sorted([(here[0] - left[0]) / 1e-6, (right[0] - here[0]) / 1e-6])
                assert sides[0] - 1e-3 <= here[1] <= sides[1] + 1e-3, f"{numbers} at {root}: {here[1]}, {sides}"


def _with(arrays: list[np.ndarray], place: int, value: Any) -> list[Any]:
    return [*arrays[:place], value, *arrays[place + 1 :]]


def _kinks(instance: Instance, place: int, drawn: list[np.ndarray]) -> Iterator[float]:
    """Where the record has a kink in one of its inputs, by bisection."""
    sampler = instance.op.probe.sampler(place)
    for left, right in itertools.pairwise(np.linspace(sampler.low, sampler.high, 1000)):
        signs = [np.sign(said(instance, "kinks", _with(drawn, place, end))) for end in (left, right)]
        if signs[0] * signs[1] < 0:
            for _ in range(60):
                middle = (left + right) / 2
                before = np.sign(said(instance, "kinks", _with(drawn, place, middle))) == signs[0]
                left, right = (middle, right) if before else (left, middle)
            yield right


@every_record
def test_what_cannot_be_differentiated_has_no_path(op: Op) -> None:
    for instance in instances(op):
        built = instance.build()
        leaves = [built.leaves[place] for place in instance.floats]
        cost, _ = projection(built.outputs, instance.rows, np.random.default_rng(1))
        whole = all(node.dtype not in FLOATS for node in built.outputs)
        blind = op.vjp is None and built.node.body is None
        for leaf, slope in zip(leaves, gradients(cost, leaves), strict=True):
            assert slope.shape == leaf.shape and slope.dtype == leaf.dtype, instance
            assert no_path(slope) or not (whole or blind), f"{instance} has a derivative"


@every_record
def test_float32_stays_float32_through_the_derivative(op: Op) -> None:
    for instance in instances(op):
        built = instance.build("float32")
        floating = [node for node in built.outputs if node.dtype == "float32"]
        if floating and instance.floats:
            cost = ops.sum(floating[0])
            slopes = gradients(cost, [built.leaves[place] for place in instance.floats])
            wide = [node for node in topological([cost, *slopes]) if node.dtype == "float64" and node.inputs]
            assert not wide, f"{instance}: {wide}"


# ---------------------------------------------------------------------- ranges
@every_record
@pytest.mark.parametrize("dtype", FLOATS)
def test_values_lie_in_the_range(op: Op, dtype: str) -> None:
    for instance in instances(op):
        for seed in range(3):
            _assert_in_range(instance, instance.build(dtype), instance.draw(seed))


def _assert_in_range(instance: Instance, built: Built, arrays: list[np.ndarray]) -> None:
    if instance.op.range is None:
        return
    low, high = _range(instance.op, built.node, built.typed(arrays))
    for value in built.run("reference", arrays):
        least, most = float(value.min()), float(value.max())
        assert least >= low - _ulps(low, value.dtype), f"{instance}: {least} is below {low}"
        assert most <= high + _ulps(high, value.dtype), f"{instance}: {most} is above {high}"
        assert least > 0 or low <= 0, f"{instance}: {least} is not positive as its range says"
        assert most < 0 or high >= 0, f"{instance}: {most} is not negative as its range says"


def _ulps(bound: float, dtype: Any) -> float:
    """Four units in the last place of a bound, as far as it is a number of that dtype."""
    kind = np.float32 if dtype == np.float32 else np.float64
    return 4 * float(np.spacing(kind(abs(bound)))) if abs(bound) < float(np.finfo(kind).max) else 0.0


def _range(op: Op, node: Node, arrays: list[Any]) -> tuple[float, float]:
    intervals = [(float(np.min(a)), float(np.max(a))) for a in arrays]
    low, high = op.range(*intervals, **node.attrs) if callable(op.range) else op.range
    assert low <= high, f"{op.name}: the range {low} … {high} is none"
    return low, high


EXTREMES = [sign * size for size in (1e4, 700.0, 110.0, 90.0, 30.0, 10.0, 1.0) for sign in (1, -1)]


@pytest.mark.parametrize("op", [op for op in probed() if op.domain is None], ids=lambda op: op.name)
def test_range_holds_at_the_extremes(op: Op) -> None:
    """What float32 makes of ±10,000 stays in the closed range, and where it is a number its derivative is one."""
    for instance in instances(op):
        if len(instance.floats) != 1 or len(instance.case.shapes) != 1:
            continue
        built = instance.build("float32")
        cost, weights = projection(built.outputs, instance.rows, np.random.default_rng(1))
        (slope,) = gradients(cost, built.leaves)
        for size in EXTREMES:
            for ends in ([size], [size, -size]):
                arrays = [np.resize(np.float32(ends), bind(instance.case.shapes[0], instance.rows))]
                _assert_in_range(instance, built, arrays)
                known = intermediates([*built.outputs, slope], {**built.feed(arrays), **weights})
                if np.isfinite(largest(known[node] for node in built.outputs)) and not on_kink(known):
                    assert np.isfinite(known[slope]).all(), f"{instance}: no derivative at {ends}"


@pytest.mark.parametrize("op", [op for op in probed() if op.range is not None], ids=lambda op: op.name)
def test_range_of_any_input_holds_the_range_of_some(op: Op) -> None:
    for instance in instances(op):
        built, arrays = instance.build(), instance.draw()
        some = _range(op, built.node, arrays)
        every = _range(op, built.node, [np.array([-np.inf, np.inf])] * len(arrays))
        assert every[0] <= some[0] and some[1] <= every[1], instance


@pytest.mark.parametrize("op", [op for op in probed() if op.monotone], ids=lambda op: op.name)
@pytest.mark.parametrize("dtype", FLOATS)
def test_monotone_records_never_fall(op: Op, dtype: str) -> None:
    for instance in instances(op):
        ends = [(op.probe.sampler(place).low, op.probe.sampler(place).high) for place in range(len(op.inputs))]
        for place, (low, high) in enumerate(ends):
            inputs = [np.asarray((a + b) / 2, dtype) for a, b in ends]
            inputs[place] = np.linspace(low, high, 1001, dtype=dtype)
            value = op(*inputs, **instance.case.attrs)
            assert np.all(np.diff(value) >= -4 * np.spacing(np.abs(value[1:]))), instance


# ---------------------------------------------------------------------- formulas
@every_record
def test_formulas_print(op: Op) -> None:
    for instance in instances(op):
        node = instance.build().outputs[0]
        assert str(node) and repr(node) and str(Graph([], [node]))
        latex = node.to_latex()
        bare = re.sub(r"\\[{}]", "", latex)
        depths = np.cumsum([(mark == "{") - (mark == "}") for mark in bare])
        assert depths[-1] == 0 and depths.min() >= 0, latex
        assert latex.count(r"\left") == latex.count(r"\right") and latex.count(r"\begin") == latex.count(r"\end"), latex
        assert json.loads(json.dumps(node.to_json(), allow_nan=False))["nodes"]


INFIX = [op for op in probed() if op.text is not None and not op.several]


@pytest.mark.parametrize("outer", INFIX, ids=lambda op: op.name)
def test_brackets_stand_where_python_needs_them(outer: Op) -> None:
    """A printed formula, read as Python, has the value of the node: every written form inside every other."""
    arrays = {name: np.random.default_rng(ord(name)).uniform(0.3, 2, (2, 2)) for name in "abcd"}
    a, b, c, d = (constant(value, name) for name, value in arrays.items())
    inners = [literal(-2.0), ops.cast(c + d, "float32"), *(_of_numbers(op, [c, d]) for op in INFIX)]
    for inner in [inner for inner in inners if inner is not None]:
        for place in range(len(outer.inputs)):
            given = [a, b][: len(outer.inputs)]
            given[place] = inner
            node = _of_numbers(outer, given)
            if node is None or (outer.formula is None and inner.shape == ()):
                continue
            *named, formula = str(node).splitlines()
            known: dict[str, Any] = dict(arrays)
            with np.errstate(all="ignore"):
                for line in named:
                    exec(line, known)
                got = eval(formula, known)
            assert np.allclose(got, node.value, rtol=1e-6, atol=1e-6, equal_nan=True), str(node)


def _of_numbers(op: Op, inputs: list[Node]) -> Node | None:
    """The record on numbers, or None where it takes none (or not these)."""
    try:
        node = op.node(*inputs[: len(op.inputs)], **op.probe.cases[0].attrs)
    except ValueError:
        return None
    return node if len(op.inputs) > 1 or inputs[0].dtype in FLOATS else None


# ---------------------------------------------------------------------- identity
@every_record
def test_built_twice_is_one_node(op: Op) -> None:
    for instance in instances(op):
        built = instance.build()
        again = op.node(*([built.leaves] if op.variadic else built.leaves), **instance.case.attrs)
        assert again is built.node, instance
        by_name = dict(zip(op.inputs, [built.leaves] if op.variadic else built.leaves, strict=True))
        assert op.node(**by_name, **instance.case.attrs) is built.node, instance
        settled = op.node(*([built.leaves] if op.variadic else built.leaves), **built.node.attrs)
        assert settled is built.node, f"{instance}: its settled attributes {built.node.attrs} settle to others"


@every_record
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda graph: pickle.loads(pickle.dumps(graph))], ids=["deep", "pickle"]
)
def test_copies_have_the_same_value(op: Op, copied: Any) -> None:
    for instance in instances(op):
        built, arrays = instance.build(), instance.draw()
        feed = built.feed(arrays)
        graph = copied(Graph(list(feed), built.outputs))
        assert not set(graph.inputs) & set(feed)
        value = run("reference", graph.outputs, dict(zip(graph.inputs, feed.values(), strict=True))).outputs
        for got, truth in zip(value, built.run("reference", arrays), strict=True):
            assert got.dtype == truth.dtype and np.array_equal(got, truth), instance


# ---------------------------------------------------------------------- the same for records that users write
@pytest.fixture
def own() -> Iterator[list[Op]]:
    """One record of each kind, and one with several outputs of several shapes, as a user would write them."""
    samples = Probe((uniform(-2, 2),), (case((2, 3)), case((M, 3))))
    made = [
        elementwise(
            "own_bump",
            "exp(-x * x / width)",
            attrs={"width": 2.0},
            range=(0, 1),
            doc="A bump.",
            vjp=lambda g, y, x, width: [g * y * x * (-2 / width)],
        ),
        composite("own_swish", define=lambda x, beta=1.5: x * ops.sigmoid(beta * x), probe=samples, doc="Swish."),
        structural(
            "own_parts",
            ref=lambda x: (x[..., :1] * 2, x[..., 1:] ** 2),
            several=True,
            probe=samples,
            shape=lambda name, shapes, attrs: ((*shapes[0][:-1], 1), (*shapes[0][:-1], shapes[0][-1] - 1)),
            vjp=lambda g, y, x: [ops.concatenate([g[0] * 2, g[1] * 2 * x[..., 1:]], -1)],
            doc="Two parts.",
        ),
        composite(
            "own_pair",
            define=lambda x: [ops.tanh(x), ops.sum(x, axis=-1)],
            several=True,
            probe=samples,
            doc="A pair.",
        ),
    ]
    yield made
    for op in made:
        del registry._table[f"op.{op.name}"]


def test_records_of_a_user_pass_the_same_tests(own: list[Op]) -> None:
    for op in own:
        for dtype in FLOATS:
            test_value_has_the_shape_and_dtype_it_declares(op, dtype)
            test_values_lie_in_the_range(op, dtype)
        for engine in ENGINES:
            test_engine_equals_reference_in_float64(op, engine)
            test_engine_in_float32_is_near_reference_in_float64(op, engine)
        for test in (
            test_first_and_second_derivative_are_the_differences,
            test_float32_stays_float32_through_the_derivative,
            test_call_on_arrays_gives_arrays,
            test_formulas_print,
            test_built_twice_is_one_node,
        ):
            test(op)
        test_copies_have_the_same_value(op, copy.deepcopy)


def test_one_of_several_outputs_alone_has_its_derivative(own: list[Op]) -> None:
    x = variable([[1.0, 2.0, 3.0]])
    first, second = ops.item(own[2](x), place=0), ops.item(own[2](x), place=1)
    assert gradients(ops.sum(first), [x])[0].value.tolist() == [[2.0, 0.0, 0.0]]
    assert gradients(ops.sum(second), [x])[0].value.tolist() == [[0.0, 4.0, 6.0]]
