"""The compaction's Spark job, unchanged as it is deployed, on silver of its own. It needs Java, as
test_glue_spark.py says."""

from __future__ import annotations

import random
import time
import uuid

import duckdb
import pyarrow as pa
import pytest

from sluice_pipeline.catalog.current import current_select
from tests.support.compaction_lake import DAYS, SCHEMA, Lake
from tests.support.engine_harness import Engine, eventually
from tests.support.spark import needs_java
from tests.support.sweep import FULL

pytestmark = [
    pytest.mark.timeout(900),
    needs_java,
]


def test_small_files_become_one_with_the_same_rows_and_a_commit_moves_the_partition_back(engine: Engine) -> None:
    lake = Lake(engine)
    for number in range(6):
        lake.commit(number, 40)
    silver = {key: lake.s3.head_object(Bucket=lake.bucket, Key=key)["ETag"] for key in lake.keys("silver/")}
    assert lake.locations() == {day: f"silver/orders/dt={day}/" for day in DAYS}
    run = lake.compact("one")
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None), run["said"]
    assert (run["result"]["dates"]["compacted"], run["result"]["dates"]["failed"]) == (2, 0)
    assert (run["result"]["before"]["files"], run["result"]["after"]["files"]) == (12, 2)
    assert run["result"]["before"]["rows"] == run["result"]["after"]["rows"] == 240
    first = lake.locations()
    for day, location in first.items():
        assert location.startswith(f"compacted/orders/dt={day}/")
        assert lake.rows(location) == lake.wanted(day)
        (table,) = lake.read(location)
        assert table.schema.remove_metadata() == SCHEMA
        keys = list(zip(table["_source_key"].to_pylist(), table["_source_offset"].to_pylist(), strict=True))
        assert keys == sorted(keys)
        state = lake.states()[day]
        assert (state["compaction_state"], state["before"]["rows"], state["after"]["files"]) == ("compacted", 120, 1)
    assert {key: lake.s3.head_object(Bucket=lake.bucket, Key=key)["ETag"] for key in lake.keys("silver/")} == silver

    files = lake.keys("compacted/")
    again = lake.compact("two")
    assert again["result"]["dates"]["current"] == 2
    assert (lake.keys("compacted/"), lake.locations()) == (files, first)

    lake.commit(2, 40, seed=1)  # a replay under other rules
    lake.commit(9, 10)
    assert lake.locations() == {day: f"silver/orders/dt={day}/" for day in DAYS}
    third = lake.compact("three", keep_hours="0")
    assert third["result"]["dates"]["compacted"] == 2
    for day, location in lake.locations().items():
        assert location != first[day]
        assert lake.rows(location) == lake.wanted(day)
        assert lake.keys(first[day]) == []  # out of use


@pytest.mark.thorough(
    "tests/e2e/lake/test_compaction.py::test_a_date_that_cannot_be_read_stays_at_silver_and_is_notified",
    "tests/unit/lake/test_compaction.py::test_a_date_or_dataset_that_fails_stops_no_other",
    why="the deployed job fails so, and its rows stay",
)
def test_a_date_that_cannot_be_read_fails_and_stops_no_other(engine: Engine) -> None:
    lake = Lake(engine)
    for number in range(5):
        lake.commit(number, 20)
    lake.put(f"silver/orders/dt={DAYS[0]}/{uuid.uuid4().hex}-00001.parquet", b"this is no Parquet")
    run = lake.compact("bad")
    assert run["JobRunState"] == "FAILED"
    assert f"1 dates failed, first orders {DAYS[0]}" in run["ErrorMessage"]
    outcomes = {one["day"]: one for one in run["result"]["outcomes"]}
    assert {day: one["done"] for day, one in outcomes.items()} == {DAYS[0]: "failed", DAYS[1]: "compacted"}
    assert outcomes[DAYS[0]]["reason"]
    locations = lake.locations()
    assert locations[DAYS[0]] == f"silver/orders/dt={DAYS[0]}/"
    assert lake.rows(locations[DAYS[1]]) == lake.wanted(DAYS[1])
    state = lake.states()[DAYS[0]]
    assert (state["compaction_state"], bool(state["reason"])) == ("silver", True)


def test_the_newest_rows_of_a_date_are_those_of_the_current_view(engine: Engine) -> None:
    lake = Lake(engine, latest=True)
    for number in range(4):
        lake.commit(number, 30)
    run = lake.compact("latest")
    assert (run["JobRunState"], run.get("ErrorMessage")) == ("SUCCEEDED", None), run["said"]
    items = lake.dynamodb.scan(TableName=lake.bucket)["Items"]
    arrived = [(one["object_id"]["S"], one["received_at"]["S"]) for one in items if "received_at" in one]
    for day, location in lake.locations().items():
        rows = pa.Table.from_pylist(lake.wanted(day), SCHEMA)
        names = rows.column_names
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.register("rows", rows)
            connection.execute("CREATE TABLE arrivals (object_id VARCHAR, received_at VARCHAR)")
            connection.executemany("INSERT INTO arrivals VALUES (?, ?)", arrived)
            sql = current_select(
                lake.dataset, names, source="rows", arrivals="arrivals",
                object_id="split_part(_record_id, '-', 1)", has=names,
            )  # fmt: skip
            wanted = connection.sql(sql).to_arrow_table()
        assert 0 < wanted.num_rows < rows.num_rows
        found = lake.rows(location)
        assert [row["_record_id"] for row in found] == sorted(wanted["_record_id"].to_pylist())
        state = lake.states()[day]
        assert (state["before"]["rows"], state["after"]["rows"]) == (rows.num_rows, wanted.num_rows)


@pytest.mark.thorough(
    "tests/contract/lake/test_compaction_kills.py::test_a_compaction_that_dies_at_any_call_hides_and_doubles_no_row",
    why="the protocol dies at every call there, not at random",
)
def test_a_job_that_is_stopped_anywhere_hides_no_row(engine: Engine) -> None:
    """Beside commits and replays; a moment after each stop, and at the end, every row is there once."""
    lake = Lake(engine)
    for number in range(5):
        lake.commit(number, 20)
    chance = random.Random()
    for at in range(2 if FULL else 1):
        run = lake.start(lake.job, Arguments={"--name": f"stopped-{at}"})
        eventually(lambda run=run: lake.state(lake.job, run) != "STARTING", 300)
        until = time.monotonic() + chance.uniform(0, 12)
        number = 10 * (at + 1)
        while time.monotonic() < until and lake.state(lake.job, run) == "RUNNING":
            lake.commit(number, 4)
            lake.commit(at, 20, seed=number)
            number += 1
        lake.glue.batch_stop_job_run(JobName=lake.job, JobRunIds=[run])
        lake.end(lake.job, run)
        for day, location in lake.locations().items():
            assert lake.rows(location) == lake.wanted(day), f"{day} at {location}, {lake.states()[day]}"
    run = lake.compact("last")
    assert run["result"]["dates"]["failed"] == 0, run["said"]
    for day, location in lake.locations().items():
        assert location.startswith("compacted/")
        assert lake.rows(location) == lake.wanted(day)
