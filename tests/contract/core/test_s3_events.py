"""S3's event notifications: what they say of an object, and in which order.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
"""

import json
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import pytest

from tests.support.engine_harness import Engine, Function, Queue, eventually
from tests.support.state_keeper import Keeper

KEYS = [
    "red flower.jsonl",
    "a+b=c&d.jsonl",
    "100%25.jsonl",
    "東京/ä ö.jsonl",
    "p:q@(1)!*'~,;.jsonl",
    'q"<>#?[]{}|^.jsonl',
]


def bucket_of(engine: Engine) -> tuple[Any, str]:
    s3, name = engine.client("s3", s3={"addressing_style": "path"}), f"ev-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    return s3, name


def records_of(queue: Queue, count: int) -> list[dict[str, Any]]:
    """The next records in a queue, s3:TestEvent left out."""
    found: list[dict[str, Any]] = []

    def enough() -> bool:
        for message in queue.receive():
            found.extend(json.loads(message["Body"]).get("Records", []))
        return len(found) >= count

    eventually(enough, 20, f"{count} records")
    assert len(found) == count
    return found


def subscribe(s3: Any, bucket: str, queue: Queue, *events: str) -> None:
    configuration = {"QueueConfigurations": [{"QueueArn": queue.arn, "Events": list(events)}]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)


