"""Groups of elementwise nodes that one pass over memory computes, with the sums over everything that end in them.

A group is convex: nothing outside of it stands between two of its nodes, so that it can run as one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

from ..core.node import Node


@dataclass(eq=False)
class Group:
    """Nodes of one shape in the order to compute them; `sums` are total sums of some of them."""

    shape: tuple[object, ...]
    nodes: list[Node] = field(default_factory=list)
    sums: list[Node] = field(default_factory=list)

    @property
    def members(self) -> list[Node]:
        """Everything that the group computes."""
        return [*self.nodes, *self.sums]


@dataclass(eq=False)
class Chain:
    """Nodes that run as one, each read by the next one alone."""

    nodes: list[Node]

    @property
    def members(self) -> list[Node]:
        """Everything that the chain computes."""
        return self.nodes


Unit = Node | Group | Chain


def groups(
    order: Sequence[Node],
    fusible: Callable[[Node], bool],
    total: Callable[[Node], bool],
    chain: Callable[[Node], Sequence[Node]] = lambda node: (),
    apart: Collection[Node] = (),
) -> list[Unit]:
    """The nodes of `order` (inputs first), those that can be fused put together, in an order that can be run.

    `fusible(node)`: elementwise; `total(node)`: the sum over all axes of its input; `chain(node)`: what it runs as one
    with, each read by the next one alone; nodes of `apart` are put together with one another only.
    """
    grouping = _Grouping(order)
    for node in order:
        if fusible(node):
            near = [i for i in node.inputs if i.shape == node.shape and (i in apart) == (node in apart)]
            grouping.join(node, near, sums=False)
        elif total(node):
            grouping.join(node, [i for i in node.inputs if (i in apart) == (node in apart)], sums=True)
        elif before := chain(node):
            grouping.chained([*before, node])
        else:
            grouping.alone(node)
    return grouping.sorted()


class _Grouping:
    """Units with everything that they depend on, as bits of one number each."""

    def __init__(self, order: Sequence[Node]):
        self.place = {node: 1 << k for k, node in enumerate(order)}
        self.unit: dict[Node, Unit] = {}
        self.depends: dict[Unit, int] = {}  # bits of all nodes that a unit needs, directly or not, and of its own
        self.own: dict[Unit, int] = {}

    def alone(self, node: Node) -> None:
        self._add(node, node)

    def chained(self, nodes: list[Node]) -> None:
        whole = Chain(nodes)
        for node in nodes[:-1]:  # nothing but the next one has come to depend on it
            self.own[whole] = self.own.get(whole, 0) | self.own.pop(node)
            self.depends[whole] = self.depends.get(whole, 0) | self.depends.pop(node)
            self.unit[node] = whole
        self._add(nodes[-1], whole)

    def join(self, node: Node, near: Sequence[Node], sums: bool) -> None:
        """Put `node` into a group of `near` that can take it, or into one of its own; groups that it joins become one."""
        found = [group for each in near if (group := self._open(each)) and self._free(node, group)]
        if sums and not found:
            self.alone(node)
            return
        group = found[-1] if found else Group(tuple(node.shape))
        for other in found[:-1]:
            if other is not group and other in self.own:  # none of them depends on another, or it would not be found
                self._merge(group, other)
        (group.sums if sums else group.nodes).append(node)
        self._add(node, group)

    def _open(self, node: Node) -> Group | None:
        """The group that computes `node` number by number."""
        group = self.unit[node]
        return group if isinstance(group, Group) and node not in group.sums else None

    def _merge(self, group: Group, other: Group) -> None:
        group.nodes += other.nodes
        group.sums += other.sums
        for node in other.members:
            self.unit[node] = group
        self.own[group] |= self.own.pop(other)
        self.depends[group] |= self.depends.pop(other)
        self._spread(self.own[group], self.depends[group])

    def _free(self, node: Node, group: Group) -> bool:
        """Whether no other input of `node` depends on the group, but number by number."""
        own = self.own[group]
        return all(self._open(i) is group or not self._of(i) & own for i in node.inputs)

    def _of(self, node: Node) -> int:
        return self.depends[self.unit[node]] if node in self.unit else 0

    def _add(self, node: Node, unit: Unit) -> None:
        self.unit[node] = unit
        self.own[unit] = self.own.get(unit, 0) | self.place[node]
        before = self.depends.get(unit, 0)
        after = before | self.place[node]
        for i in node.inputs:
            after |= self._of(i)
        self.depends[unit] = after
        if before and after & ~(before | self.place[node]):  # whoever needs the group knows it by its other nodes
            self._spread(self.own[unit], after)

    def _spread(self, own: int, new: int) -> None:
        """Whatever depends on a group depends on what the group has come to depend on."""
        for unit, known in self.depends.items():
            if known & own:
                self.depends[unit] = known | new

    def sorted(self) -> list[Unit]:
        needs: dict[Unit, set[Unit]] = {}
        for node, unit in self.unit.items():
            needs.setdefault(unit, set()).update(self.unit[i] for i in node.inputs if self.unit[i] is not unit)
        return list(TopologicalSorter(needs).static_order())
