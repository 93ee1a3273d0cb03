"""Rows that were copied, codes among numbers, arrays reshaped for transposed, axes that windows slide over, and moving
averages near their start: what is told, and what looks like it and is not."""

import numpy as np
import pytest
from sklearn.datasets import load_wine

import backlit as bl
from backlit.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    GlobalAveragePooling2D,
    MaxPooling2D,
    Normalization,
    Permute,
    Reshape,
)


@pytest.fixture(autouse=True)
def same_first_weights():
    bl.random.set_seed(3)


def generator(seed=0):
    return np.random.default_rng(seed)


def compiled(*layers, loss="mse", rate=0.01):
    model = bl.Sequential(list(layers))
    model.compile(bl.optimizers.Adam(rate), loss)
    return model


def regression():
    return compiled(Dense(8, "relu"), Dense(1))


def binary():
    return compiled(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")


def named(report, check):
    return next((one for one in report.findings if one.check == check), None)


def state(report, check):
    return {one.check: one.state for one in report.checked}[check]


# ---------------------------------------------------------------------- copies before the split
LEAK = "validation_rows_in_training"


def judged(x, y, model=None, seed=1):
    """The report where a quarter of the rows, drawn by chance, are held out."""
    order = generator(seed).permutation(len(x))
    cut = 3 * len(x) // 4
    here, there = order[:cut], order[cut:]
    return (model or binary()).diagnose(x[here], y[here], validation_data=(x[there], y[there]))


def table(rows=600, columns=6):
    x = generator().normal(size=(rows, columns))
    return x, (x[:, 0] + 0.5 * x[:, 1] > 0.8).astype(int)


def test_a_rare_class_that_was_copied_before_the_split_is_told():
    x, y = table()
    more = generator(2).choice(np.flatnonzero(y), (y == 0).sum() - y.sum())
    found = named(judged(np.concatenate([x, x[more]]), np.concatenate([y, y[more]])), LEAK)
    assert found.severity == "warning" and found.evidence["copied"] is True
    assert "copied before the split" in found.message and "class_weight='balanced'" in found.fix


def test_all_rows_twice_before_the_split_are_told():
    x, y = table()
    assert named(judged(np.concatenate([x, x]), np.concatenate([y, y])), LEAK).evidence["copied"]


def test_copies_of_the_training_part_alone_are_left_alone():
    x, y = table()
    more = generator(2).choice(np.flatnonzero(y[:450]), 200)
    held = x[450:], y[450:]
    report = binary().diagnose(
        np.concatenate([x[:450], x[more]]), np.concatenate([y[:450], y[more]]), validation_data=held
    )
    assert state(report, LEAK) == "passed"


def test_a_few_pairs_as_real_tables_have_them_are_left_alone():
    x, y = table()
    assert state(judged(np.concatenate([x, x[:30]]), np.concatenate([y, y[:30]])), LEAK) == "passed"


def test_rows_of_discrete_columns_that_meet_are_left_alone():
    x = generator().integers(0, 4, size=(900, 4)).astype(float)
    assert state(judged(x, (x[:, 0] > 1).astype(int)), LEAK) == "passed"


def test_rows_of_rounded_measurements_that_meet_are_left_alone():
    """As in the table of wine qualities: every column has some dozens of values, and every fourth row is there again."""
    x = np.round(generator().normal(size=(900, 8)), 1)
    again = generator(4).integers(0, 900, 250)
    x = np.concatenate([x, x[again]])
    assert state(judged(x, (x[:, 0] > 0).astype(int)), LEAK) == "passed"


def test_repeated_measurements_of_the_same_points_are_left_alone():
    x = np.repeat(generator().normal(size=(150, 5)), 5, axis=0)
    y = x @ [1.0, -1.0, 0.5, 0.2, 1.0] + 0.3 * generator(1).normal(size=len(x))
    assert state(judged(x, y, regression()), LEAK) == "passed"


def test_windows_of_a_signal_that_repeats_itself_are_left_alone():
    signal = np.tile(generator().normal(size=150), 6)
    windows = np.lib.stride_tricks.sliding_window_view(signal, 9)
    assert state(judged(windows[:, :8].copy(), windows[:, 8].copy(), regression()), LEAK) == "passed"


def test_rows_of_zeros_are_left_alone():
    x, _ = table()
    x[generator(5).random(len(x)) < 0.3] = 0
    assert state(judged(x, (x[:, 0] > 0.5).astype(int)), LEAK) == "passed"


# ---------------------------------------------------------------------- the axes that windows slide over
def axes(shape, *before, first=None):
    x = generator().normal(size=(64, *shape))
    layers = [*before, first or Conv2D(4, 3, padding="same", activation="relu"), GlobalAveragePooling2D(), Dense(1)]
    return compiled(*layers).diagnose(x, x.mean(axis=(1, 2, 3)))


def test_channels_that_a_layer_puts_last_are_last():
    assert state(axes((1, 8, 8), Permute((2, 3, 1))), "channels_first") == "passed"
    assert state(axes((3, 8, 8), Permute((2, 3, 1)), first=MaxPooling2D()), "channels_first") == "passed"
    assert state(axes((8, 8, 1)), "channels_first") == "passed"


def test_channels_that_stand_first_are_told_under_padding_and_pooling():
    found = named(axes((3, 8, 8)), "channels_first")
    assert found.fix.startswith("X = X.transpose(0, 2, 3, 1)") and "(m, 3, 8, 8)" in found.message
    assert named(axes((3, 8, 8), first=MaxPooling2D()), "channels_first") is not None


def test_channels_that_a_layer_puts_first_are_told_with_another_fix():
    for report in (axes((8, 8, 1), Permute((3, 1, 2))), axes((8, 8, 1), Reshape((1, 8, 8)))):
        found = named(report, "channels_first")
        assert "layers before" in found.message and found.fix.startswith("bl.layers.Permute((2, 3, 1))")
        assert found.repair() is None


# ---------------------------------------------------------------------- codes for missing values
CODE = "code_among_numbers"


def coded(values, share=0.08, code=-9999.0, scaled=False, rows=400, model=None):
    """The report of a table whose third column is `values`, of which a share is a code."""
    x = generator().normal(size=(rows, 4))
    x[:, 2] = values
    if share:
        x[generator(3).random(rows) < share, 2] = code
    if scaled:
        x = (x - x.mean(axis=0)) / x.std(axis=0)
    return (model or regression()).diagnose(x, x[:, 0]), x


MEASURED = 20 + 5 * np.random.default_rng(8).normal(size=400)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(("code", "share"), [(-9999.0, 0.08), (999.0, 0.3), (-1.0e6, 0.02)])
def test_a_code_is_told_before_and_after_a_scaler(code, share, scaled):
    report, x = coded(MEASURED, share, code, scaled)
    found = named(report, CODE)
    assert report.findings[0] is found and found.severity == "warning"
    assert "column 2" in found.message and f"{found.evidence['share']:.0%} of the rows" in found.message
    value = x[:, 2].min() if code < 0 else x[:, 2].max()
    assert found.evidence["value"] == value and found.evidence["share"] == np.mean(x[:, 2] == value)


def test_the_repair_puts_the_mean_of_the_others_in_its_place():
    report, x = coded(MEASURED, scaled=True)
    mended = named(report, CODE).repair().x(x)
    gone = x[:, 2] == x[:, 2].min()
    assert np.abs(mended[gone, 2]).max() < 1e-6 and abs(mended[~gone, 2].std() - 1) < 1e-6
    assert np.array_equal(mended[:, [0, 1, 3]], x[:, [0, 1, 3]]) and not np.shares_memory(mended, x)


def test_a_code_is_told_behind_a_layer_that_scales():
    norm = Normalization()
    x = generator().normal(size=(400, 4))
    x[::12, 1] = -9999.0
    norm.adapt(x)
    found = named(compiled(norm, Dense(8, "relu"), Dense(1)).diagnose(x, x[:, 0]), CODE)
    assert found.evidence["value"] == -9999.0 and found.repair() is None  # the layer knows the old numbers


def rain(rng):
    return np.where(rng.random(400) < 0.4, 0, rng.exponential(8.0, 400))


ORDINARY = {
    "normal": lambda rng: rng.normal(size=400),
    "rain": rain,
    "counts": lambda rng: rng.poisson(30, 400),
    "salaries of those who work": lambda rng: np.where(rng.random(400) < 0.2, 0, rng.uniform(2e4, 8e4, 400)),
    "cut at the top": lambda rng: np.minimum(rng.lognormal(3, 1, 400), 60.0),
    "heavy tails": lambda rng: rng.standard_cauchy(400),
    "one of two": lambda rng: np.where(rng.random(400) < 0.1, 100.0, 0.0),
    "grades with a jump": lambda rng: rng.choice([1.0, 2.0, 3.0, 4.0, 100.0], 400),
    "mostly nothing": lambda rng: np.where(rng.random(400) < 0.8, -1000.0, rng.normal(size=400)),
    "one wild value": lambda rng: np.where(np.arange(400) == 7, -9999.0, rng.normal(size=400)),
}


@pytest.mark.parametrize("kind", ORDINARY)
def test_what_is_no_code_is_left_alone(kind):
    report, _ = coded(ORDINARY[kind](generator(6)), share=0)
    assert state(report, CODE) == "passed"


# ---------------------------------------------------------------------- reshaped for transposed
TURNED = "reshaped_for_transposed"


def lines(quantities=6, examples=150):
    """A line a quantity, each of its own size, and what follows from them."""
    rng = generator(2)
    level = rng.permutation(quantities)[:, np.newaxis] * 4.0
    x = rng.normal(size=(quantities, examples))
    return x + level, (x[0] + x[1] > 0).astype(int)


@pytest.mark.parametrize(("quantities", "examples"), [(3, 150), (6, 150), (13, 130), (6, 151)])
def test_lines_that_were_reshaped_are_told(quantities, examples):
    x, y = lines(quantities, examples)
    wrong = x.reshape(-1, quantities)
    found = named(binary().diagnose(wrong, y), TURNED)
    assert f"{quantities} lines" in found.message and "lines.T" in found.fix
    mended = found.repair().x(wrong)
    assert np.allclose(mended, (x.T - x.T.mean(axis=0)) / x.T.std(axis=0))
    assert state(binary().diagnose(x.T, y), TURNED) in ("passed", "does not apply")


def test_lines_that_were_reshaped_are_told_where_the_last_rows_are_held_out():
    x, y = lines()
    assert named(binary().diagnose(x.reshape(-1, 6), y, validation_split=0.2), TURNED) is not None


def test_a_real_table_that_was_reshaped_is_told_with_few_rows():
    wine = load_wine()
    order = generator(8).permutation(178)[:130]
    x, y = wine.data[order], wine.target[order]
    model = compiled(Dense(8, "relu"), Dense(3, "softmax"), loss="sparse_categorical_crossentropy")
    assert named(model.diagnose(x.T.reshape(-1, 13), y), TURNED) is not None
    assert named(model.diagnose(x, y), TURNED) is None


def windows(signal, length=8):
    both = np.lib.stride_tricks.sliding_window_view(signal, length + 1)
    return both[:, :length].copy(), both[:, length].copy()


def test_series_that_drift_and_rows_that_come_in_groups_are_left_alone():
    rng = generator(9)
    for signal in (rng.normal(size=400).cumsum(), np.linspace(0, 1, 400), np.sin(np.arange(400) / 30)):
        assert named(regression().diagnose(*windows(signal)), TURNED) is None
        x, _ = windows(signal)
        assert named(regression().diagnose(x, rng.normal(size=len(x))), TURNED) is None  # even where y is anything
    groups = np.repeat(rng.normal(size=8), 50)
    x = groups[:, np.newaxis] + 0.3 * rng.normal(size=(400, 8))
    assert named(regression().diagnose(x, groups + 0.3 * rng.normal(size=400)), TURNED) is None


# ---------------------------------------------------------------------- moving averages near their start
SLOW = "moving_statistics_near_start"


def trained(*between, epochs=20, loss="sparse_categorical_crossentropy", size=0.05):
    rng = generator(1)
    x = size * rng.normal(size=(256, 6))
    y = (x[:, 0] > 0).astype(int) + (x[:, 1] > 0)
    last = Dense(3, "softmax") if loss != "mse" else Dense(1)
    model = compiled(Dense(16, use_bias=False), *between, bl.layers.Activation("relu"), last, loss=loss, rate=0.03)
    y = y if loss != "mse" else 20 * x[:, 0]
    model.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    return model, x, y


@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "mse"])
def test_averages_near_their_start_are_told_with_what_they_cost(loss, capsys):
    model, x, y = trained(BatchNormalization(momentum=0.999), loss=loss)
    assert "momentum=0.999" in capsys.readouterr().err
    found = named(model.diagnose(x, y), SLOW)
    assert found.evidence["left"] == 0.999**80 and f"{0.999**80:.0%} start" in found.message
    assert np.isclose(found.evidence["loss"], model.evaluate(x, y), rtol=1e-4)  # 256 rows: all of them
    assert "momentum=0.9)" in found.fix
    (layer,) = found.repair().layers
    assert found.repair().layers[layer] == {"momentum": 0.9}
    assert named(trained(BatchNormalization(momentum=0.9), loss=loss)[0].diagnose(x, y), SLOW) is None


