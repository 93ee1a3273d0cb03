"""The printed NumPy program: it runs with nothing but NumPy and computes what the library computes."""

import ast
import re

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core import registry
from backlit.core.errors import NotReadyError, ValueRangeError
from backlit.core.node import input_leaf
from backlit.core.shapes import bind
from backlit.layers import Dense, Dropout, Flatten
from backlit.optimizers import SGD, Adam
from backlit.view.as_numpy_arrays import Arrays
from backlit.view.as_numpy_loops import Loops
from backlit.view.as_numpy_words import Words
from backlit.view.forward import pages
from tests.conformance.cases import instances, probed
from tests.layers.test_layer_battery import SAMPLES
from tests.train.test_losses_all import ALL as LOSSES
from tests.train.test_losses_all import configurations
from tests.train.test_optimizers_all import VARIANTS
from tests.view.networks import LOGITS, NETWORKS, ROWS, batch, chain

FORMS = ("vectorised", "loops")


def run(program):
    """The functions of a program, in a module that knows nothing else."""
    space = {}
    exec(compile(str(program), "program.py", "exec"), space)
    return space


def turned(array, columns):
    return array.T if columns and np.ndim(array) == 2 else array


def masks(model, step):
    """What the library draws at a step, by the program's names."""
    drawn = {}
    for leaf, node in pages(model).draws.items():
        seed = node.inputs[0].attrs["value"] or model.seed
        attrs = {**node.attrs, "shape": bind(node.shape, ROWS)}
        drawn[str(leaf.name)] = node.op(np.uint32(seed), np.uint32(step), **attrs)
    return drawn


def near(got, wanted, what=""):
    wanted = np.asarray(wanted, np.float64)
    assert np.shape(got) == wanted.shape, what
    scale = max(1.0, float(np.abs(wanted).max(initial=0.0)))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-10 * scale, err_msg=what)


def check(model, form="vectorised", columns=False, rows=ROWS):
    """Forward, cost, gradients and three steps of a program are those of the library."""
    x, y = batch(model)
    xs, ys = (each if isinstance(each, list) else [each] for each in (x, y))
    program = model.as_numpy(form, columns)
    space = run(program)
    start = {name: array.copy() for name, array in program.parameters.items()}
    given = space["initialize"](weights=start)
    assert {k: np.shape(v) for k, v in space["initialize"]().items()} == {k: v.shape for k, v in start.items()}
    args = [turned(each, columns) for each in xs]
    targets = [turned(each, columns) for each in ys]

    def draws(step):
        drawn = {name: turned(mask, columns) for name, mask in masks(model, step).items()}
        return [drawn] if drawn else []

    predict = space.get("predict") or (lambda *a: space["forward"](*a)[0])
    outputs, wanted = predict(given, *args), model.predict(x, verbose=0)
    for got, want in zip(*((e if isinstance(e, (list, tuple)) else [e]) for e in (outputs, wanted)), strict=True):
        near(turned(got, columns), want, "output")
    state = space["start"](given)
    now = given
    for step in (1, 2, 3):
        _, cache = space["forward"](now, *args, *draws(step))
        cost = space["cost"](now, cache, *targets)
        gradients = space["backward"](now, cache, *targets)
        kept = space["remember"](now, cache) if "remember" in space else {}
        now, state = space["update"](now, gradients, state, float(model.optimizer.learning_rate))
        now = {**now, **kept}
        near(cost, np.asarray(model.train_on_batch(x, y)).flat[0], "cost")
        for name, array in program.parameters.items():
            near(now[name], array, f"{name} after step {step}")
    return program, given, gradients


# ---------------------------------------------------------------------- the words
@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("op", probed(), ids=lambda op: op.name)
def test_every_record_has_words(op, form):
    kinds = {"vectorised": Arrays, "loops": Loops}
    for instance in instances(op):
        words, built, arrays = Words(form), instance.build(), instance.draw()
        writer = kinds[form](words, input_leaf((), "m", "float64"))
        try:
            lines = [line for k, node in enumerate(built.outputs) for line in writer.lines(f"out{k}", node)]
        except ValueRangeError as error:
            assert op.random or "uint32" in str(built.outputs) or "bitwise" in op.name or "shift" in op.name or (
                form == "loops" and op.name in ("argmax", "argmin")
            ), error  # fmt: skip
            continue
        space = {"m": built.rows}
        space.update((words.name(leaf), array) for leaf, array in zip(built.leaves, built.typed(arrays), strict=True))
        exec("\n".join(["import math", "import numpy as np", *words.helpers.values(), *lines]), space)
        for k, value in enumerate(built.run("reference", arrays)):
            tolerance = 1e-6 if "float32" in str(instance) else 1e-11
            np.testing.assert_allclose(space[f"out{k}"], value, rtol=tolerance, atol=tolerance)
            assert np.shape(space[f"out{k}"]) == value.shape


