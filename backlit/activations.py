"""Activations by Keras's names: `backlit.activations.relu(x)`."""

from .core.errors import names_of
from .nn import *  # noqa: F403 - the activations are the records of ops/nn.py

__getattr__, __dir__ = names_of(__name__)
