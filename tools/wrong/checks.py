"""The bad programs of the checks before the first step, each with what the doctor says of it: raised, whatever its severity.

What is found while a program trains stands, with its numbers, in docs/doctor.md: they differ a little from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import backlit as bl
from backlit.core.check import Check
from backlit.doctor.report import as_error, checks


def told(check: Check) -> None:
    """Raise what the check finds in its bad program."""
    bl.random.set_seed(1)
    model, x, y, *rest = check.bad()
    findings = model.diagnose(x, y, **(rest[0] if rest else {})).findings
    raise as_error(next(finding for finding in findings if finding.check == check.title()))


def cases() -> dict[str, Callable[[], object]]:
    """One case a check, by its name."""
    before = [check for check in checks() if check.phase in ("compile", "data")]
    return {f"{check.severity}: {check.title().replace('_', ' ')}": partial(told, check) for check in before}
