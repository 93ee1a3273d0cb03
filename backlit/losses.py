"""Losses: `from backlit.losses import SparseCategoricalCrossentropy`."""

from .train.losses import *  # noqa: F403 - a loss is in this room as soon as its class stands in train/losses.py
