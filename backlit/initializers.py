"""Initializers: `from backlit.initializers import HeNormal`."""

from .layers.initializers import *  # noqa: F403 - an initializer is in this room as soon as its class stands there
