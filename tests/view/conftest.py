"""Settings of the tests of equations, shapes and words."""

import pytest

import backlit as bl


@pytest.fixture
def float64():
    """Models that compute in float64."""
    bl.set_floatx("float64")
    yield
    bl.set_floatx("float32")
