"""What must hold of every metric, made from the metrics themselves: nothing here has to be written for a new one."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import ArgumentError, BacklitError, ShapeError, ValueRangeError
from backlit.core.node import input_leaf
from backlit.core.record import snake
from backlit.core.shapes import M
from backlit.core.walk import Graph, topological
from backlit.engines.base import engine
from backlit.losses import BinaryCrossentropy, CategoricalCrossentropy, Loss, SparseCategoricalCrossentropy
from backlit.metrics import AUC, BinaryAccuracy, ConfusionMatrix, F1Score, Metric, Precision, R2Score, Recall
from backlit.train.metrics import resolve, resolve_all

NAMED = {Metric.named(name) for name in Metric.names() if Metric.named(name).__module__.startswith("backlit.")}
ALL = sorted(NAMED - {bl.metrics.Mean}, key=lambda cls: cls.__name__)
SETTINGS = {
    "from_logits": True, "threshold": 0.3, "thresholds": [0.2, 0.6], "top_k": 2, "class_id": 1, "average": "macro",
    "curve": "PR", "multi_label": True, "k": 2, "class_aggregation": None, "ignore_class": 1, "label_smoothing": 0.1,
    "num_classes": 5,
}  # fmt: skip
every_metric = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)


def configurations(cls: type[Metric]) -> list[dict[str, Any]]:
    named = inspect.signature(cls.__init__).parameters
    return [{}, *({key: value} for key, value in SETTINGS.items() if key in named)]


every_one = pytest.mark.parametrize("metric", [cls(**config) for cls in ALL for config in configurations(cls)], ids=repr)


def sample(metric: Metric, shape: tuple[int, ...] = (8, 3), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets and outputs that the metric says it is for."""
    rng = np.random.default_rng(seed)
    z, ids = rng.normal(0, 1.5, shape), rng.integers(0, shape[-1], shape[:-1])
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True)
    measured = getattr(metric, "measured", None)
    if getattr(metric, "from_logits", False) or getattr(measured, "from_logits", False):
        p = z
    if metric.labels:
        return ids, p
    if measured is not None and measured.signs:
        return rng.choice([-1.0, 1.0], shape), z
    if measured is not None and measured.targets is not None and measured.targets[1] > 1:
        return rng.integers(0, 4, shape).astype(float), p + 0.5
    if metric.classes or metric.reads_probabilities():
        return np.eye(shape[-1])[ids], p
    return rng.normal(size=shape), z


def fresh(metric: Metric) -> Metric:
    return type(metric)(**metric.get_config())


# ---------------------------------------------------------------------- names and configurations
@every_metric
def test_it_answers_to_its_names(cls: type[Metric]) -> None:
    for word in (snake(cls.__name__), cls.__name__, *cls.__dict__.get("aliases", ())):
        assert type(Metric.get(word)) is cls
    assert getattr(bl.metrics, cls.__name__) is cls and type(Metric.get(cls)) is cls
    assert cls().name and cls(name="mine").name == "mine" and cls().better in ("min", "max", "")
    assert cls.__doc__ and cls.__name__ in dir(bl.metrics)


@every_one
def test_a_configuration_brings_it_back(metric: Metric) -> None:
    again = Metric.get({"class": type(metric).__name__, "config": metric.get_config()})
    assert again.get_config() == metric.get_config() and repr(again) == repr(metric)
    y, p = sample(metric)
    np.testing.assert_array_equal(again(y, p), fresh(metric)(y, p))


def test_losses_and_metrics_of_one_name_live_apart() -> None:
    for name in ("MeanSquaredError", "Hinge", "Poisson", "BinaryCrossentropy"):
        loss, metric = getattr(bl.losses, name), getattr(bl.metrics, name)
        assert loss is not metric and issubclass(loss, Loss) and issubclass(metric, Metric)
    assert type(Metric.get("huber")).__name__ == "MeanMetricWrapper"  # a loss that is no metric of its own
    assert Metric.get(bl.losses.Huber(delta=2.0))([[0.0]], [[5.0]]) == bl.losses.Huber(delta=2.0)([[0.0]], [[5.0]])
    assert bl.metrics.mean_squared_error([[1.0]], [[3.0]]).tolist() == [4.0]
    assert bl.metrics.huber([[0.0]], [[2.0]]).tolist() == [1.5]


