"""Random tables: whatever is in them, they are encoded into finite numbers of the promised shape or refused in our words."""

import contextlib
import json
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import assume, given
from hypothesis import strategies as st

from backlit.core.errors import BacklitError, ColumnWarning
from backlit.io.columns import Columns

MARKS = ["", "NA", "n/a", "?", "-", "null"]
plain = st.integers(-1000, 1000).map(str) | st.floats(-1e6, 1e6).map(repr)
commas = st.floats(-1e6, 1e6).map(lambda value: f"{value:.3f}".replace(".", ","))
days = st.dates().map(str) | st.datetimes().map(lambda value: value.isoformat(" ", "seconds"))
slashes = st.dates().map(lambda day: f"{day.day}/{day.month}/{day.year}")
words = st.sampled_from(["red", "Green", "blue\nline", 'a "b", c', "ü", "1e999", "01", "inf", "1,234", "True"])
anything = st.text(max_size=6)
cell_kinds = [plain, commas, days, slashes, words, anything, plain | anything, st.just("x")]


@st.composite
def text_columns(draw: st.DrawFn, rows: int) -> list[str]:
    values = draw(st.lists(draw(st.sampled_from(cell_kinds)), min_size=rows, max_size=rows))
    gaps = draw(st.sets(st.integers(0, rows - 1), max_size=draw(st.sampled_from([0, 0, rows]))))
    return [draw(st.sampled_from(MARKS)) if row in gaps else value for row, value in enumerate(values)]


@st.composite
def tables(draw: st.DrawFn) -> pd.DataFrame:
    rows = draw(st.integers(1, 25))
    names = draw(st.lists(st.text(min_size=1, max_size=4), min_size=1, max_size=5, unique=True))
    return pd.DataFrame({name: pd.Series(draw(text_columns(rows)), dtype=object) for name in names})


def encoded(columns: Columns, table: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ColumnWarning)
        return columns.encode(table)


def inferred(table: Any, rows: Any = None) -> Columns:
    try:
        return Columns.infer(table, rows)
    except BacklitError:
        assume(False)
        raise


@given(tables(), st.data())
def test_every_table_becomes_finite_numbers_or_is_refused_in_our_words(
    table: pd.DataFrame, data: st.DataObject
) -> None:
    rows = data.draw(st.none() | st.lists(st.integers(0, len(table) - 1), min_size=1))
    try:
        columns = Columns.infer(table, rows)
    except BacklitError as error:
        assert error.message and error.fields
        return
    found = encoded(columns, table)
    assert found.shape == (len(table), len(columns.encoded)) and found.dtype == np.float32
    assert np.isfinite(found).all()
    assert len(set(columns.encoded)) == len(columns.encoded)
    assert set(columns.names) | {name for name, _ in columns.left_out} == set(table.columns)
    seen = found if rows is None else found[rows]
    assert (seen.min(axis=0) < seen.max(axis=0)).any(), "no column of the training rows tells them apart"


@given(tables(), tables())
def test_later_rows_are_encoded_or_refused_in_our_words(table: pd.DataFrame, later: pd.DataFrame) -> None:
    columns = inferred(table)
    later = pd.DataFrame({name: later.iloc[:, k % later.shape[1]] for k, name in enumerate(table.columns)})
    try:
        found = encoded(columns, later)
    except BacklitError as error:
        assert "row" in str(error)
        return
    assert found.shape == (len(later), len(columns.encoded)) and np.isfinite(found).all()


@given(tables(), st.randoms())
def test_order_of_columns_and_a_file_in_between_change_no_bit(table: pd.DataFrame, random: Any) -> None:
    columns = inferred(table)
    wanted = encoded(columns, table).tobytes()
    again = Columns.from_json(json.loads(json.dumps(columns.to_json())))
    assert again == columns and encoded(again, table).tobytes() == wanted
    names = list(table.columns)
    random.shuffle(names)
    assert encoded(columns, table[names]).tobytes() == wanted


@given(tables(), st.randoms())
def test_rows_are_encoded_one_by_one_as_all_together(table: pd.DataFrame, random: Any) -> None:
    columns = inferred(table)
    wanted = encoded(columns, table)
    row = random.randrange(len(table))
    assert encoded(columns, table.iloc[[row]]).tobytes() == wanted[[row]].tobytes()


@given(tables())
def test_pandas_polars_and_pyarrow_agree(table: pd.DataFrame) -> None:
    names = [name.replace("\x00", "0") for name in table.columns]
    assume(len(set(names)) == len(names))
    values = {name: table.iloc[:, k].tolist() for k, name in enumerate(names)}
    assume(all(text.isprintable() for column in values.values() for text in column))
    columns = inferred(pd.DataFrame(values))
    wanted = encoded(columns, pd.DataFrame(values)).tobytes()
    for other in (pl.DataFrame(values), pa.table(values)):
        assert Columns.infer(other) == columns
        assert encoded(columns, other).tobytes() == wanted


numbers = st.floats(width=32, allow_infinity=False) | st.integers(-(2**40), 2**40) | st.none() | st.booleans()


@given(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=20))
def test_columns_of_python_objects(rows: list[tuple[Any, Any]]) -> None:
    table = pd.DataFrame({name: pd.Series([row[k] for row in rows], dtype=object) for k, name in enumerate("ab")})
    columns = inferred(table)
    assert np.isfinite(encoded(columns, table)).all()


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["columns", "left_out", "notes", "kind", "name"]), inner)
        ),
        max_leaves=20,
    )
)
def test_any_json_is_columns_or_refused(described: Any) -> None:
    with contextlib.suppress(BacklitError):
        Columns.from_json(described)
