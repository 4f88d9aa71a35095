"""`sluice preflight`: whether an account is ready for a deployment."""

from __future__ import annotations

import typer

from sluice import console
from sluice.commands._deployment import Env, Var, VarFile, input_of
from sluice.options import Json, Target, is_local
from sluice.tables import layout

PANEL, ORDER = "Deployment", 20

FINDINGS = layout("check", "holds", "found:fold")


def preflight(
    target: Target = "local", env: Env = "dev", var_file: VarFile = None, var: Var = None, json: Json = False
) -> None:
    """Check account, region, quota, bucket names, zones and the state's lock; changes nothing. `deploy` does it, too.

    It checks the stored plan, or without one what a first deployment would make.
    """
    from dataclasses import asdict

    from sluice.promotion import plans

    if is_local(target):
        console.fail("the engine needs no preflight: --target aws")
    report = console.silent if json else console.note
    findings = plans.preflight_of(env, *input_of(env, var_file, var), report)
    if json:
        console.print_json({"findings": [asdict(one) for one in findings]})
    else:
        console.print_table(FINDINGS, [(one.check, one.holds, one.found) for one in findings])
    raise typer.Exit(console.OK if all(one.holds for one in findings) else console.FAILED)
