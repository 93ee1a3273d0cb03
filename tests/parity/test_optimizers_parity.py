"""Every optimizer walks as Keras's does: 50 steps from the same weights on the same data, in float32 and float64."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import backlit as bl
from backlit import ops

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras with NumPy 2
STEPS = 50
TOLERANCE = {"float32": 1e-5, "float64": 1e-10}
# On JAX, Keras computes ops of one float64 argument and a Python number (cos, mean, …) in float32, whatever its floatx:
# `dtypes.result_type("float64", float)` is "float32". What goes through them is compared to that precision.
NARROW = 1e-6
DECAY = {"initial_learning_rate": 0.02, "decay_steps": 20, "decay_rate": 0.6}

CASES = {
    "sgd": ("SGD", {}),
    "sgd momentum": ("SGD", {"learning_rate": 0.05, "momentum": 0.9}),
    "sgd nesterov": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True}),
    "rmsprop": ("RMSprop", {}),
    "rmsprop momentum": ("RMSprop", {"learning_rate": 0.003, "rho": 0.8, "momentum": 0.5, "epsilon": 1e-5}),
    "rmsprop centered": ("RMSprop", {"learning_rate": 0.003, "momentum": 0.5, "centered": True}),
    "adam": ("Adam", {}),
    "adam amsgrad": ("Adam", {"learning_rate": 0.01, "beta_1": 0.8, "beta_2": 0.9, "amsgrad": True}),
    "adamw": ("AdamW", {"learning_rate": 0.01}),
    "nadam": ("Nadam", {"learning_rate": 0.01}),
    "adagrad": ("Adagrad", {"learning_rate": 0.1}),
    "adagrad zero": ("Adagrad", {"learning_rate": 0.01, "initial_accumulator_value": 0.0}),
    "adadelta": ("Adadelta", {"learning_rate": 1.0}),
    "adadelta default": ("Adadelta", {}),
    "adamax": ("Adamax", {"learning_rate": 0.01}),
    "lion": ("Lion", {}),
    "weight decay": ("SGD", {"learning_rate": 0.05, "momentum": 0.5, "weight_decay": 0.02}),
    "weight decay rmsprop": ("RMSprop", {"weight_decay": 0.02}),
    "clipvalue": ("Adam", {"learning_rate": 0.01, "clipvalue": 0.01}),
    "clipnorm": ("SGD", {"learning_rate": 0.1, "clipnorm": 0.05}),
    "global clipnorm": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "global_clipnorm": 0.1}),
    "ema": ("Adam", {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9}),
    "ema overwrite": (
        "SGD",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    ),
    "schedule": ("Adam", {"learning_rate": "decay"}),
}


def start(dtype):
    """Inputs, targets and the weights of a net of 6, 5 and 2 units."""
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(40, 6)).astype(dtype), rng.normal(size=(40, 2)).astype(dtype)
    shapes = {"k1": (6, 5), "b1": (5,), "k2": (5, 2), "b2": (2,)}
    return x, y, {key: (rng.normal(size=shape) * 0.5).astype(dtype) for key, shape in shapes.items()}


def scheduled(room, kind, arguments, dtype="float64"):
    """A schedule; Keras computes it in the dtype of the initial rate, and takes a Python number for a float32."""
    if "initial_learning_rate" in arguments:
        arguments = {**arguments, "initial_learning_rate": np.dtype(dtype).type(arguments["initial_learning_rate"])}
    return getattr(room.schedules, kind)(**arguments)


def made(room, kind, arguments, dtype):
    arguments = dict(arguments)
    if arguments.get("learning_rate") == "decay":
        arguments["learning_rate"] = scheduled(room, "ExponentialDecay", DECAY, dtype)
    return getattr(room, kind)(**arguments)


def of_backlit(optimizer, dtype, steps=STEPS):
    """The weights and the names of the averages' values after `steps` steps."""
    x, y, weights = start(dtype)
    leaves = [bl.variable(value, name=key) for key, value in weights.items()]
    k1, b1, k2, b2 = leaves
    cost = ops.mean(ops.square(ops.tanh(x @ k1 + b1) @ k2 + b2 - y))
    slots = {leaf: optimizer.make_slots(leaf) for leaf in leaves}
    rate, t = (bl.input((), name, weak=1) for name in ("rate", "t"))
    gradients = dict(zip(leaves, bl.grad(cost, leaves), strict=True))
    step = bl.compile(cost, inputs=[rate, t], updates=optimizer.updates(gradients, slots, rate, t))
    for done, lr in enumerate(optimizer.learning_rates(0, steps)):
        step(lr, done + 1.0)
    averages = {leaf.name: slots[leaf]["average"].array for leaf in leaves} if optimizer.use_ema else {}
    return {leaf.name: leaf.array for leaf in leaves}, averages


