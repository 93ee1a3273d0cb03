"""`backlit explain` from outside, on files that `backlit fit` wrote."""

import pytest

import backlit as bl
from backlit.layers import Dense, Layer
from tests.command import backlit, outside, strictly


@pytest.fixture(scope="module")
def iris(tmp_path_factory):
    """The file of a network trained on iris."""
    path = tmp_path_factory.mktemp("iris") / "iris.backlit"
    assert backlit("fit", "iris", "--layers", "6,4", "--epochs", "8", "--quiet", "--out", path)[0] == 0
    return path


def test_the_text_says_what_the_network_is(iris):
    code, out, err = backlit("explain", iris)
    assert (code, err) == (0, "")
    for words in (
        "a fully connected network with 2 hidden layers (6 and 4 units). It tells 3 classes apart.",
        "4·6 + 6 = 30", "6·4 + 4 = 28", "4·3 + 3 = 15", "73 parameters are trained.", "3 logits an example",
        "setosa, versicolor and virginica", "petal length", "L2(l2=0.001) on the weights of dense, dense_1 and dense_2",
        "Adam(learning_rate=0.002)", "seed 0", "rows: 105 train, 23 dev and 22 test", "accuracy 0.", "95 %", "format",
    ):  # fmt: skip
        assert words in out, words
    assert max(len(line) for line in out.split("\n") if str(iris) not in line) <= 100 and "Equations" not in out


def test_json_is_one_object_that_says_the_same(iris):
    code, out, err = backlit("explain", iris, "--json")
    found = strictly(out)
    assert (code, err) == (0, "")
    assert found["parameters"]["trained"] == 73 and found["classes"] == ["setosa", "versicolor", "virginica"]
    assert found["output"][0]["kind"] == "logits" and found["output"][0]["shape"] == ["m", 3]
    assert found["scores"] == bl.load_model(iris).about["scores"]
    assert found["training"]["fingerprint"] == bl.load_model(iris).about["fingerprint"]
    assert found["file"]["bytes"] == iris.stat().st_size and "equations" not in found


def test_equations_follow_on_request(iris):
    code, out, _ = backlit("explain", iris, "--equations")
    assert code == 0 and "dZ3 = A3 - Y" in out and "dW1 = A0ᵀ dZ1 / m + 0.002 * W1" in out
    rows = strictly(backlit("explain", iris, "--equations", "--json")[1])["equations"]
    assert len([row for row in rows if row["part"] == "backward"]) == 9
    assert {"part", "left", "right", "shape", "latex"} <= rows[0].keys()


def test_what_cannot_be_explained_ends_with_its_code(tmp_path, iris):
    code, out, err = backlit("explain", tmp_path / "nothing.backlit")
    assert (code, out) == (2, "") and "no file" in err
    cut = tmp_path / "cut.backlit"
    cut.write_bytes(iris.read_bytes()[:500])
    code, out, err = backlit("explain", cut)
    assert (code, out) == (1, "") and "fix" in err
    assert backlit("explain")[0] == 2


@pytest.mark.slow
def test_in_a_pipe_and_a_process_of_its_own(iris):
    code, out, err = outside("explain", iris, "--equations")
    assert (code, err) == (0, "") and "Z1 = A0 W1 + b1" in out and "\x1b" not in out


def test_a_file_whose_layers_are_not_here(tmp_path):
    class Scaled(Layer):
        def build(self, shape):
            self.factor = self.add_weight("factor", (shape[-1],), "ones")

        def call(self, x, training=False):
            return x * self.factor

    model = bl.Sequential([bl.Input((3,)), Scaled(), Dense(4, "relu"), Dense(1)])
    model.compile("adam", "mse")
    path = tmp_path / "own.backlit"
    model.save(path)
    code, out, _ = outside("explain", path, "--equations")
    assert code == 0 and "Scaled" in out and "cannot be trained here" in out
    assert "Z1 = X * factor1" in out and "as it predicts" in out and "dZ" not in out.partition("Equations")[2]
