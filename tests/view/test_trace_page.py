"""The page of a trace, driven in a browser: steps, nudges, quiz. Without a Chromium these tests are skipped."""

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

import backlit as bl
from backlit.layers import Dense

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = """
<pre id="out"></pre><script>
const $ = (id) => document.getElementById(id), problems = [];
addEventListener("error", (event) => problems.push(event.message));
addEventListener("securitypolicyviolation", (event) => problems.push(event.violatedDirective));
const visible = (element) => getComputedStyle(element).visibility !== "hidden";
const seen = (selector) => [...document.querySelectorAll(selector)].filter(visible).map((e) => e.textContent);
const click = (element) => element.dispatchEvent(new MouseEvent("click", {bubbles: true}));
const type = (input, text) => { input.value = text; input.dispatchEvent(new Event("change")); };
addEventListener("load", () => { const out = (() => { %s })(); $("out").textContent = JSON.stringify({out, problems}); });
</script>"""


def driven(t, script, tmp_path, size="1280,800"):
    """What `script` returns, run in the page of a trace; no error may have been met."""
    path = tmp_path / "trace.html"
    path.write_text(t.to_html().replace("</body>", DRIVER % script + "</body>"), encoding="utf-8")
    command = [
        BROWSER,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        f"--window-size={size}",
        "--dump-dom",
        path.as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    found = json.loads(unescape(re.search(r'<pre id="out">(.*?)</pre>', dom, re.DOTALL)[1]))
    assert found["problems"] == []
    return found["out"]


pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="needs a Chromium")]


def course_graph():
    a, b, c = bl.variable(5.0, "a"), bl.variable(3.0, "b"), bl.variable(2.0, "c")
    u = bl.name(b * c, "u")
    v = bl.name(a + u, "v")
    return bl.trace(bl.name(3 * v, "J"))


def test_steps_forward_and_back(tmp_path):
    script = """
    const states = [];
    click($("first"));
    for (let k = 0; k < 10; k++) {
      states.push([$("count").textContent, seen("text[data-value]"), seen("text[data-slope]"), $("panel").textContent]);
      click($("next"));
    }
    click($("prev"));
    return [states, $("count").textContent];"""
    states, after = driven(course_graph(), script, tmp_path)
    assert [state[0] for state in states] == [f"{k} / 9" for k in range(10)] and after == "8 / 9"
    assert sorted(states[0][1]) == ["2", "3", "5"] and states[0][2] == []
    assert sorted(states[3][1]) == ["11", "2", "3", "5", "6", "J = 33"] and states[3][2] == []
    assert states[4][2] == ["1"] and sorted(states[9][2]) == ["1", "3", "3", "3", "6", "9"]
    assert "u = b * c = 3 * 2 = 6" in states[1][3] and "dJ/du · du/b" not in states[9][3]


def test_a_click_nudges_an_edge_and_all_that_follows(tmp_path):
    script = """
    click(document.querySelector('[data-node="b"]'));
    const first = [seen("text.moved"), $("result").textContent];
    $("eps").value = "1";
    click(document.querySelector('[data-node="u"] .v'));
    const second = [seen("text.moved"), $("result").textContent];
    click($("reset"));
    return [first, second, seen("text[data-value]"), seen("text.moved")];"""
    first, second, values, moved = driven(course_graph(), script, tmp_path)
    assert sorted(first[0]) == ["11.002", "3.001", "6.002", "J = 33.006"]
    assert "J goes from 33 to 33.006" in first[1] and "the derivative is 6" in first[1]
    assert sorted(second[0]) == ["12", "7", "J = 36"] and "the derivative is 3" in second[1]
    assert sorted(values) == ["11", "2", "3", "5", "6", "J = 33"] and moved == []


def test_the_quiz_tells_right_from_wrong(tmp_path):
    script = """
    click($("quiz"));
    const boxes = [...document.querySelectorAll("foreignObject input")];
    const box = (kind, name) => boxes.find((each) => each.dataset.kind === kind && each.dataset.name === name);
    type(box("value", "u"), "6"); type(box("slope", "b"), "3"); type(box("slope", "c"), "9.0");
    const kinds = ["value u", "slope b", "slope c", "slope a"].map((each) => box(...each.split(" ")).className);
    const told = $("panel").textContent, score = $("score").textContent;
    click($("reveal"));
    const all = $("score").textContent;
    click($("hide"));
    const none = [$("score").textContent, boxes.every((each) => each.value === "")];
    click($("quiz"));
    return [kinds, told, score, all, none, document.querySelectorAll("foreignObject").length, seen("text[data-slope]").length];"""
    kinds, told, score, all_, none, left, slopes = driven(course_graph(), script, tmp_path)
    assert kinds == ["value right", "slope wrong", "slope right", "slope"]
    assert score == "2 of 9 right" and all_ == "9 of 9 right" and none == ["0 of 9 right", True]
    assert "Fill in" in told and left == 0 and slopes == 6


@pytest.mark.parametrize("size", ["1280,800", "500,900"])
def test_a_network_on_the_screen_and_on_a_phone(tmp_path, size):
    model = bl.Sequential([bl.Input((3,)), Dense(4, "relu", name="L1"), Dense(1, "sigmoid", name="out")])
    model.compile("sgd", "binary_crossentropy")
    t = model.trace([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]], [[1.0], [0.0]])
    script = """
    click(document.querySelector('.row[data-value="W1"]'));
    const said = $("result").textContent;
    click($("quiz"));
    const box = [...document.querySelectorAll("foreignObject input")].find((each) => each.dataset.name === "W1");
    type(box, "(3, 4)");
    const fits = document.documentElement.scrollWidth <= innerWidth;
    return [said, box.className, fits, document.querySelectorAll("details").length];"""
    said, right, fits, folded = driven(t, script, tmp_path, size)
    assert "W1[" in said and "nudged by 0.001" in said and right == "value right"
    assert fits and folded == 4  # three layers that open, and the table
