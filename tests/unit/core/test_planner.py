"""Ingest's plan: how an object is cut, and what a second look at a known object does."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from core.ingest.cut import Limits
from core.ingest.planner import Planner, ScanUnfinished
from fixtures import aws_events, formats, shipping
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import Catalog, parse_catalog
from sluice_pipeline.catalog.deployed import DatasetsUnavailable, Rules
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.events.notifications import Notification, UnknownEvent
from sluice_pipeline.ledger.items import ChunkState, State
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.failures import Failure, ObjectFailed
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.storage import Head
from tests.support.handlers import ProjectDatasets

CATALOG = parse_catalog(compile_catalog(Path(__file__).parents[3] / "datasets"))
LIMITS = Limits(chunk_bytes=1000, single_chunk_bytes=5000)
BLOCK = 700


@dataclass
class FakeStorage:
    body: bytes
    metadata: dict[str, str] = field(default_factory=dict)
    read: list[int] = field(default_factory=list)

    def head(self, ref: ObjectRef, size: int) -> Head:
        assert ref.size == len(self.body)
        return Head(self.body[:size], self.metadata)

    def checksum(self, _ref: ObjectRef) -> str:
        return "CRC64NVME:x"

    def blocks(self, _ref: ObjectRef, start: int = 0) -> Iterator[bytes]:
        for begin in range(start, len(self.body), BLOCK):
            self.read.append(begin)
            yield self.body[begin : begin + BLOCK]


@dataclass
class FakeLedger:
    """The ledger's promises in memory: one plan for each object, and runs that follow one another."""

    item: dict[str, Any] | None = None
    plan: list[dict[str, Any]] = field(default_factory=list)

    def planned(self, object_id: str, _content_id: str) -> tuple[dict[str, Any] | None, set[str]]:
        known = self.item and self.item["object_id"] == object_id
        return (dict(self.item) if self.item and known else None), set()

    def create_plan(
        self, ref: ObjectRef, origin: Origin, dataset: str, chunks: Sequence[Chunk], rules: RulesVersion, *_: object
    ) -> dict[str, Any] | None:
        if self.item and self.item["chunk_count"]:
            return None
        self.item = asdict(ref) | {"origin": asdict(origin), "dataset": dataset, "state": State.PLANNED}
        self.item |= {"object_id": origin.object_id}
        self.item |= {"chunk_count": len(chunks), "run": 1, "rules": rules.to_dict()}
        self.plan = [{"chunk": chunk, "chunk_state": ChunkState.PENDING} for chunk in chunks]
        return self.item

    def open_run(self, ref: ObjectRef, old: dict[str, Any], rules: RulesVersion) -> dict[str, Any] | None:
        assert self.item is not None
        if old["run"] != self.item["run"]:
            return None
        self.item |= asdict(ref) | {"state": State.PLANNED, "run": old["run"] + 1, "rules": rules.to_dict()}
        for chunk in self.plan:
            chunk["chunk_state"] = ChunkState.PENDING
        return self.item

    def open_chunks(self, _item: dict[str, Any]) -> list[Chunk]:
        return [chunk["chunk"] for chunk in self.plan if chunk["chunk_state"] != ChunkState.DONE]


@dataclass
class FakeSqs:
    bodies: list[str] = field(default_factory=list)
    refuse: bool = False

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        assert QueueUrl == "url"
        assert len(Entries) <= 10
        if self.refuse:
            return {"Failed": [{"Id": Entries[-1]["Id"], "Code": "InternalError"}]}
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {}


class Bench:
    """A planner with everything around it faked."""

    def __init__(
        self,
        body: bytes,
        key: str = "bronze/shipments/a.jsonl",
        metadata: dict[str, str] | None = None,
        scan_seconds: float = 60,
    ) -> None:
        self.ref = ObjectRef("b", key, "v1", "e1", len(body))
        self.ledger, self.sqs = FakeLedger(), FakeSqs()
        self.storage = FakeStorage(body, metadata or {})
        queue = ChunkQueue(self.sqs, "url")
        self.planner = Planner(
            self.storage,  # type: ignore[arg-type]
            self.ledger,  # type: ignore[arg-type]
            queue,
            ProjectDatasets(CATALOG),  # type: ignore[arg-type]
            LIMITS,
            scan_seconds,
        )

    def plan(self, ref: ObjectRef | None = None) -> list[ChunkMessage]:
        before = len(self.sqs.bodies)
        self.planner.plan(ref or self.ref)
        return [ChunkMessage.from_json(body) for body in self.sqs.bodies[before:]]


