"""Metrics: `from backlit.metrics import BinaryAccuracy`; those of one number an example are functions, too."""

from .train.metrics import *  # noqa: F403 - a metric is in this room as soon as its class stands in train/metrics_*.py
from .train.metrics import __dir__, __getattr__  # noqa: F401
