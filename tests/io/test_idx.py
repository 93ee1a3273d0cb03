"""IDX files, as MNIST comes in: every type of number, gzip, labels found by their name, damage refused."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backlit.core.errors import BacklitError, FileError, FileMissingError
from backlit.io import idx
from backlit.io.tables import read

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: "i2", 0x0C: "i4", 0x0D: "f4", 0x0E: "f8"}
PICTURES = np.arange(3 * 4 * 5, dtype=np.uint8).reshape(3, 4, 5)
LABELS = np.array([7, 2, 1], dtype=np.uint8)


def packed(array: np.ndarray, code: int = 0x08) -> bytes:
    head = struct.pack(f">BBBB{array.ndim}i", 0, 0, code, array.ndim, *array.shape)
    return head + array.astype(">" + TYPES[code]).tobytes()


def test_the_bytes_of_the_format(tmp_path: Path) -> None:
    path = tmp_path / "a.idx"
    path.write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 2, 0, 0, 0, 1, 0x01, 0x00, 0xFF, 0xFE]))
    assert idx.read(path).tolist() == [[256], [-2]]


@pytest.mark.parametrize("code", TYPES)
def test_every_type_of_number(tmp_path: Path, code: int) -> None:
    array = np.array([[0, 1, 100], [2, 3, -5 if TYPES[code] != "u1" else 5]], dtype=TYPES[code])
    path = tmp_path / "a.idx"
    path.write_bytes(packed(array, code))
    found = idx.read(path)
    assert (
        np.array_equal(found, array) and found.dtype == array.dtype and found.dtype.isnative and found.flags.writeable
    )


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
        ("t10k-images.idx3-ubyte.gz", "t10k-labels.idx1-ubyte.gz"),
        ("emnist-letters-train-images-idx3-ubyte.gz", "emnist-letters-train-labels-idx1-ubyte"),
    ],
)
def test_labels_are_found_by_their_name(tmp_path: Path, images: str, labels: str) -> None:
    for name, array in ((images, PICTURES), (labels, LABELS)):
        content = packed(array)
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    data = read(tmp_path / images)
    assert np.array_equal(data.X.reshape(3, 4, 5), PICTURES) and data.X.dtype == np.uint8
    assert data.y.tolist() == [7, 2, 1] and data.image == (4, 5) and data.unit == "pixel"
    assert data.name == images.split("-idx")[0].split(".")[0]
    assert read(f"{tmp_path / images},{tmp_path / labels}").y.tolist() == [7, 2, 1]
    (tmp_path / labels).unlink()
    with pytest.raises(FileMissingError, match=f"no labels beside '{images}'"):
        read(tmp_path / images)
    assert read(tmp_path / images, labelled=False).y.shape == (0,)


def test_the_file_of_labels_alone_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(packed(LABELS))
    with pytest.raises(FileError, match="holds labels"):
        read(tmp_path / "train-labels-idx1-ubyte")
    (tmp_path / "digits.idx").write_bytes(packed(PICTURES))
    with pytest.raises(FileError, match=r"no name that says[\s\S]*IMAGES,LABELS"):
        read(tmp_path / "digits.idx")


@pytest.mark.parametrize("zipped", [False, True])
def test_damage_is_refused(tmp_path: Path, zipped: bool) -> None:
    whole = packed(PICTURES)
    path = tmp_path / "a.idx"
    damaged: list[bytes] = [whole[:cut] for cut in range(0, len(whole), 5)] + [whole + b"\0", b"PNG" + whole]
    damaged += [whole[:2] + b"\x07" + whole[3:], whole[:3] + b"\xff" + whole[4:], whole[:4] + b"\xff" + whole[5:]]
    damaged += [whole[:4] + b"\x7f\xff\xff\xff" * 3 + whole[16:]]  # asks for 2^93 bytes
    for content in damaged:
        path.write_bytes(gzip.compress(content) if zipped else content)
        with pytest.raises(FileError, match=r"a\.idx"):
            idx.read(path)
    path.write_bytes(gzip.compress(whole)[:-9])
    with pytest.raises(FileError):
        idx.read(path)


@given(st.binary(max_size=60))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_an_array_or_refused(tmp_path: Path, content: bytes) -> None:
    path: Any = tmp_path / "a.idx"
    for begin in (b"", b"\0\0\x08\x01"):
        path.write_bytes(begin + content)
        try:
            idx.read(path)
        except BacklitError:
            continue
