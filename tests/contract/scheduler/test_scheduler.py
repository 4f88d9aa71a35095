"""EventBridge Scheduler: what fires when, and what AWS's API answers.

https://docs.aws.amazon.com/scheduler/latest/UserGuide/what-is-scheduler.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import ROLE, Engine, Function, Queue, call, eventually
from tests.support.schedules import OFF, Schedules, bodies, decoded, stamp

TIME = "<aws.scheduler.scheduled-time>"
NOWHERE = "arn:aws:sqs:us-east-1:000000000000:nowhere"


@pytest.fixture
def schedules(engine: Engine) -> Iterator[Schedules]:
    found = Schedules(engine)
    yield found
    found.clean()
    found.clock.post(reset=True)


def refused(call_: Callable[..., Any], **request: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as raised:
        call_(**request)
    error = raised.value.response["Error"]
    return error["Code"], error["Message"]


# -- times -------------------------------------------------------------------------------------------------------------


def test_cron_fires_once_for_each_time_and_in_order(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    hour = schedules.clock.to_a_quiet_minute()
    schedules.make("cron(0,30 * * * ? *)", to, Input=TIME)
    assert schedules.clock.to(hour + timedelta(hours=3, minutes=5)) == 6
    assert bodies(to) == [stamp(hour + timedelta(minutes=30 * n)) for n in range(1, 7)]
    assert schedules.clock.move(minutes=10) == 0
    assert bodies(to) == []


def test_cron_skips_the_hour_that_clocks_leave_out_and_runs_once_in_that_which_they_repeat(
    schedules: Schedules, queue: Callable[..., Queue]
) -> None:
    to = queue()
    year = schedules.clock.now().year + 1
    march = max(datetime(year, 3, day, tzinfo=UTC) for day in range(25, 32) if datetime(year, 3, day).weekday() == 6)
    october = max(
        datetime(year, 10, day, tzinfo=UTC) for day in range(25, 32) if datetime(year, 10, day).weekday() == 6
    )
    schedules.clock.to(march - timedelta(days=1))
    schedules.make("cron(30 2 * * ? *)", to, Input=TIME, ScheduleExpressionTimezone="Europe/Berlin")
    schedules.clock.move(days=3)
    assert bodies(to) == [
        stamp(march - timedelta(days=1) + timedelta(hours=1, minutes=30)),  # 02:30, an hour ahead of UTC
        stamp(march + timedelta(days=1, minutes=30)),  # two hours ahead
    ]
    schedules.clock.to(october)
    bodies(to)
    schedules.clock.move(days=2)
    assert bodies(to) == [
        stamp(october + timedelta(minutes=30)),
        stamp(october + timedelta(days=1, hours=1, minutes=30)),
    ]


def test_a_rate_without_a_start_begins_at_once(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    schedules.clock.to_a_quiet_minute()
    name = schedules.make("rate(2 hours)", to, Input=TIME)
    eventually(lambda: to.depth() == (1, 0), 10, "the first invocation")
    made = schedules.api.get_schedule(Name=name)["CreationDate"]
    schedules.clock.move(hours=5)
    assert bodies(to) == [stamp(made + timedelta(hours=2 * n)) for n in range(3)]


def test_a_rate_has_a_start_and_an_end(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    hour = schedules.clock.to_a_quiet_minute()
    start, end = hour + timedelta(hours=2), hour + timedelta(hours=5)
    name = schedules.make("rate(1 hour)", to, Input=TIME, StartDate=start, EndDate=end, ActionAfterCompletion="DELETE")
    shown = schedules.api.get_schedule(Name=name)
    assert (shown["StartDate"], shown["EndDate"], shown["ActionAfterCompletion"]) == (start, end, "DELETE")
    schedules.clock.to(start + timedelta(hours=1, minutes=1))
    assert bodies(to) == [stamp(start), stamp(start + timedelta(hours=1))]
    assert name in schedules.names()
    schedules.clock.move(days=2)
    assert bodies(to) == [stamp(start + timedelta(hours=2)), stamp(end)]
    assert name not in schedules.names()


def test_a_one_time_schedule_fires_once_and_stays_or_is_deleted(
    schedules: Schedules, queue: Callable[..., Queue]
) -> None:
    to = queue()
    hour = schedules.clock.to_a_quiet_minute()
    at = f"at({hour + timedelta(hours=1):%Y-%m-%dT%H:%M:%S})"
    kept = schedules.make(at, to, Input="kept")
    gone = schedules.make(at, to, Input="gone", ActionAfterCompletion="DELETE")
    # New York is four or five hours behind: its clocks show that time later.
    later = schedules.make(at, to, Input="later", ScheduleExpressionTimezone="America/New_York")
    schedules.clock.move(hours=1)
    assert sorted(bodies(to)) == ["gone", "kept"]
    schedules.clock.move(days=400)
    assert bodies(to) == ["later"]
    assert schedules.names() & {kept, gone, later} == {kept, later}
    assert schedules.api.get_schedule(Name=kept)["State"] == "ENABLED"


def test_a_one_time_schedule_of_the_past_is_stored_and_never_fires(
    schedules: Schedules, queue: Callable[..., Queue]
) -> None:
    """https://docs.aws.amazon.com/scheduler/latest/APIReference/API_CreateSchedule.html"""
    to = queue()
    name = schedules.make("at(2020-01-01T00:00:00)", to)
    schedules.clock.move(hours=2)
    assert bodies(to) == []
    assert name in schedules.names()


