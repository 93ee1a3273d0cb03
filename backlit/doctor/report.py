"""Running the checks on a subject, putting the causes first, and saying what was found."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from itertools import chain, combinations
from typing import Any

import numpy as np

from ..core import registry, seed
from ..core.check import PHASES, RANKS, SEVERITIES, Check, Finding
from ..core.errors import BacklitError, DataError, GraphError, LabelError, NonFiniteError, ShapeError
from ..core.node import here, spoken
from ..train.batches import RowBatches, StreamBatches, is_stream
from ..train.fitting import FitPlan, Given, batches
from . import (
    checks_course,
    checks_data,
    checks_first,
    checks_frozen,
    checks_init,
    checks_labels,
    checks_layers,
    checks_metrics,
    checks_modes,
    checks_pairing,
    checks_passage,
    checks_progress,
    checks_rows,
    checks_script,
    checks_sign,
    checks_steps,
    checks_structure,
    checks_time,
    checks_training,
    checks_trial,
    repairs,
)
from .ear import EAR, Heard
from .mending import Case, repair_of
from .subject import Arrays, GraphFacts, Subject, evenly
from .telling import MOST_TOLD, Checked, Report, plain, word
from .trial import first_look, overfitted
from .watch import Course, Pace, follow

# Their class statements register the checks.
MODULES = (
    checks_pairing,
    checks_labels,
    checks_sign,
    checks_structure,
    checks_layers,
    checks_init,
    checks_first,
    checks_data,
    checks_rows,
    checks_metrics,
    checks_modes,
    checks_training,
    checks_passage,
    checks_steps,
    checks_time,
    checks_script,
    checks_course,
    checks_progress,
    checks_trial,
    checks_frozen,
)
_WORK = 1e6  # multiply-adds of the products that checks make: several threads would spend longer waiting
# Rows of the rule table that any cause may lead to: dead and saturated units, gradients that vanish or explode, steps
# that are not finite, a loss that does not fall.
_SYMPTOMS = frozenset((37, 38, 39, 40, 41, 44, 45, 47, 48))
_LAST_CAUSE, _JUDGING, _LATE = (list(RANKS).index(rank) for rank in ("steps", "judging", "symptom"))
# What an exception is about that names no finding itself; any other is about no row of the table.
_REFUSED = (NonFiniteError, (41,)), (LabelError, (8, 10)), (ShapeError, (57, 8)), (DataError, (23,))
_BEFORE = ("compile", "data")  # phases that are over before the first step
_KNOWN_BY, _MOST_KNOWN = 256, 200_000  # rows by which data are known again, and numbers of them
_TOLD = ("error", "warning")  # by `fit`, which does not look for notes


# ---------------------------------------------------------------------- running the checks
def checks() -> tuple[Check, ...]:
    """Every registered check, in the order of causes."""
    return _made(tuple(registry.find(f"check.{name}") for name in Check.names()))


@cache
def _made(kinds: tuple[type[Check], ...]) -> tuple[Check, ...]:
    return tuple(sorted((kind() for kind in kinds), key=lambda check: check.ranked()))


def run(
    subject: Subject,
    phases: Sequence[str] = PHASES,
    severities: Sequence[str] = SEVERITIES,
    kept: dict[str, Sequence[Mapping[str, Any]]] | None = None,
) -> tuple[list[Finding], list[Checked]]:
    """What every check of these phases and severities finds, in the order of causes, and how each went. `kept` has the
    values that a check measured before, where they are known to be the same; new ones are added to it."""
    kept = {} if kept is None else kept
    findings: list[Finding] = []
    went: list[Checked] = []
    with np.errstate(all="ignore"), registry.lookup("threads.blas")(_WORK):
        for check in checks():
            if check.phase in phases and check.severity in severities:
                found, row = _judged(check, subject, kept)
                findings += found
                went.append(row)
    return findings, went


def _judged(
    check: Check, subject: Subject, kept: dict[str, Sequence[Mapping[str, Any]]]
) -> tuple[list[Finding], Checked]:
    """What one check finds, and how it went."""
    lacking = [need for need in check.needs if not subject.has(need)]
    if lacking:
        return [], Checked(check.title(), check.rules, check.phase, "not given", (), f"needs {', '.join(lacking)}")
    values: list[Mapping[str, Any]] = []
    findings: list[Finding] = []
    problem = ""
    try:
        values = list(kept[check.title()] if check.title() in kept else check.measure(subject))
        if check.phase in _BEFORE:
            kept[check.title()] = values
        findings = [_finding(check, v, subject) for v in values if check.wrong(v)]
    except Exception as error:  # a check must never end a training
        problem = f"{type(error).__name__}: {error}"
    state = "failed" if problem else "found" if findings else "passed" if values else "does not apply"
    return findings, Checked(check.title(), check.rules, check.phase, state, tuple(values), problem)


def _finding(check: Check, v: Mapping[str, Any], subject: Subject) -> Finding:
    layer = v["layer"]
    lines = _lines(layer, subject.facts)
    return Finding(
        check=check.title(),
        severity=check.severity,
        message=check.message(v),
        fix=check.fix(v),
        why=check.why,
        layer=layer,
        argument=check.argument,
        evidence={key: plain(value) for key, value in v.items() if key != "layer"},
        where=lines.get(check.place, ""),
        lines=lines,
        rules=check.rules,
        sure=check.sure,
        grounds=check.grounded(),
        repair=cache(partial(repair_of, subject.facts.model, partial(check.repair, v, subject))),
    )


def _lines(layer: str | None, facts: GraphFacts) -> dict[str, str]:
    """The user's lines, by PLACES: that of the layer, of `compile`, and of the call that runs."""
    lines = {"layer": facts.layer_made_at(layer), "compile": facts.model.compiled_at, "fit": here()}
    return {place: spoken(found[0]) for place, found in lines.items() if found}


