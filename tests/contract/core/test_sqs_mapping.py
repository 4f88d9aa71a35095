"""SQS event source mappings: batches, partial failure, concurrency, crashes."""

import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Function, Queue, eventually

Make = Callable[..., Any]

# Prints one JSON line for each invocation: the bodies it got.
ECHO = """
import json, time
def handler(event, context):
    print("GOT " + json.dumps([r["body"] for r in event["Records"]]))
    time.sleep(float(PAUSE))
    return ANSWER
"""


def echo(answer: str = "None", pause: float = 0) -> str:
    """Code of a function that prints the bodies it got, sleeps, and returns ``answer`` (a Python expression)."""
    return ECHO.replace("ANSWER", answer).replace("PAUSE", str(pause))


def batches(function: Function) -> list[list[str]]:
    """Batches that the function has got and that have ended."""
    return [json.loads(line[4:]) for line in function.log() if line.startswith("GOT ")]


def deliveries(function: Function) -> Counter[str]:
    """How often each body was delivered."""
    return Counter(body for batch in batches(function) for body in batch)


def drained(queue: Queue) -> bool:
    """Nothing visible, nothing in flight."""
    return queue.depth() == (0, 0)


def test_a_visibility_timeout_less_than_the_function_timeout_is_refused(
    engine: Engine, function: Make, queue: Make
) -> None:
    source, target = queue(VisibilityTimeout="4"), function(echo(), Timeout=5)
    with pytest.raises(engine.client("lambda").exceptions.ClientError) as caught:
        engine.client("lambda").create_event_source_mapping(EventSourceArn=source.arn, FunctionName=target.name)
    assert caught.value.response["Error"] == {
        "Code": "InvalidParameterValueException",
        "Message": "Queue visibility timeout: 4 seconds is less than Function timeout: 5 seconds",
    }


def test_messages_reach_the_function_with_their_attributes_and_leave_the_queue(
    function: Make, queue: Make, mapping: Make
) -> None:
    code = "import json\ndef handler(event, context):\n    print('EVENT ' + json.dumps(event))\n"
    source, target = queue(VisibilityTimeout="10"), function(code)
    mapping(source, target)
    body = '{ "spaces":  "kept",\t"text": "Zürich" }'
    message_id = source.send(body)[0]
    line = eventually(lambda: [m for m in target.log() if m.startswith("EVENT ")], 10, "the event")[0]
    (record,) = json.loads(line[6:])["Records"]
    assert record["body"] == body
    assert record["messageId"] == message_id
    assert record["eventSource"] == "aws:sqs"
    assert record["eventSourceARN"] == source.arn
    assert record["awsRegion"] == "us-east-1"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(record["attributes"])
    eventually(lambda: drained(source), 5, "an empty queue")


def test_a_message_is_delivered_at_once(function: Make, queue: Make, mapping: Make) -> None:
    code = "import time\ndef handler(event, context):\n    print('AT', time.time())\n"
    source, target = queue(VisibilityTimeout="10"), function(code)
    mapping(source, target)
    source.send("warm-up")
    eventually(lambda: target.starts() == 1, 10, "the first delivery")
    sent = time.time()
    source.send("second")
    eventually(lambda: target.starts() == 2, 10, "the second delivery")
    arrived = float(next(m for m in reversed(target.log()) if m.startswith("AT ")).split()[1])
    assert arrived - sent < 0.9  # a poller that sleeps a second between polls would not make this every time


def test_batches_are_not_larger_than_the_batch_size(function: Make, queue: Make, mapping: Make) -> None:
    source, target = queue(VisibilityTimeout="10"), function(echo())
    sent = [f"m{n}" for n in range(10)]
    source.send(*sent)
    mapping(source, target, BatchSize=4)
    eventually(lambda: deliveries(target) == Counter(sent), 15, "all messages")
    assert [len(batch) for batch in batches(target)]
    assert max(len(batch) for batch in batches(target)) == 4


