"""The programs under examples/, run as their READMEs say."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.engine.instance import Instance
from sluice.paths import ROOT
from sluice.pipeline.stack import Stack
from tests.e2e.core.test_documents import shell
from tests.support.pipeline import Pipeline, until

Run = Callable[[str], subprocess.CompletedProcess[str]]
FILE = "shipments.jsonl"
ROWS = 40


def blocks(example: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```$", (ROOT / "examples" / example / "README.md").read_text(), re.S | re.M)


@pytest.fixture
def run(instance: Instance, stack: Stack, tmp_path: Path) -> Run:
    """Runs a script in a copy of the examples, beside the Terraform modules that they use."""
    del stack  # deployed
    shutil.copytree(
        ROOT / "examples", tmp_path / "examples", ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*")
    )
    shutil.copytree(ROOT / "infra/modules", tmp_path / "infra/modules")
    (tmp_path / ".sluice").symlink_to(ROOT / ".sluice")
    return lambda script: shell(instance, f"cd {tmp_path}\n{script}")


def done(process: subprocess.CompletedProcess[str]) -> str:
    assert process.returncode == 0, f"{process.stdout}\n{process.stderr}"
    return process.stdout


def test_put_and_query_prints_what_its_readme_shows(run: Run, pipe: Pipeline) -> None:
    command, shown = blocks("put-and-query")
    body = (ROOT / "examples/put-and-query" / FILE).read_bytes()
    object_id = pipe.origin_of(f"bronze/shipments/examples/{FILE}", body).object_id
    if pipe.ledger.one(object_id) is not None:
        pytest.skip("the running stack has the example's object already; an engine of its own has not")
    assert done(run(command)) == shown
    entry = pipe.ledger.one(object_id)
    assert entry is not None
    assert (entry.number("rows_in"), entry.number("rows_silver"), entry.number("rows_quarantined")) == (5, 4, 1)
    assert [name for name in pipe.sqs.list_queues().get("QueueUrls", []) if "/example-" in name] == []


@pytest.fixture
def consumer(run: Run) -> Iterator[str]:
    """The table of the deployed consumer, which is destroyed at the end."""
    apply, _, _, destroy = blocks("your-own-consumer")[0].splitlines()
    try:
        done(run(apply))
        yield done(run(f"{destroy.removesuffix(' destroy')} output -raw table")).strip()
    finally:
        assert "Destroy complete!" in done(run(destroy))


def test_your_own_consumer_counts_an_object_once_whatever_is_redelivered(consumer: str, pipe: Pipeline) -> None:
    def stored() -> dict[str, Any] | None:
        item = pipe.dynamodb.get_item(TableName=consumer, Key={"object_id": {"S": put.object_id}}).get("Item")
        return (
            {"run": int(item["run"]["N"]), "rows": {k: int(v["N"]) for k, v in item["rows"]["M"].items()}}
            if item
            else None
        )

    records = shipping.records("shipments", 30, ROWS)
    put = pipe.put("shipments", formats.jsonl(records))
    pipe.wait(put)
    expected: dict[str, int] = {}
    for record in records:
        day = f"shipments/{record['event_time'][:10]}"
        expected[day] = expected.get(day, 0) + 1
    assert until("the consumer's item", stored) == {"run": 1, "rows": expected}

    [detail] = until("the event", lambda: pipe.mail.committed(put.object_id))
    # Straight to the consumer's queue: the bus has other subscribers, which know that there is no run 2.
    url = pipe.sqs.get_queue_url(QueueName=consumer)["QueueUrl"]
    for event in (detail | {"run": 0, "partitions": []}, detail | {"partitions": []}, detail | {"run": 2}):
        pipe.sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"detail": event}))
    until("the newer run", lambda: (item := stored()) and item["run"] == 2)
    assert stored() == {"run": 2, "rows": expected}


def test_replay_a_day_reprocesses_what_arrived_and_verifies(run: Run, pipe: Pipeline) -> None:
    put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 31, ROWS)))
    pipe.wait(put)
    before = pipe.files(put)
    [command] = blocks("replay-a-day")[0].splitlines()
    script = command.replace("bronze/shipments/", pipe.key("shipments", ""))
    assert "== source = ledger = silver + quarantine" in done(run(script))
    assert pipe.entry(put).number("run") == 2
    assert pipe.files(put) == before
    done(run(script))  # the same request: shows how it ended, starts nothing
    assert pipe.entry(put).number("run") == 2
    pipe.verified(pipe.key("shipments", ""))
    assert run("examples/replay-a-day/replay-a-day.sh").returncode == 2
