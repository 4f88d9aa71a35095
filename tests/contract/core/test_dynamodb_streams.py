"""DynamoDB Streams: what a table's stream has of its changes, and a function that reads one.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
"""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Queue, eventually

KEYS = {
    "KeySchema": [{"AttributeName": "p", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "p", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY = {"p": {"S": "a"}}
FORWARD = """
import boto3, json, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event["Records"]))
"""


@pytest.fixture
def db(engine: Engine) -> Any:
    return engine.client("dynamodb")


@pytest.fixture
def streams(engine: Engine) -> Any:
    return engine.client("dynamodbstreams")


@pytest.fixture
def streamed(db: Any) -> Iterator[Callable[[str], tuple[str, str]]]:
    """Makes a table with a stream of this view; its name and the stream's ARN."""
    names: list[str] = []

    def make(view: str) -> tuple[str, str]:
        names.append(f"streamed-{uuid.uuid4().hex[:8]}")
        specification = {"StreamEnabled": True, "StreamViewType": view}
        made = db.create_table(TableName=names[-1], StreamSpecification=specification, **KEYS)
        return names[-1], made["TableDescription"]["LatestStreamArn"]

    yield make
    for name in names:
        db.delete_table(TableName=name)


def shard(streams: Any, arn: str) -> str:
    (found,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    return str(found["ShardId"])


def records(streams: Any, arn: str, kind: str = "TRIM_HORIZON", **options: Any) -> list[dict[str, Any]]:
    given = {"StreamArn": arn, "ShardId": shard(streams, arn), "ShardIteratorType": kind, **options}
    iterator = streams.get_shard_iterator(**given)["ShardIterator"]
    found: list[dict[str, Any]] = streams.get_records(ShardIterator=iterator)["Records"]
    return found


def change(db: Any, name: str) -> None:
    """An insertion, an update, an update that changes nothing, and a deletion."""
    db.put_item(TableName=name, Item=KEY | {"v": {"N": "1"}})
    update = {"UpdateExpression": "SET v = :v", "ExpressionAttributeValues": {":v": {"N": "2"}}}
    for _ in range(2):
        db.update_item(TableName=name, Key=KEY, **update)
    db.delete_item(TableName=name, Key=KEY)


@pytest.mark.parametrize(
    ("view", "images"),
    [
        ("NEW_AND_OLD_IMAGES", [("1", None), ("2", "1"), (None, "2")]),
        ("NEW_IMAGE", [("1", None), ("2", None), (None, None)]),
        ("OLD_IMAGE", [(None, None), (None, "1"), (None, "2")]),
        ("KEYS_ONLY", [(None, None)] * 3),
    ],
)
def test_a_stream_has_every_change_in_order(
    db: Any, streams: Any, streamed: Any, view: str, images: list[tuple[str | None, str | None]]
) -> None:
    name, arn = streamed(view)
    change(db, name)
    found = records(streams, arn)
    assert [one["eventName"] for one in found] == ["INSERT", "MODIFY", "REMOVE"]
    assert [one["dynamodb"]["Keys"] for one in found] == [KEY] * 3
    values = [
        tuple(one["dynamodb"].get(image, {}).get("v", {}).get("N") for image in ("NewImage", "OldImage"))
        for one in found
    ]
    assert values == images
    numbers = [int(one["dynamodb"]["SequenceNumber"]) for one in found]
    assert numbers == sorted(set(numbers))
    second = str(numbers[1])
    assert records(streams, arn, "AT_SEQUENCE_NUMBER", SequenceNumber=second) == found[1:]
    assert records(streams, arn, "AFTER_SEQUENCE_NUMBER", SequenceNumber=second) == found[2:]
    assert records(streams, arn, "LATEST") == []


def test_streams_are_listed_and_end_when_switched_off(db: Any, streams: Any, streamed: Any) -> None:
    name, arn = streamed("KEYS_ONLY")
    assert [one["StreamArn"] for one in streams.list_streams(TableName=name)["Streams"]] == [arn]
    change(db, name)
    db.update_table(TableName=name, StreamSpecification={"StreamEnabled": False})
    db.put_item(TableName=name, Item=KEY)
    assert streams.describe_stream(StreamArn=arn)["StreamDescription"]["StreamStatus"] == "DISABLED"
    assert len(records(streams, arn)) == 3
    with pytest.raises(streams.exceptions.ResourceNotFoundException):
        streams.describe_stream(StreamArn=arn + "0")


def test_a_cancelled_transaction_leaves_no_record(db: Any, streams: Any, streamed: Any) -> None:
    name, arn = streamed("KEYS_ONLY")
    check = {"TableName": name, "Key": {"p": {"S": "b"}}, "ConditionExpression": "attribute_exists(p)"}
    with pytest.raises(db.exceptions.TransactionCanceledException):
        db.transact_write_items(TransactItems=[{"Put": {"TableName": name, "Item": KEY}}, {"ConditionCheck": check}])
    assert records(streams, arn) == []


def test_an_expired_item_is_removed_by_the_service(db: Any, streams: Any, streamed: Any) -> None:
    name, arn = streamed("KEYS_ONLY")
    db.update_time_to_live(TableName=name, TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"})
    db.put_item(TableName=name, Item=KEY | {"until": {"N": str(int(time.time()) - 10)}})
    eventually(lambda: len(records(streams, arn)) == 2, 10, "the item to expire")
    removed = records(streams, arn)[1]
    assert removed["eventName"] == "REMOVE"
    assert removed["userIdentity"] == {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}


def test_a_function_reads_a_stream(
    engine: Engine, db: Any, streamed: Any, function: Any, queue: Callable[..., Queue]
) -> None:
    name, arn = streamed("NEW_AND_OLD_IMAGES")
    target = queue()
    made = function(FORWARD, variables={"QUEUE": target.url}, Timeout=20)
    client = engine.client("lambda")
    mapping = client.create_event_source_mapping(
        EventSourceArn=arn, FunctionName=made.name, StartingPosition="TRIM_HORIZON", BatchSize=10
    )["UUID"]
    try:
        change(db, name)
        names: list[str] = []

        def arrived() -> bool:
            names.extend(one["eventName"] for sent in target.receive() for one in json.loads(sent["Body"]))
            return len(names) >= 3

        eventually(arrived, 30, "the changes to arrive")
        assert names == ["INSERT", "MODIFY", "REMOVE"]
    finally:
        client.delete_event_source_mapping(UUID=mapping)
