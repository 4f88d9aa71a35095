"""What an object's writes to the ledger and to the idempotency table cost, against what `sluice bench scale` takes.

Item sizes: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
"""

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)

from sluice.bench import scale
from sluice_ext.dynamodb.values import size_of
from sluice_pipeline.catalog.rules import RulesVersion
from sluice_pipeline.ledger.contents import CONTENT_SK, content_pk
from sluice_pipeline.ledger.counting import ChunkResult
from sluice_pipeline.ledger.items import OBJECT_SK, Output, chunk_sk, object_pk
from sluice_pipeline.ledger.ledger import Ledger
from sluice_pipeline.ledger.shards import COMMITTED, OPEN
from sluice_pipeline.objects.chunks import Chunk
from sluice_pipeline.objects.identity import ObjectRef
from tests.support.engine_harness import Engine
from tests.support.handlers import Context
from tests.support.ledger_table import ledger_table

DATE = "2026-11-26"
REF = ObjectRef(
    bucket="sluice-prod-bronze-123456789012",
    key=f"bronze/shipments/dt={DATE}/part-00042-7c9e6679-7425-40de-944b.jsonl",
    version_id="3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH",
    etag="9b2cf535f27731c974343645a3985328",
    size=1_000_000,
)
"""Names as long as those of an ordinary prod deployment."""
ORIGIN = REF.as_origin()
CONTENT_ID = "0" * 32
RULES = RulesVersion("0" * 64, "3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrH")
SHARDS = 8
"""As prod.tfvars has it."""


def keys(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=False)]


@pytest.fixture
def db(engine: Engine) -> Any:
    return engine.client("dynamodb")


@pytest.fixture
def table(db: Any) -> Iterator[str]:
    with ledger_table(db) as name:
        yield name


class Counting:
    """A client that adds up the capacity units of its writes: of the table, and of each index."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.units: dict[str, float] = {}

    def update_item(self, **request: Any) -> Any:
        answer = self._client.update_item(**request, ReturnConsumedCapacity="INDEXES")
        if request["Key"]["pk"]["S"] != object_pk(ORIGIN.object_id):
            return answer  # the number of shards, once for each environment of a function
        used = answer["ConsumedCapacity"]
        found = {"table": used["Table"], **used.get("GlobalSecondaryIndexes", {})}
        for name, amount in found.items():
            self.units[name] = self.units.get(name, 0) + amount["CapacityUnits"]
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


def sizes(db: Any, table: str) -> tuple[int, int]:
    """Bytes of the object's item and of its chunk's."""
    found = [
        db.get_item(TableName=table, Key={"pk": {"S": object_pk(ORIGIN.object_id)}, "sk": {"S": sk}})["Item"]
        for sk in (OBJECT_SK, chunk_sk(0))
    ]
    return size_of(found[0]), size_of(found[1])


def test_the_items_of_an_object_are_as_large_as_the_simulation_takes_them(db: Any, table: str) -> None:
    client = Counting(db)
    ledger, chunk, seen = Ledger(client, table, SHARDS), Chunk(0, 0, REF.size, 1), []
    assert ledger.create_plan(REF, ORIGIN, "shipments", [chunk], RULES, CONTENT_ID)
    content = db.get_item(TableName=table, Key={"pk": {"S": content_pk(CONTENT_ID)}, "sk": {"S": CONTENT_SK}})
    assert size_of(content["Item"]) == scale.CONTENT
    seen.append(sizes(db, table))
    key = f"silver/shipments/dt={DATE}/{ORIGIN.object_id}-00000.parquet"
    output = Output(key=key, dataset="shipments", dt=DATE, rows=5_000, bytes=250_000)
    assert ledger.complete_chunk(ORIGIN.object_id, chunk, 1, ChunkResult(5_000, [output], []))
    seen.append(sizes(db, table))
    assert ledger.commit(ORIGIN.object_id, 1)
    seen.append(sizes(db, table))
    assert ledger.note_loaded(ORIGIN.object_id, 1, 5_000, str(uuid.uuid4()))
    seen.append(sizes(db, table))
    assert [item for item, _ in seen] == [scale.PLANNED, scale.COUNTED, scale.COMMITTED, scale.LOADED]
    assert [part for _, part in seen] == [scale.CHUNK_PLANNED, *[scale.CHUNK_DONE] * 3]
    # What the engine counted for the last two writes, which are no transactions.
    expected = scale.ledger_units(scale.writes(1)[2:])
    assert expected.received == 0, "an index that nothing changes is not written, and not named"
    [left] = expected.open.values()
    assert client.units == {"table": expected.table, OPEN.name: left, COMMITTED.name: expected.committed}


def test_the_record_of_an_event_is_as_large_as_the_simulation_takes_it(
    db: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"idempotency-{uuid.uuid4().hex[:8]}"
    attributes = [{"AttributeName": "id", "AttributeType": "S"}]
    db.create_table(
        TableName=name, BillingMode="PAY_PER_REQUEST", KeySchema=keys("id"), AttributeDefinitions=attributes
    )
    found = []

    def plan_once(*, uri: str) -> dict[str, Any]:
        found.extend(db.scan(TableName=name)["Items"])
        return {"object_id": ORIGIN.object_id, "version_id": REF.version_id, "sent": 1}

    # Names of a function and a module as long as ingest's; the record's id has them.
    plan_once.__module__, plan_once.__qualname__ = "core.ingest.handler", "plan_once"
    store = DynamoDBPersistenceLayer(table_name=name, boto3_client=db)
    once, context = IdempotencyConfig(expires_after_seconds=60), Context()
    once.register_lambda_context(context)
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "sluice-prod-ingest")
    try:
        planned = idempotent_function(plan_once, data_keyword_argument="uri", persistence_store=store, config=once)
        planned(uri=ORIGIN.uri)
        found.extend(db.scan(TableName=name)["Items"])
    finally:
        db.delete_table(TableName=name)
    assert tuple(size_of(_without_last_zeros(item)) for item in found) == scale.RECORD_BYTES


def _without_last_zeros(item: dict[str, Any]) -> dict[str, Any]:
    """The item at a moment that does not end with zeros: DynamoDB does not store those, so it would be shorter."""
    return {
        name: {"N": re.sub("0+$", lambda zeros: "1" * len(zeros[0]), value["N"])} if "N" in value else value
        for name, value in item.items()
    }
