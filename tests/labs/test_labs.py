"""Every lab comes to its known numbers, the same ones twice, draws its pictures, and tells what is asked wrongly."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import labs
from backlit.labs.lab import Golden
from tests.command import backlit as command
from tools import notebooks

TIMED = {"the loop took, ms", "np.dot took, ms", "times as long", "the loops took, ms", "vectors took, ms"}


@pytest.fixture(scope="module", params=labs.NAMES)
def outcome(request: pytest.FixtureRequest) -> labs.Outcome:
    return labs.find(request.param).run()


@pytest.mark.slow
def test_the_known_numbers_come_out(outcome: labs.Outcome) -> None:
    wrong = [check for check in outcome.checks if not check.right]
    assert not wrong
    assert len(outcome.lab.golden) >= 3


@pytest.mark.slow
def test_a_lab_finds_the_same_numbers_twice_and_leaves_the_random_stream_alone(outcome: labs.Outcome) -> None:
    bl.random.set_seed(5)
    expected = bl.random.normal((3,))
    bl.random.set_seed(5)
    again = outcome.lab.run()
    np.testing.assert_array_equal(bl.random.normal((3,)), expected)
    for key, value in outcome.found.items():
        if key not in TIMED and isinstance(value, np.ndarray | float | int | str):
            np.testing.assert_array_equal(again.found[key], value, key)


@pytest.mark.slow
def test_the_pictures_are_drawn_with_a_headline_each(outcome: labs.Outcome, tmp_path: Path) -> None:
    assert outcome.figures
    for title, figure in outcome.figures.items():
        assert figure.get_suptitle().strip(), title
        assert figure._repr_png_()[:4] == b"\x89PNG", "a notebook shows it"
        figure.savefig(tmp_path / "picture.png")


def test_every_row_of_the_inventory_is_in_one_lab() -> None:
    rows = {row for name in labs.NAMES for row in labs.find(name).rows}
    assert {f"C{number}" for number in range(366, 381)} <= rows
    assert {f"F{number:03}" for number in range(1, 10)} <= rows


def test_what_a_lab_teaches_is_one_sentence() -> None:
    for name in labs.NAMES:
        assert re.fullmatch(r"[A-Z][^.]*(\d\.\d[^.]*)*\.", labs.find(name).says), name


def test_a_wrong_number_is_seen() -> None:
    lab = dataclasses.replace(labs.find("relu"), golden=(Golden("told wrong", "mean squared error", 1.0, 0.1),))
    assert [check.right for check in lab.check()] == [False]
    assert "✗ told wrong: 2.46" in str(lab.run())


def test_a_moved_slider_moves_the_numbers() -> None:
    found = labs.find("relu").run(w1=1, b1=-1).found
    np.testing.assert_allclose(found["slopes of the sum"], [-2, 1, 1])
    assert found["where each unit bends"].endswith("unit 2: nowhere (w = 0)")


@pytest.mark.parametrize("settings", [{"w9": 1.0}, {"w1": 5.0}])
def test_sliders_that_are_not_there(settings: dict[str, float]) -> None:
    with pytest.raises(bl.BacklitError) as error:
        labs.find("relu").run(**settings)
    assert "w1" in str(error.value)


def test_the_command_lists_the_labs() -> None:
    code, told, _ = command("lab")
    assert code == 0
    assert [line.split()[0] for line in told.splitlines()] == list(labs.NAMES)


def test_the_command_runs_a_lab(tmp_path: Path) -> None:
    code, told, _ = command("lab", "relu", "--set", "w1=1", "--out", str(tmp_path), "--json")
    said = json.loads(told)
    assert code == 0
    assert said["values"]["w1"] == 1 and said["checks"] == []
    assert (tmp_path / "relu-units.png").stat().st_size > 10_000


def test_a_misspelt_lab_is_answered_with_the_nearest() -> None:
    code, _, told = command("lab", "sofmax")
    assert code == 2
    assert "did you mean 'softmax'?" in told


def test_the_window_draws_what_the_sliders_say() -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    from backlit.labs.window import Live

    live = Live(labs.find("relu"), labs.find("relu").run().values)
    before = np.array(live.image.get_array())
    live.sliders[0].set_val(1.0)
    assert live.values["w1"] == 1.0
    assert (np.array(live.image.get_array()) != before).any()
    live.sliders[0].reset()
    np.testing.assert_array_equal(np.array(live.image.get_array()), before)
    plt.close(live.figure)


@pytest.mark.parametrize("name", labs.NAMES)
def test_the_notebooks_are_those_of_the_code(name: str) -> None:
    assert (notebooks.PLACE / f"{name}.ipynb").read_text() == notebooks.notebook(name), "make docs"


def test_a_notebook_runs(capsys: pytest.CaptureFixture[str]) -> None:
    shown: dict[str, object] = {}
    code = [text for kind, text in notebooks.cells("relu") if kind == "code"]
    for text in code[:-1]:
        exec(compile(text, "cell", "exec"), shown)
    assert "✓ the target's slopes" in capsys.readouterr().out
