"""The reconciliation itself, on plain values: source = ledger = silver + quarantine, object by object.

Nothing here talks to AWS. ``verify`` collects the snapshot, this module says what does not agree and how to repair it.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sluice.pipeline.ledger import Entry, Item
from sluice.pipeline.row_ids import RowIds
from sluice.pipeline.storage import Version, owner_of
from sluice_pipeline.ledger.items import FINAL, ChunkState, State, chunk_number


@dataclass(frozen=True)
class Difference:
    """One thing that does not agree: the object or file, what is wrong with it, and the command that repairs it."""

    object: str
    what: str
    repair: str

    def line(self) -> str:
        return f"{self.object}: {self.what}; repair: {self.repair}"


@dataclass(frozen=True)
class Source:
    """What the bronze object itself says. ``rows`` is None when it cannot be counted, and ``note`` says why."""

    rows: int | None
    note: str = ""


@dataclass(frozen=True)
class Buckets:
    """``staging``: of rows that wait for the quality gate, or did not pass it; empty where there is no gate."""

    bronze: str
    silver: str
    quarantine: str
    staging: str = ""


@dataclass(frozen=True)
class ObjectResult:
    """One line of the report; None where there is nothing to count."""

    object_id: str
    dataset: str
    key: str
    state: str
    reason: str
    source: int | None
    ledger: int
    silver: int
    quarantine: int
    differences: tuple[Difference, ...]
    staged: int = 0
    """Rows in the staging bucket, which are not in silver."""

    @property
    def ok(self) -> bool:
        """Whether nothing differs. A failed or withheld object may be: the ledger says why its rows are not visible."""
        return not self.differences

    @property
    def ingested(self) -> bool:
        """Whether its rows are in silver and quarantine."""
        return self.state == State.COMMITTED


@dataclass
class Found:
    """What was read for one ledger object."""

    source: Source
    silver: Mapping[str, int] = field(default_factory=dict)
    """Rows of the silver files that the ledger names and that exist, by key; staged ones are in staging."""
    quarantine: Mapping[str, int] = field(default_factory=dict)
    ids: RowIds | None = None
    """Of all these rows."""


def check_object(entry: Entry, found: Found, buckets: Buckets) -> ObjectResult:
    """Compares one object's source, ledger, silver and quarantine."""
    staged = entry.staged
    rows_staged = sum(rows for key, rows in found.silver.items() if key in staged)
    rows_silver = sum(found.silver.values()) - rows_staged
    rows_quarantine = sum(found.quarantine.values())
    waits = entry.state == State.STAGED
    repair = f"sluice quality run {entry.object_id}" if waits else f"sluice requeue {entry.object_id}"
    problems: list[tuple[str, str]] = [(what, repair) for what in _ledger_problems(entry)]
    problems += _file_problems(entry, found, buckets, repair)
    problems += [(what, repair) for what in (found.ids.problems() if found.ids else ())]
    if entry.state in (State.COMMITTED, State.STAGED, State.WITHHELD):
        rows_in = entry.number("rows_in")
        if found.source.rows is not None and found.source.rows != rows_in:
            problems.append((f"the source has {found.source.rows} rows, the ledger {rows_in}", repair))
        if rows_silver + rows_staged + rows_quarantine != rows_in:
            held = f" + {rows_staged} staged" if staged else ""
            what = (
                f"{rows_silver} rows in silver{held} + {rows_quarantine} in quarantine "
                f"are not the {rows_in} that came in"
            )
            problems.append((what, repair))
    return ObjectResult(
        object_id=entry.object_id,
        dataset=entry.dataset,
        key=entry.key,
        state=entry.state,
        reason=str(entry.item.get("failed_reason") or ""),
        source=found.source.rows,
        ledger=entry.number("rows_in"),
        silver=rows_silver,
        quarantine=rows_quarantine,
        differences=tuple(Difference(entry.key, what, how) for what, how in problems),
        staged=rows_staged,
    )


def _ledger_problems(entry: Entry) -> Iterator[str]:
    """The ledger against itself: its states, and its sums over the chunks."""
    item, chunks = entry.item, entry.live_chunks
    count, done = entry.number("chunk_count"), [c for c in chunks if c["chunk_state"] == ChunkState.DONE]
    if entry.state in (State.FAILED, State.MISSING, State.WITHHELD) and not item.get("failed_reason"):
        yield f"{entry.state} without a reason in the ledger"
    if entry.state == State.STAGED:
        why = f": {item['failed_reason']}: {item.get('error')}" if item.get("failed_reason") else ""
        yield f"not audited: staged since {item.get('updated_at')}{why}"
    elif entry.state not in FINAL:
        yield f"not finished: {entry.state} since {item.get('updated_at')}, {len(done)} of {count} chunks done"
    elif entry.state in (State.COMMITTED, State.WITHHELD) and len(done) != count:
        yield f"{entry.state}, but {len(done)} of {count} chunks are done"
    if entry.number("chunks_done") != len(done):
        yield f"the object counts {entry.number('chunks_done')} chunks done, {len(done)} are"
    for name in ("rows_in", "rows_silver", "rows_quarantined"):
        total = sum(int(chunk.get(name) or 0) for chunk in done)
        if entry.number(name) != total:
            yield f"the object's {name} is {entry.number(name)}, its chunks have {total}"
    if entry.number("rows_in") != entry.number("rows_silver") + entry.number("rows_quarantined"):
        yield (
            f"{entry.number('rows_silver')} rows to silver + {entry.number('rows_quarantined')} to quarantine "
            f"are not the ledger's {entry.number('rows_in')} rows in"
        )


