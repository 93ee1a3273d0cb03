"""Whether batches and steps are such that something can be learnt, and whether it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import numpy as np

from ..core.check import Check, Repair, Values
from ..core.errors import ValueRangeError, counted
from ..layers.dense import Dense
from ..train.callbacks import EarlyStopping, usually_grows
from ..train.losses import Loss
from ..train.optimizers import SGD, Optimizer
from . import repairs
from .programs import classes, network, points, sparse, values
from .subject import Subject

_GROWTH = 1e3
_ABSURD = 1e10
_FADES = 0.01


class OddBatchSize(Check):
    """A batch of one example, or one that holds all examples, asked for with more than a few of them."""

    rules, phase, needs, severity = (31,), "data", ("x", "whole", "settings"), "note"
    place = "fit"
    argument = "batch_size"
    why = "single examples give noisy, slow steps; a batch of all examples gives one step an epoch"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The batch size, where one was asked for."""
        asked = subject.settings.get("batch_size")
        if asked is not None:
            steps = math.ceil(subject.rows / asked) * subject.settings.get("epochs", 1)
            yield {"layer": None, "batch_size": asked, "rows": subject.rows, "steps": steps}

    def wrong(self, v: Values) -> bool:
        """1, or all rows with few steps altogether."""
        alone, everything = v["batch_size"] == 1, v["batch_size"] >= v["rows"]
        return bool(v["rows"] > 50 and (alone or (everything and v["steps"] < 50)))

    def message(self, v: Values) -> str:
        """Steps."""
        return f"batch_size={v['batch_size']} with {v['rows']} rows; steps altogether: {v['steps']}."

    def fix(self, v: Values) -> str:
        """The default."""
        return "batch_size=32"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The default."""
        return Repair(fit={"batch_size": 32})

    def bad(self) -> tuple[Any, ...]:
        """All rows in one batch."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"batch_size": 500}

    def good(self) -> tuple[Any, ...]:
        """The default."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"batch_size": 32}


class SummedLoss(Check):
    """A loss that is summed over the batch under plain gradient descent, whose steps are then as many times as long as a
    batch has rows. Optimizers that divide by the gradient's size do not mind."""

    rules, phase, needs = (55, 32), "data", ("x", "settings")
    place, argument = "compile", "reduction"
    why = "a learning rate of 1 is the limit of a linear fit of standardised features by squared errors: beyond it steps diverge"
    explains = ("loss_grows", "first_step_explodes", "steps_too_long")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The learning rate as it would be for the mean."""
        optimizer = subject.facts.model.optimizer
        rows = min(subject.settings.get("batch_size") or 32, subject.rows)
        for head in subject.heads:
            if head.head.loss.reduction == "sum" and isinstance(optimizer, SGD) and not _clipped(optimizer):
                rate = float(optimizer.learning_rate)
                long = rate * head.head.share * rows / (1 - optimizer.momentum)
                yield {"layer": None, "loss": head.loss, "rows": rows, "learning_rate": rate, "rate_of_mean": long}

    def wrong(self, v: Values) -> bool:
        """Above 1."""
        return bool(v["rate_of_mean"] > 1)

    def message(self, v: Values) -> str:
        """How long the steps are."""
        what = f"{v['loss']} is the sum over the {v['rows']} rows of a batch"
        return f"{what}: steps are those of learning_rate={v['rate_of_mean']:.3g} for their mean."

    def fix(self, v: Values) -> str:
        """The mean."""
        return "reduction='sum_over_batch_size', the default: steps of any batch size are alike then"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The mean."""
        return repairs.mean_losses(subject)

    def bad(self) -> tuple[Any, ...]:
        """A sum over 32 rows."""
        loss = Loss.named("mean_squared_error")(reduction="sum")
        return network(Dense(1), loss=loss, optimizer=SGD(0.05)), points(), values(), {"epochs": 1}

    def good(self) -> tuple[Any, ...]:
        """Their mean."""
        return network(Dense(1), loss="mse", optimizer=SGD(0.05)), points(), values(), {"epochs": 20}


def _clipped(optimizer: Any) -> bool:
    """Whether the size of a step has a limit."""
    return any(getattr(optimizer, name, None) for name in ("clipnorm", "clipvalue", "global_clipnorm"))


