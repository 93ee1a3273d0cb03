"""Learning-rate schedules: the rate as a function of the step, by Keras's names and formulas, in float64.

To add one, write the class: its arguments and `at`, the rates for an array of steps. Pass it as the `learning_rate` of
any optimizer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, pi
from numbers import Real
from typing import Annotated, Any, TypeAlias

import numpy as np

from ..core.arguments import Finite, Interval, Natural, NotNegative, Positive, checked
from ..core.errors import ArgumentError, ValueRangeError, not_written
from ..core.node import as_array
from ..core.record import Record


class LearningRateSchedule(Record):
    """The base of all schedules. `schedule(step)` is the rate of that step, counted from 0 as Keras's `iterations`.

    A number gives a number, an array an array. A class of one's own has `at`; one that has `__call__` instead, as
    Keras's users write it, is asked for one step at a time.

    >>> import backlit as bl
    >>> class Halves(bl.optimizers.schedules.LearningRateSchedule):
    ...     def at(self, step):
    ...         return 0.1 * 0.5 ** (step // 10)
    >>> Halves()(25), bl.optimizers.SGD(Halves()).learning_rate
    (0.025, 0.1)
    """

    family = "schedule"

    def at(self, step: Any) -> Any:
        """The rates for an array of steps."""
        raise not_written(self, "at(self, step)")

    @checked
    def __call__(self, step: Any) -> Any:
        """The rate of one step, or of each in an array."""
        step = as_array(step)
        rates = np.asarray(self.at(step.astype(np.float64)), np.float64)
        return float(rates) if np.ndim(step) == 0 else np.array(np.broadcast_to(rates, np.shape(step)))

    @checked
    def rates(self, first: Natural, count: Natural) -> Any:
        """The rates of `count` steps from `first` on; ValueRangeError where one is negative or not finite."""
        steps = range(first, first + count)
        vector = type(self).__call__ is LearningRateSchedule.__call__
        found = self(np.array(steps)) if vector else np.array([self(step) for step in steps], np.float64)
        if not ((found >= 0) & (found < inf)).all():
            place = int(np.argmin((found >= 0) & (found < inf)))
            raise ValueRangeError(
                f"{type(self).__name__} gives no learning rate for step {first + place}.",
                expected="a finite number from 0",
                found=str(found[place]),
            )
        return found


class ExponentialDecay(LearningRateSchedule):
    """initial_learning_rate · decay_rate^(step / decay_steps); with `staircase` the quotient is a whole number.

    >>> import backlit as bl
    >>> schedule = bl.optimizers.schedules.ExponentialDecay(0.1, decay_steps=100, decay_rate=0.5)
    >>> schedule(0), schedule(100), schedule([200, 300]).tolist()
    (0.1, 0.05, [0.025, 0.0125])
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        decay_rate: NotNegative,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def at(self, step: Any) -> Any:
        """The formula of the class."""
        return self.initial_learning_rate * self.decay_rate ** _periods(step, self.decay_steps, self.staircase)


class InverseTimeDecay(LearningRateSchedule):
    """initial_learning_rate / (1 + decay_rate · step / decay_steps); with `staircase` the quotient is whole.

    >>> import backlit as bl
    >>> bl.optimizers.schedules.InverseTimeDecay(0.1, decay_steps=1, decay_rate=1)([0, 1, 3]).tolist()
    [0.1, 0.05, 0.025]
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        decay_rate: NotNegative,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.decay_rate, self.staircase, self.name = decay_rate, staircase, name

    def at(self, step: Any) -> Any:
        """The formula of the class."""
        return self.initial_learning_rate / (1 + self.decay_rate * _periods(step, self.decay_steps, self.staircase))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to and including step boundaries[0], then values[1] up to boundaries[1], …

    >>> import backlit as bl
    >>> bl.optimizers.schedules.PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])([0, 100, 101, 201]).tolist()
    [1.0, 1.0, 0.5, 0.1]
    """

    def __init__(self, boundaries: Sequence[Finite], values: Sequence[NotNegative], name: str = "PiecewiseConstant"):
        self.boundaries, self.values, self.name = list(boundaries), list(values), name
        if len(self.boundaries) != len(self.values) - 1:
            raise ValueRangeError(
                "boundaries lie between values.",
                expected=f"{len(self.boundaries) + 1} values for {len(self.boundaries)} boundaries",
                found=f"{len(self.values)} values",
            )
        if sorted(set(self.boundaries)) != self.boundaries:
            raise ValueRangeError("boundaries must grow.", found=str(self.boundaries))

    def at(self, step: Any) -> Any:
        """The value of the piece that each step lies in."""
        return np.array(self.values, np.float64)[np.searchsorted(self.boundaries, step, side="left")]


class PolynomialDecay(LearningRateSchedule):
    """(initial - end) · (1 - step / decay_steps)^power + end, and `end_learning_rate` from decay_steps on.

    With `cycle` the rate does not stay there: decay_steps becomes its next multiple not below the step.

    >>> import backlit as bl
    >>> bl.optimizers.schedules.PolynomialDecay(0.5, 10, end_learning_rate=0.0)([0, 5, 10, 20]).tolist()
    [0.5, 0.25, 0.0, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        end_learning_rate: NotNegative = 0.0001,
        power: NotNegative = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.end_learning_rate, self.power, self.cycle, self.name = end_learning_rate, power, cycle, name

    def at(self, step: Any) -> Any:
        """The formula of the class."""
        whole = self.decay_steps * np.maximum(np.ceil(step / self.decay_steps), 1) if self.cycle else self.decay_steps
        left = 1 - np.minimum(step, whole) / whole
        return (self.initial_learning_rate - self.end_learning_rate) * left**self.power + self.end_learning_rate


class CosineDecay(LearningRateSchedule):
    """Half a cosine from the start to alpha times it (Loshchilov and Hutter 2016), after an optional linear warm-up.

    start · ((1 - alpha) · (1 + cos(π · step / decay_steps)) / 2 + alpha), constant after decay_steps. With a
    `warmup_target`, the rate first goes from `initial_learning_rate` to it in `warmup_steps` steps and decays from
    there; without one, `warmup_steps` is not used.

    >>> import backlit as bl
    >>> bl.optimizers.schedules.CosineDecay(0.0, 10, warmup_target=0.5, warmup_steps=2)([0, 1, 2, 7, 12]).tolist()
    [0.0, 0.25, 0.5, 0.25, 0.0]
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        decay_steps: Positive,
        alpha: NotNegative = 0.0,
        name: str = "CosineDecay",
        warmup_target: NotNegative | None = None,
        warmup_steps: NotNegative = 0,
    ):
        self.initial_learning_rate, self.decay_steps = initial_learning_rate, decay_steps
        self.alpha, self.name = alpha, name
        self.warmup_target, self.warmup_steps = warmup_target, warmup_steps

    def at(self, step: Any) -> Any:
        """The formula of the class."""
        if self.warmup_target is None:
            return self.initial_learning_rate * self._share(step)
        grown = (self.warmup_target - self.initial_learning_rate) * (step / (self.warmup_steps or 1))
        decayed = self.warmup_target * self._share(step - self.warmup_steps)
        return np.where(step < self.warmup_steps, self.initial_learning_rate + grown, decayed)

    def _share(self, step: Any) -> Any:
        done = np.minimum(step, self.decay_steps) / self.decay_steps
        return (1 - self.alpha) * 0.5 * (1 + np.cos(pi * done)) + self.alpha


