"""What must hold of every loss, made from the losses themselves: nothing here has to be written for a new one."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import BacklitError, LabelError, ShapeError, UnknownNameError
from backlit.core.node import input_leaf
from backlit.core.record import snake
from backlit.core.shapes import M
from backlit.core.walk import Graph, topological
from backlit.engines.base import engine
from backlit.losses import Hinge, Loss, LossFunctionWrapper, SparseCategoricalCrossentropy
from backlit.rewrite import stable
from backlit.rewrite.rule import apply

ALL = sorted(
    {Loss.named(name) for name in Loss.names() if Loss.named(name).__module__.startswith("backlit.")},
    key=lambda cls: cls.__name__,
)
ENGINES = ("reference", "planned")


def configurations(cls: type[Loss]) -> list[dict[str, Any]]:
    """The defaults, and every interesting argument that the loss has."""
    named = inspect.signature(cls.__init__).parameters
    found: list[dict[str, Any]] = [{}]
    for key, value in {"from_logits": True, "label_smoothing": 0.2, "delta": 0.5, "gamma": 0.5, "ignore_class": 1}.items():
        if key in named:
            found.append({key: value})
    return found


every_loss = pytest.mark.parametrize("cls", ALL, ids=lambda cls: cls.__name__)
every_one = pytest.mark.parametrize(
    "loss",
    [cls(**config) for cls in ALL for config in configurations(cls)],
    ids=lambda loss: repr(loss) if isinstance(loss, Loss) else None,
)


def sample(loss: Loss, shape: tuple[int, ...] = (6, 3), seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Targets and outputs that the loss says it is for."""
    rng = np.random.default_rng(seed)
    z = rng.normal(0, 1.5, shape)
    p = np.exp(z) / np.exp(z).sum(-1, keepdims=True) if loss.probabilities and not loss.from_logits else z
    ids = rng.integers(0, shape[-1], shape[:-1])
    if loss.labels:
        return ids, p
    if loss.signs:
        return rng.choice([-1.0, 1.0], shape), p
    if loss.targets == (0.0, 1.0):
        return np.eye(shape[-1])[ids], p
    if loss.targets is not None:
        return rng.integers(0, 5, shape).astype(float), np.exp(z)
    return rng.normal(0, 1.5, shape), p


# ---------------------------------------------------------------------- names and configurations
@every_loss
def test_it_answers_to_its_names_and_has_a_function(cls: type[Loss]) -> None:
    words = [snake(cls.__name__), cls.__name__, *cls.__dict__.get("aliases", ()), *(a.upper() for a in cls.aliases)]
    for word in words:
        assert type(Loss.get(word)) is cls
        assert getattr(bl.losses, word) is (cls if word == cls.__name__ else getattr(bl.losses, snake(cls.__name__)))
    function = getattr(bl.losses, snake(cls.__name__))
    assert function.__name__ == snake(cls.__name__) and cls.__doc__ in function.__doc__
    assert type(Loss.get(function)) is cls is type(Loss.get(cls)) is type(Loss.get(cls()))
    assert cls().name == snake(cls.__name__) and cls(name="mine").name == "mine"
    assert snake(cls.__name__) in dir(bl.losses) and cls.__name__ in dir(bl.losses)
    assert ">>>" in (cls.__doc__ or ""), "an example to type"


@every_one
def test_a_configuration_brings_it_back(loss: Loss) -> None:
    y, p = sample(loss)
    again = Loss.get({"class": type(loss).__name__, "config": loss.get_config()})
    assert type(again) is type(loss) and again.get_config() == loss.get_config() and repr(again) == repr(loss)
    assert float(again(y, p)) == float(loss(y, p))


@every_one
def test_the_function_gives_one_number_an_example(loss: Loss) -> None:
    y, p = sample(loss)
    config = {key: value for key, value in loss.get_config().items() if key not in ("reduction", "name", "dtype")}
    each = getattr(bl.losses, snake(type(loss).__name__))(y, p, **config)
    np.testing.assert_array_equal(each, type(loss)(**config, reduction=None)(y, p))
    assert each.shape == (6,)
    on_nodes = getattr(bl.losses, snake(type(loss).__name__))(y, bl.variable(p), **config)
    np.testing.assert_allclose(on_nodes.value, each, rtol=1e-12)


