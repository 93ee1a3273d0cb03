"""Tables on the command line: raw rows into `fit`, `predict` and `evaluate`, from outside."""

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_iris, load_wine

import backlit as bl
from backlit import cli
from backlit.layers import Dense
from backlit.losses import BinaryCrossentropy, SparseCategoricalCrossentropy
from tests.command import backlit, fitted, outside, strictly, table

RNG = np.random.default_rng(0)
ROWS = 240


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """Every test in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def homes():
    """Homes with numbers, text, dates, missing cells and an ID, and prices that follow from them; also homes.csv."""
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(
        {
            "id": np.arange(ROWS) + 1000,
            "size": rng.normal(80, 20, ROWS).round(1),
            "city": rng.choice(["Bonn", "Lyon", "Oslo", "Rome"], ROWS),
            "sold": pd.to_datetime("2015-03-01") + pd.to_timedelta(rng.integers(0, 2000, ROWS), unit="D"),
            "garden": rng.choice(["yes", "no"], ROWS),
        }
    )
    frame["price"] = 3000 * frame["size"] + 50_000 * (frame.city == "Rome") + rng.normal(0, 500, ROWS).round()
    frame.loc[::17, "size"] = np.nan
    frame.loc[::23, "city"] = None
    frame.to_csv("homes.csv", index=False)
    return frame


def bundled(load, name):
    """A bundled set as a table with named classes, written as CSV, and as arrays, written as .npz; the table."""
    bunch = load(as_frame=True)
    frame = bunch.data.assign(kind=np.array(bunch.target_names)[bunch.target])
    frame.to_csv(f"{name}.csv", index=False)
    np.savez(f"{name}.npz", X=bunch.data.to_numpy(), y=frame.kind.to_numpy(dtype=str))
    return frame


# ---------------------------------------------------------------------- the whole way
@pytest.mark.slow
def test_from_a_table_to_predictions_each_in_a_process_of_its_own(homes):
    code, out, err = outside("fit", "homes.csv", "--target", "price", "--epochs", "40", "--quiet")
    assert (code, err) == (0, "")
    for words in ("size .*number", "city .*category", "sold .*date", "id .*left out", "task .*regression", "Saved in"):
        assert re.search(words, out), words
    code, out, err = outside("predict", "homes.backlit", "homes.csv")
    assert code == 0 and err == "backlit: 'price' of homes.csv is left aside: it is what is predicted.\n"
    header, *rows = table(out)
    assert header == ["row", "price"] and [int(row) for row, _ in rows] == list(range(ROWS))
    told = np.array([float(value) for _, value in rows])
    code, out, err = outside("evaluate", "homes.backlit", "--json")
    assert (code, err) == (0, "")
    score = strictly(out)
    code, out, _ = outside("predict", "homes.backlit")
    test = [int(row) for row, _ in table(out)[1:]]
    assert score["n"] == len(test) and score["mae"] == pytest.approx(np.abs(told - homes.price)[test].mean(), rel=1e-5)
    assert score["r2"] > 0.5


@pytest.mark.parametrize(("load", "name"), [(load_iris, "iris"), (load_wine, "wine")])
def test_a_table_is_worth_what_its_numbers_are_worth_as_arrays(load, name):
    bundled(load, name)
    by_table = fitted(f"{name}.csv", "--target", "kind", "--out", "table.backlit")
    by_arrays = fitted(f"{name}.npz", "--out", "arrays.backlit")
    for part in ("train", "dev", "test"):
        assert by_table[part] == by_arrays[part], part
    assert by_table["test"]["accuracy"] > 0.85


def test_rows_are_matched_by_the_names_of_the_columns(homes):
    fitted("homes.csv", "--target", "price", "--epochs", "3")
    _, expected, _ = backlit("predict", "homes.backlit", "homes.csv")
    homes.drop(columns=["price", "id"])[["garden", "sold", "size", "city"]].to_csv("other.csv", index=False)
    code, out, err = backlit("predict", "homes.backlit", "other.csv")
    assert code == 0 and out == expected and "another order" in err
    homes.drop(columns=["price", "city"]).to_csv("other.csv", index=False)
    code, out, err = backlit("predict", "homes.backlit", "other.csv")
    assert (code, out) == (3, "") and "missing: city" in err
    homes.drop(columns="price").assign(city="Lima").to_csv("other.csv", index=False)
    code, out, err = backlit("predict", "homes.backlit", "other.csv")
    assert code == 0 and len(table(out)) == ROWS + 1 and "column 'city'" in err and "not seen in training" in err
    homes.drop(columns="price").assign(colour="red", note="x").to_csv("other.csv", index=False)
    code, out, err = backlit("predict", "homes.backlit", "other.csv")
    assert code == 0 and out == expected and "does not know are left aside: colour, note" in err
    homes.drop(columns=["price", "city"]).assign(town="Rome").to_csv("other.csv", index=False)
    code, out, err = backlit("predict", "homes.backlit", "other.csv")
    assert (code, out) == (3, "") and "missing: city" in err and "unknown: town" in err
    homes.drop(columns="price").assign(size="large").to_csv("other.csv", index=False)
    code, out, err = backlit("predict", "homes.backlit", "other.csv")
    assert (code, out) == (3, "") and "'size' must hold numbers" in err


def test_rows_are_predicted_some_at_a_time(homes, monkeypatch):
    fitted("homes.csv", "--target", "price", "--epochs", "2")
    homes.drop(columns="price").to_csv("new.csv", index=False)
    whole = backlit("predict", "homes.backlit", "new.csv")
    monkeypatch.setattr(cli.answer, "_ROWS", 7)
    parts = backlit("predict", "homes.backlit", "new.csv")
    assert parts[0] == 0 and [row[0] for row in table(parts[1])] == [row[0] for row in table(whole[1])]
    a, b = (np.array([float(row[1]) for row in table(each[1])[1:]]) for each in (whole, parts))
    np.testing.assert_allclose(a, b, rtol=1e-5)
    homes.drop(columns="price").assign(city=["Oslo"] * 200 + ["Lima"] * 40).to_csv("new.csv", index=False)
    _, _, err = backlit("predict", "homes.backlit", "new.csv")
    assert "from row 203 on, column 'city'" in err and "from row 0" not in err


def test_a_file_for_predictions_is_written_whole_and_not_over_another(homes):
    fitted("homes.csv", "--target", "price", "--epochs", "2")
    homes.drop(columns="price").to_csv("new.csv", index=False)
    _, expected, _ = backlit("predict", "homes.backlit", "new.csv")
    assert backlit("predict", "homes.backlit", "new.csv", "--out", "told.csv") == (0, "", "")
    assert Path("told.csv").read_text() == expected
    code, out, err = backlit("predict", "homes.backlit", "new.csv", "--out", "told.csv")
    assert (code, out) == (2, "") and "--overwrite" in err
    assert backlit("predict", "homes.backlit", "new.csv", "--out", "told.csv", "--overwrite", "--json")[0] == 0
    told = strictly(Path("told.csv").read_text())
    assert [row["row"] for row in told["predictions"]] == list(range(ROWS))
    homes.drop(columns=["price", "size"]).to_csv("new.csv", index=False)
    assert backlit("predict", "homes.backlit", "new.csv", "--out", "more.csv")[0] == 3
    assert not Path("more.csv").exists() and sorted(os.listdir()) == [
        "homes.backlit",
        "homes.csv",
        "new.csv",
        "told.csv",
    ]


# ---------------------------------------------------------------------- targets
def targets(**columns):
    """data.csv with two columns of numbers x1, x2 and the given ones."""
    x = RNG.normal(size=(120, 2))
    pd.DataFrame({"x1": x[:, 0], "x2": x[:, 1], **{name: make(x) for name, make in columns.items()}}).to_csv(
        "data.csv", index=False
    )


def test_classes_by_name_stand_in_natural_order():
    targets(kind=lambda x: np.array(["a10", "a2", "b"])[np.digitize(x[:, 0], [-0.5, 0.5])])
    assert fitted("data.csv", "--target", "kind", "--epochs", "30")["task"] == "multiclass"
    code, out, _ = backlit("predict", "data.backlit")
    assert code == 0 and table(out)[0] == ["row", "kind", "p(a2)", "p(a10)", "p(b)"]
    assert bl.load_model("data.backlit").classes == ("a2", "a10", "b")


def test_several_yes_or_no_targets():
    targets(**{"is red": lambda x: (x[:, 0] > 0).astype(int), "is big": lambda x: (x[:, 1] > 0).astype(int)})
    result = fitted("data.csv", "--target", "is red,is big", "--epochs", "40", "--layers", "8")
    assert result["task"] == "multilabel" and result["test"]["accuracy"] > 0.8
    code, out, _ = backlit("predict", "data.backlit")
    header, *rows = table(out)
    assert code == 0 and header == ["row", "is red", "is big", "p(is red)", "p(is big)"]
    for _, red, big, p_red, p_big in rows:
        assert (red, big) == (str(int(float(p_red) > 0.5)), str(int(float(p_big) > 0.5)))
    assert backlit("evaluate", "data.backlit")[1].startswith("accuracy ")
    code, out, err = backlit("predict", "data.backlit", "data.csv", "--json")
    assert code == 0 and "'is red', 'is big' of data.csv is left aside" in err
    assert set(strictly(out)["predictions"][0]) == set(header)


def test_several_amounts_are_each_learnt_in_their_own_unit():
    targets(big=lambda x: 1e5 + 1e4 * x[:, 0], small=lambda x: 0.1 + 0.01 * x[:, 1])
    result = fitted("data.csv", "--target", "big,small", "--layers", "", "--l2", "0", "--epochs", "1")
    assert result["task"] == "regression"
    header, *rows = table(backlit("predict", "data.backlit", "data.csv")[1])
    assert header == ["row", "big", "small"]
    big, small = np.array(rows, dtype=float)[:, 1:].T
    assert 5e4 < big.mean() < 1.5e5 and 0.05 < small.mean() < 0.15


@pytest.mark.parametrize("value", [3, 2.5, "only"])
def test_a_target_that_never_changes_is_a_data_error(value):
    targets(y=lambda x: [value] * len(x))
    code, out, err = backlit("fit", "data.csv")
    assert (code, out) == (3, "") and "single value" in err and os.listdir() == ["data.csv"]


def test_whole_floats_are_classes_with_a_way_out():
    targets(stars=lambda x: 1.0 + np.digitize(x[:, 0], [-0.5, 0.5]))
    code, out, _ = backlit("fit", "data.csv", "--target", "stars", "--epochs", "1", "-q")
    assert code == 0 and re.search(r"task +multiclass, 3 classes +.*3 values.*--task regression", out)
    code, out, _ = backlit(
        "fit", "data.csv", "--target", "stars", "--task", "regression", "--epochs", "1", "-q", "--overwrite"
    )
    assert code == 0 and re.search("task +regression", out)


def test_many_whole_numbers_are_an_amount_with_a_way_out():
    frame = pd.DataFrame({"x": RNG.normal(size=1500), "n": np.arange(1500) % 150})
    frame.to_csv("data.csv", index=False)
    code, out, _ = backlit("fit", "data.csv", "--target", "n", "--epochs", "1", "-q")
    assert code == 0 and re.search(r"task +regression +y has 150 whole numbers; or --task multiclass", out)
    result = fitted("data.csv", "--target", "n", "--task", "multiclass", "--epochs", "1", "--overwrite")
    assert result["network"][-1]["units"] == 150


def test_a_class_too_rare_for_three_parts_is_told():
    targets(kind=lambda x: ["a", "b"] * 59 + ["c", "c"])
    code, out, _ = backlit("fit", "data.csv", "--target", "kind", "--epochs", "1", "-q")
    assert code == 0 and re.search(r"at random, as class 'c' has 2 of the 3 rows it needs", out)


def test_0_and_1_stay_what_they_are():
    rare = np.zeros(400)
    rare[7] = 1
    pd.DataFrame({"x": RNG.normal(5, 2, 400), "rare": rare, "y": RNG.normal(size=400)}).to_csv("data.csv", index=False)
    code, out, _ = backlit("fit", "data.csv", "--epochs", "1", "-q", "--seed", "3")
    scaling = bl.load_model("data.backlit").layers[0]
    kept = list(bl.load_model("data.backlit").columns.encoded)
    assert code == 0 and ("0/1 columns stay" in out) == ("rare" in kept)
    assert scaling.variance[kept.index("x")] == pytest.approx(4, rel=0.3)
    if "rare" in kept:
        assert (scaling.mean[kept.index("rare")], scaling.variance[kept.index("rare")]) == (0, 1)


# ---------------------------------------------------------------------- evaluation, and where the data are
def test_a_copy_and_a_shuffled_table_are_not_taken_for_new_rows(homes):
    result = fitted("homes.csv", "--target", "price", "--epochs", "3")
    shutil.copy("homes.csv", "copy.csv")
    code, out, err = backlit("evaluate", "homes.backlit", "copy.csv", "--json")
    assert (code, err) == (0, "") and strictly(out)["r2"] == result["test"]["r2"]
    homes.sample(frac=1, random_state=0).to_csv("shuffled.csv", index=False)
    code, out, err = backlit("evaluate", "homes.backlit", "shuffled.csv", "--json")
    assert code == 0 and strictly(out)["training_rows"] == 168 and "168 training rows are among the 240 rows" in err
    new = homes.assign(size=homes["size"] + 0.05)
    new.to_csv("new.csv", index=False)
    code, out, err = backlit("evaluate", "homes.backlit", "new.csv", "--json")
    blank = int(homes["size"].isna().sum())  # these rows are the same ones
    assert code == 0 and 0 < strictly(out)["training_rows"] < blank


def test_a_table_without_the_target_cannot_be_evaluated(homes):
    fitted("homes.csv", "--target", "price", "--epochs", "1")
    homes.drop(columns="price").to_csv("new.csv", index=False)
    code, out, err = backlit("evaluate", "homes.backlit", "new.csv")
    assert (code, out) == (3, "") and "price" in err
    homes.rename(columns={"price": "paid"}).to_csv("new.csv", index=False)
    code, out, _ = backlit("evaluate", "homes.backlit", "new.csv", "--target", "paid")
    assert code == 0 and out.startswith("r2 ")


def test_a_folder_with_model_and_data_may_be_moved(homes, tmp_path, monkeypatch):
    Path("project").mkdir()
    shutil.move("homes.csv", "project/homes.csv")
    fitted("project/homes.csv", "--target", "price", "--epochs", "1", "--out", "project/m.backlit")
    model = bl.load_model("project/m.backlit")
    assert model.about["source"] == "homes.csv" and str(tmp_path) not in str(model.about)
    before = backlit("evaluate", "project/m.backlit")
    shutil.move("project", "elsewhere")
    assert backlit("evaluate", "elsewhere/m.backlit") == before and before[0] == 0
    monkeypatch.chdir("elsewhere")
    assert backlit("evaluate", "m.backlit") == before


# ---------------------------------------------------------------------- models that a program has saved
def own(units=3, loss=None):
    """A model of two columns that was saved by `model.save`, and knows of no names."""
    model = bl.Sequential([Dense(4, "relu"), Dense(units)])
    model.compile("adam", loss or SparseCategoricalCrossentropy(from_logits=True))
    x = RNG.normal(size=(60, 2)).astype(np.float32)
    model.fit(x, np.zeros((60, units)) if loss else np.arange(60) % units, epochs=1, verbose=0)
    model.save("own.backlit")
    return model, x


def test_a_model_without_names_takes_numbers_as_they_stand():
    model, x = own()
    np.savez("new.npz", X=x)
    pd.DataFrame(x, columns=["b", "a"]).to_csv("new.csv", index=False)
    for source in ("new.npz", "new.csv"):
        code, out, err = backlit("predict", "own.backlit", source)
        header, *rows = table(out)
        assert (code, err) == (0, "") and header == ["row", "class", "p(0)", "p(1)", "p(2)"]
        assert [int(row[1]) for row in rows] == model.predict_classes(x).tolist()
        np.testing.assert_allclose(np.array(rows, float)[:, 2:], model.predict_probabilities(x), atol=1e-5)


@pytest.mark.parametrize("columns", [{"a": [1.5], "b": ["red"]}, {"a": [1.5]}, {"a": [1.5], "b": [2], "c": [3]}])
def test_a_table_that_does_not_fit_a_model_without_names(columns):
    own()
    pd.DataFrame(columns).to_csv("new.csv", index=False)
    code, out, err = backlit("predict", "own.backlit", "new.csv")
    assert (code, out) == (3, "") and "Traceback" not in err


def test_a_model_that_was_trained_on_a_frame():
    frame = pd.DataFrame({"age": RNG.normal(40, 9, 60), "size": RNG.normal(size=60)})
    model = bl.Sequential([Dense(2)])
    model.compile("adam", SparseCategoricalCrossentropy(from_logits=True))
    model.fit(frame, np.array(["cheap", "dear"])[(frame["size"] > 0).astype(int)], epochs=2, verbose=0)
    model.save("own.backlit")
    frame.assign(price=1)[["price", "size", "age"]].to_csv("new.csv", index=False)
    code, out, err = backlit("predict", "own.backlit", "new.csv")
    assert code == 0 and table(out)[0] == ["row", "class", "p(cheap)", "p(dear)"] and "left aside: price" in err
    p = np.array([row[2:] for row in table(out)[1:]], float)
    np.testing.assert_allclose(p, model.predict_probabilities(frame), atol=1e-5)


def test_a_model_of_several_inputs_is_for_python():
    a, b = bl.Input((2,)), bl.Input((2,))
    bl.Model([a, b], bl.layers.Concatenate()([a, b])).save("two.backlit")
    np.savez("new.npz", X=np.zeros((3, 2)))
    code, out, err = backlit("predict", "two.backlit", "new.npz")
    assert (code, out) == (3, "") and "one input" in err


def test_labels_of_a_model_without_names():
    _, x = own(2, BinaryCrossentropy(from_logits=True))
    np.savez("new.npz", X=x)
    header, *rows = table(backlit("predict", "own.backlit", "new.npz")[1])
    assert header == ["row", "0", "1", "p(0)", "p(1)"] and len(rows) == len(x)


def test_a_bundled_set_and_a_table_of_its_columns_meet_by_name():
    frame = bundled(load_iris, "plants")
    result = fitted("iris", "--epochs", "5")
    _, out, _ = backlit("predict", "iris.backlit", "iris")
    frame[frame.columns[::-1]].to_csv("other.csv", index=False)
    code, told, _ = backlit("predict", "iris.backlit", "other.csv")
    assert code == 0 and [row[1] for row in table(told)] == [row[1] for row in table(out)]
    code, out, _ = backlit("evaluate", "iris.backlit", "other.csv", "--target", "kind", "--json")
    assert code == 0 and strictly(out)["rows"] in ("all rows", "held-out test rows") and result["test"]["n"] == 22


# ---------------------------------------------------------------------- any table
def column(rng, rows):
    """A column of one of the kinds that tables have."""
    kinds = (
        lambda: rng.normal(size=rows) * 10.0 ** rng.integers(-6, 7),
        lambda: rng.integers(0, 3, rows),
        lambda: np.arange(rows),
        lambda: rng.choice(["a", "b c", "d,e", 'q"x', "\n", "猫"], rows),
        lambda: np.full(rows, 7),
        lambda: [f"free {row} text" for row in range(rows)],
        lambda: pd.to_datetime("2020-01-01") + pd.to_timedelta(rng.integers(0, 999, rows), unit="D"),
        lambda: rng.choice([True, False], rows),
        lambda: [None] * rows,
        lambda: np.where(rng.random(rows) < 0.3, np.nan, rng.normal(size=rows)),
    )
    return kinds[rng.integers(len(kinds))]()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_any_table_is_learnt_or_refused_in_words(seed):
    rng = np.random.default_rng(seed)
    rows = int(rng.choice([1, 5, 12, 40, 150]))
    frame = pd.DataFrame({f"c{k}": column(rng, rows) for k in range(rng.integers(2, 7))})
    frame.to_csv("data.csv", index=False)
    for command in (["check", "data.csv"], ["check", "data.csv", "--target", "c0", "--json"]):
        code, _, err = backlit(*command)
        assert code in (0, 3) and err == ""
    code, out, err = backlit("fit", "data.csv", "--target", "c0", "--epochs", "1", "-q")
    assert code in (0, 3) and "Traceback" not in err and (code == 0) == os.path.exists("data.backlit")
    if code == 0:
        frame.sample(frac=1, random_state=0).to_csv("new.csv", index=False)
        for command in (["predict", "data.backlit", "new.csv", "--json"], ["evaluate", "data.backlit"]):
            code, out, err = backlit(*command)
            assert code == 0 and out, err


# ---------------------------------------------------------------------- the numbers of rows
def test_rows_keep_the_numbers_that_they_have_in_the_file(homes):
    homes["price"] = homes["size"].fillna(80.0) * 3000
    homes.loc[[3, 50, 120], "price"] = np.nan
    lines = homes.to_csv(index=False).splitlines()
    lines[11] += ",one field too many"
    Path("gaps.csv").write_text("\n".join(lines))
    fitted("gaps.csv", "--target", "price", "--epochs", "60")
    own = strictly(backlit("predict", "gaps.backlit", "--json")[1])["predictions"]
    rows = [each["row"] for each in own]
    assert not {3, 10, 50, 120} & set(rows) and max(rows) > 200
    code, out, err = backlit("predict", "gaps.backlit", "gaps.csv", "--json")
    every = {each["row"]: each["price"] for each in strictly(out)["predictions"]}
    assert code == 0 and "1 bad row of 240 skipped: line 12: 7 fields" in err
    assert sorted(every) == [row for row in range(240) if row != 10]
    assert all(every[each["row"]] == pytest.approx(each["price"], rel=1e-4) for each in own)
    told = backlit("fit", "gaps.csv", "--target", "price", "--epochs", "5", "--overwrite", "--quiet")[1]
    worst = dict(re.findall(r"row (\d+): true ([\d,]+), ", told))
    assert len(worst) == 4
    for row, true in worst.items():
        assert float(true.replace(",", "")) == pytest.approx(homes.price[int(row)], abs=1)


def test_rows_of_json_lines_keep_their_numbers_too(homes):
    fitted("homes.csv", "--target", "price", "--epochs", "3")
    lines = homes.drop(columns="price").to_json(orient="records", lines=True, date_format="iso").splitlines()
    lines[4] = "no object"
    Path("new.jsonl").write_text("\n".join(lines))
    code, out, err = backlit("predict", "homes.backlit", "new.jsonl", "--json")
    assert code == 0 and "1 line of 240 skipped" in err
    assert [each["row"] for each in strictly(out)["predictions"]] == [row for row in range(240) if row != 4]
