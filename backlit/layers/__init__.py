"""Layers: one class each, its constructor arguments are its configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..core.errors import missing
from .dense import Dense as Dense
from .layer import Layer as Layer
from .network import Input as Input

if TYPE_CHECKING:
    from .catalogue import *  # noqa: F403


def __getattr__(name: str) -> Any:
    """All the others, and `__all__`, when the first one is asked for."""
    if name.startswith("_") and name != "__all__":
        raise AttributeError(name)
    from .catalogue import PUBLIC

    globals().update(PUBLIC, __all__=list(PUBLIC))
    if name in globals():
        return globals()[name]
    raise missing(__name__, name, PUBLIC)


def __dir__() -> list[str]:
    from .catalogue import PUBLIC

    return list(PUBLIC)
