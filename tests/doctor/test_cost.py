"""What the doctor costs, in work and not in time: rows that are read, numbers that are computed, graphs that are built;
and that a mistake of its own, or a training that is broken off, ends nothing and keeps nothing."""

import numpy as np
import pytest

import backlit as bl
from backlit.core import registry
from backlit.core.node import input_leaf
from backlit.core.shapes import M
from backlit.doctor import linear, report, subject, watch
from backlit.doctor.checks_data import ValidationRowsInTraining
from backlit.doctor.relation import relation
from backlit.doctor.subject import Arrays, GraphFacts, Subject
from backlit.layers import (
    BatchNormalization,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    Layer,
    MaxPooling2D,
)
from backlit.layers.layer import Pass
from backlit.train.sparse import SparseRows

RNG = np.random.default_rng(3)
X = RNG.normal(size=(320, 6)).astype("float32")
LABELS = np.digitize(X[:, 0] + X[:, 1], [-1, 1])
CLASSES = "sparse_categorical_crossentropy"


def chain(*layers, loss=CLASSES):
    bl.random.set_seed(2)
    model = bl.Sequential(list(layers))
    model.compile("adam", loss)
    return model


def small():
    return chain(Dense(8, "relu"), Dense(3, "softmax"))


class Rows:
    """An array whose numbers are counted as they are read."""

    def __init__(self, array):
        self.array, self.read = array, 0
        self.shape, self.ndim, self.dtype = array.shape, array.ndim, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, key):
        found = self.array[key]
        self.read += found.size
        return found

    def __array__(self, dtype=None, copy=None):
        self.read += self.array.size
        return self.array


@pytest.fixture
def computed(monkeypatch):
    """How many passes were made through a graph, and how many numbers they gave."""
    count, values = {"passes": 0, "numbers": 0}, registry.lookup("values.reference")

    def counting(*args):
        known = values(*args)
        count["passes"] += 1
        count["numbers"] += sum(np.size(value) for node, value in known.items() if not node.several)
        return known

    monkeypatch.setitem(registry._table, "values.reference", counting)
    return count


# ---------------------------------------------------------------------- rows
def test_from_some_rows_on_more_of_them_are_not_more_work():
    model, read = small(), []
    model.build((6,))
    for count in (150_000, 600_000):
        x, held = (np.random.default_rng(1).normal(size=(n, 6)).astype("float32") for n in (count, 1000))
        y = np.random.default_rng(2).integers(0, 3, count)
        rows = Rows(x)
        one = Subject(
            GraphFacts(model), Arrays([rows], [y], [None]), Arrays([held], [y[:1000]], [None]), {"batch_size": 32}
        )
        _, went = report.run(one, ("compile", "data"), ("error", "warning"))
        assert (
            {"found", "passed"} >= {each.state for each in went if each.check == "validation_rows_in_training"} != set()
        )
        assert not [each for each in went if each.state == "failed"]
        read.append(rows.read)
    assert max(read) < 6 * subject._MOST_KEYED + 100_000


def test_leaked_rows_are_found_among_so_many_that_only_some_are_looked_at(monkeypatch):
    monkeypatch.setattr(subject, "_MOST_KEYED", 1000)
    model = small()
    model.build((6,))
    x = RNG.normal(size=(8000, 6)).astype("float32")
    other = RNG.normal(size=(4000, 6)).astype("float32")
    for share in (0.0, 0.3, 1.0):
        held = np.where(RNG.random((4000, 1)) < share, x[1::2], other)
        y = [np.zeros(len(part), dtype=int) for part in (x, held)]
        arrays = [Arrays([part], [labels], [None]) for part, labels in zip((x, held), y, strict=True)]
        (found,) = ValidationRowsInTraining().measure(Subject(GraphFacts(model), *arrays))
        assert found["in_training"] == pytest.approx(share, abs=0.08)
        assert found["training_twice"] == 0
        assert ValidationRowsInTraining().wrong(found) == (share > 0)


def test_equal_rows_have_equal_numbers_wherever_they_stand():
    x = np.repeat(RNG.normal(size=(1, 37)), 50_001, axis=0)
    assert len(np.unique(subject.keys([x]))) == 1
    assert subject.keys([x], 7).tolist() == subject.keys([x])[::7].tolist()


