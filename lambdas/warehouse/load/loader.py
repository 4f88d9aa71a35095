"""One object into the warehouse: its rows are put in the place of its former ones by COPY, in one transaction."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql

from sluice_pipeline.events.committed import Committed, silver_of
from sluice_pipeline.ledger.items import ObjectItem, Output
from sluice_pipeline.ledger.ledger import Ledger
from warehouse.database import OBJECT_ID, Warehouse, silver_table
from warehouse.entities.canonical import NOTHING, Canonical
from warehouse.entities.totals import ControlTotals
from warehouse.load.records import Loaded, loaded_before, record
from warehouse.load.silver_rows import copy, read_ahead
from warehouse.load.together import Outcome, Together

_STAGE: Final = sql.Identifier("stage")


@dataclass(frozen=True, slots=True)
class Entities:
    """What canonical_enabled adds to a load, made of the datasets that are in service."""

    canonical: Canonical
    totals: ControlTotals

    def are_in(self, dataset: str, tables: Iterable[str]) -> bool:
        """Whether an object of this dataset, with rows in these tables, has entities or control totals."""
        return self.totals.applies_to(dataset) or self.canonical.applies_to(tables)


class Loader:
    """``entities`` is asked for each object; None when canonical_enabled is off."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        ledger: Ledger,
        warehouse: Warehouse,
        entities: Callable[[], Entities] | None = None,
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._ledger = ledger
        self._warehouse = warehouse
        self._entities = entities
        self._together = Together(s3, bucket, ledger, warehouse, self._has_entities)

    def _has_entities(self, dataset: str, tables: Collection[str]) -> bool:
        return self._entities is not None and self._entities().are_in(dataset, tables)

    def load_together(self, batch: Iterable[Committed]) -> dict[Committed, Outcome]:
        """Loads in one transaction what can be; those that are missing in the answer are to be loaded alone.

        Entities never are: two objects may have the same ones, which each transaction locks in one order only.
        """
        return self._together.load(batch)

    def load(self, committed: Committed) -> Loaded | None:
        """Loads a run once, however often its announcement is delivered; None when a newer run has replaced it.

        Raises:
            NotCommitted: the ledger is behind the event.
            DatasetsUnavailable, DatasetsUnreadable: the datasets cannot be read.
            SilverChanged: the files are being rewritten; the next delivery finds why.
            psycopg.Error: nothing has been changed.
        """
        silver = silver_of(self._ledger, committed)
        if silver is None:
            return None
        outputs: dict[str, list[Output]] = defaultdict(list)
        for output in silver.outputs:
            outputs[output["dataset"]].append(output)
        entities = self._entities() if self._entities else None
        loaded = self._exchange(committed, silver.item, outputs, entities)
        if loaded is None:
            return None
        if entities is not None:
            differing = entities.totals.settle(UUID(committed.object_id), committed.run, silver.item)
            loaded = replace(loaded, totals_differing=differing)
        # After the database: a function that dies in between is called again, finds the rows loaded, and records them.
        self._ledger.note_loaded(committed.object_id, committed.run, loaded.rows, loaded.batch_id)
        return loaded

    def _exchange(
        self, committed: Committed, item: ObjectItem, outputs: dict[str, list[Output]], entities: Entities | None
    ) -> Loaded | None:
        began = time.monotonic()
        object_id = UUID(committed.object_id)
        connection = self._warehouse.connection()
        with connection.transaction():
            # Two deliveries of an object, of one run or of two: one after the other.
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (committed.object_id,))
            before = loaded_before(connection, [object_id]).get(object_id)
            if before is not None and before.run > committed.run:
                return None
            if before is not None and before.run == committed.run:
                return before.loaded
            former = set(before.rows_by_table) if before else set()
            replaced, nuls, counts = 0, 0, {}
            canonical = entities.canonical if entities else None
            if canonical and not canonical.applies_to({*outputs, *former}):
                canonical = None
            if canonical:
                canonical.begin(connection)
            for table in sorted(outputs):
                replaced += _delete(connection, table, object_id)
                if canonical and canonical.applies_to([table]):
                    counts[table], copied_nuls = self._staged(connection, table, object_id, outputs[table], canonical)
                else:
                    target = silver_table(table)
                    counts[table], copied_nuls = self._copied(connection, target, object_id, outputs[table])
                nuls += copied_nuls
            for table in sorted(former - set(outputs)):
                replaced += _delete(connection, table, object_id)
            written = NOTHING
            if canonical:
                received_at = datetime.fromisoformat(item["received_at"])
                written = canonical.write(connection, object_id, received_at, again=before is not None)
            if entities is not None:
                entities.totals.compare(connection, object_id, committed.run, item)
            files, seconds = sum(map(len, outputs.values())), time.monotonic() - began
            loaded = replace(Loaded.of(committed, counts, files, replaced, nuls, seconds), entities=written)
            record(connection, committed, item, loaded)
        return loaded

    def _staged(
        self,
        connection: psycopg.Connection[Any],
        table: str,
        object_id: UUID,
        outputs: list[Output],
        canonical: Canonical,
    ) -> tuple[int, int]:
        """As _copied, by a temporary table, in which the entities of the rows are looked for."""
        connection.execute(
            sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {}) ON COMMIT DROP").format(_STAGE, silver_table(table))
        )
        found = self._copied(connection, _STAGE, object_id, outputs)
        connection.execute(sql.SQL("INSERT INTO {} SELECT * FROM {}").format(silver_table(table), _STAGE))
        canonical.collect(connection, table, _STAGE)
        connection.execute(sql.SQL("DROP TABLE {}").format(_STAGE))
        return found

    def _copied(
        self, connection: psycopg.Connection[Any], target: sql.Identifier, object_id: UUID, outputs: list[Output]
    ) -> tuple[int, int]:
        """Copies the files into a table; rows, and NUL characters that were replaced.

        No other transaction waits while a file is read: what is locked is the object, and rows of it.
        """
        count = nuls = 0
        for rows in read_ahead(self._s3, self._bucket, outputs, str(object_id)):
            copy(connection, target, [rows])
            count, nuls = count + rows.count, nuls + rows.replaced
        return count, nuls


def _delete(connection: psycopg.Connection[Any], table: str, object_id: UUID) -> int:
    statement = sql.SQL("DELETE FROM {} WHERE {} = %s").format(silver_table(table), sql.Identifier(OBJECT_ID))
    return connection.execute(statement, (object_id,)).rowcount
