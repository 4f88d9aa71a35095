"""S3, DynamoDB and Glue in memory, and actors whose calls a test interleaves, breaks and kills one by one.

Each actor runs in a thread of its own that waits at every call until the schedule lets it go on. So the code under test
is the deployed one, and a schedule (a list of numbers) decides who makes the next call and how it ends.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from lake.compaction.partition import Table, Written
from lake.compaction.places import File, compacted_folder
from sluice_pipeline.dynamo.values import plain, typed

BUCKET: Final = "s3://silver-b/"
COLUMNS: Final = [{"Name": "shipment_id", "Type": "string"}]
TABLE: Final = Table("shipments", {"Location": f"{BUCKET}silver/shipments/", "Columns": COLUMNS})


class Died(BaseException):
    """The process is gone: no handler of the code runs."""


class Actor(threading.Thread):
    def __init__(self, name: str, work: Callable[[], None]) -> None:
        super().__init__(name=name, daemon=True)
        self._work = work
        self._go, self._back = threading.Semaphore(0), threading.Semaphore(0)
        self.ended = False
        self.error: BaseException | None = None
        self.how = ""

    def run(self) -> None:
        self._go.acquire()
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - its end is looked at by the test
            self.error = error
        self.ended = True
        self._back.release()

    def step(self, how: str = "go") -> None:
        """Lets it make its next call, and returns when it waits for the one after."""
        if self.ident is None:
            self.start()
        self.how = how
        self._go.release()
        assert self._back.acquire(timeout=20), f"{self.name} hangs"

    def wait(self) -> str:
        """In the actor: at a call. How it is to end."""
        self._back.release()
        self._go.acquire()
        return self.how


class World:
    """``now`` in seconds. ``files``: key -> (etag, modified, rows). ``locations``: of partitions."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.files: dict[str, tuple[str, float, tuple[str, ...]]] = {}
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.partitions: dict[str, dict[str, Any]] = {}

    def call[T](self, effect: Callable[[], T]) -> T:
        """One call to AWS, at which an actor can be interrupted."""
        actor = threading.current_thread()
        how = actor.wait() if isinstance(actor, Actor) else "go"
        self.now += 1
        if how == "die-before":
            raise Died
        if how == "error-before":
            raise ClientError({"Error": {"Code": "ServiceUnavailable"}}, "Call")
        result = effect()
        if how == "die-after":
            raise Died
        if how == "error-after":
            raise ClientError({"Error": {"Code": "RequestTimeout"}}, "Call")
        return result

    # -- S3 ------------------------------------------------------------------------------------------------------------

    def put(self, key: str, rows: Sequence[str]) -> None:
        self.files[key] = (str(hash(tuple(rows))), self.now, tuple(rows))

    def listed(self, prefix: str) -> list[File]:
        found = [(key, one) for key, one in sorted(self.files.items()) if key.startswith(prefix)]
        return [File(key, etag, max(1, len(rows)), modified) for key, (etag, modified, rows) in found]

    def visible(self, day: str) -> Counter[str]:
        """The rows that Athena reads of a date."""
        partition = self.partitions.get(day)
        prefix = partition["StorageDescriptor"]["Location"].removeprefix(BUCKET) if partition else "none"
        return Counter(row for key, (_, _, rows) in self.files.items() if key.startswith(prefix) for row in rows)


class Ports:
    """What a compaction calls."""

    def __init__(self, world: World) -> None:
        self._world = world

    def files(self, prefix: str) -> list[File]:
        return self._world.call(lambda: self._world.listed(prefix))

    def partition(self, day: tuple[str, str]) -> dict[str, Any] | None:
        return self._world.call(lambda: self._world.partitions.get(day[1]))

    def move(self, day: tuple[str, str], partition: dict[str, Any]) -> None:
        def effect() -> None:
            self._world.partitions[day[1]] = partition

        self._world.call(effect)

    def write(self, table: Table, day: str, files: Sequence[File], generation: str, count: int) -> Written:
        world, folder = self._world, compacted_folder(table.dataset, day, generation)
        rows: list[str] = []
        for file in files:
            rows += world.call(lambda file=file: world.files.get(file.key, ("", 0.0, ()))[2])  # type: ignore[misc]
        for old in [key for key in world.files if key.startswith(folder)]:
            world.call(lambda old=old: world.files.pop(old))  # type: ignore[misc]
        for part in (0, 1):
            world.call(lambda part=part: world.put(f"{folder}part-{part}.parquet", rows[part::2]))  # type: ignore[misc]
        return Written(len(rows), len(rows), len(rows), 0, 0)