def test_settings_of_a_function_may_stand_without_their_names() -> None:
    assert bl.losses.huber([[0.0]], [[2.0]], 1.0).tolist() == bl.losses.huber([[0.0]], [[2.0]], delta=1.0).tolist() == [1.5]
    assert bl.losses.binary_crossentropy([[1.0]], [[0.0]], True).tolist() == [pytest.approx(np.log(2))]
    with pytest.raises(TypeError, match="at most 1"):
        bl.losses.huber([[0.0]], [[2.0]], 1.0, "sum")
    with pytest.raises(TypeError, match="did you mean 'delta'"):
        bl.losses.huber([[0.0]], [[2.0]], delt=1.0)


@pytest.mark.parametrize("word", ["mean_sqared_error", "Huberr", "binary_crossentrpy", "SparseCategoricalCrossEntropy"])
def test_a_misspelt_name_gets_the_nearest_one(word: str) -> None:
    with pytest.raises(UnknownNameError, match="did you mean"):
        Loss.get(word)
    with pytest.raises(AttributeError, match="did you mean"):
        getattr(bl.losses, word)


# ---------------------------------------------------------------------- shapes, dtypes, engines
@every_one
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("inner", [(), (4,)], ids=["(m, 3)", "(m, 4, 3)"])
def test_symbolic_rows_dtypes_and_engines(loss: Loss, dtype: str, inner: tuple[int, ...]) -> None:
    """One graph for all numbers of rows; a number an example; nothing wider than the output; all engines agree."""
    p = input_leaf((M, *inner, 3), "p", dtype)
    y = input_leaf(loss.target_shape(p.shape), "y", "int64" if loss.labels else dtype)
    w = input_leaf((M, *inner), "w", dtype)
    each, cost = loss.per_example(y, p), loss.cost(y, p, w)
    assert each.shape == (M, *inner) and each.dtype == dtype and cost.shape == () and cost.dtype == dtype
    slope = bl.grad(cost, p)
    roots = [each, cost, slope, *apply([cost], stable.RULES)]
    if dtype == "float32":
        wide = [node for node in topological(roots) if node.dtype == "float64" and node.inputs]
        assert not wide, wide
    for rows in (1, 7):
        yy, pp = sample(loss, (rows, *inner, 3), seed=rows)
        ww = np.linspace(0, 2, int(np.prod((rows, *inner)))).reshape(rows, *inner)
        feed = {p: pp.astype(dtype), y: yy.astype(y.dtype), w: ww.astype(dtype)}
        first, *rest = (engine(name).compile(Graph([p, y, w], roots)).evaluate(feed).outputs for name in ENGINES)
        for other in rest:
            for a, b in zip(first, other, strict=True):
                np.testing.assert_allclose(b, a, rtol=1e-5 if dtype == "float32" else 1e-10, atol=1e-7)
        np.testing.assert_allclose(first[0].astype(float), type(loss)(**_without_reduction(loss))(yy, pp), rtol=1e-4, atol=1e-5)


def _without_reduction(loss: Loss) -> dict[str, Any]:
    return {**loss.get_config(), "reduction": None}


@every_one
def test_a_dtype_of_its_own(loss: Loss) -> None:
    y, p = sample(loss)
    wide = type(loss)(**{**loss.get_config(), "dtype": "float64"})
    output = bl.variable(p.astype(np.float32))
    assert loss(y, output).dtype == "float32" and wide(y, output).dtype == "float64"
    assert bl.grad(wide(y, output), output).dtype == "float32"
    with pytest.raises(ValueError, match="float16"):
        type(loss)(dtype="float16")


