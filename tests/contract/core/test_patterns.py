"""Event patterns in the services that have them: rules, TestEventPattern, mappings of queues, SNS subscriptions.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
https://docs.aws.amazon.com/lambda/latest/dg/with-sqs-filtering.html
https://docs.aws.amazon.com/sns/latest/dg/sns-subscription-filter-policies.html
"""

import json
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, Function, Queue, eventually

EVENT = {
    "id": "1",
    "detail-type": "t",
    "source": "s",
    "account": "123456789012",
    "time": "2024-05-01T10:00:00Z",
    "region": "us-east-1",
    "resources": [],
}


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def drained(queue: Queue, count: int) -> list[str]:
    found: list[str] = []
    eventually(lambda: found.extend(m["Body"] for m in queue.receive()) or len(found) >= count, 20, f"{count} messages")
    return sorted(found)


@pytest.fixture
def inbox(queue: Callable[..., Queue]) -> Callable[[], Queue]:
    """Makes queues to which services may send."""

    def make() -> Queue:
        made = queue()
        allowed = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": made.arn}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        made.sqs.set_queue_attributes(QueueUrl=made.url, Attributes={"Policy": policy})
        return made

    return make


@pytest.fixture
def events(engine: Engine) -> Any:
    return engine.client("events")


@pytest.fixture
def topic(engine: Engine) -> Iterator[str]:
    sns = engine.client("sns")
    arn = sns.create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.mark.parametrize(
    ("pattern", "detail", "expected"),
    [
        ({"k": [{"wildcard": "dir/*.png"}]}, '{"k": "dir/.png"}', True),
        ({"k": [{"wildcard": "a\\*b"}]}, '{"k": "a*b"}', True),
        ({"k": [1]}, '{"k": true}', False),
        ({"k": [300]}, '{"k": 300.0}', False),
        ({"k": [{"numeric": ["=", 300]}]}, '{"k": 3.0e2}', True),
        ({"k": [{"prefix": {"equals-ignore-case": "A"}}]}, '{"k": 5}', False),
        ({"i": {"a": [1], "b": [2]}}, '{"i": [{"a": 1, "b": 3}, {"a": 4, "b": 2}]}', False),
    ],
)
def test_test_event_pattern_answers_as_aws(events: Any, pattern: Any, detail: str, expected: bool) -> None:
    event = json.dumps(EVENT)[:-1] + f', "detail": {detail}}}'
    assert events.test_event_pattern(EventPattern=json.dumps({"detail": pattern}), Event=event)["Result"] is expected


@pytest.mark.parametrize("pattern", ['{"source": "shop"}', "{}", '{"source": [{"like": "x"}]}', "nothing"])
def test_an_invalid_pattern_makes_no_rule_and_no_archive(events: Any, pattern: str) -> None:
    """https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html#API_PutRule_Errors"""
    name = f"rule-{uuid.uuid4().hex[:8]}"
    bus = events.describe_event_bus()["Arn"]
    for call, arguments in (
        (events.put_rule, {"Name": name, "EventPattern": pattern}),
        (events.create_archive, {"ArchiveName": name, "EventSourceArn": bus, "EventPattern": pattern}),
        (events.test_event_pattern, {"EventPattern": pattern, "Event": json.dumps(EVENT)}),
    ):
        code, message = refusal(call, **arguments)
        assert code == "InvalidEventPatternException"
        assert message.startswith("Event pattern is not valid. Reason: ")
    assert events.list_rules(NamePrefix=name)["Rules"] == []
    assert events.list_archives(NamePrefix=name)["Archives"] == []


