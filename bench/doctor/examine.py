"""One program, run once: what the doctor says before, during and after, and how well the training went."""

from __future__ import annotations

import io
import sys
import time
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, redirect_stderr
from dataclasses import asdict, dataclass, field
from typing import Any

from backlit.core.check import Check, Finding
from backlit.core.errors import BacklitError, NonFiniteError

from . import umlaut
from .disguise import disguised
from .program import WORDS, Fault, Program, Run
from .quality import NOTHING, quality

PHASES = ("compile", "data", "first step", "during", "after")
NOT_FINITE = 41  # the row of the rule table that a step is which is not finite


@dataclass(frozen=True)
class Said:
    """One finding as the user meets it. `when`: one of PHASES."""

    check: str
    rules: tuple[int, ...]
    severity: str
    layer: str | None
    text: str
    where: str
    when: str


@dataclass
class Outcome:
    """What one run gave. `names`: under which names each layer of the program went."""

    program: str
    seed: int
    variant: str
    findings: list[Said] = field(default_factory=list)
    notes: list[Said] = field(default_factory=list)
    umlaut: list[Said] = field(default_factory=list)
    names: list[set[str]] = field(default_factory=list)
    score: float = 0.0
    trained: bool = False
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain dicts and lists."""
        return {**asdict(self), "names": [sorted(each) for each in self.names]}


def examine(program: Program, seed: int, cured: Collection[str] = (), disguise: bool = False) -> Outcome:
    """Run the program for that seed with these faults put right, examined by `diagnose` and by `fit`."""
    told = Outcome(program.name, seed, "disguised" if disguise else "cured" if cured else "plain")
    told.score = NOTHING.get(program.task, 0.0)
    began = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = program.run(seed, cured)
            if disguise:
                run, told.names = disguised(run)
            model = run.model()
            told.names = told.names or _names(program.run(seed, cured))
        except BacklitError as error:
            _note(told, [_refused(error, "compile")])
            return told
        _note(told, _before(model, run))
        _note(told, list(_fitted(model, run, told)))
        told.umlaut = [
            Said(name, rules, "warning", None, name, "", when) for name, rules, when in umlaut.said(run, model)
        ]
        if told.trained:
            told.score = quality(model, run, program.task)
    told.seconds = time.process_time() - began
    return told


def _names(run: Run) -> list[set[str]]:
    """The name of each layer of a run that is not used for anything else: it gets them when it is built."""
    if not isinstance(run.layers, list):
        return []
    run.model().build(run.x.shape[1:] or (1,))
    return [{layer.name} for layer in run.layers]


def _note(told: Outcome, found: list[Said]) -> None:
    """Add what is new: one finding a check and layer."""
    for one in found:
        kind = told.notes if one.severity == "note" else told.findings
        if (one.check, one.layer) not in {(other.check, other.layer) for other in kind}:
            kind.append(one)


def _before(model: Any, run: Run) -> list[Said]:
    """What `diagnose` finds."""
    known = ("sample_weight", "batch_size", "validation_split", "validation_data")
    given = {key: run.fit[key] for key in known if key in run.fit}
    if run.fit.get("validation_stratify"):
        given.pop("validation_split", None)
    report = model.diagnose(run.x, run.y, **given)
    return [_said(one, _phase(one)) for one in report.findings]


def _phase(one: Finding) -> str:
    """When a check finds something that is told before the first step; a refusal needs data."""
    phase = Check.named(one.check).phase if one.check in Check.names() else "data"
    return phase if phase in PHASES[:3] else "first step"


def _said(one: Finding, when: str) -> Said:
    rules = () if one.check == "refused" else one.rules  # somebody's own code, or ours: its words tell what is meant
    return Said(one.check, rules, one.severity, one.layer, f"{one.message} {one.fix}", one.where, when)


def _refused(error: BacklitError, when: str) -> Said:
    """An exception as a finding; one that is none names no rule, and is judged by its words."""
    if isinstance(error.finding, Finding):
        said = _said(error.finding, when)
        return (
            Said(**{**asdict(said), "rules": (NOT_FINITE,)})
            if isinstance(error, NonFiniteError) and not said.rules
            else said
        )
    text = f"{error.message} {' '.join(error.fields.values())}"
    return Said("refused", (), "error", None, text, error.fields.get("where", ""), when)


def _fitted(model: Any, run: Run, told: Outcome) -> Iterator[Said]:
    """What `fit` tells that is new, with the step at which it was told."""
    ears = _Ears(model)
    with _noticed(made := []), redirect_stderr(ears):
        try:
            model.fit(run.x, run.y, verbose=0, doctor="warn", **run.fit)
            told.trained = True
        except BacklitError as error:
            step = model.iterations
            yield _refused(
                error, "data" if not isinstance(error, NonFiniteError) else "during" if step else "first step"
            )
    for line, step in ears.lines:
        said = line.removeprefix("doctor warning: ")
        found = [one for one in made if one.said == said]
        if said != line and found:
            yield _said(found[-1], _when(found[-1], step, model.iterations))


def _when(one: Finding, step: int, steps: int) -> str:
    if step == 0:
        return _phase(one)
    return "first step" if step == 1 < steps else "during" if step < steps else "after"


class _Ears(io.TextIOBase):
    """A stderr that keeps each line with the number of steps done by then."""

    def __init__(self, model: Any):
        self.model = model
        self.lines: list[tuple[str, int]] = []
        self.begun = ""

    def write(self, text: str) -> int:
        """Keep the lines that end here."""
        *whole, self.begun = (self.begun + text).split("\n")
        self.lines += [(line, int(self.model.iterations)) for line in whole]
        return len(text)


@contextmanager
def _noticed(made: list[Finding]) -> Iterator[None]:
    """Every Finding that is made inside: what is printed is looked up among them."""
    original = Finding.__init__

    def init(self: Finding, **values: Any) -> None:
        original(self, **values)
        made.append(self)

    Finding.__init__ = init  # type: ignore[method-assign]
    try:
        yield
    finally:
        Finding.__init__ = original  # type: ignore[method-assign]


# ---------------------------------------------------------------------- right or wrong
def hit(program: Program, one: Said) -> str | None:
    """The fault that a finding names, "" where it names what may be named, too, None where it is a false alarm."""
    for name, fault in program.faults.items():
        if set(one.rules) & set(fault.rules) or (not one.rules and says(fault, one)):
            return name
    return "" if set(one.rules) & set(program.extra) else None


def says(fault: Fault, one: Said) -> bool:
    """Whether the message or its fix speaks of the argument that is wrong."""
    return any(word in one.text for word in WORDS[fault.argument])


def placed(fault: Fault, one: Said, told: Outcome) -> bool:
    """Whether it names the layer, where there is one, the argument, and a line."""
    right = True
    if fault.layer is not None and told.names and one.check != "refused":
        right = one.layer in told.names[fault.layer]
    return right and says(fault, one) and bool(one.where)


# ---------------------------------------------------------------------- what it costs
def overhead(program: Program, seed: int, rounds: int = 2) -> tuple[float, float, bool]:
    """CPU seconds of `fit` without and with the doctor, the least of some rounds in alternation, and whether the weights
    are the same bits."""
    taken: dict[str, list[float]] = {"off": [], "warn": []}
    weights: dict[str, list[bytes]] = {}
    for _ in range(rounds):
        for doctor in taken:
            run = program.run(seed)
            model = run.model()
            with redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                began = time.process_time()
                model.fit(run.x, run.y, verbose=0, doctor=doctor, **run.fit)
                taken[doctor].append(time.process_time() - began)
            weights[doctor] = [array.tobytes() for array in model.get_weights()]
    return min(taken["off"]), min(taken["warn"]), weights["off"] == weights["warn"]


def note_progress(text: str) -> None:
    """One line on stderr that the next one replaces."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{text:<78}")
