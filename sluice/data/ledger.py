"""The ledger as the host reads it: objects, their chunks, and what each chunk wrote. Read-only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import batched, islice
from typing import Any

from pipeline.items import OBJECT_SK, State, chunk_sk, object_pk

type Item = dict[str, Any]

FINAL = frozenset({State.COMMITTED, State.FAILED, State.MISSING})


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
        """The key that first carried these rows; a replayed copy keeps it."""
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


class LedgerView:
    """Reads the ledger table with a low-level DynamoDB client."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def everything(self) -> dict[str, Entry]:
        """All objects with their chunks, in one scan (1 MB a page)."""
        entries: dict[str, Entry] = {}
        chunks: list[Item] = []
        for item in self._pages("scan", ConsistentRead=True):
            if item["sk"] == OBJECT_SK:
                entries[str(item["object_id"])] = Entry(item)
            else:
                chunks.append(item)
        for chunk in sorted(chunks, key=lambda chunk: str(chunk["sk"])):
            owner = entries.get(str(chunk["pk"]).removeprefix("object#"))
            if owner is not None:
                owner.chunks.append(chunk)
        return entries

    def one(self, object_id: str) -> Entry | None:
        """An object with its chunks, None when the ledger does not know it."""
        items = list(
            self._pages(
                "query",
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": object_pk(object_id)}},
                ConsistentRead=True,
            )
        )
        heads = [item for item in items if item["sk"] == OBJECT_SK]
        return Entry(heads[0], [item for item in items if item["sk"] != OBJECT_SK]) if heads else None

    def objects(self, object_ids: Iterable[str]) -> dict[str, Item]:
        """Object items (without chunks) of the ids that the ledger knows."""
        found: dict[str, Item] = {}
        for batch in batched(object_ids, 100, strict=False):  # BatchGetItem takes 100 keys
            keys = [{"pk": {"S": object_pk(name)}, "sk": {"S": OBJECT_SK}} for name in batch]
            request: dict[str, Any] = {self._table: {"Keys": keys, "ConsistentRead": True}}
            while request:
                answer = self._client.batch_get_item(RequestItems=request)
                for raw in answer["Responses"].get(self._table, []):
                    item = plain(raw)
                    found[str(item["object_id"])] = item
                request = answer.get("UnprocessedKeys") or {}
        return found

    def recent(
        self, *, state: str | None = None, dataset: str | None = None, since: str | None = None
    ) -> Iterator[Item]:
        """Object items, newest first: by state (updated_at) when it is given, else by dataset (received_at).

        Which of the two indexes is read decides what ``since`` (ISO 8601, UTC) is compared with.
        """
        if state is not None:
            index, name, sort, value = "by_state", "state", "updated_at", state
        elif dataset is not None:
            index, name, sort, value = "by_dataset", "dataset", "received_at", dataset
        else:
            raise ValueError("recent() needs a state or a dataset")
        condition, values = "#name = :value", {":value": {"S": value}}
        names = {"#name": name}
        if since:
            condition, values[":since"] = condition + " AND #sort >= :since", {"S": since}
            names["#sort"] = sort
        yield from self._pages(
            "query",
            IndexName=index,
            KeyConditionExpression=condition,
            ExpressionAttributeNames=names,
            ExpressionAttributeValues=values,
            ScanIndexForward=False,
        )

    def count(self, state: str) -> int:
        """How many objects are in a state."""
        return sum(page["Count"] for page in self._answers("query", **_by_state(state), Select="COUNT"))

    def oldest(self, state: str, limit: int) -> list[Item]:
        """The object items of a state that have not changed for longest."""
        return list(islice(self._pages("query", **_by_state(state), Limit=limit), limit))

    def _pages(self, operation: str, **request: Any) -> Iterator[Item]:
        for answer in self._answers(operation, **request):
            yield from map(plain, answer["Items"])

    def _answers(self, operation: str, **request: Any) -> Iterator[dict[str, Any]]:
        while True:
            answer = getattr(self._client, operation)(TableName=self._table, **request)
            yield answer
            if not (last := answer.get("LastEvaluatedKey")):
                return
            request["ExclusiveStartKey"] = last


def _by_state(state: str) -> dict[str, Any]:
    """A query of the index, least recently changed first."""
    return {
        "IndexName": "by_state",
        "KeyConditionExpression": "#name = :value",
        "ExpressionAttributeNames": {"#name": "state"},
        "ExpressionAttributeValues": {":value": {"S": state}},
    }


def plain(item: Mapping[str, Any]) -> Item:
    """A DynamoDB item as Python values, whole numbers as int."""
    from boto3.dynamodb.types import TypeDeserializer

    read = TypeDeserializer().deserialize
    return {name: _number(read(value)) for name, value in item.items()}


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, list):
        return [_number(part) for part in value]
    if isinstance(value, dict):
        return {name: _number(part) for name, part in value.items()}
    return value
