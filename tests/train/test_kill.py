"""A training that is killed again and again, also in the middle of a save, ends as if it had never been."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import backlit as bl
from backlit.core.errors import FileMissingError
from backlit.train.checkpoints import Snapshot

CHILD = """
import hashlib, json, os, sys, time
import numpy as np
import backlit as bl
from backlit import callbacks as cb
from backlit.layers import BatchNormalization, Dense, Dropout

folder, block = sys.argv[1], sys.argv[2]

def say(*words):
    print(*words, flush=True)

if block:  # "before replace 3": stand still before the third call of os.replace
    side, name, number = block.split()
    real, left = getattr(os, name), [int(number)]
    def blocked(*args, **kwargs):
        left[0] -= 1
        if left[0]:
            return real(*args, **kwargs)
        if side == "after":
            real(*args, **kwargs)
        say("blocked")
        time.sleep(600)
    setattr(os, name, blocked)

class Tell(cb.Callback):
    def on_train_batch_end(self, batch, logs=None):
        say("batch", batch)

rng = np.random.default_rng(0)
x = rng.normal(size=(40, 3)).astype("float32")
y = (x @ [1.0, -2.0, 0.5] + rng.normal(size=40)).astype("float32")
bl.random.set_seed(3)
model = bl.Sequential([Dense(8, "relu"), BatchNormalization(), Dropout(0.3), Dense(1)])
model.compile(bl.optimizers.Adam(0.02), "mse", metrics=["mae"])
stop = cb.EarlyStopping("val_loss", patience=25, restore_best_weights=True)
lower = cb.ReduceLROnPlateau("val_loss", factor=0.7, patience=2)
best = cb.ModelCheckpoint(os.path.join(folder, "best.backlit"), save_best_only=True)
keep = cb.BackupAndRestore(os.path.join(folder, "backup"), save_freq=3)
history = model.fit(
    x, y, batch_size=8, epochs=40, verbose=0, validation_data=(x[:10] + 0.1, y[:10]), callbacks=[stop, lower, best, keep, Tell()]
)
digest = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
slots = hashlib.sha256(b"".join(s.array.tobytes() for each in model.slots().values() for s in each.values())).hexdigest()
say("end", json.dumps([
    digest, slots, history.history, history.epoch, model.iterations, repr(model.optimizer.learning_rate), stop.stopped_epoch,
    repr(stop.best), stop.wait, repr(best.best), lower.wait, lower.cooldown_counter,
]))
"""


def start(folder, block=""):
    """The training in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(folder), block],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(bl.__file__).parents[1])},
    )


def killed(folder, block, after):
    """Kill it when it stands still in a save, or when it has told of `after` batches; "" where it ended before that."""
    with start(folder, block) as child:
        batches = 0
        for line in child.stdout:
            batches += line.startswith("batch")
            if line.startswith("end"):
                return line
            if line.startswith("blocked") or (not block and batches > after):
                os.kill(child.pid, signal.SIGKILL)
                child.stdout.read()
                return ""
    raise AssertionError("the child failed")


def whole(folder):
    """Every file under a final name is whole; returns the others."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    for path in found:
        if path.suffix == ".backlit":
            assert bl.load_model(path).built
        elif path.suffix == ".backup":
            assert Snapshot.read(path).said["epoch"] >= 0
    return [path.name for path in found if path.suffix not in (".backlit", ".backup")]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a signal of POSIX")
def test_a_training_that_is_killed_twenty_times_ends_as_if_it_had_not_been(tmp_path):
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    straight.mkdir()
    broken.mkdir()
    with start(straight) as child:
        wanted = child.stdout.read().splitlines()[-1]
    rng = random.Random(4)
    moments = [("", rng.randrange(1, 16)) for _ in range(15)]
    moments += [(f"{side} {call} {rng.randrange(1, 5)}", 0) for side, call in (
        ("before", "fsync"), ("after", "fsync"), ("before", "replace"), ("before", "replace"), ("after", "replace"),
    )]  # fmt: skip
    rng.shuffle(moments)
    for block, after in moments:
        assert killed(broken, block, after) == "", "the training is long enough to be killed twenty times"
        assert all(name.endswith(".tmp") for name in whole(broken))
    last = killed(broken, "", 10**6)
    assert last.strip() == wanted.strip()
    assert (broken / "best.backlit").read_bytes() == (straight / "best.backlit").read_bytes()
    assert not (broken / "backup").exists(), "nothing is left of the backup, nor of the saves that were cut short"


def test_a_killed_save_leaves_the_file_before(tmp_path):
    """The first save of all leaves no file at all, the second one the first."""
    assert killed(tmp_path, "before replace 1", 0) == ""
    with pytest.raises(FileMissingError):
        Snapshot.read(tmp_path / "backup" / "training.backup")
    whole(tmp_path)
    assert killed(tmp_path, "before replace 3", 0) == ""
    assert Snapshot.read(tmp_path / "backup" / "training.backup").said["iterations"] > 0
