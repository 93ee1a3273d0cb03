"""Initializers: `from backlit.initializers import HeNormal`."""

from .core.errors import names_of
from .layers.initializers import *  # noqa: F403 - an initializer is in this room as soon as its class stands there

__getattr__, __dir__ = names_of(__name__)
