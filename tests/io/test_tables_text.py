"""Reading CSV and its relatives: encodings, separators, headers, bad rows; every field stays the text it is."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backlit.core.errors import BacklitError, FileError
from backlit.io import bundled
from backlit.io.bundled import Dataset
from backlit.io.columns import Columns
from backlit.io.tables import read


@pytest.fixture
def table(tmp_path: Path) -> Any:
    def write(content: str | bytes, name: str = "data.csv", target: str | None = None) -> Dataset:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read(path, target)

    return write


def texts(data: Dataset) -> dict[str, list[str]]:
    return {name: data.frame[name].tolist() for name in data.frame.columns}


def test_features_stay_text_and_stand_beside_y(table: Any) -> None:
    data = table("size,colour,label\n1.50,red,a\n 2 ,NA,b\n,blue,a\n")
    assert texts(data) == {"size": ["1.50", "2 ", ""], "colour": ["red", "NA", "blue"]}
    assert data.y.tolist() == [0, 1, 0] and data.classes == ("a", "b")
    assert data.columns == ("size", "colour") and data.target == "label" and data.X.shape == (3, 0)
    assert data.name == "data" and data.unit is None and data.image is None
    assert data.notes == ("3 rows, 3 columns separated by ','", "the target is the column 'label', by its name")
    assert Columns.infer(data.frame).encode(data.frame).tolist() == [
        [1.5, 0, 0, 1, 0],
        [2, 0, 0, 0, 1],
        [1.75, 1, 1, 0, 0],
    ]


@pytest.mark.parametrize(
    ("content", "separator"),
    [
        ("a;b;y\n1,5;2,5;0\n2,5;3,5;1\n", "';'"),
        ("a\tb\ty\n1\t2,3\t0\n2\t3,4\t1\n", "tab"),
        ("a|b|y\n1|x;z|0\n2|x;z|1\n", "'|'"),
        ('a,b,y\n1,"x;z",0\n2,"p;q",1\n', "','"),
        ("a, b, y\n1, 2, 0\n2, 3, 1\n", "','"),
        ("a,b,y\r\n1,2,0\r\n2,3,1\r\n", "','"),
        ("a,b,y\r1,2,0\r2,3,1\r", "','"),
        ("\n\na,b,y\n\n1,2,0\n  \n2,3,1\n\n", "','"),
    ],
)
def test_separators_and_ends_of_lines(table: Any, content: str, separator: str) -> None:
    data = table(content)
    assert data.columns == ("a", "b") and data.y.tolist() == [0, 1]
    assert data.notes[0] == f"2 rows, 3 columns separated by {separator}"


def test_decimal_commas_without_names(table: Any) -> None:
    data = table("1,5;2,5;3\n2,5;3,5;4\n", target="x2")
    assert texts(data) == {"x0": ["1,5", "2,5"], "x1": ["2,5", "3,5"]} and data.y.tolist() == [3, 4]


def test_quoted_fields_may_hold_anything(table: Any) -> None:
    data = table('"a, b",c,y\n"one\ntwo","say ""hi""",0\nx,"1,5",1\n')
    assert texts(data) == {"a, b": ["one\ntwo", "x"], "c": ['say "hi"', "1,5"]}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_encodings(table: Any, encoding: str) -> None:
    content = "größe,y\nklein,0\nüber,1\nklein,0\n".encode(encoding)
    if encoding == "utf-16-le":
        content = b"\xff\xfe" + content
    data = table(content)
    assert texts(data) == {"größe": ["klein", "über", "klein"]}
    assert any("Windows-1252" in note and "größe" in note for note in data.notes) == (encoding == "cp1252")


def test_gzip(table: Any) -> None:
    data = table(gzip.compress(b"a,y\n1,0\n2,1\n"), "data.csv.gz")
    assert data.name == "data" and texts(data) == {"a": ["1", "2"]}
    with pytest.raises(FileError, match="cannot be unpacked"):
        table(gzip.compress(b"a,y\n1,0\n2,1\n" * 100)[:-20], "data.csv.gz")


# ---------------------------------------------------------------------- names
def test_a_first_row_of_values_is_told(table: Any) -> None:
    data = table("5.1,3.5,0\n4.9,3.0,1\n", target="x2")
    assert texts(data) == {"x0": ["5.1", "4.9"], "x1": ["3.5", "3.0"]} and data.y.tolist() == [0, 1]
    assert "the first row holds values, not names; the columns are called x0 … x2" in data.notes
    flowers = table("5.1,3.5,1.4,0.2,setosa\n4.9,3.0,1.4,0.2,virginica\n", target="x4")
    assert flowers.classes == ("setosa", "virginica") and len(flowers.frame) == 2


def test_a_first_row_of_names_with_numbers_among_them_is_told(table: Any) -> None:
    data = table("0,1,2\n5,3,0\n4,3,1\n", target="2")
    assert data.columns == ("0", "1") and data.y.tolist() == [0, 1]
    assert "the first row is read as names, although it holds numbers (0, 1, 2)" in data.notes
    assert table("town,2019,2020,y\na,1,2,0\nb,2,4,1\n").columns == ("town", "2019", "2020")


def test_names_that_stand_twice_or_are_empty(table: Any) -> None:
    data = table(",a,a,y\n0,1,2,0\n1,3,4,1\n")
    assert texts(data) == {"column 1": ["0", "1"], "a": ["1", "3"], "a (2)": ["2", "4"]}
    assert "columns without a name are called by their place: 'column 1', …" in data.notes
    assert "names that stand twice are numbered: a" in data.notes


