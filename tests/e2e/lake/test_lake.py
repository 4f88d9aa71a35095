"""The lake: Athena answers what DuckDB answers, and the ledger's rows add up in SQL."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import shipping
from sluice.paths import ROOT
from sluice.pipeline import query, query_athena
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from tests.support.lake import Lake
from tests.support.pipeline import Pipeline, Put, until

PAGE = ROOT / "docs/lake.md"
SQL = re.compile(r"^```sql\n(.*?)^```", re.DOTALL | re.MULTILINE)

pytestmark = pytest.mark.usefixtures("lake_deployed")


@pytest.fixture
def lake(pipe: Pipeline) -> Lake:
    return Lake(pipe)


def begin_of(run: str) -> datetime:
    """A date of this test alone, before all fixtures."""
    return datetime(1971, 1, 1, tzinfo=UTC) + timedelta(days=2 * (int(run, 16) % 5000))


def rows_of(run: str, first: int, count: int) -> list[dict[str, Any]]:
    """Shipments of two days, numbered from ``first``."""
    rows = shipping.records("shipments")[:count]
    assert len(rows) == count
    return [
        row
        | {
            "shipment_id": f"{run}-{first + number}",
            "event_time": f"{begin_of(run) + timedelta(days=number % 2, hours=1):%Y-%m-%dT%H:%M:%S}.250Z",
        }
        for number, row in enumerate(rows)
    ]


def put(pipe: Pipeline, name: str, rows: list[dict[str, Any]]) -> Put:
    return pipe.put("shipments", "".join(json.dumps(row) + "\n" for row in rows).encode(), name)


def test_athena_answers_the_rows_that_duckdb_answers(pipe: Pipeline, lake: Lake) -> None:
    first = put(pipe, "a.jsonl", [*rows_of(pipe.run, 0, 40), {"event_time": "no time"}])
    second = put(pipe, "b.jsonl", rows_of(pipe.run, 100, 30))
    for one in (first, second):
        lake.registered(one)
    days = [f"{begin_of(pipe.run) + timedelta(days=number):%Y-%m-%d}" for number in (0, 1)]
    columns = ", ".join(
        query.run(query.silver(pipe.stack, only=["shipments"]), "SELECT * FROM shipments LIMIT 0").columns
    )
    sql = f"SELECT {columns} FROM shipments WHERE _source_key LIKE '%{pipe.run}%' ORDER BY _record_id"
    with query.asking(pipe.stack, sql) as answer:
        by_duckdb = list(answer.rows)
    assert len(by_duckdb) == 70
    assert lake.ask(sql) == by_duckdb
    where = f"_source_key LIKE '%{pipe.run}%' AND dt = DATE '{days[0]}'"
    assert lake.ask(f"SELECT count(*), min(dt) FROM shipments WHERE {where}") == [(35, days[0])]
    # Both objects are in one partition, which is registered once.
    silver = f"s3://{pipe.stack['silver_bucket']}/silver/shipments"
    found = lake.partitions("shipments")
    assert {day: found[day] for day in days} == {day: f"{silver}/dt={day}/" for day in days}

    # A replay and late events leave it as it is.
    replays = Replays(pipe.stack)
    wanted = replaying.request(prefix=first.ref.key, id=pipe.run)
    assert replays.follow(replays.start(wanted), lambda _done, _total: None).status == "SUCCEEDED"
    assert lake.registered(first, run=2)["rows_in"] == 41
    for run in (1, 2):
        lake.announce(first, run)
    lake.idle()
    assert lake.registered(first, run=2)["rows_silver"] == 40
    assert lake.ask(sql) == by_duckdb
    assert lake.partitions("shipments") == found


def test_a_partition_gets_the_columns_that_its_table_has_now(pipe: Pipeline, lake: Lake) -> None:
    one = put(pipe, "a.jsonl", rows_of(pipe.run, 0, 4))
    lake.registered(one)
    glue, names = pipe.stack.client("glue"), {"DatabaseName": pipe.stack["lake_database"], "TableName": "shipments"}
    values = [f"{begin_of(pipe.run):%Y-%m-%d}"]

    def columns() -> list[str]:
        found = glue.get_partition(**names, PartitionValues=values)["Partition"]["StorageDescriptor"]
        return [column["Name"] for column in found["Columns"]]

    whole = columns()
    assert len(whole) == 11
    storage = glue.get_partition(**names, PartitionValues=values)["Partition"]["StorageDescriptor"]
    older = {"Values": values, "StorageDescriptor": storage | {"Columns": storage["Columns"][:3]}}
    glue.update_partition(**names, PartitionValueList=values, PartitionInput=older)
    assert columns() == whole[:3]
    lake.announce(one)
    until("the table's columns", lambda: columns() == whole)


def test_the_newest_row_of_each_key_is_the_one_that_duckdb_has(pipe: Pipeline, lake: Lake) -> None:
    older = put(pipe, "a.jsonl", rows_of(pipe.run, 0, 20))
    lake.registered(older)
    newer = put(pipe, "b.jsonl", [row | {"carrier": "BlueLine"} for row in rows_of(pipe.run, 10, 20)])
    lake.registered(newer)
    sql = f"SELECT * FROM shipments_current WHERE shipment_id LIKE '{pipe.run}-%' ORDER BY shipment_id"
    with query.asking(pipe.stack, sql) as answer:
        columns, by_duckdb = answer.columns, list(answer.rows)
    with query_athena.asking(pipe.stack, sql) as answer:
        assert answer.columns == columns
        assert list(answer.rows) == by_duckdb
    sources = [row[columns.index("_source_key")] for row in by_duckdb]
    assert (len(sources), sources.count(older.ref.key), sources.count(newer.ref.key)) == (30, 10, 20)

    # The field that says what is newest wins over the arrival; where it says nothing, the arrival does.
    number = int(pipe.run, 16)
    changed = (("2026-03-02", 1), ("2026-03-01", 2), ("2026-03-02", 3))
    for at, (day, amount) in enumerate(changed):
        row = {"record_type": "erp_record", "kind": "order", "id": number, "amount": amount}
        body = json.dumps(row | {"changed_at": f"{day}T10:00:00Z"}) + "\n"
        lake.registered(pipe.put("erp", body.encode(), f"{at}.jsonl"))
        sql = f"SELECT CAST(amount AS bigint) FROM erp_current WHERE kind = 'order' AND id = {number}"
        with query.asking(pipe.stack, sql) as answer:
            by_duckdb = list(answer.rows)
        assert lake.ask(sql) == by_duckdb == [(1 if at < 2 else 3,)]


def test_a_message_that_names_no_object_is_a_dead_letter_and_notified(pipe: Pipeline) -> None:
    pipe.sqs.send_message(QueueUrl=pipe.stack["lake_queue_url"], MessageBody=json.dumps({"nonsense": pipe.run}))
    [message] = pipe.receive_messages("lake_dlq_url", lambda body: pipe.run in body)
    assert json.loads(message["body"]) == {"nonsense": pipe.run}
    [notice] = until(
        "the notice", lambda: [one for one in pipe.mail.notices(kind="dead.letter") if pipe.run in json.dumps(one)]
    )
    assert notice["queue"] == pipe.stack["lake_queue_url"].rsplit("/", 1)[-1]


def test_rows_in_are_silver_and_quarantine(pipe: Pipeline, lake: Lake) -> None:
    objects = [
        put(pipe, "a.jsonl", [*rows_of(pipe.run, 0, 20), {"event_time": "no time"}, {"shipment_id": 1}]),
        put(pipe, "b.jsonl", rows_of(pipe.run, 50, 10)),
        put(pipe, "c.jsonl", [{"event_time": "no time"}]),
    ]
    for one in objects:
        lake.registered(one)
    found = lake.ask(
        f"""
        SELECT o.source_key, o.rows_in, o.rows_silver, o.rows_quarantined, s.rows, q.rows
        FROM {{ledger}}.objects o
        LEFT JOIN (SELECT substr(_record_id, 1, 32) AS object_id, count(*) AS rows FROM shipments GROUP BY 1) s
          ON s.object_id = o.object_id
        LEFT JOIN (SELECT object_id, count(*) AS rows FROM {{ledger}}.quarantine
                   WHERE reason <> 'control_totals' GROUP BY 1) q ON q.object_id = o.object_id
        WHERE o.source_key LIKE '%{pipe.run}%' ORDER BY 1
        """
    )
    assert found == [
        (objects[0].ref.key, 22, 20, 2, 20, 2),
        (objects[1].ref.key, 10, 10, 0, 10, None),
        (objects[2].ref.key, 1, 0, 1, None, 1),
    ]
    # The page's queries, as printed: nothing differs, and committed rows are found by a join.
    committed, differing = (sql.replace("sluice_dev_ledger", "{ledger}") for sql in SQL.findall(PAGE.read_text()))
    for one in objects:
        assert one.ref.key not in [row[0] for row in lake.ask(differing)]
    assert lake.ask(f"SELECT count(*) FROM ({committed}) WHERE _source_key LIKE '%{pipe.run}%'") == [(30,)]
