"""The ledger as the host reads it: objects, their chunks, and what each chunk wrote. Read-only."""

from __future__ import annotations

import sys
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import batched, islice
from typing import TYPE_CHECKING, Any

from sluice_pipeline.dynamo.values import plain, with_numbers
from sluice_pipeline.ledger.contents import SAME_AS, UPLOAD, followed
from sluice_pipeline.ledger.files import PAGES, joined
from sluice_pipeline.ledger.indexes import Indexes, Part, of_state
from sluice_pipeline.ledger.items import (
    EXPIRED_AT,
    EXPIRES_AT,
    OBJECT_SK,
    ChunkState,
    State,
    chunk_number,
    chunk_sk,
    is_gone,
    object_pk,
)
from sluice_pipeline.ledger.shards import RECEIVED
from sluice_pipeline.objects.keys import staged_key

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack

type Item = dict[str, Any]
_MOMENT = 1.0  # seconds
_OUTLINE = (
    "sk", "object_id", "dataset", "origin", "key", "version_id", "state", "failed_reason", SAME_AS, EXPIRED_AT,
    EXPIRES_AT,
)  # fmt: skip
_READ = 100  # objects read back at a time: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html


@dataclass
class Entry:
    """One object of the ledger with its chunks."""

    item: Item
    chunks: list[Item] = field(default_factory=list)

    @property
    def object_id(self) -> str:
        return str(self.item["object_id"])

    @property
    def key(self) -> str:
        """The key that first carried these rows; a replayed copy has the same."""
        return str(self.item["origin"]["key"])

    @property
    def state(self) -> str:
        return str(self.item["state"])

    @property
    def dataset(self) -> str:
        return str(self.item["dataset"])

    @property
    def live_chunks(self) -> list[Item]:
        """The chunks of the present plan; a replan with fewer chunks may have left older items behind."""
        count = self.number("chunk_count")
        names = {chunk_sk(index) for index in range(count)}
        return [chunk for chunk in self.chunks if chunk["sk"] in names]

    def number(self, name: str) -> int:
        return int(self.item.get(name) or 0)

    def files(self, kind: str) -> dict[str, Item]:
        """What the chunks say they wrote, by key; ``kind`` is ``outputs`` (silver) or ``quarantine``."""
        return {str(file["key"]): file for chunk in self.live_chunks for file in chunk.get(kind, [])}

    @property
    def staged(self) -> dict[str, str]:
        """Outputs that are not in silver but in the staging bucket: their keys in silver, and those there."""
        if self.state == State.COMMITTED:
            return {}
        return {
            str(file["key"]): staged_key(int(chunk["run"]), str(file["key"]))
            for chunk in self.live_chunks
            if chunk.get("staged") and chunk["chunk_state"] == ChunkState.DONE
            for file in chunk.get("outputs", [])
        }

    @property
    def is_gated(self) -> bool:
        """Whether a run of it was staged, so that silver may have another run's files than the ledger names."""
        return any(chunk.get("staged") for chunk in self.chunks)


@dataclass(frozen=True, slots=True)
class Outline:
    """What does not fit into a few hundred bytes of an object is not here, for there may be very many.

    ``key`` is that of the rows' origin, ``version`` the key and version id that the present run reads.
    """

    object_id: str
    dataset: str
    key: str
    state: str
    failed_reason: str
    version: tuple[str, str]


@dataclass(frozen=True)
class Outlines:
    """All objects that the ledger has, by object id. ``stand_for``: uploads of bytes that were there before, under
    another ETag, and the objects that have their rows.
    """

    entries: dict[str, Outline]
    stand_for: dict[str, str] = field(default_factory=dict)


