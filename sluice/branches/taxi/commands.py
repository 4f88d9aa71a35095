"""`sluice taxi`: months of yellow taxi trips, from their public file to Redshift."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.branches.taxi.months import Attempt, Months

PANEL, ORDER = "Branches", 75

ATTEMPTS = layout(
    "attempt:key", "status", "state?2", "raw:number?3", "loaded:number", "rejected:number", "started?1", "what:text"
)
VERIFIED = layout("month:key", "attempt?2", "raw:number", "loaded:number", "rejected:number", "reasons:text")
MONTHS = layout(
    "month:key", "trips:number", "passengers:number?3", "average_distance:number?2", "average_fare:number?2",
    "average_tip:number?3", "revenue:number",
)  # fmt: skip
WAITING = layout("schedule:key", "when")

taxi = typer.Typer(help="Yellow taxi trips: months in Redshift, run, watched and verified.", no_args_is_help=True)

MonthArgument = Annotated[str, typer.Argument(metavar="MONTH", help="A month: 2024-09.", show_default=False)]
Batch = Annotated[str, typer.Argument(metavar="ATTEMPT", help="An attempt: 2024-09-1.", show_default=False)]
SourceUrl = Annotated[
    str, typer.Option("--source-url", help="Another file than the public one; {year} and {month} are filled in.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Only start it.")]


@taxi.command()
@with_tables
def run(month: MonthArgument, source_url: SourceUrl = "", no_wait: NoWait = False, *, where: Where) -> None:
    """Load a month, or load it again: its rows in the warehouse are replaced.

    An attempt that runs already is followed, and no second one started. Exit code 0 when the month is loaded and
    verified, 1 when not, 2 when it is no month.
    """
    from sluice.branches.taxi.months import Months, month_of

    wanted = month_of(month)
    months = Months(where.stack)
    batch = _started(months.start(wanted, source_url))
    _end([months.get(batch) if no_wait else _followed(months, batch)], where.json)


@taxi.command()
@with_tables
def backfill(
    since: Annotated[str, typer.Option("--from", metavar="MONTH", help="The first month.", show_default=False)],
    until: Annotated[str, typer.Option("--to", metavar="MONTH", help="The last month.", show_default=False)],
    source_url: SourceUrl = "",
    no_wait: NoWait = False,
    *,
    where: Where,
) -> None:
    """Load several months, some at a time. Exit code 0 when all are loaded and verified, 1 when one is not."""
    from sluice.branches.taxi.months import Months, months_between

    wanted = months_between(since, until)
    months = Months(where.stack)
    batches = [_started(months.start(month, source_url)) for month in wanted]
    _end([months.get(batch) if no_wait else _followed(months, batch) for batch in batches], where.json)


@taxi.command()
@with_tables
def redrive(batch: Batch, no_wait: NoWait = False, *, where: Where) -> None:
    """Let an attempt that failed go on at the state that failed. Exit code 1 when it fails again or did not fail."""
    from sluice.branches.taxi.months import Months

    months = Months(where.stack)
    months.get(batch)
    months.redrive(batch)
    _end([months.get(batch) if no_wait else _followed(months, batch)], where.json)


@taxi.command()
@with_tables
def status(
    attempt: Annotated[str, typer.Argument(metavar="[ATTEMPT]", help="One attempt, or a month; else the last.")] = "",
    limit: Annotated[
        int | None, typer.Option("-n", "--limit", min=1, max=1000, help="At most so many (20).", show_default=False)
    ] = None,
    *,
    where: Where,
) -> None:
    """Show attempts, newest first, and what is scheduled. Exit code 1 when the branch is off or has no such one."""
    from sluice.branches.taxi.months import Months, month_of

    one = attempt.count("-") > 1
    if one and limit:
        console.fail("--limit is for several attempts")
    months = Months(where.stack)
    if one:
        found, scheduled = [months.get(attempt)], []
    else:
        found = months.last(limit or 20, month_of(attempt) if attempt else None)
        scheduled = months.waiting()
    if where.json:
        console.print_json({"attempts": [one.to_dict() for one in found], "scheduled": scheduled})
        return
    _show(found)
    if scheduled:
        console.print_table(WAITING, [(one["name"], one["when"]) for one in scheduled])


@taxi.command()
@with_tables
def logs(batch: Batch, *, where: Where) -> None:
    """Show what the Glue jobs of an attempt have printed. Exit code 1 when there is no such attempt."""
    from sluice.branches.taxi.job_logs import lines
    from sluice.branches.taxi.months import Months

    found = [
        {"job": job, "run": run_id, "lines": lines(where.stack, job, run_id)}
        for job, run_id in Months(where.stack).job_runs(batch)
    ]
    if where.json:
        console.print_json(found)
        return
    for one in found:
        console.note(f"{one['job']}  {one['run']}")
        for line in one["lines"]:
            console.print_line(line)


@taxi.command()
@with_tables
def verify(
    month: Annotated[str, typer.Argument(metavar="[MONTH]", help="One month; else all that were loaded.")] = "",
    *,
    where: Where,
) -> None:
    """Count a month's rows: raw = loaded + rejected. Exit code 1 when they differ, and which numbers do."""
    from sluice.branches.taxi.months import LOADED, Months, month_of

    months = Months(where.stack)
    wanted = [month_of(month)] if month else [
        one for one in months.loaded() if any(a.outcome == LOADED for a in months.last(1000, one))
    ]  # fmt: skip
    found = [months.verify(one) for one in wanted]
    if where.json:
        console.print_json(found)
    elif found:
        console.print_table(VERIFIED, [_verified(one) for one in found])
    else:
        console.note("no month is loaded")


