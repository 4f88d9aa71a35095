"""Objects as they come into a bucket: markers, archives, and uploads of every kind."""

from __future__ import annotations

import urllib.request
import uuid

import pytest

from fixtures import formats, shipping
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.pipeline import Pipeline, Put, until

ROWS = 30


def rows(seed: int) -> bytes:
    return formats.jsonl(shipping.records("shipments", seed, ROWS))


def newest(pipe: Pipeline, key: str) -> Put:
    bucket = pipe.stack["bronze_bucket"]
    head = pipe.s3.head_object(Bucket=bucket, Key=key)
    return Put(ObjectRef(bucket, key, head["VersionId"], head["ETag"].strip('"'), head["ContentLength"]))


def ingested(pipe: Pipeline, put: Put) -> None:
    [item] = pipe.wait(put)
    assert (item["state"], item["rows_in"], item["rows_silver"]) == ("committed", ROWS, ROWS)


def test_what_is_no_data_is_passed_over_without_a_message_or_a_difference(pipe: Pipeline) -> None:
    names = {"": b"", "day/": b"", "_SUCCESS": b"", "day_$folder$": b""}
    names |= {".DS_Store": b"\0Bud1", "_temporary/0/a": b"{}\n"}
    puts = [pipe.put("shipments", body, name) for name, body in names.items()]
    last = pipe.put("shipments", rows(1))
    ingested(pipe, last)
    answers = [pipe.deliver(put) for put in puts]  # once more, to wait for the end
    assert [answer["error"] for answer in answers] == [None] * len(puts)
    assert [pipe.ledger.one(put.object_id) for put in puts] == [None] * len(puts)
    report = pipe.verified(pipe.key("shipments", ""))
    assert [row.key for row in report.objects] == [last.ref.key]
    assert pipe.depth("ingest_dlq_url") == 0


@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_object_fails_at_once_and_is_ingested_when_it_is_restored(
    pipe: Pipeline, storage_class: str
) -> None:
    put = pipe.put("shipments", rows(2), StorageClass=storage_class)
    [item] = pipe.wait(put)
    assert (item["state"], item["failed_reason"]) == ("failed", "archived")
    assert storage_class in item["error"]
    assert pipe.receive_messages_about(put, output="ingest_dlq_url") in ([put], [])
    version = {"Bucket": put.ref.bucket, "Key": put.ref.key, "VersionId": put.ref.version_id}
    pipe.s3.restore_object(**version, RestoreRequest={"Days": 1})
    until("the restored object", lambda: pipe.entry(put).state == "committed")
    ingested(pipe, put)
    pipe.receive_messages_about(put, output="ingest_dlq_url")


def test_an_object_that_is_archived_after_it_was_planned_is_ingested_when_it_is_restored(breakable: Pipeline) -> None:
    pipe = breakable
    body = rows(3)
    origin = pipe.origin_of(pipe.key("shipments"), body)
    with pipe.fault("transform", "s3", "GetObject", "error:InvalidObjectState", times=0, about=[pipe.run]):
        put = pipe.put("shipments", body)
        assert put.object_id == origin.object_id
        pipe.receive_messages("chunk_dlq_url", lambda text: pipe.run in text)
    assert (pipe.entry(put).state, pipe.entry(put).item["failed_reason"]) == ("failed", "archived")
    event = pipe.event(put)
    event["Records"][0]["eventName"] = "ObjectRestore:Completed"
    pipe.invoke_ingest(event)
    ingested(pipe, put)


@pytest.mark.parametrize("way", ["multipart", "copy", "post"])
def test_an_object_is_ingested_however_it_came(pipe: Pipeline, way: str) -> None:
    bucket, key, body = pipe.stack["bronze_bucket"], pipe.key("shipments", f"{way}.jsonl"), rows(4)
    if way == "multipart":
        upload = pipe.s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
        part = pipe.s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=body)
        parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
        pipe.s3.complete_multipart_upload(Bucket=bucket, Key=key, UploadId=upload, MultipartUpload=parts)
    elif way == "copy":
        source = f"landing/{uuid.uuid4().hex}.jsonl"
        pipe.s3.put_object(Bucket=bucket, Key=source, Body=body)
        pipe.s3.copy_object(Bucket=bucket, Key=key, CopySource={"Bucket": bucket, "Key": source})
    else:
        form = pipe.s3.generate_presigned_post(bucket, key)
        boundary = uuid.uuid4().hex
        fields = [f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
                  for name, value in form["fields"].items()]  # fmt: skip
        file = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        data = "".join([*fields, file]).encode() + body + f"\r\n--{boundary}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        request = urllib.request.Request(form["url"], data=data, headers=headers, method="POST")
        urllib.request.urlopen(request, timeout=30).close()
    ingested(pipe, newest(pipe, key))
