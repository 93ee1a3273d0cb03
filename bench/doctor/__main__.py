"""Measure the doctor: `python -m bench.doctor [--seeds 5] [--only NAME] [--split dev|held-out|unseen] [--json FILE]`.

Every program is examined by `diagnose` and by `fit`, with several seeds: as it is, in disguise, and healed. The programs
that are held out are never named: of them only the totals are shown.
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from backlit.layers import Dense
from backlit.optimizers import Adam

from . import (
    cases_first,
    cases_second,
    healthy_classes,
    healthy_numbers,
    later_classes,
    later_classes_more,
    later_numbers,
    later_numbers_more,
    latest_programs,
    mutants_classes,
    mutants_numbers,
    score,
)
from .baselines import DOCTORS
from .data import table
from .examine import PHASES, Outcome, examine, note_progress, overhead
from .program import PROGRAMS, SPLITS, Program, Run
from .score import Case, named

MODULES = (
    *(cases_first, cases_second, mutants_classes, mutants_numbers, healthy_numbers, healthy_classes),
    *(later_numbers, later_numbers_more, later_classes, later_classes_more),
    latest_programs,
)
_ROUNDS = 3
_COLUMNS = ("named", "recall", "precision", "first", "placed")


def chosen(split: str, only: str | None = None) -> list[Program]:
    """The programs of one side, or those of it with that in their name."""
    side = [one for one in PROGRAMS.values() if one.split == split]
    return [one for one in side if only is None or only in one.name]


def measured(program: Program, seed: int) -> Case:
    """One faulty program in all its forms."""
    case = Case(
        program, examine(program, seed), examine(program, seed, disguise=True), examine(program, seed, program.faults)
    )
    faults = named(program, case.plain.findings)
    if faults:
        case.fault = faults[0]
        case.cured = examine(program, seed, faults[:1]) if len(program.faults) > 1 else case.healed
    case.found = set(faults)
    for _ in range(_ROUNDS - 1):
        if not case.found or score.best(program, case.found) == 1:
            break
        again = examine(program, seed, sorted(case.found))
        case.found |= set(named(program, again.findings))
    return case


def run(programs: Sequence[Program], seeds: int) -> tuple[list[Case], list[Outcome]]:
    """All faulty programs, and all that is healthy: the healed ones, and those that never were anything else."""
    cases: list[Case] = []
    healthy: list[Outcome] = []
    for place, program in enumerate(programs):
        note_progress(f"{place + 1} of {len(programs)}")
        for seed in range(seeds):
            if program.faults:
                cases.append(measured(program, seed))
            else:
                healthy.append(examine(program, seed))
    note_progress("")
    return cases, healthy


# ---------------------------------------------------------------------- what it costs
def _long() -> Program:
    """A longer training as a yardstick: the digits twenty times over, three layers."""

    def make(rng: np.random.Generator) -> Run:
        x, y = table("digits", rng)
        layers = [Dense(128, "relu"), Dense(64, "relu"), Dense(10, "softmax")]
        x, y = np.tile(x / 16, (20, 1)), np.tile(y, 20)
        return Run(layers, "sparse_categorical_crossentropy", Adam(), x, y, {"epochs": 10, "batch_size": 64})

    return Program("long", "healthy", "multi-class", make, {}, ())


def costs(programs: Sequence[Program]) -> dict[str, Any]:
    """CPU time with and without the doctor, and in how many trainings the weights were the same bits."""
    overhead(_long(), 0, rounds=1)  # kernels are compiled once
    off, warn, _ = overhead(_long(), 0, rounds=3)
    taken = []
    for place, program in enumerate(programs):
        note_progress(f"{place + 1} of {len(programs)}, costs")
        try:
            taken.append(overhead(program, 0))
        except ValueError:  # what cannot be trained costs nothing
            continue
    note_progress("")
    more = [(with_doctor - without) * 1e3 for without, with_doctor, _ in taken]
    return {
        "long_seconds": off,
        "long_share": warn / off - 1,
        "median_ms": statistics.median(more) if more else 0.0,
        "most_ms": max(more, default=0.0),
        "share": sum(each[1] for each in taken) / max(sum(each[0] for each in taken), 1e-9) - 1,
        "same_bits": sum(each[2] for each in taken),
        "trainings": len(taken),
    }


# ---------------------------------------------------------------------- tables
def _percent(value: float) -> str:
    return "–" if value != value else f"{value:.0%}"


def _with_bounds(value: tuple[float, float, float]) -> str:
    return f"{_percent(value[0])} ({100 * value[1]:.0f}–{100 * value[2]:.0f})"


def totals(cases: Sequence[Case], healthy: Sequence[Outcome]) -> dict[str, dict[str, Any]]:
    """Every doctor's shares on the faulty programs, the same in disguise, and on the healthy ones."""
    plain = [(one.program, one.plain) for one in cases]
    disguised = [(one.program, one.disguised) for one in cases]
    quiet = [*healthy, *(one.healed for one in cases)]
    found = {}
    for name, doctor in DOCTORS.items():
        found[name] = {
            "plain": score.of_faulty(plain, doctor) if plain else {},
            "disguised": score.of_faulty(disguised, doctor) if disguised else {},
            "healthy": score.of_healthy(quiet, doctor) if quiet else {},
        }
    return found


def _scores(found: dict[str, dict[str, Any]], kind: str, title: str) -> Table:
    drawn = Table(title=title, box=None, title_justify="left", pad_edge=False)
    heads = ("", "named", "recall", "precision", "first right", "right place", "findings", "alarms", "errors")
    for head in heads:
        drawn.add_column(head, justify="right" if head else "left")
    for name, each in found.items():
        shares, quiet = each[kind], each["healthy"]
        show = _with_bounds if name == "backlit" else lambda value: _percent(value[0])
        alarms = [show(quiet[key]) for key in ("alarms", "errors")] if quiet else ["–", "–"]
        cells = [show(shares[key]) for key in _COLUMNS] if shares else ["–"] * len(_COLUMNS)
        drawn.add_row(name, *cells, f"{shares['findings'][0]:.1f}" if shares else "–", *alarms)
    return drawn


