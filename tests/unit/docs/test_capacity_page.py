"""docs/capacity.md: its tables are what its commands print today, and each measured figure is that of the formulas."""

from __future__ import annotations

import re

from sluice.bench import capacity, prices
from tests.support import capacity_page


def test_the_tables_are_those_of_the_commands() -> None:
    assert capacity_page.PAGE.read_text() == capacity_page.written(), "run: python -m tests.support.capacity_page"


def test_the_page_has_two_scales_and_says_what_does_not_hold() -> None:
    commands = capacity_page.BLOCK.findall(capacity_page.PAGE.read_text())
    assert [re.findall(r"per-day (\S+)", command) for _, command, _ in commands] == [["10e6", "10e12"], ["10e3", "1e9"]]


def test_the_page_states_the_figures_of_the_formulas_and_the_date_of_the_prices() -> None:
    text = capacity_page.PAGE.read_text()
    assert prices.AS_OF in text
    for value in (
        capacity.INGEST_MB_PER_S,
        capacity.TRANSFORM_MB_PER_S,
        capacity.LOAD_MB_PER_S,
        capacity.SILVER_SHARE,
        capacity.WAL_SHARE,
    ):
        assert f"| {value:g} |" in text
    for value in (capacity.CALL_WAIT_S * 1000, capacity.CALL_CPU_S * 1000, capacity.COMPACTION_MB_PER_DPU_S):
        assert f"| {value:g} |" in text
