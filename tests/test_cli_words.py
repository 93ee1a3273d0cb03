"""What the command line prints: that it fits, that it is plain where it should be, and that it says what went wrong."""

import os
import pty
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from backlit import cli
from backlit.cli import show
from tests.command import ENVIRONMENT, backlit, fitted, strictly

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def in_terminal(columns, *arguments, **environment):
    """What a terminal of so many columns gets on standard output."""
    master, slave = pty.openpty()
    surroundings = {**ENVIRONMENT, "TERM": "xterm-256color", **environment, "COLUMNS": str(columns)}
    surroundings.pop("NO_COLOR", None) if "NO_COLOR" not in environment else None
    command = [sys.executable, "-m", "backlit", *map(str, arguments)]
    parts = []
    with subprocess.Popen(command, stdout=slave, stderr=subprocess.DEVNULL, env=surroundings) as process:
        os.close(slave)
        try:
            while part := os.read(master, 65536):
                parts.append(part)
        except OSError:  # Linux ends a terminal's output so
            pass
        process.wait()
    os.close(master)
    return process.returncode, b"".join(parts).decode().replace("\r\n", "\n")


def table(classes, rows=300):
    """data.csv: two columns of numbers and a class from the list, by the first of them."""
    x = RNG.uniform(size=(rows, 2))
    codes = (x[:, 0] * len(classes)).astype(int)
    pd.DataFrame({"x": x[:, 0], "z": x[:, 1], "y": [classes[code] for code in codes]}).to_csv("data.csv", index=False)


