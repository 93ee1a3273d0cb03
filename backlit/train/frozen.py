"""Models whose layers' code is not here: what they compute is read from the graph in their file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.errors import GraphError, UnknownNameError
from ..core.node import STRONG, Leaf, Node, input_leaf
from ..core.walk import substitute
from ..layers.layer import Layer, Pass, current_pass
from ..layers.network import flat
from . import stored
from .model import Model
from .stored import Array


# ---------------------------------------------------------------------- writing
def traced(model: Model) -> tuple[list[Leaf], list[Node], list[Node]]:
    """(inputs, outputs, penalties) of a built model in inference mode."""
    inputs = [input_leaf(leaf.shape, leaf.name, leaf.dtype) for leaf in model.inputs]
    with Pass(training=False) as running:
        outputs = list(model.forward(inputs))
    return inputs, outputs, [*model.penalties(), *running.penalties]


def predict_graph(
    model: Model, inputs: Sequence[Leaf], outputs: Sequence[Node], penalties: Sequence[Node]
) -> tuple[dict[str, Any], stored.Stored]:
    """What `traced` found as plain data, and what stands in it. With the penalties `evaluate` gives the same loss.

    Raises GraphError for what plain data and the library's own records cannot say.
    """
    names: dict[Leaf, str] = {}
    for name, leaf in model.named_weights().items():
        names.setdefault(leaf, name)
    out, places = stored.store(inputs, [*outputs, *penalties], names)
    said = {
        "inputs": [out.place[leaf] for leaf in inputs],
        "outputs": places[: len(outputs)],
        "names": model.output_names,
        "form": _form(model),
        "penalties": places[len(outputs) :],
        "nodes": out.nodes,
        "model": _row(model),
    }
    return said, out


def _form(model: Model) -> str:
    if isinstance(vars(model).get("output_form"), Mapping):
        return "dict"
    return "list" if isinstance(model.output_shape, list) else "one"


def _row(layer: Layer) -> dict[str, Any]:
    """What is known of a layer without its code."""
    return {
        "name": layer.name,
        "class": kind_name(layer),
        "trainable": layer.trainable,
        "shape": stored.plain(layer.output_shape),
        "weights": {name: leaf.kind for name, leaf in layer._weights.items()},
        "layers": [_row(part) for part in layer.layers],
    }


def kind_name(layer: Layer) -> str:
    """The name of a layer's class, also where the class itself is not here."""
    return layer.stands_for if isinstance(layer, (_Sealed, Frozen)) else type(layer).__name__


# ---------------------------------------------------------------------- reading
class _Sealed(Layer):
    """A layer whose code is not here, with its name and weights."""

    def __init__(self, kind: str, name: str):
        super().__init__(name=name)
        self.stands_for = kind

    def ensure_built(self, shape: Any) -> None:
        """Refused: it is never called."""
        raise UnknownNameError(
            f"the code of layer {self.name!r} ({self.stands_for}) is not here.", name=self.stands_for
        )


class Frozen(Model, spoken=False):
    """A model read from the graph in its file, because code that it was made of is not here: it predicts, prints and
    saves as before, but cannot be trained.

    `described`: the network as the file describes it. `cause`: the error met in building it. `missing`: the names of
    what is not here.
    """

    def __init__(self, described: Mapping[str, Any], cause: UnknownNameError, missing: Sequence[str]):
        super().__init__()
        self.described, self.cause, self.missing = described, cause, list(missing)
        self.stands_for = type(self).__name__

    def fill(self, said: Any, tensors: Mapping[str, Array], inputs: Any) -> None:
        """Take graph and layers from what `predict_graph` said; `inputs` has the structure of the model's inputs."""
        self.stands_for = str(said["model"]["class"])
        _known(self, said["model"], "", tensors)
        nodes = stored.read(said["nodes"], self.named_weights(), tensors)
        self._starts = [stored.earlier(place, nodes) for place in said["inputs"]]
        self._roots = [stored.earlier(place, nodes) for place in (*said["outputs"], *said["penalties"])]
        self._names, self._form_of_outputs = list(map(str, said["names"])), said["form"]
        count = len(said["outputs"])
        if count != len(set(self._names)) or said["form"] not in (
            ("one", "list", "dict") if count == 1 else ("list", "dict")
        ):
            raise GraphError("the outputs of the graph have no such names.", found=f"{said['names']!r:.60}")
        self.build_on(inputs)

    def call(self, x: Any, training: bool = False) -> Any:
        """The stored graph on other inputs."""
        running = current_pass()
        if training or running is None:
            raise self._refused()
        made = substitute(self._roots, dict(zip(self._starts, flat(x), strict=True)))
        ends = made[: len(self._names)]
        running.penalties += made[len(self._names) :]
        if self._form_of_outputs == "dict":
            return dict(zip(self._names, ends, strict=True))
        return ends if self._form_of_outputs == "list" else ends[0]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs."""
        return self._names

    def need_compiled(self, call: str) -> None:
        """Refuse whatever would train."""
        if call != "evaluate":
            raise self._refused()
        super().need_compiled(call)

    def _refused(self) -> UnknownNameError:
        return UnknownNameError(
            f"this model cannot be trained: it was made of {', '.join(self.missing)}, not defined here.",
            name=self.missing[0],
            found=self.cause.fields.get("found", ""),
            why="it was read from the graph in its file, which predicts but holds no code",
            fix=self._how_to_get_back(),
        )

    def _how_to_get_back(self) -> str:
        """What to type to have the code."""
        given = ", ".join(f"{name!r}: {name if name.isidentifier() else '…'}" for name in self.missing)
        return f"import what defines it before you load the file, or bl.load_model(path, custom_objects={{{given}}})"

    def note(self) -> str:
        """What to say to whom loads it."""
        return (
            f"it was made of {', '.join(self.missing)}, not defined here. It was read from its graph: it predicts, but "
            f"cannot be trained. To train it, {self._how_to_get_back()}."
        )


def _known(layer: Layer, row: Mapping[str, Any], path: str, tensors: Mapping[str, Array]) -> None:
    """Give `layer` the name, weights and parts that `row` tells of."""
    layer.given_name = layer.base_name = layer.name = layer.path = str(row["name"])
    layer.built, layer._trainable = True, bool(row["trainable"])
    layer.output_shape = stored.unplain(row["shape"])
    for name, kind in row["weights"].items():
        if kind not in ("variable", "state"):
            raise GraphError(f"{path}{name} is no weight.", found=f"{kind!r:.60}")
        array = np.array(tensors[path + name])
        layer._weights[name] = Leaf(
            kind, array, name=path + name, shape=array.shape, dtype=array.dtype.name, weak=STRONG
        )
    parts = []
    for each in row["layers"]:
        parts.append(_Sealed(str(each["class"]), str(each["name"])))
        _known(parts[-1], each, f"{path}{each['name']}/", tensors)
    layer.parts = parts
