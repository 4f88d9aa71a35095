"""Many objects at once, and one large object."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from fixtures import formats, shipping
from tests.support.changes import timeouts, visibility
from tests.support.pipeline import Pipeline, Put
from tests.support.warehouse import Warehouse

OBJECTS = 200  # `make soak` has 5,000


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


def test_a_210_mb_object_is_ingested_by_its_chunks(pipe: Pipeline, warehouse: Warehouse) -> None:
    with timeouts(pipe, load=120), visibility(pipe, load_queue_url=6 * 120):
        _ingested_by_its_chunks(pipe, warehouse)


def _ingested_by_its_chunks(pipe: Pipeline, warehouse: Warehouse) -> None:
    block = formats.jsonl(shipping.records("tracking_events", 7, 20_000, days=3))
    copies = 210 * 1024 * 1024 // len(block) + 1
    body = block * copies
    put = pipe.put("tracking_events", body)
    [item] = pipe.wait(put, deadline=300)
    rows = 20_000 * copies
    assert item["chunk_count"] == -(-len(body) // (2 * 1024 * 1024))
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
