"""What the documents say is run: README and docs/*.md from top to bottom, and every message in the golden file.

A page is run in one folder (with the data of docs/ in it) and one namespace. The language of a block says what it is:

- `python`: run. A name behind the language, as in "```python again.py", makes the block a file; `csv` always is one.
- `console`: lines behind `$ ` that call backlit or python are run, and must end with 0, or with the code behind
  `# exit`. Lines below them must come out, in this order; every number in them stands for any.
- `text`: these lines came out of the last `python` block, in this order, numbers and all.

A block without a language is a picture. Blanks and ends of lines count as one blank, … is anything.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from backlit import cli

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
QUESTIONS = ROOT / "docs" / "questions.md"  # made of its own programs: tests/labs/test_questions.py
TEXTS = [README, *sorted((ROOT / "docs").glob("*.md")), ROOT / "CONTRIBUTING.md"]
PAGES = [page for page in TEXTS[:-1] if page != QUESTIONS]
BLOCK = re.compile(r"^```(\w*) ?([\w.]*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = {"python", "console", "csv", "text", ""}


class Reader:
    """Somebody who does what a page says, and compares."""

    def __init__(self) -> None:
        self.names: dict[str, object] = {}
        self.printed = ""

    def read(self, language: str, name: str, block: str) -> None:
        if name:
            Path(name).write_text(block, encoding="utf-8")
        elif language == "python":
            self.printed = said(lambda: exec(compile(block, "a page", "exec"), self.names))[1]
        elif language == "console":
            for command in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
                self.call(*command.split("\n", 1))
        elif language == "text":
            came_out(block, self.printed, numbers=True)

    def call(self, command: str, expected: str) -> None:
        program, *arguments = shlex.split(command, comments=True)
        if program not in ("backlit", "python"):
            return
        wanted = re.search(r"# exit (\d+)", command)
        code, printed = said(lambda: cli.main(arguments)) if program == "backlit" else in_a_new_process(arguments)
        assert code == int(wanted[1] if wanted else 0), f"{command}\n{printed}"
        came_out(expected, printed, numbers=False)


def said(act) -> tuple[int, str]:
    """The exit code of a call, and what it wrote to both streams."""
    code = 0
    with io.StringIO() as stream, contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        try:
            act()
        except SystemExit as ended:
            code = ended.code or 0
        return code, stream.getvalue()


def in_a_new_process(arguments: list[str]) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, *arguments], text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment
    )
    return done.returncode, done.stdout


def came_out(expected: str, printed: str, numbers: bool) -> None:
    """Each expected line was printed, behind the one before it."""
    left = plain(printed, numbers)
    for line in expected.splitlines():
        parts = [re.escape(plain(part, numbers)) for part in line.split("…")]
        if any(parts):
            found = re.search(rf"(?<!\S){'.*?'.join(parts)}(?!\S)" if parts[-1] else ".*?".join(parts), left)
            assert found, f"no such line: {line}\nin: {left}"
            left = left[found.end() :]


def plain(text: str, numbers: bool) -> str:
    words = " ".join(text.split())
    return words if numbers else re.sub(r"\d[\d,]*(\.\d+)?(e[+-]?\d+)?", "#", words)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with the data that the pages speak of."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    (tmp_path / "docs").mkdir()
    for data in (ROOT / "docs").glob("*.csv"):
        shutil.copy(data, "docs")
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_is_true(page: Path, folder: Path) -> None:
    reader = Reader()
    for language, name, block in BLOCK.findall(page.read_text(encoding="utf-8")):
        reader.read(language, name, block)


def test_every_block_is_of_a_kind_that_is_read() -> None:
    for page in TEXTS:
        text = page.read_text(encoding="utf-8")
        found = BLOCK.findall(text)
        assert {language for language, _, _ in found} <= LANGUAGES, page.name
        assert all(name for language, name, _ in found if language == "csv"), page.name
        assert text.count("```") == 2 * len(found), page.name


def test_the_example_table_is_that_of_scikit_learn() -> None:
    """But for the names of its columns and classes, colours in words, and twelve empty cells."""
    import pandas
    from sklearn.datasets import load_wine

    bunch = load_wine(as_frame=True)
    table = pandas.read_csv(ROOT / "docs" / "cellar.csv")
    shared = [name for name in table if name in bunch.data]
    assert len(shared) == 6 and int(table.isna().sum().sum()) == 12
    assert ((table[shared] == bunch.data[shared]) | table[shared].isna()).all(axis=None)
    assert (table["wine"].map({"Barolo": 0, "Grignolino": 1, "Barbera": 2}) == bunch.target).all()
    strongest = bunch.data["color_intensity"].groupby(table["colour"]).max()
    assert strongest["pale"] < strongest["medium"] < strongest["deep"]


def test_links_lead_somewhere() -> None:
    for page in TEXTS:
        for link, anchor in re.findall(r"\]\((?!http)([^)#]*)#?([^)]*)\)", page.read_text(encoding="utf-8")):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name}: {link}"
            if anchor:
                heads = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.MULTILINE)
                assert anchor in {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_make_targets_of_the_documents_exist() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    for page in TEXTS:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"(?:`|\$ )make ([a-z]+)", text)) <= targets


def test_messages_are_those_that_were_reviewed() -> None:
    """`make messages` writes the file; a changed message shows up in the diff. In a process of its own: a message that
    lists names also lists what other tests have defined."""
    program = "import runpy; print(runpy.run_path('tools/messages.py')['text'](), end='')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert run.stdout == (ROOT / "tests" / "golden" / "messages.txt").read_text(encoding="utf-8"), run.stderr