# ---------------------------------------------------------------------- bad rows
def rows(good: int, bad: str, count: int) -> str:
    lines = [f"{k}.5,{k % 3},{k % 2}" for k in range(good)]
    for k in range(count):
        lines.insert(7 * k + 3, bad)
    return "a,b,y\n" + "\n".join(lines) + "\n"


@pytest.mark.parametrize("bad", ["1,2", "1,2,3,4", '1,"x"y,3'])
def test_one_bad_row_in_a_hundred_is_skipped_and_told(table: Any, bad: str) -> None:
    data = table(rows(99, bad, 1))
    assert len(data.frame) == len(data.y) == 99
    what = "broken quotes" if '"' in bad else f"{len(bad.split(','))} fields"
    assert f"1 bad row of 100 skipped: line 5: {what}" in data.notes
    with pytest.raises(
        FileError, match=rf"2 bad rows of 100[\s\S]*3 fields in every row[\s\S]*line 5: {what}\n\s+line 12"
    ):
        table(rows(98, bad, 2))


@pytest.mark.parametrize("bad", ["1,2", "1,2,3,4"])
def test_a_tenth_of_bad_rows_is_never_lost_in_silence(table: Any, bad: str) -> None:
    with pytest.raises(FileError, match="10 bad rows of 100"):
        table(rows(90, bad, 10))


def test_a_quote_that_never_ends_counts_all_the_lines_it_swallows(table: Any) -> None:
    with pytest.raises(FileError, match=r"9[0-9] bad rows[\s\S]*line 5: broken quotes"):
        table(rows(99, '1,"x,3', 1))


def test_one_field_more_than_names(table: Any) -> None:
    with pytest.raises(FileError, match="one field more than there are names"):
        table("a,y\n" + "".join(f"row{k},{k},{k % 2}\n" for k in range(30)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n\n", "is empty"),
        (b"a,b,y\n", "has names but no rows"),
        (b"a,b\0,y\n1,2,3\n", "is no text"),
        (b"PK\x03\x04\x14\x00\x06\x00", "is no text"),
    ],
)
def test_files_without_a_table(table: Any, content: bytes, message: str) -> None:
    with pytest.raises(FileError, match=message):
        table(content)


def test_one_row_is_a_table(table: Any) -> None:
    assert texts(table("a,y\n1,0\n")) == {"a": ["1"]}


# ---------------------------------------------------------------------- JSON lines
def test_json_lines(table: Any) -> None:
    lines = ['{"a": 1, "b": "x", "y": true}', "", '{"b": "y", "a": 2.5, "y": false}', '{"a": null, "y": true}'] * 10
    data = table("\n".join(lines), "data.jsonl")
    assert data.columns == ("a", "b") and data.classes == ("False", "True") and data.y.tolist() == [1, 0, 1] * 10
    columns = Columns.infer(data.frame)
    assert columns.encoded == ("a", "a is missing", "b=x", "b=y", "b=(missing)")
    with pytest.raises(FileError, match=r"1 line of 31[\s\S]*line 41"):
        table("\n".join([*lines, "{'a': 1}"]), "data.jsonl")
    with pytest.raises(FileError, match="is empty"):
        table("", "data.ndjson")


# ---------------------------------------------------------------------- anything
fields = st.text(st.characters(exclude_categories=["Cs"]), max_size=5) | st.sampled_from(["1,5", "a\nb", 'q"', "2", ""])


@given(st.lists(st.lists(fields, min_size=3, max_size=3), min_size=1, max_size=30), st.sampled_from(",;\t|"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_quoted_tables_come_back_field_by_field(table: Any, values: list[list[str]], separator: str) -> None:
    values = [[field.replace("\0", "0").replace("\r", "\n") for field in row] for row in values]
    lines = [["first", "second", "third"], *values]
    content = "\n".join(separator.join('"' + field.replace('"', '""') + '"' for field in row) for row in lines)
    try:
        data = table(content, target="third")
    except BacklitError as error:
        assert "target" in str(error)  # missing, or of text that names no classes
        return
    kept = [row for row in values if row[2].strip().lower() not in ("", "na", "n/a", "nan", "null", "none", "?", "-")]
    assert np.isin(texts(data)["first"], [row[0] for row in values]).all()
    assert len(data.frame) >= len(kept)
    if len(data.frame) == len(values):
        assert texts(data) == {"first": [row[0] for row in values], "second": [row[1] for row in values]}


@given(st.binary(max_size=200) | st.text('abc,;\t\n"1.5 \r|-', max_size=200).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_a_table_or_refused(table: Any, content: bytes) -> None:
    try:
        data = table(content, target="y")
    except BacklitError:
        return
    assert len(data.frame) == len(data.y)


# ---------------------------------------------------------------------- real data
@pytest.mark.parametrize("name", bundled.NAMES)
@pytest.mark.parametrize("suffix", ["csv", "parquet", "feather"])
def test_real_data_come_back_to_the_last_bit(tmp_path: Path, name: str, suffix: str) -> None:
    import pandas as pd

    data = bundled.load(name)
    frame = pd.DataFrame(data.X, columns=list(data.columns))
    frame[data.target] = data.y if data.classes is None else [data.classes[code] for code in data.y]
    path = tmp_path / f"{name}.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else getattr(frame, f"to_{suffix}")(path)
    again = read(path, data.target)
    columns = Columns.infer(again.frame)
    constant = data.X.min(axis=0) == data.X.max(axis=0)
    assert columns.names == columns.encoded == tuple(np.array(data.columns)[~constant])
    assert columns.encode(again.frame).tobytes() == data.X[:, ~constant].astype(np.float32).tobytes()
    if data.classes is None or name == "digits":
        assert np.array_equal(again.y, data.y)
    else:
        assert [again.classes[code] for code in again.y] == [data.classes[code] for code in data.y]