class MonitoredTheOtherWay(Check):
    """A callback that is told to take a number for the better the worse it is: `mode="min"` for an accuracy, "max" for a
    loss. It stops when the training begins to succeed, and keeps the worst weights."""

    rules, phase, needs = (36, 30), "first step", ("course",)
    place, argument = "fit", "callbacks"
    why = "what is monitored with the wrong sign is at its best before anything is learnt"
    explains = ("stopped_while_improving", "learning_rate_too_low", "plain_steps_too_slow")

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Which way each monitored number is taken, and which way it usually goes, as far as that is known."""
        for name, monitor, mode in subject.course.monitors:
            with suppress(ValueRangeError):  # nobody knows which way a number of that name goes
                better = "max" if usually_grows(name, monitor, subject.facts.model) else "min"
                known = {"layer": None, "callback": name, "monitor": monitor}
                yield {**known, "mode": mode, "better": better, "steps": subject.course.total}

    def wrong(self, v: Values) -> bool:
        """The other one."""
        return bool(v["mode"] != v["better"])

    def message(self, v: Values) -> str:
        """What it waits for."""
        how = "smaller" if v["mode"] == "min" else "larger"
        return f"{v['callback']} takes {v['monitor']} for the better the {how} it is (mode={v['mode']!r})."

    def fix(self, v: Values) -> str:
        """The usual way."""
        return f"{v['callback']}({v['monitor']!r}, mode={v['better']!r}), or without mode"

    def bad(self) -> tuple[Any, ...]:
        """An accuracy that is to fall."""
        return self._stopped("min")

    def good(self) -> tuple[Any, ...]:
        """One that is to grow."""
        return self._stopped("max")

    def _stopped(self, mode: Any) -> tuple[Any, ...]:
        stop = EarlyStopping("accuracy", patience=4, mode=mode)
        model = network(Dense(8, "relu"), Dense(3), loss=sparse(), metrics=["accuracy"])
        return model, points(), classes(3), {"epochs": 20, "callbacks": [stop]}


class DecayOfEveryStep(Check):
    """A weight decay that takes more off the weights at every step than the data can put back: it is multiplied by the
    learning rate, and not divided by anything."""

    rules, phase = (51,), "compile"
    place, argument = "compile", "weight_decay"
    why = "what a step learns has gone after as many steps as it takes to halve the weights"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """What a step takes off every weight, and after how many of them half is gone."""
        optimizer = subject.facts.model.optimizer
        decay = getattr(optimizer, "weight_decay", None)
        if decay:
            rate = float(optimizer.learning_rates(int(subject.facts.model.iterations), 1)[0])
            share = rate * float(decay)
            halved = math.log(2) / -math.log1p(-share) if share < 1 else 1.0
            yield {"layer": None, "weight_decay": float(decay), "learning_rate": rate, "share": share, "halved": halved}

    def wrong(self, v: Values) -> bool:
        """More than a hundredth: seventy steps halve the weights."""
        return bool(v["share"] > _FADES)

    def message(self, v: Values) -> str:
        """How fast they go."""
        product = f"{v['weight_decay']:g} times the learning rate {v['learning_rate']:g}"
        return f"the weight decay takes {v['share']:.0%} off every weight at every step ({product})."

    def fix(self, v: Values) -> str:
        """A usual one."""
        return f"weight_decay={_usual_decay(v):g}"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A usual one."""
        return Repair(optimizer={"weight_decay": _usual_decay(v)})

    def bad(self) -> tuple[Any, ...]:
        """A fifth of every weight, at every step."""
        adam = Optimizer.named("adam")(0.01, weight_decay=20.0)
        return network(Dense(8, "relu"), Dense(3), loss=sparse(), optimizer=adam), points(), classes(3), {"epochs": 20}

    def good(self) -> tuple[Any, ...]:
        """A ten thousandth."""
        adam = Optimizer.named("adam")(0.01, weight_decay=0.01)
        return network(Dense(8, "relu"), Dense(3), loss=sparse(), optimizer=adam), points(), classes(3), {"epochs": 20}


