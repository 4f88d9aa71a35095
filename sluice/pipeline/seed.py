"""`sluice seed`: puts real and generated input into bronze, several objects at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sluice.console import fail
from sluice.pipeline.storage import THREADS
from sluice.pipeline.verify import object_id
from sluice_pipeline.catalog.datasets import MIXED

if TYPE_CHECKING:
    from sluice.pipeline.stack import Stack


@dataclass(frozen=True)
class Upload:
    """An object to put: its bronze key, what makes its content, and the rows that are in it."""

    key: str
    body: Callable[[], bytes]
    rows: int


@dataclass(frozen=True)
class Uploaded:
    """An object that is in bronze; size in bytes, ``object_id`` as the ledger will know it."""

    key: str
    rows: int
    size: int
    etag: str
    version_id: str
    object_id: str


def flights(months: Iterable[int], prefix: str = "", rows: int | None = None) -> Iterator[Upload]:
    """The year's flights, one object a month; or the first ``rows`` of them.

    A month that is not whole has another name: under the same one it would be the same flights twice.
    """
    from fixtures import flights as source

    left = rows
    for month in months:
        if left is not None and left <= 0:
            return
        table = source.month_table(month)
        name = source.Month(month, 0, b"").name
        if left is not None and left < table.num_rows:
            table, name = table.slice(0, left), name.replace(".jsonl", f"-first-{left}.jsonl")
        if left is not None:
            left -= table.num_rows
        yield Upload(bronze_key(source.DATASET, prefix, name), partial(source.jsonl, table), table.num_rows)


def shipping(seed: int, rows: int, prefix: str = "") -> Iterator[Upload]:
    """A mixed feed of shipments, tracking events and invoice lines, known bad lines included."""
    from fixtures import shipping as source

    feed = source.feed(seed, rows)
    yield Upload(bronze_key(MIXED, prefix, f"shipping-{seed}-{rows}.jsonl"), lambda: feed.body, feed.rows)


def bronze_key(dataset: str, prefix: str, name: str) -> str:
    """``bronze/<dataset>/<prefix>/<name>``; the prefix may be empty."""
    return "/".join(part for part in ("bronze", dataset, prefix.strip("/"), name) if part)


def upload(
    stack: Stack,
    uploads: Iterable[Upload],
    *,
    threads: int = THREADS // 2,
    done: Callable[[Uploaded], None] | None = None,
) -> list[Uploaded]:
    """Puts the objects, ``threads`` at a time, and tells ``done`` of each. The first error ends it."""
    from concurrent.futures import ThreadPoolExecutor, as_completed

    s3, bucket = stack.client("s3"), stack["bronze_bucket"]

    def put(item: Upload) -> Uploaded:
        body = item.body()
        answer = s3.put_object(Bucket=bucket, Key=item.key, Body=body)
        etag = answer["ETag"].strip('"')
        version = str(answer.get("VersionId") or "")
        return Uploaded(item.key, item.rows, len(body), etag, version, object_id(bucket, item.key, etag))

    finished = []
    with ThreadPoolExecutor(threads) as pool:
        for future in as_completed([pool.submit(put, item) for item in uploads]):
            finished.append(future.result())
            if done:
                done(finished[-1])
    return sorted(finished, key=lambda item: item.key)


def parse_months(text: str) -> list[int]:
    """Months as people write them: ``1``, ``1-3``, ``1,4,7-9``. Ends with exit code 2 when it is none of these."""
    months: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            fail(f"--months {text!r}: write months as 1, 1-3 or 1,4,7-9")
        months |= set(range(int(first), int(last or first) + 1))
    if not months or not months <= set(range(1, 13)):
        fail(f"--months {text!r}: months are 1 to 12")
    return sorted(months)
