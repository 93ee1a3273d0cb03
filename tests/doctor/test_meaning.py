"""What the numbers in y mean: labels that were divided, classes that were numbered, errors that are divided by y."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import backlit as bl
from backlit.core import registry
from backlit.doctor.naming import _MARGIN, _of_amounts, _ratio, of_columns
from backlit.layers import Dense, Embedding, Flatten

ROWS = 400
X = np.random.default_rng(5).normal(size=(ROWS, 6))
YES = (X[:, 0] + X[:, 1] > 0).astype(float)
HOT = np.eye(3)[np.digitize(X[:, 0], [-0.5, 0.5])]
SEVERAL = (X[:, :3] > 0).astype(float)
NUMBERS = X @ [1.0, -1.0, 2.0, 0.5, 0.0, 0.0]


def network(*layers, loss, metrics=None):
    bl.random.set_seed(3)
    model = bl.Sequential(list(layers))
    model.compile(bl.optimizers.Adam(0.01), loss, metrics=metrics)
    return model


def found(model, x, y, **more):
    told = model.diagnose(x, y, **more)
    assert [one.problem for one in told.checked if one.state == "failed"] == []
    return {one.check: one for one in told.findings}


# ---------------------------------------------------------------------- labels that were divided
def chance(units, activation, loss):
    return network(Dense(8, "relu"), Dense(units, activation), loss=loss)


def entropy(y, p):
    log, mean = registry.lookup("op.log"), registry.lookup("op.mean")
    p = registry.lookup("op.clip")(p, 1e-7, 1 - 1e-7)
    return -mean(y * log(p) + (1 - y) * log(1 - p), axis=-1)


LOGITS = bl.losses.BinaryCrossentropy(from_logits=True)
DIVIDED = {
    "yes / 16": (1, "sigmoid", "binary_crossentropy", YES / 16),
    "yes / 255, as float32": (1, "sigmoid", "binary_crossentropy", (YES / 255).astype("float32")),
    "logits": (1, None, LOGITS, YES / 255),
    "one's own cross-entropy": (1, "sigmoid", entropy, YES / 255),
    "one-hot rows": (3, "softmax", "categorical_crossentropy", HOT / 255),
    "several labels": (3, "sigmoid", "binary_crossentropy", SEVERAL / 100),
    "a focal loss": (1, "sigmoid", "binary_focal_crossentropy", YES / 16),
}
MEANT = {
    "yes and no": (1, "sigmoid", "binary_crossentropy", YES),
    "probabilities": (1, "sigmoid", "binary_crossentropy", 0.4 / (1 + np.exp(-NUMBERS))),
    "probabilities of three kinds": (1, "sigmoid", "binary_crossentropy", np.digitize(X[:, 0], [0, 1]) * 0.2),
    "smoothed": (1, "sigmoid", "binary_crossentropy", 0.05 + 0.9 * YES),
    "smoothed rows": (3, "softmax", "categorical_crossentropy", 0.05 + 0.85 * HOT),
    "equal shares of four": (6, "softmax", "categorical_crossentropy", (np.argsort(X) > 1) / 4),
    "no yes at all": (1, "sigmoid", "binary_crossentropy", 0 * YES),
    "a distance": (1, None, "mse", YES / 16),
    "a margin": (1, None, "hinge", YES),
}


@pytest.mark.parametrize("name", DIVIDED)
def test_divided_labels_are_found(name):
    units, activation, loss, y = DIVIDED[name]
    one = found(chance(units, activation, loss), X, y)["nobody_is_a_yes"]
    assert one.severity == "warning" and one.argument == "y" and f"{y.max():.4g}" in one.message
    back = round(1 / float(y.max()))
    assert f"y * {back}" in one.fix


@pytest.mark.parametrize("name", MEANT)
def test_targets_that_are_meant_so_are_left_alone(name):
    units, activation, loss, y = MEANT[name]
    assert "nobody_is_a_yes" not in found(chance(units, activation, loss), X, y)


def test_masked_rows_may_hold_anything():
    y = np.where(np.arange(ROWS) % 2, 0.01, YES)
    counted = (np.arange(ROWS) % 2 == 0).astype(float)
    model = chance(1, "sigmoid", "binary_crossentropy")
    assert "nobody_is_a_yes" not in found(model, X, y, sample_weight=counted)
    y = np.where(np.arange(ROWS) % 2, 1.0, YES / 16)
    assert "nobody_is_a_yes" in found(model, X, y, sample_weight=counted)


def test_a_dim_picture_that_is_given_back_has_no_labels():
    x = (X > 0) * 0.2
    assert "nobody_is_a_yes" not in found(chance(6, "sigmoid", "binary_crossentropy"), x, x)


def test_the_repair_of_divided_labels_learns_what_the_program_does_not():
    model = chance(1, "sigmoid", "binary_crossentropy")
    report = model.diagnose(X, YES / 16)
    model.fit(X, YES / 16, epochs=20, verbose=0, doctor="off")
    assert ((model.predict(X)[:, 0] > 0.5) == YES).mean() < 0.6
    mended = report.apply(0)
    mended.fit(epochs=20, verbose=0)
    assert ((mended.model.predict(X)[:, 0] > 0.5) == YES).mean() > 0.9


# ---------------------------------------------------------------------- classes that were numbered
def clusters(count, features=12, rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    names = rng.permutation(np.arange(rows) % count)
    return rng.normal(size=(count, features))[names] + 0.7 * rng.normal(size=(rows, features)), names


def line(loss="mse", metrics=None):
    return network(Dense(8, "relu"), Dense(1), loss=loss, metrics=metrics)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("first", [0, 1])
def test_numbers_of_classes_are_found_for_every_distance(loss, first):
    x, y = clusters(8)
    one = found(line(loss), x, y + first)["regression_on_labels"]
    assert f"y names 8 classes (labels {first} … {first + 7};" in one.message and f"Dense({8 + first})" in one.fix
    assert one.evidence["apart"] > one.evidence["of_amounts"] and set(one.rules) == {7, 8}
    assert "regression_on_labels" not in found(line(loss), x, y + 3)  # such as grades from 3 to 10


@pytest.mark.parametrize("kind", ["float32", "int64", "column"])
def test_they_are_found_however_they_are_written(kind):
    x, y = clusters(10)
    y = y[:, np.newaxis] if kind == "column" else y.astype(kind)
    assert "regression_on_labels" in found(line(), x, y)


@pytest.mark.parametrize("count", [2, 3, 25])
def test_few_or_very_many_numbers_are_left_alone(count):
    x, y = clusters(count)
    assert "regression_on_labels" not in found(line(), x, y)


def test_where_classes_hardly_differ_nothing_is_said():
    x, y = clusters(8)
    noise = np.random.default_rng(1).normal(size=x.shape)
    assert "regression_on_labels" not in found(line(), 0.05 * x + noise, y)


def test_masked_rows_and_rare_classes_do_not_hide_them():
    x, y = clusters(8)
    masked = np.arange(ROWS) < 100
    y = np.where(masked, 0, y)
    assert "regression_on_labels" in found(line(), x, y, sample_weight=(~masked).astype(float))
    y[150:153] = 8
    assert "regression_on_labels" in found(line(), x, y)


def test_ids_and_pictures_are_looked_at_as_numbers():
    x, y = clusters(8, features=16)
    model = network(Flatten(), Dense(8, "relu"), Dense(1), loss="mse")
    assert "regression_on_labels" in found(model, x.reshape(-1, 4, 4), y)
    ids = np.random.default_rng(2).integers(0, 20, (ROWS, 5))
    model = network(Embedding(20, 4), Flatten(), Dense(1), loss="mse")
    assert "regression_on_labels" not in found(model, ids, ids[:, 0] // 2)


def test_the_repair_of_numbered_classes_tells_them_apart():
    x, y = clusters(8)
    mended = line().diagnose(x, y + 1).apply()
    mended.fit(epochs=60, verbose=0)
    assert (mended.model.predict(x).argmax(axis=1) == y + 1).mean() > 0.9


def test_digits_under_any_names():
    data = pytest.importorskip("sklearn.datasets").load_digits()
    for seed in range(10):
        said = of_columns(data.data, np.random.default_rng(seed).permutation(10)[data.target])
        assert said is not None and said.apart > 0.8 > said.of_amounts


def amounts(rng, rows):
    """Whole numbers that are amounts, from 0: (x, y) by name."""
    x = rng.normal(size=(rows, 8))
    s = x @ rng.normal(size=8) / np.sqrt(8)
    hour = rng.integers(0, 12, rows)
    clock = np.column_stack([np.sin(hour * np.pi / 6), np.cos(hour * np.pi / 6), x[:, 0]])
    bits = rng.integers(0, 2, (rows, 5))
    noise = rng.normal(size=rows)
    yield "counts", x, rng.poisson(np.maximum(3 + 1.5 * s, 0.1))
    yield "counts of a rate that grows", x, rng.poisson(np.exp(0.7 * s + 0.5))
    yield "mostly none", x, np.where(rng.uniform(size=rows) < 1 / (1 + np.exp(2 * s)), 0, rng.poisson(3, rows))
    yield "grades", x, np.round(3 + 0.5 * s + 0.6 * noise)
    yield "stars", x, np.digitize(0.6 * s + noise, [-1.5, -0.5, 0.5, 1.5])
    yield "uneven steps", x, np.digitize(s + 0.3 * noise, [-1, -0.9, 1.2, 1.7])
    yield "rounded prices", np.exp(x), np.round(np.exp(0.5 * s) * 5)
    yield "ages", x, np.round(8 + 4 * s + 2 * noise)
    yield "hours", clock + 0.3 * rng.normal(size=clock.shape), hour
    yield "days", np.column_stack([(hour % 7 > 4) + 0.3 * noise, x]), hour % 7
    yield "far from the middle", x, np.digitize((x[:, 0] - 0.3) ** 2 + 0.3 * noise, [0.2, 0.6, 1.5, 3])
    yield "four steps from the middle", x, np.digitize(x[:, 0] ** 2 + 0.3 * noise, [0.2, 0.6, 1.5])
    yield "a product", x, np.digitize(x[:, 0] * x[:, 1] + 0.3 * x[:, 2], [-1, -0.3, 0.3, 1])
    yield "points for each of three things", bits, bits @ [4, 2, 1, 0, 0]
    yield "nearly so", bits, np.round(bits @ [4, 2, 1, 0, 0] + 0.3 * noise)
    yield "rooms", np.column_stack([bits, x]), np.round(bits @ [3, 2, 1, 1, 2] + 0.5 * x[:, 0])


@pytest.mark.parametrize("rows", [150, 600, 2000])
def test_amounts_are_never_taken_for_names(rows):
    looked = 0
    for seed in range(8):
        for name, x, y in amounts(np.random.default_rng(seed), rows):
            said = of_columns(x.astype(float), np.clip(y - y.min(), 0, 19))
            looked += said is not None
            assert said is None or said.apart <= said.of_amounts, (name, seed, said)
    assert looked > 8  # and not only because nothing was to be seen


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=3, max_size=19).filter(lambda steps: max(steps) > 1e-3), st.randoms())
def test_no_course_that_only_grows_exceeds_the_limit_and_names_in_any_order_reach_1_on_average(steps, order):
    means = np.concatenate([[0.0], np.cumsum(steps)])[:, np.newaxis]
    count = len(means)
    assert _ratio(means, np.zeros(count)) <= _of_amounts(count) - _MARGIN + 1e-9
    simplex = np.eye(count)[order.sample(range(count), count)]  # all classes equally far apart
    assert _ratio(simplex, np.zeros(count)) == pytest.approx(1)


# ---------------------------------------------------------------------- errors that are divided by y
def relative(y, p):
    mean, square = registry.lookup("op.mean"), registry.lookup("op.square")
    return mean(square((p - y) / (y + 1e-3)), axis=-1)


def floored(y, p):
    mean, absolute = registry.lookup("op.mean"), registry.lookup("op.absolute")
    return mean(absolute(p - y) / (absolute(y) + 0.5), axis=-1)


def pinball(y, p):
    mean, maximum = registry.lookup("op.mean"), registry.lookup("op.maximum")
    return mean(maximum(0.9 * (y - p), -0.1 * (y - p)), axis=-1)


def where_known(y, p):
    mean, square = registry.lookup("op.mean"), registry.lookup("op.square")
    return mean(square(y) * square(p - y), axis=-1)  # rows with y = 0 do not count


HEAVY = np.random.default_rng(7).standard_t(1.5, ROWS) ** 3
ZEROS = np.where(X[:, 0] > 0.5, 0.0, 5 + X[:, 1])


@pytest.mark.parametrize("loss", ["mape", relative], ids=["mape", "one's own"])
@pytest.mark.parametrize("y", [NUMBERS, NUMBERS.round(), ZEROS, -ZEROS], ids=["around 0", "whole", "zeros", "below"])
def test_percentages_of_numbers_around_0_are_found(loss, y):
    one = found(line(loss), X, y)["relative_error_near_zero"]
    assert one.evidence["share_of_gradient"] > 0.5 and one.evidence["near"] < 0.5 and one.rules == (7,)
    assert abs(one.evidence["smallest_y"]) < 0.5 and one.repair().loss


@pytest.mark.parametrize(
    "loss",
    ["mse", "mae", "huber", "log_cosh", pinball, floored, where_known],
    ids=lambda loss: getattr(loss, "__name__", loss),
)
@pytest.mark.parametrize("y", [NUMBERS, HEAVY, ZEROS, NUMBERS.round()], ids=["around 0", "heavy", "zeros", "whole"])
def test_distances_are_left_alone_on_any_numbers(loss, y):
    assert "relative_error_near_zero" not in found(line(loss), X, y)


@pytest.mark.parametrize("spread", [0.5, 1.0, 2.0])
def test_percentages_of_numbers_above_0_are_left_alone_however_far_they_spread(spread):
    y = np.exp(spread * NUMBERS / NUMBERS.std())
    assert "relative_error_near_zero" not in found(line("mape"), X, y)
    stray = np.where(np.arange(ROWS) == 7, -0.5, y)
    assert "relative_error_near_zero" not in found(line("mape"), X, stray)
    model = network(Dense(8, "relu"), Dense(1, "exponential"), loss="poisson")
    assert "relative_error_near_zero" not in found(model, X, np.floor(y))
    assert "relative_error_near_zero" not in found(line("msle"), X, np.floor(y))


def test_the_numbers_of_the_message_are_those_of_the_gradient():
    one = found(line("mape"), X, NUMBERS)["relative_error_near_zero"]
    sizes = np.sort(1 / np.maximum(np.abs(NUMBERS), 1e-7))[::-1]
    near = ROWS // 20
    assert one.evidence["near"] == pytest.approx(0.05, abs=0.003)
    assert one.evidence["share_of_gradient"] == pytest.approx(sizes[:near].sum() / sizes.sum(), abs=0.02)
    assert "5 % of the targets" in one.message


def test_steps_of_a_sequence_and_several_outputs():
    model = network(Dense(8, "relu"), Dense(3), loss="mape")
    assert "relative_error_near_zero" in found(model, X, X[:, :3])
    steps = X.reshape(-1, 3, 2)
    model = network(Dense(8, "relu"), Dense(1), loss="mape")
    weights = np.ones((len(steps), 3))
    weights[:, 2] = 0
    assert "relative_error_near_zero" in found(model, steps, steps[:, :, :1])
    found(model, steps, steps[:, :, :1], sample_weight=weights)
