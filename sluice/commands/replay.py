"""`sluice replay`: reprocesses objects by the replay workflow, and shows that every row is accounted for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.pipeline.replay import Execution, Plan

PANEL, ORDER = "Operations", 40

PLAN = layout("dataset", "state", "objects:number", "rows in:number", "size:number", "left out:number")
OUTCOME = layout(
    "dataset", "objects:number?2", "committed:number", "left out:number?3", "problems:number", "rows in:number?1",
    "silver:number", "quarantine:number", "ok",
)  # fmt: skip


@with_tables
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
        bool, typer.Option("--dry-run", help="Show what would be reprocessed, with counts; start nothing.")
    ] = False,
    show: Annotated[str, typer.Option(metavar="NAME", help="How a replay that was started before ended.")] = "",
    wait: Annotated[bool | None, typer.Option(help="Follow it to its end (else), or only start it.")] = None,
    *,
    where: Where,
) -> None:
    """Reprocess objects: the same silver and quarantine files, rewritten under the rules of today.

    The same request starts once under the same rules, however often it is made; another --id, or a deployed change of
    the datasets, makes it another request. Exit code 0 when every object was reprocessed and its rows add up, 1 when
    not, 2 when the request is wrong.
    """
    from dataclasses import replace

    from sluice.pipeline import replay as replaying
    from sluice.pipeline import runs
    from sluice.pipeline.ledger import LedgerView
    from sluice.pipeline.requeue import rules_of

    if show:
        if any((dataset, prefix, since, until, run, id_, dry_run, wait is not None)):
            console.fail("--show takes a name and nothing else")
        _end(replaying.Replays(where.stack).get(show), where.json)
    if dry_run and wait is not None:
        console.fail("--dry-run starts nothing: leave out --wait and --no-wait")
    prefix = prefix.removeprefix("s3://")
    if prefix and not prefix.startswith("bronze/"):
        prefix = prefix.partition("/")[2]  # s3://<bucket>/bronze/...
    with console.progress() as bar:
        task = bar.add_task("planning", total=None)
        if run:
            run = runs.one(LedgerView.of(where.stack), run).object_id
        wanted = replaying.request(dataset=dataset, prefix=prefix, since=since, until=until, object_id=run, id=id_)
        stack = where.stack
        wanted = replace(wanted, rules=rules_of(stack).text)
        made = replaying.plan(stack, wanted, lambda done: bar.update(task, completed=done)) if dry_run else None
    if made is not None:
        _show_plan(made, where.json)
        return
    replays = replaying.Replays(stack)
    started = replays.start(wanted)
    _say_started(started)
    if wait is not False and started.status == replaying.RUNNING:
        with console.progress() as bar:
            task = bar.add_task("replaying", total=None)
            started = replays.follow(started, lambda done, total: bar.update(task, completed=done, total=total))
    _end(started, where.json)


def _end(execution: Execution, json: bool) -> None:
    """Shows how a replay stands and ends the command accordingly."""
    from sluice.pipeline.replay import RUNNING

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
            f"{count} object{'s need' if count > 1 else ' needs'} an operator"
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
    console.note(f"replay  this request {how} {when}, under the rules in service: nothing new was started")
    console.note("        another --id, or a deployed change of the datasets, starts another")


def _show_plan(plan: Plan, json: bool) -> None:
    whole = plan.to_dict()
    if json:
        console.print_json(whole)
        return
    rows = [(g.dataset, g.state, g.objects, g.rows, console.human_bytes(g.bytes), g.left_out) for g in plan.groups]
    rows.append(("total", "", whole["objects"], whole["rows"], console.human_bytes(whole["bytes"]), whole["left_out"]))
    console.print_table(PLAN, rows, title=whole["name"])
    for entry in plan.left_out:
        console.note(f"left out  {entry['key']}: {entry['reason']}")
    console.note("dry run: nothing was started")


def _show_result(result: dict[str, Any]) -> None:
    """The reconciliation: per dataset what became of the objects, and rows before -> after."""
    fine = ("committed", "left out")
    lines = [*result["datasets"].items(), ("total", result)]
    rows = []
    for name, counts in lines:
        outcomes = counts["outcomes"]
        bad = sum(number for kind, number in outcomes.items() if kind not in fine)
        changes = [_change(counts, part) for part in ("rows_in", "rows_silver", "rows_quarantined")]
        rows.append((name, sum(outcomes.values()), *(outcomes.get(kind, 0) for kind in fine), bad, *changes, not bad))
    console.print_table(OUTCOME, rows, title=result["name"])
    if rules := result.get("rules"):
        console.note(f"rules   {rules['sha256'][:12]}, version {rules['version_id']}")
    for problem in result["problems"][:20]:
        console.note(f"{problem['outcome']}  {problem['key']}: {problem['reason']}")
    for entry in result["left_out"][:10]:
        console.note(f"left out  {entry['key']}: {entry['reason']}")


def _change(counts: dict[str, Any], part: str) -> str:
    before, after = counts["before"][part], counts["after"][part]
    return f"{after:,}" if before == after else f"{before:,} -> {after:,}"
