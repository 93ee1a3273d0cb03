"""Products of larger matrices: laid out in panels, in parts, however the factors lie."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import llvmlite.binding as llvm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.core.walk import Graph
from backlit.engines import base, matrices, objects, panels, sharing
from backlit.engines.ir import Make
from backlit.engines.panels import Laid, Panels
from backlit.engines.parts import Parts, Series, Serve
from backlit.engines.table import Shared
from tests.engines.test_objects import PROCESSORS

TOLERANCE = {"float32": 2e-6, "float64": 1e-14}


def _program(a: np.ndarray, b: np.ndarray, turned: tuple[bool, bool]) -> Any:
    """A product of two variables, each of which may be the transpose of one that holds the same numbers."""
    factors = []
    for value, turn in zip((a, b), turned, strict=True):
        leaf = bl.variable(np.ascontiguousarray(value.T if turn else value), dtype=str(value.dtype))
        factors.append(bl.ops.transpose(leaf) if turn else leaf)
    return base.engine("compiled").compile(Graph([], [bl.ops.matmul(*factors)]))


def _multiplied(a: np.ndarray, b: np.ndarray, turned: tuple[bool, bool] = (False, False)) -> np.ndarray:
    return _program(a, b, turned).evaluate({}).outputs[0]


def _factors(m: int, k: int, n: int, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(m * k + n)
    return rng.normal(size=(m, k)).astype(dtype), rng.normal(size=(k, n)).astype(dtype)


def _error(result: np.ndarray, a: np.ndarray, b: np.ndarray) -> float:
    wanted = a.astype("float64") @ b.astype("float64")
    return float(np.abs(result - wanted).max() / np.abs(wanted).max())


@pytest.fixture
def always_panels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "LARGE", 0)


@pytest.mark.usefixtures("always_panels")
@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 600), st.integers(1, 90)),
    dtype=st.sampled_from(["float32", "float64"]),
    turned=st.tuples(st.booleans(), st.booleans()),
    parts=st.sampled_from([1, 2, 5]),
)
def test_panels_multiply_matrices_of_any_shape(
    size: tuple[int, int, int], dtype: str, turned: tuple[bool, bool], parts: int
) -> None:
    a, b = _factors(*size, dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrices, "cut_into", lambda work: parts)
        result = _multiplied(a, b, turned)
    assert _error(result, a, b) <= TOLERANCE[dtype] * size[1] ** 0.5


@pytest.mark.usefixtures("always_panels")
def test_every_number_is_summed_in_one_order_whatever_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = _factors(1100, 300, 100, "float32")
    results = []
    for parts in (1, 2, 3, 7):
        monkeypatch.setattr(matrices, "cut_into", lambda work, parts=parts: parts)
        results.append(_multiplied(a, b))
    assert all(np.array_equal(results[0], each) for each in results)


@pytest.mark.usefixtures("always_panels")
def test_nan_and_infinity_reach_only_the_numbers_they_belong_to() -> None:
    a, b = _factors(21, 37, 45, "float32")
    a[3, 5], b[7, 44] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        wanted = a @ b
    result = _multiplied(a, b, (False, True))
    assert np.array_equal(np.isfinite(result), np.isfinite(wanted))
    assert np.isnan(result[3]).all() and not np.isfinite(result[:, 44]).any()


@pytest.mark.parametrize("size", [(256, 1030, 800), (30, 520, 2100)])
@pytest.mark.parametrize("turned", [(False, False), (True, True)])
def test_large_products_are_machine_code(size: tuple[int, int, int], turned: tuple[bool, bool]) -> None:
    a, b = _factors(*size, "float32")
    program = _program(a, b, turned)
    assert _error(program.evaluate({}).outputs[0], a, b) <= 1e-5
    if objects.machine().target.make.lanes >= 8:
        assert not program.idle[None][0].called_back


@pytest.mark.parametrize(
    "shapes", [((6, 5, 7), (6, 7, 9)), ((2, 3, 20, 8), (3, 8, 1)), ((40, 8), (8, 70)), ((9, 8), (8, 300))]
)
def test_products_in_parts_are_those_of_one_piece(shapes: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.normal(size=shape) for shape in shapes)
    one = _multiplied(a, b)
    monkeypatch.setattr(matrices, "cut_into", lambda work: 3)
    program = _program(a, b, (False, False))
    result = program.evaluate({}).outputs[0]
    assert any(isinstance(row, Shared) for row in program.idle[None][0].before)
    assert np.array_equal(result, one)
    assert np.allclose(result, a @ b, rtol=1e-13)


@pytest.mark.parametrize("make", [Make(16, 32, True), Make(8, 16, True), Make(4, 32, True), Make(4, 16, False)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_panels_fit_into_registers_and_the_innermost_cache(make: Make, dtype: str) -> None:
    rows, vectors = panels.shape(make, dtype)
    registers = 2 if dtype == "float64" else 1
    assert rows * vectors * registers + vectors * registers + 1 <= make.registers
    item = 4 * registers
    for k in (1, 100, 256, 257, 784, 1024, 5000):
        most = panels.block(k, dtype, make)
        assert most * vectors * make.lanes * item <= 1 << 15
        assert -(-k // most) == -(-k // ((1 << 15) // (vectors * make.lanes * item)))


@given(size=st.integers(1, 500), unit=st.integers(1, 40), parts=st.integers(1, 12))
def test_spans_cover_everything_once(size: int, unit: int, parts: int) -> None:
    spans = sharing.spans(size, unit, parts)
    assert len(spans) <= parts and spans[0][0] == 0 and spans[-1][1] == size
    assert all(a[1] == b[0] and a[1] % unit == 0 for a, b in pairwise(spans))
    assert all(begin < end for begin, end in spans)


@pytest.mark.parametrize("processor", PROCESSORS)
def test_panels_and_parts_compile_for_processors_that_are_not_this_one(processor: str) -> None:
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    target = objects.Target(*PROCESSORS[processor])
    recipes = [
        Laid("float32", "rows"),
        Laid("float64", "columns"),
        Panels("float32", "columns"),
        Panels("float64", "rows"),
    ]
    for recipe in [*recipes, Parts(), Series(), Serve()]:
        assert len(target.machine.emit_object(target.module(recipe, "kernel"))) > 200, recipe
