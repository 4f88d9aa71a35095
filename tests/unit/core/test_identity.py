"""An object's identity: the same bytes under a key are ingested once, whatever their ETag.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html (ETag),
https://docs.aws.amazon.com/AmazonS3/latest/userguide/checking-object-integrity-upload.html (checksums)
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.response import StreamingBody
from hypothesis import given, settings
from hypothesis import strategies as st

from core.ingest.cut import Limits
from core.ingest.planner import Planner
from sluice_pipeline.catalog.compiler import compile_catalog
from sluice_pipeline.catalog.datasets import parse_catalog
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.retries import TransientError
from sluice_pipeline.dynamo.values import plain
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.items import OBJECT_SK, State, object_pk
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.listing import LedgerList
from sluice_pipeline.objects import storage
from sluice_pipeline.objects.failures import Failure
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.objects.storage import Storage
from sluice_pipeline.replays.requeue import Requeuer
from tests.support.handlers import ProjectDatasets
from tests.support.memory_dynamo import MemoryDynamo
from tests.support.thorough import examples

CATALOG = parse_catalog(compile_catalog(Path(__file__).parents[3] / "datasets"))
HASHED, READ = 100_000, 150_000
"""Bytes of the largest object that is read as a whole here, and of the largest that is read where it must be."""
KEY = "bronze/shipments/a.jsonl"


@pytest.fixture(autouse=True, scope="module")
def _hashed() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "HASHED_BYTES", HASHED)
        patch.setattr(storage, "READ_BYTES", READ)
        yield


class Died(Exception):
    """The function ended between two calls."""


@dataclass
class Bronze:
    """S3 of one bucket: each version has a body and, unless they are taken from it, checksums."""

    versions: dict[str, bytes] = field(default_factory=dict)
    metadata: dict[str, dict[str, str]] = field(default_factory=dict)
    checksums: Callable[[bytes], dict[str, str]] = lambda body: {"ChecksumCRC64NVME": sha256(body).hexdigest()}
    gets: int = 0
    heads: int = 0

    def get_object(self, VersionId: str, Range: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        self.gets += 1
        body = self._body(VersionId, "GetObject")
        start, end = Range.removeprefix("bytes=").split("-") if Range else ("0", "")
        body = body[int(start) : int(end) + 1 if end else None]
        return {"Body": StreamingBody(io.BytesIO(body), len(body)), "Metadata": self.metadata.get(VersionId, {})}

    def head_object(self, VersionId: str, ChecksumMode: str = "", **_: Any) -> dict[str, Any]:  # noqa: N803
        self.heads += 1
        found = self.checksums(self._body(VersionId, "HeadObject"))
        return found if ChecksumMode == "ENABLED" else {}

    def _body(self, version: str, operation: str) -> bytes:
        if version not in self.versions:
            raise ClientError({"Error": {"Code": "NoSuchVersion"}}, operation)
        return self.versions[version]


@dataclass
class Sqs:
    bodies: list[str] = field(default_factory=list)

    def send_message_batch(self, Entries: list[dict[str, str]], **_: Any) -> dict[str, Any]:  # noqa: N803
        self.bodies += [entry["MessageBody"] for entry in Entries]
        return {}


class Pipe:
    """Ingest's planner with the ledger's own code; S3, SQS and DynamoDB are in memory."""

    def __init__(self, chunk_bytes: int = 50_000, key: str = KEY) -> None:
        self.key, self.s3, self.sqs, self.db = key, Bronze(), Sqs(), MemoryDynamo()
        self.ledger = Ledger(self.db, "ledger")
        self.list = LedgerList(self.db, "ledger")
        self.planner = Planner(
            Storage(self.s3),
            self.ledger,
            ChunkQueue(self.sqs, "url"),
            ProjectDatasets(CATALOG),  # type: ignore[arg-type]
            Limits(chunk_bytes, 10_000_000),
            60,
        )

    def upload(self, body: bytes, etag: str, key: str = "") -> ObjectRef:
        version = f"v{len(self.s3.versions) + 1}"
        self.s3.versions[version] = body
        return ObjectRef("b", key or self.key, version, etag, len(body))

    def planned(self, body: bytes, etag: str) -> tuple[ObjectRef, dict[str, Any]]:
        ref = self.upload(body, etag)
        return ref, self.planner.plan(ref)

    @property
    def messages(self) -> list[ChunkMessage]:
        return [ChunkMessage.from_json(body) for body in self.sqs.bodies]

    def raw(self, ref: ObjectRef) -> dict[str, Any] | None:
        item = self.db.items.get((object_pk(ref.as_origin().object_id), OBJECT_SK))
        return plain(item) if item else None

    def forget(self, object_id: str) -> None:
        """As a time to live does: the object and its chunks, not what is beside them."""
        for place in [place for place in self.db.items if place[0] == object_pk(object_id)]:
            del self.db.items[place]

    def fail(self, ref: ObjectRef, state: State) -> None:
        assert self.ledger.record_failure(ref, ref.as_origin(), "shipments", state, "why", "because")


def rows(name: str, size: int = 0) -> bytes:
    line = b'{"record_type":"shipments","n":"%s"}\n' % name.encode()
    return line * max(1, -(-size // len(line)))


SIZES = pytest.mark.parametrize("size", [0, HASHED + 1_000], ids=["small", "large"])


@SIZES
def test_the_same_bytes_with_another_etag_are_the_object_that_is_there(size: int) -> None:
    pipe = Pipe()
    first, plan = pipe.planned(rows("a", size), "e1")
    sent = len(pipe.messages)
    second, again = pipe.planned(rows("a", size), "e2")
    assert "same_as" not in plan
    assert (again["sent"], again["same_as"]) == (0, first.as_origin().object_id)
    assert len(pipe.messages) == sent == plan["sent"]
    one, other = (ref.as_origin().object_id for ref in (first, second))
    for found in (pipe.ledger.object(other), pipe.list.objects([one, other])[other]):
        assert found is not None
        assert found["object_id"] == one
    pointer = pipe.raw(second)
    assert pointer is not None
    assert not {"state", "dataset", "received_at", "updated_at"} & pointer.keys(), "no index may have it"


@SIZES
def test_other_bytes_another_key_and_another_size_are_other_objects(size: int) -> None:
    pipe = Pipe()
    body = rows("a", size)
    refs = [pipe.upload(body, "e1"), pipe.upload(rows("b", size), "e2"), pipe.upload(body + b"\n", "e3")]
    refs.append(pipe.upload(body, "e4", "bronze/shipments/b.jsonl"))
    for ref in refs:
        assert "same_as" not in pipe.planner.plan(ref)
    assert len({message.origin.object_id for message in pipe.messages}) == 4


@pytest.mark.parametrize(("size", "heads"), [(0, 0), (HASHED, 0), (HASHED + 1, 1)])
def test_an_object_that_is_read_whole_costs_no_call_and_a_larger_one_a_head(size: int, heads: int) -> None:
    pipe = Pipe()
    pipe.planned(b"x" * size, "e1")
    assert (pipe.s3.gets, pipe.s3.heads) == (1, heads)


def test_an_object_that_is_read_whole_needs_no_checksum_of_s3() -> None:
    """Also the first bytes that ingest looks at are the same as those of a read of a range."""
    pipe = Pipe()
    pipe.s3.checksums = lambda _: {}
    body = rows("a", HASHED - 1_000)
    pipe.planned(body, "e1")
    ref, again = pipe.planned(body, "e2")
    assert "same_as" in again
    for size in (0, 1, 64 * 1024):
        assert pipe.planner._storage.head(ref, size).data == body[:size]


@pytest.mark.parametrize(
    ("checksums", "same"),
    [
        ({"ChecksumCRC64NVME": "x", "ChecksumType": "FULL_OBJECT"}, True),
        ({"ChecksumSHA256": "x", "ChecksumType": "FULL_OBJECT"}, True),
        ({"ChecksumSHA1": "x"}, True),
        ({"ChecksumSHA256": "x-2", "ChecksumType": "COMPOSITE"}, True),  # of other bytes, or other parts, it is another
        ({"ChecksumSHA1": "x-2"}, True),
        ({"ChecksumCRC64NVME": "x-2"}, False),
        ({"ChecksumCRC32": "x-2", "ChecksumType": "COMPOSITE"}, False),
        ({"ChecksumCRC32": "x", "ChecksumType": "FULL_OBJECT"}, False),  # among 100,000 contents two have the same
        ({"ChecksumCRC32C": "x", "ChecksumType": "FULL_OBJECT"}, False),
        ({}, False),
    ],
)
def test_only_a_strong_checksum_of_all_bytes_identifies_a_large_object(checksums: dict[str, str], same: bool) -> None:
    pipe = Pipe()
    pipe.s3.checksums = lambda _: checksums
    body = rows("a", READ + 1)
    pipe.planned(body, "e1")
    _, again = pipe.planned(body, "e2")
    assert ("same_as" in again) is same
    ref, event_again = pipe.planned(body, "e1")
    assert event_again["object_id"] == ref.as_origin().object_id
    assert "same_as" not in event_again


def _parts(body: bytes, name: str, part: int) -> dict[str, str]:
    """The checksum of an upload of such parts, in one piece where ``part`` is 0; 32 bits of it for a CRC32."""
    bits = 8 if "32" in name else 64
    if not part:
        return {f"Checksum{name}": sha256(body).hexdigest()[:bits], "ChecksumType": "FULL_OBJECT"}
    pieces = [sha256(body[at : at + part]).digest() for at in range(0, len(body), part)]
    composite = sha256(b"".join(pieces)).hexdigest()[:bits]
    return {f"Checksum{name}": f"{composite}-{len(pieces)}", "ChecksumType": "COMPOSITE"}


FORMS = [
    *((name, 0) for name in ("", "CRC64NVME", "CRC32", "CRC32C", "SHA1", "SHA256")),
    *((name, part) for name in ("CRC32", "CRC32C", "SHA1", "SHA256") for part in (30_000, 70_000)),
]
"""Algorithms and sizes of parts with which S3 lets an object be uploaded; "" for one of before S3 made checksums."""


@settings(max_examples=25, deadline=None)
@given(
    uploads=st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from([0, HASHED + 1, READ + 1]), st.sampled_from(FORMS)),
        min_size=2,
        max_size=5,
    )
)
def test_in_whatever_form_an_object_is_uploaded_other_bytes_are_another_object(
    uploads: list[tuple[str, int, tuple[str, int]]],
) -> None:
    """And the same bytes in the same form are the same object, unless only 32 bits say so of a very large one."""
    pipe, seen, bodies = Pipe(), {}, {}
    for number, (name, size, form) in enumerate(uploads):
        body = rows(name, size)
        pipe.s3.checksums = lambda body, form=form: _parts(body, *form) if form[0] else {}  # type: ignore[misc]
        ref, result = pipe.planned(body, f"e{number}")
        same_as = result.get("same_as", ref.as_origin().object_id)
        assert bodies.setdefault(same_as, body) == body, "the rows of other bytes would be lost"
        weak = not form[0] or "32" in form[0]
        if (name, size, form) in seen and not (weak and size > READ):
            assert same_as == seen[name, size, form]
        seen[name, size, form] = same_as


def test_an_object_is_read_through_only_where_nothing_else_identifies_it() -> None:
    for form, gets in ((("CRC64NVME", 0), 1), (("SHA256", 30_000), 1), (("CRC32", 0), 2), (("CRC32C", 30_000), 2)):
        pipe = Pipe()
        pipe.s3.checksums = lambda body, form=form: _parts(body, *form)  # type: ignore[misc]
        pipe.planned(rows("a", HASHED + 1), "e1")
        assert (pipe.s3.gets, pipe.s3.heads) == (gets, 1)
        pipe.planned(rows("a", READ + 1), "e2")
        assert pipe.s3.gets == gets + 1, "a larger one is not"


def test_checksums_of_two_algorithms_are_not_compared() -> None:
    pipe = Pipe()
    body = rows("a", READ + 1)
    for number, name in enumerate(("ChecksumSHA256", "ChecksumSHA1")):
        pipe.s3.checksums = lambda _, name=name: {name: "x"}  # type: ignore[misc]
        assert "same_as" not in pipe.planned(body, f"e{number}")[1]


@pytest.mark.parametrize("state", [State.PLANNED, State.FAILED, State.COMMITTED])
def test_an_upload_of_what_was_read_changes_nothing_whatever_became_of_it(state: State) -> None:
    """As the same ETag does: a failed object is the operator's."""
    pipe = Pipe()
    first, _ = pipe.planned(rows("a"), "e1")
    if state == State.FAILED:
        pipe.fail(first, state)
    if state == State.COMMITTED:
        [message] = pipe.messages
        assert pipe.ledger.complete_chunk(message.origin.object_id, message.chunk, 1, ChunkResult(0, [], []))
        assert pipe.ledger.commit(message.origin.object_id, 1)
    before = pipe.raw(first)
    _, again = pipe.planned(rows("a"), "e2")
    assert again["sent"] == 0
    after = pipe.raw(first) or {}
    assert after.pop("newest")["etag"] == "e2"
    assert after == before


