"""Every optimizer's battery, formulas in NumPy, and what is done around all of them: clipping, decay, averages, rates."""

import copy
import inspect
import math
import pickle

import numpy as np
import pytest

import backlit as bl
from backlit.optimizers import SGD, Adam, AdamW, Lion, Nadam, Optimizer, RMSprop

ALL = sorted(
    (cls for cls in vars(bl.optimizers).values() if isinstance(cls, type) and issubclass(cls, Optimizer)),
    key=lambda cls: cls.__name__,
)
OPTIMIZERS = [cls for cls in ALL if cls is not Optimizer]
VARIANTS = [
    *(cls() for cls in OPTIMIZERS),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(momentum=0.5, centered=True),
    Adam(amsgrad=True),
    Adam(weight_decay=0.01, clipnorm=0.5, use_ema=True, ema_overwrite_frequency=3),
]


def data(rows=24, seed=3):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, 4))
    return X, np.tanh(X @ rng.normal(size=(4, 2)))


def compiled(optimizer, seed=1, **arguments):
    bl.random.set_seed(seed)
    model = bl.Sequential([bl.Input((4,)), bl.layers.Dense(5, "tanh"), bl.layers.Dense(2)])
    model.compile(optimizer=optimizer, loss="mse", **arguments)
    return model


def fitted(optimizer, epochs=4, callbacks=(), **arguments):
    model = compiled(optimizer, **arguments)
    model.fit(*data(), epochs=epochs, batch_size=6, verbose=0, shuffle=False, callbacks=list(callbacks))
    return model


class Bench:
    """One optimizer on parameters whose gradients are fed."""

    def __init__(self, optimizer, *starts, dtype="float64"):
        self.optimizer = optimizer
        self.p = [bl.variable(np.array(start, dtype), name=f"p{k}") for k, start in enumerate(starts)]
        self.g = [bl.input(p.shape, f"g{k}", dtype) for k, p in enumerate(self.p)]
        self.kept = {p: optimizer.make_slots(p) for p in self.p}
        rate, t = (bl.input((), name, weak=1) for name in ("rate", "t"))
        updates = optimizer.updates(dict(zip(self.p, self.g, strict=True)), self.kept, rate, t)
        self.run = bl.compile([], inputs=[*self.g, rate, t], updates=updates)
        self.iterations = 0
        optimizer.bind(self)

    def slots(self):
        return self.kept

    def step(self, *gradients):
        lr = self.optimizer.learning_rate
        before = self.values
        self.run(*(np.array(g, p.dtype) for g, p in zip(gradients, self.p, strict=True)), lr, self.iterations + 1.0)
        self.iterations += 1
        return [new - old for new, old in zip(self.values, before, strict=True)]

    @property
    def values(self):
        return [np.array(p.array) for p in self.p]


def same(a, b):
    return all((x == y).all() for x, y in zip(a.get_weights(), b.get_weights(), strict=True))


# ---------------------------------------------------------------------- the battery
def test_the_optimizers_of_keras_are_there():
    names = {cls.__name__ for cls in OPTIMIZERS}
    assert names >= {"SGD", "RMSprop", "Adam", "AdamW", "Nadam", "Adagrad", "Adadelta", "Adamax", "Lion"}
    assert set(dir(bl.optimizers)) & {"np", "sqrt", "Any", "cast"} == set()
    assert all(isinstance(Optimizer.get(name.lower()), getattr(bl.optimizers, name)) for name in names)


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_configuration_copies_and_pickles_come_back(optimizer):
    config = optimizer.get_config()
    again = type(optimizer).from_config(config)
    assert again.get_config() == config and repr(again) == repr(optimizer)
    described = {"class": type(optimizer).__name__, "config": config}
    for other in (Optimizer.get(described), copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):
        assert type(other) is type(optimizer) and other.get_config() == config


