"""Settings of the whole suite.

With BACKLIT_STRICT_SKIPS=1, as `make test` sets it, hypothesis draws the same examples every time, every skipped test
is printed, and one that is not in allowed_skips.txt fails the run.
"""

from __future__ import annotations

import os
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from hypothesis import settings

STRICT = os.environ.get("BACKLIT_STRICT_SKIPS") == "1"
ALLOWED = Path(__file__).with_name("allowed_skips.txt")

for size in ("COLUMNS", "LINES"):  # which a run in parallel sets to 80 and 24
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.pop(size, None)

settings.register_profile("default", deadline=None, max_examples=50)
settings.register_profile("ci", deadline=None, max_examples=50, derandomize=True)
settings.load_profile("ci" if STRICT else "default")


class StrictSkips:
    """Collects the skipped tests, prints each with its reason, and fails the run on one that is not allowed."""

    def __init__(self, globs: list[str]):
        self.globs = globs
        self.reasons: dict[str, str] = {}

    def allows(self, test: str) -> bool:
        return any(fnmatchcase(test, glob) for glob in self.globs)

    def note(self, report: pytest.TestReport | pytest.CollectReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            longrepr = report.longrepr
            self.reasons[report.nodeid] = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if session.exitstatus == pytest.ExitCode.OK and not all(map(self.allows, self.reasons)):
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self.reasons:
            terminalreporter.section("skipped tests")
        for test, reason in sorted(self.reasons.items()):
            verdict = "allowed" if self.allows(test) else f"NOT in tests/{ALLOWED.name}"
            terminalreporter.line(f"{verdict}: {test}: {reason}")


def allowed_globs() -> list[str]:
    """The patterns of allowed_skips.txt, in which only * and ? are special; each needs its reason."""
    rows = [line.partition(" # ") for line in ALLOWED.read_text(encoding="utf-8").splitlines()]
    rows = [row for row in rows if row[0].strip() and not row[0].startswith("#")]
    for glob, _, reason in rows:
        if not reason.strip():
            raise pytest.UsageError(f"tests/{ALLOWED.name}: {glob!r} has no reason; write: test_id_glob  # reason")
    return [glob.strip().replace("[", "[[]") for glob, _, _ in rows]


def pytest_configure(config: pytest.Config) -> None:
    if STRICT:
        config.pluginmanager.register(StrictSkips(allowed_globs()))