LINES = formats.jsonl(shipping.records("shipments", 0, 20))


def test_json_lines_are_cut_into_chunks_of_the_limit() -> None:
    messages = Bench(LINES).plan()
    assert len(messages) == -(-len(LINES) // 1000)
    assert (messages[0].chunk.start, messages[-1].chunk.end) == (0, len(LINES))
    assert {m.dataset for m in messages} == {"shipments"}


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a.json", formats.array(shipping.records("shipments", 0, 10))),
        ("a.jsonl.gz", formats.gzipped(LINES)),
        ("a.csv", formats.table([r | {"carrier": 'a "b"'} for r in shipping.records("shipments", 0, 20)])),
        ("a.jsonl", b""),
    ],
)
def test_what_cannot_be_cut_is_one_chunk(name: str, body: bytes) -> None:
    [message] = Bench(body, f"bronze/shipments/{name}").plan()
    assert (message.chunk.start, message.chunk.end, message.chunk.count) == (0, len(body), 1)


def test_a_csv_without_quotes_is_cut() -> None:
    body = formats.table(shipping.records("shipments", 0, 20))
    assert len(Bench(body, "bronze/shipments/a.csv").plan()) == -(-len(body) // 1000)


@pytest.mark.parametrize("quoted", [False, True])
def test_a_csv_that_takes_too_long_to_read_through_is_gone_on_with(quoted: bool) -> None:
    """Each call reads one block; what was read is not read again, and the plan is that of one look."""
    rows = shipping.records("shipments", 0, 20)
    body = formats.table([*rows[:-1], rows[-1] | {"carrier": 'a "b"' if quoted else "a b"}])
    assert 2 * BLOCK < len(body) < LIMITS.single_chunk_bytes
    bench = Bench(body, "bronze/shipments/a.csv", scan_seconds=0)
    positions = list(range(0, len(body), BLOCK))
    for position in positions[:-1]:
        with pytest.raises(ScanUnfinished) as unfinished:
            bench.planner.plan(bench.ref, position)
        assert unfinished.value.scanned == position + BLOCK
        assert bench.sqs.bodies == []
    bench.planner.plan(bench.ref, positions[-1])
    assert bench.storage.read == positions
    assert len(bench.sqs.bodies) == (1 if quoted else -(-len(body) // 1000))


@pytest.mark.parametrize(
    ("key", "body", "code"),
    [
        ("bronze/telegrams/a.jsonl", LINES, Failure.UNKNOWN_DATASET),
        ("elsewhere/a.jsonl", LINES, Failure.UNKNOWN_DATASET),
        ("bronze/shipments/a.jsonl", formats.rubbish().body, Failure.UNREADABLE),
        ("bronze/shipments/a.json", formats.over_limit_array(5000).body, Failure.OVER_LIMIT),
    ],
)
def test_what_can_never_be_ingested_fails_with_its_reason(key: str, body: bytes, code: Failure) -> None:
    bench = Bench(body, key)
    with pytest.raises(ObjectFailed) as failed:
        bench.plan()
    assert failed.value.code == code
    assert bench.sqs.bodies == []


def test_an_event_that_comes_again_sends_only_what_is_open() -> None:
    bench = Bench(LINES)
    first = bench.plan()
    bench.ledger.plan[1]["chunk_state"] = ChunkState.DONE
    assert bench.plan() == [m for m in first if m.chunk.index != 1]


def test_a_committed_object_is_left_alone_also_when_its_bytes_are_uploaded_again() -> None:
    bench = Bench(LINES)
    bench.plan()
    assert bench.ledger.item is not None
    bench.ledger.item["state"] = State.COMMITTED
    assert bench.plan() == []
    assert bench.plan(ObjectRef("b", bench.ref.key, "v2", "e1", len(LINES))) == []


def test_a_replay_copy_has_its_origins_identity_and_ranges_and_is_read_itself() -> None:
    bench = Bench(LINES)
    first = bench.plan()
    assert bench.ledger.item is not None
    bench.ledger.item["state"] = State.COMMITTED
    bench.storage.metadata = bench.ref.as_origin().to_metadata()
    copy = ObjectRef("b", "bronze/shipments/replay/a.jsonl", "v9", "other-etag", len(LINES))
    again = bench.plan(copy)
    assert [m.chunk for m in again] == [m.chunk for m in first]
    assert {m.object for m in again} == {copy}
    assert {m.run for m in again} == {2}
    assert {m.origin.object_id for m in again} == {bench.ref.as_origin().object_id}


def test_a_missing_object_that_is_uploaded_again_is_read_in_its_new_version() -> None:
    bench = Bench(LINES)
    bench.plan()
    assert bench.ledger.item is not None
    bench.ledger.item["state"] = State.MISSING
    restored = ObjectRef("b", bench.ref.key, "v2", "e1", len(LINES))
    assert {m.object for m in bench.plan(restored)} == {restored}


def test_a_rejected_queue_entry_is_an_error_and_not_a_loss() -> None:
    bench = Bench(LINES * 4)
    bench.sqs.refuse = True
    with pytest.raises(RuntimeError, match="rejected 1 of 10"):
        bench.plan()
    bench.sqs.refuse = False
    assert len(bench.plan()) == -(-len(LINES * 4) // 1000)


def test_an_object_whose_chunks_are_done_but_not_announced_has_its_announcer_sent() -> None:
    bench = Bench(LINES)
    bench.plan()
    for chunk in bench.ledger.plan:
        chunk["chunk_state"] = ChunkState.DONE
    assert bench.ledger.item is not None
    bench.ledger.item |= {"state": State.COMMITTING, "committing_chunk": 2}
    assert [message.chunk.index for message in bench.plan()] == [2]


def test_s3_events_name_the_exact_version_with_the_key_decoded() -> None:
    event = aws_events.object_created("b", "bronze/shipments/a b+c=ü.jsonl", version_id="v", etag='"e"', size=3)
    named = ObjectRef("b", "bronze/shipments/a b+c=ü.jsonl", "v", "e", 3)
    assert Notification.from_event(event).created == (named,)
    assert Notification.from_event(aws_events.load("s3_test_event")).objects == ()


@pytest.mark.parametrize(
    "event", [{}, {"Records": [{}]}, {"Records": "x"}, {"Records": [{"eventName": "ObjectCreated:Put"}]}]
)
def test_what_is_no_s3_event_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(UnknownEvent):
        Notification.from_event(event)
    with pytest.raises(UnknownEvent):
        Notification.from_json(json.dumps(event))


class CountedDatasets(ProjectDatasets):
    """Each look at what is in service finds a version of its own; ``broken`` looks find none."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(catalog)
        self.looks, self.broken = 0, 0

    def current(self) -> Rules:
        self.looks += 1
        if self.looks <= self.broken:
            raise DatasetsUnavailable("not there")
        return Rules(super().current().catalog, RulesVersion("0" * 64, f"rules-{self.looks}"))


@pytest.mark.parametrize("broken", [0, 1])
def test_the_objects_of_a_batch_are_judged_by_one_version_and_the_next_batch_looks_again(broken: int) -> None:
    """A look that failed is not remembered: the next object looks again."""
    bench, datasets = Bench(LINES), CountedDatasets(CATALOG)
    datasets.broken = broken
    queue = ChunkQueue(bench.sqs, "url")
    bench.planner = Planner(bench.storage, bench.ledger, queue, datasets, LIMITS, 60)  # type: ignore[arg-type]

    def versions(objects: int) -> list[str]:
        found = []
        for _ in range(objects):
            bench.ledger.item = None
            found.append({message.rules.version_id for message in bench.plan() if message.rules})
        return [version for [version] in found]

    with bench.planner.batch():
        for _ in range(broken):
            with pytest.raises(DatasetsUnavailable):
                bench.plan()
        assert versions(3) == [f"rules-{1 + broken}"] * 3
    assert versions(2) == [f"rules-{2 + broken}", f"rules-{3 + broken}"]  # without a batch each object looks
    with suppress(ZeroDivisionError), bench.planner.batch():
        assert versions(2) == [f"rules-{4 + broken}"] * 2
        _ = 1 / 0  # an invocation fails
    assert versions(1) == [f"rules-{5 + broken}"]
