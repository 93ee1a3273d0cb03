"""`backlit check script.py`: run a training script as it stands, and say what the doctor finds in each of its trainings."""

from __future__ import annotations

import importlib.machinery
import json
import os
import runpy
import sys
import threading
import traceback
import types
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.check import SEVERITIES
from ..core.errors import BacklitError, BacklitWarning, FileMissingError
from ..core.node import spoken
from ..doctor.ear import Key, Line, Often, key_of
from ..doctor.hearing import listening
from ..doctor.telling import MOST_TOLD, in_full, plain
from .main import BAD_DATA, FAILED, INTERRUPTED

_OURS = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_INSIDE = (_OURS, os.path.dirname(os.__file__) + os.sep)  # and Python's own
_RULE = "───"


@dataclass
class Ran:
    """How a script went: the traceback that ended it, or ""; its exit code; and what was heard."""

    name: str
    failed: str = ""
    code: int = 0
    interrupted: bool = False
    lines: list[Line] = field(default_factory=list)

    def count(self, severity: str) -> int:
        """How many different faults there are of that severity; several lines may have the same one."""
        found = {key_of(one.finding): one.finding for line in self.lines for one in line.found}
        return sum(one.severity == severity for one in found.values())


def check_script(path: str, arguments: Sequence[str], as_json: bool) -> int:
    """Run a script, or a folder with a `__main__.py`, print what was found; the exit code: 130 where it was interrupted,
    3 where there are errors, 1 where the script failed, else 0."""
    if not Path(path).exists():
        raise FileMissingError(f"{path} is not there.", fix="the path of a Python script")
    return _check(path, [path, *arguments], _runner(path), as_json)


def check_module(name: str, arguments: Sequence[str], as_json: bool) -> int:
    """The same for a module, run as by `python -m`."""
    return _check(name, ["-m", *arguments], lambda: _as_module(name), as_json)


def _check(name: str, argv: Sequence[str], run: Callable[[], Any], as_json: bool) -> int:
    ran = Ran(name)
    with ExitStack() as around:
        if as_json:
            around.enter_context(_stdout_to_stderr())
        _run(ran, argv, run)
        sys.stderr.write(ran.failed)
    sys.stdout.flush()
    sys.stdout.write((json.dumps(_as_json(ran)) if as_json else _told(ran)) + "\n")
    if ran.interrupted:
        return INTERRUPTED
    return BAD_DATA if ran.count("error") else FAILED if ran.failed or ran.code else 0


# ---------------------------------------------------------------------- running it
def _run(ran: Ran, argv: Sequence[str], run: Callable[[], Any]) -> None:
    before = set(threading.enumerate())
    with _as_main(argv), _own_warnings(), listening() as witness:
        try:
            try:
                run()
            finally:
                _wait_for_threads(before)
        except SystemExit as ended:
            ran.code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
            ran.failed = "" if isinstance(ended.code, int | None) else f"{ended.code}\n"
        except KeyboardInterrupt as error:
            ran.interrupted, ran.code = True, INTERRUPTED
            ran.failed = _own_traceback(error)
        except Exception as error:
            ran.code, ran.failed = FAILED, _own_traceback(error) + _hint(error, ran.name)
            if isinstance(error, BacklitError):
                witness.ended(error, _line_of(error))
    ran.lines = list(witness.ear.lines.values())


def _runner(path: str) -> Callable[[], Any]:
    """What runs the script as `__main__`, with what Python gives it."""
    if Path(path).is_dir():
        return lambda: runpy.run_path(path, run_name="__main__")
    file = os.path.abspath(path)

    def run() -> None:
        code = compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)
        module = types.ModuleType("__main__")
        loader = importlib.machinery.SourceFileLoader("__main__", file)
        module.__dict__.update(__file__=file, __cached__=None, __loader__=loader, __package__=None)
        module.__dict__.update(__builtins__=sys.modules["builtins"], __annotations__={})
        sys.modules["__main__"] = module
        _look_in(os.path.dirname(os.path.realpath(file)))
        exec(code, module.__dict__)

    return run


def _as_module(name: str) -> None:
    _look_in(os.getcwd())
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def _look_in(folder: str) -> None:
    """Where a script's own modules are looked for first, in place of where those of `backlit` are."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


@contextmanager
def _as_main(argv: Sequence[str]) -> Iterator[None]:
    """Inside, `sys.argv`, `sys.path` and the main module are the script's."""
    kept, places, main = sys.argv, list(sys.path), sys.modules["__main__"]
    sys.argv = list(argv)
    try:
        yield
    finally:
        sys.argv, sys.path[:] = kept, places
        sys.modules["__main__"] = main


