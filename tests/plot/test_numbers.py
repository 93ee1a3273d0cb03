"""The numbers in the pictures, against worked examples and against what can be reckoned otherwise."""

import numpy as np
import pytest

import backlit as bl
from backlit.layers import Conv1D, Conv2D, Dense, Flatten, Normalization
from tests.plot.programs import LOGITS, blobs, cancer, digits, line, picture_net, shapes, signal, sizes, valley

PLOT = bl.plot


# ---------------------------------------------------------------------- curves
@pytest.mark.parametrize("name", ["sigmoid", "relu", "tanh", "leaky_relu", "gelu", "softplus"])
def test_slopes_of_activations_are_those_of_finite_differences(name):
    curve = PLOT.activations.data(name).curves[0]
    inner = (curve.value[2:] - curve.value[:-2]) / (curve.z[2:] - curve.z[:-2])
    smooth = np.abs(curve.z[1:-1]) > 0.02  # away from the kink
    assert np.allclose(inner[smooth], curve.slope[1:-1][smooth], atol=1e-3)


def test_flat_stretches_are_where_the_slope_is_small():
    sigmoid, relu, linear = PLOT.activations.data("sigmoid", "relu", "linear", limits=(-6, 6)).curves
    edge = np.log((1 + np.sqrt(1 - 0.2)) / (1 - np.sqrt(1 - 0.2)))  # where s (1 - s) = 0.05
    assert sigmoid.flat[0][1] == pytest.approx(-edge, abs=0.02) and sigmoid.flat[1][0] == pytest.approx(edge, abs=0.02)
    assert relu.flat == ((-6.0, pytest.approx(0, abs=0.02)),) and linear.flat == ()


def test_losses_by_label():
    one, zero = PLOT.loss.data("binary_crossentropy", at=0.2).branches
    assert (one.at_loss, one.at_slope) == (pytest.approx(-np.log(0.2)), pytest.approx(-5))
    assert (zero.at_loss, zero.at_slope) == (pytest.approx(-np.log(0.8)), pytest.approx(1.25))
    (only,) = PLOT.loss.data("sparse_categorical_crossentropy", at=0.5).branches
    assert only.at_loss == pytest.approx(np.log(2))  # the true class's term alone
    (square,) = PLOT.loss.data("mse", at=3.0).branches
    assert (square.at_loss, square.at_slope) == (pytest.approx(9), pytest.approx(6))


def test_softmax_of_the_course():  # W037
    z = np.array([1.0, 2.0, 3.0, 4.0])
    assert np.allclose(PLOT.softmax.data(z).a, [0.0321, 0.0871, 0.2369, 0.6439], atol=5e-5)
    assert np.allclose(PLOT.softmax.data(z + 100).a, PLOT.softmax.data(z).a)
    assert PLOT.softmax.data([1000.0, 0.0]).a.tolist() == [1, 0]  # W040: no overflow


# ---------------------------------------------------------------------- costs
def test_a_slope_and_its_step():
    w = bl.variable(-3.0, name="w")
    data = PLOT.slope.data(w**2, w, rate=0.25)
    assert (data.slope, data.to, data.to_value) == (-6.0, -1.5, 2.25)  # left of the valley: it moves right
    assert np.allclose(data.cost, data.w**2) and float(w.value) == -3.0


def test_a_step_of_a_chosen_rate_goes_down():
    model, x, y = sizes()
    for place in range(6):
        data = PLOT.slope.data((model, x, y), ("hidden/kernel", (0, place)))
        assert data.to_value < data.value


def test_the_cost_of_a_model_is_what_evaluate_says():
    model, x, y = cancer()
    land = PLOT.surface.data((model, x, y), ("dense/kernel", (0, 0)), "dense_1/bias", limits=((-1, 1), (-1, 1)))
    assert land.now[2] == pytest.approx(model.evaluate(x, y, verbose=0, return_dict=True)["loss"], rel=1e-5)
    kept = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kept[0], [land.b[7]]])
    place = np.abs(land.w - land.now[0]).argmin()
    try:
        near = model.evaluate(x, y, verbose=0, return_dict=True)["loss"]
    finally:
        model.layers[-1].set_weights(kept)
    assert land.cost[7, place] == pytest.approx(near, abs=0.02)


def test_gradient_descent_zigzags_with_a_large_rate_only():  # C334
    small, large, adam = PLOT.descent.data(*valley(), steps=30).paths
    w, b = small.places.T
    assert np.allclose(w[1:], w[:-1] * (1 - 0.017)) and np.allclose(b[1:], b[:-1] * (1 - 12 * 0.017))
    assert (small.turns, large.turns) == (0, 29) and adam.turns < 10
    assert large.costs[-1] < small.costs[-1] < small.costs[0]


