"""Wrong tables, targets, pictures and other files of data."""

from __future__ import annotations

import contextlib
import gzip
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from backlit.io.columns import Columns
from backlit.io.tables import read

GOOD = pd.DataFrame(
    {"age": [31.0, 45.5, 27.0], "town": ["Rome", "Oslo", "Rome"], "when": ["2020-01-01", "", "2020-02-01"]}
)
ROWS = "".join(f"{k}.5,{'ab'[k % 2]}\n" for k in range(90))


def file(content: str | bytes, name: str = "data.csv", **options: Any) -> Callable[[], object]:
    """A program that reads a file of this content."""

    def program() -> object:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            path = Path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
            return read(path.parts[0], **options)

    return program


def arrays(**content: Any) -> Callable[[], object]:
    """A program that reads an .npz file of these arrays."""

    def program() -> object:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            np.savez("data.npz", **content)
            return read("data.npz")

    return program


def encode(**changed: Any) -> Callable[[], object]:
    """A program that encodes a table with the columns of GOOD, but for the changed ones (None leaves one out)."""

    def program() -> object:
        row = {"age": [1.0], "town": ["Rome"], "when": ["2020-01-01"], **changed}
        table = pd.DataFrame({name: values for name, values in row.items() if values is not None})
        return Columns.infer(GOOD).encode(table)

    return program


def cases() -> dict[str, Callable[[], object]]:
    """Wrong tables, targets, pictures and other files of data."""
    table = "size,kind\n" + ROWS
    described = Columns.infer(GOOD).to_json()
    return {
        "a table without a target": file(table),
        "a misspelt target": file(table, target="knd"),
        "a table with two usual targets": file("a,class,y\n1,2,3\n"),
        "a table of nothing but the target": file("y\n1\n2\n"),
        "a target that is missing too often": file("a,y\n1,\n2,3\n"),
        "a target of free text": file("a,y\n" + "".join(f"{k},name {k}\n" for k in range(30))),
        "a target with marks between thousands": file("a;y\n1;1,234\n2;12,500\n"),
        "several targets, one of them text": file("a,p,q\n1,2,x\n2,3,y\n", target="p,q"),
        "a target of arrays": lambda: read("iris", "kind"),
        "a target that is no name": lambda: read("iris", target=3),  # type: ignore[arg-type]
        "bad rows": file(table + "1,2,3\n" * 10),
        "one field more than names": file("size\n" + ROWS),
        "an empty table": file(""),
        "names without rows": file("size,kind\n"),
        "a table that is no text": file(b"\0\1\2\0"),
        "a gzip file that was cut short": file(gzip.compress(table.encode())[:-12], "data.csv.gz"),
        "a parquet file that is none": file("a,b", "data.parquet"),
        "JSON lines that are none": file("[1, 2]\n", "data.jsonl"),
        "an IDX file that was cut short": file(bytes([0, 0, 8, 1, 0, 0, 0, 9, 1]), "a.idx", labelled=False),
        "IDX images without labels": file(bytes([0, 0, 8, 1, 0, 0, 0, 0]), "train-images-idx3-ubyte"),
        "IDX labels without images": file(bytes([0, 0, 8, 1, 0, 0, 0, 0]), "train-labels-idx1-ubyte"),
        "a folder without pictures": file("", "pictures/cats/list.txt"),
        "pictures that are none": file("", "pictures/cats/1.png"),
        "one .npy file": file("", "X.npy"),
        "a file of another kind": file("", "data.xlsx"),
        "numbers beyond float32 in an array": arrays(X=[[1.0], [1e300]], y=[0, 1]),
        "columns that stand twice": lambda: Columns.infer(pd.DataFrame([[1, 2]], columns=["a", "a"])),
        "a dict where a table is meant": lambda: Columns.infer({"a": [1]}),
        "a table without columns": lambda: Columns.infer(pd.DataFrame()),
        "a table without rows": lambda: Columns.infer(GOOD[:0]),
        "a table with nothing to use": lambda: Columns.infer(pd.DataFrame({"a": [1, 1], "b": ["x", "x"]})),
        "infinity in a table": lambda: Columns.infer(GOOD.assign(age=[1.0, np.inf, 2.0])),
        "text in plain columns": lambda: Columns.plain(GOOD),
        "a gap in plain columns": lambda: Columns.plain(GOOD[["age"]]).encode(pd.DataFrame({"age": [1.0, None]})),
        "text where numbers are wanted": encode(age=["old"]),
        "a date that may be two": encode(when=["01/02/2020"]),
        "a renamed column": encode(town=None, Town=["Rome"]),
        "a column too few": encode(age=None),
        "a column too many": encode(weight=[3.0]),
        "columns from a file that say nonsense": lambda: Columns.from_json(
            {**described, "columns": [{"kind": "eval"}]}
        ),
    }
