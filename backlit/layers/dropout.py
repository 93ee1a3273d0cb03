"""Noise while training."""

from __future__ import annotations

from typing import Any

from ..core.errors import ValueRangeError
from ..ops.elementwise import where
from .layer import Layer


class Dropout(Layer):
    """While training, each number is set to 0 with probability `rate` and the others are divided by 1 - rate;
    otherwise x.

    Which ones depends on the model's seed, the step, the layer's position and the place in the batch: the same on
    every engine.
    Raises ValueRangeError for a rate outside [0, 1).
    """

    def __init__(self, rate: float, name: str | None = None):
        super().__init__(name=name)
        if not 0 <= rate < 1:
            raise ValueRangeError(
                "Dropout needs a share of numbers to drop.", expected="0 <= rate < 1", found=f"rate={rate}"
            )
        self.rate = rate

    def call(self, x: Any, training: bool = False) -> Any:
        """x, with some numbers dropped while training."""
        if not training or self.rate == 0:
            return x
        return where(self.keep_mask(x.shape, 1 - self.rate), x / (1 - self.rate), 0.0)