def test_what_they_move_to_is_what_many_steps_without_learning_give():
    model, x, y = trained(BatchNormalization(momentum=0.999))
    told = named(model.diagnose(x, y), SLOW).evidence["settled"]
    norm = model.layers[1]
    seen = model.layers[0](x.astype("float32"))
    seen = np.asarray(getattr(seen, "array", seen))
    norm.set_weights([*norm.get_weights()[:2], seen.mean(axis=0), seen.var(axis=0)])
    assert np.isclose(model.evaluate(x, y), told, rtol=1e-3)


def test_dropout_and_averages_that_have_arrived_are_left_alone(capsys):
    model, x, y = trained(Dropout(0.5))
    assert state(model.diagnose(x, y), SLOW) == "does not apply"
    model, x, y = trained(BatchNormalization(momentum=0.8), Dropout(0.5))
    assert state(model.diagnose(x, y), SLOW) in ("passed", "does not apply")
    model, x, y = trained(BatchNormalization(momentum=0.999), size=1.0, epochs=3)
    assert state(model.diagnose(x, y), SLOW) == "passed"  # near their start, which suits these numbers
    assert "moving averages" not in capsys.readouterr().err


def test_a_model_that_was_not_trained_is_not_judged():
    model = compiled(Dense(8), BatchNormalization(momentum=0.999), Dense(1))
    x = generator().normal(size=(64, 3))
    assert state(model.diagnose(x, x[:, 0]), SLOW) in ("not given", "does not apply")


