"""The doctor while a network trains: it changes nothing, costs little, never stops anything, and tells what it saw."""

import gc
import pickle
import weakref
from importlib.util import find_spec

import numpy as np
import pytest

import backlit as bl
from backlit.core import registry
from backlit.core.check import Check
from backlit.core.errors import NonFiniteError
from backlit.doctor import watch
from backlit.layers import BatchNormalization, Dense, Dropout
from backlit.optimizers import SGD, Adam

ENGINES = ["reference", "planned"] + [
    name for name, package in (("compiled", "llvmlite"), ("xla", "jax")) if find_spec(package)
]
HOW = ["arrays", "batch by batch", "stream", "validation"]
WAYS = [(name, how) for name in ENGINES for how in (HOW if name in ("planned", "compiled") else HOW[:1])]
RNG = np.random.default_rng(5)
X = RNG.normal(size=(160, 6))
LABELS = np.digitize(X[:, 0] + X[:, 1], [-1, 1])
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0, 0.3, 1.0]


def chain(*layers, loss="mse", optimizer=None, engine="auto", seed=7):
    bl.random.set_seed(seed)
    model = bl.Sequential(list(layers))
    model.compile(optimizer or Adam(0.01), loss, engine=engine)
    return model


def small(engine="auto"):
    layers = Dense(8, "relu"), Dropout(0.3), BatchNormalization(), Dense(3, "softmax")
    return chain(*layers, loss="sparse_categorical_crossentropy", engine=engine)


def course_of(model):
    return model.doctor_memory.course


def stream():
    for begin in range(0, 160, 20):
        yield X[begin : begin + 20], LABELS[begin : begin + 20]