def _usual_decay(v: Values) -> float:
    """What takes a ten thousandth off at every step, to one digit."""
    return float(f"{1e-4 / v['learning_rate']:.1g}")


class TinyEpsilon(Check):
    """An epsilon that keeps nothing from being divided by 0: the squares of small gradients are 0 in float32."""

    rules, phase = (34,), "compile"
    place, argument = "compile", "epsilon"
    why = "a parameter without a gradient for a while is moved by 0 / 0, or by 1e30"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Epsilon, where the optimizer has one."""
        found = getattr(subject.facts.model.optimizer, "epsilon", None)
        if found is not None:
            yield {"layer": None, "epsilon": float(found)}

    def wrong(self, v: Values) -> bool:
        """The published 1e-16, or less."""
        return bool(v["epsilon"] <= 1e-16)

    def message(self, v: Values) -> str:
        """How small it is."""
        return f"epsilon={v['epsilon']:g} keeps no division by 0 from happening."

    def fix(self, v: Values) -> str:
        """The default."""
        return "epsilon=1e-7, the default"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """The default."""
        return Repair(optimizer={"epsilon": 1e-7})

    def bad(self) -> tuple[Any, ...]:
        """None."""
        adam = Optimizer.named("adam")(0.01, epsilon=1e-20)
        return network(Dense(8, "relu"), Dense(3), loss=sparse(), optimizer=adam), points(), classes(3), {"epochs": 20}

    def good(self) -> tuple[Any, ...]:
        """The default."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"epochs": 20}


class LossGrows(Check):
    """A training that ends far above where it began, although every step was finite."""

    rules, phase, needs, severity = (32, 47), "after", ("history",), "warning"
    place = "compile"
    argument = "learning_rate"
    why = "each step overshoots, and the next one overshoots further"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The loss of the first and of the last epoch, and what predicting 0 would cost, about."""
        losses = [row["loss"] for row in subject.history if "loss" in row]
        if losses:
            numbers = [head for head in subject.heads if head.reading.kind == "number"]
            known = [subject.y[head.place] for head in numbers] if subject.has("y") else []
            squares = [float(np.mean(np.square(y, dtype=np.float64))) for y in known]
            yield {
                "layer": None,
                "first": float(losses[0]),
                "last": float(losses[-1]),
                "epochs": len(losses),
                "of_zeros": max([1.0 if len(numbers) < len(subject.heads) else 0.0, *squares]),
                "learning_rate": float(subject.facts.model.optimizer.learning_rate),
            }

    def wrong(self, v: Values) -> bool:
        """A thousand times the first loss and above that of zeros; or absurd, and not because y is."""
        grown = v["last"] > _GROWTH * max(v["first"], v["of_zeros"] / _GROWTH)
        absurd = v["last"] > max(_ABSURD, _GROWTH * v["of_zeros"]) and v["last"] >= v["first"]
        return math.isfinite(v["last"]) and bool(grown or absurd)

    def message(self, v: Values) -> str:
        """From where to where."""
        if v["epochs"] == 1:
            return f"the loss of the epoch is {v['last']:.3g}; predicting 0 would cost about {v['of_zeros']:.3g}."
        return f"the loss grew from {v['first']:.3g} to {v['last']:.3g} in {counted(v['epochs'], 'epoch')}."

    def fix(self, v: Values) -> str:
        """Smaller steps, scaled data."""
        return f"optimizer with learning_rate={v['learning_rate'] / 10:.2g}, and inputs and targets of size about 1"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """A tenth of the rate."""
        return repairs.rate(subject, v["learning_rate"] / 10)

    def bad(self) -> tuple[Any, ...]:
        """Steps that are too long by far, and a loss of one's own that has no yardstick, since it may be negative."""
        model = network(Dense(1), loss=_lowered, optimizer=Optimizer.named("sgd")(1.2))
        return model, points(), values(), {"epochs": 12}

    def good(self) -> tuple[Any, ...]:
        """Steps that fit."""
        model = network(Dense(1), loss="mse", optimizer=Optimizer.named("sgd")(0.05))
        return model, points() * 1.5, values(), {"epochs": 3}


def _lowered(y: Any, p: Any) -> Any:
    return (y - p) * (y - p) - 10.0
