"""Contracts of a dataset, through the deployed stack: seen once, notified once, listed, and judged as the YAML says."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.pipeline import schema
from sluice.pipeline.check import local_catalog
from tests.support.changes import changed_contract
from tests.support.pipeline import Pipeline, Put, until

ROWS = 20


def _put(pipe: Pipeline, name: str, column: str) -> Put:
    """An object in which every second row has a column that no field names."""
    records = shipping.records("shipments", 91, ROWS)
    rows = [record | ({column: 7} if index % 2 else {}) for index, record in enumerate(records)]
    return pipe.put("shipments", formats.jsonl(rows), name)


def _notices(pipe: Pipeline, column: str) -> list[dict[str, Any]]:
    sent = pipe.mail.notices(kind="schema.drift", dataset="shipments")
    return [notice for notice in sent if column in {sight["column"] for sight in notice["sights"]}]


@pytest.fixture
def column() -> str:
    return f"seen_{uuid.uuid4().hex[:12]}"


def test_a_column_that_no_field_names_is_notified_once_and_listed(pipe: Pipeline, column: str) -> None:
    put = _put(pipe, "first.jsonl", column)
    pipe.wait(put)
    item = pipe.entry(put).item
    assert (item["rows_silver"], item["rows_quarantined"]) == (ROWS, 0)
    assert all(column not in row for row in pipe.rows(put))
    [notice] = until("the notice", lambda: _notices(pipe, column))
    assert notice["source_key"] == put.ref.key
    assert notice["attributes"] == {"dataset": "shipments", "severity": "warning", "kind": "schema.drift"}

    again = _put(pipe, "again.jsonl", column)
    pipe.send(put.message().to_json())
    pipe.wait(again)
    catalog = local_catalog()
    found = [one for one in schema.seen(pipe.stack, catalog, ["shipments"]) if one.column == column]
    assert [(one.type, one.state, one.object_id) for one in found] == [("int64", "open", put.object_id)]
    assert f"  {column}: {{ type: int64 }}" in list(schema.as_yaml(schema.proposed(found, catalog)))
    assert len(_notices(pipe, column)) == 1


def test_quarantine_rejects_the_rows_that_have_it(pipe: Pipeline, column: str) -> None:
    with changed_contract(pipe, "shipments", columns="quarantine"):
        put = _put(pipe, "quarantine.jsonl", column)
        pipe.wait(put)
    assert pipe.entry(put).number("rows_silver") == ROWS // 2
    rejected = pipe.quarantined(put)
    assert {(row["field"], row["reason"]) for row in rejected} == {(column, "unnamed_column")}
    assert all(json.loads(row["raw"])[column] == 7 for row in rejected)
    assert len(rejected) == ROWS // 2
    pipe.verified(put.ref.key)


def test_freeze_fails_the_object_by_name(pipe: Pipeline, column: str) -> None:
    with changed_contract(pipe, "shipments", columns="freeze"):
        put = _put(pipe, "freeze.jsonl", column)
        [notice] = until("the notice", lambda: pipe.mail.notices(object_id=put.object_id, kind="object.failed"))
    assert notice["reason"] == "schema_frozen"
    assert column in notice["detail"]
    assert len(pipe.receive_messages("chunk_dlq_url", lambda body: put.ref.key in body)) == 1
    assert pipe.files(put) == {}
