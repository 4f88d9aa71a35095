"""load: silver becomes rows of PostgreSQL once, whatever is repeated, late, broken or hostile."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest

from fixtures import formats, shipping
from sluice.engine.instance import Instance
from sluice.pipeline import queues
from sluice.pipeline.requeue import requeue as again
from sluice.terraform import settings
from tests.support.pipeline import Pipeline, Put, until
from tests.support.warehouse import Warehouse


def shipments(rows: int, seed: int = 1, days: int = 2) -> bytes:
    return formats.jsonl(shipping.records("shipments", seed, rows, days=days))


def announce(pipe: Pipeline, put: Put, run: int) -> None:
    """Delivers an object's commit once more, as EventBridge would."""
    detail = next(d for d in pipe.mail.committed(put.object_id) if d["run"] == run)
    send(pipe, json.dumps({"source": "sluice", "detail-type": "object.committed", "detail": detail}))


def send(pipe: Pipeline, body: str) -> None:
    pipe.sqs.send_message(QueueUrl=pipe.stack["load_queue_url"], MessageBody=body)


def put_and_load(pipe: Pipeline, warehouse: Warehouse, dataset: str, body: bytes, **options: Any) -> Put:
    put = pipe.put(dataset, body, **options)
    pipe.wait(put)
    until("object.committed", lambda: pipe.mail.committed(put.object_id))
    warehouse.loaded(put)
    return put


def test_every_row_of_silver_is_in_its_table_with_the_same_values(pipe: Pipeline, warehouse: Warehouse) -> None:
    put = put_and_load(pipe, warehouse, "shipments", shipments(500))
    silver = pipe.rows(put)
    assert len(silver) == 500
    warehouse.same_as_silver(put, silver, "shipments")
    [load] = warehouse.loads(put)
    assert (load["run"], load["rows"], load["rows_by_table"], load["rows_replaced"]) == (1, 500, {"shipments": 500}, 0)
    assert load["files"] == len(pipe.files(put))
    item = until(
        "the count in the ledger", lambda: pipe.entry(put).item if "loaded_run" in pipe.entry(put).item else None
    )
    assert (item["loaded_run"], item["loaded_rows"], item["loaded_batch"]) == (1, 500, str(load["batch_id"]))


