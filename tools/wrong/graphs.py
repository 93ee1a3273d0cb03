"""Wrong graphs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import backlit as bl


def cases() -> dict[str, Callable[[], object]]:
    """Wrong graphs."""
    w = bl.variable(np.ones((3, 2)), name="w")
    v = bl.variable(np.ones(3, dtype="float32"), name="v")
    x = bl.input((bl.M, 3), name="x")
    y = bl.input((bl.M,), name="y")
    return {
        "a node as a condition": lambda: bool(w),
        "assigning another shape": lambda: w.assign(np.ones(4)),
        "float32 with float64": lambda: w[:, 0] + v,
        "a matrix product that does not fit": lambda: w @ w,
        "broadcasting that does not fit": lambda: w + np.ones(5),
        "every example against every other": lambda: y - x[:, :1],
        "picking rows of a batch": lambda: x[0],
        "an axis that is not there": lambda: bl.ops.sum(w, axis=2),
        "a reshape that does not fit": lambda: bl.ops.reshape(w, (4, -1)),
        "the gradient of an array": lambda: bl.grad(w * 2, w),
        "a misspelt op": lambda: bl.ops.sofmax,
        "a misspelt attribute of an op": lambda: bl.ops.sum(w, axes=0),
        "an input without a value": lambda: (x * 2).value,
        "another shape for an input": lambda: bl.compile(x * 2, [x])(np.ones((2, 4))),
        "an update that is not finite": lambda: bl.compile(updates={w: w / (w - w)})(),
        "text as an array": lambda: bl.constant("cat"),
        "a ragged list": lambda: bl.constant([[1, 2], [3]]),
    }
