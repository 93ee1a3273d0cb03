"""Write docs/doctor.md from the records of the checks: `python -m tools.doctor_page`, part of `make docs`."""

from __future__ import annotations

import inspect
import io
import re
import sys
import textwrap
import warnings
from contextlib import redirect_stderr, suppress
from pathlib import Path
from unittest import mock

import backlit as bl
from backlit.core.check import RANKS, Check, Values
from backlit.doctor import watch
from backlit.doctor.report import checks
from backlit.doctor.telling import Report, sureness
from backlit.view.advice import RULES as RULES_OF_THUMB

PAGE = Path(__file__).resolve().parents[1] / "docs" / "doctor.md"
DIAGNOSED = ("batch_size", "validation_split", "validation_data", "sample_weight")  # keywords of `diagnose`
PHASES = {
    "compile": "from the model alone",
    "data": "from model and data",
    "first step": "before the first step",
    "during": "while it trains",
    "after": "after the last step",
}
# Whoever published the rule, or one near to it.
TOOLS = {
    "AT": "AutoTrainer (Zhang et al., ICSE 2021)",
    "CK": "Cockpit (Schneider et al., NeurIPS 2021)",
    "DC": "TheDeepChecker (Ben Braiek and Khomh, TOSEM 2023)",
    "DD": "DeepDiagnosis (Wardat et al., ICSE 2022)",
    "DK": "Deepchecks (Chorev et al., JMLR 2022)",
    "DL": "DeepLocalize (Wardat et al., ICSE 2021)",
    "FD": "DeepFD (Cao et al., ICSE 2022)",
    "KP": "Karpathy, A Recipe for Training Neural Networks (2019)",
    "LT": "PyTorch Lightning and torch's anomaly mode",
    "NL": "NeuraLint (Nikanjam et al., TOSEM 2021)",
    "SM": "SageMaker Debugger (Rauschmayr et al., MLSys 2021)",
    "UM": "UMLAUT (Schoop et al., CHI 2021)",
}
RULES = {
    1: ("softmax on one unit", "NL AT DC"),
    2: ("sigmoid with a categorical cross-entropy", "AT NL"),
    3: ("an output that is no probability in a cross-entropy", "DD UM NL AT"),
    4: ("softmax or sigmoid twice", "DC NL"),
    5: ("logits where probabilities are expected", "UM NL DC"),
    6: ("targets out of the output's reach", "DD AT DC"),
    7: ("a loss for numbers on classes", "AT NL FD"),
    8: ("output width against classes", "DC NL"),
    9: ("silent broadcast in the loss", "DC"),
    10: ("labels out of range, or divided", ""),
    11: ("one-hot and sparse labels mixed up", ""),
    12: ("a metric that means nothing here", ""),
    13: ("linear layers that collapse into one", "UM NL"),
    14: ("an activation behind an activation", "NL"),
    15: ("too deep a stack of sigmoids", "AT DD"),
    16: ("constant first weights", "NL DC SM DD"),
    17: ("first weights of the wrong size", "DC SM"),
    18: ("last bias far from the prior", "KP DC"),
    19: ("loss at the start off", "KP DC"),
    20: ("unscaled inputs", "UM DD DC"),
    21: ("inputs scaled twice", "DC"),
    22: ("unscaled targets", "DC"),
    23: ("NaN in the data", "UM DK"),
    24: ("constant or duplicate features", "DC DK"),
    25: ("class imbalance that shows", "SM DC DK"),
    26: ("training rows among the validation rows", "DK UM"),
    27: ("training and validation scaled differently", "DC DK"),
    28: ("labels out of order", "DC"),
    29: ("one row with several labels", "DK DC"),
    30: ("a validation split of sorted rows", "UM"),
    31: ("batch size", ""),
    32: ("learning rate too high", "AT DD UM SM DC CK"),
    33: ("learning rate too low", "DC UM SM"),
    34: ("learning rate that cannot be meant", ""),
    35: ("optimizer that does not suit", "FD"),
    36: ("too few epochs", "FD"),
    37: ("dead units", "AT DD SM DC"),
    38: ("saturated units", "DD SM DC"),
    39: ("vanishing gradient", "AT DD SM DC"),
    40: ("exploding gradient", "AT DC SM LT"),
    41: ("where NaN comes from", "LT DL"),
    42: ("a parameter that no gradient reaches", "DC DD"),
    43: ("no training", "NL"),
    44: ("one batch cannot be learnt by heart", "KP DC LT"),
    45: ("output that does not depend on the input", "KP DC"),
    46: ("examples that leak into one another", "KP DC"),
    47: ("loss that does not fall", "AT DD DL SM DC UM"),
    48: ("oscillating loss", "AT DC"),
    49: ("overfitting", "UM SM DK"),
    50: ("too small a network", "KP"),
    51: ("too strong a penalty", "DC"),
    52: ("dropout in the wrong place or too strong", "UM NL"),
    53: ("batch normalisation in the wrong place", "NL DC"),
    54: ("training and prediction disagree", "DC"),
    55: ("loss summed over the batch", "DC"),
    56: ("augmentation that changes what the data are", "DC"),
    57: ("shapes of convolutions", "NL UM"),
    58: ("loss and metric disagree", "DC"),
}
HEAD = """\
# What the doctor looks for

`model.fit` examines model, data and training, and tells on stderr what can hardly work: at most three findings, two lines
each. `model.diagnose(X, y)` gives the whole report, `backlit check script.py` runs a script and reports on each of its
trainings. `doctor="raise"` makes errors exceptions, `doctor="off"` sends the doctor off. Nothing that the doctor does changes
a bit of the training.

```python
import numpy as np
import backlit as bl

X = np.random.default_rng(1).normal(size=(200, 3))
y = (X[:, 0] > 0).astype(int)
model = bl.Sequential([bl.layers.Dense(8, "relu"), bl.layers.Dense(1, "softmax", name="out")])
model.compile(bl.optimizers.Adam(0.01), "binary_crossentropy")

report = model.diagnose(X, y)
print(report.findings[0])
print(report.prove().better)         # the same short training with and without the fix, from the same seed
fixed = report.apply()               # a new model; `model` stays as it is
print(fixed)
history = fixed.fit(epochs=20, verbose=0)
```

```text
error: out: a softmax over 1 unit is always 1, whatever the weights are.
  fix  Dense(1, activation='sigmoid') with BinaryCrossentropy() for labels 0 and 1; …
True
layer out: activation='softmax' becomes 'sigmoid'
```

`print(report)` tells the findings in full, `print(report.prove())` shows both curves; a notebook sets both, `.to_json()` gives
them as plain lists. A fix is mechanical where there is one right change; the others are for you to make.

Causes come before their consequences, in this order: {ranks}.
What follows from a cause is told under it.
Every finding says how sure it is: *certain* where it follows from the graph whatever weights and data are, *measured* where it
was seen, *a rule of thumb* where it is right most of the time. Where nothing is found, the report lists the rules that were
checked with their values.

[How well it does](#how-well-it-does) stands at the end.

This page is made from the checks themselves (`make docs`). In the programs, `points()` are 96 rows of four standard normal
numbers, `classes(k)` labels and `values()` numbers that follow from them, `sparse()` is the cross-entropy for labels on logits;
`network(…)` is a compiled `Sequential`, by default with Adam(0.01). A fourth value has keywords of `fit`.
"""