@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_the_signature_names_every_keyword(cls):
    parameters = dict(list(inspect.signature(cls.__init__).parameters.items())[1:])
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    assert next(iter(parameters)) == "learning_rate" and parameters["ema_momentum"].default == 0.99
    assert cls(**{key: each.default for key, each in parameters.items()}).get_config() == cls().get_config()
    with pytest.raises(TypeError, match="clipnorm"):
        cls(clip_norm=1.0)


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_it_trains_and_both_engines_agree(optimizer):
    if type(optimizer).__name__ not in ("Adadelta", "Adagrad", "AdamW"):
        optimizer = copy.deepcopy(optimizer)
        optimizer.learning_rate = 0.01
    by_planned = fitted(copy.deepcopy(optimizer), engine="planned")
    by_reference = fitted(copy.deepcopy(optimizer), engine="reference")
    for a, b in zip(by_planned.get_weights(), by_reference.get_weights(), strict=True):
        assert a.dtype == np.float32 and a == pytest.approx(b, rel=1e-5, abs=1e-6)
    losses = by_planned.history.history["loss"]
    assert losses[-1] < losses[0] and np.isfinite(losses).all()


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_a_saved_training_goes_on_bit_for_bit(optimizer, tmp_path):
    model = fitted(copy.deepcopy(optimizer))
    model.save(tmp_path / "m.backlit")
    again = bl.load_model(tmp_path / "m.backlit")
    assert again.optimizer.get_config() == model.optimizer.get_config() and same(model, again)
    for each in (model, again):
        each.fit(*data(), epochs=6, initial_epoch=4, batch_size=6, verbose=0, shuffle=False)
    assert same(model, again)


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_slots_and_steps_keep_their_dtype(optimizer, dtype):
    bench = Bench(copy.deepcopy(optimizer), np.ones((2, 3)), 1.0, dtype=dtype)
    bench.step(np.full((2, 3), 0.5), -2.0)
    assert all(p.array.dtype == dtype and np.isfinite(p.array).all() for p in bench.p)
    for p, slots in bench.kept.items():
        for key, slot in slots.items():
            assert (slot.shape, slot.dtype) == (((), "float64") if key == "product" else (p.shape, dtype))
    assert (bench.p[0].array < 1).all() and bench.p[1].array > (0.99 if optimizer.weight_decay else 1)


@pytest.mark.parametrize("optimizer", VARIANTS, ids=repr)
def test_no_gradient_no_step(optimizer):
    if optimizer.weight_decay:
        return
    bench = Bench(copy.deepcopy(optimizer), [1.0, -2.0])
    for _ in range(4):
        bench.step([0.0, 0.0])
    assert bench.values[0].tolist() == [1.0, -2.0]


# ---------------------------------------------------------------------- formulas in NumPy
def walk(bench, gradients):
    for g in gradients:
        bench.step(g)
    return bench.values[0]


GRADIENTS = np.random.default_rng(5).normal(size=(30, 4))


def test_adam_is_the_papers_formula():
    p, m, v, best = np.ones(4), np.zeros(4), np.zeros(4), np.zeros(4)
    for t, g in enumerate(GRADIENTS, 1):
        m, v = 0.8 * m + 0.2 * g, 0.9 * v + 0.1 * g**2
        best = np.maximum(best, v)
        p = p - 0.05 * np.sqrt(1 - 0.9**t) / (1 - 0.8**t) * m / (np.sqrt(best) + 1e-3)
    found = walk(Bench(Adam(0.05, 0.8, 0.9, 1e-3, amsgrad=True), np.ones(4)), GRADIENTS)
    assert found == pytest.approx(p, rel=1e-12)


def test_rmsprop_is_its_formula():
    p, v, mean, b = np.ones(4), np.zeros(4), np.zeros(4), np.zeros(4)
    for g in GRADIENTS:
        v, mean = 0.8 * v + 0.2 * g**2, 0.8 * mean + 0.2 * g
        b = 0.5 * b + 0.05 * g / np.sqrt(v - mean**2 + 1e-2)
        p = p - b
    found = walk(Bench(RMSprop(0.05, 0.8, 0.5, 1e-2, centered=True), np.ones(4)), GRADIENTS)
    assert found == pytest.approx(p, rel=1e-12)


