"""A graph worked out for the eye: the steps that a reader follows, each with its value and its derivatives.

Nothing here knows a derivative or an activation: formulas are the records' own texts, derivatives come from the reverse
walk of `core/grad.py` over the graph itself, or over the part of it that is one step.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..core import registry
from ..core.errors import ShapeError
from ..core.grad import reverse
from ..core.node import FLOATS, Leaf, Node, array_leaf, constant, input_leaf
from ..core.op import literal
from ..core.show import text
from ..core.walk import Graph, cast, rebuild, substitute, topological
from ..ops.index import broadcast_to
from .forward import printed
from .rules import short

FEW = 6  # numbers of an array that are written out
_WRITTEN = 48  # characters of an array that is written out
_AXIS = re.compile(r"axis=\((\d+),\)")
_SPREAD = re.compile(r"broadcast_to\(([\w' /*.-]+), shape=\([^()]*\)\)")  # one number stands for all by itself


# ---------------------------------------------------------------------- numbers for the eye
def shown(value: Any) -> str:
    """A number with up to seven digits, a small array written out, of a large one its shape and range.

    >>> shown(0.1 + 0.2), shown(np.array([1.0, -2.5])), shown(np.arange(12.0).reshape(3, 4))
    ('0.3', '[1, -2.5]', '(3, 4) from 0 to 11')
    """
    array = np.asarray(value)
    if array.ndim == 0:
        return plain(array[()])
    if array.size <= FEW and len(written := _listed(array)) <= _WRITTEN:
        return written
    low, high = (plain(each) for each in (array.min(), array.max()))
    return f"{array.shape} from {low} to {high}" if low != high else f"{array.shape} all {low}"


def plain(value: Any, digits: int = 7) -> str:
    """A single number with so many digits."""
    if isinstance(value, (bool, np.bool_)):
        return str(bool(value))
    return f"{value + 0.0:.{digits}g}" if isinstance(value, (float, np.floating)) else str(value)


def _listed(array: Any) -> str:
    return f"[{', '.join(_listed(part) if np.ndim(part) else plain(part, 4) for part in array)}]"


# ---------------------------------------------------------------------- a graph with its numbers
class Worked:
    """A graph in float64 over copies of its leaves, the value of every node, and the derivatives of J asked for.

    `seed` is dJ/d(root): 1 where the root is J itself. `place` says which node took the place of which of the caller's.
    """

    def __init__(self, root: Node, feed: Mapping[Node, Any], seed: Any = 1.0):
        asked = [node for node in topological([root]) if not node.several]
        inputs = [leaf for leaf in feed if isinstance(leaf, Leaf)]
        graph, leaves = cast(Graph(inputs, asked), "float64")
        made = rebuild(graph.outputs, _without_casts)
        self.place: dict[Node, Any] = dict(zip(asked, made, strict=True))
        self.place.update(leaves.items())
        self.root, self.seed = self.place[root], seed
        self.order = topological([self.root])
        self.feed = {self.place[leaf]: value for leaf, value in feed.items()}
        # every node, also one whose value no definition reads, such as the x of zeros_like(x)
        self.known = registry.lookup("values.reference")(self.order, self.feed)
        self.known_slopes: dict[Node, Any] = {}

    @property
    def differentiable(self) -> bool:
        """Whether the root is one floating-point number, or a derivative by the root is given."""
        return bool(self.root.shape == np.shape(self.seed) and self.root.dtype in FLOATS)

    def slopes(self, nodes: Iterable[Node]) -> dict[Node, Any]:
        """dJ/d(node) for each node, None where J does not depend on it by floating-point numbers."""
        missing = [
            n for n in dict.fromkeys(nodes) if n not in self.known_slopes and not n.several and n.dtype in FLOATS
        ]
        if missing and self.differentiable:
            found = self.gradients(missing)
            numbers = self.values([g for g in found if g is not None])
            for node, g in zip(missing, found, strict=True):
                self.known_slopes[node] = None if g is None else numbers[g]
        return {node: self.known_slopes.get(node) for node in nodes}

    def gradients(self, nodes: Sequence[Node]) -> list[Node | None]:
        """dJ/d(node) as graphs."""
        seed = literal(float(self.seed)) if np.ndim(self.seed) == 0 else array_leaf(self.seed)
        return reverse([self.root], [seed], nodes)

    def run(self, nodes: Sequence[Node]) -> dict[Node, Any]:
        """The values of other nodes, everything below them computed anew."""
        held = {leaf: self.known[leaf] for leaf in self.order if isinstance(leaf, Leaf)}
        return registry.lookup("values.reference")(nodes, held)

    def values(self, nodes: Sequence[Node], given: Mapping[Node, Any] | None = None) -> dict[Node, Any]:
        """The values of other nodes that stand on the nodes of this graph, or on those of `given`."""
        met = topological(nodes, lambda node: () if node in self.known else node.inputs)
        known = {node: self.known[node] for node in met if node in self.known and not node.several}
        return registry.lookup("values.reference")(nodes, {**self.feed, **known, **(given or {})})

    def moved(self, node: Node, value: Any) -> dict[Node, Any]:
        """Every value of the graph where `node` has another one."""
        held: dict[Node, Any] = {leaf: self.known[leaf] for leaf in self.order if isinstance(leaf, Leaf)}
        return registry.lookup("values.reference")(self.order, held | {node: value})


def _without_casts(node: Node, inputs: tuple[Node, ...]) -> Node:
    """A cast that changes nothing, now that all is float64, is no step, nor is the activation that does nothing."""
    if node.op.name == "linear" or (node.op.name == "cast" and inputs[0].dtype == node.dtype):
        return inputs[0]
    return node if inputs == node.inputs else node.op.node(*([inputs] if node.op.variadic else inputs), **node.attrs)


# ---------------------------------------------------------------------- what a reader sees
@dataclass(frozen=True)
class Local:
    """∂(step)/∂(input): its formula and its value, a number for each number of the step where they go one to one, else
    None; `passed` is what the input receives, in terms of the step's own derivative."""

    formula: str
    value: Any
    passed: str