def test_the_upload_of_a_version_that_was_deleted_unread_is_read_instead() -> None:
    """Its run is the first object's, so its rows have that one's ids. Its own event again sends what is open."""
    pipe = Pipe()
    first, _ = pipe.planned(rows("a"), "e1")
    pipe.fail(first, State.MISSING)
    second, again = pipe.planned(rows("a"), "e2")
    [_, message] = pipe.messages
    assert (again["sent"], message.run, message.object) == (1, 2, second)
    assert message.origin == first.as_origin()
    assert pipe.planner.plan(second)["sent"] == 1
    assert pipe.messages[-1] == message
    third, last = pipe.planned(rows("a"), "e3")
    assert (last["sent"], last["same_as"]) == (0, first.as_origin().object_id)
    assert third.version_id != second.version_id


def test_an_upload_that_failed_before_it_had_a_plan_becomes_one_with_the_object() -> None:
    pipe = Pipe()
    second = pipe.upload(rows("a"), "e2")
    pipe.fail(second, State.FAILED)
    first, _ = pipe.planned(rows("a"), "e1")
    assert pipe.planner.plan(second)["same_as"] == first.as_origin().object_id
    assert (pipe.raw(second) or {}).get("state") is None


def test_a_late_failure_of_an_upload_that_is_another_object_is_not_recorded() -> None:
    pipe = Pipe()
    pipe.planned(rows("a"), "e1")
    second, _ = pipe.planned(rows("a"), "e2")
    before = pipe.raw(second)
    late = Failure.RETRIES_EXHAUSTED
    assert not pipe.ledger.record_failure(second, second.as_origin(), "shipments", State.FAILED, late, "x")
    assert pipe.raw(second) == before


