"""A table with the ledger's keys and indexes, as infra/stack/storage.tf makes it (tests/infra compares them)."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sluice_pipeline.ledger.shards import COMMITTED, OPEN, RECEIVED

INCLUDED = {
    OPEN: ("object_id", "failed_reason", "notice_due"),
    COMMITTED: ("object_id", "run", "rows_in"),
    RECEIVED: ("object_id", "dataset", "origin", "key"),
}
"""What each index has beside its keys and the table's."""


@contextmanager
def ledger_table(db: Any) -> Iterator[str]:
    """The name of such a table, which is deleted at the end."""
    name = f"ledger-{uuid.uuid4().hex[:8]}"
    named = dict.fromkeys(("pk", "sk", *(key for index in INCLUDED for key in (index.key, index.order))))
    db.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=_keys("pk", "sk"),
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in named],
        GlobalSecondaryIndexes=[
            {
                "IndexName": index.name,
                "KeySchema": _keys(index.key, index.order),
                "Projection": {"ProjectionType": "INCLUDE", "NonKeyAttributes": list(included)},
            }
            for index, included in INCLUDED.items()
        ],
    )
    yield name
    db.delete_table(TableName=name)


def _keys(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ("HASH", "RANGE"), strict=True)]