def test_queues_topics_and_functions_get_encoded_keys_and_buses_plain_ones(
    engine: Engine, queue: Callable[..., Queue], function: Callable[..., Function]
) -> None:
    s3, bucket = bucket_of(engine)
    direct, by_topic, by_bus = queue(), queue(), queue()
    made = function("def handler(event, context):\n    print('KEY', event['Records'][0]['s3']['object']['key'])\n")
    sns, events = engine.client("sns"), engine.client("events")
    topic = sns.create_topic(Name=f"t-{bucket}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=by_topic.arn, Attributes={"RawMessageDelivery": "true"})
    pattern = {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
    events.put_rule(Name=bucket, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=bucket, Targets=[{"Id": "q", "Arn": by_bus.arn}])
    for one, principal in ((direct, "s3"), (by_topic, "sns"), (by_bus, "events")):
        allow(one, principal)
    service = {"Service": "s3.amazonaws.com"}
    allowed = {"Effect": "Allow", "Principal": service, "Action": "sns:Publish", "Resource": topic}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
    engine.client("lambda").add_permission(
        FunctionName=made.name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    puts, copies = ["s3:ObjectCreated:Put"], ["s3:ObjectCreated:Copy"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": direct.arn, "Events": puts}],
            "TopicConfigurations": [{"TopicArn": topic, "Events": copies}],
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": made.arn, "Events": ["s3:ObjectRemoved:*"]}],
            "EventBridgeConfiguration": {},
        },
    )
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x")
    seen = [record["s3"]["object"]["key"] for record in records_of(direct, len(KEYS))]
    assert sorted(map(unquote_plus, seen)) == sorted(KEYS)
    assert {"red+flower.jsonl", "a%2Bb%3Dc%26d.jsonl", "100%2525.jsonl"} <= set(seen)
    assert "%E6%9D%B1%E4%BA%AC/%C3%A4+%C3%B6.jsonl" in seen
    s3.copy_object(Bucket=bucket, Key="red flower.jsonl", CopySource={"Bucket": bucket, "Key": KEYS[1]})
    assert records_of(by_topic, 1)[0]["s3"]["object"]["key"] == "red+flower.jsonl"
    s3.delete_object(Bucket=bucket, Key="red flower.jsonl")
    eventually(lambda: "KEY red+flower.jsonl" in made.log(), 20, "the function's line")
    bodies: list[Any] = []

    def all_there() -> bool:
        bodies.extend(json.loads(message["Body"]) for message in by_bus.receive())
        return len(bodies) >= len(KEYS) + 2

    eventually(all_there, 20, "the events of the bus")
    created = [body["detail"] for body in bodies if body["detail-type"] == "Object Created"]
    assert sorted(detail["object"]["key"] for detail in created) == sorted([*KEYS, "red flower.jsonl"])
    assert sorted({detail["reason"] for detail in created}) == ["CopyObject", "PutObject"]
    assert {detail["requester"] for detail in created} == {"000000000000"}
    events.remove_targets(Rule=bucket, Ids=["q"])
    events.delete_rule(Name=bucket)


def allow(queue: Queue, service: str) -> None:
    """Let a service send to the queue."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": f"{service}.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": policy})


def test_the_events_of_one_key_are_ordered_by_their_sequencers(engine: Engine, queue: Callable[..., Queue]) -> None:
    s3, bucket = bucket_of(engine)
    target = queue()
    allow(target, "s3")
    subscribe(s3, bucket, target, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    for size in range(1, 6):
        s3.put_object(Bucket=bucket, Key="k", Body=b"x" * size)
        s3.delete_object(Bucket=bucket, Key="k")
    records = sorted(records_of(target, 10), key=lambda record: record["s3"]["object"]["sequencer"])
    assert [record["eventName"] for record in records] == ["ObjectCreated:Put", "ObjectRemoved:Delete"] * 5
    assert [r["s3"]["object"]["size"] for r in records if "size" in r["s3"]["object"]] == [1, 2, 3, 4, 5]
    sequencers = [record["s3"]["object"]["sequencer"] for record in records]
    assert len(set(sequencers)) == 10
    assert all(int(one, 16) >= 0 and len(one) == 18 for one in sequencers)


def test_each_kind_of_change_has_its_name_size_version_and_etag(engine: Engine, queue: Callable[..., Queue]) -> None:
    s3, bucket = bucket_of(engine)
    target = queue()
    allow(target, "s3")
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    subscribe(s3, bucket, target, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
    put = s3.put_object(Bucket=bucket, Key="a", Body=b"abc")
    upload = s3.create_multipart_upload(Bucket=bucket, Key="m")["UploadId"]
    parts = [
        {"PartNumber": n, "ETag": s3.upload_part(Bucket=bucket, Key="m", UploadId=upload, PartNumber=n, Body=b)["ETag"]}
        for n, b in ((1, b"x" * (5 << 20)), (2, b"yy"))
    ]
    done = s3.complete_multipart_upload(Bucket=bucket, Key="m", UploadId=upload, MultipartUpload={"Parts": parts})
    copied = s3.copy_object(Bucket=bucket, Key="c", CopySource={"Bucket": bucket, "Key": "a"})
    marker = s3.delete_object(Bucket=bucket, Key="a")["VersionId"]
    s3.delete_object(Bucket=bucket, Key="a", VersionId=put["VersionId"])
    found = {record["eventName"]: record for record in records_of(target, 5)}
    objects = {name: record["s3"]["object"] for name, record in found.items()}
    plain = [
        (name, one["key"], one.get("size"), one.get("eTag"), one["versionId"]) for name, one in sorted(objects.items())
    ]
    empty = "d41d8cd98f00b204e9800998ecf8427e"
    assert plain == [
        ("ObjectCreated:CompleteMultipartUpload", "m", (5 << 20) + 2, done["ETag"].strip('"'), done["VersionId"]),
        ("ObjectCreated:Copy", "c", 3, put["ETag"].strip('"'), copied["VersionId"]),
        ("ObjectCreated:Put", "a", 3, put["ETag"].strip('"'), put["VersionId"]),
        ("ObjectRemoved:Delete", "a", None, None, put["VersionId"]),
        ("ObjectRemoved:DeleteMarkerCreated", "a", None, empty, marker),
    ]
    order = sorted(found, key=lambda name: objects[name]["sequencer"])
    assert order == [
        "ObjectCreated:Put",
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectCreated:Copy",
        "ObjectRemoved:DeleteMarkerCreated",
        "ObjectRemoved:Delete",
    ]


def test_sequencers_go_on_rising_in_the_next_engine(keeper: Keeper) -> None:
    def put() -> str:
        s3 = keeper.engine.client("s3", s3={"addressing_style": "path"})
        s3.put_object(Bucket="rising", Key="k", Body=b"x")
        (record,) = records_of(target(), 1)
        sequencer: str = record["s3"]["object"]["sequencer"]
        return sequencer

    def target() -> Queue:
        found = Queue.__new__(Queue)
        found.sqs = keeper.engine.client("sqs")
        found.url = found.sqs.get_queue_url(QueueName="rising")["QueueUrl"]
        return found

    keeper.engine.client("sqs").create_queue(QueueName="rising")
    queue = target()
    queue.arn = queue.attribute("QueueArn")
    allow(queue, "s3")
    s3 = keeper.engine.client("s3", s3={"addressing_style": "path"})
    s3.create_bucket(Bucket="rising")
    subscribe(s3, "rising", queue, "s3:ObjectCreated:*")
    before = put()
    keeper.again()
    assert put() > before


@pytest.mark.parametrize(
    ("configurations", "code"),
    [
        # https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-how-to-filtering.html
        ([("s3:ObjectCreated:*", "in/", ""), ("s3:ObjectCreated:Put", "in/a", "")], "InvalidArgument"),
        ([("s3:ObjectCreated:*", "", ".json"), ("s3:ObjectCreated:Copy", "in/", "n")], "InvalidArgument"),
        ([("s3:ObjectMade:*", "in/", "")], "MalformedXML"),
        ([("s3:ObjectCreated:*", "in/", ".json"), ("s3:ObjectCreated:*", "in/", ".csv")], ""),
        ([("s3:ObjectCreated:*", "in/", ""), ("s3:ObjectCreated:*", "out/", ""), ("s3:ObjectRemoved:*", "", "")], ""),
    ],
)
def test_configurations_that_overlap_are_refused(
    engine: Engine, queue: Callable[..., Queue], configurations: list[tuple[str, str, str]], code: str
) -> None:
    s3, bucket = bucket_of(engine)
    target = queue()
    allow(target, "s3")
    wanted = [
        {
            "QueueArn": target.arn,
            "Events": [event],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": p}, {"Name": "suffix", "Value": s}]}},
        }
        for event, p, s in configurations
    ]
    answer = ""
    try:
        s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"QueueConfigurations": wanted}
        )
    except s3.exceptions.ClientError as error:
        answer = error.response["Error"]["Code"]
    assert answer == code
    stored = s3.get_bucket_notification_configuration(Bucket=bucket).get("QueueConfigurations", [])
    assert len(stored) == (0 if code else len(wanted))