def of_keras(optimizer, dtype, steps=STEPS):
    """The same with Keras's optimizer and JAX's gradients."""
    x, y, weights = start(dtype)
    variables = [keras.Variable(value, dtype=dtype, name=key) for key, value in weights.items()]

    def cost(values):
        k1, b1, k2, b2 = values
        return jnp.mean(jnp.square(jnp.tanh(x @ k1 + b1) @ k2 + b2 - y))

    @jax.jit
    def step(values, state):
        return optimizer.stateless_apply(state, jax.grad(cost)(values), values)

    optimizer.build(variables)
    values, state = [v.value for v in variables], [v.value for v in optimizer.variables]
    for _ in range(steps):
        values, state = step(values, state)
    averages = {}
    if optimizer.use_ema:
        known = dict(zip([v.path for v in optimizer.variables], state, strict=True))
        averages = {
            v.name: np.asarray(known[average.path])
            for v, average in zip(variables, optimizer._model_variables_moving_average, strict=True)
        }
    return {v.name: np.asarray(value) for v, value in zip(variables, values, strict=True)}, averages


def deviation(ours, theirs):
    """The largest ‖w - w_keras‖ / ‖w_keras‖ over the tensors."""
    return max(
        np.linalg.norm(ours[key].astype(np.float64) - value) / np.linalg.norm(value) for key, value in theirs.items()
    )


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    before = keras.config.floatx(), keras.config.dtype_policy(), bl.floatx()
    keras.config.set_floatx(request.param)
    keras.config.set_dtype_policy(request.param)
    bl.set_floatx(request.param)
    yield request.param
    keras.config.set_floatx(before[0])
    keras.config.set_dtype_policy(before[1])
    bl.set_floatx(before[2])


@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_end_where_keras_ends(case, dtype):
    kind, arguments = CASES[case]
    ours, our_averages = of_backlit(made(bl.optimizers, kind, arguments, dtype), dtype)
    theirs, their_averages = of_keras(made(keras.optimizers, kind, arguments, dtype), dtype)
    begun = start(dtype)[2]
    assert deviation(begun, theirs) > 1e-4  # it went somewhere
    assert all(value.dtype == dtype for value in (*ours.values(), *theirs.values()))
    assert deviation(ours, theirs) <= TOLERANCE[dtype]
    assert our_averages.keys() == their_averages.keys()
    if our_averages:
        assert deviation(our_averages, their_averages) <= TOLERANCE[dtype]


def test_the_cases_name_every_optimizer():
    ours = {cls for cls in vars(bl.optimizers).values() if isinstance(cls, type) and cls is not bl.optimizers.Optimizer}
    optimizers = {cls.__name__ for cls in ours if issubclass(cls, bl.optimizers.Optimizer)}
    assert optimizers == {kind for kind, _ in CASES.values()}
    assert all(issubclass(getattr(keras.optimizers, name), keras.optimizers.Optimizer) for name in optimizers)


def test_signatures_have_kerass_defaults():
    """Every argument of ours stands in Keras with the same default; two of Keras's are not here."""
    import inspect

    for kind in {kind for kind, _ in CASES.values()}:
        ours, theirs = (
            {key: each.default for key, each in inspect.signature(getattr(room, kind).__init__).parameters.items()}
            for room in (bl.optimizers, keras.optimizers)
        )
        assert set(theirs) - set(ours) == {"loss_scale_factor", "gradient_accumulation_steps", "kwargs"}
        assert {key: theirs[key] for key in ours} == ours, kind


