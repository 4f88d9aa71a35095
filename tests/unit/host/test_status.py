"""One screen: what is collected, what is remembered, what is shown, and what it is without a stack or an engine."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluice import cli, console
from sluice.commands._status_screen import pipeline_part
from sluice.pipeline.overview import Collector, Overview, Queue
from sluice_pipeline.ledger.items import State
from tests.support.fakes import FakeStack

NOON = datetime(2025, 3, 1, 12, 4, tzinfo=UTC)


@dataclass
class CloudWatch:
    """The age of the chunk queue's oldest message."""

    points: list[dict[str, Any]] = field(default_factory=list)

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        name = {"AWS/SQS": ("QueueName", "chunks"), "sluice-dev": ("service", "ingest")}[request["Namespace"]]
        assert request["Dimensions"] == [dict(zip(("Name", "Value"), name, strict=True))]
        return {"Datapoints": self.points}


@dataclass
class Topic:
    """A topic's subscriptions, two on a page."""

    arns: dict[str, str]
    arn: str = "arn:topic"

    def get_paginator(self, name: str) -> Topic:
        assert name == "list_subscriptions_by_topic"
        return self

    def paginate(self, TopicArn: str) -> list[dict[str, Any]]:  # noqa: N803
        assert TopicArn == self.arn
        found = [{"Endpoint": address, "SubscriptionArn": arn} for address, arn in self.arns.items()]
        return [{"Subscriptions": found[start : start + 2]} for start in range(0, len(found), 2)]


@pytest.fixture
def stack() -> FakeStack:
    """Three committed objects, a failed one and a planned one; messages in both queues."""
    stack = FakeStack()
    names = [stack.ingested(f"bronze/shipments/{n}.jsonl", 10, 2) for n in range(5)]
    for minute, name in enumerate(names):
        stack.object_item(name)["updated_at"] = f"2025-03-01T12:0{minute}:00.000Z"
    stack.object_item(names[3]).update(state="failed", failed_reason="retries_exhausted", error="5 tries")
    stack.object_item(names[0]).update(state="planned", chunks_done=0)
    stack.sqs.queues["http://sqs/chunks"] = ["a chunk"]
    stack.sqs.queues["http://sqs/chunks-dlq"] = ["rubbish", "rubbish"]
    stack.sqs.queues["http://sqs/ingest-dlq"] = ["[]"]
    stack.cloudwatch = CloudWatch([{"Timestamp": 1, "Maximum": 9.0}, {"Timestamp": 2, "Maximum": 42.0}])  # type: ignore[attr-defined]
    return stack


def test_one_look_collects_it_all(stack: FakeStack) -> None:
    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    assert seen.objects == {
        "planned": 1, "committing": 0, "staged": 0, "committed": 3, "failed": 1, "missing": 0, "withheld": 0,
    }  # fmt: skip
    assert [item["key"] for item in seen.unfinished] == ["bronze/shipments/0.jsonl"]
    assert [item["failed_reason"] for item in seen.failures] == ["retries_exhausted"]
    assert {queue.name: (queue.waiting, queue.oldest) for queue in seen.queues} == {
        "chunks": (1, 42.0), "chunk dead-letter queue": (2, None),
        "ingest": (0, None), "ingest dead-letter queue": (1, None),
    }  # fmt: skip
    assert seen.dead_letters == {"chunks: not a chunk message": 2, "ingest: not a JSON object": 1}
    assert seen.quarantine == {"shipments: malformed_json": 10}
    assert (seen.objects_per_minute, seen.rows_per_minute) == (0.6, 7.2)  # three of 12 rows in five minutes


def test_objects_that_were_passed_over_are_counted_in_one_line(stack: FakeStack) -> None:
    from rich.console import Console

    stack.sqs.queues["http://sqs/chunks"] = []
    stack.cloudwatch = CloudWatch([{"Sum": 3.0}, {"Sum": 1200.0}])  # type: ignore[attr-defined]
    assert Collector(stack).collect(NOON).passed_over == 0  # type: ignore[arg-type]  # a stack of an earlier version
    stack.outputs["metrics_namespace"] = "sluice-dev"
    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    assert seen.passed_over == 1203
    out = io.StringIO()
    Console(file=out, width=200).print(pipeline_part(seen))
    assert "1,203 objects passed over in the last day" in out.getvalue()


