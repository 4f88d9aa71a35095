"""What the ledger has not finished yet."""

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from sluice_pipeline.ledger.indexes import Indexes, of_state
from sluice_pipeline.ledger.items import State

COUNTED: Final = 10_000  # objects of a state at most; a larger backlog says no more and costs reads


@dataclass(frozen=True, slots=True)
class Backlog:
    """``oldest_seconds``: how long the object that has waited longest has made no progress; 0 without objects."""

    objects: int
    oldest_seconds: float


def read_backlog(dynamodb: Any, table: str, now: datetime) -> Backlog:
    """Counts what is planned, committing or staged; each shard of the index gives its longest waiting object first."""
    objects, oldest = 0, now
    indexes = Indexes(dynamodb, table)
    for state in (State.PLANNED, State.COMMITTING, State.STAGED):
        for request in indexes.requests(of_state(state)):
            pages = dynamodb.get_paginator("query").paginate(
                TableName=table,
                **request,
                ProjectionExpression="updated_at",
                PaginationConfig={"MaxItems": math.ceil(COUNTED / indexes.shards)},
            )
            for page in pages:
                objects += len(page["Items"])
                for item in page["Items"][:1]:
                    oldest = min(oldest, _time(item["updated_at"]["S"]))
    return Backlog(objects, (now - oldest).total_seconds())


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
