"""The rules of UMLAUT as they are described, put into our words: the baseline of a doctor that goes by heuristics.

Thresholds are the published ones: inputs outside of -1 … 1, a learning rate above 0.01 or below 10⁻⁷, dropout above a
half, validation accuracy above 0.95, a validation loss that rose in an epoch, any layer without an activation, any last
layer that is no softmax. Where the original looks at a layer's name we look at its activation, which is kinder to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from backlit.layers import Activation, Conv1D, Conv2D, Dense, Dropout, Softmax

from .program import Run

_Found = Iterator[tuple[str, tuple[int, ...], str]]


def said(run: Run, model: Any) -> list[tuple[str, tuple[int, ...], str]]:
    """What these rules say of a program and its training: name, rows of the rule table, and when."""
    return [*_of_layers(run), *_of_numbers(run), *_of_rate(model), *_of_history(model)]


def _of_layers(run: Run) -> _Found:
    layers = run.layers if isinstance(run.layers, list) else list(run.layers.everything())
    weighted = [each for each in layers if isinstance(each, (Dense, Conv1D, Conv2D))]
    ends = [_ends(each) for each in layers]
    if any(_bare(layers, each) for each in weighted[:-1]):
        yield "missing_activation", (13,), "compile"
    last = next(
        (end for each, end in zip(reversed(layers), reversed(ends), strict=True) if end or each in weighted), None
    )
    if last != "softmax":
        yield "missing_softmax", (2, 3, 5), "compile"
    if last not in (None, "softmax"):
        yield "nonlinear_last_layer", (4, 6), "compile"
    if any(isinstance(each, Dropout) and each.rate > 0.5 for each in layers):
        yield "high_dropout", (52,), "compile"


def _ends(layer: Any) -> str | None:
    """The name of the activation that a layer ends with."""
    if isinstance(layer, Softmax):
        return "softmax"
    if isinstance(layer, Activation):
        return str(getattr(layer.function, "name", "own"))
    config = layer.get_config() if isinstance(layer, (Dense, Conv1D, Conv2D)) else {}
    name = config.get("activation")
    return None if name in (None, "linear") else str(name)


def _bare(layers: list[Any], layer: Any) -> bool:
    """Whether neither the layer nor the next one bends its output."""
    place = next(k for k, each in enumerate(layers) if each is layer)
    after = layers[place + 1] if place + 1 < len(layers) else None
    return _ends(layer) is None and not (after is not None and _ends(after) and not isinstance(after, Dense))


def _of_numbers(run: Run) -> _Found:
    parts = run.x.values() if isinstance(run.x, dict) else run.x if isinstance(run.x, (list, tuple)) else [run.x]
    given = [part.data if hasattr(part, "tocsr") else np.asarray(part, dtype=np.float64) for part in parts]
    if any(np.isnan(part).any() for part in given):
        yield "nan_in_inputs", (23,), "data"
    elif max(np.abs(part).max() for part in given) > 1:
        yield "inputs_beyond_one", (20,), "data"


def _of_rate(model: Any) -> _Found:
    rate = float(model.optimizer.learning_rates(0, 1)[0])
    if rate > 0.01:
        yield "high_learning_rate", (32,), "data"
    if rate < 1e-7:
        yield "low_learning_rate", (33,), "data"


def _of_history(model: Any) -> _Found:
    rows = [] if model.history is None else model.history.rows
    if any(not math.isfinite(row.get("loss", 0.0)) for row in rows) or getattr(model.history, "skipped_steps", 0):
        yield "nan_loss", (41,), "during"
    held = [row["val_loss"] for row in rows if "val_loss" in row]
    if any(later > earlier for earlier, later in pairwise(held)):
        yield "overfitting", (49,), "during"
    if any(value > 0.95 for row in rows for key, value in row.items() if key.startswith("val_") and "acc" in key):
        yield "high_validation_accuracy", (26,), "during"