def test_a_batching_window_gathers_messages(function: Make, queue: Make, mapping: Make) -> None:
    source, target = queue(VisibilityTimeout="20"), function(echo())
    mapping(source, target, BatchSize=100, MaximumBatchingWindowInSeconds=2)
    source.send("a", "b", "c")
    eventually(lambda: batches(target), 15, "the batch")
    assert batches(target) == [["a", "b", "c"]]


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("{'batchItemFailures': [{'itemIdentifier': 'unknown'}]}", "unknown id"),
        ("{'batchItemFailures': [{'itemIdentifier': ''}]}", "empty id"),
        ("{'batchItemFailures': [{'itemIdentifier': None}]}", "null id"),
        ("{'batchItemFailures': [{'wrongKey': event['Records'][0]['messageId']}]}", "wrong key"),
        ("'not an object'", "no object"),
    ],
)
def test_an_answer_that_names_no_message_of_the_batch_fails_the_whole_batch(
    function: Make, queue: Make, mapping: Make, answer: str, why: str
) -> None:
    source, target = queue(VisibilityTimeout="2"), function(echo(answer), Timeout=2)
    source.send("a", "b")
    mapping(source, target, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: min(deliveries(target).get(b, 0) for b in "ab") >= 2, 15, f"both messages again ({why})")


@pytest.mark.parametrize("answer", ["{'batchItemFailures': []}", "{'batchItemFailures': None}", "{}", "None"])
def test_an_answer_without_failures_is_success(function: Make, queue: Make, mapping: Make, answer: str) -> None:
    source, target = queue(VisibilityTimeout="2"), function(echo(answer), Timeout=2)
    source.send("a", "b")
    mapping(source, target, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: drained(source) and deliveries(target).total() == 2, 15, "success")


def test_only_reported_messages_come_again(function: Make, queue: Make, mapping: Make) -> None:
    answer = (
        "{'batchItemFailures': [{'itemIdentifier': r['messageId']} for r in event['Records']"
        " if r['body'] == 'bad' and r['attributes']['ApproximateReceiveCount'] == '1']}"
    )
    source, target = queue(VisibilityTimeout="2"), function(echo(answer), Timeout=2)
    source.send("good", "bad", "fine")
    mapping(source, target, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: drained(source), 15, "an empty queue")
    eventually(lambda: deliveries(target) == Counter(good=1, bad=2, fine=1), 5, "exact deliveries")


def test_a_batch_item_answer_means_nothing_when_not_asked_for(function: Make, queue: Make, mapping: Make) -> None:
    answer = "{'batchItemFailures': [{'itemIdentifier': r['messageId']} for r in event['Records']]}"
    source, target = queue(VisibilityTimeout="2"), function(echo(answer), Timeout=2)
    source.send("a")
    mapping(source, target)
    eventually(lambda: drained(source) and deliveries(target) == Counter(a=1), 10, "one delivery")


def test_a_function_error_returns_the_batch_after_the_visibility_timeout(
    function: Make, queue: Make, mapping: Make
) -> None:
    code = (
        "import time\ndef handler(event, context):\n"
        "    count = event['Records'][0]['attributes']['ApproximateReceiveCount']\n"
        "    print('COUNT', count, time.time())\n    assert count == '2'\n"
    )
    source, target = queue(VisibilityTimeout="6"), function(code, Timeout=3)
    mapping(source, target)
    source.send("a")
    eventually(lambda: target.starts() == 2 and drained(source), 30, "the second try")
    (one, first), (two, second) = [m.split()[1:] for m in target.log() if m.startswith("COUNT ")]
    assert (one, two) == ("1", "2")
    assert float(second) - float(first) >= 3  # six from the receive; the first try began after a cold start


def test_a_timeout_in_mid_batch_redelivers_the_whole_batch(function: Make, queue: Make, mapping: Make) -> None:
    code = (
        "import json, time\ndef handler(event, context):\n"
        "    print('GOT ' + json.dumps([r['body'] for r in event['Records']]))\n"
        "    if event['Records'][0]['attributes']['ApproximateReceiveCount'] == '1':\n        time.sleep(9)\n"
    )
    source, target = queue(VisibilityTimeout="3"), function(code, Timeout=1)
    source.send("a", "b", "c")
    mapping(source, target, FunctionResponseTypes=["ReportBatchItemFailures"])
    eventually(lambda: drained(source), 20, "an empty queue")
    eventually(lambda: deliveries(target) == Counter(a=2, b=2, c=2), 5, "each message twice")


