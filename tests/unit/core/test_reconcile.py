"""reconcile: what bronze has and the ledger does not know is announced to ingest once, wherever a run dies."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from core.reconcile.listing import Listed, stamp
from core.reconcile.window import OVERLAP, Settings, window
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.notifications import Notification
from sluice_pipeline.objects.identity import ObjectRef, Origin
from tests.support.handlers import Context, loaded, metrics
from tests.support.memory_dynamo import MemoryDynamo

NOW = datetime.now(UTC)
OLD = NOW - timedelta(hours=5)
BUCKET = "bronze-b"
SETTINGS = {"MARGIN_MINUTES": "60", "ABORT_MULTIPART_DAYS": "7", "LEDGER_RETENTION_DAYS": "0", "TIMEOUT_SECONDS": "900",
            "LEDGER_TABLE": "ledger", "IDEMPOTENCY_TABLE": "records", "BRONZE_BUCKET": BUCKET}  # fmt: skip
PROGRESS = ("ledger#reconcile", "head")


class Died(BaseException):
    """The process is gone: nothing of the function's runs after it."""


@dataclass
class Version:
    etag: str
    version_id: str = "v1"
    modified: datetime = OLD
    size: int = 10
    metadata: dict[str, str] = field(default_factory=dict)
    refused: str = ""  # HEAD's error


class Records:
    """The table of processed events: items by ``id``."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        found = [self.items[key["id"]["S"]] for key in request["Keys"] if key["id"]["S"] in self.items]
        return {"Responses": {table: found}}

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        for request in next(iter(RequestItems.values())):
            item = request["PutRequest"]["Item"]
            self.items[item["id"]["S"]] = item
        return {}


class World:
    """A bucket, the two tables, ingest's queue and the topic. ``die``: before or after which call the function dies."""

    def __init__(self) -> None:
        self.bucket: dict[str, Version] = {}
        self.ledger, self.records = MemoryDynamo(), Records()
        self.sent: list[ObjectRef] = []
        self.notices: list[dict[str, Any]] = []
        self.calls = 0
        self.die: tuple[int, str] | None = None
        self.page = 1000
        self.after_listing: Callable[[], None] = lambda: None
        self.exceptions = None

    # -- the services

    def _call(self, work: Callable[[], Any]) -> Any:
        number, self.calls = self.calls, self.calls + 1
        if self.die == (number, "before"):
            raise Died
        answer = work()
        if self.die == (number, "after"):
            raise Died
        return answer

    def _table(self, request: dict[str, Any]) -> Any:
        return self.records if "records" in request else self.ledger

    def batch_get_item(self, **request: Any) -> Any:
        return self._call(lambda: self._table(request["RequestItems"]).batch_get_item(**request))

    def batch_write_item(self, **request: Any) -> Any:
        return self._call(lambda: self._table(request["RequestItems"]).batch_write_item(**request))

    def update_item(self, **request: Any) -> Any:
        assert request["TableName"] == "ledger"
        return self._call(lambda: self.ledger.update_item(**request))

    def get_paginator(self, operation: str) -> World:
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str = "") -> Iterator[dict[str, Any]]:  # noqa: N803
        assert Bucket == BUCKET
        keys = sorted(key for key in self.bucket if key.startswith(Prefix) and key > StartAfter)
        for at in range(0, len(keys), self.page):
            found = [(key, self.bucket[key]) for key in keys[at : at + self.page]]
            yield self._call(lambda found=found: {"Contents": [_entry(*one) for one in found]})  # type: ignore[misc]
        if not keys:
            yield self._call(lambda: {"KeyCount": 0})

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803
        assert Bucket == BUCKET
        self.after_listing()
        found = self.bucket.get(Key)
        if found is None or found.refused:
            raise ClientError({"Error": {"Code": found.refused if found else "404"}}, "HeadObject")
        return {"ETag": f'"{found.etag}"', "VersionId": found.version_id, "ContentLength": found.size,
                "LastModified": found.modified, "Metadata": found.metadata}  # fmt: skip

    def send_message_batch(self, QueueUrl: str, Entries: list[dict[str, Any]]) -> dict[str, Any]:  # noqa: N803
        assert (QueueUrl, len(Entries) <= 10) == ("http://sqs/ingest", True)

        def send() -> dict[str, Any]:
            for entry in Entries:
                self.sent += Notification.from_json(entry["MessageBody"]).objects
            return {"Successful": Entries}

        found: dict[str, Any] = self._call(send)
        return found

    def publish(self, **request: Any) -> None:
        self._call(lambda: self.notices.append(json.loads(request["Message"])))

    # -- what tests do

    def put(self, *names: str, **values: Any) -> None:
        for name in names:
            self.bucket[_key(name)] = Version(**{"etag": f"e.{name}"} | values)

    def know(self, name: str, etag: str = "", **item: Any) -> None:
        origin = Origin(BUCKET, _key(name), etag or f"e.{name}")
        known = {"pk": f"object#{origin.object_id}", "sk": "object", "object_id": origin.object_id} | item
        self.ledger.items[known["pk"], "object"] = typed({"state": "committed", "version_id": "v1"} | known)

    def ingest(self) -> None:
        """Ingest gets to its queue."""
        for ref in self.sent:
            self.know(ref.key.split("/", 2)[2], ref.etag, version_id=ref.version_id)

    @contextmanager
    def deployed(self, **settings: str) -> Iterator[Callable[[int], bool]]:
        """The function over this world."""
        clients = {"s3": self, "dynamodb": self, "sqs": self, "sns": self}
        with loaded("core.reconcile.handler", settings=SETTINGS | settings, **clients) as module:
            yield lambda seconds: self._invoke(module, seconds)

    def _invoke(self, module: Any, seconds: int) -> bool:
        try:
            module.handler({}, Context(remaining_milliseconds=seconds * 1000))
        except Died:
            self.die = None
            self.ledger.items.get(PROGRESS, {}).pop("lease_until", None)
            return False
        return True

    def run(self, *, seconds: int = 900, **settings: str) -> bool:
        """A run of the function with so many seconds; False when it died, which also ends its lease."""
        with self.deployed(**settings) as invoke:
            return invoke(seconds)

    def clear(self) -> None:
        """As new, under the function that is deployed over it."""
        for one in (self.bucket, self.ledger.items, self.records.items):
            one.clear()
        self.sent, self.notices, self.calls = [], [], 0

    @property
    def progress(self) -> dict[str, Any]:
        return plain(self.ledger.items[PROGRESS])

    @property
    def names(self) -> list[str]:
        return [ref.key.split("/", 2)[2] for ref in self.sent]


