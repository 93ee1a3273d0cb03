"""The arguments of `fit` put in order: how long, in which batches, against which held-out rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..core.errors import ArgumentError, ColumnWarning, ValueRangeError
from ..io.split import split
from . import feed
from .feed import Feed


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """How one `fit` goes: batches, epochs, and when it looks at the held-out rows."""

    batch: int
    epochs: range
    shuffle: bool
    steps: int | None = None  # of an epoch; None: all
    check_steps: int | None = None
    check_batch: int = 32
    check_epochs: Any = 1  # every how many epochs, or which (1, 2, …)
    skip_nonfinite: bool = False

    def checks(self, epoch: int) -> bool:
        """Whether the held-out rows are measured after epoch 0, 1, …"""
        if isinstance(self.check_epochs, Integral):
            return (epoch + 1) % int(self.check_epochs) == 0
        return epoch + 1 in self.check_epochs


def whole(what: str, value: Any, default: int, least: int = 1) -> int:
    """A number of rows or epochs; None is the default."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueRangeError(f"{what} must be a whole number from {least}.", found=repr(value))
    return int(value)


def check_fit(share: float, doctor: str) -> None:
    """Refuse a share outside [0, 1) and an unknown doctor."""
    if not 0 <= share < 1:
        expected = "0 <= validation_split < 1"
        raise ValueRangeError("validation_split is a share of the rows.", expected=expected, found=str(share))
    if doctor not in ("warn", "raise", "off"):
        raise ValueRangeError("there is no such doctor.", expected="'warn', 'raise' or 'off'", found=repr(doctor))


def held_out(model: Any, data: Feed, given: Any, share: float, stratify: bool) -> tuple[Feed, Feed | None]:
    """(training rows, held-out rows or None) from `validation_data`, or a share of the rows."""
    if given is not None:
        if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
            raise ArgumentError("validation_data cannot be read.", expected="(x, y) or (x, y, sample_weight)")
        return data, feed.feed(model, *given)
    if not share:
        return data, None
    if stratify:
        rest = split(data.y[0], seed=model.seed or 0, fractions=(1 - share, share / 2, share / 2), stratify=True)
        return data.take(np.sort(rest.train)), data.take(np.sort(np.concatenate([rest.dev, rest.test])))
    cut = int(data.rows * (1 - share))
    if cut in (0, data.rows):
        raise ValueRangeError(f"validation_split={share} leaves one side empty.", found=f"{data.rows} rows")
    training, held = data.take(slice(0, cut)), data.take(slice(cut, None))
    _warn_of_other_classes(model, training, held, share)
    return training, held


def _warn_of_other_classes(model: Any, training: Feed, held: Feed, share: float) -> None:
    """Sorted rows put whole classes into the tail: say so, as the split is Keras's."""
    if not model.heads[0].loss.probabilities:
        return
    here, there = (set(np.unique(feed.class_numbers(each.y[0])).tolist()) for each in (training, held))
    if here != there:
        only = (
            f"only in the tail: {sorted(there - here)}" if there - here else f"not in the tail: {sorted(here - there)}"
        )
        warnings.warn(
            f"validation_split={share} takes the last rows, whose classes differ ({only}); "
            "shuffle X and y first, or pass validation_stratify=True",
            ColumnWarning,
            stacklevel=4,
        )