@contextmanager
def _own_warnings() -> Iterator[None]:
    """Inside, warnings are told as Python tells them: with their lines, and once for each."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", BacklitWarning)
        warnings.showwarning = _show_warning
        yield


def _show_warning(message: Any, category: Any, filename: str, lineno: int, file: Any = None, line: Any = None) -> None:
    (file or sys.stderr).write(warnings.formatwarning(message, category, filename, lineno, line))


@contextmanager
def _stdout_to_stderr() -> Iterator[None]:
    """Inside, what is printed goes to standard error: by Python, and by processes that are started as well."""
    sys.stdout.flush()
    ends: tuple[int, ...] = ()
    with suppress(AttributeError, OSError, ValueError):  # a program without streams of its own
        ends = sys.__stdout__.fileno(), sys.__stderr__.fileno()  # type: ignore[union-attr]
    kept = os.dup(ends[0]) if ends else 0
    if ends:
        os.dup2(ends[1], ends[0])
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if ends:
            os.dup2(kept, ends[0])
            os.close(kept)


def _wait_for_threads(before: set[threading.Thread]) -> None:
    """As Python waits for the threads of a script before it ends."""
    for thread in threading.enumerate():
        if thread not in before and not thread.daemon and thread is not threading.current_thread():
            thread.join()


def _is_own(file: str) -> bool:
    """Whether it is neither the library's nor that of a compiled extension, whose names are relative."""
    return os.path.isabs(file) and not file.startswith(_INSIDE)


def _own_traceback(error: BaseException) -> str:
    """The traceback from the script's first line on; what the library refuses, or where it was interrupted, as far as the
    last line outside of it."""
    told = traceback.TracebackException.from_exception(error)
    frames = list(told.stack)
    while frames and frames[0].filename.startswith((_OURS, "<frozen")):
        frames.pop(0)
    if isinstance(error, BacklitError | KeyboardInterrupt):
        own = [place for place, frame in enumerate(frames) if _is_own(frame.filename)]
        frames = frames[: own[-1] + 1] if own else []
    told.stack = traceback.StackSummary.from_list(frames)
    lines = list(told.format())
    return "".join(lines if frames else [line for line in lines if not line.startswith("Traceback")])


def _hint(error: Exception, path: str) -> str:
    """For a file of a package: how it is meant to be run."""
    if not isinstance(error, ImportError) or "no known parent package" not in str(error):
        return ""
    name = ".".join(Path(os.path.relpath(path)).with_suffix("").parts)
    return f"  fix       it is part of a package: backlit check -m {name}\n"


def _line_of(error: BaseException) -> str:
    """The script's last line on the way to the error."""
    frames = [
        one for one in traceback.extract_tb(error.__traceback__) if not one.filename.startswith((*_INSIDE, "<frozen"))
    ]
    return spoken((frames[-1].filename, frames[-1].lineno or 0)) if frames else ""


# ---------------------------------------------------------------------- telling
def _told(ran: Ran) -> str:
    parts = ["", f"{_RULE} backlit check {ran.name} {_RULE}"]
    told: set[Key] = set()
    for line in ran.lines:
        several = [
            f"{len(each)} {what}" for each, what in ((line.trainings, "trainings"), (line.uses, "models")) if each[1:]
        ]
        parts.append(f"{line.where}   ({', '.join(several)})" if several else line.where)
        full = 0
        for one in line.found:
            again, key = key_of(one.finding) in told, key_of(one.finding)
            parts.append(_finding(one, line.times, again, short=full >= MOST_TOLD))
            full += not again
            told.add(key)
        parts += ["no cause found"] if not line.found else []
        parts.append("")
    if not any(line.times for line in ran.lines):
        parts.append("No training was seen: neither `fit` nor `train_on_batch` was reached in this process.")
    counts = [(ran.count(kind), kind) for kind in SEVERITIES[:2]]
    said = ", ".join(f"{count or 'no'} {kind}{'' if count == 1 else 's'}" for count, kind in counts)
    return "\n".join([*parts, f"{said.capitalize()}.{_ending(ran)}"])


def _ending(ran: Ran) -> str:
    if ran.interrupted:
        return " The script was interrupted."
    return f" The script ended with exit code {ran.code}." if ran.code else ""


def _finding(one: Often, trainings: int, again: bool, short: bool) -> str:
    """A finding in full, or in a line where it has been told or three others are worse."""
    some = f"in {one.times} of {trainings} trainings" if trainings > 1 else ""
    head = f"{one.finding.severity}: {one.finding.said}"
    if again or short:
        why = ", ".join(part for part in (some, "as above" if again else "") if part)
        return f"{head}   ({why})" if why else head
    first, *rest = in_full(one.finding).split("\n")
    return "\n".join([first, *([f"  seen   {some}; the last one's numbers"] if some else []), *rest])


def _as_json(ran: Ran) -> dict[str, Any]:
    lines = [
        {
            "where": line.where,
            "times": line.times,
            "findings": [{**plain(one.finding.to_json()), "times": one.times} for one in line.found],
        }
        for line in ran.lines
    ]
    return {"script": ran.name, "failed": ran.failed or None, "exit_code": ran.code, "trainings": lines}