def test_an_address_that_has_not_confirmed_its_subscription_is_named(stack: FakeStack) -> None:
    from rich.console import Console

    waiting = "PendingConfirmation"
    stack.outputs["notifications_topic_arn"] = "arn:topic"
    stack.sns = Topic({"b@example.com": waiting, "c@example.com": "arn:topic:1", "a@example.com": waiting})  # type: ignore[attr-defined]
    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    assert seen.unconfirmed == ["a@example.com", "b@example.com"]
    out = io.StringIO()
    Console(file=out, width=200).print(pipeline_part(seen))
    assert "notices do not reach a@example.com, b@example.com: confirm" in out.getvalue()
    stack.sns = Topic({"c@example.com": "arn:topic:1"})  # type: ignore[attr-defined]
    assert Collector(stack).collect(NOON).unconfirmed == []  # type: ignore[arg-type]


def test_where_notices_are_gathered_the_address_subscribes_to_the_topic_of_mails(stack: FakeStack) -> None:
    stack.outputs |= {"notifications_topic_arn": "arn:topic", "mail_topic_arn": "arn:mail"}
    stack.sns = Topic({"a@example.com": "PendingConfirmation"}, "arn:mail")  # type: ignore[attr-defined]
    assert Collector(stack).collect(NOON).unconfirmed == ["a@example.com"]  # type: ignore[arg-type]


def test_looking_again_reads_only_what_has_changed(stack: FakeStack, monkeypatch: pytest.MonkeyPatch) -> None:
    collector = Collector(stack)  # type: ignore[arg-type]
    collector.collect(NOON)
    reads: list[str] = []
    get, receive = stack.s3.get_object, stack.sqs.receive_message

    def counted(kind: str, call: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **named: (reads.append(kind), call(*args, **named))[1]

    monkeypatch.setattr(stack.s3, "get_object", counted("file", get))
    monkeypatch.setattr(stack.sqs, "receive_message", counted("queue", receive))
    assert collector.collect(NOON).quarantine == {"shipments: malformed_json": 10}
    assert reads == []
    stack.ingested("bronze/shipments/new.jsonl", 1, 3)
    stack.sqs.queues["http://sqs/chunks-dlq"].append("rubbish")
    seen = collector.collect(NOON)
    assert seen.quarantine == {"shipments: malformed_json": 13}
    assert seen.dead_letters["chunks: not a chunk message"] == 3
    assert sorted(set(reads)) == ["file", "queue"]
    assert reads.count("file") == 1


def _state(key: str) -> str:
    return "committed" if key == "0" else key.removesuffix("#0")


def _queries(stack: FakeStack) -> Counter[tuple[str, str]]:
    """Requests to the ledger of one look: by state, and whether objects are counted or read."""
    stack.dynamodb.calls.clear()
    Collector(stack).collect(NOON)  # type: ignore[arg-type]
    return Counter(
        (_state(request["ExpressionAttributeValues"][":key"]["S"]), "count" if "Select" in request else "read")
        for request in stack.dynamodb.calls
        if "ExclusiveStartKey" not in request and "IndexName" in request
    )


def test_each_state_is_counted_once_and_read_once_where_it_has_objects(stack: FakeStack) -> None:
    counts = {(state, "count"): 1 for state in State}
    assert _queries(stack) == counts | {(state, "read"): 1 for state in ("planned", "committed", "failed")}
    assert _queries(FakeStack()) == counts


def test_failures_and_unmanaged_objects_come_of_one_read(stack: FakeStack) -> None:
    last = stack.object_item(stack.ingested("bronze/nosuch/0.jsonl", 1, 0))
    last.update(state="failed", failed_reason="unknown_dataset", updated_at="2025-03-01T01:00:00.000Z")
    for number in range(9):  # newer failures, of which only the last ones are shown
        item = stack.object_item(stack.ingested(f"bronze/shipments/failed-{number}.jsonl", 1, 0))
        item.update(state="failed", failed_reason="retries_exhausted", updated_at=f"2025-03-01T11:0{number}:00.000Z")
    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    assert seen.unmanaged == ["bronze/nosuch/0.jsonl"]
    names = [item["key"].rsplit("/")[-1] for item in seen.failures]
    assert names == ["3.jsonl", "failed-8.jsonl", "failed-7.jsonl", "failed-6.jsonl", "failed-5.jsonl"]


def test_the_screen_names_what_needs_an_operator(stack: FakeStack) -> None:
    from rich.console import Console

    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    out = io.StringIO()
    Console(file=out, width=200).print(pipeline_part(seen))
    text = out.getvalue()
    for words in (
        "failed: retries_exhausted",
        "5 tries",
        "4 min 00 s",
        "0/1",
        "chunks: not a chunk message",
        "0.6 objects/min",
    ):
        assert words in text
    for name in list(seen.to_dict()):
        json.dumps(seen.to_dict()[name])


# -- without a stack, without an engine --------------------------------------------------------------------------------


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(tmp_path))
    monkeypatch.delenv("TARGET", raising=False)
    if not cli.app.registered_commands:
        cli.register_verbs()


