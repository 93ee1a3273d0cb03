"""Arguments of the wrong kind, out of range or misspelt, and arrays that an op has no meaning for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import backlit as bl
from tools.wrong.small import LABELS, X, built, digits

layers: Any = bl.layers  # what a type checker would say is not what is asked here


class Unfinished(bl.layers.Layer):
    """A layer without `call`."""


def cases() -> dict[str, Callable[[], object]]:
    """Wrong arguments."""
    model: Any = digits()
    x = bl.input((bl.M, 3), "x")
    largest = bl.compile(bl.ops.max(x, axis=0), inputs=[x])
    return {
        "text for a number": lambda: layers.Dense("a"),
        "a fraction for a whole number": lambda: layers.Dense(64 / 2),
        "a number out of its range": lambda: layers.Dropout(1.5),
        "NaN for a number": lambda: bl.callbacks.EarlyStopping(min_delta=float("nan")),
        "a word that is not one of a few": lambda: bl.losses.Huber(reduction="sums"),
        "a wrong number in a list": lambda: bl.metrics.Precision(thresholds=[0.5, 2]),
        "no path": lambda: model.save(None),
        "a misspelt initializer": lambda: layers.Dense(3, kernel_initializer="he_norml"),
        "a misspelt argument of a method": lambda: model.fit(X, LABELS, epoch=3),
        "an argument too many": lambda: layers.Flatten("channels_last", "flat"),
        "an argument that is missing": lambda: layers.Dense(),
        "an argument given twice": lambda: layers.Dense(3, units=3),
        "a function of another number of arguments": lambda: layers.Dense(3, activation=lambda: 0),
        "a configuration that is none": lambda: bl.optimizers.Optimizer.get({"name": "adam"}),
        "weights that are not finite": lambda: built().set_weights([w * np.nan for w in built().get_weights()]),
        "a layer without call": lambda: Unfinished()(X),
        "several inputs for a layer that takes one": lambda: layers.Dense(2)([X, X]),
        "a layer called on nothing": lambda: layers.Dense(2)(),
        "a loss that is one of three": lambda: model.compile(loss="crossentropy"),
        "a metric that is no number an example": lambda: bl.metrics.auc([0, 1], [0.2, 0.7]),
        "a bar without a stream": lambda: bl.callbacks.ProgressBar(stream="log.txt"),
        "negating bools": lambda: bl.ops.negative([True, False]),
        "places that are no whole numbers": lambda: bl.ops.gather([1.0, 2.0], [0.5]),
        "places out of range": lambda: bl.ops.scatter_add([1.0], [7], axis=0, length=4),
        "the largest of no numbers": lambda: bl.ops.max(np.zeros((0, 2))),
        "the largest of no examples": lambda: largest(np.zeros((0, 3))),
        "whole numbers to a negative power": lambda: bl.ops.power(np.array([2]), np.array([-1])),
        "a slice outside of its value": lambda: bl.ops.slice([1.0, 2.0], start=(0,), stop=(5,)),
        "text for a number of an op": lambda: bl.ops.clip([1.0], low="a"),
        "one value where an op takes a list": lambda: bl.ops.concatenate(3.0),
        "an array as one number": lambda: float(bl.variable([1.0, 2.0])),
        "a formula that cannot be read": lambda: bl.elementwise("bent", "x +"),
        "a misspelt field of a record": lambda: bl.composite("bent", define=abs, vpj=abs),
        "a shape rule without an arrow": lambda: bl.structural("bent", ref=np.sort, shape="n"),
    }
