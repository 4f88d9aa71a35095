"""The analytics API, request by request through API Gateway: answers that were kept, and queries by an index.

One client, one request after the other over one connection: the latency of a request, not of a queue.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sluice.bench import figures
from sluice.bench.stage import Stage, Usage
from sluice.branches.api.client import Client
from sluice.branches.warehouse.loads import wait_for_loads
from sluice.console import fail
from sluice.pipeline import seed
from sluice.pipeline.seed import Upload
from sluice.pipeline.stack import Stack

ROWS = 20_000
WARM_UP = 30


@dataclass(frozen=True)
class Latency:
    """Seconds from a request to the end of its answer; processor milliseconds of a request, in engine and functions."""

    name: str
    requests: int
    p50_s: float
    p99_s: float
    note: str
    spent: Usage


def measure(own: Stage, requests: int) -> list[Latency]:
    """Puts 20,000 shipments into the warehouse and asks about them. Raises SluiceError when an answer is none."""
    object_id = _fill(own.stack)
    client = Client.of(own.stack)
    kept = {"group_by": "carrier", "dataset": "shipments"}
    one = "SELECT shipment_id, carrier FROM silver.shipments WHERE _object_id = '{}' AND _source_offset >= {} LIMIT 1"
    offsets = [number * 97 for number in range(requests + WARM_UP)]
    wanted: list[tuple[str, str, Iterator[tuple[str, dict[str, Any]]]]] = [
        ("cached", f"count_analysis over {ROWS:,} rows, kept in DynamoDB",
         (("count_analysis", kept) for _ in offsets)),
        ("indexed", "custom_query by primary key, each another row",
         (("custom_query", {"sql": one.format(object_id, offset)}) for offset in offsets)),
    ]  # fmt: skip
    return [_latency(own, client, name, note, questions) for name, note, questions in wanted]


def _fill(stack: Stack) -> str:
    """The object's id, once its rows are loaded."""
    from fixtures import formats, shipping

    body = formats.jsonl(shipping.records(shipping.SHIPMENTS, 7, ROWS))
    key = seed.bronze_key(shipping.SHIPMENTS, f"bench-{uuid.uuid4().hex[:8]}", "shipments.jsonl")
    uploaded = seed.upload(stack, [Upload(key, lambda: body, ROWS)])
    wait_for_loads(stack, uploaded)
    return uploaded[0].object_id


def _latency(
    own: Stage, client: Client, name: str, note: str, questions: Iterator[tuple[str, dict[str, Any]]]
) -> Latency:
    took: list[float] = []
    own.settle()
    before = own.usage()
    for number, (operation, parameters) in enumerate(questions):
        if number == WARM_UP:
            before = own.usage()
        began = time.perf_counter()
        answer = client.ask(operation, **parameters)
        seconds = time.perf_counter() - began
        if not answer.ok or not answer.body["data"]:
            fail(f"the API answered {answer.status}: {answer.body}", 1)
        if number >= WARM_UP:
            took.append(seconds)
            if answer.body["metadata"]["cacheHit"] != (name == "cached"):
                fail(f"the {name} answer {'came from' if name != 'cached' else 'was not in'} the cache", 1)
    spent = own.usage().per(before, len(took))
    p50, p99 = (figures.percentile(took, percent) for percent in (50, 99))
    return Latency(name, len(took), p50, p99, note, spent)
