"""Brings objects that an earlier release has written into the indexes of this one.

It reads the whole table in passes, and goes on where it was broken off: the head item has the position. A pass that
finds every object right is the last. One that had something to change is followed by another, for a function of the
earlier release may still have been at work; so the next one begins when no function of then can run any more.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, Final

from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain, typed
from sluice_pipeline.ledger.items import OBJECT_SK, State, object_pk
from sluice_pipeline.ledger.shards import COMMITTED, HEAD, OPEN, RECEIVED, Shards, move, received_key
from sluice_pipeline.runtime import clock
from sluice_pipeline.runtime.clock import now

REST_SECONDS: Final = 15 * 60
"""Longer no function runs: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""
_THREADS: Final = 8
_READ: Final = 500  # items of the table before the position is stored
_TRIES: Final = 5


def is_right(item: dict[str, Any]) -> bool:
    """Whether an object's item is in the indexes where its state and its dataset belong, in whatever shard."""
    open_in, committed_in = item.get(OPEN.key), item.get(COMMITTED.key)
    if not str(item.get(RECEIVED.key, "")).startswith(f"{item['dataset']}#"):
        return False
    if item["state"] == State.COMMITTED:
        return committed_in is not None and open_in is None
    return committed_in is None and str(open_in).startswith(f"{item['state']}#")


class Reindex:
    def __init__(self, client: Any, table: str, shard_count: int | None = None) -> None:
        self._client = client
        self._table = Table(client, table)
        self._shards = Shards(self._table, shard_count)

    def run(self, hurry: Callable[[], bool]) -> bool:
        """Goes on until it is done or ``hurry`` says to stop; whether every object is in the indexes."""
        head = self._table.get(*HEAD) or {}
        if head.get("complete"):
            return True
        if "position" not in head and str(head.get("next_pass_at", "")) > now():
            return False
        seen, changed, position = int(head.get("seen", 0)), int(head.get("changed", 0)), head.get("position")
        while not hurry():
            answer = self._page(position)
            items = [plain(item) for item in answer["Items"]]
            wrong = [item for item in items if not is_right(item)]
            self._change_all(wrong)
            seen, changed, position = seen + len(items), changed + len(wrong), answer.get("LastEvaluatedKey")
            if position is None:
                return self._end_pass(seen, changed)
            self._store(position=position, seen=seen, changed=changed)
        return False

    def _page(self, position: dict[str, Any] | None) -> dict[str, Any]:
        names = {"#state": "state"}
        wanted = ("pk", "object_id", "dataset", "updated_at", OPEN.key, COMMITTED.key, RECEIVED.key)
        answer: dict[str, Any] = self._client.scan(
            TableName=self._table.name,
            FilterExpression="sk = :object AND attribute_exists(received_at)",
            ExpressionAttributeValues=typed({":object": OBJECT_SK}),
            ProjectionExpression=", ".join((*names, *wanted)),
            ExpressionAttributeNames=names,
            ConsistentRead=True,
            Limit=_READ,
            **({"ExclusiveStartKey": position} if position else {}),
        )
        return answer

    def _change_all(self, items: Iterable[dict[str, Any]]) -> None:
        with ThreadPoolExecutor(_THREADS) as pool:
            list(pool.map(self._change, items))

    def _change(self, item: dict[str, Any]) -> None:
        """Sets an object's index keys as its state wants them; when that has changed meanwhile, as the new one does."""
        object_id, found = item["object_id"], item
        shard = self._shards.of(object_id)
        [(name, value)] = received_key(item["dataset"], shard).items()
        for _ in range(_TRIES):
            to = move(State(found["state"]), shard)
            changed = self._table.update(
                object_pk(object_id),
                OBJECT_SK,
                f"SET {to.sets} , {name} = :{name} REMOVE {to.removes}",
                "#state = :state AND updated_at = :at",
                to.values | {f":{name}": value, ":at": found["updated_at"]},
            )
            if changed is not None:
                return
            again = self._table.get(object_pk(object_id), OBJECT_SK)
            if again is None or is_right(again):
                return
            found = again
        # One that changes all the time: the next pass finds it.

    def _end_pass(self, seen: int, changed: int) -> bool:
        """An empty ledger may be that of an earlier release, of which a function is still at work: it is read again."""
        done = seen > 0 and changed == 0
        rest = clock.present() + timedelta(seconds=REST_SECONDS if changed else 0)
        self._table.update(
            *HEAD,
            "SET #complete = :done , next_pass_at = :next REMOVE #position , #seen , #changed",
            "",
            {":done": done, ":next": clock.written(rest)},
        )
        return done

    def _store(self, **values: Any) -> None:
        sets = ", ".join(f"#{name} = :{name}" for name in values)
        self._table.update(*HEAD, f"SET {sets}", "", {f":{name}": value for name, value in values.items()})