class EachBatch(bl.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        """Makes every run one step long."""


# ---------------------------------------------------------------------- it changes nothing
@pytest.mark.parametrize(("engine", "how"), WAYS)
def test_weights_numbers_and_random_streams_are_the_same_bits_with_and_without_it(engine, how, monkeypatch):
    monkeypatch.setattr(watch, "_FREE", 1e9)
    told = {}
    for doctor in ("off", "warn"):
        model = small(engine)
        given = {"x": stream} if how == "stream" else {"x": X, "y": LABELS, "batch_size": 20}
        more = {"callbacks": [EachBatch()]} if how == "batch by batch" else {}
        more |= {"validation_split": 0.25} if how == "validation" else {}
        history = model.fit(**given, epochs=15, verbose=0, doctor=doctor, **more)
        drawn = bl.Sequential([Dense(4)])
        drawn.build((None, 6))
        arrays = [*model.get_weights(), *(s.array for slots in model.slots().values() for s in slots.values())]
        told[doctor] = (
            [a.tobytes() for a in arrays],
            history.history,
            model.iterations,
            drawn.get_weights()[0].tobytes(),
        )
    assert len(course_of(model).looks) == 3 and not course_of(model).problem
    assert told["off"] == told["warn"]


def test_what_came_before_does_not_matter_to_a_look():
    """The dropout masks of a look are those of the step that follows it."""
    model = small("reference")
    model.fit(X[:20], LABELS[:20], batch_size=20, epochs=1, verbose=0, shuffle=False)
    seen = course_of(model).looks[0]
    assert seen.loss == pytest.approx(course_of(model).losses[0], rel=1e-5)


# ---------------------------------------------------------------------- it costs little
def test_looks_are_few_however_long_a_training_is(monkeypatch):
    monkeypatch.setattr(watch, "_FREE", 1e9)
    monkeypatch.setattr(watch, "_SHARE", 1e9)
    looked = []
    usual = watch.Probe.look
    monkeypatch.setattr(
        watch.Probe, "look", lambda self, feed, n: looked.append(len(feed[self.columns[0]])) or usual(self, feed, n)
    )
    for epochs, expected in ((1, [0, 4, 8]), (20, [0, 80, 160]), (125, [0, 50, 200, 500, 1000])):
        model = chain(Dense(4, "relu"), Dense(1))
        model.fit(X, NUMBERS, batch_size=20, epochs=epochs, verbose=0)
        assert [look.step for look in course_of(model).looks] == expected
    assert len(looked) == 11 and max(looked) <= watch.ROWS


def test_of_large_rows_few_are_looked_at():
    wide = np.zeros((60, 40_000), dtype=np.float32)
    model = chain(Dense(2), engine="planned", optimizer=SGD(0.01))
    model.fit(wide + 0.001, np.arange(60.0)[:, None].repeat(2, 1), verbose=0)
    assert course_of(model).rows == 8


def test_a_look_that_takes_too_long_is_the_last_one(monkeypatch):
    monkeypatch.setattr(watch, "_FREE", 1e-9)
    monkeypatch.setattr(watch, "_SHARE", 0.0)
    model = chain(Dense(4, "relu"), Dense(1))
    model.fit(X, NUMBERS, epochs=30, verbose=0)
    assert [look.step for look in course_of(model).looks] == [0]
    assert len(course_of(model).losses) == 150


def test_a_model_that_is_trained_again_for_short_whiles_is_followed_once(monkeypatch):
    monkeypatch.setattr(watch, "_FREE", 1e-9)
    model = chain(Dense(4, "relu"), Dense(1))
    model.fit(X, NUMBERS, verbose=0)
    assert [look.step for look in course_of(model).looks] == [0]
    model.fit(X, NUMBERS, verbose=0)
    assert course_of(model).looks == []
    monkeypatch.setattr(watch, "_SHARE", 1e9)  # a long one, as far as its share of time goes
    model.fit(X, NUMBERS, verbose=0)
    assert len(course_of(model).looks) > 1


def test_nothing_of_the_data_is_kept():
    x = X.astype(np.float32).copy()
    gone = weakref.ref(x)
    model = chain(Dense(4, "relu"), Dense(1))
    model.fit(x, NUMBERS, verbose=0)
    del x
    gc.collect()
    assert gone() is None and len(course_of(model).looks) > 1
    assert pickle.loads(pickle.dumps(model)).predict(X).shape == (160, 1)


# ---------------------------------------------------------------------- it stops nothing
def test_an_exception_in_a_look_becomes_a_note(monkeypatch, capsys):
    def broken(self, feed, number):
        raise ZeroDivisionError("of ours")

    monkeypatch.setattr(watch.Probe, "look", broken)
    model = chain(Dense(4, "relu"), Dense(1))
    history = model.fit(X, NUMBERS, epochs=12, verbose=0)
    assert len(history.history["loss"]) == 12 and capsys.readouterr().err == ""
    (note,) = model.diagnose(X, NUMBERS).findings
    assert note.severity == "note" and "ZeroDivisionError: of ours" in note.message


@pytest.mark.parametrize("phase", ["first step", "during", "after"])
def test_an_exception_in_a_check_is_told_in_the_report_alone(phase, capsys):
    class Broken(Check):
        rules, needs = (58,), ("course",)

        def measure(self, subject):
            raise KeyError("of a check")

    Broken.phase = phase
    model = chain(Dense(4, "relu"), Dense(1))
    try:
        model.fit(X, NUMBERS, epochs=12, verbose=0)
        told = {one.check: one for one in model.diagnose(X, NUMBERS).checked}["broken"]
    finally:
        registry._table.pop("check.broken", None)
        registry._sorted.clear()
    assert (told.state, told.problem) == ("failed", "KeyError: 'of a check'")
    assert capsys.readouterr().err == "" and model.iterations == 60


def test_warnings_stop_nothing_even_where_errors_raise(capsys):
    model = chain(Dense(8, "relu"), Dense(1), optimizer=Adam(5.0))
    model.fit(X, NUMBERS, epochs=12, verbose=0, doctor="raise")
    assert model.iterations == 60
    assert "learning_rate=" in capsys.readouterr().err


def test_a_step_that_is_not_finite_ends_as_before():
    model = chain(Dense(8, "relu"), Dense(1), optimizer=SGD(1e30))
    with pytest.raises(NonFiniteError):
        model.fit(X, NUMBERS, epochs=5, verbose=0)
    assert model.iterations < 25 and course_of(model).subject is None
    assert [one.check for one in model.diagnose(X, NUMBERS).findings] == ["first_step_explodes"]


# ---------------------------------------------------------------------- it tells what it saw
def test_what_is_certain_is_told_while_it_trains(capsys):
    told = []

    class Listen(bl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            told.append((self.model.iterations, capsys.readouterr().err))

    model = chain(Dense(8, "relu"), Dense(1), optimizer=Adam(5.0))
    model.fit(X, NUMBERS, epochs=40, verbose=0, callbacks=[Listen()])
    first = next(step for step, text in told if text)
    assert first <= 60
    assert sum(text.count("doctor warning") for _, text in told) == 1


def test_without_a_number_of_steps_it_looks_as_well(capsys):
    def forever():
        while True:
            yield from stream()

    model = small()
    model.fit(forever(), steps_per_epoch=30, epochs=3, verbose=0)
    assert [look.step for look in course_of(model).looks] == [0, 45, 90]
    assert capsys.readouterr().err == ""


def test_the_cause_is_told_and_its_consequences_are_not(capsys):
    model = chain(Dense(8, "tanh"), Dense(1), optimizer=SGD(1e-6))
    model.fit(X * 1000, NUMBERS, epochs=20, verbose=0)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("doctor")]
    assert len(lines) == 1 and "not scaled" in lines[0]
    (cause,) = [one for one in model.diagnose(X * 1000, NUMBERS).findings if one.severity != "note"]
    assert cause.check == "unscaled_inputs" and any("SGD" in each for each in cause.consequences)


def test_a_report_after_training_speaks_of_it_until_the_model_is_compiled_anew():
    model = chain(Dense(8, "relu"), Dense(1), optimizer=Adam(1e-7))
    assert model.diagnose(X, NUMBERS).findings == ()
    model.fit(X, NUMBERS, epochs=10, verbose=0)
    assert [one.check for one in model.diagnose(X, NUMBERS).findings] == ["learning_rate_too_low"]
    model.compile(Adam(1e-7), "mse")
    assert model.diagnose(X, NUMBERS).findings == ()


# ---------------------------------------------------------------------- what is measured is right
def entropy(shares):
    return -float(np.sum(shares * np.log(shares)))


@pytest.mark.parametrize(
    ("loss", "units", "y", "cost"),
    [
        ("mse", 1, NUMBERS, np.var(NUMBERS)),
        ("mae", 1, NUMBERS, np.abs(NUMBERS - np.median(NUMBERS)).mean()),
        (bl.losses.SparseCategoricalCrossentropy(from_logits=True), 3, LABELS, entropy(np.bincount(LABELS) / 160)),
        (bl.losses.BinaryCrossentropy(from_logits=True), 1, (LABELS == 1) * 1.0, None),
        (bl.losses.MeanSquaredError(reduction="sum"), 1, NUMBERS, "none"),
    ],
)
def test_the_loss_of_a_constant_is_the_best_one(loss, units, y, cost):
    if cost is None:
        share = float(y.mean())
        cost = entropy(np.array([share, 1 - share]))
    model = chain(Dense(units), loss=loss, optimizer=SGD(1e-5))
    model.fit(X, y, verbose=0)
    found = course_of(model).constant
    assert found is None if cost == "none" else found == pytest.approx(cost, rel=1e-4)


def test_weighted_rows_count_as_often_as_their_weight_says():
    y, w = np.r_[np.zeros(80), np.ones(80)], np.r_[np.full(80, 3.0), np.ones(80)]
    model = chain(Dense(1, "sigmoid"), loss="binary_crossentropy")
    model.fit(X, y, sample_weight=w, verbose=0)
    assert course_of(model).constant == pytest.approx(2 * entropy(np.array([0.75, 0.25])), rel=1e-4)


def test_the_curvature_is_the_largest_eigenvalue_and_the_rate_stays_below_its_limit(capsys):
    x = X[:96] * [5.0, 1, 1, 1, 1, 1]
    model = chain(Dense(1, use_bias=False), optimizer=SGD(2.0), seed=1)
    model.fit(x, NUMBERS[:96], batch_size=96, epochs=1, verbose=0)
    expected = 2 * np.linalg.eigvalsh(x.T @ x / 96).max()
    assert course_of(model).looks[0].curvature == pytest.approx(expected, rel=0.02)
    rate = float(capsys.readouterr().err.partition("learning_rate=")[2].split()[0])
    assert rate < 2 / expected


def test_an_update_is_the_one_that_the_next_step_makes():
    model = chain(Dense(1, use_bias=False), optimizer=SGD(0.01), engine="reference")
    model.build((None, 6))
    before = model.get_weights()[0]
    model.fit(X[:64], NUMBERS[:64], batch_size=64, epochs=1, verbose=0, shuffle=False)
    look = course_of(model).looks[0]
    ((kernel, moved),) = look.moves.items()
    assert moved == pytest.approx(float(np.linalg.norm(model.get_weights()[0] - before)), rel=1e-4)
    assert look.weights[kernel] == pytest.approx(float(np.linalg.norm(before)), rel=1e-5)
    assert look.tried[1.0] == pytest.approx(course_of(model).looks[-1].loss, rel=1e-4)
