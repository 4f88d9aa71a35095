"""Every call that load makes is broken in four ways; tables, entities, totals and notices stay those of silver."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pytest

from fixtures import entities, formats, shipping
from sluice.pipeline.requeue import requeue
from tests.support.changes import quick_redelivery, wide_mapping
from tests.support.entities import comparable, total_entries
from tests.support.pipeline import Pipeline, Put, until
from tests.support.sweep import Outcome, RecordProperty, Scenario, assert_all_survive
from tests.support.warehouse import Warehouse

pytestmark = pytest.mark.sweep

ROWS = 60
SHIPMENTS = formats.jsonl(shipping.records("shipments", 1, ROWS, days=2))
CUSTOMERS = 10


class Loading(Scenario):
    """What both scenarios have in common: objects, and the state of their loads."""

    functions = ("load",)
    run = 1

    def __init__(self, pipe: Pipeline, warehouse: Warehouse) -> None:
        super().__init__(pipe)
        self.warehouse = warehouse
        self.puts: dict[str, Put] = {}

    def wait(self, names: Collection[str]) -> None:
        for name in names:
            put = self.puts[name]
            self.warehouse.loaded(put, self.run, deadline=300)
            until("the count in the ledger", lambda put=put: self.pipe.entry(put).item.get("loaded_run") == self.run)
        self.warehouse.idle(300)

    def loads(self, put: Put) -> dict[str, Any]:
        """The loads in the warehouse, and what the ledger says of them."""
        names = ("run", "rows", "rows_by_table", "rows_replaced", "files")
        loads = [{name: load[name] for name in names} for load in self.warehouse.loads(put)]
        item = self.pipe.entry(put).item
        return {
            "loads": loads,
            "ledger": {name: item.get(name) for name in ("loaded_run", "loaded_rows", "load_error")},
        }


class Load(Loading):
    """The rows of objects that are loaded are exchanged by a second run; nothing but its load waits for a fault."""

    branch = "load"
    run = 2

    def prepare(self, names: Sequence[str]) -> None:
        for name in names:
            self.puts[name] = self.pipe.put("shipments", SHIPMENTS, name)
        puts = [self.puts[name] for name in names]
        self.pipe.wait(*puts)
        for put in puts:
            self.warehouse.loaded(put)
        self.warehouse.idle()

    def about(self, name: str) -> list[str]:
        return [self.puts[name].object_id]

    def start(self, name: str) -> None:
        requeue(self.pipe.stack, self.puts[name].object_id)

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return [self._outcome(self.puts[name]) for name in names]

    def _outcome(self, put: Put) -> Outcome:
        lineage = ("_object_id", "_source_key", "_source_version", "_record_id")
        rows = [
            {name: value for name, value in row.items() if name not in lineage}
            for row in self.warehouse.rows(put, "shipments")
        ]
        notices = self.pipe.mail.notices(object_id=put.object_id)
        return Outcome({"rows": rows} | self.loads(put), Counter(str(notice["kind"]) for notice in notices))


class Entities(Loading):
    """Customers whose control totals differ: load writes entities, reconciles, quarantines the totals, and notifies."""

    branch = "entities"
    # Sent and not recorded as sent.
    repeats = frozenset(
        {
            ("sns", "Publish", "kill-after"),
            ("sns", "Publish", "hang"),
        }
    )

    def _prefix(self, name: str) -> str:
        return f"{self.pipe.run}-{name}"

    def _body(self, name: str) -> bytes:
        rows = entities.customers(self._prefix(name), 1, CUSTOMERS)
        return entities.as_jsonl([*rows, entities.summary(rows, record_count=CUSTOMERS + 1)])

    def about(self, name: str) -> list[str]:
        return [self.pipe.origin_of(self.pipe.key("crm", name), self._body(name)).object_id]

    def start(self, name: str) -> None:
        self.puts[name] = self.pipe.put("crm", self._body(name), name)

    def wait(self, names: Collection[str]) -> None:
        self.pipe.wait(*(self.puts[name] for name in names), deadline=300)
        super().wait(names)
        for name in names:
            until("the notice", lambda name=name: self.pipe.mail.notices(object_id=self.puts[name].object_id))

    def outcomes(self, names: Sequence[str]) -> list[Outcome]:
        return [self._outcome(name) for name in names]

    def _outcome(self, name: str) -> Outcome:
        put = self.puts[name]
        found: dict[str, Any] = dict(comparable(self.warehouse, self._prefix(name), put))
        found["totals"] = [entry["differences"] for entry in total_entries(self.pipe, put)]
        found["quarantine"] = sorted(key.replace(put.object_id, "ID") for key in self.pipe.files(put, "quarantine"))
        notices = self.pipe.mail.notices(object_id=put.object_id)
        return Outcome(found | self.loads(put), Counter(str(notice["kind"]) for notice in notices))


@pytest.fixture
def quick(breakable: Pipeline) -> Iterator[Pipeline]:
    with quick_redelivery(breakable, load_queue_url="load"), wide_mapping(breakable, "load"):
        yield breakable
        breakable.clear_faults()


def test_no_call_of_load_that_dies_leaves_the_table_different_from_silver(
    quick: Pipeline, warehouse: Warehouse, record_property: RecordProperty
) -> None:
    load = Load(quick, warehouse)
    sweep = assert_all_survive(load, record_property)
    assert {(service, operation) for _, service, operation in sweep.calls.named} == {
        ("s3", "GetObject"),
        ("dynamodb", "GetItem"),
        ("dynamodb", "Query"),
        ("dynamodb", "UpdateItem"),
    }
    assert len(sweep.expected.state["rows"]) == ROWS
    for put in load.puts.values():
        warehouse.same_as_silver(put, quick.rows(put), "shipments")


def test_no_call_that_dies_doubles_or_loses_an_entity_an_entry_or_a_notice(
    quick: Pipeline, warehouse: Warehouse, record_property: RecordProperty
) -> None:
    scenario = Entities(quick, warehouse)
    sweep = assert_all_survive(scenario, record_property)
    expected = sweep.expected
    customers = [one for one in expected.state["entities"] if '"entity_type": "customer"' in one]
    assert len(customers) == len(expected.state["history"]) == len(expected.state["time_series"]) == CUSTOMERS
    assert all('"version": 1' in one for one in customers)
    assert (len(expected.state["totals"]), expected.sent) == (1, {"control.totals": 1})
