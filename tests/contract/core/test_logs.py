"""CloudWatch Logs: filter patterns of searches, metric filters and subscriptions.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

import base64
import gzip
import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, Function, Queue, eventually


class Group:
    """A log group with a stream."""

    def __init__(self, engine: Engine) -> None:
        self.logs, self.name = engine.client("logs"), f"/test/{uuid.uuid4().hex[:8]}"
        self.logs.create_log_group(logGroupName=self.name)
        self.stream("s")

    def stream(self, name: str) -> None:
        self.logs.create_log_stream(logGroupName=self.name, logStreamName=name)

    def put(self, *messages: str, stream: str = "s") -> None:
        now = int(time.time() * 1000)
        events = [{"timestamp": now + at, "message": message} for at, message in enumerate(messages)]
        self.logs.put_log_events(logGroupName=self.name, logStreamName=stream, logEvents=events)

    def search(self, pattern: str = "", **more: Any) -> list[str]:
        pages = self.logs.get_paginator("filter_log_events").paginate(
            logGroupName=self.name, filterPattern=pattern, **more
        )
        return [event["message"] for page in pages for event in page["events"]]


@pytest.fixture
def group(engine: Engine) -> Iterator[Group]:
    made = Group(engine)
    yield made
    made.logs.delete_log_group(logGroupName=made.name)


@pytest.fixture
def other(engine: Engine) -> Iterator[Group]:
    made = Group(engine)
    yield made
    made.logs.delete_log_group(logGroupName=made.name)


def refusal(call: Callable[..., Any], **arguments: Any) -> str:
    with pytest.raises(ClientError) as refused:
        call(**arguments)
    return str(refused.value.response["Error"]["Code"])


def test_a_search_answers_what_matches(group: Group) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""
    lines = ["ERROR one", "WARN two", '{"n": 1}', '{"n": 2, "t": "x"}', "10.0.0.1 GET 404"]
    group.put(*lines)
    assert group.search() == lines
    assert group.search("ERROR") == lines[:1]
    assert group.search("?ERROR ?WARN") == lines[:2]
    assert group.search("{ $.n > 1 && $.t = x* }") == lines[3:4]
    assert group.search("[ip, method, status = 4*]") == lines[4:]
    assert group.search("[]") == group.search("[...]") == lines
    assert group.search("-ERROR", PaginationConfig={"PageSize": 2}) == lines[1:]


def test_a_search_sees_the_streams_that_it_names(group: Group) -> None:
    for name in ("run-1", "run-2", "other"):
        group.stream(name)
        group.put(name, stream=name)
    assert sorted(group.search(logStreamNamePrefix="run-")) == ["run-1", "run-2"]
    assert group.search(logStreamNames=["other"]) == ["other"]
    search = group.logs.filter_log_events
    assert refusal(search, logGroupName=group.name, logStreamNames=["s"], logStreamNamePrefix="s") == (
        "InvalidParameterException"
    )


@pytest.mark.parametrize(
    ("asked", "where", "rule"),
    [
        ({"limit": 10_001}, "limit", "have value less than or equal to 10000"),
        ({"limit": 0}, "limit", "have value greater than or equal to 1"),
        ({"logStreamNames": ["s"] * 101}, "logStreamNames", "have length less than or equal to 100"),
    ],
)
def test_a_search_beyond_the_limits_is_refused_in_awss_words(
    engine: Engine, group: Group, asked: dict[str, Any], where: str, rule: str
) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html"""
    logs = engine.client("logs", parameter_validation=False)
    with pytest.raises(ClientError) as caught:
        logs.filter_log_events(logGroupName=group.name, **asked)
    error = caught.value.response["Error"]
    assert error["Code"] == "InvalidParameterException"
    assert error["Message"].endswith(f"at '{where}' failed to satisfy constraint: Member must {rule}")


