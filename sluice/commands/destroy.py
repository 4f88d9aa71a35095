"""`sluice destroy`: removes what was deployed."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, as_json, ask_for_name, input_of, place_of, refuse_other_name
from sluice.options import Confirm, Json, Target, is_local

PANEL, ORDER = "Deployment", 23


def destroy(
    target: Target = "local",
    env: Env = "dev",
    var_file: VarFile = None,
    var: Var = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask (TARGET=aws asks).")] = False,
    confirm: Confirm = None,
    json: Json = False,
) -> None:
    """Remove what was deployed."""
    from sluice import terraform

    given = input_of(env, var_file, var)
    if not is_local(target):
        from sluice.promotion import plans

        refuse_other_name(env, confirm)
        place, account, protected = plans.account_of(env, *given)
        ask_for_name(env, confirm, f"Remove the {env} stack from account {account}", protected)
        if not (yes or confirm):
            typer.confirm(f"Remove the {env} stack from account {account}?", abort=True, err=True)
        done = plans.destroy(place, *given, console.silent if json else console.note)
    else:
        done = terraform.destroy(place_of(target, env), *given)
    if json:
        console.print_json(as_json(done))
    else:
        console.note(f"destroy {done.removed} removed ({done.seconds:.0f} s)")
