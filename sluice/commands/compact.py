"""`sluice compact`: the lake's small files become large ones; readers see the old files or the new ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.branches.lake.compactions import Execution

PANEL, ORDER = "Branches", 70

DATES = layout(
    "dataset", "date", "done", "files:number", "after:number", "size:number?2", "size after:number?2", "rows:number?1",
    "rows after:number?1", "reason:text",
)  # fmt: skip
_DULL = ("left", "current")


@with_tables
def compact(
    dataset: Annotated[str, typer.Argument(help="One dataset; all of them when not given.")] = "",
    day: Annotated[str, typer.Option("--day", metavar="YYYY-MM-DD", help="One date; all when not given.")] = "",
    show: Annotated[str, typer.Option(metavar="NAME", help="How a compaction that was started before ended.")] = "",
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Only start it.")] = False,
    *,
    where: Where,
) -> None:
    """Compact the lake's dates that have many or small files, by a Spark job.

    Silver stays as it is; the dates' partitions of the catalog move to the compacted files. Exit code 0 when every date
    that is worth it was compacted, 1 when one failed or the branch is off, 2 when dataset or day are wrong.
    """
    from sluice.branches.lake.compactions import Compactions

    if show and (dataset or day or no_wait):
        console.fail("--show takes a name and nothing else")
    compactions = Compactions(where.stack)
    name = show or compactions.start(dataset, day)
    if not show:
        console.note(f"compact  started {name}")
    found = compactions.get(name)
    if not (no_wait or show):
        with console.progress() as bar:
            bar.add_task("compacting", total=None)
            found = compactions.follow(name)
    _end(found, where.json)


def _end(execution: Execution, json: bool) -> None:
    from sluice.branches.lake.compactions import RUNNING

    if json:
        console.print_json(execution.to_dict())
    elif execution.result is not None:
        _show(execution.result)
    if execution.status == RUNNING:
        console.note(f"compact  {execution.name} is running; see `sluice compact --show {execution.name}`")
    elif not execution.ok:
        console.note(f"compact  {execution.name} {execution.status}: {execution.cause or 'see its notice'}")
    raise typer.Exit(console.OK if execution.ok else console.FAILED)


def _show(result: dict[str, Any]) -> None:
    """The dates of which something is to be said, and how many were left as they are."""
    rows = [_row(one) for one in result["outcomes"] if one["done"] not in _DULL]
    if rows:
        console.print_table(DATES, rows)
    dates = result["dates"]
    for done, why in (("current", "compacted before, and unchanged"), ("left", "few files, or large ones")):
        if dates[done]:
            console.note(f"{done}  {dates[done]} dates: {why}")
    if not sum(dates.values()):
        console.note("no date of it is in the catalog")


def _row(one: dict[str, Any]) -> tuple[Any, ...]:
    before, after = one["before"], one["after"]
    sizes = [console.human_bytes(part["bytes"]) if part else "" for part in (before, after)]
    return (one["dataset"], one["day"], one["done"], before.get("files", ""), after.get("files", ""), *sizes,
            before.get("rows", ""), after.get("rows", ""), one["reason"])  # fmt: skip
