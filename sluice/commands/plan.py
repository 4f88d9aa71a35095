"""`sluice plan`: shows what a deployment would change, and stores that in a file which `sluice deploy` applies."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, build_changes, input_of, place_of
from sluice.options import Json, Target, is_local
from sluice.tables import layout

if TYPE_CHECKING:
    from sluice.promotion.record import Record

PANEL, ORDER = "Deployment", 21

CHANGES = layout("action", "resource:fold", "attributes:fold")


def plan(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="File of the plan (aws: .sluice/aws/<env>/plan.tfplan; local: none).")
    ] = None,
    gradual: Annotated[
        bool, typer.Option("--gradual", help="New versions of functions wait for `sluice shift`; the old ones serve.")
    ] = False,
    adopt: Annotated[
        bool, typer.Option("--adopt", help="Import what a killed deployment has made in the account and no state has.")
    ] = False,
    check: Annotated[bool, typer.Option("--check", help="Exit with 1 when there are changes.")] = False,
    json: Json = False,
) -> None:
    """Show what a deployment would change. For an account, the plan is a file that `sluice deploy` applies."""
    from dataclasses import asdict

    from sluice import terraform
    from sluice.promotion import plans, record

    if adopt and is_local(target):
        console.fail("--adopt is for an account: on this machine, `make clean` and `make deploy` make all of it again")
    place, given = place_of(target, env), input_of(env, var_file, var)
    if gradual:
        given[1]["held_versions"] = _in_service(target, env)
    build_changes(quiet=json)
    file = out if out or is_local(target) else record.plan_file(env)
    if file is None:
        found = terraform.plan(place, *given)
        changes, attributes, seconds, written = found.changes, {}, found.seconds, None
    else:
        report = console.silent if json else console.note
        written, stored = plans.make(place, env, *given, file, report, adopt=adopt)
        changes, attributes, seconds = stored.changes, dict(stored.attributes), stored.seconds
    if json:
        listed = [asdict(c) | {"attributes": list(attributes.get(c.address, ()))} for c in changes]
        console.print_json({"changes": listed, "seconds": round(seconds, 1)} | _file_facts(file, written))
    else:
        if changes:
            rows = [(c.action, c.address, ", ".join(attributes.get(c.address, ()))) for c in changes]
            console.print_table(CHANGES, rows)
        console.note(f"plan    {len(changes) or 'no'} changes ({seconds:.0f} s)")
        if written is not None and file is not None:
            console.note(f"plan    {_next(written, file, target, env)}")
    raise typer.Exit(console.FAILED if check and changes else console.OK)


def _in_service(target: str, env: str) -> dict[str, str]:
    """The version in service of each function that is deployed; none at a first deployment."""
    from sluice.pipeline.stack import choose
    from sluice.release import aliases

    return aliases.held(choose(target, env))


def _file_facts(file: Path | None, written: Record | None) -> dict[str, object]:
    if written is None:
        return {}
    return {"plan": str(file), "applicable": written.applicable, "account": written.account, "region": written.region}


def _next(written: Record, file: Path, target: str, env: str) -> str:
    if not written.applicable:
        return "not applicable: made without credentials, as of a first deployment; nothing was contacted"
    named = "" if is_local(target) else f" TARGET=aws ENV={env}"
    given = f' ARGS="--plan {file}"' if is_local(target) else ""
    return f"for {written.made_for}, every value in {file.with_suffix('.txt')}; `make deploy{named}{given}` applies it"
