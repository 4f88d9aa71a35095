"""`sluice quarantine`: ls, show, retry."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Env, Json, Target

if TYPE_CHECKING:
    from sluice.ops.refused import Filter, Group, Retried, Row

Dataset = Annotated[str, typer.Option("--dataset", help="Only rows of this dataset.")]
Reason = Annotated[str, typer.Option("--reason", help="Only rows refused for this reason, such as out_of_range.")]
Object = Annotated[str, typer.Option("--object", help="Only rows of this object: id, beginning of it, or key.")]

_RAW, _VALUE = 80, 30  # characters of a row's text and of its faulty value in the table; --json has all of it

quarantine = typer.Typer(help="Rows that were refused: count them, look at them, take them in after a rule was mended.",
                         no_args_is_help=True)  # fmt: skip


def register(app: typer.Typer) -> None:
    """Adds the verbs of this module."""
    app.add_typer(quarantine, name="quarantine", rich_help_panel="Operations")


@quarantine.command()
def ls(
    dataset: Dataset = "",
    reason: Reason = "",
    object_: Object = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many objects.")] = 20,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Count the refused rows by dataset and reason, then by object, most first."""
    from dataclasses import asdict

    from sluice.ops.refused import Quarantine
    from sluice.stack import choose

    groups = Quarantine(choose(target, env)).groups(_filter(dataset, reason, object_))
    if json:
        console.print_json({"rows": sum(g.rows for g in groups), "groups": [asdict(g) for g in groups]})
        return
    if not groups:
        console.note("no such rows are in quarantine")
        return
    console.print_table(("dataset", "reason", "rows", "objects"), _totals(groups), right=("rows", "objects"))
    shown = [(g.rows, g.dataset, g.reason, g.object_id[:12], g.key) for g in groups[:limit]]
    console.print_table(("rows", "dataset", "reason", "object", "key"), shown, right=("rows",))
    if len(groups) > limit:
        console.note(f"... and {len(groups) - limit} more; --limit shows them")
    console.note(f"{sum(g.rows for g in groups):,} rows; the rows themselves: sluice quarantine show --reason REASON")


@quarantine.command()
def show(
    which: Annotated[str, typer.Argument(metavar="[OBJECT]", help="Object id, beginning of it, or key.")] = "",
    dataset: Dataset = "",
    reason: Reason = "",
    object_: Object = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many rows.")] = 20,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Show refused rows: where each stood (byte offset), the field, the reason, and its text."""
    from itertools import islice

    from sluice.ops.refused import Quarantine
    from sluice.stack import choose

    if which and object_ and which != object_:
        console.fail("name the object once")
    wanted = _filter(dataset, reason, which or object_)
    rows = list(islice(Quarantine(choose(target, env)).rows(wanted), limit + 1))
    if json:
        console.print_json(rows[:limit])
    elif not rows:
        console.note("no such rows are in quarantine")
    else:
        columns = ("object", "offset", "dataset", "reason", "field", "value", "raw")
        console.print_table(columns, [_row(row) for row in rows[:limit]], right=("offset",), short=("raw",))
        keys = dict.fromkeys((str(row["object_id"])[:12], str(row["source_key"])) for row in rows[:limit])
        for object_id, key in list(keys)[:5]:
            console.note(f"{object_id}  {key}")
        if len(rows) > limit:
            console.note("... and more; --limit shows them")


@quarantine.command()
def retry(
    dataset: Dataset = "",
    reason: Reason = "",
    object_: Object = "",
    all_: Annotated[bool, typer.Option("--all", help="Every object with refused rows.")] = False,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds to wait for the objects' new runs.")] = 600,
    target: Target = "local",
    env: Env = "dev",
    json: Json = False,
) -> None:
    """Have objects with refused rows taken in again, after a rule was mended and deployed; waits, then reports.

    Exit code 1 when an object could not be retried.
    """
    from sluice.ops.refused import Quarantine
    from sluice.stack import choose

    wanted = _filter(dataset, reason, object_)
    if bool(wanted) == all_:
        console.fail("say which rows: --dataset, --reason, --object, or --all")
    with console.progress() as bar:
        task = bar.add_task("objects", total=None)
        results = Quarantine(choose(target, env)).retry(
            wanted, deadline=deadline, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if json:
        console.print_json(_report(results))
    else:
        _tell(results)
    raise typer.Exit(console.FAILED if any(result.trouble for result in results) else console.OK)


def _tell(results: list[Retried]) -> None:
    if not results:
        console.note("no such rows are in quarantine")
        return
    totals = _sums(results)
    reasons = sorted({reason for counts in totals.values() for reason in counts})
    if reasons:
        columns = ("reason", "resolved", "still bad", "newly bad")
        rows = [(r, *(totals[name].get(r, 0) for name in ("resolved", "still", "newly"))) for r in reasons]
        console.print_table(columns, rows, right=columns[1:])
    for result in results:
        if result.trouble:
            console.note(f"not retried: {result.object_id[:12]} {result.key}: {result.trouble}")
    runs = sum(1 for result in results if not result.trouble)
    console.note(
        f"{runs} object{'' if runs == 1 else 's'} taken in again: {totals['resolved'].total():,} rows resolved, "
        f"{totals['still'].total():,} still bad, {totals['newly'].total():,} newly bad"
    )
    if runs and not totals["resolved"]:
        console.note("nothing was resolved: a mended rule counts once it is deployed (`make deploy`)")


def _report(results: list[Retried]) -> dict[str, Any]:
    objects = [
        {"object_id": r.object_id, "key": r.key, "run": r.run, "resolved": r.resolved, "still": r.still,
         "newly": r.newly, "trouble": r.trouble or None}
        for r in results
    ]  # fmt: skip
    return {**_sums(results), "objects": objects}


def _sums(results: list[Retried]) -> dict[str, Counter[str]]:
    return {name: sum((getattr(r, name) for r in results), Counter()) for name in ("resolved", "still", "newly")}


def _totals(groups: list[Group]) -> list[tuple[str, str, int, int]]:
    rows: Counter[tuple[str, str]] = Counter()
    objects: Counter[tuple[str, str]] = Counter()
    for group in groups:
        rows[group.dataset, group.reason] += group.rows
        objects[group.dataset, group.reason] += 1
    return [(*names, count, objects[names]) for names, count in rows.most_common()]


def _row(row: Row) -> list[object]:
    raw = str(row.get("raw") or f"(base64) {row.get('raw_base64', '')}")
    short = raw if len(raw) <= _RAW else raw[: _RAW - 1] + "…"
    return [str(row["object_id"])[:12], row["offset"], row["dataset"], row["reason"], row["field"], _value(row), short]


def _value(row: Row) -> str | None:
    """What the row holds in the field at fault, where it can be read."""
    from json import dumps, loads

    try:
        found = loads(row["raw"])[row["field"]]
    except (KeyError, TypeError, ValueError):
        return None
    return dumps(found, ensure_ascii=False)[:_VALUE]


def _filter(dataset: str, reason: str, object_id: str) -> Filter:
    from pipeline.failures import Reason as Known
    from sluice.ops.refused import Filter

    if reason and reason not in list(Known):
        console.fail(f"--reason {reason!r}: reasons are {', '.join(Known)}")
    return Filter(dataset, reason, object_id)
