"""Small models and data that several files use."""

import numpy as np
import pytest

import backlit as bl


@pytest.fixture
def float64():
    """New layers and models in float64, for comparisons to 1e-12."""
    bl.set_floatx("float64")
    yield
    bl.set_floatx("float32")


@pytest.fixture
def seeded():
    """The same first weights and orders in every run."""
    bl.random.set_seed(1234)


@pytest.fixture
def rows():
    """60 rows of 3 columns, and a label 0, 1, 2 that a network can learn from them."""
    rng = np.random.default_rng(7)
    x = rng.normal(size=(60, 3))
    return x, np.argmax(x + 0.1 * rng.normal(size=x.shape), axis=1)
