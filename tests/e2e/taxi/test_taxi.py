"""Months of taxi trips: the same however often, replaced as a whole, looked for again, continued where they failed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fixtures.taxi import Oddities
from sluice import cli
from sluice.engine.instance import Instance
from taxi.month import Month
from tests.support.pipeline import Pipeline, until
from tests.support.spark import needs_java
from tests.support.taxi import SECONDS, Taxi, any_month, served

pytestmark = [pytest.mark.usefixtures("taxi_deployed", "glue_jobs"), pytest.mark.timeout(1800)]


@pytest.fixture
def taxi(pipe: Pipeline, instance: Instance, tmp_path: Path) -> Iterator[Taxi]:
    with served(pipe, instance, tmp_path) as found:
        yield found


@needs_java
def test_a_month_is_the_same_however_often_it_is_loaded_and_a_corrected_file_replaces_it(taxi: Taxi) -> None:
    """48 trips of the file began in another month: they are counted, and in no month at all.

    A row that is missing between two loads is found, and is there after the next.
    """
    month = any_month()
    truth = taxi.publish(month, 600, oddities=Oddities(other_month=48))
    others = taxi.others(month)
    for number in (1, 2):
        if number > 1:
            a_missing_row_is_found(taxi, month, truth.good)
        found = taxi.load(month)
        assert found.batch == f"{month}-{number}"
        assert (found.rows["raw"], found.rows["loaded"]) == (600, truth.good)
        assert found.rows["reasons"] == truth.rejected
        assert truth.rejected["other_month"] == 48
        assert taxi.count(month) == truth.good
        assert taxi.fares(month) == pytest.approx(truth.fares, abs=0.01)
        [notice] = until("the notice", lambda batch=found.batch: taxi.notices(batch))  # type: ignore[misc]
        assert (notice["kind"], notice["rows"]["loaded"]) == ("taxi.loaded", truth.good)
    corrected = taxi.publish(month, 700, seed=1)
    assert taxi.load(month).rows["loaded"] == corrected.good == taxi.count(month)
    assert taxi.fares(month) == pytest.approx(corrected.fares, abs=0.01)
    assert taxi.others(month) == others
    raw = taxi.pipe.stack.client("s3").list_objects_v2(
        Bucket=taxi.pipe.stack["taxi_bucket"], Prefix=f"raw/yellow/year={month.year}/month={month.month:02d}/"
    )
    assert raw["KeyCount"] == 2, "the same content is one file"


def a_missing_row_is_found(taxi: Taxi, month: Month, loaded: int) -> None:
    taxi.warehouse.run(
        "DELETE FROM yellow_trips WHERE load_batch = :month AND fare_amount ="
        " (SELECT MAX(fare_amount) FROM yellow_trips WHERE load_batch = :month)",
        {"month": str(month)},
    )
    left = taxi.count(month)
    assert left < loaded
    with pytest.raises(Exception, match=f"rows that load reported {loaded}, rows in the table {left}"):
        taxi.months.verify(month)


@needs_java
def test_a_month_that_is_not_published_is_looked_for_again(taxi: Taxi) -> None:
    month = any_month()
    first = taxi.start(month)
    found = taxi.ended(first)
    assert (found.status, found.outcome) == ("SUCCEEDED", "unpublished")
    assert taxi.count(month) == 0
    [notice] = until("the notice", lambda: taxi.notices(first))
    assert notice["kind"] == "taxi.unpublished"
    assert found.next_try in notice["reason"]
    scheduled = {one["name"]: one["when"] for one in taxi.months.waiting()}
    assert scheduled[first] == f"at({found.next_try.removesuffix('+00:00')})"
    truth = taxi.publish(month)
    fire(taxi, first)
    until("the next try", lambda: len(taxi.attempts(month)) == 2)
    assert taxi.ended(f"{month}-2").outcome == "loaded"
    assert taxi.count(month) == truth.good
    until("the schedule's end", lambda: first not in {one["name"] for one in taxi.months.waiting()})


def fire(taxi: Taxi, name: str) -> None:
    """A schedule's time comes: in a minute, which is skipped. A day would have every other schedule fire, too."""
    scheduler = taxi.pipe.stack.client("scheduler")
    found = scheduler.get_schedule(Name=name, GroupName=taxi.pipe.stack["taxi_schedule_group"])
    taken = ("Name", "GroupName", "FlexibleTimeWindow", "Target", "ActionAfterCompletion")
    at = datetime.now(UTC) + timedelta(seconds=taxi.clock()["moved_seconds"] + 70)
    scheduler.update_schedule(
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})", **{name: found[name] for name in taken if name in found}
    )
    taxi.move_clock(75)


