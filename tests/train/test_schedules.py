"""Schedules: their formulas, their place in training, and what they refuse."""

import math

import numpy as np
import pytest
from backlit.optimizers.schedules import CosineDecay, CosineDecayRestarts, ExponentialDecay, LearningRateSchedule

import backlit as bl
from backlit.optimizers import SGD, schedules

EXAMPLES = [
    schedules.ExponentialDecay(0.1, 10, 0.5),
    schedules.ExponentialDecay(0.1, 10, 0.5, staircase=True),
    schedules.InverseTimeDecay(0.1, 10, 2),
    schedules.PiecewiseConstantDecay([3, 7.5], [0.1, 0.01, 0.2]),
    schedules.PolynomialDecay(0.1, 20, 0.01, power=2, cycle=True),
    schedules.CosineDecay(0.0, 20, 0.1, warmup_target=0.1, warmup_steps=4),
    schedules.CosineDecayRestarts(0.1, 6, 1.5, 0.9, 0.01),
]


@pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)
def test_numbers_arrays_lists_and_floats_of_steps_give_the_same_rates(schedule):
    one_by_one = [schedule(step) for step in range(40)]
    assert all(type(rate) is float and 0 <= rate < 1 for rate in one_by_one)
    for many in (np.arange(40), list(range(40)), np.arange(40.0).reshape(8, 5)):
        rates = schedule(many)
        assert rates.dtype == np.float64 and rates.shape == np.shape(many)
        assert rates.reshape(-1) == pytest.approx(one_by_one, rel=1e-14, abs=1e-17)
    assert schedule.rates(5, 30).tolist() == schedule(np.arange(5, 35)).tolist()


@pytest.mark.parametrize("schedule", EXAMPLES, ids=repr)
def test_configuration_comes_back(schedule):
    again = type(schedule).from_config(schedule.get_config())
    assert repr(again) == repr(schedule) and again(17) == schedule(17)
    inside = bl.optimizers.Adam(schedule)
    copy = bl.optimizers.Optimizer.get({"class": "Adam", "config": inside.get_config()})
    assert repr(copy) == repr(inside) and type(schedule).__name__ in repr(copy)
    assert copy.schedule(17) == schedule(17) and copy.get_config() == inside.get_config()


def test_formulas_by_hand():
    assert ExponentialDecay(0.1, 1000, 0.9)(1500) == pytest.approx(0.1 * 0.9**1.5, rel=1e-14)
    assert ExponentialDecay(0.1, 1000, 0.9, staircase=True)(1999) == pytest.approx(0.09, rel=1e-14)
    assert schedules.InverseTimeDecay(0.1, 10, 0.5)(30) == pytest.approx(0.1 / 2.5, rel=1e-14)
    piecewise = schedules.PiecewiseConstantDecay([100, 200], [1.0, 0.5, 0.1])
    assert [piecewise(step) for step in (0, 100, 101, 200, 201)] == [1.0, 1.0, 0.5, 0.5, 0.1]
    assert schedules.PiecewiseConstantDecay([], [0.3])(7) == 0.3
    polynomial = schedules.PolynomialDecay(0.1, 10, 0.02, power=2)
    assert polynomial(4) == pytest.approx(0.08 * 0.36 + 0.02, rel=1e-14) and polynomial(99) == 0.02
    cycle = schedules.PolynomialDecay(0.1, 10, 0.0, cycle=True)
    assert [cycle(step) for step in (0, 10, 15)] == pytest.approx([0.1, 0.0, 0.1 * (1 - 15 / 20)])
    cosine = CosineDecay(0.1, 10, alpha=0.2)
    assert cosine(3) == pytest.approx(0.1 * (0.8 * (1 + math.cos(0.3 * math.pi)) / 2 + 0.2), rel=1e-14)
    assert cosine(10) == cosine(1000) == pytest.approx(0.02)
    warm = CosineDecay(0.01, 10, warmup_target=0.1, warmup_steps=3)
    assert [warm(step) for step in (0, 1, 3, 8, 13)] == pytest.approx([0.01, 0.04, 0.1, 0.05, 0.0])
    assert CosineDecay(0.01, 10, warmup_target=0.1)(0) == 0.1  # no step of warm-up: it begins at the target


@pytest.mark.parametrize("t_mul", [1, 1.5, 2, 3, 7, 10])
@pytest.mark.parametrize("first", [1, 3, 100])
def test_every_restart_is_at_its_step(t_mul, first):
    """Keras 3.15 is one step late for t_mul=7, where the rounded logarithm falls below a whole number."""
    schedule = CosineDecayRestarts(0.1, first, t_mul=t_mul, m_mul=0.5)
    begin, length = 0.0, float(first)
    for period in range(7):
        assert schedule(begin) == pytest.approx(0.1 * 0.5**period, rel=1e-9)
        assert schedule(begin + length / 2) == pytest.approx(0.05 * 0.5**period, rel=1e-9)
        begin, length = begin + length, length * t_mul


def test_whole_numbers_are_rates_too():
    """In Keras 3.15 ExponentialDecay(1, 10, 0.5)(5) is 0: the type of the initial rate becomes that of all."""
    assert ExponentialDecay(1, 10, 0.5)(10) == 0.5
    assert schedules.InverseTimeDecay(1, 10, 0.5)(20) == 0.5


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: ExponentialDecay(0.1, 0, 0.5), "above 0"),
        (lambda: ExponentialDecay(-0.1, 10, 0.5), "initial_learning_rate"),
        (lambda: ExponentialDecay(math.nan, 10, 0.5), "initial_learning_rate"),
        (lambda: ExponentialDecay(0.1, 10, math.inf), "decay_rate"),
        (lambda: schedules.InverseTimeDecay(0.1, -5, 0.5), "decay_steps"),
        (lambda: schedules.PolynomialDecay(0.1, 10, power=-1), "power"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [0.1, 0.2]), "3 values"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [0.1, 0.2, 0.3]), "grow"),
        (lambda: CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul"),
    ],
)
def test_values_that_give_no_rate_are_refused(call, says):
    with pytest.raises(ValueError, match=says) as caught:
        call()
    assert isinstance(caught.value, bl.BacklitError)


