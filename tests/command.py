"""The command line as a test calls it: in a process of its own, or within this one."""

import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import backlit as bl
from backlit import cli

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1]), "COLUMNS": "110"}


def outside(*arguments):
    """(exit code, standard output, standard error) of `backlit ...` in a process of its own."""
    command = [sys.executable, "-m", "backlit", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    return done.returncode, done.stdout, done.stderr


def backlit(*arguments):
    """The same within this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        cli.main([str(argument) for argument in arguments])
    return ended.value.code, out.getvalue(), err.getvalue()


def fitted(data, *options):
    """The result of a quiet `fit --json`. Of a training of few epochs the doctor may say that it was too short."""
    code, out, err = backlit("fit", data, "--json", "--quiet", *options)
    told = [line for line in err.splitlines() if line.startswith("doctor warning")]
    assert code == 0 and all("still improving" in line for line in told) and bool(told) == bool(err), err
    return strictly(out)


def strictly(text):
    """JSON, of which NaN and Infinity are no part."""
    return json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


def table(text):
    return list(csv.reader(io.StringIO(text)))