def test_an_object_without_a_content_item_is_left_as_it_is() -> None:
    """One that was planned before there were content items is known by its ETag alone, and makes none later."""
    pipe = Pipe()
    old, _ = pipe.planned(rows("a"), "e1")
    del pipe.db.items[next(place for place in pipe.db.items if place[0].startswith("content#"))]
    assert pipe.planner.plan(old)["sent"] == 1
    assert not [place for place in pipe.db.items if place[0].startswith("content#")]
    new, planned = pipe.planned(rows("a"), "e2")
    assert "same_as" not in planned
    assert pipe.planned(rows("a"), "e3")[1]["same_as"] == new.as_origin().object_id


def test_a_replay_of_an_upload_that_is_another_object_is_one_of_that_object() -> None:
    pipe = Pipe()
    first, _ = pipe.planned(rows("a"), "e1")
    second, _ = pipe.planned(rows("a"), "e2")
    copy = pipe.upload(rows("a"), "e9", "bronze/_requeue/a.jsonl")
    pipe.s3.metadata[copy.version_id] = second.as_origin().to_metadata()
    assert pipe.planner.plan(copy)["same_as"] == first.as_origin().object_id
    message = pipe.messages[-1]
    assert (message.run, message.object, message.origin) == (2, copy, first.as_origin())


