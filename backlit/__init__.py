"""backlit: a neural-network library that shows its work."""

from __future__ import annotations

import importlib
from typing import Any

from .core.errors import BacklitError, missing
from .core.grad import grad, name
from .core.gradcheck import check_grad
from .core.node import Leaf, Node, constant, variable
from .core.node import input_leaf as input
from .core.op import composite, elementwise, structural
from .core.shapes import M
from .core.walk import Graph
from .engines.function import compile
from .layers.layer import floatx, set_floatx
from .layers.network import Input
from .train.model import Model
from .train.sequential import Sequential
from .versions import show_versions

_ROOMS = (
    "activations", "callbacks", "constraints", "initializers", "layers", "losses", "metrics", "nn", "ops", "optimizers",
    "random", "regularizers",
)  # fmt: skip

__all__ = [
    "BacklitError", "Graph", "Input", "Leaf", "M", "Model", "Node", "Sequential", "check_grad", "clone_model",
    "compile", "composite", "constant",
    "elementwise", "floatx", "grad", "input", "load_model", "name", "set_floatx", "show_versions", "structural",
    "variable",
]  # fmt: skip


def load_model(path: Any) -> Any:
    """The model that `model.save(path)` wrote. Raises FileMissingError, or FileError where the file cannot be
    trusted."""
    return importlib.import_module(".train.saving", __name__).load_model(path)


def clone_model(model: Any) -> Any:
    """A new model of the same structure, uncompiled, with new layers and freshly drawn weights."""
    return importlib.import_module(".train.structure", __name__).clone_model(model)


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name == "__version__":
        return importlib.import_module(".versions", __name__).version()
    raise missing(__name__, name, __dir__())


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS, "__version__"})
