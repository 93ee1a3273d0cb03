"""The labs as notebooks, docs/labs/NAME.ipynb, made of the labs' own code: `make docs` runs it.

Each function becomes a cell, so that it can be changed and run again. No outputs are stored: they come when it is run.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

from backlit import labs

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "docs" / "labs"


def cells(name: str) -> list[tuple[str, str]]:
    """(kind, text) of every cell of a lab."""
    lab = labs.find(name)
    source = (ROOT / "backlit" / "labs" / f"{name}.py").read_text()
    tree, lines = ast.parse(source), source.split("\n")
    made = [("markdown", f"# {lab.title}\n\n{ast.get_docstring(tree)}\n\n{lab.about}")]
    imports: list[str] = []
    for node in tree.body[1:]:
        begin = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
        text = "\n".join(lines[begin - 1 : node.end_lineno])
        if isinstance(node, ast.Import | ast.ImportFrom):
            if "__future__" not in text:
                imports.append(text.replace("from .lab ", "from backlit.labs.lab ").replace("from ..", "from backlit."))
        else:
            made.append(("code", text))
    made.insert(1, ("code", "\n".join(imports)))
    made.append(("code", "outcome = LAB.run()\nprint(outcome)"))
    made.append(
        ("code", "from IPython.display import display\n\nfor figure in outcome.figures.values():\n    display(figure)")
    )
    return [*made, ("markdown", f"→ {lab.says}")]


def notebook(name: str) -> str:
    """The file's text (Jupyter's format 4.5)."""
    held: list[dict[str, Any]] = []
    for number, (kind, text) in enumerate(cells(name)):
        cell: dict[str, Any] = {"cell_type": kind, "id": f"{name}-{number}", "metadata": {}}
        if kind == "code":
            cell |= {"execution_count": None, "outputs": []}
        held.append(cell | {"source": text.splitlines(keepends=True)})
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    made = {"cells": held, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    PLACE.mkdir(exist_ok=True)
    for name in labs.NAMES:
        (PLACE / f"{name}.ipynb").write_text(notebook(name))


if __name__ == "__main__":
    main()
