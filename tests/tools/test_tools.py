"""The house's own checks find what they are for, and stay silent where nothing is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tools import imports, size

ROOT = Path(__file__).resolve().parents[2]
Files = Mapping[str, str]


def house(root: Path, files: Files) -> Path:
    """A tree with a package `backlit`; keys are paths inside it, without `.py`. Each folder gets its `__init__.py`."""
    for name, text in {"__init__": "", **files}.items():
        path = (root / "backlit" / name).with_suffix(".py")
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return root


# ---------------------------------------------------------------------- who imports whom
NO_ROWS: imports.Table = {}


def complaints(root: Path, files: Files, lazy: imports.Table = NO_ROWS) -> list[str]:
    return imports.check(imports.read(house(root, files)), top=NO_ROWS, lazy=lazy)


ALLOWED = {
    "downward": {"core/node": "", "ops/exp": "from ..core.node import Node\nfrom ..core import node"},
    "within a room": {"core/a": "", "core/b": "from . import a\nimport backlit.core.a"},
    "numpy and the standard library": {"core/a": "import numpy as np\nimport os.path\nfrom numpy.linalg import norm"},
    "for types only": {
        "core/a": "if TYPE_CHECKING:\n    from ..train import model\n    import pandas",
        "train/model": "import typing\nif typing.TYPE_CHECKING:\n    import jax",
    },
    "a public room, lazily": {"losses": "def __getattr__(name):\n    from .train import model", "train/model": ""},
    "a public room, by computed name": {"losses": "import importlib\nimportlib.import_module(f'{__name__}.x')"},
    "the registry": {"core/registry": "import importlib\ndef get(x):\n    importlib.import_module(x)"},
    "the command line": {"cli": "from . import nn\nfrom .train import model", "nn": "", "train/model": ""},
}


@pytest.mark.parametrize("files", ALLOWED.values(), ids=ALLOWED)
def test_imports_stay_silent(tmp_path, files):
    assert complaints(tmp_path, files) == []


REFUSED = {
    "upward, relative": (
        {"core/node": "\nfrom ..train import model", "train/model": ""},
        "backlit/core/node.py:2: core imports train.model, but may import no other room; ",
    ),
    "upward, absolute": (
        {"ops/exp": "import backlit.engines.planned", "engines/planned": ""},
        "backlit/ops/exp.py:1: ops imports engines.planned, but may import core; ",
    ),
    "sideways": (
        {"layers/dense": "from backlit.io import tables", "io/tables": ""},
        "backlit/layers/dense.py:1: layers imports io.tables, but may import core, ops; ",
    ),
    "in the else of a block for types": (
        {"core/a": "if TYPE_CHECKING:\n    pass\nelse:\n    from .. import ops", "ops/b": ""},
        "backlit/core/a.py:4: core imports ops, but may import no other room; ",
    ),
    "a public room": (
        {"train/loop": "from ..nn import relu", "nn": ""},
        "backlit/train/loop.py:1: train imports nn, but may import core, engines, io, layers, ops, rewrite; ",
    ),
    "the package itself": (
        {"core/a": "from .. import show_versions"},
        "backlit/core/a.py:1: core imports backlit, but may import no other room; ",
    ),
    "a room nobody placed": (
        {"attic/a": "from ..core import node", "core/node": ""},
        "backlit/attic/a.py:1: attic is in no row of ROOMS",
    ),
    "hidden": (
        {"core/b": "", "core/a": "class A:\n    async def f(self):\n        from . import b"},
        "backlit/core/a.py:3: core.b is imported inside a function",
    ),
    "hidden in a public room": (
        {"losses": "def __getattr__(name):\n    import sklearn.metrics"},
        "backlit/losses.py:2: sklearn is imported inside a function",
    ),
    "hidden behind importlib": (
        {"core/a": "import importlib\nf = lambda: importlib.import_module('..train', __package__)", "train/a": ""},
        "backlit/core/a.py:2: core imports train, but may import no other room; ",
    ),
    "by a computed name": (
        {"core/a": "from importlib import import_module\ndef f(x):\n    return import_module(x)"},
        "backlit/core/a.py:3: core.a imports by a computed name",
    ),
    "a package at the top": (
        {"io/bundled": "from sklearn.datasets import load_iris"},
        "backlit/io/bundled.py:1: io.bundled imports the package sklearn",
    ),
    "a cycle of three": (
        {"core/a": "from . import b", "core/b": "from .c import x", "core/c": "import backlit.core.a"},
        ": import cycle core.",
    ),
    "a cycle through a package": (
        {"core/a": "from . import thing", "core/__init__": "from .a import other"},
        ": import cycle core",
    ),
}


@pytest.mark.parametrize(("files", "expected"), REFUSED.values(), ids=REFUSED)
def test_imports_complain(tmp_path, files, expected):
    assert any(expected in line for line in complaints(tmp_path, files))


def test_a_cycle_is_named_in_the_order_of_its_imports(tmp_path):
    (line,) = complaints(tmp_path, {"core/a": "from . import b", "core/b": "import math\nfrom . import a"})
    assert line.partition(";")[0] in {
        "backlit/core/a.py:1: import cycle core.a -> core.b -> core.a",
        "backlit/core/b.py:2: import cycle core.b -> core.a -> core.b",
    }


def test_a_lazy_import_closes_no_cycle(tmp_path):
    files = {"core/a": "from . import b", "core/b": "def f():\n    from . import a"}
    assert complaints(tmp_path, files, lazy={"core.b": {"core.a"}}) == []


def test_the_tables_of_packages_allow_exactly_what_they_say(tmp_path):
    files = {"cli": "import click", "io/bundled": "def load():\n    from sklearn import datasets"}
    given = imports.read(house(tmp_path, files))
    assert imports.check(given, top={"cli": {"click"}}, lazy={"io.bundled": {"sklearn"}}) == []
    assert len(imports.check(given, top={}, lazy={})) == 2
    assert len(imports.check(given, top={"io.bundled": {"sklearn"}}, lazy={"cli": {"click"}})) == 4
    assert imports.check(given, top={"cli": {"click", "rich"}}, lazy={"io.bundled": {"sklearn"}}) == [
        "tools/imports.py:1: ALLOWED_TOP lists rich for cli, which does not do so; remove it"
    ]


# ---------------------------------------------------------------------- size
EIGHT = "a, b, c, d, e, f, g, h"
SEVEN = "a, b, c, d, e, f, g"


def function(lines: int, name: str = "f", arguments: str = "") -> str:
    """The text of a function of so many lines."""
    return f"def {name}({arguments}): x = 0\n" if lines == 1 else f"def {name}():\n" + "    x = 1\n" * (lines - 1)


def measured(root: Path, files: Files) -> list[str]:
    return size.check(size.read(house(root, files)), {}, set())


def test_size_is_silent_at_the_budget(tmp_path):
    nine = "".join(function(30, f"f{i}") for i in range(9))
    files = {"core/a": nine + function(60), "core/b": "\n" * 600, "view/c": function(1, "g", SEVEN)}
    assert measured(tmp_path, files) == []


TOO_LARGE = {
    "function": ({"core/a": "\n" + function(61)}, "backlit/core/a.py:2: f has 61 lines, at most 60; "),
    "method": (
        {"core/a": "class A:\n    async def g(self):\n" + "        1\n" * 60},
        "backlit/core/a.py:2: A.g has 61 lines, at most 60; ",
    ),
    "file": ({"core/a": "\n" * 601}, "backlit/core/a.py:600: the file has 601 lines, at most 600; "),
    "depth": ({"view/more/a": ""}, "backlit/view/more/a.py:1: the folder lies 3 deep, at most 2; "),
    "share of short functions": (
        {"core/a": function(31, "long") + "".join(function(9, f"f{i}") for i in range(8))},
        "88.9% of the functions have at most 30 lines, at least 90%; shorten the longest: backlit/core/a.py:1 long",
    ),
    "arguments": (
        {"core/a": function(1, "f", "a, b, /, c, *d, e, f, g, **h")},
        "backlit/core/a.py:1: f has 8 arguments, at most 7; ",
    ),
    "constructor": (
        {"core/a": f"class A:\n    def __init__(self, {EIGHT}): pass"},
        "backlit/core/a.py:2: A.__init__ has 8 arguments, at most 7; ",
    ),
}


@pytest.mark.parametrize(("files", "expected"), TOO_LARGE.values(), ids=TOO_LARGE)
def test_size_complains(tmp_path, files, expected):
    assert any(expected in line for line in measured(tmp_path, files))


def test_only_public_signatures_are_counted(tmp_path):
    private = f"""
