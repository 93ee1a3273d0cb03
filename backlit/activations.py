"""Activations by Keras's names: `backlit.activations.relu(x)`."""

from .nn import *  # noqa: F403 - the activations are the records of ops/nn.py
