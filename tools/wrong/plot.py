"""Wrong calls of pictures."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.layers import Conv1D, Dense, Flatten

X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])


def chain(*layers: object, loss: object = None, columns: int = 2) -> bl.Sequential:
    """A small built model, compiled where a loss is given."""
    model = bl.Sequential([bl.Input((columns,)), *layers])
    if loss is not None:
        model.compile("sgd", loss)
    return model


def two_outputs() -> bl.Model:
    """A model of two outputs."""
    x = bl.Input((2,))
    return bl.Model(x, [Dense(1, name="price")(x), Dense(2, name="kind")(x)])


def priced() -> bl.Sequential:
    """A linear regression."""
    return chain(Dense(1), loss="mse")


def curves() -> dict[str, Callable[[], object]]:
    """Wrong calls of pictures of formulas."""
    data, w, b = bl.plot, bl.variable(3.0, name="w"), bl.variable(1.0, name="b")
    return {
        "an activation that is no curve": lambda: data.activations.data("softmax"),
        "an activation that is misspelt": lambda: data.activations.data("rellu"),
        "a function that is no activation": lambda: data.activations.data(lambda z: bl.ops.sum(z)),
        "limits that are one number": lambda: data.activations.data(limits=[1]),
        "limits that are turned round": lambda: data.activations.data(limits=(3, -3)),
        "limits that are no numbers": lambda: data.activations.data(limits=("a", np.nan)),
        "limits of one direction": lambda: data.surface.data(w**2 + b, w, b, limits=(0, 1, 2)),
        "a probability above 1": lambda: data.loss.data("binary_crossentropy", at=1.5),
        "a softmax of nothing": lambda: data.softmax.data([]),
        "names that do not fit a softmax": lambda: data.softmax.data([1.0, 2.0], ["a"]),
    }


def costs() -> dict[str, Callable[[], object]]:
    """Wrong calls of pictures of costs."""
    data, price = bl.plot, priced()
    w, b, vector = bl.variable(3.0, name="w"), bl.variable(1.0, name="b"), bl.variable([1.0, 2.0], name="v")
    plain = chain(Dense(2, name="L2"))
    return {
        "one number of a cost named twice": lambda: data.surface.data(w**2, w, w),
        "a cost that is no number": lambda: data.slope.data(vector * 2, vector),
        "a cost of an input": lambda: data.slope.data(bl.ops.sum(bl.input((2,), "x")) * w, w),
        "no cost": lambda: data.slope.data(3.0, w),
        "a cost of a model that is not compiled": lambda: data.slope.data((plain, X, [0, 1, 1]), "L2/bias"),
        "a slope along no number": lambda: data.slope.data(w**2, 3.0),
        "a slope along a weight that is not there": lambda: data.slope.data((price, X, [1, 2, 3]), "dense/kernal"),
        "a slope along a whole array": lambda: data.slope.data((price, X, [1, 2, 3]), "dense/kernel"),
        "a slope along a place that is not there": lambda: data.slope.data(
            (price, X, [1, 2, 3]), ("dense/kernel", (9, 0))
        ),
        "a slope along what J does not depend on": lambda: data.slope.data(w**2, vector),
        "a slope where J is not finite": lambda: data.slope.data(bl.ops.log(w - 3), w),
        "a start of three numbers": lambda: data.descent.data(w**2 + b, w, b, start=[1.0, 2.0, 3.0]),
        "a descent by no optimizer": lambda: data.descent.data(w**2 + b, w, b, optimizers=[]),
        "a bowl of labels that are not 0 and 1": lambda: data.convexity.data(X, [0, 1, 2]),
        "a bowl of a column that is not there": lambda: data.convexity.data(X, [0, 1, 1], column=7),
        "a bowl without a loss": lambda: data.convexity.data(X, [0, 1, 1], losses=()),
    }


def cases() -> dict[str, Callable[[], object]]:
    """Wrong calls of pictures."""
    data = bl.plot
    two = chain(Dense(3, "relu", name="L1"), Dense(2, "softmax", name="L2"))
    price = priced()
    signal = bl.Sequential([bl.Input((8, 1)), Conv1D(2, 3), Flatten(), Dense(1)])
    ids = bl.Sequential([bl.Input((8, 1), dtype="int64"), bl.layers.Lambda(lambda x: x * 1.0)])
    return curves() | costs() | {
        "a picture of no model": lambda: data.regions.data(X, X),
        "a picture of a model without weights": lambda: data.regions.data(bl.Sequential([Dense(2)]), X),
        "a map of a model of three inputs, one column": lambda: data.regions.data(two, X, columns=(0,)),
        "a map of a model of one input": lambda: data.regions.data(chain(Dense(1, "sigmoid"), columns=1), X[:, :1]),
        "regions of a regression": lambda: data.regions.data(price, X),
        "regions of labels side by side": lambda: data.regions.data(chain(Dense(2, "sigmoid")), X),
        "regions of two outputs": lambda: data.regions.data(two_outputs(), X),
        "regions of data with NaN": lambda: data.regions.data(two, X * np.nan),
        "regions of classes that the model does not have": lambda: data.regions.data(two, X, [0, 1, 5]),
        "regions of another number of labels": lambda: data.regions.data(two, X, [0, 1]),
        "units of a layer that is not there": lambda: data.units.data(two, X, layer="L3"),
        "units over the layer before the first": lambda: data.units.data(two, X, layer="L1", space="previous"),
        "units of a layer of windows": lambda: data.units.data(signal, np.zeros((2, 8, 1)), layer="conv1d"),
        "units over a layer that is skipped": lambda: data.units.data(_skipping(), X, layer="end", space="previous"),
        "a curve of images": lambda: data.curve.data(signal, np.zeros((2, 8, 1))),
        "a curve along a column that is not there": lambda: data.curve.data(price, X, column="size"),
        "a curve with another number of targets": lambda: data.curve.data(price, X, [1.0]),
        "a curve with a target that is NaN": lambda: data.curve.data(price, X, [1.0, np.nan, 2.0]),
        "names that are too few for the inputs": lambda: data.network.data(two, inputs=["size"]),
        "names for a layer that is not there": lambda: data.network.data(two, units={"hidden": ["a"]}),
        "blocks of a model that is not compiled": lambda: data.blocks.data(two),
        "stacking of a convolution": lambda: data.stacking.data(signal, np.zeros((2, 8, 1)), layer="conv1d"),
        "broadcasting of shapes that do not go together": lambda: data.broadcast.data(np.ones(3), np.ones(4)),
        "broadcasting of three axes": lambda: data.broadcast.data(np.ones((2, 2, 2)), 1.0),
        "an image of one axis": lambda: data.unrolled.data([1.0, 2.0]),
        "windows of a table": lambda: data.receptive.data(two, X[0]),
        "windows of another size": lambda: data.receptive.data(signal, [1.0, 2.0]),
        "windows of ids": lambda: data.receptive.data(ids, np.zeros((8, 1), int)),
        "images of rows that make no square": lambda: data.images.data(np.zeros((3, 30))),
        "images of another shape": lambda: data.images.data(np.zeros((3, 30)), shape=(4, 4)),
        "images with another number of labels": lambda: data.images.data(np.zeros((3, 5, 5)), [1]),
        "weights of a layer that has none": lambda: data.weights.data(signal, layer="flatten"),
        "a unit that is not there": lambda: data.top.data(two, X, unit=9),
        "a history of a model that was not trained": lambda: data.history.data(price),
        "a history of no training": lambda: data.history.data([1.0, 0.5]),
        "a history without an epoch": lambda: data.history.data(bl.callbacks.History()),
        "runs of nothing": lambda: data.runs.data({}),
        "runs by a metric that was not measured": lambda: data.runs.data({"a": _trained()}, metric="accuracy"),
        "more examples than there are": lambda: data.learning_curve.data([2], X, [0, 1, 1], sizes=[500]),
        "a baseline that does not learn": lambda: data.learning_curve.data([2], X, [0, 1, 1], sizes=[2], baseline="svm"),
        "a misspelt picture": lambda: data.region,
    }  # fmt: skip


def _skipping() -> bl.Model:
    x = bl.Input((2,))
    hidden = Dense(2, "relu", name="hidden")(x)
    return bl.Model(x, Dense(1, name="end")(bl.ops.concatenate([hidden, x], axis=1)))


def _trained() -> object:
    model = chain(Dense(1), loss="mse")
    return model.fit(X, [1.0, 2.0, 3.0], verbose=0, doctor="off")
