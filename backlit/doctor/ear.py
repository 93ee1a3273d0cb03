"""Hearing all trainings of a program, whatever `doctor` they are called with, without changing what they do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from ..core import registry
from ..core.check import Finding

EAR = "ear.fit"  # what `fit` asks the registry for


@dataclass
class Heard:
    """The trainings of one line of a program: how many there were, and what was found in any of them."""

    where: str
    times: int = 0
    findings: list[Finding] = field(default_factory=list)

    def note(self, findings: Sequence[Finding]) -> None:
        """Add what was not found before; of the same finding the later one counts."""
        later = {(one.check, one.layer): one for one in findings}
        told = {text for one in findings for text in one.consequences}
        kept = [one for one in self.findings if (one.check, one.layer) not in later and one.said not in told]
        self.findings = [*kept, *later.values()]


class Ear:
    """Collects what is found in each `fit`, by its line."""

    def __init__(self) -> None:
        self.lines: dict[str, Heard] = {}

    def began(self, where: str) -> Heard:
        """One more training at that line."""
        heard = self.lines.setdefault(where, Heard(where))
        heard.times += 1
        return heard


@contextmanager
def listening() -> Iterator[Ear]:
    """Inside, in this thread, every `fit` is examined and tells what it finds here instead of on stderr."""
    ear = Ear()
    with registry.lent({EAR: ear}):
        yield ear