@pytest.mark.parametrize("columns", [60, 80, 120, 200])
@pytest.mark.parametrize("data", ["wine", "digits", "diabetes"])
def test_no_line_is_longer_than_the_screen_or_ends_in_blanks(monkeypatch, data, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    code, out, _ = backlit("fit", data, "--epochs", "2", "-q")
    lines = out.splitlines()
    assert code == 0 and max(map(len, lines)) <= columns and [line for line in lines if line != line.rstrip()] == []
    reason = next(line for line in lines if "units of their own" in line or "all columns are in" in line)
    assert reason.startswith("scaling") == (columns >= 120), "a reason stands beside its choice where there is room"


def test_names_that_are_long_or_hold_line_breaks(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    table(["a\nb", "\033[31mred", "x" * 100, "猫猫猫", "tab\there"])
    code, out, _ = backlit("fit", "data.csv", "--epochs", "1", "-q")
    assert code == 0 and "\033" not in out and "x" * 31 not in out
    matrix = out.split("against predicted:\n")[1].split("\n\n")[0].splitlines()
    assert len(matrix) == 6 and len({show.cells_of(line) for line in matrix}) == 1
    assert re.search(r"^\d? ?a b ", "\n".join(matrix), re.MULTILINE)


@pytest.mark.parametrize("count", [20, 21])
def test_a_large_confusion_matrix_becomes_the_worst_pairs(monkeypatch, count):
    monkeypatch.setenv("COLUMNS", "200")
    table([f"c{k}" for k in range(count)], 1000)
    code, out, _ = backlit("fit", "data.csv", "--epochs", "1", "-q")
    pairs = re.findall(r"^  (\d+) of (\d+) (c\d+) taken for (c\d+)$", out, re.MULTILINE)
    assert code == 0 and ("true \\ predicted" in out) == (count == 20) and bool(pairs) == (count == 21)
    assert all(0 < int(wrong) <= int(rows) and true != told for wrong, rows, true, told in pairs)
    assert [int(pair[0]) for pair in pairs] == sorted((int(pair[0]) for pair in pairs), reverse=True)


def test_many_columns_are_listed_in_part():
    frame = pd.DataFrame(RNG.normal(size=(50, 60)), columns=[f"c{k}" for k in range(60)]).assign(y=RNG.normal(size=50))
    frame.to_csv("data.csv", index=False)
    code, out, _ = backlit("fit", "data.csv", "--epochs", "1", "-q")
    assert code == 0 and "c19 " in out and "c20 " not in out and "… and 40 more columns, 0 of them left out" in out


@pytest.mark.slow
def test_colours_in_a_terminal_and_none_where_they_are_not_wanted():
    code, out = in_terminal(80, "fit", "iris", "--epochs", "1")
    assert code == 0 and "\033[1m" in out
    code, out = in_terminal(80, "fit", "iris", "--epochs", "1", "--overwrite", NO_COLOR="1")
    assert code == 0 and "\033" not in out and max(map(len, out.splitlines())) <= 80


def test_the_linear_model_gets_its_due():
    code, out, _ = backlit("fit", "diabetes", "-q")
    assert code == 0 and re.search(r"The linear model is as good on the test rows \(R² .*prefer it\.", out)
    code, out, _ = backlit("fit", "diabetes", "-q", "--epochs", "1", "--overwrite", "--learning-rate", "1e-9")
    assert code == 0 and re.search("The linear model is better|No better than the constant answer", out)
    assert "still falling: --epochs 2 " in out


# ---------------------------------------------------------------------- what is refused
def test_a_model_file_is_not_written_over_another():
    before = fitted("iris", "--epochs", "1")
    with open("iris.backlit", "rb") as file:
        content = file.read()
    code, out, err = backlit("fit", "iris", "--epochs", "1", "--seed", "5")
    assert (code, out) == (2, "") and "--overwrite" in err and "--out" in err
    with open("iris.backlit", "rb") as file:
        assert file.read() == content
    assert fitted("iris", "--epochs", "1", "--seed", "5", "--overwrite")["train"] != before["train"]


def test_what_cannot_be_written_is_known_before_the_training(monkeypatch):
    def trained(*_):
        raise AssertionError("trained first")

    monkeypatch.setattr(cli.fit.recipe, "run", trained)
    for path in ("no/folder/m.backlit", f"{'m' * 240}.backlit"):
        code, out, err = backlit("fit", "iris", "--out", path)
        assert (code, out) == (2, "") and "--out" in err
    assert os.listdir() == []


def test_a_traceback_for_those_who_ask():
    for arguments in (["fit", "nothing.npz"], ["fit", "iris", "--optimizer", "adm"]):
        assert "Traceback" not in backlit(*arguments)[2]
        for verbose in ([*arguments, "-v"], ["--verbose", *arguments]):
            code, out, err = backlit(*verbose)
            assert (code, out) == (2, "") and "Traceback" in err and err.splitlines()[-1].startswith("  ")


def test_a_fault_of_ours_is_told_without_a_traceback(monkeypatch):
    def broken(*_):
        raise KeyError("inside")

    monkeypatch.setattr(cli.fit, "read", broken)
    code, out, err = backlit("fit", "iris")
    assert (code, out) == (1, "") and "KeyError: 'inside'" in err and "--verbose" in err and "Traceback" not in err


# ---------------------------------------------------------------------- check
def test_check_says_what_the_columns_are():
    frame = pd.DataFrame({"n": [1.5, 2.5, None] * 20, "c": ["a", "b", "c"] * 20, "same": 7, "y": ["u", "v", "u"] * 20})
    frame.to_csv("data.csv", index=False)
    code, out, err = backlit("check", "data.csv")
    assert (code, err) == (0, "") and "60 examples" in out and "'y' asks for binary" in out
    assert re.search(r"n +number +2 where missing", out) and re.search(r"c +category +a, b, c", out)
    assert re.search(r"same +left out +it has a single value, 7", out) and "u (40), v (20)" in out
    assert "warning: 57 of 60 rows repeat another one" in out and "'n' is missing in 20 of 60 rows" in out
    assert re.search(r"No errors, \d warnings?, \d notes?\.\n$", out)
    code, out, _ = backlit("check", "data.csv", "--json")
    told = strictly(out)
    assert code == 0 and told["rows"] == 60 and told["target"]["classes"] == {"u": 40, "v": 20}
    assert {column["name"]: (column["kind"], column["missing"]) for column in told["columns"]} == {
        "n": ("number", 20), "c": ("category", 0), "same": ("left out", 0),
    }  # fmt: skip
    assert {"check", "severity", "message", "fix", "evidence"} <= set(told["findings"][0])
    assert os.listdir() == ["data.csv"]


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"x": range(40), "z": [1, 2] * 20, "y": [3.5] * 40}, [], "y has a single value"),
        ({"x": [1, 2, 3], "y": [1, 2, 1]}, [], "there are 3 rows"),
        ({"x": [1] * 40, "y": [1, 2] * 20}, [], "no column of the table can be used"),
        ({"x": [1, 2] * 20, "y": [1, 2] * 20}, ["--target", "z"], "the table has no column 'z'"),
    ],
)
def test_check_ends_with_3_where_it_finds_errors(columns, options, message):
    pd.DataFrame(columns).to_csv("data.csv", index=False)
    code, out, err = backlit("check", "data.csv", *options)
    assert (code, err) == (3, "") and f"error: {message}" in out
    code, out, _ = backlit("check", "data.csv", *options, "--json")
    assert code == 3 and message in strictly(out)["findings"][0]["message"]


def test_check_of_a_table_without_a_target_and_of_what_is_not_there():
    pd.DataFrame({"x": RNG.normal(size=40), "z": RNG.normal(size=40)}).to_csv("data.csv", index=False)
    code, out, _ = backlit("check", "data.csv")
    assert code == 0 and "No target is named" in out
    code, out, err = backlit("check", "nothing.csv")
    assert (code, out) == (2, "") and "nothing.csv" in err


@pytest.mark.parametrize("name", ["digits", "breast_cancer", "wine", "iris", "diabetes"])
def test_check_finds_no_fault_in_real_data(name):
    code, out, err = backlit("check", name)
    assert (code, err) == (0, "") and "No errors, no warnings" in out
