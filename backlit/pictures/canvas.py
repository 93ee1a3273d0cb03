"""What all pictures share: how one is made of numbers and a drawing, the sheet it stands on, its colours and words.

A picture is drawn on a Figure of its own, without pyplot: no window, no global state, nothing to close.
"""

from __future__ import annotations

import inspect
import io
import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache, partial, wraps
from typing import Any, TypeVar

import numpy as np

from ..core.arguments import checked
from ..core.errors import NotReadyError
from ..view.svg import AHEAD, BACK

Function = TypeVar("Function", bound=Callable[..., Any])

INK, SOFT, FAINT, PALE = "#1f2328", "#57606a", "#d0d7de", "#eef1f4"
FORWARD, BACKWARD = AHEAD, BACK  # the course's blue and red
BLUE, ORANGE, GREEN, PURPLE, SKY, RED = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00"
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, RED, "#000000", "#F0E442")  # Okabe and Ito: for the colour-blind, too
MARKERS = "os^DvP*Xp<>hd"
_LETTER = 0.0086  # inches: how wide a letter is for each point of its size
_HEAD, _BODY = 12, 9.5  # sizes of letters


def picture(draw: Callable[[Any], Any]) -> Callable[[Function], Function]:
    """Make a public picture of the function that computes its numbers: called, it returns the Figure that `draw` makes
    of them, with the numbers as `figure.data`; `.data(…)` computes the numbers alone, `.draw(numbers)` draws them."""

    def make(compute: Function) -> Function:
        computed = checked(compute)

        @wraps(computed)
        def shown(*args: Any, **kwargs: Any) -> Any:
            _matplotlib()
            return drawn(computed(*args, **kwargs))

        def drawn(data: Any) -> Any:
            figure = draw(data)
            _spell(figure)
            figure.data = data
            return figure

        known: Any = shown
        known.data, known.draw = computed, drawn
        known.__signature__ = inspect.signature(compute).replace(return_annotation="Figure")
        return known

    return make


def _matplotlib() -> Any:
    try:
        import matplotlib.figure
    except ImportError:
        raise NotReadyError(
            "pictures are drawn by matplotlib, which is not installed.",
            why="the numbers alone need none of it: .data(...) in place of the call",
            fix="pip install 'backlit[plot]'",
        ) from None
    return matplotlib


def _png(figure: Any) -> bytes:
    held = io.BytesIO()
    figure.savefig(held, format="png", dpi=100)
    return held.getvalue()


# ---------------------------------------------------------------------- letters of all languages
def _spell(figure: Any) -> None:
    """All words of a figure in letters that can be drawn."""
    from matplotlib.text import Text

    for each in figure.findobj(Text):
        spelt, second = lettered([each.get_text()])
        if second:
            each.set(fontfamily=[*each.get_fontfamily(), *second], weight="normal")  # few fonts are there in bold, too
        each.set_text(spelt[0])


