"""What is said of data before anything is trained: each criterion finds what it is for, and nothing else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from backlit.io.bundled import NAMES, Dataset, load
from backlit.train.quality import examine, missing_values, survey, unused_column

RNG = np.random.default_rng(0)
X = RNG.normal(size=(100, 3))
COLUMNS = ("a", "b", "c")
LABELS = np.arange(100) % 2
CLASSES = ("no", "yes")


def found(x=X, y=LABELS, classes=CLASSES, names=COLUMNS):
    return {finding.check: finding for finding in examine(x, names, y, classes)}


def changed(column, values):
    x = X.copy()
    x[:, column] = values
    return x


def test_nothing_is_found_in_random_numbers():
    assert found() == {} and found(y=RNG.normal(size=100), classes=None) == {} and found(y=None, classes=None) == {}


NAMED = {
    "constant columns": changed(1, 4.5),
    "equal columns": changed(2, X[:, 0]),
    "row numbers": changed(0, RNG.permutation(100) + 7),
    "stand-ins for missing": changed(0, np.where(np.arange(100) % 9 == 0, -999, RNG.uniform(0, 50, 100))),
    "telling columns": changed(2, LABELS * 10 + RNG.uniform(size=100)),
    "repeated rows": np.vstack([X[:50], X[:50]]),
}


@pytest.mark.parametrize(("check", "x"), NAMED.items(), ids=NAMED)
def test_columns(check, x):
    told = found(x)
    assert set(told) == {check} and told[check].fix and told[check].severity in ("warning", "note")
    order = RNG.permutation(100)
    again = examine(x[order], COLUMNS, LABELS[order], CLASSES)
    assert [each.check for each in again] == [check], "the order of the rows does not matter"


NEARLY = {
    "a column that is constant but for one row": changed(1, np.where(np.arange(100) == 3, 1.0, 4.5)),
    "columns that are equal but for one row": changed(2, np.where(np.arange(100) == 3, 0.0, X[:, 0])),
    "whole numbers, one of them twice": changed(0, np.minimum(np.arange(100), 98)),
    "numbers in steps of 2": changed(0, 2 * RNG.permutation(100)),
    "-1 beside 0, 1, 2": changed(0, RNG.integers(-1, 3, 100)),
    "one value far out": changed(0, np.where(np.arange(100) == 3, 1e6, X[:, 0])),
    "0 and 1": changed(0, (np.arange(100) % 3 == 0)),
    "a column that nearly tells": changed(2, np.where(np.arange(100) < 2, 1 - LABELS, LABELS) + X[:, 2] / 100),
}


@pytest.mark.parametrize("x", NEARLY.values(), ids=NEARLY)
def test_columns_that_are_as_they_should_be(x):
    assert found(x) == {}


def test_all_columns_constant_is_an_error():
    assert found(np.ones((100, 3)))["constant columns"].severity == "error"


def test_an_amount_that_is_another_column():
    y = X[:, 1] * -7 + 3
    told = found(y=y, classes=None)
    assert told["telling columns"].evidence == {"columns": ["b"]}
    assert found(y=y + RNG.normal(size=100) / 100, classes=None) == {}


def test_targets():
    assert found(y=np.zeros(100, int), classes=("no",))["constant target"].severity == "error"
    assert found(y=np.full(100, 2.5), classes=None)["constant target"].severity == "error"
    two = np.stack([np.zeros(100), np.arange(100) % 2], axis=1)
    told = found(y=two, classes=CLASSES)["constant target"]
    assert told.severity == "warning" and "'no' never changes" in told.message
    rare = np.r_[np.arange(98) % 2, 2, 2]
    told = found(y=rare, classes=("a", "b", "c"))
    assert set(told) == {"rare classes", "imbalance"} and told["rare classes"].evidence == {"classes": {"c": 2}}
    assert found(y=np.r_[np.zeros(91, int), np.ones(9, int)])["imbalance"].evidence == {"rarest": 9, "most": 91}
    assert "imbalance" not in found(y=np.r_[np.zeros(90, int), np.ones(10, int)])
    assert found(X[:9], LABELS[:9])["few rows"].severity == "error" and "few rows" not in found(X[:10], LABELS[:10])


def test_contradictions_say_what_can_be_reached():
    x = RNG.normal(size=(100, 3))
    x[1:4] = x[0]
    y = LABELS.copy()
    y[:4] = [0, 1, 1, 1]
    told = found(x, y)["contradictions"]
    assert told.evidence["best accuracy"] == pytest.approx(0.99) and told.evidence["count"] == 4
    assert told.evidence["rows"] == [[0, 1, 2, 3]] and told.severity == "warning" and "99.00%" in told.why
    assert "contradictions" not in found(x, np.where(np.arange(100) < 4, 0, LABELS))
    zeros = X.copy()
    zeros[5], zeros[6] = 0.0, -0.0
    assert "contradictions" in found(zeros), "-0.0 is 0.0"


def test_missing_values_and_columns_that_are_not_used():
    assert missing_values("a", 0, 10) == []
    assert [missing_values("a", count, 10)[0].severity for count in (1, 5, 6)] == ["note", "note", "warning"]
    assert [unused_column("a", "why", n, 10).severity for n in (0, 1, 2, 9, 10)] == ["note"] * 2 + ["warning"] * 2 + [
        "note"
    ]


@pytest.mark.parametrize("name", NAMES)
def test_no_false_alarm_on_real_data(name):
    assert [each for each in survey(load(name)).findings if each.severity != "note"] == []


def test_a_survey_of_a_table():
    frame = pd.DataFrame(
        {"a": ["1,5", "", "2,5"] * 10, "b": ["x", "y", "z"] * 10, "text": [f"t {k}" for k in range(30)]}
    )
    data = Dataset(
        "t", np.empty((30, 0)), np.arange(30) % 3, ("a", "b", "text"), "y", ("u", "v", "w"), None, None, (), frame
    )
    told = survey(data)
    described = told.to_json()
    assert [column["kind"] for column in described["columns"]] == ["number", "category", "left out"]
    assert described["columns"][0]["missing"] == 10 and described["target"]["classes"] == {"u": 10, "v": 10, "w": 10}
    assert {each.check for each in told.findings} >= {"missing values", "unused columns", "repeated rows"}
    assert [each.severity for each in told.findings] == sorted(
        (each.severity for each in told.findings), key=("error", "warning", "note").index
    )


@given(
    arrays.arrays(np.float64, st.tuples(st.integers(1, 30), st.integers(1, 4)), elements=st.integers(-3, 3).map(float)),
    st.integers(1, 4),
    st.integers(0, 1000),
)
def test_any_numbers_can_be_examined_and_stay_as_they_are(x, classes, seed):
    y = np.random.default_rng(seed).integers(0, classes, len(x))
    before = x.tobytes(), y.tobytes()
    names = [f"c{k}" for k in range(x.shape[1])]
    for labels, target in ((tuple(map(str, range(classes))), y), (None, y.astype(float)), (None, None)):
        for finding in examine(x, names, target, labels):
            assert finding.message and finding.fix and finding.severity in ("error", "warning", "note")
    assert before == (x.tobytes(), y.tobytes())
