"""What all suites share: two workers when pytest runs in parallel, and figures in the summary."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).parent
# The extension's pure parts are used without an engine.
sys.path.append(str(HERE.parent / "localstack" / "extension"))


# A busy machine is no failing test: timings belong in benchmarks.
hypothesis.settings.register_profile("sluice", deadline=None)
hypothesis.settings.load_profile("sluice")


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """With ``-n 2 --dist loadgroup`` the end-to-end suites, which mostly wait, run beside all others.

    Both keep their order and their one engine.
    """
    for item in items:
        suite = item.path.relative_to(HERE).parts[0]
        item.add_marker(pytest.mark.xdist_group("e2e" if suite == "e2e" else "others"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded with ``record_property("figure", text)``."""
    reports = [report for reports in terminalreporter.stats.values() for report in reports]
    figures = [
        value
        for report in reports
        for name, value in getattr(report, "user_properties", [])
        if name == "figure" and getattr(report, "when", "") == "call"
    ]
    if figures:
        terminalreporter.section("figures")
        for figure in figures:
            terminalreporter.write_line(str(figure))
