"""Rows in, rows out: every input row is in silver once, or in quarantine once with its reason."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime

import pytest

from fixtures import formats, shipping
from tests.support.pipeline import Pipeline

SAMPLES = list(formats.every_format(rows=25))


def test_a_clean_object_is_in_silver_row_for_row(pipe: Pipeline) -> None:
    records = shipping.records("shipments", seed=1, rows=400)
    put = pipe.put("shipments", formats.jsonl(records))
    [item] = pipe.wait(put)
    assert item["state"] == "committed"
    counts = (item["rows_in"], item["rows_silver"], item["rows_quarantined"], item["chunk_count"])
    assert counts == (400, 400, 0, 1)
    rows = pipe.rows(put)
    for row, record in zip(rows, records, strict=True):
        assert row["shipment_id"] == record["shipment_id"]
        assert row["weight_kg"] == record["weight_kg"]
        assert row["event_time"] == datetime.fromisoformat(record["event_time"]).astimezone(UTC)
        assert row["_source_key"] == put.ref.key
        assert row["_source_version"] == put.ref.version_id
        assert row["_record_id"] == f"{put.object_id}-{row['_source_offset']}"
    assert pipe.files(put, "quarantine") == {}
    days = {record["event_time"][:10] for record in records}
    assert {key.split("/")[2] for key in pipe.files(put)} == {f"dt={day}" for day in days}
    [event] = pipe.mail.committed(put.object_id)
    assert (event["rows_in"], event["rows_silver"], event["dataset"]) == (400, 400, "shipments")
    assert sum(part["rows"] for part in event["partitions"]) == 400
    assert {part["dt"] for part in event["partitions"]} == days
    pipe.verified(pipe.key("shipments", ""))


def test_a_mixed_feed_is_routed_and_its_bad_lines_are_quarantined_with_offset_field_reason_and_text(
    pipe: Pipeline,
) -> None:
    feed = shipping.feed(seed=2, rows=3000)
    put = pipe.put("mixed", feed.body)
    [item] = pipe.wait(put)
    assert (item["rows_in"], item["rows_silver"], item["rows_quarantined"]) == (3000, feed.rows_silver, len(feed.bad))
    assert {name: pipe.table(put, name).num_rows for name in feed.good} == feed.good
    found = pipe.quarantined(put)
    assert [(row["offset"], row["reason"], row["raw"].encode()) for row in found] == [
        (bad.offset, bad.reason, bad.raw) for bad in feed.bad
    ]
    assert all(row["field"] == bad.field for row, bad in zip(found, feed.bad, strict=True) if bad.field)
    assert Counter(row["reason"] for row in found) == feed.reasons
    pipe.verified(pipe.key("mixed", ""))


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_every_format_gives_the_same_rows(pipe: Pipeline, sample: formats.Sample) -> None:
    put = pipe.put("shipments", sample.body, sample.name)
    [item] = pipe.wait(put)
    assert (item["state"], item["rows_in"], item["rows_quarantined"]) == ("committed", sample.rows, 0)
    expected = [record["shipment_id"] for record in shipping.records("shipments", 0, 25)][: sample.rows]
    assert [row["shipment_id"] for row in pipe.rows(put)] == expected
    assert len(pipe.mail.committed(put.object_id)) == 1


@pytest.mark.parametrize(
    "name",
    [
        "with space.jsonl",
        "plus+plus.jsonl",
        "equals=sign.jsonl",
        "Übergröße-東京.jsonl",
        "all +=&?%20 ü.jsonl",
        "a//b.jsonl",
    ],
)
def test_keys_survive_the_url_encoding_of_the_event(pipe: Pipeline, name: str) -> None:
    put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 3, 5)), name)
    [item] = pipe.wait(put)
    assert (item["state"], item["rows_silver"]) == ("committed", 5)
    assert {row["_source_key"] for row in pipe.rows(put)} == {put.ref.key}


@pytest.mark.usefixtures("small_chunks")
def test_a_line_longer_than_a_chunk_is_one_row(pipe: Pipeline) -> None:
    records = shipping.records("shipments", 4, 3)
    records[1] |= {"destination": "x" * 5_000_000}  # chunks are 2 MiB
    put = pipe.put("shipments", formats.jsonl(records))
    [item] = pipe.wait(put)
    assert (item["rows_in"], item["rows_silver"], item["chunk_count"]) == (3, 3, 3)
    assert [len(row["destination"]) for row in pipe.rows(put)] == [len(record["destination"]) for record in records]


@pytest.mark.usefixtures("small_chunks")
def test_bad_rows_in_the_middle_and_on_the_borders_of_chunks_leave_alone(pipe: Pipeline) -> None:
    rows, chunk = 40_000, 2 * 1024 * 1024
    records = shipping.records("tracking_events", 5, rows)
    lines = [json.dumps(record).encode() for record in records]
    size = sum(len(line) + 1 for line in lines)
    count = -(-size // chunk)
    borders = [size * i // count for i in range(1, count)]
    bad: set[int] = {rows // 2, rows // 2 + 1}
    position = 0
    for index, line in enumerate(lines):
        end = position + len(line) + 1
        if any(position <= border <= end for border in borders):  # the line over, before or behind a border
            bad.add(index)
        position = end
    for index in bad:  # the same length, so that the borders stay where they are
        lines[index] = lines[index].replace(b'"status": "', b'"status":["', 1)
    put = pipe.put("tracking_events", b"\n".join(lines) + b"\n")
    [item] = pipe.wait(put)
    assert item["chunk_count"] == count
    assert count >= 3
    assert (item["rows_in"], item["rows_silver"], item["rows_quarantined"]) == (rows, rows - len(bad), len(bad))
    assert [row["raw"].encode() for row in pipe.quarantined(put)] == [lines[index] for index in sorted(bad)]
    assert len(pipe.rows(put)) == rows - len(bad)
    assert len(pipe.mail.committed(put.object_id)) == 1
    pipe.verified(pipe.key("tracking_events", ""))


@pytest.mark.usefixtures("small_chunks")
def test_a_csv_larger_than_a_chunk_is_cut_and_every_part_knows_the_header(pipe: Pipeline) -> None:
    records = shipping.records("shipments", 6, 40_000)
    put = pipe.put("shipments", formats.table(records), "table.csv")
    [item] = pipe.wait(put)
    assert item["chunk_count"] > 1
    assert (item["rows_in"], item["rows_silver"]) == (40_000, 40_000)
    assert sorted(row["shipment_id"] for row in pipe.rows(put)) == sorted(r["shipment_id"] for r in records)


def test_s3s_test_event_is_no_error(pipe: Pipeline) -> None:
    """S3 sends it when the notification is set: https://docs.aws.amazon.com/AmazonS3/latest/userguide/how-to-enable-disable-notification-intro.html"""
    bucket = pipe.stack["bronze_bucket"]
    setting = pipe.s3.get_bucket_notification_configuration(Bucket=bucket)
    setting.pop("ResponseMetadata")
    assert set(setting) == {"QueueConfigurations"}  # the function itself is not announced to
    pipe.s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=setting)
    put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 7, 5)))
    [item] = pipe.wait(put)
    assert item["state"] == "committed"
    assert pipe.depth("ingest_queue_url") == pipe.depth("ingest_dlq_url") == 0
