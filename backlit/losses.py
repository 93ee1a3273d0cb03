"""Losses: `from backlit.losses import SparseCategoricalCrossentropy`; each is a function, too: `losses.mse(y, p)`."""

from .train.losses import *  # noqa: F403 - a loss is in this room as soon as its class stands in train/losses_*.py
from .train.losses import __dir__, __getattr__  # noqa: F401
