"""What all suites share: what runs side by side when pytest runs in parallel, and figures in the summary."""

from __future__ import annotations

import os
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
OWN_ENGINES = tuple(f"tests/e2e/test_{name}.py" for name in ("docker_engine", "docker_faults", "engine_lifecycle"))


# The end-to-end suites mostly wait, so in parallel they run in two halves, each with an engine and a stack of its own.
# These are the second half; whatever says ``[first]`` or ``[second]`` is asked of both.
SECOND_HALF = tuple(
    f"tests/e2e/test_{name}"
    for name in (
        "api",
        "checkins",
        "entities",
        "entity_queries",
        "feedback",
        "load",
        "poison",
        "replay",
        "soak",
        "volume",
    )
)
HALVES = ("first", "second")


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """``-n 3``: both halves of the end-to-end suites beside all others; each group keeps its order."""

    def _split_scope(self, nodeid: str) -> str:
        if not nodeid.startswith("tests/e2e/") or nodeid.startswith(OWN_ENGINES):
            return "others"
        for half in HALVES:
            if f"[{half}]" in nodeid:
                return half
        return "second" if nodeid.startswith(SECOND_HALF) else "first"


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    return Groups(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that wants ``half`` is asked of each half's stack, and once when there are no halves."""
    if "half" in metafunc.fixturenames:
        metafunc.parametrize("half", HALVES if "PYTEST_XDIST_WORKER" in os.environ else ["whole"])


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