@dataclass
class Engine:
    running: bool = True
    healthy: bool = True
    home: str = "/home"
    endpoint_url: str = "http://127.0.0.1:4566"
    postgres_port: int = 5432
    engine_pid: int = 1
    postgres_pid: int = 2
    engine_memory: int = 1_000_000
    functions_memory: int = 0
    postgres_memory: int = 1_000_000
    uptime: float = 61.0
    faults: bool = False
    versions: dict[str, str] = field(default_factory=dict)
    kind: str = "embedded"
    containers: dict[str, str] = field(default_factory=dict)


class Bare:
    """A stack without outputs."""

    outputs: dict[str, str] = {}  # noqa: RUF012


@pytest.fixture
def undeployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.engine.status", lambda _: Engine())
    monkeypatch.setattr("sluice.pipeline.stack.Stack.load", lambda *_, **__: Bare())


@pytest.mark.usefixtures("nowhere")
def test_without_an_engine_it_says_how_to_start_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status"]) == 1
    assert "make up" in capsys.readouterr().err


@pytest.mark.usefixtures("nowhere", "undeployed")
def test_without_a_stack_the_engine_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status"]) == 0
    shown = capsys.readouterr()
    assert "http://127.0.0.1:4566" in shown.out
    assert "nothing is deployed" in shown.err
    assert cli.run(["status", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert (facts["running"], facts["pipeline"]) == (True, None)


@pytest.mark.usefixtures("nowhere", "undeployed")
def test_an_account_has_no_engine_part(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["status", "--target", "aws", "--env", "prod"]) == 1
    shown = capsys.readouterr()
    assert "127.0.0.1" not in shown.out
    assert "nothing is deployed to prod" in shown.err
    assert cli.run(["status", "--target", "moon"]) == 2


@pytest.mark.usefixtures("nowhere", "undeployed")
def test_watching_looks_again_and_again_until_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr("sluice.polling.time.sleep", wait)
    assert cli.run(["status", "--watch", "--interval", "1.5"]) == 0
    assert waits == [1.5] * 3
    assert "http://127.0.0.1:4566" in capsys.readouterr().out
    assert cli.run(["status", "--watch", "--json"]) == 2


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", ["shipments", "a_dataset_with_a_name_of_sixty_three_characters_" + "x" * 15])
def test_the_screen_fits_whatever_the_names_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, name: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(console, "_wide", None)
    at = "2026-03-01T12:00:00Z"
    key = f"bronze/{name}/" + "folder/" * 20 + "a.jsonl"
    item = {
        "object_id": "0a" * 16,
        "origin": {"key": key},
        "state": "failed",
        "failed_reason": "retries_exhausted",
        "error": "broken " * 50,
        "chunks_done": 1,
        "chunk_count": 12_345,
        "updated_at": "2026-03-01T11:57:00+00:00",
    }
    seen = Overview(
        at=at,
        objects={"committed": 12_345_678},
        unfinished=[item],
        queues=[Queue(f"{name} dead-letter queue", waiting=1, in_flight=2, delayed=3, oldest=4.0)],
        dead_letters={f"{name}: retries_exhausted": 3},
        quarantine={f"{name}: wrong_type": 7},
        quarantine_files=1,
        failures=[item],
        objects_per_minute=1.5,
        rows_per_minute=2.5,
        passed_over=4,
    )
    console.stdout().print(pipeline_part(seen))
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= width
    for whole in ("0a" * 6, "12,345,678", "3 min", "a.jsonl"):
        assert whole in out
