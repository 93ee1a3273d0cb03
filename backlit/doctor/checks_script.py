"""Whether a model was trained at all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core.check import Check, Values
from ..layers.dense import Dense
from .programs import classes, network, points, sparse
from .subject import Subject


class NeverTrained(Check):
    """A model that is used with its first weights: `fit` was not called, or made no step. Weights that were loaded, set or
    trained by a loop of one's own are others than those that were drawn."""

    rules, phase, needs, rank = (43,), "after", ("history",), "steps"
    place = "fit"
    why = "what it predicts is a random function of X, and its score that of guessing"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many steps were made, and how many weights are still those that were drawn."""
        model = subject.facts.model
        if model.trainable_variables:
            kept = as_drawn(model)
            yield {"layer": None, "steps": int(model.iterations), "weights": model.count_params(), "as_drawn": kept}

    def wrong(self, v: Values) -> bool:
        """None, and all of them."""
        return bool(v["steps"] == 0 and v["as_drawn"])

    def message(self, v: Values) -> str:
        """What it is."""
        return f"this model was never trained: its {v['weights']:,} weights are the random ones that it began with."

    def fix(self, v: Values) -> str:
        """The call."""
        return "model.fit(X, y, epochs=10) before it; with initial_epoch=5 ten epochs are epochs=15"

    def bad(self) -> tuple[Any, ...]:
        """The number of the last epoch taken for how many there are."""
        model = network(Dense(8, "relu"), Dense(3), loss=sparse())
        return model, points(), classes(3), {"epochs": 5, "initial_epoch": 5}

    def good(self) -> tuple[Any, ...]:
        """All of them."""
        model = network(Dense(8, "relu"), Dense(3), loss=sparse())
        return model, points(), classes(3), {"epochs": 20}


def as_drawn(model: Any) -> bool:
    """Whether every weight that training changes has its first value, and these are random ones."""
    if int(model.iterations):
        return False
    random = False
    for layer in model.everything():
        for name, leaf in layer._weights.items() if layer.trainable else ():
            if leaf.kind == "variable":
                first, by_chance = drawn(layer, name)
                if not first:
                    return False
                random = random or by_chance
    return random


def drawn(layer: Any, name: str) -> tuple[bool, bool]:
    """Whether a weight has its first value, and whether another seed would have given it another one."""
    leaf, (initializer, number) = layer._weights[name], layer._initial[name]
    first = np.asarray(layer._first_values(name), leaf.dtype)
    if not np.array_equal(leaf.array, first):
        return False, False
    other = initializer.sample(leaf.shape, (layer.seed or 0) + 1, number)
    return True, not np.array_equal(first, np.asarray(other, leaf.dtype))
