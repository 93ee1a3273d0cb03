"""The file of a model: a stored zip of JSON and tensors, written whole or not at all, read with nothing trusted."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import FileError, FileMissingError

_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same bytes


def write(path: Path, entries: Mapping[str, bytes]) -> None:
    """Write the entries under a temporary name beside `path`, flush them to the disk, and rename: all or nothing."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in entries.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), content)
    write_bytes(path, buffer.getbuffer())


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write `content` under a temporary name beside `path`, flush it to the disk, and rename: all or nothing."""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as error:
        raise FileError(
            f"cannot write {path}.", found=str(error), fix="choose a folder that exists and can be written"
        ) from None
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise FileError(
            f"cannot write {path}.", found=str(error), fix="free some space, or choose another folder"
        ) from None
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def read(path: Path) -> dict[str, bytes]:
    """The entries of a file that `write` wrote. Compressed, doubled or damaged entries are refused."""
    if not path.exists():
        raise FileMissingError(f"there is no file {path}.", fix="give the path of a .backlit file")
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos) or len(
                {i.filename for i in infos}
            ) != len(infos):
                raise _foreign(path, "its entries are compressed or doubled")
            if sum(info.file_size for info in infos) > path.stat().st_size:
                raise _foreign(path, "its entries claim to be larger than the file")
            return {info.filename: archive.read(info) for info in infos}
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        if isinstance(error, FileError):
            raise
        raise _foreign(path, str(error)) from None


def _foreign(path: Path, found: str) -> FileError:
    return FileError(
        f"{path} is no model file that can be read.",
        expected="a .backlit file, whole and unchanged",
        found=found,
        fix="copy it again, or train anew",
    )


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
    except (SafetensorError, ValueError, KeyError) as error:
        raise _foreign(path, f"its tensors cannot be read: {error}") from None


def to_json(value: Any) -> bytes:
    """JSON in a form that people can read."""
    return json.dumps(value, indent=1, ensure_ascii=False).encode()


def from_json(content: bytes, path: Path) -> Any:
    """What JSON bytes say."""
    try:
        return json.loads(content)
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _foreign(path, f"its JSON cannot be read: {error}") from None
