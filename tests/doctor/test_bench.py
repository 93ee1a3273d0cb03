"""The programs that the doctor is measured by: each is what it says, its healed twin differs by one change, and what is
held out was drawn once and for all."""

import hashlib
import warnings
from collections import Counter
from dataclasses import fields, replace

import numpy as np
import pytest

from backlit.core.errors import BacklitError
from backlit.layers import Dense
from backlit.optimizers import SGD
from bench.doctor.__main__ import MODULES, chosen, main, measured
from bench.doctor.baselines import DOCTORS
from bench.doctor.disguise import BY_HAND, OWN_LOSS, disguised
from bench.doctor.examine import Outcome, Said, examine, hit, overhead
from bench.doctor.program import HELD_OUT, PROGRAMS, SPLITS, TASKS, WORDS, Fault, Program, Run, digest, held_out
from bench.doctor.quality import NOTHING, quality
from bench.doctor.score import best, of_faulty, of_healthy

every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
FAULTY = [one for one in PROGRAMS.values() if one.faults]
every_fault = pytest.mark.parametrize("program", FAULTY, ids=[one.name for one in FAULTY])
REFUSED = {  # at the door, before any step
    "c12_divided_labels", "c21_one_unit_for_ten_classes", "c22_two_units_and_the_binary_loss", "c24_negative_steps",
    "c25_one_unit_for_three_flowers", "mileage_broadcast", "mileage_cross_entropy", "tags_labels_of_255", "tags_one_unit",
    "tumour_nan", "glass_of_kind_one_or_two", "logarithm_of_nothing", "three_wells_and_one_unit", "votes_in_per_cent",
    "customers_graded_from_three", "strands_hot_rows_for_the_sparse_loss", "sentences_without_pooling",
    "rings_minus_one_for_outside", "z_subjects_by_number", "z_soils_counted_from_one", "z_kiln_own_squares",
}  # fmt: skip


