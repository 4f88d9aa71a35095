"""Several small objects into the warehouse in one transaction: one COPY a table, one commit, and a row of each load.

Nothing is decided here that loading an object alone would decide otherwise. What cannot be settled with the others
(an older run, entities, rows that PostgreSQL refuses) is left out, and the caller loads it alone.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg import sql

from sluice_pipeline.events.committed import Committed, silver_of
from sluice_pipeline.ledger.items import ObjectItem, Output
from sluice_pipeline.ledger.ledger import Ledger
from warehouse.database import OBJECT_ID, Warehouse, silver_table
from warehouse.load.records import Before, Loaded, loaded_before, record
from warehouse.load.silver_rows import Rows, SilverChanged, copy, read

MAXIMUM_BYTES: Final = 16 * 1024 * 1024
"""Of the silver files of a group, which are in memory at one time. An object that has more is loaded alone."""
MAXIMUM_ROWS: Final = 200_000
_THREADS: Final = 4

type Outcome = Loaded | Exception | None
"""None: a newer run has begun."""


@dataclass(frozen=True, slots=True)
class _Part:
    """An object of the group with the rows of its files."""

    committed: Committed
    item: ObjectItem
    files: tuple[tuple[str, Rows], ...]  # table and rows

    @property
    def object_id(self) -> UUID:
        return UUID(self.committed.object_id)

    @property
    def tables(self) -> set[str]:
        return {table for table, _ in self.files}


class Together:
    """``is_alone``: whether an object of this dataset, with rows in these tables, must have its own transaction."""

    def __init__(
        self,
        s3: Any,
        bucket: str,
        ledger: Ledger,
        warehouse: Warehouse,
        is_alone: Callable[[str, Collection[str]], bool],
    ) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._ledger = ledger
        self._warehouse = warehouse
        self._is_alone = is_alone

    def load(self, batch: Iterable[Committed]) -> dict[Committed, Outcome]:
        """What became of those that were settled in one transaction; those that are missing are to be loaded alone.

        A fault of the connection is the outcome of all of them. Whatever else PostgreSQL refuses rolls all back and
        settles none, so each is loaded alone, and the one that it is about fails alone.
        """
        newest: dict[str, Committed] = {}
        for one in batch:
            if one.object_id not in newest or newest[one.object_id].run < one.run:
                newest[one.object_id] = one
        with ThreadPoolExecutor(_THREADS) as threads:
            found = _that_fit([one for one in threads.map(self._outputs, newest.values()) if one])
            if len(found) < 2:
                return {}
            parts = [part for part in threads.map(self._read, found) if part]
            if len(parts) < 2:
                return {}
            try:
                exchanged = self._exchange(parts)
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                return dict.fromkeys((part.committed for part in parts), error)
            except (psycopg.Error, SilverChanged):
                return {}
            return dict(threads.map(self._record, exchanged.items()))

    def _outputs(self, committed: Committed) -> tuple[Committed, ObjectItem, list[Output]] | None:
        """None for an object that is not ready, or too large, or has entities."""
        try:
            silver = silver_of(self._ledger, committed)
        except Exception:  # noqa: BLE001 - loading it alone says why
            return None
        if silver is None or self._is_alone(silver.item["dataset"], {one["dataset"] for one in silver.outputs}):
            return None
        return committed, silver.item, silver.outputs

    def _read(self, one: tuple[Committed, ObjectItem, list[Output]]) -> _Part | None:
        committed, item, outputs = one
        object_id = str(UUID(committed.object_id))
        try:
            rows = [(output["dataset"], read(self._s3, self._bucket, output, object_id)) for output in outputs]
        except Exception:  # noqa: BLE001 - as above
            return None
        return _Part(committed, item, tuple(rows))

    def _exchange(self, parts: Sequence[_Part]) -> dict[Committed, Loaded | None]:
        began = time.monotonic()
        connection = self._warehouse.connection()
        done: dict[Committed, Loaded | None] = {}
        with connection.transaction():
            # In the order of the locks' own keys: two groups that share objects wait for each other without a deadlock.
            connection.execute(
                "SELECT pg_advisory_xact_lock(key) FROM (SELECT DISTINCT hashtextextended(id, 0) AS key "
                "FROM unnest(%s::text[]) AS id ORDER BY key) AS keys",
                ([part.committed.object_id for part in parts],),
            )
            before = loaded_before(connection, [part.object_id for part in parts])
            fresh = []
            for part in parts:
                last = before.get(part.object_id)
                if last is None or last.run < part.committed.run:
                    if last is None or not self._is_alone(part.committed.dataset, last.rows_by_table):
                        fresh.append(part)
                else:
                    done[part.committed] = last.loaded if last.run == part.committed.run else None
            replaced, counts = _write(connection, fresh, before)
            for part in fresh:
                seconds = time.monotonic() - began
                nuls = sum(rows.replaced for _, rows in part.files)
                loaded = Loaded.of(
                    part.committed, counts[part.object_id], len(part.files), replaced[part.object_id], nuls, seconds
                )
                record(connection, part.committed, part.item, loaded)
                done[part.committed] = loaded
        return done

    def _record(self, one: tuple[Committed, Loaded | None]) -> tuple[Committed, Outcome]:
        """The ledger after the database, as for an object that is loaded alone."""
        committed, loaded = one
        try:
            if loaded is not None:
                self._ledger.note_loaded(committed.object_id, committed.run, loaded.rows, loaded.batch_id)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is about this object
            return committed, error
        return committed, loaded


def _that_fit(
    found: list[tuple[Committed, ObjectItem, list[Output]]],
) -> list[tuple[Committed, ObjectItem, list[Output]]]:
    """The first ones that together are within the bounds."""
    fit, size, rows = [], 0, 0
    for one in found:
        more, count = (sum(int(output[name]) for output in one[2]) for name in ("bytes", "rows"))
        if size + more <= MAXIMUM_BYTES and rows + count <= MAXIMUM_ROWS:
            fit.append(one)
            size, rows = size + more, rows + count
    return fit


def _write(
    connection: psycopg.Connection[Any], parts: Sequence[_Part], before: Mapping[UUID, Before]
) -> tuple[dict[UUID, int], dict[UUID, dict[str, int]]]:
    """Rows taken out of each object, and rows written of each by table; tables in the order of their names."""
    replaced: dict[UUID, int] = defaultdict(int)
    counts: dict[UUID, dict[str, int]] = {part.object_id: dict.fromkeys(sorted(part.tables), 0) for part in parts}
    former = {part.object_id: set(before[part.object_id].rows_by_table) for part in parts if part.object_id in before}
    for table in sorted({name for part in parts for name in part.tables}.union(*former.values())):
        # Also of objects without a load before: as when it is loaded alone, rows that no load recorded go.
        ids = [part.object_id for part in parts if table in part.tables or table in former.get(part.object_id, ())]
        gone = connection.execute(
            sql.SQL("WITH gone AS (DELETE FROM {} WHERE {id} = ANY(%s) RETURNING {id}) "
                    "SELECT {id}, count(*) FROM gone GROUP BY {id}").format(
                silver_table(table), id=sql.Identifier(OBJECT_ID)
            ),
            (ids,),
        )  # fmt: skip
        for object_id, rows_gone in gone:
            replaced[object_id] += rows_gone
        by_columns: dict[tuple[str, ...], list[Rows]] = defaultdict(list)
        for part in parts:
            for name, rows in part.files:
                if name == table:
                    by_columns[rows.columns].append(rows)
                    counts[part.object_id][table] += rows.count
        for files in by_columns.values():
            copy(connection, silver_table(table), files)
    return replaced, counts
