"""What `diagnose` tries: the first step of a training that is not made, and a few rows to be learnt by heart."""

import json
import time

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import NotReadyError
from backlit.doctor.checks_trial import CannotOverfit, TooSmall
from backlit.doctor.report import checks
from backlit.doctor.yardsticks import yardsticks
from backlit.layers import Activation, BatchNormalization, Dense, Dropout, Embedding, Flatten, GaussianNoise, Lambda
from backlit.losses import CategoricalCrossentropy, SparseCategoricalCrossentropy

RNG = np.random.default_rng(4)
X = RNG.normal(size=(200, 4))
YES = (X[:, 0] > 0).astype(int)
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X @ [1.0, -1.0, 2.0, 0.5]
TRIED = [check for check in checks() if "trial" in check.needs]
LOGITS = SparseCategoricalCrossentropy(from_logits=True)


def network(*layers, loss="mse", optimizer=None, seed=3):
    bl.random.set_seed(seed)
    model = bl.Sequential(list(layers))
    model.compile(optimizer or bl.optimizers.Adam(0.01), loss)
    return model


def kinds(report):
    return [one.check for one in report.findings if one.severity != "note"]


def state(model):
    """Everything that a model, its layers and its optimizer hold, as text and bits."""

    def told(value):
        if isinstance(value, np.ndarray):
            return value.tobytes()
        if isinstance(value, dict):
            return {repr(key): told(part) for key, part in value.items()}
        return [told(part) for part in value] if isinstance(value, (list, tuple)) else repr(value)

    held = [{key: told(value) for key, value in vars(layer).items()} for layer in model.everything()]
    leaves = [(leaf.name, leaf.array.tobytes()) for leaf in model.weights]
    slots = [leaf.array.tobytes() for each in model._slots.values() for leaf in each.values()]
    return held, leaves, slots, told(vars(model.optimizer)), bl.core.seed._state.copy()


# ---------------------------------------------------------------------- the first look
FIRST = {
    "vanishing": (
        lambda: network(*[Dense(16, "sigmoid") for _ in range(8)], Dense(3), loss=LOGITS),
        "vanishing_gradient",
    ),
    "no path": (
        lambda: network(Dense(8, "relu"), Dense(3), Lambda(lambda z: bl.ops.round(z), name="r"), loss=LOGITS),
        "no_path_for_gradient",
    ),
    "penalty": (
        lambda: network(Dense(16, "relu", kernel_regularizer=bl.regularizers.L1(0.5)), Dense(3), loss=LOGITS),
        "penalty_outweighs_data",
    ),
    "saturated": (
        lambda: network(Dense(16), Lambda(lambda z: 400 * z), Activation("tanh"), Dense(3), loss=LOGITS),
        "saturated_units",
    ),
    "explodes": (
        lambda: network(Dense(16, "relu"), Dense(3), loss=LOGITS, optimizer=bl.optimizers.SGD(3e3)),
        "first_step_explodes",
    ),
}


@pytest.mark.parametrize("case", FIRST)
@pytest.mark.parametrize("built", [False, True])
def test_what_shows_at_the_first_step_is_told_before_it(case, built):
    make, check = FIRST[case]
    model = make()
    if built:
        model.build((4,))
    assert kinds(model.diagnose(X, LABELS)) == [check]
    assert model.built == built and model.doctor_memory is None


def test_the_first_look_is_that_of_the_training_to_the_bit():
    model = network(Dense(8, "relu"), Dropout(0.5), Dense(3), loss=LOGITS)
    before = model.diagnose(X, LABELS).case.subject.course.looks
    model.fit(X, LABELS, verbose=0)
    after = model.doctor_memory.course.looks
    assert len(before) == 1 and before[0].step == 0
    assert (before[0].loss, before[0].tried) == (after[0].loss, after[0].tried)
    for part in ("gradients", "moves", "weights"):
        assert list(getattr(before[0], part).values()) == list(getattr(after[0], part).values())


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "adamw", "rmsprop", "lion"])
@pytest.mark.parametrize("overfit", [False, True])
@pytest.mark.parametrize("built", [False, True, "fitted"])
def test_nothing_is_changed_or_drawn(optimizer, overfit, built):
    bl.random.set_seed(9)
    model = bl.Sequential([Dense(6), BatchNormalization(), Dropout(0.3), Dense(3)])
    model.compile(optimizer, LOGITS)
    if built is True:
        model.build((4,))
    elif built:
        model.fit(X, LABELS, verbose=0)
    before = state(model)
    model.diagnose(X, LABELS, overfit=overfit)
    assert state(model) == before


