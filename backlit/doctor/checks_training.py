"""Whether batches and steps are such that something can be learnt, and whether it was."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Values
from ..layers.dense import Dense
from ..train.optimizers import Optimizer
from .programs import classes, network, points, sparse, values
from .subject import Subject

_GROWTH = 1e3
_ABSURD = 1e10


class OddBatchSize(Check):
    """A batch of one example, or one that holds all examples, asked for with more than a few of them."""

    rules, phase, needs, severity = (31,), "data", ("x", "whole", "settings"), "note"
    place = "fit"
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

    def bad(self) -> tuple[Any, ...]:
        """All rows in one batch."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"batch_size": 500}

    def good(self) -> tuple[Any, ...]:
        """The default."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3), {"batch_size": 32}


class LossGrows(Check):
    """A training that ends far above where it began, although every step was finite."""

    rules, phase, needs, severity = (32, 47), "after", ("history",), "warning"
    place = "compile"
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
        return f"the loss grew from {v['first']:.3g} to {v['last']:.3g} in {v['epochs']} epochs."

    def fix(self, v: Values) -> str:
        """Smaller steps, scaled data."""
        return f"optimizer with learning_rate={v['learning_rate'] / 10:.2g}, and inputs and targets of size about 1"

    def bad(self) -> tuple[Any, ...]:
        """Steps that are too long by far."""
        model = network(Dense(1), loss="mse", optimizer=Optimizer.named("sgd")(1.5))
        return model, points() * 1.5, values(), {"epochs": 3}

    def good(self) -> tuple[Any, ...]:
        """Steps that fit."""
        model = network(Dense(1), loss="mse", optimizer=Optimizer.named("sgd")(0.05))
        return model, points() * 1.5, values(), {"epochs": 3}
