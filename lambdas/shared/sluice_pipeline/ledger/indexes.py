"""Reads the ledger's indexes: all shards of one together, in the order of its sort key, page by page.

An index follows the table after a moment, so what is read here may be a little old. Objects that a release before 0.2
has written are in no index until `reindex` has found them; until then they are read from the table.
"""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from heapq import merge
from typing import Any, Final

from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.ledger.items import OBJECT_SK, State
from sluice_pipeline.ledger.shards import COMMITTED, HEAD, OPEN, RECEIVED, Index, configured, partition

type Item = dict[str, Any]
_THREADS: Final = 8


@dataclass(frozen=True, slots=True)
class Part:
    """Items of one state (of OPEN, COMMITTED) or dataset (of RECEIVED), with ``since`` <= order < ``until``."""

    index: Index
    value: str = ""
    since: str = ""
    until: str = ""

    def holds(self, item: Mapping[str, Any]) -> bool:
        """Whether an item of the table belongs to it, whatever its index keys are."""
        value = item["dataset"] if self.index is RECEIVED else item["state"]
        wanted = self.value or State.COMMITTED
        moment = str(item[self.index.order])
        return value == wanted and moment >= self.since and (not self.until or moment < self.until)


def of_state(state: str, since: str = "", until: str = "") -> Part:
    """Objects in this state that have last changed in these times."""
    if state == State.COMMITTED:
        return Part(COMMITTED, since=since, until=until)
    return Part(OPEN, state, since, until)


class Indexes:
    """``shards`` and ``complete`` are read once, so this is made for one look."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    @cached_property
    def _head(self) -> Item:
        key = typed(dict(zip(("pk", "sk"), HEAD, strict=True)))
        answer = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        return plain(answer.get("Item") or {})

    @property
    def shards(self) -> int:
        """The greatest number that was ever written with."""
        return max(int(self._head.get("shards") or 1), configured())

    @property
    def complete(self) -> bool:
        """Whether every object is in its indexes."""
        return bool(self._head.get("complete"))

    def read(self, part: Part, *, newest_first: bool = False, page: int = 0) -> Iterator[Item]:
        """The items of a part in the order of its index; ``page``: how many of each shard are read at a time, 0: 1 MB.

        Of an item there is what the index has of it.
        """
        # Before the index is asked: an object that comes into it meanwhile is then found in both.
        old = {item["object_id"]: item for item in self._old if part.holds(item)}
        size = {"Limit": page} if page else {}
        requests = [request | size | {"ScanIndexForward": not newest_first} for request in self.requests(part)]
        streams = [self._items(request, first) for request, first in self._first(requests)]

        def order(item: Item) -> str:
            return str(item[part.index.order])

        found: Iterator[Item] = merge(*streams, key=order, reverse=newest_first)
        if part.until:  # which DynamoDB's BETWEEN includes
            found = (item for item in found if order(item) < part.until)
        others = (item for item in found if item["object_id"] not in old)
        yield from merge(others, sorted(old.values(), key=order, reverse=newest_first), key=order, reverse=newest_first)

    def count(self, part: Part) -> int:
        """How many items a part has."""
        old = sum(part.holds(item) and part.index.key not in item for item in self._old)
        requests = [request | {"Select": "COUNT"} for request in self.requests(part)]
        return old + sum(_at_once(self._count, requests))

    def _count(self, request: dict[str, Any]) -> int:
        return sum(int(answer["Count"]) for answer in self._answers("query", request))

    def everything(self) -> Iterator[Item]:
        """All objects in no order: object_id, dataset, received_at, origin and key."""
        old = set()
        if not self.complete:
            for item in self.unindexed():
                old.add(item["object_id"])
                yield item
        for answer in self._answers("scan", {"IndexName": RECEIVED.name}):
            yield from (item for item in map(plain, answer["Items"]) if item["object_id"] not in old)

    @cached_property
    def _old(self) -> list[Item]:
        return [] if self.complete else list(self.unindexed())

    def unindexed(self) -> Iterator[Item]:
        """Objects that `reindex` still has to find, as the table has them: a scan of it."""
        is_old = f"attribute_exists({RECEIVED.order}) AND attribute_not_exists({RECEIVED.key})"
        request = {
            "FilterExpression": f"sk = :object AND {is_old}",
            "ExpressionAttributeValues": typed({":object": OBJECT_SK}),
            "ConsistentRead": True,
        }
        for answer in self._answers("scan", request):
            yield from map(plain, answer["Items"])

    def requests(self, part: Part) -> list[dict[str, Any]]:
        """A query for each shard of a part, oldest first; none where no time lies between its bounds."""
        if part.until and part.since >= part.until:
            return []
        condition, names = "#key = :key", {"#key": part.index.key}
        bounds = {f":{name}": value for name in ("since", "until") if (value := getattr(part, name))}
        if bounds:
            names["#order"] = part.index.order
        condition += {
            (): "",
            (":since",): " AND #order >= :since",
            (":until",): " AND #order < :until",
            (":since", ":until"): " AND #order BETWEEN :since AND :until",
        }[tuple(bounds)]
        return [
            {
                "IndexName": part.index.name,
                "KeyConditionExpression": condition,
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": typed(bounds | {":key": partition(part.value, shard)}),
            }
            for shard in range(self.shards)
        ]

    def _first(self, requests: list[dict[str, Any]]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
        """Each request with its first answer; all shards are asked at once."""
        return list(zip(requests, _at_once(self._query, requests), strict=True))

    def _query(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.query(TableName=self._table, **request)
        return answer

    def _items(self, request: dict[str, Any], first: dict[str, Any]) -> Iterator[Item]:
        for answer in self._answers("query", request, first):
            yield from map(plain, answer["Items"])

    def _answers(
        self, operation: str, request: dict[str, Any], first: dict[str, Any] | None = None
    ) -> Iterator[dict[str, Any]]:
        call = getattr(self._client, operation)
        answer = call(TableName=self._table, **request) if first is None else first
        while True:
            yield answer
            if not (last := answer.get("LastEvaluatedKey")):
                return
            answer = call(TableName=self._table, **request, ExclusiveStartKey=last)


def _at_once[R](work: Callable[[dict[str, Any]], R], requests: list[dict[str, Any]]) -> list[R]:
    """The results for all shards' requests, in order."""
    if len(requests) < 2:
        return [work(request) for request in requests]
    with ThreadPoolExecutor(min(_THREADS, len(requests))) as pool:
        return list(pool.map(work, requests))
