"""Losses, written as Keras computes them. What overflows as written is put right by the `stable` rules, whoever wrote
it.

A loss is one class: `formula(y, p)` gives one number an example. To add one, write the class, in losses_numbers.py or
losses_classes.py; its names, and the function `losses.<name>(y_true, y_pred)`, follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence

from .losses_base import Loss, room
from .losses_base import LossFunctionWrapper as LossFunctionWrapper
from .losses_classes import *  # noqa: F403
from .losses_numbers import *  # noqa: F403

__all__: Sequence[str] = [
    name for name, value in dict(globals()).items() if isinstance(value, type) and issubclass(value, Loss)
]
__getattr__, __dir__ = room("losses", [Loss])
