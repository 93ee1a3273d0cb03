"""Keras's `.keras` files: a zip of JSON and HDF5, read with nothing trusted and nothing run."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.errors import FileError
from . import file
from .sources import need

_DEPTH = 64  # of groups in one another


@dataclass
class Group:
    """What the HDF5 file holds of one layer: its variables in order, and the groups of the layers in it."""

    name: str = ""  # of the layer, where the file tells it
    arrays: list[Any] = field(default_factory=list)
    inner: dict[str, Group] = field(default_factory=dict)


def read(path: Path) -> tuple[dict[str, Any], Group]:
    """The configuration and the weights of the model in a `.keras` file; FileError for anything else."""
    need("h5py", "h5py", "keras", path)
    entries = file.read(path)
    if missing := {"config.json", "model.weights.h5"} - set(entries):
        raise FileError(f"{path} is no model of Keras.", found=f"without {', '.join(sorted(missing))}")
    said = file.from_json(entries["config.json"], path)
    if not isinstance(said, dict):
        raise FileError(f"{path} is no model of Keras.", found=f"a configuration {said!r:.60}")
    return said, _weights(entries["model.weights.h5"], path)


def _weights(content: bytes, path: Path) -> Group:
    import h5py

    try:
        with h5py.File(io.BytesIO(content), "r") as opened:
            return _group(opened, [len(content)], _DEPTH)
    except FileError as error:
        raise FileError(f"{path} cannot be read. {error.message}", **error.fields) from None
    except Exception as error:  # HDF5 has errors of many classes for what is damaged
        raise FileError(f"the weights in {path} cannot be read.", found=str(error)) from None


def _group(group: Any, left: list[int], depth: int) -> Group:
    """A layer's group. `left`: how many bytes the arrays still to come may have, those of the file."""
    import h5py

    out = Group()
    if depth == 0:
        raise FileError("Its groups lie too deep in one another.")
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise FileError("Its weights point out of the file.", found=key)
        found = group[key]
        if not isinstance(found, h5py.Group):
            raise FileError("Its weights are not laid out as Keras does it.", found=key)
        if key == "vars":
            out.name = str(found.attrs.get("name", ""))
            out.arrays = [_array(found, place, left) for place in range(len(found))]
        else:
            out.inner[key] = _group(found, left, depth - 1)
    return out


def _array(group: Any, place: int, left: list[int]) -> Any:
    import h5py

    if not isinstance(group.get(str(place), getlink=True), h5py.HardLink):
        raise FileError("Its weights are not numbered as Keras does it.", found=", ".join(group))
    found = group[str(place)]
    if not isinstance(found, h5py.Dataset) or found.dtype.kind not in "fiub":
        raise FileError("One of its weights is no array of numbers.", found=f"{found.name}")
    left[0] -= found.nbytes
    if found.chunks is not None or found.external or found.is_virtual or left[0] < 0:
        raise FileError("One of its weights is not held as it is.", found=f"{found.name} {found.shape}")
    return found[()]
