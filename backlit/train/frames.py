"""Tables and series of pandas, polars, pyarrow, … on their way into a model."""

from __future__ import annotations

import sys
from typing import Any

from ..core import registry
from ..core.errors import BacklitError, ColumnWarning, DataError
from ..core.node import FLOATS, warn
from ..io.cells import columns_of
from ..io.columns import Columns, is_table
from ..layers.network import flat
from . import door


def features(model: Any, x: Any, learn: bool) -> Any:
    """X as arrays: a table becomes the numbers that `model.columns` makes of it.

    With `learn`, a table that has other columns than those takes their place, if it holds numbers and truths alone.
    """
    if not is_table(x):
        if any(map(is_table, flat(x))):
            message = "X is a table for one of several inputs."
            raise door.refuse(DataError(message, fix="pass arrays: table.to_numpy()"), "columns")
        return x
    dtype = model.inputs[0].dtype if model.built else model._input_dtype()
    try:
        if learn and not _known(model.columns, set(columns_of(x))):
            model.columns = Columns.plain(x)
        columns = model.columns or Columns.plain(x)
        return columns.encode(x, dtype=dtype if dtype in FLOATS else "float64")
    except BacklitError as error:
        raise door.refuse(error, "columns") from None


def _known(columns: Columns | None, names: set[str]) -> bool:
    return columns is not None and names - {name for name, _ in columns.left_out} == set(columns.names)


def column(table: Any, what: str) -> Any:
    """A table as y or weights: its only column as a series, or the numbers of all. Anything else is as it was."""
    if not is_table(table):
        return table
    try:
        found = list(columns_of(table).values())
        return found[0].to_native() if len(found) == 1 else Columns.plain(table).encode(table, dtype="float64")
    except BacklitError as error:
        error.message = f"{what}: {error.message}"
        raise door.refuse(error, "columns") from None


def same_rows(x: Any, other: Any, what: str) -> None:
    """Refuse a pandas object whose index has the labels of X in another order; warn where they are other labels.

    Rows are matched by their places, never by their labels.
    """
    indexes = [each.index for each in flat(x) if _of_pandas(each)]
    for each in flat(other) if indexes else ():
        if not _of_pandas(each) or len(each) != len(indexes[0]) or each.index.equals(indexes[0]):
            continue
        pairs = list(zip(indexes[0], each.index, strict=True))
        place = next((place for place, pair in enumerate(pairs) if pair[0] != pair[1]), 0)
        mine, its = pairs[place]
        found = f"row {place} is {mine!r} in X and {its!r} in {what}"
        if set(each.index) == set(indexes[0]):
            error = DataError(f"X and {what} have the same rows in another order.", found=found)
            fix = f"{what} = {what}.loc[X.index]; or {what}.to_numpy(), if only the labels are in another order"
            error.fields.update(why="rows are matched by their places", fix=fix)
            raise door.refuse(error, "rows")
        warn(
            f"the indexes of X and {what} differ ({found}); the rows are matched by their places. "
            f"If that is meant, pass {what}.to_numpy().",
            ColumnWarning,
        )


def _of_pandas(value: Any) -> bool:
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, (pandas.DataFrame, pandas.Series))


registry.register("frames.features", features)
registry.register("frames.column", column)
registry.register("frames.same_rows", same_rows)