def test_an_optimizer_that_leaves_is_not_followed():
    J, w, b = valley()
    away, home = PLOT.descent.data(J, w, b, [bl.optimizers.SGD(1.0), bl.optimizers.SGD(0.1)], steps=400).paths
    assert away.left and not home.left and len(away.places) < 20 < len(home.places)
    title = PLOT.descent(J, w, b, [bl.optimizers.SGD(1.0)])._suptitle.get_text()
    assert "away for ever" in title.replace("\n", " ").replace("\xa0", " ")


def test_the_descent_of_an_optimizer_is_that_of_training():
    def run(rule):
        w, b = bl.variable(3.0, name="w"), bl.variable(2.0, name="b")
        return PLOT.descent.data((w**2 + 12 * b**2) / 2, w, b, [rule], steps=5).paths[0].places

    model = bl.Sequential([bl.Input((2,)), Dense(1, use_bias=False)])  # J = mean of (w x)^2 has the same slopes
    model.set_weights([[[3.0], [2.0]]])
    model.compile(bl.optimizers.Adam(0.1), "mse")
    model.fit(np.diag([1.0, np.sqrt(12.0)]), [0.0, 0.0], epochs=5, batch_size=2, shuffle=False, verbose=0, doctor="off")
    assert np.allclose(run(bl.optimizers.Adam(0.1))[-1], model.get_weights()[0][:, 0], atol=1e-5)


def test_steps_of_adam():  # W019
    w, b = bl.variable(0.0, name="w"), bl.variable(0.0, name="b")
    places = PLOT.descent.data(w * 5 - b * 0.01, w, b, [bl.optimizers.Adam(0.1)], steps=20).paths[0].places
    assert np.allclose(np.abs(np.diff(places, axis=0)), 0.1, rtol=1e-3)  # α for each, however large the gradient


def test_squared_error_is_no_bowl():  # W039
    squared, entropy = PLOT.convexity.data([[1.0], [-1.0]], [1, 0]).bowls
    assert squared.downward > 0.3 and entropy.downward == 0
    w = bl.variable(-4.0, name="w")
    half = (bl.nn.sigmoid(w) - 1) ** 2 / 2
    assert float(bl.grad(bl.grad(half, w), w).value) == pytest.approx(-0.0164, abs=5e-5)
    land = PLOT.slope.data(half, w, at=-6.0)
    assert land.slope == pytest.approx(-0.0025, abs=5e-5)


# ---------------------------------------------------------------------- maps
def test_regions_are_what_predict_says():
    model, x, y = blobs()
    data = PLOT.regions.data(model, x, y)
    assert (
        np.array_equal(data.predicted, model.predict_classes(x)) and data.wrong == (model.predict_classes(x) != y).sum()
    )
    row, column = 30, 90
    there = model.predict_classes([[data.plane.along[column], data.plane.up[row]]])[0]
    assert data.region[row, column] == there
    assert set(np.unique(data.region)) == {0, 1, 2, 3} and data.wrong < 40


def test_unit_maps_of_a_layer_and_of_the_next():  # W035
    model, x, y = blobs()
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in model.layers)
    first = PLOT.units.data(model, x, y)
    grid = np.stack(np.meshgrid(first.plane.along, first.plane.up), axis=-1)
    assert np.allclose(first.maps[1].value, np.maximum(grid @ w1 + b1, 0)[..., 1], atol=1e-4)
    assert [each.on for each in first.maps] == ((x @ w1 + b1) > 0).sum(axis=0).tolist()
    second = PLOT.units.data(model, x, y, layer="L2", space="previous")
    assert np.allclose(second.plane.points, np.maximum(x @ w1 + b1, 0), atol=1e-4)
    grid = np.stack(np.meshgrid(second.plane.along, second.plane.up), axis=-1)
    values = np.stack([each.value for each in second.maps], axis=-1)
    assert np.allclose(values, grid @ w2 + b2, atol=1e-3) and values.min() < 0 < values.max()
    assert (np.stack([each.largest for each in second.maps]).sum(axis=0) == 1).all()


def test_the_other_columns_are_held_at_their_medians():
    model, x, _ = cancer()
    data = PLOT.regions.data(model, x, columns=("mean texture", 7))
    assert data.plane.names == ("mean texture", "mean concave points") and "28" in data.plane.held
    middle = np.median(x.to_numpy(), axis=0)
    middle[[1, 7]] = data.plane.along[3], data.plane.up[100]
    assert data.names[data.region[100, 3]] == model.predict_classes(middle[np.newaxis])[0]


def test_pieces_of_a_relu_layer():
    model = bl.Sequential([bl.Input((2,)), Dense(3, "relu"), Dense(1)])
    model.set_weights([[[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]], [0.0, 0.0, -1.0], [[1.0]] * 3, [0.0]])
    data = PLOT.on_off.data(model, [[-3.0, -3.0], [3.0, 3.0], [3.0, -3.0]])
    assert (data.pieces, data.used) == (7, 3)  # three lines in general position


