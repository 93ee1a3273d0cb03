"""The loss at the start, while it goes, and beside its metrics; windows that do not fit their maps."""

import io
from contextlib import redirect_stderr
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.core.check import Finding
from backlit.doctor.report import arranged, checks
from backlit.layers import Conv1D, Conv2D, Dense, Flatten, MaxPooling2D
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from backlit.metrics import AUC, BinaryAccuracy, CategoricalAccuracy, Precision, TopKCategoricalAccuracy

RNG = np.random.default_rng(5)
X = RNG.normal(size=(240, 4))
NUMBERS = X @ [1.0, -2.0, 0.5, 1.0]
YES = (X[:, 0] > 0).astype(int)
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
HOT = np.eye(3)[LABELS]
SEVERAL = (X[:, :3] > 0).astype(float)
LOGITS = BinaryCrossentropy(from_logits=True)


@pytest.fixture(autouse=True)
def same_first_weights():
    bl.random.set_seed(4)


def chain(*layers, loss, optimizer="adam", metrics=None):
    model = bl.Sequential(list(layers))
    model.compile(optimizer, loss, metrics=metrics)
    return model


def found(report, name):
    return next((one for one in report.findings if one.check == name), None)


def quietly(call, *args, **keywords):
    with redirect_stderr(io.StringIO()) as told:
        call(*args, **keywords)
    return told.getvalue()


# ---------------------------------------------------------------------- the loss at the start
def constant_of(finding):
    start = finding.fix.index("Constant(") + len("Constant(")
    return np.array(eval(finding.fix[start : finding.fix.rindex(")")]))


@pytest.mark.parametrize(
    ("layers", "loss", "y", "wanted"),
    [
        ([Dense(1)], "mse", NUMBERS + 30, lambda y: y.mean()),
        ([Dense(1)], "mae", NUMBERS + 30, lambda y: y.mean()),
        ([Dense(2)], "mse", np.stack([NUMBERS + 30, NUMBERS - 20], axis=1), lambda y: y.mean(axis=0)),
        (
            [Dense(1, "sigmoid")],
            "binary_crossentropy",
            (X[:, 0] > 1.2).astype(int),
            lambda y: np.log(y.mean() / (1 - y.mean())),
        ),
        ([Dense(1)], LOGITS, (X[:, 0] > 1.2).astype(int), lambda y: np.log(y.mean() / (1 - y.mean()))),
        (
            [Dense(3, "softmax")],
            "sparse_categorical_crossentropy",
            np.digitize(X[:, 0], np.quantile(X[:, 0], [0.8, 0.9])),
            lambda y: np.log(np.bincount(y) / len(y)),
        ),
    ],
)
def test_the_bias_that_is_offered_brings_the_loss_to_that_of_a_constant(layers, loss, y, wanted):
    *_, last = layers = [Dense(8, "tanh", kernel_initializer=bl.initializers.RandomNormal(stddev=0.05)), *layers]
    model = chain(*layers, loss=loss)
    (one,) = [one for one in model.diagnose(X, y).findings if one.check == "loss_at_start"]
    assert one.severity == "note" and one.rules == (19, 18) and "the last bias" in one.message
    assert np.allclose(constant_of(one), wanted(y), rtol=0.01)
    with_bias = type(last)(
        **{**last.arguments, "name": None, "bias_initializer": bl.initializers.Constant(constant_of(one))}
    )
    again = chain(layers[0], with_bias, loss=loss)
    values = next(each.values[0] for each in again.diagnose(X, y).checked if each.check == "loss_at_start")
    assert values["loss"] < 1.2 * values["constant"]


def test_large_first_outputs_are_told_apart_from_the_prior():
    loud = Dense(3, kernel_initializer=bl.initializers.RandomNormal(stddev=8.0))
    report = chain(Dense(8, "relu"), loud, loss=SparseCategoricalCrossentropy(from_logits=True)).diagnose(X, LABELS)
    said = [*[one.message for one in report.findings], *[each for one in report.findings for each in one.consequences]]
    assert any("the first weights make outputs of size" in each for each in said)


def test_a_usual_start_is_left_alone_and_fit_never_prints_the_note():
    for seed in range(10):
        bl.random.set_seed(seed)
        model = chain(Dense(32, "relu"), Dense(3), loss=SparseCategoricalCrossentropy(from_logits=True))
        assert model.diagnose(X, LABELS).findings == ()
    assert quietly(chain(Dense(8, "relu"), Dense(1), loss="mse").fit, X, NUMBERS + 30, epochs=1, verbose=0) == ""


