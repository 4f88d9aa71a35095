"""What the warehouse records of a load: one row of control.loads for each run of an object."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Self
from uuid import UUID, uuid5

import psycopg
from psycopg.types.json import Jsonb

from sluice_pipeline.events.committed import Committed
from sluice_pipeline.ledger.items import ObjectItem
from warehouse.entities.canonical import NOTHING, Written


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the warehouse holds of an object. ``fresh``: this delivery loaded it. ``replaced``: rows it took out.

    ``seconds``: from the lock on, of the transaction, which may be that of several objects.
    """

    batch_id: str
    rows: int
    rows_by_table: Mapping[str, int]
    files: int
    fresh: bool
    replaced: int = 0
    nuls: int = 0
    entities: Written = NOTHING
    totals_differing: int = 0
    seconds: float = 0.0

    @classmethod
    def of(
        cls, run: Committed, counts: Mapping[str, int], files: int, replaced: int, nuls: int, seconds: float
    ) -> Self:
        """A fresh load of a run; ``counts``: its rows by table."""
        batch_id = uuid5(UUID(run.object_id), f"run {run.run}")
        return cls(
            str(batch_id), sum(counts.values()), counts, files, True, replaced=replaced, nuls=nuls, seconds=seconds
        )


class Before(NamedTuple):
    """The newest run of an object that was loaded."""

    run: int
    batch_id: UUID
    rows: int
    rows_by_table: Mapping[str, int]
    files: int

    @property
    def loaded(self) -> Loaded:
        """As the next delivery of that run finds it."""
        return Loaded(str(self.batch_id), self.rows, self.rows_by_table, self.files, fresh=False)


def loaded_before(connection: psycopg.Connection[Any], object_ids: Sequence[UUID]) -> dict[UUID, Before]:
    """The newest loaded run of each of these objects that has one. The caller holds their locks."""
    found = connection.execute(
        "SELECT DISTINCT ON (object_id) object_id, run, batch_id, rows, rows_by_table, files FROM control.loads "
        "WHERE object_id = ANY(%s) ORDER BY object_id, run DESC",
        (list(object_ids),),
    )
    return {object_id: Before(*values) for object_id, *values in found}


def record(connection: psycopg.Connection[Any], committed: Committed, item: ObjectItem, loaded: Loaded) -> None:
    """Records a fresh load, in the transaction that wrote its rows."""
    connection.execute(
        "INSERT INTO control.loads (object_id, run, batch_id, dataset, source_key, rows, rows_by_table, "
        "rows_replaced, files, seconds, received_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            UUID(committed.object_id), committed.run, UUID(loaded.batch_id), committed.dataset, committed.source_key,
            loaded.rows, Jsonb(dict(loaded.rows_by_table)), loaded.replaced, loaded.files, loaded.seconds,
            datetime.fromisoformat(item["received_at"]),
        ),
    )  # fmt: skip
