"""What `report.apply` makes is mended, `report.prove` shows it, and both leave everything as it was."""

import json
import time
import warnings

import numpy as np
import pytest

import backlit as bl
from backlit.core.check import Check
from backlit.core.errors import BacklitError, NonFiniteError, NotReadyError, ValueRangeError
from backlit.doctor.report import checks
from backlit.layers import Activation, BatchNormalization, Dense, Dropout, Layer, Softmax
from backlit.losses import SparseCategoricalCrossentropy
from tools.doctor_page import finding

RNG = np.random.default_rng(4)
X = RNG.normal(size=(200, 4))
YES = (X[:, 0] > 0).astype(int)
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
NUMBERS = X @ [1.0, -1.0, 2.0, 0.5]
STATIC = [check for check in checks() if check.phase in ("compile", "data")]
FOLLOWED = [check for check in checks() if check not in STATIC]
# Whose fix is somebody's decision: nothing that a program could choose between.
BY_HAND = {check.title() for check in checks() if type(check).repair is Check.repair}


def network(*layers, loss="mse", optimizer=None, metrics=None, seed=3):
    bl.random.set_seed(seed)
    model = bl.Sequential(list(layers))
    model.compile(optimizer or bl.optimizers.Adam(0.01), loss, metrics=metrics)
    return model


def wrong():
    return network(Dense(8, "relu"), Dense(1, "softmax", name="out"), loss="binary_crossentropy")


def bits(model):
    return [array.tobytes() for array in model.get_weights()]


# ---------------------------------------------------------------------- apply
@pytest.mark.parametrize("check", STATIC, ids=lambda check: check.title())
def test_what_is_applied_is_not_found_again(check, capsys):
    bl.random.set_seed(1)
    model, x, y, *rest = check.bad()
    known = ("validation_split", "validation_data", "batch_size", "sample_weight")
    given = {key: value for key, value in (rest[0] if rest else {}).items() if key in known}
    told = model.diagnose(x, y, **given)
    place = next(place for place, one in enumerate(told.findings) if one.check == check.title())
    mechanical = told.to_json()["findings"][place]["mechanical"]
    assert mechanical == (check.title() not in BY_HAND)
    if not mechanical:
        with pytest.raises(NotReadyError):
            told.apply(place)
        return
    fixed = told.apply(place)
    assert fixed.changes and all(f"doctor: {change}\n" in capsys.readouterr().err for change in fixed.changes[:1])
    again = {key: value for key, value in fixed.arguments.items() if key in known}
    if not {"validation_stratify", "class_weight"} & set(fixed.arguments):  # of which `diagnose` does not hear
        assert check.title() not in [one.check for one in fixed.model.diagnose(fixed.x, fixed.y, **again).findings]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert fixed.fit(epochs=1, verbose=0, doctor="off").history["loss"]


@pytest.mark.parametrize("check", FOLLOWED, ids=lambda check: check.title())
def test_what_is_found_while_it_trains_is_mended_too(check):
    v, report = finding(check)
    repair = check.repair(v, report.case.subject)
    assert (repair is not None) == (check.title() not in BY_HAND)


