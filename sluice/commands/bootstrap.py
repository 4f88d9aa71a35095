"""`sluice bootstrap`: makes what an account needs before its first deployment."""

from __future__ import annotations

from typing import Annotated

import typer

from sluice import console
from sluice.commands._deployment import OUTPUTS, Env, Var, VarFile, input_of
from sluice.options import Json, Target, is_local

PANEL, ORDER = "Deployment", 19


def bootstrap(
    target: Target = "local",
    env: Env = "dev",
    repository: Annotated[
        str | None, typer.Option("--repository", metavar="OWNER/NAME", help="GitHub's (else that of `origin`).")
    ] = None,
    var_file: VarFile = None,
    var: Var = None,
    json: Json = False,
) -> None:
    """Make an account's state bucket, and the roles with which GitHub Actions plans and deploys. Safe to repeat."""
    from dataclasses import asdict

    from sluice.paths import STACK_DIR
    from sluice.promotion import bootstrap as steps
    from sluice.terraform import variables

    if is_local(target):
        console.fail("the engine needs no bootstrap: --target aws")
    known = variables.known(*input_of(env, var_file, var), STACK_DIR)
    done = steps.run(env, known, repository, console.silent if json else console.note)
    if json:
        console.print_json(asdict(done))
        return
    console.print_table(OUTPUTS, list(done.outputs.items()))
    console.note(f"bootstrap {len(done.changes) or 'no'} changes in account {done.account}")
