"""`sluice drift`: names what differs from the state."""

from __future__ import annotations

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, input_of, place_of
from sluice.options import Json, Target
from sluice.tables import layout

PANEL, ORDER = "Deployment", 25

DIFFERENCES = layout("what", "resource:fold", "attributes:fold")


def drift(
    target: Target = "local", env: Env = "dev", var_file: VarFile = None, var: Var = None, json: Json = False
) -> None:
    """Name what was changed or removed by other means than a deployment; exits with 1 when something was."""
    from sluice.promotion import plans

    report = console.silent if json else console.note
    found = plans.drift(place_of(target, env), env, *input_of(env, var_file, var), report)
    if json:
        listed = [{"what": one.action, "address": one.address, "attributes": names} for one, names in found]
        console.print_json({"drift": listed})
    else:
        if found:
            console.print_table(DIFFERENCES, [(one.action, one.address, ", ".join(names)) for one, names in found])
        console.note(f"drift   {len(found)} resources differ from the state" if found else "drift   none")
    raise typer.Exit(console.FAILED if found else console.OK)
