"""Every op as a record: `bl.ops.exp(x)` on arrays gives arrays, on nodes a node."""

from __future__ import annotations

from ..core import registry
from ..core.errors import missing
from ..core.op import Op
from . import elementwise, index, linalg, nn, random, reduce, window

_HIDDEN = {"literal", "variable", "constant", "input", "state", "array", "getitem"}
BUILT_IN = frozenset(name[3:] for name in registry.names("op."))  # the library's own, before anybody adds theirs


def __getattr__(name: str) -> Op:
    found = registry.find(f"op.{name}")
    if found is None or name in _HIDDEN:
        raise missing(__name__, name, __dir__())
    globals()[name] = found  # found at once the next time
    return found  # type: ignore[no-any-return]


def __dir__() -> list[str]:
    return [name[3:] for name in registry.names("op.") if name[3:] not in _HIDDEN]


__all__ = ["elementwise", "index", "linalg", "nn", "random", "reduce", "window"]
