"""Objects at the limits of AWS, from bronze to silver: docs/limits.md has the table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from fixtures import formats, shipping
from tests.support.changes import timeouts, visibility
from tests.support.pipeline import Pipeline, until
from tests.support.warehouse import Warehouse

DATES = 1500


def rows_of_many_dates(count: int) -> list[dict[str, Any]]:
    """Shipments, each on a day of its own."""
    rows = shipping.records("shipments", 4, count)
    first = datetime(2010, 1, 1, 12, tzinfo=UTC)
    return [
        row | {"event_time": (first + timedelta(days=day)).isoformat().replace("+00:00", "Z")}
        for day, row in enumerate(rows)
    ]


@pytest.mark.timeout(900)  # its files are read one by one, by the warehouse and by the test
def test_a_small_file_of_thousands_of_dates_is_committed_and_replayed(pipe: Pipeline, warehouse: Warehouse) -> None:
    with timeouts(pipe, transform=60, load=120), visibility(pipe, load_queue_url=6 * 120, chunk_queue_url=6 * 60):
        _committed_and_replayed(pipe, warehouse)


def _committed_and_replayed(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = rows_of_many_dates(DATES)
    put = pipe.put("shipments", formats.jsonl(rows) + b"no json\n")
    [item] = pipe.wait(put, deadline=180)
    assert (item["state"], item["rows_in"], item["rows_silver"]) == ("committed", DATES + 1, DATES)
    assert (item["rows_quarantined"], item["silver_files"]) == (1, DATES)
    found = pipe.rows(put)
    assert [row["shipment_id"] for row in found] == [row["shipment_id"] for row in rows]
    [event] = until("object.committed", lambda: pipe.mail.committed(put.object_id))
    assert event["partition_count"] == DATES
    assert warehouse.loaded(put, deadline=180)["rows"] == DATES
    pipe.replay(put)
    pipe.wait_for_run(put, 2, deadline=180)
    pipe.verified(pipe.key("shipments", ""))  # every file there, every row once


def test_a_key_of_1024_bytes_is_ingested_replayed_and_ingested_again_from_a_copy(pipe: Pipeline) -> None:
    """The most that S3 takes: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html"""
    prefix, ending = pipe.key("shipments", ""), ".jsonl"
    room = 1024 - len(prefix) - len(ending)
    key = f"{prefix}{'x' * (room % 3)}{'\u2603' * (room // 3)}{ending}"
    assert len(key.encode()) == 1024
    put = pipe.put_key(key, formats.jsonl(shipping.records("shipments", 5, 20)) + b"no json\n")
    [item] = pipe.wait(put)
    assert (item["state"], item["rows_silver"], item["rows_quarantined"]) == ("committed", 20, 1)
    assert {row["_source_key"] for row in pipe.rows(put)} == {key}
    assert [row["source_key"] for row in pipe.quarantined(put)] == [key]
    [event] = until("object.committed", lambda: pipe.mail.committed(put.object_id))
    assert event["origin"]["key"] == key
    body = pipe.s3.get_object(Bucket=put.ref.bucket, Key=key)["Body"].read()
    pipe.put_key(f"bronze/_requeue/{pipe.run}", body, Metadata=put.origin.to_metadata())
    item = pipe.wait_for_run(put, 2)
    assert item["rows_silver"] == 20
    pipe.verified(prefix)
    with pytest.raises(ClientError, match="KeyTooLong"):
        pipe.put_key(f"{key}x", b"{}")
