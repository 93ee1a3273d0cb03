"""Regularizers: `from backlit.regularizers import L2`."""

from .core.errors import names_of
from .layers.regularizers import *  # noqa: F403 - a regularizer is in this room as soon as its class stands there

__getattr__, __dir__ = names_of(__name__)