def test_nadam_is_its_formula_and_its_product_is_exact():
    p, m, v, product = np.ones(4), np.zeros(4), np.zeros(4), 1.0
    for t, g in enumerate(GRADIENTS, 1):
        u, ahead = (0.9 * (1 - 0.96**k / 2) for k in (t, t + 1))
        product *= u
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        hat = ahead * m / (1 - product * ahead) + (1 - u) * g / (1 - product)
        p = p - 0.05 * hat / (np.sqrt(v / (1 - 0.999**t)) + 1e-7)
    bench = Bench(Nadam(0.05), np.ones(4), dtype="float64")
    assert walk(bench, GRADIENTS) == pytest.approx(p, rel=1e-12)
    narrow = Bench(Nadam(0.05), np.ones(4), dtype="float32")
    walk(narrow, GRADIENTS)
    assert narrow.kept[narrow.p[0]]["product"].array == pytest.approx(product, rel=1e-14)


def test_momentum_by_hand():
    plain, ahead = (Bench(SGD(0.1, momentum=0.5, nesterov=n), 0.0) for n in (False, True))
    assert [plain.step(1.0)[0].item() for _ in range(3)] == pytest.approx([-0.1, -0.15, -0.175])
    assert [ahead.step(1.0)[0].item() for _ in range(3)] == pytest.approx([-0.15, -0.175, -0.1875])


def test_the_first_steps_do_not_lose_digits_in_float32():
    """1 - β₂ᵗ is computed in float64: in float32 Adam's first steps are wrong by 1e-5 (Keras)."""
    narrow, wide = (Bench(Adam(1.0), 0.0, dtype=dtype) for dtype in ("float32", "float64"))
    for _ in range(3):
        assert narrow.step(1e3)[0] == pytest.approx(wide.step(1e3)[0], rel=3e-7)


def test_centered_rmsprop_survives_a_constant_gradient():
    """v - mean² is 0 or, rounded, below it: Keras 3.15 takes the root of a negative number for one gradient in nine."""
    g = np.random.default_rng(0).uniform(0.1, 100, 2000)
    bench = Bench(RMSprop(1e-3, centered=True), np.zeros(2000), dtype="float32")
    for _ in range(200):
        bench.step(g)  # would raise NonFiniteError
    assert (bench.values[0] < 0).all()


# ---------------------------------------------------------------------- clipping
def test_clipvalue_holds_every_number():
    (change,) = Bench(SGD(1.0, clipvalue=0.5), np.zeros(4)).step([3.0, -0.2, -9.0, 0.5])
    assert change.tolist() == [-0.5, 0.2, 0.5, -0.5]


def test_clipnorm_shrinks_each_gradient_by_itself():
    first, second = Bench(SGD(1.0, clipnorm=1.0), np.zeros(2), np.zeros(2)).step([3.0, -4.0], [0.3, 0.4])
    assert first == pytest.approx([-0.6, 0.8]) and second.tolist() == [-0.3, -0.4]


def test_global_clipnorm_shrinks_all_gradients_together():
    first, second = Bench(SGD(1.0, global_clipnorm=1.3), np.zeros(2), 0.0).step([3.0, -4.0], 12.0)
    assert first == pytest.approx([-0.3, 0.4]) and second == pytest.approx(-1.2)
    short = Bench(SGD(1.0, global_clipnorm=13.5), np.zeros(2), 0.0).step([3.0, -4.0], 12.0)
    assert short[0].tolist() == [-3.0, 4.0] and short[1] == -12.0  # a norm of 13 is left as it is, bit for bit


@pytest.mark.parametrize("clip", ["clipvalue", "clipnorm", "global_clipnorm"])
def test_a_gradient_of_zero_stays_zero_and_the_reported_norm_is_the_raw_one(clip):
    bench = Bench(SGD(1.0, **{clip: 1e-3}), np.ones(3))
    assert bench.step(np.zeros(3))[0].tolist() == [0, 0, 0]
    norms = []
    for arguments in ({}, {clip: 1e-3}):
        model = compiled(SGD(0.1, **arguments))
        graph, (X, y) = model.step_graph(), data()
        feed = dict(zip(graph.inputs, [X.astype("float32"), y.astype("float32"), 0.1, 1.0], strict=True))
        norms.append(bl.compile(list(graph.outputs), inputs=graph.inputs)(*feed.values())[1])
    assert norms[0] == norms[1] > 1e-3