def test_sparse_rows_are_looked_at_like_dense_ones():
    matrix = pytest.importorskip("scipy.sparse").csr_matrix
    x, y = table()
    more = generator(2).choice(np.flatnonzero(y), 300)
    x, y = np.concatenate([x, x[more]]), np.concatenate([y, y[more]])
    order = generator(1).permutation(len(x))
    here, there = order[:650], order[650:]
    x[::9, 1] = -999.0
    report = binary().diagnose(matrix(x[here]), y[here], validation_data=(matrix(x[there]), y[there]))
    assert named(report, LEAK).evidence["copied"] and named(report, CODE).evidence["column"] == 1
    wrong, y = lines()
    assert named(binary().diagnose(matrix(wrong.reshape(-1, 6)), y), TURNED) is not None


def test_a_second_scaling_is_found_where_it_stands():
    x = np.random.default_rng(0).uniform(0, 1, (200, 6)).astype("float32")
    y = (x[:, 0] > 0.5).astype(int)
    model = bl.Sequential([bl.layers.Rescaling(1 / 255, name="again"), Dense(8, "relu"), Dense(1, "sigmoid")])
    model.compile("adam", "binary_crossentropy")
    (found,) = [one for one in model.diagnose(x, y).findings if one.check == "tiny_inputs"]
    assert "again makes it 0.0039" in found.message and found.fix == "leave out the layer again: X is scaled already"
    assert [layer.name for layer in model.diagnose(x, y).apply().model.layers if layer.name == "again"] == []
    raw = bl.Sequential([Dense(8, "relu"), Dense(1, "sigmoid")])
    raw.compile("adam", "binary_crossentropy")
    (found,) = [one for one in raw.diagnose(x / 255, y).findings if one.check == "tiny_inputs"]
    assert "pixels / 255" in found.fix


