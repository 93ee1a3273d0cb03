"""What the doctor finds must not hang on how busy the machine is that runs the tests."""

import pytest

from backlit.doctor import watch


@pytest.fixture(autouse=True)
def time_enough(monkeypatch):
    """Looks may take a second, not 30 ms; tests of what they may take set their own limit."""
    monkeypatch.setattr(watch, "_FREE", 1.0)