# ---------------------------------------------------------------------- weight decay
def test_weight_decay_is_no_part_of_the_gradient():
    for optimizer in (SGD(0.1, weight_decay=0.5), Adam(0.1, weight_decay=0.5), AdamW(0.1, weight_decay=0.5)):
        bench = Bench(optimizer, [2.0, -4.0])
        for _ in range(3):
            bench.step([0.0, 0.0])
        assert bench.values[0] == pytest.approx(np.array([2.0, -4.0]) * 0.95**3, rel=1e-14)
    with_g = Bench(Adam(0.1, weight_decay=0.5), 2.0).step(7.0)[0]
    assert with_g == pytest.approx(-2.0 * 0.05 - 0.1, rel=1e-6)  # the decay, then Adam's first step of lr
    assert AdamW().weight_decay == 0.004
    with pytest.raises(TypeError, match="weight_decay must be a number from 0"):
        AdamW(weight_decay=None)


# ---------------------------------------------------------------------- moving averages
def test_the_average_follows_the_parameters():
    bench = Bench(SGD(1.0, use_ema=True, ema_momentum=0.75), 8.0)
    average, p = 0.0, 8.0
    for t, g in enumerate((1.0, 2.0, -1.0, 0.5)):
        bench.step(g)
        p -= g
        average = p if t == 0 else 0.75 * average + 0.25 * p
        assert bench.values[0] == p and bench.kept[bench.p[0]]["average"].array == average


def test_the_average_replaces_the_parameters_at_its_steps():
    bench = Bench(SGD(1.0, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=3), 0.0)
    seen = [bench.step(-1.0) and bench.values[0].item() for _ in range(6)]
    averages = [1.0, 1.5, 2.25, 2.75, 3.5, 4.375]
    assert seen == [1.0, 2.0, averages[2], 3.25, 4.25, averages[5]]


def test_fit_ends_with_the_averages_in_place():
    class Raw(bl.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.weights = self.model.get_weights()

    raw = Raw()
    averaged, plain = fitted(Adam(0.05, use_ema=True), callbacks=[raw]), fitted(Adam(0.05))
    assert all((a == b).all() for a, b in zip(raw.weights, plain.get_weights(), strict=True))
    slots = [slots["average"].array for slots in averaged.slots().values()]
    assert all((a == b).all() for a, b in zip(averaged.get_weights(), slots, strict=True))
    assert not same(averaged, plain)
    before = averaged.get_weights()
    compiled(averaged.optimizer)  # before its first step it has no averages to put anywhere
    averaged.optimizer.finalize()
    assert all((a == b).all() for a, b in zip(averaged.get_weights(), before, strict=True))


# ---------------------------------------------------------------------- the learning rate
def test_a_learning_rate_can_be_assigned_at_any_time():
    model = fitted(SGD(0.1))
    graph = model.step_graph()
    model.optimizer.learning_rate = np.float32(0.5)
    assert model.optimizer.learning_rate == 0.5 and model.optimizer.get_config()["learning_rate"] == 0.5
    assert repr(model.optimizer) == "SGD(learning_rate=0.5)"
    model.fit(*data(), verbose=0)
    assert model.step_graph() is graph


@pytest.mark.parametrize("rate", [0, 0.0, -0.1, math.nan, math.inf, -math.inf])
def test_rates_that_are_none_are_refused_and_change_nothing(rate):
    with pytest.raises(ValueError, match="learning rate"):
        Adam(rate)
    optimizer = Adam(0.3)
    with pytest.raises(bl.BacklitError, match="learning rate"):
        optimizer.learning_rate = rate
    assert optimizer.learning_rate == 0.3


@pytest.mark.parametrize("rate", ["0.1", None, True, [0.1], lambda: 0.1])
def test_what_is_no_rate_is_refused(rate):
    with pytest.raises(TypeError, match="learning rate"):
        SGD(learning_rate=rate)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "one way"),
        ({"clipnorm": 0.0}, "clipnorm"),
        ({"global_clipnorm": -1.0}, "global_clipnorm"),
        ({"weight_decay": -0.1}, "weight_decay"),
        ({"ema_momentum": 1.5}, "ema_momentum"),
        ({"ema_overwrite_frequency": 0}, "ema_overwrite_frequency"),
        ({"ema_overwrite_frequency": 2.5}, "ema_overwrite_frequency"),
    ],
)
@pytest.mark.parametrize("cls", OPTIMIZERS)
def test_common_keywords_that_mean_nothing_are_refused(cls, arguments, says):
    with pytest.raises(bl.BacklitError, match=says):
        cls(**arguments)


