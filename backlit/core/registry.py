"""One table of names, so that lower rooms can ask for what higher rooms define.

Operators ask for the record "add", `Node.value` for "engine.reference", `Model.save` for "io.save". A name that is
not yet
in the table is looked for in the module that is known to define it.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from .errors import UnknownNameError, did_you_mean

_PACKAGE = __name__.partition(".")[0] + "."
_table: dict[str, Any] = {}
_homes: dict[str, str] = {}
_families: dict[str, str] = {}  # those of records, as long as not all of them have been loaded
_sorted: dict[str, list[str]] = {}  # the answers of `names`
_lent = threading.local()


def register(name: str, thing: Any) -> None:
    """Put `thing` into the table under `name`; a second, different thing of that name is refused."""
    _sorted.clear()
    if _table.setdefault(name, thing) is not thing:
        raise UnknownNameError(
            f"the name {name!r} is taken.", found=f"{_table[name]!r}", fix="choose another name for the new record"
        )


def home(prefix: str, module: str) -> None:
    """Say which module defines the names that begin with `prefix`, so that it is imported when first asked for."""
    _homes[prefix] = module


def family(prefix: str, module: str) -> None:
    """Say which module loads all our records whose names begin with `prefix`, when one is asked for that is not there, or
    somebody asks for all, or adds one of his own."""
    _families[prefix] = module


def _load(name: str) -> None:
    for prefix in [each for each in _families if name.startswith(each) or each.startswith(name)]:
        importlib.import_module(_families[prefix])
        _families.pop(prefix, None)


def lookup(name: str) -> Any:
    """The thing of that name; UnknownNameError with the nearest name where there is none."""
    found = _table.get(name)
    if found is not None:
        return found
    for prefix, module in _homes.items():
        if name.startswith(prefix):
            importlib.import_module(module)
    if name in _table:
        return _table[name]
    raise UnknownNameError(f"nothing is named {name!r}.", fix=did_you_mean(name, _table) or "check the spelling")


def replace(name: str, thing: Any) -> None:
    """Put `thing` under `name` also where the name is taken: a notebook cell that defines a class may run twice."""
    if not str(getattr(thing, "__module__", "")).startswith(_PACKAGE):
        _load(name)  # ours first: what comes later counts
    _sorted.clear()
    _table[name] = thing


def find(name: str) -> Any:
    """The thing of that name, or None."""
    lent = getattr(_lent, "things", None)
    if lent and name in lent:
        return lent[name]
    if name not in _table and _families:
        _load(name)
    return _table.get(name)


@contextmanager
def lent(things: Mapping[str, Any]) -> Iterator[None]:
    """Inside, in this thread, `find` finds these things by these names, before those of the table."""
    before = getattr(_lent, "things", None)
    _lent.things = {**(before or {}), **things}
    try:
        yield
    finally:
        _lent.things = before


def names(prefix: str = "") -> list[str]:
    """All registered names that begin with `prefix`, sorted."""
    if _families:
        _load(prefix)
    if prefix not in _sorted:
        _sorted[prefix] = sorted(name for name in _table if name.startswith(prefix))
    return list(_sorted[prefix])


# Which module defines which names, for those that lower rooms ask for.
home("op.", "backlit.ops")
home("show.", "backlit.core.show")
home("walk.", "backlit.core.walk")
home("engine.compiled", "backlit.engines.compiled")
home("engine.planned", "backlit.engines.planned")
home("engine.reference", "backlit.engines.reference")
home("engine.xla", "backlit.engines.xla")
home("values.", "backlit.engines.reference")
home("threads.", "backlit.engines.threads")
home("io.", "backlit.train.saving")
home("metrics.", "backlit.train.metrics")
home("function.", "backlit.engines.function")
home("split.", "backlit.io.split")
home("show.summary", "backlit.train.summary")
home("model.collapse", "backlit.train.collapse")
home("doctor.", "backlit.doctor.report")
home("frames.", "backlit.train.frames")
home("labels.", "backlit.train.labels")
home("view.equations", "backlit.view.equations")
home("view.shapes", "backlit.view.shapes")
home("view.as_numpy", "backlit.view.as_numpy")
home("view.explain", "backlit.view.explain")
home("view.source", "backlit.view.source")
home("view.profile", "backlit.view.source")
home("view.network", "backlit.view.network")
home("picture.history", "backlit.pictures.training")
family("layer.", "backlit.layers.catalogue")
family("loss.", "backlit.train.losses")
family("metric.", "backlit.train.metrics")
