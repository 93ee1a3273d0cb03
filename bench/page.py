"""Write the tables and figures of docs/benchmarks.md from what `python -m bench.run --out FILE` measured.

    python -m bench.page results.json

What stands between `<!-- NAME -->` and `<!-- end -->` in the page is written anew; the words around it are not touched.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.process import ROOT
from bench.run import TRAINED
from bench.sides import FLOOR
from bench.training import short
from bench.works import GROWN, find

PAGE = ROOT / "docs" / "benchmarks.md"
OURS = "backlit"
COLOURS = {
    "backlit compiled": "#0072B2", "backlit planned": "#56B4E9", "backlit xla": "#009E73", "PyTorch eager": "#D55E00",
    "PyTorch compile": "#E69F00", "JAX by hand": "#CC79A7", "Keras on JAX": "#999999", "Keras on TensorFlow": "#666666",
    "Keras on PyTorch": "#BBBBBB", "scikit-learn": "#F0E442", FLOOR: "#FFFFFF",
}  # fmt: skip
TARGETS = {  # against PyTorch eager, against the best peer
    "W1": (12, 4), "W2": (1.6, 1.2), "W3": (1.0, 0.95), "W4": (60, 8), "W5": (2.5, 2), "W6": (50, 5),
}  # fmt: skip


def main(file: str) -> None:
    """Write page and figures."""
    held = json.loads(Path(file).read_text())
    found = {part: each["found"] for part, each in held["parts"].items()}
    text = PAGE.read_text()
    for name, lines in _blocks(held, found):
        text = re.sub(rf"(<!-- {name} -->\n).*?(<!-- end -->)", _between(lines), text, flags=re.DOTALL)
    PAGE.write_text(text)
    _works_figure(found).savefig(PAGE.with_name("benchmarks.svg"), metadata={"Date": None})
    if "curves" in found:
        _curves_figure(found["curves"]).savefig(PAGE.with_name("benchmarks-growth.svg"), metadata={"Date": None})


def _between(lines: list[str]) -> Any:
    body = "\n".join(lines) + "\n"
    return lambda match: match[1] + body + match[2]


def _blocks(held: Mapping[str, Any], found: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Every block with its lines."""
    works = [name for name in TRAINED if name in found]
    loads = [each["load"] for each in held["parts"].values()]
    versions = {name: value for each in works for name, value in found[each]["versions"].items()}
    told = ", ".join(f"{name} {value}" for name, value in sorted(versions.items()))
    busy = f"load of a core before the parts: median {statistics.median(loads):.2f}, highest {max(loads):.2f}"
    yield "machine", [f"{held['machine']}; {held['day']}; {busy}.", f"{told}."]
    yield "works", _works(works, found)
    yield "targets", _targets(works, found)
    if "P1" in found:
        yield "row", _columns("One row, µs (median of 2,000 calls)", found["P1"])
    if "S1" in found:
        yield "cold", _columns("New process to the end of the first epoch of W1, s", _medians(found["S1"]))
    if "auto" in found:
        yield "auto", _auto(found["auto"])
    if "sizes" in found:
        yield "import", _columns("Import in a new process, s", found["sizes"]["import"])
        yield "installed", _columns("Installed with all it needs, MB", found["sizes"]["installed"])
    yield "memory", _memory(works, found)


