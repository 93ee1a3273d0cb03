"""Optimizers: `from backlit.optimizers import Adam`."""

from .train.optimizers import *  # noqa: F403 - an optimizer is in this room as soon as its class stands in train/optimizers.py
