"""Constraints: `from backlit.constraints import MaxNorm`."""

from .core.errors import names_of
from .layers.constraints import *  # noqa: F403 - a constraint is in this room as soon as its class stands there

__getattr__, __dir__ = names_of(__name__)
