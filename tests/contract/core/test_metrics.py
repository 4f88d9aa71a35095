"""CloudWatch: what functions, queues and workflows publish, metric math, and alarms that reach a topic."""

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.support.engine_harness import Engine, Function, Queue, eventually

Make = Callable[..., Any]
EMBEDDED = """
import json, time
def handler(event, context):
    for line in event.get("lines", []):
        print(line)
    if event.get("raise"):
        raise ValueError("as asked")
"""


class Watched:
    """CloudWatch of the engine, with a namespace of the test's own."""

    def __init__(self, engine: Engine) -> None:
        self.cloudwatch = engine.client("cloudwatch")
        self.namespace = f"test-{uuid.uuid4().hex[:8]}"

    def put(self, name: str, *values: float, **dimensions: str) -> None:
        listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        data = [{"MetricName": name, "Value": value, "Dimensions": listed} for value in values]
        self.cloudwatch.put_metric_data(Namespace=self.namespace, MetricData=data)

    def stat(self, namespace: str, name: str, stat: str, **dimensions: str) -> float | None:
        """The statistic over the last quarter of an hour; None without data."""
        listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        metric = {"Namespace": namespace, "MetricName": name, "Dimensions": listed}
        found = self.query({"Id": "m", "MetricStat": {"Metric": metric, "Period": 3600, "Stat": stat}})["m"]
        return sum(found) if stat == "Sum" and found else (found[0] if found else None)

    def query(self, *queries: dict[str, Any]) -> dict[str, list[float]]:
        now = datetime.now(UTC)
        span = {"StartTime": now - timedelta(minutes=15), "EndTime": now + timedelta(minutes=1)}
        answer = self.cloudwatch.get_metric_data(MetricDataQueries=list(queries), **span)
        return {result["Id"]: result["Values"] for result in answer["MetricDataResults"]}

    def metric_stat(self, name: str, stat: str = "Sum", **dimensions: str) -> dict[str, Any]:
        listed = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        metric = {"Namespace": self.namespace, "MetricName": name, "Dimensions": listed}
        return {"Metric": metric, "Period": 60, "Stat": stat}

    def state(self, alarm: str) -> str:
        (found,) = self.cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"]
        return str(found["StateValue"])


@pytest.fixture
def watched(engine: Engine) -> Watched:
    return Watched(engine)


@pytest.fixture
def alarm(watched: Watched) -> Iterator[Make]:
    """Makes alarms, ``alarm(MetricName=..., ...)`` on the test's namespace; removes them afterwards."""
    made: list[str] = []

    def make(**options: Any) -> str:
        name = f"alarm-{uuid.uuid4().hex[:8]}"
        settings = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanOrEqualToThreshold"}
        if "Metrics" not in options:
            settings |= {"Namespace": watched.namespace, "Period": 60, "Statistic": "Sum"}
        watched.cloudwatch.put_metric_alarm(AlarmName=name, **settings | options)
        made.append(name)
        return name

    yield make
    watched.cloudwatch.delete_alarms(AlarmNames=made)


