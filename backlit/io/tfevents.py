"""TensorBoard's event files, scalars only: records of length and checksum (TFRecord) that hold protobuf messages."""

from __future__ import annotations

import os
import struct
import time
from itertools import count
from pathlib import Path

from ..core.errors import FileError

_files = count()


def _table() -> list[int]:
    """CRC-32C (Castagnoli), byte by byte."""
    rows = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        rows.append(byte)
    return rows


_TABLE = _table()


def crc32c(content: bytes) -> int:
    """The checksum of RFC 3720.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    word = 0xFFFFFFFF
    for byte in content:
        word = (word >> 8) ^ _TABLE[(word ^ byte) & 0xFF]
    return word ^ 0xFFFFFFFF


def masked(content: bytes) -> int:
    """The checksum as TFRecord stores it: rotated and moved, so that checksums of checksums stay sound."""
    word = crc32c(content)
    return ((word >> 15 | word << 17) + 0xA282EAD8) & 0xFFFFFFFF


def record(content: bytes) -> bytes:
    """One TFRecord: length, its checksum, content, its checksum."""
    length = struct.pack("<Q", len(content))
    return length + struct.pack("<I", masked(length)) + content + struct.pack("<I", masked(content))


def _varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])


def _block(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def event(wall_time: float, step: int = 0, *, version: str = "", tag: str = "", value: float = 0.0) -> bytes:
    """The protobuf message `Event`: a file's version, or one scalar (`simple_value`) of a step."""
    head = _varint(1 << 3 | 1) + struct.pack("<d", wall_time) + _varint(2 << 3) + _varint(step)
    if version:
        return head + _block(3, version.encode())
    scalar = _block(1, tag.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", value)
    return head + _block(5, _block(1, scalar))


class Writer:
    """An event file in `folder`, made when the first scalar is written."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.path: Path | None = None

    def scalars(self, values: dict[str, float], step: int) -> None:
        """Append one event for each tag."""
        now = time.time()
        parts = [record(event(now, step, tag=tag, value=value)) for tag, value in values.items()]
        try:
            if self.path is None:
                self.folder.mkdir(parents=True, exist_ok=True)
                name = f"events.out.tfevents.{int(now):010d}.backlit.{os.getpid()}.{next(_files)}.v2"
                self.path = self.folder / name
                parts.insert(0, record(event(now, version="brain.Event:2")))
            with self.path.open("ab") as stream:
                stream.write(b"".join(parts))
        except OSError as error:
            raise FileError(f"cannot write {self.folder}.", found=str(error), fix="choose another log_dir") from None