def test_no_more_pieces_hold_data_than_there_are():
    model, x, y = sizes()
    data = PLOT.on_off.data(model, x, y)  # the third input is held: the data lie in more patterns than the plane has
    assert 0 < data.used <= data.pieces


def test_the_curve_of_the_relu_lab():  # W034
    model, x, y = line()
    data = PLOT.curve.data(model, x, y)
    assert data.error < 1e-12 and [unit.switches for unit in data.units] == [
        (pytest.approx(1),), (pytest.approx(1),), (pytest.approx(2),)
    ]  # fmt: skip


# ---------------------------------------------------------------------- training
def test_a_history_names_the_best_epoch():
    log = digits()[0].history
    data = PLOT.history.data(log)
    assert [track.name for track in data.tracks] == ["loss", "accuracy"]
    assert data.loss.dev.tolist() == log.history["val_loss"]
    assert data.best == 1 + int(np.argmin(log.history["val_loss"]))


def test_a_history_draws_itself():
    figure = digits()[0].history.plot()
    assert figure.data.loss.train.tolist() == digits()[0].history.history["loss"]


def test_overfitting_is_said():
    log = bl.callbacks.History()
    for epoch, (train, dev) in enumerate([(1.0, 1.1), (0.5, 0.6), (0.2, 0.8), (0.1, 1.0)]):
        log.keep(epoch, {"loss": train, "val_loss": dev})
    title = PLOT.history(log)._suptitle.get_text().replace("\n", " ")
    assert PLOT.history.data(log).best == 2 and "epoch 2: 0.6" in title and "overfits" in title


def test_more_data_helps_and_the_same_examples_are_held_out():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (400, 2))
    y = np.where((x[:, 0] * x[:, 1]) > 0, "same", "apart")
    data = PLOT.learning_curve.data([16], x, y, sizes=[20, 300], epochs=60)
    plain, network = data.learners
    assert plain.baseline and (data.dev, data.score) == (100, "accuracy")
    assert plain.scores.max() < 0.75 < 0.9 < network.scores[1] and network.scores[1] > network.scores[0]


def test_large_first_weights_lay_sigmoids_flat():  # W028
    def flow(scale, activation="sigmoid"):
        drawn = bl.initializers.RandomNormal(0, scale)
        model = bl.Sequential([bl.Input((100,)), Dense(50, activation, kernel_initializer=drawn), Dense(1)])
        model.given_seed = 1
        model.compile("sgd", "mse")
        rng = np.random.default_rng(0)
        return PLOT.flow.data(model, rng.normal(size=(500, 100)), rng.normal(size=500)).layers[0]

    slopes = [flow(scale).slope for scale in (0.01, 0.1, 1.0)]
    assert slopes == [
        pytest.approx(0.249, abs=2e-3),
        pytest.approx(0.207, abs=1e-2),
        pytest.approx(0.039, abs=1e-2),
    ]
    assert flow(1.0).flat > 0.7 > 0.05 > flow(0.01).flat


def test_zero_weights_let_no_gradient_through():  # W027
    zeros = {"kernel_initializer": "zeros"}
    model = bl.Sequential([bl.Input((2,)), Dense(2, "tanh", **zeros), Dense(1, "sigmoid", **zeros)])
    model.compile("sgd", "binary_crossentropy")
    first, last = PLOT.flow.data(model, [[1.0, 2.0], [0.5, -1.0], [2.0, 0.0]], [1, 0, 1]).layers
    assert (first.weights, first.gradient) == (0.0, 0.0) and last.gradient > 0
    assert "cannot learn" in PLOT.flow(model, [[1.0, 2.0]], [1])._suptitle.get_text().replace("\n", " ")


def test_gradient_norms_are_those_of_a_training_step():
    model = bl.Sequential([bl.Input((3,)), Dense(4, "tanh"), Dense(2)])
    model.compile(bl.optimizers.SGD(1.0), LOGITS)
    x, y = np.random.default_rng(0).normal(size=(8, 3)), [0, 1] * 4
    told = [layer.gradient for layer in PLOT.flow.data(model, x, y).layers]
    before = [layer.get_weights() for layer in model.layers]
    model.train_on_batch(x, y)
    moved = [
        np.sqrt(sum(((a - b) ** 2).sum() for a, b in zip(old, layer.get_weights(), strict=True)))
        for old, layer in zip(before, model.layers, strict=True)
    ]
    assert np.allclose(told, moved, rtol=1e-4)


