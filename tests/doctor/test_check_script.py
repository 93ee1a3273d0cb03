"""`backlit check script.py`: the script runs as it would alone, and every training in it is reported with its lines."""

import json

import pytest

import backlit as bl
from tests.command import backlit, outside, strictly

HEAD = """\
import sys

import numpy as np

import backlit as bl

bl.random.set_seed(1)
rng = np.random.default_rng(0)
X = rng.normal(size=(120, 4))
y = (X[:, 0] > 0).astype(int)
"""
GOOD = """
model = bl.Sequential([bl.layers.Dense(8, activation="relu"), bl.layers.Dense(1, activation="sigmoid")])
model.compile(bl.optimizers.Adam(0.03), "binary_crossentropy")
model.fit(X, y, epochs=20, verbose=0)
print("score", model.evaluate(X, y, verbose=0) < 0.5, sys.argv[1:], __name__)
"""
WRONG = """
model = bl.Sequential([
    bl.layers.Dense(8, activation="relu"),
    bl.layers.Dense(1, activation="softmax"),
])
model.compile("adam", "binary_crossentropy")
for k in range(3):
    model.fit(X, y, verbose=0, doctor="off")
"""
SLOW = """
model = bl.Sequential([bl.layers.Dense(4), bl.layers.Dense(1)])
model.compile(bl.optimizers.Adam(0.01), "mse")
model.fit(X, X @ [1.0, -1.0, 2.0, 0.5], epochs=60, verbose=0)
"""


@pytest.fixture
def script(tmp_path):
    def written(*parts):
        path = tmp_path / "train.py"
        path.write_text(HEAD + "".join(parts))
        return path

    return written


def test_a_healthy_script_runs_as_it_would_alone(script):
    code, out, err = backlit("check", script(GOOD), "--", "one", "--two")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "score True ['one', '--two'] __main__"
    assert lines[1] == "" and "backlit check" in lines[2] and "train.py" in lines[2]
    assert lines[3].startswith("train.py:14  model.fit(X, y") and lines[4] == "no cause found"
    assert lines[-1] == "No errors, no warnings."


def test_findings_have_the_lines_of_the_script_and_errors_an_exit_code(script):
    code, out, err = backlit("check", script(WRONG))
    assert (code, err) == (3, "")
    lines = out.splitlines()[2:]
    assert lines[0] == 'train.py:18  model.fit(X, y, verbose=0, doctor="off")   (3 trainings)'
    assert lines[1].startswith("error: dense_1: a softmax over 1 unit is always 1")
    assert lines[2] == "  seen   in 3 of 3 trainings; the last one's numbers"
    assert '  where  train.py:14  bl.layers.Dense(1, activation="softmax"),' in lines
    assert "  what   activation of dense_1" in lines
    assert lines[-1] == "1 error, no warnings." and out.count("error: ") == 1


def test_warnings_are_no_error(script):
    code, out, _ = backlit("check", script(SLOW))
    assert code == 0 and "no activation between them" in out and "No errors, 1 warning." in out


def test_every_training_is_reported_by_its_line(script):
    code, out, _ = backlit("check", script(WRONG, SLOW), "--json")
    told = strictly(out)
    assert code == 3 and told["failed"] is None and told["exit_code"] == 0
    assert [one["where"][:11] for one in told["trainings"]] == ["train.py:18", "train.py:22"]
    assert [one["times"] for one in told["trainings"]] == [3, 1]
    first, second = (one["findings"] for one in told["trainings"])
    assert [one["check"] for one in first] == ["constant_output"] and first[0]["lines"]["compile"][:11] == "train.py:16"
    assert "linear_layers_collapse" in [one["check"] for one in second]


def test_with_json_what_the_script_prints_goes_to_stderr(script):
    code, out, err = outside("check", script(GOOD), "--json")
    assert code == 0 and "score True" in err
    assert [one["findings"] for one in json.loads(out)["trainings"]] == [[]]


