"""A report, and its words: text, HTML, JSON."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..core import arguments
from ..core.arguments import Count, Positive
from ..core.check import SEVERITIES, Finding
from .mending import Case, Mended, Proof
from .proof import GREEN, bars, picture
from .trial import Trial

MOST_TOLD = 3  # findings in full; the others in a line each
_GROUNDS = {
    "proof": "certain: it follows from the graph, whatever the weights and data are",
    "measured": "measured here",
    "rule of thumb": "a rule of thumb",
}
_PAIRING = frozenset(range(1, 9))  # rows of the rule table about an output and its loss
_COLOURS = {"error": "#c62828", "warning": "#b26a00", "note": "#546e7a"}
_STYLE = (
    "<style>.backlit-report{font:14px/1.45 system-ui,sans-serif;max-width:60em}"
    ".backlit-report .finding{border-left:4px solid;padding:.3em 0 .5em 1em;margin:.8em 0}"
    ".backlit-report h4{margin:0;font-size:1em;font-weight:600;color:inherit}"
    ".backlit-report dl{display:grid;grid-template-columns:6em 1fr;gap:.2em .8em;margin:.5em 0 0}"
    ".backlit-report dt{opacity:.7}.backlit-report dd{margin:0;overflow-wrap:anywhere}"
    ".backlit-report code,.backlit-report pre{font:13px/1.4 ui-monospace,monospace;margin:0;white-space:pre-wrap}"
    ".backlit-report td,.backlit-report th{text-align:left;padding:.1em .8em .1em 0;vertical-align:top}"
    ".backlit-report table{border-collapse:collapse;font-size:13px}</style>"
)


@dataclass(frozen=True)
class Checked:
    """One check and how it went. `state`: "found", "passed", "does not apply", "not given" (it needs what was not there)
    or "failed" (the check itself raised `problem`, which is a mistake of the doctor's)."""

    check: str
    rules: tuple[int, ...]
    phase: str
    state: str
    values: tuple[Mapping[str, Any], ...] = ()
    problem: str = ""


@dataclass(frozen=True)
class Report:
    """All findings, causes first, each with its consequences; and every check with the values that it looked at.

    `print` tells the first three findings in full; `.findings` has all, `.checked` the rules, `.to_json()` everything.
    """

    model: str
    findings: tuple[Finding, ...] = ()
    checked: tuple[Checked, ...] = field(default=(), repr=False)
    case: Case | None = field(default=None, repr=False, compare=False)
    trial: Trial | None = field(default=None, repr=False, compare=False)

    @property
    def ran(self) -> list[Checked]:
        """The checks that judged something."""
        return [one for one in self.checked if one.state in ("found", "passed")]

    @property
    def mendable(self) -> list[Finding]:
        """The findings whose fix a program can make."""
        return [one for one in self.findings if one.repair is not None and one.repair() is not None]

    def apply(self, *which: int) -> Mended:
        """A new model and arguments of `fit` with the fixes that a program can make: those of all findings, or of these
        places in `.findings`. The model that was examined stays as it is; what is changed is told on stderr.

        `.model` is compiled, and starts from the first weights where it was trained before; `.x`, `.y`, `.arguments` go
        to `fit`, which `.fit(epochs=…)` calls; `.changes` lists what is different. Raises NotReadyError where no fix is
        mechanical, ValueRangeError for a place that is not there.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.layers.Dense(1, "softmax", name="out")])
        >>> model.compile(optimizer="sgd", loss="binary_crossentropy")
        >>> print(model.diagnose([[0.0], [1.0]], [0, 1]).apply())
        layer out: activation='softmax' becomes 'sigmoid'
        """
        return self._case().apply(self.findings, which)

    @arguments.checked
    def prove(self, steps: Count = 200, seconds: Positive = 8.0, which: Sequence[int] = ()) -> Proof:
        """The same short training twice, with and without the fixes of `apply`, from the same seed: after at most
        `steps` steps and `seconds` seconds the loss and the share of right answers (or R²) of both, on the same rows.

        Both are copies: model, optimizer and random streams of yours stay as they are. `print` shows the curves; `.before`
        and `.after` have `.steps`, `.losses`, `.scores`. Where nothing but the number of epochs changes, both lengths are
        compared, of the longer one at most `steps` steps more; fewer epochs by the held-out rows, without which they are
        refused. Of a stream the first batches are trained on, of a generator the one that was examined. Errors as in
        `apply`, and NotReadyError where there are no rows or too little time.

        >>> import backlit as bl
        >>> X = [[float(k)] for k in range(-20, 20)]
        >>> model = bl.Sequential([bl.layers.Dense(1, "softmax", name="out")])
        >>> model.compile(optimizer=bl.optimizers.Adam(0.1), loss="binary_crossentropy")
        >>> proof = model.diagnose(X, [int(x[0] > 0) for x in X]).prove(steps=100)
        >>> proof.before.scores[-1] < 0.5, proof.after.scores[-1] > 0.9
        (True, True)
        """
        return self._case().prove(self.findings, which, steps, seconds)

    def _case(self) -> Case:
        return self.case or Case(None)

    def __str__(self) -> str:
        told = list(map(in_full, self.findings[:MOST_TOLD]))
        told += [f"also {one.severity}: {one.said}" for one in self.findings[MOST_TOLD:]]
        tried = [] if self.trial is None else [f"{self.trial} {bars(self.trial.known, (0.0, 1.0, *self.trial.known))}"]
        if any(one.severity != "note" for one in self.findings):
            more = ["report.prove() tries the fix, report.apply() makes it."] if self.mendable else []
            return "\n".join([self.title, *told, *tried, *more])
        rows = [f"  {one.check:<28} {_shown(one)}" for one in self.ran]
        return "\n".join([self.title, *rows, *told, *tried])

    @property
    def title(self) -> str:
        """The first line."""
        ran = f"{len(self.ran)} rules were checked"
        if any(one.severity != "note" for one in self.findings):
            return f"{_count(self.findings)}; {ran}."
        return f"No cause found; {ran}:"

    def _repr_html_(self) -> str:
        cards = "".join(map(_card, self.findings))
        rows = "".join(f"<tr><td>{html.escape(one.check)}<td>{html.escape(_shown(one))}" for one in self.ran)
        opened = "" if any(one.severity != "note" for one in self.findings) else " open"
        checked = f"<details{opened}><summary>The rules and their values</summary><table>{rows}</table></details>"
        return (
            f"{_STYLE}<div class='backlit-report'><p>{html.escape(self.title)}</p>{cards}{self._tried}{checked}</div>"
        )

    @property
    def _tried(self) -> str:
        if self.trial is None:
            return ""
        said = f"loss on {self.trial.rows} rows alone, over that of a constant"
        return f"<p>{html.escape(str(self.trial))}</p>{picture(said, ((self.trial.known, GREEN, ''),))}"

    def to_json(self) -> dict[str, Any]:
        """The report as plain dicts, lists, numbers and text."""
        mendable = set(map(id, self.mendable))
        findings = [{**plain(one.to_json()), "mechanical": id(one) in mendable} for one in self.findings]
        told = {"model": self.model, "findings": findings, "checked": [plain(vars(one)) for one in self.checked]}
        return told if self.trial is None else {**told, "trial": plain(self.trial.to_json())}


def _count(findings: Sequence[Finding]) -> str:
    parts = []
    for severity in SEVERITIES:
        if count := sum(one.severity == severity for one in findings):
            parts.append(f"{count} {severity}{'s' if count > 1 else ''}")
    return ", ".join(parts)


def rows_of(finding: Finding) -> list[tuple[str, str]]:
    """What is told of a finding below its message: (word, text)."""
    known = {key: value for key, value in finding.evidence.items() if not isinstance(value, bool) and value is not None}
    refused = {key: str(known.pop(key)) for key in ("expected", "found") if key in known}  # in words, from the door
    found = ", ".join(f"{key.replace('_', ' ')} {word(value)}" for key, value in known.items() if key != "maker")
    of_layer = finding.layer and finding.where == finding.lines.get("layer")
    what = f"{finding.argument} of {finding.layer}" if of_layer else finding.argument
    rows = [
        ("expected", refused.get("expected", "")),
        ("found", refused.get("found") or found),
        ("why", finding.why),
        ("fix", finding.fix),
        ("what", what if finding.argument else ""),
        ("where", finding.where),
        *(("and", line) for line in _others(finding)),
        ("sure", sureness(finding.sure, finding.grounds)),
        ("rule", ", ".join(map(str, finding.rules))),
    ]
    return [(key, value) for key, value in rows if value] + [("then", each) for each in finding.consequences]


def _others(finding: Finding) -> list[str]:
    """The other line to look at: an output and its loss stand in two places."""
    paired = finding.layer and _PAIRING & set(finding.rules)
    lines = [finding.lines.get(place, "") for place in ("layer", "compile")] if paired else []
    return [line for line in lines if line and line != finding.where]


def sureness(sure: float, grounds: str) -> str:
    """How sure a finding is, in words and, where it is less than certain, as a number."""
    share = f", right in about {sure:.0%} of such cases" if sure < 1 else ""
    return f"{_GROUNDS[grounds]}{share}" if grounds else ""


def in_full(finding: Finding) -> str:
    """A finding with everything that is known of it, in lines."""
    rows = rows_of(finding)
    width = max([6, *(len(key) for key, _ in rows)])
    return "\n".join([f"{finding.severity}: {finding.said}", *(f"  {key:<{width}} {value}" for key, value in rows)])


def _card(finding: Finding) -> str:
    colour = _COLOURS[finding.severity]
    cells = []
    for key, value in rows_of(finding):
        said = html.escape(value)
        cells.append(f"<dt>{key}<dd>{f'<code>{said}</code>' if key in ('fix', 'where', 'and') else said}")
    head = f"<h4><span style='color:{colour}'>{finding.severity}</span> {html.escape(finding.said)}</h4>"
    return f"<div class='finding' style='border-color:{colour}'>{head}<dl>{''.join(cells)}</dl></div>"


def _shown(one: Checked) -> str:
    given = [{key: value for key, value in v.items() if value is not None} for v in one.values]
    return "; ".join(", ".join(f"{key.replace('_', ' ')} {word(value)}" for key, value in v.items()) for v in given)


def word(value: Any) -> str:
    """A value of the evidence as text."""
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"[{', '.join(map(word, value))}]" if isinstance(value, (list, tuple)) else str(value)


def plain(value: Any) -> Any:
    """A value as JSON can hold it: NumPy numbers as Python's, numbers that are not finite as text."""
    if isinstance(value, Mapping):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
