"""The small model and data that the wrong programs use."""

from __future__ import annotations

import numpy as np

import backlit as bl
from backlit.layers import Dense

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
