"""`sluice status` as one screen: the engine, then the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sluice import console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sluice.data.ledger import Item
    from sluice.engine import EngineStatus
    from sluice.ops.overview import Overview

_MOST = 6  # lines of a list of counts
_ERROR = 90  # characters of an error on the screen; `sluice runs` has all of it


def engine_part(found: EngineStatus) -> RenderableType:
    """Servers with versions, addresses and memory, and how the engine is."""
    from rich.console import Group
    from rich.text import Text

    versions = found.versions
    rows = [
        ("LocalStack", versions.get("localstack"), found.endpoint_url,
         found.engine_pid or found.containers.get("localstack"), found.engine_memory),
        ("functions", None, None, None, found.functions_memory),
        ("PostgreSQL", versions.get("postgres"), f"127.0.0.1:{found.postgres_port}",
         found.postgres_pid or found.containers.get("postgres"), found.postgres_memory),
    ]  # fmt: skip
    server = "container" if found.containers else "pid"
    shown = [[*row[:3], None if row[3] is None else str(row[3]), console.human_bytes(row[4])] for row in rows]
    servers = console.table(("server", "version", "address", server, "memory"), shown, right=(server, "memory"))
    line = (
        f"engine  {found.kind}, {'healthy' if found.healthy else 'does not answer'}, "
        f"up {console.human_seconds(found.uptime)}, extension {versions.get('sluice_ext')}, "
        f"fault control {'on' if found.faults else 'off'}, home {found.home}"
    )
    return Group(Text(line), servers)


def pipeline_part(seen: Overview) -> RenderableType:
    """Objects, queues, dead letters, quarantine, unfinished objects and last failures."""
    from rich.console import Group, NewLine
    from rich.text import Text

    now = datetime.fromisoformat(seen.at)
    rates = f"{seen.objects_per_minute:,g} objects/min, {seen.rows_per_minute:,g} rows/min (last 5 minutes)"
    parts: list[RenderableType] = [Text(f"pipeline at {seen.at}: {rates}"), NewLine()]
    queue_rows = [(q.name, q.waiting + q.delayed, q.in_flight, _age(q.oldest)) for q in seen.queues]
    numbers = ("waiting", "in flight", "oldest")
    parts.append(
        _beside(
            console.table(("objects", "count"), seen.objects.items(), right=("count",)),
            console.table(("queue", *numbers), queue_rows, right=numbers),
        )
    )
    parts.append(
        _beside(
            _counts(("dead letters", "count"), seen.dead_letters),
            _counts(("quarantine", "rows"), seen.quarantine),
        )
    )
    if seen.unfinished:
        rows = [(*_named(item), f"{item['chunks_done']}/{item['chunk_count']}", _since(item, now))
                for item in seen.unfinished]  # fmt: skip
        columns = ("unfinished", "key", "state", "chunks", "unchanged for")
        parts.append(console.table(columns, rows, right=("unchanged for",)))
    if seen.failures:
        rows = [(*_named(item), _error(item), _since(item, now)) for item in seen.failures]
        columns = ("last failures", "key", "state", "error", "ago")
        parts.append(console.table(columns, rows, right=("ago",), short=("error",)))
    if not seen.unfinished and not seen.failures:
        parts.append(Text("nothing is unfinished, nothing has failed"))
    return Group(*parts)


def _beside(left: RenderableType, right: RenderableType) -> RenderableType:
    from rich.table import Table

    grid = Table.grid(padding=(0, 4))
    grid.add_row(left, right)
    return grid


def _counts(columns: tuple[str, str], counts: Mapping[str, int]) -> RenderableType:
    rows = sorted(counts.items(), key=lambda row: -row[1])
    shown: list[tuple[str, Any]] = list(rows[:_MOST])
    if len(rows) > _MOST:
        shown.append(("others", sum(count for _, count in rows[_MOST:])))
    return console.table(columns, shown or [("none", 0)], right=(columns[1],))


def _named(item: Item) -> tuple[str, str, str]:
    state = f"{item['state']}: {item['failed_reason']}" if item.get("failed_reason") else str(item["state"])
    return str(item["object_id"])[:12], str(item["origin"]["key"]), state


def _error(item: Item) -> str:
    text = " ".join(str(item.get("error") or "").split())
    return text if len(text) <= _ERROR else text[: _ERROR - 1] + "…"


def _age(seconds: float | None) -> str | None:
    return None if seconds is None else console.human_seconds(max(0.0, seconds))


def _since(item: Item, now: datetime) -> str | None:
    return _age((now - datetime.fromisoformat(str(item["updated_at"]))).total_seconds())