# ---------------------------------------------------------------------- examples, weights, networks
def test_errors_come_first():
    model, x, y = digits()
    data = PLOT.images.data(x, y, model)
    guess = model.predict_classes(x)
    assert data.wrong == (guess != y).sum() and data.total == len(y)
    first = [tile.wrong for tile in data.tiles]
    assert first == sorted(first, reverse=True)
    assert all((tile.label, tile.predicted) == (str(y[tile.row]), str(guess[tile.row])) for tile in data.tiles)
    counts = PLOT.confusion.data(model, x, y)
    assert counts.counts.sum() == len(y) and np.trace(counts.counts) == (guess == y).sum()


def test_weights_and_top_examples():
    model, x, _ = digits()
    kernel = model.layers[0].get_weights()[0]
    data = PLOT.weights.data(model)
    assert np.allclose(data.images[3], kernel[:, 3].reshape(8, 8)) and data.total == 25
    answers = np.maximum(x @ kernel + model.layers[0].get_weights()[1], 0)[:, 2]
    top = PLOT.top.data(model, x, layer="L1", unit=2, count=5)
    assert np.allclose(top.values, np.sort(answers)[::-1][:5], atol=1e-4)


def test_weights_are_laid_out_as_the_model_reads_its_images():
    assert PLOT.weights.data(shapes()[0]).images[0].shape == (12, 10)
    assert PLOT.weights.data(sizes()[0]).images[0].shape == (3,)


def test_what_windows_see():  # W026
    data = PLOT.receptive.data(*signal())
    first, second = data.layers
    assert first.windows == tuple(((start, start + 19),) for start in range(0, 90, 10))
    assert second.windows == (((0, 59),), ((20, 79),), ((40, 99),))
    layers = [Conv1D(1, 20, strides=10), Conv1D(1, 5, strides=2), Flatten(), Dense(1, "sigmoid")]
    model = bl.Sequential([bl.Input((100, 1)), *layers])
    assert PLOT.network.data(model).parameters == 31
    c1, pool, c2 = PLOT.receptive.data(*picture_net()).layers
    assert (c1.size, pool.size, c2.size) == ((3, 3), (4, 4), (8, 8))


def test_the_network_of_the_practice_lab():
    model = bl.Sequential([bl.Input((400,)), Dense(25, "relu"), Dense(15, "relu"), Dense(10)])
    data = PLOT.network.data(model)
    assert [stage.parameters for stage in data.stages] == [0, 10025, 390, 160] and data.parameters == 10575
    assert data.stages[1].weights == (("W", "(400, 25)"), ("b", "(25,)"))


def test_units_that_read_one_number_each_are_told_apart():
    layers = [bl.Input((3,)), Normalization(mean=[0.0, 1.0, 2.0], variance=[1.0, 1.0, 1.0]), Dense(3, "relu"), Dense(3)]
    assert [stage.each for stage in PLOT.network.data(bl.Sequential(layers)).stages[1:]] == [True, False, False]


def test_blocks_keep_values_and_no_options():
    model = bl.Sequential([bl.Input((6, 6, 1)), Conv2D(2, 3, strides=1, activation="relu"), Flatten(), Dense(1)])
    model.compile("sgd", "mse")
    assert "strides" not in {name for block in PLOT.blocks.data(model).blocks for name in block.kept}


def test_blocks_have_the_course_equations():
    first, _, last = PLOT.blocks.data(digits()[0]).blocks
    assert first.given == "X" and first.weights == ("W1", "b1") and first.kept == ("X", "Z1")
    assert last.backward[0] == "dZ3 = A3 - Y" and last.gradients == ("dW3", "db3")


def test_stacked_rows_and_columns_say_the_same():
    model, x, _ = blobs()
    rows, columns = (PLOT.stacking.data(model, x, convention=way) for way in ("rows", "columns"))
    assert np.allclose(rows.x @ rows.w + rows.b, rows.z, atol=1e-4) and np.array_equal(rows.z.T, columns.z)
    assert np.allclose(columns.w @ columns.x + columns.b, columns.z, atol=1e-4)


def test_broadcasting_calories():  # W038: what NumPy makes of (m, 1) and (m,)
    food = np.array([[56.0, 0.0, 4.4, 68.0], [1.2, 104.0, 52.0, 8.0], [1.8, 135.0, 99.0, 0.9]])
    shares = PLOT.broadcast.data(food, food.sum(axis=0), "/").result
    assert np.allclose(shares.sum(axis=0), 1) and shares[0, 0] == pytest.approx(56 / 59)
    assert PLOT.broadcast.data(np.ones((3, 1)), np.ones(3)).result.shape == (3, 3)


def test_an_image_unrolled_channel_by_channel():
    image = np.arange(60.0).reshape(5, 4, 3)
    assert PLOT.unrolled.data(image).column.tolist() == [*range(0, 60, 3), *range(1, 60, 3), *range(2, 60, 3)]