SCORES = """\
## How well it does

`python -m bench.doctor` (`bench/doctor/`) examines programs with one known mistake, or two, each as it is written, in disguise
(activations and losses as functions of one's own, other names) and with the mistake put right, beside programs that are
unusual and right. Three lists of programs were kept aside and scored once each, with five seeds, on 2026-11-21:

| | first list | second list | third list | target |
|---|---:|---:|---:|---:|
| written by | the authors of the checks | two people who had not read them | a third one, who had not either | |
| faulty and healthy programs | 19 and 18 | 49 and 37 | 35 and 14 | |
| a cause is named: as written, in disguise | 87 %, 87 % | 71 %, 69 % | 97 %, 90 % | 80 % |
| what is said is right | 100 %, 100 % | 92 %, 95 % | 100 %, 99 % | 65 % |
| the first thing said is a cause | 87 %, 87 % | 71 %, 69 % | 97 %, 90 % | 70 % |
| healthy programs with a warning; with an error | 3 %; 0 | 4 %; 0 | 0; 0 | 5 %; 0 |
| the fix works at once, where something was found | 94 % | 94 % | 100 % | 75 % |
| found before the first step | 63 % | 56 % | 77 % | 60 % |
| the same with every seed | 95 % | 90 % | 97 % | 95 % |
| UMLAUT's rules: named, alarms on healthy programs | 37 %, 92 % | 39 %, 87 % | 40 %, 100 % | |

The second list was opened after its score, and checks were written for mistakes that it had shown; the third one was written
and scored after that. Where a mistake may be named in several ways all of them count. A reader who saw nothing but the message
and followed its first fix to the letter mended 14 of 17 scripts; the other three messages were rewritten after that.
"""


