"""`sluice quality`: what the quality gate found in objects, and what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sluice import console
from sluice.options import Where, complete_dataset, with_tables
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.branches.quality.reader import Verdict

PANEL, ORDER = "Branches", 72

VERDICTS = layout(
    "object:key", "run:number?3", "dataset", "verdict", "rows:number", "audited?2", "engine?4", "not as expected:text"
)
EXPECTATIONS = layout(
    "dataset?4", "expectation:key", "expected:text?2", "hard?1", "holds", "rows:number?3", "failed:number", "found:text"
)

quality = typer.Typer(help="The quality gate: verdicts on objects, their pages, and what an operator decides.",
                      no_args_is_help=True)  # fmt: skip

Object = Annotated[
    str, typer.Argument(metavar="OBJECT", help="The object's id or the beginning of it.", show_default=False)
]
Run = Annotated[int | None, typer.Option("--run", min=1, help="The verdict on this run; else the last one.")]


@quality.command()
@with_tables
def ls(
    dataset: Annotated[
        str, typer.Option(help="Objects with rows of this dataset.", autocompletion=complete_dataset)
    ] = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only verdicts that withheld an object.")] = False,
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="At most so many.")] = 20,
    *,
    where: Where,
) -> None:
    """Show the last verdict on each object, newest first. Exit code 1 when the branch is off."""
    from sluice.branches.quality import reader

    _show(reader.latest(where.stack, dataset, failed=failed, limit=limit), where.json)


@quality.command()
@with_tables
def history(
    dataset: Annotated[str, typer.Argument(help="A dataset.", autocompletion=complete_dataset)],
    limit: Annotated[int, typer.Option("-n", "--limit", min=1, max=1000, help="At most so many.")] = 50,
    *,
    where: Where,
) -> None:
    """Show every verdict on a dataset's objects, newest first. Exit code 1 when the branch is off."""
    from sluice.branches.quality import reader

    _show(reader.history(where.stack, dataset, limit), where.json)


@quality.command()
@with_tables
def show(object_: Object, run: Run = None, *, where: Where) -> None:
    """Show the expectations of an object with counts, and rows that fail them.

    Exit code 0 when the object passed, 1 when it did not or has no verdict.
    """
    from sluice.branches.quality import reader

    found = reader.verdict(where.stack, object_, run)
    if where.json:
        console.print_json(found)
    else:
        _show_one(found, list(reader.expectations(found)))
    raise typer.Exit(console.OK if found["passed"] else console.FAILED)


@quality.command()
@with_tables
def docs(
    object_: Annotated[str, typer.Argument(metavar="[OBJECT]", help="The object's id; else the last verdicts.")] = "",
    run: Run = None,
    limit: Annotated[
        int | None,
        typer.Option("-n", "--limit", min=1, max=1000, help="At most so many verdicts, without OBJECT; else 20."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="A folder for the pages; else .sluice/quality.")] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    *,
    where: Where,
) -> None:
    """Copy verdicts to this machine as pages of HTML, which need no network. Exit code 1 when there is none."""
    from sluice.branches.quality import reader

    if object_ and limit:
        console.fail("--limit is of the last verdicts: leave out OBJECT")
    if run and not object_:
        console.fail("--run is of one object: name it")
    if object_:
        path = reader.save_page(where.stack, reader.verdict(where.stack, object_, run), out)
    else:
        path = reader.save_index(where.stack, reader.latest(where.stack, limit=limit or 20), out)
    if where.json:
        console.print_json({"page": str(path)})
    else:
        console.print_line(str(path))
    if open_:
        typer.launch(path.resolve().as_uri())


@quality.command()
@with_tables
def run(
    object_: Object,
    engine: Annotated[str, typer.Option(help="pyarrow or great_expectations; else by the number of rows.")] = "",
    *,
    where: Where,
) -> None:
    """Audit an object that waits again, and publish it when it passes.

    Exit code 0 when it is published, 1 when it is not, 2 when the question is wrong.
    """
    from sluice.branches.quality import reader

    done = reader.audit(where.stack, object_, engine)
    _end(done, done["state"], where.json)


@quality.command()
@with_tables
def release(
    object_: Object,
    reason: Annotated[str, typer.Option(help="Why its rows may be seen; the ledger records it.", show_default=False)],
    *,
    where: Where,
) -> None:
    """Publish a withheld object as it is. Exit code 1 when it is not withheld, 2 when the question is wrong."""
    from sluice.branches.quality import reader

    done = reader.release(where.stack, object_, reason)
    _end(done, done["outcome"], where.json)


def _end(done: dict[str, Any], became: str, json: bool) -> None:
    """Shows what an operator's decision came to; exit code 0 when the object is visible now."""
    if json:
        console.print_json(done)
    else:
        console.print_facts(done)
    raise typer.Exit(console.OK if became == "committed" else console.FAILED)


def _show(verdicts: list[Verdict], json: bool) -> None:
    if json:
        console.print_json(verdicts)
        return
    if not verdicts:
        console.note("no verdict")
        return
    console.print_table(VERDICTS, map(_line, verdicts))


def _line(found: Verdict) -> tuple[Any, ...]:
    from sluice.branches.quality import reader

    names = ", ".join(one["name"] for _, one in reader.not_met(found))
    return (
        found["object_id"], found["run"], found["dataset"], _result(found), found["rows"],
        console.ago(found["audited_at"]), found["engine"], names,
    )  # fmt: skip


def _show_one(found: Verdict, expectations: Iterable[tuple[str, Verdict]]) -> None:
    console.print_facts({
        "object": found["object_id"], "run": found["run"], "file": found["key"], "dataset": found["dataset"],
        "verdict": _result(found), "rows": found["rows"], "engine": found["engine"], "audited": found["audited_at"],
        "rules": found["rules"],
    })  # fmt: skip
    lines = [
        (name, one["name"], one["expected"], one["hard"], one["passed"], one["rows"], one["failed"], _found(one))
        for name, one in expectations
    ]
    if lines:
        console.print_table(EXPECTATIONS, lines)


def _result(found: Verdict) -> str:
    return "passed" if found["passed"] else "failed"


def _found(one: Verdict) -> str:
    samples = (f"{sample['value'] if sample['value'] is not None else 'no value'} ({sample['record_id']})"
               for sample in one["samples"])  # fmt: skip
    return one["observed"] or "; ".join(samples)
