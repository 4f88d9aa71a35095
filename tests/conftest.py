"""What all suites share: what runs side by side when pytest runs in parallel, and figures in the summary."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.support import tested, thorough
from tests.support.groups import GROUPS, HALVES, group_of

HERE = Path(__file__).parent
# The extension's pure parts are used without an engine.
sys.path.append(str(HERE.parent / "localstack" / "extension"))


# A busy machine is no failing test: timings belong in benchmarks. Examples are others each time.
hypothesis.settings.register_profile("sluice", deadline=None, max_examples=thorough.examples(100))
hypothesis.settings.load_profile("sluice")


# Seconds after which a test is taken to hang, by its tier; a busy machine is no failing test. A sweep has hundreds of
# runs in one test.
TIME_LIMITS = {"tests/unit/": 120, "tests/contract/": 240, "tests/e2e/": 600}
SWEEP_SECONDS = 1800 if os.environ.get("SWEEP") == "full" else 900


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leaves the thorough tests out, and gives each the time limit of its tier, unless it has one of its own.

    Fixtures are not counted: the first end-to-end test waits for the deployment of the stack.
    """
    thorough.leave_out(config, items)
    for item in items:
        if item.get_closest_marker("timeout"):
            continue
        limit = next((seconds for folder, seconds in TIME_LIMITS.items() if item.nodeid.startswith(folder)), None)
        if item.get_closest_marker("sweep"):
            limit = SWEEP_SECONDS
        if limit:
            item.add_marker(pytest.mark.timeout(limit, func_only=True))


def pytest_configure(config: pytest.Config) -> None:
    """What is built counts as tested when the whole suites pass with it."""
    tested.begin(config)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """The end of what `pytest_configure` began."""
    tested.end(session.config, session, exitstatus)


class Groups(LoadScopeScheduling):  # type: ignore[misc]
    """``-n 4``: each group in one worker."""

    def _split_scope(self, nodeid: str) -> str:
        return group_of(nodeid)

    def _assign_work_unit(self, node: object) -> None:
        self.workqueue.move_to_end(min(self.workqueue, key=GROUPS.index), last=False)
        super()._assign_work_unit(node)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Groups:
    return Groups(config, log)


def pytest_testnodedown(node: Any) -> None:
    """What a worker of xdist has counted."""
    thorough.count(node.config, getattr(node, "workeroutput", {}))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that wants ``half`` is asked of each half's stack, and once when there are no halves."""
    if "half" in metafunc.fixturenames:
        metafunc.parametrize("half", HALVES if "PYTEST_XDIST_WORKER" in os.environ else ["whole"])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """What failed is named at once: a run that is stopped before its summary has said it."""
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        sys.stdout.write(f"\n{report.outcome} ({report.when}, {report.duration:.0f} s): {report.nodeid}\n")
        sys.stdout.flush()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Figures that tests recorded with ``record_property("figure", text)``, and how many tests were left out."""
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
    if said := thorough.line(terminalreporter.config):
        terminalreporter.write_line(said)
