"""What all suites share: two workers when pytest runs in parallel, and figures in the summary."""

from __future__ import annotations

import sys
from pathlib import Path

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).parent
# The extension's pure parts are used without an engine.
sys.path.append(str(HERE.parent / "localstack" / "extension"))


# A busy machine is no failing test: timings belong in benchmarks.
hypothesis.settings.register_profile("sluice", deadline=None)
hypothesis.settings.load_profile("sluice")


# End-to-end suites that start engines of their own: they need no deployed stack and go with the group that ends first.
OWN_ENGINES = ("tests/e2e/test_engine_lifecycle.py", "tests/e2e/test_docker_engine.py")


class TwoGroups(LoadScopeScheduling):  # type: ignore[misc]
    """With ``-n 2`` the end-to-end suites, which mostly wait, run beside all others; each group keeps its order."""

    def _split_scope(self, nodeid: str) -> str:
        return "e2e" if nodeid.startswith("tests/e2e/") and not nodeid.startswith(OWN_ENGINES) else "others"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> TwoGroups:
    return TwoGroups(config, log)


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
