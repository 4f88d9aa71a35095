"""Runs last: after everything above, nothing is queued, every row is accounted for, and nothing has drifted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sluice import terraform
from sluice.engine.instance import Instance
from sluice.pipeline import queues, verify
from sluice.pipeline.dead_letters import DeadLetters, describe
from sluice.pipeline.stack import Stack
from sluice.terraform import settings
from tests.infra.planning import planned_addresses
from tests.support.pipeline import until
from tests.support.session import DEV, GATHER, RECONCILE, RUNNING, TEST_VARS

HIDDEN = 240.0  # seconds


@pytest.mark.usefixtures("half")
def test_every_queue_is_empty(stack: Stack) -> None:
    dead = DeadLetters(stack)
    assert [describe(one) for name in dead.names for one in dead.with_reasons(dead.look(name))] == []
    gathered = {"digest": 0, "digest dead-letter queue": 0} if stack.outputs.get("digest_queue_url") else {}
    if gathered:  # a notice that found no capacity is hidden for six timeouts of its function
        url, sqs = stack["digest_queue_url"], stack.client("sqs")
        until("the last mail", lambda: not queues.depth(sqs, url).total, HIDDEN)
    assert {name: depth.total for name, depth in queues.depths(stack).items()} == gathered | {
        "chunks": 0,
        "chunk dead-letter queue": 0,
        "ingest": 0,
        "ingest dead-letter queue": 0,
        "event dead-letter queue": 0,
        "loads": 0,
        "load dead-letter queue": 0,
        "feedback": 0,
        "feedback dead-letter queue": 0,
        "lake": 0,
        "lake dead-letter queue": 0,
        "quality": 0,
        "quality dead-letter queue": 0,
    }


@pytest.mark.usefixtures("half")
def test_source_ledger_silver_and_quarantine_agree_on_every_object(stack: Stack) -> None:
    report = verify.verify(stack)
    assert report.objects
    assert report.ok, "\n".join(difference.line() for difference in report.differences)


def test_what_was_applied_is_what_the_plain_provider_plans_for_an_account(stack: Stack, instance: Instance) -> None:
    del stack  # deployed
    state = json.loads(settings.state_file(instance).read_text())
    applied = {
        ".".join(filter(None, [resource.get("module"), resource["type"], resource["name"]])) + _key(found)
        for resource in state["resources"]
        if resource["mode"] == "managed"
        for found in resource["instances"]
    }
    variables = {} if RUNNING else {name: str(TEST_VARS[name]) for name in (GATHER, RECONCILE)}
    assert applied == planned_addresses(DEV, **variables)


def test_a_second_plan_after_apply_is_empty(stack: Stack, instance: Instance, infra: Path) -> None:
    del stack  # deployed
    plan = terraform.plan(instance, DEV, {} if RUNNING else TEST_VARS, infra)
    assert [str(change) for change in plan.changes] == []


def _key(found: dict[str, Any]) -> str:
    """``[0]`` or ``["name"]``, as Terraform writes the address of one of several."""
    return f"[{json.dumps(found['index_key'])}]" if "index_key" in found else ""
