"""Every op as a record: `bl.ops.exp(x)` on arrays gives arrays, on nodes a node."""

from __future__ import annotations

from ..core import registry
from ..core.errors import MissingAttributeError, did_you_mean
from ..core.op import Op
from . import conv, elementwise, index, linalg, nn, random, reduce

_HIDDEN = {"literal", "variable", "constant", "input", "state", "array"}


def __getattr__(name: str) -> Op:
    if name in __dir__():
        return registry.lookup(f"op.{name}")  # type: ignore[no-any-return]
    raise MissingAttributeError(f"backlit.ops has no op {name!r}.", fix=did_you_mean(name, __dir__()))


def __dir__() -> list[str]:
    return [name[3:] for name in registry.names("op.") if name[3:] not in _HIDDEN]


__all__ = ["conv", "elementwise", "index", "linalg", "nn", "random", "reduce"]