def _key(name: str) -> str:
    return f"bronze/shipments/{name}"


def _entry(key: str, one: Version) -> dict[str, Any]:
    return {"Key": key, "ETag": f'"{one.etag}"', "Size": one.size, "LastModified": one.modified}


@pytest.fixture
def world() -> World:
    return World()


def test_an_object_that_no_event_announced_is_announced_as_s3_does(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    world.put("a b+c.jsonl", "known.jsonl", version_id="v7", size=12)
    world.know("known.jsonl")
    world.run()
    assert world.sent == [ObjectRef(BUCKET, _key("a b+c.jsonl"), "v7", "e.a b+c.jsonl", 12)]
    assert world.sent[0].since == stamp(OLD)
    found = metrics(capsys.readouterr().out)
    assert (found["ObjectsCompared"], found["ObjectsUnannounced"]) == (2, 1)
    [notice] = world.notices
    assert (notice["kind"], notice["count"], notice["dataset"]) == ("object.unannounced", 1, "shipments")
    assert notice["keys"] == [_key("a b+c.jsonl")]


def test_an_empty_bucket_and_one_that_is_in_the_ledger_are_quiet(world: World) -> None:
    world.run()
    world.put("a")
    world.know("a")
    world.run()
    assert (world.sent, world.notices) == ([], [])


@pytest.mark.parametrize("ingested", [False, True])
def test_a_second_run_announces_nothing_again_also_while_ingest_is_behind(world: World, ingested: bool) -> None:
    world.put("a", "b")
    world.run()
    if ingested:
        world.ingest()
    world.run()
    assert (world.names, len(world.notices)) == (["a", "b"], 1)


def test_what_ingest_has_not_got_to_in_a_day_is_announced_again(world: World) -> None:
    world.put("a")
    world.run()
    for item in world.records.items.values():  # which DynamoDB has not deleted yet
        item["expiration"] = {"N": str(int(NOW.timestamp()) - 1)}
    world.run()
    assert world.names == ["a", "a"]


def test_two_runs_at_once_are_one(world: World) -> None:
    world.put("a")

    def second() -> None:
        world.after_listing = lambda: None
        world.run()

    world.after_listing = second
    world.run()
    assert (world.names, len(world.notices)) == (["a"], 1)


def test_a_young_object_is_left_to_its_event(world: World) -> None:
    world.put("a", modified=NOW - timedelta(minutes=30))
    world.run()
    assert world.sent == []


def test_what_is_no_data_and_what_is_outside_of_bronze_is_left_out(world: World) -> None:
    world.put("_SUCCESS", "folder/", size=0)
    world.bucket["elsewhere/a"] = Version("e")
    world.run()
    assert world.sent == []


def test_an_object_older_than_the_ledgers_retention_may_have_expired(world: World) -> None:
    world.put("a", modified=NOW - timedelta(days=31))
    world.put("b", modified=NOW - timedelta(days=29))
    world.run(LEDGER_RETENTION_DAYS="30")
    assert world.names == ["b"]


def test_an_object_that_was_deleted_meanwhile_is_none(world: World) -> None:
    world.put("a")
    world.after_listing = world.bucket.clear
    world.run()
    assert (world.sent, world.notices) == ([], [])


@pytest.mark.parametrize(("minutes", "known", "sent"), [(300, False, 1), (300, True, 0), (1, False, 0)])
def test_of_an_object_that_was_replaced_meanwhile_the_new_one_counts(
    world: World, minutes: int, known: bool, sent: int
) -> None:
    world.put("a")
    if known:
        world.know("a", etag="new")
    moment = NOW - timedelta(minutes=minutes)
    world.after_listing = lambda: world.put("a", etag="new", version_id="v2", modified=moment)
    world.run()
    assert [(ref.etag, ref.version_id) for ref in world.sent] == [("new", "v2")] * sent


def test_a_copy_that_a_replay_made_is_known_by_its_origin(world: World) -> None:
    origin = Origin(BUCKET, _key("first"), "e.first", "v1")
    world.put("copy", etag="another-2", metadata=origin.to_metadata())
    world.know("first")
    world.run()
    assert world.sent == []


@pytest.mark.parametrize(("version", "sent"), [("v1", 0), ("v2", 1)])
def test_bytes_that_were_uploaded_again_after_the_ledger_called_them_missing(
    world: World, version: str, sent: int
) -> None:
    world.put("a", version_id=version)
    world.know("a", state="missing")
    world.run()
    assert len(world.sent) == sent


def test_an_upload_whose_bytes_another_object_has_is_known(world: World) -> None:
    world.put("a")
    world.know("a", same_as="0" * 32, state="")
    world.run()
    assert world.sent == []


def test_an_object_that_s3_does_not_show_is_announced_as_it_was_listed(world: World) -> None:
    """S3 answers 400 to a HEAD without the sender's own key (SSE-C); ingest records what it could not read."""
    world.put("a", refused="400")
    world.run()
    assert [(ref.key, ref.version_id) for ref in world.sent] == [(_key("a"), "")]


def test_a_missing_permission_announces_nothing_and_frees_the_lease(world: World) -> None:
    world.put("a", refused="403")
    with pytest.raises(ClientError):
        world.run()
    world.bucket[_key("a")].refused = ""
    world.run()
    assert world.names == ["a"]


def test_a_message_that_sqs_rejects_is_sent_by_the_next_run(world: World) -> None:
    world.put("a")
    accept = world.send_message_batch
    world.send_message_batch = lambda **_: {"Failed": [{"Id": "0", "Code": "InternalError"}]}  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="SQS rejected 1 of 1"):
        world.run()
    world.send_message_batch = accept  # type: ignore[method-assign]
    world.run()
    assert world.names == ["a"]


