"""One hop through the deployed pipeline: S3 put -> ingest -> SQS -> transform -> silver, ledger and idempotency
included.

An object ends when the ledger says it is committed (``committed_at``, to the millisecond, written by transform after
the silver files and the announcement). Engine, functions and this program share one machine and so one clock.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from fixtures import shipping
from sluice.bench import figures
from sluice.bench.figures import Hop
from sluice.console import fail
from sluice.pipeline import verify
from sluice.pipeline.ledger import Item, LedgerView
from sluice.pipeline.stack import Stack
from sluice.polling import poll
from sluice_pipeline.ledger.items import FINAL

ROWS = 20  # a small object: about 3 kB
WARM_UP = 40
ALONE = 20
PACE = 25  # objects a second: the rate that the pipeline must hold
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Sent:
    """An object that was put at this time (s since the epoch, before the call)."""

    object_id: str
    at: float


@dataclass(frozen=True)
class Hops:
    """One hop under three loads: put as fast as this program can, put at `PACE`, put when the one before has ended."""

    burst: Hop
    paced: Hop
    alone: Hop


def measure(stack: Stack, objects: int, deadline: float = 120.0, around: Callable[[], None] = lambda: None) -> Hops:
    """The hop of ``objects`` objects in a burst, of as many at 25 a second, and of 20 one at a time.

    A burst shows the throughput, and its latency is mostly queueing: puts are faster than any pipeline behind them.
    Before that 40 objects go through, so that every execution environment is warm. ``around`` is called just before
    and just after the burst.
    Raises SluiceError when an object is not committed within ``deadline`` seconds or lost a row.
    """
    run = uuid.uuid4().hex[:8]
    put = putter(stack, run)
    ledger = LedgerView.of(stack)
    finished(ledger, [put(f"warm-{number:05d}") for number in range(WARM_UP)], deadline, ROWS)
    around()
    sent = [put(f"run-{number:05d}") for number in range(objects)]
    burst = hop(sent, finished(ledger, sent, deadline, ROWS))
    around()
    sent = [put(f"paced-{number:05d}") for number in _paced(objects)]
    paced = hop(sent, finished(ledger, sent, deadline, ROWS))
    single: list[Sent] = []
    items: dict[str, Item] = {}
    for number in range(min(ALONE, objects)):
        single.append(put(f"alone-{number:05d}"))
        items |= finished(ledger, single[-1:], deadline, ROWS)
    return Hops(burst, paced, hop(single, items))


def _paced(count: int) -> Iterator[int]:
    """Numbers, each at its own time: a late one does not make the next ones late."""
    begin = time.monotonic()
    for number in range(count):
        time.sleep(max(0.0, begin + number / PACE - time.monotonic()))
        yield number


def finished(ledger: LedgerView, sent: list[Sent], deadline: float, rows: int | None = None) -> dict[str, Item]:
    """The ledger's items once all objects are final. Looks at one object at a time: looking costs the engine, too.

    Raises SluiceError when that takes more than ``deadline`` seconds, an object failed, or not all of its ``rows``
    are in silver.
    """
    end = time.monotonic() + deadline
    for one in reversed(sent):
        seen = poll(
            partial(ledger.objects, [one.object_id]), _final, seconds=end - time.monotonic(), interval=POLL_SECONDS
        )
        if not seen.done:
            fail(f"object {one.object_id} is not committed after {deadline:.0f} s", 1)
        items = ledger.objects([other.object_id for other in sent])
        if len(items) == len(sent) and _final(items):
            _check(items, rows)
            return items
    return {}


def _final(items: dict[str, Item]) -> bool:
    return bool(items) and all(item["state"] in FINAL for item in items.values())


def _check(items: dict[str, Item], rows: int | None) -> None:
    for item in items.values():
        if item["state"] != "committed":
            fail(f"{item['key']} is {item['state']}: {item.get('error')}", 1)
        if rows is not None and item["rows_silver"] != rows:
            fail(f"{item['key']}: {item['rows_silver']} of {rows} rows are in silver", 1)


def committed_at(item: Item) -> float:
    """Seconds since the epoch."""
    return datetime.fromisoformat(str(item["committed_at"])).timestamp()


def hop(sent: list[Sent], items: dict[str, Item]) -> Hop:
    return figures.summary([one.at for one in sent], [committed_at(items[one.object_id]) for one in sent])


def putter(stack: Stack, run: str) -> Callable[[str], Sent]:
    """Puts ever new objects of `ROWS` rows under a name of the run's."""
    s3, bucket = stack.client("s3"), stack["bronze_bucket"]
    bodies = _bodies()

    def put(name: str) -> Sent:
        key, body = f"bronze/{shipping.SHIPMENTS}/bench-{run}/{name}.jsonl", next(bodies)
        at = time.time()
        answer: Any = s3.put_object(Bucket=bucket, Key=key, Body=body)
        return Sent(verify.object_id(bucket, key, answer["ETag"].strip('"')), at)

    return put


def _bodies() -> Iterator[bytes]:
    """Ever new objects of one day's rows, so one silver file each."""
    seed = 0
    while True:
        yield b"".join(shipping.dump(row) + b"\n" for row in shipping.records(shipping.SHIPMENTS, seed, ROWS, days=1))
        seed += 1