@dataclass(frozen=True)
class Step:
    """One step forward or back.

    Forward: `name` = `formula` = `numbers` = `value`; `local` has ∂name/∂input for each input. Backward: `derivative`
    = dJ/dname = `formula` = `numbers`; `local` has ∂later/∂name for each later step, and `reuses` names these: their
    derivatives were there already.
    """

    name: str
    operation: str
    formula: str
    numbers: str
    value: Any
    local: Mapping[str, Any]
    derivative: Any
    reuses: tuple[str, ...]
    sentence: str
    layer: str = ""
    cached: bool = False  # the way back reads this value
    note: str = ""
    locals: Mapping[str, Local] = field(default_factory=dict, repr=False)


class Reading:
    """The steps of a graph: heads, each a node with the unmarked nodes that lead to it alone, and the leaves they read.

    `own` decides which node is a step by itself; by default markers are, and without markers every node. `names` are
    names besides those of markers and leaves. `inside` limits the reading to some nodes: what they read are its leaves.
    """

    def __init__(
        self,
        worked: Worked,
        names: Mapping[Node, str] | None = None,
        inside: Sequence[Node] | None = None,
        notes: Mapping[Node, str] | None = None,
        own: Callable[[Node], bool] | None = None,
    ):
        self.worked, self.notes = worked, dict(notes or {})
        self.order = [node for node in worked.order if node.inputs] if inside is None else list(inside)
        self.root = worked.root if inside is None else self.order[-1]
        marked = any(node.op.name == "mark" for node in self.order)
        self._own = own or (lambda node: node.op.name == "mark" or not marked)
        self.users = self._used_by()
        self.heads = self._heads()
        self.reads, self.leaves = self._reads()
        self.names = self._named(names or {})
        self.symbols = {
            node: input_leaf(node.shape, name, node.dtype) for node, name in self.names.items() if not node.several
        }
        self.readers: dict[Node, list[Node]] = defaultdict(list)
        for head in self.heads:
            for node in self.reads[head]:
                self.readers[node].append(head)
        self.layers = self._layers()
        self.m = input_leaf((), "m", "float64")
        self.unnamed: dict[Node, Leaf] = {}  # symbols for what is inside of steps
        self._known_locals: dict[Node, dict[Node, Local]] = {}

    # ------------------------------------------------------------------ which nodes are steps
    def _used_by(self) -> dict[Node, list[Node]]:
        users: dict[Node, list[Node]] = defaultdict(list)
        for node in self.order:
            for i in dict.fromkeys(node.inputs):
                users[i].append(node)
        return users

    def _heads(self) -> list[Node]:
        """From the last node back: what is no step by itself joins the one step it leads to."""
        owner: dict[Node, Any] = {}
        for node in reversed(self.order):
            users = self.users[node]
            named_next = node.op.name != "mark" and len(users) == 1 and users[0].op.name == "mark"
            if not node.several and (node is self.root or (self._own(node) and not named_next)):
                owner[node] = node
                continue
            owners = {owner[user] for user in users if user in owner}
            if len(owners) == 1:
                owner[node] = owners.pop()
            else:
                owner[node] = None if node.several else node
        self.owner = owner
        return [node for node in self.order if owner[node] is node]

    def _reads(self) -> tuple[dict[Node, list[Node]], list[Node]]:
        """What each step reads: earlier steps, and leaves in order of first use."""
        heads, inside = set(self.heads), set(self.order)
        reads: dict[Node, list[Node]] = {}
        leaves: dict[Node, None] = {}
        for head in self.heads:
            below = topological(head.inputs, lambda n: n.inputs if self._within(n, heads, inside) else ())
            reads[head] = [n for n in below if not self._within(n, heads, inside) and not _is_number(n)]
            leaves.update(dict.fromkeys(n for n in reads[head] if n not in heads))
        if not self.heads:
            leaves[self.root] = None
        return reads, list(leaves)

    @staticmethod
    def _within(node: Node, heads: set[Node], inside: set[Node]) -> bool:
        """Whether a node is a part of the step that reads it."""
        return node in inside and node not in heads

    def _named(self, given: Mapping[Node, str]) -> dict[Node, str]:
        """A name for each head and leaf; a second node of the same name gets a prime and a number."""
        plain_names = {node: given.get(node) or node.name for node in (*self.leaves, *self.heads)}
        taken = {name for name in plain_names.values() if name}
        names: dict[Node, str] = {}
        counts: dict[str, int] = defaultdict(int)
        fresh = 0
        for node, name in plain_names.items():
            if not name and node is self.root and "J" not in taken:
                name = "J"
            while not name:
                fresh += 1
                name = f"{'t' if node.inputs else node.op.name}{fresh}"
                name = None if name in taken else name
            counts[name] += 1
            names[node] = name if counts[name] == 1 else f"{name}'{counts[name]}"
        return names

    def _layers(self) -> dict[Node, str]:
        """The layer of each step: its marker's, else that of the one layer it leads to; of a leaf that of its reader."""
        found: dict[Node, str] = {}
        for node in reversed([*self.leaves, *self.heads]):
            own = node.attrs.get("layer", "") if node.op.name == "mark" else ""
            led = [found[reader] for reader in self.readers[node] if reader in found]
            found[node] = own or (led[-1] if not node.inputs and led else led[0] if len(set(led)) == 1 else "")
        return found

    # ------------------------------------------------------------------ one step
    def value(self, node: Node) -> Any:
        """The value of a step or leaf."""
        return self.worked.known[node]

    @cached_property
    def slopes(self) -> dict[Node, Any]:
        """dJ/d of every step and leaf, None where there is no path."""
        return self.worked.slopes([*self.leaves, *self.heads])

    def kept(self, wanted: set[Node]) -> set[Node]:
        """The steps and leaves whose values the way back to `wanted` reads."""
        found: set[Node] = set()
        for head in self.heads:
            parts = [part for node, part in self._partials(head, self._given(head)).items() if node in wanted]
            leaves: set[Node] = set(topological([part for part in parts if part is not None]))
            found |= {node for node in (*self.reads[head], head) if self.symbols[node] in leaves}
        return found

    def symbolic(self, head: Node) -> Node:
        """The step as a formula of the symbols of what it reads."""
        inner = head.inputs[0] if head.op.name == "mark" else head
        return rebuild([inner], start={node: self.symbols[node] for node in self.reads[head]})[0]

    def _given(self, head: Node) -> Node:
        """A symbol for the derivative of a step."""
        return input_leaf(head.shape, f"d{self.names[head]}", "float64")

    def _partials(self, head: Node, g: Node) -> dict[Node, Any]:
        """What each floating input of a step receives when `g` arrives at the step."""
        formula = self.symbolic(head)
        inputs = [node for node in self.reads[head] if node.dtype in FLOATS]
        if head.dtype not in FLOATS:
            return dict.fromkeys(inputs)
        found = reverse([formula], [g], [self.symbols[node] for node in inputs], stop=True)
        swap = {formula: self.symbols[head]} if formula.inputs else {}
        return {
            node: None if part is None else substitute([part], swap)[0]
            for node, part in zip(inputs, found, strict=True)
        }

    def flows(self, head: Node) -> dict[Node, Any]:
        """The numbers that each input of a step receives from it: its share of dJ/d(input)."""
        arrived = self.slopes[head]
        if arrived is None:
            return {}
        g = self._given(head)
        parts = {node: part for node, part in self._partials(head, g).items() if part is not None}
        numbers = self.worked.values(list(parts.values()), self._fed(head) | {g: arrived})
        return {node: numbers[part] for node, part in parts.items()}

    def _fed(self, head: Node) -> dict[Node, Any]:
        return {self.symbols[node]: self.value(node) for node in (*self.reads[head], head)}

    def locals(self, head: Node) -> dict[Node, Local]:
        """∂(step)/∂(input) for each floating input of a step that it depends on."""
        if head not in self._known_locals:
            self._known_locals[head] = self._locals(head)
        return self._known_locals[head]

    def _locals(self, head: Node) -> dict[Node, Local]:
        passed = {n: part for n, part in self._partials(head, self._given(head)).items() if part is not None}
        direct = {n: part for n, part in self._slopes_of(head).items() if n in passed and self._one_to_one(head, n)}
        numbers = self.worked.values(list(direct.values()), self._fed(head))
        return {
            node: Local(self.said(direct[node]), numbers[direct[node]], self.said(part))
            if node in direct
            else Local("", None, self.said(part))
            for node, part in passed.items()
        }

    def _slopes_of(self, head: Node) -> dict[Node, Any]:
        """∂(step)/∂(input) in symbols, for inputs that the step follows number by number."""
        one = literal(1.0)
        return self._partials(head, one if head.shape == () else broadcast_to(one, head.shape))

    def factor(self, head: Node, node: Node) -> Node:
        """∂(step)/∂(input) as a short formula."""
        return short(self._slopes_of(head)[node], self.m)

    def _one_to_one(self, head: Node, node: Node) -> bool:
        """Whether each number of a step depends on one number of this input: functions number by number."""
        if head.shape == node.shape == ():
            return True
        order = topological([self.symbolic(head)])
        through: set[Node] = {self.symbols[node]}
        for each in order:
            if any(i in through for i in each.inputs):
                by_itself = each.op.kind == "elementwise" or (
                    each.op.role == "activation" and "axis" not in each.op.attrs
                )
                if each.several or not (by_itself or each.op.name in ("mark", "cast")) or each.shape != node.shape:
                    return False
                through.add(each)
        return head.shape == node.shape

    # ------------------------------------------------------------------ in words
    def symbol(self, node: Node, name: str) -> Leaf:
        """The symbol of a step or leaf, or, for a node inside of a step, one of that name: always the same one."""
        if node in self.symbols:
            return self.symbols[node]
        return self.unnamed.setdefault(node, input_leaf(node.shape, name, node.dtype))

    def said(self, formula: Node) -> str:
        """A formula on one line, shortened for the eye."""
        return one_line(text(short(formula, self.m)))

    def formula(self, head: Node) -> str:
        """The step in terms of what it reads."""
        return one_line(text(self.symbolic(head)))

    def numbers(self, head: Node) -> str:
        """The formula with its numbers; large arrays keep their names."""
        return one_line(text(self.with_numbers(head)))

    def with_numbers(self, head: Node) -> Node:
        """The formula over leaves that print as their numbers."""
        swap = {self.symbols[node]: written(self.value(node), self.symbols[node]) for node in self.reads[head]}
        return rebuild([self.symbolic(head)], start=swap)[0]

    def passed(self, head: Node, node: Node) -> Node:
        """What an input receives from a step, in terms of the step's own derivative."""
        return short(self._partials(head, self._given(head))[node], self.m)

    def operations(self, head: Node) -> list[Node]:
        """The operations of a step in the order they are made, without markers and numbers."""
        below = topological([head], lambda node: () if node in self.reads[head] else node.inputs)
        return [
            n for n in below if n.inputs and n not in self.reads[head] and n.op.name not in ("mark", "cast", "item")
        ]