def test_a_training_that_was_followed_is_what_is_told():
    model = network(Dense(8, "relu"), Dense(3), loss=LOGITS)
    model.fit(X, LABELS, epochs=3, verbose=0)
    subject = model.diagnose(X, LABELS).case.subject
    assert subject.course is model.doctor_memory.course and subject.course.steps == 21


def test_after_a_training_without_the_doctor_there_is_no_first_step_to_look_at():
    model = network(Dense(8, "relu"), Dense(3), loss=LOGITS)
    model.fit(X, LABELS, verbose=0, doctor="off")
    states = {one.check: one.state for one in model.diagnose(X, LABELS).checked}
    assert states["first_step_explodes"] == "not given"


def test_streams_and_weighted_rows_are_looked_at_too():
    model = network(Dense(8, "relu"), Dense(3), loss=LOGITS, optimizer=bl.optimizers.SGD(3e3))
    assert kinds(model.diagnose(lambda: iter([(X, LABELS)]))) == ["first_step_explodes"]
    assert kinds(model.diagnose(X, LABELS, sample_weight=np.ones(200))) == ["first_step_explodes"]


def test_a_look_that_fails_is_a_note(monkeypatch):
    monkeypatch.setattr("backlit.doctor.watch.Probe.look", lambda *given: 1 / 0)
    report = network(Dense(8, "relu"), Dense(3), loss=LOGITS).diagnose(X, LABELS)
    assert [(one.check, one.severity) for one in report.findings] == [("watching", "note")]
    assert "ZeroDivisionError" in report.findings[0].message


