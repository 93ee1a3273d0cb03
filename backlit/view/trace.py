"""The trace: what a graph computes, forward and back, step by step, with the numbers in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from ..core.arguments import Finite, Natural, PathLike, checked
from ..core.errors import ArgumentError, GraphError, UnknownNameError, ValueRangeError, did_you_mean
from ..core.node import FLOATS, Leaf, Node
from ..core.shapes import show
from .nudge import EPS, Counts, Nudge, Nudges, nudged, timing
from .page import page, still
from .steps import Local, Reading, Step, Worked, plain, shown
from .svg import drawn
from .symbolic import symbolic
from .table import table, typeset
from .why import why
from .words import listed


class Trace:
    """The steps of a graph with their numbers, forward and back.

    `forward` and `backward` are lists of `Step`; `t["c"]` is one step or leaf. `print` shows a table, a notebook the
    diagram. Numbers are float64 and stay those of the moment the trace was made.
    """

    blocks = False  # whether layers are drawn as one box each

    def __init__(self, reading: Reading, title: str = ""):
        self.reading, self.title = reading, title
        self._by_name = {name: node for node, name in reading.names.items()}

    # ------------------------------------------------------------------ the steps
    @property
    def of(self) -> str:
        """What is differentiated, by name: the last step, or J where the trace is a part of a larger one."""
        return self.reading.names[self.reading.root] if self._from_one else "J"

    @property
    def _from_one(self) -> bool:
        """Whether the way back begins with dJ/dJ = 1."""
        whole = self.reading.root is self.reading.worked.root
        return whole and np.ndim(self.reading.worked.seed) == 0 and float(self.reading.worked.seed) == 1.0

    @property
    def J(self) -> Any:
        """The value at the end."""
        return _number(self.reading.value(self.reading.root))

    @cached_property
    def forward(self) -> list[Step]:
        """The steps in the order they are computed."""
        return [self._forward(head) for head in self.reading.heads]

    @cached_property
    def backward(self) -> list[Step]:
        """The derivatives in the order they are computed: from J back to the parameters.

        What depends on no parameter has none here: a training never asks for it. `t[name].derivative` still has it.
        """
        return [self.step_back(node) for node in self.back_order]

    @cached_property
    def back_order(self) -> list[Node]:
        """The nodes of `backward`."""
        reading = self.reading
        if not reading.worked.differentiable:
            return []
        inner = [node for node in reading.leaves if node.inputs and node.dtype in FLOATS]  # steps of a larger trace
        wanted = set([*self.parameters, *inner] or [leaf for leaf in reading.leaves if leaf.dtype in FLOATS])
        needed = set(wanted)
        for head in reading.heads:
            if any(node in needed for node in reading.reads[head]):
                needed.add(head)
        order: dict[Node, None] = {}
        for head in reversed(reading.heads or [reading.root]):
            if head in needed or head is reading.root:
                order[head] = None
            first = [
                node for node in reading.reads.get(head, ()) if node in wanted and reading.readers[node][0] is head
            ]
            order.update(dict.fromkeys(reversed(first)))
        return list(order)

    @cached_property
    def kept(self) -> set[Node]:
        """The nodes whose values the way back reads: the cache."""
        return self.reading.kept(set(self.back_order))

    @property
    def parameters(self) -> list[Node]:
        """The trainable variables, as nodes of the trace."""
        found = self.reading.leaves
        return [leaf for leaf in found if isinstance(leaf, Leaf) and leaf.kind == "variable" and leaf.trainable]

    @property
    def names(self) -> list[str]:
        """The names of all leaves and steps."""
        return list(self._by_name)

    @property
    def layers(self) -> list[str]:
        """The layers of a network, in order, as `open` and `unit` take them."""
        return [name for name in dict.fromkeys(self.reading.layers[head] for head in self.reading.heads) if name]

    def __getitem__(self, name: str) -> Step:
        return self._forward(self.node(name))

    def node(self, name: Any) -> Node:
        """The node of the trace that a name or a node of the caller's means; UnknownNameError where there is none."""
        if isinstance(name, Node):
            found = self.reading.worked.place.get(name, name)
            if found in self.reading.worked.known:
                return found
            raise ArgumentError(f"{name!r} is no part of what is traced.", fix=f"one of {listed(self.names)}")
        if name in self._by_name:
            return self._by_name[name]
        raise UnknownNameError(
            f"the trace has no {name!r}.",
            name=str(name),
            expected=listed(self.names),
            fix=did_you_mean(str(name), self._by_name) or "name a value with bl.name(value, 'name')",
        )

    def _forward(self, node: Node) -> Step:
        reading, name = self.reading, self._name(node)
        if node not in reading.reads:
            return self._leaf(node)
        formula, numbers = reading.formula(node), reading.numbers(node)
        locals_ = {reading.names[i]: local for i, local in reading.locals(node).items()} if self.goes_back else {}
        operations = reading.operations(node)
        value = reading.value(node)
        with_numbers = "" if numbers == formula else f" = {numbers}"
        return Step(
            name=name,
            operation=", ".join(dict.fromkeys(op.op.name for op in operations)) or "name",
            formula=formula,
            numbers=numbers,
            value=_number(value),
            local={key: _number(local.value) for key, local in locals_.items()},
            derivative=self.slope(node),
            reuses=tuple(reading.names[user] for user in reading.readers[node]) if self.goes_back else (),
            sentence=f"{name} = {formula}{with_numbers} = {shown(value)}.{_meant(operations)}",
            layer=reading.layers.get(node, ""),
            cached=node in self.kept,
            note=reading.notes.get(node, ""),
            locals=locals_,
        )

    def _leaf(self, node: Node) -> Step:
        reading, name, value = self.reading, self._name(node), self.reading.worked.known[node]
        kind = node.kind if isinstance(node, Leaf) else "given"
        fixed = "" if node in self.parameters else ", which stays as it is"
        return Step(
            name=name,
            operation=kind,
            formula=name,
            numbers=shown(value),
            value=_number(value),
            local={},
            derivative=self.slope(node),
            reuses=tuple(reading.names[user] for user in reading.readers[node]),
            sentence=f"{name} is {_A[kind]}{fixed}: {shown(value)}.",
            layer=reading.layers.get(node, ""),
            cached=node in self.kept,
            note=reading.notes.get(node, ""),
        )

    def step_back(self, node: Node) -> Step:
        """The derivative of one step or leaf as a step of `backward`."""
        reading, name = self.reading, self._name(node)
        derivative, users = self.slope(node), [u for u in reading.readers[node] if reading.slopes[u] is not None]
        links = [(reading.names[u], local) for u in users if (local := reading.locals(u).get(node)) is not None]
        formula, numbers = self._chain(name, links)
        root = reading.root is node
        return Step(
            name=name,
            operation="start" if root else "chain rule" if links else "arrives" if np.any(derivative) else "no path",
            formula=formula or ("1" if root and self._from_one else "" if np.any(derivative) else "0"),
            numbers=numbers or shown(0.0 if derivative is None else derivative),
            value=_number(reading.value(node)),
            local={user: _number(local.value) for user, local in links},
            derivative=derivative,
            reuses=tuple(user for user, _ in links),
            sentence=self._told(node, links, formula, numbers, derivative),
            layer=reading.layers.get(node, ""),
            note=reading.notes.get(node, ""),
            locals=dict(links),
        )

    def _told(self, node: Node, links: Any, formula: str, numbers: str, derivative: Any) -> str:
        """One backward step in words."""
        name, of = self._name(node), self.of
        if node is self.reading.root:
            start = "1" if self._from_one else f"given: {shown(derivative)}"
            return f"The way back begins at {name}: d{of}/d{name} is {start}."
        if not links and np.any(derivative):
            return f"d{of}/d{name} arrives from what comes later: {shown(derivative)}."
        if not links:
            return f"{of} does not depend on {name}: no path, derivative 0."
        known = listed([f"d{of}/d{user}" for user, _ in links if user != of])
        again = f" {known} {'was' if len(links) == 1 else 'were'} there already." if known else ""
        if np.ndim(derivative) == 0 and all(_is_single(local) for _, local in links):
            moves = [f"{user} grows by {plain(float(local.value))} eps" for user, local in links]
            last = "" if [of] == [user for user, _ in links] else f", and so {of} by {plain(derivative)} eps"
            chain = list(dict.fromkeys([formula, numbers, plain(derivative)]))
            how = f": {' = '.join(chain)}" if len(chain) > 1 else ""
            return f"If {name} grows by eps, {listed(moves)}{last}{how}.{again}"
        return f"d{of}/d{name} = {formula}, of shape {np.shape(derivative)}.{again}"

    def _chain(self, name: str, links: Sequence[tuple[str, Local]]) -> tuple[str, str]:
        """The chain rule for one value: its formula, and the formula with the numbers in it."""
        formulas, numbers = [], []
        for user, local in links:
            if not _is_single(local):
                formulas.append(local.passed)
                continue
            factor = plain(float(local.value))
            if user == self.of:  # the first factor would be 1
                formulas.append(local.formula)
                numbers.append(factor)
            else:
                formulas.append(f"d{self.of}/d{user} · d{user}/d{name}")
                slope = self.slope(self._by_name[user])
                numbers.append(f"{plain(slope)} · {f'({factor})' if factor[0] == '-' else factor}")
        whole = " + ".join(numbers) if len(numbers) == len(formulas) else ""
        return " + ".join(formulas).replace("+ -", "- "), whole.replace("+ -", "- ")

    def slope(self, node: Node) -> Any:
        """dJ/d(node): 0 where there is no path, None for whole numbers and where nothing is differentiated."""
        if not self.goes_back or node.dtype not in FLOATS:
            return None
        found = self.reading.slopes[node] if node in self.reading.slopes else self.reading.worked.slopes([node])[node]
        return _number(np.zeros_like(self.reading.value(node)) if found is None else found)

    @property
    def goes_back(self) -> bool:
        """Whether there are derivatives: a prediction alone has none."""
        return self.reading.worked.differentiable

    def _name(self, node: Node) -> str:
        return self.reading.names[node]

    # ------------------------------------------------------------------ questions
    @cached_property
    def counts(self) -> Counts:
        """n steps and p parameters: n + p against n · p, for steps and for single numbers, and measured by `timed()`."""
        reading, leaves = self.reading, self.parameters
        numbers = sum(np.size(reading.value(head)) for head in reading.heads)
        scalars = Counts(numbers, sum(np.size(reading.value(leaf)) for leaf in leaves))
        watch = (lambda: timing(reading, leaves)) if self.goes_back and leaves else None
        return Counts(len(reading.heads), len(leaves), scalars, watch)

    @checked
    def nudge(self, name: Any, eps: Finite | Sequence[Finite] = EPS, index: Any = None) -> Nudge | Nudges:
        """J with one number of a step or leaf changed by eps, everything downstream computed anew.

        `eps` is a number, or several for a table of ratios. `index` picks the number of an array. Any step may be
        nudged, not only leaves: what makes it is left as it is. Raises UnknownNameError, ShapeError for a missing or
        wrong index, DTypeError for whole numbers, ValueRangeError for eps = 0.

        >>> import backlit as bl
        >>> w = bl.variable(3.0, name="w")
        >>> print(bl.trace(w ** 2).nudge("w", [0.01, 0.001]))
        w changed by eps, everything downstream computed anew; the derivative is 6
          eps  J before   J after    change  change/eps
         0.01         9    9.0601    0.0601        6.01
        0.001         9  9.006001  0.006001       6.001
        """
        several = list(eps) if isinstance(eps, (Sequence, np.ndarray)) else [eps]
        if not several or not all(several):
            raise ValueRangeError("eps is by how much the number changes.", expected="anything but 0", found=str(eps))
        self._need_derivatives("nudge")
        node = self.node(name)
        of = self.reading.names.get(self.reading.worked.root, "J")
        rows = [nudged(self.reading, node, each, index, of) for each in several]
        return Nudges(rows) if isinstance(eps, (Sequence, np.ndarray)) else rows[0]

    @checked
    def why(self, name: Any, index: Any = None) -> Any:
        """Why the derivative of a step or leaf is zero, tiny, huge or not finite: the step on the way where that
        happens, and what makes it so. `index` picks one number of an array; without it the whole array is asked for.

        >>> import backlit as bl
        >>> w, x = bl.variable(2.0, "w"), bl.constant(-3.0, "x")
        >>> a = bl.name(bl.nn.relu(bl.name(w * x, "z")), "a")
        >>> print(bl.trace((a - 1) ** 2).why("w"))
        dJ/dw = 0: it vanishes at a = relu(z) = relu(-6) = 0, which is flat there (off): da/dz = z > 0 = 0.
          w → z ✕ a
        """
        self._need_derivatives("why")
        return why(self.reading, self.node(name), index)

    @checked
    def symbolic(self, name: str) -> Any:
        """dJ/d(name) as a formula, by sympy (extra [symbolic]), with its value: for graphs of single numbers.

        >>> import backlit as bl
        >>> w = bl.variable(3.0, name="w")
        >>> bl.trace((2 + 3 * w) ** 2).symbolic("w")           # doctest: +SKIP
        dJ/dw = 18*w + 12 = 66
        """
        self._need_derivatives("symbolic")
        return symbolic(self.reading, self.node(name))

    def _need_derivatives(self, call: str) -> None:
        if not self.goes_back:
            raise GraphError(f"{call} asks for derivatives, but what was traced is no cost.", fix="trace(x, y)")

    # ------------------------------------------------------------------ networks
    @checked
    def open(self, layer: str) -> Trace:
        """The operations of one layer of a network, each a step of its own, with the same numbers."""
        raise self._no_layer(layer)

    @checked
    def unit(self, layer: str, unit: Natural = 0, example: Natural | None = None) -> Trace:
        """One unit of a dense layer on one example: z = w·x + b, then a = g(z), and the way back through it."""
        raise self._no_layer(layer)

    def _no_layer(self, layer: str) -> UnknownNameError:
        expected = listed(self.layers) if self.layers else "none: this is no network; model.trace(x, y) has layers"
        fix = did_you_mean(layer, self.layers)
        return UnknownNameError(f"the trace has no layer {layer!r}.", name=layer, expected=expected, fix=fix)

    # ------------------------------------------------------------------ output
    def __str__(self) -> str:
        return table(self)

    def __repr__(self) -> str:
        return f"<Trace of {self.title or 'J'} = {shown(self.J)}: {len(self.reading.heads)} steps>"

    @checked
    def to_svg(self, path: PathLike | None = None) -> str:
        """The diagram as SVG: values in blue, derivatives in green, the way forward blue, the way back red. Returns the
        text; with `path` also writes it."""
        return _written(drawn(self), path)

    @checked
    def to_html(self, path: PathLike | None = None) -> str:
        """One page that needs no network: step forward and back, play, nudge by a click, quiz. As `to_svg` otherwise."""
        return _written(page(self), path)

    @checked
    def to_latex(self, path: PathLike | None = None) -> str:
        """The steps forward and back as LaTeX, an `aligned` block each. As `to_svg` otherwise."""
        return _written(typeset(self), path)

    def _repr_html_(self) -> str:
        return still(self)


