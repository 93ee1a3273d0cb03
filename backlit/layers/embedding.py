"""Numbers that stand for things: a learnt vector for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..core.arguments import Count
from ..core.errors import ShapeError
from ..core.node import INTEGERS, as_array
from ..core.shapes import Shape
from ..ops.elementwise import cast, equal, floor, where
from ..ops.index import gather
from .checks import not_yet, optional
from .constraints import Constraint, ConstraintLike
from .initializers import Constant, InitializerLike
from .layer import Layer
from .regularizers import RegularizerLike


def whole_ids(x: Any) -> Any:
    """x as ids that `gather` can look up. Floats are taken where they are whole; any other becomes -1, which `gather`
    refuses."""
    return x if x.dtype in INTEGERS else cast(where(equal(x, floor(x)), x, -1.0), "int64")


class Embedding(Layer):
    """Ids (m, …) of whole numbers 0 … input_dim-1 to the rows of a learnt table: (m, …, output_dim).

    `embeddings` is the table (input_dim, output_dim); `weights` gives its first values. It is the product of the
    one-hot ids and the table, without the zeros. Ids out of range and ids that are not whole are refused when they are
    looked up (ValueRangeError).

    >>> import backlit as bl, numpy as np
    >>> layer = bl.layers.Embedding(3, 2, weights=[[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> layer(np.array([[2, 0]])).tolist()
    [[[4.0, 5.0], [0.0, 1.0]]]
    """

    def __init__(
        self,
        input_dim: Count,
        output_dim: Count,
        embeddings_initializer: InitializerLike = "uniform",
        embeddings_regularizer: RegularizerLike | None = None,
        embeddings_constraint: ConstraintLike | None = None,
        mask_zero: bool = False,
        weights: Any = None,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: str | None = None,
    ):
        super().__init__(name=name, trainable=trainable, dtype=dtype)
        self.input_dim, self.output_dim = input_dim, output_dim
        self.embeddings_initializer, self.embeddings_regularizer = embeddings_initializer, embeddings_regularizer
        self.embeddings_constraint = optional(Constraint, embeddings_constraint)
        not_yet("Embedding", mask_zero=mask_zero)
        if weights is not None:
            table = as_array(weights).astype(np.float64)
            wanted = (self.input_dim, self.output_dim)
            table = table[0] if table.shape == (1, *wanted) else table  # a list of weights, as Keras takes it
            if table.shape != wanted:
                raise ShapeError(
                    "these weights are no table of this Embedding.",
                    expected=f"shape {wanted}",
                    found=f"shape {table.shape}",
                )
            self.embeddings_initializer = Constant(table)

    def build(self, shape: Shape) -> None:
        """The table (input_dim, output_dim)."""
        self.embeddings = self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def ensure_built(self, shape: Any) -> None:
        """Build once; ids may come in any shape."""
        super().ensure_built(self.input_shape if self.built else shape)

    def call(self, x: Any, training: bool = False) -> Any:
        """The rows of the table at the ids."""
        return gather(self.embeddings, whole_ids(x), axis=0)

    def get_config(self) -> dict[str, Any]:
        """The arguments; the values of the table are weights and no configuration."""
        return {**super().get_config(), "weights": None}
