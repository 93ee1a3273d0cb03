"""Wrong models, data and files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import backlit as bl
from backlit.layers import Dense, Dropout, Normalization
from tools.wrong.small import LABELS, X, built, digits


def diverging() -> None:
    """A rate at which the loss overflows."""
    model = bl.Sequential([Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=bl.optimizers.SGD(1e20), loss="mse")
    model.fit(X * 1e6, X[:, 0], epochs=5, verbose=0)


class Forgetful(bl.Model):
    """A model that does not call the constructor of its base."""

    def __init__(self) -> None:
        self.dense = Dense(1)


def truncated() -> None:
    """A file that was cut short."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.backlit"
        model = bl.Sequential([bl.Input((3,)), Dense(1)])
        model.save(path)
        path.write_bytes(path.read_bytes()[:200])
        bl.load_model(path)


def cases() -> dict[str, Callable[[], object]]:
    """Wrong models, data and files."""
    hot = np.eye(3)[LABELS]
    return {
        "a misspelt class": lambda: bl.Squential,
        "a misspelt activation": lambda: Dense(3, activation="tan h"),
        "a misspelt keyword": lambda: bl.losses.BinaryCrossentropy(from_logists=True),
        "a misspelt loss": lambda: digits("sparse_categorical_crossentrpy"),
        "a class where an object is meant": lambda: bl.Sequential([Dense]),
        "no units": lambda: Dense(0),
        "a rate that is no share": lambda: Dropout(1.5),
        "no loss": lambda: bl.Sequential([Dense(1)]).compile(),
        "fit before compile": lambda: bl.Sequential([Dense(1)]).fit(X, LABELS),
        "a normalization without statistics": lambda: bl.Sequential([Normalization(), Dense(1)]).predict(X),
        "labels that begin at 1": lambda: digits().fit(X, LABELS + 1, verbose=0),
        "labels that are not whole": lambda: digits().fit(X, LABELS / 255, verbose=0),
        "one-hot labels with a sparse loss": lambda: digits().fit(X, hot, verbose=0),
        "labels with a one-hot loss": lambda: digits("categorical_crossentropy").fit(X, LABELS, verbose=0),
        "a column against three outputs": lambda: digits("mse").fit(X, LABELS, verbose=0),
        "NaN in X": lambda: digits().fit(np.where(X > 0.9, np.nan, X), LABELS, verbose=0),
        "text in X": lambda: digits().fit([["a", "b"]], [0], verbose=0),
        "a model without an output": lambda: bl.Model(bl.Input((3,))),
        "an input that is named twice": lambda: bl.Model([twice := bl.Input((3,), name="x"), twice], Dense(1)(twice)),
        "an argument of Keras 2": lambda: bl.optimizers.Adam(lr=0.01),
        "a layer that is not there at all": lambda: bl.layers.LSTM(4),
        "what only a built model has": lambda: bl.Sequential([Dense(1)]).output_names,
        "a model that forgets its base": lambda: Forgetful().compile(loss="mse"),
        "no rows": lambda: digits().fit(X[:0], LABELS[:0], verbose=0),
        "X and y of different length": lambda: digits().fit(X, LABELS[:-1], verbose=0),
        "one example without a batch": lambda: built().predict(X[0]),
        "a loss that leaves the numbers": diverging,
        "a layer that is not there": lambda: digits().get_layer("L3"),
        "a file that is not there": lambda: bl.load_model("nothing.backlit"),
        "a file that was cut short": truncated,
        "another suffix": lambda: digits().save("model.keras"),
    }