def test_a_rate_that_was_too_high_is_mended_after_the_training(capsys):
    model = network(Dense(16, "relu"), Dense(1), optimizer=bl.optimizers.SGD(3.0))
    with pytest.raises(NonFiniteError):
        model.fit(X, NUMBERS, epochs=2, verbose=0)
    assert "learning_rate=" in capsys.readouterr().err
    fixed = model.diagnose(X, NUMBERS).apply()
    assert fixed.model.optimizer.learning_rate < 1 and fixed.model.iterations == 0
    losses = fixed.fit(epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.2 * losses[0]


REFUSED = {
    "ten classes, one unit": (
        lambda: network(Dense(1, "sigmoid"), loss="binary_crossentropy"),
        LABELS,
        "units=1 becomes 3",
    ),
    "labels from 1": (
        lambda: network(Dense(3), loss=SparseCategoricalCrossentropy(from_logits=True)),
        LABELS + 1,
        "y is changed",
    ),
    "labels for two units": (lambda: network(Dense(2, "softmax"), loss="binary_crossentropy"), YES, "loss=Sparse"),
    "one-hot rows": (
        lambda: network(Dense(3, "softmax"), loss="sparse_categorical_crossentropy"),
        np.eye(3)[LABELS],
        "loss=CategoricalCrossentropy()",
    ),
    "numbers": (lambda: network(Dense(1, "sigmoid"), loss="binary_crossentropy"), NUMBERS, "loss=MeanSquaredError()"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_door_refuses_is_mended_where_y_says_what_it_is(case):
    make, y, said = REFUSED[case]
    model = make()
    with pytest.raises(BacklitError):
        model.fit(X, y, verbose=0)
    report = model.diagnose(X, y)
    proof = report.prove(steps=100)
    assert proof.before.steps == [] and "refused" in str(proof) and proof.verdict.startswith("Without the fix no step")
    assert proof.better and json.dumps(proof.to_json()) and "<svg" in proof._repr_html_()
    fixed = report.apply()
    assert said in str(fixed)
    assert fixed.fit(epochs=3, verbose=0, doctor="raise").history["loss"]


@pytest.mark.parametrize(
    "y", [np.full(200, np.nan), LABELS[:100], LABELS / 255, np.array(["a"] * 200), LABELS * 7], ids=str
)
def test_where_y_does_not_say_what_it_is_somebody_has_to(y):
    report = network(Dense(3), loss=SparseCategoricalCrossentropy(from_logits=True)).diagnose(X, y)
    assert [one for one in report.mendable if one.check != "targets_do_not_follow"] == []


def test_the_examined_model_stays_as_it_is():
    for build in (False, True):
        model = wrong()
        if build:
            model.build((4,))
        before = bits(model), model.built, model.optimizer, model.loss, model.seed
        report = model.diagnose(X, YES)
        report.apply()
        report.prove(steps=20)
        assert (bits(model), model.built, model.optimizer, model.loss, model.seed) == before
        assert model.layers[-1].arguments["activation"] == "softmax"


def test_random_streams_go_on_as_if_nothing_had_been_proved():
    kept = []
    for tried in (True, False):
        bl.random.set_seed(3)
        model = bl.Sequential([Dense(8, "relu"), Dropout(0.5), Dense(1, "softmax")])
        model.compile("adam", "binary_crossentropy")
        if tried:
            report = model.diagnose(X, YES)
            report.prove(steps=10)
            report.apply()
        model.fit(X, YES, epochs=2, verbose=0, doctor="off")
        kept.append((bits(model), bl.random.normal((3,)).tolist(), np.random.get_state()[1].tolist()))
    assert kept[0] == kept[1]


def test_what_shows_only_then_is_mended_too():
    x, y = X * [1, 1e4, 1, 1], 5000 + 900 * NUMBERS
    report = network(Dense(8), Dense(1, "sigmoid")).diagnose(x, y)
    assert "unscaled_targets" not in [one.check for one in report.findings]
    fixed = report.apply()
    assert [type(layer).__name__ for layer in fixed.model.layers] == ["Normalization", "Dense", "Dense", "Rescaling"]
    assert [one.check for one in fixed.model.diagnose(fixed.x, fixed.y).findings] == []
    fixed.fit(epochs=30, verbose=0, doctor="off")
    assert np.corrcoef(fixed.model.predict(x)[:, 0], y)[0, 1] > 0.95


def test_one_finding_can_be_chosen():
    report = network(Dense(8), Dense(1), metrics=["accuracy"]).diagnose(X, NUMBERS)
    assert [one.check for one in report.findings] == ["accuracy_of_numbers", "linear_layers_collapse"]
    assert report.apply(0).changes == ("compile: metrics=['mae']",)
    assert [change[:11] for change in report.apply(1).changes] == ["layer dense"]
    with pytest.raises(ValueRangeError):
        report.apply(2)
    with pytest.raises(ValueRangeError):
        report.prove(which=[-1])


def test_weights_that_were_set_are_taken_over_and_trained_ones_are_not():
    model = network(Dense(8, "relu"), Dense(3, "softmax"), loss=SparseCategoricalCrossentropy(from_logits=True))
    model.build((4,))
    values = [np.full_like(w, 0.25) + np.arange(w.size).reshape(w.shape) / 100 for w in model.get_weights()]
    model.set_weights(values)
    fixed = model.diagnose(X, LABELS).apply().model
    np.testing.assert_array_equal(fixed.get_weights()[0], model.get_weights()[0])
    model.fit(X, LABELS, epochs=2, verbose=0, doctor="off")
    trained = model.diagnose(X, LABELS).apply().model
    assert trained.iterations == 0 and not np.array_equal(trained.get_weights()[0], model.get_weights()[0])


def test_frozen_layers_keep_what_they_have_learnt():
    frozen = Dense(8, "relu")
    model = network(frozen, Dense(3, "softmax"), loss=SparseCategoricalCrossentropy(from_logits=True))
    frozen.trainable = False
    model.fit(X, LABELS, verbose=0, doctor="off")
    fixed = model.diagnose(X, LABELS).apply().model
    np.testing.assert_array_equal(fixed.get_weights()[0], model.get_weights()[0])


def test_optimizer_loss_metrics_engine_and_classes_come_along():
    optimizer = bl.optimizers.SGD(0.3, momentum=0.5)
    model = network(Dense(8), Dense(3), loss=SparseCategoricalCrossentropy(from_logits=True), optimizer=optimizer)
    model.compile(optimizer, model.loss, metrics=["accuracy"], engine="planned")
    optimizer.learning_rate = 0.02
    names = np.array(["a", "b", "c"])[LABELS]
    fixed = model.diagnose(X, names).apply()
    rule = fixed.model.optimizer
    assert rule is not optimizer and (rule.learning_rate, rule.momentum) == (0.02, 0.5)
    assert fixed.model.engine_name == "planned"
    history = fixed.fit(epochs=2, verbose=0)
    assert "accuracy" in history.history and fixed.model.classes == ("a", "b", "c")


def test_a_functional_model_is_mended():
    x = bl.Input((4,), name="x")
    model = bl.Model(x, Dense(1, name="out")(Dense(8, name="h")(x)))
    model.compile(bl.optimizers.Adam(0.01), "mse")
    y = 3000 + 500 * NUMBERS
    fixed = model.diagnose(X * 1e3, y).apply()
    assert fixed.model.diagnose(fixed.x, fixed.y).findings == ()
    fixed.fit(epochs=20, verbose=0, doctor="off")
    assert np.corrcoef(fixed.model.predict(X * 1e3)[:, 0], y)[0, 1] > 0.9


def test_one_output_of_several_is_mended():
    x = bl.Input((4,))
    hidden = Dense(6, "relu")(x)
    model = bl.Model(x, {"kind": Dense(3, name="k")(hidden), "yes": Dense(1, "softmax", name="y")(hidden)})
    model.compile("adam", {"kind": SparseCategoricalCrossentropy(from_logits=True), "yes": "mse"})
    fixed = model.diagnose(X, {"kind": LABELS, "yes": YES}).apply()
    assert fixed.changes[-1].startswith("compile: loss=BinaryCrossentropy() for the output yes")
    assert [type(head.loss).__name__ for head in fixed.model.heads] == [
        "SparseCategoricalCrossentropy",
        "BinaryCrossentropy",
    ]
    assert fixed.model.diagnose(fixed.x, fixed.y).findings == ()


@pytest.mark.parametrize("last", [Activation("softmax"), Softmax()], ids=["Activation", "Softmax"])
def test_an_activation_that_is_a_layer_is_replaced(last):
    model = network(Dense(8, "relu"), Dense(1), last, loss="binary_crossentropy")
    fixed = model.diagnose(X, YES).apply()
    assert fixed.model.diagnose(X, YES).findings == ()
    fixed.fit(epochs=60, verbose=0, doctor="off")
    assert ((fixed.model.predict(X)[:, 0] > 0.5) == YES).mean() > 0.9


def test_layers_of_somebodys_own_are_copied():
    class TwiceOver(Layer):
        def call(self, x, training=False):
            return 2 * x

    model = network(Dense(8, "relu"), TwiceOver(), Dense(1, "softmax"), loss="binary_crossentropy")
    fixed = model.diagnose(X, YES).apply()
    assert isinstance(fixed.model.layers[1], TwiceOver)


class Own(bl.Model):
    def __init__(self):
        super().__init__()
        self.last = Dense(1, "softmax")

    def call(self, x, training=False):
        return self.last(x)


def test_a_model_with_a_call_of_its_own_is_mended_by_hand():
    model = Own()
    model.compile("adam", "binary_crossentropy")
    report = model.diagnose(X, YES)
    assert report.findings[0].check == "constant_output" and report.mendable == []
    assert "report.apply()" not in str(report)
    with pytest.raises(NotReadyError, match="can be made by a program") as caught:
        report.apply()
    assert "sigmoid" in caught.value.fields["fix"]


def test_where_nothing_is_wrong_nothing_is_mended():
    report = network(Dense(8, "relu"), Dense(1)).diagnose(X, NUMBERS)
    for call in (report.apply, report.prove):
        with pytest.raises(NotReadyError, match="nothing is to be fixed"):
            call()


def test_plain_descent_gets_scaled_targets_and_adam_a_last_layer():
    y = 5000 + 900 * NUMBERS
    plain = network(Dense(1), optimizer=bl.optimizers.SGD(0.01)).diagnose(X, y).apply()
    assert plain.changes == ("y is changed",) and abs(plain.y.mean()) < 1e-9 and plain.y.std() == pytest.approx(1)
    adam = network(Dense(1)).diagnose(X, y).apply()
    assert adam.y is y and type(adam.model.layers[-1]).__name__ == "Rescaling"


def test_validation_data_go_through_the_same_change():
    y = 5000 + 900 * NUMBERS
    model = network(Dense(1), optimizer=bl.optimizers.SGD(0.01))
    fixed = model.diagnose(X[:150], y[:150], validation_data=(X[150:], y[150:])).apply()
    assert abs(fixed.arguments["validation_data"][1]).max() < 5


# ---------------------------------------------------------------------- prove
PROVED = {
    "softmax on one unit": (wrong, X, YES),
    "softmax twice": (
        lambda: network(Dense(8, "relu"), Dense(3, "softmax"), loss=SparseCategoricalCrossentropy(from_logits=True)),
        X,
        LABELS,
    ),
    "sigmoid for numbers": (lambda: network(Dense(8, "relu"), Dense(1, "sigmoid")), X, 10 * NUMBERS),
    "zeros": (
        lambda: network(Dense(8, "relu", kernel_initializer="zeros"), Dense(1, kernel_initializer="zeros")),
        X,
        NUMBERS,
    ),
    "unscaled": (lambda: network(Dense(8, "relu"), Dense(1)), X * [1, 1e5, 1, 1], NUMBERS),
    "far targets": (lambda: network(Dense(8, "relu"), Dense(1)), X, 5000 + 900 * NUMBERS),
    "far targets, SGD": (
        lambda: network(Dense(8, "relu"), Dense(1), optimizer=bl.optimizers.SGD(0.01)),
        X,
        5000 + 900 * NUMBERS,
    ),
}


@pytest.mark.parametrize("case", PROVED)
def test_the_fix_is_better(case):
    make, x, y = PROVED[case]
    began = time.perf_counter()
    proof = make().diagnose(x, y).prove()
    assert time.perf_counter() - began < 10
    assert proof.better and proof.verdict.startswith("The fix helps.")
    assert proof.before.steps == proof.after.steps and proof.after.steps[-1] == 200
    assert proof.before.kind == proof.after.kind


def test_the_text_shows_changes_and_both_curves():
    lines = str(wrong().diagnose(X, YES).prove(steps=100)).splitlines()
    assert lines[0] == "layer out: activation='softmax' becomes 'sigmoid'"
    assert lines[1].split() == ["loss", "right", "answers"]
    assert lines[2].startswith("as it is") and lines[3].startswith("with the fix")
    assert all(len(line.split()) >= 8 for line in lines[2:4]) and lines[-1].startswith("The fix helps.")


def test_both_start_from_the_same_weights_and_the_outcome_is_the_same_each_time():
    model = network(
        Dense(8, "relu"),
        BatchNormalization(),
        Dense(3, "softmax"),
        loss=SparseCategoricalCrossentropy(from_logits=True),
    )
    report = model.diagnose(X, LABELS)
    first, second = report.prove(steps=60), report.prove(steps=60)
    assert (first.before, first.after) == (second.before, second.after)
    # The activation is monotone, so that both answer alike before the first step.
    one = report.prove(steps=1)
    assert abs(one.before.scores[0] - one.after.scores[0]) < 0.1


def test_a_proof_that_takes_too_long_is_cut_and_says_how_far_it_went():
    proof = wrong().diagnose(X, YES).prove(steps=1_000_000, seconds=0.4)
    assert proof.before.steps == proof.after.steps and proof.after.steps[-1] < 1_000_000
    assert f"after {proof.after.steps[-1]} steps" in proof.verdict


def test_a_fix_that_does_not_show_is_not_praised():
    report = network(Dense(8), Dense(1)).diagnose(X, NUMBERS)  # y is linear: one linear layer is all it needs
    proof = report.prove(steps=400)
    assert not proof.better and "does not show yet" in proof.verdict


def test_losses_that_are_not_finite_are_shown_as_such():
    model = network(Dense(1), loss="poisson")
    proof = model.diagnose(X, LABELS).prove(steps=40)
    assert "×" in str(proof) or np.isfinite(proof.before.losses).all()
    assert json.loads(json.dumps(proof.to_json(), allow_nan=False))["rows"] == 32


def test_a_proof_in_a_notebook_is_one_self_contained_picture():
    page = wrong().diagnose(X, YES).prove(steps=40)._repr_html_()
    assert page.count("<svg") == 2 and "http" not in page and "<script" not in page


@pytest.mark.parametrize("wrong_one", [{"steps": 0}, {"steps": 1.5}, {"seconds": 0}])
def test_lengths_that_cannot_be_meant_are_refused(wrong_one):
    with pytest.raises(BacklitError):
        wrong().diagnose(X, YES).prove(**wrong_one)


def test_a_generator_whose_first_batch_was_refused_cannot_be_proved():
    def rows():
        for begin in range(0, 200, 50):
            yield X[begin : begin + 50], 2 * YES[begin : begin + 50]

    model = network(Dense(8, "relu"), Dropout(0.8), Dense(1, "sigmoid"), loss="binary_crossentropy")
    report = model.diagnose(rows())
    place = [one.check for one in report.findings].index("much_dropout")
    with pytest.raises(NotReadyError, match="read once"):
        report.prove(which=[place])
    assert report.apply(place).changes == ("layer dropout: rate=0.8 becomes 0.2",)
