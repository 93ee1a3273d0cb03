"""Whether every layer stands where it can do its work: dropout, normalization, softmax, and the axes of the data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..core import registry
from ..core.check import Check, Repair, Values
from ..core.node import Node
from ..core.shapes import M
from ..core.walk import topological
from ..layers.activation import Activation
from ..layers.conv import Conv2D
from ..layers.dense import Dense
from ..layers.dropout import Dropout
from ..layers.lambda_ import Lambda
from ..layers.norm import BatchNormalization
from ..layers.pool import GlobalAveragePooling2D
from .linear import layers_of
from .programs import ROWS, classes, network, points, sparse
from .ranges import plain
from .subject import GraphFacts, Subject

_HALF = 0.5
_FEW = 2  # rows from which a mean and a deviation are taken
_SAME = 2  # rows that are predicted once with some rows and once with others
_CHANNELS = (1, 3, 4)


# ---------------------------------------------------------------------- dropout
def _drawn(facts: GraphFacts) -> dict[Node, float]:
    """The nodes that set numbers to 0 by chance, with how often."""
    found = {}
    for node in topological(facts.outputs):
        if node.op.name == "where" and (share := _dropped(node.inputs[0])) is not None:
            found[node] = share
    return found


def _dropped(kept: Node) -> float | None:
    kept = plain(kept)
    while kept.op.name in ("reshape", "broadcast_to"):
        kept = plain(kept.inputs[0])
    return 1 - float(kept.attrs["p"]) if kept.op.name == "random_bernoulli" else None


class DropoutOnTheOutput(Check):
    """Dropout behind the last weights: answers themselves are set to 0, and the others made larger."""

    rules, severity = (52,), "warning"
    argument = "dropout"
    why = "no weights come after it that could do without what is missing: the loss is that of wrong answers"
    explains = (
        "output_is_no_probability",
        "target_out_of_reach",
        "shares_that_do_not_compete",
        "log_of_negative",
        "loss_at_start",
    )

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The share of answers that are dropped, for each output."""
        facts = subject.facts
        drawn = _drawn(facts)
        for head in subject.heads:
            at = [node for node in _behind_weights(facts, head.node) if node in drawn]
            if drawn:
                layer = facts.layer_names.get(at[0], head.layer) if at else head.layer
                yield {"layer": layer, "rate": max((drawn[node] for node in at), default=0.0), "of_output": head.layer}

    def wrong(self, v: Values) -> bool:
        """Any."""
        return bool(v["rate"] > 0)

    def message(self, v: Values) -> str:
        """How many."""
        return f"dropout sets {v['rate']:.0%} of the answers of {v['of_output']} to 0 in training, behind the last weights."

    def fix(self, v: Values) -> str:
        """Before the last layer."""
        return f"Dropout({v['rate']:.2g}) before the last layer with weights, or none"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """None."""
        names = [layer.name for layer in subject.facts.model.everything()]
        return Repair(dropped=(v["layer"],)) if v["layer"] in names else None

    def bad(self) -> tuple[Any, ...]:
        """Half of the answers."""
        return network(Dense(8, "relu"), Dense(3), Dropout(0.5), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Half of the hidden units."""
        return network(Dense(8, "relu"), Dropout(0.5), Dense(3), loss=sparse()), points(), classes(3)


def _behind_weights(facts: GraphFacts, root: Node) -> list[Node]:
    """The nodes between the last products with weights and this output."""
    ends = {node for node in topological([root]) if _weighted(node)}
    return [node for node in topological([root], lambda node: () if node in ends else node.inputs) if node not in ends]


def _weighted(node: Node) -> bool:
    """Whether it is a product with trained weights."""
    return node.op.kind == "structural" and any(getattr(i, "kind", "") == "variable" for i in node.inputs)


class MuchDropout(Check):
    """Dropout of more than a half: what is drawn varies more from step to step than what the layer says."""

    rules, severity, sure = (52,), "warning", 0.8
    grounds = "rule of thumb"
    argument = "dropout"
    why = "of a number that is dropped with probability r the noise has r / (1 - r) times the square of the number"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The largest rate, and how many layers have one above a half."""
        drawn = _drawn(subject.facts)
        if drawn:
            worst = max(drawn, key=drawn.__getitem__)  # the first one of those
            rate, many = drawn[worst], sum(rate > _HALF + 1e-6 for rate in drawn.values())
            layer = subject.facts.layer_names.get(worst)
            yield {"layer": layer, "rate": rate, "noise": rate / (1 - rate), "layers": many}

    def wrong(self, v: Values) -> bool:
        """More than the published half."""
        return bool(v["rate"] > _HALF + 1e-6)

    def message(self, v: Values) -> str:
        """Rate and noise."""
        what = f"dropout of {v['rate']:.2g} keeps {1 - v['rate']:.0%} of the numbers"
        what += f", in {v['layers']} layers" if v["layers"] > 1 else ""
        return f"{what}: the noise is {v['noise']:.2g} times as strong as they are."

    def fix(self, v: Values) -> str:
        """Less."""
        return "Dropout(0.2)"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Less."""
        known = [layer.name for layer in subject.facts.model.everything() if hasattr(layer, "rate")]
        return Repair(layers={v["layer"]: {"rate": 0.2}}) if v["layer"] in known else None

    def bad(self) -> tuple[Any, ...]:
        """Eight in ten."""
        return network(Dense(16, "relu"), Dropout(0.8), Dense(3), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """A fifth."""
        return network(Dense(16, "relu"), Dropout(0.2), Dense(3), loss=sparse()), points(), classes(3)


# ---------------------------------------------------------------------- normalization by batches
class NormalizedByFewRows(Check):
    """Batch normalization of batches of one or two: each number is compared with itself, or with one other."""

    rules, phase, needs = (53, 31, 54), "data", ("x", "settings")
    argument = "batch_size"
    why = (
        "a single number is its own mean: normalized it is 0, whatever it was; the sign of a difference is left of two"
    )

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many numbers each mean over a batch is taken from."""
        rows = subject.settings.get("batch_size") or 32
        if rows <= _FEW and subject.facts.moving:
            for node in topological(subject.facts.written):
                if node.op.name == "mean" and M in node.inputs[0].shape[:1] and 0 in node.attrs["axis"]:
                    shape = node.inputs[0].shape
                    others = [shape[axis] for axis in node.attrs["axis"] if axis]
                    count = rows * int(np.prod([dim for dim in others if isinstance(dim, int)], dtype=np.int64))
                    yield {"layer": subject.facts.layer_names_written.get(node), "batch_size": rows, "numbers": count}
                    return

    def wrong(self, v: Values) -> bool:
        """One or two."""
        return bool(v["numbers"] <= _FEW)

    def message(self, v: Values) -> str:
        """How many."""
        what = "a mean of one number" if v["numbers"] == 1 else f"a mean of {v['numbers']} numbers"
        return f"with batch_size={v['batch_size']} this batch normalization takes {what}."

    def fix(self, v: Values) -> str:
        """More rows."""
        return "batch_size=32, or LayerNormalization() in its place"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """More rows."""
        return Repair(fit={"batch_size": 32})

    def bad(self) -> tuple[Any, ...]:
        """Batches of one."""
        layers = Dense(8), BatchNormalization(), Activation("relu"), Dense(3)
        return network(*layers, loss=sparse()), points()[:40], classes(3)[:40], {"batch_size": 1}

    def good(self) -> tuple[Any, ...]:
        """Batches of 32."""
        layers = Dense(8, use_bias=False), BatchNormalization(), Activation("relu"), Dense(3)
        return network(*layers, loss=sparse()), points()[:40], classes(3)[:40], {"batch_size": 32}


class BiasBeforeNormalization(Check):
    """A bias whose sums are then reduced by their mean over the batch, which takes the bias away again."""

    rules, severity = (53,), "note"
    argument = "use_bias"
    why = "the mean over the batch holds the bias, too: it has no effect and no gradient"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """For each layer with a bias whether what follows first is such a mean."""
        wiring = subject.facts.wiring
        for one in wiring.products:
            if biases := wiring.biases(one):
                users = wiring.users[wiring.shifted(one)]
                taken = any(user.op.name in ("mean", "sum") and 0 in user.attrs["axis"] for user in users)
                lost = taken and any(user.op.name == "subtract" for user in users)
                yield {"layer": one.layer, "numbers": sum(leaf.array.size for leaf in biases), "lost": lost}

    def wrong(self, v: Values) -> bool:
        """It is."""
        return bool(v["lost"])

    def message(self, v: Values) -> str:
        """How many numbers do nothing."""
        return f"batch normalization takes the mean away, and with it the {v['numbers']} numbers of the bias."

    def fix(self, v: Values) -> str:
        """No bias."""
        return "use_bias=False in the layer before BatchNormalization()"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """No bias."""
        return Repair(layers={v["layer"]: {"use_bias": False}})

    def bad(self) -> tuple[Any, ...]:
        """A bias in front of batch normalization."""
        layers = Dense(8), BatchNormalization(), Activation("relu"), Dense(3)
        return network(*layers, loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """None."""
        layers = Dense(8, use_bias=False), BatchNormalization(), Activation("relu"), Dense(3)
        return network(*layers, loss=sparse()), points(), classes(3)


# ---------------------------------------------------------------------- softmax between layers
class SoftmaxInside(Check):
    """A softmax over the units between two layers with weights. Of attention and of gates, where what follows is a
    product with data, nothing is said, nor of a bottleneck, whose shares are meant."""

    rules, severity = (14, 15), "warning"
    argument = "activation"
    why = "the units share one probability: of n units each gives about 1/n, and little of a gradient gets through"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """The products with weights that read a softmax."""
        facts = subject.facts
        names = facts.layer_names
        for node in topological(facts.outputs):
            if _weighted(node):
                soft = _read(node)
                if soft is not None and any(map(_weighted, topological([soft]))):
                    units = soft.shape[-1]
                    before = _fan_in(soft)
                    narrow = isinstance(units, int) and units < min(before, int(node.shape[-1]))
                    yield {"layer": names.get(soft), "units": units, "before": before, "narrow": narrow}

    def wrong(self, v: Values) -> bool:
        """It is no bottleneck."""
        return not v["narrow"]

    def message(self, v: Values) -> str:
        """How many units share."""
        return f"softmax between layers: its {v['units']} units share the sum 1, about {1 / v['units']:.2g} each."

    def fix(self, v: Values) -> str:
        """Another activation."""
        return f"Dense({v['units']}, activation='relu')"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """ReLU."""
        return Repair(layers={v["layer"]: {"activation": "relu"}})

    def bad(self) -> tuple[Any, ...]:
        """A softmax in the middle."""
        return network(Dense(16, "softmax"), Dense(3), loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """A ReLU."""
        return network(Dense(16, "relu"), Dense(3), loss=sparse()), points(), classes(3)


_THROUGH = frozenset(["mark", "cast", "linear", "reshape", "where", "divide", "windows"])


def _read(product: Node) -> Node | None:
    """The softmax over the last axis that a product reads, with nothing but dropout and new shapes between."""
    data = [i for i in product.inputs if getattr(i, "kind", "") != "variable"]
    node = data[0] if len(data) == 1 else None
    while node is not None and node.op.name != "softmax":
        parts = node.inputs[1:2] if node.op.name == "where" else node.inputs[:1]
        node = parts[0] if node.op.name in _THROUGH and parts else None
    if node is None or node.attrs["axis"] not in (-1, len(node.shape) - 1, (-1,), (len(node.shape) - 1,)):
        return None
    return node


def _fan_in(node: Node) -> int:
    """How many numbers the product before sees."""
    found = [one for one in topological([node]) if _weighted(one)]
    return int(found[-1].inputs[0].shape[-1])


# ---------------------------------------------------------------------- rows and axes
class MixedExamples(Check):
    """Predictions that depend on which other rows are predicted with them: a sum, a softmax or a sort over the rows."""

    rules, phase, needs = (46,), "data", ("x",)
    argument = "axis"
    why = "the first axis is that of the examples: what is taken over it mixes the answers of different rows"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """Whether outputs of rows change when another row does."""
        facts = subject.facts
        rows = subject.some_rows(3 * _SAME)
        if len(rows) < 3 * _SAME:
            return
        parts = [np.asarray(part[rows]) for part in subject.x]
        given = [part[: 2 * _SAME] for part in parts]
        other = [np.concatenate([part[2 * _SAME :], part[_SAME : 2 * _SAME]]) for part in parts]
        roots = facts.linear.given
        one, two = (
            registry.lookup("values.reference")(roots, dict(zip(facts.inputs, part, strict=True)))
            for part in (given, other)
        )
        seen = [root for root in roots if _mixes(root, one, two)]
        order = topological(roots) if seen else []
        mixing = next((node for node in order if _mixes(node, one, two)), None)
        yield {
            "layer": layers_of(order).get(mixing) if seen and mixing is not None else None,
            "operation": _over(mixing) if seen and mixing is not None else "",
            "outputs": len(seen),
        }

    def wrong(self, v: Values) -> bool:
        """They do."""
        return bool(v["outputs"])

    def message(self, v: Values) -> str:
        """Where it begins."""
        return f"the answer to a row depends on the other rows: {v['operation']} goes over the axis of the examples."

    def fix(self, v: Values) -> str:
        """Another axis."""
        return f"axis=-1 in {v['operation']}, or any axis but 0"

    def bad(self) -> tuple[Any, ...]:
        """A softmax over the rows."""
        layers = Dense(8, "relu"), Lambda(_over_rows, name="share"), Dense(3)
        return network(*layers, loss=sparse()), points(), classes(3)

    def good(self) -> tuple[Any, ...]:
        """Without."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)


def _over(mixing: Node) -> str:
    """The operation by which the rows come together: it, or the one before that has an answer for all of them."""
    before = [node for node in topological(mixing.inputs) if any(i.shape[:1] == (M,) for i in node.inputs)]
    return next((node.op.name for node in reversed(before) if M not in node.shape and node.inputs), mixing.op.name)


def _over_rows(x: Any) -> Any:
    return x - registry.lookup("op.mean")(x, axis=0, keepdims=True)


def _mixes(node: Node, one: Any, two: Any) -> bool:
    """Whether the numbers of the rows that did not change changed."""
    if node.several or node.shape[:1] != (M,) or node not in one or not one[node].size:
        return False
    a, b = one[node], two[node]
    a, b = (part.reshape(2 * _SAME, -1)[_SAME:] for part in (a, b))
    return not np.allclose(a, b, rtol=1e-3, atol=1e-5 * max(1e-30, float(np.abs(a).max(initial=0.0))), equal_nan=True)


class OutputWithoutInput(Check):
    """Outputs that do not depend on X by any operation."""

    rules, severity = (45,), "error"
    rank, place = "structure", "compile"
    explains = ("no_path_for_gradient", "never_updated")
    argument = "inputs"
    why = "every row gets the same answer, whatever is trained"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """How many operations an output has, and whether one reads the inputs."""
        linear = subject.facts.linear
        for head in subject.heads:
            root = linear.roots[head.place]
            reads = root in linear.data
            yield {"layer": None, "output": head.layer, "operations": len(topological([root])), "reads": reads}

    def wrong(self, v: Values) -> bool:
        """None does."""
        return not v["reads"]

    def message(self, v: Values) -> str:
        """Which output."""
        return f"the output of {v['output']} does not depend on X: none of its {v['operations']} operations reads it."

    def fix(self, v: Values) -> str:
        """The input."""
        return "use the layer's input in its call"

    def bad(self) -> tuple[Any, ...]:
        """A layer that forgets what it is given."""
        return (
            network(Dense(8, "relu"), Lambda(_forgets, name="forgets"), Dense(3), loss=sparse()),
            points(),
            classes(3),
        )

    def good(self) -> tuple[Any, ...]:
        """One that does not."""
        return network(Dense(8, "relu"), Dense(3), loss=sparse()), points(), classes(3)


def _forgets(x: Any) -> Any:
    return registry.lookup("op.ones_like")(x)


class ChannelsFirst(Check):
    """Pictures whose channels stand before height and width, where the layers take them to stand last."""

    rules, phase, needs, sure = (57,), "data", ("x",), 0.9
    place, argument = "fit", "X"
    explains = ("weights_on_padding", "places_left_out")
    why = "the windows slide over channels and rows, and every column of the picture counts as a channel"

    def measure(self, subject: Subject) -> Iterator[Values]:
        """What the first windows of each input slide over, as it is before zeros are put around it."""
        order = subject.facts.linear.order
        for leaf in subject.facts.inputs:
            slid = (node for node in order if node.op.name == "windows" and leaf in topological([node]))
            data = next((node.inputs[0] for node in slid), None)
            if data is not None and len(data.shape) == 4:
                data = _unpadded(data)
                _, first, second, last = data.shape
                sizes = {"first": first, "second": second, "last": last}
                yield {"layer": None, "input": leaf.name, **sizes, "as_given": leaf.shape == data.shape}

    def wrong(self, v: Values) -> bool:
        """1, 3 or 4 rows of many columns and channels."""
        sizes = v["first"], v["second"], v["last"]
        if not all(isinstance(size, int) for size in sizes):
            return False
        return bool(sizes[0] in _CHANNELS and min(sizes[1:]) > 4 and sizes[1] == sizes[2])

    def message(self, v: Values) -> str:
        """How it is read."""
        shape = f"(m, {v['first']}, {v['second']}, {v['last']})"
        what = f"X {shape}" if v["as_given"] else f"what the layers before make of X, {shape},"
        return f"{what} is read as pictures of {v['first']} × {v['second']} points with {v['last']} channels."

    def fix(self, v: Values) -> str:
        """Channels last."""
        if v["as_given"]:
            return "X = X.transpose(0, 2, 3, 1), channels last"
        return "bl.layers.Permute((2, 3, 1)) before the first convolution or pooling, channels last"

    def repair(self, v: Values, subject: Subject) -> Repair | None:
        """Channels last."""
        if not v["as_given"]:
            return None
        return Repair(x=lambda x: np.transpose(np.asarray(x), (0, 2, 3, 1)))

    def bad(self) -> tuple[Any, ...]:
        """One channel, first."""
        return _pictures((1, 8, 8))

    def good(self) -> tuple[Any, ...]:
        """One channel, last."""
        return _pictures((8, 8, 1))


def _unpadded(node: Node) -> Node:
    """The same without zeros around it."""
    node = plain(node)
    while node.op.name == "dilate":
        node = plain(node.inputs[0])
    return node


def _pictures(shape: tuple[int, int, int]) -> tuple[Any, ...]:
    layers = Conv2D(4, 3, padding="same", activation="relu"), GlobalAveragePooling2D(), Dense(3)
    rng = np.random.Generator(np.random.PCG64(2))
    x = rng.normal(size=(ROWS, *shape)) + classes(3).reshape(-1, 1, 1, 1)
    return network(*layers, loss=sparse()), x, classes(3)