# ---------------------------------------------------------------------- gradients that explode
EXPLODING, PARTING = (
    next(one for one in checks() if one.title() == name) for name in ("exploding_gradient", "loss_and_metric_part")
)


def exploded(losses, norms, constant=1.0, optimizer=None):
    model = SimpleNamespace(optimizer=optimizer or bl.optimizers.SGD(0.1))
    course = SimpleNamespace(losses=np.array(losses), norms=np.array(norms), constant=constant, model=model)
    return [EXPLODING.wrong(v) for v in EXPLODING.measure(SimpleNamespace(course=course))]


def test_only_a_gradient_that_takes_the_loss_with_it_has_exploded():
    calm = np.full(200, 0.1), np.full(200, 0.5)
    assert exploded(*calm) == [False]
    losses, norms = (each.copy() for each in calm)
    losses[150:], norms[150:] = 0.8, 900.0
    assert exploded(losses, norms) == [True]
    assert exploded(losses, norms, optimizer=bl.optimizers.SGD(0.1, clipnorm=1.0)) == []
    losses[152:], norms[152:] = 0.1, 0.5  # it recovers
    assert exploded(losses, norms) == [False]
    losses[-1], norms[-1] = 50.0, 900.0  # one odd batch at the end
    assert exploded(losses, norms) == [False]


def test_five_doublings_are_an_explosion_and_slow_growth_is_none():
    losses, norms = np.full(100, 0.1), np.full(100, 0.01)
    norms[90:96], norms[96:], losses[94:] = 0.01 * 2.1 ** np.arange(1, 7), 0.8, 0.9
    assert exploded(losses, norms) == [True]
    norms[90:] = np.linspace(0.01, 0.8, 10)
    assert exploded(losses, norms) == [False]


def test_what_trembles_at_the_end_of_a_fit_has_not_exploded():
    steps = np.arange(300)
    losses, norms = 10.0 ** (-steps / 20), 10.0 ** (-steps / 20)
    losses[280:], norms[280:] = 1e-4, 1.0  # a million times the lowest, and next to nothing
    assert exploded(losses, norms) == [False]


def test_the_limit_that_is_offered_keeps_the_loss_down():
    model, x, y, keywords = EXPLODING.bad()
    assert "global_clipnorm=" in quietly(model.fit, x, y, verbose=0, **keywords)
    with redirect_stderr(io.StringIO()):
        mended = model.diagnose(x, y, batch_size=96).apply(0)
    assert any("global_clipnorm" in change for change in mended.changes)
    losses = mended.fit(epochs=keywords["epochs"], verbose=0).history["loss"]
    assert losses[-1] < model.history.rows[-1]["loss"]


# ---------------------------------------------------------------------- a loss that stands still
def test_a_loss_that_stands_still_is_a_note_with_what_to_try():
    noise = np.random.default_rng(1).normal(size=len(X))
    model = chain(Dense(1), loss="mse", optimizer=bl.optimizers.Adam(0.03))
    quietly(model.fit, X, noise, epochs=60, verbose=0)
    report = model.diagnose(X[:40], noise[:40])  # too few rows to say that y does not follow from X
    one = found(report, "loss_stands_still")
    assert one.severity == "note" and "found no cause" in one.fix and "overfit=True" in one.fix
    assert one.evidence["rules"] > 40


def test_beside_a_cause_it_is_a_consequence():
    noise = np.random.default_rng(1).normal(size=len(X))
    model = chain(Dense(1), loss="mse", optimizer=bl.optimizers.Adam(0.03))
    quietly(model.fit, X, noise, epochs=60, verbose=0)
    report = model.diagnose(X, noise)
    assert found(report, "loss_stands_still") is None
    assert any("the loss (" in each for each in found(report, "targets_do_not_follow").consequences)


@pytest.mark.parametrize("optimizer", [bl.optimizers.Adam(0.01), bl.optimizers.SGD(0.1), bl.optimizers.RMSprop(0.003)])
def test_a_loss_that_falls_or_has_arrived_is_left_alone(optimizer):
    model = chain(
        Dense(16, "relu"), Dense(3), loss=SparseCategoricalCrossentropy(from_logits=True), optimizer=optimizer
    )
    quietly(model.fit, X, LABELS, epochs=60, verbose=0)
    assert found(model.diagnose(X, LABELS), "loss_stands_still") is None