def test_a_message_moves_to_the_dead_letter_queue_after_max_receives(
    function: Make, queue: Make, mapping: Make
) -> None:
    dead = queue()
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 2})
    source = queue(VisibilityTimeout="1", RedrivePolicy=policy)
    target = function("def handler(event, context):\n    print('GOT []')\n    raise ValueError\n", Timeout=1)
    mapping(source, target)
    source.send("poison")
    found = eventually(dead.receive, 20, "the dead-letter message")
    assert [message["Body"] for message in found] == ["poison"]
    assert found[0]["Attributes"]["DeadLetterQueueSourceArn"] == source.arn
    eventually(lambda: target.starts() == 2, 5, "exactly two tries")
    assert drained(source)


def test_maximum_concurrency_is_never_exceeded_and_is_used(function: Make, queue: Make, mapping: Make) -> None:
    code = (
        "import os, time\ndef handler(event, context):\n    began = time.time()\n    time.sleep(0.3)\n"
        "    print('SPAN', began, time.time())\n"
    )
    source, target = queue(VisibilityTimeout="30"), function(code, Timeout=20)
    source.send(*[str(n) for n in range(12)])
    mapping(source, target, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    eventually(lambda: target.starts() == 12, 30, "all messages")
    spans = [tuple(map(float, m.split()[1:])) for m in target.log() if m.startswith("SPAN ")]
    running = [sum(begin <= at < end for begin, end in spans) for at, _ in spans]
    assert max(running) == 2


def test_reserved_concurrency_throttles_and_loses_nothing(
    engine: Engine, function: Make, queue: Make, mapping: Make
) -> None:
    source, target = queue(VisibilityTimeout="6"), function(echo(pause=0.2), Timeout=6)
    engine.client("lambda").put_function_concurrency(FunctionName=target.name, ReservedConcurrentExecutions=1)
    sent = [str(n) for n in range(6)]
    source.send(*sent)
    mapping(source, target, BatchSize=1)
    eventually(lambda: drained(source), 90, "an empty queue")
    eventually(lambda: deliveries(target) == Counter(sent), 5, "each message once")


def test_a_filter_deletes_what_it_leaves_out(function: Make, queue: Make, mapping: Make) -> None:
    source, target = queue(VisibilityTimeout="5"), function(echo())
    pattern = json.dumps({"body": {"kind": ["wanted"]}})
    mapping(source, target, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    source.send('{"kind": "other"}', '{"kind":   "wanted"}')
    eventually(lambda: drained(source) and batches(target), 10, "an empty queue")
    assert deliveries(target) == Counter(['{"kind":   "wanted"}'])


@pytest.mark.parametrize("how", ["disabled", "deleted"])
def test_a_mapping_that_is_stopped_takes_no_more_messages(
    engine: Engine, function: Make, queue: Make, mapping: Make, how: str
) -> None:
    api = engine.client("lambda")
    source, target = queue(VisibilityTimeout="10"), function(echo())
    uuid = mapping(source, target)
    source.send("before")
    eventually(lambda: deliveries(target) == Counter(before=1), 10, "the first message")
    if how == "disabled":
        api.update_event_source_mapping(UUID=uuid, Enabled=False)
        eventually(lambda: api.get_event_source_mapping(UUID=uuid)["State"] == "Disabled", 5, "disabled")
    else:
        api.delete_event_source_mapping(UUID=uuid)
    source.send("after")
    eventually(lambda: source.depth() == (1, 0), 3, "the message to stay")
    if how == "disabled":
        api.update_event_source_mapping(UUID=uuid, Enabled=True)
        eventually(lambda: drained(source), 10, "the message to be taken")