def test_a_disabled_schedule_delivers_nothing(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    hour = schedules.clock.to_a_quiet_minute()
    name = schedules.make("cron(0 * * * ? *)", to, Input=TIME, State="DISABLED")
    schedules.clock.move(hours=2)
    assert bodies(to) == []
    request = {"Name": name, "ScheduleExpression": "cron(0 * * * ? *)", "FlexibleTimeWindow": OFF}
    target = schedules.target(to.arn, Input=TIME)
    schedules.api.update_schedule(**request, Target=target)  # without a state it is enabled
    schedules.clock.move(hours=2)
    assert bodies(to) == [stamp(hour + timedelta(hours=3)), stamp(hour + timedelta(hours=4))]
    schedules.api.update_schedule(**request, Target=target, State="DISABLED")
    schedules.clock.move(hours=2)
    assert bodies(to) == []


def test_an_update_replaces_everything_that_is_not_given(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    first, second = queue(), queue()
    schedules.clock.to_a_quiet_minute()
    name = schedules.make(
        "cron(0 * * * ? *)", first, Input="x", Description="d", ScheduleExpressionTimezone="Asia/Tokyo",
        ActionAfterCompletion="DELETE", EndDate=schedules.clock.now() + timedelta(days=9),
    )  # fmt: skip
    before = schedules.api.get_schedule(Name=name)
    schedules.api.update_schedule(
        Name=name, ScheduleExpression="cron(30 * * * ? *)", FlexibleTimeWindow=OFF, Target=schedules.target(second.arn)
    )
    after = schedules.api.get_schedule(Name=name)
    assert {"Description", "EndDate"}.isdisjoint(after)
    assert (after["ScheduleExpressionTimezone"], after["ActionAfterCompletion"]) == ("UTC", "NONE")
    assert after["CreationDate"] == before["CreationDate"] < after["LastModificationDate"]
    assert "Input" not in after["Target"]
    schedules.clock.move(hours=1)
    assert (len(bodies(first)), len(bodies(second))) == (0, 1)


def test_a_flexible_window_delays_within_its_minutes(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    hour = schedules.clock.to_a_quiet_minute()
    schedules.make(
        "cron(0 * * * ? *)", to, Input=TIME, FlexibleTimeWindow={"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 30}
    )
    schedules.clock.to(hour + timedelta(hours=1, minutes=30))
    assert bodies(to) == [stamp(hour + timedelta(hours=1))]
    schedules.clock.to(hour + timedelta(hours=24, minutes=30))
    assert sorted(bodies(to)) == [stamp(hour + timedelta(hours=n)) for n in range(2, 25)]


# -- failures ----------------------------------------------------------------------------------------------------------


def failed(of: Queue) -> list[tuple[str, dict[str, str]]]:
    """Bodies and attributes of the messages in a dead-letter queue."""
    found = of.sqs.receive_message(QueueUrl=of.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    return [
        (one["Body"], {name: value["StringValue"] for name, value in one["MessageAttributes"].items()})
        for one in found.get("Messages", [])
    ]


def test_a_failed_invocation_is_tried_again_and_becomes_a_dead_letter(
    schedules: Schedules, queue: Callable[..., Queue]
) -> None:
    dead = queue()
    hour = schedules.clock.to_a_quiet_minute()
    target = schedules.target(
        NOWHERE, Input="<aws.scheduler.attempt-number>", DeadLetterConfig={"Arn": dead.arn},
        RetryPolicy={"MaximumRetryAttempts": 2, "MaximumEventAgeInSeconds": 3600},
    )  # fmt: skip
    group = f"g-{uuid.uuid4().hex[:8]}"
    schedules.api.create_schedule_group(Name=group)
    at = f"at({hour + timedelta(hours=1):%Y-%m-%dT%H:%M:%S})"
    name = schedules.make(at, target, GroupName=group, ActionAfterCompletion="DELETE")
    schedules.clock.to(hour + timedelta(hours=1))
    assert failed(dead) == []
    assert schedules.api.get_schedule(Name=name, GroupName=group)["Name"] == name
    schedules.clock.move(minutes=1)
    ((body, attributes),) = failed(dead)
    number = attributes.pop("EXECUTION_ID")
    assert str(uuid.UUID(number)) == number
    assert attributes.pop("ERROR_MESSAGE")
    assert (body, attributes) == (
        "3",
        {
            "ERROR_CODE": "AWS.SimpleQueueService.NonExistentQueue",
            "EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts",
            "IS_PAYLOAD_TRUNCATED": "false",
            "RETRY_ATTEMPTS": "2",
            "SCHEDULED_TIME": stamp(hour + timedelta(hours=1)),
            "SCHEDULE_ARN": f"arn:aws:scheduler:us-east-1:000000000000:schedule/{group}/{name}",
            "TARGET_ARN": NOWHERE,
        },
    )
    assert refused(schedules.api.get_schedule, Name=name, GroupName=group)[0] == "ResourceNotFoundException"
    counted = {
        metric: schedules.engine.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/Scheduler", MetricName=metric, Dimensions=[{"Name": "ScheduleGroup", "Value": group}],
            StartTime=datetime.now(UTC) - timedelta(hours=1), EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=86400, Statistics=["Sum"],
        )["Datapoints"]
        for metric in (
            "InvocationAttemptCount", "TargetErrorCount", "InvocationDroppedCount", "InvocationsSentToDeadLetterCount",
        )
    }  # fmt: skip
    assert {name: sum(one["Sum"] for one in points) for name, points in counted.items()} == {
        "InvocationAttemptCount": 3, "TargetErrorCount": 3, "InvocationDroppedCount": 1,
        "InvocationsSentToDeadLetterCount": 1,
    }  # fmt: skip


def test_an_invocation_that_is_too_old_is_not_tried_again(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    dead = queue()
    hour = schedules.clock.to_a_quiet_minute()
    target = schedules.target(
        NOWHERE, Input="x", DeadLetterConfig={"Arn": dead.arn}, RetryPolicy={"MaximumEventAgeInSeconds": 60}
    )
    schedules.make(f"at({hour + timedelta(hours=1):%Y-%m-%dT%H:%M:%S})", target)
    schedules.clock.to(hour + timedelta(hours=1, seconds=59))
    ((_body, attributes),) = failed(dead)
    # After 1, 2, 4, 8 and 16 s; the next would be after 63 s.
    assert (attributes["EXHAUSTED_RETRY_CONDITION"], attributes["RETRY_ATTEMPTS"]) == ("MaximumEventAgeInSeconds", "5")


def test_a_target_that_comes_back_gets_what_waited(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    hour = schedules.clock.to_a_quiet_minute()
    name = f"q-{uuid.uuid4().hex[:8]}"
    schedules.make(
        f"at({hour + timedelta(hours=1):%Y-%m-%dT%H:%M:%S})",
        schedules.target(NOWHERE.replace("nowhere", name), Input="x <aws.scheduler.attempt-number>"),
    )
    schedules.clock.to(hour + timedelta(hours=1))
    sqs = schedules.engine.client("sqs")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    schedules.clock.move(hours=1)
    (message,) = sqs.receive_message(QueueUrl=url)["Messages"]
    assert message["Body"] == "x 2"


# -- targets -----------------------------------------------------------------------------------------------------------


def soon(schedules: Schedules, target: dict[str, Any], **more: Any) -> datetime:
    """A schedule that fires in the next hour, and has fired; the time."""
    hour = schedules.clock.to_a_quiet_minute() + timedelta(hours=1)
    schedules.make(f"at({hour:%Y-%m-%dT%H:%M:%S})", target, **more)
    schedules.clock.to(hour)
    return hour


def test_a_function_is_invoked_without_waiting_for_it(schedules: Schedules, function: Callable[..., Function]) -> None:
    code = "def handler(event, context):\n    print('got', event['n'])"
    to = function(code)
    soon(schedules, schedules.target(to.arn, Input='{"n": 7}'))
    eventually(lambda: "got 7" in to.log(), 20, "the function's log")


def test_without_an_input_there_is_an_event(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    at = soon(schedules, schedules.target(to.arn), Name=(name := f"s-{uuid.uuid4().hex[:8]}"))
    (event,) = decoded(to)
    assert event.pop("id")
    assert event == {
        "version": "0", "detail-type": "Scheduled Event", "source": "aws.scheduler", "account": "000000000000",
        "time": stamp(at), "region": "us-east-1", "detail": "{}",
        "resources": [f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}"],
    }  # fmt: skip


def test_a_topic_a_bus_and_a_fifo_queue(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    heard, ruled = queue(), queue()
    sns, events = schedules.engine.client("sns"), schedules.engine.client("events")
    topic = sns.create_topic(Name=f"t-{uuid.uuid4().hex[:8]}")["TopicArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=heard.arn, Attributes={"RawMessageDelivery": "true"})
    soon(schedules, schedules.target(topic, Input="news"))
    eventually(lambda: bodies(heard) == ["news"], 20, "the topic's message")
    bus = f"bus-{uuid.uuid4().hex[:8]}"
    arn = events.create_event_bus(Name=bus)["EventBusArn"]
    events.put_rule(Name="all", EventBusName=bus, EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "q", "Arn": ruled.arn}])
    named = {"EventBridgeParameters": {"DetailType": "paid", "Source": "shop"}}
    soon(schedules, schedules.target(arn, Input='{"n": 1}', **named))
    found: list[Any] = []
    eventually(lambda: found.extend(decoded(ruled)) or found, 20, "the bus's event")
    assert [(one["detail-type"], one["detail"]) for one in found] == [("paid", {"n": 1})]
    sqs = schedules.engine.client("sqs")
    url = sqs.create_queue(
        QueueName=f"q-{uuid.uuid4().hex[:8]}.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
    )["QueueUrl"]
    fifo = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    hour = schedules.clock.to_a_quiet_minute()
    schedules.make("cron(0 * * * ? *)", schedules.target(fifo, Input=TIME, SqsParameters={"MessageGroupId": "g"}))
    schedules.clock.move(hours=3)
    messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"])[
        "Messages"
    ]
    assert [one["Body"] for one in messages] == [stamp(hour + timedelta(hours=n)) for n in (1, 2, 3)]
    assert {one["Attributes"]["MessageGroupId"] for one in messages} == {"g"}


def machine(schedules: Schedules) -> str:
    definition = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}
    states = schedules.engine.client("stepfunctions")
    return str(
        states.create_state_machine(name=f"m-{uuid.uuid4().hex[:8]}", definition=json.dumps(definition), roleArn=ROLE)[
            "stateMachineArn"
        ]
    )


@pytest.mark.parametrize("kind", ["templated", "universal"])
def test_an_execution_is_started(schedules: Schedules, kind: str) -> None:
    arn, states = machine(schedules), schedules.engine.client("stepfunctions")
    if kind == "templated":
        at = soon(schedules, schedules.target(arn, Input=json.dumps({"at": TIME})))
    else:
        given = {"StateMachineArn": arn, "Name": "run-<aws.scheduler.execution-id>", "Input": json.dumps({"at": TIME})}
        target = "arn:aws:scheduler:::aws-sdk:sfn:startExecution"
        at = soon(schedules, schedules.target(target, Input=json.dumps(given)))
    (execution,) = eventually(lambda: states.list_executions(stateMachineArn=arn)["executions"], 10, "the execution")
    found = states.describe_execution(executionArn=execution["executionArn"])
    assert json.loads(found["input"]) == {"at": stamp(at)}
    assert found["name"].startswith("run-") == (kind == "universal")


def test_a_universal_target_calls_any_action(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    to = queue()
    given = {"QueueUrl": to.url, "MessageBody": "<aws.scheduler.schedule-arn> <aws.scheduler.attempt-number>"}
    name = f"s-{uuid.uuid4().hex[:8]}"
    target = schedules.target("arn:aws:scheduler:::aws-sdk:sqs:sendMessage", Input=json.dumps(given))
    soon(schedules, target, Name=name)
    assert bodies(to) == [f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name} 1"]


# -- the API -----------------------------------------------------------------------------------------------------------

SDK = "arn:aws:scheduler:::aws-sdk:"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Name": "a b"}, "1 validation error detected: Value 'a b' at 'name' failed to satisfy constraint: Member must"
         " satisfy regular expression pattern: ^[0-9a-zA-Z-_.]+$"),
        ({"Name": "a\n"}, "Member must satisfy regular expression pattern"),
        ({"Name": "n" * 65}, "'name' failed to satisfy constraint: Member must have length less than or equal to 64"),
        ({"State": "ON"}, "Value 'ON' at 'state' failed to satisfy constraint: Member must satisfy enum value set: "
         "[ENABLED, DISABLED]"),
        ({"Name": "a b", "State": "ON"}, "2 validation errors detected: "),
        ({"ActionAfterCompletion": "STOP"}, "enum value set: [NONE, DELETE]"),
        ({"Description": "d" * 513}, "less than or equal to 512"),
        *[({"ScheduleExpression": text}, f"Invalid Schedule Expression {text}.") for text in (
            "cron(0 12 * * * *)", "cron(0 12 ? * ? *)", "cron(60 12 * * ? *)", "cron(0 24 * * ? *)", "cron(0 1 * * ?)",
            "cron(0 1 32 * ? *)", "cron(0 1 ? * 8 *)", "cron(0 1 ? * MON#6 *)", "cron(0 1 * * ? 1969)", "cron()",
            "rate(0 minutes)", "rate(-1 minutes)", "rate(1.5 hours)", "rate(10 seconds)", "rate(10 minutess)", "rate()",
            "rate(5  minutes)", "at(2030-01-01)", "at(2030-02-30T00:00:00)", "at(2030-01-01T00:00:00Z)", "every day",
        )],
        ({"ScheduleExpressionTimezone": "Mars/Olympus"}, "Invalid ScheduleExpressionTimezone."),
        ({"ScheduleExpressionTimezone": "../UTC"}, "Invalid ScheduleExpressionTimezone."),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE"}}, "MaximumWindowInMinutes is required"),
        ({"FlexibleTimeWindow": {"Mode": "OFF", "MaximumWindowInMinutes": 5}}, "must not be specified"),
        ({"FlexibleTimeWindow": {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1441}}, "less than or equal to 1440"),
        ({"StartDate": datetime(2020, 1, 1, tzinfo=UTC)}, "The StartDate you specify cannot be earlier than 5 minutes"),
        ({"EndDate": datetime(2020, 1, 1, tzinfo=UTC)}, "The EndDate you specify cannot be earlier than now."),
        ({"StartDate": datetime(2090, 1, 2, tzinfo=UTC), "EndDate": datetime(2090, 1, 1, tzinfo=UTC)},
         "The EndDate you specify must come after the StartDate."),
        ({"ClientToken": "a b"}, "at 'clientToken' failed to satisfy constraint"),
    ],
)  # fmt: skip
def test_wrong_schedules_are_refused(schedules: Schedules, change: dict[str, Any], message: str) -> None:
    given = {"Name": "wrong", "ScheduleExpression": "cron(0 12 * * ? *)", "FlexibleTimeWindow": OFF}
    code, said = refused(schedules.api.create_schedule, **(given | {"Target": schedules.target(NOWHERE)} | change))
    assert code == "ValidationException"
    assert message in said
    assert "wrong" not in schedules.names()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"Arn": "nowhere"}, "Provided Arn is not in correct format."),
        ({"Arn": "arn:aws:s3:::bucket"}, "Provided Arn is not in correct format."),
        ({"Arn": "arn:aws:lambda:us-east-1:000000000000:layer:x"}, "Provided Arn is not in correct format."),
        ({"Arn": SDK + "sqs"}, "Provided Arn is not in correct format."),
        ({"Arn": SDK + "sqs:receiveMessage", "Input": "{}"}, "read-only"),
        ({"Arn": SDK + "sqs:sendMesage", "Input": "{}"}, "not supported"),
        ({"Arn": SDK + "nosuch:doIt", "Input": "{}"}, "not supported"),
        ({"Arn": SDK + "sqs:sendMessage", "Input": "{"}, "Invalid RequestJson provided."),
        ({"Arn": SDK + "sqs:sendMessage", "Input": "[]"}, "Invalid RequestJson provided."),
        ({"Arn": SDK + "sqs:sendMessage", "Input": '{"QueueUrl": "q"}'}, "Invalid RequestJson provided."),
        ({"Arn": "arn:aws:events:us-east-1:000000000000:event-bus/b"}, "EventBridgeParameters is required"),
        ({"SqsParameters": {"MessageGroupId": "g"}}, "FIFO"),
        ({"DeadLetterConfig": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q.fifo"}}, "deadLetterConfig"),
        ({"DeadLetterConfig": {"Arn": "arn:aws:sns:us-east-1:000000000000:q"}}, "'target.deadLetterConfig.arn'"),
        ({"RoleArn": "nosuch"}, "at 'target.roleArn' failed to satisfy constraint"),
        ({"RetryPolicy": {"MaximumRetryAttempts": 186}}, "less than or equal to 185"),
        ({"RetryPolicy": {"MaximumEventAgeInSeconds": 86401}}, "less than or equal to 86400"),
    ],
)
def test_wrong_targets_are_refused(schedules: Schedules, change: dict[str, Any], message: str) -> None:
    given = {"Name": "wrong", "ScheduleExpression": "cron(0 12 * * ? *)", "FlexibleTimeWindow": OFF}
    code, said = refused(schedules.api.create_schedule, **given, Target=schedules.target(NOWHERE) | change)
    assert code == "ValidationException"
    assert message in said


def document(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def test_a_role_that_does_not_trust_scheduler_is_refused(schedules: Schedules) -> None:
    iam, name = schedules.engine.client("iam"), f"r-{uuid.uuid4().hex[:8]}"
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    given: dict[str, Any] = {
        "Name": name, "ScheduleExpression": "cron(0 12 * * ? *)", "FlexibleTimeWindow": OFF,
        "Target": {"Arn": NOWHERE, "RoleArn": arn},
    }  # fmt: skip
    said = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
    assert refused(schedules.api.create_schedule, **given) == ("ValidationException", said)
    trust["Principal"] = {"Service": "scheduler.amazonaws.com"}
    trust["Condition"] = {"StringEquals": {
        "aws:SourceAccount": "000000000000",
        "aws:SourceArn": "arn:aws:scheduler:us-east-1:000000000000:schedule-group/default",
    }}  # type: ignore[assignment] # fmt: skip
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=document(trust))
    schedules.api.create_schedule(**given)
    schedules.api.delete_schedule(Name=name)


def test_names_that_exist_and_that_do_not(schedules: Schedules) -> None:
    target = schedules.target(NOWHERE)
    name = schedules.make("cron(0 12 * * ? *)", target)
    given = {"ScheduleExpression": "cron(0 12 * * ? *)", "FlexibleTimeWindow": OFF, "Target": target}
    api = schedules.api
    assert refused(api.create_schedule, Name=name, **given) == (
        "ConflictException", f"Schedule {name} already exists.",
    )  # fmt: skip
    for request in (api.get_schedule, api.delete_schedule):
        assert refused(request, Name="nosuch") == ("ResourceNotFoundException", "Schedule nosuch does not exist.")
        assert refused(request, Name=name, GroupName="nosuch") == (
            "ResourceNotFoundException", "Schedule group nosuch does not exist.",
        )  # fmt: skip
    assert refused(api.update_schedule, Name="nosuch", **given)[0] == "ResourceNotFoundException"
    assert refused(api.create_schedule, Name="x", GroupName="nosuch", **given)[0] == "ResourceNotFoundException"
    assert refused(api.list_schedules, GroupName="nosuch")[0] == "ResourceNotFoundException"
    assert api.get_schedule(Name=name)["Arn"] == f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}"
    api.delete_schedule(Name=name)
    assert refused(api.delete_schedule, Name=name)[0] == "ResourceNotFoundException"


