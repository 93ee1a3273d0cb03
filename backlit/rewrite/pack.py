"""Updates that are alike, put together: the same arithmetic on many leaves becomes arithmetic on one vector.

The leaves of an optimizer are many and most of them small, and all of them go through the same elementwise arithmetic. Where the
arrays of such leaves lie one after another in memory, that arithmetic is done once, on all of their numbers: Adam of twenty
parameters is a dozen nodes instead of 240. What is no such arithmetic (a gradient) is computed as before and concatenated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..core.node import Leaf, Node, inherit, intern
from ..core.op import cast
from ..core.walk import Graph, rebuild, topological
from ..ops.elementwise import add
from ..ops.index import concatenate, reshape, strided
from ..ops.reduce import sum as sum_

Many = tuple[Node, ...]  # one node for each member of a team, all of the same form
Join = Callable[[Sequence[Leaf]], Leaf]


def elementwise(node: Node) -> bool:
    """Whether a node is computed number by number."""
    return node.op.formula is not None or node.op.name == "cast"


def _same_shape(node: Node) -> list[Node]:
    return [i for i in node.inputs if i.shape == node.shape] if elementwise(node) else []


@dataclass(eq=False)
class Team:
    """Leaves that are updated alike: `families` has for each member its leaves (parameter and slots) in the same order."""

    families: list[tuple[Leaf, ...]]
    updates: Mapping[Leaf, Node]
    order: list[Many] = field(init=False)

    def __post_init__(self) -> None:
        walk: Any = topological  # here over tuples of nodes
        self.order = walk([self._new(place) for place in range(len(self.families[0]))], self.below)

    def _new(self, place: int) -> Many:
        return tuple(self.updates[family[place]] for family in self.families)

    @property
    def leaves(self) -> list[tuple[Leaf, ...]]:
        """The leaves that stand in one place, for each place."""
        return list(zip(*self.families, strict=True))

    def fits(self, many: Many) -> bool:
        """Whether these are values of the members' own shapes."""
        pairs = zip(many, self.families, strict=True)
        return all(node.shape == family[0].shape and node.dtype == many[0].dtype for node, family in pairs)

    def below(self, many: Many) -> Sequence[Many]:
        """What these nodes are computed from, where that is the same elementwise arithmetic for all of them."""
        first = many[0]
        if shared(many) or not elementwise(first):
            return ()
        if any(node.op is not first.op or not _equal(node.attrs, first.attrs) for node in many):
            return ()
        inputs: list[Many] = list(zip(*(node.inputs for node in many), strict=True))
        return inputs if all(shared(each) or self.fits(each) for each in inputs) else ()

    @property
    def joined(self) -> list[Many]:
        """What is computed once for all."""
        return [many for many in self.order if self.below(many)]

    @property
    def gathered(self) -> list[Many]:
        """What is computed one by one and brought together."""
        slots = set(self.leaves)
        return [many for many in self.order if not shared(many) and not self.below(many) and many not in slots]

    @property
    def pays(self) -> bool:
        """Whether less is left to do."""
        return len(self.families) > 1 and len(self.joined) > len(self.gathered)

    def part(self, begin: int, end: int) -> Team:
        """The members from `begin` to `end` alone."""
        return Team(self.families[begin:end], self.updates)


def shared(many: Many) -> bool:
    """Whether all members read the same single number."""
    return many[0].shape == () and all(node is many[0] for node in many)


def _equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one == other and (not one or repr(one) == repr(other))


# ---------------------------------------------------------------------- who is updated alike
def teams(graph: Graph) -> list[Team]:
    """The teams among the updates of a graph without composites."""
    alike: dict[Any, list[tuple[Leaf, ...]]] = defaultdict(list)
    for family in _families(graph):
        alike[tuple(_form(leaf, graph.updates[leaf]) for leaf in family)].append(family)
    found = [Team(families, graph.updates) for families in alike.values() if len(families) > 1]
    return _apart([team for team in found if team.pays])


def _families(graph: Graph) -> list[tuple[Leaf, ...]]:
    """The updated leaves whose new values are computed from the same elementwise nodes: a parameter and its slots."""
    head: dict[Node, Node] = {}

    def find(node: Node) -> Node:
        while head[node] is not node:
            head[node] = node = head[head[node]]
        return node

    for node in topological(graph.updates.values(), _same_shape):
        head.setdefault(node, node)
        for i in _same_shape(node):
            if elementwise(i) or isinstance(i, Leaf):
                head[find(i)] = find(node)
    members: dict[Node, list[Leaf]] = defaultdict(list)
    for leaf, new in graph.updates.items():
        members[find(new)].append(leaf)
    return [tuple(leaves) for leaves in members.values()]


def _form(leaf: Leaf, new: Node) -> Any:
    """What an update looks like from outside: those that differ here are not put together."""
    return leaf.dtype, new.op, repr(new.attrs), tuple(id(i) if i.shape == () else i.op for i in new.inputs)


def _apart(found: list[Team]) -> list[Team]:
    """The teams of which nothing that is computed one by one needs what is computed once for all."""
    team_of = {node: team for team in found for many in team.joined for node in many}
    gathered = {node for team in found for many in team.gathered for node in many}
    below = topological(gathered, lambda node: () if node in team_of else node.inputs)
    entangled = {team_of[node] for node in below if node in team_of}
    return [team for team in found if team not in entangled]


