"""Places that are numbers of few bits: what is worked out from them needs more."""

from typing import Any

import numpy as np
import pytest

import backlit as bl


@pytest.mark.parametrize("name", ["planned", "compiled"])
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
@pytest.mark.parametrize("many", [3, 100, 300])
def test_parts_are_added_up_by_ids_of_any_dtype(name: str, dtype: Any, many: int) -> None:
    rng = np.random.default_rng(0)
    table = bl.variable(rng.normal(size=(120, 3)))
    ids = bl.input((bl.M,), dtype=dtype)
    J = bl.ops.sum(bl.ops.square(bl.ops.gather(table, ids, axis=0)))
    derivative = bl.compile(bl.grad(J, table), inputs=[ids], engine=name)
    drawn = rng.integers(0, 120, many)
    wanted = 2 * table.value * np.bincount(drawn, minlength=120)[:, np.newaxis]
    assert np.allclose(derivative(drawn.astype(dtype)), wanted, rtol=1e-12, atol=0)
