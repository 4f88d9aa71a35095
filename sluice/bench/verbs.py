"""The verb of the measurements: bench."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.options import Json

if TYPE_CHECKING:
    from sluice.bench.suite import Result

PARTS = ("setup", "hop", "bulk", "rows", "load", "api", "all")
TITLES = {
    "setup": "Set-up",
    "hop": "Hop: object in to object out",
    "bulk": "Bulk: JSON lines to committed silver",
    "rows": "Row per message, beside chunks",
    "load": "Load: silver to the warehouse, records to entities",
    "api": "Analytics API, through API Gateway",
}


def register(app: typer.Typer) -> None:
    """Adds the verb of this module."""
    app.command(rich_help_panel="Quality")(bench)


def bench(
    part: Annotated[str, typer.Argument(help="setup, hop, bulk, rows, load, api or all.")] = "",
    objects: Annotated[int, typer.Option(min=1, help="Objects of a hop.")] = 200,
    bulk_mb: Annotated[int, typer.Option(min=1, help="Megabytes of the bulk input, in objects of 64 MB.")] = 1024,
    peer: Annotated[bool, typer.Option("--peer", help="Measure the hop on MiniStack, too, side by side.")] = False,
    docker: Annotated[
        bool, typer.Option("--docker", help="Measure the embedded engine and the one in containers, side by side.")
    ] = False,
    json: Json = False,
) -> None:
    """Measure on an engine and a stack of its own, and print the figures beside their targets; never a failure.

    Without a part everything is measured, with --peer the hop alone. The figures are also in .sluice/bench.
    """
    from sluice.bench import suite

    chosen = part or ("hop" if peer else "all")
    if chosen not in PARTS:
        console.fail(f"there is no part {chosen!r}: {', '.join(PARTS)}")
    if peer and docker:
        console.fail("--peer and --docker are two comparisons: choose one")
    plan = suite.Plan(suite.PARTS if chosen == "all" else (chosen,), objects, bulk_mb)
    result = suite.run(plan, with_peer=peer, with_docker=docker, report=_quiet if json else console.note)
    file = write(result)
    if json:
        console.print_json(result.to_dict())
    else:
        show(result)
        console.note(f"bench   written to {file}")


def _quiet(_: str) -> None:
    """Takes a message and says nothing."""


def write(result: Result) -> str:
    """Keeps the result as .sluice/bench/results.json; one with the peer as peer.json, of both
    engines as docker.json. Returns the path."""
    import json

    from sluice.paths import ROOT, SLUICE_DIR

    folder = SLUICE_DIR / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ("docker.json" if result.peer == "docker" else "peer.json" if result.peer else "results.json")
    file.write_text(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n")
    return str(file.relative_to(ROOT))


def show(result: Result) -> None:
    """The figures as tables."""
    from sluice.bench import figures

    facts = result.machine
    load, processors = facts["load_before"], facts["processors"]
    console.note(
        f"machine {processors} processors, {facts['memory_mb']:,} MB, {facts['system']}, Python {facts['python']}, "
        f"load {load} before"
    )
    if load > processors / 2:
        console.note("        other programs were busy: take the figures as a lower bound")
    for group, found in figures.by_group(result.figures).items():
        console.print_table(figures.COLUMNS, figures.table(found), title=TITLES[group], right=figures.NUMBERS)
    if result.peer:
        columns = ("figure", result.ours, result.peer, "target", "better by", "note")
        rows = figures.side_by_side(result.figures, result.peer_figures)
        console.print_table(columns, rows, title="Side by side, same functions", right=columns[1:5])