# ---------------------------------------------------------------------- windows and maps
@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(1, 6),
    window=st.integers(1, 5),
    stride=st.integers(1, 2),
    gap=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid", "causal"]),
)
def test_the_weights_that_are_said_to_see_padding_are_those_without_a_gradient(size, window, stride, gap, padding):
    assume(stride == 1 or gap == 1)
    assume(padding != "valid" or (window - 1) * gap < size)
    layer = Conv1D(2, window, strides=stride, dilation_rate=gap, padding=padding)
    model = chain(layer, Flatten(), Dense(1), loss="mse", optimizer=bl.optimizers.SGD(0.1))
    x = np.random.default_rng(2).normal(size=(16, size, 3))
    model.build(x.shape[1:])
    before = layer.kernel.value.copy()
    model.fit(x, np.arange(16.0), epochs=1, verbose=0, doctor="off")
    still = (layer.kernel.value == before).all(axis=(1, 2)).mean()
    (row,) = [one for one in model.diagnose(x, np.arange(16.0)).checked if one.check == "weights_on_padding"]
    assert row.values[0]["useless"] == pytest.approx(still)
    assert row.state == ("found" if still > 0.5 else "passed")


@settings(max_examples=15, deadline=None)
@given(
    height=st.integers(2, 6),
    width=st.integers(2, 6),
    pool=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
)
def test_the_places_that_are_said_to_be_left_out_have_no_influence(height, width, pool, padding):
    assume(padding == "same" or pool <= min(height, width))
    model = chain(MaxPooling2D(pool, padding=padding), Flatten(), Dense(1), loss="mse")
    x = np.zeros((1, height, width, 1))
    model.build(x.shape[1:])
    model.set_weights([np.ones_like(each) for each in model.get_weights()])
    touched = np.zeros((height * width, height, width, 1))
    touched[np.arange(height * width), *np.divmod(np.arange(height * width), width)] = 1.0
    silent = np.mean(np.asarray(model.predict(touched, verbose=0)) == np.asarray(model.predict(x, verbose=0)))
    (row,) = [one for one in model.diagnose(touched, np.arange(len(touched))).checked if one.check == "places_left_out"]
    assert row.values[0]["left_out"] == pytest.approx(silent)


def test_a_window_that_fits_its_map_exactly_is_no_fault():
    pictures = RNG.normal(size=(40, 8, 8, 1)) + np.arange(40).reshape(-1, 1, 1, 1) % 3
    layers = Conv2D(4, 3, activation="relu"), MaxPooling2D(2), Conv2D(8, 3, activation="relu"), Flatten(), Dense(3)
    report = chain(*layers, loss=SparseCategoricalCrossentropy(from_logits=True)).diagnose(pictures, np.arange(40) % 3)
    assert [one.check for one in report.findings if 57 in one.rules] == []


def test_a_forgotten_flatten_is_refused_with_its_name():
    pictures = RNG.normal(size=(40, 8, 8, 1))
    model = chain(Conv2D(4, 3, activation="relu"), Dense(3), loss=SparseCategoricalCrossentropy(from_logits=True))
    first = model.diagnose(pictures, np.arange(40) % 3).findings[0]
    assert first.severity == "error" and "Flatten()" in first.fix


# ---------------------------------------------------------------------- metrics
def of_logits(y, p):
    return bl.ops.mean(bl.ops.softplus(p) - y * p, axis=-1)


def rounded(y, p):
    return bl.ops.mean(bl.ops.cast(bl.ops.equal(bl.ops.round(p), y), p.dtype), axis=-1)


ODD = {
    "a threshold that no probability is below": (
        Dense(1, "sigmoid"),
        "binary_crossentropy",
        [BinaryAccuracy(threshold=0.0)],
        YES,
    ),
    "the largest of one output": (Dense(1, "sigmoid"), "binary_crossentropy", [CategoricalAccuracy()], YES),
    "equality with a probability": (Dense(1, "sigmoid"), "binary_crossentropy", [bl.metrics.Accuracy()], YES),
    "each class for itself": (Dense(3, "softmax"), "categorical_crossentropy", [BinaryAccuracy()], HOT),
    "among the first three of three": (
        Dense(3, "softmax"),
        "categorical_crossentropy",
        [TopKCategoricalAccuracy(3)],
        HOT,
    ),
    "a half for logits of one's own": (Dense(1), of_logits, ["accuracy"], YES),
    "rounded logits": (Dense(1), LOGITS, [rounded], YES),
    "a loss for probabilities": (Dense(1), LOGITS, [BinaryCrossentropy()], YES),
    "a loss for logits": (
        Dense(1, "sigmoid"),
        "binary_crossentropy",
        [bl.metrics.BinaryCrossentropy(from_logits=True)],
        YES,
    ),
}
FITTING = {
    "accuracy": (Dense(1), LOGITS, ["accuracy", BinaryAccuracy(), AUC(), Precision(), "binary_crossentropy"], YES),
    "another threshold": (Dense(1, "sigmoid"), "binary_crossentropy", [BinaryAccuracy(threshold=0.3)], YES),
    "hits of logits": (Dense(1), of_logits, [BinaryAccuracy(threshold=0.0)], YES),
    "labels": (Dense(3), SparseCategoricalCrossentropy(from_logits=True), ["accuracy", "ce"], LABELS),
    "one-hot": (Dense(3, "softmax"), "categorical_crossentropy", ["accuracy", CategoricalAccuracy(), AUC()], HOT),
    "several labels": (
        Dense(3, "sigmoid"),
        "binary_crossentropy",
        ["accuracy", BinaryAccuracy(), Precision()],
        SEVERAL,
    ),
    "the largest of several": (Dense(3, "sigmoid"), "binary_crossentropy", [CategoricalAccuracy()], HOT),
    "two of three": (Dense(3, "softmax"), "categorical_crossentropy", [TopKCategoricalAccuracy(2)], HOT),
    "numbers": (Dense(1), "mse", ["mae", bl.metrics.R2Score()], NUMBERS),
    "a number of one's own": (Dense(1), LOGITS, [lambda y, p: bl.ops.mean(p, axis=-1)], YES),
}


