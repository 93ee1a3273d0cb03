"""Layers: one class each, its constructor arguments are its configuration."""

from ..core.errors import names_of
from .activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .conv import Conv1D
from .dense import Dense
from .dropout import Dropout, GaussianDropout, GaussianNoise
from .embedding import Embedding
from .lambda_ import Lambda
from .layer import Layer
from .merge import (
    Add,
    Average,
    Concatenate,
    Dot,
    Maximum,
    Minimum,
    Multiply,
    Subtract,
    add,
    average,
    concatenate,
    dot,
    maximum,
    minimum,
    multiply,
    subtract,
)
from .network import Input
from .norm import BatchNormalization, LayerNormalization
from .preprocessing import CategoryEncoding, Normalization, Rescaling
from .reshape import Flatten, Permute, RepeatVector, Reshape

__all__ = [
    "ELU",
    "Activation",
    "Add",
    "Average",
    "BatchNormalization",
    "CategoryEncoding",
    "Concatenate",
    "Conv1D",
    "Dense",
    "Dot",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "Input",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "Maximum",
    "Minimum",
    "Multiply",
    "Normalization",
    "PReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Softmax",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

__getattr__ = names_of(__name__)
