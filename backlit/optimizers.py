"""Optimizers: `from backlit.optimizers import Adam`, and schedules: `from backlit.optimizers.schedules import …`."""

import sys

from .core.errors import names_of
from .train import schedules as schedules
from .train.optimizers import *  # noqa: F403 - an optimizer is in this room as soon as its class stands in train/optimizers.py

sys.modules[f"{__name__}.schedules"] = schedules  # Keras's module of that name

__getattr__, __dir__ = names_of(__name__)