def one_line(lines: str) -> str:
    """A printed formula on one line, as on paper."""
    *parts, last = printed(_SPREAD.sub(_bare, _AXIS.sub(r"axis=\1", lines)).replace(", dtype=float64", "")).splitlines()
    return f"{last} where {', '.join(parts)}" if parts else last


def _bare(found: re.Match[str]) -> str:
    """What is spread, in brackets where it is more than a name."""
    return found[1] if re.fullmatch(r"[\w']+", found[1]) else f"({found[1]})"


def _is_number(node: Node) -> bool:
    """Whether a node stands in formulas as its value: a literal or an unnamed constant number."""
    if isinstance(node, Leaf):
        return not node.name and node.kind in ("constant", "array") and node.shape == ()
    return not node.inputs and not node.op.random


def written(value: Any, symbol: Node) -> Node:
    """A leaf that prints as the value where it is short, else the symbol itself."""
    array = np.asarray(value)
    if array.ndim == 0 and array.dtype.kind == "f":
        return constant(float(plain(array[()])))
    if array.size > FEW or not shown(array).startswith("["):
        return symbol
    return input_leaf(symbol.shape, shown(array), symbol.dtype)


def single(node: Node, value: Any, index: Any, name: str) -> tuple[int, ...]:
    """The place of one number of a value, checked; ShapeError where it is none, or where one has to be chosen."""
    array = np.asarray(value)
    if index is None:
        if array.size == 1:
            return (0,) * array.ndim
        raise ShapeError(
            f"{name} holds {array.size} numbers: one has to be chosen.",
            expected=f"a place in shape {array.shape}",
            fix=f"index={(0,) * array.ndim}",
        )
    place = tuple(index) if isinstance(index, Sequence) else (index,)
    if len(place) != array.ndim or not all(-n <= at < n for at, n in zip(place, array.shape, strict=True)):
        raise ShapeError(
            f"{name} has no number at {place}.", expected=f"a place in shape {array.shape}", found=str(place)
        )
    return tuple(int(at) % n for at, n in zip(place, array.shape, strict=True))
