"""Losses whose sign is missing, and outputs on one side only: every loss of the library and some of one's own."""

import numpy as np
import pytest

import backlit as bl
from backlit import ops as o
from backlit.doctor.programs import classes, hot, network, points, sparse, values
from backlit.layers import Activation, Dense, GlobalAveragePooling1D, Lambda, Reshape, Softmax
from backlit.train.losses import Loss

SIGN = {"loss_rewards_mistakes", "never_on_one_side", "one_sided_logits"}
COUNTS = np.floor(np.exp(values() / 2))
YES, SIDES, POSITIVE = classes(2), 2 * classes(2) - 1, np.exp(values() / 3)
NUMBERS = (
    *("mean_squared_error", "mean_absolute_error", "huber", "log_cosh", "half_squared_error", "scaled_squared_error"),
    "mean_absolute_percentage_error",
)
USUAL = [
    *((name, Dense(1), values()) for name in NUMBERS),
    ("mean_squared_error", Dense(1), 1000 * values() + 5e4),
    ("mean_squared_logarithmic_error", Dense(1, "softplus"), POSITIVE),
    ("poisson", Dense(1, "exponential"), COUNTS),
    ("cosine_similarity", Dense(4), points()),
    *((name, Dense(1, "sigmoid"), YES) for name in ("binary_crossentropy", "binary_focal_crossentropy")),
    *((name, Dense(3, "softmax"), hot(3)) for name in ("categorical_crossentropy", "categorical_focal_crossentropy")),
    ("sparse_categorical_crossentropy", Dense(3, "softmax"), classes(3)),
    ("kl_divergence", Dense(3, "softmax"), 0.9 * hot(3) + 0.1 / 3),
    ("categorical_hinge", Dense(3), hot(3)),
    *(
        (name, Dense(1, kind), y)
        for name in ("hinge", "squared_hinge")
        for kind in (None, "tanh")
        for y in (YES, SIDES)
    ),
]


def found(y, loss, *last):
    """The checks of this file that speak."""
    report = network(Dense(8, "relu"), *last, loss=loss).diagnose(points(), y)
    assert [one.problem for one in report.checked if one.state == "failed"] == []
    return SIGN & {one.check for one in report.findings}


def entropy(y, p):
    return -o.mean(y * o.log(p + 1e-6) + (1 - y) * o.log(1 - p + 1e-6), axis=-1)


def with_logits(y, z):
    return o.mean(o.softplus(z) - y * z, axis=-1)


def poisson(y, p):
    return o.mean(p - y * o.log(p), axis=-1)


def squares(y, p):
    return o.mean((y - p) ** 2, axis=-1)


def margins(y, p):
    return o.mean(o.maximum(1 - y * p, 0.0), axis=-1)


def angle(y, p):
    return -o.sum(y * p, axis=-1) / o.sqrt(o.sum(y * y, axis=-1) * o.sum(p * p, axis=-1) + 1e-6)


def apart(y, d):
    """Small distances where y is 1."""
    return o.mean(y * d**2 + (1 - y) * o.maximum(1 - d, 0.0) ** 2, axis=-1)


def waiting_time(y, rate):
    """Large rates where y is small."""
    return o.mean(y * rate - o.log(rate), axis=-1)


def waiting_time_of_logs(y, z):
    return o.mean(y * o.exp(z) - z, axis=-1)


def critic(y, p):
    """Small where y is 1 and large where it is -1, without end: either sign is somebody's convention."""
    return o.mean(y * p, axis=-1)


# ---------------------------------------------------------------------- the sign
def test_the_list_has_every_loss_of_the_library():
    public = {kind for kind in vars(bl.losses).values() if isinstance(kind, type) and issubclass(kind, Loss)}
    bases = {Loss, bl.losses.LossFunctionWrapper}
    assert public - bases <= {Loss.named(name) for name, _, _ in USUAL}


@pytest.mark.parametrize(("name", "last", "y"), USUAL)
def test_losses_of_the_library_have_their_sign_on_their_usual_targets(name, last, y):
    assert found(y, Loss.named(name)(), last) == set()


