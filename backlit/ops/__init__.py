"""Every op as a record: `bl.ops.exp(x)` on arrays gives arrays, on nodes a node."""

from __future__ import annotations

from ..core import registry
from ..core.errors import MissingAttributeError, did_you_mean
from ..core.op import Op
from . import conv, elementwise, index, linalg, nn, random, reduce

_HIDDEN = {"literal", "variable", "constant", "input", "state", "array"}


def __getattr__(name: str) -> Op:
    found = registry.find(f"op.{name}")
    if found is None or name in _HIDDEN:
        raise MissingAttributeError(f"backlit.ops has no op {name!r}.", fix=did_you_mean(name, __dir__()))
    globals()[name] = found  # found at once the next time
    return found  # type: ignore[no-any-return]


def __dir__() -> list[str]:
    return [name[3:] for name in registry.names("op.") if name[3:] not in _HIDDEN]


__all__ = ["conv", "elementwise", "index", "linalg", "nn", "random", "reduce"]