def _file_problems(entry: Entry, found: Found, buckets: Buckets, repair: str) -> Iterator[tuple[str, str]]:
    """Files that the ledger names: there, and with as many rows as it says."""
    staged = entry.staged
    for kind, bucket, there in (
        ("outputs", buckets.silver, found.silver),
        ("quarantine", buckets.quarantine, found.quarantine),
    ):
        for key, file in entry.files(kind).items():
            rows = there.get(key)
            uri = f"s3://{buckets.staging}/{staged[key]}" if key in staged else f"s3://{bucket}/{key}"
            if rows is None:
                yield f"{uri} is missing, the ledger says it holds {file['rows']} rows", repair
            elif rows != int(file["rows"]):
                yield f"{uri} holds {rows} rows, the ledger says {file['rows']}", repair


@dataclass(frozen=True)
class Expired:
    """What the ledger no longer knows, and need not: it is older than ``ledger_retention_days``.

    Objects in bronze without an entry, and files in silver and quarantine that they, or deleted ones, have left.
    """

    objects: int = 0
    files: int = 0


@dataclass(frozen=True)
class Retention:
    """``since``: what has come before may have expired; None where the ledger knows objects for ever."""

    since: datetime | None = None

    @classmethod
    def of(cls, days: int | None, now: datetime) -> Retention:
        return cls(now - timedelta(days=days) if days else None)

    def over(self, modified: datetime | None) -> bool:
        """Whether the entry of what came then may have expired."""
        return self.since is not None and modified is not None and modified < self.since


def missing_from_ledger(
    versions: Iterable[Version],
    entries: Collection[str],
    ids: Mapping[Version, str],
    retention: Retention,
) -> tuple[list[Difference], set[str]]:
    """Bronze versions that no ledger entry stands for, and the ids of the objects that have expired.

    ``entries``: the ids that the ledger has. ``ids`` gives each version's object id.
    """
    missing = [version for version in versions if ids[version] not in entries]
    differences = [
        Difference(version.key, "in bronze, but not in the ledger", f"sluice requeue {shlex.quote(version.key)}")
        for version in missing
        if not retention.over(version.modified)
    ]
    return differences, {ids[version] for version in missing if retention.over(version.modified)}


def orphans(
    listed: Iterable[str], entry: Entry | None, known: Collection[str], bucket: str, kind: str
) -> list[Difference]:
    """Files in silver (``outputs``) or quarantine that no chunk of the ledger names; those that expired are left out.

    ``entry``: the object whose files they are, None for files of objects that the ledger does not have.

    A file of a chunk that is still open is no orphan: its write comes before its entry. Nor are the files of an
    object that is in bronze (its id is in ``known``) without an entry: ingesting it again rewrites them.
    """
    found = []
    for key in listed:
        if entry is None and owner_of(key) in known:
            continue
        if entry is None:
            what = "no object of the ledger wrote this file"
        elif _may_be(entry, key, kind):
            continue
        else:
            what = f"the ledger does not know this file of {entry.key}: its rows are there twice or are left over"
        uri = f"s3://{bucket}/{key}"
        found.append(Difference(uri, what, f"aws s3 rm {shlex.quote(uri)}"))
    return found


def _may_be(entry: Entry, key: str, kind: str) -> bool:
    """Whether a file may be there: the ledger names it, or does not yet, or a run that it no longer describes does.

    Silver has the files of a gated object's last published run until a newer one is published. Before the first one
    is, it has none, unless they are being copied.
    """
    if kind == "outputs" and entry.is_gated and entry.state != State.COMMITTED:
        return entry.number("run") > 1 or entry.state == State.STAGED or _is_open(entry, key)
    return key in entry.files(kind) or _is_open(entry, key)


def _is_open(entry: Entry, key: str) -> bool:
    number = key.rsplit("-", 1)[-1].split(".", 1)[0]
    if not number.isdecimal():
        return False
    chunk: Item | None = next((c for c in entry.live_chunks if chunk_number(str(c["sk"])) == int(number)), None)
    return chunk is not None and chunk["chunk_state"] == ChunkState.PENDING


def summary(results: Iterable[ObjectResult]) -> dict[str, Any]:
    """Totals over the objects of a report."""
    rows = list(results)
    states: dict[str, int] = {}
    for row in rows:
        states[row.state] = states.get(row.state, 0) + 1
    return {
        "objects": len(rows),
        "not_ingested": sum(1 for row in rows if not row.ingested),
        "states": states,
        "rows_source": sum(row.source or 0 for row in rows if row.state == State.COMMITTED),
        "rows_staged": sum(row.staged for row in rows),
        "rows_ledger": sum(row.ledger for row in rows),
        "rows_silver": sum(row.silver for row in rows),
        "rows_quarantined": sum(row.quarantine for row in rows),
    }