def test_a_client_token_makes_one_schedule(schedules: Schedules) -> None:
    target, token = schedules.target(NOWHERE), uuid.uuid4().hex
    given: dict[str, Any] = {"ScheduleExpression": "cron(0 12 * * ? *)", "FlexibleTimeWindow": OFF, "Target": target}
    name = f"s-{uuid.uuid4().hex[:8]}"
    first = schedules.api.create_schedule(Name=name, ClientToken=token, **given)["ScheduleArn"]
    assert schedules.api.create_schedule(Name=name, ClientToken=token, **given)["ScheduleArn"] == first
    assert refused(schedules.api.create_schedule, Name="other", ClientToken=token, **given)[0] == "ConflictException"
    assert refused(schedules.api.create_schedule, Name=name, **given)[0] == "ConflictException"
    schedules.api.delete_schedule(Name=name)


def test_lists_have_pages_and_filters(schedules: Schedules) -> None:
    target, prefix = schedules.target(NOWHERE), f"l{uuid.uuid4().hex[:8]}-"
    for number in range(5):
        state = "DISABLED" if number == 3 else "ENABLED"
        schedules.make("cron(0 12 * * ? *)", target, Name=f"{prefix}{number}", State=state)
    pages = [
        [one["Name"] for one in page["Schedules"]]
        for page in schedules.api.get_paginator("list_schedules").paginate(
            NamePrefix=prefix, PaginationConfig={"PageSize": 2}
        )
    ]
    assert pages == [[f"{prefix}0", f"{prefix}1"], [f"{prefix}2", f"{prefix}3"], [f"{prefix}4"]]
    (off,) = schedules.api.list_schedules(NamePrefix=prefix, State="DISABLED")["Schedules"]
    assert {"Arn", "Name", "GroupName", "State", "CreationDate", "LastModificationDate", "Target"} == set(off)
    assert (off["Name"], off["Target"]) == (f"{prefix}3", {"Arn": NOWHERE})
    assert refused(schedules.api.list_schedules, NextToken="nosuch")[0] == "ValidationException"
    assert refused(schedules.api.list_schedules, MaxResults=101)[0] == "ValidationException"


