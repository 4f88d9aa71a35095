"""Control totals: what a file says of itself is compared with what was loaded; a difference is quarantined once."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fixtures import entities
from tests.support.entities import announce, put_and_load, replay, settled, state, total_entries
from tests.support.pipeline import Pipeline, Put, until
from tests.support.session import RUNNING
from tests.support.warehouse import Warehouse


def totals_of(warehouse: Warehouse, put: Put, run: int = 1) -> dict[str, Any]:
    question = "SELECT * FROM control.totals WHERE object_id = %s AND run = %s"
    [found] = warehouse.ask(question, (put.object_id, run))
    return found


def notices_of(pipe: Pipeline, put: Put) -> list[dict[str, Any]]:
    return pipe.mail.notices(object_id=put.object_id, kind="control.totals")


def test_contradictory_control_totals_are_quarantined_and_notified_once(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 5, 20)
    total = sum(Decimal(str(row["annual_revenue"])) for row in rows)
    put = put_and_load(pipe, warehouse, [*rows, entities.summary(rows, record_count=21, total_amount=0.5)])
    [entry] = total_entries(pipe, put)
    loaded = f"{total:.2f}"
    assert entry["differences"] == [
        {"field": "record_count", "what": "rows", "declared": "21", "loaded": "20"},
        {"field": "total_amount", "what": "sum of annual_revenue", "declared": "0.50", "loaded": loaded},
    ]  # fmt: skip
    assert json.loads(entry["raw"])["record_count"] == 21
    assert (entry["dataset"], entry["source_key"]) == ("crm", put.ref.key)
    [notice] = until("the notice", lambda: notices_of(pipe, put))
    assert "20 loaded" in notice["reason"]
    assert notice["attributes"] == {"dataset": "crm", "severity": "error", "kind": "control.totals"}
    announce(pipe, put)
    announce(pipe, put)
    assert len(notices_of(pipe, put)) == 1
    assert len(total_entries(pipe, put)) == 1
    assert len([one for one in state(warehouse, pipe.run)["entities"] if one["entity_type"] == "customer"]) == 20
    pipe.verified(put.ref.key)
    replay(pipe, warehouse, put, 2)
    until("the notice of the second run", lambda: len(notices_of(pipe, put)) == 2)


@pytest.mark.parametrize("place", ["first", "last"])
def test_totals_that_agree_are_silence_wherever_the_summary_stands(
    pipe: Pipeline, warehouse: Warehouse, place: str
) -> None:
    rows = entities.customers(pipe.run, 6, 20)
    summary = entities.summary(rows)
    put = put_and_load(pipe, warehouse, [summary, *rows] if place == "first" else [*rows, summary])
    assert (totals_of(warehouse, put)["summaries"], totals_of(warehouse, put)["differences"]) == (1, [])
    assert total_entries(pipe, put) == []


def test_totals_of_a_document_with_summary_and_records_are_reconciled(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 4, 10)
    document = {"summary": entities.summary(rows, record_count=9), "records": rows}
    put = pipe.put("crm", json.dumps(document, indent=1).encode(), "document.json")
    pipe.wait(put)
    settled(pipe, warehouse, put)
    [entry] = total_entries(pipe, put)
    assert entry["differences"] == [{"field": "record_count", "what": "rows", "declared": "9", "loaded": "10"}]
    pipe.verified(put.ref.key)


def test_a_file_of_many_chunks_is_reconciled_as_one(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 6, 60)
    for row in rows:
        row["profile"] = {"filling": "x" * 100_000}
    put = put_and_load(pipe, warehouse, [*rows, entities.summary(rows)])
    assert int(pipe.entry(put).item["chunk_count"]) >= 2 or RUNNING  # whose chunks are larger
    assert totals_of(warehouse, put)["differences"] == []


def test_a_missing_summary_is_no_difference_and_a_second_one_is(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 8, 5)
    none = put_and_load(pipe, warehouse, rows, name="none")
    assert (totals_of(warehouse, none)["summaries"], totals_of(warehouse, none)["differences"]) == (0, [])
    two = put_and_load(pipe, warehouse, [entities.summary(rows), *rows, entities.summary(rows)], name="two")
    [entry] = total_entries(pipe, two)
    assert entry["differences"] == [{"field": "", "what": "summaries", "declared": "1", "loaded": "2"}]


def test_rejected_rows_contradict_the_totals_until_the_object_is_right(pipe: Pipeline, warehouse: Warehouse) -> None:
    """The sender fixes the file: the same key, another content, which is another object; the first entry stays."""
    rows = entities.customers(pipe.run, 9, 5)
    bad = [*rows[:4], rows[4] | {"name": None}, entities.summary(rows)]
    put = put_and_load(pipe, warehouse, bad)
    [entry] = total_entries(pipe, put)
    assert (entry["rows_quarantined"], entry["differences"][0]["loaded"]) == (1, "4")
    fixed = put_and_load(pipe, warehouse, [*rows, entities.summary(rows)])
    assert totals_of(warehouse, fixed)["differences"] == []
    assert total_entries(pipe, fixed) == []


def test_an_entry_goes_when_a_later_run_agrees(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 10, 5)
    put = put_and_load(pipe, warehouse, [*rows, entities.summary(rows)])
    with warehouse.administrator() as administrator:
        # as if the first run had been loaded under a rule that lost a row
        administrator.execute(
            "UPDATE control.totals SET differences = '[{}]', told_at = now() WHERE object_id = %s", (put.object_id,)
        )
    pipe.s3.put_object(
        Bucket=pipe.stack["quarantine_bucket"], Key=f"quarantine/crm/{put.object_id}-totals.jsonl", Body=b""
    )
    replay(pipe, warehouse, put, 2)
    assert pipe.files(put, "quarantine") == {}
