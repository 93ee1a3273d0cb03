"""From the columns of a table to numbers: what each column is taken for, and what happens to rows seen later."""

import json
import subprocess
import sys
import warnings
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from backlit.core.errors import ArgumentError, ColumnWarning, DataError, FileError
from backlit.io.columns import Columns, is_table

M = 20
AGES = [float(k % 7) + 0.5 for k in range(M)]


def frame(**columns: Any) -> pd.DataFrame:
    return pd.DataFrame(columns)


def kind_of(values: Any, **others: Any) -> tuple[str, str] | str:
    """What a column beside a column of numbers is taken for: kind and detail, or the reason it is left out."""
    columns = Columns.infer(frame(ages=AGES[: len(values)], it=values, **others))
    found = {name: (kind, detail) for name, kind, detail in columns.kinds} | dict(columns.left_out)
    return found["it"]


# ---------------------------------------------------------------------- what a column is
@pytest.mark.parametrize(
    ("values", "kind", "detail"),
    [
        (["1", "2.5", "-3e2", "+.5"], "number", ""),
        (["0", "1", "1", "0"], "number", ""),
        (["1,5", "2", "-0,25", "7"], "number", "decimal comma"),
        (["1,234", "0,5", "2", "3"], "number", "decimal comma"),
        (["007", "1", "12", "3"], "category", "1, 3, 007, 12"),
        (["b10", "b9", "b10", "B"], "category", "B, b9, b10"),
        (["yes", "no", "yes", ""], "category", "no, yes, (missing)"),
        (["2020-01-31", "2020-02-01", "2019-12-31 12:00", "2020-01-01T00:00:00Z"], "date", "days since 2019-12-31"),
        (["31.1.2020", "1.2.2020", "3.4.2020", "5.6.2020"], "date", "days since 2020-01-31"),
        (["3 Jan 2020", "Jan 4, 2020", "5-May-2020", "June 6 2020"], "date", "days since 2020-01-03"),
        (["31/01/2020", "01/02/2020", "02/03/2020", "3/4/2020"], "date", "days since 2020-01-31, day first"),
        (["1/31/2020", "01/02/2020", "02/03/2020", "3/4/2020"], "date", "days since 2020-01-02, month first"),
        (pd.Categorical(["1", "2", "1", "2"]), "category", "1, 2"),
        (["x" + "2" * 5000, "x" + "1" * 5000, "x3", "x3"], "category", "x3, x1"),
        ([True, False, True, None], "category", "False, True, (missing)"),
        ([Decimal("1.5"), Decimal(2), None, Decimal(3)], "number", "2 where missing"),
        ([date(2020, 1, 2), date(2020, 1, 3), None, datetime(2020, 1, 5)], "date", "days since 2020-01-02"),
        ([1, "x", 2.0, "y"], "category", "1, 2, x, y"),
    ],
)
def test_what_a_column_is_taken_for(values: Any, kind: str, detail: str) -> None:
    found = kind_of(values)
    assert isinstance(found, tuple), found
    assert found[0] == kind and found[1].startswith(detail)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([""] * M, "it is empty"),
        (["NA", "?", None, "-"] * 5, "it is empty"),
        (["a"] * M, "a single value, 'a'"),
        ([3.0] * M, "a single value, 3"),
        (["2020-01-01"] * M, "a single value, 2020-01-01"),
        ([f"person {k}" for k in range(M)], "all different, as in an ID"),
        ([f"text {k % 15}" for k in range(M)], "free text, 15 different ones in 20 rows"),
        (list(range(M)), "counts the rows"),
        (list(range(M, 0, -1)), "counts the rows"),
        (["1,234", "12,500", "999"] * 5, "marks between thousands"),
        (["1,234,567", "1,234.5", "1.5"] * 5, "marks between thousands"),
        (["01/02/2020", "03/04/2020"] * 5, "day or the month first"),
        ([[1], [2]] * 5, "holds list, which is not read"),
        ([[1, 2]] * 5, "holds list, which is not read"),
        ([*map(str, range(100, 110)), *["x"] * 2, *map(str, range(200, 208))], "except 2 of 20 values (row 10: 'x'"),
        ([f"2020-01-{k + 1}" for k in range(M - 1)] + ["someday"], "most of it is dates, except 1 of 20"),
    ],
)
def test_why_a_column_is_left_out(values: Any, why: str) -> None:
    found = kind_of(values)
    assert isinstance(found, str) and why in found, found


