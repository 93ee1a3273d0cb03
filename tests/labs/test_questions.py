"""The page of questions tells what its programs print today."""

from __future__ import annotations

import re

import pytest

from tools import questions
from tools.asked import QUESTIONS, SETUP, Question

PAGE = questions.PAGE.read_text(encoding="utf-8")
SECTIONS = {section.split()[0]: section for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]}


def unnumbered(text: str) -> str:
    """Words alone: times differ from run to run, and the last digits from machine to machine."""
    return " ".join(re.sub(r"[-−+]?\d[\d,.]*(e[+-]?\d+)?|\[|\]|nan|inf", " ", text).split())


def test_all_fifty_eight_are_there() -> None:
    assert list(SECTIONS) == [question.name for question in QUESTIONS] == [f"Q{k:03}" for k in range(1, 59)]
    assert SETUP in PAGE


@pytest.mark.slow
@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.name)
def test_the_page_says_what_the_program_says(question: Question) -> None:
    text, figure = questions.answered(question)
    section = SECTIONS[question.name]
    assert f"```python\n{question.program}\n```" in section, "make docs"
    told = re.search(r"```text\n(.*?)\n```", section, re.DOTALL)
    assert unnumbered(told[1] if told else "") == unnumbered(text)
    assert ("![" in section) == (figure is not None)
    if figure is not None:
        assert (questions.PICTURES / f"{question.name}.png").exists() and figure.get_suptitle().strip()
