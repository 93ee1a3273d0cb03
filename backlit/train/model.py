"""Models: specify, compile, fit, predict. The arithmetic is in the graph, the running in the loop."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import numpy as np

from ..core import registry
from ..core.arguments import Count, Decay, Finite, Natural, PathLike, checked, taking
from ..core.errors import ArgumentError, DataError, NotReadyError, UnknownNameError, ValueRangeError, did_you_mean
from ..core.node import Leaf, Node, here, input_leaf
from ..core.shapes import M
from ..core.walk import Graph
from ..engines.base import engine as engine_named
from ..layers.activation import resolve as resolve_activation
from ..layers.layer import Layer, Pass, current_pass, layer_call, put_together, taken_apart, tentative
from ..layers.network import Functional, flat
from . import door, feed, fitting
from .batches import Batches, RowBatches, plain, to_evaluate, to_predict
from .events import Listeners, Logs
from .fitting import FitPlan
from .heads import Compiled, Head
from .loop import Job, evaluate, one_batch, predict, train
from .optimizers import Adam, Optimizer
from .progress import CallbackList, History, Verbose
from .sparse import is_sparse
from .step import Step, Task, evaluation_step, make_slots, training_step
from .views import Views

_PREDICT_ROWS = 1024
_ONCE = FitPlan(batch=None, epochs=range(1), shuffle=False)
_BY_BUILD = ("built", "input_leaves", "input_shape", "output_shape", "loss", "_heads", "classes", "columns")
_BUILDING = threading.RLock()  # several threads may ask one model for its first prediction


class Model(Functional, Views):
    """Layers, their weights, and the steps that train, evaluate and predict with them. Three ways to make one:

    `Sequential([…])`; `Model(inputs, outputs)` for the calls between given inputs and outputs (one, a list or a dict
    of each); a subclass with `call(self, x, training=False)`, whose layers are the attributes set in `__init__`.

    >>> import backlit as bl
    >>> x = bl.Input((4,))
    >>> h = bl.layers.Dense(3, activation="relu")(x)
    >>> bl.Model(x, bl.layers.Dense(1)(h)).count_params()
    19
    """

    @checked
    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None, trainable: bool = True):
        super().__init__(name=name, trainable=trainable)
        self.optimizer: Any = None
        self.loss: Any = None
        self.engine_name = "auto"
        self.history: History | None = None
        self.classes: tuple[str, ...] | None = None
        self.columns: Any = None  # how rows of a table become the numbers of X, where it was trained on one
        self.about: dict[str, Any] = {}  # what the saved file says of data and preprocessing
        self.stop_training = False
        self.running: Job | None = None  # the `fit` that runs
        self.asked: Compiled | None = None
        self.compiled_at: tuple[tuple[str, int], ...] = ()  # the user's line
        self.doctor_memory: Any = None
        self._heads: list[Head] = []
        self._slots: dict[Leaf, dict[str, Leaf]] = {}
        self._steps: dict[Any, tuple[Step, Any]] = {}
        self._predictor: Any = None  # the program of `predict` and its inputs
        self._forget_training()
        if type(self) is Model or inputs is not None:
            self.connect(inputs, outputs)
            self.build_on(inputs)

    # ------------------------------------------------------------------ building
    @property
    def inputs(self) -> list[Leaf]:
        """The input leaves of a built model, in order."""
        return [] if self.input_leaves is None else flat(self.input_leaves)

    @property
    def outputs(self) -> list[Node]:
        """The output nodes of a functional or built sequential model, in order."""
        return vars(self).get("ends") or [node for last in self.layers[-1:] for node in flat(last.output)]

    @checked
    def build(self, input_shape: Sequence[Any] | Mapping[str, Any] | None = None) -> None:
        """Make all weights for inputs of `input_shape` (without, or with None as, the batch axis), or none of them.

        Several inputs: a list or dict of shapes. A nested model is built by the model around it.
        """
        if current_pass() is not None or input_shape is None:
            return
        if isinstance(input_shape, Mapping):
            leaves: Any = {key: self._leaf(shape, key) for key, shape in input_shape.items()}
        elif input_shape and isinstance(input_shape[0], (tuple, list)):
            leaves = [self._leaf(shape, f"input_{place}") for place, shape in enumerate(input_shape)]
        else:
            leaves = self._leaf(input_shape, "input")
        self.build_on(leaves)

    def _leaf(self, shape: Any, name: str, dtype: str | None = None) -> Leaf:
        sizes = tuple(shape)
        sizes = sizes[1:] if sizes[:1] in ((None,), (M,)) else sizes
        return input_leaf((M, *sizes), name, dtype or self._input_dtype())

    def _input_dtype(self) -> str:
        first = self.layers[0] if self.layers else self
        return getattr(type(first), "input_dtype", None) or self.dtype

    def build_on(self, leaves: Any) -> None:
        """Make all weights for these input leaves, or none."""
        out = self.build_for(leaves)
        shapes = [node.shape for node in (out if isinstance(out, list) else [out])]
        self.built, self.input_shape = True, _shape_form(leaves)
        self.output_shape, self.output_shapes = (shapes if isinstance(out, list) else shapes[0]), shapes
        self._predictor = None

    @contextmanager
    def _unbuilt_if_refused(self) -> Iterator[None]:
        """A model that is built inside is as unbuilt as before if what follows fails."""
        before = {name: getattr(self, name) for name in _BY_BUILD}
        slots, steps = dict(self._slots), dict(self._steps)
        with tentative([layer for layer in self.everything() if layer is not self]):
            try:
                yield
            except BaseException:
                self._slots, self._steps = slots, steps
                for name, value in before.items():
                    setattr(self, name, value)
                raise

    def ready(self, x: Any, learn: feed.Learn = "") -> list[Any]:
        """One checked array an input; builds an unbuilt model."""
        if is_sparse(x):  # before anything else: one format of them is a dict
            x = door.array_of(x, "X")
        elif feed.foreign(x):
            x = registry.lookup("frames.features")(self, x, learn != "")
        if self.built:
            return feed.inputs(self, x, learn == "all")
        with _BUILDING, self._unbuilt_if_refused():
            return feed.inputs(self, x if self.built else self._built_for(x), learn == "all")

    def _built_for(self, x: Any) -> Any:
        """Build the model; returns x as arrays, in its own structure."""
        form, values = taken_apart((x,))
        arrays = [door.shaped(value, None) for value in values]
        leaves = [
            self._leaf(a.shape[1:], f"input_{place}" if len(arrays) > 1 else "input", self._dtype_for(a))
            for place, a in enumerate(arrays)
        ]
        self.build_on(put_together(form, leaves)[0])
        return put_together(form, arrays)[0]

    def _dtype_for(self, array: Any) -> str | None:
        """A subclassed model sees whole numbers as they are (ids); chains and graphs know what they take."""
        own = type(self).call is not Functional.call
        return "int64" if own and array.dtype.kind in "iub" else None

    def forward(self, nodes: Sequence[Node]) -> list[Node]:
        """The output nodes for input nodes, in the pass that is being built."""
        out = self.run(put_together(self._form(), list(nodes)))
        return out if isinstance(out, list) else [out]

    def _form(self) -> Any:
        return taken_apart((self.input_leaves,))[0]

    # ------------------------------------------------------------------ layers
    @checked
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

    def layer_of(self, output: str) -> Layer:
        """The layer that makes the output of that name, for messages."""
        return next((layer for layer in self.layers if layer.name == output), self.layers[-1])

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: dict keys, the layers that make them, or output_0, output_1, …"""
        if isinstance(vars(self).get("output_form"), Mapping):
            return list(self.output_form)
        ends = vars(self).get("ends", [])
        made = [node.inputs[0] if node.op.name == "item" else node for node in ends]
        names = [node.attrs["layer"].name if node.op is layer_call else "" for node in made]
        if len(set(names)) < len(names) or "" in names or not names:
            count = len(self.output_shapes)
            return [self.layers[-1].name] if count == 1 else [f"output_{place}" for place in range(count)]
        return names

    # ------------------------------------------------------------------ compile
    @checked
    def compile(
        self,
        optimizer: Any = None,
        loss: Any = None,
        loss_weights: Sequence[Finite | None] | Mapping[str, Finite | None] | None = None,
        metrics: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: Any = None,
        steps_per_execution: Any = None,
        jit_compile: Any = None,
        engine: str = "auto",
    ) -> None:
        """Choose what to train for and how.

        `optimizer`: a name or object; None is Adam(learning_rate=0.001), and says so. `loss`, `metrics`,
        `weighted_metrics`: names or objects; for several outputs a list or a dict by output. `loss_weights`: the
        outputs' shares of the total loss. `engine`: "auto" (compiled where llvmlite is installed, else planned),
        "compiled", "planned", "reference" or "xla". Keras's `run_eagerly`,
        `steps_per_execution` and `jit_compile` change nothing here.
        """
        for name in ("train_step", "test_step", "predict_step", "compute_loss"):
            if hasattr(type(self), name):
                raise ArgumentError(
                    f"the {name} of {type(self).__name__} would not be called.",
                    why="a step is one graph, not a method",
                    fix="pass compile a loss of your own, or write the loop: docs/your-own.md",
                )
        if loss is None:
            raise ArgumentError(
                "compile needs a loss.", fix="model.compile(loss=SparseCategoricalCrossentropy(from_logits=True))"
            )
        wanted = Compiled(loss, loss_weights, metrics, weighted_metrics)
        wanted.check()
        rule = Adam() if optimizer is None else Optimizer.get(optimizer)
        engine_named(engine)
        heads = wanted.heads(self.output_names, self.output_shapes) if self.built else []
        if optimizer is None:
            print("backlit: no optimizer was given; Adam(learning_rate=0.001) is used.", file=sys.stderr)
        self.asked, self.optimizer, self.engine_name, self.compiled_at = wanted, rule, engine, here()
        rule.bind(self)
        self.loss = loss
        self._forget_training()
        if self.built:
            self._heads = heads
            self.loss = heads[0].loss if len(heads) == 1 else loss

    def _forget_training(self) -> None:
        self.iterations = self.epochs_done = self.rows_at_once = 0
        self._heads, self._slots, self._steps = [], {}, {}
        self._predictor = self.doctor_memory = None

    @property
    def heads(self) -> list[Head]:
        """What each output is trained for; the model must be built and compiled."""
        if not self._heads:
            assert self.asked is not None
            self._heads = self.asked.heads(self.output_names, self.output_shapes)
            if len(self._heads) == 1:
                self.loss = self._heads[0].loss
        return self._heads

    def _task(self, weights: tuple[Any, ...]) -> Task:
        heads, names = self.heads, self.output_names
        places = [names.index(head.name) for head in heads]

        def forward(nodes: Sequence[Node]) -> list[Node]:
            out = self.forward(nodes)
            return [out[place] for place in places]

        return Task(forward, self.penalties, heads, self.inputs, self.dtype, weights)

    def step(self, kind: str, weights: tuple[Any, ...]) -> tuple[Step, Any]:
        """The "train" or "evaluate" step and its program, made when first needed and kept until `compile`.

        `weights` has for each head the shape of one example's weights, or None.
        """
        trained = tuple(id(leaf) for leaf in self.trainable_variables)
        key = (kind, weights, self.engine_name, trained, self.seed)
        if key not in self._steps:
            task = self._task(weights)
            if kind == "train":
                made = training_step(task, self.optimizer, self.slots(), self.seed or 0, self.constraints())
            else:
                made = evaluation_step(task)
            self._steps[key] = made, engine_named(self.engine_name).compile(made.graph)
        return self._steps[key]

    def slots(self) -> dict[Leaf, dict[str, Leaf]]:
        """The optimizer's slots of every trained parameter, by name; made when first needed."""
        new = [p for p in self.trainable_variables if p not in self._slots]
        self._slots.update(make_slots(self.optimizer, new))
        return {p: self._slots[p] for p in self.trainable_variables}

    def restore(self, learning_rate: float, iterations: int, epochs_done: int) -> None:
        """Go on where a saved training stopped."""
        if self.optimizer.schedule is None:
            self.optimizer.learning_rate = learning_rate
        self.iterations, self.epochs_done = iterations, epochs_done

    def need_compiled(self, call: str) -> None:
        """NotReadyError where `compile` has not been called."""
        if self.asked is None:
            raise NotReadyError(f"{call} needs a compiled model.", fix="model.compile(loss=...) first")

    @checked
    def step_graph(self, weighted: bool = False) -> Graph:
        """The whole training step as one graph: outputs, updates of parameters, slots, state and sums, and the gate.

        `print(model.step_graph())` shows it. The model must be compiled and built.
        """
        self.need_compiled("step_graph")
        if not self.built:
            raise NotReadyError("the model has no weights yet.", fix="model.build((n,)) with n columns, or fit it")
        return self.step("train", tuple(() if weighted else None for _ in self.heads))[0].graph

    # ------------------------------------------------------------------ fit
    @checked
    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Count | None = None,
        epochs: Count = 1,
        verbose: Verbose = "auto",
        callbacks: Any = None,
        validation_split: Decay = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Any = None,
        sample_weight: Any = None,
        initial_epoch: Natural = 0,
        steps_per_epoch: Count | None = None,
        validation_steps: Count | None = None,
        validation_batch_size: Count | None = None,
        validation_freq: Count | Sequence[Count] = 1,
        validation_stratify: bool = False,
        doctor: Literal["warn", "raise", "off"] = "warn",
    ) -> History:
        """Train on x (m, …) and y for `epochs` passes in batches of `batch_size` (None: 32); returns the History.

        x is an array or a list of rows, for several inputs a list or dict of them, a sparse matrix, or a table, whose
        `columns` are known by name from then on. In place of x and y: a stream of batches (x, y) or (x, y, weight), such
        as a generator, the function that makes it, a DataLoader, a PyDataset. y may hold names: they become `classes`.
        `validation_split` takes the last rows, before shuffling, as Keras does (`validation_stratify=True`: rows of
        every class); `validation_data` is (x, y), (x, y, sample_weight) or a stream. `class_weight` is {label: weight}
        or "balanced", for the training rows. `steps_per_epoch`: an epoch is so many batches, and the next one goes on
        behind them; without `batch_size` they are one pass. A refused call changes nothing. A step that is not finite is
        not written: NonFiniteError names the first bad operation. `doctor`: what can hardly work is told on stderr
        ("warn"), what cannot is raised before the first step ("raise"); "off": neither, and steps that are not finite
        are skipped.
        """
        self.need_compiled("fit")
        plan = FitPlan(
            batch=batch_size,
            epochs=range(initial_epoch, epochs),
            shuffle=shuffle,
            steps=steps_per_epoch,
            check_steps=validation_steps,
            check_batch=validation_batch_size,
            check_epochs=validation_freq,
            skip_nonfinite=doctor == "off",
        )
        held_out = validation_data, validation_split, validation_stratify
        given = fitting.Given(x, y, sample_weight, class_weight, *held_out)
        with self._unbuilt_if_refused():
            batches, held = fitting.batches(self, plan, given)
            job = self._job(plan, batches, held)
            params = {"verbose": verbose, "epochs": epochs, "steps": batches.steps}
            job.listeners = told = CallbackList(callbacks, add_history=True, add_progbar=True, model=self, **params)
            look_back = fitting.examined(job, held, given, doctor)
        self.history = history = told.history
        train(job)
        if look_back is not None:
            look_back()
        return history

    def _job(self, plan: FitPlan, batches: Batches, held: Batches | None) -> Job:
        """Everything that can be refused, refused before the first step."""
        step, program = self.step("train", batches.weights)
        job = Job(self, step, program, batches, plan, Listeners())
        if held is not None:
            self.step("evaluate", held.weights)
            job.validate = lambda: self.measure(held, job.listeners)
        return job

    @checked
    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step on one batch; returns its loss, or [loss, *metrics], as `evaluate` does."""
        self.need_compiled("train_on_batch")
        with self._unbuilt_if_refused():
            data = feed.feed(self, x, y, sample_weight, "columns").weighted(class_weight, self)
            job = self._job(_ONCE, RowBatches(data, data.rows), None)
        return self._told(one_batch(job), return_dict)

    # ------------------------------------------------------------------ evaluate and predict
    @checked
    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: Count | None = None,
        verbose: Verbose = "auto",
        sample_weight: Any = None,
        steps: Count | None = None,
        callbacks: Any = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss, or [loss, *metrics] where there are metrics, over x and y; with `return_dict` by name.

        x and y are what `fit` takes; of a stream `steps` batches.
        """
        self.need_compiled("evaluate")
        with self._unbuilt_if_refused():
            batches = to_evaluate(self, x, y, sample_weight, batch_size, steps)
        params = {"verbose": verbose, "epochs": 1, "steps": batches.steps}
        return self._told(self.measure(batches, Listeners(callbacks, self, params)), return_dict)

    @checked
    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """`evaluate` on one batch."""
        return self.evaluate(x, y, batch_size=sys.maxsize, sample_weight=sample_weight, return_dict=return_dict)

    def measure(self, batches: Batches, listeners: Listeners) -> Logs:
        """The logged numbers of batches in inference mode."""
        step, program = self.step("evaluate", batches.weights)
        return evaluate(Job(self, step, program, batches, _ONCE, listeners))

    def _told(self, logs: dict[str, float], as_dict: bool) -> Any:
        if as_dict:
            return logs
        values = [logs["loss"], *(value for key, value in self._in_order(logs) if key != "loss")]
        return values if len(values) > 1 else values[0]

    def _in_order(self, logs: Mapping[str, float]) -> list[tuple[str, float]]:
        """The logged numbers in the order of outputs and of their metrics."""
        alone = len(self.heads) == 1
        keys = [] if alone else [f"{head.name}_loss" for head in self.heads]
        keys += [head.named(key, alone) for head in self.heads for key in (*head.metrics, *head.weighted)]
        return [(key, logs[key]) for key in keys]

    @checked
    def predict(
        self,
        x: Any,
        batch_size: Count | None = None,
        verbose: Verbose = 0,
        steps: Count | None = None,
        callbacks: Any = None,
    ) -> Any:
        """The raw output (m, …) for x: probabilities where the last activation makes them, else logits or values.

        x is what `fit` takes; of a stream `steps` batches of x, (x, y) or (x, y, weight). Several outputs come as a
        list, or as a dict where the model was given one. Several threads may predict with one model.
        """
        if callbacks is None and batch_size is None and steps is None and plain(self, x):
            return self._output_form(self._outputs([x]))
        listeners = Listeners(callbacks)
        most = 32 if listeners.each_batch("predict") else _PREDICT_ROWS
        batches, known = to_predict(self, x, batch_size, steps, most)
        listeners.set_params({"verbose": verbose, "epochs": 1, "steps": known})
        listeners.set_model(self)
        chunks = predict(self, self._outputs, batches, listeners)
        if not chunks:
            raise door.refuse(DataError("the stream gave no batch.", expected="x, (x, y) or (x, y, w)"), "empty")
        joined = [each[0] if len(each) == 1 else np.concatenate(each) for each in zip(*chunks, strict=True)]
        return self._output_form(joined)

    def _outputs(self, arrays: Sequence[Any]) -> list[Any]:
        """The outputs for one array an input. Any number of threads may ask at once."""
        predictor = self._predictor
        if predictor is None:
            with _BUILDING:
                predictor = self._predictor = self._predictor or self._made_predictor()
        program, leaves = predictor
        return program.evaluate(dict(zip(leaves, arrays, strict=True))).outputs

    def _made_predictor(self) -> Any:
        leaves = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in self.inputs]
        with Pass(False):
            graph = Graph(leaves, self.forward(leaves))
        return engine_named(self.engine_name).compile(graph), leaves

    def _output_form(self, outputs: list[Any]) -> Any:
        if isinstance(vars(self).get("output_form"), Mapping):
            return dict(zip(self.output_form, outputs, strict=True))
        return outputs if isinstance(self.output_shape, list) else outputs[0]

    @checked
    def predict_on_batch(self, x: Any) -> Any:
        """`predict` on one batch."""
        return self.predict(x, batch_size=sys.maxsize)

    @checked
    def predict_probabilities(self, x: Any) -> Any:
        """Probabilities (m, k): the output, or its softmax or sigmoid where the loss is told that it holds logits."""
        output = self.predict(x)
        if self.asked is None:
            return output
        loss = self.heads[0].loss
        if not loss.probabilities:
            raise ArgumentError(
                "the outputs of this model are no probabilities.",
                found=f"the loss {type(loss).__name__}",
                fix="model.predict(X) gives the values",
            )
        return resolve_activation(loss.link)(output) if loss.from_logits else output

    @checked
    def predict_classes(self, x: Any, threshold: Any = 0.5) -> Any:
        """The most probable class of each example: its name where `model.classes` is known, else its number.

        For several labels (sigmoid outputs) the 0/1 decisions (m, k); `threshold` is one number or one a label.
        """
        p = self.predict_probabilities(x)
        if p.shape[1] > 1 and getattr(self.loss, "link", None) == "sigmoid":
            return (p > np.asarray(threshold)).astype(np.int64)
        labels = p.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] > threshold).astype(np.int64)
        return labels if self.classes is None else np.array(self.classes)[labels]

    @checked
    def __call__(self, *inputs: Any, training: bool = False) -> Any:
        """On arrays an array; on nodes a node: a model is a layer, too."""
        _, values = taken_apart(inputs)
        if any(isinstance(value, Node) for value in values):
            return super().__call__(*inputs, training=training)
        if not training:
            return self.predict(inputs[0] if len(inputs) == 1 else list(inputs))
        arrays = [array[:] for array in self.ready(inputs[0] if len(inputs) == 1 else list(inputs))]
        leaves = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in self.inputs]
        with Pass(True):
            out = self.forward(leaves)
        known = registry.lookup("values.reference")(out, dict(zip(leaves, arrays, strict=True)))
        return self._output_form([np.array(known[node]) for node in out])

    def collapse(self) -> Model:
        """The equivalent smaller model, where hidden layers without an activation are multiplied into the next one.

        W' = W₁W₂ and b' = b₁W₂ + b₂: however many linear layers, they are one linear layer. The result is uncompiled.

        >>> import backlit as bl
        >>> deep = bl.Sequential([bl.Input((3,)), bl.layers.Dense(5), bl.layers.Dense(4), bl.layers.Dense(1)])
        >>> deep.collapse().count_params()
        4
        """
        return registry.lookup("model.collapse")(self)

    # ------------------------------------------------------------------ words
    @checked
    def summary(self, print_fn: Annotated[Callable[[str], Any], taking(1)] = print) -> None:
        """Print the table of layers, output shapes and parameters. Optimizer state is not counted in the total."""
        print_fn(registry.lookup("show.summary")(self))

    def __reduce__(self) -> Any:
        return registry.lookup("io.pickled")(self)

    def get_config(self) -> dict[str, Any]:
        """The network as plain values, without weights; of a subclass with its own `call` the constructor's arguments."""
        return registry.lookup("io.network")(self) or super().get_config()

    @classmethod
    @checked
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> Any:
        """A new, uncompiled model of the network that `get_config` described, its weights freshly drawn."""
        return registry.lookup("io.from_config")(cls, config, custom_objects)

    @checked
    def save(self, path: PathLike, overwrite: bool = True) -> None:
        """Write one file with network, weights, optimizer, history and graph; see `backlit.load_model`.

        `path` ends in .backlit. A FileWarning says so where the file will need code of your own to be trained again.
        """
        registry.lookup("io.save_model")(self, path, overwrite)

    @checked
    def save_weights(self, filepath: PathLike, overwrite: bool = True) -> None:
        """Write the weights alone, by layer/name, into a .safetensors or .npz file."""
        registry.lookup("io.save_weights")(self, filepath, overwrite)

    @checked
    def load_weights(self, filepath: PathLike, skip_mismatch: bool = False) -> None:
        """Take the weights from a file that `save_weights` wrote for a model of the same layers' names and shapes.

        Raises FileError, and changes nothing, where names, shapes or dtypes differ; with `skip_mismatch=True` the
        weights that fit are taken, and a warning names the others.
        """
        registry.lookup("io.load_weights")(self, filepath, skip_mismatch)


def _shape_form(leaves: Any) -> Any:
    if isinstance(leaves, Mapping):
        return {key: leaf.shape for key, leaf in leaves.items()}
    return [leaf.shape for leaf in leaves] if isinstance(leaves, (list, tuple)) else leaves.shape
