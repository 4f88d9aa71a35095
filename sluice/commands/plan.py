"""`sluice plan`: shows what a deployment would change."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, build_changes, input_of, place_of
from sluice.options import Json, Target
from sluice.tables import layout

PANEL, ORDER = "Deployment", 21

CHANGES = layout("action", "resource:fold")


def plan(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when there are changes.")] = False,
    json: Json = False,
) -> None:
    """Show what a deployment would change."""
    from dataclasses import asdict

    from sluice import terraform

    place, given = place_of(target, env), input_of(env, var_file, var)
    build_changes(quiet=json)
    found = terraform.plan(place, *given)
    if json:
        console.print_json({"changes": [asdict(c) for c in found.changes], "seconds": round(found.seconds, 1)})
    elif found.changes:
        console.print_table(CHANGES, [(c.action, c.address) for c in found.changes])
        console.note(f"plan    {len(found.changes)} changes ({found.seconds:.0f} s)")
    else:
        console.note(f"plan    no changes ({found.seconds:.0f} s)")
    raise typer.Exit(console.FAILED if check and found.changes else console.OK)
