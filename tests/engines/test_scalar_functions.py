"""Machine code for the scalar functions of formulas: NumPy's numbers, over all floats, and NumPy's kinds of numbers."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from backlit.core import registry
from backlit.core.errors import BacklitError
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.core.walk import Graph
from backlit.engines.base import engine
from backlit.engines.scalars import TABLE

DTYPES = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool", "float32", "float64")
FUNCTIONS = sorted(name for name in TABLE if f"op.{name}" in registry.names("op."))
_COUNT = 40_000


def _floats(dtype: str, rng: np.random.Generator) -> np.ndarray:
    """Floats of any bits, of every usual size, and those at which something happens."""
    about = np.finfo(dtype)
    bits: Any = {"float32": np.uint32, "float64": np.uint64}[dtype]
    any_bits = rng.integers(0, np.iinfo(bits).max, _COUNT, dtype=bits, endpoint=True).view(dtype)
    sizes = [rng.uniform(-size, size, _COUNT).astype(dtype) for size in (1e-3, 1.0, 20.0, 110.0, 1000.0)]
    edges = [0.0, 1.0, 0.5, 0.625, 88.7, 88.8, 103.9, 104.1, np.sqrt(0.5), np.inf, about.max, about.tiny,
             about.smallest_subnormal, about.tiny * 0.3, np.pi]  # fmt: skip
    special = np.array([*edges, *(-edge for edge in edges), np.nan], dtype)
    return rng.permutation(np.concatenate([any_bits, *sizes, special, special]))


def _on(name: str, values: list[np.ndarray], engine_name: str = "compiled") -> Any:
    op = registry.lookup(f"op.{name}")
    leaves = [input_leaf((M,), f"x{place}", str(value.dtype)) for place, value in enumerate(values)]
    graph = Graph(leaves, [op.node(*leaves)])
    return engine(engine_name).compile(graph).evaluate(dict(zip(leaves, values, strict=True))).outputs[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [name for name in FUNCTIONS if "shift" not in name and "bitwise" not in name])
def test_function_agrees_with_numpy_to_4_ulp_over_all_floats(name: str, dtype: str) -> None:
    count = len(registry.lookup(f"op.{name}").inputs)
    x, y, z = (_floats(dtype, np.random.default_rng(seed)) for seed in range(3))
    given = [x > 0, y, z] if name == "where" else [x, y][:count]
    with np.errstate(all="ignore"):
        wide = [value.astype("float64") if value.dtype == "float32" else value for value in given]
        truth = TABLE[name](*given if dtype == "float64" else wide)
        truth = truth.astype(dtype) if truth.dtype.kind == "f" else TABLE[name](*given)
        got = _on(name, given)
        assert got.dtype == truth.dtype
        if got.dtype.kind != "f":
            assert np.array_equal(got, truth)
            return
        same = (got == truth) | (np.isnan(got) & np.isnan(truth))
        near = np.abs(got.astype("float64") - truth) <= 4 * np.spacing(np.abs(truth)).astype("float64")
    wrong = np.flatnonzero(~(same | near))
    assert not len(wrong), [(*(value[wrong[0]] for value in given), got[wrong[0]], truth[wrong[0]])]
    assert np.array_equal(np.signbit(got[truth == 0]), np.signbit(truth[truth == 0]))


def _whole_or_not(dtype: str, rng: np.random.Generator) -> np.ndarray:
    if dtype == "bool":
        return rng.integers(0, 2, 101) > 0
    if dtype.startswith("float"):
        return rng.normal(0, 50, 101).astype(dtype)
    about = np.iinfo(dtype)
    return rng.integers(max(about.min, -100), min(about.max, 200), 101).astype(dtype)


@pytest.mark.parametrize(
    "name", ["add", "multiply", "divide", "less", "equal", "minimum", "bitwise_xor", "left_shift", "right_shift",
             "negative", "absolute", "square", "logical_and", "where"]
)  # fmt: skip
def test_function_of_any_kinds_of_numbers_is_that_of_reference(name: str) -> None:
    count = len(registry.lookup(f"op.{name}").inputs)
    rng = np.random.default_rng(0)
    tried = 0
    for dtypes in itertools.product(DTYPES, repeat=min(count, 2)):
        given = [_whole_or_not(each, rng) for each in (("bool", *dtypes) if count == 3 else dtypes)]
        try:
            truth = _on(name, given, "reference")
        except (BacklitError, TypeError):  # kinds that the record refuses
            continue
        got = _on(name, given)
        assert got.dtype == truth.dtype and np.allclose(got, truth, rtol=1e-6, equal_nan=True), dtypes
        tried += 1
    assert tried


def test_cast_is_that_of_numpy_for_all_kinds() -> None:
    cast = registry.lookup("op.cast")
    rng = np.random.default_rng(0)
    for source, target in itertools.product(DTYPES, DTYPES):
        x = _whole_or_not(source, rng)
        leaf = input_leaf((M,), "x", source)
        got = engine("compiled").compile(Graph([leaf], [cast.node(leaf, dtype=target)])).evaluate({leaf: x}).outputs[0]
        with np.errstate(all="ignore"):
            truth = x.astype(target)
        fits = np.ones(len(x), bool) if source[0] != "f" or target[0] == "f" else np.abs(x) < 127
        fits &= (x >= 0) | (target[0] != "u") | (source[0] != "f")
        assert got.dtype == truth.dtype and np.array_equal(got[fits], truth[fits]), (source, target)
