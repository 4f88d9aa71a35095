"""Objects of the ledger that wait: for their chunks, or for the notice of their failure."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sluice_pipeline.ledger.items import State

STALLED_SECONDS: Final = 60  # without progress; a message has no sooner been received for the last time
LOOK_BACK_SECONDS: Final = 60 * 60  # for notices that are due; this function runs once a minute


def has_stalled(dynamodb: Any, table: str) -> bool:
    """Whether an object waits for its chunks that has made no progress for STALLED_SECONDS."""
    answer = dynamodb.query(
        **_changed(table, State.PLANNED, "updated_at < :before", before=STALLED_SECONDS), Select="COUNT", Limit=1
    )
    return bool(answer["Count"])


def due_notices(dynamodb: Any, table: str) -> Iterator[str]:
    """The ids of objects whose failure was recorded STALLED_SECONDS ago, and whose notice has not been sent.

    A function that records a failure sends its notice at once, so one that is still due was lost with its function.
    """
    for state in (State.FAILED, State.MISSING):
        within = "updated_at BETWEEN :since AND :before"
        query = _changed(table, state, within, since=LOOK_BACK_SECONDS, before=STALLED_SECONDS)
        pages = dynamodb.get_paginator("query").paginate(**query, FilterExpression="attribute_exists(notice_due)")
        yield from (item["object_id"]["S"] for page in pages for item in page["Items"])


def _changed(table: str, state: State, condition: str, **seconds_ago: int) -> dict[str, Any]:
    """A query of the objects in a state; the condition's values are times so many seconds ago."""
    return {
        "TableName": table,
        "IndexName": "by_state",
        "KeyConditionExpression": f"#state = :state AND {condition}",
        "ExpressionAttributeNames": {"#state": "state"},
        "ExpressionAttributeValues": {":state": {"S": str(state)}}
        | {f":{name}": {"S": _ago(seconds)} for name, seconds in seconds_ago.items()},
    }


def _ago(seconds: int) -> str:
    """A time as the ledger writes it."""
    then = datetime.now(UTC) - timedelta(seconds=seconds)
    return then.isoformat(timespec="milliseconds").replace("+00:00", "Z")