def line(namespace: str, values: dict[str, Any], dimensions: list[list[str]], **more: Any) -> str:
    """An embedded metric as a function prints it."""
    metrics = [{"Name": name, "Unit": "Count"} for name in values]
    directive = {"Namespace": namespace, "Dimensions": dimensions, "Metrics": metrics}
    head = {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": head, **values, **more})


def test_embedded_metrics_in_a_functions_log_become_metrics_of_every_dimension_set(
    watched: Watched, function: Make
) -> None:
    target = function(EMBEDDED)
    dimensions = [["service"], ["service", "dataset"]]
    lines = [
        line(watched.namespace, {"Rows": [1, 2.5], "Files": 1}, dimensions, service="s", dataset="a"),
        line(watched.namespace, {"Rows": 4}, dimensions, service="s", dataset="b"),
    ]
    target.invoke({"lines": lines})
    eventually(lambda: watched.stat(watched.namespace, "Rows", "Sum", service="s") == 7.5, 10, "the sum of both")
    assert watched.stat(watched.namespace, "Rows", "Sum", service="s", dataset="a") == 3.5
    assert watched.stat(watched.namespace, "Rows", "Maximum", service="s", dataset="b") == 4
    assert watched.stat(watched.namespace, "Rows", "SampleCount", service="s") == 3
    assert watched.stat(watched.namespace, "Files", "Sum", service="s") == 1
    eventually(lambda: lines[0] in target.log(), 10, "the line in the log too")


def test_a_line_that_is_no_embedded_metric_is_a_line_of_the_log_and_nothing_else(
    watched: Watched, function: Make
) -> None:
    target = function(EMBEDDED)
    good = line(watched.namespace, {"Rows": 1}, [[]])
    wrong = ['{"_aws": 1}', '"_aws" and no JSON', line(watched.namespace, {"Rows": 5}, [["absent"]])]
    assert target.invoke({"lines": [*wrong, good]})["error"] is None
    eventually(lambda: watched.stat(watched.namespace, "Rows", "Sum") == 1, 10, "the good line")
    names = {m["MetricName"] for m in watched.cloudwatch.list_metrics(Namespace=watched.namespace)["Metrics"]}
    assert names == {"Rows"}


def test_a_metric_is_exactly_its_dimensions(watched: Watched) -> None:
    watched.put("Depth", 1.0, queue="a")
    watched.put("Depth", 10.0, queue="ab")
    watched.put("Depth", 100.0, queue="a", host="h")
    watched.put("Depth", 1000.0)
    assert watched.stat(watched.namespace, "Depth", "Sum", queue="a") == 1
    assert watched.stat(watched.namespace, "Depth", "Sum") == 1000
    filtered = watched.cloudwatch.list_metrics(Namespace=watched.namespace, Dimensions=[{"Name": "host"}])["Metrics"]
    assert [sorted(d["Value"] for d in metric["Dimensions"]) for metric in filtered] == [["a", "h"]]


def test_metric_math_works_on_the_metrics_of_a_query(watched: Watched) -> None:
    watched.put("Bad", 1.0, 2.0)
    watched.put("All", 12.0)
    found = watched.query(
        {"Id": "bad", "MetricStat": watched.metric_stat("Bad"), "ReturnData": False},
        {"Id": "all", "MetricStat": watched.metric_stat("All"), "ReturnData": False},
        {"Id": "none", "MetricStat": watched.metric_stat("Absent"), "ReturnData": False},
        {"Id": "ratio", "Expression": "IF(all >= 10 AND bad > 0, 100 * bad / all, 0)"},
        {"Id": "filled", "Expression": "SUM([bad, FILL(none, 0)]) + ratio"},
        {"Id": "nothing", "Expression": "bad / (all - 12)"},
    )
    assert found == {"ratio": [25.0], "filled": [28.0], "nothing": []}


def test_an_expression_that_is_not_understood_is_refused(watched: Watched, alarm: Make) -> None:
    stat = {"Id": "m", "MetricStat": watched.metric_stat("Bad"), "ReturnData": False}
    for expression in ("ANOMALY_DETECTION_BAND(m, 2)", "m +", "m + unknown"):
        with pytest.raises(watched.cloudwatch.exceptions.ClientError, match="ValidationError"):
            alarm(Metrics=[stat, {"Id": "e", "Expression": expression}])


def test_invocations_errors_durations_and_throttles_are_counted(
    engine: Engine, watched: Watched, function: Make
) -> None:
    target: Function = function(EMBEDDED)
    target.invoke()
    target.invoke({"raise": True})
    engine.client("lambda").put_function_concurrency(FunctionName=target.name, ReservedConcurrentExecutions=0)
    with pytest.raises(engine.client("lambda").exceptions.TooManyRequestsException):
        engine.client("lambda").invoke(FunctionName=target.name)

    def stat(name: str, stat: str = "Sum") -> float | None:
        return watched.stat("AWS/Lambda", name, stat, FunctionName=target.name)

    assert (stat("Invocations"), stat("Errors"), stat("Throttles")) == (2, 1, 1)
    assert stat("Duration", "SampleCount") == 2
    assert 0 < (stat("Duration", "Maximum") or 0) < 5000


def test_queues_publish_depth_age_and_messages_without_being_asked(watched: Watched, queue: Make) -> None:
    source: Queue = queue(VisibilityTimeout="60")
    source.send("a")  # one after the other: whenever the queue is looked at, it has at most one of a kind
    (taken,) = source.sqs.receive_message(QueueUrl=source.url, MaxNumberOfMessages=1)["Messages"]
    source.sqs.delete_message(QueueUrl=source.url, ReceiptHandle=taken["ReceiptHandle"])
    source.send("b")
    source.sqs.receive_message(QueueUrl=source.url, MaxNumberOfMessages=1)
    source.send("c")
    source.sqs.send_message(QueueUrl=source.url, MessageBody="later", DelaySeconds=60)

    def stat(name: str, stat: str = "Maximum") -> float | None:
        return watched.stat("AWS/SQS", name, stat, QueueName=source.name)

    eventually(lambda: (stat("ApproximateAgeOfOldestMessage") or 0) >= 2, 10, "an age of two seconds")
    depths = ("Visible", "NotVisible", "Delayed")
    counts = ("Sent", "Received", "Deleted")

    def published() -> list[float | None]:
        found = [stat(f"ApproximateNumberOfMessages{kind}") for kind in depths]
        return found + [stat(f"NumberOfMessages{kind}", "Sum") for kind in counts]

    eventually(lambda: published() == [1, 1, 1, 4, 2, 1], 10, "every depth and count")


def test_the_ends_of_executions_are_counted(engine: Engine, watched: Watched) -> None:
    states = engine.client("stepfunctions")
    ends = {
        "Good": {"Type": "Succeed"},
        "Bad": {"Type": "Fail", "Error": "Wrong"},
        "Slow": {"Type": "Wait", "Seconds": 60, "End": True},
    }
    choices = [{"Variable": "$.to", "StringEquals": name, "Next": name} for name in ends]
    start = {"Choose": {"Type": "Choice", "Choices": choices}}
    definition = {"StartAt": "Choose", "TimeoutSeconds": 1, "States": start | ends}
    role = "arn:aws:iam::000000000000:role/contract"
    name = f"machine-{uuid.uuid4().hex[:8]}"
    arn = states.create_state_machine(name=name, definition=json.dumps(definition), roleArn=role)["stateMachineArn"]
    for to in ("Good", "Bad", "Bad", "Slow"):
        states.start_execution(stateMachineArn=arn, input=json.dumps({"to": to}))

    def stat(name: str) -> float | None:
        return watched.stat("AWS/States", name, "Sum", StateMachineArn=arn)

    names = ("Started", "Succeeded", "Failed", "TimedOut")
    eventually(lambda: [stat(f"Executions{name}") for name in names] == [4, 1, 2, 1], 10, "all four to end")


def test_an_alarm_tells_its_topic_when_it_fires_and_when_it_is_over(
    engine: Engine, watched: Watched, queue: Make, alarm: Make
) -> None:
    heard: Queue = queue()
    sns = engine.client("sns")
    topic = sns.create_topic(Name=f"topic-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=heard.arn, Attributes={"RawMessageDelivery": "true"})
    name = alarm(
        MetricName="Bad", Period=10, TreatMissingData="notBreaching", AlarmActions=[topic], OKActions=[topic],
        AlarmDescription="what to do",
    )  # fmt: skip
    eventually(lambda: watched.state(name) == "OK", 10, "OK at first")
    watched.put("Bad", 1.0)
    notified: list[tuple[str, str]] = []

    def news() -> list[tuple[str, str]]:
        bodies = [json.loads(message["Body"]) for message in heard.receive()]
        notified.extend(
            (body["NewStateValue"], body["AlarmDescription"]) for body in bodies if body["AlarmName"] == name
        )
        return notified

    states = ["OK", "ALARM", "OK"]
    eventually(lambda: [state for state, _ in news()] == states, 25, "OK, ALARM and OK again")
    assert {description for _, description in notified} == {"what to do"}


def test_an_alarm_on_an_expression_fires(watched: Watched, alarm: Make) -> None:
    queries = [
        {"Id": "bad", "MetricStat": watched.metric_stat("Bad"), "ReturnData": False},
        {"Id": "all", "MetricStat": watched.metric_stat("All"), "ReturnData": False},
        {"Id": "ratio", "Expression": "100 * bad / all", "Label": "ratio"},
    ]
    over = alarm(Metrics=queries, Threshold=20.0, ComparisonOperator="GreaterThanThreshold")
    under = alarm(Metrics=queries, Threshold=30.0, ComparisonOperator="GreaterThanThreshold")
    watched.put("All", 12.0)
    watched.put("Bad", 3.0)
    eventually(lambda: (watched.state(over), watched.state(under)) == ("ALARM", "OK"), 10, "one of both to fire")


@pytest.mark.parametrize(
    ("treat", "state"),
    [("missing", "INSUFFICIENT_DATA"), ("notBreaching", "OK"), ("breaching", "ALARM"), ("ignore", "INSUFFICIENT_DATA")],
)
def test_missing_data_counts_as_the_alarm_says(watched: Watched, alarm: Make, treat: str, state: str) -> None:
    marker = alarm(MetricName="Other", TreatMissingData="breaching")
    name = alarm(MetricName="Absent", TreatMissingData=treat)
    eventually(lambda: watched.state(marker) == "ALARM", 10, "an evaluation")
    eventually(lambda: watched.state(name) == state, 10, state)


def test_two_periods_must_breach_when_the_alarm_asks_for_two(watched: Watched, alarm: Make) -> None:
    one = alarm(MetricName="Bad", TreatMissingData="notBreaching")
    two = alarm(MetricName="Bad", TreatMissingData="notBreaching", EvaluationPeriods=2)
    watched.put("Bad", 5.0)
    eventually(lambda: (watched.state(one), watched.state(two)) == ("ALARM", "OK"), 30, "the alarm of one period")
    # The minute may have changed since; of these, two are neighbours of whichever is the present one.
    now = datetime.now(UTC)
    some = [{"MetricName": "Bad", "Value": 5.0, "Timestamp": now - timedelta(seconds=60 * back)} for back in range(3)]
    watched.cloudwatch.put_metric_data(Namespace=watched.namespace, MetricData=some)
    eventually(lambda: watched.state(two) == "ALARM", 30, "the alarm of two periods")


def test_the_state_of_an_alarm_that_is_changed_stays(watched: Watched, alarm: Make) -> None:
    name = alarm(MetricName="Absent", TreatMissingData="breaching")
    eventually(lambda: watched.state(name) == "ALARM", 10, "an alarm")
    watched.cloudwatch.put_metric_alarm(
        AlarmName=name, Namespace=watched.namespace, MetricName="Absent", Period=60, Statistic="Sum", Threshold=9.0,
        EvaluationPeriods=1, ComparisonOperator="GreaterThanThreshold", TreatMissingData="ignore",
    )  # fmt: skip
    assert watched.state(name) == "ALARM"


def test_a_gap_does_not_end_an_alarm_that_leaves_missing_data_out(watched: Watched, alarm: Make) -> None:
    name = alarm(MetricName="Bad", TreatMissingData="missing")
    well = alarm(MetricName="Bad", TreatMissingData="notBreaching")
    earlier = {"MetricName": "Bad", "Value": 5.0, "Timestamp": datetime.now(UTC) - timedelta(seconds=90)}
    watched.cloudwatch.put_metric_data(Namespace=watched.namespace, MetricData=[earlier])
    eventually(lambda: (watched.state(name), watched.state(well)) == ("ALARM", "OK"), 10, "one of both to fire")


def test_an_alarm_has_the_tags_it_is_made_with(watched: Watched, alarm: Make) -> None:
    name = alarm(MetricName="Bad", Tags=[{"Key": "project", "Value": "sluice"}])
    (found,) = watched.cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    tags = watched.cloudwatch.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"]
    assert tags == [{"Key": "project", "Value": "sluice"}]
