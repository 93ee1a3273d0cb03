"""The base of all optimizers: the learning rate, weight decay, clipping and averaging, done once around their steps."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Protocol, TypedDict, Unpack, get_type_hints

import numpy as np

from ..core.arguments import Count, Natural, NotNegative, Positive, Share, checked
from ..core.errors import NotReadyError, ValueRangeError, not_written, room_for
from ..core.node import Leaf, Node, state
from ..core.op import as_node, cast, literal
from ..core.record import Record
from ..core.shapes import show
from ..ops.elementwise import clip, equal, floor, maximum, sqrt, square, where
from ..ops.reduce import sum as sum_
from . import schedules
from .schedules import LearningRate, LearningRateSchedule

New = tuple[Any, dict[str, Any]]  # a parameter's new value and its new slots
_AVERAGE = "average"  # the slot of the moving average of the parameter itself


class Shared(TypedDict, total=False):
    """The keywords of every optimizer, weight decay aside."""

    clipnorm: Positive | None
    clipvalue: Positive | None
    global_clipnorm: Positive | None
    use_ema: bool
    ema_momentum: Share
    ema_overwrite_frequency: Count | None
    name: str | None


class Common(Shared, total=False):
    """The keywords of every optimizer; `Optimizer` says what they do."""

    weight_decay: NotNegative | None


_HINTS = get_type_hints(Common, include_extras=True)
_DEFAULTS: dict[str, Any] = {
    "weight_decay": None,
    "clipnorm": None,
    "clipvalue": None,
    "global_clipnorm": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "name": None,
}


class Owner(Protocol):
    """The model that an optimizer trains: it keeps the slots and counts the steps."""

    iterations: int

    def slots(self) -> Mapping[Leaf, Mapping[str, Leaf]]:
        """The slots of every trained parameter."""


class Optimizer(Record):
    """The base of all optimizers.

    `learning_rate`: a number above 0 or a schedule (`backlit.optimizers.schedules`). It is an input of the step's
    graph: assigning `optimizer.learning_rate` takes effect at the next step and plans nothing anew; reading it gives
    the rate of the next step. The other keywords, all of them optional:

    - `weight_decay` w: before its step, each parameter is multiplied by 1 - lr w (decoupled: no part of the gradient);
    - one of `clipvalue` c (every number of a gradient is held in [-c, c]), `clipnorm` c (the gradient of each parameter
      is shrunk to the norm c where it is longer) and `global_clipnorm` c (all gradients together). A step is checked
      for finiteness, and its gradient norm reported, before clipping;
    - `use_ema`: keep a moving average of each parameter, ema_momentum · average + (1 - ema_momentum) · parameter, which
      replaces the parameters every `ema_overwrite_frequency` steps (None: never) and when `fit` ends.

    A class of one's own has `slots`, the names of what it keeps for each parameter, and `step`:

    >>> import backlit as bl
    >>> class Thrifty(bl.optimizers.Optimizer):
    ...     slots = ("sum",)
    ...     def step(self, p, g, slots, lr, t):
    ...         total = slots["sum"] + g * g
    ...         return p - lr * g / bl.ops.sqrt(total + 1e-7), {"sum": total}
    >>> Thrifty(0.1, clipnorm=1.0)
    Thrifty(learning_rate=0.1, clipnorm=1.0)
    """

    family = "optimizer"
    slots: ClassVar[tuple[str, ...]] = ()

    @checked
    def __init__(self, learning_rate: LearningRate = 0.001, **common: Unpack[Common]):
        given = {**_DEFAULTS, **common}
        self._owner: Owner | None = None
        self.learning_rate = learning_rate
        self.name = given["name"]
        self.weight_decay = given["weight_decay"]
        self.clipnorm, self.clipvalue, self.global_clipnorm = clips = (
            given["clipnorm"], given["clipvalue"], given["global_clipnorm"],
        )  # fmt: skip
        if sum(each is not None for each in clips) > 1:
            raise ValueRangeError("gradients are clipped in one way.", expected="at most one of the three clips")
        self.use_ema, self.ema_momentum = given["use_ema"], given["ema_momentum"]
        self.ema_overwrite_frequency = given["ema_overwrite_frequency"]

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        if "__init__" in cls.__dict__:
            _spell_out(cls.__init__)

    # ------------------------------------------------------------------ for those who write an optimizer
    def used_slots(self) -> tuple[str, ...]:
        """The slots that this configuration needs."""
        return self.slots

    def first(self, slot: str, p: Leaf) -> Any:
        """The first value of a slot of the parameter p: zeros like p. It may have another shape and dtype."""
        return np.zeros(p.shape, p.dtype)

    def step(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """(new p, new slots) for one parameter: its value, gradient and slots, the rate, and t = 1, 2, …

        lr and t are float64 numbers that take the dtype of what they are joined with, so that what is computed from
        them alone is exact.
        """
        raise not_written(self, "step(self, p, g, slots, lr, t)")

    def effective(self, slots: Mapping[str, Any], lr: Any, t: Any) -> Any:
        """How far a parameter goes for each unit of its gradient (its mean, where there is one), from its slots."""
        return lr

    # ------------------------------------------------------------------ what is done around the step, for all
    def across(self, gradients: Sequence[Any]) -> list[Any]:
        """What sees all gradients at once: here they are clipped, if that is asked for."""
        if self.clipvalue is not None:
            return [clip(g, -self.clipvalue, self.clipvalue) for g in gradients]
        if self.clipnorm is not None:
            return [_shrunk(g, [g], self.clipnorm) for g in gradients]
        if self.global_clipnorm is not None:
            return [_shrunk(g, gradients, self.global_clipnorm) for g in gradients]
        return list(gradients)

    def update(self, p: Any, g: Any, slots: Mapping[str, Any], lr: Any, t: Any) -> New:
        """`step` with the weight decay before and the moving average behind it; g is clipped already."""
        decayed = p - p * (lr * self.weight_decay) if self.weight_decay else p
        new, written = self.step(decayed, g, slots, lr, t)
        if not self.use_ema:
            return new, written
        kept = where(t > 1, self.ema_momentum, 0.0)  # the first step's parameters are the first average
        average = kept * slots[_AVERAGE] + (1 - kept) * new
        if every := self.ema_overwrite_frequency:
            new = where(equal(floor(t / every) * every, t), average, new)
        return new, {**written, _AVERAGE: average}

    def updates(
        self, gradients: Mapping[Leaf, Node], slots: Mapping[Leaf, Mapping[str, Leaf]], lr: Any, t: Any
    ) -> dict[Leaf, Node]:
        """The new value of every parameter and of each of its slots: what a training step writes."""
        written: dict[Leaf, Node] = {}
        for p, g in zip(gradients, self.across(list(gradients.values())), strict=True):
            new, new_slots = self.update(p, g, slots[p], lr, t)
            new_values = {p: new, **{slots[p][key]: value for key, value in new_slots.items()}}
            written.update({leaf: cast(as_node(value), leaf.dtype) for leaf, value in new_values.items()})
        return written

    def make_slots(self, p: Leaf) -> dict[str, Leaf]:
        """New slots for the parameter p."""
        with room_for(f"what {type(self).__name__} keeps of {p.name!r} {show(p.shape)}", fix="fewer units, or SGD"):
            made = {key: state(self.first(key, p), f"{p.name}/{key}") for key in self.used_slots()}
        return {**made, _AVERAGE: state(p.array, f"{p.name}/{_AVERAGE}")} if self.use_ema else made

    # ------------------------------------------------------------------ the learning rate
    def bind(self, owner: Owner) -> None:
        """Belong to the model that keeps the slots and counts the steps. The last one counts."""
        self._owner = owner

    @property
    def iterations(self) -> int:
        """How many steps were committed."""
        return 0 if self._owner is None else self._owner.iterations

    @property
    def learning_rate(self) -> Any:
        """The rate of the next step."""
        return float(self.learning_rates(self.iterations, 1)[0])

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self._rate = schedules.learning_rate(value)

    @property
    def schedule(self) -> LearningRateSchedule | None:
        """The schedule of the learning rate, or None where it is a number."""
        return self._rate if isinstance(self._rate, LearningRateSchedule) else None

    @checked
    def learning_rates(self, first: Natural, count: Natural) -> Any:
        """The rates of `count` steps, the first one having `first` steps before it."""
        schedule = self.schedule
        return np.full(count, self._rate) if schedule is None else schedule.rates(first, count)

    # ------------------------------------------------------------------ after training
    def finalize(self) -> None:
        """With `use_ema`: give every parameter its moving average."""
        if self.use_ema and self._owner is not None and self.iterations:
            for p, slots in self._owner.slots().items():
                p.assign(slots[_AVERAGE].array)

    def rates(self) -> Rates:
        """How far each parameter went in the last step for each unit of its gradient, as clipped: `Rates`.

        Adam: lr √(1-β₂ᵗ)/(1-β₁ᵗ) / (√v + ε), times m; RMSprop, Adagrad, Adadelta, Adamax, Nadam likewise what m or g is
        multiplied by. SGD: lr, with momentum too. Lion: lr, whatever the gradient. An assigned `learning_rate` counts
        at once. Raises NotReadyError before the first step.
        """
        if self._owner is None or not self.iterations:
            raise NotReadyError("the optimizer has not made a step yet.", fix="model.compile(optimizer=...), then fit")
        lr, t = float(self.learning_rates(self.iterations - 1, 1)[0]), float(self.iterations)
        found = {}
        for p, slots in self._owner.slots().items():
            values = {key: slot.array.astype(np.float64) for key, slot in slots.items()}
            found[str(p.name)] = np.array(np.broadcast_to(self.effective(values, lr, t), p.shape))
        return Rates(f"{type(self).__name__}, step {self.iterations}, learning rate {lr:g}", found)

    # ------------------------------------------------------------------ configuration
    def _refresh(self) -> None:
        if "learning_rate" in self.arguments:
            self.arguments = {**self.arguments, "learning_rate": self._rate}

    def get_config(self) -> dict[str, Any]:
        """The constructor arguments as plain values, the learning rate as it is now, a schedule serialized."""
        self._refresh()
        return super().get_config()

    def __repr__(self) -> str:
        self._refresh()
        return super().__repr__()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_owner": None}  # a copy belongs to no model


class Rates(Mapping[str, Any]):
    """Effective rates: an array for each parameter's name; printed as a table. `flat` has all numbers in one array.

    >>> print(Rates("Adam, step 1, learning rate 0.1", {"w": np.array([0.5, 2.0, 1.0]), "b": np.array(0.25)}))
    Adam, step 1, learning rate 0.1: step per unit of gradient
    parameter  shape  numbers   min  median   max
    w          (3,)         3   0.5       1     2
    b          ()           1  0.25    0.25  0.25
    """

    def __init__(self, title: str, arrays: Mapping[str, Any]):
        self.title, self.arrays = title, dict(arrays)

    def __getitem__(self, name: str) -> Any:
        return self.arrays[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.arrays)

    def __len__(self) -> int:
        return len(self.arrays)

    @property
    def flat(self) -> Any:
        """All rates one after another."""
        return np.concatenate([array.reshape(-1) for array in self.arrays.values()] or [np.zeros(0)])

    def __str__(self) -> str:
        rows = [("parameter", "shape", "numbers", "min", "median", "max")]
        for name, array in self.arrays.items():
            marks = (array.min(), np.median(array), array.max()) if array.size else ()
            rows.append((name, show(array.shape), str(array.size), *(f"{mark:.4g}" for mark in marks)))  # type: ignore[arg-type]
        widths = [max(len(row[k]) for row in rows if k < len(row)) for k in range(6)]
        lines = [
            "  ".join(cell.ljust(width) if k < 2 else cell.rjust(width) for k, (cell, width) in enumerate(cells))
            for cells in (list(zip(row, widths, strict=False)) for row in rows)
        ]
        return "\n".join([f"{self.title}: step per unit of gradient", *lines])

    __repr__ = __str__


def _spell_out(constructor: Any) -> None:
    """Give a constructor that takes `**common` the signature that names those keywords, with their defaults."""
    init = inspect.unwrap(constructor)
    signature = inspect.signature(init)
    own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
    if len(own) < len(signature.parameters):
        kind, known = inspect.Parameter.KEYWORD_ONLY, {each.name for each in own}
        each = {k: v for k, v in _DEFAULTS.items() if k not in known}
        rest = [inspect.Parameter(k, kind, default=v, annotation=_HINTS[k]) for k, v in each.items()]
        init.__signature__ = signature.replace(parameters=[*own, *rest])


_spell_out(Optimizer.__init__)


def _shrunk(g: Any, among: Sequence[Any], limit: float) -> Any:
    """g, scaled as it takes to bring the norm of `among` down to the limit."""
    squares: Any = literal(0.0, "float64")
    for each in among:
        squares = squares + cast(sum_(square(each)), "float64")
    return g * cast(limit / maximum(sqrt(squares), limit), g.dtype)
