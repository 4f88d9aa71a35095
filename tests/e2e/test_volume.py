"""Many objects at once, and one large object."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from fixtures import formats, shipping
from sluice.instance import Instance
from tests.e2e.support import Pipeline, Put
from tests.e2e.warehouse import Warehouse


def test_a_thousand_objects_at_once_are_all_accounted_for(pipe: Pipeline) -> None:
    def upload(i: int) -> Put:
        records = shipping.records("tracking_events", i, 5, days=1)
        return pipe.put("tracking_events", formats.jsonl(records), f"{i:04d}.jsonl")

    with ThreadPoolExecutor(16) as pool:
        puts = list(pool.map(upload, range(1000)))
    items = pipe.wait(*puts, deadline=300)
    assert [(item["state"], item["rows_in"], item["rows_silver"]) for item in items] == [("committed", 5, 5)] * 1000
    report = pipe.verified(pipe.key("tracking_events", ""))
    assert len(report.objects) == 1000
    assert sum(row.silver for row in report.objects) == 5000
    assert pipe.depth("ingest_dlq_url") == 0
    assert pipe.depth("chunk_dlq_url") == 0


@contextmanager
def longer_load(pipe: Pipeline, seconds: int) -> Iterator[None]:
    """Gives load the time that it has by default; the suites' is short, so that a load that died is soon repeated."""
    name, url = pipe.stack["load_function"], pipe.stack["load_queue_url"]
    timeout = pipe.lambda_.get_function_configuration(FunctionName=name)["Timeout"]
    hidden = pipe.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["VisibilityTimeout"])["Attributes"]
    pipe.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": str(6 * seconds)})
    pipe.lambda_.update_function_configuration(FunctionName=name, Timeout=seconds)
    try:
        yield
    finally:
        pipe.lambda_.update_function_configuration(FunctionName=name, Timeout=timeout)
        pipe.sqs.set_queue_attributes(QueueUrl=url, Attributes=hidden)


def test_a_300_mb_object_is_taken_in_by_its_chunks(pipe: Pipeline, instance: Instance) -> None:
    with longer_load(pipe, 120):
        _taken_in_by_its_chunks(pipe, Warehouse(pipe.stack, instance))


def _taken_in_by_its_chunks(pipe: Pipeline, warehouse: Warehouse) -> None:
    block = formats.jsonl(shipping.records("tracking_events", 7, 20_000, days=3))
    copies = 300 * 1024 * 1024 // len(block) + 1
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
