"""The bad programs of all checks, each with what the doctor says of it: raised, whatever its severity."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import backlit as bl
from backlit.core.check import Check, Finding
from backlit.doctor.report import as_error, checks, run
from backlit.doctor.subject import Arrays, GraphFacts, Subject


def told(check: Check) -> None:
    """Raise what the check finds in its bad program."""
    bl.random.set_seed(1)
    model, x, y, *rest = check.bad()
    given = dict(rest[0]) if rest else {}
    findings: Sequence[Finding]
    if check.phase == "after":
        rows = model.fit(x, y, verbose=0, doctor="off", **given).rows
        subject = Subject(GraphFacts(model), Arrays([x], [y], [None]), history=rows)
        findings = run(subject, ("after",))[0]
    else:
        findings = model.diagnose(x, y, **given).findings
    raise as_error(findings[0])


def cases() -> dict[str, Callable[[], object]]:
    """One case a check, by its name."""
    return {f"{check.severity}: {check.title().replace('_', ' ')}": partial(told, check) for check in checks()}