class Glue:
    """What register calls."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_table(self, **_: Any) -> dict[str, Any]:
        return self._world.call(lambda: {"Table": {"StorageDescriptor": TABLE.storage}})

    def batch_get_partition(self, *, PartitionsToGet: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        days = [one["Values"][0] for one in PartitionsToGet]
        found = self._world.partitions
        return self._world.call(lambda: {"Partitions": [found[day] for day in days if day in found]})

    def batch_create_partition(self, *, PartitionInputList: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            errors = []
            for one in PartitionInputList:
                if one["Values"][0] in self._world.partitions:
                    errors.append({"PartitionValues": one["Values"],
                                   "ErrorDetail": {"ErrorCode": "AlreadyExistsException"}})  # fmt: skip
                self._world.partitions.setdefault(one["Values"][0], one)
            return {"Errors": errors}

        return self._world.call(effect)

    def batch_update_partition(self, *, Entries: list[Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            for entry in Entries:
                self._world.partitions[entry["PartitionValueList"][0]] = entry["PartitionInput"]
            return {}

        return self._world.call(effect)


class Dynamo:
    """One table; the expressions that the fence uses, and no others."""

    def __init__(self, world: World) -> None:
        self._world = world

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        ((table, request),) = RequestItems.items()
        keys = [(key["pk"]["S"], key["sk"]["S"]) for key in request["Keys"]]
        items = self._world.items
        return self._world.call(lambda: {"Responses": {table: [typed(items[key]) for key in keys if key in items]}})

    def batch_write_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            for requests in RequestItems.values():
                for request in requests:
                    item = plain(request["PutRequest"]["Item"])
                    self._world.items[item["pk"], item["sk"]] = item
            return {}

        return self._world.call(effect)

    def get_paginator(self, _: str) -> Dynamo:
        return self

    def paginate(self, *, ExpressionAttributeValues: dict[str, Any], **_: Any) -> Iterator[dict[str, Any]]:  # noqa: N803
        pk = ExpressionAttributeValues[":pk"]["S"]
        items = self._world.items
        yield self._world.call(lambda: {"Items": [typed(one) for (found, _), one in items.items() if found == pk]})

    def update_item(self, **request: Any) -> dict[str, Any]:
        return self._world.call(lambda: self._update(**request))

    def _update(self, *, Key: dict[str, Any], UpdateExpression: str, **request: Any) -> dict[str, Any]:  # noqa: N803
        key = (Key["pk"]["S"], Key["sk"]["S"])
        values = plain(request.get("ExpressionAttributeValues") or {})
        names = request.get("ExpressionAttributeNames") or {}
        item = self._world.items.get(key, {})
        for part in filter(None, request.get("ConditionExpression", "").split(" AND ")):
            name, value = part.split(" = ")
            if item.get(names.get(name, name)) != values[value]:
                raise ClientError({"Error": {"Code": "ConditionalCheckFailedException"}}, "UpdateItem")
        new = {"pk": key[0], "sk": key[1]} | item
        words = re.split(r"\b(SET|ADD|REMOVE)\b", UpdateExpression)
        for verb, clause in zip(words[1::2], words[2::2], strict=True):
            for part in map(str.strip, clause.split(",")):
                name = names.get(part.split()[0], part.split()[0])
                if verb == "SET":
                    new[name] = values[part.split(" = ")[1]]
                elif verb == "ADD":
                    new[name] = new.get(name, 0) + values[part.split()[1]]
                else:
                    new.pop(name, None)
        self._world.items[key] = new
        return {"Attributes": typed(new)}
