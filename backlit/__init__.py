"""backlit: a neural-network library that shows its work."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from .core.arguments import PathLike, checked
from .core.errors import BacklitError, missing
from .core.grad import grad, name
from .core.node import Leaf, Node, constant, variable
from .core.node import input_leaf as input
from .core.op import composite, elementwise, structural
from .core.shapes import M
from .core.walk import Graph
from .layers.layer import floatx, set_floatx
from .layers.network import Input
from .train.model import Model
from .train.sequential import Sequential

_LATER = {  # names that are loaded when first asked for
    "check_grad": ".core.gradcheck", "compile": ".engines.function", "show_versions": ".versions", "trace": ".view.trace",
}  # fmt: skip
_ROOMS = (
    "activations", "callbacks", "constraints", "initializers", "labs", "layers", "losses", "metrics", "nn", "ops",
    "optimizers", "plot", "random", "regularizers", "sklearn", "utils",
)  # fmt: skip

__all__ = [
    "BacklitError", "Graph", "Input", "Leaf", "M", "Model", "Node", "Sequential", "check_grad", "clone_model",
    "compile", "composite", "constant",
    "elementwise", "floatx", "grad", "input", "load_model", "name", "set_floatx", "show_versions", "structural",
    "trace", "variable",
]  # fmt: skip


@checked
def load_model(
    path: PathLike, custom_objects: Mapping[str, Any] | None = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model that `model.save(path)` wrote, compiled as it was, its optimizer where it stopped; or Keras's, of a
    `.keras` file.

    `custom_objects`: {name: class or function} for code of your own that is not found by its import alone. Where some
    is missing, a FileWarning names it, and the model is read from the graph in its file: it predicts the same numbers,
    but `fit` is refused. `compile=False`: leave loss and optimizer out. No code in a file is ever run, so Keras's
    `safe_mode` changes nothing. Raises FileMissingError, and FileError for a file that is damaged, foreign or of a
    newer format.

    >>> import backlit as bl, tempfile, os
    >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(os.path.join(folder, "m.backlit"))
    ...     again = bl.load_model(os.path.join(folder, "m.backlit"))
    >>> again.count_params()
    8
    """
    return importlib.import_module(".train.saving", __name__).load_model(path, custom_objects, compile)


@checked
def clone_model(model: Model) -> Any:
    """A new model of the same structure, uncompiled, with new layers and freshly drawn weights."""
    return importlib.import_module(".train.structure", __name__).clone_model(model)


def __getattr__(name: str) -> Any:
    if name in _LATER:
        return getattr(importlib.import_module(_LATER[name], __name__), name)
    if name in _ROOMS:
        return importlib.import_module(f".{name}", __name__)
    if name == "__version__":
        return importlib.import_module(".versions", __name__).version()
    raise missing(__name__, name, __dir__())


def __dir__() -> list[str]:
    return sorted({*__all__, *_ROOMS, "__version__"})
