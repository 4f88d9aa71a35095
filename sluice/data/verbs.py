"""Verbs around the data: seed, verify, runs, query, requeue, demo."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from sluice.data.query import Result
    from sluice.data.verify import Report
    from sluice.stack import Stack

PANEL = "Data"
FEEDS = ("flights", "shipping", "all")


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    for verb in (demo, seed, verify, runs, query, requeue):
        app.command(rich_help_panel=PANEL)(verb)


def demo(
    skip_deploy: Annotated[bool, typer.Option("--skip-deploy", help="Use what is deployed as it is.")] = False,
    months: Annotated[str, typer.Option(help="Months of flights: 1-12, 1-3, 1,4.")] = "1-12",
    rows: Annotated[int, typer.Option(min=1, help="Lines of the shipping feed.")] = 20_000,
    json: Json = False,
) -> None:
    """Run the main job on real input, from nothing to verified rows; exit code 1 when a number is off."""
    from sluice.data import demo as show
    from sluice.data.seed import parse_months

    raise typer.Exit(show.demo(months=parse_months(months), rows=rows, skip_deploy=skip_deploy, as_json=json))


def seed(
    feed: Annotated[str, typer.Argument(help="flights, shipping or all.")],
    months: Annotated[str, typer.Option(help="Months of flights: 1-12, 1-3, 1,4.")] = "1-12",
    prefix: Annotated[str, typer.Option(help="Folder below bronze/<dataset>/.")] = "",
    seed_: Annotated[int, typer.Option("--seed", help="Seed of the generated feed.")] = 0,
    rows: Annotated[int, typer.Option(min=0, help="Lines of the generated feed.")] = 20_000,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Upload input to bronze: a year of real flights, a generated shipping feed with bad lines, or both."""
    from dataclasses import asdict
    from itertools import chain

    from sluice.data import seed as seeding

    if feed not in FEEDS:
        console.fail(f"there is no feed {feed!r}: {', '.join(FEEDS)}")
    chosen = seeding.parse_months(months)
    stack = _stack(target, env)
    uploads = list(
        chain(
            seeding.flights(chosen, prefix) if feed != "shipping" else (),
            seeding.shipping(seed_, rows, prefix) if feed != "flights" else (),
        )
    )
    with console.progress() as bar:
        task = bar.add_task("uploading", total=len(uploads))
        done = seeding.upload(stack, uploads, done=lambda _: bar.advance(task))
    if json:
        console.print_json([asdict(item) for item in done])
        return
    columns = ("key", "rows", "size", "object")
    rows_shown = [(item.key, item.rows, console.human_bytes(item.size), item.object_id[:12]) for item in done]
    console.print_table(columns, rows_shown, title=f"s3://{stack['bronze_bucket']}", right=("rows", "size"))