# ---------------------------------------------------------------------- by itself, as in Keras
@every_one
def test_batches_add_up_to_the_whole(metric: Metric) -> None:
    y, p = sample(metric)
    for w in (None, np.linspace(0.5, 2, 8)):
        whole, parts = fresh(metric), fresh(metric)
        wanted = whole(y, p, w)
        for rows in (slice(0, 1), slice(1, 6), slice(6, 8)):
            parts.update_state(y[rows], p[rows], None if w is None else w[rows])
        np.testing.assert_allclose(parts.result(), wanted, rtol=1e-12)
        np.testing.assert_allclose(whole.result(), wanted)
        parts.reset_state()
        assert parts.result() == 0.0
        np.testing.assert_allclose(parts(y[:5], p[:5]), fresh(metric)(y[:5], p[:5]))
        assert isinstance(wanted, (float, np.ndarray))


@every_one
def test_whole_weights_are_repetitions_and_0_takes_out(metric: Metric) -> None:
    if isinstance(metric, R2Score) and metric.num_regressors:
        return
    y, p = sample(metric)
    w = np.array([0, 1, 2, 0, 3, 1, 1, 0])
    rows = np.repeat(np.arange(8), w)
    np.testing.assert_allclose(fresh(metric)(y, p, w), fresh(metric)(y[rows], p[rows]), rtol=1e-12)
    np.testing.assert_allclose(fresh(metric)(y, p, w[:, None]), fresh(metric)(y, p, w))


@every_one
def test_a_refused_batch_changes_nothing(metric: Metric) -> None:
    y, p = sample(metric)
    used = fresh(metric)
    before = used(y, p)
    for wrong in (np.zeros((8, 5)), np.zeros((2, 3)), np.zeros(3)):
        with pytest.raises(ShapeError):
            used.update_state(wrong.astype(y.dtype), p)
    with pytest.raises(ShapeError):
        used.update_state(y, p, np.ones(7))
    with pytest.raises(ArgumentError):
        used.update_state(bl.constant(y), p)
    np.testing.assert_array_equal(used.result(), before)


# ---------------------------------------------------------------------- as part of a graph
@every_one
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [(), (4,)], ids=["(m, 3)", "(m, 4, 3)"])
def test_states_have_a_fixed_shape_whatever_the_rows(metric: Metric, dtype: str, inner: tuple[int, ...]) -> None:
    p = input_leaf((M, *inner, 3), "p", dtype)
    y = input_leaf((M, *inner) if metric.labels else p.shape, "y", "int64" if metric.labels else dtype)
    w = input_leaf((M,), "w", dtype)
    states = metric.states(y, p, w)
    assert all(node.dtype == "float64" and all(isinstance(dim, int) for dim in node.shape) for node in states.values())
    for rows in (1, 7):
        yy, pp = sample(metric, (rows, *inner, 3), seed=rows)
        ww = np.linspace(0.5, 2, rows)
        feed = {p: pp.astype(dtype), y: yy.astype(y.dtype), w: ww.astype(dtype)}
        for name in ("reference", "planned"):
            totals = engine(name).compile(Graph([p, y, w], list(states.values()))).evaluate(feed).outputs
            result = metric.result(dict(zip(states, totals, strict=True)))
            np.testing.assert_allclose(result, fresh(metric)(yy, feed[p], ww), rtol=1e-5, atol=1e-6)


@every_metric
def test_float32_is_not_widened_on_the_way(cls: type[Metric]) -> None:
    metric = cls()
    p = input_leaf((M, 3), "p", "float32")
    y = input_leaf((M,) if metric.labels else (M, 3), "y", "int64" if metric.labels else "float32")
    if cls is not R2Score:  # whose sums of squares need it
        wide = [n for n in topological(metric.states(y, p).values()) if n.dtype == "float64" and len(n.shape) > 1 and n.inputs]
        assert not [node for node in wide if M in node.shape], wide


