"""The optimizer's step of a printed NumPy program: what each parameter becomes, from the optimizer's own formula."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..core.node import Leaf, Node, input_leaf
from ..core.op import as_node, cast
from ..core.walk import rebuild, topological
from .as_numpy_arrays import Arrays
from .as_numpy_words import doc_lines, literal
from .rules import turned

_AVERAGE = "average"
_TAKEN = {"parameters", "gradients", "state", "learning_rate", "name", "p", "g", "t", "np", "math"}


@dataclass(frozen=True)
class Trained:
    """A parameter: its name in the program, the model's own leaf, its slots and its constraint."""

    name: str
    leaf: Leaf
    slots: Mapping[str, Leaf]
    constraint: Any


class Update:
    """The text of `start` and `update`. With `columns` the program's matrices are the model's, turned."""

    def __init__(self, optimizer: Any, trained: Sequence[Trained], arrays: Arrays, columns: bool):
        self.optimizer, self.trained, self.arrays, self.columns = optimizer, trained, arrays, columns
        self.words = arrays.words
        self.words.layer = "optimizer"
        self.rate = self._symbol("learning_rate", ())
        self.t = self._symbol("t", ())
        self.p = [self._symbol("p", each.leaf.shape) for each in trained]
        self.g = [self._symbol("g", each.leaf.shape) for each in trained]
        self.slots = [{key: self._symbol(_free(key), s.shape) for key, s in each.slots.items()} for each in trained]
        self.clipped = [as_node(g) for g in optimizer.across(self.g)]
        self.joint = any(set(_leaves(c)) - {g, self.rate} for c, g in zip(self.clipped, self.g, strict=True))
        self.counts = False  # whether the number of the step is read
        groups: dict[tuple[str, ...], list[str]] = {}
        for k, each in enumerate(trained):
            groups.setdefault(tuple(self._lines(k)), []).append(each.name)
        self.groups = groups

    def _symbol(self, name: str, shape: Any) -> Leaf:
        made = input_leaf(shape, name, "float64")
        self.words.names[made] = name
        return made

    # ------------------------------------------------------------------ one parameter
    def _lines(self, k: int) -> list[str]:
        """The step of one parameter, in terms of p, g and its slots."""
        p, slots = self.p[k], self.slots[k]
        g: Any = self.g[k] if self.joint else self.clipped[k]
        new, written = self.optimizer.update(p, g, slots, self.rate, self.t)
        if self.trained[k].constraint is not None:
            new = self.trained[k].constraint(new)
        roots = {key: cast(as_node(value), "float64") for key, value in {**written, "p": new}.items()}
        known: dict[Node, Node] = {}
        lines = []
        if slots:
            held = ", ".join(f'state[name]["{key}"]' for key in slots)
            lines.append(f"{', '.join(map(_free, slots))} = {held}")
        pending = list(roots)
        for key in list(roots):
            formula = rebuild([roots[key]], start=known)[0]
            pending.remove(key)
            old = p if key == "p" else slots[key]
            again = rebuild([roots[other] for other in pending], start={**known, roots[key]: self._blank(formula)})
            read = old in {leaf for each in again for leaf in _leaves(each)}
            name = f"new_{key}" if read else key if key == "p" else _free(key)
            symbol = self._symbol(name, formula.shape)
            self.counts |= self.t in _leaves(formula)
            before = set(self.words.taken)
            lines += self.arrays.lines(name, self._turned(formula))
            self.words.forget_parts(before)
            known[roots[key]] = symbol
            written[key] = name
        lines.append(f"new_parameters[name] = {written.pop('p')}")
        if written:
            lines.append("new_state[name] = {" + ", ".join(f'"{key}": {name}' for key, name in written.items()) + "}")
        return lines

    def _blank(self, like: Node) -> Leaf:
        return input_leaf(like.shape, "", "float64")

    def _turned(self, formula: Node) -> Node:
        """The formula for the matrix turned, where columns are examples."""
        if not self.columns:
            return formula
        known: dict[Node, Node] = {}
        for leaf in _leaves(formula):
            if isinstance(leaf, Leaf) and len(leaf.shape) in (1, 2):
                known[leaf] = self._symbol(
                    self.words.names[leaf], (*leaf.shape, 1) if len(leaf.shape) == 1 else leaf.shape[::-1]
                )
        new = turned(formula, known)
        if new is None:
            raise self.words.refusal("it has no form with examples as columns", "columns=False")
        return new

    # ------------------------------------------------------------------ functions
    def start(self) -> list[str]:
        """What the optimizer keeps, before the first step."""
        lines = [
            "def start(parameters):",
            '    """What the optimizer keeps for each parameter, before the first step."""',
        ]
        lines.append('    state = {"t": 0}' if self.counts else "    state = {}")
        laws: dict[str, list[str]] = {}
        for each in self.trained:
            said = ", ".join(f'"{key}": {self._first(each, key)}' for key in each.slots)
            laws.setdefault(said, []).append(each.name)
        for said, names in laws.items():
            if said:
                lines += [f"    for name in {_tuple(names)}:", "        p = parameters[name]"]
                lines.append(f"        state[name] = {{{said}}}")
        return [*lines, "    return state"]

    def _first(self, each: Trained, key: str) -> str:
        if key == _AVERAGE:
            return "p.copy()"
        value = np.asarray(self.optimizer.first(key, each.leaf))
        if value.size and np.ptp(value):
            raise self.words.refusal(f"its slot {key!r} starts from values of its own")
        first = float(value.flat[0]) if value.size else 0.0
        if value.shape == ():
            return repr(first)
        return "np.zeros(p.shape)" if first == 0 else f"np.full(p.shape, {literal(first)[0]})"

    def update(self) -> list[str]:
        """One step."""
        doc = doc_lines(f"One step of {self.optimizer!r}: new parameters and new state.")
        lines = ["def update(parameters, gradients, state, learning_rate):", *(f"    {line}" for line in doc)]
        lines += ['    t = state["t"] + 1'] if self.counts else []
        lines += [f"    {line}" for line in self._clip()] if self.joint else []
        lines.append("    new_parameters, new_state = dict(parameters), " + ('{"t": t}' if self.counts else "{}"))
        for body, names in self.groups.items():
            lines += [f"    for name in {_tuple(names)}:", '        p, g = parameters[name], gradients["d" + name]']
            lines += [f"        {line}" for line in body]
        return [*lines, "    return new_parameters, new_state"]

    def _clip(self) -> list[str]:
        """The gradients, brought to size together."""
        for each, g in zip(self.trained, self.g, strict=True):
            self.words.names[g] = f'gradients["d{each.name}"]'
        shared = _shared(self.clipped)
        lines, known = [], {}
        for node in shared:
            known[node] = self._symbol(self.words.fresh("scale"), node.shape)
            lines += self.arrays.lines(self.words.names[known[node]], node)
        lines.append("gradients = {")
        for each, clipped in zip(self.trained, self.clipped, strict=True):
            (formula,) = rebuild([clipped], start=known)
            lines.append(f'    "d{each.name}": {self.arrays.code(self.arrays.plain(formula))},')
        return [*lines, "}"]


def _free(key: str) -> str:
    """A slot's name as an identifier."""
    return f"{key}_" if key in _TAKEN else key


def _leaves(node: Node) -> list[Any]:
    return [each for each in topological([node]) if isinstance(each, Leaf) and each.array is None]


def _shared(roots: Sequence[Node]) -> list[Node]:
    """The largest parts that all formulas have in common."""
    common = set(topological([roots[0]])).intersection(*(set(topological([root])) for root in roots[1:]))
    rest = [node for node in topological(roots) if node not in common]
    return [i for i in dict.fromkeys(i for node in rest for i in node.inputs) if i in common and i.inputs]


def _tuple(names: Sequence[str]) -> str:
    return "(" + ", ".join(f'"{name}"' for name in names) + ("," if len(names) == 1 else "") + ")"