@pytest.mark.parametrize("name", ODD)
def test_a_metric_that_reads_the_output_otherwise_is_found_in_the_graph(name):
    last, loss, metrics, y = ODD[name]
    report = chain(
        Dense(8, "relu"), type(last)(**{**last.arguments, "name": None}), loss=loss, metrics=metrics
    ).diagnose(X, y)
    one = found(report, "metric_reads_otherwise")
    assert one.severity == "warning" and one.argument == "metrics" and one.grounds == "proof"
    assert [each.check for each in report.findings if each.severity != "note"] == ["metric_reads_otherwise"]
    if "metrics=" in one.fix:
        with redirect_stderr(io.StringIO()):
            mended = report.apply(report.findings.index(one))
        assert found(mended.model.diagnose(X, y), "metric_reads_otherwise") is None


@pytest.mark.parametrize("name", FITTING)
def test_a_metric_that_fits_is_left_alone(name):
    last, loss, metrics, y = FITTING[name]
    model = chain(Dense(8, "relu"), type(last)(**{**last.arguments, "name": None}), loss=loss, metrics=metrics)
    assert [one.check for one in model.diagnose(X, y).findings if 58 in one.rules] == []


def parted(losses, hits):
    head = SimpleNamespace(place=0, head=SimpleNamespace(metrics={"accuracy": BinaryAccuracy()}, weighted={}))
    rows = [{"loss": loss, "accuracy": hit} for loss, hit in zip(losses, hits, strict=True)]
    subject = SimpleNamespace(heads=[head], w=None, history=rows)
    return [PARTING.wrong(v) for v in PARTING.measure(subject)]


def test_loss_and_metric_part_only_where_both_move():
    falling, rng = np.linspace(1.0, 0.2, 30), np.random.default_rng(3)
    assert parted(falling, np.linspace(0.5, 0.9, 30)) == [False]
    assert parted(falling, np.linspace(0.9, 0.5, 30)) == [True]
    assert parted(falling, 0.9 + 0.01 * rng.normal(size=30)) == [False]  # it had arrived
    assert parted(falling, np.full(30, 0.9)) == []
    assert parted(falling[:9], np.linspace(0.9, 0.5, 9)) == []


# ---------------------------------------------------------------------- who explains whom
def test_a_rare_class_explains_where_the_loss_starts_and_one_note_is_told():
    rare = (np.arange(len(X)) % 20 == 0).astype(int)
    model = chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
    one = found(model.diagnose(X, rare), "rare_class")
    assert one.severity == "note" and any("the last bias" in each for each in one.consequences)


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_that_could_explain_each_other_the_one_that_says_so_does(order):
    pair = [
        Finding(check="no_path_for_gradient", severity="warning", message="b", fix="", rules=(42,)),
        Finding(check="output_without_input", severity="error", message="a", fix="", rules=(45,)),
    ]
    (one,) = arranged(pair[::order])
    assert one.check == "output_without_input" and one.consequences == ("b",)


def test_a_note_explains_no_warning():
    note = Finding(check="rare_class", severity="note", message="a", fix="", rules=(25,))
    symptom = Finding(check="dead_units", severity="warning", message="b", fix="", rules=(37,))
    assert [one.check for one in arranged([note, symptom])] == ["dead_units", "rare_class"]
