"""What cannot be processed is visible, moved to a dead-letter queue, and does not hold up its neighbours."""

from __future__ import annotations

import json

import pytest

from fixtures import formats, shipping
from tests.support.pipeline import Pipeline, until

ROWS = 30
SINGLE_CHUNK_LIMIT = 8 * 1024 * 1024


def good(pipe: Pipeline, seed: int, name: str = "rows.jsonl") -> bytes:
    return formats.jsonl(shipping.records("shipments", seed, ROWS))


def test_a_malformed_message_dies_after_five_receives_and_the_rest_of_its_batch_succeeds(pipe: Pipeline) -> None:
    put = pipe.put("shipments", good(pipe, 40))
    pipe.wait(put)
    poison = json.dumps({"schema": "sluice.chunk/1", "not": pipe.run})
    neighbours = [pipe.put("shipments", good(pipe, 41 + i), f"neighbour-{i}.jsonl") for i in range(3)]
    pipe.send_together([put.message().to_json(), poison, put.message().to_json()])
    [message] = pipe.receive_messages("chunk_dlq_url", lambda body: pipe.run in body and "not" in body)
    assert message["body"] == poison
    # the first receive of our own looks at it in the dead-letter queue; SQS goes on counting where the source stopped
    assert int(message["attributes"]["ApproximateReceiveCount"]) == 5 + 1
    assert [item["state"] for item in pipe.wait(*neighbours)] == ["committed"] * 3
    assert pipe.depth() == 0
    pipe.verified(pipe.key("shipments", ""))