@every_one
def test_nothing_is_broadcast(loss: Loss) -> None:
    y, p = sample(loss)
    for wrong in (y[:1], np.zeros((6, 4)), np.zeros((6, 1, 3)), np.zeros((3, 6)), 0.0, y[..., None, None]):
        wrong = np.asarray(wrong).astype(y.dtype)
        with pytest.raises(ShapeError):
            loss(wrong, p)
        with pytest.raises(ShapeError):
            loss(bl.constant(wrong), bl.variable(p))
    for wrong in (np.ones(5), np.ones(1), np.ones((1, 6))):
        with pytest.raises(ShapeError, match="weights"):
            loss(y, p, wrong)
    with pytest.raises(ShapeError):
        loss(1.0, 0.5)


# ---------------------------------------------------------------------- derivatives
@every_one
def test_the_gradient_is_the_finite_difference(loss: Loss) -> None:
    for seed in range(3):
        y, p = sample(loss, seed=seed)
        check = bl.check_grad(loss(y, bl.variable(p), np.linspace(0.5, 2, 6)), eps=1e-6)
        assert check.ok, check


def squashed(loss: Loss, z: Any) -> Any:
    """The output that goes with the loss, made of logits."""
    if loss.from_logits or not loss.probabilities:
        return z if loss.targets != (0.0, np.inf) else bl.ops.softplus(z)
    return bl.nn.sigmoid(z) if loss.link == "sigmoid" else bl.nn.softmax(z)


@every_one
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_finite_and_teaching_at_the_extremes(loss: Loss, dtype: str) -> None:
    """Behind its activation and the stable rules: no overflow, and a loss that is large has a gradient."""
    y, _ = sample(loss, (4, 3))
    for scale in (30.0, 100.0, 1000.0, 1e4):
        for pattern in ([1.0, 0.0, -1.0], [-1.0, 1.0, 0.5], [0.0, 0.0, 0.0], [-1.0, -1.0, -1.0]):
            z = bl.variable(np.tile(np.array(pattern) * scale, (4, 1)).astype(dtype))
            target = bl.constant(y, dtype="int64") if loss.labels else bl.constant(y)
            (cost,) = apply([loss.cost(target, squashed(loss, z))], stable.RULES)
            slope = bl.grad(cost, z).value
            assert np.isfinite(cost.value), (loss, pattern, scale)
            assert np.isfinite(slope).all(), (loss, pattern, scale)
            if loss.link and cost.value > 17:
                assert np.abs(slope).max() > 0.01, (loss, pattern, scale)


@every_one
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_all_wrong_costs_much_and_teaches(loss: Loss, dtype: str) -> None:
    """Behind a softmax or sigmoid the cost goes on growing where probabilities have run out, as with from_logits=True."""
    if not loss.probabilities:
        return
    ids = np.array([0, 2, 2, 0])
    hot = np.eye(3)[ids]
    z = bl.variable((1000 * (1 - 2 * hot)).astype(dtype))
    y = bl.constant(ids, dtype="int64") if loss.labels else bl.constant(hot)
    (cost,) = apply([loss.cost(y, squashed(loss, z))], stable.RULES)
    assert cost.value > 200
    assert (np.abs(bl.grad(cost, z).value).max(axis=-1) > 0.01).all()


@every_one
def test_probabilities_of_exactly_0_and_1(loss: Loss) -> None:
    if not loss.probabilities or loss.from_logits:
        return
    y, _ = sample(loss, (3, 3))
    for p in (np.eye(3), np.eye(3)[::-1], np.ones((3, 3)), np.eye(3, dtype=np.float32)):
        output = bl.variable(p)
        cost = loss(y, output)
        assert np.isfinite(cost.value) and np.isfinite(bl.grad(cost, output).value).all()


