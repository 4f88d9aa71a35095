"""Schedules in a saved state, and at the engine's end."""

from __future__ import annotations

import contextlib
import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.engine_harness import Queue, call, eventually
from tests.support.schedules import Clock, Schedules, stamp
from tests.support.state_keeper import Keeper

TIME = "<aws.scheduler.scheduled-time>"


def received(keeper: Keeper, queue: Queue) -> list[str]:
    sqs = keeper.client("sqs")
    url = sqs.get_queue_url(QueueName=queue.name)["QueueUrl"]
    found: list[str] = []
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            found.append(message["Body"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    return found


def inventory_of(keeper: Keeper, bucket: str) -> None:
    """A daily inventory, which a midnight after the restart delivers, too."""
    keeper.client("s3").create_bucket(Bucket=bucket)
    policy = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "s3:PutObject",
              "Resource": f"arn:aws:s3:::{bucket}/*"}  # fmt: skip
    keeper.client("s3").put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Statement": [policy]}))
    configuration = {
        "Id": "daily",
        "IsEnabled": True,
        "IncludedObjectVersions": "Current",
        "Schedule": {"Frequency": "Daily"},
        "Destination": {"S3BucketDestination": {"Bucket": f"arn:aws:s3:::{bucket}", "Format": "CSV"}},
    }
    keeper.client("s3").put_bucket_inventory_configuration(
        Bucket=bucket, Id="daily", InventoryConfiguration=configuration
    )


def test_schedules_groups_and_tokens_survive_with_their_next_time(keeper: Keeper) -> None:
    schedules, to = Schedules(keeper.engine), Queue(keeper.engine)
    arn = schedules.api.create_schedule_group(Name="g", Tags=[{"Key": "a", "Value": "b"}])["ScheduleGroupArn"]
    schedules.make("cron(0 0 1 1 ? *)", to, Input=TIME, Name="yearly", GroupName="g")
    schedules.make("cron(0 0 1 1 ? *)", to, Input="off", Name="off", State="DISABLED")
    schedules.make("rate(5 days)", to, Input=TIME, Name="rate")
    eventually(lambda: to.depth()[0] == 1, 30, "the rate's first")
    first = datetime.strptime(received(keeper, to)[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    before = schedules.api.get_schedule(Name="yearly", GroupName="g")
    inventory_of(keeper, "listed")
    keeper.again()
    schedules = Schedules(keeper.engine)
    after = schedules.api.get_schedule(Name="yearly", GroupName="g")
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert after == before
    assert schedules.api.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    assert received(keeper, to) == []
    schedules.clock.to(first + timedelta(days=9))
    assert received(keeper, to) == [stamp(first + timedelta(days=5))]
    lists = keeper.client("s3").list_objects_v2(Bucket="listed", Prefix="listed/daily/")["Contents"]
    assert [one["Key"] for one in lists if one["Key"].endswith("/manifest.json")]
    year = schedules.clock.now().year + 1
    schedules.api.delete_schedule(Name="rate")
    schedules.clock.to(datetime(year, 1, 1, 0, 1, tzinfo=UTC))
    assert received(keeper, to) == [f"{year}-01-01T00:00:00Z"]


def test_what_was_due_meanwhile_fires_once_and_what_was_tried_goes_on(keeper: Keeper) -> None:
    """The times are real: an engine that starts has the machine's time."""
    schedules, to, later = Schedules(keeper.engine), Queue(keeper.engine), "arn:aws:sqs:us-east-1:000000000000:later"
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=5)
    schedules.make(f"at({soon:%Y-%m-%dT%H:%M:%S})", to, Input=TIME, Name="once", ActionAfterCompletion="DELETE")
    schedules.make("rate(1 day)", schedules.target(later, Input="<aws.scheduler.attempt-number>"), Name="failing")
    keeper.save()
    keeper.engine.stop()
    eventually(lambda: datetime.now(UTC) > soon + timedelta(seconds=1), 20, "the time to pass")
    keeper.engine = keeper.start(SLUICE_STATE=str(keeper.folder))
    found: list[str] = []
    eventually(lambda: found.extend(received(keeper, to)) or stamp(soon) in found, 20, "the overdue invocation")
    assert found.count(stamp(soon)) == 1
    schedules = Schedules(keeper.engine)
    eventually(lambda: "once" not in schedules.names(), 10, "its deletion")
    url = keeper.client("sqs").create_queue(QueueName="later")["QueueUrl"]
    schedules.clock.move(minutes=30)
    (message,) = keeper.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    assert int(message["Body"]) > 1


def test_rules_keep_their_time_and_a_moved_clock_does_not(keeper: Keeper) -> None:
    events, to, clock = keeper.client("events"), Queue(keeper.engine), Clock(keeper.engine)
    clock.move(days=100)
    events.put_rule(Name="r", ScheduleExpression="rate(3 hours)")
    events.put_targets(Rule="r", Targets=[{"Id": "q", "Arn": to.arn}])
    clock.move(hours=1)
    keeper.again()
    clock = Clock(keeper.engine)
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(minutes=1)
    assert received(keeper, to) == []
    clock.move(hours=9)
    events_found: list[Any] = [json.loads(body) for body in received(keeper, to)]
    assert len(events_found) == 3


def test_the_engine_ends_at_once_with_schedules(keeper: Keeper) -> None:
    schedules = Schedules(keeper.engine)
    nowhere = schedules.target("arn:aws:sqs:us-east-1:000000000000:nowhere")
    for _ in range(20):
        schedules.make("rate(1 minute)", nowhere)
    assert keeper.engine.stop() < 5
    keeper.engine = keeper.start()


def test_a_state_that_is_saved_while_schedules_fire_has_each_time_once(keeper: Keeper) -> None:
    to, schedules = Queue(keeper.engine), Schedules(keeper.engine)
    schedules.make("cron(* * * * ? *)", to, Input=TIME)
    first = schedules.clock.now().replace(second=0, microsecond=0) + timedelta(minutes=1)

    def move() -> None:
        with contextlib.suppress(Exception):  # the engine is killed meanwhile
            call(keeper.engine, "POST", "clock", {"move_seconds": 30 * 86400})

    moving = threading.Thread(target=move)
    moving.start()
    eventually(lambda: to.depth()[0] > 50, 20, "some to fire")
    keeper.save()
    keeper.restart()
    moving.join(20)
    found = received(keeper, to)
    assert len(found) > 50
    # Scheduler's live clock may have fired the present minute, which the moved one had before.
    times = found[: len(set(found))]
    assert times == [stamp(first + timedelta(minutes=number)) for number in range(len(times))]
