"""Sizes at which AWS refuses, each at the limit and beyond it: docs/limits.md has the table."""

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from unittest.mock import MagicMock

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.replay.steps import MAX_BATCHES
from core.replay.tally import Tally, notice
from core.transform import silver
from sluice.pipeline.requeue import copy_key
from sluice_pipeline.dynamo.keys import SORT_KEY_BYTES, join_key, split_key
from sluice_pipeline.dynamo.rows import FORMER, ITEM_BYTES, keyed_item
from sluice_pipeline.events.announcements import Announcements
from sluice_pipeline.events.chunk_queue import ChunkQueue
from sluice_pipeline.events.messages import ChunkMessage
from sluice_pipeline.events.notifications import failed_object
from sluice_pipeline.ledger.items import Output
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.failures import ObjectFailed
from sluice_pipeline.objects.identity import ObjectRef, Origin
from sluice_pipeline.objects.keys import dataset_of
from sluice_pipeline.replays.request import Entry
from tests.support.handlers import project_catalog

KIB = 1024
# One control character is one byte of a key and six of JSON; a snowman is three of both.
KEYS = {
    "control characters": "bronze/shipments/" + "\x01" * (1024 - 17),
    "snowmen": "bronze/shipments/xx" + "\u2603" * ((1024 - 19) // 3),
}
LONGEST = pytest.mark.parametrize("key", KEYS.values(), ids=KEYS.keys())


def ref_of(key: str) -> ObjectRef:
    assert len(key.encode()) == 1024
    return ObjectRef("b" * 63, key, "v" * 32, "e" * 36, 5 * KIB**4)


def item_of(ref: ObjectRef, chunks: int) -> Any:
    origin = {"bucket": ref.bucket, "key": ref.key, "etag": ref.etag, "version_id": ref.version_id}
    counts = dict.fromkeys(("rows_in", "rows_silver", "rows_quarantined", "silver_files"), 10**12)
    return counts | {
        "object_id": ref.as_origin().object_id, "run": 10**6, "dataset": "d" * 64, "origin": origin, "size": ref.size,
        "bucket": ref.bucket, "key": ref.key, "version_id": ref.version_id, "etag": ref.etag, "chunk_count": chunks,
    }  # fmt: skip


@LONGEST
@pytest.mark.parametrize(("partitions", "listed"), [(1000, 1000), (10_000, 1000)])
def test_an_event_about_many_partitions_of_an_object_with_a_long_key_fits(
    key: str, partitions: int, listed: int
) -> None:
    client = MagicMock()
    client.put_events.return_value = {}
    first = date(1, 1, 1)
    outputs = [
        Output(key="k", dataset="d" * 64, dt=(first + timedelta(days=day)).isoformat(), rows=10**12, bytes=1)
        for day in range(partitions)
    ]
    Announcements(client, "bus").committed(item_of(ref_of(key), 10**6), outputs)
    [entry] = client.put_events.call_args.kwargs["Entries"]
    detail = json.loads(entry["Detail"])
    assert (len(detail["partitions"]), detail["partition_count"]) == (listed, partitions)
    assert len(entry["Detail"].encode()) < 256 * KIB


@LONGEST
def test_a_batch_of_chunk_messages_fits(key: str) -> None:
    client = MagicMock()
    client.send_message_batch.return_value = {}
    chunks = [Chunk(n, n, n + 1, 200_000) for n in range(99_995, 100_005)]
    assert ChunkQueue(client, "url").send(item_of(ref_of(key), 200_000), chunks) == 10
    [call] = client.send_message_batch.call_args_list
    bodies = [entry["MessageBody"] for entry in call.kwargs["Entries"]]
    assert sum(len(body.encode()) for body in bodies) < 256 * KIB
    assert [ChunkMessage.from_json(body).chunk for body in bodies] == chunks


@LONGEST
@pytest.mark.parametrize("detail", ["short", "\u2603" * 10**6, "\x01" * 10**6])
def test_a_notice_about_whatever_went_wrong_fits(key: str, detail: str) -> None:
    client, ref = MagicMock(), ref_of(key)
    Notices(client, "topic").object_trouble("object.failed", ref, ref.as_origin(), key, "unreadable", detail)
    call = client.publish.call_args.kwargs
    texts = [call["Message"], *(value["StringValue"] for value in call["MessageAttributes"].values())]
    assert sum(len(text.encode()) for text in texts) + 100 < 256 * KIB
    assert len(call["Subject"]) <= 100
    body = json.loads(call["Message"])
    assert (body["object"], body["object_id"]) == (ref.uri, ref.as_origin().object_id)
    assert body["detail"] == detail or body["detail"].endswith("...")
    assert len(failed_object(ref, "unreadable", detail).encode()) < 256 * KIB


def test_the_state_of_a_replay_of_the_most_batches_fits() -> None:
    """Step Functions: 256 KiB of a state's input or result, and of all results of a map together."""
    summary = {"dataset": "d" * 64, "objects": 10**9, "batches": list(range(MAX_BATCHES)), "next": 0}
    done = [{"batch": batch, "sent": 10**6, "gone": 10**6} for batch in range(MAX_BATCHES)]
    assert len(json.dumps(summary | {"results": done})) < 256 * KIB


def test_the_notice_of_a_replay_with_many_problems_fits_into_its_state() -> None:
    tally = Tally()
    entry = Entry(object_id="0" * 32, key=KEYS["snowmen"], dataset="d" * 64, state="failed", run=1, size=1, rows_in=1,
                  rows_silver=1, rows_quarantined=0, reason="")  # fmt: skip
    for _ in range(10_000):
        tally.add(entry, None, None)
    result = tally.result("replay-x") | {"rules": {"sha256": "a" * 64, "version_id": "v" * 1024}}
    assert len(json.dumps(notice(result, "d" * 64)).encode()) < 256 * KIB


# -- S3 ----------------------------------------------------------------------------------------------------------------


@LONGEST
def test_the_longest_key_fits_into_the_metadata_of_a_copy(key: str) -> None:
    """User metadata has 2 KB: the bytes of names and values, in ASCII."""
    origin = ref_of(key).as_origin()
    metadata = origin.to_metadata()
    assert sum(len(name) + len(value) for name, value in metadata.items()) <= 2048
    assert all(value.isascii() and value.isprintable() for value in metadata.values())
    assert Origin.from_metadata(metadata) == origin


def test_a_key_in_metadata_that_is_no_base64_is_no_origin() -> None:
    metadata = ref_of(KEYS["snowmen"]).as_origin().to_metadata()
    assert Origin.from_metadata(metadata | {"sluice-origin-key-base64": "\u2603"}) is None


@given(st.text(min_size=1, max_size=1024).filter(lambda name: "/" not in name and len(name.encode()) <= 900))
def test_the_key_of_a_copy_fits_and_ends_as_the_origins_does(name: str) -> None:
    origin = Origin("b", f"bronze/shipments/{name}.jsonl", "e")
    key = copy_key("20260101T000000000000Z", origin)
    assert len(key.encode()) <= 1024
    assert key.endswith(f"{name}.jsonl")
    assert dataset_of(key) == "_requeue"


@LONGEST
def test_the_copy_of_the_longest_key_fits(key: str) -> None:
    copy = copy_key("20260101T000000000000Z", Origin("b", key.replace("shipments/", "shipments_"), "e"))
    assert 1020 < len(copy.encode()) <= 1024


# -- DynamoDB ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("last", "is_cut"), [(511, False), (512, True)])
def test_a_key_is_cut_when_its_parts_together_are_too_long(last: int, is_cut: bool) -> None:
    key = join_key("a" * 512, "b" * last)
    assert len(key.encode()) <= SORT_KEY_BYTES
    assert key.startswith("a" * 100)
    assert ("\\+" in key) == is_cut
    assert join_key("a" * 512, "b" * last) == key
    assert key != join_key("a" * 512, "b" * (last - 1) + "c")


PARTS = st.lists(st.text("ab#\\~+", min_size=200, max_size=520), min_size=2, max_size=4).map(tuple)


@given(PARTS, PARTS)
def test_long_keys_of_distinct_parts_are_distinct(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    keys = {join_key(*one), join_key(*other)}
    assert len(keys) == len({one, other})
    assert all(len(key.encode()) <= SORT_KEY_BYTES for key in keys)
    assert all(split_key(key) for key in keys)


def row(**columns: Any) -> dict[str, Any]:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return columns | {"at": at, "_record_id": f"{'0' * 32}-7", "_source_key": "k" * 1024, "_source_offset": 7}


@pytest.mark.parametrize("length", [1, 400, 511, 512, 5000])
def test_a_row_with_a_key_of_any_length_has_an_item_that_dynamodb_takes(length: int) -> None:
    names = ["one", "two", "three"]
    found = keyed_item("d" * 64, names, row(**dict.fromkeys(names, "\u2603" * length)), "at", "2026", 1)
    assert len(found["pk"].encode()) <= 2048
    assert len(found["sk"].encode()) <= 1024
    assert len(found["time_key"].encode()) <= 1024
    assert all(len(found[FORMER][name].encode()) <= 2048 for name in ("pk", "sk") if FORMER in found)


def test_two_rows_with_long_keys_have_two_items() -> None:
    names = ["one", "two"]
    one, other = (
        keyed_item("d", names, row(one="a" * 600, two="b" * 600 + end), "at", "2026", 1) for end in ("x", "y")
    )
    assert (one["pk"], one["sk"]) != (other["pk"], other["sk"])


@pytest.mark.parametrize(("columns", "is_cut"), [(10, False), (200, True)])
def test_a_row_of_many_long_texts_fits_into_an_item(columns: int, is_cut: bool) -> None:
    texts = {f"c{n}": "\u2603" * 4000 for n in range(columns)}
    found = keyed_item("d", ["id"], row(id="a", amount=Decimal("1.5"), **texts), "at", "2026", 1)
    size = sum(len(name) + len(str(value).encode()) for name, value in found["row"].items())
    assert size <= ITEM_BYTES
    assert bool(found.get("cut")) == is_cut
    assert set(found.get("cut", [])) == (set(texts) if is_cut else set())
    assert found["row"]["id"] == "a"


# -- files of a chunk --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("beyond", [False, True])
def test_a_chunk_of_too_many_dates_fails_at_once_by_name(monkeypatch: pytest.MonkeyPatch, beyond: bool) -> None:
    monkeypatch.setattr(silver, "MAX_DATES", 50)
    dataset = project_catalog().datasets["shipments"]
    times = [datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day) for day in range(50 + beyond)]
    table = pa.table({dataset.partition_by: pa.array([*times, times[0]], pa.timestamp("us", "UTC"))})
    if beyond:
        with pytest.raises(ObjectFailed, match=r"over_limit: 51 dates in one chunk are more than the limit of 50"):
            silver.require_few_dates(table, dataset)
    else:
        silver.require_few_dates(table, dataset)
        silver.require_few_dates(table.slice(0, 0), dataset)