def test_a_rule_delivers_what_its_pattern_matches(events: Any, inbox: Callable[[], Queue]) -> None:
    """Objects of an array do not lend each other their fields, and a prefix on a number stops nothing."""
    name, to = f"rule-{uuid.uuid4().hex[:8]}", inbox()
    pattern = {"source": [name], "detail": {"items": {"a": [1], "b": [{"prefix": "x"}]}}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": to.arn, "InputPath": "$.detail.n"}])
    details = [
        {"n": 1, "items": [{"a": 1, "b": "y"}, {"a": 2, "b": "x"}]},
        {"n": 2, "items": [{"a": 1, "b": 5}]},
        {"n": 3, "items": [{"a": True, "b": "x"}]},
        {"n": 4, "items": [{"a": 2, "b": "x"}, {"a": 1, "b": "xy"}]},
    ]
    entries = [{"Source": name, "DetailType": "t", "Detail": json.dumps(detail)} for detail in details]
    assert events.put_events(Entries=entries)["FailedEntryCount"] == 0
    assert drained(to, 1) == ["4"]
    events.remove_targets(Rule=name, Ids=["q"])
    events.delete_rule(Name=name)


def subscribed(engine: Engine, topic: str, to: Queue, policy: Any, scope: str) -> None:
    attributes = {"RawMessageDelivery": "true", "FilterPolicyScope": scope, "FilterPolicy": json.dumps(policy)}
    engine.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=to.arn, Attributes=attributes)


def test_a_subscription_filters_by_the_body(engine: Engine, topic: str, inbox: Callable[[], Queue]) -> None:
    to = inbox()
    policy = {"k": [{"prefix": "a"}, 5, {"anything-but": {"prefix": "tmp."}}], "i": {"a": [1], "b": [2]}}
    subscribed(engine, topic, to, policy, "MessageBody")
    good = {"i": [{"a": 1, "b": 2}]}
    bodies = [
        {"k": 5, **good, "n": 1},
        {"k": "x.json", **good, "n": 2},
        {"k": "tmp.x", **good, "n": 3},
        {"k": "a.tmp", **good, "n": 4},
        {"k": 5, "i": [{"a": 1}, {"b": 2}], "n": 5},
        {"k": 5, "i": [{"a": True, "b": 2}], "n": 6},
    ]
    sns = engine.client("sns")
    for body in [*map(json.dumps, bodies), "no document"]:
        sns.publish(TopicArn=topic, Message=body)
    assert {json.loads(body)["n"] for body in drained(to, 3)} == {1, 2, 4}
    assert to.receive() == []


@pytest.mark.parametrize(
    ("condition", "hits", "misses"),
    [
        (
            [{"numeric": ["=", 301.5]}],
            [("Number", "301.5"), ("Number", "3.015e2")],
            [("String", "301.5"), ("Number", "3")],
        ),
        ([{"anything-but": [100, 500]}], [("Number", "101"), ("Number.Array", "[100, 50]")], [("Number", "100")]),
        ([100], [("Number", "100")], [("String", "100"), ("Number", "101")]),
        (["rugby"], [("String", "rugby"), ("String.Array", '["golf", "rugby"]')], [("String.Array", '["golf"]')]),
        ([{"wildcard": "*ball"}], [("String", "ball"), ("String", "baseball")], [("String", "rugby"), ("Number", "1")]),
        ([True], [("String.Array", "[true]")], [("String", "true"), ("String.Array", '["true"]')]),
        ([{"exists": False}], [], [("String", "x"), ("Number", "1")]),
    ],
)
def test_a_subscription_filters_by_attributes(
    engine: Engine, topic: str, inbox: Callable[[], Queue], condition: Any, hits: Any, misses: Any
) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/numeric-value-matching.html"""
    to, sns = inbox(), engine.client("sns")
    subscribed(engine, topic, to, {"a": condition}, "MessageAttributes")
    for kind, value in [*misses, *hits]:
        attribute = {"DataType": kind, "StringValue": value}
        sns.publish(TopicArn=topic, Message=f"{kind} {value}", MessageAttributes={"a": attribute})
    sns.publish(TopicArn=topic, Message="none")
    expected = [f"{kind} {value}" for kind, value in hits] + (["none"] if condition == [{"exists": False}] else [])
    assert drained(to, len(expected)) == sorted(expected)


@pytest.mark.parametrize(
    ("policy", "scope", "reason"),
    [
        ({"a": ["x"], "b": {"c": ["x"]}}, "MessageAttributes", "does not support nested filter policy"),
        ({"a": []}, "MessageBody", "Empty arrays are not allowed"),
        ({"a": [{"prefix": 1}]}, "MessageBody", "prefix match pattern must be a string"),
        ({"a": [{"like": "x"}]}, "MessageBody", "Unrecognized match type like"),
        ({"a": [{"anything-but": {"cidr": "x"}}]}, "MessageBody", "Unsupported anything-but pattern: cidr"),
        ({"a": [{"wildcard": "a*b*c*d*"}]}, "MessageBody", "too complex"),
        ({"a": [{"wildcard": f"{n}*x*"} for n in range(5)]}, "MessageBody", "too complex"),
        (["x"], "MessageBody", "Filter is not an object"),
    ],
)
def test_sns_refuses_a_policy_that_is_none(
    engine: Engine, topic: str, queue: Callable[..., Queue], policy: Any, scope: str, reason: str
) -> None:
    """https://docs.aws.amazon.com/sns/latest/dg/subscription-filter-policy-constraints.html"""
    attributes = {"FilterPolicyScope": scope, "FilterPolicy": json.dumps(policy)}
    code, message = refusal(
        engine.client("sns").subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue().arn, Attributes=attributes
    )
    assert code == "InvalidParameter"
    assert reason in message