OWN = [
    (entropy, "sigmoid", YES),
    (with_logits, None, YES),
    (poisson, "exponential", COUNTS),
    (squares, None, values()),
    (margins, None, SIDES),
]


@pytest.mark.parametrize(("loss", "kind", "y"), OWN)
def test_the_sign_decides(loss, kind, y):
    assert found(y, loss, Dense(1, kind)) == set()
    assert found(y, lambda y, p: -loss(y, p), Dense(1, kind)) == {"loss_rewards_mistakes"}


def test_the_sign_of_an_angle_decides():
    assert found(points(), angle, Dense(4)) == set()
    assert found(points(), lambda y, p: -angle(y, p), Dense(4)) == {"loss_rewards_mistakes"}


@pytest.mark.parametrize("loss", [apart, lambda y, d: apart(1 - y, d)])
@pytest.mark.parametrize("kind", ["sigmoid", "softplus"])
def test_a_distance_may_be_small_where_y_is_large(loss, kind):
    assert found(YES, loss, Dense(1, kind)) == set()


def test_other_losses_that_fall_where_the_output_is_no_likeness_of_y():
    assert found(POSITIVE, waiting_time, Dense(1, "exponential")) == set()
    assert found(POSITIVE, waiting_time_of_logs, Dense(1)) == set()
    assert found(SIDES, critic, Dense(1)) == set()
    assert found(SIDES, lambda y, p: -critic(y, p), Dense(1)) == set()
    assert found(values(), lambda y, p: o.mean(p**2, axis=-1), Dense(1)) == set()  # y is not looked at
    assert found(0 * values(), lambda y, p: -squares(y, p), Dense(1)) == set()  # nothing to compare with


# ---------------------------------------------------------------------- the side
@pytest.mark.parametrize("name", ["hinge", "squared_hinge"])
@pytest.mark.parametrize("kind", ["sigmoid", "relu", "softplus"])
@pytest.mark.parametrize("y", [YES, SIDES], ids=["0 and 1", "-1 and 1"])
def test_margins_need_both_sides(name, kind, y):
    assert found(y, name, Dense(1, kind)) == {"never_on_one_side"}
    assert found(y, name, Dense(1), Activation(kind)) == {"never_on_one_side"}


def test_a_sigmoid_of_a_relu_never_says_no():
    model = network(Dense(8, "relu"), Dense(1, "relu"), Activation("sigmoid"), loss="binary_crossentropy")
    first = model.diagnose(points(), YES).findings[0]
    assert first.check == "never_on_one_side" and first.evidence["y"] == 0 and first.evidence["lowest"] == 0.5
    assert first.evidence["smallest_loss"] == pytest.approx(np.log(2), abs=1e-3)
    assert found(YES, "binary_crossentropy", Dense(1), Activation("sigmoid")) == set()


# ---------------------------------------------------------------------- sums before a softmax
def relu_by_hand(z):
    return o.where(z > 0, z, 0.0)


def softplus_by_hand(z):
    return o.where(z > 20, z, o.log(1 + o.exp(o.minimum(z, 20.0))))


CUT_OFF = [
    (Dense(3, "relu"),),
    (Dense(3), Activation("relu")),
    (Dense(3), Lambda(o.relu)),
    (Dense(3), Lambda(relu_by_hand)),
    (Dense(3), Lambda(lambda z: o.maximum(z, 0.0))),
]


@pytest.mark.parametrize("last", CUT_OFF)
def test_sums_that_are_cut_off(last):
    assert found(classes(3), sparse(), *last) == {"one_sided_logits"}
    assert found(classes(3), sparse(False), *last, Softmax()) == {"one_sided_logits"}


@pytest.mark.parametrize("kind", ["leaky_relu", "softplus", softplus_by_hand, None])
def test_sums_that_always_have_a_slope(kind):
    assert found(classes(3), sparse(False), Dense(3, kind), Softmax()) == set()


def test_means_of_cut_off_maps_are_a_known_architecture():
    last = Dense(12, "relu"), Reshape((4, 3)), GlobalAveragePooling1D(), Softmax()
    assert found(classes(3), sparse(False), *last) == set()
