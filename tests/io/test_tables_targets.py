"""Which column of a table is y, what it becomes, and files that keep the types of their columns."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from backlit.core.errors import DataError, FileError
from backlit.io.bundled import Dataset
from backlit.io.tables import read

A = [1.5, 2.5, 4.0, 3.5] * 10


@pytest.fixture
def stored(tmp_path: Path) -> Any:
    def write(target: Any = None, /, labelled: bool = True, **columns: Any) -> Dataset:
        path = tmp_path / "data.parquet"
        pd.DataFrame({"a": A, **columns}).to_parquet(path)
        return read(path, target, labelled=labelled)

    return write


@pytest.fixture
def csv(tmp_path: Path) -> Any:
    def write(target: Any = None, /, labelled: bool = True, **columns: Any) -> Dataset:
        path = tmp_path / "data.csv"
        pd.DataFrame({"a": A, **columns}).to_csv(path, index=False)
        return read(path, target, labelled=labelled)

    return write


# ---------------------------------------------------------------------- which column
@pytest.mark.parametrize("name", ["target", "Label", "class", "y"])
def test_a_usual_name_is_taken_and_told(csv: Any, name: str) -> None:
    data = csv(**{name: [0, 1] * 20})
    assert data.target == name and data.columns == ("a",)
    assert f"the target is the column {name!r}, by its name" in data.notes
    assert not any("by its name" in note for note in csv(name, **{name: [0, 1] * 20}).notes)


def test_without_a_usual_name_the_columns_are_listed(csv: Any) -> None:
    with pytest.raises(
        DataError, match=r"which column is to be learnt[\s\S]*found\s+a, species[\s\S]*--target species"
    ):
        csv(species=["x", "y"] * 20)
    with pytest.raises(DataError, match="several of these: class, y"):
        csv(**{"class": ["x", "y"] * 20}, y=[1, 2] * 20)


def test_a_misspelt_target_is_corrected(csv: Any) -> None:
    with pytest.raises(DataError, match=r"no column 'specie'[\s\S]*did you mean 'species'\?"):
        csv("specie", species=["x", "y"] * 20)


def test_several_targets(csv: Any) -> None:
    both = {"p": [0, 1] * 20, "q": [1.5, 2.5] * 20}
    for target in ("p,q", "p, q", ["p", "q"], ("p", "q")):
        data = csv(target, **both)
        assert data.y.tolist() == [[0, 1.5], [1, 2.5]] * 20 and data.target == "p, q" and data.columns == ("a",)
    flags = csv("p,q", p=[True, False] * 20, q=[True] * 40)
    assert flags.y.tolist() == [[1, 1], [0, 1]] * 20 and flags.y.dtype == np.int64
    with pytest.raises(DataError, match="'q' holds no numbers"):
        csv("p,q", p=[0, 1] * 20, q=["x", "y"] * 20)
    assert csv("p,q", **{"p,q": [3, 4] * 20}).y.tolist() == [3, 4] * 20


def test_no_column_besides_the_target(csv: Any) -> None:
    with pytest.raises(DataError, match="no column besides the target"):
        csv("a")


def test_rows_to_predict_for_need_no_target(csv: Any) -> None:
    data = csv("species", labelled=False, b=[1, None] * 20)
    assert data.columns == ("a", "b") and data.y.shape == (0,) and len(data.frame) == 40
    data = csv("species", labelled=False, species=[None] * 40)
    assert data.columns == ("a",) and len(data.frame) == 40
    assert csv(labelled=False, y=[1, 2] * 20).columns == ("a", "y")


# ---------------------------------------------------------------------- what y becomes
@pytest.mark.parametrize(
    ("values", "y", "classes"),
    [
        ([3, 1], [3, 1], None),
        ([2.0, 1.0], [2.0, 1.0], None),
        ([2.5, 1.0], [2.5, 1.0], None),
        (["b10", "b9"], [1, 0], ("b9", "b10")),
        ([True, False], [1, 0], ("False", "True")),
        (["+", "-"], [0, 1], ("+", "-")),
        (["none", "mild"], [1, 0], ("mild", "none")),
        (["01", "1"], [0, 1], ("01", "1")),
    ],
)
def test_values_and_classes(stored: Any, csv: Any, values: list[Any], y: list[Any], classes: Any) -> None:
    for write in (stored, csv):
        data = write("it", it=values * 20)
        assert data.y.tolist() == y * 20 and data.classes == classes
        assert data.y.dtype == (np.float64 if isinstance(values[0], float) else np.int64)


def test_a_decimal_comma(csv: Any) -> None:
    assert csv("it", it=["2,5", "1,0"] * 20).y.tolist() == [2.5, 1.0] * 20


@pytest.mark.parametrize("gone", [None, "NA", "?"])
def test_rows_without_a_target_are_left_out_and_told(csv: Any, gone: Any) -> None:
    data = csv("it", it=[gone] * 4 + ["x", "y"] * 18)
    assert data.y.tolist() == [0, 1] * 18 and data.frame["a"].tolist() == [str(value) for value in A[4:]]
    assert list(data.frame.index) == list(range(36))
    assert "4 rows of 40 left out, without a target" in data.notes
    with pytest.raises(DataError, match=r"'it' is missing in 5 of 40 rows[\s\S]*row 0"):
        csv("it", it=[gone] * 5 + ["x"] * 35)


def test_a_dash_is_a_gap_among_numbers(csv: Any) -> None:
    data = csv("it", it=["-", *map(str, range(39))])
    assert data.y.tolist() == list(range(39))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([f"person {k}" for k in range(40)], "text of its own in most rows"),
        (["1,234", "12,345"] * 20, "cannot be learnt[\\s\\S]*marks between thousands"),
        (pd.date_range("2020-01-01", periods=40), "cannot be learnt[\\s\\S]*2020-01-01"),
        ([1e39] * 40, "'it' holds numbers that are not finite in float32"),
        ([np.inf] * 40, "'it' holds numbers that are not finite in float32"),
        ([[1, 2]] * 40, "cannot be learnt"),
    ],
)
def test_what_cannot_be_learnt(stored: Any, values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        stored("it", it=values)


# ---------------------------------------------------------------------- files with types
def test_parquet_and_arrow_keep_their_types(tmp_path: Path) -> None:
    table = pa.table({"i": [1, None, 3], "s": ["1", "2", None], "b": [True, False, None], "y": [0.5, 1, 2]})
    kinds = {"i": "float64", "s": "object", "b": "object"}
    with pa.OSFile(str(tmp_path / "file.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    with pa.OSFile(str(tmp_path / "stream.arrow"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    for name in ("file.arrow", "stream.arrow"):
        data = read(tmp_path / name)
        assert data.columns == tuple(kinds) and data.y.tolist() == [0.5, 1, 2]
        assert data.frame["i"].isna().tolist() == [False, True, False]


def test_an_index_with_a_name_is_a_column(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [1, 2], "y": [0, 1]}, index=pd.Index(["p", "q"], name="town"))
    frame.to_parquet(tmp_path / "data.parquet")
    assert read(tmp_path / "data.parquet").columns == ("town", "a")
    frame.rename_axis(None).to_parquet(tmp_path / "data.parquet")
    assert read(tmp_path / "data.parquet").columns == ("a",)


@pytest.mark.parametrize("suffix", [".parquet", ".feather", ".arrow"])
def test_damaged_files(tmp_path: Path, suffix: str) -> None:
    whole = tmp_path / f"whole{suffix}"
    frame = pd.DataFrame({"a": A, "y": A})
    frame.to_parquet(whole) if suffix == ".parquet" else frame.to_feather(whole)
    content = whole.read_bytes()
    for cut in (0, 3, 20, len(content) // 2, len(content) - 1):
        (tmp_path / f"cut{suffix}").write_bytes(content[:cut])
        with pytest.raises(FileError, match=f"cannot be read as a {suffix[1:]} file"):
            read(tmp_path / f"cut{suffix}")
    frame[:0].to_parquet(whole) if suffix == ".parquet" else frame[:0].to_feather(whole)
    with pytest.raises(FileError, match="has no rows"):
        read(whole)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data.parquet").write_bytes(b"PAR1")
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else there(name))
    with pytest.raises(FileError, match=r"needs the package pyarrow[\s\S]*pip install 'backlit\[tables\]'"):
        read(tmp_path / "data.parquet")


def test_names_near_a_missing_file(tmp_path: Path) -> None:
    for name in ("people.csv", "flowers.parquet", "train-images-idx3-ubyte"):
        (tmp_path / name).write_text("")
        with pytest.raises(FileNotFoundError, match=f"did you mean '{name}'"):
            read(tmp_path / name.replace("e", "ee", 1))