# ---------------------------------------------------------------------- putting them together
def packed(graph: Graph, found: Iterable[Team], join: Join) -> Graph:
    """`graph` with the updates of each team computed at once. `join` gives the leaf that holds the numbers of several."""
    packing = _Packing(graph, join)
    for team in found:
        packing.add(team)
    return packing.graph


class _Packing:
    def __init__(self, given: Graph, join: Join):
        self.given, self.join = given, join
        self.whole: dict[Many, Node] = {}
        self.begins: dict[Many, list[int]] = {}
        self.updates: dict[Leaf, Node] = dict(given.updates)
        self.place: dict[Node, tuple[Many, int]] = {}  # a node that is a part of a whole: of which, and which part

    def add(self, team: Team) -> None:
        """Compute the updates of a team at once."""
        slots: set[Many] = set(team.leaves)
        for many in team.order:
            self.whole[many] = self._whole(team, many, slots)
            if not shared(many):
                for place, node in enumerate(many):
                    self.place.setdefault(node, (many, place))
        for leaves in team.leaves:
            new = self.whole[tuple(self.updates.pop(leaf) for leaf in leaves)]
            written = self.whole[leaves] if leaves in self.whole else self.join(leaves)
            self.updates[written] = new  # type: ignore[index]

    def _whole(self, team: Team, many: Many, slots: set[Many]) -> Node:
        if shared(many):
            return many[0]
        with inherit(many[0]):
            if many in slots:
                return self.join(many)  # type: ignore[arg-type]
            if inputs := team.below(many):
                return intern(many[0].op, tuple(self.whole[each] for each in inputs), many[0].attrs)
            flat = [node if node.ndim == 1 else reshape(node, (-1,)) for node in many]
            return concatenate(flat, axis=0)  # type: ignore[no-any-return]

    @property
    def graph(self) -> Graph:
        """The graph over what was put together; whoever reads a part of it reads a view."""
        rest = [*self.given.outputs, *([] if self.given.gate is None else [self.given.gate])]
        roots = [*rest, *self.updates.values()]
        sums = self._sums(roots)
        parts = {node: many for node, (many, _) in self.place.items() if self._computed(many)}
        read = topological(roots, lambda node: () if node in parts or node in sums else node.inputs)
        instead = {node: self._view(node) for node in read if node in parts} | sums
        made = rebuild(roots, start=instead)
        count = len(self.given.outputs)
        gate = None if self.given.gate is None else made[count]
        return Graph(self.given.inputs, made[:count], dict(zip(self.updates, made[len(rest) :], strict=True)), gate)

    def _computed(self, many: Many) -> bool:
        """Whether a whole is computed as one, so that its parts are not computed any more."""
        whole = self.whole[many]
        return not isinstance(whole, Leaf) and whole.op is not concatenate

    def _view(self, node: Node) -> Node:
        many, place = self.place[node]
        begin = sum(_size(each) for each in many[:place])
        with inherit(node):
            part = strided(self.whole[many], (begin,), (begin + _size(node),))
            return reshape(part, node.shape)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------ sums over everything of everything
    def _sums(self, roots: Sequence[Node]) -> dict[Node, Node]:
        """Sums of the total sums of all parts of a whole, each as the total sum of the whole."""
        instead: dict[Node, Node] = {}
        inner = set()
        for node in reversed(topological(roots)):
            if node.op is add and node.shape == () and node not in inner:
                terms, between = _terms(node)
                inner.update(between)
                new = self._shorter(terms)
                if new is not None:
                    instead[node] = new
        return instead

    def _shorter(self, terms: Sequence[Node]) -> Node | None:
        """The sum of these terms; None where no whole is among them."""
        found: dict[Any, dict[int, Node]] = defaultdict(dict)
        for term in terms:
            if key := self._key(term):
                found[key[:-1]].setdefault(key[-1], term)
        done: set[Node] = set()
        total: list[Node] = []
        for (dtype, square, many), parts in found.items():
            if len(parts) == len(many):
                done.update(parts.values())
                whole = self.whole[many]
                for op in square:
                    whole = intern(op, (whole,) * len(op.inputs), {})
                total.append(cast(sum_(whole), dtype))
        if not total or len(set(terms)) < len(terms):
            return None
        total += [term for term in terms if term not in done]
        result = total[0]
        for term in total[1:]:
            result = add(result, term)
        return result

    def _key(self, term: Node) -> Any:
        """(dtype, functions of it that are summed, the whole, which part) of a total sum of a part; None for others."""
        node = term.inputs[0] if term.op.name == "cast" else term
        if node.op is not sum_ or len(node.attrs["axis"]) != node.inputs[0].ndim:
            return None
        node = node.inputs[0]
        functions: list[Any] = []
        while node not in self.place and elementwise(node) and len(node.inputs) == 1 and not node.attrs:
            functions.insert(0, node.op)
            node = node.inputs[0]
        return (term.dtype, tuple(functions), *self.place[node]) if node in self.place else None


def _terms(node: Node) -> tuple[list[Node], list[Node]]:
    """The terms of a sum of sums of single numbers, left to right, and the sums on the way."""
    terms: list[Node] = []
    between = []
    while node.op is add and node.shape == ():
        between.append(node)
        terms.insert(0, node.inputs[1])
        node = node.inputs[0]
    return [node, *terms], between


def _size(node: Node) -> int:
    size = 1
    for dim in node.shape:
        size *= dim
    return size
