"""A smoke test's objects: rows that every dataset accepts, and a withdrawal that may die between any two calls."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from sluice.build.artifacts import compiled_datasets
from sluice.console import SluiceError
from sluice.demo import smoke_input
from sluice.paths import DATASETS_DIR
from sluice.pipeline import withdrawal
from sluice.pipeline.stack import Stack
from sluice.polling import Clock
from tests.support.fakes import FakeS3, FakeStack, _write
from tests.support.memory_dynamo import MemoryDynamo

DATASETS: dict[str, Any] = json.loads(compiled_datasets(DATASETS_DIR))["datasets"]
PREFIX = smoke_input.prefix_of("shipments")


@pytest.mark.parametrize("name", DATASETS)
def test_objects_of_every_dataset_have_distinct_rows_and_one_that_is_broken(name: str) -> None:
    dataset = DATASETS[name]
    lines, table, mixed = smoke_input.make(name, dataset, "r1")
    assert {one.upload.key.rpartition("/")[0] for one in (lines, table, mixed)} == {f"bronze/{name}/smoke/r1"}
    assert [json.loads(line) for line in lines.upload.body().splitlines()] == list(lines.good)
    read = list(csv.DictReader(io.StringIO(table.upload.body().decode())))
    assert read == [{field: str(value) for field, value in row.items()} for row in table.good]
    [broken, *rest] = [json.loads(line) for line in mixed.upload.body().splitlines()]
    assert (rest, dataset["partition_by"] in broken, mixed.bad) == (list(mixed.good), False, 1)
    assert mixed.upload.rows == len(mixed.good) + 1
    required = {field for field, spec in dataset["fields"].items() if spec.get("required")}
    assert all(required | {dataset["partition_by"]} <= row.keys() for one in (lines, table, mixed) for row in one.good)


def test_a_field_that_no_value_fits_is_named() -> None:
    dataset = {"partition_by": "at", "fields": {"at": {"type": "timestamp"}, "x": {"type": "json", "required": True}}}
    with pytest.raises(SluiceError, match="x: no value of type json can be made up"):
        smoke_input.make("d", dataset, "r1")


class Died(BaseException):
    """SIGKILL between two calls."""


class Dynamo(MemoryDynamo):
    """With what the host reads and deletes by."""

    def query(self, **request: Any) -> dict[str, Any]:
        return next(self.paginate(**request))

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self.before("BatchWriteItem")
        for request in next(iter(RequestItems.values())):
            key = request["DeleteRequest"]["Key"]
            self.items.pop((key["pk"]["S"], key["sk"]["S"]), None)
        self.after("BatchWriteItem")
        return {}


@dataclass
class Buckets(FakeS3):
    """With deletions of versions. `before`: called with each call's name."""

    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None

    def delete_objects(self, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        self.before("DeleteObjects")
        for one in Delete["Objects"]:
            versions = self.objects.get((Bucket, one["Key"]), [])
            left = [stored for stored in versions if stored.version_id != one["VersionId"]]
            if left:
                self.objects[Bucket, one["Key"]] = left
            else:
                self.objects.pop((Bucket, one["Key"]), None)
        self.after("DeleteObjects")
        return {}


@dataclass
class Bus:
    """The event bus. `runs`: of the announced objects, each without files."""

    before: Callable[[str], None] = lambda _: None
    after: Callable[[str], None] = lambda _: None
    runs: list[int] = field(default_factory=list)

    def put_events(self, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        self.before("PutEvents")
        [entry] = Entries
        detail = json.loads(entry["Detail"])
        assert (detail["partitions"], detail["partition_count"], detail["rows_silver"]) == ([], 0, 0)
        self.runs.append(detail["run"])
        self.after("PutEvents")
        return {"FailedEntryCount": 0}


class World:
    """A pipeline that has ingested three smoke objects and one of another sender's."""

    def __init__(self) -> None:
        made = FakeStack(s3=Buckets())
        self.other = made.ingested("bronze/shipments/day.jsonl", 2)
        for number in range(3):
            made.ingested(f"{PREFIX}r1/{number}.jsonl", 3 + number, bad=1, chunks=1 + number)
        self.s3, self.dynamo, self.events, self.sqs = made.s3, Dynamo(), Bus(), made.sqs
        for item in made.dynamodb.items:
            typed = _write(item)
            self.dynamo.items[typed["pk"]["S"], typed["sk"]["S"]] = typed
        clients = {"s3": self.s3, "dynamodb": self.dynamo, "events": self.events, "sqs": self.sqs}
        outputs = made.outputs | {"event_bus_name": "bus"}

        class Deployed(Stack):
            def client(self, service: str, **_: Any) -> Any:
                return clients[service]

        self.stack: Stack = Deployed(None, "us-east-1", outputs)
        self.seconds = 0.0

    @property
    def clock(self) -> Clock:
        def sleep(seconds: float) -> None:
            self.seconds += seconds

        return Clock(lambda: self.seconds, sleep)

    def withdraw(self, seconds: float = 60) -> int:
        found = withdrawal.find(self.stack, [PREFIX])
        withdrawal.withdraw(self.stack, found, seconds=seconds, clock=self.clock)
        return len(found)

    def dies(self, at: int, when: str) -> None:
        """The process dies before or after the call of this number, of those that change something."""
        calls = 0

        def count(_: str) -> None:
            nonlocal calls
            calls += 1
            if calls == at + 1:
                raise Died

        for client in (self.s3, self.dynamo, self.events):
            setattr(client, when, count)

    def lives(self) -> None:
        for client in (self.s3, self.dynamo, self.events):
            client.before = client.after = lambda _: None  # type: ignore[attr-defined]

    def is_clean(self) -> None:
        """Only the other sender's object is left, as it was."""
        assert {pk for pk, _ in self.dynamo.items} == {f"object#{self.other}"}
        keys = [key for _, key in self.s3.objects]
        assert sorted(keys) == [
            "bronze/shipments/day.jsonl", f"silver/shipments/dt=2025-03-01/{self.other}-00000.parquet",
        ]  # fmt: skip


def test_a_withdrawal_takes_out_everything_of_its_objects_and_nothing_else() -> None:
    world = World()
    assert world.withdraw() == 3
    world.is_clean()
    assert world.events.runs == [2, 2, 2]
    assert world.withdraw() == 0


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(16))
def test_a_withdrawal_that_died_anywhere_is_ended_by_the_next(at: int, when: str) -> None:
    world = World()
    world.dies(at, when)
    with pytest.raises(Died):
        world.withdraw()
    world.lives()
    world.withdraw()
    world.is_clean()


def test_the_sweep_above_reaches_the_last_call() -> None:
    world = World()
    world.dies(16, "before")
    world.withdraw()
    world.is_clean()


def test_what_is_still_being_processed_is_left_alone() -> None:
    world = World()
    before = dict(world.s3.objects)
    [item, *_] = [item for (_, sk), item in world.dynamo.items.items() if sk == "object" and PREFIX in str(item)]
    item["state"] = {"S": "planned"}
    with pytest.raises(SluiceError, match="is still being processed"):
        world.withdraw()
    assert (world.s3.objects, world.events.runs) == (before, [])


def test_a_queue_that_is_never_empty_leaves_the_objects_to_the_next() -> None:
    world = World()
    world.sqs.queues = {url: ["m"] for url in _queues(world.stack)}
    with pytest.raises(SluiceError, match=r"did not catch up in 60 s: the next smoke removes what is left"):
        world.withdraw()
    world.sqs.queues.clear()
    assert world.withdraw() == 3
    world.is_clean()


def test_an_object_that_was_never_ingested_is_deleted() -> None:
    world = World()
    world.s3.put_object(world.stack["bronze_bucket"], f"{PREFIX}r2/new.jsonl", b"{}\n")
    assert world.withdraw() == 4
    world.is_clean()


def _queues(stack: Stack) -> list[str]:
    from sluice.pipeline.branches import Branches

    return list(Branches.of(stack).sources.values())
