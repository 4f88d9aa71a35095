"""Objects that have been finished for as long as the ledger is to know them expire, and DynamoDB deletes their items.

DynamoDB deletes an item some days after the time in its attribute ``expires_at`` (a number, Unix time in seconds), in
no order, and shows it until then:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html
So no reader looks at that time. An object expires by one change of its own item, in three steps, each safe to repeat:

1. Its item gets ``expired_at`` and leaves the indexes, but for OPEN, where it is under EXPIRED. From here on no reader
   knows the object, and no planner comes in its place yet.
2. All that belongs to it gets ``expires_at``: chunks, pages of files, the content item, uploads and their pointers.
3. With the last of these its own item gets it, and leaves OPEN. Now it may be planned again, as an object that returns.

DynamoDB can delete nothing of an object that a reader still knows, and no item is left without the attribute: what
dies between the steps is found in OPEN.
"""

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import batched
from typing import Any, Final

from sluice_pipeline.dynamo.table import TRANSACTION_LIMIT, Table
from sluice_pipeline.ledger import contents
from sluice_pipeline.ledger.indexes import Indexes, Part
from sluice_pipeline.ledger.items import EXPIRED_AT, EXPIRES_AT, OBJECT_SK, State, object_pk
from sluice_pipeline.ledger.shards import COMMITTED, OPEN, RECEIVED, partition, shard_of
from sluice_pipeline.runtime import clock

EXPIRED: Final = "expired"
"""The state of an object's item from the first step on; no reader sees it."""
HEAD: Final = ("ledger#expiry", "head")
"""Keys of the item that says how far the present pass is, ``position``, and when the next one begins."""
REST: Final = timedelta(hours=1)  # between two passes; what was not finished in one is looked at in the next
_THREADS: Final = 8
_BATCH: Final = 200
_TRIES: Final = 5


