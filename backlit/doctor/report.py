"""Running the checks on a subject, putting the causes first, and saying what was found."""

from __future__ import annotations

import html
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from typing import Any

import numpy as np

from ..core import registry, seed
from ..core.check import PHASES, SEVERITIES, Check, Finding
from ..core.errors import BacklitError, DataError, GraphError
from ..core.node import here, spoken
from ..train.batches import RowBatches, StreamBatches
from ..train.fitting import FitPlan, Given, batches
from . import checks_data, checks_pairing, checks_structure, checks_training
from .subject import Arrays, GraphFacts, Subject

MODULES = checks_pairing, checks_structure, checks_data, checks_training  # their class statements register the checks
_MOST_PRINTED = 2
_TOLD = ("error", "warning")  # by `fit`, which does not look for notes
# The rows of the rule table by what causes what: data, pairing, structure, first weights, scale, batches and steps, the
# rows that judge, symptoms. Findings are told in this order.
_CAUSES = (
    (8, 9, 10, 11, 23, 27, 28, 29),
    (1, 2, 3, 4, 5, 6, 7, 12),
    (13, 14, 15, 46, 52, 53, 54, 56, 57),
    (16, 17, 18, 19),
    (20, 21, 22, 24),
    (31, 32, 33, 34, 35, 36, 55),
    (25, 26, 30),
    (37, 38, 39, 40, 41, 42, 43, 44, 45, 47, 48, 49, 50, 51, 58),
)


# ---------------------------------------------------------------------- what was found
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
    """All findings, causes first, each with its consequences; and every check with the values that it looked at."""

    model: str
    findings: tuple[Finding, ...] = ()
    checked: tuple[Checked, ...] = field(default=(), repr=False)

    @property
    def ran(self) -> list[Checked]:
        """The checks that judged something."""
        return [one for one in self.checked if one.state in ("found", "passed")]

    def __str__(self) -> str:
        told = list(map(_told_in_full, self.findings))
        if any(one.severity != "note" for one in self.findings):
            return "\n".join([f"{_count(self.findings)}; {len(self.ran)} rules were checked.", *told])
        rows = [f"  {one.check:<28} {_shown(one)}" for one in self.ran]
        return "\n".join([f"No cause found; {len(self.ran)} rules were checked:", *rows, *told])

    def _repr_html_(self) -> str:
        cells = [[one.severity, one.layer or "", one.message, one.fix] for one in self.findings]
        if not cells:
            cells = [["passed", one.check, _shown(one), ""] for one in self.ran]
        head = html.escape(str(self).partition("\n")[0])
        rows = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in cells)
        return f"<table><caption style='text-align:left'>{head}</caption>{rows}</table>"

    def to_json(self) -> dict[str, Any]:
        """The report as plain dicts, lists, numbers and text."""
        findings = [_plain(one.to_json()) for one in self.findings]
        return {"model": self.model, "findings": findings, "checked": [_plain(vars(one)) for one in self.checked]}


def _count(findings: Sequence[Finding]) -> str:
    parts = []
    for severity in SEVERITIES:
        if count := sum(one.severity == severity for one in findings):
            parts.append(f"{count} {severity}{'s' if count > 1 else ''}")
    return ", ".join(parts)


def _told_in_full(finding: Finding) -> str:
    found = ", ".join(f"{key} {_word(value)}" for key, value in finding.evidence.items())
    rules = ", ".join(map(str, finding.rules))
    rows = {"found": found, "why": finding.why, "fix": finding.fix, "where": finding.where, "rule": rules}
    lines = [(key, value) for key, value in rows.items() if value] + [("then", each) for each in finding.consequences]
    return "\n".join([f"{finding.severity}: {finding.said}", *(f"  {key:<6} {value}" for key, value in lines)])


def _shown(one: Checked) -> str:
    given = [{key: value for key, value in v.items() if value is not None} for v in one.values]
    return "; ".join(", ".join(f"{key} {_word(value)}" for key, value in v.items()) for v in given)