def test_the_monthly_schedule_starts_the_month_two_before_its_time_once(taxi: Taxi) -> None:
    """A schedule as infra/branches/taxi makes it, whose time is skipped to; it may fire twice."""
    scheduler, stack = taxi.pipe.stack.client("scheduler"), taxi.pipe.stack
    name = f"monthly-{datetime.now(UTC):%H%M%S}"
    at = datetime.now(UTC) + timedelta(seconds=taxi.clock()["moved_seconds"] + 70)
    role = stack.client("iam").get_role(RoleName=f"{stack['taxi_function']}-schedule")["Role"]["Arn"]
    function = stack.client("lambda").get_function(FunctionName=stack["taxi_function"])["Configuration"]
    scheduler.create_schedule(
        Name=name,
        GroupName=stack["taxi_schedule_group"],
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={"Arn": function["FunctionArn"], "RoleArn": role,
                "Input": json.dumps({"scheduled_time": "<aws.scheduler.scheduled-time>"})},
    )  # fmt: skip
    month = Month.scheduled(at.isoformat(), "America/New_York")
    before = taxi.attempts(month)
    taxi.move_clock(75)
    batch = f"{month}-1"
    until("the attempt", lambda: batch in taxi.attempts(month))
    until("its first state", lambda: entered(taxi, batch))
    # The public file needs a network, and its job tries for minutes.
    stack.client("stepfunctions").stop_execution(executionArn=execution(taxi, batch))
    assert taxi.ended(batch).status in ("ABORTED", "SUCCEEDED", "FAILED")
    event = {"scheduled_time": at.isoformat()}
    again = stack.client("lambda").invoke(FunctionName=stack["taxi_function"], Payload=json.dumps(event).encode())
    assert json.load(again["Payload"])["new"] is False
    assert taxi.attempts(month) == (before or [batch])


@needs_java
def test_two_starts_at_once_are_one_attempt_and_months_are_loaded_side_by_side(taxi: Taxi) -> None:
    first = any_month()
    months = [first, first.plus(1)]
    truths = [taxi.publish(month, 300) for month in months]
    with ThreadPoolExecutor(4) as pool:
        batches = set(pool.map(taxi.start, months * 2))
    assert batches == {f"{month}-1" for month in months}
    assert [taxi.ended(batch).outcome for batch in sorted(batches)] == ["loaded"] * 2
    for month, truth in zip(months, truths, strict=True):
        assert (taxi.count(month), taxi.attempts(month)) == (truth.good, [f"{month}-1"])
        assert taxi.months.verify(month)["loaded"] == truth.good


@needs_java
def test_a_load_that_failed_leaves_the_old_month_and_goes_on_after_a_redrive(taxi: Taxi) -> None:
    month = any_month()
    old = taxi.publish(month, 300)
    taxi.load(month)
    new = taxi.publish(month, 400, seed=2)
    loader = f"{taxi.pipe.stack['taxi_function']}-load-job"
    taxi.warehouse.run(f'REVOKE INSERT ON yellow_trips FROM "IAMR:{loader}"')
    try:
        batch = taxi.start(month)
        failed = taxi.ended(batch)
    finally:
        taxi.warehouse.run(f'GRANT INSERT ON yellow_trips TO "IAMR:{loader}"')
    assert (failed.status, failed.state) == ("FAILED", "LoadRedshift")
    assert "permission denied" in failed.error
    assert taxi.count(month) == old.good, "the old month is whole"
    [notice] = until("the notice", lambda: taxi.notices(batch))
    assert (notice["kind"], notice["state"]) == ("taxi.failed", "LoadRedshift")
    taxi.months.redrive(batch)
    until("the redrive", lambda: taxi.months.get(batch).status != "FAILED", SECONDS)
    assert taxi.ended(batch).outcome == "loaded"
    assert taxi.count(month) == new.good
    assert entered(taxi, batch).count("IngestRaw") == 1, "what was done is not done again"


def execution(taxi: Taxi, batch: str) -> str:
    return f"{taxi.pipe.stack['taxi_state_machine_arn'].replace(':stateMachine:', ':execution:')}:{batch}"


def entered(taxi: Taxi, batch: str) -> list[Any]:
    client = taxi.pipe.stack.client("stepfunctions")
    pages = client.get_paginator("get_execution_history").paginate(executionArn=execution(taxi, batch))
    return [
        event["stateEnteredEventDetails"]["name"]
        for page in pages for event in page["events"] if "stateEnteredEventDetails" in event
    ]  # fmt: skip


@needs_java
def test_the_demo_accounts_for_every_trip_and_shows_the_month(
    taxi: Taxi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLUICE_HOME", str(taxi.instance.home))
    monkeypatch.delenv("COLUMNS", raising=False)
    cli.register_verbs()
    month = any_month()
    assert cli.run(["taxi", "demo", "--month", str(month), "--rows", "1000"]) == 0
    said = capsys.readouterr()
    assert "every row is accounted for" in said.err
    assert [row for row in said.out.splitlines() if row.startswith(f"{month} ")], said.out
    assert taxi.count(month) == 947
