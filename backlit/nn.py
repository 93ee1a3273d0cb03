"""Activations on arrays and nodes: `backlit.nn.softmax(logits)`."""

from .ops.nn import *  # noqa: F403 - an activation is in this room as soon as its record stands in ops/nn.py