def arranged(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Causes in their order, notes last; what another finding explains is told among the consequences of the first one
    that does."""
    order = sorted(findings, key=lambda one: (one.severity == "note", *_place(one)))
    followers: dict[int, list[Finding]] = {id(one): [] for one in order}
    for one, other in combinations(order, 2):  # of two that explain each other the earlier one is the cause
        if _explains(one, other):
            followers[id(one)].append(other)
        elif _explains(other, one):
            followers[id(other)].append(one)
    explained = {id(other) for found in followers.values() for other in found}
    told: set[int] = set()
    arranged = []
    for one in order:
        if id(one) not in explained:
            below = [each for each in _all_below(one, followers) if id(each) not in told]
            told.update(map(id, below))
            arranged.append(replace(one, consequences=tuple(each.said for each in below)))
    return tuple(arranged)


def _place(finding: Finding) -> tuple[int, tuple[int, ...]]:
    """Where a finding stands among the others: what was refused comes first."""
    return _rank(finding), finding.rules[:1]


def _rank(finding: Finding) -> int:
    check = registry.find(f"check.{finding.check}")
    return -1 if check is None else int(check.ranked())


def _explains(cause: Finding, other: Finding) -> bool:
    """Whether the check of the cause says so, of one layer; or the other one is what a cause of any kind looks like while
    it trains, such as steps that are too long for unscaled data. A note explains at most a note, by its name; one that is
    a symptom of the training is explained by all that can go wrong before it, and by other symptoms."""
    if _names(cause, other) or _names(other, cause):
        return _names(cause, other)
    if cause.severity == "note" or registry.find(f"check.{cause.check}") is None:
        return False
    late = registry.find(f"check.{other.check}")
    if other.severity == "note":
        trained = late is not None and late.phase not in _BEFORE
        return trained and _rank(other) == _LATE and _rank(cause) != _JUDGING
    symptom = set(other.rules[:1]) <= _SYMPTOMS or _rank(other) == _LATE
    long = late is not None and late.phase in ("first step", "during") and _rank(cause) < _rank(other) == _LAST_CAUSE
    return (symptom and _rank(cause) <= _LAST_CAUSE) or long


def _names(cause: Finding, other: Finding) -> bool:
    """Whether the check of the cause says that it explains the other one, where both may be of one layer."""
    check = registry.find(f"check.{cause.check}")
    same = None in (cause.layer, other.layer) or cause.layer == other.layer
    smaller = cause.severity == "note" != other.severity
    return check is not None and same and not smaller and other.check in check.explains


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
    course: Course | None = None  # of the last training
    kept: dict[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)  # what the checks of `_BEFORE` measured
    seen: Sequence[Any] = ()  # on these rows and settings
    pace: Pace = field(default_factory=Pace)
    problem: str = ""  # why the data could not be known again

    def know(self, arrays: Sequence[Arrays | None], asked: Mapping[str, Any]) -> None:
        """Forget what was measured unless data and settings are those of the last time, as far as some rows tell; what
        cannot be compared counts as new."""
        try:
            self.problem, seen = "", _known_by(arrays, asked)
            same = len(seen) == len(self.seen) and all(map(np.array_equal, seen, self.seen))
        except Exception as error:  # a mistake of ours must never end a training
            self.problem, seen, same = f"{type(error).__name__}: {error}", [], False
        if not same:
            self.kept, self.seen = {}, seen


def _known_by(arrays: Sequence[Arrays | None], asked: Mapping[str, Any]) -> list[Any]:
    """The settings, and of all arrays the length and some rows."""
    seen: list[Any] = [str(sorted(asked.items(), key=str))]
    for held in arrays:
        for part in () if held is None else (*held.x, *held.y, *(w for w in held.w if w is not None)):
            rows = max(_KNOWN_BY // 16, min(_KNOWN_BY, _MOST_KNOWN // max(1, part[:1].size)))
            seen += [len(part), np.array(part[evenly(len(part), rows)])]
    return seen


def examine(job: Any, held: Any, given: Given, doctor: str) -> Callable[[], None]:
    """What `fit` calls before the first step: tell what is wrong, or raise the first error ("raise"). Returns what it is
    to call after the last one."""
    model, plan, began = job.model, job.plan, time.thread_time()
    try:
        memory = model.doctor_memory = model.doctor_memory or Memory(GraphFacts(model))
    except Exception:  # a model that we cannot read is trained as it is; `diagnose` says why
        return lambda: None
    asked = _asked(plan, given)
    data, others = _arrays(model, job.batches), _arrays(model, held)
    subject = Subject(memory.facts, data, others, asked)
    memory.know((data, others), asked)
    heard = _heard()
    found: dict[tuple[str, str | None], Finding] = {}

    def judge(*phases: str) -> Sequence[Finding]:
        found.update({(one.check, one.layer): one for one in run(subject, phases, _TOLD, memory.kept)[0]})
        told = arranged(list(found.values()))
        if heard is not None:
            heard.note(told)
        return told

    printed: list[Finding] = []

    def tell(*phases: str) -> None:
        told = judge(*phases)
        if heard is None:
            printed.extend(_tell(told, memory, MOST_TOLD - len(printed)))

    errors = [one for one in judge("compile", "data") if one.severity == "error"]
    if doctor == "raise" and errors:
        model.doctor_memory = None
        raise as_error(errors[0])
    tell()

    course = memory.course = follow(job, subject, tell, memory.pace, time.thread_time() - began)

    def look_back() -> None:
        try:
            course.finish()
            subject.history = model.history.rows
            tell("after")
        except Exception as error:  # the training is over, and its result must not be lost
            course.problem = f"{type(error).__name__}: {error}"
        finally:
            course.let_go()

    return look_back


def _heard() -> Heard | None:
    """Where to write down what is found, if somebody listens instead of reading stderr."""
    ear = registry.find(EAR)
    found: Heard | None = None if ear is None else ear.began(spoken((*here(), ("", 0))[0]))
    return found


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


def _tell(findings: Sequence[Finding], memory: Memory, most: int) -> Sequence[Finding]:
    """Print what is new, at most so many of them; returns these."""
    new = [one for one in findings if (one.check, one.layer) not in memory.told]
    for one in new[:most]:
        sys.stderr.write(f"doctor warning: {one.said}\n  fix  {one.fix}   (more: model.diagnose(X, y))\n")
    memory.told.update((one.check, one.layer) for one in new)
    return new[:most]


def as_error(finding: Finding) -> BacklitError:
    """The finding as an exception."""
    found = ", ".join(f"{key} {word(value)}" for key, value in finding.evidence.items())
    kind = DataError if registry.lookup(f"check.{finding.check}").needs else GraphError
    error = kind(finding.said, found=found, why=finding.why, fix=finding.fix, where=finding.where)
    error.finding = replace(finding, repair=None)
    return error


# ---------------------------------------------------------------------- `diagnose`
def diagnose(model: Any, given: Given, batch_size: int | None, overfit: bool = False) -> Report:
    """The report of a model and its data, with a trial on a few rows if that is asked for; nothing is changed, and what is
    wrong is never raised."""
    findings: list[Finding] = []
    went: list[Checked] = []
    plan = FitPlan(batch=batch_size, epochs=range(1), shuffle=False)
    data = held = training = subject = None
    case = Case(model, given, batch_size)
    with _untouched(model), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            model.need_compiled("fit")
            training, others = batches(model, plan, given)
            data, held = _arrays(model, training), _arrays(model, others)
        except Exception as error:
            findings.append(refusal(error))
            data = _inputs_alone(model, given)
        if model.built and model.asked is not None:
            try:
                subject = _subject(model, data, held, None if data is None else _asked(plan, given))
                course = first_look(subject, training, plan) if training is not None else None
            except Exception as error:
                findings.append(refusal(error))
            else:
                findings += _trial(case, subject) if overfit else []
                more, went = run(subject)
                findings += more
                findings += _unfollowed(model, course)
                case = replace(case, subject=subject, heads=tuple(model.heads))
                findings = [_with_repair(one, subject, given) for one in findings]
        for one in findings:
            if one.repair is not None:
                one.repair()  # is worked out now, while the model is built, and kept
    return Report(model.name, arranged(findings), tuple(went), case, None if subject is None else subject.trial)


def _subject(model: Any, data: Arrays | None, held: Arrays | None, asked: Mapping[str, Any] | None) -> Subject:
    """What is examined, with the last training, as far as that was followed."""
    subject = Subject(GraphFacts(model), data, held, asked)
    if model.doctor_memory is not None and model.doctor_memory.course and model.doctor_memory.course.looks:
        subject.course, subject.history = model.doctor_memory.course, model.history.rows
    return subject


def _trial(case: Case, subject: Subject) -> list[Finding]:
    """Try to learn a few rows by heart; where that cannot be tried, a note says so."""
    try:
        subject.trial = overfitted(case, subject)
        problem = "" if subject.trial is not None else "no two rows differ, or so small a model cannot know them"
    except Exception as error:  # such as a network of somebody's own that cannot be made a second time
        problem = f"{type(error).__name__}: {error}"
    message = f"whether a few rows can be learnt by heart was not tried: {problem}."
    return [Finding(check="trial", severity="note", message=message, fix="model.fit of 16 rows")] if problem else []


def _unfollowed(model: Any, course: Course | None) -> list[Finding]:
    """A note, where the last training could not be followed, or the first step of one not be looked at."""
    memory = model.doctor_memory
    courses = [course, None if memory is None else memory.course]
    notes = [note for one in courses if one is not None for note in one.notes]
    if memory is not None and memory.problem:
        message = f"the data of the last training could not be known again, and are looked at anew: {memory.problem}."
        notes.append(
            Finding(check="watching", severity="note", message=message, fix="none: a mistake of backlit's own")
        )
    return notes


def _inputs_alone(model: Any, given: Given) -> Arrays | None:
    """X, where y or the held-out rows were refused: much can be said of it."""
    if not model.built or is_stream(given.x):
        return None
    try:
        return Arrays(model.ready(given.x, ""), None, [None] * len(model.heads))
    except Exception:  # it is X that was refused
        return None


def _with_repair(finding: Finding, subject: Subject, given: Given) -> Finding:
    """A refusal with what would be accepted, where y tells."""
    if finding.repair is not None or given.y is None:
        return finding
    make = partial(repairs.for_refused, finding, subject, given.y)
    return replace(finding, repair=cache(partial(repair_of, subject.facts.model, make)))


def refusal(error: Exception) -> Finding:
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
        rules=next((rules for kind, rules in _REFUSED if isinstance(error, kind)), ()),
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
