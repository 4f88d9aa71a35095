"""`sluice runs`: what the ledger says, newest first, or one object with its chunks."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from heapq import merge
from itertools import islice
from typing import Any

from pipeline.items import State
from sluice.console import fail
from sluice.data.ledger import Entry, Item, LedgerView

_AGE = re.compile(r"(\d+)([smhd])")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
OBJECT_ID = re.compile(r"[0-9a-f]{4,32}")


def recent(
    ledger: LedgerView,
    *,
    dataset: str | None = None,
    state: str | None = None,
    since: str | None = None,
    limit: int = 20,
) -> list[Item]:
    """Up to ``limit`` object items, the last changed first. Both filters together are one index and a look."""
    if state is not None and state not in list(State):
        fail(f"--state {state!r}: states are {', '.join(State)}")
    if limit < 1:
        fail("--limit must be at least 1")
    if dataset is not None and state is None:
        found = ledger.recent(dataset=dataset, since=since)
    else:
        states = [state] if state else list(State)
        streams = [ledger.recent(state=name, since=since) for name in states]
        found = merge(*streams, key=lambda item: str(item["updated_at"]), reverse=True)
        if dataset is not None:
            found = (item for item in found if item["dataset"] == dataset)
    return list(islice(found, limit))


def one(ledger: LedgerView, name: str) -> Entry:
    """The object with this id, or the only one whose id begins so. Ends with one line when there is none."""
    text = name.lower()
    if not OBJECT_ID.fullmatch(text):
        fail(f"{name!r} is no object id: 4 to 32 hexadecimal digits, as `sluice runs` shows them")
    if len(text) < 32:
        matches = [i for state in State for i in ledger.recent(state=state) if str(i["object_id"]).startswith(text)]
        if len(matches) > 1:
            fail(f"{name!r} is the beginning of {len(matches)} object ids; give more of it")
        text = str(matches[0]["object_id"]) if matches else text
    entry = ledger.one(text)
    if entry is None:
        fail(f"the ledger knows no object {name!r}; `sluice runs` lists them", 1)
    return entry


def parse_since(text: str, now: datetime | None = None) -> str:
    """``30m``, ``2h``, ``1d`` ago, or a date or time in ISO 8601, as the ledger writes times."""
    if match := _AGE.fullmatch(text):
        moment = (now or datetime.now(UTC)) - timedelta(**{_UNITS[match[2]]: int(match[1])})
    else:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            fail(f"--since {text!r}: write 30m, 2h, 1d or a time such as 2025-03-01T12:00:00Z")
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S")


def seconds_taken(item: Item) -> float | None:
    """Seconds from the event to the commit, None while it is open."""
    if not item.get("committed_at"):
        return None
    begin, end = (datetime.fromisoformat(str(item[name])) for name in ("received_at", "committed_at"))
    return (end - begin).total_seconds()


COLUMNS = (
    "object",
    "dataset",
    "key",
    "state",
    "run",
    "chunks",
    "rows in",
    "silver",
    "quarantine",
    "seconds",
    "updated",
)
NUMBERS = ("run", "rows in", "silver", "quarantine", "seconds")


def row(item: Item) -> list[Any]:
    """An object item as a line of the table."""
    state = str(item["state"]) + (f": {item['failed_reason']}" if item.get("failed_reason") else "")
    return [
        str(item["object_id"])[:12],
        item["dataset"],
        item["origin"]["key"],
        state,
        int(item["run"]),
        f"{int(item['chunks_done'])}/{int(item['chunk_count'])}",
        int(item["rows_in"]),
        int(item["rows_silver"]),
        int(item["rows_quarantined"]),
        seconds_taken(item),
        str(item["updated_at"])[:19],
    ]


CHUNK_COLUMNS = ("chunk", "state", "bytes", "rows in", "silver", "quarantine", "files", "done", "error")
CHUNK_NUMBERS = ("chunk", "rows in", "silver", "quarantine", "files")


def chunk_row(chunk: Item) -> list[Any]:
    """A chunk item as a line of the table."""
    return [
        int(str(chunk["sk"]).removeprefix("chunk#")),
        chunk["chunk_state"],
        f"{int(chunk['start']):,}-{int(chunk['end']):,}",
        chunk.get("rows_in"),
        chunk.get("rows_silver"),
        chunk.get("rows_quarantined"),
        len(chunk.get("outputs", [])) + len(chunk.get("quarantine", [])),
        str(chunk.get("done_at") or "")[:19] or None,
        chunk.get("error"),
    ]


FACTS = (
    "object_id", "state", "failed_reason", "error", "dataset", "bucket", "key", "version_id", "etag", "size", "origin",
    "run", "chunk_count", "chunks_done", "rows_in", "rows_silver", "rows_quarantined", "silver_files", "silver_bytes",
    "received_at", "updated_at", "committed_at",
)  # fmt: skip
"""What is shown of one object, in this order."""