@pytest.mark.parametrize("late", [False, True], ids=["in order", "the older event last"])
def test_a_new_run_reads_the_last_upload_of_the_bytes_when_the_first_version_is_gone(late: bool) -> None:
    """A lifecycle rule deletes the versions that are not the current one."""
    pipe = Pipe()
    first, _ = pipe.planned(rows("a"), "e1")
    uploads = [replace(pipe.upload(rows("a"), f"e{number}"), since=f"2026-11-27T10:0{number}:00Z") for number in (2, 3)]
    for ref in reversed(uploads) if late else uploads:
        pipe.planner.plan(ref)
    del pipe.s3.versions[first.version_id], pipe.s3.versions[uploads[0].version_id]
    requeuer = Requeuer(pipe.ledger, ChunkQueue(pipe.sqs, "url"), Storage(pipe.s3), lambda: RulesVersion("0" * 64, "v"))
    assert requeuer.requeue(first.as_origin().object_id, 1, "again") == 1
    assert (pipe.messages[-1].object, pipe.messages[-1].run) == (uploads[1], 2)
    assert pipe.messages[-1].origin == first.as_origin()


@pytest.mark.parametrize("who", ["the same", "another"])
def test_what_the_ledger_has_forgotten_is_new_again_and_those_that_were_it_follow(who: str) -> None:
    """A time to live may delete an object before what points at it."""
    pipe = Pipe()
    first, _ = pipe.planned(rows("a"), "e1")
    second, _ = pipe.planned(rows("a"), "e2")
    third, _ = pipe.planned(rows("a"), "e3")
    pipe.forget(first.as_origin().object_id)
    assert pipe.ledger.object(second.as_origin().object_id) is None
    comes = first if who == "the same" else second
    assert pipe.planner.plan(comes)["sent"] == 1
    for ref in (first, second, third):
        pipe.planner.plan(ref)
        found = pipe.ledger.object(ref.as_origin().object_id)
        assert found is not None
        assert found["object_id"] == comes.as_origin().object_id
    assert pipe.planned(rows("a"), "e4")[1]["same_as"] == comes.as_origin().object_id


