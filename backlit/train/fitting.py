"""The arguments of `fit` put in order: how long, in which batches, against which held-out rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ArgumentError, ValueRangeError
from . import feed
from .batches import Batches, Order, RowBatches, StreamBatches, alone, is_stream, measured
from .feed import Feed
from .orders import orders


@dataclass(frozen=True, kw_only=True)
class FitPlan:
    """How one `fit` goes: batches, epochs, and when it looks at the held-out rows."""

    batch: int | None  # None: what suits the rows
    epochs: range
    shuffle: bool
    steps: int | None = None  # of an epoch; None: all
    check_steps: int | None = None
    check_batch: int | None = None
    check_epochs: Any = 1  # every how many epochs, or which (1, 2, …)
    skip_nonfinite: bool = False

    def checks(self, epoch: int) -> bool:
        """Whether the held-out rows are measured after epoch 0, 1, …"""
        if isinstance(self.check_epochs, Integral):
            return (epoch + 1) % int(self.check_epochs) == 0
        return epoch + 1 in self.check_epochs


@dataclass(frozen=True)
class Given:
    """The data of one `fit` as people pass them."""

    x: Any
    y: Any
    sample_weight: Any
    class_weight: Any
    held: Any  # validation_data
    share: float  # validation_split
    stratify: bool


def batches(model: Any, plan: FitPlan, given: Given) -> tuple[Batches, Batches | None]:
    """(the batches to train on, those to measure on or None), checked; builds the model if it is not built yet."""
    order = _order(model) if plan.shuffle else None
    _enough(given.x, plan.steps, plan.epochs, "steps_per_epoch")
    _enough(given.held, plan.check_steps, filter(plan.checks, plan.epochs), "validation_steps")
    if is_stream(given.x):
        share = given.share or None
        alone(y=given.y, sample_weight=given.sample_weight, batch_size=plan.batch, validation_split=share)
        training: Batches = StreamBatches(
            model, given.x, plan.steps, class_weight=given.class_weight, training=True, order=order
        )
        held = None if given.held is None or is_stream(given.held) else _read(model, given.held)
    else:
        data = feed.feed(model, given.x, given.y, given.sample_weight, "all")
        rows_held = None if is_stream(given.held) else given.held
        share = 0.0 if given.held is not None else given.share
        data, held = held_out(model, data, rows_held, share, given.stratify)
        training = RowBatches(data.weighted(given.class_weight, model), plan.batch, plan.steps, order)
    if held is not None:
        return training, measured(held, plan.check_batch or plan.batch, plan.check_steps)
    return training, _held_stream(model, plan, given.held)


def examined(job: Any, held: Any, given: Given, doctor: str) -> Any:
    """What `fit` is to call after the last step, or None: the doctor's, who looks on unless he is sent off and nobody
    listens to all trainings (`backlit check`)."""
    if doctor == "off" and registry.find("ear.fit") is None:
        return None
    return registry.lookup("doctor.examine")(job, held, given, doctor)


def _order(model: Any) -> Order:
    """The orders of passes: of the model's seed and the numbers of the passes alone."""

    def order(first: int, length: int, passes: int = 1) -> Any:
        if model.seed is None:  # a stream is asked for its first batch before the model is built for it
            model.adopt()
        return orders(model.seed, first, passes, length)

    return order


def _held_stream(model: Any, plan: FitPlan, given: Any) -> Batches | None:
    if given is None:
        return None
    alone(validation_batch_size=plan.check_batch)
    return StreamBatches(model, given, plan.check_steps, anew=True)


def _enough(data: Any, steps: int | None, epochs: Iterable[int], what: str) -> None:
    """Refuse to read a generator more than once without knowing how much of it at a time."""
    if steps is None and hasattr(data, "__next__") and (times := len(list(epochs))) > 1:
        raise ArgumentError(
            f"a generator ends once, and it is read {times} times.",
            fix=f"{what}=..., the batches to take each time; or pass the function that makes the generator",
        )


def held_out(model: Any, data: Feed, given: Any, share: float, stratify: bool) -> tuple[Feed, Feed | None]:
    """(training rows, held-out rows or None) from `validation_data`, or a share of the rows."""
    if given is not None:
        return data, _read(model, given)
    if not share:
        return data, None
    if stratify:
        rest = registry.lookup("split.split")(
            data.y[0], seed=model.seed or 0, fractions=(1 - share, share / 2, share / 2), stratify=True
        )
        return data.take(np.sort(rest.train)), data.take(np.sort(np.concatenate([rest.dev, rest.test])))
    cut = int(data.rows * (1 - share))
    if cut in (0, data.rows):
        raise ValueRangeError(f"validation_split={share} leaves one side empty.", found=f"{data.rows} rows")
    return data.take(slice(0, cut)), data.take(slice(cut, None))


def _read(model: Any, given: Any) -> Feed:
    if not isinstance(given, (tuple, list)) or len(given) not in (2, 3):
        raise ArgumentError("validation_data cannot be read.", expected="(x, y), (x, y, sample_weight) or a generator")
    return feed.feed(model, *given)