def test_a_script_that_fails_shows_its_own_traceback_and_what_was_found_so_far(script):
    path = script(SLOW, "\n\ndef divide(a):\n    return a / 0\n\n\ndivide(1)\n")
    code, out, err = backlit("check", path)
    assert code == 1 and "no activation between them" in out
    assert err.startswith("Traceback (most recent call last):\n") and err.endswith(
        "ZeroDivisionError: division by zero\n"
    )
    assert "runpy" not in err and "cli" not in err and ", in divide" in err


def test_what_the_library_refuses_is_a_finding(script):
    code, out, err = backlit("check", script(SLOW, "\nmodel.fit(X, y[:7], verbose=0)\n"))
    assert code == 3 and "ShapeError" in err
    assert "train.py:16  model.fit(X, y[:7], verbose=0)\nerror: X and y have different numbers of examples." in out


def test_a_script_that_ends_itself(script):
    assert backlit("check", script(SLOW, "\nsys.exit(0)\n"))[0] == 0
    assert backlit("check", script(SLOW, "\nsys.exit(5)\n"))[0] == 1
    code, out, err = backlit("check", script(SLOW, "\nsys.exit('enough')\n"))
    assert code == 1 and err == "enough\n" and "no activation between them" in out


def test_a_training_is_the_same_to_the_bit_under_the_doctor(script, tmp_path):
    end = f"\nnp.save({str(tmp_path / 'out.npy')!r}, model.get_weights()[0])\n"
    path, kept = script(GOOD, WRONG, end), []
    for call in (
        lambda: backlit("check", path),
        lambda: exec(compile(path.read_text(), "alone", "exec"), {"__name__": "a"}),
    ):
        call()
        kept.append((tmp_path / "out.npy").read_bytes())
    assert kept[0] == kept[1]


def test_steps_that_are_not_finite_are_skipped_as_without_the_doctor(script):
    poor = """
model = bl.Sequential([bl.layers.Dense(1)])
model.compile("sgd", "poisson")
print(len(model.fit(X, y, epochs=3, verbose=0, doctor="off").history["loss"]))
"""
    code, out, err = backlit("check", script(poor))
    assert code == 3 and out.startswith("3\n") and err == "" and "takes the logarithm" in out


def test_a_script_imports_what_lies_beside_it(script, tmp_path):
    (tmp_path / "beside_it.py").write_text("units = 4\n")
    path = script("from beside_it import units\n", SLOW.replace("Dense(4)", "Dense(units)"))
    assert backlit("check", path)[0] == 0


def test_a_proof_inside_a_script_is_no_training_of_it(script):
    code, out, err = backlit("check", script(WRONG, "\nprint(model.diagnose(X, y).prove(steps=20).better)\n"), "--json")
    assert code == 3 and len(strictly(out)["trainings"]) == 1 and err == "True\n"


def test_estimators_are_heard_too(script):
    code, out, _ = backlit("check", script("\nbl.sklearn.Classifier(scale=False).fit(1e4 * X, y)\n"))
    assert code == 0 and "\ntrain.py:12  bl.sklearn.Classifier(scale=False).fit(1e4 * X, y)\n" in out
    assert "not scaled" in out


def test_a_script_without_a_training(script):
    code, out, _ = backlit("check", script())
    assert code == 0 and "No training was seen" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere.py",), "nowhere.py is not there"),
        (("iris", "wine"), "'wine' is too much"),
        (("train.py", "--target", "y"), "--target is for data"),
    ],
)
def test_a_wrong_command_line(arguments, said):
    code, out, err = backlit("check", *arguments)
    assert (code, out) == (2, "") and said in err


def test_data_are_checked_as_before():
    code, out, _ = backlit("check", "iris")
    assert code == 0 and "150 examples" in out


def test_nobody_listens_afterwards(script, capsys):
    backlit("check", script(WRONG))
    model = bl.Sequential([bl.layers.Dense(1, "softmax")])
    model.compile("adam", "binary_crossentropy")
    model.fit([[0.0], [1.0]], [0, 1], verbose=0)
    assert "doctor warning: dense: a softmax over 1 unit" in capsys.readouterr().err
