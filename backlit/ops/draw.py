"""Random arrays outside a model, by Keras's names. Each draw is its own stream of the process seed."""

from __future__ import annotations

from typing import Any

from ..core.arguments import Finite, NotNegative, Share, checked
from ..core.node import DType
from ..core.seed import next_draw, set_seed
from .random import bernoulli as bernoulli_
from .random import normal as normal_
from .random import uniform as uniform_

__all__ = ["bernoulli", "normal", "set_seed", "uniform"]


@checked
def normal(shape: Any, mean: Finite = 0.0, stddev: NotNegative = 1.0, dtype: DType = "float32") -> Any:
    """An array of numbers from a normal distribution.

    >>> import backlit as bl
    >>> bl.random.set_seed(1)
    >>> bl.random.normal((2, 3)).shape
    (2, 3)
    """
    seed, stream = next_draw()
    return normal_(seed, 0, shape=shape, stream=stream, mean=mean, std=stddev, dtype=dtype)


@checked
def uniform(shape: Any, minval: Finite = 0.0, maxval: Finite = 1.0, dtype: DType = "float32") -> Any:
    """An array of numbers evenly from [minval, maxval)."""
    seed, stream = next_draw()
    return uniform_(seed, 0, shape=shape, stream=stream, low=minval, high=maxval, dtype=dtype)


@checked
def bernoulli(shape: Any, p: Share = 0.5) -> Any:
    """An array that is True with probability p."""
    seed, stream = next_draw()
    return bernoulli_(seed, 0, shape=shape, stream=stream, p=p)