def test_a_mapping_filters_bodies(
    engine: Engine, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    """What no filter matches is deleted: a text is no JSON, JSON is no text, and true is not 1."""
    source, seen = queue(), queue()
    code = (
        "import boto3, os, json\n"
        "def handler(event, context):\n"
        "    for record in event['Records']:\n"
        "        boto3.client('sqs').send_message(QueueUrl=os.environ['SEEN'], MessageBody=record['body'])\n"
    )
    made = function(code, variables={"SEEN": seen.url})
    lambda_ = engine.client("lambda")
    filters = [
        {"Pattern": json.dumps({"body": {"i": {"a": [1], "b": [{"prefix": "x"}]}}})},
        {"Pattern": '{"body": ["t"]}'},
    ]
    mapping = lambda_.create_event_source_mapping(
        EventSourceArn=source.arn, FunctionName=made.name, FilterCriteria={"Filters": filters}
    )
    bodies = [
        '{"i": [{"a": 1, "b": 5}]}',
        '{"i": [{"a": true, "b": "x"}]}',
        '{"i": [{"a": 1, "b": "y"}, {"a": 2, "b": "x"}]}',
        '{"i": [{"a": 2, "b": "x"}, {"a": 1, "b": "x"}]}',
        '"t2"',
        "t",
    ]
    for body in bodies:
        source.send(body)
    assert drained(seen, 2) == sorted([bodies[3], "t"])
    eventually(lambda: source.depth() == (0, 0), 20, "the messages that no filter matches to be deleted")
    lambda_.delete_event_source_mapping(UUID=mapping["UUID"])


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ([{"Pattern": '{"body": "x"}'}], "InvalidParameterValueException"),
        ([{"Pattern": '{"body": [{"wildcard": "x*"}]}'}], "InvalidParameterValueException"),
        ([{"Pattern": '{"body": [1]}'}] * 6, "InvalidParameterValueException"),
    ],
)
def test_a_mapping_refuses_filters_that_lambda_does_not_have(
    engine: Engine, function: Callable[..., Function], queue: Callable[..., Queue], filters: Any, code: str
) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html"""
    made, source = function("def handler(event, context): ..."), queue()
    call = engine.client("lambda").create_event_source_mapping
    found = refusal(call, EventSourceArn=source.arn, FunctionName=made.name, FilterCriteria={"Filters": filters})
    assert found[0] == code
