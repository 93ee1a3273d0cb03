"""The five bundled data sets: what they hold and what is known about them."""

import numpy as np
import pytest

from backlit.core.errors import ArgumentError, BacklitError, FileMissingError
from backlit.io.bundled import NAMES, load

SHAPES = {
    "digits": (1797, 64, 10),
    "breast_cancer": (569, 30, 2),
    "wine": (178, 13, 3),
    "iris": (150, 4, 3),
    "diabetes": (442, 10, None),
}


@pytest.mark.parametrize("name", NAMES)
def test_every_name_loads_with_what_is_known_about_it(name: str) -> None:
    rows, columns, classes = SHAPES[name]
    data = load(name)
    assert data.name == name
    assert data.X.shape == (rows, columns) and data.X.dtype == np.float64
    assert data.y.shape == (rows,)
    assert len(data.columns) == columns == len(set(data.columns))
    assert all(type(column) is str for column in data.columns)
    assert data.target and data.notes == ()
    if classes is None:
        assert data.classes is None and data.y.dtype == np.float64
    else:
        assert data.classes is not None and len(data.classes) == classes
        assert data.y.dtype == np.int64 and np.array_equal(np.unique(data.y), np.arange(classes))


def test_digits_are_pictures_in_grey_levels() -> None:
    data = load("digits")
    assert data.image == (8, 8) and data.unit == "pixel grey level 0..16"
    assert data.X.min() == 0 and data.X.max() == 16
    assert data.classes == tuple("0123456789")


def test_a_unit_is_named_only_where_all_columns_share_it() -> None:
    assert {name: load(name).unit for name in NAMES if name != "digits"} == {
        "breast_cancer": None,
        "wine": None,
        "iris": "cm",
        "diabetes": None,
    }


def test_diabetes_is_in_raw_units() -> None:
    data = load("diabetes")
    age = data.X[:, data.columns.index("age")]
    assert age.min() == 19 and age.max() == 79


def test_a_misspelt_name_is_corrected() -> None:
    with pytest.raises(FileMissingError, match="did you mean 'breast_cancer'") as caught:
        load("breast-cancer")
    assert isinstance(caught.value, FileNotFoundError) and isinstance(caught.value, BacklitError)
    assert all(name in str(caught.value) for name in NAMES)


def test_a_name_of_the_wrong_kind_is_refused() -> None:
    with pytest.raises(ArgumentError, match="string"):
        load(3)  # type: ignore[arg-type]