@pytest.mark.parametrize(
    "call",
    [
        lambda: SGD(momentum=1.0),
        lambda: Adam(beta_1=1.0),
        lambda: Adam(beta_2=-0.1),
        lambda: RMSprop(rho=1.0),
        lambda: Adam(epsilon=-1e-7),
        lambda: Lion(beta_1=0.0),
        lambda: bl.optimizers.Adagrad(initial_accumulator_value=-1.0),
    ],
)
def test_factors_out_of_range_are_refused(call):
    with pytest.raises(ValueError):
        call()


# ---------------------------------------------------------------------- effective rates
def test_eleven_rates_for_eleven_parameters():
    """C247, W019: a logistic regression of ten inputs; every parameter has a rate of its own."""
    model = bl.Sequential([bl.Input((10,)), bl.layers.Dense(1, "sigmoid")])
    model.compile(optimizer=Adam(1e-3), loss="binary_crossentropy")
    rng = np.random.default_rng(0)
    X = rng.normal(size=(40, 10)) * np.linspace(0.5, 5, 10)
    model.fit(X, (X.sum(axis=1) > 0).astype(int), epochs=5, batch_size=8, verbose=0)
    rates = model.optimizer.rates()
    assert list(rates) == [leaf.name for leaf in model.trainable_variables] and len(rates) == 2
    assert rates.flat.shape == (11,) and len(np.unique(rates.flat)) == 11
    kernel, _ = model.trainable_variables
    v = model.slots()[kernel]["v"].array.astype(float)
    t = model.iterations
    assert t == 25
    expected = 1e-3 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t) / (np.sqrt(v) + 1e-7)
    assert rates[kernel.name] == pytest.approx(expected, rel=1e-12)
    assert rates[kernel.name][0] > 5 * rates[kernel.name][9]  # the larger the inputs, the smaller the rate
    lines = str(rates).splitlines()
    assert lines[0] == "Adam, step 25, learning rate 0.001: step per unit of gradient"
    assert lines[1].split() == ["parameter", "shape", "numbers", "min", "median", "max"]
    assert len(lines) == 4 and len({len(line) for line in lines[1:]}) == 1
    assert repr(rates) == str(rates)


def test_a_constant_gradient_makes_steps_of_the_rate():
    """W019: Adam's step becomes α; for a gradient that alternates, α (1-β₁)/(1+β₁)."""
    steady, swinging = Bench(Adam(0.01), 0.0), Bench(Adam(0.01), 0.0)
    for k in range(3000):
        same_way, to_and_fro = steady.step(3.0)[0], swinging.step(3.0 * (-1) ** k)[0]
    assert same_way == pytest.approx(-0.01, rel=1e-6)
    assert abs(to_and_fro) == pytest.approx(0.01 * 0.1 / 1.9, rel=1e-3)
    assert steady.optimizer.rates()["p0"] * 3.0 == pytest.approx(0.01 / (1 - 0.9**3000), rel=1e-6)


