"""Reading .npz files: what is understood, and that everything else is refused in plain words."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backlit.core.errors import ArgumentError, BacklitError, DataError, FileError, FileMissingError
from backlit.io.bundled import NAMES
from backlit.io.tables import read

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 1, 2, 0, 1, 2])


@pytest.fixture
def save(tmp_path: Path) -> Any:
    def write(**arrays: Any) -> str:
        path = tmp_path / "data.npz"
        np.savez(path, **arrays)
        return str(path)

    return write


@pytest.mark.parametrize("keys", [("X", "y"), ("x", "y"), ("x_train", "y_train"), ("X_train", "y_train")])
def test_pairs_of_keys(save: Any, keys: tuple[str, str]) -> None:
    data = read(save(**{keys[0]: X, keys[1]: Y}))
    assert np.array_equal(data.X, X) and data.X.dtype == np.float64
    assert np.array_equal(data.y, Y)
    assert (data.name, data.columns, data.target) == ("data", ("x0", "x1"), "y")
    assert data.classes is None and data.unit is None and data.image is None and data.notes == ()


def test_a_bundled_name_and_a_path_object(save: Any) -> None:
    assert read("wine").name == "wine"
    assert read(Path(save(X=X, y=Y))).X.shape == (6, 2)


def test_a_compressed_file(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "small.npz", X=X, y=Y)
    assert np.array_equal(read(str(tmp_path / "small.npz")).X, X)


def test_test_rows_are_left_aside_and_said_so(save: Any) -> None:
    data = read(save(x_train=X, y_train=Y, x_test=X[:1] + 1, y_test=Y[:1]))
    assert len(data.X) == 6
    assert len(data.notes) == 1 and "x_test and y_test" in data.notes[0]


@pytest.mark.parametrize(
    ("shape", "image"), [((6, 3, 2), (3, 2)), ((6, 3, 2, 1), (3, 2)), ((6, 3, 2, 3), (3, 2, 3)), ((6, 1, 2), (1, 2))]
)
def test_pictures_are_flattened_in_their_own_order(save: Any, shape: Any, image: Any) -> None:
    pictures = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    data = read(save(X=pictures, y=Y))
    assert data.image == image and data.unit == "pixel"
    assert data.X.dtype == np.uint8 and data.X.shape == (6, np.prod(image))
    assert np.array_equal(data.X.reshape(shape), pictures)
    assert data.columns[0] == "pixel_" + "_".join("0" * len(image)) and len(set(data.columns)) == data.X.shape[1]


def test_bytes_in_a_table_are_pixels_too(save: Any) -> None:
    data = read(save(X=X.astype(np.uint8), y=Y))
    assert data.unit == "pixel" and data.image is None


def test_one_column_booleans_foreign_byte_order(save: Any) -> None:
    one = read(save(X=X[:, 0], y=Y))
    assert one.X.shape == (6, 1) and "one column" in one.notes[0]
    assert read(save(X=X > 3, y=Y)).X.dtype == np.float32
    swapped = read(save(X=X.astype(">f8"), y=Y.astype(">i4")))
    assert swapped.X.dtype.isnative and np.array_equal(swapped.X, X) and np.array_equal(swapped.y, Y)


def test_string_labels_in_natural_order(save: Any) -> None:
    data = read(save(X=X, y=np.array(["a10", "a2", "b", "a2", "a10", "a1"])))
    assert data.classes == ("a1", "a2", "a10", "b")
    assert data.y.tolist() == [2, 1, 3, 1, 2, 0]


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")), min_size=1))
def test_string_labels_come_back_through_classes(tmp_path_factory: pytest.TempPathFactory, labels: list[str]) -> None:
    path = tmp_path_factory.mktemp("labels") / "data.npz"
    np.savez(path, X=np.zeros((len(labels), 1)), y=np.array(labels))
    data = read(str(path))
    assert data.classes is not None and len(set(data.classes)) == len(data.classes)
    assert [data.classes[label] for label in data.y] == labels


def test_byte_strings_booleans_and_columns_of_labels(save: Any) -> None:
    data = read(save(X=X, y=np.array([b"no", b"yes"] * 3)[:, None]))
    assert data.classes == ("no", "yes") and data.y.tolist() == [0, 1] * 3
    data = read(save(X=X, y=Y > 0))
    assert data.classes == ("False", "True") and data.y.dtype == np.int64
    several = read(save(X=X, y=np.stack([Y > 0, Y > 1], axis=1)))
    assert several.y.shape == (6, 2) and several.classes is None and several.y.dtype == np.int64


def test_unsigned_labels_can_be_counted_down(save: Any) -> None:
    assert (read(save(X=X, y=Y.astype(np.uint8))).y - 1).min() == -1


def test_classes_and_columns_of_the_file(save: Any) -> None:
    data = read(save(X=X, y=Y, classes=np.array(["c", "a", "b"]), columns=np.array(["width", "height"])))
    assert data.classes == ("c", "a", "b") and data.columns == ("width", "height")
    assert np.array_equal(data.y, Y)
    named = read(save(X=X, y=np.array(["a", "b", "c"] * 2), classes=np.array(["c", "a", "b"])))
    assert named.classes == ("c", "a", "b") and named.y.tolist() == [1, 2, 0] * 2
    labels = read(save(X=X, y=np.ones((6, 2)), classes=np.array(["sun", "rain"])))
    assert labels.classes == ("sun", "rain")


BAD = {
    "lengths differ": ({"X": X, "y": Y[:5]}, "not equally long"),
    "no rows": ({"X": X[:0], "y": Y[:0]}, "X is empty"),
    "no columns": ({"X": X[:, :0], "y": Y}, "X is empty"),
    "no y": ({"X": X, "y": Y[:0]}, "y is empty"),
    "NaN in X": ({"X": np.where(X == 3, np.nan, X), "y": Y}, r"X\[\(1, 1\)\] = nan"),
    "infinity in y": ({"X": X, "y": np.where(Y == 1, np.inf, Y)}, r"2 of 6 values .* y\[1\] = inf"),
    "strings in X": ({"X": X.astype(str), "y": Y}, "X must hold numbers"),
    "complex X": ({"X": X + 1j, "y": Y}, "X must hold numbers"),
    "dates in y": ({"X": X, "y": Y.astype("datetime64[D]")}, "y must hold numbers"),
    "table of strings in y": ({"X": X, "y": np.full((6, 2), "a")}, "y must hold numbers"),
    "one number for X": ({"X": np.array(1.0), "y": Y}, "neither a table nor pictures"),
    "five axes": ({"X": np.zeros((6, 1, 1, 1, 1)), "y": Y}, "neither a table nor pictures"),
    "five channels": ({"X": np.zeros((6, 2, 2, 5)), "y": Y}, "neither a table nor pictures"),
    "deep y": ({"X": X, "y": np.zeros((6, 2, 2))}, "y has a shape"),
    "too few columns": ({"X": X, "y": Y, "columns": np.array(["a"])}, "2 names"),
    "columns twice": ({"X": X, "y": Y, "columns": np.array(["a", "a"])}, "name twice"),
    "columns of floats": ({"X": X, "y": Y, "columns": np.array([1.0, 2.0])}, "list of names"),
    "too few classes": ({"X": X, "y": Y, "classes": np.array(["a", "b"])}, "whole numbers 0..1"),
    "classes of a regression": ({"X": X, "y": Y / 2, "classes": np.array(["a", "b"])}, "do not fit"),
    "classes of other labels": ({"X": X, "y": np.ones((6, 2)), "classes": np.array(["a"])}, "2 columns"),
    "label without class": (
        {"X": X, "y": np.array(["cat", "dgo"] * 3), "classes": np.array(["cat", "dog"])},
        "mean 'dog'",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_content_that_cannot_be_used(save: Any, case: str) -> None:
    arrays, message = BAD[case]
    path = save(**arrays)
    with pytest.raises(DataError, match=message) as caught:
        read(path)
    assert isinstance(caught.value, ValueError)
    assert path in str(caught.value)


def test_missing_keys_name_those_that_are_there(save: Any) -> None:
    with pytest.raises(FileError, match="found     a, b") as caught:
        read(save(a=X, b=Y))
    assert "x_train and y_train" in str(caught.value)
    with pytest.raises(FileError, match="no arrays at all"):
        read(save())


def test_python_objects_are_not_unpickled(save: Any) -> None:
    with pytest.raises(FileError, match=r"'y' .* cannot be read") as caught:
        read(save(X=X, y=np.array(["a", None, "b"] * 2, dtype=object)))
    assert "pickle" in str(caught.value) and "y.astype(str)" in str(caught.value)


def test_damaged_files(save: Any, tmp_path: Path) -> None:
    whole = Path(save(X=np.zeros((2000, 5)), y=np.zeros(2000))).read_bytes()
    damaged = {
        "empty": b"",
        "text": b"x,y\n1,2\n",
        "truncated": whole[: len(whole) // 2],
        "one byte short": whole[:-1],
        "garbled": whole[:30_000] + bytes(40) + b"\xff" * 40 + whole[30_080:],
        "array header": whole.replace(b"'descr'", b"'doscr'"),
        "array size": whole.replace(b"(2000, 5)", b"(9000, 5)"),
    }
    for name, content in damaged.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(content)
        with pytest.raises(FileError) as caught:
            read(str(path))
        assert path.name in str(caught.value), name


def test_every_cut_of_a_small_file_is_refused_in_our_own_words(save: Any, tmp_path: Path) -> None:
    whole = Path(save(X=X, y=Y)).read_bytes()
    cut = tmp_path / "cut.npz"
    for length in range(0, len(whole), 7):
        cut.write_bytes(whole[:length])
        with pytest.raises(BacklitError):
            read(str(cut))


def test_archives_of_other_things(tmp_path: Path) -> None:
    path = tmp_path / "other.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("X", b"not an array")
        archive.writestr("y", b"not an array")
    with pytest.raises(FileError, match=r"'X' .* is not an array"):
        read(str(path))
    with open(path, "wb") as single:
        np.save(single, X)
    with pytest.raises(FileError, match=r"not an \.npz file"):
        read(str(path))


def test_a_missing_file_names_what_is_near(save: Any, tmp_path: Path) -> None:
    path = save(X=X, y=Y)
    with pytest.raises(FileMissingError, match=r"did you mean 'data\.npz'"):
        read(path.replace("data.npz", "dta.npz"))
    with pytest.raises(FileMissingError, match="did you mean 'digits'") as caught:
        read("digts")
    assert isinstance(caught.value, FileNotFoundError)
    assert all(name in str(caught.value) for name in NAMES)
    for odd in ("no/such/folder/data.npz", "a" * 5000, "zero\x00byte.npz", ""):
        with pytest.raises((FileMissingError, FileError)):
            read(odd)


def test_other_suffixes_folders_and_kinds(tmp_path: Path) -> None:
    (tmp_path / "data.xlsx").write_text("a,b\n1,2\n")
    with pytest.raises(FileError, match=r"'\.xlsx'") as caught:
        read(str(tmp_path / "data.xlsx"))
    assert ".csv" in str(caught.value) and "np.savez" in str(caught.value)
    with pytest.raises(FileError, match="holds no pictures"):
        read(str(tmp_path))
    with pytest.raises(ArgumentError, match="name or a path"):
        read(X)  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="target must name columns"):
        read("iris", 3)  # type: ignore[arg-type]


def test_names_of_features_as_scikit_learn_calls_them(save: Any) -> None:
    assert read(save(X=X, y=Y, feature_names=np.array(["width", "height"]))).columns == ("width", "height")


def test_numbers_beyond_float32_are_refused(save: Any) -> None:
    with pytest.raises(DataError, match=r"X holds values that are too large for float32[\s\S]*X\[\(1, 1\)\] = 1e\+39"):
        read(save(X=np.where(X == 3, 1e39, X), y=Y))
    with pytest.raises(DataError, match="y holds values that are too large"):
        read(save(X=X, y=np.where(Y == 1, -1e39, Y)))


def test_rows_without_labels(save: Any) -> None:
    data = read(save(X=X, classes=np.array(["a", "b", "c"])), labelled=False)
    assert data.y.shape == (0,) and np.array_equal(data.X, X) and data.classes == ("a", "b", "c")
    assert np.array_equal(read(save(X=X, y=Y), labelled=False).y, Y)


def test_a_target_is_a_matter_of_tables(save: Any) -> None:
    assert read(save(X=X, y=Y), target="y").target == "y" and read("iris", "species").target == "species"
    with pytest.raises(DataError, match="only tables have a column for each name"):
        read(save(X=X, y=Y), target="species")
    assert read("iris", "other", labelled=False).target == "species"


def test_a_pair_of_npy_files(tmp_path: Path) -> None:
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "y.npy", Y)
    data = read(f"{tmp_path}/X.npy,{tmp_path}/y.npy")
    assert np.array_equal(data.X, X) and np.array_equal(data.y, Y) and data.name == "X"
    assert read(tmp_path / "X.npy", labelled=False).y.shape == (0,)
    with pytest.raises(FileError, match=r"holds one array[\s\S]*X\.npy,y\.npy"):
        read(tmp_path / "X.npy")
    np.save(tmp_path / "y.npy", np.array([None, 1] * 3), allow_pickle=True)
    with pytest.raises(FileError, match="pickle"):
        read(f"{tmp_path}/X.npy,{tmp_path}/y.npy")