# ---------------------------------------------------------------------- in training
X = np.random.default_rng(4).normal(size=(31, 4))


def model(units: int, loss: Any, metrics: Any, activation: str | None = None, weighted: Any = None) -> bl.Sequential:
    made = bl.Sequential([bl.Input((4,)), bl.layers.Dense(units, activation)])
    made.compile("sgd", loss, metrics=metrics, weighted_metrics=weighted)
    return made


@every_one
def test_evaluate_gives_what_the_metric_gives_by_itself(metric: Metric) -> None:
    y, _ = sample(metric, (31, 3))
    loss = SparseCategoricalCrossentropy() if metric.labels else "mse"
    measured = getattr(metric, "measured", None)
    positive = measured is not None and measured.targets is not None
    activation = "softmax" if metric.labels or metric.reads_probabilities() or positive else None
    net = model(3, loss, [metric], activation, weighted=[type(metric)(**{**metric.get_config(), "name": "weighed"})])
    w = np.linspace(0, 2, 31)
    logs = net.evaluate(X, y, batch_size=7, sample_weight=w, return_dict=True)
    p = net.predict(X)
    np.testing.assert_allclose(logs[metric.name], fresh(metric)(y, p), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logs["weighed"], fresh(metric)(y, p, w), rtol=1e-5, atol=1e-6)
    history = net.fit(X, y, verbose=0, validation_data=(X, y)).history
    assert (metric.name in history) is (np.size(logs[metric.name]) == 1) is (f"val_{metric.name}" in history)
    assert all(isinstance(value, float) for values in history.values() for value in values)


def test_an_epoch_starts_from_nothing() -> None:
    y = (X[:, 0] > 0).astype(int)
    net = model(1, "binary_crossentropy", ["auc", "precision"], "sigmoid")
    net.fit(X, y, epochs=3, verbose=0)
    first = net.evaluate(X, y, return_dict=True)
    assert net.evaluate(X, y, return_dict=True) == first
    assert first["auc"] == pytest.approx(AUC()(y, net.predict(X)), rel=1e-12)


LOGITS = [
    (BinaryCrossentropy(from_logits=True), 1, "sigmoid"),
    (BinaryCrossentropy(from_logits=True), 3, "sigmoid"),
    (CategoricalCrossentropy(from_logits=True), 3, "softmax"),
    (SparseCategoricalCrossentropy(from_logits=True), 3, "softmax"),
]


@pytest.mark.parametrize(("loss", "units", "link"), LOGITS)
def test_metrics_of_probabilities_get_them_under_a_loss_on_logits(loss: Loss, units: int, link: str) -> None:
    rng = np.random.default_rng(6)
    ids, bits = rng.integers(0, units, 31), rng.integers(0, 2, (31, units))
    y = ids if loss.labels else bits if link == "sigmoid" else np.eye(units)[ids]
    metrics = [AUC(), Precision(), Recall(thresholds=0.3), F1Score("macro"), F1Score("micro", 0.4, name="f1_micro")]
    metrics.append(ConfusionMatrix())
    metrics += ["crossentropy", "kl_divergence"] if not loss.labels else ["crossentropy"]
    net = model(units, loss, metrics if units == 3 and link == "softmax" else [*metrics[:5], "ce"])
    logs = net.evaluate(X, y, return_dict=True, batch_size=31)
    p = net.predict_probabilities(X)
    for metric in metrics[:5]:
        assert logs[metric.name] == pytest.approx(fresh(metric)(y, p), rel=1e-5), metric
    assert logs.get("ce", logs.get("crossentropy")) == pytest.approx(logs["loss"], rel=1e-6)
    if "confusion_matrix" in logs:
        assert logs["confusion_matrix"].sum() == 31 and np.trace(logs["confusion_matrix"]) == np.sum(p.argmax(1) == ids)


