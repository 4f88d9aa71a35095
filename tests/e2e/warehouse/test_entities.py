"""Canonical entities: records of several systems become one thing each, whatever is repeated, late or hostile."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from fixtures import entities
from sluice_pipeline.objects.failures import Reason
from tests.support.entities import announce, customer, entity, put_and_load, replay, settled, state
from tests.support.pipeline import Pipeline
from tests.support.warehouse import Warehouse

# -- rows become entities ----------------------------------------------------------------------------------------------


def test_each_record_is_an_entity_with_attributes_tier_score_relationship_and_point(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    rows = entities.customers(pipe.run, 7, 300)
    rows[3] |= {"email": " ", "country": None}
    put_and_load(pipe, warehouse, [*rows, entities.summary(rows)])
    found = state(warehouse, pipe.run)
    customers = {one["canonical_id"]: one for one in found["entities"] if one["entity_type"] == "customer"}
    accounts = {one["canonical_id"]: one for one in found["entities"] if one["entity_type"] == "account"}
    assert len(customers) == 300
    assert sorted(accounts) == [f"crm:account:{pipe.run}-a{n:02d}" for n in range(100)]
    assert {(one["version"], one["status"]) for one in accounts.values()} == {(0, "placeholder")}
    for number, row in enumerate(rows):
        one = customers[f"customer:{row['customer_no']}"]
        names = ("name", "email", "country", "annual_revenue", "profile")
        assert one["attributes"] == {name: row[name] for name in names if row[name] is not None}
        assert (one["version"], one["status"], one["source_system"]) == (1, "active", "crm")
        revenue = row["annual_revenue"]
        assert one["tier"] == ("gold" if revenue >= 1e6 else "silver" if revenue >= 1e5 else "bronze")
        # of the three that the CRM requires and the one that the ERP does
        assert one["quality_score"] == Decimal("25.00" if number == 3 else "75.00")
    assert len(found["history"]) == len(found["mappings"]) == len(found["time_series"]) == 300
    assert [one["metric"] for one in found["time_series"]] == ["annual_revenue"] * 300
    assert sum(one["value"] for one in found["time_series"]) == pytest.approx(sum(r["annual_revenue"] for r in rows))
    assert len(found["relationships"]) == 300
    assert {one["effective_to"] for one in found["relationships"]} == {None}


def test_records_of_two_systems_are_one_entity_and_each_owns_its_attributes(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    name = f"customer:{pipe.run}-1"
    base = int(pipe.run[:6], 16) * 10
    erp = {"changed_at": "2026-02-01T00:00:00Z", "kind": "customer", "id": base, "customer_no": f"{pipe.run}-1",
           "legal_name": "Ada Ltd", "credit_limit": 10.5}  # fmt: skip
    order = {"changed_at": "2026-02-02T00:00:00Z", "kind": "order", "id": base, "amount": 99.5, "product_id": base + 1,
             "ordered_by": f"{pipe.run}-1", "valid_from": "2026-02-01", "valid_to": "2026-03-01"}  # fmt: skip
    put_and_load(pipe, warehouse, [customer(pipe, email="a@b")])
    # older than what the CRM said, and of another system: both count
    put_and_load(pipe, warehouse, [erp, order], "erp")
    found = entity(warehouse, name)
    both = {"name": "Ada", "email": "a@b", "legal_name": "Ada Ltd", "credit_limit": 10.5}
    assert (found["attributes"], found["version"], found["source_system"]) == (both, 2, "crm")
    put_and_load(pipe, warehouse, [customer(pipe, day=2)], name="two")
    found = entity(warehouse, name)
    del both["email"]  # the CRM has none any more
    assert (found["attributes"], found["version"], found["quality_score"]) == (both, 3, Decimal("50.00"))
    mapped = warehouse.ask("SELECT * FROM canonical.mappings WHERE entity_id = %s ORDER BY 1", (found["entity_id"],))
    assert [(one["source_system"], one["source_id"]) for one in mapped] == [
        ("crm", f"{pipe.run}-c1"),
        ("erp", str(base)),
    ]
    ends = warehouse.ask(
        "SELECT relationship_type, p.canonical_id AS parent, c.canonical_id AS child, effective_from, effective_to "
        "FROM canonical.relationships JOIN canonical.entities AS p ON p.entity_id = parent_id "
        "JOIN canonical.entities AS c ON c.entity_id = child_id WHERE %s IN (p.canonical_id, c.canonical_id) "
        "ORDER BY 1",
        (f"erp:order:{base}",),
    )
    begin, end = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
    assert [tuple(one.values()) for one in ends] == [
        ("contains", f"erp:order:{base}", f"erp:product:{base + 1}", begin, end),
        ("ordered_by", name, f"erp:order:{base}", datetime(2026, 2, 2, tzinfo=UTC), None),
    ]


def test_only_a_change_of_attributes_is_a_version_and_history_has_every_one(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    put_and_load(
        pipe,
        warehouse,
        [
            customer(pipe, 1, profile={"a": 1, "b": [1.0]}),
            customer(pipe, 2, profile={"b": [1], "a": 1.0}),  # the same, as JSON
            customer(pipe, 3, profile={"b": [1, 2], "a": 1}, state="inactive"),
            customer(pipe, 4, profile={"b": [1, 2], "a": 1}, state="active"),
        ],
    )
    found = entity(warehouse, f"customer:{pipe.run}-1")
    assert (found["version"], found["status"], found["attributes"]["profile"]) == (2, "active", {"a": 1, "b": [1, 2]})
    history = warehouse.ask("SELECT * FROM canonical.entity_history WHERE entity_id = %s ORDER BY version",
                            (found["entity_id"],))  # fmt: skip
    assert [(one["version"], one["valid_from"].day, one["valid_to"] and one["valid_to"].day) for one in history] == [
        (1, 1, 3),
        (2, 3, None),
    ]
    assert [one["status"] for one in history] == ["active", "inactive"]


def test_a_placeholder_becomes_the_entity_when_its_record_comes(pipe: Pipeline, warehouse: Warehouse) -> None:
    base = int(pipe.run[:6], 16) * 10
    order = {"changed_at": "2026-02-02T00:00:00Z", "kind": "order", "id": base, "ordered_by": f"{pipe.run}-1"}
    put_and_load(pipe, warehouse, [order], "erp")
    before = entity(warehouse, f"customer:{pipe.run}-1")
    assert (before["version"], before["status"], before["source_system"]) == (0, "placeholder", "erp")
    put_and_load(pipe, warehouse, [customer(pipe)])
    after = entity(warehouse, f"customer:{pipe.run}-1")
    assert after["entity_id"] == before["entity_id"]
    assert (after["version"], after["status"], after["source_system"]) == (1, "active", "crm")


# -- what comes twice, late or withdrawn -------------------------------------------------------------------------------


def test_redelivery_and_replay_change_nothing(pipe: Pipeline, warehouse: Warehouse) -> None:
    first = entities.customers(pipe.run, 1, 40)
    one = put_and_load(pipe, warehouse, first + entities.customers(pipe.run, 2, 40, day=1), name="one")
    two = put_and_load(pipe, warehouse, entities.customers(pipe.run, 3, 40, day=40), name="two")
    before = state(warehouse, pipe.run)
    assert {one["version"] for one in before["entities"] if one["entity_type"] == "customer"} == {3}
    assert len(before["time_series"]) == 120
    announce(pipe, one)
    announce(pipe, two)
    assert state(warehouse, pipe.run) == before
    for run in (2, 3):
        replay(pipe, warehouse, one, run)
        replay(pipe, warehouse, two, run)
        assert state(warehouse, pipe.run) == before


def test_an_older_object_that_comes_late_does_not_bring_old_attributes_back(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    put_and_load(pipe, warehouse, [customer(pipe, 5, name="new", account_id=f"{pipe.run}-a2")], name="new")
    old = put_and_load(pipe, warehouse, [customer(pipe, 2, name="old", account_id=f"{pipe.run}-a1")], name="old")
    replay(pipe, warehouse, old, 2)
    found = entity(warehouse, f"customer:{pipe.run}-1")
    assert (found["attributes"], found["version"]) == ({"name": "new"}, 1)
    # the old relationship is history now: it ended when the new one began
    links = state(warehouse, pipe.run)["relationships"]
    assert [(one["effective_from"].day, one["effective_to"] and one["effective_to"].day) for one in sorted(
        links, key=lambda one: one["effective_from"])] == [(2, 5), (5, None)]  # fmt: skip


def test_of_records_of_one_moment_the_later_upload_wins_in_whatever_order_they_are_loaded(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    one = put_and_load(pipe, warehouse, [customer(pipe, 1, name="first")], name="one")
    put_and_load(pipe, warehouse, [customer(pipe, 1, name="second"), customer(pipe, 1, name="third")], name="two")
    replay(pipe, warehouse, one, 2)
    found = entity(warehouse, f"customer:{pipe.run}-1")
    assert (found["attributes"], found["version"]) == ({"name": "third"}, 3)


def test_what_no_record_speaks_for_any_more_is_withdrawn(pipe: Pipeline, warehouse: Warehouse) -> None:
    """The source gave a customer another number: the entity of the old one has no record left."""
    put_and_load(pipe, warehouse, [customer(pipe, 1)], name="one")
    put_and_load(pipe, warehouse, [customer(pipe, 2, customer_no=f"{pipe.run}-9")], name="two")
    assert entity(warehouse, f"customer:{pipe.run}-1")["status"] == "withdrawn"
    assert entity(warehouse, f"customer:{pipe.run}-9")["status"] == "active"


def test_objects_that_touch_the_same_entities_at_once_end_in_the_same_state(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    """Each file has all entities, in an order of its own; the newest record of each wins."""
    files = [entities.customers(pipe.run, seed, 200, day=seed) for seed in range(6)]
    puts = [
        pipe.put("crm", entities.as_jsonl(rows[::-1] if seed % 2 else rows), f"{seed}.jsonl")
        for seed, rows in enumerate(files)
    ]
    pipe.wait(*puts)
    for put in puts:
        warehouse.loaded(put)
    found = state(warehouse, pipe.run)
    customers = {one["canonical_id"]: one for one in found["entities"] if one["entity_type"] == "customer"}
    for row in files[-1]:
        assert customers[f"customer:{row['customer_no']}"]["attributes"]["annual_revenue"] == row["annual_revenue"]
    assert len(found["mappings"]) == 200
    assert len(found["time_series"]) == 1200
    versions = sum(one["version"] for one in customers.values())
    assert versions == len(found["history"])


# -- hostile input -----------------------------------------------------------------------------------------------------


def test_hostile_values_are_stored_as_they_are_or_refused_alone(pipe: Pipeline, warehouse: Warehouse) -> None:
    good: list[Any] = [
        {"nul": "a\0b"}, {"a\0": 1}, {"quote": "'; DROP TABLE canonical.entities; --"}, [], {}, 0, False, "text", "",
        {"deep": [[[[[[[[[[1]]]]]]]]]]}, {"big": "x" * 1_000_000}, {"n": 2**80}, {"n": 1.5e-300}, {"𝄞": "\u2028"},
        "\\u0000",
    ]  # fmt: skip
    rows = [customer(pipe, 1, number, profile=value) for number, value in enumerate(good)]
    long = "k" * 5000  # too long for an index
    rows += [
        customer(pipe, 1, 90, customer_no=pipe.run + long),
        customer(pipe, 1, 91, customer_no=pipe.run + long + "x"),
    ]
    rows += [customer(pipe, 1, 92, updated_at="0001-01-01T00:00:00Z", annual_revenue=1),
             customer(pipe, 1, 93, updated_at="9999-12-31T23:59:59Z", annual_revenue=1)]  # fmt: skip
    text = json.dumps(customer(pipe, 1, 95))[:-1]
    deep = text + ', "profile": ' + "[" * 65 + "]" * 65 + "}"
    deeper = text + ', "profile": ' + "[" * 100_000 + "]" * 100_000 + "}"
    half = text.replace("-95", "-96") + ', "profile": "\\ud800"}'
    body = entities.as_jsonl(rows) + f"{deep}\n{deeper}\n{half}\n".encode()
    put = pipe.put("crm", body)
    pipe.wait(put)
    settled(pipe, warehouse, put)
    assert [row["reason"] for row in pipe.quarantined(put)] == [
        Reason.WRONG_TYPE,
        Reason.WRONG_TYPE,
        Reason.MALFORMED_JSON,
    ]
    found = {one["canonical_id"]: one["attributes"] for one in state(warehouse, pipe.run)["entities"]}
    assert len(found) == len(rows)
    expected = [
        json.loads(json.dumps(value).replace("\\u0000", "\\ufffd")) if value != "\\u0000" else value for value in good
    ]
    assert [found[f"customer:{pipe.run}-{number}"].get("profile") for number in range(len(good))] == expected


# -- who may do what ---------------------------------------------------------------------------------------------------


def test_the_loader_makes_no_tables_and_the_reader_writes_nothing(pipe: Pipeline, warehouse: Warehouse) -> None:
    for statement in ("CREATE TABLE canonical.mine (x int)", "DELETE FROM canonical.entities",
                      "DELETE FROM canonical.entity_history", "TRUNCATE canonical.time_series"):  # fmt: skip
        with warehouse.connect("loader") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
    for statement in ("SELECT canonical.ensure_month('2026-01-01')", "UPDATE canonical.entities SET tier = 'gold'",
                      "SET default_transaction_read_only = off; DELETE FROM canonical.mappings"):  # fmt: skip
        with warehouse.connect("reader") as connection, pytest.raises(refused):
            connection.execute(statement.encode())
