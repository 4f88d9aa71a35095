"""`sluice replay`: has objects taken in again by the replay workflow, and shows that every row is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from sluice.ops.replaying import Execution, Plan
    from sluice.stack import Stack

PANEL = "Operations"


def register(app: typer.Typer) -> None:
    """Adds the verb of this module."""
    app.command(rich_help_panel=PANEL)(replay)


def replay(
    dataset: Annotated[str, typer.Option(help="Objects under bronze/<dataset>/; mixed files are in `mixed`.")] = "",
    prefix: Annotated[str, typer.Option(help="Objects whose bronze key begins so; bronze/ is everything.")] = "",
    since: Annotated[str, typer.Option(help="Received since: 30m, 2h, 1d ago, or a time in ISO 8601.")] = "",
    until: Annotated[str, typer.Option(help="Received before; written like --since.")] = "",
    run: Annotated[str, typer.Option(metavar="OBJECT", help="One object, by its id or the beginning of it.")] = "",
    id_: Annotated[
        str, typer.Option("--id", help="Tells requests for the same objects apart; today's UTC date when not given.")
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be taken, with counts; start nothing.")
    ] = False,
    show: Annotated[str, typer.Option(metavar="NAME", help="How a replay that was started before ended.")] = "",
    wait: Annotated[bool, typer.Option(help="Follow it to its end, or only start it.")] = True,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Take objects in again: the same silver and quarantine files, written anew under the rules of today.

    The same request starts once, however often it is made; another --id makes it another request. Exit code 0 when
    every object was taken in and its rows add up, 1 when not, 2 when the request is wrong.
    """
    from sluice.ops import replaying

    if show:
        if any((dataset, prefix, since, until, run, id_, dry_run)):
            console.fail("--show takes a name and nothing else")
        _end(replaying.Replays(_stack(target, env)).get(show), json)
    stack = None
    if run:
        stack = _stack(target, env)
        run = _object_id(stack, run)
    prefix = prefix.removeprefix("s3://")
    if prefix and not prefix.startswith("bronze/"):
        prefix = prefix.partition("/")[2]  # s3://<bucket>/bronze/...
    wanted = replaying.request(dataset=dataset, prefix=prefix, since=since, until=until, object_id=run, id=id_)
    stack = stack or _stack(target, env)
    if dry_run:
        _show_plan(replaying.plan(stack, wanted), json)
        return
    replays = replaying.Replays(stack)
    started = replays.start(wanted)
    _say_started(started)
    if wait and started.status == replaying.RUNNING:
        with console.progress() as bar:
            task = bar.add_task("replaying", total=None)
            started = replays.follow(started, lambda done, total: bar.update(task, completed=done, total=total))
    _end(started, json)


def _end(execution: Execution, json: bool) -> None:
    """Shows how a replay stands and ends the command accordingly."""
    from sluice.ops.replaying import RUNNING

    if json:
        console.print_json(execution.to_dict())
    elif execution.result:
        _show_result(execution.result)
    running = execution.status == RUNNING
    if running:
        console.note(f"replay  {execution.name} is running; see `sluice replay --show {execution.name}`")
    elif not execution.ok:
        count = (execution.result or {}).get("problem_count", 0)
        objects = (
            f"{count} object{'s need' if count > 1 else ' needs'} somebody"
            if count
            else f"it ended early: {execution.cause or 'see its notice'}"
        )
        console.note(f"replay  {execution.name} {execution.status}: {objects}")
    raise typer.Exit(console.OK if execution.ok or running else console.FAILED)


def _say_started(execution: Execution) -> None:
    if execution.new:
        console.note(f"replay  started {execution.name}")
        return
    when = f"{execution.started:%Y-%m-%d %H:%M:%S}"
    how = "is running already, since" if execution.stopped is None else f"already ran ({execution.status}), started"
    console.note(f"replay  this request {how} {when}: nothing new was started; another --id starts another")


def _show_plan(plan: Plan, json: bool) -> None:
    told = plan.to_dict()
    if json:
        console.print_json(told)
        return
    columns = ("dataset", "state", "objects", "rows in", "size", "left out")
    rows = [(g.dataset, g.state, g.objects, g.rows, console.human_bytes(g.bytes), g.left_out) for g in plan.groups]
    rows.append(("total", "", told["objects"], told["rows"], console.human_bytes(told["bytes"]), told["left_out"]))
    console.print_table(columns, rows, title=told["name"], right=columns[2:])
    for entry in [entry for entry in plan.entries if entry["reason"]][:10]:
        console.note(f"left out  {entry['key']}: {entry['reason']}")
    console.note("dry run: nothing was started")


def _show_result(result: dict[str, Any]) -> None:
    """The reconciliation: per dataset what became of the objects, and rows before -> after."""
    fine = ("committed", "left out")
    columns = ("dataset", "objects", *fine, "not so", "rows in", "silver", "quarantine", "ok")
    lines = [*result["datasets"].items(), ("total", result)]
    rows = []
    for name, counts in lines:
        outcomes = counts["outcomes"]
        bad = sum(number for kind, number in outcomes.items() if kind not in fine)
        changes = [_change(counts, part) for part in ("rows_in", "rows_silver", "rows_quarantined")]
        rows.append((name, sum(outcomes.values()), *(outcomes.get(kind, 0) for kind in fine), bad, *changes, not bad))
    console.print_table(columns, rows, title=result["name"], right=columns[1:-1])
    for problem in result["problems"][:20]:
        console.note(f"{problem['outcome']}  {problem['key']}: {problem['reason']}")
    for entry in result["left_out"][:10]:
        console.note(f"left out  {entry['key']}: {entry['reason']}")


def _change(counts: dict[str, Any], part: str) -> str:
    before, after = counts["before"][part], counts["after"][part]
    return f"{after:,}" if before == after else f"{before:,} -> {after:,}"


def _object_id(stack: Stack, name: str) -> str:
    from sluice.data import runs
    from sluice.data.ledger import LedgerView

    return runs.one(LedgerView(stack.client("dynamodb"), stack["ledger_table"]), name).object_id


def _stack(target: str, env: str) -> Stack:
    from sluice.stack import choose

    return choose(target, env)
