"""Wrong data at the door of fit, evaluate and predict."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas
import scipy.sparse

import backlit as bl
from backlit.layers import Dense
from tools.wrong.small import LABELS, X, built, digits

NAMES = np.array(["cat", "dog", "fish"])[LABELS]
TABLE = pandas.DataFrame(X, columns=["a", "b", "c"])


def on_table() -> bl.Sequential:
    """A model that was trained on a table."""
    model = digits()
    model.fit(TABLE, LABELS, verbose=0, doctor="off")
    return model


def named() -> bl.Sequential:
    """A model that knows names of classes."""
    model = digits()
    model.classes = ("cat", "dog", "fish")
    return model


def two_outputs() -> bl.Model:
    """A model of two outputs."""
    x = bl.Input((3,))
    model = bl.Model(x, [Dense(3, name="u")(x), Dense(3, name="v")(x)])
    model.compile("adam", bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def generator(*batches: Any) -> Iterator[Any]:
    """Batches one after another."""
    yield from batches


def fits(x: Any, y: Any = None, **options: Any) -> Callable[[], object]:
    """A fit of the small model."""
    return lambda: digits().fit(x, y, verbose=0, **options)


def labels() -> dict[str, Callable[[], object]]:
    """Names of classes."""
    return {
        "a name that training did not see": lambda: named().evaluate(X, np.where(NAMES == "cat", "cow", NAMES)),
        "names before any training": lambda: digits().evaluate(X, NAMES),
        "more names than units": lambda: digits(units=2).fit(X, NAMES, verbose=0),
        "three names for one unit": lambda: digits("binary_crossentropy", 1).fit(X, NAMES, verbose=0),
        "names with a one-hot loss": lambda: digits("categorical_crossentropy").fit(X, NAMES, verbose=0),
        "names for a regression": lambda: digits("mse", 1).fit(X, NAMES, verbose=0),
        "names for two outputs": lambda: two_outputs().fit(X, [NAMES, NAMES], verbose=0),
        "a row without a label": fits(X, [None, *NAMES[1:]]),
        "names and numbers": fits(X, [7, *NAMES[1:]]),
        "a negative class as a one-hot row": lambda: bl.utils.to_categorical([-1, 0]),
        "one-hot rows of no classes": lambda: bl.utils.to_categorical([0], 0),
        "class weights for two outputs": lambda: two_outputs().fit(
            X, [LABELS, LABELS], class_weight={0: 1.0}, verbose=0
        ),
    }


def tables() -> dict[str, Callable[[], object]]:
    """Tables and series."""
    return {
        "a table with text": fits(TABLE.assign(b="x"), LABELS),
        "a table without a column": lambda: on_table().predict(TABLE[["a", "b"]]),
        "rows in another order": fits(TABLE, pandas.Series(LABELS).iloc[::-1]),
        "a table for one of two inputs": fits([TABLE, X], LABELS),
        "text among the targets": lambda: digits("mse", 2).fit(X, TABLE[["a", "b"]].assign(b="x"), verbose=0),
    }


def numbers() -> dict[str, Callable[[], object]]:
    """Numbers of every kind."""
    missing = X.astype(object)
    missing[2, 1] = None
    return {
        "complex numbers": fits(X * 1j, LABELS),
        "dates": fits(X.astype("M8[s]"), LABELS),
        "time spans": fits(X.astype("m8[s]"), LABELS),
        "bytes": fits(X.astype("S"), LABELS),
        "records": fits(np.zeros(8, [("a", "f4"), ("b", "f4")]), LABELS),
        "masked values": fits(np.ma.masked_greater(X, 0.9), LABELS),
        "rows of different lengths": fits([[1, 2], [3]], [0, 1]),
        "None among numbers": fits(missing, LABELS),
        "text among numbers": fits(np.where(X > 0.9, "x", X.astype(object)), LABELS),
        "a number beyond 64 bits": fits([[2**70]], [0]),
        "a single number": lambda: built().predict(3.0),
        "a number beyond float32": fits(X * 1e39, LABELS),
        "a sparse y": lambda: digits("mse").fit(X, scipy.sparse.csr_matrix(X), verbose=0),
        "a sparse array of three axes": fits(scipy.sparse.coo_array(X.reshape(2, 4, 3)), LABELS),
    }


def streams() -> dict[str, Callable[[], object]]:
    """Batches one after another."""
    good = X, LABELS
    return {
        "a generator and y": fits(generator(good), LABELS),
        "a generator and a batch size": fits(generator(good), batch_size=8),
        "a generator for three epochs": fits(generator(good), epochs=3),
        "a generator of nothing": fits(generator()),
        "a generator of x alone": fits(generator(X)),
        "a generator whose second batch is wrong": fits(generator(good, (X, LABELS + 1))),
        "a generator whose second batch is weighted": fits(generator(good, (X, LABELS, np.ones(8)))),
        "a generator and balanced classes": fits(generator(good), class_weight="balanced"),
        "a function that makes no generator": fits(lambda: 3),
        "a generator as one batch": lambda: digits().train_on_batch(generator(good), LABELS),
        "a generator of nothing to predict": lambda: built().predict(generator()),
        "a generator that validates once too often": fits(
            X, LABELS, epochs=3, validation_data=generator(good), validation_steps=1
        ),
    }


def cases() -> dict[str, Callable[[], object]]:
    """Wrong data at the door."""
    return {**labels(), **tables(), **numbers(), **streams()}