# ---------------------------------------------------------------------- reductions and weights
@every_one
def test_reductions(loss: Loss) -> None:
    y, p = sample(loss, (5, 4, 3))
    w = np.random.default_rng(1).uniform(0, 2, (5, 4))

    def of(reduction: str | None, weight: Any = None) -> Any:
        return type(loss)(**{**loss.get_config(), "reduction": reduction})(y, p, weight)

    each, valid = of(None), np.ones((5, 4)) if getattr(loss, "ignore_class", None) is None else y != loss.ignore_class
    assert each.shape == (5, 4) and np.array_equal(each, of("none"))
    np.testing.assert_allclose(of(None, w), each * w, rtol=1e-12)
    assert float(of("sum", w)) == pytest.approx((each * w).sum())
    assert float(of("sum_over_batch_size", w)) == pytest.approx((each * w).sum() / valid.sum()) == float(of("mean", w))
    assert float(of("mean_with_sample_weight", w)) == pytest.approx((each * w).sum() / (w * valid).sum())
    assert float(of("mean_with_sample_weight")) == pytest.approx(float(of("mean")))
    assert float(of("mean_with_sample_weight", 0 * w)) == 0.0
    a_row, rows = w[:, 0], w[:, :1] * np.ones(4)
    np.testing.assert_allclose(of(None, a_row), each * rows, rtol=1e-12)  # never along the steps
    np.testing.assert_allclose(of(None, a_row[:, None]), each * rows, rtol=1e-12)
    assert float(of("mean_with_sample_weight", a_row)) == pytest.approx((each * rows).sum() / (rows * valid).sum())


def test_a_square_of_weights_weighs_examples() -> None:
    """With as many steps as examples a vector still means the examples."""
    p = np.array([[[1.0], [2.0]], [[3.0], [4.0]]])
    each = bl.losses.MeanSquaredError(reduction=None)(np.zeros((2, 2, 1)), p, [1.0, 0.0])
    assert each.tolist() == [[1.0, 4.0], [0.0, 0.0]]


@pytest.mark.parametrize("reduction", ["average", "Sum", "", 3])
def test_another_reduction_is_refused(reduction: Any) -> None:
    with pytest.raises(bl.BacklitError, match="reduction"):
        bl.losses.MeanSquaredError(reduction=reduction)


# ---------------------------------------------------------------------- what a loss refuses
@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: bl.losses.Huber(delta=0), "delta"),
        (lambda: bl.losses.BinaryCrossentropy(label_smoothing=1.5), "label_smoothing"),
        (lambda: bl.losses.CategoricalCrossentropy(axis=True), "axis"),
        (lambda: bl.losses.BinaryFocalCrossentropy(gamma=-1.0), "gamma"),
        (lambda: bl.losses.CategoricalFocalCrossentropy(alpha=[0.1, -0.2]), "alpha"),
        (lambda: bl.losses.BinaryCrossentropy()([[2.0]], [[0.5]]), "from 0 to 1"),
        (lambda: bl.losses.Poisson()([[-1.0]], [[0.5]]), "from 0"),
        (lambda: bl.losses.Hinge()([[0.0], [-1.0]], [[0.5], [0.5]]), "-1 and 1"),
        (lambda: bl.losses.Hinge()([[0.5]], [[0.5]]), "-1 and 1"),
        (lambda: bl.losses.CosineSimilarity(axis=0)([[1.0]], [[1.0]]), "over the examples"),
        (lambda: bl.losses.SparseCategoricalCrossentropy(ignore_class=9)([9, 4], [[0.5, 0.5]] * 2), "or 9"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Any, field: str) -> None:
    with pytest.raises(BacklitError, match=field):
        make()


def model(units: int, loss: Any, activation: str | None = None, steps: int | None = None, **compiled: Any) -> bl.Sequential:
    shape = (4,) if steps is None else (steps, 4)
    made = bl.Sequential([bl.Input(shape), bl.layers.Dense(units, activation)])
    made.compile(bl.optimizers.Adam(0.02), loss, **compiled)
    return made


X = np.random.default_rng(5).normal(size=(20, 4))


