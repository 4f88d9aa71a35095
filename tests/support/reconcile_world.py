"""A bucket, the ledger, ingest's queue and the topic around `reconcile`, in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.events.notifications import Notification
from sluice_pipeline.objects.identity import ObjectRef, Origin
from tests.support.handlers import Context, loaded
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
        self._began = datetime.now(UTC)
        self.bucket: dict[str, Version] = {}
        self.ledger, self.records = MemoryDynamo(), Records()
        self.sent: list[ObjectRef] = []
        self.notices: list[dict[str, Any]] = []
        self.calls = 0
        self.die: tuple[int, str] | None = None
        self.page = 1000
        self.after_listing: Callable[[], None] = lambda: None
        self.settings: dict[str, str] = {}
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

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str = "", **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
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
            self.bucket[key_of(name)] = Version(**{"etag": f"e.{name}"} | values)

    def know(self, name: str, etag: str = "", **item: Any) -> None:
        origin = Origin(BUCKET, key_of(name), etag or f"e.{name}")
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
        with loaded("core.reconcile.handler", settings=SETTINGS | self.settings | settings, **clients) as module:
            # NOW is when the tests were collected, and this one may run an hour later
            module.datetime = SimpleNamespace(now=lambda _zone: NOW + (datetime.now(UTC) - self._began))
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


def key_of(name: str) -> str:
    return f"bronze/shipments/{name}"


def _entry(key: str, one: Version) -> dict[str, Any]:
    return {"Key": key, "ETag": f'"{one.etag}"', "Size": one.size, "LastModified": one.modified}
