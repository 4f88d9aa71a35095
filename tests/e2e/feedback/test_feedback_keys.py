"""Feedback ids and customers with separators in them: each row is one item, also one that was stored before keys were
escaped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from feedback.rows import FeedbackRows
from fixtures import feedback
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.dynamo.values import plain
from sluice_pipeline.events.committed import event_of
from tests.support.pipeline import Pipeline, Put, until


@pytest.fixture(autouse=True)
def _deployed(pipe: Pipeline) -> None:
    if pipe.stack.outputs.get("feedback_table") is None:
        pytest.skip("feedback_enabled is off")


def stored(pipe: Pipeline, put: Put) -> dict[str, dict[str, Any]]:
    """All items that came from the object, by their partition key."""
    pages = pipe.dynamodb.get_paginator("scan").paginate(
        TableName=pipe.stack["feedback_table"],
        FilterExpression="object_id = :object_id",
        ExpressionAttributeValues={":object_id": {"S": put.object_id}},
    )
    return {item["pk"]["S"]: plain(item) for page in pages for item in page["Items"]}


def announce_and_wait(pipe: Pipeline, put: Put) -> None:
    body = json.dumps(event_of(put.object_id, 1, "feedback"))
    pipe.sqs.send_message(QueueUrl=pipe.stack["feedback_queue_url"], MessageBody=body)
    until("an empty queue", lambda: pipe.depth("feedback_queue_url") == 0)


def test_rows_whose_keys_have_separators_are_items_of_their_own_and_move_from_their_former_keys(pipe: Pipeline) -> None:
    run = pipe.run
    names = (f"{run}#a#b", f"{run}\\#a#b", f"{run}\\\\#a", f"{run}#a\\#b", f"{run}-plain")
    rows = [
        row | {"feedback_id": name, "customer_id": f"{run}#c"}
        for row, name in zip(feedback.records(run, 11, len(names)), names, strict=True)
    ]
    put = pipe.put("feedback", feedback.as_jsonl(rows))
    table = Table(pipe.dynamodb, pipe.stack["feedback_table"])
    until("the rows", lambda: table.get(f"object#{put.object_id}", "object"))
    before = stored(pipe, put)
    assert sorted(item["row"]["feedback_id"] for item in before.values()) == sorted(names)
    assert before[f"row#feedback#{run}-plain"]["sk"] == f"{run}-plain"
    assert before[f"escaped-row#feedback#{run}\\#a\\#b"]["row"]["feedback_id"] == f"{run}#a#b"

    reader = FeedbackRows(pipe.dynamodb, pipe.stack["feedback_table"])
    for name in names:  # as the release before stored them
        [old] = [item for item in before.values() if item["row"]["feedback_id"] == name]
        pipe.dynamodb.delete_item(TableName=table.name, Key={"pk": {"S": old["pk"]}, "sk": {"S": old["sk"]}})
        table.put_all([old | {"pk": f"row#feedback#{name}", "sk": name}])
    assert sorted(row["feedback_id"] for row in reader.of_customer(f"{run}#c").items) == sorted(names)
    announce_and_wait(pipe, put)
    assert until("the rows under their new keys", lambda: (found := stored(pipe, put)) == before and found) == before
    assert sorted(row["feedback_id"] for row in reader.of_customer(f"{run}#c").items) == sorted(names)
