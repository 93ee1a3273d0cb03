"""Files that are damaged, foreign or made to harm: FileError, at once and for little memory, and never half a model."""

import contextlib
import io
import json
import random
import struct
import subprocess
import sys
import warnings
import zipfile

import numpy as np
import pytest

import backlit as bl
from backlit import layers as L
from backlit.core.errors import BacklitError, FileError, FileMissingError, FileWarning
from backlit.core.shapes import bind
from backlit.io import file
from tests.io.small_models import ENVIRONMENT, X, entries_of, rewrite, saved, write

__all__ = ["saved"]  # a fixture


def harmless_or_refused(path, model):
    """A damaged file gives FileError, or where the damage hit nothing that matters, the same model."""
    try:
        again = bl.load_model(path)
    except FileError:
        return True
    np.testing.assert_array_equal(again.predict(X), model.predict(X))
    return False


def test_no_file():
    with pytest.raises(FileMissingError, match="no file") as caught:
        bl.load_model("no/such/file.backlit")
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a zip at all" * 99, b"PK\x05\x06" + bytes(18), bytes(4096)])
def test_files_that_are_something_else(tmp_path, content):
    path = tmp_path / "m.backlit"
    path.write_bytes(content)
    with pytest.raises(FileError):
        bl.load_model(path)
    with pytest.raises(FileError):
        bl.load_model(tmp_path)


