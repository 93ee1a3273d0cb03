"""Where the boxes of a diagram stand: columns from left to right, few crossings, straight runs. No recursion, no program.

The layered method of Sugiyama, Tagawa and Toda (1981): ranks by longest path, order by medians, heights by least squares
under the condition that nothing overlaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_SPAN = 16  # ranks that an edge may pass and still be led around the boxes between
_SWEEPS = 8
_STRAIGHT = 200  # how much more what stands in the middle of a path counts than its ends
Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """`centres` of the boxes, the points that each edge runs through, and the size of it all."""

    centres: list[Point]
    routes: list[list[Point]]
    width: float
    height: float


def layout(sizes: Sequence[tuple[float, float]], edges: Sequence[tuple[int, int]], gap: tuple[float, float]) -> Layout:
    """Place boxes of (width, height) joined by edges (from, to), which make no circle; `gap` is the least distance
    (across, down)."""
    count = len(sizes)
    ranks = _ranks(count, edges)
    links, chains = _split_long(count, edges, ranks)
    heights = [size[1] for size in sizes] + [0.0] * (len(ranks) - count)
    columns: list[list[int]] = [[] for _ in range(max(ranks, default=0) + 1)]
    for node, rank in enumerate(ranks):
        columns[rank].append(node)
    above, below = _neighbours(len(ranks), links)
    _untangle(columns, above, below)
    y = _heights(columns, heights, above, below, gap[1])
    left, x = 0.0, [0.0] * len(ranks)
    for column in columns:
        wide = max((sizes[node][0] for node in column if node < count), default=0.0)
        for node in column:
            x[node] = left + wide / 2
        left += wide + gap[0]
    top = min((y[k] - heights[k] / 2 for k in range(len(ranks))), default=0.0)
    bottom = max((y[k] + heights[k] / 2 for k in range(len(ranks))), default=0.0)
    at = [(x[k], y[k] - top) for k in range(len(ranks))]
    return Layout(at[:count], [[at[node] for node in chain] for chain in chains], max(0.0, left - gap[0]), bottom - top)


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The column of each box: behind all that it needs; what needs nothing stands next to its first reader."""
    after: list[list[int]] = [[] for _ in range(count)]
    waiting = [0] * count
    for a, b in edges:
        after[a].append(b)
        waiting[b] += 1
    sources = [node for node in range(count) if not waiting[node]]
    ranks, queue = [0] * count, list(sources)
    for node in queue:
        for each in after[node]:
            ranks[each] = max(ranks[each], ranks[node] + 1)
            waiting[each] -= 1
            if not waiting[each]:
                queue.append(each)
    for node in sources:
        if after[node]:
            ranks[node] = min(ranks[each] for each in after[node]) - 1
    return ranks


def _split_long(
    count: int, edges: Sequence[tuple[int, int]], ranks: list[int]
) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Edges over several ranks get a point in each rank between; `ranks` grows by these."""
    links: list[tuple[int, int]] = []
    chains: list[list[int]] = []
    for a, b in edges:
        chain = [a]
        if 1 < ranks[b] - ranks[a] <= _SPAN:
            for rank in range(ranks[a] + 1, ranks[b]):
                chain.append(len(ranks))
                ranks.append(rank)
        chain.append(b)
        chains.append(chain)
        if ranks[b] - ranks[a] <= _SPAN:
            links += pairwise(chain)
    return links, chains


def _neighbours(count: int, links: Sequence[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    """For each node those joined to it in the rank before, and in the rank after."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for a, b in links:
        before[b].append(a)
        after[a].append(b)
    return before, after


def _untangle(columns: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    """Each column in the order of the medians of its neighbours' places, from left and from right in turn."""
    place: dict[int, float] = {node: k for column in columns for k, node in enumerate(column)}
    joined = before

    def median(node: int) -> float:
        places = sorted(place[each] for each in joined[node])
        return places[len(places) // 2] if places else place[node]

    for sweep in range(_SWEEPS):
        joined = before if sweep % 2 == 0 else after
        for column in columns if sweep % 2 == 0 else reversed(columns):
            column.sort(key=median)
            place.update({node: k for k, node in enumerate(column)})


def _heights(
    columns: list[list[int]], sizes: list[float], before: list[list[int]], after: list[list[int]], gap: float
) -> list[float]:
    """The height of each centre: as near to the mean of its neighbours as what stands beside it lets it be."""
    y = [0.0] * len(sizes)
    for column in columns:
        offset = 0.0
        for node in column:
            y[node] = offset + sizes[node] / 2
            offset += sizes[node] + gap
        for node in column:
            y[node] -= offset / 2
    for sweep in range(_SWEEPS):
        joined = before if sweep % 2 == 0 else after
        for column in columns if sweep % 2 == 0 else reversed(columns):
            wanted = [sum(y[e] for e in joined[n]) / len(joined[n]) if joined[n] else y[n] for n in column]
            weights = [_STRAIGHT if before[node] and after[node] else 1 for node in column]
            for node, at in zip(column, _apart(wanted, weights, [sizes[node] for node in column], gap), strict=True):
                y[node] = at
    return y


def _apart(wanted: Sequence[float], weights: Sequence[int], sizes: Sequence[float], gap: float) -> list[float]:
    """The places nearest to `wanted` in weighted squares that keep the order and the gaps: neighbours that would overlap
    move as one block."""
    offsets, offset = [], 0.0
    for k, size in enumerate(sizes):
        offset += (sizes[k - 1] + size) / 2 + gap if k else 0.0
        offsets.append(offset)
    blocks: list[tuple[float, int, int]] = []  # weighted sum, weight, how many
    for want, weight, shift in zip(wanted, weights, offsets, strict=True):
        total, heavy, many = (want - shift) * weight, weight, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / heavy:
            last = blocks.pop()
            total, heavy, many = total + last[0], heavy + last[1], many + last[2]
        blocks.append((total, heavy, many))
    bases = [total / heavy for total, heavy, many in blocks for _ in range(many)]
    return [base + shift for base, shift in zip(bases, offsets, strict=True)]
