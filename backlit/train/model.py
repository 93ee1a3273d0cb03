"""Models: specify, compile, fit, predict. The arithmetic is in the graph, the running in the loop."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain, count
from numbers import Integral
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import (
    ArgumentError,
    MissingAttributeError,
    NotReadyError,
    ShapeError,
    UnknownNameError,
    ValueRangeError,
    did_you_mean,
)
from ..core.node import FLOATS, Leaf, Node, as_array, input_leaf
from ..core.seed import next_model_seed
from ..core.shapes import M, Shape
from ..core.walk import Graph
from ..engines.base import Arrays, engine
from ..layers.activation import resolve as resolve_activation
from ..layers.layer import Input, Layer, Pass, floatx, tentative
from . import door
from .callbacks import History, ProgressBar
from .events import Listeners
from .loop import Job, means, train
from .losses import Loss
from .metrics import Metric, resolve
from .optimizers import Adam, Optimizer
from .step import Step, Task, evaluation_step, make_slots, prediction, training_step

_PREDICT_ROWS = 1024


class Model:
    """The base of all models: layers, their weights, and the steps that train, evaluate and predict with them."""

    def __init__(self, layers: Sequence[Layer] = (), name: str = "model"):
        self.name, self.layers = name, list(layers)
        self.seed: int | None = None
        self.input_shape: Shape | None = None
        self.output_shape: Shape | None = None
        self.dtype = floatx()
        self.optimizer: Any = None
        self.loss: Any = None
        self.metrics: dict[str, Metric] = {}
        self.engine_name = "auto"
        self.history: History | None = None
        self.classes: tuple[str, ...] | None = None
        self.about: dict[str, Any] = {}  # what the saved file says of data and preprocessing
        self.stop_training = False
        self._forget_training()

    def forward(self, x: Node) -> Node:
        """The nodes from input to output in the pass that is being built."""
        raise NotImplementedError(f"{type(self).__name__}.forward")

    # ------------------------------------------------------------------ building
    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self.output_shape is not None

    def build(self, input_shape: Any) -> None:
        """Make all weights for inputs of `input_shape` (without, or with None as, the batch axis). All layers or
        none."""
        shape = tuple(input_shape)
        shape = (M, *(shape[1:] if shape[:1] in ((None,), (M,)) else shape))
        if self.seed is None:
            self.seed = next_model_seed()  # kept if the build fails, so that the next one starts from the same weights
        with tentative(self.layers):
            for position, layer in enumerate(self.layers):
                layer.seed, layer.position = self.seed, position
            output = prediction(self.forward, shape, self.dtype).outputs[0].shape
        self.input_shape, self.output_shape = shape, output
        self._predict_program: Any = None

    @contextmanager
    def _unbuilt_if_refused(self) -> Iterator[None]:
        """A model that is built inside is as unbuilt as before if what follows fails."""
        before = (self.input_shape, self.output_shape)
        with tentative(self.layers):
            try:
                yield
            except BaseException:
                self.input_shape, self.output_shape = before
                raise

    def _ready(self, X: Any) -> Any:
        """X as an array that fits; builds an unbuilt model."""
        array = door.features(X, self.input_shape)
        if not self.built:
            self.build(array.shape[1:])
        return array

    # ------------------------------------------------------------------ weights
    @property
    def weights(self) -> list[Leaf]:
        """All weights, layer by layer."""
        return [leaf for layer in self.layers for leaf in layer.weights]

    @property
    def trainable_variables(self) -> list[Leaf]:
        """The weights that training changes."""
        return [leaf for layer in self.layers for leaf in layer.trainable_weights]

    trainable_weights = trainable_variables

    def get_weights(self) -> list[Any]:
        """Copies of the weights' values."""
        return [np.array(leaf.array) for leaf in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Give every weight a value; all of them or, where one does not fit, none."""
        arrays = [as_array(value) for value in values]
        shapes, wanted = [a.shape for a in arrays], [leaf.shape for leaf in self.weights]
        if shapes != wanted:
            raise ShapeError(
                "these are not the weights of this model.", expected=f"shapes {wanted}", found=f"shapes {shapes}"
            )
        for leaf, array in zip(self.weights, arrays, strict=True):
            leaf.assign(array)

    def count_params(self) -> int:
        """How many numbers the weights hold."""
        return sum(layer.count_params() for layer in self.layers)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of that name or place."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueRangeError(f"there is no layer {index}.", expected=f"0 … {len(self.layers) - 1}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        known = [layer.name for layer in self.layers]
        raise UnknownNameError(
            f"there is no layer {name!r}.", expected=", ".join(known), fix=did_you_mean(str(name), known)
        )

    # ------------------------------------------------------------------ compile
    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Sequence[Any] | None = None,
        engine: str = "auto",
    ) -> None:
        """Choose what to train for and how.

        `optimizer`: a name or object; None is Adam(learning_rate=0.001), and says so. `loss`: a name or object.
        `metrics`: names or objects, logged beside the loss. `engine`: "auto", "planned" or "reference".
        """
        if loss is None:
            raise ArgumentError(
                "compile needs a loss.", fix="model.compile(loss=SparseCategoricalCrossentropy(from_logits=True))"
            )
        chosen = Loss.get(loss)
        resolved = dict(resolve(metric, chosen) for metric in metrics or [])
        rule = Adam() if optimizer is None else Optimizer.get(optimizer)
        registry.lookup(f"engine.{'planned' if engine == 'auto' else engine}")
        if optimizer is None:
            print("backlit: no optimizer was given; Adam(learning_rate=0.001) is used.", file=sys.stderr)
        self.loss, self.metrics, self.optimizer, self.engine_name = chosen, resolved, rule, engine
        self._forget_training()

    def _forget_training(self) -> None:
        self.iterations = self.epochs_done = 0
        self._slots: dict[Leaf, dict[str, Leaf]] = {}
        self._steps: dict[Any, tuple[Step, Any]] = {}
        self._predict_program = None

    def _task(self, weighted: bool) -> Task:
        assert self.input_shape is not None and self.output_shape is not None
        return Task(
            self.forward,
            self._penalties,
            self.loss,
            self.metrics,
            self.input_shape,
            self.output_shape,
            self.dtype,
            weighted,
        )

    def _penalties(self) -> list[Node]:
        return [penalty for layer in self.layers for penalty in layer.penalties()]

    def _step(self, kind: str, weighted: bool) -> tuple[Step, Any]:
        """The training or evaluation step and its program, made when first needed and kept until `compile`."""
        key = (kind, weighted, self.engine_name, tuple(layer.trainable for layer in self.layers))
        if key not in self._steps:
            if kind == "train":
                step = training_step(self._task(weighted), self.optimizer, self.slots(), self.seed or 0)
            else:
                step = evaluation_step(self._task(weighted))
            self._steps[key] = step, engine(self.engine_name).compile(step.graph)
        return self._steps[key]

    def slots(self) -> dict[Leaf, dict[str, Leaf]]:
        """The optimizer's slots of every trained parameter, by name; made as zeros when first needed."""
        new = [p for p in self.trainable_variables if p not in self._slots]
        self._slots.update(make_slots(self.optimizer, new))
        return {p: self._slots[p] for p in self.trainable_variables}

    def restore(self, metrics: Mapping[str, Any], learning_rate: float, iterations: int, epochs_done: int) -> None:
        """Go on where a saved training stopped."""
        self.metrics = {key: Metric.get(metric) for key, metric in metrics.items()}
        self.optimizer.learning_rate = learning_rate
        self.iterations, self.epochs_done = iterations, epochs_done

    def _compiled(self, call: str) -> None:
        if self.loss is None:
            raise NotReadyError(f"{call} needs a compiled model.", fix="model.compile(loss=...) first")

    def step_graph(self, weighted: bool = False) -> Graph:
        """The whole training step as one graph: outputs, updates of parameters, slots, state and sums, and the gate.

        `print(model.step_graph())` shows it. The model must be compiled and built.
        """
        self._compiled("step_graph")
        if not self.built:
            raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
        return self._step("train", weighted)[0].graph

    # ------------------------------------------------------------------ fit
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Sequence[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        doctor: str = "warn",
    ) -> History:
        """Train on x (m, …) and y for `epochs` passes in batches of `batch_size` (None: 32); returns the History.

        `validation_split` takes the last rows, before shuffling, as Keras does; `validation_data` is (x, y) or (x, y,
        sample_weight). `class_weight` is {label: weight}, for the training rows. A call that is refused changes
        nothing, and an unbuilt model stays unbuilt. A step that is not finite is not written: NonFiniteError names the
        first bad operation (`doctor="off"`: it is skipped and counted).
        """
        self._compiled("fit")
        _check_fit(validation_split, doctor)
        each = range(_whole("initial_epoch", initial_epoch, 0, least=0), _whole("epochs", epochs, 1))
        history = History()
        with self._unbuilt_if_refused():
            job = self._job(
                x, y, _whole("batch_size", batch_size, 32), each, shuffle, doctor,
                (validation_split, validation_data), (class_weight, sample_weight),
            )  # fmt: skip
            params = {"verbose": verbose, "epochs": each.stop, "steps": -(-len(job.columns[0]) // job.batch)}
            job.listeners = Listeners([history, ProgressBar(verbose), *(callbacks or [])], self, params)
        self.history = history
        train(job)
        return history

    def _job(
        self, x: Any, y: Any, batch: int, epochs: range, shuffle: bool, doctor: str, validation: Any, weights: Any
    ) -> Job:
        """Everything that can be refused, refused before the first step."""
        (share, data), (class_weight, sample_weight) = validation, weights
        X, target, weight = self._data(x, y, sample_weight)
        held = None
        if data is not None:
            if not isinstance(data, (tuple, list)) or len(data) not in (2, 3):
                raise ArgumentError("validation_data cannot be read.", expected="(x, y) or (x, y, sample_weight)")
            held = self._data(*data)
        elif share:
            cut = int(len(X) * (1 - share))
            if cut == 0 or cut == len(X):
                raise ValueRangeError(f"validation_split={share} leaves one side empty.", found=f"{len(X)} rows")
            held = (X[cut:], target[cut:], None if weight is None else weight[cut:])
            X, target, weight = X[:cut], target[:cut], None if weight is None else weight[:cut]
        if class_weight is not None:  # of the training rows only, as in Keras
            each = _by_class(class_weight, target)
            weight = each if weight is None else weight * each
        columns = [X, target] if weight is None else [X, target, weight]
        step, program = self._step("train", weight is not None)
        validate = None
        if held is not None:
            self._step("evaluate", held[2] is not None)  # what it refuses, it refuses now
            validate = lambda: self._evaluate(*held, batch)  # noqa: E731
        empty = Listeners([], self, {})
        return Job(self, step, program, columns, batch, epochs, shuffle, empty, validate, doctor == "off")

    def _data(self, x: Any, y: Any, sample_weight: Any = None) -> tuple[Any, Any, Any]:
        """(X, y, weights) as arrays that fit the model and its loss."""
        if y is None:
            raise ArgumentError("y is missing.", fix="model.fit(X, y)")
        X = self._ready(x)
        assert self.output_shape is not None
        target = door.targets(y, self.loss, self.output_shape, len(X), self.layers[-1])
        return X, target, None if sample_weight is None else door.weights(sample_weight, len(X))

    # ------------------------------------------------------------------ evaluate and predict
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, or [loss, *metrics] where there are metrics, over x and y; with `return_dict` by name."""
        self._compiled("evaluate")
        batch = _whole("batch_size", batch_size, 32)
        with self._unbuilt_if_refused():
            data = self._data(x, y, sample_weight)
        logs = self._evaluate(*data, batch)
        if return_dict:
            return logs
        values = [logs["loss"], *(logs[key] for key in self.metrics)]
        return values if len(values) > 1 else values[0]

    def _evaluate(self, X: Any, target: Any, weight: Any, batch: int) -> dict[str, float]:
        step, program = self._step("evaluate", weight is not None)
        for sums in step.sums.values():
            sums.reset()
        source = Arrays([X, target] if weight is None else [X, target, weight], batch)
        program.run(source, 0, source.steps, {})
        return means(step)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = 0) -> Any:
        """The raw output (m, …) for x: probabilities where the last activation makes them, else logits or values."""
        rows = _whole("batch_size", batch_size, _PREDICT_ROWS)
        array = self._ready(x)
        if self._predict_program is None:
            assert self.input_shape is not None
            self._predict_graph = prediction(self.forward, self.input_shape, self.dtype)
            self._predict_program = engine(self.engine_name).compile(self._predict_graph)
        leaf = self._predict_graph.inputs[0]
        parts = [
            self._predict_program.evaluate({leaf: array[i : i + rows]}).outputs[0] for i in range(0, len(array), rows)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def predict_probabilities(self, x: Any) -> Any:
        """Probabilities (m, k): the output, or its softmax or sigmoid where the loss is told that it holds logits."""
        output = self.predict(x)
        if self.loss is None or not self.loss.from_logits:
            return output
        return resolve_activation(self.loss.link)(output)

    def predict_classes(self, x: Any) -> Any:
        """The most probable class of each example: its name where `model.classes` is known, else its number."""
        p = self.predict_probabilities(x)
        labels = p.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] > 0.5).astype(np.int64)
        return labels if self.classes is None else np.array(self.classes)[labels]

    def __call__(self, x: Any, training: bool = False) -> Any:
        """The output: for arrays an array, for a node a node."""
        if not isinstance(x, Node):
            if not training:
                return self.predict(x)
            array = self._ready(x)
            leaf = input_leaf((M, *array.shape[1:]), "x", self.dtype)
            with Pass(True):
                return np.array(registry.lookup("engine.values")([out := self.forward(leaf)], {leaf: array})[out])
        if not self.built:
            self.build(x.shape)
        return self.forward(x)

    # ------------------------------------------------------------------ words
    def summary(self, print_fn: Any = print) -> None:
        """Print the table of layers, output shapes and parameters. Optimizer state is not counted in the total."""
        print_fn(registry.lookup("show.summary")(self))

    def save(self, path: Any, overwrite: bool = True) -> None:
        """Write one file with network, weights, optimizer and history; see `backlit.load_model`."""
        registry.lookup("io.save_model")(self, path, overwrite)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise MissingAttributeError(
            f"{type(self).__name__} has no attribute {name!r}.", fix=did_you_mean(name, dir(self))
        )


class Sequential(Model):
    """Layers one after another.

    >>> import backlit as bl
    >>> model = bl.Sequential([bl.Input((400,)), bl.layers.Dense(25, "relu"), bl.layers.Dense(10)])
    >>> model.count_params()
    10285
    """

    def __init__(self, layers: Sequence[Any] | None = None, name: str = "sequential"):
        super().__init__(name=name)
        self._given_input: Input | None = None
        for layer in layers or []:
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Put a layer at the end; an `Input` may come first, and builds the model as it grows."""
        if isinstance(layer, Input):
            if self.layers:
                raise ArgumentError("Input comes first.", found=f"behind {self.layers[-1].name!r}")
            self._given_input, self.dtype = layer, layer.dtype
            return
        if not isinstance(layer, Layer):
            raise ArgumentError(
                f"{layer!r} is no layer.",
                expected="objects such as Dense(25)",
                fix="a class needs its arguments: Dense(25)",
            )
        if layer in self.layers:
            raise ArgumentError(f"layer {layer.name!r} is already in this model.", fix="make a second layer")
        before = (self.layers, self.input_shape, self.output_shape, layer.name)
        layer.name, self.layers = self._name_for(layer), [*self.layers, layer]
        self.input_shape = self.output_shape = None
        try:
            if self._given_input is not None:
                self.build(self._given_input.shape)
        except BaseException:
            self.layers, self.input_shape, self.output_shape, layer.name = before
            raise
        self._forget_training()

    def _name_for(self, layer: Layer) -> str:
        """Automatic names count up: dense, dense_1; two layers of one given name are refused."""
        used = {each.name for each in self.layers}
        base = layer.given_name or layer.name
        if layer.given_name in used:
            raise ValueRangeError(f"two layers are called {base!r}.", fix="give each its own name")
        return next(name for name in chain([base], (f"{base}_{k}" for k in count(1))) if name not in used)

    def forward(self, x: Node) -> Node:
        """Every layer on the output of the one before."""
        if not self.layers:
            raise NotReadyError("the model has no layers.", fix="Sequential([Dense(1)])")
        for layer in self.layers:
            x = layer(x)
        if x.dtype not in FLOATS:
            raise ArgumentError("the last layer must give floating-point numbers.", found=x.dtype)
        return x


def _whole(what: str, value: Any, default: int, least: int = 1) -> int:
    """A number of rows or epochs; None is the default."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        raise ValueRangeError(f"{what} must be a whole number from {least}.", found=repr(value))
    return int(value)


def _check_fit(split: float, doctor: str) -> None:
    if not 0 <= split < 1:
        raise ValueRangeError(
            "validation_split is a share of the rows.", expected="0 <= validation_split < 1", found=str(split)
        )
    if doctor not in ("warn", "raise", "off"):
        raise ValueRangeError("there is no such doctor.", expected="'warn', 'raise' or 'off'", found=repr(doctor))


def _by_class(class_weight: Any, target: Any) -> Any:
    if not isinstance(class_weight, Mapping):
        raise ArgumentError("class_weight cannot be read.", expected="{label: weight}", found=repr(class_weight)[:60])
    labels = (
        target.reshape(len(target), -1)[:, 0] if target.ndim == 1 or target.shape[1] == 1 else target.argmax(axis=1)
    )
    missing = sorted(set(np.unique(labels).tolist()) - set(class_weight))
    if missing:
        raise ValueRangeError("class_weight does not name every class of y.", found=f"missing: {missing}")
    return door.weights([class_weight[label] for label in labels.tolist()], len(labels), "class_weight")