# ---------------------------------------------------------------------- networks
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks(name, form, float64):
    check(NETWORKS[name](), form)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", SAMPLES)
def test_every_layer(name, form, float64):
    for arguments, shape in SAMPLES[name]:
        model = chain(registry.find(f"layer.{name}")(**arguments), Flatten(), Dense(1), shape=shape)
        check(model, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "name", ["sigmoid", "softmax", "elu", "leaky_relu", "gelu", "silu", "softplus", "relu6", "mish"]
)
def test_activations(name, form, float64):
    check(chain(Dense(4, name), Dense(3, name), shape=(3,)), form)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("loss", [cls(**config) for cls in LOSSES for config in configurations(cls)], ids=repr)
def test_every_loss(loss, form, float64):
    last = (
        "softplus"
        if "Poisson" in repr(loss)
        else None
        if getattr(loss, "from_logits", True)
        else {"softmax": "softmax", "sigmoid": "sigmoid"}.get(loss.link)
    )
    check(chain(Dense(4, "tanh"), Dense(3, last), loss=loss, shape=(3,)), form)


@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize(
    "optimizer",
    [
        *VARIANTS,
        SGD(0.1, global_clipnorm=0.01, momentum=0.5),
        Adam(clipvalue=0.01),
        SGD(0.1, clipnorm=0.01),
        SGD(bl.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)),
    ],
    ids=repr,
)
def test_every_optimizer(optimizer, columns, float64):
    model = chain(Dense(4, "tanh"), Dense(2))
    model.compile(optimizer=optimizer, loss="mse")
    check(model, columns=columns)


@pytest.mark.parametrize("form", FORMS)
def test_constraints_and_frozen_layers(form, float64):
    held = Dense(4, "tanh", kernel_constraint=bl.constraints.MaxNorm(0.5), bias_constraint="nonneg")
    for columns in (False, True):
        check(chain(held, Dense(3, "relu", trainable=False), Dense(2)), form, columns)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "loss", ["mse", "mae", LOGITS, "sparse_categorical_crossentropy", "binary_crossentropy"], ids=str
)
def test_examples_as_columns(form, loss, float64):
    last = {"sparse_categorical_crossentropy": "softmax", "binary_crossentropy": "sigmoid"}.get(loss)
    model = chain(Dense(5, "relu", kernel_regularizer="l2"), Dropout(0.3), Dense(3, last), loss=loss)
    check(model, form, columns=True)


# ---------------------------------------------------------------------- what is printed
def test_the_program_of_the_course(float64):
    program = str(chain(Dense(5, "tanh"), Dense(1, "sigmoid"), loss="binary_crossentropy").as_numpy(columns=True))
    lines = [re.sub(r" +#.*", "", line.strip()) for line in program.splitlines()]
    wanted = [
        "Z1 = W1 @ X + b1", "A1 = np.tanh(Z1)", "Z2 = W2 @ A1 + b2", "A2 = sigmoid(Z2)",
        "dZ2 = A2 - Y", "dW2 = dZ2 @ A1.T / m", "db2 = np.sum(dZ2, axis=1, keepdims=True) / m",
        "dZ1 = W2.T @ dZ2 * (1 - A1 * A1)", "dW1 = dZ1 @ X.T / m", "db1 = np.sum(dZ1, axis=1, keepdims=True) / m",
    ]  # fmt: skip
    assert [line for line in lines if line in wanted] == wanted


def test_loops_over_examples_units_and_terms(float64):
    program = str(chain(Dense(2, "relu"), Dense(1)).as_numpy("loops"))
    wanted = """\
    Z1 = np.zeros((m, 2))
    for i in range(m):
        for j in range(2):
            total = 0.0
            for k in range(4):
                total += X[i, k] * W1[k, j]
            Z1[i, j] = total + b1[j]
"""
    assert wanted in program
    assert "@" not in program and "np.sum" not in program.partition("def start")[0]


@pytest.mark.parametrize("form", FORMS)
def test_only_numpy_is_needed(form, float64):
    for name in ("digits", "signal"):
        tree = ast.parse(str(NETWORKS[name]().as_numpy(form)))
        imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert imported <= {"numpy", "math"} and not [
            node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)
        ]


