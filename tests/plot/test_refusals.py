"""What cannot be drawn is refused in the form of all errors, before anything is drawn."""

import builtins
import subprocess
import sys

import pytest

import backlit as bl
from backlit.core.errors import BacklitError
from tools.wrong.plot import cases

CASES = cases()


@pytest.mark.parametrize("name", CASES)
def test_it_is_refused_with_a_reason(name):
    with pytest.raises(BacklitError) as caught:
        CASES[name]()
    assert len(str(caught.value).splitlines()[0]) < 160 and (caught.value.fields or "must be" in str(caught.value))


def test_without_matplotlib_the_numbers_are_still_there(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    assert bl.plot.softmax.data([1.0, 2.0]).a.sum() == pytest.approx(1)
    with pytest.raises(bl.BacklitError, match="matplotlib") as caught:
        bl.plot.softmax([1.0, 2.0])
    assert caught.value.fields["fix"] == "pip install 'backlit[plot]'"


@pytest.mark.slow
def test_the_numbers_load_no_matplotlib():
    code = (
        "import sys, backlit as bl; bl.plot.softmax.data([1.0, 2.0]); print('matplotlib' in sys.modules);"
        "bl.plot.softmax([1.0, 2.0]).savefig(sys.stderr.buffer); print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, check=True)
    assert done.stdout.split() == [b"False", b"False"]
