"""Canonical entities: records of several systems become one thing each, whatever is repeated, late or hostile."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest

from fixtures import entities
from pipeline.committed import event_of
from pipeline.failures import Reason
from sluice.data.requeue import requeue as again
from sluice.instance import Instance
from sluice.ops.refused import Filter, Quarantine
from sluice.stack import Stack
from tests.e2e.conftest import RUNNING
from tests.e2e.support import Pipeline, Put, until
from tests.e2e.warehouse import Warehouse

STATE = "canonical_id, entity_type, source_system, attributes, version, status, tier, quality_score"


@pytest.fixture
def warehouse(stack: Stack, instance: Instance) -> Warehouse:
    return Warehouse(stack, instance)


def settled(pipe: Pipeline, warehouse: Warehouse, put: Put, run: int = 1) -> None:
    """The run is loaded, its totals are settled, and the ledger, which hears of it last, knows."""
    warehouse.loaded(put, run)
    until("the count in the ledger", lambda: pipe.entry(put).item.get("loaded_run") == run)


def put_and_load(pipe: Pipeline, warehouse: Warehouse, rows: list[Any], dataset: str = "crm", **options: Any) -> Put:
    put = pipe.put(dataset, entities.as_jsonl(rows), **options)
    pipe.wait(put)
    settled(pipe, warehouse, put)
    return put


def replay(pipe: Pipeline, warehouse: Warehouse, put: Put, run: int) -> None:
    again(pipe.stack, put.object_id)
    pipe.wait_for_run(put, run)
    settled(pipe, warehouse, put, run)


def announce(pipe: Pipeline, put: Put, run: int = 1) -> None:
    """Delivers an object's commit once more, and waits until it is dealt with."""
    body = json.dumps(event_of(put.object_id, run, put.ref.key.split("/")[1]))
    pipe.sqs.send_message(QueueUrl=pipe.stack["load_queue_url"], MessageBody=body)
    until("the load queue to be empty", lambda: pipe.depth("load_queue_url") == 0)


def state(pipe: Pipeline, warehouse: Warehouse) -> dict[str, list[dict[str, Any]]]:
    """All that the canonical tables say of this test's entities, but for when it was written."""
    mine = f"(SELECT entity_id FROM canonical.entities WHERE canonical_id LIKE '%%:{pipe.run}%%')"
    questions = {
        "entities": f"SELECT {STATE} FROM canonical.entities WHERE entity_id IN {mine} ORDER BY canonical_id",
        "history": f"SELECT * FROM canonical.entity_history WHERE entity_id IN {mine} ORDER BY entity_id, version",
        "mappings": f"SELECT * FROM canonical.mappings WHERE entity_id IN {mine} ORDER BY source_id",
        "relationships": f"SELECT * FROM canonical.relationships WHERE child_id IN {mine} ORDER BY 1, 2, 3, 4",
        "time_series": f"SELECT * FROM canonical.time_series WHERE entity_id IN {mine} ORDER BY 1, 2, 3",
    }
    return {name: warehouse.ask(question) for name, question in questions.items()}


def entity(warehouse: Warehouse, canonical_id: str) -> dict[str, Any]:
    question = f"SELECT entity_id, {STATE} FROM canonical.entities WHERE canonical_id = %s"
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


# -- rows become entities ----------------------------------------------------------------------------------------------