def test_a_threshold_of_0_is_for_the_logits_themselves() -> None:
    """As Keras advises for from_logits=True; a threshold between 0 and 1 is a probability."""
    y = (X[:, 0] > 0.3).astype(int)
    metrics = [BinaryAccuracy("zero", threshold=0.0), BinaryAccuracy("half")]
    metrics += [Precision(0.0, name="at_zero"), Precision(name="at_half")]
    logs = model(1, BinaryCrossentropy(from_logits=True), [*metrics, "accuracy"]).evaluate(X, y, return_dict=True)
    assert logs["zero"] == logs["half"] == logs["accuracy"] and logs["at_zero"] == logs["at_half"]


@pytest.mark.parametrize(
    ("loss", "output", "accuracy", "crossentropy"),
    [
        ("sparse_categorical_crossentropy", (M, 3), "SparseCategoricalAccuracy", "SparseCategoricalCrossentropy"),
        ("categorical_crossentropy", (M, 3), "CategoricalAccuracy", "CategoricalCrossentropy"),
        ("binary_crossentropy", (M, 1), "BinaryAccuracy", "BinaryCrossentropy"),
        ("binary_crossentropy", (M, 3), "BinaryAccuracy", "BinaryCrossentropy"),
        ("hinge", (M, 1), "BinaryAccuracy", "BinaryCrossentropy"),
        ("categorical_hinge", (M, 3), "CategoricalAccuracy", "CategoricalCrossentropy"),
        ("mse", (M, 1), "BinaryAccuracy", "BinaryCrossentropy"),
        ("mse", (M, 3), "CategoricalAccuracy", "CategoricalCrossentropy"),
        ("kld", (M, 5, 3), "CategoricalAccuracy", "CategoricalCrossentropy"),
    ],
)
def test_words_that_follow_from_the_loss_and_the_output(loss: str, output: Any, accuracy: str, crossentropy: str) -> None:
    for word, kind in (("accuracy", accuracy), ("acc", accuracy), ("crossentropy", crossentropy), ("ce", crossentropy)):
        name, metric = resolve(word, Loss.get(loss), output)
        assert name == metric.name == word and type(metric).__name__ == kind


def test_names_in_the_logs() -> None:
    def share(y: Any, p: Any) -> Any:
        return bl.ops.mean(p, axis=-1)

    given = ["mse", bl.metrics.MeanSquaredError(), AUC(), AUC(), Precision(name="p"), share, "acc"]
    names = resolve_all(given, Loss.get("mse"), (M, 1))
    assert list(names) == ["mse", "mean_squared_error", "auc", "auc_1", "p", "share", "acc"]
    assert list(resolve_all([AUC(), AUC(), AUC()], Loss.get("mse"), (M, 1))) == ["auc", "auc_1", "auc_2"]


# ---------------------------------------------------------------------- what each is for
def test_labels_are_as_good_as_one_hot_targets() -> None:
    rng = np.random.default_rng(8)
    ids, p = rng.integers(0, 3, 12), rng.dirichlet(np.ones(3), 12)
    for metric in [cls() for cls in ALL if cls.classes]:
        np.testing.assert_array_equal(fresh(metric)(ids, p), fresh(metric)(np.eye(3)[ids], p))
        np.testing.assert_array_equal(fresh(metric)(ids[:, None], p), fresh(metric)(np.eye(3)[ids], p))
    for metric in [cls() for cls in ALL if cls().labels]:
        np.testing.assert_array_equal(fresh(metric)(np.eye(3)[ids], p), fresh(metric)(ids, p))
    with pytest.raises(ShapeError):
        bl.metrics.MeanSquaredError()(ids, p)


