"""Folders of pictures: classes from the folders' names, one size, grey or colour, damaged files told."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backlit.core.errors import DataError, FileError
from backlit.io.tables import read

GREY = (np.arange(12, dtype=np.uint8) * 20).reshape(3, 4)
RED = np.zeros((3, 4, 3), dtype=np.uint8) + np.array([200, 10, 0], dtype=np.uint8)


def put(path: Path, pixels: Any = GREY, mode: str | None = None, **options: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(pixels)
    (picture.convert(mode) if mode else picture).save(path, **options)


def test_classes_and_pictures_in_natural_order(tmp_path: Path) -> None:
    for name, pixels in (("b10/1.png", GREY), ("b9/10.png", GREY // 2), ("b9/2.bmp", GREY // 4), ("A/x.PNG", GREY * 0)):
        put(tmp_path / name, pixels)
    data = read(tmp_path)
    assert data.classes == ("A", "b9", "b10") and data.y.tolist() == [0, 1, 1, 2]
    assert data.image == (3, 4) and data.unit == "pixel" and data.X.dtype == np.uint8 and data.name == tmp_path.name
    assert np.array_equal(data.X.reshape(4, 3, 4), np.stack([GREY * 0, GREY // 4, GREY // 2, GREY]))


def test_one_picture_in_colour_makes_all_of_them_coloured(tmp_path: Path) -> None:
    put(tmp_path / "a/1.png")
    put(tmp_path / "b/1.png", RED)
    data = read(tmp_path)
    assert data.image == (3, 4, 3)
    assert np.array_equal(data.X.reshape(2, 3, 4, 3), np.stack([np.repeat(GREY[..., None], 3, axis=2), RED]))


def test_palettes_black_and_white_and_jpeg(tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", GREY, "1")
    put(tmp_path / "b/1.jpg", np.full((3, 4), 128, np.uint8))
    data = read(tmp_path)
    assert set(data.X[0].tolist()) <= {0, 255} and np.abs(data.X[1].astype(int) - 128).max() <= 2
    put(tmp_path / "b/2.png", RED, "P")
    assert read(tmp_path).image == (3, 4, 3)


def test_transparent_pictures_are_put_on_white(tmp_path: Path) -> None:
    glass = np.dstack([RED, np.where(np.arange(12).reshape(3, 4) < 6, 0, 255).astype(np.uint8)])
    put(tmp_path / "a/1.png", glass)
    put(tmp_path / "b/1.png", RED)
    found = read(tmp_path).X.reshape(2, 12, 3)
    assert found[0, :6].tolist() == [[255, 255, 255]] * 6 and found[0, 6:].tolist() == [[200, 10, 0]] * 6
    assert found[1].tolist() == [[200, 10, 0]] * 12


def test_photographs_are_turned_as_their_camera_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter to the right
    put(tmp_path / "a/1.png", GREY, exif=exif)
    put(tmp_path / "b/1.png", np.rot90(GREY, -1))
    data = read(tmp_path)
    assert data.image == (4, 3) and np.array_equal(data.X[0], data.X[1])


def test_other_sizes_are_brought_to_the_first_ones_and_told(tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", np.full((4, 6), 7, np.uint8))
    put(tmp_path / "a/2.png", np.full((9, 5), 50, np.uint8))
    put(tmp_path / "b/1.png", np.full((40, 60), 200, np.uint8))
    data = read(tmp_path)
    assert data.image == (4, 6) and [set(row.tolist()) for row in data.X] == [{7}, {50}, {200}]
    assert "2 of 3 pictures are resized to 4 x 6 (height x width), from 9 x 5, 40 x 60" in data.notes
    asked = read(tmp_path, image=(8, 8, 3))
    assert asked.image == (8, 8, 3) and "3 of 3 pictures are resized to 8 x 8" in " ".join(asked.notes)


def test_large_pictures_are_brought_down_and_told(tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", np.full((300, 600), 9, np.uint8))
    put(tmp_path / "b/1.png", np.full((300, 600), 99, np.uint8))
    data = read(tmp_path)
    assert data.image == (64, 128) and "2 of 2 pictures are resized to 64 x 128" in " ".join(data.notes)


def test_damaged_files_are_told_or_too_many(tmp_path: Path) -> None:
    for k in range(99):
        put(tmp_path / f"{'ab'[k % 2]}/{k}.png")
    whole = (tmp_path / "a/0.png").read_bytes()
    (tmp_path / "a/broken.png").write_bytes(whole[: len(whole) // 2])
    data = read(tmp_path)
    assert len(data.X) == 99
    assert any(
        note.startswith("1 of 100 pictures cannot be read and are skipped: a/broken.png: ") for note in data.notes
    )
    (tmp_path / "b/none.jpg").write_bytes(b"")
    with pytest.raises(
        FileError, match=r"2 of 101 pictures cannot be read[\s\S]*a/broken\.png[\s\S]*b/none\.jpg: no picture"
    ):
        read(tmp_path)


def test_what_is_no_picture_is_left_aside_and_told(tmp_path: Path) -> None:
    put(tmp_path / "a/1.png")
    put(tmp_path / "b/1.png")
    put(tmp_path / "loose.png")
    put(tmp_path / ".hidden/1.png")
    (tmp_path / "a/.DS_Store").write_text("x")
    (tmp_path / "a/list.txt").write_text("x")
    data = read(tmp_path)
    assert len(data.X) == 2 and data.classes == ("a", "b")
    assert {"left aside: 1 file without the suffix of a picture", "left aside: 1 picture in no class"} <= set(
        data.notes
    )


def test_train_is_read_and_test_left_aside(tmp_path: Path) -> None:
    for name in ("train/a/1.png", "train/b/1.png", "test/a/1.png", "val/b/1.png"):
        put(tmp_path / name)
    data = read(tmp_path)
    assert len(data.X) == 2 and data.classes == ("a", "b")
    assert "the pictures in 'train' are read; those in val, test are left aside" in data.notes


def test_pictures_without_classes(tmp_path: Path) -> None:
    put(tmp_path / "2.png", GREY)
    put(tmp_path / "10.png", GREY // 2)
    with pytest.raises(FileError, match=r"holds no pictures in folders of their class[\s\S]*2 pictures in no class"):
        read(tmp_path)
    data = read(tmp_path, labelled=False)
    assert data.y.shape == (0,) and np.array_equal(data.X.reshape(2, 3, 4), np.stack([GREY, GREY // 2]))


def test_deep_pictures_are_refused(tmp_path: Path) -> None:
    put(tmp_path / "a/1.png", GREY.astype(np.uint16) * 257)
    put(tmp_path / "b/1.png")
    with pytest.raises(DataError, match=r"more than 8 bits[\s\S]*a/1\.png"):
        read(tmp_path)


def test_without_pillow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a/1.png")
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "PIL" else there(name))
    with pytest.raises(FileError, match=r"pip install 'backlit\[images\]'"):
        read(tmp_path)
