"""What the documents say is run: the README's snippets and commands, and every message in the golden file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_python_snippets_of_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), names)
    printed = capsys.readouterr().out
    for expected in ("c = w * x", "2.0 -4.0", "agree to 1e-06", "2.4 7.8"):
        assert expected in printed
    message = blocks("text")[0].strip()
    assert message in printed


@pytest.mark.slow
def test_commands_of_the_readme(tmp_path: Path) -> None:
    commands = [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ backlit")]
    assert len(commands) >= 3
    for command in commands:
        program = [sys.executable, "-m", *command.split("#")[0].split()]
        run = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, env=_environment())
        assert run.returncode == 0, run.stderr
        assert run.stdout


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.stem)
def test_python_snippets_of_the_docs(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    found = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    for block in found:
        exec(compile(block, str(page), "exec"), names)
    assert bool(found) == bool(capsys.readouterr().out)


def test_links_of_the_docs_lead_somewhere() -> None:
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for link in re.findall(r"\]\((?!http)([^)#]+)", page.read_text()):
            assert (page.parent / link).exists(), f"{page.name}: {link}"


def test_make_targets_of_the_readme_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", README)) <= targets


def test_messages_are_those_that_were_reviewed() -> None:
    """`make messages` writes the file; a changed message shows up in the diff. In a process of its own: a message that
    lists names also lists what other tests have defined."""
    program = "import runpy; print(runpy.run_path('tools/messages.py')['text'](), end='')"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=_environment())
    assert run.stdout == (ROOT / "tests" / "golden" / "messages.txt").read_text(), run.stderr