def test_points_are_no_decimals_where_the_table_writes_commas() -> None:
    assert "thousands" in str(kind_of(["1.234", "12.345", "5"], other=["1,5", "2,5", "3,5"]))
    assert kind_of(["1.234", "12.34", "5"], other=["1,5", "2,5", "3,5"]) == ("number", "")


def test_ids_are_known_by_their_name_too() -> None:
    ids = [7 * k + 100 for k in range(M)]
    for name, out in (("id", True), ("Patient_ID", True), ("solid", False)):
        columns = Columns.infer(frame(ages=AGES, **{name: ids}))
        assert dict(columns.left_out).get(name) == ("it is an ID: all of its numbers are different" if out else None)


def test_a_counting_column_stays_where_nothing_else_is_left() -> None:
    columns = Columns.infer(frame(x=range(M), name=[f"n{k}" for k in range(M)]))
    assert columns.encoded == ("x",)
    assert columns.encode(frame(x=range(M), name=["?"] * M))[:, 0].tolist() == list(range(M))


@pytest.mark.parametrize(("many", "used"), [(50, True), (51, False)])
def test_up_to_fifty_names_are_categories(many: int, used: bool) -> None:
    towns = [f"town {k % many}" for k in range(10 * many)]
    columns = Columns.infer(frame(a=np.arange(10 * many) % 9, town=towns))
    assert ("town" in columns.names) == used and len(columns.encoded) == (1 + many if used else 1)


# ---------------------------------------------------------------------- numbers
def test_numbers_come_out_as_they_are_and_a_gap_gets_the_median_and_a_column() -> None:
    table = frame(age=[3.0, None, 5.0, 10.0], sex=["m", "f", "f", "m"], town=["b", "a", "c", None])
    columns = Columns.infer(table)
    names = ("age", "age is missing", "sex=m", "town=a", "town=b", "town=c", "town=(missing)")
    assert columns.encoded == names and columns.names == ("age", "sex", "town")
    found = columns.encode(table)
    assert found.dtype == np.float32
    assert found.tolist() == [
        [3, 0, 1, 0, 1, 0, 0],
        [5, 1, 0, 1, 0, 0, 0],
        [5, 0, 0, 0, 0, 1, 0],
        [10, 0, 1, 0, 0, 0, 1],
    ]
    assert columns.encode(table, dtype="float64").dtype == np.float64


def test_fills_categories_and_references_come_from_the_training_rows() -> None:
    table = frame(
        a=[1.0, 2.0, 3.0, None, 100.0],
        b=["x", "y", "x", "y", "z"],
        c=["2020-01-03", "2020-01-01", "2020-01-02", "", "2019-01-01"],
        d=[1.0, 1.0, 1.0, 1.0, 2.0],
    )
    columns = Columns.infer(table, rows=[0, 1, 2, 3])
    assert columns.encoded == ("a", "a is missing", "b=y", "c (days since 2020-01-01)", "c is missing")
    assert dict(columns.left_out) == {"d": "it has a single value in the training rows, 1"}
    with pytest.warns(ColumnWarning, match="'z' 1 time"):
        found = columns.encode(table)
    assert found[:, 0].tolist() == [1, 2, 3, 2, 100]
    assert found[:, 3].tolist() == [2, 0, 1, 1, -365]
    assert Columns.infer(table, rows=np.array([True] * 4 + [False])) == columns
    assert Columns.infer(table, rows=slice(0, 4)) == columns


def test_numbers_far_from_zero_keep_their_differences() -> None:
    seconds = np.arange(M) + 1.6e9
    columns = Columns.infer(frame(t=seconds, a=AGES))
    assert columns.encoded[0] == "t - 1600000009.5"
    found = columns.encode(frame(t=seconds, a=AGES))[:, 0]
    assert np.diff(found).tolist() == [1.0] * (M - 1)
    assert Columns.infer(frame(year=np.arange(1990, 1990 + M))).encoded == ("year",)


