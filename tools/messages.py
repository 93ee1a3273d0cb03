"""Every message a user can meet, in one file that is reviewed in the diff: `make messages` writes tests/golden/messages.txt.

Each case is a small wrong program; its message is what the library says. A new error gets a case here.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

import backlit as bl
from backlit.layers import Dense, Dropout, Normalization

GOLDEN = Path(__file__).resolve().parent.parent / "tests" / "golden" / "messages.txt"
X = np.linspace(-1, 1, 24).reshape(8, 3)
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])


def digits(loss: str = "sparse_categorical_crossentropy", units: int = 3) -> bl.Sequential:
    """A small compiled model."""
    model = bl.Sequential([Dense(4, "relu", name="L1"), Dense(units, name="L2")])
    model.compile(optimizer="adam", loss=bl.losses.Loss.named(loss)())
    return model


def built() -> bl.Sequential:
    """The same model with its weights made."""
    model = digits()
    model.build((3,))
    return model


def diverging() -> None:
    """A rate at which the loss overflows."""
    model = bl.Sequential([Dense(1, kernel_initializer="ones")])
    model.compile(optimizer=bl.optimizers.SGD(1e20), loss="mse")
    model.fit(X * 1e6, X[:, 0], epochs=5, verbose=0)


def truncated() -> None:
    """A file that was cut short."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.backlit"
        model = bl.Sequential([bl.Input((3,)), Dense(1)])
        model.save(path)
        path.write_bytes(path.read_bytes()[:200])
        bl.load_model(path)


def graph_cases() -> dict[str, Callable[[], object]]:
    """Wrong graphs."""
    w = bl.variable(np.ones((3, 2)), name="w")
    v = bl.variable(np.ones(3, dtype="float32"), name="v")
    x = bl.input((bl.M, 3), name="x")
    y = bl.input((bl.M,), name="y")
    return {
        "a node as a condition": lambda: bool(w),
        "assigning another shape": lambda: w.assign(np.ones(4)),
        "float32 with float64": lambda: w[:, 0] + v,
        "a matrix product that does not fit": lambda: w @ w,
        "broadcasting that does not fit": lambda: w + np.ones(5),
        "every example against every other": lambda: y - x[:, :1],
        "picking rows of a batch": lambda: x[0],
        "an axis that is not there": lambda: bl.ops.sum(w, axis=2),
        "a reshape that does not fit": lambda: bl.ops.reshape(w, (4, -1)),
        "the gradient of an array": lambda: bl.grad(w * 2, w),
        "a misspelt op": lambda: bl.ops.sofmax,
        "a misspelt attribute of an op": lambda: bl.ops.sum(w, axes=0),
        "an input without a value": lambda: (x * 2).value,
        "another shape for an input": lambda: bl.compile(x * 2, [x])(np.ones((2, 4))),
        "an update that is not finite": lambda: bl.compile(updates={w: w / (w - w)})(),
        "text as an array": lambda: bl.constant("cat"),
        "a ragged list": lambda: bl.constant([[1, 2], [3]]),
    }


def model_cases() -> dict[str, Callable[[], object]]:
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
        "no rows": lambda: digits().fit(X[:0], LABELS[:0], verbose=0),
        "X and y of different length": lambda: digits().fit(X, LABELS[:-1], verbose=0),
        "one example without a batch": lambda: built().predict(X[0]),
        "a loss that leaves the numbers": diverging,
        "a layer that is not there": lambda: digits().get_layer("L3"),
        "a file that is not there": lambda: bl.load_model("nothing.backlit"),
        "a file that was cut short": truncated,
        "another suffix": lambda: digits().save("model.keras"),
    }


def callback_cases() -> dict[str, Callable[[], object]]:
    """Wrong callbacks."""
    cb = bl.callbacks

    def fit(*callbacks: object, rate: object = 0.01) -> None:
        model = bl.Sequential([Dense(1)])
        model.compile(optimizer=bl.optimizers.Adam(rate), loss="mse")
        model.fit(X, X[:, 0], verbose=0, callbacks=callbacks)

    decay = bl.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    return {
        "a misspelt callback": lambda: cb.EarlyStoping,
        "a misspelt argument of a callback": lambda: cb.EarlyStopping(patiance=3),
        "a misspelt hook": lambda: cb.LambdaCallback(on_epoch_ends=print),
        "a callback that is none": lambda: fit(cb.EarlyStopping),
        "a mode that is none": lambda: cb.EarlyStopping(mode="mim"),
        "monitoring validation where there is none": lambda: fit(cb.EarlyStopping()),
        "a misspelt monitor": lambda: fit(cb.EarlyStopping("los")),
        "a monitor whose direction nobody knows": lambda: cb.EarlyStopping("wobble").on_epoch_end(0, {"wobble": 1.0}),
        "a checkpoint with another suffix": lambda: cb.ModelCheckpoint("best.keras"),
        "a checkpoint named by what is not logged": lambda: fit(cb.ModelCheckpoint("{val_loss}.backlit")),
        "a rate that a schedule sets already": lambda: fit(cb.ReduceLROnPlateau(), rate=decay),
        "a schedule that returns nothing": lambda: fit(cb.LearningRateScheduler(lambda epoch: None)),
        "histograms for TensorBoard": lambda: cb.TensorBoard(histogram_freq=1),
        "averages that nobody keeps": lambda: built().evaluate(X, LABELS, callbacks=cb.SwapEMAWeights()),
    }


def text() -> str:
    """All cases with their messages."""
    parts = []
    for title, program in (graph_cases() | model_cases() | callback_cases()).items():
        try:
            program()
        except bl.BacklitError as error:
            name, message = type(error).__name__, str(error)
        else:
            raise SystemExit(f"{title}: no error was raised")
        message = re.sub(r"messages\.py:\d+", "messages.py:N", message)
        message = re.sub(r"/\S*?/(\w+\.backlit)", r"/…/\1", message)
        parts.append(f"# {title}\n{name}: {message}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    GOLDEN.write_text(text())
    sys.stdout.write(f"{GOLDEN.relative_to(GOLDEN.parent.parent.parent)} written\n")