def test_a_confusion_matrix_of_yes_and_no() -> None:
    assert ConfusionMatrix()([0, 0, 1, 1], [[0.2], [0.7], [0.9], [0.4]]).tolist() == [[1, 1], [1, 1]]
    weighed = ConfusionMatrix(3)([0, 2], [[0.9, 0.1, 0], [0.3, 0.6, 0.1]], [0.5, 2.0])
    assert weighed.tolist() == [[0.5, 0, 0], [0, 0, 0], [0, 2.0, 0]]
    with pytest.raises(ShapeError, match="more classes"):
        ConfusionMatrix(2)([0], [[0.1, 0.2, 0.7]])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Precision(thresholds=1.5), "from 0 to 1"),
        (lambda: AUC(curve="PRC"), "'ROC' or 'PR'"),
        (lambda: AUC(summation_method="interpolate"), "did you mean 'interpolation'"),
        (lambda: AUC(num_thresholds=1), "a whole number from 2"),
        (lambda: AUC(num_labels=4)([0, 1], [0.1, 0.2]), "1 labels"),
        (lambda: AUC()([0, 1], [-3.0, 2.0]), "from_logits=True"),
        (lambda: F1Score("makro"), "did you mean 'macro'"),
        (lambda: F1Score(threshold=0.0), "above 0"),
        (lambda: bl.metrics.FBetaScore(beta=0.0), "above 0"),
        (lambda: R2Score("mean"), "uniform_average"),
        (lambda: bl.metrics.TopKCategoricalAccuracy(k=0), "from 1"),
        (lambda: bl.metrics.SparseCategoricalAccuracy()([3], [[0.1, 0.2, 0.7]]), r"0\.\.2"),
        (lambda: bl.metrics.Mean().states(bl.constant([[1.0]]), bl.constant([[1.0]])), "takes values"),
        (lambda: Metric.get("acuracy"), "did you mean 'accuracy'"),
        (lambda: bl.metrics.Presicion, "did you mean 'Precision'"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, words: str) -> None:
    with pytest.raises(BacklitError, match=words):
        make()


def test_outputs_that_are_no_probabilities_have_no_area_under_a_curve() -> None:
    with pytest.raises(ValueRangeError, match="AUC needs probabilities"):
        model(1, "mse", ["auc"]).evaluate(100 * X, (X[:, 0] > 0).astype(int))


def test_nothing_counted_is_no_number() -> None:
    assert np.isnan(bl.metrics.MeanSquaredError()([[1.0]], [[2.0]], [0.0]))
    assert Precision()([0, 0], [0.1, 0.2]) == Recall()([0, 0], [0.1, 0.2]) == 0.0


def test_mean_of_values() -> None:
    mean = bl.metrics.Mean()
    mean.update_state([[1.0, 3.0], [5.0, 7.0]], [1.0, 0.0])
    assert mean.result() == 2.0 == mean([], None)
    with pytest.raises(ArgumentError):
        model(1, "mse", [bl.metrics.Mean()])
        model(1, "mse", [bl.metrics.Mean()]).evaluate(X, X[:, 0])


# ---------------------------------------------------------------------- metrics of one's own
def within(y_true: Any, y_pred: Any) -> Any:
    return bl.ops.mean(abs(y_pred - y_true) < 1.0, axis=-1)


def mean_output(y_true: Any, y_pred: Any) -> Any:
    return bl.ops.mean(y_pred)


class OutputSpread(Metric):
    """The standard deviation of the outputs: sums, and what they stand for."""

    def sums(self, y: Any, p: Any, w: Any) -> dict[str, Any]:
        return {"n": bl.ops.sum(bl.ops.ones_like(p)), "p": bl.ops.sum(p), "pp": bl.ops.sum(p * p)}

    def value(self, totals: Any) -> Any:
        return np.sqrt(totals["pp"] / totals["n"] - (totals["p"] / totals["n"]) ** 2)


def test_functions_and_classes_of_ones_own() -> None:
    net = model(2, "mse", [within, mean_output, OutputSpread(), "output_spread"])
    y = X[:, :2]
    logs = net.evaluate(X, y, batch_size=7, return_dict=True)
    p = net.predict(X).astype(np.float64)
    assert logs["within"] == pytest.approx(np.mean(np.abs(p - y) < 1), rel=1e-6)
    assert logs["mean_output"] == pytest.approx(p.mean(), rel=1e-5, abs=1e-7)  # weighed by the rows of each batch
    assert logs["output_spread"] == logs["output_spread_1"] == pytest.approx(p.std(), rel=1e-5)
    assert float(Metric.get(within)([[0.0]], [[0.5]])) == 1.0