def test_a_group_is_deleted_with_its_schedules(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    api, name, to = schedules.api, f"g-{uuid.uuid4().hex[:8]}", queue()
    arn = api.create_schedule_group(Name=name, Tags=[{"Key": "a", "Value": "1"}])["ScheduleGroupArn"]
    assert arn == f"arn:aws:scheduler:us-east-1:000000000000:schedule-group/{name}"
    assert refused(api.create_schedule_group, Name=name)[0] == "ConflictException"
    assert api.get_schedule_group(Name=name)["State"] == "ACTIVE"
    api.tag_resource(ResourceArn=arn, Tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    api.untag_resource(ResourceArn=arn, TagKeys=["b", "nosuch"])
    assert api.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "3"}]
    schedules.clock.to_a_quiet_minute()
    schedules.make("cron(0 * * * ? *)", to, GroupName=name, Name="same")
    schedules.make("cron(0 * * * ? *)", to, Name="same")
    schedules.clock.move(hours=1)
    assert len(bodies(to)) == 2
    api.delete_schedule_group(Name=name)

    def gone() -> bool:
        try:
            return bool(api.get_schedule_group(Name=name)["State"] != "DELETING")
        except api.exceptions.ResourceNotFoundException:
            return True

    eventually(gone, 10, "the group's end")
    assert refused(api.get_schedule, Name="same", GroupName=name)[0] == "ResourceNotFoundException"
    schedules.clock.move(hours=1)
    assert len(bodies(to)) == 1
    assert refused(api.delete_schedule_group, Name="default")[0] == "ValidationException"
    assert refused(api.delete_schedule_group, Name=name)[0] == "ResourceNotFoundException"
    assert refused(api.list_tags_for_resource, ResourceArn=arn)[0] == "ResourceNotFoundException"
    assert [one["Name"] for one in api.list_schedule_groups(NamePrefix="default")["ScheduleGroups"]] == ["default"]