def test_text_is_read_as_at_training_and_numbers_are_numbers_in_any_dtype() -> None:
    columns = Columns.infer(frame(a=["1,5", "2,5", "4"], b=["1", "2", "2"]))
    assert (
        columns.encode(frame(a=[1.5, 2.5, 4.0], b=[1, 2, 2])).tolist()
        == columns.encode(frame(a=["1,5", "2,5", "4"], b=["1", "2", "2"])).tolist()
    )
    with pytest.raises(DataError, match="'a' must hold numbers with a decimal comma"):
        columns.encode(frame(a=["1.5"], b=[1]))


@pytest.mark.parametrize("value", [1e39, -1e39, np.inf, -np.inf, 10**400])
def test_numbers_that_float32_cannot_hold_are_refused_with_their_column(value: Any) -> None:
    table = frame(ok=[1.0, 2.0], big=pd.Series([1.0, value], dtype=object))
    with pytest.raises(DataError, match=r"column 'big' holds numbers that are not finite in float32[\s\S]*row 1"):
        Columns.infer(table)
    columns = Columns.infer(frame(ok=[1.0, 2.0], big=[1.0, 2.0]))
    with pytest.raises(DataError, match="column 'big'"):
        columns.encode(table)


# ---------------------------------------------------------------------- rows seen later
TRAINED = Columns.infer(
    frame(
        age=AGES,
        sex=["m", "f"] * 10,
        town=["a", "b", "c", "d"] * 5,
        when=["2020-01-01", "2020-01-02"] * 10,
        note=["x"] * M,
    )
)
ROW = {"age": [1.0], "sex": ["f"], "town": ["d"], "when": ["2020-01-03"]}


def test_left_out_columns_may_be_there_or_not_and_the_target_may_be_ignored() -> None:
    plain = TRAINED.encode(frame(**ROW)).tolist()
    assert plain == [[1, 0, 0, 0, 0, 1, 2]]
    assert TRAINED.encode(frame(**ROW, note=["y"])).tolist() == plain
    assert TRAINED.encode(frame(**ROW, species=["y"]), ignore=("species",)).tolist() == plain


def test_another_order_is_put_right_with_a_warning() -> None:
    turned = frame(**dict(reversed(ROW.items())))
    with pytest.warns(ColumnWarning, match="another order.*'when'") as caught:
        assert TRAINED.encode(turned).tolist() == TRAINED.encode(frame(**ROW)).tolist()
    assert len(caught) == 1 and caught[0].filename == __file__


def test_an_unseen_category_is_zeros_and_told_with_counts() -> None:
    table = frame(**{name: value * 3 for name, value in ROW.items() if name != "town"}, town=["e", "f", "a"])
    with pytest.warns(ColumnWarning) as caught:
        found = TRAINED.encode(table[["age", "sex", "town", "when"]])
    assert found[:, 2:6].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    text = str(caught[0].message)
    assert "column 'town': 2 of 3 values ('e' 1 time, 'f' 1 time) not seen" in text and "a, b, c, d" in text
    with pytest.warns(ColumnWarning, match="encoded as 0, like 'f'"):
        TRAINED.encode(frame(**{**ROW, "sex": ["x"]}))


def test_values_missing_for_the_first_time_are_filled_and_told() -> None:
    with pytest.warns(ColumnWarning, match=r"'age': 1 of 1 values \(row 0: empty\) missing, filled with 3.5"):
        assert TRAINED.encode(frame(**{**ROW, "age": [""]}))[0, 0] == 3.5
    with pytest.warns(ColumnWarning, match="'when': .*filled with 2020-01-01"):
        TRAINED.encode(frame(**{**ROW, "when": [None]}))
    with pytest.warns(ColumnWarning, match="'town'"):
        assert TRAINED.encode(frame(**{**ROW, "town": ["NA"]}))[0, 2:6].tolist() == [0, 0, 0, 0]


