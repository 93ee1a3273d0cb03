"""Activations on arrays and nodes: `backlit.nn.softmax(logits)`."""

from .core.errors import names_of
from .ops.nn import *  # noqa: F403 - an activation is in this room as soon as its record stands in ops/nn.py

__getattr__, __dir__ = names_of(__name__)
