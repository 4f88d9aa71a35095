"""Check-in ids and users with separators in them: each row is one item, also one that was stored before keys were
escaped."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

import pytest

from checkins.request import Request, prefix_of
from checkins.rows import Checkins
from fixtures import checkins
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain
from tests.support.pipeline import Pipeline, until


@pytest.fixture(autouse=True)
def _deployed(pipe: Pipeline) -> None:
    if pipe.stack.outputs.get("checkins_table") is None:
        pytest.skip("checkin_enabled is off")


def run(pipe: Pipeline, wanted: Request) -> str:
    """The status in which a run of the workflow ends."""
    workflows, machine = pipe.stack.client("stepfunctions"), pipe.stack["checkins_state_machine_arn"]
    workflows.start_execution(stateMachineArn=machine, name=wanted.name, input=wanted.canonical)
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:{wanted.name}"
    status = lambda: workflows.describe_execution(executionArn=arn)["status"]  # noqa: E731
    until(f"the end of {wanted.name}", lambda: status() != "RUNNING")
    return str(status())


def stored(pipe: Pipeline, object_id: str) -> dict[str, dict[str, Any]]:
    """All items that came from the object, by their partition key."""
    pages = pipe.dynamodb.get_paginator("scan").paginate(
        TableName=pipe.stack["checkins_table"],
        FilterExpression="object_id = :object_id",
        ExpressionAttributeValues={":object_id": {"S": object_id}},
    )
    return {item["pk"]["S"]: plain(item) for page in pages for item in page["Items"]}


def test_rows_whose_keys_have_separators_are_items_of_their_own_and_move_from_their_former_keys(pipe: Pipeline) -> None:
    day = (date(1900, 1, 1) + timedelta(days=random.randrange(36_000))).isoformat()
    names = (f"{pipe.run}#a#b", f"{pipe.run}\\#a#b", f"{pipe.run}\\\\#a", f"{pipe.run}-plain")
    rows = [
        row | {"checkin_id": name, "user_id": f"{pipe.run}#u"}
        for row, name in zip(checkins.records(pipe.run, 11, len(names), day, users=1), names, strict=True)
    ]
    file = pipe.put_key(f"{prefix_of('checkins', day)}{pipe.run}-keys.csv", checkins.as_csv(rows))
    wanted = {"day": day, "dataset": "checkins", "key": file.ref.key, "object_id": file.object_id}
    assert run(pipe, Request.parse(wanted)) == "SUCCEEDED"
    before = stored(pipe, file.object_id)
    assert sorted(item["row"]["checkin_id"] for item in before.values()) == sorted(names)
    assert before[f"escaped-row#checkins#{pipe.run}\\#a\\#b"]["row"]["checkin_id"] == f"{pipe.run}#a#b"

    table = Table(pipe.dynamodb, pipe.stack["checkins_table"])
    reader = Checkins(pipe.dynamodb, table.name)
    for old in before.values():  # as the release before stored them
        name = old["row"]["checkin_id"]
        pipe.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": old["pk"]}, "sk": {"S": old["sk"]}})
        table.put_all([old | {"pk": f"row#checkins#{name}", "sk": name}])
    assert sorted(row["checkin_id"] for row in reader.of_user(f"{pipe.run}#u").items) == sorted(names)
    assert run(pipe, Request.parse(wanted | {"id": "again"})) == "SUCCEEDED"
    assert stored(pipe, file.object_id) == before
    assert sorted(row["checkin_id"] for row in reader.of_user(f"{pipe.run}#u").items) == sorted(names)
