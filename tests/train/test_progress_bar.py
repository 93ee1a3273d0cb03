"""The progress bar: Keras's text, in a terminal live, in a file or pipe one line an epoch and no control characters."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.callbacks import ProgressBar
from backlit.layers import Dense

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])}
X, Y = np.zeros((10, 3)), np.zeros(10)
LINE = r"{n}/{n} - \d+s - \d+(us|ms|s)/step - loss: \d\.\d{{4}}(e-\d\d)?"


class Terminal(io.StringIO):
    def isatty(self):
        return True


def written(stream, monkeypatch, engine="planned", **options):
    monkeypatch.setattr(sys, "stdout", stream)
    model = bl.Sequential([Dense(1)])
    model.compile("sgd", "mse", engine=engine)
    model.fit(X, Y, **options)
    return stream.getvalue()


def test_in_a_pipe_there_is_one_line_an_epoch(monkeypatch):
    text = written(io.StringIO(), monkeypatch, epochs=3, batch_size=4)
    lines = text.splitlines()
    assert [line for line in lines if line.startswith("Epoch")] == ["Epoch 1/3", "Epoch 2/3", "Epoch 3/3"]
    rest = [line for line in lines if not line.startswith("Epoch")]
    assert len(rest) == 3 and all(re.fullmatch(LINE.format(n=3), line) for line in rest)
    assert text.isprintable() or set(text) - set("\n") == {c for c in text if c.isprintable()}
    assert "\033" not in text and "\r" not in text and "\b" not in text


@pytest.mark.parametrize("verbose", ["auto", 1, 2])
def test_no_control_characters_leave_for_a_file(monkeypatch, verbose):
    text = written(io.StringIO(), monkeypatch, epochs=2, batch_size=1, verbose=verbose)
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", text)
    assert len(text.splitlines()) == 4


def test_one_line_says_what_auto_is(monkeypatch):
    first, *rest = written(io.StringIO(), monkeypatch, engine="auto", batch_size=4).splitlines()
    assert re.fullmatch(r"engine: (compiled|planned) \(.+\)", first) and len(rest) == 1
    assert written(io.StringIO(), monkeypatch, engine="auto", verbose=0) == ""
    model = bl.Sequential([Dense(1)])
    model.compile("sgd", "mse")
    assert model.fit(X, Y, verbose=0).engine == model.engine == first.split()[1]


def test_verbose_0_is_silent(monkeypatch, capsys):
    assert written(io.StringIO(), monkeypatch, verbose=0, validation_data=(X, Y)) == ""
    captured = capsys.readouterr()
    assert captured.err == ""


def test_one_epoch_has_no_heading_and_validation_comes_last(monkeypatch):
    text = written(io.StringIO(), monkeypatch, validation_data=(X, Y))
    assert re.fullmatch(LINE.format(n=1) + r" - val_loss: \d\.\d{4}(e-\d\d)?\n", text)


def screen(text):
    """What a terminal shows in the end: each line as it was last drawn."""
    lines = text.removesuffix("\n").split("\n")
    return [re.sub(r"\033\[[0-9;]*m", "", line.split("\r\033[K")[-1]) for line in lines]


def test_in_a_terminal_the_line_is_drawn_again_in_place(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    text = written(Terminal(), monkeypatch, epochs=2, batch_size=1)
    assert "\033[32m" in text and "\r" in text
    assert text.count("\n") == 4, "only a finished epoch ends its line"
    last = r"10/10 ━{20} \d+s \d+(us|ms|s)/step - loss: \d\.\d{4}(e-\d\d)?"
    lines = screen(text)
    assert lines[0] == "Epoch 1/2" and lines[2] == "Epoch 2/2"
    assert re.fullmatch(last, lines[1]) and re.fullmatch(last, lines[3])


def test_colours_can_be_refused(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\033[32m" not in written(Terminal(), monkeypatch, epochs=1, batch_size=1)


def test_the_bar_grows_with_the_steps():
    stream = Terminal()
    bar = ProgressBar(1, stream=stream)
    bar.set_params({"epochs": 1, "steps": 40, "verbose": 1})
    bar.on_epoch_begin(0)
    bar.shown = -1e9
    bar.on_steps(20, 40, {"loss": 0.5})
    half = screen(stream.getvalue())[0]
    assert half.startswith("20/40 ") and "loss: 0.5000" in half
    bar.on_steps(21, 40, {"loss": 0.25})
    assert "0.2500" not in stream.getvalue(), "not drawn again at once"
    bar.on_epoch_end(0, {"loss": 0.125, "val_loss": 2.5e-5})
    assert screen(stream.getvalue())[-1].endswith(" - loss: 0.1250 - val_loss: 2.5000e-05")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.5, "0.5000"),
        (12345.678, "12345.6780"),
        (0.0001, "1.0000e-04"),
        (-0.5, "-0.5000"),
        (0.0, "0.0000"),
        (-2e-9, "-2.0000e-09"),
    ],
)
def test_numbers_are_written_as_keras_writes_them(monkeypatch, value, text):
    stream = io.StringIO()
    bar = ProgressBar(2, stream=stream)
    bar.set_params({"epochs": 1, "steps": 1, "verbose": 2})
    bar.on_epoch_begin(0)
    bar.on_epoch_end(0, {"loss": value})
    assert stream.getvalue().endswith(f" - loss: {text}\n")


def test_a_reader_that_goes_away_does_not_matter_to_the_numbers(tmp_path):
    code = (
        "import numpy as np, backlit as bl\n"
        "m = bl.Sequential([bl.layers.Dense(1)]); m.compile('sgd', 'mse', engine='planned')\n"
        "m.fit(np.zeros((10, 3)), np.zeros(10), epochs=3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=ENVIRONMENT)
    assert done.stderr == "" and len(done.stdout.splitlines()) == 6