def lettered(words: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """(words, fonts beside the usual one that their letters need); a letter that no installed font has as \\u732b."""
    lacking = frozenset() if "".join(words).isascii() else _lacking("".join(words))
    if not lacking:
        return list(words), ()
    second, never = _second(lacking)
    codes = {ord(letter): letter.encode("unicode_escape").decode() for letter in never}
    return [word.translate(codes) for word in words], second


def _lacking(words: str) -> frozenset[str]:
    """The letters that the usual font does not have."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    font = get_font(findfont(FontProperties()))
    return frozenset(each for each in set(words) if each.isprintable() and not font.get_char_index(ord(each)))


@lru_cache(maxsize=32)
def _second(letters: frozenset[str]) -> tuple[tuple[str, ...], frozenset[str]]:
    """(installed fonts that have these letters between them, the letters that none has)."""
    from matplotlib.font_manager import fontManager, get_font

    families, left = [], letters
    for entry in fontManager.ttflist:
        if not left:
            break
        if (entry.style, entry.weight) != ("normal", 400) or "last" in entry.name.lower():  # Last Resort has but boxes
            continue
        has = {letter for letter in left if get_font(entry.fname).get_char_index(ord(letter))}
        if has:
            families.append(entry.name)
            left = left - has
    return tuple(families), left


# ---------------------------------------------------------------------- the sheet
def wrapped(words: str, wide: float, size: float) -> str:
    """Words in lines of so many inches; what stands around = < > … stays together."""
    held = re.sub(r" ([=<>…·×%→]+) ", "\u00a0\\1\u00a0", words).replace(" %", "\u00a0%")
    return "\n".join(textwrap.wrap(held, max(12, int(wide / (_LETTER * size)))))


def sheet(headline: str, size: tuple[float, float], rows: int = 1, columns: int = 1, **panels: Any) -> tuple[Any, Any]:
    """(figure, its panels (rows, columns)), with what there is to learn at the top."""
    figure = _matplotlib().figure.Figure(figsize=size, dpi=100, layout="constrained", facecolor="white")
    figure._repr_png_ = partial(_png, figure)  # a notebook shows it
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.03, hspace=0.04)
    figure.suptitle(
        wrapped(headline, size[0] - 0.2, _HEAD), x=0.012, ha="left", size=_HEAD, color=INK, weight="bold",
        parse_math=False,
    )  # fmt: skip
    if rows and columns:
        found = figure.subplots(rows, columns, squeeze=False, **panels)
        for axes in found.flat:
            dress(axes)
        return figure, found
    return figure, None


def dress(axes: Any) -> None:
    """Thin grey lines and dark letters, whatever style is set."""
    axes.set_facecolor("white")
    axes.tick_params(colors=SOFT, labelsize=_BODY - 1, width=0.8)
    for side in axes.spines.values():
        side.set(color=SOFT, linewidth=0.8)


def bare(axes: Any) -> None:
    """A panel without frame and numbers, for a drawing."""
    axes.set_axis_off()


def open_frame(axes: Any, grid: bool = True) -> None:
    """Only the left and lower line, over a faint grid."""
    dress(axes)
    axes.spines[["top", "right"]].set_visible(False)
    if grid:
        axes.grid(True, color=PALE, linewidth=0.9)
        axes.set_axisbelow(True)


def entitle(axes: Any, words: str, wide: float | None = None, colour: str = INK) -> None:
    """The title of a panel, over its left edge, in lines of `wide` inches."""
    words = wrapped(words, wide, _BODY + 0.5) if wide else words
    axes.set_title(words, loc="left", size=_BODY + 0.5, color=colour, parse_math=False)


def label(axes: Any, across: str = "", up: str = "", **kind: Any) -> None:
    """What the two directions mean."""
    axes.set_xlabel(across, size=_BODY, color=kind.get("colour", INK), parse_math=False)
    axes.set_ylabel(up, size=_BODY, color=kind.get("colour", INK), parse_math=False)


def say(axes: Any, x: float, y: float, words: str, colour: str = INK, **kind: Any) -> Any:
    """Words at a place of the data, readable over lines."""
    back = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.0} if kind.pop("back", True) else None
    return axes.text(x, y, words, color=colour, bbox=back, parse_math=False, **{"size": _BODY - 0.5, **kind})


def legend(axes: Any, place: str = "best", **kind: Any) -> Any:
    """The legend of a panel or, with a place such as "outside lower center", of a figure."""
    found = axes.legend(
        loc=place, fontsize=_BODY - 0.5, framealpha=0.9, edgecolor=FAINT, facecolor="white", labelcolor=INK, **kind
    )
    for words in found.get_texts():
        words.set_parse_math(False)
    return found


def marks(axis: Any, places: Iterable[Any], words: Sequence[Any], **kind: Any) -> None:
    """Names on an axis in place of numbers."""
    spelt, second = lettered([str(word) for word in words])
    if second:
        kind["fontfamily"] = [*_matplotlib().rcParams["font.family"], *second]
    axis.set_ticks(list(places), spelt, parse_math=False, **kind)


def note(figure: Any, words: str) -> None:
    """A line below all panels."""
    lines = wrapped(words, figure.get_figwidth() - 0.2, _BODY - 0.5)
    figure.supxlabel(lines, x=0.012, ha="left", size=_BODY - 0.5, color=SOFT, parse_math=False)


# ---------------------------------------------------------------------- colours
def class_colours(count: int) -> list[Any]:
    """One colour a class: told apart by the colour-blind as far as eight go; beyond, the markers tell."""
    return [COLOURS[place % len(COLOURS)] for place in range(count)]


def paler(colour: str, by: float = 0.75) -> Any:
    """A colour mixed with white."""
    rgb = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return tuple(rgb + (1 - rgb) * by)


def rising() -> Any:
    """White for the least, blue for the most; so a path over it is seen."""
    named = _matplotlib().colors.LinearSegmentedColormap
    return named.from_list("rising", ["#ffffff", "#d8e9f6", "#9cc7e6", "#4a8fc7", "#1b5a93"])


def scale_of(values: Any) -> tuple[Any, float, float]:
    """(colour map, low, high) for numbers: white to blue from 0 where none is negative, else orange, white at 0, blue."""
    colors = _matplotlib().colors
    finite = np.asarray(values)[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0:
        return rising(), 0.0, high or 1.0
    most = max(-low, high)
    two = colors.LinearSegmentedColormap.from_list("signed", ["#7f3b08", ORANGE, "#ffffff", SKY, "#08306b"])
    return two, -most, most


def short(value: float, digits: int = 3) -> str:
    """A number of few digits, with a true minus."""
    number = float(value) + 0.0  # no −0
    text = f"{number:.{digits}g}"
    if "e+" in text and abs(number) < 1e7:
        text = f"{float(text):,.0f}"
    return text.replace("-", "−")


def shortened(words: Any, letters: int = 14) -> str:
    """A name that fits."""
    text = str(words)
    return text if len(text) <= letters else text[: letters - 1] + "…"
