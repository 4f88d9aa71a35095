"""Many objects at once, and one large object."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from fixtures import formats, shipping
from tests.support.changes import environment, timeouts, visibility
from tests.support.pipeline import Pipeline, Put
from tests.support.warehouse import Warehouse

OBJECTS = 200  # `make soak` has 5,000
KIB = 1024


@pytest.mark.thorough(
    "tests/e2e/faults/test_soak.py::test_nothing_is_lost_doubled_or_stuck",
    "tests/e2e/core/test_cases.py::test_every_file_of_the_cases_becomes_the_rows_that_it_should",
    why="a hundred objects under faults, and hundreds of files at once, are counted row by row",
)
def test_hundreds_of_objects_at_once_are_all_accounted_for(pipe: Pipeline) -> None:
    def upload(i: int) -> Put:
        records = shipping.records("tracking_events", i, 5, days=1)
        return pipe.put("tracking_events", formats.jsonl(records), f"{i:04d}.jsonl")

    with ThreadPoolExecutor(16) as pool:
        puts = list(pool.map(upload, range(OBJECTS)))
    items = pipe.wait(*puts, deadline=300)
    assert [(item["state"], item["rows_in"], item["rows_silver"]) for item in items] == [("committed", 5, 5)] * OBJECTS
    report = pipe.verified(pipe.key("tracking_events", ""))
    assert len(report.objects) == OBJECTS
    assert sum(row.silver for row in report.objects) == 5 * OBJECTS
    assert pipe.depth("ingest_dlq_url") == 0
    assert pipe.depth("chunk_dlq_url") == 0


def test_an_object_of_more_than_a_hundred_chunks_is_ingested_by_its_chunks(
    breakable: Pipeline, warehouse: Warehouse
) -> None:
    """The smallest chunks that the stack allows; on an engine of the tests' own, whose functions may be changed."""
    with environment(breakable, "ingest", CHUNK_BYTES=str(64 * KIB)), slow_loads(breakable):
        _ingested_by_its_chunks(breakable, warehouse, 7 * 1024 * KIB, 64 * KIB)


@pytest.mark.thorough(
    "tests/e2e/core/test_volume.py::test_an_object_of_more_than_a_hundred_chunks_is_ingested_by_its_chunks",
    why="there are as many chunks there, of 64 KiB instead of 2 MiB",
)
def test_a_210_mb_object_is_ingested_by_its_chunks(pipe: Pipeline, warehouse: Warehouse) -> None:
    with slow_loads(pipe):
        _ingested_by_its_chunks(pipe, warehouse, 210 * 1024 * KIB, 2048 * KIB)


@contextmanager
def slow_loads(pipe: Pipeline) -> Iterator[None]:
    """A load of many rows may take its time."""
    with timeouts(pipe, load=120), visibility(pipe, load_queue_url=6 * 120):
        yield


def _ingested_by_its_chunks(pipe: Pipeline, warehouse: Warehouse, size: int, chunk: int) -> None:
    block = formats.jsonl(shipping.records("tracking_events", 7, 2_000, days=3))
    copies = size // len(block) + 1
    body = block * copies
    put = pipe.put("tracking_events", body)
    [item] = pipe.wait(put, deadline=300)
    rows = 2_000 * copies
    assert item["chunk_count"] == -(-len(body) // chunk)
    assert item["chunk_count"] > 100  # more than one transaction can plan
    assert (item["state"], item["rows_in"], item["rows_silver"]) == ("committed", rows, rows)
    assert len(pipe.mail.committed(put.object_id)) == 1
    load = warehouse.loaded(put, deadline=300)
    assert (load["rows"], load["rows_by_table"]) == (rows, {"tracking_events": rows})
    pipe.verified(pipe.key("tracking_events", ""))
    # its plan is larger than one transaction: an event that comes again must not touch it
    pipe.forget_idempotency(put)
    assert pipe.deliver(put)["error"] is None
    [again] = pipe.wait(put)
    assert (again["state"], again["rows_in"], again["chunks_done"]) == ("committed", rows, item["chunk_count"])
    assert {chunk["chunk_state"] for chunk in pipe.entry(put).live_chunks} == {"done"}