@pytest.mark.parametrize(
    ("optimizer", "of_gradient"),
    [
        (SGD(0.2), lambda g: 0.2),
        (SGD(0.2, momentum=0.9), lambda g: 0.2),
        (Lion(0.2), lambda g: 0.2),
        (RMSprop(0.2, rho=0.75), lambda g: 0.2 / np.sqrt(g**2 / 4 + 1e-7)),
        (RMSprop(0.2, rho=0.75, centered=True), lambda g: 0.2 / np.sqrt(g**2 / 4 - g**2 / 16 + 1e-7)),
        (Adam(0.2), lambda g: 0.2 * np.sqrt(0.001) / 0.1 / (np.sqrt(0.001) * g + 1e-7)),
        (AdamW(0.2), lambda g: 0.2 * np.sqrt(0.001) / 0.1 / (np.sqrt(0.001) * g + 1e-7)),
        (Nadam(0.2), lambda g: 0.2 / (g + 1e-7)),
        (bl.optimizers.Adagrad(0.2), lambda g: 0.2 / np.sqrt(0.1 + g**2 + 1e-7)),
        (bl.optimizers.Adamax(0.2), lambda g: 0.2 / 0.1 / (g + 1e-7)),
    ],
    ids=lambda value: repr(value) if isinstance(value, Optimizer) else "formula",
)
def test_rates_after_one_step(optimizer, of_gradient):
    g = np.array([0.5, 2.0, 4.0])
    bench = Bench(optimizer, np.ones(3))
    bench.step(g)
    assert optimizer.rates()["p0"] == pytest.approx(np.broadcast_to(of_gradient(g), 3), rel=1e-10)


def test_the_rates_of_adadelta_are_in_the_units_of_its_steps():
    optimizer = bl.optimizers.Adadelta(1.0)
    bench = Bench(optimizer, np.ones(2))
    bench.step([0.5, 2.0])
    slots = bench.kept[bench.p[0]]
    expected = np.sqrt(slots["steps"].array + 1e-7) / np.sqrt(slots["gradients"].array + 1e-7)
    assert optimizer.rates()["p0"] == pytest.approx(expected)


def test_rates_are_those_of_the_last_step():
    schedule = bl.optimizers.schedules.PiecewiseConstantDecay([0], [0.5, 0.25])
    optimizer = SGD(schedule)
    with pytest.raises(ValueError, match="not made a step yet"):
        optimizer.rates()
    bench = Bench(optimizer, np.ones(2))
    with pytest.raises(bl.BacklitError, match="not made a step yet"):
        optimizer.rates()
    bench.step([1.0, 1.0])
    assert optimizer.rates()["p0"].tolist() == [0.5, 0.5] and optimizer.learning_rate == 0.25


# ---------------------------------------------------------------------- one's own
class Counting(Optimizer):
    """p - lr g / n, n being a whole slot of its own kind."""

    slots = ("n",)

    def __init__(self, power=1.0, **common):
        super().__init__(0.5, **common)
        self.power = power

    def first(self, slot, p):
        return np.array(1.0)

    def step(self, p, g, slots, lr, t):
        share = bl.ops.cast(slots["n"] ** -self.power, dtype=p.dtype)
        return p - lr * g * share, {"n": slots["n"] + 1}


def test_an_optimizer_of_ones_own_has_everything():
    optimizer = Counting(2.0, clipvalue=1.0)
    assert repr(optimizer) == "Counting(power=2.0, clipvalue=1.0)"
    assert Optimizer.get({"class": "Counting", "config": optimizer.get_config()}).power == 2.0
    bench = Bench(optimizer, np.zeros(2), dtype="float32")
    changes = [bench.step([9.0, -0.5])[0].tolist() for _ in range(2)]
    assert changes == [[-0.5, 0.25], [-0.125, 0.0625]]
    assert fitted("counting").optimizer.rates().flat.tolist() == [0.5] * 37
    with pytest.raises(NotImplementedError, match="Nothing has no step"):
        type("Nothing", (Optimizer,), {})().step(1.0, 1.0, {}, 0.1, 1)
    with pytest.raises(TypeError, match="weight_decay"):
        Counting(weight_decya=1.0)


def test_a_copy_of_an_optimizer_belongs_to_no_model():
    model = fitted(Adam(0.01))
    other = copy.deepcopy(model.optimizer)
    assert model.optimizer.iterations == 16 and other.iterations == 0
    with pytest.raises(bl.BacklitError, match="not made a step"):
        other.rates()