def test_sparse_rows_have_the_numbers_of_dense_ones():
    sparse = pytest.importorskip("scipy.sparse")
    x = np.where(RNG.random((300, 40)) < 0.2, RNG.normal(size=(300, 40)), 0.0)
    rows = SparseRows(sparse.csr_matrix(x))
    assert subject.keys([rows]).tolist() == subject.keys([x]).tolist()
    assert subject.keys([rows], 3).tolist() == subject.keys([x])[::3].tolist()


def test_large_examples_are_known_again_by_few_rows():
    memory = report.Memory(GraphFacts(_built()))
    memory.know([Arrays([np.zeros((300, 64, 64, 3), "float32")], [np.zeros(300)], [None])], {})
    assert sum(np.size(part) for part in memory.seen) < 300_000


# ---------------------------------------------------------------------- numbers and passes
@pytest.mark.parametrize("kind", ["dense", "pictures"])
def test_a_fit_computes_no_more_than_a_few_passes_through_few_rows(kind, computed, monkeypatch):
    monkeypatch.setattr(watch, "_SHARE", 0.0)
    if kind == "dense":
        x, model = RNG.normal(size=(2000, 100)).astype("float32"), chain(Dense(64, "relu"), Dense(64, "relu"), Dense(3))
    else:
        x = RNG.normal(size=(300, 28, 28, 1)).astype("float32")
        model = chain(
            Conv2D(32, 3, activation="relu"), MaxPooling2D(2), Conv2D(64, 3, activation="relu"), Flatten(), Dense(3)
        )
    y = RNG.integers(0, 3, len(x))
    model.fit(x, y, verbose=0, batch_size=100)
    assert model.doctor_memory.course.looks
    assert computed["passes"] <= 50
    assert computed["numbers"] < (5e6 if kind == "dense" else 6e7)  # by all looks, since here they have the time
    before = dict(computed)
    model.fit(x, y, verbose=0, batch_size=100)
    assert computed["numbers"] - before["numbers"] < before["numbers"]  # nothing that is known is measured again


def test_an_example_of_very_many_numbers_is_looked_at_in_few_rows(computed):
    model = chain(Dense(4, "relu"), Flatten(), Dense(3))
    model.build((300, 300, 2))
    assert model.trainable_variables[-2].array.size > 1_000_000  # so that no step is looked at
    x = RNG.normal(size=(40, 300, 300, 2)).astype("float32")
    model.fit(x, np.arange(40) % 3, verbose=0, batch_size=20)
    assert computed["numbers"] < 40 * 300 * 300 * 2 * 30


# ---------------------------------------------------------------------- graphs
def test_the_graph_of_a_model_is_built_once_until_the_next_compile(monkeypatch):
    built, forward = [], bl.Model.forward
    monkeypatch.setattr(bl.Model, "forward", lambda self, nodes: built.append(self) or forward(self, nodes))
    for layers, most in (((Dense(8, "relu"), Dense(3)), 1), ((Dense(8, "relu"), Dropout(0.2), Dense(3)), 2)):
        model = chain(*layers)
        model.fit(X, LABELS, verbose=0, doctor="off")
        built.clear()
        model.fit(X, LABELS, verbose=0)
        assert len(built) == most
        model.fit(X, LABELS, verbose=0)
        assert len(built) == most


class Own(Layer):
    def call(self, x, training=False):
        return bl.nn.relu(x) if training else x


class OwnDense(Dense):
    pass


STEADY = {
    "dense": [Dense(4, "relu")],
    "dropout": [Dense(4), Dropout(0.5)],
    "no dropout": [Dense(4), Dropout(0.0)],
    "noise": [Dense(4), GaussianNoise(0.1)],
    "normalized": [Dense(4), BatchNormalization()],
    "frozen": [Dense(4), BatchNormalization(trainable=False)],
    "own": [Dense(4), Own()],
    "own dense": [OwnDense(4)],
}


@pytest.mark.parametrize("kind", STEADY)
def test_what_predicts_is_read_off_the_trained_graph_only_where_both_are_the_same(kind):
    model = chain(*STEADY[kind], Dense(3))
    model.build((6,))
    facts = GraphFacts(model)
    with Pass(False):
        predicted = model.forward(facts.inputs)
    assert all(one is other for one, other in zip(facts.linear.given, predicted, strict=True))
    assert facts.steady == (kind in ("dense", "no dropout", "frozen"))


def test_layers_of_one_kind_are_asked_once_whether_they_are_linear(monkeypatch):
    asked, ask = [], linear._is_linear
    monkeypatch.setattr(linear, "_is_linear", lambda *args: asked.append(1) or ask(*args))
    for depth in (4, 40):
        model = chain(*[Dense(6, "relu") for _ in range(depth)], Dense(3))
        model.build((6,))
        asked.clear()
        assert len(GraphFacts(model).trained.products) == depth + 1
        assert len(asked) <= 12


