"""sluice checkins: who was where, and what became of the days' files."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sluice.stack import Stack

_SHOWN = 60  # characters of a text in the tables
_STATES = ("state", "status", "startedAt", "endedAt", "attempts", "counts", "error")

checkins = typer.Typer(help="Check-ins: query them, submit a day's files, see what became of each.",
                       no_args_is_help=True)  # fmt: skip

Day = Annotated[str, typer.Option("--day", metavar="YYYY-MM-DD", help="Files of this day; else today's (UTC).")]


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    app.add_typer(checkins, name="checkins", rich_help_panel="Branches")


@checkins.command()
def ls(
    user: Annotated[str, typer.Option(help="Whose check-ins.")],
    since: Annotated[str, typer.Option("--from", help="At or after this time (ISO 8601, UTC).")] = "",
    until: Annotated[str, typer.Option("--to", help="Before this time.")] = "",
    dataset: Annotated[str, typer.Option(help="A dataset whose YAML has a section `checkin`.")] = "checkins",
    limit: Annotated[int, typer.Option("-n", "--limit", help="Rows of a page, at most 1000.")] = 20,
    cursor: Annotated[str, typer.Option(help="The page after the one that gave this cursor.")] = "",
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Show a user's check-ins, newest first. Exit code 1 when the branch is off, 2 when the question is wrong."""
    from pipeline.checkins import Checkins
    from pipeline.row_pages import InvalidQuery
    from sluice.stack import choose

    stack = choose(target, env)
    try:
        page = Checkins(stack.client("dynamodb"), stack["checkins_table"], dataset).of_user(
            user, since, until, limit, cursor
        )
    except InvalidQuery as error:
        console.fail(str(error))
    items = page.items
    if json:
        console.print_json({"items": items, "cursor": page.cursor})
        return
    if not items:
        console.note(f"no check-ins of {user}")
        return
    columns = sorted({name for item in items for name in item})
    console.print_table(columns, [tuple(str(item.get(name, ""))[:_SHOWN] for name in columns) for item in items])
    if page.cursor:
        console.note(f"more: --cursor {page.cursor}")


@checkins.command()
def submit(
    day: Day = "",
    id_: Annotated[str, typer.Option("--id", help="Runs files again that have run: another id, another run.")] = "",
    hard: Annotated[bool | None, typer.Option("--hard/--soft", help="Overrule every test of these runs.")] = None,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Submit a day's files to the workflow, each once. Exit code 1 when the day has none, 2 when the day is none."""
    from pipeline.checkin_runs import InvalidRequest, day_of
    from sluice.branches.checkin_files import submit as submitted
    from sluice.stack import choose

    hard_testing = "" if hard is None else str(hard).lower()
    try:
        wanted = {"day": day_of(day or _today()), "id": id_, "hard_testing": hard_testing}
    except InvalidRequest as error:
        console.fail(str(error))
    done = submitted(choose(target, env), wanted)
    if json:
        console.print_json(done)
    elif done["submitted"]:
        console.print_table(
            ("file", "new", "run"), [(one["key"], one["new"], one["name"]) for one in done["submitted"]]
        )
    for dataset in done["missing"]:
        console.note(f"missing  {dataset} has no file of {done['day']}")
    raise typer.Exit(console.FAILED if done["missing"] and not done["submitted"] else console.OK)


@checkins.command()
def runs(day: Day = "", target: Target = "local", env: Env = "dev", json: Json = False) -> None:
    """Show every state of every run for a day, as the log has them. Exit code 2 when the day is none."""
    from pipeline.checkin_runs import InvalidRequest, day_of
    from sluice.stack import choose

    try:
        wanted = day_of(day or _today())
    except InvalidRequest as error:
        console.fail(str(error))
    _show(_log(choose(target, env)).of_day(wanted), ("source", *_STATES), json)


@checkins.command()
def log(
    name: Annotated[str, typer.Argument(help="The run's name.")],
    failed: Annotated[bool, typer.Option("--failed", help="The rows that failed a test, instead.")] = False,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Show what became of a run, state by state. Exit code 1 when there is no such run."""
    from sluice.branches.checkin_files import failed_rows
    from sluice.stack import choose

    stack = choose(target, env)
    if failed:
        rows = failed_rows(stack, name)
        if json:
            console.print_json(rows)
            return
        if not rows:
            console.note("no row failed a test")
            return
        lines = [(row["offset"], ", ".join(row["tests"]), row["hard"], str(row["row"])[:_SHOWN]) for row in rows]
        console.print_table(("offset", "tests", "hard", "row"), lines, right=("offset",))
        return
    states = _log(stack).states(name)
    if not states:
        console.fail(f"the log has no run {name}: see sluice checkins runs --day", console.FAILED)
    _show(states, _STATES, json)


def _show(states: Iterable[dict[str, Any]], columns: tuple[str, ...], json: bool) -> None:
    lines = list(states)
    if json:
        console.print_json(lines)
        return
    if not lines:
        console.note("no runs")
        return
    rows = [tuple(_short(line.get(name, "")) for name in columns) for line in lines]
    console.print_table(columns, rows, right=("attempts",))


def _short(value: Any) -> str:
    if isinstance(value, dict):
        value = ", ".join(f"{name} {_short(part)}" for name, part in sorted(value.items()))
    return str(value)[:_SHOWN]


def _log(stack: Stack) -> Any:
    from pipeline.checkin_runs import Log

    return Log(stack.client("dynamodb"), stack["checkin_log_table"])


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"
