"""Control totals: a file's summary compared with the rows that were loaded from the file.

They are compared in the load's own transaction. A difference is then written to quarantine, where it stays until a run
of the object agrees, and one notice is sent. Both are done under the object's lock, and the next delivery repeats them
when the function dies: the notice is sent before it is recorded, so it may be sent twice then, but is never lost.
"""

import json
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from sluice_pipeline.catalog.datasets import Catalog
from sluice_pipeline.ledger.items import ObjectItem
from sluice_pipeline.notices.notices import Notices
from sluice_pipeline.objects.failures import Reason
from sluice_pipeline.objects.keys import totals_key
from warehouse.database import LINEAGE, OBJECT_ID, OFFSET, Warehouse, silver_table
from warehouse.entities.model import Totals
from warehouse.entities.schema import ENTITY
from warehouse.notices import notify_control_totals


class ControlTotals:
    def __init__(self, s3: Any, bucket: str, notices: Notices, warehouse: Warehouse, catalog: Catalog) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._notices = notices
        self._warehouse = warehouse
        self._totals = {name: found.totals for name, found in ENTITY.all(catalog).items() if found.totals is not None}

    def applies_to(self, dataset: str) -> bool:
        """Whether the files of a dataset have summaries."""
        return dataset in self._totals

    def compare(self, connection: psycopg.Connection[Any], object_id: UUID, run: int, item: ObjectItem) -> None:
        """Records what differs in the run that this transaction loads; of a dataset without totals, nothing."""
        totals = self._totals.get(item["dataset"])
        if totals is None:
            return
        summaries = _summaries(connection, totals, object_id)
        loaded = _loaded(connection, item["dataset"], totals, object_id)
        entries = [
            _entry(item, totals.dataset, summary, differing)
            for summary, differing in _differing(totals, summaries, loaded)
        ]
        connection.execute(
            "INSERT INTO control.totals (object_id, run, dataset, summaries, differences) VALUES (%s, %s, %s, %s, %s)",
            (object_id, run, item["dataset"], len(summaries), Jsonb(entries)),
        )

    def settle(self, object_id: UUID, run: int, item: ObjectItem) -> int:
        """Writes the run's differences to quarantine and notifies once; the number of differences.

        Safe to repeat; a run that is no longer the newest changes nothing.
        """
        if not self.applies_to(item["dataset"]):
            return 0
        connection = self._warehouse.connection()
        with connection.transaction():
            connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (item["object_id"],))
            found = connection.execute(
                "SELECT run, differences, told_at, EXISTS (SELECT FROM control.totals AS before WHERE "
                "before.object_id = t.object_id AND before.run < t.run AND before.differences <> '[]') "
                "FROM control.totals AS t WHERE object_id = %s ORDER BY run DESC LIMIT 1",
                (object_id,),
            ).fetchone()
            if found is None or found[0] != run:
                return 0
            _, entries, told_at, differed_before = found
            key = totals_key(item["dataset"], item["object_id"])
            if entries:
                body = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
                self._s3.put_object(Bucket=self._bucket, Key=key, Body=body.encode())
            elif differed_before:
                self._s3.delete_object(Bucket=self._bucket, Key=key)
            if entries and told_at is None:
                notify_control_totals(self._notices, item, run, [_shown(entry) for entry in entries])
                connection.execute(
                    "UPDATE control.totals SET told_at = now() WHERE object_id = %s AND run = %s", (object_id, run)
                )
        return len(entries)


def _summaries(connection: psycopg.Connection[Any], totals: Totals, object_id: UUID) -> list[dict[str, Any]]:
    """The object's summaries, in the order in which they stand in it."""
    rows = connection.cursor(row_factory=dict_row).execute(
        sql.SQL("SELECT * FROM {} WHERE {} = %s ORDER BY {}").format(
            silver_table(totals.dataset), sql.Identifier(OBJECT_ID), sql.Identifier(OFFSET)
        ),
        (object_id,),
    )
    return list(rows)


def _loaded(
    connection: psycopg.Connection[Any], dataset: str, totals: Totals, object_id: UUID
) -> dict[str, tuple[str, Decimal]]:
    """Field of the summary -> what it counts or sums up, and what the object's rows give."""
    sums = [sql.SQL("coalesce(sum({}::numeric), 0)").format(sql.Identifier(name)) for name, _ in totals.sums]
    row = connection.execute(
        sql.SQL("SELECT {} FROM {} WHERE {} = %s").format(
            sql.SQL(", ").join([sql.SQL("count(*)::numeric"), *sums]), silver_table(dataset), sql.Identifier(OBJECT_ID)
        ),
        (object_id,),
    ).fetchone()
    values = list(row or ())
    found = {totals.records: ("rows", values[0])} if totals.records else {}
    return found | {of: (f"sum of {name}", value) for (name, of), value in zip(totals.sums, values[1:], strict=True)}


type Differing = tuple[dict[str, Any] | None, list[tuple[str, str, str, str]]]
"""A summary (None: there is none), and of its fields that differ: name, what it is about, declared, loaded."""


def _differing(
    totals: Totals, summaries: list[dict[str, Any]], loaded: dict[str, tuple[str, Decimal]]
) -> list[Differing]:
    if not summaries:
        return [(None, [("", "summaries", "1", "0")])] if totals.required else []
    found: list[Differing] = []
    for summary in summaries:
        # A summary may leave out what it does not sum up.
        wrong = [
            (of, what, str(summary[of]), str(value))
            for of, (what, value) in loaded.items()
            if summary[of] is not None and Decimal(str(summary[of])) != value
        ]
        if wrong:
            found.append((summary, wrong))
    if len(summaries) > 1:
        found.append((summaries[-1], [("", "summaries", "1", str(len(summaries)))]))
    return found


def _entry(
    item: ObjectItem, dataset: str, summary: dict[str, Any] | None, differing: list[tuple[str, str, str, str]]
) -> dict[str, Any]:
    """A quarantine entry in the form that transform gives to a row's, with what differs."""
    declared = {name: value for name, value in (summary or {}).items() if name not in LINEAGE and value is not None}
    raw = json.dumps(declared, default=str, ensure_ascii=False)
    offset = int(summary[OFFSET]) if summary else 0
    field = differing[0][0]
    return {
        "record_id": f"{item['object_id']}-{offset}-totals" + ("" if field else "-count"),
        "object_id": item["object_id"],
        "dataset": item["dataset"],
        "source_key": item["origin"]["key"],
        "source_version": item["origin"].get("version_id", ""),
        "offset": offset,
        "length": len(raw.encode()),
        "field": field,
        "reason": Reason.CONTROL_TOTALS,
        "errors": [{"field": name, "reason": Reason.CONTROL_TOTALS} for name, *_ in differing],
        "summary_of": dataset,
        "differences": [
            {"field": name, "what": what, "declared": declared, "loaded": loaded}
            for name, what, declared, loaded in differing
        ],
        "rows_quarantined": int(item["rows_quarantined"]),
        "raw": raw,
    }


def _shown(entry: dict[str, Any]) -> str:
    parts = [f"{one['what']}: {one['declared']} declared, {one['loaded']} loaded" for one in entry["differences"]]
    return "; ".join(parts)