def verify(
    dataset: Annotated[str | None, typer.Option(help="Only objects of this dataset.")] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(help="Only objects whose bronze key begins so (repeatable).")
    ] = None,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Reconcile source, ledger, silver and quarantine, object by object; exit code 1 on any difference."""
    from sluice.data import verify as verifying

    stack = _stack(target, env)
    with console.progress() as bar:
        task = bar.add_task("reading", total=None)
        report = verifying.verify(
            stack,
            dataset=dataset,
            prefixes=prefix or (),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if json:
        console.print_json(report.to_dict())
    else:
        show_report(report)
    raise typer.Exit(console.OK if report.ok else console.FAILED)


def show_report(report: Report, most: int = 60) -> None:
    """Objects (those that differ first), queues and differences on screen."""
    from sluice.data.reconcile import summary

    rows = sorted(report.objects, key=lambda row: row.ok)
    shown = [
        (
            row.key,
            f"{row.state}: {row.reason}" if row.reason else row.state,
            row.source,
            row.ledger,
            row.silver,
            row.quarantine,
            row.ok,
        )
        for row in rows[:most]
    ]
    columns = ("object", "state", "source", "ledger", "silver", "quarantine", "ok")
    console.print_table(columns, shown, right=columns[2:6])
    if len(rows) > most:
        console.note(f"... and {len(rows) - most} more; --json shows all")
    console.print_table(
        ("queue", "waiting", "in flight", "delayed"),
        [(name, depth.waiting, depth.in_flight, depth.delayed) for name, depth in report.queues.items()],
        right=("waiting", "in flight", "delayed"),
    )
    totals = summary(report.objects)
    states = ", ".join(f"{count} {state}" for state, count in sorted(totals["states"].items())) or "none"
    for difference in report.differences:
        console.note(f"differs {difference.line()}")
    count = len(report.differences)
    verdict = "every row is accounted for" if report.ok else f"{count} difference{'s' if count > 1 else ''}"
    console.note(
        f"verify  {totals['objects']} objects ({states}), {totals['rows_source']:,} rows in committed sources, "
        f"{totals['rows_silver']:,} in silver, {totals['rows_quarantined']:,} in quarantine: {verdict}"
    )


def runs(
    object_id: Annotated[str | None, typer.Argument(help="One object (id or its beginning), with its chunks.")] = None,
    dataset: Annotated[str | None, typer.Option(help="Only this dataset.")] = None,
    state: Annotated[str | None, typer.Option(help="planned, committing, committed, failed or missing.")] = None,
    since: Annotated[str | None, typer.Option(help="30m, 2h, 1d, or an ISO 8601 time.")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", help="How many objects.")] = 20,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Show the ledger: the objects that changed last, or one object with its chunks."""
    from sluice.data import runs as ledger_runs
    from sluice.data.ledger import LedgerView

    after = ledger_runs.parse_since(since) if since else None
    stack = _stack(target, env)
    ledger = LedgerView(stack.client("dynamodb"), stack["ledger_table"])
    if object_id is not None:
        entry = ledger_runs.one(ledger, object_id)
        if json:
            console.print_json({"object": entry.item, "chunks": entry.chunks})
            return
        console.print_facts({name: entry.item.get(name) for name in ledger_runs.FACTS if name in entry.item})
        chunks = [ledger_runs.chunk_row(chunk) for chunk in entry.live_chunks]
        console.print_table(ledger_runs.CHUNK_COLUMNS, chunks, right=ledger_runs.CHUNK_NUMBERS)
        return
    items = ledger_runs.recent(ledger, dataset=dataset, state=state, since=after, limit=limit)
    if json:
        console.print_json(items)
    elif not items:
        console.note("the ledger has no such objects")
    else:
        console.print_table(ledger_runs.COLUMNS, map(ledger_runs.row, items), right=ledger_runs.NUMBERS)


def query(
    sql: Annotated[str, typer.Argument(help="SQL; each dataset in silver is a table.")],
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Ask silver in SQL (DuckDB, read-only): sluice query "SELECT carrier, count(*) FROM flights GROUP BY ALL"."""
    from sluice.data import query as querying

    result = querying.run(querying.silver(_stack(target, env)), sql)
    if json:
        console.print_json(result.to_dicts())
    else:
        show_result(result)


def show_result(result: Result, title: str | None = None) -> None:
    """A query's result on screen; numbers to the right."""
    numbers = int, float, Decimal
    right = [name for n, name in enumerate(result.columns) if any(isinstance(row[n], numbers) for row in result.rows)]
    rows = [[f"{cell:,}" if isinstance(cell, Decimal) else cell for cell in row] for row in result.rows]
    console.print_table(result.columns, rows, title=title, right=right)


def requeue(
    name: Annotated[str, typer.Argument(metavar="OBJECT", help="Object id, or the bronze key of an unplanned object.")],
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Have one object taken in again; its silver and quarantine files are written anew, under the same names."""
    from dataclasses import asdict

    from sluice.data import requeue as requeueing

    done = requeueing.requeue(_stack(target, env), name)
    if json:
        console.print_json(asdict(done))
    else:
        console.note(f"requeue {done.origin.key} by {done.how}; see `sluice runs {done.object_id}`")


def _stack(target: str, env: str) -> Stack:
    from sluice.stack import choose

    return choose(target, env)
