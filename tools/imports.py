"""Check who imports whom: `python tools/imports.py`, part of `make check`.

The house has one direction. A room imports only the rooms that ROOMS lists for it, no modules import one another in a
circle, a package other than NumPy is imported only where a table says so, and no import hides in a function. What
stands under `if TYPE_CHECKING:` does not count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Table = Mapping[str, set[str]]

PACKAGE = "backlit"

# Each room and the rooms it may import besides itself. A top-level module that is not named here is a public room: it
# re-exports, may import everything, and only public rooms, studio and cli import it.
ROOMS: Table = {
    "core": set(),
    "ops": {"core"},
    "rewrite": {"core", "ops"},
    "engines": {"core", "ops", "rewrite"},
    "layers": {"core", "ops"},
    "io": {"core"},
    "train": {"core", "ops", "rewrite", "engines", "layers", "io"},
    "doctor": {"core", "rewrite", "layers", "train"},
    "view": {"core", "ops", "rewrite", "layers", "train"},  # equations are made by ops and rules from layers' graphs
    "pictures": {"core", "ops", "rewrite", "layers", "train", "view"},
    "labs": {"", "core", "pictures"},  # they use the public library, as a reader would
    "studio": {"", "core", "ops", "rewrite", "engines", "layers", "io", "train", "doctor", "view", "pictures", "labs"},
    "cli": {
        "",
        "core",
        "ops",
        "rewrite",
        "engines",
        "layers",
        "io",
        "train",
        "doctor",
        "view",
        "pictures",
        "labs",
        "studio",
    },
}

# Packages other than NumPy and the standard library that a module may import at its top.
ALLOWED_TOP: Table = {
    "cli.answer": {"click"},
    "cli.bar": {"click", "rich"},
    "cli.check": {"click", "rich"},
    "cli.explain": {"click"},
    "cli.fit": {"click"},
    "cli.lab": {"click"},
    "cli.main": {"click"},
    "cli.show": {"rich"},
    "train.estimator": {"sklearn"},  # loaded when `backlit.sklearn` is asked for
}

# What a module may import inside a function, so that `import backlit` stays quick. Public rooms may load our own
# modules in this way without a row here.
ALLOWED_LAZY: Table = {
    "cli.check": {"cli.script"},
    "core.errors": {"difflib"},
    "core.seed": {"random"},
    "engines.objects": {"llvmlite"},
    "engines.scalars": {"scipy"},
    "engines.threads": {"threadpoolctl"},
    "engines.xla": {"jax"},
    "io.bundled": {"sklearn"},
    "io.cells": {"narwhals"},
    "io.delimited": {"pandas"},
    "io.file": {"safetensors"},
    "io.images": {"PIL"},
    "io.keras_file": {"h5py"},
    "io.tables": {"pyarrow"},
    "layers": {"layers.catalogue"},
    "layers.initializers": {"scipy"},
    "labs.deep": {"sklearn"},  # where the digits and the points of the course's lab come from
    "labs.digits": {"sklearn"},
    "labs.multiclass": {"sklearn"},
    "labs.window": {"matplotlib"},
    "pictures.canvas": {"matplotlib"},
    "train.progress": {"IPython", "html"},
    "train.scores": {"sklearn"},
    "view.symbolic": {"sympy"},
}

# Modules, besides the public rooms, that may import by a name they compute.
ALLOWED_BY_NAME = {"core.registry", "labs"}


@dataclass(frozen=True)
class Import:
    """One imported name: `module` imports `target`, in a function if `lazy`; a target of "" is computed at run time."""

    where: str
    module: str
    target: str
    lazy: bool


@dataclass
class House:
    """All modules of a package by dotted name, and everything they import."""

    package: str
    modules: dict[str, Path]
    imports: list[Import] = field(default_factory=list)

    def ours(self, target: str) -> bool:
        return target == self.package or target.startswith(self.package + ".")

    def short(self, name: str) -> str:
        """`core.node` for `backlit.core.node`; the first part of a name that is not ours."""
        return name.removeprefix(self.package + ".") if self.ours(name) else name.partition(".")[0]

    def room(self, name: str, rooms: Table) -> str:
        """The room a module of ours stands in; "" for the public rooms."""
        first, _, rest = self.short(name).partition(".")
        path = self.modules.get(f"{self.package}.{first}")
        return first if rest or first in rooms or (path and path.name == "__init__.py") else ""


class _Reader(ast.NodeVisitor):
    """Collects the imports of one module."""

    def __init__(self, house: House, module: str, shown: str):
        self.house, self.module, self.shown, self.depth = house, module, shown, 0

    def add(self, node: ast.stmt | ast.expr, target: str) -> None:
        found = Import(f"{self.shown}:{node.lineno}", self.module, target, self.depth > 0)
        if found not in self.house.imports:
            self.house.imports.append(found)

    def base(self, level: int, name: str) -> str:
        """The absolute name of a relative import."""
        if level == 0:
            return name
        is_package = self.house.modules[self.module].name == "__init__.py"
        parts = self.module.split(".")
        kept = parts[: len(parts) - level + is_package]
        return ".".join([*kept, name] if name else kept)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self.add(node, alias.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = self.base(node.level, node.module or "")
        for alias in node.names:
            inner = f"{base}.{alias.name}"
            self.add(node, inner if inner in self.house.modules else base)

    def visit_Call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in {"import_module", "__import__"} and node.args:
            text = getattr(node.args[0], "value", None)
            if isinstance(text, str):
                dots = len(text) - len(text.lstrip("."))
                self.add(node, self.base(dots, text[dots:]))
            else:
                self.add(node, "")
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        name = node.test.attr if isinstance(node.test, ast.Attribute) else getattr(node.test, "id", "")
        for child in node.orelse if name == "TYPE_CHECKING" else ast.iter_child_nodes(node):
            self.visit(child)

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_Lambda = visit_FunctionDef


def read(root: Path, package: str = PACKAGE) -> House:
    """The package below `root`, with every import in it."""
    house = House(package, {})
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        house.modules[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    for module, path in house.modules.items():
        shown = path.relative_to(root).as_posix()
        _Reader(house, module, shown).visit(ast.parse(path.read_text(encoding="utf-8"), shown))
    return house


def direction(house: House, rooms: Table) -> Iterator[str]:
    """Imports of ours that go upward, sideways, or from a room that nobody has placed."""
    for found in house.imports:
        source = house.room(found.module, rooms)
        if not house.ours(found.target) or not source:
            continue
        target = house.room(found.target, rooms)
        if source not in rooms:
            yield f"{found.where}: {source} is in no row of ROOMS, so its direction is open; give it a row"
        elif target != source and target not in rooms[source]:
            low = ", ".join(sorted(rooms[source] - {""})) or "no other room"
            fix = "ask core.registry for it by name, or move it down" if target else "import the module that defines it"
            yield f"{found.where}: {source} imports {house.short(found.target)}, but may import {low}; {fix}"


def hidden(house: House, rooms: Table, lazy: Table) -> Iterator[str]:
    """Imports inside functions, and imports by a computed name, that no table allows."""
    for found in house.imports:
        module, target = house.short(found.module), house.short(found.target)
        public = not house.room(found.module, rooms)
        if not found.target:
            if not public and module not in ALLOWED_BY_NAME:
                yield f"{found.where}: {module} imports by a computed name, out of any check's sight; use core.registry"
        elif found.lazy and target not in lazy.get(module, set()) and not (public and house.ours(found.target)):
            fix = "import it at the top, or list it in ALLOWED_LAZY"
            yield f"{found.where}: {target} is imported inside a function, where nobody sees it; {fix}"


def packages(house: House, top: Table) -> Iterator[str]:
    """Packages imported at the top of a module that may not do so."""
    free = set(sys.stdlib_module_names) | {"numpy"}
    for found in house.imports:
        module, target = house.short(found.module), house.short(found.target)
        if found.lazy or not found.target or house.ours(found.target) or target in free | top.get(module, set()):
            continue
        yield (
            f"{found.where}: {module} imports the package {target}, which slows `import {house.package}`; import it in "
            "the function that needs it, with a row in ALLOWED_LAZY (or in ALLOWED_TOP)"
        )


def cycle(house: House) -> Iterator[str]:
    """One circle of imports at the top of modules, if there is any."""
    edges = {
        (found.module, found.target): found.where
        for found in house.imports
        if not found.lazy and found.target in house.modules and found.target != found.module
    }
    order: TopologicalSorter[str] = TopologicalSorter()
    for module, target in edges:
        order.add(module, target)
    try:
        order.prepare()
    except CycleError as error:
        ring = error.args[1][::-1]
        names = " -> ".join(map(house.short, ring))
        yield f"{edges[ring[0], ring[1]]}: import cycle {names}; move what they share into a lower module"


def stale(house: House, top: Table, lazy: Table) -> Iterator[str]:
    """Rows of the tables that allow what nobody does."""
    used = {(house.short(found.module), house.short(found.target), found.lazy) for found in house.imports}
    for name, table, is_lazy in (("ALLOWED_TOP", top, False), ("ALLOWED_LAZY", lazy, True)):
        for module, targets in table.items():
            for target in sorted(targets):
                if (module, target, is_lazy) not in used:
                    yield f"tools/imports.py:1: {name} lists {target} for {module}, which does not do so; remove it"


def check(house: House, rooms: Table = ROOMS, top: Table = ALLOWED_TOP, lazy: Table = ALLOWED_LAZY) -> list[str]:
    """Every complaint as one line: where, what, fix."""
    return [
        *direction(house, rooms),
        *hidden(house, rooms, lazy),
        *packages(house, top),
        *cycle(house),
        *stale(house, top, lazy),
    ]


def main() -> int:
    house = read(Path(__file__).resolve().parent.parent)
    problems = check(house)
    counts = f"imports: {len(house.modules)} modules, {len(house.imports)} imports, {len(problems)} problems"
    print(*problems, counts, sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
