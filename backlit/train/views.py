"""What a model says of itself: equations, shapes, words."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from ..core import registry
from ..core.arguments import Count, Decay, checked
from ..engines.base import chosen
from .fitting import Given

Convention: TypeAlias = Literal["rows", "columns"]
Form: TypeAlias = Literal["vectorised", "loops"]


class Views:
    """The part of a model that shows it; what is shown is made in the room `view`."""

    engine_name: str

    @property
    def engine(self) -> str:
        """The engine that runs the model here; what "auto" stands for is decided by what is installed.

        >>> import backlit as bl
        >>> bl.Sequential([bl.layers.Dense(1)]).engine in ("compiled", "planned")
        True
        """
        return chosen(self.engine_name)

    @checked
    def equations(self, numbers: bool = False, convention: Convention = "rows") -> Any:
        """The equations of this network while it trains: forward, cost and backward, each with its shape.

        `convention`: "rows" (an example is a row, Z = X W + b, as in Keras) or "columns" (an example is a column,
        Z = W X + b, as in many courses; dense networks only, ValueRangeError otherwise). `numbers`: the weights' values,
        too. `print` shows the text, a notebook sets it; `.latex`, `.rows`, and `.values(x, y)`, which computes every
        quantity by these equations. Raises NotReadyError for a model that has no weights yet.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2, "relu"), bl.layers.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> for equation in model.equations().rows[-6:]:
        ...     print(f"{str(equation):<30}{equation.shape}")
        dZ2 = 2 * (A2 - Y)            (m, 1)
        dW2 = A1ᵀ dZ2 / m             (2, 1)
        db2 = sum(dZ2, axis=0) / m    (1,)
        dZ1 = dZ2 W2ᵀ * (Z1 > 0)      (m, 2)
        dW1 = Xᵀ dZ1 / m              (3, 2)
        db1 = sum(dZ1, axis=0) / m    (2,)
        """
        return registry.lookup("view.equations")(self, convention, numbers)

    @checked
    def as_numpy(self, form: Form = "vectorised", columns: bool = False) -> Any:
        """This network as a plain NumPy program: forward, cost, backward, update and a loop that trains.

        `form`: "vectorised", or "loops" over examples, units and the terms of every sum. `columns`: examples as columns,
        Z1 = W1 @ X + b1, dense networks only. `print` shows it, `.save(path)` writes it to a file, `.parameters` has the
        model's weights by the program's names, for its `initialize(weights=...)`. The program needs nothing but NumPy
        and computes in float64 what the model computes; where a sigmoid or softmax meets a logarithm it takes the safe
        form that training takes. Without `compile` there is the way forward alone; sample weights, class weights,
        metrics and the refusal of steps that are not finite are left out. Raises NotReadyError for a model without
        weights, ValueRangeError, which names the layer, for what NumPy has no words for.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2, "relu"), bl.layers.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> for line in str(model.as_numpy()).splitlines():
        ...     if line.startswith("    dW"):
        ...         print(line)
            dW2 = A1.T @ dZ2 / m                                  # (2, 1)
            dW1 = X.T @ dZ1 / m                                   # (3, 2)
        """
        return registry.lookup("view.as_numpy")(self, form, columns)

    @checked
    def shapes(self, convention: Convention = "rows", x: Any = None, y: Any = None) -> Any:
        """The shape of every weight, of what each layer makes and of every gradient, with m for the number of examples.

        `x`, `y`: data that are not taken; the shapes that they bring stand beside, with a cross (red in a notebook)
        where they do not fit, and `.fits` says whether they do. `convention` and errors as in `equations`. `print` shows
        a table; `.rows` has its rows.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2, "relu")])
        >>> [(row.quantity, row.shape) for row in model.shapes().rows]
        [('X', '(m, 3)'), ('W1', '(3, 2)'), ('b1', '(2,)'), ('Z1', '(m, 2)'), ('A1', '(m, 2)')]
        """
        return registry.lookup("view.shapes")(self, convention, x, y)

    @checked
    def source(self, batch_size: Count | None = None) -> Any:
        """What the engine runs for one training step of `batch_size` (32) examples: each line with the layer it came
        from, the bytes it writes and who runs it: machine code, NumPy, or NumPy called back from machine code.

        `print` shows the text; `.lines` has `.layer`, `.text`, `.bytes`, `.how`. Raises NotReadyError for a model that is
        not compiled or has no weights, ArgumentError for the engine "xla".

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2, "relu", name="h"), bl.layers.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse", engine="planned")
        >>> next(line.text for line in model.source().lines if line.layer == "h")
        'matmul (32, 3), (3, 2) -> (32, 2)'
        """
        return registry.lookup("view.source")(self, batch_size)

    @checked
    def profile(self, x: Any, y: Any, batch_size: Count | None = None) -> Any:
        """How long each line of a training step takes on the first `batch_size` (32) examples, each run by itself: time,
        share, bytes written, and products' speed as a share of a large product's in NumPy's BLAS.

        Nothing is trained and nothing changed. `print` shows the table by layer; `.lines` has `.layer`, `.text`,
        `.seconds`, `.gflops` …, `.seconds` the sum. Errors as in `source`, and ArgumentError where data do not fit.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(2, "relu"), bl.layers.Dense(1)])
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> model.profile([[1.0, 2.0, 3.0]], [[1.0]]).seconds > 0
        True
        """
        return registry.lookup("view.profile")(self, x, y, batch_size)

    @checked
    def explain(self, x: Any = None, y: Any = None) -> Any:
        """What this network is, what its outputs mean, how it was trained and what the usual rules of thumb advise, in plain
        words on one screen. `x`, `y`: data that the advice then takes into account (the range of y, units that x leaves
        dead); refused as by `predict`.

        `print` shows the text, `.to_json()` gives the same as a dict. Works for models that are not compiled, not
        built or not trained: what is unknown is said.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(1, "sigmoid")])
        >>> model.explain().to_json()["kind"]
        'logistic regression'
        """
        return registry.lookup("view.explain")(self, x, y)

    @checked
    def trace(self, x: Any, y: Any = None) -> Any:
        """Every value and every derivative that this network computes for a batch: forward and back, layer by layer.

        What is traced is the next training step's cost (with its dropout masks and batch statistics); without y the
        prediction alone. dQ of a quantity Q is ∂J/∂Q, for weights as for Z and A. `print` shows a table, a notebook a
        diagram; `.forward`, `.backward`, `.nudge`, `.why`, `.open(layer)`, `.unit(layer, k)`, `.to_html(path)` and what
        else a `bl.trace` has. Where training puts a formula into a safer form, the step says so. The model stays as it
        is. Raises NotReadyError for a model without weights or, with y, one that is not compiled, and what `fit` would
        raise for the data.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.Input((1,)), bl.layers.Dense(1, "relu", kernel_initializer="ones", name="L1")])
        >>> model.compile(optimizer="sgd", loss="mse")
        >>> [(step.name, step.derivative.tolist()) for step in model.trace([[2.0]], [[5.0]]).backward[1:]]
        [('A1', [[-6.0]]), ('Z1', [[-6.0]]), ('b1', [-6.0]), ('W1', [[-12.0]])]
        """
        return registry.lookup("view.network")(self, x, y)

    @checked
    def diagnose(
        self,
        x: Any = None,
        y: Any = None,
        sample_weight: Any = None,
        batch_size: Count | None = None,
        validation_split: Decay = 0.0,
        validation_data: Any = None,
        overfit: bool = False,
    ) -> Any:
        """What is wrong with this model for these data: a Report of findings, causes first, each with its evidence, its
        fix and the line it is about; where nothing is, the rules that were checked and their values.

        The arguments are those of `fit`; of a stream the first batch is examined. Before the first training the report
        has what the doctor sees of its first step, which is not made; after one, what was seen of that. Nothing is changed,
        an unbuilt model stays unbuilt. What is wrong with model or data is never raised: what `fit` would refuse is an
        error among the findings. `print` shows the text; `.findings`, `.checked`, `.to_json()`.

        `overfit=True` also tries whether at most 16 rows can be learnt by heart: a copy is trained on them alone from its
        first weights, at most 300 steps and a few seconds, with optimizer, dropout and penalties as they are, since these
        are on trial, too. `.trial` has what came of it.

        >>> import backlit as bl
        >>> model = bl.Sequential([bl.layers.Dense(1, "softmax", name="out")])
        >>> model.compile(optimizer="sgd", loss="binary_crossentropy")
        >>> report = model.diagnose([[0.0], [1.0]], [0, 1])
        >>> report.findings[0].said
        'out: a softmax over 1 unit is always 1, whatever the weights are.'
        >>> X, y = [[x, x * x] for x in (-2.0, -1.0, 1.0, 2.0)], [0, 1, 1, 0]
        >>> model = bl.Sequential([bl.layers.Dense(16, "relu"), bl.layers.Dense(1, "sigmoid")])
        >>> model.compile(optimizer=bl.optimizers.Adam(0.05), loss="binary_crossentropy")
        >>> model.diagnose(X, y, overfit=True).trial.learnt
        True
        """
        held = {"held": validation_data, "share": validation_split, "stratify": False}
        given = Given(x=x, y=y, sample_weight=sample_weight, class_weight=None, **held)
        return registry.lookup("doctor.diagnose")(self, given, batch_size, overfit)
