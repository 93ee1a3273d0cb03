"""Every check, from its own two programs: in the bad one it finds its fault and nothing comes before it, in the good one
no check finds anything."""

import io
import json
from contextlib import redirect_stderr, suppress
from graphlib import TopologicalSorter

import numpy as np
import pytest

import backlit as bl
from backlit.core.check import PHASES, PLACES, SEVERITIES, Check
from backlit.core.errors import BacklitError, NonFiniteError
from backlit.doctor.report import _asked, arranged, checks, run
from backlit.doctor.subject import Arrays, GraphFacts, Subject
from backlit.train.fitting import FitPlan, Given

CHECKS = checks()
NEEDS = {"x", "y", "whole", "validation", "settings", "history", "course", "trial"}
LATER = ("first step", "during", "after")  # a training shows it
every_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.title())
TOLD = [
    check for check in CHECKS if "trial" not in check.needs
]  # the others speak where one is asked for: test_trial.py
told_check = pytest.mark.parametrize("check", TOLD, ids=lambda check: check.title())


@pytest.fixture(autouse=True)
def same_first_weights():
    bl.random.set_seed(3)


def program(made):
    """(model, X, y, keywords) of a bad or good program."""
    model, x, y, *rest = made
    return model, x, y, dict(rest[0]) if rest else {}


def fitted(made, **more):
    """What `fit` of this program prints on stderr is left to the caller's capsys."""
    model, x, y, keywords = program(made)
    try:
        model.fit(x, y, verbose=0, **{**keywords, **more})
    except NonFiniteError:  # the fault itself
        assert more.get("doctor") != "off"
    return model


def report(made):
    model, x, y, keywords = program(made)
    return model.diagnose(x, y, **{key: value for key, value in keywords.items() if key not in ("epochs", "callbacks")})


def subject_of(made):
    """The trained program as a check sees it."""
    model, x, y, keywords = program(made)
    rows = course = None
    if keywords.get("epochs"):
        with redirect_stderr(io.StringIO()):
            model.fit(x, y, verbose=0, **keywords)
        rows, course = model.history.rows, model.doctor_memory.course
    model.diagnose(x, y)
    model.build(x.shape[1:])
    split = keywords.get("validation_split", 0.0)
    held = keywords.get("validation_data")
    if split:
        cut = int(len(x) * (1 - split))
        held, x, y = (x[cut:], y[cut:]), x[:cut], y[:cut]
    given = Given(x=x, y=y, sample_weight=None, class_weight=None, held=None, share=split, stratify=False)
    epochs = range(keywords.get("epochs", 1))
    asked = _asked(FitPlan(batch=keywords.get("batch_size"), epochs=epochs, shuffle=True), given)
    targets = np.asarray(y).reshape(len(y), -1) if not model.heads[0].loss.labels else y
    shaped = Arrays([x], [targets], [keywords.get("sample_weight")])
    other = None if held is None else Arrays([held[0]], [held[1]], [None])
    subject = Subject(GraphFacts(model), shaped, other, asked, rows)
    subject.course = course
    return subject


# ---------------------------------------------------------------------- what a record says
def test_every_kind_of_fault_has_its_check():
    assert len(CHECKS) >= 19
    rules = {rule for check in CHECKS for rule in check.rules}
    assert rules >= {1, 2, 3, 4, 5, 6, 7, 8, 12, 13, 16, 18, 19, 20, 21, 22, 24, 26, 30, 31, 32, 40, 47, 57, 58}


@every_check
def test_the_record_is_complete(check):
    assert Check.named(check.title()) is type(check)
    assert check.severity in SEVERITIES and check.phase in PHASES and check.place in PLACES
    assert set(check.needs) <= NEEDS
    assert bool(check.needs) == (check.phase != "compile")
    assert check.rules and all(1 <= rule <= 58 for rule in check.rules)
    assert type(check).__doc__ and check.why and 0 < check.sure <= 1


def test_explanations_name_checks_and_do_not_go_in_circles():
    order = TopologicalSorter({check.title(): check.explains for check in CHECKS})
    assert set(order.static_order()) == {check.title() for check in CHECKS}


# ---------------------------------------------------------------------- the bad program
@told_check
def test_the_bad_program_is_found_first_at_its_severity(check):
    made = check.bad()
    if check.phase in LATER:
        found = arranged(run(subject_of(made), LATER)[0])
    else:
        told = report(made)
        assert [one.problem for one in told.checked if one.state == "failed"] == []
        found = told.findings
    first = found[0]
    assert (first.check, first.severity, first.rules) == (check.title(), check.severity, check.rules)
    assert [one.check for one in found[1:] if one.severity != "note"] == []
    assert first.message.endswith(".") and first.said.startswith(first.layer or first.message)
    assert first.fix and first.why and not first.fix.endswith(".")
    assert "test_check_battery.py:" in first.where
    assert any(isinstance(value, int | float) and not isinstance(value, bool) for value in first.evidence.values())
    assert json.loads(json.dumps(first.to_json()))["check"] == check.title()
    assert first.layer is None or first.layer in [layer.name for layer in program(made)[0].layers]


@told_check
def test_the_bad_program_is_found_in_its_phase_from_what_the_check_says_it_needs(check):
    subject = subject_of(check.bad())
    found, went = run(subject.only(check.needs), (check.phase,))
    assert check.title() in [one.check for one in found]
    assert {one.check: one.state for one in went}[check.title()] == "found"
    for need in check.needs:
        _, went = run(subject.only(tuple(set(check.needs) - {need})), (check.phase,))
        assert {one.check: one.state for one in went}[check.title()] == "not given"


@told_check
def test_fit_tells_the_bad_program_in_two_lines_once(check, capsys):
    model = fitted(check.bad())
    lines = capsys.readouterr().err.splitlines()
    if check.severity == "note":
        assert lines == []
        return
    assert len(lines) == 2
    assert lines[0].startswith("doctor warning: ") and lines[0].endswith(".")
    assert lines[1].startswith("  fix  ") and lines[1].endswith("   (more: model.diagnose(X, y))")
    _, x, y, keywords = program(check.bad())
    if check.phase not in LATER:
        with suppress(NonFiniteError):
            model.fit(x, y, verbose=0, **keywords)
        assert capsys.readouterr().err == ""


@every_check
def test_fit_raises_an_error_and_leaves_the_model_as_it_was(check, capsys):
    model, x, y, keywords = program(check.bad())
    before = model.get_weights()
    if check.severity != "error":
        model.fit(x, y, verbose=0, doctor="raise", **keywords)
        return
    with pytest.raises(BacklitError) as caught:
        model.fit(x, y, verbose=0, doctor="raise", **keywords)
    assert isinstance(caught.value, ValueError)
    assert caught.value.finding.check == check.title() and caught.value.message == caught.value.finding.said
    assert set(caught.value.fields) >= {"found", "why", "fix", "where"}
    assert not model.built and model.iterations == 0 and model.history is None
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert capsys.readouterr().err == ""


@every_check
def test_the_doctor_can_be_sent_off(check, capsys):
    fitted(check.bad(), doctor="off")
    assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------- the good program
@every_check
def test_the_good_program_is_left_alone_by_every_check(check, capsys):
    told = report(check.good())
    assert [one.problem for one in told.checked if one.state == "failed"] == []
    assert told.findings == ()
    fitted(check.good(), doctor="raise")
    assert capsys.readouterr().err == ""
    row = {one.check: one for one in told.checked}[check.title()]
    assert row.state != "found"
