"""Constraints: `from backlit.constraints import MaxNorm`."""

from .layers.constraints import *  # noqa: F403 - a constraint is in this room as soon as its class stands there
