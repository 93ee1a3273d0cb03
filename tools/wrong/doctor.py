"""What a report refuses to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import redirect_stderr
from io import StringIO
from typing import Any

import numpy as np

import backlit as bl
from backlit.layers import Dense, Dropout

X = np.linspace(-1, 1, 24).reshape(12, 2)
Y = (X[:, 0] > 0).astype(int)


def report(last: str = "softmax", x: object = X, y: object = Y) -> bl.Model:
    """The report of a small network with this last activation."""
    bl.random.set_seed(1)
    model = bl.Sequential([Dense(4, "relu"), Dense(1, last)])
    model.compile("adam", "binary_crossentropy")
    return model.diagnose(x, y)


def batches() -> Iterator[tuple[object, object]]:
    """A stream whose labels are refused."""
    yield X, 2 * Y


def generator() -> object:
    """Try a fix on what a generator has given already."""
    bl.random.set_seed(1)
    model = bl.Sequential([Dense(4, "relu"), Dropout(0.9), Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    found = model.diagnose(batches())
    return found.prove(which=[[one.check for one in found.findings].index("much_dropout")])


def trained(epochs: int, **held: Any) -> Any:
    """The report of a short training, which the doctor followed."""
    bl.random.set_seed(1)
    rng = np.random.Generator(np.random.PCG64(0))
    x = rng.normal(size=(96, 4))
    y = x @ [1.0, -2.0, 0.5, 1.0] + (4 * rng.normal(size=96) if held else 0.0)
    model = bl.Sequential([Dense(64, "relu"), Dense(1)])
    model.compile(bl.optimizers.Adam(0.02 if held else 0.001), "mse")
    with redirect_stderr(StringIO()):
        model.fit(x, y, epochs=epochs, verbose=0, **held)
    return model.diagnose(x, y)


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
        "a fix is tried on a generator that is gone": generator,
        "fewer epochs are tried without held-out rows": lambda: trained(120, validation_split=0.4).prove(),
        "more epochs are tried in no time": lambda: trained(4).prove(seconds=1e-9),
        "a fix is tried without data": lambda: report(x=None, y=None).prove(),
        "a fix that a program cannot make": own,
    }
