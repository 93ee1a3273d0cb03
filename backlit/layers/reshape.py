"""Layers that only move numbers."""

from __future__ import annotations

from typing import Any

from ..core.shapes import size
from ..ops.index import reshape
from .layer import Layer


class Flatten(Layer):
    """(m, …) to (m, n): all numbers of an example in one row.

    >>> import backlit as bl, numpy as np
    >>> bl.layers.Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def call(self, x: Any, training: bool = False) -> Any:
        """The same numbers, one row an example."""
        return reshape(x, (x.shape[0], size(x.shape[1:])))
