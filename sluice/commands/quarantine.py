"""`sluice quarantine`: ls, show, retry."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.pipeline.quarantine import Filter, Group, Retried, Row

Dataset = Annotated[str, typer.Option("--dataset", help="Only rows of this dataset.")]
Reason = Annotated[str, typer.Option("--reason", help="Only rows rejected for this reason, such as out_of_range.")]
Object = Annotated[str, typer.Option("--object", help="Only rows of this object: id, beginning of it, or key.")]

PANEL, ORDER = "Operations", 42

TOTALS = layout("dataset", "reason", "rows:number", "objects:number")
GROUPS = layout("rows:number", "dataset?1", "reason", "object", "key:key")
ERRORS = layout("field", "reason", "value:text", "expected:fold")
OUTCOME = layout("reason", "resolved:number", "still bad:number", "newly bad:number")

quarantine = typer.Typer(help="Rejected rows: count them, look at them, reprocess them after a rule was fixed.",
                         no_args_is_help=True)  # fmt: skip


@quarantine.command()
@with_tables
def ls(
    dataset: Dataset = "",
    reason: Reason = "",
    object_: Object = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many objects.")] = 20,
    *,
    where: Where,
) -> None:
    """Count the rejected rows by dataset and reason, then by object, most first."""
    from dataclasses import asdict

    from sluice.pipeline.quarantine import Quarantine

    groups = Quarantine(where.stack).groups(_filter(dataset, reason, object_))
    if where.json:
        console.print_json({"rows": sum(g.rows for g in groups), "groups": [asdict(g) for g in groups]})
        return
    if not groups:
        console.note("no such rows are in quarantine")
        return
    console.print_table(TOTALS, _totals(groups))
    shown = [(g.rows, g.dataset, g.reason, g.object_id[:12], g.key) for g in groups[:limit]]
    console.print_table(GROUPS, shown)
    if len(groups) > limit:
        console.note(f"... and {len(groups) - limit} more; --limit shows them")
    console.note(f"{sum(g.rows for g in groups):,} rows; the rows themselves: sluice quarantine show --reason REASON")


@quarantine.command()
@with_tables
def show(
    which: Annotated[str, typer.Argument(metavar="[OBJECT]", help="Object id, beginning of it, or key.")] = "",
    dataset: Dataset = "",
    reason: Reason = "",
    object_: Object = "",
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, help="How many rows.")] = 20,
    *,
    where: Where,
) -> None:
    """Show rejected rows: where each was (byte offset), every error, the value and what was expected, and the text."""
    from itertools import islice

    from sluice.pipeline.quarantine import Quarantine

    if which and object_ and which != object_:
        console.fail("name the object once")
    wanted = _filter(dataset, reason, which or object_)
    rows = list(islice(Quarantine(where.stack).rows(wanted), limit + 1))
    if where.json:
        console.print_json(rows[:limit])
    elif not rows:
        console.note("no such rows are in quarantine")
    else:
        for number, row in enumerate(rows[:limit]):
            if number:
                console.print_line("")
            _show_row(row)
        if len(rows) > limit:
            console.note("... and more; --limit shows them")


@quarantine.command()
@with_tables
def retry(
    dataset: Dataset = "",
    reason: Reason = "",
    object_: Object = "",
    all_: Annotated[bool, typer.Option("--all", help="Every object with rejected rows.")] = False,
    deadline: Annotated[float, typer.Option(min=1, help="Seconds to wait for the objects' new runs.")] = 600,
    *,
    where: Where,
) -> None:
    """Reprocess objects with rejected rows, after a rule was fixed and deployed; waits, then reports.

    Exit code 1 when an object could not be retried.
    """
    from sluice.pipeline.quarantine import Quarantine

    wanted = _filter(dataset, reason, object_)
    if bool(wanted) == all_:
        console.fail("say which rows: --dataset, --reason, --object, or --all")
    with console.progress() as bar:
        task = bar.add_task("objects", total=None)
        results = Quarantine(where.stack).retry(
            wanted, deadline=deadline, progress=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if where.json:
        console.print_json(_report(results))
    else:
        _show_outcome(results)
    raise typer.Exit(console.FAILED if any(result.trouble for result in results) else console.OK)


def _show_outcome(results: list[Retried]) -> None:
    if not results:
        console.note("no such rows are in quarantine")
        return
    totals = _sums(results)
    reasons = sorted({reason for counts in totals.values() for reason in counts})
    if reasons:
        rows = [(r, *(totals[name].get(r, 0) for name in ("resolved", "still", "newly"))) for r in reasons]
        console.print_table(OUTCOME, rows)
    for result in results:
        if result.trouble:
            console.note(f"not retried: {result.object_id[:12]} {result.key}: {result.trouble}")
    runs = sum(1 for result in results if not result.trouble)
    console.note(
        f"{runs} object{'' if runs == 1 else 's'} reprocessed: {totals['resolved'].total():,} rows resolved, "
        f"{totals['still'].total():,} still bad, {totals['newly'].total():,} newly bad"
    )
    if runs and not totals["resolved"]:
        console.note("nothing was resolved: a fixed rule counts once it is deployed (`make deploy`)")


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


def _show_row(row: Row) -> None:
    """The row's place, a line for each of its errors, and its text, each cut to the screen."""
    place = f"{row['dataset']}  {str(row['object_id'])[:12]}  offset {row['offset']}"
    console.print_line(f"{place}  {row['source_key']}", style="bold", middle=True)
    console.print_table(ERRORS, _errors(row), header=False)
    raw = row.get("raw")
    text = f"(base64) {row.get('raw_base64', '')}" if raw is None else str(raw)
    console.print_line(f"  {text}", style="dim")


def _errors(row: Row) -> list[tuple[object, ...]]:
    """Field, reason, value and what was expected, of every error."""
    # Files from before 0.2 name the first error only.
    errors = row.get("errors") or [{"field": row.get("field"), "reason": row["reason"]}]
    return [
        (
            f"  {error.get('field') or '(the row)'}", error["reason"], _value(error, row),
            f"expected: {error['expected']}" if error.get("expected") else "",
        )
        for error in errors
    ]  # fmt: skip


def _value(error: dict[str, Any], row: Row) -> str | None:
    """The value at fault as quarantine has it, else as the row's JSON has it."""
    from json import dumps, loads

    if error.get("value") is not None:
        return str(error["value"])
    try:
        return dumps(loads(row["raw"])[error["field"]], ensure_ascii=False)
    except (KeyError, TypeError, ValueError):
        return None


def _filter(dataset: str, reason: str, object_id: str) -> Filter:
    from sluice.pipeline.quarantine import Filter
    from sluice_pipeline.objects.failures import Reason as Known

    if reason and reason not in list(Known):
        console.fail(f"--reason {reason!r}: reasons are {', '.join(Known)}")
    return Filter(dataset, reason, object_id)