def test_the_door_knows_what_each_loss_is_for() -> None:
    signs = np.where(X[:, 0] > 0, 1, -1)
    a, b = (model(1, "hinge", metrics=["accuracy"]) for _ in range(2))
    b.set_weights(a.get_weights())
    logs, same = a.evaluate(X, signs, return_dict=True), b.evaluate(X, (signs + 1) // 2, return_dict=True)
    assert logs == same  # 0 and 1 mean -1 and 1
    assert logs["accuracy"] == np.mean((a.predict(X)[:, 0] > 0) == (signs > 0))
    for loss, y, words in [
        ("hinge", signs * (np.arange(20) % 3), "-1 and 1"),
        ("squared_hinge", X[:, 0], "-1 and 1"),
        ("poisson", signs, "from 0"),
        ("msle", signs, "from 0"),
        ("kl_divergence", 2 * X[:, :1] ** 2 + 1, "from 0 to 1"),
    ]:
        with pytest.raises(LabelError, match=words) as refused:
            model(1, loss).fit(X, y, verbose=0)
        assert refused.value.finding is not None and refused.value.fields["fix"]


def test_ignored_labels_may_pass_and_teach_nothing() -> None:
    y = np.random.default_rng(0).integers(0, 3, (20, 5))
    x = np.random.default_rng(1).normal(size=(20, 5, 4))
    y[::2] = -1
    loss = SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    a, b = model(3, loss, steps=5), model(3, SparseCategoricalCrossentropy(from_logits=True), steps=5)
    b.set_weights(a.get_weights())
    assert a.evaluate(x, y, batch_size=20) == pytest.approx(b.evaluate(x[1::2], y[1::2], batch_size=20), rel=1e-6)
    a.fit(x, y, verbose=0, batch_size=20)
    b.fit(x[1::2], y[1::2], verbose=0, batch_size=20)
    np.testing.assert_allclose(a.get_weights()[0], b.get_weights()[0], rtol=1e-5, atol=1e-7)
    y[0, 0] = 7
    with pytest.raises(LabelError):
        a.fit(x, y, verbose=0)


def test_a_weight_of_0_masks_a_time_step() -> None:
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(12, 5, 4)), rng.normal(size=(12, 5, 1))
    mask = rng.integers(0, 2, (12, 5))
    noisy = np.where(mask[..., None] == 1, y, 1e3)
    a, b = model(1, "mse", steps=5), model(1, "mse", steps=5)
    b.set_weights(a.get_weights())
    for each, target in ((a, y), (b, noisy)):
        each.fit(x, target, sample_weight=mask, verbose=0, shuffle=False)
    np.testing.assert_array_equal(a.get_weights()[0], b.get_weights()[0])


@every_loss
def test_a_model_trains_with_it_and_comes_back_from_a_file(cls: type[Loss], tmp_path: Any) -> None:
    loss = cls()
    y, _ = sample(loss, (20, 3))
    activation = {"softmax": "softmax", "sigmoid": "sigmoid"}.get(loss.link or "", "softplus" if loss.targets else None)
    net = model(3, snake(cls.__name__), activation, metrics=["accuracy"] if loss.labels or loss.link else None)
    history = net.fit(X, y, epochs=12, verbose=0, batch_size=4)
    assert history.history["loss"][-1] < history.history["loss"][0]
    net.save(tmp_path / "net.backlit")
    again = bl.load_model(tmp_path / "net.backlit")
    assert type(again.loss) is cls or again.evaluate(X, y) is not None
    assert again.evaluate(X, y) == net.evaluate(X, y)


# ---------------------------------------------------------------------- losses of one's own
def relative(y_true: Any, y_pred: Any) -> Any:
    return bl.ops.mean(abs(y_pred - y_true) / (1 + abs(y_true)), axis=-1)


def largest_gap(y_true: Any, y_pred: Any) -> Any:
    return bl.ops.max(abs(y_pred - y_true))


def picked(y_true: Any, y_pred: Any) -> Any:
    return -bl.ops.sum(bl.ops.one_hot(y_true, depth=3, dtype="float32") * bl.nn.log_softmax(y_pred), axis=-1)


def test_a_function_is_a_loss() -> None:
    y = X[:, :2] * 2
    net = model(2, relative, metrics=[relative])
    assert net.loss.name == "relative" and isinstance(net.loss, LossFunctionWrapper)
    logs = net.evaluate(X, y, return_dict=True)
    wanted = np.mean(np.abs(net.predict(X) - y) / (1 + np.abs(y)))
    assert logs == {"loss": pytest.approx(wanted, rel=1e-5), "relative": pytest.approx(wanted, rel=1e-5)}
    before = logs["loss"]
    net.fit(X, y, epochs=30, verbose=0)
    assert net.evaluate(X, y, return_dict=True)["loss"] < before
    assert float(Loss.get(relative)([[1.0]], [[2.0]], [4.0])) == 2.0


