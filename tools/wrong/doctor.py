"""What a report refuses to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

import backlit as bl
from backlit.layers import Dense

X = np.linspace(-1, 1, 24).reshape(12, 2)
Y = (X[:, 0] > 0).astype(int)


def report(last: str = "softmax", x: object = X, y: object = Y) -> bl.Model:
    """The report of a small network with this last activation."""
    bl.random.set_seed(1)
    model = bl.Sequential([Dense(4, "relu"), Dense(1, last)])
    model.compile("adam", "binary_crossentropy")
    return model.diagnose(x, y)


def batches() -> Iterator[tuple[object, object]]:
    """The rows as a stream."""
    yield X, Y


class Own(bl.Model):
    """A softmax inside a call of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.last = Dense(1, "softmax")

    def call(self, x: object, training: bool = False) -> object:
        """The layer."""
        return self.last(x)


def own() -> object:
    """Apply a fix to a model with a call of its own."""
    model = Own()
    model.compile("adam", "binary_crossentropy")
    return model.diagnose(X, Y).apply()


def cases() -> dict[str, Callable[[], object]]:
    """The small wrong programs, each with its title."""
    return {
        "a report without findings is applied": lambda: report("sigmoid").apply(),
        "a finding that is not there is applied": lambda: report().apply(3),
        "a fix is tried on a stream": lambda: report(x=batches, y=None).prove(),
        "a fix is tried without data": lambda: report(x=None, y=None).prove(),
        "a fix that a program cannot make": own,
    }
