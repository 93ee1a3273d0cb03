"""What `backlit fit` decides from a table, why, and what its choices are worth."""

import numpy as np
import pytest

from backlit.core.errors import BacklitError, DataError
from backlit.io.bundled import Dataset, load
from backlit.train import recipe
from backlit.train.recipe import Options

RNG = np.random.default_rng(0)


def table(y, x=None, classes=None, unit=None, name="table"):
    y = np.asarray(y)
    x = RNG.normal(size=(len(y), 3)) if x is None else x
    return Dataset(name, x, y, tuple(f"x{k}" for k in range(x.shape[1])), "y", classes, unit, None)


MANY = RNG.integers(0, 2, (60, 3))
MANY[0] = [1, 1, 0]
TASKS = {
    "two names": (np.tile([0, 1], 30), ("no", "yes"), "binary", ("no", "yes")),
    "0 and 1": (np.tile([0, 1], 30), None, "binary", ("0", "1")),
    "1 and 2": (np.tile([1, 2], 30), None, "binary", ("1", "2")),
    "0, 1, 2": (np.tile([0, 1, 2], 20), None, "multiclass", ("0", "1", "2")),
    "1, 2, 3": (np.tile([1, 2, 3], 20), None, "multiclass", ("1", "2", "3")),
    "-1, 5, 70": (np.tile([-1, 5, 70], 20), None, "multiclass", ("-1", "5", "70")),
    "a column": (np.tile([1, 2, 3], 20)[:, None], None, "multiclass", ("1", "2", "3")),
    "one-hot": (np.eye(3)[np.tile([0, 1, 2], 20)], None, "multiclass", ("0", "1", "2")),
    "several labels": (MANY, None, "multilabel", ("label 0", "label 1", "label 2")),
    "numbers": (RNG.normal(size=60), None, "regression", None),
    "two columns of numbers": (RNG.normal(size=(60, 2)), None, "regression", None),
    "60 whole numbers": (np.arange(60), None, "regression", None),
    "0.0 and 1.0": (np.tile([0.0, 1.0], 30), None, "binary", ("0", "1")),
    "0.5 and 1.5": (np.tile([0.5, 1.5], 30), None, "binary", ("0.5", "1.5")),
    "1.0, 2.0, 3.0": (np.tile([1.0, 2.0, 3.0], 20), None, "multiclass", ("1", "2", "3")),
    "1.0 to 20.0": (np.tile(np.arange(20.0), 10), None, "multiclass", tuple(map(str, range(20)))),
    "1.0 to 21.0": (np.tile(np.arange(21.0), 10), None, "regression", None),
    "three whole floats in 29 rows": (np.arange(29.0) % 3, None, "regression", None),
    "three numbers that are not whole": (np.tile([0.5, 1.0, 1.5], 20), None, "regression", None),
    "100 whole numbers": (np.tile(np.arange(100), 10), None, "multiclass", tuple(map(str, range(100)))),
    "101 whole numbers": (np.tile(np.arange(101), 12), None, "regression", None),
}


@pytest.mark.parametrize(("y", "classes", "task", "names"), TASKS.values(), ids=TASKS)
def test_the_task_is_decided_from_y_with_a_reason(y, classes, task, names):
    problem = recipe.prepare(table(y, classes=classes))
    assert (problem.task, problem.classes) == (task, names)
    model, choices = recipe.build(problem, Options(epochs=1))
    assert all(choice.what and choice.which and choice.why for choice in choices)
    assert len({choice.what for choice in choices}) == len(choices) >= 7
    units = 1 if task == "binary" else len(names) if names else problem.y.shape[1]
    assert model.output_shape[-1] == units
    x = problem.X[problem.parts.train]
    model.fit(x, problem.y[problem.parts.train], verbose=0)
    if task in ("binary", "multiclass"):
        originals = y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)
        told = [f"{value:g}" for value in originals] if classes is None else np.array(classes)[originals]
        np.testing.assert_array_equal(np.array(names)[problem.y.reshape(-1)], told)


def test_a_task_can_be_asked_for():
    y = np.tile([0.0, 1.0, 2.0], 20)
    assert recipe.prepare(table(y), task="multiclass").classes == ("0", "1", "2")
    assert recipe.prepare(table(y.astype(int)), task="regression").y.shape == (60, 1)
    with pytest.raises(BacklitError, match="task"):
        recipe.prepare(table(y), task="clustering")
    with pytest.raises(DataError, match="single value"):
        recipe.prepare(table(np.zeros(60, int)))


def test_rows_sorted_by_class_do_not_fool_the_split():
    problem = recipe.prepare(load("iris"))
    for part in (problem.parts.train, problem.parts.dev, problem.parts.test):
        shares = np.bincount(problem.y[part], minlength=3) / len(part)
        assert (np.abs(shares - 1 / 3) < 0.05).all()
    together = np.concatenate([problem.parts.train, problem.parts.dev, problem.parts.test])
    assert sorted(together.tolist()) == list(range(150))


