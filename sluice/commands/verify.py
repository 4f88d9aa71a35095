"""`sluice verify`: reconciles source, ledger, silver and quarantine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.commands._unmanaged import note_unmanaged
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.pipeline.verify import Report

PANEL, ORDER = "Data", 32

MAX_OBJECTS = 60  # in the table; --json has all of them
OBJECTS = layout(
    "object:key", "state", "source:number", "ledger:number?1", "silver:number", "quarantine:number", "ok"
)  # fmt: skip
QUEUES = layout("queue", "waiting:number", "in flight:number", "delayed:number")


@with_tables
def verify(
    dataset: Annotated[str | None, typer.Option(help="Only objects of this dataset.")] = None,
    prefix: Annotated[
        list[str] | None, typer.Option(help="Only objects whose bronze key begins so (repeatable).")
    ] = None,
    *,
    where: Where,
) -> None:
    """Reconcile source, ledger, silver and quarantine, object by object; exit code 1 on any difference."""
    from sluice.pipeline import duplicates
    from sluice.pipeline import verify as verifying

    with console.progress() as bar:
        task = bar.add_task("reading", total=None)
        stack = where.stack
        before = None if dataset or prefix else duplicates.state_of(stack)
        report = verifying.verify(
            stack,
            dataset=dataset,
            prefixes=prefix or (),
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if before is not None:
        duplicates.remember(stack, before, report.duplicates)
    if where.json:
        console.print_json(report.to_dict())
    else:
        _show(report)
    raise typer.Exit(console.OK if report.ok else console.FAILED)


def _show(report: Report) -> None:
    """Objects (those that differ first), queues and differences on screen."""
    from sluice.pipeline.reconcile import summary
    from sluice_pipeline.catalog.current import current_name

    rows = sorted(report.objects, key=lambda row: (row.ok, row.ingested))
    shown = [
        (
            row.key,
            f"{row.state}: {row.reason}" if row.reason else row.state,
            row.source,
            row.ledger,
            row.silver,
            row.quarantine,
            row.state if row.ok and not row.ingested else row.ok,
        )
        for row in rows[:MAX_OBJECTS]
    ]
    console.print_table(OBJECTS, shown)
    if len(rows) > MAX_OBJECTS:
        console.note(f"... and {len(rows) - MAX_OBJECTS} more; --json shows all")
    console.print_table(
        QUEUES,
        [(name, depth.waiting, depth.in_flight, depth.delayed) for name, depth in report.queues.items()],
    )
    totals = summary(report.objects)
    states = ", ".join(f"{count} {state}" for state, count in sorted(totals["states"].items())) or "none"
    for difference in report.differences:
        console.note(f"differs {difference.line()}")
    for name, found in report.duplicates.items():
        if found is None:
            console.note(f"duplicates of {name} by key could not be counted: too many, or of types that do not compare")
        elif found.rows:
            console.note(f"duplicates by key: {found} in {name} ({current_name(name)} has the newest row of each)")
    note_unmanaged(report.unmanaged)
    if report.expired.objects or report.expired.files:
        console.note(
            f"expired {report.expired.objects:,} objects in bronze, and {report.expired.files:,} files in silver and "
            "quarantine: older than ledger_retention_days, so the ledger no longer knows them"
        )
    console.note(
        f"verify  {totals['objects']} objects ({states}), {totals['rows_source']:,} rows in committed sources, "
        f"{totals['rows_silver']:,} in silver, {totals['rows_quarantined']:,} in quarantine"
        + (f", {totals['rows_staged']:,} staged" if totals["rows_staged"] else "")
        + f": {_verdict(report)}"
    )


def _verdict(report: Report) -> str:
    """What the numbers say: of the committed objects, and what is not among them."""
    from sluice_pipeline.ledger.items import State

    count = len(report.differences)
    if count:
        said = f"{count} difference{'s' if count > 1 else ''}"
    elif not any(row.ingested for row in report.objects):
        said = "there is no row to account for"
    else:
        said = "every row is accounted for"
    withheld = sum(1 for row in report.objects if row.ok and row.state == State.WITHHELD)
    if withheld:
        said += f", but {withheld} object{'s are' if withheld > 1 else ' is'} withheld (sluice runs --state withheld)"
    failed = sum(1 for row in report.objects if row.ok and not row.ingested) - withheld
    if failed:
        said += f", but {failed} object{'s are' if failed > 1 else ' is'} not ingested (sluice runs --state failed)"
    if report.unmanaged:
        number = len(report.unmanaged)
        said += f"; {number} object{'s' if number > 1 else ''} of bronze unmanaged"
    return said
