"""Callbacks: `from backlit.callbacks import EarlyStopping`."""

from .core.errors import names_of
from .train.callbacks import *  # noqa: F403 - a callback is in this room as soon as `__all__` of its module lists it
from .train.checkpoints import *  # noqa: F403
from .train.logs import *  # noqa: F403
from .train.progress import *  # noqa: F403

__getattr__, __dir__ = names_of(__name__)