def test_arguments_of_the_wrong_kind_and_misspelt_ones_are_refused():
    with pytest.raises(TypeError, match="decay_steps must be a number"):
        ExponentialDecay(0.1, "10", 0.5)
    with pytest.raises(TypeError, match="decay_rate"):
        ExponentialDecay(0.1, 10, decay_rat=0.5)


def test_the_schedules_are_found_as_in_keras():
    import backlit.optimizers.schedules as room

    assert room is bl.optimizers.schedules
    assert set(room.__all__) >= {"ExponentialDecay", "LearningRateSchedule", "CosineDecayRestarts"}
    assert all(issubclass(getattr(room, name), LearningRateSchedule) for name in room.__all__)


# ---------------------------------------------------------------------- in training
def trained(schedule, callbacks=(), epochs=3, rows=10, optimizer=None):
    """A model of one weight whose gradient is 1 in every step: the weight is minus the sum of the rates."""
    model = bl.Sequential([bl.Input((1,)), bl.layers.Dense(1, use_bias=False)])
    model.set_weights([np.zeros((1, 1))])

    class Mean(bl.losses.Loss):
        def formula(self, y, p):
            return bl.ops.mean(p, axis=-1)

    model.compile(optimizer=optimizer or SGD(schedule), loss=Mean())
    model.fit(
        np.ones((rows, 1)), np.zeros((rows, 1)), batch_size=1, epochs=epochs, verbose=0, callbacks=list(callbacks)
    )
    return model


@pytest.mark.parametrize("each_batch", [False, True])
def test_every_step_has_its_own_rate(each_batch):
    schedule = ExponentialDecay(0.5, 7, 0.5)

    seen = []

    class Watch(bl.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            seen.append(self.model.optimizer.learning_rate)

    model = trained(schedule, [Watch()] if each_batch else [])
    expected = schedule(np.arange(30))
    assert model.get_weights()[0].item() == pytest.approx(-expected.sum(), rel=1e-6)
    assert model.optimizer.learning_rate == schedule(30)
    if each_batch:
        assert seen == pytest.approx(expected.tolist())


def test_a_second_fit_goes_on_with_the_schedule():
    schedule = schedules.PiecewiseConstantDecay([4], [0.5, 0.25])
    model = trained(schedule, epochs=1, rows=3)
    assert model.optimizer.learning_rate == 0.5
    model.fit(np.ones((3, 1)), np.zeros((3, 1)), batch_size=1, verbose=0)
    assert model.get_weights()[0].item() == -(5 * 0.5 + 0.25) and model.optimizer.learning_rate == 0.25


def test_a_schedule_survives_the_file(tmp_path):
    model = bl.Sequential([bl.Input((2,)), bl.layers.Dense(1)])
    model.compile(optimizer=bl.optimizers.Adam(ExponentialDecay(0.1, 5, 0.5)), loss="mse")
    X, y = np.random.default_rng(0).normal(size=(20, 2)), np.ones((20, 1))
    model.fit(X, y, epochs=2, batch_size=5, verbose=0, shuffle=False)
    model.save(tmp_path / "m.backlit")
    again = bl.load_model(tmp_path / "m.backlit")
    assert isinstance(again.optimizer.schedule, ExponentialDecay)
    assert again.optimizer.learning_rate == model.optimizer.learning_rate == pytest.approx(0.1 * 0.5 ** (8 / 5))
    for each in (model, again):
        each.fit(X, y, epochs=3, initial_epoch=2, batch_size=5, verbose=0, shuffle=False)
    assert all((a == b).all() for a, b in zip(model.get_weights(), again.get_weights(), strict=True))


def test_assigning_a_number_ends_the_schedule():
    model = trained(ExponentialDecay(0.5, 7, 0.5), epochs=1)
    model.optimizer.learning_rate = 0.25
    before = model.get_weights()[0].item()
    model.fit(np.ones((4, 1)), np.zeros((4, 1)), batch_size=1, verbose=0)
    assert model.get_weights()[0].item() == pytest.approx(before - 1.0)
    assert model.optimizer.schedule is None and model.optimizer.learning_rate == 0.25


class ByHand(LearningRateSchedule):
    """As a user of Keras writes one: a step is a number."""

    def __init__(self, high=0.5):
        self.high = high

    def __call__(self, step):
        return self.high if step < 3 else self.high / 2


def test_a_schedule_of_ones_own_sees_numbers():
    model = trained(ByHand(), epochs=1, rows=5)
    assert model.get_weights()[0].item() == -(3 * 0.5 + 2 * 0.25)
    config = model.optimizer.get_config()["learning_rate"]
    assert config == {"class": "ByHand", "config": {"high": 0.5}}
    assert bl.optimizers.SGD(config).learning_rate == 0.5


def test_a_schedule_that_gives_no_rate_is_named():
    class Wrong(LearningRateSchedule):
        def at(self, step):
            return 0.1 - 0.05 * step

    with pytest.raises(ValueError, match="Wrong gives no learning rate for step 3"):
        trained(Wrong(), epochs=1)
    with pytest.raises(NotImplementedError, match="Empty has no at"):
        type("Empty", (LearningRateSchedule,), {})()(3)