def test_nodes_of_one_operation_are_told_apart_by_which_inputs_are_data():
    model = chain(Dense(6), Dense(3))
    model.build((6,))
    x, w = input_leaf((M, 6), "x", "float32"), model.trainable_variables[0]
    times = registry.lookup("op.multiply").node
    fixed, square = times(x, registry.lookup("op.exp").node(registry.lookup("op.sum").node(w))), times(x, x)
    found = linear.Linearity([fixed, square, times(x, fixed)])
    assert fixed in found.linear
    assert square not in found.linear
    assert times(x, fixed) not in found.linear


def test_a_deep_network_is_not_looked_at_for_a_few_steps_and_diagnose_says_so():
    model = chain(*[Dense(6, "tanh") for _ in range(60)], Dense(3, "softmax"))
    model.fit(X, LABELS, verbose=0)
    assert not model.doctor_memory.course.looks
    (note,) = [one for one in model.diagnose(X, LABELS).findings if one.check == "watching"]
    assert (note.severity, "10 steps" in note.message) == ("note", True)
    assert "course" not in note.message


# ---------------------------------------------------------------------- what is measured in another way
@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_relations_are_seen_in_float32_as_in_float64(scale, offset):
    rng = np.random.default_rng(8)
    x = (rng.normal(size=(600, 80)) + offset) * scale
    for y in (
        rng.normal(size=(600, 2)),
        x[:, :1] / scale - offset + rng.normal(size=(600, 1)),
        x[:, :1] * x[:, 1:2] / scale**2,
    ):
        one, two = relation(x.astype("float32"), y), relation(x.astype("float32").astype("float64"), y)
        assert one.seen == two.seen
        assert one.single == pytest.approx(two.single, rel=1e-3)
        assert one.pairs == pytest.approx(two.pairs, rel=1e-2, abs=1e-2, nan_ok=True)


# ---------------------------------------------------------------------- mistakes of its own
def _built():
    model = small()
    model.build((6,))
    return model


class Odd:
    def __len__(self):
        return 40

    def __getitem__(self, key):
        raise TypeError("an odd kind of array")


def test_data_that_cannot_be_known_again_are_new_each_time():
    memory, asked = report.Memory(GraphFacts(_built())), {"epochs": 1}
    plain = [Arrays([X], [LABELS], [None])]
    memory.know(plain, asked)
    memory.kept["a check"] = [{"layer": None}]
    memory.know(plain, asked)
    assert memory.kept
    for _ in range(2):
        memory.know([Arrays([Odd()], [LABELS], [None])], asked)
        assert (memory.kept, "odd kind" in memory.problem) == ({}, True)
        memory.kept["a check"] = [{"layer": None}]
    memory.know(plain, asked)
    assert (memory.kept, memory.problem) == ({}, "")


def _raise(*args, **keywords):
    raise RuntimeError("a mistake")


@pytest.mark.parametrize(
    ("where", "name"),
    [(report, "_known_by"), (watch.Course, "finish"), (watch.Course, "worth_it"), (watch.Probe, "look")],
    ids=lambda each: getattr(each, "__name__", each),
)
def test_a_mistake_of_the_doctor_ends_no_training_and_is_a_note(where, name, monkeypatch):
    model = small()
    with monkeypatch.context() as patch:
        patch.setattr(where, name, property(_raise) if name == "worth_it" else _raise)
        history = model.fit(X, LABELS, epochs=3, verbose=0)
    assert len(history.history["loss"]) == 3
    notes = [one for one in model.diagnose(X, LABELS).findings if one.check == "watching"]
    assert ["a mistake" in one.message and one.severity == "note" for one in notes] == [True]
    assert model.doctor_memory.course.subject is None


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_training_that_is_broken_off_keeps_no_data_and_its_looks_count(error):
    class Break(bl.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 3:
                raise error

    model = small()
    with pytest.raises(error):
        model.fit(X, LABELS, verbose=0, callbacks=[Break()])
    course = model.doctor_memory.course
    assert course.looks
    assert (course.subject, "feed" in vars(course)) == (None, False)
    assert course.pace.used == course.spent > 0
    model.fit(X, LABELS, verbose=0)
    assert model.diagnose(X, LABELS).findings is not None
