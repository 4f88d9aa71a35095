"""`sluice snapshot`: save, load, ls, show, rm, export, import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sluice import console
from sluice.options import Json, Wide
from sluice.tables import layout

PANEL, ORDER = "Engine", 15

SNAPSHOTS = layout("snapshot", "saved", "size:number", "its own:number?1", "error:text")

Name = Annotated[str, typer.Argument(help="The snapshot's name.")]

snapshot = typer.Typer(help="What the engine holds, saved under a name: save, load, share.", no_args_is_help=True)


@snapshot.command()
def save(name: Name, json: Json = False) -> None:
    """Save what the engine and PostgreSQL hold at one moment; calls wait meanwhile, and how long is printed."""
    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    saved = snapshots.save(Instance.default(), name)
    if json:
        console.print_json(
            {
                "name": name,
                "saved_at": saved.manifest.saved_at,
                "bytes": saved.manifest.size,
                "seconds": saved.seconds,
                "paused_seconds": saved.paused_seconds,
                "interrupted": saved.interrupted,
                "left_out": saved.left_out,
            }
        )
        return
    console.note(snapshots.describe(saved, name))
    for one in saved.interrupted:
        console.note(f"         interrupted, and begins again when it is loaded: {one}")
    for one in saved.left_out:
        console.note(f"         not saved: {one}")


@snapshot.command()
def load(
    name: Name,
    discard: Annotated[bool, typer.Option("--discard", help="Do not save first what the engine holds now.")] = False,
    json: Json = False,
) -> None:
    """Restart the engine with a snapshot, on the same ports. What it held before is saved as `before-load`."""
    from dataclasses import asdict

    from sluice import engine
    from sluice.commands._deployment import follow_ports
    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    instance = Instance.default()
    report = console.silent if json else console.note
    info = snapshots.load(instance, name, discard=discard, report=report)
    if info.moved:
        follow_ports(instance, info, report)
    if json:
        console.print_json(asdict(engine.status(instance)))


@snapshot.command()
def ls(json: Json = False, wide: Wide = False) -> None:
    """List the snapshots; `last` is what the next `sluice up` restores."""
    console.set_wide(wide)
    from dataclasses import asdict

    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    found = snapshots.ls(Instance.default())
    if json:
        console.print_json([asdict(one) for one in found])
    elif not found:
        console.note("there are no snapshots: `sluice snapshot save NAME` makes one")
    else:
        size = console.human_bytes
        rows = [(one.name, _age(one.saved_at), size(one.bytes), size(one.own_bytes), one.error) for one in found]
        console.print_table(SNAPSHOTS, rows)


def _age(saved_at: str) -> str | None:
    """As an age; as it stands where it is no time, because the snapshot is damaged."""
    try:
        return console.ago(saved_at.removesuffix(" UTC"))
    except ValueError:
        return saved_at


@snapshot.command()
def show(name: Name, json: Json = False) -> None:
    """Show what a snapshot holds, after a check of all its contents. Exit code 1 when it is damaged."""
    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    found = snapshots.show(Instance.default(), name)
    if json:
        console.print_json(found)
    else:
        facts = {}
        for key, value in found.items():
            if isinstance(value, dict):
                value = ", ".join(f"{one} {of}" for one, of in value.items())
            facts[key] = ", ".join(value) if isinstance(value, list) else value
        console.print_facts(facts, title=name)
    if found["damage"]:
        raise typer.Exit(console.FAILED)


@snapshot.command()
def rm(name: Name, json: Json = False) -> None:
    """Remove a snapshot, and what no other one needs."""
    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    freed = snapshots.rm(Instance.default(), name)
    if json:
        console.print_json({"name": name, "freed": freed})
    else:
        console.note(f"snapshot {name!r} removed ({console.human_bytes(freed)})")


@snapshot.command()
def export(
    name: Name,
    file: Annotated[Path | None, typer.Argument(help="The file to write (else NAME.tar).")] = None,
    json: Json = False,
) -> None:
    """Write a snapshot into one tar file. It has every secret of the stack: give it to those only who may have them."""
    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    target = file or Path(f"{name}.tar")
    manifest = snapshots.export(Instance.default(), name, target)
    if json:
        console.print_json({"name": name, "file": str(target), "bytes": manifest.size})
    else:
        console.note(f"snapshot {name!r} exported to {target} ({console.human_bytes(manifest.size)})")


@snapshot.command(name="import")
def import_(
    name: Name,
    file: Annotated[Path, typer.Argument(help="What `sluice snapshot export` wrote.")],
    json: Json = False,
) -> None:
    """Read a snapshot from a file, after a check of everything in it. Only load what you trust: it can run code."""
    from sluice.engine import snapshots
    from sluice.engine.instance import Instance

    manifest = snapshots.import_(Instance.default(), name, file)
    if json:
        console.print_json({"name": name, "saved_at": manifest.saved_at, "bytes": manifest.size})
    else:
        console.note(f"snapshot {name!r} imported, saved at {manifest.saved_at}: `sluice snapshot load {name}`")