def _word(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"[{', '.join(map(_word, value))}]" if isinstance(value, (list, tuple)) else str(value)


def _plain(value: Any) -> Any:
    """A value as JSON can hold it: NumPy numbers as Python's, numbers that are not finite as text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    value = value.item() if isinstance(value, np.generic) else value
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


# ---------------------------------------------------------------------- running the checks
def checks() -> tuple[Check, ...]:
    """Every registered check, in the order of causes."""
    return _made(tuple(Check.named(name) for name in Check.names()))


@cache
def _made(kinds: tuple[type[Check], ...]) -> tuple[Check, ...]:
    return tuple(sorted((kind() for kind in kinds), key=lambda check: _cause(check.rules)))


def _cause(rules: Sequence[int]) -> int:
    return next((place for place, group in enumerate(_CAUSES) if set(rules[:1]) & set(group)), len(_CAUSES))


def run(
    subject: Subject, phases: Sequence[str] = PHASES, severities: Sequence[str] = SEVERITIES
) -> tuple[list[Finding], list[Checked]]:
    """What every check of these phases and severities finds, in the order of causes, and how each went."""
    findings: list[Finding] = []
    went: list[Checked] = []
    for check in checks():
        if check.phase not in phases or check.severity not in severities:
            continue
        lacking = [need for need in check.needs if not subject.has(need)]
        values: list[Mapping[str, Any]] = []
        wrong: list[Mapping[str, Any]] = []
        problem = ""
        if not lacking:
            try:
                with np.errstate(all="ignore"):
                    values = list(check.measure(subject))
                    wrong = [v for v in values if check.wrong(v)]
                    findings += [_finding(check, v, subject) for v in wrong]
            except Exception as error:  # a check must never end a training
                problem = f"{type(error).__name__}: {error}"
        state = "failed" if problem else "not given" if lacking else "found" if wrong else "passed" if values else ""
        row = Checked(check.title(), check.rules, check.phase, state or "does not apply", tuple(values), problem)
        went.append(replace(row, problem=f"needs {', '.join(lacking)}") if lacking else row)
    return findings, went


def _finding(check: Check, v: Mapping[str, Any], subject: Subject) -> Finding:
    layer = v["layer"]
    return Finding(
        check=check.title(),
        severity=check.severity,
        message=check.message(v),
        fix=check.fix(v),
        why=check.why,
        layer=layer,
        evidence={key: _plain(value) for key, value in v.items() if key != "layer"},
        where=_where(check.place, layer, subject.facts),
        rules=check.rules,
        sure=check.sure,
    )


def _where(place: str, layer: str | None, facts: GraphFacts) -> str:
    """The user's line: that of the layer, of `compile`, or of the call that runs."""
    lines = {"layer": facts.layer_made_at(layer), "compile": facts.model.compiled_at, "fit": here()}[place]
    return spoken(lines[0]) if lines else ""


def arranged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Causes in their order, notes last; what another finding explains is told among its consequences."""
    order = sorted(findings, key=lambda one: (one.severity == "note", *_place(one)))
    followers = {id(one): [other for other in order if _explains(one, other)] for one in order}
    explained = {id(other) for found in followers.values() for other in found}
    return tuple(
        replace(one, consequences=tuple(each.said for each in _all_below(one, followers)))
        for one in order
        if id(one) not in explained
    )


def _place(finding: Finding) -> tuple[int, tuple[int, ...]]:
    """Where a finding stands among the others: what was refused comes first."""
    refused = registry.find(f"check.{finding.check}") is None
    return -1 if refused else _cause(finding.rules), finding.rules[:1]


def _explains(cause: Finding, other: Finding) -> bool:
    check = registry.find(f"check.{cause.check}")
    same = None in (cause.layer, other.layer) or cause.layer == other.layer
    return check is not None and same and other.check in check.explains


def _all_below(cause: Finding, followers: Mapping[int, Sequence[Finding]]) -> list[Finding]:
    found: dict[int, Finding] = {}
    waiting = list(followers[id(cause)])
    while waiting:
        one = waiting.pop(0)
        if id(one) not in found:
            found[id(one)] = one
            waiting += followers[id(one)]
    return list(found.values())


# ---------------------------------------------------------------------- in `fit`
@dataclass
class Memory:
    """What the doctor keeps of a model until the next `compile`: the facts of its graph, and what it has told."""

    facts: GraphFacts
    told: set[tuple[str, str | None]] = field(default_factory=set)


def examine(job: Any, held: Any, given: Given, doctor: str) -> Callable[[], None]:
    """What `fit` calls before the first step: tell what is wrong, or raise the first error ("raise"). Returns what it is
    to call after the last one."""
    model, plan = job.model, job.plan
    try:
        memory = model.doctor_memory = model.doctor_memory or Memory(GraphFacts(model))
    except Exception:  # a model that we cannot read is trained as it is; `diagnose` says why
        return lambda: None
    asked = _asked(plan, given)
    subject = Subject(memory.facts, _arrays(model, job.batches), _arrays(model, held), asked)
    found = arranged(run(subject, ("compile", "data"), _TOLD)[0])
    if doctor == "raise" and (errors := [one for one in found if one.severity == "error"]):
        model.doctor_memory = None
        raise as_error(errors[0])
    _tell(found, memory)

    def look_back() -> None:
        subject.history = model.history.rows
        _tell(arranged(run(subject, ("after",), _TOLD)[0]), memory)

    return look_back


def _asked(plan: FitPlan, given: Given) -> dict[str, Any]:
    """The arguments of `fit` that checks read."""
    share = 0.0 if given.stratify or given.held is not None else given.share
    return {"batch_size": plan.batch, "epochs": len(plan.epochs), "validation_split": share}


def _arrays(model: Any, batches: Any) -> Arrays | None:
    """The arrays behind the batches; of a stream the first batch, which is put back."""
    if isinstance(batches, StreamBatches):
        first = next(batches.feeds)
        batches.feeds = chain([first], batches.feeds)
        return Arrays(first.x, first.y, first.w, whole=False)
    if not isinstance(batches, RowBatches):
        return None
    columns = iter(batches.columns)
    x, y = ([next(columns) for _ in part] for part in (model.inputs, model.heads))
    return Arrays(x, y, [None if shape is None else next(columns) for shape in batches.weights])


def _tell(findings: Sequence[Finding], memory: Memory) -> None:
    new = [one for one in findings if (one.check, one.layer) not in memory.told]
    for one in new[:_MOST_PRINTED]:
        sys.stderr.write(f"doctor warning: {one.said}\n  fix  {one.fix}   (more: model.diagnose(X, y))\n")
    memory.told.update((one.check, one.layer) for one in new)


def as_error(finding: Finding) -> BacklitError:
    """The finding as an exception."""
    found = ", ".join(f"{key} {_word(value)}" for key, value in finding.evidence.items())
    kind = DataError if registry.lookup(f"check.{finding.check}").needs else GraphError
    error = kind(finding.said, found=found, why=finding.why, fix=finding.fix, where=finding.where)
    error.finding = finding
    return error


# ---------------------------------------------------------------------- `diagnose`
def diagnose(model: Any, given: Given, batch_size: int | None) -> Report:
    """The report of a model and its data; nothing is changed, and what is wrong is never raised."""
    findings: list[Finding] = []
    went: list[Checked] = []
    plan = FitPlan(batch=batch_size, epochs=range(1), shuffle=False)
    data = held = None
    with _untouched(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.need_compiled("fit")
            data, held = (_arrays(model, each) for each in batches(model, plan, given))
        except Exception as error:
            findings.append(_refusal(error))
        if model.built and model.asked is not None:
            try:
                subject = Subject(GraphFacts(model), data, held, None if data is None else _asked(plan, given))
            except Exception as error:
                findings.append(_refusal(error))
            else:
                more, went = run(subject)
                findings += more
    return Report(model.name, arranged(findings), tuple(went))


def _refusal(error: Exception) -> Finding:
    """What the door refuses, or what somebody's own code raises, as a finding."""
    finding = getattr(error, "finding", None)
    if isinstance(finding, Finding):
        return finding
    fields: dict[str, str] = getattr(error, "fields", {})
    return Finding(
        check="refused",
        severity="error",
        message=getattr(error, "message", f"{type(error).__name__}: {error}"),
        fix=fields.get("fix", ""),
        why=fields.get("why", ""),
        evidence={key: fields[key] for key in ("expected", "found") if key in fields},
        where=fields.get("where", ""),
        rules=(8,),
    )


@contextmanager
def _untouched(model: Any) -> Iterator[None]:
    """Whatever is built inside is taken back afterwards: attributes of all layers, values, names, the count of seeds."""
    kept = [(layer, dict(layer.__dict__), _contents(layer)) for layer in model.everything()]
    leaves = [(leaf, leaf.name, leaf.array.copy()) for leaf in model.weights] if not model.built else []
    counted = dict(seed._state)
    try:
        yield
    finally:
        seed._state.update(counted)
        for leaf, name, array in leaves:
            leaf.rename(name)
            leaf.array[...] = array
        for layer, attributes, contents in kept:
            layer.__dict__.clear()
            layer.__dict__.update(attributes)
            for container, content in contents:
                _refill(container, content)


def _contents(layer: Any) -> list[tuple[Any, Any]]:
    return [(value, value.copy()) for value in layer.__dict__.values() if type(value) in (list, dict, set)]


def _refill(container: Any, content: Any) -> None:
    container.clear()
    container.extend(content) if isinstance(container, list) else container.update(content)


registry.register("doctor.examine", examine)
registry.register("doctor.diagnose", diagnose)
