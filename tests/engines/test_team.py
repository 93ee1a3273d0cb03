"""Several threads in one step: the same bits whoever does what, whatever else runs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import backlit as bl
from backlit import layers
from backlit.core.errors import ValueRangeError
from backlit.engines import parts, sharing
from backlit.engines.team import Team, team
from backlit.engines.threads import threads

ROWS, FEATURES = 96, 24


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything is shared, however little it is."""
    monkeypatch.setattr(sharing, "_PRODUCT", 64)
    monkeypatch.setattr(sharing, "_PASS", 32)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)


def _data() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, FEATURES)).astype("float32"), rng.integers(0, 3, ROWS)


def _model(seed: int = 0) -> bl.Sequential:
    bl.random.set_seed(seed)
    model = bl.Sequential([bl.Input((FEATURES,)), layers.Dense(40, "relu"), layers.Dense(3)])
    model.compile(engine="compiled", optimizer="adam", loss=bl.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def _trained(model: bl.Sequential, epochs: int = 3) -> list[np.ndarray]:
    X, y = _data()
    model.fit(X, y, batch_size=40, epochs=epochs, verbose=0, doctor="off")
    return [np.array(each) for each in model.get_weights()]


def _same(one: list[np.ndarray], other: list[np.ndarray]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.usefixtures("small_parts")
def test_twenty_trainings_and_any_number_of_threads_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_THREADS", "1")
    alone = _trained(_model())
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2}, raising=False)
    for count in ("2", "3") * 10:
        monkeypatch.setenv("BACKLIT_THREADS", count)
        assert _same(_trained(_model()), alone)


@pytest.mark.usefixtures("small_parts")
def test_trainings_in_several_threads_of_python_give_the_same_bits() -> None:
    models = [_model(seed) for seed in range(4)]
    alone = [_trained(_model(seed), epochs=10) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda model: _trained(model, epochs=10), models))
    assert all(_same(a, b) for a, b in zip(alone, together, strict=True))


@pytest.mark.usefixtures("small_parts")
def test_elementwise_sums_in_parts_agree_with_reference() -> None:
    x = bl.input((bl.M, 50), name="x", dtype="float32")
    cost = bl.ops.sum(bl.ops.tanh(x) * 2 + 1)
    value = np.random.default_rng(0).normal(size=(70, 50)).astype("float32")
    compiled, reference = (bl.compile(cost, [x], engine=name)(value) for name in ("compiled", "reference"))
    assert compiled == pytest.approx(float(reference), rel=1e-5)


@pytest.mark.slow
@pytest.mark.usefixtures("small_parts")
def test_a_helper_does_some_of_the_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    shares: list[tuple[int, int]] = []
    monkeypatch.setattr(
        Team, "_judge", lambda self: shares.append((int(self.place[parts.OWN]), int(self.place[parts.ALL])))
    )
    team().alone = 0
    model, deadline = _model(), time.monotonic() + 20
    while time.monotonic() < deadline and not any(own < every for own, every in shares):
        _trained(model)
    assert any(own < every for own, every in shares)


def test_helpers_that_bring_nothing_are_left_out_for_a_while_and_then_asked_again() -> None:
    judged = Team()
    pauses = []
    for took, waited, own, every in [(100, 60, 5, 10)] * 8 + [(100, 0, 5, 10), (100, 90, 5, 10), (0, 0, 0, 0)]:
        judged.place[parts.TOOK : parts.ALL + 1] = took, waited, own, every
        judged._judge()
        pauses.append(judged.pause)
    assert pauses == [1, 3, 7, 15, 31, 63, 63, 63, 0, 1, 1]


def test_who_asks_while_the_team_is_at_work_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1}, raising=False)
    ours = Team()
    with ours.at_work() as first, ours.at_work() as second:
        assert first != 0 and second == 0
    with ours.at_work() as again:
        assert again != 0


def test_one_thread_has_no_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKLIT_THREADS", "1")
    before = threading.active_count()
    with Team().at_work() as place:
        assert place == 0 and threading.active_count() == before


def test_the_setting_lowers_the_number_of_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(4)), raising=False)
    found = []
    for text in ("", "1", "3", "64"):
        monkeypatch.setenv("BACKLIT_THREADS", text)
        found.append(threads())
    assert found == [4, 1, 3, 4]
    for text in ("0", "-2", "two"):
        monkeypatch.setenv("BACKLIT_THREADS", text)
        with pytest.raises(ValueRangeError, match="BACKLIT_THREADS"):
            threads()


FORKED = """
import os, warnings
from tests.engines import test_team as t
from backlit.engines import sharing
sharing._PRODUCT, sharing._PASS = 64, 32
os.sched_getaffinity = lambda process: {0, 1}
alone = t._trained(t._model())
warnings.simplefilter("ignore")
child = os.fork()
if child == 0:
    os._exit(0 if t._same(t._trained(t._model()), alone) else 1)
_, status = os.waitpid(child, 0)
print("child", os.waitstatus_to_exitcode(status), t._same(t._trained(t._model()), alone))
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_child_trains_as_its_parent() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.split() == ["child", "0", "True"], done.stderr