def f():
    def g({EIGHT}): pass
def _f({EIGHT}): pass
class _A:
    def f(self, {EIGHT}): pass
class B:
    def f(self, {SEVEN}): pass
    def _f(self, {EIGHT}): pass
"""
    assert measured(tmp_path, {"core/a": private, "core/_b": function(1, "f", EIGHT)}) == []


def test_functions_outside_the_package_have_a_length_but_may_have_arguments(tmp_path):
    (house(tmp_path, {}) / "bench").mkdir()
    (tmp_path / "bench" / "a.py").write_text(function(1, "g", EIGHT) + function(61))
    assert measured(tmp_path, {}) == ["bench/a.py:2: f has 61 lines, at most 60; take a step out of it"]


def test_exceptions_hold_for_what_they_name_and_must_go_when_not_needed(tmp_path):
    text = f"class Model:\n    def fit(self, {EIGHT}): pass\n" + function(61)
    given = size.read(house(tmp_path, {"core/a": text, "core/b": "".join(function(1, f"f{i}") for i in range(9))}))
    row = {"backlit/core/a.py:f": "a table"}
    assert size.check(given, row, {"Model.fit"}) == []
    assert size.check(given, {**row, "backlit/core/b.py": "long"}, {"Model.fit", "Model.go"}) == [
        "tools/size.py:1: EXCEPTIONS lists backlit/core/b.py, which keeps its budget; remove the row",
        "tools/size.py:1: KERAS lists Model.go, which has at most 7 arguments; remove it",
    ]


def test_the_summary_gives_the_measured_figures(tmp_path):
    given = size.read(house(tmp_path, {"core/a": function(2, "f") + function(4, "g") + function(9, "h")}))
    assert size.summary(given.package()) == (
        "size: 3 files, 15 lines, largest 15; 3 functions, median 4, p90 9, 100.0% at most 30, "
        "longest 9 (backlit/core/a.py:h)"
    )


@pytest.mark.parametrize("tool", ["imports", "size"])
def test_the_exit_status_tells(tmp_path, tool):
    house(tmp_path, {"core/a": "import pandas\n" + function(61)})
    shutil.copytree(ROOT / "tools", tmp_path / "tools", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run([sys.executable, tmp_path / "tools" / f"{tool}.py"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout.startswith("backlit/core/a.py:")


# ---------------------------------------------------------------------- skipped tests
def suite(root: Path, test: str, allowed: str, strict: str = "1") -> tuple[int, str]:
    """Exit status and output of a tiny suite under this suite's conftest.py."""
    tests = root / "tests"
    tests.mkdir()
    shutil.copy(ROOT / "tests" / "conftest.py", tests)
    (tests / "allowed_skips.txt").write_text(allowed)
    (tests / "test_a.py").write_text("import pytest\ndef test_works(): pass\n")
    (tests / "test_b.py").write_text(f"import pytest\n{test}")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", root, tests]
    environment = {**os.environ, "BACKLIT_STRICT_SKIPS": strict}
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)
    return done.returncode, done.stdout + done.stderr