def _medians(taken: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {side: statistics.median(each) for side, each in taken.items()}


def _rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table of Markdown, names to the left, numbers to the right."""
    rule = "|".join(["---", *["---:"] * (len(head) - 1)])
    return [f"| {' | '.join(head)} |", f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]


def _works(works: Sequence[str], found: Mapping[str, Any]) -> list[str]:
    """Median milliseconds an epoch, the first epoch in brackets; the quickest in bold."""
    sides = [side for side in COLOURS if any(side in found[work]["epochs"] for work in works)]
    rows = []
    for side in sides:
        cells = [side]
        for work in works:
            medians = _medians(found[work]["epochs"])
            first = found[work]["first"].get(side)
            text = "" if side not in medians else f"{short(medians[side])} ({short(first)})"
            cells.append(f"**{text}**" if text and medians[side] == min(medians.values()) else text)
        rows.append(cells)
    return _rows(["ms an epoch (the first one)", *works], rows)


def _targets(works: Sequence[str], found: Mapping[str, Any]) -> list[str]:
    """Our best engine against PyTorch and the best peer, and what was asked for."""
    rows = []
    for work in works:
        medians = _medians(found[work]["epochs"])
        side, ours = min(((s, v) for s, v in medians.items() if s.startswith(OURS)), key=lambda each: each[1])
        peer, best = min(
            ((s, v) for s, v in medians.items() if not s.startswith(OURS) and s != FLOOR), key=lambda each: each[1]
        )
        torch, asked = medians.get("PyTorch eager", float("nan")) / ours, TARGETS[work]
        bound = medians.get(FLOOR, 0.0) * 1.15 >= ours  # or as quick as its products alone, but for 15 %
        met = "yes" if torch >= asked[0] and (best / ours >= asked[1] or bound) else "no"
        numbers = [f"{short(ours)} ms", f"{torch:.2f} ({asked[0]})", f"{peer}, {short(best)} ms"]
        rows.append([f"{work} {find(work).title}", side.split()[1], *numbers, f"{best / ours:.2f} ({asked[1]})", met])
    head = ["work", "our engine", "median", "× PyTorch eager (asked)", "best peer", "× best peer (asked)", "met"]
    return _rows(head, rows)


def _columns(title: str, values: Mapping[str, float]) -> list[str]:
    return _rows([title, ""], [[name, short(value)] for name, value in sorted(values.items(), key=lambda e: e[1])])


def _auto(found: Mapping[str, Any]) -> list[str]:
    sides = list(next(iter(found.values())))
    rows = [
        [title, *(short(_medians(taken)[side]) if taken[side] else "" for side in sides)]
        for title, taken in found.items()
    ]
    return _rows(["process from start to end, s", *sides], rows)


def _memory(works: Sequence[str], found: Mapping[str, Any]) -> list[str]:
    """The peak of the whole process, data and library among it."""
    sides = [side for side in COLOURS if any(side in found[work]["peak"] for work in works)]
    rows = [
        [side, *(f"{found[work]['peak'][side]:,.0f}" if side in found[work]["peak"] else "" for work in works)]
        for side in sides
    ]
    return _rows(["peak of the process, MB", *works], rows)


def _works_figure(found: Mapping[str, Any]) -> Any:
    """A row for each work, a dot for each side, on a logarithmic axis: how many times as long as our best it takes."""
    from matplotlib.figure import Figure

    works = [name for name in TRAINED if name in found]
    figure = Figure((9, 0.62 * len(works) + 1.7), layout="constrained")
    axes = figure.add_subplot()
    for place, work in enumerate(works):
        medians = _medians(found[work]["epochs"])
        ours = min(value for side, value in medians.items() if side.startswith(OURS))
        for side, value in medians.items():
            marker = "D" if side.startswith(OURS) else "o"
            axes.plot(
                value / ours,
                -place,
                marker,
                color=COLOURS[side],
                markersize=8,
                markeredgecolor="black",
                markeredgewidth=0.4,
            )
        axes.axhline(-place, color="#dddddd", linewidth=0.8, zorder=0)
    axes.set_yticks([-place for place in range(len(works))], [f"{work}  {find(work).title}" for work in works])
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel("times as long as the best of ours takes for an epoch (median; left is quicker)")
    axes.axvline(1, color="#0072B2", linewidth=0.8, zorder=0)
    shown = [side for side in COLOURS if any(side in found[work]["epochs"] for work in works)]
    for side in shown:
        axes.plot(
            [],
            [],
            "D" if side.startswith(OURS) else "o",
            color=COLOURS[side],
            label=side,
            markeredgecolor="black",
            markeredgewidth=0.4,
        )
    figure.legend(loc="outside upper center", ncols=5, frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves_figure(curves: Mapping[str, Any]) -> Any:
    """Milliseconds an epoch against rows, width, depth and batch."""
    from matplotlib.figure import Figure

    figure = Figure((9, 6.4), layout="constrained")
    axes = figure.subplots(2, 2, sharey=False).ravel()
    for place, what in zip(axes, GROWN, strict=True):
        sides = {side for each in curves[what].values() for side in each["epochs"]}
        for side in (side for side in COLOURS if side in sides):
            points = [(int(size), _medians(each["epochs"]).get(side)) for size, each in curves[what].items()]
            known = [(size, value) for size, value in points if value is not None]
            place.plot(
                *zip(*known, strict=True),
                "D-" if side.startswith(OURS) else "o-",
                color=COLOURS[side],
                label=side,
                markersize=4,
            )
        place.set(xscale="log", yscale="log", xlabel=what, ylabel="ms an epoch")
        place.spines[["top", "right"]].set_visible(False)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center", ncols=5, frameon=False, fontsize=8)
    return figure


if __name__ == "__main__":
    main(*sys.argv[1:])
