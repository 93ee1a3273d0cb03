"""Metrics: `from backlit.metrics import BinaryAccuracy`."""

from .train.metrics import *  # noqa: F403 - a metric is in this room as soon as its class stands in train/metrics.py
