"""The file of a model: a stored zip of JSON and tensors, written whole or not at all, read with nothing trusted.

The zip's CRC-32 of each entry finds what storage and transfer break. There is no hash besides: whoever changes an entry
on purpose would change a hash in the same file, too; such a file is met by believing nothing in it.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import stat
import struct
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FileError, FileMissingError

_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes
_TEMPORARY = ".backlit-"
_LONGEST_LIST = 1 << 16  # bytes that name the entries; a name takes about 70
_ENTRY = re.compile(r"[a-z]+(\.[a-z0-9]+){1,2}")  # what we write: no folder, no drive, no way out of one
_END = struct.Struct("<4sHHHHIIH")  # the last bytes of a zip without a comment


# ---------------------------------------------------------------------- writing
def write(path: Path, entries: Mapping[str, bytes]) -> None:
    """Write the entries under a temporary name beside `path`, flush them to the disk, and rename: all or nothing."""
    write_bytes(path, _zipped(entries))


def _zipped(entries: Mapping[str, bytes]) -> memoryview:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    return buffer.getbuffer()


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` under a temporary name beside `path`, flush it to the disk, and rename: all or nothing.

    A link is followed. The permissions of a file that is replaced are kept; a new one has those of the umask.
    """
    target = Path(os.path.realpath(path) if "\0" not in str(path) else path)
    temporary = target.with_name(f"{_TEMPORARY}{secrets.token_hex(8)}.tmp")
    try:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder")
        mode = stat.S_IMODE(target.stat().st_mode) if os.path.exists(target) else None
        with open(temporary, "xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        if mode is not None:
            os.chmod(temporary, mode)
        os.replace(temporary, target)
    except (OSError, ValueError) as error:  # a name with a NUL in it
        fix = "free some space, or choose another folder"
        if not target.parent.is_dir() or not os.access(target.parent, os.W_OK):
            fix = "choose a folder that exists and can be written"
        told = getattr(error, "strerror", None) or str(error)
        raise FileError(f"cannot write {path}.", found=told, fix=fix) from None
    finally:
        if os.path.lexists(temporary):
            os.unlink(temporary)
    _settle(target.parent)


def sweep(folder: Path) -> None:
    """Remove what writers left that were killed in the middle; for a folder in which nobody else writes."""
    for path in folder.glob(f"{_TEMPORARY}*.tmp"):
        path.unlink(missing_ok=True)


def _settle(folder: Path) -> None:
    """Flush the new name to the disk, where the system lets folders be opened."""
    with suppress(OSError):  # some do not; the file is whole in any case
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


# ---------------------------------------------------------------------- reading
def read(path: Path) -> dict[str, bytes]:
    """The entries of a file that `write` wrote. Compressed, doubled or damaged entries, and others than ours, are
    refused before they are read."""
    if not os.path.exists(path):
        raise FileMissingError(f"there is no file {path}.", fix="give the path of a model file")
    try:
        size = path.stat().st_size
        _check_ends(path, size)
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise _foreign(path, "its entries are compressed")
            if len({info.filename for info in infos}) != len(infos):
                raise _foreign(path, "its entries are doubled")
            if strange := [info.filename for info in infos if not _ENTRY.fullmatch(info.filename)]:
                raise _foreign(path, f"it has an entry {strange[0]!r:.60}")
            if sum(info.file_size for info in infos) > size:
                raise _foreign(path, "its entries claim to be larger than the file")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise _foreign(path, str(error)) from None


def _check_ends(path: Path, size: int) -> None:
    """Refuse by its first and last bytes what is no zip, and a list of entries that would take long to read."""
    if size < _END.size:
        raise _foreign(path, f"{size} bytes")
    with open(path, "rb") as stream:
        begin = stream.read(4)
        stream.seek(-_END.size, os.SEEK_END)
        end, _, _, _, _, listed, _, comment = _END.unpack(stream.read(_END.size))
    if (begin, end, comment) != (b"PK\x03\x04", b"PK\x05\x06", 0):
        raise _foreign(path, "it does not begin and end as such a file does: it was cut short, or is something else")
    if listed > _LONGEST_LIST:
        raise _foreign(path, f"a list of entries of {listed} bytes")


def _foreign(path: Path, found: str) -> FileError:
    return FileError(
        f"{path} is no file of ours that can be read.",
        expected="a file that backlit wrote, whole and unchanged",
        found=found,
        fix="copy it again, or train anew",
    )


# ---------------------------------------------------------------------- tensors
def pack(tensors: Mapping[str, Any]) -> bytes:
    """Tensors as safetensors bytes."""
    from safetensors.numpy import save

    return save({name: np.asarray(value, order="C") for name, value in tensors.items()})


def unpack(content: bytes, path: Path) -> dict[str, Any]:
    """The tensors of safetensors bytes."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(content))
    except (SafetensorError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _foreign(path, f"its tensors cannot be read: {error}") from None


def unpack_file(path: Path, wanted: Mapping[str, tuple[Any, str]]) -> dict[str, Any]:
    """The tensors of a .safetensors or .npz file; `wanted` has the shapes and dtypes that are looked for by name."""
    if not os.path.exists(path):
        raise FileMissingError(f"there is no file {path}.", fix="give the path of a .safetensors or .npz file")
    if path.suffix == ".npz":
        return _unpack_npz(path, wanted)
    try:
        return unpack(path.read_bytes(), path)
    except OSError as error:
        raise _foreign(path, str(error)) from None


def pack_npz(tensors: Mapping[str, Any]) -> memoryview:
    """Tensors as the bytes of an .npz file, as `numpy.savez` writes them."""
    entries = {}
    for name, value in tensors.items():
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(value, order="C"), allow_pickle=False)
        entries[f"{name}.npy"] = buffer.getvalue()
    return _zipped(entries)


def _unpack_npz(path: Path, wanted: Mapping[str, tuple[Any, str]]) -> dict[str, Any]:
    """Also of a compressed file: a tensor that is not wanted is not read, one that takes no memory stands for it. No
    pickle is ever run."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as stream:
                    shape, _, dtype = _npy_header(stream)
                if dtype.hasobject:
                    raise ValueError(f"{name} holds Python objects, which only pickle could read")
                if wanted.get(name) != (shape, dtype.name):
                    found[name] = np.broadcast_to(np.zeros((), dtype), shape)
                    continue
                with archive.open(info) as stream:
                    found[name] = np.lib.format.read_array(stream, allow_pickle=False)
            return found
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise _foreign(path, f"its arrays cannot be read: {error}") from None


def _npy_header(stream: Any) -> Any:
    version = np.lib.format.read_magic(stream)
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read_header(stream)


# ---------------------------------------------------------------------- JSON
def to_json(value: Any) -> bytes:
    """JSON in a form that people can read."""
    try:
        return json.dumps(value, indent=1, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise FileError(
            "a file cannot hold this.", expected="numbers, text, lists and dicts", found=str(error)
        ) from None


def from_json(content: bytes, path: Path) -> Any:
    """What JSON bytes say."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _foreign(path, f"its JSON cannot be read: {error}") from None
