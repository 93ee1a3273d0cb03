"""`backlit check script.py`: run a training script as it stands, and say what the doctor finds in each of its trainings."""

from __future__ import annotations

import json
import runpy
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.check import SEVERITIES, Finding
from ..core.errors import BacklitError, FileMissingError
from ..doctor.ear import Ear, Heard, listening
from ..doctor.telling import in_full, plain
from .main import BAD_DATA, FAILED


@dataclass
class Ran:
    """How a script went: the traceback that ended it, or ""; its exit code; and what was found."""

    failed: str = ""
    code: int = 0
    trainings: list[Heard] = field(default_factory=list)

    @property
    def findings(self) -> list[Finding]:
        """All findings."""
        return [one for heard in self.trainings for one in heard.findings]


def check_script(path: str, arguments: Sequence[str], as_json: bool) -> int:
    """Run it, print what was found; the exit code: 3 where there are errors, 1 where the script failed, else 0."""
    if not Path(path).is_file():
        raise FileMissingError(f"{path} is not there.", fix="the path of a Python script")
    with redirect_stdout(sys.stderr) if as_json else nullcontext():
        ran = _run(Path(path), arguments)
    if ran.failed:
        sys.stderr.write(ran.failed)
    sys.stdout.flush()
    sys.stdout.write((json.dumps(_as_json(path, ran)) if as_json else _told(path, ran)) + "\n")
    if any(one.severity == "error" for one in ran.findings):
        return BAD_DATA
    return FAILED if ran.failed or ran.code else 0


def _run(path: Path, arguments: Sequence[str]) -> Ran:
    ran = Ran()
    with _as_main(path, arguments), listening() as ear:
        try:
            runpy.run_path(str(path), run_name="__main__")
        except SystemExit as ended:
            ran.code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            ran.failed = f"{ended.code}\n" if isinstance(ended.code, str) else ""
        except Exception as error:
            ran.failed = _own_traceback(error, path)
            _note(ear, error)
    ran.trainings = list(ear.lines.values())
    return ran


@contextmanager
def _as_main(path: Path, arguments: Sequence[str]) -> Iterator[None]:
    """`sys.argv` and `sys.path` as Python sets them for a script."""
    argv, places = sys.argv, list(sys.path)
    sys.argv = [str(path), *arguments]
    sys.path.insert(0, str(path.resolve().parent))
    try:
        yield
    finally:
        sys.argv, sys.path[:] = argv, places


def _own_traceback(error: Exception, path: Path) -> str:
    """The traceback from the script's first line on, as Python prints it."""
    frames = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename != str(path):
        frames = frames.tb_next
    lines = traceback.format_exception(type(error), error, frames or error.__traceback__)
    return "".join(lines)


def _note(ear: Ear, error: Exception) -> None:
    """What the library refused is a finding, too: of the line that it names."""
    found = error.finding if isinstance(error, BacklitError) else None
    if isinstance(found, Finding):
        where = found.where or getattr(error, "fields", {}).get("where", "")
        heard = ear.lines.get(where) or ear.began(where)
        if (found.check, found.layer) not in {(one.check, one.layer) for one in heard.findings}:
            heard.findings.insert(0, found)


def _told(path: str, ran: Ran) -> str:
    if not ran.trainings:
        return f"{path}: no training was seen; `fit` was not reached."
    parts = []
    for heard in ran.trainings:
        times = f"   ({heard.times} trainings)" if heard.times > 1 else ""
        parts.append(f"{heard.where}{times}")
        parts += [in_full(one) for one in heard.findings] or ["no cause found"]
        parts.append("")
    counts = [sum(one.severity == kind for one in ran.findings) for kind in SEVERITIES[:2]]
    said = [
        f"{count or 'no'} {kind}{'' if count == 1 else 's'}" for kind, count in zip(SEVERITIES, counts, strict=False)
    ]
    return "\n".join([*parts, f"{', '.join(said)}.".capitalize()])


def _as_json(path: str, ran: Ran) -> dict[str, Any]:
    trainings = [
        {"where": each.where, "times": each.times, "findings": [plain(one.to_json()) for one in each.findings]}
        for each in ran.trainings
    ]
    return {"script": path, "failed": ran.failed or None, "exit_code": ran.code, "trainings": trainings}