class CosineDecayRestarts(LearningRateSchedule):
    """Half a cosine again and again (SGDR, Loshchilov and Hutter 2016).

    Period i = 0, 1, … is first_decay_steps · t_mulⁱ steps long and starts at m_mulⁱ of the initial rate:
    initial · ((1 - alpha) · m_mulⁱ · (1 + cos(π · done)) / 2 + alpha), `done` being the part of the period that is
    over. t_mul is from 1: periods that shrink would end after finitely many steps.

    >>> import backlit as bl
    >>> bl.optimizers.schedules.CosineDecayRestarts(0.5, 10)([0, 5, 10, 20, 30]).tolist()
    [0.5, 0.25, 0.5, 0.25, 0.5]
    """

    def __init__(
        self,
        initial_learning_rate: NotNegative,
        first_decay_steps: Positive,
        t_mul: Annotated[float, Interval(1)] = 2.0,
        m_mul: NotNegative = 1.0,
        alpha: NotNegative = 0.0,
        name: str = "SGDRDecay",
    ):
        self.initial_learning_rate, self.first_decay_steps = initial_learning_rate, first_decay_steps
        self.t_mul, self.m_mul, self.alpha, self.name = t_mul, m_mul, alpha, name

    def _begin(self, period: Any) -> Any:
        """The step at which a period begins, in units of the first one."""
        return period if self.t_mul == 1 else (self.t_mul**period - 1) / (self.t_mul - 1)

    def at(self, step: Any) -> Any:
        """The formula of the class."""
        now = step / self.first_decay_steps
        growth = self.t_mul - 1
        period = np.floor(now) if growth == 0 else np.floor(np.log1p(now * growth) / np.log(self.t_mul))
        period = period + (self._begin(period + 1) <= now) - (self._begin(period) > now)  # logarithms are rounded
        done = (now - self._begin(period)) / self.t_mul**period
        cosine = 0.5 * self.m_mul**period * (1 + np.cos(pi * done))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)


def _periods(step: Any, length: float, whole: bool) -> Any:
    return np.floor(step / length) if whole else step / length


def learning_rate(value: Any) -> float | LearningRateSchedule:
    """A learning rate as optimizers keep it: a number above 0 or a schedule, also one that was serialized."""
    if isinstance(value, LearningRateSchedule | Mapping):
        return LearningRateSchedule.get(value)
    if isinstance(value, bool) or not (isinstance(value, Real) or (np.ndim(value) == 0 and hasattr(value, "dtype"))):
        raise ArgumentError(
            "the learning rate cannot be read.",
            expected="a number above 0 or a schedule, such as ExponentialDecay(0.1, 1000, 0.9)",
            found=repr(value)[:60],
            fix="a function of the step becomes a class of LearningRateSchedule" if callable(value) else "",
        )
    if not 0 < value < inf:
        raise ValueRangeError("the learning rate must be above 0.", found=f"learning_rate={value}")
    return float(value)


LearningRate: TypeAlias = Annotated[float | LearningRateSchedule, learning_rate]

__all__ = [
    name for name, value in dict(globals()).items()
    if isinstance(value, type) and issubclass(value, LearningRateSchedule)
]  # fmt: skip
