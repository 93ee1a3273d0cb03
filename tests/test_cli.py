"""The command line from outside: what it prints where, what it leaves behind, and how it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit import cli
from backlit.io.tables import read
from backlit.layers import Dense
from backlit.losses import SparseCategoricalCrossentropy
from backlit.train import recipe
from tests.command import ENVIRONMENT, backlit, fitted, outside, strictly, table

RNG = np.random.default_rng(0)
X = RNG.normal(size=(90, 4))
LABELS = X[:, :3].argmax(axis=1) + 1
KEYS = {"task", "network", "optimizer", "loss", "epochs", "seconds", "train", "dev", "test", "baseline", "model_file"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


# ---------------------------------------------------------------------- the whole way, each in a process of its own
def test_the_main_job():
    code, out, err = outside("fit", "digits", "--epochs", "3", "--json")
    assert (code, err) == (0, "")
    result = strictly(out)
    assert set(result) >= KEYS
    assert (result["task"], result["epochs"], result["model_file"]) == ("multiclass", 3, "digits.backlit")
    assert [layer.get("units") for layer in result["network"] if layer["type"] == "Dense"] == [25, 15, 10]
    assert result["loss"].startswith("SparseCategoricalCrossentropy(") and result["optimizer"].startswith("Adam(")
    assert [result[part]["n"] for part in ("train", "dev", "test")] == [1258, 270, 269]
    assert result["test"]["accuracy"] > 0.7 > result["baseline"]["constant"]["accuracy"]
    assert result["baseline"]["linear"]["accuracy"] > 0.9
    assert os.listdir() == ["digits.backlit"]

    code, out, err = outside("evaluate", "digits.backlit", "--json")
    assert (code, err) == (0, "")
    again = strictly(out)
    assert (again.pop("rows"), again.pop("training_rows")) == ("held-out test rows", 0)
    assert again == result["test"]

    code, out, err = outside("predict", "digits.backlit")
    assert (code, err) == (0, "")
    header, *rows = table(out)
    assert header == ["row", "digit", *(f"p({k})" for k in range(10))] and len(rows) == 269
    for row in rows:
        p = [float(cell) for cell in row[2:]]
        assert sum(p) == pytest.approx(1, abs=1e-4) and row[1] == str(np.argmax(p))


def test_words_go_to_people_and_progress_to_standard_error():
    code, out, err = outside("fit", "iris", "--epochs", "20")
    assert code == 0
    engine, *epochs = err.splitlines()
    assert re.fullmatch(r"engine: (compiled|planned) \(.+\)", engine)
    assert [line for line in epochs if not re.fullmatch(r"epoch \d+/20  .*", line)] == [] and len(epochs) == 10
    for word in (
        "iris: 150 examples",
        "task",
        "split",
        "scaling",
        "hidden layers",
        "loss",
        "accuracy",
        "95 %",
        "Saved in iris.backlit",
    ):
        assert word in out, word
    for name in ("train", "dev", "test", "constant answer", "linear model", "setosa", "true \\ predicted"):
        assert name in out, name
    assert "\033" not in out + err and "\r" not in out + err and "epoch 2/20" not in out


def test_ctrl_c_saves_what_there_is():
    listening = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a background job ignores it
    program = f"{listening}; from backlit.cli import main; main()"
    command = [sys.executable, "-c", program, "fit", "digits", "--epochs", "100000", "--learning-rate", "1e-6"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    ) as process:
        for line in process.stdout:
            if "parameters are trained" in line:
                break
        time.sleep(2)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in err and "digits.backlit" in err and "Traceback" not in err
    model = bl.load_model("digits.backlit")
    assert model.iterations > 0 and model.predict(np.zeros((1, 64))).shape == (1, 10)
    code, out, _ = backlit("evaluate", "digits.backlit", "--json")
    assert code == 0 and strictly(out)["n"] == 269


def test_ctrl_c_before_there_is_anything_to_save(monkeypatch):
    def press(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.fit, "read", press)
    code, out, err = backlit("fit", "iris")
    assert (code, out, err.strip()) == (130, "", "backlit: interrupted.") and os.listdir() == []


def test_a_reader_that_has_seen_enough_is_no_error():
    fitted("digits", "--epochs", "1")
    command = f"{sys.executable} -m backlit predict digits.backlit | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.stdout.startswith("row,digit") and "Traceback" not in done.stderr


# ---------------------------------------------------------------------- data of one's own
def test_labels_from_1():
    np.savez("data.npz", X=X, y=LABELS)
    result = fitted("data.npz", "--epochs", "30")
    assert result["task"] == "multiclass" and result["model_file"] == "data.backlit"
    assert set(result["test"]["by_class"]) == {"1", "2", "3"}
    code, out, _ = backlit("predict", "data.backlit")
    assert code == 0 and {row[1] for row in table(out)[1:]} <= {"1", "2", "3"}
    assert table(out)[0] == ["row", "y", "p(1)", "p(2)", "p(3)"]
    rows = [int(row[0]) for row in table(out)[1:]]
    told = np.array([int(row[1]) for row in table(out)[1:]])
    assert np.mean(told == LABELS[rows]) == pytest.approx(result["test"]["accuracy"])


def test_several_labels():
    y = (X[:, :3] > 0).astype(int)
    np.savez("data.npz", X=X, y=y)
    result = fitted("data.npz", "--epochs", "30", "--layers", "8")
    assert result["task"] == "multilabel" and "BinaryCrossentropy" in result["loss"]
    code, out, _ = backlit("predict", "data.backlit")
    header, *rows = table(out)
    names = [f"label {k}" for k in range(3)]
    assert code == 0 and header == ["row", *names, *(f"p({name})" for name in names)]
    for row in rows:
        assert row[1:4] == [str(int(float(p) > 0.5)) for p in row[4:]]
    code, out, _ = backlit("evaluate", "data.backlit")
    assert code == 0 and out.startswith("accuracy ")


def test_a_regression():
    np.savez("data.npz", X=X, y=3 * X[:, 0] - X[:, 1] - 10)
    result = fitted("data.npz", "--epochs", "60")
    assert result["task"] == "regression" and {"r2", "mae", "interval"} <= set(result["test"])
    assert result["test"]["r2"] > 0.8
    code, out, _ = backlit("predict", "data.backlit", "--json")
    told = strictly(out)
    assert code == 0 and told["task"] == "regression" and len(told["predictions"]) == result["test"]["n"]
    assert set(told["predictions"][0]) == {"row", "y"}
    _, out, _ = backlit("evaluate", "data.backlit")
    assert re.match(r"r2 0\.\d{4} \(95 %: .*\), mean \|error\| ", out)


def test_two_classes_by_name():
    np.savez("data.npz", X=X, y=np.where(X[:, 0] > 0, "yes, it is", 'no "no"'))
    assert fitted("data.npz", "--epochs", "20")["task"] == "binary"
    code, out, _ = backlit("predict", "data.backlit")
    header, *rows = table(out)
    assert code == 0 and header == ["row", "y", 'p(no "no")', "p(yes, it is)"]
    assert {row[1] for row in rows} == {"yes, it is", 'no "no"'} and {len(row) for row in rows} == {4}


@pytest.fixture
def trained():
    """The model of labels 1, 2, 3, and what it should give for any rows."""
    np.savez("data.npz", X=X, y=LABELS)
    fitted("data.npz", "--epochs", "20", "--layers", "8")
    model = bl.load_model("data.backlit")
    return lambda rows: np.array(model.classes)[model.predict_probabilities(X[rows]).argmax(axis=1)].astype(int)


OTHERS = {
    "all rows in another order": np.arange(90)[::-1],
    "one class only": np.flatnonzero(LABELS == 2),
    "without the first class": np.flatnonzero(LABELS != 1),
    "five rows": np.arange(5),
    "one row": np.array([7]),
}


@pytest.mark.parametrize("rows", OTHERS.values(), ids=OTHERS)
def test_other_rows_are_measured_by_the_names_of_the_classes(trained, rows):
    wanted = trained(rows)
    for y in (LABELS[rows], LABELS[rows].astype(float)):
        np.savez("other.npz", X=X[rows], y=y)
        code, out, err = backlit("evaluate", "data.backlit", "other.npz", "--json")
        result = strictly(out)
        seen = bl.load_model("data.backlit").about["seed"]
        train = recipe.prepare(read("data.npz"), seen).parts.train
        known = len(set(rows.tolist()) & set(train.tolist()))
        told = f"backlit: {known} training rows are among the {len(rows)} rows of other.npz" if known else ""
        assert code == 0 and err.startswith(told) and bool(err) == bool(known)
        assert result["rows"] == "all rows" and result["n"] == len(rows) and result["training_rows"] == known
        assert result["accuracy"] == pytest.approx(np.mean(wanted == LABELS[rows]))
        code, out, _ = backlit("predict", "data.backlit", "other.npz")
        assert code == 0 and [int(row[1]) for row in table(out)[1:]] == wanted.tolist()


@pytest.mark.parametrize(
    ("arrays", "word"),
    [
        ({"X": X, "y": LABELS + 1}, "found     4"),
        ({"X": X, "y": np.array(["a", "b", "c"])[LABELS - 1]}, "found     a, b, c"),
        ({"X": X[:, :3], "y": LABELS}, r"shape \(m, 4\)"),
        ({"X": np.where(X > 2, np.nan, X), "y": LABELS}, "NaN"),
    ],
)
def test_rows_that_the_model_cannot_know_are_a_data_error(trained, arrays, word):
    np.savez("other.npz", **arrays)
    for verb in ("evaluate", "predict") if arrays["X"] is not X else ("evaluate",):
        code, out, err = backlit(verb, "data.backlit", "other.npz")
        assert (code, out) == (3, "") and re.search(word, err) and "Traceback" not in err
        assert "core.py" not in err, "a line of Python that nobody wrote"


def test_data_that_have_changed_since_the_training(trained):
    np.savez("data.npz", X=X + 1, y=LABELS)
    for verb in ("evaluate", "predict"):
        code, out, err = backlit(verb, "data.backlit")
        assert (code, out) == (3, "") and "data.npz has changed since the training" in err and "FILE DATA" in err
    code, out, err = backlit("evaluate", "data.backlit", "data.npz", "--json")
    result = strictly(out)
    assert code == 0 and (result["rows"], result["n"], result["training_rows"]) == ("all rows", 90, None)
    assert "training rows may be among the 90 rows" in err
    os.remove("data.npz")
    code, out, err = backlit("evaluate", "data.backlit")
    assert (code, out) == (2, "") and "data.npz" in err


def test_a_model_that_was_saved_by_a_program():
    model = bl.Sequential([Dense(8, "relu"), Dense(3)])
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X, LABELS - 1, epochs=5, verbose=0)
    model.save("own.backlit")
    code, _, err = backlit("evaluate", "own.backlit")
    assert code == 1 and "name the data" in err
    np.savez("data.npz", X=X, y=LABELS - 1)
    code, out, _ = backlit("evaluate", "own.backlit", "data.npz", "--json")
    accuracy = np.mean(model.predict_classes(X) == LABELS - 1)
    assert code == 0 and strictly(out)["accuracy"] == pytest.approx(accuracy)


def test_names_that_look_like_markup():
    name = "x[bold] [red]y [/].npz".replace("/", "")
    np.savez(name, X=X, y=np.array(["[b]a[/b]", "[red]", "c"])[LABELS - 1])
    code, out, err = backlit("fit", name, "--epochs", "2")
    assert code == 0, err
    assert "x[bold] [red]y []:" in out and "[b]a[/b]" in out and "'x[bold] [red]y [].backlit'" in out


# ---------------------------------------------------------------------- options, and what is refused
def test_options_are_followed():
    result = fitted(
        "iris", "--layers", "7", "--activation", "tanh", "--optimizer", "sgd", "--learning-rate", "0.2", "--l2", "0",
        "--epochs", "2", "--batch-size", "10", "--seed", "3", "--out", "here.backlit",
    )  # fmt: skip
    assert [layer["units"] for layer in result["network"] if "units" in layer] == [7, 3]
    assert "tanh" in json.dumps(result["network"]) and "SGD(learning_rate=0.2" in result["optimizer"]
    assert (result["batch_size"], result["seed"], result["epochs"]) == (10, 3, 2)
    assert result["model_file"] == "here.backlit" and os.listdir() == ["here.backlit"]
    assert bl.load_model("here.backlit").iterations == 2 * 11


def test_engines_and_seeds():
    by = {}
    for engine in ("planned", "reference"):
        by[engine] = fitted("iris", "--epochs", "3", "--engine", engine, "--overwrite")["test"]
    assert by["planned"] == by["reference"]
    same, other = (fitted("wine", "--epochs", "3", "--seed", seed, "--overwrite")["train"] for seed in (1, 2))
    assert fitted("wine", "--epochs", "3", "--seed", 1, "--overwrite")["train"] == same != other


def test_no_hidden_layer_is_a_linear_model():
    result = fitted("iris", "--layers", "", "--epochs", "2")
    assert [layer["units"] for layer in result["network"] if "units" in layer] == [3]


def test_quiet_is_quiet():
    code, out, err = backlit("fit", "iris", "--epochs", "2", "--quiet")
    assert (code, err) == (0, "") and "Saved in" in out


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["fit", "digit"], 2, "did you mean 'digits'"),
        (["fit", "nothing.npz"], 2, "no file"),
        (["fit", "iris", "--epochs", "0"], 2, "--epochs"),
        (["fit", "iris", "--epochs", "x"], 2, "--epochs"),
        (["fit", "iris", "--layers", "a,b"], 2, "layer widths"),
        (["fit", "iris", "--layers", "5,0"], 2, "layer widths"),
        (["fit", "iris", "--learning-rate", "0"], 2, "--learning-rate"),
        (["fit", "iris", "--activation", "rleu"], 2, "did you mean 'relu'"),
        (["fit", "iris", "--optimizer", "adm"], 2, "did you mean 'adam'"),
        (["fit", "iris", "--engine", "plant"], 2, "engine"),
        (["fit", "iris", "--task", "regresion"], 2, "--task"),
        (["fit", "iris", "--out", "model.h5"], 2, "--out"),
        (["fit", "iris", "--out", "no/folder/model.backlit"], 2, "--out"),
        (["fit", "iris", "--out", f"{'m' * 240}.backlit"], 2, "cannot be written"),
        (["fit", "iris", "--task", "regression"], 2, "--task multiclass"),
        (["fit", "iris", "--task", "binary"], 2, "3 classes"),
        (["fit", "iris", "--target", "sort"], 3, "cannot be chosen"),
        (["fit", "iris", "--epocs", "3"], 2, "--epochs"),
        (["fit"], 2, "DATA"),
        (["fti", "iris"], 2, "fit"),
        (["evaluate", "nothing.backlit"], 2, "no file"),
        (["predict", "nothing.backlit"], 2, "no file"),
    ],
)
def test_usage_errors(arguments, code, word):
    found, out, err = backlit(*arguments)
    assert (found, out) == (code, "") and word in err and "Traceback" not in err
    assert os.listdir() == []


BAD = {
    "NaN": ({"X": np.where(X > 2, np.nan, X), "y": LABELS}, "not finite"),
    "lengths": ({"X": X, "y": LABELS[:-1]}, ""),
    "empty": ({"X": X[:0], "y": LABELS[:0]}, "empty"),
    "one class": ({"X": X, "y": np.ones(90, int)}, "single value"),
    "few rows": ({"X": X[:5], "y": LABELS[:5]}, "too few rows"),
}


@pytest.mark.parametrize(("arrays", "word"), BAD.values(), ids=BAD)
def test_data_errors(arrays, word):
    np.savez("bad.npz", **arrays)
    code, out, err = backlit("fit", "bad.npz")
    assert (code, out) == (3, "") and word in err and "Traceback" not in err
    assert os.listdir() == ["bad.npz"]


def test_files_that_are_damaged():
    Path("m.backlit").write_bytes(b"PK nonsense")
    for verb in ("evaluate", "predict"):
        code, out, err = backlit(verb, "m.backlit")
        assert (code, out) == (1, "") and "m.backlit" in err and "Traceback" not in err
    Path("d.npz").write_bytes(b"PK nonsense")
    code, out, err = backlit("fit", "d.npz")
    assert (code, out) == (1, "") and "d.npz" in err


def test_help_and_version():
    assert backlit("--version")[1].startswith("backlit")
    code, out, _ = backlit("fit", "--help")
    assert code == 0 and all(option in out for option in ("--target", "--json", "--seed", "--out", "--overwrite"))
    code, out, _ = backlit("--help")
    for line in ("0    all went well", "1    the run failed", "2    a wrong", "3    the data", "130  interrupted"):
        assert line in out
