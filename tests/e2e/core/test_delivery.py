"""Events come twice, late, at once or half-way; silver does not change by a byte."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from fixtures import formats, shipping
from sluice.pipeline.requeue import requeue
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.changes import quick_redelivery
from tests.support.pipeline import Pipeline, Put, until

ROWS = 60
SWEPT = pytest.mark.thorough(
    "tests/e2e/core/test_core_sweep.py::test_no_call_that_dies_loses_or_doubles_a_row",
    "tests/e2e/core/test_delivery.py::test_an_ingest_that_dies_half_way_is_made_good_by_redelivery",
    why="the sweep kills each call of ingest; two more are tried here, too",
)


def settled(pipe: Pipeline, seed: int = 10) -> tuple[Put, dict[str, bytes]]:
    """A committed object and its silver files, byte for byte."""
    put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", seed, ROWS)))
    pipe.wait(put)
    return put, pipe.files(put)


def assert_unchanged(pipe: Pipeline, put: Put, before: dict[str, bytes], events: int = 1) -> None:
    [item] = pipe.wait(put)
    assert pipe.files(put) == before
    assert (item["state"], item["rows_in"], item["rows_silver"], item["chunks_done"]) == ("committed", ROWS, ROWS, 1)
    assert len(pipe.mail.committed(put.object_id)) == events
    pipe.verified(pipe.key("shipments", ""))


def test_an_event_that_comes_twice_changes_nothing(pipe: Pipeline) -> None:
    put, before = settled(pipe)
    assert pipe.deliver(put)["error"] is None
    assert_unchanged(pipe, put, before)


def test_two_deliveries_at_once_make_one_plan(pipe: Pipeline) -> None:
    put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 11, ROWS)))
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(lambda _: pipe.deliver_later(put), range(6)))
    pipe.wait(put)
    before = pipe.files(put)
    assert len(before) == len({record["event_time"][:10] for record in shipping.records("shipments", 11, ROWS)})
    assert_unchanged(pipe, put, before)
    assert pipe.depth("ingest_dlq_url") == 0


def test_the_same_bytes_uploaded_again_change_nothing(pipe: Pipeline) -> None:
    put, before = settled(pipe)
    again = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 10, ROWS)))
    assert again.ref.version_id != put.ref.version_id
    assert again.object_id == put.object_id
    assert pipe.deliver(again)["error"] is None
    assert_unchanged(pipe, put, before)
    entry = pipe.entry(put)
    assert (entry.number("run"), entry.item["newest"]["version_id"]) == (1, again.ref.version_id)


def test_the_same_bytes_in_another_encryption_or_in_parts_are_one_object(pipe: Pipeline) -> None:
    """Each upload has an ETag of its own, and none is one of the bytes.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html
    """
    put, before = settled(pipe, 14)
    place = {"Bucket": put.ref.bucket, "Key": put.ref.key}
    body = pipe.s3.get_object(**place)["Body"].read()
    pipe.put("shipments", body, ServerSideEncryption="aws:kms")
    pipe.s3.copy_object(**place, CopySource=place, ServerSideEncryption="aws:kms")
    upload = place | {"UploadId": pipe.s3.create_multipart_upload(**place)["UploadId"]}
    part = pipe.s3.upload_part(**upload, PartNumber=1, Body=body)
    pipe.s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]})
    listed = pipe.s3.list_object_versions(Bucket=put.ref.bucket, Prefix=put.ref.key)["Versions"]
    versions = [
        Put(ObjectRef(put.ref.bucket, put.ref.key, one["VersionId"], one["ETag"].strip('"'), one["Size"]))
        for one in listed
    ]
    assert len({one.object_id for one in versions}) == 4
    for one in versions:
        until("the upload in the ledger", lambda one=one: pipe.ledger.one(one.object_id))
        assert pipe.entry(one).object_id == put.object_id
        assert pipe.deliver(one)["error"] is None
    assert_unchanged(pipe, put, before)
    assert pipe.entry(put).number("run") == 1
    again = requeue(pipe.stack, put.ref.key)  # the newest upload's ETag leads to the object
    assert (again.object_id, again.run) == (put.object_id, 2)
    pipe.wait_for_run(put, 2)
    assert_unchanged(pipe, put, before, events=2)


def test_an_event_after_the_idempotency_record_expired_changes_nothing(pipe: Pipeline) -> None:
    put, before = settled(pipe)
    pipe.forget_idempotency(put)
    assert pipe.deliver(put)["error"] is None
    assert_unchanged(pipe, put, before)


def test_a_message_that_sqs_delivers_again_after_success_changes_nothing(pipe: Pipeline) -> None:
    put, before = settled(pipe)
    pipe.send_together([put.message().to_json()] * 3)
    assert_unchanged(pipe, put, before)


CRASHES = [
    ("s3", "PutObject", "kill-after"),
    ("dynamodb", "TransactWriteItems", "kill-before"),
    ("dynamodb", "TransactWriteItems", "kill-after"),
    ("events", "PutEvents", "kill-before"),
    ("lambda", "Return", "kill-after"),
]


def test_a_crash_before_the_acknowledgement_is_made_good_by_redelivery(breakable: Pipeline) -> None:
    pipe = breakable
    records = shipping.records("shipments", 12, ROWS)
    puts = []
    for number, (service, operation, action) in enumerate(CRASHES):
        with pipe.fault("transform", service, operation, action):
            puts.append(pipe.put("shipments", formats.jsonl(records), f"crash-{number}.jsonl"))
            until(f"the crash at {operation} ({action})", lambda: pipe.fault_hits() == 1)
    # each message comes back when its visibility timeout is over; they wait side by side
    for put, item in zip(puts, pipe.wait(*puts, deadline=180), strict=True):
        assert (item["state"], item["rows_in"], item["rows_silver"]) == ("committed", ROWS, ROWS)
        assert [row["shipment_id"] for row in pipe.rows(put)] == [record["shipment_id"] for record in records]
        until("object.committed", lambda put=put: pipe.mail.committed(put.object_id))
        assert len(pipe.mail.committed(put.object_id)) == 1
    pipe.verified(pipe.key("shipments", ""))


@pytest.mark.parametrize(
    ("service", "operation", "action"),
    [
        ("dynamodb", "TransactWriteItems", "kill-after"),
        pytest.param("sqs", "SendMessageBatch", "kill-before", marks=SWEPT),
        pytest.param("sqs", "SendMessageBatch", "kill-after", marks=SWEPT),
        ("sqs", "SendMessageBatch", "error:InternalError"),
    ],
)
def test_an_ingest_that_dies_half_way_is_made_good_by_redelivery(
    breakable: Pipeline, service: str, operation: str, action: str
) -> None:
    pipe = breakable
    times = 9 if action.startswith("error") else 1  # the SDK's own tries must not be enough
    with (
        quick_redelivery(pipe, ingest_queue_url="ingest"),
        pipe.fault("ingest", service, operation, action, times=times),
    ):
        put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 13, ROWS)))
        until("the fault", lambda: pipe.fault_hits() >= 1)
        until("all faults to be used up", lambda: pipe.fault_hits() == times, 120)
    [item] = pipe.wait(put, deadline=120)
    assert (item["state"], item["rows_in"], item["rows_silver"]) == ("committed", ROWS, ROWS)
    assert len(pipe.mail.committed(put.object_id)) == 1
    pipe.verified(pipe.key("shipments", ""))


def test_a_replay_of_a_prefix_leaves_silver_identical(pipe: Pipeline) -> None:
    bodies = [formats.jsonl(shipping.records("shipments", seed, ROWS)) for seed in range(20, 24)]
    puts = [pipe.put("shipments", body, f"part-{i}.jsonl") for i, body in enumerate(bodies)]
    pipe.wait(*puts)
    before = [pipe.files(put) for put in puts]
    copies = [pipe.replay(put) for put in puts]
    for put in puts:
        item = pipe.wait_for_run(put, 2)
        assert (item["rows_in"], item["rows_silver"], item["rows_quarantined"]) == (ROWS, ROWS, 0)
    assert [pipe.files(put) for put in puts] == before
    assert [pipe.files(copy) for copy in copies] == [{}] * 4
    assert [len(pipe.mail.committed(put.object_id)) for put in puts] == [2] * 4
    pipe.verified(pipe.key("shipments", ""))


def test_an_overwritten_key_is_read_in_the_version_that_its_event_named(breakable: Pipeline) -> None:
    pipe = breakable
    first, second = (shipping.records("shipments", seed, ROWS) for seed in (30, 31))
    with pipe.fault("ingest", "dynamodb", "PutItem", "delay:1500"):  # time to overwrite before the object is read
        old = pipe.put("shipments", formats.jsonl(first))
        new = pipe.put("shipments", formats.jsonl(second))
        pipe.wait(old, new)
    assert [row["shipment_id"] for row in pipe.rows(old)] == [record["shipment_id"] for record in first]
    assert [row["shipment_id"] for row in pipe.rows(new)] == [record["shipment_id"] for record in second]
    assert {row["_source_version"] for row in pipe.rows(old)} == {old.ref.version_id}
    pipe.verified(pipe.key("shipments", ""))


def test_a_version_deleted_before_it_is_read_is_marked_and_not_retried_for_ever(breakable: Pipeline) -> None:
    pipe = breakable
    with pipe.fault("ingest", "dynamodb", "PutItem", "delay:1500"):
        put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 32, ROWS)))
        pipe.s3.delete_object(Bucket=put.ref.bucket, Key=put.ref.key, VersionId=put.ref.version_id)
        [item] = pipe.wait(put)
    assert (item["state"], item["failed_reason"], item["rows_in"]) == ("missing", "missing_version", 0)
    [notice] = until("the notice", lambda: pipe.mail.notices(object_id=put.object_id))
    assert notice["attributes"] == {"dataset": "shipments", "severity": "error", "kind": "object.missing"}
    assert pipe.depth("ingest_dlq_url") == 0
    # the same bytes, uploaded again, are ingested: the key names the same object, in a version that exists
    again = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 32, ROWS)))
    item = until("the restored object", lambda: ((i := pipe.entry(again).item)["state"] == "committed" and i) or None)
    assert (item["rows_in"], item["rows_silver"], item["version_id"]) == (ROWS, ROWS, again.ref.version_id)


def test_a_version_deleted_between_ingest_and_transform_is_marked_and_acknowledged(breakable: Pipeline) -> None:
    pipe = breakable
    with pipe.fault("transform", "dynamodb", "GetItem", "delay:1500"):
        put = pipe.put("shipments", formats.jsonl(shipping.records("shipments", 33, ROWS)))
        until("the plan", lambda: pipe.ledger.one(put.object_id))
        pipe.s3.delete_object(Bucket=put.ref.bucket, Key=put.ref.key, VersionId=put.ref.version_id)
        [item] = pipe.wait(put)
    assert (item["state"], item["failed_reason"]) == ("missing", "missing_version")
    assert len(until("the notice", lambda: pipe.mail.notices(object_id=put.object_id))) == 1
    assert pipe.depth() == 0
    assert pipe.depth("chunk_dlq_url") == 0