class Expiry:
    """``loaded``: whether a warehouse takes the objects of all datasets but ``left_out``; those wait for their load."""

    def __init__(
        self, client: Any, table: str, days: int, *, loaded: bool = False, left_out: Collection[str] = ()
    ) -> None:
        self._client = client
        self._table = Table(client, table)
        self._age = timedelta(days=days)
        self._loaded = loaded
        self._left_out = sorted(left_out)

    def run(self, hurry: Callable[[], bool]) -> int:
        """Goes on until all that is due has expired, or ``hurry`` says to stop; how many objects have.

        Objects that are old enough and not finished (announced again meanwhile, not in the warehouse yet) stay.
        """
        indexes = Indexes(self._client, self._table.name)
        if not indexes.complete:  # an object that an earlier release has written may be in none of them
            return 0
        begun = indexes.read(Part(OPEN, EXPIRED), page=_BATCH)
        done = self._each(self._go_on, begun, hurry, lambda _: None)
        head = self._table.get(*HEAD) or {}
        if hurry() or str(head.get("next_pass_at", "")) > clock.now():
            return done
        due = Part(COMMITTED, since=str(head.get("position", "")), until=self._until)
        done += self._each(self._expire, indexes.read(due, page=_BATCH), hurry, self._store)
        if not hurry():
            rest = clock.written(clock.present() + REST)
            self._table.update(*HEAD, "SET next_pass_at = :next REMOVE #position", "", {":next": rest})
        return done

    @property
    def _until(self) -> str:
        return clock.written(clock.present() - self._age)

    def _each(
        self,
        work: Callable[[dict[str, Any]], bool],
        found: Iterator[dict[str, Any]],
        hurry: Callable[[], bool],
        after: Callable[[dict[str, Any]], None],
    ) -> int:
        done = 0
        with ThreadPoolExecutor(_THREADS) as pool:
            for some in batched(found, _BATCH, strict=False):
                if hurry():
                    break
                done += sum(pool.map(work, some))
                after(some[-1])
        return done

    def _store(self, last: dict[str, Any]) -> None:
        # Those of this very moment are read again.
        self._table.update(*HEAD, "SET #position = :at", "", {":at": last[COMMITTED.order]})

    def _expire(self, found: dict[str, Any]) -> bool:
        """The first step, and what follows; False when the object has changed, or something of it is still open."""
        object_id = str(found["object_id"])
        shard = int(str(found.get(COMMITTED.key) or shard_of(object_id, 1)))
        values: dict[str, Any] = {
            ":expired": EXPIRED,
            ":open_in": partition(EXPIRED, shard),
            ":now": int(clock.present().timestamp()),
        }
        values |= {":committed": State.COMMITTED, ":until": self._until}
        finished = (
            "#state = :committed AND updated_at < :until AND attribute_not_exists(publishing) "
            "AND attribute_not_exists(notice_due) AND ( attribute_not_exists(newest) OR newest.since < :until )"
        )
        if self._loaded:
            out = {f":out{number}": name for number, name in enumerate(self._left_out)}
            left_out = f" OR #dataset IN ( {' , '.join(out)} )" if out else ""
            finished += f" AND ( loaded_run >= #run{left_out} )"
            values |= out
        begun = self._table.update(
            object_pk(object_id),
            OBJECT_SK,
            f"SET #state = :expired , {OPEN.key} = :open_in , {EXPIRED_AT} = :now "
            f"REMOVE {COMMITTED.key} , {RECEIVED.key} , {RECEIVED.order}",
            finished,
            values,
        )
        return begun is not None and self._complete(begun)

    def _go_on(self, found: dict[str, Any]) -> bool:
        head = self._table.get(object_pk(str(found["object_id"])), OBJECT_SK)
        return head is not None and self._complete(head)

    def _complete(self, head: dict[str, Any]) -> bool:
        """The second and the third step; False when another function has done them."""
        for _ in range(_TRIES):
            if EXPIRED_AT not in head or EXPIRES_AT in head:
                return False
            moment = int(head[EXPIRED_AT])
            marks = [self._mark(*key, condition, value, moment) for key, condition, value in self._others(head)]
            # Each transaction has the object's own item too, so that none of them comes too late.
            size = TRANSACTION_LIMIT - 1
            *parts, last = [marks[at : at + size] for at in range(0, len(marks), size)] or [[]]
            if all(self._table.transact([self._own(head, moment, ""), *part]) for part in parts) and (
                self._table.transact([self._own(head, moment, f", {EXPIRES_AT} = :at REMOVE {OPEN.key}"), *last])
            ):
                return True
            head = self._table.get(head["pk"], OBJECT_SK) or {}
        return False

    def _own(self, head: dict[str, Any], moment: int, more: str) -> dict[str, Any]:
        condition = f"{EXPIRED_AT} = :at AND attribute_not_exists({EXPIRES_AT})"
        update = f"SET {EXPIRED_AT} = :at {more}"
        return self._table.update_action(head["pk"], OBJECT_SK, update, condition, {":at": moment})

    def _mark(self, pk: str, sk: str, condition: str, value: str, moment: int) -> dict[str, Any]:
        values = {":at": moment} | ({":value": value} if value else {})
        return self._table.update_action(pk, sk, f"SET {EXPIRES_AT} = :at", condition, values)

    def _others(self, head: dict[str, Any]) -> Iterator[tuple[tuple[str, str], str, str]]:
        """What belongs to an object and is not marked: its key, and what must hold of it, with the ``:value`` in it."""
        object_id, there, content_id = str(head["object_id"]), "attribute_exists(pk)", ""
        for item in self._table.query(head["pk"]):
            sk, content_id = str(item["sk"]), item.get("content_id", content_id)
            if sk != OBJECT_SK and EXPIRES_AT not in item:
                yield (head["pk"], sk), there, ""
            if sk.startswith(contents.UPLOAD):
                pointer = object_pk(sk.removeprefix(contents.UPLOAD)), OBJECT_SK
                found = self._table.get(*pointer)
                if found and found.get(contents.SAME_AS) == object_id and EXPIRES_AT not in found:
                    yield pointer, f"{contents.SAME_AS} = :value", object_id
        if content_id:
            key = contents.content_pk(str(content_id)), contents.CONTENT_SK
            found = self._table.get(*key)
            if found and found["object_id"] == object_id and EXPIRES_AT not in found:
                yield key, "object_id = :value", object_id
