"""`sluice checkins`: who was where, and what became of the days' files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import Layout, layout

PANEL, ORDER = "Branches", 71

_TIMES = ("startedAt", "endedAt")
SUBMITTED = layout("file:key", "new", "run:key")
FAILED_ROWS = layout("offset:number", "tests", "hard", "row:text")
_STATES = ("state", "status", "startedAt", "endedAt", "attempts", "counts", "error")
STATES = layout("state", "status", "started", "ended?4", "attempts:number?3", "counts:text?2", "error:text")
STATES_OF_DAY = layout("source:key", *STATES.columns)

checkins = typer.Typer(help="Check-ins: query them, submit a day's files, see what became of each.",
                       no_args_is_help=True)  # fmt: skip

Day = Annotated[str, typer.Option("--day", metavar="YYYY-MM-DD", help="Files of this day; else today's (UTC).")]


@checkins.command()
@with_tables
def ls(
    user: Annotated[str, typer.Option(help="Whose check-ins.")],
    since: Annotated[str, typer.Option("--from", help="At or after this time (ISO 8601, UTC).")] = "",
    until: Annotated[str, typer.Option("--to", help="Before this time.")] = "",
    dataset: Annotated[str, typer.Option(help="A dataset whose YAML has a section `checkin`.")] = "checkins",
    limit: Annotated[int, typer.Option("-n", "--limit", help="Rows of a page, at most 1000.")] = 20,
    cursor: Annotated[str, typer.Option(help="The page after the one that gave this cursor.")] = "",
    *,
    where: Where,
) -> None:
    """Show a user's check-ins, newest first. Exit code 1 when the branch is off, 2 when the question is wrong."""
    from sluice.branches.checkins import reader

    page = reader.page(where.stack, dataset, user, since, until, limit, cursor)
    items = page.items
    if where.json:
        console.print_json({"items": items, "cursor": page.cursor})
        return
    if not items:
        console.note(f"no check-ins of {user}")
        return
    columns = sorted({name for item in items for name in item})
    console.print_result(columns, [[console.item_text(item.get(name)) for name in columns] for item in items])
    if page.cursor:
        console.note(f"more: --cursor {page.cursor}")


@checkins.command()
@with_tables
def submit(
    day: Day = "",
    id_: Annotated[str, typer.Option("--id", help="Runs files again that have run: another id, another run.")] = "",
    hard: Annotated[bool | None, typer.Option("--hard/--soft", help="Overrule every test of these runs.")] = None,
    *,
    where: Where,
) -> None:
    """Submit a day's files to the workflow, each once. Exit code 1 when the day has none, 2 when the day is none."""
    from sluice.branches.checkins import reader

    hard_testing = "" if hard is None else str(hard).lower()
    wanted = {"day": reader.day_of(day), "id": id_, "hard_testing": hard_testing}
    done = reader.submit(where.stack, wanted)
    if where.json:
        console.print_json(done)
    elif done["submitted"]:
        console.print_table(SUBMITTED, [(one["key"], one["new"], one["name"]) for one in done["submitted"]])
    for dataset in done["missing"]:
        console.note(f"missing  {dataset} has no file of {done['day']}")
    raise typer.Exit(console.FAILED if done["missing"] and not done["submitted"] else console.OK)


@checkins.command()
@with_tables
def runs(day: Day = "", *, where: Where) -> None:
    """Show every state of every run for a day, as the log has them. Exit code 2 when the day is none."""
    from sluice.branches.checkins import reader

    wanted = reader.day_of(day)
    _show(reader.states_of_day(where.stack, wanted), ("source", *_STATES), STATES_OF_DAY, where.json)


@checkins.command()
@with_tables
def log(
    name: Annotated[str, typer.Argument(help="The run's name.")],
    failed: Annotated[bool, typer.Option("--failed", help="The rows that failed a test, instead.")] = False,
    *,
    where: Where,
) -> None:
    """Show what became of a run, state by state. Exit code 1 when there is no such run."""
    from sluice.branches.checkins import reader

    if failed:
        _show_failed(reader.failed_rows(where.stack, name), where.json)
    else:
        _show(reader.states_of_run(where.stack, name), _STATES, STATES, where.json)


def _show_failed(rows: list[dict[str, Any]], json: bool) -> None:
    if json:
        console.print_json(rows)
        return
    if not rows:
        console.note("no row failed a test")
        return
    lines = [(row["offset"], ", ".join(row["tests"]), row["hard"], row["row"]) for row in rows]
    console.print_table(FAILED_ROWS, lines)


def _show(states: Iterable[dict[str, Any]], fields: tuple[str, ...], made: Layout, json: bool) -> None:
    lines = list(states)
    if json:
        console.print_json(lines)
        return
    if not lines:
        console.note("no runs")
        return
    rows = [[console.ago(line.get(f)) if f in _TIMES else _text(line.get(f, "")) for f in fields] for line in lines]
    console.print_table(made, rows)


def _text(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{name} {_text(part)}" for name, part in sorted(value.items()))
    return str(value)