def test_gaps_in_a_column_that_had_gaps_are_not_told() -> None:
    columns = Columns.infer(frame(a=[1.0, None, 3.0], b=["x", "y", None]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert columns.encode(frame(a=[None], b=["?"])).tolist() == [[2, 1, 0, 0, 1]]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"age": ["old"]}, r"column 'age' must hold numbers\.[\s\S]*row 0: 'old'"),
        ({"age": [pd.Timestamp("2020-01-01")]}, "column 'age' must hold numbers"),
        ({"when": ["01/02/2020"]}, "column 'when' must hold dates such as 2020-01-31"),
        ({"when": [3.0]}, "column 'when' must hold dates"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_rows(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        TRAINED.encode(frame(**{**ROW, **changed}))


def test_missing_and_unknown_columns_are_refused_with_the_near_name() -> None:
    renamed = frame(**ROW).rename(columns={"town": "Town"})
    with pytest.raises(DataError, match=r"missing: town\n\s+unknown: Town\n\s+fix\s+rename 'Town' to 'town'"):
        TRAINED.encode(renamed)
    with pytest.raises(DataError, match="missing: age"):
        TRAINED.encode(frame(**ROW).drop(columns="age"))
    with pytest.raises(DataError, match="unknown: more"):
        TRAINED.encode(frame(**ROW, more=[1]))


# ---------------------------------------------------------------------- plain
def test_plain_columns_are_numbers_and_booleans_as_they_are() -> None:
    table = frame(a=[1, 2], b=[True, False], c=[0.5, 0.25])
    columns = Columns.plain(table)
    assert columns.names == columns.encoded == ("a", "b", "c") and columns.notes == ()
    assert columns.encode(table).tolist() == [[1, 1, 0.5], [2, 0, 0.25]]
    with pytest.raises(DataError, match=r"column 'd' holds no numbers[\s\S]*'x'[\s\S]*Columns\.infer\(frame\)"):
        Columns.plain(frame(a=[1], d=["x"], e=["y"]))
    with pytest.raises(DataError, match=r"column 'c' has missing values[\s\S]*row 1"):
        columns.encode(frame(a=[1, 2], b=[True, False], c=[0.5, None]))


# ---------------------------------------------------------------------- any library
TYPED: dict[str, Any] = {
    "i": [1, None, 3, 5],
    "f": [0.5, 1.5, None, 2.5],
    "s": ["a", None, "b", "a"],
    "b": [True, None, False, True],
    "d": [date(2020, 1, 1), None, date(2020, 3, 1), date(2020, 2, 1)],
    "t": [datetime(2020, 1, 1, 12), None, datetime(2020, 1, 2), datetime(2020, 1, 2)],
}


def test_pandas_polars_and_pyarrow_give_the_same_numbers() -> None:
    arrow = pa.table(TYPED)
    tables = [pl.DataFrame(TYPED), pl.DataFrame(TYPED).lazy(), arrow, arrow.to_pandas(), pd.DataFrame(TYPED)]
    first = Columns.infer(tables[0])
    wanted = first.encode(tables[0])
    assert np.isfinite(wanted).all() and wanted.shape == (4, len(first.encoded))
    for table in tables[1:]:
        assert Columns.infer(table).used == first.used, type(table)
        assert first.encode(table).tobytes() == wanted.tobytes(), type(table)


def test_times_with_a_zone_are_counted_in_utc() -> None:
    zoned = pd.to_datetime(["2020-01-02 00:00", "2020-01-03 00:00"]).tz_localize("Europe/Berlin")
    columns = Columns.infer(frame(a=["2020-01-01 23:00", "2020-01-02 23:00"]))
    assert (
        columns.encode(frame(a=zoned)).tolist()
        == columns.encode(frame(a=["2020-01-01 23:00", "2020-01-02 23:00"])).tolist()
    )


def test_polars_needs_no_pandas() -> None:
    code = (
        "import sys, polars as pl; from backlit.io.columns import Columns, is_table; import datetime;"
        "assert 'narwhals' not in sys.modules and not is_table([[1]]);"
        "f = pl.DataFrame({'a': [1, None, 2], 'b': ['x', None, 'y'], 'd': [datetime.date(2020, 1, k) for k in (1, 2, 3)]});"
        "assert is_table(f); Columns.infer(f).encode(f); assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_is_table() -> None:
    class Mine(pd.DataFrame):
        pass

    assert all(
        map(is_table, [frame(a=[1]), Mine({"a": [1]}), pl.DataFrame({"a": [1]}), pl.LazyFrame(), pa.table({"a": [1]})])
    )
    assert not any(map(is_table, [np.zeros(2), [1], {"a": [1]}, "text", None, pd.Series([1]), pl.Series([1])]))


def test_tables_that_are_no_tables() -> None:
    with pytest.raises(DataError, match="'a' stands 2 times"):
        Columns.infer(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(DataError, match="no columns"):
        Columns.infer(pd.DataFrame(index=[1, 2]))
    with pytest.raises(DataError, match="no rows"):
        Columns.infer(frame(a=[]))
    with pytest.raises(DataError, match=r"no column of the table can be used[\s\S]*'a': it has a single value, 1"):
        Columns.infer(frame(a=[1.0]))
    with pytest.raises(DataError, match="no rows"):
        Columns.infer(frame(a=[1.0, 2.0]), rows=[])
    with pytest.raises(ArgumentError, match="those of a table"):
        Columns.infer({"a": [1, 2]})
    numbered = pd.DataFrame(np.array([[1.0, 2.0], [3.0, 5.0]]))
    assert Columns.infer(numbered).names == ("0", "1")
    assert TRAINED.encode(frame(**ROW)[:0]).shape == (0, 7)


def test_names_that_come_out_are_all_different() -> None:
    columns = Columns.infer(frame(**{"a": ["x", "y", "z"], "a=x": [1, 2, 4]}))
    assert columns.encoded == ("a=x", "a=y", "a=z", "a=x (2)")


# ---------------------------------------------------------------------- in words, and in files
def test_notes_say_what_was_decided() -> None:
    table = frame(
        age=["1", "?", "NA", *["3"] * 17], sex=["m", "f"] * 10, id=range(M), when=["31/12/2020", "1/1/2020"] * 10
    )
    assert Columns.infer(table).notes == (
        "1 column is a number: age",
        "'age': 2 of 20 values are missing ('?' 1 time, 'NA' 1 time); filled with the median of the training rows, 3, "
        "and 'age is missing' says where",
        "'sex' is a category: f, m",
        "'id' is left out: it counts the rows",
        "'when' is a date: days since 2020-01-01, day first",
    )


def test_a_file_gives_the_same_columns_back() -> None:
    table = pd.DataFrame(TYPED)
    columns = Columns.infer(table)
    again = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    assert again == columns and again.encode(table).tobytes() == columns.encode(table).tobytes()


def test_nonsense_in_a_file_is_refused() -> None:
    good = TRAINED.to_json()
    column = good["columns"][0]
    bad: list[Any] = [None, [], {}, {**good, "columns": []}, {**good, "notes": [1]}, {**good, "left_out": [["a"]]}]
    bad += [{**good, "columns": [column, column]}, {**good, "left_out": [["age", "twice"]]}]
    changes: list[Any] = [
        {"kind": "exec"},
        {"kind": ["number"]},
        {"fill": "1"},
        {"fill": np.nan},
        {"zero": True},
        {"zero": None},
    ]
    changes += [{"decimal": "x"}, {"name": 3}, {"flag": 1}, {"fill": None, "flag": True}, {"more": 1}]
    bad += [{**good, "columns": [{**column, **change}]} for change in changes]
    town = next(each for each in good["columns"] if each["name"] == "town")
    bad += [{**good, "columns": [{**town, "values": value}]} for value in (["a"], ["a", "a"], "ab", [1, 2], None)]
    bad += [
        {**good, "columns": [{key: value for key, value in column.items() if key != "zero"}]},
        {**good, "columns": [7]},
    ]
    for described in bad:
        with pytest.raises(FileError, match="description of a table's columns"):
            Columns.from_json(described)