def text() -> str:
    """The page."""
    every = checks()
    parts = [HEAD.format(ranks=", ".join(RANKS)), _overview(every)]
    for place, rank in enumerate(RANKS):
        mine = [check for check in every if check.ranked() == place]
        if mine:
            parts += [f"## {rank.capitalize()}\n", *map(_section, mine)]
    return "\n".join([*parts, _sources(every), _thumb(), SCORES])


def _overview(every: tuple[Check, ...]) -> str:
    rows = [f"| [{c.title()}](#{c.title()}) | {c.severity} | {PHASES[c.phase]} | {_numbers(c)} |" for c in every]
    return "\n".join(["| Check | Severity | Known | Rules |", "|---|---|---|---|", *rows, ""])


def _numbers(check: Check) -> str:
    return ", ".join(map(str, check.rules))


def _section(check: Check) -> str:
    v = finding(check)[0]
    names = "; ".join(f"{rule} {RULES[rule][0]}" for rule in check.rules)
    explains = f"- explains: {', '.join(check.explains)}\n" if check.explains else ""
    mendable = type(check).repair is not Check.repair
    place = f"{v['layer']}: " if v["layer"] else ""
    criterion = " ".join(f"{_doc(part)}" for part in (check.measure, check.wrong))
    return f"""\
### {check.title()}

{_doc(type(check))}

- criterion: {criterion}
- {check.severity}, {PHASES[check.phase]}; {sureness(check.sure, check.grounded())}
- rules: {names}
{explains}- fix by `report.apply()`: {"yes" if mendable else "no"}

```
# {_doc(check.bad)}
{_body(check.bad)}
# {_doc(check.good)}
{_body(check.good)}
```

```
{check.severity}: {place}{check.message(v)}
  why  {check.why}
  fix  {check.fix(v)}
```
"""


def _sources(every: tuple[Check, ...]) -> str:
    used = sorted({rule for check in every for rule in check.rules})
    rows = []
    for rule in used:
        name, codes = RULES[rule]
        mine = ", ".join(check.title() for check in every if rule in check.rules)
        rows.append(f"| {rule} | {name} | {mine} | {'; '.join(TOOLS[code] for code in codes.split()) or '-'} |")
    head = ["## Where the rules come from\n", "The numbers are those of `Finding.rules`.\n"]
    return "\n".join([*head, "| | Rule | Checks | Published in, or near to |", "|---|---|---|---|", *rows, ""])


def _thumb() -> str:
    rows = []
    for each in RULES_OF_THUMB.values():
        found = ", ".join(f"[{name}](#{name})" for name in each.checks)
        kept = "; ".join(part for part in (found, each.kept) if part)
        rows.append(f"| {each.number} | {each.rule} | {kept or '-'} | {'yes' if each.says else 'no'} |")
    head = [
        "## The course's rules of thumb and where they are kept\n",
        "What is a mistake is found by a check; the rest is advice, which `model.explain(X, y)` and `backlit explain` give",
        "where a rule applies to the model and says something. The numbers are those of the course's list.\n",
        "| | Rule of thumb | Kept by | Said by `explain` |",
        "|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])


def _doc(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").split())


def _body(method: object) -> str:
    """The code of a method without its head and docstring, what it returns as an expression."""
    lines = textwrap.dedent(inspect.getsource(method)).split("\n")[1:]  # type: ignore[arg-type]
    code = re.sub(r'^\s*""".*?"""\n', "", "\n".join(lines), count=1, flags=re.S)
    return (
        textwrap.dedent(code).replace("return ", "", 1).strip()
        if code.count("return ") == 1
        else textwrap.dedent(code).strip()
    )


def finding(check: Check) -> tuple[Values, Report]:
    """The values that the check objects to in its bad program, and their report: of `diagnose` before the training, or
    else after it. What another finding explains counts, too."""
    bl.random.set_seed(3)
    model, x, y, *rest = check.bad()
    given = dict(rest[0]) if rest else {}
    known = {key: given[key] for key in DIAGNOSED if key in given}
    known["overfit"] = "trial" in check.needs
    # The page must not hang on how busy the machine is: looks may take as long as they do.
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()), mock.patch.object(watch, "_FREE", 1.0):
        warnings.simplefilter("ignore")
        report = model.diagnose(x, y, **known)
        if not _values(report, check):
            with suppress(bl.BacklitError):
                model.fit(x, y, verbose=0, **given)
            report = model.diagnose(x, y, **known)
    return _values(report, check)[0], report


def _values(report: Report, check: Check) -> list[Values]:
    return [v for row in report.checked if row.check == check.title() for v in row.values if check.wrong(v)]


if __name__ == "__main__":
    PAGE.write_text(text())
    sys.stdout.write(f"{PAGE.relative_to(PAGE.parents[1])} written\n")