_A = {
    "variable": "a variable",
    "constant": "a constant",
    "input": "an input",
    "array": "an array",
    "state": "a state",
    "given": "given",
}


def _number(value: Any) -> Any:
    """A Python number for a single number, a new array otherwise."""
    if value is None:
        return None
    array = np.asarray(value)
    return array.item() if array.ndim == 0 else np.array(array)


def _meant(operations: Sequence[Node]) -> str:
    """What a step of one operation is said to do, by its record."""
    if len(operations) != 1:
        return ""
    return " " + operations[0].op.doc.partition(". ")[0].rstrip(".").replace("`", "") + "."


def _is_single(local: Local) -> bool:
    """Whether a local derivative is one number."""
    return local.value is not None and np.ndim(local.value) == 0


def _written(text: str, path: Any) -> str:
    if path is not None:
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    return text


@checked
def trace(J: Node, feed: Mapping[Any, Any] | None = None) -> Trace:
    """Every value and every derivative of a graph, step by step; `feed` gives the inputs their arrays.

    A value named with `bl.name` is a step, and what is not named joins the step it leads to; without any name every
    operation is a step. Raises GraphError where J is not one floating-point number, NotReadyError for an input that is
    not fed.

    >>> import backlit as bl
    >>> w, x = bl.variable(2.0, name="w"), bl.constant(-2.0, name="x")
    >>> c = bl.name(w * x, "c")
    >>> a = bl.name(c + 8, "a")
    >>> t = bl.trace(bl.name((a - 2) ** 2 / 2, "J"))
    >>> [(step.name, step.value, step.derivative) for step in t.backward]
    [('J', 2.0, 1.0), ('a', 4.0, 2.0), ('c', -4.0, 2.0), ('w', 2.0, -4.0)]
    """
    if J.shape != () or J.dtype not in FLOATS:
        raise GraphError(
            "trace follows a cost that is one floating-point number.",
            expected="shape ()",
            found=f"shape {show(J.shape)} {J.dtype}",
            fix="bl.trace(bl.ops.sum(J)), or the mean",
        )
    return Trace(Reading(Worked(J, _fed(feed or {}))))


def _fed(feed: Mapping[Any, Any]) -> dict[Node, Any]:
    for leaf in feed:
        if not isinstance(leaf, Leaf) or leaf.kind != "input":
            raise ArgumentError(
                "feed gives inputs their arrays.", found=repr(leaf), fix="{x: array} with x = bl.input(…)"
            )
    return {leaf: np.asarray(value, leaf.dtype) for leaf, value in feed.items()}