def test_the_scaling_looks_at_the_training_rows_only():
    x = RNG.normal(size=(60, 3)) * [1, 100, 1e-3] + 5
    for unit in (None, "cm"):
        problem = recipe.prepare(table(np.tile([0, 1], 30), x, unit=unit))
        held = np.setdiff1d(np.arange(60), problem.parts.train)
        spoilt = x.copy()
        spoilt[held] *= 1e6
        first, second = (
            recipe.build(recipe.prepare(table(np.tile([0, 1], 30), data, unit=unit)), Options())[0]
            for data in (x, spoilt)
        )
        for a, b in zip(first.layers[0].get_weights(), second.layers[0].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        scaled = first.layers[0](x[problem.parts.train])
        if unit is None:
            np.testing.assert_allclose(scaled.std(axis=0), 1, rtol=1e-4)
        else:
            assert scaled.std() == pytest.approx(1, rel=1e-4) and scaled[:, 1].std() > 10 * scaled[:, 0].std()


def test_the_course_network_on_digits():
    problem = recipe.prepare(load("digits"))
    model, choices = recipe.build(problem, Options())
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    assert [layer.units for layer in dense] == [25, 15, 10]
    assert [layer.activation.name for layer in dense] == ["relu", "relu", "linear"]
    assert model.loss.from_logits and type(model.loss).__name__ == "SparseCategoricalCrossentropy"
    assert type(model.optimizer).__name__ == "Adam"
    assert sum(leaf.array.size for leaf in model.trainable_variables) == 64 * 25 + 25 + 25 * 15 + 15 + 15 * 10 + 10
    told = {choice.what: choice for choice in choices}
    assert {"task", "split", "scaling", "hidden layers", "output", "loss", "optimizer", "epochs"} <= set(told)
    assert "10 classes" in told["task"].which and told["scaling"].which.startswith("all (x - ")


def test_a_regression_is_trained_in_units_of_its_own():
    x = RNG.normal(size=(300, 3))
    y = 1e4 + 500 * x[:, 0] - 300 * x[:, 1]
    outcome = recipe.run(table(y, x), Options(epochs=60, l2=0.0))
    assert outcome.scores["test"]["r2"] > 0.97
    assert outcome.baseline["linear"]["r2"] > 0.999 and outcome.baseline["constant"]["r2"] < 0.1
    negative = recipe.run(table(-y, x), Options(epochs=20, l2=0.0))
    assert negative.model.predict(x).max() < 0, "no relu behind targets below 0"


def test_one_seed_one_outcome():
    data = load("wine")
    first, second, other = (recipe.run(data, Options(epochs=8, seed=seed)) for seed in (1, 1, 2))
    assert first.scores == second.scores
    assert first.model.get_weights()[2].tobytes() == second.model.get_weights()[2].tobytes()
    assert first.model.get_weights()[2].tobytes() != other.model.get_weights()[2].tobytes()
    assert first.problem.parts.test.tolist() != other.problem.parts.test.tolist()


@pytest.mark.parametrize(
    ("name", "key", "least"),
    [
        ("breast_cancer", "accuracy", 0.93),
        ("iris", "accuracy", 0.85),
        ("wine", "accuracy", 0.9),
        ("diabetes", "r2", 0.25),
    ],
)
def test_the_other_bundled_sets(name, key, least):
    outcome = recipe.run(load(name), Options())
    score = outcome.scores["test"]
    assert score[key] >= least and score["interval"][0] <= score[key] <= score["interval"][1]
    assert score[key] > outcome.baseline["constant"][key]
    assert outcome.best_epoch <= outcome.epochs <= 120


@pytest.mark.slow
def test_the_bar_on_digits():
    """Issue 2: mean test accuracy over seeds 0..9 at least 0.965, none below 0.945, with the command's defaults."""
    data = load("digits")
    accuracy = [recipe.run(data, Options(seed=seed)).scores["test"]["accuracy"] for seed in range(10)]
    assert np.mean(accuracy) >= 0.965 and min(accuracy) >= 0.945, accuracy


def test_the_unit_of_a_quantity_changes_nothing_but_the_unit():
    """The penalty and the optimizer weigh the same whether y is in millimetres or in kilometres."""
    x = RNG.normal(size=(200, 3))
    y = 2 * x[:, 0] - x[:, 1] + 0.3
    usual, *others = (recipe.run(table(y * unit, x), Options(epochs=30)) for unit in (1, 2.0**-24, 2.0**24))
    assert usual.scores["test"]["r2"] > 0.9
    for other in others:
        assert other.scores["test"]["r2"] == pytest.approx(usual.scores["test"]["r2"], abs=1e-3)


@pytest.mark.parametrize(("unit", "word"), [(1e-295, "large"), (1e-20, "large"), (1e20, "small")])
def test_quantities_without_squares_in_float32_are_refused(unit, word):
    with pytest.raises(DataError, match=f"'y' is counted in a unit that is too {word}"):
        recipe.prepare(table(RNG.normal(size=50) * unit))
