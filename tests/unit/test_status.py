"""One screen: what is collected, what is remembered, what is shown, and what it is without a stack or an engine."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sluice import cli
from sluice.ops import status
from sluice.ops.overview import Collector
from sluice.ops.screen import pipeline_part
from tests.unit.data_fakes import FakeStack

NOON = datetime(2025, 3, 1, 12, 4, tzinfo=UTC)


@dataclass
class CloudWatch:
    """The age of the chunk queue's oldest message."""

    points: list[dict[str, Any]] = field(default_factory=list)

    def get_metric_statistics(self, **request: Any) -> dict[str, Any]:
        assert request["Dimensions"] == [{"Name": "QueueName", "Value": "chunks"}]
        return {"Datapoints": self.points}


@pytest.fixture
def stack() -> FakeStack:
    """Three committed objects, a failed one and a planned one; letters in both queues."""
    stack = FakeStack()
    names = [stack.take_in(f"bronze/shipments/{n}.jsonl", 10, 2) for n in range(5)]
    for minute, name in enumerate(names):
        stack.object_item(name)["updated_at"] = f"2025-03-01T12:0{minute}:00.000Z"
    stack.object_item(names[3]).update(state="failed", failed_reason="gave_up", error="5 tries")
    stack.object_item(names[0]).update(state="planned", chunks_done=0)
    stack.sqs.queues["http://sqs/chunks"] = ["a chunk"]
    stack.sqs.queues["http://sqs/chunks-dlq"] = ["rubbish", "rubbish"]
    stack.sqs.queues["http://sqs/ingest-dlq"] = ["[]"]
    stack.cloudwatch = CloudWatch([{"Timestamp": 1, "Maximum": 9.0}, {"Timestamp": 2, "Maximum": 42.0}])  # type: ignore[attr-defined]
    return stack


def test_one_look_collects_it_all(stack: FakeStack) -> None:
    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    assert seen.objects == {"planned": 1, "committing": 0, "committed": 3, "failed": 1, "missing": 0}
    assert [item["key"] for item in seen.unfinished] == ["bronze/shipments/0.jsonl"]
    assert [item["failed_reason"] for item in seen.failures] == ["gave_up"]
    assert {queue.name: (queue.waiting, queue.oldest) for queue in seen.queues} == {
        "chunks": (1, 42.0), "chunk dead letters": (2, None), "ingest dead letters": (1, None),
    }  # fmt: skip
    assert seen.dead_letters == {"chunks: no chunk message": 2, "ingest: no JSON object": 1}
    assert seen.quarantine == {"shipments: malformed_json": 10}
    assert (seen.objects_per_minute, seen.rows_per_minute) == (0.6, 7.2)  # three of 12 rows in five minutes


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
    stack.take_in("bronze/shipments/new.jsonl", 1, 3)
    stack.sqs.queues["http://sqs/chunks-dlq"].append("rubbish")
    seen = collector.collect(NOON)
    assert seen.quarantine == {"shipments: malformed_json": 13}
    assert seen.dead_letters["chunks: no chunk message"] == 3
    assert sorted(set(reads)) == ["file", "queue"]
    assert reads.count("file") == 1


def test_the_screen_names_what_needs_somebody(stack: FakeStack) -> None:
    from rich.console import Console

    seen = Collector(stack).collect(NOON)  # type: ignore[arg-type]
    out = io.StringIO()
    Console(file=out, width=200).print(pipeline_part(seen))
    text = out.getvalue()
    for words in ("failed: gave_up", "5 tries", "4 min 00 s", "0/1", "chunks: no chunk message", "0.6 objects/min"):
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
    monkeypatch.setattr("sluice.stack.Stack.load", lambda *_, **__: Bare())


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

    monkeypatch.setattr(status.time, "sleep", wait)
    assert cli.run(["status", "--watch", "--interval", "1.5"]) == 0
    assert waits == [1.5] * 3
    assert "http://127.0.0.1:4566" in capsys.readouterr().out
    assert cli.run(["status", "--watch", "--json"]) == 2