def test_its_own_first_values_and_its_loop_learn(capsys, float64):
    model = chain(
        Dense(8, "relu", kernel_initializer="he_normal"), Dense(3, "softmax"), loss="sparse_categorical_crossentropy"
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 4)), rng.integers(0, 3, 60)
    x[np.arange(60), y] += 3
    space = run(model.as_numpy())
    first = space["initialize"](seed=1)
    assert 0.3 < first["W1"].std() < 1.2 and not first["b1"].any()
    trained = space["train"](first, x, y, epochs=40, learning_rate=0.02)
    assert (space["forward"](trained, x)[0].argmax(axis=1) == y).mean() > 0.9
    costs = [float(line.rpartition(" ")[2]) for line in capsys.readouterr().out.splitlines()]
    assert len(costs) == 40 and costs[-1] < 0.5 * costs[0]


def test_a_schedule_and_an_average_are_those_of_the_library(float64, capsys):
    model = chain(Dense(2))
    decay = bl.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    model.compile(SGD(decay, use_ema=True, ema_momentum=0.5), "mse")
    x, y = batch(model)
    program = model.as_numpy()
    space = run(program)
    trained = space["train"](program.parameters, x, y, epochs=3, learning_rate=lambda step: 0.1 * 0.5**step)
    model.fit(x, y, epochs=3, batch_size=ROWS, verbose=0)
    for name, array in program.parameters.items():
        near(trained[name], array, name)


def test_a_model_that_is_not_compiled_has_the_way_forward():
    program = bl.Sequential([bl.Input((4,)), Dense(2, "relu"), Dropout(0.5), Dense(1)]).as_numpy()
    space = run(program)
    assert {"forward", "predict", "initialize", "draw"} <= set(space) and not {"cost", "backward", "train"} & set(space)
    assert "not compiled" in str(program)


def test_printing_changes_nothing_and_saves(tmp_path):
    model = chain(Dense(2, "relu"), Dropout(0.5), Dense(1))
    before = [array.copy() for array in model.get_weights()]
    bl.random.set_seed(5)
    wanted = bl.random.normal((3,))
    bl.random.set_seed(5)
    program = model.as_numpy()
    assert bl.random.normal((3,)).tolist() == wanted.tolist()
    assert (
        all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))
        and model.optimizer.iterations == 0
    )
    program.save(tmp_path / "net.py")
    assert (tmp_path / "net.py").read_text(encoding="utf-8") == str(program) == repr(program)
    assert "<pre>" in program._repr_html_() and "&lt;" in program._repr_html_()


def test_names_that_python_cannot_have(float64):
    left, right = bl.Input((3,), name="for"), bl.Input((2,), name="np")
    model = bl.Model([left, right], Dense(1, name="cost")(layers.concatenate([left, right])))
    model.compile("sgd", "mse")
    check(model)
    bl.elementwise("forward", "x * x * x", role="activation", vjp=lambda g, y, x: [3 * x * x * g])
    relu, seen = bl.Input((6, 2), name="relu"), bl.Input((2,), name="windows")
    inner = Flatten()(layers.Conv1D(2, 3, activation="relu")(relu))
    model = bl.Model([relu, seen], Dense(1, "forward", name="J")(layers.concatenate([inner, seen])))
    model.compile("sgd", "mse")
    for form in FORMS:
        check(model, form)


def test_a_rewrapped_record_of_somebody_else_is_refused_by_layer():
    mine = bl.structural("mine_for_numpy", ref=lambda x: np.cumsum(x, 1), shape="m n -> m n", vjp=lambda g, y, x: [g])
    model = chain(Dense(2), layers.Lambda(mine, name="odd"), Dense(1))
    with pytest.raises(ValueRangeError, match=r"layer 'odd' cannot be written in NumPy: .*mine_for_numpy"):
        model.as_numpy()
    with pytest.raises(ValueRangeError, match="'odd'"):
        model.as_numpy("loops")


def test_refusals_say_what_to_do():
    with pytest.raises(NotReadyError, match="no weights"):
        bl.Sequential([Dense(1)]).as_numpy()
    with pytest.raises(ValueRangeError, match=r"columns=False"):
        chain(layers.Conv1D(2, 2), Flatten(), Dense(1), shape=(4, 2)).as_numpy(columns=True)
    with pytest.raises(bl.BacklitError, match="vectorised"):
        chain(Dense(1)).as_numpy("loop")
    big = np.arange(200.0)
    model = chain(layers.Lambda(lambda x: x * big, name="scaled"), Dense(1), shape=(200,))
    with pytest.raises(ValueRangeError, match=r"layer 'scaled' .*200 numbers"):
        model.as_numpy()