@pytest.mark.parametrize("pattern", ["{ $.a", "a:b", "[a, b", "[a,]", "%a(b)%"])
def test_an_invalid_pattern_is_refused(group: Group, pattern: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutMetricFilter.html"""
    change = [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}]
    logs = group.logs
    named = {"logGroupName": group.name, "filterPattern": pattern}
    assert refusal(logs.filter_log_events, **named) == "InvalidParameterException"
    put = logs.put_metric_filter
    assert refusal(put, **named, filterName="f", metricTransformations=change) == "InvalidParameterException"
    assert logs.describe_metric_filters(logGroupName=group.name)["metricFilters"] == []
    to = "arn:aws:lambda:us-east-1:000000000000:function:none"
    put = logs.put_subscription_filter
    assert refusal(put, **named, filterName="f", destinationArn=to) == "InvalidParameterException"


def put_filter(group: Group, pattern: str, value: str, **more: Any) -> str:
    name = f"m-{uuid.uuid4().hex[:8]}"
    change = {"metricName": name, "metricNamespace": "test", "metricValue": value, **more}
    group.logs.put_metric_filter(
        logGroupName=group.name, filterName=name, filterPattern=pattern, metricTransformations=[change]
    )
    return name


def statistics(engine: Engine, name: str, dimensions: Any = ()) -> tuple[float, float]:
    """Count and sum of a metric."""
    now = datetime.now(UTC)
    points = engine.client("cloudwatch").get_metric_statistics(
        Namespace="test",
        MetricName=name,
        Dimensions=[{"Name": key, "Value": value} for key, value in dimensions],
        StartTime=now - timedelta(minutes=10),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    return sum(point["SampleCount"] for point in points), sum(point["Sum"] for point in points)


def test_a_metric_filter_counts_what_matches_in_its_group(engine: Engine, group: Group, other: Group) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/MonitoringLogData.html"""
    count = put_filter(group, "ERROR -IGNORED", "1")
    took = put_filter(group, "{ $.took > 0 }", "$.took")
    size = put_filter(group, "[..., status = 4*, bytes]", "$bytes")
    by_kind = put_filter(group, "{ $.kind = * }", "2", dimensions={"Kind": "$.kind"})
    quiet = put_filter(group, "NOTHING", "1", defaultValue=0)
    group.put("ERROR a", "ERROR IGNORED", "fine", '{"took": 1.5, "kind": "x"}', '{"took": 2}', "GET 404 7", "GET 200 9")
    other.put("ERROR elsewhere")
    group.put("ERROR b")
    assert statistics(engine, count) == (2, 2)
    assert statistics(engine, took) == (2, 3.5)
    assert statistics(engine, size) == (1, 7)
    assert statistics(engine, by_kind, [("Kind", "x")]) == (1, 2)
    assert statistics(engine, by_kind) == (0, 0)
    found, total = statistics(engine, quiet)
    assert found in (1, 2)  # one for each minute
    assert total == 0


def test_a_functions_log_is_counted(engine: Engine, function: Callable[..., Function]) -> None:
    made = function("def handler(event, context): print('ERROR' if event.get('bad') else 'fine')")
    made.invoke()
    logs, name = engine.client("logs"), f"/aws/lambda/{made.name}"
    eventually(lambda: logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"], 20, "the log group")
    counted = f"m-{uuid.uuid4().hex[:8]}"
    change = {"metricName": counted, "metricNamespace": "test", "metricValue": "1"}
    logs.put_metric_filter(
        logGroupName=name, filterName="errors", filterPattern="ERROR", metricTransformations=[change]
    )
    for bad in (True, False, True):
        made.invoke({"bad": bad})
    eventually(lambda: statistics(engine, counted) == (2, 2), 20, "two errors to be counted")


def test_a_filter_of_the_same_name_replaces_the_first(engine: Engine, group: Group) -> None:
    for value in ("1", "5"):
        change = {"metricName": f"{group.name}", "metricNamespace": "test", "metricValue": value}
        group.logs.put_metric_filter(
            logGroupName=group.name, filterName="same", filterPattern="", metricTransformations=[change]
        )
    group.put("line")
    assert statistics(engine, group.name) == (1, 5)
    (only,) = group.logs.describe_metric_filters(logGroupName=group.name)["metricFilters"]
    assert only["metricTransformations"][0]["metricValue"] == "5"


def test_a_metric_filter_needs_its_group(engine: Engine) -> None:
    change = [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}]
    put = engine.client("logs").put_metric_filter
    assert refusal(put, logGroupName="none", filterName="f", filterPattern="", metricTransformations=change) == (
        "ResourceNotFoundException"
    )


def test_each_subscription_gets_what_its_own_pattern_matches(
    engine: Engine, group: Group, function: Callable[..., Function], queue: Callable[..., Queue]
) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html"""
    code = (
        "import boto3, os\n"
        "def handler(event, context):\n"
        "    boto3.client('sqs').send_message(QueueUrl=os.environ['TO'], MessageBody=event['awslogs']['data'])\n"
    )
    inboxes = {"errors": ("ERROR", queue()), "words": ("[a, b]", queue())}
    for name, (pattern, to) in inboxes.items():
        made = function(code, variables={"TO": to.url})
        engine.client("lambda").add_permission(
            FunctionName=made.name, StatementId="logs", Action="lambda:InvokeFunction", Principal="logs.amazonaws.com"
        )
        group.logs.put_subscription_filter(
            logGroupName=group.name, filterName=name, filterPattern=pattern, destinationArn=made.arn
        )
    group.put("ERROR one", "two words", "ERROR")
    received = {}
    for name, (_, to) in inboxes.items():
        (message,) = eventually(to.receive, 20, f"the events of {name}")
        found = json.loads(gzip.decompress(base64.b64decode(message["Body"])))
        assert found["subscriptionFilters"] == [name]
        received[name] = [event["message"] for event in found["logEvents"]]
    assert received == {"errors": ["ERROR one", "ERROR"], "words": ["ERROR one", "two words"]}
    assert group.search() == ["ERROR one", "two words", "ERROR"]


def answered(group: Group, query: str, **more: Any) -> list[dict[str, str]]:
    now = int(time.time())
    span = {"startTime": now - 600, "endTime": now + 600}
    started = group.logs.start_query(logGroupName=group.name, queryString=query, **span | more)["queryId"]
    found = group.logs.get_query_results(queryId=started)
    assert found["status"] == "Complete"
    rows = [{cell["field"]: cell["value"] for cell in row} for row in found["results"]]
    return [{name: value for name, value in row.items() if name != "@ptr"} for row in rows]


ROWS = [
    '{"kind": "a", "n": 1, "user": {"id": "u1"}, "ok": true}',
    '{"kind": "b", "n": 2.5, "user": {"id": "u2"}, "tags": ["x", "y"]}',
    '{"kind": "a", "n": 10, "user": {"id": "u1"}}',
    "plain ERROR line | with a bar",
]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("fields n | filter kind = 'a' | sort n asc", [{"n": "1"}, {"n": "10"}]),
        ("fields n | filter kind = 'a' | sort n desc | limit 1", [{"n": "10"}]),
        ("filter @message like /ERR.R/ | fields @message", [{"@message": ROWS[3]}]),
        ('filter @message like "a | b" or n in [1, 2.5] | fields kind | sort kind', [{"kind": "a"}, {"kind": "b"}]),
        ('filter @message like "| with" | fields @message # a comment | limit 0', [{"@message": ROWS[3]}]),
        ("filter user.id = 'u1' and not n > 5 | display n, kind as k", [{"n": "1", "k": "a"}]),
        ("filter tags.1 = 'y' | display kind", [{"kind": "b"}]),
        ("filter ok = 1 | display n", [{"n": "1"}]),
        ("filter kind != 'a' | display n", [{"n": "2.5"}]),  # unknown is not unequal
        ("filter not ispresent(kind) | stats count(*)", [{"count(*)": "1"}]),
        ("filter kind not in ['b'] | stats count(*) as c", [{"c": "2"}]),
        ("stats count(*), count(n) as m", [{"count(*)": "4", "m": "3"}]),
        (
            "stats sum(n) as s, avg(n) as a, min(n), max(n), count_distinct(user.id) as u by kind"
            " | sort kind | limit 2",
            [
                {"kind": "a", "s": "11", "a": "5.5", "min(n)": "1", "max(n)": "10", "u": "1"},
                {"kind": "b", "s": "2.5", "a": "2.5", "min(n)": "2.5", "max(n)": "2.5", "u": "1"},
            ],
        ),
        ("filter kind = 'z' | stats count(*)", []),
    ],
)
def test_a_query_answers_what_it_asks(group: Group, query: str, expected: list[dict[str, str]]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html"""
    group.put(*ROWS)
    assert answered(group, query) == expected


def test_a_query_shows_the_newest_first_and_bins_time(group: Group) -> None:
    group.put(*ROWS)
    assert [row["@message"] for row in answered(group, "limit 10")] == ROWS[::-1]
    assert len(answered(group, "fields @timestamp", limit=2)) == 2
    bins = answered(group, "stats count(*) as c by bin(1d)")
    assert sum(int(row["c"]) for row in bins) == 4
    assert all(row["bin(1d)"].endswith(" 00:00:00.000") for row in bins)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "fields @message |",
        "parse @message '*' as x",
        "stats pct(n, 90)",
        "stats count(*) by bin(5x)",
        "fields strlen(@message)",
        "filter n",
        "filter n >",
        "filter (n > 1",
        "filter @message like /(/",
        "fields @unknown",
        "sort n sideways",
        "limit many",
        "dedup kind",
    ],
)
def test_a_query_that_is_not_understood_is_refused(group: Group, query: str) -> None:
    group.put(*ROWS)
    now = int(time.time())
    code = refusal(
        group.logs.start_query, logGroupName=group.name, queryString=query, startTime=now - 60, endTime=now + 60
    )
    assert code == "MalformedQueryException"


def test_a_functions_report_has_fields(engine: Engine, function: Callable[..., Function]) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html"""
    made = function("def handler(event, context): print('hello')")
    made.invoke()
    group = Group.__new__(Group)
    group.logs, group.name = engine.client("logs"), f"/aws/lambda/{made.name}"
    query = "filter @type = 'REPORT' | display @requestId, @memorySize, @billedDuration"
    eventually(lambda: made.log() and answered(group, query), 20, "the report")
    (row,) = answered(group, query)
    assert row["@memorySize"] == "256000000"
    assert int(row["@billedDuration"]) > 0
    uuid.UUID(row["@requestId"])
