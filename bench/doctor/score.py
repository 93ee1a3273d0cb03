"""From what was said of every run to the numbers of a doctor: recall, precision, false alarms, and the rest."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backlit.core.check import Check

from .baselines import Doctor
from .examine import NOT_FINITE, Outcome, Said, hit, placed
from .program import Program

DOOR = {7: "door", 8: "door", 9: "door", 10: "door", 11: "door", 23: "door", 34: "door", 41: "fit"}
_BETTER = 0.02  # a score that is higher by less is the same
_DRAWS = 400


@dataclass
class Case:
    """One faulty program with one seed: as it is, in disguise, with one fault put right, and with all. `found`: the
    faults that were named in up to three rounds, those of a round being put right before the next one."""

    program: Program
    plain: Outcome
    disguised: Outcome
    healed: Outcome
    cured: Outcome | None = None
    fault: str = ""
    found: set[str] = field(default_factory=set)

    @property
    def better(self) -> bool:
        """Whether it trains better with the fault that was named first put right."""
        return self.cured is not None and self.cured.score > self.plain.score + _BETTER

    @property
    def gone(self) -> bool:
        """Whether nothing is said of that fault any more."""
        return self.cured is not None and self.fault not in named(self.program, self.cured.findings)


def named(program: Program, said: Iterable[Said]) -> list[str]:
    """The faults that are named, in that order, each once."""
    return list(dict.fromkeys(name for one in said if (name := hit(program, one))))


def best(program: Program, faults: Iterable[str]) -> float:
    """The largest share of one of the truths."""
    found = set(faults)
    return max(len(found & set(truth)) / len(truth) for truth in program.truths)


Values = dict[str, list[tuple[float, float]]]  # (of how many, of how many) for each program


def of_faulty(told: Sequence[tuple[Program, Outcome]], doctor: Doctor) -> dict[str, tuple[float, float, float]]:
    """Shares, each with the bounds of its 95 % interval, over runs of faulty programs."""
    rows: dict[str, Values] = defaultdict(lambda: defaultdict(list))
    for program, outcome in told:
        said = list(doctor(outcome))
        right = [one for one in said if hit(program, one) is not None]
        faults = named(program, said)
        row = rows[program.name]
        row["named"].append((float(bool(faults)), 1))
        row["recall"].append((best(program, faults), 1))
        row["precision"].append((len(right), len(said)))
        row["first"].append((float(bool(said and hit(program, said[0]))), 1))
        row["findings"].append((len(said), 1))
        ones = [next(one for one in said if hit(program, one) == name) for name in faults]
        row["placed"].append(
            (sum(placed(program.faults[hit(program, one) or ""], one, outcome) for one in ones), len(ones))
        )
    return _shares(rows)


def of_healthy(told: Sequence[Outcome], doctor: Doctor) -> dict[str, tuple[float, float, float]]:
    """The shares of runs of healthy programs with any finding, and with an error."""
    rows: dict[str, Values] = defaultdict(lambda: defaultdict(list))
    for outcome in told:
        said = list(doctor(outcome))
        rows[outcome.program]["alarms"].append((float(bool(said)), 1))
        rows[outcome.program]["errors"].append((float(any(one.severity == "error" for one in said)), 1))
    return _shares(rows)


def _shares(rows: dict[str, Values]) -> dict[str, tuple[float, float, float]]:
    """Each share over all programs, and over programs drawn again with replacement."""
    keys = {key: None for row in rows.values() for key in row}
    sums = {key: np.array([np.sum(row[key], axis=0) for row in rows.values()], dtype=float) for key in keys}
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(rows), (_DRAWS, len(rows)))
    found = {}
    for key, each in sums.items():
        drawn = each[draws].sum(axis=1)
        shares = drawn[:, 0] / np.maximum(drawn[:, 1], 1e-9)
        total = each.sum(axis=0)
        share = total[0] / total[1] if total[1] else float("nan")
        found[key] = (float(share), *map(float, np.quantile(shares, [0.025, 0.975])))
    return found


def share(values: Iterable[bool]) -> float:
    """How many of them are true."""
    listed = list(values)
    return sum(listed) / len(listed) if listed else float("nan")


def agreement(cases: Sequence[Case]) -> float:
    """The share of programs of which the same is said first with every seed."""
    firsts: dict[str, set[Any]] = defaultdict(set)
    for one in cases:
        firsts[one.program.name].add(one.plain.findings[0].check if one.plain.findings else None)
    return share(len(each) == 1 for each in firsts.values())


def by_crash(case: Case) -> bool:
    """Whether nothing names a fault but a step that is not finite: what training says without any doctor."""
    right = [one for one in case.plain.findings if hit(case.program, one)]
    return bool(right) and all(one.rules == (NOT_FINITE,) for one in right)


def moments(cases: Sequence[Case]) -> Counter[str]:
    """When the first right finding of each run came."""
    found: Counter[str] = Counter()
    for one in cases:
        first = next((said for said in one.plain.findings if hit(one.program, said)), None)
        found[first.when if first else "never"] += 1
    return found


def per_rule(cases: Sequence[Case]) -> list[tuple[int, str, int, float]]:
    """For every row of the rule table: who asserts it, how many programs have a fault that it is the aptest name of, and
    in what share of their runs that fault was named."""
    checks: dict[int, list[str]] = defaultdict(list)
    for name in Check.names():
        for rule in Check.named(name).rules:
            checks[rule].append(name)
    rows = []
    for rule in range(1, 59):
        known = checks[rule] + ([DOOR[rule]] if rule in DOOR else [])
        mine = [(one, name) for one in cases for name, fault in one.program.faults.items() if fault.rules[0] == rule]
        found = share(name in named(one.program, one.plain.findings) for one, name in mine)
        rows.append((rule, ", ".join(known), len({one.program.name for one, _ in mine}), found))
    return rows


def by_program(cases: Sequence[Case], outcome: Callable[[Case], Outcome]) -> dict[str, list[list[Said]]]:
    """What was said of each program, seed by seed."""
    found: dict[str, list[list[Said]]] = defaultdict(list)
    for one in cases:
        found[one.program.name].append(outcome(one).findings)
    return found
