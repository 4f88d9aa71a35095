"""Asynchronous invocations: retries, destinations, throttles, S3 notifications."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest

from tests.support.engine_harness import Engine, eventually

Make = Callable[..., Any]
FAILS = "import time\ndef handler(event, context):\n    print('TRY', time.time())\n    raise RuntimeError('always')\n"


@pytest.fixture
def bucket(engine: Engine) -> Iterator[str]:
    """A bucket, emptied and removed after the test."""
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    name = f"b-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    yield name
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)


def test_a_failing_event_is_tried_three_times_then_goes_to_the_failure_destination(
    engine: Engine, function: Make, queue: Make
) -> None:
    target, failed = function(FAILS), queue()
    engine.client("lambda").put_function_event_invoke_config(
        FunctionName=target.name, DestinationConfig={"OnFailure": {"Destination": failed.arn}}
    )
    target.send({"n": 1})
    (message,) = eventually(failed.receive, 20, "the failure record")
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 3
    assert record["requestContext"]["functionArn"].startswith(target.arn)
    assert record["requestPayload"] == {"n": 1}
    assert record["responsePayload"]["errorMessage"] == "always"
    eventually(lambda: target.starts() == 3, 5, "three tries")
    first, second, third = (float(m.split()[1]) for m in target.log() if m.startswith("TRY "))
    # LAMBDA_RETRY_BASE_DELAY is 1 s here and 60 s on AWS: after one, then after two of them.
    assert 0.9 < second - first < 2.5
    assert 1.9 < third - second < 4.0


def test_maximum_retry_attempts_zero_means_one_try(engine: Engine, function: Make, queue: Make) -> None:
    target, failed = function(FAILS), queue()
    engine.client("lambda").put_function_event_invoke_config(
        FunctionName=target.name,
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": failed.arn}},
    )
    target.send()
    (message,) = eventually(failed.receive, 10, "the failure record")
    assert json.loads(message["Body"])["requestContext"]["approximateInvokeCount"] == 1
    eventually(lambda: target.starts() == 1, 5, "one try")


def test_an_event_that_succeeds_on_retry_is_done(function: Make) -> None:
    code = (
        "count = 0\ndef handler(event, context):\n    global count\n"
        "    count += 1\n    assert count == 2\n    print('DONE')\n"
    )
    target = function(code)
    target.send()
    eventually(lambda: "DONE" in target.log() and target.starts() == 2, 10, "the second try")


def test_a_dead_letter_queue_gets_the_event_itself(engine: Engine, function: Make, queue: Make) -> None:
    dead = queue()
    target = function(FAILS, DeadLetterConfig={"TargetArn": dead.arn})
    engine.client("lambda").put_function_event_invoke_config(FunctionName=target.name, MaximumRetryAttempts=0)
    target.send({"n": 7})
    (message,) = eventually(dead.receive, 10, "the dead-letter message")
    assert json.loads(message["Body"]) == {"n": 7}


def test_a_success_destination_gets_the_answer(engine: Engine, function: Make, queue: Make) -> None:
    target, done = function("def handler(event, context):\n    return {'sum': event['a'] + event['b']}\n"), queue()
    engine.client("lambda").put_function_event_invoke_config(
        FunctionName=target.name, DestinationConfig={"OnSuccess": {"Destination": done.arn}}
    )
    target.send({"a": 1, "b": 2})
    (message,) = eventually(done.receive, 10, "the success record")
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["responsePayload"] == {"sum": 3}


def test_reserved_concurrency_zero_sends_events_to_the_failure_destination(
    engine: Engine, function: Make, queue: Make
) -> None:
    api = engine.client("lambda")
    target, failed = function("def handler(event, context):\n    return 1\n"), queue()
    api.put_function_event_invoke_config(
        FunctionName=target.name, DestinationConfig={"OnFailure": {"Destination": failed.arn}}
    )
    api.put_function_concurrency(FunctionName=target.name, ReservedConcurrentExecutions=0)
    target.send({"n": 1})
    (message,) = eventually(failed.receive, 10, "the failure record")
    assert json.loads(message["Body"])["requestContext"]["condition"] == "ZeroReservedConcurrency"


def test_a_burst_waits_its_turn_under_reserved_concurrency(engine: Engine, function: Make) -> None:
    target = function("import time\ndef handler(event, context):\n    time.sleep(0.1)\n")
    engine.client("lambda").put_function_concurrency(FunctionName=target.name, ReservedConcurrentExecutions=1)
    for number in range(10):
        target.send({"n": number})
    eventually(lambda: target.starts() == 10, 20, "all events")


def test_events_in_the_queue_survive_an_update_of_the_function(engine: Engine, function: Make) -> None:
    target = function("def handler(event, context):\n    raise RuntimeError('old')\n")
    target.send({"n": 1})
    eventually(lambda: target.starts() == 1, 10, "the first try")
    engine.client("lambda").update_function_configuration(
        FunctionName=target.name, Environment={"Variables": {"VALUE": "2"}}
    )
    target.wait()
    eventually(lambda: target.starts() == 3, 15, "the retries")


@pytest.mark.parametrize(("kind", "limit"), [("RequestResponse", 6_291_456), ("Event", 1_048_576)])
def test_an_event_over_the_payload_limit_is_refused(engine: Engine, function: Make, kind: str, limit: int) -> None:
    target = function("def handler(event, context):\n    return len(event)\n")
    api = engine.client("lambda")
    within = json.dumps("x" * (limit - 2))
    assert api.invoke(FunctionName=target.name, InvocationType=kind, Payload=within)["StatusCode"] < 300
    with pytest.raises(api.exceptions.ClientError) as caught:
        api.invoke(FunctionName=target.name, InvocationType=kind, Payload=within[:-1] + 'x"')
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


KEYS = ["plain.json", "with space.json", "a+b=c.json", "Zürich/größe é.json", "100%25 & more?.json", "日本.json"]


def test_object_keys_survive_the_url_encoding_of_the_event(engine: Engine, function: Make, bucket: str) -> None:
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    target = function("import json\ndef handler(event, context):\n    print('EVENT ' + json.dumps(event))\n")
    engine.client("lambda").add_permission(
        FunctionName=target.name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    rule = {"LambdaFunctionArn": target.arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
    )
    for key in KEYS:
        s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 3)

    def events() -> list[Any]:
        return [json.loads(m[6:])["Records"][0] for m in target.log() if m.startswith("EVENT ")]

    eventually(lambda: len(events()) == len(KEYS), 15, "all notifications")
    encoded = [record["s3"]["object"]["key"] for record in events()]
    assert sorted(unquote_plus(key) for key in encoded) == sorted(KEYS)
    assert all(key.isascii() and " " not in key for key in encoded)
    assert {record["s3"]["object"]["size"] for record in events()} == {3}
    assert {record["eventName"] for record in events()} == {"ObjectCreated:Put"}


def test_the_test_event_of_s3_has_no_records(engine: Engine, queue: Make, bucket: str) -> None:
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    target = queue()
    rule = {"QueueArn": target.arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={"QueueConfigurations": [rule]})
    (message,) = eventually(target.receive, 10, "the test event")
    body = json.loads(message["Body"])
    assert body["Event"] == "s3:TestEvent"
    assert body["Bucket"] == bucket
    assert "Records" not in body


def test_a_notification_reaches_the_function_at_once(engine: Engine, function: Make, bucket: str) -> None:
    s3 = engine.client("s3", s3={"addressing_style": "path"})
    target = function("import time\ndef handler(event, context):\n    print('AT', time.time())\n")
    engine.client("lambda").add_permission(
        FunctionName=target.name, StatementId="s3", Action="lambda:InvokeFunction", Principal="s3.amazonaws.com"
    )
    rule = {"LambdaFunctionArn": target.arn, "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [rule]}
    )
    s3.put_object(Bucket=bucket, Key="first")
    eventually(lambda: target.starts() == 1, 10, "the first event")
    sent = time.time()
    s3.put_object(Bucket=bucket, Key="second")
    eventually(lambda: target.starts() == 2, 10, "the second event")
    arrived = float(next(m for m in reversed(target.log()) if m.startswith("AT ")).split()[1])
    assert arrived - sent < 0.9
