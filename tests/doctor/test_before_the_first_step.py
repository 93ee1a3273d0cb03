"""What is said before the first step: of rows, of losses of one's own, of first weights, of layers in the wrong place."""

import numpy as np
import pytest

import backlit as bl
from backlit.doctor.relation import enough, relation
from backlit.doctor.subject import Arrays, GraphFacts, Subject
from backlit.initializers import Constant
from backlit.layers import Activation, BatchNormalization, Conv2D, Dense, Dropout, Flatten, Lambda

o = bl.ops
RNG = np.random.default_rng(0)
X = RNG.normal(size=(300, 6))
NUMBERS = X @ [1.0, -2.0, 0.5, 0.0, 0.3, 1.0]
LABELS = np.digitize(X[:, 0], [-0.5, 0.5])
YES = (X[:, 0] > 0).astype(int)


def chain(*layers, loss="mse", optimizer="adam", metrics=None):
    model = bl.Sequential(list(layers))
    model.compile(optimizer, loss, metrics=metrics)
    return model


def said(model, x, y, **keywords):
    """{check: finding} of what is worse than a note."""
    told = model.diagnose(x, y, **keywords)
    assert [one.problem for one in told.checked if one.state == "failed"] == []
    return {one.check: one for one in told.findings if one.severity != "note"}


# ---------------------------------------------------------------------- products that follow one another
def residual(blocks, stem):
    given = bl.Input((6,))
    state = Dense(8, stem)(given)
    for _ in range(blocks):
        state = state + Dense(8)(Dense(8, "relu")(state))
    model = bl.Model(given, Dense(1)(state))
    model.compile("adam", "mse")
    return model


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_the_stem_of_a_residual_network_is_no_layer_too_many(blocks):
    assert said(residual(blocks, None), X, NUMBERS) == {}


def test_a_layer_too_many_in_front_of_several_products_is_still_told():
    given = bl.Input((6,))
    first = Dense(8)(given)
    model = bl.Model(given, Dense(4, "tanh")(first) * Dense(4, "sigmoid")(first))
    model.compile("adam", "mse")
    assert "linear_layers_collapse" in said(model, X, X[:, :4])


# ---------------------------------------------------------------------- what is refused
def test_what_is_wrong_with_x_is_told_although_y_is_refused():
    model = chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
    told = said(model, 500 * X, LABELS)
    assert list(told) == ["target range", "unscaled_inputs"]


@pytest.mark.parametrize(
    "x, y, rules",
    [
        (X, NUMBERS[:-1], ()),
        (X, [["a"]] * 300, None),
        (X[:, 0:0], NUMBERS, None),
        (lambda: 1 / 0, None, None),
    ],
)
def test_a_refusal_asserts_only_the_rows_of_the_table_that_it_is_about(x, y, rules):
    told = chain(Dense(1)).diagnose(x, y).findings[0]
    assert told.severity == "error"
    assert told.rules != (8,) and (rules is None or told.rules == rules)


# ---------------------------------------------------------------------- losses of one's own
def entropy(y, p):
    p = o.clip(p, 1e-7, 1 - 1e-7)
    return -o.mean(y * o.log(p) + (1 - y) * o.log(1 - p), axis=-1)


def entropy_of_logits(y, z):
    return o.mean(o.softplus(z) - y * z, axis=-1)


def surprise(y, p):
    return -o.sum(y * o.log(o.clip(p, 1e-7, 1.0)), axis=-1)


@pytest.mark.parametrize(
    "loss, last, y",
    [
        (entropy, "sigmoid", LABELS),
        (entropy, "sigmoid", NUMBERS),
        (entropy_of_logits, None, LABELS),
        (entropy_of_logits, None, 2 * YES - 1),
        (surprise, "sigmoid", LABELS),
    ],
)
def test_targets_that_a_cross_entropy_of_ones_own_cannot_mean(loss, last, y):
    assert list(said(chain(Dense(8, "relu"), Dense(1, last), loss=loss), X, y)) == ["targets_beyond_the_loss"]


@pytest.mark.parametrize("loss, last", [(entropy, "sigmoid"), (entropy_of_logits, None)])
@pytest.mark.parametrize("y", [YES, 0.1 + 0.8 * YES])
def test_targets_that_it_can_mean(loss, last, y):
    assert said(chain(Dense(8, "relu"), Dense(1, last), loss=loss), X, y) == {}


def test_several_labels_of_a_row_and_one_probability():
    several = (X[:, :3] > 0).astype(float)
    for last, loss in (
        ("softmax", "categorical_crossentropy"),
        ("softmax", "binary_crossentropy"),
        ("softmax", surprise),
    ):
        told = said(chain(Dense(8, "relu"), Dense(3, last), loss=loss), X, several)
        assert list(told) == ["several_labels_of_one"], loss
        assert "sigmoid" in told["several_labels_of_one"].fix
    assert said(chain(Dense(8, "relu"), Dense(3, "sigmoid"), loss="binary_crossentropy"), X, several) == {}


