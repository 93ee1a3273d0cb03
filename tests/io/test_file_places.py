"""Where files are written: whole or not at all, under the permissions that people set, and nothing left behind."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest

import backlit as bl
from backlit.core.errors import FileError
from backlit.layers import Dense
from tests.io.small_models import ENVIRONMENT, X, network, saved, weights

__all__ = ["saved"]  # a fixture
posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


# ---------------------------------------------------------------------- places that cannot be written
@pytest.mark.parametrize(
    "place", ["no/such/folder/m.backlit", "folder.backlit", "file/m.backlit", f"{'n' * 300}.backlit", "a\0b.backlit"]
)
def test_places_that_cannot_be_written(tmp_path, place):
    (tmp_path / "folder.backlit").mkdir()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(FileError, match="cannot write"):
        network().save(tmp_path / place)
    assert names(tmp_path) == ["file", "folder.backlit"] and names(tmp_path / "folder.backlit") == []


def test_a_name_that_is_as_long_as_names_may_be(tmp_path):
    path = tmp_path / f"{'n' * 247}.backlit"
    network().save(path)
    assert names(tmp_path) == [path.name] and bl.load_model(path).built


def in_a_process(code, *arguments):
    """What `code` prints in a process of its own."""
    begin = (
        "import os, sys, numpy as np, backlit as bl\nmodel = bl.Sequential([bl.Input((50,)), bl.layers.Dense(50)])\n"
    )
    save = (
        "try:\n    model.save(sys.argv[1])\n    print('saved')\n"
        "except bl.BacklitError as error:\n    print(type(error).__name__, error)\n"
    )
    command = [sys.executable, "-c", begin + code + save, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT).stdout


@posix
def test_a_folder_that_may_only_be_read():
    """As a user who is not root, in a folder that such a user can reach."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        network().save(folder / "m.backlit")
        before = (folder / "m.backlit").read_bytes()
        folder.chmod(0o555)
        said = in_a_process(
            "import difflib, backlit.train.saving, safetensors.numpy\nbl.__version__\nif os.getuid() == 0:\n    os.setuid(65534)\n",
            folder / "m.backlit",
        )
        assert "FileError" in said and "can be written" in said
        assert (folder / "m.backlit").read_bytes() == before and names(folder) == ["m.backlit"]
        folder.chmod(0o755)


@posix
@pytest.mark.parametrize("limit", [0, 1, 2000, 11000])
def test_a_full_disk(saved, limit):
    """The system itself refuses to write beyond `limit` bytes."""
    path, model = saved
    before = path.read_bytes()
    code = (
        "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
    )
    said = in_a_process(code, path)
    assert "FileError" in said and "space" in said
    assert path.read_bytes() == before and names(path.parent) == [path.name]
    assert weights(bl.load_model(path)) == weights(model)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.ENOSPC, "No space left on device"), PermissionError(errno.EACCES, "in use"), KeyboardInterrupt()],
    ids=["full", "in use by another program", "Ctrl-C"],
)
@pytest.mark.parametrize("call", ["fsync", "replace", "chmod"])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(saved, monkeypatch, call, error):
    path, model = saved
    before = path.read_bytes()

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(FileError if isinstance(error, OSError) else KeyboardInterrupt):
        network().save(path)
    monkeypatch.undo()
    assert path.read_bytes() == before and names(path.parent) == [path.name]
    assert weights(bl.load_model(path)) == weights(model)


# ---------------------------------------------------------------------- permissions and links
@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        network().save(tmp_path / "m.backlit")
        network().save_weights(tmp_path / "w.npz")
    finally:
        os.umask(before)
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("m.backlit", "w.npz")] == [mode, mode]


@posix
def test_a_file_that_is_replaced_keeps_its_permissions(saved):
    path, model = saved
    path.chmod(0o640)
    model.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@posix
def test_a_link_stays_a_link(saved, tmp_path):
    path, _ = saved
    folder = tmp_path / "links"
    folder.mkdir()
    (folder / "link.backlit").symlink_to(path)
    (folder / "new.backlit").symlink_to(tmp_path / "target.backlit")
    for name, target in (("link.backlit", path), ("new.backlit", tmp_path / "target.backlit")):
        other = network()
        other.save(folder / name)
        assert (folder / name).is_symlink() and not target.is_symlink()
        assert weights(bl.load_model(target)) == weights(other)
    assert names(folder) == ["link.backlit", "new.backlit"]
    (folder / "loop.backlit").symlink_to(folder / "loop.backlit")
    with pytest.raises(FileNotFoundError):
        bl.load_model(folder / "loop.backlit")


# ---------------------------------------------------------------------- readers and writers at once
def test_a_reader_sees_a_whole_file_at_any_time(tmp_path):
    path, done, seen = tmp_path / "m.backlit", threading.Event(), []
    models = [bl.Sequential([bl.Input((3,)), Dense(width)]) for width in (1, 40)]
    models[0].save(path)

    def read():
        while not done.is_set():
            seen.append(bl.load_model(path).predict(X).shape[1])

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        models[turn % 2].save(path)
    done.set()
    reader.join()
    assert set(seen) <= {1, 40} and len(seen) > 2
    assert names(tmp_path) == ["m.backlit"]


def test_writers_do_not_disturb_one_another(tmp_path):
    path = tmp_path / "m.backlit"
    models = [bl.Sequential([bl.Input((3,)), Dense(width)]) for width in (1, 2, 3, 40)]
    threads = [threading.Thread(target=lambda m=model: [m.save(path) for _ in range(10)]) for model in models]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = bl.load_model(path)
    (wrote,) = [model for model in models if model.count_params() == found.count_params()]
    np.testing.assert_array_equal(found.predict(X), wrote.predict(X))
    assert names(tmp_path) == ["m.backlit"]