# ---------------------------------------------------------------------- a few rows by heart
HEALTHY = {
    "classes": (lambda: network(Dense(16, "relu"), Dense(3), loss=LOGITS), X, LABELS),
    "yes and no": (lambda: network(Dense(16, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy"), X, YES),
    "numbers": (lambda: network(Dense(16, "relu"), Dense(1)), X, NUMBERS),
    "noise": (lambda: network(Dense(64, "relu"), Dense(1)), X, RNG.normal(size=200)),
    "a linear model": (
        lambda: network(Dense(1), optimizer=bl.optimizers.Adam(0.05)),
        X,
        NUMBERS + RNG.normal(size=200),
    ),
    "a linear classifier": (
        lambda: network(Dense(3), loss=LOGITS, optimizer=bl.optimizers.Adam(0.1)),
        X,
        RNG.integers(0, 3, 200),
    ),
    "soft targets": (
        lambda: network(Dense(32, "relu"), Dense(3, "softmax"), loss="categorical_crossentropy"),
        X,
        0.6 * np.eye(3)[LABELS] + 0.4 / 3,
    ),
    "smoothed labels": (
        lambda: network(
            Dense(32, "relu"), Dense(3), loss=CategoricalCrossentropy(from_logits=True, label_smoothing=0.2)
        ),
        X,
        np.eye(3)[LABELS],
    ),
    "conflicting labels": (
        lambda: network(Dense(32, "relu"), Dense(3), loss=LOGITS),
        np.repeat(X[:100], 2, axis=0),
        RNG.integers(0, 3, 200),
    ),
    "one in a hundred": (
        lambda: network(Dense(16, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"),
        X,
        (np.arange(200) % 100 == 7).astype(int),
    ),
    "much dropout": (lambda: network(Dense(64, "relu"), Dropout(0.5), Dense(3), loss=LOGITS), X, LABELS),
    "batch normalization": (lambda: network(Dense(16), BatchNormalization(), Dense(3), loss=LOGITS), X, LABELS),
    "a small penalty": (
        lambda: network(Dense(32, "relu", kernel_regularizer=bl.regularizers.L2(0.01)), Dense(3), loss=LOGITS),
        X,
        LABELS,
    ),
    "ids": (
        lambda: network(Embedding(50, 8), Flatten(), Dense(2), loss=LOGITS),
        RNG.integers(0, 50, (200, 6)),
        RNG.integers(0, 2, 200),
    ),
    "large numbers": (lambda: network(Dense(16, "relu"), Dense(1), optimizer=bl.optimizers.Adam(0.3)), X, 40 * NUMBERS),
}


@pytest.mark.parametrize("case", HEALTHY)
def test_what_can_learn_learns_a_few_rows(case):
    make, x, y = HEALTHY[case]
    report = make().diagnose(x, y, overfit=True)
    assert "cannot_overfit" not in kinds(report)
    assert report.trial.left < 0.5 and 2 <= report.trial.rows <= 16 and report.trial.steps[-1] <= 300
    row = {one.check: one for one in report.checked}["cannot_overfit"]
    assert row.state == "passed" and row.values[0]["rows"] == report.trial.rows


SICK = {
    "noise": (lambda: network(GaussianNoise(1.0), Dense(16, "relu"), Dense(3), loss=LOGITS), X / 50, LABELS),
    "zeros": (lambda: network(Dense(8, "relu"), Lambda(lambda z: 0.0 * z), Dense(3), loss=LOGITS), X, LABELS),
    "steps that are too short": (
        lambda: network(Dense(16, "relu"), Dense(3), loss=LOGITS, optimizer=bl.optimizers.SGD(1e-6)),
        X,
        LABELS,
    ),
    "steps that are too long": (
        lambda: network(Dense(16, "relu"), Dense(1), optimizer=bl.optimizers.SGD(50.0)),
        X,
        NUMBERS,
    ),
    "a loss of other rows": (
        lambda: network(Dense(16, "relu"), Dense(1), loss=lambda y, p: y * y - p * 0.0),
        X,
        NUMBERS,
    ),
}


@pytest.mark.parametrize("case", SICK)
def test_what_cannot_learn_is_told(case):
    make, x, y = SICK[case]
    report = make().diagnose(x, y, overfit=True)
    if report.trial is None:  # no prediction is better than another one
        assert case == "a loss of other rows"
        return
    assert report.trial.failed
    below = [text for one in report.findings for text in one.consequences if "by heart" in text]
    assert ("cannot_overfit" in kinds(report)) != bool(below)


@pytest.mark.parametrize("make", [CannotOverfit, TooSmall], ids=lambda make: make.title())
def test_the_bad_program_is_found_and_the_good_one_left_alone(make):
    check = make()
    assert check.title() in [one.title() for one in TRIED]
    for program, expected in ((check.bad, [check.title()]), (check.good, [])):
        bl.random.set_seed(3)
        model, x, y, *rest = program()
        if rest:
            model.fit(x, y, verbose=0, **rest[0])
        report = model.diagnose(x, y, overfit=True)
        assert kinds(report) == expected
        assert [one.problem for one in report.checked if one.state == "failed"] == []
    assert {one.check: one.state for one in model.diagnose(x, y).checked}[check.title()] == "not given"


def test_a_cause_has_it_as_its_consequence():
    model = network(Dense(8, "relu"), Dense(1, "softmax"), loss="binary_crossentropy")
    report = model.diagnose(X, YES, overfit=True)
    assert kinds(report) == ["constant_output"] and not report.trial.learnt
    assert any("by heart" in text for text in report.findings[0].consequences)


def test_the_change_that_worked_is_the_fix():
    model = network(Dense(16, "relu"), Dense(1), optimizer=bl.optimizers.SGD(0.9))
    report = model.diagnose(X, NUMBERS, overfit=True)
    (finding,) = [one for one in report.findings if one.check == "cannot_overfit"]
    assert finding.fix.startswith("learning_rate=0.09: ")
    assert report.apply(report.findings.index(finding)).model.optimizer.learning_rate == 0.09


def test_the_report_shows_the_trial():
    report = network(Dense(16, "relu"), Dense(3), loss=LOGITS).diagnose(X, LABELS, overfit=True)
    assert "can be learnt by heart. █" in str(report) and "<svg" in report._repr_html_()
    told = json.loads(json.dumps(report.to_json()))["trial"]
    assert told["learnt"] and len(told["steps"]) == len(told["left"]) and told["left"][-1] == report.trial.left
    bare = network(Dense(16, "relu"), Dense(3), loss=LOGITS).diagnose(X, LABELS)
    assert bare.trial is None and "by heart" not in str(bare) and "trial" not in bare.to_json()


def test_one_row_again_and_again_is_no_trial():
    report = network(Dense(16, "relu"), Dense(3), loss=LOGITS).diagnose(np.ones((50, 4)), LABELS[:50], overfit=True)
    assert report.trial is None
    assert "was not tried" in next(one.message for one in report.findings if one.check == "trial")


def test_a_network_that_cannot_be_made_again_is_a_note():
    class Own(bl.Model):
        def __init__(self, units):
            super().__init__()
            self.inner = Dense(units())

        def call(self, x):
            return self.inner(x)

    model = Own(lambda: 3)
    model.compile("adam", LOGITS)
    told = [one for one in model.diagnose(X, LABELS, overfit=True).findings if one.check == "trial"]
    assert all(one.severity == "note" for one in told)


def test_a_large_network_gets_fewer_steps_and_says_so(monkeypatch):
    monkeypatch.setattr("backlit.doctor.trial.SECONDS", 0.01)
    model = network(Dense(400, "relu"), Dense(400, "relu"), Dense(1), optimizer=bl.optimizers.SGD(1e-5))
    began = time.perf_counter()
    trial = model.diagnose(X, NUMBERS, overfit=True).trial
    assert (
        trial.steps[-1] < 300 and trial.cut and f"{trial.steps[-1]} steps" in str(trial) and "time was up" in str(trial)
    )
    assert time.perf_counter() - began < 5


# ---------------------------------------------------------------------- too small
def ring(rows):
    x = np.random.default_rng(1).normal(size=(rows, 2))
    return x, (np.square(x).sum(axis=1) > 1.4).astype(int)


def test_a_linear_model_is_not_blamed_for_being_one():
    x, y = ring(400)
    x = np.c_[x, RNG.normal(size=(400, 4))]
    model = network(Dense(1, "sigmoid"), loss="binary_crossentropy", optimizer=bl.optimizers.Adam(0.05))
    model.fit(x, y, epochs=30, verbose=0)
    report = model.diagnose(x, y, overfit=True)
    row = {one.check: one for one in report.checked}["too_small"]
    assert row.state == "passed" and row.values[0]["network"] == "is linear in its inputs"


def test_where_there_is_nothing_beyond_a_line_no_network_is_too_small():
    x = np.random.default_rng(2).normal(size=(400, 6))
    y = x @ RNG.normal(size=6) + np.random.default_rng(3).normal(size=400)
    model = network(Dense(2, "tanh"), Dense(1))
    model.fit(x, y, epochs=40, verbose=0)
    assert "too_small" not in kinds(model.diagnose(x, y, overfit=True))


def test_the_yardsticks_know_a_line_from_a_ring():
    x, y = ring(600)
    told = yardsticks(x, np.eye(2)[y], True)
    assert told.curved_held > 0.9 and told.gain > 0.2
    straight = (x[:, :1] > 0.2).astype(int)[:, 0]
    told = yardsticks(x, np.eye(2)[straight], True)
    assert told.linear > 0.97 and told.gain < 0.02
    numbers = x @ [[2.0], [-1.0]] + 0.3
    assert yardsticks(x, numbers, False).linear == pytest.approx(1, abs=1e-6)


# ---------------------------------------------------------------------- prove
def test_more_epochs_are_proved_by_both_lengths(capsys):
    model = network(Dense(16, "relu"), Dense(3), loss=LOGITS, optimizer=bl.optimizers.Adam(0.002))
    model.fit(X, LABELS, epochs=4, verbose=0)
    report = model.diagnose(X, LABELS)
    assert kinds(report) == ["stopped_while_improving"]
    proof = report.prove()
    assert proof.before.steps[-1] == 28 and proof.after.steps[-1] > 100 and proof.better
    shorter = len(proof.before.steps)
    assert proof.before.losses == proof.after.losses[:shorter] and "after 28 steps" in proof.verdict


def test_fewer_epochs_are_proved_on_held_out_rows(capsys):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 4))
    y = x @ [1.0, -2.0, 0.5, 1.0] + 4 * rng.normal(size=96)
    model = network(Dense(64, "relu"), Dense(1), optimizer=bl.optimizers.Adam(0.02))
    model.fit(x, y, epochs=120, verbose=0, validation_split=0.4)
    assert "overfitting" in kinds(model.diagnose(x, y, validation_split=0.4))
    proof = model.diagnose(x, y, validation_split=0.4).prove()
    assert proof.better and proof.after.steps[-1] < proof.before.steps[-1] and "held-out" in proof.verdict
    with pytest.raises(NotReadyError, match="held-out"):
        model.diagnose(x, y).prove()


def batches():
    for first in range(0, 192, 32):
        yield X[first : first + 32], YES[first : first + 32]


@pytest.mark.parametrize("stream", [lambda: batches, lambda: list(batches())[:1].__iter__(), batches])
def test_of_a_stream_the_first_batches_are_tried(stream):
    model = network(Dense(8, "relu"), Dense(1, "softmax"), loss="binary_crossentropy")
    report = model.diagnose(stream())
    proof = report.prove(steps=60)
    assert proof.better and not model.built
    assert report.apply().model.layers[-1].arguments["activation"] == "sigmoid"
    assert ("6 batches" if stream() is batches else "one batch") in proof.verdict