def scaled_alone(x, y, held, y_held):
    model = bl.Sequential([Dense(8, "relu"), Dense(1)])
    model.compile("adam", "mse")
    told = model.diagnose(x, y, validation_data=(held, y_held)).findings
    return [one.check for one in told if one.check == "validation_scaled_alone"]


def test_held_out_rows_that_were_scaled_by_themselves():
    sklearn = pytest.importorskip("sklearn.preprocessing")
    rng = np.random.default_rng(3)
    x, y = rng.normal(3, 2, (300, 4)), rng.normal(size=300)
    for scaler in (sklearn.StandardScaler(), sklearn.MinMaxScaler()):
        mine = scaler.fit_transform(x[:200]).astype("float32")
        for other, expected in (
            (scaler.transform(x[200:]), []),
            (scaler.fit_transform(x[200:]), ["validation_scaled_alone"]),
        ):
            assert scaled_alone(mine, y[:200], other.astype("float32"), y[200:]) == expected
    pixels = rng.integers(0, 17, (300, 16)) / 16
    assert scaled_alone(pixels[:200], y[:200], pixels[200:], y[200:]) == []
    yes = rng.integers(0, 2, (300, 6)).astype(float)
    assert scaled_alone(yes[:200], y[:200], yes[200:], y[200:]) == []
