"""``<dataset>_current``: the same names and rows in the warehouse, the API and `sluice query`, also after a replay."""

from __future__ import annotations

from typing import Any

import pytest

from fixtures import formats, shipping
from sluice.branches.api.client import Client
from sluice.pipeline import query, runs
from sluice.pipeline.requeue import requeue
from tests.support.pipeline import Pipeline, Put
from tests.support.warehouse import Warehouse

pytestmark = pytest.mark.usefixtures("api_deployed")


def put(pipe: Pipeline, name: str, *rows: tuple[int, float]) -> Put:
    """A file with shipments of this run: number and weight."""
    records = shipping.records("shipments", 3, len(rows))
    own = [
        record | {"shipment_id": f"{pipe.run}-{number}", "weight_kg": weight}
        for record, (number, weight) in zip(records, rows, strict=True)
    ]
    return pipe.put("shipments", formats.jsonl(own), name)


def everywhere(pipe: Pipeline, warehouse: Warehouse, api: Client) -> list[tuple[str, float]]:
    """The newest rows of this run's shipments, of which all three say the same."""
    where = f"WHERE shipment_id LIKE '{pipe.run}-%' ORDER BY shipment_id"
    select = f"SELECT shipment_id, weight_kg FROM shipments_current {where}"
    with query.asking(pipe.stack, select) as answer:
        in_silver = list(answer.rows)
    in_api = [(row["shipment_id"], row["weight_kg"]) for row in rows_of(api.ask("custom_query", sql=select))]
    found = warehouse.ask(select.replace("shipments_current", "silver.shipments_current").replace("%", "%%"), ())
    in_warehouse = [(row["shipment_id"], row["weight_kg"]) for row in found]
    assert in_silver == in_api == in_warehouse
    return [(str(name).removeprefix(f"{pipe.run}-"), weight) for name, weight in in_warehouse]


def rows_of(answer: Any) -> list[dict[str, Any]]:
    return list(answer.body["data"])


def test_the_newest_row_of_each_key_is_the_same_everywhere(pipe: Pipeline, warehouse: Warehouse, api: Client) -> None:
    first = put(pipe, "first.jsonl", (1, 10.0), (2, 20.0), (2, 21.0))
    pipe.wait(first)
    second = put(pipe, "second.jsonl", (1, 11.0), (3, 30.0))
    pipe.wait(second)
    for one in (first, second):
        warehouse.loaded(one)
    newest = [("1", 11.0), ("2", 21.0), ("3", 30.0)]
    assert everywhere(pipe, warehouse, api) == newest
    arrived = pipe.entry(first).item["received_at"]

    requeue(pipe.stack, first.object_id)
    pipe.wait_for_run(first, 2)
    warehouse.loaded(first, run=2)
    assert pipe.entry(first).item["received_at"] == arrived
    assert everywhere(pipe, warehouse, api) == newest, "a replay makes no row newer"
    history = runs.history(pipe.entry(first).item)
    ends = [(run["run"], run["state"], run["rows_silver"]) for run in history]
    assert ends == [(2, "committed", 3), (1, "committed", 3)]
    assert len({run["rules"] for run in history}) == 1