def test_a_chain_of_pointers_leads_to_the_object() -> None:
    pipe = Pipe()
    first, _ = pipe.planned(rows("a"), "e1")
    second, _ = pipe.planned(rows("a"), "e2")
    pipe.forget(first.as_origin().object_id)
    third, _ = pipe.planned(rows("a"), "e3")
    assert pipe.planner.plan(first)["same_as"] == third.as_origin().object_id
    ids = [ref.as_origin().object_id for ref in (second, first, third)]
    assert {item["object_id"] for item in pipe.list.objects(ids).values()} == {ids[2]}
    assert set(pipe.list.objects(ids)) == set(ids)


def test_an_object_of_more_chunks_than_a_transaction_has_is_planned_once_too() -> None:
    pipe = Pipe(chunk_bytes=1_000)
    body = rows("a", 120_000)
    first, plan = pipe.planned(body, "e1")
    assert plan["sent"] > 100
    second, again = pipe.planned(body, "e2")
    assert again["sent"] == 0
    chunks = {pk for pk, sk in pipe.db.items if sk.startswith("chunk#")}
    assert chunks == {object_pk(first.as_origin().object_id)}, f"chunks of {second} stay behind"


def test_the_largest_plan_of_one_transaction_has_room_for_the_content() -> None:
    pipe = Pipe(chunk_bytes=1_000)
    calls: list[int] = []
    write = pipe.db.transact_write_items
    pipe.db.transact_write_items = lambda **asked: (calls.append(len(asked["TransactItems"])), write(**asked))  # type: ignore[method-assign,assignment,misc]
    for count in (98, 99):
        pipe.planned(b"x" * 999 + b"\n" + b"x" * 1_000 * (count - 1), f"e{count}")
    assert calls[0] == 100
    assert max(calls) <= 100