# -- the clock ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"move_seconds": -1}, 409),
        ({"at": "2020-01-01T00:00:00Z"}, 409),
        ({"at": "tomorrow"}, 400),
        ({"at": 7}, 400),
        ({"move_seconds": "7"}, 400),
        ({"move_seconds": 1e300}, 400),
        ({"move_seconds": 400_000_000}, 400),
        ({"at": "9999-12-31T23:59:59Z"}, 400),
        ({"move_seconds": True}, 400),
        ({"reset": False}, 400),
        ({"move_seconds": 1, "reset": True}, 400),
        ({}, 400),
        ([], 400),
        ("x", 400),
    ],
)
def test_time_goes_forwards_only(engine: Engine, body: Any, status: int) -> None:
    found, answer = call(engine, "POST", "clock", body)
    assert (found, list(answer)) == (status, ["error"])
    assert call(engine, "GET", "clock")[1]["moved_seconds"] == 0


def test_rules_of_eventbridge_follow_the_clock(schedules: Schedules, queue: Callable[..., Queue]) -> None:
    events, crons, rates = schedules.engine.client("events"), queue(), queue()
    hour = schedules.clock.to_a_quiet_minute()
    day = hour.date() + timedelta(days=1)
    number = uuid.uuid4().hex[:8]
    names = {f"cron-{number}": (crons, f"cron(15 6 ? * {day.isoweekday() % 7 + 1} *)"),
             f"rate-{number}": (rates, "rate(7 minutes)")}  # fmt: skip
    for name, (to, expression) in names.items():
        events.put_rule(Name=name, ScheduleExpression=expression)
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": to.arn}])
    assert schedules.clock.move(minutes=21, seconds=30) == 3
    assert len(decoded(rates)) == 3
    schedules.clock.to(datetime(day.year, day.month, day.day, 23, tzinfo=UTC))
    (event,) = decoded(crons)
    assert event["time"] == f"{day}T06:15:00Z"
    for name in names:
        events.remove_targets(Rule=name, Ids=["q"])
        events.delete_rule(Name=name)
    for wrong in ("at(2030-01-01T00:00:00)", "cron(0 12 * * * *)", "rate(1 minutes)"):
        assert refused(events.put_rule, Name="wrong", ScheduleExpression=wrong)[0] == "ValidationException"
