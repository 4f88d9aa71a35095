"""Compaction of the deployed lake by its Spark job: the same rows in fewer files, also beside a replay."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fixtures import shipping
from sluice.branches.lake.compactions import Compactions
from sluice.pipeline import replay as replaying
from sluice.pipeline.replay import Replays
from tests.support.lake import Lake
from tests.support.pipeline import Pipeline, Put
from tests.support.spark import needs_java

pytestmark = [
    pytest.mark.usefixtures("lake_deployed", "glue_jobs"),
    pytest.mark.timeout(900),
    needs_java,
]
OBJECTS = 6


def day_of(run: str) -> str:
    """A date of this test alone, before all fixtures."""
    return f"{datetime(1200, 1, 1, tzinfo=UTC) + timedelta(days=int(run, 16) % 90_000):%Y-%m-%d}"


def put(pipe: Pipeline, number: int) -> Put:
    rows: list[dict[str, Any]] = [
        row | {"shipment_id": f"{pipe.run}-{number}-{at}", "event_time": f"{day_of(pipe.run)}T0{at}:00:00.250Z"}
        for at, row in enumerate(shipping.records("shipments")[:5])
    ]
    return pipe.put("shipments", "".join(json.dumps(row) + "\n" for row in rows).encode(), f"{number}.jsonl")


def test_athena_has_the_same_rows_before_and_after_and_beside_a_replay(pipe: Pipeline) -> None:
    lake, compactions, day = Lake(pipe), Compactions(pipe.stack), day_of(pipe.run)
    puts = [put(pipe, number) for number in range(OBJECTS)]
    for one in puts:
        lake.registered(one)
    sql = f"SELECT * FROM shipments WHERE dt = DATE '{day}' ORDER BY _record_id"
    before = lake.ask(sql)
    assert len(before) == 5 * OBJECTS

    ended = compactions.follow(compactions.start("shipments", day))
    assert (ended.status, ended.cause) == ("SUCCEEDED", "")
    assert ended.result is not None
    (outcome,) = ended.result["outcomes"]
    assert (outcome["done"], outcome["before"]["files"], outcome["after"]["files"]) == ("compacted", OBJECTS, 1)
    assert outcome["before"]["rows"] == outcome["after"]["rows"] == len(before)
    assert f"/compacted/shipments/dt={day}/" in lake.partitions("shipments")[day]
    assert lake.ask(sql) == before

    # A replay beside the next compaction: in either order every row is there once.
    replays = Replays(pipe.stack)
    name = compactions.start("shipments", day)
    replays.follow(replays.start(replaying.request(prefix=puts[0].ref.key, id=pipe.run)), lambda _done, _total: None)
    lake.registered(puts[0], run=2)
    assert compactions.follow(name).status == "SUCCEEDED"
    lake.idle()
    assert lake.ask(sql) == before
    last = compactions.follow(compactions.start("shipments", day))
    assert last.result is not None
    assert [one["done"] for one in last.result["outcomes"]] in (["compacted"], ["current"])
    assert lake.ask(sql) == before


def test_a_date_that_cannot_be_read_stays_at_silver_and_is_notified(pipe: Pipeline) -> None:
    """The rows are those of silver all the time."""
    lake, compactions, day = Lake(pipe), Compactions(pipe.stack), day_of(pipe.run)
    puts = [put(pipe, number) for number in range(OBJECTS)]
    for one in puts:
        lake.registered(one)
    pipe.s3.put_object(
        Bucket=pipe.stack["silver_bucket"], Key=f"silver/shipments/dt={day}/rubbish-00001.parquet", Body=b"rubbish"
    )
    try:
        ended = compactions.follow(compactions.start("shipments", day))
    finally:
        pipe.s3.delete_object(
            Bucket=pipe.stack["silver_bucket"], Key=f"silver/shipments/dt={day}/rubbish-00001.parquet"
        )
    assert ended.status == "FAILED"
    assert "1 dates failed, first shipments" in ended.cause
    found = [one for one in pipe.mail.notices(kind="compaction.failed") if ended.name in one["look"]]
    assert len(found) == 1
    assert f"/silver/shipments/dt={day}/" in lake.partitions("shipments")[day]
    assert lake.ask(f"SELECT count(*) FROM shipments WHERE dt = DATE '{day}'") == [(5 * OBJECTS,)]