def test_two_uploads_that_are_planned_at_once_are_one_object() -> None:
    """The second is planned between what the first reads and what it writes."""
    pipe = Pipe()
    one, other = pipe.upload(rows("a"), "e1"), pipe.upload(rows("a"), "e2")

    def meanwhile(_: str) -> None:
        pipe.db.before = lambda _: None
        pipe.planner.plan(other)

    pipe.db.before = meanwhile
    assert pipe.planner.plan(one)["same_as"] == other.as_origin().object_id
    assert len(pipe.messages) == 1


def test_plans_that_come_and_go_are_tried_again_later() -> None:
    pipe = Pipe()
    ref = pipe.upload(rows("a"), "e1")
    pipe.ledger.create_plan = lambda *_: None  # type: ignore[method-assign]
    with pytest.raises(TransientError):
        pipe.planner.plan(ref)


UPLOADS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["e1", "e2", "e3"]), st.none() | st.integers(1, 12)),
    min_size=1,
    max_size=7,
)


@settings(max_examples=examples(60), deadline=None)
@given(UPLOADS, st.sampled_from([0, HASHED + 1_000]))
def test_every_content_of_a_key_is_ingested_once_in_whatever_order_it_comes(
    uploads: list[tuple[str, str, int | None]], size: int
) -> None:
    """Each upload: which content, in which encryption (its ETag is of both), and before which call the function dies.

    Its event comes until it is planned, as the queue delivers it. At the end every event comes once more.
    """
    pipe = Pipe()
    refs = []
    for content, key, dies in uploads:
        refs.append(pipe.upload(rows(content, size), f"{content}-{key}"))
        with _dying(pipe, dies):
            _until_planned(partial(pipe.planner.plan, refs[-1]))
    for ref in refs:
        pipe.planner.plan(ref)
    wanted = {content for content, _, _ in uploads}
    chunks = {(m.origin.object_id, m.chunk.index, m.run) for m in pipe.messages}
    objects = {name for name, _, _ in chunks}
    assert len(objects) == len(wanted)
    assert {run for _, _, run in chunks} == {1}
    for ref, (content, _, _) in zip(refs, uploads, strict=True):
        found = pipe.ledger.object(ref.as_origin().object_id)
        assert found is not None
        assert found["object_id"] in objects
        assert pipe.s3.versions[found["version_id"]] == rows(content, size)
        assert int(found["chunk_count"]) == sum(name == found["object_id"] for name, _, _ in chunks)


class _dying:  # noqa: N801  (a context manager that reads as a verb)
    def __init__(self, pipe: Pipe, dies: int | None) -> None:
        self._pipe, self._left = pipe, dies

    def __enter__(self) -> None:
        self._pipe.db.before = self._pipe.db.after = self._count

    def __exit__(self, *_: object) -> None:
        self._pipe.db.before = self._pipe.db.after = lambda _: None

    def _count(self, _: str) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left == 0:
                raise Died


def _until_planned(plan: Callable[[], Any]) -> None:
    for _ in range(3):
        try:
            plan()
        except Died:
            continue
        return
    raise AssertionError("it died more than once")