@taxi.command()
@with_tables
def show(
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="At most so many months.")] = 24,
    *,
    where: Where,
) -> None:
    """Show the view of months: trips, passengers, averages and revenue. Exit code 1 when the branch is off."""
    from sluice.branches.taxi.months import Months

    Months(where.stack)
    _show_view(where, limit)


@taxi.command()
def generate(
    month: MonthArgument,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the file goes, under its public name.")],
    rows: Annotated[int, typer.Option("-n", "--rows", min=100, max=100_000_000, help="Trips in it.")] = 100_000,
    seed: Annotated[int, typer.Option(help="Another one makes other trips.")] = 0,
) -> None:
    """Write a file of made-up trips in the public format of that month's time, the same for the same options."""
    from fixtures.taxi import write_month
    from sluice.branches.taxi.months import month_of

    wanted = month_of(month)
    if not folder.is_dir():
        console.fail(f"{folder} is no folder")
    made = write_month(folder, wanted.year, wanted.month, rows, seed=seed)
    console.note(f"generate  {made.path}: {made.rows:,} trips, {made.rows - made.good:,} of them to be rejected")


@taxi.command()
@with_tables
def demo(
    month: Annotated[str, typer.Option(help="The month.")] = "2024-09",
    rows: Annotated[int, typer.Option("-n", "--rows", min=100, max=10_000_000, help="Trips in it.")] = 100_000,
    *,
    where: Where,
) -> None:
    """Make a month, serve it on this machine, load it, verify it, and show the view.

    Exit code 0 when every row of the file is in the table or rejected. Needs Java on the PATH, for Spark.
    """
    import tempfile

    from fixtures.taxi import write_month
    from fixtures.taxi_server import TaxiServer
    from sluice.branches.taxi.months import LOADED, Months, month_of
    from sluice.engine import reach

    wanted = month_of(month)
    months = Months(where.stack)
    with tempfile.TemporaryDirectory() as folder:
        made = write_month(Path(folder), wanted.year, wanted.month, rows)
        console.note(f"taxi  made {made.rows:,} trips of {wanted}, {made.rows - made.good:,} of them to be rejected")
        here = reach.place()
        with TaxiServer(Path(folder), bind=here.bind, name=here.name) as server:
            found = _followed(months, _started(months.start(wanted, server.url)))
    if found.outcome != LOADED:
        _end([found], where.json)
    counts = months.verify(wanted)
    good = (counts["raw"], counts["loaded"], counts["reasons"]) == (made.rows, made.good, dict(made.rejected))
    if where.json:
        console.print_json(counts | {"ok": good})
    else:
        console.print_table(VERIFIED, [_verified(counts)])
        _show_view(where)
        console.note("every row is accounted for" if good else f"the file has {made.good:,} good rows: {made.rejected}")
    raise typer.Exit(console.OK if good else console.FAILED)


def _show_view(where: Where, limit: int = 24) -> None:
    from sluice.branches.taxi.sql import COLUMNS, monthly

    rows = monthly(where.stack, limit)
    if where.json:
        console.print_json([dict(zip(COLUMNS, row, strict=True)) for row in rows])
    else:
        console.print_table(MONTHS, rows)


def _started(done: dict[str, Any]) -> str:
    word = "started" if done["new"] else "runs already:" if done["status"] == "RUNNING" else "was made:"
    console.note(f"taxi  {word} {done['batch']}")
    return str(done["batch"])


def _followed(months: Months, batch: str) -> Attempt:
    with console.progress() as bar:
        bar.add_task(f"loading {batch}", total=None)
        return months.follow(batch)


def _end(found: list[Attempt], json: bool) -> None:
    if json:
        console.print_json([one.to_dict() for one in found])
    else:
        _show(found)
    from sluice.branches.taxi.months import LOADED, RUNNING

    good = all(one.status == RUNNING or one.outcome == LOADED for one in found)
    raise typer.Exit(console.OK if good else console.FAILED)


def _show(found: list[Attempt]) -> None:
    if not found:
        console.note("no attempt was made")
        return
    console.print_table(ATTEMPTS, [_row(one) for one in found])


def _row(one: Attempt) -> tuple[Any, ...]:
    what = one.error or (f"not published; looked for again at {one.next_try}" if one.next_try else one.outcome)
    counts = [one.rows.get(name, "") for name in ("raw", "loaded", "rejected")]
    return (one.batch, one.status, one.state, *counts, console.ago(one.started), what)


def _verified(one: dict[str, Any]) -> tuple[Any, ...]:
    reasons = ", ".join(f"{reason} {rows:,}" for reason, rows in sorted(one["reasons"].items()))
    return (one["month"], one["batch"], one["raw"], one["loaded"], one["rejected"], reasons)
