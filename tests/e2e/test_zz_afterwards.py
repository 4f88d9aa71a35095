"""Runs last: after everything above, nothing is queued, every row is accounted for, and nothing has drifted."""

from __future__ import annotations

from pathlib import Path

from sluice import terraform
from sluice.data import queues, verify
from sluice.instance import Instance
from sluice.stack import Stack
from tests.e2e.conftest import DEV, RUNNING, TEST_VARS


def test_every_queue_is_empty(stack: Stack) -> None:
    assert {name: depth.total for name, depth in queues.depths(stack).items()} == {
        "chunks": 0,
        "chunk dead letters": 0,
        "ingest dead letters": 0,
    }


def test_source_ledger_silver_and_quarantine_agree_on_every_object(stack: Stack) -> None:
    report = verify.verify(stack)
    assert report.objects
    assert report.ok, "\n".join(difference.line() for difference in report.differences)


def test_a_second_plan_is_empty(stack: Stack, instance: Instance, infra: Path) -> None:
    del stack  # deployed
    plan = terraform.plan(instance, DEV, {} if RUNNING else TEST_VARS, infra)
    assert [str(change) for change in plan.changes] == []
