"""`sluice runs`: the ledger, newest first, or the objects of a key; one object with its chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.pipeline.ledger import Entry, Item

PANEL, ORDER = "Data", 33

OBJECTS = layout(
    "object", "dataset?3", "key:key", "state", "run:number?6", "chunks?5", "rows in:number?2", "silver:number",
    "quarantine:number", "seconds:number?4", "updated?1",
)  # fmt: skip
RUNS = layout(
    "run:number",
    "state",
    "rows in:number",
    "silver:number",
    "quarantine:number",
    "rules?2",
    "began",
    "seconds:number?1",
)
CHUNKS = layout(
    "chunk:number", "state", "bytes?2", "rows in:number", "silver:number", "quarantine:number", "files:number?3",
    "done?1", "error:text",
)  # fmt: skip
FACTS = (
    "object_id", "state", "failed_reason", "error", "dataset", "bucket", "key", "version_id", "etag", "size", "origin",
    "run", "rules", "chunk_count", "chunks_done", "rows_in", "rows_silver", "rows_quarantined", "silver_files",
    "silver_bytes", "received_at", "updated_at", "committed_at", "gate_execution", "released",
)  # fmt: skip
"""What is shown of one object, in this order."""


@with_tables
def runs(
    object_: Annotated[
        str | None, typer.Argument(metavar="[KEY]", help="Objects of this key, part of a key, or object id.")
    ] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    state: Annotated[
        str | None, typer.Option(help="planned, committing, staged, committed, withheld, failed or missing.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="30m, 2h, 1d, or an ISO 8601 time.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", "-n", min=1, help="How many objects (20).")] = None,
    *,
    where: Where,
) -> None:
    """Show the ledger: the objects that changed last, or those that a key names; of one also its runs and chunks."""
    from sluice.pipeline import runs as ledger_runs
    from sluice.pipeline.ledger import LedgerView

    if object_ is not None and any((dataset, state, since, limit)):
        console.fail("name an object, or filter by --dataset, --state, --since and --limit: not both")
    after = ledger_runs.parse_since(since) if since else None
    with console.progress() as bar:
        task = bar.add_task("looking", total=None)
        ledger = LedgerView.of(where.stack)
        if object_ is not None:
            entries = ledger_runs.find(ledger, object_, lambda done: bar.update(task, completed=done))
        else:
            items = ledger_runs.recent(ledger, dataset=dataset, state=state, since=after, limit=limit or 20)
            if not items and dataset:
                ledger_runs.require_dataset(ledger, dataset)
    if object_ is not None:
        _show_entries(entries, where.json)
        return
    if where.json:
        console.print_json(items)
    elif not items:
        console.note("the ledger has no such objects")
    else:
        console.print_table(OBJECTS, map(row, items))


def _show_entries(entries: list[Entry], json: bool) -> None:
    """One object with its runs and chunks, or several as lines of the table."""
    from sluice.pipeline.runs import history

    if len(entries) > 1:
        if json:
            console.print_json({"objects": [entry.item for entry in entries]})
            return
        console.print_table(OBJECTS, [row(entry.item) for entry in entries])
        console.note(f"{len(entries)} objects; one with its chunks: sluice runs {entries[0].object_id[:12]}")
        return
    [entry] = entries
    if json:
        console.print_json({"object": entry.item, "runs": history(entry.item), "chunks": entry.chunks})
        return
    console.print_facts({name: entry.item.get(name) for name in FACTS if name in entry.item})
    console.print_table(RUNS, map(run_row, runs := history(entry.item)))
    if runs[-1]["run"] > 1:
        console.note(f"the ledger does not have the runs before {runs[-1]['run']}")
    console.print_table(CHUNKS, map(chunk_row, entry.live_chunks))


def run_row(run: Item) -> list[Any]:
    """A run of an object as a line of the table; ``rules`` as `sluice outputs` and the JSON have it, cut."""
    from sluice.pipeline.runs import seconds_between
    from sluice_pipeline.ledger.items import FINAL

    ended = run.get("ended_at") if run.get("state") in FINAL else None
    return [
        run["run"],
        _state(run),
        run["rows_in"],
        run["rows_silver"],
        run["rows_quarantined"],
        str(run.get("rules", ""))[:12],
        console.ago(run.get("began_at")),
        seconds_between(run["began_at"], ended) if ended and run.get("began_at") else None,
    ]


def _state(item: Item) -> str:
    return str(item["state"]) + (f": {item['failed_reason']}" if item.get("failed_reason") else "")


def row(item: Item) -> list[Any]:
    """An object item as a line of the table."""
    from sluice.pipeline.runs import seconds_taken

    return [
        str(item["object_id"])[:12],
        item["dataset"],
        item["origin"]["key"],
        _state(item),
        int(item["run"]),
        f"{int(item['chunks_done'])}/{int(item['chunk_count'])}",
        int(item["rows_in"]),
        int(item["rows_silver"]),
        int(item["rows_quarantined"]),
        seconds_taken(item),
        console.ago(item["updated_at"]),
    ]


def chunk_row(chunk: Item) -> list[Any]:
    """A chunk item as a line of the table."""
    from sluice_pipeline.ledger.items import chunk_number

    return [
        chunk_number(str(chunk["sk"])),
        chunk["chunk_state"],
        f"{int(chunk['start']):,}-{int(chunk['end']):,}",
        chunk.get("rows_in"),
        chunk.get("rows_silver"),
        chunk.get("rows_quarantined"),
        len(chunk.get("outputs", [])) + len(chunk.get("quarantine", [])),
        console.ago(chunk.get("done_at")),
        chunk.get("error"),
    ]