def test_each_record_is_an_entity_with_attributes_tier_score_relationship_and_point(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    rows = entities.customers(pipe.run, 7, 300)
    rows[3] |= {"email": " ", "country": None}
    put_and_load(pipe, warehouse, [*rows, entities.summary(rows)])
    found = state(pipe, warehouse)
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
    before = state(pipe, warehouse)
    assert {one["version"] for one in before["entities"] if one["entity_type"] == "customer"} == {3}
    assert len(before["time_series"]) == 120
    announce(pipe, one)
    announce(pipe, two)
    assert state(pipe, warehouse) == before
    for run in (2, 3):
        replay(pipe, warehouse, one, run)
        replay(pipe, warehouse, two, run)
        assert state(pipe, warehouse) == before


def test_an_older_object_that_comes_late_does_not_bring_old_attributes_back(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    put_and_load(pipe, warehouse, [customer(pipe, 5, name="new", account_id=f"{pipe.run}-a2")], name="new")
    old = put_and_load(pipe, warehouse, [customer(pipe, 2, name="old", account_id=f"{pipe.run}-a1")], name="old")
    replay(pipe, warehouse, old, 2)
    found = entity(warehouse, f"customer:{pipe.run}-1")
    assert (found["attributes"], found["version"]) == ({"name": "new"}, 1)
    # the old relationship is history now: it ended when the new one began
    links = state(pipe, warehouse)["relationships"]
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
    found = state(pipe, warehouse)
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
    found = {one["canonical_id"]: one["attributes"] for one in state(pipe, warehouse)["entities"]}
    assert len(found) == len(rows)
    expected = [
        json.loads(json.dumps(value).replace("\\u0000", "\\ufffd")) if value != "\\u0000" else value for value in good
    ]
    assert [found[f"customer:{pipe.run}-{number}"].get("profile") for number in range(len(good))] == expected


# -- control totals ----------------------------------------------------------------------------------------------------


def totals_of(warehouse: Warehouse, put: Put, run: int = 1) -> dict[str, Any]:
    question = "SELECT * FROM control.totals WHERE object_id = %s AND run = %s"
    [found] = warehouse.ask(question, (put.object_id, run))
    return found


def entries_of(pipe: Pipeline, put: Put) -> list[dict[str, Any]]:
    """The object's entries about totals, as `sluice quarantine show` finds them."""
    return list(Quarantine(pipe.stack).rows(Filter(reason=Reason.CONTROL_TOTALS, object_id=put.object_id)))


def notices_of(pipe: Pipeline, put: Put) -> list[dict[str, Any]]:
    return [one for one in pipe.mail.notices(put.object_id) if one["kind"] == "control.totals"]


def test_contradictory_control_totals_are_quarantined_and_told_once(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 5, 20)
    total = sum(Decimal(str(row["annual_revenue"])) for row in rows)
    put = put_and_load(pipe, warehouse, [*rows, entities.summary(rows, record_count=21, total_amount=0.5)])
    [entry] = entries_of(pipe, put)
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
    assert len(entries_of(pipe, put)) == 1
    assert len([one for one in state(pipe, warehouse)["entities"] if one["entity_type"] == "customer"]) == 20
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
    assert entries_of(pipe, put) == []


def test_totals_of_a_document_with_summary_and_records_are_reconciled(pipe: Pipeline, warehouse: Warehouse) -> None:
    rows = entities.customers(pipe.run, 4, 10)
    document = {"summary": entities.summary(rows, record_count=9), "records": rows}
    put = pipe.put("crm", json.dumps(document, indent=1).encode(), "document.json")
    pipe.wait(put)
    settled(pipe, warehouse, put)
    [entry] = entries_of(pipe, put)
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
    [entry] = entries_of(pipe, two)
    assert entry["differences"] == [{"field": "", "what": "summaries", "declared": "1", "loaded": "2"}]


def test_refused_rows_contradict_the_totals_until_the_object_is_right(pipe: Pipeline, warehouse: Warehouse) -> None:
    """The sender mends the file: the same key, another content, which is another object; the first entry stays."""
    rows = entities.customers(pipe.run, 9, 5)
    bad = [*rows[:4], rows[4] | {"name": None}, entities.summary(rows)]
    put = put_and_load(pipe, warehouse, bad)
    [entry] = entries_of(pipe, put)
    assert (entry["rows_quarantined"], entry["differences"][0]["loaded"]) == (1, "4")
    mended = put_and_load(pipe, warehouse, [*rows, entities.summary(rows)])
    assert totals_of(warehouse, mended)["differences"] == []
    assert entries_of(pipe, mended) == []


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


# -- crash sweep -------------------------------------------------------------------------------------------------------

CALLS = [("s3", "GetObject", "SlowDown"), ("s3", "PutObject", "SlowDown"), ("sns", "Publish", "Throttling"),
         ("dynamodb", "GetItem", "ProvisionedThroughputExceededException"),
         ("dynamodb", "UpdateItem", "ProvisionedThroughputExceededException")]  # fmt: skip
SDK_TRIES = 4


def test_no_call_that_dies_doubles_or_loses_an_entity_an_entry_or_a_notice(
    breakable: Pipeline, warehouse: Warehouse, record_property: Any
) -> None:
    """Each call of a load whose totals differ is killed before and after, and throttled, each on its own object."""
    pipe = breakable
    points = [(*call, mode) for call in CALLS for mode in ("kill-before", "kill-after", "throttle")]
    points.append(("lambda", "Return", "", "kill-after"))
    puts: dict[tuple[str, ...], Put] = {}
    bodies = {}
    for number, point in enumerate(points):
        rows = entities.customers(f"{pipe.run}-{number:02d}", number, 10)
        bodies[point] = entities.as_jsonl([*rows, entities.summary(rows, record_count=11)])
        service, operation, error, mode = point
        origin = pipe.origin_of(pipe.key("crm", f"{number:02d}.jsonl"), bodies[point])
        about = {"function": pipe.stack["load_function"], "about": [origin.object_id], "nth": 1}
        action = {"throttle": f"error:{error}"}.get(mode, mode)
        times = SDK_TRIES if mode == "throttle" else 1
        pipe.set_fault(about | {"service": service, "operation": operation, "action": action, "times": times})
    for number, point in enumerate(points):
        puts[point] = pipe.put("crm", bodies[point], f"{number:02d}.jsonl")
    pipe.wait(*puts.values())
    for put in puts.values():
        settled(pipe, warehouse, put)
    until("the load queue to be empty", lambda: pipe.depth("load_queue_url") == 0)
    assert pipe.unmet_faults() == [], "a fault met no call, so its point was not tried"
    pipe.clear_faults()
    found = state(pipe, warehouse)
    customers = [one for one in found["entities"] if one["entity_type"] == "customer"]
    assert len(customers) == len(found["history"]) == len(found["time_series"]) == 10 * len(points)
    assert {one["version"] for one in customers} == {1}
    for point, put in puts.items():
        assert len(entries_of(pipe, put)) == 1, point
        # Sent and not noted: it is sent again. Nothing else tells twice.
        expected = 2 if point[1:] == ("Publish", "Throttling", "kill-after") else 1
        assert len(notices_of(pipe, put)) == expected, point
    record_property("figure", f"crash sweep over entities: {len(points)} points survived")
