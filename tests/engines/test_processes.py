"""What outlives a model, and what a child of a fork finds."""

import gc
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

import backlit as bl


@pytest.mark.parametrize("name", ["planned", "compiled"])
def test_a_model_that_is_not_needed_any_more_leaves_no_weights(name: str) -> None:
    model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(4, "relu"), bl.layers.Dense(1)])
    model.compile("adam", "mse", engine=name)
    model.fit(np.ones((5, 3)), np.ones((5, 1)), verbose=0, doctor="off")
    model.predict(np.ones((5, 3)), verbose=0)
    layer, weights = weakref.ref(model.layers[1]), weakref.ref(model.layers[1].kernel)
    del model
    gc.collect()
    assert layer() is None
    assert weights() is None


FORKED = """
import os, sys, threading, time
import numpy as np
import backlit as bl

def trained():
    model = bl.Sequential([bl.Input((3,)), bl.layers.Dense(20, "relu"), bl.layers.Dense(1)])
    model.compile("adam", "mse", engine=sys.argv[1])
    model.fit(np.ones((40, 3)), np.ones((40, 1)), epochs=3, verbose=0, doctor="off")

trained()
ended = threading.Event()

def go_on():
    while not ended.is_set():
        trained()

thread = threading.Thread(target=go_on)
thread.start()
for k in range(30):
    time.sleep(0.003 * (k % 7))
    child = os.fork()
    if child == 0:
        trained()
        os._exit(0)
    begun = time.monotonic()
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() - begun > 20:
            os.kill(child, 9)
            print("the child waits")
            os._exit(1)
        time.sleep(0.002)
ended.set()
thread.join()
print("all ended")
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["planned", "compiled"])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_children_train_though_another_thread_was_training_when_they_were_made(name: str) -> None:
    run = [sys.executable, "-W", "ignore", "-c", FORKED, name]
    done = subprocess.run(run, capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout.strip() == "all ended", done.stderr