class LedgerView:
    """Reads the ledger table with a low-level DynamoDB client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table
        self._looked: Indexes | None = None
        self._looked_at = 0.0

    @classmethod
    def of(cls, stack: Stack) -> LedgerView:
        """The ledger of a stack. Raises SluiceError when nothing is deployed."""
        return cls(stack.client("dynamodb"), stack["ledger_table"])

    def outlines(self) -> Outlines:
        """All objects without their chunks, in one scan (1 MB a page) that gives what an outline has."""
        entries: dict[str, Outline] = {}
        pointers: dict[str, str] = {}
        names = {f"#{name}": name for name in _OUTLINE}
        pages = self._answers(
            "scan",
            ConsistentRead=True,
            FilterExpression="sk = :object",
            ExpressionAttributeValues={":object": {"S": OBJECT_SK}},
            ProjectionExpression=", ".join(names),
            ExpressionAttributeNames=names,
        )
        for item in (plain(item) for page in pages for item in page["Items"]):
            if item["sk"] != OBJECT_SK or is_gone(item):
                continue
            if SAME_AS in item:
                pointers[str(item["object_id"])] = str(item[SAME_AS])
            else:
                entries[str(item["object_id"])] = _outline(item)

        def read(wanted: Collection[str]) -> dict[str, Item]:
            at = {name: {"object_id": name} for name in wanted if name in entries}
            return at | {name: {SAME_AS: pointers[name]} for name in wanted if name in pointers}

        led = followed(pointers, read)
        return Outlines(entries, {name: str(item["object_id"]) for name, item in led.items()})

    def one(self, object_id: str) -> Entry | None:
        """An object, or the one whose content it has, with its chunks; None when the ledger does not know it."""
        found: dict[str, list[Item]] = {}

        def read(names: Collection[str]) -> dict[str, Item]:
            found.update((name, self._of(name)) for name in names)
            return {name: item for name in names for item in found[name] if item["sk"] == OBJECT_SK}

        head = followed([object_id], read).get(object_id)
        if head is None:
            return None
        return _entry(head, [item for item in found[str(head["object_id"])] if item["sk"] != OBJECT_SK])

    def _of(self, object_id: str) -> list[Item]:
        return list(
            self._pages(
                "query",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": object_pk(object_id)}},
                ConsistentRead=True,
            )
        )

    def objects(self, object_ids: Iterable[str]) -> dict[str, Item]:
        """Object items (without chunks) that these ids stand for, by the ids that the ledger knows."""
        return followed(object_ids, self._read)

    def _read(self, object_ids: Iterable[str]) -> dict[str, Item]:
        from sluice_pipeline.dynamo.table import Table  # imports botocore

        keys = ((object_pk(name), OBJECT_SK) for name in dict.fromkeys(object_ids))
        items = Table(self._client, self._table).get_many(keys)
        return {str(item["object_id"]): with_numbers(item) for item in items}

    def recent(
        self, *, state: str | None = None, dataset: str | None = None, since: str | None = None, page: int = _READ
    ) -> Iterator[Item]:
        """Object items as they are now, newest first: by state (updated_at) when it is given, else by dataset
        (received_at).

        Which of the two is given decides what ``since`` (ISO 8601, UTC) is compared with. ``page``: how many of them
        are read at a time, at most 100.
        """
        if state is not None:
            found = self.changed(state, since, page=page)
        elif dataset is not None:
            found = self.received(dataset, since, page=page)
        else:
            raise ValueError("recent() needs a state or a dataset")
        return (item for item in self._now(found, page) if state in (None, item["state"]))

    def received(self, dataset: str, since: str | None = None, page: int = 0) -> Iterator[Item]:
        """What never changes of the objects of a dataset, newest first: object_id, dataset, received_at and origin."""
        return self._indexes.read(Part(RECEIVED, dataset, since or ""), newest_first=True, page=page)

    def everything_received(self) -> Iterator[Item]:
        """What never changes of all objects, in no order, and the key of each one's present version."""
        return self._indexes.everything()

    def changed(self, state: str, since: str | None = None, page: int = 0) -> Iterator[Item]:
        """What the index has of the objects in a state, newest first.

        That is object_id, updated_at, and of a committed one run and rows_in, of another one failed_reason.
        """
        return map(with_numbers, self._indexes.read(of_state(state, since or ""), newest_first=True, page=page))

    def count(self, state: str) -> int:
        """How many objects are in a state."""
        return self._indexes.count(of_state(state))

    def last_runs(self, limit: int) -> Iterator[tuple[str, str, str]]:
        """Of the objects that were committed last their ids, their runs, and when; as the index shows them."""
        found = self._indexes.read(of_state(State.COMMITTED), newest_first=True, page=min(limit, _READ))
        for item in islice(found, limit):
            yield str(item["object_id"]), str(item["run"]), str(item["updated_at"])

    def oldest(self, state: str, limit: int) -> list[Item]:
        """The object items of a state that have not changed for longest."""
        found = self._indexes.read(of_state(state), page=limit)
        return list(islice((item for item in self._now(found, limit) if item["state"] == state), limit))

    @property
    def _indexes(self) -> Indexes:
        """As they were a moment ago: lists that belong together read over how many shards they are spread once."""
        if self._looked is None or time.monotonic() - self._looked_at > _MOMENT:
            self._looked, self._looked_at = Indexes(self._client, self._table), time.monotonic()
        return self._looked

    def _now(self, found: Iterable[Item], page: int) -> Iterator[Item]:
        """The items of the table that an index names, in its order."""
        for some in batched((str(item["object_id"]) for item in found), min(page, _READ), strict=False):
            items = self.objects(some)
            yield from (items[name] for name in some if name in items)

    def _pages(self, operation: str, **request: Any) -> Iterator[Item]:
        for answer in self._answers(operation, **request):
            yield from (with_numbers(plain(item)) for item in answer["Items"])

    def _answers(self, operation: str, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            answer = getattr(self._client, operation)(TableName=self._table, **request)
            yield answer
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last


def _entry(head: Item, others: Iterable[Item]) -> Entry:
    """An object with its chunks in order, and each chunk with its files; a chunk whose pages are not there has none."""
    chunks: list[Item] = []
    pages: list[Item] = []
    for item in others:
        if is_gone(item) or str(item["sk"]).startswith(UPLOAD):
            continue  # of a former plan of an object that has expired since, or a pointer's
        (pages if str(item["sk"]).startswith(PAGES) else chunks).append(item)
    chunks.sort(key=lambda chunk: chunk_number(str(chunk["sk"])))
    by_chunk: dict[str, list[Item]] = {}
    for page in pages:
        by_chunk.setdefault(str(page["sk"]).split("#")[1], []).append(page)
    return Entry(head, [dict(joined(c, by_chunk.get(f"{chunk_number(str(c['sk'])):010d}", [])) or c) for c in chunks])


def _outline(item: Item) -> Outline:
    """Equal texts are one object, as far as that is cheap."""
    key, origin = str(item.get("key") or ""), str(item["origin"]["key"])
    return Outline(
        str(item["object_id"]),
        sys.intern(str(item["dataset"])),
        key if key == origin else origin,
        sys.intern(str(item["state"])),
        sys.intern(str(item.get("failed_reason") or "")),
        (key, str(item.get("version_id") or "")),
    )
