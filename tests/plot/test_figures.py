"""Every picture at its default size: no warning, nothing outside of the sheet, no words over words; nothing is changed."""

import io
import itertools
import sys

import numpy as np
import pytest

import backlit as bl
from backlit.core.seed import _state
from backlit.pictures import canvas
from tests.plot.programs import FIGURES, blobs, cancer

agg = pytest.importorskip("matplotlib.backends.backend_agg")
SLACK = 1.5  # pixels that two boxes may share


def overlap(one, other):
    return (
        min(one.x1, other.x1) - max(one.x0, other.x0) > SLACK and min(one.y1, other.y1) - max(one.y0, other.y0) > SLACK
    )


def shown(artists, renderer):
    seen = [each for each in artists if each is not None and each.get_visible()]
    return [
        (repr(each), each.get_window_extent(renderer))
        for each in seen
        if not hasattr(each, "get_text") or each.get_text()
    ]


def tick_labels(axis, renderer):
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
    return shown([tick.label1 for tick in ticks], renderer)


def groups(figure, renderer):
    """Lists of boxes of which no two may overlap."""
    yield shown([figure._suptitle, figure._supxlabel, *figure.legends], renderer) + [
        (repr(axes), axes.get_tightbbox(renderer)) for axes in figure.axes
    ]
    yield shown([title for axes in figure.axes for title in (axes.title, axes._left_title)], renderer)
    for axes in figure.axes:
        yield shown([axes._left_title, axes.xaxis.label, axes.yaxis.label], renderer)
        yield shown(axes.texts, renderer)
        for axis in (axes.xaxis, axes.yaxis):
            yield tick_labels(axis, renderer)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.slow
def test_a_picture_is_right_at_its_default_size(name):
    figure = FIGURES[name]()
    canvas = agg.FigureCanvasAgg(figure)
    canvas.draw()  # warnings are errors
    renderer = canvas.get_renderer()
    whole = figure.get_tightbbox(renderer)
    wide, high = figure.get_size_inches()
    assert whole.x0 >= -0.02 and whole.y0 >= -0.02 and whole.x1 <= wide + 0.02 and whole.y1 <= high + 0.02
    for boxes in groups(figure, renderer):
        for (one, here), (other, there) in itertools.combinations(boxes, 2):
            assert not overlap(here, there), (one, other)
    assert len(figure._suptitle.get_text()) > 20 and any(c.isdigit() for c in figure._suptitle.get_text())
    assert figure.data is not None


@pytest.mark.slow
def test_a_picture_leaves_models_seeds_and_pyplot_alone():
    model = blobs()[0]
    cancer()
    before, weights = dict(_state), [np.array(w) for w in model.get_weights()]
    steps, state = model.optimizer.iterations, np.random.get_state()[1].copy()
    for name in (
        "regions",
        "units of the next layer",
        "descent of a model",
        "flow",
        "learning curve",
        "surface of a model",
    ):
        FIGURES[name]()
    assert dict(_state) == before and model.optimizer.iterations == steps
    assert all(np.array_equal(a, b) for a, b in zip(weights, model.get_weights(), strict=True))
    assert np.array_equal(np.random.get_state()[1], state)
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_the_same_data_can_be_drawn_again_and_shown_in_a_notebook():
    data = bl.plot.softmax.data([1.0, 2.0])
    figure = bl.plot.softmax.draw(data)
    assert figure.data is data and figure._repr_png_()[:4] == b"\x89PNG"


def test_words_are_no_formulas():
    figure = bl.plot.softmax([1.0, 2.0], ["<$50", "$50 to $90_k^2"])
    figure.savefig(io.BytesIO(), format="png")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["<$50", "$50 to $90_k^2"]


def test_letters_that_no_font_has_are_written_as_codes(monkeypatch):
    monkeypatch.setattr(canvas, "_second", lambda letters: ((), letters))
    figure = bl.plot.softmax([2.0, 1.0], ["猫", "größer ∀"])
    figure.savefig(io.BytesIO(), format="png")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == ["\\u732b", "größer ∀"]
    assert figure.get_suptitle().startswith("\\u732b is the most probable")


def test_a_letter_that_another_font_has_is_drawn_with_it():
    words, second = canvas.lettered(["𝒜 of z"])  # matplotlib brings STIX along
    assert words == ["𝒜 of z"] and second


def test_every_public_name_is_a_picture():
    names = [name for name in dir(bl.plot) if not name.startswith("_") and callable(getattr(bl.plot, name))]
    pictures = {name for name in names if hasattr(getattr(bl.plot, name), "draw")}
    assert pictures >= {"activations", "regions", "units", "descent", "history", "receptive"}
    drawn = {name.split()[0] for name in FIGURES}
    for name in pictures:
        assert getattr(bl.plot, name).__doc__ and (name in drawn or name.split("_")[0] in drawn), name
