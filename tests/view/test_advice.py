"""The course's 34 rules of thumb: who breaks one is told so by a check or by `explain`, who keeps it is left in peace."""

import json
import re

import numpy as np
import pytest

import backlit as bl
from backlit.core.check import Check
from backlit.doctor.report import checks
from backlit.initializers import RandomNormal
from backlit.layers import Activation, Conv1D, Conv2D, Dense, Embedding, Flatten, LeakyReLU, Multiply
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from backlit.optimizers import SGD, Adam
from backlit.view.advice import MOST, RULES, lines
from tests.command import backlit, strictly

RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 4))
SUM = X @ np.array([1.0, -2.0, 0.5, 1.0])
YES = (SUM > 0).astype(int)
KINDS = np.digitize(SUM, [-1, 0, 1])
PRICES = np.exp(SUM / 2)
LABELS = (X[:, :3] > 0).astype(float)
PIXELS = RNG.normal(size=(300, 8, 8, 1))
LOGITS = SparseCategoricalCrossentropy(from_logits=True)
INNER = Dense(8, "relu")


@pytest.fixture(autouse=True)
def same_first_weights():
    bl.random.set_seed(3)


def net(*layers, loss="mse", optimizer=None):
    model = bl.Sequential([Dense.from_config(one.get_config()) if one is INNER else one for one in layers])
    model.compile(optimizer or Adam(0.01), loss)
    return model


def built(*layers, shape=(4,), **more):
    model = net(*layers, **more)
    model.build((None, *shape))
    return model


def trained(model, losses, rate=0.01):
    """The model after a training with this course of the loss."""
    model.history = bl.callbacks.History()
    for epoch, loss in enumerate(losses):
        model.history.keep(epoch, {"loss": loss})
    model.optimizer.learning_rate = rate
    return model


def scored(model, rows=5000, own=0.9, linear=0.8):
    def score(value, n):
        return {"accuracy": value, "n": n, "interval": [0.0, 1.0]}

    model.about = {
        "scores": {"train": score(1.0, rows), "test": score(own, 50), "baseline": {"linear": score(linear, 50)}}
    }
    return model


def said(model, number, *data):
    """What a rule says of a model, None for nothing, and whether that is advice."""
    found = {each["number"]: each for each in model.explain(*data).to_json()["advice"]}.get(number)
    return (None, False) if found is None else (found["says"], found["advice"])


# ---------------------------------------------------------------------- the records
def test_there_are_34_rules_and_every_check_that_they_name():
    assert list(RULES) == [f"C{number}" for number in range(296, 330)]
    titles = {check.title() for check in checks()}
    for number, rule in RULES.items():
        assert rule.number == number and rule.rule.endswith(".") and set(rule.checks) <= titles, number
        assert rule.checks or rule.kept or rule.says, number


def test_the_checks_of_the_course_are_notes_that_fit_does_not_print(capsys):
    for name in ("negative_predictions", "sigmoid_inside", "squared_error_on_yes_and_no"):
        check = Check.named(name)()
        assert check.severity == "note"
        model, x, y = check.bad()
        model.fit(x, y, verbose=0, doctor="raise")
        assert capsys.readouterr().err == ""


