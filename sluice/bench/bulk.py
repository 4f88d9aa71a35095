"""Bulk: a gigabyte of JSON lines to committed silver, every row counted."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fixtures import shipping
from sluice.bench.hop_real import Sent, committed_at, finished
from sluice.console import fail
from sluice.paths import CACHE_DIR
from sluice.pipeline import verify
from sluice.pipeline.ledger import LedgerView
from sluice.pipeline.stack import Stack
from sluice.polling import wait_until

OBJECT_MB = 64  # decimal megabytes, as all figures here
DATASET, DAYS = shipping.SHIPMENTS, 2
UPLOADS = 2  # at a time
WARM_UP, WARM_UP_BYTES = 4, 20_000_000  # objects of two chunks each, for as many environments as there will be
WARM_UP_IDS = 900_000
SCHEMA = "1"  # raise it when the same settings give other bytes
_ID = b'"shipment_id":"SH-'
_MEMORY = re.compile(r"Max Memory Used: (\d+) MB")


@dataclass(frozen=True)
class Input:
    """Generated files and the rows that each of them has."""

    files: Sequence[Path]
    rows: Sequence[int]

    @property
    def size(self) -> int:
        return sum(path.stat().st_size for path in self.files)


@dataclass(frozen=True)
class Bulk:
    """What came of it. Rates in MB (1,000,000 bytes) per second, memory in MB as Lambda's REPORT lines say it."""

    objects: int
    size: int
    rows: int
    silver_files: int
    seconds: float
    mb_per_s: float
    after_last_put_mb_per_s: float
    upload_mb_per_s: float
    peak_memory_mb: float | None
    invocations: int


def warm_up(stack: Stack, given: Input, deadline: float = 120.0) -> None:
    """Brings in the beginning of each of the first files, so that every execution environment has started.

    Raises SluiceError as `measure`.
    """
    run = uuid.uuid4().hex[:8]
    s3, bucket = stack.client("s3"), stack["bronze_bucket"]
    sent = []
    for number, path in enumerate(list(given.files)[:WARM_UP]):
        with path.open("rb") as source:
            body = source.read(WARM_UP_BYTES)
        body = renamed(body[: body.rfind(b"\n") + 1], WARM_UP_IDS + number)
        key = f"bronze/{DATASET}/bench-{run}/warm-{number}.jsonl"
        answer: Any = s3.put_object(Bucket=bucket, Key=key, Body=body)
        sent.append(Sent(verify.object_id(bucket, key, answer["ETag"].strip('"')), time.time()))
    finished(LedgerView.of(stack), sent, deadline)


def measure(stack: Stack, given: Input, deadline: float = 900.0) -> Bulk:
    """Uploads everything, two objects at a time, and waits for the last commit.

    Raises SluiceError when an object fails, a row is missing, or ``deadline`` seconds are not enough.
    """
    run = uuid.uuid4().hex[:8]
    s3, bucket = stack.client("s3"), stack["bronze_bucket"]
    since = time.time()

    def put(number: int) -> Sent:
        key = f"bronze/{DATASET}/bench-{run}/{number:03d}.jsonl"
        at = time.time()
        with given.files[number].open("rb") as body:
            answer: Any = s3.put_object(Bucket=bucket, Key=key, Body=body)
        return Sent(verify.object_id(bucket, key, answer["ETag"].strip('"')), at)

    with ThreadPoolExecutor(UPLOADS) as pool:
        sent = list(pool.map(put, range(len(given.files))))
    uploaded = time.time()
    ledger = LedgerView.of(stack)
    items = finished(ledger, sent, deadline)
    for one, rows in zip(sent, given.rows, strict=True):
        item = items[one.object_id]
        if (item["rows_in"], item["rows_silver"], item["rows_quarantined"]) != (rows, rows, 0):
            fail(f"{item['key']}: {item['rows_silver']} of {rows} rows are in silver", 1)
    begin, end = min(one.at for one in sent), max(committed_at(item) for item in items.values())
    chunks = sum(int(item["chunk_count"]) for item in items.values())
    peaks = memory_used(stack, since)
    megabytes = given.size / 1e6
    return Bulk(
        objects=len(sent),
        size=given.size,
        rows=sum(given.rows),
        silver_files=sum(int(item["silver_files"]) for item in items.values()),
        seconds=end - begin,
        mb_per_s=megabytes / (end - begin),
        after_last_put_mb_per_s=megabytes / max(end - uploaded, 0.001),
        upload_mb_per_s=megabytes / (uploaded - begin),
        peak_memory_mb=max(peaks, default=None),
        invocations=len(peaks) or chunks,
    )