@pytest.mark.parametrize(
    "last, loss, metrics, fault",
    [
        ("sigmoid", "mae", None, True),
        ("sigmoid", "mse", ["accuracy"], False),
        (None, "mse", ["accuracy"], True),
        (None, "mse", None, False),
        ("sigmoid", "huber", None, False),
    ],
)
def test_a_distance_on_yes_and_no(last, loss, metrics, fault):
    told = said(chain(Dense(8, "relu"), Dense(1, last), loss=loss, metrics=metrics), X, YES)
    assert list(told) == (["distance_on_yes_and_no"] if fault else [])


def test_one_hot_rows_and_numbers_without_bounds():
    told = said(chain(Dense(8, "relu"), Dense(3)), X, np.eye(3)[LABELS])
    assert list(told) == ["regression_on_labels"] and "from_logits=True" in told["regression_on_labels"].fix


# ---------------------------------------------------------------------- whether y follows from x
def test_how_often_a_relation_is_seen_where_there_is_none():
    rng = np.random.default_rng(1)
    seen = [relation(rng.normal(size=(200, 5)), rng.normal(size=(200, 1))).seen for _ in range(400)]
    assert np.mean(seen) < 0.09  # 0.05 asked for; three deviations above are 0.083


@pytest.mark.parametrize(
    "y",
    [
        lambda x, e: np.sqrt(0.1) * x[:, 0] + np.sqrt(0.9) * e,
        lambda x, e: x[:, 0] * x[:, 1] + e,
        lambda x, e: x[:, 2] ** 2 + e,
        lambda x, e: np.sin(4 * x[:, 0]) * np.cos(3 * x[:, 1]) + 0.1 * e,
    ],
)
def test_relations_that_are_seen(y):
    rng = np.random.default_rng(2)
    found = []
    for _ in range(40):
        x = rng.normal(size=(300, 3))
        found.append(relation(x, y(x, rng.normal(size=300))[:, np.newaxis]).seen)
    assert np.mean(found) > 0.9


def test_few_rows_are_not_judged():
    assert not enough(174) and enough(175)
    rng = np.random.default_rng(0)
    assert said(chain(Dense(8, "relu"), Dense(1)), rng.normal(size=(150, 3)), rng.normal(size=150)) == {}
    told = said(chain(Dense(8, "relu"), Dense(1)), rng.normal(size=(400, 3)), rng.normal(size=400))
    assert list(told) == ["targets_do_not_follow"]


def test_what_never_changes_has_no_relation():
    assert relation(np.ones((200, 3)), X[:200, :1]) is None
    assert relation(X[:200], np.ones((200, 1))) is None


# ---------------------------------------------------------------------- how layers start
def starting(model, x):
    model.build(x.shape[1:])
    return Subject(GraphFacts(model), Arrays([x], None, [None])).start


def test_a_layer_starts_with_these_numbers():
    x = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0], [0.0, -3.0]])
    model = chain(Dense(3, "relu"), Dense(1))
    model.build((2,))
    model.layers[0].set_weights([np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), np.array([0.0, -4.0, 0.5])])
    first, last = starting(model, x)
    assert first.size == pytest.approx(np.sqrt(5 / 6))
    assert first.entering == pytest.approx(np.sqrt((0.5 + 4.5) / 2))
    assert first.sums == pytest.approx(np.sqrt((2.0 + 4.5 + 0.0) / 3))
    assert first.off == pytest.approx(1 / 3)  # 3 - 4 is off for all rows; the third one never changes anyway
    assert first.outweighed == pytest.approx(2 / 3)
    assert (first.depth, first.last, last.depth, last.last) == (0, False, 1, True)
    low, high = first.usual
    assert low == pytest.approx(np.sqrt(2 / 5)) and high == pytest.approx(1.0)


def test_saturated_units():
    x = np.array([[1.0], [-1.0]])
    model = chain(Dense(2, "tanh"), Dense(1))
    model.build((1,))
    model.layers[0].set_weights([np.array([[0.1, 9.0]]), np.zeros(2)])
    assert starting(model, x)[0].saturated == 0.5


def test_a_convolution_starts_with_weights_for_its_window():
    model = chain(Conv2D(8, 3, activation="relu"), Flatten(), Dense(1))
    first, _ = starting(model, RNG.normal(size=(20, 6, 6, 2)))
    low, high = first.usual
    assert low == pytest.approx(np.sqrt(2 / (9 * 2 + 9 * 8))) and high == pytest.approx(np.sqrt(2 / 18))
    assert low / 1.2 < first.size < high * 1.2 and first.off < 0.3