def test_a_mixed_file_goes_to_the_tables_of_its_datasets_in_one_transaction(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    records = [record for name in shipping.DATASETS for record in shipping.records(name, 5, 40)]
    put = put_and_load(pipe, warehouse, "mixed", formats.jsonl(records))
    [load] = warehouse.loads(put)
    assert load["rows_by_table"] == dict.fromkeys(sorted(shipping.DATASETS), 40)
    for name in shipping.DATASETS:
        silver = sorted(pipe.table(put, name).to_pylist(), key=lambda row: int(row["_source_offset"]))
        warehouse.same_as_silver(put, silver, name)
    moments = warehouse.ask(
        "SELECT xmin::text AS x FROM silver.shipments WHERE _object_id = %(id)s UNION "
        "SELECT xmin::text FROM silver.invoice_lines WHERE _object_id = %(id)s UNION "
        "SELECT xmin::text FROM silver.tracking_events WHERE _object_id = %(id)s",
        {"id": put.object_id},  # type: ignore[arg-type]
    )
    assert len(moments) == 1


HOSTILE = [
    "", " ", '"', '""', "a,b", "line\nline", "\r\n", "\\.", "\\N", "\\", "\t", "'; DROP TABLE silver.shipments; --",
    "NULL", "null", "ä€𝄞", "\u2028", "a" * 100_000, "\n\\.\n", "%s", "{}", "\x01\x7f",
]  # fmt: skip


def test_hostile_text_arrives_as_it_is(pipe: Pipeline, warehouse: Warehouse) -> None:
    records = [
        record | {"origin": text, "carrier": text or None}
        for text, record in zip(HOSTILE, shipping.records("shipments", 9, len(HOSTILE)), strict=True)
    ]
    put = put_and_load(pipe, warehouse, "shipments", formats.jsonl(records))
    assert [row["origin"] for row in warehouse.rows(put, "shipments")] == HOSTILE
    assert [row["carrier"] for row in warehouse.rows(put, "shipments")] == [text or None for text in HOSTILE]
    warehouse.same_as_silver(put, pipe.rows(put), "shipments")


def test_a_nul_character_which_postgresql_cannot_hold_becomes_the_replacement_character(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    [record] = shipping.records("shipments", 9, 1)
    put = put_and_load(pipe, warehouse, "shipments", formats.jsonl([record | {"origin": "a\0b"}]))
    assert [row["origin"] for row in pipe.rows(put)] == ["a\0b"]
    assert [row["origin"] for row in warehouse.rows(put, "shipments")] == ["a\ufffdb"]


def test_an_empty_object_is_loaded_with_no_rows(pipe: Pipeline, warehouse: Warehouse) -> None:
    put = put_and_load(pipe, warehouse, "shipments", b"")
    [load] = warehouse.loads(put)
    assert (load["rows"], load["rows_by_table"], load["files"]) == (0, {}, 0)


def test_a_commit_announced_again_changes_nothing(pipe: Pipeline, warehouse: Warehouse) -> None:
    put = put_and_load(pipe, warehouse, "shipments", shipments(50))
    before = warehouse.rows(put, "shipments"), warehouse.loads(put)
    for _ in range(3):
        announce(pipe, put, 1)
    warehouse.idle()
    assert (warehouse.rows(put, "shipments"), warehouse.loads(put)) == before


def requeue(pipe: Pipeline, put: Put, run: int) -> None:
    """A new run of the object, waited for."""
    again(pipe.stack, put.object_id)
    pipe.wait_for_run(put, run)
    until("the event", lambda: any(d["run"] == run for d in pipe.mail.committed(put.object_id)))


def test_a_replay_exchanges_the_rows_and_a_late_older_run_does_not_bring_them_back(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    put = put_and_load(pipe, warehouse, "shipments", shipments(120))
    first = warehouse.rows(put, "shipments")
    requeue(pipe, put, 2)
    load = warehouse.loaded(put, 2)
    assert (load["rows"], load["rows_replaced"]) == (120, 120)
    assert warehouse.rows(put, "shipments") == first
    with warehouse.administrator() as administrator:
        administrator.execute("UPDATE silver.shipments SET carrier = 'mark' WHERE _object_id = %s", (put.object_id,))
    announce(pipe, put, 1)
    announce(pipe, put, 2)
    warehouse.idle()
    assert {row["carrier"] for row in warehouse.rows(put, "shipments")} == {"mark"}, "nothing was loaded again"
    assert [load["run"] for load in warehouse.loads(put)] == [1, 2]
    assert pipe.entry(put).item["loaded_run"] == 2


def test_what_is_no_event_is_moved_to_the_dead_letter_queue_and_notified(pipe: Pipeline, warehouse: Warehouse) -> None:
    for body in (f"no json {pipe.run}", json.dumps({"detail-type": "other", "about": pipe.run})):
        send(pipe, body)
        [message] = pipe.receive_messages("load_dlq_url", lambda text: pipe.run in text)
        assert message["body"] == body

        until("the notice", lambda body=body: pipe.mail.notices(kind="dead.letter", detail=body))


def test_what_postgresql_refuses_becomes_a_dead_letter_that_says_why_and_a_redrive_loads_it(
    pipe: Pipeline, warehouse: Warehouse
) -> None:
    from sluice.pipeline.dead_letters import DeadLetters

    with warehouse.administrator() as administrator:
        administrator.execute("REVOKE INSERT ON silver.shipments FROM sluice_loader")
        try:
            put = pipe.put("shipments", shipments(30))
            pipe.wait(put)
            dead_letters = DeadLetters(pipe.stack)
            [message] = until("the message", lambda: dead_letters.find(["loads"], put.object_id))
            notice = until("the notice", lambda: pipe.mail.notices(object_id=put.object_id, kind="load.failed"))
        finally:
            administrator.execute("GRANT INSERT ON silver.shipments TO sluice_loader")
    assert len(notice) == 1
    assert "InsufficientPrivilege" in notice[0]["reason"]
    assert notice[0]["repair"].endswith(f"sluice dlq redrive {put.object_id}")
    [shown] = dead_letters.with_reasons([message])
    assert "InsufficientPrivilege" in shown.reason
    assert warehouse.loads(put) == []
    assert dead_letters.redrive("loads", lambda one: one.object_id == put.object_id).moved == 1
    assert warehouse.loaded(put)["rows"] == 30
    item = until(
        "the count in the ledger", lambda: pipe.entry(put).item if "loaded_run" in pipe.entry(put).item else None
    )
    assert "load_error" not in item
    assert pipe.depth("load_dlq_url") == 0


def ended_invocations(pipe: Pipeline) -> int:
    group = f"/aws/lambda/{pipe.stack['load_function']}"
    pages = pipe.stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return sum(event["message"].startswith("REPORT") for page in pages for event in page["events"])


def test_a_table_that_a_deployment_is_about_to_make_is_waited_for(pipe: Pipeline, warehouse: Warehouse) -> None:
    with warehouse.administrator() as administrator:
        administrator.execute("ALTER TABLE silver.shipments RENAME TO away")
        before = ended_invocations(pipe)
        try:
            put = pipe.put("shipments", shipments(20))
            pipe.wait_for_run(put, 1)  # its load waits
            until("a try that found no table", lambda: ended_invocations(pipe) > before)
        finally:
            administrator.execute("ALTER TABLE silver.away RENAME TO shipments")
    assert warehouse.loaded(put)["rows"] == 20
    assert pipe.depth("load_dlq_url") == 0


def test_a_connection_that_was_cut_is_made_again(pipe: Pipeline, warehouse: Warehouse) -> None:
    put_and_load(pipe, warehouse, "shipments", shipments(5), name="one.jsonl")
    with warehouse.administrator() as administrator:
        cut = administrator.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'load'"
        ).fetchall()
    assert cut
    two = put_and_load(pipe, warehouse, "shipments", shipments(5, seed=2), name="two.jsonl")
    assert len(warehouse.rows(two, "shipments")) == 5


# -- who may do what -------------------------------------------------------------------------------------------------


def test_the_reader_reads_and_nothing_else(pipe: Pipeline, warehouse: Warehouse) -> None:
    refused = (psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)
    for statement in (
        "DELETE FROM silver.shipments",
        "CREATE TABLE silver.mine (x int)",
        "CREATE TEMPORARY TABLE mine (x int)",
        "CREATE TABLE public.mine (x int)",
        "INSERT INTO control.loads SELECT * FROM control.loads",
        "SET default_transaction_read_only = off; DELETE FROM silver.shipments",
        "SELECT * FROM pg_authid",
        "COPY silver.shipments TO PROGRAM 'cat'",
        "DROP TABLE silver.shipments",
    ):
        with warehouse.connect("reader") as connection, pytest.raises(refused):
            connection.execute(statement.encode())


def test_the_loader_loads_and_nothing_else(pipe: Pipeline, warehouse: Warehouse) -> None:
    for statement in (
        "TRUNCATE silver.shipments",
        "UPDATE silver.shipments SET carrier = 'x'",
        "DROP TABLE silver.shipments",
        "ALTER TABLE silver.shipments ADD COLUMN x int",
        "DELETE FROM control.loads",
        "UPDATE control.loads SET rows = 0",
        "CREATE TABLE silver.mine (x int)",
        "CREATE ROLE mine",
        "SET ROLE sluice_admin",
    ):
        with warehouse.connect("loader") as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(statement.encode())


def test_a_password_is_checked_and_is_in_secrets_manager_only(
    pipe: Pipeline, warehouse: Warehouse, instance: Instance
) -> None:
    for role in ("loader", "reader"):
        login = warehouse.login(role)
        assert len(login.password) >= 40
        for wrong in ("", "x" * 43):
            with pytest.raises(psycopg.OperationalError, match="password"):
                psycopg.connect(
                    host=login.host, port=login.port, dbname=login.dbname, user=login.username, password=wrong
                )
        state = settings.state_file(instance).read_text()
        assert "sluice-dev-warehouse" in state
        assert login.password not in state
        for log in instance.logs_dir.glob("*.log"):
            assert login.password not in log.read_text(errors="replace"), log.name
        assert login.password not in json.dumps(dict(pipe.stack.outputs))


# -- migrate ---------------------------------------------------------------------------------------------------------


def migrate(pipe: Pipeline) -> dict[str, Any]:
    answer = pipe.lambda_.invoke(FunctionName=pipe.stack["migrate_function"], Payload=b"{}")
    payload = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, payload
    return dict(payload)


NOTHING = {"roles": {"loader": "kept", "reader": "kept"}, "migrations": [], "tables": {}, "views": {}}


def test_migrating_again_changes_nothing(pipe: Pipeline, warehouse: Warehouse) -> None:
    before = warehouse.login("loader"), warehouse.login("reader")
    assert migrate(pipe) == NOTHING
    assert (warehouse.login("loader"), warehouse.login("reader")) == before


@pytest.mark.parametrize("action", ["kill-before", "kill-after"])
def test_a_password_half_set_is_set_again(breakable: Pipeline, warehouse: Warehouse, action: str) -> None:
    pipe = breakable
    with warehouse.administrator() as administrator:
        administrator.execute("ALTER ROLE sluice_reader PASSWORD 'something else'")
    with pipe.fault("migrate", "secretsmanager", "PutSecretValue", action):
        answer = pipe.lambda_.invoke(FunctionName=pipe.stack["migrate_function"], Payload=b"{}")
        assert answer["FunctionError"]
    assert migrate(pipe) == NOTHING | {"roles": {"loader": "kept", "reader": "made"}}
    with warehouse.connect("reader") as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("sluice_reader",)
    assert migrate(pipe) == NOTHING


def test_a_migrator_that_died_leaves_no_lock(pipe: Pipeline, warehouse: Warehouse) -> None:
    with warehouse.administrator() as administrator:
        administrator.execute(
            "INSERT INTO control.yoyo_lock (locked, ctime, pid) VALUES (1, now(), 4711) ON CONFLICT DO NOTHING"
        )
    assert migrate(pipe) == NOTHING


def test_a_table_that_is_gone_and_a_column_that_is_missing_are_made(pipe: Pipeline, warehouse: Warehouse) -> None:
    warehouse.idle()
    with warehouse.administrator() as administrator, administrator.transaction():
        administrator.execute("ALTER TABLE silver.shipments RENAME COLUMN carrier TO carrier_before")
    try:
        assert migrate(pipe)["tables"] == {"shipments": "added carrier"}
        assert migrate(pipe) == NOTHING
    finally:
        with warehouse.administrator() as administrator, administrator.transaction():
            administrator.execute("ALTER TABLE silver.shipments DROP COLUMN carrier")
            administrator.execute("ALTER TABLE silver.shipments RENAME COLUMN carrier_before TO carrier")


def test_a_type_that_changed_is_refused_and_names_the_column(pipe: Pipeline, warehouse: Warehouse) -> None:
    warehouse.idle()
    with warehouse.administrator() as administrator:
        administrator.execute("DROP VIEW silver.shipments_current")  # as a migration that converts a column does
        administrator.execute("ALTER TABLE silver.shipments ALTER COLUMN weight_kg TYPE text")
        try:
            answer = pipe.lambda_.invoke(FunctionName=pipe.stack["migrate_function"], Payload=b"{}")
            error = json.loads(answer["Payload"].read())
        finally:
            administrator.execute(
                "ALTER TABLE silver.shipments ALTER COLUMN weight_kg TYPE double precision USING weight_kg::float8"
            )
    assert error["errorType"] == "ColumnTypeChanged"
    assert "silver.shipments.weight_kg is text, the dataset says double precision" in error["errorMessage"]
    assert migrate(pipe) == NOTHING | {"views": {"shipments_current": "made"}}
    assert migrate(pipe) == NOTHING


def test_at_the_end_nothing_waits(pipe: Pipeline, warehouse: Warehouse) -> None:
    warehouse.idle()
    assert queues.depth(pipe.sqs, pipe.stack["load_dlq_url"]).total == 0
