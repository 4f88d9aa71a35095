"""docs/limits.md names the test of each limit."""

import re
from pathlib import Path

import pytest

from sluice.paths import ROOT

NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", Path(ROOT, "docs", "limits.md").read_text())))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_every_test_that_the_page_names_exists(file: str, name: str) -> None:
    assert f"def {name}(" in (ROOT / file).read_text()


def test_every_limit_has_a_test() -> None:
    rows = [line for line in Path(ROOT, "docs", "limits.md").read_text().splitlines() if line.startswith("| ")]
    limits = [row for row in rows if not row.startswith(("| limit |", "|---"))]
    assert len(limits) >= 14
    assert all("`tests/" in row for row in limits)
