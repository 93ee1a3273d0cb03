"""Folders of pictures: `root/<class>/*.png`, one folder a class."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError, FileError, counted
from .arrays import dataset
from .bundled import Dataset
from .cells import natural
from .sources import need, tolerable

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp")
LARGEST = 128  # pixels a side that pictures are brought down to
_PARTS = ("train", "training", "val", "valid", "validation", "test")
_GREY = ("1", "L", "LA")
_DEEP = ("I;16", "I;16B", "I;16L", "I", "F")


def read(root: Path, labelled: bool = True, image: Sequence[int] | None = None) -> Dataset:
    """The pictures below a folder as rows of grey levels 0..255, their classes by the names of the folders.

    Classes are in natural order, "class2" before "class10". Where the folder has a folder train, and beside it val or
    test, those pictures are read and the others left aside. Pictures are grey where all of them are, otherwise they
    have three colours; transparent ones are put on white; photographs are turned as their camera says.

    All get one size: `image`, or that of the first, brought down to at most 128 pixels a side; `notes` says how many
    were resized. Files that cannot be read are skipped and named in `notes`, up to 1 % of them. With `labelled`
    False the pictures may stand in the folder itself.

    Raises FileError where there is no picture, Pillow is not installed, or more than 1 % of the files cannot be read,
    DataError for pictures of more than 8 bits.
    """
    need("PIL", "pillow", "images", root)
    notes: list[str] = []
    root = _training(root, notes)
    files = _files(root, labelled, notes)
    sizes, modes = _measured(root, files, notes)
    grey = len(image) == 2 if image else all(mode in _GREY for mode in modes.values())
    size = tuple(image[:2]) if image else _size(next(iter(sizes.values())))
    _tell_sizes(sizes, size, notes)
    pictures = [_pixels(path, size, grey) for path in sizes]
    arrays = {"X": np.stack(pictures)}
    if labelled:
        arrays["y"] = np.array([path.parent.name for path in sizes])
    return dataset(root.name, str(root), arrays, tuple(notes))


def _training(root: Path, notes: list[str]) -> Path:
    """The folder of training pictures, where `root` keeps parts apart."""
    folders = {entry.name.lower(): entry for entry in root.iterdir() if entry.is_dir()}
    parts = [folders[name] for name in _PARTS if name in folders]
    if len(parts) < 2 or len(parts) < sum(not name.startswith(".") for name in folders):
        return root
    others = ", ".join(part.name for part in parts[1:])
    notes.append(f"the pictures in {parts[0].name!r} are read; those in {others} are left aside")
    return parts[0]


def _files(root: Path, labelled: bool, notes: list[str]) -> list[Path]:
    """The pictures, class by class in natural order."""
    inside = sorted(root.glob("*/*"), key=_order(root))
    loose = sorted((entry for entry in root.iterdir() if entry.is_file()), key=_order(root))
    every = [path for path in (inside if labelled else loose + inside) if _shown(path) and path.is_file()]
    files = [path for path in every if path.suffix.lower() in SUFFIXES]
    if len(files) < len(every):
        notes.append(f"left aside: {counted(len(every) - len(files), 'file')} without the suffix of a picture")
    left = [path for path in loose if labelled and path.suffix.lower() in SUFFIXES and _shown(path)]
    if not files:
        raise FileError(
            f"the folder {root.name!r} holds no pictures{' in folders of their class' if labelled else ''}.",
            expected=f"{root.name}/<class>/*.png, .jpg, .jpeg or .bmp",
            found=f"{counted(len(left), 'picture')} in no class" if left else "other files or folders, or none",
            where=str(root),
        )
    if left:
        notes.append(f"left aside: {counted(len(left), 'picture')} in no class")
    return files


def _order(root: Path) -> Any:
    return lambda path: natural(str(path.relative_to(root)))


def _shown(path: Path) -> bool:
    return not path.name.startswith(".") and not path.parent.name.startswith(".")


def _measured(root: Path, files: list[Path], notes: list[str]) -> tuple[dict[Path, tuple[int, int]], dict[Path, str]]:
    """Height and width, and the mode, of every picture that can be read in full."""
    sizes, modes, broken = {}, {}, {}
    for path in files:
        try:
            with _open(path) as picture:
                modes[path] = picture.mode
                sizes[path] = (picture.height, picture.width)
        except _reasons() as problem:
            unknown = type(problem).__name__ == "UnidentifiedImageError"  # its message holds the whole path
            broken[path] = "no picture" if unknown else (str(problem).splitlines() or [type(problem).__name__])[0]
    deep = [path for path, mode in modes.items() if mode in _DEEP]
    if deep:
        raise DataError(
            "pictures of more than 8 bits a pixel are not read.",
            found=f"{len(deep)} of {len(files)} pictures, the first is {deep[0].relative_to(root)}",
            fix="save them with 8 bits a pixel, or as an array with np.savez",
            where=str(root),
        )
    told = "; ".join(f"{path.relative_to(root)}: {why}" for path, why in list(broken.items())[:3])
    if not tolerable(len(broken), len(files)):
        raise FileError(
            f"{len(broken)} of {len(files)} pictures cannot be read.",
            expected="at most 1 % of them damaged",
            found=told.replace("; ", "\n"),
            fix="copy them again, or delete them",
            where=str(root),
        )
    if broken:
        notes.append(f"{len(broken)} of {len(files)} pictures cannot be read and are skipped: {told}")
    return sizes, modes


def _reasons() -> tuple[type[BaseException], ...]:
    from PIL import Image

    return (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, Image.DecompressionBombWarning)


def _open(path: Path) -> Any:
    """A picture, decoded in full and turned as its camera says."""
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        with Image.open(path) as picture:
            picture.load()
            return ImageOps.exif_transpose(picture)


def _size(first: tuple[int, int]) -> tuple[int, int]:
    """The size of the first picture, brought down to LARGEST."""
    scale = min(1.0, LARGEST / max(first))
    return max(1, round(first[0] * scale)), max(1, round(first[1] * scale))


def _tell_sizes(sizes: dict[Path, tuple[int, int]], size: Sequence[int], notes: list[str]) -> None:
    others = Counter(each for each in sizes.values() if each != tuple(size))
    if others:
        shown = ", ".join(f"{h} x {w}" for (h, w), _ in others.most_common(3)) + (", …" if len(others) > 3 else "")
        wanted = f"{size[0]} x {size[1]} (height x width)"
        notes.append(f"{others.total()} of {len(sizes)} pictures are resized to {wanted}, from {shown}")


def _pixels(path: Path, size: Sequence[int], grey: bool) -> np.ndarray:
    """One picture as grey levels (h, w) or colours (h, w, 3), uint8."""
    from PIL import Image

    with _open(path) as picture:
        if "A" in picture.mode or "transparency" in picture.info:
            picture = picture.convert("RGBA")
            white = Image.new("RGBA", picture.size, "white")
            picture = Image.alpha_composite(white, picture)
        picture = picture.convert("L" if grey else "RGB")
        if picture.size != (size[1], size[0]):
            picture = picture.resize((size[1], size[0]), Image.Resampling.BILINEAR, reducing_gap=3.0)
        return np.asarray(picture, dtype=np.uint8)
