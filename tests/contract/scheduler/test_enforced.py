"""EventBridge Scheduler where policies are enforced: the schedule's role decides what it may do."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.engine_harness import Engine, Queue
from tests.support.schedules import OFF, Schedules, bodies


@pytest.fixture
def schedules_of(engine: Engine) -> Iterator[Callable[..., Schedules]]:
    """Makes `Schedules` of a role; theirs are gone after the test, and the clock is right again."""
    made: list[Schedules] = []

    def schedules(*role: str) -> Schedules:
        made.append(Schedules(engine, *role))
        return made[-1]

    yield schedules
    for one in made:
        one.clean()
    made[0].clock.post(reset=True)


def role(engine: Engine, service: str, *allowed: tuple[str, str]) -> str:
    iam, name = engine.client("iam"), f"r-{uuid.uuid4().hex[:8]}"

    def document(*statements: dict[str, Any]) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})

    trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
    arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
    if allowed:
        statements = [{"Effect": "Allow", "Action": action, "Resource": resource} for action, resource in allowed]
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
    return str(arn)


def test_a_target_needs_the_right_and_so_does_the_dead_letter(
    engine: Engine, schedules_of: Callable[..., Schedules]
) -> None:
    allowed, refused, dead = Queue(engine), Queue(engine), Queue(engine)
    arn = role(engine, "scheduler.amazonaws.com", ("sqs:SendMessage", allowed.arn), ("sqs:SendMessage", dead.arn))
    schedules = schedules_of(arn)
    hour = schedules.clock.to_a_quiet_minute() + timedelta(hours=1)
    at, policy = f"at({hour:%Y-%m-%dT%H:%M:%S})", {"MaximumRetryAttempts": 1}
    sdk = "arn:aws:scheduler:::aws-sdk:sqs:sendMessage"
    for queue in (allowed, refused):
        more = {"DeadLetterConfig": {"Arn": dead.arn}, "RetryPolicy": policy}
        schedules.make(at, schedules.target(queue.arn, Input="templated", **more))
        given = json.dumps({"QueueUrl": queue.url, "MessageBody": "universal"})
        schedules.make(at, schedules.target(sdk, Input=given, **more))
    schedules.clock.move(hours=2)
    assert (sorted(bodies(allowed)), bodies(refused)) == (["templated", "universal"], [])
    found = dead.sqs.receive_message(QueueUrl=dead.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"])
    codes = [one["MessageAttributes"]["ERROR_CODE"]["StringValue"] for one in found["Messages"]]
    texts = [one["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"] for one in found["Messages"]]
    assert codes == ["AccessDenied"] * 2
    assert all("sqs:SendMessage" in text and refused.arn in text for text in texts), texts


def test_a_role_that_no_longer_trusts_delivers_nothing(engine: Engine, schedules_of: Callable[..., Schedules]) -> None:
    to = Queue(engine)
    arn = role(engine, "scheduler.amazonaws.com", ("sqs:SendMessage", to.arn))
    schedules = schedules_of(arn)
    schedules.clock.to_a_quiet_minute()
    schedules.make("cron(0 * * * ? *)", to, Input="x")
    schedules.clock.move(hours=1)
    assert bodies(to) == ["x"]
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    engine.client("iam").update_assume_role_policy(
        RoleName=arn.rsplit("/", 1)[-1], PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    schedules.clock.move(hours=1)
    assert bodies(to) == []


def test_a_role_that_is_not_there_or_is_not_for_scheduler_is_refused(engine: Engine) -> None:
    for arn in ("arn:aws:iam::000000000000:role/nosuch", role(engine, "events.amazonaws.com")):
        with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler to assume the role"):
            engine.client("scheduler").create_schedule(
                Name="x", ScheduleExpression="rate(1 day)", FlexibleTimeWindow=OFF,
                Target={"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": arn},
            )  # fmt: skip


def test_who_makes_a_schedule_needs_to_pass_its_role(engine: Engine, schedules_of: Callable[..., Schedules]) -> None:
    """Scheduler itself is the caller: one schedule makes another, with a role it may pass or may not."""
    name = uuid.uuid4().hex[:8]
    passed = role(engine, "scheduler.amazonaws.com")
    made = f"arn:aws:scheduler:us-east-1:000000000000:schedule/default/{name}-*"
    makers = (
        role(engine, "scheduler.amazonaws.com", ("scheduler:CreateSchedule", made), ("iam:PassRole", passed)),
        role(engine, "scheduler.amazonaws.com", ("scheduler:CreateSchedule", made)),
    )
    schedules = schedules_of()
    for number, maker in enumerate(makers):
        hour = schedules.clock.to_a_quiet_minute() + timedelta(hours=1)
        given = {
            "Name": f"{name}-{number}", "ScheduleExpression": "cron(0 0 1 1 ? *)", "FlexibleTimeWindow": OFF,
            "Target": {"Arn": "arn:aws:sqs:us-east-1:000000000000:q", "RoleArn": passed},
        }  # fmt: skip
        target = {"Arn": "arn:aws:scheduler:::aws-sdk:scheduler:createSchedule", "RoleArn": maker}
        schedules.make(f"at({hour:%Y-%m-%dT%H:%M:%S})", target | {"Input": json.dumps(given)})
        schedules.clock.to(hour)
    assert {one for one in schedules.names() if one.startswith(name)} == {f"{name}-0"}
    schedules.api.delete_schedule(Name=f"{name}-0")
