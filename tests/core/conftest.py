"""Records that a test makes live as long as the test."""

from __future__ import annotations

import pytest

from backlit.core import registry


@pytest.fixture
def own_records():
    """Forget the records made in this test when it ends, so that no battery of the suite meets them."""
    yield
    for name in registry.names("op.test_"):
        del registry._table[name]
