"""Layers: one class each, its constructor arguments are its configuration."""

from .activation import Activation, ReLU, Softmax
from .dense import Dense
from .dropout import Dropout
from .layer import Layer
from .network import Input
from .norm import BatchNormalization
from .preprocessing import Normalization, Rescaling
from .reshape import Flatten

__all__ = [
    "Activation",
    "BatchNormalization",
    "Dense",
    "Dropout",
    "Flatten",
    "Input",
    "Layer",
    "Normalization",
    "ReLU",
    "Rescaling",
    "Softmax",
]
