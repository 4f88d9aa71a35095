"""CloudWatch: periods, pages and labels of GetMetricData; why an alarm is in its state; composite alarms.

https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_SetAlarmState.html
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Create_Composite_Alarm.html
"""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, Queue, eventually, throughout

Make = Callable[..., str]
HOUR = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)


@pytest.fixture
def cloudwatch(engine: Engine) -> Any:
    return engine.client("cloudwatch")


@pytest.fixture
def namespace(cloudwatch: Any) -> str:
    """With a metric m that is 1, 2, 3 ... in the first 20 minutes of an hour."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    data = [{"MetricName": "m", "Value": n + 1, "Timestamp": HOUR + timedelta(minutes=n)} for n in range(20)]
    cloudwatch.put_metric_data(Namespace=name, MetricData=data)
    return name


@pytest.fixture
def alarm(cloudwatch: Any) -> Iterator[Make]:
    """Makes alarms that have no data; removes them afterwards, the newest first."""
    made: list[str] = []

    def make(rule: str | None = None, **options: Any) -> str:
        name = f"alarm-{uuid.uuid4().hex[:8]}"
        settings = {"EvaluationPeriods": 1, "Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold"}
        settings |= {"Namespace": name, "MetricName": "m", "Period": 60, "Statistic": "Sum"}
        if rule:
            cloudwatch.put_composite_alarm(AlarmName=name, AlarmRule=rule, **options)
        else:
            cloudwatch.put_metric_alarm(AlarmName=name, **settings | options)
        made.append(name)
        return name

    yield make
    for name in reversed(made):
        cloudwatch.delete_alarms(AlarmNames=[name])


def described(cloudwatch: Any, name: str) -> dict[str, Any]:
    found = cloudwatch.describe_alarms(AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"])
    ((only,),) = ([*found["MetricAlarms"], *found["CompositeAlarms"]],)
    return dict(only)


def query(namespace: str, name: str, period: int, stat: str = "Sum", metric: str = "m", **more: Any) -> dict[str, Any]:
    found = {"Metric": {"Namespace": namespace, "MetricName": metric}, "Period": period, "Stat": stat}
    return {"Id": name, "MetricStat": found, **more}


def asked(cloudwatch: Any, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    span = {"StartTime": HOUR, "EndTime": HOUR + timedelta(minutes=20), "ScanBy": "TimestampAscending"}
    return dict(cloudwatch.get_metric_data(MetricDataQueries=list(queries), **span | more))


def test_each_query_has_its_own_period(cloudwatch: Any, namespace: str) -> None:
    found = asked(
        cloudwatch,
        query(namespace, "a", 60),
        query(namespace, "b", 300),
        {"Id": "e", "Expression": "b / 5"},
        {"Id": "f", "Expression": "a * 2"},
    )["MetricDataResults"]
    values = {result["Id"]: result["Values"] for result in found}
    assert values["a"] == [float(n) for n in range(1, 21)]
    assert values["b"] == [15.0, 40.0, 65.0, 90.0]
    assert values["e"] == [3.0, 8.0, 13.0, 18.0]
    assert values["f"] == [2.0 * n for n in range(1, 21)]
    times = {result["Id"]: result["Timestamps"] for result in found}
    assert times["b"] == times["e"] == [HOUR + timedelta(minutes=n) for n in (0, 5, 10, 15)]


def test_an_expression_over_two_periods_is_refused(cloudwatch: Any, namespace: str) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        asked(cloudwatch, query(namespace, "a", 60), query(namespace, "b", 300), {"Id": "e", "Expression": "a + b"})


def test_an_unknown_statistic_is_refused(cloudwatch: Any, namespace: str) -> None:
    with pytest.raises(ClientError, match="ValidationError"):
        asked(cloudwatch, query(namespace, "a", 60, "Median"))


@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_hold_as_many_values_as_asked(cloudwatch: Any, namespace: str, newest_first: bool) -> None:
    queries = (query(namespace, "a", 60), query(namespace, "b", 300))
    order = {"ScanBy": "TimestampDescending" if newest_first else "TimestampAscending"}
    (a, b) = (result["Values"] for result in asked(cloudwatch, *queries, **order)["MetricDataResults"])
    pages, more = [], dict[str, Any]()
    while True:
        page = asked(cloudwatch, *queries, **order, MaxDatapoints=7, **more)
        pages.append({result["Id"]: result for result in page["MetricDataResults"]})
        if not (token := page.get("NextToken")):
            break
        more = {"NextToken": token}
    assert [sum(len(result["Values"]) for result in page.values()) for page in pages] == [7, 7, 7, 3]
    assert [value for page in pages for value in page["a"]["Values"]] == a
    assert [value for page in pages for value in page["b"]["Values"]] == b
    assert [page["a"]["StatusCode"] for page in pages] == ["PartialData", "PartialData", "Complete", "Complete"]
    with pytest.raises(ClientError, match="NextToken"):
        asked(cloudwatch, *queries, NextToken="none")


def test_labels_have_what_differs(cloudwatch: Any, namespace: str) -> None:
    def labels(*queries: dict[str, Any]) -> list[str]:
        return [result["Label"] for result in asked(cloudwatch, *queries)["MetricDataResults"]]

    assert labels(query(namespace, "a", 60)) == ["m"]
    assert labels(query(namespace, "a", 60), query(namespace, "b", 60, metric="n")) == ["m", "n"]
    assert labels(query(namespace, "a", 60), query(namespace, "b", 60, "Average")) == ["m Sum", "m Average"]
    both = (query(namespace, "a", 60), query(namespace, "b", 300, "Average"))
    assert labels(*both) == ["m Sum 60", "m Average 300"]
    assert labels(query(namespace, "a", 60, Label="mine"), {"Id": "e", "Expression": "a"}) == ["mine", "e"]


def test_queues_count_empty_receives_and_bytes(engine: Engine, cloudwatch: Any, queue: Callable[..., Queue]) -> None:
    """https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"""
    made = queue()
    assert made.receive() == []
    made.send("12345")
    attribute = {"DataType": "String", "StringValue": "xyz"}
    made.sqs.send_message(QueueUrl=made.url, MessageBody="\u00e9", MessageAttributes={"ab": attribute})

    def stat(name: str, stat: str) -> float | None:
        now = datetime.now(UTC)
        points = cloudwatch.get_metric_statistics(
            Namespace="AWS/SQS",
            MetricName=name,
            Dimensions=[{"Name": "QueueName", "Value": made.name}],
            StartTime=now - timedelta(minutes=5),
            EndTime=now + timedelta(minutes=1),
            Period=3600,
            Statistics=[stat],
        )["Datapoints"]
        return sum(point[stat] for point in points) if points else None

    assert stat("NumberOfEmptyReceives", "Sum") == 1
    assert (stat("SentMessageSize", "SampleCount"), stat("SentMessageSize", "Sum")) == (2, 5 + 2 + 2 + 6 + 3)


def test_an_alarm_says_why(cloudwatch: Any, alarm: Make) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html (examples)"""
    name = alarm(Unit="Count", EvaluationPeriods=2, DatapointsToAlarm=1)
    plain = alarm(Unit="Count", Namespace=name)
    cloudwatch.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 5.0, "Unit": "Count"}])
    eventually(lambda: described(cloudwatch, name)["StateValue"] == "ALARM", 20, "the alarm")
    eventually(lambda: described(cloudwatch, plain)["StateValue"] == "ALARM", 20, "the alarm")
    found = described(cloudwatch, name)
    data = json.loads(found["StateReasonData"])
    began = datetime.strptime(data["startDate"], "%Y-%m-%dT%H:%M:%S.000%z")
    assert found["StateReason"] == (
        f"Threshold Crossed: 1 out of the last 1 datapoints [5.0 ({began:%d/%m/%y %H:%M:%S})] was greater than "
        "the threshold (1.0) (minimum 1 datapoint for OK -> ALARM transition)."
    )
    assert (data["statistic"], data["unit"], data["period"], data["recentDatapoints"]) == ("Sum", "Count", 60, [5.0])
    of_data = {"timestamp": data["startDate"], "sampleCount": 1.0, "value": 5.0}
    assert of_data in data["evaluatedDatapoints"]
    assert len(data["evaluatedDatapoints"]) == 2
    assert re.fullmatch(
        r"Threshold Crossed: 1 datapoint \[5\.0 \(../../.. ..:..:..\)] was greater than the threshold \(1\.0\)\.",
        described(cloudwatch, plain)["StateReason"],
    )


