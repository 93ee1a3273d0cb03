"""What the doctor says and when: causes first, once, on stderr; and that it changes nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import backlit as bl
from backlit.core import registry
from backlit.core.check import Check, Finding
from backlit.core.errors import BacklitError
from backlit.doctor.report import arranged, checks, run
from backlit.doctor.subject import Arrays, GraphFacts, Subject
from backlit.layers import BatchNormalization, Dense, Dropout, Lambda
from backlit.losses import SparseCategoricalCrossentropy

RNG = np.random.default_rng(2)
X = RNG.normal(size=(80, 4))
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X @ [1.0, -1.0, 2.0, 0.5]


def network(*layers, loss="mse", optimizer="adam", metrics=None):
    model = bl.Sequential(list(layers))
    model.compile(optimizer, loss, metrics=metrics)
    return model


def logits(*layers):
    return network(*layers, loss=SparseCategoricalCrossentropy(from_logits=True))


def finding(check, layer=None, severity="warning", rules=None):
    rules = Check.named(check).rules if rules is None else rules
    return Finding(check=check, severity=severity, message=f"{check}.", fix="...", layer=layer, rules=rules)


def forget(*checks):
    """Take checks of a test out of the registry."""
    for check in checks:
        for name in (check.__name__, check.title()):
            del registry._table[f"check.{name}"]
    registry._sorted.clear()


# ---------------------------------------------------------------------- causes first
def test_findings_stand_in_the_order_of_causes():
    given = ["loss_grows", "unscaled_inputs", "equal_units", "linear_layers_collapse", "bounded_logits"]
    given = [finding(name, layer=f"l{place}") for place, name in enumerate(given)]
    unrelated = [one for one in given if one.check != "loss_grows"]
    assert [one.check for one in arranged(unrelated)] == [one.check for one in unrelated][::-1]
    refused = finding("labels", rules=(8, 10), severity="error")
    assert arranged([*unrelated, refused])[0].check == "labels"


def test_a_consequence_is_told_under_its_cause():
    told = arranged([finding("loss_grows"), finding("unscaled_inputs", "first")])
    assert [(one.check, one.consequences) for one in told] == [("unscaled_inputs", ("loss_grows.",))]
    here = arranged([finding("target_out_of_reach", "a"), finding("constant_output", "a")])
    assert [(one.check, one.consequences) for one in here] == [("constant_output", ("a: target_out_of_reach.",))]
    elsewhere = arranged([finding("target_out_of_reach", "a"), finding("constant_output", "b")])
    assert [(one.check, one.consequences) for one in elsewhere] == [
        ("constant_output", ()),
        ("target_out_of_reach", ()),
    ]


def test_a_symptom_of_two_causes_is_told_under_the_first_one_once():
    told = arranged([finding("dead_units", "b"), finding("unscaled_inputs", "a"), finding("constant_output", "c")])
    assert [(one.check, one.consequences) for one in told] == [
        ("constant_output", ("b: dead_units.",)),
        ("unscaled_inputs", ()),
    ]


def test_a_symptom_is_no_cause_and_a_note_neither():
    alone = arranged([finding("dead_units", "b"), finding("overfitting")])
    assert [one.check for one in alone] == ["dead_units", "overfitting"]
    noted = arranged([finding("unused_outputs", severity="note"), finding("dead_units", "b")])
    assert [one.check for one in noted] == ["dead_units", "unused_outputs"]


def test_consequences_of_consequences_go_to_the_first_cause():
    class First(Check):
        rules, explains = (1,), ("second",)

    class Second(Check):
        rules, explains = (2,), ("third",)

    class Third(Check):
        rules = (3,)

    try:
        told = arranged([finding(name) for name in ("third", "second", "first")])
    finally:
        forget(First, Second, Third)
    assert [(one.check, one.consequences) for one in told] == [("first", ("second.", "third."))]


def test_notes_come_last():
    told = arranged([finding("unused_outputs", severity="note"), finding("validation_rows_in_training")])
    assert [one.check for one in told] == ["validation_rows_in_training", "unused_outputs"]


def test_a_program_with_a_cause_and_its_consequence():
    model = network(Dense(4, "relu"), Dense(1, "softmax", name="out"))
    (only,) = model.diagnose(X, NUMBERS).findings
    assert only.check == "constant_output" and len(only.consequences) == 1
    assert only.consequences[0].startswith("out: y is ") and "out of reach" in only.consequences[0]


# ---------------------------------------------------------------------- what `fit` prints
def test_at_most_three_findings_are_printed_and_each_once_until_the_next_compile(capsys):
    x = X * [1, 1000, 1, 1]
    model = network(Dense(4), Dense(1), metrics=["accuracy"])
    model.fit(x, 5000 + NUMBERS, verbose=0)
    lines = capsys.readouterr().err.splitlines()
    assert [line[:6] for line in lines] == 3 * ["doctor", "  fix "]
    assert "accuracy counts hits" in lines[0] and "no activation between them" in lines[2]
    assert len(model.diagnose(x, 5000 + NUMBERS).findings) == 4
    model.fit(x, 5000 + NUMBERS, verbose=0)
    assert capsys.readouterr().err == ""
    model.compile("adam", "mse")
    model.fit(x, 5000 + NUMBERS, verbose=1)
    assert capsys.readouterr().err.count("doctor warning: ") == 3


def test_other_data_may_bring_another_finding(capsys):
    model = network(Dense(4, "relu"), Dense(1))
    model.fit(X, NUMBERS, verbose=0)
    assert capsys.readouterr().err == ""
    model.fit(X * 1e4, NUMBERS, verbose=0)
    assert "not scaled" in capsys.readouterr().err


@pytest.mark.parametrize("doctor", ["warn", "raise"])
def test_warnings_are_no_reason_to_raise(doctor, capsys):
    network(Dense(4), Dense(1)).fit(X, NUMBERS, verbose=0, doctor=doctor)
    assert capsys.readouterr().err.startswith(
        "doctor warning: dense: dense and dense_1 have no activation between them"
    )


def test_the_line_that_a_finding_names_is_that_of_its_layer():
    model = network(Dense(4, "relu"), Dense(1, "softmax"))  # this line
    (only,) = model.diagnose(X, NUMBERS).findings
    assert only.where.startswith("test_report.py:") and only.where.endswith("# this line")
    metric = network(Dense(1), metrics=["accuracy"]).diagnose(X, NUMBERS).findings[0]
    assert metric.where.startswith("test_report.py:") and "model.compile(" in metric.where
    data = network(Dense(1)).diagnose(X * 1e4, NUMBERS).findings[0]
    assert ".diagnose(X * 1e4, NUMBERS)" in data.where


# ---------------------------------------------------------------------- nothing is changed
def small():
    bl.random.set_seed(9)
    return logits(Dense(6), BatchNormalization(), Dropout(0.3), Dense(3, "softmax"))


def test_a_stream_is_the_same_to_the_bit_with_and_without_the_doctor():
    kept = []
    for doctor in ("warn", "off"):
        model = small()
        pulled = []

        def batches(pulled=pulled):
            for begin in range(0, 80, 20):
                pulled.append(begin)
                yield X[begin : begin + 20], LABELS[begin : begin + 20]

        history = model.fit(batches, verbose=0, epochs=3, doctor=doctor)
        kept.append((history.history, [w.tobytes() for w in model.get_weights()], pulled))
    assert kept[0] == kept[1]


@pytest.mark.parametrize("callbacks", [None, "each batch"])
def test_a_training_is_the_same_to_the_bit_with_and_without_the_doctor(callbacks):
    kept = []
    for doctor in ("warn", "off"):
        model, seen = small(), []
        each = bl.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs, seen=seen: seen.append(logs["loss"]))
        given = None if callbacks is None else [each]
        history = model.fit(X, LABELS, epochs=3, verbose=0, doctor=doctor, callbacks=given, validation_split=0.2)
        draw = bl.random.normal((3,)).tolist()
        after = small().predict(X)
        kept.append((history.history, [w.tobytes() for w in model.get_weights()], seen, draw, after.tobytes()))
    assert kept[0] == kept[1]


def state(model):
    """Everything that a model and its layers hold, as text and bits."""

    def told(value):
        if isinstance(value, np.ndarray):
            return value.tobytes()
        if isinstance(value, dict):
            return {repr(key): told(part) for key, part in value.items()}
        return [told(part) for part in value] if isinstance(value, (list, tuple)) else repr(value)

    return [
        {key: told(value) for key, value in vars(layer).items() if key != "doctor_memory"}
        for layer in model.everything()
    ], [(leaf.name, leaf.array.tobytes()) for leaf in model.weights]


@pytest.mark.parametrize("built", [False, True, "fitted", "by its layers"])
def test_a_diagnosis_changes_nothing(built):
    bl.random.set_seed(9)
    early = Dense(6)
    if built == "by its layers":
        early(X)
    model = logits(early, BatchNormalization(), Dropout(0.3), Dense(3, "softmax"))
    if built is True:
        model.build((4,))
    if built == "fitted":
        model.fit(X, LABELS, verbose=0, doctor="off")
    before = state(model)
    for _ in range(2):
        assert model.diagnose(X, LABELS, validation_split=0.2).findings[0].check == "bounded_logits"
    layers, leaves = state(model)
    for one, same in zip(layers, before[0], strict=True):
        assert {key: value for key, value in one.items() if same.get(key) != value} == {} and set(one) == set(same)
    assert leaves == before[1]
    model.fit(X, LABELS, verbose=0, doctor="off")
    bl.random.set_seed(9)
    twin = Dense(6)
    if built == "by its layers":
        twin(X)
    undiagnosed = logits(twin, BatchNormalization(), Dropout(0.3), Dense(3, "softmax"))
    if built is True:
        undiagnosed.build((4,))
    for _ in range(2 if built == "fitted" else 1):
        undiagnosed.fit(X, LABELS, verbose=0, doctor="off")
    for one, same in zip(model.get_weights(), undiagnosed.get_weights(), strict=True):
        np.testing.assert_array_equal(one, same)


def test_a_diagnosis_takes_no_seed_from_the_models_that_follow():
    kept = []
    for diagnosed in (True, False):
        bl.random.set_seed(3)
        first, second = network(Dense(2)), network(Dense(2))
        if diagnosed:
            first.diagnose(X, np.c_[NUMBERS, NUMBERS])
        second.build((4,))
        kept.append(second.get_weights()[0])
    np.testing.assert_array_equal(*kept)


def test_a_diagnosis_learns_no_columns_and_no_names_of_classes():
    table = pd.DataFrame(X, columns=list("abcd"))
    model = logits(Dense(4, "relu"), Dense(3, "softmax"))
    told = model.diagnose(table, np.array(["no", "perhaps", "yes"])[LABELS])
    assert [one.check for one in told.findings] == ["bounded_logits"]
    assert model.columns is None and model.classes is None and not model.built


def test_the_doctor_is_loaded_when_it_is_first_called():
    code = (
        "import sys, numpy as np, backlit as bl\n"
        "m = bl.Sequential([bl.layers.Dense(1)]); m.compile('sgd', 'mse')\n"
        "x = np.linspace(-1, 1, 40)\n"
        "m.fit(x, x, verbose=0, doctor='off'); print('backlit.doctor' in sys.modules)\n"
        "m.fit(x, x, verbose=0); print('backlit.doctor' in sys.modules)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert (done.stdout, done.stderr) == ("False\nTrue\n", "")


# ---------------------------------------------------------------------- a diagnosis never raises
def broken(x):
    raise RuntimeError("somebody's own mistake")


REFUSED = {
    "not compiled": (lambda: bl.Sequential([Dense(3)]), X, LABELS, "needs a compiled model"),
    "labels from 1": (lambda: logits(Dense(3)), X, LABELS + 1, "cannot use this y"),
    "one column": (lambda: network(Dense(3)), X, NUMBERS, "cannot use this y"),
    "NaN": (lambda: logits(Dense(3)), np.where(X > 2, np.nan, X), LABELS, "NaN"),
    "text": (lambda: logits(Dense(3)), [["a"], ["b"]], [0, 1], "no array of numbers"),
    "no rows": (lambda: logits(Dense(3)), X[:0], LABELS[:0], "empty"),
    "lengths": (lambda: logits(Dense(3)), X, LABELS[:-1], "different"),
    "no y": (lambda: logits(Dense(3)), X, None, "y is missing"),
    "no layers": (lambda: logits(), X, LABELS, "no layers"),
    "somebody's own": (lambda: logits(Lambda(broken), Dense(3)), X, LABELS, "somebody's own mistake"),
    "other width": (lambda: _built(logits(Dense(3))), X[:, :2], LABELS, "does not fit this model"),
}


def _built(model):
    model.build((4,))
    return model


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_door_refuses_is_an_error_among_the_findings(case):
    make, x, y, said = REFUSED[case]
    model = make()
    told = model.diagnose(x, y)
    first = told.findings[0]
    assert first.severity == "error" and said in first.message + str(first.evidence)
    assert str(told).startswith("1 error") and json.dumps(told.to_json())
    assert model.built == (case == "other width")
    if case != "somebody's own":
        with pytest.raises(BacklitError):
            model.fit(x, y, verbose=0)


def test_a_refusal_comes_before_what_else_is_wrong():
    model = logits(Dense(3, "softmax"))
    model.build((4,))
    assert [one.check for one in model.diagnose(X, LABELS + 1).findings] == ["labels", "bounded_logits"]


def test_a_check_that_stumbles_ends_neither_a_training_nor_a_diagnosis(capsys):
    class Stumbling(Check):
        rules = (1,)

        def measure(self, subject):
            raise ZeroDivisionError("oh")

    try:
        model = network(Dense(4, "relu"), Dense(1))
        model.fit(X, NUMBERS, verbose=0)
        told = model.diagnose(X, NUMBERS)
    finally:
        forget(Stumbling)
    assert capsys.readouterr().err == "" and told.findings == ()
    assert [(one.check, one.problem) for one in told.checked if one.state == "failed"] == [
        ("stumbling", "ZeroDivisionError: oh")
    ]


def test_a_check_of_ones_own_is_run_as_the_others_are(capsys):
    class WideLayer(Check):
        """Nothing is wider than 100."""

        rules, why = (50,), "our laptops are small"

        def measure(self, subject):
            return ({"layer": layer.name, "units": layer.units} for layer in subject.facts.model.layers)

        def wrong(self, v):
            return v["units"] > 100

        def message(self, v):
            return f"{v['units']} units."

        def fix(self, v):
            return "Dense(100)"

    try:
        model = network(Dense(300, "relu"), Dense(1))
        model.fit(X, NUMBERS, verbose=0)
    finally:
        forget(WideLayer)
    assert capsys.readouterr().err == (
        "doctor warning: dense: 300 units.\n  fix  Dense(100)   (more: model.diagnose(X, y))\n"
    )


# ---------------------------------------------------------------------- the report
def test_a_report_without_findings_lists_what_was_checked():
    told = logits(Dense(4, "relu"), Dense(3)).diagnose(X, LABELS)
    lines = str(told).splitlines()
    assert lines[0] == f"No cause found; {len(told.ran)} rules were checked:" and len(lines) == len(told.ran) + 1
    assert len(told.ran) >= 6
    row = next(line for line in lines if line.startswith("  bounded_logits"))
    assert "layer dense_1" in row and "smallest loss" in row and "loss of guessing 1.099" in row
    assert {one.check for one in told.checked} == {check.title() for check in checks()}
    assert {one.state for one in told.checked} <= {"passed", "does not apply", "not given"}


def test_notes_alone_are_no_cause():
    told = logits(Dense(4, "relu"), Dense(9)).diagnose(X, LABELS)
    lines = str(told).splitlines()
    assert lines[0].startswith("No cause found; ") and "note: dense_1: 9 outputs, but the labels end at 2." in lines


def test_a_report_with_a_finding_in_full():
    told = network(Dense(4, "relu"), Dense(1, "sigmoid", name="out")).diagnose(X, np.arange(80.0))
    lines = str(told).splitlines()
    assert lines[0].startswith("1 error; ") and lines[0].endswith(" rules were checked.")
    assert lines[1] == "error: out: y is 0 … 79, but a sigmoid gives 0 … 1: 98% of the targets are out of reach."
    assert [line[2:7] for line in lines[2:-1]] == [
        "found",
        "why  ",
        "fix  ",
        "what ",
        "where",
        "and  ",
        "sure ",
        "rule ",
    ]
    assert lines[-2] == "  rule   6" and lines[-1].startswith("report.prove() ")
    page = told._repr_html_()
    assert "<dd>activation of out" in page and page.count("class='finding'") == 1


def test_a_report_as_json_says_everything():
    told = logits(Dense(4, "relu"), Dense(3, "softmax")).diagnose(X, LABELS)
    data = json.loads(json.dumps(told.to_json(), allow_nan=False))
    assert data["findings"][0]["check"] == "bounded_logits" and data["findings"][0]["rules"] == [4]
    assert data["findings"][0]["evidence"]["smallest_loss"] == pytest.approx(np.log(1 + 2 / np.e))
    linear = json.loads(json.dumps(logits(Dense(3)).diagnose(X, LABELS).to_json(), allow_nan=False))
    values = next(one for one in linear["checked"] if one["check"] == "bounded_logits")["values"]
    assert values[0]["lowest"] == "-inf"


def test_a_hostile_layer_name_does_not_become_markup():
    model = network(Dense(4, "relu"), Dense(1, "softmax", name="<b>"))
    assert "<b>" not in model.diagnose(X, NUMBERS)._repr_html_()


# ---------------------------------------------------------------------- data of every kind
def test_several_outputs_are_examined_each():
    x = bl.Input((4,))
    hidden = Dense(6, "relu")(x)
    model = bl.Model(x, {"kind": Dense(3, "softmax", name="k")(hidden), "yes": Dense(1, "softmax", name="y")(hidden)})
    model.compile("adam", {"kind": SparseCategoricalCrossentropy(from_logits=True), "yes": "binary_crossentropy"})
    told = model.diagnose(X, {"kind": LABELS, "yes": LABELS > 0})
    assert [(one.check, one.layer) for one in told.findings] == [("constant_output", "y"), ("bounded_logits", "k")]


def test_streams_and_sparse_matrices_are_examined_as_far_as_they_go(capsys):
    def batches():
        for begin in range(0, 80, 16):
            yield X[begin : begin + 16], LABELS[begin : begin + 16]

    model = logits(Dense(4, "relu"), Dense(3, "softmax"))
    model.fit(batches, verbose=0, epochs=2)
    assert "takes for logits" in capsys.readouterr().err
    large = logits(Dense(4, "relu"), Dense(3))
    large.fit(((1000 * x, y) for x, y in batches()), verbose=0)
    assert "not scaled" in capsys.readouterr().err and large.iterations == 5
    dense = logits(Dense(4, "relu"), Dense(3))
    rows = sparse.csr_matrix(np.where(X > 0, 1000 * X, 0))
    dense.fit(rows, LABELS, verbose=0, validation_split=0.2)
    assert "not scaled" in capsys.readouterr().err
    told = dense.diagnose(rows, LABELS, validation_data=(rows[:40], LABELS[:40]))
    assert [one.check for one in told.findings] == ["unscaled_inputs", "validation_rows_in_training"]
    assert [one.problem for one in told.checked if one.state == "failed"] == []


def test_large_data_are_sampled():
    facts = GraphFacts(_built(logits(Dense(4, "relu"), Dense(3))))

    class Counting:
        shape, ndim, dtype = (1_000_000, 4), 2, np.dtype(float)
        rows = 0

        def __len__(self):
            return 1_000_000

        def __getitem__(self, key):
            rows = key[0] if isinstance(key, tuple) else key
            assert not isinstance(rows, slice), "a whole column was read"
            type(self).rows += len(rows)
            return np.resize(X, (len(rows), 4))

    subject = Subject(facts, Arrays([Counting()], [np.resize(LABELS, 1_000_000)], [None]), None, {})
    found, went = run(subject, ("data",))
    assert found == [] and [one.problem for one in went if one.state == "failed"] == []
    assert 0 < Counting.rows <= 6000