SKIP = "@pytest.mark.parametrize('x', [1, 2])\ndef test_gpu(x): pytest.skip('no GPU')\n"
MODULE = "pytest.importorskip('no_such_package')\n"
XFAIL = "@pytest.mark.xfail\ndef test_not_yet(): assert False\n"
ONE, BOTH = "tests/test_b.py::test_gpu[1]", "tests/test_b.py::test_gpu*"
REFUSAL = "NOT in tests/allowed_skips.txt: tests/test_b.py"


@pytest.mark.parametrize(
    ("test", "allowed", "status", "said"),
    [
        (SKIP, "# nothing\n", 1, f"{REFUSAL}::test_gpu[1]: Skipped: no GPU"),
        (SKIP, f"{ONE}  # needs a GPU\n", 1, f"{REFUSAL}::test_gpu[2]: Skipped: no GPU"),
        (SKIP, f"{BOTH}  # needs a GPU\n", 0, "allowed: tests/test_b.py::test_gpu[2]: Skipped: no GPU"),
        (SKIP, f"{BOTH}\n", 4, f"{BOTH!r} has no reason"),
        (MODULE, "", 1, f"{REFUSAL}: Skipped: could not import 'no_such_package'"),
        (XFAIL, "", 0, "1 passed, 1 xfailed"),
    ],
    ids=["unlisted", "one of two listed", "listed", "listed without a reason", "a whole module", "expected failure"],
)
def test_a_strict_run_prints_every_skip_and_fails_on_an_unlisted_one(tmp_path, test, allowed, status, said):
    code, output = suite(tmp_path, test, allowed)
    assert (code, said in output) == (status, True), output


def test_a_strict_run_tells_listed_from_unlisted(tmp_path):
    _, output = suite(tmp_path, SKIP, f"{ONE}  # needs a GPU\n")
    assert f"allowed: {ONE}: Skipped: no GPU" in output


def test_a_plain_run_lets_skips_pass(tmp_path):
    code, output = suite(tmp_path, SKIP, "", strict="0")
    assert (code, "NOT in" in output) == (0, False), output
