"""Engines that are not there, and networks that no memory holds."""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np

import backlit as bl
from backlit.layers import Dense, Input


def without(package: str, engine: str) -> None:
    """An engine whose package is not installed. (It must not have run before: this room comes first.)"""
    sys.modules[package] = None  # type: ignore[assignment]
    try:
        model = bl.Sequential([Input((3,)), Dense(1)])
        model.compile("sgd", "mse", engine=engine)
        model.fit(np.zeros((4, 3)), np.zeros(4), verbose=0)
    finally:
        del sys.modules[package]


def cases() -> dict[str, Callable[[], object]]:
    """Engines that are not there, and networks that no memory holds."""
    return {
        "an engine that is not there": lambda: bl.Sequential([Dense(1)]).compile("sgd", "mse", engine="compield"),
        "compiled without llvmlite": lambda: without("llvmlite", "compiled"),
        "xla without jax": lambda: without("jax", "xla"),
        "a weight that no memory holds": lambda: bl.Sequential([Input((300_000,)), Dense(3_000_000)]),
    }
