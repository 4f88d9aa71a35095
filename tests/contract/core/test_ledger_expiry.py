"""The ledger's time to live on DynamoDB: what has expired is read until it is deleted, and no reader knows it.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html: a number in seconds; nothing is
deleted that expired more than five years ago; an item is read, and in the indexes, until it is deleted.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html: within a few days
"""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sluice.pipeline.ledger import LedgerView
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.dynamo.table import Table
from sluice_pipeline.ledger import shards
from sluice_pipeline.ledger.contents import CONTENT_SK, content_pk
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.expiry import Expiry
from sluice_pipeline.ledger.items import EXPIRES_AT, OBJECT_SK, object_pk
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.returning import Returning
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from sluice_pipeline.runtime import clock
from tests.support.engine_harness import Engine, eventually
from tests.support.ledger_table import ledger_table

RULES = RulesVersion("0" * 64, "v1")
DAYS = 40


@pytest.fixture
def db(engine: Engine) -> Any:
    return engine.client("dynamodb")


@pytest.fixture
def table(db: Any) -> Iterator[Table]:
    with ledger_table(db) as name:
        table = Table(db, name)
        table.update(*shards.HEAD, "SET #complete = :yes", "", {":yes": True})
        yield table


def committed(ledger: Ledger, name: str, count: int) -> ObjectRef:
    ref = ObjectRef("b", f"bronze/shipments/{name}.jsonl", "v1", "e1", count)
    chunks = [Chunk(n, n, n + 1, count) for n in range(count)]
    assert ledger.create_plan(ref, ref.as_origin(), "shipments", chunks, RULES, f"content-{name}")
    for chunk in chunks:
        ledger.complete_chunk(ref.as_origin().object_id, chunk, 1, ChunkResult(0, [], []))
    ledger.claim_commit(ref.as_origin().object_id, chunks[-1].index)
    assert ledger.commit(ref.as_origin().object_id, 1)
    return ref


def test_an_object_expires_with_its_chunks_and_what_is_younger_stays(
    db: Any, table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One in one transaction, and one that needs two; both can be planned again, in newer runs."""
    ledger, view = Ledger(db, table.name), LedgerView(db, table.name)
    for module in ("ledger.planning", "ledger.expiry", "dynamo.table"):
        monkeypatch.setattr(f"sluice_pipeline.{module}.TRANSACTION_LIMIT", 4)
    with monkeypatch.context() as then:
        then.setattr(clock, "present", lambda: datetime.now(UTC) - timedelta(days=DAYS, hours=1))
        old = [committed(ledger, "a", 1), committed(ledger, "b", 5)]
    young = committed(ledger, "c", 2)
    ids = [ref.as_origin().object_id for ref in old]
    assert Expiry(db, table.name, DAYS).run(lambda: False) == 2
    for object_id, name, count in zip(ids, "ab", (1, 5), strict=True):
        places = [*((object_pk(object_id), str(item["sk"])) for item in table.query(object_pk(object_id)))]
        places.append((content_pk(f"content-{name}"), CONTENT_SK))
        assert len(places) == count + 2
        moments = {int((table.get(*place) or {})[EXPIRES_AT]) for place in places}
        [moment] = moments
        assert abs(moment - time.time()) < 100, "in seconds"
    # They are there, and no reader sees them.
    assert ledger.object(ids[0]) is None
    assert view.outlines().entries.keys() == {young.as_origin().object_id}
    assert [item["object_id"] for item in view.received("shipments")] == [young.as_origin().object_id]
    assert view.count("committed") == 1
    chunks = [Chunk(n, n, n + 1, 5) for n in range(5)]
    again = old[1]
    returns = Returning(9, clock.now())
    made = ledger.create_plan(again, again.as_origin(), "shipments", chunks, RULES, "content-b", returns=returns)
    assert made is not None
    assert [(int(chunk["run"]), EXPIRES_AT in chunk) for chunk in ledger.chunks(ids[1])] == [(9, False)] * 5
    # DynamoDB deletes the others.
    specification = {"Enabled": True, "AttributeName": EXPIRES_AT}
    db.update_time_to_live(TableName=table.name, TimeToLiveSpecification=specification)
    eventually(lambda: not list(table.query(object_pk(ids[0]))), 20, "the object's items to be deleted")
    assert len(list(ledger.chunks(ids[1]))) == 5
    assert table.get(content_pk("content-b"), CONTENT_SK)
    assert table.get(object_pk(young.as_origin().object_id), OBJECT_SK)


def test_an_item_whose_time_is_over_is_read_until_it_is_deleted(db: Any, table: Table) -> None:
    """Also through an index; nothing is deleted of a table without the setting."""
    now = int(time.time())
    item = {"pk": "object#a", "sk": OBJECT_SK, "object_id": "a", "open_in": "expired#0", "updated_at": clock.now()}
    table.put_all([item | {EXPIRES_AT: now - 100}])
    assert table.get("object#a", OBJECT_SK)
    asked = {"TableName": table.name, "IndexName": shards.OPEN.name, "KeyConditionExpression": "open_in = :key"}
    assert db.query(**asked, ExpressionAttributeValues={":key": {"S": "expired#0"}})["Count"] == 1
