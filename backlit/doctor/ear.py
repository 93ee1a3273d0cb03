"""What was heard of the trainings of a program, by the lines that they are called from.

A process that was forked while somebody listens tells what it hears in files, which are read when the listening ends.
"""

from __future__ import annotations

import json
import os
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.check import SEVERITIES, Finding

EAR = "ear.fit"  # what `fit` asks the registry for
Key = tuple[str, str | None, str]


@dataclass
class Heard:
    """One training, and what was found in it so far."""

    where: str
    findings: list[Finding] = field(default_factory=list)
    file: Path | None = None  # of another process

    def note(self, findings: Sequence[Finding]) -> None:
        """These instead of what was found before: the doctor tells all of a training each time. A repair would keep the
        model and its data in memory."""
        self.findings = [replace(one, repair=None) for one in findings]
        if self.file is not None:
            told = {"where": self.where, "findings": [one.to_json() for one in self.findings]}
            new = self.file.with_suffix(".new")
            new.write_text(json.dumps(told, default=str), encoding="utf-8")
            new.replace(self.file)


@dataclass(frozen=True)
class Often:
    """A finding as it was told last, and in how many trainings of its line it was found."""

    finding: Finding
    times: int


@dataclass
class Line:
    """The trainings of one line of a program. `uses` are other calls: of models that were never trained, or refused ones."""

    where: str
    trainings: list[Heard] = field(default_factory=list)
    uses: list[Heard] = field(default_factory=list)

    @property
    def times(self) -> int:
        """How many trainings there were."""
        return len(self.trainings)

    @property
    def found(self) -> list[Often]:
        """What was found in any of them: errors and warnings before notes, what was found more often first, and of two that
        were found as often the cause before its consequence."""
        last: dict[Key, Finding] = {}
        times: dict[Key, int] = {}
        place: dict[Key, int] = {}
        for heard in (*self.trainings, *self.uses):
            for number, one in enumerate(heard.findings):
                key = key_of(one)
                last[key], times[key] = one, times.get(key, 0) + 1
                place[key] = max(number, place.get(key, 0))
        order = sorted(last, key=lambda key: (last[key].severity == SEVERITIES[-1], -times[key], place[key]))
        return [Often(last[key], times[key]) for key in order]


def key_of(finding: Finding) -> Key:
    """What two findings of the same fault have in common: the check, the layer, and where that was made."""
    lines = finding.lines
    return finding.check, finding.layer, lines.get("layer") or lines.get("compile") or finding.where


class Ear:
    """Collects what is found in each training, by its line; any thread may tell."""

    def __init__(self, folder: Path) -> None:
        self.lines: dict[str, Line] = {}
        self.folder, self.process = folder, os.getpid()
        self.own = threading.local()  # `.latest`: the training that began last in this thread

    def line(self, where: str) -> Line:
        """What is known of that line."""
        return self.lines.setdefault(where, Line(where))

    def began(self, where: str) -> Heard:
        """One more training at that line."""
        heard = self.own.latest = Heard(where)
        if os.getpid() == self.process:
            self.line(where).trainings.append(heard)
        else:
            made, name = tempfile.mkstemp(".json", dir=self.folder)
            os.close(made)
            heard.file = Path(name)
            heard.note(())
        return heard

    def gather(self) -> None:
        """Read what other processes have told."""
        for file in sorted(self.folder.glob("*.json"), key=lambda file: (file.stat().st_ctime_ns, file.name)):
            with suppress(ValueError):  # a process that was ended while it wrote
                told = json.loads(file.read_text(encoding="utf-8"))
                findings = [_read(one) for one in told["findings"]]
                self.line(told["where"]).trainings.append(Heard(told["where"], findings))


def _read(told: dict[str, Any]) -> Finding:
    pairs = {key: tuple(told[key]) for key in ("rules", "consequences")}
    return Finding(**{**told, **pairs})