def _more(cases: Sequence[Case]) -> list[str]:
    """What only our own doctor is asked."""
    told = [one for one in cases if one.cured is not None]
    when = score.moments(cases)
    works = score.share(one.gone and (one.better or one.program.faults[one.fault].silent) for one in told)
    repaired = sum(score.best(one.program, one.found) for one in cases) / max(1, len(cases))
    return [
        f"recall in three rounds of repairs: {_percent(repaired)}",
        f"the first fix works: {_percent(works)} of {len(told)} (trains better {_percent(score.share(c.better for c in told))}, "
        f"finding gone {_percent(score.share(c.gone for c in told))})",
        "found: " + ", ".join(f"{phase} {_percent(when[phase] / max(1, len(cases)))}" for phase in (*PHASES, "never")),
        f"same first finding with every seed: {_percent(score.agreement(cases))}; "
        f"named by a step that is not finite alone: {_percent(score.share(map(score.by_crash, cases)))}",
    ]


def _details(cases: Sequence[Case], healthy: Sequence[Outcome]) -> list[str]:
    """The programs in which something was missed, or said without reason."""
    lines = ["", "no right finding (plain, disguised: of the seeds):"]
    plain, other = (score.by_program(cases, each) for each in (lambda c: c.plain, lambda c: c.disguised))
    for name, runs in plain.items():
        program = PROGRAMS[name]
        missed = [sum(not named(program, said) for said in each) for each in (runs, other[name])]
        if any(missed):
            wrong = sorted({one.check for said in runs for one in said})
            rules = ", ".join(f"{key} {fault.rules[0]}" for key, fault in program.faults.items())
            lines.append(
                f"  {name:<44} {missed[0]}, {missed[1]} of {len(runs)}   rule: {rules}   said: {', '.join(wrong) or '–'}"
            )
    lines += ["", "said of what is healthy:"]
    for outcome in [*healthy, *(one.healed for one in cases)]:
        lines += [
            f"  {outcome.program:<34} {outcome.variant:<6} seed {outcome.seed}  {one.severity} {one.check}: {one.text[:110]}"
            for one in outcome.findings
        ]
    lines += ["", "said of faulty programs beside their faults:"]
    for one in cases:
        lines += [
            f"  {one.program.name:<34} {outcome.variant:<9} seed {outcome.seed}  {said.check}: {said.text[:100]}"
            for outcome in (one.plain, one.disguised)
            for said in outcome.findings
            if score.hit(one.program, said) is None
        ]
    return lines


def _rules(cases: Sequence[Case]) -> Table:
    drawn = Table(title="rule by rule", box=None, title_justify="left", pad_edge=False)
    for head in ("rule", "programs", "named", "asserted by"):
        drawn.add_column(head, justify="left" if head == "asserted by" else "right")
    for rule, checks, count, found in score.per_rule(cases):
        drawn.add_row(str(rule), str(count or "–"), _percent(found), checks or "nobody")
    return drawn


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", help="programs with this in their name")
    parser.add_argument("--split", choices=SPLITS, default="dev")
    parser.add_argument("--json", type=Path, help="write all numbers, and for dev all outcomes")
    asked = parser.parse_args()
    if asked.split != "dev" and asked.only:
        parser.error(f"--split {asked.split} shows totals of all its programs: --only would look at one of them")
    programs = chosen(asked.split, asked.only)
    if not programs:
        raise SystemExit(f"no program of {asked.split} has {asked.only!r} in its name")
    began = time.perf_counter()
    cases, healthy = run(programs, asked.seeds)
    found, cost = totals(cases, healthy), costs(programs)
    console = Console(highlight=False, width=170, soft_wrap=True, markup=False)
    faulty = len({one.program.name for one in cases})
    console.print(
        f"{datetime.date.today()}, {asked.split}: {faulty} faulty and {len(programs) - faulty} healthy programs, "
        f"{asked.seeds} seeds; shares in brackets: 95 % of draws of programs"
    )
    console.print(_scores(found, "plain", "as written"))
    console.print(_scores(found, "disguised", "in disguise"))
    for line in _more(cases):
        console.print(line)
    console.print(
        f"costs: {cost['long_share']:+.1%} of a training of {cost['long_seconds']:.1f} s; {cost['median_ms']:.0f} ms a fit "
        f"(median; most {cost['most_ms']:.0f}); same bits in {cost['same_bits']} of {cost['trainings']} trainings"
    )
    if asked.split == "dev":
        for line in _details(cases, healthy):
            console.print(line)
        console.print(_rules(cases))
    console.print(f"{time.perf_counter() - began:.0f} s")
    if asked.json:
        asked.json.write_text(json.dumps(_as_json(asked, cases, healthy, found, cost), indent=1))


def _as_json(asked: Any, cases: Sequence[Case], healthy: Sequence[Outcome], found: Any, cost: Any) -> dict[str, Any]:
    told = {
        "date": str(datetime.date.today()),
        "split": asked.split,
        "seeds": asked.seeds,
        "totals": found,
        "costs": cost,
    }
    told["more"] = _more(cases)
    if asked.split == "dev":
        every = [each for one in cases for each in (one.plain, one.disguised, one.healed)]
        told["outcomes"] = [outcome.to_json() for outcome in [*every, *healthy]]
        told["rules"] = score.per_rule(cases)
    return told


if __name__ == "__main__":
    main()
