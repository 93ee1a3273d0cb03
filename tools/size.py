"""Measure the house against its budgets: `python tools/size.py`, part of `make check`.

Function and file lengths hold for all our Python; share of short functions, folder depth and arguments for the package.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

PACKAGE = "backlit"
FOLDERS = (PACKAGE, "tools", "bench", "tests")

FUNCTION_LINES = 60
SHORT_LINES = 30
SHORT_SHARE = 0.90
FILE_LINES = 600
ARGUMENTS = 7
DEPTH = 2

# Signatures that are Keras's, or for estimators scikit-learn's, and not our own, by class and method: their length is
# not ours to choose.
KERAS = {
    "AUC.__init__",
    "BatchNormalization.__init__",
    "BinaryFocalCrossentropy.__init__",
    "CategoricalFocalCrossentropy.__init__",
    "Dense.__init__",
    "EarlyStopping.__init__",
    "Embedding.__init__",
    "LayerNormalization.__init__",
    "LocallyConnected1D.__init__",
    "Model.compile",
    "Model.evaluate",
    "Model.fit",
    "ModelCheckpoint.__init__",
    "ReduceLROnPlateau.__init__",
    "Regressor.__init__",
    "TensorBoard.__init__",
}

# What of our own is over a budget, as `file` or `file:name`, with the reason. This table may only shrink: a row that is
# no longer needed is an error.
EXCEPTIONS: dict[str, str] = {}


@dataclass(frozen=True)
class Function:
    """One function or method as it stands in its file."""

    file: str
    name: str
    line: int
    lines: int
    arguments: int
    public: bool


@dataclass(frozen=True)
class House:
    """The lines of every file and all functions in them."""

    files: dict[str, int]
    functions: list[Function]

    def package(self) -> House:
        """Only what is shipped."""
        inside = {file: lines for file, lines in self.files.items() if file.startswith(PACKAGE + "/")}
        return House(inside, [function for function in self.functions if function.file in inside])


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """How many arguments a caller can name, `*args` and `**kwargs` being one each."""
    spec = node.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
    return sum(argument.arg not in {"self", "cls"} for argument in every)


def _functions(file: str, tree: ast.AST, outer: str = "", public: bool = True) -> Iterator[Function]:
    for node in ast.iter_child_nodes(tree):
        name, seen, sees = outer, public, public
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{outer}.{node.name}" if outer else node.name
            seen = sees = public and (not node.name.startswith("_") or node.name == "__init__")
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(file, name, node.lineno, lines, _arguments(node), seen)
            sees = False
        yield from _functions(file, node, name, sees)


def read(root: Path) -> House:
    """Measure every Python file below the folders of the house."""
    house = House({}, [])
    for path in sorted(path for folder in FOLDERS for path in (root / folder).rglob("*.py")):
        file, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        house.files[file] = len(text.splitlines())
        open_door = not path.stem.startswith("_") or path.stem == "__init__"
        house.functions.extend(_functions(file, ast.parse(text, file), public=open_door))
    return house


def over(house: House, keras: set[str] = KERAS) -> Iterator[tuple[str, str]]:
    """What is over a budget: the key for EXCEPTIONS, and one line with place, what and fix."""
    for file, lines in house.files.items():
        if lines > FILE_LINES:
            yield file, f"{file}:{FILE_LINES}: the file has {lines} lines, at most {FILE_LINES}; split it by subject"
        folder = file.rpartition("/")[0]
        if file.startswith(PACKAGE + "/") and folder.count("/") >= DEPTH:
            yield file, f"{file}:1: the folder lies {folder.count('/') + 1} deep, at most {DEPTH}; move the file up"
    for one in house.functions:
        key, where = f"{one.file}:{one.name}", f"{one.file}:{one.line}: {one.name}"
        if one.lines > FUNCTION_LINES:
            yield key, f"{where} has {one.lines} lines, at most {FUNCTION_LINES}; take a step out of it"
        ours = one.public and one.file.startswith(PACKAGE + "/") and one.name not in keras
        if ours and one.arguments > ARGUMENTS:
            yield key, f"{where} has {one.arguments} arguments, at most {ARGUMENTS}; group them, or list it in KERAS"


def share(house: House) -> float:
    """The part of the functions that is short."""
    return 1 - sum(one.lines > SHORT_LINES for one in house.functions) / max(1, len(house.functions))


def check(house: House, exceptions: Mapping[str, str] = EXCEPTIONS, keras: set[str] = KERAS) -> list[str]:
    """Every complaint as one line, stale rows of the tables among them."""
    found = list(over(house, keras))
    problems = [text for key, text in found if key not in exceptions]
    for key in sorted(set(exceptions) - {key for key, _ in found}):
        problems.append(f"tools/size.py:1: EXCEPTIONS lists {key}, which keeps its budget; remove the row")
    shipped = house.package()
    long = {one.name for one in shipped.functions if one.public and one.arguments > ARGUMENTS}
    for name in sorted(keras - long):
        problems.append(f"tools/size.py:1: KERAS lists {name}, which has at most {ARGUMENTS} arguments; remove it")
    if share(shipped) < SHORT_SHARE:
        rows = sorted(shipped.functions, key=lambda one: -one.lines)[:3]
        longest = ", ".join(f"{one.file}:{one.line} {one.name} ({one.lines})" for one in rows)
        what = f"{share(shipped):.1%} of the functions have at most {SHORT_LINES} lines"
        problems.append(f"{PACKAGE}:1: {what}, at least {SHORT_SHARE:.0%}; shorten the longest: {longest}")
    return problems


def summary(house: House) -> str:
    """The measured figures of the package in one line."""
    lines = sorted(one.lines for one in house.functions) or [0]
    longest = ", ".join(f"{one.file}:{one.name}" for one in house.functions if one.lines == lines[-1])
    return (
        f"size: {len(house.files)} files, {sum(house.files.values())} lines, "
        f"largest {max(house.files.values(), default=0)}; {len(house.functions)} functions, median {median(lines):g}, "
        f"p90 {lines[len(lines) * 9 // 10]}, {share(house):.1%} at most {SHORT_LINES}, "
        f"longest {lines[-1]} ({longest})"
    )


def main() -> int:
    house = read(Path(__file__).resolve().parent.parent)
    problems = check(house)
    print(*problems, summary(house.package()), sep="\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
