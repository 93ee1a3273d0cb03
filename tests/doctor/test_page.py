"""docs/doctor.md is what `make docs` writes: it says of every check what it looks for, from the check's own programs."""

import re

import pytest

from backlit.core.check import RANKS
from backlit.doctor.report import checks
from tools import doctor_page

PAGE = doctor_page.PAGE.read_text(encoding="utf-8")


def without_numbers(text):
    """Numbers that were measured may differ in their last digits from machine to machine."""
    return re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "N", text)


@pytest.mark.slow
def test_the_page_is_up_to_date():
    assert without_numbers(PAGE) == without_numbers(doctor_page.text()), "run `make docs`"


def test_every_check_is_on_the_page_with_what_it_finds():
    for check in checks():
        section = PAGE.partition(f"### {check.title()}\n")[2].partition("\n### ")[0]
        assert "criterion:" in section and f"{check.severity}: " in section and "  fix  " in section
        assert f"[{check.title()}](#{check.title()})" in PAGE


def test_sections_stand_in_the_order_of_causes():
    heads = [line[3:].lower() for line in PAGE.splitlines() if line.startswith("## ")]
    assert heads[:-3] == [rank for rank in RANKS if rank in heads]


def test_every_rule_that_is_asserted_has_a_name_and_every_source_is_known():
    assert set(doctor_page.RULES) == set(range(1, 59))
    assert {code for _, codes in doctor_page.RULES.values() for code in codes.split()} <= set(doctor_page.TOOLS)
    assert {rule for group in RANKS.values() for rule in group} == set(doctor_page.RULES)
