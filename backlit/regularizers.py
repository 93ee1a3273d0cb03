"""Regularizers: `from backlit.regularizers import L2`."""

from .layers.regularizers import *  # noqa: F403 - a regularizer is in this room as soon as its class stands there
