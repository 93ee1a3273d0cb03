"""IDX, the format of MNIST and its relatives: one array a file, big-endian, possibly under gzip."""

from __future__ import annotations

import gzip
import math
import re
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..core.errors import FileError, FileMissingError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"[-.]idx\d|\.idx\b", re.IGNORECASE)


def is_idx(path: Path) -> bool:
    """Whether a name looks like an IDX file: train-images-idx3-ubyte, t10k-labels.idx1-ubyte.gz, data.idx."""
    return bool(_NAME.search(path.name))


def labels_of(images: Path) -> Path:
    """The file of labels beside a file of images, found by its name.

    Raises FileError where the name does not say which that is, FileMissingError where it is not there.
    """
    name = re.sub(r"(?<=idx)\d", "1", images.name.replace("images", "labels"))
    if "images" not in images.name:
        what = "holds labels" if "labels" in images.name else "has no name that says which file has its labels"
        raise FileError(
            f"{images.name!r} {what}.",
            expected="a file of images, such as train-images-idx3-ubyte, beside train-labels-idx1-ubyte",
            fix="name the file of images, or both with a comma: IMAGES,LABELS",
            where=str(images),
        )
    for near in (name, name.removesuffix(".gz"), name + ".gz"):
        if (images.parent / near).is_file():
            return images.parent / near
    raise FileMissingError(
        f"there are no labels beside {images.name!r}.",
        expected=f"a file {name!r} in the same folder",
        fix="put it there, or name both files with a comma: IMAGES,LABELS",
        where=str(images),
    )


def read(path: Path) -> np.ndarray:
    """The array of an IDX file. Raises FileError for a file that is cut short, too long, or of another format."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            if not packed:
                return _array(raw, path)
            with gzip.open(raw) as stream:
                return _array(stream, path)  # type: ignore[arg-type]
    except (OSError, EOFError, zlib.error) as problem:
        raise _broken(path, str(problem) or type(problem).__name__) from problem


def _array(stream: BinaryIO, path: Path) -> np.ndarray:
    head = stream.read(4)
    if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _TYPES or not 1 <= head[3] <= 8:
        raise _broken(path, f"it begins with {head!r}")
    sizes = stream.read(4 * head[3])
    if len(sizes) < 4 * head[3]:
        raise _broken(path, "it ends before its sizes do")
    shape = struct.unpack(f">{head[3]}i", sizes)
    dtype = np.dtype(_TYPES[head[2]])
    if min(shape) < 0:
        raise _broken(path, f"its shape is {shape}")
    wanted = math.prod(shape) * dtype.itemsize
    content = _read(stream, wanted + 1)
    if len(content) != wanted:
        found = "more" if len(content) > wanted else f"{len(content)}"
        raise _broken(path, f"{found} bytes after the sizes, where shape {shape} takes {wanted}")
    return np.frombuffer(content, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _read(stream: BinaryIO, most: int) -> bytes:
    """At most so many bytes, in pieces: the sizes of a damaged file may ask for more than there is memory."""
    pieces, left = [], most
    while left and (piece := stream.read(min(left, 1 << 24))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _broken(path: Path, found: str) -> FileError:
    return FileError(
        f"{path.name!r} is no IDX file that can be read.",
        expected="0, 0, a type, the number of axes, their sizes, and as many numbers as these say",
        found=found,
        fix="copy or download it again",
        where=str(path),
    )
