"""Callbacks: `from backlit.callbacks import EarlyStopping`."""

from .train.callbacks import *  # noqa: F403 - a callback is in this room as soon as its class stands in train/callbacks.py