def test_what_first_weights_do_is_told_with_the_losses():
    hidden = Dense(64, "relu", kernel_initializer=Constant(30.0))
    told = said(chain(hidden, Dense(1)), X, NUMBERS)
    found = told["first_weights_of_wrong_size"]
    assert found.layer == hidden.name and found.rules[0] == 17
    assert found.evidence["loss_at_start"] > found.evidence["loss_of_a_constant"] > 0


def test_small_first_weights_matter_where_several_follow_one_another():
    def small(count):
        layers = [Dense(32, "tanh", kernel_initializer=bl.initializers.RandomNormal(stddev=0.02)) for _ in range(count)]
        return chain(*layers, Dense(1))

    assert said(small(1), X, NUMBERS) == {}
    assert list(said(small(3), X, NUMBERS)) == ["first_weights_of_wrong_size"]


def test_trained_weights_may_have_any_size():
    model = chain(Dense(16, "tanh"), Dense(1))
    model.fit(X, NUMBERS, epochs=1, verbose=0, doctor="off")
    model.layers[0].set_weights([80 * array for array in model.layers[0].get_weights()])
    assert said(model, X, NUMBERS) == {}


# ---------------------------------------------------------------------- layers in the wrong place
def test_dropout_behind_the_last_weights_however_it_is_written():
    for last in ([Dense(1), Dropout(0.3), Activation("sigmoid")], [Dense(1, "sigmoid"), Dropout(0.3)]):
        told = said(chain(Dense(8, "relu"), *last, loss="binary_crossentropy"), X, YES)
        assert list(told) == ["dropout_on_the_output"] and told["dropout_on_the_output"].layer.startswith("dropout")
    hidden = Dense(8, "relu"), Dropout(0.3), Dense(1, "sigmoid")
    assert said(chain(*hidden, loss="binary_crossentropy"), X, YES) == {}


def test_much_dropout_is_told_once():
    layers = Dense(8, "relu"), Dropout(0.7), Dense(8, "relu"), Dropout(0.6), Dense(1)
    told = chain(*layers).diagnose(X, NUMBERS).findings
    assert [one.check for one in told] == ["much_dropout"] and "2 layers" in told[0].message


def test_a_softmax_by_hand_between_layers():
    def shares(z):
        e = o.exp(z - o.max(z, axis=-1, keepdims=True))
        return e / o.sum(e, axis=-1, keepdims=True)

    told = said(chain(Dense(16), Lambda(shares, name="shares"), Dropout(0.1), Dense(1)), X, NUMBERS)
    assert told["softmax_inside"].layer == "shares"


@pytest.mark.parametrize(
    "mixing, operation",
    [
        (lambda h: h / o.sum(h, axis=0, keepdims=True), "sum"),
        (lambda h: o.softmax(h, axis=0), "softmax"),
        (lambda h: h - o.max(h, axis=0, keepdims=True), "max"),
    ],
)
def test_rows_that_are_mixed_are_found_with_the_operation(mixing, operation):
    layers = Dense(8, "softplus"), Lambda(mixing, name="mixing"), Dense(1)
    told = said(chain(*layers), X, NUMBERS)
    assert told["mixed_examples"].layer == "mixing" and operation in told["mixed_examples"].message


def test_batches_that_are_too_small_to_normalize_by():
    def normalized():
        return chain(Dense(8), BatchNormalization(), Activation("relu"), Dense(1))

    for rows, fault in ((1, True), (2, True), (3, False), (32, False)):
        told = said(normalized(), X, NUMBERS, batch_size=rows)
        assert list(told) == (["normalized_by_few_rows"] if fault else [])


# ---------------------------------------------------------------------- rows
def test_the_best_accuracy_that_conflicting_labels_leave():
    x, y = np.concatenate([X, X[:100]]), np.concatenate([YES, 1 - YES[:100]])
    found = said(chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy"), x, y)["conflicting_labels"]
    assert found.evidence["best_accuracy"] == pytest.approx(0.75)
    a, b = found.evidence["rows"]
    assert np.array_equal(x[a], x[b]) and y[a] != y[b]


@pytest.mark.parametrize("held", [X[:60] * 20, X[:60] + 5, -X[:60] + 3])
def test_held_out_rows_of_another_scale(held):
    model = chain(Dense(8, "relu"), Dense(1))
    told = said(model, X[60:], NUMBERS[60:], validation_data=(held, NUMBERS[:60]))
    assert list(told) == ["shifted_validation"]


def test_a_rare_class_is_a_note_that_weights_silence():
    y = (X[:, 0] > np.sort(X[:, 0])[-20]).astype(int)

    def told(**keywords):
        model = chain(Dense(8, "relu"), Dense(1, "sigmoid"), loss="binary_crossentropy")
        return [one.check for one in model.diagnose(X, y, **keywords).findings]

    assert told() == ["rare_class"]
    assert told(sample_weight=1.0 + 10 * y) == []
