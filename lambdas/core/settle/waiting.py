"""Objects of the ledger that wait: for their chunks, or for the notice of their failure."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from sluice_pipeline.ledger.indexes import Indexes, of_state
from sluice_pipeline.ledger.items import State
from sluice_pipeline.runtime import clock

STALLED_SECONDS: Final = 60  # without progress; a message has no sooner been received for the last time
LOOK_BACK_SECONDS: Final = 60 * 60  # for notices that are due; this function runs once a minute


class Waiting:
    """The ledger as its indexes show it; made for one look."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb = dynamodb
        self._table = table
        self._indexes = Indexes(dynamodb, table)

    @property
    def all_is_indexed(self) -> bool:
        return self._indexes.complete

    def has_stalled(self) -> bool:
        """Whether an object waits for its chunks that has made no progress for STALLED_SECONDS."""
        stalled = self._indexes.requests(of_state(State.PLANNED, until=_ago(STALLED_SECONDS)))
        return any(
            self._dynamodb.query(TableName=self._table, **request, Select="COUNT", Limit=1)["Count"]
            for request in stalled
        )

    def due_notices(self) -> Iterator[str]:
        """The ids of objects whose failure was recorded STALLED_SECONDS ago, and whose notice has not been sent.

        A function that records a failure sends its notice at once, so one that is still due was lost with its function.
        """
        pages = self._dynamodb.get_paginator("query")
        for state in (State.FAILED, State.MISSING):
            within = of_state(state, since=_ago(LOOK_BACK_SECONDS), until=_ago(STALLED_SECONDS))
            for request in self._indexes.requests(within):
                due = {"TableName": self._table, "FilterExpression": "attribute_exists(notice_due)"}
                yield from (
                    item["object_id"]["S"] for page in pages.paginate(**request, **due) for item in page["Items"]
                )


def _ago(seconds: int) -> str:
    """A time as the ledger writes it."""
    return clock.written(clock.present() - timedelta(seconds=seconds))