def memory_used(stack: Stack, since: float) -> list[int]:
    """Max Memory Used (MB) of transform's invocations since a time (s), as the REPORT lines in its log say.

    Logs come a moment after the invocation; waits a little for the first of them.
    """
    logs = stack.client("logs")
    found: list[int] = []

    def look() -> bool:
        pages = logs.get_paginator("filter_log_events").paginate(
            logGroupName=stack["transform_log_group"], startTime=int(since * 1000), filterPattern="REPORT"
        )
        texts = [event["message"] for page in pages for event in page["events"]]
        found[:] = memory_in(texts)
        return bool(found)

    wait_until(look, 10.0, 0.5)
    return found


def memory_in(messages: Sequence[str]) -> list[int]:
    """The megabytes in REPORT lines; other lines have none."""
    found = (_MEMORY.search(message) for message in messages if message.startswith("REPORT"))
    return [int(match[1]) for match in found if match]


def generate(megabytes: int, folder: Path = CACHE_DIR / "bench") -> Input:
    """The input: objects of 64 MB (or one smaller one), made once and kept. The same settings give the same bytes.

    The first file holds generated shipments, dates mixed over two days; the others are the same rows under other
    shipment ids, because random numbers cost more time than the pipeline takes.
    """
    count, size = sizes(megabytes)
    place = folder / f"{DATASET}-{count}x{size}-{_recipe()}"
    meta = place / "rows.json"
    if not meta.exists():
        partial = place.with_suffix(".part")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        first = rows_of(size)
        for number in range(count):
            (partial / f"{number:03d}.jsonl").write_bytes(renamed(first, number))
        (partial / meta.name).write_text(json.dumps([first.count(b"\n")] * count))
        shutil.rmtree(place, ignore_errors=True)
        partial.replace(place)
    return Input([place / f"{number:03d}.jsonl" for number in range(count)], json.loads(meta.read_text()))


def sizes(megabytes: int) -> tuple[int, int]:
    """Number of objects and bytes of each for so many megabytes: objects of 64 MB, or one that is smaller."""
    if megabytes < 1:
        fail("--bulk-mb: at least 1")
    count = max(1, round(megabytes / OBJECT_MB))
    return count, min(megabytes, OBJECT_MB) * 1_000_000


def rows_of(size: int) -> bytes:
    """Shipments as JSON lines, as many as fit into ``size`` bytes."""
    import random

    rng = random.Random("bench")
    body = bytearray()
    number = 0
    while True:
        line = shipping.dump(shipping.record(DATASET, rng, number, days=DAYS)) + b"\n"
        if len(body) + len(line) > size:
            return bytes(body)
        body += line
        number += 1


def renamed(body: bytes, number: int) -> bytes:
    """The same rows as other shipments: ids SH-... become S<number>-..."""
    return body.replace(_ID, _ID.replace(b"SH-", b"S%d-" % number)) if number else body


def _recipe() -> str:
    """Changes when the generator does, so that an old cache is not taken for new."""
    source = Path(shipping.__file__).read_bytes()
    return hashlib.sha256(SCHEMA.encode() + source).hexdigest()[:10]