# ---------------------------------------------------------------------- who breaks a rule is found by its check
ZERO = Dense(8, "relu", kernel_initializer="zeros")
WIDE = RandomNormal(stddev=20.0)
BROKEN = {
    "C296 relu": (lambda: net(INNER, Dense(1, "relu"), loss="binary_crossentropy"), YES, "output_is_no_probability"),
    "C296 tanh": (lambda: net(INNER, Dense(1, "tanh"), loss="binary_crossentropy"), YES, "output_is_no_probability"),
    "C296 linear": (lambda: net(INNER, Dense(1), loss="binary_crossentropy"), YES, "output_is_no_probability"),
    "C296 linear, mse": (lambda: net(INNER, Dense(1)), YES, "squared_error_on_yes_and_no"),
    "C296 tanh, mse": (lambda: net(INNER, Dense(1, "tanh")), YES, "squared_error_on_yes_and_no"),
    "C297 relu": (lambda: net(INNER, Dense(1, "relu")), SUM, "target_out_of_reach"),
    "C297 sigmoid": (lambda: net(INNER, Dense(1, "sigmoid")), SUM, "target_out_of_reach"),
    "C298": (lambda: net(INNER, Dense(1)), PRICES, "negative_predictions"),
    "C299 labels from 1": (lambda: net(INNER, Dense(4), loss=LOGITS), KINDS + 1, "labels"),
    "C299 too few units": (lambda: net(INNER, Dense(3), loss=LOGITS), KINDS, "labels"),
    "C299 too many units": (lambda: net(INNER, Dense(9), loss=LOGITS), KINDS, "unused_outputs"),
    "C300": (
        lambda: net(INNER, Dense(3, "softmax"), loss="categorical_crossentropy"), LABELS, "several_labels_of_one"
    ),
    "C302": (lambda: net(Dense(8), Dense(8), Dense(1)), SUM, "linear_layers_collapse"),
    "C303": (lambda: net(Dense(8, "sigmoid"), Dense(1)), SUM, "sigmoid_inside"),
    "C306 twice": (lambda: net(INNER, Dense(4, "softmax"), loss=LOGITS), KINDS, "bounded_logits"),
    "C306 never": (
        lambda: net(INNER, Dense(4), loss="sparse_categorical_crossentropy"), KINDS, "output_is_no_probability"
    ),
    "C311": (lambda: net(ZERO, Dense(1, kernel_initializer="zeros")), SUM, "equal_units"),
    "C312": (
        lambda: net(*(Dense(8, "tanh", kernel_initializer=WIDE) for _ in range(2)), Dense(1)), SUM,
        "first_weights_of_wrong_size",
    ),
    "C317": (lambda: net(Dense(1, "sigmoid")), YES, "squared_error_on_yes_and_no"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_found_by_the_check_that_the_record_names(name):
    make, y, check = BROKEN[name]
    findings = make().diagnose(X, y).findings
    assert check in [one.check for one in findings]
    assert check in RULES[name[:4]].checks or check == "labels"  # of the door


# ---------------------------------------------------------------------- who keeps the rules is left in peace
def objections(model, y, x=X):
    """What the checks of the rules of thumb, or anything worse than a note, say of a program."""
    named = {check for rule in RULES.values() for check in rule.checks}
    findings = model.diagnose(x, y).findings
    return [one.check for one in findings if one.check in named or one.severity != "note"]


KEPT = {
    "tanh inside and sigmoid at the end": (
        lambda: net(Dense(8, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy"), YES
    ),
    "logistic regression from zero": (
        lambda: net(Dense(1, "sigmoid", kernel_initializer="zeros"), loss="binary_crossentropy"), YES
    ),
    "linear regression": (lambda: net(Dense(1)), SUM),
    "softmax regression": (lambda: net(Dense(4), loss=LOGITS), KINDS),
    "leaky relu": (lambda: net(Dense(8), LeakyReLU(0.01), Dense(1)), SUM),
    "swish": (lambda: net(Dense(8, "swish"), Dense(1)), SUM),
    "three labels": (lambda: net(INNER, Dense(3, "sigmoid"), loss="binary_crossentropy"), LABELS),
    "prices behind a softplus": (lambda: net(INNER, Dense(1, "softplus")), PRICES),
    "years, far from 0": (lambda: net(INNER, Dense(1)), SUM + 20),
    "numbers from 0 to 1 from a sigmoid": (lambda: net(INNER, Dense(1, "sigmoid")), 1 / (1 + np.exp(-SUM))),
}  # fmt: skip


@pytest.mark.parametrize("name", KEPT)
def test_no_check_objects_to_what_the_course_allows(name):
    make, y = KEPT[name]
    assert objections(make(), y) == []


def test_a_sigmoid_that_is_a_gate_is_no_activation_between_layers():
    x = bl.Input((4,))
    gated = Multiply()([Dense(8, "tanh")(x), Dense(8, "sigmoid")(x)])
    model = bl.Model(x, Dense(1)(gated))
    model.compile("adam", "mse")
    assert objections(model, SUM) == []


def test_a_sigmoid_written_by_hand_is_one():
    def squash(z):
        return 1 / (1 + bl.ops.exp(-z))

    model = net(Dense(8), bl.layers.Lambda(squash), Dense(1))
    assert objections(model, SUM) == ["sigmoid_inside"]


def test_rank_1_is_read_as_a_column_and_a_row_is_refused():
    def own(y_true, y_pred):
        assert y_true.shape == y_pred.shape
        return bl.ops.mean((y_true - y_pred) ** 2)

    column, vector = net(Dense(1), loss=own), X[:, 0]
    assert objections(column, SUM, vector) == []
    column.fit(vector, SUM, verbose=0)
    assert column.predict(vector).shape == (300, 1)
    assert "rows" in [one.check for one in column.diagnose(vector, SUM[None, :]).findings]


# ---------------------------------------------------------------------- what `explain` says: (advice, model, words)
def relu_out():
    return built(INNER, Dense(1, "relu"))


LOGIT = {"loss": LOGITS}
BCE = {"loss": "binary_crossentropy"}
ADVICE = {
    "C297": (lambda: relu_out(), lambda: built(INNER, Dense(1)), "end at 0 (relu)"),
    "C298": (lambda: built(INNER, Dense(1)), lambda: built(INNER, Dense(3), **LOGIT), "Activation('relu')"),
    "C302": (lambda: built(Dense(8), Dense(8), Dense(1)), lambda: built(Dense(1)), "3 layers without an activation"),
    "C303": (
        lambda: built(Dense(8, "sigmoid", name="a"), Dense(1)),
        lambda: built(Dense(8, "tanh"), Dense(1, "sigmoid"), **BCE), "sigmoid inside (a)"),
    "C306": (
        lambda: built(INNER, Dense(4, "softmax"), **LOGIT), lambda: built(INNER, Dense(1)), "from_logits=True does not fit"
    ),
    "C307": (
        lambda: built(INNER, Dense(1), loss=BinaryCrossentropy(from_logits=True)),
        lambda: built(INNER, Dense(1, "sigmoid"), **BCE), "bl.nn.sigmoid of the logits"),
    "C308": (
        lambda: built(INNER, Dense(1), optimizer=SGD(0.1)),
        lambda: built(INNER, Dense(1), optimizer=SGD(0.1, momentum=0.9)), "(SGD, rate 0.1)"),
    "C309": (
        lambda: trained(built(Dense(1)), [4, 2, 4, 2, 4, 2, 3.5], 0.3),
        lambda: trained(built(Dense(1)), [4, 2], 0.3), "to and fro 5 times in 7 epochs: a lower rate than 0.3"),
    "C310": (
        lambda: trained(built(Dense(1)), [1, 0.5, 2, 9], 0.3),
        lambda: trained(built(Dense(1)), [9, 2, 0.5, 0.52], 0.3), "from 0.5 (epoch 2) to 9 (epoch 4): 0.3 is too high"),
    "C311": (
        lambda: built(Dense(8, "relu", kernel_initializer="zeros", name="a"), Dense(1)),
        lambda: built(Dense(1, kernel_initializer="zeros")), "weights of a are all equal"),
    "C314": (lambda: built(Dense(1)), lambda: net(Dense(1)), "model.shapes(x=X, y=y)"),
    "C317": (lambda: built(Dense(1, "sigmoid")), lambda: built(Dense(1, "sigmoid"), **BCE), "'binary_crossentropy'"),
    "C318": (
        lambda: built(Flatten(), Dense(1), shape=(20, 3)), lambda: built(Embedding(9, 2), Flatten(), Dense(1)),
        "20 steps of 3 numbers"),
    "C319": (
        lambda: built(Flatten(), Dense(1), shape=(8, 8, 1)), lambda: built(Dense(1), shape=(64,)), "Conv2D needs fewer"),
    "C320": (lambda: scored(built(Dense(1)), 105), lambda: built(Dense(1)), "105 training rows are few"),
    "C321": (
        lambda: scored(built(INNER, Dense(1, "sigmoid"), **BCE), own=0.8, linear=0.9), lambda: built(INNER, Dense(1)),
        "linear model does as well on the test rows (0.900, this one 0.800)"),
    "C322": (
        lambda: built(Dense(2000, "relu"), Dense(1)), lambda: built(Dense(100, "relu"), Dense(1)),
        "2,000 units, 12,001 parameters: 2 of 64 have 4,545"),
}  # fmt: skip


@pytest.mark.parametrize("number", ADVICE)
def test_advice_where_a_rule_is_not_kept_and_silence_where_it_does_not_apply(number):
    broken, silent, words = ADVICE[number]
    text, advice = said(broken(), number)
    assert advice and words in text and text.endswith(".")
    assert text in " ".join(str(broken().explain()).split())
    assert not said(silent(), number)[1]


CONFIRMED = {
    "C296": (lambda: built(INNER, Dense(1, "sigmoid"), **BCE), "1 sigmoid unit, BinaryCrossentropy"),
    "C299": (lambda: built(INNER, Dense(4), **LOGIT), "4 outputs, labels 0 … 3"),
    "C300": (lambda: built(INNER, Dense(3, "sigmoid"), **BCE), "3 labels, each with a sigmoid"),
    "C301": (lambda: built(INNER, Dense(1)), "relu inside"),
    "C304": (lambda: built(Dense(4, "tanh"), Dense(1, "sigmoid"), **BCE), "a good pair"),
    "C305": (lambda: built(Dense(4), LeakyReLU(), Dense(1)), "leaky_relu inside; relu"),
    "C306": (lambda: built(INNER, Dense(4, "softmax"), loss="categorical_crossentropy"), "safe form"),
    "C308": (lambda: built(Dense(1), optimizer=Adam(0.001)), "Adam at 0.001; worth a try: 0.0003 and 0.003"),
    "C309": (lambda: trained(built(Dense(1)), [4, 2, 1, 0.999]), "from 4 to 0.999 in 4 epochs"),
    "C318": (lambda: built(Dense(1)), "4 features a row"),
    "C319": (lambda: built(Conv2D(4, 3), Flatten(), Dense(1), shape=(8, 8, 1)), "share their weights"),
    "C320": (lambda: scored(built(Dense(1))), "5,000 rows"),
    "C321": (lambda: scored(built(INNER, Dense(1, "sigmoid"), **BCE)), "0.900 on the test rows, 0.800 without"),
    "C322": (lambda: built(INNER, Dense(6, "relu"), Dense(1)), "2 hidden layers, at most 8 units"),
    "C324": (lambda: built(INNER, Dense(3, "sigmoid"), **BCE), "decides on 3 labels"),
    "C327": (lambda: built(Dense(4, "tanh"), Dense(1)), "tanh inside: relu and leaky_relu"),
    "C328": (lambda: built(Dense(1)), "model.trace(X[:1], y[:1])"),
    "C329": (lambda: built(Dense(1)), "dX is not computed"),
}


@pytest.mark.parametrize("number", CONFIRMED)
def test_what_is_kept_stands_in_the_json_and_not_in_the_text(number):
    make, words = CONFIRMED[number]
    text, advice = said(make(), number)
    assert words in text and not advice
    assert not re.search(rf"^  {number} ", str(make().explain()), re.M)


def test_dx_is_not_among_the_equations():
    quantities = [row.left for row in built(INNER, Dense(1)).equations().rows]
    assert "dW1" in quantities and not {"dX", "dA0"} & set(quantities)


# ---------------------------------------------------------------------- with data
def test_the_range_of_y_decides_the_output():
    free = built(INNER, Dense(1))
    assert said(free, "C297", X, SUM) == (
        f"y is {SUM.min():.4g} … {SUM.max():.4g}: an output of either sign is right.",
        False,
    )
    assert said(free, "C298", X, SUM) == (None, False)
    text, advice = said(free, "C298", None, PRICES)
    assert advice and f"({PRICES.min():.4g} … {PRICES.max():.4g})" in text
    assert said(free, "C298", X, SUM + 20) == (None, False)
    assert said(relu_out(), "C297", X, SUM)[1] and not said(relu_out(), "C298", X, PRICES)[1]
    assert said(built(Dense(1, "sigmoid")), "C317", X, YES)[1]
    assert said(built(Dense(1, "sigmoid")), "C317", X, YES * 0.5) == (None, False)


def test_dead_and_saturated_units_are_counted():
    model = built(Dense(5, "relu", name="a"), Dense(6, "tanh", name="b"), Dense(1))
    kernel, bias, *rest = model.get_weights()
    bias[:2], bias[2:] = -100.0, 9.0
    rest[0][...] = 0.2
    model.set_weights([kernel, bias, *rest])
    text, advice = said(model, "C312", X)
    assert advice and re.fullmatch(r"mean derivative of the activations at the start: a 0\.\d\d, b 0\.\d\d\.", text)
    assert said(model, "C313", X) == (None, False)
    model.optimizer.learning_rate = 1e-9
    model.fit(X, SUM, verbose=0, doctor="off")
    text, advice = said(model, "C313", X)
    assert (
        advice
        and "2 of 5 units of a pass nothing on for any row" in text
        and re.search(r"\d+% of the values of b are sat", text)
    )
    assert said(model, "C313") == (None, False) and said(model, "C312", X) == (None, False)


def test_a_relu_that_is_off_for_most_rows_is_not_saturated():
    model = built(Dense(5, "relu"), Dense(1))
    kernel, bias, *rest = model.get_weights()
    model.set_weights([kernel, bias - (X @ kernel).max(axis=0) * 0.4, *rest])
    model.optimizer.learning_rate = 1e-9
    model.fit(X, SUM, verbose=0, doctor="off")
    assert said(model, "C313", X) == ("no unit is dead, no layer saturated.", False)


def test_the_slope_at_the_start_is_the_mean_derivative():
    model = built(Dense(5, "tanh", name="a"), Dense(1), shape=(4,))
    kernel, bias, *_ = model.get_weights()
    slope = (1 - np.tanh(X @ kernel + bias) ** 2).mean()
    sample = said(model, "C312", X)
    assert not sample[1] and float(sample[0].split()[-1].rstrip(".")) == pytest.approx(slope, abs=0.03)


def test_one_row_a_step_and_many():
    for batch, words in ((1, "1 row a step"), (30, "about 30 rows a step")):
        model = net(Dense(1))
        model.fit(X[:60], SUM[:60], batch_size=batch, epochs=2, verbose=0)
        assert words in said(scored(model, 60), "C323")[0]
    assert said(built(Dense(1)), "C323") == (None, False)
    assert "0.01 was chosen for 60 rows" in said(scored(model, 60), "C326")[0]


def test_a_steady_fall_asks_for_more_unless_the_held_out_rows_object():
    falling = [4, 3.6, 3.2, 2.8, 2.4]
    model = trained(built(Dense(1)), falling, 0.001)
    assert said(model, "C309") == (
        "the loss fell in every epoch, by 14.3% in the last: more epochs, or a higher rate than 0.001.", True,
    )  # fmt: skip
    for row, held in zip(model.history.rows, [4, 3, 2, 2.5, 3], strict=True):
        row["val_loss"] = held
    assert not said(model, "C309")[1]


# ---------------------------------------------------------------------- the section
def test_advice_is_short_and_leaves_the_model_as_it_was():
    layers = [Dense(300), Dense(8, "sigmoid"), Dense(1)]
    model = trained(scored(built(*layers, optimizer=SGD(0.5)), 100, 0.1, 0.9), [1, 0.5, 2, 9])
    before = model.get_weights()
    explained = model.explain(X, SUM)
    found = explained.to_json()["advice"]
    assert json.loads(json.dumps(found)) == found and [each["advice"] for each in found] == sorted(
        (each["advice"] for each in found), reverse=True
    )
    told = list(lines(found))
    assert len(told) <= MOST + 1 and "kept" in told[-1][1]
    section = str(explained).partition("\nadvice\n")[2]
    assert section.count("  C3") <= MOST and max(map(len, section.splitlines())) <= 100
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@pytest.mark.parametrize(
    "about",
    [
        {"scores": {"train": {"n": "many"}, "test": 3, "baseline": {"linear": []}}},
        {"target_numbers": {"low": "a"}, "image": [8, "b"], "columns": 4},
        {"target_numbers": 5, "scores": {"test": {"r2": None}}},
    ],
)
def test_whatever_a_file_says_is_no_obstacle(about):
    model = built(INNER, Dense(1))
    model.about = about
    assert "advice" in str(model.explain())


def test_models_without_weights_loss_or_a_single_output_are_advised_as_far_as_they_are_known():
    assert "no rule of thumb says anything" in str(bl.Sequential([Dense(3, "relu"), Dense(1)]).explain())
    x = bl.Input((4,))
    model = bl.Model(x, [Dense(1, name="a")(x), Activation("relu")(Dense(2, name="b")(x))])
    model.compile("adam", "mse")
    assert said(model, "C298") == (None, False)
    frames = built(Conv1D(4, 3, activation="relu"), Flatten(), Dense(1), shape=(20, 3))
    assert not said(frames, "C318")[1] and "Conv1D" in said(frames, "C318")[0]


@pytest.mark.slow
def test_the_command_gives_advice_from_what_fit_wrote_down(tmp_path):
    path = tmp_path / "diabetes.backlit"
    assert backlit("fit", "diabetes", "--epochs", "2", "--quiet", "--out", path)[0] == 0
    code, out, _ = backlit("explain", path)
    section = out.partition("\nadvice\n")[2].partition("\nfile\n")[0]
    assert code == 0 and "310 training rows are few" in section and "C298" not in section
    found = {each["number"]: each for each in strictly(backlit("explain", path, "--json")[1])["advice"]}
    assert found["C298"]["says"] == "the output is never negative (relu)." and not found["C298"]["advice"]
    assert found["C320"]["rule"] == RULES["C320"].rule and "advise" in backlit("explain", "--help")[1]
