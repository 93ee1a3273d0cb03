"""backlit: a neural-network library that shows its work."""

from __future__ import annotations

import importlib
from typing import Any

from .core.errors import BacklitError, MissingAttributeError, did_you_mean
from .core.grad import grad, name
from .core.gradcheck import check_grad
from .core.node import Leaf, Node, constant, variable
from .core.node import input_leaf as input
from .core.op import composite, elementwise, structural
from .core.shapes import M
from .core.walk import Graph
from .engines.function import compile

_ROOMS = ("ops", "nn", "random")

__all__ = [
    "BacklitError",
    "Graph",
    "Leaf",
    "M",
    "Node",
    "check_grad",
    "compile",
    "composite",
    "constant",
    "elementwise",
    "grad",
    "input",
    "name",
    "structural",
    "variable",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    raise MissingAttributeError(f"backlit has no {name!r}.", fix=did_you_mean(name, __dir__()))


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS})