def test_a_file_that_was_cut_short(saved):
    path, _ = saved
    whole = path.read_bytes()
    for length in {*range(0, len(whole), len(whole) // 50), *range(len(whole) - 60, len(whole))}:
        path.write_bytes(whole[:length])
        with pytest.raises(FileError):
            bl.load_model(path)


def test_a_file_with_flipped_bits(saved):
    path, model = saved
    whole, rng = path.read_bytes(), random.Random(5)
    refused = 0
    for _ in range(200):
        spoilt = bytearray(whole)
        for _ in range(rng.choice([1, 1, 3, 30])):
            spoilt[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(spoilt))
        refused += harmless_or_refused(path, model)
    assert refused > 150


JUNK = [
    None,
    -1,
    0,
    2.5,
    "x",
    "",
    [],
    {},
    [[]],
    True,
    float("nan"),
    1e308,
    "🙂",
    "relu",
    {"class": "L2", "config": {}},
    [1, 2],
]


def places(value, path=()):
    """All places in a JSON value."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


def put(value, path, new):
    """`value` with `new` at `path`; the place is left out where `new` is `put` itself."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if new is put and len(path) == 1:
        del copy[path[0]]
    else:
        copy[path[0]] = put(copy[path[0]], path[1:], new)
    return copy


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::backlit.core.errors.FileWarning")  # an unknown loss: it loads, and predicts
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")  # 1e308 in a float32 network
@pytest.mark.parametrize("entry", ["model.json", "preprocess.json"])
def test_a_description_that_says_something_else(saved, entry):
    """Every place in turn holds something wrong: never another exception, never half a model."""
    path, _ = saved
    whole, rng = path.read_bytes(), random.Random(5)
    with zipfile.ZipFile(path) as archive:
        said = json.loads(archive.read(entry))
    outcomes = []
    for place in places(said):
        for junk in [put, *rng.sample(JUNK, 2)] if place else JUNK:
            path.write_bytes(whole)
            spoilt = json.dumps(put(said, place, junk)).encode()
            rewrite(path, lambda entries, spoilt=spoilt: entries.update({entry: spoilt}))
            try:
                again = bl.load_model(path)
            except FileError:
                outcomes.append(False)
                continue
            outcomes.append(True)
            with contextlib.suppress(BacklitError):  # what loads can be used, or says in our words why not
                again.predict(X)
    assert outcomes.count(False) > (len(outcomes) // 3 if entry == "model.json" else 0)


@pytest.mark.parametrize(
    "spoil",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": 1}',
        b'{"format": 99}',
        b'{"format": "1"}',
    ],
)
def test_descriptions_that_are_none(saved, spoil):
    path, _ = saved
    rewrite(path, lambda entries: entries.update({"model.json": spoil}))
    with pytest.raises(FileError):
        bl.load_model(path)


def test_a_newer_format_says_so(saved):
    path, _ = saved
    newer = {"format": 2, "anything": "else"}
    rewrite(path, lambda entries: entries.update({"model.json": json.dumps(newer).encode()}))
    with pytest.raises(FileError, match="newer version") as caught:
        bl.load_model(path)
    assert "upgrade" in str(caught.value)


@pytest.mark.parametrize("name", ["weights.safetensors", "optimizer.safetensors"])
@pytest.mark.parametrize("what", ["shape", "dtype", "missing", "surplus", "nan", "garbage", "empty", "header"])
def test_tensors_that_do_not_fit(saved, name, what):
    path, _ = saved

    def change(entries):
        tensors = file.unpack(entries[name], path)
        first = next(iter(tensors))
        values = {
            "shape": tensors[first].reshape(-1)[:-1],
            "dtype": tensors[first].astype(np.float64),
            "nan": np.full_like(tensors[first], np.nan),
        }
        if what in values:
            tensors[first] = values[what]
        elif what == "missing":
            del tensors[first]
        elif what == "surplus":
            tensors["other/kernel"] = np.zeros(3, np.float32)
        entries[name] = file.pack(tensors)
        if what == "garbage":
            entries[name] = b"\x00" * 100
        elif what == "empty":
            entries[name] = b""
        elif what == "header":
            entries[name] = struct.pack("<Q", 1 << 60) + entries[name][8:]

    rewrite(path, change)
    with pytest.raises(FileError):
        bl.load_model(path)


@pytest.mark.parametrize(
    "name", ["model.json", "weights.safetensors", "optimizer.safetensors", "preprocess.json", "history.csv"]
)
def test_an_entry_that_is_missing(saved, name):
    path, _ = saved
    rewrite(path, lambda entries: entries.pop(name))
    with pytest.raises(FileError, match=name):
        bl.load_model(path)


@pytest.mark.parametrize(
    "content",
    [
        b"epoch,loss\n0",
        b"epoch,loss\nx,1.0\n",
        b"epoch,loss\n0,one\n",
        b"epoch\n\n",
        b'"',
        b"\xff",
        b"a\rb\n",
        b"\x00,1\n0,1\n",
    ],
)
def test_histories_that_are_none(saved, content):
    path, model = saved
    rewrite(path, lambda entries: entries.update({"history.csv": content}))
    harmless_or_refused(path, model)


@pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_entries_are_refused_unread(saved, compression):
    path, _ = saved
    rewrite(path, lambda entries: entries.update({"bomb": bytes(1 << 20)}), compression=compression)
    with pytest.raises(FileError, match="compressed"):
        bl.load_model(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_doubled_entries_are_refused(saved):
    path, _ = saved
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model.json", b"{}")
    with pytest.raises(FileError, match="doubled"):
        bl.load_model(path)


def test_entries_that_lie_in_one_another_are_refused(saved):
    """A directory that points twice at the same bytes claims more than the file holds."""
    path, _ = saved
    buffer = io.BytesIO(path.read_bytes())
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr("big", bytes(5000))
        first = archive.infolist()[0]
        archive.infolist()[-1].header_offset = first.header_offset
        archive.infolist()[-1].file_size = archive.infolist()[-1].compress_size = 1 << 30
    path.write_bytes(buffer.getvalue())
    with pytest.raises(FileError):
        bl.load_model(path)


# ---------------------------------------------------------------------- made to harm
@pytest.mark.parametrize(
    "name", ["../m.json", "/etc/passwd", "a/b.json", "..\\m.json", "C:m.json", "m", "a.b.c.d", "m\n.json"]
)
def test_names_of_entries_that_lead_elsewhere_are_refused(saved, name):
    path, _ = saved
    rewrite(path, lambda entries: entries.update({name: b"{}"}))
    with pytest.raises(FileError):
        bl.load_model(path)


@pytest.mark.parametrize("where", ["before", "behind"])
def test_other_bytes_around_the_file_are_refused(saved, where):
    path, _ = saved
    whole = path.read_bytes()
    path.write_bytes(b"#!/bin/sh\n" + whole if where == "before" else whole + b"\0")
    with pytest.raises(FileError):
        bl.load_model(path)


def changed(said, *path, to):
    """JSON with another value at one place."""
    for key in path[:-1]:
        said = said[key]
    said[path[-1]] = to


def costly(path):
    """A file with layers that are as large as a number says."""
    layers = [L.Dense(4), L.Reshape((4, 1)), L.Conv1D(3, 2), L.Flatten(), L.RepeatVector(2), L.Flatten(), L.Dense(1)]
    model = bl.Sequential([bl.Input((6,)), *layers, L.Activation("sigmoid")])
    model.compile("adam", "binary_crossentropy", metrics=[bl.metrics.AUC(num_thresholds=20)])
    model.save(path)


def absurd_numbers(said):
    """Descriptions in which one number is absurd."""
    kinds = [each["class"] for each in said["network"]["layers"]]
    sizes = (("Dense", "units"), ("Conv1D", "filters"), ("RepeatVector", "n"), ("Reshape", "target_shape"))
    for number in (10**9, 10**12, 10**18, 1e300, 1e999, -5, 0, 2.5, "12", None, [3], True):
        for kind, key in sizes:
            other = json.loads(json.dumps(said))
            config = ("network", "layers", kinds.index(kind), "config")
            changed(other, *config, key, to=[number, 1] if kind == "Reshape" else number)
            yield f"{kind} {number!r}", other
        other = json.loads(json.dumps(said))
        changed(other, "compiled", "metrics", 0, "config", "num_thresholds", to=number)
        yield f"AUC {number!r}", other
        for key in ("seed", "iterations", "epochs_done", "classes"):
            yield f"{key} {number!r}", {**said, key: number}


def absurd_graphs(graph):
    """Graphs that end in a node of absurd size."""
    for number in (10**9, 10**12, 10**400, -1, 0):
        iota = {"op": "iota", "inputs": [], "attrs": {"shape": [number], "dtype": "int64"}, "shape": [number]}
        literal = {"op": "literal", "inputs": [], "attrs": {"value": number, "dtype": "int64"}, "shape": []}
        split = {"op": "split", "inputs": [0], "attrs": {"sections": number, "axis": 1}, "shape": []}
        for row in (iota, literal, split):
            nodes = [*graph["nodes"], {**row, "dtype": "int64"}]
            yield f"graph {row['op']} {number!r:.20}", {**graph, "nodes": nodes, "outputs": [len(nodes) - 1]}
    yield "a wide graph", json.loads(json.dumps(graph).replace('"rows": 1', '"rows": 1000000000000'))


def harmful(folder):
    """Files that claim something absurd, by name."""
    base = folder / "base.backlit"
    costly(base)
    entries = entries_of(base)
    said, graph = json.loads(entries["model.json"]), json.loads(entries["graph.json"])
    for name, other in absurd_numbers(said):
        yield name, {**entries, "model.json": json.dumps(other).encode()}
    gone = json.dumps({**said, "network": {"class": "Gone"}}).encode()
    for name, other in absurd_graphs(graph):
        yield name, {**entries, "model.json": gone, "graph.json": json.dumps(other).encode()}
    digits = b"9" * 100_000
    for name in ("model.json", "graph.json", "preprocess.json"):
        yield f"digits in {name}", {**entries, name: b'{"format": ' + digits + b"}"}
        for deep in (b"[" * 1_000_000, b'{"a":' * 500_000, b"[" * 50_000 + b"]" * 50_000):
            yield f"deep {name} {deep[:1]}", {**entries, name: deep}
    header = b'{"a":{"dtype":"F32","shape":[1000000,1000000,1000000],"data_offsets":[0,4]}}'
    for tensors in (struct.pack("<Q", 1 << 62), struct.pack("<Q", len(header)) + header + bytes(4), bytes(8)):
        yield f"tensors {tensors[:4]!r}", {**entries, "weights.safetensors": tensors}
    yield "history", {**entries, "history.csv": b"epoch,loss\n" + digits + b",1.0\n"}
    yield "a long field", {**entries, "history.csv": b"epoch,loss\n0," + b"1" * 1_000_000 + b"\n"}


@pytest.mark.slow
def test_files_that_are_made_to_harm_cost_neither_time_nor_memory(tmp_path):
    for number, (name, entries) in enumerate(harmful(tmp_path)):
        write(tmp_path / f"{number:03}.backlit", entries)
        (tmp_path / f"{number:03}.txt").write_text(name)
    stream = io.BytesIO()  # a long list of entries
    with zipfile.ZipFile(stream, "w") as archive:
        for place in range(20_000):
            archive.writestr(f"e{place}", b"")
    (tmp_path / "999.backlit").write_bytes(stream.getvalue())
    (tmp_path / "999.txt").write_text("many entries")
    done = subprocess.run(
        [sys.executable, "-c", LOOK, tmp_path], capture_output=True, text=True, check=True, env=ENVIRONMENT
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(rows) > 100
    for name, outcome, seconds, megabytes in rows:
        assert outcome in ("FileError", "loaded"), (name, outcome)
        assert seconds < 1 and megabytes < 100, (name, seconds, megabytes)
    refused = [row for row in rows if row[1] == "FileError"]
    assert len(refused) > len(rows) // 2


LOOK = """
import json, pathlib, resource, sys, time, warnings
import numpy as np, backlit as bl
warnings.simplefilter("ignore")
folder = pathlib.Path(sys.argv[1])
bl.load_model(folder / "base.backlit").predict(np.ones((2, 6)))
for path in sorted(folder.glob("[0-9]*.backlit")):
    before, begin = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    try:
        bl.load_model(path).predict(np.ones((2, 6)))
        outcome = "loaded"
    except bl.BacklitError as error:
        outcome = type(error).__name__
    except Exception as error:
        outcome = repr(error)
    spent = time.process_time() - begin
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(json.dumps([path.with_suffix(".txt").read_text(), outcome, spent, grown]))
"""


# ---------------------------------------------------------------------- a thousand spoilt files
def several_models(folder):
    """Files of several kinds of model, each with an input."""
    bl.random.set_seed(0)
    a, b = bl.Input((3,), name="a"), bl.Input((2,), name="b")
    inner = bl.Sequential([L.Dense(4, "tanh"), L.Dense(2)], name="inner")
    joined = L.Concatenate()([inner(a) * b, L.Dropout(0.2)(b)])
    two = bl.Model([a, b], {"p": L.Dense(2, "softmax", name="p")(joined), "q": bl.ops.sum(joined, axis=1)})
    long = bl.Sequential(
        [bl.Input((6,)), L.Reshape((6, 1)), L.Conv1D(2, 2, strides=2), L.LayerNormalization(), L.Flatten(), L.PReLU(), L.Dense(1)]
    )  # fmt: skip
    own = bl.Sequential(
        [bl.Input((3,)), L.Dense(4, "relu"), L.Lambda(lambda x: x * [1.0, 2, 3, 4] + bl.nn.softmax(x)), L.Dense(2)]
    )
    ids = bl.Sequential([L.Embedding(7, 3), L.Flatten(), L.Dense(2)])
    ids.build((2,))
    long.compile("adam", "mse", metrics=["mae"])
    long.fit(np.ones((8, 6)), np.ones(8), verbose=0)
    rng = np.random.default_rng(0)
    inputs = [
        [rng.normal(size=(4, 3)), rng.normal(size=(4, 2))],
        rng.normal(size=(4, 6)),
        rng.normal(size=(4, 3)),
        np.ones((4, 2), int),
    ]
    for place, (model, x) in enumerate(zip((two, long, own, ids), inputs, strict=True)):
        path = folder / f"{place}.backlit"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FileWarning)
            model.save(path)
        yield path, entries_of(path), x


VALUES = [
    None, -1, 0, 1, 2, 3, 2.5, 10**6, 10**13, 1e308, -0.0, "x", "", "float64", "int64", "softmax", [], {}, [[]], [2, 3], True,
    {"rows": 2}, {"own": "f"}, {"class": "L2", "config": {}}, {"class": "Dense", "config": {"units": 2}},
]  # fmt: skip


def spoilt_json(content, rng):
    """One or two places of a JSON text changed, swapped or left out."""
    said = json.loads(content)
    for _ in range(rng.choice([1, 1, 2])):
        found = list(places(said))
        place = rng.choice(found[1:] or found)
        choice = rng.random()
        new = put if choice < 0.15 and place else rng.choice(VALUES)
        if choice > 0.75:
            new = value_at(said, rng.choice(found))  # something that stands elsewhere
        said = put(said, place, new) if place else new
    return json.dumps(said).encode()


def value_at(said, place):
    for key in place:
        said = said[key]
    return said


def spoilt_bytes(content, rng):
    """Flipped bits, a part cut out, a part doubled."""
    spoilt, choice = bytearray(content), rng.random()
    if choice < 0.6 and spoilt:
        for _ in range(rng.choice([1, 1, 8])):
            spoilt[rng.randrange(len(spoilt))] ^= 1 << rng.randrange(8)
    else:
        begin, end = sorted(rng.randrange(len(spoilt) + 1) for _ in range(2))
        spoilt[begin:end] = spoilt[begin:end] * 2 if choice > 0.8 else b""
    return bytes(spoilt)


def spoil(entries, others, rng):
    """Entries with one of them spoilt, or taken from another file; their checksums are right."""
    name = rng.choice(["model.json"] * 4 + ["graph.json"] * 6 + [*entries])
    spoilt = dict(entries)
    if rng.random() < 0.05:
        spoilt[name] = others[name]
    elif name.endswith(".json") and rng.random() < 0.9:
        spoilt[name] = spoilt_json(entries[name], rng)
    else:
        spoilt[name] = spoilt_bytes(entries[name], rng)
    if name == "graph.json" and rng.random() < 0.7:  # read by the graph, not by its layers
        said = json.loads(entries["model.json"])
        spoilt["model.json"] = json.dumps({**said, "network": {"class": "Gone"}}).encode()
    return spoilt


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::backlit.core.errors.FileWarning")
@pytest.mark.filterwarnings("ignore:overflow encountered in cast:RuntimeWarning")
def test_a_thousand_spoilt_files(tmp_path):
    """Each is refused in our words, or loads to a model that predicts finite numbers of the shape that it says."""
    kinds, rng, outcomes = list(several_models(tmp_path)), random.Random(20), []
    path = tmp_path / "spoilt.backlit"
    for turn in range(1000):
        _, entries, x = kinds[turn % len(kinds)]
        spoilt = entries
        if turn % 10 == 9:  # the bytes of the file itself
            write(path, entries)
            path.write_bytes(spoilt_bytes(path.read_bytes(), rng))
        else:
            spoilt = spoil(entries, kinds[(turn + 1) % len(kinds)][1], rng)
            write(path, spoilt)
        try:
            model = bl.load_model(path)
            found = model.predict(x)
        except BacklitError:
            outcomes.append("refused")
            continue
        outcomes.append("loaded")
        found = list(found.values()) if isinstance(found, dict) else found if isinstance(found, list) else [found]
        for array, shape in zip(found, model.output_shapes, strict=True):
            assert array.shape == bind(shape, 4), turn
            assert np.isfinite(array).all() or spoilt["weights.safetensors"] != entries["weights.safetensors"], turn
    assert outcomes.count("refused") > 500 and outcomes.count("loaded") > 50