def test_a_function_of_the_whole_batch_is_a_loss_without_weights() -> None:
    net = model(2, largest_gap)
    gap = np.abs(net.predict(X) - X[:, :2]).max()
    assert net.evaluate(X, X[:, :2], batch_size=20) == pytest.approx(gap, rel=1e-5)
    net.fit(X, X[:, :2], verbose=0)
    with pytest.raises(ShapeError, match="one number an example"):
        net.fit(X, X[:, :2], sample_weight=np.ones(20), verbose=0)


def test_a_function_of_labels_is_a_loss() -> None:
    y = np.arange(20) % 3
    a, b = model(3, LossFunctionWrapper(picked, labels=True)), model(3, SparseCategoricalCrossentropy(from_logits=True))
    b.set_weights(a.get_weights())
    assert a.evaluate(X, y) == pytest.approx(b.evaluate(X, y), rel=1e-6)


def test_what_a_function_must_give() -> None:
    with pytest.raises(TypeError, match="must give a node"):
        Loss.get(lambda y, p: 3.0)([[1.0]], [[2.0]])
    with pytest.raises(ShapeError, match="one number an example"):
        Loss.get(lambda y, p: bl.ops.mean(p, axis=0))(np.ones((4, 2)), np.ones((4, 2)))
    with pytest.raises(TypeError, match="no loss"):
        Loss.get(3)


def test_a_function_is_found_again_by_its_name_where_it_is_defined(tmp_path: Any) -> None:
    net = model(2, relative)
    net.save(tmp_path / "net.backlit")
    again = bl.load_model(tmp_path / "net.backlit")
    assert again.evaluate(X, X[:, :2]) == net.evaluate(X, X[:, :2])
    config = net.loss.get_config()
    assert config["fn"] == "relative" and LossFunctionWrapper(**config).fn is relative
    with pytest.raises(UnknownNameError, match="not defined here"):
        LossFunctionWrapper("never_written")
    with pytest.raises(UnknownNameError):
        LossFunctionWrapper(**LossFunctionWrapper(lambda y, p: p).get_config())


class Quartic(Loss):
    """Keras's way to write one."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return bl.ops.mean((y_pred - y_true) ** 4, axis=-1)


def test_a_class_is_a_loss_and_a_function_by_itself() -> None:
    assert float(Quartic()([[0.0]], [[2.0]])) == 16.0
    assert bl.losses.quartic([[0.0]], [[2.0]]).tolist() == [16.0] and bl.losses.Quartic is Quartic
    assert model(1, "quartic").loss.name == "quartic"


def test_half_of_the_squared_error() -> None:
    """The course's ½(p - y)²: its derivative is p - y, half of Keras's."""
    p = bl.variable([[3.0]])
    y = [[1.0]]
    assert float(bl.losses.HalfSquaredError()(y, p).value) == 2.0
    assert bl.grad(bl.losses.HalfSquaredError()(y, p), p).value.tolist() == [[2.0]]
    assert bl.grad(bl.losses.MeanSquaredError()(y, p), p).value.tolist() == [[4.0]]
    assert float(bl.losses.HalfSquaredError()([[1.0], [1.0]], [[2.0], [5.0]])) * 2 == 8.5  # E019: 8.5 against 4.25


def test_a_hinge_target_means_the_same_in_every_batch() -> None:
    each = Hinge(reduction=None)
    whole = each([[0.0], [1.0], [1.0]], [[-0.5], [0.5], [-2.0]])
    alone = [float(each([[y]], [[p]])[0]) for y, p in ((0.0, -0.5), (1.0, 0.5), (1.0, -2.0))]
    assert whole.tolist() == alone == [0.5, 0.5, 3.0]
