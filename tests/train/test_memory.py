"""Data that do not fit into memory: nothing of X is copied but the batch."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import backlit as bl

ROOT = str(Path(bl.__file__).parents[1])
ALLOWED = 60.0  # MB beyond what the process had before
PROGRAM = """
import json, sys, threading, time
import numpy as np
import backlit as bl

ROWS, WIDTH = 2_000_000, 128
path, form = sys.argv[1:]
if form == "columns":
    x = np.lib.format.open_memmap(path, "w+", "float32", (ROWS, WIDTH), fortran_order=True)
else:
    x = np.lib.format.open_memmap(path, "w+", "uint8" if form == "bytes" else "float32", (ROWS, WIDTH))
x[::200_000] = 1
del x
x = np.load(path, mmap_mode="r")
y = np.zeros(ROWS, "float32")


def anonymous():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("RssAnon")) / 1024


model = bl.Sequential([bl.Input((WIDTH,)), bl.layers.Dense(16, "relu"), bl.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(x[:64], y[:64], verbose=0)
before, seen = anonymous(), []
done = threading.Event()


def watch():
    while not done.wait(0.005):
        seen.append(anonymous())


watcher = threading.Thread(target=watch)
watcher.start()
began = time.perf_counter()
if form == "predict":
    model.predict(x[:400_000])
    model.evaluate(x, y, batch_size=4096, steps=50)
else:
    model.fit(x, y, batch_size=1024, steps_per_epoch=20, validation_split=0.25, validation_steps=5, verbose=0)
done.set()
watcher.join()
print(json.dumps({"peak": max(seen) - before, "seconds": time.perf_counter() - began}))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="reads /proc")
@pytest.mark.parametrize("form", ["rows", "columns", "bytes", "predict"])
def test_a_gigabyte_on_disk_stays_there(tmp_path, form):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "x.npy"), form]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": ROOT})
    found = json.loads(done.stdout)
    print(f"{form}: {found['peak']:.0f} MB beyond the process, {found['seconds']:.1f} s")
    assert found["peak"] < ALLOWED