def test_a_pass_goes_on_where_the_time_of_a_run_was_over(world: World) -> None:
    world.page = 2
    world.put(*"abcde")
    for expected in (["a", "b"], ["a", "b", "c", "d"], ["a", "b", "c", "d", "e"]):
        world.run(seconds=30)
        assert world.names == expected
    assert "done_until" not in world.progress
    world.run(seconds=30)  # and finds that nothing is left
    assert "after_key" not in world.progress
    assert world.progress["done_until"] < stamp(NOW)
    assert [notice["count"] for notice in world.notices] == [2, 2, 1]


def test_a_whole_pass_is_followed_by_one_of_what_is_new_and_of_long_uploads(world: World) -> None:
    world.run()
    world.put("new", "looked-at-before", modified=OLD)
    world.put("before", modified=OLD - timedelta(days=3))
    world.put("long", etag="e-5", modified=OLD - timedelta(days=6))
    world.run()
    assert world.names == ["long", "looked-at-before", "new"]


def test_every_death_before_or_after_a_call_loses_nothing(world: World) -> None:
    """The next run does the rest. An object is announced once more only where the page that has it was not recorded."""

    with world.deployed() as invoke:

        def scene(die: tuple[int, str] | None) -> None:
            world.clear()
            world.page, world.die = 2, die
            world.put(*"abcde")
            world.know("c")
            while not invoke(900):
                pass

        scene(None)
        assert (world.names, [notice["count"] for notice in world.notices]) == (["a", "b", "d", "e"], [4])
        tried = [(call, when) for call in range(world.calls) for when in ("before", "after")]
        assert len(tried) > 30
        for die in tried:
            scene(die)
            assert set(world.names) == set("abde"), die
            assert max(Counter(world.names).values()) <= 2, die
            assert {notice["count"] for notice in world.notices} == {4}, die
            assert len(world.notices) <= 2, die
            assert "done_until" in world.progress, die


MOMENTS = st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))


@given(
    written=MOMENTS,
    visible_after=st.timedeltas(timedelta(0), timedelta(days=9)),
    first=MOMENTS,
    gap=st.timedeltas(timedelta(minutes=1), timedelta(days=400)),
    multipart=st.booleans(),
)
def test_no_object_falls_between_two_passes(
    written: datetime, visible_after: timedelta, first: datetime, gap: timedelta, multipart: bool
) -> None:
    """What the first pass could not see, or had to leave to its event, the second one judges once it is old enough."""
    settings = Settings(timedelta(minutes=60), timedelta(days=7), None)
    if visible_after > (OVERLAP + settings.longest_upload if multipart else OVERLAP):
        return  # S3 aborts such an upload
    one = Listed("bronze/a/b", "e-2" if multipart else "e", 1, stamp(written))
    before = window(first, None, settings)
    judged = before.holds(one) and written + visible_after <= first
    second = first + gap
    after = window(second, datetime.fromisoformat(before.until), settings)
    old_enough = stamp(written) < after.until and written + visible_after <= second
    assert judged or not old_enough or after.holds(one)