def trained(program, seed=0, cured=(), disguise=False):
    """How well it answers after its training; None where that is refused."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run = program.run(seed, cured)
            run = disguised(run)[0] if disguise else run
            model = run.model()
            model.fit(run.x, run.y, verbose=0, doctor="off", **run.fit)
        except BacklitError:
            return None
        return quality(model, run, program.task)


def written(run):
    """A run as comparable texts: one for each thing that one can change."""
    told = {one.name: getattr(run, one.name) for one in fields(run) if one.name not in ("fit", "judge", "answer")}
    layers = run.layers if isinstance(run.layers, list) else run.layers.everything()
    told["layers"] = [(type(layer).__name__, layer.get_config()) for layer in layers]
    for key in ("loss", "optimizer"):
        told[key] = told[key] if isinstance(told[key], (str, dict)) else (type(told[key]).__name__, vars_of(told[key]))
    return {key: plain(value) for key, value in {**told, **run.fit}.items()}


def vars_of(thing):
    return thing.get_config() if hasattr(thing, "get_config") else getattr(thing, "__name__", "")


def plain(value):
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if hasattr(value, "tocsr"):
        value = value.toarray()
    if isinstance(value, np.ndarray):
        return value.shape, hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return vars_of(value) if hasattr(value, "get_config") else repr(value) if callable(value) else value


# ---------------------------------------------------------------------- what there is
def test_there_are_enough_of_every_kind():
    count = Counter(one.group for one in PROGRAMS.values())
    assert count["cases"] == 25 and count["mutants"] >= 25 and count["healthy"] >= 40
    for group in ("mutants", "healthy"):
        assert {one.task for one in PROGRAMS.values() if one.group == group} == set(TASKS)


def test_the_list_of_what_is_held_out_never_changes():
    found = hashlib.sha256(HELD_OUT.read_bytes()).hexdigest()
    assert found == "3ae6a0fcae2036e553b536e2195e34916e0937a30d6105b0d0461a77c6c29ae4"


def test_a_third_of_every_kind_of_mutant_and_healthy_program_is_held_out():
    assert held_out() <= {digest(name) for name in PROGRAMS}
    first = [one for one in PROGRAMS.values() if not one.later]
    for group in ("mutants", "healthy"):
        for task in TASKS:
            mine = [one for one in first if (one.group, one.task) == (group, task)]
            assert sum(one.split == "held-out" for one in mine) == round(len(mine) / 3)
    assert not any(one.split == "held-out" for one in first if one.group == "cases")
    assert sum(len(chosen(split)) for split in SPLITS) == len(PROGRAMS)


@every_program
def test_the_record_is_complete(program):
    assert program.task in TASKS and program.make.__doc__
    assert program.make.__module__ in {module.__name__ for module in MODULES}
    assert bool(program.faults) == (program.group != "healthy") == bool(program.truths)
    for fault in program.faults.values():
        assert fault.rules and all(1 <= rule <= 58 for rule in fault.rules) and fault.argument in WORDS
    assert all(set(truth) <= set(program.faults) for truth in program.truths)
    assert set().union(*program.truths, ()) == set(program.faults) or program.name == "c08_grey_values_and_sigmoids"


@every_program
def test_a_seed_gives_the_same_program_and_another_one_other_numbers(program):
    first, again, other = (
        program.run(seed, ()) if program.name != "c24_negative_steps" else None for seed in (0, 0, 1)
    )
    if first is None:  # is refused when it is written
        with pytest.raises(BacklitError, match="learning rate"):
            program.run(0)
        return
    assert plain(first.x) == plain(again.x) and plain(first.y) == plain(again.y)
    drawn = plain(first.x) != plain(other.x) or plain(first.y) != plain(other.y)
    layers = isinstance(first.layers, list) and first.model()
    assert drawn or layers


@every_fault
def test_the_healed_twin_differs_by_one_change_a_fault(program):
    others = {"rate"} if program.name == "c24_negative_steps" else set()  # else it is refused when it is written
    before = written(program.run(0, others))
    for name in set(program.faults) - others:
        healed = written(program.run(0, {name, *others}))
        changed = [key for key in {*before, *healed} if before.get(key) != healed.get(key)]
        assert 1 <= len(changed) <= 2, changed


# ---------------------------------------------------------------------- they are what they say
@pytest.mark.slow
@every_program
def test_it_trains_or_is_refused_and_its_healed_twin_is_better_than_it_and_than_its_disguise(program):
    first = trained(program)
    assert (first is None) == (program.name in REFUSED)
    if not program.faults:
        assert first > 0.4
        return
    healed = trained(program, cured=program.faults)
    assert healed > 0.6
    if all(fault.silent for fault in program.faults.values()):
        return
    for score in (first, trained(program, disguise=True)):
        assert healed > (NOTHING.get(program.task, 0.0) if score is None else score) + 0.04


def test_a_disguise_hides_names_and_keeps_numbers():
    run = Run(
        [Dense(4, "softmax", name="a"), Dense(3, "softmax")], "categorical_crossentropy", "sgd", np.eye(3), np.eye(3)
    )
    hidden, names = disguised(run)
    assert names == [{"part_0", "bend_0"}, {"part_1", "bend_1"}]
    for each in (run, hidden):
        each.model().build((3,))
    model, other = run.model(), replace(hidden, layers=hidden.layers).model()
    model.build((3,))
    other.build((3,))
    other.set_weights(model.get_weights())
    np.testing.assert_allclose(model.predict(run.x, verbose=0), other.predict(run.x, verbose=0), atol=1e-6)
    plainly, otherwise = (each.evaluate(run.x, run.y, verbose=0) for each in (model, other))
    assert plainly == pytest.approx(otherwise, rel=1e-5)


@pytest.mark.parametrize("name", BY_HAND)
def test_what_is_written_by_hand_is_the_activation(name):
    import backlit as bl

    z = np.linspace(-4, 4, 24).reshape(4, 6)
    ours = bl.layers.Activation(name)(z)
    np.testing.assert_allclose(bl.layers.Lambda(BY_HAND[name])(z), ours, atol=1e-6)


@pytest.mark.parametrize(("name", "logits"), OWN_LOSS)
def test_what_is_written_by_hand_is_the_loss(name, logits):
    import backlit as bl

    loss = getattr(bl.losses, name)
    loss = loss(from_logits=logits) if "Cross" in name else loss()
    own = bl.losses.LossFunctionWrapper(OWN_LOSS[name, logits], labels=loss.labels)
    p = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    y = np.array([1, 2]) if loss.labels else np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    assert float(own(y, p)) == pytest.approx(float(loss(y, p)), rel=1e-5)


# ---------------------------------------------------------------------- how they are measured
def said(check, *rules, text="", layer=None, severity="warning"):
    return Said(check, rules, severity, layer, text, "a.py:1", "compile")


def invented(truths=(("a", "b"), ("c",)), extra=(47,)):
    faults = {
        "a": Fault((3, 5), 0, "activation"),
        "b": Fault((20,), None, "x"),
        "c": Fault((32,), None, "learning_rate"),
    }
    return Program("invented", "cases", "binary", lambda: None, faults, truths, extra)


def test_a_finding_is_right_by_the_rules_that_it_asserts_and_a_refusal_by_its_words():
    program = invented()
    assert hit(program, said("x", 5)) == "a" and hit(program, said("x", 47)) == ""
    assert hit(program, said("x", 26)) is None
    assert hit(program, said("refused", text="the learning rate must be above 0.")) == "c"
    assert best(program, ["a"]) == 0.5 and best(program, ["a", "c"]) == 1


def test_shares_count_each_fault_once_and_every_finding():
    program = invented()
    told = Outcome("invented", 0, "plain", [said("p", 26), said("q", 3, text="softmax"), said("r", 5)], names=[{"L"}])
    found = of_faulty([(program, told)], DOCTORS["backlit"])
    assert [found[key][0] for key in ("named", "recall", "first", "findings")] == [1, 0.5, 0, 3]
    assert found["precision"][0] == pytest.approx(2 / 3) and found["placed"][0] == 0
    told.findings[1] = replace(told.findings[1], layer="L")
    assert of_faulty([(program, told)], DOCTORS["backlit"])["placed"][0] == 1
    assert of_faulty([(program, told)], DOCTORS['always "learning rate"'])["recall"][0] == 1
    assert of_healthy([told, Outcome("well", 0, "plain")], DOCTORS["backlit"])["alarms"][0] == 0.5


def test_a_case_is_found_put_right_and_silent_then():
    case = measured(PROGRAMS["c01_softmax_on_one_unit"], 0)
    assert case.plain.findings[0].check == "constant_output"
    assert case.plain.findings[0].when == "compile" and "cases_first.py:" in case.plain.findings[0].where
    assert case.disguised.findings[0].layer in case.disguised.names[-1]
    assert case.better and case.gone and case.found == {"output"} and case.healed.score > 0.95


def test_every_finding_comes_with_its_moment():
    assert examine(PROGRAMS["c11_sigmoid_for_a_parabola"], 0).findings[0].when == "data"
    crash = examine(PROGRAMS["c04_linear_digits"], 0)
    assert not crash.trained and crash.score == 0
    assert ("finite step", (41,), "during") in [(one.check, one.rules, one.when) for one in crash.findings]
    refused = examine(PROGRAMS["c24_negative_steps"], 0)
    assert [(one.check, one.when) for one in refused.findings] == [("refused", "compile")]


def test_what_fit_alone_prints_is_heard():
    def grows(rng):
        x = 1.5 * rng.normal(size=(96, 4))
        return Run([Dense(1)], "mse", SGD(1.5), x, x @ [1.0, -2.0, 0.5, 1.0], {"epochs": 3})

    told = examine(Program("grows", "healthy", "regression", grows, {}, ()), 0)
    assert [(one.check, one.when) for one in told.findings] == [("steps_too_long", "during")]


def test_umlaut_says_what_it_is_known_for():
    rules = {one.check for one in examine(PROGRAMS["one_feature_line"], 0).umlaut}
    assert "missing_softmax" in rules and "high_learning_rate" in rules


def test_the_doctor_changes_no_bit():
    off, warn, same = overhead(PROGRAMS["xor_of_four_rows"], 0, rounds=1)
    assert same and off > 0 and warn > 0


@pytest.mark.slow
def test_the_command_prints_a_table_and_names_nothing_that_is_held_out(capsys, monkeypatch, tmp_path):
    file = tmp_path / "found.json"
    monkeypatch.setattr("bench.doctor.__main__._long", lambda: PROGRAMS["xor_of_four_rows"])
    monkeypatch.setattr("sys.argv", ["bench.doctor", "--seeds", "1", "--only", "wine", "--json", str(file)])
    main()
    assert "recall" in capsys.readouterr().out and file.stat().st_size > 1000
    two = chosen("held-out")[:2]
    monkeypatch.setattr("bench.doctor.__main__.chosen", lambda split, only: two)
    monkeypatch.setattr("sys.argv", ["bench.doctor", "--seeds", "1", "--split", "held-out", "--json", str(file)])
    main()
    told = capsys.readouterr().out + file.read_text()
    assert "held-out: " in told and not [one.name for one in chosen("held-out") if one.name in told]
    monkeypatch.setattr("sys.argv", ["bench.doctor", "--split", "held-out", "--only", "wine"])
    with pytest.raises(SystemExit):
        main()
