"""Keras on JAX in 64 bits, chosen before anything imports it. Where Keras is missing these tests fail, they do not skip."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