def test_a_message_that_fails_again_and_again_dies_after_five_receives_and_is_processed_when_redriven(
    breakable: Pipeline,
) -> None:
    pipe = breakable
    with pipe.fault("transform", "s3", "PutObject", "error:AccessDenied", times=0):
        put = pipe.put("shipments", good(pipe, 45))
        until("the dead-letter message", lambda: pipe.depth("chunk_dlq_url") == 1)
        item = pipe.entry(put).item
        assert (item["state"], item["failed_reason"], item["rows_in"]) == ("failed", "retries_exhausted", 0)
        assert "AccessDenied" in item["error"]
        assert pipe.files(put) == {}
        assert pipe.fault_hits() == 5
    [notice] = until("the notice", lambda: pipe.mail.notices(object_id=put.object_id))
    assert (notice["kind"], notice["reason"]) == ("object.failed", "retries_exhausted")
    # the cause is fixed: SQS's own redrive brings the message back
    source = pipe.stack["chunk_dlq_url"]
    arn = pipe.sqs.get_queue_attributes(QueueUrl=source, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pipe.sqs.start_message_move_task(SourceArn=arn)
    until("the redriven object", lambda: pipe.entry(put).state == "committed")
    [item] = pipe.wait(put)
    assert (item["rows_in"], item["rows_silver"]) == (ROWS, ROWS)
    assert "error" not in item
    assert pipe.depth("chunk_dlq_url") == 0
    pipe.verified(pipe.key("shipments", ""))


@pytest.mark.parametrize(
    ("dataset", "name", "body", "reason"),
    [
        ("telegrams", "rows.jsonl", good, "unknown_dataset"),
        ("shipments", "rubbish.jsonl", formats.rubbish().body, "unreadable"),
        ("shipments", "over.json", formats.over_limit_array(SINGLE_CHUNK_LIMIT).body, "over_limit"),
    ],
)
def test_an_object_that_cannot_be_planned_is_marked_reported_and_put_aside(
    pipe: Pipeline, dataset: str, name: str, body: object, reason: str
) -> None:
    content = body if isinstance(body, bytes) else good(pipe, 50)
    put = pipe.put(dataset, content, name)
    [item] = pipe.wait(put)
    assert (item["state"], item["failed_reason"], item["rows_in"]) == ("failed", reason, 0)
    [message] = pipe.receive_messages("ingest_dlq_url", lambda text: pipe.run in text)
    dead = json.loads(message["body"])
    assert (dead["object"]["key"], dead["object"]["version_id"]) == (put.ref.key, put.ref.version_id)
    assert dead["reason"] == reason
    notices = until("the notice", lambda: pipe.mail.notices(object_id=put.object_id))
    assert [(n["kind"], n["reason"], n["object"]) for n in notices] == [("object.failed", reason, put.ref.uri)]
    assert pipe.files(put) == pipe.files(put, "quarantine") == {}


@pytest.mark.parametrize(
    ("name", "body", "reason"),
    [
        ("cut.jsonl.gz", formats.truncated_gzip().body, "truncated_gzip"),
        ("bomb.jsonl.gz", formats.gzipped(b"{}\n" * 4_000_000), "over_limit"),
        ("rubbish.gz", formats.gzipped(formats.rubbish().body), "unreadable"),
        ("broken.json", b"[\n  {broken,\n  {too\n]", "unreadable"),
    ],
)
def test_an_object_that_cannot_be_read_is_marked_and_its_message_dies(
    pipe: Pipeline, name: str, body: bytes, reason: str
) -> None:
    put = pipe.put("shipments", body, name)
    [message] = pipe.receive_messages("chunk_dlq_url", lambda text: pipe.run in text)
    assert json.loads(message["body"])["object"]["key"] == put.ref.key
    item = pipe.entry(put).item
    assert (item["state"], item["failed_reason"], item["rows_in"]) == ("failed", reason, 0)
    assert [n["reason"] for n in until("the notice", lambda: pipe.mail.notices(object_id=put.object_id))] == [reason]
    assert pipe.files(put) == pipe.files(put, "quarantine") == {}
    assert pipe.depth() == 0


def test_a_message_that_is_no_s3_notification_dies_with_a_reason_and_harms_none_beside_it(pipe: Pipeline) -> None:
    """A batch of ten, in which one is none, one is S3's test event, and one object is announced twice."""
    puts = [pipe.put_key(pipe.key("shipments", f"{n}.jsonl"), good(pipe, 60 + n)) for n in range(7)]
    bodies = [json.dumps(pipe.event(put)) for put in [*reversed(puts), puts[0]]]
    bodies[3:3] = [json.dumps({"hello": pipe.run}), json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent"})]
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
    assert len(entries) == 10
    pipe.sqs.send_message_batch(QueueUrl=pipe.stack["ingest_queue_url"], Entries=entries)
    [message] = pipe.receive_messages("ingest_dlq_url", lambda text: pipe.run in text)
    assert json.loads(message["body"]) == {"hello": pipe.run}
    [notice] = until(
        "the notice", lambda: [n for n in pipe.mail.notices(kind="dead.letter") if pipe.run in n["detail"]]
    )
    assert "not an S3 notification" in notice["reason"]
    assert [(item["state"], item["run"], item["rows_silver"]) for item in pipe.wait(*puts)] == [
        ("committed", 1, ROWS)
    ] * 7
    assert [len(pipe.mail.committed(put.object_id)) for put in puts] == [1] * 7
    assert pipe.depth("ingest_queue_url") == pipe.depth("ingest_dlq_url") == 0
    pipe.verified(pipe.key("shipments", ""))


def test_what_lambda_holds_of_the_time_before_the_queue_is_ingested_or_ends_in_the_dead_letter_queue(
    pipe: Pipeline,
) -> None:
    put = pipe.put("shipments", good(pipe, 70))
    pipe.wait(put)
    pipe.forget_idempotency(put)
    for event in (pipe.event(put), {"hello": pipe.run}):
        pipe.lambda_.invoke(
            FunctionName=pipe.stack["ingest_function"], InvocationType="Event", Payload=json.dumps(event).encode()
        )
    [message] = pipe.receive_messages("ingest_dlq_url", lambda text: pipe.run in text)
    body = json.loads(message["body"])
    assert body["requestPayload"] == {"hello": pipe.run}
    assert "UnknownEvent" in body["responsePayload"]["errorType"]
    assert pipe.entry(put).number("run") == 1


def test_a_version_that_s3_does_not_show_yet_is_not_taken_for_deleted(breakable: Pipeline) -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/manage-versioning-examples.html"""
    pipe = breakable
    key = pipe.key("shipments", "fresh.jsonl")
    with pipe.fault("transform", "s3", "GetObject", "error:NoSuchKey", about=[key], times=1):
        put = pipe.put_key(key, good(pipe, 48))
        [item] = pipe.wait(put)
        assert pipe.fault_hits() == 1
    assert (item["state"], item["rows_silver"]) == ("committed", ROWS)
    assert pipe.mail.notices(object_id=put.object_id) == []
    pipe.verified(pipe.key("shipments", ""))
