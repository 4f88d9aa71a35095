"""`sluice status` as one screen: the engine, then the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sluice import console
from sluice.tables import layout

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sluice.engine import EngineStatus
    from sluice.pipeline.ledger import Item
    from sluice.pipeline.overview import Overview
    from sluice.tables import FittedTable, Layout

_BETWEEN = 4  # blanks between two tables
_MAX_LINES = 6  # lines of a list of counts
_NAMES = 3  # of unmanaged objects

CONTAINERS = layout("server", "version", "address", "container:number", "memory:number")
PROCESSES = layout("server", "version", "address", "pid:number", "memory:number")
OBJECTS = layout("objects", "count:number")
QUEUES = layout("queue", "waiting:number", "in flight:number", "oldest:number")
DEAD_LETTERS = layout("dead-letter messages", "count:number")
QUARANTINE = layout("quarantine", "rows:number")
UNFINISHED = layout("unfinished", "key:key", "state", "chunks", "unchanged for:number")
FAILURES = layout("last failures", "key:key", "state", "error:text?1", "when")


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
    shown = [[*row[:3], None if row[3] is None else str(row[3]), console.human_bytes(row[4])] for row in rows]
    servers = console.table(CONTAINERS if found.containers else PROCESSES, shown)
    line = (
        f"engine  {found.kind}, {'healthy' if found.healthy else 'does not answer'}, "
        f"up {console.human_seconds(found.uptime)}, extension {versions.get('sluice_ext')}, "
        f"fault control {'on' if found.faults else 'off'}, home {found.home}"
    )
    return Group(Text(line), servers)


def pipeline_part(seen: Overview) -> RenderableType:
    """Objects, queues, dead-letter messages, quarantine, unfinished objects and last failures."""
    from rich.console import Group, NewLine
    from rich.text import Text

    now = datetime.fromisoformat(seen.at)
    rates = f"{seen.objects_per_minute:,g} objects/min, {seen.rows_per_minute:,g} rows/min over 5 min"
    parts: list[RenderableType] = [Text(f"pipeline at {seen.at}: {rates}"), NewLine()]
    queue_rows = [(q.name, q.waiting + q.delayed, q.in_flight, _age(q.oldest)) for q in seen.queues]
    parts.append(
        _beside(
            console.table(OBJECTS, seen.objects.items()),
            console.table(QUEUES, queue_rows),
        )
    )
    parts.append(
        _beside(
            _counts(DEAD_LETTERS, seen.dead_letters),
            _counts(QUARANTINE, seen.quarantine),
        )
    )
    if seen.unfinished:
        rows = [(*_named(item), f"{item['chunks_done']}/{item['chunk_count']}", _since(item, now))
                for item in seen.unfinished]  # fmt: skip
        parts.append(console.table(UNFINISHED, rows))
    if seen.failures:
        rows = [(*_named(item), _error(item), console.ago(item["updated_at"], now)) for item in seen.failures]
        parts.append(console.table(FAILURES, rows))
    parts.append(Text(f"duplicates by key: {_duplicates(seen, now)}"))
    if seen.unmanaged:
        names = ", ".join(seen.unmanaged[:_NAMES]) + (" ..." if len(seen.unmanaged) > _NAMES else "")
        count = f"{len(seen.unmanaged):,} object{'' if len(seen.unmanaged) == 1 else 's'}"
        parts.append(Text(f"unmanaged: {count} of bronze not under bronze/<dataset>/, never ingested: {names}"))
    if seen.passed_over:
        parts.append(
            Text(f"{seen.passed_over:,} objects passed over in the last day: they are no data (passed_over_keys)")
        )
    if seen.unconfirmed:
        addresses = ", ".join(seen.unconfirmed)
        parts.append(Text(f"notices do not reach {addresses}: confirm the subscription by the link in AWS's mail"))
    if not seen.unfinished and not seen.failures:
        parts.append(Text("nothing is unfinished, nothing has failed"))
    return Group(*parts)


def _duplicates(seen: Overview, now: datetime) -> str:
    """The rows whose key occurs more than once, by dataset, or who counts them."""
    if seen.duplicates is None:
        return "not counted since the last commit; sluice verify counts them"
    counts = seen.duplicates.counts
    said = [f"{found} in {name}" for name, found in counts.items() if found and found.rows]
    unknown = [name for name, found in counts.items() if found is None]
    said += [f"not countable in {', '.join(unknown)}"] if unknown else []
    return f"{'; '.join(said) or 'none'} (sluice verify, {console.ago(seen.duplicates.at, now)})"


def _beside(left: FittedTable, right: FittedTable) -> RenderableType:
    """Two tables side by side, or one below the other where the screen is too narrow."""
    from rich.console import Group, NewLine
    from rich.table import Table

    screen = console.width()
    if screen is not None and left.needs() + _BETWEEN + right.needs() > screen:
        return Group(left, NewLine(), right)
    grid = Table.grid(padding=(0, _BETWEEN, 0, 0))
    grid.add_row(left, right)
    return grid


def _counts(made: Layout, counts: Mapping[str, int]) -> FittedTable:
    rows = sorted(counts.items(), key=lambda row: -row[1])
    shown: list[tuple[str, Any]] = list(rows[:_MAX_LINES])
    if len(rows) > _MAX_LINES:
        shown.append(("others", sum(count for _, count in rows[_MAX_LINES:])))
    return console.table(made, shown or [("none", 0)])


def _named(item: Item) -> tuple[str, str, str]:
    state = f"{item['state']}: {item['failed_reason']}" if item.get("failed_reason") else str(item["state"])
    return str(item["object_id"])[:12], str(item["origin"]["key"]), state


def _error(item: Item) -> str:
    return " ".join(str(item.get("error") or "").split())


def _age(seconds: float | None) -> str | None:
    return None if seconds is None else console.human_seconds(max(0.0, seconds))


def _since(item: Item, now: datetime) -> str | None:
    return _age((now - datetime.fromisoformat(str(item["updated_at"]))).total_seconds())
