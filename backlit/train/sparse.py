"""Sparse matrices of SciPy as a column of X: their rows become dense batch by batch, never all at once."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def is_sparse(value: Any) -> bool:
    """Whether `value` is a sparse matrix or array of SciPy; SciPy is not imported for it."""
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and bool(scipy.issparse(value))


class SparseRows:
    """The rows of a sparse matrix (m, n): an index or a slice of rows gives a dense array."""

    ndim = 2

    def __init__(self, matrix: Any):
        self.matrix = matrix  # in compressed rows
        self.shape: tuple[int, ...] = matrix.shape
        self.dtype: np.dtype[Any] = matrix.dtype

    @classmethod
    def of(cls, value: Any) -> SparseRows:
        """Any format of SciPy, of one axis or two."""
        return cls((value if value.ndim == 2 else value.reshape(-1, 1)).tocsr())

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Any) -> Any:
        return self.matrix[rows].toarray()

    def take(self, rows: Any) -> SparseRows:
        """Some rows, still sparse."""
        return SparseRows(self.matrix[rows])

    @property
    def values(self) -> Any:
        """The numbers that are stored (k,); all others are 0."""
        return self.matrix.data

    def place(self, stored: int) -> tuple[int, int]:
        """Row and column of the number that is stored at that place."""
        row = int(np.searchsorted(self.matrix.indptr, stored, side="right")) - 1
        return row, int(self.matrix.indices[stored])
