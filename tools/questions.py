"""Write docs/questions.md: each question that learners ask with the calls that answer it, what they print, and the picture.

`make docs` runs it. Every program runs in a fresh namespace behind SETUP.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
from pathlib import Path
from typing import Any

from tools.asked import QUESTIONS, SETUP, Question

ROOT = Path(__file__).resolve().parent.parent
PAGE, PICTURES = ROOT / "docs" / "questions.md", ROOT / "docs" / "questions"
HEAD = """\
# The questions that people ask

Each with the calls whose output answers it. This page is written by `make docs`, which runs every program on it; they all
begin with

```python
"""


def answered(question: Question) -> tuple[str, Any]:
    """What the program prints, and the value of its last line if that is an expression."""
    space: dict[str, Any] = {}
    exec(compile(SETUP, "setup", "exec"), space)
    tree = ast.parse(question.program)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) and not _prints(tree.body[-1]) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, question.name, "exec"), space)
        value = None if last is None else eval(compile(ast.Expression(last.value), question.name, "eval"), space)  # type: ignore[attr-defined]
    return "\n".join(line.rstrip() for line in printed.getvalue().rstrip().split("\n")), value


def _prints(line: ast.stmt) -> bool:
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Call)
        and getattr(line.value.func, "id", "") == "print"
    )


def section(question: Question, text: str, picture: bool) -> str:
    """The question as it stands on the page."""
    parts = [f"## {question.name}  {question.asked}", question.answer, f"```python\n{question.program}\n```"]
    if text:
        parts.append(f"```text\n{text}\n```")
    if picture:
        parts.append(f"![{question.asked}](questions/{question.name}.png)")
    return "\n\n".join(parts)


def main() -> None:
    """Run all of them, write page and pictures."""
    PICTURES.mkdir(exist_ok=True)
    sections = []
    for question in QUESTIONS:
        text, figure = answered(question)
        if figure is not None:
            figure.savefig(PICTURES / f"{question.name}.png", metadata={"Software": None})
        sections.append(section(question, text, figure is not None))
    temporary = PAGE.with_suffix(".part")
    temporary.write_text(HEAD + SETUP + "```\n\n" + "\n\n".join(sections) + "\n")
    os.replace(temporary, PAGE)


if __name__ == "__main__":
    main()