@pytest.mark.parametrize(
    "arguments",
    [
        {"learning_rate": "decay"},
        {"learning_rate": 0.01, "use_ema": True, "ema_momentum": 0.9, "clipnorm": 0.1, "weight_decay": 0.01},
    ],
)
def test_fit_ends_where_kerass_fit_ends(arguments, dtype):
    """The loop's own part: step numbers, the vector of rates, averages put in place when fit ends."""
    x, y, weights = start(dtype)
    values = [weights[key] for key in ("k1", "b1", "k2", "b2")]
    bl_model = bl.Sequential([bl.Input((6,)), bl.layers.Dense(5, "tanh"), bl.layers.Dense(2)])
    k_model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, "tanh"), keras.layers.Dense(2)])
    for model, room in ((bl_model, bl.optimizers), (k_model, keras.optimizers)):
        model.set_weights(values)
        model.compile(optimizer=made(room, "Adam", arguments, dtype), loss="mse")
        model.fit(x, y, epochs=10, batch_size=8, shuffle=False, verbose=0)
    theirs = dict(enumerate(map(np.asarray, k_model.get_weights())))
    assert deviation(dict(enumerate(bl_model.get_weights())), theirs) <= max(TOLERANCE[dtype], NARROW)
    expected = float(k_model.optimizer.learning_rate)
    assert bl_model.optimizer.learning_rate == pytest.approx(expected, rel=1e-6)


SCHEDULES = {
    "exponential": ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    "staircase": (
        "ExponentialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    "inverse": ("InverseTimeDecay", {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5}),
    "inverse stairs": (
        "InverseTimeDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 7, "decay_rate": 0.5, "staircase": True},
    ),
    "piecewise": ("PiecewiseConstantDecay", {"boundaries": [3, 10, 11], "values": [0.1, 0.2, 0.05, 0.01]}),
    "polynomial": ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 20}),
    "polynomial power": (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20, "end_learning_rate": 0.01, "power": 2.5},
    ),
    "polynomial cycle": (
        "PolynomialDecay",
        {"initial_learning_rate": 0.1, "decay_steps": 20, "cycle": True, "power": 0.5},
    ),
    "cosine": ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30}),
    "cosine alpha": ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "alpha": 0.2}),
    "warm-up": (
        "CosineDecay",
        {"initial_learning_rate": 0.0, "decay_steps": 30, "warmup_target": 0.1, "warmup_steps": 5, "alpha": 0.01},
    ),
    "warm-up unused": ("CosineDecay", {"initial_learning_rate": 0.1, "decay_steps": 30, "warmup_steps": 5}),
    "restarts": ("CosineDecayRestarts", {"initial_learning_rate": 0.1, "first_decay_steps": 7}),
    "restarts of one length": (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 7, "t_mul": 1.0, "m_mul": 0.7, "alpha": 0.1},
    ),
    "restarts that shrink": (
        "CosineDecayRestarts",
        {"initial_learning_rate": 0.1, "first_decay_steps": 5, "t_mul": 1.5, "m_mul": 0.8, "alpha": 0.05},
    ),
}


@pytest.mark.parametrize("dtype", ["float64"], indirect=True)
@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules_give_kerass_rates(case, dtype):
    kind, arguments = SCHEDULES[case]
    ours, theirs = scheduled(bl.optimizers, kind, arguments), scheduled(keras.optimizers, kind, arguments)
    expected = np.array([float(theirs(step)) for step in range(70)])
    narrow = kind in ("CosineDecay", "CosineDecayRestarts", "PiecewiseConstantDecay")
    assert ours(np.arange(70)) == pytest.approx(expected, rel=0 if narrow else 1e-10, abs=1e-8 if narrow else 1e-14)
    assert [ours(step) for step in range(70)] == pytest.approx(ours(np.arange(70)), rel=1e-15, abs=1e-17)


def test_schedules_have_kerass_signatures():
    import inspect

    for kind in {kind for kind, _ in SCHEDULES.values()}:
        ours, theirs = (
            inspect.signature(getattr(room.schedules, kind).__init__) for room in (bl.optimizers, keras.optimizers)
        )
        assert [(p.name, p.default) for p in ours.parameters.values()] == [
            (p.name, p.default) for p in theirs.parameters.values()
        ]
