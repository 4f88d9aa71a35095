"""Canonical entities as a test sees them: objects that are loaded, rows of the tables, entries about control totals."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from fixtures import entities
from sluice.pipeline.quarantine import Filter, Quarantine
from sluice.pipeline.requeue import requeue
from sluice_pipeline.events.committed import event_of
from sluice_pipeline.objects.failures import Reason
from tests.support.pipeline import Pipeline, Put, until
from tests.support.warehouse import Warehouse

COLUMNS = "canonical_id, entity_type, source_system, attributes, version, status, tier, quality_score"
_QUESTIONS = {
    "entities": f"SELECT {COLUMNS} FROM canonical.entities WHERE entity_id IN {{mine}} ORDER BY canonical_id",
    "history": "SELECT * FROM canonical.entity_history WHERE entity_id IN {mine} ORDER BY entity_id, version",
    "mappings": "SELECT * FROM canonical.mappings WHERE entity_id IN {mine} ORDER BY source_id",
    "relationships": "SELECT * FROM canonical.relationships WHERE child_id IN {mine} ORDER BY 1, 2, 3, 4",
    "time_series": "SELECT * FROM canonical.time_series WHERE entity_id IN {mine} ORDER BY 1, 2, 3",
}


def state(warehouse: Warehouse, prefix: str) -> dict[str, list[dict[str, Any]]]:
    """All rows about the entities whose ids begin with this, by table."""
    mine = "(SELECT entity_id FROM canonical.entities WHERE canonical_id LIKE %s)"
    return {
        table: warehouse.ask(question.format(mine=mine), (f"%:{prefix}%",)) for table, question in _QUESTIONS.items()
    }


def comparable(warehouse: Warehouse, prefix: str, put: Put) -> dict[str, list[str]]:
    """The same, equal for objects that differ in nothing but the prefix of their ids and when they came.

    The prefixes must be equally long."""
    names = warehouse.ask(
        "SELECT entity_id, canonical_id FROM canonical.entities WHERE canonical_id LIKE %s", (f"%:{prefix}%",)
    )
    plain = {str(one["entity_id"]): str(one["canonical_id"]) for one in names}
    plain |= {str(UUID(put.object_id)): "OBJECT", put.object_id: "OBJECT", put.ref.key: "KEY", prefix: "PREFIX"}
    found = {}
    for table, rows in state(warehouse, prefix).items():
        kept = [{name: value for name, value in row.items() if name != "received_at"} for row in rows]
        text = json.dumps([json.dumps(row, default=str, sort_keys=True) for row in kept])
        for own, word in plain.items():
            text = text.replace(own, word)
        found[table] = sorted(json.loads(text))
    return found


def total_entries(pipe: Pipeline, put: Put) -> list[dict[str, Any]]:
    """The object's entries about control totals, as `sluice quarantine show` finds them."""
    return list(Quarantine(pipe.stack).rows(Filter(reason=Reason.CONTROL_TOTALS, object_id=put.object_id)))


def settled(pipe: Pipeline, warehouse: Warehouse, put: Put, run: int = 1) -> None:
    """The run is loaded, its totals are settled, and the ledger, where that is recorded last, says so."""
    warehouse.loaded(put, run)
    until("the count in the ledger", lambda: pipe.entry(put).item.get("loaded_run") == run)


def put_and_load(pipe: Pipeline, warehouse: Warehouse, rows: list[Any], dataset: str = "crm", **options: Any) -> Put:
    put = pipe.put(dataset, entities.as_jsonl(rows), **options)
    pipe.wait(put)
    settled(pipe, warehouse, put)
    return put


def replay(pipe: Pipeline, warehouse: Warehouse, put: Put, run: int) -> None:
    requeue(pipe.stack, put.object_id)
    pipe.wait_for_run(put, run)
    settled(pipe, warehouse, put, run)


def announce(pipe: Pipeline, put: Put, run: int = 1) -> None:
    """Delivers an object's commit once more, and waits until it is dealt with."""
    body = json.dumps(event_of(put.object_id, run, put.ref.key.split("/")[1]))
    pipe.sqs.send_message(QueueUrl=pipe.stack["load_queue_url"], MessageBody=body)
    until("the load queue to be empty", lambda: pipe.depth("load_queue_url") == 0)


def entity(warehouse: Warehouse, canonical_id: str) -> dict[str, Any]:
    question = f"SELECT entity_id, {COLUMNS} FROM canonical.entities WHERE canonical_id = %s"
    [found] = warehouse.ask(question, (canonical_id,))
    return found


def customer(pipe: Pipeline, day: int = 1, number: int = 1, **changes: Any) -> dict[str, Any]:
    """A record of the CRM; what is changed to ``...`` is left out."""
    row = {
        "updated_at": f"2026-03-{day:02d}T00:00:00Z",
        "customer_id": f"{pipe.run}-c{number}",
        "customer_no": f"{pipe.run}-{number}",
        "name": "Ada",
    }
    return {name: value for name, value in (row | changes).items() if value is not ...}
