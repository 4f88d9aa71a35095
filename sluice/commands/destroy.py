"""`sluice destroy`: removes what was deployed."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, as_json, input_of, place_of
from sluice.options import Json, Target, is_local

PANEL, ORDER = "Deployment", 23


def destroy(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (TARGET=aws asks).")] = False,
    json: Json = False,
) -> None:
    """Remove what was deployed."""
    from sluice import terraform

    place, given = place_of(target, env), input_of(env, var_file, var)
    if not (is_local(target) or yes):
        typer.confirm(f"Remove the {env} stack from the AWS account?", abort=True, err=True)
    done = terraform.destroy(place, *given)
    if json:
        console.print_json(as_json(done))
    else:
        console.note(f"destroy {done.removed} removed ({done.seconds:.0f} s)")