@pytest.mark.parametrize("periods", [1, 3])
@pytest.mark.parametrize(
    ("treated", "state", "words"),
    [
        ("breaching", "ALARM", "Breaching"),
        ("notBreaching", "OK", "NonBreaching"),
        ("missing", "INSUFFICIENT_DATA", ""),
    ],
)
def test_an_alarm_says_what_it_makes_of_missing_data(
    cloudwatch: Any, alarm: Make, treated: str, state: str, words: str, periods: int
) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html, and the words of
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-actions-Lambda.html
    """
    name = alarm(TreatMissingData=treated, EvaluationPeriods=periods, Period=10)
    if state == "INSUFFICIENT_DATA":  # a new alarm is in this state, which has other words then
        set_state(cloudwatch, name, "OK")
    eventually(lambda: described(cloudwatch, name)["StateValue"] == state, 30, "the state")
    found = described(cloudwatch, name)
    datapoints = "datapoint was" if periods == 1 else "datapoints were"
    if words:
        received = f"no datapoints were received for {periods} period{'' if periods == 1 else 's'}"
        expected = f"Threshold Crossed: {received} and {periods} missing {datapoints} treated as [{words}]."
    else:
        expected = f"Insufficient Data: {periods} {datapoints} unknown."
    assert found["StateReason"] == expected
    data = json.loads(found["StateReasonData"])
    assert (data["recentDatapoints"], "startDate" in data) == ([], False)
    assert [set(one) for one in data["evaluatedDatapoints"]] == [{"timestamp"}] * periods


def set_state(cloudwatch: Any, name: str, state: str) -> None:
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="as asked")


def test_a_state_that_was_set_stays_until_the_next_evaluation(cloudwatch: Any, alarm: Make) -> None:
    """The alarms are evaluated every second here; one that was set, after its period."""
    marker, name = alarm(TreatMissingData="breaching"), alarm(TreatMissingData="notBreaching", Period=10)
    composite = alarm(f'ALARM("{name}")')
    eventually(lambda: described(cloudwatch, name)["StateValue"] == "OK", 20, "an evaluation")
    set_state(cloudwatch, name, "ALARM")
    both = lambda: [described(cloudwatch, one)["StateValue"] for one in (name, composite)]  # noqa: E731
    throughout(lambda: both() == ["ALARM", "ALARM"], 4, "the state stays, and the composite alarm has it")
    assert described(cloudwatch, marker)["StateValue"] == "ALARM"
    eventually(lambda: both() == ["OK", "OK"], 20, "the next evaluation")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ('ALARM("{a}")', "ALARM"),
        ("ALARM({b})", "OK"),
        ('ALARM("{b}") OR OK("{b}")', "ALARM"),
        ('ALARM("{a}") AND NOT OK("{b}")', "OK"),
        ('NOT (ALARM("{a}") AND ALARM("{b}"))', "ALARM"),
        ('INSUFFICIENT_DATA("{a}") OR (TRUE AND OK("{b}"))', "ALARM"),
        ('FALSE OR ALARM("arn:aws:cloudwatch:us-east-1:000000000000:alarm:{a}")', "ALARM"),
    ],
)
def test_a_composite_alarm_follows_its_rule(cloudwatch: Any, alarm: Make, rule: str, expected: str) -> None:
    """https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html"""
    a, b = alarm(TreatMissingData="ignore"), alarm(TreatMissingData="ignore")
    set_state(cloudwatch, a, "ALARM")
    set_state(cloudwatch, b, "OK")
    name = alarm(rule.format(a=a, b=b))
    assert described(cloudwatch, name)["StateValue"] == expected
    over = alarm(f'ALARM("{name}")')
    set_state(cloudwatch, a, "OK")
    set_state(cloudwatch, b, "ALARM")
    after = {"ALARM": "ALARM" if rule.startswith(("NOT", 'ALARM("{b}") OR')) else "OK", "OK": "ALARM"}
    if "AND NOT" in rule:
        after["OK"] = "OK"
    assert described(cloudwatch, name)["StateValue"] == after[expected]
    assert described(cloudwatch, over)["StateValue"] == after[expected]


@pytest.mark.parametrize("rule", ["ALARM(", "MAYBE(x)", "ALARM(none)", "", 'OK("x") ALARM("x")'])
def test_a_rule_that_is_not_understood_is_refused(cloudwatch: Any, rule: str) -> None:
    with pytest.raises(ClientError, match=r"Validation|Parameter"):
        cloudwatch.put_composite_alarm(AlarmName=f"alarm-{uuid.uuid4().hex[:8]}", AlarmRule=rule or " ")
