"""`sluice bench`: measures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.options import Json
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.bench.suite import Result

PANEL, ORDER = "Quality", 50

FIGURES = layout("figure:fold", "measured:number", "target:number", "met", "calibration:number", "note:fold?1")
HISTORY = layout(
    "figure:fold",
    "at",
    "commit?1",
    "measured:number",
    "calibration:number?2",
    "at equal speed:number",
    "machine:fold?3",
)
SCALE = layout(
    "stage:fold", "objects/s:number", "M objects/day:number?2", "TB/day:number?1", "holds", "why:fold", "page:fold?3"
)  # fmt: skip
PARTS = ("setup", "hop", "bulk", "rows", "load", "api", "lake", "redshift", "taxi", "soak", "scale", "all")
TITLES = {
    "setup": "Set-up",
    "hop": "Hop: object in to object out",
    "bulk": "Bulk: JSON lines to committed silver",
    "rows": "Row per message, beside chunks",
    "load": "Load: silver to the warehouse, records to entities",
    "api": "Analytics API, through API Gateway",
    "lake": "Lake: Athena, a crawler, compaction",
    "redshift": "Redshift: COPY",
    "taxi": "Taxi: a month from its raw file to a verified table",
    "soak": "Soak: memory under a steady load",
    "scale": "Scale: many objects, messages and bytes",
}


def bench(
    part: Annotated[
        str,
        typer.Argument(
            help="setup, hop, bulk, rows, load, api, lake, redshift, taxi, soak, scale or all (without these two)."
        ),
    ] = "",
    objects: Annotated[
        int | None, typer.Option(min=1, help="Objects of a hop (200), or of the ledger with --measured (100,000).")
    ] = None,
    bulk_mb: Annotated[
        int | None, typer.Option(min=1, help="Megabytes of the bulk input, 64 an object (1024).")
    ] = None,
    peer: Annotated[
        bool | None,
        typer.Option("--peer/--no-peer", help="Measure the hop on other emulators, too (without: on those installed)."),
    ] = None,
    docker: Annotated[
        bool, typer.Option("--docker", help="Measure the embedded engine and the one in containers, side by side.")
    ] = False,
    hours: Annotated[float | None, typer.Option(min=0.02, help="Hours of the soak (1).")] = None,
    history: Annotated[
        bool, typer.Option("--history", help="Measure nothing: show the figures of earlier runs, comparable.")
    ] = False,
    objects_per_day: Annotated[float | None, typer.Option(min=1, help="Objects a day of scale (10e6).")] = None,
    bytes_per_day: Annotated[float | None, typer.Option(min=1, help="Bytes a day of scale (10e12).")] = None,
    warehouse_part: Annotated[
        float | None, typer.Option(min=0, max=1, help="Part of scale's objects that the warehouse takes (1).")
    ] = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Let scale measure a full ledger, a full queue and a large verify.")
    ] = False,
    messages: Annotated[
        int | None, typer.Option(min=100, help="Messages of the queue with --measured (1,000,000).")
    ] = None,
    verify_mb: Annotated[int | None, typer.Option(min=1, help="Megabytes that --measured verifies (1000).")] = None,
    json: Json = False,
) -> None:
    """Measure on an engine and a stack of its own, and print the figures beside their targets.

    Without a part everything is measured, with --peer the hop alone. Beside each figure is the calibration: seconds
    of a fixed piece of work before and after it, for the speed of shared machines changes. The figures are also in
    .sluice/bench, and those of all runs in its history. Only soak fails: when memory grows by more than 10 %.
    scale calculates how much each stage of prod takes, and which one breaks first; with --measured it shows how this
    machine does with 100,000 objects, 1,000,000 messages and 1 GB to verify.
    """
    from sluice.bench import peers, suite
    from sluice.names import require

    if history:
        require("part", part or "all", PARTS)
        if (
            docker
            or peer is not None
            or objects
            or bulk_mb
            or hours
            or objects_per_day
            or bytes_per_day
            or warehouse_part is not None
            or measured
            or messages
            or verify_mb
        ):
            console.fail("--history measures nothing: it goes with a part only")
        show_history((), json) if part in ("", "all") else show_history((part,), json)
        return
    chosen = part or ("hop" if peer else "all")
    require("part", chosen, PARTS)
    if peer and docker:
        console.fail("--peer and --docker are two comparisons: choose one")
    parts = suite.PARTS if chosen == "all" else (chosen,)
    if measured and chosen != "scale":
        console.fail("--measured is for scale")
    if (messages or verify_mb) and not measured:
        console.fail("--messages and --verify-mb are for scale --measured")
    if objects and "hop" not in parts and not peer and not measured:
        console.fail("--objects is for the hop, and for scale --measured")
    if bulk_mb and "bulk" not in parts:
        console.fail("--bulk-mb is for bulk")
    if hours and chosen != "soak":
        console.fail("--hours is for soak")
    if (objects_per_day or bytes_per_day or warehouse_part is not None) and chosen != "scale":
        console.fail("--objects-per-day, --bytes-per-day and --warehouse-part are for scale")
    if chosen == "scale":
        if docker or peer is not None:
            console.fail("scale compares nothing: --docker and --peer are for the other parts")
        if measured:
            if objects_per_day or bytes_per_day or warehouse_part is not None:
                console.fail("--measured calculates nothing: leave out the options of a day's load")
            given = {"objects": objects, "messages": messages, "verify_mb": verify_mb}
            grown({name: number for name, number in given.items() if number}, json)
            return
        scale(objects_per_day or 10e6, bytes_per_day or 10e12, json, 1.0 if warehouse_part is None else warehouse_part)
        return
    if chosen == "soak" and (docker or peer is not None):
        console.fail("soak compares nothing: --docker and --peer are for the other parts")
    report = console.silent if json else console.note
    if chosen == "soak":
        soak(hours or 1.0, json, report)
        return
    plan = suite.Plan(parts, objects or 200, bulk_mb or 1024)
    rivals = peers.ALL if peer else () if peer is False or docker or "hop" not in parts else peers.all_installed()
    result = suite.run(plan, beside=rivals, with_docker=docker, report=report)
    finish(result, json)


def scale(objects_per_day: float, bytes_per_day: float, as_json: bool, warehouse_part: float = 1.0) -> None:
    """Prints each stage's limit under prod.tfvars for objects of the load's mean size, and the lowest of them."""
    from sluice.bench import history
    from sluice.bench import scale as simulation
    from sluice.paths import ENVS_DIR

    load = simulation.Load(objects_per_day, bytes_per_day, warehouse_part=warehouse_part)
    settings = simulation.Settings.of((ENVS_DIR / "prod.tfvars").read_text())
    runs, _ = history.read(history.FILE)
    speeds = simulation.Speeds.of([(run.figures, int(run.machine.get("processors") or 0)) for run in runs])
    found = simulation.limits(load, settings, speeds)
    first, units = simulation.first_to_break(found), simulation.write_units(load, settings)
    if as_json:
        console.print_json({
            "objects_per_day": objects_per_day, "bytes_per_day": bytes_per_day, "write_units": units,
            "first": first.stage, "limits": [one.to_dict(load) for one in found],
        })  # fmt: skip
        return
    rows = []
    for one in found:
        rate, holds = one.objects_per_s, {True: "yes", False: "no", None: None}[one.holds(load)]
        daily: list[str | None] = [None] * 3
        if rate is not None:
            day = rate * simulation.DAY
            daily = [f"{rate:,.0f}", f"{day / 1e6:,.1f}", f"{day * load.object_bytes / 1e12:,.1f}"]
        rows.append((one.stage, *daily, holds, one.why, one.page))
    asked = f"{objects_per_day:,.0f} objects and {bytes_per_day / 1e12:,.2f} TB a day"
    console.print_table(SCALE, rows, title=f"{asked}: {load.objects_per_s:,.1f} objects/s")
    rate = first.objects_per_s or 0.0
    console.note(f"first   {first.stage}, at {rate:,.1f} objects/s: {rate * simulation.DAY / 1e6:,.1f} M objects a day")
    dollars = units * simulation.DOLLARS_PER_UNIT * 1e6
    console.note(f"cost    {units} write units an object, {dollars:,.2f} dollars a million objects")


def grown(given: Mapping[str, int], as_json: bool) -> None:
    """Measures how verbs, ledger, queue and verify do with this much; what is not given is as large as `Sizes` says."""
    from dataclasses import asdict

    from sluice.bench import part_figures, suite
    from sluice.bench.grown import Sizes

    facts, sizes = suite.machine_facts(), Sizes(**given)
    found = part_figures.scale_figures(sizes, console.silent if as_json else console.note)
    finish(suite.Result(facts, {"parts": ["scale"]} | asdict(sizes), {}, found), as_json)


def finish(result: Result, as_json: bool) -> None:
    """Stores the result and prints it."""
    file = write(result)
    if as_json:
        console.print_json(result.to_dict())
    else:
        show(result)
        console.note(f"bench   written to {file}")


def soak(hours: float, as_json: bool, report: Callable[[str], None]) -> None:
    """Measures memory under load; fails when it grows by more than is accepted."""
    from sluice.bench import part_figures, soak, suite
    from sluice.paths import SLUICE_DIR

    facts = suite.machine_facts()
    found, growth = part_figures.soak_figures(hours, SLUICE_DIR / "bench" / "soak.jsonl", report)
    finish(suite.Result(facts, {"parts": ["soak"], "hours": hours}, {}, found), as_json)
    soak.check(growth)


def write(result: Result) -> str:
    """Stores the result as .sluice/bench/results.json; one with peers as peer.json, of both
    engines as docker.json, a soak as soak.json, scale as scale.json. Returns the path."""
    import json

    from sluice.bench import history
    from sluice.engine import DOCKER
    from sluice.paths import ROOT, SLUICE_DIR

    folder = SLUICE_DIR / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    beside = [peer.name for peer in result.peers]
    name = "docker" if beside == [DOCKER] else "peer" if beside else "results"
    alone = result.settings["parts"] in (["soak"], ["scale"])
    file = folder / f"{result.settings['parts'][0] if alone else name}.json"
    file.write_text(json.dumps(result.to_dict(), indent=2, ensure_ascii=False) + "\n")
    history.append(history.FILE, history.Run.of(result.to_dict()))
    return str(file.relative_to(ROOT))


def show_history(parts: Sequence[str], as_json: bool) -> None:
    """The figures of the runs in the history, the newest run of each figure last. parts: () for all."""
    from sluice.bench import history

    runs, unread = history.read(history.FILE)
    for reason in unread:
        console.note(f"history {reason}")
    if as_json:
        console.print_json([run.to_dict() for run in runs])
        return
    found = history.compare(runs, parts)
    if not runs:
        console.note("history is empty: `sluice bench` adds a run")
    elif not found:
        console.note(f"history has no figure of {', '.join(parts) or 'any part'}: `sluice bench` adds some")
    for group, rows in found.items():
        console.print_table(HISTORY, rows, title=TITLES.get(group, group))


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
        console.print_table(FIGURES, figures.table(found), title=TITLES[group])
    if result.peers:
        compared = layout(
            "figure:fold", f"{result.ours}:number", *(f"{peer.name}:number" for peer in result.peers),
            "target:number?1", "better by:number", "note:fold?2",
        )  # fmt: skip
        rows = figures.side_by_side(result.figures, result.peers)
        console.print_table(compared, rows, title="Side by side, same functions")
