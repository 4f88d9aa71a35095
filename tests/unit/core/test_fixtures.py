"""The generators: deterministic, and right about what they planted."""

import csv
import gzip
import io
import json
from datetime import UTC, datetime
from decimal import Decimal
from urllib.parse import unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures import aws_events, flights, formats, shipping

SEEDS = st.integers(0, 2**32)


def rejection(line: bytes) -> tuple[str, str | None] | None:
    """Why a line of the feed is bad, worked out plainly from the field's rules; None when it is good."""
    try:
        row = json.loads(line)
    except ValueError:
        return "malformed_json", None
    if row.get("record_type") not in shipping.DATASETS:
        return "unknown_record_type", "record_type"
    for name in ("event_time", "shipment_id", "invoice_id"):
        if name in _fields(row["record_type"]) and row.get(name) is None:
            return "missing_required", name
    try:
        datetime.fromisoformat(row["event_time"])
    except ValueError:
        return "wrong_type", "event_time"
    for name, low, high in (("weight_kg", 0, 200), ("quantity", 1, 1000), ("unit_price", 0, 100_000)):
        if name in row and not isinstance(row[name], int | float):
            return "wrong_type", name
        if name in row and not low <= row[name] <= high:
            return "out_of_range", name
    return None


def _fields(dataset: str) -> set[str]:
    return set(shipping.records(dataset, 0, 1)[0])


@given(SEEDS, st.integers(0, 120))
def test_a_feed_says_exactly_which_lines_are_bad_where_and_why(seed: int, rows: int) -> None:
    feed = shipping.feed(seed, rows)
    offset, found, good = 0, [], dict.fromkeys(shipping.DATASETS, 0)
    for line in feed.body.splitlines(keepends=True):
        verdict = rejection(line)
        if verdict:
            found.append((offset, *verdict, line.rstrip(b"\n")))
        else:
            good[json.loads(line)["record_type"]] += 1
        offset += len(line)
    assert found == [(bad.offset, bad.reason, bad.field, bad.raw) for bad in feed.bad]
    assert good == feed.good
    assert feed.body.count(b"\n") == rows == feed.rows_silver + len(feed.bad)


def test_a_feed_has_every_reason_and_bad_first_and_last_lines() -> None:
    feed = shipping.feed(7, 200)
    assert set(feed.reasons) == {
        "malformed_json", "wrong_type", "missing_required", "out_of_range", "unknown_record_type",
    }  # fmt: skip
    assert feed.bad[0].offset == 0
    assert feed.body.endswith(feed.bad[-1].raw + b"\n")


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    assert shipping.feed(1, 50).body == shipping.feed(1, 50).body != shipping.feed(2, 50).body
    assert formats.rubbish(1) == formats.rubbish(1) != formats.rubbish(2)


@given(SEEDS)
def test_a_line_total_is_quantity_times_unit_price_to_the_cent(seed: int) -> None:
    for row in shipping.records(shipping.INVOICE_LINES, seed, 20):
        exact = row["quantity"] * Decimal(str(row["unit_price"]))
        assert Decimal(str(row["line_total"])) == exact


def test_the_year_has_all_flights_and_each_month_its_own() -> None:
    assert flights.source().num_rows == flights.ROWS == 336_776
    assert sum(flights.month_table(month).num_rows for month in flights.MONTHS) == flights.ROWS


def test_flight_lines_hold_what_the_source_holds_and_leave_out_what_is_missing() -> None:
    table = flights.month_table(1).slice(830, 20)
    lines = [json.loads(line) for line in flights.jsonl(table).splitlines()]
    for line, row in zip(lines, table.to_pylist(), strict=True):
        expected = {name: value for name, value in row.items() if value is not None}
        moment = expected.pop("time_hour")
        assert datetime.fromisoformat(line.pop("time_hour")) == moment
        assert line == expected
        assert all(isinstance(value, int | str) for value in line.values())
    assert any("dep_time" not in line for line in lines)
    assert '"time_hour":"2013-01-02T01:00:00Z"' in flights.jsonl(table.slice(0, 1)).decode()


def test_every_format_holds_the_same_records() -> None:
    samples = {sample.name: sample for sample in formats.every_format(rows=5)}
    records = shipping.records(shipping.SHIPMENTS, 0, 5)
    as_text = [{name: str(value) for name, value in record.items()} for record in records]
    assert [
        json.loads(line) for line in samples["lines-bom-crlf-no-last-newline.jsonl"].body[3:].split(b"\r\n")
    ] == records
    assert json.loads(gzip.decompress(samples["array.json.gz"].body)) == records
    assert json.loads(samples["object.json"].body) == records[0]
    assert b"\n" in samples["object.json"].body.strip()
    assert list(csv.DictReader(io.StringIO(samples["table-bom-crlf.csv"].body.decode("utf-8-sig")))) == as_text
    quoted = list(csv.DictReader(io.StringIO(samples["table-quoted-newlines.csv"].body.decode(), newline="")))
    assert all("\n" in row["carrier"] for row in quoted)
    assert len(quoted) == samples["table-quoted-newlines.csv"].rows


def test_poison_is_poison() -> None:
    (_, rubbish), (_, cut), (prefix, fine) = formats.poison()
    with pytest.raises(UnicodeDecodeError):
        rubbish.body.decode()
    with pytest.raises(EOFError):
        gzip.decompress(cut.body)
    assert prefix not in shipping.DATASETS
    assert fine.body.count(b"\n") == 5
    big = formats.over_limit_array(10_000)
    assert 10_000 < len(big.body) < 12_000
    assert json.loads(big.body)


def test_an_object_created_event_url_encodes_its_key_as_s3_does() -> None:
    key = "bronze/mixed/a b+c=d/é.jsonl"
    event = aws_events.object_created("b", key, version_id="v1", etag='"e"', size=3)
    entity = event["Records"][0]["s3"]["object"]
    assert entity["key"] == "bronze/mixed/a+b%2Bc%3Dd/%C3%A9.jsonl"
    assert unquote_plus(entity["key"]) == key
    assert (entity["versionId"], entity["eTag"], entity["size"]) == ("v1", "e", 3)
    assert (
        "versionId"
        not in aws_events.object_created("b", "k", version_id=None, etag="e", size=0)["Records"][0]["s3"]["object"]
    )


def test_an_sqs_event_has_one_record_a_body_and_leaves_the_recording_alone() -> None:
    event = aws_events.sqs_batch(["one", "two"], "arn:aws:sqs:us-east-1:123456789012:q", receive_count=3)
    assert [record["body"] for record in event["Records"]] == ["one", "two"]
    assert len({record["messageId"] for record in event["Records"]}) == 2
    assert aws_events.load("sqs_chunk_batch")["Records"][0]["body"].startswith("{")
    assert "Records" not in aws_events.load("s3_test_event")


def test_records_are_within_the_days_asked_for() -> None:
    days = {row["event_time"][:10] for row in shipping.records(shipping.SHIPMENTS, 3, 200, days=2)}
    assert days == {"2025-03-01", "2025-03-02"}
    assert datetime(2025, 3, 1, tzinfo=UTC) == shipping.START
